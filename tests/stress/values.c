/* Texts that tell which number they were made of, and whether they are in one piece. */
#include <inttypes.h>
#include <string.h>

#include "recorder.h"

#define DIGITS 12

/* Zeros and then the number, at the beginning and at the end of all but the shortest. */
static void write_digits(uint64_t number, char *text)
{
    for (unsigned i = DIGITS; i-- > 0; number /= 10)
        text[i] = (char)('0' + number % 10);
}

size_t value_text(uint64_t number, char *text)
{
    static const struct {
        size_t size, more;
    } forms[16] = {
        [6] = {30, 10},   [7] = {30, 20},    [8] = {40, 20},    [9] = {40, 40},      [10] = {60, 100},
        [11] = {90, 300}, [12] = {300, 900}, [13] = {900, 900}, [14] = {1500, 3000}, [15] = {20000, 3000}};
    size_t size = forms[number % 16].size;
    if (!size)
        return (size_t)snprintf(text, VALUE_MAX, "%" PRIu64, number);
    size += number % forms[number % 16].more;
    memset(text, 'a' + (int)(number % 26), size);
    write_digits(number, text);
    write_digits(number, text + size - DIGITS);
    return size;
}

bool value_is(uint64_t number, const char *text, size_t length)
{
    char expected[VALUE_MAX];
    return value_text(number, expected) == length && memcmp(text, expected, length) == 0;
}
