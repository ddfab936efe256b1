/* SLOWLOG GET LEN RESET: the last commands that took long. Executor only. */
#include "observe/slowlog.h"
#include "exec/call.h"
#include "gen/args.h"
#include "observe/observe.h"

#define SLOWLOG_GET_DEFAULT 10

static void reply_entry(struct reply *out, const struct slowlog_entry *entry)
{
    reply_array(out, 6);
    reply_int(out, (int64_t)entry->id);
    reply_int(out, entry->time_s);
    reply_int(out, (int64_t)entry->duration_us);
    reply_array(out, entry->argc);
    for (uint32_t i = 0; i < entry->argc; i++)
        reply_bulk(out, entry->argv[i]);
    reply_bulk(out, entry->peer);
    reply_bulk(out, entry->name);
}

void cmd_slowlog_get(struct call *call, const struct args_slowlog_get *args)
{
    const struct slowlog *slowlog = observe_of(call->exec)->slowlog;
    uint64_t count = args->has_count ? (uint64_t)args->count : SLOWLOG_GET_DEFAULT;
    if (count > slowlog->count) /* -1 asks for all */
        count = slowlog->count;
    reply_array(call->out, count);
    const struct slowlog_entry *entry = slowlog_newest(slowlog);
    for (uint64_t i = 0; i < count; i++, entry = slowlog_older(slowlog, entry))
        reply_entry(call->out, entry);
}

void cmd_slowlog_len(struct call *call, const struct args_slowlog_len *args)
{
    reply_int(call->out, (int64_t)observe_of(call->exec)->slowlog->count);
}

void cmd_slowlog_reset(struct call *call, const struct args_slowlog_reset *args)
{
    slowlog_reset(observe_of(call->exec)->slowlog);
    reply_ok(call->out);
}
