/* Proves that a table finds exactly what is in it through any mixture of growth and shrinking, that a scan
 * visits what stays present however the table changes between its steps, that a sweep hands out every item
 * that is due and no other, that random items are spread evenly, and that memory is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/ahead.h"
#include "base/alloc.h"
#include "base/worker.h"
#include "ds/table.h"

#define ITEMS 60000

struct item {
    uint64_t key;
    uint32_t due;
    bool present;
    bool was_missing; /* at any time during a scan */
    uint32_t visits;
};

struct fixture {
    struct table table;
    struct heap *heap;
    struct rng rng;
    uint64_t hash_mask; /* few bits make long chains */
    struct item *items;
    size_t present;
};

static uint64_t hash_of(const struct fixture *fixture, uint64_t key)
{
    uint64_t hash = (key + 1) * 0x9e3779b97f4a7c15ull;
    hash ^= hash >> 29;
    return hash * 0xbf58476d1ce4e5b9ull & fixture->hash_mask;
}

static uint64_t item_hash(const void *item, void *context)
{
    return hash_of(context, ((const struct item *)item)->key);
}

static uint32_t item_due(const void *item, void *context)
{
    (void)context;
    return ((const struct item *)item)->due;
}

static bool item_equal(const void *item, const void *key)
{
    return ((const struct item *)item)->key == *(const uint64_t *)key;
}

static const struct table_type type = {.hash = item_hash, .due = item_due};

static void set_up(struct fixture *fixture, uint64_t seed, uint64_t hash_mask, bool with_heap)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->heap = with_heap ? heap_new() : NULL;
    fixture->hash_mask = hash_mask;
    fixture->items = mem_calloc(ITEMS, sizeof(*fixture->items));
    rng_seed(&fixture->rng, seed);
    table_init(&fixture->table, &type, fixture, fixture->heap);
    for (size_t i = 0; i < ITEMS; i++) {
        fixture->items[i].key = i;
        fixture->items[i].due = TABLE_DUE_NONE;
    }
}

static void tear_down(struct fixture *fixture)
{
    table_done(&fixture->table);
    heap_free(fixture->heap);
    mem_free(fixture->items);
}

static void add(struct fixture *fixture, struct item *item)
{
    assert_false(item->present);
    uint64_t hash = hash_of(fixture, item->key);
    assert_int_equal(table_insert(&fixture->table, hash, item), ST_OK);
    if (item->due != TABLE_DUE_NONE)
        table_due_note(&fixture->table, hash, item->due);
    item->present = true;
    fixture->present++;
}

static void take(struct fixture *fixture, struct item *item)
{
    struct table_position position = {0};
    assert_true(
        table_locate(&fixture->table, hash_of(fixture, item->key), item_equal, &item->key, &position));
    assert_ptr_equal(table_item_at(&position), item);
    assert_ptr_equal(table_remove(&fixture->table, &position), item);
    item->present = false;
    item->was_missing = true;
    fixture->present--;
}

static void expect_same(const struct fixture *fixture)
{
    table_check(&fixture->table);
    assert_int_equal(table_size(&fixture->table), fixture->present);
    for (size_t i = 0; i < ITEMS; i++) {
        const struct item *item = &fixture->items[i];
        void *found = table_find(&fixture->table, hash_of(fixture, item->key), item_equal, &item->key);
        assert_ptr_equal(found, item->present ? item : NULL);
    }
}

/* One random change; the table tends to `goal` items. */
static void change(struct fixture *fixture, size_t goal)
{
    struct item *item = &fixture->items[rng_below(&fixture->rng, ITEMS)];
    bool grow = fixture->present < goal || (fixture->present == goal && rng_below(&fixture->rng, 2));
    /* Wrong way now and then. */
    if (rng_below(&fixture->rng, 8) == 0)
        grow = !grow;
    if (grow && !item->present)
        add(fixture, item);
    else if (!grow && item->present)
        take(fixture, item);
}

static void run_model(uint64_t hash_mask, bool with_heap)
{
    static const size_t goals[] = {10, 3000, 0, ITEMS / 2, 100, ITEMS, 7, ITEMS / 3, 0};
    struct fixture fixture;
    set_up(&fixture, 4, hash_mask, with_heap);
    for (size_t g = 0; g < sizeof(goals) / sizeof(goals[0]); g++) {
        for (size_t step = 0; fixture.present != goals[g] && step < 4 * ITEMS; step++)
            change(&fixture, goals[g]);
        expect_same(&fixture);
    }
    tear_down(&fixture);
}

static void test_model(void **state)
{
    (void)state;
    size_t before = mem_used();
    run_model(UINT64_MAX, true);
    run_model(UINT64_MAX, false);
    assert_int_equal(mem_used(), before);
}

/* Only 4096 different hashes of which buckets see 2^9: chains of many children. */
static void test_model_with_long_chains(void **state)
{
    (void)state;
    run_model(0x07000000000001ffull, true);
}

static void test_replace_keeps_the_place(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1, UINT64_MAX, true);
    for (size_t i = 0; i < 100; i++)
        add(&fixture, &fixture.items[i]);
    struct item other = {.key = 42, .due = TABLE_DUE_NONE};
    struct table_position position = {0};
    assert_true(table_locate(&fixture.table, hash_of(&fixture, 42), item_equal, &other.key, &position));
    assert_ptr_equal(table_replace(&fixture.table, &position, &other), &fixture.items[42]);
    assert_ptr_equal(table_find(&fixture.table, hash_of(&fixture, 42), item_equal, &other.key), &other);
    assert_int_equal(table_size(&fixture.table), 100);
    table_check(&fixture.table);
    tear_down(&fixture);
}

static void count_visit(void *item, void *context)
{
    (void)context;
    ((struct item *)item)->visits++;
}

/* One scan from start to end with random changes between its steps. */
static void scan_once(struct fixture *fixture, size_t changes_max)
{
    for (size_t i = 0; i < ITEMS; i++) {
        fixture->items[i].visits = 0;
        fixture->items[i].was_missing = !fixture->items[i].present;
    }
    uint64_t cursor = 0;
    size_t goal = rng_below(&fixture->rng, ITEMS), steps = 0;
    do {
        cursor = table_scan(&fixture->table, cursor, count_visit, NULL);
        uint64_t changes = rng_below(&fixture->rng, changes_max + 1);
        while (changes--)
            change(fixture, goal);
        if (rng_below(&fixture->rng, 50) == 0)
            goal = rng_below(&fixture->rng, ITEMS);
        assert_true(++steps < 10 * ITEMS);
    } while (cursor);
    for (size_t i = 0; i < ITEMS; i++) {
        if (!fixture->items[i].was_missing)
            assert_true(fixture->items[i].visits > 0);
    }
}

static void test_scan_guarantee(void **state)
{
    (void)state;
    struct fixture fixture;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        set_up(&fixture, seed, seed % 3 ? UINT64_MAX : 0x07000000000001ffull, true);
        while (fixture.present < ITEMS / 2 / seed / seed)
            add(&fixture, &fixture.items[fixture.present]);
        scan_once(&fixture, 200);
        scan_once(&fixture, 10);
        table_check(&fixture.table);
        tear_down(&fixture);
    }
}

static void test_scan_without_changes_visits_once(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 9, UINT64_MAX, true);
    assert_int_equal(table_scan(&fixture.table, 0, count_visit, NULL), 0);
    /* Every point of a round. */
    for (size_t i = 0; i < 300; i++) {
        add(&fixture, &fixture.items[i]);
        uint64_t cursor = 0;
        do {
            cursor = table_scan(&fixture.table, cursor, count_visit, NULL);
        } while (cursor);
        for (size_t k = 0; k <= i; k++)
            assert_int_equal(fixture.items[k].visits, i - k + 1);
    }
    tear_down(&fixture);
}

/* A cursor that a client made up is harmless. */
static void test_scan_takes_any_cursor(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 9, UINT64_MAX, true);
    for (size_t i = 0; i < 1000; i++)
        add(&fixture, &fixture.items[i]);
    for (size_t i = 0; i < 1000; i++)
        table_scan(&fixture.table, rng_next(&fixture.rng), count_visit, NULL);
    table_scan(&fixture.table, UINT64_MAX, count_visit, NULL);
    tear_down(&fixture);
}

static void test_random_is_even(void **state)
{
    (void)state;
    enum { COUNT = 1500, DRAWS = 300000 }; /* in the middle of a round: chains of two kinds */
    struct fixture fixture;
    set_up(&fixture, 3, UINT64_MAX, true);
    assert_null(table_random(&fixture.table, &fixture.rng));
    for (size_t i = 0; i < COUNT; i++)
        add(&fixture, &fixture.items[i]);
    for (size_t i = 0; i < DRAWS; i++)
        ((struct item *)table_random(&fixture.table, &fixture.rng))->visits++;
    double expected = (double)DRAWS / COUNT, chi = 0;
    for (size_t i = 0; i < COUNT; i++) {
        double difference = fixture.items[i].visits - expected;
        chi += difference * difference / expected;
    }
    /* 1499 degrees of freedom: mean 1499, standard deviation 55. */
    assert_true(chi < 1499 + 6 * 55);
    tear_down(&fixture);
}

static void test_random_finds_the_last_ones(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 3, UINT64_MAX, true);
    for (size_t i = 0; i < ITEMS; i++)
        add(&fixture, &fixture.items[i]);
    for (size_t i = 1; i < ITEMS; i++)
        take(&fixture, &fixture.items[i]);
    assert_ptr_equal(table_random(&fixture.table, &fixture.rng), &fixture.items[0]);
    tear_down(&fixture);
}

struct sweep {
    struct fixture *fixture;
    uint32_t now;
    size_t refused;
};

static void sweep_visit(void *item, void *context)
{
    struct sweep *sweep = context;
    struct item *due = item;
    assert_true(due->present);
    assert_true(due->due <= sweep->now);
    if (due->key % 97 == 0 && due->visits++ == 0) { /* left once */
        sweep->refused++;
        return;
    }
    take(sweep->fixture, due);
}

static void sweep_round(struct sweep *sweep, uint64_t buckets_max, uint64_t items_max)
{
    struct fixture *fixture = sweep->fixture;
    for (size_t step = 0; step < 100000; step++) {
        size_t handed;
        bool around = table_due_sweep(&fixture->table, sweep->now, 1 + rng_below(&fixture->rng, buckets_max),
                                      1 + rng_below(&fixture->rng, items_max), sweep_visit, sweep, &handed);
        assert_true(handed <= items_max);
        if (around)
            return;
    }
    fail_msg("the sweep does not come around");
}

static void test_sweep_finds_exactly_what_is_due(void **state)
{
    (void)state;
    struct fixture fixture;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        set_up(&fixture, seed, seed == 4 ? 0x07000000000001ffull : UINT64_MAX, true);
        for (size_t i = 0; i < ITEMS; i++) {
            fixture.items[i].due = i % 3 ? (uint32_t)rng_below(&fixture.rng, 1000) : TABLE_DUE_NONE;
            add(&fixture, &fixture.items[i]);
        }
        for (uint32_t now = 0; now < 1100; now += 100) {
            struct sweep sweep = {&fixture, now, 0};
            sweep_round(&sweep, 5000, 300);
            for (size_t i = 0; i < ITEMS; i++) {
                if (fixture.items[i].present && fixture.items[i].due <= now)
                    assert_int_equal(fixture.items[i].visits, 1);
            }
            /* What was left is found again. */
            sweep_round(&sweep, 5000, 300);
            for (size_t i = 0; i < ITEMS; i++)
                assert_int_equal(fixture.items[i].present, fixture.items[i].due > now);
            table_check(&fixture.table);
        }
        assert_int_equal(fixture.present, ITEMS / 3);
        tear_down(&fixture);
    }
}

/* A later due time leaves a bound that is too early: one look corrects it. */
static void test_sweep_corrects_bounds(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1, UINT64_MAX, true);
    for (size_t i = 0; i < 1000; i++) {
        fixture.items[i].due = 5;
        add(&fixture, &fixture.items[i]);
        fixture.items[i].due = 500;
    }
    struct sweep sweep = {&fixture, 10, 0};
    sweep_round(&sweep, UINT32_MAX, UINT32_MAX);
    assert_int_equal(fixture.present, 1000);
    uint64_t opened = fixture.table.due_opened;
    assert_true(opened > 0);
    sweep_round(&sweep, UINT32_MAX, UINT32_MAX);
    assert_int_equal(fixture.table.due_opened, opened);
    sweep.now = 500;
    sweep_round(&sweep, UINT32_MAX, UINT32_MAX);
    assert_true(fixture.present <= sweep.refused);
    sweep_round(&sweep, UINT32_MAX, UINT32_MAX);
    assert_int_equal(fixture.present, 0);
    tear_down(&fixture);
}

static void drain_visit(void *item, void *context)
{
    struct fixture *fixture = context;
    ((struct item *)item)->present = false;
    fixture->present--;
}

static void test_drain(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1, UINT64_MAX, true);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < ITEMS; i++) {
            fixture.items[i].due = 3;
            add(&fixture, &fixture.items[i]);
        }
        size_t full = table_memory(&fixture.table), steps = 0;
        while (!table_drain(&fixture.table, 100, drain_visit, &fixture)) {
            assert_int_equal(table_size(&fixture.table), fixture.present);
            steps++;
        }
        assert_true(steps >= ITEMS / TABLE_LOAD / 100 - 1);
        assert_int_equal(fixture.present, 0);
        assert_int_equal(table_size(&fixture.table), 0);
        assert_true(table_memory(&fixture.table) < full / 10);
        expect_same(&fixture);
    }
    tear_down(&fixture);
}

static void test_shrinking_gives_memory_back(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, 1, UINT64_MAX, true);
    size_t before = mem_used();
    for (size_t i = 0; i < ITEMS; i++)
        add(&fixture, &fixture.items[i]);
    assert_true(table_memory(&fixture.table) < 18 * ITEMS);
    assert_true(mem_used() - before >= 64 * ITEMS / TABLE_LOAD);
    for (size_t i = 20; i < ITEMS; i++)
        take(&fixture, &fixture.items[i]);
    assert_true(table_memory(&fixture.table) < 256 << 10);
    table_check(&fixture.table);
    tear_down(&fixture);
}

static void test_empty_table_takes_no_memory(void **state)
{
    (void)state;
    size_t before = mem_used();
    struct table table;
    table_init(&table, &type, NULL, NULL);
    uint64_t key = 1;
    assert_null(table_find(&table, 1, item_equal, &key));
    assert_null(table_likely_item(&table, 1));
    table_prefetch_bucket(&table, 1, false);
    assert_int_equal(mem_used(), before);
    assert_int_equal(table_memory(&table), 0);
    size_t handed = 1;
    assert_true(table_due_sweep(&table, 1, 10, 10, sweep_visit, NULL, &handed));
    assert_int_equal(handed, 0);
    assert_true(table_drain(&table, 1, drain_visit, NULL));
    table_done(&table);
}

static void test_candidates(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 8);
    for (size_t i = 0; i < 100000; i++) {
        /* Bytes near the tag, where an inexact comparison would carry. */
        uint64_t meta = rng_next(&rng);
        uint8_t tag = (uint8_t)rng_next(&rng);
        for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
            if (rng_below(&rng, 3) == 0) {
                uint64_t byte = (uint8_t)(tag + rng_below(&rng, 3) - 1);
                meta = (meta & ~(0xffull << (8 * slot))) | byte << (8 * slot);
            }
        }
        unsigned expected = 0;
        for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
            if ((uint8_t)(meta >> (8 * slot)) == tag && (meta >> (TABLE_PRESENCE_SHIFT + slot) & 1))
                expected |= 1u << slot;
        }
        assert_int_equal(table_candidates(meta, tag), expected);
    }
}

static uint64_t number_hash(const void *item, void *context)
{
    return hash_of(context, *(const uint64_t *)item);
}

static bool number_equal(const void *item, const void *key)
{
    return *(const uint64_t *)item == *(const uint64_t *)key;
}

static const struct table_type number_type = {.hash = number_hash};

/* Large enough that a worker touches memory for buckets to come: growth that would not wait for it goes on later. */
static void test_growth_with_memory_touched_ahead(void **state)
{
    (void)state;
    enum { COUNT = 1500000, STEP = 101 };
    struct fixture fixture = {.hash_mask = UINT64_MAX};
    struct worker_pool *workers = worker_pool_new(1, 0);
    struct ahead *ahead = ahead_new(workers);
    struct heap *heap = heap_new();
    heap_set_ahead(heap, ahead, SIZE_MAX); /* the table only */
    ahead_set_on(ahead, true);
    uint64_t *numbers = mem_alloc(COUNT * sizeof *numbers);
    struct table table;
    table_init(&table, &number_type, &fixture, heap);
    for (uint64_t i = 0; i < COUNT; i++) {
        numbers[i] = i;
        assert_int_equal(table_insert(&table, hash_of(&fixture, i), &numbers[i]), ST_OK);
    }
    struct ahead_figures figures;
    ahead_figures(ahead, &figures);
    assert_true(figures.touched_bytes + figures.waiting_bytes >= 2 * AHEAD_SIZE);
    table_check(&table);
    for (uint64_t i = 0; i < COUNT; i += STEP)
        assert_ptr_equal(table_find(&table, hash_of(&fixture, i), number_equal, &i), &numbers[i]);
    table_done(&table); /* with a piece that waits */
    ahead_figures(ahead, &figures);
    assert_int_equal(figures.waiting_bytes, 0);
    heap_free(heap);
    mem_free(numbers);
    worker_pool_free(workers);
    ahead_free(ahead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_candidates),
        cmocka_unit_test(test_empty_table_takes_no_memory),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_model_with_long_chains),
        cmocka_unit_test(test_replace_keeps_the_place),
        cmocka_unit_test(test_scan_without_changes_visits_once),
        cmocka_unit_test(test_scan_guarantee),
        cmocka_unit_test(test_scan_takes_any_cursor),
        cmocka_unit_test(test_random_is_even),
        cmocka_unit_test(test_random_finds_the_last_ones),
        cmocka_unit_test(test_sweep_finds_exactly_what_is_due),
        cmocka_unit_test(test_sweep_corrects_bounds),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_shrinking_gives_memory_back),
        cmocka_unit_test(test_growth_with_memory_touched_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
