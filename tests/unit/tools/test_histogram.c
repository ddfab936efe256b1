/* Histogram: buckets cover every value without gap or overlap, the promised precision, exact counts, merging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "common/histogram.h"

static void assert_within(uint64_t told, uint64_t value, unsigned bits)
{
    double error = ((double)told - (double)value) / (double)value;
    double allowed = 1.0 / (double)((uint64_t)2 << bits);
    if (error > allowed || error < -allowed)
        fail_msg("%lu told for %lu: off by %g, allowed %g", told, value, error, allowed);
}

static void test_buckets_follow_each_other_without_a_gap(void **state)
{
    struct histogram histogram;
    histogram_init(&histogram, 4);
    uint64_t next = 0;
    for (uint32_t i = 0; i < histogram.bucket_count; i++) {
        assert_int_equal(histogram_index(&histogram, next), i);
        histogram_record(&histogram, next);
        size_t cursor = i;
        struct histogram_bucket bucket;
        assert_true(histogram_next(&histogram, &cursor, &bucket));
        assert_int_equal(bucket.low, next);
        assert_int_equal(bucket.count, 1);
        assert_int_equal(histogram_index(&histogram, bucket.high), i);
        next = bucket.high + 1;
    }
    assert_int_equal(next, HISTOGRAM_VALUE_MAX + 1);
    histogram_done(&histogram);
}

static void test_every_size_of_value_keeps_its_precision(void **state)
{
    const unsigned precisions[] = {1, HISTOGRAM_BITS_COARSE, HISTOGRAM_BITS, HISTOGRAM_BITS_MAX};
    struct rng rng;
    rng_seed(&rng, 7);
    for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
        struct histogram histogram;
        histogram_init(&histogram, precisions[p]);
        for (unsigned size = 1; size < HISTOGRAM_VALUE_BITS; size++) {
            uint64_t value = ((uint64_t)1 << size) + rng_below(&rng, (uint64_t)1 << size);
            /* Neighbours far away, so that the answer is not cut to the smallest or greatest. */
            histogram_record(&histogram, 0);
            histogram_record(&histogram, value);
            histogram_record(&histogram, UINT64_MAX);
            assert_within(histogram_percentile(&histogram, 50), value, precisions[p]);
            histogram_clear(&histogram);
        }
        histogram_done(&histogram);
    }
}

static void test_percentiles_of_known_values(void **state)
{
    struct histogram histogram;
    histogram_init(&histogram, HISTOGRAM_BITS);
    for (uint64_t i = 1; i <= 1000; i++)
        histogram_record(&histogram, i);
    assert_int_equal(histogram_percentile(&histogram, 0), 1);
    assert_int_equal(histogram_percentile(&histogram, 0.05), 1);
    assert_int_equal(histogram_percentile(&histogram, 50), 500);
    assert_int_equal(histogram_percentile(&histogram, 50.01), 501);
    assert_int_equal(histogram_percentile(&histogram, 99), 990);
    assert_int_equal(histogram_percentile(&histogram, 99.9), 999);
    assert_int_equal(histogram_percentile(&histogram, 99.99), 1000);
    assert_int_equal(histogram_percentile(&histogram, 100), 1000);
    assert_true(histogram_mean(&histogram) == 500.5);
    assert_int_equal(histogram_count_up_to(&histogram, 0), 0);
    assert_int_equal(histogram_count_up_to(&histogram, 250), 250);
    assert_int_equal(histogram_count_up_to(&histogram, 5000), 1000);
    histogram_done(&histogram);
}

static void test_smallest_and_greatest_are_exact(void **state)
{
    struct histogram histogram;
    histogram_init(&histogram, HISTOGRAM_BITS);
    histogram_record(&histogram, 1234567891);
    histogram_record(&histogram, 1234567999);
    assert_int_equal(histogram.min, 1234567891);
    assert_int_equal(histogram.max, 1234567999);
    /* Both lie in one bucket, and nothing that was not recorded is told. */
    uint64_t half = histogram_percentile(&histogram, 50);
    assert_in_range(half, 1234567891, 1234567999);
    histogram_done(&histogram);
}

static void test_values_beyond_the_last_bucket_count_in_it(void **state)
{
    struct histogram histogram;
    histogram_init(&histogram, HISTOGRAM_BITS);
    histogram_record(&histogram, HISTOGRAM_VALUE_MAX * 8);
    histogram_record_many(&histogram, 5, 3);
    assert_int_equal(histogram.total, 4);
    assert_int_equal(histogram.counts[histogram.bucket_count - 1], 1);
    assert_int_equal(histogram.max, HISTOGRAM_VALUE_MAX * 8);
    assert_int_equal(histogram_percentile(&histogram, 75), 5);
    histogram_clear(&histogram);
    assert_int_equal(histogram.counts[histogram.bucket_count - 1], 0);
    histogram_done(&histogram);
}

static void test_nothing_recorded(void **state)
{
    struct histogram histogram, other;
    struct histogram_bucket bucket;
    size_t cursor = 0;
    histogram_init(&histogram, HISTOGRAM_BITS);
    histogram_init(&other, HISTOGRAM_BITS);
    histogram_merge(&histogram, &other);
    histogram_clear(&histogram);
    assert_int_equal(histogram_percentile(&histogram, 50), 0);
    assert_true(histogram_mean(&histogram) == 0);
    assert_int_equal(histogram_count_up_to(&histogram, 100), 0);
    assert_false(histogram_next(&histogram, &cursor, &bucket));
    histogram_done(&other);
    histogram_done(&histogram);
}

/* Parts that were recorded apart and merged are the same as one that has seen everything. */
static void test_merging(void **state)
{
    struct histogram parts[3], whole, merged, coarse;
    histogram_init(&whole, HISTOGRAM_BITS);
    histogram_init(&merged, HISTOGRAM_BITS);
    histogram_init(&coarse, HISTOGRAM_BITS_COARSE);
    struct rng rng;
    rng_seed(&rng, 11);
    for (size_t p = 0; p < 3; p++) {
        histogram_init(&parts[p], HISTOGRAM_BITS);
        for (int i = 0; i < 5000; i++) {
            uint64_t value = rng_next(&rng) >> (24 + rng_below(&rng, 36));
            histogram_record(&parts[p], value);
            histogram_record(&whole, value);
        }
        histogram_merge(&merged, &parts[p]);
        histogram_merge(&coarse, &parts[p]);
        histogram_done(&parts[p]);
    }
    assert_memory_equal(merged.counts, whole.counts, whole.bucket_count * sizeof *whole.counts);
    assert_int_equal(merged.total, 15000);
    assert_int_equal(merged.min, whole.min);
    assert_int_equal(merged.max, whole.max);
    assert_true(merged.sum > whole.sum * 0.999999 && merged.sum < whole.sum * 1.000001);
    for (double percent = 1; percent < 100; percent += 7) {
        /* Both have rounded: one more step than the precision alone. */
        assert_within(histogram_percentile(&coarse, percent), histogram_percentile(&whole, percent),
                      HISTOGRAM_BITS_COARSE - 1);
    }
    assert_int_equal(coarse.total, 15000);
    uint64_t sum = 0;
    size_t cursor = 0;
    struct histogram_bucket bucket;
    while (histogram_next(&coarse, &cursor, &bucket))
        sum += bucket.count;
    assert_int_equal(sum, 15000);
    histogram_done(&coarse);
    histogram_done(&merged);
    histogram_done(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_follow_each_other_without_a_gap),
        cmocka_unit_test(test_every_size_of_value_keeps_its_precision),
        cmocka_unit_test(test_percentiles_of_known_values),
        cmocka_unit_test(test_smallest_and_greatest_are_exact),
        cmocka_unit_test(test_values_beyond_the_last_bucket_count_in_it),
        cmocka_unit_test(test_nothing_recorded),
        cmocka_unit_test(test_merging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
