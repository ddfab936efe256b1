/* Stream sockets of any family. See socket.h. Threads: the client's. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "client/socket.h"

int socket_new(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

enum skua_status socket_connected(int descriptor, int *ret_error)
{
    /* SO_ERROR is 0 for a connect that is still under way, too. */
    struct pollfd watched = {.fd = descriptor, .events = POLLOUT};
    if (poll(&watched, 1, 0) <= 0)
        return SKUA_AGAIN;
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error == 0)
        return SKUA_OK;
    *ret_error = error;
    return SKUA_ERR_IO;
}

enum skua_status socket_receive(int descriptor, void *space, size_t capacity, size_t *ret_size,
                                struct fault *fault)
{
    ssize_t size;
    do
        size = recv(descriptor, space, capacity, 0);
    while (size < 0 && errno == EINTR);
    if (size > 0) {
        *ret_size = (size_t)size;
        return SKUA_OK;
    }
    if (size == 0)
        return fault_set(fault, SKUA_ERR_CLOSED, "end of the stream");
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return SKUA_AGAIN;
    return fault_set_errno(fault, errno, "receive");
}

enum skua_status socket_send(int descriptor, const struct iovec *vector, int count, size_t *ret_size,
                             struct fault *fault)
{
    const struct msghdr message = {.msg_iov = (struct iovec *)vector, .msg_iovlen = (size_t)count};
    ssize_t size;
    do
        size = count == 1 ? send(descriptor, vector->iov_base, vector->iov_len, MSG_NOSIGNAL)
                          : sendmsg(descriptor, &message, MSG_NOSIGNAL);
    while (size < 0 && errno == EINTR);
    if (size > 0) {
        *ret_size = (size_t)size;
        return SKUA_OK;
    }
    if (size == 0 || errno == EAGAIN || errno == EWOULDBLOCK)
        return SKUA_AGAIN;
    return fault_set_errno(fault, errno, "send");
}
