/* A read-only view of bytes that somebody else owns. */
#ifndef SKUA_BASE_SLICE_H
#define SKUA_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/macros.h"

/* Not terminated by a zero byte; `size` is in bytes. Valid for as long as the owner says. */
struct slice {
    const char *data;
    size_t size;
};

/* A slice of a string literal. */
#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})

ALWAYS_INLINE struct slice slice_make(const char *data, size_t size)
{
    return (struct slice){data, size};
}

ALWAYS_INLINE struct slice slice_from_string(const char *string)
{
    return (struct slice){string, strlen(string)};
}

ALWAYS_INLINE bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Byte order, shorter first when one is a prefix of the other: <0, 0, >0. */
int slice_compare(struct slice a, struct slice b);

/* The first eight bytes as a number whose order is theirs: slice_compare says the same of texts whose prefixes differ. */
uint64_t slice_prefix(struct slice slice);

/* The name at a place of something that `of` stands for. */
typedef struct slice slice_at_fn(const void *of, uint32_t place);

/* Searches `count` names in the order of slice_compare, of which none comes twice: where `name` is (true), or belongs. */
bool slice_find(struct slice name, uint32_t count, slice_at_fn *name_at, const void *of, uint32_t *ret_place);

/* Compares ASCII letters without regard to case. `token` is a C string. */
bool slice_equal_nocase(struct slice a, const char *token);

#endif
