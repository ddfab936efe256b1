/* WAIT and WAITAOF: waiting until replicas, or the disk, have what the client has written; and the timeouts of all
 * commands that wait.
 * Executor only. */
#include "cmd/wait.h"

#include <math.h>

#include "base/num.h"
#include "config/config.h"
#include "gen/args.h"
#include "persist/aof.h"
#include "persist/persist.h"
#include "repl/primary.h"
#include "repl/repl.h"

bool wait_is_allowed(const struct call *call)
{
    return !(call->client->flags & CLIENT_EXECUTING);
}

bool wait_deadline(struct call *call, int64_t timeout_ms, uint64_t *ret_deadline_ns)
{
    if (timeout_ms < 0) {
        reply_error(call->out, "ERR timeout is negative");
        return false;
    }
    /* What clients know as the limit: the end must be a time that the wall clock can show. */
    if (timeout_ms > INT64_MAX - call->exec->now_ms) {
        reply_error(call->out, "ERR timeout is out of range");
        return false;
    }
    *ret_deadline_ns = client_deadline_ns(call->exec, timeout_ms);
    return true;
}

bool wait_deadline_seconds(struct call *call, struct slice timeout, uint64_t *ret_deadline_ns)
{
    long double seconds;
    if (!num_parse_long_double(timeout, &seconds)) {
        reply_error(call->out, "ERR timeout is not a float or out of range");
        return false;
    }
    long double timeout_ms = ceill(seconds * 1000);
    if (timeout_ms >= (long double)INT64_MAX) {
        reply_error(call->out, "ERR timeout is out of range");
        return false;
    }
    return wait_deadline(call, timeout_ms < 0 ? -1 : (int64_t)timeout_ms, ret_deadline_ns);
}

void wait_for_first(struct call *call, struct block_request *request, struct slice timeout)
{
    if (!wait_deadline_seconds(call, timeout, &request->deadline_ns))
        return;
    for (uint32_t i = 0; i < request->key_count; i++)
        if (request->serve(call, request->keys[i], request->details))
            return;
    if (wait_is_allowed(call))
        block_wait(call, request);
    else
        reply_null_array(call->out);
}

/* CLIENT UNBLOCK … ERROR has its own answer, whatever was waited for. */
static bool end_with_error(struct reply *out, enum block_end_reason reason)
{
    if (!out || reason == BLOCK_END_GONE)
        return true;
    if (reason != BLOCK_END_ERROR)
        return false;
    reply_error(out, CLIENT_UNBLOCKED_ERROR);
    return true;
}

/* ---- WAIT ----------------------------------------------------------------------------------------- */

static int64_t count_acked(const struct client *client)
{
    return primary_count_acked(client->exec->repl->primary, client->written_end);
}

static bool serve_wait(struct client *client, const void *context)
{
    const struct ack_wait *wait = context;
    int64_t acked = count_acked(client);
    if (acked < wait->replicas)
        return false;
    reply_int(&client->out, acked);
    return true;
}

static void end_wait(struct client *client, enum block_end_reason reason)
{
    primary_wait_end(client);
    if (reason == BLOCK_END_SERVED)
        return;
    struct reply *out = reason == BLOCK_END_GONE ? NULL : client_push(client);
    if (!end_with_error(out, reason))
        reply_int(out, count_acked(client));
}

void cmd_wait(struct call *call, const struct args_wait *args)
{
    struct repl *repl = call->exec->repl;
    uint64_t deadline_ns;
    if (repl->is_replica) {
        reply_error(
            call->out,
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a "
            "replica is configured to be writable (which is not the default) writes to replicas are just "
            "local and are not propagated.");
        return;
    }
    if (!wait_deadline(call, args->timeout, &deadline_ns))
        return;
    int64_t acked = count_acked(call->client);
    if (acked >= args->numreplicas || !wait_is_allowed(call)) {
        reply_int(call->out, acked);
        return;
    }
    client_block(call->client, deadline_ns, end_wait);
    primary_wait(repl->primary, &(struct ack_wait){.client = call->client,
                                                   .position = call->client->written_end,
                                                   .replicas = args->numreplicas,
                                                   .is_served = serve_wait});
    primary_request_acks(repl->primary);
}

/* ---- WAITAOF -------------------------------------------------------------------------------------- */

/* Whether this server has on disk what the client has written, and how many replicas. */
static int64_t count_local(const struct client *client)
{
    const struct exec *exec = client->exec;
    return aof_is_on(exec->persist->aof) && exec->durable.synced >= client->written_end;
}

static int64_t count_synced(const struct client *client)
{
    return primary_count_synced(client->exec->repl->primary, client->written_end);
}

static void reply_synced(struct reply *out, const struct client *client)
{
    reply_array(out, 2);
    reply_int(out, count_local(client));
    reply_int(out, count_synced(client));
}

static bool serve_waitaof(struct client *client, const void *context)
{
    const struct ack_wait *wait = context;
    if (count_local(client) < wait->locals || count_synced(client) < wait->replicas)
        return false;
    reply_synced(&client->out, client);
    return true;
}

static void end_waitaof(struct client *client, enum block_end_reason reason)
{
    primary_wait_end(client);
    if (reason == BLOCK_END_SERVED)
        return;
    struct reply *out = reason == BLOCK_END_GONE ? NULL : client_push(client);
    if (!end_with_error(out, reason))
        reply_synced(out, client);
}

/* More of the log is on disk. */
static void tell_waiting(struct exec *exec)
{
    primary_serve_waits(exec->repl->primary);
}

void cmd_waitaof(struct call *call, const struct args_waitaof *args)
{
    struct exec *exec = call->exec;
    uint64_t deadline_ns;
    if (exec->repl->is_replica) {
        reply_error(call->out,
                    "ERR WAITAOF cannot be used with replica instances. Please also note that writes to "
                    "replicas are just local and are not propagated.");
        return;
    }
    if (!wait_deadline(call, args->timeout, &deadline_ns))
        return;
    if (args->numlocal > 0 && !exec->config->appendonly) {
        reply_error(call->out, "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
        return;
    }
    bool is_enough =
        count_local(call->client) >= args->numlocal && count_synced(call->client) >= args->numreplicas;
    if (is_enough || !wait_is_allowed(call)) {
        reply_synced(call->out, call->client);
        return;
    }
    client_block(call->client, deadline_ns, end_waitaof);
    primary_wait(exec->repl->primary, &(struct ack_wait){.client = call->client,
                                                         .position = call->client->written_end,
                                                         .replicas = args->numreplicas,
                                                         .locals = args->numlocal,
                                                         .is_served = serve_waitaof});
    exec->durable.told = tell_waiting;
    if (args->numreplicas > 0)
        primary_request_acks(exec->repl->primary);
}
