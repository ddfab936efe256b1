/* Epochs and the limbo: memory that readers on other threads may be looking at is given back when they have gone on.
 *
 * Principal entry points: epoch_enter, epoch_leave (readers); limbo_add, limbo_step (the owner).
 * One thread, the owner, takes things out of structures that readers follow without locks. A reader stays inside a section
 * while it holds pointers into them. What the owner has taken out goes through the limbo, and is released when every section
 * that was open when it was taken out has been left.
 * Threads: said at each function.
 *
 * P1  A reader's word is 0 outside of a section, else the epoch at which the section began.
 * P2  Entering is a store of the word, a full fence, then loads of the structure. Taking out is a store to the structure, a
 *     full fence, then a scan of the words. So either the scan sees the section, or the section sees the store.
 * P3  A bag is sealed with the epoch that was current when its last item had been taken out, and the epoch is raised then. It
 *     is released when a scan that came after the sealing finds no word other than 0 that is at or below the bag's epoch: a word
 *     above it was stored by a section that saw the epoch raised, and so sees all that was taken out before.
 * P4  While the limbo is off nobody may enter, and what is added is released at once.
 * P5  Words are stored with release and scanned with acquire, so what a section has read comes before the release of it.
 * P6  What a section that was entered at epoch E has found is not released before a bag with an epoch of E or more is: had it been
 *     taken out and its bag sealed before E was current, the section would not have found it (P3). So the owner knows by
 *     limbo->released whether an address that it hears of, from a section that has been left, can mean something else by now. To
 *     that end the last few items are kept, bounded by `items_kept` and LIMBO_KEPT_BYTES, until limbo_step asks for all. */
#ifndef SKUA_BASE_EPOCH_H
#define SKUA_BASE_EPOCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/macros.h"

#define EPOCH_READERS_MAX 130
#define LIMBO_BAG_ITEMS   64
#define LIMBO_KEPT_BYTES  ((size_t)512 << 10)

struct epoch_reader {
    _Atomic uint64_t entered CACHE_ALIGNED; /* P1 */
};

struct epoch {
    _Atomic uint64_t now CACHE_ALIGNED; /* from 1 on */
    _Atomic uint32_t reader_count;      /* readers[0 .. reader_count) may be in use; never falls */
    struct epoch_reader readers[EPOCH_READERS_MAX];
};

void epoch_init(struct epoch *epoch);

/* The owner, before the reader's first section: makes sure that scans look at reader `index`. */
void epoch_expect(struct epoch *epoch, uint32_t index);

/* Reader `index`, which one thread at a time is. Sections do not nest. */
ALWAYS_INLINE void epoch_enter(struct epoch *epoch, uint32_t index)
{
    uint64_t now = atomic_load_explicit(&epoch->now, memory_order_relaxed);
    /* An old epoch keeps more than it has to. Release, because this may be what the scan sees of the section before (P5). */
    atomic_store_explicit(&epoch->readers[index].entered, now, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst); /* P2 */
}

ALWAYS_INLINE void epoch_leave(struct epoch *epoch, uint32_t index)
{
    atomic_store_explicit(&epoch->readers[index].entered, 0, memory_order_release);
}

/* Reader `index`, inside a section: the epoch at which it began. */
ALWAYS_INLINE uint64_t epoch_entered(const struct epoch *epoch, uint32_t index)
{
    return atomic_load_explicit(&epoch->readers[index].entered, memory_order_relaxed);
}

/* The owner, behind a full fence: the epoch of the oldest open section, UINT64_MAX when there is none. */
uint64_t epoch_oldest(const struct epoch *epoch);

/* ---- Limbo (the owner) ---------------------------------------------------------------------------- */

typedef void (*limbo_release_fn)(void *context, void *block, size_t size);

struct limbo_item {
    limbo_release_fn release;
    void *context;
    void *block;
    size_t size;
};

/* Its blocks are released before its items: what is released does not look at what else is. */
struct limbo_bag {
    struct limbo_bag *next;
    uint64_t epoch; /* P3 */
    uint32_t room;  /* of LIMBO_BAG_ITEMS, for both kinds together */
    uint32_t block_count, item_count;
    struct heap_block blocks[LIMBO_BAG_ITEMS]; /* of the limbo's heap: most of what there is */
    struct limbo_item items[LIMBO_BAG_ITEMS];  /* all else */
};

struct limbo {
    struct epoch *epoch;
    struct heap *heap;      /* of limbo_add_block; NULL: there are no such blocks */
    bool on;                /* P4 */
    bool releasing;         /* a release function is being called */
    uint32_t items_kept;    /* P6 */
    uint64_t released;      /* P6: the greatest epoch of which something has been released; UINT64_MAX: off */
    struct limbo_bag *open; /* being filled; NULL: none */
    struct limbo_bag *head, *tail; /* sealed, oldest first */
    struct limbo_bag *free;        /* empty ones that are kept */
    uint32_t free_count;
    uint64_t items; /* that wait */
    uint64_t bytes; /* the sum of their sizes: they still count as used memory */
};

void limbo_init(struct limbo *limbo, struct epoch *epoch);

/* Releases everything: nobody may be in a section any more. */
void limbo_done(struct limbo *limbo);

/* On: before the first reader may enter. Off: nobody may enter any more; true when the last section has been left and
 * everything has been released, else to be called again later. */
void limbo_turn_on(struct limbo *limbo);
bool limbo_turn_off(struct limbo *limbo);

void limbo_add_slow(struct limbo *limbo, limbo_release_fn release, void *context, void *block, size_t size);

/* `release(context, block, size)` is called when nobody can be looking at the block any more; at once while the limbo is off. It
 * may add to the limbo, but not call limbo_step. The block has been taken out before: no reader can find it any more that has not
 * found it yet. */
ALWAYS_INLINE void limbo_add(struct limbo *limbo, limbo_release_fn release, void *context, void *block,
                             size_t size)
{
    if (likely(!limbo->on))
        release(context, block, size);
    else
        limbo_add_slow(limbo, release, context, block, size);
}

void limbo_add_block_slow(struct limbo *limbo, void *block, size_t size);

/* The same for a block of limbo->heap, which goes back there, with others at once. */
ALWAYS_INLINE void limbo_add_block(struct limbo *limbo, void *block, size_t size)
{
    struct limbo_bag *bag = limbo->open;
    if (unlikely(bag == NULL || bag->room == 1)) {
        limbo_add_block_slow(limbo, block, size);
        return;
    }
    bag->room--;
    bag->blocks[bag->block_count++] = (struct heap_block){block, size};
    limbo->items++;
    limbo->bytes += size;
}

/* Seals what has been added and releases what may be, at most `bags_max` bags. Returns true when there is more that could be
 * released at once. To be called now and then, so that the last few items do not wait for ever. */
bool limbo_step(struct limbo *limbo, unsigned bags_max);

/* The same without what is kept (P6). */
void limbo_step_kept(struct limbo *limbo, unsigned bags_max);

#endif
