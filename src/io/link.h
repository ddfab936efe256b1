/* Outgoing links: connections that this server opens to others, as a replica to its primary.
 *
 * Principal entry points: io_link_open, io_link_send, io_link_consumed, io_link_close (executor).
 * What comes in is handed to the executor as it is, nothing is parsed. The socket belongs to an io like any connection: with I/O threads to
 * one of them, else to io 0. Nothing here waits.
 *
 *     opening ──connected──> open ──end of stream, error──> ended ──io_link_close──> freed
 *        └────────────────failure───────────────────────────┘
 *
 * | state   | receives | sends    | what ends it                                                            |
 * |---------|----------|----------|-------------------------------------------------------------------------|
 * | opening | no       | no: kept | the transport is ready, or has failed                                    |
 * | open    | yes, L1  | yes      | the peer, an error, too much unsent, the end of its thread, io_link_close |
 * | ended   | no       | no       | the executor has heard of it and forgotten it                            |
 *
 * Threads: io_link_* are the executor's. Events come on the executor, between two batches.
 *
 * L1  At most IO_LINK_WINDOW bytes, and what one call of the transport gives beyond, are with the executor without having been consumed: then nothing
 *     more is received, so that a fast peer fills no memory here.
 * L2  No event comes after `ended`, nor after io_link_close, which is called exactly once, in any state.
 * L3  A link whose thread is to end (option io-threads) is ended with ST_AGAIN: its owner opens another. */
#ifndef SKUA_IO_LINK_H
#define SKUA_IO_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/chunk.h"
#include "base/slice.h"
#include "base/status.h"

struct io_group;
struct io_link;
struct transport;

#define IO_LINK_WINDOW ((uint64_t)4 << 20)
/* The peer does not take what it is sent: ended with ST_LIMIT */
#define IO_LINK_UNSENT_MAX ((uint64_t)16 << 20)
#define IO_LINK_NAME_MAX   128

struct io_link_events {
    void *context;
    /* The peer has taken the connection, as far as is known: a failure may still show in the first bytes. `peer` and `local` are
     * addresses as CLIENT LIST shows them. */
    void (*connected)(void *context, const char *peer, const char *local);
    /* Bytes, which the callee takes over; it says io_link_consumed when it has done with them. */
    void (*received)(void *context, struct chunk_list *bytes);
    /* ST_EOF: the peer has closed; ST_IO with its errno: an error; ST_LIMIT, ST_AGAIN (L3). io_link_close is still to be called. */
    void (*ended)(void *context, enum status why, int error);
};

/* `address` as transport_connect wants it; it is copied. The first event never comes from in here. */
struct io_link *io_link_open(struct io_group *group, const struct transport *transport, const char *address,
                             const struct io_link_events *events);

/* It counts among the clients (CLIENT LIST). */
uint64_t io_link_id(const struct io_link *link);

/* Copies the bytes. Nothing happens when the link has ended. */
void io_link_send(struct io_link *link, struct slice bytes);

/* So many bytes more of what was received need no memory any longer (L1). */
void io_link_consumed(struct io_link *link, uint64_t bytes);

/* What has been sent before goes out if the peer takes it at once. */
void io_link_close(struct io_link *link);

#endif
