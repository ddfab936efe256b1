/* How long things took: counts of durations in buckets that grow by about a fifth, and the longest of those that matter.
 *
 * Principal entry points: durations_note, durations_percentile_ns, durations_max_ns, durations_add.
 * Threads: one writes (durations_note, durations_add into it); any may read, and sees each count as it was at some
 * moment. durations_clear may come from another thread than the writer's: a count that is being raised just then may
 * survive it.
 *
 * U1  Bucket b holds durations of [durations_edge_ns(b), durations_edge_ns(b + 1)) nanoseconds. Edges are taken one
 *     nanosecond below powers of two and three points between each two of them, so that 0 has a place.
 * U2  Any 64-bit number has a bucket: what is not a duration (a clock that was set back) is counted somewhere.
 * U3  max_ns is the longest that durations_note_max was told of. Whoever counts short ones may spare itself the trouble;
 *     while it was told of none, the upper edge of the last bucket in use stands for it. */
#ifndef SKUA_BASE_DURATIONS_H
#define SKUA_BASE_DURATIONS_H

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/macros.h"

#define DURATIONS_OCTAVES     64
#define DURATIONS_OCTAVE_BITS 2
#define DURATIONS_PER_OCTAVE  (1 << DURATIONS_OCTAVE_BITS)
#define DURATIONS_BUCKETS     (DURATIONS_OCTAVES * DURATIONS_PER_OCTAVE)

/* Of a double. */
#define DURATIONS_MANTISSA_BITS 52
#define DURATIONS_EXPONENT_BIAS 1023

struct durations {
    _Atomic uint64_t max_ns; /* U3 */
    _Atomic uint64_t counts[DURATIONS_BUCKETS];
};

/* The exponent and the first bits of the mantissa of a double are the number of the bucket: no branch is needed. This
 * is done for every command. */
static inline unsigned durations_bucket(uint64_t ns)
{
    double value = (double)(int64_t)(ns + 1);
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t bucket = (bits >> (DURATIONS_MANTISSA_BITS - DURATIONS_OCTAVE_BITS)) -
                      ((uint64_t)DURATIONS_EXPONENT_BIAS << DURATIONS_OCTAVE_BITS);
    return (unsigned)(bucket % DURATIONS_BUCKETS);
}

static inline void durations_raise(_Atomic uint64_t *count, uint64_t by)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* Counts `weight` durations of this length. */
static inline void durations_count_one(struct durations *durations, uint64_t ns, uint64_t weight)
{
    durations_raise(&durations->counts[durations_bucket(ns)], weight);
}

static inline void durations_note_max(struct durations *durations, uint64_t ns)
{
    if (unlikely(ns > atomic_load_explicit(&durations->max_ns, memory_order_relaxed)))
        atomic_store_explicit(&durations->max_ns, ns, memory_order_relaxed);
}

/* Both. */
static inline void durations_note(struct durations *durations, uint64_t ns, uint64_t weight)
{
    durations_count_one(durations, ns, weight);
    durations_note_max(durations, ns);
}

static inline uint64_t durations_count_at(const struct durations *durations, unsigned bucket)
{
    return atomic_load_explicit(&durations->counts[bucket], memory_order_relaxed);
}

/* The lower edge of a bucket; of DURATIONS_BUCKETS: the upper edge of the last. The first ones may be empty: their
 * edges are the same. */
uint64_t durations_edge_ns(unsigned bucket);

uint64_t durations_count(const struct durations *durations);

/* U3. */
uint64_t durations_max_ns(const struct durations *durations);

/* The duration that `percent` of them did not exceed; within a bucket they are taken as evenly spread, and none is
 * longer than the longest. 0 when there are none. */
double durations_percentile_ns(const struct durations *durations, double percent);

/* Adds what `from` has counted. */
void durations_add(struct durations *to, const struct durations *from);

void durations_clear(struct durations *durations);

#endif
