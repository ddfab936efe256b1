/* A server that offers shared memory, played by a thread: for tests of the client's end.
 *
 * Principal entry points: shm_host_start, shm_host_stop.
 * It serves one connection at a time, each as the plan of its turn says, and understands a few commands:
 *   PING              +PONG                          LATER us          +OK, and after us a push
 *   ECHO text         the text, a bulk string        BYE               +BYE, and the end of the connection
 *   BULK n            n bytes, a bulk string         DIE               the end of the connection
 *   NAP us            +OK, asleep for us first       HALF              the beginning of a reply, and the end
 *   TAIL n, HEAD n    its word becomes so much larger, and it does nothing more
 *   HELLO             a map, as if it spoke RESP3    STAY              +OK, when `may_go_on` has been set
 * It sleeps by the rules of shm/end.h, after `looks` looks in vain.
 * Threads: shm_host_start's caller; the host's own. */
#ifndef SKUA_TESTS_SUPPORT_SHM_HOST_H
#define SKUA_TESTS_SUPPORT_SHM_HOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "shm/handshake.h"

#define SHM_HOST_PLANS 4

/* How a connection is answered when it asks for shared memory. */
enum shm_host_plan {
    SHM_HOST_OFFERS,
    SHM_HOST_OFFERS_IN_PIECES,
    SHM_HOST_REFUSES,
    SHM_HOST_REFUSES_AND_CLOSES,
    SHM_HOST_CLOSES,
    SHM_HOST_TALKS_NONSENSE,
    SHM_HOST_ANSWERS_TWICE,
    SHM_HOST_ANSWERS_FOR_EVER,
    SHM_HOST_REFUSES_WITH_DESCRIPTORS,
    SHM_HOST_OFFERS_NO_DESCRIPTORS,
    SHM_HOST_OFFERS_ONE_DESCRIPTOR,
    SHM_HOST_OFFERS_THREE_DESCRIPTORS,
    SHM_HOST_OFFERS_TWENTY_DESCRIPTORS,
    SHM_HOST_OFFERS_UNSEALED,
    SHM_HOST_OFFERS_TOO_SMALL,
    SHM_HOST_OFFERS_A_PIPE,
};

struct shm_host {
    char path[64], folder[32];
    /* of each connection in turn; the last one for all that follow */
    enum shm_host_plan plans[SHM_HOST_PLANS];
    unsigned plan_count;
    unsigned looks;           /* in vain, before it sleeps */
    atomic_ullong usual_ring; /* of who does not ask for a size; 64 KB */
    int listener;
    pthread_t thread;
    atomic_bool stop;
    atomic_bool may_go_on; /* who waits in STAY */

    /* What happened; to be read at any time. */
    atomic_uint stays; /* begun: nothing is read from then on */
    atomic_uint connections, asked, bells_rung, bells_heard, lost_bells;
    atomic_ullong request_ring, reply_ring; /* asked for last; 0: the default */
};

/* False: it could not listen. Memory and descriptors that it takes are given back by shm_host_stop. */
bool shm_host_start(struct shm_host *host, unsigned looks, unsigned plan_count,
                    const enum shm_host_plan *plans);
void shm_host_stop(struct shm_host *host);

#endif
