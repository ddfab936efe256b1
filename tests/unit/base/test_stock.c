/* Proves: what was put last is taken first; of what nobody needs half is given back each time, until nothing is left; what is needed
 * stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/stock.h"

#define BLOCKS 16

static struct stock_block blocks[BLOCKS], more[3 * STOCK_SURPLUS_MAX];

static void put_all(struct stock *stock)
{
    for (int i = 0; i < BLOCKS; i++)
        stock_put(stock, &blocks[i]);
}

static void give_back(struct stock *stock, uint32_t expected)
{
    uint32_t count = stock->count, surplus = stock_surplus(stock);
    assert_int_equal(surplus, expected);
    while (surplus-- > 0)
        assert_non_null(stock_take(stock));
    assert_int_equal(stock->count, count - expected);
}

static void the_last_comes_first(void **state)
{
    struct stock stock = {0};
    assert_null(stock_take(&stock));
    put_all(&stock);
    for (int round = 0; round < 3; round++) {
        assert_ptr_equal(stock_take(&stock), &blocks[BLOCKS - 1]);
        stock_put(&stock, &blocks[BLOCKS - 1]);
    }
    for (int i = BLOCKS - 1; i >= 0; i--)
        assert_ptr_equal(stock_take(&stock), &blocks[i]);
    assert_null(stock_take(&stock));
    assert_int_equal(stock.count, 0);
}

static void what_nobody_needs_is_given_back_by_halves(void **state)
{
    static const uint32_t expected[] = {8, 4, 2, 1, 1, 0};
    struct stock stock = {0};
    put_all(&stock);
    give_back(&stock, 0); /* nobody knows yet whether it is needed */
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        give_back(&stock, expected[i]);
    assert_int_equal(stock.count, 0);
}

static void what_is_needed_stays(void **state)
{
    struct stock stock = {0};
    struct stock_block *taken[3];
    put_all(&stock);
    for (int round = 0; round < 20; round++) {
        uint32_t surplus = stock_surplus(&stock);
        while (surplus-- > 0)
            assert_non_null(stock_take(&stock));
        for (int i = 0; i < 3; i++)
            assert_non_null(taken[i] = stock_take(&stock));
        for (int i = 2; i >= 0; i--)
            stock_put(&stock, taken[i]);
    }
    assert_int_equal(stock.count, 3);
    give_back(&stock, 0); /* all three have been needed */
}

static void a_step_is_bounded(void **state)
{
    struct stock stock = {0};
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        stock_put(&stock, &more[i]);
    give_back(&stock, 0);
    give_back(&stock, STOCK_SURPLUS_MAX);
    give_back(&stock, STOCK_SURPLUS_MAX);
    give_back(&stock, STOCK_SURPLUS_MAX / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_comes_first),
        cmocka_unit_test(what_nobody_needs_is_given_back_by_halves),
        cmocka_unit_test(what_is_needed_stays),
        cmocka_unit_test(a_step_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
