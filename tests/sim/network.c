/* The simulated network. See network.h. */
#include "network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "server/server.h"

#define CLIENT_CAPACITY 4096 /* small, so that sends are cut short often */
#define HOST_CAPACITY   32768

/* What one end has written. */
struct sim_pipe {
    struct buf bytes; /* written and not read yet */
    size_t arrived;   /* of these, how many the reader may see */
    bool closed;      /* the writer will write no more */
};

/* One of the two ends. */
struct sim_end {
    struct stream stream; /* first member; of a client's end unused */
    struct sim_link *link;
    const struct sim_host *host; /* NULL: a client's end, or the server's of such a connection */
    struct sim_pipe out;
    bool is_stream;
    bool attached;
    bool gone; /* closed by its owner */
};

enum { ACCEPTING, CONNECTING };

/* opening --accept_or_refuse--> open --cut_link--> cut; the memory goes when both ends are gone. */
enum link_state { LINK_OPENING, LINK_OPEN, LINK_CUT };

struct sim_link {
    struct sim *sim;
    struct list_node in_links;
    enum link_state state;
    size_t capacity;
    struct sim_end ends[2];
};

/* ---- Clock ---------------------------------------------------------------------------------------- */

static int64_t sim_wall_us(void *context)
{
    const struct sim *sim = context;
    return 1700000000000000 + (int64_t)(sim->now_ns / 1000);
}

static uint64_t sim_monotonic_ns(void *context)
{
    struct sim *sim = context;
    sim->now_ns += sim->look_ns;
    return sim->now_ns;
}

void sim_init(struct sim *sim, uint64_t seed)
{
    *sim = (struct sim){.now_ns = 1000000000};
    rng_seed(&sim->rng, seed);
    sim->clock = (struct clock){.wall_us = sim_wall_us,
                                .monotonic_ns = sim_monotonic_ns,
                                .context = sim,
                                .tick_multiplier = (uint64_t)1 << 32};
    list_init(&sim->links);
}

/* ---- Pipes ---------------------------------------------------------------------------------------- */

static void pipe_take(struct sim_pipe *pipe, size_t size)
{
    if (size == 0)
        return;
    memmove(pipe->bytes.data, pipe->bytes.data + size, pipe->bytes.size - size);
    pipe->bytes.size -= size;
    pipe->arrived -= size;
}

static void pipe_drop(struct sim_pipe *pipe)
{
    buf_clear(&pipe->bytes);
    pipe->arrived = 0;
    pipe->closed = true;
}

static struct sim_end *other_end(struct sim_end *end)
{
    return &end->link->ends[end == &end->link->ends[ACCEPTING] ? CONNECTING : ACCEPTING];
}

static bool is_between_hosts(const struct sim_link *link)
{
    return link->ends[CONNECTING].host != NULL;
}

static bool is_stalled(const struct sim *sim, const struct sim_host *from, const struct sim_host *to)
{
    return sim->now_ns < sim->stalled_until_ns[from->number][to->number];
}

static void change_bytes(struct sim *sim, char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (rng_below(&sim->rng, sim->change_one_in) == 0) {
            bytes[i] ^= 1;
            sim->changed++;
        }
}

static void deliver(struct sim_end *from)
{
    struct sim *sim = from->link->sim;
    struct sim_pipe *pipe = &from->out;
    size_t under_way = pipe->bytes.size - pipe->arrived;
    if (under_way == 0 || rng_below(&sim->rng, 4) == 0)
        return;
    size_t size = 1 + rng_below(&sim->rng, under_way);
    if (is_between_hosts(from->link)) {
        const struct sim_host *to = other_end(from)->host;
        size_t pace = sim->pace[from->host->number][to->number];
        if (is_stalled(sim, from->host, to))
            return;
        size = pace && pace < size ? pace : size;
        if (sim->change_one_in)
            change_bytes(sim, pipe->bytes.data + pipe->arrived, size);
    }
    pipe->arrived += size;
}

static void link_free_if_done(struct sim_link *link)
{
    if (!link->ends[0].gone || !link->ends[1].gone)
        return;
    buf_done(&link->ends[0].out.bytes);
    buf_done(&link->ends[1].out.bytes);
    list_remove(&link->in_links);
    mem_free(link);
}

/* ---- A server's end ------------------------------------------------------------------------------- */

static struct sim_end *end_of(const struct stream *stream)
{
    return container_of(stream, struct sim_end, stream);
}

static enum status fail_of(const struct sim_link *link)
{
    errno = link->state == LINK_OPENING ? ECONNREFUSED : ECONNRESET;
    return ST_IO;
}

static enum status sim_recv(struct stream *stream, void *ret_bytes, size_t capacity, size_t *ret_size)
{
    struct sim_end *end = end_of(stream);
    struct sim *sim = end->link->sim;
    struct sim_pipe *pipe = &other_end(end)->out;
    size_t size = pipe->arrived < capacity ? pipe->arrived : capacity;
    if (size == 0 && pipe->bytes.size > 0)
        return ST_AGAIN;
    if (size == 0 && is_between_hosts(end->link) && end->link->state == LINK_CUT)
        return fail_of(end->link);
    if (size == 0)
        return pipe->closed ? ST_EOF : ST_AGAIN;
    if (size > 1 && rng_below(&sim->rng, 3) == 0)
        size = 1 + rng_below(&sim->rng, size);
    memcpy(ret_bytes, pipe->bytes.data, size);
    pipe_take(pipe, size);
    *ret_size = size;
    return ST_OK;
}

static enum status sim_send(struct stream *stream, const struct slice *slices, size_t count, size_t *ret_sent)
{
    struct sim_end *end = end_of(stream);
    struct sim_link *link = end->link;
    struct sim_pipe *pipe = &end->out;
    size_t room = pipe->bytes.size < link->capacity ? link->capacity - pipe->bytes.size : 0;
    if (other_end(end)->gone || link->state != LINK_OPEN)
        return fail_of(link);
    if (room == 0 || rng_below(&link->sim->rng, 8) == 0)
        return ST_AGAIN;
    room = 1 + rng_below(&link->sim->rng, room);
    *ret_sent = 0;
    for (size_t i = 0; i < count && room; i++) {
        size_t size = slices[i].size < room ? slices[i].size : room;
        buf_append(&pipe->bytes, slices[i].data, size);
        *ret_sent += size;
        room -= size;
    }
    return ST_OK;
}

static void sim_want(struct stream *stream, unsigned wants)
{
    stream->wants = wants;
}

static enum status sim_attach(struct stream *stream, struct loop *loop)
{
    end_of(stream)->attached = true;
    stream->wants = 0;
    return ST_OK;
}

static void sim_detach(struct stream *stream)
{
    end_of(stream)->attached = false;
}

static void sim_close(struct stream *stream)
{
    struct sim_end *end = end_of(stream);
    struct sim_link *link = end->link;
    end->gone = true;
    end->attached = false;
    end->out.closed = true;
    if (link->state == LINK_OPENING) /* nobody has accepted it */
        link->ends[ACCEPTING].gone = true;
    link_free_if_done(link);
}

static void sim_describe(const struct stream *stream, struct stream_description *ret_description)
{
    *ret_description = (struct stream_description){.descriptor = -1, .is_loopback = true};
    snprintf(ret_description->peer, sizeof ret_description->peer, "sim:1");
    snprintf(ret_description->local, sizeof ret_description->local, "sim:0");
}

static void sim_set_keepalive(struct stream *stream, unsigned seconds)
{
}

static const struct stream_ops sim_ops = {
    .recv = sim_recv,
    .send = sim_send,
    .want = sim_want,
    .attach = sim_attach,
    .detach = sim_detach,
    .close = sim_close,
    .describe = sim_describe,
    .set_keepalive = sim_set_keepalive,
};

/* What a client's connection comes by. */
static const struct transport transport_sim = {.name = "sim"};

/* ---- Connections ---------------------------------------------------------------------------------- */

static void end_init(struct sim_link *link, unsigned which, const struct transport *transport)
{
    struct sim_end *end = &link->ends[which];
    end->link = link;
    end->stream.ops = &sim_ops;
    end->stream.transport = transport;
}

static struct sim_link *link_new(struct sim *sim, const struct transport *transport)
{
    struct sim_link *link = mem_calloc(1, sizeof *link);
    link->sim = sim;
    end_init(link, ACCEPTING, transport);
    end_init(link, CONNECTING, transport);
    list_append(&sim->links, &link->in_links);
    return link;
}

void sim_connect(struct sim *sim, struct server *server, struct sim_peer *ret_peer)
{
    struct sim_link *link = link_new(sim, &transport_sim);
    link->state = LINK_OPEN;
    link->capacity = CLIENT_CAPACITY;
    link->ends[ACCEPTING].is_stream = true;
    ret_peer->link = link;
    server_accept(server, &link->ends[ACCEPTING].stream);
}

static struct sim_host *hosts_of(const struct transport *transport)
{
    return container_of((struct transport *)transport, struct sim_host, transport);
}

/* Hosts stand in an array, in the order of their numbers. */
static const struct sim_host *find_host(const struct sim_host *one, const char *address)
{
    const struct sim_host *first = one - one->number;
    for (unsigned i = 0; i < one->sim->host_count; i++)
        if (strcmp(first[i].address, address) == 0)
            return &first[i];
    return NULL;
}

static enum status host_connect(const struct transport *transport, struct loop *loop, const char *address,
                                struct stream **ret_stream)
{
    const struct sim_host *host = hosts_of(transport);
    const struct sim_host *to = find_host(host, address);
    if (to == NULL)
        return ST_INVALID;
    struct sim_link *link = link_new(host->sim, transport);
    link->capacity = HOST_CAPACITY;
    link->ends[CONNECTING].host = host;
    link->ends[CONNECTING].is_stream = true;
    link->ends[CONNECTING].attached = true;
    link->ends[ACCEPTING].host = to;
    *ret_stream = &link->ends[CONNECTING].stream;
    return ST_OK;
}

void sim_host_init(struct sim_host *host, struct sim *sim, const char *address)
{
    *host = (struct sim_host){.sim = sim, .number = sim->host_count++};
    host->transport = (struct transport){.name = "sim", .connect = host_connect};
    snprintf(host->address, sizeof host->address, "%s", address);
}

/* A connection that is under way arrives some time, or finds nobody. */
static void accept_or_refuse(struct sim_link *link)
{
    struct sim_end *connecting = &link->ends[CONNECTING], *accepting = &link->ends[ACCEPTING];
    struct sim *sim = link->sim;
    if (rng_below(&sim->rng, 3) || is_stalled(sim, connecting->host, accepting->host))
        return;
    if (accepting->host->server == NULL) {
        accepting->gone = true;
        link->state = LINK_CUT;
        return;
    }
    link->state = LINK_OPEN;
    accepting->is_stream = true;
    server_accept(accepting->host->server, &accepting->stream);
}

static void cut_link(struct sim_link *link)
{
    for (unsigned i = 0; i < 2; i++) {
        struct sim_pipe *pipe = &link->ends[i].out;
        pipe->bytes.size = rng_below(&link->sim->rng, 2) ? pipe->arrived : 0;
        pipe->arrived = pipe->bytes.size;
        pipe->closed = true;
    }
    if (link->state == LINK_OPENING)
        link->ends[ACCEPTING].gone = true;
    link->state = LINK_CUT;
}

unsigned sim_cut(struct sim *sim, const struct sim_host *a, const struct sim_host *b)
{
    unsigned count = 0;
    list_for_each(&sim->links, node)
    {
        struct sim_link *link = list_entry(node, struct sim_link, in_links);
        const struct sim_host *from = link->ends[CONNECTING].host, *to = link->ends[ACCEPTING].host;
        if (((from == a && to == b) || (from == b && to == a)) && from && link->state != LINK_CUT) {
            cut_link(link);
            count++;
        }
    }
    return count;
}

/* ---- The client's end ----------------------------------------------------------------------------- */

void peer_send(struct sim_peer *peer, const void *bytes, size_t size)
{
    buf_append(&peer->link->ends[CONNECTING].out.bytes, bytes, size);
}

size_t peer_unsent(const struct sim_peer *peer)
{
    return peer->link->ends[CONNECTING].out.bytes.size;
}

void peer_receive(struct sim_peer *peer, struct buf *bytes)
{
    struct sim_pipe *pipe = &peer->link->ends[ACCEPTING].out;
    buf_append(bytes, pipe->bytes.data, pipe->arrived);
    pipe_take(pipe, pipe->arrived);
}

bool peer_is_closed(const struct sim_peer *peer)
{
    const struct sim_pipe *pipe = &peer->link->ends[ACCEPTING].out;
    return pipe->closed && pipe->bytes.size == 0;
}

void peer_cut(struct sim_peer *peer)
{
    struct sim_link *link = peer->link;
    peer->link = NULL;
    pipe_drop(&link->ends[CONNECTING].out);
    link->ends[CONNECTING].gone = true;
    link_free_if_done(link);
}

/* ---- Time ----------------------------------------------------------------------------------------- */

static void report_readiness(struct sim_end *end)
{
    struct stream *stream = &end->stream;
    const struct sim_link *link = end->link;
    const struct sim_end *other = other_end(end);
    unsigned events = 0;
    if (!end->is_stream || !end->attached || end->gone || link->state == LINK_OPENING)
        return;
    bool is_over = other->out.closed || other->gone || link->state == LINK_CUT;
    if (stream->wants & STREAM_WANT_RECV && (other->out.arrived || is_over))
        events |= STREAM_CAN_RECV;
    if (stream->wants & STREAM_WANT_SEND && (end->out.bytes.size < link->capacity || is_over))
        events |= STREAM_CAN_SEND;
    if (stream->wants & STREAM_WANT_END && is_over)
        events |= STREAM_AT_END;
    if (events)
        stream->ready(stream, events);
}

void sim_step(struct sim *sim, uint64_t us_max)
{
    sim->now_ns += rng_below(&sim->rng, us_max * 1000 + 1);
    list_for_each(&sim->links, node)
    {
        struct sim_link *link = list_entry(node, struct sim_link, in_links);
        if (link->state == LINK_OPENING)
            accept_or_refuse(link);
        deliver(&link->ends[CONNECTING]);
        deliver(&link->ends[ACCEPTING]);
        report_readiness(&link->ends[ACCEPTING]);
        report_readiness(&link->ends[CONNECTING]);
    }
}

struct log *sim_open_log(void)
{
    struct log *log = NULL;
    if (getenv("SKUA_SIM_LOG") != NULL && log_open("", LOG_VERBOSE, &log) != ST_OK)
        return NULL;
    return log;
}
