/* Direct reads: commands that an I/O thread answers from the keyspace itself. Decision 009 has the rules.
 *
 * Principal entry points: direct_fn (what a command provides: cmd/direct_*.c); exec_update_gate, client_update_direct
 * (executor); io/direct.c calls the functions.
 * A command declares `direct = true` (commands/<family>.toml), and a function `direct_<name>` answers its plain cases. All else is
 * left to the executor: wrong arguments, wrong types, expired keys, anything that is not plainly there to be read.
 * Threads: said at each function. */
#ifndef SKUA_EXEC_DIRECT_H
#define SKUA_EXEC_DIRECT_H

#include <stdbool.h>
#include <stdint.h>

#include "exec/direct_outcome.h"
#include "exec/request.h"
#include "keyspace/shared.h"
#include "protocol/reply.h"

/* conn_shared.direct: 0: the executor answers everything. Else DIRECT_MAY_READ and what the reads need to know (D8). */
#define DIRECT_MAY_READ 1u
#define DIRECT_RESP3    2u
#define DIRECT_DB_SHIFT 8 /* the database's number from here on */

/* One read. Owner: the I/O thread, inside a section. */
struct direct {
    const struct shared_read *read;
    uint32_t db;
    struct reply *out;
    int64_t now_ms; /* wall time; 0: not read yet (direct_now_ms) */
    const struct clock *clock;
    uint32_t hits, misses; /* of keys; count when the section ends well */
    uint32_t *seed;        /* for access clocks */
};

#endif
