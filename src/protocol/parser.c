/* Finds complete requests in bytes: RESP arrays of bulk strings, and inline commands (split in inline.c).
 *
 * Principal entry points: parser_init, parser_done, parser_next.
 * Threads: the owner of the connection.
 * As Redis does, a length line ends at '\r' plus one byte that is not looked at, and so does a bulk string:
 * clients exist that rely on it. */
#include "protocol/parser.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/macros.h"
#include "base/num.h"
#include "protocol/inline.h"

#define ARGS_FIRST_CAPACITY 8

/* Digits of a length that are read without looking for the line's end first; more take the careful path. */
#define FAST_DIGITS_MAX 9

void parser_init(struct parser *parser)
{
    *parser = (struct parser){.phase = PARSER_START, .bulk_size = -1};
}

void parser_done(struct parser *parser)
{
    mem_free(parser->args);
    parser_init(parser);
}

/* ---- Arguments ------------------------------------------------------------------------------------ */

/* Room for one more argument. False when memory is refused. */
static NO_INLINE bool grow_args(struct parser *parser)
{
    uint32_t capacity = parser->arg_capacity == 0 ? ARGS_FIRST_CAPACITY : parser->arg_capacity * 2;
    if (capacity < parser->arg_capacity)
        return false;
    struct parser_arg *args = mem_try_realloc(parser->args, capacity * sizeof(*args));
    if (args == NULL)
        return false;
    parser->args = args;
    parser->arg_capacity = capacity;
    return true;
}

bool parser_push_arg(struct parser *parser, size_t offset, size_t size)
{
    if (unlikely(parser->arg_count == parser->arg_capacity) && !grow_args(parser))
        return false;
    parser->args[parser->arg_count++] = (struct parser_arg){offset, size};
    return true;
}

static COLD void drop_large_args(struct parser *parser)
{
    mem_free(parser->args);
    parser->args = NULL;
    parser->arg_capacity = 0;
}

/* ---- Results -------------------------------------------------------------------------------------- */

static COLD enum parser_result fail(const char *text, const char **ret_error)
{
    *ret_error = text;
    return PARSER_ERROR;
}

static COLD enum parser_result fail_no_memory(const char **ret_error)
{
    return fail("ERR Protocol error: out of memory", ret_error);
}

static COLD enum parser_result fail_expected_bulk(struct parser *parser, char got, const char **ret_error)
{
    if (got == '\r' || got == '\n' || got == '\0')
        got = ' ';
    snprintf(parser->error, sizeof(parser->error), "ERR Protocol error: expected '$', got '%c'", got);
    return fail(parser->error, ret_error);
}

static enum parser_result finish(struct parser *parser, size_t request_size, size_t *ret_size)
{
    parser->phase = PARSER_START;
    parser->position = 0;
    parser->scanned = 0;
    *ret_size = request_size;
    return PARSER_REQUEST;
}

/* ---- Length lines --------------------------------------------------------------------------------- */

/* Reads a length of any usual number of digits whose line has arrived whole, `text` being the byte behind the type
 * byte. Returns where the next line begins; NULL when the line is incomplete or in any way unusual: then
 * read_length_line decides. */
static NO_INLINE const char *read_plain_length(const char *text, const char *end, int64_t *ret_length)
{
    const char *digits_end = text + FAST_DIGITS_MAX;
    const char *at = text;
    int64_t length = 0;
    for (; at < end && at < digits_end && parser_digit(*at) <= 9; at++)
        length = length * 10 + parser_digit(*at);
    bool plain = at != text && (*text != '0' || at == text + 1) && end - at >= 2 && *at == '\r';
    if (!plain)
        return NULL;
    *ret_length = length;
    return at + 2;
}

enum line_state { LINE_READ, LINE_INCOMPLETE, LINE_TOO_LONG, LINE_BAD_NUMBER };

/* The careful way to read a length line at parser->position; remembers how far it looked. `*ret_line_size`
 * includes the line end and is set for LINE_READ and LINE_BAD_NUMBER. */
static NO_INLINE enum line_state read_length_line(struct parser *parser, const char *bytes, size_t size,
                                                  int64_t *ret_length, size_t *ret_line_size)
{
    const char *line = bytes + parser->position;
    size_t present = size - parser->position;
    DEBUG_ASSERT(parser->scanned <= present);
    size_t searched = present < PARSER_INLINE_MAX + 1 ? present : PARSER_INLINE_MAX + 1;
    const char *line_end = memchr(line + parser->scanned, '\r', searched - parser->scanned);
    if (line_end == NULL) {
        parser->scanned = searched;
        return searched > PARSER_INLINE_MAX ? LINE_TOO_LONG : LINE_INCOMPLETE;
    }
    size_t text_size = (size_t)(line_end - line);
    parser->scanned = text_size;
    if (present < text_size + 2)
        return LINE_INCOMPLETE;
    *ret_line_size = text_size + 2;
    if (text_size == 0 || !num_parse_i64(slice_make(line + 1, text_size - 1), ret_length))
        return LINE_BAD_NUMBER;
    return LINE_READ;
}

/* ---- RESP arrays ---------------------------------------------------------------------------------- */

/* Reads "*count" at the start of the request. PARSER_REQUEST here means: go on with the arguments, if any. */
static NO_INLINE enum parser_result read_count(struct parser *parser, const char *bytes, size_t size,
                                               const struct parser_limits *limits, size_t *ret_size,
                                               const char **ret_error)
{
    int64_t count = 0;
    size_t line_size = 0;
    const char *behind = read_plain_length(bytes + 1, bytes + size, &count);
    if (likely(behind != NULL)) {
        line_size = (size_t)(behind - bytes);
    } else {
        switch (read_length_line(parser, bytes, size, &count, &line_size)) {
        case LINE_READ: break;
        case LINE_INCOMPLETE: *ret_size = size + 1; return PARSER_NEED_MORE;
        case LINE_TOO_LONG: return fail("ERR Protocol error: too big mbulk count string", ret_error);
        case LINE_BAD_NUMBER: return fail("ERR Protocol error: invalid multibulk length", ret_error);
        }
    }
    if (unlikely(count > limits->multibulk_max || count > INT32_MAX))
        return fail("ERR Protocol error: invalid multibulk length", ret_error);
    if (unlikely(!limits->authenticated) && count > PARSER_UNAUTHENTICATED_ARGS)
        return fail("ERR Protocol error: unauthenticated multibulk length", ret_error);
    parser->position = line_size;
    parser->scanned = 0;
    parser->args_left = count > 0 ? count : 0;
    parser->bulk_size = -1;
    return PARSER_REQUEST;
}

/* The careful way to read "$length" at parser->position; PARSER_REQUEST: it is in parser->bulk_size. */
static NO_INLINE enum parser_result read_bulk_header(struct parser *parser, const char *bytes, size_t size,
                                                     const struct parser_limits *limits, size_t *ret_size,
                                                     const char **ret_error)
{
    int64_t length = 0;
    size_t line_size = 0;
    enum line_state state = read_length_line(parser, bytes, size, &length, &line_size);
    if (state == LINE_INCOMPLETE) {
        *ret_size = size + 1;
        return PARSER_NEED_MORE;
    }
    if (state == LINE_TOO_LONG)
        return fail("ERR Protocol error: too big bulk count string", ret_error);
    if (bytes[parser->position] != '$')
        return fail_expected_bulk(parser, bytes[parser->position], ret_error);
    if (state == LINE_BAD_NUMBER || length < 0 || length > limits->bulk_max)
        return fail("ERR Protocol error: invalid bulk length", ret_error);
    if (!limits->authenticated && length > PARSER_UNAUTHENTICATED_BULK)
        return fail("ERR Protocol error: unauthenticated bulk length", ret_error);
    parser->position += line_size;
    parser->scanned = 0;
    parser->bulk_size = length;
    return PARSER_REQUEST;
}

/* Reads the header of a bulk string of at least PARSER_BULK_MIN bytes at `at`. Returns where the value begins, NULL when the header is
 * not a plain one. */
ALWAYS_INLINE const char *read_plain_header(const char *at, const char *end, int64_t *ret_length)
{
    size_t length;
    const char *value = parser_plain_header(at, &length);
    if (unlikely(value == NULL))
        return at[0] == '$' ? read_plain_length(at + 1, end, ret_length) : NULL;
    *ret_length = (int64_t)length;
    return value;
}

/* The hot loop: takes up to *left arguments from `at` on, as long as they have arrived whole and are written in the
 * usual way. Returns where it stopped and leaves in *left how many are missing. */
ALWAYS_INLINE const char *take_plain_arguments(struct parser *parser, const char *bytes, const char *at,
                                               const char *end, int64_t plain_max, int64_t *left)
{
    uint32_t count = parser->arg_count;
    int64_t missing = *left;
    for (; missing > 0; missing--) {
        int64_t length = 0;
        if (unlikely(end - at < PARSER_BULK_MIN))
            break;
        const char *value = read_plain_header(at, end, &length);
        if (unlikely(value == NULL || length > plain_max || end - value < length + 2))
            break;
        if (unlikely(count == parser->arg_capacity) && !grow_args(parser))
            break;
        parser->args[count++] = (struct parser_arg){(size_t)(value - bytes), (size_t)length};
        at = value + length + 2;
    }
    parser->arg_count = count;
    *left = missing;
    return at;
}

ALWAYS_INLINE int64_t plain_bulk_max(const struct parser_limits *limits)
{
    bool stranger = unlikely(!limits->authenticated) && limits->bulk_max > PARSER_UNAUTHENTICATED_BULK;
    return stranger ? PARSER_UNAUTHENTICATED_BULK : limits->bulk_max;
}

/* Reads bulk strings from parser->position on until args_left is 0. */
static NO_INLINE enum parser_result read_arguments(struct parser *parser, const char *bytes, size_t size,
                                                   const struct parser_limits *limits, size_t *ret_size,
                                                   const char **ret_error)
{
    for (;;) {
        if (likely(parser->bulk_size < 0)) {
            const char *start = bytes + parser->position;
            const char *at = take_plain_arguments(parser, bytes, start, bytes + size, plain_bulk_max(limits),
                                                  &parser->args_left);
            if (at != start) {
                parser->position = (size_t)(at - bytes);
                parser->scanned = 0;
            }
            if (parser->args_left == 0)
                return finish(parser, parser->position, ret_size);
            enum parser_result result = read_bulk_header(parser, bytes, size, limits, ret_size, ret_error);
            if (result != PARSER_REQUEST)
                return result;
        }
        size_t bulk_size = (size_t)parser->bulk_size;
        if (size - parser->position < bulk_size + 2) {
            *ret_size = parser->position + bulk_size + 2;
            return PARSER_NEED_MORE;
        }
        if (!parser_push_arg(parser, parser->position, bulk_size))
            return fail_no_memory(ret_error);
        parser->position += bulk_size + 2;
        parser->bulk_size = -1;
        parser->args_left--;
    }
}

/* ---- Inline commands ------------------------------------------------------------------------------ */

static NO_INLINE enum parser_result read_inline(struct parser *parser, char *bytes, size_t size,
                                                size_t *ret_size, const char **ret_error)
{
    size_t searched = size < PARSER_INLINE_MAX + 1 ? size : PARSER_INLINE_MAX + 1;
    char *line_end = memchr(bytes + parser->scanned, '\n', searched - parser->scanned);
    if (line_end == NULL) {
        if (searched > PARSER_INLINE_MAX)
            return fail("ERR Protocol error: too big inline request", ret_error);
        parser->scanned = searched;
        *ret_size = size + 1;
        return PARSER_NEED_MORE;
    }
    size_t line_size = (size_t)(line_end - bytes);
    size_t text_size = line_size > 0 && line_end[-1] == '\r' ? line_size - 1 : line_size;
    switch (inline_split(parser, bytes, text_size)) {
    case ST_OK: return finish(parser, line_size + 1, ret_size);
    case ST_NOMEM: return fail_no_memory(ret_error);
    default: return fail("ERR Protocol error: unbalanced quotes in request", ret_error);
    }
}

enum parser_result parser_next(struct parser *parser, char *bytes, size_t size,
                               const struct parser_limits *limits, size_t *ret_size, const char **ret_error)
{
    if (likely(parser->phase == PARSER_START)) {
        parser->arg_count = 0;
        if (unlikely(parser->arg_capacity > PARSER_ARGS_KEEP))
            drop_large_args(parser);
        if (unlikely(size == 0)) {
            *ret_size = 1;
            return PARSER_NEED_MORE;
        }
        if (unlikely(bytes[0] != '*'))
            return read_inline(parser, bytes, size, ret_size, ret_error);
        enum parser_result result = read_count(parser, bytes, size, limits, ret_size, ret_error);
        if (result != PARSER_REQUEST)
            return result;
        parser->phase = PARSER_ARGS;
    }
    DEBUG_ASSERT(parser->position <= size);
    return read_arguments(parser, bytes, size, limits, ret_size, ret_error);
}
