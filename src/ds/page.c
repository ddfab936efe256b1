/* Pages of rows. Entry: page_insert, page_remove, page_replace. Threads and invariants: see page.h. */
#include "base/copy.h"
#include "ds/log.h"
#include "ds/page_internal.h"

#define PAGE_SHRINK_MIN 128 /* blocks up to this size are not made smaller */

/* ---- Measuring --------------------------------------------------------------------------------------------- */

size_t page_text_size(const struct page *page)
{
    return row_start(page, page->count) - page->begin;
}

size_t page_used(const struct page *page)
{
    if (page->layout == PAGE_LOG)
        return log_used(page);
    return used_before(page, page->count);
}

void page_row_sizes(const struct page *page, uint16_t *sizes)
{
    unsigned columns = row_size(page), start = page->begin;
    if (page->even) {
        uint16_t size = (uint16_t)(columns + page_stride(page));
        for (unsigned row = 0; row < page->count; row++)
            sizes[row] = size;
        return;
    }
    for (unsigned row = 0; row < page->count; row++) {
        unsigned end = row_start(page, row + 1);
        sizes[row] = (uint16_t)(columns + end - start);
        start = end;
    }
}

size_t page_memory(const struct page *page)
{
    if (page->layout == PAGE_LOG)
        return log_memory(page);
    size_t bytes = page->size;
    if (page->has_blobs)
        for (unsigned row = 0; row < page->count; row++)
            for (unsigned which = 0; which < elements_of(page); which++)
                bytes += element_memory(page_element(page, row, which));
    return bytes;
}

/* ---- Rows -------------------------------------------------------------------------------------------------- */

/* Moves `rows` rows of each column from row `from` to row `to`. */
static void move_columns(struct page *page, unsigned to, unsigned from, unsigned rows)
{
    unsigned elements = elements_of(page), width = page->form & NUMBER_WIDTH_MASK;
    unsigned end_size = elements * (page->narrow ? 1u : 2u);
    if (rows == 0)
        return;
    if (!page->even)
        memmove(page_ends(page) + to * end_size, page_ends(page) + from * end_size, rows * end_size);
    if (width > 0) {
        char *numbers = page_numbers(page) + page->first * width;
        memmove(numbers + to * width, numbers + from * width, rows * width);
    }
    if (page->tagged)
        memmove(page_tags(page) + page->first + to, page_tags(page) + page->first + from, rows);
    if (page->narrow)
        page_move_bits(page_kinds(page), (page->first + to) * elements, (page->first + from) * elements,
                       rows * elements);
}

/* Opens a slot before row `at` in each column, with `size` bytes for its elements. The page has the room. */
static void open_row(struct page *page, unsigned at, unsigned size)
{
    unsigned elements = elements_of(page), behind = page->count - at;
    unsigned start = row_start(page, at), end = row_start(page, page->count);
    move_columns(page, at + 1, at, behind);
    shift_ends(page, (at + 1) * elements, (page->count + 1u) * elements, (int)size);
    memmove((char *)page + start + size, (char *)page + start, end - start);
    page->count++;
}

/* Fills the slot of row `at`, whose bytes begin at `start`. `number` is what encode_number gave. */
static void set_row(struct page *page, unsigned at, unsigned start, const struct row *row, uint64_t number)
{
    unsigned elements = elements_of(page);
    if (page->form != 0)
        number_write(page->form, page_numbers(page), page->first + at, number);
    if (page->tagged)
        page_tags(page)[page->first + at] = element_tag(row->elements[0]);
    if (page->even) {
        for (unsigned which = 0; which < elements; which++) {
            memcpy((char *)page + start, row->elements[which].data, row->elements[which].size);
            start += row->elements[which].size;
        }
        return;
    }
    if (page->narrow) {
        uint8_t *ends = (uint8_t *)page_ends(page) + at * elements, *kinds = page_kinds(page);
        unsigned slot = (page->first + at) * elements;
        for (unsigned which = 0; which < elements; which++, slot++) {
            const struct element *element = &row->elements[which];
            memcpy((char *)page + start, element->data, element->size);
            start += element->size;
            ends[which] = (uint8_t)((int)start - page_origin(page));
            kinds[slot / 8] = (uint8_t)((kinds[slot / 8] & ~(1u << slot % 8)) |
                                        (unsigned)(element->kind == ELEMENT_INT) << slot % 8);
        }
        return;
    }
    uint16_t *ends = page_wide_ends(page) + at * elements;
    for (unsigned which = 0; which < elements; which++) {
        const struct element *element = &row->elements[which];
        memcpy((char *)page + start, element->data, element->size);
        start += element->size;
        ends[which] = (uint16_t)(start | (unsigned)element->kind << PAGE_END_BITS);
        page->has_blobs |= element->kind == ELEMENT_BLOB;
    }
}

/* Moves a page that has no room for a row to a block that has. */
NO_INLINE static bool rebuild_for_row(struct heap *heap, struct page **page, const struct row *row,
                                      unsigned bytes, bool at_front)
{
    struct growth growth = {
        .rows = 1, .bytes = bytes, .at_front = at_front, .row = row, .number = &row->number};
    uint64_t stored;
    if (encode_number(*page, row->number, &stored) && !(*page)->roomy)
        growth.number = NULL;
    for (unsigned which = 0; which < elements_of(*page); which++)
        growth.blob |= row->elements[which].kind == ELEMENT_BLOB;
    return page_rebuild(heap, page, &growth);
}

/* Whether the rows of an even page are as this one. */
ALWAYS_INLINE bool is_as_even(const struct page *page, const struct row *row)
{
    for (unsigned which = 0; which < elements_of(page); which++)
        if (page_sizes(page)[which] != size_and_kind(row->elements[which]))
            return false;
    return true;
}

/* Whether the row can be put into the page as its columns are. */
ALWAYS_INLINE bool columns_take(const struct page *page, const struct row *row, uint64_t *ret_stored)
{
    if (!encode_number(page, row->number, ret_stored))
        return false;
    if (page->even)
        return is_as_even(page, row);
    for (unsigned which = 0; page->narrow && which < elements_of(page); which++)
        if (row->elements[which].kind == ELEMENT_BLOB)
            return false;
    return true;
}

/* Puts the row behind the last one, where nothing but the row has to be written. False: it is not that easy. */
ALWAYS_INLINE bool append_row(struct page *page, const struct row *row)
{
    unsigned elements = elements_of(page), at = page->count, slot = page->first + at;
    uint64_t number;
    if (slot >= page->capacity || page->narrow || !encode_number(page, row->number, &number))
        return false;
    unsigned first = row->elements[0].size, second = elements > 1 ? row->elements[1].size : 0;
    if (page->even && !is_as_even(page, row))
        return false;
    unsigned start = row_start(page, at), end = start + first + second;
    if (end > page->size)
        return false;
    /* All of the header is read before anything is written: for what the compiler knows, that may be the header. */
    bool even = page->even, has_blob = row->elements[0].kind == ELEMENT_BLOB;
    uint16_t *ends = page_wide_ends(page) + at * elements;
    if (page->tagged)
        page_tags(page)[slot] = element_tag(row->elements[0]);
    if (page->form != 0)
        number_write(page->form, page_numbers(page), slot, number);
    if (elements > 1)
        has_blob |= row->elements[1].kind == ELEMENT_BLOB;
    page->has_blobs |= has_blob;
    page->count = (uint16_t)(at + 1);
    if (!even) {
        ends[0] = (uint16_t)((start + first) | (unsigned)row->elements[0].kind << PAGE_END_BITS);
        if (elements > 1)
            ends[1] = (uint16_t)(end | (unsigned)row->elements[1].kind << PAGE_END_BITS);
    }
    copy_short((char *)page + start, row->elements[0].data, first);
    if (elements > 1)
        copy_short((char *)page + start + first, row->elements[1].data, second);
    return true;
}

/* The ends of a list's page that is wide, from the first slot on; of an even one, its rows' size. Lists have no numbers, and so no
 * base before them. */
ALWAYS_INLINE uint16_t *list_wide_slots(const struct page *page)
{
    return (uint16_t *)(page + 1);
}

/* The bytes of a wide or an even page of a list get an element, and slot `slot` where it ends. */
ALWAYS_INLINE void list_write(struct page *page, unsigned slot, unsigned start, struct element element)
{
    copy_short((char *)page + start, element.data, element.size);
    if (page->even)
        return;
    list_wide_slots(page)[slot] =
        (uint16_t)((start + element.size) | (unsigned)element.kind << PAGE_END_BITS);
    if (unlikely(element.kind == ELEMENT_BLOB))
        page->has_blobs = true;
}

/* The same in a narrow one. */
static bool list_write_narrow(struct page *page, unsigned slot, unsigned start, struct element element)
{
    uint8_t *ends = (uint8_t *)(page + 1), *kinds = page_kinds(page) + slot / 8;
    copy_short((char *)page + start, element.data, element.size);
    ends[slot] = (uint8_t)((int)(start + element.size) - page_origin(page));
    *kinds = (uint8_t)((*kinds & ~(1u << slot % 8)) | (unsigned)element.kind << slot % 8);
    page->count++;
    return true;
}

NO_INLINE static bool prepend_narrow(struct page *page, struct element element)
{
    if (page->first == 0 || element.kind == ELEMENT_BLOB || page->begin < text_floor(page) + element.size)
        return false;
    page->begin = (uint16_t)(page->begin - element.size);
    page->first--;
    return list_write_narrow(page, page->first, page->begin, element);
}

NO_INLINE static bool append_narrow(struct page *page, struct element element)
{
    unsigned slot = page->first + page->count, start = row_start(page, page->count);
    if (slot >= page->capacity || element.kind == ELEMENT_BLOB || start + element.size > page->size)
        return false;
    return list_write_narrow(page, slot, start, element);
}

bool page_prepend(struct page *page, struct element element)
{
    DEBUG_ASSERT(!page_is_shared(page) && page->layout == PAGE_LIST);
    unsigned slot = page->first, end = page->begin, slots = page->even ? 1u : page->capacity;
    if (unlikely(page->narrow))
        return prepend_narrow(page, element);
    if (slot == 0 || (page->even && *list_wide_slots(page) != size_and_kind(element)) ||
        end < sizeof *page + slots * sizeof(uint16_t) + element.size)
        return false;
    page->begin = (uint16_t)(end - element.size);
    page->first = (uint16_t)(slot - 1);
    page->count++;
    list_write(page, slot - 1, end - element.size, element);
    return true;
}

bool page_append(struct page *page, struct element element)
{
    DEBUG_ASSERT(!page_is_shared(page) && page->layout == PAGE_LIST);
    unsigned slot = page->first + page->count, start = page->begin;
    if (unlikely(page->narrow))
        return append_narrow(page, element);
    if (page->even)
        start += page->count * (*list_wide_slots(page) & PAGE_END_MASK);
    else if (page->count > 0)
        start = list_wide_slots(page)[slot - 1] & PAGE_END_MASK;
    if (slot >= page->capacity || (page->even && *list_wide_slots(page) != size_and_kind(element)) ||
        start + element.size > page->size)
        return false;
    page->count++;
    list_write(page, slot, start, element);
    return true;
}

/* Moves all rows towards the end of the block, so that half of the room there lies before them, and at least a slot with `bytes`
 * bytes, which the page has. Both ends of a list may grow, and neither shall move all rows each time. */
static void make_front(struct page *page, unsigned bytes)
{
    unsigned end = row_start(page, page->count), room = page->size - end;
    unsigned slots = (page->capacity - page->first - page->count + 1u) / 2, more = bytes + (room - bytes) / 2;
    move_columns(page, slots, 0, page->count);
    page->first = (uint16_t)(page->first + slots);
    shift_ends(page, 0, page->count * elements_of(page), (int)more);
    memmove((char *)page + page->begin + more, (char *)page + page->begin, end - page->begin);
    page->begin = (uint16_t)(page->begin + more);
}

bool page_insert(struct heap *heap, struct page **page, unsigned at, const struct row *row)
{
    struct page *target = *page;
    DEBUG_ASSERT(!page_is_shared(target) && at <= target->count);
    if (at == target->count && likely(append_row(target, row)))
        return true;
    unsigned bytes = row->elements[0].size, start;
    if (elements_of(target) > 1)
        bytes += row->elements[1].size;
    uint64_t stored;
    bool fits = columns_take(target, row, &stored), at_front = at == 0 && target->layout == PAGE_LIST;
    bool has_front = fits && at_front && target->first > 0 && target->begin >= text_floor(target) + bytes;
    bool has_back = fits && target->first + target->count < target->capacity &&
                    row_start(target, target->count) + bytes <= target->size;
    if (!has_back && !has_front) {
        if (!rebuild_for_row(heap, page, row, bytes, at_front))
            return false;
        target = *page;
        has_front = at_front;
        if (!encode_number(target, row->number, &stored))
            BUG("a number has no place in the form that was chosen for it");
    }
    if (at_front && !has_front) {
        make_front(target, bytes);
        has_front = true;
    }
    if (has_front) {
        target->first--;
        start = target->begin = (uint16_t)(target->begin - bytes);
        target->count++;
    } else {
        start = row_start(target, at);
        if (at == target->count)
            target->count++;
        else
            open_row(target, at, bytes);
    }
    set_row(target, at, start, row, stored);
    return true;
}

static void close_rows(struct page *page, unsigned at, unsigned count)
{
    unsigned elements = elements_of(page), behind = page->count - at - count;
    unsigned start = row_start(page, at), next = row_start(page, at + count);
    unsigned end = row_start(page, page->count);
    move_columns(page, at, at + count, behind);
    shift_ends(page, at * elements, (at + behind) * elements, -(int)(next - start));
    memmove((char *)page + start, (char *)page + next, end - next);
    page->count = (uint16_t)(page->count - count);
}

/* Whether a page with so many rows, and bytes of elements, is to move to a smaller block. */
ALWAYS_INLINE bool is_sparse(const struct page *page, unsigned rows, unsigned bytes)
{
    if (page->size <= PAGE_SHRINK_MIN || bytes >= page->size / 2u)
        return false;
    struct plan plan = plan_of(page);
    return sizeof *page + rows * plan_row_size(&plan) + plan_kinds_size(&plan, rows) + bytes <
           page->size / 2u;
}

static void shrink(struct heap *heap, struct page **page)
{
    struct page *target = *page;
    if (is_sparse(target, target->count, (unsigned)page_text_size(target))) {
        target->roomy = false;
        page_rebuild(heap, page, &(struct growth){0});
    }
}

bool page_drop_end(struct page *page, bool at_start)
{
    DEBUG_ASSERT(!page_is_shared(page) && page->layout == PAGE_LIST && page->count > 0);
    unsigned rows = page->count - 1u, begin = row_start(page, at_start ? 1 : 0);
    unsigned end = row_start(page, at_start ? page->count : rows);
    if (page->has_blobs || is_sparse(page, rows, end - begin))
        return false;
    page->begin = (uint16_t)begin;
    page->first = (uint16_t)(page->first + at_start);
    page->count = (uint16_t)rows;
    return true;
}

void page_take_rows(struct heap *heap, struct page **page, unsigned at, unsigned count)
{
    struct page *target = *page;
    if (at == 0 && count < target->count) {
        target->begin = (uint16_t)row_start(target, count);
        target->first = (uint16_t)(target->first + count);
        target->count = (uint16_t)(target->count - count);
    } else {
        close_rows(target, at, count);
    }
    shrink(heap, page);
}

void page_remove(struct heap *heap, struct page **page, unsigned at, unsigned count)
{
    DEBUG_ASSERT(!page_is_shared(*page) && at + count <= (*page)->count);
    drop_blobs(*page, at, at + count);
    page_take_rows(heap, page, at, count);
}

/* Gives row `at`, of a page with wide ends, the kinds of the last one. False: their elements are not as long. */
ALWAYS_INLINE bool take_kinds_of_last(struct page *page, unsigned at, unsigned start, unsigned last_start)
{
    unsigned elements = elements_of(page);
    uint16_t *ends = page_wide_ends(page) + at * elements;
    const uint16_t *last_ends = page_wide_ends(page) + (page->count - 1u) * elements;
    for (unsigned which = 0; which < elements; which++)
        if ((ends[which] & PAGE_END_MASK) - start != (last_ends[which] & PAGE_END_MASK) - last_start)
            return false;
    for (unsigned which = 0; which < elements; which++)
        ends[which] = (uint16_t)((ends[which] & PAGE_END_MASK) | (last_ends[which] & ~PAGE_END_MASK));
    return true;
}

/* Puts the last row in place of row `at`, if its elements are as long. Not in narrow pages, which are small. */
static bool fill_with_last(struct page *page, unsigned at)
{
    unsigned last = page->count - 1u, width = page->form & NUMBER_WIDTH_MASK;
    unsigned start = row_start(page, at), size = row_start(page, at + 1) - start;
    unsigned last_start = row_start(page, last);
    if (page->narrow || (!page->even && !take_kinds_of_last(page, at, start, last_start)))
        return false;
    if (at != last)
        copy_short((char *)page + start, (const char *)page + last_start, size);
    if (width > 0) {
        char *numbers = page_numbers(page) + page->first * width;
        memmove(numbers + at * width, numbers + last * width, width);
    }
    if (page->tagged)
        page_tags(page)[page->first + at] = page_tags(page)[page->first + last];
    page->count--;
    return true;
}

void page_remove_unordered(struct heap *heap, struct page **page, unsigned at)
{
    DEBUG_ASSERT(!page_is_shared(*page) && at < (*page)->count);
    drop_blobs(*page, at, at + 1);
    if (fill_with_last(*page, at))
        shrink(heap, page);
    else
        page_take_rows(heap, page, at, 1);
}

bool page_replace(struct heap *heap, struct page **page, unsigned at, unsigned which, struct element element)
{
    struct element old = page_element(*page, at, which);
    DEBUG_ASSERT(!page_is_shared(*page) && (which > 0 || !page_shape(*page)->tags));
    if (element.size == old.size && element.kind == old.kind) { /* counters, mostly */
        element_unref(old);
        memcpy((char *)old.data, element.data, element.size);
        return true;
    }
    struct growth growth = {.blob = element.kind == ELEMENT_BLOB, .uneven = true};
    growth.bytes = element.size > old.size ? (unsigned)element.size - old.size : 0;
    bool fits = row_start(*page, (*page)->count) + growth.bytes <= (*page)->size &&
                !(growth.blob && (*page)->narrow) && !(*page)->even;
    if (!fits) {
        if (!page_rebuild(heap, page, &growth))
            return false;
        old = page_element(*page, at, which);
    }
    struct page *target = *page;
    element_unref(old);
    unsigned elements = elements_of(target), index = at * elements + which;
    unsigned start = (unsigned)(old.data - (char *)target), next = start + old.size;
    unsigned end = row_start(target, target->count);
    memmove((char *)target + start + element.size, (char *)target + next, end - next);
    memcpy((char *)target + start, element.data, element.size);
    shift_ends(target, index + 1, target->count * elements, (int)element.size - (int)old.size);
    set_end(target, index, start + element.size, element.kind);
    target->has_blobs |= element.kind == ELEMENT_BLOB;
    return true;
}

bool page_set_number(struct heap *heap, struct page **page, unsigned at, uint64_t number)
{
    uint64_t stored;
    DEBUG_ASSERT(!page_is_shared(*page) && (*page)->form != 0);
    if (!encode_number(*page, number, &stored)) {
        if (!page_rebuild(heap, page, &(struct growth){.number = &number}))
            return false;
        if (!encode_number(*page, number, &stored))
            BUG("a number has no place in the form that was chosen for it");
    }
    number_write((*page)->form, page_numbers(*page), (*page)->first + at, stored);
    return true;
}

/* Moves the rows between two of one element each next to the first over it: its bytes, `size`, go to the other end. */
static void shift_rows(struct page *page, unsigned from, unsigned to, unsigned size)
{
    unsigned first = from < to ? from : to, last = from < to ? to : from;
    unsigned start = row_start(page, first), end = row_start(page, last + 1);
    char *bytes = (char *)page + start;
    if (from < to) {
        memmove(bytes, bytes + size, end - start - size);
        move_columns(page, first, first + 1, last - first);
        shift_ends(page, first, last, -(int)size);
    } else {
        memmove(bytes + size, bytes, end - start - size);
        move_columns(page, first + 1, first, last - first);
        shift_ends(page, first + 1, last + 1, (int)size);
    }
}

bool page_move(struct page *page, unsigned from, unsigned to, uint64_t number)
{
    uint64_t stored;
    DEBUG_ASSERT(!page_is_shared(page) && elements_of(page) == 1 && from < page->count && to < page->count);
    if (!encode_number(page, number, &stored))
        return false;
    char bytes[ELEMENT_BYTES_MAX];
    struct row row = {.elements[0] = page_element(page, from, 0)};
    memcpy(bytes, row.elements[0].data, row.elements[0].size);
    row.elements[0].data = bytes;
    shift_rows(page, from, to, row.elements[0].size);
    unsigned start = to == 0 ? page->begin : row_start(page, to);
    set_row(page, to, start, &row, stored);
    return true;
}

/* ---- Check ------------------------------------------------------------------------------------------------- */

static void check_columns(const struct page *page)
{
    const struct page_shape *shape = page_shape(page);
    unsigned width = page->form & NUMBER_WIDTH_MASK;
    ASSERT(page->first + page->count <= page->capacity);
    ASSERT(page->begin >= text_floor(page) && page->begin <= page->size);
    ASSERT(!page->tagged || shape->tags);
    ASSERT(page->tagged || !shape->tags || page->count <= PAGE_UNTAGGED_ROWS);
    ASSERT(!(page->narrow || page->even) || !page->has_blobs);
    ASSERT(!page->even || (!page->narrow && page->capacity * (row_size(page) + page_stride(page) +
                                                              shape->elements * sizeof(uint16_t)) <=
                                                PAGE_LOOSE_MAX));
    ASSERT((shape->numbers == NUMBERS_NONE) == (page->form == 0) && width <= 8);
    ASSERT(!(page->form & NUMBER_BASED) || (width < 8 && *page_base(page) << (64 - 8 * width) == 0));
    for (unsigned row = 0; row < page->count && page->tagged; row++)
        ASSERT(page_tags(page)[page->first + row] == element_tag(page_element(page, row, 0)));
    for (unsigned row = 0; row < page->count && page->form != 0; row++) {
        uint64_t stored;
        ASSERT(encode_number(page, page_number(page, row), &stored));
    }
}

void page_check(const struct page *page)
{
    if (page->layout == PAGE_LOG) {
        log_check(page);
        return;
    }
    unsigned elements = elements_of(page), end = page->begin;
    ASSERT(page->layout < PAGE_LAYOUTS && page->refs > 0);
    ASSERT(page->size <= PAGE_SIZE_MAX && page->size == heap_block_size(page->size));
    check_columns(page);
    for (unsigned i = 0; i < page->count * elements; i++) {
        struct element element = page_element(page, i / elements, i % elements);
        ASSERT((char *)page + end == element.data);
        end += element.size;
        ASSERT(end <= page->size && element.kind <= ELEMENT_BLOB);
        ASSERT(element.kind != ELEMENT_BLOB ||
               (page->has_blobs && element_blob(element)->size > ELEMENT_BYTES_MAX));
        ASSERT(element.kind != ELEMENT_BYTES || element.size <= ELEMENT_BYTES_MAX);
    }
    ASSERT(end == row_start(page, page->count));
}
