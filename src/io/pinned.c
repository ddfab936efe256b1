/* Output that is sent without being copied, and stays until the kernel has read it.
 *
 * Principal entry points: conn_send_some, conn_note_unpinned, conn_part.
 * Which way a send goes is send_policy's choice; how it goes is the transport's. Here is who holds the memory: what the output consists
 * of are chunks, and a chunk of which a pinned send took bytes is held, when it has been sent to its end, until the stream's
 * pins->free_end has passed where that send ended.
 *
 *     output: [ chunk ] [ chunk ] ...      held: [ chunk, until ] [ chunk, until ] ...
 *                 sent to its end  ------------------------^          until <= free_end: given back
 *
 * | a connection with sends in flight | what happens                                                                         |
 * |-----------------------------------|--------------------------------------------------------------------------------------|
 * | open                               | goes on; what is over is given back as it is told                                      |
 * | moving                             | goes on without pinned sends; `held` moves with it                                     |
 * | all sent, and to be closed         | waits until they are over, for CONN_LINGER_NS at most: *draining*                       |
 * | ended                              | is dissolved; what is then still in flight drains apart from the connection             |
 *
 * V1  held is in the order of `held_until`; each held chunk's bytes may still be read below.
 * V2  A drain has a stream that has been dissolved and has sends in flight. It is asked again and again until it has none.
 * V3  head_is_pinned: of the output's first chunk a part has been sent pinned.
 *
 * Threads: the owning io. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/log.h"
#include "exec/exec.h"
#include "io/conn.h"
#include "io/internal.h"
#include "transport/uring.h"

/* Bytes of one pinned send: what copying CONN_SEND_SIZE takes, they take or less. */
#define PINNED_SEND_SIZE ((uint64_t)512 << 10)

/* Of the bytes of a pinned send at least so many in four lie still in memory of their own (log, snapshot, large value). The others,
 * which are in common chunks, are held just the same, but would be cheaper to copy. */
#define PINNED_QUARTERS 3

#define DRAIN_FIRST_NS    UINT64_C(1000000)
#define DRAIN_MAX_NS      UINT64_C(100000000)
#define DRAIN_GIVEN_UP_NS UINT64_C(5000000000) /* only when the process ends */

struct drain {
    struct list_node in_drains; /* io->drains */
    struct stream *stream;      /* V2 */
    struct chunk_list held;
    uint64_t since_ns;
};

/* ---- Start ------------------------------------------------------------------------------------------ */

void io_announce_uring(const struct io_group *group)
{
    struct uring *ring;
    if (!atomic_load_explicit(group->pinning.uses_uring, memory_order_relaxed))
        return;
    if (uring_new(group->options.loop, &ring) == ST_OK) {
        uring_free(ring);
        log_write(group->options.log, LOG_VERBOSE, "io_uring can be used for what is sent to replicas");
    } else {
        log_write(group->options.log, LOG_NOTICE,
                  "io_uring cannot be used here (%s): what is sent to replicas goes without it",
                  strerror(errno));
    }
}

/* ---- Sending -------------------------------------------------------------------------------------- */

void conn_share_pinning(struct conn *conn)
{
    if (conn->stream->transport->capabilities & TRANSPORT_ZERO_COPY_SEND)
        conn->stream->pinning = &conn->io->pinning;
}

static uint64_t option_size_min(const struct pinning *pinning)
{
    return (uint64_t)atomic_load_explicit(pinning->host->size_min, memory_order_relaxed);
}

static bool may_pin(const struct conn *conn)
{
    const struct pinning *pinning = conn->stream->pinning;
    /* Who may have to move sends nothing that binds it. */
    if (pinning == NULL || conn->state != CONN_OPEN || conn->io->spreading)
        return false;
    uint64_t size_min = option_size_min(pinning);
    if (likely(conn->output.bytes < (size_min > 0 ? size_min : SEND_POLICY_SIZE_MIN)))
        return false;
    return atomic_load_explicit(pinning->host->is_on, memory_order_relaxed) &&
           (!conn->is_loopback || atomic_load_explicit(&pinning->host->for_loopback, memory_order_relaxed));
}

/* What the next send is made of. */
struct gathered {
    struct slice slices[STREAM_SLICES_MAX];
    size_t count;
    uint64_t size;
    uint64_t still; /* of it, bytes that lie in memory of their own */
};

/* The first bytes of the output, at most `size`. Neighbours in memory, as pieces of the log are, become one slice. */
static void gather(const struct conn *conn, uint64_t size, struct gathered *ret)
{
    ret->count = 0;
    ret->size = ret->still = 0;
    for (const struct chunk *chunk = conn->output.head; chunk && size > 0; chunk = chunk->next) {
        const char *data = chunk->data + chunk->start;
        uint64_t part = chunk->end - chunk->start;
        if (part == 0)
            continue;
        part = part < size ? part : size;
        struct slice *last = ret->count ? &ret->slices[ret->count - 1] : NULL;
        if (last && last->data + last->size == data)
            last->size += part;
        else if (ret->count < STREAM_SLICES_MAX)
            ret->slices[ret->count++] = slice_make(data, part);
        else
            return;
        size -= part;
        ret->size += part;
        ret->still += chunk->pinned ? part : 0;
    }
}

/* What the thread has worked so far; sleeping and waiting awake are no work. */
static uint64_t worked_ns(const struct loop *loop)
{
    return clock_thread_cpu_ns() - clock_ticks_to_ns(loop_clock(loop), loop_spun_ticks(loop));
}

static enum send_way choose_way(struct conn *conn, uint64_t size)
{
    struct pinning *pinning = conn->stream->pinning;
    struct send_choice choice = send_policy_choose(&pinning->policy, size, option_size_min(pinning));
    if (unlikely(choice.is_marked)) {
        send_policy_mark(&pinning->policy, worked_ns(conn->io->loop));
        atomic_store_explicit(&pinning->threshold, send_policy_threshold(&pinning->policy),
                              memory_order_relaxed);
    }
    return choice.way;
}

/* One call of the transport for a connection that may send pinned. */
static enum status send_chosen(struct conn *conn, uint64_t copy_max, struct conn_sent *ret_sent)
{
    struct stream *stream = conn->stream;
    struct gathered gathered;
    gather(conn, PINNED_SEND_SIZE, &gathered);
    enum status status = ST_UNSUPPORTED;
    bool lies_still = gathered.still >= gathered.size / 4 * PINNED_QUARTERS;
    bool is_chosen = lies_still && choose_way(conn, gathered.size) == SEND_PINNED;
    ret_sent->is_pinned = is_chosen;
    if (is_chosen)
        status = stream_send_pinned(stream, gathered.slices, gathered.count, &ret_sent->size);
    if (status == ST_UNSUPPORTED) {
        ret_sent->is_pinned = false;
        gather(conn, copy_max, &gathered);
        status = stream_send(stream, gathered.slices, gathered.count, &ret_sent->size);
    }
    if (status == ST_OK)
        send_policy_note(&stream->pinning->policy, ret_sent->size, is_chosen && !ret_sent->is_pinned);
    return status;
}

enum status conn_send_some(struct conn *conn, uint64_t copy_max, struct conn_sent *ret_sent)
{
    struct gathered gathered;
    if (unlikely(may_pin(conn)))
        return send_chosen(conn, copy_max, ret_sent);
    gather(conn, copy_max, &gathered);
    ret_sent->is_pinned = false;
    return stream_send(conn->stream, gathered.slices, gathered.count, &ret_sent->size);
}

/* ---- What is held --------------------------------------------------------------------------------- */

static void note_held(struct conn *conn)
{
    atomic_store_explicit(&conn->shared.pinned_bytes, pins_in_flight(conn->stream->pins),
                          memory_order_relaxed);
}

static void take_head(struct chunk_list *list)
{
    list->head = list->head->next;
    list->count--;
    if (!list->head)
        list->tail = NULL;
}

/* V1 */
static void give_back(struct chunk_list *held, uint64_t free_end, struct chunk_pool *pool)
{
    while (held->head && held->head->held_until <= free_end) {
        struct chunk *chunk = held->head;
        take_head(held);
        chunk_put(pool, chunk);
    }
}

static void give_back_free(struct conn *conn)
{
    give_back(&conn->held, conn->stream->pins->free_end, conn->io->chunks);
    note_held(conn);
}

static void hold(struct conn *conn, struct chunk *chunk)
{
    chunk->start = chunk->end;
    chunk->held_until = conn->stream->pins->sent_end;
    chunk_list_append(&conn->held, chunk);
}

void conn_consume(struct conn *conn, const struct conn_sent *sent)
{
    struct chunk_list *output = &conn->output;
    if (likely(!sent->is_pinned && !conn->head_is_pinned)) {
        chunk_list_consume(output, sent->size, conn->io->chunks);
        return;
    }
    uint64_t left = sent->size;
    bool is_pinned = sent->is_pinned || conn->head_is_pinned; /* the first one */
    output->bytes -= left;
    conn->head_is_pinned = false;
    while (left > 0) {
        struct chunk *chunk = output->head;
        uint64_t part = chunk->end - chunk->start;
        if (left < part) {
            chunk->start += left;
            conn->head_is_pinned = is_pinned; /* V3 */
            break;
        }
        left -= part;
        take_head(output);
        if (is_pinned) {
            hold(conn, chunk);
        } else {
            chunk_put(conn->io->chunks, chunk);
        }
        is_pinned = sent->is_pinned;
    }
    give_back_free(conn);
}

void conn_note_unpinned(struct conn *conn)
{
    if (conn->state == CONN_ENDED || conn->stream->pins == NULL)
        return;
    give_back_free(conn);
    if (conn->output.bytes == 0 && !stream_is_pinned(conn->stream))
        conn_mark_unsent(conn); /* it may have waited for that: conn_send knows */
}

bool conn_waits_for_pins(struct conn *conn, bool is_at_end)
{
    bool waits = is_at_end && stream_is_pinned(conn->stream);
    if (waits != conn->drains)
        pinning_count(&conn->io->pinning.draining, waits ? 1 : (uint64_t)-1);
    conn->drains = waits;
    return waits;
}

/* ---- Ends ----------------------------------------------------------------------------------------- */

static bool drain_is_over(struct io *io, struct drain *drain)
{
    bool is_over = stream_dissolve(drain->stream);
    give_back(&drain->held, drain->stream->pins->free_end, io->chunks);
    if (is_over) {
        ASSERT(drain->held.head == NULL);
        stream_close(drain->stream);
    }
    return is_over;
}

static void start_timer(struct io *io)
{
    loop_timer_start(io->loop, &io->drain_timer, loop_now_ns(io->loop) + io->drain_wait_ns);
}

static void add_drain(struct conn *conn)
{
    struct io *io = conn->io;
    struct drain *drain = mem_alloc(sizeof *drain);
    *drain = (struct drain){.stream = conn->stream, .held = conn->held, .since_ns = io->now_ns};
    list_append(&io->drains, &drain->in_drains);
    pinning_count(&io->pinning.draining, 1);
    io->drain_wait_ns = DRAIN_FIRST_NS;
    start_timer(io);
}

/* The end of the process: memory that the kernel has not let go by then stays as it is. */
static bool is_given_up(const struct io *io, const struct drain *drain)
{
    return atomic_load_explicit(&io->group->is_ending, memory_order_relaxed) &&
           loop_now_ns(io->loop) - drain->since_ns > DRAIN_GIVEN_UP_NS;
}

void io_look_at_drains(struct loop_timer *timer)
{
    struct io *io = container_of(timer, struct io, drain_timer);
    list_for_each(&io->drains, node)
    {
        struct drain *drain = list_entry(node, struct drain, in_drains);
        if (!drain_is_over(io, drain) && !is_given_up(io, drain))
            continue;
        list_remove(node);
        pinning_count(&io->pinning.draining, (uint64_t)-1);
        mem_free(drain);
    }
    if (list_is_empty(&io->drains))
        return;
    io->drain_wait_ns = io->drain_wait_ns * 2 < DRAIN_MAX_NS ? io->drain_wait_ns * 2 : DRAIN_MAX_NS;
    start_timer(io);
}

void conn_part(struct conn *conn)
{
    struct stream *stream = conn->stream;
    conn_waits_for_pins(conn, false);
    if (stream->pins == NULL) {
        stream_close(stream);
    } else {
        /* Also what is still in the output: a part of its first chunk may have been sent pinned. */
        if (conn->head_is_pinned) {
            struct chunk *head = conn->output.head;
            conn->output.bytes -= head->end - head->start;
            take_head(&conn->output);
            hold(conn, head);
        }
        if (!stream_is_pinned(stream) || stream_dissolve(stream)) {
            give_back(&conn->held, UINT64_MAX, conn->io->chunks);
            stream_close(stream);
        } else {
            add_drain(conn);
        }
        conn->held = (struct chunk_list){0};
        atomic_store_explicit(&conn->shared.pinned_bytes, 0, memory_order_relaxed);
    }
    conn->stream = NULL;
}

/* ---- After a pause -------------------------------------------------------------------------------- */

void io_settle_pins(struct io *io)
{
    unsigned resumed = atomic_load_explicit(&io->pinning.host->resumed, memory_order_relaxed);
    if (likely(resumed == io->heard_resumed))
        return;
    io->heard_resumed = resumed;
    list_for_each(&io->conns, node)
    {
        struct conn *conn = list_entry(node, struct conn, in_conns);
        if (conn->stream && conn->stream->pins && stream_settle(conn->stream))
            conn_note_unpinned(conn);
    }
}
