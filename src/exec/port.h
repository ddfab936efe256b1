/* The executor's way back to a connection's I/O thread.
 *
 * With `io-threads 0` these are plain calls on the same thread; otherwise each puts a message into the return
 * ring of the I/O thread. Order is kept: what the executor says first happens first; and what it has written into
 * conn_shared before, the I/O thread sees. None of them waits, and none of them calls back into the executor.
 * Threads: executor. */
#ifndef SKUA_EXEC_PORT_H
#define SKUA_EXEC_PORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/chunk.h"
#include "base/waits.h"
#include "exec/request.h"

struct exec_post;

/* Output of a connection that is so far gone that more is welcome. */
#define PORT_DRAINED_SIZE ((uint64_t)512 << 10)

enum close_how {
    CLOSE_AFTER_REPLIES, /* what has been sent so far still goes out */
    CLOSE_NOW,
};

/* What SHM OPEN asks for: sizes in bytes. */
struct port_rings {
    uint64_t request, reply;
    uint8_t resp;
};

struct port {
    /* Bytes for the connection; the list is taken over and left empty. */
    void (*output)(struct port *port, struct conn *conn, struct chunk_list *bytes);
    /* The run has been executed, and its output handed over (N4). */
    void (*run_done)(struct port *port, struct run *run);
    /* Asks the I/O thread to close. It answers with exec_client_closed like for any other end. */
    void (*close)(struct port *port, struct conn *conn, enum close_how how);
    /* Asks for the connection to go on over shared memory. The answer, which is the I/O thread's, comes behind all output so
     * far, in the RESP version of `rings`. */
    void (*upgrade)(struct port *port, struct conn *conn, const struct port_rings *rings);
    /* The executor has forgotten the connection: last message about it. */
    void (*forgotten)(struct port *port, struct conn *conn);
};

/* What both sides say about a connection. Fixed parts are written before the connection is handed to the
 * executor; the rest are relaxed atomics that tell the other side something without need for order. */
struct conn_shared {
    /* Fixed. */
    uint64_t id;
    char peer[128]; /* "127.0.0.1:50000", "/tmp/s.sock:0" */
    char local[128];
    int descriptor; /* -1 where the transport has none */
    bool is_local_socket;
    const char *_Atomic transport;
    /* Written by the I/O thread. */
    _Atomic uint64_t query_bytes; /* unparsed bytes */
    _Atomic uint64_t query_free;
    _Atomic uint64_t output_bytes; /* not yet sent */
    _Atomic uint32_t output_chunks;
    _Atomic uint64_t pinned_bytes; /* sent, and still read by the kernel (io/pinned.c) */
    _Atomic uint64_t bytes_in;
    _Atomic uint64_t bytes_out;
    _Atomic uint32_t io_thread;
    struct waits waits; /* over shared memory */
    /* Reads that it answered itself (exec/direct.h). */
    _Atomic uint64_t direct_reads;
    _Atomic uint64_t direct_ns; /* when it answered the last one, monotonic */
    /* of the last request, if that was one of them; else NULL */
    const struct command *_Atomic direct_command;
    /* Set by the executor, taken by whoever comes first, it or the I/O thread: is posted (exec/post.h) when no more than
     * PORT_DRAINED_SIZE bytes of output are left. NULL: nobody waits for that. */
    struct exec_post *_Atomic drained;
    /* Written by the executor. */
    _Atomic uint32_t direct; /* whether reads may be answered without it: DIRECT_MAY_READ … (exec/direct.h) */
    _Atomic bool authenticated; /* full request limits apply */
    _Atomic bool exempt_from_idle_timeout;
    _Atomic uint8_t output_class; /* enum output_class */
};

/* Output that takes memory: not yet sent, or sent and still read by the kernel. */
static inline uint64_t conn_shared_unsent(const struct conn_shared *shared)
{
    return atomic_load_explicit(&shared->output_bytes, memory_order_relaxed) +
           atomic_load_explicit(&shared->pinned_bytes, memory_order_relaxed);
}

/* client-output-buffer-limit's classes. */
enum output_class { OUTPUT_NORMAL, OUTPUT_REPLICA, OUTPUT_PUBSUB, OUTPUT_CLASS_COUNT };

#endif
