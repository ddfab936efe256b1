/* Pages of rows. Entry: page_insert, page_remove, page_split. Threads and invariants: see page.h. */
#include "ds/page.h"

#include "base/bug.h"
#include "base/macros.h"
#include "ds/log.h"

#define PAGE_ROOM_SHARE 8 /* a page that grows gets an eighth more than it needs */
#define PAGE_ROOM_MIN   16
#define PAGE_EVEN_ROWS  16
#define PAGE_SHRINK_MIN 128 /* blocks up to this size are not made smaller */
/* So that a page can become wide, at the latest after it has been divided once */
#define NARROW_ENDS_MAX 1024

const struct page_shape page_shapes[PAGE_LAYOUTS] = {
    [PAGE_LIST] = {.elements = 1},
    [PAGE_SET] = {.elements = 1, .tags = true},
    [PAGE_HASH] = {.elements = 2, .tags = true},
    [PAGE_TIMED_HASH] = {.elements = 2, .tags = true, .numbers = NUMBERS_MOMENTS},
    [PAGE_SORTED] = {.elements = 1, .numbers = NUMBERS_SCORES},
    [PAGE_INDEX] = {.elements = 1, .tags = true, .numbers = NUMBERS_SCORES},
    [PAGE_PENDING] = {.elements = 1, .numbers = NUMBERS_MOMENTS},
};

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

/* Not of the smallest pages: what they would save is less than what a row that differs would cost. Nor of empty strings: any
 * number of rows without a byte and without a column would have room. */
ALWAYS_INLINE bool may_be_even(unsigned rows, unsigned bytes)
{
    return bytes > 0 && (rows > PAGE_EVEN_ROWS || bytes > PAGE_NARROW_BYTES);
}

/* Sizes and kinds of all elements, if those of all rows are the same. */
struct evenness {
    bool holds;
    uint16_t sizes[2]; /* as page_sizes */
};

/* Columns as narrow as so many rows with so many bytes allow. `evenness`: theirs. */
ALWAYS_INLINE struct plan plan_make(enum page_layout layout, unsigned rows, unsigned bytes, bool blobs,
                                    struct numbers_form form, const struct evenness *evenness)
{
    const struct page_shape *shape = &page_shapes[layout];
    struct plan plan = {.layout = layout, .tagged = shape->tags && rows > PAGE_UNTAGGED_ROWS, .form = form};
    plan.narrow = !blobs && bytes <= PAGE_NARROW_BYTES && rows * shape->elements <= NARROW_ENDS_MAX;
    struct plan even = plan;
    even.narrow = false;
    even.even = true;
    memcpy(even.sizes, evenness->sizes, sizeof even.sizes);
    bool is_even = evenness->holds && !blobs && may_be_even(rows, bytes) &&
                   rows * plan_loose_row_size(&even) <= PAGE_LOOSE_MAX; /* P6 */
    return is_even ? even : plan;
}

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

static unsigned row_size(const struct page *page)
{
    struct plan plan = plan_of(page);
    return plan_row_size(&plan);
}

static unsigned columns_end(const struct page *page)
{
    struct plan plan = plan_of(page);
    return plan_columns_end(&plan, page->capacity);
}

/* The least that `begin` can be. */
static unsigned text_floor(const struct page *page)
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
static void shift_ends(struct page *page, unsigned from, unsigned to, int more)
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

static uint16_t size_and_kind(struct element element)
{
    return (uint16_t)(element.size | (unsigned)element.kind << PAGE_END_BITS);
}

/* Whether the row is as those told. True of the first one, which is told from then on: `rows` is 0. */
static bool is_even_with(struct evenness *evenness, unsigned rows, unsigned elements,
                         const struct element row[static 1])
{
    for (unsigned which = 0; which < elements; which++) {
        uint16_t size = size_and_kind(row[which]);
        if (rows == 0)
            evenness->sizes[which] = size;
        else if (evenness->sizes[which] != size)
            return false;
    }
    return true;
}

static bool is_row_even_with(struct evenness *evenness, unsigned rows, const struct page *page, unsigned row)
{
    unsigned elements = elements_of(page);
    struct element found[2] = {page_element(page, row, 0), page_element(page, row, elements - 1)};
    return is_even_with(evenness, rows, elements, found);
}

/* Whether the rows [from, to) of a page with wide ends are as those told. */
static bool are_wide_rows_even_with(const struct evenness *evenness, const struct page *page, unsigned from,
                                    unsigned to)
{
    const uint16_t *ends = page_wide_ends(page);
    unsigned elements = elements_of(page), start = row_start(page, from);
    for (unsigned i = from * elements; i < to * elements; i++) {
        if (ends[i] - start != evenness->sizes[i % elements])
            return false;
        start = ends[i] & PAGE_END_MASK;
    }
    return true;
}

/* That of the rows [from, to). The last one is looked at early: what came last is most likely to differ. */
static struct evenness evenness_of(const struct page *page, unsigned from, unsigned to)
{
    struct evenness evenness = {.holds = !page->has_blobs};
    if (page->even) {
        memcpy(evenness.sizes, page_sizes(page), elements_of(page) * sizeof evenness.sizes[0]);
        return evenness;
    }
    if (!evenness.holds || from == to)
        return evenness;
    evenness.holds =
        is_row_even_with(&evenness, 0, page, from) && is_row_even_with(&evenness, 1, page, to - 1);
    if (evenness.holds && !page->narrow)
        evenness.holds = are_wide_rows_even_with(&evenness, page, from, to);
    for (unsigned row = from + 1; page->narrow && evenness.holds && row < to; row++)
        evenness.holds = is_row_even_with(&evenness, 1, page, row);
    return evenness;
}

/* Whether the rows of an even page are as this one. */
static bool is_as_even(const struct page *page, const struct row *row)
{
    for (unsigned which = 0; which < elements_of(page); which++)
        if (page_sizes(page)[which] != size_and_kind(row->elements[which]))
            return false;
    return true;
}

size_t page_text_size(const struct page *page)
{
    return row_start(page, page->count) - page->begin;
}

/* Bytes of the rows before row `row`. */
static size_t used_before(const struct page *page, unsigned row)
{
    struct plan plan = plan_of(page);
    return row * plan_row_size(&plan) + plan_kinds_size(&plan, row) + row_start(page, row) - page->begin;
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

/* ---- Numbers ----------------------------------------------------------------------------------------------- */

static enum number_kind number_kind(const struct page *page)
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

static void add_to_span(struct number_span *span, const struct page *page, unsigned from, unsigned to)
{
    for (unsigned row = from; row < to; row++)
        number_span_add(number_kind(page), span, page_number(page, row));
}

/* The form for rows [from, to). */
static struct numbers_form choose_form(const struct page *page, unsigned from, unsigned to)
{
    struct numbers_form form = plan_of(page).form;
    struct number_span span = {0};
    if (form.bits == 0 || from == to)
        return form;
    add_to_span(&span, page, from, to);
    numbers_form_choose(&span, &form);
    return form;
}

/* ---- Bits of kinds ----------------------------------------------------------------------------------------- */

/* Up to 8 bits from bit `at` on. */
static unsigned get_bits(const uint8_t *bits, unsigned at, unsigned count)
{
    unsigned value = bits[at / 8] >> at % 8;
    if (at % 8 + count > 8)
        value |= (unsigned)bits[at / 8 + 1] << (8 - at % 8);
    return value & ((1u << count) - 1);
}

static void put_bits(uint8_t *bits, unsigned at, unsigned count, unsigned value)
{
    unsigned mask = ((1u << count) - 1) << at % 8;
    value <<= at % 8;
    bits[at / 8] = (uint8_t)((bits[at / 8] & ~mask) | value);
    if (mask > UINT8_MAX)
        bits[at / 8 + 1] = (uint8_t)((bits[at / 8 + 1] & ~(mask >> 8)) | value >> 8);
}

/* Moves `count` bits; both places may overlap. */
static void move_bits(uint8_t *bits, unsigned to, unsigned from, unsigned count)
{
    unsigned part;
    if (to < from) {
        for (unsigned done = 0; done < count; done += part) {
            part = count - done < 8 ? count - done : 8;
            put_bits(bits, to + done, part, get_bits(bits, from + done, part));
        }
        return;
    }
    for (unsigned left = count; left > 0; left -= part) {
        part = left < 8 ? left : 8;
        put_bits(bits, to + left - part, part, get_bits(bits, from + left - part, part));
    }
}

/* ---- Blocks ------------------------------------------------------------------------------------------------ */

/* An empty page with room for `rows` rows with `bytes` bytes and about `room` bytes more. NULL: over the maximum. */
static struct page *page_allocate_with(struct heap *heap, const struct plan *plan, unsigned rows,
                                       unsigned bytes, size_t room)
{
    size_t needed = plan_columns_end(plan, rows) + bytes;
    if (needed > PAGE_SIZE_MAX)
        return NULL;
    size_t size = heap_block_size(needed + room);
    if (size > PAGE_SIZE_MAX)
        size = PAGE_SIZE_MAX;
    struct page *page = heap_alloc(heap, size);
    if (page == NULL)
        fatal("out of memory");
    size_t average = plan_row_size(plan) + (rows == 0 ? 8 : bytes / rows);
    size_t capacity = rows + (size - needed) / average;
    if (page_shapes[plan->layout].tags && !plan->tagged && capacity > PAGE_UNTAGGED_ROWS)
        capacity = PAGE_UNTAGGED_ROWS;
    if (plan->even && capacity > PAGE_LOOSE_MAX / plan_loose_row_size(plan))
        capacity = PAGE_LOOSE_MAX / plan_loose_row_size(plan);
    while (plan->narrow && capacity > rows && plan_columns_end(plan, (unsigned)capacity) + bytes > size)
        capacity--; /* the bits of kinds were not counted */
    atomic_init(&page->refs, 1);
    page->layout = (uint8_t)plan->layout & 7;
    page->even = plan->even;
    page->has_blobs = false;
    page->narrow = plan->narrow;
    page->tagged = plan->tagged;
    page->roomy = false;
    page->form = plan->form.bits;
    page->count = 0;
    page->capacity = (uint16_t)capacity;
    page->first = 0;
    page->size = (uint16_t)size;
    if (plan->form.bits & NUMBER_BASED)
        *page_base(page) = plan->form.base;
    if (plan->even)
        memcpy(page_sizes(page), plan->sizes, elements_of(page) * sizeof plan->sizes[0]);
    int begin = (int)plan_columns_end(plan, (unsigned)capacity);
    page->begin = (uint16_t)(page->narrow && page_origin(page) > begin ? page_origin(page) : begin);
    return page;
}

/* The same with an eighth more for rows that will come. */
static struct page *page_allocate(struct heap *heap, const struct plan *plan, unsigned rows, unsigned bytes)
{
    size_t room = (rows * plan_row_size(plan) + bytes) / PAGE_ROOM_SHARE + PAGE_ROOM_MIN;
    return page_allocate_with(heap, plan, rows, bytes, room);
}

/* Puts the kinds of `count` elements from element `from` of `source` on in place of those from `at` on. */
static void append_kinds(struct page *page, unsigned at, const struct page *source, unsigned from,
                         unsigned count)
{
    uint8_t *kinds = page_kinds(page);
    const uint8_t *source_kinds = page_kinds(source);
    at += page->first * elements_of(page);
    from += source->first * elements_of(source);
    if ((at | from) % 8 == 0) {
        for (unsigned done = 0; done < count; done += 8)
            kinds[(at + done) / 8] = source_kinds[(from + done) / 8];
        return;
    }
    for (unsigned done = 0, part; done < count; done += part) {
        part = count - done < 8 ? count - done : 8;
        put_bits(kinds, at + done, part, get_bits(source_kinds, from + done, part));
    }
}

/* The ends of `count` elements from element `from` of `source` on become those from `at` on, `more` bytes further on. */
static void append_ends(struct page *page, unsigned at, const struct page *source, unsigned from,
                        unsigned count, int more)
{
    if (page->even)
        return;
    if (!page->narrow && !source->narrow && !source->even) {
        uint16_t *ends = page_wide_ends(page) + at;
        const uint16_t *source_ends = page_wide_ends(source) + from;
        for (unsigned i = 0; i < count; i++)
            ends[i] = (uint16_t)(source_ends[i] + more);
    } else if (page->narrow && source->narrow) {
        uint8_t *ends = (uint8_t *)page_ends(page) + at;
        const uint8_t *source_ends = (const uint8_t *)page_ends(source) + from;
        more += page_origin(source) - page_origin(page);
        for (unsigned i = 0; i < count; i++)
            ends[i] = (uint8_t)(source_ends[i] + more);
        append_kinds(page, at, source, from, count);
    } else {
        unsigned elements = elements_of(source);
        for (unsigned i = 0; i < count; i++) {
            struct element element = page_element(source, (from + i) / elements, (from + i) % elements);
            unsigned end = (unsigned)(element.data + element.size - (const char *)source);
            set_end(page, at + i, (unsigned)((int)end + more), element.kind);
        }
    }
}

static void append_numbers(struct page *page, unsigned at, const struct page *source, unsigned from,
                           unsigned to)
{
    struct plan plan = plan_of(page), source_plan = plan_of(source);
    unsigned width = page->form & NUMBER_WIDTH_MASK;
    char *column = page_numbers(page);
    if (plan.form.bits == source_plan.form.bits && plan.form.base == source_plan.form.base) {
        memcpy(column + (page->first + at) * width, page_numbers(source) + (source->first + from) * width,
               (to - from) * width);
        return;
    }
    for (unsigned row = from; row < to; row++, at++) {
        uint64_t stored;
        if (!number_encode(number_kind(page), &plan.form, page_number(source, row), &stored))
            BUG("a number has no place in the form that was chosen for it");
        number_write(page->form, column, page->first + at, stored);
    }
}

/* Puts the rows [from, to) of `source` behind those of `page`, which has the room. Blobs are not counted. */
static void append_rows(struct page *page, const struct page *source, unsigned from, unsigned to)
{
    unsigned rows = to - from, at = page->count;
    unsigned start = row_start(source, from), size = row_start(source, to) - start;
    unsigned target = row_start(page, at);
    page->count = (uint16_t)(at + rows);
    memcpy((char *)page + target, (const char *)source + start, size);
    unsigned elements = elements_of(page);
    append_ends(page, at * elements, source, from * elements, rows * elements, (int)target - (int)start);
    if (page->form != 0)
        append_numbers(page, at, source, from, to);
    if (page->tagged && source->tagged)
        memcpy(page_tags(page) + page->first + at, page_tags(source) + source->first + from, rows);
    else if (page->tagged)
        for (unsigned row = at; row < page->count; row++)
            page_tags(page)[page->first + row] = element_tag(page_element(page, row, 0));
    page->has_blobs |= source->has_blobs;
}

/* Frees the block, not what its blobs refer to. */
static void page_release(struct heap *heap, struct page *page)
{
    heap_release(heap, page, page->size);
}

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

/* The form of the numbers: another one if some need it, or if the page may need less than it did. */
static struct numbers_form form_after(const struct page *page, const struct growth *growth)
{
    struct numbers_form form = plan_of(page).form;
    struct number_span span = {0};
    bool keeps = growth->number == NULL && growth->joins == NULL &&
                 (growth->rows > 0 || form.bits == NUMBER_NARROWEST) && !page->roomy;
    if (form.bits == 0 || keeps)
        return form;
    add_to_span(&span, page, 0, page->count);
    if (growth->number != NULL)
        number_span_add(number_kind(page), &span, *growth->number);
    if (growth->joins != NULL)
        add_to_span(&span, growth->joins, 0, growth->joins->count);
    if (span.count > 0)
        numbers_form_choose(&span, &form);
    return form;
}

static struct evenness evenness_after(const struct page *page, const struct growth *growth)
{
    struct evenness evenness = evenness_of(page, 0, page->count);
    unsigned elements = elements_of(page);
    evenness.holds &= !growth->uneven && page->count > 0;
    if (evenness.holds && growth->row != NULL)
        evenness.holds = is_even_with(&evenness, 1, elements, growth->row->elements);
    if (evenness.holds && growth->joins != NULL) {
        struct evenness other = evenness_of(growth->joins, 0, growth->joins->count);
        evenness.holds =
            other.holds && memcmp(other.sizes, evenness.sizes, elements * sizeof other.sizes[0]) == 0;
    }
    return evenness;
}

/* In a block of `size` bytes, or of twice as many, and so on. */
static struct page *allocate_roomy(struct heap *heap, const struct plan *plan, unsigned rows, unsigned bytes,
                                   size_t size)
{
    struct plan wide = *plan;
    wide.narrow = false;
    size_t needed = plan_columns_end(&wide, rows) + bytes;
    while (size < PAGE_SIZE_MAX && size < needed + needed / PAGE_ROOM_SHARE)
        size *= 2;
    struct page *page = page_allocate_with(heap, &wide, rows, bytes, size > needed ? size - needed : 0);
    if (page != NULL)
        page->roomy = true;
    return page;
}

/* Moves the page to a block with room for more. False: over the maximum. */
static bool page_rebuild(struct heap *heap, struct page **page, const struct growth *growth)
{
    struct page *old = *page;
    unsigned rows = old->count + growth->rows, bytes = (unsigned)page_text_size(old) + growth->bytes;
    bool blobs = old->has_blobs || growth->blob || (growth->joins != NULL && growth->joins->has_blobs);
    struct evenness evenness = {.holds = false};
    if (may_be_even(rows, bytes))
        evenness = evenness_after(old, growth);
    struct plan plan =
        plan_make((enum page_layout)old->layout, rows, bytes, blobs, form_after(old, growth), &evenness);
    struct page *fresh = old->roomy ? allocate_roomy(heap, &plan, rows, bytes, old->size)
                                    : page_allocate(heap, &plan, rows, bytes);
    if (fresh == NULL)
        return false;
    if (growth->at_front) {
        fresh->first = (uint16_t)(fresh->capacity - old->count);
        fresh->begin = (uint16_t)(fresh->size - page_text_size(old));
    }
    append_rows(fresh, old, 0, old->count);
    page_release(heap, old);
    *page = fresh;
    return true;
}

/* Where most numbers that come first have a place. */
static struct numbers_form first_form(enum page_layout layout)
{
    return (struct numbers_form){page_shapes[layout].numbers == NUMBERS_NONE ? 0 : NUMBER_NARROWEST, 0};
}

struct page *page_new(struct heap *heap, enum page_layout layout)
{
    if (layout == PAGE_LOG)
        return log_new(heap);
    struct plan plan = plan_make(layout, 0, 0, false, first_form(layout), &(struct evenness){0});
    return page_allocate(heap, &plan, 0, 0);
}

struct page *page_new_roomy(struct heap *heap, enum page_layout layout, size_t size)
{
    struct numbers_form form = {page_shapes[layout].numbers == NUMBERS_NONE ? 0 : NUMBER_AS_IT_IS, 0};
    struct plan plan = plan_make(layout, 0, 0, false, form, &(struct evenness){0});
    return allocate_roomy(heap, &plan, 0, 0, size);
}

struct page *page_clone(struct heap *heap, const struct page *page)
{
    if (page->layout == PAGE_LOG)
        return log_clone(heap, page);
    unsigned bytes = (unsigned)page_text_size(page);
    struct evenness evenness = evenness_of(page, 0, page->count);
    struct plan plan = plan_make((enum page_layout)page->layout, page->count, bytes, page->has_blobs,
                                 plan_of(page).form, &evenness);
    struct page *copy = page_allocate(heap, &plan, page->count, bytes);
    append_rows(copy, page, 0, page->count);
    if (page->has_blobs)
        for (unsigned row = 0; row < page->count; row++)
            for (unsigned which = 0; which < elements_of(page); which++)
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
        for (unsigned which = 0; which < elements_of(page); which++)
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
        move_bits(page_kinds(page), (page->first + to) * elements, (page->first + from) * elements,
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

bool page_insert(struct heap *heap, struct page **page, unsigned at, const struct row *row)
{
    struct page *target = *page;
    DEBUG_ASSERT(!page_is_shared(target) && at <= target->count);
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

static void shrink(struct heap *heap, struct page **page)
{
    struct page *target = *page;
    if (target->size > PAGE_SHRINK_MIN && sizeof *target + page_used(target) < target->size / 2) {
        target->roomy = false;
        page_rebuild(heap, page, &(struct growth){0});
    }
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
    shrink(heap, page);
}

void page_remove(struct heap *heap, struct page **page, unsigned at, unsigned count)
{
    DEBUG_ASSERT(!page_is_shared(*page) && at + count <= (*page)->count);
    drop_blobs(*page, at, at + count);
    take_rows(heap, page, at, count);
}

/* Puts the last row in place of row `at`, if its elements are as long. */
static bool fill_with_last(struct page *page, unsigned at)
{
    unsigned elements = elements_of(page), last = page->count - 1u, width = page->form & NUMBER_WIDTH_MASK;
    for (unsigned which = 0; which < elements; which++)
        if (page_element(page, at, which).size != page_element(page, last, which).size)
            return false;
    for (unsigned which = 0; which < elements && at != last; which++) {
        struct element source = page_element(page, last, which), target = page_element(page, at, which);
        memcpy((char *)target.data, source.data, source.size);
        if (!page->even)
            set_end(page, at * elements + which, end_at(page, at * elements + which), source.kind);
    }
    char *numbers = page_numbers(page) + page->first * width;
    memmove(numbers + at * width, numbers + last * width, width);
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
        take_rows(heap, page, at, 1);
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

void page_fit(struct heap *heap, struct page **page, bool with_room)
{
    struct page *old = *page;
    unsigned bytes = (unsigned)page_text_size(old);
    struct evenness evenness = evenness_of(old, 0, old->count);
    struct plan plan = plan_make((enum page_layout)old->layout, old->count, bytes, old->has_blobs,
                                 choose_form(old, 0, old->count), &evenness);
    old->roomy = false;
    if (heap_block_size(plan_columns_end(&plan, old->count) + bytes) >= old->size)
        return;
    *page = with_room ? page_allocate(heap, &plan, old->count, bytes)
                      : page_allocate_with(heap, &plan, old->count, bytes, 0);
    append_rows(*page, old, 0, old->count);
    page_release(heap, old);
}

/* ---- Splitting and merging --------------------------------------------------------------------------------- */

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
    struct evenness evenness = evenness_of(left, at, left->count);
    struct plan plan = plan_make((enum page_layout)left->layout, rows, bytes, left->has_blobs,
                                 choose_form(left, at, left->count), &evenness);
    struct page *right = page_allocate(heap, &plan, rows, bytes);
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
    struct evenness evenness = evenness_of(old, 0, old->count);
    DEBUG_ASSERT(!page_is_shared(old) && rows[0] > 0 && rows[1] > 0);
    for (unsigned side = 0; side < 2; side++) {
        struct plan plan = plan_make((enum page_layout)old->layout, rows[side], bytes[side], old->has_blobs,
                                     plan_of(old).form, &evenness);
        halves[side] = page_allocate(heap, &plan, rows[side], bytes[side]);
    }
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
    size_t used = sizeof **page + page_used(*page) + page_used(from);
    if (used + used / PAGE_ROOM_SHARE > PAGE_SIZE_MAX)
        return false;
    struct growth growth = {.rows = from->count, .bytes = (unsigned)page_text_size(from), .joins = from};
    if (!page_rebuild(heap, page, &growth))
        return false;
    append_rows(*page, from, 0, from->count);
    page_release(heap, from);
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
