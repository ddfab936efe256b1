/* Numbers and their texts.
 *
 * Principal entry points: num_parse_i64, num_format_i64, num_format_double, num_format_long_double.
 * Threads: any; no state. The process keeps the "C" locale, so the decimal point is '.'.
 * What is accepted and how it is written follows redis-server 7.0, compared with it by test. */
#include "base/num.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"

#define U64_DIGITS_MAX       20
#define DECIMALS_LONG_DOUBLE 17
#define DIGITS_DOUBLE_MAX    17 /* always enough to tell two doubles apart */
#define DIGITS_DOUBLE_SURE   15 /* a decimal with this many survives the way through a normal double */
#define DECIMALS_FEW         6
#define ZEROS_BEHIND_MAX     7 /* of an integer that is written without an exponent */
#define DECIMALS_FIXED       6 /* so many are written without an exponent, whatever is in front of them; */
#define EXPONENT_FIXED       4 /* more only where the exponent would be smaller */
#define INTEGER_EXACT_MAX    (INT64_C(1) << 53)
#define INTEGER_PLAIN_MAX    (INT64_C(1) << 62) /* integers up to this are written in full */

#define PAIRS_OF_TEN(t) t "0" t "1" t "2" t "3" t "4" t "5" t "6" t "7" t "8" t "9"
static const char digit_pairs[] =
    PAIRS_OF_TEN("0") PAIRS_OF_TEN("1") PAIRS_OF_TEN("2") PAIRS_OF_TEN("3") PAIRS_OF_TEN("4")
        PAIRS_OF_TEN("5") PAIRS_OF_TEN("6") PAIRS_OF_TEN("7") PAIRS_OF_TEN("8") PAIRS_OF_TEN("9");

bool num_parse_u64(struct slice text, uint64_t *ret_value)
{
    if (text.size == 0 || text.size > U64_DIGITS_MAX)
        return false;
    if (text.data[0] == '0') {
        if (text.size != 1)
            return false;
        *ret_value = 0;
        return true;
    }
    /* 19 digits fit without a check; only the twentieth can overflow. */
    size_t safe = text.size < U64_DIGITS_MAX ? text.size : U64_DIGITS_MAX - 1;
    uint64_t value = 0;
    for (size_t i = 0; i < safe; i++) {
        unsigned digit = (unsigned char)text.data[i] - '0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    if (safe < text.size) {
        unsigned digit = (unsigned char)text.data[safe] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *ret_value = value;
    return true;
}

bool num_parse_i64(struct slice text, int64_t *ret_value)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    if (negative) {
        text.data++;
        text.size--;
    }
    uint64_t magnitude;
    if (!num_parse_u64(text, &magnitude))
        return false;
    if (negative) {
        if (magnitude == 0 || magnitude > (uint64_t)INT64_MAX + 1)
            return false;
        *ret_value = (int64_t)(0 - magnitude);
        return true;
    }
    if (magnitude > INT64_MAX)
        return false;
    *ret_value = (int64_t)magnitude;
    return true;
}

/* A terminated copy for strtod and strtold. False for texts that they would read too generously. */
static bool copy_float_text(struct slice text, char ret_copy[static NUM_LONG_DOUBLE_TEXT_MAX])
{
    if (text.size == 0 || text.size >= NUM_LONG_DOUBLE_TEXT_MAX || isspace((unsigned char)text.data[0]))
        return false;
    memcpy(ret_copy, text.data, text.size);
    ret_copy[text.size] = '\0';
    return true;
}

bool num_parse_double(struct slice text, double *ret_value)
{
    int64_t integer;
    if (num_parse_i64(text, &integer) && integer >= -INTEGER_EXACT_MAX && integer <= INTEGER_EXACT_MAX) {
        *ret_value = (double)integer;
        return true;
    }
    char copy[NUM_LONG_DOUBLE_TEXT_MAX];
    char *end;
    if (!copy_float_text(text, copy))
        return false;
    errno = 0;
    double value = strtod(copy, &end);
    if (end != copy + text.size || isnan(value))
        return false;
    if (errno == ERANGE && (isinf(value) || value == 0))
        return false;
    *ret_value = value;
    return true;
}

bool num_parse_long_double(struct slice text, long double *ret_value)
{
    char copy[NUM_LONG_DOUBLE_TEXT_MAX];
    char *end;
    if (!copy_float_text(text, copy))
        return false;
    errno = 0;
    long double value = strtold(copy, &end);
    if (end != copy + text.size || isnan(value))
        return false;
    if (errno == ERANGE && (isinf(value) || value == 0))
        return false;
    *ret_value = value;
    return true;
}

bool num_parse_memory(struct slice text, int64_t *ret_bytes)
{
    static const struct {
        const char *unit;
        uint64_t factor;
    } units[] = {
        {"", 1},        {"b", 1},        {"k", 1000},       {"kb", UINT64_C(1) << 10},
        {"m", 1000000}, {"mb", 1 << 20}, {"g", 1000000000}, {"gb", UINT64_C(1) << 30},
    };
    size_t digits = 0;
    uint64_t value = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9') {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.data[digits] - '0'), &value))
            return false;
        digits++;
    }
    if (digits == 0)
        return false;
    struct slice unit = {text.data + digits, text.size - digits};
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (!slice_equal_nocase(unit, units[i].unit))
            continue;
        if (__builtin_mul_overflow(value, units[i].factor, &value) || value > INT64_MAX)
            return false;
        *ret_bytes = (int64_t)value;
        return true;
    }
    return false;
}

static unsigned count_digits(uint64_t value)
{
    static const uint64_t powers[U64_DIGITS_MAX] = {
        0,
        UINT64_C(10),
        UINT64_C(100),
        UINT64_C(1000),
        UINT64_C(10000),
        UINT64_C(100000),
        UINT64_C(1000000),
        UINT64_C(10000000),
        UINT64_C(100000000),
        UINT64_C(1000000000),
        UINT64_C(10000000000),
        UINT64_C(100000000000),
        UINT64_C(1000000000000),
        UINT64_C(10000000000000),
        UINT64_C(100000000000000),
        UINT64_C(1000000000000000),
        UINT64_C(10000000000000000),
        UINT64_C(100000000000000000),
        UINT64_C(1000000000000000000),
        UINT64_C(10000000000000000000),
    };
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    /* bits * log10(2), a little low: right, or one digit short, which the power tells. */
    unsigned guess = bits * 1233 >> 12;
    return guess + (value >= powers[guess]);
}

size_t num_format_u64(uint64_t value, char ret_text[static NUM_I64_TEXT_MAX])
{
    if (likely(value < NUM_SHORT_END))
        return num_format_short((uint32_t)value, ret_text);
    unsigned size = count_digits(value);
    char *at = ret_text + size;
    while (value >= 100) {
        at -= 2;
        memcpy(at, digit_pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10)
        memcpy(ret_text, digit_pairs + value * 2, 2);
    else
        ret_text[0] = (char)('0' + value);
    return size;
}

size_t num_format_i64(int64_t value, char ret_text[static NUM_I64_TEXT_MAX])
{
    uint64_t magnitude = (uint64_t)value;
    char text[NUM_I64_TEXT_MAX];
    if (value >= 0)
        return num_format_u64(magnitude, ret_text);
    size_t size = num_format_u64(0 - magnitude, text);
    ret_text[0] = '-';
    memcpy(ret_text + 1, text, size);
    return size + 1;
}

/* A double in decimal: value = d1.d2d3… x 10^exponent; no trailing zeros. */
struct decimal {
    char digits[NUM_I64_TEXT_MAX];
    int count;
    int exponent;
};

static double decimal_value(const struct decimal *decimal)
{
    char text[NUM_DOUBLE_TEXT_MAX];
    snprintf(text, sizeof(text), "%.*se%d", decimal->count, decimal->digits,
             decimal->exponent - decimal->count + 1);
    return strtod(text, NULL);
}

/* The nearest decimal with `count` digits. */
static void decimal_round(struct decimal *ret_decimal, double value, int count)
{
    char text[NUM_DOUBLE_TEXT_MAX];
    snprintf(text, sizeof(text), "%.*e", count - 1, value);
    const char *exponent = strchr(text, 'e');
    ret_decimal->digits[0] = text[0];
    if (count > 1)
        memcpy(ret_decimal->digits + 1, text + 2, (size_t)count - 1);
    ret_decimal->count = count;
    ret_decimal->exponent = (int)strtol(exponent + 1, NULL, 10);
}

/* One unit more in the last place; false when that would need a digit more. */
static bool decimal_increment(struct decimal *decimal)
{
    for (int i = decimal->count - 1; i >= 0; i--) {
        if (decimal->digits[i] != '9') {
            decimal->digits[i]++;
            return true;
        }
        decimal->digits[i] = '0';
    }
    return false;
}

/* The usual case, for which no search is needed: a value of few decimals. An integer below 10^15 and a small power
 * of ten are doubles without error, so their quotient is the double nearest to that decimal; and a decimal of at
 * most 15 digits that reads back is the only one of its length. */
static bool decimal_of_few(struct decimal *ret_decimal, double value)
{
    double power = 1;
    for (int decimals = 1; decimals <= DECIMALS_FEW; decimals++) {
        power *= 10;
        double scaled = value * power;
        if (scaled >= 1e15)
            return false;
        if (scaled != (double)(uint64_t)scaled || scaled / power != value)
            continue;
        ret_decimal->count = (int)num_format_u64((uint64_t)scaled, ret_decimal->digits);
        ret_decimal->exponent = ret_decimal->count - 1 - decimals;
        return true;
    }
    return false;
}

/* The first length at which a decimal reads back as `value`. */
static void decimal_search(struct decimal *ret_decimal, double value)
{
    int fraction_exponent;
    bool power_of_two = frexp(value, &fraction_exponent) == 0.5;
    for (int count = isnormal(value) ? DIGITS_DOUBLE_SURE : 1; count <= DIGITS_DOUBLE_MAX; count++) {
        decimal_round(ret_decimal, value, count);
        if (count == DIGITS_DOUBLE_MAX || decimal_value(ret_decimal) == value)
            break;
        /* Below a power of two the doubles lie closer together than above it. So the nearest decimal, when it
         * lies below, may belong to another double, while the next one above still belongs to this. */
        if (power_of_two && decimal_increment(ret_decimal) && decimal_value(ret_decimal) == value)
            break;
    }
}

/* The shortest decimal that reads back as `value`, which is positive and finite. */
static void decimal_shortest(struct decimal *ret_decimal, double value)
{
    if (!decimal_of_few(ret_decimal, value))
        decimal_search(ret_decimal, value);
    while (ret_decimal->count > 1 && ret_decimal->digits[ret_decimal->count - 1] == '0')
        ret_decimal->count--;
}

/* "d.ddde+x"; the exponent has as many digits as it needs. */
static size_t decimal_write_scientific(const struct decimal *decimal, char *ret_text)
{
    char *at = ret_text;
    *at++ = decimal->digits[0];
    if (decimal->count > 1) {
        *at++ = '.';
        memcpy(at, decimal->digits + 1, (size_t)decimal->count - 1);
        at += decimal->count - 1;
    }
    *at++ = 'e';
    *at++ = decimal->exponent < 0 ? '-' : '+';
    at += num_format_u64((unsigned)abs(decimal->exponent), at);
    return (size_t)(at - ret_text);
}

/* Lays digits out as Redis does from 7.2 on: what clients compare as text is the same there. */
static size_t decimal_write(const struct decimal *decimal, char *ret_text)
{
    char *at = ret_text;
    int count = decimal->count, exponent = decimal->exponent;
    int decimals = count - 1 - exponent;
    bool is_plain = decimals > 0 ? decimals <= DECIMALS_FIXED || abs(exponent) < EXPONENT_FIXED
                                 : exponent < count + ZEROS_BEHIND_MAX;
    if (!is_plain)
        return decimal_write_scientific(decimal, ret_text);
    if (exponent < 0) {
        *at++ = '0';
        *at++ = '.';
        for (int i = -1; i > exponent; i--)
            *at++ = '0';
        memcpy(at, decimal->digits, (size_t)count);
        return (size_t)(at + count - ret_text);
    }
    for (int i = 0; i < count || i <= exponent; i++) {
        if (i == exponent + 1)
            *at++ = '.';
        *at++ = i < count ? decimal->digits[i] : '0';
    }
    return (size_t)(at - ret_text);
}

size_t num_format_double(double value, char ret_text[static NUM_DOUBLE_TEXT_MAX])
{
    if (isnan(value)) {
        memcpy(ret_text, "nan", 3);
        return 3;
    }
    size_t size = 0;
    if (signbit(value)) {
        ret_text[size++] = '-';
        value = -value;
    }
    if (isinf(value)) {
        memcpy(ret_text + size, "inf", 3);
        return size + 3;
    }
    if (value <= (double)INTEGER_PLAIN_MAX && value == (double)(uint64_t)value)
        return size + num_format_u64((uint64_t)value, ret_text + size);
    struct decimal decimal;
    decimal_shortest(&decimal, value);
    return size + decimal_write(&decimal, ret_text + size);
}

size_t num_format_long_double(long double value, char ret_text[static NUM_LONG_DOUBLE_TEXT_MAX])
{
    if (isnan(value)) {
        memcpy(ret_text, "nan", 3);
        return 3;
    }
    if (isinf(value)) {
        memcpy(ret_text, value > 0 ? "inf" : "-inf", 4);
        return value > 0 ? 3 : 4;
    }
    int written = snprintf(ret_text, NUM_LONG_DOUBLE_TEXT_MAX, "%.*Lf", DECIMALS_LONG_DOUBLE, value);
    ASSERT(written > 0 && written < NUM_LONG_DOUBLE_TEXT_MAX);
    size_t size = (size_t)written;
    while (ret_text[size - 1] == '0')
        size--;
    if (ret_text[size - 1] == '.')
        size--;
    if (size == 2 && ret_text[0] == '-' && ret_text[1] == '0') {
        ret_text[0] = '0';
        size = 1;
    }
    return size;
}
