/* Epoll sets whose waits are answered from memory.
 *
 * Entry points: set_control, set_consider, set_forget_fd, set_release_fd, set_refuse; preload/set_wait.h waits.
 *
 * A program with many connections in one set pays for each reply a signal that makes a descriptor readable, one that clears
 * it, and what it says to epoll_ctl; and its server pays for bells. None of that is needed as long as it waits in its set by
 * calls that we see: then we look at the rings ourselves, and answer with the data that it has registered.
 *
 * What a set has is held or not, one by one:
 *
 * | state  | registration in the kernel       | connection                        | leads to                                   |
 * |--------|----------------------------------|-----------------------------------|--------------------------------------------|
 * | plain  | as the program made it           | rests (C3 of preload/conn.h)      | awake: set_consider                        |
 * | awake  | ours: by edge, our data          | `kept`: not armed, not signalled  | parked: set_wait; plain: release           |
 * | parked | ours                             | rests; its thread sleeps, or is   | awake: set_wait, after the sleep;          |
 * |        |                                  | about to                          | asleep: nothing came for PARKS_IN_VAIN     |
 * | asleep | ours                             | rests                             | awake: its edge was reported; plain        |
 *
 * S1  Held is only what one thread alone waits for: `owner`, which has slept in this set in calls that we saw, twice in a
 *     row at least. Another thread that waits in the set, at the same time or later, first makes everything plain.
 * S2  A set that might be looked at in another way has nothing held, for good (`refused`): one that is in another set, was
 *     given to poll or select, or copied; and no set has, in a process that uses io_uring (sets_off).
 * S3  Held are only connections with one name, in one set, by level, without EPOLLONESHOT or EPOLLEXCLUSIVE. Other wishes,
 *     a copy, or the connection's end make it plain. So does a connection that is full, for all of its set.
 * S4  While it is held, epoll_ctl changes what is in slots[fd] only, with the errors that the kernel would give. A change
 *     that is an event for an owner who sleeps wakes it, by a signal.
 * S5  The owner sleeps only when all that was awake rests, and nothing of it is to be reported. P2 of shm/end.h holds for each
 *     of them as it does for one that is plain: what is between its bell and the owner's sleep is an edge instead of a level.
 *     An edge is reported to the owner alone (S1), which takes what has been reported into `awake`, and so puts it to rest
 *     again, with a look at its bells, before it sleeps.
 * S6  The kernel is asked by each wait that finds nothing, and by each SET_TURNS-th that does.
 *
 * Before a fork everything is made plain, so that a child finds what the program has registered.
 * Threads: any. Locks: a set's, then those of preload/conn.h. No set's lock is held in a wait. */
#ifndef SKUA_PRELOAD_SET_H
#define SKUA_PRELOAD_SET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "preload/conn.h"
#include "preload/spin.h"

/* Further sets, and further members of a set, are left to the kernel. */
#define SETS_MAX      32u
#define SET_HELD_MAX  1024u
#define SET_AWAKE_MAX 128u
/* Waits that may be answered without the kernel, in a row. */
#define SET_TURNS 8u

struct set {
    pthread_mutex_t lock;
    atomic_int fd; /* plus 1; 0: this place is free. Written under the lock */
    uint64_t id;   /* another one for each use of the place */
    bool refused;
    bool sleeps;     /* its owner, in the kernel */
    unsigned inside; /* threads that wait */
    uint64_t owner;  /* a thread; 0: nobody yet */
    unsigned trust,
        at_once;    /* waits of the owner, in a row: those that might sleep, and those that must not */
    unsigned turns; /* waits since the kernel was asked */
    unsigned next;  /* of `held`: where the next look begins */
    unsigned held_count, awake_count;
    int held[SET_HELD_MAX]; /* descriptors; slots[held[i]].place == i; those that are awake first */
};

/* epoll_ctl for a connection of ours. */
int set_control(int set_fd, int what, int fd, struct epoll_event *event);

/* The thread has read from the connection: from now on it may be held. Without locks. */
void set_consider(int fd, const struct spin_thread *self);

/* The descriptor, of whatever kind and below CONN_FDS, is about to be closed. */
void set_forget_fd(int fd);
/* The connection is about to be copied, or otherwise be more than S3 allows. */
void set_release_fd(int fd);
/* The descriptor is about to be used in a way that S2 does not allow for sets. Any descriptor may be given. */
void set_refuse(int fd);
/* A descriptor, of whatever kind, has been copied. */
void set_note_copy(int from, int to);
/* The process uses io_uring. */
void set_refuse_all(void);

/* ---- For set_wait.c ----------------------------------------------------------------------------------------- */

/* The set, locked; NULL: none of ours is in it. */
struct set *set_lock(int set_fd);

/* Our data in a registration of ours, and back: the descriptor, or -1. */
static inline uint64_t set_mark(int fd)
{
    return (uint64_t)(uintptr_t)&slots[fd];
}
int set_marked_fd(uint64_t data);

/* All with the set's lock. The connection behind held[place], locked; NULL: it was closed, and the place is another's. */
struct conn *set_member(struct set *set, unsigned place);
/* With its own lock: nobody rings for it or signals it from now on, for its set looks. */
void set_keep(struct conn *conn);
/* It has been signalled, or is to be looked at: it is awake, if it is held at all. */
void set_wake_member(struct set *set, int fd);
/* One that is awake and rests. */
void set_put_to_sleep(struct set *set, unsigned place);
/* Makes it plain; the place is another's then. */
void set_release(struct set *set, unsigned place, struct conn *conn);
void set_release_all(struct set *set);

/* Around fork, outside of conn's handlers. */
void set_before_fork(void);
void set_after_fork_in_parent(void);
void set_after_fork_in_child(void);

#endif
