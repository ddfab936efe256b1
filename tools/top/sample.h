/* One reading of a server: what INFO, SLOWLOG GET, LATENCY HISTOGRAM and CLIENT LIST said at one moment.
 *
 * Principal entry points: sample_new, sample_set_slow_log, sample_set_latencies, sample_set_clients, sample_free.
 * Figures that the server did not report are NAN, texts have size 0. Fields marked (rate) are per second over the time
 * since the reading before; they are NAN until the model (model.h) has filled them in.
 * Ownership: a sample owns the texts that its slices point into.
 * Threads: one at a time for a sample. */
#ifndef SKUA_TOP_SAMPLE_H
#define SKUA_TOP_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skua/reply.h>

#include "base/buf.h"
#include "base/slice.h"
#include "top/figures.h"

/* More rows of a kind are left out; no server reaches these, a hostile one could. */
#define SAMPLE_COMMANDS_MAX 8192
#define SAMPLE_ERRORS_MAX   1024
#define SAMPLE_DBS_MAX      16384
#define SAMPLE_THREADS_MAX  1024
#define SAMPLE_SLOW_MAX     4096
#define SAMPLE_CLIENTS_MAX  200000

#define SAMPLE_PERCENTILES_MAX 3

/* The parts of a request's time, as Skua tells them of each command (INFO blame). */
enum time_part { TIME_QUEUE, TIME_EXECUTE, TIME_REPLY, TIME_PARTS };
extern const char *const time_part_names[TIME_PARTS];

#define SAMPLE_BUCKETS_MAX 64 /* of one command; they double in size */
#define SLOW_ARGUMENTS_MAX 32
#define SLOW_TEXT_MAX      512 /* bytes kept of a command and its arguments */

struct command_row {
    struct slice name;
    double calls;
    double usec;
    double rejected;
    double failed;
    double percentile[SAMPLE_PERCENTILES_MAX]; /* microseconds, since the start or CONFIG RESETSTAT */
    double part_p99[TIME_PARTS];               /* likewise */
    double calls_rate;                         /* (rate) */
    double rejected_rate;                      /* (rate) */
    double failed_rate;                        /* (rate) */
    double share;        /* part of the time of all commands since the reading before, 0 to 1 */
    double p99_now;      /* microseconds, of the calls since the reading before; NAN without calls */
    size_t bucket_start; /* its latencies are sample->buckets[bucket_start .. bucket_start + bucket_count) */
    size_t bucket_count;
    double usec_per_call; /* since the reading before; NAN without calls */
};

/* Calls that took at most so long, since the start or CONFIG RESETSTAT. */
struct latency_bucket {
    double limit_us;
    double calls;
};

struct error_row {
    struct slice code;
    double count;
    double count_rate; /* (rate) */
};

struct db_row {
    int64_t number;
    double keys;
    double expires;
    double average_ttl_ms;
    double keys_rate; /* (rate), may be negative */
};

/* An I/O thread. Which of these there are depends on the server. */
struct thread_row {
    int64_t number;
    double connections;
    double requests;
    double bytes_in;
    double bytes_out;
    double busy_us;
    double requests_rate; /* (rate) */
    double in_rate;       /* (rate) */
    double out_rate;      /* (rate) */
    double busy_share;    /* of the time since the reading before, 0 to 1 */
};

struct slow_row {
    int64_t id;
    int64_t time_s; /* wall clock of the server */
    int64_t duration_us;
    struct slice address;
    struct slice name;
    struct slice command; /* with its arguments, cut */
};

struct client_row {
    int64_t id;
    struct slice address;
    struct slice name;
    struct slice user;
    struct slice flags;
    struct slice command;
    struct slice library;
    double age_s;
    double idle_s;
    double db;
    double subscriptions;
    double query_bytes;
    double output_bytes;
    double memory;
    double commands;
    double io_thread;
    double commands_rate; /* (rate) */
};

struct sample {
    uint64_t taken_ns;      /* when the answer was there, monotonic clock of this machine */
    int64_t wall_us;        /* the same as wall clock of this machine */
    uint64_t round_trip_ns; /* from the request to the last answer */
    double value[FIGURE_COUNT];
    struct slice text[TEXT_COUNT];
    struct command_row *commands; /* in order of name */
    size_t command_count;
    struct slice percentile_name[SAMPLE_PERCENTILES_MAX]; /* "p50"; size 0: no such column */
    struct error_row *errors;                             /* in order of code */
    size_t error_count;
    struct db_row *dbs; /* as the server gave them */
    size_t db_count;
    struct thread_row *threads; /* in order of number */
    size_t thread_count;

    bool has_slow_log;     /* false: not asked for, or refused */
    struct slow_row *slow; /* newest first */
    size_t slow_count;
    bool has_latencies; /* the same */
    struct latency_bucket *buckets;
    size_t bucket_count;
    bool has_clients;           /* the same */
    struct client_row *clients; /* in order of id */
    size_t client_count;
    char slow_error[128]; /* why not; empty: it was not asked for */
    char client_error[128];

    char *info_text;
    struct buf slow_text;
    char *client_text;
};

/* Reads INFO's answer, which is copied. Never NULL: what cannot be understood is absent. */
struct sample *sample_new(struct slice info_text);
void sample_free(struct sample *sample);

/* Adds what SLOWLOG GET and CLIENT LIST answered, once each. An error is kept as text, another type as one. */
void sample_set_slow_log(struct sample *sample, const struct skua_reply *reply);
void sample_set_clients(struct sample *sample, const struct skua_reply *reply);
/* Adds what LATENCY HISTOGRAM answered to the commands that INFO named. An error leaves nothing: servers before Redis 7
 * do not know it. */
void sample_set_latencies(struct sample *sample, const struct skua_reply *reply);
/* The row of a command, or NULL. */
struct command_row *sample_command(const struct sample *sample, struct slice name);

/* "Skua 0.1.0", "Valkey 8.1.0", "Redis 7.0.15", or "server" when it does not say. Appended as the server sent it. */
void sample_server_name(const struct sample *sample, struct buf *ret_text);

/* For sample_lists.c: room for one more row behind `count` rows of `size` bytes; answers where the rows are now. */
void *sample_grow(void *rows, size_t count, size_t *capacity, size_t size);

#endif
