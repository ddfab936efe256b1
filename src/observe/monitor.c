/* MONITOR: one line a command, with its time, database, client and arguments.
 *
 * Principal entry points: monitor_start, monitor_stop, monitor_hook.
 * See also: redact.h (what is not shown), cmd/monitor.c.
 * Threads: executor only. */
#include "observe/monitor.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/role.h"
#include "exec/call.h"
#include "observe/observe.h"
#include "observe/redact.h"

struct monitor *monitor_new(struct exec *exec)
{
    struct monitor *monitor = mem_calloc(1, sizeof *monitor);
    monitor->exec = exec;
    return monitor;
}

void monitor_free(struct monitor *monitor)
{
    if (!monitor)
        return;
    mem_free(monitor->clients);
    mem_free(monitor);
}

void monitor_start(struct monitor *monitor, struct client *client)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    if (client->flags & CLIENT_MONITOR)
        return;
    if (monitor->count == monitor->capacity) {
        monitor->capacity = monitor->capacity ? monitor->capacity * 2 : 4;
        monitor->clients = mem_realloc(monitor->clients, monitor->capacity * sizeof *monitor->clients);
    }
    monitor->clients[monitor->count++] = client;
    monitor->exec->monitor_count = monitor->count;
    client->flags |= CLIENT_MONITOR;
    client_note_patience(client);
}

void monitor_stop(struct monitor *monitor, struct client *client)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    if (!(client->flags & CLIENT_MONITOR))
        return;
    client->flags &= ~CLIENT_MONITOR;
    client_note_patience(client);
    uint32_t i = 0;
    while (monitor->clients[i] != client)
        i++;
    monitor->clients[i] = monitor->clients[--monitor->count];
    monitor->exec->monitor_count = monitor->count;
}

void monitor_client_gone(struct monitor *monitor, struct client *client)
{
    monitor_stop(monitor, client);
}

/* ---- Lines ---------------------------------------------------------------------------------------- */

static void append_client(const struct client *client, struct buf *line)
{
    if (!client->shared->is_local_socket) {
        buf_append_string(line, client->shared->peer);
        return;
    }
    /* The local end is the socket's path and ":0"; the path alone is shown. */
    size_t size = strlen(client->shared->local);
    if (size >= 2 && memcmp(client->shared->local + size - 2, ":0", 2) == 0)
        size -= 2;
    buf_append_string(line, "unix:");
    buf_append(line, client->shared->local, size);
}

static void append_arguments(const struct call *call, struct buf *line)
{
    uint64_t room = MONITOR_ARGUMENT_BYTES_MAX;
    for (uint32_t i = 0; i < call->argc; i++) {
        if (i == MONITOR_ARGUMENTS_MAX) {
            buf_printf(line, " ... (%u more arguments)", call->argc - i);
            return;
        }
        struct slice shown = call->argv[i];
        if (redact_is_secret(call->command, call->argv, call->argc, i))
            shown = SLICE(REDACTED_TEXT);
        uint64_t hidden = shown.size > room ? shown.size - room : 0;
        shown.size -= hidden;
        room -= shown.size;
        buf_append_char(line, ' ');
        buf_append_quoted(line, shown);
        if (hidden)
            buf_printf(line, " ... (%llu more bytes)", (unsigned long long)hidden);
    }
}

void monitor_feed(struct monitor *monitor, const struct call *call)
{
    struct buf line = {0};
    int64_t now_us = clock_wall_us(call->exec->clock);
    buf_printf(&line, "+%lld.%06lld [%u ", (long long)(now_us / 1000000), (long long)(now_us % 1000000),
               call->client->db->number);
    append_client(call->client, &line);
    buf_append_char(&line, ']');
    append_arguments(call, &line);
    buf_append_string(&line, "\r\n");
    for (uint32_t i = 0; i < monitor->count; i++) {
        struct reply *out = client_push(monitor->clients[i]);
        if (out)
            reply_raw(out, line.data, line.size);
    }
    buf_done(&line);
}

void monitor_hook(void *context, struct call *call)
{
    const struct observe *observe = context;
    monitor_feed(observe->monitor, call);
}
