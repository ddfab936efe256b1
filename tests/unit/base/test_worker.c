/* Proves: submitted work runs once each, from any thread and from within work, before the pool ends; without
 * threads it runs at once; a full queue slows the submitter instead of growing; bulk work and other work do not wait for each other. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/role.h"
#include "base/worker.h"

#define JOBS 20000

static _Atomic unsigned done;
static _Atomic bool wrong_role;
static unsigned char ran[JOBS];
static struct worker_pool *shared_pool;

static void mark(void *argument)
{
    ran[(uintptr_t)argument]++;
    atomic_fetch_add(&done, 1);
}

static void everything_runs_once(void **state)
{
    size_t before = mem_used();
    struct worker_pool *pool = worker_pool_new(3, 0);
    atomic_store(&done, 0);
    for (uintptr_t i = 0; i < JOBS; i++) {
        ran[i] = 0;
        worker_submit(pool, mark, (void *)i);
    }
    worker_pool_free(pool);
    assert_int_equal(atomic_load(&done), JOBS);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(ran[i], 1);
    assert_int_equal(mem_used(), before);
}

static void submit_more(void *argument)
{
    uintptr_t depth = (uintptr_t)argument;
    if (role_of_thread != ROLE_WORKER)
        atomic_store(&wrong_role, true);
    if (depth > 0) {
        worker_submit(shared_pool, submit_more, (void *)(depth - 1));
        worker_submit(shared_pool, submit_more, (void *)(depth - 1));
    }
    atomic_fetch_add(&done, 1);
}

static void work_may_submit_work(void **state)
{
    atomic_store(&done, 0);
    shared_pool = worker_pool_new(2, 0);
    worker_submit(shared_pool, submit_more, (void *)10);
    worker_pool_free(shared_pool);
    assert_int_equal(atomic_load(&done), (1 << 11) - 1);
    assert_false(atomic_load(&wrong_role));
}

static void count_own_thread(void *argument)
{
    *(pthread_t *)argument = pthread_self();
}

static void without_threads_work_runs_at_once(void **state)
{
    struct worker_pool *pool = worker_pool_new(0, 0);
    pthread_t where = {0};
    worker_submit(pool, count_own_thread, &where);
    assert_true(pthread_equal(where, pthread_self()));
    assert_int_equal(worker_pending(pool), 0);
    worker_pool_free(pool);
}

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    _Atomic bool entered;
    bool open;
};

static void wait_at_gate(void *argument)
{
    struct gate *gate = argument;
    pthread_mutex_lock(&gate->lock);
    atomic_store(&gate->entered, true);
    pthread_cond_broadcast(&gate->opened);
    while (!gate->open)
        pthread_cond_wait(&gate->opened, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

/* Until a worker waits at the gate. */
static void await_entered(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    while (!atomic_load(&gate->entered))
        pthread_cond_wait(&gate->opened, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void nothing(void *argument)
{
}

static void note_thread(void *argument)
{
    *(_Atomic bool *)argument = role_of_thread != ROLE_WORKER;
}

/* With its only worker held up, the queue fills; the next work runs on the submitter. */
static void a_full_queue_slows_the_submitter(void **state)
{
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    struct worker_pool *pool = worker_pool_new(1, 0);
    _Atomic bool on_submitter = false;
    worker_submit(pool, wait_at_gate, &gate);
    await_entered(&gate);
    for (unsigned i = 0; i < WORKER_QUEUE_MAX; i++)
        worker_submit(pool, nothing, NULL);
    assert_int_equal(worker_pending(pool), WORKER_QUEUE_MAX + 1);
    worker_submit(pool, note_thread, &on_submitter);
    assert_true(atomic_load(&on_submitter));
    assert_int_equal(worker_pending(pool), WORKER_QUEUE_MAX + 1);
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.opened);
    pthread_mutex_unlock(&gate.lock);
    worker_pool_free(pool);
}

static void open_gate(void *argument)
{
    struct gate *gate = argument;
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->opened);
    pthread_mutex_unlock(&gate->lock);
}

/* However long one kind of work takes, the other goes on; and each has its own threads. */
static void bulk_work_has_threads_of_its_own(void **state)
{
    void (*const submits[])(struct worker_pool *, void (*)(void *), void *) = {worker_submit,
                                                                               worker_submit_bulk};
    for (unsigned held = 0; held < 2; held++) {
        struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
        struct worker_pool *pool = worker_pool_new(1, 1);
        submits[held](pool, wait_at_gate, &gate);
        /* Opens it, or nobody does. */
        submits[1 - held](pool, open_gate, &gate);
        worker_pool_free(pool);
        assert_true(gate.open);
    }
}

/* The only worker for it does not come to it, so another one does, once it has waited long enough. */
static void bulk_work_that_waits_long_is_done_by_others(void **state)
{
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    struct worker_pool *pool = worker_pool_new(1, 1);
    atomic_store(&done, 0);
    worker_submit_bulk(pool, wait_at_gate, &gate);
    worker_submit_bulk(pool, mark, (void *)0);
    for (unsigned tries = 0; atomic_load(&done) == 0 && tries < 6000; tries++) {
        usleep(10000);
        worker_submit_bulk(pool, nothing, NULL);
    }
    assert_int_equal(atomic_load(&done), 1);
    open_gate(&gate);
    worker_pool_free(pool);
}

/* Also where it has filled its queue, so that no more of it gets in. */
static void bulk_work_that_fills_its_queue_is_done_by_others(void **state)
{
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    struct worker_pool *pool = worker_pool_new(1, 1);
    worker_submit_bulk(pool, wait_at_gate, &gate);
    await_entered(&gate);
    for (unsigned i = 0; i < WORKER_QUEUE_MAX; i++)
        worker_submit_bulk(pool, nothing, NULL);
    for (unsigned tries = 0; worker_pending(pool) > WORKER_QUEUE_MAX / 2 && tries < 1000; tries++) {
        usleep(10000);
        worker_submit_bulk(pool, nothing, NULL);
    }
    assert_in_range(worker_pending(pool), 1, WORKER_QUEUE_MAX / 2);
    open_gate(&gate);
    worker_pool_free(pool);
}

static void without_bulk_threads_the_others_do_all(void **state)
{
    struct worker_pool *pool = worker_pool_new(1, 0);
    pthread_t plain = {0}, bulk = {0};
    worker_submit(pool, count_own_thread, &plain);
    worker_submit_bulk(pool, count_own_thread, &bulk);
    worker_pool_free(pool);
    assert_true(pthread_equal(plain, bulk));
    assert_false(pthread_equal(bulk, pthread_self()));
}

/* A large block is given back by a worker, but counts as free at once. */
static void a_large_block_is_freed_by_a_worker(void **state)
{
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    struct worker_pool *pool = worker_pool_new(1, 0);
    worker_submit(pool, wait_at_gate, &gate);
    await_entered(&gate);
    void *small = mem_alloc(WORKER_FREE_MIN / 2), *large = mem_alloc(WORKER_FREE_MIN);
    size_t before = mem_used(), small_size = mem_usable_size(small), large_size = mem_usable_size(large);
    worker_free(pool, small);
    assert_int_equal(worker_pending(pool), 1);
    assert_int_equal(mem_used(), before - small_size);
    worker_free(pool, large);
    assert_int_equal(worker_pending(pool), 2);
    size_t queued = mem_used(); /* and what the queue takes for it */
    assert_in_range(queued, before - small_size - large_size, before - small_size - large_size + 1024);
    worker_free(pool, NULL);
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.opened);
    pthread_mutex_unlock(&gate.lock);
    worker_pool_free(pool);
    assert_true(mem_used() <= queued); /* counted once */
}

/* ---- In pieces ------------------------------------------------------------------------------------------------------ */

static char *watched; /* a block */
static size_t watched_size;
static _Atomic size_t most_at_once; /* bytes of it that one call has taken from the process */
static _Atomic unsigned takings;    /* calls that have taken some */

/* Whatever of these bytes is in memory. */
static size_t resident_bytes(char *start, size_t size)
{
    static _Thread_local unsigned char pages[16384];
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE), bytes = 0;
    for (size_t at = 0; at < size;) {
        size_t part = size - at < sizeof pages * page_size ? size - at : sizeof pages * page_size;
        if (mincore(start + at, part, pages) != 0)
            return bytes;
        for (size_t i = 0; i < part / page_size; i++)
            bytes += (pages[i] & 1) * page_size;
        at += part;
    }
    return bytes;
}

/* In place of the system's, for the allocator as well. */
int madvise(void *start, size_t size, int advice)
{
    char *begin = start, *end = begin + size;
    if (advice == MADV_DONTNEED && begin < watched + watched_size && end > watched) {
        size_t bytes = resident_bytes(start, size);
        takings += bytes > 0;
        if (bytes > most_at_once)
            most_at_once = bytes;
    }
    return (int)syscall(SYS_madvise, start, size, advice);
}

/* In one piece it would keep everybody else from mapping memory for 10 ms and more. */
static void a_worker_gives_a_large_block_back_piece_by_piece(void **state)
{
    struct worker_pool *pool = worker_pool_new(1, 0);
    watched_size = 64 * MEM_PIECE;
    watched = mem_alloc(watched_size);
    memset(watched, 'x', watched_size);
    worker_free(pool, watched);
    worker_pool_free(pool);
    watched_size = 0;
    assert_in_range(most_at_once, 1, MEM_PIECE);
    assert_true(takings >= 63);
}

static void without_a_pool_blocks_are_freed_at_once(void **state)
{
    size_t before = mem_used();
    worker_free(NULL, mem_alloc(2 * WORKER_FREE_MIN));
    assert_int_equal(mem_used(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_runs_once),
        cmocka_unit_test(work_may_submit_work),
        cmocka_unit_test(without_threads_work_runs_at_once),
        cmocka_unit_test(a_full_queue_slows_the_submitter),
        cmocka_unit_test(bulk_work_has_threads_of_its_own),
        cmocka_unit_test(bulk_work_that_waits_long_is_done_by_others),
        cmocka_unit_test(bulk_work_that_fills_its_queue_is_done_by_others),
        cmocka_unit_test(without_bulk_threads_the_others_do_all),
        cmocka_unit_test(a_large_block_is_freed_by_a_worker),
        cmocka_unit_test(a_worker_gives_a_large_block_back_piece_by_piece),
        cmocka_unit_test(without_a_pool_blocks_are_freed_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
