/* Pieces of Redis's format, written behind what a buffer has: lengths, strings, listpacks.
 *
 * Principal entry points: rdb_write_length, rdb_write_string, rdb_write_element, listpack_begin.
 * The buffer must have room for what is written, or growing may be fatal: who writes what clients chose reserves it first
 * (buf_try_reserve) from the bounds that stand here.
 * Threads: any; one for each buffer. */
#ifndef SKUA_RDB_WRITE_H
#define SKUA_RDB_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "ds/element.h"
#include "rdb/lzf.h"

#define RDB_LENGTH_SIZE_MAX 9

void rdb_write_length(struct buf *out, uint64_t length);

/* Strings shorter than this are not compressed: it would not save anything. */
#define RDB_COMPRESS_MIN 21

/* A string of at most this many bytes takes at most so many. */
ALWAYS_INLINE size_t rdb_string_size_max(size_t size)
{
    return size + RDB_LENGTH_SIZE_MAX;
}

/* Writes an integer as a string, in as few bytes as the format has for it. At most 21 bytes. */
void rdb_write_int(struct buf *out, int64_t value);

/* Writes a string: as an integer if it is one, compressed if `memory` is given and that makes it shorter, or as it is. */
void rdb_write_string(struct buf *out, struct slice string, struct lzf_memory *memory);
/* The same for an element. */
void rdb_write_element(struct buf *out, struct element element, struct lzf_memory *memory);

void rdb_write_double(struct buf *out, double value);
/* A number of 8 bytes, little endian. */
void rdb_write_u64(struct buf *out, uint64_t value);

/* ---- Listpacks --------------------------------------------------------------------------------------------- */

/* A listpack that is being written. */
struct listpack {
    struct buf *out;
    size_t start;
    uint32_t count;
};

/* A listpack entry takes at most so many bytes more than its text. */
#define LISTPACK_ENTRY_EXTRA_MAX 10
/* What an integer takes at most. */
#define LISTPACK_INT_SIZE_MAX 10

void listpack_begin(struct listpack *pack, struct buf *out);
void listpack_add_int(struct listpack *pack, int64_t value);
/* Text that is no integer. */
void listpack_add_text(struct listpack *pack, struct slice text);
void listpack_add(struct listpack *pack, struct element element);
/* As Redis does: as an integer where the score is one. */
void listpack_add_score(struct listpack *pack, double score);
/* All of it must be below 4 GB. */
void listpack_end(struct listpack *pack);

/* What stands before and behind the text of an entry, for a text that is written in steps. Both return their size. */
size_t listpack_head(uint8_t bytes[static 5], size_t text_size);
size_t listpack_tail(uint8_t bytes[static 5], size_t entry_size);
/* A listpack's header: of `size` bytes, with its frame. */
void listpack_header(uint8_t bytes[static 6], size_t size, uint32_t count);

#endif
