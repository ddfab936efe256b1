/* SHM OPEN while the connection moves between I/O threads: it is carried along and answered where the connection arrives.
 *
 * A server without threads, so that each step of a move is a turn that the test makes: a connection that moves away from
 * the only io arrives there again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/list.h"
#include "config/config.h"
#include "exec/client.h"
#include "exec/exec.h"
#include "io/conn.h"
#include "server/server.h"
#include "shm/layout.h"

#define TURNS_MAX 1000

struct world {
    char folder[32];
    struct server *server;
    struct conn *conn; /* the server's end of `socket` */
    int socket;
    char answer[1024];
    size_t size;
    unsigned descriptors;
};

static struct conn *only_connection(struct world *world)
{
    struct exec *exec = server_exec(world->server);
    assert_int_equal(exec->client_count, 1);
    return list_entry(exec->clients.next, struct client, in_clients)->conn;
}

/* What has come, and the descriptors that came with it, which are closed. */
static void take(struct world *world)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } control;
    struct iovec space = {world->answer + world->size, sizeof world->answer - 1 - world->size};
    struct msghdr message = {
        .msg_iov = &space, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(world->socket, &message, MSG_DONTWAIT);
    if (size <= 0)
        return;
    world->size += (size_t)size;
    world->answer[world->size] = '\0';
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    if (!part)
        return;
    world->descriptors = (unsigned)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (unsigned i = 0; i < world->descriptors; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
        close(fd);
    }
}

/* Turns the server until it has answered. */
static void await_answer(struct world *world)
{
    world->size = world->descriptors = 0;
    for (unsigned i = 0; world->size == 0 && i < TURNS_MAX; i++) {
        assert_true(server_turn(world->server, 0));
        take(world);
    }
    assert_true(world->size > 0);
}

static void set_option(struct config *config, const char *name, const char *value)
{
    struct buf error = {0};
    enum config_option option = config_option_find(slice_from_string(name));
    assert_int_equal(config_assign(config, option, slice_from_string(value), &error), ST_OK);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct buf error = {0};
    assert_non_null(world);
    snprintf(world->folder, sizeof world->folder, "/tmp/skua-upgrade-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", world->folder);
    struct server_options options = {.config = config_new()};
    set_option(options.config, "port", "0");
    set_option(options.config, "unixsocket", address.sun_path);
    set_option(options.config, "dir", world->folder);
    set_option(options.config, "save", "");
    set_option(options.config, "logfile", "/dev/null");
    set_option(options.config, "crash-log-enabled", "no");
    assert_int_equal(server_new(&options, &world->server, &error), ST_OK);
    world->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(world->socket, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(world->socket, "PING\r\n", 6, MSG_NOSIGNAL), 6);
    await_answer(world);
    assert_string_equal(world->answer, "+PONG\r\n");
    world->conn = only_connection(world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    char path[64];
    if (world->socket >= 0)
        close(world->socket);
    server_request_shutdown(world->server);
    while (server_turn(world->server, 1000000))
        ;
    server_free(world->server);
    snprintf(path, sizeof path, "%s/socket", world->folder);
    unlink(path);
    assert_int_equal(rmdir(world->folder), 0);
    free(world);
    return 0;
}

/* As the executor asks for it. */
static void ask(struct conn *conn)
{
    struct io_upgrade *upgrade = mem_alloc(sizeof *upgrade);
    *upgrade = (struct io_upgrade){.conn = conn,
                                   .rings = {.request = SHM_RING_MIN, .reply = SHM_RING_MIN, .resp = 2}};
    conn_upgrade(conn, upgrade);
}

static void expect_offer(struct world *world)
{
    await_answer(world);
    assert_memory_equal(world->answer, "*10\r\n$7\r\nversion\r\n", 18);
    assert_int_equal(world->descriptors, 2);
    assert_int_equal(world->conn->state, CONN_OPEN);
    assert_string_equal(world->conn->stream->transport->name, "shm");
}

static void a_connection_that_is_moving_changes_when_it_has_arrived(void **state)
{
    struct world *world = *state;
    conn_move(world->conn);
    ask(world->conn);
    assert_int_equal(world->conn->state, CONN_MOVING);
    expect_offer(world);
}

/* Its run is on its way back when the move begins, and comes back before it is over. */
static void a_connection_that_is_to_change_may_move_first(void **state)
{
    struct world *world = *state;
    struct conn *conn = world->conn;
    conn->outstanding = 1;
    conn->io->outstanding++;
    ask(conn);
    conn_move(conn);
    conn->outstanding = 0;
    conn->io->outstanding--;
    conn_mark_unsent(conn); /* as conn_run_done does */
    expect_offer(world);
}

static void a_wish_that_is_refused_is_refused_on_the_move_too(void **state)
{
    struct world *world = *state;
    struct conn *conn = world->conn;
    conn_move(conn);
    conn->outstanding = 2;
    conn->io->outstanding += 2;
    ask(conn);
    conn->outstanding = 0;
    conn->io->outstanding -= 2;
    await_answer(world);
    assert_string_equal(world->answer, "-ERR SHM OPEN must be the last request on its way\r\n");
    assert_int_equal(send(world->socket, "PING\r\n", 6, MSG_NOSIGNAL), 6);
    await_answer(world);
    assert_string_equal(world->answer, "+PONG\r\n");
}

static void who_goes_away_on_the_move_leaves_nothing(void **state)
{
    struct world *world = *state;
    conn_move(world->conn);
    ask(world->conn);
    close(world->socket);
    world->socket = -1;
    for (unsigned i = 0; server_exec(world->server)->client_count > 0 && i < TURNS_MAX; i++)
        assert_true(server_turn(world->server, 0));
    assert_int_equal(server_exec(world->server)->client_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_connection_that_is_moving_changes_when_it_has_arrived, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_connection_that_is_to_change_may_move_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wish_that_is_refused_is_refused_on_the_move_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_goes_away_on_the_move_leaves_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
