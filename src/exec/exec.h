/* The executor: the one thread that owns every change.
 *
 * Principal entry points: exec_new, exec_client_opened, exec_run_batch, exec_client_closed,
 * exec_cron.
 * See also: exec/call.h (what commands use), exec/client.h, exec/port.h (the way back), io/io.h.
 * Threads: executor only, unless said.
 *
 * X1  Requests of one client are executed in the order in which they arrived.
 * X2  Between two requests of a batch the keyspace is consistent; a batch is not a transaction.
 * X3  Nothing here waits, reads, writes or syncs. */
#ifndef SKUA_EXEC_EXEC_H
#define SKUA_EXEC_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/rng.h"
#include "exec/blame.h"
#include "exec/client.h"
#include "exec/deadlines.h"
#include "exec/direct.h"
#include "exec/durable.h"
#include "exec/hold.h"
#include "exec/propagate.h"
#include "exec/request.h"
#include "exec/task.h"
#include "keyspace/evict.h"
#include "keyspace/keyspace.h"

struct acl;         /* acl/acl.h */
struct block_table; /* exec/block.h */
struct call;
struct config;
struct exec_post;
struct file_system;
struct log;
struct persist;
struct pubsub;
struct repl;
struct sliced_table;
struct tracking;
struct watch_table;
struct worker_pool;

/* Requests whose keys are fetched ahead together. 16 to 32 is where memory latency is hidden best; more only
 * queue up at the processor's fill buffers. */
#define EXEC_WINDOW 24

/* Statistics of one command. Executor writes, executor reads. */
struct command_stats {
    uint64_t calls;
    uint64_t ns;
    uint64_t rejected;           /* before execution: arity, OOM, auth, … */
    uint64_t failed;             /* answered with an error */
    struct command_times *times; /* NULL until first used */
};

struct exec_stats {
    uint64_t commands;
    uint64_t connections; /* accepted since start */
    uint64_t keyspace_hits;
    uint64_t keyspace_misses;
    uint64_t sliced_commands; /* that took more than one slice */
    uint64_t slices;          /* of those */
    uint64_t expired_keys;
    uint64_t expired_fields;
    uint64_t evicted_keys;
    uint64_t error_replies;
    uint64_t query_closed;  /* clients closed for client-query-buffer-limit, with a transaction */
    uint64_t output_closed; /* for client-output-buffer-limit */
    uint64_t expire_cycles;
    uint64_t batches;
    uint64_t dirty;        /* changes since start */
    uint64_t pause_max_ns; /* longest time between two looks at the queues: one command, one cron step, … */
    const char *pause_max_by; /* what it was */
    uint64_t busy_ns;         /* time spent executing batches */
};

/* What others want to know of the executor's work (slow log, latency events, monitors). Unset hooks are NULL. */
struct exec_hooks {
    void *context;
    /* After each command that took at least blame.slow_ns, by itself or with its waiting; the call's arguments are still
     * there. Returns a number for `replied`, 0: the time of the reply is not wanted. */
    uint64_t (*slow)(void *context, struct call *call, const struct blame_case *found);
    /* The last byte of a reply was handed to the transport so long after its command had ended. */
    void (*replied)(void *context, uint64_t report, uint64_t reply_ns);
    /* Something took long: event names are Redis's ("command", "expire-cycle", …). */
    void (*latency)(void *context, const char *event, uint64_t ns);
    /* After each command while monitor_count > 0: what it made of the client (SELECT) shows. */
    void (*monitor)(void *context, struct call *call);
    /* A client is about to be forgotten. */
    void (*client_gone)(void *context, struct client *client);
    /* Every 100 milliseconds: for sampled rates. */
    void (*cron)(void *context);
};

enum exec_shutdown {
    EXEC_SHUTDOWN_NONE,
    EXEC_SHUTDOWN_ORDERLY, /* clients may take the replies that are on their way, for at most shutdown-timeout */
    EXEC_SHUTDOWN_NOW,
};

/* Whether to save first: what SHUTDOWN or the signal's option says. */
enum exec_shutdown_save {
    EXEC_SHUTDOWN_SAVE_DEFAULT, /* if there are save points */
    EXEC_SHUTDOWN_SAVE_YES,
    EXEC_SHUTDOWN_SAVE_NO,
};

/* Why sound requests are refused: each bit is one reason, in the order in which dispatch looks at them. */
enum exec_hindrance {
    EXEC_SAVE_FAILS = 1 << 0,        /* stop-writes-on-bgsave-error: writes are refused */
    EXEC_LOG_FAILS = 1 << 1,         /* the append-only file cannot be written: the same */
    EXEC_TOO_FEW_REPLICAS = 1 << 2,  /* min-replicas-to-write: the same */
    EXEC_READ_ONLY_REPLICA = 1 << 3, /* the same, but for what comes from the primary */
    EXEC_STALE_REPLICA = 1 << 4,     /* replica-serve-stale-data no: what is not CMD_STALE is refused */
    EXEC_LOADING = 1 << 5,           /* what is not CMD_LOADING is refused */
};

struct exec {
    const struct clock *clock;
    struct config *config; /* config/config.h: the executor owns it, others read shared options only */
    struct keyspace *keyspace;
    struct heap *heap;
    struct chunk_pool *chunks; /* shared with the I/O code when that runs on this thread */
    struct log *log;
    struct rng rng;
    struct worker_pool *workers;
    const struct file_system *files; /* base/file.h: what workers touch files with */

    /* wall time, read once per batch; whether a time is over is keyspace->now_ms's to say (exec/apply.h, A2) */
    int64_t now_ms;
    int64_t now_us;

    struct list_node clients; /* by age */
    struct table clients_by_id;
    uint32_t client_count;
    struct list_node output_dirty;
    struct list_node over_soft; /* clients over the soft limit of their output */
    struct client *executing;   /* whose request is being executed, NULL: nobody's */
    struct reply deferred;      /* pushes to that client: they follow its reply, never into the midst of it */
    struct list_node blocked;   /* clients in client_block */
    struct list_node paused;    /* clients whose next request waits for CLIENT PAUSE to end */
    struct list_node unblocked; /* to be resumed at the end of the batch */
    uint32_t blocked_count;     /* clients in blocked, and those in client_wait_in */
    struct deadlines deadlines; /* of the clients in blocked */

    struct acl *acl;               /* users: exec/permit.h */
    struct list_node acl_jobs;     /* on the aclfile: cmd/acl_file.c */
    _Atomic bool admits_strangers; /* connections need not say who they are; read by I/O threads */
    struct pubsub *pubsub;
    struct watch_table *watch;
    struct tracking *tracking;   /* clients that keep copies; NULL: none do */
    struct block_table *block;   /* who waits for keys */
    struct sliced_table *sliced; /* long commands */
    struct hold_table holds;     /* the keys that they hold */
    unsigned notify_classes;     /* enabled keyspace events */
    unsigned hindrances;         /* enum exec_hindrance */
    bool is_replica; /* changes come from a primary only: propagate.h P6, and keys expire when it says so */
    struct local_keys *local_keys; /* of a replica that accepts writes, NULL: it does not, or is none */
    struct propagate propagate;    /* what is written into the log of changes */
    struct persist *persist;       /* files: persist/, NULL in a simulation without them */
    struct repl *repl;             /* replication: repl/, the same */
    struct exec_tasks tasks;       /* work beside requests */
    struct direct_table direct;    /* threads that read the keyspace */
    struct durable durable;        /* output that waits for the disk */
    struct fetch_rows *fetched;    /* of the window that is being executed: exec/fetch.h */
    uint32_t monitor_count;
    bool active_expire; /* DEBUG SET-ACTIVE-EXPIRE */
    bool plain_off;     /* every request goes the long way (exec/plain.h): for tests */

    /* exec/evict.h */
    struct {
        struct evict_pool pool;
        uint64_t over_since_ns; /* memory has been over its limit; 0: it is not */
        uint64_t over_total_ns; /* before that */
    } evict;

    /* CLIENT PAUSE */
    int64_t pause_until_ms; /* 0: no pause */
    bool pause_writes_only;
    uint32_t holders; /* of exec_hold_clients; the two of before: */
    int64_t held_until_ms;
    bool held_writes_only;

    struct blame blame;
    uint64_t latency_ns; /* threshold for hooks.latency, UINT64_MAX: never */
    struct exec_hooks hooks;
    /* Before output is handed over, between two units; NULL: nobody wants the log sent, or a word with replicas. */
    void (*feed)(struct exec *exec);
    /* A replica's (exec/role_change.h): the list in which whoever makes it a primary is to wait, NULL: nothing is left to be applied. */
    struct list_node *(*role_change_waits)(struct exec *exec);
    struct exec_stats stats;
    struct command_stats *command_stats; /* by command id */
    struct table error_stats;            /* code -> count */

    uint64_t next_cron_ns;
    uint64_t next_sample_ns;
    /* For telling the executor's own pauses from those of the machine (exec/pause.h). */
    uint64_t tick_mark; /* end of the last command: the next one's time counts from here */
    uint64_t cpu_sample_ns;
    uint64_t cpu_resample_ticks;
    uint64_t cpu_sample_interval_ticks;

    _Atomic(struct exec_post *) posts; /* exec/post.h */
    void (*wake)(void *context);       /* any thread: has exec_cron called soon; NULL: nobody sleeps */
    void *wake_context;

    /* enum exec_shutdown: asked for by SHUTDOWN or a signal; the server's main loop acts. */
    _Atomic int shutdown_requested;
    /* Stored before it. */
    _Atomic int shutdown_save;   /* enum exec_shutdown_save */
    _Atomic bool shutdown_force; /* it ends also when it cannot save */

    void *server; /* for floor 6 only: never dereferenced below it */
};

struct exec_options {
    const struct clock *clock;
    struct config *config;
    struct log *log;
    struct chunk_pool *chunks;
    struct worker_pool *workers;     /* may be NULL */
    const struct file_system *files; /* NULL: the machine's */
    uint64_t seed;
    uint64_t hash_seed;
};

struct exec *exec_new(const struct exec_options *options);
void exec_free(struct exec *exec);

/* Sets or clears one reason (enum exec_hindrance). */
void exec_set_hindrance(struct exec *exec, enum exec_hindrance reason, bool applies);

/* No request is executed until exec_release_clients: as CLIENT PAUSE, which goes on as it was after that. May be nested. */
void exec_hold_clients(struct exec *exec);
void exec_release_clients(struct exec *exec);

/* ---- From the I/O side ---------------------------------------------------------------------------- */

/* A connection has been accepted. */
struct client *exec_client_opened(struct exec *exec, struct port *port, struct conn *conn,
                                  struct conn_shared *shared);

/* The connection has ended: the client is forgotten, its unfinished runs are given back (port->run_done), then
 * port->forgotten is called. */
void exec_client_closed(struct exec *exec, struct client *client);

/* The connection is on its way to another I/O thread: nothing is sent to the client, and none of its pending requests
 * is executed, until exec_client_arrived says where it is. */
void exec_client_departs(struct exec *exec, struct client *client);
void exec_client_arrived(struct exec *exec, struct client *client, struct port *port);

/* Asks for the run's requests, which another thread has written, before exec_run_batch. */
void exec_expect_run(const struct run *run);

/* Executes the runs in order (each client's own order is that of the array), fetching keys ahead across all of
 * them, and hands the replies to the ports. */
void exec_run_batch(struct exec *exec, struct run *const *runs, unsigned count);

/* ---- Upkeep --------------------------------------------------------------------------------------- */

/* Timers of the executor: expiry, blocked clients, reclaiming; and one slice of a long command. To be called when `exec_next_cron_ns` has come
 * (monotonic), or more often. Bounded work. */
void exec_cron(struct exec *exec);
uint64_t exec_next_cron_ns(const struct exec *exec);

/* The client's long command has ended: its request is done with, and the next ones go on. */
void exec_request_ended(struct client *client);

/* Hands over whatever pushes and late replies have been written outside of a batch. */
void exec_flush_output(struct exec *exec);

/* Writes what the unit under way has gathered into the log of changes (exec/propagate.h, P1). */
ALWAYS_INLINE void propagate_end_unit(struct exec *exec)
{
    if (unlikely(exec->propagate.unit_count > 0))
        propagate_end_unit_slow(exec);
}

/* Executes one command as if the client had sent it (EXEC's queue). */
void exec_call(struct call *call);

#endif
