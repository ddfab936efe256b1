/* Finds complete requests in a connection's bytes: RESP arrays of bulk strings, and inline commands.
 *
 * Principal entry points: parser_init, parser_next; parser_take_plain for most requests.
 * Nothing is copied: arguments are slices of the caller's buffer (inline commands with quotes are unescaped
 * in place). The parser remembers how far it came by offsets from the request's first byte, so the caller may
 * move an incomplete request to another buffer between two calls. Threads: the owner of the connection. The
 * bytes are not trusted.
 *
 * P1  argument n is complete only when parser_next said PARSER_REQUEST; slices are then valid until the
 *     caller reuses the buffer.
 * P2  Memory: at most twice sizeof(struct parser_arg) for each argument that has really arrived, never for
 *     announced ones.
 * P3  The result does not depend on how the bytes were split between calls. */
#ifndef SKUA_PROTOCOL_PARSER_H
#define SKUA_PROTOCOL_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/slice.h"

#define PARSER_INLINE_MAX ((size_t)64 << 10) /* longest inline command and longest length line */
#define PARSER_ARGS_KEEP  1024               /* memory for more arguments is given back after the request */

#define PARSER_UNAUTHENTICATED_ARGS 10
#define PARSER_UNAUTHENTICATED_BULK 16384

struct parser_limits {
    int64_t bulk_max;      /* proto-max-bulk-len */
    int64_t multibulk_max; /* arguments of one request; INT32_MAX at most */
    bool authenticated;    /* otherwise PARSER_UNAUTHENTICATED_ARGS and _BULK hold too, as in Redis */
};

enum parser_result {
    PARSER_REQUEST,   /* one complete request; *ret_size bytes belong to it (argc may be 0: empty line) */
    PARSER_NEED_MORE, /* incomplete: *ret_size is a lower bound of the bytes the request will have in all; it
                         covers the bulk string under way with its line end, whatever its size */
    PARSER_ERROR, /* *ret_error: one line for the client, with its code ("ERR Protocol error: …") and without '-' and
                     line end; the connection must be closed */
};

/* What the next byte of the request belongs to.
 *
 * | from  | to    | when                                              | by             |
 * |-------|-------|---------------------------------------------------|----------------|
 * | START | ARGS  | "*n" with n > 0 was read                          | read_count     |
 * | START | START | an inline command, or "*n" with n <= 0, is whole  | parser_next    |
 * | ARGS  | START | the last bulk string is whole                     | read_arguments |
 */
enum parser_phase {
    PARSER_START, /* nothing but perhaps a part of the first line has been seen */
    PARSER_ARGS,  /* args_left > 0 bulk strings are to come */
};

struct parser {
    /* Progress inside the current request. */
    enum parser_phase phase;
    int64_t args_left; /* bulk strings still to come */
    int64_t bulk_size; /* length of the one under way, -1 when its header is not complete */
    size_t position;   /* bytes of the request that have been understood */
    size_t scanned;    /* bytes behind `position` that hold no line end */
    /* Arguments found so far, as offsets; owned by the parser and reused. */
    struct parser_arg *args;
    uint32_t arg_count;
    uint32_t arg_capacity;
    char error[48]; /* text of an error that names a byte of the input */
};

struct parser_arg {
    size_t offset;
    size_t size;
};

void parser_init(struct parser *parser);
void parser_done(struct parser *parser);

/* `bytes` is the first byte of the current request, `size` what has arrived of it and behind it (never less
 * than in the call before for the same request). After PARSER_REQUEST the arguments are parser->args[0 ..
 * arg_count) relative to `bytes`, and the next call starts a new request at bytes + *ret_size. The text of an
 * error stays valid until the next call; after an error the parser may only be done. Bytes may be unescaped
 * in place. */
enum parser_result parser_next(struct parser *parser, char *bytes, size_t size,
                               const struct parser_limits *limits, size_t *ret_size, const char **ret_error);

/* ---- Most requests --------------------------------------------------------------------------------- */

#define PARSER_PLAIN_ARGS 99  /* two digits */
#define PARSER_PLAIN_BULK 999 /* three digits */
#define PARSER_BULK_MIN   6   /* "$0\r\n\r\n" */

/* The value of a digit; more than 9 for any other byte. */
ALWAYS_INLINE uint32_t parser_digit(char c)
{
    return (uint32_t)(unsigned char)c - '0';
}

/* Reads the header of a bulk string of at least PARSER_BULK_MIN bytes at `at`. Lengths of one to three digits are most of all, so
 * they are spelt out. Returns where the value begins; NULL when the header is another. */
ALWAYS_INLINE const char *parser_plain_header(const char *at, size_t *ret_length)
{
    if (unlikely(at[0] != '$'))
        return NULL;
    uint32_t length = parser_digit(at[1]);
    if (at[2] == '\r') {
        *ret_length = length;
        return likely(length <= 9) ? at + 4 : NULL;
    }
    uint32_t second = parser_digit(at[2]);
    if (unlikely(length - 1 > 8 || second > 9)) /* no leading zero */
        return NULL;
    length = length * 10 + second;
    *ret_length = length;
    if (likely(at[3] == '\r'))
        return at + 5;
    uint32_t third = parser_digit(at[3]);
    *ret_length = length * 10 + third;
    return likely(third <= 9 && at[4] == '\r') ? at + 6 : NULL;
}

/* Whether parser_take_plain may be asked: it knows of no limits, of no request that has been begun, and of no memory to be given back. */
ALWAYS_INLINE bool parser_may_take_plain(const struct parser *parser, const struct parser_limits *limits)
{
    return parser->phase == PARSER_START && parser->scanned == 0 &&
           parser->arg_capacity <= PARSER_ARGS_KEEP && limits->bulk_max >= PARSER_PLAIN_BULK &&
           limits->multibulk_max >= PARSER_PLAIN_ARGS && limits->authenticated;
}

/* `count` bulk strings of at most PARSER_PLAIN_BULK bytes each, the first at `at`. Writes their values and returns where they end; NULL
 * when one is another, or not all here. */
ALWAYS_INLINE const char *parser_take_plain_bulks(const char *at, const char *end, struct slice *ret_values,
                                                  uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t length;
        if (unlikely(end - at < PARSER_BULK_MIN))
            return NULL;
        const char *value = parser_plain_header(at, &length);
        if (unlikely(value == NULL || (size_t)(end - value) < length + 2))
            return NULL;
        ret_values[i] = slice_make(value, length);
        at = value + length + 2;
    }
    return at;
}

/* The most usual of requests in one go: an array of at most PARSER_PLAIN_ARGS bulk strings, each of at most PARSER_PLAIN_BULK bytes, all of
 * them here. Writes its arguments, at most `args_max`, and their number, and returns its size, as parser_next would. 0: it is not like that,
 * or not a request at all; that is for parser_next to say. */
ALWAYS_INLINE size_t parser_take_plain(const char *bytes, size_t size, struct slice *ret_args,
                                       uint32_t args_max, uint32_t *ret_count)
{
    const char *at = bytes + 4;
    if (unlikely(size < 5 || bytes[0] != '*'))
        return 0;
    uint32_t count = parser_digit(bytes[1]);
    if (unlikely(bytes[2] != '\r')) {
        uint32_t second = parser_digit(bytes[2]);
        if (count - 1 > 8 || second > 9 || bytes[3] != '\r')
            return 0;
        count = count * 10 + second;
        at++;
    } else if (unlikely(count > 9)) {
        return 0;
    }
    if (unlikely(count - 1 >= args_max))
        return 0;
    const char *end = parser_take_plain_bulks(at, bytes + size, ret_args, count);
    if (unlikely(end == NULL))
        return 0;
    *ret_count = count;
    return (size_t)(end - bytes);
}

#endif
