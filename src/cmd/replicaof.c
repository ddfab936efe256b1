/* REPLICAOF, with its old name SLAVEOF: whom this server follows.
 *
 * See also: repl/replica.h. Threads: executor. */
#include <string.h>

#include "base/num.h"
#include "exec/call.h"
#include "gen/args.h"
#include "repl/failover.h"
#include "repl/repl.h"
#include "repl/replica.h"

static void follow(struct call *call, struct slice host, struct slice port)
{
    struct replica *replica = call->exec->repl->replica;
    char text[REPLICA_HOST_MAX + 1];
    int64_t number;
    if (call->exec->repl->failover->state != FAILOVER_NONE) {
        reply_error(call->out, "ERR REPLICAOF not allowed while failing over.");
        return;
    }
    if (slice_equal_nocase(host, "no") && slice_equal_nocase(port, "one")) {
        replica_stop(replica);
        reply_ok(call->out);
        return;
    }
    if (!num_parse_i64(port, &number) || number < 0 || number > UINT16_MAX) {
        reply_error(call->out, "ERR Invalid master port");
        return;
    }
    if (host.size == 0 || host.size > REPLICA_HOST_MAX || memchr(host.data, 0, host.size)) {
        reply_error(call->out, "ERR Invalid master host");
        return;
    }
    memcpy(text, host.data, host.size);
    text[host.size] = 0;
    if (!replica_follow(replica, text, (uint16_t)number)) {
        reply_literal(call->out, "+OK Already connected to specified master\r\n");
        return;
    }
    replica_cron(replica); /* connects at once: until then its former primary goes on without it */
    reply_ok(call->out);
}

void cmd_replicaof(struct call *call, const struct args_replicaof *args)
{
    follow(call, args->host, args->port);
}

void cmd_slaveof(struct call *call, const struct args_slaveof *args)
{
    follow(call, args->host, args->port);
}
