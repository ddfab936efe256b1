/* The text that INFO answers, taken apart: "name:value" lines under "# Section" headings.
 *
 * Principal entry points: info_parse, info_find, info_number, info_part, info_take.
 * Everything points into the text that was parsed, which has to stay. The text is not trusted: bytes are passed on as
 * they are, and whoever shows them sees to that (canvas.h).
 * Threads: one at a time for a struct info. */
#ifndef SKUA_TOP_INFO_H
#define SKUA_TOP_INFO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* Lines beyond this are left out: no server has so many. */
#define INFO_FIELDS_MAX 65536

struct info_field {
    struct slice name;
    struct slice value;
};

struct info {
    struct info_field *fields;
    size_t count;
};

/* Takes lines with CRLF or LF. What is neither empty nor a heading nor "name:value" is skipped. */
void info_parse(struct info *info, struct slice text);
void info_done(struct info *info);

/* The first field of that name. False, and `ret_value` as it was: the server does not report it. */
bool info_find(const struct info *info, const char *name, struct slice *ret_value);

/* Whether `name` begins with `prefix` and goes on; *ret_rest is what follows. */
bool info_has_prefix(struct slice name, const char *prefix, struct slice *ret_rest);

/* A finite number, or NAN when the text is none. */
double info_number(struct slice text);

/* Takes the text before the next `separator`, or all of it, off *rest, and the separator too. */
struct slice info_take(struct slice *rest, char separator);

/* Steps through "key=value,key=value": takes the first pair off *rest. False at the end. */
bool info_next_part(struct slice *rest, struct slice *ret_key, struct slice *ret_value);

/* The number of `key` in "key=value,…", or NAN. */
double info_part(struct slice value, const char *key);

#endif
