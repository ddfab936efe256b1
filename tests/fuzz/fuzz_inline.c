/* Any line gives arguments that lie inside it, in order, and quoting what came out gives the same arguments
 * again. */
#include <string.h>

#include "../support/parser_feed.h"
#include "fuzz.h"

#define INPUT_MAX 4096

/* Parses one line. Returns false when it was refused. */
static bool parse_line(struct parser *parser, struct buf *line)
{
    struct parser_limits limits = {(int64_t)512 << 20, INT32_MAX, true};
    size_t size = 0;
    const char *error = NULL;
    enum parser_result result = parser_next(parser, line->data, line->size, &limits, &size, &error);
    if (result == PARSER_ERROR)
        return false;
    ASSERT(result == PARSER_REQUEST && size == line->size);
    size_t end = 0;
    for (uint32_t i = 0; i < parser->arg_count; i++) {
        struct parser_arg arg = parser->args[i];
        ASSERT(arg.offset >= end && arg.offset + arg.size < size);
        end = arg.offset + arg.size;
    }
    return true;
}

static struct slice argument(const struct parser *parser, const struct buf *line, uint32_t index)
{
    return slice_make(line->data + parser->args[index].offset, parser->args[index].size);
}

static void check_round_trip(const struct parser *first, const struct buf *line)
{
    struct buf quoted = {0};
    for (uint32_t i = 0; i < first->arg_count; i++) {
        buf_append_quoted(&quoted, argument(first, line, i));
        buf_append_char(&quoted, ' ');
    }
    buf_append_char(&quoted, '\n');
    struct parser second;
    parser_init(&second);
    ASSERT(parse_line(&second, &quoted));
    ASSERT(second.arg_count == first->arg_count);
    for (uint32_t i = 0; i < first->arg_count; i++)
        ASSERT(slice_equal(argument(first, line, i), argument(&second, &quoted, i)));
    parser_done(&second);
    buf_done(&quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > INPUT_MAX || memchr(bytes, '\n', size) != NULL || (size > 0 && bytes[0] == '*'))
        return 0;
    struct buf line = {0};
    buf_append(&line, bytes, size);
    buf_append_char(&line, '\n');
    struct parser parser;
    parser_init(&parser);
    if (parse_line(&parser, &line))
        check_round_trip(&parser, &line);
    parser_done(&parser);
    buf_done(&line);
    return 0;
}
