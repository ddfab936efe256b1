/* A client: the executor's half of a connection.
 *
 * Principal entry points: client_lookup, client_close, client_block, client_unblock, client_describe.
 * Threads: executor only. The other half (struct conn, io/) belongs to its I/O thread.
 *
 * State of a client:
 *
 *     open ──run──> running ──all requests done──> open
 *                     │  ▲
 *          client_block  client_unblock, client_serve, timeout
 *                     ▼  │
 *                   blocked (runs that arrive wait in `pending`)
 *     any ──client_close──> closing (no further request is executed) ──exec_client_closed──> gone
 *
 * | from            | to      | by                                             |
 * |-----------------|---------|------------------------------------------------|
 * | -               | open    | exec_client_opened                             |
 * | open, running   | blocked | client_block, client_wait_in (CLIENT PAUSE, …) |
 * | blocked         | running | client_unblock, client_serve, client_resume    |
 * | running         | sliced  | a command that takes longer than a slice       |
 * | sliced          | running | its end (exec/sliced.h)                        |
 * | any             | closing | client_close, which ends blocking              |
 * | any             | gone    | exec_client_closed                             |
 *
 * L1  out holds what has been answered and not yet handed to the port; it is handed over at the end of every
 *     batch at the latest, in the order of execution.
 * L2  pending is empty unless blocked, sliced or running. */
#ifndef SKUA_EXEC_CLIENT_H
#define SKUA_EXEC_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "exec/port.h"
#include "protocol/reply.h"

struct acl_user; /* acl/user.h */
struct db;
struct exec;
struct follower;        /* repl/primary.h */
struct key_wait;        /* exec/block.h */
struct ack_wait;        /* repl/primary.h */
struct client_tracking; /* exec/tracking.h */
struct sliced;          /* exec/sliced.h */
struct held_output;     /* exec/durable.h */
struct transaction;
struct subscriptions; /* exec/pubsub.h */

enum block_end_reason {
    BLOCK_END_TIMEOUT,
    BLOCK_END_SERVED, /* what it waited for has happened */
    BLOCK_END_ERROR,  /* CLIENT UNBLOCK … ERROR */
    BLOCK_END_GONE,   /* the client is going: no reply */
};

enum client_flag {
    CLIENT_CLOSING = 1 << 0,
    CLIENT_BLOCKED = 1 << 1,        /* client_block */
    CLIENT_IN_TRANSACTION = 1 << 2, /* after MULTI */
    CLIENT_DIRTY_CAS = 1 << 3,      /* a watched key has changed: EXEC will fail */
    CLIENT_DIRTY_EXEC = 1 << 4,     /* an error while queueing: EXEC will abort */
    CLIENT_MONITOR = 1 << 5,
    CLIENT_REPLY_OFF = 1 << 6,
    CLIENT_REPLY_SKIP_NEXT = 1 << 7, /* CLIENT REPLY SKIP was just executed */
    CLIENT_REPLY_SKIP = 1 << 8,      /* this command's reply is dropped */
    CLIENT_NO_EVICT = 1 << 9,
    CLIENT_NO_TOUCH = 1 << 10,
    CLIENT_TRACKING = 1 << 11,   /* told when what it has read changes: exec/tracking.h */
    CLIENT_PAUSED = 1 << 12,     /* client_wait_in: its request will be executed again */
    CLIENT_EXECUTING = 1 << 13,  /* inside EXEC */
    CLIENT_MOVING = 1 << 14,     /* between two I/O threads: output waits */
    CLIENT_CLOSE_SENT = 1 << 15, /* the port has been told to close */
    CLIENT_UNBLOCKED = 1 << 16,  /* listed in exec->unblocked */
    CLIENT_SLICED = 1 << 17,     /* its command is long: exec/sliced.h */
    CLIENT_PRIMARY = 1 << 18,    /* the link that this replica gets its data over */
    CLIENT_REPLICA = 1 << 19,    /* gets the log of changes (repl/) */
    CLIENT_RESTRICTED = 1 << 24, /* its user may not do everything: requests are checked (exec/permit.h) */
    CLIENT_LIMITED = 1 << 25,    /* not all commands and keys: the executor answers its reads, too */
};

struct client {
    struct exec *exec;
    uint64_t id;
    uint32_t flags;     /* enum client_flag */
    bool authenticated; /* may do more than say who it is (exec/permit.h, P2) */
    bool has_proved;    /* who it is, or needed not when it connected */
    struct db *db;
    struct reply out;              /* L1 */
    struct list_node in_dirty;     /* exec->output_dirty */
    enum close_how close_how;      /* while CLIENT_CLOSING */
    int64_t output_soft_since_ms;  /* when the output passed the soft limit; while listed: */
    struct list_node in_over_soft; /* exec->over_soft */

    struct port *port;
    struct conn *conn;
    struct conn_shared *shared;

    /* Runs not finished yet, oldest first (L2). */
    struct run *pending_head;
    struct run *pending_tail;
    /* Runs that have been executed and go back behind the output of the batch (N4), oldest first. While there are any, and the
     * client is not moving, it is in output_dirty. */
    struct run *executed_head;
    struct run *executed_tail;

    /* Output of earlier batches that waits for the disk, oldest first, with its runs. */
    struct held_output *held_first;
    struct held_output *held_last;

    struct list_node in_clients; /* exec->clients, in the order of ids */
    char *name;                  /* CLIENT SETNAME, or NULL */
    char *library_name;          /* CLIENT SETINFO, or NULL */
    char *library_version;
    struct acl_user *user; /* whose rights it has, a reference; NULL: what it applies has been allowed */
    int64_t created_ms;
    int64_t active_ms; /* last command */
    const struct command *last_command;
    uint64_t commands;       /* executed */
    uint64_t argument_bytes; /* of the command under way */

    struct transaction *transaction;     /* NULL outside MULTI */
    struct list_node watched;            /* exec/watch.h */
    struct subscriptions *subscriptions; /* NULL when it never subscribed */
    struct client_tracking *tracking;    /* while CLIENT_TRACKING */
    struct follower *follower;           /* what it has said as a replica, NULL: nothing */
    uint64_t log_lag;                    /* bytes of the log that wait for room in a replica's output */
    uint64_t written_end; /* the log's position behind what it has written last, 0: nothing yet */

    /* Blocking. */
    uint64_t block_deadline_ns; /* monotonic, 0: none */
    size_t deadline_place;      /* exec/deadlines.h */
    struct key_wait *key_wait;  /* what it waits for when that is keys, NULL otherwise */
    struct ack_wait *ack_wait;  /* the same for replicas */
    void (*block_end)(struct client *client, enum block_end_reason reason);
    struct list_node in_blocked; /* exec->blocked or exec->unblocked, or what client_wait_in was told */
    struct sliced *sliced;       /* its long command, while CLIENT_SLICED */
};

/* How many channels, patterns and shard channels a client listens to. */
uint32_t client_subscription_count(const struct client *client);

/* To be called when a client begins or ends to wait, to listen or to monitor: meanwhile it is silent for good reason,
 * and the option `timeout` does not close it. */
void client_note_patience(struct client *client);

/* The client with this id, NULL when there is none. */
struct client *client_lookup(struct exec *exec, uint64_t id);

/* No further request of this client is executed; the connection is closed. Safe inside a command of this very
 * client: with CLOSE_AFTER_REPLIES its own reply still goes out. Idempotent; CLOSE_NOW also ends the patience of an
 * earlier CLOSE_AFTER_REPLIES. */
void client_close(struct client *client, enum close_how how);

/* Bytes for the client outside of a reply to its own request (pushes). Write into the returned reply; it is
 * sent at the end of the batch, behind the reply to the request that is being executed if that is the client's.
 * NULL when the client is closing. */
struct reply *client_push(struct client *client);

/* Bytes that are no replies (the log of changes, a snapshot): at once, behind all that was handed over before. The list is taken
 * over and left empty. Not while CLIENT_MOVING or CLIENT_CLOSING. */
void client_hand_over(struct client *client, struct chunk_list *bytes);

/* Closes the client if what has not been sent, log_lag included, is more than its client-output-buffer-limit. */
void client_enforce_output_limit(struct client *client);

/* ---- Blocking ------------------------------------------------------------------------------------- */

/* From inside a command: no reply is written now. `end` is called exactly once, on timeout, unblock or when the
 * client goes; it writes the reply with client_push (not for BLOCK_END_GONE, and not for BLOCK_END_SERVED of
 * client_serve, which has answered). The deadline is one of the monotonic clock, 0: never. */
void client_block(struct client *client, uint64_t deadline_ns,
                  void (*end)(struct client *client, enum block_end_reason reason));

/* The deadline that is `timeout_ms` (not negative) from now; 0, for ever, stays 0. */
uint64_t client_deadline_ns(const struct exec *exec, int64_t timeout_ms);

/* Ends the blocking; the client's further requests go on in this or the next batch. */
void client_unblock(struct client *client, enum block_end_reason reason);

/* What CLIENT UNBLOCK … ERROR answers with, whatever was waited for. */
#define CLIENT_UNBLOCKED_ERROR "UNBLOCKED client unblocked via CLIENT UNBLOCK"

/* Lets `serve` write the answer that a blocked client waits for into its `out`. When it returns true the blocking ends
 * with BLOCK_END_SERVED; when it returns false it has written nothing, and the client goes on waiting. */
bool client_serve(struct client *client, bool (*serve)(struct client *client, const void *context),
                  const void *context);

/* ---- Texts ---------------------------------------------------------------------------------------- */

struct buf;

/* One line as CLIENT LIST shows it, without a line end. */
void client_describe(const struct client *client, struct buf *ret_text);

/* The letters of its `flags`. */
void client_describe_flags(const struct client *client, struct buf *ret_text);

/* For how long it has sent nothing. */
int64_t client_idle_ms(const struct client *client);

/* It is on this machine: over the loopback, a Unix socket or shared memory. */
bool client_is_local(const struct client *client);

/* "normal", "pubsub", "replica" or "master", as CLIENT LIST and KILL call them. */
const char *client_type_name(const struct client *client);

#endif
