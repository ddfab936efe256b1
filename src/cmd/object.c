/* OBJECT ENCODING FREQ IDLETIME REFCOUNT: how a value is kept. Executor only. */
#include "cmd/inspect.h"
#include "exec/call.h"
#include "gen/args.h"

/* Answers nil when there is no such key. */
static const struct entry *look_up(struct call *call, struct slice name)
{
    struct key key;
    if (!inspect_key_silently(call, name, &key))
        reply_null(call->out);
    return key.entry;
}

void cmd_object_encoding(struct call *call, const struct args_object_encoding *args)
{
    const struct entry *entry = look_up(call, args->key);
    if (entry)
        reply_bulk_string(call->out, inspect_encoding_name(entry));
}

#define TAKES_TIME                                                                                           \
    "Please note that when switching between policies at runtime LRU and LFU data will take some time to "   \
    "adjust."

void cmd_object_freq(struct call *call, const struct args_object_freq *args)
{
    const struct use *use = &call->exec->keyspace->use;
    const struct entry *entry = look_up(call, args->key);
    if (entry == NULL)
        return;
    if (use->rules.counts)
        reply_int(call->out, use_frequency(use, entry));
    else
        reply_error(call->out,
                    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. " TAKES_TIME);
}

void cmd_object_idletime(struct call *call, const struct args_object_idletime *args)
{
    const struct use *use = &call->exec->keyspace->use;
    const struct entry *entry = look_up(call, args->key);
    if (entry == NULL)
        return;
    if (use->rules.counts)
        reply_error(call->out, "ERR An LFU maxmemory policy is selected, idle time not tracked. " TAKES_TIME);
    else
        reply_int(call->out, use_idle_seconds(use, entry));
}

void cmd_object_refcount(struct call *call, const struct args_object_refcount *args)
{
    const struct entry *entry = look_up(call, args->key);
    if (entry)
        reply_int(call->out, inspect_reference_count(entry));
}
