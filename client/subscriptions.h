/* What requests do to a connection beyond having a reply, and whether what arrives is a reply at all: subscriptions,
 * MONITOR, HELLO, RESET, SYNC.
 *
 * Principal entry points: request_kind_of, traffic_lead, traffic_confirms, traffic_replied.
 * Threads: the client's.
 *
 * In RESP3 a push says so itself. In RESP2 a message is an array like any other:
 *
 * | what arrives                                  | is a push when                                                |
 * |-----------------------------------------------|---------------------------------------------------------------|
 * | array that begins with message, pmessage,     | something is subscribed, or the request that is answered next |
 * | smessage                                      | subscribes or unsubscribes                                    |
 * | status of the form `1700000000.123456 [`      | MONITOR was answered with OK (RESP3 as well)                  |
 *
 * So a reply is never mistaken for a message before a connection has subscribed, nor after it has ended that: in
 * between a server of RESP2 answers nothing but subscriptions, PING, QUIT and RESET.
 *
 * A request to (un)subscribe has a confirmation for each channel; an unsubscribe without arguments has as many as are
 * subscribed, at least one. Anything else in their place (an error; QUEUED, within MULTI) ends the request.
 *
 * S1: channels, patterns and shards are those that the server's confirmations told of; total == channels + patterns. */
#ifndef SKUA_CLIENT_SUBSCRIPTIONS_H
#define SKUA_CLIENT_SUBSCRIPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skua/reply.h>

#include "client/pending.h"

struct traffic {
    int protocol; /* 2 or 3, as the server accepted it */
    uint64_t channels, patterns, shards;
    uint64_t total; /* the count that the server gave last */
    bool queued;    /* a subscription was queued within MULTI: what becomes of it cannot be seen */
    bool monitor;   /* MONITOR was accepted */
    bool raw;       /* what is not a reply may be anything: see skua_take_bytes */
};

/* What a connection begins with. */
void traffic_init(struct traffic *traffic, int protocol);

/* The kind of a command by its name; *ret_confirmations: channels that it names, 0 for the kinds that have none;
 * for HELLO the protocol that it asks for, or 0. */
enum request_kind request_kind_of(size_t count, const char *const *arguments, const size_t *lengths,
                                  uint32_t *ret_detail);

enum traffic_lead {
    LEAD_REPLY,
    LEAD_PUSH,
    LEAD_UNKNOWN, /* more bytes are needed to tell */
};

/* Whether a look at the first byte leaves open that a push begins with it: nearly always it is a reply. */
static inline bool traffic_is_open(const struct traffic *traffic, const struct pending_entry *next,
                                   char first)
{
    switch (first) {
    case '>': return true;
    case '+': return traffic->monitor;
    case '*':
        return traffic->total > 0 || traffic->shards > 0 || traffic->queued ||
               (next != NULL && next->kind != REQUEST_PLAIN);
    default: return false;
    }
}

/* What begins with bytes[0 .. size), which stand between two replies; `next` is the request that is answered next, or
 * NULL. */
enum traffic_lead traffic_lead(const struct traffic *traffic, const struct pending_entry *next,
                               const char *bytes, size_t size);

/* Whether `value` is a confirmation of the request `next`; if so, it is counted, and *ret_last tells whether it was
 * the last one of the request. Unasked ones (a server ends subscriptions by itself) are counted, too. */
bool traffic_confirms(struct traffic *traffic, struct pending_entry *next, const struct skua_reply *value,
                      bool *ret_last);

/* The request `request`, which is no confirmed one, was answered with `reply`. */
void traffic_replied(struct traffic *traffic, const struct pending_entry *request,
                     const struct skua_reply *reply);

#endif
