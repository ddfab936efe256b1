/* The transport contract of the client side: what a connection needs of whatever carries its bytes.
 *
 * Principal entry points: stream_actions_of, and the actions, called through struct stream_actions.
 * A transport is a row in schemes.c and a struct of actions; tcp.c, unix.c and shm.c are three, and TLS and RDMA
 * have their place there. Its object begins with struct stream.
 * Threads: the client's; what a transport does in threads of its own is its secret.
 *
 * T1: no action waits, raises SIGPIPE or leaves a descriptor that a child process would inherit.
 * T2: descriptor() may change only in advance(). The one that was there before the call stays open until the next
 *     call of advance() or close(), so that the caller's loop can let go of it first.
 * T3: after an action has failed only descriptor() and close() are called.
 *
 * Bytes that come through memory leave no trace at a descriptor. A stream that is in_memory has four more actions, and
 * who uses it keeps to this:
 * T4: before the descriptor is waited for rest() has answered false, and since then nothing but wake() has taken what
 *     made it ready. */
#ifndef SKUA_CLIENT_STREAM_H
#define SKUA_CLIENT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <skua/reply.h>
#include <skua/status.h>
#include <skua/url.h>

#include "client/fault.h"

struct stream;

/* What a stream is opened with. All of it outlives the stream. */
struct stream_setup {
    const struct skua_url *url;
    const char *source_address; /* or NULL */
    int keepalive_s;            /* 0: none */
    int64_t deadline_ms;        /* of the attempt, on the clock of clock.h; CLOCK_NEVER: none */
    const struct skua_allocator *allocator;
};

struct stream_actions {
    /* Why there is no such transport here, and then none of the actions but `describe`; or NULL. */
    const char *unsupported;

    /* Writes the server's address as people know it, such as "127.0.0.1:6379". */
    void (*describe)(const struct skua_url *url, char *text, size_t size);

    /* Begins to connect. SKUA_OK: there is a stream, to be given to advance; any other: there is none, see `fault`. */
    enum skua_status (*open)(const struct stream_setup *setup, struct stream **ret_stream,
                             struct fault *fault);

    /* Goes on connecting. SKUA_OK: connected, and not to be called again. SKUA_AGAIN: call it when the descriptor is
     * ready, and at advance_ms in any case; calls in between do no harm. */
    enum skua_status (*advance)(struct stream *stream, struct fault *fault);

    /* Receives at most `capacity` bytes, at least one. SKUA_AGAIN: none now. SKUA_ERR_CLOSED: the server has ended its
     * sending; the text is the caller's to write. SKUA_ERR_IO. */
    enum skua_status (*receive)(struct stream *stream, void *space, size_t capacity, size_t *ret_size,
                                struct fault *fault);

    /* Sends the beginning of the vector, at least one byte of it. SKUA_AGAIN: none now. SKUA_ERR_IO. */
    enum skua_status (*send)(struct stream *stream, const struct iovec *vector, int count, size_t *ret_size,
                             struct fault *fault);

    /* For poll() and its like. -1 only while connecting. */
    int (*descriptor)(const struct stream *stream);

    /* What the descriptor is to be watched for (SKUA_READ, SKUA_WRITE) when the connection would like to do `wish`; the
     * two differ while connecting, and for transports that must receive in order to send. */
    unsigned (*want)(const struct stream *stream, unsigned wish);

    /* Ends it, whatever it was at, and frees it. */
    void (*close)(struct stream *stream);

    /* ---- Of streams that are in_memory; never called for others ---- */

    /* The descriptor was found ready. */
    void (*wake)(struct stream *stream);

    /* Waits for the descriptor, as poll() does, for at most `timeout_ms` (-1: for ever). Whether it was found ready. */
    bool (*wait)(struct stream *stream, int timeout_ms);

    /* Somebody is about to wait for the descriptor until a part of `wish` (SKUA_READ, SKUA_WRITE; or nothing) can be done.
     * True: receive or send can do something now, if only fail: do not wait. With `may_watch`, for calls that wait, it
     * looks for some microseconds before it answers false. */
    bool (*rest)(struct stream *stream, unsigned wish, bool may_watch);

    /* Nobody waits for the descriptor from now on, up to the next rest: the other side need not make it ready. False: it
     * is better to sleep all the same, since there is but one processor. */
    bool (*stay_awake)(struct stream *stream);

    /* What could be done now, SKUA_READ and SKUA_WRITE; no more than a look. */
    unsigned (*look)(const struct stream *stream);
};

struct stream {
    const struct stream_actions *actions;
    int64_t advance_ms;    /* while connecting: see advance; CLOCK_NEVER: the descriptor tells */
    const char *transport; /* what carries the bytes: "tcp", "unix", "shm" */
    bool in_memory;        /* since advance said SKUA_OK */
};

/* The transport of a scheme, never NULL. */
const struct stream_actions *stream_actions_of(enum skua_scheme scheme);

/* The transports of this folder. */
extern const struct stream_actions tcp_stream_actions;
extern const struct stream_actions unix_stream_actions;
extern const struct stream_actions shm_stream_actions;

#endif
