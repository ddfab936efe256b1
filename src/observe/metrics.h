/* Metrics: what INFO tells, and what has to be sampled for it.
 *
 * Principal entry points: metrics_new, metrics_sample, metrics_info, metrics_reset.
 * Fields are declared in metrics/; the generated table (gen/metrics.c) names a getter for each, written in one of
 * info_*.c. A getter sees a struct metric_source: everything that one answer is made from, taken at one time.
 * Threads: executor only.
 *
 * M1  A getter writes the value only, without the field's name and line end; for METRIC_ROWS whole lines.
 * M2  One step of sampling is bounded (METRICS_SAMPLE_CLIENTS, METRICS_SAMPLE_KEYS). */
#ifndef SKUA_OBSERVE_METRICS_H
#define SKUA_OBSERVE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/slice.h"
#include "exec/direct.h"
#include "gen/metrics.h"
#include "io/io.h"
#include "observe/memory.h"
#include "transport/pinning.h"
#include "transport/shm_host.h"

struct config;
struct exec;

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_TEXT, METRIC_ROWS };

/* One field, as declared. */
struct metric {
    const char *name;
    enum metric_section section;
    enum metric_type type;
    const char *constant; /* the value itself; NULL: ask `get` */
    void (*get)(const struct metric_source *source, struct buf *ret_text);
    const char *unit; /* NULL: none */
    const char *help;
};

struct metric_section_info {
    const char *name;  /* as INFO's argument: lower case */
    const char *title; /* as in the answer's heading */
    bool by_default;
};

extern const struct metric metrics_table[METRIC_COUNT];
extern const struct metric_section_info metric_sections[METRIC_SECTION_COUNT];

/* ---- What is kept between two answers ------------------------------------------------------------- */

#define METRICS_RATE_SAMPLES   16  /* of 100 milliseconds each */
#define METRICS_SAMPLE_CLIENTS 100 /* looked at in one step, about */
#define METRICS_SAMPLE_KEYS    16
#define METRICS_SAMPLE_DBS     64
#define METRICS_ID_SIZE        40

/* A counter's growth per second, averaged over the last METRICS_RATE_SAMPLES steps. */
struct metric_rate {
    uint64_t last;
    double samples[METRICS_RATE_SAMPLES];
    unsigned next;
};

/* What one pass over all clients found. */
struct metric_client_pass {
    uint64_t buffer_bytes;
    uint64_t with_deadline;
};

struct metrics {
    struct exec *exec;
    struct io_group *io; /* NULL: there is none (unit tests) */
    int64_t start_ms;
    uint64_t start_ns;
    uint64_t last_sample_ns;
    char run_id[METRICS_ID_SIZE + 1];
    char *executable;
    struct memory_watch memory;
    struct io_totals io_origin; /* at the last metrics_reset */
    uint64_t io_threads_changes_origin;
    struct pinning_totals pinned_origin;
    struct io_totals thread_origins[IO_THREADS_MAX + 1]; /* of each io; [0]: the executor's thread */
    struct metric_rate commands;
    struct metric_rate bytes_in;
    struct metric_rate bytes_out;
    struct metric_rate repl_bytes_in;
    struct metric_rate repl_bytes_out;
    uint64_t client_cursor;             /* of the pass under way */
    struct metric_client_pass pass;     /* under way */
    struct metric_client_pass clients;  /* the last complete one */
    uint64_t recent_input_max_bytes[2]; /* [0] of the present period, [1] of the one before */
    uint64_t recent_output_max_bytes[2];
    uint64_t period_end_ns;
    uint32_t ttl_db;        /* whose keys are sampled next */
    double *average_ttl_ms; /* by database, 0: not known */
};

/* `io` may be NULL. The executor must outlive the result. */
struct metrics *metrics_new(struct exec *exec, struct io_group *io);
void metrics_free(struct metrics *metrics);

/* One step of sampling, to be called about every 100 milliseconds. */
void metrics_sample(struct metrics *metrics);

/* exec->hooks.cron; `context` is the struct observe. */
void metrics_hook(void *context);

/* CONFIG RESETSTAT: counters start at zero again, here and in the executor. */
void metrics_reset(struct metrics *metrics);

/* What one io has done since the last reset; index 0: the executor's thread. */
void metrics_thread_totals(const struct metrics *metrics, unsigned index, struct io_totals *ret_totals);

/* ---- Answers -------------------------------------------------------------------------------------- */

/* What one answer is made from. */
struct metric_source {
    const struct metrics *metrics;
    struct exec *exec;
    const struct config *config;
    int64_t now_us;
    uint64_t uptime_s;
    struct io_totals io;      /* since the last reset */
    struct io_totals io_main; /* those of the executor's own thread, likewise */
    unsigned io_threads, io_threads_in_use;
    uint64_t io_threads_changes; /* since the last reset */
    unsigned executor_load_percent;
    struct shm_totals shm;
    struct pinning_totals pinned;
    const struct pinning_totals *pinned_origin; /* at the last reset */
    struct direct_totals direct;                /* since the last reset */
    struct memory_figures memory;               /* only when the answer has the memory section */
    struct rusage process;
    struct rusage thread; /* the executor's */
    struct rusage children;
};

/* Appends the answer to INFO with these arguments: sections, "all", "everything", "default"; none is "default". An
 * unknown one adds nothing. */
void metrics_info(struct metrics *metrics, const struct slice *sections, uint32_t count,
                  struct buf *ret_text);

/* ---- For the getters ------------------------------------------------------------------------------ */

/* "1.50M", as INFO shows sizes to people. */
void metric_write_human(struct buf *text, uint64_t bytes);
/* a / b with two decimals; 0.00 when b is 0. */
void metric_write_ratio(struct buf *text, uint64_t a, uint64_t b);
double metric_rate_per_second(const struct metric_rate *rate);

#endif
