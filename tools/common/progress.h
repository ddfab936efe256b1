/* A line that shows how far long work has come: share, amount, rate, time left. On a terminal only; in a pipe nothing.
 *
 * Principal entry points: progress_init, progress_update, progress_clear, progress_done; progress_render for itself.
 * The line is drawn anew at most ten times a second, as wide as the window is at that moment, and leaves nothing
 * behind. Whoever writes something else to the terminal calls progress_clear first; the line comes back by itself.
 * Threads: one owner.
 *
 * I1: nothing is written unless `shown`. I2: `drawn` tells whether the line is on the screen now. */
#ifndef SKUA_COMMON_PROGRESS_H
#define SKUA_COMMON_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRESS_LINE_MAX     512
#define PROGRESS_REDRAW_NS    100000000u  /* ten times a second */
#define PROGRESS_RATE_SPAN_NS 3000000000u /* what the rate looks back on, roughly */

enum progress_unit {
    PROGRESS_BYTES, /* "1.5 MB" */
    PROGRESS_COUNT, /* "15,000 keys" with the noun that was given */
};

struct progress_options {
    const char *label; /* what is being done; a few letters; borrowed */
    enum progress_unit unit;
    const char *noun; /* of PROGRESS_COUNT, in the plural; borrowed */
    uint64_t total;   /* 0: nobody knows */
    int descriptor;   /* where the line goes: standard error as a rule */
    int output;       /* where results go: when that is a pipe nothing is shown; -1: it does not matter */
    uint64_t (*monotonic_ns)(void *context); /* NULL: the system's clock */
    void *context;
};

struct progress {
    struct progress_options options;
    bool shown;
    bool drawn;
    uint64_t done;
    uint64_t started_ns;
    uint64_t redrawn_ns;   /* 0: not yet */
    uint64_t redrawn_done; /* `done` at that moment */
    double rate;           /* units a second, smoothed; negative: not known yet */
};

/* The work begins now. `options` is copied, its strings are not. */
void progress_init(struct progress *progress, const struct progress_options *options);

/* So much is done of all. Cheap: asks the clock, and only sometimes draws. */
void progress_update(struct progress *progress, uint64_t done);

/* When the total becomes known, or is another than was thought. */
void progress_set_total(struct progress *progress, uint64_t total);

/* Takes the line off the screen, so that something else can be written there. */
void progress_clear(struct progress *progress);

/* The same for good: later calls do nothing. */
void progress_done(struct progress *progress);

/* The line for a window of `columns`, without escape sequences and never wider than columns - 1 (the last column is
 * left alone: some terminals would begin a new line). What does not fit is left out, the least important first: bar,
 * total, rate, label. Returns its length; the line is zero-terminated. */
size_t progress_render(const struct progress *progress, int columns, uint64_t now_ns,
                       char ret_line[static PROGRESS_LINE_MAX]);

#endif
