/* The longest common subsequence of two byte strings, and where it lies in both; in steps.
 *
 * Principal entry points: lcs_begin, lcs_step, lcs_walk_step, lcs_done.
 * Computed a machine word of columns at a time (bit-vector method: M. Crochemore and others, 2001; H. Hyyrö,
 * 2004), so it takes |a| * |b| / 64 steps and, where the path is wanted, |a| * |b| bits.
 * Threads: any, one at a time. */
#ifndef SKUA_TYPES_LCS_H
#define SKUA_TYPES_LCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

struct worker_pool;

/* One after the other, each as many steps as there are bytes or words to go through. */
enum lcs_state {
    LCS_CLASSES, /* bytes of a are given classes; at its end the tables get their memory */
    LCS_CLEARS,  /* vectors */
    LCS_PLACES,  /* bytes of b are put into the vectors */
    LCS_FILLS,   /* what stands above the first row */
    LCS_ROWS,
    LCS_COUNTS, /* the length, in the last row */
    LCS_READY,
};

struct lcs {
    struct slice a;
    struct slice b;
    bool with_path;
    uint64_t length; /* good when ready */
    size_t row_words;
    uint64_t *
        rows; /* row i, bit j: 0 where the common length of a[0 .. i] grows with b[j]; without a path there is one */

    /* The computation. */
    enum lcs_state state;
    size_t at;              /* steps of this state that are done */
    uint16_t class_of[256]; /* of each byte: the index of its vector + 1, 0: it is not in a */
    uint16_t class_count;
    uint64_t *vectors; /* of each class, the places where b holds the byte */
    bool carry;        /* between two words of a row */
};

/* Both strings must stay until lcs_done. */
void lcs_begin(struct lcs *lcs, struct slice a, struct slice b, bool with_path);

/* Goes on for so many steps, of a nanosecond or two each. ST_AGAIN: there is more to do; ST_OK: it is ready; ST_NOMEM: the
 * tables could not be allocated. */
enum status lcs_step(struct lcs *lcs, size_t steps);

/* Gives the tables back (worker_free); also before it is ready. */
void lcs_done(struct lcs *lcs, struct worker_pool *pool);

/* A run of equal bytes that belongs to the common subsequence: a[a_start ..] and b[b_start ..], `size` bytes.
 */
struct lcs_run {
    size_t a_start;
    size_t b_start;
    size_t size;
};

struct lcs_walk {
    const struct lcs *lcs; /* ready, and computed with its path */
    size_t a_left;
    size_t b_left;
    size_t run_size; /* of the run that it is in */
};

static inline struct lcs_walk lcs_walk_start(const struct lcs *lcs)
{
    return (struct lcs_walk){lcs, lcs->a.size, lcs->b.size, 0};
}

/* Goes on for so many steps towards the next run, from the ends of the strings to their beginnings. ST_AGAIN: there is more to
 * do; ST_OK: a run; ST_EOF: there is none left. */
enum status lcs_walk_step(struct lcs_walk *walk, size_t steps, struct lcs_run *ret_run);

#endif
