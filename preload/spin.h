/* Looking at memory for a while before sleeping, as long as that pays.
 *
 * Entry points: spin_self, spin_may, spin_for.
 * Threads: each has its own state. Nobody spins for longer than settings.spin_ns, on one processor, or while the server
 * sleeps or shares the own processor; after a spin in vain the next 1, 2, 4 ... SPIN_SKIPS_MAX waits sleep at once. */
#ifndef SKUA_PRELOAD_SPIN_H
#define SKUA_PRELOAD_SPIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPIN_SKIPS_MAX 64u
/* So many connections are looked at by one spin at most. */
#define SPIN_WATCHES_MAX 64u

struct spin_thread {
    uint64_t id;    /* of the thread; never 0, never used again */
    uint64_t waits; /* that this library has seen */
    unsigned skips_left, skips;
};

/* A connection's end, as of when its lock was given up. */
struct spin_watch {
    const _Atomic uint64_t *tail; /* the server's */
    const _Atomic uint64_t *park, *cpu;
    uint64_t head, own_cpu; /* as the server has been told */
};

struct shm_end;

struct spin_thread *spin_self(void);

/* Whether this wait may spin; counts the waits that may not. */
bool spin_may(struct spin_thread *self);

/* Tells the server where we are. */
struct spin_watch spin_watch_of(struct shm_end *end);

/* Spins until one of them has data (true), or it does not pay any longer. */
bool spin_for(struct spin_thread *self, const struct spin_watch *watches, size_t count);

#endif
