/* The course of a run, window by window. Entry and threads: see series.h. */
#include "bench/series.h"

#include "base/alloc.h"

void series_init(struct series *series, unsigned workers, double window_s)
{
    *series = (struct series){.workers = workers, .window_s = window_s};
    pthread_mutex_init(&series->lock, NULL);
}

void series_done(struct series *series)
{
    for (unsigned i = series->first_open; i < series->count; i++)
        histogram_done(&series->open[i].latency);
    mem_free(series->open);
    mem_free(series->windows);
    pthread_mutex_destroy(&series->lock);
}

static void add_window(struct series *series)
{
    if (series->count == series->capacity) {
        series->capacity = series->capacity == 0 ? 64 : 2 * series->capacity;
        series->windows = mem_realloc(series->windows, series->capacity * sizeof *series->windows);
        series->open = mem_realloc(series->open, series->capacity * sizeof *series->open);
    }
    series->windows[series->count] =
        (struct bench_window){.begin_s = series->count * series->window_s, .length_s = series->window_s};
    series->open[series->count] = (struct open_window){.closed_by = 0};
    histogram_init(&series->open[series->count].latency, HISTOGRAM_BITS_COARSE);
    series->count++;
}

static void complete(struct series *series, unsigned index)
{
    struct histogram *latency = &series->open[index].latency;
    series->windows[index].p50_ns = histogram_percentile(latency, 50);
    series->windows[index].p99_ns = histogram_percentile(latency, 99);
    series->windows[index].p999_ns = histogram_percentile(latency, 99.9);
    series->windows[index].max_ns = latency->max;
    histogram_done(latency);
}

void series_close_window(struct series *series, unsigned index, const struct window_counts *counts,
                         const struct histogram *latency)
{
    if (index >= BENCH_WINDOWS_MAX)
        return;
    pthread_mutex_lock(&series->lock);
    while (series->count <= index)
        add_window(series);
    struct bench_window *window = &series->windows[index];
    window->requests += counts->requests;
    window->failures += counts->failures;
    window->backlog += counts->backlog;
    histogram_merge(&series->open[index].latency, latency);
    series->open[index].closed_by++;
    while (series->first_open < series->count &&
           series->open[series->first_open].closed_by == series->workers)
        complete(series, series->first_open++);
    pthread_mutex_unlock(&series->lock);
}

struct bench_window *series_take(struct series *series, double duration_s, unsigned *ret_count)
{
    /* A worker that was done early has not closed the last windows. */
    while (series->first_open < series->count)
        complete(series, series->first_open++);
    unsigned count = series->count;
    while (count > 0 && series->windows[count - 1].begin_s >= duration_s &&
           series->windows[count - 1].requests == 0)
        count--;
    if (count > 0) {
        struct bench_window *last = &series->windows[count - 1];
        double rest = duration_s - last->begin_s;
        if (rest > 0 && rest < series->window_s)
            last->length_s = rest;
    }
    struct bench_window *windows = series->windows;
    series->windows = NULL;
    series->count = series->first_open = series->capacity = 0;
    *ret_count = count;
    return windows;
}
