/* Doubles of RESP3, in every locale the same.
 *
 * Principal entry point: reader_parse_double. Threads: any.
 * A number of few digits and a small exponent, which is what servers send most, is put together exactly: its digits
 * and the power of ten are both doubles without error, so the one operation rounds once, as it must. All others go to
 * strtod in the C locale. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/reader.h"

#define TEXT_MAX      8192 /* longer than what reader_item.c lets through */
#define EXACT_DIGITS  15   /* 10^15 < 2^53 */
#define EXACT_POWER   22   /* 5^22 < 2^53 */
#define EXPONENT_STOP 100000

/* What the grammar found. */
struct parts {
    bool negative;
    uint64_t digits; /* all digits as one integer, when there are at most EXACT_DIGITS of them */
    size_t digit_count;
    int fraction_count; /* digits behind the point */
    int exponent;       /* as written, stopped at EXPONENT_STOP */
};

static size_t skip_digits(const char *text, size_t size, size_t at, struct parts *parts)
{
    for (; at < size && text[at] >= '0' && text[at] <= '9'; at++) {
        if (parts->digit_count++ < EXACT_DIGITS)
            parts->digits = parts->digits * 10 + (uint64_t)(text[at] - '0');
    }
    return at;
}

/* The exponent behind its 'e'. False when it has no digits or something follows. */
static bool split_exponent(const char *text, size_t size, size_t at, struct parts *parts)
{
    bool negative = at < size && text[at] == '-';
    if (at < size && (text[at] == '-' || text[at] == '+'))
        at++;
    if (at == size)
        return false;
    for (; at < size; at++) {
        if (text[at] < '0' || text[at] > '9')
            return false;
        if (parts->exponent < EXPONENT_STOP)
            parts->exponent = parts->exponent * 10 + (text[at] - '0');
    }
    if (negative)
        parts->exponent = -parts->exponent;
    return true;
}

static bool split(const char *text, size_t size, struct parts *parts)
{
    size_t at = size > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    parts->negative = at > 0 && text[0] == '-';
    size_t begin = at;
    at = skip_digits(text, size, at, parts);
    if (at == begin)
        return false;
    if (at < size && text[at] == '.') {
        begin = ++at;
        at = skip_digits(text, size, at, parts);
        if (at == begin)
            return false;
        parts->fraction_count = (int)(at - begin);
    }
    if (at == size)
        return true;
    return (text[at] == 'e' || text[at] == 'E') && split_exponent(text, size, at + 1, parts);
}

static bool parse_word(const char *text, size_t size, double *ret_number)
{
    bool negative = size == 4 && text[0] == '-';
    if (size != 3 && !negative)
        return false;
    const char *word = text + negative;
    if (memcmp(word, "inf", 3) == 0)
        *ret_number = negative ? -(double)INFINITY : (double)INFINITY;
    else if (memcmp(word, "nan", 3) == 0)
        *ret_number = (double)NAN;
    else
        return false;
    return true;
}

/* True when it could be done with one rounding. */
static bool combine(const struct parts *parts, double *ret_number)
{
    static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    int power = parts->exponent - parts->fraction_count;
    if (FLT_EVAL_METHOD != 0 || parts->digit_count > EXACT_DIGITS || power < -EXACT_POWER ||
        power > EXACT_POWER)
        return false;
    double number = (double)parts->digits;
    number = power < 0 ? number / powers[-power] : number * powers[power];
    *ret_number = parts->negative ? -number : number;
    return true;
}

static bool convert(const char *text, size_t size, double *ret_number)
{
    char terminated[TEXT_MAX + 1];
    if (size > TEXT_MAX)
        return false;
    memcpy(terminated, text, size);
    terminated[size] = '\0';
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* no allocation: libc has this one ready */
    if (locale == (locale_t)0)
        return false;
    *ret_number = strtod_l(terminated, NULL, locale);
    freelocale(locale);
    return true;
}

bool reader_parse_double(const char *text, size_t size, double *ret_number)
{
    struct parts parts = {0};
    if (!split(text, size, &parts))
        return parse_word(text, size, ret_number);
    return combine(&parts, ret_number) || convert(text, size, ret_number);
}
