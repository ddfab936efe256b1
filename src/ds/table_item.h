/* A lookup in a hash table (ds/table.h) by the item's address, for who knows that from elsewhere.
 *
 * Principal entry points: table_locate_item.
 * Threads: the table's owner. */
#ifndef SKUA_DS_TABLE_ITEM_H
#define SKUA_DS_TABLE_ITEM_H

#include "ds/table.h"

/* Where this very item is, of this hash. The item is not looked at: the caller knows that nothing else can have its address. */
ALWAYS_INLINE bool table_locate_item(const struct table *table, uint64_t hash, const void *wanted,
                                     struct table_position *ret_position)
{
    uint64_t bucket_count = atomic_load_explicit(&table->bucket_count, memory_order_relaxed);
    if (bucket_count == 0)
        return false;
    uint64_t index = table_index_of(bucket_count, hash);
    struct table_bucket *bucket = table_bucket_at(table, index);
    uint8_t tag = table_tag_of(hash);
    for (;;) {
        uint64_t meta = atomic_load_explicit(&bucket->meta, memory_order_relaxed);
        for (unsigned set = table_candidates(meta, tag); set; set &= set - 1) {
            unsigned slot = (unsigned)__builtin_ctz(set);
            if (likely(atomic_load_explicit(&bucket->slots[slot], memory_order_relaxed) ==
                       (uintptr_t)wanted)) {
                *ret_position = (struct table_position){bucket, slot, index};
                return true;
            }
        }
        uintptr_t last = atomic_load_explicit(&bucket->slots[TABLE_SLOTS - 1], memory_order_relaxed);
        if (likely(!(last & 1)))
            return false;
        bucket = (struct table_bucket *)(last & ~(uintptr_t)1);
    }
}

#endif
