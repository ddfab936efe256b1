/* Replies that are kept for the caller: as trees, item by item as the reader gives them, and failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/memory.h"
#include "client/results.h"

static struct skua_allocator allocator;

static void *refuse_allocate(void *context, size_t size)
{
    return NULL;
}

static void *refuse_resize(void *context, void *block, size_t size)
{
    return NULL;
}

static struct skua_reply *tree_of(const char *bytes, size_t size)
{
    struct skua_reply *reply = NULL;
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    assert_int_equal(skua_reader_feed(reader, bytes, size), SKUA_OK);
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_OK);
    skua_reader_free(reader);
    return reply;
}

static void expect_same(const struct skua_item *a, const struct skua_item *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->depth, b->depth);
    assert_int_equal(a->last, b->last);
    assert_string_equal(a->format, b->format);
    assert_int_equal(a->integer, b->integer);
    assert_true(a->number == b->number);
    assert_int_equal(a->length, b->length);
    assert_int_equal(a->element_count, b->element_count);
    assert_true((a->string == NULL) == (b->string == NULL));
    if (a->string != NULL)
        assert_memory_equal(a->string, b->string, a->length);
}

/* A tree gives the items that a reader gives for the same bytes. */
static void expect_items(const char *bytes)
{
    struct results results = {0};
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    skua_reader_feed(reader, bytes, strlen(bytes));
    assert_true(results_add_reply(&results, &allocator, tree_of(bytes, strlen(bytes))));
    struct skua_item expected, item;
    do {
        assert_int_equal(results.count, 1);
        assert_int_equal(skua_reader_next(reader, &expected), SKUA_OK);
        assert_int_equal(results_next_item(&results, &allocator, &item), SKUA_OK);
        expect_same(&expected, &item);
    } while (!expected.last);
    assert_int_equal(results.count, 0);
    assert_int_equal(results_next_item(&results, &allocator, &item), SKUA_AGAIN);
    results_done(&results, &allocator);
    skua_reader_free(reader);
}

static void a_tree_is_given_item_by_item_as_a_reader_gives_it(void **state)
{
    expect_items("+OK\r\n");
    expect_items("*0\r\n");
    expect_items("*3\r\n:1\r\n$3\r\nabc\r\n$-1\r\n");
    expect_items("*2\r\n*2\r\n*0\r\n*1\r\n+x\r\n%1\r\n+k\r\n~2\r\n#t\r\n,1.5\r\n");
    expect_items("|1\r\n+a\r\n*1\r\n:2\r\n*2\r\n|1\r\n+b\r\n:3\r\n:4\r\n=7\r\ntxt:abc\r\n");
    expect_items(
        "|1\r\n+a\r\n:1\r\n|0\r\n|1\r\n+b\r\n*1\r\n|0\r\n:2\r\n:3\r\n"); /* several before one value */
    expect_items("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n(123\r\n");
}

static void results_leave_in_the_order_in_which_they_came(void **state)
{
    struct results results = {0};
    struct skua_reply *reply;
    results_add_reply(&results, &allocator, tree_of(":1\r\n", 4));
    results_add_failures(&results, &allocator, SKUA_ERR_CLOSED, 2);
    results_add_failures(&results, &allocator, SKUA_ERR_CLOSED, 1);
    results_add_reply(&results, &allocator, tree_of(":2\r\n", 4));
    results_add_failures(&results, &allocator, SKUA_ERR_IO, 1);
    assert_int_equal(results.count, 6);
    assert_int_equal(results_take(&results, &allocator, &reply), SKUA_OK);
    assert_int_equal(reply->integer, 1);
    skua_reply_free(reply);
    for (int i = 0; i < 3; i++)
        assert_int_equal(results_take(&results, &allocator, &reply), SKUA_ERR_CLOSED);
    assert_int_equal(results_take(&results, &allocator, &reply), SKUA_OK);
    skua_reply_free(reply);
    assert_int_equal(results_take(&results, &allocator, &reply), SKUA_ERR_IO);
    assert_int_equal(results_take(&results, &allocator, &reply), SKUA_AGAIN);
    results_done(&results, &allocator);
}

static void a_reply_that_was_begun_is_not_given_as_a_tree(void **state)
{
    struct results results = {0};
    struct skua_reply *reply;
    struct skua_item item;
    results_add_reply(&results, &allocator, tree_of("*2\r\n:1\r\n:2\r\n", 12));
    assert_int_equal(results_next_item(&results, &allocator, &item), SKUA_OK);
    assert_int_equal(results_take(&results, &allocator, &reply), SKUA_ERR_USE);
    results_done(&results, &allocator);
}

static void failures_are_remembered_without_memory(void **state)
{
    const struct skua_allocator none = {refuse_allocate, refuse_resize, allocator.release, NULL};
    struct results results = {0};
    struct skua_reply *reply = NULL;
    results_add_failures(&results, &none, SKUA_ERR_IO, 2);
    results_add_failures(&results, &none, SKUA_ERR_CLOSED, 3); /* told with the others */
    assert_int_equal(results.count, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(results_take(&results, &none, &reply), SKUA_ERR_IO);
    assert_int_equal(results_take(&results, &none, &reply), SKUA_AGAIN);
    struct skua_reply *tree = tree_of(":1\r\n", 4);
    assert_false(results_add_reply(&results, &none, tree));
    skua_reply_free(tree);
    results_done(&results, &allocator);
}

int main(void)
{
    client_allocator_set(&allocator, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_is_given_item_by_item_as_a_reader_gives_it),
        cmocka_unit_test(results_leave_in_the_order_in_which_they_came),
        cmocka_unit_test(a_reply_that_was_begun_is_not_given_as_a_tree),
        cmocka_unit_test(failures_are_remembered_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
