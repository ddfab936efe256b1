/* Where a table's buckets and due bounds lie: segments of doubling size, in use piece by piece.
 *
 * Principal entry points: table_segment_ensure, table_segment_release, table_due_set, table_memory.
 * Small segments are one block of base/alloc.h. From MAPPED_MIN on a segment is address space that the system
 * fills with zeros when it is touched; it is counted (mem_account) and given back in pieces, so that neither a
 * step of growth nor one of shrinking costs more than one piece. Of large segments a worker touches the next 2 MB in the meantime
 * (base/ahead.h); growth that gets there first is put off until it has done so.
 * Threads: the table's owner. Readers elsewhere follow the addresses of segments and of child buckets, so these go
 * through the limbo (T8), whose items know nothing of the table: it may be gone by then. A piece is discarded
 * beneath readers: that takes nothing out of their sight that T7 had not, and what reads as zeros is an empty bucket (T10). Bounds
 * are the owner's alone.
 *
 * S1  pieces[s] counts the pieces of segment s that were touched, from its start; one in a small segment.
 * S2  mapped_bytes is the sum of all pieces of mapped segments and of all small ones. What waits in the limbo counts there,
 *     no longer here, and as used memory until it is released. */
#include <string.h>

#include "base/ahead.h"
#include "base/alloc.h"
#include "base/epoch.h"
#include "base/map.h"
#include "ds/table_internal.h"

#define MAPPED_MIN ((size_t)64 << 10)
#define PIECE_SIZE ((size_t)64 << 10) /* taken and given back at once: tens of microseconds at most */

#define AHEAD_FROM  ((size_t)16 << 20) /* segments of this size: below, it would show in the memory per key */
#define PUT_OFF_MAX 4096 /* splits: after so many that have waited for a worker memory is used as it is */

/* A segment of buckets or of bounds, seen as bytes. */
struct area {
    void **base;
    uint32_t *pieces;
    size_t size;
    size_t piece_size;
    struct limbo *limbo; /* NULL: nobody else looks at it */
};

static size_t segment_buckets(unsigned segment)
{
    return (size_t)1 << (segment == 0 ? TABLE_FIRST_BITS : TABLE_FIRST_BITS + segment - 1);
}

static struct area area_of(void **base, uint32_t *pieces, size_t size, struct limbo *limbo)
{
    return (struct area){base, pieces, size, size < MAPPED_MIN ? size : PIECE_SIZE, limbo};
}

static struct area area_of_buckets(struct table *table, unsigned segment)
{
    return area_of((void **)&table->segments[segment], &table->pieces[segment],
                   segment_buckets(segment) * sizeof(struct table_bucket), table->limbo);
}

static struct area area_of_bounds(struct table *table, unsigned segment)
{
    return area_of((void **)&table->due_segments[segment], &table->due_pieces[segment],
                   segment_buckets(segment) * sizeof(uint32_t), NULL);
}

static bool area_is_mapped(const struct area *area)
{
    return area->size >= MAPPED_MIN;
}

/* A zeroed block on a cache line; the address to free lies in the word before it. */
static void *line_block_new(size_t size)
{
    char *raw = mem_try_alloc(size + CACHE_LINE + sizeof(void *));
    if (!raw)
        return NULL;
    uintptr_t start = ((uintptr_t)raw + sizeof(void *) + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1);
    ((void **)start)[-1] = raw;
    return memset((void *)start, 0, size);
}

static void line_block_free(void *block)
{
    mem_free(((void **)block)[-1]);
}

/* ---- Release, perhaps long after the table has gone ------------------------------------------------ */

static void release_mapping(void *context, void *base, size_t touched)
{
    map_free(base, (size_t)context);
    mem_account(-(int64_t)touched);
}

static void release_block(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    line_block_free(block);
}

static void release_child(void *heap, void *child, size_t size)
{
    heap_release(heap, child, size);
}

static void retire(struct limbo *limbo, limbo_release_fn release, void *context, void *block, size_t size)
{
    if (limbo)
        limbo_add(limbo, release, context, block, size);
    else
        release(context, block, size);
}

/* ---- Areas ----------------------------------------------------------------------------------------- */

/* Makes the bytes up to `end` usable. */
static bool area_ensure(struct table *table, const struct area *area, size_t end)
{
    if (!*area->base) {
        void *base = area_is_mapped(area)
                         ? map_new(area->size, area->size >= AHEAD_SIZE ? AHEAD_SIZE : area->piece_size)
                         : line_block_new(area->size);
        if (!base)
            return false;
        __atomic_store_n(area->base, base, __ATOMIC_RELEASE);
        *area->pieces = 0;
    }
    while (*area->pieces * area->piece_size < end) {
        ++*area->pieces;
        table->mapped_bytes += area->piece_size;
        if (area_is_mapped(area))
            mem_account((int64_t)area->piece_size);
    }
    return true;
}

/* Discards the last piece. Its contents are not needed any more. */
static void area_drop_piece(struct table *table, const struct area *area)
{
    size_t start = --*area->pieces * area->piece_size;
    table->mapped_bytes -= area->piece_size;
    if (area_is_mapped(area)) {
        map_discard((char *)*area->base + start, area->piece_size);
        mem_account(-(int64_t)area->piece_size);
    }
}

static void area_free(struct table *table, const struct area *area)
{
    char *base = *area->base;
    if (!base)
        return;
    if (table->asked && (uintptr_t)ahead_start(table->asked) - (uintptr_t)base < area->size) {
        ahead_end(table->asked);
        table->asked = NULL;
    }
    size_t touched = *area->pieces * area->piece_size;
    table->mapped_bytes -= touched;
    *area->pieces = 0;
    __atomic_store_n(area->base, NULL, __ATOMIC_RELEASE);
    if (area_is_mapped(area))
        retire(area->limbo, release_mapping, (void *)area->size, base, touched);
    else
        retire(area->limbo, release_block, NULL, base, touched);
}

/* Drops at most one piece behind `end`, keeping one in reserve against a table that grows and shrinks. */
static void area_trim(struct table *table, const struct area *area, size_t end)
{
    if (*area->base && area_is_mapped(area) && *area->pieces >= 2 &&
        (*area->pieces - 2) * area->piece_size >= end)
        area_drop_piece(table, area);
}

/* ---- Ahead of growth ------------------------------------------------------------------------------- */

/* Has a worker touch what comes after the 2 MB from `offset` of the segment on. */
static void ask_for_next(struct table *table, unsigned segment, size_t offset)
{
    offset += AHEAD_SIZE;
    if (offset == segment_buckets(segment) * sizeof(struct table_bucket)) {
        struct area above = area_of_buckets(table, ++segment);
        offset = 0;
        if (segment >= TABLE_SEGMENTS || !area_ensure(table, &above, 0) || *above.pieces > 0)
            return;
    }
    table->asked = ahead_ask(heap_ahead(table->heap), (char *)table->segments[segment] + offset);
}

/* A piece is about to be used that ends at `end`. False: a worker is touching it, so not yet. */
static bool ahead_allows(struct table *table, unsigned segment, size_t end)
{
    size_t offset = (end - 1) & ~(AHEAD_SIZE - 1);
    if (table->asked && ahead_start(table->asked) == (char *)table->segments[segment] + offset) {
        if (!ahead_is_ready(table->asked) && table->put_off < PUT_OFF_MAX) {
            table->put_off++;
            return false;
        }
        ahead_end(table->asked);
        table->asked = NULL;
        table->put_off = 0;
    }
    if (!table->asked && table->heap && heap_ahead(table->heap))
        ask_for_next(table, segment, offset);
    return true;
}

/* ---- For the table --------------------------------------------------------------------------------- */

bool table_segment_ensure(struct table *table, uint64_t index)
{
    uint64_t offset;
    unsigned segment = table_segment_of(index, &offset);
    if (segment >= TABLE_SEGMENTS)
        return false;
    size_t end = (offset + 1) * sizeof(struct table_bucket);
    if (likely(table->segments[segment])) {
        size_t segment_size = segment_buckets(segment) * sizeof(struct table_bucket);
        if (likely(segment_size < MAPPED_MIN || end <= table->pieces[segment] * PIECE_SIZE))
            return true;
        if (segment_size >= AHEAD_FROM && !ahead_allows(table, segment, end))
            return false;
    }
    struct area area = area_of_buckets(table, segment);
    return area_ensure(table, &area, end);
}

void table_segment_release(struct table *table)
{
    uint64_t bucket_count = table_bucket_count(table);
    uint64_t offset = 0;
    unsigned segment = bucket_count ? table_segment_of(bucket_count - 1, &offset) : 0;
    struct area buckets = area_of_buckets(table, segment);
    struct area bounds = area_of_bounds(table, segment);
    area_trim(table, &buckets, (offset + 1) * sizeof(struct table_bucket));
    area_trim(table, &bounds, (offset + 1) * sizeof(uint32_t));
    /* The segment above has at most two pieces left; it goes when this one is half empty. */
    if (segment + 1 < TABLE_SEGMENTS && table->segments[segment + 1] &&
        offset < segment_buckets(segment) / 2) {
        struct area above = area_of_buckets(table, segment + 1);
        struct area above_bounds = area_of_bounds(table, segment + 1);
        area_free(table, &above);
        area_free(table, &above_bounds);
    }
}

void table_segments_free(struct table *table)
{
    for (unsigned segment = 0; segment < TABLE_SEGMENTS; segment++) {
        struct area buckets = area_of_buckets(table, segment);
        struct area bounds = area_of_bounds(table, segment);
        area_free(table, &buckets);
        area_free(table, &bounds);
    }
}

struct table_bucket *table_child_new(struct table *table)
{
    struct table_bucket *child =
        table->heap ? heap_alloc(table->heap, sizeof(*child)) : line_block_new(sizeof(*child));
    if (!child)
        return NULL;
    DEBUG_ASSERT(((uintptr_t)child & (CACHE_LINE - 1)) == 0);
    memset(child, 0, sizeof(*child));
    table->child_count++;
    return child;
}

void table_child_free(struct table *table, struct table_bucket *child)
{
    table->child_count--;
    retire(table->limbo, table->heap ? release_child : release_block, table->heap, child, sizeof(*child));
}

bool table_due_set(struct table *table, uint64_t index, uint32_t due)
{
    uint64_t offset;
    unsigned segment = table_segment_of(index, &offset);
    struct area area = area_of_bounds(table, segment);
    size_t end = (offset + 1) * sizeof(uint32_t);
    if (unlikely(!*area.base || *area.pieces * area.piece_size < end)) {
        if (due == TABLE_DUE_NONE)
            return true;
        if (!area_ensure(table, &area, end))
            return false;
    }
    table->due_segments[segment][offset] = ~due;
    return true;
}

size_t table_memory(const struct table *table)
{
    return table->mapped_bytes + table->child_count * sizeof(struct table_bucket);
}
