/* Epoll sets whose waits are answered from memory (preload/set.h): a program must not be able to tell, whatever it does with
 * its set and its connections, and whoever else looks at them must find in the kernel what is true.
 *
 * As test_preload.c it is linked before the C library, and starts itself anew with its settings. Each of its connections is
 * to a played server of its own. What a set holds shows in the kernel, where its registration is not the program's. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/shm_host.h"

#define WAIT_MS 60000 /* for what comes at once on a machine that is not busy */
#define PARTIES 5
#define TAG     UINT64_C(0x123400000000)
#define PONG    7

static char folder[64]; /* of the servers' names; see main */

struct world {
    struct shm_host hosts[PARTIES];
    struct sockaddr_un addresses[PARTIES];
    int fds[PARTIES];
    int set;
};

/* ---- Common ------------------------------------------------------------------------------------------------- */

/* What the kernel has registered in the set for the descriptor: its data, 0 for none. */
static uint64_t registered(int set, int fd)
{
    char path[64], line[256];
    uint64_t found = 0;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", set);
    FILE *info = fopen(path, "r");
    assert_non_null(info);
    while (fgets(line, sizeof line, info)) {
        int its_fd;
        unsigned events;
        unsigned long long data;
        if (sscanf(line, "tfd: %d events: %x data: %llx", &its_fd, &events, &data) == 3 && its_fd == fd)
            found = data;
    }
    fclose(info);
    return found;
}

static bool is_held(const struct world *world, int party)
{
    uint64_t data = registered(world->set, world->fds[party]);
    return data != 0 && data != TAG + (uint64_t)party;
}

static void control(struct world *world, int what, int party, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = TAG + (uint64_t)party};
    assert_int_equal(epoll_ctl(world->set, what, world->fds[party], &event), 0);
}

static void connect_to(struct world *world, int party)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&world->addresses[party], sizeof world->addresses[party]),
                     0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    world->fds[party] = fd;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->set = epoll_create1(EPOLL_CLOEXEC);
    const enum shm_host_plan plans[] = {SHM_HOST_OFFERS};
    for (int i = 0; i < PARTIES; i++) {
        assert_true(shm_host_start(&world->hosts[i], i % 2 ? 200 : 0, 1, plans));
        world->addresses[i].sun_family = AF_UNIX;
        snprintf(world->addresses[i].sun_path, sizeof world->addresses[i].sun_path, "%s/%d", folder, i);
        assert_int_equal(symlink(world->hosts[i].path, world->addresses[i].sun_path), 0);
        connect_to(world, i);
        control(world, EPOLL_CTL_ADD, i, EPOLLIN);
    }
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < PARTIES; i++) {
        if (world->fds[i] >= 0)
            close(world->fds[i]);
        shm_host_stop(&world->hosts[i]);
        assert_int_equal(world->hosts[i].lost_bells, 0);
        assert_int_equal(unlink(world->addresses[i].sun_path), 0);
    }
    if (world->set >= 0)
        close(world->set);
    free(world);
    return 0;
}

static void ask(int fd, const char *name, const char *argument)
{
    char request[256];
    int size = snprintf(request, sizeof request, "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(name), name,
                        strlen(argument), argument);
    assert_int_equal(write(fd, request, (size_t)size), size);
}

static void ask_ping(int fd)
{
    assert_int_equal(write(fd, "*1\r\n$4\r\nPING\r\n", 14), 14);
}

/* Everything that is there. */
static size_t drain(int fd)
{
    char bytes[4096];
    size_t total = 0;
    for (ssize_t got; (got = read(fd, bytes, sizeof bytes)) > 0;)
        total += (size_t)got;
    return total;
}

/* The next event that is one. What is not held may be reported as readable for a bell that came late, as sockets may be
 * for other reasons: then a read finds nothing. */
static struct epoll_event next_event(const struct world *world)
{
    for (;;) {
        struct epoll_event event = {0};
        char byte;
        assert_int_equal(epoll_wait(world->set, &event, 1, WAIT_MS), 1);
        assert_true(event.data.u64 - TAG < PARTIES);
        if (event.events & EPOLLOUT ||
            recv(world->fds[event.data.u64 - TAG], &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
            return event;
    }
}

static uint32_t expect_event(struct world *world, int party)
{
    struct epoll_event event = next_event(world);
    assert_int_equal(event.data.u64, TAG + (uint64_t)party);
    return event.events;
}

static void expect_nothing(struct world *world, int ms)
{
    struct epoll_event events[PARTIES];
    assert_int_equal(epoll_wait(world->set, events, PARTIES, ms), 0);
}

/* Asks the first `count` and reads their answers. */
static void exchange(struct world *world, int count)
{
    size_t left[PARTIES] = {0};
    int open = count;
    for (int i = 0; i < count; i++) {
        ask_ping(world->fds[i]);
        left[i] = PONG;
    }
    while (open > 0) {
        struct epoll_event events[PARTIES];
        int ready = epoll_wait(world->set, events, PARTIES, WAIT_MS);
        assert_true(ready > 0);
        for (int i = 0; i < ready; i++) {
            uint64_t party = events[i].data.u64 - TAG;
            assert_true(party < (uint64_t)count);
            assert_int_equal(events[i].events, EPOLLIN);
            size_t got = drain(world->fds[party]);
            assert_true(got <= left[party]);
            left[party] -= got;
            open -= got > 0 && left[party] == 0;
        }
    }
}

/* By a few exchanges: from then on what takes part is held. */
static void warm_up(struct world *world)
{
    for (int i = 0; i < 10; i++)
        exchange(world, PARTIES);
    for (int i = 0; i < PARTIES; i++)
        assert_true(is_held(world, i));
}

static void expect_plain(const struct world *world)
{
    for (int i = 0; i < PARTIES; i++)
        assert_int_equal(registered(world->set, world->fds[i]), TAG + (uint64_t)i);
}

/* ---- What the program sees ---------------------------------------------------------------------------------- */

static void answers_come_with_the_programs_own_data(void **state)
{
    struct world *world = *state;
    expect_plain(world);
    warm_up(world);
    for (int i = 0; i < 1000; i++)
        exchange(world, 1 + i % PARTIES);
}

static void what_is_left_unread_is_reported_again(void **state)
{
    struct world *world = *state;
    char bytes[10];
    warm_up(world);
    ask(world->fds[2], "BULK", "1000");
    size_t left = 1009;
    while (left > 0) {
        assert_int_equal(expect_event(world, 2), EPOLLIN);
        ssize_t got = read(world->fds[2], bytes, sizeof bytes);
        assert_true(got > 0);
        left -= (size_t)got;
    }
    expect_nothing(world, 0);
    expect_nothing(world, 20);
}

static void epoll_ctl_says_what_the_kernel_would(void **state)
{
    struct world *world = *state;
    int fd = world->fds[1];
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = TAG + 1};
    warm_up(world);
    assert_int_equal(epoll_ctl(world->set, EPOLL_CTL_ADD, fd, &event), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(epoll_ctl(world->set, EPOLL_CTL_DEL, fd, NULL), 0);
    assert_int_equal(epoll_ctl(world->set, EPOLL_CTL_DEL, fd, NULL), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(epoll_ctl(world->set, EPOLL_CTL_MOD, fd, &event), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(epoll_ctl(world->set, 77, fd, &event), -1);
    assert_int_equal(errno, EINVAL);
    ask_ping(fd);
    expect_nothing(world, 20);
    expect_nothing(world, 0);
    assert_int_equal(epoll_ctl(world->set, EPOLL_CTL_ADD, fd, &event), 0);
    assert_int_equal(expect_event(world, 1), EPOLLIN);
    assert_int_equal(drain(fd), PONG);
    exchange(world, PARTIES);
}

/* Bytes that nobody asks for must not keep the waiting thread busy. */
static void bytes_that_nobody_wants_wake_nobody(void **state)
{
    struct world *world = *state;
    struct timespec before, after;
    warm_up(world);
    control(world, EPOLL_CTL_MOD, 0, 0);
    assert_int_equal(epoll_ctl(world->set, EPOLL_CTL_DEL, world->fds[1], NULL), 0);
    ask_ping(world->fds[0]);
    ask_ping(world->fds[1]);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    expect_nothing(world, 400);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    assert_true((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 < 200);
    control(world, EPOLL_CTL_MOD, 0, EPOLLIN);
    assert_int_equal(expect_event(world, 0), EPOLLIN);
    assert_int_equal(drain(world->fds[0]), PONG);
    control(world, EPOLL_CTL_ADD, 1, EPOLLIN);
    assert_int_equal(expect_event(world, 1), EPOLLIN);
    assert_int_equal(drain(world->fds[1]), PONG);
    exchange(world, PARTIES);
}

static void room_to_write_is_reported_while_it_is_asked_for(void **state)
{
    struct world *world = *state;
    warm_up(world);
    control(world, EPOLL_CTL_MOD, 3, EPOLLIN | EPOLLOUT);
    for (int i = 0; i < 5; i++)
        assert_int_equal(expect_event(world, 3), EPOLLOUT);
    control(world, EPOLL_CTL_MOD, 3, EPOLLIN);
    expect_nothing(world, 10);
    exchange(world, PARTIES);
}

static void a_full_ring_is_left_to_the_kernel(void **state)
{
    struct world *world = *state;
    static char bytes[60000];
    char head[64];
    size_t wanted = 400000, sent = 0, refusals = 0, got = 0;
    memset(bytes, 'x', sizeof bytes);
    warm_up(world);
    control(world, EPOLL_CTL_MOD, 0, EPOLLIN | EPOLLOUT);
    atomic_store(&world->hosts[0].may_go_on, false);
    unsigned before = atomic_load(&world->hosts[0].stays);
    assert_int_equal(write(world->fds[0], "*1\r\n$4\r\nSTAY\r\n", 14), 14);
    while (atomic_load(&world->hosts[0].stays) == before)
        usleep(1000);
    int size = snprintf(head, sizeof head, "*2\r\n$4\r\nECHO\r\n$%zu\r\n", wanted);
    assert_int_equal(write(world->fds[0], head, (size_t)size), size);
    while (sent < wanted) {
        uint32_t events = expect_event(world, 0);
        if (events & EPOLLIN)
            got += drain(world->fds[0]);
        size_t part = wanted - sent < sizeof bytes ? wanted - sent : sizeof bytes;
        ssize_t done = write(world->fds[0], bytes, part);
        refusals += done < 0 && errno == EAGAIN;
        if (refusals > 0)
            atomic_store(&world->hosts[0].may_go_on, true);
        sent += done > 0 ? (size_t)done : 0;
    }
    assert_true(refusals > 0);
    control(world, EPOLL_CTL_MOD, 0, EPOLLIN);
    assert_int_equal(write(world->fds[0], "\r\n", 2), 2);
    while (got < strlen("+OK\r\n$400000\r\n") + wanted + 2) {
        assert_int_equal(expect_event(world, 0), EPOLLIN);
        got += drain(world->fds[0]);
    }
    exchange(world, PARTIES);
}

static void edges_and_single_shots_are_the_kernels(void **state)
{
    struct world *world = *state;
    warm_up(world);
    control(world, EPOLL_CTL_MOD, 0, EPOLLIN | EPOLLET);
    control(world, EPOLL_CTL_MOD, 1, EPOLLIN | EPOLLONESHOT);
    assert_false(is_held(world, 0) || is_held(world, 1));
    for (int i = 0; i < 20; i++) {
        ask_ping(world->fds[0]);
        for (size_t got = 0; got < PONG; got += drain(world->fds[0]))
            assert_int_equal(expect_event(world, 0), EPOLLIN);
        ask_ping(world->fds[1]);
        for (size_t got = 0; got < PONG; got += drain(world->fds[1])) {
            assert_int_equal(expect_event(world, 1), EPOLLIN);
            control(world, EPOLL_CTL_MOD, 1, EPOLLIN | EPOLLONESHOT);
        }
    }
    assert_false(is_held(world, 0) || is_held(world, 1));
}

static void other_descriptors_are_not_held_up(void **state)
{
    struct world *world = *state;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7};
    int pair[2];
    warm_up(world);
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(epoll_ctl(world->set, EPOLL_CTL_ADD, pair[0], &event), 0);
    ask_ping(world->fds[0]);
    assert_int_equal(expect_event(world, 0), EPOLLIN);
    assert_int_equal(write(pair[1], "x", 1), 1);
    unsigned waits = 0;
    for (bool told = false; !told && waits < 100; waits++) {
        assert_int_equal(epoll_wait(world->set, &event, 1, WAIT_MS), 1);
        told = event.data.u64 == 7;
    }
    assert_true(waits < 100);
    close(pair[0]);
    close(pair[1]);
}

static void each_has_its_turn_where_there_is_room_for_one(void **state)
{
    struct world *world = *state;
    unsigned seen = 0;
    warm_up(world);
    for (int i = 0; i < PARTIES; i++) {
        ask_ping(world->fds[i]);
        struct pollfd list = {world->fds[i], POLLIN, 0};
        assert_int_equal(poll(&list, 1, WAIT_MS), 1);
    }
    for (int i = 0; i < 10 * PARTIES; i++) {
        struct epoll_event event;
        assert_int_equal(epoll_wait(world->set, &event, 1, WAIT_MS), 1);
        seen |= 1u << (event.data.u64 - TAG);
    }
    assert_int_equal(seen, (1u << PARTIES) - 1);
}

static void a_time_limit_is_kept(void **state)
{
    struct world *world = *state;
    struct timespec before, after, limit = {.tv_nsec = 30000000};
    struct epoll_event event;
    warm_up(world);
    clock_gettime(CLOCK_MONOTONIC, &before);
    expect_nothing(world, 50);
    assert_int_equal(epoll_pwait2(world->set, &event, 1, &limit, NULL), 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 79);
    assert_int_equal(epoll_wait(world->set, &event, 0, 0), -1);
    assert_int_equal(errno, EINVAL);
}

/* ---- Others who look ---------------------------------------------------------------------------------------- */

static void *wait_for_one(void *argument)
{
    return (void *)(uintptr_t)(next_event(argument).data.u64 - TAG);
}

static void another_thread_that_waits_finds_everything(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < PARTIES; i++) {
        pthread_t waiter;
        void *found;
        warm_up(world);
        assert_int_equal(pthread_create(&waiter, NULL, wait_for_one, world), 0);
        ask_ping(world->fds[i]);
        pthread_join(waiter, &found);
        assert_int_equal((uintptr_t)found, i);
        assert_int_equal(drain(world->fds[i]), PONG);
    }
}

struct crew {
    struct world *world;
    atomic_uint bytes;
    unsigned wanted;
};

static void *read_with_others(void *argument)
{
    struct crew *crew = argument;
    while (atomic_load(&crew->bytes) < crew->wanted) {
        struct epoll_event events[2];
        int ready = epoll_wait(crew->world->set, events, 2, 20);
        assert_true(ready >= 0);
        for (int i = 0; i < ready; i++)
            atomic_fetch_add(&crew->bytes, (unsigned)drain(crew->world->fds[events[i].data.u64 - TAG]));
    }
    return NULL;
}

static void several_threads_share_a_set(void **state)
{
    struct world *world = *state;
    struct crew crew = {.world = world, .wanted = 600 * PARTIES * PONG};
    pthread_t readers[2];
    warm_up(world);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_with_others, &crew), 0);
    for (int i = 0; i < 600; i++)
        for (int party = 0; party < PARTIES; party++)
            ask_ping(world->fds[party]);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(atomic_load(&crew.bytes), crew.wanted);
    warm_up(world);
}

struct sleeper {
    struct world *world;
    atomic_bool is_ready;
};

static void *warm_up_and_wait(void *argument)
{
    struct sleeper *sleeper = argument;
    warm_up(sleeper->world);
    atomic_store(&sleeper->is_ready, true);
    return wait_for_one(sleeper->world);
}

static void a_change_wakes_who_sleeps(void **state)
{
    struct world *world = *state;
    for (int way = 0; way < 2; way++) {
        struct sleeper sleeper = {.world = world};
        pthread_t thread;
        void *found;
        assert_int_equal(pthread_create(&thread, NULL, warm_up_and_wait, &sleeper), 0);
        while (!atomic_load(&sleeper.is_ready))
            sched_yield();
        struct timespec some = {
            .tv_nsec = way * 30000000}; /* before it sleeps, and while it does, if all goes well */
        nanosleep(&some, NULL);
        control(world, EPOLL_CTL_MOD, 4, EPOLLOUT);
        pthread_join(thread, &found);
        assert_int_equal((uintptr_t)found, 4);
        control(world, EPOLL_CTL_MOD, 4, EPOLLIN);
    }
}

static void a_set_in_a_set_is_true_in_the_kernel(void **state)
{
    struct world *world = *state;
    struct epoll_event event = {.events = EPOLLIN};
    int outer = epoll_create1(EPOLL_CLOEXEC);
    warm_up(world);
    assert_int_equal(epoll_ctl(outer, EPOLL_CTL_ADD, world->set, &event), 0);
    expect_plain(world);
    for (int i = 0; i < 20; i++) {
        ask_ping(world->fds[i % PARTIES]);
        assert_int_equal(epoll_wait(outer, &event, 1, WAIT_MS), 1);
        exchange(world, 0);
        assert_int_equal(expect_event(world, i % PARTIES), EPOLLIN);
        for (size_t got = 0; got < PONG; got += drain(world->fds[i % PARTIES]))
            ;
    }
    expect_plain(world);
    close(outer);
}

static void a_set_that_is_polled_is_true_in_the_kernel(void **state)
{
    struct world *world = *state;
    struct pollfd list = {world->set, POLLIN, 0};
    warm_up(world);
    ask_ping(world->fds[1]);
    assert_int_equal(poll(&list, 1, WAIT_MS), 1);
    expect_plain(world);
    assert_int_equal(expect_event(world, 1), EPOLLIN);
}

static void copies_are_true_in_the_kernel(void **state)
{
    struct world *world = *state;
    warm_up(world);
    int copy = dup(world->fds[0]);
    assert_false(is_held(world, 0));
    exchange(world, PARTIES);
    close(copy);
    exchange(world, PARTIES);
    int set = fcntl(world->set, F_DUPFD_CLOEXEC, 0);
    expect_plain(world);
    exchange(world, PARTIES);
    expect_plain(world);
    ask_ping(world->fds[1]);
    struct epoll_event event;
    assert_int_equal(epoll_wait(set, &event, 1, WAIT_MS), 1);
    assert_int_equal(event.data.u64, TAG + 1);
    close(set);
}

static void a_child_finds_what_was_registered(void **state)
{
    struct world *world = *state;
    warm_up(world);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        bool is_plain = true;
        for (int i = 0; i < PARTIES; i++)
            is_plain = is_plain && !is_held(world, i);
        _exit(is_plain ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (int i = 0; i < 50; i++)
        exchange(world, PARTIES);
}

/* ---- The end ------------------------------------------------------------------------------------------------ */

static void the_end_of_one_is_told(void **state)
{
    struct world *world = *state;
    char byte;
    warm_up(world);
    ask(world->fds[0], "DIE", "");
    assert_true(expect_event(world, 0) & EPOLLIN);
    assert_int_equal(read(world->fds[0], &byte, 1), 0);
    close(world->fds[0]);
    world->fds[0] = -1;
    /* And while another keeps the thread busy. */
    ask_ping(world->fds[1]);
    expect_event(world, 1);
    ask(world->fds[2], "DIE", "");
    struct epoll_event event = {0};
    while (event.data.u64 != TAG + 2)
        assert_int_equal(epoll_wait(world->set, &event, 1, WAIT_MS), 1);
    assert_int_equal(read(world->fds[2], &byte, 1), 0);
}

static void numbers_are_used_again(void **state)
{
    struct world *world = *state;
    for (int round = 0; round < 5; round++) {
        warm_up(world);
        close(world->fds[0]);
        connect_to(world, 0);
        control(world, EPOLL_CTL_ADD, 0, EPOLLIN);
        exchange(world, PARTIES);
    }
    warm_up(world);
    close(world->set);
    world->set = epoll_create1(EPOLL_CLOEXEC);
    expect_nothing(world, 0);
    for (int i = 0; i < PARTIES; i++)
        control(world, EPOLL_CTL_ADD, i, EPOLLIN);
    expect_plain(world);
    warm_up(world);
    int second = epoll_create1(EPOLL_CLOEXEC);
    assert_int_equal(epoll_ctl(world->set, EPOLL_CTL_DEL, world->fds[0], NULL), 0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 9};
    assert_int_equal(epoll_ctl(second, EPOLL_CTL_ADD, world->fds[0], &event), 0);
    ask_ping(world->fds[0]);
    assert_int_equal(epoll_wait(second, &event, 1, WAIT_MS), 1);
    assert_int_equal(event.data.u64, 9);
    assert_int_equal(registered(world->set, world->fds[0]), 0);
    close(second);
}

int main(int count, char **arguments)
{
    const char *ready = getenv("SKUA_TEST_FOLDER");
    if (!ready) {
        char sockets[PARTIES * 48] = "", name[] = "/tmp/skua-sets-XXXXXX";
        size_t size = 0;
        if (!mkdtemp(name))
            return 1;
        for (int i = 0; i < PARTIES; i++)
            size += (size_t)snprintf(sockets + size, sizeof sockets - size, "%s%s/%d", i ? ":" : "", name, i);
        setenv("SKUA_PRELOAD_SOCKET", sockets, 1);
        setenv("SKUA_TEST_FOLDER", name, 1);
        execv("/proc/self/exe", arguments);
        return 1;
    }
    snprintf(folder, sizeof folder, "%s", ready);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(answers_come_with_the_programs_own_data),
        TEST(what_is_left_unread_is_reported_again),
        TEST(epoll_ctl_says_what_the_kernel_would),
        TEST(bytes_that_nobody_wants_wake_nobody),
        TEST(room_to_write_is_reported_while_it_is_asked_for),
        TEST(a_full_ring_is_left_to_the_kernel),
        TEST(edges_and_single_shots_are_the_kernels),
        TEST(other_descriptors_are_not_held_up),
        TEST(each_has_its_turn_where_there_is_room_for_one),
        TEST(a_time_limit_is_kept),
        TEST(another_thread_that_waits_finds_everything),
        TEST(several_threads_share_a_set),
        TEST(a_change_wakes_who_sleeps),
        TEST(a_set_in_a_set_is_true_in_the_kernel),
        TEST(a_set_that_is_polled_is_true_in_the_kernel),
        TEST(copies_are_true_in_the_kernel),
        TEST(a_child_finds_what_was_registered),
        TEST(the_end_of_one_is_told),
        TEST(numbers_are_used_again),
    };
#undef TEST
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
