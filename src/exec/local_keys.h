/* Keys that clients have written on a replica that accepts writes (replica-read-only no), as far as they have a time to live: nobody else says when
 * they go.
 *
 * Principal entry points: local_keys_set_on, local_keys_note, local_keys_step.
 * L1  While exec->local_keys is there, each key that a client has changed is in it by name; those without a time to live go with the next step
 *     that comes to them. What the primary changes is not noted; a key of the same name goes all the same, as in Redis.
 * L2  What is written locally stands in no log: other replicas and the append-only file do not have it, snapshots do.
 *
 * Threads: executor. */
#ifndef SKUA_EXEC_LOCAL_KEYS_H
#define SKUA_EXEC_LOCAL_KEYS_H

#include <stdbool.h>

#include "base/slice.h"

struct db;
struct exec;

/* This server is a replica that accepts writes, or not any more. */
void local_keys_set_on(struct exec *exec, bool is_on);

/* The key has changed. Nothing happens when that came from the primary, or exec->local_keys is NULL. */
void local_keys_note(struct exec *exec, const struct db *db, struct slice key);

/* Has those go whose time has come. Often. */
void local_keys_step(struct exec *exec);

/* The data are others from now on. */
void local_keys_forget(struct exec *exec);

#endif
