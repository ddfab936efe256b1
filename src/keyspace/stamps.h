/* Stamps: by which the executor knows, without looking at a key, that nothing has changed it since another thread read it.
 *
 * Principal entry points: stamps_raise, stamps_raise_all, stamps_are_of, stamps_hold (executor); stamps_generation, stamps_load (readers).
 * A stamp is a small number that many keys share: which one it is follows from the key's hash. A reader loads the generation, then
 * the key's stamp, then reads the key. If the generation is that one or the next, and the stamp what it was, when the executor comes to
 * it, what was read is what the executor would read now.
 *
 * G1  The executor raises a key's stamp behind every change of what a plain read of it gives, by a release store; so who has loaded
 *     the number, with acquire, sees every change up to that one. Changes that concern keys at large (a flush, a swap) raise the
 *     generation by two in the same way.
 * G2  Where both are as said there has been no change since that left one, and the reader saw all before: it has read the key as it
 *     is. A change that it saw before its stamp was raised makes it differ now.
 * G3  A stamp cannot come back to the same number in between: it has 2^16, and after STAMPS_RAISED_MAX raises of any the generation is
 *     raised by one. From the first moment of one generation to the last of the next there are fewer than 2^16.
 * G4  Every change goes through one of few places: an entry becomes, or ceases to be, what a table has for a key in db_insert,
 *     db_replace, db_take and store() in exec/plain.c; an integer changes in keyspace_set_word, a time to live in db_set_expire; a
 *     database gets another table in db_flush and keyspace_swap. All else that lies in an entry's block stays as it is while readers
 *     may look (D3 of decision 009). Collections and large strings may change beyond their blocks: reads of those are not foreseen.
 *     Builds with debug checks read each key once more, and compare the answers (exec/plain.c).
 * Threads: one writer, the executor; any reader in a section (keyspace/shared.h). */
#ifndef SKUA_KEYSPACE_STAMPS_H
#define SKUA_KEYSPACE_STAMPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/macros.h"

#define STAMPS_BITS       16 /* 128 KB: they stay in the second level of both cores' caches */
#define STAMPS_RAISED_MAX 32000
_Static_assert(2 * STAMPS_RAISED_MAX <= UINT16_MAX, "G3");

struct stamps {
    uint32_t left; /* raises until the generation is raised (G3); executor */
    /* What readers look at, and seldom changes. */
    _Atomic uint16_t *numbers CACHE_ALIGNED; /* NULL: no reader was ever expected */
    _Atomic uint64_t generation;             /* from 1 on */
};

static inline void stamps_init(struct stamps *stamps)
{
    *stamps = (struct stamps){.left = STAMPS_RAISED_MAX};
    atomic_init(&stamps->generation, 1);
}

/* Before the first reader may enter. */
static inline void stamps_expect_readers(struct stamps *stamps)
{
    if (stamps->numbers == NULL)
        stamps->numbers = mem_calloc((size_t)1 << STAMPS_BITS, sizeof *stamps->numbers);
}

static inline void stamps_done(struct stamps *stamps)
{
    mem_free((void *)stamps->numbers);
}

ALWAYS_INLINE uint16_t stamps_slot(uint64_t hash)
{
    return (uint16_t)(hash >> 32); /* of other bits than bucket and tag */
}

/* ---- Executor -------------------------------------------------------------------------------------- */

ALWAYS_INLINE void stamps_raise_generation(struct stamps *stamps, uint64_t by)
{
    uint64_t generation = atomic_load_explicit(&stamps->generation, memory_order_relaxed);
    atomic_store_explicit(&stamps->generation, generation + by, memory_order_release);
    stamps->left = STAMPS_RAISED_MAX;
}

/* As if all of them had been raised. */
ALWAYS_INLINE void stamps_raise_all(struct stamps *stamps)
{
    stamps_raise_generation(stamps, 2);
}

ALWAYS_INLINE void stamps_raise(struct stamps *stamps, uint64_t hash)
{
    _Atomic uint16_t *number = &stamps->numbers[stamps_slot(hash)];
    uint16_t before = atomic_load_explicit(number, memory_order_relaxed);
    atomic_store_explicit(number, (uint16_t)(before + 1), memory_order_release);
    if (unlikely(--stamps->left == 0))
        stamps_raise_generation(stamps, 1);
}

/* Whether stamps that were loaded behind this generation may be compared now. */
ALWAYS_INLINE bool stamps_are_of(const struct stamps *stamps, uint64_t generation)
{
    return atomic_load_explicit(&stamps->generation, memory_order_relaxed) - generation <= 1;
}

/* Whether the stamp in this slot is what it was. stamps_are_of has said yes, and none has been raised since. */
ALWAYS_INLINE bool stamps_hold(const struct stamps *stamps, uint16_t slot, uint16_t stamp)
{
    return atomic_load_explicit(&stamps->numbers[slot], memory_order_relaxed) == stamp;
}

/* ---- Readers --------------------------------------------------------------------------------------- */

ALWAYS_INLINE uint64_t stamps_generation(const struct stamps *stamps)
{
    return atomic_load_explicit(&stamps->generation, memory_order_acquire);
}

ALWAYS_INLINE uint16_t stamps_load(const struct stamps *stamps, uint64_t hash)
{
    return atomic_load_explicit(&stamps->numbers[stamps_slot(hash)], memory_order_acquire);
}

ALWAYS_INLINE void stamps_prefetch(const struct stamps *stamps, uint64_t hash)
{
    prefetch((const void *)&stamps->numbers[stamps_slot(hash)]);
}

ALWAYS_INLINE void stamps_prefetch_write(const struct stamps *stamps, uint64_t hash)
{
    prefetch_write((void *)&stamps->numbers[stamps_slot(hash)]);
}

#endif
