/* Publish and subscribe: who listens to what, and the way of a message to its listeners.
 *
 * Principal entry points: pubsub_subscribe, pubsub_unsubscribe, pubsub_publish, pubsub_client_gone.
 * See also: cmd/pubsub.c (the commands), notify.c (keyspace events).
 *
 * A topic is a name of one kind with at least one subscriber. A subscription joins a topic and a client and
 * is listed at both, so a message costs one step a listener and leaving costs one lookup, however many
 * listen. Subscriptions of all clients lie in one table: a client that listens to little then costs little.
 * Threads: executor only.
 *
 * S1  A topic is in its kind's table while it has a subscription, no longer; patterns are also in `patterns`.
 * S2  A subscription is in `subscriptions`, in its topic's list and in its client's list of that kind.
 * S3  counts: topic->count, subscriptions->counts and table sizes equal the lengths of the lists. */
#include "exec/pubsub.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/glob.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/role.h"
#include "ds/table.h"
#include "exec/client.h"
#include "exec/exec.h"

struct topic {
    struct list_node subscribers;
    struct list_node in_patterns; /* PUBSUB_PATTERN only */
    uint64_t count;
    uint64_t hash;
    size_t name_size;
    enum pubsub_kind kind;
    char name[];
};

struct subscription {
    struct list_node in_topic;
    struct list_node in_client;
    struct topic *topic;
    struct client *client;
};

/* What a client listens to. */
struct subscriptions {
    struct list_node lists[PUBSUB_KIND_COUNT];
    uint32_t counts[PUBSUB_KIND_COUNT];
    uint64_t memory; /* bytes of subscriptions and of their names; a shared name counts for each */
};

struct pubsub {
    struct exec *exec;
    struct table topics[PUBSUB_KIND_COUNT];
    struct table subscriptions;
    struct list_node patterns; /* topics, oldest first */
    uint64_t clients;          /* that have subscriptions */
};

/* ---- Names ---------------------------------------------------------------------------------------- */

static struct slice topic_name(const struct topic *topic)
{
    return slice_make(topic->name, topic->name_size);
}

static uint64_t hash_topic(const void *item, void *context)
{
    return ((const struct topic *)item)->hash;
}

static const struct table_type topic_table_type = {.hash = hash_topic};

static inline bool topic_has_name(const void *item, const void *key)
{
    return slice_equal(topic_name(item), *(const struct slice *)key);
}

static uint64_t hash_name(const struct pubsub *pubsub, struct slice name)
{
    return hash_slice(name, pubsub->exec->keyspace->hash_seed);
}

static struct topic *find_topic(const struct pubsub *pubsub, enum pubsub_kind kind, struct slice name)
{
    if (table_size(&pubsub->topics[kind]) == 0)
        return NULL;
    return table_find(&pubsub->topics[kind], hash_name(pubsub, name), topic_has_name, &name);
}

/* NULL when memory is refused. */
static struct topic *add_topic(struct pubsub *pubsub, enum pubsub_kind kind, struct slice name)
{
    struct topic *topic = mem_try_alloc(sizeof *topic + name.size);
    if (!topic)
        return NULL;
    *topic = (struct topic){.hash = hash_name(pubsub, name), .name_size = name.size, .kind = kind};
    list_init(&topic->subscribers);
    if (name.size)
        memcpy(topic->name, name.data, name.size);
    if (table_insert(&pubsub->topics[kind], topic->hash, topic) != ST_OK) {
        mem_free(topic);
        return NULL;
    }
    if (kind == PUBSUB_PATTERN)
        list_append(&pubsub->patterns, &topic->in_patterns);
    return topic;
}

static void drop_topic(struct pubsub *pubsub, struct topic *topic)
{
    struct slice name = topic_name(topic);
    struct table_position position;
    bool found = table_locate(&pubsub->topics[topic->kind], topic->hash, topic_has_name, &name, &position);
    ASSERT(found);
    table_remove(&pubsub->topics[topic->kind], &position);
    if (topic->kind == PUBSUB_PATTERN)
        list_remove(&topic->in_patterns);
    mem_free(topic);
}

/* ---- Who listens to what -------------------------------------------------------------------------- */

/* The name's hash depends on a secret seed, so a client cannot aim at a bucket; the id is spread over it. */
static uint64_t hash_pair(const struct topic *topic, const struct client *client)
{
    uint64_t hash = (topic->hash + (uint64_t)topic->kind) ^ client->id * 0x9e3779b97f4a7c15ull;
    hash *= 0xff51afd7ed558ccdull;
    return hash ^ hash >> 32;
}

static uint64_t hash_subscription(const void *item, void *context)
{
    const struct subscription *subscription = item;
    return hash_pair(subscription->topic, subscription->client);
}

static const struct table_type subscription_table_type = {.hash = hash_subscription};

static inline bool subscription_joins(const void *item, const void *key)
{
    const struct subscription *subscription = item;
    const struct subscription *wanted = key;
    return subscription->topic == wanted->topic && subscription->client == wanted->client;
}

static struct subscription *find_subscription(const struct pubsub *pubsub, struct topic *topic,
                                              struct client *client)
{
    struct subscription wanted = {.topic = topic, .client = client};
    return table_find(&pubsub->subscriptions, hash_pair(topic, client), subscription_joins, &wanted);
}

static uint64_t subscription_memory(const struct subscription *subscription)
{
    return sizeof *subscription + sizeof(struct topic) + subscription->topic->name_size;
}

static uint32_t total_count(const struct subscriptions *subscriptions)
{
    uint32_t count = 0;
    for (int kind = 0; kind < PUBSUB_KIND_COUNT; kind++)
        count += subscriptions->counts[kind];
    return count;
}

static struct subscriptions *subscriptions_of(struct client *client)
{
    if (client->subscriptions)
        return client->subscriptions;
    client->subscriptions = mem_calloc(1, sizeof *client->subscriptions);
    for (int kind = 0; kind < PUBSUB_KIND_COUNT; kind++)
        list_init(&client->subscriptions->lists[kind]);
    return client->subscriptions;
}

/* A subscriber waits for messages, and its output has limits of its own. */
static void tell_io_side(struct client *client)
{
    bool listens = client->subscriptions && total_count(client->subscriptions) > 0;
    atomic_store_explicit(&client->shared->output_class, listens ? OUTPUT_PUBSUB : OUTPUT_NORMAL,
                          memory_order_relaxed);
    client_note_patience(client);
}

static enum status join(struct pubsub *pubsub, struct topic *topic, struct client *client)
{
    struct subscription *subscription = mem_try_alloc(sizeof *subscription);
    if (!subscription)
        return ST_NOMEM;
    *subscription = (struct subscription){.topic = topic, .client = client};
    if (table_insert(&pubsub->subscriptions, hash_pair(topic, client), subscription) != ST_OK) {
        mem_free(subscription);
        return ST_NOMEM;
    }
    struct subscriptions *subscriptions = subscriptions_of(client);
    pubsub->clients += total_count(subscriptions) == 0;
    list_append(&topic->subscribers, &subscription->in_topic);
    list_append(&subscriptions->lists[topic->kind], &subscription->in_client);
    topic->count++;
    subscriptions->counts[topic->kind]++;
    subscriptions->memory += subscription_memory(subscription);
    return ST_OK;
}

static void leave(struct pubsub *pubsub, struct subscription *subscription)
{
    struct topic *topic = subscription->topic;
    struct subscriptions *subscriptions = subscription->client->subscriptions;
    struct table_position position;
    bool found = table_locate(&pubsub->subscriptions, hash_pair(topic, subscription->client),
                              subscription_joins, subscription, &position);
    ASSERT(found);
    table_remove(&pubsub->subscriptions, &position);
    list_remove(&subscription->in_topic);
    list_remove(&subscription->in_client);
    subscriptions->counts[topic->kind]--;
    pubsub->clients -= total_count(subscriptions) == 0;
    subscriptions->memory -= subscription_memory(subscription);
    mem_free(subscription);
    if (--topic->count == 0)
        drop_topic(pubsub, topic);
}

enum status pubsub_subscribe(struct pubsub *pubsub, struct client *client, enum pubsub_kind kind,
                             struct slice name)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct topic *topic = find_topic(pubsub, kind, name);
    if (topic && find_subscription(pubsub, topic, client))
        return ST_EXISTS;
    if (client->subscriptions && total_count(client->subscriptions) >= PUBSUB_CLIENT_MAX)
        return ST_LIMIT;
    if (!topic && !(topic = add_topic(pubsub, kind, name)))
        return ST_NOMEM;
    enum status status = join(pubsub, topic, client);
    if (status != ST_OK && topic->count == 0)
        drop_topic(pubsub, topic);
    if (status == ST_OK)
        tell_io_side(client);
    return status;
}

bool pubsub_unsubscribe(struct pubsub *pubsub, struct client *client, enum pubsub_kind kind,
                        struct slice name)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct topic *topic = find_topic(pubsub, kind, name);
    struct subscription *subscription = topic ? find_subscription(pubsub, topic, client) : NULL;
    if (!subscription)
        return false;
    leave(pubsub, subscription);
    tell_io_side(client);
    return true;
}

void pubsub_visit_client(struct client *client, enum pubsub_kind kind,
                         void (*visit)(void *context, struct slice name), void *context)
{
    if (!client->subscriptions)
        return;
    list_for_each(&client->subscriptions->lists[kind], node)
        visit(context, topic_name(list_entry(node, struct subscription, in_client)->topic));
}

uint32_t pubsub_client_count(const struct client *client, enum pubsub_kind kind)
{
    return client->subscriptions ? client->subscriptions->counts[kind] : 0;
}

uint64_t pubsub_client_memory(const struct client *client)
{
    return client->subscriptions ? sizeof *client->subscriptions + client->subscriptions->memory : 0;
}

void pubsub_client_gone(struct pubsub *pubsub, struct client *client)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    if (!client->subscriptions)
        return;
    for (int kind = 0; kind < PUBSUB_KIND_COUNT; kind++)
        list_for_each(&client->subscriptions->lists[kind], node)
            leave(pubsub, list_entry(node, struct subscription, in_client));
    tell_io_side(client);
    mem_free(client->subscriptions);
    client->subscriptions = NULL;
}

/* ---- Messages ------------------------------------------------------------------------------------- */

/* The bytes of a large message, on their way to several connections. References are dropped by I/O threads.
 */
struct shared_message {
    _Atomic uint32_t refs;
    char bytes[];
};

static void release_message(void *owner)
{
    struct shared_message *shared = owner;
    if (atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel) == 1)
        mem_free(shared);
}

/* A message while it is handed out: `shared` is NULL when it is so small that each listener gets a copy. */
struct delivery {
    struct slice channel;
    struct slice message;
    struct shared_message *shared;
};

static void write_message(struct reply *out, const struct delivery *delivery)
{
    if (!delivery->shared) {
        reply_bulk(out, delivery->message);
        return;
    }
    atomic_fetch_add_explicit(&delivery->shared->refs, 1, memory_order_relaxed);
    reply_bulk_pinned(out, slice_make(delivery->shared->bytes, delivery->message.size), release_message,
                      delivery->shared);
}

static void deliver(const struct topic *topic, const struct delivery *delivery)
{
    list_for_each(&topic->subscribers, node)
    {
        struct reply *out = client_push(list_entry(node, struct subscription, in_topic)->client);
        if (!out)
            continue;
        if (topic->kind == PUBSUB_PATTERN) {
            reply_push(out, 4);
            reply_literal(out, "$8\r\npmessage\r\n");
            reply_bulk(out, topic_name(topic));
        } else {
            reply_push(out, 3);
            if (topic->kind == PUBSUB_SHARD)
                reply_literal(out, "$8\r\nsmessage\r\n");
            else
                reply_literal(out, "$7\r\nmessage\r\n");
        }
        reply_bulk(out, delivery->channel);
        write_message(out, delivery);
    }
}

static enum status prepare_delivery(struct delivery *delivery)
{
    size_t size = delivery->message.size;
    if (size < PUBSUB_SHARE_MIN || delivery->shared)
        return ST_OK;
    delivery->shared = mem_try_alloc(sizeof *delivery->shared + size);
    if (!delivery->shared)
        return ST_NOMEM;
    atomic_init(&delivery->shared->refs, 1);
    memcpy(delivery->shared->bytes, delivery->message.data, size);
    return ST_OK;
}

enum status pubsub_publish(struct pubsub *pubsub, enum pubsub_kind kind, struct slice channel,
                           struct slice message, uint64_t *ret_receivers)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct delivery delivery = {.channel = channel, .message = message};
    uint64_t receivers = 0;
    struct topic *topic = find_topic(pubsub, kind, channel);
    if (topic) {
        if (prepare_delivery(&delivery) != ST_OK)
            return ST_NOMEM;
        deliver(topic, &delivery);
        receivers += topic->count;
    }
    if (kind == PUBSUB_CHANNEL) {
        list_for_each(&pubsub->patterns, node)
        {
            const struct topic *pattern = list_entry(node, struct topic, in_patterns);
            if (!glob_match(topic_name(pattern), channel))
                continue;
            if (prepare_delivery(&delivery) != ST_OK)
                return ST_NOMEM; /* the first receiver: nothing has been sent */
            deliver(pattern, &delivery);
            receivers += pattern->count;
        }
    }
    if (delivery.shared)
        release_message(delivery.shared);
    *ret_receivers = receivers;
    return ST_OK;
}

bool pubsub_has_listeners(const struct pubsub *pubsub)
{
    return table_size(&pubsub->topics[PUBSUB_CHANNEL]) != 0 ||
           table_size(&pubsub->topics[PUBSUB_PATTERN]) != 0;
}

/* ---- Looking -------------------------------------------------------------------------------------- */

uint64_t pubsub_clients(const struct pubsub *pubsub)
{
    return pubsub->clients;
}

uint64_t pubsub_name_count(const struct pubsub *pubsub, enum pubsub_kind kind)
{
    return table_size(&pubsub->topics[kind]);
}

uint64_t pubsub_subscriber_count(const struct pubsub *pubsub, enum pubsub_kind kind, struct slice name)
{
    const struct topic *topic = find_topic(pubsub, kind, name);
    return topic ? topic->count : 0;
}

struct name_visit {
    void (*visit)(void *context, struct slice name);
    void *context;
};

static void visit_topic(void *item, void *context)
{
    const struct name_visit *visit = context;
    visit->visit(visit->context, topic_name(item));
}

void pubsub_visit_names(const struct pubsub *pubsub, enum pubsub_kind kind,
                        void (*visit)(void *context, struct slice name), void *context)
{
    struct name_visit visit_one = {visit, context};
    uint64_t cursor = 0;
    if (table_size(&pubsub->topics[kind]) == 0)
        return;
    do {
        cursor = table_scan(&pubsub->topics[kind], cursor, visit_topic, &visit_one);
    } while (cursor);
}

/* ---- Life ----------------------------------------------------------------------------------------- */

struct pubsub *pubsub_new(struct exec *exec)
{
    struct pubsub *pubsub = mem_calloc(1, sizeof *pubsub);
    pubsub->exec = exec;
    for (int kind = 0; kind < PUBSUB_KIND_COUNT; kind++)
        table_init(&pubsub->topics[kind], &topic_table_type, NULL, NULL);
    table_init(&pubsub->subscriptions, &subscription_table_type, NULL, NULL);
    list_init(&pubsub->patterns);
    return pubsub;
}

void pubsub_free(struct pubsub *pubsub)
{
    if (!pubsub)
        return;
    ASSERT(table_size(&pubsub->subscriptions) == 0);
    for (int kind = 0; kind < PUBSUB_KIND_COUNT; kind++)
        table_done(&pubsub->topics[kind]);
    table_done(&pubsub->subscriptions);
    mem_free(pubsub);
}

/* ---- Checks --------------------------------------------------------------------------------------- */

struct check {
    const struct pubsub *pubsub;
    uint64_t subscriptions;
    uint64_t patterns;
};

static void check_topic(void *item, void *context)
{
    const struct topic *topic = item;
    struct check *check = context;
    uint64_t count = 0;
    list_for_each(&topic->subscribers, node)
    {
        struct subscription *subscription = list_entry(node, struct subscription, in_topic);
        ASSERT(subscription->topic == topic);
        ASSERT(find_subscription(check->pubsub, subscription->topic, subscription->client) == subscription);
        ASSERT(list_is_listed(&subscription->in_client));
        count++;
    }
    ASSERT(count > 0 && count == topic->count);
    ASSERT((topic->kind == PUBSUB_PATTERN) == list_is_listed(&topic->in_patterns));
    check->subscriptions += count;
    check->patterns += topic->kind == PUBSUB_PATTERN;
}

void pubsub_check(const struct pubsub *pubsub)
{
    struct check check = {.pubsub = pubsub};
    for (int kind = 0; kind < PUBSUB_KIND_COUNT; kind++) {
        uint64_t cursor = 0;
        if (table_size(&pubsub->topics[kind]) == 0)
            continue;
        do {
            cursor = table_scan(&pubsub->topics[kind], cursor, check_topic, &check);
        } while (cursor);
    }
    ASSERT(check.subscriptions == table_size(&pubsub->subscriptions));
    ASSERT(check.patterns == table_size(&pubsub->topics[PUBSUB_PATTERN]));
}
