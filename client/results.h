/* Results without a callback that could not stay where they were: replies as trees that came before a loss, or whose
 * request the library had to look at, and requests that failed. Oldest first.
 *
 * Principal entry points: results_add_reply, results_add_failures, results_take, results_next_item.
 * Threads: the client's.
 *
 * Most replies never come here: they stay in the reader until they are taken.
 * R1: count == the sum of their counts. `walk` is at work on the first one when walk.depth > 0.
 * R2: only the first one may have the count 0: its last item has been given, and is valid until the next call. */
#ifndef SKUA_CLIENT_RESULTS_H
#define SKUA_CLIENT_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skua/reply.h>

/* A tree that is given item by item: what is left of each aggregate that is open. */
struct walk_level {
    const struct skua_reply *next;       /* value that comes next */
    size_t left;                         /* values from there on */
    const struct skua_reply *attributes; /* those of the next one that come next, or NULL */
    bool attributes_begun;
};

struct walk {
    struct walk_level *levels; /* WALK_LEVELS_MAX of them, allocated when first needed */
    unsigned depth;            /* levels in use; 0: nothing has been given of the first result */
};

struct result {
    struct result *next;
    struct skua_reply *reply; /* or NULL: failures */
    enum skua_status status;  /* of the failures */
    uint64_t count;           /* of failures; 1 for a reply */
};

struct results {
    struct result *first, *last;
    uint64_t count;
    struct result spare; /* in the list when spare_used: no memory is needed to remember failures */
    bool spare_used;
    struct walk walk;
};

void results_done(struct results *results, const struct skua_allocator *allocator);

/* Takes the reply over; false without memory: then it is the caller's still. */
bool results_add_reply(struct results *results, const struct skua_allocator *allocator,
                       struct skua_reply *reply);

/* Cannot fail; without memory it is merged into an earlier row of failures. */
void results_add_failures(struct results *results, const struct skua_allocator *allocator,
                          enum skua_status status, uint64_t count);

/* The first one: its status, and with SKUA_OK its reply, which is the caller's. SKUA_AGAIN: there is none.
 * SKUA_ERR_USE: a part of it was given by results_next_item. */
enum skua_status results_take(struct results *results, const struct skua_allocator *allocator,
                              struct skua_reply **ret_reply);

/* The next item of the first one, valid until the next call; or the status of a request that failed.
 * SKUA_AGAIN: there is none. SKUA_ERR_MEMORY. */
enum skua_status results_next_item(struct results *results, const struct skua_allocator *allocator,
                                   struct skua_item *ret_item);

#endif
