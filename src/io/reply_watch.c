/* How long replies take from the end of execution to the transport (exec/blame.h defines it).
 *
 * Principal entry points: conn_watch_run, conn_watch_direct, conn_watch_sent; io_group_add_reply_times.
 * The executor says which reply of a run is to be watched; the run comes back behind its replies (conn_run_done), so the
 * reply ends where the connection's output then does, and may have been sent already. Of direct reads it is told behind their
 * output, too.
 * Threads: the owning io; io_group_*: executor.
 *
 * W1  watches[0 .. watch_count) are in the order of their replies.
 * W2  A reply is sent when the stream has taken the output up to watch->output_end. */
#include "base/alloc.h"
#include "exec/exec.h"
#include "io/conn.h"

static void begin(struct conn *conn, const struct reply_watch *watch)
{
    struct reply_watch *last = conn->watch_count ? &conn->watches[conn->watch_count - 1] : NULL;
    if (conn->watch_count == CONN_WATCHES_MAX) {
        /* It will be sent with the replies before it, or later: the last of those stands for it, of its own kind. */
        if (watch->report == 0 && last->command == watch->command)
            last->weight = (uint16_t)(last->weight + watch->weight);
        return;
    }
    conn->watches[conn->watch_count++] = *watch;
}

void conn_watch_run(struct conn *conn, const struct run *run)
{
    if (run->executed_ticks == 0)
        return;
    begin(conn, &(struct reply_watch){.executed_ticks = run->executed_ticks,
                                      .output_end = conn->output_total,
                                      .report = run->report,
                                      .command = run->reply_command,
                                      .weight = run->count});
    if (conn->output.bytes == 0 && conn->state != CONN_ENDED)
        conn_watch_sent(conn);
}

void conn_watch_direct(struct conn *conn, unsigned command, uint64_t executed_ticks, unsigned weight)
{
    begin(conn, &(struct reply_watch){.executed_ticks = executed_ticks,
                                      .output_end = conn->output_total,
                                      .command = (uint16_t)command,
                                      .weight = (uint16_t)weight});
}

/* ---- Sent ----------------------------------------------------------------------------------------- */

static void tell(struct io *io, uint64_t report, uint64_t reply_ns)
{
    struct io_report *message = mem_alloc(sizeof *message);
    *message = (struct io_report){report, reply_ns};
    io_tell(io, IO_REPLIED, message);
}

static struct durations *times_of(struct io *io, unsigned command)
{
    struct durations *times = atomic_load_explicit(&io->reply_times[command], memory_order_relaxed);
    if (unlikely(times == NULL)) {
        times = mem_calloc(1, sizeof *times);
        atomic_store_explicit(&io->reply_times[command], times, memory_order_release);
    }
    return times;
}

void conn_watch_sent(struct conn *conn)
{
    uint64_t sent = conn->output_total - conn->output.bytes;
    unsigned done = 0;
    if (conn->watches[0].output_end > sent)
        return;
    struct io *io = conn->io;
    const struct clock *clock = io->group->options.clock;
    uint64_t now_ticks = clock_ticks(clock);
    while (done < conn->watch_count && conn->watches[done].output_end <= sent) {
        const struct reply_watch *watch = &conn->watches[done++];
        uint64_t reply_ns = blame_elapsed_ns(clock, watch->executed_ticks, now_ticks);
        durations_note(times_of(io, watch->command), reply_ns, watch->weight);
        if (unlikely(watch->report))
            tell(io, watch->report, reply_ns);
    }
    conn->watch_count = (uint8_t)(conn->watch_count - done);
    if (unlikely(conn->watch_count))
        memmove(conn->watches, conn->watches + done, conn->watch_count * sizeof *conn->watches);
}

/* ---- All ios -------------------------------------------------------------------------------------- */

void io_group_add_reply_times(const struct io_group *group, unsigned command, struct durations *sum)
{
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        const struct durations *times =
            atomic_load_explicit(&group->ios[i]->reply_times[command], memory_order_acquire);
        if (times)
            durations_add(sum, times);
    }
}

void io_group_forget_reply_times(struct io_group *group)
{
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        for (unsigned command = 0; command < command_count; command++) {
            struct durations *times =
                atomic_load_explicit(&group->ios[i]->reply_times[command], memory_order_acquire);
            if (times)
                durations_clear(times);
        }
    }
}
