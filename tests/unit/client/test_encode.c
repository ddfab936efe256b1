/* Requests: the bytes of arguments, and the arguments of formats, of which wrong ones are refused. */
#include <float.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <skua/client.h>

#include "client/encode.h"
#include "client/memory.h"
#include "tests/support/reply_text.h"

/* ---- Bytes ------------------------------------------------------------------------------------------------ */

static void expect_encoded(size_t count, const char *const *arguments, const size_t *lengths,
                           const char *bytes, size_t size)
{
    char out[256];
    memset(out, '#', sizeof(out));
    assert_int_equal(skua_encode(NULL, 0, count, arguments, lengths), size);
    assert_int_equal(skua_encode(out, size - 1, count, arguments, lengths), size);
    assert_int_equal(out[0], '#');
    assert_int_equal(skua_encode(out, size, count, arguments, lengths), size);
    assert_memory_equal(out, bytes, size);
    assert_int_equal(out[size], '#');
}

static void writes_requests(void **state)
{
    static const char *const arguments[] = {"SET", "key", "0123456789"};
    static const char all[] = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$10\r\n0123456789\r\n";
    expect_encoded(3, arguments, NULL, all, sizeof(all) - 1);
    static const size_t lengths[] = {3, 0, 9};
    static const char some[] = "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$9\r\n012345678\r\n";
    expect_encoded(3, arguments, lengths, some, sizeof(some) - 1);
    static const char *const binary[] = {"a\r\n\0b"};
    static const size_t binary_length[] = {5};
    static const char bytes[] = "*1\r\n$5\r\na\r\n\0b\r\n";
    expect_encoded(1, binary, binary_length, bytes, sizeof(bytes) - 1);
    static const char *const none[] = {NULL};
    static const size_t zero[] = {0};
    expect_encoded(1, none, zero, "*1\r\n$0\r\n\r\n", 10);
}

static void tells_that_lengths_overflow(void **state)
{
    static const char *const arguments[] = {"a", "b"};
    static const size_t lengths[] = {SIZE_MAX / 2, SIZE_MAX / 2};
    char out[4] = "#";
    assert_true(skua_encode(out, sizeof(out), 2, arguments, lengths) == SIZE_MAX);
    assert_int_equal(out[0], '#');
}

/* ---- Formats ---------------------------------------------------------------------------------------------- */

static enum skua_status split(const struct skua_allocator *allocator, struct encode_arguments *arguments,
                              const char *format, ...)
{
    va_list values;
    va_start(values, format);
    enum skua_status status = encode_format(allocator, format, values, arguments);
    va_end(values);
    return status;
}

static struct skua_allocator plain; /* set by set_up */

/* "[3:SET][1:a]" */
static void expect(const char *expected, const char *format, ...)
{
    struct encode_arguments arguments;
    va_list values;
    va_start(values, format);
    assert_int_equal(encode_format(&plain, format, values, &arguments), SKUA_OK);
    va_end(values);
    struct text text = {0};
    for (size_t i = 0; i < arguments.count; i++) {
        text_printf(&text, "[%zu:", arguments.lengths[i]);
        text_add(&text, arguments.arguments[i], arguments.lengths[i]);
        text_printf(&text, "]");
        assert_int_equal(arguments.arguments[i][arguments.lengths[i]], '\0');
    }
    assert_int_equal(text.size, strlen(expected));
    assert_string_equal(text_string(&text), expected);
    text_done(&text);
    encode_arguments_done(&plain, &arguments);
    assert_null(arguments.block);
}

static void expect_refused(const char *format, ...)
{
    struct encode_arguments arguments = {.count = 77};
    va_list values;
    va_start(values, format);
    assert_int_equal(encode_format(&plain, format, values, &arguments), SKUA_ERR_USE);
    va_end(values);
    assert_int_equal(arguments.count, 77);
}

static void splits_at_spaces(void **state)
{
    expect("[4:PING]", "PING");
    expect("[3:SET][1:a][1:b]", "  SET a   b ");
    expect("[3:SET][3:a\tb]", "SET a\tb");
    expect_refused("");
    expect_refused("   ");
}

static void puts_strings_in_place(void **state)
{
    expect("[3:SET][3:a b][0:][1:c]", "SET %s %s c", "a b", "");
    expect("[3:SET][9:key:x:end]", "SET key:%s:end", "x");
    expect("[6:foobar]", "%s%s", "foo", "bar");
    expect("[0:]", "%s", "");
    expect("[4:100%][2:%s]", "%d%% %s", 100, "%s");
    expect("[3:GET][2:%%]", "GET %%%%");
    expect_refused("GET %s", NULL);
}

static void takes_bytes_with_their_count(void **state)
{
    expect("[3:SET][3:a b][0:]", "SET %b %b", "a b#", (size_t)3, NULL, (size_t)0);
    expect_refused("SET %b", NULL, (size_t)1);
}

static void writes_integers_of_every_size(void **state)
{
    expect("[2:-1][2:-1][10:4294967295][8:ffffffff]", "%d %i %u %x", -1, -1, -1, -1);
    expect("[2:-1][3:255][2:ff]", "%hhd %hhu %hhx", 255, 255, 511);
    expect("[6:-32768][5:65535]", "%hd %hu", 32768, 65535);
    expect("[20:-9223372036854775808][20:18446744073709551615]", "%lld %llu", LLONG_MIN, ULLONG_MAX);
    expect("[20:-9223372036854775808][16:ffffffffffffffff]", "%ld %lx", LONG_MIN, ULONG_MAX);
    expect("[1:7][2:-7][20:18446744073709551615]", "%zu %zd %zu", (size_t)7, (ssize_t)-7, SIZE_MAX);
    expect("[19:9223372036854775807][1:a]", "%jd %jx", INTMAX_MAX, (uintmax_t)10);
    expect("[5:00042][4:  -7][4:0x1f][2:+1]", "%05d %4d %#x %+d", 42, -7, 31, 1);
    expect("[5:k:7:v]", "k:%d:v", 7);
}

static void writes_doubles(void **state)
{
    expect("[8:1.500000][3:1.5][12:1.500000e+00]", "%f %g %e", 1.5, 1.5, 1.5);
    expect("[19:0.10000000000000001][4:3.14][4:-inf]", "%.17g %.2lf %g", 0.1, 3.14159, -INFINITY);
    struct text text = {0};
    text_printf(&text, "[%d:%.99f]", 409, DBL_MAX);
    expect(text_string(&text), "%.99f", DBL_MAX);
    text_done(&text);
}

static void refuses_what_it_does_not_know(void **state)
{
    static const char *const formats[] = {
        "GET %",     "GET %y",     "GET %n", "GET %c",   "GET %p",   "GET %5s", "GET %ls", "GET %.3s",
        "GET %lb",   "GET %5",     "GET %l", "GET %hf",  "GET %llg", "GET %Lf", "GET %*d", "GET %.*f",
        "GET %123d", "GET %.123f", "%hhhd",  "%------d", "GET %5%",  "GET %l%", "GET %'d", "GET %1$d",
    };
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        expect_refused(formats[i], 1, 2, 3);
}

/* In a locale whose decimal point is a comma, where the system has one. */
static void writes_points_in_every_locale(void **state)
{
    const char *locale = setlocale(LC_ALL, "de_DE.UTF-8");
    expect("[3:1.5]", "%g", 1.5);
    if (locale != NULL)
        setlocale(LC_ALL, "C");
}

static void keeps_bytes_as_they_are(void **state)
{
    struct encode_arguments arguments;
    assert_int_equal(split(&plain, &arguments, "SET k x%by", "a\0 b", (size_t)4), SKUA_OK);
    assert_int_equal(arguments.count, 3);
    assert_int_equal(arguments.lengths[2], 6);
    assert_memory_equal(arguments.arguments[2], "xa\0 by", 7);
    encode_arguments_done(&plain, &arguments);
}

/* Forty arguments of some length: text and ends grow several times, and each allocation fails in turn. */
static void survives_each_failed_allocation(void **state)
{
    static const char format[] =
        "MSET a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9 %s %d %f";
    size_t failures = 0;
    for (size_t fail_at = 1;; fail_at++) {
        struct counting counting = {.fail_at = fail_at};
        struct skua_allocator allocator = counting_allocator(&counting);
        struct encode_arguments arguments = {.count = 77};
        enum skua_status status = split(&allocator, &arguments, format, format, 5, 1.5);
        if (status == SKUA_OK) {
            assert_int_equal(arguments.count, 40);
            assert_string_equal(arguments.arguments[39], "1.500000");
            encode_arguments_done(&allocator, &arguments);
        } else {
            failures++;
            assert_int_equal(status, SKUA_ERR_MEMORY);
            assert_int_equal(arguments.count, 77);
        }
        assert_int_equal(counting.live, 0);
        if (status == SKUA_OK)
            break;
    }
    assert_true(failures >= 4);
}

static int set_up(void **state)
{
    return client_allocator_set(&plain, NULL) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_requests),
        cmocka_unit_test(tells_that_lengths_overflow),
        cmocka_unit_test(splits_at_spaces),
        cmocka_unit_test(puts_strings_in_place),
        cmocka_unit_test(takes_bytes_with_their_count),
        cmocka_unit_test(keeps_bytes_as_they_are),
        cmocka_unit_test(writes_integers_of_every_size),
        cmocka_unit_test(writes_doubles),
        cmocka_unit_test(refuses_what_it_does_not_know),
        cmocka_unit_test(writes_points_in_every_locale),
        cmocka_unit_test(survives_each_failed_allocation),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
