/* TCP as streams: the name is looked up, then each of its addresses is tried in turn.
 *
 * Principal entry points: tcp_stream_actions.
 * Threads: the client's; resolve.c has one for lookups.
 *
 * | state      | descriptor      | what happens                        | next                                         |
 * |------------|-----------------|-------------------------------------|----------------------------------------------|
 * | RESOLVING  | of the lookup   | a thread looks the name up          | CONNECTING, by next_address                  |
 * | CONNECTING | the socket      | connect() to one address            | CONNECTING, by next_address; OPEN, by opened |
 * | OPEN       | the socket      | bytes pass                          |                                              |
 *
 * I1: `next` is the address to be tried after this one, within `addresses`.
 * I2: retired_socket and retired_lookup are what advance() has replaced; they are closed by its next call.
 * An address that does not answer may use its share of the attempt's time only, so that the last one has a chance. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skua/client.h>

#include "client/clock.h"
#include "client/memory.h"
#include "client/resolve.h"
#include "client/socket.h"
#include "client/stream.h"

#define KEEPALIVE_PROBES   3
#define ADDRESS_TRY_MIN_MS 100

enum tcp_state {
    TCP_RESOLVING,
    TCP_CONNECTING,
    TCP_OPEN,
};

struct tcp_stream {
    struct stream stream;
    enum tcp_state state;
    int descriptor;                  /* the socket, or -1 */
    struct lookup *lookup;           /* RESOLVING */
    struct addrinfo *addresses;      /* from CONNECTING on */
    const struct addrinfo *current;  /* CONNECTING: what is being tried */
    const struct addrinfo *next;     /* or NULL */
    int retired_socket;              /* or -1 */
    struct lookup *retired_lookup;   /* or NULL */
    struct addrinfo *source_address; /* to bind to, or NULL */
    struct stream_setup setup;
};

static struct tcp_stream *tcp_of(struct stream *stream)
{
    return (struct tcp_stream *)stream;
}

static void describe_parts(const char *host, unsigned port, char *text, size_t size)
{
    bool is_ipv6 = strchr(host, ':') != NULL;
    snprintf(text, size, "%s%s%s:%u", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", port);
}

static void tcp_describe(const struct skua_url *url, char *text, size_t size)
{
    describe_parts(url->host, url->port, text, size);
}

/* ---- One address after the other ---------------------------------------------------------------------------- */

/* "connect to ADDRESS: REASON", with the number, which says more than a name that has several. */
static enum skua_status refuse(const struct tcp_stream *self, int error, struct fault *fault)
{
    char host[NI_MAXHOST], text[NI_MAXHOST + 16];
    unsigned port = self->setup.url->port;
    if (getnameinfo(self->current->ai_addr, self->current->ai_addrlen, host, sizeof(host), NULL, 0,
                    NI_NUMERICHOST) != 0)
        snprintf(host, sizeof(host), "%.255s", self->setup.url->host);
    describe_parts(host, port, text, sizeof(text));
    return fault_set_errno(fault, error, "connect to %s", text);
}

static int bind_source(const struct tcp_stream *self, int descriptor)
{
    const struct addrinfo *source = self->source_address;
    if (source == NULL)
        return 0;
    if (source->ai_family != self->current->ai_family) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return bind(descriptor, source->ai_addr, source->ai_addrlen);
}

static void set_options(const struct tcp_stream *self, int descriptor)
{
    /* None of them decides whether the connection works: a system that refuses one is not told of it. */
    const int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    int idle_s = self->setup.keepalive_s;
    if (idle_s <= 0)
        return;
    int interval_s = idle_s / KEEPALIVE_PROBES > 0 ? idle_s / KEEPALIVE_PROBES : 1;
    int probes = KEEPALIVE_PROBES;
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

/* Whether the socket is connected to itself: a port of our own that nobody listens on may be chosen as the local one,
 * and TCP then meets itself. A server that is down must not look as if it echoed. */
static bool is_connected_to_itself(int descriptor)
{
    struct sockaddr_storage own, peer;
    memset(&own, 0, sizeof(own));
    memset(&peer, 0, sizeof(peer));
    socklen_t own_size = sizeof(own), peer_size = sizeof(peer);
    return getsockname(descriptor, (struct sockaddr *)&own, &own_size) == 0 &&
           getpeername(descriptor, (struct sockaddr *)&peer, &peer_size) == 0 && own_size == peer_size &&
           memcmp(&own, &peer, own_size) == 0;
}

/* When this address has used its share of the time that is left. */
static int64_t share_of_time_ms(const struct tcp_stream *self)
{
    if (self->next == NULL || self->setup.deadline_ms == CLOCK_NEVER)
        return CLOCK_NEVER;
    int64_t now_ms = clock_now_ms();
    int64_t addresses_left = 1;
    for (const struct addrinfo *other = self->next; other != NULL; other = other->ai_next)
        addresses_left++;
    int64_t share_ms = (self->setup.deadline_ms - now_ms) / addresses_left;
    return now_ms + (share_ms > ADDRESS_TRY_MIN_MS ? share_ms : ADDRESS_TRY_MIN_MS);
}

/* Begins with one address. SKUA_OK: connect() is under way or done. */
static enum skua_status try_address(struct tcp_stream *self, struct fault *fault)
{
    const struct addrinfo *address = self->current;
    int descriptor = socket_new(address->ai_family);
    if (descriptor < 0)
        return refuse(self, errno, fault);
    set_options(self, descriptor);
    int error = 0;
    if (bind_source(self, descriptor) < 0)
        error = errno;
    else if (connect(descriptor, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS &&
             errno != EINTR) /* interrupted: it goes on all the same */
        error = errno;
    if (error != 0) {
        close(descriptor);
        return refuse(self, error, fault);
    }
    self->descriptor = descriptor;
    self->stream.advance_ms = share_of_time_ms(self);
    return SKUA_OK;
}

/* Leaves what it was at and begins with the next address that can be tried at all. Without one the fault stays. */
static enum skua_status next_address(struct tcp_stream *self, struct fault *fault)
{
    if (self->descriptor >= 0) {
        self->retired_socket = self->descriptor;
        self->descriptor = -1;
    }
    self->state = TCP_CONNECTING;
    while (self->next != NULL) {
        self->current = self->next;
        self->next = self->next->ai_next;
        if (try_address(self, fault) == SKUA_OK)
            return SKUA_OK;
    }
    return fault->status;
}

static void let_go_of_retired(struct tcp_stream *self)
{
    if (self->retired_socket >= 0)
        close(self->retired_socket);
    self->retired_socket = -1;
    resolve_abandon(self->retired_lookup);
    self->retired_lookup = NULL;
}

static enum skua_status opened(struct tcp_stream *self)
{
    self->state = TCP_OPEN;
    self->stream.advance_ms = CLOCK_NEVER;
    return SKUA_OK;
}

static enum skua_status advance_lookup(struct tcp_stream *self, struct fault *fault)
{
    enum skua_status status = resolve_finish(self->lookup, &self->addresses, fault);
    if (status != SKUA_OK)
        return status;
    self->retired_lookup = self->lookup;
    self->lookup = NULL;
    self->next = self->addresses;
    status = next_address(self, fault);
    return status == SKUA_OK ? SKUA_AGAIN : status;
}

static enum skua_status advance_connect(struct tcp_stream *self, struct fault *fault)
{
    int error = 0;
    enum skua_status status = socket_connected(self->descriptor, &error);
    if (status == SKUA_AGAIN) {
        if (self->stream.advance_ms == CLOCK_NEVER || clock_now_ms() < self->stream.advance_ms)
            return SKUA_AGAIN;
        error = ETIMEDOUT;
    } else if (status == SKUA_OK) {
        if (!is_connected_to_itself(self->descriptor))
            return opened(self);
        error = ECONNREFUSED;
    }
    refuse(self, error, fault);
    status = next_address(self, fault);
    return status == SKUA_OK ? SKUA_AGAIN : status;
}

/* ---- Actions -------------------------------------------------------------------------------------------------- */

static enum skua_status tcp_advance(struct stream *stream, struct fault *fault)
{
    struct tcp_stream *self = tcp_of(stream);
    let_go_of_retired(self);
    switch (self->state) {
    case TCP_RESOLVING: return advance_lookup(self, fault);
    case TCP_CONNECTING: return advance_connect(self, fault);
    case TCP_OPEN: break;
    }
    return SKUA_OK;
}

static void tcp_close(struct stream *stream)
{
    struct tcp_stream *self = tcp_of(stream);
    let_go_of_retired(self);
    resolve_abandon(self->lookup);
    if (self->descriptor >= 0)
        close(self->descriptor);
    if (self->addresses != NULL)
        freeaddrinfo(self->addresses);
    if (self->source_address != NULL)
        freeaddrinfo(self->source_address);
    client_release(self->setup.allocator, self);
}

static enum skua_status find_source(struct tcp_stream *self, struct fault *fault)
{
    const char *text = self->setup.source_address;
    if (text == NULL)
        return SKUA_OK;
    enum skua_status status = resolve_numeric(text, 0, &self->source_address, fault);
    return status == SKUA_AGAIN ? fault_set(fault, SKUA_ERR_USE, "source_address %s is not numeric", text)
                                : status;
}

static enum skua_status begin(struct tcp_stream *self, struct fault *fault)
{
    const struct skua_url *url = self->setup.url;
    enum skua_status status = find_source(self, fault);
    if (status != SKUA_OK)
        return status;
    status = resolve_numeric(url->host, url->port, &self->addresses, fault);
    if (status == SKUA_AGAIN)
        return resolve_start(url->host, url->port, &self->lookup, fault);
    if (status != SKUA_OK)
        return status;
    self->next = self->addresses;
    return next_address(self, fault);
}

static enum skua_status tcp_open(const struct stream_setup *setup, struct stream **ret_stream,
                                 struct fault *fault)
{
    struct tcp_stream *self = client_allocate_zero(setup->allocator, 1, sizeof(*self));
    if (self == NULL)
        return fault_set(fault, SKUA_ERR_MEMORY, "no memory for a connection");
    *self = (struct tcp_stream){
        .stream = {.actions = &tcp_stream_actions, .advance_ms = CLOCK_NEVER, .transport = "tcp"},
        .state = TCP_RESOLVING,
        .descriptor = -1,
        .retired_socket = -1,
        .setup = *setup,
    };
    enum skua_status status = begin(self, fault);
    if (status != SKUA_OK) {
        tcp_close(&self->stream);
        return status;
    }
    *ret_stream = &self->stream;
    return SKUA_OK;
}

static enum skua_status tcp_receive(struct stream *stream, void *space, size_t capacity, size_t *ret_size,
                                    struct fault *fault)
{
    return socket_receive(tcp_of(stream)->descriptor, space, capacity, ret_size, fault);
}

static enum skua_status tcp_send(struct stream *stream, const struct iovec *vector, int count,
                                 size_t *ret_size, struct fault *fault)
{
    return socket_send(tcp_of(stream)->descriptor, vector, count, ret_size, fault);
}

static int tcp_descriptor(const struct stream *stream)
{
    const struct tcp_stream *self = (const struct tcp_stream *)stream;
    return self->state == TCP_RESOLVING ? resolve_descriptor(self->lookup) : self->descriptor;
}

static unsigned tcp_want(const struct stream *stream, unsigned wish)
{
    switch (((const struct tcp_stream *)stream)->state) {
    case TCP_RESOLVING: return SKUA_READ;
    case TCP_CONNECTING: return SKUA_WRITE;
    case TCP_OPEN: break;
    }
    return wish;
}

const struct stream_actions tcp_stream_actions = {
    .describe = tcp_describe,
    .open = tcp_open,
    .advance = tcp_advance,
    .receive = tcp_receive,
    .send = tcp_send,
    .descriptor = tcp_descriptor,
    .want = tcp_want,
    .close = tcp_close,
};
