/* A session as a client has it: the two segments mapped, its end, and whether a fork has taken it away.
 *
 * Entry points: shm_session_map, shm_session_unmap, shm_session_is_inherited. Stands on libc alone; for libskua and the
 * preload library.
 * Threads: one at a time. */
#ifndef SKUA_SHM_SESSION_H
#define SKUA_SHM_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "shm/end.h"
#include "shm/handshake.h"

struct shm_session {
    struct shm_end end;
    void *request, *reply; /* mappings */
    size_t request_size, reply_size;
    /* In memory that a forked child finds wiped: true where the session was mapped. NULL: the kernel cannot do that. */
    const volatile bool *is_ours;
    size_t is_ours_size;
};

/* Maps what was offered. The server is not trusted with sizes: a segment that is smaller than offered, or that could
 * shrink later, which would end the process with SIGBUS, is refused. Takes no descriptor over: the caller closes both,
 * whatever comes out. False: errno tells why, and nothing stays. */
bool shm_session_map(struct shm_session *session, const struct shm_offer *offer, int request_fd,
                     int reply_fd);
void shm_session_unmap(struct shm_session *session);

/* Whether this is a child of the process that has mapped the session: the rings are the parent's, and the child must do
 * nothing with them (they are not even there). */
static inline bool shm_session_is_inherited(const struct shm_session *session)
{
    return session->is_ours && !*session->is_ours;
}

#endif
