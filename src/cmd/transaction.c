/* MULTI, EXEC, DISCARD, WATCH, UNWATCH. See exec/transaction.h for the queue. Threads: executor only. */
#include "exec/transaction.h"

#include "exec/call.h"
#include "exec/watch.h"
#include "gen/args.h"

void cmd_multi(struct call *call, const struct args_multi *args)
{
    if (call->client->flags & CLIENT_IN_TRANSACTION) {
        reply_error(call->out, "ERR MULTI calls can not be nested");
        return;
    }
    transaction_begin(call->client);
    reply_ok(call->out);
}

void cmd_discard(struct call *call, const struct args_discard *args)
{
    if (!(call->client->flags & CLIENT_IN_TRANSACTION)) {
        reply_error(call->out, "ERR DISCARD without MULTI");
        return;
    }
    transaction_discard(call->client);
    reply_ok(call->out);
}

void cmd_exec(struct call *call, const struct args_exec *args)
{
    struct client *client = call->client;
    if (!(client->flags & CLIENT_IN_TRANSACTION)) {
        reply_error(call->out, "ERR EXEC without MULTI");
        return;
    }
    if (watch_any_expired(call->exec->watch, client))
        client->flags |= CLIENT_DIRTY_CAS;
    if (client->flags & CLIENT_DIRTY_EXEC) {
        transaction_discard(client);
        reply_error(call->out, "EXECABORT Transaction discarded because of previous errors.");
        return;
    }
    if (client->flags & CLIENT_DIRTY_CAS) {
        transaction_discard(client);
        reply_null_array(call->out);
        return;
    }
    transaction_execute(call);
}

void cmd_watch(struct call *call, const struct args_watch *args)
{
    struct client *client = call->client;
    if (client->flags & CLIENT_IN_TRANSACTION) {
        reply_error(call->out, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    /* A transaction that must fail already needs no further keys. */
    if (!(client->flags & CLIENT_DIRTY_CAS)) {
        for (uint32_t i = 0; i < args->key_count; i++) {
            if (!watch_add(call->exec->watch, client, call->db, args->key[i])) {
                call_oom(call);
                return;
            }
        }
    }
    reply_ok(call->out);
}

void cmd_unwatch(struct call *call, const struct args_unwatch *args)
{
    watch_remove_all(call->exec->watch, call->client);
    call->client->flags &= ~CLIENT_DIRTY_CAS;
    reply_ok(call->out);
}
