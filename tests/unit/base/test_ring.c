/* Proves: the ring gives back every pointer once and in order, shows nothing before it is published, reuses no slot
 * before it is retired, and does so between two threads (run under a thread sanitizer too). */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/ring.h"

#define ITEMS 300000

static void *number(uintptr_t value)
{
    return (void *)value;
}

static void nothing_is_seen_before_it_is_published(void **state)
{
    struct ring ring;
    ring_init(&ring, 8);
    assert_null(ring_pop(&ring));
    assert_false(ring_publish(&ring));
    assert_true(ring_push(&ring, number(1)));
    assert_false(ring_has_some(&ring));
    assert_null(ring_pop(&ring));
    assert_true(ring_publish(&ring));
    assert_false(ring_publish(&ring));
    assert_true(ring_has_some(&ring));
    assert_ptr_equal(ring_pop(&ring), number(1));
    assert_null(ring_pop(&ring));
    ring_done(&ring);
}

static void the_producer_sees_what_it_has_not_published(void **state)
{
    struct ring ring;
    ring_init(&ring, 4);
    assert_null(ring_unpublished(&ring, 0));
    for (uintptr_t i = 1; i <= 3; i++)
        assert_true(ring_push(&ring, number(i)));
    ring_publish(&ring);
    assert_null(ring_unpublished(&ring, 0));
    assert_ptr_equal(ring_pop(&ring), number(1));
    assert_ptr_equal(ring_pop(&ring), number(2));
    ring_retire(&ring);
    /* Around the end of the slots. */
    assert_true(ring_push(&ring, number(4)));
    assert_true(ring_push(&ring, number(5)));
    assert_ptr_equal(ring_unpublished(&ring, 0), number(4));
    assert_ptr_equal(ring_unpublished(&ring, 1), number(5));
    assert_null(ring_unpublished(&ring, 2));
    ring_publish(&ring);
    assert_null(ring_unpublished(&ring, 0));
    ring_done(&ring);
}

static void a_full_ring_refuses_until_slots_are_retired(void **state)
{
    struct ring ring;
    ring_init(&ring, 4);
    for (uintptr_t i = 1; i <= 4; i++)
        assert_true(ring_push(&ring, number(i)));
    assert_false(ring_push(&ring, number(5)));
    ring_publish(&ring);
    assert_ptr_equal(ring_pop(&ring), number(1));
    assert_ptr_equal(ring_pop(&ring), number(2));
    assert_false(ring_push(&ring, number(5)));
    ring_retire(&ring);
    assert_true(ring_push(&ring, number(5)));
    assert_true(ring_push(&ring, number(6)));
    assert_false(ring_push(&ring, number(7)));
    ring_publish(&ring);
    for (uintptr_t i = 3; i <= 6; i++)
        assert_ptr_equal(ring_pop(&ring), number(i));
    assert_null(ring_pop(&ring));
    ring_retire(&ring);
    assert_false(ring_has_some(&ring));
    ring_done(&ring);
}

static void order_holds_around_the_end_of_the_slots(void **state)
{
    struct ring ring;
    uintptr_t in = 0, out = 0;
    ring_init(&ring, 8);
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < round % 9; i++) {
            if (ring_push(&ring, number(in + 1)))
                in++;
        }
        ring_publish(&ring);
        for (int i = 0; i < round % 7; i++) {
            void *pointer = ring_pop(&ring);
            if (pointer)
                assert_ptr_equal(pointer, number(++out));
        }
        ring_retire(&ring);
        assert_true(in - out <= 8);
    }
    assert_true(out > 2000);
    ring_done(&ring);
}

static void a_ring_of_one(void **state)
{
    struct ring ring;
    ring_init(&ring, 1);
    for (uintptr_t i = 1; i < 20; i++) {
        assert_true(ring_push(&ring, number(i)));
        assert_false(ring_push(&ring, number(99)));
        ring_publish(&ring);
        assert_ptr_equal(ring_pop(&ring), number(i));
        ring_retire(&ring);
    }
    ring_done(&ring);
}

struct item {
    unsigned payload; /* written without synchronisation by the producer before it pushes */
};

static struct item items[ITEMS];

static void *produce(void *argument)
{
    struct ring *ring = argument;
    for (unsigned i = 0; i < ITEMS; i++) {
        items[i].payload = i * 2654435761u;
        while (!ring_push(ring, &items[i])) {
            ring_publish(ring);
            sched_yield();
        }
        if (i % 17 == 0)
            ring_publish(ring);
    }
    ring_publish(ring);
    return NULL;
}

static void two_threads(void **state)
{
    struct ring ring;
    pthread_t producer;
    unsigned mistakes = 0;
    ring_init(&ring, 64);
    assert_int_equal(pthread_create(&producer, NULL, produce, &ring), 0);
    for (unsigned i = 0; i < ITEMS;) {
        struct item *item = ring_pop(&ring);
        if (item == NULL) {
            ring_retire(&ring);
            sched_yield();
            continue;
        }
        mistakes += item != &items[i] || item->payload != i * 2654435761u;
        i++;
        if (i % 5 == 0)
            ring_retire(&ring);
    }
    ring_retire(&ring);
    pthread_join(producer, NULL);
    assert_int_equal(mistakes, 0);
    assert_null(ring_pop(&ring));
    ring_done(&ring);
}

static void what_comes_later_can_be_looked_at(void **state)
{
    struct ring ring;
    ring_init(&ring, 4);
    for (uintptr_t i = 1; i <= 3; i++)
        assert_true(ring_push(&ring, (void *)i));
    ring_publish(&ring);
    assert_null(ring_peek(&ring, 0)); /* nothing is known before the first is taken */
    assert_int_equal((uintptr_t)ring_pop(&ring), 1);
    assert_int_equal((uintptr_t)ring_peek(&ring, 0), 2);
    assert_int_equal((uintptr_t)ring_peek(&ring, 1), 3);
    assert_null(ring_peek(&ring, 2));
    assert_int_equal((uintptr_t)ring_pop(&ring), 2);
    ring_done(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_seen_before_it_is_published),
        cmocka_unit_test(the_producer_sees_what_it_has_not_published),
        cmocka_unit_test(a_full_ring_refuses_until_slots_are_retired),
        cmocka_unit_test(order_holds_around_the_end_of_the_slots),
        cmocka_unit_test(a_ring_of_one),
        cmocka_unit_test(what_comes_later_can_be_looked_at),
        cmocka_unit_test(two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
