/* A bounded ring for one producer thread and one consumer thread: pointers, published in batches.
 *
 * Principal entry points: ring_init, ring_push, ring_publish, ring_pop, ring_retire.
 * Each side keeps a private copy of the other's index and looks at the shared one only when the copy says full
 * or empty, so that a batch costs one transfer of a cache line in each direction.
 *
 * G1  tail - head <= capacity; both are free running; slots [head, tail) belong to the consumer.
 * G2  The producer writes slots, then publishes tail (release); the consumer loads tail (acquire), reads slots,
 *     then publishes head (release); the producer loads head (acquire) before it reuses a slot. */
#ifndef SKUA_BASE_RING_H
#define SKUA_BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"

struct ring {
    /* Consumer's line. */
    _Atomic uint64_t head CACHE_ALIGNED;
    uint64_t head_private;
    uint64_t tail_seen;
    /* Producer's line. */
    _Atomic uint64_t tail CACHE_ALIGNED;
    uint64_t tail_private;
    uint64_t head_seen;
    /* Fixed. */
    void **slots CACHE_ALIGNED;
    uint64_t mask;
};

/* `capacity` is a power of two. */
void ring_init(struct ring *ring, uint32_t capacity);
void ring_done(struct ring *ring);

/* Producer: puts a pointer in; false when full. Invisible to the consumer until ring_publish. */
static inline bool ring_push(struct ring *ring, void *pointer)
{
    if (unlikely(ring->tail_private - ring->head_seen > ring->mask)) {
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (ring->tail_private - ring->head_seen > ring->mask)
            return false;
    }
    ring->slots[ring->tail_private++ & ring->mask] = pointer;
    return true;
}

/* Producer: shows everything pushed to the consumer. Returns false when there was nothing new. */
static inline bool ring_publish(struct ring *ring)
{
    if (atomic_load_explicit(&ring->tail, memory_order_relaxed) == ring->tail_private)
        return false;
    atomic_store_explicit(&ring->tail, ring->tail_private, memory_order_release);
    return true;
}

/* Producer: the `index`th of the pointers that have been pushed and not been published, NULL: there are fewer. */
static inline void *ring_unpublished(const struct ring *ring, unsigned index)
{
    uint64_t at = atomic_load_explicit(&ring->tail, memory_order_relaxed) + index;
    return at < ring->tail_private ? ring->slots[at & ring->mask] : NULL;
}

/* Consumer: takes the oldest pointer, NULL when there is none. The slot is free for the producer after
 * ring_retire. */
static inline void *ring_pop(struct ring *ring)
{
    if (ring->head_private == ring->tail_seen) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (ring->head_private == ring->tail_seen)
            return NULL;
    }
    return ring->slots[ring->head_private++ & ring->mask];
}

/* Consumer: what `ahead` calls of ring_pop later would take, NULL when nothing is known of it yet. For prefetching. */
static inline void *ring_peek(const struct ring *ring, unsigned ahead)
{
    if (ring->tail_seen - ring->head_private <= ahead)
        return NULL;
    return ring->slots[(ring->head_private + ahead) & ring->mask];
}

/* Consumer: gives the slots of all popped pointers back. */
static inline void ring_retire(struct ring *ring)
{
    atomic_store_explicit(&ring->head, ring->head_private, memory_order_release);
}

/* Either side, a hint for the other: something is in it. */
static inline bool ring_has_some(const struct ring *ring)
{
    return atomic_load_explicit(&ring->tail, memory_order_seq_cst) !=
           atomic_load_explicit(&ring->head, memory_order_relaxed);
}

#endif
