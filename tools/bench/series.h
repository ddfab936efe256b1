/* The course of a run in windows, of a second or of another length, put together from what several threads have seen.
 *
 * Principal entry points: series_init, series_close_window, series_take, series_done.
 * Threads: workers call series_close_window, each for its own windows in order, at the end of each; the main thread
 * the rest. A window is complete when every worker has closed it; only incomplete ones have a histogram. */
#ifndef SKUA_BENCH_SERIES_H
#define SKUA_BENCH_SERIES_H

#include <pthread.h>

#include "bench/result.h"

/* What one worker has seen in one window. */
struct window_counts {
    uint64_t requests, failures;
    uint64_t backlog; /* at its end */
};

struct open_window {
    struct histogram latency;
    unsigned closed_by; /* workers */
};

struct series {
    pthread_mutex_t lock; /* guards everything below */
    unsigned workers;
    double window_s;
    struct bench_window *windows; /* [0 .. count) of them */
    unsigned count, capacity;
    struct open_window *open; /* [first_open .. count) of them: those that are not complete */
    unsigned first_open;
};

void series_init(struct series *series, unsigned workers, double window_s);
/* Window `index` is over for one worker. Those from BENCH_WINDOWS_MAX on are dropped. */
void series_close_window(struct series *series, unsigned index, const struct window_counts *counts,
                         const struct histogram *latency);
/* All workers are done, after `duration_s`: the windows become the caller's, to be freed with mem_free. */
struct bench_window *series_take(struct series *series, double duration_s, unsigned *ret_count);
void series_done(struct series *series);

#endif
