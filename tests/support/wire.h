/* A simulated server and connections whose every byte and readiness the test decides.
 *
 * Principal entry points: room_init, wire_open, wire_say, wire_expect, room_wait, wire_hang_up, room_done.
 * Everything runs on the calling thread, by a clock that only room_wait moves. */
#ifndef SKUA_TESTS_SUPPORT_WIRE_H
#define SKUA_TESTS_SUPPORT_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "config/config.h"
#include "exec/exec.h"
#include "server/server.h"
#include "transport/transport.h"

#define ROOM_WIRES_MAX 8

/* A connection: the server's end of it, and what the client has said and heard. */
struct wire {
    struct stream stream;
    struct buf said;     /* by the client */
    size_t taken;        /* of these, by the server */
    size_t receive_max;  /* bytes in one receive */
    size_t send_max;     /* bytes in one send; 0: the client reads nothing */
    bool is_full;        /* the last send was cut short: as of a socket, the next one gets nothing through */
    struct buf heard;    /* by the client */
    bool hung_up;        /* the client says nothing more */
    bool closed;         /* by the server */
    const char *recv_at; /* where the server's next byte goes if it does not change its buffer */
    unsigned buffers;    /* how often it has changed it */
};

struct room {
    struct server *server;
    struct config *config; /* the server's */
    struct clock clock;
    uint64_t now_ns;
    struct wire *wires[ROOM_WIRES_MAX];
    unsigned wire_count;
};

static inline int64_t room_wall_us(void *context)
{
    return 1700000000000000 + (int64_t)(((const struct room *)context)->now_ns / 1000);
}

static inline uint64_t room_monotonic_ns(void *context)
{
    return ((const struct room *)context)->now_ns;
}

/* ---- The stream ----------------------------------------------------------------------------------- */

static inline enum status wire_recv(struct stream *stream, void *ret_bytes, size_t capacity, size_t *ret_size)
{
    struct wire *wire = container_of(stream, struct wire, stream);
    size_t size = wire->said.size - wire->taken;
    if (size == 0)
        return wire->hung_up ? ST_EOF : ST_AGAIN;
    if (size > capacity)
        size = capacity;
    if (size > wire->receive_max)
        size = wire->receive_max;
    memcpy(ret_bytes, wire->said.data + wire->taken, size);
    wire->taken += size;
    wire->buffers += wire->recv_at != ret_bytes;
    wire->recv_at = (const char *)ret_bytes + size;
    *ret_size = size;
    return ST_OK;
}

static inline enum status wire_send(struct stream *stream, const struct slice *slices, size_t count,
                                    size_t *ret_sent)
{
    struct wire *wire = container_of(stream, struct wire, stream);
    size_t room = wire->send_max;
    if (room == 0 || wire->is_full) {
        wire->is_full = false;
        return ST_AGAIN;
    }
    *ret_sent = 0;
    for (size_t i = 0; i < count && room; i++) {
        size_t size = slices[i].size < room ? slices[i].size : room;
        wire->is_full |= size < slices[i].size;
        buf_append(&wire->heard, slices[i].data, size);
        *ret_sent += size;
        room -= size;
    }
    return ST_OK;
}

static inline void wire_want(struct stream *stream, unsigned wants)
{
    stream->wants = wants;
}

static inline enum status wire_attach(struct stream *stream, struct loop *loop)
{
    return ST_OK;
}

static inline void wire_detach(struct stream *stream)
{
    stream->wants = 0;
}

static inline void wire_close(struct stream *stream)
{
    struct wire *wire = container_of(stream, struct wire, stream);
    assert_false(wire->closed);
    wire->closed = true;
}

static inline void wire_describe(const struct stream *stream, struct stream_description *ret_description)
{
    *ret_description = (struct stream_description){.descriptor = -1, .is_loopback = true};
    strcpy(ret_description->peer, "wire:1");
    strcpy(ret_description->local, "wire:0");
}

/* ---- The room ------------------------------------------------------------------------------------- */

static inline void room_init(struct room *room)
{
    struct buf error = {0};
    *room = (struct room){.now_ns = 1000000000, .config = config_new()};
    room->clock = (struct clock){.wall_us = room_wall_us,
                                 .monotonic_ns = room_monotonic_ns,
                                 .context = room,
                                 .tick_multiplier = (uint64_t)1 << 32};
    struct server_options options = {.config = room->config, .clock = &room->clock, .simulated = true};
    assert_int_equal(server_new(&options, &room->server, &error), ST_OK);
}

/* Says what the wire can do now. True when there was something to say. */
static inline bool wire_signal(struct wire *wire)
{
    unsigned events = 0;
    if (wire->closed)
        return false;
    if (wire->stream.wants & STREAM_WANT_RECV && (wire->taken < wire->said.size || wire->hung_up))
        events |= STREAM_CAN_RECV;
    if (wire->stream.wants & STREAM_WANT_SEND && wire->send_max)
        events |= STREAM_CAN_SEND;
    if (wire->stream.wants & STREAM_WANT_END && wire->hung_up)
        events |= STREAM_AT_END;
    if (events)
        wire->stream.ready(&wire->stream, events);
    return events != 0;
}

/* Turns the server until nothing happens any more. */
static inline void room_settle(struct room *room)
{
    size_t heard_before = 0;
    for (unsigned quiet = 0; quiet < 4; quiet++) {
        size_t heard = 0;
        for (unsigned i = 0; i < room->wire_count; i++) {
            if (wire_signal(room->wires[i]))
                quiet = 0;
            heard += room->wires[i]->heard.size;
        }
        assert_true(server_turn(room->server, 0));
        if (heard != heard_before)
            quiet = 0;
        heard_before = heard;
    }
}

/* Lets time pass, in steps in which timers come to their turn. */
static inline void room_wait(struct room *room, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += 50) {
        room->now_ns += 50000000;
        room_settle(room);
    }
}

static inline void wire_open(struct room *room, struct wire *wire)
{
    static const struct stream_ops ops = {.recv = wire_recv,
                                          .send = wire_send,
                                          .want = wire_want,
                                          .attach = wire_attach,
                                          .detach = wire_detach,
                                          .close = wire_close,
                                          .describe = wire_describe};
    static const struct transport transport = {.name = "wire"};
    *wire = (struct wire){.receive_max = SIZE_MAX, .send_max = SIZE_MAX};
    wire->stream.ops = &ops;
    wire->stream.transport = &transport;
    assert_true(room->wire_count < ROOM_WIRES_MAX);
    room->wires[room->wire_count++] = wire;
    server_accept(room->server, &wire->stream);
    room_settle(room);
}

static inline void wire_say_bytes(struct room *room, struct wire *wire, const void *bytes, size_t size)
{
    buf_append(&wire->said, bytes, size);
    room_settle(room);
}

static inline void wire_say(struct room *room, struct wire *wire, const char *text)
{
    wire_say_bytes(room, wire, text, strlen(text));
}

static inline void wire_hang_up(struct room *room, struct wire *wire)
{
    wire->hung_up = true;
    room_settle(room);
}

/* What has been heard since the last time is exactly this. */
static inline void wire_expect(struct wire *wire, const char *expected)
{
    assert_string_equal(buf_string(&wire->heard), expected);
    buf_clear(&wire->heard);
}

static inline void room_done(struct room *room)
{
    for (unsigned i = 0; i < room->wire_count; i++)
        room->wires[i]->hung_up = true;
    room_settle(room);
    server_request_shutdown(room->server);
    while (server_turn(room->server, 0))
        room->now_ns += 50000000;
    server_free(room->server);
    for (unsigned i = 0; i < room->wire_count; i++) {
        assert_true(room->wires[i]->closed);
        buf_done(&room->wires[i]->said);
        buf_done(&room->wires[i]->heard);
    }
}

#endif
