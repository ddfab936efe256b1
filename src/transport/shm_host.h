/* What all sessions of shared memory of a server share: limits and counters.
 *
 * Principal entry points: struct shm_host, shm_host_totals. Threads: any; each part says who writes it. */
#ifndef SKUA_TRANSPORT_SHM_HOST_H
#define SKUA_TRANSPORT_SHM_HOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What has happened on the sessions of one thread, who alone writes it. */
struct shm_counters {
    _Atomic uint64_t bytes_in, bytes_out;
    _Atomic uint64_t spins;   /* times that the next request was looked for */
    _Atomic uint64_t vain_ns; /* spent looking for what did not come */
    _Atomic uint64_t parks;   /* times that a session went to sleep */
    _Atomic uint64_t bells_rung, bells_heard;
};

#define SHM_THREADS_MAX 256

/* What all sessions of a server share. The limits point to options, which may change at any time. */
struct shm_host {
    const _Atomic int64_t *sessions_max;
    const _Atomic uint64_t *memory_max;
    const _Atomic int64_t *spin_us;      /* how long to look for the next request before going to sleep */
    const _Atomic int64_t *spin_percent; /* of a core that may be spent looking in vain, by one thread */
    bool has_one_processor;              /* in all: then looking again and again is never worth while */
    /* Any thread. */
    _Atomic uint64_t sessions, memory, opened, refused;
    _Atomic uint64_t processes; /* watched: descriptors that sessions have beside their sockets */
    _Atomic unsigned thread_count;
    _Atomic(struct shm_counters *) threads[SHM_THREADS_MAX]; /* they live as long as the loops do */
};

struct shm_totals {
    uint64_t sessions, memory, opened, refused;
    uint64_t bytes_in, bytes_out, spins, vain_ns, parks, bells_rung, bells_heard;
};

/* Any thread. */
void shm_host_totals(const struct shm_host *host, struct shm_totals *ret_totals);

#endif
