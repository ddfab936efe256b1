/* Numbers and their texts, with the strictness of the Redis protocol. No locale, no allocation. */
#ifndef SKUA_BASE_NUM_H
#define SKUA_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/macros.h"
#include "base/slice.h"

#define NUM_I64_TEXT_MAX         21 /* "-9223372036854775808" and a zero byte */
#define NUM_DOUBLE_TEXT_MAX      32
#define NUM_LONG_DOUBLE_TEXT_MAX 5120 /* 17 decimals after the largest integer part */

/* Exactly an optional '-', no leading zeros, no '+', no spaces: the text that num_format_i64 would write. */
bool num_parse_i64(struct slice text, int64_t *ret_value);
bool num_parse_u64(struct slice text, uint64_t *ret_value);

/* The whole text is a number as strtod/strtold reads it (inf too, nan is refused), without leading spaces and
 * shorter than NUM_LONG_DOUBLE_TEXT_MAX. */
bool num_parse_double(struct slice text, double *ret_value);
bool num_parse_long_double(struct slice text, long double *ret_value);

/* "1gb", "512mb", "64k" (1000), "64kb" (1024), "123b", "123"; at most INT64_MAX bytes. */
bool num_parse_memory(struct slice text, int64_t *ret_bytes);

/* Write without a terminating zero byte and return the length. */
size_t num_format_i64(int64_t value, char ret_text[static NUM_I64_TEXT_MAX]);
size_t num_format_u64(uint64_t value, char ret_text[static NUM_I64_TEXT_MAX]);

#define NUM_SHORT_END 100000000 /* the first number with nine digits */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "eight digits are one number, the first one lowest");

/* Four digits of a number below 10^4, the first one lowest: halves and digits are each divided side by side. The factors are 1 / 100 and
 * 1 / 10, a little high, and exact in these ranges. */
ALWAYS_INLINE uint32_t num_four_digits(uint32_t value)
{
    uint32_t hundreds = value * 5243 >> 19;
    uint32_t pairs = hundreds | (value - hundreds * 100) << 16;
    uint32_t tens = (pairs * 103 >> 10) & UINT32_C(0x000f000f);
    return tens | (pairs - tens * 10) << 8;
}

/* The same with eight of one below 10^8. */
ALWAYS_INLINE uint64_t num_eight_digits(uint32_t value)
{
    uint64_t halves = value / 10000 | (uint64_t)(value % 10000) << 32;
    uint64_t hundreds = (halves * 5243 >> 19) & UINT64_C(0x0000007f0000007f);
    uint64_t pairs = hundreds | (halves - hundreds * 100) << 16;
    uint64_t tens = (pairs * 103 >> 10) & UINT64_C(0x000f000f000f000f);
    return tens | (pairs - tens * 10) << 8;
}

/* Of a number below NUM_SHORT_END: stores up to eight bytes, of which the last are of no account. Of zeros that lead, one is left where
 * there is nothing else. */
ALWAYS_INLINE size_t num_format_short(uint32_t value, char *ret_text)
{
    if (likely(value < 10000)) {
        uint32_t digits = num_four_digits(value);
        unsigned zeros = (unsigned)__builtin_ctz(digits | UINT32_C(1) << 24) / 8;
        uint32_t text = (digits | UINT32_C(0x30303030)) >> 8 * zeros;
        memcpy(ret_text, &text, sizeof text);
        return 4 - zeros;
    }
    uint64_t digits = num_eight_digits(value);
    unsigned zeros = (unsigned)__builtin_ctzll(digits) / 8;
    uint64_t text = (digits | UINT64_C(0x3030303030303030)) >> 8 * zeros;
    memcpy(ret_text, &text, sizeof text);
    return 8 - zeros;
}

/* Integers up to 2^62 in full, else the shortest digits that read back as the same double, laid out as Redis does from
 * 7.2 on: "3.1", "0.00001", "1e-7", "1e+100", "1.23456789e+4", "inf", "-inf", "nan". */
size_t num_format_double(double value, char ret_text[static NUM_DOUBLE_TEXT_MAX]);

/* As INCRBYFLOAT answers: fixed notation, 17 decimals, trailing zeros removed. */
size_t num_format_long_double(long double value, char ret_text[static NUM_LONG_DOUBLE_TEXT_MAX]);

#endif
