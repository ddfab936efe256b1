/* HyperLogLog: how many different elements were added, estimated from the bytes of a string that Redis can read.
 *
 * Principal entry points: hyperloglog_kind, hyperloglog_place, hyperloglog_raise, hyperloglog_fold,
 * hyperloglog_estimate. Knows bytes only, nothing of entries, clients or commands. The bytes may come from a client:
 * nothing is believed that has not been checked.
 * Threads: any; the bytes belong to the caller.
 *
 * A value is a header and 16384 registers; a register holds the longest run of zeros (plus one) among the hashes that
 * chose it.
 *
 *   header 16: "HYLL" | encoding 1 | unused 3 | cached count 8, little endian; its highest bit says that it is stale
 *   dense      6 bits a register, the lowest bits of a byte first
 *   sparse     00nnnnnn            n + 1 registers are 0
 *              01nnnnnn nnnnnnnn   n + 1 registers are 0
 *              1vvvvvnn            n + 1 registers are v + 1
 *
 * Like Redis, an operation on a sparse value looks only at the part that it needs: reading or raising one register does not
 * tell whether what follows is sound; whatever looks at all registers does. */
#ifndef SKUA_TYPES_HYPERLOGLOG_H
#define SKUA_TYPES_HYPERLOGLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define HYPERLOGLOG_INDEX_BITS  14
#define HYPERLOGLOG_REGISTERS   (1 << HYPERLOGLOG_INDEX_BITS)
#define HYPERLOGLOG_HEADER_SIZE 16
#define HYPERLOGLOG_DENSE_SIZE  (HYPERLOGLOG_HEADER_SIZE + HYPERLOGLOG_REGISTERS * 6 / 8)
/* No sound sparse value is longer: two bytes for each register. A longer one counts as corrupt. */
#define HYPERLOGLOG_SPARSE_SIZE_MAX (HYPERLOGLOG_HEADER_SIZE + HYPERLOGLOG_REGISTERS * 2)

enum hyperloglog_kind { HYPERLOGLOG_NONE, HYPERLOGLOG_DENSE, HYPERLOGLOG_SPARSE };

/* What the header says that the bytes are. NONE: no HyperLogLog at all. */
enum hyperloglog_kind hyperloglog_kind(struct slice value);

/* The register that an element chooses, and the value that it raises it to (1 .. 51). */
struct hyperloglog_place {
    uint32_t index;
    uint8_t rank;
};
struct hyperloglog_place hyperloglog_place(struct slice element);

/* ---- Reading; `value` is of a kind other than NONE ------------------------------------------------------------- */

enum hyperloglog_change { HYPERLOGLOG_SAME, HYPERLOGLOG_CHANGED, HYPERLOGLOG_CORRUPT };

/* Whether the register is below the rank (CHANGED: raising it would change it). */
enum hyperloglog_change hyperloglog_would_raise(struct slice value, struct hyperloglog_place place);

/* The count in the header, if it is up to date. */
bool hyperloglog_cached(struct slice value, int64_t *ret_count);

/* Estimates the count from all registers. False: the value is corrupt. The result is INT64_MIN, as in Redis, when every
 * register holds more than a hash can give, which only a forged value does. */
bool hyperloglog_estimate(struct slice value, int64_t *ret_count);

/* Raises each of HYPERLOGLOG_REGISTERS registers to what the value has. False: the value is corrupt, and some of them may
 * have been raised. */
bool hyperloglog_fold(struct slice value, uint8_t *registers);

/* As hyperloglog_estimate, of registers that were folded. */
int64_t hyperloglog_estimate_registers(const uint8_t *registers);

/* Appends the operations of a sparse value as Redis writes them: "Z:12711 v:2,1 Z:3672". */
void hyperloglog_decode(struct slice value, struct buf *ret_text);

/* ---- Changing --------------------------------------------------------------------------------------------------- */

/* Writes the count into the header; the value is up to date then, unless the count is negative. */
void hyperloglog_set_cached(char *value, int64_t count);
/* Says that the count in the header is stale. */
void hyperloglog_set_stale(char *value);

/* Raises a register of a dense value (HYPERLOGLOG_DENSE_SIZE bytes). The count in the header stays. */
bool hyperloglog_raise_dense(char *value, struct hyperloglog_place place);

/* A value under construction: bytes[0 .. size). Too large for deep stacks (33 KB), fit for the executor's. */
struct hyperloglog_draft {
    size_t size;
    /* Sparse: where one of its operations begins, and its first register. Looking for registers in ascending order goes
     * on from here. */
    size_t cursor;
    uint32_t cursor_index;
    char bytes[HYPERLOGLOG_SPARSE_SIZE_MAX];
};

/* An empty sparse value, whose count is stale. */
void hyperloglog_begin_empty(struct hyperloglog_draft *ret_draft);
/* A copy of a value of a kind other than NONE. False: it is too long to be sound. */
bool hyperloglog_begin_copy(struct hyperloglog_draft *ret_draft, struct slice value);

/* Raises a register to the rank. A sparse value becomes dense when it would grow over `sparse_size_max` bytes (the header
 * included) or when the rank is over 32. CHANGED: the count is stale now. CORRUPT: nothing has changed. */
enum hyperloglog_change hyperloglog_raise(struct hyperloglog_draft *draft, struct hyperloglog_place place,
                                          size_t sparse_size_max);

/* Makes a sparse value dense; the header's count stays. False: it is corrupt, nothing has changed. */
bool hyperloglog_expand(struct hyperloglog_draft *draft);

/* ---- Checking ---------------------------------------------------------------------------------------------------- */

/* Counts a few thousand elements sparse, dense and folded, and reads what it has written. NULL when all is right, else what
 * is not. */
const char *hyperloglog_self_test(void);

#endif
