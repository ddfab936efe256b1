/* Sending from the arena by io_uring: the kernel has the memory registered, so that a send costs neither a copy nor pages to be pinned.
 *
 * Principal entry points: uring_new, uring_can_send, uring_send, uring_collect.
 * A thread has one ring for all its streams, watched by its loop. Segments of the arena (base/arena.h) are registered when something in them is first sent,
 * and forgotten when their memory goes back to the system.
 *
 * U1  uring_send is over when it returns: it has been taken, in part or in whole, or it has not. Slices go one after the other, so nothing follows
 *     what was taken in part only.
 * U2  For each send that was taken `taken` is called once, from within uring_send, and `over` once, later or at once, from within any call of the
 *     ring's or from its loop. Both may only count and mark.
 * U3  A sender with sends in flight belongs to its ring: it must not be freed, and not be sent by another one.
 *
 * Threads: the loop's owner; what the arena tells comes on any thread. */
#ifndef SKUA_TRANSPORT_URING_H
#define SKUA_TRANSPORT_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

struct loop;
struct uring;

/* Who sends: part of a stream. */
struct uring_sender {
    /* The kernel reads `size` bytes more from now on; returns the number of this send. */
    uint32_t (*taken)(struct uring_sender *sender, uint64_t size);
    /* It has read them. `copied`: it has made a copy all the same, where it says so (from Linux 6.2 on). */
    void (*over)(struct uring_sender *sender, uint32_t number, bool copied);
    uint32_t in_flight; /* sends that are taken and not over; U3 */
    /* the ring's: bytes of sends that may share a packet with one that was not copied */
    uint64_t shared_left;
};

/* ST_UNSUPPORTED: this kernel has not what is needed, somebody has forbidden it (see errno), Skua was built without it, or the loop is a simulated one.
 * ST_IO for the rest. The loop is to outlive the ring. */
enum status uring_new(struct loop *loop, struct uring **ret_ring);

/* What is in flight must be out of the kernel's hands. NULL is allowed. */
void uring_free(struct uring *ring);

/* Whether the bytes lie in memory that the ring can have registered. `ring` may be NULL. */
bool uring_can_send(const struct uring *ring, struct slice bytes);

/* As stream_send, without waiting, on a TCP socket. ST_UNSUPPORTED: nothing of it was sent, because of where it lies, or because there are too many in flight, or because
 * the kernel may not register more memory: then uring_can_send says no for a while. */
enum status uring_send(struct uring *ring, struct uring_sender *sender, int fd, const struct slice *slices,
                       size_t count, size_t *ret_sent);

/* Takes what the kernel has to tell, without waiting for the loop: after a connection has been reset. */
void uring_collect(struct uring *ring);

#endif
