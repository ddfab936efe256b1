/* Model checking of a lookup beside one writer (table.h, T3 to T5 and T8 to T10): everything that the memory model of C allows a
 * reader to see, within small bounds, and mutants that the same search must find fault with.
 *
 * What is checked is the code itself. table.c and table_memory.c are compiled into this program with hooks for their accesses to
 * memory. A plan fills a table and then changes it one to three times. The changes run once, alone, and their stores are recorded in
 * their order, with the memory order of each; so are the moments at which memory and items are given to the limbo. Then
 * table_find_shared runs again and again, and a hook answers each of its loads: a load may be answered with any store to its word
 * that is not older than what the reader must know already, and the search goes through all of these answers. An acquire load of a
 * release store makes known all that the writer had done by then. (This is RC11 for one writer and one reader that does not write;
 * what x86 does is a part of it.) A plain memset is a relaxed store of each word, what was there before is garbage with every
 * presence bit set, and discarding a piece of a segment is a relaxed store of zeros.
 *
 * Not in the model: more than one reader (readers do not write, so they cannot disturb each other), what the compiler makes of the
 * code, and the epochs, for which tests/unit/base/test_epoch_model.c stands. Here a section that begins at moment s knows what the
 * writer had done before s, and what was given to the limbo before s has been released.
 *
 * Properties, of each lookup in a section that begins at moment s and in which the newest store that was read is f:
 * 1. FALSE_MISS, FALSE_HIT: the answer is what the table had at a moment in s .. f. What it had is what a lookup finds that runs
 *    alone at that moment, and:
 * 2. FLICKER: that follows what the changes are meant to do. Each key goes from its old item to its new one in one step, and
 *    keys that are not changed stand still.
 * 3. GARBAGE: nothing that has been released, is not an item, or was not zeroed yet is looked at.
 * 4. RESTLESS: a lookup that runs alone at a moment with an even generation is not unsure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "table_memory_model.h"

#define RUNS_MAX (1 << 22) /* of one lookup */

/* Sanitizers find nothing in the many plans that they do not find in a few. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define IS_SLOW_BUILD true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define IS_SLOW_BUILD true
#endif
#endif
#ifndef IS_SLOW_BUILD
#define IS_SLOW_BUILD false
#endif

/* ---- What changes ----------------------------------------------------------------------------------- */

#define CHANGES_MAX 3
#define VERSIONS    (CHANGES_MAX + 1) /* items of one key */

enum kind { INSERT, REMOVE, REPLACE, FLUSH, DRAIN_ONE };

static const char *const kind_names[] = {"insert", "remove", "replace", "flush", "drain"};

struct change {
    enum kind kind;
    unsigned key;
};

/* A table of `count` of `peak` keys, and what happens to it. */
struct plan {
    uint64_t hash_mask; /* few bits make long chains */
    unsigned tags;      /* different ones */
    unsigned peak, count;
    uint64_t seed;
    struct change changes[CHANGES_MAX];
    unsigned change_count;
};

struct item {
    uint64_t key, hash;
};

struct world {
    struct table tables[2]; /* the second one takes the place of a flushed one */
    _Atomic(uintptr_t) keys;
    struct heap *heap;
    struct limbo limbo; /* hooks take its place */
    unsigned key_count;
    struct item *items; /* VERSIONS for each key */
    unsigned *versions; /* the next item of each key */
    const struct item **present;
    /* What each key is meant to have after each change, and the moment. */
    const struct item **expected[CHANGES_MAX + 1];
    unsigned moments[CHANGES_MAX + 1];
    unsigned change_count;
};

static uint64_t item_hash(const void *item, void *context)
{
    (void)context;
    return ((const struct item *)item)->hash;
}

static bool item_equal(const void *item, const void *key)
{
    if (machine.mode == READ)
        touch(item);
    if (item == machine.garbage)
        note_outcome(GARBAGE);
    return ((const struct item *)item)->key == *(const uint64_t *)key;
}

static const struct table_type item_type = {.hash = item_hash};
static const struct item garbage_item = {UINT64_MAX, 0};

static uint64_t hash_of(const struct plan *plan, unsigned key)
{
    uint64_t mixed = (key + 1) * 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 29) * 0xbf58476d1ce4e5b9;
    return ((mixed >> 8) & plan->hash_mask) | (uint64_t)(FIRST_TAG + key % plan->tags) << 56;
}

static struct table *table_of(struct world *world)
{
    return (struct table *)hooked_load(&world->keys, memory_order_acquire);
}

static struct item *item_of(struct world *world, unsigned key, unsigned version)
{
    return &world->items[key * VERSIONS + version];
}

static void retire_item(void *item, void *context)
{
    struct world *world = context;
    world->present[((struct item *)item)->key] = NULL;
    hooked_retire(NULL, NULL, item, sizeof(struct item));
}

static struct table_position position_of(struct world *world, unsigned key)
{
    struct table_position position = {0};
    struct item *item = item_of(world, key, 0);
    assert_true(table_locate(table_of(world), item->hash, item_equal, &item->key, &position));
    return position;
}

static struct item *new_item(struct world *world, unsigned key)
{
    struct item *item = item_of(world, key, world->versions[key]++);
    world->present[key] = item;
    return item;
}

static void flush(struct world *world)
{
    struct table *old = table_of(world);
    hooked_store(&world->keys, (uintptr_t)&world->tables[1], memory_order_release);
    while (!table_drain(old, 1, retire_item, world))
        ;
    table_done(old);
    hooked_retire(NULL, NULL, old, sizeof *old);
}

static void apply(struct world *world, struct change change)
{
    struct table *table = table_of(world);
    struct table_position position;
    struct item *item;
    switch (change.kind) {
    case INSERT:
        item = new_item(world, change.key);
        assert_int_equal(table_insert(table, item->hash, item), ST_OK);
        break;
    case REMOVE:
        position = position_of(world, change.key);
        retire_item(table_remove(table, &position), world);
        break;
    case REPLACE:
        position = position_of(world, change.key);
        item = new_item(world, change.key);
        hooked_retire(NULL, NULL, table_replace(table, &position, item), sizeof *item);
        break;
    case FLUSH: flush(world); break;
    case DRAIN_ONE: table_drain(table, 1, retire_item, world); break;
    }
}

static void note_expected(struct world *world, unsigned number)
{
    size_t size = world->key_count * sizeof world->present[0];
    world->expected[number] = mem_alloc(size);
    memcpy(world->expected[number], world->present, size);
    world->moments[number] = machine.event_count;
}

static struct world *world_new(const struct plan *plan)
{
    struct world *world = mem_calloc(1, sizeof *world);
    world->key_count = plan->peak + 2; /* the last one is never there */
    world->items = mem_calloc(world->key_count * VERSIONS, sizeof *world->items);
    world->versions = mem_calloc(world->key_count, sizeof *world->versions);
    world->present = mem_calloc(world->key_count, sizeof *world->present);
    world->heap = heap_new();
    for (unsigned i = 0; i < 2; i++) {
        table_init(&world->tables[i], &item_type, NULL, world->heap);
        world->tables[i].limbo = &world->limbo;
        machine.generation_words[i] = (uintptr_t)&world->tables[i].generation;
    }
    machine.world = (uintptr_t)world;
    machine.world_size = sizeof *world;
    machine.garbage = &garbage_item;
    hooked_store(&world->keys, (uintptr_t)&world->tables[0], memory_order_release);
    for (unsigned i = 0; i < world->key_count * VERSIONS; i++)
        world->items[i] = (struct item){i / VERSIONS, hash_of(plan, i / VERSIONS)};
    return world;
}

/* Fills the table, and records the changes. */
static struct world *world_of(const struct plan *plan)
{
    struct world *world = world_new(plan);
    struct rng rng;
    rng_seed(&rng, plan->seed);
    for (unsigned key = 0; key < plan->peak; key++)
        apply(world, (struct change){INSERT, key});
    for (unsigned left = plan->peak; left > plan->count; left--) {
        unsigned key;
        do
            key = (unsigned)rng_below(&rng, plan->peak);
        while (!world->present[key]);
        apply(world, (struct change){REMOVE, key});
    }
    for (unsigned key = 0; key < world->key_count; key++)
        world->versions[key] = world->present[key] != NULL;
    machine.mode = RECORD;
    note_expected(world, 0);
    for (unsigned i = 0; i < plan->change_count; i++) {
        struct change change = plan->changes[i];
        while (change.kind == REMOVE && !world->present[change.key] && change.key < plan->peak)
            change.key++;
        /* What a plan asks for may be impossible. */
        if ((change.kind == INSERT) == (world->present[change.key] != NULL) && change.kind < FLUSH)
            change.kind = world->present[change.key] ? REMOVE : INSERT;
        apply(world, change);
        note_expected(world, ++world->change_count);
    }
    machine.mode = DIRECT;
    return world;
}

static void world_free(struct world *world)
{
    forget_events();
    table_done(&world->tables[0]);
    table_done(&world->tables[1]);
    heap_free(world->heap);
    for (unsigned i = 0; i <= world->change_count; i++)
        mem_free(world->expected[i]);
    mem_free(world->items);
    mem_free(world->versions);
    mem_free(world->present);
    mem_free(world);
}

/* ---- Mutants of the writer -------------------------------------------------------------------------- */

enum word { GENERATION, COUNT, SEGMENT, META, SLOT, OTHER };

static enum word word_of(const struct world *world, const struct event *event)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct table *table = &world->tables[i];
        if (event->address == (uintptr_t)&table->generation)
            return GENERATION;
        if (event->address == (uintptr_t)&table->bucket_count)
            return COUNT;
        if (event->address - (uintptr_t)table->segments < sizeof table->segments)
            return SEGMENT;
    }
    if (event->address - machine.world < machine.world_size || !event->is_release)
        return OTHER;
    return event->address % CACHE_LINE == 0 ? META : SLOT;
}

static bool is_same_bucket(const struct event *a, const struct event *b)
{
    return a->address / CACHE_LINE == b->address / CACHE_LINE;
}

static bool is_link(const struct event *event)
{
    return event->address % CACHE_LINE == CACHE_LINE - 8 && (event->value & 1);
}

/* Store `from` comes before store `to` instead; those in between wait. */
static void move_event(unsigned from, unsigned to)
{
    struct event event = machine.events[from];
    memmove(&machine.events[to + 1], &machine.events[to], (from - to) * sizeof event);
    machine.events[to] = event;
}

/* The kinds of the stores from number `first` on are these, and all belong to the change that ends with `end`. */
static bool is_sequence(const struct world *world, unsigned first, unsigned end, const enum word *words,
                        unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (first + i > end || word_of(world, &machine.events[first + i]) != words[i])
            return false;
    return true;
}

#define SEQUENCE(...)                                                                                        \
    is_sequence(world, i, end, (const enum word[]){__VA_ARGS__},                                             \
                sizeof((const enum word[]){__VA_ARGS__}) / sizeof(enum word))

/* One mutant's change of order at store i of those that one change made; the number of stores to go on behind. */
static unsigned mutate_order(const struct world *world, enum mutant mutant, unsigned i, unsigned begin,
                             unsigned end)
{
    const struct event *event = &machine.events[i];
    switch (mutant) {
    case PRESENCE_BEFORE_POINTER:
        if (!SEQUENCE(SLOT, META) || is_link(event) || !is_same_bucket(event, event + 1))
            return 1;
        move_event(i + 1, i);
        return 2;
    case CLEAR_BEFORE_INSERT:
        if (!SEQUENCE(SLOT, META, GENERATION, META) || is_same_bucket(event, event + 3))
            return 1;
        move_event(i + 3, i);
        return 4;
    case COUNT_BEFORE_COPIES:
        if (!SEQUENCE(COUNT, GENERATION))
            return 1;
        move_event(i, begin);
        return 2;
    case LINK_BEFORE_CHILD:
        if (!SEQUENCE(SLOT, META) || !is_link(event) || i < 5)
            return 1;
        move_event(i, i - 4);
        return 2;
    case CLEAR_BEFORE_LINK:
        if (!SEQUENCE(SLOT, META) || !is_link(event))
            return 1;
        move_event(i + 1, i);
        return 2;
    case GENERATION_TOO_LATE:
        if (!SEQUENCE(GENERATION, META))
            return 1;
        move_event(i + 1, i);
        return 2;
    case GENERATION_TOO_EARLY:
        if (!SEQUENCE(SLOT, META, GENERATION, META))
            return 1;
        move_event(i + 2, i);
        return 4;
    case GENERATION_BEFORE_COUNT:
        if (!SEQUENCE(COUNT, GENERATION))
            return 1;
        move_event(i + 1, i);
        return 2;
    default: return 1;
    }
}

/* A new segment's address comes behind the bucket count that needs it. */
static void delay_segments(const struct world *world)
{
    for (unsigned i = 1; i <= machine.event_count; i++) {
        if (word_of(world, &machine.events[i]) != SEGMENT || machine.events[i].value == 0)
            continue;
        for (unsigned k = i + 1; k <= machine.event_count; k++) {
            if (word_of(world, &machine.events[k]) == COUNT) {
                move_event(k, i);
                break;
            }
        }
        return;
    }
}

static void mutate_generation(const struct world *world, enum mutant mutant)
{
    uint64_t meant[2], value[2];
    for (unsigned k = 0; k < 2; k++) {
        const struct place *place = place_of(machine.generation_words[k], false);
        meant[k] = value[k] = place ? place->initial : 0;
    }
    for (unsigned i = 1; i <= machine.event_count; i++) {
        struct event *event = &machine.events[i];
        if (word_of(world, event) != GENERATION)
            continue;
        unsigned k = event->address == machine.generation_words[1];
        uint64_t step = event->value - meant[k];
        meant[k] = event->value;
        if (step == 2)
            step = mutant == GENERATION_NOT_RAISED ? 0 : 2;
        else if (mutant == GAP_RAISED_BEFORE)
            step = meant[k] % 2 == 1 ? 2 : 0;
        else if (mutant == GAP_RAISED_AFTER)
            step = meant[k] % 2 == 1 ? 0 : 2;
        value[k] += step;
        event->value = value[k];
    }
}

static void mutate(const struct world *world, enum mutant mutant)
{
    switch (mutant) {
    case GENERATION_NOT_RAISED:
    case GAP_RAISED_BEFORE:
    case GAP_RAISED_AFTER: mutate_generation(world, mutant); break;
    case SEGMENT_AFTER_COUNT: delay_segments(world); break;
    case RELAXED_STORES:
        for (unsigned i = 1; i <= machine.event_count; i++)
            machine.events[i].is_release = false;
        break;
    case RETIRED_TOO_EARLY:
        for (unsigned i = 0; i < machine.retired_count; i++)
            machine.retired[i].moment -= machine.retired[i].moment < 3 ? machine.retired[i].moment : 3;
        break;
    default:
        for (unsigned change = 0; change < world->change_count; change++)
            for (unsigned i = world->moments[change] + 1; i <= world->moments[change + 1];)
                i += mutate_order(world, mutant, i, world->moments[change] + 1, world->moments[change + 1]);
        break;
    }
}

/* ---- The search ------------------------------------------------------------------------------------- */

static enum table_seen find(struct world *world, const struct item *wanted, const struct item **ret_item)
{
    void *item = NULL;
    enum table_seen seen = table_find_shared(table_of(world), wanted->hash, item_equal, &wanted->key, &item);
    *ret_item = item;
    return seen;
}

/* What the key has at each moment (2), as a lookup finds it that runs alone. */
static enum outcome know_history(struct world *world, unsigned key, const struct item **ret_items)
{
    machine.mode = FROZEN;
    for (unsigned moment = 0; moment <= machine.event_count; moment++) {
        machine.moment = moment;
        const struct item *item;
        enum table_seen seen = find(world, item_of(world, key, 0), &item);
        uint64_t generation = hooked_load(&table_of(world)->generation, memory_order_relaxed);
        if (seen == TABLE_UNSURE && (generation % 2 == 0 || moment == 0))
            return RESTLESS;
        ret_items[moment] = seen == TABLE_UNSURE ? ret_items[moment - 1] : seen == TABLE_HIT ? item : NULL;
    }
    for (unsigned change = 0; change <= world->change_count; change++) {
        if (ret_items[world->moments[change]] != world->expected[change][key])
            return FLICKER;
        unsigned steps = 0;
        for (unsigned i = world->moments[change];
             change < world->change_count && i < world->moments[change + 1]; i++)
            steps += ret_items[i] != ret_items[i + 1];
        if (steps > (change < world->change_count &&
                     world->expected[change][key] != world->expected[change + 1][key]))
            return FLICKER;
    }
    return FINE;
}

static void begin_run(unsigned start)
{
    machine.run++;
    machine.runs++;
    machine.depth = 0;
    machine.generation_loads = 0;
    machine.outcome = FINE;
    machine.start = machine.mutant == NO_FENCE_ON_ENTRY ? 0 : start;
    machine.known = machine.seen = machine.start;
    machine.released_until = machine.mutant == RELEASE_WITHOUT_WAITING ? machine.event_count : start;
}

/* Whether the key had this item, NULL for none, at a moment of the section so far. */
static bool was_so(const struct item *const *history, const struct item *item)
{
    for (unsigned moment = machine.start; moment <= machine.seen; moment++)
        if (history[moment] == item)
            return true;
    return false;
}

/* All lookups in sections that begin at this moment (1 and 3). */
static enum outcome look(struct world *world, unsigned key, const struct item *const *history, unsigned start)
{
    machine.mode = READ;
    machine.choice_count = 0;
    uint64_t limit = machine.runs + RUNS_MAX;
    do {
        begin_run(start);
        const struct item *item;
        enum table_seen seen = find(world, item_of(world, key, 0), &item);
        machine.answers[seen]++;
        if (seen == TABLE_HIT && !was_so(history, item))
            note_outcome(FALSE_HIT);
        if (seen == TABLE_MISS && !was_so(history, NULL))
            note_outcome(FALSE_MISS);
        if (machine.outcome != FINE)
            return machine.outcome;
        assert_true(machine.runs < limit);
    } while (choose_others());
    return FINE;
}

/* The same for the hint that comes before a lookup: what it names may be looked at. */
static enum outcome look_for_hint(struct world *world, unsigned key, unsigned start)
{
    machine.mode = READ;
    machine.choice_count = 0;
    do {
        begin_run(start);
        const struct item *wanted = item_of(world, key, 0);
        const struct table_bucket *child;
        const struct item *item = table_likely_item_shared(table_of(world), wanted->hash, &child);
        if (child)
            item = table_likely_item_in(child, wanted->hash);
        if (item)
            item_equal(item, &wanted->key);
        if (machine.outcome != FINE)
            return machine.outcome;
    } while (choose_others());
    return FINE;
}

/* Between two moments at which this key changes or something is retired, sections need not begin: what a later one may see, one
 * from the beginning of the stretch may see too, and the same is right for it. */
static bool is_start(const struct item *const *history, unsigned moment)
{
    if (moment == 0 || history[moment] != history[moment - 1])
        return true;
    for (unsigned i = 0; i < machine.retired_count; i++)
        if (machine.retired[i].moment == moment)
            return true;
    return false;
}

static enum outcome check_key(struct world *world, unsigned key)
{
    const struct item **history = mem_calloc(machine.event_count + 1, sizeof *history);
    enum outcome outcome = know_history(world, key, history);
    for (unsigned start = 0; start <= machine.event_count && outcome == FINE; start++) {
        if (is_start(history, start))
            outcome = look(world, key, history, start);
        if (outcome == FINE && is_start(history, start))
            outcome = look_for_hint(world, key, start);
    }
    machine.mode = DIRECT;
    mem_free(history);
    return outcome;
}

/* All keys, or every so-manieth and those that change. */
static enum outcome check_plan(const struct plan *plan, enum mutant mutant, unsigned key_step)
{
    struct world *world = world_of(plan);
    if (mutant == NONE)
        table_check(table_of(world));
    machine.mutant = mutant;
    mutate(world, mutant);
    link_events();
    enum outcome outcome = FINE;
    for (unsigned key = 0; key < world->key_count && outcome == FINE; key++) {
        bool is_chosen = key == world->key_count - 1 || key % key_step == 0;
        for (unsigned i = 0; i < world->change_count; i++)
            is_chosen |=
                plan->changes[i].kind < FLUSH && world->expected[i][key] != world->expected[i + 1][key];
        if (is_chosen)
            outcome = check_key(world, key);
        if (outcome != FINE && mutant == NONE)
            print_message("key %u of a table with %u of %u keys, hashes of %llx, %u tags, %s of %u: %s\n",
                          key, plan->count, plan->peak, (unsigned long long)plan->hash_mask, plan->tags,
                          kind_names[plan->changes[0].kind], plan->changes[0].key, outcome_names[outcome]);
    }
    machine.mutant = NONE;
    world_free(world);
    return outcome;
}

/* ---- What is checked -------------------------------------------------------------------------------- */

static const uint64_t hash_masks[] = {0, 1, 4, 7, UINT32_MAX};

/* Around the sizes at which chains and tables get longer and shorter: of peak keys so many are left. */
static const struct {
    unsigned peak, count;
} sizes[] = {{0, 0},   {1, 1},   {5, 5},   {7, 7},   {8, 8},   {9, 9},   {10, 10}, {13, 13},
             {14, 14}, {15, 15}, {20, 20}, {25, 25}, {30, 30}, {40, 40}, {41, 41}, {10, 5},
             {15, 7},  {20, 10}, {26, 13}, {30, 11}, {41, 10}, {41, 13}};

struct bounds {
    unsigned tags;     /* from one to so many different ones */
    unsigned key_step; /* every so-manieth key is changed, and looked up */
};

static struct bounds usual_bounds(void)
{
    if (getenv("SKUA_BIG_MODELS"))
        return (struct bounds){3, 1};
    return IS_SLOW_BUILD ? (struct bounds){1, 11} : (struct bounds){2, 6};
}

/* The plans that begin at this size with one change, or with one after the other of the same key. */
static enum outcome check_changes(const struct plan *start, enum mutant mutant, unsigned key_step)
{
    /* INSERT is a removal where the key is there. */
    static const struct {
        unsigned count;
        enum kind kinds[CHANGES_MAX];
    } rows[] = {
        {1, {INSERT}}, {2, {INSERT, INSERT}}, {3, {INSERT, INSERT, INSERT}}, {3, {REPLACE, INSERT, INSERT}}};
    static const enum kind once[] = {REPLACE, FLUSH, DRAIN_ONE};
    enum outcome outcome = FINE;
    for (size_t i = 0; i < sizeof once / sizeof once[0] && outcome == FINE; i++) {
        struct plan plan = *start;
        plan.changes[plan.change_count++] = (struct change){once[i], 0};
        outcome = check_plan(&plan, mutant, key_step);
    }
    /* Up to the one that is not there yet. */
    for (unsigned key = start->peak % key_step; key <= start->peak && outcome == FINE; key += key_step) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0] && outcome == FINE; i++) {
            struct plan plan = *start;
            for (unsigned k = 0; k < rows[i].count; k++)
                plan.changes[plan.change_count++] = (struct change){rows[i].kinds[k], key};
            outcome = check_plan(&plan, mutant, key_step);
        }
    }
    return outcome;
}

static enum outcome check_sizes(enum mutant mutant, struct bounds bounds)
{
    enum outcome outcome = FINE;
    for (size_t i = 0; i < sizeof hash_masks / sizeof hash_masks[0]; i++) {
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            for (unsigned tags = 1; tags <= bounds.tags && outcome == FINE; tags++) {
                struct plan plan = {.hash_mask = hash_masks[i],
                                    .tags = tags,
                                    .peak = sizes[k].peak,
                                    .count = sizes[k].count,
                                    .seed = 1};
                outcome = check_changes(&plan, mutant, bounds.key_step);
            }
        }
    }
    return outcome;
}

static void print_search(void)
{
    print_message("%llu lookups: %llu hits, %llu misses, %llu unsure\n", (unsigned long long)machine.runs,
                  (unsigned long long)machine.answers[TABLE_HIT],
                  (unsigned long long)machine.answers[TABLE_MISS],
                  (unsigned long long)machine.answers[TABLE_UNSURE]);
}

static void every_size_and_change(void **state)
{
    (void)state;
    assert_int_equal(check_sizes(NONE, usual_bounds()), FINE);
    print_search();
    /* The search has been where it is dangerous. */
    assert_true(machine.emptied_slots > 0);
}

static void random_changes(void **state)
{
    (void)state;
    unsigned plans = getenv("SKUA_BIG_MODELS") ? 10000 : IS_SLOW_BUILD ? 20 : 100;
    struct rng rng;
    rng_seed(&rng, 5);
    for (unsigned n = 0; n < plans; n++) {
        struct plan plan = {.seed = n, .tags = 1 + (unsigned)rng_below(&rng, 3), .change_count = CHANGES_MAX};
        plan.hash_mask = hash_masks[rng_below(&rng, sizeof hash_masks / sizeof hash_masks[0])];
        plan.peak = 1 + (unsigned)rng_below(&rng, 48);
        plan.count = plan.peak - (unsigned)rng_below(&rng, rng_below(&rng, plan.peak) + 1);
        for (unsigned i = 0; i < CHANGES_MAX; i++)
            plan.changes[i] = (struct change){rng_below(&rng, 8) == 0 ? REPLACE : INSERT,
                                              (unsigned)rng_below(&rng, plan.peak + 1)};
        if (rng_below(&rng, 8) == 0)
            plan.changes[CHANGES_MAX - 1].kind = rng_below(&rng, 2) ? FLUSH : DRAIN_ONE;
        assert_int_equal(check_plan(&plan, NONE, 7), FINE);
    }
    print_search();
}

/* A merge at which a piece of a segment is discarded, and one at which a mapped segment is given back. */
static void large_segments(void **state)
{
    (void)state;
    struct plan plan = {
        .hash_mask = UINT32_MAX, .tags = 1, .seed = 1, .changes = {{REMOVE, 0}}, .change_count = 1};
    plan.peak = 36000;
    plan.count = 15363;
    assert_int_equal(check_plan(&plan, NONE, 499), FINE);
    assert_true(machine.discarded_words > 0);
    plan.peak = 10300;
    plan.count = 3843;
    assert_int_equal(check_plan(&plan, NONE, 499), FINE);
    assert_true(machine.retired_mappings > 0);
}

/* ---- Mutants ---------------------------------------------------------------------------------------- */

static const struct {
    enum mutant mutant;
    enum outcome expected;
} faults[] = {
    {PRESENCE_BEFORE_POINTER, FLICKER},
    {CLEAR_BEFORE_INSERT, FLICKER},
    {COUNT_BEFORE_COPIES, FLICKER},
    {LINK_BEFORE_CHILD, FLICKER},
    {CLEAR_BEFORE_LINK, FLICKER},
    {GENERATION_NOT_RAISED, FALSE_MISS},
    {GENERATION_TOO_LATE, FALSE_MISS},
    {GENERATION_TOO_EARLY, FALSE_MISS},
    {GENERATION_BEFORE_COUNT, FALSE_MISS},
    {GAP_RAISED_BEFORE, FLICKER},
    {GAP_RAISED_AFTER, FLICKER},
    {SEGMENT_AFTER_COUNT, FLICKER},
    {RELAXED_STORES, GARBAGE},
    {RETIRED_TOO_EARLY, GARBAGE},
    {NO_SECOND_LOOK, FALSE_HIT},
    {GENERATION_NOT_COMPARED, FALSE_MISS},
    {ODD_IS_BELIEVED, FALSE_MISS},
    {RELAXED_FIRST_GENERATION, FALSE_MISS},
    {RELAXED_LOADS, GARBAGE},
    {RELEASE_WITHOUT_WAITING, GARBAGE},
    {NO_FENCE_ON_ENTRY, GARBAGE},
};

static void each_mutant_is_caught(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        enum outcome outcome = check_sizes(faults[i].mutant, (struct bounds){1, 2});
        if (outcome != faults[i].expected)
            print_message("mutant %d: %s\n", (int)faults[i].mutant, outcome_names[outcome]);
        assert_int_equal(outcome, faults[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_and_change),
        cmocka_unit_test(random_changes),
        cmocka_unit_test(large_segments),
        cmocka_unit_test(each_mutant_is_caught),
    };
    return cmocka_run_group_tests_name("table-model", tests, NULL, NULL);
}
