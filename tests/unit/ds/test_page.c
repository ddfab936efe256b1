/* Proves that a page is the array of rows that it stands for, through every width of its columns and every change between
 * widths: narrow and wide ends, with and without tags, numbers in each form; that a row is found in each of them; and that
 * a small page takes no more bytes than its rows need. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "ds/page.h"

#define TEXT_MAX 1500
#define ROWS_MAX 5000 /* more than any page holds */

#define EVEN_REGIMES 13 /* from this one on, most elements are of one size */

/* Elements are told by numbers (text_of), so that a model is small. */
struct model_row {
    uint32_t texts[2];
    uint64_t number;
};

struct fixture {
    struct heap *heap;
    struct page *page;
    struct rng rng;
    unsigned count;
    struct model_row rows[ROWS_MAX];
};

/* By the last digit: empty, integers, short texts; from 7 on long ones, and blobs. */
static struct slice text_of(uint32_t which, char *text)
{
    static const size_t sizes[] = {[6] = 30, [7] = 120, [8] = 600, [9] = ELEMENT_BYTES_MAX + 50};
    int size = 0;
    switch (which % 10) {
    case 0: size = which == 0 ? 0 : snprintf(text, TEXT_MAX, "%u", which % 200); break;
    case 1: size = snprintf(text, TEXT_MAX, "-%u", which); break;
    case 2: size = snprintf(text, TEXT_MAX, "%u000000000", which); break;
    case 3: size = snprintf(text, TEXT_MAX, "%c", 'a' + which / 10 % 26); break;
    default: size = snprintf(text, TEXT_MAX, "member:%u", which); break;
    }
    size_t wanted = sizes[which % 10];
    if (wanted > (size_t)size)
        memset(text + size, '.', wanted - (size_t)size);
    return slice_make(text, wanted > (size_t)size ? wanted : (size_t)size);
}

static struct element element_of(uint32_t which, char *text, element_scratch scratch)
{
    struct element element;
    assert_int_equal(element_make(text_of(which, text), scratch, &element), ST_OK);
    return element;
}

static struct fixture *set_up(enum page_layout layout, uint64_t seed)
{
    struct fixture *fixture = mem_calloc(1, sizeof *fixture);
    fixture->heap = heap_new();
    fixture->page = page_new(fixture->heap, layout);
    rng_seed(&fixture->rng, seed);
    return fixture;
}

static void make_roomy(struct fixture *fixture)
{
    enum page_layout layout = (enum page_layout)fixture->page->layout;
    page_unref(fixture->heap, fixture->page);
    fixture->page = page_new_roomy(fixture->heap, layout, 512);
}

static void tear_down(struct fixture *fixture)
{
    page_unref(fixture->heap, fixture->page);
    struct heap_stats stats;
    heap_stats(fixture->heap, &stats);
    assert_int_equal(stats.used_bytes, 0);
    heap_free(fixture->heap);
    mem_free(fixture);
}

static void assert_rows(const struct page *page, const struct model_row *rows, unsigned count)
{
    page_check(page);
    assert_int_equal(page->count, count);
    for (unsigned row = 0; row < count; row++) {
        for (unsigned which = 0; which < page_shape(page)->elements; which++) {
            char text[TEXT_MAX];
            element_scratch scratch;
            struct slice expected = text_of(rows[row].texts[which], text);
            struct slice found = element_text(page_element(page, row, which), scratch);
            assert_int_equal(found.size, expected.size);
            assert_memory_equal(found.data, expected.data, found.size);
        }
        if (page_shape(page)->numbers != NUMBERS_NONE)
            assert_true(page_number(page, row) == rows[row].number);
    }
}

static void assert_model(const struct fixture *fixture)
{
    assert_rows(fixture->page, fixture->rows, fixture->count);
}

/* What may be done in place at an end of a list's page is sometimes tried before the rest. */
static bool tries_in_place(struct fixture *fixture, unsigned at, unsigned end)
{
    return fixture->page->layout == PAGE_LIST && (at == 0 || at == end) && rng_below(&fixture->rng, 2) == 0;
}

static bool push_in_place(struct fixture *fixture, unsigned at, struct element element)
{
    struct page *page = fixture->page;
    if (!tries_in_place(fixture, at, fixture->count))
        return false;
    return at == 0 ? page_prepend(page, element) : page_append(page, element);
}

/* False: the page is full. */
static bool insert(struct fixture *fixture, unsigned at, struct model_row model)
{
    char texts[2][TEXT_MAX];
    element_scratch scratches[2];
    struct row row = {.number = model.number};
    unsigned elements = page_shape(fixture->page)->elements;
    for (unsigned which = 0; which < elements; which++)
        row.elements[which] = element_of(model.texts[which], texts[which], scratches[which]);
    if (!push_in_place(fixture, at, row.elements[0]) &&
        !page_insert(fixture->heap, &fixture->page, at, &row)) {
        for (unsigned which = 0; which < elements; which++)
            element_unref(row.elements[which]);
        return false;
    }
    memmove(fixture->rows + at + 1, fixture->rows + at, (fixture->count - at) * sizeof model);
    fixture->rows[at] = model;
    fixture->count++;
    return true;
}

static void append(struct fixture *fixture, uint32_t text, uint64_t number)
{
    assert_true(insert(fixture, fixture->count, (struct model_row){{text, text + 1}, number}));
}

static void remove_rows(struct fixture *fixture, unsigned at, unsigned count)
{
    bool in_place = count == 1 && tries_in_place(fixture, at, fixture->count - 1);
    if (!in_place || !page_drop_end(fixture->page, at == 0))
        page_remove(fixture->heap, &fixture->page, at, count);
    fixture->count -= count;
    memmove(fixture->rows + at, fixture->rows + at + count, (fixture->count - at) * sizeof fixture->rows[0]);
}

static bool has_equal_sizes(const struct page *page, unsigned one, unsigned other)
{
    for (unsigned which = 0; which < page_shape(page)->elements; which++)
        if (page_element(page, one, which).size != page_element(page, other, which).size)
            return false;
    return true;
}

/* Returns whether the last row took the place of the one that went. */
static bool remove_unordered(struct fixture *fixture, unsigned at)
{
    bool swaps = !fixture->page->narrow && has_equal_sizes(fixture->page, at, fixture->count - 1);
    struct model_row last = fixture->rows[fixture->count - 1];
    page_remove_unordered(fixture->heap, &fixture->page, at);
    fixture->count--;
    if (swaps)
        fixture->rows[at] = last;
    else
        memmove(fixture->rows + at, fixture->rows + at + 1, (fixture->count - at) * sizeof last);
    return swaps;
}

static void move(struct fixture *fixture, unsigned from, unsigned to, uint64_t number)
{
    if (!page_move(fixture->page, from, to, number))
        return;
    struct model_row *rows = fixture->rows, row = rows[from];
    row.number = number;
    if (from < to)
        memmove(rows + from, rows + from + 1, (to - from) * sizeof row);
    else
        memmove(rows + to + 1, rows + to, (from - to) * sizeof row);
    rows[to] = row;
}

static bool replace(struct fixture *fixture, unsigned at, unsigned which, uint32_t text)
{
    char bytes[TEXT_MAX];
    element_scratch scratch;
    struct element element = element_of(text, bytes, scratch);
    if (!page_replace(fixture->heap, &fixture->page, at, which, element)) {
        element_unref(element);
        return false;
    }
    fixture->rows[at].texts[which] = text;
    return true;
}

/* ---- Any mixture ------------------------------------------------------------------------------------------- */

/* Numbers as they are used: small scores, large ones, fractions; moments and never. */
static uint64_t draw_number(struct fixture *fixture, unsigned regime)
{
    uint64_t drawn = rng_below(&fixture->rng, 1 << 20);
    if (fixture->page->layout == PAGE_TIMED_HASH)
        return drawn % 5 == 0 ? INT64_MAX : regime < 2 ? 1700000000000 + drawn : drawn * drawn * 1000;
    switch (regime % 4) {
    case 0: return number_of_double((double)(drawn % 100));
    case 1: return number_of_double((double)drawn - 500000);
    case 2: return number_of_double(1e12 + (double)drawn);
    default: return number_of_double((double)drawn / 7);
    }
}

static uint32_t draw_text(struct fixture *fixture, unsigned regime)
{
    uint32_t text = (uint32_t)rng_below(&fixture->rng, 100000);
    if (regime >= EVEN_REGIMES && text % 256 != 0) /* nearly all of one size: twelve bytes, or integers */
        return regime % 2 == 0 ? 10004 + text % 9000 * 10 : 100 + text % 10 * 10;
    uint32_t kinds = regime % 3 == 0 ? 4 : regime % 3 == 1 ? 6 : 10;
    return text / 10 * 10 + text % 10 % kinds;
}

static void split_and_merge(struct fixture *fixture)
{
    if (fixture->count < 2)
        return;
    unsigned at = 1 + (unsigned)rng_below(&fixture->rng, fixture->count - 1);
    struct page *right = page_split(fixture->heap, &fixture->page, at);
    assert_rows(fixture->page, fixture->rows, at);
    assert_rows(right, fixture->rows + at, fixture->count - at);
    if (!page_merge(fixture->heap, &fixture->page, right)) {
        page_unref(fixture->heap, right);
        fixture->count = at;
    }
}

static void divide(struct fixture *fixture)
{
    uint8_t goes_right[ROWS_MAX];
    struct model_row right_rows[ROWS_MAX];
    unsigned left = 0, right = 0;
    if (fixture->count < 2)
        return;
    for (unsigned row = 0; row < fixture->count; row++) {
        goes_right[row] = row == 0 ? 0 : row == 1 ? 1 : rng_below(&fixture->rng, 2) != 0;
        if (goes_right[row])
            right_rows[right++] = fixture->rows[row];
        else
            fixture->rows[left++] = fixture->rows[row];
    }
    struct page *part = page_divide(fixture->heap, &fixture->page, goes_right);
    fixture->count = left;
    assert_rows(part, right_rows, right);
    page_unref(fixture->heap, part);
}

static void clone(struct fixture *fixture)
{
    struct page *copy = page_clone(fixture->heap, fixture->page);
    page_unref(fixture->heap, fixture->page);
    fixture->page = copy;
}

static void step(struct fixture *fixture, unsigned regime)
{
    unsigned at = fixture->count == 0 ? 0 : (unsigned)rng_below(&fixture->rng, fixture->count);
    struct model_row row = {{draw_text(fixture, regime), draw_text(fixture, regime)},
                            draw_number(fixture, regime)};
    unsigned action = (unsigned)rng_below(&fixture->rng, 40);
    if (action < 20) {
        unsigned places[] = {at, 0, fixture->count};
        if (!insert(fixture, places[action % 3], row)) /* full: most of it goes */
            remove_rows(fixture, fixture->count / 8, fixture->count / 2);
    } else if (fixture->count == 0) {
        return;
    } else if (action < 26) {
        unsigned places[] = {at, 0, fixture->count - 1};
        if (page_shape(fixture->page)->tags && rng_below(&fixture->rng, 2) == 0)
            remove_unordered(fixture, places[action % 3]);
        else
            remove_rows(fixture, places[action % 3], 1);
    } else if (action < 32) {
        bool looked_up = page_shape(fixture->page)->tags;
        if (page_shape(fixture->page)->elements == 2 || !looked_up)
            replace(fixture, at, looked_up, row.texts[1]);
    } else if (action < 36 && page_shape(fixture->page)->numbers != NUMBERS_NONE) {
        if (page_shape(fixture->page)->elements == 1 && action % 2 == 0)
            move(fixture, at, (unsigned)rng_below(&fixture->rng, fixture->count), row.number);
        else if (page_set_number(fixture->heap, &fixture->page, at, row.number))
            fixture->rows[at].number = row.number;
    } else if (action == 36) {
        split_and_merge(fixture);
    } else if (action == 37) {
        page_fit(fixture->heap, &fixture->page, rng_below(&fixture->rng, 2) != 0);
    } else if (action == 38) {
        clone(fixture);
    } else if (rng_below(&fixture->rng, 8) == 0) {
        divide(fixture);
    }
}

static void test_a_page_is_an_array_of_rows(void **state)
{
    for (unsigned layout = 0; layout < PAGE_LAYOUTS; layout++) {
        for (unsigned regime = 0; regime < 16; regime++) {
            struct fixture *fixture = set_up((enum page_layout)layout, layout * 100 + regime);
            if (regime % 2 == 1)
                make_roomy(fixture);
            for (unsigned i = 0; i < 1500; i++) {
                step(fixture, i % 500 < 400 ? regime : regime + 1);
                assert_model(fixture);
            }
            tear_down(fixture);
        }
    }
}

/* ---- Ends -------------------------------------------------------------------------------------------------- */

static void test_ends_are_narrow_up_to_255_bytes(void **state)
{
    struct fixture *fixture = set_up(PAGE_LIST, 1);
    append(fixture, 0, 0); /* no byte: the page is not even */
    for (unsigned i = 0; i < PAGE_NARROW_BYTES; i++) {
        append(fixture, 3 + i % 20 * 10, 0); /* one byte each */
        assert_true(fixture->page->narrow);
    }
    assert_model(fixture);
    append(fixture, 3, 0);
    assert_false(fixture->page->narrow);
    assert_model(fixture);
    remove_rows(fixture, 100, 56);
    page_fit(fixture->heap, &fixture->page, false);
    assert_true(fixture->page->narrow);
    assert_model(fixture);
    tear_down(fixture);
}

/* The most rows of twelve bytes that a page takes. */
static void fill_evenly(struct fixture *fixture)
{
    uint32_t which = 10004;
    while (insert(fixture, fixture->count, (struct model_row){{which, which + 1}, which}))
        which += 10;
}

static void test_rows_of_one_size_need_no_ends(void **state)
{
    struct fixture *fixture = set_up(PAGE_LIST, 1);
    fill_evenly(fixture);
    assert_true(fixture->page->even);
    assert_in_range(fixture->count, (PAGE_SIZE_MAX - 64) / 12, PAGE_SIZE_MAX / 12);
    assert_model(fixture);
    remove_rows(fixture, 0, 100);
    assert_true(insert(fixture, 7, (struct model_row){{104, 0}, 0})); /* shorter */
    assert_false(fixture->page->even);
    assert_model(fixture);
    remove_rows(fixture, 7, 1);
    page_fit(fixture->heap, &fixture->page, true);
    assert_true(fixture->page->even);
    assert_true(replace(fixture, 3, 0, 114));
    assert_false(fixture->page->even);
    assert_model(fixture);
    tear_down(fixture);
}

static void test_empty_strings_keep_their_ends(void **state)
{
    for (unsigned layout = 0; layout < PAGE_LAYOUTS; layout++) {
        struct fixture *fixture = set_up((enum page_layout)layout, 1);
        for (unsigned i = 0; i < 100; i++)
            assert_true(insert(fixture, fixture->count, (struct model_row){{0, 0}, i}));
        assert_false(fixture->page->even);
        assert_model(fixture);
        remove_rows(fixture, 0, 90);
        clone(fixture);
        assert_model(fixture);
        tear_down(fixture);
    }
}

/* P6: what the tree relies on when a row does not fit. */
static void test_a_full_even_page_takes_any_row_once_it_is_divided(void **state)
{
    static const enum page_layout layouts[] = {PAGE_LIST, PAGE_SET, PAGE_HASH, PAGE_TIMED_HASH};
    for (unsigned i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        for (uint32_t size = 0; size < 2; size++) {
            struct fixture *fixture = set_up(layouts[i], 1);
            for (uint32_t which = 0;; which++) { /* twelve bytes, or one */
                uint32_t text = size == 0 ? 10004 + which * 10 : 3 + which % 20 * 10;
                if (!insert(fixture, fixture->count, (struct model_row){{text, text}, 1u << 30}))
                    break;
            }
            assert_true(fixture->page->even);
            struct model_row row = {{8, 8}, 5};
            assert_false(insert(fixture, 1, row));
            struct page *right = page_split(fixture->heap, &fixture->page, fixture->count * 5 / 8);
            page_unref(fixture->heap, right);
            fixture->count = fixture->count * 5 / 8;
            row.texts[1] = 4; /* a row of a hash may be longer: its leaf is divided again */
            assert_true(insert(fixture, 1, row));
            assert_model(fixture);
            tear_down(fixture);
        }
    }
}

static void test_a_blob_makes_a_page_wide(void **state)
{
    struct fixture *fixture = set_up(PAGE_LIST, 1);
    for (unsigned i = 0; i < 6; i++)
        append(fixture, i, 0);
    assert_true(fixture->page->narrow);
    assert_true(replace(fixture, 2, 0, 9));
    assert_false(fixture->page->narrow);
    assert_model(fixture);
    struct page *right = page_split(fixture->heap, &fixture->page, 1);
    assert_rows(right, fixture->rows + 1, 5);
    page_unref(fixture->heap, right);
    fixture->count = 1;
    tear_down(fixture);
}

static void test_room_in_front_is_used(void **state)
{
    struct fixture *fixture = set_up(PAGE_LIST, 1);
    for (unsigned i = 0; i < 300; i++) {
        assert_true(insert(fixture, 0, (struct model_row){{i * 10 + i % 5, 0}, 0}));
        assert_model(fixture);
    }
    while (fixture->count > 1) {
        remove_rows(fixture, fixture->count % 3 == 0 ? 0 : fixture->count - 1, 1);
        assert_model(fixture);
    }
    tear_down(fixture);
}

/* Rows that come before the others move these now and then, not each time: in a page that is made, in one of a small list, and when
 * both ends grow in turns. */
static void test_rows_are_put_in_front_without_moving_the_others(void **state)
{
    struct fixture *fixture = set_up(PAGE_LIST, 1);
    unsigned moves = 0, behind = 0;
    for (unsigned i = 0; i < 200; i++) {
        char text[TEXT_MAX];
        element_scratch scratch;
        struct row row = {.elements[0] = element_of(1004 + 10 * i, text, scratch)};
        unsigned at = i >= 100 && i % 4 == 0 ? fixture->count : 0;
        const struct page *page = fixture->page;
        const char *first = fixture->count == 0 ? NULL : page_element(page, 0, 0).data;
        assert_true(page_insert(fixture->heap, &fixture->page, at, &row));
        fixture->count++;
        moves += first != NULL && page_element(fixture->page, at == 0, 0).data != first;
        behind += at > 0;
        page_check(fixture->page);
    }
    assert_int_equal(behind, 25);
    assert_true(moves < 60);
    tear_down(fixture);
}

/* ---- Finding ----------------------------------------------------------------------------------------------- */

static void test_the_last_row_takes_the_place_of_one_as_long(void **state)
{
    struct fixture *fixture = set_up(PAGE_HASH, 1);
    for (uint32_t which = 0; which < 30; which++)
        append(fixture, 1004 + 20 * which, 0);
    append(fixture, 10004, 0);
    append(fixture, 1804, 0);
    assert_false(fixture->page->narrow);
    assert_true(remove_unordered(fixture, 1));
    assert_model(fixture);
    assert_false(remove_unordered(fixture, 0)); /* the last one is longer now */
    assert_model(fixture);
    assert_true(remove_unordered(fixture, fixture->count - 1));
    assert_model(fixture);
    tear_down(fixture);
}

/* Asking ahead notes the rows that a look-up compares, and reads nothing that is not the page's. */
static void assert_fetched(const struct page *page, struct element element, unsigned row)
{
    struct page_fetch fetch = {.tag = element_tag(element), .adds = row % 2};
    page_fetch_tags(page, &fetch);
    page_fetch_ends(page, &fetch);
    page_fetch_rows(page, &fetch);
    page_fetch_places(&fetch);
    assert_int_equal(page_find_fetched(page, element, &fetch, true), row);
    assert_int_equal(page_find_fetched(page, element, &fetch, false), row);
    bool noted = !page->tagged || fetch.count == PAGE_FETCH_ROWS;
    for (unsigned i = 0; i < fetch.count; i++)
        noted |= fetch.rows[i] == row;
    assert_true(noted);
}

static void assert_found(const struct fixture *fixture)
{
    for (unsigned row = 0; row < fixture->count; row++) {
        char text[TEXT_MAX];
        element_scratch scratch;
        struct slice slice = text_of(fixture->rows[row].texts[0], text);
        if (slice.size > ELEMENT_BYTES_MAX)
            assert_int_equal(page_find_long(fixture->page, slice), row);
        struct element element = element_of(fixture->rows[row].texts[0], text, scratch);
        assert_int_equal(page_find(fixture->page, element), row);
        assert_fetched(fixture->page, element, row);
        element_unref(element);
    }
}

static void test_rows_are_found_with_and_without_tags(void **state)
{
    static const enum page_layout layouts[] = {PAGE_SET, PAGE_HASH, PAGE_TIMED_HASH, PAGE_SORTED, PAGE_INDEX};
    for (unsigned kinds = 1; kinds <= 10; kinds++) {
        for (unsigned i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
            struct fixture *fixture = set_up(layouts[i], 1);
            /* Texts of one letter or of small numbers would come twice. */
            for (uint32_t which = 201; fixture->count < 60; which++)
                if (which % 10 < kinds && which % 10 != 0 && (which % 10 != 3 || which < 400)) {
                    if (!insert(fixture, fixture->count, (struct model_row){{which, 4}, which}))
                        break;
                    assert_found(fixture);
                    bool tagged = page_shape(fixture->page)->tags && fixture->count > PAGE_UNTAGGED_ROWS;
                    assert_int_equal(fixture->page->tagged, tagged);
                } else if (kinds == 1) {
                    break;
                }
            char text[TEXT_MAX];
            element_scratch scratch;
            struct element missing = element_of(4, text, scratch);
            assert_int_equal(page_find(fixture->page, missing), fixture->count);
            tear_down(fixture);
        }
    }
}

static void test_the_empty_string_is_found(void **state)
{
    struct fixture *fixture = set_up(PAGE_SET, 1);
    append(fixture, 4, 0);
    append(fixture, 0, 0);
    append(fixture, 14, 0);
    assert_found(fixture);
    tear_down(fixture);
}

/* ---- Numbers ----------------------------------------------------------------------------------------------- */

static unsigned width(const struct fixture *fixture)
{
    return fixture->page->form & NUMBER_WIDTH_MASK;
}

static void test_scores_that_are_integers_take_the_bytes_of_the_largest(void **state)
{
    for (unsigned bytes = 1; bytes <= 7; bytes++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            struct fixture *fixture = set_up(PAGE_SORTED, 1);
            int64_t largest = bytes == 7 ? INT64_C(1) << 53 : (INT64_C(1) << (8 * bytes - 1)) - 1;
            append(fixture, 4, number_of_double(0));
            append(fixture, 14, number_of_double((double)(sign * largest)));
            assert_int_equal(fixture->page->form, NUMBER_WHOLE | bytes);
            assert_model(fixture);
            /* One byte more, or none at all. */
            assert_true(
                page_set_number(fixture->heap, &fixture->page, 0, number_of_double((double)largest * 2 + 2)));
            fixture->rows[0].number = number_of_double((double)largest * 2 + 2);
            assert_int_equal(width(fixture), bytes + 1);
            assert_model(fixture);
            tear_down(fixture);
        }
    }
}

static void test_numbers_of_one_kind_share_their_high_bytes(void **state)
{
    struct fixture *fixture = set_up(PAGE_SORTED, 1);
    for (unsigned i = 0; i < 40; i++)
        append(fixture, 4 + 10 * i, number_of_double(1.7e12 + i)); /* milliseconds: 6 bytes each */
    page_fit(fixture->heap, &fixture->page, false);
    assert_int_equal(fixture->page->form, NUMBER_WHOLE | NUMBER_BASED | 1);
    assert_model(fixture);
    append(fixture, 4, number_of_double(0.5));
    assert_int_equal(fixture->page->form & NUMBER_WHOLE, 0);
    assert_model(fixture);
    remove_rows(fixture, fixture->count - 1, 1);
    for (unsigned i = 0; i < fixture->count; i++) {
        fixture->rows[i].number = number_of_double(100 + i / 64.0);
        assert_true(page_set_number(fixture->heap, &fixture->page, i, fixture->rows[i].number));
        assert_model(fixture);
    }
    page_fit(fixture->heap, &fixture->page, false);
    assert_true(fixture->page->form & NUMBER_BASED);
    assert_true(width(fixture) < 8);
    assert_model(fixture);
    tear_down(fixture);
}

static void test_every_number_has_a_place(void **state)
{
    static const uint64_t numbers[] = {0,
                                       1,
                                       UINT64_MAX,
                                       UINT64_C(1) << 63,
                                       (UINT64_C(1) << 63) - 1,
                                       INT64_MAX,
                                       (uint64_t)-1,
                                       (uint64_t)INT64_MIN,
                                       1700000000000,
                                       UINT64_C(1) << 52};
    static const double scores[] = {0.0,
                                    -0.0,
                                    1,
                                    -1,
                                    0.5,
                                    1e300,
                                    -1e300,
                                    5e-324,
                                    9007199254740992.0,
                                    9007199254740994.0,
                                    -9007199254740992.0,
                                    1.0 / 0.0,
                                    -1.0 / 0.0};
    static const enum page_layout layouts[] = {PAGE_SORTED, PAGE_INDEX, PAGE_TIMED_HASH};
    for (unsigned i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        struct fixture *fixture = set_up(layouts[i], 1);
        for (unsigned first = 0; first < 10; first++) {
            for (unsigned row = 0; row < 10; row++) {
                append(fixture, 4 + 10 * row, numbers[(first + row) % 10]);
                assert_model(fixture);
            }
            remove_rows(fixture, 0, fixture->count);
        }
        for (unsigned row = 0; row < sizeof scores / sizeof scores[0]; row++)
            append(fixture, 4 + 10 * row, number_of_double(scores[row]));
        assert_model(fixture);
        tear_down(fixture);
    }
    for (unsigned row = 0; row < sizeof scores / sizeof scores[0]; row++)
        assert_true(number_to_double(number_of_double(scores[row])) == scores[row]);
    assert_true(number_of_double(0.0) == number_of_double(-0.0));
}

static void test_moments_and_never_share_a_column(void **state)
{
    struct fixture *fixture = set_up(PAGE_TIMED_HASH, 1);
    for (unsigned i = 0; i < 10; i++)
        append(fixture, 4 + 10 * i, i % 2 ? INT64_MAX : 1700000000000 + i);
    assert_int_equal(fixture->page->form, NUMBER_WHOLE | 6);
    assert_model(fixture);
    tear_down(fixture);
}

/* ---- Bytes ------------------------------------------------------------------------------------------------- */

static void test_a_page_that_was_just_written_has_no_room(void **state)
{
    struct fixture *hash = set_up(PAGE_HASH, 1), *sorted = set_up(PAGE_SORTED, 1);
    for (unsigned i = 0; i < 10; i++) {
        append(hash, 10004 + 10 * i, 0);                     /* 12 and 12 bytes */
        append(sorted, 10004 + 10 * i, number_of_double(i)); /* 12 bytes and a score */
    }
    page_fit(hash->heap, &hash->page, false);
    page_fit(sorted->heap, &sorted->page, false);
    assert_int_equal(page_memory(hash->page), heap_block_size(16 + 20 + 3 + 240));
    assert_int_equal(page_memory(sorted->page), heap_block_size(16 + 10 + 10 + 2 + 120));
    tear_down(hash);
    tear_down(sorted);
}

static void test_a_roomy_page_grows_by_doubling_until_it_is_fitted(void **state)
{
    struct fixture *fixture = set_up(PAGE_SORTED, 1);
    make_roomy(fixture);
    size_t last = 512;
    for (unsigned i = 0; i < 200; i++) {
        append(fixture, 10004 + 10 * i, number_of_double(i));
        assert_true(fixture->page->size == last || fixture->page->size == 2 * last);
        last = fixture->page->size;
        assert_model(fixture);
    }
    page_fit(fixture->heap, &fixture->page, false);
    assert_true(fixture->page->size < last);
    assert_false(fixture->page->roomy);
    assert_model(fixture);
    tear_down(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_page_is_an_array_of_rows),
        cmocka_unit_test(test_ends_are_narrow_up_to_255_bytes),
        cmocka_unit_test(test_rows_of_one_size_need_no_ends),
        cmocka_unit_test(test_empty_strings_keep_their_ends),
        cmocka_unit_test(test_a_full_even_page_takes_any_row_once_it_is_divided),
        cmocka_unit_test(test_a_blob_makes_a_page_wide),
        cmocka_unit_test(test_room_in_front_is_used),
        cmocka_unit_test(test_rows_are_put_in_front_without_moving_the_others),
        cmocka_unit_test(test_the_last_row_takes_the_place_of_one_as_long),
        cmocka_unit_test(test_rows_are_found_with_and_without_tags),
        cmocka_unit_test(test_the_empty_string_is_found),
        cmocka_unit_test(test_scores_that_are_integers_take_the_bytes_of_the_largest),
        cmocka_unit_test(test_numbers_of_one_kind_share_their_high_bytes),
        cmocka_unit_test(test_every_number_has_a_place),
        cmocka_unit_test(test_moments_and_never_share_a_column),
        cmocka_unit_test(test_a_page_that_was_just_written_has_no_room),
        cmocka_unit_test(test_a_roomy_page_grows_by_doubling_until_it_is_fitted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
