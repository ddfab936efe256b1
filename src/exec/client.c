/* Clients: lookup, closing, pushes, and waiting.
 *
 * Principal entry points: client_lookup, client_close, client_push, client_block, client_unblock, client_serve.
 * See also: client_text.c (CLIENT LIST), exec.c (life). The states are drawn in client.h.
 * Threads: executor only. */
#include "exec/client.h"

#include "base/role.h"
#include "exec/dispatch.h"
#include "exec/error_stats.h"
#include "exec/exec.h"
#include "exec/pubsub.h"

struct client *client_lookup(struct exec *exec, uint64_t id)
{
    return table_find(&exec->clients_by_id, dispatch_hash_id(id), dispatch_client_id_equal, &id);
}

uint32_t client_subscription_count(const struct client *client)
{
    if (likely(client->subscriptions == NULL))
        return 0;
    return pubsub_client_count(client, PUBSUB_CHANNEL) + pubsub_client_count(client, PUBSUB_PATTERN) +
           pubsub_client_count(client, PUBSUB_SHARD);
}

void client_note_patience(struct client *client)
{
    bool waits = client->flags & (CLIENT_BLOCKED | CLIENT_PAUSED | CLIENT_SLICED | CLIENT_MONITOR |
                                  CLIENT_REPLICA | CLIENT_PRIMARY);
    atomic_store_explicit(&client->shared->exempt_from_idle_timeout,
                          waits || client_subscription_count(client) > 0, memory_order_relaxed);
}

void client_close(struct client *client, enum close_how how)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    if (client->flags & CLIENT_CLOSING && (how != CLOSE_NOW || client->close_how == CLOSE_NOW))
        return;
    /* Who is going takes nothing any more from those who wait with it. */
    if (client->flags & CLIENT_BLOCKED)
        client_forget_block(client);
    client->flags = (client->flags | CLIENT_CLOSING) & ~(uint32_t)CLIENT_CLOSE_SENT;
    client->close_how = how;
    client_update_direct(client); /* nothing more is read either */
    client_mark_dirty(client);
}

struct reply *client_push(struct client *client)
{
    if (client->flags & CLIENT_CLOSING)
        return NULL;
    client_mark_dirty(client);
    struct exec *exec = client->exec;
    if (client != exec->executing)
        return &client->out;
    exec->deferred.resp = client->out.resp;
    return &exec->deferred;
}

/* ---- Waiting -------------------------------------------------------------------------------------- */

static void leave_waiting(struct client *client)
{
    list_remove(&client->in_blocked);
    client->flags &= ~(CLIENT_BLOCKED | CLIENT_PAUSED);
    client->exec->blocked_count--;
    deadlines_remove(&client->exec->deadlines, client);
    client_note_patience(client);
}

void client_make_runnable(struct client *client)
{
    client->flags |= CLIENT_UNBLOCKED;
    list_append(&client->exec->unblocked, &client->in_blocked);
}

uint64_t client_deadline_ns(const struct exec *exec, int64_t timeout_ms)
{
    uint64_t timeout_ns, deadline_ns;
    if (timeout_ms == 0)
        return 0;
    if (__builtin_mul_overflow((uint64_t)timeout_ms, (uint64_t)1000000, &timeout_ns) ||
        __builtin_add_overflow(clock_monotonic_ns(exec->clock), timeout_ns, &deadline_ns))
        return UINT64_MAX;
    return deadline_ns;
}

void client_block(struct client *client, uint64_t deadline_ns,
                  void (*end)(struct client *client, enum block_end_reason reason))
{
    struct exec *exec = client->exec;
    DEBUG_ASSERT(!(client->flags & (CLIENT_BLOCKED | CLIENT_PAUSED)));
    if (client->flags & CLIENT_UNBLOCKED) {
        list_remove(&client->in_blocked);
        client->flags &= ~CLIENT_UNBLOCKED;
    }
    client->flags |= CLIENT_BLOCKED;
    client->block_deadline_ns = deadline_ns;
    client->block_end = end;
    list_append(&exec->blocked, &client->in_blocked);
    exec->blocked_count++;
    client_note_patience(client);
    if (deadline_ns)
        deadlines_add(&exec->deadlines, client);
}

/* An answer that is written after its command: CLIENT REPLY holds for it as well, and its error counts. */
struct late_reply {
    struct reply_mark before;
    uint32_t errors;
};

static struct late_reply late_reply_begin(struct client *client)
{
    return (struct late_reply){reply_mark(&client->out), client->out.error_count};
}

static void late_reply_end(struct client *client, const struct late_reply *late)
{
    struct exec *exec = client->exec;
    struct reply *out = &client->out;
    if (out->error_count != late->errors) {
        exec->command_stats[client->last_command->id].failed++;
        error_stats_count(exec, out->error_code, out->error_count - late->errors);
        out->error_count = late->errors;
    }
    if (client->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP))
        reply_rollback(out, late->before);
    client->flags &= ~(uint32_t)CLIENT_REPLY_SKIP;
}

void client_unblock(struct client *client, enum block_end_reason reason)
{
    if (!(client->flags & CLIENT_BLOCKED))
        return;
    leave_waiting(client);
    client_mark_dirty(client);
    struct late_reply late = late_reply_begin(client);
    client->block_end(client, reason);
    late_reply_end(client, &late);
    blame_restart_wait(client);
    client_make_runnable(client);
}

bool client_serve(struct client *client, bool (*serve)(struct client *client, const void *context),
                  const void *context)
{
    struct exec *exec = client->exec;
    DEBUG_ASSERT(client->flags & CLIENT_BLOCKED && exec->executing == NULL);
    struct late_reply late = late_reply_begin(client);
    exec->executing = client; /* pushes to it follow the answer */
    bool served = serve(client, context);
    exec->executing = NULL;
    if (served) {
        leave_waiting(client);
        late_reply_end(client, &late);
        client->block_end(client, BLOCK_END_SERVED);
        blame_restart_wait(client);
        client_make_runnable(client);
    }
    client_mark_dirty(client);
    client_take_deferred(client);
    return served;
}

void client_forget_block(struct client *client)
{
    if (client->flags & CLIENT_UNBLOCKED) {
        list_remove(&client->in_blocked);
        client->flags &= ~CLIENT_UNBLOCKED;
    }
    bool blocked = client->flags & CLIENT_BLOCKED;
    if (!blocked && !(client->flags & CLIENT_PAUSED))
        return;
    leave_waiting(client);
    if (blocked)
        client->block_end(client, BLOCK_END_GONE);
}

void client_wait_in(struct client *client, struct list_node *waiting)
{
    if (client->flags & CLIENT_UNBLOCKED) {
        list_remove(&client->in_blocked);
        client->flags &= ~CLIENT_UNBLOCKED;
    }
    client->flags |= CLIENT_PAUSED;
    if (waiting == &client->exec->paused && client->exec->blame.pause_begin_ticks == 0)
        client->exec->blame.pause_begin_ticks = clock_ticks(client->exec->clock);
    list_append(waiting, &client->in_blocked);
    client->exec->blocked_count++;
    client_note_patience(client);
}

void client_resume(struct client *client)
{
    leave_waiting(client);
    client_make_runnable(client);
}

static void end_pause(struct exec *exec)
{
    exec->pause_until_ms = 0;
    if (exec->blame.pause_begin_ticks)
        blame_task(exec, "client-pause", exec->blame.pause_begin_ticks, clock_ticks(exec->clock));
    exec->blame.pause_begin_ticks = 0;
    list_for_each(&exec->paused, node)
    {
        client_resume(list_entry(node, struct client, in_blocked));
    }
}

void client_end_due_blocks(struct exec *exec)
{
    if (exec->pause_until_ms && exec->pause_until_ms <= exec->now_ms)
        end_pause(exec);
    else if (!exec->pause_until_ms && !list_is_empty(&exec->paused))
        end_pause(exec); /* CLIENT UNPAUSE */
    struct client *client = deadlines_first(&exec->deadlines);
    if (!client)
        return;
    uint64_t now_ns = clock_monotonic_ns(exec->clock);
    for (; client && client->block_deadline_ns <= now_ns; client = deadlines_first(&exec->deadlines))
        client_unblock(client, BLOCK_END_TIMEOUT);
}
