/* Memory that devices may read, see arena.h.
 *
 * Threads: any; `lock` guards the lists and what is in them, `watch_lock` the watchers.
 *
 *   ABSENT ---> IN USE, one block or both <---> IDLE      take_block, put_block
 *     ^                                           |
 *     +----------------- GOING <------------------+       begin_giving_back, give_back
 *
 * A1  A segment is in `partial` when one of its blocks is free, in `idle` when both are, in `absent` when it has no memory but had some;
 *     else in no list: both in use, GOING (then it belongs to give_back alone), or numbered `fresh` or more and never used.
 * A2  Partial ones are used first, then idle, so that segments become wholly free. */
#include "base/arena.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/list.h"
#include "base/macros.h"
#include "base/worker.h"

#define BLOCKS   (ARENA_SEGMENT_SIZE / ARENA_BLOCK_SIZE)
#define ALL_FREE ((1u << BLOCKS) - 1)
#define RANGE    ((size_t)ARENA_SEGMENTS_MAX * ARENA_SEGMENT_SIZE)

struct segment {
    struct list_node node; /* A1 */
    unsigned free;         /* bit i: block i is free */
};

static struct arena {
    pthread_mutex_t lock;
    struct segment segments[ARENA_SEGMENTS_MAX];
    uint32_t fresh;
    uint32_t idle_count;
    struct list_node partial, idle, absent;
    uint64_t used_blocks, free_blocks;
    struct worker_pool *workers;
    pthread_mutex_t watch_lock;
    struct arena_watcher *watchers;
} arena = {.lock = PTHREAD_MUTEX_INITIALIZER, .watch_lock = PTHREAD_MUTEX_INITIALIZER};

/* 0: there is none (N3). Whoever has an address in it was handed that by who saw it set. */
static _Atomic uintptr_t range_start;
static _Atomic bool is_poisoning;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- Address space -------------------------------------------------------------------------------- */

/* Without permissions the range counts for no limit but that of address space. */
static void reserve(void)
{
    list_init(&arena.partial);
    list_init(&arena.idle);
    list_init(&arena.absent);
    char *start =
        mmap(NULL, RANGE + ARENA_SEGMENT_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return;
    size_t before = -(uintptr_t)start & (ARENA_SEGMENT_SIZE - 1);
    if (before > 0)
        munmap(start, before);
    munmap(start + before + RANGE, ARENA_SEGMENT_SIZE - before);
    atomic_store_explicit(&range_start, (uintptr_t)start + before, memory_order_relaxed);
}

uint32_t arena_segment_of(const void *address)
{
    uintptr_t start = atomic_load_explicit(&range_start, memory_order_relaxed);
    uintptr_t offset = (uintptr_t)address - start;
    return start != 0 && offset < RANGE ? (uint32_t)(offset / ARENA_SEGMENT_SIZE) : UINT32_MAX;
}

char *arena_segment_start(uint32_t segment)
{
    DEBUG_ASSERT(segment < ARENA_SEGMENTS_MAX);
    return (char *)atomic_load_explicit(&range_start, memory_order_relaxed) + segment * ARENA_SEGMENT_SIZE;
}

static uint32_t number_of(const struct segment *segment)
{
    return (uint32_t)(segment - arena.segments);
}

/* Small pages, as everywhere: docs/decisions/004-small-pages.md. */
static bool give_memory(uint32_t number)
{
    char *start = arena_segment_start(number);
    if (mprotect(start, ARENA_SEGMENT_SIZE, PROT_READ | PROT_WRITE) != 0)
        return false;
    (void)madvise(start, ARENA_SEGMENT_SIZE, MADV_NOHUGEPAGE);
    return true;
}

/* Whoever reads it from now on is caught by the processor. */
static void take_memory(uint32_t number)
{
    char *start = arena_segment_start(number);
    if (mmap(start, ARENA_SEGMENT_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
             -1, 0) != start)
        BUG("memory at %p cannot be given back", (void *)start);
}

/* ---- Blocks ---------------------------------------------------------------------------------------- */

static struct segment *first_of(struct list_node *list)
{
    return list_is_empty(list) ? NULL : list_entry(list->next, struct segment, node);
}

/* A segment with a free block, in `partial`; NULL: there is none to be had. */
static struct segment *find_segment(void)
{
    struct segment *segment = first_of(&arena.partial);
    if (segment)
        return segment;
    segment = first_of(&arena.idle);
    if (segment) {
        arena.idle_count--;
    } else {
        segment = first_of(&arena.absent);
        if (!segment && arena.fresh < ARENA_SEGMENTS_MAX)
            segment = &arena.segments[arena.fresh];
        if (!segment || !give_memory(number_of(segment)))
            return NULL;
        if (number_of(segment) == arena.fresh)
            arena.fresh++;
        segment->free = ALL_FREE;
        arena.free_blocks += BLOCKS;
    }
    if (list_is_listed(&segment->node))
        list_remove(&segment->node);
    list_append(&arena.partial, &segment->node);
    return segment;
}

static void *take_block(void)
{
    struct segment *segment = range_start != 0 ? find_segment() : NULL;
    if (!segment)
        return NULL;
    unsigned index = (unsigned)__builtin_ctz(segment->free);
    segment->free &= ~(1u << index);
    if (segment->free == 0)
        list_remove(&segment->node);
    arena.used_blocks++;
    arena.free_blocks--;
    return arena_segment_start(number_of(segment)) + index * ARENA_BLOCK_SIZE;
}

void *arena_alloc(void)
{
    pthread_once(&once, reserve);
    pthread_mutex_lock(&arena.lock);
    void *block = take_block();
    pthread_mutex_unlock(&arena.lock);
    if (!block)
        return mem_alloc(ARENA_BLOCK_SIZE); /* N3 */
    mem_account((int64_t)ARENA_BLOCK_SIZE);
    return block;
}

/* N1. On a worker, or on the thread that has released the last block. */
static void give_back(void *argument)
{
    struct segment *segment = argument;
    pthread_mutex_lock(&arena.watch_lock);
    for (struct arena_watcher *watcher = arena.watchers; watcher; watcher = watcher->next)
        watcher->forget(watcher, number_of(segment));
    pthread_mutex_unlock(&arena.watch_lock);
    take_memory(number_of(segment));
    pthread_mutex_lock(&arena.lock);
    list_append(&arena.absent, &segment->node);
    pthread_mutex_unlock(&arena.lock);
}

/* The segment that has been idle for longest when there are too many, out of its list. */
static struct segment *begin_giving_back(void)
{
    if (arena.idle_count * ARENA_SEGMENT_SIZE <= ARENA_IDLE_MAX)
        return NULL;
    struct segment *segment = first_of(&arena.idle);
    list_remove(&segment->node);
    arena.idle_count--;
    arena.free_blocks -= BLOCKS;
    return segment;
}

static struct segment *put_block(struct segment *segment, unsigned index)
{
    ASSERT(!(segment->free & 1u << index));
    if (segment->free != 0)
        list_remove(&segment->node);
    segment->free |= 1u << index;
    arena.used_blocks--;
    arena.free_blocks++;
    if (segment->free != ALL_FREE) {
        list_append(&arena.partial, &segment->node);
        return NULL;
    }
    list_append(&arena.idle, &segment->node);
    arena.idle_count++;
    return begin_giving_back();
}

void arena_release(void *block)
{
    uint32_t number = arena_segment_of(block);
    if (atomic_load_explicit(&is_poisoning, memory_order_relaxed))
        memset(block, ARENA_POISON, ARENA_BLOCK_SIZE);
    if (number == UINT32_MAX) {
        mem_free(block);
        return;
    }
    mem_account(-(int64_t)ARENA_BLOCK_SIZE);
    size_t offset = (size_t)((char *)block - arena_segment_start(number));
    ASSERT(offset % ARENA_BLOCK_SIZE == 0);
    pthread_mutex_lock(&arena.lock);
    struct segment *leaving = put_block(&arena.segments[number], (unsigned)(offset / ARENA_BLOCK_SIZE));
    struct worker_pool *workers = arena.workers;
    pthread_mutex_unlock(&arena.lock);
    if (leaving && workers)
        worker_submit_bulk(workers, give_back, leaving);
    else if (leaving)
        give_back(leaving);
}

/* ---- The rest -------------------------------------------------------------------------------------- */

void arena_watch(struct arena_watcher *watcher)
{
    pthread_mutex_lock(&arena.watch_lock);
    watcher->next = arena.watchers;
    arena.watchers = watcher;
    pthread_mutex_unlock(&arena.watch_lock);
}

void arena_unwatch(struct arena_watcher *watcher)
{
    pthread_mutex_lock(&arena.watch_lock);
    struct arena_watcher **link = &arena.watchers;
    while (*link != watcher)
        link = &(*link)->next;
    *link = watcher->next;
    pthread_mutex_unlock(&arena.watch_lock);
}

void arena_use_workers(struct worker_pool *workers)
{
    pthread_mutex_lock(&arena.lock);
    arena.workers = workers;
    pthread_mutex_unlock(&arena.lock);
}

void arena_set_poison(bool on)
{
    atomic_store_explicit(&is_poisoning, on, memory_order_relaxed);
}

struct arena_figures arena_figures(void)
{
    pthread_mutex_lock(&arena.lock);
    struct arena_figures figures = {
        .used_bytes = arena.used_blocks * ARENA_BLOCK_SIZE,
        .idle_bytes = arena.free_blocks * ARENA_BLOCK_SIZE,
    };
    pthread_mutex_unlock(&arena.lock);
    return figures;
}
