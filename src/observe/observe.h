/* What is observed of the executor's work, in one place: the context of exec->hooks.
 *
 * The server creates the parts and installs their functions as hooks (slowlog_hook, latency_hook, …);
 * commands reach them through observe_of. Threads: executor only. */
#ifndef SKUA_OBSERVE_OBSERVE_H
#define SKUA_OBSERVE_OBSERVE_H

#include "exec/exec.h"

struct latency;
struct metrics;
struct monitor;
struct slowlog;

struct observe {
    struct slowlog *slowlog; /* observe/slowlog.h */
    struct latency *latency; /* observe/latency.h */
    struct metrics *metrics; /* observe/metrics.h */
    struct monitor *monitor; /* observe/monitor.h */
};

static inline struct observe *observe_of(const struct exec *exec)
{
    return exec->hooks.context;
}

#endif
