/* The command line of skua-bench, read and checked.
 *
 * Principal entry points: bench_options_read, bench_options_done.
 * Threads: the main thread. */
#ifndef SKUA_BENCH_OPTIONS_H
#define SKUA_BENCH_OPTIONS_H

#include "bench/load.h"
#include "bench/report.h"
#include "bench/workload.h"
#include "common/connect.h"
#include "common/options.h"

#define BENCH_SERVERS_MAX  8u
#define BENCH_COMMANDS_MAX WORKLOAD_GROUPS_MAX
#define BENCH_ROUNDS_MAX   1000
#define BENCH_RUNS_MAX     4096 /* results in a session: each has some hundred KB of histograms */

struct bench_target {
    char *name;  /* owned */
    char *url;   /* owned */
    int64_t pid; /* 0: none */
    bool pid_auto;
};

struct bench_options {
    struct connect_options connect;
    struct bench_target targets[BENCH_SERVERS_MAX];
    unsigned target_count;

    int64_t clients, threads, pipeline, requests, rounds, keys, key_size, db, precision, seed;
    double duration_s, warm_up_s, window_s, rate, patience_s;
    bool poisson, no_sleep, reconnect, verify, load, idle, loop, resp3, stdin_argument, hashes;
    bool quiet_errors; /* -e of redis-benchmark: errors are always shown */
    bool quiet, csv, help, version, list;
    int64_t keep_alive;
    const char *prefix, *json_path, *html_path, *names, *pid;
    const char *commands[BENCH_COMMANDS_MAX];
    unsigned command_count;
    double sets, gets; /* --ratio; both 0: not given */
    struct workload_options workload;

    struct report_options report;
    char *command_line;          /* owned */
    struct buf stdin_word;       /* -x */
    struct workloads *workloads; /* owned */
};

enum options_result {
    OPTIONS_RUN,
    OPTIONS_ANSWERED, /* --help and the like: written to standard output, leave with status 0 */
    OPTIONS_WRONG,    /* a line is on standard error: leave with status 1 */
};

enum options_result bench_options_read(struct bench_options *options, int argc, char **argv);
void bench_options_done(struct bench_options *options);

#endif
