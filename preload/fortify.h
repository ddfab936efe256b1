/* What a C library's headers turn calls into when a program is compiled with _FORTIFY_SOURCE, and names of functions that
 * only old programs ask for. Our headers do not declare them. Threads: as the plain functions. */
#ifndef SKUA_PRELOAD_FORTIFY_H
#define SKUA_PRELOAD_FORTIFY_H

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room);
ssize_t __recv_chk(int fd, void *bytes, size_t size, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *bytes, size_t size, size_t room, int flags, struct sockaddr *address,
                       socklen_t *address_size);
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                size_t room);
int __dprintf_chk(int fd, int flag, const char *format, ...);
int __vdprintf_chk(int fd, int flag, const char *format, va_list arguments);

int __fxstat(int version, int fd, struct stat *status);
int __fxstat64(int version, int fd, struct stat64 *status);

/* libc's end of a program that asked for more than there is room for. */
__attribute__((noreturn)) void __chk_fail(void);

#endif
