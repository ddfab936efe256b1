/* Arrays that grow by one row at a time. Entry: rows_grow. Threads: whoever owns the array. */
#ifndef SKUA_TOP_ROWS_H
#define SKUA_TOP_ROWS_H

#include <stddef.h>

#include "base/alloc.h"

/* Room for one more row behind `count` rows of `size` bytes; answers where the rows are now. */
static inline void *rows_grow(void *rows, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return rows;
    *capacity = *capacity > 0 ? *capacity * 2 : 16;
    return mem_realloc(rows, *capacity * size);
}

#endif
