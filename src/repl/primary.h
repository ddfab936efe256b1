/* Who follows this server: its replicas' connections, from their first REPLCONF to the log as it grows.
 *
 * Principal entry points: primary_follower, primary_psync, primary_sync, primary_ack, primary_wait (commands); primary_cron.
 * See also: full_sync.h (what a new replica gets first), feed.c (the log on its way), repl.h (names of the history).
 * A *follower* is what a primary knows of one replica. Whether this server follows somebody itself makes no difference here: the
 * log is the same, only PING is then left to who writes it.
 *
 *   greeting --PSYNC: what it lacks is in the log--------------------------------> online
 *      |                                                                            ^  ^
 *      +--else, SYNC--> waiting --the cut--> syncing --all sent, length was known---+  |
 *                                               +--all sent, `eof`--> loading --ACK----+
 *
 * | from     | to       | by                                          | what may be trusted then                        |
 * |----------|----------|---------------------------------------------|-------------------------------------------------|
 * | -        | greeting | primary_follower                            | a client like any other, that gets replies      |
 * | greeting | online   | primary_psync                               | CLIENT_REPLICA, listed, has a cursor or reads_history |
 * | greeting | waiting  | primary_psync, primary_sync                 | CLIENT_REPLICA, listed; hears a newline a second |
 * | waiting  | syncing  | full_sync_step                              | has a cursor, at the cut, and a sync            |
 * | syncing  | waiting  | full_sync_step: the snapshot was refused    | as waiting                                      |
 * | syncing  | loading  | full_sync_step: the end has been handed over | has a cursor                                   |
 * | syncing  | online   | the same                                    | the cursor is read from now on                  |
 * | loading  | online   | primary_ack                                 | the same                                        |
 * | any      | gone     | primary_client_gone                         |                                                 |
 *
 * F1  Nothing but the answer to PSYNC, the snapshot and the log goes to a client with CLIENT_REPLICA, in this order; its own
 *     requests have no replies (exec.c closes one that has).
 * F2  What has been handed over to a follower's connection and is not sent yet is at most FEED_OUTSTANDING_MAX, and a block of a
 *     snapshot: what it has not come to lies in the log, once for all of them.
 * F3  A follower has a cursor from the cut (or its PSYNC) on, so the log keeps what it will need; changelog_left and what is
 *     outstanding count against client-output-buffer-limit replica. One that reads_history has none, until memory has its place.
 *
 * Threads: executor. */
#ifndef SKUA_REPL_PRIMARY_H
#define SKUA_REPL_PRIMARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/chunk.h"
#include "base/list.h"
#include "base/slice.h"
#include "changelog/changelog.h"
#include "exec/post.h"
#include "repl/repl.h"

struct client;
struct exec;
struct full_sync;
struct history;
struct repl;

#define FOLLOWER_ADDRESS_MAX 255 /* bytes of REPLCONF ip-address */

/* Handed over and not sent yet, of one follower. */
#define FEED_OUTSTANDING_MAX ((uint64_t)4 << 20)

enum follower_state {
    FOLLOWER_GREETING, /* has said something with REPLCONF */
    FOLLOWER_WAITING,  /* for a snapshot to begin */
    FOLLOWER_SYNCING,  /* gets one */
    FOLLOWER_LOADING,  /* has been handed all of it, and will say when it has read it */
    FOLLOWER_ONLINE,   /* gets the log */
};

struct follower {
    struct primary *primary;
    struct client *client; /* NULL: gone, and `drained` is still on its way */
    enum follower_state state;
    struct list_node node; /* in primary.followers, unless greeting */
    int64_t since_ms;      /* in this state */

    /* What it has said of itself. */
    char address[FOLLOWER_ADDRESS_MAX + 1]; /* "": that of its connection */
    int64_t port;
    bool can_eof;        /* understands a snapshot without its length */
    bool can_psync2;     /* understands +CONTINUE with an id */
    bool reads_11;       /* format 11 of snapshots, */
    bool reads_80;       /* and that of Valkey 9 */
    bool knows_no_times; /* of fields of hashes: Valkey 8 */
    bool only_snapshot;
    bool is_old; /* came with SYNC: sends no ACK */

    /* What it has acknowledged. */
    bool has_acked;      /* anything, since it was last given a snapshot: it has the data */
    uint64_t acked;      /* the log's position up to which it has applied */
    uint64_t synced;     /* and which lies on its disk */
    int64_t acked_at_ms; /* while online: the last ACK */

    /* Signs of life, for repl-timeout. */
    uint64_t bytes_in, bytes_out; /* of its connection, when last looked at */
    int64_t moved_at_ms;          /* when one of them had grown, or nothing was to be sent */

    /* feed.c */
    struct changelog_cursor cursor; /* F3; open while cursor.log is not NULL */
    struct chunk_list held;         /* handed over while the connection is on its way between I/O threads */
    struct exec_post drained;
    bool awaits_drain; /* `drained` is with the I/O side, or on its way back */

    /* primary_history.c: online without a cursor, as its place is in the file only */
    bool reads_history;
    uint64_t history_position;

    /* full_sync.c */
    struct full_sync *sync;           /* while syncing; and until it has received all, if it can resume */
    uint64_t sync_position;           /* bytes of it that have been handed over */
    bool can_resume;                  /* goes on with a snapshot that broke off */
    char resume_id[REPL_ID_SIZE + 1]; /* "": it has none; else it has so many bytes of this one: */
    uint64_t resume_bytes;
};

struct primary {
    struct repl *repl;
    struct exec *exec;
    struct list_node followers; /* in the order in which they came; not those that only greet */
    uint32_t follower_count;
    /* since when there has been none, 0: there is one, or no history is kept for any */
    int64_t lonely_since_ms;
    int64_t next_second_ms; /* cron */
    int64_t next_ping_ms;
    bool wants_acks;        /* REPLCONF GETACK is to be sent */
    bool has_acks;          /* some have come since ack_waits were looked at */
    struct list_node syncs; /* struct full_sync */
    int64_t next_sync_ms;   /* none begins before */
    struct list_node ack_waits;
    bool is_finishing; /* primary_finish: nothing that is for links only goes into the log */
    uint64_t finish_position;
    int64_t pause_until_ms; /* what CLIENT PAUSE had asked for before */
    bool pause_writes_only;
    uint64_t id_generation; /* of the log that the history's id belongs to */
    /* primary_history.c: the file of history, NULL: there is none */
    struct history *history;
    uint64_t history_size;         /* the option, when it was begun */
    int64_t history_rest_until_ms; /* after a failure */
    char history_error[80];        /* the last one, "": none yet */
    /* For INFO. */
    uint64_t full_syncs, partial_syncs, partial_refused, resumed_syncs, partial_from_file;
    uint64_t sent_before; /* bytes, to followers that have gone */
};

struct primary *primary_new(struct repl *repl);
/* All connections are gone, the workers have ended. */
void primary_free(struct primary *primary);

/* Every 100 milliseconds. */
void primary_cron(struct primary *primary);

/* Has options min-replicas-to-write and -max-lag hold. */
void primary_update_hindrance(struct primary *primary);

/* The client is being forgotten. */
void primary_client_gone(struct primary *primary, struct client *client);

/* Closes all of them and their cursors: the history is another from now on (propagate_restart may follow). */
void primary_drop_followers(struct primary *primary);

/* ---- History -------------------------------------------------------------------------------------- */

/* Has history kept from now on, for those that come. */
void primary_keep_history(struct primary *primary);

/* A follower asks for what comes from its `offset` on (Redis counts from 1) of the history `id`. Whether the log has all of that;
 * then *ret_position is where it goes on. */
bool primary_has_history(const struct primary *primary, struct slice id, int64_t offset,
                         uint64_t *ret_position);

/* The history's id is good for the log that there is now: repl_new_history and repl_shift_history have made it. */
void primary_note_history(struct primary *primary);

/* ---- History beyond memory (primary_history.c) ------------------------------------------------------ */

/* Begins and ends the file as options and failures say, and has it written. Often; between two units. */
void primary_history_step(struct primary *primary);
/* The log goes away, or is another one from now on. */
void primary_history_end(struct primary *primary);
/* Where the history begins that followers can be sent, from memory or the file. There is a log. */
uint64_t primary_history_start(const struct primary *primary);
/* Sends up to `bytes_max` bytes from the file to one that reads_history. True: the follower has a cursor now. It may have been dropped. */
bool follower_read_history(struct follower *follower, uint64_t bytes_max);

/* ---- Commands ------------------------------------------------------------------------------------- */

/* What is known of the client as a replica; made when nothing is yet. */
struct follower *primary_follower(struct primary *primary, struct client *client);

/* PSYNC and SYNC, which may be executed: answers, and has the follower served. */
void primary_psync(struct follower *follower, struct slice id, struct slice offset);
void primary_sync(struct follower *follower);

/* REPLCONF ACK. `synced`: FACK, UINT64_MAX: not said. */
void primary_ack(struct follower *follower, uint64_t position, uint64_t synced);

/* How many online followers have applied the log, or have it on disk, up to `position`. */
uint32_t primary_count_acked(const struct primary *primary, uint64_t position);
uint32_t primary_count_synced(const struct primary *primary, uint64_t position);
/* Those whose last ACK is not older than min-replicas-max-lag. */
uint32_t primary_count_good(const struct primary *primary);

/* The server is going: no more writes are executed. Whether all followers that are online have acknowledged what there was when
 * this was called first; to be called until they have, or the time is over. */
bool primary_finish(struct primary *primary);
/* It is not going after all. */
void primary_go_on(struct primary *primary);

/* Has all followers asked for an ACK at the end of the batch. */
void primary_request_acks(struct primary *primary);

/* A client that waits for followers (WAIT, WAITAOF), and what for. */
struct ack_wait {
    struct list_node node; /* primary.ack_waits */
    struct client *client;
    uint64_t position;
    int64_t replicas;
    int64_t locals; /* WAITAOF: this server's own disk, 0 or 1 */
    /* Called when acknowledgements have come, with this as the context: answers and returns true when there are enough. */
    bool (*is_served)(struct client *client, const void *wait);
};

/* Has the client, which client_block was called for, looked at from now on; `options` is copied. */
void primary_wait(struct primary *primary, const struct ack_wait *options);
/* Looks at all who wait: what they wait for may have come. */
void primary_serve_waits(struct primary *primary);
/* To be called by the client's block_end. */
void primary_wait_end(struct client *client);

/* CONFIG RESETSTAT: how replicas began is counted from here. */
void primary_reset_stats(struct primary *primary);

/* ---- For INFO and ROLE ---------------------------------------------------------------------------- */

/* Where the follower listens: `ret_host` has FOLLOWER_ADDRESS_MAX + 1 bytes. */
void follower_describe(const struct follower *follower, char *ret_host, int64_t *ret_port);
/* "wait_bgsave", "send_bulk", "online". */
const char *follower_state_name(const struct follower *follower);
/* Seconds since its last ACK, 0: not online yet. */
int64_t follower_lag_s(const struct follower *follower);
/* Handed over and not sent yet, and what lies in the log for it. */
uint64_t follower_outstanding(const struct follower *follower);

/* ---- feed.c --------------------------------------------------------------------------------------- */

/* exec->feed while there are followers: what has come into the log goes out. */
void primary_feed(struct exec *exec);

/* Has primary_feed called while somebody needs it. */
void primary_update_feed(struct primary *primary);
/* Of primary_feed: one follower. */
void follower_feed(struct follower *follower);

/* Bytes that are not of the log: at once, or when the connection has arrived. */
void follower_send(struct follower *follower, struct chunk_list *bytes);
void follower_send_text(struct follower *follower, const char *format, ...) PRINTF_LIKE(2, 3);

/* Has the executor told when little is left to be sent. */
void follower_await_drain(struct follower *follower);

/* Takes back what awaits its draining. False: it is on its way, the follower has to stay. */
bool follower_forget_drain(struct follower *follower);

/* ---- States (primary.c) --------------------------------------------------------------------------- */

/* Of primary_feed: what is to be in the log, and who is to get it, before it goes out. */
void primary_before_feed(struct primary *primary);

void follower_enter(struct follower *follower, enum follower_state state);
/* Not to be served any further. */
void follower_drop(struct follower *follower, const char *reason);

#endif
