/* Faults and roles. See world.h. */
#include <stdio.h>

#include "base/bug.h"
#include "base/macros.h"
#include "exec/exec.h"
#include "repl/failover.h"
#include "repl/repl.h"
#include "repl/replica.h"
#include "server/server.h"
#include "world.h"

#define SECOND_NS 1000000000ull

static struct repl *repl_of(const struct node *node)
{
    return server_exec(node->server)->repl;
}

static struct node *random_node(struct world *world)
{
    return &world->nodes[rng_below(&world->sim.rng, WORLD_SERVERS)];
}

static struct node *other_node(struct world *world, const struct node *node)
{
    uint64_t step = 1 + rng_below(&world->sim.rng, WORLD_SERVERS - 1);
    return &world->nodes[(node->number + step) % WORLD_SERVERS];
}

static bool is_syncing(const struct node *node)
{
    if (node->server == NULL)
        return false;
    enum replica_state state = repl_of(node)->replica->state;
    return state == REPLICA_RECEIVING || state == REPLICA_LOADING;
}

/* ---- The network ---------------------------------------------------------------------------------- */

static void cut(struct world *world)
{
    struct node *node = random_node(world);
    const struct node *other = other_node(world, node);
    unsigned count = sim_cut(&world->sim, &world->hosts[node->number], &world->hosts[other->number]);
    world->counts.cuts += count;
    world->counts.cuts_while_syncing += count > 0 && (is_syncing(node) || is_syncing(other));
}

/* Nothing arrives for a while, in one direction or in both: sometimes longer than repl-timeout. */
static void stall(struct world *world)
{
    struct rng *rng = &world->sim.rng;
    struct node *node = random_node(world);
    const struct node *other = other_node(world, node);
    uint64_t until = world->sim.now_ns + rng_below(rng, (rng_below(rng, 4) ? 1 : 8) * SECOND_NS);
    world->sim.stalled_until_ns[node->number][other->number] = until;
    if (rng_below(rng, 2))
        world->sim.stalled_until_ns[other->number][node->number] = until;
    world->counts.stalls++;
}

static void slow_down(struct world *world)
{
    static const size_t paces[] = {0, 0, 100, 1000, 5000};
    struct node *node = random_node(world);
    const struct node *other = other_node(world, node);
    world->sim.pace[node->number][other->number] = paces[rng_below(&world->sim.rng, ARRAY_COUNT(paces))];
}

/* ---- Servers -------------------------------------------------------------------------------------- */

static void pause_node(struct world *world)
{
    random_node(world)->paused_until_ns = world->sim.now_ns + rng_below(&world->sim.rng, 3 * SECOND_NS);
    world->counts.pauses++;
}

/* A primary comes back as one only if what it has promised is on its disk. */
static void kill_node(struct world *world)
{
    struct rng *rng = &world->sim.rng;
    struct node *node = random_node(world);
    bool leads = node->number == world->leader || !node_is_replica(node);
    if (node->server == NULL || (leads && !node->has_safe_log))
        return;
    bool loses_power = rng_below(rng, 2);
    node_kill(world, node, loses_power);
    node->down_until_ns = world->sim.now_ns + rng_below(rng, 3 * SECOND_NS);
    world->counts.restarts++;
    world->counts.power_losses += loses_power;
}

static void start_again(struct world *world)
{
    for (unsigned i = 0; i < WORLD_SERVERS; i++) {
        struct node *node = &world->nodes[i];
        if (node->server == NULL && world->sim.now_ns >= node->down_until_ns)
            node_start(world, node);
    }
}

/* ---- Roles ---------------------------------------------------------------------------------------- */

static void set_leader(struct world *world, unsigned number)
{
    world->leader = number;
    for (unsigned i = 0; i < WORLD_SERVERS; i++)
        world->nodes[i].wanted = i == number ? -1 : (int)number;
}

/* As Sentinel does: a replica that has data becomes a primary, the others are to follow it by and by. */
static void promote(struct world *world)
{
    struct node *node = random_node(world);
    if (!node_is_replica(node) || !node_is_valid(node) || repl_of(node)->failover->state != FAILOVER_NONE)
        return;
    set_leader(world, node->number);
    world->has_failover = false;
    node_lead(world, node);
    world->counts.promotions++;
}

static void fail_over(struct world *world)
{
    struct rng *rng = &world->sim.rng;
    struct node *leader = &world->nodes[world->leader];
    const struct node *target = other_node(world, leader);
    struct failover_options options = {.timeout_ms = 100 + (int64_t)rng_below(rng, 5000)};
    if (leader->server == NULL || node_is_replica(leader))
        return;
    if (rng_below(rng, 2)) {
        options.host = "127.0.0.1";
        options.port = 7000 + (int64_t)target->number;
        options.force = rng_below(rng, 3) == 0;
    }
    if (failover_begin(repl_of(leader)->failover, &options) == NULL) /* or nobody is there to take over */
        world->has_failover = true;
}

/* A replica follows another replica. */
static void chain(struct world *world)
{
    struct node *node = other_node(world, &world->nodes[world->leader]);
    for (unsigned i = 0; i < WORLD_SERVERS; i++)
        if (i != node->number && i != world->leader && world->nodes[i].wanted == (int)world->leader) {
            node->wanted = (int)i;
            world->counts.chains++;
        }
}

static void unchain(struct world *world)
{
    set_leader(world, world->leader);
}

/* What a FAILOVER has made of the leader: the server that it follows leads. A leader that has not become a primary yet follows
 * somebody as well. */
static void accept_failover(struct world *world)
{
    const struct node *leader = &world->nodes[world->leader];
    if (leader->server == NULL || !node_is_replica(leader) || !world->has_failover ||
        repl_of(leader)->failover->state != FAILOVER_NONE)
        return;
    set_leader(world, repl_of(leader)->replica->port - 7000u);
    world->has_failover = false;
    world->counts.failovers++;
}

/* The leader hands its role over: who gets it is not known yet, so nobody is told whom to follow. */
static bool is_switching(const struct world *world)
{
    const struct node *leader = &world->nodes[world->leader];
    return leader->server && repl_of(leader)->failover->state == FAILOVER_SWITCHING;
}

static void correct_role(struct world *world, struct node *node)
{
    struct repl *repl = repl_of(node);
    if (node->wanted < 0 && node_is_replica(node)) {
        if (node_is_valid(node))
            node_lead(world, node);
    } else if (node->wanted >= 0 &&
               (!node_is_replica(node) || repl->replica->port != 7000 + (unsigned)node->wanted)) {
        node_follow(world, node, (unsigned)node->wanted);
    }
}

void roles_step(struct world *world, bool at_once)
{
    struct rng *rng = &world->sim.rng;
    start_again(world);
    accept_failover(world);
    for (unsigned i = 0; i < WORLD_SERVERS; i++) {
        struct node *node = &world->nodes[i];
        if (node->server == NULL)
            continue;
        if (repl_of(node)->failover->state != FAILOVER_NONE) {
            if (at_once || rng_below(rng, 1000) == 0)
                failover_abort(repl_of(node)->failover);
        } else if ((at_once || rng_below(rng, 100) == 0) && !is_switching(world)) {
            correct_role(world, node);
        }
    }
}

/* ---- Steps ---------------------------------------------------------------------------------------- */

static const struct {
    void (*happen)(struct world *world);
    unsigned one_in; /* steps */
} faults[] = {
    {cut, 60},      {stall, 200},     {slow_down, 200}, {pause_node, 300}, {kill_node, 500},
    {promote, 600}, {fail_over, 200}, {chain, 500},     {unchain, 500},
};

void faults_step(struct world *world)
{
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++)
        if (rng_below(&world->sim.rng, (uint64_t)faults[i].one_in * world->calm) == 0)
            faults[i].happen(world);
}

void faults_end(struct world *world)
{
    for (unsigned a = 0; a < WORLD_SERVERS; a++) {
        world->nodes[a].paused_until_ns = world->nodes[a].down_until_ns = 0;
        for (unsigned b = 0; b < WORLD_SERVERS; b++) {
            world->sim.stalled_until_ns[a][b] = 0;
            world->sim.pace[a][b] = 0;
        }
    }
    unchain(world);
}
