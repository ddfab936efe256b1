/* What the benchmark says of its rounds: medians, ratios of paired rounds, and that few rounds promise nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"
#include "bench/stats.h"

static void median_of_rounds(void **state)
{
    struct stats_summary odd = stats_summary((double[]){5, 1, 3}, 3);
    assert_float_equal(odd.median, 3, 0);
    assert_float_equal(odd.min, 1, 0);
    assert_float_equal(odd.max, 5, 0);
    struct stats_summary even = stats_summary((double[]){4, 1, 2, 8}, 4);
    assert_float_equal(even.median, 3, 0);
    struct stats_summary one = stats_summary((double[]){7}, 1);
    assert_float_equal(one.median, 7, 0);
    assert_int_equal(stats_summary(NULL, 0).rounds, 0);
}

static void median_leaves_the_rounds_in_order(void **state)
{
    double rounds[] = {3, 1, 2};
    stats_summary(rounds, 3);
    assert_float_equal(rounds[0], 3, 0);
    assert_float_equal(rounds[2], 2, 0);
}

/* The quantiles as tables of the distribution have them. */
static void student_t_is_that_of_the_tables(void **state)
{
    static const struct {
        size_t degrees;
        double t;
    } known[] = {{1, 12.7062}, {2, 4.3027},  {4, 2.7764},  {9, 2.2622},
                 {10, 2.2281}, {15, 2.1314}, {30, 2.0423}, {120, 1.9799}};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        assert_float_equal(stats_student_t(known[i].degrees), known[i].t, 0.0005);
}

/* A slow minute hits both servers: their ratio does not see it. */
static void what_hits_both_falls_out(void **state)
{
    double a[] = {200, 100, 20, 300, 2}, b[] = {100, 50, 10, 150, 1};
    struct stats_ratio ratio = stats_ratio(a, b, 5);
    assert_int_equal(ratio.trust, STATS_INTERVAL);
    assert_float_equal(ratio.ratio, 2, 1e-9);
    assert_float_equal(ratio.low, 2, 1e-6);
    assert_float_equal(ratio.high, 2, 1e-6);
    assert_true(stats_differs(&ratio));
}

/* ln 2 and ln 8 around ln 4, three rounds: s = ln 2, half width 4.3027 * ln 2 / sqrt 3 = 1.7219. */
static void interval_is_that_of_student(void **state)
{
    double a[] = {2, 4, 8}, b[] = {1, 1, 1};
    struct stats_ratio ratio = stats_ratio(a, b, 3);
    assert_int_equal(ratio.trust, STATS_ROUGH);
    assert_float_equal(ratio.ratio, 4, 1e-9);
    assert_float_equal(ratio.low, 4 / 5.5951, 0.001);
    assert_float_equal(ratio.high, 4 * 5.5951, 0.01);
    assert_false(stats_differs(&ratio));
}

/* A to B and B to A are the same statement. */
static void the_other_way_round_is_the_inverse(void **state)
{
    double a[] = {11, 12, 10.5, 13}, b[] = {10, 10.1, 10.2, 9.9};
    struct stats_ratio there = stats_ratio(a, b, 4), back = stats_ratio(b, a, 4);
    assert_float_equal(there.ratio * back.ratio, 1, 1e-9);
    assert_float_equal(there.low * back.high, 1, 1e-9);
}

static void few_rounds_give_no_interval(void **state)
{
    double a[] = {2, 4}, b[] = {1, 1};
    for (size_t rounds = 1; rounds < STATS_ROUNDS_MIN; rounds++) {
        struct stats_ratio ratio = stats_ratio(a, b, rounds);
        assert_int_equal(ratio.trust, STATS_POINT);
        assert_float_equal(ratio.low, ratio.high, 0);
        assert_false(stats_differs(&ratio));
    }
    assert_int_equal(stats_ratio(a, b, 0).trust, STATS_NONE);
}

/* CPU time below the clock's tick reads as zero: there is no ratio, rather than 0 or infinity. */
static void a_zero_has_no_ratio(void **state)
{
    double a[] = {1, 0, 1}, b[] = {1, 1, 1};
    assert_int_equal(stats_ratio(a, b, 3).trust, STATS_NONE);
    assert_int_equal(stats_ratio(b, a, 3).trust, STATS_NONE);
    assert_float_equal(stats_ratio(a, b, 3).ratio, 0, 0);
}

static void trust_has_a_word(void **state)
{
    assert_string_equal(stats_trust_word(STATS_NONE), "none");
    assert_string_equal(stats_trust_word(STATS_POINT), "point");
    assert_string_equal(stats_trust_word(STATS_ROUGH), "rough");
    assert_string_equal(stats_trust_word(STATS_INTERVAL), "interval");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(median_of_rounds),
        cmocka_unit_test(median_leaves_the_rounds_in_order),
        cmocka_unit_test(student_t_is_that_of_the_tables),
        cmocka_unit_test(what_hits_both_falls_out),
        cmocka_unit_test(interval_is_that_of_student),
        cmocka_unit_test(the_other_way_round_is_the_inverse),
        cmocka_unit_test(few_rounds_give_no_interval),
        cmocka_unit_test(a_zero_has_no_ratio),
        cmocka_unit_test(trust_has_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
