/* Clients that wait for keys (BLPOP and its relatives): who waits for which key of which database to hold which type.
 *
 * Principal entry points: block_wait, block_key_ready, block_serve_ready.
 * A command that finds nothing calls block_wait. Whatever makes a key appear, or gives it more of what is waited for,
 * calls block_key_ready: call_store does so for every key that is created or gets another value. After the command, or
 * the whole transaction, block_serve_ready lets those who wait for the keys that became ready try
 * again: keys in the order in which they became ready, the clients of a key in the order in which they came.
 * Serving one may make further keys ready (BLMOVE): they are served in the same step.
 * Threads: executor only.
 *
 * A waited key is a triple of database (its number, SWAPDB does not move it), type and name. Its states:
 *
 * | from    | to      | by                                                                    |
 * |---------|---------|-----------------------------------------------------------------------|
 * | -       | idle    | block_wait: the first client waits                                    |
 * | idle    | ready   | block_key_ready, block_db_swapped                                     |
 * | ready   | serving | block_serve_ready, when its turn has come                             |
 * | serving | ready   | block_key_ready                                                       |
 * | serving | idle    | block_serve_ready, with some clients left                             |
 * | any     | gone    | its last client leaves (served, timeout, unblocked, gone); while it   |
 * |         |         | is being served, as soon as that is over                              |
 *
 * B1  A key is in the table while at least one client waits for it, or while it is being served.
 * B2  A client waits for each of its keys once, however often it named it; `waiters` is in the order of arrival.
 * B3  A client that waits for keys is CLIENT_BLOCKED and has its `key_wait`; no other client has one.
 * B4  Between two commands no key is ready. With nobody waiting, a change costs one comparison.
 * B5  A push looks at as many clients as it serves, and one more: those who wait for another type are not looked at.
 * B6  A key that is gone concerns only those who said that they hear of loss (XREADGROUP: its group is gone, too).
 *     loss_waiters of a key counts them among its waiters, that of the table all of them. */
#ifndef SKUA_EXEC_BLOCK_H
#define SKUA_EXEC_BLOCK_H

#include <stdbool.h>

#include "ds/table.h"
#include "exec/client.h"
#include "keyspace/keyspace.h"

struct call;

struct block_table {
    struct exec *exec;
    struct table keys;      /* struct waited_key */
    uint32_t loss_waiters;  /* how many of the waiters hear of loss */
    struct list_node ready; /* struct waited_key, in the order of becoming so */
};

/* Tries again for a client, now that `name`, one of its keys, holds its type: true when it has answered (also with an
 * error), false when it goes on waiting. `call` has the command's arguments as they were; `details` is a copy of those
 * of the request. It must not close or unblock any client. */
typedef bool block_serve_fn(struct call *call, struct slice name, const void *details);

struct block_request {
    const struct slice *keys; /* among the call's arguments */
    uint32_t key_count;
    enum entry_type type;
    uint64_t deadline_ns; /* as of client_block */
    block_serve_fn *serve;
    bool hears_of_loss;  /* `serve` is also called when a key does not hold the type any more */
    const void *details; /* copied; NULL: none */
    size_t details_size;
};

struct block_table *block_table_new(struct exec *exec);
void block_table_free(struct block_table *block);

/* Makes the call's client wait for any of the keys. After the deadline, or CLIENT UNBLOCK, it is answered with a null
 * array. When memory is refused the call is answered with that error, and nobody waits. */
void block_wait(struct call *call, const struct block_request *request);

void block_key_ready_slow(struct block_table *block, const struct db *db, enum entry_type type,
                          struct slice name, uint64_t hash);

/* A key that holds this type has appeared, or has more to give than before. `hash`: keyspace_hash of the name. Serves
 * nobody yet. */
static inline void block_key_ready(struct block_table *block, const struct db *db, enum entry_type type,
                                   struct slice name, uint64_t hash)
{
    if (unlikely(table_size(&block->keys) != 0))
        block_key_ready_slow(block, db, type, name, hash);
}

/* A key that held this type is going, or is going to hold another one: those of its waiters who hear of loss are to try
 * again. Serves nobody yet. */
static inline void block_key_lost(struct block_table *block, const struct db *db, enum entry_type type,
                                  struct slice name, uint64_t hash)
{
    if (unlikely(block->loss_waiters != 0))
        block_key_ready_slow(block, db, type, name, hash);
}

/* The same for every key of a database. */
void block_db_lost(struct block_table *block, const struct db *db);

/* After the contents of two databases have been exchanged: looks at every key that is waited for in either. */
void block_db_swapped(struct block_table *block, const struct db *a, const struct db *b);

/* Looks again at every key that is waited for: keys that were held have been released (exec/hold.h). */
void block_look_again(struct block_table *block);

void block_serve_ready_slow(struct block_table *block);

/* Between two commands of clients: serves those whose keys have become ready. */
static inline void block_serve_ready(struct block_table *block)
{
    if (unlikely(!list_is_empty(&block->ready)))
        block_serve_ready_slow(block);
}

/* How many keys are waited for; *ret_loss: those of them where somebody hears of loss. A walk over all of them. */
uint64_t block_key_count(const struct block_table *block, uint64_t *ret_loss);

/* Asserts B1 to B4 and B6. For tests, between two commands. */
void block_check(const struct block_table *block);

#endif
