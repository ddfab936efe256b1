/* The course of a run, second by second or in windows of another length, put together from what several threads have seen.
 *
 * Principal entry points: series_init, series_close_second, series_take, series_done.
 * Threads: workers call series_close_second, each for its own windows in order, at the end of each; the main thread
 * the rest. What is called a second here is a window of `window_s`. A second is complete when every worker has closed it; only incomplete ones have a histogram. */
#ifndef SKUA_BENCH_SERIES_H
#define SKUA_BENCH_SERIES_H

#include <pthread.h>

#include "bench/result.h"

/* What one worker has seen in one second. */
struct second_counts {
    uint64_t requests, failures;
    uint64_t backlog; /* at its end */
};

struct open_second {
    struct histogram latency;
    unsigned closed_by; /* workers */
};

struct series {
    pthread_mutex_t lock; /* guards everything below */
    unsigned workers;
    double window_s;
    struct bench_second *seconds; /* [0 .. count) of them */
    unsigned count, capacity;
    struct open_second *open; /* [first_open .. count) of them: those that are not complete */
    unsigned first_open;
};

void series_init(struct series *series, unsigned workers, double window_s);
/* Second `index` is over for one worker. Those from BENCH_SECONDS_MAX on are dropped. */
void series_close_second(struct series *series, unsigned index, const struct second_counts *counts,
                         const struct histogram *latency);
/* All workers are done, after `duration_s`: the seconds become the caller's, to be freed with mem_free. */
struct bench_second *series_take(struct series *series, double duration_s, unsigned *ret_count);
void series_done(struct series *series);

#endif
