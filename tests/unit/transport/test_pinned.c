/* Proves: what a TCP stream sends pinned arrives whole and in order, over IPv4 and IPv6 and by either way; its owner is told when it is free; a reader that does
 * not read keeps it, until the connection is dissolved; a peer that resets the connection is noticed beside notifications; and while those are held
 * back the loop sleeps. Over loopback the kernel copies, which is noticed too. */
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
#include "base/arena.h"
#include "base/clock.h"
#include "base/macros.h"
#include "loop/loop.h"
#include "transport/pinning.h"
#include "transport/transport.h"

#define POLLS_MAX 20000 /* of at most POLL_NS each: an endless wait becomes a failure */
#define POLL_NS   10000000
#define PIECE     ((size_t)64 << 10)
#define PIECES    40
#define STILL     50 /* polls in which nothing happens */

struct wiring {
    bool is_v6, by_uring;
};

struct pair {
    struct clock clock;
    struct loop *loop;
    struct listener *listener;
    struct stream *reader, *sender;
    unsigned reader_ready, sender_ready, calls;
    _Atomic bool is_on, uses_uring;
    _Atomic int64_t size_min;
    struct pinning_host host;
    struct pinning pinning;
    char *memory; /* of the arena */
};

static void on_accepted(void *context, struct stream *stream)
{
    struct pair *pair = context;
    pair->sender = stream;
}

static void on_reader_ready(struct stream *stream, unsigned events)
{
    struct pair *pair = stream->owner;
    pair->reader_ready |= events;
}

static void on_sender_ready(struct stream *stream, unsigned events)
{
    struct pair *pair = stream->owner;
    pair->sender_ready |= events;
    pair->calls++;
}

static void poll_until(struct pair *pair, bool (*is_so)(const struct pair *pair))
{
    for (int i = 0; !is_so(pair) && i < POLLS_MAX; i++)
        loop_poll(pair->loop, POLL_NS);
    assert_true(is_so(pair));
}

static bool is_connected(const struct pair *pair)
{
    return pair->sender != NULL && pair->reader_ready != 0;
}

static bool is_free(const struct pair *pair)
{
    return !stream_is_pinned(pair->sender);
}

static bool is_told_of_end(const struct pair *pair)
{
    return (pair->sender_ready & STREAM_CAN_RECV) != 0;
}

static void begin(struct pair *pair, const struct wiring *wiring)
{
    char address[64];
    struct listen_options options = {.address = wiring->is_v6 ? "::1" : "127.0.0.1",
                                     .backlog = 16,
                                     .accepted = on_accepted,
                                     .context = pair};
    *pair = (struct pair){.is_on = true};
    clock_init_real(&pair->clock);
    pair->uses_uring = wiring->by_uring;
    pinning_host_init(&pair->host, &pair->is_on, &pair->uses_uring, &pair->size_min, UINT64_MAX);
    pinning_init(&pair->pinning, &pair->host);
    assert_int_equal(loop_new(&(struct loop_options){.clock = &pair->clock}, &pair->loop), ST_OK);
    if (transport_listen(&transport_tcp, pair->loop, &options, &pair->listener) != ST_OK)
        skip(); /* no IPv6 on this machine */
    snprintf(address, sizeof address, wiring->is_v6 ? "[::1]:%u" : "127.0.0.1:%u", pair->listener->port);
    assert_int_equal(transport_connect(&transport_tcp, pair->loop, address, &pair->reader), ST_OK);
    pair->reader->owner = pair;
    pair->reader->ready = on_reader_ready;
    stream_want(pair->reader, STREAM_WANT_SEND);
    poll_until(pair, is_connected);
    stream_want(pair->reader, 0);
    pair->sender->owner = pair;
    pair->sender->ready = on_sender_ready;
    pair->sender->pinning = &pair->pinning;
    assert_int_equal(stream_attach(pair->sender, pair->loop), ST_OK);
    pair->memory = arena_alloc();
    for (size_t i = 0; i < ARENA_BLOCK_SIZE; i++)
        pair->memory[i] = (char)(i * 31 + i / 4096);
}

static void end(struct pair *pair)
{
    if (pair->reader)
        stream_close(pair->reader);
    if (stream_is_pinned(pair->sender))
        for (int i = 0; !stream_dissolve(pair->sender) && i < POLLS_MAX; i++)
            loop_poll(pair->loop, POLL_NS);
    stream_close(pair->sender);
    pair->listener->close(pair->listener);
    arena_release(pair->memory);
    assert_int_equal(pair->host.in_flight, 0);
    assert_int_equal(pair->pinning.tracking, 0);
    assert_int_equal(pair->pinning.sends, pair->pinning.sends_over);
    assert_int_equal(pair->pinning.wrong + pair->pinning.truncated, 0);
    pinning_end(&pair->pinning);
    loop_free(pair->loop);
}

/* One send of two slices with a gap between them. Returns what was taken, 0: nothing now. */
static size_t send_piece(struct pair *pair, size_t at, enum status *ret_status)
{
    const struct slice slices[] = {slice_make(pair->memory + at, PIECE / 2),
                                   slice_make(pair->memory + at + PIECE / 2, PIECE / 2)};
    size_t sent = 0;
    *ret_status = stream_send_pinned(pair->sender, slices, ARRAY_COUNT(slices), &sent);
    return *ret_status == ST_OK ? sent : 0;
}

/* Receives and compares so many bytes that were sent from `at` on. */
static void receive(struct pair *pair, size_t at, size_t size)
{
    char bytes[8192];
    for (int i = 0; size > 0 && i < POLLS_MAX; i++) {
        size_t some, most = size < sizeof bytes ? size : sizeof bytes;
        enum status status = stream_recv(pair->reader, bytes, most, &some);
        if (status == ST_AGAIN) {
            stream_want(pair->reader, STREAM_WANT_RECV);
            loop_poll(pair->loop, POLL_NS);
            continue;
        }
        assert_int_equal(status, ST_OK);
        assert_memory_equal(bytes, pair->memory + at, some);
        at += some;
        size -= some;
    }
    assert_int_equal(size, 0);
}

static void fill(struct pair *pair)
{
    enum status status = ST_OK;
    for (unsigned i = 0; i < 10000 && status == ST_OK; i++)
        send_piece(pair, 0, &status);
    assert_true(stream_is_pinned(pair->sender));
}

static void everything_arrives_and_is_told_to_be_free(void **state)
{
    struct pair pair;
    begin(&pair, *state);
    for (unsigned i = 0; i < PIECES; i++) {
        enum status status;
        size_t at = i % 8 * PIECE, sent = send_piece(&pair, at, &status);
        assert_true(sent > 0);
        receive(&pair, at, sent);
        poll_until(&pair, is_free);
    }
    assert_true(pair.sender_ready & STREAM_UNPINNED || pair.pinning.sends_over >= PIECES);
    assert_int_equal(pair.sender->pins->free_end, pair.sender->pins->sent_end);
    assert_true(pair.pinning.sends_over >= PIECES);
    end(&pair);
}

static void who_is_copied_all_the_same_rests(void **state)
{
    struct pair pair;
    begin(&pair, *state);
    enum status status = ST_OK;
    for (unsigned i = 0; i < 4 * PINS_RECENT && status == ST_OK; i++) {
        size_t sent = send_piece(&pair, 0, &status);
        receive(&pair, 0, sent);
        poll_until(&pair, is_free);
    }
    assert_int_equal(status, ST_UNSUPPORTED);
    assert_int_equal(pair.pinning.switched_off, 1);
    assert_true(pair.pinning.copied * 2 > PINS_RECENT);
    end(&pair);
}

static void a_stalled_reader_keeps_it_until_the_connection_is_dissolved(void **state)
{
    struct pair pair;
    begin(&pair, *state);
    fill(&pair);
    for (unsigned i = 0; i < STILL; i++)
        loop_poll(pair.loop, 1000000);
    assert_true(stream_is_pinned(pair.sender));
    bool is_over = stream_dissolve(pair.sender);
    for (int i = 0; !is_over && i < POLLS_MAX; i++) {
        loop_poll(pair.loop, POLL_NS);
        is_over = stream_dissolve(pair.sender);
    }
    assert_true(is_over);
    assert_false(stream_is_pinned(pair.sender));
    assert_int_equal(pair.pinning.dissolved, 1);
    end(&pair);
}

static void a_peer_that_resets_is_noticed_and_lets_go(void **state)
{
    struct pair pair;
    begin(&pair, *state);
    fill(&pair);
    stream_want(pair.sender, STREAM_WANT_RECV);
    pair.sender_ready = 0;
    stream_close(pair.reader); /* with bytes that it has not read: a reset */
    pair.reader = NULL;
    poll_until(&pair, is_told_of_end);
    char byte;
    size_t size;
    assert_int_equal(stream_recv(pair.sender, &byte, 1, &size), ST_IO);
    stream_want(pair.sender, 0);
    poll_until(&pair, is_free);
    end(&pair);
}

static void held_back_notifications_do_not_keep_the_loop_awake(void **state)
{
    struct pair pair;
    enum status status;
    begin(&pair, *state);
    pinning_pause(&pair.host, true);
    size_t sent = send_piece(&pair, 0, &status);
    receive(&pair, 0, sent);
    stream_want(pair.reader, 0);
    for (unsigned i = 0; i < STILL; i++)
        loop_poll(pair.loop, 1000000);
    assert_true(stream_is_pinned(pair.sender));
    pair.calls = 0;
    uint64_t begin_ns = clock_monotonic_ns(&pair.clock);
    for (unsigned i = 0; i < STILL; i++)
        loop_poll(pair.loop, 1000000);
    assert_true(clock_monotonic_ns(&pair.clock) - begin_ns >= STILL * UINT64_C(1000000));
    assert_int_equal(pair.calls, 0);
    pinning_pause(&pair.host, false);
    assert_int_equal(pair.host.resumed, 1);
    assert_true(stream_settle(pair.sender));
    assert_false(stream_is_pinned(pair.sender));
    end(&pair);
}

static void beyond_what_the_process_may_pin_it_is_copied(void **state)
{
    struct pair pair;
    enum status status;
    begin(&pair, *state);
    pair.host.total_max = PIECE - 1;
    assert_int_equal(send_piece(&pair, 0, &status), 0);
    assert_int_equal(status, ST_UNSUPPORTED);
    pair.host.total_max = PIECE;
    assert_true(send_piece(&pair, 0, &status) > 0);
    end(&pair);
}

static const struct wiring wirings[] = {{false, false}, {true, false}, {false, true}, {true, true}};

#define EACH_WAY(test)                                                                                       \
    cmocka_unit_test_prestate(test, (void *)&wirings[0]),                                                    \
        cmocka_unit_test_prestate(test, (void *)&wirings[1]),                                                \
        cmocka_unit_test_prestate(test, (void *)&wirings[2]),                                                \
        cmocka_unit_test_prestate(test, (void *)&wirings[3])

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_WAY(everything_arrives_and_is_told_to_be_free),
        EACH_WAY(who_is_copied_all_the_same_rests),
        EACH_WAY(a_stalled_reader_keeps_it_until_the_connection_is_dissolved),
        EACH_WAY(a_peer_that_resets_is_noticed_and_lets_go),
        EACH_WAY(held_back_notifications_do_not_keep_the_loop_awake),
        EACH_WAY(beyond_what_the_process_may_pin_it_is_copied),
    };
    return cmocka_run_group_tests_name("pinned", tests, NULL, NULL);
}
