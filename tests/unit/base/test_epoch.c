/* Proves that a limbo releases each block once, in order, and not before every section that was open has been left; that what release
 * functions add is waited for like all else and does not recurse; and that it can be turned off and on. The interleavings of
 * readers and owner are test_epoch_model.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/epoch.h"
#include "base/heap.h"
#include "base/rng.h"

#define READERS     5
#define BLOCKS      4000
#define CHAIN_LINKS 100000

struct fixture {
    struct epoch epoch;
    struct limbo limbo;
    struct rng rng;
    unsigned added, released;
    /* For each block, which sections were open when it was added: these have to be left first. */
    struct {
        uint64_t sections[READERS]; /* number of the section, 0: none */
        bool is_released;
    } blocks[BLOCKS];
    uint64_t open[READERS]; /* number of the section that each reader is in */
    uint64_t sections;
    unsigned depth, depth_max, left; /* of a chain of blocks */
    uint32_t reader;
};

static struct fixture *set_up(bool on)
{
    struct fixture *fixture = mem_calloc(1, sizeof *fixture);
    epoch_init(&fixture->epoch);
    limbo_init(&fixture->limbo, &fixture->epoch);
    rng_seed(&fixture->rng, 3);
    for (uint32_t i = 0; i < READERS; i++)
        epoch_expect(&fixture->epoch, i);
    if (on)
        limbo_turn_on(&fixture->limbo);
    return fixture;
}

static void tear_down(struct fixture *fixture)
{
    limbo_done(&fixture->limbo);
    assert_int_equal(fixture->limbo.items, 0);
    assert_int_equal(fixture->limbo.bytes, 0);
    mem_free(fixture);
}

static void release(void *context, void *block, size_t size)
{
    struct fixture *fixture = context;
    uintptr_t number = (uintptr_t)block;
    assert_int_equal(size, number + 1);
    assert_false(fixture->blocks[number].is_released);
    fixture->blocks[number].is_released = true;
    for (unsigned i = 0; i < READERS; i++)
        if (fixture->blocks[number].sections[i] != 0)
            assert_int_not_equal(fixture->blocks[number].sections[i], fixture->open[i]);
    assert_int_equal(number, fixture->released); /* oldest first */
    fixture->released++;
}

static void add(struct fixture *fixture)
{
    unsigned number = fixture->added++;
    for (unsigned i = 0; i < READERS; i++)
        fixture->blocks[number].sections[i] = fixture->open[i];
    limbo_add(&fixture->limbo, release, fixture, (void *)(uintptr_t)number, number + 1);
}

static void enter(struct fixture *fixture, uint32_t reader)
{
    epoch_enter(&fixture->epoch, reader);
    fixture->open[reader] = ++fixture->sections;
}

static void leave(struct fixture *fixture, uint32_t reader)
{
    fixture->open[reader] = 0;
    epoch_leave(&fixture->epoch, reader);
}

static void test_off_releases_at_once(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(false);
    for (unsigned i = 1; i <= 100; i++) {
        add(fixture);
        assert_int_equal(fixture->released, i);
    }
    assert_int_equal(fixture->limbo.items, 0);
    tear_down(fixture);
}

static void test_a_section_holds_what_was_there(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(true);
    enter(fixture, 3);
    for (unsigned i = 0; i < 1000; i++)
        add(fixture);
    limbo_step(&fixture->limbo, UINT32_MAX);
    assert_int_equal(fixture->released, 0);
    assert_int_equal(fixture->limbo.items, 1000);
    assert_int_equal(fixture->limbo.bytes, 1000 * 1001 / 2);
    /* One that begins now does not hold it. */
    enter(fixture, 1);
    leave(fixture, 3);
    assert_false(limbo_step(&fixture->limbo, UINT32_MAX));
    assert_int_equal(fixture->released, 1000);
    assert_int_equal(fixture->limbo.bytes, 0);
    leave(fixture, 1);
    tear_down(fixture);
}

static void test_steps_are_bounded(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(true);
    enter(fixture, 0);
    for (unsigned i = 0; i < 10 * LIMBO_BAG_ITEMS; i++)
        add(fixture);
    leave(fixture, 0);
    assert_true(limbo_step(&fixture->limbo, 3));
    assert_int_equal(fixture->released, 3 * LIMBO_BAG_ITEMS);
    assert_false(limbo_step(&fixture->limbo, 7));
    assert_int_equal(fixture->released, 10 * LIMBO_BAG_ITEMS);
    tear_down(fixture);
}

static void test_a_full_bag_needs_no_step(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(true);
    for (unsigned i = 0; i < BLOCKS; i++) {
        add(fixture);
        assert_true(fixture->limbo.items <= LIMBO_BAG_ITEMS);
    }
    tear_down(fixture);
    /* limbo_done releases the rest, and takes bags and all back. */
}

static void test_random_sections(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct fixture *fixture = set_up(true);
        rng_seed(&fixture->rng, round);
        while (fixture->added < BLOCKS) {
            uint32_t reader = (uint32_t)rng_below(&fixture->rng, READERS);
            switch (rng_below(&fixture->rng, round + 4)) {
            case 0:
                if (fixture->open[reader] == 0)
                    enter(fixture, reader);
                break;
            case 1:
                if (fixture->open[reader] != 0)
                    leave(fixture, reader);
                break;
            case 2: limbo_step(&fixture->limbo, (unsigned)rng_below(&fixture->rng, 4)); break;
            default: add(fixture); break;
            }
        }
        for (uint32_t reader = 0; reader < READERS; reader++)
            leave(fixture, reader);
        while (limbo_step(&fixture->limbo, 1))
            ;
        assert_int_equal(fixture->released, BLOCKS);
        tear_down(fixture);
    }
}

static void release_link(void *context, void *block, size_t size)
{
    struct fixture *fixture = context;
    fixture->depth++;
    if (fixture->depth > fixture->depth_max)
        fixture->depth_max = fixture->depth;
    if (fixture->left > 0) {
        fixture->left--;
        limbo_add(&fixture->limbo, release_link, context, block, size);
    }
    fixture->depth--;
    fixture->released++;
}

/* Each block's release adds the next one: a long chain takes steps, not stack. */
static void test_release_functions_may_add(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(true);
    fixture->left = CHAIN_LINKS;
    for (unsigned i = 0; i < 3 * LIMBO_BAG_ITEMS; i++)
        limbo_add(&fixture->limbo, release_link, fixture, NULL, 1);
    for (unsigned i = 0; i < CHAIN_LINKS && fixture->limbo.items > 0; i++)
        limbo_step(&fixture->limbo, UINT32_MAX);
    assert_int_equal(fixture->limbo.items, 0);
    assert_int_equal(fixture->released, CHAIN_LINKS + 3 * LIMBO_BAG_ITEMS);
    assert_int_equal(fixture->depth_max, 1);
    tear_down(fixture);
}

static void release_and_enter(void *context, void *block, size_t size)
{
    struct fixture *fixture = context;
    (void)block;
    (void)size;
    if (fixture->sections > 0)
        return;
    /* A reader comes in the middle of a step, behind its scan, and finds what is taken out only then. */
    enter(fixture, fixture->reader);
    for (unsigned i = 0; i < 2 * LIMBO_BAG_ITEMS; i++)
        add(fixture);
}

/* What a step's release functions add is not judged by the scan from before. */
static void test_a_scan_is_for_what_came_before_it(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(true);
    fixture->reader = 2;
    limbo_add(&fixture->limbo, release_and_enter, fixture, NULL, 1);
    limbo_step(&fixture->limbo, UINT32_MAX);
    assert_int_equal(fixture->sections, 1);
    assert_int_equal(fixture->released, 0);
    leave(fixture, 2);
    limbo_step(&fixture->limbo, UINT32_MAX);
    assert_int_equal(fixture->released, 2 * LIMBO_BAG_ITEMS);
    tear_down(fixture);
}

static void test_turning_off_waits_for_sections(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(true);
    enter(fixture, 4);
    assert_false(limbo_turn_off(&fixture->limbo)); /* with nothing in it, too */
    add(fixture);
    assert_false(limbo_turn_off(&fixture->limbo));
    add(fixture);
    assert_int_equal(fixture->released, 0);
    leave(fixture, 4);
    assert_true(limbo_turn_off(&fixture->limbo));
    assert_int_equal(fixture->released, 2);
    add(fixture);
    assert_int_equal(fixture->released, 3);
    limbo_turn_on(&fixture->limbo);
    enter(fixture, 0);
    add(fixture);
    limbo_step(&fixture->limbo, 1);
    assert_int_equal(fixture->released, 3);
    leave(fixture, 0);
    tear_down(fixture);
}

static void test_scans_look_at_expected_readers(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(true);
    assert_int_equal(epoch_oldest(&fixture->epoch), UINT64_MAX);
    epoch_expect(&fixture->epoch, EPOCH_READERS_MAX - 1);
    epoch_expect(&fixture->epoch, 7); /* does not lower it */
    epoch_enter(&fixture->epoch, EPOCH_READERS_MAX - 1);
    assert_int_equal(epoch_oldest(&fixture->epoch), atomic_load(&fixture->epoch.now));
    epoch_leave(&fixture->epoch, EPOCH_READERS_MAX - 1);
    assert_int_equal(epoch_oldest(&fixture->epoch), UINT64_MAX);
    tear_down(fixture);
}

/* P6 */
static void test_what_was_seen_is_the_same_until_it_is_released(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(false);
    struct limbo *limbo = &fixture->limbo;
    assert_int_equal(limbo->released, UINT64_MAX);
    uint64_t before = atomic_load(&fixture->epoch.now);
    limbo_turn_on(limbo);
    assert_true(before <= limbo->released); /* what was seen then may have been released at once */
    limbo->items_kept = 3 * LIMBO_BAG_ITEMS;
    enter(fixture, 0);
    uint64_t seen = epoch_entered(&fixture->epoch, 0);
    leave(fixture, 0);
    for (unsigned i = 0; i < 3 * LIMBO_BAG_ITEMS; i++)
        add(fixture);
    assert_int_equal(fixture->released, 0); /* kept, though nobody is in a section */
    assert_true(seen > limbo->released);
    for (unsigned i = 0; i < LIMBO_BAG_ITEMS; i++)
        add(fixture);
    assert_int_equal(fixture->released, LIMBO_BAG_ITEMS);
    assert_true(seen <= limbo->released);
    enter(fixture, 0);
    seen = epoch_entered(&fixture->epoch, 0);
    leave(fixture, 0);
    assert_true(seen > limbo->released);
    limbo_step(limbo, UINT32_MAX); /* everything, and all of it may have been seen */
    assert_int_equal(fixture->released, 4 * LIMBO_BAG_ITEMS);
    assert_true(limbo_turn_off(limbo));
    assert_int_equal(limbo->released, UINT64_MAX);
    tear_down(fixture);
}

static void test_many_bytes_are_not_kept(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(true);
    fixture->limbo.items_kept = UINT32_MAX;
    while (fixture->limbo.bytes <= LIMBO_KEPT_BYTES && fixture->added < BLOCKS)
        add(fixture);
    limbo_step_kept(&fixture->limbo, UINT32_MAX);
    assert_true(fixture->limbo.bytes <= LIMBO_KEPT_BYTES);
    assert_true(fixture->released > 0);
    tear_down(fixture);
}

static uint64_t used_bytes(const struct heap *heap)
{
    struct heap_stats stats;
    heap_stats(heap, &stats);
    return stats.used_bytes;
}

/* Blocks of the limbo's heap go back there, under the same rules, whatever else is in their bags. */
static void test_blocks_of_a_heap(void **state)
{
    (void)state;
    struct fixture *fixture = set_up(false);
    struct limbo *limbo = &fixture->limbo;
    struct heap *heap = limbo->heap = heap_new();
    limbo_add_block(limbo, heap_alloc(heap, 100), 100);
    assert_int_equal(used_bytes(heap), 0);

    limbo_turn_on(limbo);
    enter(fixture, 0);
    for (unsigned i = 0; i < 5 * LIMBO_BAG_ITEMS; i++) {
        limbo_add_block(limbo, heap_alloc(heap, 100), 100);
        if (i % 3 == 0)
            add(fixture);
    }
    limbo_step(limbo, UINT32_MAX);
    assert_int_equal(used_bytes(heap), 5 * LIMBO_BAG_ITEMS * heap_block_size(100));
    assert_int_equal(limbo->items, 5 * LIMBO_BAG_ITEMS + fixture->added);
    leave(fixture, 0);
    assert_true(limbo_step(limbo, 1));
    assert_int_equal(limbo->items, 4 * LIMBO_BAG_ITEMS + fixture->added); /* both kinds are in one bag */
    limbo_step(limbo, UINT32_MAX);
    assert_int_equal(used_bytes(heap), 0);
    assert_int_equal(fixture->released, fixture->added);
    for (unsigned i = 0; i < 2 * LIMBO_BAG_ITEMS; i++) {
        limbo_add_block(limbo, heap_alloc(heap, 100), 100);
        assert_true(limbo->items < LIMBO_BAG_ITEMS); /* a full bag needs no step */
    }
    tear_down(fixture);
    heap_check(heap);
    heap_free(heap);
}

static void test_memory_is_given_back(void **state)
{
    (void)state;
    size_t before = mem_used();
    struct fixture *fixture = set_up(true);
    enter(fixture, 0);
    for (unsigned i = 0; i < BLOCKS; i++)
        add(fixture);
    leave(fixture, 0);
    tear_down(fixture);
    assert_int_equal(mem_used(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off_releases_at_once),
        cmocka_unit_test(test_a_section_holds_what_was_there),
        cmocka_unit_test(test_steps_are_bounded),
        cmocka_unit_test(test_a_full_bag_needs_no_step),
        cmocka_unit_test(test_random_sections),
        cmocka_unit_test(test_release_functions_may_add),
        cmocka_unit_test(test_a_scan_is_for_what_came_before_it),
        cmocka_unit_test(test_turning_off_waits_for_sections),
        cmocka_unit_test(test_scans_look_at_expected_readers),
        cmocka_unit_test(test_what_was_seen_is_the_same_until_it_is_released),
        cmocka_unit_test(test_many_bytes_are_not_kept),
        cmocka_unit_test(test_blocks_of_a_heap),
        cmocka_unit_test(test_memory_is_given_back),
    };
    return cmocka_run_group_tests_name("epoch", tests, NULL, NULL);
}
