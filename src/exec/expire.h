/* What is past its time goes: a key, or fields of a hash, with everything that belongs to that (event, watchers, statistics, the
 * log).
 *
 * Principal entry points: expire_key, expire_local.
 * Who finds out: lookups (call.c), active expiry (exec.c, upkeep), and what a replica remembers of its own keys (local_keys.c).
 * Threads: executor only. */
#ifndef SKUA_EXEC_EXPIRE_H
#define SKUA_EXEC_EXPIRE_H

#include <stdint.h>

#include "base/slice.h"

struct db;
struct exec;

/* Deletes a key that is past its time, or takes such fields out of a hash. A key that a long command holds stays as it is, and on a
 * replica everything does. */
void expire_key(struct exec *exec, struct db *db, struct slice key, uint64_t hash);

/* The same on a replica, where a client writes or has written. */
void expire_local(struct exec *exec, struct db *db, struct slice key, uint64_t hash);

#endif
