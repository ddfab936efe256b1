/* A pool of worker threads for work that must not hold up the executor: freeing big values, syncing, compressing, writing.
 *
 * Work that somebody waits for and work that nobody does (freeing, giving memory back) have threads of their own: the latter give
 * way to every other thread (base/scheduling.h), and a thread that has once given way cannot take it back.
 *
 * Principal entry points: worker_pool_new, worker_submit, worker_submit_bulk, worker_pool_free; for a simulation worker_pool_new_stepped, worker_pool_step.
 * Threads: any may submit. */
#ifndef SKUA_BASE_WORKER_H
#define SKUA_BASE_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker_pool;

/* Work waiting for a thread. What is submitted beyond that runs at once on the thread that submits it, which
 * slows the source of the work down. */
#define WORKER_QUEUE_MAX (1u << 20)

/* Of the threads `bulk_thread_count` are for worker_submit_bulk; with none of these all work is for the others. With none at all, or
 * when the system gives none, work runs within worker_submit. */
struct worker_pool *worker_pool_new(unsigned thread_count, unsigned bulk_thread_count);

/* A pool without threads whose work waits until worker_pool_step: a simulation decides when it is done. */
struct worker_pool *worker_pool_new_stepped(void);
bool worker_pool_is_stepped(const struct worker_pool *pool);
/* Runs the work that has waited longest, on the calling thread, as a worker. False: there is none. */
bool worker_pool_step(struct worker_pool *pool);

/* Runs everything that was submitted, also by the work itself, then ends the threads. */
void worker_pool_free(struct worker_pool *pool);

/* Runs work(argument) on some worker, in no particular order with other work. */
void worker_submit(struct worker_pool *pool, void (*work)(void *argument), void *argument);

/* The same for work that nobody waits for, for its end as little as for a lock that it holds for more than a moment: beside others who
 * want its processor it may take a hundred times as long. After a second of waiting other workers take it as well. */
void worker_submit_bulk(struct worker_pool *pool, void (*work)(void *argument), void *argument);

/* Blocks from this size on are given back by a worker: the system takes longer to take them than others want to wait. */
#define WORKER_FREE_MIN ((size_t)256 << 10)

/* mem_free of a block whose size a client chose: of a large one on some worker, and it does not count as used memory from
 * now on; of a smaller one, and with `pool` NULL, at once. */
void worker_free(struct worker_pool *pool, void *block);

/* For work that takes long, about each 100 us: lets others have the processor, who would wait for a slice of the scheduler's,
 * several ms, where they share one with it. Does nothing on other threads, or in a pool without threads. */
void worker_pause(void);

/* Work that has not finished yet. */
uint64_t worker_pending(struct worker_pool *pool);

#endif
