/* Which key goes next when memory is short.
 *
 * Principal entry point: evict_choose.
 * A few keys are taken at random from all databases, the more from one the more keys it has. The best of them, and of those
 * that were taken for earlier choices and not chosen, is the next to go: the longer unused, the more seldom used or the
 * sooner over, the better.
 * Threads: executor only.
 *
 * V1  Candidates are in ascending order of their scores. They are only notes: a key is found by its hash again, and taken
 *     only while its score is not less than it was.
 * V2  What counts as evictable is each key, or (`volatile_only`) each with a time to live. */
#ifndef SKUA_KEYSPACE_EVICT_H
#define SKUA_KEYSPACE_EVICT_H

#include <stdbool.h>
#include <stdint.h>

#include "keyspace/keyspace.h"

enum evict_by {
    EVICT_BY_IDLE_TIME,
    EVICT_BY_FREQUENCY,
    EVICT_BY_END, /* of the time to live */
    EVICT_BY_CHANCE,
};

struct evict_rules {
    enum evict_by by;
    bool volatile_only;
    uint32_t samples; /* keys looked at for each that goes */
};

#define EVICT_CANDIDATES 16

struct evict_pool {
    uint32_t count;
    struct evict_candidate {
        struct db *db;
        uint64_t hash;
        uint64_t score;
    } candidates[EVICT_CANDIDATES]; /* V1 */
};

struct evict_victim {
    struct db *db;
    uint64_t hash;
    struct entry *entry;
    struct table_position position;
};

enum evict_choice {
    EVICT_CHOSEN,
    EVICT_NOT_YET, /* bounded work has found none, but there are keys */
    EVICT_NOBODY,  /* there is no key that may go */
};

/* Forgets the candidates: for when the rules have changed. */
void evict_pool_clear(struct evict_pool *pool);

/* Chooses a key for which `may_go` (NULL: all may). Bounded work. */
enum evict_choice evict_choose(struct keyspace *keyspace, struct evict_pool *pool,
                               const struct evict_rules *rules,
                               bool (*may_go)(const struct entry *entry, void *context), void *context,
                               struct evict_victim *ret_victim);

#endif
