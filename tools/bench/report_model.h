/* What a report says, worked out once for all its forms: figures of each server in each test, and their ratios.
 *
 * Principal entry points: report_model_init, report_cell_value.
 * Text, CSV, JSON and the page are made of this; none of them computes figures of its own.
 * Threads: the main thread.
 * I1: runs[i] of a cell are its runs in the order of their rounds; value[metric * runs + i] is a figure of runs[i], NAN
 * when it is not known (CPU of a server whose process nobody named). I2: a pair compares a server with the baseline,
 * which is the second server ("A against B"); only rounds that both went through count. */
#ifndef SKUA_BENCH_REPORT_MODEL_H
#define SKUA_BENCH_REPORT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/result.h"
#include "bench/stats.h"

/* The figures of a run. Latencies are those of bench_latency, in microseconds; CPU is microseconds per request. */
enum report_metric {
    REPORT_RPS,
    REPORT_MEAN,
    REPORT_MIN,
    REPORT_P50,
    REPORT_P75,
    REPORT_P90,
    REPORT_P95,
    REPORT_P99,
    REPORT_P999,
    REPORT_P9999,
    REPORT_MAX,
    REPORT_CPU_USER,
    REPORT_CPU_SYS,
    REPORT_CPU,
    REPORT_METRICS,
};

struct report_metric_row {
    const char *field; /* in JSON: "p50_us" */
    double percent;    /* of a percentile, else 0 */
    bool is_compared;  /* ratios are told */
};

extern const struct report_metric_row report_metrics[REPORT_METRICS];

/* One server in one test. Runs that ended early count only when no other of the cell came to its end. */
struct report_cell {
    const struct bench_result **runs; /* owned array of the session's runs */
    size_t run_count;                 /* 0: it had no turn; then there is no figure */
    double *value;
    /* The medians over the runs; but REPORT_MIN is the least, REPORT_MAX the greatest of all. NAN: not known. */
    double figure[REPORT_METRICS];
    uint64_t requests, failures; /* of all runs */
    struct histogram latency;    /* of all runs, coarse: within 0.8 % */
};

struct report_pair {
    size_t server, baseline;
    struct stats_ratio ratio[REPORT_METRICS];
};

struct report_test {
    const struct bench_workload *workload;
    struct report_cell *cells; /* one for each server */
    struct report_pair *pairs; /* pair_count of the model */
};

struct report_model {
    const struct bench_session *session; /* borrowed: must outlive the model */
    struct report_test *tests;           /* one for each workload */
    size_t pair_count;
};

/* Of what has been measured so far. */
void report_model_init(struct report_model *model, const struct bench_session *session);
void report_model_done(struct report_model *model);

/* A figure of one run, or NAN. */
double report_cell_value(const struct report_cell *cell, enum report_metric metric, size_t run);

#endif
