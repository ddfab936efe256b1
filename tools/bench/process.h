/* CPU time of processes: the server's, when it runs on this machine, and the tool's own.
 *
 * Principal entry points: process_cpu, process_own_cpu, process_find.
 * Threads: any. */
#ifndef SKUA_BENCH_PROCESS_H
#define SKUA_BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include <skua/client.h>

struct process_cpu {
    double user_s, sys_s; /* of all threads, also those that have ended */
};

/* False: there is no such process, or it cannot be looked at. The sum is exact; each part is as exact as the system's ticks,
 * 10 ms as a rule, so that between two readings the smaller one may be less than nothing. */
bool process_cpu(int64_t pid, struct process_cpu *ret_cpu);
bool process_own_cpu(struct process_cpu *ret_cpu);

/* The process at the other end of a connection: by the socket when that is a Unix one, otherwise by what INFO says
 * (`info`, zero-terminated) when the server's address is this machine's loopback. 0: not known. */
int64_t process_find(const struct skua_client *client, const char *info);

#endif
