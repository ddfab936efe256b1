/* One end of a session of shared memory: bytes in, bytes out, and going to sleep without missing the bell.
 *
 * Entry points: shm_read, shm_write, shm_settle, shm_arm, shm_disarm; shm_tell_cpu, shm_shares_cpu.
 * Both ends use this, the server with the rings exchanged. Stands on libc alone.
 * Threads: an end belongs to one thread at a time. The peer is another process, which is not trusted: it can write
 * anything into its segment at any time. Each of its words is loaded once, checked, and then only the copy is used; a
 * word that breaks M3 of shm/layout.h ends the session (SHM_BROKEN). Bytes are copied out before anybody looks at them.
 *
 * Sleeping. Who finds nothing to do may watch the words for a while, and then sleeps in the kernel until a bell rings:
 * one byte on the Unix socket over which the session was made.
 *
 * | state  | own park word          | leads to                                                                        |
 * |--------|------------------------|---------------------------------------------------------------------------------|
 * | awake  | n << 2                 | armed, by shm_arm, which finds nothing that is wanted after storing the word    |
 * | armed  | (n + 1) << 2 \| wants   | asleep, by a system call that a byte on the socket ends; awake, by shm_disarm   |
 * | asleep | the same               | armed, when the call returns for whatever reason                                |
 *
 * P1  Who has published a tail or a head calls shm_settle before it sleeps or waits for anything else, and rings when
 *     that says so.
 * P2  Who sleeps has called shm_arm, with success, after its last look, and has not taken a byte from the socket since.
 * P3  A sleep is rung for once: while the peer's park word stays the same further publishing is silent.
 *
 * Why no bell is lost. Let S sleep, and let W publish what S wants. W stores its word (release), then a fence, then
 * loads S's park; S stores its park, then a fence, then loads W's word. The two fences are sequentially consistent, so
 * one of them comes first. If it is W's, S's load sees the published word, and shm_arm says that there is something.
 * If it is S's, W's load sees the park word of this sleep or of a later one. In the first case W rings, unless it has rung
 * for this very sleep before (P3), and then that byte is in the socket or S has taken it and is awake, as P2 demands;
 * in the second S has been awake since. Without a fence on either side both loads may be answered before either store
 * is visible, on x86 too, and both sleep for ever; tests/unit/shm/test_park_model.c goes through all interleavings, with
 * and without them.
 * The bell itself is not trusted either: a byte that means nothing costs a look. */
#ifndef SKUA_SHM_END_H
#define SKUA_SHM_END_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shm/layout.h"

/* Bytes are published in steps of this size, so that the reader copies while the writer goes on. */
#define SHM_STEP ((size_t)16 << 10)

/* Of so many times that both share a processor one is not said. */
#define SHM_SHARED_TRY 256

enum shm_answer {
    SHM_DONE,
    SHM_NOTHING, /* no byte to read, or no room to write */
    SHM_BROKEN,  /* the peer's words contradict each other: nothing that it says means anything any more */
};

struct shm_end {
    struct shm_control *own;
    const struct shm_control *peer;
    char *out;
    const char *in;
    uint64_t out_size, in_size;          /* of the rings; powers of two */
    uint64_t tail, head;                 /* as published */
    uint64_t peer_tail, peer_head;       /* as last loaded and checked */
    uint64_t settled_tail, settled_head; /* as of the last shm_settle */
    uint64_t sleeps;                     /* the number in the own park word */
    uint64_t rung_for;                   /* the peer's park word that was rung for last */
    uint64_t told_cpu;                   /* the own cpu word */
    uint64_t shared;                     /* times that it was the peer's */
};

/* `own` and `peer` are the control blocks, `out` and `in` the rings; all zero, as a new segment is. */
static inline void shm_end_init(struct shm_end *end, struct shm_control *own, char *out, uint64_t out_size,
                                const struct shm_control *peer, const char *in, uint64_t in_size)
{
    *end = (struct shm_end){
        .own = own, .peer = peer, .out = out, .in = in, .out_size = out_size, .in_size = in_size};
}

/* ---- Looking ------------------------------------------------------------------------------------------------ */

/* Whether the peer has written something, maybe nonsense: shm_read checks. One load of one word. */
static inline bool shm_has_data(const struct shm_end *end)
{
    return atomic_load_explicit(&end->peer->tail, memory_order_relaxed) != end->head;
}

/* Whether there may be room to write. */
static inline bool shm_has_space(const struct shm_end *end)
{
    return atomic_load_explicit(&end->peer->head, memory_order_relaxed) + end->out_size != end->tail;
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

/* M3: a tail that goes back, or that is ahead by more than the ring holds, is none. */
static inline bool shm_load_peer_tail(struct shm_end *end)
{
    uint64_t tail = atomic_load_explicit(&end->peer->tail, memory_order_acquire); /* M4 */
    uint64_t filled = tail - end->head;
    if (filled > end->in_size || filled < end->peer_tail - end->head)
        return false;
    end->peer_tail = tail;
    return true;
}

/* Copies at most `capacity` bytes, which must not be 0, into private memory. SHM_DONE: *ret_size > 0. */
static inline enum shm_answer shm_read(struct shm_end *end, void *ret_bytes, size_t capacity,
                                       size_t *ret_size)
{
    if (end->peer_tail - end->head < capacity && !shm_load_peer_tail(end))
        return SHM_BROKEN;
    uint64_t filled = end->peer_tail - end->head;
    if (filled == 0)
        return SHM_NOTHING;
    size_t size = filled < capacity ? (size_t)filled : capacity;
    for (size_t done = 0; done < size;) {
        uint64_t place = end->head & (end->in_size - 1);
        size_t part = size - done < SHM_STEP ? size - done : SHM_STEP;
        if (part > end->in_size - place)
            part = (size_t)(end->in_size - place);
        memcpy((char *)ret_bytes + done, end->in + place, part);
        done += part;
        end->head += part;
        atomic_store_explicit(&end->own->head, end->head, memory_order_release); /* M4 */
    }
    *ret_size = size;
    return SHM_DONE;
}

/* ---- Writing ------------------------------------------------------------------------------------------------ */

/* M3: a head that goes back, or that overtakes the tail, is none. */
static inline bool shm_load_peer_head(struct shm_end *end)
{
    uint64_t head = atomic_load_explicit(&end->peer->head, memory_order_acquire); /* M4 */
    uint64_t unread = end->tail - head;
    if (unread > end->tail - end->peer_head)
        return false;
    end->peer_head = head;
    return true;
}

/* Writes the beginning of the bytes, as much as there is room for. SHM_DONE: *ret_size > 0. */
static inline enum shm_answer shm_write(struct shm_end *end, const void *bytes, size_t size, size_t *ret_size)
{
    size_t done = 0;
    while (done < size) {
        uint64_t room = end->out_size - (end->tail - end->peer_head);
        if (room < size - done) {
            if (!shm_load_peer_head(end))
                return SHM_BROKEN;
            room = end->out_size - (end->tail - end->peer_head);
            if (room == 0)
                break;
        }
        uint64_t place = end->tail & (end->out_size - 1);
        size_t part = size - done < SHM_STEP ? size - done : SHM_STEP;
        if (part > end->out_size - place)
            part = (size_t)(end->out_size - place);
        if (part > room)
            part = (size_t)room;
        memcpy(end->out + place, (const char *)bytes + done, part);
        done += part;
        end->tail += part;
        atomic_store_explicit(&end->own->tail, end->tail, memory_order_release); /* M4 */
    }
    *ret_size = done;
    return done > 0 ? SHM_DONE : SHM_NOTHING;
}

/* ---- Bells -------------------------------------------------------------------------------------------------- */

/* After reading or writing (P1): whether the peer sleeps and waits for what has been published, so that the caller has
 * to ring. Cheap when nothing was published. */
static inline bool shm_settle(struct shm_end *end)
{
    uint64_t news = (end->tail != end->settled_tail ? SHM_WANT_DATA : 0) |
                    (end->head != end->settled_head ? SHM_WANT_SPACE : 0);
    if (news == 0)
        return false;
    end->settled_tail = end->tail;
    end->settled_head = end->head;
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t park = atomic_load_explicit(&end->peer->park, memory_order_relaxed);
    if ((park & news) == 0 || park == end->rung_for)
        return false;
    end->rung_for = park;
    return true;
}

/* Whether the peer slept when it was last settled with, and has not been seen awake since. */
static inline bool shm_peer_sleeps(const struct shm_end *end)
{
    return (atomic_load_explicit(&end->peer->park, memory_order_relaxed) & SHM_WANTS) != 0;
}

/* Refreshes the own hint: before watching, and before sleeping. A few ns, and a store only where it has changed. */
static inline void shm_tell_cpu(struct shm_end *end)
{
    uint64_t cpu = (uint64_t)(int64_t)(sched_getcpu() + 1);
    if (cpu == end->told_cpu)
        return;
    end->told_cpu = cpu;
    atomic_store_explicit(&end->own->cpu, cpu, memory_order_relaxed);
}

/* Whether both sides were last seen on one processor, after shm_tell_cpu: then watching keeps the peer from running. Now and
 * then it is denied all the same, so that both want to run at a time, which is when a scheduler takes them apart. */
static inline bool shm_shares_cpu(struct shm_end *end)
{
    if (end->told_cpu == 0 || atomic_load_explicit(&end->peer->cpu, memory_order_relaxed) != end->told_cpu)
        return false;
    return ++end->shared % SHM_SHARED_TRY != 0;
}

static inline void shm_disarm(struct shm_end *end)
{
    atomic_store_explicit(&end->own->park, end->sleeps << SHM_SLEEP_SHIFT, memory_order_relaxed);
}

/* Gets ready to sleep until one of `wants` (SHM_WANT_*) happens. False: there is something already, and the end is awake.
 * A wish that is fulfilled for good, such as a broken peer's, is found by the next shm_read or shm_write. */
static inline bool shm_arm(struct shm_end *end, uint64_t wants)
{
    end->sleeps++;
    shm_tell_cpu(end);
    atomic_store_explicit(&end->own->park, end->sleeps << SHM_SLEEP_SHIFT | wants, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (((wants & SHM_WANT_DATA) && shm_has_data(end)) || ((wants & SHM_WANT_SPACE) && shm_has_space(end))) {
        shm_disarm(end);
        return false;
    }
    return true;
}

#endif
