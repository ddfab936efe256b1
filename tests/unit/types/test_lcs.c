/* The bit-vector method finds the length and the very places that the textbook table gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/rng.h"
#include "types/lcs.h"

#define SIZE_TESTED 200

static uint16_t table[SIZE_TESTED + 1][SIZE_TESTED + 1];

static void fill_table(struct slice a, struct slice b)
{
    memset(table, 0, sizeof(table));
    for (size_t i = 1; i <= a.size; i++) {
        for (size_t j = 1; j <= b.size; j++) {
            uint16_t up = table[i - 1][j];
            uint16_t left = table[i][j - 1];
            table[i][j] = a.data[i - 1] == b.data[j - 1] ? table[i - 1][j - 1] + 1 : up > left ? up : left;
        }
    }
}

/* Walks the table backwards, preferring to give up a byte of b, and expects the same pairs from the walk. */
static void check_walk(const struct lcs *lcs)
{
    struct lcs_walk walk = lcs_walk_start(lcs);
    struct lcs_run run = {0};
    size_t i = lcs->a.size;
    size_t j = lcs->b.size;
    uint64_t pairs = 0;
    while (i > 0 && j > 0) {
        if (lcs->a.data[i - 1] != lcs->b.data[j - 1]) {
            assert_int_equal(run.size, 0);
            if (table[i - 1][j] > table[i][j - 1])
                i--;
            else
                j--;
            continue;
        }
        if (run.size == 0)
            assert_true(lcs_walk_next(&walk, &run));
        i--;
        j--;
        run.size--;
        pairs++;
        assert_int_equal(run.a_start + run.size, i);
        assert_int_equal(run.b_start + run.size, j);
    }
    assert_int_equal(run.size, 0);
    assert_false(lcs_walk_next(&walk, &run));
    assert_int_equal(pairs, lcs->length);
}

static void check(struct slice a, struct slice b)
{
    struct lcs lcs;
    fill_table(a, b);
    assert_int_equal(lcs_compute(a, b, false, &lcs), ST_OK);
    assert_int_equal(lcs.length, table[a.size][b.size]);
    assert_null(lcs.rows);
    lcs_done(&lcs);
    assert_int_equal(lcs_compute(a, b, true, &lcs), ST_OK);
    assert_int_equal(lcs.length, table[a.size][b.size]);
    check_walk(&lcs);
    lcs_done(&lcs);
}

static void agrees_with_the_table_on_random_strings(void **state)
{
    struct rng rng;
    rng_seed(&rng, 99);
    char a[SIZE_TESTED];
    char b[SIZE_TESTED];
    for (int round = 0; round < 600; round++) {
        size_t a_size = rng_below(&rng, SIZE_TESTED + 1);
        size_t b_size = rng_below(&rng, SIZE_TESTED + 1);
        uint64_t letters = 1 + rng_below(&rng, round % 2 ? 4 : 256);
        for (size_t i = 0; i < a_size; i++)
            a[i] = (char)rng_below(&rng, letters);
        for (size_t i = 0; i < b_size; i++)
            b[i] = (char)rng_below(&rng, letters);
        check(slice_make(a, a_size), slice_make(b, b_size));
    }
}

static void agrees_at_the_borders_of_words(void **state)
{
    static const size_t sizes[] = {1, 63, 64, 65, 127, 128, 129, 192};
    char bytes[SIZE_TESTED];
    memset(bytes, 'x', sizeof(bytes));
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        for (size_t j = 0; j < ARRAY_COUNT(sizes); j++)
            check(slice_make(bytes, sizes[i]), slice_make(bytes, sizes[j]));
    }
    check(SLICE(""), SLICE("abc"));
    check(SLICE("abc"), SLICE(""));
    check(SLICE("ohmytext"), SLICE("mynewtext"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_table_on_random_strings),
        cmocka_unit_test(agrees_at_the_borders_of_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
