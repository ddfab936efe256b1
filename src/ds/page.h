/* A page: rows of elements and numbers in one block of at most 4 KB. Small collections are one page, the leaves of
 * large ones are pages.
 *
 *   header 16 | numbers 8 x capacity | ends 2 x elements x capacity | tags x capacity | room | bytes | room
 *
 * Principal entry points: page_new, page_insert, page_remove, page_replace, page_element, page_find_tag.
 * A row has a layout's parts: perhaps a number, up to two elements, perhaps a tag. Where the bytes of an element end is
 * in a column, so that row n is found at once, and inserting moves bytes only behind (or only before) the row. Pages
 * grow and shrink by reallocation in steps of an eighth, so that little of them is empty.
 * Threads: the owner of the heap changes pages, and only those with one reference. Others may read a page of which they
 * hold a reference, and may drop that.
 *
 * P1  Rows occupy the slots [first, first + count) of each column, first + count <= capacity.
 * P2  The bytes of row 0 begin at `begin`; those of each further element where the one before ends; the last end is at
 *     most `size`, and `begin` is at least the end of the columns.
 * P3  A page that can be read by two (refs > 1) does not change.
 * P4  Each BLOB element in a page owns one reference of its blob. */
#ifndef SKUA_DS_PAGE_H
#define SKUA_DS_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "ds/element.h"

#define PAGE_SIZE_MAX 4096 /* as HEAP_BLOCK_MAX: one block of a slab */

enum page_layout {
    PAGE_LIST,       /* element */
    PAGE_SET,        /* tag, member */
    PAGE_HASH,       /* tag, field, value */
    PAGE_TIMED_HASH, /* tag, field, value, and when the field expires */
    PAGE_SORTED,     /* score, member: rows ascend */
    PAGE_INDEX,      /* tag, member, score: finds the score of a member */
    PAGE_PENDING,    /* an id's first half, the rest packed (types/stream_group.h): rows ascend */
    PAGE_LAYOUTS,
    /* Not rows at all: packed entries, of which this file only knows how to hold, copy, measure and drop them. The rest is
     * in ds/log.h. */
    PAGE_LOG = PAGE_LAYOUTS,
};

/* What each row of a layout has. */
struct page_shape {
    uint8_t elements; /* 1 or 2 */
    bool tag;         /* the low byte of the first element's hash */
    bool number;      /* 8 bytes */
};
extern const struct page_shape page_shapes[PAGE_LAYOUTS];

struct page {
    _Atomic uint32_t refs;
    uint8_t layout; /* enum page_layout */
    bool has_blobs; /* false: no element is a BLOB */
    uint16_t count; /* rows */
    uint16_t capacity;
    uint16_t first; /* P1 */
    uint16_t begin; /* P2 */
    uint16_t size;  /* of the block in bytes */
};
_Static_assert(sizeof(struct page) == 16, "rows follow the header");

/* What a row is made of. Parts that the layout does not have are ignored. */
struct row {
    uint8_t tag;
    uint64_t number;
    struct element elements[2];
};

/* An end in its column: the kind of the element above, the offset in the page below. */
#define PAGE_END_BITS 13
#define PAGE_END_MASK ((1u << PAGE_END_BITS) - 1)

ALWAYS_INLINE const struct page_shape *page_shape(const struct page *page)
{
    return &page_shapes[page->layout];
}

ALWAYS_INLINE uint64_t *page_numbers(const struct page *page)
{
    return (uint64_t *)((char *)page + sizeof *page) + page->first;
}

ALWAYS_INLINE uint16_t *page_ends(const struct page *page)
{
    const struct page_shape *shape = page_shape(page);
    char *column = (char *)page + sizeof *page + (shape->number ? 8u * page->capacity : 0);
    return (uint16_t *)column + page->first * shape->elements;
}

/* Only of a layout with tags. */
ALWAYS_INLINE uint8_t *page_tags(const struct page *page)
{
    const struct page_shape *shape = page_shape(page);
    return (uint8_t *)page + sizeof *page +
           ((shape->number ? 8u : 0) + 2u * shape->elements) * page->capacity + page->first;
}

/* Element `which` of row `row`, valid until the page changes. */
ALWAYS_INLINE struct element page_element(const struct page *page, unsigned row, unsigned which)
{
    const uint16_t *ends = page_ends(page);
    unsigned index = row * page_shape(page)->elements + which;
    unsigned start = index == 0 ? page->begin : ends[index - 1] & PAGE_END_MASK;
    unsigned end = ends[index];
    return (struct element){(const char *)page + start, (uint16_t)((end & PAGE_END_MASK) - start),
                            (uint8_t)(end >> PAGE_END_BITS)};
}

ALWAYS_INLINE uint64_t page_number(const struct page *page, unsigned row)
{
    return page_numbers(page)[row];
}

ALWAYS_INLINE bool page_is_shared(const struct page *page)
{
    /* Acquire: what the holder who has just let go read was read before we write. */
    return atomic_load_explicit(&((struct page *)page)->refs, memory_order_acquire) > 1;
}

/* An empty page with one reference. */
struct page *page_new(struct heap *heap, enum page_layout layout);
/* A copy with one reference; blobs are shared. */
struct page *page_clone(struct heap *heap, const struct page *page);
/* One reference more; any thread that has one. */
void page_ref(struct page *page);
/* One reference less, by the owner of the heap: the last one frees the page. */
void page_unref(struct heap *heap, struct page *page);

/* Puts a row before row `at` (== count: behind the last). The page may be moved: *page is set. Takes over the
 * references of blobs. False: the page would be over PAGE_SIZE_MAX, and nothing has changed. Not shared. */
bool page_insert(struct heap *heap, struct page **page, unsigned at, const struct row *row);

/* Takes `count` rows from row `at` on out and drops their blobs. The page may be moved to a smaller block. */
void page_remove(struct heap *heap, struct page **page, unsigned at, unsigned count);

/* Puts `element` in place of one of row `at`, whose blob is dropped. Otherwise as page_insert. */
bool page_replace(struct heap *heap, struct page **page, unsigned at, unsigned which, struct element element);

/* Moves the page to the smallest block that holds it, for one that may stay as it is. Not shared. */
void page_fit(struct heap *heap, struct page **page);

/* Moves the rows from `at` on to a new page. Both are not empty afterwards: 0 < at < count. */
struct page *page_split(struct heap *heap, struct page **page, unsigned at);
/* Moves the rows whose byte in goes_right[0 .. count) is not 0 to a new page; the order of both parts stays. Both are
 * not empty afterwards. */
struct page *page_divide(struct heap *heap, struct page **page, const uint8_t *goes_right);
/* The row before which a split leaves a left part of as nearly `bytes` bytes as there is. Of a page of at least two
 * rows; neither part is empty. */
unsigned page_row_behind(const struct page *page, size_t bytes);

/* Puts all rows of `from` behind those of *page and frees `from`, if all fit into PAGE_SIZE_MAX with some room left for
 * growth. False: nothing has changed. Both must be unshared and of the same layout. */
bool page_merge(struct heap *heap, struct page **page, struct page *from);

/* The first row from `row` on whose tag is `tag`; count when there is none. */
unsigned page_find_tag(const struct page *page, unsigned row, uint8_t tag);

/* Bytes of one row, its part of the columns included. */
size_t page_row_size(const struct page *page, unsigned row);
/* Bytes of the rows without the header and without empty room. */
size_t page_used(const struct page *page);
/* Bytes of the block and of blobs. */
size_t page_memory(const struct page *page);

/* Asserts P1, P2 and that each element is canonical. For tests and debug builds. */
void page_check(const struct page *page);

#endif
