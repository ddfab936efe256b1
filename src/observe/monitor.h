/* MONITOR: shows every command to the clients that asked for it.
 *
 * Principal entry points: monitor_start, monitor_stop, monitor_client_gone, monitor_hook.
 * Threads: executor only.
 *
 * M1  A client is in `clients` exactly once if it has CLIENT_MONITOR, and not otherwise.
 * M2  exec->monitor_count == count. */
#ifndef SKUA_OBSERVE_MONITOR_H
#define SKUA_OBSERVE_MONITOR_H

#include <stdint.h>

struct call;
struct client;
struct exec;

/* A line shows this much of a command's arguments; a note says how much is left out. What a client sends can be
 * 512 MB long, and every byte may become four for every monitor. */
#define MONITOR_ARGUMENT_BYTES_MAX ((uint64_t)64 << 10)
#define MONITOR_ARGUMENTS_MAX      4096

struct monitor {
    struct exec *exec;
    struct client **clients;
    uint32_t count;
    uint32_t capacity;
};

struct monitor *monitor_new(struct exec *exec);

/* NULL is allowed. Touches neither clients nor the executor. */
void monitor_free(struct monitor *monitor);

/* The client sees every command from now on. Doing it twice is once. */
void monitor_start(struct monitor *monitor, struct client *client);

/* It sees none any more. */
void monitor_stop(struct monitor *monitor, struct client *client);

/* To be called before a client is forgotten, monitor or not. */
void monitor_client_gone(struct monitor *monitor, struct client *client);

/* Shows a call to every monitor. */
void monitor_feed(struct monitor *monitor, const struct call *call);

/* exec->hooks.monitor; `context` is the struct observe. */
void monitor_hook(void *context, struct call *call);

#endif
