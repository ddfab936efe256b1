/* syscall(), for programs that reach reads, writes and waits by number (libuv and the JDK do so for some).
 *
 * Entry points: syscall, by its name. Threads: any.
 * Numbers that could concern a descriptor of ours are the calls of the other files; all others go to the kernel. Whoever
 * makes system calls without libc is not seen at all, and finds the eventfd. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/conn.h"
#include "preload/real.h"
#include "preload/set.h"

/* Reads and writes. False: another number. */
static bool call_stream(long number, const long *a, long *ret_result)
{
    switch (number) {
    case SYS_read: *ret_result = read((int)a[0], (void *)a[1], (size_t)a[2]); return true;
    case SYS_write: *ret_result = write((int)a[0], (const void *)a[1], (size_t)a[2]); return true;
    case SYS_readv: *ret_result = readv((int)a[0], (const struct iovec *)a[1], (int)a[2]); return true;
    case SYS_writev: *ret_result = writev((int)a[0], (const struct iovec *)a[1], (int)a[2]); return true;
    case SYS_recvfrom:
        *ret_result = recvfrom((int)a[0], (void *)a[1], (size_t)a[2], (int)a[3], (struct sockaddr *)a[4],
                               (socklen_t *)a[5]);
        return true;
    case SYS_sendto:
        *ret_result = sendto((int)a[0], (const void *)a[1], (size_t)a[2], (int)a[3],
                             (const struct sockaddr *)a[4], (socklen_t)a[5]);
        return true;
    case SYS_recvmsg: *ret_result = recvmsg((int)a[0], (struct msghdr *)a[1], (int)a[2]); return true;
    case SYS_sendmsg: *ret_result = sendmsg((int)a[0], (const struct msghdr *)a[1], (int)a[2]); return true;
    case SYS_sendfile: *ret_result = sendfile((int)a[0], (int)a[1], (off_t *)a[2], (size_t)a[3]); return true;
    default: return false;
    }
}

/* What changes or asks about a descriptor. */
static bool call_fd(long number, const long *a, long *ret_result)
{
    switch (number) {
    case SYS_connect:
        *ret_result = connect((int)a[0], (const struct sockaddr *)a[1], (socklen_t)a[2]);
        return true;
    case SYS_close: *ret_result = close((int)a[0]); return true;
    case SYS_shutdown: *ret_result = shutdown((int)a[0], (int)a[1]); return true;
    case SYS_dup: *ret_result = dup((int)a[0]); return true;
    case SYS_dup3: *ret_result = dup3((int)a[0], (int)a[1], (int)a[2]); return true;
#ifdef SYS_dup2
    case SYS_dup2: *ret_result = dup2((int)a[0], (int)a[1]); return true;
#endif
    case SYS_close_range: *ret_result = close_range((unsigned)a[0], (unsigned)a[1], (int)a[2]); return true;
    case SYS_fcntl: *ret_result = fcntl((int)a[0], (int)a[1], a[2]); return true;
    case SYS_ioctl: *ret_result = ioctl((int)a[0], (unsigned long)a[1], a[2]); return true;
    default: return false;
    }
}

/* Waits whose kernel form is libc's: ppoll and pselect differ in their masks, and are rare enough to be left. */
static bool call_wait(long number, const long *a, long *ret_result)
{
    switch (number) {
    case SYS_epoll_ctl:
        *ret_result = epoll_ctl((int)a[0], (int)a[1], (int)a[2], (struct epoll_event *)a[3]);
        return true;
    case SYS_epoll_pwait:
        *ret_result =
            epoll_pwait((int)a[0], (struct epoll_event *)a[1], (int)a[2], (int)a[3], (const sigset_t *)a[4]);
        return true;
#ifdef SYS_epoll_pwait2
    case SYS_epoll_pwait2:
        if (!real.epoll_pwait2)
            return false;
        *ret_result = epoll_pwait2((int)a[0], (struct epoll_event *)a[1], (int)a[2],
                                   (const struct timespec *)a[3], (const sigset_t *)a[4]);
        return true;
#endif
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
        *ret_result = epoll_wait((int)a[0], (struct epoll_event *)a[1], (int)a[2], (int)a[3]);
        return true;
#endif
#ifdef SYS_poll
    case SYS_poll: *ret_result = poll((struct pollfd *)a[0], (nfds_t)a[1], (int)a[2]); return true;
#endif
    default: return false;
    }
}

EXPORTED long syscall(long number, ...)
{
    va_list arguments;
    long values[6], result;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        values[i] = va_arg(arguments, long);
    va_end(arguments);
    real_ready();
#ifdef SYS_io_uring_setup
    if (number == SYS_io_uring_setup)
        set_refuse_all();
#endif
    if (call_stream(number, values, &result) || call_fd(number, values, &result) ||
        call_wait(number, values, &result))
        return result;
    return real.syscall(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}
