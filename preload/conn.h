/* A connection that is a session, as the program has it: a descriptor of the program's that is an eventfd in the
 * kernel's eyes, readable while there is something to read, and behind it rings, and three descriptors far up.
 *
 * Entry points: conn_of, conn_lock, conn_unlock, conn_new, conn_add_name, conn_drop_name, conn_end; slot_of.
 * Threads: any. A struct conn is never freed, only used again, so that whoever comes too late finds another number
 * (`id`) in it and not foreign memory. Two kinds of locks, in this order: table_lock, one conn's lock.
 *
 * C1  slots[fd].conn == c means that the program's fd is c. It changes under c's lock, and table_lock.
 * C2  All members but those marked otherwise are guarded by c's lock.
 * C3  Outside of this library's functions a connection rests: when its ring holds something, or it has ended, its
 *     eventfd is readable; else its park word says that it sleeps, and the kernel (or the watching thread) turns the
 *     server's bell into readability. So whoever looks at the descriptor by whatever system call, seen by us or not, is
 *     right. There are two exceptions: a quiet connection (`quiet`, preload/rest.h) and one that is awake in an epoll set
 *     that we look after (`kept`, preload/set.h).
 * C4  `users` counts threads which look at c's memory or sleep on its descriptors without the lock: nothing is unmapped
 *     or closed before the last of them has left.
 *
 * | state      | meaning                                            | leads to                                      |
 * |------------|----------------------------------------------------|-----------------------------------------------|
 * | CONN_FREE  | not in use                                         | open: conn_new                                |
 * | CONN_OPEN  | the server is there                                | ended: conn_end; lost: fork; free: last close |
 * | CONN_ENDED | it is gone; what the ring holds can be read        | lost: fork; free: last close                  |
 * | CONN_LOST  | this is a child, the session is its parent's       | free: last close                              |
 */
#ifndef SKUA_PRELOAD_CONN_H
#define SKUA_PRELOAD_CONN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "shm/session.h"

/* Descriptors from here on are never ours. */
#define CONN_FDS 65536u
/* A process has at most this many sessions; further connections stay sockets. */
#define CONN_MAX 8192u

enum conn_state { CONN_FREE, CONN_OPEN, CONN_ENDED, CONN_LOST };

/* What SKUA_PRELOAD_DEBUG prints. */
struct conn_counts {
    uint64_t sessions, refused, reads, writes, bytes_read, bytes_written;
    uint64_t spins, spins_paid, sleeps, bells_rung, bells_taken, signals;
};

struct conn {
    pthread_mutex_t lock;
    uint32_t index;                /* constant */
    _Atomic uint32_t id;           /* another one for each use; read without the lock */
    _Atomic enum conn_state state; /* read without the lock as a hint */
    struct shm_session session;

    int bell_fd;   /* the socket to the server: bells, and whether it lives */
    int event_fd;  /* another name of the program's descriptor */
    int shadow_fd; /* the program's socket, never connected: its options and flags are asked there */
    unsigned names, users;

    bool nonblocking;
    bool shut_read, shut_write;
    int error;         /* what the next read says before the end of the stream, or 0 */
    bool armed;        /* the park word says sleep, and no bell was taken since */
    bool signalled;    /* the eventfd is known to be readable */
    bool full;         /* the program was told EAGAIN by a write and waits for space */
    bool kept;         /* its set looks at it: see preload/set.h */
    bool has_taker;    /* a thread sleeps in a read of bell_fd: it alone takes bells */
    unsigned sleepers; /* threads asleep for this connection, as far as seen; see preload/wait.h */
    unsigned space_sleepers;
    atomic_bool quiet;   /* awake without anybody of ours there; read without the lock as a hint */
    atomic_bool watched; /* a request to watch bell_fd is with the kernel or the thread */
    atomic_bool rung;    /* it has come back: there is a bell, or the end. No lock */

    uint64_t writer, write_waits; /* the thread that wrote last, and how often it had waited by then */
    uint64_t trusted;             /* the thread that waits in ways which we see, or 0 */

    struct sockaddr_storage peer; /* what the program connected to */
    socklen_t peer_size;
    struct conn_counts counts;
};

/* What is known of a descriptor. */
struct slot {
    _Atomic(struct conn *) conn;
    atomic_bool is_hidden;     /* one of our three */
    atomic_bool close_on_exec; /* what the program asked for, where conn is set */
    atomic_bool is_copied;     /* by dup and the like, from it or to it */
    /* Where the program has registered it, maybe before it was connected: the registration moves with it then. */
    atomic_int epoll_fd; /* plus 1; 0: nowhere */
    struct epoll_event event;
    bool in_several; /* it was registered in several sets at a time */
    /* See preload/set.h. */
    atomic_uint set; /* for an epoll set with connections of ours: its number plus 1 */
    atomic_uint
        holder; /* for a connection that a set holds: the set's number plus 1. Under its lock, as what follows */
    unsigned place;
    uint32_t held_id; /* of the connection */
    unsigned parks;   /* sleeps of its set since it last had news */
};

extern struct slot slots[CONN_FDS];
extern atomic_uint conn_count;  /* sessions that are there */
extern atomic_uint quiet_count; /* of them, quiet ones */
extern atomic_uint full_count;  /* of them, those with `full` */

static inline struct slot *slot_of(int fd)
{
    return (unsigned)fd < CONN_FDS ? &slots[fd] : NULL;
}

/* The one look-up that a descriptor of somebody else's costs. */
static inline struct conn *conn_of(int fd)
{
    return (unsigned)fd < CONN_FDS ? atomic_load_explicit(&slots[fd].conn, memory_order_acquire) : NULL;
}

/* The connection behind the descriptor, locked; NULL when it is not ours (any more). */
struct conn *conn_lock(int fd);
/* The same connection again, after its lock was given up by one that is counted in `users` or `sleepers`. False: it was
 * closed meanwhile; the lock is held all the same. */
bool conn_relock(struct conn *conn, uint32_t id);
void conn_unlock(struct conn *conn);

/* Number `index` below conn_high(), for who looks at all of them; its state may be CONN_FREE. */
struct conn *conn_at(uint32_t index);
uint32_t conn_high(void);

/* A new one, with state CONN_FREE and a new id, which nobody else knows yet. NULL: too many. conn_give_back undoes. */
struct conn *conn_new(void);
void conn_give_back(struct conn *conn);
/* A descriptor of ours, moved to where programs do not come across it. -1: no room; `fd` is closed in any case. */
int conn_hide_fd(int fd);
void conn_close_hidden(int fd);

/* The program's descriptor now means this connection. */
void conn_add_name(struct conn *conn, int fd, bool close_on_exec);
/* The program's descriptor is about to be closed; with the last one the session ends. False: not ours. The caller closes
 * the descriptor itself. In a vforked child, whose descriptors are its own and whose memory is not: nothing. */
bool conn_drop_name(int fd);

/* For threads that leave the lock but keep looking. */
void conn_use(struct conn *conn);
void conn_unuse(struct conn *conn);

/* The server is gone, or cannot be believed any more (`error` ECONNRESET). */
void conn_end(struct conn *conn, int error);

/* Whether this is the process that the table belongs to. */
bool conn_is_our_process(void);

/* Around fork. */
void conn_before_fork(void);
void conn_after_fork_in_parent(void);
void conn_after_fork_in_child(void);

/* Adds up what all connections have counted. */
struct conn_counts conn_total(void);
/* A server was there, and gave no session. */
void conn_count_refusal(void);

#endif
