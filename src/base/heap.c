/* Slab heap, see heap.h.
 *
 * A region is 64 MB of address space, aligned to its size, cut into slabs of 64 KB. Slabs that were never used are taken out of
 * one piece of 2 MB after the other; a large heap has a worker touch the next ones (base/ahead.h), and while that is not done it
 * goes on with the one behind. The first slab of a region
 * holds one record of 64 bytes for each of the others (and the region's own in the place of its first), so a
 * block's record is found by arithmetic, and freeing a cold block touches its record only. A slab serves one
 * class of sizes; a bit set in its bitmap is a free block.
 *
 * Each class has a cursor: the slab it allocates from, and up to 64 free blocks of it taken out of the bitmap at
 * once. The usual heap_alloc takes the lowest bit of that word.
 *
 *   FRESH ---> CURRENT ---> FULL ---> PARTIAL ---> CURRENT       slab_acquire, cursor_refill, slab_event
 *                                        |
 *                                        +-------> EMPTY ------> CURRENT (of any class)
 *                                        CURRENT ---^ let_go_of_idle_slabs
 *                                                    +---------> RETURNED ---> CURRENT      heap_trim
 *
 * A full slab becomes partial only when one in FULL_SHARE of its blocks is free again: then one visit of a slab
 * yields several blocks.
 *
 * B1  free_count is the number of bits set in the slab's bitmap; blocks cached by a cursor are not among them.
 * B2  event_count is the free_count at which a slab changes its state in heap_release; NEVER while current.
 * B3  A slab is in exactly one list: PARTIAL in its class's, EMPTY and RETURNED in the heap's; others in none.
 * B4  Under AddressSanitizer exactly the bytes of live blocks are not poisoned.
 * B5  Never used are the slabs in [fresh, fresh_end), those of the pieces asked for, and those behind used_slabs of the
 *     newest region.
 * B6  Counters that heap_stats of the first heap reads of its siblings are stored atomically (count).
 * B7  A sibling's blocks that come back go into a magazine of their class, out of which heap_alloc takes the oldest first: whoever replaces
 *     values needs as many new blocks as come back. Then no record of a slab is touched, and which blocks are next is known,
 *     so that these are asked for ahead. Slabs and counts know nothing of it: there, what lies in a bag or a magazine is in use.
 *     What is not taken for a while goes back to the slabs (heap_collect). */
#include "base/heap.h"

#include <stdatomic.h>
#include <string.h>

#include "base/ahead.h"
#include "base/alloc.h"
#include "base/bug.h"
#include "base/list.h"
#include "base/map.h"

#if defined(__SANITIZE_ADDRESS__)
#define HEAP_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HEAP_POISONS 1
#endif
#endif
#ifdef HEAP_POISONS
#include <sanitizer/asan_interface.h>
#define POISON(address, size)   ASAN_POISON_MEMORY_REGION(address, size)
#define UNPOISON(address, size) ASAN_UNPOISON_MEMORY_REGION(address, size)
#else
#define POISON(address, size)   ((void)(address), (void)(size))
#define UNPOISON(address, size) ((void)(address), (void)(size))
#endif

#define REGION_SIZE  ((size_t)64 << 20)
#define SLAB_SHIFT   16
#define SLAB_SIZE    ((size_t)1 << SLAB_SHIFT)
#define REGION_SLABS (REGION_SIZE / SLAB_SIZE)
#define PIECE_SLABS  (AHEAD_SIZE / SLAB_SIZE)
#define WORD_BITS    64
#define LAST_BIT     ((uint64_t)1 << 63)

/* Classes: steps of 8 bytes to 128, of 16 to 1024, then sizes of which a whole number fills a slab. */
#define STEP_8_MAX    128
#define STEP_16_MAX   1024
#define STEP_16_FIRST (STEP_8_MAX / 8)
#define SHARE_FIRST   (STEP_16_FIRST + (STEP_16_MAX - STEP_8_MAX) / 16)
#define SHARE_MAX     (SLAB_SIZE / STEP_16_MAX - 1)
#define SHARE_MIN     (SLAB_SIZE / HEAP_BLOCK_MAX)
#define CLASS_COUNT   (SHARE_FIRST + SHARE_MAX - SHARE_MIN + 1)

#define RECIPROCAL_SHIFT 31 /* exact: offset / 8 < 2^13 and size / 8 <= 2^9 */

#define FULL_SHARE    64 /* measured: smaller costs memory, larger time */
#define EMPTY_RESERVE 16 /* empty slabs that heap_trim leaves */
#define NEVER         UINT16_MAX
#define ASKED_MAX     2 /* pieces: one alone would be late wherever the worker has to wait for a processor */
#define INLINE_WORDS  4

/* Whose a region is, by its address: the first heap's table, a slot for each region up to OWNER_SLOTS that follow each other.
 * A slot holds the index of the heap, or OWNER_UNSURE where regions of two heaps share it: then the region itself knows. */
#define REGION_SHIFT  26
#define OWNER_SLOTS   1024
#define OWNER_NONE    0
#define OWNER_FIRST   1
#define OWNER_SIBLING 2
#define OWNER_UNSURE  UINT8_MAX

/* A block on its way back, and the class of its size in the byte that addresses leave free. */
#define CLASS_SHIFT 56

#define BAG_BLOCKS 62

#define MAGAZINE_BLOCKS 128 /* a power of two: a bag more than MAGAZINE_AHEAD at least */
#define MAGAZINE_AHEAD  3   /* blocks: building one takes as long as a few misses do */
#define AHEAD_LINES     12  /* of a block; the processor itself sees what comes behind them */

enum slab_state { SLAB_UNUSED = 0, SLAB_CURRENT, SLAB_FULL, SLAB_PARTIAL, SLAB_EMPTY, SLAB_RETURNED };

struct slab {
    struct list_node node;
    uint64_t *bitmap; /* inline_bitmap, or a block of base/alloc.h where there are more than 256 blocks */
    uint16_t free_count;
    uint16_t event_count;
    uint8_t class_index;
    uint8_t state;
    uint16_t unused;
    uint64_t inline_bitmap[INLINE_WORDS];
};

/* Lies where the record of the region's first slab would be. */
struct region {
    struct heap *heap;
    struct region *next;
    uint32_t used_slabs; /* the pieces of slabs [0, used_slabs) have been taken, or asked for */
};

_Static_assert(sizeof(struct slab) == CACHE_LINE, "a record is one line");
_Static_assert(sizeof(struct region) <= sizeof(struct slab), "the region's record fits into its place");
_Static_assert(CLASS_COUNT <= UINT8_MAX, "a class is a byte");
_Static_assert(SLAB_SIZE / 8 < NEVER, "a count fits");

struct size_class {
    uint64_t cached;   /* free blocks of `current`, numbered from cached_first */
    char *cached_base; /* address of block cached_first */
    uint32_t size;
    uint32_t reciprocal; /* index = (offset / 8 * reciprocal) >> RECIPROCAL_SHIFT */
    struct slab *current;
    uint16_t block_count;
    uint16_t word_count;
    uint16_t word; /* of the bitmap: where `cached` came from */
    uint16_t full_event;
    struct list_node partial;
    struct magazine *magazine; /* B7; NULL: none has come back so far */
} CACHE_ALIGNED;

/* B7: free blocks of one class. */
struct magazine {
    uint32_t taken, put;   /* so many since the start: put - taken are in it */
    uint32_t taken_before; /* when heap_collect looked last */
    void *blocks[MAGAZINE_BLOCKS];
};

/* Blocks on their way back to the sibling they came from. */
struct bag {
    struct bag *next;
    uint64_t count;
    uintptr_t blocks[BAG_BLOCKS]; /* with their classes: CLASS_SHIFT */
};

/* What of a sibling two threads use. */
struct returns {
    _Atomic(struct bag *) full CACHE_ALIGNED; /* for the sibling's owner to take, newest first */
    _Atomic(struct bag *) empty;              /* that have been taken */
    struct bag *bag CACHE_ALIGNED;            /* being filled, or NULL; the owner of the first heap */
    struct bag *spare;                        /* empty ones; the same */
    bool attended;                            /* the same */
};

struct heap {
    struct size_class classes[CLASS_COUNT];
    int64_t accounted_bytes; /* told to mem_account */
    int64_t drift_bytes;     /* used_bytes - accounted_bytes */
    uint64_t last_stamp;
    struct region *regions; /* newest first */
    uint64_t region_count;
    struct slab *fresh; /* B5 */
    struct slab *fresh_end;
    bool fresh_is_touched;
    struct ahead *ahead; /* of a sibling too; NULL: none */
    size_t ahead_from;
    struct ahead_piece *asked[ASKED_MAX]; /* oldest first, then NULL */
    uint64_t ready_slabs;                 /* fresh ones that a worker has touched */
    uint64_t touched_slabs;               /* all but RETURNED and never used ones */
    uint64_t empty_slabs;
    uint64_t bitmap_bytes; /* of bitmaps outside the records */
    struct list_node empty;
    struct list_node returned;
    struct heap *first;    /* of a sibling; else NULL */
    struct bag *arrived;   /* of a sibling: taken off returns.full, to be emptied */
    uint8_t index;         /* OWNER_FIRST, or a sibling's */
    int64_t adopted_bytes; /* of the first heap: siblings' blocks that it counts */
    struct returns returns;
    /* Of the first heap. */
    uint32_t sibling_count;
    struct heap *siblings[HEAP_SIBLINGS_MAX];
    _Atomic uint8_t owners[OWNER_SLOTS];
};
_Static_assert(OWNER_SIBLING + HEAP_SIBLINGS_MAX <= OWNER_UNSURE, "an index is a byte");
_Static_assert(REGION_SIZE == (size_t)1 << REGION_SHIFT, "a slot for each region");
_Static_assert(sizeof(struct bag) == 512, "as jemalloc has it");
_Static_assert(BAG_BLOCKS + MAGAZINE_AHEAD <= MAGAZINE_BLOCKS, "there is room for a bag");

#define HEAP_MAP_SIZE ((sizeof(struct heap) + 4095) & ~(size_t)4095)

/* ---- Arithmetic ----------------------------------------------------------------------------------- */

ALWAYS_INLINE unsigned class_of(size_t size)
{
    if (size <= STEP_8_MAX)
        return (unsigned)((size - 1) / 8);
    if (likely(size <= STEP_16_MAX))
        return (unsigned)(STEP_16_FIRST + (size - STEP_8_MAX - 1) / 16);
    uint32_t rounded = ((uint32_t)size + 7) & ~7u;
    return (unsigned)(SHARE_FIRST + SHARE_MAX - (uint32_t)SLAB_SIZE / rounded);
}

static size_t class_size(unsigned class_index)
{
    if (class_index < STEP_16_FIRST)
        return (class_index + 1) * 8;
    if (class_index < SHARE_FIRST)
        return STEP_8_MAX + (class_index - STEP_16_FIRST + 1) * 16;
    return SLAB_SIZE / (SHARE_MAX - (class_index - SHARE_FIRST)) & ~(size_t)7;
}

size_t heap_block_size(size_t size)
{
    return size > HEAP_BLOCK_MAX ? size : class_size(class_of(size));
}

ALWAYS_INLINE struct region *region_of(const void *block)
{
    return (struct region *)((uintptr_t)block & ~(REGION_SIZE - 1));
}

ALWAYS_INLINE struct slab *slab_of(const void *block)
{
    return (struct slab *)region_of(block) + (((uintptr_t)block & (REGION_SIZE - 1)) >> SLAB_SHIFT);
}

/* Address of the first block. */
static char *slab_start(const struct slab *slab)
{
    struct slab *first = (struct slab *)region_of(slab);
    return (char *)first + (size_t)(slab - first) * SLAB_SIZE;
}

struct heap *heap_owner(const void *block)
{
    return region_of(block)->heap;
}

struct heap *heap_first(const void *block)
{
    struct heap *owner = heap_owner(block);
    return owner->first ? owner->first : owner;
}

ALWAYS_INLINE size_t owner_slot(const void *block)
{
    return (uintptr_t)block >> REGION_SHIFT & (OWNER_SLOTS - 1);
}

ALWAYS_INLINE uint8_t owner_index(const struct heap *first, const void *block)
{
    return atomic_load_explicit(&first->owners[owner_slot(block)], memory_order_relaxed);
}

/* The only writer is the heap's owner. */
#define count(counter, delta) __atomic_store_n(&(counter), (counter) + (delta), __ATOMIC_RELAXED)
#define seen(counter)         __atomic_load_n(&(counter), __ATOMIC_RELAXED)

/* ---- Life of a heap ------------------------------------------------------------------------------- */

struct heap *heap_new(void)
{
    struct heap *heap = map_new(HEAP_MAP_SIZE, CACHE_LINE);
    if (!heap)
        fatal("no memory for a heap");
    mem_account((int64_t)HEAP_MAP_SIZE);
    heap->index = OWNER_FIRST;
    list_init(&heap->empty);
    list_init(&heap->returned);
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        struct size_class *class = &heap->classes[i];
        class->size = (uint32_t)class_size(i);
        class->reciprocal =
            (uint32_t)((((uint64_t)1 << RECIPROCAL_SHIFT) + class->size / 8 - 1) / (class->size / 8));
        class->block_count = (uint16_t)(SLAB_SIZE / class->size);
        class->word_count = (uint16_t)((class->block_count + WORD_BITS - 1) / WORD_BITS);
        class->full_event = (uint16_t)((class->block_count + FULL_SHARE - 1) / FULL_SHARE);
        list_init(&class->partial);
    }
    return heap;
}

struct heap *heap_new_sibling(struct heap *first)
{
    ASSERT(!first->first && first->sibling_count < HEAP_SIBLINGS_MAX);
    struct heap *sibling = heap_new();
    sibling->first = first;
    sibling->ahead = first->ahead;
    sibling->ahead_from = first->ahead_from;
    sibling->index = (uint8_t)(OWNER_SIBLING + first->sibling_count);
    first->siblings[first->sibling_count++] = sibling;
    return sibling;
}

void heap_set_ahead(struct heap *heap, struct ahead *ahead, size_t from)
{
    ASSERT(!heap->first && heap->sibling_count == 0);
    heap->ahead = ahead;
    heap->ahead_from = from;
}

struct ahead *heap_ahead(const struct heap *heap)
{
    return heap->ahead;
}

static void bitmap_free(struct heap *heap, struct slab *slab)
{
    if (slab->bitmap && slab->bitmap != slab->inline_bitmap) {
        count(heap->bitmap_bytes, -(heap->classes[slab->class_index].word_count * sizeof(uint64_t)));
        mem_free(slab->bitmap);
    }
    slab->bitmap = NULL;
}

static void bags_free(struct bag *bag)
{
    while (bag) {
        struct bag *next = bag->next;
        mem_free(bag);
        bag = next;
    }
}

void heap_free(struct heap *heap)
{
    if (!heap)
        return;
    for (uint32_t i = 0; i < heap->sibling_count; i++)
        heap_free(heap->siblings[i]);
    mem_free(heap->returns.bag);
    bags_free(heap->returns.spare);
    bags_free(heap->arrived);
    for (unsigned i = 0; i < CLASS_COUNT; i++)
        mem_free(heap->classes[i].magazine);
    bags_free(atomic_load_explicit(&heap->returns.full, memory_order_acquire));
    bags_free(atomic_load_explicit(&heap->returns.empty, memory_order_acquire));
    for (unsigned i = 0; i < ASKED_MAX && heap->asked[i]; i++)
        ahead_end(heap->asked[i]);
    while (heap->regions) {
        struct region *region = heap->regions;
        heap->regions = region->next;
        for (uint32_t i = 1; i < region->used_slabs; i++)
            bitmap_free(heap, (struct slab *)region + i);
        UNPOISON(region, REGION_SIZE);
        map_free(region, REGION_SIZE);
    }
    mem_account(-(heap->first ? 0 : heap->accounted_bytes) - (int64_t)HEAP_MAP_SIZE);
    map_free(heap, HEAP_MAP_SIZE);
}

/* ---- Slabs ---------------------------------------------------------------------------------------- */

/* Notes whose the region is, for release by the owner of the first heap, who gets its blocks later than this. */
static void owner_note(struct heap *heap, const struct region *region)
{
    struct heap *first = heap->first ? heap->first : heap;
    _Atomic uint8_t *slot = &first->owners[owner_slot(region)];
    uint8_t noted = OWNER_NONE;
    if (!atomic_compare_exchange_strong_explicit(slot, &noted, heap->index, memory_order_relaxed,
                                                 memory_order_relaxed) &&
        noted != heap->index)
        atomic_store_explicit(slot, OWNER_UNSURE, memory_order_relaxed);
}

static bool region_add(struct heap *heap)
{
    struct region *region = map_new(REGION_SIZE, REGION_SIZE);
    if (!region)
        return false;
    POISON((char *)region + SLAB_SIZE, REGION_SIZE - SLAB_SIZE);
    region->heap = heap;
    region->used_slabs = 0;
    region->next = heap->regions;
    heap->regions = region;
    count(heap->region_count, 1);
    owner_note(heap, region);
    return true;
}

/* The next piece of the newest region, in slabs; NULL when it has none. */
static struct slab *piece_reserve(struct heap *heap)
{
    struct region *region = heap->regions;
    if (!region || region->used_slabs == REGION_SLABS)
        return NULL;
    struct slab *first = (struct slab *)region + region->used_slabs;
    region->used_slabs += PIECE_SLABS;
    return first;
}

/* Has a worker touch the next pieces. The first of a region cannot be among them: it has the records. */
static void pieces_ask(struct heap *heap)
{
    if (!heap->ahead || heap->touched_slabs * SLAB_SIZE < heap->ahead_from)
        return;
    for (unsigned i = 0; i < ASKED_MAX; i++) {
        struct slab *first = heap->asked[i] ? NULL : piece_reserve(heap);
        if (!first)
            continue;
        heap->asked[i] = ahead_ask(heap->ahead, slab_start(first));
        if (!heap->asked[i]) {
            heap->regions->used_slabs -= PIECE_SLABS;
            return;
        }
    }
}

/* A piece that has been touched; NULL when there is none yet. */
static struct slab *piece_ready(struct heap *heap)
{
    struct ahead_piece *oldest = heap->asked[0];
    if (!oldest || !ahead_is_ready(oldest))
        return NULL;
    struct slab *first = slab_of(ahead_start(oldest));
    ahead_end(oldest);
    memmove(&heap->asked[0], &heap->asked[1], (ASKED_MAX - 1) * sizeof heap->asked[0]);
    heap->asked[ASKED_MAX - 1] = NULL;
    return first;
}

/* Gets fresh slabs. */
static bool piece_take(struct heap *heap)
{
    struct slab *first = piece_ready(heap);
    heap->fresh_is_touched = first != NULL;
    if (first)
        count(heap->ready_slabs, PIECE_SLABS);
    else
        first = piece_reserve(heap);
    if (!first && region_add(heap))
        first = piece_reserve(heap);
    if (!first)
        return false;
    heap->fresh = first;
    heap->fresh_end = first + PIECE_SLABS;
    if (first == (struct slab *)region_of(first))
        heap->fresh++; /* the records lie in it */
    pieces_ask(heap);
    return true;
}

/* A slab without a class: an empty one, one that was given back, or a fresh one. */
static struct slab *slab_take(struct heap *heap)
{
    struct list_node *from = !list_is_empty(&heap->empty) ? &heap->empty : &heap->returned;
    if (!list_is_empty(from)) {
        struct slab *slab = list_entry(from->prev, struct slab, node);
        list_remove(&slab->node);
        if (slab->state == SLAB_EMPTY)
            count(heap->empty_slabs, -1);
        else
            count(heap->touched_slabs, 1);
        return slab;
    }
    if (heap->fresh == heap->fresh_end && !piece_take(heap))
        return NULL;
    count(heap->touched_slabs, 1);
    count(heap->ready_slabs, -(uint64_t)heap->fresh_is_touched);
    return heap->fresh++;
}

/* Puts a slab without blocks among the empty ones. */
static void slab_put_empty(struct heap *heap, struct slab *slab)
{
    bitmap_free(heap, slab);
    slab->state = SLAB_EMPTY;
    list_append(&heap->empty, &slab->node);
    count(heap->empty_slabs, 1);
}

static struct slab *slab_new(struct heap *heap, unsigned class_index)
{
    struct slab *slab = slab_take(heap);
    if (!slab)
        return NULL;
    struct size_class *class = &heap->classes[class_index];
    slab->class_index = (uint8_t)class_index;
    slab->bitmap = slab->inline_bitmap;
    if (class->word_count > INLINE_WORDS) {
        slab->bitmap = mem_try_alloc(class->word_count * sizeof(uint64_t));
        if (!slab->bitmap) {
            slab_put_empty(heap, slab);
            return NULL;
        }
        count(heap->bitmap_bytes, class->word_count * sizeof(uint64_t));
    }
    memset(slab->bitmap, 0xff, class->word_count * sizeof(uint64_t));
    if (class->block_count % WORD_BITS)
        slab->bitmap[class->word_count - 1] = ((uint64_t)1 << class->block_count % WORD_BITS) - 1;
    slab->free_count = class->block_count;
    return slab;
}

/* Makes a slab the one that its class allocates from. */
static struct slab *slab_acquire(struct heap *heap, unsigned class_index)
{
    struct size_class *class = &heap->classes[class_index];
    struct slab *slab;
    if (!list_is_empty(&class->partial)) {
        slab = list_entry(class->partial.next, struct slab, node);
        list_remove(&slab->node);
    } else {
        slab = slab_new(heap, class_index);
        if (!slab)
            return NULL;
    }
    slab->state = SLAB_CURRENT;
    slab->event_count = NEVER;
    return slab;
}

/* ---- Counting ----------------------------------------------------------------------------------- */

uint64_t heap_stamp(struct heap *heap)
{
    return ++heap->last_stamp;
}

void heap_account(struct heap *heap)
{
    if (!heap->first)
        mem_account(heap->drift_bytes);
    count(heap->accounted_bytes, heap->drift_bytes);
    count(heap->drift_bytes, -heap->drift_bytes);
}

ALWAYS_INLINE void heap_count(struct heap *heap, int64_t delta)
{
    count(heap->drift_bytes, delta);
    if (unlikely(heap->drift_bytes >= HEAP_ACCOUNT_STEP || heap->drift_bytes <= -HEAP_ACCOUNT_STEP))
        heap_account(heap);
}

/* ---- Blocks that come back ---------------------------------------------------------------------- */

/* A slab's free_count has reached its event_count. */
static NO_INLINE void slab_event(struct heap *heap, struct slab *slab)
{
    struct size_class *class = &heap->classes[slab->class_index];
    if (slab->state == SLAB_FULL) {
        slab->state = SLAB_PARTIAL;
        slab->event_count = class->block_count;
        list_append(&class->partial, &slab->node);
        return;
    }
    ASSERT(slab->state == SLAB_PARTIAL);
    list_remove(&slab->node);
    slab_put_empty(heap, slab);
}

/* Gives a block of this very heap back, without counting it. Returns its size. */
ALWAYS_INLINE size_t slab_release(struct heap *heap, void *block)
{
    struct slab *slab = slab_of(block);
    struct size_class *class = &heap->classes[slab->class_index];
    uint64_t offset = (uintptr_t)block & (SLAB_SIZE - 1);
    unsigned index = (unsigned)(offset / 8 * class->reciprocal >> RECIPROCAL_SHIFT);
    uint64_t bit = (uint64_t)1 << index % WORD_BITS;
    uint64_t *word = &slab->bitmap[index / WORD_BITS];
    ASSERT(!(*word & bit));
    *word |= bit;
    POISON(block, class->size);
    if (unlikely(++slab->free_count == slab->event_count))
        slab_event(heap, slab);
    return class->size;
}

static void bag_push(_Atomic(struct bag *) *stack, struct bag *bag)
{
    bag->next = atomic_load_explicit(stack, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(stack, &bag->next, bag, memory_order_release,
                                                  memory_order_relaxed))
        ;
}

ALWAYS_INLINE uint32_t magazine_count(const struct magazine *magazine)
{
    return magazine->put - magazine->taken;
}

/* A block of this very heap is free again. */
static void slab_take_back(struct heap *heap, void *block)
{
    heap_count(heap, -(int64_t)slab_release(heap, block));
}

static void put_back(struct heap *sibling, unsigned class_index, void *block)
{
    struct size_class *class = &sibling->classes[class_index];
    DEBUG_ASSERT(slab_of(block)->class_index == class_index);
    if (unlikely(class->magazine == NULL))
        class->magazine = mem_calloc(1, sizeof *class->magazine);
    struct magazine *magazine = class->magazine;
    if (likely(magazine_count(magazine) < MAGAZINE_BLOCKS))
        magazine->blocks[magazine->put++ % MAGAZINE_BLOCKS] = block;
    else
        slab_take_back(sibling, block);
}

static void *bag_block(uintptr_t item)
{
    return (void *)(item & (((uintptr_t)1 << CLASS_SHIFT) - 1));
}

/* Empties one of the sibling's bags. False: there is none. The pages of all its blocks are asked for together, as the processor waits
 * with nearly everything else for the address of a page of which it does not know it. */
static NO_INLINE bool bag_unpack(struct heap *sibling)
{
    struct returns *returns = &sibling->returns;
    struct bag *bag = sibling->arrived;
    if (bag == NULL) {
        if (likely(atomic_load_explicit(&returns->full, memory_order_relaxed) == NULL))
            return false;
        bag = atomic_exchange_explicit(&returns->full, NULL, memory_order_acquire);
    }
    sibling->arrived = bag->next;
    for (uint64_t i = 0; i < bag->count; i++)
        prefetch_write(bag_block(bag->blocks[i]));
    for (uint64_t i = 0; i < bag->count; i++)
        put_back(sibling, (unsigned)(bag->blocks[i] >> CLASS_SHIFT), bag_block(bag->blocks[i]));
    bag_push(&returns->empty, bag);
    return true;
}

/* The block that has been back for longest, NULL: none has come back. */
ALWAYS_INLINE void *magazine_take(struct heap *sibling, struct size_class *class)
{
    struct magazine *magazine = class->magazine;
    if (unlikely(magazine_count(magazine) <= MAGAZINE_AHEAD))
        bag_unpack(sibling);
    if (likely(magazine_count(magazine) > MAGAZINE_AHEAD)) {
        const char *ahead = magazine->blocks[(magazine->taken + MAGAZINE_AHEAD) % MAGAZINE_BLOCKS];
        for (uint32_t at = 0; at < class->size && at < AHEAD_LINES * CACHE_LINE; at += CACHE_LINE)
            prefetch_write(ahead + at);
    } else if (magazine_count(magazine) == 0) {
        return NULL;
    }
    return magazine->blocks[magazine->taken++ % MAGAZINE_BLOCKS];
}

/* ---- Allocation --------------------------------------------------------------------------------- */

/* Finds free blocks for a cursor that has none left. False when there is no memory. */
static NO_INLINE bool cursor_refill(struct heap *heap, unsigned class_index)
{
    struct size_class *class = &heap->classes[class_index];
    struct slab *slab = class->current;
    unsigned word = class->word + 1u;
    if (heap->first)
        bag_unpack(heap); /* for the blocks after this one */
    if (slab && slab->free_count < class->full_event) {
        slab->state = SLAB_FULL;
        slab->event_count = class->full_event;
        slab = NULL;
    }
    if (!slab) {
        class->current = slab = slab_acquire(heap, class_index);
        if (!slab)
            return false;
        word = 0;
    }
    /* There is a free block, so this ends; blocks behind the cursor are found by coming around. */
    for (;; word++) {
        if (word >= class->word_count)
            word = 0;
        if (slab->bitmap[word])
            break;
    }
    class->cached = slab->bitmap[word];
    class->cached_base = slab_start(slab) + (size_t)word * WORD_BITS * class->size;
    class->word = (uint16_t)word;
    slab->bitmap[word] = 0;
    slab->free_count -= (uint16_t)__builtin_popcountll(class->cached);
    return true;
}

void *heap_alloc(struct heap *heap, size_t size)
{
    DEBUG_ASSERT(size > 0);
    if (unlikely(size > HEAP_BLOCK_MAX))
        return mem_try_alloc(size);
    unsigned class_index = class_of(size);
    struct size_class *class = &heap->classes[class_index];
    if (class->magazine != NULL) {
        void *back = magazine_take(heap, class);
        if (likely(back != NULL)) {
            UNPOISON(back, size);
            return back;
        }
    }
    if (unlikely(class->cached == 0) && !cursor_refill(heap, class_index))
        return NULL;
    char *block = class->cached_base + (size_t)__builtin_ctzll(class->cached) * class->size;
    class->cached &= class->cached - 1;
    /* The block that will be handed out next, as far as it is known: its lines are cold, and will be written. */
    const char *next = class->cached_base + (size_t)__builtin_ctzll(class->cached | LAST_BIT) * class->size;
    prefetch_write(next);
    prefetch_write(next + CACHE_LINE);
    heap_count(heap, class->size);
    UNPOISON(block, size);
    return block;
}

bool heap_can_resize(size_t size, size_t new_size)
{
    return new_size <= HEAP_BLOCK_MAX && class_of(size) == class_of(new_size);
}

void heap_resize(void *block, size_t size, size_t new_size)
{
    DEBUG_ASSERT(heap_can_resize(size, new_size));
    POISON(block, class_size(class_of(size)));
    UNPOISON(block, new_size);
    (void)block;
    (void)size;
    (void)new_size;
}

void heap_prefetch_release(const struct heap *heap, const void *block)
{
    /* Of a sibling's block nothing is touched but the bag. */
    if (likely(heap->sibling_count == 0) || owner_index(heap, block) == OWNER_FIRST)
        prefetch_write(slab_of(block));
}

/* ---- Siblings ------------------------------------------------------------------------------------- */

/* Owner of the first heap: shows what has been collected so far. */
static void bag_hand_over(struct heap *sibling)
{
    struct returns *returns = &sibling->returns;
    if (returns->bag && returns->bag->count) {
        bag_push(&returns->full, returns->bag);
        returns->bag = NULL;
    }
}

static struct bag *bag_begin(struct returns *returns)
{
    if (!returns->spare)
        returns->spare = atomic_exchange_explicit(&returns->empty, NULL, memory_order_acquire);
    struct bag *bag = returns->spare;
    if (bag)
        returns->spare = bag->next;
    else
        bag = mem_alloc(sizeof *bag);
    bag->next = NULL;
    bag->count = 0;
    return bag;
}

ALWAYS_INLINE void collect(struct heap *sibling, void *block, unsigned class_index)
{
    struct returns *returns = &sibling->returns;
    if (unlikely(!returns->bag))
        returns->bag = bag_begin(returns);
    struct bag *bag = returns->bag;
    bag->blocks[bag->count++] = (uintptr_t)block | (uintptr_t)class_index << CLASS_SHIFT;
    if (unlikely(bag->count == BAG_BLOCKS))
        bag_hand_over(sibling);
}

/* Releases the first of the blocks, which is a sibling's, and those behind it as long as they are the same one's. Returns how many. */
static NO_INLINE unsigned release_siblings(struct heap *first, uint8_t index, const struct heap_block *blocks,
                                           unsigned count)
{
    struct heap *sibling =
        index == OWNER_UNSURE ? heap_owner(blocks->block) : first->siblings[index - OWNER_SIBLING];
    unsigned done = 0;
    size_t bytes = 0;
    do {
        void *block = blocks[done].block;
        unsigned class_index = class_of(blocks[done].size);
        size_t block_size = first->classes[class_index].size;
        bytes += block_size;
        POISON(block, block_size);
        if (likely(sibling->returns.attended))
            collect(sibling, block, class_index);
        else
            slab_take_back(sibling, block);
    } while (++done < count && index != OWNER_UNSURE && blocks[done].size <= HEAP_BLOCK_MAX &&
             owner_index(first, blocks[done].block) == index);
    heap_disown(first, bytes);
    return done;
}

void heap_adopt(struct heap *first, size_t bytes)
{
    heap_count(first, (int64_t)bytes);
    first->adopted_bytes += (int64_t)bytes;
}

void heap_disown(struct heap *first, size_t bytes)
{
    heap_count(first, -(int64_t)bytes);
    first->adopted_bytes -= (int64_t)bytes;
}

/* Empties the magazine of a class into the slabs. */
static void magazine_empty(struct heap *sibling, struct magazine *magazine)
{
    for (uint32_t i = magazine->taken; i != magazine->put; i++)
        prefetch_write(slab_of(magazine->blocks[i % MAGAZINE_BLOCKS]));
    for (; magazine->taken != magazine->put; magazine->taken++)
        slab_take_back(sibling, magazine->blocks[magazine->taken % MAGAZINE_BLOCKS]);
}

static void magazines_empty(struct heap *sibling, bool idle_only)
{
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        struct magazine *magazine = sibling->classes[i].magazine;
        if (magazine == NULL)
            continue;
        if (!idle_only || magazine->taken == magazine->taken_before)
            magazine_empty(sibling, magazine);
        magazine->taken_before = magazine->taken;
    }
}

void heap_collect(struct heap *sibling)
{
    while (bag_unpack(sibling))
        ;
    magazines_empty(sibling, true);
}

void heap_attend(struct heap *sibling, bool attended)
{
    ASSERT(sibling->first);
    sibling->returns.attended = attended;
    bag_hand_over(sibling);
    if (!attended) {
        heap_collect(sibling);
        magazines_empty(sibling, false);
    }
}

/* Releases the first of the blocks, and perhaps some behind it. Returns how many. */
ALWAYS_INLINE unsigned release_some(struct heap *heap, const struct heap_block *blocks, unsigned count)
{
    void *block = blocks->block;
    if (unlikely(blocks->size > HEAP_BLOCK_MAX)) {
        mem_free(block);
        return 1;
    }
    if (unlikely(heap->sibling_count > 0)) {
        uint8_t index = owner_index(heap, block);
        if (index != OWNER_FIRST && (index != OWNER_UNSURE || heap_owner(block) != heap))
            return release_siblings(heap, index, blocks, count);
    }
    DEBUG_ASSERT(heap_owner(block) == heap);
    ASSERT(slab_of(block)->class_index == class_of(blocks->size));
    heap_count(heap, -(int64_t)slab_release(heap, block));
    return 1;
}

void heap_release(struct heap *heap, void *block, size_t size)
{
    struct heap_block one = {block, size};
    release_some(heap, &one, 1);
}

void heap_release_all(struct heap *heap, const struct heap_block *blocks, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        heap_prefetch_release(heap, blocks[i].block);
    for (unsigned i = 0; i < count;)
        i += release_some(heap, &blocks[i], count - i);
}

/* ---- Upkeep --------------------------------------------------------------------------------------- */

/* Slabs that classes allocate from and of which no block is in use: whoever grows a block step by step leaves one behind
 * in each class. */
static void let_go_of_idle_slabs(struct heap *heap)
{
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        struct size_class *class = &heap->classes[i];
        struct slab *slab = class->current;
        unsigned cached = (unsigned)__builtin_popcountll(class->cached);
        if (!slab || slab->free_count + cached < class->block_count)
            continue;
        slab->bitmap[class->word] |= class->cached;
        slab->free_count = (uint16_t)(slab->free_count + cached);
        class->cached = 0;
        class->current = NULL;
        slab_put_empty(heap, slab);
    }
}

size_t heap_trim(struct heap *heap, size_t slabs_max)
{
    size_t returned = 0;
    for (uint32_t i = 0; i < heap->sibling_count; i++) {
        struct heap *sibling = heap->siblings[i];
        bag_hand_over(sibling);
        if (!sibling->returns.attended)
            returned += heap_trim(sibling, slabs_max - returned);
    }
    let_go_of_idle_slabs(heap);
    while (returned < slabs_max && heap->empty_slabs > EMPTY_RESERVE) {
        struct slab *slab = list_entry(heap->empty.next, struct slab, node);
        list_remove(&slab->node);
        count(heap->empty_slabs, -1);
        count(heap->touched_slabs, -1);
        map_discard(slab_start(slab), SLAB_SIZE);
        slab->state = SLAB_RETURNED;
        list_append(&heap->returned, &slab->node);
        returned++;
    }
    return returned;
}

void heap_stats(const struct heap *heap, struct heap_stats *ret_stats)
{
    *ret_stats = (struct heap_stats){
        .used_bytes = (uint64_t)(heap->accounted_bytes + heap->drift_bytes),
    };
    for (uint32_t i = 0; i <= heap->sibling_count; i++) {
        const struct heap *one = i == 0 ? heap : heap->siblings[i - 1];
        ret_stats->slab_bytes +=
            (seen(one->touched_slabs) + seen(one->ready_slabs)) * (SLAB_SIZE + sizeof(struct slab)) +
            seen(one->bitmap_bytes);
        ret_stats->empty_bytes += seen(one->empty_slabs) * SLAB_SIZE;
        ret_stats->reserved_bytes += seen(one->region_count) * REGION_SIZE;
    }
}

/* ---- Check ---------------------------------------------------------------------------------------- */

struct check_totals {
    uint64_t used_bytes;
    uint64_t touched;
    uint64_t empty;
    uint64_t returned;
    uint64_t partial;
    uint64_t unused;
};

static void check_slab(const struct heap *heap, const struct slab *slab, struct check_totals *totals)
{
    const struct size_class *class = &heap->classes[slab->class_index];
    if (slab->state == SLAB_UNUSED) {
        totals->unused++;
        return;
    }
    totals->touched += slab->state != SLAB_RETURNED;
    totals->empty += slab->state == SLAB_EMPTY;
    totals->returned += slab->state == SLAB_RETURNED;
    totals->partial += slab->state == SLAB_PARTIAL;
    if (slab->state == SLAB_EMPTY || slab->state == SLAB_RETURNED) {
        ASSERT(!slab->bitmap);
        return;
    }
    unsigned free_count = 0;
    for (unsigned i = 0; i < class->word_count; i++)
        free_count += (unsigned)__builtin_popcountll(slab->bitmap[i]);
    ASSERT(free_count == slab->free_count);
    unsigned cached = 0;
    if (slab->state == SLAB_CURRENT) {
        ASSERT(class->current == slab && slab->event_count == NEVER);
        ASSERT((slab->bitmap[class->word] & class->cached) == 0);
        cached = (unsigned)__builtin_popcountll(class->cached);
    } else {
        ASSERT(slab->free_count < slab->event_count);
    }
    totals->used_bytes += (uint64_t)(class->block_count - free_count - cached) * class->size;
}

static uint64_t list_length(const struct list_node *head)
{
    uint64_t length = 0;
    for (const struct list_node *node = head->next; node != head; node = node->next)
        length++;
    return length;
}

void heap_check(const struct heap *heap)
{
    struct check_totals totals = {0};
    uint64_t regions = 0, partial = 0;
    for (const struct region *region = heap->regions; region; region = region->next) {
        ASSERT(region->heap == heap && region->used_slabs <= REGION_SLABS);
        for (uint32_t i = 1; i < region->used_slabs; i++)
            check_slab(heap, (const struct slab *)region + i, &totals);
        regions++;
    }
    for (unsigned i = 0; i < CLASS_COUNT; i++)
        partial += list_length(&heap->classes[i].partial);
    ASSERT(regions == heap->region_count);
    ASSERT((int64_t)totals.used_bytes == heap->accounted_bytes + heap->drift_bytes - heap->adopted_bytes);
    ASSERT(totals.touched == heap->touched_slabs);
    ASSERT(totals.empty == heap->empty_slabs && totals.empty == list_length(&heap->empty));
    ASSERT(totals.returned == list_length(&heap->returned));
    ASSERT(totals.partial == partial);
    uint64_t fresh = (uint64_t)(heap->fresh_end - heap->fresh);
    uint64_t unused = fresh;
    for (unsigned i = 0; i < ASKED_MAX && heap->asked[i]; i++)
        unused += PIECE_SLABS;
    ASSERT(totals.unused == unused); /* B5 */
    ASSERT(heap->ready_slabs == (heap->fresh_is_touched ? fresh : 0));
    for (uint32_t i = 0; i < heap->sibling_count; i++)
        if (!heap->siblings[i]->returns.attended)
            heap_check(heap->siblings[i]);
}
