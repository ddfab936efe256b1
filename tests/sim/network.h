/* A simulated network and clock: several servers and clients in one process, under a seed.
 *
 * Principal entry points: sim_init, sim_host_init, sim_connect, sim_step, sim_cut, peer_send, peer_receive, peer_cut.
 * Bytes arrive late, in pieces, and never if the connection is cut; sends are taken in pieces or not at all. Connections have nothing
 * to do with each other: what was sent later over one may arrive earlier than what was sent over another. Time moves only in sim_step,
 * and a little with each look at the clock where the test says so. The same seed gives the same run.
 *
 * A *host* is where a server runs: it has an address, and a transport by which its server connects to other hosts. A *peer* is a client's
 * end, which the test holds itself.
 * Threads: one. */
#ifndef SKUA_TESTS_SIM_NETWORK_H
#define SKUA_TESTS_SIM_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/rng.h"
#include "transport/transport.h"

#define SIM_HOSTS_MAX 4

struct log;
struct server;
struct sim_link;

struct sim {
    struct rng rng;
    struct clock clock;
    uint64_t now_ns;
    uint64_t look_ns;       /* what a look at the clock takes; 0: nothing */
    struct list_node links; /* that have a stream */
    unsigned host_count;
    /* Nothing arrives from one host at another before this time: a link that is broken or slow, in one direction. */
    uint64_t stalled_until_ns[SIM_HOSTS_MAX][SIM_HOSTS_MAX];
    /* Bytes that arrive there in one step at most; 0: any number. */
    size_t pace[SIM_HOSTS_MAX][SIM_HOSTS_MAX];
    /* mutant: of what arrives between hosts one byte in so many is another; 0: none */
    uint32_t change_one_in;
    uint64_t changed; /* so many were */
};

struct sim_host {
    struct transport transport; /* first member; for server_options */
    struct sim *sim;
    unsigned number;
    char address[32];      /* as transport_connect gets it */
    struct server *server; /* the test's to set; NULL: nobody listens there */
};

/* A client's end. */
struct sim_peer {
    struct sim_link *link; /* NULL after peer_cut */
};

void sim_init(struct sim *sim, uint64_t seed);

/* For a server of a simulation: SKUA_SIM_LOG=1 shows what it logs, else NULL. */
struct log *sim_open_log(void);

void sim_host_init(struct sim_host *host, struct sim *sim, const char *address);

/* A new connection to the server. */
void sim_connect(struct sim *sim, struct server *server, struct sim_peer *ret_peer);

/* Lets some bytes arrive, tells the servers' streams what they can do, and lets up to `us_max` pass. */
void sim_step(struct sim *sim, uint64_t us_max);

/* Cuts all connections between two hosts; returns how many. What has arrived may still be read, all else is lost. */
unsigned sim_cut(struct sim *sim, const struct sim_host *a, const struct sim_host *b);

void peer_send(struct sim_peer *peer, const void *bytes, size_t size);
/* Of what was sent, how many bytes the server has not taken yet. */
size_t peer_unsent(const struct sim_peer *peer);
/* Appends what has arrived. */
void peer_receive(struct sim_peer *peer, struct buf *bytes);
/* The server has closed its end and everything that it sent has been received. */
bool peer_is_closed(const struct sim_peer *peer);
/* The connection is gone for both, with everything that was under way. */
void peer_cut(struct sim_peer *peer);

#endif
