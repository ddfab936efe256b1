/* Ways through a table: scan, random item, due sweep, and the check of all its invariants. See table.h.
 *
 * Principal entry points: table_scan, table_random, table_due_sweep, table_due_seek, table_check.
 * Threads: the table's owner. */
#include "base/alloc.h"
#include "ds/table_internal.h"

/* table_random takes a bucket with a chance of its chain's length in so many. */
#define RANDOM_LENGTH    16
#define RANDOM_TRIES_MAX 64

/* Bounds that are compared at once in a sweep; divides every segment but the first. */
#define SWEEP_BLOCK 64
/* Items of one chain that are collected before they are handed out. */
#define SWEEP_ITEMS 64

/* ---- Scan ----------------------------------------------------------------------------------------- */

static void chain_visit(const struct table_bucket *head, table_visit_fn visit, void *context)
{
    for (const struct table_bucket *bucket = head; bucket; bucket = bucket_child(bucket)) {
        for_each_slot(bucket_present(bucket), slot) visit((void *)bucket_slot(bucket, slot), context);
    }
}

uint64_t table_scan(const struct table *table, uint64_t cursor, table_visit_fn visit, void *context)
{
    uint64_t bucket_count = table_bucket_count(table);
    if (bucket_count == 0)
        return 0;
    /* The number of a bucket at this round's start stands for itself and for its sibling, if it has one. A
     * split or a merge in between moves items only within such a pair; a round more or less appends or takes
     * away the highest bit, which counting from the top visits last. */
    uint64_t mask = ((uint64_t)1 << (63 - __builtin_clzll(bucket_count))) - 1;
    uint64_t index = cursor & mask;
    chain_visit(table_bucket_at(table, index), visit, context);
    if (index + mask + 1 < bucket_count)
        chain_visit(table_bucket_at(table, index + mask + 1), visit, context);
    /* Reversing twice gives back the number. */
    return table_scan_order(table_scan_order(cursor | ~mask) + 1);
}

static void prefetch_items(const struct table_bucket *head, unsigned lines)
{
    for (const struct table_bucket *bucket = head; bucket; bucket = bucket_child(bucket)) {
        for_each_slot(bucket_present(bucket), slot)
        {
            for (unsigned line = 0; line < lines; line++)
                prefetch((const char *)bucket_slot(bucket, slot) + line * CACHE_LINE);
        }
    }
}

void table_scan_prefetch(const struct table *table, uint64_t cursor, unsigned buckets_ahead,
                         unsigned items_ahead, unsigned item_lines)
{
    uint64_t bucket_count = table_bucket_count(table);
    if (bucket_count == 0)
        return;
    unsigned bits = 63 - (unsigned)__builtin_clzll(bucket_count);
    uint64_t mask = ((uint64_t)1 << bits) - 1;
    /* A step adds one at the top of the reversed bucket number; past the end it begins anew, which does no harm here. */
    uint64_t step = bits ? (uint64_t)1 << (64 - bits) : 0;
    uint64_t order = table_scan_order(cursor & mask);
    uint64_t bucket = table_scan_order(order + step * buckets_ahead) & mask;
    uint64_t items = table_scan_order(order + step * items_ahead) & mask;
    prefetch(table_bucket_at(table, bucket));
    prefetch_items(table_bucket_at(table, items), item_lines);
    if (bucket + mask + 1 < bucket_count)
        prefetch(table_bucket_at(table, bucket + mask + 1));
    if (items + mask + 1 < bucket_count)
        prefetch_items(table_bucket_at(table, items + mask + 1), item_lines);
}

/* ---- Random --------------------------------------------------------------------------------------- */

static void *chain_item(const struct table_bucket *head, size_t number)
{
    for (const struct table_bucket *bucket = head; bucket; bucket = bucket_child(bucket)) {
        unsigned present = bucket_present(bucket);
        size_t count = (size_t)__builtin_popcount(present);
        if (number >= count) {
            number -= count;
            continue;
        }
        for_each_slot(present, slot)
        {
            if (number-- == 0)
                return (void *)bucket_slot(bucket, slot);
        }
    }
    BUG("chain shorter than its count");
}

void *table_random(const struct table *table, struct rng *rng)
{
    if (table->item_count == 0)
        return NULL;
    uint64_t bucket_count = table_bucket_count(table);
    /* Rejection makes up for chains of different lengths; only items of chains longer than RANDOM_LENGTH have a
     * smaller chance. */
    for (unsigned i = 0; i < RANDOM_TRIES_MAX; i++) {
        const struct table_bucket *head = table_bucket_at(table, rng_below(rng, bucket_count));
        size_t length = table_chain_count(head);
        if (rng_below(rng, RANDOM_LENGTH) < length)
            return chain_item(head, rng_below(rng, length));
    }
    /* A load this low is rare (T1 and the shrinking keep it up): the next item in order will do. */
    for (uint64_t index = rng_below(rng, bucket_count);; index = index + 1 == bucket_count ? 0 : index + 1) {
        const struct table_bucket *head = table_bucket_at(table, index);
        size_t length = table_chain_count(head);
        if (length)
            return chain_item(head, rng_below(rng, length));
    }
}

/* ---- Due times ------------------------------------------------------------------------------------ */

uint32_t table_due_of_chain(const struct table *table, const struct table_bucket *head)
{
    uint32_t earliest = TABLE_DUE_NONE;
    for (const struct table_bucket *bucket = head; bucket; bucket = bucket_child(bucket)) {
        for_each_slot(bucket_present(bucket), slot)
        {
            uint32_t due = table->type->due((const void *)bucket_slot(bucket, slot), table->context);
            if (due < earliest)
                earliest = due;
        }
    }
    return earliest;
}

void table_due_note(struct table *table, uint64_t hash, uint32_t due)
{
    uint64_t index = table_index_of(table_bucket_count(table), hash);
    if (due < table_due_bound(table, index) && !table_due_set(table, index, due))
        fatal("no memory for the due times of a table");
}

/* Whether any of SWEEP_BLOCK inverted bounds is at least `limit`. Written so that the compiler vectorises it. */
static bool block_has_due(const uint32_t *inverted, uint32_t limit)
{
    uint32_t highest = 0;
    for (unsigned i = 0; i < SWEEP_BLOCK; i++)
        highest = inverted[i] > highest ? inverted[i] : highest;
    return highest >= limit;
}

/* Buckets below `end`, at most `count`, that can be passed over because nothing in them is due. */
static uint64_t due_skip(const struct table *table, uint64_t end, uint64_t count, uint32_t now)
{
    uint64_t offset;
    unsigned segment = table_segment_of(end - 1, &offset);
    if (count > offset + 1)
        count = offset + 1;
    if (!table->due_segments[segment])
        return count;
    const uint32_t *inverted_end = table->due_segments[segment] + offset + 1;
    uint64_t passed = 0;
    while (passed < count) {
        bool whole = count - passed >= SWEEP_BLOCK;
        if (whole && !block_has_due(inverted_end - passed - SWEEP_BLOCK, ~now)) {
            passed += SWEEP_BLOCK;
            continue;
        }
        uint64_t stop = whole ? passed + SWEEP_BLOCK : count;
        for (; passed < stop; passed++) {
            if (*(inverted_end - passed - 1) >= ~now)
                return passed;
        }
    }
    return passed;
}

/* Collects due items of a chain; an array of items stays valid while they are removed, positions do not. */
static size_t due_collect(const struct table *table, const struct table_bucket *head, uint32_t now,
                          void **ret_items, size_t skip)
{
    size_t count = 0;
    for (const struct table_bucket *bucket = head; bucket; bucket = bucket_child(bucket)) {
        for_each_slot(bucket_present(bucket), slot)
        {
            void *item = (void *)bucket_slot(bucket, slot);
            if (table->type->due(item, table->context) > now)
                continue;
            if (skip) {
                skip--;
                continue;
            }
            ret_items[count++] = item;
            if (count == SWEEP_ITEMS)
                return count;
        }
    }
    return count;
}

/* Hands out what is due in one bucket, at most `items_max` items; returns how many. */
static size_t due_bucket(struct table *table, uint64_t index, uint32_t now, size_t items_max,
                         table_visit_fn expire, void *context)
{
    void *items[SWEEP_ITEMS];
    size_t handed = 0, refused = 0;
    for (;;) {
        const struct table_bucket *head = table_bucket_at(table, index);
        table_chain_prefetch_items(head);
        size_t count = due_collect(table, head, now, items, refused);
        for (size_t i = 0; i < count; i++) {
            if (handed == items_max)
                return handed;
            uint64_t size = table->item_count;
            expire(items[i], context);
            handed++;
            refused += table->item_count == size;
        }
        /* A merge may have taken the bucket away, with what is left in it. */
        if (index >= table_bucket_count(table))
            return handed;
        if (count < SWEEP_ITEMS)
            break;
    }
    table_due_set(table, index, table_due_of_chain(table, table_bucket_at(table, index)));
    return handed;
}

bool table_due_sweep(struct table *table, uint32_t now, size_t buckets_max, size_t items_max,
                     table_visit_fn expire, void *context, size_t *ret_items)
{
    DEBUG_ASSERT(now < TABLE_DUE_NONE);
    size_t handed = 0;
    if (table->due_cursor == 0)
        table->due_cursor = table_bucket_count(table);
    while (buckets_max > 0 && handed < items_max) {
        /* Downwards: what expiry makes the table merge then moves from where the sweep has been. */
        if (table->due_cursor > table_bucket_count(table))
            table->due_cursor = table_bucket_count(table);
        if (table->due_cursor == 0)
            break;
        uint64_t end = table->due_cursor;
        uint64_t passed = due_skip(table, end, end < buckets_max ? end : buckets_max, now);
        table->due_cursor -= passed;
        buckets_max -= passed;
        if (passed == end || buckets_max == 0 || table_due_bound(table, table->due_cursor - 1) > now)
            continue;
        table->due_opened++;
        buckets_max -= buckets_max < TABLE_DUE_OPEN_COST ? buckets_max : TABLE_DUE_OPEN_COST;
        handed += due_bucket(table, table->due_cursor - 1, now, items_max - handed, expire, context);
        /* With items_max used up there may be more in this bucket: it is looked at again next time. */
        if (handed < items_max)
            table->due_cursor--;
    }
    *ret_items = handed;
    return table->due_cursor == 0;
}

/* Any of the wanted items of a chain, NULL when there is none. */
static void *chain_choose(const struct table_bucket *head, bool (*wanted)(const void *item), struct rng *rng)
{
    void *chosen = NULL;
    uint64_t seen = 0;
    for (const struct table_bucket *bucket = head; bucket; bucket = bucket_child(bucket)) {
        for_each_slot(bucket_present(bucket), slot)
        {
            void *item = (void *)bucket_slot(bucket, slot);
            if (wanted(item) && rng_below(rng, ++seen) == 0)
                chosen = item;
        }
    }
    return chosen;
}

void *table_due_seek(const struct table *table, uint64_t *cursor, size_t buckets_max,
                     bool (*wanted)(const void *item), struct rng *rng)
{
    const uint64_t bucket_count = table_bucket_count(table);
    const uint32_t ever = TABLE_DUE_NONE - 1;
    while (buckets_max > 0 && bucket_count > 0) {
        if (*cursor == 0 || *cursor > bucket_count)
            *cursor = bucket_count;
        uint64_t passed = due_skip(table, *cursor, *cursor < buckets_max ? *cursor : buckets_max, ever);
        *cursor -= passed;
        buckets_max -= passed;
        if (*cursor == 0 || buckets_max == 0 || table_due_bound(table, *cursor - 1) > ever)
            continue;
        buckets_max -= buckets_max < TABLE_DUE_OPEN_COST ? buckets_max : TABLE_DUE_OPEN_COST;
        --*cursor;
        void *item = chain_choose(table_bucket_at(table, *cursor), wanted, rng);
        if (item != NULL)
            return item;
    }
    return NULL;
}

/* ---- Check ---------------------------------------------------------------------------------------- */

struct check_totals {
    uint64_t items;
    uint64_t children;
};

static void check_bucket(const struct table *table, const struct table_bucket *bucket, uint64_t index,
                         struct check_totals *totals)
{
    uint64_t bucket_count = table_bucket_count(table);
    uint32_t bound = table->type->due ? table_due_bound(table, index) : 0;
    for_each_slot(bucket_present(bucket), slot)
    {
        const void *item = (const void *)bucket_slot(bucket, slot);
        ASSERT(item && !((uintptr_t)item & CHILD_LINK));
        uint64_t hash = table->type->hash(item, table->context);
        ASSERT(table_index_of(bucket_count, hash) == index);
        ASSERT(bucket_tag(bucket, slot) == table_tag_of(hash));
        ASSERT(!table->type->due || table->type->due(item, table->context) >= bound);
        totals->items++;
    }
}

void table_check(const struct table *table)
{
    uint64_t bucket_count = table_bucket_count(table);
    struct check_totals totals = {0};
    for (uint64_t index = 0; index < bucket_count; index++) {
        const struct table_bucket *bucket = table_bucket_at(table, index);
        for (const struct table_bucket *child; (child = bucket_child(bucket)) != NULL; bucket = child) {
            ASSERT(bucket_present(bucket) == (ALL_SLOTS >> 1));
            ASSERT(__builtin_popcount(bucket_present(child)) >= 2);
            check_bucket(table, bucket, index, &totals);
            totals.children++;
        }
        check_bucket(table, bucket, index, &totals);
    }
    ASSERT(totals.items == table->item_count);
    ASSERT(totals.children == table->child_count);
    uint64_t offset;
    for (uint64_t index = bucket_count; index < bucket_count + 8 && bucket_count; index++) {
        unsigned segment = table_segment_of(index, &offset);
        if (table->segments[segment])
            ASSERT(bucket_meta(&table->segments[segment][offset]) == 0 &&
                   !bucket_child(&table->segments[segment][offset]));
        ASSERT(table_due_bound(table, index) == TABLE_DUE_NONE);
    }
}
