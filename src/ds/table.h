/* A hash table of pointers that grows and shrinks one bucket at a time (linear hashing, W. Litwin, 1980).
 *
 * Principal entry points: table_init, table_find, table_locate, table_insert, table_replace, table_remove,
 * table_scan, table_random, table_due_sweep.
 * The table knows nothing of what it holds: a caller gives the hash of an item and a test for equality.
 *
 * A bucket is one cache line: a word of seven tags and presence bits, and seven pointers. A full bucket turns
 * its last slot into a link to a child bucket (lowest bit of the pointer set). There is no second table during
 * growth: bucket `split` of the current round is divided into itself and its new sibling at the end, so the
 * load stays the same and nothing pauses. Buckets lie in segments of doubling size that are mapped at once and
 * touched by and by; a segment never moves while it is in use.
 *
 * Threads: one writer (the owner). Every store that publishes is a release store in an order that lets other
 * threads look things up at the same time (T3 to T5, T8 to T10). They call the functions with _shared in their names only,
 * inside sections of the epoch whose limbo the table has.
 *
 * T1  bucket_count == 2^round_bits + split, 0 <= split < 2^round_bits.
 * T2  An item of hash h lies in the chain of bucket h & (2^(round_bits+1) - 1), or, where that is not below
 *     bucket_count, of h & (2^round_bits - 1).
 * T3  A slot's pointer is stored before its presence bit; removal clears the bit first. An item counts as there from the
 *     store of the bit on: a reader that found the bit, and then another item than the one that it belonged to, looks at
 *     the bit again.
 * T4  A split inserts into the sibling before it clears the old place; `generation` is raised in between, so
 *     that only a miss needs to compare generations.
 * T5  Chains are dense: only the last bucket of a chain has free slots, and a child has at least two items. The
 *     hole that a removal leaves is filled from the end: inserted first, then `generation` is raised, then the
 *     old place is cleared.
 * T6  The due side array holds, for each bucket, a lower bound of the due time of the items in its chain.
 * T7  A bucket at or past bucket_count has no item, no child and no due time.
 * T8  What readers may follow (child buckets, segments of buckets) is out of their way before it is given to the limbo, and
 *     stays as it is until it is released: a reader that is in a bucket that was taken out finds there what was in it. A
 *     segment is zeroed before its address is stored, and has its address before bucket_count says that it is there.
 * T9  The generation is raised between a change of bucket_count and the clearing of the place that readers with the other
 *     count look into. It is odd while there is an item that cannot be found at all: a chain loses its last bucket.
 * T10 A bucket that readers with an old bucket_count may still be looking at can be emptied and its memory discarded (it reads as
 *     zeros then) at any time: an empty slot is passed over, and T9 tells that a miss there means nothing. */
#ifndef SKUA_DS_TABLE_H
#define SKUA_DS_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/bug.h"
#include "base/heap.h"
#include "base/macros.h"
#include "base/mutant.h"
#include "base/rng.h"
#include "base/status.h"

#define TABLE_SLOTS          7
#define TABLE_SEGMENTS       40
#define TABLE_FIRST_BITS     3 /* segment 0 has 2^3 buckets, segment n > 0 2^(3 + n - 1) */
#define TABLE_LOAD           5 /* items for each bucket: more make the table grow */
#define TABLE_LOAD_MIN_NUM   5 /* fewer than 5/2 for each make it shrink */
#define TABLE_LOAD_MIN_DEN   2
#define TABLE_DUE_NONE       UINT32_MAX /* nothing in this bucket will ever be due */
#define TABLE_DUE_OPEN_COST  512 /* a bucket that a sweep has to open costs as much as passing over so many */
#define TABLE_PRESENCE_SHIFT 56

/* meta: bits 0..55 seven tags (top byte of the hash), bits 56..62 presence. A child link in the last slot has
 * no presence bit; it is recognised by bit 0 of the pointer. */
struct table_bucket {
    _Atomic uint64_t meta;
    _Atomic(uintptr_t) slots[TABLE_SLOTS];
} CACHE_ALIGNED;

struct table_type {
    uint64_t (*hash)(const void *item, void *context);
    /* When this item is due, in the units of table_due_note; NULL when items are never due. */
    uint32_t (*due)(const void *item, void *context);
};

struct ahead_piece;

struct table {
    _Atomic uint64_t bucket_count; /* T1; together with the segments says where everything lies */
    _Atomic uint64_t generation;   /* raised by every move (T4, T5, T9) */
    uint64_t item_count;
    uint64_t child_count;
    uint64_t due_cursor; /* buckets that the sweep has yet to visit in this round */
    uint64_t due_opened; /* buckets that sweeps had to look into, since the start */
    size_t mapped_bytes; /* of segments and side arrays, as far as touched */
    const struct table_type *type;
    void *context;
    struct heap *heap;   /* child buckets; NULL: base/alloc.h */
    struct limbo *limbo; /* where memory that other threads may be reading goes; NULL: nobody else reads */
    struct table_bucket *segments[TABLE_SEGMENTS];
    /* bounds, inverted so that zero says never; NULL: never for all */
    uint32_t *due_segments[TABLE_SEGMENTS];
    uint32_t pieces[TABLE_SEGMENTS]; /* pieces of each segment that are in use: see table_memory.c */
    uint32_t due_pieces[TABLE_SEGMENTS];
    struct ahead_piece *asked; /* memory for buckets to come that a worker touches; NULL: none */
    uint32_t put_off;          /* splits that did not wait for it */
};

/* Where an item lies. Valid until the next insert, remove or maintenance step. */
struct table_position {
    struct table_bucket *bucket;
    unsigned slot;
    uint64_t head_index; /* the bucket that the chain belongs to */
};

/* Takes no memory until the first insert. The caller may set `limbo` then, before the first item is inserted. */
void table_init(struct table *table, const struct table_type *type, void *context, struct heap *heap);

/* Frees buckets, not items, and leaves the table empty. Takes long on a large table that has not been drained. Readers may be in
 * the table: what they look at goes through the limbo, which after this refers to `heap` only, not to the table. The struct
 * itself is the caller's, to be kept until the sections that found it have been left. */
void table_done(struct table *table);

ALWAYS_INLINE uint64_t table_size(const struct table *table)
{
    return table->item_count;
}

/* Bytes of buckets and side arrays that are in use (touched), without items. */
size_t table_memory(const struct table *table);

/* ---- Where a hash lives -------------------------------------------------------------------------- */

ALWAYS_INLINE uint64_t table_index_of(uint64_t bucket_count, uint64_t hash)
{
    uint64_t mask = UINT64_MAX >> __builtin_clzll(bucket_count); /* 2^(round_bits + 1) - 1 */
    uint64_t index = hash & mask;
    return index < bucket_count ? index : index & mask >> 1;
}

/* Without a branch: index 0 to 7 have the same highest bit as 4 to 7 here, and nothing is taken away from them. */
ALWAYS_INLINE unsigned table_segment_of(uint64_t index, uint64_t *ret_offset)
{
    const uint64_t in_first = ((uint64_t)1 << TABLE_FIRST_BITS) - 1;
    unsigned top = 63 ^ (unsigned)__builtin_clzll(index | in_first);
    *ret_offset = index - (((uint64_t)1 << top) & ~in_first);
    return top - (TABLE_FIRST_BITS - 1);
}

ALWAYS_INLINE struct table_bucket *table_bucket_at(const struct table *table, uint64_t index)
{
    uint64_t offset;
    unsigned segment = table_segment_of(index, &offset);
    return &table->segments[segment][offset];
}

/* By a thread that is not the owner: NULL where there is no memory (any more). */
ALWAYS_INLINE const struct table_bucket *table_bucket_at_shared(const struct table *table, uint64_t hash)
{
    uint64_t bucket_count = atomic_load_explicit(&table->bucket_count, memory_order_acquire);
    if (unlikely(bucket_count == 0))
        return NULL;
    uint64_t offset;
    unsigned segment = table_segment_of(table_index_of(bucket_count, hash), &offset);
    const struct table_bucket *start = __atomic_load_n(&table->segments[segment], __ATOMIC_ACQUIRE);
    return likely(start != NULL) ? &start[offset] : NULL;
}

ALWAYS_INLINE uint8_t table_tag_of(uint64_t hash)
{
    return (uint8_t)(hash >> 56);
}

/* One bit per slot (0..6) whose tag equals and that is present. Exact: no false candidates beyond equal tags. */
ALWAYS_INLINE unsigned table_candidates(uint64_t meta, uint8_t tag)
{
#if defined(__SSE2__)
    __m128i equal = _mm_cmpeq_epi8(_mm_cvtsi64_si128((long long)meta), _mm_set1_epi8((char)tag));
    return (unsigned)_mm_movemask_epi8(equal) & (unsigned)(meta >> TABLE_PRESENCE_SHIFT) & 0x7f;
#else
    uint64_t difference = (meta ^ (0x0001010101010101ull * tag)) & 0x00ffffffffffffffull;
    /* A zero byte in `difference` is a match; this exact form has no carries between bytes. */
    uint64_t nonzero = ((difference & 0x007f7f7f7f7f7f7full) + 0x007f7f7f7f7f7f7full) | difference;
    uint64_t matches = ~nonzero & 0x0080808080808080ull;
    /* Gather bit 7 of each byte into seven adjacent bits. */
    unsigned mask = (unsigned)(((matches >> 7) * 0x0001020408102040ull >> 48) & 0x7f);
    return mask & (unsigned)(meta >> TABLE_PRESENCE_SHIFT) & 0x7f;
#endif
}

/* ---- Lookup -------------------------------------------------------------------------------------- */

typedef bool (*table_equal_fn)(const void *item, const void *key);

/* `equal` should be a static inline function so that the compiler can fold it in. */
ALWAYS_INLINE bool table_locate(const struct table *table, uint64_t hash, table_equal_fn equal,
                                const void *key, struct table_position *ret_position)
{
    uint64_t bucket_count = atomic_load_explicit(&table->bucket_count, memory_order_acquire);
    if (bucket_count == 0)
        return false;
    uint64_t index = table_index_of(bucket_count, hash);
    struct table_bucket *bucket = table_bucket_at(table, index);
    uint8_t tag = table_tag_of(hash);
    for (;;) {
        uint64_t meta = atomic_load_explicit(&bucket->meta, memory_order_acquire);
        for (unsigned set = table_candidates(meta, tag); set; set &= set - 1) {
            unsigned slot = (unsigned)__builtin_ctz(set);
            uintptr_t item = atomic_load_explicit(&bucket->slots[slot], memory_order_acquire);
            /* Odd: it became a child link after `meta` was read, and the child has the item. */
            if (likely(!(item & 1) && equal((const void *)item, key))) {
                *ret_position = (struct table_position){bucket, slot, index};
                return true;
            }
        }
        uintptr_t last = atomic_load_explicit(&bucket->slots[TABLE_SLOTS - 1], memory_order_acquire);
        if (likely(!(last & 1)))
            return false;
        bucket = (struct table_bucket *)(last & ~(uintptr_t)1);
    }
}

ALWAYS_INLINE void *table_item_at(const struct table_position *position)
{
    return (void *)atomic_load_explicit(&position->bucket->slots[position->slot], memory_order_relaxed);
}

ALWAYS_INLINE void *table_find(const struct table *table, uint64_t hash, table_equal_fn equal,
                               const void *key)
{
    struct table_position position;
    return table_locate(table, hash, equal, key, &position) ? table_item_at(&position) : NULL;
}

/* ---- Lookup by other threads ---------------------------------------------------------------------- */

enum table_seen {
    TABLE_HIT,
    TABLE_MISS,
    TABLE_UNSURE, /* not found while the table was changing: look again */
};

/* As table_find, by a thread that is not the owner, inside a section of the epoch whose limbo the table has. A hit was there at
 * some moment of the call, whatever the generation; a miss means that the item was not there at some moment of the call, because
 * the generation was even and stood still (T4, T5, T9).
 *
 * Why a hit is true: the bit said that there was an item in this slot, and what the slot had then or got since is what is read
 * (T3), so it is no pointer from before the section. If it is another than the bit was for, it had been put there after the bit
 * had been cleared, and is there since the bit was set again: that is the second look. */
ALWAYS_INLINE enum table_seen table_find_shared(const struct table *table, uint64_t hash,
                                                table_equal_fn equal, const void *key, void **ret_item)
{
    uint64_t generation = atomic_load_explicit(&table->generation, memory_order_acquire);
    const struct table_bucket *bucket = table_bucket_at_shared(table, hash);
    uint8_t tag = table_tag_of(hash);
    MUTANT_PAUSE(GENERATION_NOT_RAISED);
    while (bucket) {
        uint64_t meta = atomic_load_explicit(&bucket->meta, memory_order_acquire);
        for (unsigned set = table_candidates(meta, tag); set; set &= set - 1) {
            unsigned slot = (unsigned)__builtin_ctz(set);
            uintptr_t item = atomic_load_explicit(&bucket->slots[slot], memory_order_acquire);
            /* 0: the bucket was cleared after `meta` was read (T10). */
            if (likely(item != 0 && !(item & 1) && equal((const void *)item, key))) {
                uint64_t again = atomic_load_explicit(&bucket->meta, memory_order_relaxed);
                *ret_item = (void *)item;
                return likely(again >> (TABLE_PRESENCE_SHIFT + slot) & 1) ? TABLE_HIT : TABLE_UNSURE;
            }
        }
        uintptr_t last = atomic_load_explicit(&bucket->slots[TABLE_SLOTS - 1], memory_order_acquire);
        bucket = last & 1 ? (const struct table_bucket *)(last & ~(uintptr_t)1) : NULL;
    }
    /* Each load above is an acquire load, so this one comes last. */
    bool calm =
        atomic_load_explicit(&table->generation, memory_order_relaxed) == generation && !(generation & 1);
    return likely(calm) ? TABLE_MISS : TABLE_UNSURE;
}

/* The stages before it. The item, NULL when there is none, may be looked at inside the section. */
ALWAYS_INLINE void table_prefetch_bucket_shared(const struct table *table, uint64_t hash)
{
    prefetch(table_bucket_at_shared(table, hash));
}

ALWAYS_INLINE void *table_likely_item_in(const struct table_bucket *bucket, uint64_t hash)
{
    unsigned set =
        table_candidates(atomic_load_explicit(&bucket->meta, memory_order_acquire), table_tag_of(hash));
    if (!set)
        return NULL;
    uintptr_t item = atomic_load_explicit(&bucket->slots[__builtin_ctz(set)], memory_order_acquire);
    return item & 1 ? NULL : (void *)item;
}

/* *ret_child: where there is no such item, the bucket in which it is if it is anywhere, or NULL; may be followed as the item may. */
ALWAYS_INLINE void *table_likely_item_shared(const struct table *table, uint64_t hash,
                                             const struct table_bucket **ret_child)
{
    const struct table_bucket *bucket = table_bucket_at_shared(table, hash);
    void *item = bucket ? table_likely_item_in(bucket, hash) : NULL;
    *ret_child = NULL;
    if (likely(item != NULL) || !bucket)
        return item;
    uintptr_t last = atomic_load_explicit(&bucket->slots[TABLE_SLOTS - 1], memory_order_acquire);
    *ret_child = last & 1 ? (const struct table_bucket *)(last & ~(uintptr_t)1) : NULL;
    return NULL;
}

/* ---- Lookup in stages by the owner ---------------------------------------------------------------- */

/* First stage of a batched lookup: asks for the bucket's line, of which an item will be read, or replaced. */
ALWAYS_INLINE void table_prefetch_bucket(const struct table *table, uint64_t hash, bool writes)
{
    uint64_t bucket_count = atomic_load_explicit(&table->bucket_count, memory_order_relaxed);
    if (!bucket_count)
        return;
    const void *bucket = table_bucket_at(table, table_index_of(bucket_count, hash));
    if (writes)
        prefetch_write(bucket);
    else
        prefetch(bucket);
}

/* Second stage: the item that most likely is the one looked for, or NULL. Only a hint; may be dereferenced by
 * the owner thread until the next change of the table. */
ALWAYS_INLINE void *table_likely_item(const struct table *table, uint64_t hash)
{
    uint64_t bucket_count = atomic_load_explicit(&table->bucket_count, memory_order_relaxed);
    return bucket_count
               ? table_likely_item_in(table_bucket_at(table, table_index_of(bucket_count, hash)), hash)
               : NULL;
}

/* ---- Change -------------------------------------------------------------------------------------- */

/* The caller has made sure that no equal item is there. The item's address must be even.
 * Splits at most two buckets; a split that cannot get memory is put off. ST_NOMEM when the first segment or a
 * child bucket for this item cannot be had: nothing changed. */
enum status table_insert(struct table *table, uint64_t hash, void *item);

/* Puts another item of the same hash and key in an item's place; returns the old one. */
ALWAYS_INLINE void *table_replace(struct table *table, const struct table_position *position, void *item)
{
    (void)table;
    void *old = table_item_at(position);
    atomic_store_explicit(&position->bucket->slots[position->slot], (uintptr_t)item, memory_order_release);
    return old;
}

/* Takes the item out and returns it. Merges at most two pairs of buckets when the table has become sparse. */
void *table_remove(struct table *table, const struct table_position *position);

/* ---- Visits -------------------------------------------------------------------------------------- */

typedef void (*table_visit_fn)(void *item, void *context);

/* One step of a scan: visits the bucket under `cursor` and all that it was or will be divided into, and returns
 * the next cursor, 0 at the end. Every item that is present from the first step to the last is visited at
 * least once, however the table grows or shrinks between the steps (reverse binary order of bucket numbers).
 * `visit` must not change the table. */
uint64_t table_scan(const struct table *table, uint64_t cursor, table_visit_fn visit, void *context);

/* Asks for what scans will look at: the bucket that comes `buckets_ahead` steps after `cursor`, and the first `item_lines` cache lines of
 * each item of the one that comes `items_ahead` steps after it, which has been asked for before. */
void table_scan_prefetch(const struct table *table, uint64_t cursor, unsigned buckets_ahead,
                         unsigned items_ahead, unsigned item_lines);

/* The place of a hash in the order in which table_scan visits: whatever is before that of the cursor (which is a hash in this
 * sense) has been visited, and nothing else; after the cursor 0 at the end, everything. */
ALWAYS_INLINE uint64_t table_scan_order(uint64_t hash)
{
    hash = (hash >> 1 & 0x5555555555555555ull) | (hash & 0x5555555555555555ull) << 1;
    hash = (hash >> 2 & 0x3333333333333333ull) | (hash & 0x3333333333333333ull) << 2;
    hash = (hash >> 4 & 0x0f0f0f0f0f0f0f0full) | (hash & 0x0f0f0f0f0f0f0f0full) << 4;
    return __builtin_bswap64(hash);
}

/* A random item, NULL when empty. Each item has nearly the same chance. */
void *table_random(const struct table *table, struct rng *rng);

/* Takes every item out, at most `buckets_max` buckets a call, handing each to `visit` (which frees it). The
 * table must not be used otherwise meanwhile. Returns true when nothing is left; table_done may follow. */
bool table_drain(struct table *table, size_t buckets_max, table_visit_fn visit, void *context);

/* ---- Due times ----------------------------------------------------------------------------------- */

/* Tells that the item of this hash is now due at `due` (lowers the bucket's bound if needed). Must be called
 * when an item's due time becomes earlier or an item with a due time is inserted or replaced. The table must
 * have an item. */
void table_due_note(struct table *table, uint64_t hash, uint32_t due);

/* Looks through the side array from where the last call stopped, at most `buckets_max` buckets, for bounds <= now (which is below
 * TABLE_DUE_NONE). For such a bucket, which counts as TABLE_DUE_OPEN_COST, each item for which type->due(item) <= now is handed to
 * `expire`, which must remove exactly that item from the table or leave it; then the bound is computed anew. Stops early after
 * `items_max` items. Returns true when a round is complete: without inserts in between, nothing that was due at its start is left but
 * what `expire` left. */
bool table_due_sweep(struct table *table, uint32_t now, size_t buckets_max, size_t items_max,
                     table_visit_fn expire, void *context, size_t *ret_items);

/* Looks for an item with a due time that is `wanted`, downwards from bucket *cursor (0: from the last one), at most
 * `buckets_max` buckets; of those in one bucket any. NULL: there was none so far, and the next call goes on from
 * *cursor. */
void *table_due_seek(const struct table *table, uint64_t *cursor, size_t buckets_max,
                     bool (*wanted)(const void *item), struct rng *rng);

/* Asserts T1, T2, T6 and the counters by walking everything. For tests. */
void table_check(const struct table *table);

#endif
