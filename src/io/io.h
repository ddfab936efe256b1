/* Input and output: connections, the threads that own them, and their way to the executor and back.
 *
 * Principal entry points: io_group_new, io_group_add_listener, io_group_serve, io_group_set_threads,
 * io_group_close_all.
 * See also: io/conn.h (one connection), io/thread.c (an I/O thread's turn), io/bridge.c (the executor's end of the
 * rings), exec/port.h.
 *
 * An io owns connections: it accepts, reads, parses, looks commands up, hashes keys, writes and frees. The io with
 * index 0 runs on the executor's own thread and calls the executor straight; the others have a thread and a pair
 * of rings each. With `io-threads 0` all connections are on io 0.
 *
 * Threads: io_group_* are for the executor's thread, unless said.
 *
 * I1  A connection belongs to one io at a time; it moves only by the protocol in bridge.c.
 * I2  What one io says to the executor arrives in order; what the executor says to one io arrives in order. */
#ifndef SKUA_IO_IO_H
#define SKUA_IO_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "io/work.h"

struct clock;
struct config;
struct durations;
struct exec;
struct io_group;
struct listener;
struct log;
struct loop;
struct pinning_totals;
struct shm_totals;
struct stream;
struct buf;

#define IO_THREADS_MAX 128

struct io_options {
    const struct clock *clock;
    const struct config *config;
    struct exec *exec;
    struct loop *loop; /* the executor's: io 0 works on it */
    struct log *log;
    uint64_t hash_seed;
};

struct io_group *io_group_new(const struct io_options *options);

/* Drops the connections that are left, ends the threads and frees everything. */
void io_group_free(struct io_group *group);

/* Takes over a detached listener whose accepted streams go to io_group_accept. */
void io_group_add_listener(struct io_group *group, struct listener *listener);

/* For listen_options.accepted, with the group as context. Any I/O thread. */
void io_group_accept(void *group, struct stream *stream);

/* One turn of the executor's side: takes what the rings and io 0's connections have, executes it, writes replies.
 * Returns true when there was something to do. */
bool io_group_serve(struct io_group *group);

/* The end of the executor's turn: waits in its event loop for at most `wait_ns`. `some`: the turn had something to do,
 * in io_group_serve or elsewhere. The next turn begins with what is not io_group_serve (WORK_UPKEEP). */
void io_group_poll(struct io_group *group, bool some, uint64_t wait_ns);

/* There is more to serve at once: the executor must not sleep. What comes later rings the bell of its loop. */
bool io_group_must_go_on(const struct io_group *group);

/* For how long the executor may look for work before it sleeps; 0 where spinning would take the processor from
 * the threads that it waits for. */
uint64_t io_group_spin_ns(const struct io_group *group);

/* For how long the executor may sleep as far as the threads are concerned: UINT64_MAX, or shortly when a ring had no
 * room for all answers, or when others have to be told that it is no longer busy. */
uint64_t io_group_wait_ns(const struct io_group *group);

/* Changes the number of I/O threads, and whether all of them are in use or as many as the load needs; connections move by
 * and by. ST_IO when a thread cannot be had, ST_AGAIN when
 * one that is needed is still on its way out from an earlier change. Not from inside a command. */
enum status io_group_set_threads(struct io_group *group, unsigned count, bool always_active);

/* Closes one listener, wherever it is by now. */
void io_group_close_listener(struct io_group *group, struct listener *listener);

/* Closes all listeners. */
void io_group_stop_accepting(struct io_group *group);

/* Asks every connection to close after its pending output; io_group_serve carries it out.
 * io_group_connection_count says when all are gone. */
void io_group_close_all(struct io_group *group);
uint64_t io_group_connection_count(const struct io_group *group);

/* Connections with more unsent output than that have their reads answered by the executor, which enforces the limits of
 * output. */
void io_group_set_direct_unsent_max(struct io_group *group, uint64_t bytes);

/* DEBUG: sends to peers on this host may go without copying, too (the kernel copies them all the same); what the kernel tells of such sends is
 * held back. */
void io_group_pin_loopback(struct io_group *group, bool is_allowed);
void io_group_pause_pins(struct io_group *group, bool is_paused);

/* ---- Statistics ----------------------------------------------------------------------------------- */

struct io_totals {
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t reads;        /* recv calls that gave bytes */
    uint64_t writes;       /* send calls that took bytes */
    uint64_t requests;     /* parsed */
    uint64_t rejected;     /* connections refused: maxclients, protected mode */
    uint64_t query_closed; /* connections closed for client-query-buffer-limit */
    uint64_t connections;  /* now */
    struct work_totals work;
};

/* Sum over all ios. Any thread. */
void io_group_totals(const struct io_group *group, struct io_totals *ret_totals);
/* One io, 0 .. io_group_thread_count. Any thread. */
void io_group_thread_totals(const struct io_group *group, unsigned index, struct io_totals *ret_totals);
/* Sessions of shared memory. Any thread. */
void io_group_shm_totals(const struct io_group *group, struct shm_totals *ret_totals);
/* Memory of its own, in bytes. Executor. */
struct io_memory {
    uint64_t threads; /* what each thread takes from its start on */
    uint64_t spare;   /* buffers that wait for the next requests: what each io had at its last tick */
};
void io_group_memory(const struct io_group *group, struct io_memory *ret_memory);
/* Sends without copying. Any thread. */
void io_group_pinning_totals(const struct io_group *group, struct pinning_totals *ret_totals);
/* How long replies of a command took (exec/blame.h) in all ios, added to `sum`; and starts counting anew. Executor. */
void io_group_add_reply_times(const struct io_group *group, unsigned command, struct durations *sum);
void io_group_forget_reply_times(struct io_group *group);
/* The executor's busy share of its last 10 milliseconds or so, 0 to 100. While a turn lasts longer than that, as it was
 * before. Any thread. */
unsigned io_group_executor_load(const struct io_group *group);
/* Running I/O threads (without io 0). Any thread. */
unsigned io_group_thread_count(const struct io_group *group);
/* Those of them that carry connections, and how often that number has changed. Any thread. */
unsigned io_group_active_count(const struct io_group *group);
uint64_t io_group_active_changes(const struct io_group *group);

#endif
