/* How entries were used: when they were used last, or how often.
 *
 * Principal entry points: use_set_rules, use_touch, use_idle_seconds, use_frequency.
 * The 24 bits of an entry's access clock hold either seconds since 1970 (of the last use), or sixteen bits of minutes since
 * 1970 and an eight-bit count of uses (frequencies). The count grows by chance, the more seldom the greater it is, so that
 * it is about the logarithm of the uses; and it shrinks with the minutes in which the entry is not used. Which of the two
 * the clocks hold is decided for all entries at once; after a change the clocks stay as they are, and what they say is
 * nonsense until the entries are used again.
 * Threads: executor only, but for use_touch_shared.
 *
 * U1  `fresh` is what a clock is after a use now, where that does not depend on the entry; no clock has this value when uses
 *     are counted. */
#ifndef SKUA_KEYSPACE_USE_H
#define SKUA_KEYSPACE_USE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "keyspace/entry.h"

struct use_rules {
    bool counts;            /* frequencies, not times */
    uint32_t log_factor;    /* how seldom a count grows: 0: with each use */
    uint32_t decay_minutes; /* after which it shrinks by one; 0: never */
};

/* What readers on other threads need to know of it: relaxed. While it changes they may see some of it as it was before. */
struct use_shared {
    _Atomic uint32_t clock_now;
    _Atomic uint32_t minute;
    _Atomic uint32_t counts;
    _Atomic uint32_t log_factor;
    _Atomic uint32_t decay_minutes;
};

struct use {
    struct use_rules rules;
    uint32_t clock_now; /* seconds since 1970, 24 bits */
    uint32_t minute;    /* since 1970, 16 bits */
    uint32_t clock_new; /* of a new entry */
    uint32_t fresh;     /* U1 */
};

#define USE_FREQUENCY_MAX 255

void use_set_rules(struct use *use, const struct use_rules *rules);
void use_set_time(struct use *use, int64_t now_ms);

/* Notes a use of an entry whose clock is not `fresh`. */
void use_touch(const struct use *use, struct rng *rng, struct entry *entry);

/* Tells the others. The executor. */
void use_publish(const struct use *use, struct use_shared *shared);

/* As use_touch, on any thread, with a seed of its own; stores nothing where the clock is right. Two at a time may count as one
 * use. */
void use_touch_shared(const struct use_shared *shared, uint32_t *seed, struct entry *entry);

/* Seconds since the last use; how often it was used lately, 0 to USE_FREQUENCY_MAX. Only one of the two has a meaning. */
uint32_t use_idle_seconds(const struct use *use, const struct entry *entry);
uint32_t use_frequency(const struct use *use, const struct entry *entry);

/* The clock of an entry that was used so long ago, or so often until now. */
uint32_t use_clock_of_idle(const struct use *use, uint64_t idle_seconds);
uint32_t use_clock_of_frequency(const struct use *use, uint32_t frequency);

#endif
