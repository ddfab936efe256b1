/* The group of all ios: start, number of threads, end, statistics.
 *
 * Principal entry points: io_group_new, io_group_serve, io_group_set_threads, io_group_close_all.
 * Threads: executor, unless io.h says otherwise. */
#include <sched.h>
#include <signal.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/role.h"
#include "config/config.h"
#include "exec/exec.h"
#include "io/conn.h"
#include "io/internal.h"
#include "shm/cpus.h"

static struct io *io_new(struct io_group *group, unsigned index, struct loop *loop)
{
    struct io *io = mem_calloc(1, sizeof *io);
    io->group = group;
    io->index = index;
    io->loop = loop;
    io->port = io_port;
    work_init(&io->work, group->options.clock, clock_thread_cpu_ns);
    chunk_pool_init(&io->chunks_own, IO_CHUNKS_KEPT);
    io->chunks = index ? &io->chunks_own : group->options.exec->chunks;
    list_init(&io->conns);
    list_init(&io->links);
    list_init(&io->links_ready);
    list_init(&io->ready);
    list_init(&io->unsent);
    list_init(&io->sending);
    list_init(&io->stalled);
    list_init(&io->postponed);
    list_init(&io->closing);
    list_init(&io->moving);
    list_init(&io->drains);
    io->drain_timer.fire = io_look_at_drains;
    pinning_init(&io->pinning, &group->pinning);
    io->follow_seed = io->touch_seed = index;
    io->reply_times = mem_calloc(command_count, sizeof *io->reply_times);
    pthread_mutex_init(&io->inbox_lock, NULL);
    if (index) {
        ring_init(&io->to_exec, IO_RING_SLOTS);
        ring_init(&io->from_exec, IO_RING_SLOTS);
        io->heap = heap_new_sibling(group->options.exec->heap);
    }
    return io;
}

static unsigned count_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

struct io_group *io_group_new(const struct io_options *options)
{
    struct io_group *group = mem_calloc(1, sizeof *group);
    group->options = *options;
    group->processors = count_processors();
    group->shm.sessions_max = &options->config->shm_max_sessions;
    group->shm.memory_max = &options->config->shm_max_memory;
    group->shm.spin_us = &options->config->shm_spin_us;
    group->shm.spin_percent = &options->config->shm_spin_cpu;
    group->shm.has_one_processor = shm_usable_cpus() < 2;
    pinning_host_init(&group->pinning, &options->config->tcp_tx_zerocopy, &options->config->io_uring,
                      &options->config->tcp_zerocopy_min_write_size, pinning_memory_max());
    pthread_mutex_init(&group->listeners_lock, NULL);
    group->accepting = true;
    atomic_init(&group->next_client_id, 1);
    group->ios[0] = io_new(group, 0, options->loop);
    group->ios[0]->running = true;
    work_begin(&group->ios[0]->work);
    atomic_init(&group->io_count, 1);
    io_announce_uring(group);
    return group;
}

void io_group_add_listener(struct io_group *group, struct listener *listener)
{
    io_ask(io_acceptor(group), IO_TAKE_LISTENER, listener);
}

void io_group_accept(void *argument, struct stream *stream)
{
    if (conn_admit(argument, stream))
        io_ask_some(argument, IO_TAKE_STREAM, stream);
}

bool io_group_serve(struct io_group *group)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct work *work = &group->ios[0]->work;
    bool some = io_turn(group->ios[0]);
    bool has_threads = atomic_load_explicit(&group->io_count, memory_order_relaxed) > 1;
    if (has_threads)
        work_switch(work, WORK_TAKE);
    some |= io_bridge_serve(group);
    /* While connections move, requests of one side can send to, close and unblock clients of the other. */
    struct io *own = group->ios[0];
    if (!list_is_empty(&own->unsent) || !list_is_empty(&own->closing) || !list_is_empty(&own->stalled))
        some |= io_turn(own);
    if (has_threads)
        work_switch(work, WORK_PUBLISH);
    io_bridge_publish(group);
    work_switch(work, WORK_UPKEEP);
    return some;
}

/* The executor's totals have changed. */
static void note_load(struct io_group *group)
{
    struct work_totals totals;
    work_totals(&group->ios[0]->work, &totals);
    uint64_t idle_ns = work_idle_ns(&totals);
    struct io_load_mark now = {work_busy_ns(&totals) + idle_ns + totals.preempted_ns, idle_ns};
    uint64_t passed_ns = now.passed_ns - group->load_mark.passed_ns;
    if (passed_ns < IO_LOAD_NS)
        return;
    uint64_t busy_ns = passed_ns - (now.idle_ns - group->load_mark.idle_ns);
    atomic_store_explicit(&group->executor_load_percent, (uint32_t)(busy_ns * 100 / passed_ns),
                          memory_order_relaxed);
    group->load_mark = now;
}

void io_group_poll(struct io_group *group, bool some, uint64_t wait_ns)
{
    if (!io_poll(group->ios[0], some, wait_ns))
        return;
    note_load(group);
    io_follow_load(group);
}

bool io_group_must_go_on(const struct io_group *group)
{
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_relaxed);
    for (unsigned i = 1; i < count; i++)
        if (ring_has_some(&group->ios[i]->to_exec))
            return true;
    return io_must_go_on(group->ios[0]);
}

uint64_t io_group_spin_ns(const struct io_group *group)
{
    unsigned active = atomic_load_explicit(&group->active, memory_order_relaxed);
    return active && group->processors > active + 1 ? IO_SPIN_NS : 0;
}

uint64_t io_group_wait_ns(const struct io_group *group)
{
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_relaxed);
    for (unsigned i = 1; i < count; i++)
        if (group->ios[i]->from_exec_overflow.count)
            return IO_RETRY_NS;
    return atomic_load_explicit(&group->executor_load_percent, memory_order_relaxed) ? IO_LOAD_NS
                                                                                     : UINT64_MAX;
}

/* ---- Number of threads ---------------------------------------------------------------------------- */

static enum status start_thread(struct io_group *group, unsigned index)
{
    struct io *io = group->ios[index];
    if (!io) {
        struct loop_options loop_options = {.clock = group->options.clock};
        struct loop *loop;
        if (loop_new(&loop_options, &loop) != ST_OK)
            return ST_IO;
        io = group->ios[index] = io_new(group, index, loop);
        io->direct = exec_expect_reader(group->options.exec, index);
        atomic_store_explicit(&group->io_count, index + 1, memory_order_release);
    }
    if (io->running && io->draining_asked) {
        if (!io_ask(io, IO_STAY, NULL))
            return ST_AGAIN; /* it is ending */
        io->draining_asked = false;
    }
    if (io->running)
        return ST_OK;
    io->draining = io->draining_asked = false;
    pthread_mutex_lock(&io->inbox_lock);
    io->inbox_closed = false;
    pthread_mutex_unlock(&io->inbox_lock);
    /* Signals are the main thread's. */
    sigset_t all, before;
    sigfillset(&all);
    crash_signals_remove(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    heap_attend(io->heap, true);
    int failed = pthread_create(&io->thread, NULL, io_thread_main, io);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        heap_attend(io->heap, false);
        pthread_mutex_lock(&io->inbox_lock);
        io->inbox_closed = true;
        pthread_mutex_unlock(&io->inbox_lock);
        return ST_IO;
    }
    io->running = true;
    return ST_OK;
}

/* Ends the threads that are not wanted: those of a larger number before, and those that were started for a larger
 * number that was given up meanwhile. */
static void drain_surplus(struct io_group *group)
{
    unsigned threads = atomic_load_explicit(&group->threads, memory_order_relaxed);
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_relaxed);
    for (unsigned i = threads + 1; i < count; i++) {
        struct io *io = group->ios[i];
        if (!io->running || io->draining_asked)
            continue;
        io->draining_asked = true;
        io_ask(io, IO_DRAIN, NULL);
    }
}

enum status io_group_set_threads(struct io_group *group, unsigned count, bool always_active)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    unsigned before = atomic_load_explicit(&group->threads, memory_order_relaxed);
    unsigned active = atomic_load_explicit(&group->active, memory_order_relaxed);
    if (count > IO_THREADS_MAX)
        return ST_RANGE;
    for (unsigned i = before + 1; i <= count; i++) {
        enum status status = start_thread(group, i);
        if (status == ST_IO)
            drain_surplus(group);
        if (status != ST_OK)
            return status;
    }
    atomic_store_explicit(&group->threads, count, memory_order_relaxed);
    io_set_active(group, always_active || active > count ? count : active);
    io_follow_begin(group, !always_active);
    drain_surplus(group);
    return ST_OK;
}

unsigned io_group_thread_count(const struct io_group *group)
{
    return atomic_load_explicit(&group->threads, memory_order_relaxed);
}

unsigned io_group_active_count(const struct io_group *group)
{
    return atomic_load_explicit(&group->active, memory_order_relaxed);
}

void io_group_set_direct_unsent_max(struct io_group *group, uint64_t bytes)
{
    atomic_store_explicit(&group->direct_unsent_max, bytes, memory_order_relaxed);
}

uint64_t io_group_active_changes(const struct io_group *group)
{
    return atomic_load_explicit(&group->active_changes, memory_order_relaxed);
}

/* ---- End ------------------------------------------------------------------------------------------ */

static void ask_all(struct io_group *group, enum io_request_kind kind, void *subject)
{
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++)
        if (group->ios[i]->running)
            io_ask(group->ios[i], kind, subject);
}

void io_group_close_listener(struct io_group *group, struct listener *listener)
{
    io_note_unwanted(group, listener);
    ask_all(group, IO_CLOSE_LISTENER, listener);
}

void io_group_stop_accepting(struct io_group *group)
{
    pthread_mutex_lock(&group->listeners_lock);
    group->accepting = false;
    pthread_mutex_unlock(&group->listeners_lock);
    group->follows_load = false;
    ask_all(group, IO_CLOSE_LISTENERS, NULL);
}

void io_group_close_all(struct io_group *group)
{
    ask_all(group, IO_CLOSE_ALL, NULL);
}

uint64_t io_group_connection_count(const struct io_group *group)
{
    return atomic_load_explicit(&group->conn_count, memory_order_relaxed);
}

static void io_done(struct io *io)
{
    ASSERT(list_is_empty(&io->conns) && list_is_empty(&io->drains));
    pinning_end(&io->pinning);
    io_drop_spare(io);
    for (unsigned i = 0; i < command_count; i++)
        mem_free(atomic_load_explicit(&io->reply_times[i], memory_order_relaxed));
    mem_free(io->reply_times);
    io_overflow_done(&io->from_exec_overflow);
    if (io->index) {
        ring_done(&io->to_exec);
        ring_done(&io->from_exec);
        loop_free(io->loop);
    }
    pthread_mutex_destroy(&io->inbox_lock);
    mem_free(io);
}

static unsigned running_threads(const struct io_group *group)
{
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_relaxed), running = 0;
    for (unsigned i = 1; i < count; i++)
        running += group->ios[i]->running;
    return running;
}

void io_group_free(struct io_group *group)
{
    pinning_pause(&group->pinning, false);
    atomic_store_explicit(&group->is_ending, true, memory_order_relaxed);
    (void)io_group_set_threads(group, 0, true);
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_relaxed);
    while (io_group_connection_count(group) || group->links_known || running_threads(group) ||
           !list_is_empty(&group->ios[0]->drains)) {
        /* Repeated: a connection may have been on its way from one io to another. */
        ask_all(group, IO_DROP_ALL, NULL);
        while (io_group_serve(group))
            ;
        loop_poll(group->options.loop, IO_TICK_NS / 10);
    }
    io_group_serve(group); /* requests that are still in io 0's inbox */
    for (unsigned i = 0; i < count; i++)
        io_done(group->ios[i]);
    pthread_mutex_destroy(&group->listeners_lock);
    mem_free(group);
}

/* ---- Statistics ----------------------------------------------------------------------------------- */

static void add_counters(const struct io *io, struct io_totals *totals)
{
    const struct io_counters *counters = &io->counters;
    totals->bytes_in += atomic_load_explicit(&counters->bytes_in, memory_order_relaxed);
    totals->bytes_out += atomic_load_explicit(&counters->bytes_out, memory_order_relaxed);
    totals->reads += atomic_load_explicit(&counters->reads, memory_order_relaxed);
    totals->writes += atomic_load_explicit(&counters->writes, memory_order_relaxed);
    totals->requests += atomic_load_explicit(&counters->requests, memory_order_relaxed);
    totals->connections += atomic_load_explicit(&counters->connections, memory_order_relaxed);
}

void io_group_pinning_totals(const struct io_group *group, struct pinning_totals *ret_totals)
{
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_acquire);
    pinning_begin_totals(&group->pinning, ret_totals);
    for (unsigned i = 0; i < count; i++)
        pinning_add_totals(&group->ios[i]->pinning, ret_totals);
}

void io_group_pin_loopback(struct io_group *group, bool is_allowed)
{
    atomic_store_explicit(&group->pinning.for_loopback, is_allowed, memory_order_relaxed);
}

void io_group_pause_pins(struct io_group *group, bool is_paused)
{
    pinning_pause(&group->pinning, is_paused);
}

void io_group_shm_totals(const struct io_group *group, struct shm_totals *ret_totals)
{
    shm_host_totals(&group->shm, ret_totals);
}

void io_group_thread_totals(const struct io_group *group, unsigned index, struct io_totals *ret_totals)
{
    *ret_totals = (struct io_totals){0};
    if (index >= atomic_load_explicit(&group->io_count, memory_order_acquire))
        return;
    add_counters(group->ios[index], ret_totals);
    work_totals(&group->ios[index]->work, &ret_totals->work);
}

unsigned io_group_executor_load(const struct io_group *group)
{
    return atomic_load_explicit(&group->executor_load_percent, memory_order_relaxed);
}

void io_group_totals(const struct io_group *group, struct io_totals *ret_totals)
{
    *ret_totals =
        (struct io_totals){.rejected = atomic_load_explicit(&group->rejected, memory_order_relaxed),
                           .query_closed = atomic_load_explicit(&group->query_closed, memory_order_relaxed)};
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        add_counters(group->ios[i], ret_totals);
}
