/* Works out the figures that all forms of a report show. See report_model.h. */
#include "bench/report_model.h"

#include <math.h>

#include "base/alloc.h"

/* What the first server is compared with, and further ones likewise. */
#define BASELINE 1

const struct report_metric_row report_metrics[REPORT_METRICS] = {
    [REPORT_RPS] = {.field = "rps", .is_compared = true},
    [REPORT_MEAN] = {.field = "mean_us", .is_compared = true},
    [REPORT_MIN] = {.field = "min_us"},
    [REPORT_P50] = {.field = "p50_us", .percent = 50, .is_compared = true},
    [REPORT_P75] = {.field = "p75_us", .percent = 75, .is_compared = true},
    [REPORT_P90] = {.field = "p90_us", .percent = 90, .is_compared = true},
    [REPORT_P95] = {.field = "p95_us", .percent = 95, .is_compared = true},
    [REPORT_P99] = {.field = "p99_us", .percent = 99, .is_compared = true},
    [REPORT_P999] = {.field = "p999_us", .percent = 99.9, .is_compared = true},
    [REPORT_P9999] = {.field = "p9999_us", .percent = 99.99, .is_compared = true},
    [REPORT_MAX] = {.field = "max_us"},
    [REPORT_CPU_USER] = {.field = "cpu_user_us", .is_compared = true},
    [REPORT_CPU_SYS] = {.field = "cpu_sys_us", .is_compared = true},
    [REPORT_CPU] = {.field = "cpu_us", .is_compared = true},
};

/* ---- One run ------------------------------------------------------------------------------------------------ */

static double figure_of_run(const struct bench_result *run, enum report_metric metric)
{
    const struct histogram *latency = bench_latency(run);
    if (report_metrics[metric].percent > 0)
        return (double)histogram_percentile(latency, report_metrics[metric].percent) / 1e3;
    double cpu_known = run->has_server_cpu ? 0 : NAN;
    switch (metric) {
    case REPORT_RPS: return run->rps;
    case REPORT_MEAN: return histogram_mean(latency) / 1e3;
    case REPORT_MIN: return latency->total > 0 ? (double)latency->min / 1e3 : 0;
    case REPORT_MAX: return (double)latency->max / 1e3;
    case REPORT_CPU_USER: return run->cpu_user_us + cpu_known;
    case REPORT_CPU_SYS: return run->cpu_sys_us + cpu_known;
    case REPORT_CPU: return run->cpu_user_us + run->cpu_sys_us + cpu_known;
    default: return NAN;
    }
}

double report_cell_value(const struct report_cell *cell, enum report_metric metric, size_t run)
{
    return cell->value[(size_t)metric * cell->run_count + run];
}

/* ---- A server in a test ------------------------------------------------------------------------------------- */

/* Collects the runs that count: those that came to their end, or, when there is none, those that measured anything.
 * The session has them in the order of their rounds. */
static void collect_runs(struct report_cell *cell, const struct bench_session *session, unsigned server,
                         unsigned workload)
{
    cell->runs = mem_calloc(session->result_count + 1, sizeof(*cell->runs));
    for (int complete = 1; complete >= 0 && cell->run_count == 0; complete--)
        for (unsigned i = 0; i < session->result_count; i++) {
            const struct bench_result *run = &session->results[i];
            if (run->server == server && run->workload == workload && run->counts.requests > 0 &&
                run->complete == (bool)complete)
                cell->runs[cell->run_count++] = run;
        }
}

/* NAN when one of the runs does not know the figure: a median of the others would hide that. */
static double figure_of_cell(const struct report_cell *cell, enum report_metric metric)
{
    const double *values = &cell->value[(size_t)metric * cell->run_count];
    for (size_t i = 0; i < cell->run_count; i++)
        if (isnan(values[i]))
            return NAN;
    struct stats_summary summary = stats_summary(values, cell->run_count);
    return metric == REPORT_MIN ? summary.min : metric == REPORT_MAX ? summary.max : summary.median;
}

static void cell_init(struct report_cell *cell, const struct bench_session *session, unsigned server,
                      unsigned workload)
{
    histogram_init(&cell->latency, HISTOGRAM_BITS_COARSE);
    collect_runs(cell, session, server, workload);
    cell->value = mem_calloc(cell->run_count * REPORT_METRICS + 1, sizeof(*cell->value));
    for (size_t i = 0; i < cell->run_count; i++) {
        const struct bench_result *run = cell->runs[i];
        for (int metric = 0; metric < REPORT_METRICS; metric++)
            cell->value[(size_t)metric * cell->run_count + i] = figure_of_run(run, metric);
        cell->requests += run->counts.requests;
        cell->failures += bench_failures(&run->counts);
        histogram_merge(&cell->latency, bench_latency(run));
    }
    for (int metric = 0; metric < REPORT_METRICS; metric++)
        cell->figure[metric] = figure_of_cell(cell, metric);
}

/* ---- Pairs -------------------------------------------------------------------------------------------------- */

/* Both cells have their runs in the order of rounds: one walk meets the rounds that both have. */
static void pair_init(struct report_pair *pair, const struct report_cell *cells)
{
    const struct report_cell *a = &cells[pair->server], *b = &cells[pair->baseline];
    double *paired = mem_calloc(a->run_count * 2 + 1, sizeof(*paired));
    for (int metric = 0; metric < REPORT_METRICS; metric++) {
        size_t rounds = 0;
        for (size_t i = 0, j = 0; i < a->run_count && j < b->run_count;) {
            unsigned left = a->runs[i]->round, right = b->runs[j]->round;
            if (left == right) {
                paired[rounds] = report_cell_value(a, metric, i);
                paired[a->run_count + rounds++] = report_cell_value(b, metric, j);
            }
            i += left <= right;
            j += right <= left;
        }
        if (report_metrics[metric].is_compared)
            pair->ratio[metric] = stats_ratio(paired, paired + a->run_count, rounds);
    }
    mem_free(paired);
}

static void test_init(struct report_test *test, const struct report_model *model, unsigned workload)
{
    const struct bench_session *session = model->session;
    test->workload = &session->workloads[workload];
    test->cells = mem_calloc(session->server_count, sizeof(*test->cells));
    for (unsigned i = 0; i < session->server_count; i++)
        cell_init(&test->cells[i], session, i, workload);
    test->pairs = mem_calloc(model->pair_count + 1, sizeof(*test->pairs));
    for (size_t i = 0; i < model->pair_count; i++) {
        test->pairs[i].server = i < BASELINE ? i : i + 1;
        test->pairs[i].baseline = BASELINE;
        pair_init(&test->pairs[i], test->cells);
    }
}

void report_model_init(struct report_model *model, const struct bench_session *session)
{
    *model = (struct report_model){
        .session = session,
        .pair_count = session->server_count > BASELINE ? session->server_count - 1 : 0,
    };
    model->tests = mem_calloc(session->workload_count + 1, sizeof(*model->tests));
    for (unsigned i = 0; i < session->workload_count; i++)
        test_init(&model->tests[i], model, i);
}

void report_model_done(struct report_model *model)
{
    for (unsigned i = 0; i < model->session->workload_count; i++) {
        struct report_test *test = &model->tests[i];
        for (unsigned j = 0; j < model->session->server_count; j++) {
            mem_free((void *)test->cells[j].runs);
            mem_free(test->cells[j].value);
            histogram_done(&test->cells[j].latency);
        }
        mem_free(test->cells);
        mem_free(test->pairs);
    }
    mem_free(model->tests);
    *model = (struct report_model){0};
}
