/* Proves what access clocks say: seconds that go round, counts that grow by chance as slowly as they should and shrink with
 * the minutes, and that entries can be given either. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keyspace/use.h"

#define START_MS  1700000000000
#define MINUTE_MS 60000

struct fixture {
    struct use use;
    struct rng rng;
    struct entry entry;
};

static void setup(struct fixture *fixture, bool counts, uint32_t log_factor, uint32_t decay_minutes)
{
    *fixture = (struct fixture){0};
    rng_seed(&fixture->rng, 1);
    use_set_time(&fixture->use, START_MS);
    use_set_rules(&fixture->use, &(struct use_rules){counts, log_factor, decay_minutes});
    entry_set_clock(&fixture->entry, fixture->use.clock_new);
}

static void touch(struct fixture *fixture, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        use_touch(&fixture->use, &fixture->rng, &fixture->entry);
}

static void test_idle_times(void **state)
{
    struct fixture fixture;
    setup(&fixture, false, 10, 1);
    assert_int_equal(use_idle_seconds(&fixture.use, &fixture.entry), 0);
    assert_int_equal(entry_clock(&fixture.entry), fixture.use.fresh);
    use_set_time(&fixture.use, START_MS + 90999);
    assert_int_equal(use_idle_seconds(&fixture.use, &fixture.entry), 90);
    assert_int_not_equal(entry_clock(&fixture.entry), fixture.use.fresh);
    touch(&fixture, 1);
    assert_int_equal(use_idle_seconds(&fixture.use, &fixture.entry), 0);
    /* The clock has 24 bits: it goes round after half a year. */
    use_set_time(&fixture.use, START_MS + 90999 + INT64_C(1000) * ((1 << 24) + 7));
    assert_int_equal(use_idle_seconds(&fixture.use, &fixture.entry), 7);
    entry_set_clock(&fixture.entry, use_clock_of_idle(&fixture.use, 12345));
    assert_int_equal(use_idle_seconds(&fixture.use, &fixture.entry), 12345);
    entry_set_clock(&fixture.entry, use_clock_of_idle(&fixture.use, UINT64_MAX));
    assert_int_equal(use_idle_seconds(&fixture.use, &fixture.entry), (1 << 24) - 1);
}

static void test_each_use_counts_without_a_factor(void **state)
{
    struct fixture fixture;
    setup(&fixture, true, 0, 1);
    assert_int_equal(use_frequency(&fixture.use, &fixture.entry), 5);
    touch(&fixture, 100);
    assert_int_equal(use_frequency(&fixture.use, &fixture.entry), 105);
    touch(&fixture, 1000);
    assert_int_equal(use_frequency(&fixture.use, &fixture.entry), USE_FREQUENCY_MAX);
    assert_true(fixture.use.fresh > 0xffffff); /* U1 */
}

/* With factor f the expected number of uses from 5 to n is the sum of (k - 5) f + 1: about f (n - 5)^2 / 2. */
static void test_counts_grow_as_a_logarithm_would(void **state)
{
    static const struct {
        uint32_t factor;
        unsigned uses;
        uint32_t from, to;
    } rows[] = {{10, 100, 7, 13},
                {10, 1000, 13, 24},
                {10, 100000, 120, 170},
                {100, 1000, 6, 13},
                {100, 100000, 38, 62}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture fixture;
        setup(&fixture, true, rows[i].factor, 1);
        touch(&fixture, rows[i].uses);
        assert_in_range(use_frequency(&fixture.use, &fixture.entry), rows[i].from, rows[i].to);
    }
}

static void test_counts_shrink_with_the_minutes(void **state)
{
    struct fixture fixture;
    setup(&fixture, true, 0, 3);
    touch(&fixture, 95);
    use_set_time(&fixture.use, START_MS + 31 * MINUTE_MS);
    assert_int_equal(use_frequency(&fixture.use, &fixture.entry), 90);
    touch(&fixture, 1);
    assert_int_equal(use_frequency(&fixture.use, &fixture.entry), 91);
    use_set_time(&fixture.use, START_MS + 1000 * MINUTE_MS);
    assert_int_equal(use_frequency(&fixture.use, &fixture.entry), 0);
    touch(&fixture, 1);
    assert_int_equal(use_frequency(&fixture.use, &fixture.entry), 1);
    use_set_rules(&fixture.use, &(struct use_rules){true, 0, 0}); /* never */
    use_set_time(&fixture.use, START_MS + 50000 * (int64_t)MINUTE_MS);
    assert_int_equal(use_frequency(&fixture.use, &fixture.entry), 1);
    entry_set_clock(&fixture.entry, use_clock_of_frequency(&fixture.use, 77));
    assert_int_equal(use_frequency(&fixture.use, &fixture.entry), 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_times),
        cmocka_unit_test(test_each_use_counts_without_a_factor),
        cmocka_unit_test(test_counts_grow_as_a_logarithm_would),
        cmocka_unit_test(test_counts_shrink_with_the_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
