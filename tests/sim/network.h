/* A simulated network and clock: several servers and clients in one process, under a seed.
 *
 * Principal entry points: sim_init, sim_connect, sim_step, peer_send, peer_receive, peer_cut.
 * Bytes arrive late, in pieces, and never if the connection is cut; the server's sends are taken in pieces or not
 * at all. Time moves only in sim_step. The same seed gives the same run.
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

struct server;

struct sim {
    struct rng rng;
    struct clock clock;
    uint64_t now_ns;
    struct list_node streams; /* the servers' ends */
};

/* One direction of a connection. */
struct sim_pipe {
    struct buf bytes; /* written and not read yet */
    size_t arrived;   /* of these, how many the reader may see */
    bool closed;      /* the writer will write no more */
};

/* A client's end. */
struct sim_peer {
    struct sim_link *link; /* NULL after peer_cut, or when the server has closed */
};

void sim_init(struct sim *sim, uint64_t seed);

/* A new connection to the server. */
void sim_connect(struct sim *sim, struct server *server, struct sim_peer *ret_peer);

/* Lets some bytes arrive, tells the servers' streams what they can do, and lets up to `us_max` pass. */
void sim_step(struct sim *sim, uint64_t us_max);

void peer_send(struct sim_peer *peer, const void *bytes, size_t size);
/* Appends what has arrived. */
void peer_receive(struct sim_peer *peer, struct buf *bytes);
/* The server has closed its end and everything that it sent has been received. */
bool peer_is_closed(const struct sim_peer *peer);
/* The connection is gone for both, with everything that was under way. */
void peer_cut(struct sim_peer *peer);

#endif
