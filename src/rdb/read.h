/* Pieces of Redis's format, read from bytes that are not trusted: lengths, strings, numbers.
 *
 * Principal entry points: rdb_reader_init, rdb_read_length, rdb_read_text.
 * Threads: any; one for each reader. */
#ifndef SKUA_RDB_READ_H
#define SKUA_RDB_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/num.h"
#include "base/slice.h"
#include "base/status.h"

/* What is not read yet. */
struct rdb_reader {
    const uint8_t *at, *end;
    uint64_t text_max; /* no text is longer */
};

void rdb_reader_init(struct rdb_reader *reader, struct slice bytes, uint64_t text_max);

ALWAYS_INLINE size_t rdb_left(const struct rdb_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

/* ST_INVALID: the bytes end, or say that a string follows that is no plain one. */
enum status rdb_read_length(struct rdb_reader *reader, uint64_t *ret_length);
/* The same for a number of things of which each takes a byte at least: no larger than what is left. */
enum status rdb_read_count(struct rdb_reader *reader, uint64_t *ret_count);

enum status rdb_read_byte(struct rdb_reader *reader, uint8_t *ret_byte);
/* 8 bytes, little endian. */
enum status rdb_read_u64(struct rdb_reader *reader, uint64_t *ret_value);

/* A string that was read, and what it is kept in. Zeroed at first; may be read into again and again. */
struct rdb_text {
    struct slice slice; /* in the reader's bytes, in `digits` or in `block` */
    char digits[NUM_I64_TEXT_MAX];
    char *block; /* of what was compressed */
    size_t capacity;
};

/* A string as it is written: a number, or bytes, which may be compressed. */
struct rdb_stored {
    bool is_int;
    bool is_compressed;
    int64_t number;
    struct slice bytes; /* in the reader's */
    uint64_t size;      /* of the text: the bytes are there, and can make as many */
};

/* ST_INVALID: the bytes end, or cannot make what they say. */
enum status rdb_read_stored(struct rdb_reader *reader, struct rdb_stored *ret_stored);

/* The text. ST_INVALID; ST_NOMEM: memory for what was compressed was refused. */
enum status rdb_text_set(struct rdb_text *text, const struct rdb_stored *stored);

/* Both in one. */
enum status rdb_read_text(struct rdb_reader *reader, struct rdb_text *text);
void rdb_text_set_int(struct rdb_text *text, int64_t value);
void rdb_text_done(struct rdb_text *text);

/* A score as old versions wrote it: a text behind its size. May be NaN. */
enum status rdb_read_score_text(struct rdb_reader *reader, double *ret_score);

#endif
