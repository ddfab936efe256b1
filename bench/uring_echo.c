/* What the kernel takes of a server's CPU for each request, with epoll and with io_uring: docs/decisions/011-io-uring.md.
 *
 * Principal entry point: main. A server process answers requests of one size with answers of another and does nothing else;
 * the process itself makes the load: connections over TCP on loopback, each with one request (or a pipeline of them in one
 * piece) on its way. The servers take turns, a fresh process for each turn, and the CPU is that of the whole process, threads
 * that the kernel makes for it included.
 *
 *     uring_echo [-c connections] [-q request bytes] [-a answer bytes] [-t ms a turn] [-r rounds] [server ...]
 *
 * The servers are in the table `servers`; without names all of them take turns, and epoll, which the others are compared
 * with, always does. Where the kernel has no io_uring, or not what a server needs, that one says so and is left out. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define BYTES_MAX       65536
#define ROUNDS_MAX      64
#define EVENTS_MAX      256
#define RING_ENTRIES    1024
#define BUFFER_COUNT    1024 /* given to the kernel for what comes; a power of two */
#define BUFFER_GROUP    1
#define NS_PER_MS       UINT64_C(1000000)
#define PATIENCE_MS     60000 /* without any answer something is wrong */
#define SERVER_CORE     0
#define LOAD_CORE       1

/* What a server shows of itself. */
struct counters {
    int port;          /* >0: listening; <0: a negative errno, it cannot run here */
    uint64_t requests; /* answered */
    uint64_t calls;    /* system calls */
    uint64_t turns;    /* times that it waited */
};

struct options {
    unsigned connections;
    unsigned request_size;
    unsigned answer_size;
    unsigned rounds;
    unsigned turn_ms;
};

/* A server's side of the connections. */
struct server {
    const struct options *options;
    struct counters *counters;
    int sockets[CONNECTIONS_MAX];
    unsigned received[CONNECTIONS_MAX]; /* bytes of a request that has not come in whole */
    char answer[BYTES_MAX];
};

/* ---- Parts of all ------------------------------------------------------------------------------------------- */

static void die(const char *what)
{
    fprintf(stderr, "uring_echo: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void pin(int core)
{
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    sched_setaffinity(0, sizeof cores, &cores); /* on a machine with one core they share it */
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void set_no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Whole requests in what has come of a connection. */
static unsigned count_requests(struct server *server, unsigned index, unsigned size)
{
    unsigned bytes = server->received[index] + size;
    server->received[index] = bytes % server->options->request_size;
    return bytes / server->options->request_size;
}

/* Listens, tells the port, and takes all connections. */
static void accept_all(struct server *server, int flags)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, CONNECTIONS_MAX) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        die("listen");
    __atomic_store_n(&server->counters->port, ntohs(address.sin_port), __ATOMIC_RELEASE);
    for (unsigned i = 0; i < server->options->connections; i++) {
        server->sockets[i] = accept4(listener, NULL, NULL, flags | SOCK_CLOEXEC);
        if (server->sockets[i] < 0)
            die("accept");
        set_no_delay(server->sockets[i]);
    }
    close(listener);
}

/* ---- epoll -------------------------------------------------------------------------------------------------- */

/* What came of one connection. False at its end. */
static bool receive(struct server *server, unsigned index, unsigned *ret_requests)
{
    static char bytes[BYTES_MAX];
    ssize_t size = recv(server->sockets[index], bytes, sizeof bytes, 0);
    server->counters->calls++;
    *ret_requests = size > 0 ? count_requests(server, index, (unsigned)size) : 0;
    return size > 0 || (size < 0 && errno == EAGAIN);
}

static int make_epoll(struct server *server, unsigned events)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die("epoll_create1");
    accept_all(server, SOCK_NONBLOCK);
    for (unsigned i = 0; i < server->options->connections; i++) {
        struct epoll_event event = {.events = events, .data.u32 = i};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, server->sockets[i], &event) != 0)
            die("epoll_ctl");
    }
    return epoll;
}

/* Reads all that is ready, then writes all, as the real server does. */
static void serve_epoll(struct server *server, unsigned interest)
{
    struct epoll_event events[EVENTS_MAX];
    unsigned requests[EVENTS_MAX];
    int epoll = make_epoll(server, interest);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        server->counters->calls++;
        server->counters->turns++;
        for (int i = 0; i < count; i++)
            if (!receive(server, events[i].data.u32, &requests[i]))
                return;
        for (int i = 0; i < count; i++) {
            if (requests[i] == 0)
                continue;
            send(server->sockets[events[i].data.u32], server->answer,
                 requests[i] * server->options->answer_size, MSG_NOSIGNAL);
            server->counters->calls++;
            server->counters->requests += requests[i];
        }
    }
}

static void serve_epoll_level(struct server *server)
{
    serve_epoll(server, EPOLLIN);
}

static void serve_epoll_edge(struct server *server)
{
    serve_epoll(server, EPOLLIN | EPOLLET);
}

/* ---- io_uring ----------------------------------------------------------------------------------------------- */

enum uring_kind { URING_RECV, URING_SEND, URING_POLL };

struct uring {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    char *bytes;
    unsigned buffer_size;
};

/* Says what the kernel refuses and ends the process. */
static void refuse(struct server *server, int error)
{
    __atomic_store_n(&server->counters->port, error < 0 ? error : -ENOSYS, __ATOMIC_RELEASE);
    exit(0);
}

static void uring_open(struct server *server, struct uring *uring, unsigned flags)
{
    struct io_uring_params parameters = {.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
                                         .cq_entries = 4 * RING_ENTRIES,
                                         .sq_thread_cpu = SERVER_CORE,
                                         .sq_thread_idle = 1000};
    int error = io_uring_queue_init_params(RING_ENTRIES, &uring->ring, &parameters);
    if (error != 0)
        refuse(server, error);
    if (!(flags & IORING_SETUP_SQPOLL))
        io_uring_register_ring_fd(&uring->ring);
}

static void uring_register_sockets(struct server *server, struct uring *uring)
{
    accept_all(server, 0);
    int error = io_uring_register_files(&uring->ring, server->sockets, server->options->connections);
    if (error != 0)
        die("io_uring_register_files");
}

/* Memory that the kernel chooses from for what comes. */
static void uring_give_buffers(struct server *server, struct uring *uring)
{
    size_t head = BUFFER_COUNT * sizeof(struct io_uring_buf);
    void *memory = mmap(NULL, head, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    uring->buffer_size = server->options->request_size;
    uring->bytes = calloc(BUFFER_COUNT, uring->buffer_size);
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)memory, .ring_entries = BUFFER_COUNT, .bgid = BUFFER_GROUP};
    int error = io_uring_register_buf_ring(&uring->ring, &registration, 0);
    if (memory == MAP_FAILED || uring->bytes == NULL || error != 0)
        refuse(server, error);
    uring->buffers = memory;
    io_uring_buf_ring_init(uring->buffers);
    for (unsigned i = 0; i < BUFFER_COUNT; i++)
        io_uring_buf_ring_add(uring->buffers, uring->bytes + (size_t)i * uring->buffer_size,
                              uring->buffer_size, (unsigned short)i, BUFFER_COUNT - 1, (int)i);
    io_uring_buf_ring_advance(uring->buffers, BUFFER_COUNT);
}

static struct io_uring_sqe *next_sqe(struct server *server, struct uring *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    if (sqe == NULL) {
        io_uring_submit(&uring->ring);
        server->counters->calls++;
        sqe = io_uring_get_sqe(&uring->ring);
    }
    return sqe;
}

static void name_sqe(struct io_uring_sqe *sqe, enum uring_kind kind, unsigned index)
{
    sqe->flags |= IOSQE_FIXED_FILE;
    io_uring_sqe_set_data64(sqe, (uint64_t)kind << 32 | index);
}

static void ask_recv(struct server *server, struct uring *uring, unsigned index, bool multishot)
{
    struct io_uring_sqe *sqe = next_sqe(server, uring);
    if (multishot)
        io_uring_prep_recv_multishot(sqe, (int)index, NULL, 0, 0);
    else
        io_uring_prep_recv(sqe, (int)index, NULL, uring->buffer_size, 0);
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    if (!multishot)
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST; /* nothing can be there before the answer has gone */
    name_sqe(sqe, URING_RECV, index);
}

static void ask_send(struct server *server, struct uring *uring, unsigned index, unsigned requests)
{
    struct io_uring_sqe *sqe = next_sqe(server, uring);
    io_uring_prep_send(sqe, (int)index, server->answer, requests * server->options->answer_size,
                       MSG_NOSIGNAL);
    name_sqe(sqe, URING_SEND, index);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    server->counters->requests += requests;
}

/* One answer of the kernel. False when a connection has ended. */
static bool take_recv(struct server *server, struct uring *uring, const struct io_uring_cqe *cqe,
                      bool multishot)
{
    unsigned index = (uint32_t)io_uring_cqe_get_data64(cqe);
    if (cqe->res <= 0)
        return cqe->res == -ENOBUFS;
    unsigned requests = count_requests(server, index, (unsigned)cqe->res);
    if (requests > 0)
        ask_send(server, uring, index, requests);
    unsigned buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    io_uring_buf_ring_add(uring->buffers, uring->bytes + (size_t)buffer * uring->buffer_size,
                          uring->buffer_size, (unsigned short)buffer, BUFFER_COUNT - 1, 0);
    io_uring_buf_ring_advance(uring->buffers, 1);
    if (!multishot || !(cqe->flags & IORING_CQE_F_MORE))
        ask_recv(server, uring, index, multishot);
    return true;
}

/* Everything through the ring: one system call a turn sends all answers and waits. */
static void serve_uring(struct server *server, unsigned flags, bool multishot)
{
    static struct uring uring;
    uring_open(server, &uring, flags);
    uring_give_buffers(server, &uring);
    uring_register_sockets(server, &uring);
    for (unsigned i = 0; i < server->options->connections; i++)
        ask_recv(server, &uring, i, multishot);
    for (;;) {
        struct io_uring_cqe *cqes[EVENTS_MAX];
        io_uring_submit_and_wait(&uring.ring, 1);
        server->counters->calls++;
        server->counters->turns++;
        unsigned count;
        while ((count = io_uring_peek_batch_cqe(&uring.ring, cqes, EVENTS_MAX)) > 0) {
            for (unsigned i = 0; i < count; i++) {
                bool is_recv = io_uring_cqe_get_data64(cqes[i]) >> 32 == URING_RECV;
                if (is_recv ? !take_recv(server, &uring, cqes[i], multishot) : cqes[i]->res < 0)
                    return;
            }
            io_uring_cq_advance(&uring.ring, count);
        }
    }
}

static void serve_uring_plain(struct server *server)
{
    serve_uring(server, IORING_SETUP_COOP_TASKRUN, true);
}

static void serve_uring_defer(struct server *server)
{
    serve_uring(server, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, true);
}

static void serve_uring_single(struct server *server)
{
    serve_uring(server, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, false);
}

static void serve_uring_sqpoll(struct server *server)
{
    serve_uring(server, IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF, true);
}

/* epoll tells what is ready and recv takes it; only the answers of a turn go out together. */
static void serve_epoll_uring_send(struct server *server)
{
    static struct uring uring;
    struct epoll_event events[EVENTS_MAX];
    uring_open(server, &uring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    int epoll = make_epoll(server, EPOLLIN);
    if (io_uring_register_files(&uring.ring, server->sockets, server->options->connections) != 0)
        die("io_uring_register_files");
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        server->counters->calls += 2;
        server->counters->turns++;
        for (int i = 0; i < count; i++) {
            unsigned requests;
            if (!receive(server, events[i].data.u32, &requests))
                return;
            if (requests > 0)
                ask_send(server, &uring, events[i].data.u32, requests);
        }
        io_uring_submit(&uring.ring);
    }
}

/* The other way round: the ring tells what is ready and sends, recv takes into memory of the server's choice. */
static void serve_uring_poll(struct server *server)
{
    static struct uring uring;
    uring_open(server, &uring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    accept_all(server, SOCK_NONBLOCK);
    if (io_uring_register_files(&uring.ring, server->sockets, server->options->connections) != 0)
        die("io_uring_register_files");
    for (unsigned i = 0; i < server->options->connections; i++) {
        struct io_uring_sqe *sqe = next_sqe(server, &uring);
        io_uring_prep_poll_multishot(sqe, (int)i, POLLIN);
        name_sqe(sqe, URING_POLL, i);
    }
    for (;;) {
        struct io_uring_cqe *cqes[EVENTS_MAX];
        io_uring_submit_and_wait(&uring.ring, 1);
        server->counters->calls++;
        server->counters->turns++;
        unsigned count = io_uring_peek_batch_cqe(&uring.ring, cqes, EVENTS_MAX);
        for (unsigned i = 0; i < count; i++) {
            unsigned requests, index = (uint32_t)io_uring_cqe_get_data64(cqes[i]);
            if (cqes[i]->res < 0 ||
                (io_uring_cqe_get_data64(cqes[i]) >> 32 == URING_POLL && !receive(server, index, &requests)))
                return;
            if (io_uring_cqe_get_data64(cqes[i]) >> 32 == URING_POLL && requests > 0)
                ask_send(server, &uring, index, requests);
        }
        io_uring_cq_advance(&uring.ring, count);
    }
}

static const struct {
    const char *name;
    void (*serve)(struct server *server);
} servers[] = {
    {"epoll", serve_epoll_level},                 /* epoll_wait, recv and send for each */
    {"epoll-edge", serve_epoll_edge},             /* the same, told of edges */
    {"uring", serve_uring_plain},                 /* multishot recv into given buffers, sends with the wait */
    {"uring-defer", serve_uring_defer},           /* the same, completions run only when it waits */
    {"uring-oneshot", serve_uring_single},        /* the same, one recv for each request */
    {"uring-sqpoll", serve_uring_sqpoll},         /* a kernel thread submits */
    {"epoll+uring-send", serve_epoll_uring_send}, /* epoll_wait, recv for each, one submission of all sends */
    {"uring-poll", serve_uring_poll},             /* multishot poll and sends by the ring, recv for each */
};
#define SERVER_COUNT (sizeof servers / sizeof servers[0])

/* ---- The load ----------------------------------------------------------------------------------------------- */

struct load {
    int epoll;
    int sockets[CONNECTIONS_MAX];
    unsigned received[CONNECTIONS_MAX];
    uint64_t answers;
};

static void load_open(struct load *load, const struct options *options, int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < options->connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        load->sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (load->sockets[i] < 0 ||
            connect(load->sockets[i], (struct sockaddr *)&address, sizeof address) != 0 ||
            epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->sockets[i], &event) != 0)
            die("connect");
        set_no_delay(load->sockets[i]);
    }
}

static void load_close(struct load *load, const struct options *options)
{
    for (unsigned i = 0; i < options->connections; i++)
        close(load->sockets[i]);
    close(load->epoll);
}

/* Takes answers and sends the next requests until `end_ns`. */
static void load_run(struct load *load, const struct options *options, uint64_t end_ns)
{
    static char bytes[BYTES_MAX], request[BYTES_MAX];
    struct epoll_event events[EVENTS_MAX];
    while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
        int count = epoll_wait(load->epoll, events, EVENTS_MAX, PATIENCE_MS);
        if (count <= 0)
            die("no answer");
        for (int i = 0; i < count; i++) {
            unsigned index = events[i].data.u32;
            ssize_t size = recv(load->sockets[index], bytes, sizeof bytes, 0);
            if (size <= 0)
                die("recv");
            load->received[index] += (unsigned)size;
            if (load->received[index] < options->answer_size)
                continue;
            load->received[index] = 0;
            load->answers++;
            if (send(load->sockets[index], request, options->request_size, MSG_NOSIGNAL) < 0)
                die("send");
        }
    }
}

static void load_begin(struct load *load, const struct options *options)
{
    static char request[BYTES_MAX];
    for (unsigned i = 0; i < options->connections; i++)
        if (send(load->sockets[i], request, options->request_size, MSG_NOSIGNAL) < 0)
            die("send");
}

/* ---- Turns -------------------------------------------------------------------------------------------------- */

struct result {
    double cpu_us; /* a request */
    double calls;
    double batch; /* requests a turn */
    double requests_per_s;
};

static pid_t start_server(unsigned which, const struct options *options, struct counters *counters)
{
    *counters = (struct counters){0};
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child > 0)
        return child;
    static struct server server;
    pin(SERVER_CORE);
    server.options = options;
    server.counters = counters;
    servers[which].serve(&server);
    exit(0);
}

/* False: the server cannot run here, and `ret_error` says why. */
static bool run_turn(unsigned which, const struct options *options, struct counters *counters,
                     struct result *ret_result, int *ret_error)
{
    static struct load load;
    clockid_t cpu;
    int port;
    memset(&load, 0, sizeof load);
    pid_t child = start_server(which, options, counters);
    while ((port = __atomic_load_n(&counters->port, __ATOMIC_ACQUIRE)) == 0)
        sched_yield();
    if (port < 0) {
        waitpid(child, NULL, 0);
        *ret_error = -port;
        return false;
    }
    load_open(&load, options, port);
    load_begin(&load, options);
    load_run(&load, options, clock_ns(CLOCK_MONOTONIC) + options->turn_ms * NS_PER_MS / 5); /* a warm-up */
    clock_getcpuclockid(child, &cpu);
    struct counters before = *counters;
    uint64_t cpu_ns = clock_ns(cpu), begin_ns = clock_ns(CLOCK_MONOTONIC), answers = load.answers;
    load_run(&load, options, begin_ns + options->turn_ms * NS_PER_MS);
    cpu_ns = clock_ns(cpu) - cpu_ns;
    double requests = (double)(load.answers - answers);
    ret_result->requests_per_s = requests * 1e9 / (double)(clock_ns(CLOCK_MONOTONIC) - begin_ns);
    if (requests == 0)
        die("no answer in a turn");
    ret_result->cpu_us = (double)cpu_ns / 1e3 / requests;
    ret_result->calls = (double)(counters->calls - before.calls) / requests;
    ret_result->batch = requests / (double)(counters->turns - before.turns);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    load_close(&load, options);
    return true;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static void print_results(const struct options *options, struct result results[][SERVER_COUNT],
                          const bool *chosen)
{
    printf("%-18s %10s %12s %24s %14s %12s\n", "server", "CPU us", "x epoll", "(lowest to highest)",
           "calls/request", "requests/turn");
    for (unsigned which = 0; which < SERVER_COUNT; which++) {
        double cpu[ROUNDS_MAX], ratio[ROUNDS_MAX], calls[ROUNDS_MAX], batch[ROUNDS_MAX];
        if (!chosen[which])
            continue;
        for (unsigned round = 0; round < options->rounds; round++) {
            const struct result *result = &results[round][which];
            cpu[round] = result->cpu_us;
            ratio[round] = result->cpu_us / results[round][0].cpu_us;
            calls[round] = result->calls;
            batch[round] = result->batch;
        }
        double middle = median(ratio, options->rounds);
        printf("%-18s %10.3f %12.2f %15.2f to %5.2f %14.2f %12.1f\n", servers[which].name,
               median(cpu, options->rounds), middle, ratio[0], ratio[options->rounds - 1],
               median(calls, options->rounds), median(batch, options->rounds));
    }
}

static unsigned number(const char *text, unsigned highest)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end || value < 1 || value > highest) {
        fprintf(stderr, "uring_echo: %s is not a number from 1 to %u\n", text, highest);
        exit(2);
    }
    return (unsigned)value;
}

static bool choose(const char *name, bool *chosen)
{
    for (unsigned which = 0; which < SERVER_COUNT; which++) {
        if (strcmp(servers[which].name, name) == 0)
            return chosen[which] = true;
    }
    return false;
}

int main(int argc, char **argv)
{
    static struct result results[ROUNDS_MAX][SERVER_COUNT];
    struct options options = {
        .connections = 50, .request_size = 40, .answer_size = 520, .rounds = 5, .turn_ms = 2000};
    bool chosen[SERVER_COUNT] = {true};
    for (int option; (option = getopt(argc, argv, "c:q:a:t:r:")) != -1;) {
        switch (option) {
        case 'c': options.connections = number(optarg, CONNECTIONS_MAX); break;
        case 'q': options.request_size = number(optarg, BYTES_MAX); break;
        case 'a': options.answer_size = number(optarg, BYTES_MAX); break;
        case 't': options.turn_ms = number(optarg, 60000); break;
        case 'r': options.rounds = number(optarg, ROUNDS_MAX); break;
        default: return 2;
        }
    }
    for (int i = optind; i < argc; i++)
        if (!choose(argv[i], chosen))
            return fprintf(stderr, "uring_echo: there is no server %s\n", argv[i]), 2;
    for (unsigned which = 0; optind == argc && which < SERVER_COUNT; which++)
        chosen[which] = true;
    struct counters *counters =
        mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_SHARED, -1, 0);
    if (counters == MAP_FAILED)
        die("mmap");
    pin(LOAD_CORE);
    for (unsigned round = 0; round < options.rounds; round++) {
        for (unsigned i = 0; i < SERVER_COUNT; i++) {
            int error;
            unsigned which = round % 2 ? SERVER_COUNT - 1 - i : i;
            if (chosen[which] && !run_turn(which, &options, counters, &results[round][which], &error)) {
                printf("%s is left out: %s\n", servers[which].name, strerror(error));
                chosen[which] = false;
            }
        }
    }
    print_results(&options, results, chosen);
    return 0;
}
