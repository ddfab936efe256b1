/* Where a thread's time goes: stages, turns in vain, sleep, and what the machine took away, under a clock that is set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "io/work.h"

#define US 1000ull

static uint64_t now_ns, cpu_now_ns;

static uint64_t fake_now(void *context)
{
    (void)context;
    return now_ns;
}

static uint64_t fake_cpu(void)
{
    return cpu_now_ns;
}

static const struct clock fake_clock = {.monotonic_ns = fake_now, .tick_multiplier = UINT64_C(1) << 32};

static void run(uint64_t ns)
{
    now_ns += ns;
    cpu_now_ns += ns;
}

static void begin(struct work *work)
{
    now_ns = 5000 * US;
    cpu_now_ns = 300 * US;
    work_init(work, &fake_clock, fake_cpu);
    work_begin(work);
}

/* A poll that closes the window: it sleeps for the rest of two windows. Returns what it slept. */
static uint64_t finish(struct work *work)
{
    now_ns += 2 * WORK_WINDOW_NS;
    assert_true(work_polled(work, true, 0, WORK_UPKEEP));
    return 2 * WORK_WINDOW_NS;
}

static void check_sum(const struct work_totals *totals, uint64_t cpu_ns, uint64_t passed_ns)
{
    assert_int_equal(work_busy_ns(totals) + totals->spin_ns, cpu_ns);
    assert_int_equal(work_busy_ns(totals) + work_idle_ns(totals) + totals->preempted_ns, passed_ns);
}

static void a_busy_turn_belongs_to_its_stages(void **state)
{
    struct work work;
    struct work_totals totals;
    begin(&work);
    run(10 * US);
    assert_int_equal(work_switch(&work, WORK_RECEIVE), WORK_UPKEEP);
    run(100 * US);
    assert_int_equal(work_switch(&work, WORK_EXECUTE), WORK_RECEIVE);
    run(200 * US);
    work_switch(&work, WORK_RECEIVE);
    run(30 * US);
    work_turn_end(&work, true);
    uint64_t slept_ns = finish(&work);
    work_totals(&work, &totals);
    assert_int_equal(totals.stage_ns[WORK_UPKEEP], 10 * US);
    assert_int_equal(totals.stage_ns[WORK_RECEIVE], 130 * US);
    assert_int_equal(totals.stage_ns[WORK_EXECUTE], 200 * US);
    assert_int_equal(totals.sleep_ns, slept_ns);
    check_sum(&totals, 340 * US, 340 * US + slept_ns);
}

static void a_turn_that_finds_nothing_is_spinning_with_the_poll_before_it(void **state)
{
    struct work work;
    struct work_totals totals;
    begin(&work);
    work_turn_end(&work, true);
    run(3 * US);
    assert_false(work_polled(&work, false, 0, WORK_TAKE));
    run(4 * US);
    work_turn_end(&work, false);
    run(5 * US);
    work_polled(&work, false, 0, WORK_TAKE); /* the poll before a turn that finds something is work */
    run(6 * US);
    work_turn_end(&work, true);
    uint64_t slept_ns = finish(&work);
    work_totals(&work, &totals);
    assert_int_equal(totals.spin_ns, 7 * US);
    assert_int_equal(totals.stage_ns[WORK_POLL], 5 * US);
    assert_int_equal(totals.stage_ns[WORK_TAKE], 6 * US);
    check_sum(&totals, 18 * US, 18 * US + slept_ns);
}

static void looking_at_pollers_within_a_poll_is_spinning(void **state)
{
    struct work work;
    struct work_totals totals;
    begin(&work);
    work_turn_end(&work, true);
    run(40 * US);
    now_ns += 2 * WORK_WINDOW_NS;
    assert_true(work_polled(&work, true, 40 * US, WORK_TAKE));
    work_totals(&work, &totals);
    assert_int_equal(totals.spin_ns, 40 * US);
    assert_int_equal(totals.sleep_ns, 2 * WORK_WINDOW_NS);
}

static void what_the_machine_took_away_is_not_busy(void **state)
{
    struct work work;
    struct work_totals totals;
    begin(&work);
    work_switch(&work, WORK_RECEIVE);
    run(100 * US);
    work_switch(&work, WORK_EXECUTE);
    run(100 * US);
    now_ns += 200 * US; /* somebody else's */
    work_turn_end(&work, true);
    uint64_t slept_ns = finish(&work);
    work_totals(&work, &totals);
    /* Nothing tells in which stage it was: all shrink alike. */
    assert_int_equal(totals.stage_ns[WORK_RECEIVE], 50 * US);
    assert_int_equal(totals.stage_ns[WORK_EXECUTE], 150 * US);
    assert_int_equal(totals.preempted_ns, 200 * US);
    check_sum(&totals, 200 * US, 400 * US + slept_ns);
}

static void the_cost_of_sleeping_is_polling(void **state)
{
    struct work work;
    struct work_totals totals;
    begin(&work);
    run(100 * US);
    work_turn_end(&work, true);
    cpu_now_ns += 20 * US;
    uint64_t slept_ns = finish(&work);
    work_totals(&work, &totals);
    assert_int_equal(totals.stage_ns[WORK_POLL], 20 * US);
    assert_int_equal(totals.sleep_ns, slept_ns - 20 * US);
    check_sum(&totals, 120 * US, 100 * US + slept_ns);
}

static void windows_add_up_and_origins_are_taken_off(void **state)
{
    struct work work;
    struct work_totals first, both;
    begin(&work);
    run(100 * US);
    work_turn_end(&work, true);
    finish(&work);
    work_totals(&work, &first);
    run(70 * US);
    work_turn_end(&work, true);
    uint64_t slept_ns = finish(&work);
    work_totals(&work, &both);
    work_subtract(&both, &first);
    assert_int_equal(work_busy_ns(&both), 70 * US);
    assert_int_equal(work_idle_ns(&both), slept_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_busy_turn_belongs_to_its_stages),
        cmocka_unit_test(a_turn_that_finds_nothing_is_spinning_with_the_poll_before_it),
        cmocka_unit_test(looking_at_pollers_within_a_poll_is_spinning),
        cmocka_unit_test(what_the_machine_took_away_is_not_busy),
        cmocka_unit_test(the_cost_of_sleeping_is_polling),
        cmocka_unit_test(windows_add_up_and_origins_are_taken_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
