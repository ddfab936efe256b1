/* Proves: the machine's clocks go forward and agree with each other, ticks measure time, a hooked clock is obeyed;
 * random numbers repeat under a seed, keep to their bound and reach all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rng.h"

static void the_real_clock_goes_forward(void **state)
{
    struct clock clock;
    clock_init_real(&clock);
    uint64_t ns = clock_monotonic_ns(&clock), cpu_ns = clock_thread_cpu_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t next = clock_monotonic_ns(&clock);
        assert_true(next >= ns);
        ns = next;
    }
    assert_true(clock_thread_cpu_ns() >= cpu_ns);
    int64_t wall_s = clock_wall_us(&clock) / 1000000, now_s = (int64_t)time(NULL);
    assert_true(llabs(wall_s - now_s) <= 2);
}

/* Ticks are read inside the reads of the clock, so what they measure lies between what the clock measures inside
 * and outside, but for the accuracy of the calibration; one part in a hundred leaves room for a busy machine. */
static void ticks_measure_time(void **state)
{
    struct clock clock;
    clock_init_real(&clock);
    uint64_t outer_start = clock_monotonic_ns(&clock);
    uint64_t ticks_start = clock_ticks(&clock);
    uint64_t inner_start = clock_monotonic_ns(&clock);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    uint64_t inner_end = clock_monotonic_ns(&clock);
    uint64_t ticks_end = clock_ticks(&clock);
    uint64_t outer_end = clock_monotonic_ns(&clock);
    uint64_t ns = clock_ticks_to_ns(&clock, ticks_end - ticks_start);
    uint64_t least = inner_end - inner_start, most = outer_end - outer_start;
    assert_true(ns >= least - least / 100);
    assert_true(ns <= most + most / 100);
}

static int64_t hooked_wall(void *context)
{
    return *(int64_t *)context;
}

static uint64_t hooked_monotonic(void *context)
{
    return *(uint64_t *)context;
}

static void a_hooked_clock_is_obeyed(void **state)
{
    uint64_t now = 123456;
    struct clock clock = {.wall_us = hooked_wall,
                          .monotonic_ns = hooked_monotonic,
                          .context = &now,
                          .tick_multiplier = UINT64_C(1) << 32};
    assert_int_equal(clock_wall_us(&clock), 123456);
    now = 7;
    assert_int_equal(clock_monotonic_ns(&clock), 7);
    assert_int_equal(clock_ticks_to_ns(&clock, clock_ticks(&clock)), 7);
}

static void a_seed_repeats(void **state)
{
    struct rng a, b, c;
    unsigned same = 0;
    rng_seed(&a, 42);
    rng_seed(&b, 42);
    rng_seed(&c, 43);
    for (int i = 0; i < 1000; i++) {
        uint64_t value = rng_next(&a);
        assert_true(value == rng_next(&b));
        same += value == rng_next(&c);
    }
    assert_int_equal(same, 0);
}

static void below_reaches_all_and_no_more(void **state)
{
    struct rng rng;
    unsigned counts[10] = {0};
    rng_seed(&rng, 5);
    for (int i = 0; i < 10000; i++) {
        uint64_t value = rng_below(&rng, 10);
        assert_true(value < 10);
        counts[value]++;
    }
    /* The seed is fixed, so this holds always or never: ten standard deviations around 1000. */
    for (int i = 0; i < 10; i++)
        assert_in_range(counts[i], 700, 1300);
    assert_true(rng_below(&rng, 1) == 0);
    for (int i = 0; i < 100; i++)
        assert_true(rng_below(&rng, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
}

static void the_system_gives_different_bytes(void **state)
{
    unsigned char a[300] = {0}, b[300] = {0};
    rng_system_bytes(a, sizeof(a));
    rng_system_bytes(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_clock_goes_forward),   cmocka_unit_test(ticks_measure_time),
        cmocka_unit_test(a_hooked_clock_is_obeyed),      cmocka_unit_test(a_seed_repeats),
        cmocka_unit_test(below_reaches_all_and_no_more), cmocka_unit_test(the_system_gives_different_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
