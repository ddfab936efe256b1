/* How long the executor was away from its queues: measured by itself, in CPU time where it matters.
 *
 * A span is timed with the cheap tick counter. Only a span that would be the longest so far is looked at again:
 * the machine may have taken the processor away meanwhile, so it counts at most the CPU time that this thread has
 * used since the last sample before it.
 * Threads: executor only. */
#ifndef SKUA_EXEC_PAUSE_H
#define SKUA_EXEC_PAUSE_H

#include <stdint.h>

#include "exec/exec.h"

/* CPU time is sampled at most this often; the error of a measured pause is at most as large. */
#define PAUSE_SAMPLE_NS 100000

/* Before a piece of work: returns the ticks to give to pause_note. */
static inline uint64_t pause_begin(struct exec *exec)
{
    uint64_t ticks = clock_ticks(exec->clock);
    if (unlikely(ticks >= exec->cpu_resample_ticks)) {
        exec->cpu_sample_ns = clock_thread_cpu_ns();
        exec->cpu_resample_ticks = ticks + exec->cpu_sample_interval_ticks;
    }
    return ticks;
}

void pause_note_slow(struct exec *exec, const char *what, uint64_t ns);

static inline void pause_note(struct exec *exec, const char *what, uint64_t ns)
{
    if (unlikely(ns > exec->stats.pause_max_ns))
        pause_note_slow(exec, what, ns);
}

#endif
