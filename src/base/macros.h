/* Compiler vocabulary used everywhere: branch hints, prefetch, alignment, container_of. */
#ifndef SKUA_BASE_MACROS_H
#define SKUA_BASE_MACROS_H

#include <stddef.h>

#define CACHE_LINE 64

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NO_INLINE     __attribute__((noinline))
#define COLD          __attribute__((cold, noinline))
#define UNUSED        __attribute__((unused))
#define PRINTF_LIKE(format_index, first_argument)                                                            \
    __attribute__((format(printf, format_index, first_argument)))
#define CACHE_ALIGNED __attribute__((aligned(CACHE_LINE)))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Ask for the cache line of `address` to be read soon. Any address is allowed: a prefetch never faults. */
ALWAYS_INLINE void prefetch(const void *address)
{
    __builtin_prefetch(address, 0, 3);
}

/* The same for a line that will be written. */
ALWAYS_INLINE void prefetch_write(const void *address)
{
    __builtin_prefetch(address, 1, 3);
}

#endif
