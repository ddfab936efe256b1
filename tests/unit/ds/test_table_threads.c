/* A writer and two readers on threads of their own, with the processor's real memory: what is always there is always found, what is
 * never there never, and nobody looks at what has been released.
 *
 * The writer inserts, removes and replaces, so that the table grows and shrinks over and over, through segments of all sizes, and
 * now and then puts a new table in the place of the old one, which it drains beneath the readers. Items are overwritten when they
 * are released; so are tables. Keys of one kind are in each table from before it is published, and are replaced, not removed.
 * SKUA_TABLE_CHANGES=100000000 makes it long. It ends after so many changes, whatever the readers have done. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/epoch.h"
#include "base/heap.h"
#include "base/rng.h"
#include "ds/table.h"

#define READERS   2
#define STEADY    300   /* keys 0 .. STEADY - 1 are always there */
#define CHANGING  20000 /* keys from STEADY on come and go */
#define LOOKUPS   16    /* in one section */
#define POISON    UINT64_C(0xdeadbeefdeadbeef)
#define TRIES_MAX 100

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SLOWER 10
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SLOWER 10
#endif
#endif
#ifndef SLOWER
#define SLOWER 1
#endif

struct item {
    uint64_t key;
    uint64_t check; /* ~key; neither is after the release */
};

struct writer {
    struct epoch epoch;
    struct limbo limbo;
    struct heap *heap;
    _Atomic(struct table *) keys;
    _Atomic bool done;
    uint64_t hash_mask;
    struct rng rng;
    uint64_t changes, exchanges;
};

struct reader {
    struct writer *writer;
    uint32_t number;
    struct rng rng;
    uint64_t hits, misses, unsure;
    const char *fault; /* asserted by the main thread */
};

static uint64_t hash_of(const struct writer *writer, uint64_t key)
{
    uint64_t hash = (key + 1) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 29;
    return hash * 0xbf58476d1ce4e5b9 & writer->hash_mask;
}

static uint64_t item_hash(const void *item, void *context)
{
    return hash_of(context, ((const struct item *)item)->key);
}

static bool item_equal(const void *item, const void *key)
{
    return ((const struct item *)item)->key == *(const uint64_t *)key;
}

static const struct table_type item_type = {.hash = item_hash};

/* ---- The writer ------------------------------------------------------------------------------------- */

static void release_item(void *context, void *block, size_t size)
{
    struct writer *writer = context;
    memset(block, 0xdd, size);
    heap_release(writer->heap, block, size);
}

static void release_table(void *context, void *block, size_t size)
{
    (void)context;
    memset(block, 0xdd, size);
    mem_free(block);
}

static void retire_item(void *item, void *context)
{
    struct writer *writer = context;
    limbo_add(&writer->limbo, release_item, writer, item, sizeof(struct item));
}

static struct item *item_new(struct writer *writer, uint64_t key)
{
    struct item *item = heap_alloc(writer->heap, sizeof *item);
    *item = (struct item){key, ~key};
    return item;
}

static struct table *keys_of(struct writer *writer)
{
    return atomic_load_explicit(&writer->keys, memory_order_acquire);
}

static void insert(struct writer *writer, struct table *table, uint64_t key)
{
    ASSERT(table_insert(table, hash_of(writer, key), item_new(writer, key)) == ST_OK);
}

static struct table *table_new(struct writer *writer)
{
    struct table *table = mem_alloc(sizeof *table);
    table_init(table, &item_type, writer, writer->heap);
    table->limbo = &writer->limbo;
    for (uint64_t key = 0; key < STEADY; key++)
        insert(writer, table, key);
    return table;
}

/* Another table comes in its place; the old one is drained, and goes. */
static void exchange(struct writer *writer, struct table *other)
{
    struct table *old = keys_of(writer);
    atomic_store_explicit(&writer->keys, other, memory_order_release);
    while (!table_drain(old, 1 + rng_below(&writer->rng, 100), retire_item, writer))
        ;
    table_done(old);
    limbo_add(&writer->limbo, release_table, NULL, old, sizeof *old);
    writer->exchanges++;
}

/* The table tends to `goal` items. */
static void change(struct writer *writer, uint64_t goal)
{
    struct table *table = keys_of(writer);
    uint64_t key = rng_below(&writer->rng, STEADY + CHANGING);
    struct table_position position;
    bool is_there = table_locate(table, hash_of(writer, key), item_equal, &key, &position);
    bool grow = table_size(table) < goal;
    if (rng_below(&writer->rng, 8) == 0)
        grow = !grow;
    if (is_there && (key < STEADY || rng_below(&writer->rng, 8) == 0))
        retire_item(table_replace(table, &position, item_new(writer, key)), writer);
    else if (is_there && !grow)
        retire_item(table_remove(table, &position), writer);
    else if (!is_there && grow)
        insert(writer, table, key);
}

static void *write_all(void *context)
{
    struct writer *writer = context;
    uint64_t goal = CHANGING;
    for (uint64_t i = 0; i < writer->changes; i++) {
        change(writer, goal);
        if (rng_below(&writer->rng, CHANGING) == 0) {
            goal = STEADY + rng_below(&writer->rng, CHANGING) / (1 + rng_below(&writer->rng, 50));
            limbo_step(&writer->limbo, 4);
        }
        if (rng_below(&writer->rng, 3 * CHANGING) == 0)
            exchange(writer, table_new(writer));
    }
    atomic_store_explicit(&writer->done, true, memory_order_release);
    return NULL;
}

/* ---- The readers ------------------------------------------------------------------------------------ */

/* A miss in a table that is not the one any more means nothing: it may have been drained since its address was loaded. (In the
 * keyspace it is the sequence that tells.) */
static enum table_seen find(struct reader *reader, uint64_t key, const struct item **ret_item)
{
    struct writer *writer = reader->writer;
    void *item = NULL;
    enum table_seen seen = TABLE_UNSURE;
    for (unsigned i = 0; i < TRIES_MAX && seen == TABLE_UNSURE; i++) {
        const struct table *table = keys_of(writer);
        seen = table_find_shared(table, hash_of(writer, key), item_equal, &key, &item);
        if (seen == TABLE_MISS && table != keys_of(writer))
            seen = TABLE_UNSURE;
        reader->unsure += seen == TABLE_UNSURE;
    }
    *ret_item = item;
    return seen;
}

static void look(struct reader *reader)
{
    struct writer *writer = reader->writer;
    uint64_t kind = rng_below(&reader->rng, 4);
    uint64_t key = kind < 2    ? rng_below(&reader->rng, STEADY)
                   : kind == 2 ? STEADY + rng_below(&reader->rng, CHANGING)
                               : STEADY + CHANGING + rng_below(&reader->rng, CHANGING);
    const struct table_bucket *child;
    const struct item *likely_item = table_likely_item_shared(keys_of(writer), hash_of(writer, key), &child);
    if (child)
        likely_item = table_likely_item_in(child, hash_of(writer, key));
    if (likely_item && likely_item->key != ~likely_item->check)
        reader->fault = "a likely item that is none";
    const struct item *item;
    enum table_seen seen = find(reader, key, &item);
    reader->hits += seen == TABLE_HIT;
    reader->misses += seen == TABLE_MISS;
    if (seen == TABLE_HIT && (item->key != key || item->check != ~key))
        reader->fault = "a hit that is none";
    if (seen == TABLE_HIT && kind == 3)
        reader->fault = "a key that was never there";
    if (seen == TABLE_MISS && kind < 2)
        reader->fault = "a key was missed that is always there";
}

static void *read_all(void *context)
{
    struct reader *reader = context;
    struct writer *writer = reader->writer;
    while (!reader->fault && !atomic_load_explicit(&writer->done, memory_order_acquire)) {
        epoch_enter(&writer->epoch, reader->number);
        for (unsigned i = 0; i < LOOKUPS; i++)
            look(reader);
        epoch_leave(&writer->epoch, reader->number);
    }
    return NULL;
}

/* ---- Runs ------------------------------------------------------------------------------------------- */

static void run(uint64_t hash_mask, uint64_t changes)
{
    struct writer *writer = mem_calloc(1, sizeof *writer);
    struct reader readers[READERS] = {0};
    pthread_t threads[READERS + 1];
    size_t before = mem_used();
    const char *wanted = getenv("SKUA_TABLE_CHANGES");
    writer->changes = wanted ? strtoull(wanted, NULL, 10) : changes / SLOWER;
    writer->hash_mask = hash_mask;
    writer->heap = heap_new();
    rng_seed(&writer->rng, 1);
    epoch_init(&writer->epoch);
    epoch_expect(&writer->epoch, READERS - 1);
    limbo_init(&writer->limbo, &writer->epoch);
    limbo_turn_on(&writer->limbo);
    atomic_store_explicit(&writer->keys, table_new(writer), memory_order_release);
    for (uint32_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.writer = writer, .number = i};
        rng_seed(&readers[i].rng, 2 + i);
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
    }
    assert_int_equal(pthread_create(&threads[READERS], NULL, write_all, writer), 0);
    for (uint32_t i = 0; i <= READERS; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < READERS; i++) {
        print_message("%llu hits, %llu misses, %llu unsure\n", (unsigned long long)readers[i].hits,
                      (unsigned long long)readers[i].misses, (unsigned long long)readers[i].unsure);
        if (readers[i].fault)
            fail_msg("%s", readers[i].fault);
    }
    table_check(keys_of(writer));
    exchange(writer, NULL);
    assert_true(limbo_turn_off(&writer->limbo));
    limbo_done(&writer->limbo);
    heap_free(writer->heap);
    assert_int_equal(mem_used(), before);
    mem_free(writer);
}

static void readers_beside_a_writer(void **state)
{
    (void)state;
    run(UINT64_MAX, 3000000);
}

/* Only a few hundred different places: chains of many children. */
static void readers_in_long_chains(void **state)
{
    (void)state;
    run(0x03000000000000ff, 600000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_beside_a_writer),
        cmocka_unit_test(readers_in_long_chains),
    };
    return cmocka_run_group_tests_name("table-threads", tests, NULL, NULL);
}
