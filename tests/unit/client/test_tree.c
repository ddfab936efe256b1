/* A tree holds what the items of the same reply say, in one block that outlives its reader, and costs no more than what
 * arrived. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/reply_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void feed(struct skua_reader *reader, const char *bytes)
{
    assert_int_equal(feed_bytes(reader, bytes, strlen(bytes)), SKUA_OK);
}

/* The only reply in `bytes`. */
static struct skua_reply *tree_of(const char *bytes)
{
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    struct skua_reply *reply = NULL, *more = NULL;
    feed(reader, bytes);
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_OK);
    assert_int_equal(skua_reader_pending(reader), 0);
    assert_int_equal(skua_reader_tree(reader, &more), SKUA_AGAIN);
    assert_null(more);
    skua_reader_free(reader);
    return reply;
}

/* ---- What is in a tree ------------------------------------------------------------------------------------ */

static void holds_values(void **state)
{
    struct skua_reply *reply =
        tree_of("*9\r\n+OK\r\n-ERR no\r\n:-5\r\n$-1\r\n#t\r\n,2.5\r\n(123\r\n=6\r\ntxt:ab\r\n$0\r\n\r\n");
    assert_int_equal(reply->type, SKUA_ARRAY);
    assert_int_equal(reply->element_count, 9);
    const struct skua_reply *e = reply->elements;
    assert_int_equal(e[0].type, SKUA_STATUS);
    assert_string_equal(e[0].string, "OK");
    assert_int_equal(e[0].length, 2);
    assert_int_equal(e[1].type, SKUA_ERROR);
    assert_string_equal(e[1].string, "ERR no");
    assert_int_equal(e[2].type, SKUA_INTEGER);
    assert_int_equal(e[2].integer, -5);
    assert_int_equal(e[3].type, SKUA_NULL);
    assert_null(e[3].string);
    assert_int_equal(e[4].type, SKUA_BOOL);
    assert_int_equal(e[4].integer, 1);
    assert_int_equal(e[5].type, SKUA_DOUBLE);
    assert_true(e[5].number == 2.5);
    assert_string_equal(e[5].string, "2.5");
    assert_int_equal(e[6].type, SKUA_BIG_NUMBER);
    assert_string_equal(e[6].string, "123");
    assert_int_equal(e[7].type, SKUA_VERBATIM);
    assert_string_equal(e[7].format, "txt");
    assert_string_equal(e[7].string, "ab");
    assert_int_equal(e[8].type, SKUA_STRING);
    assert_string_equal(e[8].string, "");
    assert_int_equal(e[8].length, 0);
    skua_reply_free(reply);
}

static void ends_strings_with_a_zero_byte(void **state)
{
    struct skua_reply *reply = tree_of("$3\r\nabc\r\n");
    assert_int_equal(reply->type, SKUA_STRING);
    assert_int_equal(reply->length, 3);
    assert_memory_equal(reply->string, "abc\0", 4);
    skua_reply_free(reply);
}

static void counts_keys_and_values_of_maps(void **state)
{
    struct skua_reply *reply = tree_of("%2\r\n+a\r\n~2\r\n:1\r\n:2\r\n+b\r\n*0\r\n");
    assert_int_equal(reply->type, SKUA_MAP);
    assert_int_equal(reply->element_count, 4);
    assert_int_equal(reply->elements[1].type, SKUA_SET);
    assert_int_equal(reply->elements[1].elements[1].integer, 2);
    assert_string_equal(reply->elements[2].string, "b");
    assert_int_equal(reply->elements[3].element_count, 0);
    assert_null(reply->elements[3].elements);
    skua_reply_free(reply);
}

static void hangs_attributes_at_their_value(void **state)
{
    struct skua_reply *reply =
        tree_of("|1\r\n+outer\r\n:1\r\n*2\r\n|1\r\n+first\r\n:2\r\n|1\r\n+second\r\n:3\r\n:4\r\n:5\r\n");
    assert_int_equal(reply->type, SKUA_ARRAY);
    assert_int_equal(reply->element_count, 2);
    assert_int_equal(reply->attributes->type, SKUA_ATTRIBUTE);
    assert_int_equal(reply->attributes->element_count, 2);
    assert_string_equal(reply->attributes->elements[0].string, "outer");
    const struct skua_reply *value = &reply->elements[0];
    assert_int_equal(value->integer, 4);
    assert_string_equal(value->attributes->elements[0].string, "second");
    assert_string_equal(value->attributes->attributes->elements[0].string, "first");
    assert_null(value->attributes->attributes->attributes);
    assert_null(reply->elements[1].attributes);
    skua_reply_free(reply);
}

static void takes_empty_attributes_and_pushes(void **state)
{
    struct skua_reply *reply = tree_of("|0\r\n>0\r\n");
    assert_int_equal(reply->type, SKUA_PUSH);
    assert_int_equal(reply->attributes->element_count, 0);
    skua_reply_free(reply);
    skua_reply_free(NULL);
}

/* ---- The same as the items -------------------------------------------------------------------------------- */

static void has_what_the_items_have_however_bytes_are_split(void **state)
{
    static const char *const samples[] = {
        "+OK\r\n:1\r\n$3\r\nabc\r\n",
        "*2\r\n*2\r\n:1\r\n*0\r\n%1\r\n+a\r\n~1\r\n_\r\n:2\r\n",
        "|1\r\n+a\r\n|1\r\n:1\r\n:2\r\n*1\r\n:3\r\n*2\r\n|1\r\n+b\r\n:4\r\n:5\r\n:6\r\n-E\r\n",
        ">2\r\n+message\r\n=7\r\ntxt:abc\r\n+OK\r\n(12\r\n,1.5\r\n#f\r\n",
        "*2\r\n:1\r\n$5\r\nhello\r\n*3\r\n:1\r\n+x\r\nq",
        "*2\r\n:1\r\n*33\r\n",
        "!3\r\nERR\r\n*2\r\n$10\r\nabc",
    };
    for (size_t i = 0; i < COUNT(samples); i++) {
        size_t size = strlen(samples[i]);
        static const struct skua_limits limits = {.element_max = 32};
        struct skua_reader *reader = skua_reader_new(&limits, NULL);
        struct text items = {0};
        feed_pieces(&items, reader, text_items, samples[i], size, size, size);
        text_drop_unfinished(&items);
        for (size_t first = 0; first <= size; first++) {
            for (size_t step = 1; step <= size; step += first % 3 == 0 ? 1 : size) {
                struct text trees = {0};
                skua_reader_reset(reader);
                feed_pieces(&trees, reader, text_trees, samples[i], size, first, step);
                assert_string_equal(text_string(&trees), text_string(&items));
                text_done(&trees);
            }
        }
        text_done(&items);
        skua_reader_free(reader);
    }
}

static void does_not_mix_with_items_inside_of_a_reply(void **state)
{
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    struct skua_item item;
    struct skua_reply *reply = NULL;
    feed(reader, "*1\r\n:1\r\n*1\r\n");
    assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_ERR_USE);
    assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
    assert_true(item.last);
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_AGAIN);
    assert_int_equal(skua_reader_next(reader, &item), SKUA_ERR_USE);
    feed(reader, ":2\r\n");
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_OK);
    assert_int_equal(reply->elements[0].integer, 2);
    skua_reply_free(reply);
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_AGAIN); /* nothing was begun */
    assert_int_equal(skua_reader_next(reader, &item), SKUA_AGAIN);
    feed(reader, "|0\r\n:3\r\n");
    assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_ERR_USE); /* its attribute was taken */
    skua_reader_free(reader);
}

static void takes_strings_whole_though_parts_are_on(void **state)
{
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    struct skua_item item;
    struct skua_reply *reply = NULL;
    skua_reader_set_parts(reader, true);
    feed(reader, "*1\r\n$6\r\nabc");
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_AGAIN);
    assert_int_equal(skua_reader_wanted(reader), 5);
    feed(reader, "def\r\n$6\r\nabc");
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_OK);
    assert_string_equal(reply->elements[0].string, "abcdef");
    skua_reply_free(reply);
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_AGAIN);
    assert_int_equal(skua_reader_next(reader, &item), SKUA_OK); /* a part after all */
    assert_int_equal(item.left, 3);
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_ERR_USE);
    skua_reader_free(reader);
}

/* ---- Memory ----------------------------------------------------------------------------------------------- */

static void is_one_block_that_outlives_the_reader(void **state)
{
    struct counting counting = {0};
    struct skua_allocator allocator = counting_allocator(&counting);
    struct skua_reader *reader = skua_reader_new(NULL, &allocator);
    struct skua_reply *reply = NULL;
    feed(reader, "*4\r\n%1\r\n+a\r\n:1\r\n|1\r\n:1\r\n:2\r\n$3\r\nabc\r\n*2\r\n+x\r\n+y\r\n-E\r\n");
    size_t calls = counting.calls;
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_OK);
    assert_int_equal(counting.calls, calls + 1);
    skua_reader_free(reader);
    assert_int_equal(counting.live, 1);
    assert_string_equal(reply->elements[1].string, "abc");
    assert_string_equal(reply->elements[2].elements[1].string, "y");
    skua_reply_free(reply);
    assert_int_equal(counting.live, 0);
    assert_int_equal(counting.bytes, 0);
}

/* A hundred thousand elements in pieces: nothing is held for those that have not come. */
static void costs_no_more_than_what_arrived(void **state)
{
    struct counting counting = {0};
    struct skua_allocator allocator = counting_allocator(&counting);
    struct skua_reader *reader = skua_reader_new(NULL, &allocator);
    struct skua_reply *reply = NULL;
    size_t fed = 9;
    feed(reader, "*100000\r\n");
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(skua_reader_tree(reader, &reply), SKUA_AGAIN);
        feed(reader, "$4\r\nabcd\r\n");
        fed += 10;
        assert_true(counting.bytes < 2 * fed + 40000);
    }
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_OK);
    assert_int_equal(reply->element_count, 100000);
    assert_string_equal(reply->elements[99999].string, "abcd");
    assert_ptr_equal(&reply->elements[99999], reply->elements + 99999);
    assert_true(counting.calls < 20);
    skua_reply_free(reply);
    skua_reader_free(reader);
    assert_int_equal(counting.live, 0);
}

/* Each allocation fails in turn. That of a tree ends the stream, for the reply was promised and cannot be given. */
static void survives_each_failed_allocation(void **state)
{
    static const char bytes[] = ":1\r\n*2\r\n%1\r\n+a\r\n+b\r\n$3\r\nabc\r\n";
    size_t ended = 0;
    for (size_t fail_at = 1; fail_at <= 5; fail_at++) {
        struct counting counting = {.fail_at = fail_at};
        struct skua_allocator allocator = counting_allocator(&counting);
        struct skua_reader *reader = skua_reader_new(NULL, &allocator);
        if (reader == NULL)
            continue;
        while (feed_bytes(reader, bytes, sizeof(bytes) - 1) != SKUA_OK)
            ;
        struct skua_reply *replies[2] = {NULL, NULL};
        enum skua_status status = SKUA_OK;
        for (size_t i = 0; i < 2 && status == SKUA_OK; i++)
            status = skua_reader_tree(reader, &replies[i]);
        if (status != SKUA_OK) {
            ended++;
            assert_int_equal(status, SKUA_ERR_MEMORY);
            assert_null(replies[fail_at - 3]);
            assert_int_equal(skua_reader_tree(reader, &replies[1]), SKUA_ERR_MEMORY);
            assert_int_equal(strncmp(skua_reader_error(reader), "no memory for a reply", 21), 0);
        }
        skua_reply_free(replies[0]);
        skua_reply_free(replies[1]);
        skua_reader_free(reader);
        assert_int_equal(counting.live, 0);
        assert_int_equal(status == SKUA_OK, fail_at < 3 || fail_at == 5);
    }
    assert_int_equal(ended, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_values),
        cmocka_unit_test(ends_strings_with_a_zero_byte),
        cmocka_unit_test(counts_keys_and_values_of_maps),
        cmocka_unit_test(hangs_attributes_at_their_value),
        cmocka_unit_test(takes_empty_attributes_and_pushes),
        cmocka_unit_test(has_what_the_items_have_however_bytes_are_split),
        cmocka_unit_test(does_not_mix_with_items_inside_of_a_reply),
        cmocka_unit_test(takes_strings_whole_though_parts_are_on),
        cmocka_unit_test(is_one_block_that_outlives_the_reader),
        cmocka_unit_test(costs_no_more_than_what_arrived),
        cmocka_unit_test(survives_each_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
