/* Distributions of keys, sizes and arrivals: shares as promised (with fixed seeds, so nothing is left to luck), what is
 * refused, what threads share. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "bench/distribution.h"

#define DRAWS 200000

/* The sum over all cells of (seen - expected)^2 / expected. About as large as there are cells when the distribution is
 * right; six standard deviations more are allowed. */
static void assert_shares(const unsigned *seen, const double *expected, unsigned cells)
{
    double sum = 0;
    for (unsigned i = 0; i < cells; i++)
        sum += (seen[i] - expected[i]) * (seen[i] - expected[i]) / expected[i];
    double limit = cells - 1 + 6 * sqrt(2.0 * (cells - 1));
    if (sum > limit)
        fail_msg("chi-square %g with %u cells, allowed %g", sum, cells, limit);
}

static struct key_distribution keys_of(const char *text)
{
    struct key_distribution distribution;
    char error[DISTRIBUTION_ERROR_MAX];
    assert_true(key_distribution_parse(text, &distribution, error));
    return distribution;
}

static void test_uniform_keys(void **state)
{
    enum { KEYS = 50 };
    unsigned seen[KEYS] = {0};
    double expected[KEYS];
    struct key_chooser chooser;
    struct rng rng;
    rng_seed(&rng, 1);
    key_chooser_init(&chooser, keys_of("uniform"), KEYS, 0, 1);
    for (int i = 0; i < DRAWS; i++)
        seen[key_choose(&chooser, &rng)]++;
    for (unsigned i = 0; i < KEYS; i++)
        expected[i] = (double)DRAWS / KEYS;
    assert_shares(seen, expected, KEYS);
}

static void check_zipf(const char *text, double theta)
{
    enum { KEYS = 100 };
    unsigned seen[KEYS] = {0};
    double expected[KEYS], sum = 0;
    struct key_chooser chooser;
    struct rng rng;
    rng_seed(&rng, 2);
    key_chooser_init(&chooser, keys_of(text), KEYS, 0, 1);
    for (int i = 0; i < DRAWS; i++)
        seen[key_choose(&chooser, &rng)]++;
    for (unsigned i = 0; i < KEYS; i++)
        sum += pow(i + 1, -theta);
    for (unsigned i = 0; i < KEYS; i++)
        expected[i] = DRAWS * pow(i + 1, -theta) / sum;
    assert_shares(seen, expected, KEYS);
}

static void test_zipf_has_exactly_its_shares(void **state)
{
    check_zipf("zipf", 0.99);
    check_zipf("zipf:0.5", 0.5);
    check_zipf("zipf:1", 1);
    check_zipf("zipf:1.2", 1.2);
}

static void test_zipf_over_very_many_keys(void **state)
{
    struct zipf zipf;
    struct rng rng;
    rng_seed(&rng, 3);
    const uint64_t count = UINT64_C(1000000000000);
    zipf_init(&zipf, count, 0.99);
    uint64_t greatest = 0, first = 0;
    for (int i = 0; i < DRAWS; i++) {
        uint64_t rank = zipf_draw(&zipf, &rng);
        assert_in_range(rank, 1, count);
        greatest = rank > greatest ? rank : greatest;
        first += rank == 1;
    }
    assert_true(greatest > count / 2);
    /* 1 / (sum of 1 / i^0.99) is 3.12 % for so many keys. */
    assert_in_range(first, (uint64_t)(DRAWS * 0.029), (uint64_t)(DRAWS * 0.033));
    zipf_init(&zipf, 1, 0.99);
    assert_int_equal(zipf_draw(&zipf, &rng), 1);
}

static void test_latest_is_zipf_from_the_newest_back(void **state)
{
    struct key_chooser chooser;
    struct rng rng;
    rng_seed(&rng, 4);
    key_chooser_init(&chooser, keys_of("latest"), 1000, 0, 1);
    unsigned newest = 0;
    for (int i = 0; i < 10000; i++) {
        uint64_t key = key_choose(&chooser, &rng);
        assert_in_range(key, 0, 999);
        newest += key == 999;
    }
    assert_true(newest > 1000); /* one of 7.5 */
    assert_int_equal(key_insert(&chooser), 1000);
    assert_int_equal(key_insert(&chooser), 1001);
    newest = 0;
    for (int i = 0; i < 10000; i++) {
        uint64_t key = key_choose(&chooser, &rng);
        assert_in_range(key, 2, 1001);
        newest += key == 1001;
    }
    assert_true(newest > 1000);
}

static void test_threads_share_a_sequence_without_gap_or_overlap(void **state)
{
    enum { KEYS = 103, THREADS = 4 };
    unsigned seen[KEYS] = {0};
    for (unsigned thread = 0; thread < THREADS; thread++) {
        struct key_chooser chooser;
        key_chooser_init(&chooser, keys_of("sequential"), KEYS, thread, THREADS);
        unsigned share = KEYS / THREADS + (thread < KEYS % THREADS);
        for (unsigned i = 0; i < share; i++)
            seen[key_choose(&chooser, NULL)]++;
        assert_int_equal(key_insert(&chooser), KEYS + thread);
        assert_int_equal(key_insert(&chooser), KEYS + thread + THREADS);
    }
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(seen[i], 1);
}

static void test_sequence_begins_anew_at_its_end(void **state)
{
    struct key_chooser chooser;
    key_chooser_init(&chooser, keys_of("sequential"), 3, 0, 1);
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(key_choose(&chooser, NULL), i % 3);
}

static void test_distributions_of_keys_that_are_refused(void **state)
{
    const char *const wrong[] = {"",        "normal",    "zipf:",      "zipf:x", "zipf:0",
                                 "zipf:11", "uniform:1", "latest:nan", "zipfx"};
    struct key_distribution distribution;
    char error[DISTRIBUTION_ERROR_MAX];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        *error = '\0';
        if (key_distribution_parse(wrong[i], &distribution, error))
            fail_msg("'%s' was taken", wrong[i]);
        assert_true(*error != '\0');
    }
}

static struct size_distribution sizes_of(const char *text)
{
    struct size_distribution distribution;
    char error[DISTRIBUTION_ERROR_MAX];
    assert_true(size_distribution_parse(text, &distribution, error));
    return distribution;
}

static void test_sizes_by_weight(void **state)
{
    struct size_distribution sizes = sizes_of("64:80,4096:15,10-12:5");
    struct rng rng;
    rng_seed(&rng, 5);
    unsigned seen[5] = {0};
    for (int i = 0; i < DRAWS; i++) {
        double part = random_unit(&rng);
        uint64_t size = size_choose(&sizes, part, rng_next(&rng));
        switch (size) {
        case 64: seen[0]++; break;
        case 4096: seen[1]++; break;
        case 10:
        case 11:
        case 12: seen[size - 8]++; break;
        default: fail_msg("%lu", size);
        }
    }
    const double expected[5] = {DRAWS * 0.8, DRAWS * 0.15, DRAWS * 0.05 / 3, DRAWS * 0.05 / 3,
                                DRAWS * 0.05 / 3};
    assert_shares(seen, expected, 5);
    assert_int_equal(size_largest(&sizes), 4096);
    assert_false(size_is_fixed(&sizes));
}

static void test_fixed_sizes(void **state)
{
    struct size_distribution sizes = sizes_of("100");
    assert_true(size_is_fixed(&sizes));
    assert_int_equal(size_choose(&sizes, 0.99, UINT64_MAX), 100);
    sizes = sizes_of("0");
    assert_int_equal(size_choose(&sizes, 0, 0), 0);
    sizes = sizes_of("7-9");
    assert_false(size_is_fixed(&sizes));
}

static void test_sizes_that_are_refused(void **state)
{
    const char *const wrong[] = {"",
                                 ",",
                                 "x",
                                 "-1",
                                 "5-",
                                 "9-5",
                                 "64:",
                                 "64:0",
                                 "64:-1",
                                 "64:inf",
                                 "64,",
                                 "536870913",
                                 "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"};
    struct size_distribution distribution;
    char error[DISTRIBUTION_ERROR_MAX];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        *error = '\0';
        if (size_distribution_parse(wrong[i], &distribution, error))
            fail_msg("'%s' was taken", wrong[i]);
        assert_true(*error != '\0');
    }
}

static void test_uniform_arrivals_of_threads_interleave(void **state)
{
    struct rng rng;
    rng_seed(&rng, 6);
    struct arrivals arrivals[2];
    for (unsigned thread = 0; thread < 2; thread++)
        arrivals_init(&arrivals[thread], 1000, false, 5000, thread, 2, &rng);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(arrivals_next(&arrivals[0], &rng), 5000 + i * 2000000);
        assert_int_equal(arrivals_next(&arrivals[1], &rng), 5000 + i * 2000000 + 1000000);
    }
    assert_int_equal(arrivals_backlog(&arrivals[0], 5000 + 19999999), 0);
    assert_int_equal(arrivals_backlog(&arrivals[0], 5000 + 20000000), 1);
    assert_int_equal(arrivals_backlog(&arrivals[0], 5000 + 24000000), 3);
}

/* Gaps of a Poisson process are exponential: the mean is that of the rate, and a share of e^-1 is longer than it. */
static void test_poisson_arrivals(void **state)
{
    struct rng rng;
    rng_seed(&rng, 7);
    struct arrivals arrivals;
    arrivals_init(&arrivals, 1000, true, 0, 0, 1, &rng);
    uint64_t before = arrivals_next(&arrivals, &rng);
    double sum = 0;
    unsigned longer = 0;
    for (int i = 0; i < DRAWS; i++) {
        uint64_t next = arrivals_next(&arrivals, &rng);
        assert_true(next >= before);
        sum += (double)(next - before);
        longer += next - before > 1000000;
        before = next;
    }
    assert_true(fabs(sum / DRAWS - 1e6) < 1e4);
    assert_true(fabs((double)longer / DRAWS - exp(-1)) < 0.005);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uniform_keys),
        cmocka_unit_test(test_zipf_has_exactly_its_shares),
        cmocka_unit_test(test_zipf_over_very_many_keys),
        cmocka_unit_test(test_latest_is_zipf_from_the_newest_back),
        cmocka_unit_test(test_threads_share_a_sequence_without_gap_or_overlap),
        cmocka_unit_test(test_sequence_begins_anew_at_its_end),
        cmocka_unit_test(test_distributions_of_keys_that_are_refused),
        cmocka_unit_test(test_sizes_by_weight),
        cmocka_unit_test(test_fixed_sizes),
        cmocka_unit_test(test_sizes_that_are_refused),
        cmocka_unit_test(test_uniform_arrivals_of_threads_interleave),
        cmocka_unit_test(test_poisson_arrivals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
