/* xoshiro256** by Blackman and Vigna, its state spread from the seed by splitmix64; and the system's random
 * bytes. Entry: rng_seed, rng_next, rng_below, rng_system_bytes. Threads: a generator has one owner;
 * rng_system_bytes may be called by any. */
#include "base/rng.h"

#include <errno.h>
#include <sys/random.h>

#include "base/bug.h"

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

void rng_seed(struct rng *rng, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++)
        rng->state[i] = splitmix64(&seed);
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    DEBUG_ASSERT(bound > 0);
    unsigned __int128 product = (unsigned __int128)rng_next(rng) * bound;
    /* Lemire: the high half of the product is uniform once the 2^64 mod bound lowest low halves, which occur too
     * often, are refused. They lie below `bound`, so the division is rarely needed. */
    if (unlikely((uint64_t)product < bound)) {
        uint64_t refused = -bound % bound;
        while ((uint64_t)product < refused)
            product = (unsigned __int128)rng_next(rng) * bound;
    }
    return (uint64_t)(product >> 64);
}

void rng_system_bytes(void *ret_bytes, size_t size)
{
    char *at = ret_bytes;
    while (size > 0) {
        ssize_t count = getrandom(at, size, 0);
        if (count < 0) {
            if (errno == EINTR)
                continue;
            fatal("the system gives no random bytes (getrandom: errno %d)", errno);
        }
        at += count;
        size -= (size_t)count;
    }
}
