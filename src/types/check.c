/* Whether an entry is what its type says. Entry: entry_check. Threads: executor only. */
#include "types/check.h"

#include "base/bug.h"
#include "types/hash.h"
#include "types/members.h"
#include "types/stream.h"
#include "types/zset.h"

#define CHECK_ALL_ROWS    128 /* a collection of at most so many rows is checked completely */
#define CHECK_LONG_STREAM 256 /* a longer stream once in so many samples */
#define CHECK_SOME_ROWS   16  /* in a larger one, so many from some row on */

/* Which rows are checked beyond what the trees know of them: all, or some somewhere. */
struct rows_checked {
    bool all;
    uint64_t first, count;
};

static struct rows_checked choose_rows(const struct tree *rows, uint64_t sample)
{
    uint64_t size = tree_rows(rows);
    if (size <= CHECK_ALL_ROWS || sample == CHECK_WHOLE)
        return (struct rows_checked){.all = true, .first = 0, .count = size};
    /* Multiplied, numbers in sequence are far apart. Both ends are where lists change: they are chosen often. */
    uint64_t first = sample * UINT64_C(0x9e3779b97f4a7c15) % size;
    if (sample % 4 == 0)
        first = 0;
    if (sample % 4 == 1 || first + CHECK_SOME_ROWS > size)
        first = size - CHECK_SOME_ROWS;
    return (struct rows_checked){.first = first, .count = CHECK_SOME_ROWS};
}

static void check_tree(const struct tree *tree, struct rows_checked checked)
{
    if (checked.all)
        tree_check(tree);
    else
        tree_check_at(tree, checked.first);
}

/* ---- Types ------------------------------------------------------------------------------------------------- */

static void check_zset(const struct collection_view *zset, struct rows_checked checked)
{
    if (checked.all) {
        zset_check(zset);
        return;
    }
    ASSERT(zset->index != NULL || zset->rows->depth == 0);
    check_tree(zset->rows, checked);
    zset_check_rows(zset, checked.first, checked.count);
    if (zset->index == NULL)
        return;
    ASSERT(tree_rows(zset->index) == tree_rows(zset->rows));
    check_tree(zset->index, checked);
    members_check(zset->index, checked.first, checked.count);
}

/* A set that is an intset has only integers. */
static void check_set(const struct tree *rows, const struct entry *entry, struct rows_checked checked)
{
    struct tree_place place;
    check_tree(rows, checked);
    members_check(rows, checked.first, checked.count);
    if (entry->flags & (ENTRY_MIXED | ENTRY_GROWN))
        return;
    tree_at(rows, checked.first, &place);
    for (; place.row < place.page->count; place.row++)
        ASSERT(page_element(place.page, place.row, 0).kind == ELEMENT_INT);
}

/* E4 and E5. */
static void check_hash(const struct tree *rows, const struct entry *entry, struct rows_checked checked)
{
    struct tree_place place;
    check_tree(rows, checked);
    members_check(rows, checked.first, checked.count);
    ASSERT(hash_has_times(rows) == !!(entry->flags & ENTRY_TIMED_FIELDS));
    if (!hash_has_times(rows))
        return;
    tree_at(rows, checked.first, &place);
    ASSERT(entry_fields_due_ms(entry) <= page_due_ms(place.page));
}

static void check_string(const struct entry *entry)
{
    enum entry_encoding encoding = entry_encoding(entry);
    ASSERT(encoding == ENTRY_INT || encoding == ENTRY_INLINE || encoding == ENTRY_LARGE);
    if (encoding == ENTRY_INLINE)
        ASSERT(entry->inline_size <= ENTRY_INLINE_MAX);
    if (encoding == ENTRY_LARGE)
        ASSERT(entry_large(entry)->refs > 0 && entry_large(entry)->size <= entry_large(entry)->capacity);
}

static void check_stream(const struct entry *entry, uint64_t sample)
{
    ASSERT(entry_encoding(entry) == ENTRY_OBJECT && entry_object(entry)->refs > 0);
    /* A stream is checked as a whole or not at all. */
    bool is_short = stream_length(stream_of(entry)) <= CHECK_ALL_ROWS;
    if (is_short || sample == CHECK_WHOLE || sample % CHECK_LONG_STREAM == 0)
        entry_object(entry)->type->check(entry_object(entry));
}

static void check_collection(struct keyspace *keyspace, struct entry *entry, uint64_t sample)
{
    struct collection_view view;
    ASSERT(entry_encoding(entry) == ENTRY_TREE || entry_encoding(entry) == ENTRY_PAGE);
    ASSERT(entry_address(entry) != 0);
    collection_open(&view, keyspace, entry);
    ASSERT(tree_rows(view.rows) > 0 && view.rows->heap == keyspace->heap);
    struct rows_checked checked = choose_rows(view.rows, sample);
    switch (entry_type(entry)) {
    case ENTRY_STRING: /* not collections */
    case ENTRY_STREAM: break;
    case ENTRY_LIST: check_tree(view.rows, checked); break;
    case ENTRY_SET: check_set(view.rows, entry, checked); break;
    case ENTRY_ZSET: check_zset(&view, checked); break;
    case ENTRY_HASH: check_hash(view.rows, entry, checked); break;
    }
}

/* ---- Entries ----------------------------------------------------------------------------------------------- */

void entry_check(struct keyspace *keyspace, struct entry *entry, uint64_t sample)
{
    if (entry_block_size(entry) <= HEAP_BLOCK_MAX)
        ASSERT(heap_first(entry) == keyspace->heap);
    ASSERT(entry->inline_size == 0 || entry_encoding(entry) == ENTRY_INLINE);
    ASSERT(entry_key_size(entry) <= ENTRY_KEY_SIZE_MAX);
    switch (entry_type(entry)) {
    case ENTRY_STRING: check_string(entry); break;
    case ENTRY_STREAM: check_stream(entry, sample); break;
    default: check_collection(keyspace, entry, sample);
    }
}
