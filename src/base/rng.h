/* Pseudo-random numbers from a seed (not for secrets): a simulation replays them. One owner thread. */
#ifndef SKUA_BASE_RNG_H
#define SKUA_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state[4];
};

void rng_seed(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);

/* Uniform in [0, bound). `bound` > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);

/* Unpredictable bytes from the system (getrandom). For seeds, run ids, secrets. */
void rng_system_bytes(void *ret_bytes, size_t size);

#endif
