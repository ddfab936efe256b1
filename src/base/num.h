/* Numbers and their texts, with the strictness of the Redis protocol. No locale, no allocation. */
#ifndef SKUA_BASE_NUM_H
#define SKUA_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* Integers up to 2^62 in full, else the shortest digits that read back as the same double, laid out as Redis does from
 * 7.2 on: "3.1", "0.00001", "1e-7", "1e+100", "1.23456789e+4", "inf", "-inf", "nan". */
size_t num_format_double(double value, char ret_text[static NUM_DOUBLE_TEXT_MAX]);

/* As INCRBYFLOAT answers: fixed notation, 17 decimals, trailing zeros removed. */
size_t num_format_long_double(long double value, char ret_text[static NUM_LONG_DOUBLE_TEXT_MAX]);

#endif
