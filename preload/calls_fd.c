/* The program's calls on descriptors: making, copying and closing them, their flags, options and names.
 *
 * Entry points: the C library's, by their names. Threads: any.
 * What a socket is and how it is set is asked of the program's own socket, which is kept (shadow_fd). */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/conn.h"
#include "preload/fortify.h"
#include "preload/join.h"
#include "preload/real.h"
#include "preload/rest.h"
#include "preload/set.h"
#include "preload/settings.h"
#include "preload/stream.h"

static int fail(int error)
{
    errno = error;
    return -1;
}

static bool is_ours(int fd)
{
    real_ready();
    return __builtin_expect(conn_of(fd) != NULL, 0);
}

/* One of the three that a program has never seen. A vforked child's may have any numbers. */
static bool is_hidden(int fd)
{
    struct slot *slot = slot_of(fd);
    return slot && atomic_load_explicit(&slot->is_hidden, memory_order_relaxed) && conn_is_our_process();
}

/* ---- Connecting --------------------------------------------------------------------------------------------- */

EXPORTED int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    if (is_ours(fd))
        return fail(EISCONN);
    struct settings_server *server = settings_find(address, size);
    return server && join(fd, server, address, size) ? 0 : real.connect(fd, address, size);
}

/* ---- Closing ------------------------------------------------------------------------------------------------ */

/* Another descriptor may get the number from here on. */
static void forget(int fd)
{
    struct slot *slot = slot_of(fd);
    if (slot &&
        (atomic_load_explicit(&slot->epoll_fd, memory_order_relaxed) ||
         atomic_load_explicit(&slot->holder, memory_order_relaxed) ||
         atomic_load_explicit(&slot->set, memory_order_relaxed) ||
         atomic_load_explicit(&slot->is_copied, memory_order_relaxed)) &&
        conn_is_our_process())
        set_forget_fd(fd);
}

EXPORTED int close(int fd)
{
    real_ready();
    if (is_hidden(fd))
        return fail(EBADF);
    forget(fd);
    conn_drop_name(fd);
    return real.close(fd);
}

/* Our own descriptors stay: a program that closes all it does not know does not know these. */
EXPORTED int close_range(unsigned first, unsigned last, int flags)
{
    real_ready();
    if (atomic_load(&conn_count) == 0 || !conn_is_our_process() || first > last)
        return real.close_range(first, last, flags);
    for (unsigned fd = first; fd < CONN_FDS && fd <= last; fd++) {
        if (flags & (int)CLOSE_RANGE_CLOEXEC) {
            atomic_store(&slots[fd].close_on_exec, true);
            continue;
        }
        forget((int)fd);
        conn_drop_name((int)fd);
    }
    unsigned start = first;
    for (unsigned fd = first; fd < CONN_FDS && fd <= last; fd++) {
        if (!atomic_load(&slots[fd].is_hidden))
            continue;
        if (fd > start && real.close_range(start, fd - 1, flags) != 0)
            return -1;
        start = fd + 1;
    }
    return start <= last ? real.close_range(start, last, flags) : 0;
}

EXPORTED void closefrom(int first)
{
    if (close_range(first < 0 ? 0 : (unsigned)first, UINT32_MAX, 0) != 0)
        errno = 0;
}

EXPORTED int shutdown(int fd, int how)
{
    if (!is_ours(fd))
        return real.shutdown(fd, how);
    struct conn *conn = conn_lock(fd);
    if (!conn)
        return fail(EBADF);
    int result = 0;
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
        result = fail(EINVAL);
    else if (atomic_load(&conn->state) != CONN_OPEN)
        result = fail(ENOTCONN);
    if (result == 0) {
        conn->shut_read |= how != SHUT_WR;
        conn->shut_write |= how != SHUT_RD;
        /* The server ends a connection whose client will not write any more; what it has replied can be read. */
        if (how == SHUT_RDWR)
            conn_end(conn, 0);
        if (how != SHUT_RD)
            real.shutdown(conn->bell_fd, how);
        rest(conn);
    }
    conn_unlock(conn);
    return result;
}

/* ---- Copying ------------------------------------------------------------------------------------------------ */

/* The program has a further descriptor, a copy of `from`. */
static int add_copy(int from, int fd, bool close_on_exec)
{
    if (fd < 0 || !conn_is_our_process())
        return fd;
    set_note_copy(from, fd);
    struct conn *conn = conn_of(from);
    if (!conn)
        return fd;
    set_release_fd(from);
    if ((unsigned)fd >= CONN_FDS) {
        real.close(fd);
        return fail(EMFILE);
    }
    if (atomic_load(&conn->state) != CONN_LOST)
        real.fcntl(fd, F_SETFD, FD_CLOEXEC);
    conn_add_name(conn, fd, close_on_exec);
    return fd;
}

/* A copy onto a number: what it was before is closed. */
static int copy_onto(int from, int to, int flags, bool is_dup3)
{
    real_ready();
    if (from == to || to < 0 || real.fcntl(from, F_GETFD, 0) < 0)
        return is_dup3 ? real.dup3(from, to, flags) : real.dup2(from, to);
    if (is_hidden(from))
        return fail(EBADF);
    if (is_hidden(to))
        return fail(EBUSY);
    forget(to);
    conn_drop_name(to);
    int fd = is_dup3 ? real.dup3(from, to, flags) : real.dup2(from, to);
    return add_copy(from, fd, flags & O_CLOEXEC);
}

EXPORTED int dup(int fd)
{
    real_ready();
    return add_copy(fd, real.dup(fd), false);
}

EXPORTED int dup2(int from, int to)
{
    return copy_onto(from, to, 0, false);
}

EXPORTED int dup3(int from, int to, int flags)
{
    return copy_onto(from, to, flags, true);
}

/* ---- Flags -------------------------------------------------------------------------------------------------- */

/* What is asked of and said to the program's own socket. */
static int shadow_control(int fd, int what, long value)
{
    struct conn *conn = conn_lock(fd);
    if (!conn)
        return fail(EBADF);
    int result = real.fcntl(conn->shadow_fd >= 0 ? conn->shadow_fd : fd, what, value);
    if (what == F_SETFL && result == 0)
        conn->nonblocking = value & O_NONBLOCK;
    conn_unlock(conn);
    return result;
}

static int control(int fd, int what, long value)
{
    switch (what) {
    case F_GETFD: return atomic_load(&slot_of(fd)->close_on_exec) ? FD_CLOEXEC : 0;
    case F_SETFD: /* the kernel closes it in any case: no session gets through an exec */
        atomic_store(&slot_of(fd)->close_on_exec, value & FD_CLOEXEC);
        return 0;
    default: return shadow_control(fd, what, value);
    }
}

static int control_any(int fd, int what, long value)
{
    if (what == F_DUPFD || what == F_DUPFD_CLOEXEC)
        return add_copy(fd, real.fcntl(fd, what, value), what == F_DUPFD_CLOEXEC);
    return is_ours(fd) ? control(fd, what, value) : real.fcntl(fd, what, value);
}

EXPORTED int fcntl(int fd, int what, ...)
{
    va_list arguments;
    va_start(arguments, what);
    long value = va_arg(arguments, long);
    va_end(arguments);
    real_ready();
    return control_any(fd, what, value);
}

EXPORTED int fcntl64(int fd, int what, ...)
{
    va_list arguments;
    va_start(arguments, what);
    long value = va_arg(arguments, long);
    va_end(arguments);
    real_ready();
    return control_any(fd, what, value);
}

EXPORTED int ioctl(int fd, unsigned long what, ...)
{
    va_list arguments;
    va_start(arguments, what);
    void *value = va_arg(arguments, void *);
    va_end(arguments);
    if (!is_ours(fd))
        return real.ioctl(fd, what, value);
    struct conn *conn = conn_lock(fd);
    if (!conn)
        return fail(EBADF);
    int result = 0;
    if (what == FIONREAD)
        *(int *)value = (int)stream_unread(conn);
    else if (what == SIOCOUTQ)
        *(int *)value = (int)stream_unsent(conn);
    else
        result = real.ioctl(conn->shadow_fd >= 0 ? conn->shadow_fd : fd, what, value);
    if (what == FIONBIO && result == 0)
        conn->nonblocking = *(int *)value != 0;
    conn_unlock(conn);
    return result;
}

/* ---- Options and names -------------------------------------------------------------------------------------- */

EXPORTED int getsockopt(int fd, int level, int option, void *value, socklen_t *size)
{
    if (!is_ours(fd))
        return real.getsockopt(fd, level, option, value, size);
    struct conn *conn = conn_lock(fd);
    if (!conn)
        return fail(EBADF);
    int result = 0;
    if (level == SOL_SOCKET && option == SO_ERROR && *size >= sizeof(int)) {
        memcpy(value, &conn->error, sizeof(int));
        *size = sizeof(int);
        conn->error = 0;
    } else if (atomic_load(&conn->state) == CONN_LOST) {
        result = real.getsockopt(fd, level, option, value, size);
    } else {
        bool of_server = level == SOL_SOCKET && (option == SO_PEERCRED || option == SO_PEERSEC);
        result = real.getsockopt(of_server ? conn->bell_fd : conn->shadow_fd, level, option, value, size);
    }
    conn_unlock(conn);
    return result;
}

EXPORTED int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
    if (!is_ours(fd))
        return real.setsockopt(fd, level, option, value, size);
    struct conn *conn = conn_lock(fd);
    if (!conn)
        return fail(EBADF);
    bool is_lost = atomic_load(&conn->state) == CONN_LOST;
    int result = real.setsockopt(is_lost ? fd : conn->shadow_fd, level, option, value, size);
    bool is_limit = level == SOL_SOCKET && (option == SO_RCVTIMEO || option == SO_SNDTIMEO);
    if (result == 0 && is_limit && !is_lost) /* sleeps are reads of this one */
        result = real.setsockopt(conn->bell_fd, level, option, value, size);
    conn_unlock(conn);
    return result;
}

EXPORTED int getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
    if (!is_ours(fd))
        return real.getpeername(fd, address, size);
    struct conn *conn = conn_lock(fd);
    if (!conn)
        return fail(EBADF);
    memcpy(address, &conn->peer, *size < conn->peer_size ? *size : conn->peer_size);
    *size = conn->peer_size;
    conn_unlock(conn);
    return 0;
}

EXPORTED int getsockname(int fd, struct sockaddr *address, socklen_t *size)
{
    if (!is_ours(fd))
        return real.getsockname(fd, address, size);
    struct conn *conn = conn_lock(fd);
    if (!conn)
        return fail(EBADF);
    int result = real.getsockname(conn->shadow_fd >= 0 ? conn->shadow_fd : fd, address, size);
    conn_unlock(conn);
    return result;
}

/* The descriptor whose status is to be told: a program looks whether it is a socket. */
static int status_fd(int fd)
{
    struct conn *conn = is_ours(fd) ? conn_lock(fd) : NULL;
    int shown = conn && conn->shadow_fd >= 0 ? conn->shadow_fd : fd;
    if (conn)
        conn_unlock(conn);
    return shown;
}

EXPORTED int fstat(int fd, struct stat *status)
{
    int shown = status_fd(fd);
    return real.fstat(shown, status);
}

EXPORTED int fstat64(int fd, struct stat64 *status)
{
    int shown = status_fd(fd);
    return real.fstat64(shown, status);
}

EXPORTED int __fxstat(int version, int fd, struct stat *status)
{
    int shown = status_fd(fd);
    return real.__fxstat(version, shown, status);
}

EXPORTED int __fxstat64(int version, int fd, struct stat64 *status)
{
    int shown = status_fd(fd);
    return real.__fxstat64(version, shown, status);
}
