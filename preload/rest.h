/* How a connection is left (C3 of preload/conn.h): at rest, quiet, or by a thread that sleeps.
 *
 * Entry points: rest, rest_take_bell, rest_go_quiet, rest_sleep, rest_all_quiet. All with the connection's lock.
 *
 * A server rings for each reply that finds its client asleep, which costs it more than the reply. So a program that asks,
 * waits and reads, over and over, is not put to rest after asking: its connection is quiet, the server's answer makes no
 * bell, and the wait that follows looks at the memory. That is safe as long as all who might sleep for it come by here:
 *
 * Q1  Only a thread that read the last reply, after having waited for it in a call that we saw, leaves a connection quiet.
 * Q2  It does not when another thread sleeps on the connection, or in any epoll set (set_sleepers): we do not know what is
 *     in those. Who goes to sleep counts itself first and then ends all quiet; who goes quiet says so first and then looks
 *     at the count. Both orders are sequentially consistent, so one of the two sees the other.
 * Q3  Every wait that we see, of any thread, puts all quiet connections to rest before it sleeps. */
#ifndef SKUA_PRELOAD_REST_H
#define SKUA_PRELOAD_REST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "preload/conn.h"

extern atomic_uint set_sleepers;

/* Puts it to rest. It may turn out to have ended. */
void rest(struct conn *conn);

/* Takes bells from the socket, if any, finds out whether the server lives, and asks to be woken again. Not while a thread
 * sleeps in a read of bell_fd. */
void rest_take_bell(struct conn *conn);

/* Takes a bell that is known to have rung. */
static inline void rest_look(struct conn *conn)
{
    if (atomic_load(&conn->rung) && !conn->has_taker)
        rest_take_bell(conn);
}

/* Leaves it quiet, unless Q2 forbids that. */
void rest_go_quiet(struct conn *conn);
/* Q3. */
void rest_all_quiet(void);

/* Sleeps until there may be something to read (SHM_WANT_DATA) or room to write (SHM_WANT_SPACE), or the end. 0: look
 * again; EAGAIN: the program's time is up (SO_RCVTIMEO, SO_SNDTIMEO); EINTR; EBADF: it was closed meanwhile. */
int rest_sleep(struct conn *conn, uint64_t want);

/* The program was told that there is no room, or there is room again. */
void rest_set_full(struct conn *conn, bool full);

#endif
