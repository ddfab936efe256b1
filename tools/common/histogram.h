/* Counts of durations in buckets whose width grows with the value, so that each keeps its relative precision.
 *
 * Principal entry points: histogram_init, histogram_record, histogram_merge, histogram_percentile, histogram_next.
 * Values are nanoseconds, 0 to HISTOGRAM_VALUE_MAX (4.8 hours). With `bits` of precision, values below 2^(bits+1) have a
 * bucket each; above that every power of two is split into 2^bits buckets. What is told of a value is the middle of its
 * bucket, so the relative error is at most 2^-(bits+1): 0.05 % (three significant digits) with HISTOGRAM_BITS.
 * The number of values, the smallest, the greatest and the mean are exact.
 * Threads: one owner; merge what several threads have recorded when they are done.
 * I1: total is the sum of counts. I2: when total is not 0, min <= max, and both lie in buckets that are not empty,
 * those beyond HISTOGRAM_VALUE_MAX in the last one. */
#ifndef SKUA_COMMON_HISTOGRAM_H
#define SKUA_COMMON_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BITS        10 /* three significant digits */
#define HISTOGRAM_BITS_COARSE 6  /* within 0.8 %: where there are many of them */
#define HISTOGRAM_BITS_MAX    14
#define HISTOGRAM_VALUE_BITS  44
#define HISTOGRAM_VALUE_MAX   (((uint64_t)1 << HISTOGRAM_VALUE_BITS) - 1) /* greater ones count in its bucket */

struct histogram {
    uint64_t *counts; /* owned; bucket_count of them */
    uint32_t bucket_count;
    uint32_t bits;
    uint64_t total; /* values recorded */
    uint64_t min;   /* UINT64_MAX while there is none */
    uint64_t max;
    double sum;
};

/* Values from low to high, both included; `count` of them were recorded. */
struct histogram_bucket {
    uint64_t low, high;
    uint64_t count;
};

/* `bits` from 1 to HISTOGRAM_BITS_MAX. Takes (HISTOGRAM_VALUE_BITS - bits + 1) * 2^bits counters: 280 KB with
 * HISTOGRAM_BITS, of which only those near real values are ever touched. */
void histogram_init(struct histogram *histogram, unsigned bits);
void histogram_done(struct histogram *histogram);
/* Forgets all values. The cost is that of the range that was in use. */
void histogram_clear(struct histogram *histogram);

/* Adds what is in `from`, which may have another precision. Costs as much as the range that `from` uses. */
void histogram_merge(struct histogram *histogram, const struct histogram *from);

/* The least value such that `percent` (0 to 100) of all values are not above it: 0 gives min, 100 gives max. 0 when
 * nothing was recorded. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);
/* 0 when nothing was recorded. */
double histogram_mean(const struct histogram *histogram);
/* How many values are not above `value`, as far as buckets can tell: the bucket that holds it counts whole. */
uint64_t histogram_count_up_to(const struct histogram *histogram, uint64_t value);

/* Walks over the buckets that are not empty, in order: begin with *cursor 0; false when there are no more. */
bool histogram_next(const struct histogram *histogram, size_t *cursor, struct histogram_bucket *ret_bucket);

/* Which bucket counts `value`. */
static inline uint32_t histogram_index(const struct histogram *histogram, uint64_t value)
{
    if (value > HISTOGRAM_VALUE_MAX)
        value = HISTOGRAM_VALUE_MAX;
    unsigned bits = histogram->bits;
    /* The position of the highest bit, taken as `bits` for small values, so that these are their own index. */
    unsigned top = 63u - (unsigned)__builtin_clzll(value | ((uint64_t)1 << bits));
    unsigned shift = top - bits;
    return (shift << bits) + (uint32_t)(value >> shift);
}

static inline void histogram_record_many(struct histogram *histogram, uint64_t value, uint64_t count)
{
    histogram->counts[histogram_index(histogram, value)] += count;
    histogram->total += count;
    histogram->sum += (double)value * (double)count;
    if (value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
}

/* A few nanoseconds. */
static inline void histogram_record(struct histogram *histogram, uint64_t value)
{
    histogram_record_many(histogram, value, 1);
}

#endif
