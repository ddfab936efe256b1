/* SLOWLOG BLAME GET LEN RESET: the last commands that took long. Executor only. */
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

/* ---- Blame ---------------------------------------------------------------------------------------- */

static void field_int(struct reply *out, const char *name, int64_t value)
{
    reply_bulk_string(out, name);
    reply_int(out, value);
}

static void field_us(struct reply *out, const char *name, int64_t us)
{
    reply_bulk_string(out, name);
    if (us == SLOWLOG_NOT_KNOWN)
        reply_null(out);
    else
        reply_int(out, us);
}

static void reply_share(struct reply *out, const struct span_share *share)
{
    reply_map(out, 5);
    reply_bulk_string(out, "kind");
    reply_bulk_string(out, span_kind_name(share->kind));
    reply_bulk_string(out, "name");
    reply_bulk_string(out, share->name);
    field_int(out, "client-id", (int64_t)share->client_id);
    field_int(out, "commands", share->count);
    field_int(out, "usec", (int64_t)(share->ns / 1000));
}

static void reply_blame(struct reply *out, const struct slowlog_entry *entry)
{
    const struct slowlog_blame *blame = &entry->blame;
    const struct span_shares *shares = &blame->waited_for;
    reply_map(out, 13);
    field_us(out, "id", entry->only_waited ? SLOWLOG_NOT_KNOWN : (int64_t)entry->id);
    field_int(out, "time", entry->time_s);
    field_int(out, "client-id", (int64_t)blame->client_id);
    reply_bulk_string(out, "client");
    reply_bulk(out, entry->peer);
    reply_bulk_string(out, "client-name");
    reply_bulk(out, entry->name);
    reply_bulk_string(out, "command");
    reply_array(out, entry->argc);
    for (uint32_t i = 0; i < entry->argc; i++)
        reply_bulk(out, entry->argv[i]);
    field_int(out, "requests", (int64_t)blame->requests);
    field_us(out, "queue-usec", blame->queue_us);
    field_int(out, "execute-usec", (int64_t)blame->execute_us);
    field_int(out, "paused-usec", (int64_t)blame->paused_us);
    field_us(out, "reply-usec", blame->reply_us);
    reply_bulk_string(out, "waited-for");
    reply_array(out, shares->count);
    for (unsigned i = 0; i < shares->count; i++)
        reply_share(out, &shares->items[i]);
    field_int(out, "other-usec", (int64_t)(shares->rest_ns / 1000));
}

/* Of both lists, newest first. */
void cmd_slowlog_blame(struct call *call, const struct args_slowlog_blame *args)
{
    const struct slowlog *slowlog = observe_of(call->exec)->slowlog;
    const struct slowlog_entry *slow = slowlog_newest(slowlog);
    const struct slowlog_entry *waited = slowlog_newest_waited(slowlog);
    uint64_t count = args->has_count ? (uint64_t)args->count : SLOWLOG_GET_DEFAULT;
    if (count > slowlog->count + slowlog->waited_count) /* -1 asks for all */
        count = slowlog->count + slowlog->waited_count;
    reply_array(call->out, count);
    for (uint64_t i = 0; i < count; i++) {
        if (slow && (!waited || slow->report > waited->report)) {
            reply_blame(call->out, slow);
            slow = slowlog_older(slowlog, slow);
        } else {
            reply_blame(call->out, waited);
            waited = slowlog_older_waited(slowlog, waited);
        }
    }
}

/* ---- As Redis ------------------------------------------------------------------------------------- */

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
