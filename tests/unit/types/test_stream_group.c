/* Proves that a group's pending entries and those of its consumers are two views of the same thing, against an array;
 * that a set that somebody holds stays as it was whatever becomes of the one that goes on; that names keep their order;
 * and that what is taken out of a set is given back in steps, to the last byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/role.h"
#include "types/stream_group.h"

#define IDS       4000
#define CONSUMERS 7
#define NOBODY    CONSUMERS

struct model_entry {
    unsigned owner; /* NOBODY: not pending */
    struct stream_pending pending;
};

struct fixture {
    struct heap *heap;
    struct rng rng;
    struct stream_groups *set;
    struct stream_group *group;
    struct model_entry entries[IDS];
    uint64_t held[CONSUMERS + 1];
};

static struct slice name_of(unsigned number, char text[static 16])
{
    return slice_make(text, (size_t)snprintf(text, 16, "name-%u", number));
}

/* Ids of all sizes, ascending: several in one millisecond, and far apart. */
static struct stream_id id_of(uint32_t number)
{
    if (number < IDS / 4)
        return (struct stream_id){number / 8, number % 8 + 1};
    if (number == IDS - 1)
        return STREAM_ID_MAX;
    return (struct stream_id){UINT64_C(1700000000000) + number / 3 * 977, (uint64_t)(number % 3) * UINT64_C(1)
                                                                              << 40};
}

static const struct stream_consumer *consumer_of(const struct stream_group *group, unsigned number)
{
    char text[16];
    return stream_group_find_consumer(group, name_of(number, text));
}

static void add_consumers(struct fixture *fixture)
{
    char text[16];
    for (unsigned i = 0; i < CONSUMERS; i++) {
        unsigned number = (i * 3) % CONSUMERS;
        if (consumer_of(fixture->group, number) == NULL)
            assert_non_null(
                stream_group_add_consumer(fixture->heap, fixture->group, name_of(number, text), 1));
    }
}

static void begin(struct fixture *fixture, uint64_t seed)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->heap = heap_new();
    rng_seed(&fixture->rng, seed);
    for (uint32_t i = 0; i < IDS; i++)
        fixture->entries[i].owner = NOBODY;
    fixture->group = stream_groups_add(fixture->heap, &fixture->set, SLICE("group"), STREAM_ID_MIN, 0);
    add_consumers(fixture);
}

static uint64_t used_bytes(struct heap *heap)
{
    struct heap_stats stats;
    heap_stats(heap, &stats);
    return stats.used_bytes;
}

static void end(struct fixture *fixture)
{
    assert_true(stream_groups_free_some(fixture->heap, fixture->set, UINT32_MAX));
    assert_int_equal(used_bytes(fixture->heap), 0);
    heap_free(fixture->heap);
}

/* Delivers the entry to a consumer, anew or again. */
static void deliver(struct fixture *fixture, uint32_t number, unsigned owner)
{
    struct model_entry *entry = &fixture->entries[number];
    static const int64_t times[] = {0, 1, 1700000000123, INT64_MAX, -5};
    entry->pending = (struct stream_pending){
        .id = id_of(number),
        .slot = consumer_of(fixture->group, owner)->slot,
        .delivered_ms = times[rng_below(&fixture->rng, sizeof times / sizeof *times)],
        .deliveries = rng_below(&fixture->rng, 3) == 0 ? rng_next(&fixture->rng) : 1,
    };
    stream_group_deliver(fixture->heap, fixture->group, &entry->pending);
    fixture->held[entry->owner]--;
    fixture->held[owner]++;
    entry->owner = owner;
}

static void settle(struct fixture *fixture, uint32_t number)
{
    struct model_entry *entry = &fixture->entries[number];
    assert_int_equal(stream_group_settle(fixture->heap, fixture->group, id_of(number)),
                     entry->owner != NOBODY);
    fixture->held[entry->owner]--;
    fixture->held[NOBODY]++;
    entry->owner = NOBODY;
}

/* The walk from an id on gives what the model has. `owner` NOBODY: that of the whole group. */
static void check_walk(const struct fixture *fixture, const struct stream_group *group, uint32_t from,
                       unsigned owner)
{
    struct stream_pending_walk walk;
    struct stream_pending pending;
    stream_pending_from(&walk, group, owner == NOBODY ? NULL : consumer_of(group, owner), id_of(from));
    for (uint32_t i = from; i < IDS; i++) {
        const struct model_entry *entry = &fixture->entries[i];
        if (entry->owner == NOBODY || (owner != NOBODY && entry->owner != owner))
            continue;
        assert_true(stream_pending_next(&walk, &pending));
        assert_true(stream_id_equal(pending.id, entry->pending.id));
        assert_int_equal(pending.slot, entry->pending.slot);
        assert_int_equal(pending.delivered_ms, entry->pending.delivered_ms);
        assert_true(pending.deliveries == entry->pending.deliveries);
    }
    assert_false(stream_pending_next(&walk, &pending));
}

static void check_group(const struct fixture *fixture, const struct stream_group *group)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < CONSUMERS; i++) {
        const struct stream_consumer *consumer = consumer_of(group, i);
        assert_int_equal(consumer == NULL ? 0 : tree_rows(&consumer->pending), fixture->held[i]);
        all += fixture->held[i];
        if (consumer != NULL)
            check_walk(fixture, group, i * 17, i);
    }
    assert_int_equal(tree_rows(&group->pending), all);
    check_walk(fixture, group, 0, NOBODY);
    check_walk(fixture, group, IDS / 2, NOBODY);
    if (all == 0)
        return;
    uint32_t first = 0, last = IDS - 1;
    while (fixture->entries[first].owner == NOBODY)
        first++;
    while (fixture->entries[last].owner == NOBODY)
        last--;
    assert_true(stream_id_equal(stream_group_pending_end(group, false), id_of(first)));
    assert_true(stream_id_equal(stream_group_pending_end(group, true), id_of(last)));
}

static void check_one(const struct fixture *fixture, uint32_t number)
{
    struct stream_pending pending;
    bool found = stream_group_find_pending(fixture->group, id_of(number), &pending);
    assert_int_equal(found, fixture->entries[number].owner != NOBODY);
    if (found)
        assert_int_equal(pending.slot, fixture->entries[number].pending.slot);
}

static void change(struct fixture *fixture, unsigned steps, unsigned settles_of_ten)
{
    for (unsigned i = 0; i < steps; i++) {
        uint32_t number = (uint32_t)rng_below(&fixture->rng, IDS);
        if (rng_below(&fixture->rng, 10) < settles_of_ten)
            settle(fixture, number);
        else
            deliver(fixture, number, (unsigned)rng_below(&fixture->rng, CONSUMERS));
        check_one(fixture, (uint32_t)rng_below(&fixture->rng, IDS));
    }
    stream_groups_check(fixture->set);
    check_group(fixture, fixture->group);
}

static void test_two_views_of_the_same_entries(void **state)
{
    struct fixture fixture;
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        begin(&fixture, seed);
        change(&fixture, 300, 2);
        change(&fixture, 6000, 3);
        change(&fixture, 6000, 9);
        change(&fixture, 20000, 10);
        end(&fixture);
    }
}

static void test_entries_delivered_and_settled_in_order(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture, 1);
    for (uint32_t i = 0; i < IDS; i++)
        deliver(&fixture, i, i / 100 % CONSUMERS);
    check_group(&fixture, fixture.group);
    for (uint32_t i = 0; i < IDS - 10; i++)
        settle(&fixture, i);
    stream_groups_check(fixture.set);
    check_group(&fixture, fixture.group);
    end(&fixture);
}

static void forget_consumer(struct fixture *fixture, unsigned owner)
{
    for (uint32_t i = 0; i < IDS; i++)
        if (fixture->entries[i].owner == owner)
            fixture->entries[i].owner = NOBODY;
    fixture->held[NOBODY] += fixture->held[owner];
    fixture->held[owner] = 0;
}

/* Frees two pages at a time. Returns the number of steps. */
static unsigned free_slowly(struct heap *heap, struct stream_groups *taken)
{
    unsigned steps = 1;
    while (!stream_groups_free_some(heap, taken, 2))
        steps++;
    return steps;
}

static void test_a_consumer_leaves_with_all_that_it_holds(void **state)
{
    struct fixture fixture;
    (void)state;
    for (unsigned alternating = 0; alternating < 2; alternating++) {
        begin(&fixture, 1);
        for (uint32_t i = 0; i < IDS; i++)
            deliver(&fixture, i, alternating ? i % 2 : i >= IDS / 2);
        uint32_t slot = consumer_of(fixture.group, 1)->slot;
        struct stream_groups *taken = stream_group_take_consumer(fixture.heap, fixture.group, slot);
        assert_non_null(taken);
        forget_consumer(&fixture, 1);
        stream_groups_check(fixture.set);
        check_group(&fixture, fixture.group);
        assert_int_equal(fixture.held[0], IDS / 2);
        assert_true(free_slowly(fixture.heap, taken) > 2);

        /* One with little, and one with nothing, leave nothing behind; the next one takes a slot that is free. */
        settle(&fixture, 0);
        deliver(&fixture, 0, 2);
        slot = consumer_of(fixture.group, 2)->slot;
        assert_null(stream_group_take_consumer(fixture.heap, fixture.group, slot));
        forget_consumer(&fixture, 2);
        assert_null(
            stream_group_take_consumer(fixture.heap, fixture.group, consumer_of(fixture.group, 3)->slot));
        uint32_t slots = fixture.group->slot_count;
        add_consumers(&fixture);
        assert_int_equal(fixture.group->slot_count, slots);
        change(&fixture, 2000, 5);
        end(&fixture);
    }
}

static void test_what_somebody_holds_stays_as_it_was(void **state)
{
    struct fixture fixture;
    static struct fixture before; /* the model as it was */
    (void)state;
    begin(&fixture, 1);
    change(&fixture, 5000, 3);
    for (unsigned round = 0; round < 5; round++) {
        before = fixture;
        struct stream_groups *held = stream_groups_ref(fixture.set);
        const struct stream_group *held_group = stream_groups_find(held, SLICE("group"));
        int64_t seen_ms = consumer_of(held_group, 0)->seen_ms;

        fixture.group = stream_groups_edit(fixture.heap, &fixture.set, SLICE("group"));
        assert_ptr_not_equal(fixture.group, held_group);
        fixture.group->last_id = id_of(round + 1);
        stream_group_edit_consumer(fixture.heap, fixture.group, consumer_of(fixture.group, 0)->slot)
            ->seen_ms++;
        change(&fixture, 300, 3 + round);
        free_slowly(fixture.heap, stream_group_take_consumer(fixture.heap, fixture.group,
                                                             consumer_of(fixture.group, round)->slot));
        forget_consumer(&fixture, round);
        add_consumers(&fixture);

        stream_groups_check(held);
        check_group(&before, held_group);
        assert_int_equal(consumer_of(held_group, 0)->seen_ms, seen_ms);
        assert_true(stream_id_equal(held_group->last_id, round == 0 ? STREAM_ID_MIN : id_of(round)));
        free_slowly(fixture.heap, held);
        stream_groups_check(fixture.set);
        check_group(&fixture, fixture.group);
    }
    end(&fixture);
}

static void test_nobody_else_means_no_copy(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture, 1);
    assert_ptr_equal(stream_groups_edit(fixture.heap, &fixture.set, SLICE("group")), fixture.group);
    struct stream_groups *held = stream_groups_ref(fixture.set);
    assert_true(stream_groups_free_some(fixture.heap, held, 1));
    assert_ptr_equal(stream_groups_edit(fixture.heap, &fixture.set, SLICE("group")), fixture.group);
    end(&fixture);
}

/* Groups come and go while one holder after the other keeps what there was. */
static void test_groups_are_found_by_name(void **state)
{
    enum { GROUPS = 200 };
    struct heap *heap = heap_new();
    struct stream_groups *set = NULL, *held = NULL;
    bool present[GROUPS] = {false};
    uint32_t count = 0;
    struct rng rng;
    char text[16];
    (void)state;
    rng_seed(&rng, 5);
    for (unsigned i = 0; i < 3000; i++) {
        unsigned number = (unsigned)rng_below(&rng, i > 2000 ? 20 : GROUPS);
        struct slice name = name_of(number, text);
        assert_int_equal(stream_groups_find(set, name) != NULL, present[number]);
        if (present[number]) {
            assert_int_equal(stream_groups_edit(heap, &set, name)->entries_read, number);
            struct stream_groups *taken = stream_groups_take(heap, &set, name);
            assert_true(stream_groups_free_some(heap, taken, UINT32_MAX));
        } else {
            assert_null(stream_groups_edit(heap, &set, name));
            assert_null(stream_groups_take(heap, &set, name));
            assert_non_null(stream_groups_add(heap, &set, name, STREAM_ID_MIN, number));
        }
        present[number] = !present[number];
        count += present[number] ? 1u : UINT32_MAX;
        assert_int_equal(stream_groups_count(set), count);
        stream_groups_check(set);
        if (i % 7 == 0) {
            assert_true(stream_groups_free_some(heap, held, UINT32_MAX));
            held = stream_groups_ref(set);
        }
    }
    assert_true(stream_groups_free_some(heap, held, UINT32_MAX));
    assert_true(stream_groups_free_some(heap, set, UINT32_MAX));
    assert_int_equal(used_bytes(heap), 0);
    heap_free(heap);
}

static void test_many_consumers_in_the_order_of_their_names(void **state)
{
    enum { MANY = 3000 };
    struct fixture fixture;
    char text[16];
    (void)state;
    begin(&fixture, 1);
    for (unsigned i = CONSUMERS; i < MANY; i++)
        assert_non_null(stream_group_add_consumer(fixture.heap, fixture.group, name_of(i, text), i));
    stream_groups_check(fixture.set);
    for (unsigned i = CONSUMERS; i < MANY; i++) {
        const struct stream_consumer *consumer = consumer_of(fixture.group, i);
        assert_int_equal(consumer->seen_ms, i);
        assert_int_equal(consumer->active_ms, STREAM_NEVER_ACTIVE);
        assert_ptr_equal(stream_group_consumer(fixture.group, consumer->slot), consumer);
        if (i % 3 == 0)
            assert_null(stream_group_take_consumer(fixture.heap, fixture.group, consumer->slot));
    }
    stream_groups_check(fixture.set);
    uint32_t before = fixture.group->consumer_count;
    const struct stream_consumer *first = stream_group_consumer_at(fixture.group, 0);
    assert_memory_equal(stream_consumer_name(first).data, "name-0", 6);
    assert_non_null(stream_group_add_consumer(fixture.heap, fixture.group, SLICE("a"), 1));
    assert_int_equal(fixture.group->consumer_count, before + 1);
    assert_memory_equal(stream_group_consumer_at(fixture.group, 0)->name->data, "a", 1);
    end(&fixture);
}

/* A group that is taken out goes in steps; meanwhile the others are as they were. */
static void test_a_large_group_is_freed_in_steps(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture, 1);
    assert_non_null(stream_groups_add(fixture.heap, &fixture.set, SLICE("other"), id_of(5), 3));
    for (uint32_t i = 0; i < IDS; i++)
        deliver(&fixture, i, i % CONSUMERS);
    size_t memory = stream_groups_memory(fixture.set);
    assert_true(memory > IDS * 20 && memory < IDS * 60);
    struct stream_groups *taken = stream_groups_take(fixture.heap, &fixture.set, SLICE("group"));
    stream_groups_check(taken);
    assert_true(free_slowly(fixture.heap, taken) > 10);
    stream_groups_check(fixture.set);
    assert_int_equal(stream_groups_count(fixture.set), 1);
    assert_true(stream_groups_memory(fixture.set) < 1000);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_views_of_the_same_entries),
        cmocka_unit_test(test_entries_delivered_and_settled_in_order),
        cmocka_unit_test(test_a_consumer_leaves_with_all_that_it_holds),
        cmocka_unit_test(test_what_somebody_holds_stays_as_it_was),
        cmocka_unit_test(test_nobody_else_means_no_copy),
        cmocka_unit_test(test_groups_are_found_by_name),
        cmocka_unit_test(test_many_consumers_in_the_order_of_their_names),
        cmocka_unit_test(test_a_large_group_is_freed_in_steps),
    };
    role_set(ROLE_EXECUTOR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
