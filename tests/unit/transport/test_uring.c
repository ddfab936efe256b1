/* Proves, over TCP on loopback, that what is sent by the ring arrives, in order, from memory that may change after it is said to be over and
 * not before; that memory which leaves the arena is registered anew; and that what cannot be sent is refused. Skipped where io_uring is not allowed. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "loop/loop.h"
#include "transport/uring.h"

#define NUMBERS_MAX 4096
#define PATIENCE_MS 30000

struct fixture {
    struct clock clock;
    struct loop *loop;
    struct uring *ring; /* NULL: none here */
    int sender_fd, receiver_fd;
    struct uring_sender sender;
    uint32_t next, over_count;
    uint64_t taken_bytes;
    uint64_t sizes[NUMBERS_MAX];
    bool is_over[NUMBERS_MAX];
};

static uint32_t on_taken(struct uring_sender *sender, uint64_t size)
{
    struct fixture *fixture = (struct fixture *)((char *)sender - offsetof(struct fixture, sender));
    assert_true(fixture->next < NUMBERS_MAX && size > 0);
    fixture->sizes[fixture->next] = size;
    fixture->taken_bytes += size;
    return fixture->next++;
}

static void on_over(struct uring_sender *sender, uint32_t number, bool copied)
{
    struct fixture *fixture = (struct fixture *)((char *)sender - offsetof(struct fixture, sender));
    assert_true(number < fixture->next);
    assert_false(fixture->is_over[number]);
    fixture->is_over[number] = true;
    fixture->over_count++;
}

static void connect_pair(int *ret_sender, int *ret_receiver)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    *ret_sender = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*ret_sender, (struct sockaddr *)&address, size), 0);
    *ret_receiver = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(*ret_receiver >= 0);
    close(listener);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    fixture.sender = (struct uring_sender){.taken = on_taken, .over = on_over};
    clock_init_real(&fixture.clock);
    assert_int_equal(loop_new(&(struct loop_options){.clock = &fixture.clock}, &fixture.loop), ST_OK);
    enum status status = uring_new(fixture.loop, &fixture.ring);
    assert_true(status == ST_OK || status == ST_UNSUPPORTED);
    connect_pair(&fixture.sender_fd, &fixture.receiver_fd);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    close(fixture->sender_fd);
    close(fixture->receiver_fd);
    uring_free(fixture->ring);
    loop_free(fixture->loop);
    return 0;
}

static void skip_without_ring(const struct fixture *fixture)
{
    if (fixture->ring == NULL)
        skip();
}

/* Has the loop tell what is over until all is. */
static void wait_until_over(struct fixture *fixture)
{
    uint64_t until = loop_now_ns(fixture->loop) + (uint64_t)PATIENCE_MS * 1000000;
    while (fixture->sender.in_flight > 0 && loop_now_ns(fixture->loop) < until)
        loop_poll(fixture->loop, 10000000);
    assert_int_equal(fixture->sender.in_flight, 0);
    assert_int_equal(fixture->over_count, fixture->next);
}

/* Receives what has come, at most `size` bytes; each must be the one of its position. */
static size_t receive(struct fixture *fixture, char (*byte_at)(uint64_t), uint64_t position, size_t size)
{
    static char bytes[65536];
    ssize_t got = recv(fixture->receiver_fd, bytes, size < sizeof bytes ? size : sizeof bytes, 0);
    if (got < 0 && errno == EAGAIN)
        return 0;
    assert_true(got > 0);
    for (ssize_t i = 0; i < got; i++)
        assert_int_equal(bytes[i], byte_at(position + (uint64_t)i));
    return (size_t)got;
}

static void receive_all(struct fixture *fixture, char (*byte_at)(uint64_t), uint64_t position, uint64_t size)
{
    struct pollfd poll_for = {.fd = fixture->receiver_fd, .events = POLLIN};
    while (size > 0) {
        assert_int_equal(poll(&poll_for, 1, PATIENCE_MS), 1);
        uint64_t got = receive(fixture, byte_at, position, size);
        position += got;
        size -= got;
    }
}

static char pattern(uint64_t position)
{
    return (char)(position * 131 + (position >> 11));
}

static char *filled_block(uint64_t position)
{
    char *block = arena_alloc();
    for (size_t i = 0; i < ARENA_BLOCK_SIZE; i++)
        block[i] = pattern(position + i);
    return block;
}

static void slices_arrive_in_order_and_are_over(void **state)
{
    struct fixture *fixture = *state;
    skip_without_ring(fixture);
    char *first = filled_block(0), *second = filled_block(1000);
    struct slice slices[] = {
        slice_make(first, 400), /* these three lie in a row */
        slice_make(first + 400, 100), slice_make(first + 500, 500),
        slice_make(second, 9000), /* position 1000 */
        slice_make(second + 9000, 1),
    };
    size_t sent;
    assert_true(uring_can_send(fixture->ring, slices[0]));
    assert_int_equal(uring_send(fixture->ring, &fixture->sender, fixture->sender_fd, slices, 5, &sent),
                     ST_OK);
    assert_int_equal(sent, 10001);
    assert_int_equal(fixture->taken_bytes, 10001);
    assert_true(fixture->next <= 2 && fixture->sizes[0] >= 1000);
    receive_all(fixture, pattern, 0, sent);
    wait_until_over(fixture);
    arena_release(first);
    arena_release(second);
}

static void a_full_socket_takes_a_part_and_nothing_behind_it(void **state)
{
    struct fixture *fixture = *state;
    skip_without_ring(fixture);
    enum { BLOCKS = 16 };
    char *blocks[BLOCKS];
    struct slice slices[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = filled_block(i * ARENA_BLOCK_SIZE);
        slices[i] = slice_make(blocks[i], ARENA_BLOCK_SIZE);
    }
    uint64_t position = 0, received = 0, end = BLOCKS * ARENA_BLOCK_SIZE;
    bool was_full = false;
    while (received < end) {
        unsigned first = (unsigned)(position / ARENA_BLOCK_SIZE);
        if (position < end) {
            size_t offset = position % ARENA_BLOCK_SIZE, sent;
            struct slice whole = slices[first];
            slices[first] = slice_make(whole.data + offset, whole.size - offset);
            enum status status = uring_send(fixture->ring, &fixture->sender, fixture->sender_fd,
                                            slices + first, BLOCKS - first, &sent);
            slices[first] = whole;
            assert_true(status == ST_OK || (status == ST_AGAIN && sent == 0));
            was_full |= status == ST_AGAIN;
            position += sent;
            if (status == ST_OK)
                continue;
        }
        received += receive(fixture, pattern, received, SIZE_MAX);
    }
    assert_true(was_full);
    assert_int_equal(fixture->taken_bytes, end);
    wait_until_over(fixture);
    for (unsigned i = 0; i < BLOCKS; i++)
        arena_release(blocks[i]);
}

static char ones(uint64_t position)
{
    return 1;
}

static char twos(uint64_t position)
{
    return 2;
}

/* Sends the beginning of each block, and receives it. */
static void send_each(struct fixture *fixture, char **blocks, unsigned count, char (*byte_at)(uint64_t))
{
    for (unsigned i = 0; i < count; i++) {
        struct slice slice = slice_make(blocks[i], 20000);
        size_t sent;
        assert_int_equal(uring_send(fixture->ring, &fixture->sender, fixture->sender_fd, &slice, 1, &sent),
                         ST_OK);
        receive_all(fixture, byte_at, 0, sent);
    }
    wait_until_over(fixture);
}

static void memory_that_was_given_back_is_registered_anew(void **state)
{
    struct fixture *fixture = *state;
    skip_without_ring(fixture);
    enum { BLOCKS = 3 * (int)(ARENA_IDLE_MAX / ARENA_BLOCK_SIZE) };
    char *blocks[BLOCKS];
    for (char fill = 1; fill <= 2; fill++) {
        for (unsigned i = 0; i < BLOCKS; i++)
            memset(blocks[i] = arena_alloc(), fill, ARENA_BLOCK_SIZE);
        send_each(fixture, blocks, BLOCKS, fill == 1 ? ones : twos);
        for (unsigned i = 0; i < BLOCKS; i++)
            arena_release(blocks[i]); /* most go back to the system */
    }
}

static void other_memory_is_refused(void **state)
{
    struct fixture *fixture = *state;
    skip_without_ring(fixture);
    static char elsewhere[1000];
    char *block = filled_block(0);
    struct slice slices[] = {slice_make(block, 100), slice_make(elsewhere, sizeof elsewhere)};
    size_t sent;
    assert_false(uring_can_send(fixture->ring, slices[1]));
    assert_false(uring_can_send(NULL, slices[0]));
    assert_int_equal(uring_send(fixture->ring, &fixture->sender, fixture->sender_fd, slices + 1, 1, &sent),
                     ST_UNSUPPORTED);
    assert_int_equal(uring_send(fixture->ring, &fixture->sender, fixture->sender_fd, slices, 2, &sent),
                     ST_OK);
    assert_int_equal(sent, 100); /* what comes before it */
    receive_all(fixture, pattern, 0, sent);
    wait_until_over(fixture);
    arena_release(block);
}

static void a_connection_that_was_reset_is_an_error_and_leaves_nothing_in_flight(void **state)
{
    struct fixture *fixture = *state;
    skip_without_ring(fixture);
    struct linger at_once = {.l_onoff = 1};
    char *block = filled_block(0);
    struct slice slice = slice_make(block, ARENA_BLOCK_SIZE);
    enum status status = ST_OK;
    size_t sent;
    setsockopt(fixture->receiver_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fixture->receiver_fd);
    while (status == ST_OK)
        status = uring_send(fixture->ring, &fixture->sender, fixture->sender_fd, &slice, 1, &sent);
    assert_int_equal(status, ST_IO);
    assert_true(errno == ECONNRESET || errno == EPIPE);
    uring_collect(fixture->ring);
    wait_until_over(fixture);
    arena_release(block);
    fixture->receiver_fd = socket(AF_INET, SOCK_STREAM, 0);
}

static void without_memory_for_a_segment_it_says_no(void **state)
{
    struct fixture *fixture = *state;
    skip_without_ring(fixture);
    struct rlimit limit, little = {1 << 20, 1 << 20};
    char *block = filled_block(0);
    struct slice slice = slice_make(block, 1000);
    size_t sent;
    bool is_root = geteuid() == 0;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    little.rlim_max = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &little), 0);
    assert_true(!is_root ||
                seteuid(65534) == 0); /* a ring of somebody who may lock all memory has no limit */
    assert_int_equal(uring_new(fixture->loop, &fixture->ring), ST_OK);
    enum status status = uring_send(fixture->ring, &fixture->sender, fixture->sender_fd, &slice, 1, &sent);
    assert_true(!is_root || seteuid(0) == 0);
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    assert_int_equal(status, ST_UNSUPPORTED);
    assert_false(uring_can_send(fixture->ring, slice));
    arena_release(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(slices_arrive_in_order_and_are_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_socket_takes_a_part_and_nothing_behind_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_that_was_given_back_is_registered_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_memory_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_connection_that_was_reset_is_an_error_and_leaves_nothing_in_flight,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_for_a_segment_it_says_no, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
