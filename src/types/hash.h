/* Hashes: fields with values, and what Redis would call their encoding.
 *
 * Principal entry points: hash_find, hash_set, hash_marks.
 * Fields are found as members are (types/members.h); new ones are put behind the last, so that a hash of one page keeps
 * the order in which its fields came.
 * Knows trees and elements, nothing of clients, commands and replies.
 * Threads: executor only. */
#ifndef SKUA_TYPES_HASH_H
#define SKUA_TYPES_HASH_H

#include <stdbool.h>
#include <stdint.h>

#include "types/members.h"

/* Finds a field's value, which is valid until the hash changes. False: there is no such field. */
bool hash_find(const struct tree *rows, struct slice field, struct element *ret_value);

/* Puts a value under a field; takes over the blobs of both. True: the field is new. */
bool hash_set(struct tree *rows, struct element field, struct element value);

/* Takes a field out. False: there is none. */
bool hash_remove(struct tree *rows, struct slice field);

/* The options hash-max-listpack-entries and hash-max-listpack-value. */
struct hash_limits {
    uint64_t listpack_entries;
    uint64_t listpack_value;
};

/* The marks (ENTRY_GROWN) of a hash with the marks `before`, into which texts of at most `longest` bytes have been put:
 * it is a listpack as long as its fields are few and all of its texts short, then a hash table for good. */
uint8_t hash_marks(const struct tree *rows, uint8_t before, size_t longest, const struct hash_limits *limits);

#endif
