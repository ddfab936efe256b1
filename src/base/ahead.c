/* Memory touched ahead, see ahead.h.
 *
 * Threads: the owner of a piece and the worker that touches it.
 *
 *   ASKED ---> RUNNING ---> READY      work_on, on a worker
 *     |           |           |
 *     |           +-----------+------> freed by the owner       ahead_end
 *     +---> LEFT --------------------> freed by the worker      ahead_end, work_on */
#include "base/ahead.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/macros.h"
#include "base/worker.h"

#define SMALL_PAGE  4096
#define NAP_NS      50000
#define BACKLOG_MAX 1024 /* work that waits for workers: more, and a piece would come too late anyway */

enum piece_state { ASKED, RUNNING, READY, LEFT };

struct ahead {
    struct worker_pool *workers;
    _Atomic bool on;
    _Atomic uint64_t touched_bytes;
    _Atomic uint64_t huge_bytes;
    _Atomic uint64_t waiting_bytes;
    _Atomic uint64_t busy_ns;
};

struct ahead_piece {
    struct ahead *ahead;
    char *start;
    _Atomic int state;
};

struct ahead *ahead_new(struct worker_pool *workers)
{
    struct ahead *ahead = mem_calloc(1, sizeof *ahead);
    ahead->workers = workers;
    return ahead;
}

void ahead_free(struct ahead *ahead)
{
    ASSERT(!ahead || atomic_load(&ahead->waiting_bytes) == 0);
    mem_free(ahead);
}

void ahead_set_on(struct ahead *ahead, bool on)
{
    atomic_store(&ahead->on, on && ahead->workers);
}

static void add(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

static uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static long faults_of_thread(void)
{
    struct rusage usage = {0};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt;
}

/* Whoever hands out the memory may have poisoned it. */
__attribute__((no_sanitize("address"))) static void touch(volatile char *start)
{
    for (size_t offset = 0; offset < AHEAD_SIZE; offset += SMALL_PAGE)
        start[offset] = 0;
}

/* A fault, unlike MADV_POPULATE_WRITE, does not keep other threads from mapping memory while the kernel looks for a huge page. */
static void touch_in_huge_pages(struct ahead *ahead, char *start)
{
    uint64_t begin_ns = monotonic_ns();
    long faults = faults_of_thread();
    (void)madvise(start, AHEAD_SIZE, MADV_HUGEPAGE);
    touch(start);
    (void)madvise(start, AHEAD_SIZE, MADV_NOHUGEPAGE);
    bool is_huge = faults_of_thread() - faults < (long)(AHEAD_SIZE / SMALL_PAGE / 2);
    add(&ahead->touched_bytes, AHEAD_SIZE);
    add(&ahead->huge_bytes, is_huge ? AHEAD_SIZE : 0);
    add(&ahead->busy_ns, monotonic_ns() - begin_ns);
}

static void work_on(void *argument)
{
    struct ahead_piece *piece = argument;
    int state = ASKED;
    if (!atomic_compare_exchange_strong(&piece->state, &state, RUNNING)) {
        ASSERT(state == LEFT);
        mem_free(piece);
        return;
    }
    touch_in_huge_pages(piece->ahead, piece->start);
    atomic_store_explicit(&piece->state, READY, memory_order_release);
}

struct ahead_piece *ahead_ask(struct ahead *ahead, void *start)
{
    if (!ahead || !atomic_load_explicit(&ahead->on, memory_order_relaxed) ||
        worker_pending(ahead->workers) > BACKLOG_MAX)
        return NULL;
    ASSERT((uintptr_t)start % AHEAD_SIZE == 0);
    struct ahead_piece *piece = mem_alloc(sizeof *piece);
    *piece = (struct ahead_piece){.ahead = ahead, .start = start, .state = ASKED};
    add(&ahead->waiting_bytes, AHEAD_SIZE);
    worker_submit(ahead->workers, work_on, piece);
    return piece;
}

void *ahead_start(const struct ahead_piece *piece)
{
    return piece->start;
}

bool ahead_is_ready(const struct ahead_piece *piece)
{
    return atomic_load_explicit(&piece->state, memory_order_acquire) == READY;
}

void ahead_end(struct ahead_piece *piece)
{
    atomic_fetch_sub_explicit(&piece->ahead->waiting_bytes, AHEAD_SIZE, memory_order_relaxed);
    int state = ASKED;
    if (atomic_compare_exchange_strong(&piece->state, &state, LEFT))
        return;
    /* Asleep: the worker may want this very processor. */
    static const struct timespec nap = {.tv_nsec = NAP_NS};
    while (!ahead_is_ready(piece))
        nanosleep(&nap, NULL);
    mem_free(piece);
}

void ahead_figures(const struct ahead *ahead, struct ahead_figures *ret_figures)
{
    *ret_figures = (struct ahead_figures){
        .touched_bytes = atomic_load_explicit(&ahead->touched_bytes, memory_order_relaxed),
        .huge_bytes = atomic_load_explicit(&ahead->huge_bytes, memory_order_relaxed),
        .waiting_bytes = atomic_load_explicit(&ahead->waiting_bytes, memory_order_relaxed),
        .busy_ns = atomic_load_explicit(&ahead->busy_ns, memory_order_relaxed),
    };
}
