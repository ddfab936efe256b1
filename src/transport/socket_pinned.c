/* How a TCP stream sends without copying. States and rules in socket_pinned.h.
 *
 * Threads: the stream's owner. */
#include "transport/socket_pinned.h"

#include "base/alloc.h"
#include "base/bug.h"
#include "base/clock.h"
#include "transport/uring.h"

#define READS_MAX     64 /* of the error queue in one go: it is reported again */
#define GROWTH        8  /* R3: by a part of what completes */
#define HELD_MIN      16
#define WRONG_WAY_MAX 64 /* R5 */

static struct socket_stream *socket_of(struct stream *stream)
{
    return container_of(stream, struct socket_stream, stream);
}

static uint32_t uring_taken(struct uring_sender *sender, uint64_t size);
static void uring_over(struct uring_sender *sender, uint32_t number, bool copied);

static void begin(struct socket_stream *socket)
{
    struct socket_pinned *pinned = mem_calloc(1, sizeof *pinned);
    pinned->socket = socket;
    pins_init(&pinned->pins);
    pinned->in_flight_max = SOCKET_IN_FLIGHT_MAX;
    pinned->knows_zerocopy = zerocopy_enable(socket->source.fd);
    pinned->way = PIN_NOT_YET;
    pinned->sender.taken = uring_taken;
    pinned->sender.over = uring_over;
    pinning_count(&socket->stream.pinning->streams[pinned->way], 1);
    socket->pinned = pinned;
    socket->stream.pins = &pinned->pins;
    /* What is wanted will change with every send, and by edges each change would be a system call. */
    socket->source.tells_read = false;
}

void socket_pinned_free(struct socket_stream *socket)
{
    struct socket_pinned *pinned = socket->pinned;
    if (pinned == NULL)
        return;
    ASSERT(pins_in_flight(&pinned->pins) == 0 && pinned->sender.in_flight == 0);
    pinning_count(&socket->stream.pinning->streams[pinned->way], (uint64_t)-1);
    pinning_count(&socket->stream.pinning->tracking, -pins_memory(&pinned->pins));
    pins_done(&pinned->pins);
    mem_free(pinned->held);
    mem_free(pinned);
    socket->pinned = NULL;
    socket->stream.pins = NULL;
}

/* ---- Completions ---------------------------------------------------------------------------------- */

static void hold_back(struct socket_pinned *pinned, const struct zerocopy_note *note)
{
    struct zerocopy_note *last = pinned->held_count ? &pinned->held[pinned->held_count - 1] : NULL;
    if (last && last->copied == note->copied && note->first == (uint32_t)(last->last + 1)) {
        last->last = note->last;
        return;
    }
    if (pinned->held_count == pinned->held_capacity) {
        pinned->held_capacity = pinned->held_capacity ? pinned->held_capacity * 2 : HELD_MIN;
        pinned->held = mem_realloc(pinned->held, pinned->held_capacity * sizeof *pinned->held);
    }
    pinned->held[pinned->held_count++] = *note;
}

static void apply(struct socket_stream *socket, const struct zerocopy_note *note)
{
    struct socket_pinned *pinned = socket->pinned;
    uint64_t freed =
        pinning_over(socket->stream.pinning, &pinned->pins, note->first, note->last, note->copied);
    pinned->in_flight_max += freed / GROWTH;
    if (pinned->in_flight_max > SOCKET_IN_FLIGHT_MAX)
        pinned->in_flight_max = SOCKET_IN_FLIGHT_MAX;
}

/* In numbers of the pins'. */
static void take_note(struct socket_stream *socket, const struct zerocopy_note *note, bool is_paused)
{
    if (unlikely(is_paused))
        hold_back(socket->pinned, note);
    else
        apply(socket, note);
}

/* In the kernel's numbers: R1, R5 */
static void take_kernels_note(struct socket_stream *socket, struct zerocopy_note note, bool is_paused)
{
    struct socket_pinned *pinned = socket->pinned;
    uint64_t count = (uint64_t)(uint32_t)(note.last - note.first) + 1;
    pinned->untold -= count < pinned->untold ? count : pinned->untold;
    note.first += pinned->note_base;
    note.last += pinned->note_base;
    take_note(socket, &note, is_paused);
}

static unsigned read_notes(struct socket_stream *socket, bool is_paused)
{
    struct zerocopy_note notes[ZEROCOPY_NOTES_MAX];
    unsigned messages = 0, some;
    do {
        unsigned count, truncated;
        some = zerocopy_read(socket->source.fd, notes, &count, &truncated);
        messages += some;
        if (unlikely(truncated > 0))
            pinning_count(&socket->stream.pinning->truncated, truncated);
        for (unsigned i = 0; i < count; i++)
            take_kernels_note(socket, notes[i], is_paused);
    } while (some == ZEROCOPY_NOTES_MAX && messages < READS_MAX * ZEROCOPY_NOTES_MAX);
    return messages;
}

/* R4 */
static void judge(struct socket_stream *socket)
{
    struct socket_pinned *pinned = socket->pinned;
    if (pinned->pins.recent_count < PINS_RECENT || pins_recent_copied(&pinned->pins) * 2 <= PINS_RECENT ||
        socket->loop == NULL)
        return;
    pinned->rests_until_ns = loop_now_ns(socket->loop) + SOCKET_REST_NS;
    pins_forget_recent(&pinned->pins);
    pinning_count(&socket->stream.pinning->switched_off, 1);
}

/* R6 */
static void note_bound(struct socket_stream *socket)
{
    socket->stream.is_bound = socket->pinned->sender.in_flight > 0;
}

static uint32_t uring_taken(struct uring_sender *sender, uint64_t size)
{
    struct socket_pinned *pinned = container_of(sender, struct socket_pinned, sender);
    struct stream *stream = &pinned->socket->stream;
    stream->is_bound = true;
    return (uint32_t)pinning_sent(stream->pinning, &pinned->pins, size);
}

static void uring_over(struct uring_sender *sender, uint32_t number, bool copied)
{
    struct socket_pinned *pinned = container_of(sender, struct socket_pinned, sender);
    struct socket_stream *socket = pinned->socket;
    struct stream *stream = &socket->stream;
    const struct zerocopy_note note = {.first = number, .last = number, .copied = copied};
    take_note(socket, &note, atomic_load_explicit(&stream->pinning->host->is_paused, memory_order_relaxed));
    judge(socket);
    note_bound(socket);
    if (socket->loop) /* else it drains, and is asked */
        stream->ready(stream, STREAM_UNPINNED);
}

/* Takes all that has been told. Returns how many messages that were. */
static unsigned hear(struct socket_stream *socket)
{
    struct socket_pinned *pinned = socket->pinned;
    bool is_paused = atomic_load_explicit(&socket->stream.pinning->host->is_paused, memory_order_relaxed);
    if (unlikely(pinned->held_count > 0) && !is_paused) {
        for (uint32_t i = 0; i < pinned->held_count; i++)
            apply(socket, &pinned->held[i]);
        pinned->held_count = 0;
    }
    unsigned messages = pinned->untold > 0 ? read_notes(socket, is_paused) : 0;
    judge(socket);
    note_bound(socket);
    if (socket->loop)
        socket_watch(socket);
    return messages;
}

unsigned socket_hear(struct socket_stream *socket, bool *ret_is_error)
{
    uint64_t free_end = socket->pinned->pins.free_end;
    *ret_is_error = hear(socket) == 0;
    return socket->pinned->pins.free_end != free_end ? STREAM_UNPINNED : 0;
}

bool socket_settle(struct stream *stream)
{
    uint64_t free_end = stream->pins->free_end;
    hear(socket_of(stream));
    return stream->pins->free_end != free_end;
}

/* ---- Sending -------------------------------------------------------------------------------------- */

static struct uring *ring_of(struct socket_stream *socket)
{
    struct pinning *pinning = socket->stream.pinning;
    if (!atomic_load_explicit(pinning->host->uses_uring, memory_order_relaxed))
        return NULL;
    if (!pinning->has_tried_uring) {
        pinning->has_tried_uring = true;
        if (uring_new(socket->loop, &pinning->uring) != ST_OK)
            pinning->uring = NULL; /* it is not to be had here: MSG_ZEROCOPY is */
    }
    return pinning->uring;
}

static void go_way(struct socket_stream *socket, enum pin_way way)
{
    struct socket_pinned *pinned = socket->pinned;
    pinning_count(&socket->stream.pinning->streams[pinned->way], (uint64_t)-1);
    pinning_count(&socket->stream.pinning->streams[way], 1);
    pinned->way = way;
    pinned->wrong_way = 0;
    pinned->note_base = (uint32_t)pinned->pins.next - pinned->zerocopy_sends;
}

/* R5: which way a send that begins with these bytes goes now; PIN_NOT_YET: none now. */
static enum pin_way choose_way(struct socket_stream *socket, struct slice bytes)
{
    struct socket_pinned *pinned = socket->pinned;
    enum pin_way wanted = uring_can_send(ring_of(socket), bytes) ? PIN_URING
                          : pinned->knows_zerocopy               ? PIN_MSG_ZEROCOPY
                                                                 : PIN_NEVER;
    if (pinned->way == wanted)
        return wanted;
    if (pins_in_flight(&pinned->pins) == 0) {
        go_way(socket, wanted);
        return wanted;
    }
    bool goes_on = pinned->way == PIN_MSG_ZEROCOPY && pinned->wrong_way++ < WRONG_WAY_MAX;
    return goes_on ? PIN_MSG_ZEROCOPY : PIN_NOT_YET;
}

static bool may_send(struct socket_stream *socket, uint64_t size)
{
    struct socket_pinned *pinned = socket->pinned;
    if (pinned->rests_until_ns != 0) {
        if (loop_now_ns(socket->loop) < pinned->rests_until_ns)
            return false;
        pinned->rests_until_ns = 0;
    }
    return !pins_is_full(&pinned->pins) && pins_in_flight(&pinned->pins) + size <= pinned->in_flight_max &&
           pinning_may_send(socket->stream.pinning, size);
}

/* R3 */
static void note_refusal(struct socket_stream *socket)
{
    struct socket_pinned *pinned = socket->pinned;
    pinning_count(&socket->stream.pinning->refused, 1);
    pinned->in_flight_max /= 2;
    if (pinned->in_flight_max < SOCKET_IN_FLIGHT_MIN)
        pinned->in_flight_max = SOCKET_IN_FLIGHT_MIN;
}

static enum status send_by_zerocopy(struct socket_stream *socket, const struct slice *slices, size_t count,
                                    size_t *ret_sent)
{
    struct socket_pinned *pinned = socket->pinned;
    enum status status = zerocopy_send(socket->source.fd, slices, count, ret_sent);
    if (status != ST_OK)
        return status;
    pinning_sent(socket->stream.pinning, &pinned->pins, *ret_sent);
    pinned->zerocopy_sends++;
    if (++pinned->untold > 1)
        hear(socket); /* earlier ones may be over */
    else
        socket_watch(socket);
    return ST_OK;
}

enum status socket_send_pinned(struct stream *stream, const struct slice *slices, size_t count,
                               size_t *ret_sent)
{
    struct socket_stream *socket = socket_of(stream);
    uint64_t size = 0;
    DEBUG_ASSERT(count > 0 && count <= STREAM_SLICES_MAX && socket->loop != NULL);
    if (stream->pinning == NULL)
        return ST_UNSUPPORTED;
    if (socket->pinned == NULL)
        begin(socket);
    for (size_t i = 0; i < count; i++)
        size += slices[i].size;
    if (!may_send(socket, size))
        return ST_UNSUPPORTED;
    enum status status = ST_UNSUPPORTED;
    switch (choose_way(socket, slices[0])) {
    case PIN_MSG_ZEROCOPY: status = send_by_zerocopy(socket, slices, count, ret_sent); break;
    case PIN_URING:
        status = uring_send(stream->pinning->uring, &socket->pinned->sender, socket->source.fd, slices, count,
                            ret_sent);
        break;
    default: return ST_UNSUPPORTED;
    }
    if (status == ST_UNSUPPORTED)
        note_refusal(socket);
    return status;
}

/* ---- End ------------------------------------------------------------------------------------------ */

bool socket_dissolve(struct stream *stream)
{
    struct socket_stream *socket = socket_of(stream);
    struct socket_pinned *pinned = socket->pinned;
    socket_detach(stream); /* a socket without a connection would be reported as hung up for ever */
    if (pinned == NULL)
        return true;
    if (!pinned->is_dissolved) {
        pinned->is_dissolved = true;
        if (pins_in_flight(&pinned->pins) > 0)
            pinning_count(&stream->pinning->dissolved, 1);
        zerocopy_dissolve(socket->source.fd);
    }
    if (pinned->sender.in_flight > 0)
        uring_collect(stream->pinning->uring);
    hear(socket);
    return pins_in_flight(&pinned->pins) == 0;
}
