/* Sorting in steps of any size gives the order that sorting by hand gives, and keeps equal items in theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/rng.h"
#include "types/sort.h"

#define ITEMS_MAX 3000

/* Items of one rank are compared by the low bits of a number that is not told to the sort otherwise. */
struct ties {
    const uint8_t *values; /* by item->number */
    uint64_t comparisons;
};

static int compare(const void *context, const struct sort_item *a, const struct sort_item *b)
{
    const struct ties *ties = context;
    ((struct ties *)ties)->comparisons++;
    assert_int_equal(a->rank, b->rank);
    return (int)ties->values[a->number] - (int)ties->values[b->number];
}

static void check_sorted(const struct sort *sort, const struct ties *ties)
{
    uint64_t seen = 0;
    for (uint64_t i = 0; i < sort->count; i++) {
        const struct sort_item *item = &sort->items[i];
        assert_ptr_equal(item->data, ties->values + item->number); /* the element came along */
        seen += item->number;
        if (i == 0)
            continue;
        const struct sort_item *before = item - 1;
        assert_true(before->rank <= item->rank);
        if (before->rank < item->rank)
            continue;
        assert_true(ties->values[before->number] <= ties->values[item->number]);
        if (ties->values[before->number] == ties->values[item->number])
            assert_true(before->number < item->number);
    }
    assert_int_equal(seen, sort->count == 0 ? 0 : sort->count * (sort->count - 1) / 2);
}

static void run(struct rng *rng, uint64_t count, uint64_t ranks, uint64_t step)
{
    static uint8_t values[ITEMS_MAX];
    struct ties ties = {.values = values};
    struct sort sort;
    assert_int_equal(sort_init(&sort, count, compare, &ties), ST_OK);
    for (uint64_t i = 0; i < count; i++) {
        values[i] = (uint8_t)rng_below(rng, 4);
        sort.items[i] = (struct sort_item){
            .rank = rng_below(rng, ranks), .data = (const char *)values + i, .number = (uint32_t)i};
    }
    uint64_t steps = 1;
    for (; !sort_step(&sort, step); steps++)
        assert_true(steps < 100 * (count + 1)); /* each step gets somewhere */
    if (step >= ITEMS_MAX * 20)
        assert_int_equal(steps, 1);
    check_sorted(&sort, &ties);
    assert_true(sort_step(&sort, step)); /* stays sorted */
    check_sorted(&sort, &ties);
    sort_done(&sort, NULL);
}

static void test_every_size(void **state)
{
    struct rng rng;
    rng_seed(&rng, 1);
    for (uint64_t count = 0; count < 300; count++) {
        run(&rng, count, UINT64_MAX, 1);
        run(&rng, count, 3, 7);
        run(&rng, count, 1, ITEMS_MAX * 20);
    }
}

static void test_random_sizes_and_steps(void **state)
{
    struct rng rng;
    rng_seed(&rng, 2);
    for (unsigned i = 0; i < 60; i++)
        run(&rng, rng_below(&rng, ITEMS_MAX), 1 + rng_below(&rng, 1000), 1 + rng_below(&rng, 5000));
}

static void test_a_step_is_bounded(void **state)
{
    enum { COUNT = 2000, STEP = 64 };
    static uint8_t values[COUNT];
    struct ties ties = {.values = values};
    struct sort sort;
    assert_int_equal(sort_init(&sort, COUNT, compare, &ties), ST_OK);
    for (uint32_t i = 0; i < COUNT; i++)
        sort.items[i] = (struct sort_item){.data = (const char *)values + i, .number = i};
    bool sorted = false;
    while (!sorted) {
        ties.comparisons = 0;
        sorted = sort_step(&sort, STEP);
        assert_in_range(ties.comparisons, 0, 4 * STEP);
    }
    check_sorted(&sort, &ties);
    sort_done(&sort, NULL);
}

static void test_refused(void **state)
{
    struct sort sort;
    assert_int_equal(sort_init(&sort, SORT_ITEMS_MAX + UINT64_C(1), compare, NULL), ST_NOMEM);
    assert_null(sort.items);
    sort_done(&sort, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_random_sizes_and_steps),
        cmocka_unit_test(test_a_step_is_bounded),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
