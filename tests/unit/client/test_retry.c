/* Delays between attempts to connect, and when there are no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/retry.h"

static void delays_double_and_are_partly_random(void **state)
{
    struct retry retry;
    retry_init(&retry, -1, 100, 1000);
    int64_t delay_ms = -1;
    assert_true(retry_next(&retry, false, &delay_ms)); /* a good connection was lost */
    assert_int_equal(delay_ms, 0);
    const int64_t expected_ms[] = {100, 200, 400, 800, 1000, 1000, 1000};
    for (size_t i = 0; i < sizeof(expected_ms) / sizeof(expected_ms[0]); i++) {
        assert_true(retry_next(&retry, true, &delay_ms));
        assert_in_range(delay_ms, expected_ms[i] / 2, expected_ms[i]);
    }
}

static void clients_do_not_come_back_in_step(void **state)
{
    int64_t first_ms = -1;
    for (int i = 0; i < 100; i++) {
        struct retry retry;
        int64_t delay_ms;
        retry_init(&retry, -1, 1 << 30, INT64_MAX);
        assert_true(retry_next(&retry, true, &delay_ms));
        if (first_ms >= 0 && delay_ms != first_ms)
            return;
        first_ms = delay_ms;
    }
    fail_msg("100 clients chose the same delay out of 2^29");
}

static void attempts_are_counted_until_one_succeeds(void **state)
{
    struct retry retry;
    int64_t delay_ms;
    retry_init(&retry, 2, 0, 0);
    for (int row = 0; row < 3; row++) {
        assert_true(retry_next(&retry, true, &delay_ms));
        assert_int_equal(delay_ms, 0);
        assert_true(retry_next(&retry, true, &delay_ms));
        assert_false(retry_next(&retry, true, &delay_ms));
        retry_succeeded(&retry);
    }
    retry_init(&retry, 0, 100, 100);
    assert_false(retry_next(&retry, false, &delay_ms));
}

static void large_delays_do_not_overflow(void **state)
{
    struct retry retry;
    int64_t delay_ms;
    retry_init(&retry, -1, INT64_MAX / 2 + 5, INT64_MAX);
    for (int i = 0; i < 200; i++) {
        assert_true(retry_next(&retry, true, &delay_ms));
        assert_true(delay_ms >= INT64_MAX / 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_double_and_are_partly_random),
        cmocka_unit_test(clients_do_not_come_back_in_step),
        cmocka_unit_test(attempts_are_counted_until_one_succeeds),
        cmocka_unit_test(large_delays_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
