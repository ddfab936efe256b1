/* A pool of worker threads for work that must not hold up the executor: freeing big values, and later syncing,
 * compressing, writing. Threads: any may submit. */
#ifndef SKUA_BASE_WORKER_H
#define SKUA_BASE_WORKER_H

#include <stdint.h>

struct worker_pool;

/* Work waiting for a thread. What is submitted beyond that runs at once on the thread that submits it, which
 * slows the source of the work down. */
#define WORKER_QUEUE_MAX (1u << 20)

/* With 0 threads, or when the system gives none, work runs within worker_submit: a simulation does that. */
struct worker_pool *worker_pool_new(unsigned thread_count);

/* Runs everything that was submitted, also by the work itself, then ends the threads. */
void worker_pool_free(struct worker_pool *pool);

/* Runs work(argument) on some worker, in no particular order with other work. */
void worker_submit(struct worker_pool *pool, void (*work)(void *argument), void *argument);

/* Work that has not finished yet. */
uint64_t worker_pending(struct worker_pool *pool);

#endif
