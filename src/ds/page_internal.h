/* What the files of the page share: how its columns are laid out, and moving it to another block. Nobody else includes it.
 * Threads: see page.h. */
#ifndef SKUA_DS_PAGE_INTERNAL_H
#define SKUA_DS_PAGE_INTERNAL_H

#include "base/bug.h"
#include "base/macros.h"
#include "ds/page.h"

#define PAGE_ROOM_SHARE 8 /* a page that grows gets an eighth more than it needs */

/* ---- Columns ----------------------------------------------------------------------------------------------- */

/* What decides the columns of a page. */
struct plan {
    enum page_layout layout;
    bool narrow;
    bool even;
    bool tagged;
    uint16_t sizes[2]; /* even: page_sizes */
    struct numbers_form form;
};

ALWAYS_INLINE struct plan plan_of(const struct page *page)
{
    bool based = page->form & NUMBER_BASED;
    return (struct plan){.layout = (enum page_layout)page->layout,
                         .narrow = page->narrow,
                         .even = page->even,
                         .tagged = page->tagged,
                         .form = {page->form, based ? *page_base(page) : 0}};
}

/* Bytes that a row takes in the columns, but for the bits of kinds. */
ALWAYS_INLINE unsigned plan_row_size(const struct plan *plan)
{
    unsigned end_size = plan->even ? 0 : plan->narrow ? 1 : sizeof(uint16_t);
    return page_shapes[plan->layout].elements * end_size + (plan->form.bits & NUMBER_WIDTH_MASK) +
           (plan->tagged ? 1u : 0);
}

/* What a row would take if the page were not even. */
ALWAYS_INLINE unsigned plan_loose_row_size(const struct plan *plan)
{
    const uint16_t *sizes = plan->sizes;
    unsigned elements = page_shapes[plan->layout].elements;
    unsigned bytes = (sizes[0] & PAGE_END_MASK) + (elements > 1 ? sizes[1] & PAGE_END_MASK : 0u);
    return plan_row_size(plan) + elements * (unsigned)sizeof(uint16_t) + bytes;
}

/* Sizes and kinds of all elements, if those of all rows are the same. */
struct evenness {
    bool holds;
    uint16_t sizes[2]; /* as page_sizes */
};

ALWAYS_INLINE unsigned plan_kinds_size(const struct plan *plan, unsigned capacity)
{
    return plan->narrow ? (capacity * page_shapes[plan->layout].elements + 7) / 8 : 0;
}

/* Header and columns. */
ALWAYS_INLINE unsigned plan_columns_end(const struct plan *plan, unsigned capacity)
{
    return (unsigned)sizeof(struct page) +
           (plan->form.bits & NUMBER_BASED ? (unsigned)sizeof plan->form.base : 0) +
           (plan->even ? page_shapes[plan->layout].elements * (unsigned)sizeof(uint16_t) : 0) +
           capacity * plan_row_size(plan) + plan_kinds_size(plan, capacity);
}

ALWAYS_INLINE unsigned row_size(const struct page *page)
{
    struct plan plan = plan_of(page);
    return plan_row_size(&plan);
}

ALWAYS_INLINE unsigned columns_end(const struct page *page)
{
    struct plan plan = plan_of(page);
    return plan_columns_end(&plan, page->capacity);
}

/* The least that `begin` can be. */
ALWAYS_INLINE unsigned text_floor(const struct page *page)
{
    int columns = (int)columns_end(page);
    return (unsigned)(page->narrow && page_origin(page) > columns ? page_origin(page) : columns);
}

ALWAYS_INLINE unsigned elements_of(const struct page *page)
{
    return page_shape(page)->elements;
}

/* Where element `index`, counted over rows, ends. */
ALWAYS_INLINE unsigned end_at(const struct page *page, unsigned index)
{
    if (page->even) {
        struct element element =
            page_even_element(page, index / elements_of(page), index % elements_of(page));
        return (unsigned)(element.data + element.size - (const char *)page);
    }
    if (page->narrow)
        return (unsigned)(page_origin(page) + ((const uint8_t *)page_ends(page))[index]);
    return page_wide_ends(page)[index] & PAGE_END_MASK;
}

/* Not of an even page. */
ALWAYS_INLINE void set_end(struct page *page, unsigned index, unsigned end, unsigned kind)
{
    if (!page->narrow) {
        page_wide_ends(page)[index] = (uint16_t)(end | kind << PAGE_END_BITS);
        return;
    }
    ((uint8_t *)page_ends(page))[index] = (uint8_t)((int)end - page_origin(page));
    unsigned slot = index + page->first * elements_of(page);
    uint8_t *kinds = page_kinds(page) + slot / 8;
    *kinds = (uint8_t)((*kinds & ~(1u << slot % 8)) | (kind == ELEMENT_INT) << slot % 8);
}

/* Adds `more` to the ends [from, to). */
static inline void shift_ends(struct page *page, unsigned from, unsigned to, int more)
{
    uint8_t *narrow = (uint8_t *)page_ends(page);
    uint16_t *wide = page_wide_ends(page);
    if (page->even)
        return;
    if (page->narrow)
        for (unsigned i = from; i < to; i++)
            narrow[i] = (uint8_t)(narrow[i] + more);
    else
        for (unsigned i = from; i < to; i++)
            wide[i] = (uint16_t)(wide[i] + more);
}

/* Where the bytes of row `row` begin; of row `count`, where the last ones end. */
ALWAYS_INLINE unsigned row_start(const struct page *page, unsigned row)
{
    if (page->even)
        return page->begin + row * page_stride(page);
    return row == 0 ? page->begin : end_at(page, row * elements_of(page) - 1);
}

ALWAYS_INLINE uint16_t size_and_kind(struct element element)
{
    return (uint16_t)(element.size | (unsigned)element.kind << PAGE_END_BITS);
}

/* Bytes of the rows before row `row`. */
static inline size_t used_before(const struct page *page, unsigned row)
{
    struct plan plan = plan_of(page);
    return row * plan_row_size(&plan) + plan_kinds_size(&plan, row) + row_start(page, row) - page->begin;
}

/* ---- Numbers ----------------------------------------------------------------------------------------------- */

ALWAYS_INLINE enum number_kind number_kind(const struct page *page)
{
    return (enum number_kind)page_shape(page)->numbers;
}

/* What the page's column stores for a number. False: it needs another form. True without such a column. */
ALWAYS_INLINE bool encode_number(const struct page *page, uint64_t number, uint64_t *ret_stored)
{
    *ret_stored = number;
    if (page->form == 0 || page->form == NUMBER_AS_IT_IS)
        return true;
    struct numbers_form form = {page->form, page->form & NUMBER_BASED ? *page_base(page) : 0};
    return number_encode(number_kind(page), &form, number, ret_stored);
}

/* ---- Rows (page.c) ------------------------------------------------------------------------------------------ */

/* Takes rows out as page_remove does, without dropping blobs. */
void page_take_rows(struct heap *heap, struct page **page, unsigned at, unsigned count);

static inline void drop_blobs(const struct page *page, unsigned from, unsigned to)
{
    for (unsigned row = from; page->has_blobs && row < to; row++)
        for (unsigned which = 0; which < elements_of(page); which++)
            element_unref(page_element(page, row, which));
}

/* ---- Blocks (page_block.c) ----------------------------------------------------------------------------------- */

/* Moves `count` bits of a column of kinds; both places may overlap. */
void page_move_bits(uint8_t *bits, unsigned to, unsigned from, unsigned count);

/* What a page that moves to another block is to have room for. */
struct growth {
    unsigned rows, bytes;
    bool at_front;            /* the room lies before the rows */
    bool blob;                /* a BLOB will come */
    bool uneven;              /* an element will have another size or kind */
    const struct row *row;    /* will come, if not NULL */
    const uint64_t *number;   /* will come; NULL: none, or one that the column can take */
    const struct page *joins; /* the rows of this page will come */
};

/* Moves the page to a block with room for more. False: over the maximum. */
bool page_rebuild(struct heap *heap, struct page **page, const struct growth *growth);

#endif
