/* A keyspace as a server has it, and the executor's part that replays logs into it; without connections, clocks that go on, or
 * anything that happens by itself.
 *
 * Principal entry points: state_init, state_done.
 * Threads: one. */
#ifndef SKUA_CHECK_STATE_H
#define SKUA_CHECK_STATE_H

#include "base/chunk.h"
#include "base/clock.h"
#include "rdb/decode.h"

struct config;
struct exec;

struct state {
    struct clock clock;
    struct chunk_pool chunks;
    struct config *config; /* the defaults, but for the number of databases */
    struct exec *exec;
    struct keyspace *keyspace; /* the executor's */
    struct rdb_limits limits;
};

#define STATE_DATABASES 10000 /* as many as a server can have */

void state_init(struct state *state, unsigned databases);
void state_done(struct state *state);

#endif
