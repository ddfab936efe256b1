/* The parser finds the same requests and the same errors however the bytes are split, in the words of Redis.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/parser_feed.h"

#define BULK_MAX ((int64_t)512 << 20)

static const struct parser_limits usual = {BULK_MAX, INT32_MAX, true};
static const struct parser_limits stranger = {BULK_MAX, INT32_MAX, false};

/* Input and transcript; sizes are those of the literals, zero bytes included. */
struct parser_case {
    const char *input;
    size_t size;
    const char *transcript;
};

#define CASE(input, transcript)                                                                              \
    {                                                                                                        \
        input, sizeof(input) - 1, transcript                                                                 \
    }
#define ERROR(text) "!ERR Protocol error: " text "\n"
#define PING        "*1\r\n$4\r\nPING\r\n"

static void expect_transcript(struct feed *feed, const char *expected)
{
    assert_string_equal(buf_string(&feed->seen), expected);
}

static void check_step(const struct parser_case *one, const struct parser_limits *limits, size_t first,
                       size_t step)
{
    struct feed feed;
    feed_init(&feed, *limits);
    feed_bytes(&feed, one->input, first);
    for (size_t at = first; at < one->size; at += step)
        feed_bytes(&feed, one->input + at, one->size - at < step ? one->size - at : step);
    expect_transcript(&feed, one->transcript);
    feed_done(&feed);
}

/* Whole, in every split into two, and in steps of one to nine bytes. */
static void check_cases(const struct parser_case *cases, size_t count, const struct parser_limits *limits)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t first = 0; first <= cases[i].size; first++)
            check_step(&cases[i], limits, first, cases[i].size);
        for (size_t step = 1; step <= 9; step++)
            check_step(&cases[i], limits, 0, step);
    }
}

static void finds_requests(void **state)
{
    static const struct parser_case cases[] = {
        CASE(PING, "[4:PING]\n"),
        CASE(PING PING, "[4:PING]\n[4:PING]\n"),
        CASE("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$16\r\n0123456789abcdef\r\n",
             "[3:SET][1:a][16:0123456789abcdef]\n"),
        CASE("*2\r\n$3\r\nGET\r\n$0\r\n\r\n" PING, "[3:GET][0:]\n[4:PING]\n"),
        CASE("*2\r\n$4\r\nECHO\r\n$6\r\na\r\n$1\r\r\n", "[4:ECHO][6:a\r\n$1\r]\n"),
        CASE("*1\r\n$12\r\n*1\r\n$1\r\na\r\n*\r\n", "[12:*1\r\n$1\r\na\r\n*]\n"),
        CASE("*9\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n$1\r\n7\r\n$1\r\n8\r\n$"
             "1\r\n9\r\n",
             "[1:1][1:2][1:3][1:4][1:5][1:6][1:7][1:8][1:9]\n"),
        /* The byte behind '\r' and the two behind a bulk string are not looked at. */
        CASE("*1\rX$4\rYPINGxx" PING, "[4:PING]\n[4:PING]\n"),
        /* Incomplete requests give nothing. */
        CASE(PING "*2\r\n$3\r\nGET\r\n$1\r\na\r", "[4:PING]\n"),
        CASE("*1\r\nx", ""),
        CASE("*2147483647\r\n", ""),
        CASE("*1\r\n$536870912\r\n", ""),
        CASE("*1\n$4\n", ""),
    };
    check_cases(cases, ARRAY_COUNT(cases), &usual);
}

static void skips_empty_requests(void **state)
{
    static const struct parser_case cases[] = {
        CASE("*0\r\n" PING, "\n[4:PING]\n"),           CASE("*-1\r\n" PING, "\n[4:PING]\n"),
        CASE("*-2147483648\r\n" PING, "\n[4:PING]\n"), CASE("\r\n\n" PING, "\n\n[4:PING]\n"),
        CASE(" \t\r\n" PING, "\n[4:PING]\n"),
    };
    check_cases(cases, ARRAY_COUNT(cases), &usual);
}

static void names_errors_as_redis_does(void **state)
{
    static const struct parser_case cases[] = {
        CASE("*a\r\n", ERROR("invalid multibulk length")),
        CASE("*\r\n", ERROR("invalid multibulk length")),
        CASE("*01\r\n", ERROR("invalid multibulk length")),
        CASE("*00\r\n", ERROR("invalid multibulk length")),
        CASE("*-0\r\n", ERROR("invalid multibulk length")),
        CASE("*-01\r\n", ERROR("invalid multibulk length")),
        CASE("*+1\r\n", ERROR("invalid multibulk length")),
        CASE("* 1\r\n", ERROR("invalid multibulk length")),
        CASE("*1 \r\n", ERROR("invalid multibulk length")),
        CASE("*2147483648\r\n", ERROR("invalid multibulk length")),
        CASE("*99999999999999999999\r\n", ERROR("invalid multibulk length")),
        CASE("*-9999999999999999999\r\n", ERROR("invalid multibulk length")),
        CASE("*1\nX$4\r\nPING\r\n", ERROR("invalid multibulk length")),
        CASE("*1\r\nx\r\n", ERROR("expected '$', got 'x'")),
        CASE("*1\r\n:1\r\n", ERROR("expected '$', got ':'")),
        CASE("*1\r\n\r\n", ERROR("expected '$', got ' '")),
        CASE("*1\r\n\0\r\n", ERROR("expected '$', got ' '")),
        CASE("*1\r\n\xff\r\n", ERROR("expected '$', got '\xff'")),
        CASE("*1\r\n$\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$-1\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$-0\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$a\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$04\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$ 4\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$536870913\r\n", ERROR("invalid bulk length")),
        CASE("*1\r\n$9223372036854775808\r\n", ERROR("invalid bulk length")),
        CASE("*2\r\n$3\r\nGET\r\n$x\r\n" PING, ERROR("invalid bulk length")),
        CASE(PING "*x\r\n" PING, "[4:PING]\n" ERROR("invalid multibulk length")),
    };
    check_cases(cases, ARRAY_COUNT(cases), &usual);
}

static void limits_strangers(void **state)
{
    static const struct parser_case cases[] = {
        CASE("*10\r\n$16384\r\n", ""),
        CASE("*11\r\n", ERROR("unauthenticated multibulk length")),
        CASE("*1\r\n$16385\r\n", ERROR("unauthenticated bulk length")),
        CASE("*99999999999\r\n", ERROR("invalid multibulk length")),
        CASE("*1\r\n$900000000\r\n", ERROR("invalid bulk length")),
        CASE(PING, "[4:PING]\n"),
    };
    check_cases(cases, ARRAY_COUNT(cases), &stranger);
    static const struct parser_limits small = {5, 3, false};
    static const struct parser_case small_cases[] = {
        CASE("*4\r\n", ERROR("invalid multibulk length")),
        CASE("*3\r\n$5\r\n12345\r\n$6\r\n", ERROR("invalid bulk length")),
    };
    check_cases(small_cases, ARRAY_COUNT(small_cases), &small);
}

static void splits_inline_commands(void **state)
{
    static const struct parser_case cases[] = {
        CASE("PING\n", "[4:PING]\n"),
        CASE("  SET\t a   b \r\nPING\r\n", "[3:SET][1:a][1:b]\n[4:PING]\n"),
        CASE("PI\rNG\r\r\n", "[2:PI][2:NG]\n"),
        CASE("PING \"a\rb\"\r\n", "[4:PING][3:a\rb]\n"),
        CASE("PING a\x0b"
             "b\x0c"
             "c\r\n",
             "[4:PING][5:a\x0b"
             "b\x0c"
             "c]\n"),
        CASE("\"PI\\x4eG\" \"a\\n\\r\\t\\a\\b\\\"\\q\\x4g\\\\\"\r\n", "[4:PING][12:a\n\r\t\a\b\"qx4g\\]\n"),
        CASE("PING 'a\\'b\\n'\r\n", "[4:PING][5:a'b\\n]\n"),
        CASE("PING '\\\\x'\r\n", "[4:PING][3:\\\\x]\n"),
        CASE("PING \"\" ''\r\n", "[4:PING][0:][0:]\n"),
        CASE("PING a\"b c\"\r\n", "[4:PING][4:ab c]\n"),
        CASE("PING ab'c d' e\r\n", "[4:PING][5:abc d][1:e]\n"),
        CASE("PING a\\nb\r\n", "[4:PING][4:a\\nb]\n"),
        CASE("PING \"a\"\x0b\r\n", "[4:PING][1:a]\n"),
        CASE("PING \xff\r\n", "[4:PING][1:\xff]\n"),
        CASE("PING \"\\x41\\xfF\"\r\n", "[4:PING][2:A\xff]\n"),
        CASE("PING \"\\x4\"\r\n", "[4:PING][2:x4]\n"),
    };
    check_cases(cases, ARRAY_COUNT(cases), &usual);
}

static void refuses_unbalanced_quotes(void **state)
{
    static const struct parser_case cases[] = {
        CASE("SET a \"b\r\n", ERROR("unbalanced quotes in request")),
        CASE("SET a \"b\"c\r\n", ERROR("unbalanced quotes in request")),
        CASE("SET a 'b'c\r\n", ERROR("unbalanced quotes in request")),
        CASE("SET a 'b''c'\r\n", ERROR("unbalanced quotes in request")),
        CASE("PING a\"b c\"d\r\n", ERROR("unbalanced quotes in request")),
        CASE("PING \"\\\r\n", ERROR("unbalanced quotes in request")),
        CASE("PING \"\\\"\r\n", ERROR("unbalanced quotes in request")),
        CASE("PING '\\\\'\r\n", ERROR("unbalanced quotes in request")),
        CASE("PING 'a\\'\r\n", ERROR("unbalanced quotes in request")),
        CASE("'\n", ERROR("unbalanced quotes in request")),
    };
    check_cases(cases, ARRAY_COUNT(cases), &usual);
}

/* A zero byte in an inline command is a byte like any other. */
static void takes_zero_bytes_inline(void **state)
{
    struct feed feed;
    feed_init(&feed, usual);
    static const char input[] = "PING a\0b\r\n";
    feed_bytes(&feed, input, sizeof(input) - 1);
    static const char expected[] = "[4:PING][3:a\0b]\n";
    assert_int_equal(feed.seen.size, sizeof(expected) - 1);
    assert_memory_equal(feed.seen.data, expected, sizeof(expected) - 1);
    feed_done(&feed);
}

/* Feeds a line of `size` bytes that starts with `first` and is filled with '1', in steps, then `end`. */
static void expect_long_line(const char *first, size_t size, const char *end, const char *expected)
{
    static const size_t steps[] = {SIZE_MAX, 1021, 16384, 65536};
    char *line = test_malloc(size);
    memset(line, '1', size);
    memcpy(line, first, strlen(first));
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        struct feed feed;
        feed_init(&feed, usual);
        for (size_t at = 0; at < size; at += steps[i] < size ? steps[i] : size)
            feed_bytes(&feed, line + at, size - at < steps[i] ? size - at : steps[i]);
        feed_bytes(&feed, end, strlen(end));
        expect_transcript(&feed, expected);
        feed_done(&feed);
    }
    test_free(line);
}

static void limits_line_lengths(void **state)
{
    expect_long_line("*", PARSER_INLINE_MAX, "", "");
    expect_long_line("*", PARSER_INLINE_MAX, "\r\n", ERROR("invalid multibulk length"));
    expect_long_line("*", PARSER_INLINE_MAX + 1, "", ERROR("too big mbulk count string"));
    expect_long_line("*", PARSER_INLINE_MAX + 1, "\r\n", ERROR("too big mbulk count string"));
    expect_long_line("*1\r\n$", PARSER_INLINE_MAX + 4, "", "");
    expect_long_line("*1\r\n$", PARSER_INLINE_MAX + 4, "\r\n", ERROR("invalid bulk length"));
    expect_long_line("*1\r\n$", PARSER_INLINE_MAX + 5, "", ERROR("too big bulk count string"));
    expect_long_line("*1\r\nx", PARSER_INLINE_MAX + 5, "", ERROR("too big bulk count string"));
    expect_long_line("'", PARSER_INLINE_MAX, "\n", ERROR("unbalanced quotes in request"));
    expect_long_line("a", PARSER_INLINE_MAX + 1, "", ERROR("too big inline request"));
    expect_long_line("a", PARSER_INLINE_MAX + 1, "\n", ERROR("too big inline request"));
}

/* The caller can size its buffer for a huge argument as soon as its length is known, and not before. */
static void says_how_much_is_to_come(void **state)
{
    struct parser parser;
    parser_init(&parser);
    char input[] = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\nabc";
    size_t known = sizeof(input) - 1 - 3;
    size_t size = 0;
    const char *error = NULL;
    assert_int_equal(parser_next(&parser, input, known - 1, &usual, &size, &error), PARSER_NEED_MORE);
    assert_int_equal(size, known);
    assert_int_equal(parser_next(&parser, input, known, &usual, &size, &error), PARSER_NEED_MORE);
    assert_int_equal(size, known + BULK_MAX + 2);
    assert_int_equal(parser_next(&parser, input, known + 3, &usual, &size, &error), PARSER_NEED_MORE);
    assert_int_equal(size, known + BULK_MAX + 2);
    parser_done(&parser);
}

/* Announced arguments take no memory; memory for many that did arrive is given back. */
static void takes_memory_for_what_has_arrived_only(void **state)
{
    struct parser parser;
    parser_init(&parser);
    size_t size = 0;
    const char *error = NULL;
    char announced[] = "*2147483647\r\n$1\r\na\r\n";
    assert_int_equal(parser_next(&parser, announced, sizeof(announced) - 1, &usual, &size, &error),
                     PARSER_NEED_MORE);
    assert_true(parser.arg_capacity <= 8);
    parser_done(&parser);

    struct buf many = {0};
    buf_append_string(&many, "*3000\r\n");
    for (int i = 0; i < 3000; i++)
        buf_append_string(&many, "$1\r\na\r\n");
    assert_int_equal(parser_next(&parser, many.data, many.size, &usual, &size, &error), PARSER_REQUEST);
    assert_int_equal(size, many.size);
    assert_int_equal(parser.arg_count, 3000);
    char ping[] = PING;
    assert_int_equal(parser_next(&parser, ping, sizeof(ping) - 1, &usual, &size, &error), PARSER_REQUEST);
    assert_true(parser.arg_capacity <= PARSER_ARGS_KEEP);
    buf_done(&many);
    parser_done(&parser);
}

/* Of these the short way (parser_take_plain) knows some; that it agrees with the long one feed_bytes asserts, of all cases. */
static void finds_plain_requests_in_one_go(void **state)
{
    static const struct {
        const char *input;
        size_t plain; /* requests of which it is one */
    } cases[] = {
        {PING PING, 2},
        {"*2\r\n$0\r\n\r\n$12\r\n0123456789ab\r\n" PING, 2},
        {"*10\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n$1\r\n7\r\n$1\r\n8\r\n$"
         "1\r\n9\r\n$1"
         "\r\na\r\n",
         1},
        {"PING\r\n" PING, 1},
        {"*0\r\n" PING, 1},
        {"*1\r\n$4\r\nPIN", 0},
        {"*1\r\n$4\r\nPING\r", 0},
        {"*1\r", 0},
        {"*:\r\n$4\r\nPING\r\n", 0},
        {"*01\r\n$4\r\nPING\r\n", 0},
        {"*1:\r\n$4\r\nPING\r\n", 0},
        {"*1\r\n$04\r\nPING\r\n", 0},
        {"*1\r\n$:\r\n0123456789\r\n", 0},
        {"*1\r\n$1:\r\n01234567890123456789\r\n", 0},
        {"*1\r\n:4\r\nPING\r\n", 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct feed feed;
        feed_init(&feed, usual);
        feed_bytes(&feed, cases[i].input, strlen(cases[i].input));
        assert_int_equal(feed.plain_count, cases[i].plain);
        feed_done(&feed);
    }
}

/* Of a value with three digits; and of one whose size takes four, which it leaves. */
static void finds_plain_values_of_up_to_999_bytes(void **state)
{
    for (int size = 99; size <= 1000; size += size == 99 ? 1 : size == 100 ? 899 : 1) {
        struct buf input = {0};
        buf_printf(&input, "*2\r\n$4\r\nECHO\r\n$%d\r\n", size);
        for (int i = 0; i < size; i++)
            buf_append_char(&input, 'v');
        buf_append_string(&input, "\r\n");
        struct feed feed;
        feed_init(&feed, usual);
        feed_bytes(&feed, input.data, input.size);
        assert_int_equal(feed.plain_count, size <= PARSER_PLAIN_BULK);
        assert_int_equal(feed.left_size, 0);
        feed_done(&feed);
        buf_done(&input);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_requests),
        cmocka_unit_test(skips_empty_requests),
        cmocka_unit_test(names_errors_as_redis_does),
        cmocka_unit_test(limits_strangers),
        cmocka_unit_test(splits_inline_commands),
        cmocka_unit_test(refuses_unbalanced_quotes),
        cmocka_unit_test(takes_zero_bytes_inline),
        cmocka_unit_test(limits_line_lengths),
        cmocka_unit_test(says_how_much_is_to_come),
        cmocka_unit_test(takes_memory_for_what_has_arrived_only),
        cmocka_unit_test(finds_plain_requests_in_one_go),
        cmocka_unit_test(finds_plain_values_of_up_to_999_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
