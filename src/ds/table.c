/* The table's changes: insert, remove, and the splits and merges that follow from them. See table.h.
 *
 * Principal entry points: table_insert, table_remove, table_drain.
 * Threads: the table's owner. The order of stores is the one that T3 to T5 and T8 to T10 promise to readers elsewhere;
 * tests/unit/ds/test_table_model.c goes through what they can see of it. */
#include "ds/table.h"

#include <string.h>

#include "ds/table_internal.h"

#define SPLITS_MAX 2
#define MERGES_MAX 2

void table_init(struct table *table, const struct table_type *type, void *context, struct heap *heap)
{
    memset(table, 0, sizeof(*table));
    table->type = type;
    table->context = context;
    table->heap = heap;
}

void table_done(struct table *table)
{
    uint64_t bucket_count = table_bucket_count(table);
    atomic_store_explicit(&table->bucket_count, 0, memory_order_release);
    table_raise_generation(table);
    for (uint64_t index = 0; index < bucket_count && table->child_count; index++)
        table_chain_clear(table, table_bucket_at(table, index));
    table_segments_free(table);
    table->item_count = 0;
    table->due_cursor = 0;
    table->due_opened = 0;
}

/* ---- Chains --------------------------------------------------------------------------------------- */

void table_chain_prefetch_items(const struct table_bucket *head)
{
    for (const struct table_bucket *bucket = head; bucket; bucket = bucket_child(bucket)) {
        for_each_slot(bucket_present(bucket), slot) prefetch((const void *)bucket_slot(bucket, slot));
    }
}

size_t table_chain_count(const struct table_bucket *head)
{
    size_t count = 0;
    for (const struct table_bucket *bucket = head; bucket; bucket = bucket_child(bucket))
        count += (size_t)__builtin_popcount(bucket_present(bucket));
    return count;
}

void table_chain_clear(struct table *table, struct table_bucket *head)
{
    struct table_bucket *child = bucket_child(head);
    bucket_set_meta(head, 0);
    bucket_set_slot(head, LAST_SLOT, 0);
    while (child) {
        struct table_bucket *next = bucket_child(child);
        table_child_free(table, child);
        child = next;
    }
}

/* Pointer first, then tag and presence in one store (T3). */
static void bucket_put(struct table_bucket *bucket, unsigned slot, uint8_t tag, uintptr_t item)
{
    bucket_set_slot(bucket, slot, item);
    uint64_t meta = bucket_meta(bucket) & ~((uint64_t)0xff << (8 * slot));
    bucket_set_meta(bucket,
                    meta | (uint64_t)tag << (8 * slot) | (uint64_t)1 << (TABLE_PRESENCE_SHIFT + slot));
}

static void bucket_clear(struct table_bucket *bucket, unsigned slot)
{
    bucket_set_meta(bucket, bucket_meta(bucket) & ~((uint64_t)1 << (TABLE_PRESENCE_SHIFT + slot)));
}

static struct table_bucket *chain_tail(struct table_bucket *head, struct table_bucket **ret_parent)
{
    struct table_bucket *parent = NULL, *bucket = head, *child;
    while (unlikely((child = bucket_child(bucket)) != NULL)) {
        parent = bucket;
        bucket = child;
    }
    *ret_parent = parent;
    return bucket;
}

/* Puts an item at the end of a chain. False when a child bucket is needed and cannot be had. */
static bool chain_append(struct table *table, struct table_bucket *head, uint8_t tag, uintptr_t item)
{
    struct table_bucket *parent;
    struct table_bucket *tail = chain_tail(head, &parent);
    unsigned holes = ~bucket_present(tail) & ALL_SLOTS;
    if (likely(holes)) {
        bucket_put(tail, (unsigned)__builtin_ctz(holes), tag, item);
        return true;
    }
    struct table_bucket *child = table_child_new(table);
    if (!child)
        return false;
    /* The child has the item of the last slot before the link takes its place, so it is never missed. */
    bucket_put(child, 0, bucket_tag(tail, LAST_SLOT), bucket_slot(tail, LAST_SLOT));
    bucket_put(child, 1, tag, item);
    bucket_set_slot(tail, LAST_SLOT, (uintptr_t)child | CHILD_LINK);
    bucket_clear(tail, LAST_SLOT);
    return true;
}

/* The tail has one item left: it takes the place of the link, and the chain ends one bucket earlier. From the store of the slot to
 * that of its bit nobody finds it. */
static void chain_shorten(struct table *table, struct table_bucket *parent, struct table_bucket *tail)
{
    unsigned slot = (unsigned)__builtin_ctz(bucket_present(tail));
    table_begin_gap(table);
    bucket_put(parent, LAST_SLOT, bucket_tag(tail, slot), bucket_slot(tail, slot));
    table_end_gap(table);
    table_child_free(table, tail);
}

/* Takes an item out of a chain and fills the hole from the end (T5). */
static void chain_remove(struct table *table, struct table_bucket *head, struct table_bucket *bucket,
                         unsigned slot)
{
    bucket_clear(bucket, slot);
    struct table_bucket *parent;
    struct table_bucket *tail = chain_tail(head, &parent);
    if (likely(!parent))
        return;
    if (bucket != tail) {
        unsigned last = 31 - (unsigned)__builtin_clz(bucket_present(tail));
        bucket_put(bucket, slot, bucket_tag(tail, last), bucket_slot(tail, last));
        table_raise_generation(table);
        bucket_clear(tail, last);
    }
    unsigned present = bucket_present(tail);
    if ((present & (present - 1)) == 0)
        chain_shorten(table, parent, tail);
}

/* ---- Growth --------------------------------------------------------------------------------------- */

/* Copies those items of the chain whose hash has `bit` to the empty bucket `sibling`. */
static bool split_copy(struct table *table, struct table_bucket *head, struct table_bucket *sibling,
                       uint64_t bit)
{
    for (struct table_bucket *bucket = head; bucket; bucket = bucket_child(bucket)) {
        for_each_slot(bucket_present(bucket), slot)
        {
            uintptr_t item = bucket_slot(bucket, slot);
            uint64_t hash = table->type->hash((const void *)item, table->context);
            if ((hash & bit) && !chain_append(table, sibling, table_tag_of(hash), item)) {
                table_chain_clear(table, sibling);
                return false;
            }
        }
    }
    return true;
}

/* Takes those items whose hash has `bit` out of the chain. What fills a hole is looked at again. */
static void split_clear(struct table *table, struct table_bucket *head, uint64_t bit)
{
    struct table_bucket *bucket = head;
    while (bucket) {
        bool shortened = false;
        for (unsigned slot = 0; slot < TABLE_SLOTS;) {
            if (!(bucket_present(bucket) >> slot & 1)) {
                slot++;
                continue;
            }
            uint64_t hash = table->type->hash((const void *)bucket_slot(bucket, slot), table->context);
            if (!(hash & bit)) {
                slot++;
                continue;
            }
            uint64_t children = table->child_count;
            chain_remove(table, head, bucket, slot);
            if (table->child_count != children) {
                shortened = true;
                break;
            }
        }
        /* A shorter chain may end before `bucket`, so it is walked from its head again. */
        bucket = shortened ? head : bucket_child(bucket);
    }
}

/* Divides the next bucket of this round. False when there is no memory for it now. */
static bool table_split(struct table *table)
{
    uint64_t bucket_count = table_bucket_count(table);
    uint64_t bit = (uint64_t)1 << (63 - __builtin_clzll(bucket_count));
    uint64_t index = bucket_count - bit;
    if (!table_segment_ensure(table, bucket_count))
        return false;
    struct table_bucket *head = table_bucket_at(table, index);
    struct table_bucket *sibling = table_bucket_at(table, bucket_count);
    table_chain_prefetch_items(head);
    uint32_t bound = table_due_bound(table, index);
    if (bound != TABLE_DUE_NONE && !table_due_set(table, bucket_count, bound))
        return false;
    if (!split_copy(table, head, sibling, bit)) {
        table_due_set(table, bucket_count, TABLE_DUE_NONE);
        return false;
    }
    if (MUTANT(MOVE_CLEARS_FIRST))
        split_clear(table, head, bit);
    MUTANT_PAUSE(MOVE_CLEARS_FIRST);
    atomic_store_explicit(&table->bucket_count, bucket_count + 1, memory_order_release);
    table_raise_generation(table);
    split_clear(table, head, bit);
    if (bound != TABLE_DUE_NONE) {
        table_due_set(table, index, table_due_of_chain(table, head));
        table_due_set(table, bucket_count, table_due_of_chain(table, sibling));
    }
    return true;
}

/* After an insert: splits what is over the load, or asks for the lines that the next split will need. With
 * TABLE_LOAD inserts between two splits the memory has that long to answer. */
static void table_grow(struct table *table)
{
    uint64_t bucket_count = table_bucket_count(table);
    int64_t slack = (int64_t)(bucket_count * TABLE_LOAD - table->item_count);
    if (likely(slack > 1))
        return;
    uint64_t next = bucket_count - ((uint64_t)1 << (63 - __builtin_clzll(bucket_count)));
    if (slack == 1) {
        prefetch(table_bucket_at(table, next));
        return;
    }
    if (slack == 0) {
        table_chain_prefetch_items(table_bucket_at(table, next));
        return;
    }
    for (unsigned i = 0; i < SPLITS_MAX && table_split(table); i++) {
        if (table->item_count <= table_bucket_count(table) * TABLE_LOAD)
            return;
    }
}

enum status table_insert(struct table *table, uint64_t hash, void *item)
{
    DEBUG_ASSERT(((uintptr_t)item & CHILD_LINK) == 0);
    if (unlikely(table_bucket_count(table) == 0)) {
        if (!table_segment_ensure(table, 0))
            return ST_NOMEM;
        atomic_store_explicit(&table->bucket_count, 1, memory_order_release);
    }
    struct table_bucket *head = table_bucket_at(table, table_index_of(table_bucket_count(table), hash));
    if (unlikely(!chain_append(table, head, table_tag_of(hash), (uintptr_t)item)))
        return ST_NOMEM;
    table->item_count++;
    table_grow(table);
    return ST_OK;
}

/* ---- Shrinking ------------------------------------------------------------------------------------ */

/* Takes an item out of a chain that certainly has it. */
static void chain_remove_item(struct table *table, struct table_bucket *head, uintptr_t item)
{
    for (struct table_bucket *bucket = head; bucket; bucket = bucket_child(bucket)) {
        for_each_slot(bucket_present(bucket), slot)
        {
            if (bucket_slot(bucket, slot) == item) {
                chain_remove(table, head, bucket, slot);
                return;
            }
        }
    }
    BUG("item not in its chain");
}

/* Takes the first `count` items of `sibling` out of `head` again. */
static void merge_undo(struct table *table, struct table_bucket *head, struct table_bucket *sibling,
                       size_t count)
{
    for (struct table_bucket *bucket = sibling; bucket; bucket = bucket_child(bucket)) {
        for_each_slot(bucket_present(bucket), slot)
        {
            if (count-- == 0)
                return;
            chain_remove_item(table, head, bucket_slot(bucket, slot));
        }
    }
}

/* Puts the last bucket's items back where they were split from. False when there is no memory for it now. */
static bool table_merge(struct table *table)
{
    uint64_t last = table_bucket_count(table) - 1;
    uint64_t index = last & ~((uint64_t)1 << (63 - __builtin_clzll(last)));
    struct table_bucket *head = table_bucket_at(table, index);
    struct table_bucket *sibling = table_bucket_at(table, last);
    size_t copied = 0;
    for (struct table_bucket *bucket = sibling; bucket; bucket = bucket_child(bucket)) {
        for_each_slot(bucket_present(bucket), slot)
        {
            if (!chain_append(table, head, bucket_tag(bucket, slot), bucket_slot(bucket, slot))) {
                merge_undo(table, head, sibling, copied);
                return false;
            }
            copied++;
        }
    }
    uint32_t bound = table_due_bound(table, last);
    if (bound < table_due_bound(table, index) && !table_due_set(table, index, bound)) {
        merge_undo(table, head, sibling, copied);
        return false;
    }
    atomic_store_explicit(&table->bucket_count, last, memory_order_release);
    table_raise_generation(table);
    table_chain_clear(table, sibling);
    table_due_set(table, last, TABLE_DUE_NONE);
    table_segment_release(table);
    return true;
}

static void table_shrink(struct table *table)
{
    for (unsigned i = 0; i < MERGES_MAX; i++) {
        uint64_t bucket_count = table_bucket_count(table);
        if (likely(table->item_count * TABLE_LOAD_MIN_DEN >= bucket_count * TABLE_LOAD_MIN_NUM) ||
            bucket_count == 1)
            return;
        if (!table_merge(table))
            return;
    }
}

void *table_remove(struct table *table, const struct table_position *position)
{
    void *item = table_item_at(position);
    chain_remove(table, table_bucket_at(table, position->head_index), position->bucket, position->slot);
    table->item_count--;
    table_shrink(table);
    return item;
}

bool table_drain(struct table *table, size_t buckets_max, table_visit_fn visit, void *context)
{
    uint64_t bucket_count = table_bucket_count(table);
    while (bucket_count > 0 && buckets_max-- > 0) {
        struct table_bucket *head = table_bucket_at(table, bucket_count - 1);
        if (bucket_count >= 3)
            prefetch(table_bucket_at(table, bucket_count - 3));
        if (bucket_count >= 2)
            table_chain_prefetch_items(table_bucket_at(table, bucket_count - 2));
        table->item_count -= table_chain_count(head);
        /* Nobody finds an item any more when it is handed out. */
        for (struct table_bucket *bucket = head; bucket; bucket = bucket_child(bucket)) {
            unsigned present = bucket_present(bucket);
            bucket_set_meta(bucket, 0);
            for_each_slot(present, slot) visit((void *)bucket_slot(bucket, slot), context);
        }
        table_chain_clear(table, head);
        bucket_count--;
        table_due_set(table, bucket_count, TABLE_DUE_NONE);
        atomic_store_explicit(&table->bucket_count, bucket_count, memory_order_release);
        table_raise_generation(table);
        table_segment_release(table);
    }
    return bucket_count == 0;
}
