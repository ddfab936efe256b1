/* TCP over IPv4 and IPv6.
 *
 * Principal entry points: transport_tcp.
 * Threads: as transport/transport.h says.
 * Options that every connection shall have are set on the listening socket: Linux hands them down to what it
 * accepts, which saves a system call for each connection. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/num.h"
#include "transport/socket.h"
#include "transport/socket_pinned.h"

#define KEEPALIVE_PROBES 3
#define HOST_SIZE_MAX    256 /* a name or a numeric address, with its zero byte */

struct tcp_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t size;
};

/* `flags`: AI_NUMERICHOST when names must not be looked up. A name is looked up as an IPv4 one. */
static enum status resolve(const char *host, uint16_t port, int flags, struct tcp_address *ret_address)
{
    bool is_v6 = strchr(host, ':') != NULL;
    struct addrinfo hints = {
        .ai_family = is_v6 ? AF_INET6 : AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *found;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return ST_INVALID;
    struct tcp_address address = {.size = found->ai_addrlen};
    bool fits = found->ai_addrlen <= sizeof(address.v6);
    if (fits)
        memcpy(&address.any, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (fits && address.any.sa_family == AF_INET)
        address.v4.sin_port = htons(port);
    else if (fits && address.any.sa_family == AF_INET6)
        address.v6.sin6_port = htons(port);
    else
        return ST_INVALID;
    *ret_address = address;
    return ST_OK;
}

/* What a server may be told to bind: "*", "::*", an address or a name. A look-up may take seconds: names are for
 * the start of a server. */
static enum status bind_address(const char *text, uint16_t port, struct tcp_address *ret_address)
{
    if (strcmp(text, "*") == 0)
        text = "0.0.0.0";
    else if (strcmp(text, "::*") == 0)
        text = "::";
    /* A mistyped address must not be asked for as a name: names begin with a letter here. */
    bool is_name = isalpha((unsigned char)*text) && strchr(text, ':') == NULL;
    return resolve(text, port, is_name ? AI_PASSIVE : AI_PASSIVE | AI_NUMERICHOST, ret_address);
}

static bool family_is_missing(int error)
{
    return error == EAFNOSUPPORT || error == EPFNOSUPPORT || error == EPROTONOSUPPORT ||
           error == ESOCKTNOSUPPORT || error == ENOPROTOOPT;
}

static uint16_t bound_port(int fd)
{
    struct tcp_address address = {.size = sizeof(address.v6)};
    if (getsockname(fd, &address.any, &address.size) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
}

/* Opens, binds and listens. */
static enum status open_listening(const struct tcp_address *address, int backlog, int *ret_fd)
{
    const int on = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return ST_IO;
    /* A v6 socket for all addresses would take the v4 port as well. */
    if ((address->any.sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        bind(fd, &address->any, address->size) != 0 || listen(fd, backlog) != 0)
        return socket_give_up(fd, ST_IO);
    *ret_fd = fd;
    return ST_OK;
}

static void format_address(const struct tcp_address *address, char *ret_text, size_t capacity)
{
    char host[INET6_ADDRSTRLEN];
    if (address->any.sa_family == AF_INET &&
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host)) != NULL)
        snprintf(ret_text, capacity, "%s:%u", host, ntohs(address->v4.sin_port));
    else if (address->any.sa_family == AF_INET6 &&
             inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host)) != NULL)
        snprintf(ret_text, capacity, "[%s]:%u", host, ntohs(address->v6.sin6_port));
    else
        snprintf(ret_text, capacity, "?:0");
}

static bool is_loopback(const struct tcp_address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    if (address->any.sa_family != AF_INET6)
        return false;
    const struct in6_addr *v6 = &address->v6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

static void tcp_describe(const struct stream *stream, struct stream_description *ret_description)
{
    int fd = socket_descriptor(stream);
    struct tcp_address peer = {.size = sizeof(peer.v6)}, local = {.size = sizeof(local.v6)};
    *ret_description = (struct stream_description){.descriptor = fd};
    /* On failure (the peer is gone) the family stays unspecified, and the text is "?:0". */
    if (getpeername(fd, &peer.any, &peer.size) != 0)
        peer.any.sa_family = AF_UNSPEC;
    if (getsockname(fd, &local.any, &local.size) != 0)
        local.any.sa_family = AF_UNSPEC;
    format_address(&peer, ret_description->peer, sizeof(ret_description->peer));
    format_address(&local, ret_description->local, sizeof(ret_description->local));
    ret_description->is_loopback = is_loopback(&peer);
}

static void tcp_set_keepalive(struct stream *stream, unsigned seconds)
{
    int fd = socket_descriptor(stream);
    int on = seconds > 0;
    int idle = seconds > INT16_MAX ? INT16_MAX : (int)seconds; /* the kernel's limit */
    int interval = idle / KEEPALIVE_PROBES > 0 ? idle / KEEPALIVE_PROBES : 1;
    int probes = KEEPALIVE_PROBES;
    /* A kernel that refuses one of these keeps its own value: connections work all the same. */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (!on)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static const struct stream_ops tcp_ops = {
    .recv = socket_recv,
    .send = socket_send,
    .want = socket_want,
    .attach = socket_attach,
    .detach = socket_detach,
    .close = socket_close,
    .describe = tcp_describe,
    .set_keepalive = tcp_set_keepalive,
    .send_pinned = socket_send_pinned,
    .dissolve = socket_dissolve,
    .settle = socket_settle,
};

static enum status tcp_listen(const struct transport *transport, struct loop *loop,
                              const struct listen_options *options, struct listener **ret_listener)
{
    const char *text = options->address;
    bool optional = *text == '-';
    struct tcp_address address;
    struct socket_listener *listener;
    int fd = -1;
    enum status status = bind_address(text + optional, options->port, &address);
    if (status != ST_OK)
        return status;
    status = open_listening(&address, options->backlog, &fd);
    if (status == ST_IO && optional && (errno == EADDRNOTAVAIL || family_is_missing(errno)))
        return ST_NOT_FOUND;
    if (status != ST_OK)
        return status;
    status = socket_listener_new(transport, &tcp_ops, loop, fd, options, &listener);
    if (status != ST_OK)
        return status;
    listener->listener.port = bound_port(fd);
    *ret_listener = &listener->listener;
    return ST_OK;
}

/* Splits "host:port" or "[host]:port" and resolves it without a look-up. */
static enum status parse_endpoint(const char *text, struct tcp_address *ret_address)
{
    char host[HOST_SIZE_MAX];
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || !num_parse_u64(slice_from_string(colon + 1), &port) || port == 0 ||
        port > UINT16_MAX)
        return ST_INVALID;
    const char *end = colon;
    if (*text == '[') {
        if (colon[-1] != ']')
            return ST_INVALID;
        text++;
        end--;
    }
    size_t size = end > text ? (size_t)(end - text) : 0;
    if (size == 0 || size >= sizeof(host))
        return ST_INVALID;
    memcpy(host, text, size);
    host[size] = '\0';
    return resolve(host, (uint16_t)port, AI_NUMERICHOST, ret_address);
}

static enum status tcp_connect(const struct transport *transport, struct loop *loop, const char *text,
                               struct stream **ret_stream)
{
    const int on = 1;
    struct tcp_address address;
    enum status status = parse_endpoint(text, &address);
    if (status != ST_OK)
        return status;
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return ST_IO;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
        return socket_give_up(fd, ST_IO);
    return socket_connect(transport, &tcp_ops, loop, fd, &address.any, address.size, ret_stream);
}

const struct transport transport_tcp = {
    .name = "tcp",
    .capabilities = TRANSPORT_ZERO_COPY_SEND,
    .listen = tcp_listen,
    .connect = tcp_connect,
};
