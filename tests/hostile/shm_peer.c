/* A client of shared memory that does wrong: tests/integration/test_shm_hostile.py drives it.
 *
 *     shm-peer SOCKET MODE [NUMBER]      the modes and what NUMBER is: the table at the end
 *
 * Leaves with 0 when the server has done what it should towards this client; otherwise says what was wrong and leaves with
 * 1. What becomes of the server and of others is for the driver to see. Single-threaded but for the modes that change
 * memory all the time. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "shm/session.h"

#define PATIENCE_MS  60000
#define PAYLOAD_MAX  12000
#define FRAME_MAX    (PAYLOAD_MAX + 64)
#define OUTSTANDING  32
#define SESSIONS_MAX 1000

struct peer {
    const char *path;
    int socket;
    int fds[2];
    struct shm_session session;
};

static _Noreturn void wrong(const char *what)
{
    printf("wrong: %s (errno %d)\n", what, errno);
    fflush(stdout);
    exit(1);
}

static void require(bool is_true, const char *what)
{
    if (!is_true)
        wrong(what);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* ---- A session, honestly ---------------------------------------------------------------------------------------- */

static void take_descriptors(struct msghdr *message, struct peer *peer)
{
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
            header->cmsg_len == CMSG_LEN(sizeof peer->fds))
            memcpy(peer->fds, CMSG_DATA(header), sizeof peer->fds);
}

static void receive_offer(struct peer *peer, struct shm_offer *ret_offer)
{
    char answer[SHM_ANSWER_SIZE];
    size_t size = 0, used;
    enum shm_offer_status status;
    peer->fds[0] = peer->fds[1] = -1;
    do {
        union {
            char bytes[CMSG_SPACE(4 * sizeof(int))];
            struct cmsghdr aligned;
        } control;
        struct iovec vector = {answer + size, sizeof answer - size};
        struct msghdr message = {
            .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t received = recvmsg(peer->socket, &message, MSG_CMSG_CLOEXEC);
        require(received > 0, "the server has closed the connection instead of offering a session");
        take_descriptors(&message, peer);
        size += (size_t)received;
        status = shm_read_offer(answer, size, ret_offer, &used);
    } while (status == SHM_UNFINISHED);
    require(status == SHM_OFFERED, "no session is offered");
    require(peer->fds[0] >= 0, "there are no descriptors with the offer");
}

static void peer_open(struct peer *peer, uint64_t request_ring, uint64_t reply_ring)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char request[SHM_ASK_SIZE];
    struct shm_offer offer;
    peer->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(peer->socket >= 0 && strlen(peer->path) < sizeof address.sun_path, "no socket");
    memcpy(address.sun_path, peer->path, strlen(peer->path));
    require(connect(peer->socket, (struct sockaddr *)&address, sizeof address) == 0, "cannot connect");
    size_t size = shm_ask(request, request_ring, reply_ring);
    require(send(peer->socket, request, size, MSG_NOSIGNAL) == (ssize_t)size, "cannot ask");
    receive_offer(peer, &offer);
    require(shm_session_map(&peer->session, &offer, peer->fds[0], peer->fds[1]), "cannot map");
}

static void peer_close(struct peer *peer)
{
    shm_session_unmap(&peer->session);
    close(peer->fds[0]);
    close(peer->fds[1]);
    close(peer->socket);
}

static void ring_bell(struct peer *peer)
{
    send(peer->socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void settle(struct peer *peer)
{
    if (shm_settle(&peer->session.end))
        ring_bell(peer);
}

/* Sleeps until one of `wants` may have happened; false at the end of the session. */
static bool peer_wait(struct peer *peer, uint64_t wants)
{
    struct pollfd descriptor = {peer->socket, POLLIN, 0};
    char bells[256];
    bool is_open = true;
    settle(peer);
    if (!shm_arm(&peer->session.end, wants))
        return true;
    require(poll(&descriptor, 1, PATIENCE_MS) == 1, "nothing has come for a minute");
    ssize_t size = recv(peer->socket, bells, sizeof bells, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN))
        is_open = false;
    shm_disarm(&peer->session.end);
    return is_open;
}

static void peer_send(struct peer *peer, const void *bytes, size_t size)
{
    for (size_t done = 0, part; done < size; done += part) {
        part = 0;
        enum shm_answer answer =
            shm_write(&peer->session.end, (const char *)bytes + done, size - done, &part);
        require(answer != SHM_BROKEN, "the server's head is broken");
        if (answer == SHM_NOTHING)
            require(peer_wait(peer, SHM_WANT_SPACE), "the session has ended");
    }
    settle(peer);
}

static void peer_receive(struct peer *peer, void *ret_bytes, size_t size)
{
    for (size_t done = 0, part; done < size; done += part) {
        part = 0;
        enum shm_answer answer = shm_read(&peer->session.end, (char *)ret_bytes + done, size - done, &part);
        require(answer != SHM_BROKEN, "the server's tail is broken");
        if (answer == SHM_NOTHING)
            require(peer_wait(peer, SHM_WANT_DATA), "the session has ended");
    }
    settle(peer);
}

static void call(struct peer *peer, const char *request, const char *expected)
{
    char reply[64];
    size_t size = strlen(expected);
    peer_send(peer, request, strlen(request));
    peer_receive(peer, reply, size);
    require(memcmp(reply, expected, size) == 0, "another reply than expected");
}

static void ping(struct peer *peer)
{
    call(peer, "PING\r\n", "+PONG\r\n");
}

/* The server ends the session, whatever bells it has rung before. */
static void await_end(struct peer *peer)
{
    struct pollfd descriptor = {peer->socket, POLLIN, 0};
    char bells[256];
    ssize_t size;
    do {
        require(poll(&descriptor, 1, PATIENCE_MS) == 1, "the server has not ended the session");
        size = recv(peer->socket, bells, sizeof bells, MSG_DONTWAIT);
    } while (size > 0 || (size < 0 && errno == EAGAIN));
}

/* ---- Words that are wrong --------------------------------------------------------------------------------------- */

#define BIG_REPLY "GETRANGE big 0 9999999\r\n"

static struct shm_control *words(struct peer *peer)
{
    return peer->session.end.own;
}

static void tail_ahead_of_the_ring(struct peer *peer)
{
    atomic_store(&words(peer)->tail, peer->session.end.out_size + 1);
}

static void tail_huge(struct peer *peer)
{
    atomic_store(&words(peer)->tail, UINT64_MAX);
}

static void tail_with_the_highest_bit(struct peer *peer)
{
    atomic_store(&words(peer)->tail, UINT64_C(1) << 63);
}

static void tail_back(struct peer *peer)
{
    ping(peer);
    atomic_store(&words(peer)->tail, peer->session.end.tail - 1);
}

static void head_overtakes(struct peer *peer)
{
    atomic_store(&words(peer)->head, UINT64_C(1));
    peer_send(peer, BIG_REPLY, strlen(BIG_REPLY));
    atomic_store(&words(peer)->head, UINT64_C(1) << 40);
}

static void head_huge(struct peer *peer)
{
    atomic_store(&words(peer)->head, UINT64_MAX - 5);
    peer_send(peer, BIG_REPLY, strlen(BIG_REPLY));
}

static void head_back(struct peer *peer)
{
    static char reply[1 << 20];
    peer_send(peer, BIG_REPLY, strlen(BIG_REPLY));
    peer_receive(peer, reply, sizeof reply);
    atomic_store(&words(peer)->head, UINT64_C(4096));
}

static int mode_words(struct peer *peer, uint64_t number)
{
    static const struct {
        const char *name;
        void (*spoil)(struct peer *peer);
    } faults[] = {
        {"tail_ahead_of_the_ring", tail_ahead_of_the_ring},
        {"tail_huge", tail_huge},
        {"tail_with_the_highest_bit", tail_with_the_highest_bit},
        {"tail_back", tail_back},
        {"head_overtakes", head_overtakes},
        {"head_huge", head_huge},
        {"head_back", head_back},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        printf("%s\n", faults[i].name);
        peer_open(peer, SHM_RING_MIN, SHM_RING_MIN << (number % 4));
        faults[i].spoil(peer);
        ring_bell(peer);
        await_end(peer);
        peer_close(peer);
    }
    return 0;
}

/* ---- Memory that changes all the time --------------------------------------------------------------------------- */

enum { SPOIL_WORDS = 1, SPOIL_BYTES = 2, SPOIL_PARK = 4, SPOIL_CPU = 8 };

struct spoiler {
    struct peer *peer;
    unsigned what;
    uint64_t random;
    atomic_bool stop;
};

static uint64_t odd_word(const struct spoiler *spoiler, uint64_t random)
{
    uint64_t near = spoiler->peer->session.end.tail;
    switch (random % 4) {
    case 0: return random;
    case 1: return near + (random >> 8) % 8192;
    case 2: return near - (random >> 8) % 8192;
    default: return (random >> 8) % 100;
    }
}

static void *spoil(void *context)
{
    struct spoiler *spoiler = context;
    struct shm_control *control = words(spoiler->peer);
    volatile char *ring = spoiler->peer->session.end.out;
    while (!atomic_load(&spoiler->stop)) {
        uint64_t random = next_random(&spoiler->random);
        if (spoiler->what & SPOIL_BYTES)
            ring[random % spoiler->peer->session.end.out_size] = "*$1\r\n0x\xff"[(random >> 40) % 8];
        if (spoiler->what & SPOIL_WORDS)
            atomic_store(random & 1 << 20 ? &control->tail : &control->head, odd_word(spoiler, random));
        if (spoiler->what & SPOIL_PARK)
            atomic_store(&control->park, random);
        if (spoiler->what & SPOIL_CPU)
            atomic_store(&control->cpu, random & 1 << 20 ? random : random % 4);
    }
    return NULL;
}

/* Sends requests as fast as they are taken while another thread spoils memory; ends with the session, or after a while. */
static void talk_while_spoiled(struct peer *peer, unsigned what, uint64_t seed)
{
    static const char request[] =
        "*3\r\n$3\r\nSET\r\n$5\r\nspoil\r\n$40\r\n0123456789012345678901234567890123456789\r\n"
        "*2\r\n$3\r\nGET\r\n$5\r\nspoil\r\nPING\r\n";
    struct spoiler spoiler = {.peer = peer, .what = what, .random = seed};
    struct pollfd descriptor = {peer->socket, POLLIN | POLLRDHUP, 0};
    char bytes[4096];
    pthread_t thread;
    size_t done;
    require(pthread_create(&thread, NULL, spoil, &spoiler) == 0, "no thread");
    for (unsigned turn = 0; turn < 200; turn++) {
        shm_write(&peer->session.end, request, sizeof request - 1, &done);
        ring_bell(peer);
        shm_read(&peer->session.end, bytes, sizeof bytes, &done);
        if (poll(&descriptor, 1, 0) == 1 && (descriptor.revents & (POLLHUP | POLLRDHUP)))
            break;
        recv(peer->socket, bytes, sizeof bytes, MSG_DONTWAIT);
    }
    atomic_store(&spoiler.stop, true);
    pthread_join(thread, NULL);
}

static int spoil_sessions(struct peer *peer, unsigned what, uint64_t sessions)
{
    for (uint64_t i = 0; i < sessions; i++) {
        peer_open(peer, SHM_RING_MIN << (i % 3), SHM_RING_MIN);
        talk_while_spoiled(peer, what, i * 2 + 1);
        peer_close(peer);
    }
    return 0;
}

static int mode_changing_words(struct peer *peer, uint64_t sessions)
{
    return spoil_sessions(peer, SPOIL_WORDS | SPOIL_PARK, sessions);
}

static int mode_changing_bytes(struct peer *peer, uint64_t sessions)
{
    return spoil_sessions(peer, SPOIL_BYTES, sessions);
}

static int mode_changing_all(struct peer *peer, uint64_t sessions)
{
    return spoil_sessions(peer, SPOIL_BYTES | SPOIL_WORDS | SPOIL_PARK | SPOIL_CPU, sessions);
}

/* What a peer may say at any time: requests are answered all the same. */
static int talk_truly(struct peer *peer, unsigned what, uint64_t requests)
{
    struct spoiler spoiler = {.peer = peer, .what = what, .random = 5};
    char reply[7];
    size_t done;
    pthread_t thread;
    peer_open(peer, 0, 0);
    require(pthread_create(&thread, NULL, spoil, &spoiler) == 0, "no thread");
    for (uint64_t i = 0; i < requests; i++) {
        peer_send(peer, "PING\r\n", 6);
        for (size_t have = 0; have < sizeof reply; have += done) {
            done = 0;
            require(shm_read(&peer->session.end, reply + have, sizeof reply - have, &done) != SHM_BROKEN,
                    "broken");
        }
        require(memcmp(reply, "+PONG\r\n", sizeof reply) == 0, "another reply than expected");
    }
    atomic_store(&spoiler.stop, true);
    pthread_join(thread, NULL);
    peer_close(peer);
    return 0;
}

/* A park word that is another each time makes the server ring for each reply; it says nothing false. */
static int mode_changing_park(struct peer *peer, uint64_t requests)
{
    return talk_truly(peer, SPOIL_PARK, requests);
}

/* Lies about the processor decide no more than whether the server looks for this session's bytes. */
static int mode_changing_cpu(struct peer *peer, uint64_t requests)
{
    return talk_truly(peer, SPOIL_CPU, requests);
}

/* ---- Segments and the socket ------------------------------------------------------------------------------------ */

static void require_refused(int result, const char *what)
{
    require(result != 0 && errno == EPERM, what);
}

static int mode_segments(struct peer *peer, uint64_t number)
{
    const int holes = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    peer_open(peer, 0, 0);
    ping(peer);
    for (int i = 0; i < 2; i++) {
        require_refused(ftruncate(peer->fds[i], 0), "a segment can be cut to nothing");
        require_refused(ftruncate(peer->fds[i], 4096), "a segment can be cut short");
        require_refused(ftruncate(peer->fds[i], 1 << 30), "a segment can grow");
        require_refused(fallocate(peer->fds[i], 0, 1 << 24, 4096), "a segment can grow by fallocate");
        require_refused(fcntl(peer->fds[i], F_ADD_SEALS, F_SEAL_WRITE), "a segment can be sealed further");
    }
    require_refused(fallocate(peer->fds[1], holes, 0, 4096), "a hole can be punched into replies");
    require_refused(pwrite(peer->fds[1], "x", 1, 5000) == 1 ? 0 : -1, "replies can be written");
    require(mprotect(peer->session.reply, 4096, PROT_READ | PROT_WRITE) != 0, "replies can be made writable");
    for (uint64_t i = 0; i < number; i++) {
        require(fallocate(peer->fds[0], holes, (off_t)SHM_RING_OFFSET, 1 << 15) == 0,
                "no hole into one's own");
        ping(peer);
    }
    /* All of it, with the words: they go back to 0, which the server takes for a fault. */
    peer_send(peer, "PING\r\nPI", 8);
    require(fallocate(peer->fds[0], holes, 0, 1 << 15) == 0, "no hole into one's own");
    ring_bell(peer);
    await_end(peer);
    peer_close(peer);
    return 0;
}

/* What bells are rung beyond P3 may cost this session its own, when the socket is full of them; nothing is asked for it. */
static int mode_bell_flood(struct peer *peer, uint64_t bells)
{
    char many[512] = {0};
    peer_open(peer, 0, 0);
    ping(peer);
    for (uint64_t i = 0; i < bells; i++)
        send(peer->socket, many, i % 3 ? 1 : sizeof many, MSG_DONTWAIT | MSG_NOSIGNAL);
    peer_close(peer);
    return 0;
}

static int mode_garbage(struct peer *peer, uint64_t pieces)
{
    char bytes[300];
    uint64_t random = 77;
    peer_open(peer, 0, 0);
    for (uint64_t i = 0; i < pieces; i++) {
        for (size_t at = 0; at < sizeof bytes; at++)
            bytes[at] = (char)next_random(&random);
        send(peer->socket, bytes, 1 + random % sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        send(peer->socket, "SET garbage 1\r\n", 15, MSG_DONTWAIT | MSG_NOSIGNAL);
        ping(peer);
    }
    call(peer, "EXISTS garbage\r\n", ":0\r\n");
    peer_close(peer);
    return 0;
}

static int mode_descriptors(struct peer *peer, uint64_t messages)
{
    int fds[8];
    union {
        char bytes[CMSG_SPACE(sizeof fds)];
        struct cmsghdr aligned;
    } control = {0};
    struct iovec vector = {"", 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    peer_open(peer, 0, 0);
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    *header =
        (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fds)};
    memcpy(CMSG_DATA(header), fds, sizeof fds);
    for (uint64_t i = 0; i < messages; i++) {
        sendmsg(peer->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        ping(peer);
    }
    /* Stays until it is killed, so that the driver can count what the server holds. */
    printf("ready\n");
    fflush(stdout);
    pause();
    return 0;
}

/* Asks and asks and takes nothing. The driver has set a limit for output, or ends this process. */
static int mode_never_reads(struct peer *peer, uint64_t requests)
{
    peer_open(peer, 0, SHM_RING_MIN);
    for (uint64_t i = 0; i < requests; i++) {
        size_t done;
        struct pollfd descriptor = {peer->socket, POLLIN, 0};
        while (shm_write(&peer->session.end, BIG_REPLY, strlen(BIG_REPLY), &done) != SHM_DONE)
            if (poll(&descriptor, 1, 1) == 1)
                break;
        ring_bell(peer);
    }
    await_end(peer);
    peer_close(peer);
    return 0;
}

/* ---- Ends ------------------------------------------------------------------------------------------------------- */

#define HALF_A_REQUEST "*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$1000000\r\n0123456789"

static int mode_dies(struct peer *peer, uint64_t number)
{
    peer_open(peer, 0, 0);
    ping(peer);
    peer_send(peer, HALF_A_REQUEST, strlen(HALF_A_REQUEST));
    kill(getpid(), SIGKILL);
    return (int)number;
}

/* The child keeps the socket and the segments, and says its number; the parent dies. */
static int mode_dies_with_a_child(struct peer *peer, uint64_t number)
{
    peer_open(peer, 0, 0);
    ping(peer);
    peer_send(peer, HALF_A_REQUEST, strlen(HALF_A_REQUEST));
    pid_t child = fork();
    require(child >= 0, "no child");
    if (child == 0) {
        for (;;)
            pause();
    }
    printf("%d\n", (int)child);
    fflush(stdout);
    kill(getpid(), SIGKILL);
    return (int)number;
}

/* Stops with a large reply on its way, which is all there when it goes on. */
static int mode_stops(struct peer *peer, uint64_t number)
{
    enum { SIZE = 10000000 };
    static char reply[SIZE + 13];
    peer_open(peer, 0, SHM_RING_MIN);
    peer_send(peer, BIG_REPLY, strlen(BIG_REPLY));
    printf("ready\n");
    fflush(stdout);
    kill(getpid(), SIGSTOP);
    peer_receive(peer, reply, sizeof reply);
    require(memcmp(reply, "$10000000\r\n", 11) == 0 && memcmp(reply + SIZE + 10, "~\r\n", 3) == 0,
            "another reply");
    ping(peer);
    peer_close(peer);
    return (int)number;
}

/* ---- Echoes: what each client has to get, and nobody else ------------------------------------------------------- */

struct echo {
    struct peer peer;
    uint64_t seed;           /* of this client's payloads */
    uint64_t sent, received; /* requests, replies */
    uint64_t bytes;
    char request[FRAME_MAX], reply[FRAME_MAX]; /* the ones under way */
    size_t request_size, request_done, reply_size, reply_done;
};

/* Payload `number` of a client, as an argument or as a reply. */
static size_t write_bulk(const struct echo *echo, uint64_t number, char *text)
{
    uint64_t random = (echo->seed + number * 2654435761U) | 1;
    for (int i = 0; i < 4; i++)
        next_random(&random);
    size_t size = random % 10 == 0 ? random % PAYLOAD_MAX : random % 300;
    size_t at = (size_t)snprintf(text, 32, "$%zu\r\n", size);
    for (size_t i = 0; i < size; i += sizeof random) {
        next_random(&random);
        memcpy(text + at + i, &random, size - i < sizeof random ? size - i : sizeof random);
    }
    memcpy(text + at + size, "\r\n", 2);
    return at + size + 2;
}

/* Writes and reads what is possible. Returns whether anything was. */
static bool echo_step(struct echo *echo)
{
    static const char command[] = "*2\r\n$4\r\nECHO\r\n";
    struct shm_end *end = &echo->peer.session.end;
    char bytes[4096];
    size_t done;
    bool is_busy = false;
    if (echo->request_done == echo->request_size && echo->sent < echo->received + OUTSTANDING) {
        memcpy(echo->request, command, sizeof command - 1);
        echo->request_size =
            sizeof command - 1 + write_bulk(echo, echo->sent++, echo->request + sizeof command - 1);
        echo->request_done = 0;
    }
    if (echo->request_done < echo->request_size) {
        enum shm_answer answer = shm_write(end, echo->request + echo->request_done,
                                           echo->request_size - echo->request_done, &done);
        require(answer != SHM_BROKEN, "the server's head is broken");
        is_busy = answer == SHM_DONE;
        echo->request_done += is_busy ? done : 0;
    }
    enum shm_answer answer = shm_read(end, bytes, sizeof bytes, &done);
    require(answer != SHM_BROKEN, "the server's tail is broken");
    for (size_t at = 0, part; answer == SHM_DONE && at < done; at += part) {
        if (echo->reply_done == echo->reply_size) {
            echo->reply_size = write_bulk(echo, echo->received, echo->reply);
            echo->reply_done = 0;
        }
        part =
            echo->reply_size - echo->reply_done < done - at ? echo->reply_size - echo->reply_done : done - at;
        require(memcmp(bytes + at, echo->reply + echo->reply_done, part) == 0,
                "a reply that is not this client's");
        echo->reply_done += part;
        echo->received += echo->reply_done == echo->reply_size;
        echo->bytes += part;
    }
    return is_busy || answer == SHM_DONE;
}

static int mode_integrity(struct peer *peer, uint64_t bytes)
{
    struct echo *echo = calloc(1, sizeof *echo);
    require(echo != NULL, "no memory");
    echo->peer = *peer;
    echo->seed = 4711;
    peer_open(&echo->peer, SHM_RING_MIN, SHM_RING_MIN);
    while (echo->bytes < bytes) {
        if (echo_step(echo))
            continue;
        bool has_more = echo->request_done < echo->request_size;
        require(peer_wait(&echo->peer, SHM_WANT_DATA | (has_more ? SHM_WANT_SPACE : 0)),
                "the session has ended");
    }
    printf("%llu bytes in %llu replies\n", (unsigned long long)echo->bytes,
           (unsigned long long)echo->received);
    peer_close(&echo->peer);
    free(echo);
    return 0;
}

/* So many clients in one process, until the driver kills it, or has itself ended. */
static int mode_crowd(struct peer *peer, uint64_t count)
{
    const struct timespec pause = {0, 500000};
    struct echo *crowd = calloc(count, sizeof *crowd);
    require(crowd != NULL && count <= SESSIONS_MAX, "no memory");
    for (uint64_t i = 0; i < count; i++) {
        crowd[i].peer.path = peer->path;
        crowd[i].seed = ((uint64_t)getpid() << 32) + i * 1000003;
        peer_open(&crowd[i].peer, SHM_RING_MIN, SHM_RING_MIN);
    }
    printf("ready\n");
    fflush(stdout);
    for (pid_t driver = getppid(); getppid() == driver;) {
        bool is_busy = false;
        for (uint64_t i = 0; i < count; i++) {
            is_busy |= echo_step(&crowd[i]);
            settle(&crowd[i].peer);
        }
        if (!is_busy)
            nanosleep(&pause, NULL);
    }
    return 0;
}

static const struct {
    const char *name;
    int (*run)(struct peer *peer, uint64_t number);
    uint64_t number; /* unless it is given */
} modes[] = {
    {"words", mode_words, 0},                     /* how large the reply ring is */
    {"changing-words", mode_changing_words, 100}, /* sessions */
    {"changing-bytes", mode_changing_bytes, 100}, /* sessions */
    {"changing-all", mode_changing_all, 100},     /* sessions */
    {"changing-park", mode_changing_park, 2000},  /* requests */
    {"changing-cpu", mode_changing_cpu, 2000},    /* requests */
    {"segments", mode_segments, 100},             /* holes */
    {"bell-flood", mode_bell_flood, 50000},       /* messages */
    {"garbage", mode_garbage, 1000},              /* messages */
    {"descriptors", mode_descriptors, 300},       /* messages */
    {"never-reads", mode_never_reads, 100},       /* requests for 10 MB */
    {"dies", mode_dies, 0},
    {"dies-with-a-child", mode_dies_with_a_child, 0},
    {"stops", mode_stops, 0},
    {"integrity", mode_integrity, 10000000}, /* bytes */
    {"crowd", mode_crowd, 50},               /* sessions */
};

int main(int argc, char **argv)
{
    struct peer peer = {.path = argc > 1 ? argv[1] : ""};
    for (size_t i = 0; argc > 2 && i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(modes[i].name, argv[2]) == 0)
            return modes[i].run(&peer, argc > 3 ? strtoull(argv[3], NULL, 10) : modes[i].number);
    fprintf(stderr, "usage: shm-peer SOCKET MODE [NUMBER]\n");
    return 2;
}
