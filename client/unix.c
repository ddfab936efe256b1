/* Unix sockets as streams.
 *
 * Principal entry points: unix_stream_actions.
 * Threads: the client's.
 *
 * | state  | what happens                                              | next                                   |
 * |--------|-----------------------------------------------------------|----------------------------------------|
 * | FULL   | the server's queue of connections was full: a short delay | OPEN or FULL, by unix_advance          |
 * | OPEN   | bytes pass                                                |                                        |
 * A Unix socket connects at once or not at all: there is no way to be told when a full queue has room again. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <skua/client.h>

#include "client/clock.h"
#include "client/memory.h"
#include "client/socket.h"
#include "client/stream.h"

#define FULL_DELAY_MS     1
#define FULL_DELAY_MAX_MS 32

enum unix_state {
    UNIX_FULL,
    UNIX_OPEN,
};

struct unix_stream {
    struct stream stream;
    enum unix_state state;
    int descriptor;
    int64_t delay_ms; /* FULL: the next one */
    struct stream_setup setup;
};

static struct unix_stream *unix_of(struct stream *stream)
{
    return (struct unix_stream *)stream;
}

static void unix_describe(const struct skua_url *url, char *text, size_t size)
{
    snprintf(text, size, "%s", url->path);
}

/* One attempt. SKUA_AGAIN: it is FULL. */
static enum skua_status try_connect(struct unix_stream *self, struct fault *fault)
{
    const char *path = self->setup.url->path;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1); /* unix_open has looked at the length */
    int result;
    do
        result = connect(self->descriptor, (const struct sockaddr *)&address, sizeof(address));
    while (result < 0 && errno == EINTR);
    if (result == 0) {
        self->state = UNIX_OPEN;
        self->stream.advance_ms = clock_now_ms();
        return SKUA_OK;
    }
    if (errno != EAGAIN)
        return fault_set_errno(fault, errno, "connect to %s", path);
    self->stream.advance_ms = clock_now_ms() + self->delay_ms;
    self->delay_ms = self->delay_ms * 2 < FULL_DELAY_MAX_MS ? self->delay_ms * 2 : FULL_DELAY_MAX_MS;
    return SKUA_AGAIN;
}

static void unix_close(struct stream *stream)
{
    struct unix_stream *self = unix_of(stream);
    const struct skua_allocator *allocator = self->setup.allocator;
    close(self->descriptor);
    client_release(allocator, self);
}

static enum skua_status unix_open(const struct stream_setup *setup, struct stream **ret_stream,
                                  struct fault *fault)
{
    const char *path = setup->url->path;
    size_t path_max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    if (strlen(path) > path_max)
        return fault_set(fault, SKUA_ERR_IO, "connect to %.40s...: the path is longer than %zu bytes", path,
                         path_max);
    struct unix_stream *self = client_allocate_zero(setup->allocator, 1, sizeof(*self));
    if (self == NULL)
        return fault_set(fault, SKUA_ERR_MEMORY, "no memory for a connection");
    *self = (struct unix_stream){
        .stream = {.actions = &unix_stream_actions, .advance_ms = CLOCK_NEVER, .transport = "unix"},
        .state = UNIX_FULL,
        .descriptor = socket_new(AF_UNIX),
        .delay_ms = FULL_DELAY_MS,
        .setup = *setup,
    };
    if (self->descriptor < 0) {
        fault_set_errno(fault, errno, "connect to %s", path);
        client_release(setup->allocator, self);
        return fault->status;
    }
    enum skua_status status = try_connect(self, fault);
    if (status != SKUA_OK && status != SKUA_AGAIN) {
        unix_close(&self->stream);
        return status;
    }
    *ret_stream = &self->stream;
    return SKUA_OK;
}

static enum skua_status unix_advance(struct stream *stream, struct fault *fault)
{
    struct unix_stream *self = unix_of(stream);
    if (self->state == UNIX_OPEN)
        return SKUA_OK;
    if (clock_now_ms() < self->stream.advance_ms)
        return SKUA_AGAIN;
    return try_connect(self, fault);
}

static enum skua_status unix_receive(struct stream *stream, void *space, size_t capacity, size_t *ret_size,
                                     struct fault *fault)
{
    return socket_receive(unix_of(stream)->descriptor, space, capacity, ret_size, fault);
}

static enum skua_status unix_send(struct stream *stream, const struct iovec *vector, int count,
                                  size_t *ret_size, struct fault *fault)
{
    return socket_send(unix_of(stream)->descriptor, vector, count, ret_size, fault);
}

static int unix_descriptor(const struct stream *stream)
{
    /* poll() finds a socket that is not connected always ready, whatever it is watched for. */
    const struct unix_stream *self = (const struct unix_stream *)stream;
    return self->state == UNIX_OPEN ? self->descriptor : -1;
}

static unsigned unix_want(const struct stream *stream, unsigned wish)
{
    return ((const struct unix_stream *)stream)->state == UNIX_OPEN ? wish : 0;
}

const struct stream_actions unix_stream_actions = {
    .describe = unix_describe,
    .open = unix_open,
    .advance = unix_advance,
    .receive = unix_receive,
    .send = unix_send,
    .descriptor = unix_descriptor,
    .want = unix_want,
    .close = unix_close,
};
