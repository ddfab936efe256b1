/* Slab heap: small blocks of one thread, without headers.
 *
 * Principal entry points: heap_new, heap_alloc, heap_release; heap_new_sibling, heap_collect.
 * Threads: one owner. Only the owner calls heap_alloc and heap_release.
 *
 * A heap may have siblings, each with an owner of its own, whose blocks end up with the owner of the first heap: that one
 * adopts them, and releases them like its own. They are put into bags, and the sibling takes the full ones back (heap_alloc, heap_collect), so that no
 * bookkeeping is ever touched by two threads. A sibling whose thread is not there (heap_attend) belongs to the first heap's
 * owner as well. Blocks outlive the threads that took them: siblings go with the first heap only.
 *
 * H1  A block's size is known to its holder; heap_release must be given the size that heap_alloc was given.
 * H2  Bookkeeping lies outside the blocks (bitmaps), so freeing a cold block does not touch it.
 * H3  Sizes over HEAP_BLOCK_MAX go to base/alloc.h; the same two calls serve them.
 * H4  Every block is aligned to 8 bytes; one whose size is a power of two up to HEAP_BLOCK_MAX, to that size.
 * H5  mem_used follows used_bytes within HEAP_ACCOUNT_STEP: what counts is live blocks, not slabs. A sibling's block counts
 *     from heap_adopt to heap_release, in the first heap.
 * H6  Of a sibling, the owner of the first heap writes `bag` only, while the sibling is attended. */
#ifndef SKUA_BASE_HEAP_H
#define SKUA_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define HEAP_BLOCK_MAX    4096
#define HEAP_ACCOUNT_STEP ((int64_t)64 << 10)

struct ahead;
struct heap;

struct heap_stats {
    uint64_t used_bytes; /* sum of the sizes of live blocks, rounded up to their class */
    /* memory of all slabs that were touched and not given back, with bookkeeping; those that a worker
     * has touched (heap_set_ahead) from when the piece is taken */
    uint64_t slab_bytes;
    uint64_t empty_bytes;    /* part of slab_bytes in slabs without a live block: heap_trim gives it back */
    uint64_t reserved_bytes; /* address space taken */
};

#define HEAP_SIBLINGS_MAX 128

struct heap *heap_new(void);

/* Once `from` bytes of slabs have been touched, a worker touches fresh ones before they are needed. `ahead` (which may be NULL)
 * outlives the heap. The owner, before there are siblings, which will do the same. */
void heap_set_ahead(struct heap *heap, struct ahead *ahead, size_t from);
struct ahead *heap_ahead(const struct heap *heap);

/* Every block is gone with it, and with its siblings, whether released or not. No other thread uses them any more. */
void heap_free(struct heap *heap);

/* A sibling of `first`, which is not a sibling itself; unattended. At most HEAP_SIBLINGS_MAX. The owner of `first`. */
struct heap *heap_new_sibling(struct heap *first);

/* Whether the sibling has a thread of its own. The owner of `first`, before that thread begins or after it has ended. */
void heap_attend(struct heap *sibling, bool attended);

/* Takes back what the owner of the first heap has released; heap_alloc does so as far as it needs blocks. Classes of which nothing that
 * came back has been taken since the last call give it to their slabs. The sibling's owner, now and then. */
void heap_collect(struct heap *sibling);

/* NULL when memory is exhausted. `size` > 0. */
void *heap_alloc(struct heap *heap, size_t size);
/* From now on blocks of siblings, heap_block_size of each of which is in the sum `bytes`, count; or again not. The owner of the first
 * heap. */
void heap_adopt(struct heap *first, size_t bytes);
void heap_disown(struct heap *first, size_t bytes);

/* A block of this heap, or of a sibling if `heap` is the first, which has adopted it. */
void heap_release(struct heap *heap, void *block, size_t size);

struct heap_block {
    void *block;
    size_t size;
};

/* heap_release of each. They need not be in a cache. */
void heap_release_all(struct heap *heap, const struct heap_block *blocks, unsigned count);

/* Whether a block of `size` bytes, at most HEAP_BLOCK_MAX, can become one of `new_size` where it is, and is no larger than that needs. */
bool heap_can_resize(size_t size, size_t new_size);

/* From now on it is one: H1. */
void heap_resize(void *block, size_t size, size_t new_size);

/* Asks for the bookkeeping that heap_release of this block will touch. `block` need not be in the cache, and may be
 * any address (a block that is not a slab's asks for nothing useful). */
void heap_prefetch_release(const struct heap *heap, const void *block);

/* What a block of this size really takes. */
size_t heap_block_size(size_t size);

/* The heap that a block of at most HEAP_BLOCK_MAX bytes came from. Any thread may ask. */
struct heap *heap_owner(const void *block);

/* The first heap of the family that such a block came from. */
struct heap *heap_first(const void *block);

/* Slabs without a live block are not kept for their class any more, and those beyond a small reserve go back to the system. Bounded: at
 * most `slabs_max` slabs of 64 KB a call. Of the first heap: so do those of unattended siblings, and the others get back what has been
 * collected for them so far. Returns the number given back. */
size_t heap_trim(struct heap *heap, size_t slabs_max);

/* A number that this heap has not given before, and not 0: for what lies in it, to tell by whether it has changed. */
uint64_t heap_stamp(struct heap *heap);

/* Makes mem_used exact at this moment (H5). */
void heap_account(struct heap *heap);

/* The owner. Of the first heap: with all siblings, as far as their owners have got. */
void heap_stats(const struct heap *heap, struct heap_stats *ret_stats);

/* Walks all bookkeeping, that of unattended siblings too, and aborts on a contradiction. For tests. */
void heap_check(const struct heap *heap);

#endif
