/* Walks over the keys of a database. Rules in walk.h. Threads: executor only. */
#include "keyspace/walk.h"

#include "base/bug.h"

/* So many buckets ahead of where a walk is, what it will look at is asked for: first the bucket, then the entries in it, two lines of
 * each: a key and a hundred bytes. More in flight than the few entries of one bucket is more than a core can wait for at once. */
#define BUCKETS_AHEAD 6
#define ENTRIES_AHEAD 1
#define ENTRY_LINES   2

static uint64_t item_hash(const void *item, void *context)
{
    return keyspace_hash(context, entry_key(item));
}

static const struct table_type settled_type = {.hash = item_hash};

void key_walk_begin(struct key_walk *walk, struct db *db, key_visit_fn *visit, void *context)
{
    *walk =
        (struct key_walk){.keyspace = db->keyspace, .table = db->keys, .visit = visit, .context = context};
    table_init(&walk->settled, &settled_type, db->keyspace, NULL);
    list_append(&db->walks, &walk->node);
}

void key_walk_end(struct key_walk *walk)
{
    list_remove(&walk->node);
    table_done(&walk->settled);
}

/* V1 */
static bool is_before_position(const struct key_walk *walk, uint64_t hash)
{
    return walk->is_over || table_scan_order(hash) < table_scan_order(walk->cursor);
}

static bool find_settled(const struct key_walk *walk, const struct entry *entry, uint64_t hash,
                         struct table_position *ret_position)
{
    return table_size(&walk->settled) > 0 &&
           table_locate(&walk->settled, hash, entry_is_same, entry, ret_position);
}

static void settle(struct key_walk *walk, struct entry *entry, uint64_t hash)
{
    if (table_insert(&walk->settled, hash, entry) != ST_OK)
        fatal("out of memory for a walk over keys");
}

static void visit_item(void *item, void *context)
{
    struct key_walk *walk = context;
    const struct entry *entry = item;
    uint64_t hash = keyspace_hash(walk->keyspace, entry_key(entry));
    struct table_position position;
    /* A table that has shrunk shows again what was in the buckets that were merged. */
    if (is_before_position(walk, hash))
        return;
    if (find_settled(walk, entry, hash, &position))
        table_remove(&walk->settled, &position);
    else
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
        if (!is_before_position(walk, hash))
            table_prefetch_bucket(&walk->settled, hash, true);
    }
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
    struct table_position position;
    list_for_each(walks, node)
    {
        struct key_walk *walk = list_entry(node, struct key_walk, node);
        if (is_before_position(walk, hash) || find_settled(walk, entry, hash, &position))
            continue;
        walk->visit(entry, walk->context);
        settle(walk, entry, hash);
    }
}

void key_walks_replacing(struct list_node *walks, struct entry *old, struct entry *entry, uint64_t hash)
{
    struct table_position position;
    list_for_each(walks, node)
    {
        struct key_walk *walk = list_entry(node, struct key_walk, node);
        if (is_before_position(walk, hash))
            continue;
        if (find_settled(walk, old, hash, &position)) {
            table_replace(&walk->settled, &position, entry);
        } else {
            walk->visit(old, walk->context);
            settle(walk, entry, hash);
        }
    }
}

void key_walks_moved(struct list_node *walks, struct list_node *to)
{
    while (!list_is_empty(walks)) {
        struct key_walk *walk = list_entry(walks->next, struct key_walk, node);
        list_remove(&walk->node);
        list_append(to, &walk->node);
    }
}
