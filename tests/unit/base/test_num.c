/* Proves: numbers are read as strictly and written as exactly as redis-server 7.0 does it (the tables were taken
 * from it), and doubles with the fewest digits that read back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/num.h"
#include "base/rng.h"

#define RANDOM_ROUNDS 20000

static void assert_i64_text(int64_t value, const char *expected)
{
    char text[NUM_I64_TEXT_MAX];
    size_t size = num_format_i64(value, text);
    int64_t back;
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(text, expected, size);
    assert_true(num_parse_i64(slice_make(text, size), &back));
    assert_true(back == value);
}

static void integers_of_every_length(void **state)
{
    char expected[32];
    assert_i64_text(0, "0");
    assert_i64_text(INT64_MAX, "9223372036854775807");
    assert_i64_text(INT64_MIN, "-9223372036854775808");
    uint64_t power = 1;
    for (int digits = 1; digits <= 19; digits++, power *= 10) {
        for (int64_t near = -1; near <= 1; near++) {
            int64_t value = (int64_t)power + near;
            snprintf(expected, sizeof(expected), "%lld", (long long)value);
            assert_i64_text(value, expected);
            snprintf(expected, sizeof(expected), "%lld", (long long)-value);
            assert_i64_text(-value, expected);
        }
    }
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < RANDOM_ROUNDS; i++) {
        int64_t value = (int64_t)(rng_next(&rng) >> rng_below(&rng, 64));
        snprintf(expected, sizeof(expected), "%lld", (long long)value);
        assert_i64_text(value, expected);
    }
}

static void integers_that_are_none(void **state)
{
    static const char *const refused[] = {
        "",
        "-",
        "+1",
        "01",
        "-0",
        "-01",
        " 1",
        "1 ",
        "1.0",
        "0x1",
        "a",
        "1a",
        "--1",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999",
        "18446744073709551616",
        "123456789012345678901",
    };
    int64_t value = 42;
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        assert_false(num_parse_i64(slice_from_string(refused[i]), &value));
    assert_false(num_parse_i64(slice_make("1\0", 2), &value));
    assert_int_equal(value, 42); /* untouched */
}

/* Around every number of digits, and every number that a step of the division by halves may get wrong. */
static void writes_integers_as_printf_does(void **state)
{
    char text[NUM_I64_TEXT_MAX], expected[NUM_I64_TEXT_MAX];
    for (uint64_t power = 1, i = 0; i < 20; i++, power *= 10) {
        for (uint64_t value = power - 2 * (power > 1); value <= power + 2; value++) {
            int size = snprintf(expected, sizeof expected, "%llu", (unsigned long long)value);
            assert_int_equal(num_format_u64(value, text), size);
            assert_memory_equal(text, expected, (size_t)size);
        }
    }
    for (uint64_t value = 0; value < 10000; value++) {
        const uint64_t values[] = {value, value * 10000, value * 10000 + 9999 - value};
        for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
            int size = snprintf(expected, sizeof expected, "%llu", (unsigned long long)values[i]);
            assert_int_equal(num_format_u64(values[i], text), size);
            assert_memory_equal(text, expected, (size_t)size);
        }
    }
}

static void unsigned_integers(void **state)
{
    char text[NUM_I64_TEXT_MAX];
    uint64_t value = 7;
    assert_true(num_parse_u64(SLICE("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    assert_int_equal(num_format_u64(value, text), 20);
    assert_memory_equal(text, "18446744073709551615", 20);
    assert_false(num_parse_u64(SLICE("18446744073709551616"), &value));
    assert_false(num_parse_u64(SLICE("-1"), &value));
    assert_false(num_parse_u64(SLICE("00"), &value));
    assert_true(num_parse_u64(SLICE("0"), &value));
    assert_true(value == 0);
}

static void assert_double_text(double value, const char *expected)
{
    char text[NUM_DOUBLE_TEXT_MAX];
    size_t size = num_format_double(value, text);
    text[size] = '\0';
    assert_string_equal(text, expected);
}

static void doubles_in_known_texts(void **state)
{
    assert_double_text(0.0, "0");
    assert_double_text(-0.0, "-0");
    assert_double_text(1.0, "1");
    assert_double_text(-1.5, "-1.5");
    assert_double_text(3.1, "3.1");
    assert_double_text(0.1 + 0.2, "0.30000000000000004");
    assert_double_text(4668782.10808, "4668782.10808"); /* times 10^5 it is no integer, times 10^6 it is */
    assert_double_text(-0.0923, "-0.0923");
    assert_double_text(0.0001, "0.0001");
    assert_double_text(0.00001, "0.00001");
    assert_double_text(0.000001, "0.000001");
    assert_double_text(0.0000125, "1.25e-5");
    assert_double_text(1e-7, "1e-7");
    assert_double_text(1.25e-7, "1.25e-7");
    assert_double_text(0.00012345678, "1.2345678e-4");
    assert_double_text(-0.0012345678901234567, "-0.0012345678901234567");
    assert_double_text(1234.123456789, "1234.123456789");
    assert_double_text(12345.123456, "12345.123456");
    assert_double_text(12345.1234567, "1.23451234567e+4");
    assert_double_text(1e15, "1000000000000000");
    assert_double_text(1e16, "10000000000000000");
    assert_double_text(1e18, "1000000000000000000");
    assert_double_text(0x1.fffffffffffffp61, "4611686018427387392");
    assert_double_text(0x1p62, "4611686018427387904");
    assert_double_text(1e19, "1e+19");
    assert_double_text(1.2345678901234e19, "12345678901234000000");
    assert_double_text(1e21, "1e+21");
    assert_double_text(123456789012345680000.0, "123456789012345680000");
    assert_double_text(-1.5e300, "-1.5e+300");
    assert_double_text(12345678901234568.0, "12345678901234568");
    assert_double_text(9007199254740993.0, "9007199254740992");
    assert_double_text(1e100, "1e+100");
    assert_double_text(-1e-300, "-1e-300");
    assert_double_text(1.7976931348623157e308, "1.7976931348623157e+308");
    assert_double_text(5e-324, "5e-324");
    assert_double_text(2.2250738585072014e-308, "2.2250738585072014e-308");
    /* A power of two whose nearest 16 digits belong to the double below it. */
    assert_double_text(0x1p-44, "5.684341886080802e-14");
    assert_double_text(INFINITY, "inf");
    assert_double_text(-INFINITY, "-inf");
    assert_double_text(NAN, "nan");
}

static int count_digits_of(const char *text)
{
    int count = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9')
            continue;
        if (*text == '0' && count == 0)
            continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        count++;
    }
    return count - zeros;
}

/* What is written reads back, and no rounding to one digit less would. */
static void doubles_are_shortest(void **state)
{
    struct rng rng;
    rng_seed(&rng, 2);
    for (int i = 0; i < RANDOM_ROUNDS; i++) {
        uint64_t bits = rng_next(&rng);
        double value, back;
        char text[NUM_DOUBLE_TEXT_MAX], shorter[NUM_DOUBLE_TEXT_MAX];
        if (i % 2)
            value = (double)(int64_t)rng_below(&rng, 1000000) / 1000;
        else
            memcpy(&value, &bits, sizeof(value));
        if (isnan(value) || isinf(value))
            continue;
        size_t size = num_format_double(value, text);
        assert_true(size < NUM_DOUBLE_TEXT_MAX);
        assert_true(num_parse_double(slice_make(text, size), &back));
        assert_true(back == value);
        text[size] = '\0';
        assert_true(strchr(text, '.') == NULL || strchr(text, 'e') != NULL || text[size - 1] != '0');
        int digits = count_digits_of(text);
        bool is_in_full = fabs(value) <= 0x1p62 && value == (double)(int64_t)value;
        if (digits > 1 && !is_in_full) {
            snprintf(shorter, sizeof(shorter), "%.*e", digits - 2, value);
            assert_true(strtod(shorter, NULL) != value);
        }
    }
}

static void doubles_read(void **state)
{
    static const struct {
        const char *text;
        double value;
    } accepted[] = {
        {"0", 0},
        {"+5", 5},
        {"5.", 5},
        {".5", 0.5},
        {"1e3", 1000},
        {"0x10", 16},
        {"-1.25", -1.25},
        {"007", 7},
        {"9007199254740993", 9007199254740992.0},
        {"inf", INFINITY},
        {"-Infinity", -INFINITY},
        {"1e-310", 1e-310},
    };
    static const char *const refused[] = {"",    " 1",    "1 ",     "nan", "1e", "abc",
                                          "1,5", "1e400", "1e-400", "--1", "\v1"};
    double value = 42;
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        assert_false(num_parse_double(slice_from_string(refused[i]), &value));
    assert_false(num_parse_double(slice_make("1.5\0", 4), &value));
    assert_true(value == 42);
    for (size_t i = 0; i < ARRAY_COUNT(accepted); i++) {
        assert_true(num_parse_double(slice_from_string(accepted[i].text), &value));
        assert_true(value == accepted[i].value);
    }
}

static void assert_sum_text(const char *a, const char *b, const char *expected)
{
    static char text[NUM_LONG_DOUBLE_TEXT_MAX];
    long double first, second;
    assert_true(num_parse_long_double(slice_from_string(a), &first));
    assert_true(num_parse_long_double(slice_from_string(b), &second));
    size_t size = num_format_long_double(first + second, text);
    assert_true(size < sizeof(text));
    text[size] = '\0';
    assert_string_equal(text, expected);
}

/* Each row: what INCRBYFLOAT of redis-server 7.0.15 answered on x86-64. */
static void long_doubles_as_incrbyfloat(void **state)
{
#if __LDBL_MANT_DIG__ < 64
    skip();
#endif
    assert_sum_text("0", "3.1", "3.1");
    assert_sum_text("5.0e3", "200", "5200");
    assert_sum_text("0.1", "0.2", "0.3");
    assert_sum_text("10.50", "0.1", "10.6");
    assert_sum_text("1", "1e-4940", "1");
    assert_sum_text("0x10", "1", "17");
    assert_sum_text("+5", "1", "6");
    assert_sum_text("-0", "0", "0");
    assert_sum_text("0", "-0.0", "0");
    assert_sum_text("0", "1e-18", "0");
    assert_sum_text("0", "-1e-18", "0");
    assert_sum_text("1e-17", "0", "0.00000000000000001");
    assert_sum_text("3.0000000000000001", "0", "3.0000000000000001");
    assert_sum_text(".5", ".5", "1");
    assert_sum_text("5.", "1", "6");
    assert_sum_text("-100", "0", "-100");
#if __LDBL_MANT_DIG__ == 64
    assert_sum_text(
        "1e100", "1",
        "9999999999999999999669353532207342619498699019828496079271391541752018669482644324418977840"
        "117055488");
#endif
    assert_sum_text("inf", "1", "inf");
    assert_sum_text("-inf", "1", "-inf");
}

static void long_doubles_that_are_none(void **state)
{
    static const char *const refused[] = {"", " 1", "1 ", "nan", "1e", "1e4933", "1e-5000", "abc"};
    static char zeros[NUM_LONG_DOUBLE_TEXT_MAX];
    long double value = 42;
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        assert_false(num_parse_long_double(slice_from_string(refused[i]), &value));
    assert_true(value == 42);
    memset(zeros, '0', sizeof(zeros));
    assert_false(num_parse_long_double(slice_make(zeros, sizeof(zeros)), &value));
    assert_true(num_parse_long_double(slice_make(zeros, sizeof(zeros) - 1), &value));
    assert_true(value == 0);
}

static void the_longest_long_double_fits(void **state)
{
    static char text[NUM_LONG_DOUBLE_TEXT_MAX];
    size_t size = num_format_long_double(-__LDBL_MAX__, text);
    assert_true(size > 4900 || __LDBL_MANT_DIG__ < 64);
    assert_int_equal(text[0], '-');
}

static void memory_sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } accepted[] = {
        {"0", 0},
        {"123", 123},
        {"123b", 123},
        {"1k", 1000},
        {"1KB", 1024},
        {"3m", 3000000},
        {"512mb", 512 << 20},
        {"1g", 1000000000},
        {"1gB", 1 << 30},
        {"010", 10},
        {"9223372036854775807", INT64_MAX},
    };
    static const char *const refused[] = {"",
                                          "-5",
                                          "+5",
                                          "1t",
                                          "1 kb",
                                          "1.5gb",
                                          "kb",
                                          "1kbx",
                                          "9223372036854775808",
                                          "9007199254740992kb",
                                          "99999999999999999999"};
    int64_t bytes = 42;
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        assert_false(num_parse_memory(slice_from_string(refused[i]), &bytes));
    assert_int_equal(bytes, 42);
    for (size_t i = 0; i < ARRAY_COUNT(accepted); i++) {
        assert_true(num_parse_memory(slice_from_string(accepted[i].text), &bytes));
        assert_true(bytes == accepted[i].bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_every_length),
        cmocka_unit_test(integers_that_are_none),
        cmocka_unit_test(unsigned_integers),
        cmocka_unit_test(writes_integers_as_printf_does),
        cmocka_unit_test(doubles_in_known_texts),
        cmocka_unit_test(doubles_are_shortest),
        cmocka_unit_test(doubles_read),
        cmocka_unit_test(long_doubles_as_incrbyfloat),
        cmocka_unit_test(long_doubles_that_are_none),
        cmocka_unit_test(the_longest_long_double_fits),
        cmocka_unit_test(memory_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
