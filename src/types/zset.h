/* Sorted sets: members in the order of their scores, members of the same score in the order of their bytes.
 *
 * Principal entry points: zset_find, zset_add, zset_change, zset_remove, zset_count_below.
 * A small one is a page of rows in order, and a member is found by looking at each. A large one is a tree of such pages
 * and a second tree, the index, that finds a member's score by its hash (types/members.h): score and member then lead
 * to the row. A long member is shared by both.
 * Knows trees and elements, nothing of clients, commands and replies.
 * Threads: the executor; reading snapshots of both trees, any.
 *
 * Z1  Rows ascend by (score, bytes of the member); no member is in two rows; no score is NaN.
 * Z2  With an index: it has one row for each row of the set, with the member and the score's bits. Without one, the rows
 *     are a single page. */
#ifndef SKUA_TYPES_ZSET_H
#define SKUA_TYPES_ZSET_H

#include <stdbool.h>
#include <stdint.h>

#include "types/collection.h"
#include "types/members.h"

extern const struct tree_type zset_tree;

/* Scores as numbers whose order is that of the scores: what the pages' number column holds. Minus zero is zero. */
uint64_t zset_bits(double score);
double zset_score_of(uint64_t bits);

/* A member that has been found: its score, and where that is: in the index, or in the rows of a small set. Good until
 * the set changes. */
struct zset_found {
    struct tree_place place;
    uint64_t bits; /* zset_bits of the score */
};

/* Finds a member by its text, without memory. False: it is not there. */
bool zset_find(const struct collection_view *zset, struct slice member, struct zset_found *ret_found);
/* The same of who wants its score alone. */
bool zset_score(const struct collection_view *zset, struct slice member, double *ret_score);

/* The row of a member that has been found, for tree_position and the like. */
void zset_locate(const struct collection_view *zset, struct slice member, const struct zset_found *found,
                 struct tree_place *ret_place);

/* The leaf of a large set's rows into which a member with this score probably goes: to be asked for ahead, no more. */
const struct page *zset_likely_leaf(const struct tree *rows, double score, struct slice member);

/* Adds a member that is not there, taking its blob over; or gives one that has been found another score. What
 * was found is not good afterwards. */
void zset_add(struct collection_view *zset, struct element member, double score);
void zset_change(struct collection_view *zset, struct slice member, struct zset_found *found, double score);

/* Takes a member that has been found out, likewise; or `count` rows from a position on. */
void zset_remove(struct collection_view *zset, struct slice member, struct zset_found *found);
void zset_remove_range(struct collection_view *zset, uint64_t first, uint64_t count);

/* How many rows have a score below `score` (or, with `inclusive`, at most that): the position of the first other one. */
uint64_t zset_count_below(const struct tree *rows, double score, bool inclusive);
/* The same for members in a set whose members all have the same score: how many are less than `member` (or equal). */
uint64_t zset_count_before(const struct tree *rows, struct slice member, bool inclusive);

/* Whether all members have the same score. Of a set that has any. */
bool zset_has_one_score(const struct tree *rows);

/* Asserts Z1 and Z2. For tests and debug builds. */
void zset_check(const struct collection_view *zset);
/* Asserts them of `count` > 0 rows from position `first` on, and nothing of the trees. */
void zset_check_rows(const struct collection_view *zset, uint64_t first, uint64_t count);

#endif
