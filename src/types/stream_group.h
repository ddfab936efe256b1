/* Consumer groups of a stream: how far each group has read, who reads for it, and which entries wait to be acknowledged.
 *
 * Principal entry points: stream_groups_find, stream_groups_edit, stream_groups_add, stream_groups_take (the set);
 * stream_group_find_consumer, stream_group_add_consumer, stream_group_deliver, stream_group_settle,
 * stream_pending_from (one group).
 *
 *     set -> group -> consumer
 *              |          '- tree of the ids that this consumer holds
 *              '- tree of all pending entries: id -> (slot of the consumer, time and number of deliveries)
 *
 * Sets, groups and consumers are reference counted like the nodes of a tree (ds/tree.h), and what is reachable through
 * something with more than one reference does not change. A snapshot of a stream holds one reference of its set: that
 * is all of it. Whoever changes a group afterwards (stream_groups_edit) copies once the set, a pointer a group; that
 * group, a pointer a consumer and a reference of its tree; and the consumers and pages that it really changes.
 * What has been taken out of a set is a set itself and is freed in steps, as an object of the keyspace.
 * Knows trees and memory, nothing of clients, commands and replies. Times are milliseconds since 1970.
 * Threads: the executor; reading a snapshot, any.
 *
 * G1  Groups of a set and consumers of a group ascend by name, and no two have the same one.
 * G2  An id is in a group's pending tree if and only if it is in the tree of exactly one consumer: the one in the slot
 *     that its row names.
 * G3  slots[i] is NULL or the consumer whose slot is i; by_name holds the consumer_count slots that are not NULL. */
#ifndef SKUA_TYPES_STREAM_GROUP_H
#define SKUA_TYPES_STREAM_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "ds/tree.h"
#include "keyspace/entry.h"
#include "types/stream_id.h"

#define STREAM_READ_UNKNOWN (-1) /* entries_read: nobody knows how many entries there are up to last_id */
#define STREAM_NEVER_ACTIVE (-1) /* active_ms: the consumer has never got an entry */

struct stream_consumer {
    uint32_t refs;
    uint32_t slot;
    struct blob *name;
    int64_t seen_ms;     /* last time it asked for something */
    int64_t active_ms;   /* last time it got something */
    struct tree pending; /* of ids only */
};

struct stream_group {
    uint32_t refs;
    uint32_t consumer_count;
    uint32_t slot_count; /* of slots and of by_name */
    uint32_t free_from;  /* no slot before this one is free */
    struct blob *name;
    struct stream_id last_id;
    int64_t entries_read; /* entries ever added up to last_id; STREAM_READ_UNKNOWN */
    struct tree pending;
    struct stream_consumer **slots; /* G3 */
    uint32_t *by_name;
};

/* An object (keyspace/entry.h), so that one that nobody holds any more can be left to keyspace_release_object. */
struct stream_groups {
    struct object object;
    uint32_t count;
    uint32_t capacity;
    struct stream_group *groups[];
};

struct stream_pending {
    struct stream_id id;
    uint32_t slot; /* of the consumer that holds it */
    int64_t delivered_ms;
    uint64_t deliveries;
};

ALWAYS_INLINE struct slice stream_group_name(const struct stream_group *group)
{
    return slice_make(group->name->data, group->name->size);
}

ALWAYS_INLINE struct slice stream_consumer_name(const struct stream_consumer *consumer)
{
    return slice_make(consumer->name->data, consumer->name->size);
}

/* ---- The set of a stream ----------------------------------------------------------------------------------- */

/* A stream without groups has the set NULL, which all of these take. */

ALWAYS_INLINE uint32_t stream_groups_count(const struct stream_groups *set)
{
    return set == NULL ? 0 : set->count;
}

/* The group of this name, to be read; NULL: there is none. */
const struct stream_group *stream_groups_find(const struct stream_groups *set, struct slice name);

/* The same to be changed, after making copies of what others hold. Valid until the set changes. */
struct stream_group *stream_groups_edit(struct heap *heap, struct stream_groups **set, struct slice name);

/* A new group, of a name that is not there, without consumers. NULL: there is no memory for the name. */
struct stream_group *stream_groups_add(struct heap *heap, struct stream_groups **set, struct slice name,
                                       struct stream_id last_id, int64_t entries_read);

/* Takes a group out. Returns it as a set of its own, for keyspace_release_object; NULL: it was not there. */
struct stream_groups *stream_groups_take(struct heap *heap, struct stream_groups **set, struct slice name);

/* Another holder of what the set is now. */
struct stream_groups *stream_groups_ref(struct stream_groups *set);

/* Gives a reference up; the last one frees at most about `pages_max` pages a call. True: all is done, and the set may be
 * forgotten. Until then it is only good for further calls. NULL is done at once. */
bool stream_groups_free_some(struct heap *heap, struct stream_groups *set, unsigned pages_max);

/* Bytes of everything in the set, all of it looked at. */
size_t stream_groups_memory(const struct stream_groups *set);
/* The same without what it consists of: without groups, without consumers and tree, without tree. */
size_t stream_groups_own_memory(const struct stream_groups *set);
size_t stream_group_own_memory(const struct stream_group *group);
size_t stream_consumer_own_memory(const struct stream_consumer *consumer);

/* Asserts G1 to G3. For tests and debug builds. */
void stream_groups_check(const struct stream_groups *set);

/* ---- Consumers of a group ---------------------------------------------------------------------------------- */

/* The consumer of this name; NULL: there is none. */
const struct stream_consumer *stream_group_find_consumer(const struct stream_group *group, struct slice name);

/* Number `index` of consumer_count in the order of names. */
const struct stream_consumer *stream_group_consumer_at(const struct stream_group *group, uint32_t index);

ALWAYS_INLINE const struct stream_consumer *stream_group_consumer(const struct stream_group *group,
                                                                  uint32_t slot)
{
    return group->slots[slot];
}

/* The consumer of a slot, to be changed. The group must be one that stream_groups_edit or _add gave. */
struct stream_consumer *stream_group_edit_consumer(struct heap *heap, struct stream_group *group,
                                                   uint32_t slot);

/* A new consumer, of a name that is not there, seen now and never active. NULL: there is no memory for the name. */
struct stream_consumer *stream_group_add_consumer(struct heap *heap, struct stream_group *group,
                                                  struct slice name, int64_t now_ms);

/* Takes entries that the consumer of a slot holds, a page of them, out of the group. Returns how many; 0: it holds none
 * any more. What is done before stream_group_take_consumer is not left to it. */
unsigned stream_group_settle_some(struct heap *heap, struct stream_group *group, uint32_t slot);

/* Takes the consumer of a slot out with all that it holds. Returns what is left to be freed with
 * keyspace_release_object; NULL: nothing is. */
struct stream_groups *stream_group_take_consumer(struct heap *heap, struct stream_group *group,
                                                 uint32_t slot);

/* ---- Pending entries of a group ---------------------------------------------------------------------------- */

/* The pending entry of an id. False: there is none. */
bool stream_group_find_pending(const struct stream_group *group, struct stream_id id,
                               struct stream_pending *ret_pending);

/* Writes down that an entry has been delivered: adds it, or changes all that is known of it, its consumer too. */
void stream_group_deliver(struct heap *heap, struct stream_group *group,
                          const struct stream_pending *pending);

/* Takes the entry of an id out. False: there is none. */
bool stream_group_settle(struct heap *heap, struct stream_group *group, struct stream_id id);

/* The ends of the pending entries. The group must have any. */
struct stream_id stream_group_pending_end(const struct stream_group *group, bool last);

/* A walk over pending entries in the order of their ids, of a group or of one of its consumers. Until the tree
 * changes. */
struct stream_pending_walk {
    const struct stream_group *group;
    const struct stream_consumer *consumer;
    struct tree_place place;
};

/* Begins with the first id that is not less than `from`. `consumer` NULL: all of the group; otherwise one of it. */
void stream_pending_from(struct stream_pending_walk *walk, const struct stream_group *group,
                         const struct stream_consumer *consumer, struct stream_id from);

/* False: there are no more. */
bool stream_pending_next(struct stream_pending_walk *walk, struct stream_pending *ret_pending);

#endif
