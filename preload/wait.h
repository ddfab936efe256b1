/* Waiting for several descriptors, some of them ours.
 *
 * Entry points: wait_poll, wait_before_set, wait_after_set. Threads: any.
 * A wait in an epoll set ends by what the kernel knows (C3 of preload/conn.h); all that happens here before is to look at
 * quiet connections for a while, and to give those a signal that have news, so that the kernel reports them with the
 * program's own data. A poll or select names its descriptors, so those of ours are answered from memory, precisely: also
 * for room to write, which an eventfd always says there is. */
#ifndef SKUA_PRELOAD_WAIT_H
#define SKUA_PRELOAD_WAIT_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

/* More descriptors than these are left to the kernel altogether. */
#define WAIT_FDS_MAX 1024

/* ppoll, for a list with descriptors of ours in it. `timeout` NULL: for ever. */
int wait_poll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask);

/* Whether one of the descriptors is ours. */
bool wait_has_ours(const struct pollfd *fds, nfds_t count);

/* Around a wait of which we do not know what it waits for. First wait_before_set: true says that there are news, or that
 * the program does not want to sleep, so that the kernel is to be asked without sleeping first. Then, to sleep,
 * wait_enter_set and wait_leave_set around it. */
bool wait_before_set(bool may_sleep);
void wait_enter_set(void);
void wait_leave_set(void);

/* An epoll set with an unwritable connection in it reports that as writable, over and over. While there is one, this
 * sleeps until it has space or data, for at most WAIT_FULL_MS, which is all that other descriptors are held up. */
#define WAIT_FULL_MS 1
void wait_while_full(int timeout_ms);

#endif
