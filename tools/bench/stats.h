/* Statistics over the rounds of a session: what one server does, and how it compares with another in the same rounds.
 *
 * Principal entry points: stats_summary, stats_ratio.
 * Method. A server's figure is the median over its rounds; beside it stand the least and the greatest round, because
 * with a handful of rounds anything finer would pretend. Two servers take turns, so that round i of one and round i of
 * the other saw the same machine: what slows both falls out of their ratio. Ratios multiply, so their logarithms are
 * taken: x_i = ln(a_i / b_i). The ratio told is exp(mean x), its 95 % interval exp(mean x +- t * s / sqrt(n)) with
 * Student's t of n - 1 degrees of freedom. That supposes that the x_i are about normal, which nobody can check with
 * few of them: below STATS_ROUNDS_MIN rounds there is no interval, below STATS_ROUNDS_GOOD it is marked as rough
 * (three rounds: t = 4.30, so it is wide, as it should be).
 * Threads: any; no state. */
#ifndef SKUA_BENCH_STATS_H
#define SKUA_BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>

#define STATS_ROUNDS_MIN  3 /* two points fix a line and leave nothing to judge it by */
#define STATS_ROUNDS_GOOD 5
#define STATS_CONFIDENCE  0.95

/* What one figure was over the rounds. */
struct stats_summary {
    size_t rounds;
    double median;
    double min, max;
};

/* Zeros without rounds. `values` stay in their order. */
struct stats_summary stats_summary(const double *values, size_t rounds);

enum stats_trust {
    STATS_NONE,     /* no ratio: no rounds, or one of them has no positive figure on a side */
    STATS_POINT,    /* a ratio without an interval: too few rounds */
    STATS_ROUGH,    /* with an interval, but from few rounds */
    STATS_INTERVAL, /* ratio and interval */
};

/* How a figure of one server relates to that of another. */
struct stats_ratio {
    enum stats_trust trust;
    size_t rounds;
    double ratio;     /* a / b: geometric mean over the rounds; 0 with STATS_NONE */
    double low, high; /* of the interval; both the ratio itself where there is none */
};

/* a[i] and b[i] come from the same round. */
struct stats_ratio stats_ratio(const double *a, const double *b, size_t rounds);

/* Whether the interval lies on one side of 1: the servers differ by more than the rounds do. */
bool stats_differs(const struct stats_ratio *ratio);

/* "none", "point", "rough", "interval". */
const char *stats_trust_word(enum stats_trust trust);

/* Student's t: what its absolute value exceeds with probability 1 - STATS_CONFIDENCE. `degrees` of 1 and above. */
double stats_student_t(size_t degrees);

#endif
