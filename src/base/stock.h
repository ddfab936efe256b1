/* A stock of blocks kept for reuse, which grows with the load and shrinks when the load has gone.
 *
 * Principal entry points: stock_take, stock_put, stock_rest.
 * What is put back is taken again first, so those deepest in the stock are those that nobody has needed for longest. At times
 * the owner lets all of it rest (stock_rest); what still rests the next time has not been needed in between, and half of that
 * is given back. Taking and putting know nothing of this: who finds `free` empty looks among the resting.
 * Threads: one owner.
 *
 * S1  count is the length of `free` and `resting` together, resting_count that of `resting`.
 * S2  A block begins with a pointer, which is the stock's while the block lies in it. */
#ifndef SKUA_BASE_STOCK_H
#define SKUA_BASE_STOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct stock_block {
    struct stock_block *next;
};

struct stock {
    struct stock_block *free;    /* put back since stock_rest */
    struct stock_block *resting; /* not needed since then */
    uint32_t count;
    uint32_t resting_count;
};

/* The block that was put last, NULL: there is none. */
ALWAYS_INLINE void *stock_take(struct stock *stock)
{
    struct stock_block *block = stock->free;
    if (unlikely(block == NULL)) {
        block = stock->resting;
        if (block == NULL)
            return NULL;
        stock->resting = block->next;
        stock->resting_count--;
    } else {
        stock->free = block->next;
    }
    stock->count--;
    return block;
}

ALWAYS_INLINE void stock_put(struct stock *stock, void *block)
{
    struct stock_block *put = block;
    put->next = stock->free;
    stock->free = put;
    stock->count++;
}

/* Half of what has not been needed since the last call, rounded up, leaves the stock: the first of a chain that the caller frees,
 * or NULL. */
struct stock_block *stock_rest(struct stock *stock);

#endif
