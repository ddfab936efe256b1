/* Requests without a reply. See pending.h. Threads: the client's. */
#include <string.h>

#include "client/clock.h"
#include "client/memory.h"
#include "client/pending.h"

#define CAPACITY_MIN ((size_t)16)

void pending_init(struct pending *pending, bool keep_apart)
{
    *pending = (struct pending){.earliest_ms = CLOCK_NEVER, .keep_apart = keep_apart};
}

void pending_done(struct pending *pending, const struct skua_allocator *allocator)
{
    client_release(allocator, pending->entries);
    pending_init(pending, pending->keep_apart);
}

/* Twice the ring, with the head at its front. */
static bool grow(struct pending *pending, const struct skua_allocator *allocator)
{
    size_t capacity = pending->capacity > 0 ? pending->capacity * 2 : CAPACITY_MIN;
    if (capacity > SIZE_MAX / sizeof(*pending->entries))
        return false;
    struct pending_entry *entries = client_allocate(allocator, capacity * sizeof(*entries));
    if (entries == NULL)
        return false;
    for (size_t i = 0; i < pending->count; i++)
        entries[i] = *pending_at(pending, i);
    client_release(allocator, pending->entries);
    pending->entries = entries;
    pending->capacity = capacity;
    pending->head = 0;
    return true;
}

/* Whether nothing tells the two apart but their number. */
static bool can_merge(const struct pending *pending, const struct pending_entry *tail,
                      const struct pending_entry *entry)
{
    return !pending->keep_apart && tail->callback == NULL && entry->callback == NULL &&
           tail->kind == REQUEST_PLAIN && entry->kind == REQUEST_PLAIN && tail->status == SKUA_OK &&
           tail->deadline_ms == entry->deadline_ms;
}

bool pending_add(struct pending *pending, const struct skua_allocator *allocator,
                 const struct pending_entry *entry)
{
    struct pending_entry *tail = pending->count > 0 ? pending_at(pending, pending->count - 1) : NULL;
    if (tail != NULL && can_merge(pending, tail, entry)) {
        tail->replies += entry->replies;
    } else {
        if (pending->count == pending->capacity && !grow(pending, allocator))
            return false;
        pending->count++;
        *pending_at(pending, pending->count - 1) = *entry;
    }
    pending->replies += entry->replies;
    if (entry->callback == NULL)
        pending->caller_replies += entry->replies;
    if (entry->deadline_ms < pending->earliest_ms)
        pending->earliest_ms = entry->deadline_ms;
    return true;
}

void pending_pop(struct pending *pending)
{
    pending->head = (pending->head + 1) & (pending->capacity - 1);
    if (--pending->count == 0) {
        pending->head = 0;
        pending->earliest_ms = CLOCK_NEVER;
    }
}

void pending_settle_slowly(struct pending *pending, uint64_t place, uint64_t end_place)
{
    while (pending->count > 0 && pending_head(pending)->replies == 0 &&
           (pending->count > 1 ? pending_at(pending, 1)->place : end_place) <= place)
        pending_pop(pending);
}

uint64_t pending_fail(struct pending *pending, uint64_t place, uint64_t end_place, enum skua_status status)
{
    for (size_t i = 0; i < pending->count; i++) {
        struct pending_entry *entry = pending_at(pending, i);
        if (entry->place >= place && entry->status == SKUA_OK)
            return entry->place;
        if (entry->status == SKUA_OK)
            entry->status = status;
    }
    return end_place;
}

bool pending_expired(struct pending *pending, int64_t now_ms)
{
    int64_t earliest_ms = CLOCK_NEVER;
    for (size_t i = 0; i < pending->count; i++) {
        const struct pending_entry *entry = pending_at(pending, i);
        if (entry->status == SKUA_OK && entry->deadline_ms < earliest_ms)
            earliest_ms = entry->deadline_ms;
    }
    pending->earliest_ms = earliest_ms;
    return earliest_ms <= now_ms;
}

void pending_fail_one(struct pending *pending, size_t i, uint64_t size, enum skua_status status)
{
    struct pending_entry failed = *pending_at(pending, i);
    failed.status = status;
    for (size_t behind = i + 1; behind < pending->count; behind++)
        pending_at(pending, behind)->place -= size;
    for (; i > 0 && pending_at(pending, i - 1)->status == SKUA_OK; i--)
        *pending_at(pending, i) = *pending_at(pending, i - 1);
    failed.place = i + 1 < pending->count ? pending_at(pending, i + 1)->place : failed.place;
    *pending_at(pending, i) = failed;
}

bool pending_has_raw(const struct pending *pending)
{
    for (size_t i = 0; i < pending->count; i++)
        if (pending_at(pending, i)->replies == 0 && pending_at(pending, i)->status == SKUA_OK)
            return true;
    return false;
}

void pending_forget_caller(struct pending *pending)
{
    for (size_t i = 0; i < pending->count; i++) {
        struct pending_entry *entry = pending_at(pending, i);
        if (entry->callback == NULL)
            entry->replies = 0;
    }
    pending->replies -= pending->caller_replies;
    pending->caller_replies = 0;
}
