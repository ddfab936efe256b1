/* Sections of readers and the limbo of what they may be looking at. Entry: epoch_enter (header), limbo_add, limbo_step.
 * Threads: the owner, but for epoch_enter and epoch_leave. See epoch.h for the rules. */
#include "base/epoch.h"

#include "base/alloc.h"
#include "base/bug.h"
#include "base/heap.h"
#include "base/mutant.h"

#define FREE_BAGS_MAX  64
#define STEP_BAGS_SOON 4 /* released when a bag has been filled: twice what comes in */

/* ---- Epochs ---------------------------------------------------------------------------------------- */

void epoch_init(struct epoch *epoch)
{
    atomic_init(&epoch->now, 1);
    atomic_init(&epoch->reader_count, 0);
    for (unsigned i = 0; i < EPOCH_READERS_MAX; i++)
        atomic_init(&epoch->readers[i].entered, 0);
}

void epoch_expect(struct epoch *epoch, uint32_t index)
{
    ASSERT(index < EPOCH_READERS_MAX);
    if (index >= atomic_load_explicit(&epoch->reader_count, memory_order_relaxed))
        atomic_store_explicit(&epoch->reader_count, index + 1, memory_order_release);
}

uint64_t epoch_oldest(const struct epoch *epoch)
{
    uint32_t count = atomic_load_explicit(&epoch->reader_count, memory_order_relaxed);
    uint64_t oldest = UINT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t entered = atomic_load_explicit(&epoch->readers[i].entered, memory_order_acquire);
        if (entered != 0 && entered < oldest)
            oldest = entered;
    }
    return oldest;
}

/* ---- Bags ------------------------------------------------------------------------------------------ */

void limbo_init(struct limbo *limbo, struct epoch *epoch)
{
    *limbo = (struct limbo){.epoch = epoch, .released = UINT64_MAX};
}

static struct limbo_bag *bag_get(struct limbo *limbo)
{
    struct limbo_bag *bag = limbo->free;
    if (bag) {
        limbo->free = bag->next;
        limbo->free_count--;
    } else {
        bag = mem_alloc(sizeof *bag);
    }
    bag->next = NULL;
    bag->room = LIMBO_BAG_ITEMS;
    bag->block_count = bag->item_count = 0;
    return bag;
}

static void bag_put(struct limbo *limbo, struct limbo_bag *bag)
{
    if (limbo->free_count >= FREE_BAGS_MAX) {
        mem_free(bag);
        return;
    }
    bag->next = limbo->free;
    limbo->free = bag;
    limbo->free_count++;
}

static void bag_release(struct limbo *limbo, struct limbo_bag *bag)
{
    limbo->releasing = true;
    limbo->items -= bag->block_count + bag->item_count;
    for (uint32_t i = 0; i < bag->block_count; i++)
        limbo->bytes -= bag->blocks[i].size;
    heap_release_all(limbo->heap, bag->blocks, bag->block_count);
    for (uint32_t i = 0; i < bag->item_count; i++) {
        struct limbo_item *item = &bag->items[i];
        limbo->bytes -= item->size;
        item->release(item->context, item->block, item->size);
    }
    limbo->releasing = false;
    bag_put(limbo, bag);
}

/* P3: the fence stands between what was taken out and the scans that follow; the addition is a release for sections that see it. */
static void seal(struct limbo *limbo)
{
    struct limbo_bag *bag = limbo->open;
    if (!bag)
        return;
    limbo->open = NULL;
    bag->epoch = atomic_fetch_add_explicit(&limbo->epoch->now, 1, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    if (limbo->tail)
        limbo->tail->next = bag;
    else
        limbo->head = bag;
    limbo->tail = bag;
}

/* Bags with an epoch below this one may be released. Bounded by what has been sealed before the scan: release functions may fill
 * further bags, of which it says nothing. */
static uint64_t releasable(const struct limbo *limbo)
{
    uint64_t now = atomic_load_explicit(&limbo->epoch->now, memory_order_relaxed);
    uint64_t oldest = epoch_oldest(limbo->epoch);
    return oldest < now ? oldest : now;
}

/* Releases the oldest bag if its epoch is below `limit`. */
static bool release_first(struct limbo *limbo, uint64_t limit)
{
    struct limbo_bag *bag = limbo->head;
    if (!bag || bag->epoch >= limit)
        return false;
    limbo->head = bag->next;
    if (!limbo->head)
        limbo->tail = NULL;
    limbo->released = bag->epoch;
    bag_release(limbo, bag);
    return true;
}

bool limbo_step(struct limbo *limbo, unsigned bags_max)
{
    DEBUG_ASSERT(!limbo->releasing);
    seal(limbo);
    uint64_t limit = releasable(limbo);
    while (bags_max > 0 && release_first(limbo, limit))
        bags_max--;
    return bags_max == 0 && limbo->head && limbo->head->epoch < limit;
}

void limbo_step_kept(struct limbo *limbo, unsigned bags_max)
{
    DEBUG_ASSERT(!limbo->releasing);
    seal(limbo);
    uint64_t limit = releasable(limbo);
    while (bags_max > 0 && (limbo->items > limbo->items_kept || limbo->bytes > LIMBO_KEPT_BYTES) &&
           release_first(limbo, limit))
        bags_max--;
}

/* The bag for one more, of so many bytes. */
static struct limbo_bag *bag_open(struct limbo *limbo, size_t size)
{
    if (!limbo->open)
        limbo->open = bag_get(limbo);
    limbo->open->room--;
    limbo->items++;
    limbo->bytes += size;
    return limbo->open;
}

static void bag_close_if_full(struct limbo *limbo)
{
    if (limbo->open->room > 0)
        return;
    /* What a release function adds waits for the next step, so that a long chain of blocks does not become a deep recursion. */
    if (limbo->releasing)
        seal(limbo);
    else
        limbo_step_kept(limbo, STEP_BAGS_SOON);
}

void limbo_add_slow(struct limbo *limbo, limbo_release_fn release, void *context, void *block, size_t size)
{
    if (MUTANT(LIMBO_RELEASES_AT_ONCE)) {
        release(context, block, size);
        return;
    }
    struct limbo_bag *bag = bag_open(limbo, size);
    bag->items[bag->item_count++] = (struct limbo_item){release, context, block, size};
    bag_close_if_full(limbo);
}

void limbo_add_block_slow(struct limbo *limbo, void *block, size_t size)
{
    if (!limbo->on || MUTANT(LIMBO_RELEASES_AT_ONCE)) {
        heap_release(limbo->heap, block, size);
        return;
    }
    struct limbo_bag *bag = bag_open(limbo, size);
    bag->blocks[bag->block_count++] = (struct heap_block){block, size};
    bag_close_if_full(limbo);
}

/* ---- On and off ------------------------------------------------------------------------------------ */

void limbo_turn_on(struct limbo *limbo)
{
    limbo->on = true;
    /* What has been found before means nothing: while the limbo was off, everything was released at once. */
    limbo->released = atomic_fetch_add_explicit(&limbo->epoch->now, 1, memory_order_release);
}

bool limbo_turn_off(struct limbo *limbo)
{
    limbo_step(limbo, UINT32_MAX);
    if (limbo->head || limbo->open)
        return false;
    /* Whoever enters later finds the gate closed: it was closed before this fence. */
    atomic_thread_fence(memory_order_seq_cst);
    if (epoch_oldest(limbo->epoch) != UINT64_MAX)
        return false;
    limbo->on = false;
    limbo->released = UINT64_MAX;
    return true;
}

void limbo_done(struct limbo *limbo)
{
    while (limbo->head || limbo->open) {
        seal(limbo);
        ASSERT(release_first(limbo, UINT64_MAX));
    }
    while (limbo->free) {
        struct limbo_bag *bag = limbo->free;
        limbo->free = bag->next;
        mem_free(bag);
    }
    limbo->free_count = 0;
    limbo->on = false;
}
