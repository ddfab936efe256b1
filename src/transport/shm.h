/* Shared memory as a transport: a connection that came over a Unix socket changes to two rings (shm/README.md).
 *
 * Principal entry points: shm_stream_new, shm_stream_take_over.
 * Threads: a stream belongs to one thread like any other. */
#ifndef SKUA_TRANSPORT_SHM_H
#define SKUA_TRANSPORT_SHM_H

#include "base/waits.h"
#include "shm/layout.h"
#include "transport/shm_host.h"
#include "transport/transport.h"

/* What a client has asked for: powers of two from SHM_RING_MIN to SHM_RING_MAX. */
struct shm_rings {
    uint64_t request, reply;
};

/* What it has to be told. */
struct shm_terms {
    uint64_t request_control, reply_control; /* shm/handshake.h */
};

/* Makes both segments. On failure nothing stays, and *ret_refusal is why, for the client (with its code). */
enum status shm_stream_new(struct shm_host *host, const struct shm_rings *rings, struct stream **ret_stream,
                           struct shm_terms *ret_terms, const char **ret_refusal);

/* Sends `answer` and the segments over a Unix stream, and takes its socket over: from then on that stream is gone, and
 * `stream`, attached to no loop yet, is in its place. On failure (ST_IO, ST_AGAIN: the socket did not take all of it, and
 * is of no use any more) both streams are still the caller's to close. */
enum status shm_stream_take_over(struct stream *stream, struct stream *unix_stream, struct slice answer);

/* How often the stream has looked for a while, gone to sleep, and rung for its peer; the counters outlive the stream. */
void shm_stream_count_waits(struct stream *stream, struct waits *waits);

extern const struct transport transport_shm;

#endif
