/* Proves: each duration lies within the edges of its bucket, edges grow by no more than a quarter where it matters, and
 * percentiles, sums and the longest are what was noted, to within a bucket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/durations.h"

static void check_bucket(uint64_t ns)
{
    unsigned bucket = durations_bucket(ns);
    assert_true(bucket < DURATIONS_BUCKETS);
    assert_true(durations_edge_ns(bucket) <= ns);
    assert_true(ns < durations_edge_ns(bucket + 1));
}

static void each_duration_lies_in_its_bucket(void **state)
{
    for (uint64_t ns = 0; ns < 100000; ns++)
        check_bucket(ns);
    /* Up to a hundred days; beyond 2^53 a double rounds. */
    for (uint64_t ns = 100000; ns < UINT64_C(1) << 53; ns += ns / 1000 + 1) {
        check_bucket(ns);
        check_bucket(ns - 1);
    }
    for (unsigned octave = 1; octave < 53; octave++)
        for (uint64_t by = 0; by < 3; by++)
            check_bucket((UINT64_C(1) << octave) - 1 + by);
}

static void edges_rise_by_a_quarter_at_most(void **state)
{
    for (unsigned bucket = 0; bucket < DURATIONS_BUCKETS; bucket++) {
        uint64_t low = durations_edge_ns(bucket), high = durations_edge_ns(bucket + 1);
        assert_true(low <= high);
        if (low >= 100 && bucket + 1 < DURATIONS_BUCKETS)
            assert_true((double)high / (double)low < 1.26);
    }
}

static void what_is_no_duration_is_counted_somewhere(void **state)
{
    static const uint64_t numbers[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63,
                                       (UINT64_C(1) << 63) - 1};
    struct durations durations = {0};
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        durations_count_one(&durations, numbers[i], 1);
    assert_int_equal(durations_count(&durations), ARRAY_COUNT(numbers));
}

static void assert_about(double value, double expected)
{
    assert_true(value > expected * 0.79 && value < expected * 1.26);
}

static void percentiles(void **state)
{
    struct durations durations = {0};
    assert_true(durations_percentile_ns(&durations, 99) == 0);
    for (uint64_t i = 1; i <= 1000; i++)
        durations_note(&durations, i * 1000, 1);
    assert_about(durations_percentile_ns(&durations, 50), 500000);
    assert_about(durations_percentile_ns(&durations, 99), 990000);
    assert_true(durations_percentile_ns(&durations, 100) == 1000000);
    assert_true(durations_percentile_ns(&durations, 0) <= 1000);
    double before = 0;
    for (double percent = 0; percent <= 100; percent += 0.1) {
        double now = durations_percentile_ns(&durations, percent);
        assert_true(now >= before);
        before = now;
    }
}

static void a_weight_counts_so_many_times(void **state)
{
    struct durations durations = {0};
    durations_note(&durations, 1000, 99);
    durations_note(&durations, 1000000, 1);
    assert_int_equal(durations_count(&durations), 100);
    assert_about(durations_percentile_ns(&durations, 98), 1000);
    assert_about(durations_percentile_ns(&durations, 99.9), 1000000);
}

static void the_longest(void **state)
{
    struct durations durations = {0}, sum = {0};
    assert_int_equal(durations_max_ns(&durations), 0);
    durations_count_one(&durations, 700, 1);
    assert_int_equal(durations_max_ns(&durations), durations_edge_ns(durations_bucket(700) + 1));
    durations_note_max(&durations, 123456);
    durations_note_max(&durations, 100);
    assert_int_equal(durations_max_ns(&durations), 123456);
    durations_add(&sum, &durations);
    durations_add(&sum, &durations);
    assert_int_equal(durations_count(&sum), 2);
    assert_int_equal(durations_max_ns(&sum), 123456);
    durations_clear(&sum);
    assert_int_equal(durations_count(&sum), 0);
    assert_int_equal(durations_max_ns(&sum), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_duration_lies_in_its_bucket),
        cmocka_unit_test(edges_rise_by_a_quarter_at_most),
        cmocka_unit_test(what_is_no_duration_is_counted_somewhere),
        cmocka_unit_test(percentiles),
        cmocka_unit_test(a_weight_counts_so_many_times),
        cmocka_unit_test(the_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
