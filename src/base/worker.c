/* The pool of worker threads.
 *
 * Principal entry points: worker_pool_new, worker_pool_new_stepped, worker_submit, worker_submit_bulk, worker_free, worker_pool_free.
 * Threads: any may submit, also a worker from within its work.
 *
 * W1  A lane's `queued` is the length of its list from `first` to `last`, at most WORKER_QUEUE_MAX.
 * W2  pending counts work from its submission to its end; it is raised before the work can be seen by a
 *     worker and lowered (release) after the work's last step.
 * W3  Bulk work that has waited for BULK_WAIT_NS is taken by the other workers, too: where every processor is busy, memory that is to
 *     be freed does not pile up. They look whenever they wake, and are woken by the submission of more of it. */
#include "base/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/crash.h"
#include "base/macros.h"
#include "base/role.h"
#include "base/scheduling.h"

#define PAUSE_NS     50000
#define BULK_WAIT_NS UINT64_C(1000000000)

struct job {
    struct job *next;
    uint64_t since_ns; /* of bulk work: W3 */
    void (*work)(void *argument);
    void *argument;
};

/* Work, and the threads that do it. */
struct lane {
    struct worker_pool *pool;
    pthread_cond_t some; /* with lock: the queue is not empty, or ending */
    struct job *first;   /* lock */
    struct job *last;    /* lock */
    uint32_t queued;     /* lock */
    uint32_t sleeping;   /* lock; threads in pthread_cond_wait */
    bool gives_way;      /* fixed */
};

struct worker_pool {
    pthread_mutex_t lock;
    bool ending; /* lock */
    _Atomic uint64_t pending;
    struct lane plain;
    struct lane bulk;
    bool is_stepped;       /* fixed */
    bool has_bulk;         /* fixed; if not, all work goes to the plain lane */
    unsigned thread_count; /* fixed; those of the bulk lane are the last */
    pthread_t threads[];   /* fixed */
};

static _Thread_local bool is_pool_thread;

static uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool is_overdue(const struct lane *bulk)
{
    return bulk->first != NULL && monotonic_ns() - bulk->first->since_ns >= BULK_WAIT_NS;
}

static struct job *take_job(struct lane *lane)
{
    struct job *job = lane->first;
    if (job == NULL)
        return NULL;
    lane->first = job->next;
    if (lane->first == NULL)
        lane->last = NULL;
    lane->queued--;
    return job;
}

/* The next work for a thread of the lane. */
static struct job *next_job(struct lane *lane)
{
    struct lane *bulk = &lane->pool->bulk;
    struct job *job = take_job(lane);
    return job == NULL && lane != bulk && is_overdue(bulk) ? take_job(bulk) : job;
}

static void run_job(struct worker_pool *pool, void (*work)(void *argument), void *argument)
{
    work(argument);
    atomic_fetch_sub_explicit(&pool->pending, 1, memory_order_release);
}

static void *worker_main(void *argument)
{
    struct lane *lane = argument;
    struct worker_pool *pool = lane->pool;
    role_set(ROLE_WORKER);
    crash_thread_enter(lane->gives_way ? "skua-bulk" : "skua-worker");
    if (lane->gives_way)
        (void)scheduling_bulk();
    is_pool_thread = true;
    mem_free_in_pieces(worker_pause);
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct job *job = next_job(lane);
        if (job == NULL) {
            if (pool->ending)
                break;
            lane->sleeping++;
            pthread_cond_wait(&lane->some, &pool->lock);
            lane->sleeping--;
            continue;
        }
        pthread_mutex_unlock(&pool->lock);
        struct job copy = *job;
        mem_free(job);
        run_job(pool, copy.work, copy.argument);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    crash_thread_leave();
    return NULL;
}

static void lane_init(struct lane *lane, struct worker_pool *pool, bool gives_way)
{
    lane->pool = pool;
    lane->gives_way = gives_way;
    pthread_cond_init(&lane->some, NULL);
}

/* How many of them have been started. */
static unsigned lane_start(struct lane *lane, unsigned thread_count)
{
    struct worker_pool *pool = lane->pool;
    unsigned started = 0;
    while (started < thread_count &&
           pthread_create(&pool->threads[pool->thread_count], NULL, worker_main, lane) == 0) {
        started++;
        pool->thread_count++;
    }
    return started;
}

struct worker_pool *worker_pool_new(unsigned thread_count, unsigned bulk_thread_count)
{
    struct worker_pool *pool =
        mem_calloc(1, sizeof(*pool) + (thread_count + bulk_thread_count) * sizeof(pool->threads[0]));
    pthread_mutex_init(&pool->lock, NULL);
    lane_init(&pool->plain, pool, false);
    lane_init(&pool->bulk, pool, true);
    /* Signals belong to the main thread: workers inherit a mask that blocks all but those of a crash. */
    sigset_t all, before;
    sigfillset(&all);
    crash_signals_remove(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)lane_start(&pool->plain, thread_count);
    pool->has_bulk = lane_start(&pool->bulk, bulk_thread_count) > 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pool;
}

struct worker_pool *worker_pool_new_stepped(void)
{
    struct worker_pool *pool = worker_pool_new(0, 0);
    pool->is_stepped = true;
    return pool;
}

bool worker_pool_is_stepped(const struct worker_pool *pool)
{
    return pool->is_stepped;
}

bool worker_pool_step(struct worker_pool *pool)
{
    ASSERT(pool->is_stepped);
    struct job *job = take_job(&pool->plain);
    if (job == NULL)
        return false;
    unsigned roles = role_of_thread;
    role_set(ROLE_WORKER);
    run_job(pool, job->work, job->argument);
    role_set(roles);
    mem_free(job);
    return true;
}

void worker_pool_free(struct worker_pool *pool)
{
    while (pool->is_stepped && worker_pool_step(pool))
        ;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->plain.some);
    pthread_cond_broadcast(&pool->bulk.some);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    ASSERT(pool->plain.first == NULL && pool->bulk.first == NULL);
    pthread_cond_destroy(&pool->plain.some);
    pthread_cond_destroy(&pool->bulk.some);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool);
}

static void submit(struct worker_pool *pool, struct lane *lane, void (*work)(void *argument), void *argument)
{
    atomic_fetch_add_explicit(&pool->pending, 1, memory_order_relaxed);
    if (pool->thread_count == 0 && !pool->is_stepped) {
        run_job(pool, work, argument);
        return;
    }
    struct job *job = mem_alloc(sizeof(*job));
    *job = (struct job){.work = work, .argument = argument};
    if (lane == &pool->bulk)
        job->since_ns = monotonic_ns();
    pthread_mutex_lock(&pool->lock);
    bool full = lane->queued >= WORKER_QUEUE_MAX;
    bool wake = !full && lane->sleeping > 0;
    bool needs_help = is_overdue(&pool->bulk) && pool->plain.sleeping > 0; /* W3 */
    if (!full) {
        if (lane->last)
            lane->last->next = job;
        else
            lane->first = job;
        lane->last = job;
        lane->queued++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (unlikely(needs_help))
        pthread_cond_signal(&pool->plain.some);
    if (full) {
        mem_free(job);
        run_job(pool, work, argument);
        return;
    }
    if (wake)
        pthread_cond_signal(&lane->some);
}

void worker_submit(struct worker_pool *pool, void (*work)(void *argument), void *argument)
{
    submit(pool, &pool->plain, work, argument);
}

void worker_submit_bulk(struct worker_pool *pool, void (*work)(void *argument), void *argument)
{
    submit(pool, pool->has_bulk ? &pool->bulk : &pool->plain, work, argument);
}

/* A nap, not sched_yield, by which the scheduler may well go on with this thread. */
void worker_pause(void)
{
    static const struct timespec nap = {.tv_nsec = PAUSE_NS};
    if (is_pool_thread)
        nanosleep(&nap, NULL);
}

/* A block that does not count as used memory any more. */
static void free_discounted(void *block)
{
    mem_account((int64_t)mem_usable_size(block));
    mem_free(block);
}

void worker_free(struct worker_pool *pool, void *block)
{
    size_t size = mem_usable_size(block);
    if (likely(pool == NULL || size < WORKER_FREE_MIN)) {
        mem_free(block);
        return;
    }
    mem_account(-(int64_t)size);
    worker_submit_bulk(pool, free_discounted, block);
}

uint64_t worker_pending(struct worker_pool *pool)
{
    return atomic_load_explicit(&pool->pending, memory_order_acquire);
}
