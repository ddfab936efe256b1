/* Where a request's time went: waiting for the executor, being executed, and until its reply was sent; and who had the
 * executor meanwhile.
 *
 * Principal entry points: blame_command, blame_slice, blame_slow, blame_follow (requests); blame_task (upkeep).
 * Threads: executor only. The time of replies is measured by the I/O threads (io/reply_watch.c).
 *
 *     bytes read    begun         executed              last byte of the reply handed to the transport
 *     ----+------------+-------------+----------------------------+---->
 *         |   queue    |   execute   |           reply            |
 *
 * queue    From when the bytes that completed the request were found to be there, to the beginning of its execution. When
 *          the thread that reads was away from its sockets meanwhile, in one-thread mode because it executed something
 *          long, the bytes may have come at any time since it looked last: it is counted from then, so that no stall is
 *          hidden (loop_ready_ticks). When the client itself was waiting for a key, from the end of that.
 * execute  The executor's time.
 * reply    From the end of execution to the write that took the last byte of the reply. Not of commands that waited for
 *          a key.
 *
 * Execution is measured of every command, those inside EXEC included. The other two are measured of one request out of
 * each run (what one read of a connection gave, at most RUN_REQUESTS), chosen by chance; it counts as many times as the
 * run has requests. So of clients that do not pipeline every request is measured, and of a pipeline a sample that
 * is true to all of it. Whether a request is worth telling (hooks.slow) is decided of every one.
 *
 * A1  Nothing is measured while `tracking` is false (option latency-tracking), and command_stats->times are NULL.
 * A2  A command that ran in slices has the sum of its slices as its execution; the time between them is none of the
 *     three. */
#ifndef SKUA_EXEC_BLAME_H
#define SKUA_EXEC_BLAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/durations.h"
#include "exec/spans.h"

struct call;
struct client;
struct exec;
struct request;
struct run;

/* Of one command. Executor writes, executor reads. */
struct command_times {
    struct durations execute;
    struct durations queue;
};

/* The stamps of the request that is being executed. Whoever pauses it keeps them, and puts them back before it ends. */
struct blame_request {
    uint64_t arrived_ticks;
    uint64_t begin_ticks;
};

struct blame {
    bool tracking;
    struct blame_request request;
    uint64_t slow_ns;    /* UINT64_MAX: nothing is slow */
    uint64_t slow_ticks; /* the same in ticks */
    uint64_t span_ticks; /* SPAN_MIN_NS in ticks */
    struct spans *spans;
    /* The batch that is being executed. */
    uint64_t batch_begin_ticks;
    uint64_t batch_commands; /* exec->stats.commands at its beginning */
    uint64_t noted_ticks;    /* of its commands that are spans by themselves */
    uint64_t noted_commands;
    /* The stall that requests were noted for last: who waited for the same is counted with it. */
    uint64_t stall_end_ticks; /* the end of what they waited for */
    uint64_t stall_worst_ns;
    uint64_t pause_begin_ticks; /* CLIENT PAUSE has made somebody wait since; 0: nobody waits for it */
};

enum blame_kind {
    BLAME_SLOW,   /* its execution alone reached the threshold */
    BLAME_WAITED, /* only with its waiting: the first for what it waited for */
    BLAME_WORSE,  /* the same, and far longer than what was noted last, for the same */
    BLAME_LIKE,   /* the same, not worth more than being counted */
};

/* What is told of a request (hooks.slow). */
struct blame_case {
    enum blame_kind kind;
    bool is_measured; /* tracking; else only execute_ns is known */
    uint64_t queue_ns;
    uint64_t execute_ns;
    uint64_t paused_ns; /* between its slices */
    struct span_shares waited_for;
};

void blame_init(struct exec *exec);
void blame_done(struct exec *exec);

/* slowlog-log-slower-than in nanoseconds; UINT64_MAX: nothing is. */
void blame_set_threshold(struct exec *exec, uint64_t slow_ns);

/* Begins or ends to measure; what has been measured is forgotten when it ends. */
void blame_track(struct exec *exec, bool tracking);

/* Forgets what was measured of commands. */
void blame_reset(struct exec *exec);

/* ---- Requests (dispatch.c, exec.c) ---------------------------------------------------------------- */

struct command_times *blame_new_times(const struct exec *exec, struct command_times **times);

/* A command's times, made when it has none yet; NULL while nothing is measured. */
static inline struct command_times *blame_times(const struct exec *exec, struct command_times **times)
{
    return likely(*times != NULL) ? *times : blame_new_times(exec, times);
}

/* A stamp of another thread may be younger by the time that a cache line travels. */
static inline uint64_t blame_elapsed_ns(const struct clock *clock, uint64_t from_ticks, uint64_t to_ticks)
{
    return to_ticks > from_ticks ? clock_ticks_to_ns(clock, to_ticks - from_ticks) : 0;
}

/* A command has just ended (at exec->tick_mark) that took SPAN_MIN_NS or more. */
void blame_command(const struct call *call, uint64_t ns);

/* A slice of it, from `begin_ticks`, has just ended. */
void blame_slice(const struct call *call, uint64_t begin_ticks, bool is_first);

/* A command that has just ended was perhaps slow, or waited long: since its arrival at least blame->slow_ticks have
 * passed. Of a sliced one, blame->request has been put back. */
void blame_slow(struct call *call, uint64_t execute_ns);

/* The run's request `run->followed` has just been executed: its waiting counts, its reply will be watched. */
void blame_follow(struct client *client, struct run *run);

/* The client's requests that have arrived begin to wait now: it was its own waiting that held them up. */
void blame_restart_wait(struct client *client);

/* Around a batch of requests. */
void blame_batch_begin(struct exec *exec, uint64_t ticks);
void blame_batch_end(struct exec *exec);

/* ---- Everything else ------------------------------------------------------------------------------ */

/* The executor's thread did something else from `begin_ticks` to `end_ticks`. `name` lives as long as the program. */
void blame_task(struct exec *exec, const char *name, uint64_t begin_ticks, uint64_t end_ticks);

#endif
