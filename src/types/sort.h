/* Sorting in steps: a long sort can be left after any step and gone on with later.
 *
 * Principal entry points: sort_init, sort_step, sort_done.
 * Items carry a rank, a number whose order is (nearly) theirs, so that most comparisons look at nothing else; a function
 * decides between items of the same rank. Short runs are sorted by insertion, then merged in pairs from the bottom up: a
 * merge sort without recursion, so all of its state is a few numbers.
 * Knows elements, nothing of keys, commands and replies.
 * Threads: one at a time; the items may be handed on between steps.
 *
 * T1  Stable: items that are equal stay in the order in which they came.
 * T2  Between steps `items` holds every item once; `spare` holds nothing but copies. */
#ifndef SKUA_TYPES_SORT_H
#define SKUA_TYPES_SORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "ds/element.h"

struct worker_pool;

#define SORT_ITEMS_MAX UINT32_MAX
#define SORT_RUN_MIN   8 /* fewer are sorted by insertion faster than by merging */

/* An element and what it is sorted by: 24 bytes. */
struct sort_item {
    uint64_t rank;
    const char *data; /* of the element, which must stay where it is */
    uint32_t number;  /* which one it was at first: leads to what it is compared by */
    uint16_t size;
    uint8_t kind;
};

ALWAYS_INLINE struct element sort_element(const struct sort_item *item)
{
    return (struct element){item->data, item->size, item->kind};
}

ALWAYS_INLINE struct sort_item sort_item(uint64_t rank, struct element element)
{
    return (struct sort_item){.rank = rank, .data = element.data, .size = element.size, .kind = element.kind};
}

/* <0, 0, >0: item `a` belongs before, with, behind `b`, which has the same rank. */
typedef int sort_compare_fn(const void *context, const struct sort_item *a, const struct sort_item *b);

struct sort {
    struct sort_item *items; /* where the runs are */
    struct sort_item *spare; /* where they are merged to */
    uint64_t count;
    sort_compare_fn *compare;
    const void *context;
    uint64_t run;   /* items before `begin` are in runs of twice this length, the others in runs of it */
    uint64_t begin; /* of the pair of runs in work */
    uint64_t left;  /* next item of its left run */
    uint64_t right; /* and of its right run */
};

/* Room for `count` items, which the caller fills in before the first step; it may then make sort->count smaller. ST_NOMEM: more than SORT_ITEMS_MAX, or memory was
 * refused; nothing has to be given back. */
enum status sort_init(struct sort *sort, uint64_t count, sort_compare_fn *compare, const void *context);

/* Goes on for about `moves` items moved. True: sort->items are sorted. */
bool sort_step(struct sort *sort, uint64_t moves);

/* Gives the items back, many of them to a worker (worker_free). A zeroed struct may be given. */
void sort_done(struct sort *sort, struct worker_pool *pool);

#endif
