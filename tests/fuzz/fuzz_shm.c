/* The server's end of a session of shared memory, and the parser behind it, with a peer that writes whatever it likes into
 * its words and its ring, between two reads and during them: nothing outside of the rings is touched, what the end believes
 * stays possible, and the parser sees bytes that do not change.
 *
 * The input is a program: what the peer writes and what the server does, one after the other (enum action). "During" is the
 * matter of a forked process that scribbles over the shared memory while it is told to; what it does is not repeated by
 * a second run, so with it less is asserted. Both segments lie between pages that nobody may touch. */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/parser_feed.h"
#include "fuzz.h"
#include "shm/end.h"

#define RING      SHM_RING_MIN
#define GUARD     ((size_t)4096)
#define INPUT_MAX 8192
/* An order to the other process takes as long as a thousand actions. */
#define SCRIBBLES_SELDOM 32

enum action {
    PEER_WRITES, /* as it should: bytes, then the tail */
    PEER_SETS_TAIL,
    PEER_MOVES_TAIL,
    PEER_SETS_HEAD,
    PEER_MOVES_HEAD,
    PEER_SETS_PARK,
    PEER_SPOILS_BYTE,
    PEER_SCRIBBLES, /* from now on, or no longer */
    SERVER_READS,
    SERVER_WRITES,
    SERVER_SETTLES,
    SERVER_ARMS,
    ACTIONS,
};

/* The client's segment, which the other process spoils, and what tells it to. */
struct shared {
    struct shm_control control;
    char ring[RING];
};

struct orders {
    _Atomic uint32_t given; /* odd: scribble */
    _Atomic uint32_t heard; /* as far as the other process has got */
};

static struct {
    struct shared *client; /* between guards */
    struct orders *orders;
    pid_t scribbler;
} place;

struct input {
    const uint8_t *bytes;
    size_t size, at;
};

struct server {
    struct shm_end end;
    struct feed feed;
    struct buf received;
    uint64_t peer_tail; /* as an honest peer would have it */
    bool is_honest, is_broken;
};

/* ---- The process that scribbles --------------------------------------------------------------------------------- */

static void scribble(void)
{
    const struct timespec rest = {0, 100000};
    struct shared *client = place.client;
    uint64_t random = 99;
    for (;;) {
        uint32_t order = atomic_load_explicit(&place.orders->given, memory_order_acquire);
        atomic_store_explicit(&place.orders->heard, order, memory_order_release);
        if (order % 2 == 0) {
            nanosleep(&rest, NULL);
            continue;
        }
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        uint64_t value = random >> 20;
        client->ring[value % RING] = (char)(value >> 16);
        /* Mostly words that could be true. */
        if (random >> 62 == 0)
            atomic_store_explicit(&client->control.tail, value % (2 * RING), memory_order_relaxed);
        else if (random >> 62 == 1)
            atomic_store_explicit(&client->control.head, value % 64, memory_order_relaxed);
        else
            atomic_store_explicit(&client->control.park, value, memory_order_relaxed);
    }
}

/* Begins or ends scribbling, and waits until it is so. */
static void order_scribbling(bool on)
{
    uint32_t order = atomic_load(&place.orders->given);
    if (order % 2 == on)
        return;
    atomic_store(&place.orders->given, order + 1);
    while (atomic_load(&place.orders->heard) != order + 1)
        sched_yield();
}

static char *map_between_guards(size_t size)
{
    char *base = mmap(NULL, size + 2 * GUARD, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT(base != MAP_FAILED && mprotect(base + GUARD, size, PROT_READ | PROT_WRITE) == 0);
    return base + GUARD;
}

static void end(void)
{
    kill(place.scribbler, SIGKILL);
    waitpid(place.scribbler, NULL, 0);
}

/* Once in the life of the process. The other one ends with it. */
static void begin(void)
{
    pid_t parent = getpid();
    /* The ring ends where the guard begins. */
    size_t size = (sizeof(struct shared) + GUARD - 1) / GUARD * GUARD;
    place.client = (struct shared *)(map_between_guards(size) + size - sizeof(struct shared));
    place.orders = (struct orders *)map_between_guards(GUARD);
    pid_t child = fork();
    ASSERT(child >= 0);
    if (child > 0) {
        place.scribbler = child;
        atexit(end);
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        scribble();
    _exit(0);
}

/* ---- Actions ---------------------------------------------------------------------------------------------------- */

static uint64_t take(struct input *input, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size && input->at < input->size; i++)
        value = value << 8 | input->bytes[input->at++];
    return value;
}

static void peer_writes(struct server *server, struct input *input)
{
    struct shm_control *control = &place.client->control;
    size_t size = take(input, 1);
    uint64_t unread = server->peer_tail - server->end.head;
    for (; size > 0 && unread < RING && input->at < input->size; size--, unread++)
        place.client->ring[server->peer_tail++ % RING] = (char)input->bytes[input->at++];
    atomic_store_explicit(&control->tail, server->peer_tail, memory_order_release);
}

static void check_end(const struct server *server)
{
    const struct shm_end *end = &server->end;
    ASSERT(end->peer_tail - end->head <= end->in_size);
    ASSERT(end->tail - end->peer_head <= end->out_size);
    ASSERT(atomic_load(&end->own->tail) == end->tail && atomic_load(&end->own->head) == end->head);
}

static void server_reads(struct server *server, size_t capacity)
{
    char *bytes = malloc(capacity); /* as large as it says, for the address checks */
    size_t size;
    ASSERT(bytes != NULL);
    switch (shm_read(&server->end, bytes, capacity, &size)) {
    case SHM_DONE:
        ASSERT(size > 0 && size <= capacity);
        buf_append(&server->received, bytes, size);
        feed_bytes(&server->feed, bytes, size);
        break;
    case SHM_NOTHING: break;
    case SHM_BROKEN:
        ASSERT(!server->is_honest);
        server->is_broken = true;
        break;
    }
    free(bytes);
}

static void server_writes(struct server *server, size_t size)
{
    static const char reply[2 * RING];
    size_t done;
    enum shm_answer answer = shm_write(&server->end, reply, size, &done);
    ASSERT(answer != SHM_DONE || (done > 0 && done <= size));
    ASSERT(answer != SHM_BROKEN || !server->is_honest);
    server->is_broken |= answer == SHM_BROKEN;
}

static void peer_lies(struct server *server, struct input *input, enum action action)
{
    struct shm_control *control = &place.client->control;
    server->is_honest = false;
    switch (action) {
    case PEER_SETS_TAIL: atomic_store(&control->tail, take(input, 8)); break;
    case PEER_MOVES_TAIL: atomic_fetch_add(&control->tail, (uint64_t)(int16_t)take(input, 2)); break;
    case PEER_SETS_HEAD: atomic_store(&control->head, take(input, 8)); break;
    case PEER_MOVES_HEAD: atomic_fetch_add(&control->head, (uint64_t)(int16_t)take(input, 2)); break;
    case PEER_SETS_PARK: atomic_store(&control->park, take(input, 8)); break;
    case PEER_SPOILS_BYTE: place.client->ring[take(input, 2) % RING] = (char)take(input, 1); break;
    default: order_scribbling(take(input, 1) % SCRIBBLES_SELDOM == 1); break;
    }
}

static void act(struct server *server, struct input *input)
{
    enum action action = (enum action)(take(input, 1) % ACTIONS);
    switch (action) {
    case PEER_WRITES: peer_writes(server, input); break;
    case SERVER_READS: server_reads(server, 1 + take(input, 2) % (2 * RING)); break;
    case SERVER_WRITES: server_writes(server, take(input, 2) % (2 * RING)); break;
    case SERVER_SETTLES: shm_settle(&server->end); break;
    case SERVER_ARMS:
        if (shm_arm(&server->end, take(input, 1) & SHM_WANTS))
            shm_disarm(&server->end);
        break;
    default: peer_lies(server, input, action);
    }
    check_end(server);
}

/* ---- The target ------------------------------------------------------------------------------------------------- */

/* The parser has seen what was copied: the copy, given at once, leads to the same. */
static void check_parser(struct server *server, struct parser_limits limits)
{
    struct feed whole;
    struct slice copy = buf_slice(&server->received);
    feed_init(&whole, limits);
    feed_bytes(&whole, copy.data, copy.size);
    ASSERT(slice_equal(buf_slice(&whole.seen), buf_slice(&server->feed.seen)));
    ASSERT(whole.failed == server->feed.failed);
    feed_done(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct parser_limits limits = {(int64_t)512 << 20, INT32_MAX, true};
    struct input input = {.bytes = bytes, .size = size};
    struct server server = {.is_honest = true};
    struct shm_control *own;
    char *out;
    if (size > INPUT_MAX)
        return 0;
    if (!place.client)
        begin();
    own = calloc(1, sizeof *own);
    out = malloc(RING);
    ASSERT(own != NULL && out != NULL);
    memset(place.client, 0, sizeof *place.client);
    shm_end_init(&server.end, own, out, RING, &place.client->control, place.client->ring, RING);
    feed_init(&server.feed, limits);
    while (input.at < input.size && !server.is_broken)
        act(&server, &input);
    order_scribbling(false);
    check_parser(&server, limits);
    feed_done(&server.feed);
    buf_done(&server.received);
    free(own);
    free(out);
    return 0;
}
