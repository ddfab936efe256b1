/* Building, copying and freeing entries, see entry.h.
 *
 * Principal entry points: entry_new_string, entry_new_blank, entry_new_int, entry_new_large, entry_free.
 * Threads: the executor, but for large_string_unref. */
#include "keyspace/entry.h"

#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/copy.h"

/* Allocates a block with header, expire field, key and, but for ENTRY_INLINE, an uninitialised word. */
ALWAYS_INLINE struct entry *entry_block_new(struct heap *heap, struct slice key, enum entry_type type,
                                            enum entry_encoding encoding, size_t inline_size,
                                            const struct entry_options *options)
{
    bool has_expire = options->expire_ms != ENTRY_NO_EXPIRE;
    bool is_long = key.size > UINT8_MAX;
    if (unlikely(key.size > ENTRY_KEY_SIZE_MAX))
        return NULL;
    size_t key_offset =
        sizeof(struct entry) + (has_expire ? 8 : 0) + (is_long ? 8 : 0) + (encoding == ENTRY_INLINE ? 0 : 8);
    struct entry *entry = heap_alloc(heap, key_offset + key.size + inline_size);
    if (unlikely(!entry))
        return NULL;
    entry->type_encoding = (uint8_t)(type | encoding << 4);
    entry->flags = (uint8_t)((has_expire ? ENTRY_HAS_EXPIRE : 0) | (is_long ? ENTRY_LONG_KEY : 0) |
                             (options->edited ? ENTRY_EDITED : 0) | options->marks);
    entry->key_size = is_long ? 0 : (uint8_t)key.size;
    entry->inline_size = (uint16_t)inline_size;
    entry_set_clock(entry, options->clock);
    if (has_expire)
        *entry_expire_field(entry) = options->expire_ms;
    if (unlikely(is_long))
        *(uint64_t *)((char *)entry + entry_word_offset(entry) - 8) = key.size;
    memcpy((char *)entry + key_offset, key.data, key.size);
    return entry;
}

ALWAYS_INLINE char *entry_inline_data(struct entry *entry)
{
    return (char *)entry_key_data(entry) + entry_key_size(entry);
}

/* Whether the text can be an integer at all; spares most values the call of the parser. */
ALWAYS_INLINE bool looks_like_integer(struct slice text)
{
    if (text.size == 0 || text.size >= NUM_I64_TEXT_MAX)
        return false;
    unsigned char first = (unsigned char)text.data[0], last = (unsigned char)text.data[text.size - 1];
    return last >= '0' && last <= '9' && (first == '-' || (first >= '0' && first <= '9'));
}

struct entry *entry_new_string(struct heap *heap, struct slice key, struct slice value,
                               const struct entry_options *options)
{
    int64_t number;
    if (looks_like_integer(value) && !options->edited && num_parse_i64(value, &number))
        return entry_new_int(heap, key, number, options);
    if (unlikely(value.size > ENTRY_INLINE_MAX)) {
        struct entry *entry = entry_new_blank(heap, key, value.size, options);
        if (entry)
            memcpy(entry_large(entry)->data, value.data, value.size);
        return entry;
    }
    struct entry *entry = entry_block_new(heap, key, ENTRY_STRING, ENTRY_INLINE, value.size, options);
    if (likely(entry) && value.size)
        memcpy(entry_inline_data(entry), value.data, value.size);
    return entry;
}

bool entry_has_room(const struct entry *entry, struct slice value)
{
    int64_t number;
    size_t value_offset = sizeof(struct entry) + entry->key_size;
    size_t size = value_offset + entry->inline_size;
    return entry->type_encoding == (ENTRY_STRING | ENTRY_INLINE << 4) &&
           (entry_flags(entry) & ~(unsigned)ENTRY_SETTLED) == 0 && size <= HEAP_BLOCK_MAX &&
           heap_can_resize(size, value_offset + value.size) &&
           !(looks_like_integer(value) && num_parse_i64(value, &number));
}

void entry_overwrite(struct entry *entry, struct slice value, uint32_t clock)
{
    size_t value_offset = sizeof(struct entry) + entry->key_size;
    DEBUG_ASSERT(entry_has_room(entry, value));
    heap_resize(entry, value_offset + entry->inline_size, value_offset + value.size);
    entry->inline_size = (uint16_t)value.size;
    entry_set_clock(entry, clock);
    if (value.size <= COPY_SHORT_MAX)
        copy_short((char *)entry + value_offset, value.data, value.size);
    else
        memcpy((char *)entry + value_offset, value.data, value.size);
}

struct entry *entry_new_blank(struct heap *heap, struct slice key, size_t size,
                              const struct entry_options *options)
{
    if (likely(size <= ENTRY_INLINE_MAX))
        return entry_block_new(heap, key, ENTRY_STRING, ENTRY_INLINE, size, options);
    struct large_string *large = large_string_new(size, size);
    if (!large)
        return NULL;
    struct entry *entry = entry_new_large(heap, key, large, options);
    if (!entry)
        large_string_unref(large);
    return entry;
}

struct entry *entry_new_int(struct heap *heap, struct slice key, int64_t value,
                            const struct entry_options *options)
{
    struct entry *entry = entry_block_new(heap, key, ENTRY_STRING, ENTRY_INT, 0, options);
    if (likely(entry))
        *entry_word(entry) = value;
    return entry;
}

struct entry *entry_new_large(struct heap *heap, struct slice key, struct large_string *large,
                              const struct entry_options *options)
{
    struct entry *entry = entry_block_new(heap, key, ENTRY_STRING, ENTRY_LARGE, 0, options);
    if (entry)
        *entry_word(entry) = (int64_t)(uintptr_t)large;
    return entry;
}

struct entry *entry_new_page(struct heap *heap, struct slice key, enum entry_type type, struct page *page,
                             const struct entry_options *options)
{
    struct entry *entry = entry_block_new(heap, key, type, ENTRY_PAGE, 0, options);
    if (entry)
        *entry_word(entry) = (int64_t)(uintptr_t)page;
    return entry;
}

struct entry *entry_new_tree(struct heap *heap, struct slice key, enum entry_type type,
                             struct collection *collection, const struct entry_options *options)
{
    struct entry *entry = entry_block_new(heap, key, type, ENTRY_TREE, 0, options);
    if (entry)
        *entry_word(entry) = (int64_t)(uintptr_t)collection;
    return entry;
}

struct entry *entry_new_object(struct heap *heap, struct slice key, enum entry_type type,
                               struct object *object, const struct entry_options *options)
{
    struct entry *entry = entry_block_new(heap, key, type, ENTRY_OBJECT, 0, options);
    if (entry)
        *entry_word(entry) = (int64_t)(uintptr_t)object;
    return entry;
}

struct entry *entry_copy(struct heap *heap, const struct entry *entry, struct slice key,
                         const struct entry_options *options)
{
    struct entry_options all = *options;
    all.edited = options->edited || (entry_flags(entry) & ENTRY_EDITED);
    all.marks = entry_flags(entry) & ENTRY_MARKS;
    struct entry *copy =
        entry_block_new(heap, key, entry_type(entry), entry_encoding(entry), entry->inline_size, &all);
    if (!copy)
        return NULL;
    switch (entry_encoding(entry)) {
    case ENTRY_INT: *entry_word(copy) = entry_int(entry); break;
    case ENTRY_INLINE: memcpy(entry_inline_data(copy), entry_bytes(entry).data, entry->inline_size); break;
    case ENTRY_LARGE: *entry_word(copy) = (int64_t)(uintptr_t)large_string_ref(entry_large(entry)); break;
    case ENTRY_PAGE:
        page_ref(entry_page(entry));
        *entry_word(copy) = (int64_t)(uintptr_t)entry_page(entry); /* not open */
        break;
    case ENTRY_TREE: {
        struct collection *collection = entry_collection(entry);
        struct tree rows, index;
        tree_snapshot(&collection->rows, &rows);
        if (collection->has_index)
            tree_snapshot(&collection->index, &index);
        struct collection *shared = collection_new(heap, &rows, collection->has_index ? &index : NULL);
        shared->due_ms = collection->due_ms;
        *entry_word(copy) = (int64_t)(uintptr_t)shared;
        break;
    }
    case ENTRY_OBJECT:
        entry_object(entry)->refs++;
        *entry_word(copy) = *entry_word(entry);
        break;
    }
    return copy;
}

/* The references of those who may have read the value, of whom there are none any more. */
static void drop_readers(struct heap *heap, struct entry *entry)
{
    if (entry_encoding(entry) == ENTRY_PAGE && entry_is_open(entry))
        page_unref(heap, entry_page(entry));
    if (entry_encoding(entry) == ENTRY_LARGE && entry_is_open(entry))
        large_string_unref(entry_large(entry));
}

void entry_free(struct heap *heap, struct entry *entry)
{
    drop_readers(heap, entry);
    switch (entry_encoding(entry)) {
    case ENTRY_INT:
    case ENTRY_INLINE: break;
    case ENTRY_LARGE: large_string_unref(entry_large(entry)); break;
    case ENTRY_PAGE:
        if (entry_page(entry))
            page_unref(heap, entry_page(entry));
        break;
    case ENTRY_TREE:
        if (entry_collection(entry))
            collection_free_some(heap, entry_collection(entry), UINT_MAX);
        break;
    case ENTRY_OBJECT:
        if (--entry_object(entry)->refs == 0)
            entry_object(entry)->type->free_some(heap, entry_object(entry), UINT_MAX);
        break;
    }
    heap_release(heap, entry, entry_block_size(entry));
}

size_t entry_own_memory(const struct entry *entry)
{
    size_t size = entry_block_size(entry);
    size_t memory = size <= HEAP_BLOCK_MAX ? heap_block_size(size) : mem_usable_size(entry);
    if (entry_encoding(entry) == ENTRY_TREE)
        memory += heap_block_size(sizeof(struct collection));
    return memory;
}

size_t entry_memory(const struct entry *entry)
{
    size_t memory = entry_own_memory(entry);
    switch (entry_encoding(entry)) {
    case ENTRY_INT:
    case ENTRY_INLINE: break;
    case ENTRY_LARGE: memory += mem_usable_size(entry_large(entry)); break;
    case ENTRY_PAGE: memory += page_memory(entry_page(entry)); break;
    case ENTRY_TREE:
        memory += tree_memory(&entry_collection(entry)->rows);
        if (entry_collection(entry)->has_index)
            memory += tree_memory_of_blocks(&entry_collection(entry)->index);
        break;
    case ENTRY_OBJECT: memory += entry_object(entry)->type->memory(entry_object(entry)); break;
    }
    return memory;
}

/* ---- Collections ---------------------------------------------------------------------------------- */

struct collection *collection_new(struct heap *heap, const struct tree *rows, const struct tree *index)
{
    struct collection *collection = heap_alloc(heap, sizeof *collection);
    if (!collection)
        fatal("out of memory");
    list_init(&collection->node);
    collection->rows = *rows;
    collection->due_ms = ENTRY_NO_EXPIRE;
    collection->sweep_hash = 0;
    collection->sweep_due_ms = ENTRY_NO_EXPIRE;
    collection->has_index = index != NULL;
    if (index != NULL)
        collection->index = *index;
    return collection;
}

int64_t page_due_ms(const struct page *page)
{
    int64_t due_ms = ENTRY_NO_EXPIRE;
    for (unsigned row = 0; row < page->count; row++) {
        int64_t row_ms = (int64_t)page_number(page, row);
        if (row_ms < due_ms)
            due_ms = row_ms;
    }
    return due_ms;
}

bool entry_expire_at(int64_t time, int64_t unit_ms, int64_t origin_ms, int64_t *ret_ms)
{
    int64_t ms;
    if (__builtin_mul_overflow(time, unit_ms, &ms) || __builtin_add_overflow(ms, origin_ms, &ms))
        return false;
    *ret_ms = ms < ENTRY_NO_EXPIRE ? ms : ENTRY_NO_EXPIRE - 1;
    return true;
}

int64_t entry_fields_due_ms(const struct entry *entry)
{
    if (entry_encoding(entry) == ENTRY_TREE)
        return entry_collection(entry)->due_ms;
    return page_due_ms(entry_page(entry));
}

bool collection_free_some(struct heap *heap, struct collection *collection, unsigned pages_max)
{
    if (collection->has_index) {
        if (!tree_free_some(&collection->index, pages_max))
            return false;
        collection->has_index = false;
    }
    if (!tree_free_some(&collection->rows, pages_max))
        return false;
    heap_release(heap, collection, sizeof *collection);
    return true;
}

/* ---- Large strings -------------------------------------------------------------------------------- */

static struct large_string *large_string_init(struct large_string *large, size_t size, size_t capacity)
{
    DEBUG_ASSERT(size <= capacity);
    if (!large)
        return NULL;
    atomic_init(&large->refs, 1);
    large->size = size;
    large->capacity = capacity;
    return large;
}

struct large_string *large_string_new(size_t size, size_t capacity)
{
    if (capacity > MEM_SIZE_MAX)
        return NULL;
    return large_string_init(mem_try_alloc(sizeof(struct large_string) + capacity), size, capacity);
}

struct large_string *large_string_new_zeroed(size_t size, size_t capacity)
{
    if (capacity > MEM_SIZE_MAX)
        return NULL;
    return large_string_init(mem_try_calloc(sizeof(struct large_string) + capacity), size, capacity);
}

struct large_string *large_string_ref(struct large_string *large)
{
    uint32_t before = atomic_fetch_add_explicit(&large->refs, 1, memory_order_relaxed);
    ASSERT(before > 0 && before < UINT32_MAX);
    return large;
}

void large_string_unref(void *argument)
{
    struct large_string *large = argument;
    /* Release: what this thread read is read before another frees; acquire: the one who frees sees that. */
    uint32_t before = atomic_fetch_sub_explicit(&large->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1)
        mem_free(large);
}
