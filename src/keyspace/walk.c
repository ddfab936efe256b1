/* Walks over the keys of a database. Rules in walk.h. Threads: executor only. */
#include "keyspace/walk.h"

#include "base/bug.h"

static uint64_t item_hash(const void *item, void *context)
{
    return keyspace_hash(context, entry_key(item));
}

static bool item_equal(const void *item, const void *key)
{
    return item == key;
}

static const struct table_type added_type = {.hash = item_hash};

void key_walk_begin(struct key_walk *walk, struct db *db, key_visit_fn *visit, void *context)
{
    *walk =
        (struct key_walk){.keyspace = db->keyspace, .table = db->keys, .visit = visit, .context = context};
    table_init(&walk->added, &added_type, db->keyspace, NULL);
    list_append(&db->walks, &walk->node);
}

void key_walk_end(struct key_walk *walk)
{
    list_remove(&walk->node);
    table_done(&walk->added);
}

/* V1 */
static bool is_before_position(const struct key_walk *walk, uint64_t hash)
{
    return walk->is_over || table_scan_order(hash) < table_scan_order(walk->cursor);
}

static bool find_added(const struct key_walk *walk, const struct entry *entry, uint64_t hash,
                       struct table_position *ret_position)
{
    return table_size(&walk->added) > 0 && table_locate(&walk->added, hash, item_equal, entry, ret_position);
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
    if (find_added(walk, entry, hash, &position))
        table_remove(&walk->added, &position);
    else
        walk->visit(entry, walk->context);
}

bool key_walk_step(struct key_walk *walk)
{
    if (!walk->is_over) {
        walk->cursor = table_scan(walk->table, walk->cursor, visit_item, walk);
        walk->is_over = walk->cursor == 0;
    }
    return !walk->is_over;
}

/* ---- What the keyspace tells -------------------------------------------------------------------------------- */

void key_walks_inserted(struct list_node *walks, struct entry *entry, uint64_t hash)
{
    list_for_each(walks, node)
    {
        struct key_walk *walk = list_entry(node, struct key_walk, node);
        if (!is_before_position(walk, hash) && table_insert(&walk->added, hash, entry) != ST_OK)
            fatal("out of memory for a walk over keys");
    }
}

void key_walks_removing(struct list_node *walks, struct entry *entry)
{
    list_for_each(walks, node) visit_item(entry, list_entry(node, struct key_walk, node));
}

void key_walks_replacing(struct list_node *walks, struct entry *old, struct entry *entry, uint64_t hash)
{
    struct table_position position;
    list_for_each(walks, node)
    {
        struct key_walk *walk = list_entry(node, struct key_walk, node);
        if (find_added(walk, old, hash, &position))
            table_replace(&walk->added, &position, entry);
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
