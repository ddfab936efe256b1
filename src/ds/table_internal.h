/* What the files of the table share; nobody else includes it. Threads: the table's owner. */
#ifndef SKUA_DS_TABLE_INTERNAL_H
#define SKUA_DS_TABLE_INTERNAL_H

#include "ds/table.h"

#define LAST_SLOT  (TABLE_SLOTS - 1)
#define ALL_SLOTS  0x7fu
#define CHILD_LINK ((uintptr_t)1)

/* ---- Reading and writing a bucket ----------------------------------------------------------------- */

ALWAYS_INLINE uint64_t bucket_meta(const struct table_bucket *bucket)
{
    return atomic_load_explicit(&bucket->meta, memory_order_relaxed);
}

ALWAYS_INLINE void bucket_set_meta(struct table_bucket *bucket, uint64_t meta)
{
    atomic_store_explicit(&bucket->meta, meta, memory_order_release);
}

ALWAYS_INLINE uintptr_t bucket_slot(const struct table_bucket *bucket, unsigned slot)
{
    return atomic_load_explicit(&bucket->slots[slot], memory_order_relaxed);
}

ALWAYS_INLINE void bucket_set_slot(struct table_bucket *bucket, unsigned slot, uintptr_t value)
{
    atomic_store_explicit(&bucket->slots[slot], value, memory_order_release);
}

/* One bit for each slot that holds an item. */
ALWAYS_INLINE unsigned bucket_present(const struct table_bucket *bucket)
{
    return (unsigned)(bucket_meta(bucket) >> TABLE_PRESENCE_SHIFT) & ALL_SLOTS;
}

/* NULL at the end of the chain. */
ALWAYS_INLINE struct table_bucket *bucket_child(const struct table_bucket *bucket)
{
    uintptr_t last = bucket_slot(bucket, LAST_SLOT);
    return last & CHILD_LINK ? (struct table_bucket *)(last & ~CHILD_LINK) : NULL;
}

ALWAYS_INLINE uint8_t bucket_tag(const struct table_bucket *bucket, unsigned slot)
{
    return (uint8_t)(bucket_meta(bucket) >> (8 * slot));
}

/* for_each_slot(present, slot): the numbers of the bits in `present`, from the lowest. */
#define for_each_slot(present, slot)                                                                         \
    for (unsigned slot##_set = (present), slot;                                                              \
         slot##_set && (slot = (unsigned)__builtin_ctz(slot##_set), 1); slot##_set &= slot##_set - 1)

ALWAYS_INLINE void table_add_generation(struct table *table, uint64_t step)
{
    if (MUTANT(GENERATION_NOT_RAISED))
        return;
    uint64_t generation = atomic_load_explicit(&table->generation, memory_order_relaxed);
    atomic_store_explicit(&table->generation, generation + step, memory_order_release);
}

/* Between the two stores of a move (T4, T5, T9): whoever misses because of the second sees it. */
ALWAYS_INLINE void table_raise_generation(struct table *table)
{
    table_add_generation(table, 2);
}

/* Around stores between which something cannot be found (T9): makes the generation odd, and even again. */
ALWAYS_INLINE void table_begin_gap(struct table *table)
{
    table_add_generation(table, 1);
}

ALWAYS_INLINE void table_end_gap(struct table *table)
{
    table_add_generation(table, 1);
}

ALWAYS_INLINE uint64_t table_bucket_count(const struct table *table)
{
    return atomic_load_explicit(&table->bucket_count, memory_order_relaxed);
}

/* ---- Chains (table.c) ----------------------------------------------------------------------------- */

void table_chain_prefetch_items(const struct table_bucket *head);
size_t table_chain_count(const struct table_bucket *head);

/* Makes the head empty and frees the children, which keep their items and links for readers that are in them. */
void table_chain_clear(struct table *table, struct table_bucket *head);

/* ---- Memory (table_memory.c) ---------------------------------------------------------------------- */

/* Makes sure that bucket `index` has memory. False when there is none to be had. */
bool table_segment_ensure(struct table *table, uint64_t index);

/* Gives back what lies well behind the end, after bucket_count has shrunk. Bounded. */
void table_segment_release(struct table *table);

/* Unmaps everything. */
void table_segments_free(struct table *table);

/* A zeroed child bucket, NULL when memory is refused. */
struct table_bucket *table_child_new(struct table *table);

/* Of a child to which no bucket has a link any more (T8). */
void table_child_free(struct table *table, struct table_bucket *child);

/* The due bound of a bucket; TABLE_DUE_NONE where the side array does not exist. */
ALWAYS_INLINE uint32_t table_due_bound(const struct table *table, uint64_t index)
{
    uint64_t offset;
    unsigned segment = table_segment_of(index, &offset);
    return table->due_segments[segment] ? ~table->due_segments[segment][offset] : TABLE_DUE_NONE;
}

/* Stores the bound. False when the side array would have to be made and cannot be: nothing changed. */
bool table_due_set(struct table *table, uint64_t index, uint32_t due);

/* The earliest due time in a chain. Reads every item. */
uint32_t table_due_of_chain(const struct table *table, const struct table_bucket *head);

#endif
