/* The options of skua-cli: what a run is asked to do, and the rows that say how it is asked.
 *
 * Principal entry points: cli_options_init, cli_rows.
 * Connection options are in common/connect.h. Threads: the main thread. */
#ifndef SKUA_CLI_OPTIONS_H
#define SKUA_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/options.h"

/* How replies are written. */
enum cli_output {
    CLI_OUTPUT_AUTO,   /* readable on a terminal, else raw */
    CLI_OUTPUT_PRETTY, /* --no-raw */
    CLI_OUTPUT_RAW,
    CLI_OUTPUT_CSV,
    CLI_OUTPUT_JSON,
    CLI_OUTPUT_QUOTED_JSON,
};

/* Strings point into argv. */
struct cli_options {
    bool help, version, verbose;

    /* How commands are run. */
    int64_t repeat;       /* -r: times; 1 when not given, negative for ever */
    double interval_s;    /* -i; 0 when not given. The modes use it too, each in its way */
    bool read_last;       /* -x: the last argument comes from standard input */
    const char *read_tag; /* -X: the argument with this text does */
    bool exit_status;     /* -e: an error reply makes the exit status 1 */
    bool quoted_input;    /* arguments are written with quotes and escapes */
    const char *eval_file;

    /* How replies are written. */
    enum cli_output output;
    const char *delimiter;       /* -d: between the elements of a raw reply */
    const char *reply_delimiter; /* -D: behind each raw reply */
    bool show_pushes_given, show_pushes;

    /* Modes. */
    bool stat;
    bool latency, latency_history, latency_dist;
    bool bigkeys, memkeys, hotkeys;
    int64_t memkeys_samples; /* of MEMORY USAGE; -1 when not given: the server's default */
    bool scan;
    const char *pattern;        /* --pattern, or NULL */
    const char *quoted_pattern; /* --quoted-pattern, or NULL: still with its quotes */
    int64_t count;              /* COUNT of SCAN; 0 when not given */
    const char *type;           /* TYPE of SCAN, or NULL */
    const char *rdb_file;       /* "-": standard output */
    const char *functions_rdb_file;
    bool replica;
    int64_t intrinsic_latency_s; /* 0 when not given */
    bool pipe;
    int64_t pipe_timeout_s; /* 30; 0: for ever */
};

void cli_options_init(struct cli_options *options);

/* Their target is struct cli_options. */
#define CLI_ROW_COUNT 38
extern const struct option_row cli_rows[CLI_ROW_COUNT];

#endif
