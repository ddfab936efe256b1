/* Writes what was measured: text, CSV, JSON and HTML.
 *
 * Principal entry points, in the order in which the engine calls them: report_begin before the first run, report_run
 * after each one (also one that ended early, or after Ctrl-C), report_end once.
 * Text and CSV go to `out` (standard output) as the runs end, JSON and HTML are files of the whole session. Progress on
 * a terminal is the engine's and goes to standard error; it is wiped before any of these is called.
 * Threads: the main thread. */
#ifndef SKUA_BENCH_REPORT_H
#define SKUA_BENCH_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "bench/result.h"

#define REPORT_ERROR_MAX 512

struct report_options {
    bool quiet;    /* -q: a line for each run */
    bool csv;      /* --csv */
    int precision; /* --precision: digits behind the point in latencies as text, 0 to 6; -1: not given */
    const char *json_path; /* --json: "-" is standard output, and then no text is written; NULL: none */
    const char *html_path; /* --html; NULL: none */
};

/* What stands above all runs, such as the heading of CSV. The session has its settings, servers and workloads. */
void report_begin(const struct report_options *options, const struct bench_session *session, FILE *out);

/* `result` is the latest of session->results. */
void report_run(const struct report_options *options, const struct bench_session *session,
                const struct bench_result *result, FILE *out);

/* Comparisons of servers, medians of rounds, and the files. False: a file could not be written, `error`
 * (REPORT_ERROR_MAX bytes) says which and why; the others have been written all the same. */
bool report_end(const struct report_options *options, const struct bench_session *session, FILE *out,
                char *error);

#endif
