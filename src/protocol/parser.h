/* Finds complete requests in a connection's bytes: RESP arrays of bulk strings, and inline commands.
 *
 * Principal entry points: parser_init, parser_next.
 * Nothing is copied: arguments are slices of the caller's buffer (inline commands with quotes are unescaped in
 * place). The parser remembers how far it came by offsets from the request's first byte, so the caller may move
 * an incomplete request to another buffer between two calls.
 * Threads: the owner of the connection. The bytes are not trusted.
 *
 * P1  argument n is complete only when parser_next said PARSER_REQUEST; slices are then valid until the
 *     caller reuses the buffer.
 * P2  Memory: sizeof(struct parser_arg) for each argument that has really arrived, never for announced ones. */
#ifndef SKUA_PROTOCOL_PARSER_H
#define SKUA_PROTOCOL_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define PARSER_INLINE_MAX ((size_t)64 << 10) /* longest inline command and longest length line */

struct parser_limits {
    int64_t bulk_max;      /* proto-max-bulk-len */
    int64_t multibulk_max; /* arguments of one request */
    bool authenticated;    /* otherwise: 10 arguments of 16384 bytes, as Redis */
};

enum parser_result {
    PARSER_REQUEST,   /* one complete request; *ret_size bytes belong to it (argc may be 0: empty line) */
    PARSER_NEED_MORE, /* incomplete: *ret_size is a lower bound of the bytes the request will have in all */
    PARSER_ERROR,     /* *ret_error: text for the client without '-' and CRLF; the connection must be closed */
};

struct parser {
    /* Progress inside the current request. */
    uint32_t phase;
    int64_t args_left;  /* bulk strings still to come */
    int64_t bulk_size;  /* length of the one under way, -1 when its header is not complete */
    size_t position;    /* bytes of the request that have been understood */
    size_t scanned;     /* bytes behind `position` that hold no line end */
    /* Arguments found so far, as offsets; owned by the parser and reused. */
    struct parser_arg *args;
    uint32_t arg_count;
    uint32_t arg_capacity;
};

struct parser_arg {
    size_t offset;
    size_t size;
};

void parser_init(struct parser *parser);
void parser_done(struct parser *parser);

/* `bytes` is the first byte of the current request, `size` what has arrived of it and behind it. After
 * PARSER_REQUEST the arguments are parser->args[0 .. arg_count) relative to `bytes`, and the next call starts a
 * new request. The text of an error stays valid until the next call. Bytes may be unescaped in place. */
enum parser_result parser_next(struct parser *parser, char *bytes, size_t size, const struct parser_limits *limits,
                               size_t *ret_size, const char **ret_error);

#endif
