/* Publish and subscribe: channels, patterns and shard channels.
 *
 * Principal entry points: pubsub_subscribe, pubsub_unsubscribe, pubsub_publish, pubsub_client_gone.
 * Messages are written into the subscribers' output (client_push) and leave at the end of the batch.
 * Threads: executor only. */
#ifndef SKUA_EXEC_PUBSUB_H
#define SKUA_EXEC_PUBSUB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct buf;
struct client;
struct exec;
struct pubsub;
struct reply;

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD, PUBSUB_KIND_COUNT };

struct pubsub *pubsub_new(struct exec *exec);
void pubsub_free(struct pubsub *pubsub);

/* False when the client was subscribed already. */
bool pubsub_subscribe(struct pubsub *pubsub, struct client *client, enum pubsub_kind kind, struct slice name);
/* False when it was not. */
bool pubsub_unsubscribe(struct pubsub *pubsub, struct client *client, enum pubsub_kind kind, struct slice name);

/* Calls `visit` for each name the client listens to. The visitor may unsubscribe exactly that name. */
void pubsub_visit_client(struct client *client, enum pubsub_kind kind,
                         void (*visit)(void *context, struct slice name), void *context);
uint32_t pubsub_client_count(const struct client *client, enum pubsub_kind kind);

/* Drops all subscriptions without telling the client. */
void pubsub_client_gone(struct pubsub *pubsub, struct client *client);

/* Sends to the subscribers (for PUBSUB_CHANNEL also to those of matching patterns). Returns how many. */
uint64_t pubsub_publish(struct pubsub *pubsub, enum pubsub_kind kind, struct slice channel, struct slice message);

/* Names with at least one subscriber. */
uint64_t pubsub_name_count(const struct pubsub *pubsub, enum pubsub_kind kind);
uint64_t pubsub_subscriber_count(const struct pubsub *pubsub, enum pubsub_kind kind, struct slice name);
void pubsub_visit_names(const struct pubsub *pubsub, enum pubsub_kind kind,
                        void (*visit)(void *context, struct slice name), void *context);

/* Bytes of bookkeeping that a client causes (CLIENT LIST tot-mem). */
uint64_t pubsub_client_memory(const struct client *client);

#endif
