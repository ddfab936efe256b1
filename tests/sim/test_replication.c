/* Primaries and replicas under faults: world.h says what is checked.
 *
 * SKUA_SEED=n runs this seed alone, and tells of it; SKUA_SEEDS=n runs so many, from 1 on (60). A failure names its seed. To see more of
 * it: SKUA_SIM_LOG=1 shows what the servers log, SKUA_SIM_OFFSET=n what they hold at an offset. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "exec/exec.h"
#include "repl/primary.h"
#include "repl/repl.h"
#include "repl/replica.h"
#include "server/server.h"
#include "world.h"

#define STEPS        4000
#define MUTANT_SEEDS 20
#ifdef SKUA_DEBUG
#define SEEDS_DEFAULT 10 /* as a rule with sanitizers, too */
#else
#define SEEDS_DEFAULT 60
#endif

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void tell(const struct world *world)
{
    const struct world_counts *counts = &world->counts;
    printf("seed %" PRIu64 ": %" PRIu64 " cuts, %" PRIu64 " of them while syncing, %" PRIu64
           " stalls, %" PRIu64 " pauses, %" PRIu64 " restarts, %" PRIu64 " losses of power, %" PRIu64
           " promotions, %" PRIu64 " failovers, %" PRIu64 " chains; %" PRIu64 " full and %" PRIu64
           " partial syncs, %" PRIu64 " positions compared, %" PRIu64 " waits, %" PRIu64
           " commits; trace %016" PRIx64 "\n",
           world->seed, counts->cuts, counts->cuts_while_syncing, counts->stalls, counts->pauses,
           counts->restarts, counts->power_losses, counts->promotions, counts->failovers, counts->chains,
           counts->full_syncs, counts->partial_syncs, counts->compared, counts->waits, counts->commits,
           world->trace);
}

static void add(struct world_counts *sum, const struct world_counts *counts)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)counts;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        to[i] += from[i];
}

static void run_seed(uint64_t seed, struct world_counts *sum)
{
    static struct world world;
    struct world_options options = {.seed = seed, .steps = STEPS};
    bool is_right = world_run(&options, &world);
    if (!is_right || getenv("SKUA_SEED"))
        tell(&world);
    add(sum, &world.counts);
    if (!is_right)
        fail_msg("seed %" PRIu64 ": %s (SKUA_SEED=%" PRIu64 " repeats it)", seed, world.failure, seed);
}

static void equal_positions_hold_equal_states(void **state)
{
    struct world_counts sum = {0};
    uint64_t seeds = number_of("SKUA_SEEDS", SEEDS_DEFAULT);
    if (getenv("SKUA_SEED")) {
        run_seed(number_of("SKUA_SEED", 1), &sum);
        return;
    }
    for (uint64_t seed = 1; seed <= seeds; seed++)
        run_seed(seed, &sum);
    struct world all = {.counts = sum};
    tell(&all);
    /* Otherwise it would prove little. */
    assert_true(sum.compared > 20 * seeds);
    assert_true(sum.cuts_while_syncing > 0 && sum.restarts > 0 && sum.promotions > 0 && sum.failovers > 0);
    assert_true(sum.partial_syncs > seeds && sum.full_syncs > seeds && sum.waits > seeds && sum.commits > 0);
}

/* ---- Mutants: faults of a server that must be noticed ----------------------------------------------- */

static struct repl *repl_of(const struct node *node)
{
    return node->server ? server_exec(node->server)->repl : NULL;
}

static struct node *random_node(struct world *world)
{
    return &world->nodes[rng_below(&world->sim.rng, WORLD_SERVERS)];
}

/* A replica loses a key. */
static void lose_key(struct world *world)
{
    struct node *node = random_node(world);
    if (rng_below(&world->sim.rng, 50) || !node_is_replica(node) || !node_is_valid(node))
        return;
    struct exec *exec = server_exec(node->server);
    struct db *db = &exec->keyspace->dbs[0];
    const struct entry *entry = db_random(db);
    struct table_position position;
    if (entry == NULL || !list_is_empty(&db->walks))
        return;
    struct slice key = entry_key(entry);
    if (db_locate(db, key, keyspace_hash(exec->keyspace, key), &position))
        db_remove(db, &position);
}

/* A server that has become a primary lets everybody go on who knows the history before. */
static void trust_second_id(struct world *world)
{
    for (unsigned i = 0; i < WORLD_SERVERS; i++) {
        struct repl *repl = repl_of(&world->nodes[i]);
        if (repl && repl->second_offset >= 0)
            repl->second_offset = INT64_MAX;
    }
}

/* A server that has become a primary keeps the name of the history. */
static void keep_id(struct world *world)
{
    for (unsigned i = 0; i < WORLD_SERVERS; i++) {
        struct repl *repl = repl_of(&world->nodes[i]);
        if (repl && !repl->is_replica && repl->second_offset >= 0)
            memcpy(repl->id, repl->second_id, sizeof repl->id);
    }
}

/* A replica forgets which database is selected when its link breaks. */
static void forget_database(struct world *world)
{
    for (unsigned i = 0; i < WORLD_SERVERS; i++) {
        const struct repl *repl = repl_of(&world->nodes[i]);
        if (repl && repl->replica->state == REPLICA_HANDSHAKE)
            repl->replica->db = 0;
    }
}

/* A primary takes what it has sent for what its replicas have. */
static void believe_in_acks(struct world *world)
{
    for (unsigned i = 0; i < WORLD_SERVERS; i++) {
        struct repl *repl = repl_of(&world->nodes[i]);
        if (repl == NULL)
            continue;
        list_for_each(&repl->primary->followers, node)
        {
            struct follower *follower = list_entry(node, struct follower, node);
            follower->acked = propagate_offset(repl->exec);
        }
    }
}

static void mutants_are_noticed(void **state)
{
    static const struct {
        const char *name;
        void (*sabotage)(struct world *world);
        uint32_t change_one_in;
    } mutants[] = {
        {"a replica loses a key", lose_key, 0},
        {"the second id is good for everything", trust_second_id, 0},
        {"a new primary keeps the id", keep_id, 0},
        {"the selected database is forgotten", forget_database, 0},
        {"what was sent counts as acknowledged", believe_in_acks, 0},
        {"a byte is another", NULL, 20000},
    };
    static struct world world;
    for (size_t i = 0; i < ARRAY_COUNT(mutants); i++) {
        unsigned seed = 0;
        bool is_noticed = false;
        while (!is_noticed && ++seed <= MUTANT_SEEDS) {
            struct world_options options = {.seed = seed,
                                            .steps = STEPS,
                                            .change_one_in = mutants[i].change_one_in,
                                            .sabotage = mutants[i].sabotage};
            is_noticed = !world_run(&options, &world);
        }
        printf("%s: seed %u, %s\n", mutants[i].name, seed, is_noticed ? world.failure : "not noticed");
        assert_true(is_noticed);
    }
}

static void a_seed_repeats_a_run(void **state)
{
    static struct world world;
    struct world_options options = {.seed = 4711, .steps = STEPS / 4};
    assert_true(world_run(&options, &world));
    uint64_t first = world.trace;
    assert_true(world_run(&options, &world));
    assert_true(first == world.trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_positions_hold_equal_states),
        cmocka_unit_test(mutants_are_noticed),
        cmocka_unit_test(a_seed_repeats_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
