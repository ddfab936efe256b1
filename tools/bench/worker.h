/* One thread of load: its connections, its stream of requests, what it has counted.
 *
 * Principal entry points: worker_init, worker_main, worker_done. The folder's load.c alone uses this.
 * Threads: a worker belongs to its own thread between load_begin and its end; only `live` and struct load_control are
 * looked at from elsewhere, and they are atomic.
 * I1: in_flight is the sum of `count` over all connections. I2: a connection's entries[head .. head + count) are its
 * requests without a reply, in order. I3: what was sent before begin_ns is not counted anywhere. */
#ifndef SKUA_BENCH_WORKER_H
#define SKUA_BENCH_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/macros.h"
#include "bench/load.h"
#include "bench/look.h"
#include "bench/series.h"

/* How threads begin together and are ended. */
struct load_control {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned ready;    /* workers that have connected or given up; guarded by lock */
    unsigned finished; /* guarded by lock */
    bool started;      /* start_ns is valid; guarded by lock */
    uint64_t start_ns; /* of the warm-up */
    atomic_bool stop;  /* send no more, and take what comes soon */
};

/* A request on its way. */
struct entry {
    uint64_t sent_ns;
    uint64_t due_ns; /* open loop */
    uint64_t key;
    uint32_t step;
};

struct worker;

struct conn {
    struct worker *worker;
    struct skua_client *client;
    unsigned watched;   /* SKUA_READ and SKUA_WRITE, as epoll was told */
    bool watches_ready; /* epoll was told about the descriptor of the connection that is ready */
    bool ready;
    bool unseen;   /* shared memory: replies may have come with the last skua_run, that nobody has taken */
    bool flushing; /* in the worker's list of connections with something to send */
    unsigned count, head;
    struct entry *entries; /* a ring of worker->ring_mask + 1 */
    int follow;            /* step that must come next, or -1 */
    uint64_t follow_key;
    uint64_t retry_ns;   /* 0, or when to connect anew */
    uint32_t reply_type; /* of the reply whose items are coming */
    unsigned retries;
};

struct worker_live {
    atomic_uint_fast64_t requests, failures, backlog;
};

struct worker {
    const struct load_settings *settings;
    struct load_control *control;
    struct series *series;
    unsigned index;
    pthread_t thread;
    int epoll;
    struct conn *conns;
    unsigned conn_count, ready_count, broken_count;
    bool in_memory; /* the connections are asked to go through shared memory */
    bool awake;     /* and each connection knows that we do */
    struct look look;
    bool is_hopeless; /* what is in flight was sent to a server that had nothing to do for long: it sleeps */
    unsigned turn;    /* open loop: which connection is asked first */
    struct entry *entries;
    unsigned ring_mask;
    struct conn **flush; /* open loop: connections with something to send; flush_count of them */
    unsigned flush_count;
    bool waits_for_room; /* open loop: a request is due and each connection is full, until a reply comes */
    struct generator generator;
    struct rng rng; /* which step, and when */
    struct arrivals arrivals;
    struct buf batch;

    uint64_t now_ns;
    uint64_t begin_ns, end_ns; /* of MEASURE; end_ns UINT64_MAX without a duration */
    uint64_t quota, issued;    /* counted requests to send, and those that were */
    uint64_t in_flight;
    uint64_t heard_ns; /* when a reply last came, or nothing was waited for */
    uint64_t last_ns;  /* when the last counted reply came */
    uint64_t alone_ns; /* since when not one connection is ready; 0: there is one */

    struct bench_counts counts;
    struct bench_text texts[BENCH_TEXTS];
    struct bench_command_result groups[WORKLOAD_GROUPS_MAX];
    struct histogram service; /* open loop only; in a closed one the groups have it */
    struct histogram late;    /* open loop only: see struct bench_result */
    struct histogram window;  /* latency in the window under way */
    struct window_counts window_counts;
    unsigned window_index;
    uint64_t window_end_ns;
    uint64_t backlog_max, backlog_end;
    bool failed; /* could not go on: problem says why */
    char problem[256];

    struct worker_live live CACHE_ALIGNED;
};

void worker_init(struct worker *worker, const struct load_settings *settings, struct load_control *control,
                 struct series *series, unsigned index);
void worker_done(struct worker *worker);
/* The thread's function; `argument` is its worker. */
void *worker_main(void *argument);

uint64_t load_now_ns(void);

#endif
