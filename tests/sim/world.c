/* A world from the beginning to the end: clients, steps, peace. See world.h. */
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/worker.h"
#include "exec/exec.h"
#include "repl/repl.h"
#include "repl/replica.h"
#include "server/server.h"

#define STEP_US       16000
#define PEACE_STEP_US 20000
#define CAREFUL_LINES 3 /* answers to SELECT, SET and WAIT */

/* ---- Clients -------------------------------------------------------------------------------------- */

static bool is_careful(const struct world_client *client)
{
    return client->number >= WORLD_CLIENTS;
}

static void leave(struct world_client *client)
{
    if (client->peer.link)
        peer_cut(&client->peer);
    client->lines_due = 0;
    buf_clear(&client->received);
}

/* As a rule to the primary. */
static void join(struct world *world, struct world_client *client)
{
    struct rng *rng = &world->sim.rng;
    client->server = rng_below(rng, 5) ? world->leader : (unsigned)rng_below(rng, WORLD_SERVERS);
    struct node *node = &world->nodes[client->server];
    if (node->server)
        sim_connect(&world->sim, node->server, &client->peer);
}

/* SET a number that has never been, and WAIT for replicas to have it. */
static void send_carefully(struct world *world, struct world_client *client, struct buf *requests)
{
    struct rng *rng = &world->sim.rng;
    if (client->lines_due > 0)
        return;
    client->lines_due = CAREFUL_LINES;
    client->was_set = false;
    client->value++;
    client->role_changes = world->nodes[client->server].role_changes;
    workload_request(requests, "SELECT %u", WORKLOAD_DBS);
    workload_request(requests, "SET w%u %" PRIu64, client->number - WORLD_CLIENTS, client->value);
    workload_request(requests, "WAIT %u %u", 1 + (unsigned)rng_below(rng, 2),
                     1 + (unsigned)rng_below(rng, 2000));
}

static void send_something(struct world *world, struct world_client *client)
{
    struct rng *rng = &world->sim.rng;
    struct buf requests = {0};
    /* Who has to do with a server that is no primary any more finds out soon. */
    uint64_t patience = client->server == world->leader ? 400 : 40;
    if (client->peer.link == NULL || peer_is_closed(&client->peer) || rng_below(rng, patience) == 0) {
        leave(client);
        join(world, client);
        return;
    }
    if (peer_unsent(&client->peer) > 0)
        return;
    if (is_careful(client))
        send_carefully(world, client, &requests);
    for (unsigned count = (unsigned)rng_below(rng, 4); !is_careful(client) && count > 0; count--)
        workload_append(&requests, rng, &world->workload);
    if (requests.size > 0)
        peer_send(&client->peer, requests.data, requests.size);
    buf_done(&requests);
}

/* W2, and what W3 is to hold for from now on. */
static void hear_wait(struct world *world, const struct world_client *client, uint64_t count)
{
    unsigned number = client->number - WORLD_CLIENTS;
    const struct node *node = &world->nodes[client->server];
    uint64_t having = 0;
    if (!client->was_set || world->workload.flushes_all || node->role_changes != client->role_changes)
        return;
    for (unsigned i = 0; i < WORLD_SERVERS; i++)
        having += i != client->server && world->nodes[i].seen[number] >= client->value;
    world->counts.waits += count > 0;
    if (count > having)
        world_fail(world,
                   "W2: server %u says that %" PRIu64 " replicas have write %" PRIu64
                   " of client %u; %" PRIu64 " have",
                   client->server, count, client->value, number, having);
    if (count >= WORLD_SERVERS - 1) {
        world->committed[number] = client->value;
        world->counts.commits++;
    }
}

static void hear_line(struct world *world, struct world_client *client, const char *line)
{
    if (client->lines_due == 0) {
        world_fail(world, "an answer that nobody asked for: %.40s", line);
        return;
    }
    client->lines_due--;
    if (client->lines_due == 1)
        client->was_set = strcmp(line, "+OK") == 0;
    if (client->lines_due == 0 && line[0] == ':')
        hear_wait(world, client, strtoull(line + 1, NULL, 10));
}

static void receive(struct world *world, struct world_client *client)
{
    struct buf *received = &client->received;
    char line[128], *end;
    if (client->peer.link == NULL)
        return;
    peer_receive(&client->peer, received);
    if (!is_careful(client))
        buf_clear(received);
    while (received->size > 0 && (end = memchr(received->data, '\n', received->size)) != NULL) {
        size_t size = (size_t)(end - received->data) + 1;
        snprintf(line, sizeof line, "%.*s", (int)(size - 2), received->data);
        memmove(received->data, received->data + size, received->size - size);
        received->size -= size;
        hear_line(world, client, line);
    }
}

/* ---- Steps ---------------------------------------------------------------------------------------- */

static void run_node(struct world *world, struct node *node)
{
    struct rng *rng = &world->sim.rng;
    if (node->server == NULL || world->sim.now_ns < node->paused_until_ns)
        return;
    for (uint64_t jobs = rng_below(rng, 4); jobs > 0 && worker_pool_step(node->workers); jobs--)
        ;
    if (rng_below(rng, 6) == 0)
        return; /* others are faster */
    if (!server_turn(node->server, 0)) {
        world_fail(world, "server %u has ended by itself", node->number);
        return;
    }
    node_check(world, node);
}

static void step(struct world *world, uint64_t us_max)
{
    unsigned first = (unsigned)rng_below(&world->sim.rng, WORLD_SERVERS);
    sim_step(&world->sim, us_max);
    for (unsigned i = 0; i < WORLD_SERVERS; i++)
        run_node(world, &world->nodes[(first + i) % WORLD_SERVERS]);
    for (unsigned i = 0; i < WORLD_CLIENTS + WORLD_CAREFUL; i++)
        receive(world, &world->clients[i]);
}

static bool is_settled(const struct world *world)
{
    const struct node *leader = &world->nodes[world->leader];
    if (leader->server == NULL || node_is_replica(leader))
        return false;
    for (unsigned i = 0; i < WORLD_SERVERS; i++) {
        const struct node *node = &world->nodes[i];
        if (!node_is_valid(node))
            return false;
        const struct exec *exec = server_exec(node->server);
        if (propagate_offset(exec) != propagate_offset(server_exec(leader->server)) ||
            strcmp(exec->repl->id, server_exec(leader->server)->repl->id) != 0)
            return false;
        if (node != leader && exec->repl->replica->state != REPLICA_CONNECTED)
            return false;
    }
    return true;
}

static void tell_unsettled(struct world *world)
{
    struct buf text = {0};
    for (unsigned i = 0; i < WORLD_SERVERS; i++) {
        const struct node *node = &world->nodes[i];
        if (node->server == NULL)
            continue;
        const struct exec *exec = server_exec(node->server);
        buf_printf(&text, " %u: state %d%s, offset %" PRIu64 " of %.8s;", i, (int)exec->repl->replica->state,
                   node_is_valid(node) ? "" : ", not valid", propagate_offset(exec), exec->repl->id);
    }
    world_fail(world, "W5: they are not equal and connected long after the last fault:%s", buf_string(&text));
    buf_done(&text);
}

/* W5. Clients leave, those who wait for something are let go. */
static void make_peace(struct world *world)
{
    uint64_t until_ns = world->sim.now_ns + WORLD_PEACE_NS;
    faults_end(world);
    world->sim.change_one_in = 0;
    for (unsigned i = 0; i < WORLD_CLIENTS + WORLD_CAREFUL; i++)
        leave(&world->clients[i]);
    while (!is_settled(world) && !world->failure[0]) {
        roles_step(world, true);
        step(world, PEACE_STEP_US);
        if (world->sim.now_ns > until_ns)
            tell_unsettled(world);
    }
}

/* ---- Life ----------------------------------------------------------------------------------------- */

static void begin(struct world *world, const struct world_options *options)
{
    *world = (struct world){.seed = options->seed};
    sim_init(&world->sim, options->seed);
    world->sim.look_ns = 400;
    world->sim.change_one_in = options->change_one_in;
    world->calm = (unsigned)1 << rng_below(&world->sim.rng, 4);
    world->workload.flushes_all = rng_below(&world->sim.rng, 2);
    world->workload.value_max = rng_below(&world->sim.rng, 2) ? 3000 : 60000;
    for (unsigned i = 0; i < WORLD_SERVERS; i++) {
        char address[32];
        snprintf(address, sizeof address, "127.0.0.1:%u", 7000 + i);
        sim_host_init(&world->hosts[i], &world->sim, address);
    }
    for (unsigned i = 0; i < WORLD_SERVERS; i++) {
        struct node *node = &world->nodes[i];
        node->number = i;
        node->wanted = i == 0 ? -1 : 0;
        node->has_log = rng_below(&world->sim.rng, 3) == 0;
        node->has_safe_log = node->has_log && rng_below(&world->sim.rng, 2);
        sim_disk_init(&node->disk);
        node_start(world, node);
    }
    for (unsigned i = 0; i < WORLD_CLIENTS + WORLD_CAREFUL; i++)
        world->clients[i].number = i;
}

static void end(struct world *world)
{
    for (unsigned i = 0; i < WORLD_CLIENTS + WORLD_CAREFUL; i++) {
        leave(&world->clients[i]);
        buf_done(&world->clients[i].received);
    }
    for (unsigned i = 0; i < WORLD_SERVERS; i++) {
        if (world->nodes[i].server)
            node_kill(world, &world->nodes[i], false);
        sim_disk_done(&world->nodes[i].disk);
    }
    world->counts.compared = world->record.compared;
    state_record_done(&world->record);
}

bool world_run(const struct world_options *options, struct world *world)
{
    begin(world, options);
    for (unsigned i = 0; i < options->steps && !world->failure[0]; i++) {
        for (unsigned client = 0; client < WORLD_CLIENTS + WORLD_CAREFUL; client++)
            if (rng_below(&world->sim.rng, 3) == 0)
                send_something(world, &world->clients[client]);
        faults_step(world);
        roles_step(world, false);
        if (options->sabotage)
            options->sabotage(world);
        step(world, STEP_US);
    }
    make_peace(world);
    end(world);
    return !world->failure[0];
}
