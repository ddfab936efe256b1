/* See shm_host.h. */
#include "shm_host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <skua/reply.h>

#include "shm/end.h"

#define RING_DEFAULT    UINT64_C(65536)
#define DESCRIPTORS_MAX 20
#define SLICE_MS        50   /* how long nothing looks at `stop` */
#define GRACE_MS        5000 /* for a bell that is on its way */
#define RECEIVE_SIZE    ((size_t)64 << 10)

/* One connection. */
struct serving {
    struct shm_host *host;
    int socket;
    bool in_memory, ends;
    struct shm_end end;
    void *request, *reply;
    size_t request_size, reply_size;
    struct skua_reader *reader;
};

/* ---- Bytes -------------------------------------------------------------------------------------------------- */

static void ring(struct serving *serving)
{
    if (!shm_settle(&serving->end))
        return;
    atomic_fetch_add(&serving->host->bells_rung, 1);
    if (send(serving->socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        serving->ends = true;
}

static bool is_stopped(const struct serving *serving)
{
    return atomic_load(&serving->host->stop) || serving->ends;
}

static bool is_there(const struct shm_end *end, uint64_t wants)
{
    return wants == SHM_WANT_DATA ? shm_has_data(end) : shm_has_space(end);
}

/* Bytes on the socket are bells here; its end is the end. */
static void hear_bells(struct serving *serving)
{
    char bells[64];
    ssize_t size = recv(serving->socket, bells, sizeof bells, MSG_DONTWAIT);
    if (size > 0)
        atomic_fetch_add(&serving->host->bells_heard, (unsigned)size);
    else if (size == 0 || errno != EAGAIN)
        serving->ends = true;
}

static bool wait_for_bell(struct serving *serving)
{
    struct pollfd watched = {.fd = serving->socket, .events = POLLIN};
    bool came = poll(&watched, 1, SLICE_MS) > 0;
    if (came)
        hear_bells(serving);
    return came;
}

/* Until what is wanted is there, or the connection ends. */
static void await(struct serving *serving, uint64_t wants)
{
    struct shm_end *end = &serving->end;
    while (!is_stopped(serving)) {
        for (unsigned i = 0; i < serving->host->looks; i++)
            if (is_there(end, wants))
                return;
        if (!shm_arm(end, wants))
            return;
        if (!wait_for_bell(serving) && is_there(end, wants)) {
            struct pollfd watched = {.fd = serving->socket, .events = POLLIN};
            if (poll(&watched, 1, GRACE_MS) == 0)
                atomic_fetch_add(&serving->host->lost_bells, 1);
        }
        shm_disarm(end);
    }
}

static void say_in_memory(struct serving *serving, const char *bytes, size_t size)
{
    while (size > 0 && !is_stopped(serving)) {
        size_t written = 0;
        enum shm_answer answer = shm_write(&serving->end, bytes, size, &written);
        if (answer == SHM_BROKEN) {
            serving->ends = true;
            return;
        }
        bytes += written;
        size -= written;
        ring(serving);
        if (answer == SHM_NOTHING)
            await(serving, SHM_WANT_SPACE);
    }
}

static void say_on_socket(struct serving *serving, const char *bytes, size_t size)
{
    while (size > 0 && !is_stopped(serving)) {
        struct pollfd watched = {.fd = serving->socket, .events = POLLOUT};
        ssize_t sent = poll(&watched, 1, SLICE_MS) == 0
                           ? 0
                           : send(serving->socket, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            serving->ends = true;
        bytes += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
    }
}

static void say(struct serving *serving, const char *bytes, size_t size)
{
    (serving->in_memory ? say_in_memory : say_on_socket)(serving, bytes, size);
}

static void say_text(struct serving *serving, const char *text)
{
    say(serving, text, strlen(text));
}

/* At least one byte, or the end. */
static size_t hear(struct serving *serving, char *space, size_t capacity)
{
    size_t size = 0;
    while (size == 0 && !is_stopped(serving)) {
        if (serving->in_memory) {
            enum shm_answer answer = shm_read(&serving->end, space, capacity, &size);
            if (answer == SHM_BROKEN)
                serving->ends = true;
            else if (answer == SHM_NOTHING)
                await(serving, SHM_WANT_DATA);
            else
                ring(serving);
            continue;
        }
        struct pollfd watched = {.fd = serving->socket, .events = POLLIN};
        if (poll(&watched, 1, SLICE_MS) == 0)
            continue;
        ssize_t got = recv(serving->socket, space, capacity, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            serving->ends = true;
        size = got > 0 ? (size_t)got : 0;
    }
    return size;
}

/* ---- Commands ----------------------------------------------------------------------------------------------- */

static void say_bulk(struct serving *serving, const char *bytes, size_t size)
{
    char head[32];
    say(serving, head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", size));
    say(serving, bytes, size);
    say_text(serving, "\r\n");
}

static void say_many(struct serving *serving, size_t size)
{
    char *bytes = malloc(size + 1);
    if (bytes == NULL)
        abort();
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)('a' + i % 23);
    say_bulk(serving, bytes, size);
    free(bytes);
}

static void nap(long long us)
{
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000}, NULL);
}

/* And stops working: reading and writing would put the word right. */
static void lie(struct serving *serving, _Atomic uint64_t *word, uint64_t distance)
{
    atomic_fetch_add(word, distance);
    send(serving->socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (!is_stopped(serving))
        wait_for_bell(serving);
}

static void run(struct serving *serving, const struct skua_reply *command)
{
    const char *name = command->elements[0].string;
    const struct skua_reply *argument =
        command->element_count > 1 ? &command->elements[1] : &command->elements[0];
    long long number = strtoll(argument->string, NULL, 10);
    if (strcmp(name, "PING") == 0)
        say_text(serving, "+PONG\r\n");
    else if (strcmp(name, "ECHO") == 0)
        say_bulk(serving, argument->string, argument->length);
    else if (strcmp(name, "BULK") == 0)
        say_many(serving, (size_t)number);
    else if (strcmp(name, "BYE") == 0)
        say_text(serving, "+BYE\r\n");
    else if (strcmp(name, "HALF") == 0)
        say_text(serving, "$10\r\nabc");
    else if (strcmp(name, "NAP") == 0) {
        nap(number);
        say_text(serving, "+OK\r\n");
    } else if (strcmp(name, "STAY") == 0) {
        atomic_fetch_add(&serving->host->stays, 1);
        while (!is_stopped(serving) && !atomic_load(&serving->host->may_go_on))
            nap(1000);
        say_text(serving, "+OK\r\n");
    } else if (strcmp(name, "LATER") == 0) {
        say_text(serving, "+OK\r\n");
        nap(number);
        say_text(serving, ">2\r\n+a\r\n+b\r\n");
    } else if (strcmp(name, "TAIL") == 0) {
        lie(serving, &serving->end.own->tail, (uint64_t)number);
    } else if (strcmp(name, "HEAD") == 0) {
        lie(serving, &serving->end.own->head, (uint64_t)number);
    } else if (strcmp(name, "HELLO") == 0) {
        say_text(serving, "%1\r\n$5\r\nproto\r\n:3\r\n");
    }
    serving->ends |= strcmp(name, "BYE") == 0 || strcmp(name, "DIE") == 0 || strcmp(name, "HALF") == 0;
}

static void serve(struct serving *serving)
{
    while (!is_stopped(serving)) {
        struct skua_reply *command;
        while (!is_stopped(serving) && skua_reader_tree(serving->reader, &command) == SKUA_OK) {
            run(serving, command);
            skua_reply_free(command);
        }
        char *space;
        size_t capacity;
        if (skua_reader_reserve(serving->reader, RECEIVE_SIZE, &space, &capacity) != SKUA_OK)
            abort();
        skua_reader_commit(serving->reader, hear(serving, space, capacity));
    }
}

/* ---- The offer ---------------------------------------------------------------------------------------------- */

static int make_segment(size_t size, enum shm_host_plan plan)
{
    int fd = memfd_create("shm-host", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)(plan == SHM_HOST_OFFERS_TOO_SMALL ? size / 2 : size)) != 0)
        abort();
    if (plan != SHM_HOST_OFFERS_UNSEALED && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        abort();
    return fd;
}

static void map_end(struct serving *serving, const struct shm_offer *offer, int request, int reply)
{
    serving->request = mmap(NULL, serving->request_size, PROT_READ, MAP_SHARED, request, 0);
    serving->reply = mmap(NULL, serving->reply_size, PROT_READ | PROT_WRITE, MAP_SHARED, reply, 0);
    if (serving->request == MAP_FAILED || serving->reply == MAP_FAILED)
        abort();
    shm_end_init(&serving->end, (struct shm_control *)((char *)serving->reply + offer->reply_control),
                 (char *)serving->reply + SHM_RING_OFFSET, offer->reply_ring,
                 (const struct shm_control *)((char *)serving->request + offer->request_control),
                 (char *)serving->request + SHM_RING_OFFSET, offer->request_ring);
    serving->in_memory = true;
}

/* With `count` descriptors out of `descriptors`, the last of which is repeated. */
static void send_with(int socket, const char *bytes, size_t size, const int *descriptors, size_t count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
    } control = {0};
    struct iovec vector = {(void *)bytes, size};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(count * sizeof(int));
        for (size_t i = 0; i < count; i++)
            memcpy(CMSG_DATA(part) + i * sizeof(int), &descriptors[i < 2 ? i : 1], sizeof(int));
    }
    if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) /* it has seen enough, and gone */
        shutdown(socket, SHUT_RDWR);
}

static size_t descriptors_of(enum shm_host_plan plan)
{
    switch (plan) {
    case SHM_HOST_OFFERS_NO_DESCRIPTORS: return 0;
    case SHM_HOST_OFFERS_ONE_DESCRIPTOR: return 1;
    case SHM_HOST_OFFERS_THREE_DESCRIPTORS: return 3;
    case SHM_HOST_OFFERS_TWENTY_DESCRIPTORS: return DESCRIPTORS_MAX;
    default: return 2;
    }
}

static void offer(struct serving *serving, enum shm_host_plan plan)
{
    struct shm_host *host = serving->host;
    struct shm_offer made = {.request_ring = atomic_load(&host->request_ring),
                             .reply_ring = atomic_load(&host->reply_ring),
                             .request_control = 128,
                             .reply_control = 192};
    uint64_t usual = atomic_load(&host->usual_ring);
    made.request_ring = made.request_ring > 0 ? made.request_ring : usual;
    made.reply_ring = made.reply_ring > 0 ? made.reply_ring : usual;
    serving->request_size = (size_t)(SHM_RING_OFFSET + made.request_ring);
    serving->reply_size = (size_t)(SHM_RING_OFFSET + made.reply_ring);
    int descriptors[2] = {make_segment(serving->request_size, plan), make_segment(serving->reply_size, plan)};
    if (plan <= SHM_HOST_OFFERS_IN_PIECES)
        map_end(serving, &made, descriptors[0], descriptors[1]);
    if (plan == SHM_HOST_OFFERS_A_PIPE) {
        close(descriptors[0]);
        close(descriptors[1]);
        if (pipe(descriptors) != 0)
            abort();
    }
    char answer[SHM_ANSWER_SIZE];
    size_t size =
        (size_t)snprintf(answer, sizeof answer,
                         "*10\r\n$7\r\nversion\r\n:1\r\n$12\r\nrequest-ring\r\n:%llu\r\n$10\r\n"
                         "reply-ring\r\n:%llu\r\n$15\r\nrequest-control\r\n:128\r\n$13\r\n"
                         "reply-control\r\n:192\r\n",
                         (unsigned long long)made.request_ring, (unsigned long long)made.reply_ring);
    size_t first = plan == SHM_HOST_OFFERS_IN_PIECES ? 1 : size;
    send_with(serving->socket, answer, first, descriptors, descriptors_of(plan));
    for (size_t i = first; i < size; i++)
        send_with(serving->socket, answer + i, 1, NULL, 0);
    close(descriptors[0]);
    close(descriptors[1]);
}

static void answer_for_ever(struct serving *serving)
{
    for (unsigned i = 0; i < SHM_ANSWER_SIZE; i++)
        send_with(serving->socket, "-eeeeeeee", 9, NULL, 0);
}

static void answer(struct serving *serving, enum shm_host_plan plan)
{
    const int two[2] = {0, 0};
    switch (plan) {
    case SHM_HOST_CLOSES: serving->ends = true; break;
    case SHM_HOST_REFUSES: say_text(serving, "-ERR unknown command 'SHM'\r\n"); break;
    case SHM_HOST_REFUSES_AND_CLOSES:
        say_text(serving, "-ERR max number of clients reached\r\n");
        serving->ends = true;
        break;
    case SHM_HOST_REFUSES_WITH_DESCRIPTORS:
        send_with(serving->socket, "-ERR x\r\n", strlen("-ERR x\r\n"), two, 2);
        break;
    case SHM_HOST_TALKS_NONSENSE: say_text(serving, "+OK\r\n"); break;
    case SHM_HOST_ANSWERS_TWICE: say_text(serving, "-ERR a\r\n-ERR b\r\n"); break;
    case SHM_HOST_ANSWERS_FOR_EVER: answer_for_ever(serving); break;
    default: offer(serving, plan); break;
    }
}

/* ---- Connections -------------------------------------------------------------------------------------------- */

/* Takes the first command when it asks for shared memory, and answers it. Any other is served like the ones behind it. */
static void receive_request(struct serving *serving, enum shm_host_plan plan)
{
    char bytes[SHM_ASK_SIZE];
    struct skua_reply *command;
    while (!is_stopped(serving)) {
        size_t size = hear(serving, bytes, sizeof bytes);
        if (size == 0 || skua_reader_feed(serving->reader, bytes, size) != SKUA_OK)
            return;
        if (skua_reader_tree(serving->reader, &command) == SKUA_OK)
            break;
    }
    if (is_stopped(serving))
        return;
    if (command->element_count < 3 || strcmp(command->elements[0].string, "SHM") != 0) {
        run(serving, command);
        skua_reply_free(command);
        return;
    }
    atomic_fetch_add(&serving->host->asked, 1);
    atomic_store(&serving->host->request_ring, 0);
    atomic_store(&serving->host->reply_ring, 0);
    for (size_t i = 3; i + 1 < command->element_count; i += 2) {
        bool is_request = strcmp(command->elements[i].string, "REQUEST-RING") == 0;
        atomic_store(is_request ? &serving->host->request_ring : &serving->host->reply_ring,
                     strtoull(command->elements[i + 1].string, NULL, 10));
    }
    skua_reply_free(command);
    answer(serving, plan);
}

static void serve_connection(struct shm_host *host, int socket, enum shm_host_plan plan)
{
    struct serving serving = {.host = host, .socket = socket, .reader = skua_reader_new(NULL, NULL)};
    if (serving.reader == NULL)
        abort();
    receive_request(&serving, plan);
    serve(&serving);
    skua_reader_free(serving.reader);
    if (serving.in_memory) {
        munmap(serving.request, serving.request_size);
        munmap(serving.reply, serving.reply_size);
    }
    close(socket);
}

static void *host_main(void *argument)
{
    struct shm_host *host = argument;
    while (!atomic_load(&host->stop)) {
        int socket = accept4(host->listener, NULL, NULL, SOCK_CLOEXEC);
        if (socket < 0)
            break;
        unsigned number = atomic_fetch_add(&host->connections, 1);
        serve_connection(host, socket,
                         host->plans[number < host->plan_count ? number : host->plan_count - 1]);
    }
    return NULL;
}

bool shm_host_start(struct shm_host *host, unsigned looks, unsigned plan_count,
                    const enum shm_host_plan *plans)
{
    *host = (struct shm_host){.looks = looks,
                              .plan_count = plan_count,
                              .usual_ring = RING_DEFAULT,
                              .folder = "/tmp/skua-shm-XXXXXX"};
    if (plan_count == 0 || plan_count > SHM_HOST_PLANS || mkdtemp(host->folder) == NULL)
        return false;
    memcpy(host->plans, plans, plan_count * sizeof *plans);
    snprintf(host->path, sizeof host->path, "%s/socket", host->folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, host->path, strlen(host->path) + 1);
    host->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return host->listener >= 0 && bind(host->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
           listen(host->listener, 16) == 0 && pthread_create(&host->thread, NULL, host_main, host) == 0;
}

void shm_host_stop(struct shm_host *host)
{
    atomic_store(&host->stop, true);
    shutdown(host->listener, SHUT_RDWR);
    pthread_join(host->thread, NULL);
    close(host->listener);
    unlink(host->path);
    rmdir(host->folder);
}
