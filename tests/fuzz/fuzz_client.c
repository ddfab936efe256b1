/* A client, whatever its server sends and its caller does: each callback once and in order, each request without one
 * told of at most once, nothing left of what the client took, and no call that waits for ever.
 *
 * The input is a list of steps: bytes that the server sends, how much passes at a time, losses, time, calls, and what
 * callbacks do in their turn. The transport, poll() and the clock are ours (the linker's --wrap, see meson.build): time
 * passes only when a step says so or somebody waits.
 * Threads: one. */
#include <poll.h>
#include <time.h>

#include <skua/skua.h>

#include "../support/reply_text.h"
#include "client/stream.h"
#include "fuzz.h"

#define REQUESTS_MAX 64
#define SENT_MAX     8192
#define INPUT_MAX    1000 /* bytes, and so requests */
#define DESCRIPTOR   1000 /* of no file */
#define POLLS_MAX    5000 /* in one call of the library: more is waiting for ever */
#define TIMEOUT_MS   50

/* What a callback does, once. */
enum deed {
    DEED_NOTHING,
    DEED_SUBMIT,
    DEED_CLOSE,
    DEED_RECONNECT,
    DEED_KEEP,
    DEED_ITEM,
    DEED_RUN,
    DEED_COUNT
};

static struct world {
    const uint8_t *input;
    size_t left;
    int64_t now_ns;
    unsigned polls;

    /* The server and the way to it. */
    char sent[SENT_MAX]; /* by the server, not yet received */
    size_t sent_size;
    size_t passes;   /* bytes that a receive or send takes at most; 0: none */
    bool open, ends; /* ends: what comes after `sent` is the end of the stream */
    bool refuses;    /* to be connected to */

    /* The caller. */
    struct skua_client *client;
    enum deed deed;
    unsigned submitted, called; /* requests with a callback */
    bool was_called[INPUT_MAX + 1];
    bool timeouts_differ;
    unsigned appended, told; /* requests without; skua_reconnect forgets some */
} world;

static unsigned take(unsigned limit)
{
    if (world.left == 0)
        return 0;
    world.left--;
    return *world.input++ % limit;
}

/* ---- The system ----------------------------------------------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_poll(struct pollfd *watched, nfds_t count, int timeout_ms);
const struct stream_actions *__wrap_stream_actions_of(enum skua_scheme scheme);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    (void)clock;
    ret_now->tv_sec = world.now_ns / 1000000000;
    ret_now->tv_nsec = world.now_ns % 1000000000;
    return 0;
}

/* Whatever is waited for, something happens: bytes pass, the server goes, or the time is over. */
int __wrap_poll(struct pollfd *watched, nfds_t count, int timeout_ms)
{
    REQUIRE(count == 1 && ++world.polls < POLLS_MAX);
    REQUIRE(timeout_ms >= 0 || watched->fd >= 0); /* else nothing could end it */
    if (timeout_ms > 0)
        world.now_ns += (int64_t)timeout_ms * 1000000;
    watched->revents = 0;
    if (watched->fd < 0)
        return 0;
    REQUIRE(watched->fd == DESCRIPTOR && world.open);
    if (timeout_ms < 0 && world.sent_size == 0)
        world.ends = true;
    if (world.passes == 0)
        world.passes = 7;
    watched->revents =
        (short)(watched->events & (POLLOUT | (world.sent_size > 0 || world.ends ? POLLIN : 0)));
    return watched->revents != 0;
}

/* ---- The transport -------------------------------------------------------------------------------------------- */

static struct stream stream;

static void way_describe(const struct skua_url *url, char *text, size_t size)
{
    snprintf(text, size, "%s", url->path);
}

static enum skua_status way_open(const struct stream_setup *setup, struct stream **ret_stream,
                                 struct fault *fault)
{
    (void)setup;
    REQUIRE(!world.open); /* the one before was closed first */
    if (world.refuses && take(2) == 0)
        return fault_set(fault, SKUA_ERR_IO, "refused at once");
    world.open = true;
    world.ends = false;
    world.sent_size = 0;
    stream.advance_ms = INT64_MAX;
    *ret_stream = &stream;
    return SKUA_OK;
}

static enum skua_status way_advance(struct stream *self, struct fault *fault)
{
    (void)self;
    REQUIRE(world.open);
    return world.refuses ? fault_set(fault, SKUA_ERR_IO, "refused") : SKUA_OK;
}

static enum skua_status way_receive(struct stream *self, void *space, size_t capacity, size_t *ret_size,
                                    struct fault *fault)
{
    (void)self;
    REQUIRE(world.open && capacity > 0);
    size_t size = world.sent_size;
    if (size == 0)
        return world.ends ? fault_set(fault, SKUA_ERR_CLOSED, "end") : SKUA_AGAIN;
    size = size < world.passes ? size : world.passes;
    size = size < capacity ? size : capacity;
    if (size == 0)
        return SKUA_AGAIN;
    memcpy(space, world.sent, size);
    memmove(world.sent, world.sent + size, world.sent_size - size);
    world.sent_size -= size;
    *ret_size = size;
    return SKUA_OK;
}

static enum skua_status way_send(struct stream *self, const struct iovec *vector, int count, size_t *ret_size,
                                 struct fault *fault)
{
    (void)self;
    REQUIRE(world.open && count == 1 && vector->iov_len > 0);
    if (world.ends)
        return fault_set(fault, SKUA_ERR_IO, "broken pipe");
    if (world.passes == 0)
        return SKUA_AGAIN;
    *ret_size = vector->iov_len < world.passes ? vector->iov_len : world.passes;
    return SKUA_OK;
}

static int way_descriptor(const struct stream *self)
{
    (void)self;
    return DESCRIPTOR;
}

static unsigned way_want(const struct stream *self, unsigned wish)
{
    (void)self;
    return wish;
}

static void way_close(struct stream *self)
{
    (void)self;
    REQUIRE(world.open);
    world.open = false;
}

static const struct stream_actions way_actions = {
    .describe = way_describe,
    .open = way_open,
    .advance = way_advance,
    .receive = way_receive,
    .send = way_send,
    .descriptor = way_descriptor,
    .want = way_want,
    .close = way_close,
};

const struct stream_actions *__wrap_stream_actions_of(enum skua_scheme scheme)
{
    (void)scheme;
    return &way_actions;
}

/* ---- The caller ------------------------------------------------------------------------------------------------- */

static const char *const commands[][2] = {
    {"GET", "x"},   {"SUBSCRIBE", "a"}, {"UNSUBSCRIBE", NULL}, {"MONITOR", NULL},
    {"HELLO", "3"}, {"RESET", NULL},    {"SYNC", NULL},        {"PSUBSCRIBE", "a"},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void on_reply(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                     void *user);

static void submit(bool with_callback)
{
    unsigned which = take(COMMAND_COUNT);
    const char *const *arguments = commands[which];
    /* Counted before, because on_watch is called within. */
    void *user = with_callback ? (void *)(uintptr_t)++world.submitted : NULL;
    world.appended += !with_callback;
    enum skua_status status = skua_submit(world.client, arguments[1] != NULL ? 2 : 1, arguments, NULL,
                                          with_callback ? on_reply : NULL, user);
    REQUIRE(status == SKUA_OK || status == SKUA_ERR_FULL || status == SKUA_ERR_USE ||
            status == SKUA_ERR_MEMORY);
    if (status == SKUA_OK)
        return;
    if (with_callback)
        world.submitted--;
    else
        world.appended--;
}

/* One reply of the caller's was told of. */
static void told(void)
{
    REQUIRE(++world.told <= world.appended);
}

static void next_item(void)
{
    struct skua_item item;
    enum skua_status status = skua_next_item(world.client, &item);
    if (world.client == NULL) {
        REQUIRE(status == SKUA_ERR_CLOSED);
    } else if (status == SKUA_OK) {
        for (size_t i = 0; item.string != NULL && i < item.length; i++)
            (void)*(volatile const char *)(item.string + i);
        if (item.last)
            told();
    } else if (status != SKUA_AGAIN && status != SKUA_ERR_USE && status != SKUA_ERR_MEMORY) {
        told();
    }
}

static void do_deed(void)
{
    enum deed deed = world.deed;
    world.deed = DEED_NOTHING;
    switch (deed) {
    case DEED_SUBMIT: submit(true); break;
    case DEED_CLOSE: {
        struct skua_client *client = world.client;
        world.client = NULL;
        skua_close(client);
        break;
    }
    case DEED_RECONNECT: skua_reconnect(world.client); break;
    case DEED_KEEP: skua_reply_free(skua_keep(world.client)); break;
    case DEED_ITEM: next_item(); break;
    case DEED_RUN: REQUIRE(skua_run(world.client, SKUA_READ | SKUA_WRITE) == SKUA_OK); break;
    default: break;
    }
}

static void on_reply(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                     void *user)
{
    (void)client;
    const size_t number = (uintptr_t)user;
    REQUIRE(!world.was_called[number]);
    world.was_called[number] = true;
    world.called++;
    REQUIRE(number == world.called ||
            world.timeouts_differ); /* in order, but for those whose time is over first */
    REQUIRE((status == SKUA_OK) == (reply != NULL));
    if (world.client != NULL)
        do_deed();
}

static void on_push(struct skua_client *client, const struct skua_reply *push, void *user)
{
    (void)client, (void)user;
    REQUIRE(push != NULL);
    if (world.client != NULL)
        do_deed();
}

static void on_state(struct skua_client *client, enum skua_state state, void *user)
{
    (void)client, (void)state, (void)user;
    if (world.client != NULL)
        do_deed();
}

static void on_watch(struct skua_client *client, int descriptor, unsigned want, void *user)
{
    (void)want, (void)user;
    REQUIRE(descriptor == -1 || (descriptor == DESCRIPTOR && world.open));
    REQUIRE(skua_descriptor(client) == descriptor);
    if (world.client != NULL)
        do_deed();
}

/* ---- Steps ------------------------------------------------------------------------------------------------------ */

static const char *const answers[] = {
    "+OK\r\n",
    ":1\r\n",
    "$3\r\nabc\r\n",
    "-ERR no\r\n",
    "*2\r\n:1\r\n*1\r\n$-1\r\n",
    "%1\r\n$5\r\nproto\r\n:3\r\n",
    ">2\r\n+a\r\n$5\r\nhello\r\n",
    "|1\r\n+a\r\n:1\r\n",
    "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n",
    "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
    ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
    "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n",
    "+1700000000.1 [0 x]\r\n",
    "+QUEUED\r\n",
    "$9\r\nab",
    "*2\r\n+x\r\n",
};
#define ANSWER_COUNT (sizeof(answers) / sizeof(answers[0]))

static void server_sends(const void *bytes, size_t size)
{
    if (!world.open || size > SENT_MAX - world.sent_size)
        return;
    memcpy(world.sent + world.sent_size, bytes, size);
    world.sent_size += size;
}

static void take_reply(void)
{
    struct skua_reply *reply = NULL;
    enum skua_status status = skua_get_reply(world.client, &reply);
    if (world.client == NULL) {
        skua_reply_free(reply);
        return;
    }
    if (status != SKUA_ERR_USE)
        told();
    skua_reply_free(reply);
}

static void step(void)
{
    char bytes[16];
    size_t size;
    unsigned number;
    world.polls = 0;
    switch (take(16)) {
    case 0: submit(true); break;
    case 1: submit(false); break;
    case 2:
    case 3:
        number = take(ANSWER_COUNT);
        server_sends(answers[number], strlen(answers[number]));
        break;
    case 4:
        bytes[0] = (char)take(256);
        server_sends(bytes, 1);
        break;
    case 5: world.passes = take(64); break;
    case 6: world.ends = world.open; break;
    case 7: world.now_ns += (int64_t)take(100) * 1000000; break;
    case 8: skua_run(world.client, take(4)); break;
    case 9: skua_run(world.client, SKUA_READ | SKUA_WRITE); break;
    case 10: next_item(); break;
    case 11: take_reply(); break;
    case 12: skua_wait(world.client, take(20)); break;
    case 13: world.deed = (enum deed)take(DEED_COUNT); break;
    case 14:
        switch (take(5)) {
        case 0: skua_reconnect(world.client); break;
        case 1: skua_append_raw(world.client, "raw", 3, 0); break;
        case 2: skua_take_bytes(world.client, bytes, sizeof(bytes), &size); break;
        case 3: skua_flush(world.client); break;
        default:
            world.timeouts_differ = true;
            skua_set_command_timeout(world.client, take(3) == 0 ? -1 : (int)take(TIMEOUT_MS));
            break;
        }
        break;
    default: world.refuses = !world.refuses; break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    struct counting counting = {0};
    struct skua_allocator allocator = counting_allocator(&counting);
    world = (struct world){.input = bytes, .left = size, .now_ns = 1000000000, .passes = SENT_MAX};
    struct skua_options options;
    skua_options_init(&options);
    options.allocator = &allocator;
    options.reconnect_max = (int)take(4); /* without a limit a call may wait for ever */
    options.reconnect_delay_ms = 5;
    options.connect_timeout_ms = 100;
    options.command_timeout_ms = TIMEOUT_MS;
    options.protocol = 2 + (int)take(2);
    options.db = (int)take(2);
    options.pending_max = REQUESTS_MAX;
    counting.fail_at = take(2) == 0 ? 0 : 8 + take(200);
    if (skua_open("unix:///fuzz", &options, &world.client) == SKUA_OK) {
        skua_on_push(world.client, on_push, NULL);
        skua_on_state(world.client, on_state, NULL);
        skua_on_watch(world.client, on_watch, NULL);
        while (world.left > 0 && world.client != NULL)
            step();
        struct skua_client *client = world.client;
        world.client = NULL; /* callbacks do nothing more */
        skua_close(client);
    }
    REQUIRE(world.called == world.submitted);
    REQUIRE(!world.open && counting.live == 0);
    return 0;
}
