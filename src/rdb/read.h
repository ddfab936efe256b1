/* Pieces of Redis's format, read from bytes that are not trusted: lengths, strings, numbers.
 *
 * Principal entry points: rdb_reader_init, rdb_read_length, rdb_read_text.
 * The bytes are all at hand, or come in pieces (struct rdb_pieces). Then what a text refers to goes with its piece as soon as
 * something else is read: whoever needs a text for longer holds it meanwhile (rdb_hold).
 * Threads: any; one for each reader. */
#ifndef SKUA_RDB_READ_H
#define SKUA_RDB_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bug.h"
#include "base/num.h"
#include "base/slice.h"
#include "base/status.h"

struct rdb_reader;
struct rdb_text;

#define RDB_HOLDS_MAX 4

/* Where bytes come from in pieces. */
struct rdb_pieces {
    void *context;
    /* Puts the next piece, which has a byte at least, into `at` and `end` of a reader that has read all of the one before. Takes as
     * long as it likes. False: there is none. */
    bool (*more)(void *context, struct rdb_reader *reader);
    uint64_t to_come; /* bytes behind this piece, at most; UINT64_MAX: not known */
    bool no_memory;   /* something could not be read for that reason */
    bool is_short;    /* something says that it is longer than what can still come */
    /* The reader's own. */
    struct rdb_text *held[RDB_HOLDS_MAX];
    unsigned held_count;
    char *joined; /* what lies in more than one piece, together */
    size_t joined_capacity;
};

/* What is not read yet. */
struct rdb_reader {
    const uint8_t *at, *end;
    uint64_t text_max;         /* no text is longer */
    struct rdb_pieces *source; /* of what follows; NULL: nothing follows */
};

void rdb_reader_init(struct rdb_reader *reader, struct slice bytes, uint64_t text_max);

ALWAYS_INLINE size_t rdb_left(const struct rdb_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

/* Bytes that can still come, in this piece and behind it; UINT64_MAX: not known. */
ALWAYS_INLINE uint64_t rdb_to_come(const struct rdb_reader *reader)
{
    uint64_t to_come = reader->source != NULL ? reader->source->to_come : 0;
    return to_come <= UINT64_MAX - rdb_left(reader) ? to_come + rdb_left(reader) : UINT64_MAX;
}

/* Whether so many bytes can still come; what needs more is not sound, or has been cut. */
ALWAYS_INLINE bool rdb_can_come(struct rdb_reader *reader, uint64_t size)
{
    if (likely(size <= rdb_to_come(reader)))
        return true;
    if (reader->source != NULL)
        reader->source->is_short = true;
    return false;
}

/* Gives back what the source holds for the reader. */
void rdb_pieces_done(struct rdb_pieces *source);

/* ST_INVALID: the bytes end, or say that a string follows that is no plain one. */
enum status rdb_read_length(struct rdb_reader *reader, uint64_t *ret_length);
/* The same for a number of things of which each takes a byte at least: no larger than what can still come. */
enum status rdb_read_count(struct rdb_reader *reader, uint64_t *ret_count);

/* The next `size` bytes, into `out`. */
enum status rdb_read_bytes(struct rdb_reader *reader, char *out, size_t size);
/* Passes them by. */
enum status rdb_skip_bytes(struct rdb_reader *reader, uint64_t size);
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
    struct slice bytes;   /* in the reader's, once they have been read */
    uint64_t stored_size; /* how many there are: no more than can still come */
    uint64_t size;        /* of the text: the bytes can make as many, and it is no longer than text_max */
};

/* What stands before the bytes. ST_INVALID: it ends, or promises what cannot be. */
enum status rdb_read_head(struct rdb_reader *reader, struct rdb_stored *ret_stored);
/* The bytes; but for a compressed text or one that is to stay in the reader's bytes, rdb_read_bytes does as well. */
enum status rdb_read_body(struct rdb_reader *reader, struct rdb_stored *stored);
/* Both. */
enum status rdb_read_stored(struct rdb_reader *reader, struct rdb_stored *ret_stored);

/* The text. ST_INVALID; ST_NOMEM: memory for what was compressed was refused. */
enum status rdb_text_set(struct rdb_text *text, const struct rdb_stored *stored);

/* Both in one. */
enum status rdb_read_text(struct rdb_reader *reader, struct rdb_text *text);
void rdb_text_set_int(struct rdb_text *text, int64_t value);
void rdb_text_done(struct rdb_text *text);

/* From here to rdb_release the text stays valid while other things are read. Holds are released in the opposite order. */
ALWAYS_INLINE void rdb_hold(struct rdb_reader *reader, struct rdb_text *text)
{
    struct rdb_pieces *source = reader->source;
    if (source == NULL)
        return;
    ASSERT(source->held_count < RDB_HOLDS_MAX);
    source->held[source->held_count++] = text;
}

ALWAYS_INLINE void rdb_release(struct rdb_reader *reader, const struct rdb_text *text)
{
    struct rdb_pieces *source = reader->source;
    if (source == NULL)
        return;
    ASSERT(source->held[source->held_count - 1] == text);
    source->held_count--;
}

/* A score as old versions wrote it: a text behind its size. May be NaN. */
enum status rdb_read_score_text(struct rdb_reader *reader, double *ret_score);

#endif
