/* JSON into a buffer. Entry: see json.h. Threads: the writer's owner. */
#include "common/json.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/num.h"

void json_init(struct json *json, struct buf *out, unsigned indent)
{
    *json = (struct json){.out = out, .indent = indent};
}

static void line_end(struct json *json)
{
    if (json->indent == 0)
        return;
    buf_append_char(json->out, '\n');
    for (unsigned i = 0; i < json->depth * json->indent; i++)
        buf_append_char(json->out, ' ');
}

/* What stands between the previous element and the one that comes now. */
static void separate(struct json *json)
{
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    if (json->has_element[json->depth])
        buf_append_char(json->out, ',');
    json->has_element[json->depth] = true;
    if (json->depth > 0)
        line_end(json);
}

static void begin(struct json *json, char bracket)
{
    separate(json);
    buf_append_char(json->out, bracket);
    assert(json->depth < JSON_DEPTH_MAX);
    json->depth++;
    json->has_element[json->depth] = false;
}

static void end(struct json *json, char bracket)
{
    assert(json->depth > 0 && !json->after_key);
    bool was_empty = !json->has_element[json->depth];
    json->depth--;
    if (!was_empty)
        line_end(json);
    buf_append_char(json->out, bracket);
}

void json_object_begin(struct json *json)
{
    begin(json, '{');
}

void json_object_end(struct json *json)
{
    end(json, '}');
}

void json_array_begin(struct json *json)
{
    begin(json, '[');
}

void json_array_end(struct json *json)
{
    end(json, ']');
}

void json_key_slice(struct json *json, struct slice key)
{
    assert(json->depth > 0 && !json->after_key);
    separate(json);
    json_append_quoted(json->out, key);
    buf_append_string(json->out, json->indent > 0 ? ": " : ":");
    json->after_key = true;
}

void json_key(struct json *json, const char *key)
{
    json_key_slice(json, slice_from_string(key));
}

void json_append_quoted(struct buf *out, struct slice string)
{
    buf_append_char(out, '"');
    for (size_t i = 0; i < string.size; i++) {
        unsigned char c = (unsigned char)string.data[i];
        switch (c) {
        case '"': buf_append_string(out, "\\\""); break;
        case '\\': buf_append_string(out, "\\\\"); break;
        case '\n': buf_append_string(out, "\\n"); break;
        case '\r': buf_append_string(out, "\\r"); break;
        case '\t': buf_append_string(out, "\\t"); break;
        case '\b': buf_append_string(out, "\\b"); break;
        case '\f': buf_append_string(out, "\\f"); break;
        default:
            if (c < 0x20)
                buf_printf(out, "\\u%04x", c);
            else
                buf_append_char(out, (char)c);
        }
    }
    buf_append_char(out, '"');
}

void json_slice(struct json *json, struct slice string)
{
    separate(json);
    json_append_quoted(json->out, string);
}

void json_string(struct json *json, const char *string)
{
    json_slice(json, slice_from_string(string));
}

void json_raw(struct json *json, struct slice text)
{
    separate(json);
    buf_append_slice(json->out, text);
}

void json_integer(struct json *json, int64_t value)
{
    char text[NUM_I64_TEXT_MAX];
    json_raw(json, slice_make(text, num_format_i64(value, text)));
}

void json_unsigned(struct json *json, uint64_t value)
{
    char text[NUM_I64_TEXT_MAX];
    json_raw(json, slice_make(text, num_format_u64(value, text)));
}

void json_number(struct json *json, double value)
{
    if (!isfinite(value)) {
        json_null(json);
        return;
    }
    char text[NUM_DOUBLE_TEXT_MAX];
    json_raw(json, slice_make(text, num_format_double(value, text)));
}

void json_fixed(struct json *json, double value, int digits)
{
    if (!isfinite(value)) {
        json_null(json);
        return;
    }
    separate(json);
    buf_printf(json->out, "%.*f", digits, value);
}

void json_bool(struct json *json, bool value)
{
    json_raw(json, value ? SLICE("true") : SLICE("false"));
}

void json_null(struct json *json)
{
    json_raw(json, SLICE("null"));
}
