/* Slab heap: small blocks of one thread, without headers.
 *
 * Principal entry points: heap_new, heap_alloc, heap_release, heap_bag_add, heap_bag_release.
 * Threads: one owner. Only the owner calls heap_alloc and heap_release. Another thread that ends up with a
 * block collects it in a bag (heap_bag) and hands the bag back to the owner.
 *
 * H1  A block's size is known to its holder; heap_release must be given the size that heap_alloc was given.
 * H2  Bookkeeping lies outside the blocks (bitmaps), so freeing a cold block does not touch it.
 * H3  Sizes over HEAP_BLOCK_MAX go to base/alloc.h; the same two calls serve them.
 * H4  Every block is aligned to 8 bytes; one whose size is a power of two up to HEAP_BLOCK_MAX, to that size.
 * H5  mem_used follows used_bytes within HEAP_ACCOUNT_STEP: what counts is live blocks, not slabs. */
#ifndef SKUA_BASE_HEAP_H
#define SKUA_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define HEAP_BLOCK_MAX    4096
#define HEAP_BAG_MAX      64
#define HEAP_ACCOUNT_STEP ((int64_t)64 << 10)

struct heap;

struct heap_stats {
    uint64_t used_bytes;     /* sum of the sizes of live blocks, rounded up to their class */
    uint64_t slab_bytes;     /* memory of all slabs that were touched and not given back, with bookkeeping */
    uint64_t empty_bytes;    /* part of slab_bytes in slabs without a live block: heap_trim gives it back */
    uint64_t reserved_bytes; /* address space taken */
};

/* Blocks on their way back to the heap they came from. Filled by one thread, then handed over; all blocks of
 * at most HEAP_BLOCK_MAX bytes in it come from the same heap. Starts zeroed. */
struct heap_bag {
    struct heap_bag *next; /* for whoever queues bags */
    uint32_t count;
    struct {
        void *block;
        size_t size;
    } items[HEAP_BAG_MAX];
};

struct heap *heap_new(void);

/* Every block is gone with it, whether released or not. */
void heap_free(struct heap *heap);

/* NULL when memory is exhausted. `size` > 0. */
void *heap_alloc(struct heap *heap, size_t size);
void heap_release(struct heap *heap, void *block, size_t size);

/* Puts a block into a bag that is not full. Returns true when the bag is full now. Any thread. */
ALWAYS_INLINE bool heap_bag_add(struct heap_bag *bag, void *block, size_t size)
{
    bag->items[bag->count].block = block;
    bag->items[bag->count].size = size;
    return ++bag->count == HEAP_BAG_MAX;
}

/* Releases everything in the bag and leaves it empty. The heap's owner. */
void heap_bag_release(struct heap *heap, struct heap_bag *bag);

/* Asks for the bookkeeping that heap_release of this block will touch. `block` need not be in the cache, and may be
 * any address (a block that is not a slab's asks for nothing useful). */
void heap_prefetch_release(const void *block);

/* What a block of this size really takes. */
size_t heap_block_size(size_t size);

/* The heap that a block of at most HEAP_BLOCK_MAX bytes came from. Any thread may ask. */
struct heap *heap_owner(const void *block);

/* Slabs without a live block are not kept for their class any more, and those beyond a small reserve go back to the system. Bounded: at most `slabs_max` slabs of 64 KB a call.
 * Returns the number given back. */
size_t heap_trim(struct heap *heap, size_t slabs_max);

/* Makes mem_used exact at this moment (H5). */
void heap_account(struct heap *heap);

void heap_stats(const struct heap *heap, struct heap_stats *ret_stats);

/* Walks all bookkeeping and aborts on a contradiction. For tests. */
void heap_check(const struct heap *heap);

#endif
