/* A page: rows of elements and numbers in one block of at most 4 KB. Small collections are one page, the leaves of
 * large ones are pages.
 *
 *   header 16 | [base 8] | ends | [numbers] | [tags] | [kinds] | room | bytes of elements | room
 *
 * Principal entry points: page_new, page_insert, page_remove, page_replace, page_element, page_number, page_find.
 * A row has a layout's parts: one or two elements, perhaps a number. Where the bytes of an element end is in a column, so
 * that row n is found at once, and inserting moves bytes only behind (or only before) the row. Pages grow and shrink by
 * reallocation in steps of an eighth, so that little of them is empty.
 * Columns are as wide as the page needs, and change their width when the page moves to another block:
 *
 * | column  | a row takes                  | in which pages                                                         |
 * |---------|------------------------------|------------------------------------------------------------------------|
 * | ends    | 1 byte an element            | narrow ones: at most PAGE_NARROW_BYTES bytes of elements, no BLOB       |
 * |         | none                         | even ones: all rows have elements of the same sizes and kinds, no BLOB; the column has these once |
 * |         | 2 bytes an element           | others: the kind is in the upper bits                                  |
 * | kinds   | 1 bit an element: it is INT  | narrow ones                                                            |
 * | numbers | 1 to 8 bytes: ds/number.h    | those of layouts with numbers                                          |
 * | tags    | 1 byte: that of its element 0 | tagged ones: of layouts whose rows are looked up, with more than PAGE_UNTAGGED_ROWS rows |
 *
 * Threads: the owner of the heap changes pages, and only those with one reference. Others may read a page of which they
 * hold a reference, and may drop that.
 *
 * P1  Rows occupy the slots [first, first + count) of each column, first + count <= capacity.
 * P2  The bytes of row 0 begin at `begin`; those of each further element where the one before ends; the last end is at
 *     most `size`, and `begin` is at least the end of the columns.
 * P3  A page that can be read by two (refs > 1) does not change.
 * P4  Each BLOB element in a page owns one reference of its blob.
 * P5  In a narrow page, begin >= size - PAGE_NARROW_BYTES, and an end is told by its distance from there.
 * P6  An even page has no more rows than PAGE_LOOSE_MAX bytes would hold with wide ends: once it has been divided, each
 *     part has room for those and for another row. No page is both even and narrow. */
#ifndef SKUA_DS_PAGE_H
#define SKUA_DS_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "ds/element.h"
#include "ds/number.h"

#define PAGE_SIZE_MAX      4096 /* as HEAP_BLOCK_MAX: one block of a slab */
#define PAGE_NARROW_BYTES  255
#define PAGE_LOOSE_MAX     5200 /* P6: 5/8 of it, a row and the header are less than a page */
#define PAGE_UNTAGGED_ROWS 16   /* so few are looked through as quickly as their tags */

enum page_layout {
    PAGE_LIST,       /* element */
    PAGE_SET,        /* member */
    PAGE_HASH,       /* field, value */
    PAGE_TIMED_HASH, /* field, value, and when the field expires */
    PAGE_SORTED,     /* score, member: rows ascend */
    PAGE_INDEX,      /* member, score: finds the score of a member */
    PAGE_PENDING,    /* an id's first half, the rest packed (types/stream_group.h): rows ascend */
    PAGE_LAYOUTS,
    /* Not rows at all: packed entries, of which this file only knows how to hold, copy, measure and drop them. The rest is
     * in ds/log.h. */
    PAGE_LOG = PAGE_LAYOUTS,
};

/* What each row of a layout has. */
struct page_shape {
    uint8_t elements; /* 1 or 2 */
    bool tags;        /* rows are looked up by their first element */
    uint8_t numbers;  /* enum number_kind */
};
extern const struct page_shape page_shapes[PAGE_LAYOUTS];

struct page {
    _Atomic uint32_t refs;
    uint8_t layout : 3; /* enum page_layout */
    uint8_t even : 1;
    uint8_t has_blobs : 1; /* 0: no element is a BLOB */
    uint8_t narrow : 1;
    uint8_t tagged : 1;
    uint8_t roomy : 1; /* see page_new_roomy */
    uint8_t form;      /* of the numbers: numbers_form.bits */
    uint16_t count;    /* rows */
    uint16_t capacity;
    uint16_t first; /* P1 */
    uint16_t begin; /* P2 */
    uint16_t size;  /* of the block in bytes */
};
_Static_assert(sizeof(struct page) == 16, "rows follow the header");
_Static_assert(PAGE_LOG < 8, "a layout has three bits");

/* What a row is made of. Parts that the layout does not have are ignored. */
struct row {
    uint64_t number;
    struct element elements[2];
};

/* An end in a wide column: the kind of the element above, the offset in the page below. */
#define PAGE_END_BITS 13
#define PAGE_END_MASK ((1u << PAGE_END_BITS) - 1)

ALWAYS_INLINE const struct page_shape *page_shape(const struct page *page)
{
    return &page_shapes[page->layout];
}

/* ---- Columns: for page.c and the accessors below ----------------------------------------------------------- */

ALWAYS_INLINE uint64_t *page_base(const struct page *page)
{
    return (uint64_t *)((char *)page + sizeof *page);
}

/* The first slot of the ends, whatever the first row's is. */
ALWAYS_INLINE char *page_columns(const struct page *page)
{
    return (char *)page + sizeof *page + (page->form & NUMBER_BASED ? sizeof(uint64_t) : 0);
}

/* Of an even page: size and kind of each element of a row, as in a wide end. */
ALWAYS_INLINE uint16_t *page_sizes(const struct page *page)
{
    return (uint16_t *)page_columns(page);
}

/* Of an even page: bytes of a row's elements. */
ALWAYS_INLINE unsigned page_stride(const struct page *page)
{
    const uint16_t *sizes = page_sizes(page);
    unsigned stride = sizes[0] & PAGE_END_MASK;
    return page_shape(page)->elements == 1 ? stride : stride + (sizes[1] & PAGE_END_MASK);
}

/* The ends of row 0. Not of an even page. */
ALWAYS_INLINE char *page_ends(const struct page *page)
{
    unsigned width = page->narrow ? 1 : sizeof(uint16_t);
    return page_columns(page) + page->first * page_shape(page)->elements * width;
}

ALWAYS_INLINE uint16_t *page_wide_ends(const struct page *page)
{
    return (uint16_t *)page_ends(page);
}

/* Of a narrow page: where an end of 0 would be. May lie before the page. */
ALWAYS_INLINE int page_origin(const struct page *page)
{
    return (int)page->size - PAGE_NARROW_BYTES;
}

/* The first slot of the numbers, whatever the first row's is. */
ALWAYS_INLINE char *page_numbers(const struct page *page)
{
    unsigned width = page->narrow ? 1 : sizeof(uint16_t);
    unsigned slots = page->even ? 1u : page->capacity;
    return page_columns(page) + slots * page_shape(page)->elements * width;
}

/* The same of the tags, and of the kinds. */
ALWAYS_INLINE uint8_t *page_tags(const struct page *page)
{
    return (uint8_t *)page_numbers(page) + page->capacity * (page->form & NUMBER_WIDTH_MASK);
}

ALWAYS_INLINE uint8_t *page_kinds(const struct page *page)
{
    return page_tags(page) + (page->tagged ? page->capacity : 0);
}

/* ---- Reading ----------------------------------------------------------------------------------------------- */

ALWAYS_INLINE struct element page_narrow_element(const struct page *page, unsigned index)
{
    const uint8_t *ends = (const uint8_t *)page_ends(page);
    int start = index == 0 ? page->begin : page_origin(page) + ends[index - 1];
    unsigned slot = index + page->first * page_shape(page)->elements;
    return (struct element){(const char *)page + start, (uint16_t)(page_origin(page) + ends[index] - start),
                            page_kinds(page)[slot / 8] >> slot % 8 & 1};
}

ALWAYS_INLINE struct element page_even_element(const struct page *page, unsigned row, unsigned which)
{
    const uint16_t *sizes = page_sizes(page);
    const char *data = (const char *)page + page->begin + row * page_stride(page);
    if (which > 0)
        data += sizes[0] & PAGE_END_MASK;
    return (struct element){data, sizes[which] & PAGE_END_MASK, (uint8_t)(sizes[which] >> PAGE_END_BITS)};
}

/* Element `which` of row `row`, valid until the page changes. */
ALWAYS_INLINE struct element page_element(const struct page *page, unsigned row, unsigned which)
{
    if (page->even)
        return page_even_element(page, row, which);
    unsigned index = row * page_shape(page)->elements + which;
    if (page->narrow)
        return page_narrow_element(page, index);
    const uint16_t *ends = page_wide_ends(page);
    unsigned start = index == 0 ? page->begin : ends[index - 1] & PAGE_END_MASK;
    unsigned end = ends[index];
    return (struct element){(const char *)page + start, (uint16_t)((end & PAGE_END_MASK) - start),
                            (uint8_t)(end >> PAGE_END_BITS)};
}

/* Only of a layout with numbers. */
ALWAYS_INLINE uint64_t page_number(const struct page *page, unsigned row)
{
    return number_read((enum number_kind)page_shape(page)->numbers, page->form, *page_base(page),
                       page_numbers(page), page->first + row);
}

/* The numbers of a page, for those who read many: good until the page changes. */
struct page_scores {
    const char *first; /* slot of row 0 */
    uint64_t base;
    unsigned form;
};

/* Only of a layout with scores. */
ALWAYS_INLINE struct page_scores page_scores(const struct page *page)
{
    unsigned width = page->form & NUMBER_WIDTH_MASK;
    uint64_t base = page->form & NUMBER_BASED ? *page_base(page) : 0;
    return (struct page_scores){page_numbers(page) + page->first * width, base, page->form};
}

ALWAYS_INLINE uint64_t page_score(const struct page_scores *scores, unsigned row)
{
    return number_read(NUMBERS_SCORES, scores->form, scores->base, scores->first, row);
}

/* The row whose first element is `wanted`, in a layout of which rows are looked up or a sorted one; count when there is
 * none. */
unsigned page_find(const struct page *page, struct element wanted);
/* The same for a text of more than ELEMENT_BYTES_MAX bytes, which has no element before it is stored. */
unsigned page_find_long(const struct page *page, struct slice text);

ALWAYS_INLINE bool page_is_shared(const struct page *page)
{
    /* Acquire: what the holder who has just let go read was read before we write. */
    return atomic_load_explicit(&((struct page *)page)->refs, memory_order_acquire) > 1;
}

/* Looking a row up in steps, each of which asks for what the next one reads, so that the misses of several look-ups overlap.
 * The header has been asked for before the first. */
#define PAGE_FETCH_ROWS 3 /* with the tag: of a full page, most often no other row has it, or one */
struct page_fetch {
    uint8_t tag;    /* of the element that is looked for */
    bool adds;      /* a row may be added behind the last */
    bool knows_all; /* `rows` are all that have the tag, of the first `seen` ones */
    uint8_t count;  /* 0: nothing is known */
    uint16_t seen;
    uint16_t rows[PAGE_FETCH_ROWS]; /* [0, count): those with the tag; without any, some other row */
    uint16_t tags, ends;            /* of a tagged page: where those of row 0 are in it */
    const char *places[2];          /* the ends of the first one's element */
    const char *behind;             /* where a row may be added */
};
void page_fetch_tags(const struct page *page, struct page_fetch *fetch);
void page_fetch_ends(const struct page *page, struct page_fetch *fetch);
/* Finds the places, and asks for nothing: they lie apart from all that has been read, see page_fetch_places. */
void page_fetch_rows(const struct page *page, struct page_fetch *fetch);
void page_fetch_places(const struct page_fetch *fetch);
/* As page_find, from what page_fetch_ends has found. Since then the page may have moved, and rows may have come behind the
 * others; `rows_hold`: nothing else has happened to them. */
unsigned page_find_fetched(const struct page *page, struct element wanted, const struct page_fetch *fetch,
                           bool rows_hold);

#define PAGE_PREFETCH_BYTES 640 /* columns and the first rows of a leaf */

/* Header, columns and row are needed one after the other, each to find the next: asked for at once they arrive at once. */
ALWAYS_INLINE void page_prefetch(const struct page *page)
{
    for (size_t offset = 0; offset < PAGE_PREFETCH_BYTES; offset += CACHE_LINE)
        prefetch((const char *)page + offset);
}

/* An empty page with one reference. */
struct page *page_new(struct heap *heap, enum page_layout layout);
/* The same in a block of at least `size` bytes, which grows by doubling until page_fit: for rows that will come one after the
 * other. Few moves then, and the blocks left behind are of few classes. */
struct page *page_new_roomy(struct heap *heap, enum page_layout layout, size_t size);
/* A copy with one reference; blobs are shared. */
struct page *page_clone(struct heap *heap, const struct page *page);
/* One reference more; any thread that has one. */
void page_ref(struct page *page);
/* One reference less, by the owner of the heap: the last one frees the page. */
void page_unref(struct heap *heap, struct page *page);

/* Puts a row before row `at` (== count: behind the last). The page may be moved: *page is set. Takes over the
 * references of blobs. False: the page would be over PAGE_SIZE_MAX, and nothing has changed. Not shared. */
bool page_insert(struct heap *heap, struct page **page, unsigned at, const struct row *row);

/* Puts a row before the first one, or behind the last one, of a list's page, where there is room and nothing but the row has to be
 * written. Takes over the reference of a blob. False: nothing has changed, page_insert may do it all the same. Not shared. */
bool page_prepend(struct page *page, struct element element);
bool page_append(struct page *page, struct element element);

/* Takes the first row or the last one of a list's page out, where nothing but the header has to be written: the bytes of its element
 * stay where they are. False: nothing has changed, page_remove may do it all the same. Not shared. */
bool page_drop_end(struct page *page, bool at_start);

/* Takes `count` rows from row `at` on out and drops their blobs. The page may be moved to a smaller block. */
void page_remove(struct heap *heap, struct page **page, unsigned at, unsigned count);

/* The same with one row, and the last one may take its place: less work where rows lie in no order. */
void page_remove_unordered(struct heap *heap, struct page **page, unsigned at);

/* Puts `element` in place of one of row `at`, whose blob is dropped. Otherwise as page_insert. */
bool page_replace(struct heap *heap, struct page **page, unsigned at, unsigned which, struct element element);

/* Gives row `at` another number. Otherwise as page_insert. */
bool page_set_number(struct heap *heap, struct page **page, unsigned at, uint64_t number);

/* Gives row `from` another number and the place of row `to`; the rows between them move up or down by one. In a layout of
 * one element a row. False: the column cannot take the number, and nothing has changed. Not shared. */
bool page_move(struct page *page, unsigned from, unsigned to, uint64_t number);

/* Moves the page to the smallest block that holds it, for one that may stay as it is, or (`with_room`) to one in which a
 * little more has room. Not shared. */
void page_fit(struct heap *heap, struct page **page, bool with_room);

/* Moves the rows from `at` on to a new page. Both are not empty afterwards: 0 < at < count. */
struct page *page_split(struct heap *heap, struct page **page, unsigned at);
/* Moves the rows whose byte in goes_right[0 .. count) is not 0 to a new page; the order of both parts stays. Both are
 * not empty afterwards. */
struct page *page_divide(struct heap *heap, struct page **page, const uint8_t *goes_right);
/* The row before which a split leaves a left part of as nearly `bytes` bytes as there is. Of a page of at least two
 * rows; neither part is empty. */
unsigned page_row_behind(const struct page *page, size_t bytes);

/* Puts all rows of `from` behind those of *page and frees `from`, if all fit into PAGE_SIZE_MAX with some room left for
 * growth, in columns as wide as they need together. False: nothing has changed. Both must be unshared and of the same layout. */
bool page_merge(struct heap *heap, struct page **page, struct page *from);

/* Bytes of each row, its part of the columns included. */
void page_row_sizes(const struct page *page, uint16_t *sizes);
/* Bytes of the rows without the header and without empty room. */
size_t page_used(const struct page *page);
/* Bytes of the elements alone. */
size_t page_text_size(const struct page *page);
/* Bytes of the block and of blobs. */
size_t page_memory(const struct page *page);

/* Asserts P1, P2, P5, P6, that each column says what its rows are, and that each element is canonical. For tests and debug builds. */
void page_check(const struct page *page);

#endif
