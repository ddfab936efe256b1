/* What can be done with the value of a string entry, whatever its encoding.
 *
 * Principal entry points: string_size, string_get_i64, string_edit_begin.
 * Knows entries and memory, nothing of clients, commands and replies.
 * Threads: executor only. */
#ifndef SKUA_TYPES_STRING_H
#define SKUA_TYPES_STRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "keyspace/entry.h"

/* A large string that grows again gets as much spare room as it is long, up to this. */
#define STRING_SPARE_MAX ((size_t)64 << 20)

/* Bytes of the value; `entry` NULL has none. */
size_t string_size(const struct entry *entry);

/* The value as an integer, if it is one in the strict sense of num_parse_i64. */
bool string_get_i64(const struct entry *entry, int64_t *ret_value);
bool string_get_long_double(const struct entry *entry, long double *ret_value);

/* The positions [*ret_first, *ret_last] that `start` and `end` mean in a value of `size` units: negative ones count
 * from the end, and both are moved into the value. False when nothing lies between them. */
bool string_resolve_range(uint64_t size, int64_t start, int64_t end, uint64_t *ret_first, uint64_t *ret_last);

/* The bytes from `start` to `end`, both included, as GETRANGE counts them. Empty when there are none. */
struct slice string_range(struct slice value, int64_t start, int64_t end);

/* ---- Editing -------------------------------------------------------------------------------------- */

/* A value that is being edited: write into data[0 .. size), then publish `entry` if there is one. */
struct string_edit {
    char *data;
    size_t size;
    size_t size_before;  /* bytes from here on are zero */
    struct entry *entry; /* a new entry that nobody has seen yet, owned by the caller; NULL: the edit happens
                            in the block of the old one, which stays where it is */
};

/* Makes the value of `old` (NULL: no value yet) writable and at least `size_min` bytes long; what it had is
 * kept, new bytes are zero. Key and options are for the new entry. In place only where nobody else can see
 * it: a large string with one reference and room. ST_NOMEM: nothing has changed. */
enum status string_edit_begin(struct heap *heap, struct entry *old, struct slice key, size_t size_min,
                              const struct entry_options *options, struct string_edit *ret_edit);

#endif
