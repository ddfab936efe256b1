/* Walks over the keys of a database. Rules in walk.h. Threads: executor only. */
#include "keyspace/walk.h"

#include "base/bug.h"

/* So many buckets ahead of where a walk is, what it will look at is asked for: first the bucket, then the entries in it, two lines of
 * each: a key and a hundred bytes. More in flight than the few entries of one bucket is more than a core can wait for at once. */
#define BUCKETS_AHEAD 6
#define ENTRIES_AHEAD 1
#define ENTRY_LINES   2

/* Of what a change will have visited, so many bytes are asked for. */
#define VISITED_FETCH_MAX 1024

static uint64_t item_hash(const void *item, void *context)
{
    return keyspace_hash(context, entry_key(item));
}

static const struct table_type settled_type = {.hash = item_hash};

/* ---- Begin and end ------------------------------------------------------------------------------------------ */

unsigned key_walks_marks(const struct list_node *walks)
{
    unsigned marks = 0;
    list_for_each(walks, node) marks |= list_entry(node, struct key_walk, node)->mark;
    return marks;
}

/* V5 */
static unsigned swept_marks(const struct list_node *walks)
{
    unsigned marks = 0;
    list_for_each(walks, node) marks |= list_entry(node, struct key_walk, node)->sweeps;
    return marks;
}

void key_walk_begin(struct key_walk *walk, struct db *db, key_visit_fn *visit, void *context)
{
    unsigned free_marks = ENTRY_SETTLED & ~(key_walks_marks(&db->walks) | db->stale_marks);
    *walk = (struct key_walk){.keyspace = db->keyspace,
                              .db = db,
                              .table = db->keys,
                              .mark = (uint8_t)(free_marks & -free_marks),
                              .sweeps = (uint8_t)(db->stale_marks & ~swept_marks(&db->walks)),
                              .visit = visit,
                              .context = context};
    table_init(&walk->settled, &settled_type, db->keyspace, NULL);
    list_append(&db->walks, &walk->node);
}

void key_walk_end(struct key_walk *walk)
{
    list_remove(&walk->node);
    table_done(&walk->settled);
    if (walk->db == NULL)
        return;
    DEBUG_ASSERT(!walk->is_over || walk->marked_count == 0);
    if (walk->is_over)
        walk->db->stale_marks &= (uint8_t)~walk->sweeps;
    if (walk->marked_count > 0)
        walk->db->stale_marks |= walk->mark;
}

/* ---- What is settled ----------------------------------------------------------------------------------------- */

/* V1 */
static bool is_before_position(const struct key_walk *walk, uint64_t hash)
{
    return walk->is_over || table_scan_order(hash) < table_scan_order(walk->cursor);
}

static bool is_settled(const struct key_walk *walk, const struct entry *entry, uint64_t hash)
{
    return walk->mark != 0 ? (entry_flags(entry) & walk->mark) != 0
                           : table_find(&walk->settled, hash, entry_is_same, entry) != NULL;
}

static void settle(struct key_walk *walk, struct entry *entry, uint64_t hash)
{
    if (walk->mark != 0) {
        entry_set_settled(entry, walk->mark, walk->mark);
        walk->marked_count++;
    } else if (table_insert(&walk->settled, hash, entry) != ST_OK) {
        fatal("out of memory for a walk over keys");
    }
}

/* True: it was. */
static bool unsettle(struct key_walk *walk, struct entry *entry, uint64_t hash)
{
    struct table_position position;
    if (walk->mark != 0) {
        if (likely(!(entry_flags(entry) & walk->mark)))
            return false;
        entry_set_settled(entry, walk->mark, 0);
        walk->marked_count--;
        return true;
    }
    if (!table_locate(&walk->settled, hash, entry_is_same, entry, &position))
        return false;
    table_remove(&walk->settled, &position);
    return true;
}

/* ---- Steps --------------------------------------------------------------------------------------------------- */

static void visit_item(void *item, void *context)
{
    struct key_walk *walk = context;
    struct entry *entry = item;
    uint64_t hash = keyspace_hash(walk->keyspace, entry_key(entry));
    /* A table that has shrunk shows again what was in the buckets that were merged. */
    if (is_before_position(walk, hash))
        return;
    if (unlikely(entry_flags(entry) & walk->sweeps))
        entry_set_settled(entry, walk->sweeps, 0);
    if (!unsettle(walk, entry, hash))
        walk->visit(entry, walk->context);
}

bool key_walk_step(struct key_walk *walk)
{
    if (!walk->is_over) {
        table_scan_prefetch(walk->table, walk->cursor, BUCKETS_AHEAD, ENTRIES_AHEAD, ENTRY_LINES);
        walk->cursor = table_scan(walk->table, walk->cursor, visit_item, walk);
        walk->is_over = walk->cursor == 0;
    }
    return !walk->is_over;
}

void key_walks_fetch(struct list_node *walks, uint64_t hash)
{
    list_for_each(walks, node)
    {
        const struct key_walk *walk = list_entry(node, struct key_walk, node);
        if (walk->mark == 0 && !is_before_position(walk, hash))
            table_prefetch_bucket(&walk->settled, hash, true);
    }
}

void key_walks_fetch_entry(struct list_node *walks, const struct entry *entry, uint64_t hash)
{
    bool is_visited = false;
    list_for_each(walks, node)
    {
        const struct key_walk *walk = list_entry(node, struct key_walk, node);
        is_visited |= !is_before_position(walk, hash) && !(entry_flags(entry) & walk->mark);
    }
    if (!is_visited)
        return;
    size_t size = entry_block_size(entry);
    for (size_t at = CACHE_LINE; at < size && at < VISITED_FETCH_MAX; at += CACHE_LINE)
        prefetch((const char *)entry + at);
}

/* ---- What the keyspace tells -------------------------------------------------------------------------------- */

void key_walks_inserted(struct list_node *walks, struct entry *entry, uint64_t hash)
{
    list_for_each(walks, node)
    {
        struct key_walk *walk = list_entry(node, struct key_walk, node);
        if (!is_before_position(walk, hash))
            settle(walk, entry, hash);
    }
}

void key_walks_removing(struct list_node *walks, struct entry *entry)
{
    list_for_each(walks, node) visit_item(entry, list_entry(node, struct key_walk, node));
}

void key_walks_changing(struct list_node *walks, struct entry *entry, uint64_t hash)
{
    list_for_each(walks, node)
    {
        struct key_walk *walk = list_entry(node, struct key_walk, node);
        if (is_before_position(walk, hash) || is_settled(walk, entry, hash))
            continue;
        walk->visit(entry, walk->context);
        settle(walk, entry, hash);
    }
}

void key_walks_replacing(struct list_node *walks, struct entry *old, struct entry *entry, uint64_t hash)
{
    list_for_each(walks, node)
    {
        struct key_walk *walk = list_entry(node, struct key_walk, node);
        if (is_before_position(walk, hash))
            continue;
        if (!unsettle(walk, old, hash))
            walk->visit(old, walk->context);
        settle(walk, entry, hash);
    }
}

void key_walks_moved(struct list_node *walks, struct list_node *to, struct db *db)
{
    while (!list_is_empty(walks)) {
        struct key_walk *walk = list_entry(walks->next, struct key_walk, node);
        walk->db = db;
        list_remove(&walk->node);
        list_append(to, &walk->node);
    }
}
