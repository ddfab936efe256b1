/* The servers of a world: start, end, roles, and what is checked of them. See world.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/exec.h"
#include "persist/persist.h"
#include "repl/primary.h"
#include "repl/repl.h"
#include "repl/replica.h"
#include "server/server.h"
#include "world.h"

#define PORT_BASE 7000u

static struct exec *exec_of(const struct node *node)
{
    return server_exec(node->server);
}

/* ---- Start and end -------------------------------------------------------------------------------- */

/* What belongs to the machine stays through restarts, the rest is chance each time. */
static struct config *make_config(struct world *world, const struct node *node)
{
    struct rng *rng = &world->sim.rng;
    struct config *config = config_new();
    struct buf text = {0}, error = {0};
    static const char *const backlogs[] = {"16kb", "64kb", "1mb"};
    buf_printf(&text,
               "port %u\nreplica-announce-ip 127.0.0.1\ndatabases %u\nsave \"\"\nrepl-timeout 4\n"
               "repl-ping-replica-period 1\nrepl-diskless-sync-delay %u\nrepl-backlog-size %s\nslice-us %u\n"
               "repl-diskless-sync %s\nrepl-diskless-load %s\nappendonly %s\nappendfsync %s\n"
               "auto-aof-rewrite-min-size 30kb\nrdbcompression %s\n",
               PORT_BASE + node->number, WORKLOAD_DBS + 1, (unsigned)rng_below(rng, 2),
               backlogs[rng_below(rng, 3)], rng_below(rng, 2) ? 1u : 200u, rng_below(rng, 3) ? "yes" : "no",
               rng_below(rng, 2) ? "disabled" : "on-empty-db", node->has_log ? "yes" : "no",
               node->has_safe_log ? "always" : "everysec", rng_below(rng, 2) ? "yes" : "no");
    if (node->wanted >= 0)
        buf_printf(&text, "replicaof 127.0.0.1 %u\n", PORT_BASE + (unsigned)node->wanted);
    enum status status = config_load_text(config, buf_slice(&text), "simulation", &error);
    if (status != ST_OK)
        BUG("%s", buf_string(&error));
    buf_done(&text);
    buf_done(&error);
    return config;
}

void node_start(struct world *world, struct node *node)
{
    struct buf error = {0};
    struct sim_host *host = &world->hosts[node->number];
    node->workers = worker_pool_new_stepped();
    struct server_options options = {.config = make_config(world, node),
                                     .clock = &world->sim.clock,
                                     .simulated = true,
                                     .seed = rng_next(&world->sim.rng),
                                     .transport = &host->transport,
                                     .workers = node->workers,
                                     .files = &node->disk.system,
                                     .log = sim_open_log()};
    if (server_new(&options, &node->server, &error) != ST_OK)
        BUG("%s", buf_string(&error));
    buf_done(&error);
    host->server = node->server;
    node->role_changes++;
    node->was_replica = node->wanted >= 0;
    node->id[0] = 0;
    node->partial_syncs = 0;
}

static void note_counts(struct world *world, const struct node *node)
{
    const struct primary *primary = exec_of(node)->repl->primary;
    world->counts.full_syncs += primary->full_syncs;
    world->counts.partial_syncs += primary->partial_syncs;
}

void node_kill(struct world *world, struct node *node, bool loses_power)
{
    note_counts(world, node);
    sim_disk_freeze(&node->disk);
    world->hosts[node->number].server = NULL;
    server_free(node->server);
    node->server = NULL;
    node->workers = NULL;
    sim_disk_thaw(&node->disk);
    if (loses_power)
        sim_disk_lose_power(&node->disk, &world->sim.rng);
}

/* ---- Roles ---------------------------------------------------------------------------------------- */

bool node_is_replica(const struct node *node)
{
    return node->server && replica_is_on(exec_of(node)->repl->replica);
}

bool node_is_valid(const struct node *node)
{
    if (node->server == NULL || exec_of(node)->hindrances & EXEC_LOADING)
        return false;
    const struct exec *exec = exec_of(node);
    const struct replica *replica = exec->repl->replica;
    if (replica_is_on(replica))
        return replica->has_history && !replica->load && !replica->loading;
    return exec->propagate.needs & PROPAGATE_BACKLOG &&
           exec->repl->primary->id_generation == exec->propagate.generation;
}

void node_follow(struct world *world, struct node *node, unsigned number)
{
    ASSERT(number != node->number);
    replica_follow(exec_of(node)->repl->replica, "127.0.0.1", (uint16_t)(PORT_BASE + number));
}

void node_lead(struct world *world, struct node *node)
{
    replica_stop(exec_of(node)->repl->replica);
}

/* ---- Checks --------------------------------------------------------------------------------------- */

/* The latest write of a careful client that is there; 0: none. */
static uint64_t careful_value(const struct exec *exec, unsigned client)
{
    struct table_position position;
    entry_scratch scratch;
    static const char *const names[WORLD_CAREFUL] = {"w0", "w1"};
    struct db *db = &exec->keyspace->dbs[WORKLOAD_DBS];
    struct slice key = slice_from_string(names[client]);
    const struct entry *entry = db_locate(db, key, keyspace_hash(exec->keyspace, key), &position);
    uint64_t value;
    return entry && num_parse_u64(entry_string(entry, scratch), &value) ? value : 0;
}

static void check_careful(struct world *world, struct node *node)
{
    for (unsigned i = 0; i < WORLD_CAREFUL; i++) {
        uint64_t value = careful_value(exec_of(node), i);
        node->seen[i] = value > node->seen[i] ? value : node->seen[i];
        if (value < world->committed[i] && node_is_valid(node))
            world_fail(world,
                       "W3: server %u has write %" PRIu64 " of client %u, and %" PRIu64
                       " was at both replicas",
                       node->number, value, i, world->committed[i]);
    }
}

/* SKUA_SIM_OFFSET=number: what servers hold at that offset is shown. */
static void show_state(struct node *node, uint64_t offset, uint64_t digest)
{
    const char *wanted = getenv("SKUA_SIM_OFFSET");
    struct buf text = {0};
    if (wanted == NULL || strtoull(wanted, NULL, 10) != offset || node->shown == digest)
        return;
    node->shown = digest;
    state_describe(exec_of(node)->keyspace, &text);
    printf("server %u at %" PRIu64 " of %s:\n%s", node->number, offset, exec_of(node)->repl->id,
           buf_string(&text));
    fflush(stdout);
    buf_done(&text);
}

/* W4 */
static void check_branch(struct world *world, const struct node *node, const struct exec *exec)
{
    for (unsigned i = 0; i < world->branch_count; i++) {
        const struct world_branch *branch = &world->branches[i];
        if (strcmp(branch->id, exec->repl->id) == 0 && strcmp(branch->parent, node->id) == 0 &&
            node->offset > branch->offset)
            world_fail(world,
                       "W4: server %u was let go on from offset %" PRIu64
                       ", and history %s branches off at %" PRIu64,
                       node->number, node->offset, branch->id, branch->offset);
    }
}

static void note_history(struct world *world, struct node *node, const struct exec *exec)
{
    const struct repl *repl = exec->repl;
    bool is_another = strcmp(repl->id, node->id) != 0;
    uint64_t partial_syncs = repl->replica->partial_syncs;
    if (is_another && !node_is_replica(node) && node->id[0] && world->branch_count < WORLD_BRANCHES_MAX) {
        struct world_branch *branch = &world->branches[world->branch_count++];
        memcpy(branch->id, repl->id, sizeof branch->id);
        memcpy(branch->parent, node->id, sizeof branch->parent);
        branch->offset = propagate_offset(exec);
    }
    if (is_another && partial_syncs != node->partial_syncs)
        check_branch(world, node, exec);
    memcpy(node->id, repl->id, sizeof node->id);
    node->offset = propagate_offset(exec);
    node->partial_syncs = partial_syncs;
}

void node_check(struct world *world, struct node *node)
{
    const struct exec *exec = exec_of(node);
    bool is_replica = node_is_replica(node);
    node->role_changes += is_replica != node->was_replica;
    node->was_replica = is_replica;
    check_careful(world, node);
    if (!node_is_valid(node))
        return;
    note_history(world, node, exec);
    uint64_t offset = propagate_offset(exec);
    uint64_t digest = state_digest(exec->keyspace);
    show_state(node, offset, digest);
    world->trace = world->trace * 31 + digest + offset;
    if (!state_record_check(&world->record, node->number, exec->repl->id, offset, digest))
        world_fail(world, "W1: server %u, a %s, holds something else at offset %" PRIu64 " of history %s",
                   node->number, is_replica ? "replica" : "primary", offset, exec->repl->id);
}
