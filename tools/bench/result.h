/* What skua-bench has measured: filled by the engine, read by everything that reports.
 *
 * Principal entry points: bench_session_find, bench_latency. A session is every server with every workload, `rounds`
 * times; each of these runs has a struct bench_result, in the order in which they ran (round by round, within a round
 * workload by workload, within that server by server, so that two servers alternate).
 * Ownership: the engine owns everything here and frees it after the last report. Strings are zero-terminated, UTF-8 as
 * the user gave it, never NULL unless it says so.
 * Units: durations of requests in nanoseconds, of runs in seconds, CPU in microseconds per request.
 * Threads: the main thread; no run is under way while somebody reads. */
#ifndef SKUA_BENCH_RESULT_H
#define SKUA_BENCH_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/histogram.h"

#define BENCH_TEXTS 5 /* different texts kept of what servers complained about, and of wrong replies */

/* ---- One run: one workload on one server in one round ----------------------------------------------------- */

/* Everything counted while it was measured, that is, after the warm-up. */
struct bench_counts {
    uint64_t requests;    /* replies, also wrong ones and errors: what rps counts */
    uint64_t errors;      /* of them: error replies */
    uint64_t wrong_types; /* of them: replies of a type that the command does not have */
    uint64_t mismatches;  /* of them: another length or value than was written (--verify) */
    uint64_t misses;      /* of them: null replies where a value could have come; not a failure */
    /* requests that were sent and whose connection broke before the reply; not in `requests` */
    uint64_t lost;
    uint64_t disconnects; /* connections that broke */
    uint64_t bytes_out;   /* of requests, as sent */
    uint64_t bytes_in;    /* of the strings in replies, without what the protocol puts around them */
};

/* Something that went wrong, in the words of the server or, for wrong replies, of the tool. */
struct bench_text {
    char text[160];
    uint64_t count; /* how often this same text came */
};

/* One window of the run: a second, or what --window says (the last one may be shorter). */
struct bench_window {
    double begin_s, length_s; /* from the beginning of what is measured */
    uint64_t requests;        /* replies in it; requests / length_s is its rate */
    uint64_t failures;        /* errors, wrong types, mismatches, and lost ones */
    uint64_t p50_ns, p99_ns, p999_ns,
        max_ns;       /* latency as bench_latency: open loop from the intended start; within 0.8 % */
    uint64_t backlog; /* open loop: requests that were due and not yet sent when it ended */
};

/* One of the commands of a workload that mixes several; a workload of one command has one. */
struct bench_command_result {
    const char *name; /* "GET", "read" (YCSB): belongs to the workload */
    uint64_t requests, errors, misses;
    struct histogram latency; /* as bench_latency */
};

struct bench_result {
    unsigned server, workload, round; /* indexes into the session, counted from 0 */

    bool complete; /* false: ended early by the user or because it could go no further, see `problem` */
    char problem
        [256]; /* why it ended early: "connect to 127.0.0.1:1: Connection refused"; empty: it did not */
    int64_t started_at_ms; /* wall clock, since 1970 */
    double duration_s;     /* of what was measured, without warm-up */
    double warm_up_s;      /* before it */
    double rps;            /* counts.requests / duration_s; 0 when nothing was measured */
    struct bench_counts counts;
    struct bench_text texts[BENCH_TEXTS]; /* the first different ones; a text is empty behind the last */

    /* Service time: from the moment at which a request was handed to the system to its reply. With a pipeline that is
     * from the sending of its batch to its own reply. */
    struct histogram service;
    /* Open loop only, otherwise empty (total 0): from the moment at which it was due, whenever it was really sent. */
    struct histogram response;
    /* Open loop only: from the moment at which a request was due to its sending, of requests for which a connection was free:
     * how late the tool itself was, which is part of `response` and no fault of the server's. */
    struct histogram late;
    uint64_t backlog_max; /* open loop: most requests that were due and not yet sent at one time */
    uint64_t backlog_end; /* the same at the end: large when the server cannot keep up with the rate */

    struct bench_command_result *commands; /* command_count of them, in the order of the workload */
    unsigned command_count;
    /* window_count of them; at most BENCH_WINDOWS_MAX, later ones are not kept */
    struct bench_window *windows;
    unsigned window_count;

    /* CPU of the server's process, all its threads, over what was measured. */
    bool has_server_cpu;
    double cpu_user_us, cpu_sys_us; /* per request; 0 without has_server_cpu */
    double server_cores;            /* CPU time used per second of the run: 1.0 is one core busy */
    /* CPU of the tool itself, all its threads. */
    double own_user_us, own_sys_us; /* per request */
    double own_cores;
};

#define BENCH_WINDOWS_MAX 7200u

/* What a user calls the latency of the run: `response` in an open loop, `service` in a closed one. */
static inline const struct histogram *bench_latency(const struct bench_result *result)
{
    return result->response.total != 0 ? &result->response : &result->service;
}

static inline uint64_t bench_failures(const struct bench_counts *counts)
{
    return counts->errors + counts->wrong_types + counts->mismatches + counts->lost;
}

/* ---- The session ------------------------------------------------------------------------------------------ */

struct bench_server {
    const char *name;     /* as the user called it, or the address */
    const char *address;  /* "127.0.0.1:6379" or a path: no password in it */
    const char *software; /* "redis", "valkey", "skua" as INFO tells it, or "" */
    const char *version;  /* "7.0.15", or "" */
    int64_t pid;          /* of the process whose CPU is counted; 0: none */
};

struct bench_workload {
    const char *id; /* short, for tables and files: "get", "lrange_100", "ycsb-a", "custom" */
    const char *
        title; /* as redis-benchmark writes it where it has the same: "GET", "LRANGE_100 (first 100 elements)" */
    const char *definition; /* in full: "50 % read, 50 % update, keys zipf:0.99 …" */
    unsigned command_count;
    const char *const *commands; /* templates as they are sent: "GET key:{key}" */
    const double *shares;        /* of each command, summing up to 1 */
};

/* How it was run. The same for all runs of a session, but for what a workload overrides (its definition says so). */
struct bench_settings {
    unsigned clients, threads, pipeline;
    uint64_t requests; /* per run; 0: by duration */
    double duration_s; /* per run; 0: by requests */
    double warm_up_s;
    double window_s;              /* length of struct bench_window */
    double rate;                  /* requests a second in an open loop; 0: closed loop */
    bool poisson;                 /* open loop: random arrivals rather than evenly spaced ones */
    bool no_sleep;                /* the tool's threads looked for replies instead of sleeping */
    uint64_t keys;                /* keys are numbered 0 .. keys - 1; 0: one key only */
    const char *key_distribution; /* "uniform", "zipf:0.99" */
    const char *value_size;       /* "3", "64:80,4096:20" */
    uint64_t seed;
    unsigned protocol; /* 2 or 3 */
    bool verify;
    bool keep_alive; /* false: a connection for each request */
    int db;
    unsigned rounds;
    const char *command_line; /* as typed, passwords replaced by stars */
};

struct bench_session {
    const char *tool_version;
    int64_t started_at_ms;
    const char *machine; /* "Intel(R) Xeon(R) …, 2 cores, Linux 6.1" */
    struct bench_settings settings;
    struct bench_server *servers;
    unsigned server_count;
    struct bench_workload *workloads;
    unsigned workload_count;
    struct bench_result *results;
    unsigned result_count; /* up to server_count * workload_count * settings.rounds */
    bool interrupted;      /* the user ended it with Ctrl-C; results hold what was measured */
};

/* The run of these, or NULL when it did not take place. */
const struct bench_result *bench_session_find(const struct bench_session *session, unsigned server,
                                              unsigned workload, unsigned round);

#endif
