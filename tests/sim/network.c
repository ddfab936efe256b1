/* The simulated network. See network.h. */
#include "network.h"

#include <stdio.h>

#include "base/alloc.h"
#include "server/server.h"

#define PIPE_CAPACITY 4096 /* small, so that sends are cut short often */

struct sim_link {
    struct stream stream; /* the server's end; first member */
    struct sim *sim;
    struct list_node in_streams;
    struct sim_pipe to_server;
    struct sim_pipe to_client;
    bool attached;
    bool server_closed;
    bool client_gone;
};

/* ---- Clock ---------------------------------------------------------------------------------------- */

static int64_t sim_wall_us(void *context)
{
    const struct sim *sim = context;
    return 1700000000000000 + (int64_t)(sim->now_ns / 1000);
}

static uint64_t sim_monotonic_ns(void *context)
{
    return ((const struct sim *)context)->now_ns;
}

void sim_init(struct sim *sim, uint64_t seed)
{
    *sim = (struct sim){.now_ns = 1000000000};
    rng_seed(&sim->rng, seed);
    sim->clock = (struct clock){.wall_us = sim_wall_us,
                                .monotonic_ns = sim_monotonic_ns,
                                .context = sim,
                                .tick_multiplier = (uint64_t)1 << 32};
    list_init(&sim->streams);
}

/* ---- Pipes ---------------------------------------------------------------------------------------- */

static void pipe_take(struct sim_pipe *pipe, size_t size)
{
    memmove(pipe->bytes.data, pipe->bytes.data + size, pipe->bytes.size - size);
    pipe->bytes.size -= size;
    pipe->arrived -= size;
}

static void pipe_deliver(struct sim *sim, struct sim_pipe *pipe)
{
    size_t under_way = pipe->bytes.size - pipe->arrived;
    if (under_way && rng_below(&sim->rng, 4))
        pipe->arrived += 1 + rng_below(&sim->rng, under_way);
}

static void link_free_if_done(struct sim_link *link)
{
    if (!link->server_closed || !link->client_gone)
        return;
    buf_done(&link->to_server.bytes);
    buf_done(&link->to_client.bytes);
    mem_free(link);
}

/* ---- The server's end ----------------------------------------------------------------------------- */

static struct sim_link *link_of(const struct stream *stream)
{
    return container_of(stream, struct sim_link, stream);
}

static enum status sim_recv(struct stream *stream, void *ret_bytes, size_t capacity, size_t *ret_size)
{
    struct sim_link *link = link_of(stream);
    struct sim_pipe *pipe = &link->to_server;
    size_t size = pipe->arrived < capacity ? pipe->arrived : capacity;
    if (size == 0)
        return pipe->closed ? ST_EOF : ST_AGAIN;
    if (size > 1 && rng_below(&link->sim->rng, 3) == 0)
        size = 1 + rng_below(&link->sim->rng, size);
    memcpy(ret_bytes, pipe->bytes.data, size);
    pipe_take(pipe, size);
    *ret_size = size;
    return ST_OK;
}

static enum status sim_send(struct stream *stream, const struct slice *slices, size_t count, size_t *ret_sent)
{
    struct sim_link *link = link_of(stream);
    struct sim_pipe *pipe = &link->to_client;
    size_t room = pipe->bytes.size < PIPE_CAPACITY ? PIPE_CAPACITY - pipe->bytes.size : 0;
    if (link->client_gone)
        return ST_IO;
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
    link_of(stream)->attached = true;
    stream->wants = 0;
    return ST_OK;
}

static void sim_detach(struct stream *stream)
{
    link_of(stream)->attached = false;
}

static void sim_close(struct stream *stream)
{
    struct sim_link *link = link_of(stream);
    list_remove(&link->in_streams);
    link->server_closed = true;
    link->to_client.closed = true;
    link_free_if_done(link);
}

static void sim_describe(const struct stream *stream, struct stream_description *ret_description)
{
    *ret_description = (struct stream_description){.descriptor = -1, .is_loopback = true};
    snprintf(ret_description->peer, sizeof ret_description->peer, "sim:1");
    snprintf(ret_description->local, sizeof ret_description->local, "sim:0");
}

static const struct stream_ops sim_ops = {
    .recv = sim_recv,
    .send = sim_send,
    .want = sim_want,
    .attach = sim_attach,
    .detach = sim_detach,
    .close = sim_close,
    .describe = sim_describe,
};

static const struct transport transport_sim = {.name = "sim"};

/* ---- The client's end ----------------------------------------------------------------------------- */

void sim_connect(struct sim *sim, struct server *server, struct sim_peer *ret_peer)
{
    struct sim_link *link = mem_calloc(1, sizeof *link);
    link->sim = sim;
    link->stream.ops = &sim_ops;
    link->stream.transport = &transport_sim;
    list_append(&sim->streams, &link->in_streams);
    ret_peer->link = link;
    server_accept(server, &link->stream);
}

void peer_send(struct sim_peer *peer, const void *bytes, size_t size)
{
    buf_append(&peer->link->to_server.bytes, bytes, size);
}

void peer_receive(struct sim_peer *peer, struct buf *bytes)
{
    struct sim_pipe *pipe = &peer->link->to_client;
    buf_append(bytes, pipe->bytes.data, pipe->arrived);
    pipe_take(pipe, pipe->arrived);
}

bool peer_is_closed(const struct sim_peer *peer)
{
    return peer->link->to_client.closed && peer->link->to_client.bytes.size == 0;
}

void peer_cut(struct sim_peer *peer)
{
    struct sim_link *link = peer->link;
    peer->link = NULL;
    buf_clear(&link->to_server.bytes);
    link->to_server.arrived = 0;
    link->to_server.closed = true;
    link->client_gone = true;
    link_free_if_done(link);
}

/* ---- Time ----------------------------------------------------------------------------------------- */

static void report_readiness(struct sim_link *link)
{
    unsigned events = 0;
    if (!link->attached)
        return;
    if (link->stream.wants & STREAM_WANT_RECV && (link->to_server.arrived || link->to_server.closed))
        events |= STREAM_CAN_RECV;
    if (link->stream.wants & STREAM_WANT_SEND &&
        (link->to_client.bytes.size < PIPE_CAPACITY || link->client_gone))
        events |= STREAM_CAN_SEND;
    if (link->stream.wants & STREAM_WANT_END && link->to_server.closed)
        events |= STREAM_AT_END;
    if (events)
        link->stream.ready(&link->stream, events);
}

void sim_step(struct sim *sim, uint64_t us_max)
{
    sim->now_ns += rng_below(&sim->rng, us_max * 1000 + 1);
    list_for_each(&sim->streams, node)
    {
        struct sim_link *link = list_entry(node, struct sim_link, in_streams);
        pipe_deliver(sim, &link->to_server);
        pipe_deliver(sim, &link->to_client);
        report_readiness(link);
    }
}
