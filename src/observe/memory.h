/* Where the server's memory is: figures for MEMORY STATS, MEMORY DOCTOR and INFO memory.
 *
 * Principal entry points: memory_watch_init, memory_watch_sample, memory_measure.
 * Threads: executor only. */
#ifndef SKUA_OBSERVE_MEMORY_H
#define SKUA_OBSERVE_MEMORY_H

#include <stdint.h>

#include "base/ahead.h"
#include "base/heap.h"
#include "io/io.h"
#include "observe/allocator.h"

struct exec;

/* What can only be known by looking now and then. peak >= startup. */
struct memory_watch {
    uint64_t startup; /* bytes in use when the watch began, before the first client */
    uint64_t peak;    /* most bytes in use at any sample */
};

void memory_watch_init(struct memory_watch *watch);

/* To be called regularly (exec->hooks.cron), and before figures are told. Cheap. */
void memory_watch_sample(struct memory_watch *watch);

/* All in bytes unless said. overhead + dataset == used; used <= peak. */
struct memory_figures {
    uint64_t used; /* asked for by the server: mem_used */
    uint64_t peak;
    uint64_t startup;
    uint64_t overhead; /* what is not data: start-up, clients, tables, `io` */
    uint64_t dataset;
    uint64_t clients; /* structures and buffers of all clients */
    uint64_t tables;  /* buckets of all databases */
    struct io_memory io;
    uint64_t keys;    /* number */
    uint64_t process; /* resident set of the process as the system counts it */
    struct heap_stats slabs;
    struct ahead_figures ahead;
    struct allocator_figures allocator; /* general allocator and slabs together */
};

/* Costs one pass over the clients and one look at /proc: for people who ask, not for every request. `io` may be NULL. */
void memory_measure(const struct exec *exec, const struct io_group *io, struct memory_watch *watch,
                    struct memory_figures *ret_figures);

/* a / b, 0 when b is 0. */
static inline double memory_ratio(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : 0;
}

#endif
