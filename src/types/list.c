/* Lists. Entry: list_push, list_cut, list_search_next. Threads: see list.h. */
#include "types/list.h"

#include "ds/tree_ends.h"

const struct tree_type list_tree = {.layout = PAGE_LIST};

/* ---- Changing ---------------------------------------------------------------------------------------------- */

void list_push(struct tree *rows, bool at_head, struct element element)
{
    tree_push(rows, at_head, element);
}

bool list_push_in_place(struct tree *rows, bool at_head, struct element element)
{
    return tree_push_in_place(rows, at_head, element);
}

bool list_push_in_page(struct page *page, bool at_head, struct element element)
{
    if (unlikely(page_is_shared(page)))
        return false;
    return at_head ? page_prepend(page, element) : page_append(page, element);
}

struct element list_end(const struct tree *rows, bool at_head)
{
    const struct page *page = tree_end_page(rows, at_head);
    return page_element(page, at_head ? 0 : page->count - 1u, 0);
}

bool list_drop_in_page(struct page *page, bool at_head, struct element *ret_element)
{
    if (unlikely(page_is_shared(page)))
        return false;
    *ret_element = page_element(page, at_head ? 0 : page->count - 1u, 0);
    return page_drop_end(page, at_head);
}

void list_drop_end(struct tree *rows, bool at_head)
{
    tree_pop(rows, at_head);
}

void list_cut(struct tree *rows, uint64_t first, uint64_t count)
{
    while (count > 0) {
        struct tree_place place;
        tree_at(rows, first, &place);
        uint64_t here = place.page->count - place.row;
        if (here > count)
            here = count;
        tree_remove(rows, &place, (unsigned)here);
        count -= here;
    }
}

/* ---- Searching --------------------------------------------------------------------------------------------- */

void list_search_begin(struct list_search *search, const struct tree *rows, struct element wanted,
                       uint64_t from, bool backwards, uint64_t compare_max)
{
    uint64_t size = tree_rows(rows);
    *search = (struct list_search){.rows = rows, .wanted = wanted, .position = from, .backwards = backwards};
    search->left = from >= size ? 0 : backwards ? from + 1 : size - from;
    if (search->left > compare_max)
        search->left = compare_max;
    if (search->left > 0)
        tree_at(rows, from, &search->place);
}

enum list_found list_search_next(struct list_search *search, uint64_t *ret_position)
{
    struct tree_place *place = &search->place;
    for (unsigned step = 0; search->left > 0; step++) {
        if (step == LIST_SEARCH_STEP)
            return LIST_MORE;
        bool found = element_equal(page_element(place->page, place->row, 0), search->wanted);
        if (found)
            *ret_position = search->position;
        search->left--;
        if (search->backwards) {
            search->position--;
            if (place->row > 0)
                place->row--;
            else
                tree_previous_page(search->rows, place);
        } else {
            search->position++;
            if (++place->row == place->page->count)
                tree_next_page(search->rows, place);
        }
        if (found)
            return LIST_FOUND;
    }
    return LIST_NONE;
}

/* ---- Encodings --------------------------------------------------------------------------------------------- */

/* What an element would take in a listpack. */
static size_t listpack_size(struct element element)
{
    size_t size;
    if (element.kind == ELEMENT_INT) {
        int64_t value = element_int(element);
        if (value >= 0 && value <= 127)
            size = 1;
        else if (value >= -4096 && value <= 4095)
            size = 2;
        else if (element.size <= 2)
            size = 3;
        else
            size = element.size <= 3 ? 4 : element.size == 4 ? 5 : 9;
    } else {
        element_scratch scratch;
        size_t length = element_text(element, scratch).size;
        size = length + (length < 64 ? 1 : length < 4096 ? 2 : 5);
    }
    /* Behind each entry stands its size, in groups of seven bits. */
    size_t back = 1;
    for (size_t rest = size >> 7; rest > 0; rest >>= 7)
        back++;
    return size + back;
}

/* An element takes one to five bytes more in a listpack than in a page, so that most lists need not be read. Blobs are only
 * told of. */
static void listpack_bounds(const struct tree *rows, size_t bytes_max, size_t *ret_least, size_t *ret_most)
{
    size_t least = LIST_COMPACT_FRAME, most = LIST_COMPACT_FRAME;
    bool has_blobs = false;
    struct tree_place place;
    tree_at(rows, 0, &place);
    do {
        least += page_text_size(place.page) + place.page->count;
        most += page_text_size(place.page) + LIST_COMPACT_MORE_MAX * place.page->count;
        has_blobs |= place.page->has_blobs;
    } while (least <= bytes_max && tree_next_page(rows, &place));
    *ret_least = least;
    *ret_most = has_blobs ? SIZE_MAX : most;
}

bool list_is_compact_slow(const struct tree *rows, int64_t limit, bool half)
{
    if (limit >= 0)
        return tree_rows(rows) <= (uint64_t)limit >> half;
    size_t bytes_max = list_bytes_max(limit, half), bytes = LIST_COMPACT_FRAME;
    size_t least, most;
    listpack_bounds(rows, bytes_max, &least, &most);
    if (least > bytes_max || most <= bytes_max)
        return most <= bytes_max;
    struct tree_place place;
    tree_at(rows, 0, &place);
    do {
        for (unsigned row = 0; row < place.page->count && bytes <= bytes_max; row++)
            bytes += listpack_size(page_element(place.page, row, 0));
    } while (bytes <= bytes_max && tree_next_page(rows, &place));
    return bytes <= bytes_max;
}
