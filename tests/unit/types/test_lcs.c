/* The bit-vector method finds the length and the very places that the textbook table gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
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

static enum status walk_on(struct lcs_walk *walk, size_t steps, struct lcs_run *ret_run)
{
    enum status status;
    while ((status = lcs_walk_step(walk, steps, ret_run)) == ST_AGAIN)
        ;
    return status;
}

/* Walks the table backwards, preferring to give up a byte of b, and expects the same pairs from the walk. */
static void check_walk(const struct lcs *lcs, size_t steps)
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
            assert_int_equal(walk_on(&walk, steps, &run), ST_OK);
        i--;
        j--;
        run.size--;
        pairs++;
        assert_int_equal(run.a_start + run.size, i);
        assert_int_equal(run.b_start + run.size, j);
    }
    assert_int_equal(run.size, 0);
    assert_int_equal(walk_on(&walk, steps, &run), ST_EOF);
    assert_int_equal(pairs, lcs->length);
}

static void compute(struct lcs *lcs, struct slice a, struct slice b, bool with_path, size_t steps)
{
    lcs_begin(lcs, a, b, with_path);
    size_t turns_max = 1000 + (a.size + 1) * (b.size + 1);
    while (lcs_step(lcs, steps) == ST_AGAIN)
        assert_true(turns_max-- > 0);
    assert_int_equal(lcs_step(lcs, steps), ST_OK); /* stays ready */
    assert_int_equal(lcs->length, table[a.size][b.size]);
}

/* The table of a and b is filled. */
static void check_in_steps(struct slice a, struct slice b, size_t steps)
{
    struct lcs lcs;
    compute(&lcs, a, b, false, steps);
    lcs_done(&lcs, NULL);
    compute(&lcs, a, b, true, steps);
    check_walk(&lcs, steps);
    lcs_done(&lcs, NULL);
}

static void check(struct slice a, struct slice b)
{
    fill_table(a, b);
    check_in_steps(a, b, SIZE_MAX);
    check_in_steps(a, b, 1 + (a.size + 3 * b.size) % 7);
}

/* Tables that are not ready can be given back at any step. */
static void can_be_left(void **state)
{
    enum { STEPS_MAX = 40 };
    for (size_t steps = 0; steps < STEPS_MAX; steps++) {
        struct lcs lcs;
        size_t before = mem_used();
        lcs_begin(&lcs, SLICE("ohmytext"), SLICE("mynewtext"), true);
        for (size_t i = 0; i < steps; i++)
            lcs_step(&lcs, 1);
        lcs_done(&lcs, NULL);
        assert_int_equal(mem_used(), before);
    }
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
        cmocka_unit_test(can_be_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
