/* One request: from checks to reply. Internal to exec/. Executor only. */
#ifndef SKUA_EXEC_DISPATCH_H
#define SKUA_EXEC_DISPATCH_H

#include "exec/client.h"
#include "exec/exec.h"
#include "exec/request.h"

/* Checks and executes (or queues, or makes wait) a request of the client. Afterwards CLIENT_PAUSED says that it
 * must be executed again later. */
void dispatch_request(struct client *client, struct run *run, const struct request *request);

/* Deletes a key that is past its time, or takes such fields out of a hash, with everything that belongs to it (event,
 * watchers, statistics). */
void dispatch_expire_key(struct exec *exec, struct db *db, struct slice key, uint64_t hash);

/* For the table of clients. */
static inline uint64_t dispatch_hash_id(uint64_t id)
{
    uint64_t hash = id * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

static inline bool dispatch_client_id_equal(const void *item, const void *key)
{
    return ((const struct client *)item)->id == *(const uint64_t *)key;
}

/* ---- client.c -------------------------------------------------------------------------------------- */

/* The client's reply will be looked at by exec_flush_output. */
void client_mark_dirty(struct client *client);

/* Moves what was pushed to the client during its own request behind the reply: no reply mode drops it. */
void client_take_deferred(struct client *client);

/* Makes the client wait for the end of CLIENT PAUSE. */
void client_pause(struct client *client);

/* Ends the waiting of every client whose time has come, and CLIENT PAUSE's. */
void client_end_due_blocks(struct exec *exec);

/* The client is going: ends its waiting without a reply. */
void client_forget_block(struct client *client);

#endif
