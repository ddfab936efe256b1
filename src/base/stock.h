/* A stock of blocks kept for reuse, which grows with the load and shrinks when the load has gone.
 *
 * Principal entry points: stock_take, stock_put, stock_surplus.
 * What is put back is taken again first. The least number that there has been for a while says how many nobody has needed in it, and half
 * of so many may go.
 * Threads: one owner.
 *
 * S1  count is the length of `free`; idle is the least that it has been since stock_surplus.
 * S2  A block begins with a pointer, which is the stock's while the block lies in it. */
#ifndef SKUA_BASE_STOCK_H
#define SKUA_BASE_STOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define STOCK_SURPLUS_MAX 128 /* to free so many takes some microseconds */

struct stock_block {
    struct stock_block *next;
};

struct stock {
    struct stock_block *free;
    uint32_t count;
    uint32_t idle;
};

/* The block that was put last, NULL: there is none. */
ALWAYS_INLINE void *stock_take(struct stock *stock)
{
    struct stock_block *block = stock->free;
    if (unlikely(block == NULL))
        return NULL;
    stock->free = block->next;
    if (--stock->count < stock->idle)
        stock->idle = stock->count;
    return block;
}

ALWAYS_INLINE void stock_put(struct stock *stock, void *block)
{
    struct stock_block *put = block;
    put->next = stock->free;
    stock->free = put;
    stock->count++;
}

/* How many blocks the caller should take and free: half of what nobody has needed since the last call, rounded up, at most
 * STOCK_SURPLUS_MAX. */
static inline uint32_t stock_surplus(struct stock *stock)
{
    uint32_t half = stock->idle - stock->idle / 2;
    uint32_t surplus = half < STOCK_SURPLUS_MAX ? half : STOCK_SURPLUS_MAX;
    stock->idle = stock->count - surplus;
    return surplus;
}

#endif
