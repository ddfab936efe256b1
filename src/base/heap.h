/* Slab heap: small blocks of one thread, without headers.
 *
 * Principal entry points: heap_new, heap_alloc, heap_release, heap_release_remote.
 * Threads: one owner. Only the owner calls heap_alloc and heap_release. Another thread that ends up with a
 * block collects it in a bag (heap_bag) and hands the bag back to the owner.
 *
 * H1  A block's size is known to its holder; heap_release must be given the size that heap_alloc was given.
 * H2  Bookkeeping lies outside the blocks (bitmaps), so freeing a cold block does not touch it.
 * H3  Sizes over HEAP_BLOCK_MAX go to base/alloc.h; the same two calls serve them.
 * H4  Every block is aligned to 8 bytes. */
#ifndef SKUA_BASE_HEAP_H
#define SKUA_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define HEAP_BLOCK_MAX 4096

struct heap;

struct heap_stats {
    uint64_t used_bytes;     /* sum of the sizes of live blocks, rounded up to their class */
    uint64_t slab_bytes;     /* memory of the slabs in use, with their bookkeeping */
    uint64_t reserved_bytes; /* address space taken */
};

struct heap *heap_new(void);

/* Every block is gone with it, whether released or not. */
void heap_free(struct heap *heap);

/* NULL when memory is exhausted. `size` > 0. */
void *heap_alloc(struct heap *heap, size_t size);
void heap_release(struct heap *heap, void *block, size_t size);

/* What a block of this size really takes. */
size_t heap_block_size(size_t size);

/* The heap that a block of at most HEAP_BLOCK_MAX bytes came from. Any thread may ask. */
struct heap *heap_owner(const void *block);

/* Empty slabs beyond a small reserve go back to the system. Bounded: at most `slabs_max` slabs a call.
 * Returns the number given back. */
size_t heap_trim(struct heap *heap, size_t slabs_max);

void heap_stats(const struct heap *heap, struct heap_stats *ret_stats);

/* Walks all bookkeeping and aborts on a contradiction. For tests. */
void heap_check(const struct heap *heap);

#endif
