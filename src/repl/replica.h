/* Whom this server follows: the link to its primary, from the first PING to the stream of changes.
 *
 * Principal entry points: replica_follow, replica_stop (REPLICAOF), replica_cron, replica_describe.
 * See also: handshake.h and payload.h (what is said on the link), receive.h (a snapshot on its way to a file), replay.h (the changes), io/link.h.
 *
 *   off --replica_follow--> waiting --cron--> looking_up --address--> connecting --connected--> handshake
 *                              ^                                                                  |   |
 *                              |                                            +FULLRESYNC           |   | +CONTINUE
 *                              |                                     receiving <------------------+   |
 *                              |                                         | all of it                  |
 *                              |                                      loading --all loaded--> connected
 *                              +----- the link ends, an error, repl-timeout, from any of them ----+
 *
 * | from       | to         | by                                    | what may be trusted then                                 |
 * |------------|------------|---------------------------------------|----------------------------------------------------------|
 * | off        | waiting    | replica_follow                        | host and port are set; writes are refused                |
 * | waiting    | looking_up | try_again, once a second; at once after a link that lasted | a worker turns the name into an address                  |
 * | looking_up | connecting | take_address                          | `link`                                                   |
 * | connecting | handshake  | on_connected                          | `handshake`                                              |
 * | handshake  | receiving  | begin_full: +FULLRESYNC               | `full_id`, `full_offset`; the old data are there, R2      |
 * | handshake  | connected  | go_on: +CONTINUE                      | `replay`; the data are at propagate_offset of repl->id    |
 * | receiving  | loading    | replica_sync_step                    | the old data are gone, R3                                 |
 * | loading    | connected  | replica_sync_step                         | as above                                                 |
 * | any but off | waiting   | drop_link                             | no link, no jobs of it                                   |
 * | any        | off        | replica_stop                          | writes are accepted                                      |
 *
 * R1  (repl->id, propagate_offset) names the data that are here, whenever `has_history` is set. It is asked to be continued.
 * R2  Old data are served until the new ones begin to be loaded.
 * R3  While data are being replaced has_history is not set: whatever ends the loading leaves an empty keyspace, and the next try
 *     gets everything.
 * R4  What the primary sends is appended to the log as it came, when it has taken effect, so this server's offset is the primary's,
 *     and whoever follows this server reads the same bytes.
 * R5  A slice of work is bounded: REPLICA_SLICE_US, or slice-us where that is more; then clients have their turn.
 * R6  A snapshot that has a name and breaks off on its way to the file stays there, with `payload`, for repl-timeout: the next PSYNC may go
 *     on with it. Any other answer, and whatever else ends it, removes the file.
 * R7  A link that ends is missed only when what has come over it has been used: of a snapshot, what has come is in the file, and when that is all
 *     of it, it has been loaded; of the stream, it has been applied. Then is_link_lost ends, by drop_link.
 * R8  Who makes this server a primary waits for that as well, in `promoters`; nothing more is received meanwhile.
 *
 * Threads: executor; workers as said in receive.c and resolve (replica.c). */
#ifndef SKUA_REPL_REPLICA_H
#define SKUA_REPL_REPLICA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/chunk.h"
#include "base/list.h"
#include "base/slice.h"
#include "io/link.h"
#include "repl/handshake.h"
#include "repl/payload.h"

struct exec;
struct io_link;
struct load;
struct load_file;
struct receive;
struct replica_lookup;
struct replica_wake;
struct repl;
struct replay;

#define REPLICA_HOST_MAX  255
#define REPLICA_RETRY_NS  1000000000ull
#define REPLICA_STABLE_NS 100000000ull /* a link that has lasted so long is made anew at once */
#define REPLICA_ACK_NS    1000000000ull
#define REPLICA_SLICE_US  200

enum replica_state {
    REPLICA_OFF, /* this server is a primary */
    REPLICA_WAITING,
    REPLICA_LOOKING_UP,
    REPLICA_CONNECTING,
    REPLICA_HANDSHAKE,
    REPLICA_RECEIVING,
    REPLICA_LOADING,
    REPLICA_CONNECTED,
};

struct replica {
    struct repl *repl;
    struct exec *exec;
    enum replica_state state;
    char host[REPLICA_HOST_MAX + 1];
    uint16_t port;
    bool has_history;  /* R1 */
    bool failover;     /* the next PSYNC says FAILOVER */
    bool is_finishing; /* replica_finish */

    struct io_link *link;
    struct replica_lookup *lookup; /* looking_up */
    struct chunk_list input;       /* received, not looked at */
    struct replica_wake *wake;     /* has a step made soon */

    struct handshake handshake;
    struct buf line; /* of the handshake, so far */

    uint32_t db; /* selected in the stream at propagate_offset */
    char full_id[REPL_ID_SIZE + 1];
    uint64_t full_offset;
    struct payload payload;
    struct buf bytes;                /* of the snapshot, cut out of the input, and not handed on */
    bool is_load_busy;               /* `load` has not done with `bytes` */
    bool is_load_whole;              /* and needs no more */
    bool holds_log;                  /* the append-only file is held (aof_hold) */
    bool is_file_whole;              /* everything is in the file, and on the disk */
    struct receive *receive;         /* to a file; NULL: straight into `load` */
    char snapshot[REPL_ID_SIZE + 1]; /* R6: what the primary calls what comes, "": nothing */
    bool is_broken_off;              /* R6 */
    uint64_t broken_ns;              /* since when */
    uint64_t broken_bytes;           /* that the file had not taken then: of a link that is no more */
    bool is_link_lost;               /* R7 */
    char lost_reason[120];
    struct list_node promoters; /* R8: clients */
    struct load *load;          /* no file lies between */
    struct load_file *loading;  /* from the file */
    uint64_t file_bytes;        /* of the input, which the file has not taken yet: owed to the link */

    struct replay *replay; /* connected; what CLIENT LIST calls it then: */
    uint64_t link_id;
    char peer[IO_LINK_NAME_MAX], local[IO_LINK_NAME_MAX];
    bool is_asked;      /* the primary wants an ACK */
    uint64_t fack_from; /* it is told when this server's disk has come so far; 0: it has been */

    uint64_t next_try_ns;
    uint64_t next_ack_ns;
    uint64_t began_ns;                  /* the state */
    uint64_t last_io_ns;                /* the primary's last sign of life */
    uint64_t down_since_ns;             /* 0: never been up */
    uint64_t full_syncs, partial_syncs; /* that went well */
    char last_error[200];               /* of the last try, to log each reason once */
};

struct replica *replica_new(struct repl *repl);
/* The server ends: no link is opened any more, a name that is being looked up is of no use. */
void replica_finish(struct replica *replica);
/* After replica_finish; the links have ended, the workers too. */
void replica_free(struct replica *replica);

/* Every 100 milliseconds. */
void replica_cron(struct replica *replica);

/* Follows host and port from now on; the data stay until the primary says that they are of no use. The same as before: nothing
 * happens, false. */
bool replica_follow(struct replica *replica, const char *host, uint16_t port);

/* Is a primary from now on, with the data that are here; what had come and had not been applied is lost (R8: nothing, where clients ask for it).
 * False: it was one already. */
bool replica_stop(struct replica *replica);

/* The data are at propagate_offset of repl->id, where `db` is selected: loaded from a file at the start. */
void replica_know_history(struct replica *replica, uint32_t db);

/* Whether this server follows another. */
bool replica_is_on(const struct replica *replica);

/* Reads the option replicaof. ST_INVALID: it names no host and port. At the start. */
enum status replica_configure(struct replica *replica, struct buf *ret_error);

/* REPLCONF GETACK from the primary, and once a second. */
void replica_send_ack(struct replica *replica);

/* Options that say what a replica may do have changed. */
void replica_update_hindrances(struct replica *replica);

/* ---- For INFO and ROLE ---------------------------------------------------------------------------- */

struct replica_view {
    bool is_up;
    const char *role_state; /* of ROLE: "connect", "connecting", "handshake", "sync", "connected" */
    int64_t last_io_s;      /* -1: no link */
    int64_t down_s;         /* since the link is down, -1: never been up */
    uint64_t offset;        /* applied */
    uint64_t read_offset;   /* received */
    bool is_syncing;
    uint64_t sync_total, sync_read; /* bytes; total 0: not known */
    int64_t sync_last_io_s;
};
void replica_view(const struct replica *replica, struct replica_view *ret_view);

/* The link as a client of this server: in CLIENT LIST while it is connected. */
struct replica_client {
    uint64_t id;
    const char *peer, *local; /* addresses */
    int64_t age_s, idle_s;
    uint32_t db;
    uint64_t unapplied; /* bytes received */
};
/* False: there is none. */
bool replica_client(const struct replica *replica, struct replica_client *ret_client);

/* ---- Between the files of it ----------------------------------------------------------------------- */

/* Has the step called again soon. */
void replica_post(struct replica *replica);
/* So many bytes that came over the link need no memory here any longer. */
void replica_consumed(struct replica *replica, uint64_t bytes);
/* Has done with so many bytes at the front of `input`. */
void replica_consume(struct replica *replica, uint64_t bytes);
/* The link is of no use any more: logs why, forgets what belongs to it, and tries again in a second. */
void replica_drop_link(struct replica *replica, const char *format, ...) PRINTF_LIKE(2, 3);
/* R1: whether what is here has a name. */
void replica_set_known(struct replica *replica, bool is_known);
void replica_enter(struct replica *replica, enum replica_state state);
/* The data are those of the primary, up to propagate_offset: the stream follows. */
void replica_go_on(struct replica *replica);

/* replica_sync.c: receiving and loading. Whether what comes goes to a file first. */
bool replica_sync_goes_to_file(const struct replica *replica);
/* The second returns whether there is more to do at once. */
void replica_sync_begin(struct replica *replica);
bool replica_sync_step(struct replica *replica);
void replica_sync_abandon(struct replica *replica);
/* The link has ended. R6: false when there is nothing that could be gone on with. */
bool replica_sync_break_off(struct replica *replica);

#endif
