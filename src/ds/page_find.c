/* Finding rows of a page by their first element, and asking ahead for what that reads. Entry: page_find, page_fetch_tags.
 * Threads: whoever may read the page (page.h). */
#include <string.h>

#include "base/bug.h"
#include "ds/page.h"

/* ---- Finding ----------------------------------------------------------------------------------------------- */

/* The first row from `row` on with the tag; count when there is none. */
static unsigned find_tag(const struct page *page, unsigned row, uint8_t tag)
{
    const uint8_t *tags = page_tags(page) + page->first;
    const uint8_t *found = memchr(tags + row, tag, page->count - row);
    return found != NULL ? (unsigned)(found - tags) : page->count;
}

static NO_INLINE unsigned find_tagged(const struct page *page, struct element wanted)
{
    uint8_t tag = element_tag(wanted);
    unsigned row = find_tag(page, 0, tag);
    while (row < page->count && !element_equal(page_element(page, row, 0), wanted))
        row = find_tag(page, row + 1, tag);
    return row;
}

/* The last bytes of a text that ends at `end`, the very last one highest, as far as the mask goes. Before short texts
 * of a page others are read, or its header. */
ALWAYS_INLINE uint64_t tail_before(const char *end, uint64_t mask)
{
    uint64_t tail;
    memcpy(&tail, end - sizeof tail, sizeof tail);
    return tail & mask;
}

ALWAYS_INLINE uint64_t tail_mask(size_t size)
{
    if (likely(size >= sizeof(uint64_t)))
        return UINT64_MAX;
    return size == 0 ? 0 : UINT64_MAX << (64 - 8 * size);
}

/* The same of an element, before which nothing may be read. */
ALWAYS_INLINE uint64_t tail_of(struct element element)
{
    uint64_t tail = 0;
    if (likely(element.size >= sizeof tail))
        return tail_before(element.data + element.size, UINT64_MAX);
    memcpy((char *)&tail + sizeof tail - element.size, element.data, element.size);
    return tail;
}

/* Rows without tags: sizes and last bytes tell nearly all from the one that is wanted. `narrow` and `elements` are the
 * page's. */
ALWAYS_INLINE unsigned find_by_tail(const struct page *page, struct element wanted, bool narrow,
                                    unsigned elements)
{
    size_t count = page->count * elements;
    int size = wanted.size;
    uint64_t mask = tail_mask(wanted.size), tail = tail_of(wanted);
    const char *text = (const char *)page + (narrow ? page_origin(page) : 0);
    const uint8_t *narrow_ends = (const uint8_t *)page_ends(page);
    const uint16_t *wide_ends = page_wide_ends(page);
    const char *start = (const char *)page + page->begin;
    for (size_t i = 0; i < count; i += elements) {
        const char *end = text + (narrow ? narrow_ends[i] : wide_ends[i] & PAGE_END_MASK);
        if (end - start == size && tail_before(end, mask) == tail &&
            (size <= (int)sizeof tail || memcmp(start, wanted.data, (size_t)size - sizeof tail) == 0) &&
            page_element(page, (unsigned)i / elements, 0).kind == wanted.kind)
            return (unsigned)i / elements;
        start = end;
        if (elements == 2)
            start = text + (narrow ? narrow_ends[i + 1] : wide_ends[i + 1] & PAGE_END_MASK);
    }
    return page->count;
}

static NO_INLINE unsigned find_narrow(const struct page *page, struct element wanted)
{
    return page_shape(page)->elements == 1 ? find_by_tail(page, wanted, true, 1)
                                           : find_by_tail(page, wanted, true, 2);
}

static NO_INLINE unsigned find_wide(const struct page *page, struct element wanted)
{
    return page_shape(page)->elements == 1 ? find_by_tail(page, wanted, false, 1)
                                           : find_by_tail(page, wanted, false, 2);
}

static NO_INLINE unsigned find_even(const struct page *page, struct element wanted)
{
    unsigned count = page->count;
    size_t stride = page_stride(page), size = wanted.size;
    struct element first = page_even_element(page, 0, 0);
    if (first.size != size || first.kind != wanted.kind)
        return count;
    uint64_t mask = tail_mask(size), tail = tail_of(wanted);
    const char *start = first.data;
    for (unsigned row = 0; row < count; row++, start += stride)
        if (tail_before(start + size, mask) == tail &&
            (size <= sizeof tail || memcmp(start, wanted.data, size - sizeof tail) == 0))
            return row;
    return count;
}

/* The same text may lie in two blobs. */
static NO_INLINE unsigned find_blob(const struct page *page, struct element wanted)
{
    unsigned row = 0;
    while (row < page->count && !element_equal(page_element(page, row, 0), wanted))
        row++;
    return row;
}

unsigned page_find(const struct page *page, struct element wanted)
{
    if (page->tagged)
        return find_tagged(page, wanted);
    if (unlikely(wanted.kind == ELEMENT_BLOB))
        return find_blob(page, wanted);
    if (page->even)
        return find_even(page, wanted);
    return page->narrow ? find_narrow(page, wanted) : find_wide(page, wanted);
}

unsigned page_find_long(const struct page *page, struct slice text)
{
    uint8_t tag = element_tag_long(text);
    for (unsigned row = 0; page->has_blobs && row < page->count; row++) {
        if (page->tagged && (row = find_tag(page, row, tag)) == page->count)
            break;
        struct element element = page_element(page, row, 0);
        element_scratch scratch;
        if (element.kind == ELEMENT_BLOB && slice_equal(element_text(element, scratch), text))
            return row;
    }
    return page->count;
}

/* ---- Asking ahead ------------------------------------------------------------------------------------------ */

static void fetch_lines(const void *from, size_t size)
{
    const char *line = (const char *)((uintptr_t)from & ~(uintptr_t)(CACHE_LINE - 1)),
               *end = (const char *)from + size;
    for (; line < end; line += CACHE_LINE)
        prefetch(line);
}

void page_fetch_tags(const struct page *page)
{
    if (page->tagged)
        fetch_lines(page_tags(page) + page->first, page->count);
    else
        page_prefetch(page);
}

/* The end of the element before row `row`, where the row begins. */
static const char *end_before(const struct page *page, unsigned row)
{
    unsigned width = page->narrow ? 1 : sizeof(uint16_t);
    return page_ends(page) + row * page_shape(page)->elements * width - width;
}

void page_fetch_ends(const struct page *page, struct page_fetch *fetch)
{
    fetch->count = 0;
    if (!page->tagged)
        return;
    unsigned row = find_tag(page, 0, fetch->tag);
    while (row < page->count && fetch->count < PAGE_FETCH_ROWS) {
        if (!page->even)
            prefetch(end_before(page, row));
        fetch->rows[fetch->count++] = (uint16_t)row;
        row = find_tag(page, row + 1, fetch->tag);
    }
    if (fetch->adds && !page->even)
        prefetch(end_before(page, page->count));
}

void page_fetch_rows(const struct page *page, struct page_fetch *fetch)
{
    for (unsigned i = 0; i < fetch->count; i++) {
        struct element element = page_element(page, fetch->rows[i], 0);
        fetch->places[i] = slice_make(element.data, element.size);
    }
    fetch->place_count = fetch->count;
    if (fetch->adds && page->tagged) {
        struct element last = page_element(page, page->count - 1u, page_shape(page)->elements - 1u);
        fetch->places[fetch->place_count++] = slice_make(last.data + last.size, 1);
    }
}

void page_fetch_places(const struct page_fetch *fetch)
{
    for (unsigned i = 0; i < fetch->place_count; i++)
        fetch_lines(fetch->places[i].data, fetch->places[i].size);
}
