/* Replies of a server that speaks RESP2 or RESP3, as a stream of items without a copy, or as a tree.
 *
 * Principal entry points: skua_reader_new, skua_reader_feed, skua_reader_next, skua_reader_tree, skua_reply_free.
 * The reader knows no sockets: bytes go in, items or trees come out. Whoever uses a connection (client.h) meets
 * only struct skua_reply and struct skua_item.
 * Threads: one at a time for a reader; a tree belongs to whoever holds it, and may be freed by another thread as long
 * as the allocator's functions allow that (the default ones do).
 * The bytes are not trusted: lengths, nesting and memory are limited before anything is allocated for them. */
#ifndef SKUA_REPLY_H
#define SKUA_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skua/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The kinds of values. Those of RESP3 never come from a connection that speaks RESP2; a null of RESP2 (null bulk
 * string or null array) is a SKUA_NULL too. */
enum skua_type {
    SKUA_STRING = 1, /* bulk string: any bytes */
    SKUA_STATUS,     /* simple string, such as OK */
    SKUA_ERROR,      /* simple or bulk error; the first word is its code, such as WRONGTYPE */
    SKUA_INTEGER,
    SKUA_NULL,
    SKUA_ARRAY,
    SKUA_DOUBLE,
    SKUA_BOOL,
    SKUA_BIG_NUMBER, /* decimal digits as a string */
    SKUA_VERBATIM,   /* a string with a format of three letters, such as txt */
    SKUA_MAP,        /* element_count counts keys and values: a map of two pairs has four elements */
    SKUA_SET,
    SKUA_PUSH,      /* out of order: messages, invalidations, monitor lines */
    SKUA_ATTRIBUTE, /* as a map; facts about the value that follows it, at the same depth */
};

/* Memory for what the library allocates. All three or none; they are called with `context` as given. `resize` gets
 * NULL for a new block. They must return memory aligned as malloc does, or NULL, which the library survives. */
struct skua_allocator {
    void *(*allocate)(void *context, size_t size);
    void *(*resize)(void *context, void *block, size_t size);
    void (*release)(void *context, void *block);
    void *context;
};

/* What a server may make us hold. A reply beyond a limit is SKUA_ERR_LIMIT, and the stream cannot go on.
 * Zero means the default. */
struct skua_limits {
    size_t string_max;  /* bytes of one string; 512 MB */
    size_t element_max; /* elements of one aggregate; 2^28 */
    size_t reply_max;   /* bytes that one reply occupies on the wire; 4 GB */
    unsigned depth_max; /* nesting of aggregates; 32, at most SKUA_DEPTH_MAX */
};
#define SKUA_DEPTH_MAX 128u

/* ---- Trees ------------------------------------------------------------------------------------------------ */

/* One value. A whole reply is few allocations, however many elements it has; only the root is freed.
 *
 * | type                                  | what holds the value                                          |
 * |---------------------------------------|---------------------------------------------------------------|
 * | STRING STATUS ERROR BIG_NUMBER        | string[0 .. length), and a zero byte behind it                |
 * | VERBATIM                              | the same, and format                                          |
 * | INTEGER, BOOL (0 or 1)                | integer                                                       |
 * | DOUBLE                                | number, and string and length with the text as the server sent it |
 * | ARRAY MAP SET PUSH                    | elements[0 .. element_count)                                  |
 * | NULL                                  | nothing                                                       |
 * Fields that a type does not use are zero. */
struct skua_reply {
    enum skua_type type;
    char format[4]; /* of VERBATIM, with a zero byte; otherwise empty */
    int64_t integer;
    double number;
    size_t length;
    const char *string;
    size_t element_count;
    struct skua_reply *elements;
    const struct skua_reply *attributes; /* a value of type SKUA_ATTRIBUTE, or NULL */
};

/* Frees a whole reply; NULL is allowed. Only for roots, never for an element of one. */
void skua_reply_free(struct skua_reply *reply);

/* ---- Items ------------------------------------------------------------------------------------------------ */

/* One step through a reply. Aggregates are announced with their size; their elements follow as items of their own,
 * one deeper. Strings point into the reader's buffer and are valid until the next call on the reader. */
struct skua_item {
    enum skua_type type;
    unsigned depth;       /* 0 for a value that is a reply by itself (or a push, or an attribute of one) */
    bool last;            /* the reply is complete with this item */
    char format[4];       /* of VERBATIM */
    int64_t integer;      /* INTEGER, BOOL */
    double number;        /* DOUBLE */
    const char *string;   /* STRING STATUS ERROR BIG_NUMBER VERBATIM DOUBLE: not terminated */
    size_t length;        /* bytes at `string` */
    size_t left;          /* bytes of this string that are still to come: only with skua_reader_set_parts */
    size_t element_count; /* aggregates: items one deeper that follow, a map's keys and values both counted */
};

struct skua_reader;

/* A reader with its own buffer. `limits` and `allocator` may be NULL; both are copied. NULL without memory. */
struct skua_reader *skua_reader_new(const struct skua_limits *limits, const struct skua_allocator *allocator);
void skua_reader_free(struct skua_reader *reader);

/* Adds bytes behind those that the reader has. SKUA_ERR_MEMORY adds none. Invalidates items. Once an error has ended
 * the stream nothing is added, and the answer is that error. */
enum skua_status skua_reader_feed(struct skua_reader *reader, const void *bytes, size_t size);

/* The same without a copy: at least `size` writable bytes at *ret_space, *ret_capacity of them in all, then
 * skua_reader_commit with how many were written. Invalidates items. SKUA_ERR_MEMORY leaves the outputs as they are. */
enum skua_status skua_reader_reserve(struct skua_reader *reader, size_t size, char **ret_space,
                                     size_t *ret_capacity);
void skua_reader_commit(struct skua_reader *reader, size_t size);

/* Asked after SKUA_AGAIN: how many more bytes are certainly needed before skua_reader_next or skua_reader_tree can answer other than
 * SKUA_AGAIN: 1 when that is not known, the rest of a long string while one is under way. */
size_t skua_reader_wanted(const struct skua_reader *reader);
/* Bytes that were fed and not yet used. */
size_t skua_reader_pending(const struct skua_reader *reader);

/* The next item. SKUA_OK; SKUA_AGAIN: feed more; SKUA_ERR_PROTOCOL, _LIMIT, _MEMORY: skua_reader_error has the text,
 * and every later call answers the same. A string is given whole, unless parts are on. SKUA_ERR_USE: a tree is under
 * way. A push inside of a reply is SKUA_ERR_PROTOCOL, and so are the streamed forms of RESP3 ($? and *?). */
enum skua_status skua_reader_next(struct skua_reader *reader, struct skua_item *ret_item);

/* With parts on, strings longer than what has arrived come in pieces: items of the same type and depth with `left`
 * > 0, the last one with 0, so that a value of any size passes through a small buffer. Not within a tree. */
void skua_reader_set_parts(struct skua_reader *reader, bool on);

/* The next whole reply as a tree, to be freed with skua_reply_free. Must be called at the start of a reply (not after
 * skua_reader_next gave a part of it: SKUA_ERR_USE). Other results as skua_reader_next. Attributes hang at the value
 * that they precede; where there are several, each has the one before it as its own `attributes`. A tree's memory is
 * bounded by the bytes that really arrived, not by announced sizes: they stay in the reader until the tree is made. */
enum skua_status skua_reader_tree(struct skua_reader *reader, struct skua_reply **ret_reply);

/* Text of the error that ended the stream, empty when there is none. Valid as long as the reader. */
const char *skua_reader_error(const struct skua_reader *reader);
/* Forgets bytes, progress and error, for a new stream. */
void skua_reader_reset(struct skua_reader *reader);

#ifdef __cplusplus
}
#endif

#endif
