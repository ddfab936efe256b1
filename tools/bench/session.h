/* A session: several servers, workload by workload, round by round, with the reports on it.
 *
 * Principal entry point: session_run.
 * Threads: the main thread; it sets handlers for SIGINT and SIGTERM, which end the session with what was measured. */
#ifndef SKUA_BENCH_SESSION_H
#define SKUA_BENCH_SESSION_H

#include "bench/options.h"

/* The exit status of the program: 0, or 1 when something went wrong: a server could not be reached, a run ended early, a
 * reply was an error or not what it should be, a report could not be written. */
int session_run(struct bench_options *options);

#endif
