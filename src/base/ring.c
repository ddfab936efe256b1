/* Set-up and end of the pointer ring; the operations are inline in base/ring.h.
 * Threads: one thread sets a ring up and ends it while no other uses it. */
#include "base/ring.h"

#include "base/alloc.h"
#include "base/bug.h"

void ring_init(struct ring *ring, uint32_t capacity)
{
    ASSERT(capacity > 0 && (capacity & (capacity - 1)) == 0);
    atomic_init(&ring->head, 0);
    ring->head_private = 0;
    ring->tail_seen = 0;
    atomic_init(&ring->tail, 0);
    ring->tail_private = 0;
    ring->head_seen = 0;
    ring->slots = mem_calloc(capacity, sizeof(void *));
    ring->mask = capacity - 1;
}

void ring_done(struct ring *ring)
{
    mem_free(ring->slots);
    ring->slots = NULL;
}
