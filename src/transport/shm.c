/* A session of shared memory as a stream, and the hub of a loop, which looks at all of the loop's sessions that are awake.
 *
 * Principal entry points: see transport/shm.h; the ring's protocol is shm/end.h.
 * Threads: a stream and a hub belong to the thread of their loop.
 *
 * | state  | is in the hub's list | own park word | who tells of news                    | leads to                          |
 * |--------|----------------------|---------------|--------------------------------------|-----------------------------------|
 * | awake  | yes                  | disarmed      | hub_look                             | asleep, by cool: the loop is to   |
 * |        |                      |               |                                      | sleep, or too many are awake      |
 * | asleep | no                   | armed         | a bell, or the end, on the socket    | awake, by warm                    |
 * | dozing | no                   | armed         | the same; and anybody else's bell    | awake, by warm; asleep, by cool   |
 * | idle   | no                   | disarmed      | nobody: the owner wants nothing      | awake, by shm_want                |
 *
 * H1  hub->awake[stream->place] is the stream, exactly while it is awake; hub->dozing[stream->place], while it dozes.
 * H2  Who goes to sleep has settled and armed (shm/end.h P1, P2). A stream that is asleep or dozes is watched by the kernel: its
 *     socket, where each new byte is told of (edge), and its peer's process.
 * H3  Nothing of what the peer can write is believed (shm/end.h), and nothing that it holds can make this side wait: a bell
 *     is one byte sent with MSG_DONTWAIT, and one that finds no room is not needed, for the peer has not taken those
 *     before it.
 * H4  The peer's end is its socket's or its process's, whichever comes first: a forked child may keep the socket open.
 *     What is in the ring by then is still received.
 *
 * How long to stay awake. Looking costs a core, sleeping costs a wake-up on both sides, some 50 us. So a session keeps its
 * loop awake for spin_us after its last byte, and a request that comes meanwhile has cost less than a wake-up. One that
 * stays away has cost that much for nothing: then the next 1, 4, 16, ... SKIPS_MAX times do not keep the loop awake, and
 * each time that pays halves that number. Who has been silent for HOPE_SPINS times as long before it rang, and has kept a
 * loop awake in vain before, is not tried at all: what it asks for now and then would pay never. After a wake-up the time
 * is doubled, for the client has one of its own to get over. While one session keeps the loop awake all others stay awake with it: looking at one more costs less than the bell
 * that it would need. For the same reason those that went to sleep with the loop doze: the first bell of any of them wakes
 * all, so that a client with many sessions that asks on one after the other does not ring for each; one that has slept
 * DOZES_MAX times in a row without a byte sleeps alone from then on. All of a thread's looking in vain together is kept
 * below spin_percent of its time by a credit that grows with the time. */
#include "transport/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "loop/loop.h"
#include "shm/end.h"
#include "transport/socket.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

#define SKIPS_MAX       256 /* a power of 4 */
#define HOPE_SPINS      16
#define AWAKE_MAX       512 /* sessions that are looked at without need */
#define DOZING_MAX      128
#define DOZES_MAX       4
#define BELLS_UNDRAINED 16 /* after so many the socket is read: see on_socket */
#define DRAINS_MAX      64 /* reads at a time: each takes one message with descriptors, or many without */
#define CREDIT_MAX_NS   UINT64_C(2000000)
/* Control blocks of sessions lie in different cache sets: at the same offset in their pages they would share one. */
#define COLOURS (SHM_RING_OFFSET / SHM_CONTROL_SIZE)

struct segment {
    void *bytes;
    size_t size;
    int fd; /* until the client has it */
};

struct hub;

struct shm_stream {
    struct stream stream;
    struct shm_end end;
    struct shm_host *host;
    struct hub *hub; /* NULL: not attached */
    struct loop *loop;
    struct loop_source socket;
    struct loop_source process; /* fd -1: the kernel cannot watch it */
    struct segment request, reply;
    struct waits *waits;
    struct waits no_waits; /* where nobody has asked for them */
    struct stream_description description;
    bool has_ended; /* H4 */
    bool is_broken;
    bool is_awake, is_dozing;
    bool is_expecting; /* it has sent or received, and stays awake for what follows */
    bool was_woken;    /* by a bell, since the last byte */
    bool is_waking;    /* the last byte was of that kind: its sender sleeps, or is about to wake up, too */
    uint32_t place;    /* H1 */
    uint32_t dozes;    /* since the last byte */
    uint32_t skips, skips_next;
    uint32_t bells; /* heard since the socket was last read */
    uint64_t spin_until;
    uint64_t received; /* ticks: the last byte that was worth a thought */
};

struct hub {
    struct loop_poller poller;
    struct shm_host *host;
    struct shm_counters counters;
    const struct clock *clock;
    struct shm_stream **awake;
    uint32_t awake_count, awake_capacity;
    uint32_t dozing_count;
    struct shm_stream *dozing[DOZING_MAX];
    int64_t spin_us;     /* the option, as last seen, */
    uint64_t spin_ticks; /* and what it is in ticks */
    int64_t credit_ns;   /* for looking in vain */
    uint64_t credited;   /* ticks: since when nothing has been added */
};

static struct shm_stream *shm_of(struct stream *stream)
{
    return container_of(stream, struct shm_stream, stream);
}

static void count(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

/* A counter with one writer. */
static void count_own(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* ---- Awake and asleep ------------------------------------------------------------------------------------------- */

static void leave_dozing(struct shm_stream *self)
{
    struct hub *hub = self->hub;
    hub->dozing[self->place] = hub->dozing[--hub->dozing_count];
    hub->dozing[self->place]->place = self->place;
    self->is_dozing = false;
}

static void warm(struct shm_stream *self)
{
    struct hub *hub = self->hub;
    if (self->is_awake || !hub)
        return;
    if (self->is_dozing)
        leave_dozing(self);
    if (hub->awake_count == hub->awake_capacity) {
        hub->awake_capacity = hub->awake_capacity ? hub->awake_capacity * 2 : 64;
        hub->awake = mem_realloc(hub->awake, hub->awake_capacity * sizeof *hub->awake);
    }
    shm_disarm(&self->end);
    self->is_awake = true;
    self->place = hub->awake_count;
    hub->awake[hub->awake_count++] = self;
}

static void leave_list(struct shm_stream *self)
{
    struct hub *hub = self->hub;
    hub->awake[self->place] = hub->awake[--hub->awake_count];
    hub->awake[self->place]->place = self->place;
    self->is_awake = false;
}

static void warm_dozing(struct hub *hub)
{
    while (hub->dozing_count > 0)
        warm(hub->dozing[hub->dozing_count - 1]);
}

static void doze(struct shm_stream *self)
{
    struct hub *hub = self->hub;
    if (self->dozes >= DOZES_MAX || hub->dozing_count == DOZING_MAX)
        return;
    self->dozes++;
    self->is_dozing = true;
    self->place = hub->dozing_count;
    hub->dozing[hub->dozing_count++] = self;
}

static void ring(struct shm_stream *self)
{
    ssize_t sent = send(self->socket.fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        self->has_ended = true;
    count_own(&self->waits->bells, 1);
    count_own(&self->hub->counters.bells_rung, 1);
}

static void settle(struct shm_stream *self)
{
    if (shm_settle(&self->end))
        ring(self);
}

static unsigned events_of(const struct shm_stream *self)
{
    unsigned wants = self->stream.wants, events = 0;
    bool is_over = self->has_ended || self->is_broken;
    if (wants & STREAM_WANT_RECV && (shm_has_data(&self->end) || is_over))
        events |= STREAM_CAN_RECV;
    if (wants & STREAM_WANT_SEND && (shm_has_space(&self->end) || is_over))
        events |= STREAM_CAN_SEND;
    if (wants & STREAM_WANT_END && is_over)
        events |= STREAM_AT_END;
    return events;
}

/* To sleep, unless there is something. */
static bool cool(struct shm_stream *self)
{
    uint64_t wants = 0;
    settle(self);
    if (self->stream.wants & STREAM_WANT_RECV)
        wants |= SHM_WANT_DATA;
    if (self->stream.wants & STREAM_WANT_SEND)
        wants |= SHM_WANT_SPACE;
    if (events_of(self) != 0 || (wants != 0 && !shm_arm(&self->end, wants)))
        return false;
    if (self->is_expecting) {
        self->is_expecting = false;
        self->skips = self->skips_next;
        self->skips_next = self->skips_next < SKIPS_MAX ? self->skips_next * 4 : SKIPS_MAX;
    }
    leave_list(self);
    count_own(&self->waits->parks, 1);
    count_own(&self->hub->counters.parks, 1);
    return true;
}

/* The credit grows with the time, also while there is none and nobody looks. */
static void earn_credit(struct hub *hub, uint64_t now)
{
    uint64_t passed_ns = clock_ticks_to_ns(hub->clock, now - hub->credited);
    int64_t percent = atomic_load_explicit(hub->host->spin_percent, memory_order_relaxed);
    hub->credited = now;
    hub->credit_ns += (int64_t)(passed_ns < 1000000000 ? passed_ns : 1000000000) * percent / 100;
    if (hub->credit_ns > (int64_t)CREDIT_MAX_NS)
        hub->credit_ns = (int64_t)CREDIT_MAX_NS;
}

static bool has_credit(struct hub *hub)
{
    if (hub->credit_ns <= 0)
        earn_credit(hub, clock_ticks(hub->clock));
    return hub->credit_ns > 0;
}

/* Whether, and until when, the next request is worth being looked for. */
static void expect_more(struct shm_stream *self)
{
    struct hub *hub = self->hub;
    int64_t spin_us = atomic_load_explicit(self->host->spin_us, memory_order_relaxed);
    bool was_woken = self->was_woken;
    self->was_woken = false;
    if (!hub || self->has_ended)
        return;
    uint64_t now = clock_ticks(hub->clock), silence = now - self->received;
    self->received = now;
    if (was_woken && self->skips_next > 1 && silence > HOPE_SPINS * hub->spin_ticks)
        return;
    if (self->skips > 0 && was_woken) {
        self->skips--;
        return;
    }
    if (self->skips > 0 || spin_us <= 0 || self->host->has_one_processor || !has_credit(hub))
        return;
    shm_tell_cpu(&self->end);
    if (shm_shares_cpu(&self->end))
        return;
    if (spin_us != hub->spin_us) {
        hub->spin_us = spin_us;
        hub->spin_ticks = clock_ns_to_ticks(hub->clock, (uint64_t)spin_us * 1000);
    }
    self->is_waking = was_woken;
    self->spin_until = now + (hub->spin_ticks << was_woken);
    if (!self->is_expecting) {
        self->is_expecting = true;
        count_own(&self->waits->spins, 1);
        count_own(&hub->counters.spins, 1);
    }
    warm(self);
    if (hub->poller.spin_until < self->spin_until)
        hub->poller.spin_until = self->spin_until;
}

/* ---- The hub ---------------------------------------------------------------------------------------------------- */

static unsigned hub_look(struct loop_poller *poller, uint64_t now)
{
    struct hub *hub = container_of(poller, struct hub, poller);
    unsigned called = 0;
    uint64_t until = 0;
    for (uint32_t i = hub->awake_count; i-- > 0;) {
        struct shm_stream *self = hub->awake[i];
        unsigned events = events_of(self);
        if (events != 0) {
            self->stream.ready(&self->stream, events);
            called++;
        } else if (hub->awake_count > AWAKE_MAX && now >= self->spin_until) {
            called += !cool(self); /* what came in between is told of by the next look */
            continue;
        } else if (unlikely(self->end.head != self->end.settled_head)) {
            settle(self);
        }
        if (until < self->spin_until)
            until = self->spin_until;
    }
    poller->spin_until = until;
    return called;
}

static bool hub_rest(struct loop_poller *poller)
{
    struct hub *hub = container_of(poller, struct hub, poller);
    bool resting = true;
    for (uint32_t i = hub->awake_count; i-- > 0;) {
        struct shm_stream *self = hub->awake[i];
        if (cool(self))
            doze(self);
        else
            resting = false;
    }
    while (!resting && hub->dozing_count > 0) { /* the loop stays awake, and they with it */
        hub->dozing[hub->dozing_count - 1]->dozes--;
        warm(hub->dozing[hub->dozing_count - 1]);
    }
    return resting;
}

static void hub_waited(struct loop_poller *poller, uint64_t begin, uint64_t end, bool in_vain)
{
    struct hub *hub = container_of(poller, struct hub, poller);
    int64_t percent = atomic_load_explicit(hub->host->spin_percent, memory_order_relaxed);
    earn_credit(hub, end);
    if (in_vain) {
        /* A thread that was not running in between has not looked. */
        uint64_t vain = end - begin < 2 * hub->spin_ticks ? end - begin : 2 * hub->spin_ticks;
        uint64_t vain_ns = clock_ticks_to_ns(hub->clock, vain);
        hub->credit_ns -= percent < 100 ? (int64_t)vain_ns : 0;
        count_own(&hub->counters.vain_ns, vain_ns);
    }
}

static void hub_free(struct loop_poller *poller)
{
    struct hub *hub = container_of(poller, struct hub, poller);
    ASSERT(hub->awake_count == 0 && hub->dozing_count == 0);
    mem_free(hub->awake);
    mem_free(hub);
}

static struct hub *hub_of(struct loop *loop, struct shm_host *host)
{
    struct loop_poller *poller = loop_find_poller(loop, &transport_shm);
    if (poller)
        return container_of(poller, struct hub, poller);
    struct hub *hub = mem_calloc(1, sizeof *hub);
    hub->poller = (struct loop_poller){
        .kind = &transport_shm, .look = hub_look, .rest = hub_rest, .waited = hub_waited, .free = hub_free};
    hub->host = host;
    hub->clock = loop_clock(loop);
    hub->credit_ns = (int64_t)CREDIT_MAX_NS;
    hub->credited = clock_ticks(hub->clock);
    loop_add_poller(loop, &hub->poller);
    unsigned place = atomic_fetch_add_explicit(&host->thread_count, 1, memory_order_relaxed);
    ASSERT(place < SHM_THREADS_MAX);
    atomic_store_explicit(&host->threads[place], &hub->counters, memory_order_release);
    return hub;
}

/* ---- What the kernel tells ---------------------------------------------------------------------------------------- */

/* The bytes say nothing; they are read now and then, so that the socket always has room for one more. As each new byte is
 * told of, those before it may stay. */
static void drain_bells(struct shm_stream *self)
{
    char bytes[4096];
    ssize_t size = 1;
    self->bells = 0;
    for (unsigned i = 0; i < DRAINS_MAX && size > 0; i++)
        size = recv(self->socket.fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
        self->has_ended = true;
}

static void on_told(struct shm_stream *self)
{
    warm(self);
    unsigned events = events_of(self);
    if (events != 0)
        self->stream.ready(&self->stream, events);
}

static void on_socket(struct loop_source *source, unsigned events)
{
    struct shm_stream *self = container_of(source, struct shm_stream, socket);
    if (events & LOOP_HANGUP)
        self->has_ended = true;
    if (events & LOOP_READABLE) {
        count_own(&self->hub->counters.bells_heard, 1);
        bool was_awake = self->is_awake;
        self->was_woken = true;
        warm_dozing(self->hub);
        /* An honest client seldom rings for who is awake; of one that always does the socket would be full one day. */
        if (was_awake || ++self->bells >= BELLS_UNDRAINED)
            drain_bells(self);
    }
    on_told(self);
}

static void on_process(struct loop_source *source, unsigned events)
{
    struct shm_stream *self = container_of(source, struct shm_stream, process);
    loop_remove(self->loop, source); /* a process that has ended stays ready */
    self->has_ended = true;
    on_told(self);
}

/* ---- The stream's operations -------------------------------------------------------------------------------------- */

static enum status give_up(struct shm_stream *self)
{
    self->is_broken = true;
    errno = EPROTO;
    return ST_IO;
}

static enum status shm_recv(struct stream *stream, void *ret_bytes, size_t capacity, size_t *ret_size)
{
    struct shm_stream *self = shm_of(stream);
    switch (shm_read(&self->end, ret_bytes, capacity, ret_size)) {
    case SHM_NOTHING: return self->has_ended ? ST_EOF : ST_AGAIN;
    case SHM_BROKEN: return give_up(self);
    case SHM_DONE: break;
    }
    count_own(&self->hub->counters.bytes_in, *ret_size);
    self->dozes = 0;
    if (self->is_expecting) {
        self->is_expecting = false;
        /* It has paid, or so it seems: the peer may have had this very processor meanwhile. */
        self->skips_next -= self->skips_next / 2;
    }
    /* The reply follows within this turn, or soon; settled by it, by the next look, or before sleeping. */
    expect_more(self);
    return ST_OK;
}

static enum status shm_send(struct stream *stream, const struct slice *slices, size_t count_of_slices,
                            size_t *ret_sent)
{
    struct shm_stream *self = shm_of(stream);
    size_t sent = 0;
    if (self->has_ended) {
        /* Lost, so that the requests that are still in the ring are executed. What ends the connection is H4. */
        for (size_t i = 0; i < count_of_slices; i++)
            sent += slices[i].size;
        *ret_sent = sent;
        return ST_OK;
    }
    for (size_t i = 0; i < count_of_slices; i++) {
        size_t size;
        enum shm_answer answer = shm_write(&self->end, slices[i].data, slices[i].size, &size);
        if (answer == SHM_BROKEN)
            return give_up(self);
        sent += size;
        if (size < slices[i].size)
            break;
    }
    if (sent == 0)
        return ST_AGAIN;
    count_own(&self->hub->counters.bytes_out, sent);
    settle(self);
    if (self->is_expecting)
        self->spin_until = clock_ticks(self->hub->clock) + (self->hub->spin_ticks << self->is_waking);
    *ret_sent = sent;
    return ST_OK;
}

static void shm_want(struct stream *stream, unsigned wants)
{
    struct shm_stream *self = shm_of(stream);
    bool wants_more = (wants & ~stream->wants) != 0;
    stream->wants = wants;
    if (wants_more) /* looked at once; then it may sleep, armed for all that is wanted */
        warm(self);
}

static enum status shm_attach(struct stream *stream, struct loop *loop)
{
    struct shm_stream *self = shm_of(stream);
    ASSERT(!self->hub);
    enum status status = loop_add(loop, &self->socket, LOOP_READABLE | LOOP_HANGUP, false);
    if (status != ST_OK) {
        self->has_ended = true; /* nobody would ever hear of it again: what is still sent is lost */
        return status;
    }
    if (self->process.fd >= 0 && !self->has_ended) {
        status = loop_add(loop, &self->process, LOOP_READABLE, false);
        if (status != ST_OK) {
            loop_remove(loop, &self->socket);
            self->has_ended = true;
            return status;
        }
    }
    self->loop = loop;
    self->hub = hub_of(loop, self->host);
    self->spin_until = 0;
    warm(self);
    return ST_OK;
}

static void shm_detach(struct stream *stream)
{
    struct shm_stream *self = shm_of(stream);
    if (!self->hub)
        return;
    settle(self);
    if (self->is_awake)
        leave_list(self);
    if (self->is_dozing)
        leave_dozing(self);
    self->is_expecting = false;
    loop_remove(self->loop, &self->socket);
    if (self->process.fd >= 0)
        loop_remove(self->loop, &self->process);
    self->hub = NULL;
    self->loop = NULL;
    stream->wants = 0;
}

static void close_segment(struct segment *segment)
{
    if (segment->bytes)
        munmap(segment->bytes, segment->size);
    if (segment->fd >= 0)
        close(segment->fd);
}

static void shm_close(struct stream *stream)
{
    struct shm_stream *self = shm_of(stream);
    shm_detach(stream);
    count(&self->host->sessions, (uint64_t)-1);
    count(&self->host->memory, (uint64_t) - (int64_t)(self->request.size + self->reply.size));
    close_segment(&self->request);
    close_segment(&self->reply);
    if (self->socket.fd >= 0)
        close(self->socket.fd);
    if (self->process.fd >= 0) {
        close(self->process.fd);
        count(&self->host->processes, (uint64_t)-1);
    }
    mem_free(self);
}

static void shm_describe(const struct stream *stream, struct stream_description *ret_description)
{
    *ret_description = container_of(stream, struct shm_stream, stream)->description;
}

/* The end of the peer shows at once. */
static void shm_set_keepalive(struct stream *stream, unsigned seconds)
{
}

static const struct stream_ops shm_ops = {
    .recv = shm_recv,
    .send = shm_send,
    .want = shm_want,
    .attach = shm_attach,
    .detach = shm_detach,
    .close = shm_close,
    .describe = shm_describe,
    .set_keepalive = shm_set_keepalive,
};

void shm_stream_count_waits(struct stream *stream, struct waits *waits)
{
    shm_of(stream)->waits = waits;
}

/* ---- Counting ----------------------------------------------------------------------------------------------------- */

void shm_host_totals(const struct shm_host *host, struct shm_totals *ret_totals)
{
    *ret_totals = (struct shm_totals){
        .sessions = atomic_load_explicit(&host->sessions, memory_order_relaxed),
        .memory = atomic_load_explicit(&host->memory, memory_order_relaxed),
        .opened = atomic_load_explicit(&host->opened, memory_order_relaxed),
        .refused = atomic_load_explicit(&host->refused, memory_order_relaxed),
    };
    unsigned threads = atomic_load_explicit(&host->thread_count, memory_order_relaxed);
    for (unsigned i = 0; i < threads; i++) {
        const struct shm_counters *counters = atomic_load_explicit(&host->threads[i], memory_order_acquire);
        if (!counters)
            continue; /* about to begin */
        ret_totals->bytes_in += atomic_load_explicit(&counters->bytes_in, memory_order_relaxed);
        ret_totals->bytes_out += atomic_load_explicit(&counters->bytes_out, memory_order_relaxed);
        ret_totals->spins += atomic_load_explicit(&counters->spins, memory_order_relaxed);
        ret_totals->vain_ns += atomic_load_explicit(&counters->vain_ns, memory_order_relaxed);
        ret_totals->parks += atomic_load_explicit(&counters->parks, memory_order_relaxed);
        ret_totals->bells_rung += atomic_load_explicit(&counters->bells_rung, memory_order_relaxed);
        ret_totals->bells_heard += atomic_load_explicit(&counters->bells_heard, memory_order_relaxed);
    }
}

/* ---- Making one --------------------------------------------------------------------------------------------------- */

static int new_memfd(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd;
}

/* The client can change neither the size (it would end this process with SIGBUS) nor, where it must not write, the
 * bytes: a mapping that may write has to be there before the seal. */
static bool make_segment(struct segment *segment, const char *name, uint64_t ring, bool client_writes)
{
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | (client_writes ? 0 : F_SEAL_FUTURE_WRITE);
    segment->size = (size_t)(SHM_RING_OFFSET + ring);
    segment->fd = new_memfd(name);
    if (segment->fd < 0 || ftruncate(segment->fd, (off_t)segment->size) != 0)
        return false;
    void *bytes =
        mmap(NULL, segment->size, PROT_READ | (client_writes ? 0 : PROT_WRITE), MAP_SHARED, segment->fd, 0);
    if (bytes == MAP_FAILED)
        return false;
    segment->bytes = bytes;
    /* What clients say is not for core dumps, and not for children. */
    return fcntl(segment->fd, F_ADD_SEALS, seals) == 0 && madvise(bytes, segment->size, MADV_DONTFORK) == 0 &&
           madvise(bytes, segment->size, MADV_DONTDUMP) == 0;
}

/* Takes the place of a session, and its memory, within the limits. */
static bool admit(struct shm_host *host, uint64_t size, const char **ret_refusal)
{
    uint64_t sessions = atomic_fetch_add_explicit(&host->sessions, 1, memory_order_relaxed) + 1;
    uint64_t memory = atomic_fetch_add_explicit(&host->memory, size, memory_order_relaxed) + size;
    uint64_t memory_max = atomic_load_explicit(host->memory_max, memory_order_relaxed);
    *ret_refusal = NULL;
    if (sessions > (uint64_t)atomic_load_explicit(host->sessions_max, memory_order_relaxed))
        *ret_refusal = "ERR max number of shared memory sessions reached (option shm-max-sessions)";
    else if (memory_max > 0 && memory > memory_max)
        *ret_refusal = "ERR the memory for shared memory sessions is used up (option shm-max-memory)";
    return *ret_refusal == NULL;
}

enum status shm_stream_new(struct shm_host *host, const struct shm_rings *rings, struct stream **ret_stream,
                           struct shm_terms *ret_terms, const char **ret_refusal)
{
    ASSERT(shm_is_ring_size(rings->request) && shm_is_ring_size(rings->reply));
    struct shm_stream *self = mem_calloc(1, sizeof *self);
    self->stream.ops = &shm_ops;
    self->stream.transport = &transport_shm;
    self->host = host;
    self->waits = &self->no_waits;
    self->skips_next = 1;
    self->socket = (struct loop_source){.fd = -1, .edge = true, .ready = on_socket};
    self->process = (struct loop_source){.fd = -1, .ready = on_process};
    self->request = (struct segment){.fd = -1, .size = (size_t)(SHM_RING_OFFSET + rings->request)};
    self->reply = (struct segment){.fd = -1, .size = (size_t)(SHM_RING_OFFSET + rings->reply)};
    bool made = false;
    if (admit(host, self->request.size + self->reply.size, ret_refusal)) {
        made = make_segment(&self->request, "skua-requests", rings->request, true) &&
               make_segment(&self->reply, "skua-replies", rings->reply, false);
        if (!made)
            *ret_refusal = "ERR the system refuses memory for a shared memory session";
    }
    if (!made) {
        shm_close(&self->stream);
        count(&host->refused, 1);
        return ST_NOMEM;
    }
    uint64_t colour = atomic_fetch_add_explicit(&host->opened, 1, memory_order_relaxed) % COLOURS;
    ret_terms->request_control = ret_terms->reply_control = colour * SHM_CONTROL_SIZE;
    const char *request = self->request.bytes;
    char *reply = self->reply.bytes;
    shm_end_init(&self->end, (struct shm_control *)(reply + ret_terms->reply_control),
                 reply + SHM_RING_OFFSET, rings->reply,
                 (const struct shm_control *)(request + ret_terms->request_control),
                 request + SHM_RING_OFFSET, rings->request);
    *ret_stream = &self->stream;
    return ST_OK;
}

/* The peer's process, or -1. One that is in another namespace, or a kernel before 5.3, leaves the socket's end only. */
static int open_process(int socket, int pid)
{
    int fd = -1;
    socklen_t size = sizeof fd;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &size) == 0)
        return fd;
    return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

enum status shm_stream_take_over(struct stream *stream, struct stream *unix_stream, struct slice answer)
{
    struct shm_stream *self = shm_of(stream);
    int descriptors[] = {self->request.fd, self->reply.fd};
    stream_describe(unix_stream, &self->description);
    enum status status = socket_send_descriptors(socket_descriptor(unix_stream), answer, descriptors, 2);
    if (status != ST_OK)
        return status;
    close(self->request.fd);
    close(self->reply.fd);
    self->request.fd = self->reply.fd = -1;
    self->stream.owner = unix_stream->owner;
    self->stream.ready = unix_stream->ready;
    self->socket.fd = socket_stream_release(unix_stream);
    self->process.fd = open_process(self->socket.fd, self->description.peer_pid);
    if (self->process.fd >= 0)
        count(&self->host->processes, 1);
    return ST_OK;
}

const struct transport transport_shm = {
    .name = "shm",
    .capabilities = TRANSPORT_PEER_IDENTITY,
};
