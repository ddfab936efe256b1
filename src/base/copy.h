/* Copying and comparing of few bytes, whose number is known only when it happens, without a call. */
#ifndef SKUA_BASE_COPY_H
#define SKUA_BASE_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/macros.h"

#define COPY_SHORT_MAX 96 /* more is better left to memcpy */

/* As memcpy. Pays off up to COPY_SHORT_MAX bytes; pieces overlap, so that no byte outside is touched. */
ALWAYS_INLINE void copy_short(char *to, const char *from, size_t size)
{
    if (likely(size >= 8)) {
        for (size_t done = 0; done + 16 < size; done += 16)
            memcpy(to + done, from + done, 16);
        if (size >= 16) {
            memcpy(to + size - 16, from + size - 16, 16);
            return;
        }
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    } else if (size > 0) {
        to[0] = from[0];
        to[size / 2] = from[size / 2];
        to[size - 1] = from[size - 1];
    }
}

#define EQUAL_SHORT_MAX 64

ALWAYS_INLINE bool copy_words_differ(const char *a, const char *b)
{
    uint64_t x, y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    return x != y;
}

/* Whether memcmp finds them equal; more than EQUAL_SHORT_MAX bytes it is asked for. */
ALWAYS_INLINE bool equal_short(const char *a, const char *b, size_t size)
{
    if (likely(size >= 8)) {
        if (likely(size <= 16))
            return !copy_words_differ(a, b) && !copy_words_differ(a + size - 8, b + size - 8);
        if (unlikely(size > EQUAL_SHORT_MAX))
            return memcmp(a, b, size) == 0;
        for (size_t done = 0; done + 8 < size; done += 8)
            if (copy_words_differ(a + done, b + done))
                return false;
        return !copy_words_differ(a + size - 8, b + size - 8);
    }
    if (size >= 4) {
        uint32_t first, other_first, last, other_last;
        memcpy(&first, a, 4);
        memcpy(&other_first, b, 4);
        memcpy(&last, a + size - 4, 4);
        memcpy(&other_last, b + size - 4, 4);
        return first == other_first && last == other_last;
    }
    return size == 0 || (a[0] == b[0] && a[size / 2] == b[size / 2] && a[size - 1] == b[size - 1]);
}

#endif
