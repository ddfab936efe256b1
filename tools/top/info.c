/* Takes INFO's text apart. Entry: info_parse, info_find, info_part. Threads: see info.h. */
#include "top/info.h"

#include <math.h>

#include "base/alloc.h"
#include "base/num.h"

struct slice info_take(struct slice *rest, char separator)
{
    const char *end = rest->size > 0 ? memchr(rest->data, separator, rest->size) : NULL;
    size_t size = end != NULL ? (size_t)(end - rest->data) : rest->size;
    struct slice taken = slice_make(rest->data, size);
    size_t used = end != NULL ? size + 1 : size;
    *rest = slice_make(rest->data + used, rest->size - used);
    return taken;
}

static bool parse_line(struct slice line, struct info_field *ret_field)
{
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    if (line.size == 0 || line.data[0] == '#' || memchr(line.data, ':', line.size) == NULL)
        return false;
    ret_field->name = info_take(&line, ':');
    ret_field->value = line;
    return true;
}

void info_parse(struct info *info, struct slice text)
{
    *info = (struct info){0};
    size_t capacity = 0;
    while (text.size > 0 && info->count < INFO_FIELDS_MAX) {
        struct info_field field;
        if (!parse_line(info_take(&text, '\n'), &field))
            continue;
        if (info->count == capacity) {
            capacity = capacity > 0 ? capacity * 2 : 256;
            info->fields = mem_realloc(info->fields, capacity * sizeof *info->fields);
        }
        info->fields[info->count++] = field;
    }
}

void info_done(struct info *info)
{
    mem_free(info->fields);
    *info = (struct info){0};
}

bool info_find(const struct info *info, const char *name, struct slice *ret_value)
{
    struct slice wanted = slice_from_string(name);
    for (size_t i = 0; i < info->count; i++) {
        if (slice_equal(info->fields[i].name, wanted)) {
            *ret_value = info->fields[i].value;
            return true;
        }
    }
    return false;
}

bool info_has_prefix(struct slice name, const char *prefix, struct slice *ret_rest)
{
    size_t size = strlen(prefix);
    if (name.size <= size || memcmp(name.data, prefix, size) != 0)
        return false;
    *ret_rest = slice_make(name.data + size, name.size - size);
    return true;
}

double info_number(struct slice text)
{
    double value;
    return num_parse_double(text, &value) && isfinite(value) ? value : NAN;
}

bool info_next_part(struct slice *rest, struct slice *ret_key, struct slice *ret_value)
{
    if (rest->size == 0)
        return false;
    *ret_value = info_take(rest, ',');
    *ret_key = info_take(ret_value, '=');
    return true;
}

double info_part(struct slice value, const char *key)
{
    struct slice wanted = slice_from_string(key);
    struct slice name, text;
    while (info_next_part(&value, &name, &text)) {
        if (slice_equal(name, wanted))
            return info_number(text);
    }
    return NAN;
}
