/* The C library's own functions, under the names that this library takes from the program.
 *
 * Entry points: real, real_ready, raw_call.
 * Threads: any. The table is filled once, by the first call of anything here, which may come before our constructor and
 * from inside malloc: until it is filled the few functions that a start-up calls go to the kernel directly, and looking
 * the names up allocates nothing. */
#ifndef SKUA_PRELOAD_REAL_H
#define SKUA_PRELOAD_REAL_H

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

/* What a program sees of this library: these and nothing else. */
#define EXPORTED __attribute__((visibility("default")))

/* Result, name, parameters. Looked up by name; one that this C library lacks stays NULL and is never asked for by a
 * program either. */
#define REAL_CALLS(X)                                                                                        \
    X(ssize_t, read, (int, void *, size_t))                                                                  \
    X(ssize_t, readv, (int, const struct iovec *, int))                                                      \
    X(ssize_t, recv, (int, void *, size_t, int))                                                             \
    X(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, socklen_t *))                         \
    X(ssize_t, recvmsg, (int, struct msghdr *, int))                                                         \
    X(int, recvmmsg, (int, struct mmsghdr *, unsigned, int, struct timespec *))                              \
    X(ssize_t, write, (int, const void *, size_t))                                                           \
    X(ssize_t, writev, (int, const struct iovec *, int))                                                     \
    X(ssize_t, send, (int, const void *, size_t, int))                                                       \
    X(ssize_t, sendto, (int, const void *, size_t, int, const struct sockaddr *, socklen_t))                 \
    X(ssize_t, sendmsg, (int, const struct msghdr *, int))                                                   \
    X(int, sendmmsg, (int, struct mmsghdr *, unsigned, int))                                                 \
    X(ssize_t, sendfile, (int, int, off_t *, size_t))                                                        \
    X(int, connect, (int, const struct sockaddr *, socklen_t))                                               \
    X(int, close, (int))                                                                                     \
    X(int, close_range, (unsigned, unsigned, int))                                                           \
    X(void, closefrom, (int))                                                                                \
    X(int, shutdown, (int, int))                                                                             \
    X(int, dup, (int))                                                                                       \
    X(int, dup2, (int, int))                                                                                 \
    X(int, dup3, (int, int, int))                                                                            \
    X(int, fcntl, (int, int, ...))                                                                           \
    X(int, ioctl, (int, unsigned long, ...))                                                                 \
    X(int, getsockopt, (int, int, int, void *, socklen_t *))                                                 \
    X(int, setsockopt, (int, int, int, const void *, socklen_t))                                             \
    X(int, getpeername, (int, struct sockaddr *, socklen_t *))                                               \
    X(int, getsockname, (int, struct sockaddr *, socklen_t *))                                               \
    X(int, fstat, (int, struct stat *))                                                                      \
    X(int, fstat64, (int, struct stat64 *))                                                                  \
    X(int, __fxstat, (int, int, struct stat *))                                                              \
    X(int, __fxstat64, (int, int, struct stat64 *))                                                          \
    X(int, poll, (struct pollfd *, nfds_t, int))                                                             \
    X(int, ppoll, (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *))                      \
    X(int, select, (int, fd_set *, fd_set *, fd_set *, struct timeval *))                                    \
    X(int, pselect, (int, fd_set *, fd_set *, fd_set *, const struct timespec *, const sigset_t *))          \
    X(int, epoll_ctl, (int, int, int, struct epoll_event *))                                                 \
    X(int, epoll_wait, (int, struct epoll_event *, int, int))                                                \
    X(int, epoll_pwait, (int, struct epoll_event *, int, int, const sigset_t *))                             \
    X(int, epoll_pwait2, (int, struct epoll_event *, int, const struct timespec *, const sigset_t *))        \
    X(FILE *, fdopen, (int, const char *))                                                                   \
    X(int, fileno, (FILE *))                                                                                 \
    X(int, fileno_unlocked, (FILE *))                                                                        \
    X(int, vdprintf, (int, const char *, va_list))                                                           \
    X(long, syscall, (long, ...))

struct real_calls {
#define REAL_MEMBER(result, name, parameters) result(*name) parameters;
    REAL_CALLS(REAL_MEMBER)
#undef REAL_MEMBER
};

extern struct real_calls real;
extern atomic_bool real_filled;

void real_fill(void);

/* Each function of ours that a program calls begins with this. */
static inline void real_ready(void)
{
    if (__builtin_expect(!atomic_load_explicit(&real_filled, memory_order_acquire), 0))
        real_fill();
}

/* A system call as libc's syscall() makes it, which is ours here: the result, or -1 with errno. */
long raw_call(long number, long a, long b, long c, long d, long e, long f);

#endif
