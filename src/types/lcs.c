/* The longest common subsequence by bit vectors.
 *
 * Principal entry points: lcs_begin, lcs_step, lcs_walk_step. Threads: see lcs.h; the states, too.
 *
 * Let L(i, j) be the length for the first i bytes of a and the first j of b. Along a row it grows by 0 or 1
 * at each step, so a row is a vector of bits, and the next row follows from it and from the places where b
 * holds the byte a[i], by one addition over the whole vector.
 *
 * V1  Bit j of row i is 0 <=> L(i + 1, j + 1) = L(i + 1, j) + 1.
 * V2  Bits behind the last column stay 1. */
#include "types/lcs.h"

#include <string.h>

#include "base/alloc.h"
#include "base/worker.h"

#define WORD_BITS 64

static unsigned byte_of(struct slice text, size_t at)
{
    return (unsigned char)text.data[at];
}

/* ---- The states: each goes through [from, to) of its steps -------------------------------------------------- */

static void find_classes(struct lcs *lcs, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        uint16_t *class_of = &lcs->class_of[byte_of(lcs->a, i)];
        if (*class_of == 0)
            *class_of = ++lcs->class_count;
    }
}

static void clear_vectors(struct lcs *lcs, size_t from, size_t to)
{
    memset(lcs->vectors + from, 0, (to - from) * sizeof *lcs->vectors);
}

static void find_places(struct lcs *lcs, size_t from, size_t to)
{
    for (size_t j = from; j < to; j++) {
        uint16_t class_of = lcs->class_of[byte_of(lcs->b, j)];
        if (class_of != 0)
            lcs->vectors[(class_of - 1) * lcs->row_words + j / WORD_BITS] |= (uint64_t)1 << j % WORD_BITS;
    }
}

static void fill_first(struct lcs *lcs, size_t from, size_t to)
{
    memset(lcs->rows + from, 0xff, (to - from) * sizeof *lcs->rows);
}

/* Words [w, end) of `to`, the row below `above`, for a byte of a that b holds at `places`. The two may be the same memory. */
static bool next_words(uint64_t *to, const uint64_t *above, const uint64_t *places, size_t w, size_t end,
                       bool carry)
{
    for (; w < end; w++) {
        uint64_t row = above[w];
        uint64_t matching = row & places[w];
        uint64_t sum;
        bool over = __builtin_add_overflow(row, matching, &sum);
        over |= __builtin_add_overflow(sum, (uint64_t)carry, &sum);
        carry = over;
        to[w] = sum | (row & ~matching);
    }
    return carry;
}

/* A step is a word; rows follow each other. */
static void compute_rows(struct lcs *lcs, size_t from, size_t to)
{
    size_t words = lcs->row_words, i = from / words, w = from % words, left = to - from;
    for (; left > 0; i++, w = 0) {
        size_t end = words - w < left ? words : w + left;
        uint64_t *row = lcs->with_path ? lcs->rows + i * words : lcs->rows;
        const uint64_t *above = lcs->with_path && i > 0 ? row - words : row;
        const uint64_t *places = lcs->vectors + (lcs->class_of[byte_of(lcs->a, i)] - 1) * words;
        lcs->carry = next_words(row, above, places, w, end, w > 0 && lcs->carry);
        left -= end - w;
    }
}

static void count_zeros(struct lcs *lcs, size_t from, size_t to)
{
    const uint64_t *row = lcs->rows + (lcs->with_path ? (lcs->a.size - 1) * lcs->row_words : 0);
    for (size_t w = from; w < to; w++) {
        size_t columns = lcs->b.size - w * WORD_BITS;
        uint64_t inside = columns >= WORD_BITS ? UINT64_MAX : ((uint64_t)1 << columns) - 1;
        lcs->length += (uint64_t)__builtin_popcountll(~row[w] & inside);
    }
}

/* How many steps a state takes. */
static size_t steps_of(const struct lcs *lcs, enum lcs_state state)
{
    switch (state) {
    case LCS_CLASSES: return lcs->a.size;
    case LCS_CLEARS: return lcs->class_count * lcs->row_words;
    case LCS_PLACES: return lcs->b.size;
    case LCS_FILLS:
    case LCS_COUNTS: return lcs->row_words;
    case LCS_ROWS: return lcs->a.size * lcs->row_words;
    case LCS_READY: break;
    }
    return 0;
}

/* ---- The computation ---------------------------------------------------------------------------------------- */

void lcs_begin(struct lcs *lcs, struct slice a, struct slice b, bool with_path)
{
    *lcs = (struct lcs){
        .a = a, .b = b, .with_path = with_path, .row_words = (b.size + WORD_BITS - 1) / WORD_BITS};
    if (a.size == 0 || b.size == 0)
        lcs->state = LCS_READY;
}

static enum status alloc_tables(struct lcs *lcs)
{
    size_t bytes;
    if (__builtin_mul_overflow(lcs->with_path ? lcs->a.size : 1, lcs->row_words * sizeof(uint64_t), &bytes))
        return ST_NOMEM;
    lcs->vectors = mem_try_alloc(lcs->class_count * lcs->row_words * sizeof *lcs->vectors);
    lcs->rows = mem_try_alloc(bytes);
    return lcs->vectors == NULL || lcs->rows == NULL ? ST_NOMEM : ST_OK;
}

enum status lcs_step(struct lcs *lcs, size_t steps)
{
    static void (*const work[])(struct lcs * lcs, size_t from, size_t to) = {
        [LCS_CLASSES] = find_classes, [LCS_CLEARS] = clear_vectors, [LCS_PLACES] = find_places,
        [LCS_FILLS] = fill_first,     [LCS_ROWS] = compute_rows,    [LCS_COUNTS] = count_zeros,
    };
    while (steps > 0 && lcs->state != LCS_READY) {
        size_t all = steps_of(lcs, lcs->state), left = all - lcs->at;
        size_t count = left < steps ? left : steps;
        work[lcs->state](lcs, lcs->at, lcs->at + count);
        lcs->at += count;
        steps -= count;
        if (lcs->at < all)
            break;
        if (lcs->state == LCS_CLASSES && alloc_tables(lcs) != ST_OK)
            return ST_NOMEM;
        lcs->state++;
        lcs->at = 0;
    }
    return lcs->state == LCS_READY ? ST_OK : ST_AGAIN;
}

void lcs_done(struct lcs *lcs, struct worker_pool *pool)
{
    worker_free(pool, lcs->vectors);
    worker_free(pool, lcs->rows);
    lcs->vectors = lcs->rows = NULL;
}

/* ---- The path ----------------------------------------------------------------------------------------------- */

/* Where the bytes differ, the common length of (a_left, b_left) is that of one byte less of a or of b. Less
 * of a is right exactly when b's last byte counts in this row; otherwise Redis, too, gives up b's. */
static bool drop_from_a(const struct lcs_walk *walk)
{
    const uint64_t *row = walk->lcs->rows + (walk->a_left - 1) * walk->lcs->row_words;
    size_t column = walk->b_left - 1;
    return (row[column / WORD_BITS] >> column % WORD_BITS & 1) == 0;
}

static bool ends_equal(const struct lcs_walk *walk)
{
    return walk->a_left > 0 && walk->b_left > 0 &&
           walk->lcs->a.data[walk->a_left - 1] == walk->lcs->b.data[walk->b_left - 1];
}

enum status lcs_walk_step(struct lcs_walk *walk, size_t steps, struct lcs_run *ret_run)
{
    for (; steps > 0; steps--) {
        if (ends_equal(walk)) {
            walk->a_left--;
            walk->b_left--;
            walk->run_size++;
        } else if (walk->run_size > 0) {
            *ret_run = (struct lcs_run){walk->a_left, walk->b_left, walk->run_size};
            walk->run_size = 0;
            return ST_OK;
        } else if (walk->a_left == 0 || walk->b_left == 0) {
            return ST_EOF;
        } else if (drop_from_a(walk)) {
            walk->a_left--;
        } else {
            walk->b_left--;
        }
    }
    return ST_AGAIN;
}
