/* How long the server looks for the next request of a session of shared memory: by experience, not where there is no
 * hope, and within the options. Time passes by a microsecond with each look at the clock, and otherwise as the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "loop/loop.h"
#include "shm/end.h"
#include "transport/shm.h"
#include "transport/socket.h"

#define RING     SHM_RING_MIN
#define SEGMENT  (SHM_RING_OFFSET + RING)
#define SPIN_US  50
#define REQUESTS 300
#define WAIT_NS  (SPIN_US * 4000) /* longer than it looks */
#define SPIN_NS  (SPIN_US * UINT64_C(1000))
#define LOOKS_NS UINT64_C(5000)    /* of a few looks at the clock, in which a wait begins and ends */
#define BURST_NS UINT64_C(2000000) /* what a thread that has not looked for long may use at once */

static uint64_t now_ns;
static struct loop *loop;
static struct stream *stream; /* the server's end */
static struct shm_host host;
static const _Atomic int64_t sessions_max = 10, spin_us = SPIN_US;
static _Atomic int64_t spin_percent;
static const _Atomic uint64_t memory_max = 0;
static struct shm_end client_end;
static char *segments[2]; /* as the client has them mapped */
static int client_socket;
static unsigned served;

static int64_t read_wall_us(void *context)
{
    return (int64_t)(now_ns / 1000);
}

static uint64_t read_now_ns(void *context)
{
    now_ns += 1000;
    return now_ns;
}

static const struct clock test_clock = {
    .wall_us = read_wall_us, .monotonic_ns = read_now_ns, .tick_multiplier = (uint64_t)1 << 32};

static void describe_nothing(const struct stream *self, struct stream_description *ret_description)
{
    *ret_description = (struct stream_description){.is_local_socket = true};
}

static const struct stream_ops socket_ops = {.recv = socket_recv,
                                             .send = socket_send,
                                             .want = socket_want,
                                             .attach = socket_attach,
                                             .detach = socket_detach,
                                             .close = socket_close,
                                             .describe = describe_nothing};

/* Answers each request with as many bytes. */
static void on_ready(struct stream *self, unsigned events)
{
    char bytes[64];
    size_t size, sent;
    if (stream_recv(self, bytes, sizeof bytes, &size) != ST_OK)
        return;
    struct slice answer = slice_make(bytes, size);
    assert_int_equal(stream_send(self, &answer, 1, &sent), ST_OK);
    served++;
}

/* The descriptors of the segments, as the server has sent them. */
static void receive_segments(int fds[2])
{
    char text[16];
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec space = {text, sizeof text};
    struct msghdr message = {
        .msg_iov = &space, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    assert_true(recvmsg(client_socket, &message, 0) > 0);
    memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), 2 * sizeof(int));
}

static int set_up(void **state)
{
    int ends[2], fds[2];
    const char *refusal;
    const struct shm_rings rings = {RING, RING};
    struct shm_terms terms;
    now_ns = 1;
    served = 0;
    spin_percent = 100;
    host = (struct shm_host){.sessions_max = &sessions_max,
                             .memory_max = &memory_max,
                             .spin_us = &spin_us,
                             .spin_percent = &spin_percent};
    assert_int_equal(loop_new(&(struct loop_options){.clock = &test_clock}, &loop), ST_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    client_socket = ends[1];
    struct stream *socket = socket_stream_new(&transport_unix, &socket_ops, ends[0]);
    socket->ready = on_ready;
    assert_int_equal(shm_stream_new(&host, &rings, &stream, &terms, &refusal), ST_OK);
    assert_int_equal(shm_stream_take_over(stream, socket, slice_from_string("offer")), ST_OK);
    assert_int_equal(stream_attach(stream, loop), ST_OK);
    stream_want(stream, STREAM_WANT_RECV);
    receive_segments(fds);
    for (int i = 0; i < 2; i++) {
        segments[i] = mmap(NULL, SEGMENT, PROT_READ | (i == 0 ? PROT_WRITE : 0), MAP_SHARED, fds[i], 0);
        assert_true(segments[i] != MAP_FAILED);
        close(fds[i]);
    }
    shm_end_init(&client_end, (struct shm_control *)(segments[0] + terms.request_control),
                 segments[0] + SHM_RING_OFFSET, RING,
                 (const struct shm_control *)(segments[1] + terms.reply_control),
                 segments[1] + SHM_RING_OFFSET, RING);
    return 0;
}

static int tear_down(void **state)
{
    stream_close(stream);
    loop_free(loop);
    for (int i = 0; i < 2; i++)
        munmap(segments[i], SEGMENT);
    close(client_socket);
    return 0;
}

static uint64_t spins(void)
{
    struct shm_totals totals;
    shm_host_totals(&host, &totals);
    return totals.spins;
}

static uint64_t vain_ns(void)
{
    struct shm_totals totals;
    shm_host_totals(&host, &totals);
    return totals.vain_ns;
}

/* Until there is nothing to do and each wait has ended: the server looks as long as it likes, and sleeps. */
static void let_the_server_work(void)
{
    while (loop_poll(loop, WAIT_NS) > 0)
        ;
}

/* A request and its reply, by a client that rings where it has to. */
static void exchange(uint64_t timeout_ns)
{
    size_t size;
    char bytes[8];
    unsigned before = served;
    assert_int_equal(shm_write(&client_end, "request", 7, &size), SHM_DONE);
    if (shm_settle(&client_end))
        assert_int_equal(send(client_socket, "", 1, MSG_NOSIGNAL), 1);
    while (served == before)
        loop_poll(loop, timeout_ns);
    assert_int_equal(shm_read(&client_end, bytes, sizeof bytes, &size), SHM_DONE);
}

/* Of a client that was silent for so long. */
static void ask_after(uint64_t silence_ns)
{
    now_ns += silence_ns;
    exchange(WAIT_NS);
    let_the_server_work();
}

/* Requests that come as soon as the one before is answered. */
static void ask_on(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        exchange(0);
}

static void who_asks_now_and_then_is_looked_for_once(void **state)
{
    for (unsigned i = 0; i < REQUESTS; i++)
        ask_after(10000000);
    assert_int_equal(spins(), 1);
}

static void who_asks_on_at_once_is_looked_for_from_then_on(void **state)
{
    for (unsigned i = 0; i < REQUESTS; i++)
        ask_after(10000000);
    uint64_t before = spins();
    for (unsigned i = 0; i < 20; i++)
        ask_after(0);
    assert_true(spins() > before);
}

static void nobody_is_looked_for_longer_than_the_option_says(void **state)
{
    let_the_server_work();
    ask_after(0);
    assert_in_range(vain_ns(), 2 * SPIN_NS - LOOKS_NS,
                    2 * SPIN_NS + LOOKS_NS); /* its request was a wake-up */
    ask_on(20);
    uint64_t before = vain_ns();
    let_the_server_work();
    assert_in_range(vain_ns() - before, SPIN_NS - LOOKS_NS, SPIN_NS + LOOKS_NS);
}

/* Hopes, and is disappointed, as often as can be. Returns the time that passes. */
static uint64_t raise_hopes(void)
{
    uint64_t begin = now_ns;
    for (unsigned i = 0; i < 1000; i++) {
        ask_on(20);
        let_the_server_work();
        now_ns += 20000;
    }
    return now_ns - begin;
}

static void looking_in_vain_takes_its_share_of_the_time_and_no_more(void **state)
{
    uint64_t passed_ns = raise_hopes(), unlimited_ns = vain_ns();
    assert_true(unlimited_ns > passed_ns / 5);
    spin_percent = 10;
    passed_ns = raise_hopes();
    uint64_t limited_ns = vain_ns() - unlimited_ns;
    assert_true(limited_ns <= passed_ns / 10 + BURST_NS + 2 * SPIN_NS);
    assert_true(limited_ns >= passed_ns / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_asks_now_and_then_is_looked_for_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_asks_on_at_once_is_looked_for_from_then_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_looked_for_longer_than_the_option_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(looking_in_vain_takes_its_share_of_the_time_and_no_more, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
