/* Bytes in and out of a connection, with what the socket calls promise: blocking or not, time limits, flags.
 *
 * Entry points: stream_receive, stream_send, stream_unread, stream_unsent. Threads: any; each call takes the lock.
 * Results and errno as recvmsg and sendmsg have them. A descriptor that is not ours (any more) is EBADF: callers ask
 * conn_of first. */
#ifndef SKUA_PRELOAD_STREAM_H
#define SKUA_PRELOAD_STREAM_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "preload/conn.h"

/* `flags`: MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL; MSG_OOB and MSG_ERRQUEUE find nothing. */
ssize_t stream_receive(int fd, const struct iovec *parts, int count, int flags);

/* `flags`: MSG_DONTWAIT, MSG_NOSIGNAL. */
ssize_t stream_send(int fd, const struct iovec *parts, int count, int flags);

/* Bytes that a read would find, and that the server has not read yet. With the lock. */
size_t stream_unread(const struct conn *conn);
size_t stream_unsent(const struct conn *conn);

#endif
