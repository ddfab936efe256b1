/* Memory that devices may read: blocks of 1 MB in segments that have numbers, so that they can be registered with the kernel.
 *
 * Principal entry points: arena_alloc, arena_release, arena_segment_of, arena_watch.
 * There is one arena in a process, as there is one allocator: who registers memory (a ring of io_uring, later a network card)
 * registers whole segments, by number, and keeps each registered for as long as it is in the arena. A block that is released is kept for
 * the next, up to ARENA_IDLE_MAX; what is beyond goes back to the system, by a worker where there is one.
 *
 *      range    [ segment 0 | segment 1 | segment 2 | ...                    ]   address space, reserved once
 *                  A    B      A   free    (given back)
 *
 * N1  A segment's memory goes back only while no block of it is in use, and all watchers have been told before.
 * N2  Blocks are aligned to their size. What lies in a block that was just handed out is undefined.
 * N3  Where the system refuses the range, or it is used up, blocks come from general memory: they have no number.
 *
 * Threads: any, but for arena_use_workers. */
#ifndef SKUA_BASE_ARENA_H
#define SKUA_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_BLOCK_SIZE   ((size_t)1 << 20)
#define ARENA_SEGMENT_SIZE ((size_t)2 << 20) /* and its alignment: one huge page */
#define ARENA_SEGMENTS_MAX 8192u             /* 16 GB; what io_uring registers at most is twice as many */
#define ARENA_IDLE_MAX     ((size_t)8 << 20) /* of whole segments that are kept for reuse */
#define ARENA_POISON       0xDD

struct worker_pool;

/* Somebody who registers segments. */
struct arena_watcher {
    /* The memory of the segment is about to go back to the system. On any thread; may not call the arena. */
    void (*forget)(struct arena_watcher *watcher, unsigned segment);
    struct arena_watcher *next;
};

struct arena_figures {
    uint64_t used_bytes; /* of blocks that are in use and have a number */
    uint64_t idle_bytes; /* of blocks that are kept for reuse */
};

/* Never NULL (fatal on exhaustion). Counts towards mem_used until it is released. */
void *arena_alloc(void);
void arena_release(void *block);

/* The number of the segment that `address` lies in, UINT32_MAX: it lies in none. An address that the caller keeps alive. */
uint32_t arena_segment_of(const void *address);
/* Where a segment begins that arena_segment_of has named. */
char *arena_segment_start(uint32_t segment);

/* The watcher must stay until arena_unwatch. */
void arena_watch(struct arena_watcher *watcher);
void arena_unwatch(struct arena_watcher *watcher);

/* Who gives memory back; NULL: whoever releases it. Before the first block, and again, with NULL, before the workers end. */
void arena_use_workers(struct worker_pool *workers);

/* Whether blocks are filled with ARENA_POISON when they are released: whoever still reads one then shows itself. For tests. */
void arena_set_poison(bool on);

struct arena_figures arena_figures(void);

#endif
