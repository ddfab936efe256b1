/* Transactions and messages over a bad network: one server, clients that are cut off at any byte.
 *
 * Proves: a transaction is seen by others whole or not at all; no increment behind WATCH is lost or made twice, other
 * than the one whose answer was cut off; the messages of one publisher arrive in order, and none is missing while
 * the listener stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "exec/exec.h"
#include "exec/pubsub.h"
#include "network.h"
#include "server/server.h"

#define CLIENTS      8
#define STEPS        8000
#define SEEDS        10
#define TRANSFER_MAX 20000 /* of one client, in one run */
#define TEXT_MAX     128

/* Clients 0 and 1 move amounts from b to a and publish each transfer, 2 and 3 look whether the sum is right, 4 and 5
 * count in c behind WATCH, 6 and 7 listen. */
enum role { MOVER, READER, COUNTER, LISTENER };

struct actor {
    struct sim_peer peer;
    unsigned number;
    struct buf received;
    unsigned replies_due; /* of the requests under way; the last one is looked at */
    bool exec_sent;       /* COUNTER: the requests under way end with EXEC */
    unsigned transfers;   /* MOVER: number of the last one that was sent */
    int64_t counter;      /* COUNTER: what GET said */
    bool listens;
    unsigned last_heard[2];   /* LISTENER: by mover; 0: none since it listens */
    unsigned newest_heard[2]; /* the same, ever */
};

struct stage {
    struct sim sim;
    struct server *server;
    struct actor actors[CLIENTS];
    bool uncertain[2][TRANSFER_MAX]; /* transfers whose answer was cut off */
    int64_t counted, conflicts, counts_uncertain;
    uint64_t looks, messages, cuts;
};

static enum role role_of(const struct actor *actor)
{
    return (enum role)(actor->number / 2);
}

/* ---- Replies -------------------------------------------------------------------------------------- */

static void add_word(char text[static TEXT_MAX], const char *word, size_t size)
{
    size_t before = strlen(text);
    assert_true(before + size + 2 < TEXT_MAX);
    memcpy(text + before, word, size);
    memcpy(text + before + size, " ", 2);
}

/* Appends the words of the value at `at`, each followed by a blank, "nil" for nothing. Returns where the next value
 * begins, NULL when this one has not arrived whole. */
static const char *read_value(const char *at, const char *end, char text[static TEXT_MAX])
{
    const char *line_end = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    if (!line_end)
        return NULL;
    const char *next = line_end + 1;
    if (*at != '$' && *at != '*') {
        add_word(text, at + 1, (size_t)(line_end - at) - 2);
        return next;
    }
    long count = strtol(at + 1, NULL, 10);
    if (count < 0) {
        add_word(text, "nil", 3);
        return next;
    }
    if (*at == '$') {
        if (end - next < count + 2)
            return NULL;
        add_word(text, next, (size_t)count);
        return next + count + 2;
    }
    for (long i = 0; i < count && next; i++)
        next = read_value(next, end, text);
    return next;
}

/* Takes one reply off the received bytes. */
static bool take_reply(struct buf *received, char text[static TEXT_MAX])
{
    text[0] = 0;
    if (received->size == 0)
        return false;
    const char *next = read_value(received->data, received->data + received->size, text);
    if (!next)
        return false;
    size_t size = (size_t)(next - received->data);
    memmove(received->data, next, received->size - size);
    received->size -= size;
    return true;
}

/* ---- What clients say ----------------------------------------------------------------------------- */

static void say(struct actor *actor, unsigned replies, const char *format, ...) PRINTF_LIKE(3, 4);

static void say(struct actor *actor, unsigned replies, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    actor->replies_due = replies;
    peer_send(&actor->peer, text, (size_t)size);
}

static void act(struct stage *stage, struct actor *actor)
{
    unsigned amount = 1 + (unsigned)rng_below(&stage->sim.rng, 9);
    if (actor->replies_due)
        return;
    switch (role_of(actor)) {
    case MOVER:
        assert_true(++actor->transfers < TRANSFER_MAX);
        say(actor, 5, "MULTI\r\nINCRBY a %u\r\nDECRBY b %u\r\nPUBLISH moves %u:%u\r\nEXEC\r\n", amount,
            amount, actor->number, actor->transfers);
        break;
    case READER:
        if (amount > 4)
            say(actor, 1, "MGET a b\r\n");
        else
            say(actor, 4, "MULTI\r\nGET a\r\nGET b\r\nEXEC\r\n");
        break;
    case COUNTER:
        actor->exec_sent = false;
        say(actor, 2, "WATCH c\r\nGET c\r\n");
        break;
    case LISTENER:
        if (!actor->listens)
            say(actor, 1, "SUBSCRIBE moves\r\n");
        break;
    }
}

/* ---- What they hear ------------------------------------------------------------------------------- */

static void hear_message(struct stage *stage, struct actor *actor, const char *text)
{
    unsigned mover, number;
    assert_int_equal(sscanf(text, "message moves %u:%u ", &mover, &number), 2);
    assert_true(mover < 2);
    assert_true(number > actor->newest_heard[mover]);
    for (unsigned i = actor->last_heard[mover] + 1; actor->last_heard[mover] && i < number; i++)
        assert_true(stage->uncertain[mover][i]);
    actor->last_heard[mover] = actor->newest_heard[mover] = number;
    stage->messages++;
}

static int64_t number_of(const char *word)
{
    return strncmp(word, "nil", 3) == 0 ? 0 : strtoll(word, NULL, 10);
}

static void hear_last_reply(struct stage *stage, struct actor *actor, const char *text)
{
    const char *second = strchr(text, ' ') + 1;
    switch (role_of(actor)) {
    case MOVER:
    case READER:
        assert_int_equal(number_of(text), -number_of(second));
        stage->looks++;
        break;
    case COUNTER:
        if (!actor->exec_sent) {
            actor->counter = number_of(text);
            actor->exec_sent = true;
            say(actor, 3, "MULTI\r\nSET c %lld\r\nEXEC\r\n", (long long)actor->counter + 1);
        } else if (strcmp(text, "nil ") == 0) {
            stage->conflicts++;
        } else {
            assert_string_equal(text, "OK ");
            stage->counted++;
        }
        break;
    case LISTENER:
        assert_string_equal(text, "subscribe moves 1 ");
        actor->listens = true;
        actor->last_heard[0] = actor->last_heard[1] = 0;
        break;
    }
}

static void hear(struct stage *stage, struct actor *actor)
{
    char text[TEXT_MAX];
    peer_receive(&actor->peer, &actor->received);
    while (take_reply(&actor->received, text)) {
        if (actor->listens) {
            hear_message(stage, actor, text);
            continue;
        }
        assert_true(actor->replies_due > 0);
        if (--actor->replies_due == 0)
            hear_last_reply(stage, actor, text);
    }
}

/* ---- The stage ------------------------------------------------------------------------------------ */

static void cut(struct stage *stage, struct actor *actor)
{
    if (actor->replies_due && role_of(actor) == MOVER)
        stage->uncertain[actor->number][actor->transfers] = true;
    if (actor->replies_due && role_of(actor) == COUNTER && actor->exec_sent)
        stage->counts_uncertain++;
    peer_cut(&actor->peer);
    buf_clear(&actor->received);
    actor->replies_due = 0;
    actor->listens = false;
    sim_connect(&stage->sim, stage->server, &actor->peer);
    stage->cuts++;
}

static void turn(struct stage *stage)
{
    sim_step(&stage->sim, 2000);
    assert_true(server_turn(stage->server, 0));
    for (unsigned i = 0; i < CLIENTS; i++)
        hear(stage, &stage->actors[i]);
}

static void stage_open(struct stage *stage, uint64_t seed)
{
    struct buf error = {0};
    memset(stage, 0, sizeof *stage);
    sim_init(&stage->sim, seed);
    struct server_options options = {
        .config = config_new(), .clock = &stage->sim.clock, .simulated = true, .seed = seed};
    assert_int_equal(server_new(&options, &stage->server, &error), ST_OK);
    for (unsigned i = 0; i < CLIENTS; i++) {
        stage->actors[i].number = i;
        sim_connect(&stage->sim, stage->server, &stage->actors[i].peer);
    }
}

static void stage_close(struct stage *stage)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        peer_cut(&stage->actors[i].peer);
        buf_done(&stage->actors[i].received);
    }
    server_request_shutdown(stage->server);
    while (server_turn(stage->server, 0))
        sim_step(&stage->sim, 1000);
    server_free(stage->server);
}

/* What the counter holds in the end, asked by a client that has nothing under way. */
static int64_t final_count(struct stage *stage)
{
    struct actor *reader = &stage->actors[4];
    while (reader->replies_due)
        turn(stage);
    reader->exec_sent = false;
    say(reader, 2, "UNWATCH\r\nGET c\r\n");
    while (!reader->exec_sent)
        turn(stage);
    return reader->counter;
}

static void play(struct stage *stage, uint64_t seed)
{
    stage_open(stage, seed);
    for (unsigned step = 0; step < STEPS; step++) {
        struct actor *actor = &stage->actors[rng_below(&stage->sim.rng, CLIENTS)];
        act(stage, actor);
        turn(stage);
        if (rng_below(&stage->sim.rng, 150) == 0)
            cut(stage, actor);
        if (step % 256 == 0)
            pubsub_check(server_exec(stage->server)->pubsub);
    }
    int64_t count = final_count(stage);
    assert_in_range(count, stage->counted, stage->counted + stage->counts_uncertain);
    assert_true(stage->counted > 50 && stage->conflicts > 0 && stage->counts_uncertain > 0);
    assert_true(stage->looks > 500 && stage->messages > 100 && stage->cuts > 20);
    stage_close(stage);
}

static void transactions_are_whole_and_messages_in_order(void **state)
{
    struct stage *stage = malloc(sizeof *stage);
    assert_non_null(stage);
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        play(stage, seed);
    free(stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transactions_are_whole_and_messages_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
