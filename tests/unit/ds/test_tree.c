/* Proves that a tree of pages behaves as the plain array, the set and the ordered list that it stands for, through
 * growth, splits, merges and shrinking, with rows of all sizes and kinds; that a snapshot stays what it was whatever
 * happens to the tree; that leaves are divided where their columns become wider; and that every block and every blob is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "ds/tree_ends.h"

#define SEED      7
#define TEXT_MAX  2000
#define MODEL_MAX 20000
#define SNAPSHOTS 3

/* The model: rows in order. Members are numbers that stand for texts (text_of), so that comparing is cheap. */
struct model_row {
    uint32_t member;
    int64_t score;
};

struct model {
    struct model_row rows[MODEL_MAX];
    size_t count;
};

struct fixture {
    struct heap *heap;
    struct tree tree;
    struct model *model;
    struct tree snapshots[SNAPSHOTS];
    struct model *frozen[SNAPSHOTS];
    bool taken[SNAPSHOTS];
    struct rng rng;
};

/* Every kind of element, mostly short, different for different members. */
static struct slice text_of(uint32_t member, char *text)
{
    int size = member % 3 == 0 ? snprintf(text, TEXT_MAX, "%d", (int)(member * 2654435761u))
                               : snprintf(text, TEXT_MAX, "member:%u", member);
    size_t wanted = (size_t)size;
    if (member % 3 == 1 && member % 5 == 0)
        wanted = 20 + member % 700;
    if (member % 3 == 1 && member % 97 == 0)
        wanted = ELEMENT_BYTES_MAX + member % 900;
    if (wanted > (size_t)size)
        memset(text + size, 'x', wanted - (size_t)size);
    return slice_make(text, wanted > (size_t)size ? wanted : (size_t)size);
}

static void make_element(uint32_t member, char *text, element_scratch scratch, struct element *ret_element)
{
    assert_int_equal(element_make(text_of(member, text), scratch, ret_element), ST_OK);
}

static void assert_element(struct element element, uint32_t member)
{
    char text[TEXT_MAX];
    element_scratch scratch;
    struct slice expected = text_of(member, text), found = element_text(element, scratch);
    assert_int_equal(found.size, expected.size);
    assert_memory_equal(found.data, expected.data, found.size);
}

static struct tree_order hash_order(const struct page *page, unsigned row, const void *context)
{
    return (struct tree_order){element_hash(page_element(page, row, 0), SEED), 0};
}

static void hashes_of(const struct page *page, const void *context, uint64_t *ret_hashes)
{
    for (unsigned row = 0; row < page->count; row++)
        ret_hashes[row] = hash_order(page, row, context).major;
}

static uint64_t score_bits(int64_t score)
{
    return (uint64_t)score ^ (1ull << 63);
}

static struct tree_order score_order(const struct page *page, unsigned row, const void *context)
{
    return (struct tree_order){score_bits((int64_t)page_number(page, row)), 0};
}

static const struct tree_type list_type = {.layout = PAGE_LIST};
static const struct tree_type hash_type = {
    .layout = PAGE_HASH, .order = hash_order, .hashes = hashes_of, .scattered = true};
static const struct tree_type sorted_type = {.layout = PAGE_SORTED, .order = score_order};

static struct fixture *set_up(const struct tree_type *type, uint64_t seed)
{
    struct fixture *fixture = mem_calloc(1, sizeof *fixture);
    fixture->heap = heap_new();
    fixture->model = mem_calloc(1, sizeof *fixture->model);
    rng_seed(&fixture->rng, seed);
    tree_init(&fixture->tree, type, NULL, fixture->heap);
    return fixture;
}

static void drop_snapshot(struct fixture *fixture, unsigned which)
{
    while (!tree_free_some(&fixture->snapshots[which], 1 + (unsigned)rng_below(&fixture->rng, 7)))
        ;
    mem_free(fixture->frozen[which]);
    fixture->taken[which] = false;
}

static void tear_down(struct fixture *fixture)
{
    for (unsigned i = 0; i < SNAPSHOTS; i++)
        if (fixture->taken[i])
            drop_snapshot(fixture, i);
    while (!tree_free_some(&fixture->tree, 3))
        ;
    struct heap_stats stats;
    heap_stats(fixture->heap, &stats);
    assert_int_equal(stats.used_bytes, 0);
    heap_check(fixture->heap);
    heap_free(fixture->heap);
    mem_free(fixture->model);
    mem_free(fixture);
}

/* Rows in the order of the tree's leaves. Scattered rows are looked up instead (assert_members). */
static void assert_rows(const struct tree *tree, const struct model *model)
{
    assert_int_equal(tree_rows(tree), model->count);
    if (model->count == 0)
        return;
    struct tree_place place;
    tree_at(tree, 0, &place);
    size_t at = 0;
    do {
        for (place.row = 0; place.row < place.page->count; place.row++, at++) {
            assert_element(page_element(place.page, place.row, 0), model->rows[at].member);
            if (tree->type == &sorted_type)
                assert_int_equal((int64_t)page_number(place.page, place.row), model->rows[at].score);
        }
    } while (tree_next_page(tree, &place));
    assert_int_equal(at, model->count);
}

static bool find_member(const struct tree *tree, uint32_t member, struct tree_place *ret_place)
{
    char text[TEXT_MAX];
    element_scratch scratch;
    struct element element;
    make_element(member, text, scratch, &element);
    uint64_t hash = element_hash(element, SEED);
    struct tree_probe probe = {.order = {hash, 0}};
    tree_seek(tree, &probe, ret_place);
    ret_place->row = page_find(ret_place->page, element);
    element_unref(element);
    return ret_place->row < ret_place->page->count;
}

static void assert_members(const struct tree *tree, const struct model *model)
{
    assert_int_equal(tree_rows(tree), model->count);
    for (size_t i = 0; i < model->count; i++) {
        struct tree_place place;
        assert_true(find_member(tree, model->rows[i].member, &place));
        assert_element(page_element(place.page, place.row, 1), (uint32_t)model->rows[i].score);
    }
}

/* Takes, checks or drops a snapshot. */
static void disturb(struct fixture *fixture)
{
    unsigned which = (unsigned)rng_below(&fixture->rng, SNAPSHOTS);
    if (!fixture->taken[which]) {
        tree_snapshot(&fixture->tree, &fixture->snapshots[which]);
        fixture->frozen[which] = mem_alloc(sizeof *fixture->model);
        memcpy(fixture->frozen[which], fixture->model, sizeof *fixture->model);
        fixture->taken[which] = true;
        return;
    }
    tree_check(&fixture->snapshots[which]);
    if (fixture->tree.type->scattered)
        assert_members(&fixture->snapshots[which], fixture->frozen[which]);
    else
        assert_rows(&fixture->snapshots[which], fixture->frozen[which]);
    drop_snapshot(fixture, which);
}

/* Grows to `peak` rows and shrinks to none, twice, with some steps the other way. */
static void run(struct fixture *fixture, size_t peak, void (*grow)(struct fixture *),
                void (*shrink)(struct fixture *))
{
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned step = 0; fixture->model->count < peak; step++) {
            if (fixture->model->count > 0 && rng_below(&fixture->rng, 5) == 0)
                shrink(fixture);
            else
                grow(fixture);
            if (step % 997 == 0)
                disturb(fixture);
            if (step % 499 == 0)
                tree_check(&fixture->tree);
        }
        tree_check(&fixture->tree);
        if (fixture->tree.type->scattered)
            assert_members(&fixture->tree, fixture->model);
        else
            assert_rows(&fixture->tree, fixture->model);
        for (unsigned step = 0; fixture->model->count > 0; step++) {
            if (rng_below(&fixture->rng, 5) == 0 && fixture->model->count < peak)
                grow(fixture);
            else
                shrink(fixture);
            if (step % 997 == 0)
                disturb(fixture);
            if (step % 499 == 0)
                tree_check(&fixture->tree);
        }
        tree_check(&fixture->tree);
        assert_int_equal(tree_rows(&fixture->tree), 0);
        assert_int_equal(fixture->tree.depth, 0);
    }
}

static void model_insert(struct model *model, size_t at, struct model_row row)
{
    memmove(model->rows + at + 1, model->rows + at, (model->count - at) * sizeof row);
    model->rows[at] = row;
    model->count++;
}

static void model_remove(struct model *model, size_t at, size_t count)
{
    memmove(model->rows + at, model->rows + at + count, (model->count - at - count) * sizeof *model->rows);
    model->count -= count;
}

/* ---- Lists ------------------------------------------------------------------------------------------------- */

static void list_grow(struct fixture *fixture)
{
    struct model *model = fixture->model;
    uint64_t kind = rng_below(&fixture->rng, 4);
    size_t at = kind == 0 ? 0 : kind == 1 ? model->count : rng_below(&fixture->rng, model->count + 1);
    struct model_row added = {.member = (uint32_t)rng_below(&fixture->rng, 1 << 20)};
    char text[TEXT_MAX];
    element_scratch scratch;
    struct row row;
    make_element(added.member, text, scratch, &row.elements[0]);
    if (kind < 2 && rng_below(&fixture->rng, 2) == 0) {
        bool in_place = rng_below(&fixture->rng, 2) == 0;
        if (!in_place || !tree_push_in_place(&fixture->tree, kind == 0, row.elements[0]))
            tree_push(&fixture->tree, kind == 0, row.elements[0]);
    } else {
        struct tree_place place;
        tree_at(&fixture->tree, at, &place);
        assert_int_equal(tree_position(&fixture->tree, &place), at);
        tree_insert(&fixture->tree, &place, &row, (struct tree_order){0, 0});
    }
    model_insert(model, at, added);
}

static void list_pop(struct fixture *fixture)
{
    struct model *model = fixture->model;
    bool at_start = rng_below(&fixture->rng, 2) == 0;
    size_t at = at_start ? 0 : model->count - 1;
    const struct page *page = tree_end_page(&fixture->tree, at_start);
    assert_element(page_element(page, at_start ? 0 : page->count - 1u, 0), model->rows[at].member);
    tree_pop(&fixture->tree, at_start);
    model_remove(model, at, 1);
}

/* Everything in front of some leaf, at once. */
static void list_cut_front(struct fixture *fixture)
{
    struct model *model = fixture->model;
    struct tree_place place;
    struct tree before;
    tree_at(&fixture->tree, rng_below(&fixture->rng, model->count), &place);
    place.row = 0;
    uint64_t count = tree_position(&fixture->tree, &place), rows = model->count;
    tree_cut_front(&fixture->tree, &place, &before);
    assert_int_equal(tree_rows(&before), rows);
    tree_check(&before);
    while (!tree_free_some(&before, 2))
        ;
    model_remove(model, 0, count);
    tree_check(&fixture->tree);
    assert_rows(&fixture->tree, model);
}

static void list_shrink(struct fixture *fixture)
{
    struct model *model = fixture->model;
    if (rng_below(&fixture->rng, 4000) == 0) {
        list_cut_front(fixture);
        return;
    }
    if (rng_below(&fixture->rng, 3) == 0) {
        list_pop(fixture);
        return;
    }
    size_t at = rng_below(&fixture->rng, model->count);
    struct tree_place place;
    tree_at(&fixture->tree, at, &place);
    assert_element(page_element(place.page, place.row, 0), model->rows[at].member);
    if (rng_below(&fixture->rng, 3) == 0) {
        char text[TEXT_MAX];
        element_scratch scratch;
        struct element element;
        model->rows[at].member = (uint32_t)rng_below(&fixture->rng, 1 << 20);
        make_element(model->rows[at].member, text, scratch, &element);
        tree_replace(&fixture->tree, &place, 0, element);
        return;
    }
    size_t count = 1 + rng_below(&fixture->rng, 3);
    if (count > place.page->count - place.row)
        count = place.page->count - place.row;
    tree_remove(&fixture->tree, &place, (unsigned)count);
    model_remove(model, at, count);
}

static void test_a_list_is_an_array(void **state)
{
    struct fixture *fixture = set_up(&list_type, 1);
    run(fixture, 12000, list_grow, list_shrink);
    tear_down(fixture);
}

static void test_appended_rows_fill_their_pages(void **state)
{
    struct fixture *fixture = set_up(&list_type, 2);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < 50000; i++) {
        char text[32];
        element_scratch scratch;
        struct row row;
        struct slice slice = slice_make(text, (size_t)snprintf(text, sizeof text, "item:%07u", i));
        assert_int_equal(element_make(slice, scratch, &row.elements[0]), ST_OK);
        struct tree_place place;
        tree_at(&fixture->tree, i % 2 ? tree_rows(&fixture->tree) : 0, &place);
        tree_insert(&fixture->tree, &place, &row, (struct tree_order){0, 0});
        bytes += slice.size + 2;
    }
    tree_check(&fixture->tree);
    assert_true(tree_memory(&fixture->tree) < bytes * 104 / 100);
    tear_down(fixture);
}

/* ---- Hashes ------------------------------------------------------------------------------------------------ */

static void hash_put(struct fixture *fixture, uint32_t member, uint32_t value)
{
    char text[TEXT_MAX], value_text[TEXT_MAX];
    element_scratch scratch, value_scratch;
    struct tree_place place;
    struct row row;
    make_element(value, value_text, value_scratch, &row.elements[1]);
    if (find_member(&fixture->tree, member, &place)) {
        tree_replace(&fixture->tree, &place, 1, row.elements[1]);
        return;
    }
    make_element(member, text, scratch, &row.elements[0]);
    uint64_t hash = element_hash(row.elements[0], SEED);
    place.row = place.page->count;
    tree_insert(&fixture->tree, &place, &row, (struct tree_order){hash, 0});
}

static void hash_grow(struct fixture *fixture)
{
    struct model *model = fixture->model;
    uint32_t value = (uint32_t)rng_below(&fixture->rng, 1 << 20);
    if (model->count > 0 && rng_below(&fixture->rng, 3) == 0) {
        struct model_row *row = &model->rows[rng_below(&fixture->rng, model->count)];
        row->score = value;
        hash_put(fixture, row->member, value);
        return;
    }
    uint32_t member = (uint32_t)rng_below(&fixture->rng, 1 << 20);
    struct tree_place place;
    if (find_member(&fixture->tree, member, &place))
        return;
    hash_put(fixture, member, value);
    model_insert(model, model->count, (struct model_row){member, value});
}

static void hash_shrink(struct fixture *fixture)
{
    struct model *model = fixture->model;
    size_t at = rng_below(&fixture->rng, model->count);
    struct tree_place place;
    assert_true(find_member(&fixture->tree, model->rows[at].member, &place));
    tree_remove(&fixture->tree, &place, 1);
    assert_false(find_member(&fixture->tree, model->rows[at].member, &place));
    model->rows[at] = model->rows[--model->count];
}

static void test_a_hash_finds_what_is_in_it(void **state)
{
    struct fixture *fixture = set_up(&hash_type, 3);
    run(fixture, 12000, hash_grow, hash_shrink);
    tear_down(fixture);
}

/* ---- Sorted sets ------------------------------------------------------------------------------------------- */

struct sorted_probe {
    struct tree_probe probe;
    int64_t score;
    struct slice text;
};

/* <0, 0, >0: the probe stands before, at, behind the row. */
static int compare_row(const struct sorted_probe *probe, const struct page *page, unsigned row)
{
    int64_t score = (int64_t)page_number(page, row);
    if (probe->score != score)
        return probe->score < score ? -1 : 1;
    element_scratch scratch;
    return slice_compare(probe->text, element_text(page_element(page, row, 0), scratch));
}

static int compare_first(const struct tree_probe *probe, const struct page *page)
{
    return compare_row((const struct sorted_probe *)probe, page, 0);
}

/* The place where the row is, or where it would be. */
static bool find_sorted(const struct tree *tree, const struct model_row *wanted, char *text,
                        struct tree_place *ret_place)
{
    struct sorted_probe probe = {.probe = {{score_bits(wanted->score), 0}, compare_first},
                                 .score = wanted->score,
                                 .text = text_of(wanted->member, text)};
    tree_seek(tree, &probe.probe, ret_place);
    int order = 1;
    while (ret_place->row < ret_place->page->count &&
           (order = compare_row(&probe, ret_place->page, ret_place->row)) > 0)
        ret_place->row++;
    return order == 0;
}

static int compare_models(const struct model_row *a, const struct model_row *b)
{
    char one[TEXT_MAX], other[TEXT_MAX];
    if (a->score != b->score)
        return a->score < b->score ? -1 : 1;
    return slice_compare(text_of(a->member, one), text_of(b->member, other));
}

static void sorted_grow(struct fixture *fixture)
{
    struct model *model = fixture->model;
    /* Few scores: whole leaves with the same one. */
    struct model_row added = {(uint32_t)rng_below(&fixture->rng, 1 << 20),
                              (int64_t)rng_below(&fixture->rng, 9) - 4};
    char text[TEXT_MAX];
    struct tree_place place;
    if (find_sorted(&fixture->tree, &added, text, &place))
        return;
    element_scratch scratch;
    struct row row = {.number = (uint64_t)added.score};
    make_element(added.member, text, scratch, &row.elements[0]);
    uint64_t at = tree_position(&fixture->tree, &place);
    tree_insert(&fixture->tree, &place, &row, (struct tree_order){score_bits(added.score), 0});
    size_t low = 0, high = model->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_models(&model->rows[middle], &added) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    assert_int_equal(at, low);
    model_insert(model, low, added);
}

static void sorted_shrink(struct fixture *fixture)
{
    struct model *model = fixture->model;
    size_t at = rng_below(&fixture->rng, model->count);
    char text[TEXT_MAX];
    struct tree_place place;
    assert_true(find_sorted(&fixture->tree, &model->rows[at], text, &place));
    assert_int_equal(tree_position(&fixture->tree, &place), at);
    tree_remove(&fixture->tree, &place, 1);
    model_remove(model, at, 1);
}

static void test_a_sorted_set_is_an_ordered_list(void **state)
{
    struct fixture *fixture = set_up(&sorted_type, 4);
    run(fixture, 6000, sorted_grow, sorted_shrink);
    tear_down(fixture);
}

/* ---- Wider columns ----------------------------------------------------------------------------------------- */

static struct tree_order number_order(const struct page *page, unsigned row, const void *context)
{
    return (struct tree_order){page_number(page, row), 0};
}

static const struct tree_type scored_type = {.layout = PAGE_SORTED, .order = number_order};
static const struct tree_type index_type = {
    .layout = PAGE_INDEX, .order = hash_order, .hashes = hashes_of, .scattered = true};

static void insert_score(struct fixture *fixture, struct tree_place *place, unsigned member, double score)
{
    char text[TEXT_MAX];
    element_scratch scratch;
    struct row row = {.number = number_of_double(score)};
    struct slice slice = slice_make(text, (size_t)snprintf(text, sizeof text, "%u", member));
    assert_int_equal(element_make(slice, scratch, &row.elements[0]), ST_OK);
    uint64_t order = fixture->tree.type->scattered ? element_hash(row.elements[0], SEED) : row.number;
    if (fixture->tree.type->scattered) {
        struct tree_probe probe = {.order = {order, 0}};
        tree_seek(&fixture->tree, &probe, place);
        place->row = place->page->count;
    }
    tree_insert(&fixture->tree, place, &row, (struct tree_order){order, 0});
}

/* A leaf of so many rows with one byte for each score would be three leaves with eight bytes. */
static void test_a_fraction_among_many_small_scores_divides_their_leaf(void **state)
{
    for (unsigned at = 0; at <= 900; at += 50) {
        struct fixture *fixture = set_up(&scored_type, 5);
        struct tree_place place;
        for (unsigned i = 0; i < 900; i++) {
            tree_at(&fixture->tree, i, &place);
            insert_score(fixture, &place, i % 100, i / 10);
        }
        assert_int_equal(fixture->tree.depth, 0);
        tree_at(&fixture->tree, at, &place);
        insert_score(fixture, &place, 7, at / 10 - 0.3);
        tree_check(&fixture->tree);
        assert_int_equal(tree_rows(&fixture->tree), 901);
        for (unsigned i = 0; i < 901; i++) {
            double score = i == at ? at / 10 - 0.3 : (i - (i > at)) / 10;
            tree_at(&fixture->tree, i, &place);
            assert_true(page_number(place.page, place.row) == number_of_double(score));
        }
        tear_down(fixture);
    }
}

static void test_a_number_that_needs_more_bytes_divides_its_leaf(void **state)
{
    struct fixture *fixture = set_up(&index_type, 6);
    struct tree_place place;
    for (unsigned i = 0; i < 550; i++)
        insert_score(fixture, &place, i, 1);
    for (unsigned i = 0; i < 550; i++) {
        tree_at(&fixture->tree, i, &place);
        char text[NUM_I64_TEXT_MAX], after[NUM_I64_TEXT_MAX];
        struct slice member = element_text(page_element(place.page, place.row, 0), text);
        tree_set_number(&fixture->tree, &place, number_of_double(0.1));
        assert_true(page_number(place.page, place.row) == number_of_double(0.1));
        assert_true(slice_equal(element_text(page_element(place.page, place.row, 0), after), member));
        tree_check(&fixture->tree);
    }
    assert_true(fixture->tree.depth > 0);
    assert_int_equal(tree_rows(&fixture->tree), 550);
    tear_down(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_is_an_array),
        cmocka_unit_test(test_appended_rows_fill_their_pages),
        cmocka_unit_test(test_a_hash_finds_what_is_in_it),
        cmocka_unit_test(test_a_sorted_set_is_an_ordered_list),
        cmocka_unit_test(test_a_fraction_among_many_small_scores_divides_their_leaf),
        cmocka_unit_test(test_a_number_that_needs_more_bytes_divides_its_leaf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
