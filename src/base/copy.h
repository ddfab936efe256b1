/* Copying of few bytes, whose number is known only when it happens, without a call. */
#ifndef SKUA_BASE_COPY_H
#define SKUA_BASE_COPY_H

#include <stddef.h>
#include <string.h>

#include "base/macros.h"

/* As memcpy. Pays off up to some 100 bytes; pieces overlap, so that no byte outside is touched. */
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

#endif
