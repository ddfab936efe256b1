/* Replies have the exact bytes of RESP2 and RESP3, whatever the borders of the chunks they are written into.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "protocol/reply.h"

static struct chunk_pool pool;

/* Joins what was written; checks the counts of the list on the way. */
static void join(const struct chunk_list *list, struct buf *ret_bytes)
{
    uint64_t bytes = 0;
    for (const struct chunk *chunk = list->head; chunk != NULL; chunk = chunk->next) {
        assert_true(chunk->start <= chunk->end && chunk->end <= chunk->capacity);
        bytes += chunk->end - chunk->start;
        buf_append(ret_bytes, chunk->data + chunk->start, chunk->end - chunk->start);
        if (chunk->next == NULL)
            assert_ptr_equal(chunk, list->tail);
    }
    assert_int_equal(bytes, list->bytes);
}

/* Takes everything out of the reply and compares. */
static void expect_bytes(struct reply *reply, const void *expected, size_t size)
{
    assert_int_equal(reply_size(reply), size);
    struct chunk_list list = {0};
    reply_take(reply, &list);
    assert_true(reply_is_empty(reply));
    struct buf bytes = {0};
    join(&list, &bytes);
    assert_int_equal(bytes.size, size);
    if (size > 0)
        assert_memory_equal(bytes.data, expected, size);
    buf_done(&bytes);
    chunk_list_clear(&list, &pool);
}

static void expect_text(struct reply *reply, const char *expected)
{
    expect_bytes(reply, expected, strlen(expected));
}

static void writes_strings_and_lines(void **state)
{
    struct reply reply;
    reply_init(&reply, &pool, 2);
    reply_ok(&reply);
    reply_status(&reply, "QUEUED");
    reply_bulk(&reply, SLICE("hello"));
    reply_bulk(&reply, slice_make(NULL, 0));
    reply_bulk_string(&reply, "0123456789");
    reply_bulk_int(&reply, -12);
    expect_text(&reply, "+OK\r\n+QUEUED\r\n$5\r\nhello\r\n$0\r\n\r\n$10\r\n0123456789\r\n$3\r\n-12\r\n");
}

static void writes_integers(void **state)
{
    static const int64_t values[] = {0,     9,        10,        99,        100, 999, 1000,     9999,
                                     10000, 99999999, 100000000, INT64_MAX, -1,  -10, INT64_MIN};
    struct reply reply;
    reply_init(&reply, &pool, 2);
    struct buf expected = {0};
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        reply_int(&reply, values[i]);
        buf_printf(&expected, ":%lld\r\n", (long long)values[i]);
    }
    expect_bytes(&reply, expected.data, expected.size);
    buf_done(&expected);
}

static void write_one_of_each(struct reply *reply)
{
    reply_null(reply);
    reply_null_array(reply);
    reply_bool(reply, true);
    reply_bool(reply, false);
    reply_double(reply, 3.5);
    reply_verbatim(reply, "txt", SLICE("ab"));
    reply_big_number(reply, SLICE("12345678901234567890"));
    reply_array(reply, 3);
    reply_map(reply, 12);
    reply_set(reply, 1234);
    reply_push(reply, 2);
}

static void writes_shapes_of_resp2(void **state)
{
    struct reply reply;
    reply_init(&reply, &pool, 2);
    write_one_of_each(&reply);
    expect_text(&reply, "$-1\r\n*-1\r\n:1\r\n:0\r\n$3\r\n3.5\r\n$2\r\nab\r\n$20\r\n12345678901234567890\r\n"
                        "*3\r\n*24\r\n*1234\r\n*2\r\n");
}

static void writes_shapes_of_resp3(void **state)
{
    struct reply reply;
    reply_init(&reply, &pool, 3);
    write_one_of_each(&reply);
    reply_attribute(&reply, 1);
    expect_text(&reply, "_\r\n_\r\n#t\r\n#f\r\n,3.5\r\n=6\r\ntxt:ab\r\n(12345678901234567890\r\n"
                        "*3\r\n%12\r\n~1234\r\n>2\r\n|1\r\n");
}

static void writes_errors_on_one_line(void **state)
{
    struct reply reply;
    reply_init(&reply, &pool, 2);
    reply_error(&reply, "WRONGTYPE Operation against a key holding the wrong kind of value");
    assert_string_equal(reply.error_code, "WRONGTYPE");
    reply_error(&reply, "ERR bad '%s'", "a\r\nb");
    assert_string_equal(reply.error_code, "ERR");
    assert_int_equal(reply.error_count, 2);
    expect_text(&reply,
                "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n-ERR bad 'a  b'\r\n");

    char *text = test_malloc(REPLY_ERROR_MAX + 100);
    memset(text, 'E', REPLY_ERROR_MAX + 100);
    reply_error(&reply, "%.*s", REPLY_ERROR_MAX + 100, text);
    assert_int_equal(reply_size(&reply), REPLY_ERROR_MAX - 1 + 3);
    assert_int_equal(strlen(reply.error_code), REPLY_ERROR_CODE_MAX - 1);
    reply_clear(&reply);
    assert_int_equal(reply_size(&reply), 0);
    test_free(text);
}

/* Fills the reply up to `room` bytes before the end of its chunk. */
static size_t fill_up_to(struct reply *reply, size_t room)
{
    reply_literal(reply, "x");
    size_t size = (size_t)(reply->limit - reply->cursor) - room;
    for (size_t i = 0; i < size; i++)
        reply_literal(reply, "x");
    assert_int_equal(reply->limit - reply->cursor, room);
    return size + 1;
}

/* Every kind of value, at each distance from the end of a chunk. */
/* Every size around the limits of the quick ways, wherever in a chunk. */
static void writes_short_strings_of_each_size(void **state)
{
    enum { ROUNDS = 3, SIZES = 2 * REPLY_SHORT_MAX };
    char text[SIZES + ROUNDS];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    struct reply reply;
    struct buf expected = {0};
    reply_init(&reply, &pool, 2);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t size = 0; size < SIZES; size++) {
            char head[16];
            int head_size = snprintf(head, sizeof head, "$%zu\r\n", size);
            reply_bulk(&reply, slice_make(text + round, size));
            buf_append(&expected, head, (size_t)head_size);
            buf_append(&expected, text + round, size);
            buf_append(&expected, "\r\n", 2);
        }
    }
    expect_bytes(&reply, expected.data, expected.size);
    buf_done(&expected);
}

static void writes_integers_as_strings(void **state)
{
    struct reply reply;
    reply_init(&reply, &pool, 2);
    reply_bulk_int(&reply, 999999999);
    reply_bulk_int(&reply, -99999999);
    reply_bulk_int(&reply, 1000000000);
    reply_bulk_int(&reply, -100000000);
    reply_bulk_int(&reply, INT64_MIN);
    reply_bulk_int(&reply, 0);
    expect_text(&reply, "$9\r\n999999999\r\n$9\r\n-99999999\r\n$10\r\n1000000000\r\n$10\r\n-100000000\r\n"
                        "$20\r\n-9223372036854775808\r\n$1\r\n0\r\n");
}

static void crosses_chunks(void **state)
{
    char value[40];
    memset(value, 'v', sizeof(value));
    for (size_t room = 0; room <= 80; room++) {
        struct reply reply;
        reply_init(&reply, &pool, 3);
        struct buf expected = {0};
        size_t filled = fill_up_to(&reply, room);
        for (size_t i = 0; i < filled; i++)
            buf_append_char(&expected, 'x');
        reply_array(&reply, 4);
        reply_bulk(&reply, slice_make(value, sizeof(value)));
        reply_int(&reply, -42);
        reply_double(&reply, 1.5);
        reply_verbatim(&reply, "txt", slice_make(value, 30));
        buf_printf(&expected, "*4\r\n$40\r\n%.40s\r\n:-42\r\n,1.5\r\n=34\r\ntxt:%.30s\r\n", value, value);
        expect_bytes(&reply, expected.data, expected.size);
        buf_done(&expected);
    }
}

static void copies_large_strings(void **state)
{
    size_t size = 3 * CHUNK_CAPACITY + 17;
    char *value = test_malloc(size);
    for (size_t i = 0; i < size; i++)
        value[i] = (char)('a' + i % 23);
    struct reply reply;
    reply_init(&reply, &pool, 2);
    struct buf expected = {0};
    static const size_t sizes[] = {4095, 4096, 4097, CHUNK_CAPACITY - 3, CHUNK_CAPACITY, 0};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        size_t part = sizes[i] ? sizes[i] : size;
        reply_bulk(&reply, slice_make(value, part));
        buf_printf(&expected, "$%zu\r\n", part);
        buf_append(&expected, value, part);
        buf_append_string(&expected, "\r\n");
    }
    expect_bytes(&reply, expected.data, expected.size);
    buf_done(&expected);
    test_free(value);
}

static void count_release(void *owner)
{
    ++*(int *)owner;
}

static void pins_without_copying(void **state)
{
    int released = 0;
    struct reply reply;
    reply_init(&reply, &pool, 2);
    static const char value[] = "0123456789";
    reply_bulk_pinned(&reply, slice_make(value, 10), count_release, &released);
    reply_int(&reply, 1);
    struct chunk *pinned = reply.list.head->next;
    assert_true(pinned->pinned && pinned->data == value);
    assert_int_equal(released, 0);
    expect_text(&reply, "$10\r\n0123456789\r\n:1\r\n");
    assert_int_equal(released, 1);

    reply_bulk_pinned(&reply, slice_make(value, 10), count_release, &released);
    reply_clear(&reply);
    assert_int_equal(released, 2);
}

static void rolls_back(void **state)
{
    int released = 0;
    struct reply reply;
    reply_init(&reply, &pool, 2);
    struct reply_mark nothing = reply_mark(&reply);
    reply_ok(&reply);
    reply_rollback(&reply, nothing);
    assert_true(reply_is_empty(&reply));

    reply_ok(&reply);
    struct reply_mark mark = reply_mark(&reply);
    reply_int(&reply, 5);
    reply_rollback(&reply, mark);
    assert_int_equal(reply_size(&reply), 5);

    fill_up_to(&reply, 3);
    reply_int(&reply, 123456);
    reply_bulk_pinned(&reply, SLICE("0123"), count_release, &released);
    reply_rollback(&reply, mark);
    assert_int_equal(released, 1);
    reply_int(&reply, 7);
    struct reply_mark behind = reply_mark(&reply);
    reply_ok(&reply);
    reply_rollback(&reply, behind);
    expect_text(&reply, "+OK\r\n:7\r\n");
}

/* A mark right behind a pinned value: its line end is the last chunk. */
static void rolls_back_behind_pinned(void **state)
{
    int released = 0;
    struct reply reply;
    reply_init(&reply, &pool, 2);
    reply_bulk_pinned(&reply, SLICE("0123"), count_release, &released);
    struct reply_mark mark = reply_mark(&reply);
    reply_bulk_pinned(&reply, SLICE("4567"), count_release, &released);
    reply_rollback(&reply, mark);
    assert_int_equal(released, 1);
    reply_int(&reply, 1);
    expect_text(&reply, "$4\r\n0123\r\n:1\r\n");
    assert_int_equal(released, 2);
}

static void closes_aggregates_at_the_end(void **state)
{
    struct reply reply;
    reply_init(&reply, &pool, 3);
    reply_ok(&reply);
    struct reply_open outer = reply_open(&reply);
    reply_int(&reply, 1);
    struct reply_open map = reply_open(&reply);
    reply_int(&reply, 2);
    reply_int(&reply, 3);
    reply_close(&reply, map, REPLY_MAP, 1);
    struct reply_open set = reply_open(&reply);
    reply_close(&reply, set, REPLY_SET, 0);
    reply_close(&reply, outer, REPLY_ARRAY, 3);
    reply_int(&reply, 4);
    expect_text(&reply, "+OK\r\n*3\r\n:1\r\n%1\r\n:2\r\n:3\r\n~0\r\n:4\r\n");

    reply_init(&reply, &pool, 2);
    map = reply_open(&reply);
    reply_close(&reply, map, REPLY_MAP, 6);
    expect_text(&reply, "*12\r\n");
}

/* Elements spill into further chunks, inner aggregates start anywhere, one element is pinned. */
static void closes_aggregates_across_chunks(void **state)
{
    for (size_t room = 0; room <= 60; room++) {
        int released = 0;
        struct reply reply;
        reply_init(&reply, &pool, 3);
        struct buf expected = {0};
        size_t filled = fill_up_to(&reply, room);
        for (size_t i = 0; i < filled; i++)
            buf_append_char(&expected, 'x');
        struct reply_open outer = reply_open(&reply);
        buf_append_string(&expected, "*4001\r\n");
        for (int i = 0; i < 4000; i++) {
            struct reply_open inner = reply_open(&reply);
            reply_int(&reply, i);
            reply_close(&reply, inner, REPLY_SET, 1);
            buf_printf(&expected, "~1\r\n:%d\r\n", i);
        }
        struct reply_open pinned = reply_open(&reply);
        reply_bulk_pinned(&reply, SLICE("pin"), count_release, &released);
        reply_close(&reply, pinned, REPLY_ARRAY, 1);
        buf_append_string(&expected, "*1\r\n$3\r\npin\r\n");
        reply_close(&reply, outer, REPLY_ARRAY, 4001);
        reply_ok(&reply);
        buf_append_string(&expected, "+OK\r\n");
        expect_bytes(&reply, expected.data, expected.size);
        assert_int_equal(released, 1);
        buf_done(&expected);
    }
}

static int set_up(void **state)
{
    chunk_pool_init(&pool, 8);
    return 0;
}

static int tear_down(void **state)
{
    chunk_pool_done(&pool);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_strings_and_lines),
        cmocka_unit_test(writes_integers),
        cmocka_unit_test(writes_shapes_of_resp2),
        cmocka_unit_test(writes_shapes_of_resp3),
        cmocka_unit_test(writes_errors_on_one_line),
        cmocka_unit_test(writes_short_strings_of_each_size),
        cmocka_unit_test(writes_integers_as_strings),
        cmocka_unit_test(crosses_chunks),
        cmocka_unit_test(copies_large_strings),
        cmocka_unit_test(pins_without_copying),
        cmocka_unit_test(rolls_back),
        cmocka_unit_test(rolls_back_behind_pinned),
        cmocka_unit_test(closes_aggregates_at_the_end),
        cmocka_unit_test(closes_aggregates_across_chunks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
