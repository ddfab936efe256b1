/* Model checking of shm/end.h: every interleaving of two ends that read, write, settle, arm and sleep, within small
 * bounds, and mutants of the protocol that the same search must find fault with.
 *
 * A state is two ends, the words of both segments as the memory model has them, and the bytes in the two sockets. The
 * search goes through all states that can be reached (search). Each access to memory is a step of its own, in the order
 * of the code; the comments at enum step name the lines. There are two memories:
 *
 *     MEMORY_TSO   x86: each side's stores wait in a queue and become visible in their order, at any time; a fence
 *                  waits until the own queue is empty.
 *     MEMORY_C11   what the code is written in, and so AArch64 and the others: each word has a history, and a load may
 *                  be answered with any value that is not older than what its side must know already. An acquire load
 *                  of a release store makes known what the storer's thread had done; a sequentially consistent fence
 *                  makes known what was done before all such fences that came earlier, by either side.
 *                  (This is RC11 as an operational model: views of histories. Each word has one writer here.)
 *
 * A byte on the socket makes nothing known in this model, though kernels do more than that.
 *
 * Properties, of all reachable states:
 * 1. LOST: nobody sleeps with no byte in its socket when the other side will do nothing more of its own accord; all
 *    that was to be sent has arrived, and both ends have finished. Waking for no reason does not count as rescue.
 * 2. WRONG_BYTE: each byte read is the one written.
 * 3. TWICE: a sleep is rung for once (P3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shm/layout.h"

#define RING_MAX       2
#define HISTORY_MAX    28   /* stores into one word in one run */
#define QUEUE_MAX      6    /* of a side's store queue; the next store waits */
#define DEPTH_MAX      1000 /* steps of one run */
#define STATES_MAX     ((size_t)1 << 21)
#define BIG_STATES_MAX ((size_t)1 << 24)

#define WANT_DATA  ((uint8_t)SHM_WANT_DATA)
#define WANT_SPACE ((uint8_t)SHM_WANT_SPACE)
#define WANTS      ((uint8_t)SHM_WANTS)

/* Sanitizers find nothing in the large models that they do not find in the small ones. */
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

enum memory { MEMORY_TSO, MEMORY_C11 };

/* The words that one side writes: its control block and its ring. */
enum word { TAIL, HEAD, PARK, RING, WORDS = RING + RING_MAX };

enum mutant {
    NONE,
    NO_FENCE_IN_SETTLE,
    NO_FENCE_IN_ARM,
    WEAK_FENCES, /* acquire and release instead of sequentially consistent, in both places */
    ARM_WITHOUT_RECHECK,
    RUNG_FOR_NOT_COMPARED,
    RUNG_FOR_WITHOUT_SLEEP, /* only what is wanted is compared, not for which sleep */
    RUNG_FOR_UNRUNG,        /* a sleep that was looked at counts as rung for */
    SLEEPS_NOT_COUNTED,
    HEAD_NOT_SETTLED, /* no bell for space */
    DRAIN_AFTER_LOOK, /* the socket is emptied after arming, not before looking */
    RELAXED_TAIL_STORE,
    RELAXED_TAIL_LOAD,
};

/* Where a side stands: what it does next. */
enum step {
    READ_LOAD_TAIL,   /* shm_load_peer_tail: atomic_load(&peer->tail, acquire) */
    READ_COPY,        /* shm_read: memcpy from the ring; a step is one byte here */
    READ_STORE_HEAD,  /* shm_read: atomic_store(&own->head, release) */
    WRITE_LOAD_HEAD,  /* shm_load_peer_head: atomic_load(&peer->head, acquire) */
    WRITE_COPY,       /* shm_write: memcpy into the ring */
    WRITE_STORE_TAIL, /* shm_write: atomic_store(&own->tail, release) */
    SETTLE_FENCE,     /* shm_settle: news, and atomic_thread_fence(seq_cst) */
    SETTLE_LOAD_PARK, /* shm_settle: atomic_load(&peer->park, relaxed), and the comparison with rung_for */
    RING_BELL,        /* the caller of shm_settle: send of one byte */
    ARM_STORE,        /* shm_arm: atomic_store(&own->park, relaxed) */
    ARM_FENCE,        /* shm_arm: atomic_thread_fence(seq_cst) */
    ARM_LOOK_DATA,    /* shm_arm: shm_has_data */
    ARM_LOOK_SPACE,   /* shm_arm: shm_has_space */
    ASLEEP,           /* the caller of shm_arm: poll of the socket */
    DRAIN,            /* awake: recv of all bytes that are there */
    DISARM,           /* shm_disarm: atomic_store(&own->park, relaxed) */
    FINISHED,
};

/* What a side has to do: bytes to write and to read; byte n may be written once n - lead bytes were read. */
struct duty {
    uint8_t writes, reads, lead;
};

struct model {
    const char *name;
    bool is_big;  /* takes a minute: only with SKUA_BIG_MODELS=1 */
    bool is_long; /* not under sanitizers */
    enum memory memory;
    enum mutant mutant;
    uint8_t ring;
    struct duty duties[2];
    uint8_t stray_bells[2]; /* in the sockets from the beginning */
    uint8_t spurious;       /* how often each sleeper wakes for no reason */
    uint8_t socket;         /* bytes that a socket holds; more are dropped, as MSG_DONTWAIT does */
};

/* struct shm_end, less what is constant, and the side's thread. */
struct side {
    uint8_t step, after_settle;
    uint8_t tail, head, peer_tail, peer_head, settled_tail, settled_head, sleeps, rung_for;
    uint8_t wants;    /* of shm_arm */
    uint8_t bells;    /* in its socket */
    uint8_t spurious; /* times left */
    uint8_t heard;    /* the park word that it rang for last: for TWICE, the code does not see it */
};

struct message {
    uint8_t value;
    uint8_t made_known[WORDS]; /* times of the writer's words */
};

struct history {
    uint8_t last; /* time of the last store */
    struct message messages[HISTORY_MAX];
};

struct state {
    struct side sides[2];
    /* MEMORY_TSO */
    uint8_t words[2][WORDS];
    struct {
        uint8_t count, word[QUEUE_MAX], value[QUEUE_MAX];
    } queue[2];
    /* MEMORY_C11. Times are of the words of the side that is the first index, except in `released`. */
    struct history histories[2][WORDS];
    uint8_t known[2][WORDS];    /* what the other side must know */
    uint8_t acquired[2][WORDS]; /* what it will know after a fence */
    uint8_t fenced[2][WORDS];   /* what all fences so far have made known */
    uint8_t released[2][WORDS]; /* the writer's own words as of its last fence */
} __attribute__((aligned(8)));

enum outcome { FINE, LOST, WRONG_BYTE, TWICE };

static const char *const outcome_names[] = {"fine", "a lost bell", "a wrong byte",
                                            "rung twice for one sleep"};

/* ---- The memories ------------------------------------------------------------------------------------------- */

static void know(uint8_t known[WORDS], const uint8_t more[WORDS])
{
    for (unsigned i = 0; i < WORDS; i++)
        known[i] = known[i] > more[i] ? known[i] : more[i];
}

/* False: the store has to wait. */
static bool store(const struct model *model, struct state *state, unsigned me, unsigned word, uint8_t value,
                  bool is_release)
{
    if (model->memory == MEMORY_TSO) {
        unsigned count = state->queue[me].count;
        if (count == QUEUE_MAX)
            return false;
        state->queue[me].word[count] = (uint8_t)word;
        state->queue[me].value[count] = value;
        state->queue[me].count++;
        return true;
    }
    struct history *history = &state->histories[me][word];
    assert_true(history->last + 1 < HISTORY_MAX);
    history->last++;
    struct message *message = &history->messages[history->last];
    message->value = value;
    memcpy(message->made_known, state->released[me], WORDS);
    if (is_release)
        for (unsigned i = 0; i < WORDS; i++)
            message->made_known[i] = state->histories[me][i].last;
    message->made_known[word] = history->last;
    return true;
}

/* Loads a word of the other side. `choice` counts the possible answers; false: there are no more. */
static bool load(const struct model *model, struct state *state, unsigned me, unsigned word, bool is_acquire,
                 unsigned choice, uint8_t *ret_value)
{
    unsigned peer = 1 - me;
    if (model->memory == MEMORY_TSO) {
        *ret_value = state->words[peer][word];
        return choice == 0;
    }
    const struct history *history = &state->histories[peer][word];
    unsigned time = state->known[peer][word] + choice;
    if (time > history->last)
        return false;
    const struct message *message = &history->messages[time];
    *ret_value = message->value;
    state->known[peer][word] = (uint8_t)time;
    if (is_acquire)
        know(state->known[peer], message->made_known);
    know(state->acquired[peer], message->made_known);
    return true;
}

/* False: it has to wait. */
static bool fence(const struct model *model, struct state *state, unsigned me, bool is_weak)
{
    if (model->memory == MEMORY_TSO)
        return is_weak || state->queue[me].count == 0;
    unsigned peer = 1 - me;
    know(state->known[peer], state->acquired[peer]);
    for (unsigned i = 0; i < WORDS; i++)
        state->released[me][i] = state->histories[me][i].last;
    if (is_weak)
        return true;
    know(state->fenced[peer], state->known[peer]);
    know(state->fenced[me], state->released[me]);
    know(state->known[peer], state->fenced[peer]);
    know(state->acquired[peer], state->known[peer]);
    return true;
}

/* The oldest store of a side becomes visible. */
static bool drain_queue(struct state *state, unsigned me)
{
    unsigned count = state->queue[me].count;
    if (count == 0)
        return false;
    state->words[me][state->queue[me].word[0]] = state->queue[me].value[0];
    for (unsigned i = 1; i < QUEUE_MAX; i++) {
        state->queue[me].word[i - 1] = state->queue[me].word[i];
        state->queue[me].value[i - 1] = state->queue[me].value[i];
    }
    state->queue[me].word[QUEUE_MAX - 1] = state->queue[me].value[QUEUE_MAX - 1] = 0;
    state->queue[me].count--;
    return true;
}

/* Makes states equal that differ only in what nobody can load any more. */
static void forget_history(struct state *state)
{
    for (unsigned side = 0; side < 2; side++)
        for (unsigned word = 0; word < WORDS; word++)
            memset(state->histories[side][word].messages, 0,
                   state->known[side][word] * sizeof(struct message));
}

/* ---- The steps ---------------------------------------------------------------------------------------------- */

struct move {
    const struct model *model;
    struct state *state;
    unsigned me, choice;
    enum outcome outcome;
    bool is_spurious;
};

/* Byte n of the stream, never 0. */
static uint8_t byte_of(unsigned n)
{
    return (uint8_t)(n + 1);
}

static bool may_write(const struct model *model, const struct state *state, unsigned me)
{
    const struct side *side = &state->sides[me];
    return side->tail < model->duties[me].writes && side->tail < side->head + model->duties[me].lead;
}

/* Before sleeping, and at the end. */
static void begin_settle(struct side *side, enum step after)
{
    side->step = SETTLE_FENCE;
    side->after_settle = (uint8_t)after;
}

/* With nothing more to read and to write at the moment: sleeps, or ends. */
static void end_turn(const struct move *move)
{
    struct side *side = &move->state->sides[move->me];
    side->wants = (side->head < move->model->duties[move->me].reads ? WANT_DATA : 0) |
                  (may_write(move->model, move->state, move->me) ? WANT_SPACE : 0);
    begin_settle(side, side->wants ? ARM_STORE : FINISHED);
}

static void begin_write(const struct move *move)
{
    struct side *side = &move->state->sides[move->me];
    if (!may_write(move->model, move->state, move->me))
        end_turn(move);
    else
        side->step = side->tail - side->peer_head == move->model->ring ? WRITE_LOAD_HEAD : WRITE_COPY;
}

/* After a byte was published a caller may settle at once, or go on and settle later: choices 0 and 1. */
static bool go_on(const struct move *move, enum step next)
{
    struct side *side = &move->state->sides[move->me];
    if (move->choice == 0)
        side->step = (uint8_t)next;
    else
        begin_settle(side, next);
    return move->choice <= 1;
}

static bool step_read(struct move *move)
{
    struct side *side = &move->state->sides[move->me];
    uint8_t value;
    switch (side->step) {
    case READ_LOAD_TAIL:
        if (!load(move->model, move->state, move->me, TAIL, move->model->mutant != RELAXED_TAIL_LOAD,
                  move->choice, &side->peer_tail))
            return false;
        if (side->peer_tail != side->head)
            side->step = READ_COPY;
        else
            begin_write(move);
        return true;
    case READ_COPY:
        if (!load(move->model, move->state, move->me, RING + side->head % move->model->ring, false,
                  move->choice, &value))
            return false;
        if (value != byte_of(side->head))
            move->outcome = WRONG_BYTE;
        side->step = READ_STORE_HEAD;
        return true;
    default:
        side->head++;
        if (!store(move->model, move->state, move->me, HEAD, side->head, true))
            return false;
        return go_on(move, side->peer_tail != side->head ? READ_COPY : READ_LOAD_TAIL);
    }
}

static bool step_write(struct move *move)
{
    struct side *side = &move->state->sides[move->me];
    switch (side->step) {
    case WRITE_LOAD_HEAD:
        if (!load(move->model, move->state, move->me, HEAD, true, move->choice, &side->peer_head))
            return false;
        if (side->tail - side->peer_head == move->model->ring)
            end_turn(move);
        else
            side->step = WRITE_COPY;
        return true;
    case WRITE_COPY:
        side->step = WRITE_STORE_TAIL;
        return move->choice == 0 && store(move->model, move->state, move->me,
                                          RING + side->tail % move->model->ring, byte_of(side->tail), false);
    default:
        side->tail++;
        if (!store(move->model, move->state, move->me, TAIL, side->tail,
                   move->model->mutant != RELAXED_TAIL_STORE))
            return false;
        if (may_write(move->model, move->state, move->me))
            return go_on(move,
                         side->tail - side->peer_head == move->model->ring ? WRITE_LOAD_HEAD : WRITE_COPY);
        end_turn(move);
        return move->choice == 0;
    }
}

/* shm_settle, from the load of the peer's park word to its end. */
static bool look_at_park(struct move *move)
{
    struct side *side = &move->state->sides[move->me];
    enum mutant mutant = move->model->mutant;
    uint8_t park;
    uint8_t news = (side->tail != side->settled_tail ? WANT_DATA : 0) |
                   (side->head != side->settled_head && mutant != HEAD_NOT_SETTLED ? WANT_SPACE : 0);
    if (!load(move->model, move->state, move->me, PARK, false, move->choice, &park))
        return false;
    side->settled_tail = side->tail;
    side->settled_head = side->head;
    side->step = side->after_settle;
    bool is_rung = park == side->rung_for;
    if (mutant == RUNG_FOR_NOT_COMPARED)
        is_rung = false;
    if (mutant == RUNG_FOR_WITHOUT_SLEEP)
        is_rung = (park & WANTS) == (side->rung_for & WANTS);
    if (mutant == RUNG_FOR_UNRUNG && (park & WANTS))
        side->rung_for = park;
    if ((park & news) == 0 || is_rung)
        return true;
    side->rung_for = park;
    side->step = RING_BELL;
    if (side->heard == park && mutant != SLEEPS_NOT_COUNTED)
        move->outcome = TWICE;
    side->heard = park;
    return true;
}

static bool step_settle(struct move *move)
{
    struct side *side = &move->state->sides[move->me];
    struct side *peer = &move->state->sides[1 - move->me];
    switch (side->step) {
    case SETTLE_FENCE:
        if (side->tail == side->settled_tail && side->head == side->settled_head) {
            side->step = side->after_settle;
            return move->choice == 0;
        }
        side->step = SETTLE_LOAD_PARK;
        return move->choice == 0 &&
               (move->model->mutant == NO_FENCE_IN_SETTLE ||
                fence(move->model, move->state, move->me, move->model->mutant == WEAK_FENCES));
    case SETTLE_LOAD_PARK: return look_at_park(move);
    default:
        if (peer->bells < move->model->socket)
            peer->bells++;
        side->step = side->after_settle;
        return move->choice == 0;
    }
}

static bool step_arm(struct move *move)
{
    struct side *side = &move->state->sides[move->me];
    uint8_t value;
    switch (side->step) {
    case ARM_STORE:
        if (move->model->mutant != SLEEPS_NOT_COUNTED || side->sleeps == 0)
            side->sleeps++;
        side->step = ARM_FENCE;
        return move->choice == 0 && store(move->model, move->state, move->me, PARK,
                                          (uint8_t)(side->sleeps << SHM_SLEEP_SHIFT | side->wants), false);
    case ARM_FENCE:
        side->step = ARM_LOOK_DATA;
        if (move->model->mutant == ARM_WITHOUT_RECHECK)
            side->step = ASLEEP;
        return move->choice == 0 &&
               (move->model->mutant == NO_FENCE_IN_ARM ||
                fence(move->model, move->state, move->me, move->model->mutant == WEAK_FENCES));
    case ARM_LOOK_DATA:
        side->step = ARM_LOOK_SPACE;
        if (!(side->wants & WANT_DATA))
            return move->choice == 0;
        if (!load(move->model, move->state, move->me, TAIL, false, move->choice, &value))
            return false;
        if (value != side->head)
            side->step = DISARM;
        return true;
    default:
        side->step = move->model->mutant == DRAIN_AFTER_LOOK ? DRAIN : ASLEEP;
        if (!(side->wants & WANT_SPACE))
            return move->choice == 0;
        if (!load(move->model, move->state, move->me, HEAD, false, move->choice, &value))
            return false;
        if ((uint8_t)(value + move->model->ring) != side->tail)
            side->step = DISARM;
        return true;
    }
}

static bool step_sleep(struct move *move)
{
    struct side *side = &move->state->sides[move->me];
    bool drains_late = move->model->mutant == DRAIN_AFTER_LOOK;
    switch (side->step) {
    case ASLEEP:
        if (side->bells == 0) {
            if (side->spurious == 0)
                return false;
            side->spurious--;
            move->is_spurious = true;
        }
        side->step = drains_late ? DISARM : DRAIN;
        return move->choice == 0;
    case DRAIN:
        side->bells = 0;
        side->step = drains_late ? ASLEEP : DISARM;
        return move->choice == 0;
    case DISARM:
        side->step = READ_LOAD_TAIL;
        return move->choice == 0 && store(move->model, move->state, move->me, PARK,
                                          (uint8_t)(side->sleeps << SHM_SLEEP_SHIFT), false);
    default: /* FINISHED */ return false;
    }
}

/* Makes the move; false: it is none. */
static bool make_move(struct move *move)
{
    enum step step = move->state->sides[move->me].step;
    bool is_made = step <= READ_STORE_HEAD    ? step_read(move)
                   : step <= WRITE_STORE_TAIL ? step_write(move)
                   : step <= RING_BELL        ? step_settle(move)
                   : step <= ARM_LOOK_SPACE   ? step_arm(move)
                                              : step_sleep(move);
    if (is_made)
        forget_history(move->state);
    return is_made;
}

/* ---- The search --------------------------------------------------------------------------------------------- */

struct fingerprint {
    uint64_t a, b;
};

struct search {
    const struct model *model;
    struct fingerprint *seen; /* open addressing */
    size_t places;            /* in it: twice the states that are allowed */
    size_t states, bells, sleeps;
    struct state *path; /* DEPTH_MAX states: from the beginning to the one that is looked at */
};

static struct fingerprint fingerprint_of(const struct state *state)
{
    struct fingerprint print = {UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xd1b54a32d192ed03)};
    const char *bytes = (const char *)state;
    for (size_t i = 0; i < sizeof(*state); i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        print.a = (print.a ^ word) * UINT64_C(0xff51afd7ed558ccd);
        print.a ^= print.a >> 32;
        print.b = (print.b + word) * UINT64_C(0xc4ceb9fe1a85ec53);
        print.b ^= print.b >> 29;
    }
    print.a |= print.a == 0;
    return print;
}

/* Whether the state is new. */
static bool is_new(struct search *search, const struct state *state)
{
    struct fingerprint print = fingerprint_of(state);
    for (size_t i = print.a;; i++) {
        struct fingerprint *place = &search->seen[i & (search->places - 1)];
        if (place->a == print.a && place->b == print.b)
            return false;
        if (place->a == 0) {
            *place = print;
            assert_true(++search->states < search->places / 2);
            return true;
        }
    }
}

static void print_path(const struct search *search, size_t depth)
{
    static const char *const names[] = {
        "load tail",       "copy out",  "store head", "load head",  "copy in",      "store tail",
        "fence of settle", "load park", "ring",       "store park", "fence of arm", "look for data",
        "look for space",  "asleep",    "drain",      "disarm",     "finished"};
    for (size_t i = 0; i <= depth; i++) {
        for (unsigned me = 0; me < 2; me++) {
            const struct side *side = &search->path[i].sides[me];
            print_message("%-16s tail %u head %u bells %u   ", names[side->step], side->tail, side->head,
                          side->bells);
        }
        print_message("\n");
    }
}

static enum outcome visit(struct search *search, size_t depth);

/* One move into the next place of the path, and on from there. */
static enum outcome follow(struct search *search, size_t depth, const struct move *move)
{
    const struct state *before = &search->path[depth];
    search->bells += before->sides[move->me].step == RING_BELL;
    search->sleeps += move->state->sides[move->me].step == ASLEEP;
    if (move->outcome != FINE) {
        if (search->model->mutant == NONE)
            print_path(search, depth + 1);
        return move->outcome;
    }
    return is_new(search, move->state) ? visit(search, depth + 1) : FINE;
}

static enum outcome visit(struct search *search, size_t depth)
{
    assert_true(depth + 1 < DEPTH_MAX);
    const struct state *here = &search->path[depth];
    struct state *next = &search->path[depth + 1];
    bool is_stuck = true;
    for (unsigned me = 0; me < 2; me++) {
        for (unsigned choice = 0;; choice++) {
            *next = *here;
            struct move move = {search->model, next, me, choice, FINE, false};
            if (!make_move(&move))
                break;
            is_stuck &= move.is_spurious;
            enum outcome outcome = follow(search, depth, &move);
            if (outcome != FINE)
                return outcome;
        }
        *next = *here;
        if (search->model->memory == MEMORY_TSO && drain_queue(next, me)) {
            is_stuck = false;
            enum outcome outcome = is_new(search, next) ? visit(search, depth + 1) : FINE;
            if (outcome != FINE)
                return outcome;
        }
    }
    if (!is_stuck || (here->sides[0].step == FINISHED && here->sides[1].step == FINISHED))
        return FINE;
    if (search->model->mutant == NONE)
        print_path(search, depth);
    return LOST;
}

static struct search check(const struct model *model, enum outcome *ret_outcome)
{
    struct search search = {.model = model, .places = (model->is_big ? BIG_STATES_MAX : STATES_MAX) * 2};
    search.seen = calloc(search.places, sizeof(struct fingerprint));
    search.path = calloc(DEPTH_MAX, sizeof(struct state));
    assert_non_null(search.seen);
    assert_non_null(search.path);
    struct state *first = &search.path[0];
    for (unsigned me = 0; me < 2; me++) {
        first->sides[me].spurious = model->spurious;
        first->sides[me].bells = model->stray_bells[me];
    }
    is_new(&search, first);
    *ret_outcome = visit(&search, 0);
    free(search.seen);
    free(search.path);
    search.seen = NULL;
    search.path = NULL;
    return search;
}

/* ---- What is checked ---------------------------------------------------------------------------------------- */

#define ANY 100 /* as a duty's lead: writes whatever was read */

/* Small ones first: a mutant is shown by the first that it fails in. */
static const struct model models[] = {
    {"one byte", .ring = 1, .duties = {{1, 0, ANY}, {0, 1, ANY}}, .spurious = 1, .socket = 1},
    {"two bytes", .ring = 2, .duties = {{2, 0, ANY}, {0, 2, ANY}}, .spurious = 1, .socket = 1},
    {"two bytes, and stray bells", .ring = 2, .duties = {{2, 0, ANY}, {0, 2, ANY}}, .stray_bells = {1, 1},
     .spurious = 1, .socket = 2},
    {"a full ring", .ring = 1, .duties = {{2, 0, ANY}, {0, 2, ANY}}, .spurious = 1, .socket = 1},
    {"a full ring of two", .is_long = true, .ring = 2, .duties = {{3, 0, ANY}, {0, 3, ANY}}, .socket = 2},
    {"requests and replies", .is_long = true, .ring = 1, .duties = {{2, 2, 1}, {2, 2, 0}}, .socket = 1},
    {"requests and replies, and stray bells", .ring = 1, .duties = {{1, 1, 1}, {1, 1, 0}},
     .stray_bells = {1, 1}, .spurious = 1, .socket = 2},
    {"both directions, a full ring", .is_long = true, .ring = 1, .duties = {{2, 1, ANY}, {1, 2, ANY}},
     .socket = 1},
    {"a full ring, three bytes", .is_big = true, .ring = 1, .duties = {{3, 0, ANY}, {0, 3, ANY}},
     .spurious = 1, .socket = 1},
    {"a full ring of two, four bytes", .is_big = true, .ring = 2, .duties = {{4, 0, ANY}, {0, 4, ANY}},
     .socket = 2},
    {"both directions, full rings", .is_big = true, .ring = 1, .duties = {{2, 2, ANY}, {2, 2, ANY}},
     .socket = 1},
};

#define MODELS (sizeof(models) / sizeof(models[0]))

static void expect_fine(enum memory memory)
{
    for (size_t i = 0; i < MODELS; i++) {
        struct model model = models[i];
        if (model.is_big && !getenv("SKUA_BIG_MODELS"))
            continue;
        if (model.is_long && IS_SLOW_BUILD)
            continue;
        model.memory = memory;
        enum outcome outcome;
        struct search search = check(&model, &outcome);
        print_message("%-60s %8zu states, %zu bells, %zu sleeps: %s\n", model.name, search.states,
                      search.bells, search.sleeps, outcome_names[outcome]);
        assert_int_equal(outcome, FINE);
        assert_true(search.bells > 0); /* the search has been where it is dangerous */
        assert_true(search.sleeps > 0);
    }
}

static void nothing_is_lost_on_x86(void **state)
{
    (void)state;
    expect_fine(MEMORY_TSO);
}

static void nothing_is_lost_in_the_memory_model_of_c(void **state)
{
    (void)state;
    expect_fine(MEMORY_C11);
}

/* One of the models must come out as expected. */
static void expect_fault(enum memory memory, enum mutant mutant, enum outcome expected)
{
    enum outcome outcome = FINE;
    for (size_t i = 0; i < MODELS && outcome == FINE && !models[i].is_big; i++) {
        struct model model = models[i];
        model.memory = memory;
        model.mutant = mutant;
        check(&model, &outcome);
    }
    assert_int_equal(outcome, expected);
}

static const struct {
    enum mutant mutant;
    enum outcome on_x86, in_c;
} faults[] = {
    {NO_FENCE_IN_SETTLE, LOST, LOST},
    {NO_FENCE_IN_ARM, LOST, LOST},
    {WEAK_FENCES, LOST, LOST},
    {ARM_WITHOUT_RECHECK, LOST, LOST},
    {RUNG_FOR_NOT_COMPARED, TWICE, TWICE},
    {RUNG_FOR_WITHOUT_SLEEP, LOST, LOST},
    {RUNG_FOR_UNRUNG, LOST, LOST},
    {SLEEPS_NOT_COUNTED, LOST, LOST},
    {HEAD_NOT_SETTLED, LOST, LOST},
    {DRAIN_AFTER_LOOK, LOST, LOST},
    {RELAXED_TAIL_STORE, FINE, WRONG_BYTE},
    {RELAXED_TAIL_LOAD, FINE, WRONG_BYTE},
};

static void each_mutant_is_caught(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {

        expect_fault(MEMORY_TSO, faults[i].mutant, faults[i].on_x86);
        expect_fault(MEMORY_C11, faults[i].mutant, faults[i].in_c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_on_x86),
        cmocka_unit_test(nothing_is_lost_in_the_memory_model_of_c),
        cmocka_unit_test(each_mutant_is_caught),
    };
    return cmocka_run_group_tests_name("shm-park-model", tests, NULL, NULL);
}
