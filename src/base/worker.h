/* A pool of worker threads for work that must not hold up the executor: freeing big values, and later syncing,
 * compressing, writing. Threads: any may submit. */
#ifndef SKUA_BASE_WORKER_H
#define SKUA_BASE_WORKER_H

#include <stddef.h>
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

/* Blocks from this size on are given back by a worker: the system takes longer to take them than others want to wait. */
#define WORKER_FREE_MIN ((size_t)256 << 10)

/* mem_free of a block whose size a client chose: of a large one on some worker, and it does not count as used memory from
 * now on; of a smaller one, and with `pool` NULL, at once. */
void worker_free(struct worker_pool *pool, void *block);

/* Work that has not finished yet. */
uint64_t worker_pending(struct worker_pool *pool);

#endif
