/* Writes JSON into a buffer, piece by piece; commas and line ends come by themselves.
 *
 * Principal entry points: json_init, json_object_begin, json_key, json_string, json_number.
 * Threads: the owner of the writer and its buffer.
 *
 * I1: the caller nests correctly (a key before each value of an object, as many ends as beginnings); that is its own
 * affair and is asserted. I2: what is written is valid JSON whenever the strings are UTF-8; other bytes are passed on
 * as they are. */
#ifndef SKUA_COMMON_JSON_H
#define SKUA_COMMON_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define JSON_DEPTH_MAX 160 /* deeper than any reply that libskua accepts */

struct json {
    struct buf *out;
    unsigned indent; /* spaces per level; 0: all on one line, without blanks */
    unsigned depth;
    bool after_key;
    bool has_element[JSON_DEPTH_MAX + 1]; /* by depth: the next element needs a comma */
};

/* `out` must live as long as the writer. Nothing has to be freed. */
void json_init(struct json *json, struct buf *out, unsigned indent);

void json_object_begin(struct json *json);
void json_object_end(struct json *json);
void json_array_begin(struct json *json);
void json_array_end(struct json *json);

/* Inside of an object, before each value. */
void json_key(struct json *json, const char *key);
void json_key_slice(struct json *json, struct slice key);

void json_string(struct json *json, const char *string);
void json_slice(struct json *json, struct slice string);
void json_integer(struct json *json, int64_t value);
void json_unsigned(struct json *json, uint64_t value);
/* The fewest digits that read back as the same number; null for what JSON has no number for. */
void json_number(struct json *json, double value);
/* With exactly so many digits behind the point. */
void json_fixed(struct json *json, double value, int digits);
void json_bool(struct json *json, bool value);
void json_null(struct json *json);
/* A value that is JSON already. */
void json_raw(struct json *json, struct slice text);

/* Appends the string in double quotes with JSON's escapes, for those who need no writer. */
void json_append_quoted(struct buf *out, struct slice string);

#endif
