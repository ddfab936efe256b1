/* Columns of numbers. Entry: numbers_form_choose. Threads and invariants: see number.h. */
#include "ds/number.h"

#include "base/bug.h"

/* Bytes from the lowest to the highest bit that is set; at least one. */
static unsigned bytes_of(uint64_t bits)
{
    return bits == 0 ? 1 : (71 - (unsigned)__builtin_clzll(bits)) / 8;
}

static uint64_t low_bytes(unsigned width)
{
    return width == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * width) - 1;
}

/* The bits that a two's complement needs beside the sign. */
static uint64_t magnitude_of(int64_t whole)
{
    return (uint64_t)(whole ^ whole >> 63);
}

void number_span_add(enum number_kind kind, struct number_span *span, uint64_t number)
{
    int64_t whole = 0;
    if (!span->mixed && !number_find_whole(kind, number, &whole))
        span->mixed = true;
    if (span->count++ == 0) {
        span->first = number;
        span->first_whole = (uint64_t)whole;
    }
    span->different |= number ^ span->first;
    span->different_whole |= (uint64_t)whole ^ span->first_whole;
    span->magnitude |= magnitude_of(whole);
}

static void consider(const struct number_span *span, unsigned bits, unsigned width, uint64_t base,
                     size_t *best, struct numbers_form *form)
{
    size_t size = (size_t)width * span->count + (bits & NUMBER_BASED ? sizeof base : 0);
    if (size >= *best)
        return;
    *best = size;
    *form =
        (struct numbers_form){(uint8_t)(bits | width), bits & NUMBER_BASED ? base & ~low_bytes(width) : 0};
}

void numbers_form_choose(const struct number_span *span, struct numbers_form *ret_form)
{
    size_t best = SIZE_MAX;
    DEBUG_ASSERT(span->count > 0);
    if (!span->mixed) {
        consider(span, NUMBER_WHOLE, bytes_of(span->magnitude << 1), 0, &best, ret_form);
        consider(span, NUMBER_WHOLE | NUMBER_BASED, bytes_of(span->different_whole), span->first_whole, &best,
                 ret_form);
    }
    consider(span, 0, 8, 0, &best, ret_form);
    consider(span, NUMBER_BASED, bytes_of(span->different), span->first, &best, ret_form);
}
