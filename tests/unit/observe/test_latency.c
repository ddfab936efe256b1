/* Proves: latency events keep the last 160 seconds with a spike, the worst of each, and their texts tell what
 * was seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "observe/latency.h"
#include "observe/observe.h"

static int64_t fixed_wall_us(void *context)
{
    return *(int64_t *)context;
}

static struct latency *new_latency(void)
{
    static const struct clock clock;
    return latency_new(&clock);
}

static const struct latency_event *event_of(const struct latency *latency, const char *name)
{
    return latency_find(latency, slice_from_string(name));
}

static void test_worst_of_a_second_counts(void **state)
{
    struct latency *latency = new_latency();
    latency_add(latency, "command", 100, 5);
    latency_add(latency, "command", 100, 9);
    latency_add(latency, "command", 100, 7);
    latency_add(latency, "command", 101, 3);
    const struct latency_event *event = event_of(latency, "command");
    assert_int_equal(event->count, 2);
    assert_int_equal(latency_sample_at(event, 0)->latency_ms, 9);
    assert_int_equal(latency_sample_at(event, 1)->latency_ms, 3);
    assert_int_equal(event->max_ms, 9);
    latency_free(latency);
}

static void test_a_clock_that_goes_back_keeps_samples_in_order(void **state)
{
    struct latency *latency = new_latency();
    latency_add(latency, "command", 100, 5);
    latency_add(latency, "command", 90, 8);
    const struct latency_event *event = event_of(latency, "command");
    assert_int_equal(event->count, 1);
    assert_int_equal(latency_sample_at(event, 0)->time_s, 100);
    assert_int_equal(latency_sample_at(event, 0)->latency_ms, 8);
    latency_free(latency);
}

static void test_oldest_samples_go_and_the_maximum_stays(void **state)
{
    struct latency *latency = new_latency();
    latency_add(latency, "command", 0, 1000);
    for (int i = 1; i <= 200; i++)
        latency_add(latency, "command", i, (uint32_t)i);
    const struct latency_event *event = event_of(latency, "command");
    assert_int_equal(event->count, LATENCY_SAMPLES);
    assert_int_equal(latency_sample_at(event, 0)->time_s, 41);
    assert_int_equal(latency_sample_at(event, LATENCY_SAMPLES - 1)->time_s, 200);
    assert_int_equal(event->max_ms, 1000);
    latency_free(latency);
}

static void test_events_are_apart_and_can_be_reset(void **state)
{
    struct latency *latency = new_latency();
    latency_add(latency, "command", 1, 5);
    latency_add(latency, "expire-cycle", 1, 6);
    latency_add(latency, "fast-command", 1, 7);
    assert_false(latency_reset(latency, SLICE("nothing")));
    assert_true(latency_reset(latency, SLICE("command")));
    assert_null(event_of(latency, "command"));
    assert_int_equal(event_of(latency, "expire-cycle")->max_ms, 6);
    assert_int_equal(event_of(latency, "fast-command")->max_ms, 7);
    assert_int_equal(latency_reset_all(latency), 2);
    assert_null(event_of(latency, "fast-command"));
    latency_add(latency, "command", 2, 1);
    assert_int_equal(event_of(latency, "command")->max_ms, 1);
    latency_free(latency);
}

static void test_kinds_of_events_are_limited(void **state)
{
    struct latency *latency = new_latency();
    char name[] = "a0";
    for (int i = 0; i < LATENCY_EVENTS_MAX + 5; i++) {
        name[0] = (char)('a' + i / 10);
        name[1] = (char)('0' + i % 10);
        latency_add(latency, name, 1, 1);
    }
    assert_int_equal(latency->count, LATENCY_EVENTS_MAX);
    assert_null(event_of(latency, name));
    latency_free(latency);
}

static void test_hook_rounds_down_to_milliseconds(void **state)
{
    int64_t now_us = 42 * 1000000 + 999999;
    struct clock clock = {.wall_us = fixed_wall_us, .context = &now_us};
    struct latency *latency = latency_new(&clock);
    struct observe observe = {.latency = latency};
    latency_hook(&observe, "command", 7999999);
    const struct latency_sample *sample = latency_sample_at(event_of(latency, "command"), 0);
    assert_int_equal(sample->time_s, 42);
    assert_int_equal(sample->latency_ms, 7);
    latency_free(latency);
}

static void test_summary(void **state)
{
    struct latency *latency = new_latency();
    latency_add(latency, "command", 100, 10);
    latency_add(latency, "command", 110, 20);
    latency_add(latency, "command", 120, 60);
    struct latency_summary summary;
    latency_summarise(event_of(latency, "command"), 130, &summary);
    assert_int_equal(summary.min_ms, 10);
    assert_int_equal(summary.max_ms, 60);
    assert_int_equal(summary.average_ms, 30);
    assert_int_equal(summary.deviation_ms, 20);
    assert_true(summary.period_s == 10.0);
    latency_free(latency);
}

static void test_graph_shows_heights_and_ages(void **state)
{
    struct latency *latency = new_latency();
    latency_add(latency, "command", 1000, 1);
    latency_add(latency, "command", 4500, 50);
    latency_add(latency, "command", 4590, 99);
    struct buf text = {0};
    latency_graph(event_of(latency, "command"), 4600, &text);
    const char *expected =
        "command - high 99 ms, low 1 ms (all time high 99 ms)\n"
        "--------------------------------------------------------------------------------\n"
        "  #\n"
        "  #\n"
        " ##\n"
        "_##\n"
        "\n"
        "111\n"
        "hm0\n"
        "  s\n";
    assert_string_equal(buf_string(&text), expected);
    buf_done(&text);
    latency_free(latency);
}

static void test_graph_shows_the_newest_that_fit(void **state)
{
    struct latency *latency = new_latency();
    for (int i = 0; i < LATENCY_SAMPLES; i++)
        latency_add(latency, "command", i, i == 0 ? 900 : 5);
    struct buf text = {0};
    latency_graph(event_of(latency, "command"), LATENCY_SAMPLES, &text);
    assert_non_null(strstr(buf_string(&text), "high 5 ms, low 5 ms (all time high 900 ms)"));
    buf_done(&text);
    latency_free(latency);
}

static void test_report(void **state)
{
    struct latency *latency = new_latency();
    struct buf text = {0};
    latency_report(latency, 10, 0, &text);
    assert_non_null(strstr(buf_string(&text), "disabled"));
    buf_clear(&text);
    latency_report(latency, 10, 5, &text);
    assert_non_null(strstr(buf_string(&text), "No latency spike of 5 ms"));
    buf_clear(&text);
    latency_add(latency, "expire-cycle", 8, 30);
    latency_report(latency, 10, 5, &text);
    assert_non_null(strstr(buf_string(&text),
                           "1. expire-cycle: 1 latency spikes (average 30ms, mean deviation 0ms, "
                           "period 2.00 sec). Worst all time event 30ms.\n"));
    assert_non_null(strstr(buf_string(&text), "time to live"));
    assert_null(strstr(buf_string(&text), "SLOWLOG"));
    buf_done(&text);
    latency_free(latency);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worst_of_a_second_counts),
        cmocka_unit_test(test_a_clock_that_goes_back_keeps_samples_in_order),
        cmocka_unit_test(test_oldest_samples_go_and_the_maximum_stays),
        cmocka_unit_test(test_events_are_apart_and_can_be_reset),
        cmocka_unit_test(test_kinds_of_events_are_limited),
        cmocka_unit_test(test_hook_rounds_down_to_milliseconds),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_graph_shows_heights_and_ages),
        cmocka_unit_test(test_graph_shows_the_newest_that_fit),
        cmocka_unit_test(test_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
