/* The JSON writer: commas and line ends, escapes, numbers that JSON has and that it has not. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"

static void write_sample(struct json *json)
{
    json_object_begin(json);
    json_key(json, "name");
    json_string(json, "a");
    json_key(json, "list");
    json_array_begin(json);
    json_integer(json, -1);
    json_array_begin(json);
    json_array_end(json);
    json_object_begin(json);
    json_object_end(json);
    json_array_end(json);
    json_key(json, "raw");
    json_raw(json, SLICE("[1]"));
    json_object_end(json);
}

static void on_one_line(void **state)
{
    struct buf out = {0};
    struct json json;
    json_init(&json, &out, 0);
    write_sample(&json);
    assert_string_equal(buf_string(&out), "{\"name\":\"a\",\"list\":[-1,[],{}],\"raw\":[1]}");
    buf_done(&out);
}

static void on_lines_of_their_own(void **state)
{
    struct buf out = {0};
    struct json json;
    json_init(&json, &out, 2);
    write_sample(&json);
    assert_string_equal(buf_string(&out), "{\n"
                                          "  \"name\": \"a\",\n"
                                          "  \"list\": [\n"
                                          "    -1,\n"
                                          "    [],\n"
                                          "    {}\n"
                                          "  ],\n"
                                          "  \"raw\": [1]\n"
                                          "}");
    buf_done(&out);
}

static void strings_are_escaped(void **state)
{
    struct buf out = {0};
    json_append_quoted(&out, SLICE("\"\\\n\r\t\b\f\x01\x1f/\x7f\xc3\xa9"));
    assert_string_equal(buf_string(&out), "\"\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u001f/\x7f\xc3\xa9\"");
    buf_clear(&out);
    json_append_quoted(&out, SLICE("a\0b"));
    assert_string_equal(buf_string(&out), "\"a\\u0000b\"");
    buf_done(&out);
}

static void values_without_a_parent(void **state)
{
    struct buf out = {0};
    struct json json;
    json_init(&json, &out, 0);
    json_array_begin(&json);
    json_integer(&json, INT64_MIN);
    json_unsigned(&json, UINT64_MAX);
    json_number(&json, 0.1);
    json_number(&json, 1e300);
    json_number(&json, NAN);
    json_number(&json, -INFINITY);
    json_fixed(&json, 2.0 / 3, 3);
    json_fixed(&json, INFINITY, 3);
    json_bool(&json, true);
    json_bool(&json, false);
    json_null(&json);
    json_array_end(&json);
    assert_string_equal(buf_string(&out), "[-9223372036854775808,18446744073709551615,0.1,1e+300,null,null,"
                                          "0.667,null,true,false,null]");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_one_line),
        cmocka_unit_test(on_lines_of_their_own),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(values_without_a_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
