/* An io's turn: what the executor answered, requests from other threads, ready connections, output, ends.
 *
 * Principal entry points: io_turn (also called by the executor for io 0), io_thread_main, io_ask.
 * Threads: the owner of the io; io_ask: any.
 *
 * The order within a turn is: read everything that is ready, parse it all, execute, write everything. io 0 executes
 * and writes whenever IO_BATCH_REQUESTS have come together, so that buffers are used again while they are still in
 * the cache. */
#include "io/internal.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/role.h"
#include "base/scheduling.h"
#include "config/config.h"
#include "exec/exec.h"
#include "io/conn.h"

#define TRIM_TICK_SLABS 8 /* that go back to the system in each tick: half a megabyte */

/* ---- Inbox ---------------------------------------------------------------------------------------- */

bool io_ask(struct io *io, enum io_request_kind kind, void *subject)
{
    struct io_request *request = mem_alloc(sizeof *request);
    *request = (struct io_request){.kind = kind, .subject = subject};
    pthread_mutex_lock(&io->inbox_lock);
    bool open = !io->inbox_closed;
    if (open) {
        if (io->inbox_tail)
            io->inbox_tail->next = request;
        else
            io->inbox_head = request;
        io->inbox_tail = request;
        atomic_store_explicit(&io->inbox_filled, true, memory_order_release);
    }
    pthread_mutex_unlock(&io->inbox_lock);
    if (!open) {
        mem_free(request);
        return false;
    }
    loop_wake(io->loop);
    return true;
}

void io_ask_some(struct io_group *group, enum io_request_kind kind, void *subject)
{
    while (!io_ask(group->ios[io_choose(group)], kind, subject))
        ;
}

struct io *io_acceptor(struct io_group *group)
{
    return group->ios[atomic_load_explicit(&group->active, memory_order_acquire) ? 1 : 0];
}

void io_note_unwanted(struct io_group *group, struct listener *listener)
{
    pthread_mutex_lock(&group->listeners_lock);
    ASSERT(group->unwanted_count < IO_LISTENERS_MAX);
    group->unwanted[group->unwanted_count++] = listener;
    pthread_mutex_unlock(&group->listeners_lock);
}

bool io_take_unwanted(struct io_group *group, struct listener *listener)
{
    pthread_mutex_lock(&group->listeners_lock);
    bool unwanted = !group->accepting;
    for (unsigned i = 0; i < group->unwanted_count; i++) {
        if (group->unwanted[i] == listener) {
            group->unwanted[i] = group->unwanted[--group->unwanted_count];
            unwanted = true;
        }
    }
    pthread_mutex_unlock(&group->listeners_lock);
    return unwanted;
}

static void take_listener(struct io *io, struct listener *listener)
{
    if (io_take_unwanted(io->group, listener)) {
        listener->close(listener); /* it was on its way here when that was decided */
        return;
    }
    if (io->listener_count == IO_LISTENERS_MAX || listener->attach(listener, io->loop) != ST_OK) {
        log_write(io->group->options.log, LOG_WARNING, "a listening socket cannot be watched; it is closed");
        listener->close(listener);
        return;
    }
    io->listeners[io->listener_count++] = listener;
}

static void give_listeners(struct io *io)
{
    while (io->listener_count && io_acceptor(io->group) != io) {
        struct listener *listener = io->listeners[--io->listener_count];
        listener->detach(listener);
        while (!io_ask(io_acceptor(io->group), IO_TAKE_LISTENER, listener))
            ;
    }
}

static void close_listener(struct io *io, struct listener *listener)
{
    for (unsigned i = 0; i < io->listener_count; i++) {
        if (io->listeners[i] == listener) {
            (void)io_take_unwanted(io->group, listener);
            listener->close(listener);
            io->listeners[i] = io->listeners[--io->listener_count];
            return;
        }
    }
}

static void close_listeners(struct io *io)
{
    while (io->listener_count) {
        struct listener *listener = io->listeners[--io->listener_count];
        listener->close(listener);
    }
}

static void close_all(struct io *io)
{
    list_for_each(&io->conns, node) conn_finish(list_entry(node, struct conn, in_conns));
}

static void drop_all(struct io *io)
{
    list_for_each(&io->conns, node) conn_end(list_entry(node, struct conn, in_conns));
    io_drop_links(io);
}

static void carry_out(struct io *io, const struct io_request *request)
{
    switch (request->kind) {
    case IO_TAKE_STREAM:
        conn_new(io, request->subject);
        io_spread(io); /* it may have been on its way here since before others became active */
        break;
    case IO_TAKE_CONN:
        conn_arrive(request->subject, io);
        io_spread(io);
        break;
    case IO_TAKE_LISTENER: take_listener(io, request->subject); break;
    case IO_GIVE_LISTENERS: give_listeners(io); break;
    case IO_SPREAD: io_spread(io); break;
    case IO_DRAIN:
        io->draining = true;
        io_drop_links(io);
        give_listeners(io);
        io_spread(io);
        break;
    case IO_STAY: io->draining = false; break;
    case IO_CLOSE_ALL:
        /* What the executor published before it asked still goes out: the inbox may have overtaken the ring. */
        if (io->index != 0)
            io_take_answers(io);
        close_all(io);
        break;
    case IO_DROP_ALL: drop_all(io); break;
    case IO_CLOSE_LISTENER: close_listener(io, request->subject); break;
    case IO_CLOSE_LISTENERS: close_listeners(io); break;
    }
}

static bool take_inbox(struct io *io)
{
    if (likely(!atomic_load_explicit(&io->inbox_filled, memory_order_acquire)))
        return false;
    pthread_mutex_lock(&io->inbox_lock);
    struct io_request *request = io->inbox_head;
    io->inbox_head = io->inbox_tail = NULL;
    atomic_store_explicit(&io->inbox_filled, false, memory_order_relaxed);
    pthread_mutex_unlock(&io->inbox_lock);
    while (request) {
        struct io_request *next = request->next;
        carry_out(io, request);
        mem_free(request);
        request = next;
    }
    return true;
}

/* ---- One turn ------------------------------------------------------------------------------------- */

static void send_unsent(struct io *io)
{
    struct exec *exec = io->group->options.exec;
    if (list_is_empty(&io->unsent))
        return;
    uint64_t begin_ticks = clock_ticks(exec->clock);
    enum work_stage stage = work_switch_at(&io->work, WORK_SEND, begin_ticks);
    while (!list_is_empty(&io->unsent)) {
        struct conn *conn = list_entry(io->unsent.next, struct conn, in_unsent);
        list_remove(&conn->in_unsent);
        if (!conn_postpone(conn))
            conn_send(conn);
    }
    uint64_t end_ticks = clock_ticks(exec->clock);
    work_switch_at(&io->work, stage, end_ticks);
    if (unlikely(end_ticks - begin_ticks >= exec->blame.span_ticks) && io->index == 0)
        blame_task(exec, "sending", begin_ticks, end_ticks); /* requests wait for it */
}

static bool resume_sending(struct io *io)
{
    bool some = !list_is_empty(&io->sending);
    while (!list_is_empty(&io->sending)) {
        struct conn *conn = list_entry(io->sending.next, struct conn, in_sending);
        list_remove(&conn->in_sending);
        conn_mark_unsent(conn);
    }
    return some;
}

static bool serve_ready(struct io *io)
{
    struct io_group *group = io->group;
    bool some = !list_is_empty(&io->ready);
    while (!list_is_empty(&io->ready)) {
        struct conn *conn = list_entry(io->ready.next, struct conn, in_ready);
        list_remove(&conn->in_ready);
        unsigned events = conn->ready_events;
        conn->ready_events = 0;
        if (unlikely(events & STREAM_UNPINNED))
            conn_note_unpinned(conn);
        if (events & STREAM_CAN_SEND && conn->send_blocked)
            conn_send(conn);
        if (events & STREAM_CAN_RECV)
            conn_receive(conn);
        if (unlikely(events & STREAM_AT_END))
            conn_hang_up(conn);
        if (io->index == 0 && group->batch_requests >= IO_BATCH_REQUESTS) {
            io_execute_batch(group);
            send_unsent(io);
        }
    }
    return some;
}

/* Connections whose parsing was halted and may go on. */
static bool resume_stalled(struct io *io)
{
    struct list_node waiting;
    if (likely(list_is_empty(&io->stalled)) || !io_has_room(io))
        return false;
    /* A connection that stalls again goes to the end of the list and waits for the next turn. */
    list_init(&waiting);
    while (!list_is_empty(&io->stalled)) {
        struct list_node *node = io->stalled.next;
        list_remove(node);
        list_append(&waiting, node);
    }
    while (!list_is_empty(&waiting)) {
        struct conn *conn = list_entry(waiting.next, struct conn, in_stalled);
        list_remove(&conn->in_stalled);
        conn_parse(conn);
    }
    return true;
}

/* Asks the executor about connections that are to move. */
static bool ask_to_move(struct io *io)
{
    bool some = false;
    while (!list_is_empty(&io->moving)) {
        struct conn *conn = list_entry(io->moving.next, struct conn, in_moving);
        list_remove(&conn->in_moving);
        io_tell(io, IO_MOVE, conn);
        some = true;
    }
    return some;
}

/* Tells the executor of connections that have ended. */
static bool report_closed(struct io *io)
{
    bool some = false;
    while (!list_is_empty(&io->closing)) {
        struct conn *conn = list_entry(io->closing.next, struct conn, in_closing);
        list_remove(&conn->in_closing);
        io_tell(io, IO_CLOSED, conn);
        some = true;
    }
    return some;
}

/* Negative for a connection that moved here in this turn and was active after it began. */
static int64_t silence_ns(const struct conn *conn)
{
    return (int64_t)(conn->io->now_ns - conn->active_ns);
}

/* Closes connections that have been silent for longer than `timeout`. */
static void close_idle(struct io *io)
{
    int64_t timeout_s = io->group->options.config->timeout;
    if (timeout_s <= 0)
        return;
    list_for_each(&io->conns, node)
    {
        struct conn *conn = list_entry(node, struct conn, in_conns);
        if (conn->state == CONN_OPEN && conn->outstanding == 0 &&
            !atomic_load_explicit(&conn->shared.exempt_from_idle_timeout, memory_order_relaxed) &&
            silence_ns(conn) > timeout_s * 1000000000) {
            log_write(io->group->options.log, LOG_VERBOSE, "client id=%llu closed: idle",
                      (unsigned long long)conn->shared.id);
            conn_end(conn);
        }
    }
}

/* Closes connections that are at their end, but whose last answers do not come, or are not taken. */
static void close_lingering(struct io *io)
{
    if (io->lingering == 0)
        return;
    list_for_each(&io->conns, node)
    {
        struct conn *conn = list_entry(node, struct conn, in_conns);
        if (unlikely(conn->lingers) && conn->state != CONN_MOVING && silence_ns(conn) > CONN_LINGER_NS)
            conn_end(conn);
    }
}

bool io_turn(struct io *io)
{
    io->now_ns = clock_monotonic_ns(io->group->options.clock);
    bool some = take_inbox(io);
    if (io->index != 0)
        some |= io_take_answers(io);
    some |= resume_sending(io);
    if (!list_is_empty(&io->ready) || !list_is_empty(&io->stalled)) {
        work_switch(&io->work, WORK_RECEIVE);
        some |= serve_ready(io);
        some |= resume_stalled(io);
    }
    if (unlikely(!list_is_empty(&io->links_ready)))
        some |= io_serve_links(io);
    if (io->index == 0)
        io_execute_batch(io->group);
    conn_end_postponing(io);
    send_unsent(io);
    bool tick = io->now_ns >= io->next_tick_ns;
    if (tick) {
        io->next_tick_ns = io->now_ns + IO_TICK_NS;
        close_idle(io);
        close_lingering(io);
        io_settle_pins(io);
        io_rest(io);
        if (io->heap) {
            heap_collect(io->heap);
            heap_trim(io->heap, TRIM_TICK_SLABS);
        }
    }
    if (unlikely(io->spreading))
        some |= io_spread_step(io, tick);
    some |= ask_to_move(io);
    some |= report_closed(io);
    if (some)
        work_switch(&io->work, WORK_PUBLISH);
    io_publish(io);
    return some;
}

/* Nothing is left that a draining io owns. */
static bool is_drained(const struct io *io)
{
    return io->draining && list_is_empty(&io->conns) && list_is_empty(&io->closing) && !io->outstanding &&
           !io->to_exec_overflow.count &&
           !atomic_load_explicit(&io->counters.connections, memory_order_relaxed) && !io->listener_count &&
           !io->unforgotten && list_is_empty(&io->drains) &&
           !atomic_load_explicit(&io->link_count, memory_order_acquire);
}

bool io_must_go_on(const struct io *io)
{
    if (unlikely(io->draining) && is_drained(io))
        return true; /* to its end, unless something has come meanwhile */
    if (unlikely(!list_is_empty(&io->stalled)) && io_has_room(io))
        return true;
    if (unlikely(!list_is_empty(&io->sending) || !list_is_empty(&io->links_ready) ||
                 (io->spreading && !io->spread_rests)))
        return true;
    return io->index != 0 && ring_has_some(&io->from_exec);
}

bool io_poll(struct io *io, bool some, uint64_t wait_ns)
{
    uint64_t spun_ticks = loop_spun_ticks(io->loop);
    work_turn_end(&io->work, some);
    loop_poll(io->loop, wait_ns);
    return work_polled(&io->work, wait_ns != 0, loop_spun_ticks(io->loop) - spun_ticks,
                       io->index ? WORK_TAKE : WORK_UPKEEP);
}

/* ---- Threads -------------------------------------------------------------------------------------- */

/* A draining io may end when nothing is left that it owns and nobody can give it anything any more. */
static bool may_exit(struct io *io)
{
    if (!is_drained(io))
        return false;
    pthread_mutex_lock(&io->inbox_lock);
    bool empty = io->inbox_head == NULL;
    io->inbox_closed = empty;
    pthread_mutex_unlock(&io->inbox_lock);
    return empty;
}

/* Where there is no processor to spare for the executor, waking it for a few runs costs it as much as executing them, and takes the
 * processor from this thread, which has more for it in a moment. So the bell waits while turns find something to do, unless
 * little is going on, or every connection has something at the executor and is likely to wait for that. */
static bool may_ring_later(const struct io *io, bool some, uint64_t now_ns)
{
    return some && io->outstanding >= IO_BELL_RUNS && io_group_spin_ns(io->group) == 0 &&
           io->outstanding < atomic_load_explicit(&io->counters.connections, memory_order_relaxed) &&
           now_ns - io->owes_bell_since_ns < IO_BELL_NS;
}

void *io_thread_main(void *argument)
{
    struct io *io = argument;
    struct io_group *group = io->group;
    uint64_t spin_until_ns = 0;
    char name[16];
    role_set(ROLE_IO);
    snprintf(name, sizeof name, "skua-io-%u", io->index);
    crash_thread_enter(name);
    (void)scheduling_prompt();
    work_begin(&io->work);
    while (!may_exit(io)) {
        bool some = io_turn(io);
        uint64_t end_ns = clock_monotonic_ns(group->options.clock);
        if (some)
            spin_until_ns = end_ns + (io->outstanding ? io_group_spin_ns(group) : 0);
        bool rang = !may_ring_later(io, some, end_ns) && io_ring(io);
        bool go_on = end_ns < spin_until_ns || io->owes_bell || io_must_go_on(io);
        uint64_t wait_ns = !list_is_empty(&io->postponed) ? CONN_POSTPONED_NS
                           : !io_has_room(io)             ? IO_RETRY_NS
                           : list_is_empty(&io->conns)    ? IO_IDLE_NS
                                                          : IO_TICK_NS;
        io_poll(io, some || rang, go_on ? 0 : wait_ns);
    }
    pinning_end(&io->pinning);
    chunk_pool_done(&io->chunks_own);
    crash_thread_leave();
    io_tell(io, IO_EXITED, io);
    io_publish(io);
    io_ring(io);
    return NULL;
}
