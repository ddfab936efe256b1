/* Hashes. Entry: hash_find, hash_set, hash_expire, hash_marks. Threads: executor only. */
#include "types/hash.h"

#include "base/bug.h"

/* hash_expire_some: what a step may do, and what it takes to look through a leaf and to take a field out. */
#define SWEEP_WORK         2048
#define SWEEP_WORK_LEAF    4
#define SWEEP_WORK_REMOVAL 4

static bool locate_seen(const struct tree *rows, int64_t now_ms, struct slice field, struct members_seen seen,
                        struct tree_place *ret_place)
{
    return members_locate_seen(rows, field, seen, ret_place) &&
           likely(!hash_row_is_over(ret_place->page, ret_place->row, now_ms));
}

bool hash_locate(const struct tree *rows, int64_t now_ms, struct slice field, struct tree_place *ret_place)
{
    return locate_seen(rows, now_ms, field, MEMBERS_NOT_SEEN, ret_place);
}

bool hash_find_seen(const struct tree *rows, int64_t now_ms, struct slice field, struct members_seen seen,
                    struct element *ret_value)
{
    struct tree_place place;
    if (!locate_seen(rows, now_ms, field, seen, &place))
        return false;
    *ret_value = page_element(place.page, place.row, 1);
    return true;
}

bool hash_find(const struct tree *rows, int64_t now_ms, struct slice field, struct element *ret_value)
{
    return hash_find_seen(rows, now_ms, field, MEMBERS_NOT_SEEN, ret_value);
}

bool hash_set(struct tree *rows, int64_t now_ms, struct element field, struct element value,
              int64_t expire_ms)
{
    return hash_set_seen(rows, now_ms, field, MEMBERS_NOT_SEEN, value, expire_ms);
}

bool hash_set_seen(struct tree *rows, int64_t now_ms, struct element field, struct members_seen seen,
                   struct element value, int64_t expire_ms)
{
    struct tree_place place;
    uint64_t hash;
    bool found = members_find_seen(rows, field, seen, &place, &hash);
    DEBUG_ASSERT(hash_has_times(rows) || expire_ms == ENTRY_NO_EXPIRE || expire_ms == HASH_KEEP_TIME);
    bool is_over = found && hash_row_is_over(place.page, place.row, now_ms);
    if (expire_ms == HASH_KEEP_TIME && (!found || is_over))
        expire_ms = ENTRY_NO_EXPIRE;
    if (found) {
        element_unref(field);
        if (hash_has_times(rows) && expire_ms != HASH_KEEP_TIME) {
            tree_set_number(rows, &place, (uint64_t)expire_ms);
        }
        tree_replace(rows, &place, 1, value);
        return is_over;
    }
    struct row row = {.number = (uint64_t)expire_ms, .elements = {field, value}};
    members_add(rows, &place, hash, &row);
    return true;
}

bool hash_remove(struct tree *rows, int64_t now_ms, struct slice field, struct members_seen seen)
{
    struct tree_place place;
    if (!locate_seen(rows, now_ms, field, seen, &place))
        return false;
    tree_remove(rows, &place, 1);
    return true;
}

/* ---- Times to live ---------------------------------------------------------------------------------------- */

int64_t hash_time(const struct tree *rows, const struct tree_place *place)
{
    return hash_has_times(rows) ? (int64_t)page_number(place->page, place->row) : ENTRY_NO_EXPIRE;
}

void hash_begin_timed(const struct tree *rows, struct tree *ret_timed)
{
    tree_init(ret_timed, &timed_hash_tree, rows->context, rows->heap);
}

void hash_add_timed(struct tree *timed, const struct page *page)
{
    for (unsigned row = 0; row < page->count; row++) {
        struct element field = page_element(page, row, 0), value = page_element(page, row, 1);
        element_ref(field);
        element_ref(value);
        hash_set(timed, INT64_MIN, field, value, ENTRY_NO_EXPIRE);
    }
}

void hash_add_live(struct tree *timed, const struct page *page, int64_t now_ms)
{
    for (unsigned row = 0; row < page->count; row++) {
        struct element field = page_element(page, row, 0), value = page_element(page, row, 1);
        if (hash_row_is_over(page, row, now_ms))
            continue;
        element_ref(field);
        element_ref(value);
        hash_set(timed, now_ms, field, value, (int64_t)page_number(page, row));
    }
}

int64_t hash_due_ms(const struct tree *rows)
{
    int64_t due_ms = ENTRY_NO_EXPIRE;
    struct tree_place place;
    tree_at(rows, 0, &place);
    do {
        int64_t page_ms = page_due_ms(place.page);
        if (page_ms < due_ms)
            due_ms = page_ms;
    } while (tree_next_page(rows, &place));
    return due_ms;
}

void hash_note_due(struct entry *entry, int64_t due_ms)
{
    if (entry_encoding(entry) != ENTRY_TREE)
        return;
    struct collection *collection = entry_collection(entry);
    if (due_ms < collection->due_ms)
        collection->due_ms = due_ms;
    if (due_ms < collection->sweep_due_ms)
        collection->sweep_due_ms = due_ms;
}

/* The first row of the page whose time is not after `now_ms`; count when there is none. */
static unsigned first_expired(const struct page *page, int64_t now_ms)
{
    unsigned row = 0;
    while (row < page->count && (int64_t)page_number(page, row) > now_ms)
        row++;
    return row;
}

static void remove_expired(struct tree *rows, struct tree_place *place, struct hash_listener listener)
{
    if (listener.gone != NULL)
        listener.gone(listener.context, page_element(place->page, place->row, 0));
    tree_remove(rows, place, 1);
}

uint64_t hash_expire(struct tree *rows, int64_t now_ms, struct hash_listener listener, int64_t *ret_due_ms)
{
    uint64_t expired = 0;
    struct tree_place place;
    *ret_due_ms = ENTRY_NO_EXPIRE;
    tree_at(rows, 0, &place);
    for (;;) {
        place.row = first_expired(place.page, now_ms);
        if (place.row == place.page->count) {
            int64_t page_ms = page_due_ms(place.page);
            if (page_ms < *ret_due_ms)
                *ret_due_ms = page_ms;
            if (!tree_next_page(rows, &place))
                break;
            continue;
        }
        /* The rows before this one stay, so its position is where to go on; leaves may have been joined. */
        uint64_t position = tree_position(rows, &place), left = tree_rows(rows) - 1;
        remove_expired(rows, &place, listener);
        expired++;
        if (left == 0)
            break;
        tree_at(rows, position < left ? position : left - 1, &place);
    }
    return expired;
}

uint64_t hash_expire_some(struct collection *collection, int64_t now_ms, struct hash_listener listener)
{
    struct tree *rows = &collection->rows;
    uint64_t expired = 0;
    for (unsigned work = 0; work < SWEEP_WORK;) {
        struct tree_probe probe = {.order = {collection->sweep_hash, 0}};
        struct tree_place place;
        tree_seek(rows, &probe, &place);
        place.row = first_expired(place.page, now_ms);
        if (place.row < place.page->count) {
            remove_expired(rows, &place, listener);
            expired++;
            work += SWEEP_WORK_REMOVAL;
            if (tree_rows(rows) == 0)
                break;
            continue;
        }
        int64_t page_ms = page_due_ms(place.page);
        if (page_ms < collection->sweep_due_ms)
            collection->sweep_due_ms = page_ms;
        work += SWEEP_WORK_LEAF;
        if (tree_next_page(rows, &place)) {
            collection->sweep_hash = place.separator.major;
            continue;
        }
        collection->due_ms = collection->sweep_due_ms;
        collection->sweep_hash = 0;
        collection->sweep_due_ms = ENTRY_NO_EXPIRE;
        break;
    }
    return expired;
}

/* ---- Encodings --------------------------------------------------------------------------------------------- */

uint8_t hash_marks(const struct tree *rows, uint8_t before, size_t longest, const struct hash_limits *limits)
{
    if (longest > limits->listpack_value || tree_rows(rows) > limits->listpack_entries)
        return before | ENTRY_GROWN;
    return before;
}
