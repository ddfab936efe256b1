/* Pages of rows. Entry: page_insert, page_remove, page_split. Threads and invariants: see page.h. */
#include "ds/page.h"

#include "base/bug.h"
#include "base/macros.h"
#include "ds/log.h"

#define PAGE_ROOM_SHARE 8 /* a page that grows gets an eighth more than it needs */
#define PAGE_ROOM_MIN   8
#define PAGE_SHRINK_MIN 128 /* blocks up to this size are not made smaller */

const struct page_shape page_shapes[PAGE_LAYOUTS] = {
    [PAGE_LIST] = {.elements = 1},
    [PAGE_SET] = {.elements = 1, .tag = true},
    [PAGE_HASH] = {.elements = 2, .tag = true},
    [PAGE_TIMED_HASH] = {.elements = 2, .tag = true, .number = true},
    [PAGE_SORTED] = {.elements = 1, .number = true},
    [PAGE_INDEX] = {.elements = 1, .tag = true, .number = true},
    [PAGE_PENDING] = {.elements = 1, .number = true},
};

/* Bytes that a row takes in the columns. */
static unsigned columns_row_size(const struct page_shape *shape)
{
    return (shape->number ? 8u : 0) + 2u * shape->elements + (shape->tag ? 1u : 0);
}

static unsigned columns_end(const struct page *page)
{
    return (unsigned)sizeof *page + page->capacity * columns_row_size(page_shape(page));
}

/* Where the bytes of row `row` begin; of row `count`, where the last ones end. */
static unsigned row_start(const struct page *page, unsigned row)
{
    const struct page_shape *shape = page_shape(page);
    if (row == 0)
        return page->begin;
    return page_ends(page)[row * shape->elements - 1] & PAGE_END_MASK;
}

static unsigned bytes_used(const struct page *page)
{
    return row_start(page, page->count) - page->begin;
}

size_t page_used(const struct page *page)
{
    if (page->layout == PAGE_LOG)
        return log_used(page);
    return page->count * columns_row_size(page_shape(page)) + bytes_used(page);
}

size_t page_row_size(const struct page *page, unsigned row)
{
    return columns_row_size(page_shape(page)) + row_start(page, row + 1) - row_start(page, row);
}

size_t page_memory(const struct page *page)
{
    if (page->layout == PAGE_LOG)
        return log_memory(page);
    size_t bytes = page->size;
    if (page->has_blobs)
        for (unsigned row = 0; row < page->count; row++)
            for (unsigned which = 0; which < page_shape(page)->elements; which++)
                bytes += element_memory(page_element(page, row, which));
    return bytes;
}

/* ---- Blocks ------------------------------------------------------------------------------------------------ */

/* An empty page with room for `rows` rows with `bytes` bytes and about `room` bytes more. NULL: over the maximum. */
static struct page *page_allocate_with(struct heap *heap, enum page_layout layout, unsigned rows,
                                       unsigned bytes, size_t room)
{
    unsigned row_size = columns_row_size(&page_shapes[layout]);
    size_t needed = sizeof(struct page) + rows * row_size + bytes;
    if (needed > PAGE_SIZE_MAX)
        return NULL;
    size_t size = heap_block_size(needed + room);
    if (size > PAGE_SIZE_MAX)
        size = PAGE_SIZE_MAX;
    struct page *page = heap_alloc(heap, size);
    if (page == NULL)
        fatal("out of memory");
    size_t average = rows == 0 ? row_size + 8 : row_size + bytes / rows;
    atomic_init(&page->refs, 1);
    page->layout = (uint8_t)layout;
    page->has_blobs = false;
    page->count = 0;
    page->capacity = (uint16_t)(rows + (size - needed) / average);
    page->first = 0;
    page->size = (uint16_t)size;
    page->begin = (uint16_t)columns_end(page);
    return page;
}

/* The same with an eighth more for rows that will come. */
static struct page *page_allocate(struct heap *heap, enum page_layout layout, unsigned rows, unsigned bytes)
{
    size_t room = (rows * columns_row_size(&page_shapes[layout]) + bytes) / PAGE_ROOM_SHARE + PAGE_ROOM_MIN;
    return page_allocate_with(heap, layout, rows, bytes, room);
}

/* Puts the rows [from, to) of `source` behind those of `page`, which has the room. Blobs are not counted. */
static void append_rows(struct page *page, const struct page *source, unsigned from, unsigned to)
{
    const struct page_shape *shape = page_shape(page);
    unsigned rows = to - from, at = page->count;
    unsigned start = row_start(source, from), size = row_start(source, to) - start;
    unsigned target = row_start(page, at);
    page->count = (uint16_t)(at + rows);
    if (shape->number)
        memcpy(page_numbers(page) + at, page_numbers(source) + from, 8 * rows);
    if (shape->tag)
        memcpy(page_tags(page) + at, page_tags(source) + from, rows);
    uint16_t *ends = page_ends(page) + at * shape->elements;
    const uint16_t *source_ends = page_ends(source) + from * shape->elements;
    for (unsigned i = 0; i < rows * shape->elements; i++)
        ends[i] = (uint16_t)(source_ends[i] - start + target);
    memcpy((char *)page + target, (const char *)source + start, size);
    page->has_blobs |= source->has_blobs;
}

/* Frees the block, not what its blobs refer to. */
static void page_release(struct heap *heap, struct page *page)
{
    heap_release(heap, page, page->size);
}

/* Moves the page to a block with room for `more_rows` rows of `more_bytes` bytes. With `at_front` the room lies before
 * the rows. False: over the maximum. */
static bool page_rebuild(struct heap *heap, struct page **page, unsigned more_rows, unsigned more_bytes,
                         bool at_front)
{
    struct page *old = *page;
    struct page *fresh =
        page_allocate(heap, old->layout, old->count + more_rows, bytes_used(old) + more_bytes);
    if (fresh == NULL)
        return false;
    if (at_front) {
        fresh->first = (uint16_t)(fresh->capacity - old->count);
        fresh->begin = (uint16_t)(fresh->size - bytes_used(old));
    }
    append_rows(fresh, old, 0, old->count);
    page_release(heap, old);
    *page = fresh;
    return true;
}

struct page *page_new(struct heap *heap, enum page_layout layout)
{
    if (layout == PAGE_LOG)
        return log_new(heap);
    return page_allocate(heap, layout, 0, 0);
}

struct page *page_clone(struct heap *heap, const struct page *page)
{
    if (page->layout == PAGE_LOG)
        return log_clone(heap, page);
    struct page *copy = page_allocate(heap, page->layout, page->count, bytes_used(page));
    append_rows(copy, page, 0, page->count);
    if (page->has_blobs)
        for (unsigned row = 0; row < page->count; row++)
            for (unsigned which = 0; which < page_shape(page)->elements; which++)
                element_ref(page_element(page, row, which));
    return copy;
}

void page_ref(struct page *page)
{
    atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
}

static void drop_blobs(const struct page *page, unsigned from, unsigned to)
{
    for (unsigned row = from; page->has_blobs && row < to; row++)
        for (unsigned which = 0; which < page_shape(page)->elements; which++)
            element_unref(page_element(page, row, which));
}

void page_unref(struct heap *heap, struct page *page)
{
    if (atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (page->layout == PAGE_LOG)
        log_drop_blobs(page);
    else
        drop_blobs(page, 0, page->count);
    page_release(heap, page);
}

/* ---- Rows -------------------------------------------------------------------------------------------------- */

/* Opens a slot before row `at` in each column, with `size` bytes for its elements. The page has the room. */
static void open_row(struct page *page, unsigned at, unsigned size)
{
    const struct page_shape *shape = page_shape(page);
    unsigned behind = page->count - at, start = row_start(page, at), end = row_start(page, page->count);
    if (shape->number)
        memmove(page_numbers(page) + at + 1, page_numbers(page) + at, 8 * behind);
    if (shape->tag)
        memmove(page_tags(page) + at + 1, page_tags(page) + at, behind);
    uint16_t *ends = page_ends(page) + at * shape->elements;
    for (unsigned i = behind * shape->elements; i > 0; i--)
        ends[i - 1 + shape->elements] = (uint16_t)(ends[i - 1] + size);
    memmove((char *)page + start + size, (char *)page + start, end - start);
    page->count++;
}

/* Fills the slot of row `at`, whose bytes begin at `start`. */
static void set_row(struct page *page, unsigned at, unsigned start, const struct row *row)
{
    const struct page_shape *shape = page_shape(page);
    if (shape->number)
        page_numbers(page)[at] = row->number;
    if (shape->tag)
        page_tags(page)[at] = row->tag;
    for (unsigned which = 0; which < shape->elements; which++) {
        const struct element *element = &row->elements[which];
        memcpy((char *)page + start, element->data, element->size);
        start += element->size;
        page_ends(page)[at * shape->elements + which] =
            (uint16_t)(start | (unsigned)element->kind << PAGE_END_BITS);
        page->has_blobs |= element->kind == ELEMENT_BLOB;
    }
}

bool page_insert(struct heap *heap, struct page **page, unsigned at, const struct row *row)
{
    struct page *target = *page;
    const struct page_shape *shape = page_shape(target);
    DEBUG_ASSERT(!page_is_shared(target) && at <= target->count);
    unsigned size = 0;
    for (unsigned which = 0; which < shape->elements; which++)
        size += row->elements[which].size;
    bool front = at == 0 && target->layout == PAGE_LIST;
    bool has_front = target->first > 0 && target->begin >= columns_end(target) + size;
    bool has_back = target->first + target->count < target->capacity &&
                    row_start(target, target->count) + size <= target->size;
    if (!has_back && !(front && has_front)) {
        if (!page_rebuild(heap, page, 1, size, front))
            return false;
        target = *page;
        has_front = front;
    }
    if (front && has_front) {
        target->first--;
        target->begin = (uint16_t)(target->begin - size);
        target->count++;
    } else {
        open_row(target, at, size);
    }
    set_row(target, at, row_start(target, at), row);
    return true;
}

static void close_rows(struct page *page, unsigned at, unsigned count)
{
    const struct page_shape *shape = page_shape(page);
    unsigned start = row_start(page, at), next = row_start(page, at + count);
    unsigned behind = page->count - at - count, end = row_start(page, page->count);
    if (shape->number)
        memmove(page_numbers(page) + at, page_numbers(page) + at + count, 8 * behind);
    if (shape->tag)
        memmove(page_tags(page) + at, page_tags(page) + at + count, behind);
    uint16_t *ends = page_ends(page) + at * shape->elements;
    for (unsigned i = 0; i < behind * shape->elements; i++)
        ends[i] = (uint16_t)(ends[i + count * shape->elements] - (next - start));
    memmove((char *)page + start, (char *)page + next, end - next);
    page->count = (uint16_t)(page->count - count);
}

/* Without dropping blobs. */
static void take_rows(struct heap *heap, struct page **page, unsigned at, unsigned count)
{
    struct page *target = *page;
    if (at == 0 && count < target->count) {
        target->begin = (uint16_t)row_start(target, count);
        target->first = (uint16_t)(target->first + count);
        target->count = (uint16_t)(target->count - count);
    } else {
        close_rows(target, at, count);
    }
    if (target->size > PAGE_SHRINK_MIN && sizeof *target + page_used(target) < target->size / 2)
        page_rebuild(heap, page, 0, 0, false);
}

void page_remove(struct heap *heap, struct page **page, unsigned at, unsigned count)
{
    DEBUG_ASSERT(!page_is_shared(*page) && at + count <= (*page)->count);
    drop_blobs(*page, at, at + count);
    take_rows(heap, page, at, count);
}

bool page_replace(struct heap *heap, struct page **page, unsigned at, unsigned which, struct element element)
{
    struct element old = page_element(*page, at, which);
    unsigned more = element.size > old.size ? (unsigned)element.size - old.size : 0;
    if (more > 0 && row_start(*page, (*page)->count) + more > (*page)->size) {
        if (!page_rebuild(heap, page, 0, more, false))
            return false;
        old = page_element(*page, at, which);
    }
    struct page *target = *page;
    element_unref(old);
    if (element.size == old.size && element.kind == old.kind) { /* counters, mostly */
        memcpy((char *)old.data, element.data, element.size);
        return true;
    }
    unsigned elements = page_shape(target)->elements, index = at * elements + which;
    uint16_t *ends = page_ends(target);
    unsigned start = (unsigned)(old.data - (char *)target), next = start + old.size;
    unsigned end = row_start(target, target->count);
    memmove((char *)target + start + element.size, (char *)target + next, end - next);
    memcpy((char *)target + start, element.data, element.size);
    for (unsigned i = index + 1; i < target->count * elements; i++)
        ends[i] = (uint16_t)(ends[i] + element.size - old.size);
    ends[index] = (uint16_t)((start + element.size) | (unsigned)element.kind << PAGE_END_BITS);
    target->has_blobs |= element.kind == ELEMENT_BLOB;
    return true;
}

void page_fit(struct heap *heap, struct page **page)
{
    struct page *old = *page;
    if (heap_block_size(sizeof *old + page_used(old)) >= old->size)
        return;
    *page = page_allocate_with(heap, old->layout, old->count, bytes_used(old), 0);
    append_rows(*page, old, 0, old->count);
    page_release(heap, old);
}

/* ---- Splitting and merging --------------------------------------------------------------------------------- */

/* Bytes of the rows before row `row`. */
static size_t used_before(const struct page *page, unsigned row)
{
    return row * columns_row_size(page_shape(page)) + row_start(page, row) - page->begin;
}

unsigned page_row_behind(const struct page *page, size_t bytes)
{
    unsigned low = 1, high = page->count - 1u; /* the first row with at least `bytes` before it */
    while (low < high) {
        unsigned row = (low + high) / 2;
        if (used_before(page, row) < bytes)
            low = row + 1;
        else
            high = row;
    }
    if (low > 1 && used_before(page, low) + used_before(page, low - 1) > 2 * bytes)
        low--;
    return low;
}

struct page *page_split(struct heap *heap, struct page **page, unsigned at)
{
    struct page *left = *page;
    DEBUG_ASSERT(!page_is_shared(left) && at > 0 && at < left->count);
    unsigned rows = left->count - at, bytes = row_start(left, left->count) - row_start(left, at);
    struct page *right = page_allocate(heap, left->layout, rows, bytes);
    append_rows(right, left, at, left->count);
    take_rows(heap, page, at, rows);
    return right;
}

struct page *page_divide(struct heap *heap, struct page **page, const uint8_t *goes_right)
{
    struct page *old = *page, *halves[2];
    unsigned rows[2] = {0, 0}, bytes[2] = {0, 0};
    for (unsigned row = 0; row < old->count; row++) {
        unsigned side = goes_right[row] != 0;
        rows[side]++;
        bytes[side] += row_start(old, row + 1) - row_start(old, row);
    }
    DEBUG_ASSERT(!page_is_shared(old) && rows[0] > 0 && rows[1] > 0);
    for (unsigned side = 0; side < 2; side++)
        halves[side] = page_allocate(heap, old->layout, rows[side], bytes[side]);
    for (unsigned row = 0, next; row < old->count; row = next) {
        for (next = row + 1; next < old->count && !goes_right[next] == !goes_right[row]; next++)
            ;
        append_rows(halves[goes_right[row] != 0], old, row, next);
    }
    page_release(heap, old);
    *page = halves[0];
    return halves[1];
}

bool page_merge(struct heap *heap, struct page **page, struct page *from)
{
    struct page *target = *page;
    size_t rows = (size_t)target->count + from->count, bytes = bytes_used(target) + bytes_used(from);
    size_t needed = sizeof *target + rows * columns_row_size(page_shape(target)) + bytes;
    if (needed + needed / PAGE_ROOM_SHARE > PAGE_SIZE_MAX)
        return false;
    if (!page_rebuild(heap, page, from->count, bytes_used(from), false))
        return false;
    append_rows(*page, from, 0, from->count);
    page_release(heap, from);
    return true;
}

/* ---- Finding ----------------------------------------------------------------------------------------------- */

unsigned page_find_tag(const struct page *page, unsigned row, uint8_t tag)
{
    const uint8_t *tags = page_tags(page);
    const uint8_t *found = memchr(tags + row, tag, page->count - row);
    return found != NULL ? (unsigned)(found - tags) : page->count;
}

void page_check(const struct page *page)
{
    if (page->layout == PAGE_LOG) {
        log_check(page);
        return;
    }
    const struct page_shape *shape = page_shape(page);
    ASSERT(page->layout < PAGE_LAYOUTS && page->refs > 0);
    ASSERT(page->size <= PAGE_SIZE_MAX && page->size == heap_block_size(page->size));
    ASSERT(page->first + page->count <= page->capacity);
    ASSERT(page->begin >= columns_end(page) && page->begin <= page->size);
    unsigned end = page->begin;
    for (unsigned i = 0; i < (unsigned)page->count * shape->elements; i++) {
        struct element element = page_element(page, i / shape->elements, i % shape->elements);
        ASSERT((char *)page + end == element.data);
        end += element.size;
        ASSERT(end <= page->size && element.kind <= ELEMENT_BLOB);
        ASSERT(element.kind != ELEMENT_BLOB ||
               (page->has_blobs && element_blob(element)->size > ELEMENT_BYTES_MAX));
        ASSERT(element.kind != ELEMENT_BYTES || element.size <= ELEMENT_BYTES_MAX);
        ASSERT(element.kind != ELEMENT_INT || element.size <= sizeof(int64_t));
    }
    ASSERT(end == row_start(page, page->count));
}
