/* The memory of test_table_model.c, and the table's code with hooks for each access to it: see there what it stands for.
 *
 * Principal entry points: machine.mode, choose_others (the search), link_events (after the recording), forget_events.
 * A word is known by its address. Real memory has what the writer has left at the end; what it had before is in the events. */
#ifndef SKUA_TEST_TABLE_MEMORY_MODEL_H
#define SKUA_TEST_TABLE_MEMORY_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/epoch.h"
#include "base/heap.h"
#include "base/map.h"

#define EVENTS_MAX   20000
#define PLACES       65536 /* of the hash table of words */
#define RETIRED_MAX  1024
#define CHOICES_MAX  256
#define BIG_SEGMENT  ((size_t)64 << 10)
#define ALL_PRESENT  ((uint64_t)0x7f << 56)
#define FIRST_TAG    0x55
#define GARBAGE_META (ALL_PRESENT | 0x0055555555555555)

enum outcome { FINE, FALSE_MISS, FALSE_HIT, FLICKER, GARBAGE, RESTLESS };

static const char *const outcome_names[] = {"fine",
                                            "a false miss",
                                            "a false hit",
                                            "a key that flickers",
                                            "garbage is looked at",
                                            "unsure for no reason"};

enum mutant {
    NONE,
    /* The writer's stores, in another order or with other values. */
    PRESENCE_BEFORE_POINTER,
    CLEAR_BEFORE_INSERT,
    COUNT_BEFORE_COPIES,
    LINK_BEFORE_CHILD,
    CLEAR_BEFORE_LINK,
    GENERATION_NOT_RAISED,
    GENERATION_TOO_LATE,
    GENERATION_TOO_EARLY,
    GENERATION_BEFORE_COUNT,
    GAP_RAISED_BEFORE, /* even in the gap, as if it were a move like others */
    GAP_RAISED_AFTER,
    SEGMENT_AFTER_COUNT,
    RELAXED_STORES,
    RETIRED_TOO_EARLY,
    /* The reader's loads. */
    NO_SECOND_LOOK,
    GENERATION_NOT_COMPARED,
    ODD_IS_BELIEVED,
    RELAXED_FIRST_GENERATION,
    RELAXED_LOADS,
    /* The limbo. */
    RELEASE_WITHOUT_WAITING,
    NO_FENCE_ON_ENTRY,
};

/* ---- The memory ------------------------------------------------------------------------------------- */

enum mode {
    DIRECT, /* nothing special */
    RECORD, /* the writer's accesses */
    FROZEN, /* a lookup alone, at one moment */
    READ,   /* a lookup at any time */
};

/* A store. Moment m is after the m-th of them; the first has number 1. */
struct event {
    uintptr_t address;
    uint64_t value;
    uint16_t next; /* store to the same word; 0: there is none */
    bool is_release;
};

/* A word that is stored to. */
struct place {
    uintptr_t address;
    uint64_t initial;
    uint16_t first, last;
    uint16_t known; /* the oldest store that this run may still read */
    uint32_t run;   /* to which `known` belongs */
};

struct retired {
    uintptr_t start;
    size_t size;
    unsigned moment;
    limbo_release_fn release; /* NULL: an item, or a struct */
    void *context, *block;
    size_t release_size;
};

static struct machine {
    enum mode mode;
    enum mutant mutant;
    enum outcome outcome; /* of what the hooks saw */
    unsigned event_count, retired_count;
    struct event events[EVENTS_MAX + 1];
    struct place places[PLACES];
    unsigned place_count;
    uint32_t used_places[EVENTS_MAX];
    struct retired retired[RETIRED_MAX];
    /* Of a lookup. */
    unsigned moment;         /* FROZEN */
    unsigned start;          /* READ: when the section began */
    unsigned known;          /* everything up to this store */
    unsigned seen;           /* the newest store that was read */
    unsigned released_until; /* what was retired up to this moment is gone */
    unsigned generation_loads;
    uint64_t first_generation;
    uint32_t run;
    struct {
        uint16_t taken, options;
    } choices[CHOICES_MAX];
    unsigned choice_count, depth;
    /* What the search has come across. */
    uint64_t runs, answers[3], emptied_slots, discarded_words, retired_mappings;
    uintptr_t world; /* with the tables' structs */
    size_t world_size;
    uintptr_t generation_words[2];
    const void *garbage; /* an item that is none */
} machine;

static struct place *place_of(uintptr_t address, bool add)
{
    for (size_t i = address / 8 * 0x9e3779b97f4a7c15 >> 48;; i++) {
        struct place *place = &machine.places[i % PLACES];
        if (place->address == address)
            return place;
        if (place->address == 0) {
            if (!add)
                return NULL;
            *place = (struct place){.address = address};
            machine.used_places[machine.place_count++] = (uint32_t)(i % PLACES);
            return place;
        }
    }
}

static void record(uintptr_t address, uint64_t before, uint64_t value, bool is_release)
{
    assert_true(machine.event_count < EVENTS_MAX);
    struct place *place = place_of(address, true);
    if (place->first == 0) {
        place->initial = before;
        place->first = 1; /* until link_events knows better */
    }
    machine.events[++machine.event_count] = (struct event){address, value, 0, is_release};
}

/* After recording, and after a mutant has changed the order. */
static void link_events(void)
{
    for (unsigned i = 1; i <= machine.event_count; i++)
        place_of(machine.events[i].address, false)->last = 0;
    for (unsigned i = 1; i <= machine.event_count; i++) {
        struct place *place = place_of(machine.events[i].address, false);
        if (place->last == 0)
            place->first = (uint16_t)i;
        else
            machine.events[place->last].next = (uint16_t)i;
        place->last = (uint16_t)i;
        machine.events[i].next = 0;
    }
}

static void note_outcome(enum outcome outcome)
{
    if (machine.outcome == FINE)
        machine.outcome = outcome;
}

/* The reader is about to look at this memory. */
static void touch(const volatile void *address)
{
    for (unsigned i = 0; i < machine.retired_count; i++) {
        const struct retired *retired = &machine.retired[i];
        if ((uintptr_t)address - retired->start < retired->size && retired->moment <= machine.released_until)
            note_outcome(GARBAGE);
    }
}

/* One of so many answers: the search takes all of them, one run after the other. */
static unsigned choose(unsigned options)
{
    if (options == 1)
        return 0;
    assert_true(machine.depth < CHOICES_MAX);
    if (machine.depth == machine.choice_count) {
        machine.choices[machine.choice_count].taken = 0;
        machine.choices[machine.choice_count++].options = (uint16_t)options;
    }
    return machine.choices[machine.depth++].taken;
}

/* False when all have been taken. */
static bool choose_others(void)
{
    while (machine.choice_count > 0) {
        unsigned last = machine.choice_count - 1;
        if (++machine.choices[last].taken < machine.choices[last].options)
            return true;
        machine.choice_count--;
    }
    return false;
}

static unsigned newest_until(const struct place *place, unsigned moment)
{
    unsigned newest = 0;
    for (unsigned i = place->first; i != 0 && i <= moment; i = machine.events[i].next)
        newest = i;
    return newest;
}

static uint64_t value_of(const struct place *place, unsigned number)
{
    return number == 0 ? place->initial : machine.events[number].value;
}

static uint64_t read_any(struct place *place, bool is_acquire)
{
    unsigned bound = machine.known;
    if (place->run == machine.run && place->known > bound)
        bound = place->known;
    unsigned oldest = newest_until(place, bound), options = 1;
    unsigned second = oldest == 0 ? place->first : machine.events[oldest].next;
    for (unsigned i = second; i != 0; i = machine.events[i].next)
        options++;
    unsigned number = oldest;
    for (unsigned choice = choose(options); choice > 0; choice--)
        number = number == 0 ? place->first : machine.events[number].next;
    place->known = (uint16_t)number;
    place->run = machine.run;
    if (number > machine.seen)
        machine.seen = number;
    if (is_acquire && machine.events[number].is_release && number > machine.known)
        machine.known = number;
    return value_of(place, number);
}

/* Of a bucket, with an item when the search began. */
static bool is_slot_of_item(const struct place *place)
{
    return place->address % CACHE_LINE != 0 && place->address - machine.world >= machine.world_size &&
           place->initial != 0 && !(place->initial & 1);
}

static bool is_generation(const volatile void *address)
{
    return (uintptr_t)address == machine.generation_words[0] ||
           (uintptr_t)address == machine.generation_words[1];
}

/* READ, with what is wrong about the reader. */
static uint64_t read_as_mutant(struct place *place, const volatile void *address, bool is_acquire)
{
    bool is_first = is_generation(address) && machine.generation_loads++ == 0;
    if (machine.mutant == RELAXED_LOADS || (machine.mutant == RELAXED_FIRST_GENERATION && is_first))
        is_acquire = false;
    if (machine.mutant == NO_SECOND_LOOK && !is_acquire && !is_generation(address))
        return ALL_PRESENT;
    uint64_t value = place ? read_any(place, is_acquire) : *(const volatile uint64_t *)address;
    machine.emptied_slots += place && value == 0 && is_slot_of_item(place);
    if (!is_generation(address))
        return value;
    if (machine.mutant == ODD_IS_BELIEVED)
        return value & ~(uint64_t)1;
    if (is_first)
        machine.first_generation = value;
    return machine.mutant == GENERATION_NOT_COMPARED ? machine.first_generation : value;
}

static uint64_t hooked_load(const volatile void *address, memory_order order)
{
    if (machine.mode == DIRECT || machine.mode == RECORD)
        return *(const volatile uint64_t *)address;
    struct place *place = place_of((uintptr_t)address, false);
    if (machine.mode == FROZEN)
        return place ? value_of(place, newest_until(place, machine.moment))
                     : *(const volatile uint64_t *)address;
    touch(address);
    return read_as_mutant(place, address, order != memory_order_relaxed);
}

static void hooked_store(volatile void *address, uint64_t value, memory_order order)
{
    uint64_t before = *(volatile uint64_t *)address;
    if (machine.mode == RECORD)
        record((uintptr_t)address, before, value, order != memory_order_relaxed);
    *(volatile uint64_t *)address = value;
}

static void *hooked_memset(void *start, int byte, size_t size)
{
    assert_int_equal(byte, 0);
    for (size_t i = 0; i < size && machine.mode == RECORD; i += 8) {
        uintptr_t address = (uintptr_t)start + i;
        record(address, address % CACHE_LINE == 0 ? GARBAGE_META : (uintptr_t)machine.garbage, 0, false);
    }
    return memset(start, byte, size);
}

static void hooked_discard(void *start, size_t size)
{
    for (size_t i = 0; i < size && machine.mode == RECORD; i += 8) {
        uint64_t before = *(uint64_t *)((char *)start + i);
        if (before != 0)
            record((uintptr_t)start + i, before, 0, false);
        machine.discarded_words++;
    }
    map_discard(start, size);
}

static void hooked_retire(limbo_release_fn release, void *context, void *block, size_t size)
{
    if (machine.mode != RECORD) {
        if (release)
            release(context, block, size);
        return;
    }
    assert_true(machine.retired_count < RETIRED_MAX);
    /* Of a mapping only the touched pieces count; its address space goes as a whole. */
    bool is_mapping = size >= BIG_SEGMENT;
    size_t whole = is_mapping ? (size_t)context : size;
    machine.retired_mappings += is_mapping;
    machine.retired[machine.retired_count++] =
        (struct retired){(uintptr_t)block, whole, machine.event_count, release, context, block, size};
}

static void forget_events(void)
{
    for (unsigned i = 0; i < machine.retired_count; i++) {
        const struct retired *retired = &machine.retired[i];
        if (retired->release)
            retired->release(retired->context, retired->block, retired->release_size);
    }
    machine.retired_count = 0;
    machine.event_count = 0;
    while (machine.place_count > 0)
        machine.places[machine.used_places[--machine.place_count]] = (struct place){0};
}

/* ---- The code ---------------------------------------------------------------------------------------- */

#undef atomic_load_explicit
#undef atomic_store_explicit
#define atomic_load_explicit(address, order)         hooked_load(address, order)
#define atomic_store_explicit(address, value, order) hooked_store(address, (uint64_t)(value), order)
#define __atomic_load_n(address, order)              ((void *)hooked_load(address, (memory_order)(order)))
#define __atomic_store_n(address, value, order)                                                              \
    hooked_store(address, (uint64_t)(value), (memory_order)(order))
#define memset(start, byte, size) hooked_memset(start, byte, size)
#define map_discard(start, size)  hooked_discard(start, size)
#define limbo_add(limbo, release, context, block, block_size)                                                \
    hooked_retire(release, context, block, block_size)

#include "ds/table.c"
#include "ds/table_memory.c"

#undef memset
#undef map_discard
#undef limbo_add

#endif
