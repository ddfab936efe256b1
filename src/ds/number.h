/* Numbers of 64 bits in columns that are as narrow as their values: scores, ids, and moments at which fields expire.
 *
 * Principal entry points: number_read, number_write, number_span_add, numbers_form_choose.
 * A column has one form for all of its numbers. In a form that is *whole* it stores the integer that a number stands for,
 * in two's complement; otherwise the number's own bits. In one that is *based* it stores the low bytes only, and what is
 * above them, which all have in common, stands once beside the column.
 *
 * | kind    | numbers                                              | which integer a number stands for                   |
 * |---------|------------------------------------------------------|-----------------------------------------------------|
 * | SCORES  | doubles, as bits in their order (number_of_double)   | the double, if it is an integer of at most 2^53     |
 * | MOMENTS | milliseconds; INT64_MAX: never                       | the milliseconds; never is NUMBER_WHOLE_NEVER       |
 *
 * Threads: none of its own.
 *
 * N1  1 <= width <= 8; 8 only with the bits as they are, so every number has a place in some form.
 * N2  A base has zeros in its low `width` bytes. */
#ifndef SKUA_DS_NUMBER_H
#define SKUA_DS_NUMBER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/macros.h"

enum number_kind {
    NUMBERS_NONE, /* there is no column */
    NUMBERS_SCORES,
    NUMBERS_MOMENTS,
};

#define NUMBER_WIDTH_MASK  15
#define NUMBER_AS_IT_IS    8 /* the form that every number has a place in */
#define NUMBER_BASED       16
#define NUMBER_WHOLE       32
#define NUMBER_WHOLE_NEVER (-1)
#define NUMBER_NARROWEST   (NUMBER_WHOLE | 1) /* no form takes less */
#define NUMBER_WHOLE_MAX   (INT64_C(1) << 53) /* integers up to here are doubles, each its own */

struct numbers_form {
    uint8_t bits;  /* width, NUMBER_BASED, NUMBER_WHOLE; 0 without a column */
    uint64_t base; /* 0 unless NUMBER_BASED */
};

/* Doubles as numbers whose order is theirs, and back. Minus zero becomes zero. */
ALWAYS_INLINE uint64_t number_of_double(double value)
{
    uint64_t bits;
    value += 0.0;
    memcpy(&bits, &value, sizeof bits);
    return bits ^ ((uint64_t)((int64_t)bits >> 63) | UINT64_C(1) << 63);
}

ALWAYS_INLINE double number_to_double(uint64_t bits)
{
    double value;
    bits ^= ((bits >> 63) - 1) | UINT64_C(1) << 63;
    memcpy(&value, &bits, sizeof value);
    return value;
}

ALWAYS_INLINE uint64_t number_of_whole(enum number_kind kind, int64_t whole)
{
    if (kind == NUMBERS_SCORES)
        return number_of_double((double)whole);
    return whole == NUMBER_WHOLE_NEVER ? (uint64_t)INT64_MAX : (uint64_t)whole;
}

/* The number in `row` of a column that begins at `column`. At least 8 bytes before the column must be readable. */
ALWAYS_INLINE uint64_t number_read(enum number_kind kind, unsigned form, uint64_t base, const char *column,
                                   unsigned row)
{
    unsigned width = form & NUMBER_WIDTH_MASK, unused = 64 - 8 * width;
    uint64_t bits;
    memcpy(&bits, column + (row + 1) * width - sizeof bits,
           sizeof bits); /* the value is in the highest bytes */
    uint64_t value = form & NUMBER_BASED ? base | bits >> unused : (uint64_t)((int64_t)bits >> unused);
    return form & NUMBER_WHOLE ? number_of_whole(kind, (int64_t)value) : value;
}

/* The integer that a number stands for. False: none. */
ALWAYS_INLINE bool number_find_whole(enum number_kind kind, uint64_t number, int64_t *ret_whole)
{
    if (kind == NUMBERS_SCORES) {
        double value = number_to_double(number);
        if (!(value >= -(double)NUMBER_WHOLE_MAX && value <= (double)NUMBER_WHOLE_MAX))
            return false;
        *ret_whole = (int64_t)value;
        return number_of_whole(kind, *ret_whole) == number; /* minus zero is not zero here */
    }
    int64_t moment = (int64_t)number;
    if (moment == INT64_MAX)
        moment = NUMBER_WHOLE_NEVER;
    else if (moment == NUMBER_WHOLE_NEVER || moment >= NUMBER_WHOLE_MAX || moment < -NUMBER_WHOLE_MAX)
        return false;
    *ret_whole = moment;
    return true;
}

/* What the form stores for a number. False: it has no place in this form. */
ALWAYS_INLINE bool number_encode(enum number_kind kind, const struct numbers_form *form, uint64_t number,
                                 uint64_t *ret_stored)
{
    unsigned unused = 64 - 8 * (form->bits & NUMBER_WIDTH_MASK);
    if (form->bits & NUMBER_WHOLE) {
        int64_t whole;
        if (!number_find_whole(kind, number, &whole))
            return false;
        number = (uint64_t)whole;
    }
    *ret_stored = number << unused >> unused;
    if (form->bits & NUMBER_BASED)
        return (*ret_stored | form->base) == number;
    return (int64_t)(number << unused) >> unused == (int64_t)number;
}

/* Puts what number_encode gave into `row` of a column. At least 8 bytes before the column must be the page's. */
ALWAYS_INLINE void number_write(unsigned form, char *column, unsigned row, uint64_t stored)
{
    unsigned width = form & NUMBER_WIDTH_MASK, unused = 64 - 8 * width;
    char *target = column + (row + 1) * width - sizeof stored;
    uint64_t bits;
    memcpy(&bits, target, sizeof bits); /* the number goes into the highest bytes */
    bits = stored << unused | (bits & ((UINT64_C(1) << unused) - 1));
    memcpy(target, &bits, sizeof bits);
}

/* What is known of the numbers that a column is to take. Starts zeroed. */
struct number_span {
    uint32_t count;
    bool mixed;                /* not all of them stand for integers; the fields of wholes say nothing then */
    uint64_t first, different; /* one of them, and the bits in which others differ from it */
    uint64_t first_whole, different_whole; /* the same of the integers */
    uint64_t magnitude;                    /* all bits of the integers, those of negative ones inverted */
};

void number_span_add(enum number_kind kind, struct number_span *span, uint64_t number);

/* The form that takes the fewest bytes. Of at least one number. */
void numbers_form_choose(const struct number_span *span, struct numbers_form *ret_form);

#endif
