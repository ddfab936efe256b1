/* Proves: no ring of the bell is lost, and what was published before a ring is visible after it. A lost one shows as
 * a hang, which the test's time limit ends. Run under a thread sanitizer too. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/ring.h"
#include "loop/loop.h"

#define ROUNDS  20000
#define RINGERS 3

static struct clock real_clock;

static struct loop *new_loop(void)
{
    struct loop *loop;
    clock_init_real(&real_clock);
    assert_int_equal(loop_new(&(struct loop_options){.clock = &real_clock}, &loop), ST_OK);
    return loop;
}

static void a_ring_before_the_poll_ends_it(void **state)
{
    struct loop *loop = new_loop();
    loop_wake(loop);
    loop_wake(loop);
    assert_int_equal(loop_poll(loop, UINT64_MAX), 0);
    loop_wake(loop);
    assert_int_equal(loop_poll(loop, 0), 0);
    loop_wake(loop);
    assert_int_equal(loop_poll(loop, UINT64_MAX), 0);
    loop_free(loop);
}

/* Two loops that each sleep until the other rings: every round needs both bells. */
struct pair {
    struct loop *loops[2];
    _Atomic unsigned turns[2];
};

static void play(struct pair *pair, int side)
{
    for (unsigned round = 1; round <= ROUNDS; round++) {
        if (side == 0) {
            atomic_store_explicit(&pair->turns[1], round, memory_order_relaxed);
            loop_wake(pair->loops[1]);
        }
        while (atomic_load_explicit(&pair->turns[side], memory_order_relaxed) < round)
            loop_poll(pair->loops[side], UINT64_MAX);
        if (side == 1) {
            atomic_store_explicit(&pair->turns[0], round, memory_order_relaxed);
            loop_wake(pair->loops[0]);
        }
    }
}

static void *play_other_side(void *argument)
{
    play(argument, 1);
    return NULL;
}

static void two_loops_wake_each_other(void **state)
{
    struct pair pair = {.loops = {new_loop(), new_loop()}};
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, play_other_side, &pair), 0);
    play(&pair, 0);
    pthread_join(other, NULL);
    assert_int_equal(atomic_load(&pair.turns[0]), ROUNDS);
    loop_free(pair.loops[0]);
    loop_free(pair.loops[1]);
}

/* Several threads push into rings of their own and ring one bell; the owner sleeps whenever it finds nothing. */
struct ringer {
    struct ring ring;
    struct loop *loop;
    unsigned payloads[ROUNDS]; /* plain memory: the ring and the bell must order it */
    pthread_t thread;
};

static void *ring_often(void *argument)
{
    struct ringer *ringer = argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        ringer->payloads[i] = i + 1;
        ring_push(&ringer->ring, &ringer->payloads[i]); /* as large as all rounds: never full */
        ring_publish(&ringer->ring);
        loop_wake(ringer->loop);
    }
    return NULL;
}

static void many_ringers_one_bell(void **state)
{
    static struct ringer ringers[RINGERS];
    struct loop *loop = new_loop();
    unsigned received = 0, mistakes = 0, next[RINGERS] = {0};
    for (int i = 0; i < RINGERS; i++) {
        ring_init(&ringers[i].ring, 32768);
        ringers[i].loop = loop;
        assert_int_equal(pthread_create(&ringers[i].thread, NULL, ring_often, &ringers[i]), 0);
    }
    while (received < RINGERS * ROUNDS) {
        loop_poll(loop, UINT64_MAX);
        for (int i = 0; i < RINGERS; i++) {
            unsigned *payload;
            while ((payload = ring_pop(&ringers[i].ring)) != NULL) {
                mistakes += *payload != ++next[i];
                received++;
            }
            ring_retire(&ringers[i].ring);
        }
    }
    for (int i = 0; i < RINGERS; i++) {
        pthread_join(ringers[i].thread, NULL);
        ring_done(&ringers[i].ring);
    }
    assert_int_equal(mistakes, 0);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_before_the_poll_ends_it),
        cmocka_unit_test(two_loops_wake_each_other),
        cmocka_unit_test(many_ringers_one_bell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
