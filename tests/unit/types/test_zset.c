/* Proves that a sorted set is an ordered list of its members in which each is found by its name: against an array,
 * through growth out of one page and back, with equal and opposite scores, members of every kind, and copies of entries
 * that share what they have in common. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/role.h"
#include "keyspace/keyspace.h"
#include "types/zset.h"

#define MEMBERS  3000
#define TEXT_MAX 1200

struct model_row {
    uint32_t member;
    bool present;
    double score;
};

struct fixture {
    struct keyspace *keyspace;
    struct rng rng;
    struct model_row rows[MEMBERS];
    size_t count;
};

static const double scores[] = {0, 1, -1, 1.5, 1e300, -1e300, 1.0 / 0.0, -1.0 / 0.0, 1e-300, -0.0, 3, 17};

static struct slice text_of(uint32_t member, char *text)
{
    int size = snprintf(text, TEXT_MAX, member % 3 == 0 ? "%d" : "member:%u", (int)member - 1000);
    if (member % 31 == 0) {
        memset(text + size, 'x', 900);
        size += 900;
    }
    return slice_make(text, (size_t)size);
}

static int compare(const struct fixture *fixture, uint32_t a, uint32_t b)
{
    char one[TEXT_MAX], other[TEXT_MAX];
    double left = fixture->rows[a].score, right = fixture->rows[b].score;
    if (left != right)
        return left < right ? -1 : 1;
    return slice_compare(text_of(a, one), text_of(b, other));
}

/* Rows of the model that come before `member`. */
static uint64_t rank_of(const struct fixture *fixture, uint32_t member)
{
    uint64_t rank = 0;
    for (uint32_t i = 0; i < MEMBERS; i++)
        rank += fixture->rows[i].present && i != member && compare(fixture, i, member) < 0;
    return rank;
}

static void check_member(const struct fixture *fixture, const struct collection_view *zset, uint32_t member)
{
    char text[TEXT_MAX];
    double score;
    struct zset_found found;
    struct tree_place place;
    bool is_there = zset_find(zset, text_of(member, text), &found);
    assert_int_equal(is_there, fixture->rows[member].present);
    assert_int_equal(zset_score(zset, text_of(member, text), &score), is_there);
    if (!is_there)
        return;
    assert_true(score == fixture->rows[member].score && zset_score_of(found.bits) == score);
    zset_locate(zset, text_of(member, text), &found, &place);
    assert_int_equal(tree_position(zset->rows, &place), rank_of(fixture, member));
}

static void check_counts(const struct fixture *fixture, const struct collection_view *zset)
{
    uint64_t most_equal = 0;
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) {
        uint64_t below = 0, equal = 0;
        for (uint32_t member = 0; member < MEMBERS; member++) {
            below += fixture->rows[member].present && fixture->rows[member].score < scores[i];
            equal += fixture->rows[member].present && fixture->rows[member].score == scores[i];
        }
        assert_int_equal(zset_count_below(zset->rows, scores[i], false), below);
        assert_int_equal(zset_count_below(zset->rows, scores[i], true), below + equal);
        most_equal = equal > most_equal ? equal : most_equal;
    }
    if (fixture->count > 0 && most_equal == fixture->count)
        assert_true(zset_has_one_score(zset->rows));
    else if (most_equal > 0)
        assert_false(zset_has_one_score(zset->rows));
}

/* One change of a random member: added, given another score, or taken out. */
static void step(struct fixture *fixture, struct collection_view *zset, unsigned removes_of_ten)
{
    char text[TEXT_MAX];
    element_scratch scratch;
    struct element element;
    uint32_t member = (uint32_t)rng_below(&fixture->rng, MEMBERS);
    struct model_row *row = &fixture->rows[member];
    struct zset_found found;
    double score = scores[rng_below(&fixture->rng, sizeof scores / sizeof *scores)];
    if (rng_below(&fixture->rng, 2) == 0)
        score = (double)rng_below(&fixture->rng, 1000) / 8 - 60;
    if (row->present && rng_below(&fixture->rng, 10) < removes_of_ten) {
        assert_true(zset_find(zset, text_of(member, text), &found));
        zset_remove(zset, text_of(member, text), &found);
        row->present = false;
        fixture->count--;
        return;
    }
    if (row->present) {
        assert_true(zset_find(zset, text_of(member, text), &found));
        zset_change(zset, text_of(member, text), &found, score);
    } else {
        assert_int_equal(element_make(text_of(member, text), scratch, &element), ST_OK);
        zset_add(zset, element, score);
        fixture->count++;
    }
    row->present = true;
    row->score = score;
}

/* Opens the entry (NULL: none yet), changes it, closes it, and returns the entry that holds it now. */
static struct entry *change(struct fixture *fixture, struct entry *entry, unsigned steps,
                            unsigned removes_of_ten)
{
    struct collection_view zset;
    struct entry *made = NULL;
    struct entry_options options = {.expire_ms = ENTRY_NO_EXPIRE};
    if (entry != NULL)
        collection_open(&zset, fixture->keyspace, entry);
    else
        collection_begin(&zset, fixture->keyspace, ENTRY_ZSET);
    for (unsigned i = 0; i < steps; i++)
        step(fixture, &zset, removes_of_ten);
    zset_check(&zset);
    assert_int_equal(tree_rows(zset.rows), fixture->count);
    for (unsigned i = 0; i < 20; i++)
        check_member(fixture, &zset, (uint32_t)rng_below(&fixture->rng, MEMBERS));
    check_counts(fixture, &zset);
    switch (collection_close(&zset, entry, SLICE("key"), ENTRY_ZSET, &options, &made)) {
    case COLLECTION_KEPT: return entry;
    case COLLECTION_EMPTY:
        if (entry != NULL)
            entry_free(fixture->keyspace->heap, entry);
        return NULL;
    case COLLECTION_REPLACED:
        if (entry != NULL)
            entry_free(fixture->keyspace->heap, entry);
        return made;
    case COLLECTION_NOMEM: break;
    }
    fail();
    return NULL;
}

static void remove_all(struct fixture *fixture, struct entry *entry)
{
    struct collection_view zset;
    collection_open(&zset, fixture->keyspace, entry);
    while (tree_rows(zset.rows) > 0) {
        uint64_t first = rng_below(&fixture->rng, tree_rows(zset.rows));
        uint64_t count = 1 + rng_below(&fixture->rng, tree_rows(zset.rows) - first);
        zset_remove_range(&zset, first, count);
        zset_check(&zset);
    }
    assert_int_equal(collection_close(&zset, entry, SLICE("key"), ENTRY_ZSET, NULL, NULL), COLLECTION_EMPTY);
}

static void run(uint64_t seed, unsigned rounds)
{
    struct fixture *fixture = mem_calloc(1, sizeof *fixture);
    struct entry *entry = NULL;
    rng_seed(&fixture->rng, seed);
    fixture->keyspace = keyspace_new(1, seed, 1000, NULL);
    for (uint32_t i = 0; i < MEMBERS; i++)
        fixture->rows[i].member = i;
    for (unsigned round = 0; round < rounds; round++)
        entry = change(fixture, entry, 1 + (unsigned)rng_below(&fixture->rng, 400), round % 12 < 6 ? 1 : 9);
    while (entry == NULL)
        entry = change(fixture, entry, 300, 0);
    struct entry_options options = {.expire_ms = ENTRY_NO_EXPIRE};
    struct entry *copy = entry_copy(fixture->keyspace->heap, entry, SLICE("copy"), &options);
    remove_all(fixture, entry);
    struct collection_view zset;
    collection_open(&zset, fixture->keyspace, copy);
    zset_check(&zset);
    assert_int_equal(tree_rows(zset.rows), fixture->count);
    for (uint32_t i = 0; i < MEMBERS; i += 7)
        check_member(fixture, &zset, i);
    entry_free(fixture->keyspace->heap, copy);
    entry_free(fixture->keyspace->heap, entry);
    struct heap_stats stats;
    heap_stats(fixture->keyspace->heap, &stats);
    assert_int_equal(stats.used_bytes, 0);
    keyspace_free(fixture->keyspace);
    mem_free(fixture);
}

static void test_a_sorted_set_is_an_ordered_list(void **state)
{
    run(1, 60);
    run(2, 60);
}

static void test_one_that_stays_small(void **state)
{
    for (uint64_t seed = 3; seed < 40; seed++)
        run(seed, 1);
}

static void test_bits_are_in_the_order_of_scores(void **state)
{
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) {
        assert_true(zset_score_of(zset_bits(scores[i])) == scores[i]);
        for (size_t j = 0; j < sizeof scores / sizeof *scores; j++)
            assert_int_equal(zset_bits(scores[i]) < zset_bits(scores[j]), scores[i] < scores[j]);
    }
    assert_true(zset_bits(0.0) == zset_bits(-0.0));
}

int main(void)
{
    role_set(ROLE_EXECUTOR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sorted_set_is_an_ordered_list),
        cmocka_unit_test(test_one_that_stays_small),
        cmocka_unit_test(test_bits_are_in_the_order_of_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
