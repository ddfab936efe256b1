/* MONITOR. See observe/monitor.h for what it shows. Threads: executor only. */
#include "observe/monitor.h"

#include "exec/call.h"
#include "gen/args.h"
#include "observe/observe.h"

void cmd_monitor(struct call *call, const struct args_monitor *args)
{
    if (call->client->flags & CLIENT_EXECUTING) {
        reply_error(call->out, "ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    monitor_start(observe_of(call->exec)->monitor, call->client);
    reply_ok(call->out);
}
