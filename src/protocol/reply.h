/* Writes replies: typed values of RESP2 or RESP3 into a list of chunks.
 *
 * Principal entry points: reply_bulk, reply_int, reply_array, reply_error, reply_status.
 * Each call writes one value (aggregate calls write the header; the caller writes the elements). What RESP2
 * lacks is written as Redis does: maps as flat arrays, sets and pushes as arrays, doubles as bulk strings,
 * booleans as integers, null as $-1.
 * Threads: one at a time; a reply may be handed to another thread whole.
 *
 * R1  cursor != NULL <=> the list's last chunk is open: [cursor, limit) is its free space, and its `end` and
 *     list.bytes may lag behind the cursor.
 * R2  bytes written since reply_init (less those rolled back and taken) == reply_size. */
#ifndef SKUA_PROTOCOL_REPLY_H
#define SKUA_PROTOCOL_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/chunk.h"
#include "base/copy.h"
#include "base/macros.h"
#include "base/slice.h"

#define REPLY_ERROR_CODE_MAX 32
#define REPLY_ERROR_MAX      4096 /* longest text of an error; the rest is cut off */

struct reply {
    char *cursor; /* next free byte, NULL when there is no chunk yet */
    char *limit;
    struct chunk_list list; /* list.bytes lags behind while a chunk is open: use reply_size */
    struct chunk_pool *pool;
    uint8_t resp;                          /* 2 or 3 */
    uint32_t error_count;                  /* errors written since reply_init */
    char error_code[REPLY_ERROR_CODE_MAX]; /* first word of the last error */
};

/* `pool` must outlive the reply. `resp` is 2 or 3; it may be changed later by assignment. */
void reply_init(struct reply *reply, struct chunk_pool *pool, int resp);
/* Drops what was written. */
void reply_clear(struct reply *reply);
/* The same of what may be long (chunk_list_drop). */
void reply_drop(struct reply *reply, struct worker_pool *workers);

/* Hands the reply an empty chunk to write into, instead of one from its pool. Only while cursor is NULL. */
void reply_give_chunk(struct reply *reply, struct chunk *chunk);

/* Adds a chunk with bytes in it; what is written afterwards follows them. */
void reply_add_chunk(struct reply *reply, struct chunk *chunk);

/* Moves everything written to the end of `to`; the reply is empty afterwards and can be used on. */
void reply_take(struct reply *reply, struct chunk_list *to);

/* Moves everything written into `from` behind what was written into `to`; `from` can be used on. */
void reply_move(struct reply *to, struct reply *from);

static inline bool reply_is_empty(const struct reply *reply)
{
    return reply->list.head == NULL;
}

uint64_t reply_size(const struct reply *reply);

/* ---- Place marks ---------------------------------------------------------------------------------- */

/* For taking back what a command wrote (CLIENT REPLY OFF). Valid until reply_take. */
struct reply_mark {
    struct chunk *chunk;
    uint64_t end;
};
struct reply_mark reply_mark(const struct reply *reply);
void reply_rollback(struct reply *reply, struct reply_mark mark);

/* Moves what was written since `mark` into `ret_rest`, a new reply that goes on where this one was; aggregates that were opened
 * since stay open there. */
void reply_split(struct reply *reply, struct reply_mark mark, struct reply *ret_rest);

/* ---- Raw ------------------------------------------------------------------------------------------ */

NO_INLINE void reply_raw_slow(struct reply *reply, const void *bytes, size_t size);

ALWAYS_INLINE void reply_raw(struct reply *reply, const void *bytes, size_t size)
{
    if (likely((size_t)(reply->limit - reply->cursor) >= size)) {
        if (size > 0)
            memcpy(reply->cursor, bytes, size);
        reply->cursor += size;
        return;
    }
    reply_raw_slow(reply, bytes, size);
}

#define reply_literal(reply, text) reply_raw(reply, "" text, sizeof(text) - 1)

/* ---- Values --------------------------------------------------------------------------------------- */

ALWAYS_INLINE void reply_ok(struct reply *reply)
{
    reply_literal(reply, "+OK\r\n");
}

/* "+text\r\n"; the text must not hold line ends. */
void reply_status(struct reply *reply, const char *text);

/* "-text\r\n": `format` begins with the error code ("ERR ", "WRONGTYPE "). Line ends in it become spaces;
 * zero bytes end an argument of %.*s. */
void reply_error(struct reply *reply, const char *format, ...) PRINTF_LIKE(2, 3);

void reply_int(struct reply *reply, int64_t value);

#define REPLY_SHORT_MAX  99 /* bytes of a string whose size has two digits */
#define REPLY_SHORT_ROOM (REPLY_SHORT_MAX + 8)

/* Opens another chunk to write into. */
NO_INLINE void reply_open_chunk(struct reply *reply);

/* A bulk string of at most REPLY_SHORT_MAX bytes, for loops over many: "$12\r\n" is one number that is stored at once. */
ALWAYS_INLINE void reply_bulk_short(struct reply *reply, const char *data, size_t size)
{
    if (unlikely((size_t)(reply->limit - reply->cursor) < REPLY_SHORT_ROOM))
        reply_open_chunk(reply);
    char *at = reply->cursor;
    uint64_t tens = size * 205 >> 11; /* size / 10 */
    uint64_t digits = tens == 0 ? '0' + size : ('0' + tens) | ('0' + size - 10 * tens) << 8;
    unsigned digits_size = tens == 0 ? 1 : 2;
    uint64_t head = '$' | digits << 8 | (uint64_t)('\r' | '\n' << 8) << 8 * (digits_size + 1);
    memcpy(at, &head, sizeof head); /* some bytes too many, where the string will be */
    at += digits_size + 3;
    copy_short(at, data, size);
    at[size] = '\r';
    at[size + 1] = '\n';
    reply->cursor = at + size + 2;
}

void reply_bulk(struct reply *reply, struct slice value);
void reply_bulk_string(struct reply *reply, const char *value);
/* An integer as a bulk string. */
void reply_bulk_int(struct reply *reply, int64_t value);

/* A bulk string whose bytes are not copied: takes over one reference of `owner`. Worth it from some KB on: it
 * costs two chunks. */
void reply_bulk_pinned(struct reply *reply, struct slice value, void (*release)(void *owner), void *owner);

void reply_null(struct reply *reply);       /* RESP2 $-1 */
void reply_null_array(struct reply *reply); /* RESP2 *-1 */
void reply_bool(struct reply *reply, bool value);
void reply_double(struct reply *reply, double value);
/* A double, too, with up to 17 digits behind the point and never an exponent. */
void reply_long_double(struct reply *reply, long double value);
/* `format` is three letters ("txt", "mkd"); RESP2: a bulk string. */
void reply_verbatim(struct reply *reply, const char *format, struct slice value);
void reply_big_number(struct reply *reply, struct slice digits);

void reply_array(struct reply *reply, uint64_t count);
void reply_map(struct reply *reply, uint64_t pairs);
void reply_set(struct reply *reply, uint64_t count);
void reply_push(struct reply *reply, uint64_t count);
/* RESP3 only: RESP2 has nothing to put in its place. */
void reply_attribute(struct reply *reply, uint64_t pairs);

/* ---- Aggregates whose length is known only at the end --------------------------------------------- */

enum reply_kind { REPLY_ARRAY, REPLY_MAP, REPLY_SET };

/* Opens an aggregate; write the elements, then close it with their number. Nesting is allowed; the innermost
 * is closed first. No reply_take in between. */
struct reply_open {
    struct chunk *chunk; /* holds a gap for the header */
    uint64_t offset;     /* of the gap in the chunk's memory */
};
struct reply_open reply_open(struct reply *reply);
void reply_close(struct reply *reply, struct reply_open open, enum reply_kind kind, uint64_t count);

#endif
