/* How the server's bell makes the program's descriptor readable while none of our code runs.
 *
 * Entry points: wake_watch, wake_signal, wake_calm; wake_collect.
 * The kernel does it: an asynchronous poll of bell_fd (IOCB_CMD_POLL) that adds to event_fd when it is done
 * (IOCB_FLAG_RESFD). It holds for one bell and is then asked for again. Where that is refused (seccomp, aio-max-nr) one
 * thread of ours sleeps in epoll_wait on all bell_fds and does the same.
 * Threads: any; wake_watch, wake_signal and wake_calm with the connection's lock.
 *
 * W1  conn->watched: the kernel or the thread has the request. It was given back: conn->rung, seen by wake_collect.
 * W2  A request names its connection by index and id, so that one of a closed connection is recognised.
 * W3  event_fd never blocks, whoever reads or writes it.
 * W4  The kernel writes down that a request has come back before it signals event_fd. So whoever calms event_fd, then
 *     collects and then asks again loses no bell. */
#ifndef SKUA_PRELOAD_WAKE_H
#define SKUA_PRELOAD_WAKE_H

#include <stdbool.h>

struct conn;

/* Asks to be woken, unless that has been asked for already. False: this process cannot have sessions. */
bool wake_watch(struct conn *conn);

/* Makes event_fd readable, with an edge even if it is already; makes it not readable. */
void wake_signal(struct conn *conn);
void wake_calm(struct conn *conn);

/* Looks which requests have come back, and sets their connections' `rung`. Cheap when none has. */
void wake_collect(void);

/* In a forked child: the requests are its parent's. */
void wake_forget(void);

#endif
