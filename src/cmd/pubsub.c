/* Publish and subscribe: SUBSCRIBE and its kin, PUBLISH, SPUBLISH, PUBSUB.
 *
 * Principal entry points: cmd_subscribe, cmd_unsubscribe, cmd_publish, cmd_pubsub_channels.
 * See also: exec/pubsub.c, which knows who listens to what.
 * Threads: executor only.
 *
 * Subscribing answers with one push per name, not with one reply: inside MULTI a client gets more elements than the
 * transaction has commands, as it does from Redis. */
#include "exec/pubsub.h"
#include "base/glob.h"
#include "exec/call.h"
#include "gen/args.h"

/* ---- Subscribing ---------------------------------------------------------------------------------- */

struct subscription_words {
    const char *subscribe;
    const char *unsubscribe;
};

static const struct subscription_words words_of_kind[PUBSUB_KIND_COUNT] = {
    [PUBSUB_CHANNEL] = {"subscribe", "unsubscribe"},
    [PUBSUB_PATTERN] = {"psubscribe", "punsubscribe"},
    [PUBSUB_SHARD] = {"ssubscribe", "sunsubscribe"},
};

/* The number that goes with each answer: shard channels are counted apart from channels and patterns. */
static uint32_t shown_count(const struct client *client, enum pubsub_kind kind)
{
    if (kind == PUBSUB_SHARD)
        return pubsub_client_count(client, PUBSUB_SHARD);
    return pubsub_client_count(client, PUBSUB_CHANNEL) + pubsub_client_count(client, PUBSUB_PATTERN);
}

static void subscribe(struct call *call, enum pubsub_kind kind, const struct slice *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        switch (pubsub_subscribe(call->exec->pubsub, call->client, kind, names[i])) {
        case ST_NOMEM: call_oom(call); return;
        case ST_LIMIT:
            reply_error(call->out, "ERR too many subscriptions of one client (limit %u)", PUBSUB_CLIENT_MAX);
            return;
        default: break;
        }
        reply_push(call->out, 3);
        reply_bulk_string(call->out, words_of_kind[kind].subscribe);
        reply_bulk(call->out, names[i]);
        reply_int(call->out, shown_count(call->client, kind));
    }
}

struct leaving {
    struct call *call;
    enum pubsub_kind kind;
};

static void unsubscribe_one(void *context, struct slice name)
{
    const struct leaving *leaving = context;
    struct reply *out = leaving->call->out;
    reply_push(out, 3);
    reply_bulk_string(out, words_of_kind[leaving->kind].unsubscribe);
    reply_bulk(out, name);
    /* Last, because `name` may belong to the subscription. */
    pubsub_unsubscribe(leaving->call->exec->pubsub, leaving->call->client, leaving->kind, name);
    reply_int(out, shown_count(leaving->call->client, leaving->kind));
}

static void unsubscribe(struct call *call, enum pubsub_kind kind, const struct slice *names, uint32_t count)
{
    struct leaving leaving = {call, kind};
    for (uint32_t i = 0; i < count; i++)
        unsubscribe_one(&leaving, names[i]);
    if (count > 0)
        return;
    if (pubsub_client_count(call->client, kind) > 0) {
        pubsub_visit_client(call->client, kind, unsubscribe_one, &leaving);
        return;
    }
    reply_push(call->out, 3);
    reply_bulk_string(call->out, words_of_kind[kind].unsubscribe);
    reply_null(call->out);
    reply_int(call->out, shown_count(call->client, kind));
}

void cmd_subscribe(struct call *call, const struct args_subscribe *args)
{
    subscribe(call, PUBSUB_CHANNEL, args->channel, args->channel_count);
}

void cmd_psubscribe(struct call *call, const struct args_psubscribe *args)
{
    subscribe(call, PUBSUB_PATTERN, args->pattern, args->pattern_count);
}

void cmd_ssubscribe(struct call *call, const struct args_ssubscribe *args)
{
    subscribe(call, PUBSUB_SHARD, args->shardchannel, args->shardchannel_count);
}

void cmd_unsubscribe(struct call *call, const struct args_unsubscribe *args)
{
    unsubscribe(call, PUBSUB_CHANNEL, args->channel, args->channel_count);
}

void cmd_punsubscribe(struct call *call, const struct args_punsubscribe *args)
{
    unsubscribe(call, PUBSUB_PATTERN, args->pattern, args->pattern_count);
}

void cmd_sunsubscribe(struct call *call, const struct args_sunsubscribe *args)
{
    unsubscribe(call, PUBSUB_SHARD, args->shardchannel, args->shardchannel_count);
}

/* ---- Publishing ----------------------------------------------------------------------------------- */

static void publish(struct call *call, enum pubsub_kind kind, struct slice channel, struct slice message)
{
    uint64_t receivers;
    if (pubsub_publish(call->exec->pubsub, kind, channel, message, &receivers) != ST_OK)
        call_oom(call);
    else
        reply_int(call->out, (int64_t)receivers);
    call_propagate_message(call);
}

void cmd_publish(struct call *call, const struct args_publish *args)
{
    publish(call, PUBSUB_CHANNEL, args->channel, args->message);
}

void cmd_spublish(struct call *call, const struct args_spublish *args)
{
    publish(call, PUBSUB_SHARD, args->shardchannel, args->message);
}

/* ---- PUBSUB --------------------------------------------------------------------------------------- */

struct name_listing {
    struct reply *out;
    const struct slice *pattern; /* NULL: every name */
    uint64_t count;
};

static void list_name(void *context, struct slice name)
{
    struct name_listing *listing = context;
    if (listing->pattern && !glob_match(*listing->pattern, name))
        return;
    reply_bulk(listing->out, name);
    listing->count++;
}

static void list_names(struct call *call, enum pubsub_kind kind, const struct slice *pattern)
{
    struct name_listing listing = {.out = call->out, .pattern = pattern};
    struct reply_open open = reply_open(call->out);
    pubsub_visit_names(call->exec->pubsub, kind, list_name, &listing);
    reply_close(call->out, open, REPLY_ARRAY, listing.count);
}

static void count_subscribers(struct call *call, enum pubsub_kind kind, const struct slice *names,
                              uint32_t count)
{
    reply_array(call->out, (uint64_t)count * 2);
    for (uint32_t i = 0; i < count; i++) {
        reply_bulk(call->out, names[i]);
        reply_int(call->out, (int64_t)pubsub_subscriber_count(call->exec->pubsub, kind, names[i]));
    }
}

void cmd_pubsub_channels(struct call *call, const struct args_pubsub_channels *args)
{
    list_names(call, PUBSUB_CHANNEL, args->has_pattern ? &args->pattern : NULL);
}

void cmd_pubsub_shardchannels(struct call *call, const struct args_pubsub_shardchannels *args)
{
    list_names(call, PUBSUB_SHARD, args->has_pattern ? &args->pattern : NULL);
}

void cmd_pubsub_numsub(struct call *call, const struct args_pubsub_numsub *args)
{
    count_subscribers(call, PUBSUB_CHANNEL, args->channel, args->channel_count);
}

void cmd_pubsub_shardnumsub(struct call *call, const struct args_pubsub_shardnumsub *args)
{
    count_subscribers(call, PUBSUB_SHARD, args->shardchannel, args->shardchannel_count);
}

void cmd_pubsub_numpat(struct call *call, const struct args_pubsub_numpat *args)
{
    reply_int(call->out, (int64_t)pubsub_name_count(call->exec->pubsub, PUBSUB_PATTERN));
}
