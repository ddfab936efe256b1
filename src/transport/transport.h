/* What every transport is: the contract between bytes and the rest of the server.
 *
 * Principal entry points: transport_listen, listener callbacks, stream_recv, stream_send, stream_want,
 * stream_close.
 * There is no file descriptor in this contract: shared memory and RDMA come in behind it. Filters (TLS, proxy
 * protocol) stack on a stream by implementing the same operations on top of another stream.
 * Threads: a stream belongs to one thread (the one whose loop it is attached to); a listener likewise.
 *
 * S1  A transport calls back only to say "ready" (stream->ready) or "accepted"; these callbacks may only mark.
 *     The owner then drains from its own loop. No callback ever frees a stream.
 * S2  Readiness is level style: as long as stream_recv could return bytes and receiving is wanted, `ready` is
 *     called again in each loop_poll.
 * S3  stream_send takes any prefix of what is offered; ST_AGAIN means nothing was taken. After ST_AGAIN or a
 *     short send the owner asks for STREAM_WANT_SEND and waits for `ready`.
 * S4  After ST_IO the only permitted operations are stream_describe and stream_close. After ST_EOF of stream_recv
 *     the peer may still take what it is sent: everything but stream_recv goes on.
 *     STREAM_AT_END tells who wants it that the peer sends nothing more, however much there is still to receive.
 * S5  stream_detach and stream_attach move a stream from one loop to another between two operations, unless it is_bound.
 * S6  A stream of a transport with TRANSPORT_ZERO_COPY_SEND can send without copying once its owner has given it a `pinning`. It has
 *     `pins` from the first time on: what stream_send_pinned took must stay, unchanged, until stream->pins->free_end has passed it. STREAM_UNPINNED tells, wanted or not, that it has moved. stream_send copies, always,
 *     and both may follow each other.
 * S7  With sends in flight stream_close may not be called; stream_dissolve ends the connection so that they are over at
 *     once, or nearly: it says which. */
#ifndef SKUA_TRANSPORT_TRANSPORT_H
#define SKUA_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/slice.h"
#include "base/status.h"
#include "transport/pins.h"

struct loop;
struct pinning;
struct stream;
struct listener;

enum stream_want { STREAM_WANT_RECV = 1, STREAM_WANT_SEND = 2, STREAM_WANT_END = 4 };
enum stream_ready { STREAM_CAN_RECV = 1, STREAM_CAN_SEND = 2, STREAM_AT_END = 4, STREAM_UNPINNED = 8 };

enum transport_capability {
    TRANSPORT_OWN_RECEIVE_MEMORY = 1, /* hands out its own memory instead of filling the caller's */
    TRANSPORT_ZERO_COPY_SEND = 2,     /* can send pinned memory and reports when it is free again */
    TRANSPORT_PEER_IDENTITY = 4,      /* knows who the peer is (Unix credentials) */
};

struct stream_description {
    char peer[128];
    char local[128];
    int descriptor;       /* for CLIENT LIST's fd=, -1 where there is none */
    bool is_loopback;     /* the peer is on this host: protected mode lets it in */
    bool is_local_socket; /* Unix socket or another local-only transport */
    /* Only with TRANSPORT_PEER_IDENTITY: who connected; pid 0 where it is not known. */
    int peer_pid;
    unsigned peer_uid;
    unsigned peer_gid;
};

struct listen_options;

struct transport {
    const char *name;
    unsigned capabilities;
    enum status (*listen)(const struct transport *transport, struct loop *loop,
                          const struct listen_options *options, struct listener **ret_listener);
    enum status (*connect)(const struct transport *transport, struct loop *loop, const char *address,
                           struct stream **ret_stream);
};

struct stream_ops {
    enum status (*recv)(struct stream *stream, void *ret_bytes, size_t capacity, size_t *ret_size);
    enum status (*send)(struct stream *stream, const struct slice *slices, size_t count, size_t *ret_sent);
    void (*want)(struct stream *stream, unsigned wants);
    enum status (*attach)(struct stream *stream, struct loop *loop);
    void (*detach)(struct stream *stream);
    void (*close)(struct stream *stream);
    void (*describe)(const struct stream *stream, struct stream_description *ret_description);
    void (*set_keepalive)(struct stream *stream, unsigned seconds);
    /* S6, S7: with TRANSPORT_ZERO_COPY_SEND only. */
    enum status (*send_pinned)(struct stream *stream, const struct slice *slices, size_t count,
                               size_t *ret_sent);
    bool (*dissolve)(struct stream *stream);
    bool (*settle)(struct stream *stream);
};

/* The part that every transport's stream begins with. */
struct stream {
    const struct stream_ops *ops;
    const struct transport *transport;
    unsigned wants;    /* enum stream_want, as last asked for */
    struct pins *pins; /* S6; NULL: nothing has been sent pinned */
    /* S6: that of the loop's thread. Set by the owner, before anything is sent pinned and before each stream_attach; NULL: copies. */
    struct pinning *pinning;
    bool is_bound; /* what is in flight belongs to the loop: not to be moved to another now */
    /* S1. Set by the owner. `events` is a set of enum stream_ready. */
    void (*ready)(struct stream *stream, unsigned events);
    void *owner;
};

struct listen_options {
    const char *address; /* tcp: "127.0.0.1", "::1", a name, "*" (all of IPv4), "::*" (all of IPv6), "-::*" (a
                          * leading '-': may be missing); unix: path */
    uint16_t port;       /* tcp; 0: any (tests; see listener->port) */
    int backlog;
    unsigned permissions; /* unix: mode bits of the socket, 0: leave */
    const gid_t *group;   /* unix: whom the socket belongs to, NULL: leave */
    /* S1. Called with each accepted stream, which is attached to no loop yet and now belongs to the callee. */
    void (*accepted)(void *context, struct stream *stream);
    void *context;
};

struct listener {
    const struct transport *transport;
    void (*close)(struct listener *listener); /* also removes a Unix socket's file */
    /* A listener starts attached to the loop it was made for, and can move to another thread's. */
    enum status (*attach)(struct listener *listener, struct loop *loop);
    void (*detach)(struct listener *listener);
    uint16_t port; /* tcp: as bound, also when 0 was asked for */
};

extern const struct transport transport_tcp;
extern const struct transport transport_unix;

/* ST_INVALID: the address is none. ST_NOT_FOUND: an optional address does not exist on this machine.
 * ST_RANGE: a path longer than a Unix socket can have. ST_EXISTS: a server answers at that path, or what lies
 * there is no socket; it is left alone. ST_UNSUPPORTED: the loop is simulated. ST_IO with errno for the rest. */
static inline enum status transport_listen(const struct transport *transport, struct loop *loop,
                                           const struct listen_options *options,
                                           struct listener **ret_listener)
{
    return transport->listen(transport, loop, options, ret_listener);
}

/* Starts connecting; the stream is attached, wants nothing, and is usable when it says STREAM_CAN_SEND; a
 * failure shows in the first stream_send or stream_recv. tcp: "127.0.0.1:6379" or "[::1]:6379" (names are not
 * looked up, that would wait), unix: path. ST_AGAIN: a Unix socket's queue is full. Others as
 * transport_listen. */
static inline enum status transport_connect(const struct transport *transport, struct loop *loop,
                                            const char *address, struct stream **ret_stream)
{
    return transport->connect(transport, loop, address, ret_stream);
}

/* ST_OK with *ret_size > 0, ST_AGAIN, ST_EOF, ST_IO. */
static inline enum status stream_recv(struct stream *stream, void *ret_bytes, size_t capacity,
                                      size_t *ret_size)
{
    return stream->ops->recv(stream, ret_bytes, capacity, ret_size);
}

/* ST_OK with *ret_sent > 0 (maybe fewer than offered), ST_AGAIN, ST_IO. At most STREAM_SLICES_MAX slices. */
#define STREAM_SLICES_MAX 64
static inline enum status stream_send(struct stream *stream, const struct slice *slices, size_t count,
                                      size_t *ret_sent)
{
    return stream->ops->send(stream, slices, count, ret_sent);
}

/* S6. As stream_send; ST_UNSUPPORTED: not now (the stream copies for a while, or the kernel has no memory to keep track): use stream_send.
 * Only what lies in pinned memory is offered. */
static inline enum status stream_send_pinned(struct stream *stream, const struct slice *slices, size_t count,
                                             size_t *ret_sent)
{
    return stream->ops->send_pinned(stream, slices, count, ret_sent);
}

/* S6. Sends are in flight. */
static inline bool stream_is_pinned(const struct stream *stream)
{
    return stream->pins != NULL && pins_in_flight(stream->pins) > 0;
}

/* S6, with `pins` only. Takes note of completions that have come and have not been told; true: free_end has moved. For after a time in which they
 * were held back (DEBUG PAUSE-ERRQUEUE-EVENTS). */
static inline bool stream_settle(struct stream *stream)
{
    return stream->ops->settle(stream);
}

/* S7. True: nothing is in flight any more. The stream is detached and its peer has heard of the end. Afterwards stream_describe, stream_dissolve and
 * stream_close are permitted; after false nobody tells, stream_dissolve is to be called again. */
static inline bool stream_dissolve(struct stream *stream)
{
    return stream->ops->dissolve(stream);
}

/* Which readiness is reported from now on; on an attached stream only. A newly attached stream wants nothing. */
static inline void stream_want(struct stream *stream, unsigned wants)
{
    if (stream->wants != wants)
        stream->ops->want(stream, wants);
}

static inline enum status stream_attach(struct stream *stream, struct loop *loop)
{
    return stream->ops->attach(stream, loop);
}

static inline void stream_detach(struct stream *stream)
{
    stream->ops->detach(stream);
}

/* Ends the connection and frees the stream. */
static inline void stream_close(struct stream *stream)
{
    stream->ops->close(stream);
}

/* After this much silence the peer is asked for a sign of life, and given up after as long again. 0: never.
 * Does nothing where the transport needs no such thing. */
static inline void stream_set_keepalive(struct stream *stream, unsigned seconds)
{
    stream->ops->set_keepalive(stream, seconds);
}

/* Costs system calls: for the start of a connection and for people, not for each request. */
static inline void stream_describe(const struct stream *stream, struct stream_description *ret_description)
{
    stream->ops->describe(stream, ret_description);
}

#endif
