/* WAIT and WAITAOF: waiting until replicas, or the disk, have what the client has written.
 *
 * There are neither replicas nor a log on disk yet, so nobody ever acknowledges anything: who asks for somebody
 * waits until the timeout. Executor only. */
#include "exec/call.h"
#include "gen/args.h"

/* Commands in a transaction never wait. */
static bool may_wait(const struct call *call)
{
    return !(call->client->flags & CLIENT_EXECUTING);
}

/* A timeout in milliseconds as a time of the wall clock, 0 (for ever) stays 0. False after an error. */
static bool parse_deadline(struct call *call, int64_t timeout_ms, int64_t *ret_deadline_ms)
{
    int64_t deadline_ms = 0;
    if (timeout_ms < 0) {
        reply_error(call->out, "ERR timeout is negative");
        return false;
    }
    if (timeout_ms > 0 && __builtin_add_overflow(call->exec->now_ms, timeout_ms, &deadline_ms)) {
        reply_error(call->out, "ERR timeout is out of range");
        return false;
    }
    *ret_deadline_ms = deadline_ms;
    return true;
}

/* CLIENT UNBLOCK … ERROR has its own answer, whatever was waited for. */
static bool end_with_error(struct reply *out, enum block_end_reason reason)
{
    if (!out || reason == BLOCK_END_GONE)
        return true;
    if (reason != BLOCK_END_ERROR)
        return false;
    reply_error(out, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    return true;
}

/* ---- WAIT ----------------------------------------------------------------------------------------- */

static void end_wait(struct client *client, enum block_end_reason reason)
{
    struct reply *out = reason == BLOCK_END_GONE ? NULL : client_push(client);
    if (!end_with_error(out, reason))
        reply_int(out, 0);
}

void cmd_wait(struct call *call, const struct args_wait *args)
{
    int64_t deadline_ms;
    if (!parse_deadline(call, args->timeout, &deadline_ms))
        return;
    if (args->numreplicas <= 0 || !may_wait(call)) {
        reply_int(call->out, 0);
        return;
    }
    client_block(call->client, deadline_ms, end_wait);
}

/* ---- WAITAOF -------------------------------------------------------------------------------------- */

/* How many of {this server, replicas} have it on disk. */
static void reply_nobody(struct reply *out)
{
    reply_array(out, 2);
    reply_int(out, 0);
    reply_int(out, 0);
}

static void end_waitaof(struct client *client, enum block_end_reason reason)
{
    struct reply *out = reason == BLOCK_END_GONE ? NULL : client_push(client);
    if (!end_with_error(out, reason))
        reply_nobody(out);
}

void cmd_waitaof(struct call *call, const struct args_waitaof *args)
{
    int64_t deadline_ms;
    if (!parse_deadline(call, args->timeout, &deadline_ms))
        return;
    if (args->numlocal > 0) {
        reply_error(call->out, "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
        return;
    }
    if (args->numreplicas == 0 || !may_wait(call)) {
        reply_nobody(call->out);
        return;
    }
    client_block(call->client, deadline_ms, end_waitaof);
}
