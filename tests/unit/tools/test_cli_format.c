/* Replies as text, from the bytes of a server to what stands on the screen: each type in each form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "cli/format.h"

static struct skua_reply *reply_of(struct slice bytes)
{
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    struct skua_reply *reply = NULL;
    assert_int_equal(skua_reader_feed(reader, bytes.data, bytes.size), SKUA_OK);
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_OK);
    skua_reader_free(reader);
    return reply;
}

static void assert_form(struct slice bytes, struct format format, const char *expected)
{
    struct skua_reply *reply = reply_of(bytes);
    struct buf text = {0};
    format_reply(&text, reply, &format);
    assert_string_equal(buf_string(&text), expected);
    buf_done(&text);
    skua_reply_free(reply);
}

#define PRETTY(bytes, expected)                                                                              \
    assert_form(SLICE(bytes), (struct format){CLI_OUTPUT_PRETTY, "\n", false}, expected)
#define RAW(bytes, delimiter, expected)                                                                      \
    assert_form(SLICE(bytes), (struct format){CLI_OUTPUT_RAW, delimiter, false}, expected)
#define CSV(bytes, expected) assert_form(SLICE(bytes), (struct format){CLI_OUTPUT_CSV, "\n", false}, expected)
#define JSON(bytes, expected)                                                                                \
    assert_form(SLICE(bytes), (struct format){CLI_OUTPUT_JSON, "\n", false}, expected)
#define QUOTED(bytes, expected)                                                                              \
    assert_form(SLICE(bytes), (struct format){CLI_OUTPUT_QUOTED_JSON, "\n", false}, expected)

#define NESTED "*2\r\n%1\r\n+k\r\n*2\r\n:1\r\n:2\r\n~1\r\n$1\r\nx\r\n"

static void for_people(void **state)
{
    PRETTY("$3\r\na\"\x01\r\n", "\"a\\\"\\x01\"\n");
    PRETTY("+OK\r\n", "OK\n");
    PRETTY("-ERR no\r\n", "(error) ERR no\n");
    PRETTY(":-7\r\n", "(integer) -7\n");
    PRETTY(",1.50\r\n", "(double) 1.50\n");
    PRETTY("(123456789012345678901234567890\r\n", "(big number) 123456789012345678901234567890\n");
    PRETTY("_\r\n", "(nil)\n");
    PRETTY("$-1\r\n", "(nil)\n");
    PRETTY("#t\r\n", "(true)\n");
    PRETTY("=7\r\ntxt:a\nb\r\n", "a\nb\n");
    PRETTY("*0\r\n", "(empty array)\n");
    PRETTY("%0\r\n", "(empty hash)\n");
    PRETTY("~0\r\n", "(empty set)\n");
    PRETTY(NESTED, "1) 1# k => \n"
                   "      1) (integer) 1\n"
                   "      2) (integer) 2\n"
                   "2) 1~ \"x\"\n");
}

static void numbers_of_entries_are_aligned(void **state)
{
    PRETTY("*10\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n*1\r\n:1\r\n*2\r\n:1\r\n:2\r\n",
           " 1) (integer) 0\n 2) (integer) 0\n 3) (integer) 0\n 4) (integer) 0\n 5) (integer) 0\n"
           " 6) (integer) 0\n 7) (integer) 0\n 8) (integer) 0\n"
           " 9) 1) (integer) 1\n"
           "10) 1) (integer) 1\n"
           "    2) (integer) 2\n");
}

static void attributes_stand_before_their_value(void **state)
{
    PRETTY("|1\r\n+ttl\r\n:3\r\n+OK\r\n", "1| ttl => (integer) 3\nOK\n");
    RAW("|1\r\n+ttl\r\n:3\r\n+OK\r\n", "\n", "OK");
    JSON("|1\r\n+ttl\r\n:3\r\n+OK\r\n", "\"OK\"\n");
}

static void colours_only_when_asked(void **state)
{
    struct format coloured = {CLI_OUTPUT_PRETTY, "\n", true};
    assert_form(SLICE("-ERR no\r\n"), coloured, FORMAT_RED "(error) ERR no" FORMAT_PLAIN "\n");
    assert_form(SLICE("$1\r\na\r\n"), coloured, FORMAT_GREEN "\"a\"" FORMAT_PLAIN "\n");
    coloured.output = CLI_OUTPUT_RAW;
    assert_form(SLICE("$1\r\na\r\n"), coloured, "a");
}

static void raw(void **state)
{
    RAW("$4\r\na\r\nb\r\n", "\n", "a\r\nb");
    RAW("-ERR no\r\n", "\n", "ERR no\n");
    RAW("_\r\n", "\n", "");
    RAW(NESTED, "\n", "k 1\n2\nx");
    RAW(NESTED, ", ", "k 1, 2, x");
    RAW("*2\r\n*0\r\n*0\r\n", "\n", "\n");
}

static void comma_separated(void **state)
{
    CSV("-ERR no\r\n", "ERROR,\"ERR no\"\n");
    CSV("*4\r\n_\r\n#f\r\n,inf\r\n$1\r\n\xff\r\n", "NULL,false,inf,\"\\xff\"\n");
    CSV(NESTED, "\"k\",1,2,\"x\"\n");
    CSV("*0\r\n", "\n");
}

static void json_is_always_json(void **state)
{
    JSON(NESTED, "[{\"k\":[1,2]},[\"x\"]]\n");
    JSON("-ERR \"no\"\r\n", "{\"error\":\"ERR \\\"no\\\"\"}\n");
    JSON("*4\r\n,inf\r\n,-inf\r\n,nan\r\n,-1.5e3\r\n", "[\"inf\",\"-inf\",\"nan\",-1.5e3]\n");
    JSON("*3\r\n_\r\n#t\r\n(12\r\n", "[null,true,12]\n");
    JSON("%3\r\n:1\r\n:2\r\n*1\r\n+a\r\n:3\r\n_\r\n:4\r\n", "{\"1\":2,\"[\\\"a\\\"]\":3,\"null\":4}\n");
    JSON("$2\r\n\x01\xff\r\n", "\"\\u0001\xff\"\n");
    QUOTED("$3\r\n\x01\xff\"\r\n", "\"\\\\x01\\\\xff\\\\\\\"\"\n");
}

static void an_invalidation_is_one_line(void **state)
{
    struct format format = {CLI_OUTPUT_PRETTY, "\n", false};
    struct skua_reply *push = reply_of(SLICE("*2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$0\r\n\r\n"));
    struct buf text = {0};
    format_push(&text, push, &format);
    assert_string_equal(buf_string(&text), "-> invalidate: 'a', ''\n");
    buf_done(&text);
    skua_reply_free(push);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(for_people),
        cmocka_unit_test(numbers_of_entries_are_aligned),
        cmocka_unit_test(attributes_stand_before_their_value),
        cmocka_unit_test(colours_only_when_asked),
        cmocka_unit_test(raw),
        cmocka_unit_test(comma_separated),
        cmocka_unit_test(json_is_always_json),
        cmocka_unit_test(an_invalidation_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
