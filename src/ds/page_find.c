/* Finding rows of a page by their first element, and asking ahead for what that reads. Entry: page_find, page_fetch_tags.
 * Threads: whoever may read the page (page.h). */
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/bug.h"
#include "base/copy.h"
#include "ds/page_internal.h"

/* ---- Tags -------------------------------------------------------------------------------------------------- */

#define TAG_BLOCK 16 /* tags that are compared at once */
#define TAG_STEP  64 /* rows, a bit each, before anything is decided */

/* Bit n: tags[n] is the tag. */
ALWAYS_INLINE uint64_t match_block(const uint8_t *tags, uint8_t tag)
{
#if defined(__SSE2__)
    /* Of a word, as a byte that lies in memory would be read as one, and waited for. */
    __m128i wanted = _mm_set1_epi32((int)(tag * 0x01010101u));
    __m128i found = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i_u *)(const void *)tags), wanted);
    return (uint64_t)(unsigned)_mm_movemask_epi8(found);
#else
    uint64_t found = 0;
    for (unsigned i = 0; i < TAG_BLOCK; i++)
        found |= (uint64_t)(tags[i] == tag) << i;
    return found;
#endif
}

ALWAYS_INLINE uint64_t match_step(const uint8_t *tags, uint8_t tag)
{
    uint64_t found = 0;
    for (unsigned i = 0; i < TAG_STEP; i += TAG_BLOCK)
        found |= match_block(tags + i, tag) << i;
    return found;
}

/* The same of fewer than TAG_STEP tags. Nothing outside of them is read: the last block reaches back. */
static NO_INLINE uint64_t match_few(const uint8_t *tags, unsigned count, uint8_t tag)
{
    uint64_t found = 0;
    unsigned i = 0;
    for (; i + TAG_BLOCK <= count; i += TAG_BLOCK)
        found |= match_block(tags + i, tag) << i;
    if (likely(i > 0))
        return i == count
                   ? found
                   : found | match_block(tags + count - TAG_BLOCK, tag) >> (i + TAG_BLOCK - count) << i;
    for (; i < count; i++)
        found |= (uint64_t)(tags[i] == tag) << i;
    return found;
}

/* Goes through the rows that have a tag, without a branch for each row. */
struct tag_search {
    const uint8_t *tags; /* of row 0 */
    uint64_t found;      /* bit n: row `base` + n has the tag, and has not been given out yet */
    unsigned base;
    unsigned count;
    uint8_t tag;
};

ALWAYS_INLINE uint64_t match_from(const struct tag_search *search, unsigned row)
{
    unsigned left = search->count - row;
    if (left >= TAG_STEP)
        return match_step(search->tags + row, search->tag);
    if (search->count < TAG_STEP)
        return match_few(search->tags, left, search->tag);
    return match_step(search->tags + search->count - TAG_STEP, search->tag) >> (TAG_STEP - left);
}

ALWAYS_INLINE struct tag_search tag_search_begin(const struct page *page, uint8_t tag)
{
    struct tag_search search = {.tags = page_tags(page) + page->first, .count = page->count, .tag = tag};
    search.found = search.count > 0 ? match_from(&search, 0) : 0;
    return search;
}

/* The next row; count when there is none. */
ALWAYS_INLINE unsigned tag_search_next(struct tag_search *search)
{
    while (search->found == 0) {
        search->base += TAG_STEP;
        if (search->base >= search->count)
            return search->count;
        search->found = match_from(search, search->base);
    }
    unsigned row = search->base + (unsigned)__builtin_ctzll(search->found);
    search->found &= search->found - 1;
    return row;
}

/* Both are elements of pages or of requests, nearly always short. Most often it is another element, or most often not: that can be
 * foretold, but not by what the other one differs. So size, kind and the last bytes, which tell nearly all apart, are one branch. Before
 * the bytes of a page's element others are read, or its header. */
ALWAYS_INLINE bool has_element(const struct page *page, unsigned row, struct element wanted)
{
    struct element element = page_element(page, row, 0);
    uint64_t differs = (uint64_t)(element.size ^ wanted.size) | (uint64_t)(element.kind ^ wanted.kind);
    if (likely(wanted.size >= sizeof(uint64_t))) {
        uint64_t tail, wanted_tail;
        memcpy(&tail, element.data + element.size - sizeof tail, sizeof tail);
        memcpy(&wanted_tail, wanted.data + wanted.size - sizeof tail, sizeof tail);
        if (wanted.kind != ELEMENT_BLOB)
            differs |= tail ^ wanted_tail;
    }
    if (differs != 0)
        return false;
    if (unlikely(wanted.kind == ELEMENT_BLOB))
        return element_equal_blob(element, wanted);
    return equal_short(element.data, wanted.data, wanted.size);
}

static NO_INLINE unsigned find_tagged(const struct page *page, struct element wanted)
{
    struct tag_search search = tag_search_begin(page, element_tag(wanted));
    unsigned row = tag_search_next(&search);
    while (row < page->count && !has_element(page, row, wanted))
        row = tag_search_next(&search);
    return row;
}

/* ---- Rows without tags --------------------------------------------------------------------------------------- */

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

/* A BLOB with this text. */
static bool has_text(const struct page *page, unsigned row, struct slice text)
{
    struct element element = page_element(page, row, 0);
    element_scratch scratch;
    return element.kind == ELEMENT_BLOB && slice_equal(element_text(element, scratch), text);
}

unsigned page_find_long(const struct page *page, struct slice text)
{
    unsigned row = 0;
    if (!page->has_blobs)
        return page->count;
    if (!page->tagged) {
        while (row < page->count && !has_text(page, row, text))
            row++;
        return row;
    }
    struct tag_search search = tag_search_begin(page, element_tag_long(text));
    do
        row = tag_search_next(&search);
    while (row < page->count && !has_text(page, row, text));
    return row;
}

/* ---- Asking ahead ------------------------------------------------------------------------------------------ */

#define TAG_LINES  5  /* of the tags of most pages */
#define ADDED_SIZE 32 /* more than most rows that are added: they may reach into another line */

static const char *line_of(const void *address)
{
    return (const char *)((uintptr_t)address & ~(uintptr_t)(CACHE_LINE - 1));
}

/* As the tags of pages are of different numbers of lines, a loop over these would be left at another time for each. So the last
 * line is asked for again instead. */
void page_fetch_tags(const struct page *page, struct page_fetch *fetch)
{
    if (!page->tagged) {
        page_prefetch(page);
        return;
    }
    const char *tags = (const char *)page_tags(page) + page->first;
    fetch->tags = (uint16_t)(tags - (const char *)page);
    fetch->ends = (uint16_t)(page_ends(page) - (const char *)page);
    const char *line = line_of(tags), *last = line_of(tags + page->count - 1);
    for (unsigned i = 0; i < TAG_LINES; i++, line += CACHE_LINE)
        prefetch(line < last ? line : last);
    for (; unlikely(line <= last); line += CACHE_LINE)
        prefetch(line);
}

/* A number of which the compiler knows nothing: it would make a branch of a choice that is better made without. */
ALWAYS_INLINE uint64_t opaque(uint64_t number)
{
    __asm__("" : "+r"(number));
    return number;
}

/* Finds the first row with the tag, or takes the last one of all in its place: what is done with a row is done without asking
 * whether there is one, which nobody could foretell. True: there are more. */
ALWAYS_INLINE bool find_first(const struct page *page, struct page_fetch *fetch)
{
    struct tag_search search = {
        .tags = (const uint8_t *)page + fetch->tags, .count = page->count, .tag = fetch->tag};
    uint64_t first = search.count - 1u, more = 0, none_yet = UINT64_MAX; /* none_yet: 0 or all bits */
    for (; search.base < search.count; search.base += TAG_STEP) {
        uint64_t found = match_from(&search, search.base), any = opaque(0 - (uint64_t)(found != 0));
        uint64_t row = search.base + (unsigned)__builtin_ctzll(found | UINT64_C(1) << 63);
        more |= (found & (found - 1)) | (found & ~none_yet);
        first ^= (first ^ row) & any & none_yet;
        none_yet &= ~any;
    }
    fetch->count = 1;
    fetch->rows[0] = (uint16_t)first;
    return more != 0;
}

/* Of a page that is not even: bytes in the ends column before those of row `row`. */
ALWAYS_INLINE size_t ends_before(const struct page *page, unsigned row)
{
    return (size_t)row * page_shape(page)->elements * (page->narrow ? 1 : sizeof(uint16_t));
}

static NO_INLINE void find_more(const struct page *page, struct page_fetch *fetch)
{
    struct tag_search search = tag_search_begin(page, fetch->tag);
    unsigned row = tag_search_next(&search);
    for (fetch->count = 0; row < page->count && fetch->count < PAGE_FETCH_ROWS; fetch->count++) {
        fetch->rows[fetch->count] = (uint16_t)row;
        if (!page->even)
            prefetch((const char *)page + fetch->ends + ends_before(page, row) - 1);
        row = tag_search_next(&search);
    }
    fetch->knows_all = row == page->count;
}

void page_fetch_ends(const struct page *page, struct page_fetch *fetch)
{
    fetch->count = 0;
    fetch->knows_all = false;
    if (unlikely(!page->tagged || page->count == 0))
        return;
    fetch->seen = page->count;
    fetch->knows_all = true;
    if (unlikely(find_first(page, fetch)))
        find_more(page, fetch);
    if (page->even)
        return;
    /* Each row begins at the end before its own, which nearly always is in the same line. */
    const char *ends = (const char *)page + fetch->ends - 1;
    prefetch(ends + ends_before(page, fetch->rows[0]));
    if (fetch->adds)
        prefetch(ends + ends_before(page, page->count));
}

/* As row_start, of a page with wide ends. */
ALWAYS_INLINE unsigned wide_start(const struct page *page, const struct page_fetch *fetch, unsigned row)
{
    uint16_t start = page->begin;
    if (likely(row > 0))
        memcpy(&start, (const char *)page + fetch->ends + ends_before(page, row) - sizeof start,
               sizeof start);
    return start & PAGE_END_MASK;
}

/* Where the first element of the row is. */
ALWAYS_INLINE struct slice place_of(const struct page *page, const struct page_fetch *fetch, unsigned row,
                                    bool is_wide)
{
    if (unlikely(!is_wide)) {
        struct element element = page_element(page, row, 0);
        return slice_make(element.data, element.size);
    }
    unsigned start = wide_start(page, fetch, row);
    uint16_t end;
    memcpy(&end, (const char *)page + fetch->ends + ends_before(page, row), sizeof end);
    return slice_make((const char *)page + start, (end & PAGE_END_MASK) - start);
}

void page_fetch_rows(const struct page *page, struct page_fetch *fetch)
{
    bool is_wide = !page->even && !page->narrow;
    fetch->places[0] = fetch->places[1] = fetch->behind = (const char *)page;
    if (unlikely(fetch->count == 0))
        return;
    struct slice place = place_of(page, fetch, fetch->rows[0], is_wide);
    fetch->places[0] = fetch->places[1] = fetch->behind = place.data;
    if (likely(place.size > 0))
        fetch->places[1] += place.size - 1;
    if (fetch->adds)
        fetch->behind = (const char *)page + (likely(is_wide) ? wide_start(page, fetch, page->count)
                                                              : row_start(page, page->count));
    for (unsigned i = 1; unlikely(i < fetch->count); i++)
        prefetch(page_element(page, fetch->rows[i], 0).data);
}

void page_fetch_places(const struct page_fetch *fetch)
{
    prefetch(fetch->places[0]);
    prefetch(fetch->places[1]);
    prefetch_write(fetch->behind);
    prefetch_write(fetch->behind + ADDED_SIZE - 1);
}

unsigned page_find_fetched(const struct page *page, struct element wanted, const struct page_fetch *fetch,
                           bool rows_hold)
{
    /* A row that has the element is the one, whatever has happened. */
    for (unsigned i = 0; i < fetch->count; i++)
        if (likely(fetch->rows[i] < page->count) && has_element(page, fetch->rows[i], wanted))
            return fetch->rows[i];
    if (unlikely(!rows_hold || !fetch->knows_all))
        return page_find(page, wanted);
    unsigned row = fetch->seen;
    while (unlikely(row < page->count) && !has_element(page, row, wanted))
        row++;
    return row;
}
