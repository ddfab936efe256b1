/* What the files of io/ share: one io, its rings and its inbox. Not for other folders. */
#ifndef SKUA_IO_INTERNAL_H
#define SKUA_IO_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/chunk.h"
#include "base/durations.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/ring.h"
#include "base/stock.h"
#include "exec/port.h"
#include "io/follow.h"
#include "io/io.h"
#include "io/work.h"
#include "loop/loop.h"
#include "protocol/parser.h"
#include "transport/pinning.h"
#include "transport/shm.h"
#include "transport/transport.h"

#define IO_RING_SLOTS     1024
#define IO_LISTENERS_MAX  32
#define IO_CHUNKS_KEPT    256 /* free chunks that an io keeps */
#define IO_RUNS_KEPT      256
#define IO_BATCH_RUNS     32            /* runs executed together */
#define IO_BATCH_REQUESTS 96            /* io 0 stops reading further connections at this many and executes */
#define IO_LOAD_NS        10000000ull   /* period of executor_load_percent */
#define IO_MOVE_BATCH     8             /* connections that an io asks the executor to move in one turn */
#define IO_MOVE_LOOK      64            /* and those that it looks at for them */
#define IO_MOVING_MAX     32            /* of one io on their way at a time */
#define IO_IDLE_NS        1000000000ull /* how long a thread without connections sleeps */
#define IO_TICK_NS        100000000ull
#define IO_REST_NS        1000000000ull /* half of what has not been needed for so long is given back */
#define IO_RETRY_NS       100000        /* how long a producer sleeps whose ring had no room for all */
#define IO_SPIN_NS        40000         /* about one wake-up of a sleeping core */
#define IO_BELL_NS        500000        /* how long what was published waits for the bell at most: B3 */
#define IO_BELL_RUNS      8             /* with fewer at the executor it does not wait */

/* Both directions of a ring carry pointers whose low bits say what they are. */
enum io_message {
    /* I/O thread -> executor */
    IO_RUN = 0,     /* struct run */
    IO_OPENED = 1,  /* struct conn: a new connection */
    IO_CLOSED = 2,  /* struct conn: its stream is gone */
    IO_MOVE = 3,    /* struct conn: wants to move to another io */
    IO_ADOPTED = 4, /* struct conn: has arrived at another io */
    IO_EXITED = 5,  /* struct io: the thread is ending, last message */
    IO_REPLIED = 6, /* struct io_report: a reply that the executor asked about has been sent */
    IO_LINK = 7,    /* struct io_link_message, in both directions: link.c */
    /* executor -> I/O thread */
    IO_RUN_DONE = 0,    /* struct run, with the replies to it (run->output) */
    IO_OUTPUT = 1,      /* struct chunk: head of a list, for conn `route` */
    IO_CLOSE_AFTER = 2, /* struct conn: CLOSE_AFTER_REPLIES */
    IO_CLOSE_NOW = 3,   /* struct conn */
    IO_FORGOTTEN = 4,   /* struct conn: the executor's last word about it */
    IO_MOVED = 5,       /* struct conn: may be handed to its new io */
    IO_UPGRADE = 6,     /* struct io_upgrade: change to shared memory */
};
#define IO_MESSAGE_MASK ((uintptr_t)7)

/* A queue of messages that did not fit into a ring; owned by the ring's producer. */
struct io_overflow {
    void **items;
    uint32_t first, count, capacity;
};

/* What other threads ask of an io, rarely. */
enum io_request_kind {
    IO_TAKE_STREAM,    /* struct stream: a new connection */
    IO_TAKE_CONN,      /* struct conn: from another io */
    IO_TAKE_LISTENER,  /* struct listener */
    IO_GIVE_LISTENERS, /* hand all listeners to the group's acceptor */
    IO_SPREAD,         /* move connections so that all active ios carry the same, and the others none */
    IO_DRAIN,          /* move everything away, then end the thread */
    IO_STAY,           /* or rather do not: the thread is wanted again */
    IO_CLOSE_ALL,      /* close every connection after its output */
    IO_DROP_ALL,       /* close every connection now */
    IO_CLOSE_LISTENER, /* struct listener, if it is here */
    IO_CLOSE_LISTENERS,
};

struct io_request {
    struct io_request *next;
    enum io_request_kind kind;
    void *subject;
};

/* What the executor asks for, with SHM OPEN. */
struct io_upgrade {
    struct conn *conn;
    struct port_rings rings;
};

struct io_link_message;

struct io_report {
    uint64_t report;
    uint64_t reply_ns;
};

struct io_counters {
    _Atomic uint64_t bytes_in, bytes_out, reads, writes, requests, connections;
};

struct io {
    struct io_group *group;
    unsigned index; /* 0: the executor's own */
    struct loop *loop;
    struct port port;
    uint64_t now_ns; /* monotonic, once per turn */

    /* Owner thread. */
    struct chunk_pool chunks_own;
    struct chunk_pool *chunks; /* io 0: the executor's, others: chunks_own */
    /* for the blocks that it builds: a sibling of the keyspace's; NULL: io 0, which builds none */
    struct heap *heap;
    struct stock runs;
    struct list_node conns;
    struct list_node ready;       /* conns with readiness not looked at */
    struct list_node unsent;      /* conns with output to send */
    struct list_node postponed;   /* conns whose output waits a moment for more of it */
    struct list_node sending;     /* conns that have had their share of a turn, and go on in the next */
    struct list_node stalled;     /* conns whose parsing waits for room in the ring */
    struct list_node closing;     /* conns to be reported as closed at the end of the turn */
    struct list_node moving;      /* conns that are to ask the executor for a move */
    struct list_node links;       /* outgoing: link.c */
    struct list_node links_ready; /* those with readiness not looked at */
    struct listener *listeners[IO_LISTENERS_MAX];
    unsigned listener_count;
    uint64_t outstanding; /* runs at the executor */
    uint64_t lingering;   /* conns of `conns` that linger */
    uint64_t leaving;     /* conns of `conns` that have been asked to move */
    bool spreading;       /* has more conns than it should, as far as it has looked */
    /* none could be asked to move just now: again when one has left, or at the next tick */
    bool spread_rests;
    uint64_t unforgotten; /* conns reported as closed and not forgotten by the executor yet */
    uint64_t next_tick_ns;
    uint64_t next_rest_ns;
    bool draining;

    /* pinned.c */
    struct pinning pinning; /* owner; other threads read its counters */
    struct list_node drains;
    struct loop_timer drain_timer;
    uint64_t drain_wait_ns;
    unsigned heard_resumed; /* host.resumed */

    /* To the executor (owner produces) and back (executor produces). Unused by io 0. */
    struct ring to_exec;
    struct io_overflow to_exec_overflow;
    bool owes_bell;              /* has published, and not rung yet; owner */
    uint64_t owes_bell_since_ns; /* the turn in which it did so first; owner */
    struct ring from_exec;
    struct io_overflow from_exec_overflow;
    struct chunk *output_held; /* executor: what IO_OUTPUT would say next, NULL: nothing is held back */

    pthread_t thread;
    bool running; /* executor */
    /* outgoing links that it has, or that are on their way to it; the executor adds, the owner subtracts */
    _Atomic uint32_t link_count;
    bool draining_asked; /* executor */

    pthread_mutex_t inbox_lock;
    struct io_request *inbox_head, *inbox_tail;
    bool inbox_closed; /* guarded by inbox_lock */
    _Atomic bool inbox_filled;

    _Atomic uint64_t spare_bytes; /* P1 */
    struct io_counters counters;
    struct work work;               /* io 0: the executor's */
    struct direct_counters *direct; /* of its direct reads; NULL: it makes none */
    uint32_t touch_seed;            /* for the access clocks of what they read */
    uint32_t follow_seed;           /* draws the request of a run whose reply is watched */
    /* by command id; the owner makes and fills them, the executor reads */
    _Atomic(struct durations *) *reply_times;
};

struct io_group {
    struct io_options options;
    struct shm_host shm;
    struct pinning_host pinning;
    _Atomic bool is_ending;             /* the process: io_group_free */
    struct io *ios[IO_THREADS_MAX + 1]; /* never freed before the group: another thread may hold one */
    _Atomic unsigned io_count;          /* ios that exist */
    _Atomic unsigned threads;           /* wanted I/O threads: ios 1 to `threads` run, or are about to */
    _Atomic unsigned active; /* of these, 1 to `active` carry connections; 0: io 0 carries everything */
    _Atomic unsigned next_target;
    _Atomic uint64_t next_client_id;
    _Atomic uint64_t rejected;
    _Atomic uint64_t query_closed;
    _Atomic uint64_t conn_count;
    unsigned processors;
    /* The executor's busy share of its last IO_LOAD_NS or so, 0 to 100; time in which it had no processor counts as
     * busy. It falls to 0 within IO_LOAD_NS after the executor has nothing to do. Executor writes, any thread reads. */
    _Atomic uint32_t executor_load_percent;
    _Atomic uint64_t direct_unsent_max; /* with more unsent output the executor answers reads */
    struct io_load_mark {
        uint64_t passed_ns, idle_ns; /* of the executor's totals */
    } load_mark;                     /* where the present period of it began; executor */
    /* How `active` follows the load. Executor. */
    bool follows_load;
    struct follow follow;
    uint64_t follow_at_ns;                               /* when the last sample was taken */
    struct work_totals follow_marks[IO_THREADS_MAX + 1]; /* of each io, at that time */
    _Atomic uint64_t active_changes;                     /* any thread reads */
    /* What is to be closed, and may be in the inbox of an io just now. */
    pthread_mutex_t listeners_lock;
    struct listener *unwanted[IO_LISTENERS_MAX]; /* guarded by listeners_lock */
    unsigned unwanted_count;                     /* guarded by listeners_lock */
    bool accepting;                              /* guarded by listeners_lock */
    uint32_t links_known;                        /* outgoing links that have not been forgotten; executor */
    /* The executor's batch under construction. */
    struct run *batch[IO_BATCH_RUNS];
    unsigned batch_count;
    unsigned batch_requests;
};

/* ---- thread.c -------------------------------------------------------------------------------------- */

/* One turn: what the executor sent, the inbox, ready connections, output, ends. True when there was something. */
bool io_turn(struct io *io);
/* Owner: waits in the event loop after a turn, and accounts for both: true when io->work's totals have changed. */
bool io_poll(struct io *io, bool some, uint64_t wait_ns);
/* Owner: there is more to do at once, so the thread must not sleep. What comes later rings the bell. */
bool io_must_go_on(const struct io *io);
void *io_thread_main(void *io);
/* Any thread. False when the io's thread is ending. */
bool io_ask(struct io *io, enum io_request_kind kind, void *subject);
/* Like io_ask, to whichever io should carry the next connection. */
void io_ask_some(struct io_group *group, enum io_request_kind kind, void *subject);
struct io *io_acceptor(struct io_group *group);
/* Any thread: a listener is to be closed; whether one is (then it is not noted any longer). */
void io_note_unwanted(struct io_group *group, struct listener *listener);
bool io_take_unwanted(struct io_group *group, struct listener *listener);

/* ---- balance.c ------------------------------------------------------------------------------------- */

/* The io that should carry the next connection. Any thread. */
unsigned io_choose(struct io_group *group);
/* Owner: looks for connections that others should carry, from now on until there are none. */
void io_spread(struct io *io);
/* Owner, each turn while io->spreading: asks for some of them to be moved. True when there were any. */
bool io_spread_step(struct io *io, bool tick);
/* Executor: so many of the threads, which run, carry connections from now on. */
void io_set_active(struct io_group *group, unsigned active);
/* Executor: from now on `active` follows the load, or stays. */
void io_follow_begin(struct io_group *group, bool follows_load);
/* Executor, at times: has it follow. */
void io_follow_load(struct io_group *group);

/* ---- bridge.c -------------------------------------------------------------------------------------- */

extern const struct port io_port;

/* Owner thread: says something to the executor (io 0: done at once). */
void io_tell(struct io *io, enum io_message message, void *subject);
/* Makes what was told visible; the executor may sleep until io_ring. */
void io_publish(struct io *io);
/* Wakes the executor if something has been published since the last ring: then true. */
bool io_ring(struct io *io);
/* False when the ring to the executor is so full that parsing should wait. */
bool io_has_room(const struct io *io);
/* Owner thread of a threaded io: carries out what the executor said. True when there was something. */
bool io_take_answers(struct io *io);
/* Executor: takes and executes what the threads have sent. True when there was something. */
bool io_bridge_serve(struct io_group *group);
/* Executor: executes the batch under construction. */
void io_execute_batch(struct io_group *group);
/* Executor: makes what was answered visible to the threads. */
void io_bridge_publish(struct io_group *group);
void io_overflow_done(struct io_overflow *overflow);

/* Executor: what it says to an outgoing link. */
void io_answer_link(struct io *io, struct io_link_message *message);

/* The run that a message to the executor is about, NULL: it is about something else. */
struct run *io_message_run(void *message);

/* ---- fetch.c --------------------------------------------------------------------------------------- */

/* Owner thread: asks for what the executor will look up for the runs that have been told and not been published. */
void io_fetch_told(struct io *io);

/* ---- link.c ---------------------------------------------------------------------------------------- */

/* Owner: looks at links that are ready. True when there were some. */
bool io_serve_links(struct io *io);
/* Owner: ends all of them. */
void io_drop_links(struct io *io);
/* Owner: what the executor says to one. Executor: what one says to it. The message is freed. */
void io_hear_link(struct io_link_message *message);
void io_executor_hear_link(struct io_link_message *message);

/* ---- pinned.c -------------------------------------------------------------------------------------- */

/* io->drain_timer: asks streams that drain. */
void io_look_at_drains(struct loop_timer *timer);
/* Tells the log whether io_uring can be used, if it is to be. */
void io_announce_uring(const struct io_group *group);
/* Owner, each tick: hears what was held back while completions were paused. */
void io_settle_pins(struct io *io);

/* ---- spare.c --------------------------------------------------------------------------------------- */

/* Owner. */
struct run *io_run_get(struct io *io);
void io_run_put(struct io *io, struct run *run);
/* Owner, each tick: gives back what has not been needed for a while. */
void io_rest(struct io *io);
/* Gives all of it back, of an io whose thread has ended. Executor. */
void io_drop_spare(struct io *io);

static inline void io_count(_Atomic uint64_t *counter, uint64_t by)
{
    /* One writer: a plain addition that other threads may read. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

#endif
