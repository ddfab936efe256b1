/* Bits of a byte string, counted from the most significant bit of the first byte, as Redis counts them.
 *
 * Principal entry points: bitmap_count, bitmap_find, bitmap_combine, bitmap_read, bitmap_write.
 * Threads: any; the bytes belong to the caller. */
#ifndef SKUA_TYPES_BITMAP_H
#define SKUA_TYPES_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* Ones among the bits [first, last]; both must lie inside. */
uint64_t bitmap_count(struct slice bytes, uint64_t first, uint64_t last);

/* The first bit with this value among [first, last] (both inside), -1 when there is none. */
int64_t bitmap_find(struct slice bytes, uint64_t first, uint64_t last, bool value);

static inline bool bitmap_get(struct slice bytes, uint64_t bit)
{
    size_t byte = bit >> 3;
    return byte < bytes.size && ((unsigned char)bytes.data[byte] >> (7 - (bit & 7)) & 1);
}

static inline void bitmap_set(char *bytes, uint64_t bit, bool value)
{
    unsigned mask = 0x80u >> (bit & 7);
    unsigned byte = (unsigned char)bytes[bit >> 3];
    bytes[bit >> 3] = (char)(value ? byte | mask : byte & ~mask);
}

enum bitmap_operation { BITMAP_AND, BITMAP_OR, BITMAP_XOR };

/* target[0 .. size) = target op source, where what the source lacks is zero. source.size <= size. */
void bitmap_combine(enum bitmap_operation operation, char *target, size_t size, struct slice source);

/* Inverts every bit. */
void bitmap_invert(char *bytes, size_t size);

/* `width` (1 to 64) bits from `bit` on as an unsigned number; bits behind the end are zero. */
uint64_t bitmap_read(struct slice bytes, uint64_t bit, unsigned width);

/* Writes the low `width` (1 to 64) bits of `value`; they must lie inside. */
void bitmap_write(char *bytes, uint64_t bit, unsigned width, uint64_t value);

#endif
