/* Requests without a reply, oldest first.
 *
 * Principal entry points: pending_add, pending_head, pending_take_reply, pending_fail.
 * Threads: the client's.
 *
 * An entry stands for one request, or for a batch of requests without callbacks, which costs no more than one: the
 * queue merges neighbours when nothing tells them apart.
 *
 * P1: entries that have failed (status != SKUA_OK) come before all others, and only until their callbacks are called.
 * P2: replies == the sum of the entries' replies; caller_replies == the same over entries without a callback.
 * P3: `place` of the entries never falls from head to tail.
 * P4: earliest_ms <= the deadline of each entry. It may be too early after entries have gone: whoever is woken by it
 *     asks pending_expired, which sets it right. */
#ifndef SKUA_CLIENT_PENDING_H
#define SKUA_CLIENT_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skua/client.h>

#define PENDING_MAX UINT32_MAX /* replies; what pending_max of the options is cut to */

/* What a request does to the connection, beyond having one reply. */
enum request_kind {
    REQUEST_PLAIN,
    REQUEST_SUBSCRIBE,
    REQUEST_PSUBSCRIBE,
    REQUEST_SSUBSCRIBE,
    REQUEST_UNSUBSCRIBE,
    REQUEST_PUNSUBSCRIBE,
    REQUEST_SUNSUBSCRIBE,
    REQUEST_MONITOR,
    REQUEST_HELLO,
    REQUEST_RESET,
    REQUEST_SYNC, /* what follows its reply is not RESP */
};

struct pending_entry {
    skua_reply_fn *callback; /* NULL: the caller takes the replies */
    void *user;
    int64_t deadline_ms; /* CLOCK_NEVER: none */
    uint64_t place;      /* of its first byte in the stream of output.h */
    uint32_t replies;    /* still to come; 0: bytes that have none */
    /* (un)subscribing: confirmations still to come, 0: as many as are subscribed; HELLO: protocol */
    uint32_t detail;
    enum request_kind kind;
    enum skua_status status; /* not SKUA_OK: failed by this */
};

struct pending {
    struct pending_entry *entries; /* a ring */
    size_t head, count, capacity;  /* capacity: a power of two, or 0 */
    uint64_t replies, caller_replies;
    int64_t earliest_ms;
    bool keep_apart; /* batches are not merged: after a loss each is sent again by itself, or not */
};

void pending_init(struct pending *pending, bool keep_apart);
void pending_done(struct pending *pending, const struct skua_allocator *allocator);

/* Queues. False without memory. */
bool pending_add(struct pending *pending, const struct skua_allocator *allocator,
                 const struct pending_entry *entry);

/* The i-th entry, i < count. */
static inline struct pending_entry *pending_at(const struct pending *pending, size_t i)
{
    return &pending->entries[(pending->head + i) & (pending->capacity - 1)];
}

/* The oldest entry, or NULL. */
static inline struct pending_entry *pending_head(const struct pending *pending)
{
    return pending->count > 0 ? &pending->entries[pending->head] : NULL;
}

/* The head without any replies left: removes it. */
void pending_pop(struct pending *pending);

/* One reply of the head has come, or its whole request has failed. */
static inline void pending_take_reply(struct pending *pending)
{
    struct pending_entry *head = &pending->entries[pending->head];
    pending->replies--;
    if (head->callback == NULL)
        pending->caller_replies--;
    if (--head->replies == 0)
        pending_pop(pending);
}

/* Removes entries without replies at the head whose bytes were sent: those before `place`, the first unsent byte's. */
void pending_settle_slowly(struct pending *pending, uint64_t place, uint64_t end_place);

static inline void pending_settle(struct pending *pending, uint64_t place, uint64_t end_place)
{
    if (pending->count > 0 && pending->entries[pending->head].replies == 0)
        pending_settle_slowly(pending, place, end_place);
}

/* Marks as failed whatever began to be sent: all entries with a byte before `place`. Answers with the place from which
 * on the output is to be sent again, which is `end_place` when no entry is left. */
uint64_t pending_fail(struct pending *pending, uint64_t place, uint64_t end_place, enum skua_status status);

/* Whether an entry that has not failed has passed its deadline. Sets earliest_ms right. */
bool pending_expired(struct pending *pending, int64_t now_ms);

/* Takes the i-th entry out of its place, marks it as failed, and puts it behind the others that have: for requests
 * that were never sent. Those behind it move up by `size` bytes. */
void pending_fail_one(struct pending *pending, size_t i, uint64_t size, enum skua_status status);

/* Whether there are bytes that have no replies and did not fail. */
bool pending_has_raw(const struct pending *pending);

/* Nobody will take the replies of entries without a callback any more: they have none from now on. */
void pending_forget_caller(struct pending *pending);

#endif
