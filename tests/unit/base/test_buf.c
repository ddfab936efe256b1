/* Proves: a buffer keeps what was put in, in order, across growth, and quotes bytes as Redis shows arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"

static void zero_is_a_valid_empty_buffer(void **state)
{
    struct buf buf = {0};
    assert_int_equal(buf_slice(&buf).size, 0);
    assert_string_equal(buf_string(&buf), "");
    buf_append(&buf, NULL, 0);
    assert_int_equal(buf.size, 0);
    buf_done(&buf);
    buf_done(&buf);
    assert_null(buf.data);
}

static void appending_keeps_order_across_growth(void **state)
{
    struct buf buf = {0};
    for (int i = 0; i < 5000; i++) {
        buf_append_char(&buf, (char)i);
        buf_append(&buf, &i, sizeof(i));
        assert_true(buf.size <= buf.capacity);
    }
    assert_int_equal(buf.size, 5000 * 5);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal((char)i, buf.data[i * 5]);
        assert_memory_equal(&i, buf.data + i * 5 + 1, sizeof(i));
    }
    size_t capacity = buf.capacity;
    buf_clear(&buf);
    assert_int_equal(buf.size, 0);
    assert_int_equal(buf.capacity, capacity);
    buf_done(&buf);
}

static void reserve_makes_room_once(void **state)
{
    struct buf buf = {0};
    buf_reserve(&buf, 1000);
    const char *before = buf.data;
    for (int i = 0; i < 1000; i++)
        buf_append_char(&buf, 'x');
    assert_ptr_equal(buf.data, before);
    buf_done(&buf);
}

static void printf_of_any_length(void **state)
{
    struct buf buf = {0};
    char text[400];
    for (int size = 0; size < (int)sizeof(text); size++) {
        memset(text, 'a' + size % 26, (size_t)size);
        text[size] = '\0';
        buf_clear(&buf);
        buf_append_string(&buf, "<");
        buf_printf(&buf, "%s|%d", text, size);
        buf_append_slice(&buf, SLICE(">"));
        char expected[512];
        snprintf(expected, sizeof(expected), "<%s|%d>", text, size);
        assert_string_equal(buf_string(&buf), expected);
    }
    buf_done(&buf);
}

static void string_ends_with_zero_that_is_not_counted(void **state)
{
    struct buf buf = {0};
    buf_append_string(&buf, "abc");
    assert_string_equal(buf_string(&buf), "abc");
    assert_int_equal(buf.size, 3);
    buf_append_string(&buf, "def");
    assert_string_equal(buf_string(&buf), "abcdef");
    buf_done(&buf);
}

static void quoting(void **state)
{
    struct buf buf = {0};
    buf_append_quoted(&buf, slice_make("a\n\r\t\a\b\"\\\0\x1f ~\x7f\xff", 14));
    assert_string_equal(buf_string(&buf), "\"a\\n\\r\\t\\a\\b\\\"\\\\\\x00\\x1f ~\\x7f\\xff\"");
    buf_clear(&buf);
    buf_append_quoted(&buf, slice_make(NULL, 0));
    assert_string_equal(buf_string(&buf), "\"\"");
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_is_a_valid_empty_buffer),
        cmocka_unit_test(appending_keeps_order_across_growth),
        cmocka_unit_test(reserve_makes_room_once),
        cmocka_unit_test(printf_of_any_length),
        cmocka_unit_test(string_ends_with_zero_that_is_not_counted),
        cmocka_unit_test(quoting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
