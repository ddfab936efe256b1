/* The reader finds the same values and the same errors however the bytes are split, holds what a server sends within
 * limits, and survives that there is no memory. */
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/reader.h"
#include "tests/support/reply_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Sizes are those of the literals, zero bytes included. */
struct sample {
    const char *bytes;
    size_t size;
    const char *text;
};

#define SAMPLE(bytes, text)                                                                                  \
    {                                                                                                        \
        bytes, sizeof(bytes) - 1, text                                                                       \
    }
#define WRONG(text, at)       "!protocol error: " text ", at byte " #at " of the reply\n"
#define TOO_MUCH(text)        "!reply too large: " text ", at byte 0 of the reply\n"
#define TOO_MUCH_AT(text, at) "!reply too large: " text ", at byte " #at " of the reply\n"

static void check_pieces(const struct sample *sample, const struct skua_limits *limits, size_t first,
                         size_t step)
{
    struct text text = {0};
    struct skua_reader *reader = skua_reader_new(limits, NULL);
    feed_pieces(&text, reader, text_items, sample->bytes, sample->size, first, step);
    assert_string_equal(text_string(&text), sample->text);
    skua_reader_free(reader);
    text_done(&text);
}

/* Whole, in every split into two, and in steps of one to five bytes. */
static void check_samples(const struct sample *samples, size_t count, const struct skua_limits *limits)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t first = 0; first <= samples[i].size; first++)
            check_pieces(&samples[i], limits, first, samples[i].size);
        for (size_t step = 1; step <= 5; step++)
            check_pieces(&samples[i], limits, step, step);
    }
}

/* ---- Values ----------------------------------------------------------------------------------------------- */

static void reads_every_type(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("+OK\r\n", "status \"OK\".\n"),
        SAMPLE("+\r\n", "status \"\".\n"),
        SAMPLE("+a longer status that does not fit into one short look at it\r\n",
               "status \"a longer status that does not fit into one short look at it\".\n"),
        SAMPLE("+a\0b\xff\t\r\n", "status \"a\\x00b\\xff\\x09\".\n"),
        SAMPLE("-ERR no such key\r\n", "error \"ERR no such key\".\n"),
        SAMPLE("!21\r\nSYNTAX invalid syntax\r\n", "error \"SYNTAX invalid syntax\".\n"),
        SAMPLE("$5\r\nhello\r\n", "string \"hello\".\n"),
        SAMPLE("$0\r\n\r\n", "string \"\".\n"),
        SAMPLE("$4\r\n\r\n\0\xff\r\n", "string \"\\x0d\\x0a\\x00\\xff\".\n"),
        SAMPLE("$000000000000000001\r\na\r\n", "string \"a\".\n"),
        SAMPLE("=7\r\ntxt:abc\r\n", "verbatim txt \"abc\".\n"),
        SAMPLE("=4\r\nmkd:\r\n", "verbatim mkd \"\".\n"),
        SAMPLE("#t\r\n#f\r\n", "bool 1.\nbool 0.\n"),
        SAMPLE("_\r\n", "null.\n"),
        SAMPLE("$-1\r\n", "null.\n"),
        SAMPLE("*-1\r\n", "null.\n"),
        SAMPLE("(3492890328409238509324850943850943825024385\r\n",
               "big \"3492890328409238509324850943850943825024385\".\n"),
        SAMPLE("(-1\r\n(+0\r\n", "big \"-1\".\nbig \"+0\".\n"),
        SAMPLE("*0\r\n%0\r\n~0\r\n>0\r\n", "array 0.\nmap 0.\nset 0.\npush 0.\n"),
        SAMPLE("*2\r\n:1\r\n$1\r\na\r\n", "array 2\n  integer 1\n  string \"a\".\n"),
        SAMPLE("%1\r\n+k\r\n:1\r\n", "map 2\n  status \"k\"\n  integer 1.\n"),
        SAMPLE("~1\r\n_\r\n", "set 1\n  null.\n"),
        SAMPLE(">2\r\n+message\r\n$-1\r\n+OK\r\n", "push 2\n  status \"message\"\n  null.\nstatus \"OK\".\n"),
    };
    check_samples(samples, COUNT(samples), NULL);
}

static void reads_integers(void **state)
{
    static const struct sample samples[] = {
        SAMPLE(":0\r\n:-0\r\n:+7\r\n:007\r\n", "integer 0.\ninteger 0.\ninteger 7.\ninteger 7.\n"),
        SAMPLE(":9223372036854775807\r\n", "integer 9223372036854775807.\n"),
        SAMPLE(":-9223372036854775808\r\n", "integer -9223372036854775808.\n"),
        SAMPLE(":9223372036854775808\r\n", WRONG("an integer beyond 64 bits", 0)),
        SAMPLE(":-9223372036854775809\r\n", WRONG("an integer beyond 64 bits", 0)),
        SAMPLE(":9999999999999999999\r\n", WRONG("an integer beyond 64 bits", 0)),
        SAMPLE(":00000000000000000001\r\n", WRONG("a number of more than 19 digits", 0)),
        SAMPLE(":18446744073709551616", WRONG("a number of more than 19 digits", 0)),
        SAMPLE(":\r\n", WRONG("expected a digit, got 0x0d", 1)),
        SAMPLE(":-\r\n", WRONG("expected a digit, got 0x0d", 2)),
        SAMPLE(":+-1\r\n", WRONG("expected a digit, got '-'", 2)),
        SAMPLE(": 1\r\n", WRONG("expected a digit, got ' '", 1)),
        SAMPLE(":1 \r\n", WRONG("expected \\r, got ' '", 2)),
        SAMPLE(":1.5\r\n", WRONG("expected \\r, got '.'", 2)),
        SAMPLE(":1\n", WRONG("expected \\r, got 0x0a", 2)),
        SAMPLE(":1\rx", WRONG("expected \\n, got 'x'", 3)),
    };
    check_samples(samples, COUNT(samples), NULL);
}

static void nests_aggregates(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("*2\r\n*1\r\n*0\r\n*1\r\n*1\r\n:1\r\n:2\r\n",
               "array 2\n  array 1\n    array 0\n  array 1\n    array 1\n      integer 1.\ninteger 2.\n"),
        SAMPLE("%2\r\n+a\r\n%1\r\n:1\r\n:2\r\n+b\r\n~2\r\n:3\r\n:4\r\n+OK\r\n",
               "map 4\n  status \"a\"\n  map 2\n    integer 1\n    integer 2\n  status \"b\"\n  set 2\n"
               "    integer 3\n    integer 4.\nstatus \"OK\".\n"),
    };
    check_samples(samples, COUNT(samples), NULL);
}

static void puts_attributes_beside_their_value(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("|1\r\n+ttl\r\n:3\r\n$1\r\na\r\n:1\r\n",
               "attribute 2\n  status \"ttl\"\n  integer 3\nstring \"a\".\ninteger 1.\n"),
        SAMPLE("*2\r\n:1\r\n|1\r\n+ttl\r\n:3\r\n:2\r\n:3\r\n",
               "array 2\n  integer 1\n  attribute 2\n    status \"ttl\"\n    integer 3\n  integer "
               "2.\ninteger 3.\n"),
        SAMPLE("|0\r\n|0\r\n+OK\r\n", "attribute 0\nattribute 0\nstatus \"OK\".\n"),
        SAMPLE("|1\r\n|1\r\n:1\r\n:2\r\n:3\r\n*1\r\n:4\r\n*1\r\n:5\r\n",
               "attribute 2\n  attribute 2\n    integer 1\n    integer 2\n  integer 3\n  array 1\n    "
               "integer 4\n"
               "array 1\n  integer 5.\n"),
        SAMPLE("|1\r\n:1\r\n*0\r\n>1\r\n:2\r\n",
               "attribute 2\n  integer 1\n  array 0\npush 1\n  integer 2.\n"),
    };
    check_samples(samples, COUNT(samples), NULL);
}

static void names_what_is_wrong(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("HTTP/1.1 400 Bad Request\r\n", WRONG("expected the type of a value, got 'H'", 0)),
        SAMPLE("\r\n", WRONG("expected the type of a value, got 0x0d", 0)),
        SAMPLE("*2\r\n:1\r\n\0", "array 2\n  integer 1\n" WRONG("expected the type of a value, got 0x00", 8)),
        SAMPLE("+OK\n", WRONG("expected \\r before it, got 0x0a", 3)),
        SAMPLE("+OK\r\r\n", WRONG("expected \\n, got 0x0d", 4)),
        SAMPLE("+a status beyond the short look, and then\n", WRONG("expected \\r before it, got 0x0a", 41)),
        SAMPLE("-a\rb\r\n", WRONG("expected \\n, got 'b'", 3)),
        SAMPLE("$3\r\nabcd\r\n", WRONG("expected \\r, got 'd'", 7)),
        SAMPLE("$3\r\nab\r\n+OK\r\n", WRONG("expected \\r, got 0x0a", 7)),
        SAMPLE("$3\r\nabc\rd", WRONG("expected \\n, got 'd'", 8)),
        SAMPLE("$\r\n", WRONG("expected a digit, got 0x0d", 1)),
        SAMPLE("$-2\r\n", WRONG("expected -1 as the only negative length, got '2'", 2)),
        SAMPLE("$-12\r\n", WRONG("expected \\r, got '2'", 3)),
        SAMPLE("$+1\r\n", WRONG("expected a digit, got '+'", 1)),
        SAMPLE("$?\r\n;1\r\na\r\n;0\r\n", WRONG("streamed strings and aggregates are not supported", 1)),
        SAMPLE("*?\r\n", WRONG("streamed strings and aggregates are not supported", 1)),
        SAMPLE("%?\r\n", WRONG("streamed strings and aggregates are not supported", 1)),
        SAMPLE("%-1\r\n", WRONG("expected a digit, got '-'", 1)),
        SAMPLE("!-1\r\n", WRONG("expected a digit, got '-'", 1)),
        SAMPLE("=-1\r\n", WRONG("expected a digit, got '-'", 1)),
        SAMPLE("=3\r\ntxt\r\n", WRONG("a verbatim string without a format", 0)),
        SAMPLE("=5\r\ntxt;a\r\n", WRONG("expected ':' behind a verbatim string's format, got ';'", 7)),
        SAMPLE("=9\r\ntxt;", WRONG("expected ':' behind a verbatim string's format, got ';'", 7)),
        SAMPLE("=5\r\ntxt:abc", WRONG("expected \\r, got 'b'", 9)),
        SAMPLE("#x\r\n", WRONG("expected t or f, got 'x'", 1)),
        SAMPLE("##", WRONG("expected t or f, got '#'", 1)),
        SAMPLE("_\rx", WRONG("expected \\n, got 'x'", 2)),
        SAMPLE("#tt\r\n", WRONG("expected \\r, got 't'", 2)),
        SAMPLE("_x\r\n", WRONG("expected \\r, got 'x'", 1)),
        SAMPLE("(\r\n", WRONG("expected a digit, got 0x0d", 1)),
        SAMPLE("(-\r\n", WRONG("expected a digit, got 0x0d", 2)),
        SAMPLE("(12a\r\n", WRONG("expected a digit, got 'a'", 3)),
        SAMPLE("*1\r\n>0\r\n", "array 1\n" WRONG("a push inside of a reply", 4)),
        SAMPLE("|1\r\n>0\r\n", "attribute 2\n" WRONG("a push inside of a reply", 4)),
        SAMPLE("+OK\r\n:x\r\n+OK\r\n", "status \"OK\".\n" WRONG("expected a digit, got 'x'", 1)),
    };
    check_samples(samples, COUNT(samples), NULL);
}

static void waits_for_the_rest(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("", ""),
        SAMPLE("+OK", ""),
        SAMPLE("+OK\r", ""),
        SAMPLE(":", ""),
        SAMPLE(":-", ""),
        SAMPLE(":12", ""),
        SAMPLE(":12\r", ""),
        SAMPLE("$", ""),
        SAMPLE("$-", ""),
        SAMPLE("$-1\r", ""),
        SAMPLE("$1", ""),
        SAMPLE("$1\r\n", ""),
        SAMPLE("$1\r\na", ""),
        SAMPLE("$1\r\na\r", ""),
        SAMPLE("=8\r\ntx", ""),
        SAMPLE("#", ""),
        SAMPLE("#t\r", ""),
        SAMPLE("_", ""),
        SAMPLE("*3\r", ""),
        SAMPLE(",1.", ""),
        SAMPLE("*1\r\n", "array 1\n"),
        SAMPLE("$536870912\r\nabc", ""),
    };
    check_samples(samples, COUNT(samples), NULL);
}

/* ---- Doubles ---------------------------------------------------------------------------------------------- */

static void reads_doubles(void **state)
{
    static const struct sample samples[] = {
        SAMPLE(",1.23\r\n", "double 1.23 \"1.23\".\n"),
        SAMPLE(",10\r\n,-0\r\n,+2e3\r\n", "double 10 \"10\".\ndouble -0 \"-0\".\ndouble 2000 \"+2e3\".\n"),
        SAMPLE(",inf\r\n,-inf\r\n,nan\r\n,-nan\r\n",
               "double inf \"inf\".\ndouble -inf \"-inf\".\ndouble nan \"nan\".\ndouble nan \"-nan\".\n"),
        SAMPLE(",1.7976931348623157e+308\r\n",
               "double 1.7976931348623157e+308 \"1.7976931348623157e+308\".\n"),
        SAMPLE(",1e400\r\n", "double inf \"1e400\".\n"),
        SAMPLE(",\r\n", WRONG("expected a double", 0)),
        SAMPLE(",1.\r\n", WRONG("expected a double", 0)),
        SAMPLE(",.5\r\n", WRONG("expected a double", 0)),
        SAMPLE(",1e\r\n", WRONG("expected a double", 0)),
        SAMPLE(",1e+\r\n", WRONG("expected a double", 0)),
        SAMPLE(",0x10\r\n", WRONG("expected a double", 0)),
        SAMPLE(", 1\r\n", WRONG("expected a double", 0)),
        SAMPLE(",1 \r\n", WRONG("expected a double", 0)),
        SAMPLE(",+inf\r\n", WRONG("expected a double", 0)),
        SAMPLE(",INF\r\n", WRONG("expected a double", 0)),
        SAMPLE(",infinity\r\n", WRONG("expected a double", 0)),
        SAMPLE(",1,5\r\n", WRONG("expected a double", 0)),
    };
    check_samples(samples, COUNT(samples), NULL);
}

/* The short way and strtod agree to the last bit. */
static void rounds_doubles_as_strtod_does(void **state)
{
    static const char *const texts[] = {
        "0.1",
        "123456789012345",
        "1234567890123456",
        "9007199254740993",
        "0.000001",
        "1e22",
        "1e23",
        "123e20",
        "8.5e-22",
        "4.35",
        "2.2250738585072011e-308",
        "5e-324",
        "1e-400",
        "0.30000000000000004",
        "123456.789e-10",
        "179769313486231580793728971405301e276",
        "1e00000000000000000000000000000000000001",
        "3e-2147483648000",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        double number = -1;
        assert_true(reader_parse_double(texts[i], strlen(texts[i]), &number));
        assert_true(number == strtod(texts[i], NULL));
    }
    for (uint64_t i = 1; i < 20000; i++) {
        char text[64];
        int length = snprintf(text, sizeof(text), "-%llu.%llue%d", (unsigned long long)(i * 7919 % 100000),
                              (unsigned long long)(i * 104729 % 1000000007), (int)(i % 61) - 30);
        double number = 1;
        assert_true(reader_parse_double(text, (size_t)length, &number));
        assert_true(number == strtod(text, NULL));
    }
}

static void limits_the_length_of_doubles(void **state)
{
    char line[6000];
    memset(line, '1', sizeof(line));
    line[0] = ',';
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    struct skua_item item;
    assert_int_equal(skua_reader_feed(reader, line, 5121), SKUA_OK);
    assert_int_equal(skua_reader_next(reader, &item), SKUA_AGAIN);
    assert_int_equal(skua_reader_feed(reader, "1", 1), SKUA_OK);
    assert_int_equal(skua_reader_next(reader, &item), SKUA_ERR_PROTOCOL);
    skua_reader_free(reader);
}

/* ---- Limits ----------------------------------------------------------------------------------------------- */

static void keeps_to_limits(void **state)
{
    static const struct skua_limits limits = {.string_max = 5, .element_max = 4, .depth_max = 2};
    static const struct sample samples[] = {
        SAMPLE("$5\r\n12345\r\n", "string \"12345\".\n"),
        SAMPLE("$6\r\n", TOO_MUCH("a string of more than 5 bytes")),
        SAMPLE("$999999999999999999\r\n", TOO_MUCH("a string of more than 5 bytes")),
        SAMPLE("=6\r\n", TOO_MUCH("a string of more than 5 bytes")),
        SAMPLE("+12345\r\n", "status \"12345\".\n"),
        SAMPLE("+123456\r\n", TOO_MUCH("a line of more than 5 bytes")),
        SAMPLE("+123456", TOO_MUCH("a line of more than 5 bytes")),
        SAMPLE("+123456\n", TOO_MUCH("a line of more than 5 bytes")),
        SAMPLE("(123456", TOO_MUCH("a line of more than 5 bytes")),
        SAMPLE(",1.3456", TOO_MUCH("a line of more than 5 bytes")),
        SAMPLE("*4\r\n:1\r\n", "array 4\n  integer 1\n"),
        SAMPLE("*5\r\n", TOO_MUCH("an aggregate of more than 4 elements")),
        SAMPLE("*9999999999999999999\r\n", TOO_MUCH("an aggregate of more than 4 elements")),
        SAMPLE("%2\r\n", "map 4\n"),
        SAMPLE("%3\r\n", TOO_MUCH("an aggregate of more than 4 elements")),
        SAMPLE("|9223372036854775808\r\n", TOO_MUCH("an aggregate of more than 4 elements")),
        SAMPLE("*1\r\n*1\r\n:1\r\n", "array 1\n  array 1\n    integer 1.\n"),
        SAMPLE("*1\r\n*1\r\n*0\r\n",
               "array 1\n  array 1\n" TOO_MUCH_AT("aggregates of more than 2 levels", 8)),
        SAMPLE("*1\r\n|1\r\n*0\r\n",
               "array 1\n  attribute 2\n" TOO_MUCH_AT("aggregates of more than 2 levels", 8)),
    };
    check_samples(samples, COUNT(samples), &limits);
}

static void has_limits_by_default(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("$536870912\r\n", ""),
        SAMPLE("$536870913\r\n", TOO_MUCH("a string of more than 536870912 bytes")),
        SAMPLE("*268435456\r\n", "array 268435456\n"),
        SAMPLE("*268435457\r\n", TOO_MUCH("an aggregate of more than 268435456 elements")),
        SAMPLE("%134217728\r\n", "map 268435456\n"),
        SAMPLE("%134217729\r\n", TOO_MUCH("an aggregate of more than 268435456 elements")),
    };
    check_samples(samples, COUNT(samples), NULL);
}

static void limits_the_bytes_of_a_reply(void **state)
{
    static const struct skua_limits limits = {.reply_max = 12};
    static const struct sample samples[] = {
        SAMPLE("+123456789\r\n+123456789\r\n", "status \"123456789\".\nstatus \"123456789\".\n"),
        SAMPLE("+1234567890\r\n", TOO_MUCH("a reply of more than 12 bytes")),
        SAMPLE("+1234567890", TOO_MUCH("a reply of more than 12 bytes")),
        SAMPLE("$6\r\n123456\r\n", "string \"123456\".\n"),
        SAMPLE("$7\r\n", TOO_MUCH("a reply of more than 12 bytes")),
        SAMPLE("*2\r\n:1\r\n$-1\r\n",
               "array 2\n  integer 1\n" TOO_MUCH_AT("a reply of more than 12 bytes", 8)),
        SAMPLE("*2\r\n:1\r\n:2\r\n*2\r\n:1\r\n:2\r\n",
               "array 2\n  integer 1\n  integer 2.\narray 2\n  integer 1\n  integer 2.\n"),
        SAMPLE("*3\r\n:1\r\n#t\r\n+\r\n",
               "array 3\n  integer 1\n  bool 1\n" TOO_MUCH_AT("a reply of more than 12 bytes", 12)),
        SAMPLE("|0\r\n|0\r\n|0\r\n:1\r\n",
               "attribute 0\nattribute 0\nattribute 0\n" TOO_MUCH_AT("a reply of more than 12 bytes", 12)),
        SAMPLE("*2\r\n:12345\r\n_\r\n",
               "array 2\n  integer 12345\n" TOO_MUCH_AT("a reply of more than 12 bytes", 12)),
        SAMPLE("*2\r\n:1234\r\n*1\r\n",
               "array 2\n  integer 1234\n" TOO_MUCH_AT("a reply of more than 12 bytes", 11)),
    };
    check_samples(samples, COUNT(samples), &limits);
}

static void nests_128_levels_at_most(void **state)
{
    static const struct skua_limits limits = {.depth_max = 1000};
    struct skua_reader *reader = skua_reader_new(&limits, NULL);
    struct skua_item item;
    for (unsigned depth = 0; depth < SKUA_DEPTH_MAX; depth++) {
        assert_int_equal(skua_reader_feed(reader, "*1\r\n", 4), SKUA_OK);
        assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
        assert_int_equal(item.depth, depth);
        assert_false(item.last);
    }
    assert_int_equal(skua_reader_feed(reader, ":1\r\n*1\r\n", 8), SKUA_OK);
    assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
    assert_int_equal(item.depth, SKUA_DEPTH_MAX);
    assert_true(item.last);
    assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
    assert_int_equal(item.depth, 0);
    skua_reader_free(reader);

    reader = skua_reader_new(NULL, NULL); /* 32 by default */
    for (unsigned depth = 0; depth < 33; depth++)
        assert_int_equal(skua_reader_feed(reader, "*1\r\n", 4), SKUA_OK);
    for (unsigned depth = 0; depth < 32; depth++)
        assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
    assert_int_equal(skua_reader_next(reader, &item), SKUA_ERR_LIMIT);
    skua_reader_free(reader);
}

/* ---- Parts ------------------------------------------------------------------------------------------------ */

static void expect_item(struct skua_reader *reader, enum skua_type type, const char *string, size_t left,
                        bool last)
{
    struct skua_item item;
    assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
    assert_int_equal(item.type, type);
    assert_int_equal(item.length, strlen(string));
    assert_memory_equal(item.string, string, item.length);
    assert_int_equal(item.left, left);
    assert_int_equal(item.last, last);
}

static void expect_again(struct skua_reader *reader, size_t wanted)
{
    struct skua_item item;
    assert_int_equal(skua_reader_next(reader, &item), SKUA_AGAIN);
    assert_int_equal(skua_reader_wanted(reader), wanted);
}

static void feed(struct skua_reader *reader, const char *bytes)
{
    assert_int_equal(feed_bytes(reader, bytes, strlen(bytes)), SKUA_OK);
}

static void gives_long_strings_in_parts(void **state)
{
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    skua_reader_set_parts(reader, true);
    struct skua_item item;
    feed(reader, "*2\r\n$10\r\n");
    assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
    expect_again(reader, 1);
    feed(reader, "abc");
    expect_item(reader, SKUA_STRING, "abc", 7, false);
    expect_again(reader, 1);
    feed(reader, "d");
    expect_item(reader, SKUA_STRING, "d", 6, false);
    feed(reader, "efghij"); /* the last part waits for the line end */
    expect_again(reader, 2);
    feed(reader, "\r");
    expect_again(reader, 1);
    feed(reader, "\n");
    expect_item(reader, SKUA_STRING, "efghij", 0, false);
    feed(reader, "$3\r\nabc\r\n"); /* what has arrived is given whole */
    expect_item(reader, SKUA_STRING, "abc", 0, true);
    feed(reader, "$3\r\nabc");
    expect_again(reader, 2);
    feed(reader, "\r\n!5\r\nERR");
    expect_item(reader, SKUA_STRING, "abc", 0, true);
    expect_item(reader, SKUA_ERROR, "ERR", 2, false);
    skua_reader_set_parts(reader, false); /* the rest at once */
    feed(reader, " ");
    expect_again(reader, 3);
    feed(reader, "x\r\n");
    expect_item(reader, SKUA_ERROR, " x", 0, true);
    skua_reader_free(reader);
}

static void keeps_the_format_in_each_part(void **state)
{
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    skua_reader_set_parts(reader, true);
    feed(reader, "=8\r\ntxt");
    expect_again(reader, 1);
    feed(reader, ":");
    expect_again(reader, 1);
    feed(reader, "ab");
    struct skua_item item;
    assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
    assert_string_equal(item.format, "txt");
    assert_int_equal(item.left, 2);
    feed(reader, "cd\r\n");
    assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
    assert_string_equal(item.format, "txt");
    assert_int_equal(item.length, 2);
    assert_true(item.last);
    skua_reader_free(reader);
}

static void finds_a_missing_line_end_behind_parts(void **state)
{
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    skua_reader_set_parts(reader, true);
    feed(reader, "$4\r\nabc");
    expect_item(reader, SKUA_STRING, "abc", 1, false);
    feed(reader, "dx\n");
    struct skua_item item;
    assert_int_equal(skua_reader_next(reader, &item), SKUA_ERR_PROTOCOL);
    assert_string_equal(skua_reader_error(reader), "expected \\r, got 'x', at byte 8 of the reply");
    skua_reader_free(reader);
}

/* A string of 256 MB through a buffer that never grows. */
static void passes_long_strings_through_a_small_buffer(void **state)
{
    struct counting counting = {0};
    struct skua_allocator allocator = counting_allocator(&counting);
    struct skua_reader *reader = skua_reader_new(NULL, &allocator);
    skua_reader_set_parts(reader, true);
    size_t size = (size_t)256 << 20, got = 0;
    feed(reader, "$268435456\r\n");
    size_t fed = 0;
    struct skua_item item = {.left = 1};
    while (item.left > 0) {
        enum skua_status status = skua_reader_next(reader, &item);
        if (status == SKUA_OK) {
            got += item.length;
            continue;
        }
        assert_int_equal(status, SKUA_AGAIN);
        char *space;
        size_t capacity;
        assert_int_equal(skua_reader_reserve(reader, 1, &space, &capacity), SKUA_OK);
        if (fed == size) {
            assert_true(capacity >= 2);
            memcpy(space, "\r\n", 2);
            capacity = 2;
        } else {
            capacity = capacity < size - fed ? capacity : size - fed;
            fed += capacity;
        }
        skua_reader_commit(reader, capacity);
    }
    assert_int_equal(got, size);
    assert_true(item.last);
    assert_true(counting.bytes_peak < 64 << 10);
    skua_reader_free(reader);
    assert_int_equal(counting.live, 0);
}

/* ---- The buffer ------------------------------------------------------------------------------------------- */

static void tells_how_much_is_missing(void **state)
{
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    assert_int_equal(skua_reader_wanted(reader), 1);
    feed(reader, "$100\r\nabc");
    expect_again(reader, 99);
    assert_int_equal(skua_reader_pending(reader), 9);
    feed(reader, "d");
    assert_int_equal(skua_reader_wanted(reader), 98);
    expect_again(reader, 98);
    skua_reader_reset(reader);
    assert_int_equal(skua_reader_wanted(reader), 1);
    assert_int_equal(skua_reader_pending(reader), 0);
    feed(reader, "+abc");
    expect_again(reader, 1);
    skua_reader_free(reader);
}

/* 16 MB in pieces of 16 KB: the buffer grows with what arrives, in few steps, to what is needed, and is given back. */
static void grows_with_what_arrives(void **state)
{
    static char piece[16384];
    struct counting counting = {0};
    struct skua_allocator allocator = counting_allocator(&counting);
    struct skua_reader *reader = skua_reader_new(NULL, &allocator);
    struct skua_item item;
    size_t size = 16 << 20;
    feed(reader, "$16777216\r\n");
    for (size_t fed = 0; fed < size; fed += sizeof(piece)) {
        assert_int_equal(skua_reader_next(reader, &item), SKUA_AGAIN);
        assert_int_equal(skua_reader_wanted(reader), size - fed + 2);
        assert_int_equal(skua_reader_feed(reader, piece, sizeof(piece)), SKUA_OK);
        assert_true(counting.bytes < 3 * (fed + sizeof(piece)) + 65536);
    }
    feed(reader, "\r\n");
    assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
    assert_int_equal(item.length, size);
    assert_true(counting.calls < 20);
    assert_true(counting.bytes < size + 65536);
    assert_int_equal(skua_reader_next(reader, &item), SKUA_AGAIN);
    assert_true(counting.bytes < 65536);
    skua_reader_free(reader);
    assert_int_equal(counting.live, 0);
}

/* A status of 4 MB in pieces of 16 bytes would take hours if every piece began the search anew. */
static void searches_long_lines_once(void **state)
{
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    struct skua_item item;
    feed(reader, "+");
    for (size_t i = 0; i < 4 << 20; i += 16) {
        assert_int_equal(skua_reader_next(reader, &item), SKUA_AGAIN);
        assert_int_equal(skua_reader_feed(reader, "0123456789abcdef", 16), SKUA_OK);
    }
    feed(reader, "\r\n");
    assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
    assert_int_equal(item.length, 4 << 20);
    skua_reader_free(reader);
}

/* Many small replies, never all used up, do not make the buffer grow. */
static void reuses_the_place_of_used_bytes(void **state)
{
    struct counting counting = {0};
    struct skua_allocator allocator = counting_allocator(&counting);
    struct skua_reader *reader = skua_reader_new(NULL, &allocator);
    struct skua_item item;
    feed(reader, "$3\r\na");
    for (int i = 0; i < 100000; i++) {
        feed(reader, "bc\r\n$3\r\na");
        assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
        assert_memory_equal(item.string, "abc", 3);
    }
    assert_int_equal(counting.calls, 2);
    skua_reader_free(reader);
}

static void gives_what_was_announced_no_memory(void **state)
{
    struct counting counting = {0};
    struct skua_allocator allocator = counting_allocator(&counting);
    struct skua_reader *reader = skua_reader_new(NULL, &allocator);
    struct skua_item item;
    for (int depth = 0; depth < 31; depth++)
        feed(reader, "*268435456\r\n");
    feed(reader, "$536870912\r\n");
    while (skua_reader_next(reader, &item) == SKUA_OK)
        ;
    feed(reader, "a");
    assert_int_equal(skua_reader_next(reader, &item), SKUA_AGAIN);
    assert_true(counting.bytes_peak < 65536);
    skua_reader_free(reader);
}

static void answers_the_same_after_an_error(void **state)
{
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    struct skua_item item = {.depth = 77};
    struct skua_reply *reply = NULL;
    char *space;
    size_t capacity;
    feed(reader, "x");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(skua_reader_next(reader, &item), SKUA_ERR_PROTOCOL);
        assert_int_equal(skua_reader_tree(reader, &reply), SKUA_ERR_PROTOCOL);
        assert_int_equal(skua_reader_feed(reader, "+OK\r\n", 5), SKUA_ERR_PROTOCOL);
        assert_int_equal(skua_reader_reserve(reader, 1, &space, &capacity), SKUA_ERR_PROTOCOL);
        assert_string_equal(skua_reader_error(reader),
                            "expected the type of a value, got 'x', at byte 0 of the reply");
    }
    assert_int_equal(item.depth, 77);
    assert_null(reply);
    skua_reader_reset(reader);
    assert_string_equal(skua_reader_error(reader), "");
    feed(reader, "+OK\r\n");
    expect_item(reader, SKUA_STATUS, "OK", 0, true);
    skua_reader_free(reader);
}

static void forgets_everything_on_reset(void **state)
{
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    struct skua_item item;
    skua_reader_set_parts(reader, true);
    feed(reader, "*3\r\n$9\r\nabc");
    while (skua_reader_next(reader, &item) == SKUA_OK)
        ;
    skua_reader_reset(reader);
    feed(reader, ":1\r\n");
    assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
    assert_int_equal(item.type, SKUA_INTEGER);
    assert_int_equal(item.depth, 0);
    assert_true(item.last);
    skua_reader_free(reader);
}

/* ---- Memory ----------------------------------------------------------------------------------------------- */

static void takes_all_hooks_or_none(void **state)
{
    struct counting counting = {0};
    struct skua_allocator some = counting_allocator(&counting);
    some.release = NULL;
    assert_null(skua_reader_new(NULL, &some));
    static const struct skua_allocator none = {0};
    struct skua_reader *reader = skua_reader_new(NULL, &none);
    assert_non_null(reader);
    skua_reader_free(reader);
    skua_reader_free(NULL);
}

/* Each allocation fails in turn: the call that needed it says so and adds nothing, and may be made again. */
static void survives_each_failed_allocation(void **state)
{
    static const char bytes[] = "+first\r\n$40000\r\n";
    static char body[40002];
    memset(body, 'a', 40000);
    memcpy(body + 40000, "\r\n", 2);
    size_t failures = 0;
    for (size_t fail_at = 1;; fail_at++) {
        struct counting counting = {.fail_at = fail_at};
        struct skua_allocator allocator = counting_allocator(&counting);
        struct skua_reader *reader = skua_reader_new(NULL, &allocator);
        if (reader == NULL) {
            failures++;
            continue;
        }
        struct skua_item item;
        while (feed_bytes(reader, bytes, sizeof(bytes) - 1) != SKUA_OK)
            failures++;
        expect_item(reader, SKUA_STATUS, "first", 0, true);
        assert_int_equal(skua_reader_next(reader, &item), SKUA_AGAIN);
        while (skua_reader_feed(reader, body, sizeof(body)) != SKUA_OK) {
            failures++;
            assert_int_equal(skua_reader_pending(reader), 8);
        }
        assert_int_equal(skua_reader_next(reader, &item), SKUA_OK);
        assert_int_equal(item.length, 40000);
        skua_reader_free(reader);
        assert_int_equal(counting.live, 0);
        if (fail_at > counting.calls)
            break;
    }
    assert_int_equal(failures, 3);
}

static void refuses_sizes_that_overflow(void **state)
{
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    char *space = NULL;
    size_t capacity = 0;
    feed(reader, "+OK");
    assert_int_equal(skua_reader_reserve(reader, SIZE_MAX, &space, &capacity), SKUA_ERR_MEMORY);
    assert_null(space);
    feed(reader, "\r\n");
    expect_item(reader, SKUA_STATUS, "OK", 0, true);
    skua_reader_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_type),
        cmocka_unit_test(reads_integers),
        cmocka_unit_test(nests_aggregates),
        cmocka_unit_test(puts_attributes_beside_their_value),
        cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(waits_for_the_rest),
        cmocka_unit_test(reads_doubles),
        cmocka_unit_test(rounds_doubles_as_strtod_does),
        cmocka_unit_test(limits_the_length_of_doubles),
        cmocka_unit_test(keeps_to_limits),
        cmocka_unit_test(has_limits_by_default),
        cmocka_unit_test(limits_the_bytes_of_a_reply),
        cmocka_unit_test(nests_128_levels_at_most),
        cmocka_unit_test(gives_long_strings_in_parts),
        cmocka_unit_test(keeps_the_format_in_each_part),
        cmocka_unit_test(finds_a_missing_line_end_behind_parts),
        cmocka_unit_test(passes_long_strings_through_a_small_buffer),
        cmocka_unit_test(tells_how_much_is_missing),
        cmocka_unit_test(grows_with_what_arrives),
        cmocka_unit_test(searches_long_lines_once),
        cmocka_unit_test(reuses_the_place_of_used_bytes),
        cmocka_unit_test(gives_what_was_announced_no_memory),
        cmocka_unit_test(answers_the_same_after_an_error),
        cmocka_unit_test(forgets_everything_on_reset),
        cmocka_unit_test(takes_all_hooks_or_none),
        cmocka_unit_test(survives_each_failed_allocation),
        cmocka_unit_test(refuses_sizes_that_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
