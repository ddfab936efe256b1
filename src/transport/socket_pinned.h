/* How a TCP stream sends without copying. Private to src/transport.
 *
 * Principal entry points: socket_send_pinned, socket_settle, socket_dissolve, socket_hear.
 * Threads: the stream's owner.
 *
 *     not yet --first pinned send--> MSG_ZEROCOPY <--nothing in flight--> io_uring
 *        |                               |  ^                              |  ^
 *        +--the kernel knows neither--> never  +---------- rests ----------+--+      R4
 *
 * | state         | a pinned send                                                             | notifications       |
 * |---------------|---------------------------------------------------------------------------|---------------------|
 * | not yet       | chooses                                                                     | none                |
 * | MSG_ZEROCOPY  | is taken, unless too much is in flight (R2) or the kernel refuses (R3)      | in the error queue  |
 * | io_uring      | the same, of memory in the arena only                                       | by the thread's ring |
 * | rests         | is refused                                                                  | as they come        |
 * | never         | is refused                                                                  | none                |
 *
 * R1  `untold` counts the sends of which the kernel has not said that they are over; while there are some the loop reports the error queue. It is
 *     above what pins hold only by what is held back (`held`), while notifications are paused.
 *     Sends by io_uring are not in it.
 * R2  At most in_flight_max bytes of a stream are in flight, and pinning_may_send; what comes beyond that is copied.
 * R3  ENOBUFS halves in_flight_max; it grows again with what completes.
 * R4  When more than half of the last PINS_RECENT sends were copied all the same the stream rests for SOCKET_REST_NS: loopback, a sniffer, a device that cannot
 *     gather.
 * R5  All sends in flight went one way, because the kernel numbers those by MSG_ZEROCOPY by itself: number n of the kernel's is n + note_base of the
 *     pins'. A stream that should rather go the other way has WRONG_WAY_MAX sends more, then it copies until nothing is in flight.
 * R6  What is in flight by io_uring belongs to the thread's ring: the stream is bound. */
#ifndef SKUA_TRANSPORT_SOCKET_PINNED_H
#define SKUA_TRANSPORT_SOCKET_PINNED_H

#include "transport/pinning.h"
#include "transport/socket.h"
#include "transport/uring.h"
#include "transport/zerocopy.h"

#define SOCKET_IN_FLIGHT_MAX ((uint64_t)32 << 20)
#define SOCKET_IN_FLIGHT_MIN ((uint64_t)1 << 20)
#define SOCKET_REST_NS       ((uint64_t)10 * 1000000000)

struct socket_pinned {
    struct socket_stream *socket;
    struct pins pins;
    enum pin_way way; /* of the sends in flight, or of the last ones */
    bool knows_zerocopy;
    uint32_t zerocopy_sends, note_base; /* R5 */
    uint32_t wrong_way;                 /* R5: sends that should have gone the other way */
    struct uring_sender sender;
    uint64_t in_flight_max;     /* R2 */
    uint64_t rests_until_ns;    /* R4; 0: does not rest */
    uint64_t untold;            /* R1 */
    struct zerocopy_note *held; /* R1 */
    uint32_t held_count, held_capacity;
    bool is_dissolved;
};

/* For tables of stream_ops. */
enum status socket_send_pinned(struct stream *stream, const struct slice *slices, size_t count,
                               size_t *ret_sent);
bool socket_settle(struct stream *stream);
bool socket_dissolve(struct stream *stream);

/* The loop has seen LOOP_ERROR: takes what has been told. Returns what the owner is to hear of it, of STREAM_UNPINNED; *ret_is_error: nothing has been told, so
 * it is an error of the connection. */
unsigned socket_hear(struct socket_stream *socket, bool *ret_is_error);

/* The kernel has something to tell, sooner or later: the error queue is to be watched. */
static inline bool socket_is_told_of(const struct socket_stream *socket)
{
    return socket->pinned != NULL && socket->pinned->untold > 0;
}

/* Frees it; nothing is in flight. */
void socket_pinned_free(struct socket_stream *socket);

#endif
