/* An event loop: file descriptors, timers, a bell that other threads can ring, and pollers: what becomes ready without
 * the kernel's knowledge.
 *
 * Principal entry points: loop_new, loop_add, loop_poll, loop_wake, loop_timer_start, loop_add_poller.
 * Threads: one owner; only loop_wake may be called by others.
 * A simulated loop (loop_options.simulated) never looks at descriptors or sleeps: its timers follow the
 * hooked clock, and simulated transports mark their streams ready themselves.
 *
 * E1  A callback may add, change and remove any descriptor or timer, its own included; a removed one is not
 *     called again, also not within the same loop_poll.
 * E2  Readiness is level style: what is not consumed is reported again. Of a source that says when it has read all there is (`tells_read`)
 *     the kernel reports only what is new, while nothing but reading is wanted, and so need not look once more whether anything is left: the loop
 *     itself remembers who has not said so. */
#ifndef SKUA_LOOP_LOOP_H
#define SKUA_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/status.h"

struct loop;

enum loop_event { LOOP_READABLE = 1, LOOP_WRITABLE = 2, LOOP_HANGUP = 4, LOOP_ERROR = 8 };

struct loop_source {
    int fd;
    /* set of enum loop_event; set by loop_add and loop_change. LOOP_HANGUP: also when only the
     * peer's sending has ended. LOOP_ERROR: what is in the socket's error queue is no end; without it an error is
     * a hangup */
    unsigned interest;
    bool exclusive; /* set by loop_add */
    /* set by the owner before loop_add: what is not consumed is not reported again until more comes */
    bool edge;
    /* set by the owner before loop_add: it calls loop_note_read (E2) */
    bool tells_read;
    /* the loop's */
    bool has_ended;          /* the kernel has reported an end, which remains to be read */
    uint32_t watched;        /* what the kernel watches for */
    struct list_node unread; /* reported readable, and not read to the end: in the loop's list */
    void (*ready)(struct loop_source *source, unsigned events);
};

struct loop_timer {
    uint64_t due_ns; /* monotonic */
    void (*fire)(struct loop_timer *timer);
    uint32_t heap_index; /* place in the loop's heap + 1; 0: not running */
};

struct loop_options {
    const struct clock *clock;
    bool simulated;
};

enum status loop_new(const struct loop_options *options, struct loop **ret_loop);
void loop_free(struct loop *loop);

/* The source belongs to the caller and must stay until loop_remove. ST_IO: see errno; source->interest then
 * tells what is still watched. ST_UNSUPPORTED: the loop is simulated. loop_remove comes before the descriptor
 * is closed. With interest 0 nothing is reported, not even a hangup, and with any interest a
 * hangup comes together with all that the source is interested in, so that its next operation finds the
 * error. `exclusive`: a listening socket that several loops watch; one of them is woken. */
enum status loop_add(struct loop *loop, struct loop_source *source, unsigned interest, bool exclusive);
enum status loop_change(struct loop *loop, struct loop_source *source, unsigned interest);
void loop_remove(struct loop *loop, struct loop_source *source);

/* Of a source that `tells_read`: a read has found less than it had room for, or nothing. */
static inline void loop_note_read(struct loop_source *source)
{
    if (list_is_listed(&source->unread) && !source->has_ended)
        list_remove(&source->unread);
}

/* Something that has to be looked at: memory that another process writes. While one of them is busy the kernel is looked at
 * only now and then, at least every LOOP_KERNEL_NS. All of it is called from within loop_poll, by the owner. */
struct loop_poller {
    const void *kind; /* whose it is: loop_find_poller */
    /* Looks at everything once, calls back what is ready and returns how many that were. `now` in ticks. */
    unsigned (*look)(struct loop_poller *poller, uint64_t now);
    /* The loop is about to sleep: from now on the kernel must tell. False: something is ready, it must not sleep. */
    bool (*rest)(struct loop_poller *poller);
    /* Looking has found nothing from `begin` to `end` (ticks), and now it is over. */
    void (*waited)(struct loop_poller *poller, uint64_t begin, uint64_t end, bool in_vain);
    void (*free)(struct loop_poller *poller); /* with the loop */
    /* ticks: until when looking again and again is worth while; in the past: it is not */
    uint64_t spin_until;
    struct loop_poller *next;
};
#define LOOP_KERNEL_NS 20000

/* The poller stays with the loop until loop_free. */
void loop_add_poller(struct loop *loop, struct loop_poller *poller);
/* The loop's poller of a kind, or NULL. */
struct loop_poller *loop_find_poller(const struct loop *loop, const void *kind);
/* The loop's clock. */
const struct clock *loop_clock(const struct loop *loop);

/* One shot; starting a running timer moves it. A timer started by another's callback fires in a later
 * loop_poll. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t due_ns);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);

/* The loop's clock, from which due times are counted. */
uint64_t loop_now_ns(const struct loop *loop);

/* When the first timer is due, UINT64_MAX when none is running: a simulation sets its clock there. */
uint64_t loop_next_due_ns(const struct loop *loop);

/* Waits until something is ready, a timer is due, the bell rings or `timeout_ns` is over (UINT64_MAX: no
 * limit, 0: does not wait), calls the callbacks, and returns the number of callbacks called. A signal ends
 * the wait too. At most 256 sources a call. */
unsigned loop_poll(struct loop *loop, uint64_t timeout_ns);

/* Since when, in ticks, what the last loop_poll found may have been ready. That is when it returned; but when the owner
 * was away for LOOP_AWAY_NS or more, and found something as soon as it looked again, it is when it had looked before. */
uint64_t loop_ready_ticks(const struct loop *loop);

/* For how long, in ticks, loop_poll has looked at pollers instead of sleeping, since loop_new. */
uint64_t loop_spun_ticks(const struct loop *loop);

#define LOOP_AWAY_NS 100000

/* Any thread: makes the current or the next loop_poll return. Rings made before it returns are one ring. */
void loop_wake(struct loop *loop);

#endif
