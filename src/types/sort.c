/* Sorting in steps. Entry: sort_init, sort_step. Threads and invariants: see sort.h.
 *
 * | state              | what is being done                                   | leads to                                |
 * |--------------------|------------------------------------------------------|-----------------------------------------|
 * | run == 0           | insert_run: items up to `begin` are in runs of SORT_RUN_MIN | run == SORT_RUN_MIN when all items are       |
 * | 0 < run < count    | merge_some: pairs of runs up to `begin` are merged into `spare` | twice the run, items and spare exchanged |
 * | run >= count       | nothing: sorted                                      |                                         | */
#include "types/sort.h"

#include "base/alloc.h"
#include "base/worker.h"

enum status sort_init(struct sort *sort, uint64_t count, sort_compare_fn *compare, const void *context)
{
    *sort = (struct sort){.count = count, .compare = compare, .context = context};
    if (count > SORT_ITEMS_MAX)
        return ST_NOMEM;
    sort->items = mem_try_alloc((count + 1) * sizeof *sort->items);
    sort->spare = mem_try_alloc((count + 1) * sizeof *sort->spare);
    if (sort->items != NULL && sort->spare != NULL)
        return ST_OK;
    sort_done(sort, NULL);
    return ST_NOMEM;
}

void sort_done(struct sort *sort, struct worker_pool *pool)
{
    worker_free(pool, sort->items);
    worker_free(pool, sort->spare);
    sort->items = sort->spare = NULL;
}

/* Whether `b`, which stands behind `a`, belongs before it. */
ALWAYS_INLINE bool is_misplaced(const struct sort *sort, const struct sort_item *a, const struct sort_item *b)
{
    if (a->rank != b->rank)
        return b->rank < a->rank;
    return sort->compare(sort->context, a, b) > 0;
}

static uint64_t end_of(const struct sort *sort, uint64_t begin, uint64_t size)
{
    return sort->count - begin < size ? sort->count : begin + size;
}

/* Sorts the next SORT_RUN_MIN items. */
static void insert_run(struct sort *sort)
{
    struct sort_item *items = sort->items;
    uint64_t end = end_of(sort, sort->begin, SORT_RUN_MIN);
    for (uint64_t next = sort->begin + 1; next < end; next++) {
        struct sort_item item = items[next];
        uint64_t hole = next;
        for (; hole > sort->begin && is_misplaced(sort, &items[hole - 1], &item); hole--)
            items[hole] = items[hole - 1];
        items[hole] = item;
    }
    sort->begin = end;
}

/* The pair of runs at `begin` is next. */
static void begin_pair(struct sort *sort)
{
    sort->left = sort->begin;
    sort->right = end_of(sort, sort->begin, sort->run);
}

/* All pairs are merged: the next pass goes over runs of twice the length. */
static void end_pass(struct sort *sort)
{
    struct sort_item *items = sort->items;
    sort->items = sort->spare;
    sort->spare = items;
    sort->run *= 2;
    sort->begin = 0;
    begin_pair(sort);
}

/* Moves at most `moves` items of the pair in work to `spare`. Returns how many it was: fewer only when it has moved the
 * last one and gone on to the next pair. */
static uint64_t merge_some(struct sort *sort, uint64_t moves)
{
    const struct sort_item *items = sort->items;
    uint64_t middle = end_of(sort, sort->begin, sort->run), end = end_of(sort, middle, sort->run);
    uint64_t left = sort->left, right = sort->right;
    struct sort_item *out = sort->spare + left + (right - middle);
    uint64_t left_over = (middle - left) + (end - right);
    uint64_t count = left_over < moves ? left_over : moves;
    for (uint64_t i = 0; i < count; i++) {
        bool takes_right = right < end && (left == middle || is_misplaced(sort, &items[left], &items[right]));
        *out++ = items[takes_right ? right++ : left++];
    }
    sort->left = left;
    sort->right = right;
    if (count == left_over) {
        sort->begin = end;
        begin_pair(sort);
    }
    return count;
}

bool sort_step(struct sort *sort, uint64_t moves)
{
    uint64_t moved = 0;
    while (sort->run == 0 && moved < moves) {
        insert_run(sort);
        moved += SORT_RUN_MIN;
        if (sort->begin == sort->count) {
            sort->run = SORT_RUN_MIN;
            sort->begin = 0;
            begin_pair(sort);
        }
    }
    while (sort->run != 0 && sort->run < sort->count && moved < moves) {
        moved += merge_some(sort, moves - moved);
        if (sort->begin == sort->count)
            end_pass(sort);
    }
    return sort->run != 0 && sort->run >= sort->count;
}
