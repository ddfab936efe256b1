/* The blocks of pages: which columns they get, moving to another one, dividing and joining. Entry: page_new, page_clone,
 * page_fit, page_split, page_divide, page_merge. Threads and invariants: see page.h. */
#include "base/copy.h"
#include "ds/log.h"
#include "ds/page_internal.h"

#define PAGE_ROOM_MIN  16
#define PAGE_EVEN_ROWS 16
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

/* ---- Choosing columns ---------------------------------------------------------------------------------------- */

/* Not of the smallest pages: what they would save is less than what a row that differs would cost. Nor of empty strings: any
 * number of rows without a byte and without a column would have room. */
ALWAYS_INLINE bool may_be_even(unsigned rows, unsigned bytes)
{
    return bytes > 0 && (rows > PAGE_EVEN_ROWS || bytes > PAGE_NARROW_BYTES);
}

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

void page_move_bits(uint8_t *bits, unsigned to, unsigned from, unsigned count)
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

/* append_ends from an even page to a wide one: what all rows had in common is written out. */
static void append_even_ends(struct page *page, unsigned at, const struct page *source, unsigned from,
                             unsigned count, int more)
{
    uint16_t *ends = page_wide_ends(page) + at;
    const uint16_t *sizes = page_sizes(source);
    unsigned elements = elements_of(source), stride = page_stride(source);
    unsigned start = (unsigned)((int)row_start(source, from / elements) + more);
    unsigned first = start + sizes[0]; /* the kinds are above, and stay there */
    unsigned last = start + stride + (sizes[elements - 1] & ~PAGE_END_MASK);
    for (unsigned i = 0; i < count; i += elements, first += stride, last += stride) {
        ends[i] = (uint16_t)first;
        ends[i + elements - 1] = (uint16_t)last;
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
    } else if (!page->narrow && source->even) {
        append_even_ends(page, at, source, from, count, more);
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

bool page_rebuild(struct heap *heap, struct page **page, const struct growth *growth)
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
    page_take_rows(heap, page, at, rows);
    return right;
}

/* Hands what `count` rows have in a column out to two others. */
ALWAYS_INLINE void divide_column(char *left, char *right, const char *source, size_t width,
                                 const uint8_t *goes_right, unsigned count)
{
    char *targets[2] = {left, right};
    for (unsigned row = 0; row < count; row++, source += width) {
        char **target = &targets[goes_right[row] != 0];
        copy_short(*target, source, width);
        *target += width;
    }
}

/* The same of the elements of rows that have wide ends, and of these. */
static void divide_wide(struct page *const halves[2], const struct page *old, const uint8_t *goes_right)
{
    unsigned elements = elements_of(old), start = old->begin, at[2] = {halves[0]->begin, halves[1]->begin};
    uint16_t *ends[2] = {page_wide_ends(halves[0]), page_wide_ends(halves[1])};
    const uint16_t *old_ends = page_wide_ends(old);
    for (unsigned row = 0; row < old->count; row++, old_ends += elements) {
        unsigned side = goes_right[row] != 0, end = old_ends[elements - 1] & PAGE_END_MASK;
        copy_short((char *)halves[side] + at[side], (const char *)old + start, end - start);
        for (unsigned which = 0; which < elements; which++)
            *ends[side]++ = (uint16_t)(old_ends[which] + at[side] - start);
        at[side] += end - start;
        start = end;
    }
}

/* Hands all rows out, column by column. The halves are empty, and have columns like those of the page. */
static void divide_columns(struct page *const halves[2], const struct page *old, const uint8_t *goes_right)
{
    unsigned width = old->form & NUMBER_WIDTH_MASK, count = old->count;
    if (old->even)
        divide_column((char *)halves[0] + halves[0]->begin, (char *)halves[1] + halves[1]->begin,
                      (const char *)old + old->begin, page_stride(old), goes_right, count);
    else
        divide_wide(halves, old, goes_right);
    if (width > 0)
        divide_column(page_numbers(halves[0]), page_numbers(halves[1]),
                      page_numbers(old) + old->first * width, width, goes_right, count);
    if (old->tagged)
        divide_column((char *)page_tags(halves[0]), (char *)page_tags(halves[1]),
                      (const char *)page_tags(old) + old->first, 1, goes_right, count);
}

/* Whether each column of the two has the same form. */
static bool has_columns_of(const struct page *page, const struct page *old)
{
    return page->even == old->even && !page->narrow && !old->narrow && page->tagged == old->tagged &&
           page->form == old->form;
}

struct page *page_divide(struct heap *heap, struct page **page, const uint8_t *goes_right)
{
    struct page *old = *page, *halves[2];
    unsigned rows[2] = {0, 0}, bytes[2] = {0, 0}, start = old->begin;
    for (unsigned row = 0; row < old->count; row++) {
        unsigned side = goes_right[row] != 0, end = row_start(old, row + 1);
        rows[side]++;
        bytes[side] += end - start;
        start = end;
    }
    struct evenness evenness = evenness_of(old, 0, old->count);
    DEBUG_ASSERT(!page_is_shared(old) && rows[0] > 0 && rows[1] > 0);
    for (unsigned side = 0; side < 2; side++) {
        struct plan plan = plan_make((enum page_layout)old->layout, rows[side], bytes[side], old->has_blobs,
                                     plan_of(old).form, &evenness);
        halves[side] = page_allocate(heap, &plan, rows[side], bytes[side]);
    }
    if (likely(has_columns_of(halves[0], old) && has_columns_of(halves[1], old))) {
        divide_columns(halves, old, goes_right);
        for (unsigned side = 0; side < 2; side++) {
            halves[side]->count = (uint16_t)rows[side];
            halves[side]->has_blobs = old->has_blobs;
        }
    } else {
        for (unsigned row = 0, next; row < old->count; row = next) {
            for (next = row + 1; next < old->count && !goes_right[next] == !goes_right[row]; next++)
                ;
            append_rows(halves[goes_right[row] != 0], old, row, next);
        }
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
