/* Proves: what a listener does with addresses, paths, files that are in the way, permissions, floods of connections
 * and a lack of descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/macros.h"
#include "loop/loop.h"
#include "transport/transport.h"

#define POLLS_MAX 2000 /* of at most POLL_NS each: an endless wait becomes a failure */
#define POLL_NS   10000000
#define FLOOD     200

static char directory[64];
static char path[108];
static uint64_t now_ns; /* time stands still unless a test moves it */
static struct loop *loop;
static struct stream *accepted[FLOOD];
static unsigned accepted_count;

static int64_t read_wall_us(void *context)
{
    return (int64_t)(now_ns / 1000);
}

static uint64_t read_now_ns(void *context)
{
    return now_ns;
}

static const struct clock test_clock = {.wall_us = read_wall_us, .monotonic_ns = read_now_ns};

static int set_up(void **state)
{
    now_ns = 1;
    snprintf(directory, sizeof(directory), "/tmp/skua-test-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/s", directory);
    accepted_count = 0;
    return loop_new(&(struct loop_options){.clock = &test_clock}, &loop) == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    for (unsigned i = 0; i < accepted_count; i++)
        stream_close(accepted[i]);
    loop_free(loop);
    unlink(path);
    return rmdir(directory);
}

static void on_accepted(void *context, struct stream *stream)
{
    assert_true(accepted_count < FLOOD);
    accepted[accepted_count++] = stream;
}

static enum status listen_on(const struct transport *transport, const char *address, uint16_t port,
                             struct listener **ret_listener)
{
    return transport_listen(
        transport, loop,
        &(struct listen_options){
            .address = address, .port = port, .backlog = FLOOD, .permissions = 0600, .accepted = on_accepted},
        ret_listener);
}

static void wait_for_accepted(unsigned count)
{
    for (int i = 0; accepted_count < count && i < POLLS_MAX; i++)
        loop_poll(loop, POLL_NS);
    assert_int_equal(accepted_count, count);
}

static void tcp_addresses(void **state)
{
    static const char *const good[] = {"127.0.0.1", "*", "-127.0.0.1", "localhost"};
    static const char *const bad[] = {"",           "-",     "127.0.0.1.5", "256.0.0.1",
                                      "1.2.3.4:80", "::1::", "a:b",         "--1"};
    struct listener *listener = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_int_equal(listen_on(&transport_tcp, good[i], 0, &listener), ST_OK);
        assert_true(listener->port != 0);
        listener->close(listener);
    }
    listener = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(listen_on(&transport_tcp, bad[i], 0, &listener), ST_INVALID);
        assert_null(listener);
    }
}

/* 192.0.2.1 is reserved for documentation: no machine has it. */
static void an_address_that_is_not_here(void **state)
{
    struct listener *listener;
    assert_int_equal(listen_on(&transport_tcp, "192.0.2.1", 0, &listener), ST_IO);
    assert_int_equal(errno, EADDRNOTAVAIL);
    assert_int_equal(listen_on(&transport_tcp, "-192.0.2.1", 0, &listener), ST_NOT_FOUND);
}

static void a_port_that_is_taken(void **state)
{
    struct listener *first, *second;
    assert_int_equal(listen_on(&transport_tcp, "127.0.0.1", 0, &first), ST_OK);
    assert_int_equal(listen_on(&transport_tcp, "127.0.0.1", first->port, &second), ST_IO);
    assert_int_equal(errno, EADDRINUSE);
    /* Optional means that the address may be missing, not that the port may be taken. */
    assert_int_equal(listen_on(&transport_tcp, "-127.0.0.1", first->port, &second), ST_IO);
    first->close(first);
}

/* "*" and "::*" are two listeners on one port. */
static void both_families_on_one_port(void **state)
{
    struct listener *v4, *v6;
    assert_int_equal(listen_on(&transport_tcp, "*", 0, &v4), ST_OK);
    enum status status = listen_on(&transport_tcp, "-::*", v4->port, &v6);
    if (status == ST_OK) {
        assert_int_equal(v6->port, v4->port);
        v6->close(v6);
    }
    v4->close(v4);
    if (status == ST_NOT_FOUND)
        skip(); /* no IPv6 on this machine */
    assert_int_equal(status, ST_OK);
}

static void an_accepted_tcp_stream_does_not_delay(void **state)
{
    struct listener *listener;
    struct stream *client;
    struct stream_description description;
    char address[32];
    int on = 0;
    socklen_t size = sizeof(on);
    assert_int_equal(listen_on(&transport_tcp, "127.0.0.1", 0, &listener), ST_OK);
    snprintf(address, sizeof(address), "127.0.0.1:%u", listener->port);
    assert_int_equal(transport_connect(&transport_tcp, loop, address, &client), ST_OK);
    wait_for_accepted(1);
    stream_describe(accepted[0], &description);
    assert_int_equal(getsockopt(description.descriptor, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
    assert_true(on);
    assert_true(fcntl(description.descriptor, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(description.descriptor, F_GETFD) & FD_CLOEXEC);
    stream_close(client);
    listener->close(listener);
}

static void on_refused(struct stream *stream, unsigned events)
{
    *(unsigned *)stream->owner |= events;
}

static void connecting_to_nobody(void **state)
{
    static const char *const bad[] = {"",    "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",  "127.0.0.1:65536",
                                      ":80", "[::1:80",   "[]:80",      "localhost:80", "127.0.0.1:+80"};
    struct stream *stream;
    struct listener *listener;
    char address[32];
    unsigned events = 0;
    size_t sent;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(transport_connect(&transport_tcp, loop, bad[i], &stream), ST_INVALID);
    assert_int_equal(transport_connect(&transport_unix, loop, path, &stream), ST_IO);
    assert_int_equal(errno, ENOENT);
    /* A port that was free a moment ago. */
    assert_int_equal(listen_on(&transport_tcp, "127.0.0.1", 0, &listener), ST_OK);
    snprintf(address, sizeof(address), "127.0.0.1:%u", listener->port);
    listener->close(listener);
    enum status status = transport_connect(&transport_tcp, loop, address, &stream);
    if (status == ST_OK) {
        stream->owner = &events;
        stream->ready = on_refused;
        stream_want(stream, STREAM_WANT_SEND);
        for (int i = 0; events == 0 && i < POLLS_MAX; i++)
            loop_poll(loop, POLL_NS);
        status = stream_send(stream, &SLICE("x"), 1, &sent);
        int error = errno;
        stream_close(stream);
        errno = error;
    }
    assert_int_equal(status, ST_IO);
    assert_int_equal(errno, ECONNREFUSED);
}

static void a_unix_socket_has_its_permissions_and_goes_with_its_listener(void **state)
{
    struct listener *listener;
    struct stat file;
    assert_int_equal(listen_on(&transport_unix, path, 0, &listener), ST_OK);
    assert_int_equal(stat(path, &file), 0);
    assert_true(S_ISSOCK(file.st_mode));
    assert_int_equal(file.st_mode & 0777, 0600);
    assert_int_equal(listener->port, 0);
    listener->close(listener);
    assert_int_equal(stat(path, &file), -1);
}

static void a_path_too_long_for_a_unix_socket(void **state)
{
    char longest[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    struct listener *listener;
    struct stream *stream;
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(listen_on(&transport_unix, longest, 0, &listener), ST_RANGE);
    assert_int_equal(errno, ENAMETOOLONG);
    assert_int_equal(transport_connect(&transport_unix, loop, longest, &stream), ST_RANGE);
    assert_int_equal(listen_on(&transport_unix, "", 0, &listener), ST_INVALID);
    /* One byte less fits, with its zero byte, and is told whole. */
    char *fits = longest;
    size_t room = sizeof(longest) - 2;
    snprintf(fits, room + 1, "%s/", directory);
    memset(fits + strlen(fits), 'y', room - strlen(fits));
    fits[room] = '\0';
    assert_int_equal(listen_on(&transport_unix, fits, 0, &listener), ST_OK);
    assert_int_equal(transport_connect(&transport_unix, loop, fits, &stream), ST_OK);
    struct stream_description description;
    char expected[sizeof(longest) + 2];
    snprintf(expected, sizeof(expected), "%s:0", fits);
    stream_describe(stream, &description);
    assert_string_equal(description.peer, expected);
    stream_close(stream);
    listener->close(listener);
}

static void a_file_in_the_way_stays(void **state)
{
    struct listener *listener;
    struct stat file;
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(listen_on(&transport_unix, path, 0, &listener), ST_EXISTS);
    assert_int_equal(stat(path, &file), 0);
    assert_true(S_ISREG(file.st_mode));
}

static void a_server_that_answers_keeps_its_socket(void **state)
{
    struct listener *first, *second;
    struct stat before, after;
    assert_int_equal(listen_on(&transport_unix, path, 0, &first), ST_OK);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(listen_on(&transport_unix, path, 0, &second), ST_EXISTS);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    first->close(first);
}

static void a_dead_servers_socket_is_replaced(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct listener *listener;
    struct stream *client;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    close(fd); /* the file stays, as after kill -9 */
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(listen_on(&transport_unix, path, 0, &listener), ST_OK);
    assert_int_equal(transport_connect(&transport_unix, loop, path, &client), ST_OK);
    wait_for_accepted(1);
    stream_close(client);
    listener->close(listener);
}

/* Somebody put another file there meanwhile: it is not ours to remove. */
static void a_listener_removes_only_its_own_file(void **state)
{
    struct listener *listener;
    assert_int_equal(listen_on(&transport_unix, path, 0, &listener), ST_OK);
    assert_int_equal(unlink(path), 0);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    listener->close(listener);
    assert_int_equal(access(path, F_OK), 0);
}

static void a_flood_is_accepted_over_several_polls(void **state)
{
    struct listener *listener;
    static struct stream *clients[FLOOD];
    assert_int_equal(listen_on(&transport_unix, path, 0, &listener), ST_OK);
    for (int i = 0; i < FLOOD; i++)
        assert_int_equal(transport_connect(&transport_unix, loop, path, &clients[i]), ST_OK);
    loop_poll(loop, POLL_NS);
    assert_in_range(accepted_count, 1, FLOOD - 1); /* bounded */
    wait_for_accepted(FLOOD);
    for (int i = 0; i < FLOOD; i++)
        stream_close(clients[i]);
    listener->close(listener);
}

/* Without descriptors the listener rests instead of spinning, and accepts when there are some again. */
static void a_lack_of_descriptors_is_sat_out(void **state)
{
    struct listener *listener;
    struct stream *client;
    struct rlimit before, low;
    assert_int_equal(listen_on(&transport_unix, path, 0, &listener), ST_OK);
    assert_int_equal(transport_connect(&transport_unix, loop, path, &client), ST_OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0); /* the lowest free descriptor becomes the limit */
    close(next);
    low = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(loop_poll(loop, POLL_NS), 1); /* the try that fails */
    assert_int_equal(accepted_count, 0);
    assert_true(loop_next_due_ns(loop) != UINT64_MAX);
    assert_int_equal(loop_poll(loop, POLL_NS), 0); /* quiet, though the connection waits */
    now_ns = loop_next_due_ns(loop);
    assert_int_equal(loop_poll(loop, POLL_NS), 1); /* the rest is over: the timer */
    assert_int_equal(loop_poll(loop, POLL_NS), 1); /* still none */
    assert_int_equal(accepted_count, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    now_ns = loop_next_due_ns(loop);
    wait_for_accepted(1);
    assert_true(loop_next_due_ns(loop) == UINT64_MAX);
    stream_close(client);
    listener->close(listener);
}

static void a_listener_may_be_closed_while_it_rests(void **state)
{
    struct listener *listener;
    struct stream *client;
    struct rlimit before, low;
    assert_int_equal(listen_on(&transport_unix, path, 0, &listener), ST_OK);
    assert_int_equal(transport_connect(&transport_unix, loop, path, &client), ST_OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0);
    close(next);
    low = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    loop_poll(loop, POLL_NS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    listener->close(listener);
    assert_true(loop_next_due_ns(loop) == UINT64_MAX);
    stream_close(client);
}

static void a_simulated_loop_has_no_sockets(void **state)
{
    struct loop *simulated;
    struct listener *listener;
    struct stream *stream;
    struct loop *real = loop;
    assert_int_equal(loop_new(&(struct loop_options){.clock = &test_clock, .simulated = true}, &simulated),
                     ST_OK);
    loop = simulated;
    assert_int_equal(listen_on(&transport_tcp, "127.0.0.1", 0, &listener), ST_UNSUPPORTED);
    assert_int_equal(listen_on(&transport_unix, path, 0, &listener), ST_UNSUPPORTED);
    assert_int_equal(access(path, F_OK), -1);
    loop = real;
    assert_int_equal(listen_on(&transport_unix, path, 0, &listener), ST_OK);
    assert_int_equal(transport_connect(&transport_unix, simulated, path, &stream), ST_UNSUPPORTED);
    wait_for_accepted(1); /* the connection was made and given up */
    listener->close(listener);
    loop_free(simulated);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(tcp_addresses),
        CASE(an_address_that_is_not_here),
        CASE(a_port_that_is_taken),
        CASE(both_families_on_one_port),
        CASE(an_accepted_tcp_stream_does_not_delay),
        CASE(connecting_to_nobody),
        CASE(a_unix_socket_has_its_permissions_and_goes_with_its_listener),
        CASE(a_path_too_long_for_a_unix_socket),
        CASE(a_file_in_the_way_stays),
        CASE(a_server_that_answers_keeps_its_socket),
        CASE(a_dead_servers_socket_is_replaced),
        CASE(a_listener_removes_only_its_own_file),
        CASE(a_flood_is_accepted_over_several_polls),
        CASE(a_lack_of_descriptors_is_sat_out),
        CASE(a_listener_may_be_closed_while_it_rests),
        CASE(a_simulated_loop_has_no_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
