/* Counted allocation over jemalloc (or over libc's malloc in builds for sanitizers).
 *
 * Principal entry points: see base/alloc.h.
 * Threads: any. Counting costs a relaxed load and store to memory of the calling thread: each thread has a
 * counter of its own in a list of the process, and mem_used sums the list.
 *
 * A1  A counter is written by its thread only; others read it with relaxed loads. A counter may be negative:
 *     blocks are freed on other threads than the one that allocated them. Only the sum means something.
 * A2  The list and the total of ended threads change under `counters_lock`; a thread's counter leaves the
 *     list and is added to the total in one step, so that mem_used never misses or doubles it.
 * A3  What a thread allocates or frees after its counter has left the list (in later destructors of
 *     thread-specific data) goes to the total directly.
 * A4  A block whose size is a multiple of CACHE_LINE is aligned to it. jemalloc's size classes give that. */
#include "base/alloc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/macros.h"

#ifdef SKUA_JEMALLOC
#include <jemalloc/jemalloc.h>
#else
#include <malloc.h>
#include <stdlib.h>
#endif

enum counter_state { COUNTER_NEW, COUNTER_LISTED, COUNTER_ENDED };

struct counter {
    _Atomic int64_t bytes;
    enum counter_state state; /* own thread only */
    struct counter *next;     /* counters_lock */
    struct counter *prev;     /* counters_lock */
};

static _Thread_local struct counter own_counter;

static pthread_mutex_t counters_lock = PTHREAD_MUTEX_INITIALIZER;
static struct counter *counters;    /* counters_lock */
static _Atomic int64_t ended_bytes; /* A2 */
static pthread_once_t counters_once = PTHREAD_ONCE_INIT;
static pthread_key_t counters_key;

static void counter_end(void *argument)
{
    struct counter *counter = argument;
    pthread_mutex_lock(&counters_lock);
    if (counter->prev)
        counter->prev->next = counter->next;
    else
        counters = counter->next;
    if (counter->next)
        counter->next->prev = counter->prev;
    atomic_fetch_add_explicit(&ended_bytes, atomic_load_explicit(&counter->bytes, memory_order_relaxed),
                              memory_order_relaxed);
    counter->state = COUNTER_ENDED;
    pthread_mutex_unlock(&counters_lock);
}

static void counters_create_key(void)
{
    if (pthread_key_create(&counters_key, counter_end) != 0)
        fatal("no thread-specific key is left for counting memory");
}

static COLD void count_slow(struct counter *counter, int64_t delta)
{
    if (counter->state == COUNTER_ENDED) {
        atomic_fetch_add_explicit(&ended_bytes, delta, memory_order_relaxed);
        return;
    }
    pthread_once(&counters_once, counters_create_key);
    if (pthread_setspecific(counters_key, counter) != 0)
        fatal("no memory to count the memory of a thread");
    pthread_mutex_lock(&counters_lock);
    counter->prev = NULL;
    counter->next = counters;
    if (counters)
        counters->prev = counter;
    counters = counter;
    atomic_store_explicit(&counter->bytes, delta, memory_order_relaxed);
    counter->state = COUNTER_LISTED;
    pthread_mutex_unlock(&counters_lock);
}

ALWAYS_INLINE void count(int64_t delta)
{
    struct counter *counter = &own_counter;
    if (unlikely(counter->state != COUNTER_LISTED)) {
        count_slow(counter, delta);
        return;
    }
    int64_t bytes = atomic_load_explicit(&counter->bytes, memory_order_relaxed);
    atomic_store_explicit(&counter->bytes, bytes + delta, memory_order_relaxed);
}

#ifdef SKUA_JEMALLOC

static void *raw_alloc(size_t size, bool zeroed)
{
    return mallocx(size, zeroed ? MALLOCX_ZERO : 0);
}

static void *raw_realloc(void *block, size_t size)
{
    return rallocx(block, size, 0);
}

static void raw_free(void *block, size_t usable_size)
{
    sdallocx(block, usable_size, 0);
}

/* What a fresh block of this size takes, without looking the block up. */
static size_t raw_fresh_size(const void *block, size_t size)
{
    return nallocx(size, 0);
}

static size_t raw_usable_size(const void *block)
{
    return sallocx(block, 0);
}

#else

static void *raw_alloc(size_t size, bool zeroed)
{
    if (size % CACHE_LINE != 0)
        return zeroed ? calloc(1, size) : malloc(size);
    void *block = aligned_alloc(CACHE_LINE, size); /* A4 */
    if (block != NULL && zeroed)
        memset(block, 0, size);
    return block;
}

static void *raw_realloc(void *block, size_t size)
{
    return realloc(block, size);
}

static void raw_free(void *block, size_t usable_size)
{
    free(block);
}

static size_t raw_usable_size(const void *block)
{
    return malloc_usable_size((void *)block);
}

static size_t raw_fresh_size(const void *block, size_t size)
{
    return raw_usable_size(block);
}

#endif

static void *allocate(size_t size, bool zeroed)
{
    if (unlikely(size > MEM_SIZE_MAX))
        return NULL;
    if (unlikely(size == 0))
        size = 1;
    void *block = raw_alloc(size, zeroed);
    if (likely(block != NULL))
        count((int64_t)raw_fresh_size(block, size));
    return block;
}

static COLD __attribute__((noreturn)) void exhausted(size_t size)
{
    fatal("out of memory while allocating %zu bytes", size);
}

void *mem_alloc(size_t size)
{
    void *block = allocate(size, false);
    if (unlikely(block == NULL))
        exhausted(size);
    return block;
}

void *mem_calloc(size_t count, size_t size)
{
    size_t bytes;
    void *block = NULL;
    if (likely(!__builtin_mul_overflow(count, size, &bytes)))
        block = allocate(bytes, true);
    else
        bytes = SIZE_MAX;
    if (unlikely(block == NULL))
        exhausted(bytes);
    return block;
}

void *mem_realloc(void *block, size_t size)
{
    void *moved = mem_try_realloc(block, size);
    if (unlikely(moved == NULL))
        exhausted(size);
    return moved;
}

char *mem_strdup(const char *string)
{
    return mem_strndup(string, strlen(string));
}

char *mem_strndup(const char *bytes, size_t size)
{
    char *copy = mem_alloc(size + 1);
    if (size > 0)
        memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

void *mem_try_alloc(size_t size)
{
    return allocate(size, false);
}

void *mem_try_calloc(size_t size)
{
    return allocate(size, true);
}

void *mem_try_realloc(void *block, size_t size)
{
    if (block == NULL)
        return allocate(size, false);
    if (unlikely(size > MEM_SIZE_MAX))
        return NULL;
    if (unlikely(size == 0))
        size = 1;
    int64_t old_size = (int64_t)raw_usable_size(block);
    void *moved = raw_realloc(block, size);
    if (unlikely(moved == NULL))
        return NULL;
    count((int64_t)raw_usable_size(moved) - old_size);
    return moved;
}

/* ---- Freeing ---------------------------------------------------------------------------------------- */

static _Thread_local void (*between_pieces)(void);

void mem_free_in_pieces(void (*between)(void))
{
    between_pieces = between;
}

/* Of a block that is about to be freed: all of its pages but those that it may share with a neighbour. What the allocator
 * does with them afterwards finds nothing left to do. */
static COLD void give_back_pages(const char *block, size_t size)
{
    uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t at = ((uintptr_t)block + page_size - 1) & ~(page_size - 1);
    uintptr_t end = ((uintptr_t)block + size) & ~(page_size - 1);
    while (at < end) {
        uintptr_t next = (at | (MEM_PIECE - 1)) + 1; /* a piece ends at a multiple of it */
        next = next < end ? next : end;
        if (madvise((void *)at, next - at, MADV_DONTNEED) != 0)
            return; /* locked memory: then in one piece */
        between_pieces();
        at = next;
    }
}

void mem_free(void *block)
{
    if (block == NULL)
        return;
    size_t size = raw_usable_size(block);
    count(-(int64_t)size);
    if (unlikely(size >= MEM_PIECES_MIN) && between_pieces != NULL)
        give_back_pages(block, size);
    raw_free(block, size);
}

size_t mem_usable_size(const void *block)
{
    return block ? raw_usable_size(block) : 0;
}

size_t mem_used(void)
{
    pthread_mutex_lock(&counters_lock);
    int64_t sum = atomic_load_explicit(&ended_bytes, memory_order_relaxed);
    for (const struct counter *counter = counters; counter; counter = counter->next)
        sum += atomic_load_explicit(&counter->bytes, memory_order_relaxed);
    pthread_mutex_unlock(&counters_lock);
    /* A block that one thread has handed to another which has freed it meanwhile may be seen half. */
    return sum > 0 ? (size_t)sum : 0;
}

void mem_account(int64_t delta)
{
    count(delta);
}
