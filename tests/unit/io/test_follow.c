/* The number of I/O threads follows the load: decisions over windows of a clock that the test sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rng.h"
#include "io/follow.h"

#define THREADS        64
#define SECOND_WINDOWS (1000000000 / FOLLOW_WINDOW_NS)
#define MANY           1000000 /* connections */

/* What a server has to do, in thousandths of a processor. */
struct load {
    unsigned execute;  /* commands */
    unsigned io;       /* receiving, parsing, sending */
    unsigned per_ring; /* percent that rings add to both, when threads are active */
};

/* What the threads do for it in one window: no more than they can. */
static struct follow_sample sample_of(const struct load *load, unsigned active, uint64_t passed_ns)
{
    uint64_t unit = passed_ns / 1000;
    uint64_t execute = load->execute, io = load->io;
    if (active == 0) {
        uint64_t all = execute + io;
        uint64_t io_share = all > 1000 ? io * 1000 / all : io;
        return (struct follow_sample){passed_ns, (all > 1000 ? 1000 : all) * unit, io_share * unit, 0, MANY};
    }
    execute += execute * load->per_ring / 100;
    io += io * load->per_ring / 100;
    if (io > active * 1000ull)
        io = active * 1000ull;
    if (execute > 1000)
        execute = 1000;
    return (struct follow_sample){passed_ns, execute * unit, 0, io * unit, MANY};
}

/* Runs windows under a load; returns how often the number changed. */
static unsigned run(struct follow *follow, const struct load *load, unsigned windows, unsigned most)
{
    unsigned changes = 0;
    for (unsigned i = 0; i < windows; i++) {
        unsigned before = follow->active;
        struct follow_sample sample = sample_of(load, before, FOLLOW_WINDOW_NS);
        changes += follow_step(follow, &sample, most) != before;
    }
    return changes;
}

static void less_than_a_window_decides_nothing(void **state)
{
    struct load load = {.execute = 300, .io = 900};
    struct follow follow;
    follow_init(&follow, 0);
    uint64_t passed_ns = 0;
    for (int i = 0; i < 50 && follow.active == 0; i++) {
        struct follow_sample sample = sample_of(&load, 0, FOLLOW_WINDOW_NS / 7);
        follow_step(&follow, &sample, THREADS);
        passed_ns += sample.passed_ns;
    }
    assert_int_equal(follow.active, 1);
    assert_true(passed_ns >= FOLLOW_UP_WINDOWS * FOLLOW_WINDOW_NS);
}

static void one_busy_window_is_not_enough(void **state)
{
    struct load busy = {.execute = 300, .io = 900}, calm = {.execute = 10, .io = 20};
    struct follow follow;
    follow_init(&follow, 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(run(&follow, &busy, FOLLOW_UP_WINDOWS - 1, THREADS), 0);
        assert_int_equal(run(&follow, &calm, 1, THREADS), 0);
    }
}

static void a_heavy_load_gets_its_threads_within_three_seconds(void **state)
{
    struct load load = {.execute = 800, .io = 40000, .per_ring = 20};
    struct follow follow;
    follow_init(&follow, 0);
    run(&follow, &load, 3 * SECOND_WINDOWS, THREADS);
    assert_in_range(follow.active, 48, THREADS);
}

static void threads_go_when_the_load_has_gone(void **state)
{
    struct load heavy = {.execute = 800, .io = 7000}, light = {.execute = 300, .io = 700}, none = {1, 1, 20};
    struct follow follow;
    follow_init(&follow, 0);
    run(&follow, &heavy, 100, THREADS);
    unsigned most = follow.active;
    assert_in_range(most, 8, 15);
    /* Not at once: it might come back. */
    assert_int_equal(run(&follow, &light, FOLLOW_PATIENCE_MIN - 1, THREADS), 0);
    run(&follow, &light, 10 * SECOND_WINDOWS, THREADS);
    assert_in_range(follow.active, 1, 2);
    run(&follow, &none, 20 * SECOND_WINDOWS, THREADS);
    assert_int_equal(follow.active, 0);
}

static void a_single_client_needs_no_thread(void **state)
{
    struct load load = {.execute = 20, .io = 250, .per_ring = 50};
    struct follow follow;
    follow_init(&follow, 0);
    assert_int_equal(run(&follow, &load, 1000, 4), 0);
    follow_init(&follow, 1);
    run(&follow, &load, 1000, 4);
    /* Rings make it 400 thousandths: still a thread's worth. Without them it would have been none. */
    assert_in_range(follow.active, 0, 1);
    load.io = 150;
    run(&follow, &load, 1000, 4);
    assert_int_equal(follow.active, 0);
}

static void long_commands_are_no_reason_for_threads(void **state)
{
    struct load load = {.execute = 950, .io = 50};
    struct follow follow;
    follow_init(&follow, 0);
    assert_int_equal(run(&follow, &load, 1000, 4), 0);
}

static void no_more_threads_than_are_allowed_or_than_there_are_connections(void **state)
{
    struct load load = {.execute = 500, .io = 100000};
    struct follow follow;
    follow_init(&follow, 0);
    run(&follow, &load, 200, 6);
    assert_int_equal(follow.active, 6);
    struct follow_sample sample = sample_of(&load, 6, FOLLOW_WINDOW_NS / 10);
    assert_int_equal(follow_step(&follow, &sample, 3), 3); /* io-threads 3: at once */
    follow_init(&follow, 0);
    for (int i = 0; i < 200; i++) {
        sample = sample_of(&load, follow.active, FOLLOW_WINDOW_NS);
        sample.connections = 2;
        follow_step(&follow, &sample, 6);
    }
    assert_int_equal(follow.active, 2);
}

/* Under a constant load the number settles, wherever it begins, for each load and however much rings cost: after ten
 * minutes it does not change any more, and on the way there it never goes down and up again. */
static void a_constant_load_is_no_reason_to_flap(void **state)
{
    static const unsigned starts[] = {0, 1, 2, 5, 8};
    for (unsigned io = 0; io <= 9000; io += 37) {
        for (unsigned execute = 0; execute <= 1000; execute += 125) {
            for (unsigned i = 0; i < sizeof starts / sizeof starts[0]; i++) {
                struct load load = {execute, io, (io + execute) % 60};
                struct follow follow;
                follow_init(&follow, starts[i]);
                unsigned was_down = 0;
                for (unsigned window = 0; window < 600; window++) {
                    unsigned before = follow.active;
                    run(&follow, &load, 1, 8);
                    was_down |= follow.active < before;
                    assert_false(was_down && follow.active > before);
                }
                assert_int_equal(run(&follow, &load, 6000, 8), 0);
                assert_int_equal(follow.patience, FOLLOW_PATIENCE_MIN);
            }
        }
    }
}

/* Noise of a fifth of the load in both directions. */
static void a_noisy_load_changes_the_number_rarely(void **state)
{
    struct rng rng;
    rng_seed(&rng, 1);
    for (unsigned io = 300; io <= 6000; io += 100) {
        struct follow follow;
        follow_init(&follow, 0);
        unsigned changes = 0;
        for (unsigned i = 0; i < 6000; i++) {
            unsigned noise = (unsigned)rng_below(&rng, 401); /* thousandths around 200 */
            struct load load = {200, io * (800 + noise) / 1000, 20};
            changes += run(&follow, &load, 1, 8);
        }
        assert_in_range(changes, 0, 14); /* in ten minutes, the way up included */
    }
}

/* Waves that are as long as to make it grow and shrink each time are answered with patience. */
static void waves_are_answered_with_patience(void **state)
{
    struct load high = {300, 1500, 10}, low = {5, 10, 10};
    struct follow follow;
    follow_init(&follow, 0);
    unsigned changes = 0;
    for (int i = 0; i < 40; i++) {
        changes += run(&follow, &high, 10, 8);
        changes += run(&follow, &low, FOLLOW_PATIENCE_MIN + 2, 8);
    }
    assert_in_range(changes, 2, 12);
    assert_true(follow.patience > FOLLOW_PATIENCE_MIN);
    /* A calm time later it reacts as before. */
    run(&follow, &low, FOLLOW_PATIENCE_MAX + FOLLOW_FORGET_WINDOWS + 10, 8);
    assert_int_equal(follow.active, 0);
    assert_int_equal(follow.patience, FOLLOW_PATIENCE_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(less_than_a_window_decides_nothing),
        cmocka_unit_test(one_busy_window_is_not_enough),
        cmocka_unit_test(a_heavy_load_gets_its_threads_within_three_seconds),
        cmocka_unit_test(threads_go_when_the_load_has_gone),
        cmocka_unit_test(a_single_client_needs_no_thread),
        cmocka_unit_test(long_commands_are_no_reason_for_threads),
        cmocka_unit_test(no_more_threads_than_are_allowed_or_than_there_are_connections),
        cmocka_unit_test(a_constant_load_is_no_reason_to_flap),
        cmocka_unit_test(a_noisy_load_changes_the_number_rarely),
        cmocka_unit_test(waves_are_answered_with_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
