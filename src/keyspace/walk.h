/* A walk over the entries of a database as they were when it began, while the database changes.
 *
 * Principal entry points: key_walk_begin, key_walk_step, key_walk_end.
 * Each entry that was there at the start is visited once, with the value and the time to live that it had then: in its turn, or
 * ahead of it, just before it is taken out, replaced or changed in place. Entries that come later are not visited. Nothing is
 * copied; a change costs one comparison while nobody walks.
 *
 * Keys are walked in the order of their hashes read from the lowest bit on, which is that of table_scan: so what has been
 * visited follows from a key's hash and the walk's position alone, however the table grows and shrinks.
 *
 * V1  An entry of the table has been visited if its place in that order is before the walk's position.
 * V2  Those entries of the table are settled whose place is not before the position and that are not to be visited: they came
 *     after the start, or took the place of one that was visited ahead of its turn, or were changed after they were. All other such
 *     entries were there at the start and are as they were then. A settled entry bears the walk's `mark`; of a walk that got none,
 *     as two others over the same table have them, it is in the walk's table `settled`.
 * V3  A walk stays with its table: with SWAPDB it moves to the other database, with a flush it goes on in what was
 *     detached, which is not freed before the walk has ended.
 * V4  Whoever changes a published entry in place, its value or its time to live, tells db_note_change first. The access clock is
 *     no part of what is kept: a walk finds it as it is then.
 * V5  An entry bears a mark only while its table has a walk with that mark, at whose position it is not past, or while the mark is one
 *     of the database's stale_marks: that walk has ended early. A stale mark is given to nobody. The next walk takes it off whatever it
 *     passes (`sweeps`, no mark in those of two walks), and when that has come to its end the mark is as good as new.
 * Threads: executor only. Others look at what an entry's flags say beside the marks. */
#ifndef SKUA_KEYSPACE_WALK_H
#define SKUA_KEYSPACE_WALK_H

#include "keyspace/keyspace.h"

/* The entry is valid during the call only, and must not be changed. */
typedef void key_visit_fn(const struct entry *entry, void *context);

struct key_walk {
    struct list_node node; /* in db.walks, or in those of a detached table */
    struct keyspace *keyspace;
    struct db *db; /* that has the table; NULL: a flush has detached it */
    struct table *table;
    uint64_t cursor; /* of table_scan */
    bool is_over;
    uint8_t mark;   /* V2: one of ENTRY_SETTLED, or 0 */
    uint8_t sweeps; /* V5 */
    key_visit_fn *visit;
    void *context;
    uint64_t marked_count; /* entries that bear the mark */
    struct table settled;  /* V2: empty if it has a mark */
};

void key_walk_begin(struct key_walk *walk, struct db *db, key_visit_fn *visit, void *context);

/* Visits the keys of a bucket or two. False: all have been visited. */
bool key_walk_step(struct key_walk *walk);

/* To be called once, whether the walk has come to its end or not. */
void key_walk_end(struct key_walk *walk);

/* Two stages of asking for what a change of the entry with this hash will look at. In the second one its first line is in the cache. */
void key_walks_fetch(struct list_node *walks, uint64_t hash);
void key_walks_fetch_entry(struct list_node *walks, const struct entry *entry, uint64_t hash);

/* ---- For the keyspace -------------------------------------------------------------------------------------- */

/* An entry has been inserted. */
void key_walks_inserted(struct list_node *walks, struct entry *entry, uint64_t hash);

/* An entry is about to be taken out. */
void key_walks_removing(struct list_node *walks, struct entry *entry);

/* An entry is about to change in place. */
void key_walks_changing(struct list_node *walks, struct entry *entry, uint64_t hash);

/* An entry is about to be replaced by another one of the same key. */
void key_walks_replacing(struct list_node *walks, struct entry *old, struct entry *entry, uint64_t hash);

/* Who has their table now has them in `to`, which is empty; `db`: NULL if that is no database. */
void key_walks_moved(struct list_node *walks, struct list_node *to, struct db *db);

/* The marks that they have. */
unsigned key_walks_marks(const struct list_node *walks);

#endif
