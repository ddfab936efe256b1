/* What the transports over kernel sockets share: streams and listeners around a descriptor.
 *
 * Principal entry points: socket_stream_new, socket_stream_ops, socket_listener_new. Private to
 * src/transport. Threads: as transport/transport.h says. */
#ifndef SKUA_TRANSPORT_SOCKET_H
#define SKUA_TRANSPORT_SOCKET_H

#include <sys/socket.h>

#include "loop/loop.h"
#include "transport/transport.h"

struct socket_pinned;

struct socket_stream {
    struct stream stream;
    struct loop_source source;
    struct loop *loop;            /* NULL: not attached */
    struct socket_pinned *pinned; /* socket_pinned.h; NULL: nothing has been sent pinned */
};

struct socket_listener {
    struct listener listener;
    struct loop_source source;
    struct loop_timer pause; /* running while accepting rests after an error */
    struct loop *loop;
    const struct stream_ops *ops;
    void (*accepted)(void *context, struct stream *stream);
    void *context;
    /* unix: which file to remove at the end. */
    char *path;
    uint64_t path_device;
    uint64_t path_inode;
};

/* A stream around a non-blocking connected (or connecting) socket, attached to no loop. Takes `fd` over. */
struct stream *socket_stream_new(const struct transport *transport, const struct stream_ops *ops, int fd);

/* A listener around a listening socket; takes `fd` over, also when it fails. */
enum status socket_listener_new(const struct transport *transport, const struct stream_ops *ops,
                                struct loop *loop, int fd, const struct listen_options *options,
                                struct socket_listener **ret_listener);
void socket_listener_close(struct listener *listener);

/* Frees a stream and leaves its socket, which is returned. */
int socket_stream_release(struct stream *stream);

/* Sends bytes and descriptors together over a Unix socket: all of the bytes or, as far as the caller may conclude, none. */
enum status socket_send_descriptors(int fd, struct slice bytes, const int *descriptors, unsigned count);
#define SOCKET_DESCRIPTORS_MAX 4

/* A stream that is connecting on `fd` to `address`, attached to the loop. Takes `fd` over, also when it
 * fails. */
enum status socket_connect(const struct transport *transport, const struct stream_ops *ops, struct loop *loop,
                           int fd, const struct sockaddr *address, socklen_t address_size,
                           struct stream **ret_stream);

/* The operations that do not depend on the address family, for tables of stream_ops. */
enum status socket_recv(struct stream *stream, void *ret_bytes, size_t capacity, size_t *ret_size);
enum status socket_send(struct stream *stream, const struct slice *slices, size_t count, size_t *ret_sent);
void socket_want(struct stream *stream, unsigned wants);
enum status socket_attach(struct stream *stream, struct loop *loop);
void socket_detach(struct stream *stream);
void socket_close(struct stream *stream);

/* Has the loop watch for what is wanted, and for what the kernel has to tell of pinned sends; attached only. Without the memory for that the
 * connection is ended. */
void socket_watch(struct socket_stream *socket);

static inline int socket_descriptor(const struct stream *stream)
{
    return container_of(stream, struct socket_stream, stream)->source.fd;
}

/* Closes `fd` and keeps errno. Returns `status`. */
enum status socket_give_up(int fd, enum status status);

#endif
