/* What the executor did lately: the pieces of work that others may have waited for.
 *
 * Principal entry points: spans_note, spans_find.
 * Threads: executor only.
 *
 * V1  Only what took at least SPAN_MIN_NS is noted. Spans of like length share a ring, and push each other out of it
 *     only: however many short ones follow, a long one is found as long as anybody can have waited for it.
 * V2  The slices of a command make one span that grows, in a ring of their own; so a command is found that took many short
 *     slices between others.
 * V3  busy_ticks <= end_ticks - begin_ticks. They differ where a span is what is left of a longer time when the
 *     spans within it, noted by themselves, are taken away; so the busy times of all spans add up to no more than the
 *     time that has passed. (But for the task "client-pause", which is no work: others are served meanwhile.) */
#ifndef SKUA_EXEC_SPANS_H
#define SKUA_EXEC_SPANS_H

#include <stdint.h>

#include "base/clock.h"

#define SPAN_MIN_NS     100000
#define SPAN_CLASSES    3  /* up to 1 ms, up to 10 ms, longer */
#define SPANS_PER_CLASS 64 /* so the last 6.4, 64 and 640 ms of spans are there at least */
#define SPAN_SHARES_MAX 4  /* that a wait is put down to; the rest is told as a sum */

enum span_kind {
    SPAN_COMMAND,  /* one command, from beginning to end */
    SPAN_SLICES,   /* slices of one command */
    SPAN_TASK,     /* "expire-cycle", "reclaim", "sending", "client-pause", … */
    SPAN_REQUESTS, /* short commands of one batch taken together */
};

struct exec_span {
    enum span_kind kind;
    const char *name;   /* lives as long as the program */
    uint64_t client_id; /* 0: nobody's */
    uint64_t begin_ticks;
    uint64_t end_ticks;
    uint64_t busy_ticks; /* V3 */
    uint32_t count;      /* of commands; of SPAN_SLICES 0: another slice of the same */
};

struct span_ring {
    uint32_t next;
    uint32_t count;
    struct exec_span spans[SPANS_PER_CLASS];
};

struct spans {
    struct span_ring rings[SPAN_CLASSES];
    struct span_ring slices;
};

/* Part of a wait that spans of one kind, name and client take up. */
struct span_share {
    enum span_kind kind;
    const char *name;
    uint64_t client_id;
    uint64_t ns;
    uint32_t count; /* of commands */
};

/* What a wait was put down to. */
struct span_shares {
    unsigned count;
    struct span_share items[SPAN_SHARES_MAX]; /* largest first */
    uint64_t rest_ns;                         /* of the wait, that is not in items */
    uint64_t main_end_ticks;                  /* of the last span of items[0] */
};

/* "command", "slices", "task", "requests". */
const char *span_kind_name(enum span_kind kind);

/* Notes a span if it was busy for SPAN_MIN_NS, or a slice (V2). */
void spans_note(struct spans *spans, const struct clock *clock, const struct exec_span *span);

/* What the executor did from `begin_ticks` to `end_ticks`. `open` is a span that has not been noted yet, NULL: none. */
void spans_find(const struct spans *spans, const struct clock *clock, uint64_t begin_ticks,
                uint64_t end_ticks, const struct exec_span *open, struct span_shares *ret_shares);

#endif
