/* Outgoing links. States and rules in link.h.
 *
 * Threads: said at each section. Both halves speak by messages over the io's rings (IO_LINK), in order; on io 0 they call each other
 * straight. So each half may find, behind any word that it says, that the other one has ended the link meanwhile.
 *
 * An io's half is freed when the executor has forgotten the link, the executor's half lies in the same memory: by then it has said
 * its last word. */
#include "io/link.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/role.h"
#include "config/config.h"
#include "exec/exec.h"
#include "io/internal.h"

#define CHUNK_MAX    ((size_t)64 << 10) /* received at a time when there is much */
#define RECEIVES_MAX 8                  /* calls of the transport in one go: others' turn then */
#define GRANT_MIN    (IO_LINK_WINDOW / 8)

enum link_state { LINK_OPENING, LINK_OPEN, LINK_ENDED };

struct io_link {
    struct io *io;
    const struct transport *transport;
    char address[IO_LINK_NAME_MAX];
    /* The io's. */
    enum link_state state;
    struct stream *stream; /* NULL: ended, or not begun */
    struct chunk_list output;
    uint64_t unconsumed; /* L1 */
    size_t chunk_size;   /* of the next receive */
    bool send_blocked;
    unsigned ready_events;
    /* to be told in the io's next turn: no event comes from inside io_link_*; ST_OK: none */
    enum status failure;
    int failure_error;
    bool is_served;    /* by serve, which then frees it */
    bool is_forgotten; /* meanwhile */
    struct list_node in_links;
    struct list_node in_ready;
    /* The executor's. */
    struct io_link_events events;
    uint64_t id;
    uint64_t consumed; /* and not yet said */
    bool is_closed;    /* io_link_close */
    bool has_ended;    /* the io has said so */
};

enum link_word {
    /* executor -> io */
    LINK_DO_OPEN,
    LINK_DO_SEND,  /* bytes */
    LINK_DO_GRANT, /* number: bytes consumed */
    LINK_DO_CLOSE,
    LINK_DO_FORGET, /* the last one */
    /* io -> executor */
    LINK_CONNECTED, /* text: peer, local */
    LINK_RECEIVED,  /* bytes */
    LINK_HAS_ENDED, /* number: errno; why */
};

struct io_link_message {
    struct io_link *link;
    enum link_word word;
    enum status why;
    uint64_t number;
    struct chunk_list bytes;
    char peer[IO_LINK_NAME_MAX], local[IO_LINK_NAME_MAX]; /* LINK_CONNECTED only */
};

static struct io_link_message *message_new(struct io_link *link, enum link_word word)
{
    bool has_names = word == LINK_CONNECTED;
    size_t size = has_names ? sizeof(struct io_link_message) : offsetof(struct io_link_message, peer);
    struct io_link_message *message = mem_calloc(1, size);
    message->link = link;
    message->word = word;
    return message;
}

/* ---- The io's half: what it tells ------------------------------------------------------------------- */

static void tell(struct io_link *link, struct io_link_message *message)
{
    io_tell(link->io, IO_LINK, message);
}

static void end(struct io_link *link, enum status why, int error)
{
    struct io *io = link->io;
    if (link->state == LINK_ENDED)
        return;
    link->state = LINK_ENDED;
    if (list_is_listed(&link->in_ready))
        list_remove(&link->in_ready);
    list_remove(&link->in_links);
    if (link->stream)
        stream_close(link->stream);
    link->stream = NULL;
    chunk_list_drop(&link->output, io->chunks, io->group->options.exec->workers);
    struct io_link_message *message = message_new(link, LINK_HAS_ENDED);
    message->why = why;
    message->number = (uint64_t)error;
    tell(link, message);
}

/* The same in the next turn. */
static void fail(struct io_link *link, enum status why, int error)
{
    if (link->state == LINK_ENDED || link->failure != ST_OK)
        return;
    link->failure = why;
    link->failure_error = error;
    if (!list_is_listed(&link->in_ready))
        list_append(&link->io->links_ready, &link->in_ready);
}

static void update_wants(struct io_link *link)
{
    unsigned wants = 0;
    if (link->stream == NULL)
        return;
    if (link->state == LINK_OPEN && link->unconsumed < IO_LINK_WINDOW)
        wants |= STREAM_WANT_RECV;
    if (link->state == LINK_OPENING || link->send_blocked)
        wants |= STREAM_WANT_SEND;
    stream_want(link->stream, wants);
}

/* ---- The io's half: bytes --------------------------------------------------------------------------- */

static void send_output(struct io_link *link)
{
    link->send_blocked = false;
    while (link->output.bytes > 0) {
        struct slice slices[STREAM_SLICES_MAX];
        size_t count = 0, sent;
        for (struct chunk *chunk = link->output.head; chunk && count < STREAM_SLICES_MAX; chunk = chunk->next)
            slices[count++] = slice_make(chunk->data + chunk->start, chunk->end - chunk->start);
        enum status status = stream_send(link->stream, slices, count, &sent);
        if (status == ST_AGAIN) {
            link->send_blocked = true;
            return;
        }
        if (status != ST_OK) {
            fail(link, status, errno);
            return;
        }
        io_count(&link->io->counters.bytes_out, sent);
        io_count(&link->io->counters.writes, 1);
        chunk_list_consume(&link->output, sent, link->io->chunks);
    }
}

/* One call of the transport. False: nothing more now, or the link has ended. */
static bool receive_some(struct io_link *link)
{
    struct io *io = link->io;
    struct chunk *chunk = chunk_new(io->chunks, link->chunk_size);
    size_t size;
    if (chunk == NULL) {
        end(link, ST_NOMEM, ENOMEM);
        return false;
    }
    enum status status = stream_recv(link->stream, chunk->data, chunk->capacity, &size);
    if (status != ST_OK) {
        int error = errno;
        chunk_put(io->chunks, chunk);
        if (status != ST_AGAIN)
            end(link, status, status == ST_EOF ? 0 : error);
        return false;
    }
    bool is_full = size == chunk->capacity;
    link->chunk_size = is_full ? CHUNK_MAX : CHUNK_CAPACITY;
    chunk->end = size;
    link->unconsumed += size;
    io_count(&io->counters.bytes_in, size);
    io_count(&io->counters.reads, 1);
    struct io_link_message *message = message_new(link, LINK_RECEIVED);
    chunk_list_append(&message->bytes, chunk);
    tell(link, message);
    return is_full && link->state == LINK_OPEN && link->unconsumed < IO_LINK_WINDOW;
}

static void note_connected(struct io_link *link)
{
    struct stream_description description;
    link->state = LINK_OPEN;
    stream_describe(link->stream, &description);
    struct io_link_message *message = message_new(link, LINK_CONNECTED);
    snprintf(message->peer, sizeof message->peer, "%s", description.peer);
    snprintf(message->local, sizeof message->local, "%s", description.local);
    tell(link, message);
}

static void free_link(struct io_link *link)
{
    atomic_fetch_sub_explicit(&link->io->link_count, 1, memory_order_release);
    mem_free(link);
}

static void serve(struct io_link *link)
{
    unsigned events = link->ready_events;
    link->ready_events = 0;
    link->is_served = true;
    if (link->failure != ST_OK)
        end(link, link->failure, link->failure_error);
    if (link->state == LINK_OPENING && events & STREAM_CAN_SEND)
        note_connected(link);
    if (link->state == LINK_OPEN && events & STREAM_CAN_SEND)
        send_output(link);
    if (events & (STREAM_CAN_RECV | STREAM_AT_END))
        for (unsigned i = 0; i < RECEIVES_MAX && link->state == LINK_OPEN; i++)
            if (!receive_some(link))
                break;
    update_wants(link);
    link->is_served = false;
    if (link->is_forgotten)
        free_link(link);
}

static void on_ready(struct stream *stream, unsigned events)
{
    struct io_link *link = stream->owner;
    link->ready_events |= events;
    if (!list_is_listed(&link->in_ready))
        list_append(&link->io->links_ready, &link->in_ready);
}

bool io_serve_links(struct io *io)
{
    bool some = !list_is_empty(&io->links_ready);
    while (!list_is_empty(&io->links_ready)) {
        struct io_link *link = list_entry(io->links_ready.next, struct io_link, in_ready);
        list_remove(&link->in_ready);
        serve(link);
    }
    return some;
}

/* ---- The io's half: what it is told ----------------------------------------------------------------- */

static void open_stream(struct io_link *link)
{
    struct io *io = link->io;
    list_append(&io->links, &link->in_links);
    if (io->draining) {
        fail(link, ST_AGAIN, 0);
        return;
    }
    enum status status = transport_connect(link->transport, io->loop, link->address, &link->stream);
    if (status != ST_OK) {
        int error = status == ST_IO ? errno : 0;
        link->stream = NULL;
        fail(link, status == ST_AGAIN ? ST_IO : status, error);
        return;
    }
    link->stream->owner = link;
    link->stream->ready = on_ready;
    int64_t keepalive_s = io->group->options.config->tcp_keepalive;
    if (link->stream->ops->set_keepalive && keepalive_s > 0)
        stream_set_keepalive(link->stream, (unsigned)keepalive_s);
    update_wants(link);
}

static void take_output(struct io_link *link, struct chunk_list *bytes)
{
    if (link->state == LINK_ENDED) {
        chunk_list_clear(bytes, link->io->chunks);
        return;
    }
    chunk_list_move(&link->output, bytes);
    if (link->output.bytes > IO_LINK_UNSENT_MAX) {
        fail(link, ST_LIMIT, 0);
        return;
    }
    if (link->state != LINK_OPEN || link->send_blocked)
        return;
    send_output(link);
    update_wants(link);
}

static void take_grant(struct io_link *link, uint64_t bytes)
{
    link->unconsumed -= bytes;
    if (link->state == LINK_OPEN)
        update_wants(link);
}

static void forget(struct io_link *link)
{
    ASSERT(link->state == LINK_ENDED);
    if (link->is_served)
        link->is_forgotten = true;
    else
        free_link(link);
}

void io_hear_link(struct io_link_message *message)
{
    struct io_link *link = message->link;
    switch (message->word) {
    case LINK_DO_OPEN: open_stream(link); break;
    case LINK_DO_SEND: take_output(link, &message->bytes); break;
    case LINK_DO_GRANT: take_grant(link, message->number); break;
    case LINK_DO_CLOSE: end(link, ST_EOF, 0); break;
    case LINK_DO_FORGET: forget(link); break;
    default: BUG("word %d to a link", message->word);
    }
    mem_free(message);
}

void io_drop_links(struct io *io)
{
    while (!list_is_empty(&io->links))
        end(list_entry(io->links.next, struct io_link, in_links), ST_AGAIN, 0);
}

/* ---- The executor's half ---------------------------------------------------------------------------- */

static void ask(struct io_link *link, struct io_link_message *message)
{
    io_answer_link(link->io, message);
}

struct io_link *io_link_open(struct io_group *group, const struct transport *transport, const char *address,
                             const struct io_link_events *events)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct io_link *link = mem_calloc(1, sizeof *link);
    link->io = group->ios[io_choose(group)];
    link->transport = transport;
    link->chunk_size = CHUNK_CAPACITY;
    link->id = atomic_fetch_add_explicit(&group->next_client_id, 1, memory_order_relaxed);
    link->events = *events;
    snprintf(link->address, sizeof link->address, "%s", address);
    atomic_fetch_add_explicit(&link->io->link_count, 1, memory_order_relaxed);
    group->links_known++;
    ask(link, message_new(link, LINK_DO_OPEN));
    return link;
}

uint64_t io_link_id(const struct io_link *link)
{
    return link->id;
}

void io_link_send(struct io_link *link, struct slice bytes)
{
    struct chunk_pool *chunks = link->io->group->options.exec->chunks;
    if (link->has_ended || bytes.size == 0)
        return;
    struct io_link_message *message = message_new(link, LINK_DO_SEND);
    while (bytes.size > 0) {
        struct chunk *chunk = chunk_pool_get(chunks);
        chunk->end = bytes.size < chunk->capacity ? bytes.size : chunk->capacity;
        memcpy(chunk->data, bytes.data, chunk->end);
        bytes = slice_make(bytes.data + chunk->end, bytes.size - chunk->end);
        chunk_list_append(&message->bytes, chunk);
    }
    ask(link, message);
}

void io_link_consumed(struct io_link *link, uint64_t bytes)
{
    link->consumed += bytes;
    if (link->consumed < GRANT_MIN || link->has_ended)
        return;
    struct io_link_message *message = message_new(link, LINK_DO_GRANT);
    message->number = link->consumed;
    link->consumed = 0;
    ask(link, message);
}

static void let_go(struct io_link *link)
{
    link->io->group->links_known--;
    ask(link, message_new(link, LINK_DO_FORGET));
}

void io_link_close(struct io_link *link)
{
    ASSERT(!link->is_closed);
    link->is_closed = true;
    if (link->has_ended)
        let_go(link);
    else
        ask(link, message_new(link, LINK_DO_CLOSE));
}

static void executor_hear_end(struct io_link *link, const struct io_link_message *message)
{
    link->has_ended = true;
    if (link->is_closed)
        let_go(link);
    else
        link->events.ended(link->events.context, message->why, (int)message->number);
}

void io_executor_hear_link(struct io_link_message *message)
{
    struct io_link *link = message->link;
    const struct io_link_events *events = &link->events;
    switch (message->word) {
    case LINK_CONNECTED:
        if (!link->is_closed)
            events->connected(events->context, message->peer, message->local);
        break;
    case LINK_RECEIVED:
        if (!link->is_closed)
            events->received(events->context, &message->bytes);
        chunk_list_clear(&message->bytes, link->io->group->options.exec->chunks);
        break;
    case LINK_HAS_ENDED: executor_hear_end(link, message); break;
    default: BUG("word %d from a link", message->word);
    }
    mem_free(message);
}
