/* The table of what tracking clients have read holds what a plain matrix of keys and readers holds, drops readers that are gone when it
 * needs their places, and counts its memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "exec/tracking_table.h"

#define KEYS      40
#define READERS   1000
#define AT_A_TIME 150 /* who has come first goes first */

struct model {
    bool reads[KEYS][READERS + 1]; /* by id, from 1 on */
    bool is_gone[READERS + 1];
};

static bool is_reader(void *context, uint64_t id)
{
    return !((const struct model *)context)->is_gone[id];
}

static struct slice name_of(char *buffer, unsigned key)
{
    return slice_make(buffer, (size_t)snprintf(buffer, 32, "key:%u", key));
}

/* Those that are told, taken out of the model: the gone may be among them, nobody else. */
struct expectation {
    struct model *model;
    unsigned key;
};

static void is_expected(void *context, uint64_t id)
{
    const struct expectation *expectation = context;
    assert_true(expectation->model->reads[expectation->key][id]);
    expectation->model->reads[expectation->key][id] = false;
}

static void expect_taken(struct model *model, unsigned key, struct tracked_key *tracked)
{
    struct expectation expectation = {model, key};
    if (tracked != NULL) {
        tracked_key_visit(tracked, is_expected, &expectation);
        tracked_key_free(tracked);
    }
    for (unsigned id = 1; id <= READERS; id++) {
        assert_true(!model->reads[key][id] || model->is_gone[id]);
        model->reads[key][id] = false;
    }
}

static void it_holds_what_a_model_holds(void **state)
{
    struct model *model = mem_calloc(1, sizeof *model);
    struct tracking_table table;
    struct rng rng;
    char buffer[32];
    rng_seed(&rng, 18);
    tracking_table_init(&table, 7, is_reader, model);
    for (unsigned step = 0, first = 1; first + AT_A_TIME <= READERS; step++) {
        unsigned key = (unsigned)rng_below(&rng, KEYS), id = first + (unsigned)rng_below(&rng, AT_A_TIME);
        if (rng_below(&rng, 100) < 97) {
            assert_int_equal(tracking_table_add(&table, name_of(buffer, key), id), ST_OK);
            model->reads[key][id] = true;
        } else if (rng_below(&rng, 2) == 0) {
            expect_taken(model, key, tracking_table_take(&table, name_of(buffer, key)));
        } else {
            model->is_gone[first++] = true;
        }
        if (step % 64 == 0)
            tracking_table_check(&table);
    }
    for (unsigned key = 0; key < KEYS; key++)
        expect_taken(model, key, tracking_table_take(&table, name_of(buffer, key)));
    assert_int_equal(tracking_table_size(&table), 0);
    assert_int_equal(table.reader_count + table.memory, 0);
    tracking_table_done(&table);
    mem_free(model);
}

static void one_reader_takes_sixteen_bytes_and_the_name(void **state)
{
    struct model *model = mem_calloc(1, sizeof *model);
    struct tracking_table table;
    tracking_table_init(&table, 7, is_reader, model);
    assert_int_equal(tracking_table_add(&table, SLICE("12345678"), 1), ST_OK);
    assert_int_equal(table.memory, 16 + 8);
    assert_int_equal(tracking_table_add(&table, SLICE("12345678"), 1), ST_OK);
    assert_int_equal(table.memory, 16 + 8);
    assert_int_equal(tracking_table_add(&table, SLICE("12345678"), 2), ST_OK);
    assert_int_equal(table.memory, 24 + 8);
    assert_int_equal(tracking_table_add(&table, SLICE(""), 3), ST_OK);
    assert_int_equal(table.memory, 24 + 8 + 16);
    tracking_table_done(&table);
    mem_free(model);
}

static void readers_that_come_and_go_take_no_more_places(void **state)
{
    static struct model model;
    struct tracking_table table;
    tracking_table_init(&table, 7, is_reader, &model);
    for (unsigned id = 1; id <= READERS; id++)
        model.is_gone[id] = true;
    for (unsigned id = 1; id <= READERS; id++) {
        model.is_gone[id] = false;
        assert_int_equal(tracking_table_add(&table, SLICE("k"), id), ST_OK);
        assert_true(table.reader_count <= 2);
        tracking_table_check(&table);
        model.is_gone[id] = true;
    }
    tracking_table_done(&table);
}

static void any_key_is_taken_until_none_is_left(void **state)
{
    static struct model model;
    struct tracking_table table;
    struct rng rng;
    char buffer[32];
    rng_seed(&rng, 3);
    tracking_table_init(&table, 7, is_reader, &model);
    for (unsigned key = 0; key < 1000; key++)
        assert_int_equal(tracking_table_add(&table, name_of(buffer, key), 1), ST_OK);
    for (unsigned left = 1000; left > 0; left--) {
        assert_int_equal(tracking_table_size(&table), left);
        tracked_key_free(tracking_table_take_random(&table, &rng));
    }
    assert_null(tracking_table_take_random(&table, &rng));
    tracking_table_check(&table);
    tracking_table_done(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_what_a_model_holds),
        cmocka_unit_test(one_reader_takes_sixteen_bytes_and_the_name),
        cmocka_unit_test(readers_that_come_and_go_take_no_more_places),
        cmocka_unit_test(any_key_is_taken_until_none_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
