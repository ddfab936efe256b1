/* Proves that members are found, added, taken and walked over as those of a plain set, through growth and shrinking of
 * the tree, whatever their kind and their length; that members of one and the same hash, which somebody who knew the
 * seed could make, are still all found; and that a walk meets everything that stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "types/hash.h"
#include "types/members.h"

#define TEXT_MAX     2000
#define MEMBERS      6000
#define EQUAL_HASHES 1500

static const uint64_t seed = 0x1234567890abcdefull;

typedef struct slice text_fn(uint32_t member, char *text);

/* A tree, and which of the members [0, MEMBERS) are in it. */
struct fixture {
    struct heap *heap;
    struct tree tree;
    text_fn *text_of;
    bool present[MEMBERS];
    uint64_t count;
    struct rng rng;
};

/* Every kind of element. */
static struct slice plain_text(uint32_t member, char *text)
{
    int size = member % 3 == 0 ? snprintf(text, TEXT_MAX, "%d", (int)(member * 2654435761u))
                               : snprintf(text, TEXT_MAX, "member:%u", member);
    size_t wanted = (size_t)size;
    if (member % 7 == 1)
        wanted += member % 90;
    if (member % 101 == 1)
        wanted = ELEMENT_BYTES_MAX - 5 + member % 900;
    if (wanted > (size_t)size)
        memset(text + size, 'x', wanted - (size_t)size);
    return slice_make(text, wanted);
}

/* Texts of one hash: of every 16 bytes XXH3 multiplies two halves, each after it has been mixed with a secret and the
 * seed. A first half that makes its factor zero leaves the second half without effect. */
static struct slice forged_text(uint32_t member, char *text)
{
    uint64_t zeroing;
    memcpy(&zeroing, XXH3_kSecret, sizeof zeroing);
    zeroing += seed;
    memset(text, 'f', 32);
    memcpy(text, &zeroing, sizeof zeroing);
    memcpy(text + 8, &member, sizeof member);
    return slice_make(text, 32);
}

/* A third of them of one hash, between others. */
static struct slice mixed_text(uint32_t member, char *text)
{
    return member < EQUAL_HASHES ? forged_text(member, text) : plain_text(member, text);
}

static struct fixture *set_up(const struct tree_type *type, text_fn *text_of)
{
    struct fixture *fixture = mem_calloc(1, sizeof *fixture);
    fixture->heap = heap_new();
    fixture->text_of = text_of;
    rng_seed(&fixture->rng, 11);
    tree_init(&fixture->tree, type, &seed, fixture->heap);
    return fixture;
}

static void tear_down(struct fixture *fixture)
{
    while (!tree_free_some(&fixture->tree, 3))
        ;
    struct heap_stats stats;
    heap_stats(fixture->heap, &stats);
    assert_int_equal(stats.used_bytes, 0);
    heap_free(fixture->heap);
    mem_free(fixture);
}

/* The text that stands at a place. */
static void assert_member(const struct fixture *fixture, const struct tree_place *place, uint32_t member)
{
    char text[TEXT_MAX];
    element_scratch scratch;
    struct slice found = element_text(page_element(place->page, place->row, 0), scratch);
    assert_true(slice_equal(found, fixture->text_of(member, text)));
}

static void add(struct fixture *fixture, uint32_t member)
{
    char text[TEXT_MAX];
    element_scratch scratch;
    struct element element, value = {"value", 5, ELEMENT_BYTES};
    struct tree_place place;
    uint64_t hash;
    assert_int_equal(element_make(fixture->text_of(member, text), scratch, &element), ST_OK);
    bool found = members_find(&fixture->tree, element, &place, &hash);
    assert_int_equal(found, fixture->present[member]);
    if (fixture->tree.depth > 0)
        assert_int_equal(hash, element_hash(element, seed));
    if (found) {
        assert_member(fixture, &place, member);
        element_unref(element);
        return;
    }
    struct row row = {.elements = {element, value}};
    members_add(&fixture->tree, &place, hash, &row);
    fixture->present[member] = true;
    fixture->count++;
}

static void take(struct fixture *fixture, uint32_t member)
{
    char text[TEXT_MAX];
    struct tree_place place;
    bool found = members_locate(&fixture->tree, fixture->text_of(member, text), &place);
    assert_int_equal(found, fixture->present[member]);
    if (!found)
        return;
    assert_member(fixture, &place, member);
    tree_remove(&fixture->tree, &place, 1);
    fixture->present[member] = false;
    fixture->count--;
}

static void assert_all(const struct fixture *fixture)
{
    char text[TEXT_MAX];
    tree_check(&fixture->tree);
    assert_int_equal(tree_rows(&fixture->tree), fixture->count);
    for (uint32_t member = 0; member < MEMBERS; member++)
        assert_int_equal(members_contain(&fixture->tree, fixture->text_of(member, text)),
                         fixture->present[member]);
}

static uint32_t any_member(struct fixture *fixture)
{
    return (uint32_t)rng_below(&fixture->rng, MEMBERS);
}

/* Grows the tree to most of the members and shrinks it to nothing, with a little of the other on the way. */
static void grow_and_shrink(struct fixture *fixture)
{
    for (unsigned i = 0; i < 3 * MEMBERS; i++) {
        add(fixture, any_member(fixture));
        if (i % 4 == 0)
            take(fixture, any_member(fixture));
        if (i % 1500 == 0)
            assert_all(fixture);
    }
    assert_true(fixture->count > MEMBERS / 2 && fixture->tree.depth > 0);
    for (unsigned i = 0; i < 3 * MEMBERS; i++) {
        take(fixture, any_member(fixture));
        if (i % 4 == 0)
            add(fixture, any_member(fixture));
        if (i % 1500 == 0)
            assert_all(fixture);
    }
    for (uint32_t member = 0; member < MEMBERS; member++)
        take(fixture, member);
    assert_all(fixture);
    assert_int_equal(fixture->tree.depth, 0);
}

static void test_members_are_a_set(void **state)
{
    struct fixture *fixture = set_up(&set_tree, plain_text);
    grow_and_shrink(fixture);
    tear_down(fixture);
}

static void test_fields_are_a_set(void **state)
{
    struct fixture *fixture = set_up(&hash_tree, plain_text);
    grow_and_shrink(fixture);
    tear_down(fixture);
}

static void test_members_of_one_hash_are_found(void **state)
{
    char one[TEXT_MAX], other[TEXT_MAX];
    assert_int_equal(hash_slice(forged_text(1, one), seed), hash_slice(forged_text(2, other), seed));
    struct fixture *fixture = set_up(&hash_tree, mixed_text);
    grow_and_shrink(fixture);
    tear_down(fixture);
}

/* ---- Values ------------------------------------------------------------------------------------------------ */

static void assert_value(const struct tree *tree, struct slice field, struct slice expected)
{
    struct element value;
    element_scratch scratch;
    assert_true(hash_find(tree, 0, field, &value));
    assert_true(slice_equal(element_text(value, scratch), expected));
}

/* Every field gets values of all lengths by turns, in a tree where others have the same hash. */
static void test_a_field_keeps_its_last_value(void **state)
{
    struct fixture *fixture = set_up(&hash_tree, mixed_text);
    char text[TEXT_MAX], value_text[TEXT_MAX];
    element_scratch scratch, value_scratch;
    struct element field, value;
    for (uint32_t round = 0; round < 4; round++) {
        for (uint32_t member = 0; member < MEMBERS; member += 3) {
            struct slice name = mixed_text(member, text);
            assert_int_equal(element_make(name, scratch, &field), ST_OK);
            assert_int_equal(element_make(plain_text(member + 31 * round, value_text), value_scratch, &value),
                             ST_OK);
            assert_int_equal(hash_set(&fixture->tree, 0, field, value, ENTRY_NO_EXPIRE), round == 0);
        }
        tree_check(&fixture->tree);
        for (uint32_t member = 0; member < MEMBERS; member += 3)
            assert_value(&fixture->tree, mixed_text(member, text),
                         plain_text(member + 31 * round, value_text));
    }
    tear_down(fixture);
}

/* Fields and values at once as long as they can lie in a page, now and then between short ones: wherever such a page is
 * divided, the part that gets another long row may still be too full for it. */
static void test_long_rows_between_short_ones(void **state)
{
    struct fixture *fixture = set_up(&hash_tree, plain_text);
    char text[TEXT_MAX], value_text[TEXT_MAX];
    element_scratch scratch, value_scratch;
    struct element field, value;
    for (uint32_t i = 0; i < 20 * MEMBERS; i++) {
        uint32_t member = any_member(fixture);
        bool is_long = rng_below(&fixture->rng, 30) == 0;
        size_t size = plain_text(member, text).size;
        for (; is_long && size < ELEMENT_BYTES_MAX; size++)
            text[size] = 'l';
        memset(value_text, 'v', ELEMENT_BYTES_MAX);
        struct slice name = slice_make(text, size);
        assert_int_equal(element_make(name, scratch, &field), ST_OK);
        assert_int_equal(
            element_make(slice_make(value_text, is_long ? ELEMENT_BYTES_MAX : 1), value_scratch, &value),
            ST_OK);
        hash_set(&fixture->tree, 0, field, value, HASH_KEEP_TIME);
        assert_value(&fixture->tree, name, slice_make(value_text, is_long ? ELEMENT_BYTES_MAX : 1));
    }
    tree_check(&fixture->tree);
    tear_down(fixture);
}

#define TIMES 50 /* a field expires at one of the moments [1, TIMES], or never */

static int64_t time_of(uint32_t member)
{
    return member % 4 == 0 ? ENTRY_NO_EXPIRE : 1 + member % TIMES;
}

/* Moves rows without times to ones that have room for them. */
static void add_times(struct tree *rows)
{
    struct tree plain = *rows;
    struct tree_place place;
    hash_begin_timed(&plain, rows);
    tree_at(&plain, 0, &place);
    do
        hash_add_timed(rows, place.page);
    while (tree_next_page(&plain, &place));
    while (!tree_free_some(&plain, 3))
        ;
}

/* At each moment exactly the fields whose time has come are taken out, in leaves that part and join. */
static void test_fields_expire_at_their_times(void **state)
{
    struct fixture *fixture = set_up(&hash_tree, mixed_text);
    char text[TEXT_MAX];
    struct tree_place place;
    for (uint32_t member = 0; member < MEMBERS; member++)
        add(fixture, member);
    add_times(&fixture->tree);
    assert_all(fixture);
    assert_int_equal(hash_due_ms(&fixture->tree), ENTRY_NO_EXPIRE);
    for (uint32_t member = 0; member < MEMBERS; member++) {
        assert_true(members_locate(&fixture->tree, mixed_text(member, text), &place));
        tree_set_number(&fixture->tree, &place, (uint64_t)time_of(member));
    }
    for (int64_t now_ms = 1; now_ms <= TIMES; now_ms++) {
        uint64_t expected = 0;
        int64_t due_ms = hash_due_ms(&fixture->tree), next_ms = ENTRY_NO_EXPIRE;
        for (uint32_t member = 0; member < MEMBERS; member++) {
            if (fixture->present[member] && time_of(member) <= now_ms) {
                fixture->present[member] = false;
                expected++;
            } else if (fixture->present[member] && time_of(member) < next_ms) {
                next_ms = time_of(member);
            }
        }
        assert_int_equal(due_ms <= now_ms, expected > 0);
        assert_int_equal(hash_expire(&fixture->tree, now_ms, (struct hash_listener){NULL, NULL}, &due_ms),
                         expected);
        assert_int_equal(due_ms, next_ms);
        fixture->count -= expected;
        if (now_ms % 10 == 0)
            assert_all(fixture);
    }
    tear_down(fixture);
}

/* ---- Walks ------------------------------------------------------------------------------------------------- */

struct walk {
    uint32_t seen[MEMBERS]; /* times that each member has been visited */
    const struct fixture *fixture;
    uint64_t visited;
};

/* Which member stands in a row: only the ones that stay are looked for. */
static void visit(void *context, const struct page *page, unsigned row)
{
    struct walk *walk = context;
    char text[TEXT_MAX];
    element_scratch scratch;
    struct slice found = element_text(page_element(page, row, 0), scratch);
    walk->visited++;
    for (uint32_t member = 0; member < MEMBERS; member += 5) {
        if (!slice_equal(found, walk->fixture->text_of(member, text)))
            continue;
        walk->seen[member]++;
        return;
    }
}

/* Every fifth member stays through a whole walk, during which the others come and go, by `change` at a time. */
static void assert_walk(struct fixture *fixture, void (*change)(struct fixture *fixture, uint32_t member),
                        unsigned changes)
{
    struct walk *walk = mem_calloc(1, sizeof *walk);
    walk->fixture = fixture;
    uint64_t cursor = 0;
    do {
        cursor = members_scan(&fixture->tree, cursor, 10, visit, walk);
        for (unsigned i = 0; i < changes; i++) {
            uint32_t member = any_member(fixture);
            if (member % 5 != 0)
                change(fixture, member);
        }
    } while (cursor != 0);
    for (uint32_t member = 0; member < MEMBERS; member += 5)
        assert_true(walk->seen[member] >= 1);
    if (changes == 0 && fixture->text_of == plain_text) /* those of one hash may be met again */
        assert_int_equal(walk->visited, fixture->count);
    mem_free(walk);
}

static void walk_while_changing(text_fn *text_of)
{
    struct fixture *fixture = set_up(&set_tree, text_of);
    for (uint32_t member = 0; member < MEMBERS; member += 5)
        add(fixture, member);
    assert_walk(fixture, add, 0);
    assert_walk(fixture, add, 500);
    assert_true(fixture->count > MEMBERS / 2);
    assert_walk(fixture, take, 200);
    assert_walk(fixture, take, 500);
    assert_all(fixture);
    tear_down(fixture);
}

static void test_a_walk_meets_what_stays(void **state)
{
    walk_while_changing(plain_text);
}

static void test_a_walk_meets_what_stays_among_equal_hashes(void **state)
{
    walk_while_changing(mixed_text);
}

/* ---- Chance ------------------------------------------------------------------------------------------------ */

/* All of a choice, `steps` at a time; to be freed. */
static uint64_t *choose(struct rng *rng, uint64_t size, uint64_t count, uint64_t steps)
{
    struct members_choice choice;
    assert_int_equal(members_choice_init(&choice, size, count), ST_OK);
    /* Of few, one in four is drawn in vain at the worst, now and then one more; then the gaps. */
    for (uint64_t taken = 0; !members_choose(&choice, rng, steps); taken += steps)
        assert_true(taken < 10 * count + 1000 + (4 * count > size ? size : 0));
    return choice.positions;
}

static void test_chosen_positions_are_different_and_in_order(void **state)
{
    struct rng rng;
    static const uint64_t counts[] = {1, 2, 100, 249, 250, 251, 500, 999, 1000};
    rng_seed(&rng, 1);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (uint64_t steps = 1; steps < 2000; steps *= 7) {
            uint64_t *positions = choose(&rng, 1000, counts[i], steps);
            for (uint64_t at = 0; at < counts[i]; at++) {
                assert_true(positions[at] < 1000);
                assert_true(at == 0 || positions[at] > positions[at - 1]);
            }
            mem_free(positions);
        }
    }
}

/* Of 8, each pair (drawn) and each three (in passing) comes about as often as any other. */
static void test_each_choice_is_as_likely_as_any_other(void **state)
{
    enum { SIZE = 8, ROUNDS = 56 * 400 };
    static unsigned seen[1 << SIZE];
    struct rng rng;
    rng_seed(&rng, 2);
    for (unsigned count = 2; count <= 3; count++) {
        unsigned kinds = count == 2 ? 28 : 56, expected = ROUNDS / kinds, met = 0;
        memset(seen, 0, sizeof seen);
        for (unsigned i = 0; i < ROUNDS; i++) {
            unsigned chosen = 0;
            uint64_t *positions = choose(&rng, SIZE, count, 100);
            for (unsigned at = 0; at < count; at++)
                chosen |= 1u << positions[at];
            seen[chosen]++;
            mem_free(positions);
        }
        for (unsigned i = 0; i < 1 << SIZE; i++) {
            met += seen[i] > 0;
            if (seen[i] > 0) /* six standard deviations; the seed is always the same */
                assert_in_range(seen[i], expected * 7 / 10, expected * 13 / 10);
        }
        assert_int_equal(met, kinds);
    }
}

static void test_a_choice_is_refused_its_memory(void **state)
{
    struct members_choice choice;
    assert_int_equal(members_choice_init(&choice, UINT64_MAX, UINT64_MAX / 8), ST_NOMEM);
    assert_int_equal(members_choice_init(&choice, UINT64_MAX, UINT64_MAX), ST_NOMEM);
}

/* Whether a fetch has come to the row of a member, or to as many others with its tag as it looks at. */
static bool notes_row(const struct members_fetch *fetch, unsigned which, const struct tree_place *place)
{
    const struct page_fetch *in_leaf = &fetch->in_leaves[which];
    bool noted = in_leaf->count == PAGE_FETCH_ROWS;
    for (unsigned i = 0; i < in_leaf->count; i++)
        noted |= in_leaf->rows[i] == place->row;
    return noted && fetch->leaves[which] == place->page;
}

/* So many members from `first` on. */
static void assert_fetched(struct fixture *fixture, uint32_t first, unsigned count)
{
    struct members_fetch fetch;
    char texts[MEMBERS_FETCH_MAX][TEXT_MAX];
    members_fetch_begin(&fetch);
    for (unsigned i = 0; i < count; i++) {
        struct slice wanted = plain_text(first + i, texts[i]);
        if (fixture->tree.depth == 0)
            members_fetch_add_page(&fetch, fixture->tree.root.page, wanted, i % 2);
        else
            members_fetch_add(&fetch, &fixture->tree, wanted, i % 2);
    }
    members_fetch_all(&fetch);
    for (unsigned i = 0; i < count; i++) {
        char text[TEXT_MAX];
        struct tree_place place;
        assert_true(members_locate(&fixture->tree, plain_text(first + i, text), &place));
        assert_true(!place.page->tagged || notes_row(&fetch, i, &place));
    }
}

/* In a tree by the way down, in a single page from there. */
static void test_a_fetch_comes_to_the_row(void **state)
{
    static const unsigned counts[] = {PAGE_UNTAGGED_ROWS + 1, 60, MEMBERS};
    for (unsigned i = 0; i < ARRAY_COUNT(counts); i++) {
        struct fixture *fixture = set_up(&hash_tree, plain_text);
        for (uint32_t member = 0; member < counts[i]; member++)
            add(fixture, member);
        for (uint32_t first = 0; first < counts[i]; first += MEMBERS_FETCH_MAX) {
            uint32_t left = counts[i] - first;
            assert_fetched(fixture, first, left < MEMBERS_FETCH_MAX ? left : MEMBERS_FETCH_MAX);
        }
        tear_down(fixture);
    }
}

/* Something happens to the tree: mostly what leaves all others in their places. */
static void change_something(struct fixture *fixture, struct tree *snapshot)
{
    uint64_t choice = rng_below(&fixture->rng, 64);
    if (choice < 24)
        add(fixture, any_member(fixture));
    else if (choice < 32)
        take(fixture, any_member(fixture));
    else if (choice == 33) {
        while (!tree_free_some(snapshot, 3))
            ;
        tree_snapshot(&fixture->tree, snapshot);
    }
}

/* Returns whether the place is told by what was seen. */
static bool assert_seen(struct fixture *fixture, struct members_fetch *fetch, struct slice text)
{
    element_scratch scratch;
    struct element element;
    struct tree_place place, seen_place;
    uint64_t hash, seen_hash;
    struct members_seen seen = members_seen_of(fetch, text);
    assert_non_null(seen.descent);
    assert_int_equal(element_make(text, scratch, &element), ST_OK);
    bool holds = tree_descent_place(&fixture->tree, seen.descent, &seen_place);
    bool found = members_find(&fixture->tree, element, &place, &hash);
    assert_int_equal(members_locate_seen(&fixture->tree, text, seen, &seen_place), found);
    assert_true(!found || (place.page == seen_place.page && place.row == seen_place.row));
    assert_int_equal(members_find_seen(&fixture->tree, element, seen, &seen_place, &seen_hash), found);
    assert_true(hash == seen_hash && place.page == seen_place.page && place.row == seen_place.row);
    assert_true(place.separator.major == seen_place.separator.major);
    for (unsigned level = 0; level < fixture->tree.depth; level++)
        assert_true(place.path[level].node == seen_place.path[level].node &&
                    place.path[level].index == seen_place.path[level].index);
    element_unref(element);
    return holds;
}

/* While others are added and taken, leaves are divided and joined, and snapshots are held. */
static void assert_what_was_seen(text_fn *text_of, unsigned *ret_holds, unsigned *ret_fails)
{
    struct fixture *fixture = set_up(&set_tree, text_of);
    static struct members_fetch fetch;
    static char texts[MEMBERS_FETCH_MAX][TEXT_MAX];
    struct tree snapshot;
    for (unsigned i = 0; i < MEMBERS / 2; i++)
        add(fixture, any_member(fixture));
    tree_snapshot(&fixture->tree, &snapshot);
    *ret_holds = *ret_fails = 0;
    for (unsigned round = 0; round < 400; round++) {
        members_fetch_begin(&fetch);
        for (unsigned i = 0; i < MEMBERS_FETCH_MAX; i++)
            members_fetch_add(&fetch, &fixture->tree, text_of(any_member(fixture), texts[i]), true);
        members_fetch_all(&fetch);
        for (unsigned i = 0; i < MEMBERS_FETCH_MAX; i++) {
            change_something(fixture, &snapshot);
            *(assert_seen(fixture, &fetch, fetch.texts[i]) ? ret_holds : ret_fails) += 1;
        }
    }
    tree_check(&fixture->tree);
    while (!tree_free_some(&snapshot, 3))
        ;
    tear_down(fixture);
}

static void test_what_was_seen_leads_where_a_search_does(void **state)
{
    static text_fn *const texts[] = {plain_text, mixed_text};
    for (unsigned i = 0; i < ARRAY_COUNT(texts); i++) {
        unsigned holds, fails;
        assert_what_was_seen(texts[i], &holds, &fails);
        assert_true(holds > 1000 && fails > 1000);
    }
}

/* Taking members out of the same leaf leaves the way to it, and tells that its rows may have other numbers. */
static void test_a_way_stays_while_members_are_taken(void **state)
{
    struct fixture *fixture = set_up(&set_tree, plain_text);
    static struct members_fetch fetch;
    char texts[2][TEXT_MAX], last_text[TEXT_MAX];
    struct tree_place place;
    for (uint32_t member = 0; member < MEMBERS; member++)
        add(fixture, member);
    assert_true(members_locate(&fixture->tree, plain_text(7, texts[0]), &place));
    unsigned count = place.page->count;
    element_scratch scratch;
    struct slice last = element_text(page_element(place.page, count - 1, 0), scratch);
    memcpy(last_text, last.data, last.size);
    last = slice_make(last_text, last.size);
    members_fetch_begin(&fetch);
    members_fetch_add(&fetch, &fixture->tree, plain_text(7, texts[0]), false);
    members_fetch_add(&fetch, &fixture->tree, last, false);
    members_fetch_all(&fetch);
    struct members_seen taken = members_seen_of(&fetch, fetch.texts[0]),
                        moved = members_seen_of(&fetch, fetch.texts[1]);
    assert_true(tree_descent_rows_hold(&fixture->tree, moved.descent));
    assert_true(members_locate_seen(&fixture->tree, fetch.texts[0], taken, &place));
    tree_remove(&fixture->tree, &place, 1); /* the last row of the leaf takes its place */
    assert_true(tree_descent_place(&fixture->tree, moved.descent, &place));
    assert_false(tree_descent_rows_hold(&fixture->tree, moved.descent));
    assert_true(members_locate_seen(&fixture->tree, last, moved, &place));
    assert_int_equal(place.page->count, count - 1);
    assert_false(members_locate_seen(&fixture->tree, fetch.texts[0], taken, &place));
    tree_check(&fixture->tree);
    tear_down(fixture);
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return one < other ? -1 : one > other;
}

static void release_all(struct tree *tree)
{
    while (!tree_free_some(tree, 3))
        ;
}

/* A leaf with the members [first, first + count) of an array of hash and member each. */
static struct page *leaf_of(struct heap *heap, uint64_t (*members)[2], unsigned first, unsigned count)
{
    struct page *leaf = page_new(heap, PAGE_SET);
    for (unsigned i = first; i < first + count; i++) {
        char text[TEXT_MAX];
        element_scratch scratch;
        struct row row = {0};
        assert_int_equal(element_make(plain_text((uint32_t)members[i][1], text), scratch, &row.elements[0]),
                         ST_OK);
        assert_true(page_insert(heap, &leaf, leaf->count, &row));
    }
    return leaf;
}

/* A level that a snapshot has kept is taken off when a row is, whatever else stays as it is: the way began there (R5). The tree is made
 * of leaves with one row each, and two in the last one, which alone has another parent. */
static void test_no_way_stays_when_a_level_is_taken_off(void **state)
{
    enum { LEAVES = TREE_FANOUT_MAX + 1 };
    static uint64_t members[LEAVES + 1][2];
    struct heap *heap = heap_new();
    struct tree tree, cut, snapshot;
    struct tree_place place;
    char texts[2][TEXT_MAX];
    for (unsigned i = 0; i < LEAVES + 1; i++) {
        element_scratch scratch;
        struct element element;
        assert_int_equal(element_make(plain_text(3 * i + 2, texts[0]), scratch, &element), ST_OK);
        members[i][0] = element_hash(element, seed);
        members[i][1] = 3 * i + 2;
        element_unref(element);
    }
    qsort(members, LEAVES + 1, sizeof members[0], compare_hashes);
    tree_init_page(&tree, &set_tree, &seed, heap, leaf_of(heap, members, 0, 1));
    for (unsigned i = 1; i < LEAVES; i++) {
        tree_last_page(&tree, &place);
        tree_add_page(&tree, &place, leaf_of(heap, members, i, i + 1 == LEAVES ? 2 : 1),
                      (struct tree_order){members[i][0], 0});
    }
    tree_check(&tree);
    assert_int_equal(tree.depth, 2);
    tree_at(&tree, TREE_FANOUT_MAX - 1, &place);
    tree_cut_front(&tree, &place, &cut);
    release_all(&cut);
    tree_snapshot(&tree, &snapshot);
    tree_at(&tree, 0, &place);
    tree_remove_page(&tree, &place);
    release_all(&snapshot);
    tree_check(&tree);
    assert_true(tree.depth == 1 && tree_rows(&tree) == 2);
    struct slice stays = plain_text((uint32_t)members[LEAVES - 1][1], texts[0]);
    struct slice goes = plain_text((uint32_t)members[LEAVES][1], texts[1]);
    static struct members_fetch fetch;
    members_fetch_begin(&fetch);
    members_fetch_add(&fetch, &tree, stays, false);
    members_fetch_all(&fetch);
    struct members_seen seen = members_seen_of(&fetch, stays);
    assert_true(tree_descent_place(&tree, seen.descent, &place));
    assert_true(members_locate(&tree, goes, &place));
    tree_remove(&tree, &place, 1);
    assert_int_equal(tree.depth, 0);
    assert_false(tree_descent_place(&tree, seen.descent, &place));
    assert_true(members_locate_seen(&tree, stays, seen, &place));
    release_all(&tree);
    heap_free(heap);
}

/* Words of other memory are not taken for those that were asked for, nor are any once the next are begun. */
static void test_nothing_has_been_seen_of_other_words(void **state)
{
    struct fixture *fixture = set_up(&set_tree, plain_text);
    struct members_fetch fetch;
    char text[TEXT_MAX], other[TEXT_MAX];
    for (uint32_t member = 0; member < MEMBERS; member++)
        add(fixture, member);
    struct slice wanted = plain_text(2, text);
    members_fetch_begin(&fetch);
    members_fetch_add(&fetch, &fixture->tree, wanted, false);
    members_fetch_all(&fetch);
    assert_non_null(members_seen_of(&fetch, wanted).descent);
    assert_null(members_seen_of(&fetch, plain_text(2, other)).descent);
    assert_null(members_seen_of(&fetch, slice_make(text, wanted.size - 1)).descent);
    members_fetch_begin(&fetch);
    assert_null(members_seen_of(&fetch, wanted).descent);
    tear_down(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_seen_leads_where_a_search_does),
        cmocka_unit_test(test_a_way_stays_while_members_are_taken),
        cmocka_unit_test(test_no_way_stays_when_a_level_is_taken_off),
        cmocka_unit_test(test_nothing_has_been_seen_of_other_words),
        cmocka_unit_test(test_members_are_a_set),
        cmocka_unit_test(test_fields_are_a_set),
        cmocka_unit_test(test_members_of_one_hash_are_found),
        cmocka_unit_test(test_a_field_keeps_its_last_value),
        cmocka_unit_test(test_a_fetch_comes_to_the_row),
        cmocka_unit_test(test_long_rows_between_short_ones),
        cmocka_unit_test(test_fields_expire_at_their_times),
        cmocka_unit_test(test_a_walk_meets_what_stays),
        cmocka_unit_test(test_a_walk_meets_what_stays_among_equal_hashes),
        cmocka_unit_test(test_chosen_positions_are_different_and_in_order),
        cmocka_unit_test(test_each_choice_is_as_likely_as_any_other),
        cmocka_unit_test(test_a_choice_is_refused_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
