/* The bridge between the I/O threads and the executor: rings, their messages, and moving connections.
 *
 * Principal entry points: io_tell, io_publish, io_ring, io_take_answers (I/O thread); io_bridge_serve, io_port (executor).
 * Threads: said at each section. io 0 runs on the executor's thread: its half of the bridge is plain calls.
 *
 * B1  A ring has one producer and one consumer; what does not fit waits in the producer's overflow queue, in
 *     order, so the executor never waits for an I/O thread and no message is lost.
 * B2  Overflow is bounded: an I/O thread stops parsing when its ring is full (io_has_room), and all else is at
 *     most a few messages per connection; the executor's answers are bounded by the runs outstanding, its pushes
 *     by the clients' output limits.
 *     While something waits, its producer sleeps for IO_RETRY_NS at most: nobody rings when a ring has room again.
 * B3  Whoever publishes rings the other's bell afterwards; loop_wake makes a system call only if the other may be
 *     asleep. An I/O thread rings before it sleeps, and IO_BELL_NS behind publishing at the latest (thread.c).
 *
 * How a connection moves from one io to another (conn.h has the states):
 *
 * | step | who      | does                                                                             |
 * |------|----------|----------------------------------------------------------------------------------|
 * | 1    | old io   | stops reading, tells IO_MOVE                                                      |
 * | 2    | executor | hands over the client's output, holds back all later (CLIENT_MOVING), says        |
 * |      |          | IO_MOVED: the last message about it through the old ring                          |
 * | 3    | old io   | detaches the stream, puts the connection into the new io's inbox                  |
 * | 4    | new io   | attaches the stream, tells IO_ADOPTED, then goes on parsing                       |
 * | 5    | executor | from now on speaks to it through the new io's ring, sends what was held back      |
 *
 * Runs that are parked at the executor stay parked during the move, and are answered through the new io. */
#include "io/internal.h"

#include "base/alloc.h"
#include "base/bug.h"
#include "base/role.h"
#include "exec/client.h"
#include "exec/exec.h"
#include "io/conn.h"

#define EXPECT_AHEAD 2 /* messages whose subjects are on their way from the other core */

/* ---- Messages ------------------------------------------------------------------------------------- */

static void *message_make(enum io_message message, void *subject)
{
    return (void *)((uintptr_t)subject | (uintptr_t)message);
}

static enum io_message message_kind(void *message)
{
    return (enum io_message)((uintptr_t)message & IO_MESSAGE_MASK);
}

static void *message_subject(void *message)
{
    return (void *)((uintptr_t)message & ~IO_MESSAGE_MASK);
}

struct run *io_message_run(void *message)
{
    return message_kind(message) == IO_RUN ? message_subject(message) : NULL;
}

static void overflow_push(struct io_overflow *overflow, void *message)
{
    if (overflow->first + overflow->count == overflow->capacity) {
        if (overflow->first > overflow->count) {
            memmove(overflow->items, overflow->items + overflow->first,
                    overflow->count * sizeof *overflow->items);
            overflow->first = 0;
        } else {
            overflow->capacity = overflow->capacity ? overflow->capacity * 2 : 64;
            overflow->items = mem_realloc(overflow->items, overflow->capacity * sizeof *overflow->items);
        }
    }
    overflow->items[overflow->first + overflow->count++] = message;
}

void io_overflow_done(struct io_overflow *overflow)
{
    mem_free(overflow->items);
    *overflow = (struct io_overflow){0};
}

/* Producer: what waited goes first. */
static void ring_refill(struct ring *ring, struct io_overflow *overflow)
{
    while (overflow->count && ring_push(ring, overflow->items[overflow->first])) {
        overflow->first++;
        overflow->count--;
    }
    if (!overflow->count)
        overflow->first = 0;
}

static void ring_send(struct ring *ring, struct io_overflow *overflow, void *message)
{
    if (likely(!overflow->count) && likely(ring_push(ring, message)))
        return;
    overflow_push(overflow, message);
}

/* ---- Executor: what it says ------------------------------------------------------------------------ */

/* Says what has been held back. */
static void let_output_go(struct io *io)
{
    struct chunk *output = io->output_held;
    io->output_held = NULL;
    ring_send(&io->from_exec, &io->from_exec_overflow, message_make(IO_OUTPUT, output));
}

static void answer(struct io *io, enum io_message message, void *subject)
{
    if (unlikely(io->output_held != NULL))
        let_output_go(io);
    ring_send(&io->from_exec, &io->from_exec_overflow, message_make(message, subject));
}

/* ---- Executor: what the ios tell ------------------------------------------------------------------- */

void io_execute_batch(struct io_group *group)
{
    unsigned count = group->batch_count;
    if (!count)
        return;
    group->batch_count = 0;
    group->batch_requests = 0;
    struct work *work = &group->ios[0]->work;
    enum work_stage stage = work_switch(work, WORK_EXECUTE);
    exec_run_batch(group->options.exec, group->batch, count);
    work_switch(work, stage);
}

static void batch_add(struct io_group *group, struct io *io, struct run *run)
{
    run->client = run->conn->client;
    if (io->index != 0)
        exec_expect_run(run);
    group->batch[group->batch_count++] = run;
    group->batch_requests += run->count;
    if (group->batch_count == IO_BATCH_RUNS)
        io_execute_batch(group);
}

/* Step 2 of a move. */
static void executor_let_go(struct io_group *group, struct io *io, struct conn *conn)
{
    exec_client_departs(group->options.exec, conn->client);
    if (io->index == 0)
        conn_depart(conn);
    else
        answer(io, IO_MOVED, conn);
}

/* Step 5 of a move. */
static void executor_adopt(struct io_group *group, struct io *io, struct conn *conn)
{
    exec_client_arrived(group->options.exec, conn->client, &io->port);
}

static void executor_hear(struct io *io, enum io_message message, void *subject)
{
    struct io_group *group = io->group;
    struct exec *exec = group->options.exec;
    struct conn *conn = subject;
    if (likely(message == IO_RUN)) {
        batch_add(group, io, subject);
        return;
    }
    if (message == IO_REPLIED) {
        struct io_report *report = subject;
        if (exec->hooks.replied)
            exec->hooks.replied(exec->hooks.context, report->report, report->reply_ns);
        mem_free(report);
        return;
    }
    /* Everything else comes after the requests before it. */
    io_execute_batch(group);
    switch (message) {
    case IO_OPENED: conn->client = exec_client_opened(exec, &io->port, conn, &conn->shared); break;
    case IO_CLOSED:
        conn->client->port = &io->port;
        exec_client_closed(exec, conn->client);
        break;
    case IO_MOVE: executor_let_go(group, io, conn); break;
    case IO_ADOPTED: executor_adopt(group, io, conn); break;
    case IO_LINK: io_executor_hear_link(subject); break;
    case IO_EXITED:
        pthread_join(io->thread, NULL); /* it said so as its last act */
        io->running = false;
        heap_attend(io->heap, false);
        io_drop_spare(io);
        break;
    default: BUG("io message %d", message);
    }
}

/* Takes at most one ring's worth, so that one busy io does not keep the others waiting. */
static bool executor_drain(struct io *io)
{
    unsigned taken = 0;
    void *message;
    while (taken < IO_RING_SLOTS && (message = ring_pop(&io->to_exec))) {
        const void *later = ring_peek(&io->to_exec, EXPECT_AHEAD);
        if (later)
            prefetch_write(message_subject((void *)later));
        executor_hear(io, message_kind(message), message_subject(message));
        taken++;
    }
    if (taken)
        ring_retire(&io->to_exec);
    return taken > 0;
}

bool io_bridge_serve(struct io_group *group)
{
    bool some = false;
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_relaxed);
    for (unsigned i = 1; i < count; i++)
        if (group->ios[i]->running)
            some |= executor_drain(group->ios[i]);
    io_execute_batch(group);
    return some;
}

void io_bridge_publish(struct io_group *group)
{
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_relaxed);
    for (unsigned i = 1; i < count; i++) {
        struct io *io = group->ios[i];
        if (unlikely(io->output_held != NULL))
            let_output_go(io);
        ring_refill(&io->from_exec, &io->from_exec_overflow);
        if (ring_publish(&io->from_exec))
            loop_wake(io->loop);
    }
}

/* ---- Executor: what it answers ---------------------------------------------------------------------- */

static struct io *io_of(struct port *port)
{
    return container_of(port, struct io, port);
}

static void port_output(struct port *port, struct conn *conn, struct chunk_list *bytes)
{
    struct io *io = io_of(port);
    if (io->index == 0) {
        conn_queue_output(conn, bytes);
        return;
    }
    bytes->head->route = conn;
    if (unlikely(io->output_held != NULL))
        let_output_go(io);
    io->output_held = bytes->head; /* the run that it answers follows, mostly: one message for both */
    *bytes = (struct chunk_list){0};
}

static void port_run_done(struct port *port, struct run *run)
{
    struct io *io = io_of(port);
    if (io->index == 0) {
        conn_run_done(run->conn, run);
        return;
    }
    run->output = NULL;
    if (likely(io->output_held != NULL) && likely(io->output_held->route == run->conn)) {
        run->output = io->output_held;
        io->output_held = NULL;
    }
    answer(io, IO_RUN_DONE, run);
}

static void port_close(struct port *port, struct conn *conn, enum close_how how)
{
    struct io *io = io_of(port);
    if (io->index != 0)
        answer(io, how == CLOSE_NOW ? IO_CLOSE_NOW : IO_CLOSE_AFTER, conn);
    else if (how == CLOSE_NOW)
        conn_end(conn);
    else
        conn_finish(conn);
}

static void port_upgrade(struct port *port, struct conn *conn, const struct port_rings *rings)
{
    struct io *io = io_of(port);
    struct io_upgrade *upgrade = mem_alloc(sizeof *upgrade);
    *upgrade = (struct io_upgrade){.conn = conn, .rings = *rings};
    if (io->index == 0)
        conn_upgrade(conn, upgrade);
    else
        answer(io, IO_UPGRADE, upgrade);
}

static void port_forgotten(struct port *port, struct conn *conn)
{
    struct io *io = io_of(port);
    if (io->index == 0)
        conn_free(conn);
    else
        answer(io, IO_FORGOTTEN, conn);
}

void io_answer_link(struct io *io, struct io_link_message *message)
{
    if (io->index == 0)
        io_hear_link(message);
    else
        answer(io, IO_LINK, message);
}

const struct port io_port = {
    .output = port_output,
    .run_done = port_run_done,
    .close = port_close,
    .upgrade = port_upgrade,
    .forgotten = port_forgotten,
};

/* ---- I/O thread: what it tells ----------------------------------------------------------------------- */

void io_tell(struct io *io, enum io_message message, void *subject)
{
    if (io->index == 0)
        executor_hear(io, message, subject);
    else
        ring_send(&io->to_exec, &io->to_exec_overflow, message_make(message, subject));
}

void io_publish(struct io *io)
{
    if (io->index == 0)
        return;
    ring_refill(&io->to_exec, &io->to_exec_overflow);
    io_fetch_told(io);
    if (ring_publish(&io->to_exec) && !io->owes_bell) {
        io->owes_bell = true;
        io->owes_bell_since_ns = io->now_ns;
    }
}

bool io_ring(struct io *io)
{
    if (!io->owes_bell)
        return false;
    io->owes_bell = false;
    work_switch(&io->work, WORK_PUBLISH);
    loop_wake(io->group->options.loop);
    return true;
}

bool io_has_room(const struct io *io)
{
    return io->to_exec_overflow.count == 0;
}

/* ---- I/O thread: what it is answered ------------------------------------------------------------------ */

static void take_output(struct io *io, struct chunk *head)
{
    struct conn *conn = head->route;
    struct chunk_list list = {.head = head};
    for (struct chunk *chunk = head; chunk; chunk = chunk->next) {
        list.tail = chunk;
        list.bytes += chunk->end - chunk->start;
        list.count++;
    }
    conn_queue_output(conn, &list);
}

static void take_run(struct io *io, struct run *run)
{
    if (likely(run->output != NULL))
        take_output(io, run->output);
    conn_run_done(run->conn, run);
}

static void io_hear(struct io *io, enum io_message message, void *subject)
{
    switch (message) {
    case IO_RUN_DONE: take_run(io, subject); break;
    case IO_OUTPUT: take_output(io, subject); break;
    case IO_CLOSE_AFTER: conn_finish(subject); break;
    case IO_CLOSE_NOW: conn_end(subject); break;
    case IO_FORGOTTEN: conn_free(subject); break;
    case IO_MOVED: conn_depart(subject); break;
    case IO_UPGRADE: conn_upgrade(((struct io_upgrade *)subject)->conn, subject); break;
    case IO_LINK: io_hear_link(subject); break;
    default: BUG("executor message %d", message);
    }
}

bool io_take_answers(struct io *io)
{
    ASSERT_ROLE(ROLE_IO);
    bool some = false;
    void *message;
    while ((message = ring_pop(&io->from_exec))) {
        const void *later = ring_peek(&io->from_exec, EXPECT_AHEAD);
        if (later)
            prefetch_write(message_subject((void *)later));
        io_hear(io, message_kind(message), message_subject(message));
        some = true;
    }
    if (some)
        ring_retire(&io->from_exec);
    return some;
}
