/* Proves: the transport contract holds over TCP (IPv4 and IPv6) and Unix sockets: what is sent arrives whole and in
 * order, short sends and waiting work, ends and resets are told, streams move between loops, and an end that nobody
 * waits for does not make the loop spin. Every case runs over every transport. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/macros.h"
#include "base/rng.h"
#include "loop/loop.h"
#include "transport/transport.h"

#define POLLS_MAX 20000 /* of at most POLL_NS each: an endless wait becomes a failure */
#define POLL_NS   10000000

enum kind { KIND_TCP4, KIND_TCP6, KIND_UNIX };

struct pair {
    enum kind kind;
    struct clock clock;
    struct loop *loop;
    struct listener *listener;
    struct stream *client;
    struct stream *server;
    unsigned client_ready;
    unsigned server_ready;
    unsigned calls;
    char address[160];
    size_t memory_before;
};

static void on_accepted(void *context, struct stream *stream)
{
    struct pair *pair = context;
    assert_null(pair->server);
    pair->server = stream;
}

static void on_client_ready(struct stream *stream, unsigned events)
{
    struct pair *pair = stream->owner;
    pair->client_ready |= events;
    pair->calls++;
}

static void on_server_ready(struct stream *stream, unsigned events)
{
    struct pair *pair = stream->owner;
    pair->server_ready |= events;
    pair->calls++;
}

static void wait_until(struct pair *pair, const unsigned *set, unsigned bit)
{
    for (int i = 0; !(*set & bit) && i < POLLS_MAX; i++)
        loop_poll(pair->loop, POLL_NS);
    assert_true(*set & bit);
}

static enum status open_listener(struct pair *pair)
{
    struct listen_options options = {.backlog = 16, .accepted = on_accepted, .context = pair};
    const struct transport *transport = pair->kind == KIND_UNIX ? &transport_unix : &transport_tcp;
    options.address = pair->kind == KIND_TCP4   ? "127.0.0.1"
                      : pair->kind == KIND_TCP6 ? "-::1"
                                                : pair->address;
    if (pair->kind == KIND_UNIX)
        snprintf(pair->address, sizeof(pair->address), "/tmp/skua-test-%d.sock", (int)getpid());
    return transport_listen(transport, pair->loop, &options, &pair->listener);
}

static int set_up(void **state, enum kind kind)
{
    size_t memory_before = mem_used();
    struct pair *pair = mem_calloc(1, sizeof(*pair));
    pair->kind = kind;
    pair->memory_before = memory_before;
    clock_init_real(&pair->clock);
    if (loop_new(&(struct loop_options){.clock = &pair->clock}, &pair->loop) != ST_OK)
        return -1;
    *state = pair;
    enum status status = open_listener(pair);
    if (status == ST_NOT_FOUND && kind == KIND_TCP6)
        return 0; /* no IPv6 on this machine: the cases skip */
    if (status != ST_OK)
        return -1;
    const struct transport *transport = pair->listener->transport;
    if (kind != KIND_UNIX)
        snprintf(pair->address, sizeof(pair->address), kind == KIND_TCP4 ? "127.0.0.1:%u" : "[::1]:%u",
                 pair->listener->port);
    if (transport_connect(transport, pair->loop, pair->address, &pair->client) != ST_OK)
        return -1;
    pair->client->ready = on_client_ready;
    pair->client->owner = pair;
    stream_want(pair->client, STREAM_WANT_SEND);
    for (int i = 0; (pair->server == NULL || pair->client_ready == 0) && i < POLLS_MAX; i++)
        loop_poll(pair->loop, POLL_NS);
    if (pair->server == NULL)
        return -1;
    stream_want(pair->client, 0);
    pair->server->ready = on_server_ready;
    pair->server->owner = pair;
    if (stream_attach(pair->server, pair->loop) != ST_OK)
        return -1;
    pair->client_ready = pair->server_ready = pair->calls = 0;
    return 0;
}

static int set_up_tcp4(void **state)
{
    return set_up(state, KIND_TCP4);
}

static int set_up_tcp6(void **state)
{
    return set_up(state, KIND_TCP6);
}

static int set_up_unix(void **state)
{
    return set_up(state, KIND_UNIX);
}

static int tear_down(void **state)
{
    struct pair *pair = *state;
    size_t memory_before = pair->memory_before;
    if (pair->client)
        stream_close(pair->client);
    if (pair->server)
        stream_close(pair->server);
    if (pair->listener)
        pair->listener->close(pair->listener);
    loop_free(pair->loop);
    mem_free(pair);
    return mem_used() == memory_before ? 0 : -1;
}

/* The pair; ends the case where the machine has no such transport. */
static struct pair *pair_of(void **state)
{
    struct pair *pair = *state;
    if (pair->listener == NULL)
        skip();
    return pair;
}

static size_t send_some(struct stream *stream, const char *bytes, size_t size)
{
    size_t sent;
    struct slice slice = {bytes, size};
    enum status status = stream_send(stream, &slice, 1, &sent);
    if (status == ST_AGAIN)
        return 0;
    assert_int_equal(status, ST_OK);
    assert_in_range(sent, 1, size);
    return sent;
}

static void an_echo_comes_back(void **state)
{
    struct pair *pair = pair_of(state);
    char bytes[64];
    size_t size, sent;
    assert_int_equal(stream_recv(pair->server, bytes, sizeof(bytes), &size), ST_AGAIN);
    stream_want(pair->server, STREAM_WANT_RECV);
    stream_want(pair->client, STREAM_WANT_RECV);
    struct slice slices[] = {SLICE("one "), SLICE(""), SLICE("two "), SLICE("three")};
    assert_int_equal(stream_send(pair->client, slices, ARRAY_COUNT(slices), &sent), ST_OK);
    assert_int_equal(sent, 13);
    wait_until(pair, &pair->server_ready, STREAM_CAN_RECV);
    assert_int_equal(stream_recv(pair->server, bytes, sizeof(bytes), &size), ST_OK);
    assert_int_equal(size, 13);
    assert_memory_equal(bytes, "one two three", 13);
    assert_int_equal(send_some(pair->server, bytes, size), 13);
    wait_until(pair, &pair->client_ready, STREAM_CAN_RECV);
    assert_int_equal(stream_recv(pair->client, bytes, sizeof(bytes), &size), ST_OK);
    assert_int_equal(size, 13);
    assert_int_equal(stream_recv(pair->client, bytes, sizeof(bytes), &size), ST_AGAIN);
}

static void readiness_is_level_style(void **state)
{
    struct pair *pair = pair_of(state);
    char byte;
    size_t size;
    assert_int_equal(send_some(pair->client, "abc", 3), 3);
    stream_want(pair->server, STREAM_WANT_RECV);
    for (int i = 0; i < 3; i++) {
        pair->server_ready = 0;
        wait_until(pair, &pair->server_ready, STREAM_CAN_RECV);
        assert_int_equal(stream_recv(pair->server, &byte, 1, &size), ST_OK);
        assert_int_equal(byte, "abc"[i]);
    }
    /* The last byte has filled its buffer: only the next receiving finds that it was all. */
    assert_int_equal(stream_recv(pair->server, &byte, 1, &size), ST_AGAIN);
    pair->calls = 0;
    loop_poll(pair->loop, 0);
    assert_int_equal(pair->calls, 0);
    stream_want(pair->server, 0);
    assert_int_equal(send_some(pair->client, "d", 1), 1);
    loop_poll(pair->loop, POLL_NS);
    assert_int_equal(pair->calls, 0);
}

/* More than the kernel buffers: the sender meets short sends and ST_AGAIN, waits, and goes on. */
static void a_flood_arrives_whole(void **state)
{
    struct pair *pair = pair_of(state);
    size_t total = 24u << 20, at = 0, received = 0;
    bool waited = false;
    char *out = mem_alloc(total), *in = mem_alloc(total);
    struct rng rng;
    rng_seed(&rng, 4);
    for (size_t i = 0; i < total; i += sizeof(uint64_t))
        memcpy(out + i, &(uint64_t){rng_next(&rng)}, sizeof(uint64_t));
    stream_want(pair->server, STREAM_WANT_RECV);
    for (int polls = 0; received < total && polls < POLLS_MAX;) {
        struct slice slices[STREAM_SLICES_MAX];
        size_t count = 0, size = 0;
        for (size_t next = at; count < STREAM_SLICES_MAX && next < total; next += slices[count++].size)
            slices[count] = slice_make(out + next, total - next < 30000 ? total - next : 30000);
        if (count > 0 && stream_send(pair->client, slices, count, &size) == ST_OK) {
            at += size;
            continue;
        }
        waited |= count > 0;
        stream_want(pair->client, count > 0 ? STREAM_WANT_SEND : 0);
        loop_poll(pair->loop, POLL_NS);
        polls++;
        while (stream_recv(pair->server, in + received, total - received + (received == total), &size) ==
               ST_OK)
            received += size;
    }
    assert_int_equal(received, total);
    assert_true(waited);
    assert_memory_equal(in, out, total);
    mem_free(out);
    mem_free(in);
}

static void an_orderly_end_is_told(void **state)
{
    struct pair *pair = pair_of(state);
    char bytes[8];
    size_t size;
    assert_int_equal(send_some(pair->client, "bye", 3), 3);
    stream_close(pair->client);
    pair->client = NULL;
    stream_want(pair->server, STREAM_WANT_RECV);
    wait_until(pair, &pair->server_ready, STREAM_CAN_RECV);
    assert_int_equal(stream_recv(pair->server, bytes, sizeof(bytes), &size), ST_OK);
    assert_int_equal(size, 3);
    pair->server_ready = 0;
    wait_until(pair, &pair->server_ready, STREAM_CAN_RECV);
    assert_int_equal(stream_recv(pair->server, bytes, sizeof(bytes), &size), ST_EOF);
}

/* The end of a peer while nothing is wanted: the loop stays quiet, and the end is found as soon as something is. */
static void an_unwanted_end_does_not_spin(void **state)
{
    struct pair *pair = pair_of(state);
    char bytes[8];
    size_t size;
    stream_want(pair->server, STREAM_WANT_RECV);
    stream_want(pair->server, 0);
    stream_close(pair->client);
    pair->client = NULL;
    for (int i = 0; i < 5; i++)
        assert_int_equal(loop_poll(pair->loop, 1000000), 0);
    assert_int_equal(pair->calls, 0);
    stream_want(pair->server, STREAM_WANT_RECV);
    wait_until(pair, &pair->server_ready, STREAM_CAN_RECV);
    assert_int_equal(stream_recv(pair->server, bytes, sizeof(bytes), &size), ST_EOF);
}

/* A stream that only wants to send learns of the end by sending, with an error and without a signal. */
static void sending_to_one_who_is_gone_fails(void **state)
{
    struct pair *pair = pair_of(state);
    static char block[65536];
    size_t sent;
    struct slice slice = {block, sizeof(block)};
    enum status status = ST_OK;
    stream_close(pair->client);
    pair->client = NULL;
    stream_want(pair->server, STREAM_WANT_SEND);
    for (int i = 0; status != ST_IO && i < POLLS_MAX; i++) {
        loop_poll(pair->loop, POLL_NS);
        status = stream_send(pair->server, &slice, 1, &sent);
    }
    assert_int_equal(status, ST_IO);
    assert_true(errno == EPIPE || errno == ECONNRESET);
}

static void a_reset_is_told(void **state)
{
    struct pair *pair = pair_of(state);
    struct stream_description description;
    char bytes[8];
    size_t size;
    if (pair->kind == KIND_UNIX) {
        /* A Unix socket that is closed with bytes unread resets its peer. */
        assert_int_equal(send_some(pair->server, "unread", 6), 6);
    } else {
        stream_describe(pair->client, &description);
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        assert_int_equal(setsockopt(description.descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)),
                         0);
    }
    stream_close(pair->client);
    pair->client = NULL;
    stream_want(pair->server, STREAM_WANT_RECV);
    wait_until(pair, &pair->server_ready, STREAM_CAN_RECV);
    assert_int_equal(stream_recv(pair->server, bytes, sizeof(bytes), &size), ST_IO);
    assert_int_equal(errno, ECONNRESET);
    stream_describe(pair->server, &description); /* still allowed */
}

static void a_stream_moves_between_loops(void **state)
{
    struct pair *pair = pair_of(state);
    struct loop *second;
    char bytes[8];
    size_t size;
    assert_int_equal(loop_new(&(struct loop_options){.clock = &pair->clock}, &second), ST_OK);
    stream_want(pair->server, STREAM_WANT_RECV);
    assert_int_equal(send_some(pair->client, "a", 1), 1);
    stream_detach(pair->server);
    stream_detach(pair->server); /* nothing */
    loop_poll(pair->loop, POLL_NS);
    assert_int_equal(pair->calls, 0);
    assert_int_equal(stream_attach(pair->server, second), ST_OK);
    assert_int_equal(pair->server->wants, 0);
    loop_poll(second, 0);
    assert_int_equal(pair->calls, 0);
    stream_want(pair->server, STREAM_WANT_RECV);
    for (int i = 0; pair->calls == 0 && i < POLLS_MAX; i++)
        loop_poll(second, POLL_NS);
    assert_int_equal(pair->server_ready, STREAM_CAN_RECV);
    assert_int_equal(stream_recv(pair->server, bytes, sizeof(bytes), &size), ST_OK);
    assert_int_equal(size, 1);
    stream_close(pair->server); /* while the loop it is attached to lives */
    pair->server = NULL;
    loop_free(second);
}

static void addresses_are_told_as_client_list_shows_them(void **state)
{
    struct pair *pair = pair_of(state);
    struct stream_description server, client;
    char listening[160];
    stream_describe(pair->server, &server);
    stream_describe(pair->client, &client);
    snprintf(listening, sizeof(listening), pair->kind == KIND_UNIX ? "%s:0" : "%s", pair->address);
    assert_string_equal(server.local, listening);
    assert_string_equal(server.peer, client.local);
    assert_string_equal(client.peer, listening);
    assert_true(server.is_loopback);
    assert_int_equal(server.is_local_socket, pair->kind == KIND_UNIX);
    assert_true(server.descriptor >= 0);
    if (pair->listener->transport->capabilities & TRANSPORT_PEER_IDENTITY) {
        assert_int_equal(server.peer_pid, getpid());
        assert_int_equal(server.peer_uid, geteuid());
        assert_int_equal(server.peer_gid, getegid());
    }
}

static void keepalive_may_always_be_asked_for(void **state)
{
    struct pair *pair = pair_of(state);
    struct stream_description description;
    int on = -1;
    socklen_t size = sizeof(on);
    stream_describe(pair->server, &description);
    stream_set_keepalive(pair->server, 300);
    assert_int_equal(getsockopt(description.descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, &size), 0);
    assert_int_equal(on, pair->kind != KIND_UNIX);
    stream_set_keepalive(pair->server, 0);
    assert_int_equal(getsockopt(description.descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, &size), 0);
    assert_int_equal(on, 0);
}

#define OVER(test)                                                                                           \
    cmocka_unit_test_setup_teardown(test, set_up_tcp4, tear_down),                                           \
        cmocka_unit_test_setup_teardown(test, set_up_tcp6, tear_down),                                       \
        cmocka_unit_test_setup_teardown(test, set_up_unix, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER(an_echo_comes_back),
        OVER(readiness_is_level_style),
        OVER(a_flood_arrives_whole),
        OVER(an_orderly_end_is_told),
        OVER(an_unwanted_end_does_not_spin),
        OVER(sending_to_one_who_is_gone_fails),
        OVER(a_reset_is_told),
        OVER(a_stream_moves_between_loops),
        OVER(addresses_are_told_as_client_list_shows_them),
        OVER(keepalive_may_always_be_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
