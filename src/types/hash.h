/* Hashes: fields with values and times to live, and what Redis would call their encoding.
 *
 * Principal entry points: hash_find, hash_set, hash_set_time, hash_expire, hash_marks.
 * Fields are found as members are (types/members.h); new ones are put behind the last, so that a hash of one page keeps
 * the order in which its fields came. A hash whose fields never had a time has no room for times in its rows; with the
 * first one all of it moves to timed rows (hash_add_timed), where it stays.
 * Knows trees and elements, nothing of clients, commands and replies.
 * Threads: executor only.
 *
 * H1  No command sees an expired field: whoever looks a small hash up has taken them out before (exec/call.c), and passes over them
 *     where that is not to be (a large hash, a replica, a pause, a key that is held). The keyspace finds the keys by their
 *     entry_due_ms to take them out in time.
 * H2  Who sets a field's time tells the entry (hash_note_due) and the database (db_note_due). */
#ifndef SKUA_TYPES_HASH_H
#define SKUA_TYPES_HASH_H

#include <stdbool.h>
#include <stdint.h>

#include "keyspace/entry.h"
#include "types/members.h"

/* Finds a field whose time is after `now_ms`: any other counts as not being there, in all of these functions. */
bool hash_locate(const struct tree *rows, int64_t now_ms, struct slice field, struct tree_place *ret_place);

/* Finds a field's value, which is valid until the hash changes. False: there is no such field. */
bool hash_find(const struct tree *rows, int64_t now_ms, struct slice field, struct element *ret_value);
/* The same of a field that may have been looked up ahead. */
bool hash_find_seen(const struct tree *rows, int64_t now_ms, struct slice field, struct members_seen seen,
                    struct element *ret_value);

#define HASH_KEEP_TIME (-1) /* in place of a moment: the one that the field has */

/* Puts a value under a field; takes over the blobs of both. The field expires at `expire_ms`: ENTRY_NO_EXPIRE never,
 * which is all that a hash without times can take. True: the field is new. */
bool hash_set(struct tree *rows, int64_t now_ms, struct element field, struct element value,
              int64_t expire_ms);
/* The same of a field that may have been looked up ahead. */
bool hash_set_seen(struct tree *rows, int64_t now_ms, struct element field, struct members_seen seen,
                   struct element value, int64_t expire_ms);

/* Takes a field out, which may have been looked up ahead. False: there is none. */
bool hash_remove(struct tree *rows, int64_t now_ms, struct slice field, struct members_seen seen);

/* ---- Times to live ---------------------------------------------------------------------------------------- */

ALWAYS_INLINE bool hash_has_times(const struct tree *rows)
{
    return rows->type == &timed_hash_tree;
}

/* Whether the time of a row has come. */
ALWAYS_INLINE bool hash_row_is_over(const struct page *page, unsigned row, int64_t now_ms)
{
    return page->layout == PAGE_TIMED_HASH && (int64_t)page_number(page, row) <= now_ms;
}

/* When the field at the place expires, ENTRY_NO_EXPIRE for never. */
int64_t hash_time(const struct tree *rows, const struct tree_place *place);

/* No fields, with room for times, for those of `rows`. */
void hash_begin_timed(const struct tree *rows, struct tree *ret_timed);

/* Adds the fields of one of those rows' pages, which stays as it is: long texts are shared. */
void hash_add_timed(struct tree *timed, const struct page *page);

/* The same with times, for rows that have them: those that are after `now_ms`. */
void hash_add_live(struct tree *timed, const struct page *page, int64_t now_ms);

/* When the first field of a hash with times expires, ENTRY_NO_EXPIRE for never. Looks at all of them. */
int64_t hash_due_ms(const struct tree *rows);

/* Lowers the bound that a large hash keeps of its fields' times (E5). */
void hash_note_due(struct entry *entry, int64_t due_ms);

/* Who hears of each field that is taken out, before it is. `gone` may be NULL. */
struct hash_listener {
    void (*gone)(void *context, struct element field);
    void *context;
};

/* Takes the fields whose time is not after `now_ms` out of a hash with times. *ret_due_ms is that of the first of the
 * others. Returns how many it was. */
uint64_t hash_expire(struct tree *rows, int64_t now_ms, struct hash_listener listener, int64_t *ret_due_ms);

/* One step of the same for a large hash, which goes on where the last one stopped and keeps due_ms; it takes some tenths
 * of a millisecond at the most. */
uint64_t hash_expire_some(struct collection *collection, int64_t now_ms, struct hash_listener listener);

/* ---- Encodings --------------------------------------------------------------------------------------------- */

/* The options hash-max-listpack-entries and hash-max-listpack-value. */
struct hash_limits {
    uint64_t listpack_entries;
    uint64_t listpack_value;
};

/* The marks (ENTRY_GROWN) of a hash with the marks `before`, into which texts of at most `longest` bytes have been put:
 * it is a listpack as long as its fields are few and all of its texts short, then a hash table for good. */
uint8_t hash_marks(const struct tree *rows, uint8_t before, size_t longest, const struct hash_limits *limits);

#endif
