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
#include "base/status.h"

struct client;
struct exec;
struct pubsub;

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD, PUBSUB_KIND_COUNT };

/* More subscriptions than this of one client are refused. */
#define PUBSUB_CLIENT_MAX (1u << 20)

/* Messages of at least this many bytes are kept once for all subscribers. */
#define PUBSUB_SHARE_MIN ((size_t)16 << 10)

/* `exec` must have its keyspace already: names are hashed with its seed. */
struct pubsub *pubsub_new(struct exec *exec);

/* Every client must be gone. */
void pubsub_free(struct pubsub *pubsub);

/* ST_EXISTS: it was subscribed already. ST_NOMEM, ST_LIMIT (PUBSUB_CLIENT_MAX): refused, nothing changed. */
enum status pubsub_subscribe(struct pubsub *pubsub, struct client *client, enum pubsub_kind kind,
                             struct slice name);
/* False when it was not. */
bool pubsub_unsubscribe(struct pubsub *pubsub, struct client *client, enum pubsub_kind kind,
                        struct slice name);

/* Calls `visit` for each name the client listens to, oldest first. The visitor may unsubscribe exactly that
 * name, which is valid until then. */
void pubsub_visit_client(struct client *client, enum pubsub_kind kind,
                         void (*visit)(void *context, struct slice name), void *context);
uint32_t pubsub_client_count(const struct client *client, enum pubsub_kind kind);

/* Drops all subscriptions without telling the client. */
void pubsub_client_gone(struct pubsub *pubsub, struct client *client);

/* Sends to the subscribers (for PUBSUB_CHANNEL also to those of matching patterns) and says how many messages
 * that made. ST_NOMEM: nobody was sent anything. */
enum status pubsub_publish(struct pubsub *pubsub, enum pubsub_kind kind, struct slice channel,
                           struct slice message, uint64_t *ret_receivers);

/* Whether anything published on a channel could reach somebody. */
bool pubsub_has_listeners(const struct pubsub *pubsub);

/* Clients with at least one subscription. */
uint64_t pubsub_clients(const struct pubsub *pubsub);

/* Names with at least one subscriber. */
uint64_t pubsub_name_count(const struct pubsub *pubsub, enum pubsub_kind kind);
uint64_t pubsub_subscriber_count(const struct pubsub *pubsub, enum pubsub_kind kind, struct slice name);
void pubsub_visit_names(const struct pubsub *pubsub, enum pubsub_kind kind,
                        void (*visit)(void *context, struct slice name), void *context);

/* Bytes of bookkeeping that a client causes (CLIENT LIST tot-mem). */
uint64_t pubsub_client_memory(const struct client *client);

/* Asserts S1 to S3 by walking everything. For tests. */
void pubsub_check(const struct pubsub *pubsub);

#endif
