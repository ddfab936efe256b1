/* Counts of durations: what is asked of them. See durations.h. Threads: any. */
#include "base/durations.h"

uint64_t durations_edge_ns(unsigned bucket)
{
    unsigned octave = bucket >> DURATIONS_OCTAVE_BITS;
    uint64_t quarters = DURATIONS_PER_OCTAVE + (bucket & (DURATIONS_PER_OCTAVE - 1));
    if (bucket >= DURATIONS_BUCKETS)
        return UINT64_MAX;
    /* Rounded up: whole nanoseconds at the edge are above it. */
    if (octave < DURATIONS_OCTAVE_BITS) {
        uint64_t part = UINT64_C(1) << (DURATIONS_OCTAVE_BITS - octave);
        return (quarters + part - 1) / part - 1;
    }
    return (quarters << (octave - DURATIONS_OCTAVE_BITS)) - 1;
}

uint64_t durations_max_ns(const struct durations *durations)
{
    uint64_t max_ns = atomic_load_explicit(&durations->max_ns, memory_order_relaxed);
    for (unsigned bucket = DURATIONS_BUCKETS; max_ns == 0 && bucket-- > 0;)
        if (durations_count_at(durations, bucket) > 0)
            max_ns = durations_edge_ns(bucket + 1);
    return max_ns;
}

uint64_t durations_count(const struct durations *durations)
{
    uint64_t count = 0;
    for (unsigned bucket = 0; bucket < DURATIONS_BUCKETS; bucket++)
        count += durations_count_at(durations, bucket);
    return count;
}

double durations_percentile_ns(const struct durations *durations, double percent)
{
    double max = (double)durations_max_ns(durations);
    double wanted = (double)durations_count(durations) * percent / 100;
    double below = 0;
    for (unsigned bucket = 0; bucket < DURATIONS_BUCKETS; bucket++) {
        double count = (double)durations_count_at(durations, bucket);
        if (count > 0 && below + count >= wanted) {
            double low = (double)durations_edge_ns(bucket);
            double high = (double)durations_edge_ns(bucket + 1);
            double value = low + (high - low) * (wanted - below) / count;
            return value < max ? value : max;
        }
        below += count;
    }
    return max;
}

void durations_add(struct durations *to, const struct durations *from)
{
    uint64_t max_ns = atomic_load_explicit(&from->max_ns, memory_order_relaxed);
    for (unsigned bucket = 0; bucket < DURATIONS_BUCKETS; bucket++)
        durations_raise(&to->counts[bucket], durations_count_at(from, bucket));
    durations_note_max(to, max_ns);
}

void durations_clear(struct durations *durations)
{
    atomic_store_explicit(&durations->max_ns, 0, memory_order_relaxed);
    for (unsigned bucket = 0; bucket < DURATIONS_BUCKETS; bucket++)
        atomic_store_explicit(&durations->counts[bucket], 0, memory_order_relaxed);
}
