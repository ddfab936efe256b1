/* Log-linear histogram of durations. Entry and threads: see histogram.h.
 *
 * Index of a value v with its highest bit at position t >= bits: shift = t - bits; (shift << bits) + (v >> shift). As
 * v >> shift lies in [2^bits, 2^(bits+1)), the indexes of one power of two follow those of the one before without a
 * gap, and values below 2^(bits+1) are their own index. */
#include "common/histogram.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"

void histogram_init(struct histogram *histogram, unsigned bits)
{
    ASSERT(bits >= 1 && bits <= HISTOGRAM_BITS_MAX);
    *histogram = (struct histogram){
        .bits = bits, .bucket_count = (HISTOGRAM_VALUE_BITS - bits + 1) << bits, .min = UINT64_MAX};
    histogram->counts = mem_calloc(histogram->bucket_count, sizeof *histogram->counts);
}

void histogram_done(struct histogram *histogram)
{
    mem_free(histogram->counts);
    *histogram = (struct histogram){.min = UINT64_MAX};
}

void histogram_clear(struct histogram *histogram)
{
    if (histogram->total != 0) {
        uint32_t first = histogram_index(histogram, histogram->min);
        uint32_t last = histogram_index(histogram, histogram->max);
        memset(histogram->counts + first, 0, (last - first + 1) * sizeof *histogram->counts);
    }
    histogram->total = 0;
    histogram->min = UINT64_MAX;
    histogram->max = 0;
    histogram->sum = 0;
}

static struct histogram_bucket bucket_at(const struct histogram *histogram, uint32_t index)
{
    uint32_t block = index >> histogram->bits;
    unsigned shift = block == 0 ? 0 : block - 1;
    uint64_t low = (uint64_t)(index - (shift << histogram->bits)) << shift;
    return (struct histogram_bucket){low, low + ((uint64_t)1 << shift) - 1, histogram->counts[index]};
}

/* What is told of the values in a bucket: its middle, but nothing outside of what was recorded. */
static uint64_t told(const struct histogram *histogram, uint32_t index)
{
    struct histogram_bucket bucket = bucket_at(histogram, index);
    uint64_t middle = bucket.low + (bucket.high - bucket.low) / 2;
    if (middle < histogram->min)
        return histogram->min;
    return middle > histogram->max ? histogram->max : middle;
}

void histogram_merge(struct histogram *histogram, const struct histogram *from)
{
    if (from->total == 0)
        return;
    uint32_t first = histogram_index(from, from->min), last = histogram_index(from, from->max);
    for (uint32_t i = first; i <= last; i++) {
        if (from->counts[i] == 0)
            continue;
        uint32_t index = histogram->bits == from->bits ? i : histogram_index(histogram, told(from, i));
        histogram->counts[index] += from->counts[i];
    }
    histogram->total += from->total;
    histogram->sum += from->sum;
    if (from->min < histogram->min)
        histogram->min = from->min;
    if (from->max > histogram->max)
        histogram->max = from->max;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
    if (histogram->total == 0)
        return 0;
    if (percent <= 0)
        return histogram->min;
    if (percent >= 100)
        return histogram->max;
    /* The rank is rounded up. Binary fractions must not push one that is whole, such as 99.9 % of 1,000, over it. */
    double exact = percent / 100 * (double)histogram->total;
    uint64_t rank = (uint64_t)ceil(exact - exact * 1e-12);
    if (rank == 0)
        rank = 1;
    uint64_t seen = 0;
    for (uint32_t i = histogram_index(histogram, histogram->min); i < histogram->bucket_count; i++) {
        seen += histogram->counts[i];
        if (seen >= rank)
            return told(histogram, i);
    }
    return histogram->max;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->total == 0 ? 0 : histogram->sum / (double)histogram->total;
}

uint64_t histogram_count_up_to(const struct histogram *histogram, uint64_t value)
{
    if (value >= histogram->max)
        return histogram->total;
    uint64_t count = 0;
    uint32_t last = histogram_index(histogram, value);
    for (uint32_t i = 0; i <= last; i++)
        count += histogram->counts[i];
    return count;
}

bool histogram_next(const struct histogram *histogram, size_t *cursor, struct histogram_bucket *ret_bucket)
{
    while (*cursor < histogram->bucket_count) {
        uint32_t index = (uint32_t)(*cursor)++;
        if (histogram->counts[index] != 0) {
            *ret_bucket = bucket_at(histogram, index);
            return true;
        }
    }
    return false;
}
