/* The text of an aclfile, read and written. Contract in file.h. Threads: one owner. */
#include "acl/file.h"

#include <string.h>

#include "base/alloc.h"

#define SHOWN_MAX 256 /* bytes of a rule or a name in an error */

struct reading {
    const struct acl_terms *terms;
    struct acl_user_set *set;
    struct buf *error;
    const char *path;
    unsigned line;
    struct slice *words; /* of the line */
    uint32_t count, capacity;
};

static int shown_size(struct slice text)
{
    return (int)(text.size < SHOWN_MAX ? text.size : SHOWN_MAX);
}

static bool is_margin(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice trim(struct slice line)
{
    while (line.size > 0 && is_margin(line.data[0]))
        line = slice_make(line.data + 1, line.size - 1);
    while (line.size > 0 && is_margin(line.data[line.size - 1]))
        line.size--;
    return line;
}

static void split(struct reading *reading, struct slice line)
{
    reading->count = 0;
    while (line.size > 0) {
        const char *blank = memchr(line.data, ' ', line.size);
        size_t size = blank != NULL ? (size_t)(blank - line.data) : line.size;
        if (reading->count == reading->capacity) {
            reading->capacity = reading->capacity > 0 ? reading->capacity * 2 : 16;
            reading->words = mem_realloc(reading->words, reading->capacity * sizeof *reading->words);
        }
        if (size > 0)
            reading->words[reading->count++] = slice_make(line.data, size);
        size_t taken = size + (blank != NULL ? 1 : 0);
        line = slice_make(line.data + taken, line.size - taken);
    }
}

static void report(const struct reading *reading, const struct acl_mistake *mistake)
{
    struct buf *error = reading->error;
    buf_printf(error, "%s:%u: ", reading->path, reading->line);
    struct slice rule = buf_slice(&mistake->rule);
    if (mistake->is_open)
        buf_append_string(error, "Unmatched parenthesis in selector definition.");
    else if (mistake->status == ACL_RULE_UNKNOWN_COMMAND)
        buf_printf(error, "Error in applying operation '%.*s': %s. ", shown_size(rule), rule.data,
                   acl_rule_status_text(mistake->status));
    else
        buf_printf(error, "%s. ", acl_rule_status_text(mistake->status));
}

static void read_user(struct reading *reading)
{
    struct slice name = reading->words[1];
    if (!acl_user_name_is_sound(name)) {
        buf_printf(reading->error, "'%s:%u: username '%.*s' contains invalid characters. ", reading->path,
                   reading->line, shown_size(name), name.data);
        return;
    }
    if (acl_set_find(reading->set, name) != NULL) {
        buf_printf(reading->error, "WARNING: Duplicate user '%.*s' found on line %u. ", shown_size(name),
                   name.data, reading->line);
        return;
    }
    struct acl_user *user = acl_user_new(reading->terms, name);
    struct acl_mistake mistake;
    if (!acl_user_apply_words(user, reading->terms, reading->words + 2, reading->count - 2, &mistake))
        report(reading, &mistake);
    acl_mistake_done(&mistake);
    if (acl_set_add(reading->set, user) != ST_OK) {
        buf_printf(reading->error, "%s:%u: too many users. ", reading->path, reading->line);
        acl_user_unref(user);
    }
}

static void read_line(struct reading *reading, struct slice line)
{
    line = trim(line);
    if (line.size == 0)
        return;
    split(reading, line);
    if (reading->count < 2 || !slice_equal(reading->words[0], SLICE("user")))
        buf_printf(reading->error, "%s:%u should start with user keyword followed by the username. ",
                   reading->path, reading->line);
    else
        read_user(reading);
}

#define ERRORS_SHOWN_MAX 8192 /* bytes; what comes then is not looked at */

bool acl_file_parse(const struct acl_terms *terms, const char *path, struct slice text,
                    struct acl_user_set *ret_set, struct buf *ret_error)
{
    size_t before = ret_error->size;
    *ret_set = (struct acl_user_set){0};
    struct reading reading = {.terms = terms, .set = ret_set, .error = ret_error, .path = path};
    while (text.size > 0 && ret_error->size - before < ERRORS_SHOWN_MAX) {
        const char *end = memchr(text.data, '\n', text.size);
        size_t size = end != NULL ? (size_t)(end - text.data) : text.size;
        reading.line++;
        read_line(&reading, slice_make(text.data, size));
        size_t taken = size + (end != NULL ? 1 : 0);
        text = slice_make(text.data + taken, text.size - taken);
    }
    mem_free(reading.words);
    if (ret_error->size > before)
        buf_append_string(ret_error, "WARNING: ACL errors detected, no change to the previously active ACL "
                                     "rules was performed");
    return ret_error->size == before;
}

void acl_file_format(const struct acl_user_set *set, struct buf *ret_text)
{
    for (uint32_t i = 0; i < set->count; i++) {
        buf_append_string(ret_text, "user ");
        acl_user_describe(set->users[i], ret_text);
        buf_append_char(ret_text, '\n');
    }
}
