/* How a client asks for a session, and what it is offered. Client side; the server's words are in src/io/upgrade.c.
 *
 * Entry points: shm_ask, shm_read_offer. Stands on libc alone. Threads: any; no state.
 *
 *     client:  SHM OPEN 1 [REQUEST-RING bytes] [REPLY-RING bytes]      in RESP, over the Unix socket, nothing behind it
 *     server:  an array of names and integers, with the two segments' descriptors (SCM_RIGHTS): request, then reply
 *
 * With the last byte of that answer the socket has carried its last byte of the protocol: requests and replies go through
 * the rings from then on, and a byte on the socket is a bell. Any other answer is an error (an older server's, a
 * refusal): then there is no session, and the connection goes on over the socket as if nothing had been asked. */
#ifndef SKUA_SHM_HANDSHAKE_H
#define SKUA_SHM_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

/* Longest request of shm_ask, longest answer that is looked at. */
#define SHM_ASK_SIZE    160
#define SHM_ANSWER_SIZE 1024

struct shm_offer {
    uint64_t request_ring, reply_ring;       /* bytes */
    uint64_t request_control, reply_control; /* offsets of the control blocks in their segments */
};

/* Writes the request; 0 as a ring's size leaves it to the server. Returns its size. */
size_t shm_ask(char ret_request[static SHM_ASK_SIZE], uint64_t request_ring, uint64_t reply_ring);

enum shm_offer_status {
    SHM_OFFERED, /* *ret_offer is within the limits of shm/layout.h; *ret_size bytes are the answer */
    SHM_REFUSED, /* an error line: bytes [1, *ret_size - 2) are its text */
    SHM_UNFINISHED,
    SHM_NONSENSE,
};

/* Looks at the beginning of what the server has sent. Unknown names are passed over. */
enum shm_offer_status shm_read_offer(const char *bytes, size_t size, struct shm_offer *ret_offer,
                                     size_t *ret_size);

#endif
