/* Where a thread's time goes: busy by stage, looking in vain, asleep, and ready to run without a processor.
 *
 * Principal entry points: work_begin, work_switch, work_turn_end, work_polled (owner); work_totals (any thread).
 * Each io has one; io 0's is the executor's.
 *
 * A thread's life is turns with a poll of its event loop before each. Spans are measured with the tick counter, a few
 * reads for each turn. The machine may take the processor away within a span, so what was measured in a window of
 * WORK_WINDOW_NS is corrected once by the CPU time that the thread used in it: where it used less than it was awake,
 * all awake spans shrink alike and the rest counts as preempted; where it used more, the surplus was spent in the
 * kernel on falling asleep and waking up, and counts as polling. That makes one system call a millisecond.
 * Threads: the owner, but for work_totals.
 *
 * K1  All stages and spinning together are the CPU time that the thread has used; with sleep and preemption, the time
 *     that has passed. Both up to the window under way and rounding.
 * K2  A turn is busy when it found something to do, and then the poll before it is as well unless it slept; else all
 *     of it is spinning. */
#ifndef SKUA_IO_WORK_H
#define SKUA_IO_WORK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define WORK_WINDOW_NS 1000000ull

enum work_stage {
    WORK_RECEIVE, /* receive and parse, with what the parser hands on at once */
    WORK_DIRECT,  /* direct reads */
    WORK_TAKE,    /* taking messages out of rings, and what they ask for; the set-up of batches */
    WORK_EXECUTE, /* executor: batches of requests, with the writing of their replies */
    WORK_PUBLISH, /* filling rings and ringing bells */
    WORK_SEND,
    WORK_UPKEEP, /* everything else; on the executor slices of long commands, expiry, sampling, … */
    WORK_POLL,   /* looking at the event loop, falling asleep, waking up */
    WORK_STAGE_COUNT,
};

/* As shown: CPU time by stage; of the idle time, what it took of a processor and what not; nanoseconds. */
struct work_totals {
    uint64_t stage_ns[WORK_STAGE_COUNT];
    uint64_t spin_ns;
    uint64_t sleep_ns;
    uint64_t preempted_ns; /* had something to do, or spun, and no processor */
};

struct work {
    const struct clock *clock;
    uint64_t (*cpu_ns)(void); /* of the calling thread */
    enum work_stage stage;
    uint64_t mark_ticks; /* time since then belongs to `stage` */
    uint64_t turn_ticks[WORK_STAGE_COUNT];
    /* The window under way. */
    uint64_t begin_ticks;
    uint64_t begin_cpu_ns;
    uint64_t length_ticks; /* WORK_WINDOW_NS */
    uint64_t stage_ticks[WORK_STAGE_COUNT];
    uint64_t spin_ticks;
    uint64_t sleep_ticks;
    /* Since the start. The owner writes, any thread reads. */
    _Atomic uint64_t stage_ns[WORK_STAGE_COUNT];
    _Atomic uint64_t spin_ns, sleep_ns, preempted_ns;
};

/* `cpu_ns`: the calling thread's CPU time; clock_thread_cpu_ns but in tests. */
void work_init(struct work *work, const struct clock *clock, uint64_t (*cpu_ns)(void));

/* Before the thread's first turn. */
void work_begin(struct work *work);

/* From `ticks` on the thread is in this stage. Returns the one before. */
static inline enum work_stage work_switch_at(struct work *work, enum work_stage stage, uint64_t ticks)
{
    enum work_stage before = work->stage;
    work->turn_ticks[before] += ticks - work->mark_ticks;
    work->mark_ticks = ticks;
    work->stage = stage;
    return before;
}

static inline enum work_stage work_switch(struct work *work, enum work_stage stage)
{
    return work_switch_at(work, stage, clock_ticks(work->clock));
}

/* The turn is over; it found something to do, or not. */
void work_turn_end(struct work *work, bool some);

/* The poll of the event loop is over, and a turn begins in stage `next`. `could_sleep`: it was allowed to;
 * `spun_ticks`: of its time, what went by with looking (loop_spun_ticks). Returns true when a window has ended
 * with it, that is, when the totals have changed. */
bool work_polled(struct work *work, bool could_sleep, uint64_t spun_ticks, enum work_stage next);

/* As of the last window that is complete. A sleeping thread's is as old as its sleep. Any thread. */
void work_totals(const struct work *work, struct work_totals *ret_totals);

uint64_t work_busy_ns(const struct work_totals *totals);
/* Spinning and sleeping. */
uint64_t work_idle_ns(const struct work_totals *totals);
/* totals -= origin */
void work_subtract(struct work_totals *totals, const struct work_totals *origin);

#endif
