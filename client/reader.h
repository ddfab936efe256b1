/* The inside of a reader, for the files reader*.c, and what a connection may ask of it beyond reply.h.
 *
 * Principal entry points: reader_step, for trees; reader_kept_from, reader_skip, for connections.
 * Threads: as the reader's, one at a time. The bytes in the buffer are not trusted.
 *
 * Where the bytes are:
 *
 *   buffer          start            at                       end                 capacity
 *   | free again    | kept for the   | not yet used           | free              |
 *   |               | tree under way |                        |                   |
 *
 * R1: in TREE start <= at, elsewhere start has no meaning; at <= end <= capacity.
 * R2: the item at `at` is complete only when end - at >= need; 1 <= need. Of an item that is a line the
 *     first need - 1 bytes have no line end in them, so that one which arrives byte by byte is searched once.
 *     Behind a byte that may be wrong need does not reach, but for the two that end a string.
 * R3: levels[0 .. depth) are the aggregates that are open, each with left > 0; depth <= limits.depth_max.
 * R4: used is the number of bytes of the reply under way before `at`; it is 0 between replies, and at most
 *     limits.reply_max.
 * R5: what is found, and what is wrong, is a function of the bytes alone, never of the pieces in which they came. */
#ifndef SKUA_CLIENT_READER_H
#define SKUA_CLIENT_READER_H

#include <stdbool.h>
#include <stddef.h>

#include <skua/reply.h>

#define READER_ERROR_MAX 160

/* | state  | what is under way                     | left by                                                 |
 * |--------|---------------------------------------|---------------------------------------------------------|
 * | ITEMS  | nothing, or a reply item by item      | reader_step: PART; skua_reader_tree: TREE; fail: FAILED |
 * | PART   | a string, some of it was given        | read_part with its last piece: ITEMS; fail: FAILED      |
 * | TREE   | a reply that will be a tree           | skua_reader_tree when it is whole: ITEMS; fail: FAILED  |
 * | FAILED | nothing: `status` and `error` say why | skua_reader_reset: ITEMS                                |
 * skua_reader_reset leads to ITEMS from everywhere. Bytes are trusted in none of them; what reader_step has passed in
 * TREE is known to be well-formed when it is read for the second time. */
enum reader_state {
    READER_ITEMS,
    READER_PART,
    READER_TREE,
    READER_FAILED,
};

/* An aggregate that is open. */
struct reader_level {
    size_t left;    /* items one deeper that are still to come, at least 1 */
    bool attribute; /* its end does not count as an element of the one around it */
};

/* What pass one of a tree found: the space that the tree takes. */
struct reader_tally {
    size_t node_count; /* elements of all aggregates, and attributes */
    size_t byte_count; /* strings with their zero bytes */
};

struct skua_reader {
    enum reader_state state;
    unsigned depth; /* aggregates that are open */
    char *buffer;
    size_t start, at, end, capacity;
    size_t need;
    size_t used;
    struct skua_limits limits; /* none is zero */
    struct reader_level levels[SKUA_DEPTH_MAX];

    bool parts;                /* skua_reader_set_parts */
    struct skua_item part;     /* PART: the piece given last */
    struct reader_tally tally; /* TREE */
    enum skua_status status;   /* FAILED: which */
    struct skua_allocator allocator;
    char error[READER_ERROR_MAX]; /* FAILED: its text, else empty */
};

/* skua_reader_next without regard to parts and trees. In ITEMS and TREE only. */
enum skua_status reader_step(struct skua_reader *reader, struct skua_item *ret_item);

/* Gives up the place of used bytes when no others are there, and a large buffer with it. */
void reader_trim(struct skua_reader *reader);

/* The first byte that must not get lost. */
static inline size_t reader_kept_from(const struct skua_reader *reader)
{
    return reader->state == READER_TREE ? reader->start : reader->at;
}

/* Between replies: the next `size` bytes, at most as many as there are, are no part of a reply and have been used. */
static inline void reader_skip(struct skua_reader *reader, size_t size)
{
    reader->at += size;
    reader->need = 1;
}

/* Ends the stream: FAILED with a text, to which the place in the reply is added. Answers `status`. */
__attribute__((cold, format(printf, 4, 5))) enum skua_status
reader_fail(struct skua_reader *reader, enum skua_status status, size_t offset, const char *format, ...);

/* The text of a double, as RESP3 has it: [+-]digits[.digits][e[+-]digits], [-]inf, [-]nan. False when it is not one. */
bool reader_parse_double(const char *text, size_t size, double *ret_number);

#endif
