/* Stream sockets of any family: what tcp.c and unix.c share.
 *
 * Principal entry points: socket_new, socket_connected, socket_receive, socket_send.
 * Threads: the client's. Sockets never wait, are not inherited, and raise no SIGPIPE. */
#ifndef SKUA_CLIENT_SOCKET_H
#define SKUA_CLIENT_SOCKET_H

#include <stddef.h>
#include <sys/uio.h>

#include <skua/status.h>

#include "client/fault.h"

/* A socket, or -1 with errno. */
int socket_new(int family);

/* Whether a connect() that was under way has ended: SKUA_OK, SKUA_AGAIN, or SKUA_ERR_IO with the reason in *ret_error
 * as an errno value. */
enum skua_status socket_connected(int descriptor, int *ret_error);

/* As the actions of the same names in stream.h. */
enum skua_status socket_receive(int descriptor, void *space, size_t capacity, size_t *ret_size,
                                struct fault *fault);
enum skua_status socket_send(int descriptor, const struct iovec *vector, int count, size_t *ret_size,
                             struct fault *fault);

#endif
