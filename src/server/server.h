/* The server: puts the parts together, runs them, takes them apart. Glue only.
 *
 * Principal entry points: server_new, server_run, server_turn, server_request_shutdown, server_free.
 * There is no global server: a process may hold several (simulation tests do).
 * Threads: the thread that calls server_new is the executor; server_request_shutdown may be called from a signal
 * handler. */
#ifndef SKUA_SERVER_SERVER_H
#define SKUA_SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/status.h"

struct config;
struct file_system;
struct log;
struct server;
struct stream;
struct transport;
struct worker_pool;

struct server_options {
    struct config *config;     /* taken over */
    const struct clock *clock; /* NULL: the machine's */
    const struct title *title; /* of the process (process.h); NULL: it stays as it is */
    bool simulated;            /* no descriptors, no threads, no log: the caller drives server_turn */
    uint64_t seed;             /* simulated only; otherwise drawn from the system */
    /* What a simulated server may have besides. */
    /* for links to other servers; NULL: TCP, which a simulated loop refuses */
    const struct transport *transport;
    struct worker_pool *workers;     /* taken over; stepped by the caller. NULL: there are none */
    const struct file_system *files; /* a disk, whose data are loaded at the start; NULL: nothing is loaded */
    struct log *log;                 /* taken over; NULL: there is none */
};

/* ST_OK, or an error with *ret_error saying what (a port that is taken, a directory that is not there, …). */
enum status server_new(const struct server_options *options, struct server **ret_server,
                       struct buf *ret_error);

/* Serves until a shutdown is asked for, then closes all connections and returns the exit status. */
int server_run(struct server *server);

/* One turn of the main loop; waits for at most `wait_ns`. Returns false when the server has ended. */
bool server_turn(struct server *server, uint64_t wait_ns);

/* Async-signal-safe. */
void server_request_shutdown(struct server *server);

/* Async-signal-safe: SIGTERM or SIGINT has come; ends the server as shutdown-on-sigterm or shutdown-on-sigint says,
 * and at once when a SIGINT comes after the shutdown has begun. */
void server_signal(struct server *server, int signal_number);

/* For simulation: gives the server a connection that a simulated transport has accepted. */
void server_accept(struct server *server, struct stream *stream);

/* After server_run has returned, or server_turn has said false. */
void server_free(struct server *server);

struct exec *server_exec(struct server *server);

#endif
