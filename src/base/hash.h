/* The hash of keys: XXH3 with 64 bits and a seed that is drawn at start, so that a client cannot aim at
 * buckets. Every hash in one server uses that server's seed. */
#ifndef SKUA_BASE_HASH_H
#define SKUA_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/slice.h"

ALWAYS_INLINE uint64_t hash_bytes(const void *bytes, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, size, seed);
}

ALWAYS_INLINE uint64_t hash_slice(struct slice slice, uint64_t seed)
{
    return XXH3_64bits_withSeed(slice.data, slice.size, seed);
}

#endif
