/* A pool of worker threads for work that must not hold up the executor: freeing big values, and later syncing,
 * compressing, writing. Threads: any may submit. */
#ifndef SKUA_BASE_WORKER_H
#define SKUA_BASE_WORKER_H

#include <stdint.h>

struct worker_pool;

struct worker_pool *worker_pool_new(unsigned thread_count);

/* Runs everything that was submitted, then ends the threads. */
void worker_pool_free(struct worker_pool *pool);

/* Runs work(argument) on some worker, in no particular order with other work. */
void worker_submit(struct worker_pool *pool, void (*work)(void *argument), void *argument);

/* Work that has not finished yet. */
uint64_t worker_pending(struct worker_pool *pool);

#endif
