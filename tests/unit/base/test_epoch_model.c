/* Model checking of base/epoch.h: every interleaving of readers' sections with an owner that takes things out, seals, scans and
 * releases, within small bounds, and mutants of the protocol that the same search must find fault with.
 *
 * What is checked is the code itself: epoch.h and epoch.c are compiled into this file with hooks for their accesses to memory. A
 * thread's part is run from its beginning up to its next access, with the answers that its accesses so far have got, so that a
 * state of the search is the answers of each thread and the memory. There are two memories:
 *
 *     MEMORY_TSO   x86: each thread's stores wait in a queue and become visible in their order, at any time; a fence or an
 *                  atomic addition waits until the own queue is empty.
 *     MEMORY_C11   what the code is written in: each word has a history, and a load may be answered with any value that is
 *                  not older than what its thread must know already. An acquire load of a release store makes known what the
 *                  storer knew; a sequentially consistent fence makes known what was known before all such fences that came
 *                  earlier. (This is RC11 as an operational model. Each word has one writer here.)
 *
 * Properties, of all states that can be reached:
 * 1. USED_AFTER_RELEASE: no reader looks at a block that has been released.
 * 2. RACE: what a reader has looked at is released by an owner who knows of it, so that the memory may be used again (P5).
 *    In the memory model of C each fault shows here first.
 * And so that this means something: blocks are looked at, and they are released. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/macros.h"

#define READERS_MAX 2
#define THREADS_MAX (READERS_MAX + 1)
#define OWNER       READERS_MAX
#define ANSWERS_MAX 48
#define HISTORY_MAX 10
#define QUEUE_MAX   8
#define BLOCKS      3 /* 0 is none */
#define BAGS_MAX    8
#define STATES_MAX  ((size_t)1 << 21)

enum memory { MEMORY_TSO, MEMORY_C11 };

enum mutant {
    NONE,
    NO_FENCE_ON_ENTRY,
    NO_FENCE_AT_SEAL,
    NO_FENCE_AT_TURN_OFF,
    WEAK_FENCES,
    RELAXED_ENTRY,
    RELAXED_LEAVE,
    RELAXED_SCAN,
    RELAXED_SEAL,
    SCAN_IS_BLIND,      /* nobody is waited for */
    EPOCH_ITSELF_GOES,  /* a bag is released when the oldest section has its epoch */
    RETIRED_TOO_EARLY,  /* given to the limbo, and then taken out */
    GATE_NOT_LOOKED_AT, /* a section begins though the gate is closed */
};

/* TOUCH: how often a reader has looked at blocks; nobody loads it, but it is known or not. */
enum word { NOW, COUNT, GATE, SLOT, ENTERED, TOUCH = ENTERED + READERS_MAX, WORDS = TOUCH + READERS_MAX };

enum access { LOAD, STORE, ADD, FENCE, LOOK, FINISHED };

enum outcome { FINE, USED_AFTER_RELEASE, RACE };

static const char *const outcome_names[] = {"fine", "used after release", "released without knowing"};

/* What a thread does next. */
struct step {
    enum access access;
    unsigned word;
    uint8_t value;
    memory_order order;
    uint8_t released; /* blocks that the owner has released by now: one bit for each */
};

struct message {
    uint8_t value, view[WORDS];
};

struct state {
    uint8_t answer_counts[THREADS_MAX];
    uint8_t answers[THREADS_MAX][ANSWERS_MAX];
    uint8_t touched[READERS_MAX][BLOCKS]; /* the time of TOUCH when it last looked at each */
    /* MEMORY_TSO */
    uint8_t words[WORDS];
    struct {
        uint8_t count, word[QUEUE_MAX], value[QUEUE_MAX];
    } queue[THREADS_MAX];
    /* MEMORY_C11 */
    uint8_t last[WORDS];
    struct message history[WORDS][HISTORY_MAX];
    uint8_t known[THREADS_MAX][WORDS];
    uint8_t acquired[THREADS_MAX][WORDS]; /* known after a fence */
    uint8_t released[THREADS_MAX][WORDS]; /* what a relaxed store carries: known at the last fence */
    uint8_t fenced[WORDS];
} __attribute__((aligned(8)));

/* What the owner does, and what is there before. */
enum plan { REPLACE_TWICE, TAKE_OUT_TWO, TURN_OFF, PLANS };

/* The thread that is being run up to its next access. */
static struct runner {
    bool is_set_up; /* accesses go to real memory */
    enum mutant mutant;
    const uint8_t *answers;
    unsigned answer_count, position;
    struct step next;
    jmp_buf out;
    uint8_t released;
    unsigned bags;
} runner;

/* ---- Hooks ------------------------------------------------------------------------------------------ */

static unsigned word_of(const volatile void *address);

static uint64_t access_word(enum access access, unsigned word, uint64_t value, memory_order order)
{
    if (runner.position < runner.answer_count)
        return runner.answers[runner.position++];
    runner.next = (struct step){access, word, (uint8_t)value, order, runner.released};
    longjmp(runner.out, 1);
}

static uint64_t hooked_load(const volatile void *address, memory_order order)
{
    unsigned word = word_of(address);
    if (runner.is_set_up)
        return word == COUNT ? *(const volatile uint32_t *)address : *(const volatile uint64_t *)address;
    if (word >= ENTERED && word < TOUCH && runner.mutant == RELAXED_SCAN)
        order = memory_order_relaxed;
    uint64_t value = access_word(LOAD, word, 0, order);
    if (word >= ENTERED && word < TOUCH && runner.mutant == SCAN_IS_BLIND)
        return 0;
    if (word >= ENTERED && word < TOUCH && runner.mutant == EPOCH_ITSELF_GOES)
        return value ? value + 1 : 0;
    return value;
}

static void hooked_store(volatile void *address, uint64_t value, memory_order order)
{
    unsigned word = word_of(address);
    if (runner.is_set_up) {
        *(volatile uint32_t *)address = (uint32_t)value; /* the count of readers */
        return;
    }
    if (word >= ENTERED && runner.mutant == (value ? RELAXED_ENTRY : RELAXED_LEAVE))
        order = memory_order_relaxed;
    access_word(STORE, word, value, order);
}

static uint64_t hooked_add(volatile void *address, uint64_t value, memory_order order)
{
    if (runner.mutant == RELAXED_SEAL)
        order = memory_order_relaxed;
    return access_word(ADD, word_of(address), value, order);
}

static void hooked_fence(enum mutant without)
{
    if (runner.mutant != without)
        access_word(FENCE, 0, 0, runner.mutant == WEAK_FENCES ? memory_order_acq_rel : memory_order_seq_cst);
}

static void *bag_memory(size_t size);

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_fetch_add_explicit
#undef atomic_thread_fence
#define atomic_load_explicit(address, order)             hooked_load(address, order)
#define atomic_store_explicit(address, value, order)     hooked_store(address, value, order)
#define atomic_fetch_add_explicit(address, value, order) hooked_add(address, value, order)
#define atomic_thread_fence(order)                       hooked_fence(NO_FENCE_ON_ENTRY)
#include "base/epoch.h"
#undef atomic_thread_fence
#define atomic_thread_fence(order) hooked_fence(owner_fence(__func__))
#define mem_alloc(size)            bag_memory(size)
#define mem_free(block)            ((void)(block))

static enum mutant owner_fence(const char *function)
{
    return strcmp(function, "seal") == 0 ? NO_FENCE_AT_SEAL : NO_FENCE_AT_TURN_OFF;
}

#include "base/epoch.c"

#undef mem_alloc
#undef mem_free

/* ---- The threads ------------------------------------------------------------------------------------ */

static struct epoch epoch;
static struct limbo limbo;
static struct limbo_bag bags[BAGS_MAX];
static _Atomic uint64_t gate, slot;

static void *bag_memory(size_t size)
{
    assert_true(size <= sizeof bags[0] && runner.bags < BAGS_MAX);
    return &bags[runner.bags++];
}

static unsigned word_of(const volatile void *address)
{
    const char *at = (const char *)address;
    if (at == (const char *)&epoch.now)
        return NOW;
    if (at == (const char *)&epoch.reader_count)
        return COUNT;
    if (at == (const char *)&gate)
        return GATE;
    if (at == (const char *)&slot)
        return SLOT;
    return ENTERED + (unsigned)((const struct epoch_reader *)(const void *)at - epoch.readers);
}

/* Two looks at what is in the slot, with time between them. */
static void read_section(unsigned reader)
{
    epoch_enter(&epoch, reader);
    bool is_open = hooked_load(&gate, memory_order_acquire) != 0 || runner.mutant == GATE_NOT_LOOKED_AT;
    uint64_t block = is_open ? hooked_load(&slot, memory_order_acquire) : 0;
    for (unsigned i = 0; block != 0 && i < 2; i++)
        access_word(LOOK, TOUCH + reader, block, memory_order_relaxed);
    epoch_leave(&epoch, reader);
}

static void release_block(void *context, void *block, size_t size)
{
    (void)context;
    (void)block;
    runner.released |= (uint8_t)(1u << size); /* the size is the block's number */
}

static void take_out(unsigned block, unsigned other)
{
    if (runner.mutant == RETIRED_TOO_EARLY) {
        limbo_add(&limbo, release_block, NULL, NULL, block);
        limbo_step(&limbo, 1);
    }
    hooked_store(&slot, other, memory_order_release);
    if (runner.mutant != RETIRED_TOO_EARLY)
        limbo_add(&limbo, release_block, NULL, NULL, block);
}

static void own(enum plan plan)
{
    limbo_init(&limbo, &epoch);
    limbo_turn_on(&limbo);
    switch (plan) {
    case REPLACE_TWICE:
        take_out(1, 2);
        limbo_step(&limbo, 1);
        take_out(2, 0);
        limbo_step(&limbo, 1);
        limbo_step(&limbo, 1);
        break;
    case TAKE_OUT_TWO:
        take_out(1, 2);
        take_out(2, 0);
        limbo_step(&limbo, 1);
        limbo_step(&limbo, 1);
        break;
    default:
        hooked_store(&gate, 0, memory_order_release);
        for (unsigned i = 0; i < 2 && limbo.on; i++)
            limbo_turn_off(&limbo);
        if (!limbo.on)
            take_out(1, 0);
        break;
    }
}

/* Runs a thread up to its next access; that is in runner.next then. */
static void run(const struct state *state, enum plan plan, unsigned thread, unsigned sections)
{
    runner.answers = state->answers[thread];
    runner.answer_count = state->answer_counts[thread];
    runner.position = runner.bags = 0;
    runner.released = 0;
    if (setjmp(runner.out) != 0)
        return;
    if (thread == OWNER)
        own(plan);
    else
        for (volatile unsigned i = 0; i < sections; i++)
            read_section(thread);
    runner.next = (struct step){FINISHED, 0, 0, memory_order_relaxed, runner.released};
}

/* ---- The memories ----------------------------------------------------------------------------------- */

static void know(uint8_t *known, const uint8_t *more)
{
    for (unsigned i = 0; i < WORDS; i++)
        known[i] = known[i] > more[i] ? known[i] : more[i];
}

static bool is_acquire(memory_order order)
{
    return order == memory_order_acquire || order == memory_order_acq_rel || order == memory_order_seq_cst;
}

static bool is_release(memory_order order)
{
    return order == memory_order_release || order == memory_order_acq_rel || order == memory_order_seq_cst;
}

static void store_c11(struct state *state, unsigned thread, unsigned word, uint8_t value, memory_order order)
{
    assert_true(state->last[word] + 1 < HISTORY_MAX);
    uint8_t time = ++state->last[word];
    struct message *message = &state->history[word][time];
    state->known[thread][word] = time;
    message->value = value;
    memcpy(message->view, is_release(order) ? state->known[thread] : state->released[thread], WORDS);
    message->view[word] = time;
}

/* `choice` counts the possible answers; false: there are no more. */
static bool load_c11(struct state *state, unsigned thread, const struct step *step, unsigned choice,
                     uint8_t *ret_value)
{
    unsigned time = state->known[thread][step->word] + choice;
    if (time > state->last[step->word])
        return false;
    const struct message *message = &state->history[step->word][time];
    *ret_value = message->value;
    state->known[thread][step->word] = (uint8_t)time;
    know(is_acquire(step->order) ? state->known[thread] : state->acquired[thread], message->view);
    return true;
}

static void fence_c11(struct state *state, unsigned thread, memory_order order)
{
    know(state->known[thread], state->acquired[thread]);
    if (order == memory_order_seq_cst) {
        know(state->fenced, state->known[thread]);
        know(state->known[thread], state->fenced);
    }
    memcpy(state->released[thread], state->known[thread], WORDS);
}

static bool step_c11(struct state *state, unsigned thread, const struct step *step, unsigned choice,
                     uint8_t *ret_answer)
{
    if (step->access == LOAD)
        return load_c11(state, thread, step, choice, ret_answer);
    if (choice > 0)
        return false;
    if (step->access == FENCE)
        fence_c11(state, thread, step->order);
    if (step->access == STORE)
        store_c11(state, thread, step->word, step->value, step->order);
    if (step->access == ADD) { /* nobody else stores to this word */
        *ret_answer = state->history[step->word][state->last[step->word]].value;
        store_c11(state, thread, step->word, (uint8_t)(*ret_answer + step->value), step->order);
    }
    return true;
}

static uint8_t load_tso(const struct state *state, unsigned thread, unsigned word)
{
    for (unsigned i = state->queue[thread].count; i > 0; i--)
        if (state->queue[thread].word[i - 1] == word)
            return state->queue[thread].value[i - 1];
    return state->words[word];
}

static bool step_tso(struct state *state, unsigned thread, const struct step *step, unsigned choice,
                     uint8_t *ret_answer)
{
    unsigned count = state->queue[thread].count;
    bool waits = (step->access == FENCE && step->order == memory_order_seq_cst) || step->access == ADD;
    if (choice > 0 || (waits && count > 0) || (step->access == STORE && count == QUEUE_MAX))
        return false;
    if (step->access == LOAD || step->access == ADD)
        *ret_answer = load_tso(state, thread, step->word);
    if (step->access == ADD)
        state->words[step->word] = (uint8_t)(*ret_answer + step->value);
    if (step->access == STORE) {
        state->queue[thread].word[count] = (uint8_t)step->word;
        state->queue[thread].value[count] = step->value;
        state->queue[thread].count++;
    }
    return true;
}

/* The oldest store of a thread becomes visible. */
static bool drain_queue(struct state *state, unsigned thread)
{
    unsigned count = state->queue[thread].count;
    if (count == 0)
        return false;
    state->words[state->queue[thread].word[0]] = state->queue[thread].value[0];
    memmove(state->queue[thread].word, state->queue[thread].word + 1, QUEUE_MAX - 1);
    memmove(state->queue[thread].value, state->queue[thread].value + 1, QUEUE_MAX - 1);
    state->queue[thread].word[count - 1] = state->queue[thread].value[count - 1] = 0;
    state->queue[thread].count--;
    return true;
}

/* ---- The search ------------------------------------------------------------------------------------- */

struct model {
    enum plan plan;
    unsigned readers, sections;
};

struct fingerprint {
    uint64_t a, b;
};

struct search {
    const struct model *model;
    enum memory memory;
    struct fingerprint *seen;
    size_t states, looks, releases;
};

static struct fingerprint fingerprint_of(const struct state *state)
{
    struct fingerprint print = {1, 2};
    for (size_t i = 0; i < sizeof *state; i += 8) {
        uint64_t part;
        memcpy(&part, (const char *)state + i, 8);
        print.a = (print.a ^ part) * 0x9e3779b97f4a7c15;
        print.a ^= print.a >> 32;
        print.b = (print.b + part) * 0xbf58476d1ce4e5b9;
        print.b ^= print.b >> 29;
    }
    print.a |= 1;
    return print;
}

static bool is_new(struct search *search, const struct state *state)
{
    struct fingerprint print = fingerprint_of(state);
    for (size_t i = print.a >> 1;; i++) {
        struct fingerprint *place = &search->seen[i % (2 * STATES_MAX)];
        if (place->a == print.a && place->b == print.b)
            return false;
        if (place->a == 0) {
            *place = print;
            assert_true(++search->states < STATES_MAX);
            return true;
        }
    }
}

/* A reader looks at a block. */
static enum outcome look(struct search *search, struct state *state, unsigned reader, unsigned block)
{
    run(state, search->model->plan, OWNER, 0);
    if (runner.next.released >> block & 1)
        return USED_AFTER_RELEASE;
    search->looks++;
    state->known[reader][TOUCH + reader]++;
    state->touched[reader][block] = state->known[reader][TOUCH + reader];
    return FINE;
}

/* What the owner has released by its last access: it must know of all looks at it. */
static enum outcome check_releases(struct search *search, const struct state *state)
{
    run(state, search->model->plan, OWNER, 0);
    search->releases += runner.next.released != 0;
    for (unsigned reader = 0; reader < READERS_MAX && search->memory == MEMORY_C11; reader++)
        for (unsigned block = 0; block < BLOCKS; block++)
            if ((runner.next.released >> block & 1) &&
                state->touched[reader][block] > state->known[OWNER][TOUCH + reader])
                return RACE;
    return FINE;
}

static enum outcome visit(struct search *search, const struct state *state);

/* One access of a thread with one of its answers; false: there is no such. */
static bool make_step(struct search *search, const struct state *state, unsigned thread, unsigned choice,
                      enum outcome *ret_outcome)
{
    run(state, search->model->plan, thread, search->model->sections);
    struct step step = runner.next;
    struct state next = *state;
    uint8_t answer = 0;
    *ret_outcome = FINE;
    if (step.access == FINISHED)
        return false;
    if (step.access == LOOK) {
        if (choice > 0)
            return false;
        *ret_outcome = look(search, &next, thread, step.value);
    } else if (search->memory == MEMORY_TSO ? !step_tso(&next, thread, &step, choice, &answer)
                                            : !step_c11(&next, thread, &step, choice, &answer)) {
        return false;
    }
    assert_true(next.answer_counts[thread] < ANSWERS_MAX);
    next.answers[thread][next.answer_counts[thread]++] = answer;
    if (*ret_outcome == FINE && thread == OWNER)
        *ret_outcome = check_releases(search, &next);
    if (*ret_outcome == FINE && is_new(search, &next))
        *ret_outcome = visit(search, &next);
    return true;
}

static enum outcome visit(struct search *search, const struct state *state)
{
    enum outcome outcome = FINE;
    for (unsigned thread = 0; thread < THREADS_MAX; thread++) {
        if (thread != OWNER && thread >= search->model->readers)
            continue;
        for (unsigned choice = 0; outcome == FINE && make_step(search, state, thread, choice, &outcome);
             choice++)
            ;
        if (outcome != FINE)
            return outcome;
        struct state drained = *state;
        if (search->memory == MEMORY_TSO && drain_queue(&drained, thread) && is_new(search, &drained))
            outcome = visit(search, &drained);
    }
    return outcome;
}

static void set_word(struct state *state, unsigned word, uint8_t value)
{
    state->words[word] = state->history[word][0].value = value;
}

static enum outcome check(const struct model *model, enum memory memory, enum mutant mutant)
{
    struct search search = {.model = model, .memory = memory};
    struct state first = {0};
    search.seen = calloc(2 * STATES_MAX, sizeof *search.seen);
    assert_non_null(search.seen);
    runner = (struct runner){.is_set_up = true};
    epoch_init(&epoch);
    epoch_expect(&epoch, model->readers - 1);
    runner.is_set_up = false;
    runner.mutant = mutant;
    set_word(&first, NOW, 1);
    set_word(&first, COUNT, (uint8_t)model->readers);
    set_word(&first, GATE, 1);
    set_word(&first, SLOT, 1);
    enum outcome outcome = visit(&search, &first);
    free(search.seen);
    if (mutant == NONE) {
        print_message("plan %d, %u readers, %u sections, memory %d: %zu states: %s\n", (int)model->plan,
                      model->readers, model->sections, (int)memory, search.states, outcome_names[outcome]);
        assert_true(search.looks > 0);
        assert_true(search.releases > 0);
    }
    return outcome;
}

/* ---- What is checked -------------------------------------------------------------------------------- */

static const struct model models[] = {
    {REPLACE_TWICE, 1, 1}, {TAKE_OUT_TWO, 1, 1}, {TURN_OFF, 1, 1},      {REPLACE_TWICE, 1, 2},
    {TAKE_OUT_TWO, 1, 2},  {TURN_OFF, 1, 2},     {REPLACE_TWICE, 2, 1}, {TURN_OFF, 2, 1},
};

#define MODELS (sizeof models / sizeof models[0])

static void expect_fine(enum memory memory)
{
    for (size_t i = 0; i < MODELS; i++)
        assert_int_equal(check(&models[i], memory, NONE), FINE);
}

static void nothing_is_released_too_early_on_x86(void **state)
{
    (void)state;
    expect_fine(MEMORY_TSO);
}

static void nothing_is_released_too_early_in_the_memory_model_of_c(void **state)
{
    (void)state;
    expect_fine(MEMORY_C11);
}

static enum outcome outcome_of(enum memory memory, enum mutant mutant)
{
    enum outcome outcome = FINE;
    for (size_t i = 0; i < MODELS && outcome == FINE && models[i].readers == 1; i++)
        outcome = check(&models[i], memory, mutant);
    return outcome;
}

static const struct {
    enum mutant mutant;
    enum outcome on_x86, in_c;
} faults[] = {
    {NO_FENCE_ON_ENTRY, USED_AFTER_RELEASE, RACE},
    {NO_FENCE_AT_SEAL, FINE, RACE}, /* x86: the addition is a fence */
    {NO_FENCE_AT_TURN_OFF, USED_AFTER_RELEASE, RACE},
    {WEAK_FENCES, USED_AFTER_RELEASE, RACE},
    {RELAXED_ENTRY, FINE, RACE},
    {RELAXED_LEAVE, FINE, RACE},
    {RELAXED_SCAN, FINE, RACE},
    {RELAXED_SEAL, FINE, RACE},
    {SCAN_IS_BLIND, USED_AFTER_RELEASE, RACE},
    {EPOCH_ITSELF_GOES, USED_AFTER_RELEASE, RACE},
    {RETIRED_TOO_EARLY, USED_AFTER_RELEASE, RACE},
    {GATE_NOT_LOOKED_AT, USED_AFTER_RELEASE, RACE},
};

static void each_mutant_is_caught(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        assert_int_equal(outcome_of(MEMORY_TSO, faults[i].mutant), faults[i].on_x86);
        assert_int_equal(outcome_of(MEMORY_C11, faults[i].mutant), faults[i].in_c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_released_too_early_on_x86),
        cmocka_unit_test(nothing_is_released_too_early_in_the_memory_model_of_c),
        cmocka_unit_test(each_mutant_is_caught),
    };
    return cmocka_run_group_tests_name("epoch-model", tests, NULL, NULL);
}
