/* Two servers, eight clients and a bad network in one process, under a simulated clock.
 *
 * Proves: no server state is shared within a process; each connection's replies come in order, complete and as a
 * model says, however bytes are cut into pieces; a cut connection leaves nothing behind; keys live exactly as long
 * as their time to live; a seed repeats a run to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "config/config.h"
#include "exec/exec.h"
#include "keyspace/keyspace.h"
#include "network.h"
#include "server/server.h"

#define SERVERS            2
#define CLIENTS_PER_SERVER 4
#define KEYS_PER_CLIENT    6
#define PIPELINE_MAX       5
#define STEPS              6000
#define SEEDS              12

/* What a client knows of one of its keys. Nobody else writes it. */
struct model_key {
    bool known; /* false after a cut: the last requests may or may not have been executed */
    bool exists;
    int64_t value;
    int64_t expire_us; /* 0: never */
};

enum action { ACTION_SET, ACTION_SET_PX, ACTION_GET, ACTION_INCR, ACTION_DEL, ACTION_COUNT };

struct expectation {
    enum action action;
    unsigned key;
    int64_t argument;
    int64_t sent_us;
};

struct sim_client {
    struct sim_peer peer;
    unsigned number;
    struct model_key keys[KEYS_PER_CLIENT];
    struct expectation expected[PIPELINE_MAX];
    unsigned expected_count;
    struct buf received;
    uint64_t replies;
};

struct world {
    struct sim sim;
    struct server *servers[SERVERS];
    struct sim_client clients[SERVERS * CLIENTS_PER_SERVER];
    uint64_t trace; /* hash over everything that clients received */
    uint64_t cuts;
};

static int64_t now_us(const struct world *world)
{
    return clock_wall_us(&world->sim.clock);
}

/* ---- Requests ------------------------------------------------------------------------------------- */

static void append_bulk(struct buf *request, const char *text)
{
    buf_printf(request, "$%zu\r\n%s\r\n", strlen(text), text);
}

static void append_request(struct buf *request, const struct sim_client *client,
                           const struct expectation *wanted)
{
    static const char *const names[] = {"SET", "SET", "GET", "INCR", "DEL"};
    static const unsigned counts[] = {3, 5, 2, 2, 2};
    char key[32], number[32];
    snprintf(key, sizeof key, "client%u:key%u", client->number, wanted->key);
    snprintf(number, sizeof number, "%lld", (long long)wanted->argument);
    buf_printf(request, "*%u\r\n", counts[wanted->action]);
    append_bulk(request, names[wanted->action]);
    append_bulk(request, key);
    if (wanted->action == ACTION_SET)
        append_bulk(request, number);
    if (wanted->action == ACTION_SET_PX) {
        append_bulk(request, "7");
        append_bulk(request, "PX");
        append_bulk(request, number);
    }
}

static void send_requests(struct world *world, struct sim_client *client)
{
    struct rng *rng = &world->sim.rng;
    struct buf request = {0};
    while (client->expected_count < PIPELINE_MAX && rng_below(rng, 3)) {
        struct expectation *wanted = &client->expected[client->expected_count++];
        wanted->action = (enum action)rng_below(rng, ACTION_COUNT);
        wanted->key = (unsigned)rng_below(rng, KEYS_PER_CLIENT);
        wanted->argument = 1 + (int64_t)rng_below(rng, 40);
        wanted->sent_us = now_us(world);
        append_request(&request, client, wanted);
    }
    if (request.size)
        peer_send(&client->peer, request.data, request.size);
    buf_done(&request);
}

/* ---- Replies -------------------------------------------------------------------------------------- */

/* Takes one reply off the received bytes: its text without type and line ends, NULL text for nil. False when it has
 * not arrived whole. */
static bool take_reply(struct buf *received, char *ret_type, char ret_text[static 64])
{
    const char *line_end = received->size ? memchr(received->data, '\n', received->size) : NULL;
    if (!line_end)
        return false;
    size_t size = (size_t)(line_end - received->data) + 1;
    *ret_type = received->data[0];
    assert_true(size < 64);
    memcpy(ret_text, received->data + 1, size - 3);
    ret_text[size - 3] = 0;
    if (*ret_type == '$' && ret_text[0] != '-') {
        size_t bulk = (size_t)(ret_text[0] - '0');
        if (received->size < size + bulk + 2)
            return false;
        memcpy(ret_text, received->data + size, bulk);
        ret_text[bulk] = 0;
        size += bulk + 2;
    }
    memmove(received->data, received->data + size, received->size - size);
    received->size -= size;
    return true;
}

/* The key's time may have come between sending and now: then the reply decides. */
static bool is_expiry_open(const struct model_key *key, const struct expectation *wanted, int64_t now)
{
    return key->exists && key->expire_us && key->expire_us <= now && key->expire_us > wanted->sent_us;
}

/* Sets the model to what must hold before the request was executed. `existed` is what the reply shows. */
static void settle_existence(struct model_key *key, const struct expectation *wanted, int64_t now,
                             bool existed)
{
    if (!key->known || is_expiry_open(key, wanted, now)) {
        key->exists = existed;
        return;
    }
    if (key->exists && key->expire_us && key->expire_us <= wanted->sent_us)
        key->exists = false;
    assert_int_equal(key->exists, existed);
}

static void check_get(struct model_key *key, const struct expectation *wanted, int64_t now, char type,
                      const char *text)
{
    assert_int_equal(type, '$');
    bool existed = text[0] != '-';
    settle_existence(key, wanted, now, existed);
    if (existed && key->known)
        assert_int_equal(strtoll(text, NULL, 10), key->value);
    if (existed)
        key->value = strtoll(text, NULL, 10);
}

static void check_incr(struct model_key *key, const struct expectation *wanted, int64_t now, char type,
                       const char *text)
{
    assert_int_equal(type, ':');
    int64_t value = strtoll(text, NULL, 10);
    if (key->known && !is_expiry_open(key, wanted, now)) {
        settle_existence(key, wanted, now,
                         key->exists && !(key->expire_us && key->expire_us <= wanted->sent_us));
        assert_int_equal(value, key->exists ? key->value + 1 : 1);
    } else if (value == 1) {
        key->exists = false;
    }
    if (!key->exists)
        key->expire_us = 0;
    key->exists = true;
    key->value = value;
}

static void check_reply(struct world *world, struct sim_client *client, char type, const char *text)
{
    const struct expectation wanted = client->expected[0];
    struct model_key *key = &client->keys[wanted.key];
    int64_t now = now_us(world);
    memmove(client->expected, client->expected + 1, --client->expected_count * sizeof *client->expected);
    switch (wanted.action) {
    case ACTION_SET:
    case ACTION_SET_PX:
        assert_string_equal(text, "OK");
        *key = (struct model_key){.known = true, .exists = true, .value = wanted.argument};
        if (wanted.action == ACTION_SET_PX) {
            /* The time to live runs from the execution, somewhere between sending and now: from here on it is
             * only known that the key is there now or was. */
            key->value = 7;
            key->known = false;
        }
        break;
    case ACTION_GET: check_get(key, &wanted, now, type, text); break;
    case ACTION_INCR: check_incr(key, &wanted, now, type, text); break;
    case ACTION_DEL:
        assert_int_equal(type, ':');
        settle_existence(key, &wanted, now, text[0] == '1');
        *key = (struct model_key){.known = true};
        break;
    default: fail();
    }
    client->replies++;
}

static void receive_replies(struct world *world, struct sim_client *client)
{
    char type, text[64];
    peer_receive(&client->peer, &client->received);
    while (take_reply(&client->received, &type, text)) {
        assert_true(client->expected_count > 0);
        world->trace = hash_bytes(text, strlen(text), world->trace + (unsigned char)type + client->number);
        check_reply(world, client, type, text);
    }
}

/* ---- World ---------------------------------------------------------------------------------------- */

static struct server *server_of(struct world *world, const struct sim_client *client)
{
    return world->servers[client->number / CLIENTS_PER_SERVER];
}

static void reconnect(struct world *world, struct sim_client *client)
{
    for (unsigned i = 0; i < client->expected_count; i++)
        client->keys[client->expected[i].key].known = false;
    client->expected_count = 0;
    buf_clear(&client->received);
    peer_cut(&client->peer);
    sim_connect(&world->sim, server_of(world, client), &client->peer);
    world->cuts++;
}

static void world_init(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    sim_init(&world->sim, seed);
    for (unsigned i = 0; i < SERVERS; i++) {
        struct buf error = {0};
        struct server_options options = {
            .config = config_new(), .clock = &world->sim.clock, .simulated = true, .seed = seed + i};
        assert_int_equal(server_new(&options, &world->servers[i], &error), ST_OK);
    }
    for (unsigned i = 0; i < SERVERS * CLIENTS_PER_SERVER; i++) {
        struct sim_client *client = &world->clients[i];
        client->number = i;
        for (unsigned k = 0; k < KEYS_PER_CLIENT; k++)
            client->keys[k].known = true;
        sim_connect(&world->sim, server_of(world, client), &client->peer);
    }
}

static void world_done(struct world *world)
{
    for (unsigned i = 0; i < SERVERS * CLIENTS_PER_SERVER; i++) {
        peer_cut(&world->clients[i].peer);
        buf_done(&world->clients[i].received);
    }
    for (unsigned i = 0; i < SERVERS; i++) {
        server_request_shutdown(world->servers[i]);
        while (server_turn(world->servers[i], 0))
            sim_step(&world->sim, 1000);
        server_free(world->servers[i]);
    }
}

static void world_run(struct world *world, unsigned steps)
{
    struct rng *rng = &world->sim.rng;
    for (unsigned step = 0; step < steps; step++) {
        struct sim_client *client = &world->clients[rng_below(rng, SERVERS * CLIENTS_PER_SERVER)];
        send_requests(world, client);
        sim_step(&world->sim, 3000);
        for (unsigned i = 0; i < SERVERS; i++)
            assert_true(server_turn(world->servers[i], 0));
        for (unsigned i = 0; i < SERVERS * CLIENTS_PER_SERVER; i++)
            receive_replies(world, &world->clients[i]);
        if (rng_below(rng, 200) == 0)
            reconnect(world, client);
        if (step % 64 == 0)
            for (unsigned i = 0; i < SERVERS; i++)
                keyspace_check(server_exec(world->servers[i])->keyspace);
    }
}

static uint64_t run_seed(uint64_t seed)
{
    struct world world;
    world_init(&world, seed);
    world_run(&world, STEPS);
    uint64_t replies = 0;
    for (unsigned i = 0; i < SERVERS * CLIENTS_PER_SERVER; i++)
        replies += world.clients[i].replies;
    assert_true(replies > STEPS / 2);
    assert_true(world.cuts > 0);
    for (unsigned i = 0; i < SERVERS; i++)
        assert_int_equal(server_exec(world.servers[i])->client_count, CLIENTS_PER_SERVER);
    uint64_t trace = world.trace;
    world_done(&world);
    return trace;
}

static void replies_follow_the_model(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed);
}

static void a_seed_repeats_a_run(void **state)
{
    uint64_t first = run_seed(4711);
    assert_true(first == run_seed(4711));
    assert_true(first != run_seed(4712));
}

/* A key set for 50 ms is there 49 ms later and gone at 50, by the simulated clock and no other. */
static void keys_live_exactly_as_long_as_they_should(void **state)
{
    struct world world;
    struct buf received = {0};
    static const char set[] = "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nPX\r\n$2\r\n50\r\n";
    static const char get[] = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    world_init(&world, 99);
    struct sim_peer *peer = &world.clients[0].peer;
    const struct {
        const char *request;
        uint64_t wait_ns;
        const char *reply;
    } steps[] = {{set, 0, "+OK\r\n"}, {get, 49000000, "$1\r\nv\r\n"}, {get, 1000000, "$-1\r\n"}};
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        world.sim.now_ns += steps[i].wait_ns;
        peer_send(peer, steps[i].request, strlen(steps[i].request));
        buf_clear(&received);
        while (received.size < strlen(steps[i].reply)) {
            sim_step(&world.sim, 0);
            server_turn(world.servers[0], 0);
            peer_receive(peer, &received);
        }
        assert_string_equal(buf_string(&received), steps[i].reply);
    }
    buf_done(&received);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_follow_the_model),
        cmocka_unit_test(a_seed_repeats_a_run),
        cmocka_unit_test(keys_live_exactly_as_long_as_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
