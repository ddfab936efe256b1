/* Tracking by prefix (BCAST): who wants to hear of which names, and the names that have changed since the last messages.
 *
 * Principal entry points: broadcast_join, broadcast_leave, broadcast_note, broadcast_take.
 * It knows clients by their ids and what its owner keeps of them (`member`), and sends nothing itself.
 * Threads: one at a time (the executor).
 *
 * P1  A prefix is in the table while it has members, and `lengths` counts the prefixes of each length: a name is looked up once for each
 *     length that there is, however many prefixes there are.
 * P2  A changed name is noted once, with who has changed it: the id of the only client that has, or 0. It is listed at each of its prefixes.
 * P3  Members and prefixes come and go only while nothing is noted. */
#ifndef SKUA_EXEC_TRACKING_BROADCAST_H
#define SKUA_EXEC_TRACKING_BROADCAST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "ds/table.h"

struct broadcast_prefix;

/* A name that has changed. */
struct changed_name {
    uint64_t changed_by; /* the id of the one client that has changed it, 0: several have, or none */
    uint64_t hash;
    size_t size;
    char name[];
};

struct prefix_length {
    size_t size;
    uint64_t count; /* prefixes of this size */
};

struct broadcast {
    struct table prefixes; /* struct broadcast_prefix */
    struct table changed;  /* struct changed_name */
    struct buf lengths;    /* struct prefix_length, shortest first */
    struct buf touched;    /* struct broadcast_prefix *: of changed names, in the order of their first */
    uint64_t hash_seed;
};

void broadcast_init(struct broadcast *broadcast, uint64_t hash_seed);
/* All members have left. Drops what is noted. */
void broadcast_done(struct broadcast *broadcast);

/* The member wants to hear of names under this prefix. Returns the place where it is a member, NULL when memory is refused; a
 * member joins each prefix once. */
struct broadcast_prefix *broadcast_join(struct broadcast *broadcast, struct slice prefix, void *member);
void broadcast_leave(struct broadcast *broadcast, struct broadcast_prefix *prefix, void *member);

struct slice broadcast_prefix_name(const struct broadcast_prefix *prefix);
static inline uint64_t broadcast_prefix_count(const struct broadcast *broadcast)
{
    return table_size(&broadcast->prefixes);
}

/* Notes that the client with this id, 0: nobody, has changed the name. A name without a member is passed over; one for which memory is
 * refused returns false: everything must be told as changed then. */
bool broadcast_note(struct broadcast *broadcast, struct slice name, uint64_t changed_by);

/* How many names are noted. */
static inline uint64_t broadcast_noted(const struct broadcast *broadcast)
{
    return table_size(&broadcast->changed);
}

/* The names of one prefix, in the order in which they were noted. */
struct broadcast_batch {
    const struct changed_name *const *names;
    size_t name_count;
    void *const *members;
    size_t member_count;
};

/* Hands each prefix of which names are noted to `visit`, then forgets the names. */
void broadcast_take(struct broadcast *broadcast,
                    void (*visit)(void *context, const struct broadcast_batch *batch), void *context);

/* Asserts P1 and P2 by walking everything. For tests. */
void broadcast_check(const struct broadcast *broadcast);

#endif
