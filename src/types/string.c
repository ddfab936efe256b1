/* Values of string entries: sizes, numbers, ranges, and editing.
 *
 * Principal entry points: string_size, string_get_i64, string_range, string_edit_begin.
 * Threads: executor only.
 *
 * S1  Bytes of a large string change only while it has one reference; everything shorter is copied. */
#include "types/string.h"

#include <stdatomic.h>
#include <string.h>

/* Growth by more than this comes from memory that the system hands out as zeros, without touching it. */
#define ZEROED_MIN ((size_t)64 << 10)

size_t string_size(const struct entry *entry)
{
    if (entry == NULL)
        return 0;
    entry_scratch scratch;
    return entry_string(entry, scratch).size;
}

bool string_get_i64(const struct entry *entry, int64_t *ret_value)
{
    if (likely(entry_encoding(entry) == ENTRY_INT)) {
        *ret_value = entry_int(entry);
        return true;
    }
    return num_parse_i64(entry_bytes(entry), ret_value);
}

bool string_get_long_double(const struct entry *entry, long double *ret_value)
{
    entry_scratch scratch;
    return num_parse_long_double(entry_string(entry, scratch), ret_value);
}

/* `size` is far below INT64_MAX, so the sums cannot overflow. */
static int64_t resolve_position(int64_t size, int64_t position)
{
    if (position < 0)
        position += size;
    return position < 0 ? 0 : position;
}

bool string_resolve_range(uint64_t size, int64_t start, int64_t end, uint64_t *ret_first, uint64_t *ret_last)
{
    int64_t first = resolve_position((int64_t)size, start);
    int64_t last = resolve_position((int64_t)size, end);
    if (last >= (int64_t)size)
        last = (int64_t)size - 1;
    if (first > last)
        return false;
    *ret_first = (uint64_t)first;
    *ret_last = (uint64_t)last;
    return true;
}

struct slice string_range(struct slice value, int64_t start, int64_t end)
{
    uint64_t first;
    uint64_t last;
    bool reversed = start < 0 && end < 0 && start > end; /* even where both lie before the beginning */
    if (reversed || !string_resolve_range(value.size, start, end, &first, &last))
        return slice_make(value.data, 0);
    return slice_make(value.data + first, last - first + 1);
}

/* ---- Editing -------------------------------------------------------------------------------------- */

static bool is_editable(const struct entry *entry, size_t size)
{
    if (entry == NULL || entry_encoding(entry) != ENTRY_LARGE)
        return false;
    const struct large_string *large = entry_large(entry);
    /* One that is open to readers has two references. Acquire: whoever dropped the last other reference has finished reading. */
    return size <= large->capacity && atomic_load_explicit(&large->refs, memory_order_acquire) == 1;
}

static void edit_in_place(struct entry *old, size_t size, struct string_edit *ret_edit)
{
    struct large_string *large = entry_large(old);
    size_t before = large->size;
    if (size > before)
        memset(large->data + before, 0, size - before);
    large->size = size;
    __atomic_store_n(entry_word(old), (int64_t)(uintptr_t)large, __ATOMIC_RELAXED); /* not read since */
    *ret_edit = (struct string_edit){.data = large->data, .size = size, .size_before = before};
}

/* Room for a large string of `size` bytes whose first `before` bytes will be copied and whose others are
 * zero. */
static struct large_string *new_large(const struct entry *old, size_t before, size_t size)
{
    size_t spare = 0;
    /* It grew before, so it will grow again. */
    if (old != NULL && entry_encoding(old) == ENTRY_LARGE && size > before)
        spare = size < STRING_SPARE_MAX ? size : STRING_SPARE_MAX;
    if (size - before >= ZEROED_MIN)
        return large_string_new_zeroed(size, size + spare);
    struct large_string *large = large_string_new(size, size + spare);
    if (large != NULL)
        memset(large->data + before, 0, size - before);
    return large;
}

static struct entry *copy_to_large(struct heap *heap, const struct entry *old, struct slice before,
                                   size_t size, struct slice key, const struct entry_options *options)
{
    struct large_string *large = new_large(old, before.size, size);
    if (large == NULL)
        return NULL;
    if (before.size > 0)
        memcpy(large->data, before.data, before.size);
    struct entry *entry = entry_new_large(heap, key, large, options);
    if (entry == NULL)
        large_string_unref(large);
    return entry;
}

static struct entry *copy_inline(struct heap *heap, struct slice before, size_t size, struct slice key,
                                 const struct entry_options *options)
{
    struct entry *entry = entry_new_blank(heap, key, size, options);
    if (entry == NULL)
        return NULL;
    char *data = (char *)entry_bytes(entry).data;
    if (before.size > 0)
        memcpy(data, before.data, before.size);
    memset(data + before.size, 0, size - before.size);
    return entry;
}

enum status string_edit_begin(struct heap *heap, struct entry *old, struct slice key, size_t size_min,
                              const struct entry_options *options, struct string_edit *ret_edit)
{
    entry_scratch scratch;
    struct slice before = {NULL, 0};
    if (old != NULL)
        before = entry_string(old, scratch);
    size_t size = size_min > before.size ? size_min : before.size;
    if (is_editable(old, size)) {
        edit_in_place(old, size, ret_edit);
        return ST_OK;
    }
    struct entry *entry = size > ENTRY_INLINE_MAX ? copy_to_large(heap, old, before, size, key, options)
                                                  : copy_inline(heap, before, size, key, options);
    if (entry == NULL)
        return ST_NOMEM;
    *ret_edit = (struct string_edit){
        .data = (char *)entry_bytes(entry).data,
        .size = size,
        .size_before = before.size,
        .entry = entry,
    };
    return ST_OK;
}
