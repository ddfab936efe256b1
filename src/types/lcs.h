/* The longest common subsequence of two byte strings, and where it lies in both.
 *
 * Principal entry points: lcs_compute, lcs_walk_next, lcs_done.
 * Computed a machine word of columns at a time (bit-vector method: M. Crochemore and others, 2001; H. Hyyrö,
 * 2004), so it takes |a| * |b| / 64 steps and, where the path is wanted, |a| * |b| bits.
 * Threads: any. */
#ifndef SKUA_TYPES_LCS_H
#define SKUA_TYPES_LCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

struct lcs {
    struct slice a;
    struct slice b;
    uint64_t length;
    size_t row_words;
    uint64_t
        *rows; /* row i, bit j: 0 where the common length of a[0 .. i] grows with b[j]; NULL without a path */
};

/* Both strings must outlive the result. ST_NOMEM: the tables could not be allocated. */
enum status lcs_compute(struct slice a, struct slice b, bool with_path, struct lcs *ret_lcs);
void lcs_done(struct lcs *lcs);

/* A run of equal bytes that belongs to the common subsequence: a[a_start ..] and b[b_start ..], `size` bytes.
 */
struct lcs_run {
    size_t a_start;
    size_t b_start;
    size_t size;
};

struct lcs_walk {
    const struct lcs *lcs; /* computed with its path */
    size_t a_left;
    size_t b_left;
};

static inline struct lcs_walk lcs_walk_start(const struct lcs *lcs)
{
    return (struct lcs_walk){lcs, lcs->a.size, lcs->b.size};
}

/* The next run, from the ends of the strings to their beginnings. False when there is none. */
bool lcs_walk_next(struct lcs_walk *walk, struct lcs_run *ret_run);

#endif
