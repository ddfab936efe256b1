/* Proves: what was put last is taken first, resting or not; of what nobody needs half is given back at each rest, the part that was
 * put back longest ago, until nothing is left; what is needed stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/stock.h"

#define BLOCKS 16

static struct stock_block blocks[BLOCKS];

static void put_all(struct stock *stock)
{
    for (int i = 0; i < BLOCKS; i++)
        stock_put(stock, &blocks[i]);
}

static uint32_t length(const struct stock_block *block)
{
    uint32_t count = 0;
    for (; block; block = block->next)
        count++;
    return count;
}

static void check(const struct stock *stock)
{
    assert_int_equal(stock->resting_count, length(stock->resting));
    assert_int_equal(stock->count, length(stock->free) + length(stock->resting));
}

static void the_last_comes_first(void **state)
{
    struct stock stock = {0};
    assert_null(stock_take(&stock));
    put_all(&stock);
    assert_ptr_equal(stock_take(&stock), &blocks[BLOCKS - 1]);
    assert_null(stock_rest(&stock));
    check(&stock);
    assert_ptr_equal(stock_take(&stock), &blocks[BLOCKS - 2]);
    check(&stock);
    stock_put(&stock, &blocks[BLOCKS - 2]);
    assert_ptr_equal(stock_take(&stock), &blocks[BLOCKS - 2]);
    for (int i = BLOCKS - 3; i >= 0; i--)
        assert_ptr_equal(stock_take(&stock), &blocks[i]);
    assert_null(stock_take(&stock));
    check(&stock);
}

static void what_nobody_needs_is_given_back_by_halves(void **state)
{
    struct stock stock = {0};
    put_all(&stock);
    assert_null(stock_rest(&stock)); /* nobody knows yet whether it is needed */
    uint32_t expected[] = {8, 4, 2, 1, 1, 0};
    for (unsigned i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        uint32_t before = stock.count;
        const struct stock_block *given_back = stock_rest(&stock);
        assert_int_equal(length(given_back), expected[i]);
        assert_int_equal(stock.count, before - expected[i]);
        if (i == 0)
            assert_ptr_equal(given_back, &blocks[BLOCKS / 2 - 1]); /* and all that were put before it */
        check(&stock);
    }
    assert_int_equal(stock.count, 0);
}

static void what_is_needed_stays(void **state)
{
    struct stock stock = {0};
    struct stock_block *taken[3];
    put_all(&stock);
    for (int round = 0; round < 20; round++) {
        (void)stock_rest(&stock);
        for (int i = 0; i < 3; i++)
            taken[i] = stock_take(&stock);
        for (int i = 2; i >= 0; i--)
            stock_put(&stock, taken[i]);
        check(&stock);
    }
    assert_int_equal(stock.count, 3);
    assert_ptr_equal(stock_take(&stock), &blocks[BLOCKS - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_comes_first),
        cmocka_unit_test(what_nobody_needs_is_given_back_by_halves),
        cmocka_unit_test(what_is_needed_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
