/* Shared memory as a stream: a Unix socket over which a session is asked for, and the session's rings.
 *
 * Principal entry points: shm_stream_actions.
 * Threads: the client's. What both ends share, and why no bell is lost: shm/end.h.
 *
 * | state      | what happens                                               | next, by shm_advance                   |
 * |------------|------------------------------------------------------------|----------------------------------------|
 * | CONNECTING | the Unix socket connects, as unix.c does it                | ASKING; SOCKET when none is asked for  |
 * | ASKING     | the request for a session is sent                          | ANSWER                                 |
 * | ANSWER     | the answer and two descriptors are received, and mapped    | RING; SOCKET: refused;                 |
 * |            |                                                            | CONNECTING: see begin_again            |
 * | RING       | bytes pass through the rings, the socket carries bells     | (none)                                 |
 * | SOCKET     | bytes pass through the socket: there is no shared memory   | (none)                                 |
 *
 * S1: armed: the own park word says that this end sleeps. What the server publishes from then on of what `armed` holds
 *     rings once, and that byte stays in the socket until shm_wake, which takes it and is awake. So who is armed may wait
 *     for the descriptor whenever it likes: P2 of shm/end.h. Bytes that were rung too late, for a sleep that was over
 *     when they came, cost a turn. Who waits by shm_wait is told of each byte anew, by edges: there bytes may stay, up to
 *     BELLS_LEFT_MAX, which saves a system call for each sleep; before others wait they are taken.
 * S2: what was written is settled at once. So is what was read, when it was half a ring or more; otherwise it is settled
 *     by the next send or by shm_rest. A server that sleeps for want of room has filled the ring: then half of it at
 *     least is still to be read, and reading it rings; P1 holds for all that somebody waits for.
 * S3: over: the socket has come to its end, or the bell cannot be rung. Nothing more will be published: what the ring
 *     holds is still handed over, and then the stream has ended.
 * S4: a child of the process that connected does nothing with the session but forget it: neither the rings nor the bells
 *     are its own. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <skua/client.h>

#include "client/clock.h"
#include "client/memory.h"
#include "client/socket.h"
#include "client/stream.h"
#include "shm/cpus.h"
#include "shm/session.h"

#define DESCRIPTORS     2              /* of a session */
#define DESCRIPTORS_MAX 8              /* looked at, in order to close them; of more the system tells */
#define BELLS_MAX       64             /* bytes taken from the socket at a time */
#define BELLS_LEFT_MAX  16             /* that may stay in it */
#define WATCH_NS        INT64_C(50000) /* before sleeping: about what it costs to be woken */
#define WATCH_LOOKS     64             /* between two questions for the time */
#define WATCH_SKIPS_MAX 256            /* waits that do not watch, after others have watched in vain */
#define REFUSAL_MAX     128

enum shm_state {
    SHM_CONNECTING,
    SHM_ASKING,
    SHM_ANSWER,
    SHM_RING,
    SHM_SOCKET,
};

struct shm_stream {
    struct stream stream;
    enum shm_state state;
    bool asks; /* false: a session was offered that cannot be used here */
    struct stream *socket;
    struct stream *spent; /* the socket before that, until the next advance or close */
    struct stream_setup setup;

    /* ASKING, ANSWER */
    char request[SHM_ASK_SIZE];
    size_t request_size, request_sent;
    char answer[SHM_ANSWER_SIZE];
    size_t answer_size;
    int descriptors[DESCRIPTORS_MAX];
    unsigned descriptor_count;

    /* SOCKET: the server's reason, until the socket has carried something else. */
    char refusal[REFUSAL_MAX];

    /* RING */
    struct shm_session session;
    uint64_t armed; /* SHM_WANT_*; 0: awake */
    bool over, broken;
    int edges;           /* an epoll set for shm_wait; -1: not yet */
    bool no_edges;       /* there can be none: the system refuses */
    bool was_edge;       /* shm_wait was told of a byte, which may stay */
    unsigned bells_left; /* taken note of, and still in the socket */
    bool may_watch;
    unsigned watch_penalty,
        watch_skips; /* waits not to watch in, after the next one in vain, and from now on */
};

static struct shm_stream *shm_of(struct stream *stream)
{
    return (struct shm_stream *)stream;
}

static int socket_of(const struct shm_stream *self)
{
    return self->socket->actions->descriptor(self->socket);
}

static void shm_describe(const struct skua_url *url, char *text, size_t size)
{
    snprintf(text, size, "%s", url->path);
}

/* ---- Connecting --------------------------------------------------------------------------------------------- */

static void close_descriptors(struct shm_stream *self)
{
    while (self->descriptor_count > 0)
        close(self->descriptors[--self->descriptor_count]);
}

static void close_spent(struct shm_stream *self)
{
    if (self->spent != NULL)
        self->spent->actions->close(self->spent);
    self->spent = NULL;
}

static void shm_close(struct stream *stream)
{
    struct shm_stream *self = shm_of(stream);
    const struct skua_allocator *allocator = self->setup.allocator;
    close_descriptors(self);
    close_spent(self);
    if (self->edges >= 0)
        close(self->edges);
    if (self->state == SHM_RING)
        shm_session_unmap(&self->session);
    if (self->socket != NULL)
        self->socket->actions->close(self->socket);
    client_release(allocator, self);
}

static enum skua_status open_socket(struct shm_stream *self, struct fault *fault)
{
    self->state = SHM_CONNECTING;
    self->socket = NULL;
    enum skua_status status = unix_stream_actions.open(&self->setup, &self->socket, fault);
    if (status == SKUA_OK)
        self->stream.advance_ms = self->socket->advance_ms;
    return status;
}

static enum skua_status shm_open_stream(const struct stream_setup *setup, struct stream **ret_stream,
                                        struct fault *fault)
{
    struct shm_stream *self = client_allocate_zero(setup->allocator, 1, sizeof(*self));
    if (self == NULL)
        return fault_set(fault, SKUA_ERR_MEMORY, "no memory for a connection");
    self->stream =
        (struct stream){.actions = &shm_stream_actions, .advance_ms = CLOCK_NEVER, .transport = "unix"};
    self->setup = *setup;
    self->asks = true;
    self->edges = -1;
    enum skua_status status = open_socket(self, fault);
    if (status != SKUA_OK) {
        shm_close(&self->stream);
        return status;
    }
    *ret_stream = &self->stream;
    return SKUA_OK;
}

/* Connects once more, without asking: the server has offered what cannot be mapped here, or has gone away when it was
 * asked. After an offer the socket is the session's and carries no requests. */
static enum skua_status begin_again(struct shm_stream *self, struct fault *fault)
{
    close_descriptors(self);
    self->asks = false;
    self->spent = self->socket;
    enum skua_status status = open_socket(self, fault);
    if (status != SKUA_OK)
        return status;
    self->stream.advance_ms = clock_now_ms();
    return SKUA_AGAIN;
}

static enum skua_status ask(struct shm_stream *self, struct fault *fault)
{
    while (self->request_sent < self->request_size) {
        const struct iovec rest = {self->request + self->request_sent,
                                   self->request_size - self->request_sent};
        size_t size;
        enum skua_status status = socket_send(socket_of(self), &rest, 1, &size, fault);
        if (status == SKUA_ERR_IO) /* it answers by closing; if it is gone for good, connecting tells */
            return begin_again(self, fault);
        if (status != SKUA_OK)
            return status;
        self->request_sent += size;
    }
    self->state = SHM_ANSWER;
    return SKUA_OK;
}

/* Keeps the descriptors of a message, all of which are ours to close. False: they are not what a session has. */
static bool keep_descriptors(struct shm_stream *self, struct msghdr *message)
{
    bool sound = (message->msg_flags & MSG_CTRUNC) == 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            if (self->descriptor_count < DESCRIPTORS_MAX) {
                self->descriptors[self->descriptor_count++] = descriptor;
                continue;
            }
            close(descriptor);
            sound = false;
        }
    }
    return sound;
}

static enum skua_status refuse_answer(const struct shm_stream *self, struct fault *fault, const char *what)
{
    return fault_set(fault, SKUA_ERR_PROTOCOL, "connect to %s: the answer to SHM OPEN %s",
                     self->setup.url->path, what);
}

static enum skua_status go_on_with_socket(struct shm_stream *self)
{
    self->state = SHM_SOCKET;
    self->stream.advance_ms = CLOCK_NEVER;
    return SKUA_OK;
}

static enum skua_status take_refusal(struct shm_stream *self, size_t size, struct fault *fault)
{
    if (self->descriptor_count > 0)
        return refuse_answer(self, fault, "is an error with descriptors");
    if (size != self->answer_size)
        return refuse_answer(self, fault, "is more than one");
    snprintf(self->refusal, sizeof(self->refusal), "%.*s", (int)(size - 3), self->answer + 1);
    return go_on_with_socket(self);
}

static enum skua_status take_offer(struct shm_stream *self, const struct shm_offer *offer,
                                   struct fault *fault)
{
    if (self->descriptor_count != DESCRIPTORS)
        return refuse_answer(self, fault, "has no two descriptors");
    bool mapped = shm_session_map(&self->session, offer, self->descriptors[0], self->descriptors[1]);
    if (!mapped)
        return begin_again(self, fault);
    close_descriptors(self);
    self->state = SHM_RING;
    self->may_watch = shm_usable_cpus() > 1;
    self->stream.in_memory = true;
    self->stream.transport = "shm";
    self->stream.advance_ms = CLOCK_NEVER;
    return SKUA_OK;
}

/* Looks at what has come of the answer. */
static enum skua_status take_answer(struct shm_stream *self, struct fault *fault)
{
    struct shm_offer offer;
    size_t size;
    switch (shm_read_offer(self->answer, self->answer_size, &offer, &size)) {
    case SHM_OFFERED: return take_offer(self, &offer, fault); /* what stands behind it are bells */
    case SHM_REFUSED: return take_refusal(self, size, fault);
    case SHM_UNFINISHED: break;
    case SHM_NONSENSE: return refuse_answer(self, fault, "cannot be understood");
    }
    return self->answer_size < SHM_ANSWER_SIZE ? SKUA_AGAIN : refuse_answer(self, fault, "is too long");
}

static enum skua_status receive_answer(struct shm_stream *self, struct fault *fault)
{
    for (;;) {
        union {
            struct cmsghdr header; /* for its alignment */
            char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
        } control;
        struct iovec space = {self->answer + self->answer_size, SHM_ANSWER_SIZE - self->answer_size};
        struct msghdr message = {.msg_iov = &space,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof(control.bytes)};
        ssize_t size;
        do
            size = recvmsg(socket_of(self), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        while (size < 0 && errno == EINTR);
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return SKUA_AGAIN;
        if (size <= 0)
            return begin_again(self, fault);
        if (!keep_descriptors(self, &message))
            return refuse_answer(self, fault, "has too many descriptors");
        self->answer_size += (size_t)size;
        enum skua_status status = take_answer(self, fault);
        if (status != SKUA_AGAIN || self->state != SHM_ANSWER)
            return status;
    }
}

static enum skua_status advance_socket(struct shm_stream *self, struct fault *fault)
{
    enum skua_status status = self->socket->actions->advance(self->socket, fault);
    self->stream.advance_ms = self->socket->advance_ms;
    if (status != SKUA_OK)
        return status;
    if (!self->asks)
        return go_on_with_socket(self);
    self->stream.advance_ms = CLOCK_NEVER;
    self->request_size = shm_ask(self->request, self->setup.url->request_ring, self->setup.url->reply_ring);
    self->state = SHM_ASKING;
    return SKUA_OK;
}

static enum skua_status shm_advance(struct stream *stream, struct fault *fault)
{
    struct shm_stream *self = shm_of(stream);
    close_spent(self);
    enum skua_status status = SKUA_OK;
    if (self->state == SHM_CONNECTING)
        status = advance_socket(self, fault);
    if (status == SKUA_OK && self->state == SHM_ASKING)
        status = ask(self, fault);
    if (status == SKUA_OK && self->state == SHM_ANSWER)
        status = receive_answer(self, fault);
    return status;
}

/* ---- RING: bells -------------------------------------------------------------------------------------------- */

static bool is_inherited(const struct shm_stream *self)
{
    return shm_session_is_inherited(&self->session);
}

/* Rings when the server sleeps and waits for what was published. A socket that is full of bells is as good as one more;
 * one that takes none for any other reason would leave the server asleep: then all is over. */
static void settle(struct shm_stream *self)
{
    if (!shm_settle(&self->session.end))
        return;
    if (send(socket_of(self), "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1 && errno != EAGAIN &&
        errno != EWOULDBLOCK)
        self->over = true;
}

static void awaken(struct shm_stream *self)
{
    if (self->armed == 0)
        return;
    self->armed = 0;
    shm_disarm(&self->session.end);
}

static bool shm_stay_awake(struct stream *stream)
{
    struct shm_stream *self = shm_of(stream);
    if (is_inherited(self))
        return self->may_watch;
    awaken(self);
    shm_tell_cpu(&self->session.end);
    return self->may_watch && !shm_shares_cpu(&self->session.end);
}

/* Takes the bells, and finds out whether the server has gone. */
static void take_bells(struct shm_stream *self)
{
    char bells[BELLS_MAX];
    ssize_t size;
    self->bells_left = 0;
    do
        size = recv(socket_of(self), bells, sizeof(bells), MSG_DONTWAIT);
    while (size == (ssize_t)sizeof(bells) || (size < 0 && errno == EINTR));
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
        self->over = true;
}

static void shm_wake(struct stream *stream)
{
    struct shm_stream *self = shm_of(stream);
    bool was_edge = self->was_edge;
    self->was_edge = false;
    if (self->armed == 0 || is_inherited(self))
        return;
    awaken(self);
    if (!was_edge || ++self->bells_left >= BELLS_LEFT_MAX)
        take_bells(self);
}

static bool has_edges(struct shm_stream *self)
{
    if (self->edges >= 0 || self->no_edges)
        return !self->no_edges;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
    self->edges = epoll_create1(EPOLL_CLOEXEC);
    self->no_edges = self->edges < 0 || epoll_ctl(self->edges, EPOLL_CTL_ADD, socket_of(self), &event) != 0;
    return !self->no_edges;
}

static bool shm_wait(struct stream *stream, int timeout_ms)
{
    struct shm_stream *self = shm_of(stream);
    if (is_inherited(self) || !has_edges(self)) {
        struct pollfd watched = {.fd = socket_of(self), .events = POLLIN};
        return poll(&watched, 1, timeout_ms) > 0;
    }
    struct epoll_event event;
    if (epoll_wait(self->edges, &event, 1, timeout_ms) <= 0)
        return false;
    self->was_edge = true;
    self->over |= (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0; /* told of once */
    return true;
}

/* ---- RING: waiting ------------------------------------------------------------------------------------------ */

static uint64_t wants_of(unsigned wish)
{
    return (wish & SKUA_READ ? SHM_WANT_DATA : 0) | (wish & SKUA_WRITE ? SHM_WANT_SPACE : 0);
}

/* What must be noticed without a bell: an end is one, whatever is wished for. */
static inline bool is_there(const struct shm_stream *self, uint64_t wants)
{
    const struct shm_end *end = &self->session.end;
    return ((wants & SHM_WANT_DATA) && shm_has_data(end)) || ((wants & SHM_WANT_SPACE) && shm_has_space(end));
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb"); /* a yield is no delay on most of these */
#endif
}

/* Watches the words for about as long as it would take to be woken, since an answer that comes meanwhile costs neither
 * side a system call. Not on one CPU, or on the server's, where it could not run; not when it sleeps, for it must be
 * woken first;
 * and not for a while after it was in vain. */
static bool watch(struct shm_stream *self, uint64_t wants)
{
    if (!self->may_watch)
        return false;
    if (self->watch_skips > 0) {
        self->watch_skips--;
        return false;
    }
    shm_tell_cpu(&self->session.end);
    if (shm_shares_cpu(&self->session.end))
        return false;
    int64_t end_ns = 0;
    while (!shm_peer_sleeps(&self->session.end)) {
        for (unsigned looks = 0; looks < WATCH_LOOKS; looks++) {
            if (is_there(self, wants)) {
                self->watch_penalty = 0;
                return true;
            }
            relax();
        }
        int64_t time_ns = now_ns();
        if (end_ns == 0)
            end_ns = time_ns + WATCH_NS;
        else if (time_ns >= end_ns)
            break;
    }
    if (end_ns == 0) /* a look at a server that sleeps costs nothing */
        return false;
    self->watch_penalty = self->watch_penalty == 0 ? 1 : self->watch_penalty * 2;
    if (self->watch_penalty > WATCH_SKIPS_MAX)
        self->watch_penalty = WATCH_SKIPS_MAX;
    self->watch_skips = self->watch_penalty;
    return false;
}

static bool shm_rest(struct stream *stream, unsigned wish, bool may_watch)
{
    struct shm_stream *self = shm_of(stream);
    uint64_t wants = wants_of(wish);
    if (is_inherited(self) || self->broken)
        return wants != 0;
    settle(self); /* P1 */
    if (wants == 0 || self->over)
        return wants != 0;
    if (!may_watch && self->bells_left > 0) /* it is not shm_wait that follows */
        take_bells(self);
    if (self->armed == wants && !may_watch) /* S1 */
        return false;
    if (is_there(self, wants))
        return true;
    if (may_watch) {
        awaken(self);
        if (watch(self, wants))
            return true;
    }
    self->armed = shm_arm(&self->session.end, wants) ? wants : 0;
    return self->armed == 0;
}

static unsigned shm_look(const struct stream *stream)
{
    const struct shm_stream *self = (const struct shm_stream *)stream;
    if (is_inherited(self) || self->over || self->broken)
        return SKUA_READ | SKUA_WRITE;
    const struct shm_end *end = &self->session.end;
    return (shm_has_data(end) ? SKUA_READ : 0) | (shm_has_space(end) ? SKUA_WRITE : 0);
}

/* ---- RING: bytes -------------------------------------------------------------------------------------------- */

__attribute__((cold)) static enum skua_status fail_inherited(struct fault *fault)
{
    return fault_set(fault, SKUA_ERR_IO,
                     "shared memory belongs to the process that connected, and this is its child");
}

__attribute__((cold)) static enum skua_status fail_broken(struct shm_stream *self, struct fault *fault)
{
    self->broken = true;
    return fault_set(fault, SKUA_ERR_PROTOCOL, "the server's words in shared memory contradict each other");
}

static enum skua_status receive_from_ring(struct shm_stream *self, void *space, size_t capacity,
                                          size_t *ret_size, struct fault *fault)
{
    if (is_inherited(self))
        return fail_inherited(fault);
    struct shm_end *end = &self->session.end;
    switch (shm_read(end, space, capacity, ret_size)) {
    case SHM_DONE:
        if (end->head - end->settled_head >= end->in_size / 2) /* S2 */
            settle(self);
        return SKUA_OK;
    case SHM_NOTHING: return self->over ? fault_set(fault, SKUA_ERR_CLOSED, "end of the stream") : SKUA_AGAIN;
    case SHM_BROKEN: break;
    }
    return fail_broken(self, fault);
}

static enum skua_status send_to_ring(struct shm_stream *self, const struct iovec *vector, int count,
                                     size_t *ret_size, struct fault *fault)
{
    if (is_inherited(self))
        return fail_inherited(fault);
    if (self->over) /* receiving tells, behind what the server has said before */
        return SKUA_AGAIN;
    size_t sent = 0, size = 0;
    enum shm_answer answer = SHM_DONE;
    for (int i = 0; i < count && answer == SHM_DONE; i++) {
        if (vector[i].iov_len == 0)
            continue;
        answer = shm_write(&self->session.end, vector[i].iov_base, vector[i].iov_len, &size);
        sent += answer == SHM_DONE ? size : 0;
        if (size < vector[i].iov_len)
            break;
    }
    if (answer == SHM_BROKEN)
        return fail_broken(self, fault);
    if (sent == 0)
        return SKUA_AGAIN;
    settle(self);
    *ret_size = sent;
    return SKUA_OK;
}

/* ---- Both --------------------------------------------------------------------------------------------------- */

/* A refusal may have been the server's last word, and then it has the reason. */
static enum skua_status check_refusal(struct shm_stream *self, enum skua_status status, struct fault *fault)
{
    if (self->refusal[0] != '\0' && (status == SKUA_ERR_CLOSED || status == SKUA_ERR_IO))
        return fault_set(fault, SKUA_ERR_IO, "closed after: %s", self->refusal);
    return status;
}

static enum skua_status receive_from_socket(struct shm_stream *self, void *space, size_t capacity,
                                            size_t *ret_size, struct fault *fault)
{
    enum skua_status status = socket_receive(socket_of(self), space, capacity, ret_size, fault);
    if (status == SKUA_OK)
        self->refusal[0] = '\0';
    return check_refusal(self, status, fault);
}

static enum skua_status send_to_socket(struct shm_stream *self, const struct iovec *vector, int count,
                                       size_t *ret_size, struct fault *fault)
{
    return check_refusal(self, socket_send(socket_of(self), vector, count, ret_size, fault), fault);
}

static enum skua_status shm_receive(struct stream *stream, void *space, size_t capacity, size_t *ret_size,
                                    struct fault *fault)
{
    struct shm_stream *self = shm_of(stream);
    return self->state == SHM_RING ? receive_from_ring(self, space, capacity, ret_size, fault)
                                   : receive_from_socket(self, space, capacity, ret_size, fault);
}

static enum skua_status shm_send(struct stream *stream, const struct iovec *vector, int count,
                                 size_t *ret_size, struct fault *fault)
{
    struct shm_stream *self = shm_of(stream);
    return self->state == SHM_RING ? send_to_ring(self, vector, count, ret_size, fault)
                                   : send_to_socket(self, vector, count, ret_size, fault);
}

static int shm_descriptor(const struct stream *stream)
{
    const struct shm_stream *self = (const struct shm_stream *)stream;
    return self->socket != NULL ? socket_of(self) : -1; /* begin_again may fail in between */
}

static unsigned shm_want(const struct stream *stream, unsigned wish)
{
    const struct shm_stream *self = (const struct shm_stream *)stream;
    switch (self->state) {
    case SHM_ASKING: return SKUA_WRITE;
    case SHM_ANSWER: return SKUA_READ;
    case SHM_RING: return wish != 0 ? SKUA_READ : 0; /* a bell for either */
    case SHM_CONNECTING:
    case SHM_SOCKET: break;
    }
    return self->socket->actions->want(self->socket, wish);
}

const struct stream_actions shm_stream_actions = {
    .describe = shm_describe,
    .open = shm_open_stream,
    .advance = shm_advance,
    .receive = shm_receive,
    .send = shm_send,
    .descriptor = shm_descriptor,
    .want = shm_want,
    .close = shm_close,
    .wake = shm_wake,
    .wait = shm_wait,
    .rest = shm_rest,
    .stay_awake = shm_stay_awake,
    .look = shm_look,
};
