/* The longest common subsequence by bit vectors.
 *
 * Principal entry points: lcs_compute, lcs_walk_next. Threads: any.
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

#define WORD_BITS 64
#define BYTES     256

/* For each byte that occurs in a, the vector of places where b holds it. */
struct places {
    uint16_t class_of[BYTES]; /* index of the vector + 1, 0: the byte is not in a */
    uint64_t *vectors;
};

static enum status find_places(struct places *places, struct slice a, struct slice b, size_t words)
{
    *places = (struct places){0};
    uint16_t classes = 0;
    for (size_t i = 0; i < a.size && classes < BYTES; i++) {
        uint16_t *class_of = &places->class_of[(unsigned char)a.data[i]];
        if (*class_of == 0)
            *class_of = ++classes;
    }
    places->vectors = mem_try_calloc(classes * words * sizeof(uint64_t));
    if (places->vectors == NULL)
        return ST_NOMEM;
    for (size_t j = 0; j < b.size; j++) {
        uint16_t class_of = places->class_of[(unsigned char)b.data[j]];
        if (class_of != 0)
            places->vectors[(class_of - 1) * words + j / WORD_BITS] |= (uint64_t)1 << j % WORD_BITS;
    }
    return ST_OK;
}

/* to = the row below `from`, for a byte of a that b holds at `places`. The two may be the same memory. */
static void next_row(uint64_t *to, const uint64_t *from, const uint64_t *places, size_t words)
{
    unsigned char carry = 0;
    for (size_t w = 0; w < words; w++) {
        uint64_t row = from[w];
        uint64_t matching = row & places[w];
        uint64_t sum;
        bool over = __builtin_add_overflow(row, matching, &sum);
        over |= __builtin_add_overflow(sum, (uint64_t)carry, &sum);
        carry = over;
        to[w] = sum | (row & ~matching);
    }
}

static uint64_t count_zeros(const uint64_t *row, size_t columns)
{
    uint64_t zeros = 0;
    for (size_t j = 0; j < columns; j += WORD_BITS) {
        uint64_t inside = columns - j >= WORD_BITS ? UINT64_MAX : ((uint64_t)1 << (columns - j)) - 1;
        zeros += (uint64_t)__builtin_popcountll(~row[j / WORD_BITS] & inside);
    }
    return zeros;
}

/* Computes all rows; `rows` holds one for each byte of a when `keep`, otherwise one that is overwritten. */
static uint64_t compute_rows(const struct places *places, struct slice a, struct slice b, size_t words,
                             bool keep, uint64_t *rows)
{
    uint64_t *row = rows;
    memset(row, 0xff, words * sizeof(uint64_t));
    const uint64_t *above = row;
    for (size_t i = 0; i < a.size; i++) {
        if (keep)
            row = rows + i * words;
        uint16_t class_of = places->class_of[(unsigned char)a.data[i]];
        next_row(row, above, places->vectors + (class_of - 1) * words, words);
        above = row;
    }
    return count_zeros(row, b.size);
}

enum status lcs_compute(struct slice a, struct slice b, bool with_path, struct lcs *ret_lcs)
{
    struct lcs lcs = {.a = a, .b = b, .row_words = (b.size + WORD_BITS - 1) / WORD_BITS};
    if (a.size == 0 || b.size == 0) {
        *ret_lcs = lcs;
        return ST_OK;
    }
    size_t bytes;
    if (__builtin_mul_overflow(with_path ? a.size : 1, lcs.row_words * sizeof(uint64_t), &bytes))
        return ST_NOMEM;
    struct places places;
    if (find_places(&places, a, b, lcs.row_words) != ST_OK)
        return ST_NOMEM;
    uint64_t *rows = mem_try_alloc(bytes);
    if (rows != NULL)
        lcs.length = compute_rows(&places, a, b, lcs.row_words, with_path, rows);
    mem_free(places.vectors);
    if (rows == NULL)
        return ST_NOMEM;
    if (with_path)
        lcs.rows = rows;
    else
        mem_free(rows);
    *ret_lcs = lcs;
    return ST_OK;
}

void lcs_done(struct lcs *lcs)
{
    mem_free(lcs->rows);
    lcs->rows = NULL;
}

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

bool lcs_walk_next(struct lcs_walk *walk, struct lcs_run *ret_run)
{
    while (walk->a_left > 0 && walk->b_left > 0 && !ends_equal(walk)) {
        if (drop_from_a(walk))
            walk->a_left--;
        else
            walk->b_left--;
    }
    size_t size = 0;
    while (ends_equal(walk)) {
        walk->a_left--;
        walk->b_left--;
        size++;
    }
    *ret_run = (struct lcs_run){walk->a_left, walk->b_left, size};
    return size > 0;
}
