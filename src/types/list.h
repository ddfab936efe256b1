/* Lists: elements by position.
 *
 * Principal entry points: list_push, list_cut, list_search_next.
 * Knows trees and elements, nothing of clients, commands and replies.
 * Threads: executor only; reading a snapshot, any. */
#ifndef SKUA_TYPES_LIST_H
#define SKUA_TYPES_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "ds/tree.h"

extern const struct tree_type list_tree;

/* Puts an element, whose blob is taken over, at the head or the tail. */
void list_push(struct tree *rows, bool at_head, struct element element);

/* The same, where nothing but what lies at that end changes, which has room: of a list, and of the page of a small one. False: it is not
 * that easy, and nothing has changed. */
bool list_push_in_place(struct tree *rows, bool at_head, struct element element);
bool list_push_in_page(struct page *page, bool at_head, struct element element);

/* The element at the head or the tail of a list that is not empty; valid until the list changes. */
struct element list_end(const struct tree *rows, bool at_head);

/* Takes that one out. */
void list_drop_end(struct tree *rows, bool at_head);

/* Takes it out of the page of a small list, where nothing moves: *ret_element is valid until the page changes again. False: it is not
 * that easy, and nothing has changed. */
bool list_drop_in_page(struct page *page, bool at_head, struct element *ret_element);

/* Takes `count` elements from position `first` on out; all of them must be there. */
void list_cut(struct tree *rows, uint64_t first, uint64_t count);

#define LIST_SEARCH_STEP 64 /* elements that one step of a search looks at */

/* A walk over the elements that are equal to one, in either direction. */
struct list_search {
    const struct tree *rows;
    struct element wanted;
    struct tree_place place;
    uint64_t position; /* of the place */
    uint64_t left;     /* elements that may still be looked at */
    bool backwards;
};

/* Begins at position `from`, which need not exist, and looks at no more than `compare_max` elements. The list must not
 * change meanwhile. */
void list_search_begin(struct list_search *search, const struct tree *rows, struct element wanted,
                       uint64_t from, bool backwards, uint64_t compare_max);
enum list_found {
    LIST_FOUND, /* at *ret_position */
    LIST_MORE,  /* not among those that were looked at; there are others */
    LIST_NONE,  /* there is none */
};

/* Looks for the next match among the next LIST_SEARCH_STEP elements. */
enum list_found list_search_next(struct list_search *search, uint64_t *ret_position);

/* What a listpack takes beside its elements, and how many bytes more than here one of these at most: five for an integer of ten. */
#define LIST_COMPACT_FRAME    7
#define LIST_COMPACT_MORE_MAX 5

/* The bytes that list-max-listpack-size -1 to -5 stands for, 4 KB to 64 KB, or half of them. */
ALWAYS_INLINE size_t list_bytes_max(int64_t limit, bool half)
{
    return (size_t)2048 << (limit < -5 ? 5 : -limit) >> half;
}

/* Whether so many elements are surely past such a limit: none takes less than two bytes. */
ALWAYS_INLINE bool list_rows_are_many(uint64_t rows, int64_t limit, bool half)
{
    return rows > list_bytes_max(limit, half) / 2;
}

/* Whether the list that is this page surely is within such a limit, and with one element more in the same block, too. */
ALWAYS_INLINE bool list_page_is_compact(const struct page *page, int64_t limit, bool half)
{
    size_t text_max = page->size - sizeof *page, count_max = page->count + 1u;
    size_t most = LIST_COMPACT_FRAME + text_max + LIST_COMPACT_MORE_MAX * count_max;
    return !page->has_blobs && most <= list_bytes_max(limit, half);
}

/* Whether Redis would keep the list as one listpack under list-max-listpack-size `limit`: a number of elements, or from
 * -1 to -5 a number of bytes from 4 KB to 64 KB. `half`: under half of it. Looks at no more than it takes to know. */
bool list_is_compact_slow(const struct tree *rows, int64_t limit, bool half);
ALWAYS_INLINE bool list_is_compact(const struct tree *rows, int64_t limit, bool half)
{
    if (limit < 0 && list_rows_are_many(tree_rows(rows), limit, half))
        return false;
    if (limit < 0 && rows->depth == 0 && list_page_is_compact(rows->root.page, limit, half))
        return true;
    return list_is_compact_slow(rows, limit, half);
}

#endif
