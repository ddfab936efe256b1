/* Workloads: which commands in which shares, with which keys and values.
 *
 * Principal entry points: workloads_add_named, workloads_add_commands, workload_list_help; workloads_done.
 * Threads: the main thread builds them, afterwards any may read. */
#ifndef SKUA_BENCH_WORKLOAD_H
#define SKUA_BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "bench/result.h"
#include "bench/template.h"

#define WORKLOADS_MAX       64u
#define WORKLOAD_GROUPS_MAX 16u /* commands that are told apart in a result */
#define WORKLOAD_STEPS_MAX  128u
#define WORKLOAD_ERROR_MAX  384

/* One thing that a client may do next. */
struct workload_step {
    struct template templ;
    unsigned group; /* under which command it is counted */
    double up_to;   /* share of this step and those before it; the last one has 1 */
    int follow;     /* the step that must come next on the same connection, or -1 */
};

struct workload {
    struct bench_workload info; /* strings and arrays are owned */
    struct workload_step *steps;
    unsigned step_count;
    struct key_distribution distribution;
    struct size_distribution sizes;
    struct template_settings settings;
    struct template load; /* stores one key; bytes NULL: there is nothing to load */
    uint64_t load_count;  /* how often, for all keys */
    bool load_always;     /* the workload makes no sense without, so it is done without --load too */
    char *load_text;      /* tells whether two workloads have the same data */
};

struct workload_options {
    uint64_t keys; /* at least 1 */
    struct key_distribution distribution;
    struct size_distribution sizes;
    bool distribution_given, sizes_given; /* by the user: then they win over what YCSB defines */
    unsigned digits;
    const char *prefix; /* of keys in ready workloads: "key:" */
    bool prefix_given;
    bool verify;
    bool hashes; /* YCSB records as hashes of ten fields rather than as strings */
};

struct workloads {
    struct workload items[WORKLOADS_MAX];
    unsigned count;
};

/* Adds the workload of a name, or all that it stands for ("ping", "lrange"). */
bool workloads_add_named(struct workloads *workloads, struct slice name,
                         const struct workload_options *options, char error[static WORKLOAD_ERROR_MAX]);
/* All that redis-benchmark runs when none is named. */
bool workloads_add_default(struct workloads *workloads, const struct workload_options *options,
                           char error[static WORKLOAD_ERROR_MAX]);

/* One workload of some commands: "GET key:{key} @9". Its words may be quoted; the weight is 1 when there is none. */
bool workloads_add_commands(struct workloads *workloads, const char *const *commands, unsigned count,
                            const struct workload_options *options, char error[static WORKLOAD_ERROR_MAX]);
/* One workload of one command whose words are separate already. */
bool workloads_add_words(struct workloads *workloads, const struct slice *words, size_t count,
                         const struct workload_options *options, char error[static WORKLOAD_ERROR_MAX]);
void workloads_done(struct workloads *workloads);

/* Every ready workload with its definition. */
void workload_list_help(FILE *out);

#endif
