/* Medians, and ratios of paired rounds with their intervals. See stats.h for the method. */
#include "bench/stats.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/macros.h"

/* Insertion: rounds are few. */
static void sort(double *values, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        double value = values[i];
        size_t place = i;
        for (; place > 0 && values[place - 1] > value; place--)
            values[place] = values[place - 1];
        values[place] = value;
    }
}

struct stats_summary stats_summary(const double *values, size_t rounds)
{
    if (rounds == 0)
        return (struct stats_summary){0};
    double *sorted = mem_alloc(rounds * sizeof(*sorted));
    memcpy(sorted, values, rounds * sizeof(*sorted));
    sort(sorted, rounds);
    struct stats_summary summary = {
        .rounds = rounds,
        .median = (sorted[(rounds - 1) / 2] + sorted[rounds / 2]) / 2,
        .min = sorted[0],
        .max = sorted[rounds - 1],
    };
    mem_free(sorted);
    return summary;
}

double stats_student_t(size_t degrees)
{
    /* Few degrees are where the distribution is far from normal; beyond, the expansion of its quantile around the
     * normal one (Abramowitz and Stegun 26.7.5) is right to three digits behind the point. */
    static const double few[] = {12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622};
    if (degrees == 0)
        return INFINITY;
    if (degrees <= ARRAY_COUNT(few))
        return few[degrees - 1];
    double n = (double)degrees;
    double z = 1.959964, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
    return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n) +
           (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * n * n * n);
}

/* The usual two passes: the sum of squares around the mean does not cancel. */
struct stats_ratio stats_ratio(const double *a, const double *b, size_t rounds)
{
    struct stats_ratio result = {.trust = STATS_NONE, .rounds = rounds};
    if (rounds == 0)
        return result;
    double mean = 0;
    for (size_t i = 0; i < rounds; i++) {
        if (!(a[i] > 0) || !(b[i] > 0) || isinf(a[i]) || isinf(b[i]))
            return result;
        mean += log(a[i] / b[i]) / (double)rounds;
    }
    result.ratio = result.low = result.high = exp(mean);
    result.trust = STATS_POINT;
    if (rounds < STATS_ROUNDS_MIN)
        return result;
    double squares = 0;
    for (size_t i = 0; i < rounds; i++) {
        double off = log(a[i] / b[i]) - mean;
        squares += off * off;
    }
    double deviation = sqrt(squares / (double)(rounds - 1));
    double half = stats_student_t(rounds - 1) * deviation / sqrt((double)rounds);
    result.low = exp(mean - half);
    result.high = exp(mean + half);
    result.trust = rounds < STATS_ROUNDS_GOOD ? STATS_ROUGH : STATS_INTERVAL;
    return result;
}

bool stats_differs(const struct stats_ratio *ratio)
{
    return ratio->trust >= STATS_ROUGH && (ratio->low > 1 || ratio->high < 1);
}

const char *stats_trust_word(enum stats_trust trust)
{
    static const char *const words[] = {[STATS_NONE] = "none",
                                        [STATS_POINT] = "point",
                                        [STATS_ROUGH] = "rough",
                                        [STATS_INTERVAL] = "interval"};
    return words[trust];
}
