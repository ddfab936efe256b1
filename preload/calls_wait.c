/* The program's waits. Entry points: the C library's, by their names; how they are answered stands in preload/wait.h.
 * Threads: any. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "preload/conn.h"
#include "preload/fortify.h"
#include "preload/real.h"
#include "preload/set.h"
#include "preload/set_wait.h"
#include "preload/wait.h"

static bool has_sessions(void)
{
    real_ready();
    return __builtin_expect(atomic_load_explicit(&conn_count, memory_order_relaxed) > 0, 0);
}

static struct timespec of_ms(int ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
}

/* ---- poll --------------------------------------------------------------------------------------------------- */

/* A list without any of ours: others' sets may be in it, which is why quiet connections matter here too. */
static int poll_others(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    bool may_sleep = !timeout || timeout->tv_sec > 0 || timeout->tv_nsec > 0;
    if (may_sleep)
        wait_enter_set();
    int ready = real.ppoll(fds, count, timeout, mask);
    if (may_sleep)
        wait_leave_set();
    return ready;
}

EXPORTED int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    if (!has_sessions())
        return real.ppoll(fds, count, timeout, mask);
    for (nfds_t i = 0; i < count; i++)
        set_refuse(fds[i].fd);
    return wait_has_ours(fds, count) ? wait_poll(fds, count, timeout, mask)
                                     : poll_others(fds, count, timeout, mask);
}

EXPORTED int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    if (!has_sessions())
        return real.poll(fds, count, timeout_ms);
    struct timespec timeout = of_ms(timeout_ms < 0 ? 0 : timeout_ms);
    return ppoll(fds, count, timeout_ms < 0 ? NULL : &timeout, NULL);
}

EXPORTED int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t room)
{
    if (room / sizeof *fds < count)
        __chk_fail();
    return poll(fds, count, timeout_ms);
}

EXPORTED int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                         const sigset_t *mask, size_t room)
{
    if (room / sizeof *fds < count)
        __chk_fail();
    return ppoll(fds, count, timeout, mask);
}

/* ---- select ------------------------------------------------------------------------------------------------- */

static bool is_in(int fd, const fd_set *set)
{
    return set && FD_ISSET(fd, set);
}

/* The three sets as a list. */
static nfds_t to_list(int limit, const fd_set *reads, const fd_set *writes, const fd_set *excepts,
                      struct pollfd *ret_list)
{
    nfds_t count = 0;
    for (int fd = 0; fd < limit && fd < FD_SETSIZE; fd++) {
        int events = (is_in(fd, reads) ? POLLIN : 0) | (is_in(fd, writes) ? POLLOUT : 0) |
                     (is_in(fd, excepts) ? POLLPRI : 0);
        if (events)
            ret_list[count++] = (struct pollfd){.fd = fd, .events = (short)events};
    }
    return count;
}

/* The list's answers in the three sets. Returns how many bits are set, or -1: one of the descriptors is none. */
static int from_list(const struct pollfd *list, nfds_t count, fd_set *reads, fd_set *writes, fd_set *excepts)
{
    int bits = 0;
    for (nfds_t i = 0; i < count; i++)
        if (list[i].revents & POLLNVAL) {
            errno = EBADF;
            return -1;
        }
    for (nfds_t i = 0; i < count; i++) {
        const struct {
            fd_set *set;
            short means;
        } sets[] = {{reads, POLLIN | POLLHUP | POLLERR}, {writes, POLLOUT | POLLERR}, {excepts, POLLPRI}};
        for (size_t j = 0; j < 3; j++) {
            if (!is_in(list[i].fd, sets[j].set))
                continue;
            if (list[i].revents & sets[j].means)
                bits++;
            else
                FD_CLR(list[i].fd, sets[j].set);
        }
    }
    return bits;
}

EXPORTED int pselect(int limit, fd_set *reads, fd_set *writes, fd_set *excepts,
                     const struct timespec *timeout, const sigset_t *mask)
{
    struct pollfd list[FD_SETSIZE];
    if (!has_sessions() || limit > FD_SETSIZE) /* greater sets, which some programs make, are the kernel's */
        return real.pselect(limit, reads, writes, excepts, timeout, mask);
    nfds_t count = to_list(limit, reads, writes, excepts, list);
    for (nfds_t i = 0; i < count; i++)
        set_refuse(list[i].fd);
    if (!wait_has_ours(list, count)) {
        wait_enter_set();
        int ready = real.pselect(limit, reads, writes, excepts, timeout, mask);
        wait_leave_set();
        return ready;
    }
    int ready = wait_poll(list, count, timeout, mask);
    return ready < 0 ? ready : from_list(list, count, reads, writes, excepts);
}

/* Linux leaves in `timeout` what is left of it; a program that relies on that exists for time outs only, and here too
 * nothing is left then. */
EXPORTED int select(int limit, fd_set *reads, fd_set *writes, fd_set *excepts, struct timeval *timeout)
{
    if (!has_sessions())
        return real.select(limit, reads, writes, excepts, timeout);
    struct timespec precise = {0};
    if (timeout)
        precise = (struct timespec){.tv_sec = timeout->tv_sec, .tv_nsec = timeout->tv_usec * 1000L};
    int ready = pselect(limit, reads, writes, excepts, timeout ? &precise : NULL, NULL);
    if (ready == 0 && timeout)
        *timeout = (struct timeval){0};
    return ready;
}

/* ---- epoll -------------------------------------------------------------------------------------------------- */

/* What was registered last for a descriptor that may yet become ours: see `slot`. A set in another set is looked at by who
 * waits in that one. */
EXPORTED int epoll_ctl(int set, int what, int fd, struct epoll_event *event)
{
    real_ready();
    if (conn_of(fd))
        return set_control(set, what, fd, event);
    int result = real.epoll_ctl(set, what, fd, event);
    struct slot *slot = slot_of(fd);
    if (result != 0 || !slot)
        return result;
    if (what != EPOLL_CTL_DEL && event) {
        slot->event = *event;
        atomic_store(&slot->epoll_fd, set + 1);
        set_refuse(fd);
    } else {
        atomic_store(&slot->epoll_fd, 0);
    }
    return result;
}

static int wait_in_set(const struct set_wait *wait)
{
    return has_sessions() ? set_wait(wait) : set_wait_in_kernel(wait);
}

EXPORTED int epoll_wait(int set, struct epoll_event *events, int count, int timeout_ms)
{
    struct set_wait wait = {.set = set, .events = events, .count = count, .timeout_ms = timeout_ms};
    return wait_in_set(&wait);
}

EXPORTED int epoll_pwait(int set, struct epoll_event *events, int count, int timeout_ms, const sigset_t *mask)
{
    struct set_wait wait = {.set = set,
                            .events = events,
                            .count = count,
                            .timeout_ms = timeout_ms,
                            .mask = mask,
                            .has_mask = true};
    return wait_in_set(&wait);
}

EXPORTED int epoll_pwait2(int set, struct epoll_event *events, int count, const struct timespec *timeout,
                          const sigset_t *mask)
{
    struct set_wait wait = {
        .set = set, .events = events, .count = count, .timeout = timeout, .mask = mask, .is_precise = true};
    return wait_in_set(&wait);
}
