/* Proves that the check of debug builds passes what is sound, and ends the process for each kind of damage, in small
 * collections and in large ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/role.h"
#include "types/check.h"
#include "types/hash.h"
#include "types/list.h"
#include "types/zset.h"

#define SMALL 20
#define LARGE 3000

static const struct entry_options forever = {.expire_ms = ENTRY_NO_EXPIRE};

struct text {
    char bytes[32];
    element_scratch scratch;
};

/* Valid as long as `text`. */
static struct element element_of(unsigned number, struct text *text)
{
    struct element element;
    int size = snprintf(text->bytes, sizeof text->bytes, "element-%u", number);
    assert_int_equal(element_make(slice_make(text->bytes, (size_t)size), text->scratch, &element), ST_OK);
    return element;
}

static void add(struct collection_view *view, enum entry_type type, unsigned number)
{
    struct text text;
    struct element element = element_of(number, &text);
    struct tree_place place;
    struct row row = {.elements = {element}};
    uint64_t hash;
    switch (type) {
    case ENTRY_LIST: list_push(view->rows, false, element); break;
    case ENTRY_SET:
        members_find(view->rows, element, &place, &hash);
        members_add(view->rows, &place, hash, &row);
        break;
    case ENTRY_ZSET: zset_add(view, element, number); break;
    case ENTRY_HASH: hash_set(view->rows, 0, element, element, ENTRY_NO_EXPIRE); break;
    default: fail();
    }
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

static struct entry *make(struct keyspace *keyspace, enum entry_type type, unsigned count, bool timed)
{
    struct collection_view view;
    struct entry *entry;
    struct entry_options options = forever;
    collection_begin(&view, keyspace, type);
    for (unsigned i = 0; i < count; i++)
        add(&view, type, i);
    options.marks = type == ENTRY_SET ? ENTRY_MIXED : 0;
    if (timed) {
        add_times(view.rows);
        options.marks = ENTRY_TIMED_FIELDS;
    }
    assert_int_equal(collection_close(&view, NULL, SLICE("key"), type, &options, &entry),
                     COLLECTION_REPLACED);
    return entry;
}

static void check_all_parts(struct keyspace *keyspace, struct entry *entry)
{
    for (uint64_t sample = 0; sample < 2000; sample++)
        entry_check(keyspace, entry, sample);
}

static void check_whole(struct keyspace *keyspace, struct entry *entry)
{
    entry_check(keyspace, entry, CHECK_WHOLE);
}

/* Each does a damage to a collection that is sound. */
static void damage_tag(struct collection_view *view, struct entry *entry)
{
    struct tree_place place;
    tree_at(view->rows, 7, &place);
    page_tags(place.page)[place.row] ^= 1;
}

static void damage_count(struct collection_view *view, struct entry *entry)
{
    view->rows->root.rows++;
}

static void damage_bytes(struct collection_view *view, struct entry *entry)
{
    struct tree_place place;
    tree_at(view->rows, 7, &place);
    unsigned index = place.row * page_shape(place.page)->elements;
    if (place.page->narrow)
        page_ends(place.page)[index] = 0; /* before it begins */
    else
        page_wide_ends(place.page)[index] |= 7u << PAGE_END_BITS;
}

static void damage_column(struct collection_view *view, struct entry *entry)
{
    struct tree_place place;
    tree_at(view->rows, 7, &place);
    place.page->begin = 0;
}

static void damage_separator(struct collection_view *view, struct entry *entry)
{
    view->rows->root.node->children[1].separator.major = UINT64_MAX;
}

/* Without the tree's knowledge. */
static void set_score(const struct tree *tree, const struct tree_place *place, double score)
{
    struct page *page = place->page;
    assert_true(page_set_number(tree->heap, &page, place->row, zset_bits(score)));
    assert_ptr_equal(page, place->page);
}

static void damage_score(struct collection_view *view, struct entry *entry)
{
    struct tree_place place;
    tree_at(view->rows, 7, &place);
    set_score(view->rows, &place, 9);
}

static void damage_index(struct collection_view *view, struct entry *entry)
{
    struct tree_place place;
    tree_at(view->index, tree_rows(view->index) / 2, &place);
    tree_remove(view->index, &place, 1);
}

static void damage_indexed_score(struct collection_view *view, struct entry *entry)
{
    struct tree_place place;
    assert_true(members_locate(view->index, SLICE("element-7"), &place));
    set_score(view->index, &place, 9);
}

static void damage_double(struct collection_view *view, struct entry *entry)
{
    struct tree_place place;
    struct text seven, eight;
    uint64_t hash;
    struct row row = {.elements = {element_of(7, &seven), element_of(8, &eight)}};
    assert_true(members_find(view->rows, row.elements[0], &place, &hash));
    members_add(view->rows, &place, hash, &row);
    if (entry_encoding(entry) == ENTRY_PAGE)
        *entry_word(entry) = (int64_t)(uintptr_t)view->rows->root.page;
}

static void damage_due(struct collection_view *view, struct entry *entry)
{
    struct tree_place place;
    tree_at(view->rows, 7, &place);
    tree_set_number(view->rows, &place, 5);
}

static void damage_marks(struct collection_view *view, struct entry *entry)
{
    entry->flags ^= entry_type(entry) == ENTRY_SET ? ENTRY_MIXED : ENTRY_TIMED_FIELDS;
}

static void damage_word(struct collection_view *view, struct entry *entry)
{
    *entry_word(entry) = 0;
}

struct damage {
    const char *what;
    void (*inflict)(struct collection_view *view, struct entry *entry);
    enum entry_type type;
    unsigned rows;
    bool timed;
};

static const struct damage damages[] = {
    {"rows are counted wrong", damage_count, ENTRY_LIST, LARGE, false},
    {"an element ends before it begins", damage_bytes, ENTRY_LIST, SMALL, false},
    {"an element's kind is none", damage_bytes, ENTRY_LIST, LARGE, false},
    {"bytes begin in the header", damage_column, ENTRY_LIST, SMALL, false},
    {"a list without rows", damage_word, ENTRY_LIST, SMALL, false},
    {"a tag is not its member's", damage_tag, ENTRY_SET, SMALL, false},
    {"a tag is not its member's", damage_tag, ENTRY_SET, LARGE, false},
    {"a separator is too high", damage_separator, ENTRY_SET, LARGE, false},
    {"a member is there twice", damage_double, ENTRY_SET, SMALL, false},
    {"texts in a set of integers", damage_marks, ENTRY_SET, SMALL, false},
    {"rows are out of order", damage_score, ENTRY_ZSET, SMALL, false},
    {"rows are out of order", damage_score, ENTRY_ZSET, LARGE, false},
    {"a member is not in the index", damage_index, ENTRY_ZSET, LARGE, false},
    {"the index has another score", damage_indexed_score, ENTRY_ZSET, LARGE, false},
    {"a separator is too high", damage_separator, ENTRY_ZSET, LARGE, false},
    {"a field is there twice", damage_double, ENTRY_HASH, SMALL, false},
    {"a field is there twice", damage_double, ENTRY_HASH, LARGE, false},
    {"times without a mark", damage_marks, ENTRY_HASH, SMALL, true},
    {"a field is due before its hash", damage_due, ENTRY_HASH, LARGE, true},
};

/* In a child: it ends by SIGABRT when the damage is found, with status 0 when not. */
static int run_damaged(const struct damage *damage, void (*look)(struct keyspace *, struct entry *))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(2);
        struct keyspace *keyspace = keyspace_new(1, 3, 1000, NULL);
        struct entry *entry = make(keyspace, damage->type, damage->rows, damage->timed);
        struct collection_view view;
        collection_open(&view, keyspace, entry);
        damage->inflict(&view, entry);
        look(keyspace, entry);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_each_damage_is_found(void **state)
{
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        if (run_damaged(&damages[i], check_all_parts) != SIGABRT)
            fail_msg("not found in %u rows: %s", damages[i].rows, damages[i].what);
        if (run_damaged(&damages[i], check_whole) != SIGABRT)
            fail_msg("not found as a whole in %u rows: %s", damages[i].rows, damages[i].what);
    }
}

static void test_what_is_sound_passes(void **state)
{
    static const enum entry_type types[] = {ENTRY_LIST, ENTRY_SET, ENTRY_ZSET, ENTRY_HASH};
    struct keyspace *keyspace = keyspace_new(1, 3, 1000, NULL);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        for (unsigned size = SMALL; size <= LARGE; size += LARGE - SMALL) {
            for (unsigned timed = 0; timed <= (types[i] == ENTRY_HASH); timed++) {
                struct entry *entry = make(keyspace, types[i], size, timed);
                check_all_parts(keyspace, entry);
                check_whole(keyspace, entry);
                entry_free(keyspace->heap, entry);
            }
        }
    }
    static const char *const texts[] = {"", "17", "text"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct entry *entry =
            entry_new_string(keyspace->heap, SLICE("key"), slice_make(texts[i], strlen(texts[i])), &forever);
        entry_check(keyspace, entry, 0);
        entry_free(keyspace->heap, entry);
    }
    keyspace_free(keyspace);
}

int main(void)
{
    role_set(ROLE_EXECUTOR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_sound_passes),
        cmocka_unit_test(test_each_damage_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
