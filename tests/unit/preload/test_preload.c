/* What a program sees of its descriptor, against a played server: it must not be able to tell it from a socket, in the
 * kernel's eyes included, whatever the server does.
 *
 * The library reads its settings when it is loaded, so main() sets them and starts the program anew. Each test has a name
 * of its own for the played server's socket, for a server that has refused is left alone for a while. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "shm/layout.h"
#include "support/shm_host.h"

#define WAIT_MS        60000 /* for what comes at once on a machine that is not busy */
#define SPACE_HEAD     13    /* "*1", "$250000" and their line ends */
#define SPACE_TEXT     250000
#define SPACE_REQUESTS 400

#define NAMES 16 /* as many as the library takes; the tests use them in turn */

static char folder[64]; /* of the names; see main */
static unsigned next_name;

struct world {
    struct shm_host host;
    struct sockaddr_un address;
    int fd;
    unsigned descriptors; /* open before */
};

/* ---- Common ------------------------------------------------------------------------------------------------- */

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *open_ones = opendir("/proc/self/fd");
    assert_non_null(open_ones);
    while (readdir(open_ones) != NULL)
        count++;
    closedir(open_ones);
    return count;
}

/* What the kernel says about a descriptor, without any call that the library sees. */
static long long fdinfo(int fd, const char *name, int base)
{
    char path[64], line[256];
    long long value = -1;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *info = fopen(path, "r");
    assert_non_null(info);
    while (fgets(line, sizeof line, info))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtoll(line + strlen(name), NULL, base);
    fclose(info);
    return value;
}

static bool is_session(int fd)
{
    return fdinfo(fd, "eventfd-count:", 16) >= 0;
}

static bool is_readable(int fd)
{
    return fdinfo(fd, "eventfd-count:", 16) > 0;
}

static void nap_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void start(struct world *world, enum shm_host_plan first, enum shm_host_plan then)
{
    const enum shm_host_plan plans[] = {first, then};
    assert_true(shm_host_start(&world->host, 0, 2, plans));
    world->address.sun_family = AF_UNIX;
    snprintf(world->address.sun_path, sizeof world->address.sun_path, "%s/%u", folder, next_name++ % NAMES);
    assert_int_equal(symlink(world->host.path, world->address.sun_path), 0);
}

static int connect_to(struct world *world, int flags)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | flags, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&world->address, sizeof world->address), 0);
    return fd;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->descriptors = count_descriptors();
    start(world, SHM_HOST_OFFERS, SHM_HOST_OFFERS);
    world->fd = connect_to(world, 0);
    assert_true(is_session(world->fd));
    *state = world;
    return 0;
}

/* Whatever happened, no bell was lost, and nothing is left open. */
static int tear_down(void **state)
{
    struct world *world = *state;
    if (world->fd >= 0)
        close(world->fd);
    shm_host_stop(&world->host);
    assert_int_equal(world->host.lost_bells, 0);
    assert_int_equal(unlink(world->address.sun_path), 0);
    assert_int_equal(count_descriptors(), world->descriptors);
    free(world);
    return 0;
}

static void send_text(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void ask(int fd, const char *name, const char *argument)
{
    char request[256];
    snprintf(request, sizeof request, "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(name), name,
             strlen(argument), argument);
    send_text(fd, request);
}

static void expect(int fd, const char *text)
{
    char answer[256];
    size_t size = 0;
    while (size < strlen(text)) {
        ssize_t got = read(fd, answer + size, strlen(text) - size);
        assert_true(got > 0);
        size += (size_t)got;
    }
    assert_memory_equal(answer, text, size);
}

static void ping(int fd)
{
    send_text(fd, "*1\r\n$4\r\nPING\r\n");
    expect(fd, "+PONG\r\n");
}

/* Sleeps in the kernel until the descriptor is readable, in a way that the library does not see. */
static void await_readable(int fd)
{
    for (int ms = 0; !is_readable(fd); ms++) {
        assert_true(ms < WAIT_MS);
        nap_ms(1);
    }
}

/* ---- A socket, as far as one can ask ------------------------------------------------------------------------ */

static void it_answers_as_a_connected_socket(void **state)
{
    struct world *world = *state;
    struct sockaddr_un peer;
    socklen_t size = sizeof peer;
    struct stat status;
    int value = -1;
    assert_int_equal(getpeername(world->fd, (struct sockaddr *)&peer, &size), 0);
    assert_string_equal(peer.sun_path, world->address.sun_path);
    assert_int_equal(fstat(world->fd, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    size = sizeof value;
    assert_int_equal(getsockopt(world->fd, SOL_SOCKET, SO_ERROR, &value, &size), 0);
    assert_int_equal(value, 0);
    assert_int_equal(getsockopt(world->fd, SOL_SOCKET, SO_TYPE, &value, &size), 0);
    assert_int_equal(value, SOCK_STREAM);
    struct ucred owner;
    size = sizeof owner;
    assert_int_equal(getsockopt(world->fd, SOL_SOCKET, SO_PEERCRED, &owner, &size), 0);
    assert_int_equal(owner.pid, getpid());
    assert_int_equal(connect(world->fd, (struct sockaddr *)&world->address, sizeof world->address), -1);
    assert_int_equal(errno, EISCONN);
    assert_int_equal(lseek(world->fd, 0, SEEK_CUR) == 0 || errno == ESPIPE, 1);
}

static void flags_are_what_the_program_set(void **state)
{
    struct world *world = *state;
    char byte;
    assert_int_equal(fcntl(world->fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fcntl(world->fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(world->fd, F_GETFL), O_RDWR | O_NONBLOCK);
    assert_int_equal(read(world->fd, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    int off = 0;
    assert_int_equal(ioctl(world->fd, FIONBIO, &off), 0);
    assert_int_equal(fcntl(world->fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fcntl(world->fd, F_GETFD), 0);
    assert_int_equal(fcntl(world->fd, F_SETFD, FD_CLOEXEC), 0);
    assert_int_equal(fcntl(world->fd, F_GETFD), FD_CLOEXEC);
    /* Whatever the program wants, no session gets through an exec. */
    assert_int_equal(fcntl(world->fd, F_SETFD, 0), 0);
    assert_true(fdinfo(world->fd, "flags:", 8) & O_CLOEXEC);
}

static void the_kernel_knows_when_there_is_something_to_read(void **state)
{
    struct world *world = *state;
    char bytes[8];
    for (int turn = 0; turn < 20; turn++) {
        assert_false(is_readable(world->fd));
        send_text(world->fd, "*1\r\n$4\r\nPING\r\n");
        await_readable(world->fd);
        assert_int_equal(recv(world->fd, bytes, 3, MSG_DONTWAIT), 3);
        assert_true(is_readable(world->fd)); /* for the rest */
        assert_int_equal(recv(world->fd, bytes, 8, MSG_DONTWAIT), 4);
        /* A bell that was on its way may make it readable once more, for nothing. */
        while (is_readable(world->fd))
            assert_int_equal(recv(world->fd, bytes, 8, MSG_DONTWAIT), -1);
    }
}

static void reads_of_all_kinds(void **state)
{
    struct world *world = *state;
    char bytes[16] = {0}, more[16] = {0};
    int unread = 0;
    ask(world->fd, "ECHO", "abcdef"); /* $6 abcdef: 12 bytes */
    assert_int_equal(recv(world->fd, bytes, 12, MSG_PEEK | MSG_WAITALL) > 0, 1);
    for (int ms = 0; unread < 12; ms++) { /* it may come in pieces */
        assert_true(ms < WAIT_MS);
        assert_int_equal(ioctl(world->fd, FIONREAD, &unread), 0);
        nap_ms(1);
    }
    assert_int_equal(unread, 12);
    struct iovec parts[] = {{bytes, 4}, {more, 16}};
    assert_int_equal(readv(world->fd, parts, 2), 12);
    assert_memory_equal(bytes, "$6\r\n", 4);
    assert_memory_equal(more, "abcdef\r\n", 8);
    ask(world->fd, "BULK", "200000"); /* more than a ring holds */
    char *all = malloc(200011);
    assert_int_equal(recv(world->fd, all, 200011, MSG_WAITALL), 200011);
    assert_memory_equal(all, "$200000\r\n", 9);
    free(all);
    assert_int_equal(recv(world->fd, bytes, 1, MSG_DONTWAIT), -1);
    assert_int_equal(recv(world->fd, bytes, 1, MSG_OOB), -1);
    struct iovec part = {bytes, 16};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    send_text(world->fd, "*1\r\n$4\r\nPING\r\n");
    assert_int_equal(recvmsg(world->fd, &message, 0), 7);
    assert_int_equal(message.msg_flags, 0);
}

/* ---- Waiting ------------------------------------------------------------------------------------------------ */

static void poll_and_select_tell_the_truth(void **state)
{
    struct world *world = *state;
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    struct pollfd list[] = {{world->fd, POLLIN | POLLOUT, 0}, {pair[0], POLLIN, 0}};
    assert_int_equal(poll(list, 2, WAIT_MS), 1);
    assert_int_equal(list[0].revents, POLLOUT);
    list[0].events = POLLIN;
    assert_int_equal(poll(list, 2, 5), 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(poll(list, 2, WAIT_MS), 1);
    assert_int_equal(list[1].revents, POLLIN);
    ask(world->fd, "NAP", "20000");
    assert_int_equal(poll(list, 1, WAIT_MS), 1);
    assert_int_equal(list[0].revents, POLLIN);
    fd_set reads;
    FD_ZERO(&reads);
    FD_SET(world->fd, &reads);
    FD_SET(pair[0], &reads);
    struct timeval limit = {.tv_sec = 60};
    assert_int_equal(select(FD_SETSIZE, &reads, NULL, NULL, &limit), 2);
    assert_true(FD_ISSET(world->fd, &reads) && FD_ISSET(pair[0], &reads));
    close(pair[0]);
    close(pair[1]);
}

static void a_set_knows_a_descriptor_from_before_it_was_connected(void **state)
{
    struct world *world = *state;
    close(world->fd);
    int set = epoll_create1(0);
    world->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 0x1234567890}, told;
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, world->fd, &event), 0);
    assert_int_equal(connect(world->fd, (struct sockaddr *)&world->address, sizeof world->address), 0);
    assert_true(is_session(world->fd));
    for (int turn = 0; turn < 100; turn++) {
        send_text(world->fd, "*1\r\n$4\r\nPING\r\n");
        char answer[64];
        size_t size = 0;
        while (size < 7) {
            assert_int_equal(epoll_wait(set, &told, 1, WAIT_MS), 1);
            assert_int_equal(told.data.u64, event.data.u64);
            for (ssize_t got; (got = read(world->fd, answer + size, sizeof answer - size)) > 0;)
                size += (size_t)got; /* as who watches edges does */
            assert_int_equal(errno, EAGAIN);
        }
    }
    close(set);
}

/* The played server reads nothing from then on. */
static void make_stay(struct world *world)
{
    unsigned before = atomic_load(&world->host.stays);
    send_text(world->fd, "*1\r\n$4\r\nSTAY\r\n");
    while (atomic_load(&world->host.stays) == before)
        usleep(1000);
}

/* A full ring: told by EAGAIN and by poll, and waited for without running in circles. */
#define FULL_NS 1000000000ull /* how long it stays full */

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void a_full_ring_is_waited_for(void **state)
{
    struct world *world = *state;
    static char bytes[60000];
    int set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT}, told;
    size_t sent = 0, wanted = 400000;
    char head[64];
    memset(bytes, 'x', sizeof bytes);
    fcntl(world->fd, F_SETFL, O_NONBLOCK);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, world->fd, &event), 0);
    make_stay(world);
    snprintf(head, sizeof head, "*2\r\n$4\r\nECHO\r\n$%zu\r\n", wanted);
    send_text(world->fd, head);
    unsigned waits = 0, refusals = 0;
    uint64_t refused_ns = 0;
    while (sent < wanted) {
        assert_int_equal(epoll_wait(set, &told, 1, WAIT_MS), 1);
        waits++;
        if (told.events & EPOLLIN)
            while (read(world->fd, head, sizeof head) > 0)
                ;
        size_t size = wanted - sent < sizeof bytes ? wanted - sent : sizeof bytes;
        ssize_t part = write(world->fd, bytes, size);
        refusals += part < 0 && errno == EAGAIN;
        sent += part > 0 ? (size_t)part : 0;
        if (part < 0 && refusals == 1) {
            struct pollfd list = {world->fd, POLLOUT, 0};
            assert_int_equal(poll(&list, 1, 0), 0);
            refused_ns = now_ns();
        }
        if (refusals > 0 && now_ns() - refused_ns > FULL_NS)
            atomic_store(&world->host.may_go_on, true);
    }
    assert_true(refusals > 0);
    assert_true(waits < 5000); /* circles would be some 100,000 in that time */
    fcntl(world->fd, F_SETFL, 0);
    send_text(world->fd, "\r\n");
    size_t left = wanted + 2; /* of the echo; what came before was read above, in part or in full */
    struct timeval limit = {.tv_sec = 60};
    assert_int_equal(setsockopt(world->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    for (ssize_t got; left > 0 && (got = read(world->fd, bytes, sizeof bytes)) > 0;)
        left = left > (size_t)got ? left - (size_t)got : 0;
    assert_int_equal(left, 0);
    close(set);
}

/* The played server takes what comes and answers nothing, as fast as it can: space comes at any moment of going to sleep. */
static void space_that_comes_at_any_moment_wakes(void **state)
{
    struct world *world = *state;
    static char bytes[SPACE_HEAD + SPACE_TEXT + 2];
    size_t head = (size_t)snprintf(bytes, sizeof bytes, "*1\r\n$%d\r\n", SPACE_TEXT);
    assert_int_equal(head, SPACE_HEAD);
    memset(bytes + head, 'x', SPACE_TEXT);
    memcpy(bytes + sizeof bytes - 2, "\r\n", 2);
    close(world->fd);
    atomic_store(&world->host.usual_ring, SHM_RING_MIN);
    world->fd = connect_to(world, SOCK_NONBLOCK);
    for (size_t sent = 0; sent < sizeof bytes * SPACE_REQUESTS;) {
        struct pollfd list = {world->fd, POLLOUT, 0};
        assert_int_equal(poll(&list, 1, WAIT_MS), 1);
        size_t from = sent % sizeof bytes;
        ssize_t part = write(world->fd, bytes + from, sizeof bytes - from);
        assert_true(part > 0);
        sent += (size_t)part;
    }
    fcntl(world->fd, F_SETFL, 0);
    send_text(world->fd, "*1\r\n$4\r\nPING\r\n");
    expect(world->fd, "+PONG\r\n");
}

static void time_limits_hold(void **state)
{
    struct world *world = *state;
    static char bytes[200000];
    struct timeval limit = {.tv_usec = 30000}, back;
    socklen_t size = sizeof back;
    assert_int_equal(setsockopt(world->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(setsockopt(world->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(getsockopt(world->fd, SOL_SOCKET, SO_RCVTIMEO, &back, &size), 0);
    assert_true(back.tv_usec > 0 && back.tv_usec < 1000000);
    assert_int_equal(read(world->fd, bytes, 1), -1);
    assert_int_equal(errno, EAGAIN);
    make_stay(world);
    send_text(world->fd, "*2\r\n$4\r\nECHO\r\n$10000000\r\n"); /* which will never be whole */
    ssize_t sent = write(world->fd, bytes, sizeof bytes);
    assert_true(sent > 0 && sent < (ssize_t)sizeof bytes);
    assert_int_equal(write(world->fd, bytes, sizeof bytes), -1);
    assert_int_equal(errno, EAGAIN);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
    alarms = alarms + 1;
}

static void signals_interrupt_as_they_do_elsewhere(void **state)
{
    struct world *world = *state;
    char bytes[8];
    struct sigaction action = {.sa_handler = count_alarm}, before;
    struct itimerval soon = {.it_value.tv_usec = 50000, .it_interval.tv_usec = 50000}, off = {0};
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    setitimer(ITIMER_REAL, &soon, NULL);
    assert_int_equal(read(world->fd, bytes, 1), -1);
    assert_int_equal(errno, EINTR);
    struct pollfd list = {world->fd, POLLIN, 0};
    assert_int_equal(poll(&list, 1, WAIT_MS), -1);
    assert_int_equal(errno, EINTR);
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    alarms = 0;
    ask(world->fd, "NAP", "300000");
    expect(world->fd, "+OK\r\n");
    assert_true(alarms > 0);
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &before, NULL);
}

/* ---- Threads, copies, children ------------------------------------------------------------------------------ */

#define PINGS 3000

static void *read_pongs(void *fd)
{
    for (int i = 0; i < PINGS; i++)
        expect(*(int *)fd, "+PONG\r\n");
    return NULL;
}

static void one_thread_reads_what_another_asks_for(void **state)
{
    struct world *world = *state;
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_pongs, &world->fd), 0);
    for (int i = 0; i < PINGS; i++)
        send_text(world->fd, "*1\r\n$4\r\nPING\r\n");
    pthread_join(reader, NULL);
}

static void *read_some(void *fd)
{
    static char bytes[4096];
    size_t total = 0;
    for (ssize_t got; (got = read(*(int *)fd, bytes, sizeof bytes)) > 0;)
        total += (size_t)got;
    return (void *)total;
}

static void several_readers_share_what_there_is(void **state)
{
    struct world *world = *state;
    pthread_t readers[3];
    size_t total = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_some, &world->fd), 0);
    for (int i = 0; i < 200; i++)
        ask(world->fd, "BULK", "1000");
    ask(world->fd, "BYE", "");
    for (int i = 0; i < 3; i++) {
        void *got;
        pthread_join(readers[i], &got);
        total += (size_t)got;
    }
    assert_int_equal(total, 200 * 1009 + 6);
}

static void copies_are_one_connection(void **state)
{
    struct world *world = *state;
    int copy = dup(world->fd), far = fcntl(world->fd, F_DUPFD_CLOEXEC, 100), pair[2];
    assert_true(copy >= 0 && far >= 100);
    assert_int_equal(fcntl(far, F_GETFD), FD_CLOEXEC);
    ping(copy);
    fcntl(copy, F_SETFL, O_NONBLOCK);
    assert_true(fcntl(far, F_GETFL) & O_NONBLOCK);
    fcntl(copy, F_SETFL, 0);
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(dup2(pair[0], world->fd), world->fd); /* which is the pipe from here on */
    assert_int_equal(write(pair[1], "p", 1), 1);
    expect(world->fd, "p");
    assert_int_equal(dup2(far, pair[0]), pair[0]);
    close(copy);
    close(far);
    ping(pair[0]);
    close(pair[1]);
    close(pair[0]);
    int again = connect_to(world, 0); /* the host serves one at a time: the last close has ended the first */
    ping(again);
    close(again);
}

static void a_program_cannot_close_what_it_did_not_open(void **state)
{
    struct world *world = *state;
    struct rlimit limit;
    int found = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int most = limit.rlim_cur < 65536 ? (int)limit.rlim_cur : 65536, first = most - most / 4;
    for (int fd = first; fd < most; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            continue;
        found++;
        assert_int_equal(close(fd), -1);
        assert_int_equal(errno, EBADF);
        assert_int_equal(dup2(world->fd, fd), -1);
    }
    assert_int_equal(found, getenv("SKUA_PRELOAD_WATCH") ? 4 : 3); /* the watching thread has one */
    assert_int_equal(close_range((unsigned)first, UINT32_MAX, 0), 0);
    ping(world->fd);
}

static void a_child_loses_it_and_the_parent_keeps_it(void **state)
{
    struct world *world = *state;
    ping(world->fd);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        struct pollfd list = {world->fd, POLLIN, 0};
        bool is_told = read(world->fd, &byte, 1) == -1 && errno == ECONNRESET;
        is_told = is_told && write(world->fd, "x", 1) == -1 && errno == ECONNRESET;
        is_told = is_told && poll(&list, 1, WAIT_MS) == 1 && (list.revents & POLLIN);
        is_told = is_told && !is_session(world->fd) && close(world->fd) == 0;
        _exit(is_told ? 0 : 1);
    }
    for (int i = 0; i < 100; i++)
        ping(world->fd);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    ping(world->fd);
}

/* ---- The end ------------------------------------------------------------------------------------------------ */

static void the_end_is_told_after_the_last_bytes(void **state)
{
    struct world *world = *state;
    char bytes[8];
    struct pollfd list = {world->fd, POLLIN, 0};
    ask(world->fd, "BYE", "");
    expect(world->fd, "+BYE\r\n");
    assert_int_equal(read(world->fd, bytes, 8), 0);
    assert_int_equal(read(world->fd, bytes, 8), 0);
    assert_int_equal(poll(&list, 1, 0), 1);
    assert_true(list.revents & POLLHUP);
    assert_true(is_readable(world->fd));
    assert_int_equal(send(world->fd, "x", 1, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    struct sigaction action = {.sa_handler = count_alarm}, before;
    sigaction(SIGPIPE, &action, &before);
    alarms = 0;
    assert_int_equal(write(world->fd, "x", 1), -1);
    assert_int_equal(alarms, 1);
    sigaction(SIGPIPE, &before, NULL);
}

static void who_only_waits_in_the_kernel_is_told_too(void **state)
{
    struct world *world = *state;
    ask(world->fd, "DIE", "");
    await_readable(world->fd);
    char byte;
    assert_int_equal(recv(world->fd, &byte, 1, MSG_DONTWAIT), 0);
    assert_true(is_readable(world->fd));
}

static void a_server_that_lies_is_left(void **state)
{
    struct world *world = *state;
    char bytes[8];
    ask(world->fd, "TAIL", "100000000");
    assert_int_equal(read(world->fd, bytes, 8), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(read(world->fd, bytes, 8), 0);
}

/* ---- No session --------------------------------------------------------------------------------------------- */

static void whatever_is_odd_leaves_a_socket(void **state)
{
    static const enum shm_host_plan odd[] = {
        SHM_HOST_CLOSES,
        SHM_HOST_TALKS_NONSENSE,
        SHM_HOST_ANSWERS_TWICE,
        SHM_HOST_OFFERS_NO_DESCRIPTORS,
        SHM_HOST_OFFERS_ONE_DESCRIPTOR,
        SHM_HOST_OFFERS_UNSEALED,
        SHM_HOST_OFFERS_TOO_SMALL,
        SHM_HOST_OFFERS_A_PIPE,
        SHM_HOST_REFUSES_AND_CLOSES, /* last: a server that refuses is not asked again for a while */
    };
    struct world *world = *state;
    close(world->fd);
    world->fd = -1;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        shm_host_stop(&world->host);
        unlink(world->address.sun_path);
        const enum shm_host_plan plans[] = {odd[i]};
        assert_true(shm_host_start(&world->host, 0, 1, plans));
        assert_int_equal(symlink(world->host.path, world->address.sun_path), 0);
        int fd = connect_to(world, SOCK_CLOEXEC);
        assert_false(is_session(fd));
        close(fd);
    }
}

/* What the library keeps for the process's life is there from the first connection on. */
static int warm_up(void **state)
{
    if (set_up(state) != 0)
        return 1;
    struct world *world = *state;
    close(world->fd);
    shm_host_stop(&world->host);
    unlink(world->address.sun_path);
    free(world);
    return 0;
}

int main(int count, char **arguments)
{
    const char *ready = getenv("SKUA_TEST_FOLDER");
    if (!ready) {
        char sockets[NAMES * 48] = "", name[] = "/tmp/skua-preload-XXXXXX";
        size_t size = 0;
        if (!mkdtemp(name))
            return 1;
        for (unsigned i = 0; i < NAMES; i++)
            size += (size_t)snprintf(sockets + size, sizeof sockets - size, "%s%s/%u", i ? ":" : "", name, i);
        setenv("SKUA_PRELOAD_SOCKET", sockets, 1);
        setenv("SKUA_TEST_FOLDER", name, 1);
        execv("/proc/self/exe", arguments);
        return 1;
    }
    snprintf(folder, sizeof folder, "%s", ready);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_answers_as_a_connected_socket),
        TEST(flags_are_what_the_program_set),
        TEST(the_kernel_knows_when_there_is_something_to_read),
        TEST(reads_of_all_kinds),
        TEST(poll_and_select_tell_the_truth),
        TEST(a_set_knows_a_descriptor_from_before_it_was_connected),
        TEST(a_full_ring_is_waited_for),
        TEST(space_that_comes_at_any_moment_wakes),
        TEST(time_limits_hold),
        TEST(signals_interrupt_as_they_do_elsewhere),
        TEST(one_thread_reads_what_another_asks_for),
        TEST(several_readers_share_what_there_is),
        TEST(copies_are_one_connection),
        TEST(a_program_cannot_close_what_it_did_not_open),
        TEST(a_child_loses_it_and_the_parent_keeps_it),
        TEST(the_end_is_told_after_the_last_bytes),
        TEST(who_only_waits_in_the_kernel_is_told_too),
        TEST(a_server_that_lies_is_left),
        TEST(whatever_is_odd_leaves_a_socket),
    };
#undef TEST
    int failed = cmocka_run_group_tests(tests, warm_up, NULL);
    rmdir(folder);
    return failed;
}
