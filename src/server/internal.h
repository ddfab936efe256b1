/* What the files of server/ share. */
#ifndef SKUA_SERVER_INTERNAL_H
#define SKUA_SERVER_INTERNAL_H

#include "base/chunk.h"
#include "config/config.h"
#include "exec/exec.h"
#include "io/io.h"
#include "loop/loop.h"
#include "observe/observe.h"
#include "server/process.h"
#include "server/server.h"
#include "transport/transport.h"

#define SERVER_WORKERS       2
#define SERVER_BULK_WORKERS  2
#define SERVER_LISTENERS_MAX 16

/* running (also while data is saved before the end, server_save_first) -> stopping (listeners closed, connections finish their output) -> ended (no connection left, or the
 * time for that is over) */
enum server_state { SERVER_RUNNING, SERVER_STOPPING, SERVER_ENDED };

struct server {
    enum server_state state;
    struct config *config;
    struct clock real_clock;
    const struct clock *clock;
    struct log *log;
    struct worker_pool *workers;
    struct file_system *debug_files; /* of a debug build that was asked for them; NULL: the machine's */
    struct loop *loop;
    struct chunk_pool chunks;
    struct exec *exec;
    struct io_group *io;
    struct observe observe;
    bool simulated;
    bool io_threads_pending; /* the number of I/O threads in force is not the configured one yet */
    uint64_t stop_deadline_ns;
    uint64_t next_close_ns;     /* while stopping: when to ask the connections again */
    bool is_saving;             /* before stopping; clients wait */
    int saving_requested;       /* enum exec_shutdown, as it was then */
    uint64_t replicas_until_ns; /* how long replicas are waited for before saving; 0: they are not, yet */
    bool replicas_waited;       /* and have been */
    bool waiting_logged;        /* while stopping: the log says whom the server waits for */
    uint64_t spin_until_ns;
    bool pidfile_written;
    char *directory; /* the working directory; as `dir`, but for the moment in which that changes */
    /* Before the last CONFIG SET dir: when another option of it is refused, the way back must not fail. */
    char *former_directory;    /* NULL: there is none */
    int former_descriptor;     /* of it */
    const struct title *title; /* NULL: it stays as it is */
    struct oom_score oom_score;
    bool ready_logged; /* the log says that the data of the start is there */
    int exit_status;   /* of the process */
    struct server_listener {
        const struct transport *transport;
        char *address;
        uint16_t port;
        struct listener *listener; /* owned by the I/O side */
    } listeners[SERVER_LISTENERS_MAX];
    unsigned listener_count;
};

/* ---- directory.c ---------------------------------------------------------------------------------- */

/* At the start: goes to `dir`, and has the option say where that is. */
enum status server_enter_directory(struct server *server, struct buf *ret_error);

/* The option `dir` has changed. */
bool server_change_directory(struct config *config, void *server, struct buf *ret_error);

void server_forget_directories(struct server *server);

/* ---- ending.c ------------------------------------------------------------------------------------- */

/* An end has been asked for. To be called in each turn until it answers true: what is to be saved has been, and the server may stop.
 * When it cannot be saved the server goes on running, as if nothing had been asked. */
bool server_save_first(struct server *server);

/* ---- listen.c ------------------------------------------------------------------------------------- */

/* Opens what bind, port and unixsocket say. Nothing is left open on failure. */
enum status server_listen(struct server *server, struct buf *ret_error);

/* Listens on what bind and port say now: opens what is new, closes what is no longer wanted, keeps the rest. */
bool server_listen_again(struct config *config, void *server, struct buf *ret_error);

/* Frees the records; the I/O side has closed the listeners themselves. */
void server_forget_listeners(struct server *server);

/* How to connect, one line an address; for the start-up message. */
void server_describe_addresses(const struct server *server, struct buf *ret_text);

/* ---- settings.c ----------------------------------------------------------------------------------- */

/* Puts the options that other parts keep a copy of into force, and registers for their changes. */
void server_apply_settings(struct server *server);

/* The process's title and oom-score-adj, at the start and when the role has changed. False with *ret_error: an option cannot be carried out. */
bool server_apply_process_settings(struct server *server, struct buf *ret_error);

/* Carries out a change of io-threads; not from inside a command. */
void server_update_io_threads(struct server *server);

/* ---- users.c -------------------------------------------------------------------------------------- */

/* Reads the users that the configuration names. ST_INVALID, ST_IO: *ret_error says what is wrong where. */
enum status server_load_users(struct exec *exec, struct buf *ret_error);

#endif
