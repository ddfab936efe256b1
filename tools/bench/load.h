/* Putting load on one server: threads that send a workload's requests over their connections and measure.
 *
 * Principal entry points: load_run, load_result_done.
 *
 * Closed loop: each connection sends `pipeline` requests, waits for their replies, sends the next. Open loop: requests
 * are due at times that do not depend on the server; each goes out on a connection with room (fewer than `pipeline`
 * requests under way) as soon as there is one, and its response time counts from when it was due.
 *
 * | phase     | ends when                              | what happens                                          |
 * |-----------|----------------------------------------|-------------------------------------------------------|
 * | CONNECT   | every connection is ready, or one fails | worker_connect                                       |
 * | WARM_UP   | warm_up_ns have passed                 | requests that are not counted                         |
 * | MEASURE   | all requests sent, or duration_ns over | requests that are counted by when they were sent      |
 * | DRAIN     | their replies have come, or patience_ns | nothing is sent any more                             |
 *
 * Threads: the main thread calls these; workers share nothing that is written often. */
#ifndef SKUA_BENCH_LOAD_H
#define SKUA_BENCH_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <skua/client.h>

#include "bench/result.h"
#include "bench/workload.h"

#define LOAD_CLIENTS_MAX  60000u
#define LOAD_THREADS_MAX  256u
#define LOAD_PIPELINE_MAX 65536u

struct load_settings {
    const char *url;
    const struct skua_options *options;
    const struct workload *workload;
    unsigned clients, threads, pipeline;
    uint64_t requests;    /* 0: by duration */
    uint64_t duration_ns; /* 0: by requests */
    uint64_t warm_up_ns;
    uint64_t window_ns; /* length of what the series is made of */
    double rate;        /* requests a second of all threads; 0: closed loop */
    bool poisson;
    uint64_t seed;
    bool no_sleep; /* threads look for replies again and again, whether there are any or not */
    bool keep_alive;
    bool reconnect; /* a connection that breaks is made anew; otherwise the run ends */
    bool idle;      /* connections only, no requests, until the duration is over or the user ends it */
    /* without any reply that is waited for, after which a worker gives up; 0: no limit */
    uint64_t patience_ns;
};

/* Counters of a run under way, for whoever watches it. */
struct load_progress {
    bool warming_up;
    double elapsed_s; /* since it began to be measured */
    uint64_t requests, failures;
    uint64_t backlog;        /* open loop */
    uint64_t requests_total; /* 0: by duration */
    double duration_s;       /* 0: by requests */
};

/* Called by the main thread about five times a second. False: end the run now. */
typedef bool load_watch_fn(const struct load_progress *progress, void *user);

/* One run. `server_pid` 0: its CPU is not counted. Fills everything of *ret_result but the indexes server, workload and
 * round; it is freed with load_result_done. False: the run did not take place or ended early: result->problem. */
bool load_run(const struct load_settings *settings, int64_t server_pid, load_watch_fn *watch, void *user,
              struct bench_result *ret_result);
void load_result_done(struct bench_result *result);

#endif
