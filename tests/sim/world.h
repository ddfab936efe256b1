/* Three servers that follow each other, clients that change everything, and faults, in one process under a seed.
 *
 * Principal entry points: world_run (one seed, from the beginning to the end).
 * What is checked after each step:
 *
 * W1  Servers at one position of one history hold the same (state.h): a server's history is what it calls by its id.
 * W2  When WAIT says that so many replicas have a write, so many other servers have had it.
 * W3  What WAIT has said to be at both replicas is at every server whose data are valid, for ever after, however roles change.
 * W4  Who goes on in a history that has branched off the one that it knows has nothing that came behind the branch.
 *
 * And at the end, when faults and clients have ended:
 *
 * W5  All are connected to one primary, at its position, within WORLD_PEACE_NS.
 *
 * Threads: one. */
#ifndef SKUA_TESTS_SIM_WORLD_H
#define SKUA_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "disk.h"
#include "network.h"
#include "state.h"
#include "workload.h"

#define WORLD_SERVERS      3
#define WORLD_CLIENTS      5   /* that change everything */
#define WORLD_CAREFUL      2   /* that wait for replicas */
#define WORLD_BRANCHES_MAX 256 /* more are not looked at */
#define WORLD_PEACE_NS     60000000000ull

struct worker_pool;

/* A server and its machine. */
struct node {
    unsigned number;
    struct server *server; /* NULL: it is down */
    struct worker_pool *workers;
    struct sim_disk disk;
    bool has_log;             /* appendonly yes */
    bool has_safe_log;        /* and appendfsync always */
    uint64_t paused_until_ns; /* it gets no processor */
    uint64_t down_until_ns;   /* while it is down */
    char id[41];              /* the history, the offset and how often it has gone on, when last looked at */
    uint64_t offset;
    uint64_t partial_syncs;
    uint64_t shown;               /* the digest that was shown last */
    int wanted;                   /* whom it is to follow, -1: nobody */
    uint64_t role_changes;        /* of it, or restarts */
    bool was_replica;             /* when last looked at */
    uint64_t seen[WORLD_CAREFUL]; /* the latest write of each careful client that it has ever had */
};

/* A history that begins in another one. */
struct world_branch {
    char id[41], parent[41];
    uint64_t offset; /* of the first bytes that the parent does not have, or somewhat more */
};

struct world_client {
    struct sim_peer peer; /* no link: its server was down */
    unsigned server;
    struct buf received;
    unsigned number;
    /* A careful client's request under way. */
    unsigned lines_due;
    bool was_set;
    uint64_t value;
    uint64_t role_changes; /* of the server, when it was sent */
};

struct world_counts {
    uint64_t cuts, cuts_while_syncing, stalls, pauses, restarts, power_losses, promotions, failovers, chains;
    uint64_t full_syncs, partial_syncs, compared, waits, commits;
};

struct world {
    uint64_t seed;
    struct sim sim;
    struct sim_host hosts[WORLD_SERVERS];
    struct node nodes[WORLD_SERVERS];
    struct world_client clients[WORLD_CLIENTS + WORLD_CAREFUL];
    struct workload workload;
    struct state_record record;
    struct world_branch branches[WORLD_BRANCHES_MAX];
    unsigned branch_count;
    unsigned leader;
    bool has_failover;                 /* the leader has been told to FAILOVER since it leads */
    unsigned calm;                     /* faults are so many times rarer */
    bool is_peaceful;                  /* no faults, no clients any more */
    uint64_t committed[WORLD_CAREFUL]; /* W3 */
    struct world_counts counts;
    uint64_t trace;    /* of all states: a seed repeats it */
    char failure[400]; /* the first broken rule; "": none yet */
};

struct world_options {
    uint64_t seed;
    unsigned steps;
    uint32_t change_one_in; /* mutant: see network.h */
    /* Mutant: called between two steps; may do to a server what no server may do. May be NULL. */
    void (*sabotage)(struct world *world);
};

/* Runs one seed. False: `failure` says which rule was broken. `ret_world` has the counts, and no servers any more. */
bool world_run(const struct world_options *options, struct world *ret_world);

/* ---- Between the files of it ------------------------------------------------------------------------- */

#define world_fail(world, ...)                                                                               \
    do {                                                                                                     \
        if (!(world)->failure[0])                                                                            \
            snprintf((world)->failure, sizeof(world)->failure, __VA_ARGS__);                                 \
    } while (0)

/* world_servers.c */
void node_start(struct world *world, struct node *node);
void node_kill(struct world *world, struct node *node, bool loses_power);
bool node_is_valid(const struct node *node); /* its data are those of a position of a history */
bool node_is_replica(const struct node *node);
void node_follow(struct world *world, struct node *node, unsigned number);
void node_lead(struct world *world, struct node *node);
void node_check(struct world *world, struct node *node);

/* world_faults.c */
void faults_step(struct world *world);
/* Has roles become what is wanted, some time; `at_once` in the next step. */
void roles_step(struct world *world, bool at_once);
void faults_end(struct world *world);

#endif
