/* Replies as text. Entry, threads: see format.h. */
#include "cli/format.h"

#include <string.h>

#include "base/macros.h"
#include "base/num.h"
#include "common/json.h"

static struct slice text_of(const struct skua_reply *reply)
{
    return slice_make(reply->string, reply->length);
}

static bool is_aggregate(const struct skua_reply *reply)
{
    return reply->type == SKUA_ARRAY || reply->type == SKUA_MAP || reply->type == SKUA_SET ||
           reply->type == SKUA_PUSH || reply->type == SKUA_ATTRIBUTE;
}

static bool has_pairs(const struct skua_reply *reply)
{
    return reply->type == SKUA_MAP || reply->type == SKUA_ATTRIBUTE;
}

static size_t entries_of(const struct skua_reply *reply)
{
    return has_pairs(reply) ? reply->element_count / 2 : reply->element_count;
}

/* ---- For people ---------------------------------------------------------------------------------------------- */

static void begin_colour(struct buf *text, const struct format *format, const char *colour)
{
    if (format->colours)
        buf_append_string(text, colour);
}

static void end_colour(struct buf *text, const struct format *format)
{
    if (format->colours)
        buf_append_string(text, FORMAT_PLAIN);
}

static void append_coloured(struct buf *text, const struct format *format, const char *colour,
                            struct slice part)
{
    begin_colour(text, format, colour);
    buf_append_slice(text, part);
    end_colour(text, format);
}

static void append_dim(struct buf *text, const struct format *format, const char *part)
{
    append_coloured(text, format, FORMAT_DIM, slice_from_string(part));
}

/* Whether the entries of an aggregate take more than one line. */
static bool has_lines(const struct skua_reply *reply)
{
    if (!is_aggregate(reply) || reply->element_count == 0)
        return false;
    return entries_of(reply) > 1 || has_lines(&reply->elements[reply->element_count - 1]);
}

static void append_pretty(struct buf *text, const struct skua_reply *reply, const struct format *format,
                          unsigned indent);

static const char *empty_text(enum skua_type type)
{
    switch (type) {
    case SKUA_ARRAY: return "(empty array)";
    case SKUA_MAP: return "(empty hash)";
    case SKUA_SET: return "(empty set)";
    case SKUA_PUSH: return "(empty push)";
    default: return "(empty attribute)";
    }
}

static char marker_of(enum skua_type type)
{
    switch (type) {
    case SKUA_MAP: return '#';
    case SKUA_SET: return '~';
    case SKUA_ATTRIBUTE: return '|';
    default: return ')';
    }
}

static unsigned digits_of(size_t number)
{
    unsigned digits = 1;
    for (; number >= 10; number /= 10)
        digits++;
    return digits;
}

static void append_line_indent(struct buf *text, unsigned indent)
{
    buf_append_char(text, '\n');
    for (unsigned i = 0; i < indent; i++)
        buf_append_char(text, ' ');
}

/* One entry per line; those after the first begin below it, at column `indent`. */
static void append_entries(struct buf *text, const struct skua_reply *reply, const struct format *format,
                           unsigned indent)
{
    size_t count = entries_of(reply);
    unsigned width = digits_of(count);
    unsigned inner = indent + width + 2; /* behind "12) " with its blank */
    for (size_t i = 0; i < count; i++) {
        char marker[32];
        if (i > 0)
            append_line_indent(text, indent);
        snprintf(marker, sizeof(marker), "%*zu%c ", (int)width, i + 1, marker_of(reply->type));
        append_dim(text, format, marker);
        if (!has_pairs(reply)) {
            append_pretty(text, &reply->elements[i], format, inner);
            continue;
        }
        const struct skua_reply *value = &reply->elements[2 * i + 1];
        append_pretty(text, &reply->elements[2 * i], format, inner);
        append_dim(text, format, " => ");
        if (has_lines(value))
            append_line_indent(text, inner);
        append_pretty(text, value, format, inner);
    }
}

static void append_typed(struct buf *text, const struct format *format, const char *type, struct slice value)
{
    append_dim(text, format, type);
    append_coloured(text, format, FORMAT_CYAN, value);
}

static void append_integer(struct buf *text, const struct format *format, int64_t value)
{
    char digits[NUM_I64_TEXT_MAX];
    append_typed(text, format, "(integer) ", slice_make(digits, num_format_i64(value, digits)));
}

/* Without a line end behind it. */
static void append_pretty(struct buf *text, const struct skua_reply *reply, const struct format *format,
                          unsigned indent)
{
    if (reply->attributes != NULL && reply->attributes->element_count > 0) {
        append_entries(text, reply->attributes, format, indent);
        append_line_indent(text, indent);
    }
    switch (reply->type) {
    case SKUA_STRING:
        begin_colour(text, format, FORMAT_GREEN);
        buf_append_quoted(text, text_of(reply));
        end_colour(text, format);
        break;
    case SKUA_ERROR:
        begin_colour(text, format, FORMAT_RED);
        buf_append_string(text, "(error) ");
        buf_append_slice(text, text_of(reply));
        end_colour(text, format);
        break;
    case SKUA_STATUS:
    case SKUA_VERBATIM: buf_append_slice(text, text_of(reply)); break;
    case SKUA_INTEGER: append_integer(text, format, reply->integer); break;
    case SKUA_DOUBLE: append_typed(text, format, "(double) ", text_of(reply)); break;
    case SKUA_BIG_NUMBER: append_typed(text, format, "(big number) ", text_of(reply)); break;
    case SKUA_NULL: append_dim(text, format, "(nil)"); break;
    case SKUA_BOOL: buf_append_string(text, reply->integer ? "(true)" : "(false)"); break;
    case SKUA_ARRAY:
    case SKUA_MAP:
    case SKUA_SET:
    case SKUA_PUSH:
    case SKUA_ATTRIBUTE:
        if (reply->element_count == 0)
            append_dim(text, format, empty_text(reply->type));
        else
            append_entries(text, reply, format, indent);
        break;
    }
}

/* ---- Raw ----------------------------------------------------------------------------------------------------- */

static void append_raw(struct buf *text, const struct skua_reply *reply, const struct format *format)
{
    switch (reply->type) {
    case SKUA_NULL: break;
    case SKUA_ERROR:
        buf_append_slice(text, text_of(reply));
        buf_append_char(text, '\n');
        break;
    case SKUA_STRING:
    case SKUA_STATUS:
    case SKUA_DOUBLE:
    case SKUA_BIG_NUMBER:
    case SKUA_VERBATIM: buf_append_slice(text, text_of(reply)); break;
    case SKUA_BOOL: buf_append_string(text, reply->integer ? "(true)" : "(false)"); break;
    case SKUA_INTEGER: buf_printf(text, "%lld", (long long)reply->integer); break;
    case SKUA_MAP:
    case SKUA_ATTRIBUTE:
    case SKUA_ARRAY:
    case SKUA_SET:
    case SKUA_PUSH:
        for (size_t i = 0; i < reply->element_count; i++) {
            if (i > 0)
                buf_append_string(text, has_pairs(reply) && i % 2 == 1 ? " " : format->delimiter);
            append_raw(text, &reply->elements[i], format);
        }
        break;
    }
}

/* ---- CSV ----------------------------------------------------------------------------------------------------- */

static void append_csv(struct buf *text, const struct skua_reply *reply)
{
    switch (reply->type) {
    case SKUA_ERROR:
        buf_append_string(text, "ERROR,");
        buf_append_quoted(text, text_of(reply));
        break;
    case SKUA_STRING:
    case SKUA_STATUS:
    case SKUA_VERBATIM: buf_append_quoted(text, text_of(reply)); break;
    case SKUA_INTEGER: buf_printf(text, "%lld", (long long)reply->integer); break;
    case SKUA_DOUBLE:
    case SKUA_BIG_NUMBER: buf_append_slice(text, text_of(reply)); break;
    case SKUA_NULL: buf_append_string(text, "NULL"); break;
    case SKUA_BOOL: buf_append_string(text, reply->integer ? "true" : "false"); break;
    case SKUA_MAP:
    case SKUA_ATTRIBUTE:
    case SKUA_ARRAY:
    case SKUA_SET:
    case SKUA_PUSH:
        for (size_t i = 0; i < reply->element_count; i++) {
            buf_append_string(text, i > 0 ? "," : "");
            append_csv(text, &reply->elements[i]);
        }
        break;
    }
}

/* ---- JSON ---------------------------------------------------------------------------------------------------- */

/* The bytes as a string: as they are, or all in printable ASCII. */
static void append_json_string(struct buf *text, struct slice bytes, bool quoted)
{
    if (!quoted) {
        json_append_quoted(text, bytes);
        return;
    }
    struct buf ascii = {0};
    buf_append_quoted(&ascii, bytes);
    json_append_quoted(text, slice_make(ascii.data + 1, ascii.size - 2)); /* without its own quotes */
    buf_done(&ascii);
}

/* What JSON has a number for: inf and nan, and digits that it would not take, become strings. */
static void append_json_double(struct buf *text, struct slice digits)
{
    bool negative = digits.size > 0 && digits.data[0] == '-';
    size_t first = negative ? 1 : 0;
    bool plain = digits.size > first && digits.data[first] >= '0' && digits.data[first] <= '9' &&
                 digits.data[digits.size - 1] != '.';
    if (plain && digits.size > first + 1 && digits.data[first] == '0')
        plain = strchr(".eE", digits.data[first + 1]) != NULL;
    if (plain)
        buf_append_slice(text, digits);
    else
        json_append_quoted(text, digits);
}

static void append_json(struct buf *text, const struct skua_reply *reply, bool quoted);

/* A key of an object is a string; any other value becomes the string of its JSON. */
static void append_json_key(struct buf *text, const struct skua_reply *key, bool quoted)
{
    if (key->type == SKUA_STRING || key->type == SKUA_STATUS || key->type == SKUA_VERBATIM) {
        append_json(text, key, quoted);
        return;
    }
    struct buf value = {0};
    append_json(&value, key, quoted);
    if (value.size > 0 && value.data[0] == '"')
        buf_append_slice(text, buf_slice(&value));
    else
        json_append_quoted(text, buf_slice(&value));
    buf_done(&value);
}

static void append_json_elements(struct buf *text, const struct skua_reply *reply, bool quoted)
{
    bool pairs = has_pairs(reply);
    buf_append_char(text, pairs ? '{' : '[');
    for (size_t i = 0; i < reply->element_count; i++) {
        bool is_key = pairs && i % 2 == 0;
        if (i > 0)
            buf_append_char(text, pairs && !is_key ? ':' : ',');
        if (is_key)
            append_json_key(text, &reply->elements[i], quoted);
        else
            append_json(text, &reply->elements[i], quoted);
    }
    buf_append_char(text, pairs ? '}' : ']');
}

static void append_json(struct buf *text, const struct skua_reply *reply, bool quoted)
{
    switch (reply->type) {
    case SKUA_ERROR:
        buf_append_string(text, "{\"error\":");
        append_json_string(text, text_of(reply), quoted);
        buf_append_char(text, '}');
        break;
    case SKUA_STRING:
    case SKUA_STATUS:
    case SKUA_VERBATIM: append_json_string(text, text_of(reply), quoted); break;
    case SKUA_INTEGER: buf_printf(text, "%lld", (long long)reply->integer); break;
    case SKUA_DOUBLE:
    case SKUA_BIG_NUMBER: append_json_double(text, text_of(reply)); break;
    case SKUA_NULL: buf_append_string(text, "null"); break;
    case SKUA_BOOL: buf_append_string(text, reply->integer ? "true" : "false"); break;
    case SKUA_MAP:
    case SKUA_ATTRIBUTE:
    case SKUA_ARRAY:
    case SKUA_SET:
    case SKUA_PUSH: append_json_elements(text, reply, quoted); break;
    }
}

/* ---- All of them --------------------------------------------------------------------------------------------- */

void format_reply(struct buf *text, const struct skua_reply *reply, const struct format *format)
{
    switch (format->output) {
    case CLI_OUTPUT_RAW: append_raw(text, reply, format); return;
    case CLI_OUTPUT_CSV: append_csv(text, reply); break;
    case CLI_OUTPUT_JSON: append_json(text, reply, false); break;
    case CLI_OUTPUT_QUOTED_JSON: append_json(text, reply, true); break;
    default: append_pretty(text, reply, format, 0);
    }
    buf_append_char(text, '\n');
}

void format_push(struct buf *text, const struct skua_reply *push, const struct format *format)
{
    bool invalidation = push->element_count == 2 && push->elements[0].type == SKUA_STRING &&
                        push->elements[1].type == SKUA_ARRAY &&
                        slice_equal(text_of(&push->elements[0]), SLICE("invalidate"));
    if (!invalidation || format->output != CLI_OUTPUT_PRETTY) {
        format_reply(text, push, format);
        return;
    }
    const struct skua_reply *keys = &push->elements[1];
    begin_colour(text, format, FORMAT_YELLOW);
    buf_append_string(text, "-> invalidate: ");
    for (size_t i = 0; i < keys->element_count; i++) {
        buf_append_string(text, i > 0 ? ", '" : "'");
        if (keys->elements[i].length > 0)
            buf_append_slice(text, text_of(&keys->elements[i]));
        buf_append_char(text, '\'');
    }
    end_colour(text, format);
    buf_append_char(text, '\n');
}
