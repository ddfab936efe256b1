/* What a session of shared memory looks like in memory: the contract between the two processes.
 *
 * Entry points: struct shm_control, the constants. Stands on libc alone: the server, libskua and the preload library
 * include it, and docs/shared-memory-protocol.md says the same in words, for other languages.
 *
 * A session has two segments (memfds), both made, sized and sealed by the server and passed to the client over the Unix
 * socket. One is written by the client only, the other by the server only:
 *
 *     request segment: | control block of the client, somewhere in the first SHM_RING_OFFSET bytes | request ring |
 *     reply segment:   | control block of the server, somewhere in the first SHM_RING_OFFSET bytes | reply ring   |
 *
 * M1  A ring carries bytes, nothing else: there are no records, and where a request ends only the protocol tells.
 * M2  Byte number n that was ever written into a ring stands at n modulo the ring's size. A size is a power of two.
 * M3  tail and head count bytes since the session began, and never go back; head <= tail <= head + size of the ring.
 *     The writer of a ring owns its tail, the reader its head, and each stands in its owner's control block.
 * M4  Bytes [head, tail) belong to the reader, all others to the writer. A tail is stored with release after the bytes
 *     were written and loaded with acquire before they are read; a head is stored with release after the bytes were
 *     read and loaded with acquire before they are written over.
 * M5  park is how a side says that it sleeps, see shm/end.h.
 * M6  cpu is a hint, and reserved words are zero: whoever knows nothing of them does without. A peer that lies about it
 *     makes this side look for its bytes in vain, within the limits that this side has for that anyway, or not at all. */
#ifndef SKUA_SHM_LAYOUT_H
#define SKUA_SHM_LAYOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SHM_VERSION 1

#define SHM_RING_OFFSET UINT64_C(4096)
#define SHM_RING_MIN    (UINT64_C(4) << 10)
#define SHM_RING_MAX    (UINT64_C(64) << 20)

/* Whether a ring may have this size, in bytes. */
static inline bool shm_is_ring_size(uint64_t size)
{
    return size >= SHM_RING_MIN && size <= SHM_RING_MAX && (size & (size - 1)) == 0;
}

/* What a sleeper wants to be woken for, in the low bits of park. Above them a number that grows with each sleep. */
#define SHM_WANT_DATA   UINT64_C(1) /* the peer's tail has moved */
#define SHM_WANT_SPACE  UINT64_C(2) /* the peer's head has moved */
#define SHM_WANTS       UINT64_C(3)
#define SHM_SLEEP_SHIFT 2

/* One cache line, written by one side. All of a small exchange is said by this line and the bytes themselves. */
struct shm_control {
    _Atomic uint64_t tail; /* bytes ever written into the ring of this segment */
    _Atomic uint64_t head; /* bytes ever read from the ring of the other segment */
    _Atomic uint64_t park;
    _Atomic uint64_t cpu; /* the processor on which the owner was seen last, plus 1; 0: not told. M6 */
    uint64_t reserved[4];
};

#define SHM_CONTROL_SIZE UINT64_C(64)
_Static_assert(sizeof(struct shm_control) == SHM_CONTROL_SIZE, "a control block is one line");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "atomics between processes must be free of locks");

#endif
