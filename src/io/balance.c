/* Which io carries which connections, and how many of the threads are in use.
 *
 * Principal entry points: io_choose, io_spread, io_set_active, io_follow_load.
 * Threads: said at each section.
 *
 * `threads` ios run, `active` of them carry connections; the others sleep until they are needed. A change of `active` is
 * announced to all ios, and each of them moves away what others should carry: a few connections at a time (IO_MOVE_BATCH a
 * turn, IO_MOVING_MAX on their way), so that those that stay are served meanwhile. io/follow.h decides about the number. */
#include "base/log.h"
#include "base/role.h"
#include "exec/direct.h"
#include "exec/exec.h"
#include "io/conn.h"
#include "io/internal.h"

/* ---- Any thread ------------------------------------------------------------------------------------ */

static uint64_t connections_of(const struct io *io)
{
    return atomic_load_explicit(&io->counters.connections, memory_order_relaxed);
}

/* What each active io should carry at most. */
static uint64_t share(struct io_group *group, unsigned active)
{
    return atomic_load_explicit(&group->conn_count, memory_order_relaxed) / active + 1;
}

/* The active ios in turns, without those that have their share already. */
unsigned io_choose(struct io_group *group)
{
    unsigned active = atomic_load_explicit(&group->active, memory_order_acquire);
    if (active == 0)
        return 0;
    uint64_t most = share(group, active);
    unsigned index = 0;
    for (unsigned i = 0; i < active; i++) {
        index = 1 + atomic_fetch_add_explicit(&group->next_target, 1, memory_order_relaxed) % active;
        if (connections_of(group->ios[index]) < most)
            break;
    }
    return index;
}

/* ---- Owner of the io ------------------------------------------------------------------------------- */

/* How many connections it should have at most. */
static uint64_t connections_wanted(const struct io *io)
{
    unsigned active = atomic_load_explicit(&io->group->active, memory_order_acquire);
    if (active == 0)
        return io->index == 0 && !io->draining ? UINT64_MAX : 0;
    return io->index == 0 || io->index > active || io->draining ? 0 : share(io->group, active);
}

/* How many more it has, those that leave left out, than it should. */
static uint64_t surplus_of(const struct io *io)
{
    uint64_t wanted = connections_wanted(io), staying = connections_of(io) - io->leaving;
    return staying > wanted ? staying - wanted : 0;
}

/* Looked at here and now: while an io spreads it sends nothing pinned. */
void io_spread(struct io *io)
{
    io->spreading = surplus_of(io) > 0;
    io->spread_rests = false;
}

/* How many more should be asked to move now; 0 and not spreading any longer when there are no more to move. */
static uint64_t surplus_now(struct io *io)
{
    uint64_t surplus = surplus_of(io), room = IO_MOVING_MAX > io->leaving ? IO_MOVING_MAX - io->leaving : 0;
    if (surplus == 0) {
        io->spreading = false;
        return 0;
    }
    if (surplus > IO_MOVE_BATCH)
        surplus = IO_MOVE_BATCH;
    return surplus < room ? surplus : room;
}

bool io_spread_step(struct io *io, bool tick)
{
    if (io->spread_rests && !tick)
        return false;
    uint64_t surplus = surplus_now(io);
    unsigned moved = 0;
    for (unsigned i = 0; i < IO_MOVE_LOOK && moved < surplus; i++) {
        struct conn *conn = list_entry(io->conns.prev, struct conn, in_conns);
        /* Each is looked at in its turn: some are ending, or on their way already. */
        list_remove(&conn->in_conns);
        list_append(io->conns.next, &conn->in_conns);
        if (conn->state == CONN_OPEN && !conn->stream->is_bound) {
            conn_move(conn);
            moved++;
        }
    }
    io->spread_rests = moved == 0;
    return moved > 0;
}

/* ---- Executor -------------------------------------------------------------------------------------- */

void io_set_active(struct io_group *group, unsigned active)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    unsigned before = atomic_load_explicit(&group->active, memory_order_relaxed);
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_relaxed);
    if (active == before)
        return;
    atomic_store_explicit(&group->active, active, memory_order_release);
    io_count(&group->active_changes, 1);
    exec_set_reader_threads(group->options.exec, active);
    for (unsigned i = 0; i < count; i++) {
        if (!group->ios[i]->running)
            continue;
        io_ask(group->ios[i], IO_GIVE_LISTENERS, NULL);
        io_ask(group->ios[i], IO_SPREAD, NULL);
    }
}

/* What an io has done since the last sample. */
static struct work_totals work_since(struct io_group *group, unsigned index)
{
    struct work_totals now, since;
    work_totals(&group->ios[index]->work, &now);
    since = now;
    work_subtract(&since, &group->follow_marks[index]);
    group->follow_marks[index] = now;
    return since;
}

/* A thread that had no processor for a part of the time would have been as busy in it as it was in the rest. */
static uint64_t in_full_time(uint64_t busy_ns, const struct work_totals *since, uint64_t passed_ns)
{
    uint64_t lost_ns = since->preempted_ns < passed_ns / 10 * 9 ? since->preempted_ns : passed_ns / 10 * 9;
    uint64_t full_ns = (uint64_t)((double)busy_ns * (double)passed_ns / (double)(passed_ns - lost_ns));
    return full_ns < passed_ns ? full_ns : passed_ns; /* who slept tells of the time before only now */
}

static struct follow_sample take_sample(struct io_group *group, uint64_t passed_ns)
{
    struct work_totals own = work_since(group, 0);
    uint64_t io_ns = own.stage_ns[WORK_RECEIVE] + own.stage_ns[WORK_SEND] + own.stage_ns[WORK_DIRECT] +
                     own.stage_ns[WORK_POLL];
    struct follow_sample sample = {
        .passed_ns = passed_ns,
        .executor_busy_ns = in_full_time(work_busy_ns(&own), &own, passed_ns),
        .executor_io_ns = in_full_time(io_ns, &own, passed_ns),
        .connections = atomic_load_explicit(&group->conn_count, memory_order_relaxed),
    };
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_relaxed);
    for (unsigned i = 1; i < count; i++) {
        struct work_totals since = work_since(group, i);
        sample.threads_busy_ns += in_full_time(work_busy_ns(&since), &since, passed_ns);
    }
    return sample;
}

/* As many as are allowed, and as may have a processor beside the executor's. */
static unsigned most_threads(const struct io_group *group)
{
    unsigned threads = atomic_load_explicit(&group->threads, memory_order_relaxed);
    unsigned room = group->processors > 2 ? group->processors - 1 : 1;
    return threads < room ? threads : room;
}

void io_follow_begin(struct io_group *group, bool follows_load)
{
    group->follows_load = follows_load;
    group->follow_at_ns = clock_monotonic_ns(group->options.clock);
    (void)take_sample(group, FOLLOW_WINDOW_NS);
    follow_init(&group->follow, atomic_load_explicit(&group->active, memory_order_relaxed));
}

void io_follow_load(struct io_group *group)
{
    unsigned threads = atomic_load_explicit(&group->threads, memory_order_relaxed);
    uint64_t now_ns = clock_monotonic_ns(group->options.clock);
    uint64_t passed_ns = now_ns - group->follow_at_ns;
    if (!group->follows_load || threads == 0 || passed_ns < FOLLOW_WINDOW_NS)
        return;
    group->follow_at_ns = now_ns;
    struct follow_sample sample = take_sample(group, passed_ns);
    unsigned before = atomic_load_explicit(&group->active, memory_order_relaxed);
    unsigned wanted = follow_step(&group->follow, &sample, most_threads(group));
    if (wanted == before)
        return;
    log_write(group->options.log, LOG_VERBOSE, "I/O threads in use: %u of %u", wanted, threads);
    io_set_active(group, wanted);
}
