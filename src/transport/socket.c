/* Streams and listeners over kernel sockets, whatever their address family.
 *
 * Principal entry points: see transport/socket.h.
 * Threads: a stream and a listener belong to the thread of the loop they are attached to.
 *
 * T1  stream.wants and source.interest say the same while a stream is attached, but for LOOP_ERROR while the kernel has to tell of pinned sends: a
 *     change of what is wanted costs one system call, asking again for the same costs none.
 * T2  A stream that wants nothing is not watched at all (loop/loop.c, E3), so the end of its peer cannot make the
 *     loop spin; it is noticed when the stream wants something again.
 * T3  A listener accepts at most ACCEPTS_PER_POLL connections a poll; the rest is reported again.
 * T4  When descriptors or memory are short, a listener rests for ACCEPT_PAUSE_NS: the waiting connection
 *     keeps the socket readable, and without a rest the loop would spin until somebody closes something. */
#include "transport/socket.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "transport/socket_pinned.h"

#define ACCEPTS_PER_POLL 128
#define ACCEPT_PAUSE_NS  UINT64_C(100000000)

/* Around each recv and send libc lets the thread be cancelled, which costs a process with threads two locked exchanges, a fortieth
 * of what a pipeline of short requests takes. No thread is ever cancelled here, so the kernel is called without that. Sanitizers
 * know libc's functions only. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SOCKET_CALLS_LIBC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define SOCKET_CALLS_LIBC 1
#endif
#endif
#if !defined(SYS_recvfrom) || !defined(SYS_sendto)
#define SOCKET_CALLS_LIBC 1
#endif

/* A slice is sent as it is: the kernel's vector has the same shape. */
_Static_assert(sizeof(struct slice) == sizeof(struct iovec), "slice is iovec");
_Static_assert(offsetof(struct slice, data) == offsetof(struct iovec, iov_base), "slice is iovec");
_Static_assert(offsetof(struct slice, size) == offsetof(struct iovec, iov_len), "slice is iovec");

static struct socket_stream *socket_of(struct stream *stream)
{
    return container_of(stream, struct socket_stream, stream);
}

enum status socket_give_up(int fd, enum status status)
{
    int error = errno;
    close(fd);
    errno = error;
    return status;
}

static void on_stream_ready(struct loop_source *source, unsigned events)
{
    struct socket_stream *socket = container_of(source, struct socket_stream, source);
    struct stream *stream = &socket->stream;
    unsigned ready = 0;
    if (unlikely(events & LOOP_ERROR) && socket->pinned) {
        bool is_error;
        unsigned interest = source->interest;
        ready |= socket_hear(socket, &is_error);
        events |= is_error ? interest | LOOP_HANGUP : 0;
    }
    if (events & LOOP_READABLE)
        ready |= STREAM_CAN_RECV;
    if (events & LOOP_WRITABLE)
        ready |= STREAM_CAN_SEND;
    /* Who wants nothing is watched for pinned sends only: without a connection they are not waited for. */
    if (events & LOOP_HANGUP && (stream->wants & STREAM_WANT_END || stream->wants == 0))
        ready |= STREAM_AT_END;
    if (ready != 0)
        stream->ready(stream, ready);
}

struct stream *socket_stream_new(const struct transport *transport, const struct stream_ops *ops, int fd)
{
    struct socket_stream *socket = mem_calloc(1, sizeof(*socket));
    socket->stream.ops = ops;
    socket->stream.transport = transport;
    socket->source.fd = fd;
    socket->source.ready = on_stream_ready;
    socket->source.tells_read = true;
    return &socket->stream;
}

/* As recv and send, without being points of cancellation. */
static ssize_t plain_recv(int fd, void *ret_bytes, size_t capacity)
{
#ifdef SOCKET_CALLS_LIBC
    return recv(fd, ret_bytes, capacity, 0);
#else
    return syscall(SYS_recvfrom, fd, ret_bytes, capacity, 0, NULL, NULL);
#endif
}

static ssize_t plain_send(int fd, struct slice bytes)
{
#ifdef SOCKET_CALLS_LIBC
    return send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);
#else
    return syscall(SYS_sendto, fd, bytes.data, bytes.size, MSG_NOSIGNAL, NULL, 0);
#endif
}

/* Less than there is room for is all there was. But for a peer that marks bytes as urgent, or sends descriptors, which nobody has asked
 * it to: it is read up to there, and on when it sends more. */
enum status socket_recv(struct stream *stream, void *ret_bytes, size_t capacity, size_t *ret_size)
{
    DEBUG_ASSERT(capacity > 0);
    for (;;) {
        ssize_t size = plain_recv(socket_descriptor(stream), ret_bytes, capacity);
        if (likely(size > 0)) {
            if (likely((size_t)size < capacity))
                loop_note_read(&socket_of(stream)->source);
            *ret_size = (size_t)size;
            return ST_OK;
        }
        if (size == 0)
            return ST_EOF;
        if (errno == EAGAIN) {
            loop_note_read(&socket_of(stream)->source);
            return ST_AGAIN;
        }
        if (errno != EINTR)
            return ST_IO;
    }
}

enum status socket_send(struct stream *stream, const struct slice *slices, size_t count, size_t *ret_sent)
{
    DEBUG_ASSERT(count > 0 && count <= STREAM_SLICES_MAX);
    struct msghdr message = {.msg_iov = (struct iovec *)slices, .msg_iovlen = count};
    int fd = socket_descriptor(stream);
    for (;;) {
        ssize_t size = count == 1 ? plain_send(fd, slices[0]) : sendmsg(fd, &message, MSG_NOSIGNAL);
        if (likely(size > 0)) {
            *ret_sent = (size_t)size;
            return ST_OK;
        }
        if (size == 0 || errno == EAGAIN)
            return ST_AGAIN;
        if (errno != EINTR)
            return ST_IO;
    }
}

static unsigned interest_of(const struct socket_stream *socket)
{
    unsigned wants = socket->stream.wants, interest = 0;
    if (wants & STREAM_WANT_RECV)
        interest |= LOOP_READABLE;
    if (wants & STREAM_WANT_SEND)
        interest |= LOOP_WRITABLE;
    if (wants & STREAM_WANT_END)
        interest |= LOOP_HANGUP;
    if (unlikely(socket_is_told_of(socket)))
        interest |= LOOP_ERROR;
    return interest;
}

void socket_watch(struct socket_stream *socket)
{
    struct stream *stream = &socket->stream;
    ASSERT(socket->loop != NULL);
    if (unlikely(loop_change(socket->loop, &socket->source, interest_of(socket)) != ST_OK)) {
        /* The kernel has no memory to watch it. Nobody would ever hear of this stream again, so it ends here;
         * the owner learns that when it next receives. */
        shutdown(socket->source.fd, SHUT_RDWR);
        stream->ready(stream, STREAM_CAN_RECV | STREAM_CAN_SEND);
    }
}

void socket_want(struct stream *stream, unsigned wants)
{
    stream->wants = wants;
    socket_watch(socket_of(stream));
}

enum status socket_attach(struct stream *stream, struct loop *loop)
{
    struct socket_stream *socket = socket_of(stream);
    ASSERT(socket->loop == NULL && !stream->is_bound);
    enum status status = loop_add(loop, &socket->source, socket_is_told_of(socket) ? LOOP_ERROR : 0, false);
    if (status == ST_OK)
        socket->loop = loop;
    return status;
}

void socket_detach(struct stream *stream)
{
    struct socket_stream *socket = socket_of(stream);
    if (socket->loop == NULL)
        return;
    loop_remove(socket->loop, &socket->source);
    socket->loop = NULL;
    stream->wants = 0;
}

void socket_close(struct stream *stream)
{
    struct socket_stream *socket = socket_of(stream);
    socket_detach(stream);
    socket_pinned_free(socket);
    close(socket->source.fd);
    mem_free(socket);
}

int socket_stream_release(struct stream *stream)
{
    struct socket_stream *socket = socket_of(stream);
    int fd = socket->source.fd;
    socket_detach(stream);
    socket_pinned_free(socket);
    mem_free(socket);
    return fd;
}

enum status socket_send_descriptors(int fd, struct slice bytes, const int *descriptors, unsigned count)
{
    union {
        char bytes[CMSG_SPACE(SOCKET_DESCRIPTORS_MAX * sizeof(int))];
        struct cmsghdr aligned;
    } control = {0};
    ASSERT(count > 0 && count <= SOCKET_DESCRIPTORS_MAX);
    struct iovec vector = {(void *)bytes.data, bytes.size};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno == EAGAIN ? ST_AGAIN : ST_IO;
    return (size_t)sent == bytes.size ? ST_OK : ST_AGAIN;
}

enum status socket_connect(const struct transport *transport, const struct stream_ops *ops, struct loop *loop,
                           int fd, const struct sockaddr *address, socklen_t address_size,
                           struct stream **ret_stream)
{
    if (connect(fd, address, address_size) != 0 && errno != EINPROGRESS)
        return socket_give_up(fd, errno == EAGAIN ? ST_AGAIN : ST_IO);
    struct stream *stream = socket_stream_new(transport, ops, fd);
    enum status status = socket_attach(stream, loop);
    if (status != ST_OK) {
        socket_close(stream);
        return status;
    }
    *ret_stream = stream;
    return ST_OK;
}

static void rest(struct socket_listener *listener)
{
    if (loop_change(listener->loop, &listener->source, 0) == ST_OK)
        loop_timer_start(listener->loop, &listener->pause, loop_now_ns(listener->loop) + ACCEPT_PAUSE_NS);
}

static void on_pause_over(struct loop_timer *timer)
{
    struct socket_listener *listener = container_of(timer, struct socket_listener, pause);
    if (loop_change(listener->loop, &listener->source, LOOP_READABLE) != ST_OK)
        rest(listener);
}

/* Whether the error belongs to the one connection that was waiting, so that the next may be fine. */
static bool error_is_of_connection(int error)
{
    switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case EPERM: /* a firewall rule */
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENONET:
    case ETIMEDOUT: return true;
    default: return false;
    }
}

static void on_connection_waiting(struct loop_source *source, unsigned events)
{
    struct socket_listener *listener = container_of(source, struct socket_listener, source);
    for (int i = 0; i < ACCEPTS_PER_POLL; i++) {
        int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener->accepted(listener->context,
                               socket_stream_new(listener->listener.transport, listener->ops, fd));
            continue;
        }
        if (errno == EAGAIN)
            return;
        if (!error_is_of_connection(errno)) {
            rest(listener);
            return;
        }
    }
}

static enum status socket_listener_attach(struct listener *listener, struct loop *loop)
{
    struct socket_listener *socket = container_of(listener, struct socket_listener, listener);
    enum status status = loop_add(loop, &socket->source, LOOP_READABLE, false);
    if (status == ST_OK)
        socket->loop = loop;
    return status;
}

static void socket_listener_detach(struct listener *listener)
{
    struct socket_listener *socket = container_of(listener, struct socket_listener, listener);
    if (!socket->loop)
        return;
    loop_timer_stop(socket->loop, &socket->pause);
    loop_remove(socket->loop, &socket->source);
    socket->loop = NULL;
}

enum status socket_listener_new(const struct transport *transport, const struct stream_ops *ops,
                                struct loop *loop, int fd, const struct listen_options *options,
                                struct socket_listener **ret_listener)
{
    struct socket_listener *listener = mem_calloc(1, sizeof(*listener));
    listener->listener.transport = transport;
    listener->listener.close = socket_listener_close;
    listener->listener.attach = socket_listener_attach;
    listener->listener.detach = socket_listener_detach;
    listener->source.fd = fd;
    listener->source.ready = on_connection_waiting;
    listener->pause.fire = on_pause_over;
    listener->loop = loop;
    listener->ops = ops;
    listener->accepted = options->accepted;
    listener->context = options->context;
    enum status status = loop_add(loop, &listener->source, LOOP_READABLE, false);
    if (status != ST_OK) {
        mem_free(listener);
        return socket_give_up(fd, status);
    }
    *ret_listener = listener;
    return ST_OK;
}

void socket_listener_close(struct listener *listener)
{
    struct socket_listener *socket = container_of(listener, struct socket_listener, listener);
    socket_listener_detach(listener);
    close(socket->source.fd);
    mem_free(socket->path);
    mem_free(socket);
}
