/* A key as a line of JSON. docs/check.md has the form, tests/harness/contents.py makes the same of a server's answers.
 *
 * Principal entry points: key_json_write, key_json_parts.
 * Threads: one user of the buffer. */
#ifndef SKUA_CHECK_KEY_JSON_H
#define SKUA_CHECK_KEY_JSON_H

#include <stdio.h>

#include "base/buf.h"
#include "check/read.h"

/* Writes the key, through `buffer`, which is emptied now and then, so that a large value needs no text of its size. */
void key_json_write(const struct read_key *key, struct keyspace *keyspace, struct buf *buffer, FILE *out);

/* The parts of a value one by one, each as JSON: members, fields, entries and groups, elements with their positions. Each is valid
 * during the call. */
typedef void key_part_fn(void *context, struct slice part);
void key_json_parts(const struct entry *entry, struct keyspace *keyspace, key_part_fn *each, void *context);

/* How a value stands in a snapshot: "hash-listpack"; "" for what is not known. */
const char *key_encoding(unsigned rdb_type);
const char *key_type_name(enum entry_type type);

#endif
