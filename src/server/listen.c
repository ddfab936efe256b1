/* Where the server listens: addresses of bind and port, and the Unix socket.
 *
 * Threads: executor. */
#include <errno.h>
#include <grp.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "server/internal.h"

static struct server_listener *find(struct server *server, const struct transport *transport,
                                    const char *address, uint16_t port)
{
    for (unsigned i = 0; i < server->listener_count; i++) {
        struct server_listener *known = &server->listeners[i];
        if (known->transport == transport && known->port == port && strcmp(known->address, address) == 0)
            return known;
    }
    return NULL;
}

/* Listens on one more address, unless it does already. */
static enum status open_one(struct server *server, const struct transport *transport, const char *address,
                            uint16_t port, const gid_t *group, struct buf *ret_error)
{
    struct listen_options options = {
        .address = address,
        .port = port,
        .backlog = (int)server->config->tcp_backlog,
        .permissions = (unsigned)server->config->unixsocketperm,
        .group = group,
        .accepted = io_group_accept,
        .context = server->io,
    };
    if (find(server, transport, address, port))
        return ST_OK;
    if (server->listener_count == SERVER_LISTENERS_MAX) {
        buf_printf(ret_error, "more than %d addresses to listen on", SERVER_LISTENERS_MAX);
        return ST_LIMIT;
    }
    struct listener *listener;
    enum status status = transport_listen(transport, server->loop, &options, &listener);
    if (status == ST_OK) {
        listener->detach(listener);
        server->listeners[server->listener_count++] =
            (struct server_listener){transport, mem_strdup(address), port, listener};
        io_group_add_listener(server->io, listener);
        return ST_OK;
    }
    if (status == ST_NOT_FOUND)
        return ST_OK; /* an address with '-' that this machine does not have */
    const char *reason = status == ST_IO || status == ST_RANGE ? strerror(errno)
                         : status == ST_EXISTS                 ? "something else lies or answers there"
                         : status == ST_INVALID                ? "no such address or name"
                                                               : status_text(status);
    if (port)
        buf_printf(ret_error, "cannot listen on %s port %u: %s", address, port, reason);
    else
        buf_printf(ret_error, "cannot listen on '%s': %s", address, reason);
    return status;
}

static void close_listener(struct server *server, unsigned index)
{
    struct server_listener *known = &server->listeners[index];
    io_group_close_listener(server->io, known->listener);
    mem_free(known->address);
    *known = server->listeners[--server->listener_count];
}

static enum status open_tcp(struct server *server, struct buf *ret_error)
{
    const struct config_strings *bind = &server->config->bind;
    uint16_t port = (uint16_t)server->config->port;
    for (uint32_t i = 0; port && i < bind->count; i++) {
        enum status status = open_one(server, &transport_tcp, bind->items[i], port, NULL, ret_error);
        if (status != ST_OK)
            return status;
    }
    return ST_OK;
}

static enum status open_unix(struct server *server, struct buf *ret_error)
{
    const char *name = server->config->unixsocketgroup;
    if (*name == '\0')
        return open_one(server, &transport_unix, server->config->unixsocket, 0, NULL, ret_error);
    const struct group *group = getgrnam(name);
    if (group == NULL) {
        buf_printf(ret_error, "unixsocketgroup: there is no group '%s'", name);
        return ST_NOT_FOUND;
    }
    return open_one(server, &transport_unix, server->config->unixsocket, 0, &group->gr_gid, ret_error);
}

enum status server_listen(struct server *server, struct buf *ret_error)
{
    enum status status = open_tcp(server, ret_error);
    if (status == ST_OK && server->config->unixsocket[0])
        status = open_unix(server, ret_error);
    if (status == ST_OK && server->listener_count == 0) {
        buf_append_string(ret_error, "there is nothing to listen on: set port, or unixsocket");
        status = ST_INVALID;
    }
    return status;
}

static bool is_wanted(const struct server *server, const struct server_listener *known)
{
    const struct config_strings *bind = &server->config->bind;
    if (known->transport != &transport_tcp)
        return true;
    for (uint32_t i = 0; known->port == server->config->port && i < bind->count; i++)
        if (strcmp(bind->items[i], known->address) == 0)
            return true;
    return false;
}

/* Whether no TCP listener has the port of the configuration yet, so that it is the port that was to change. */
static bool is_new_port(const struct server *server)
{
    for (unsigned i = 0; i < server->listener_count; i++)
        if (server->listeners[i].transport == &transport_tcp &&
            server->listeners[i].port == server->config->port)
            return false;
    return true;
}

bool server_listen_again(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    unsigned before = server->listener_count;
    struct buf reason = {0};
    if (open_tcp(server, &reason) != ST_OK) {
        /* The words that scripts know from Redis, and then why. */
        buf_printf(ret_error, "%s (%s)",
                   is_new_port(server) ? "Unable to listen on this port. Check server logs."
                                       : "Failed to bind to specified addresses.",
                   buf_string(&reason));
        buf_done(&reason);
        while (server->listener_count > before)
            close_listener(server, server->listener_count - 1);
        return false;
    }
    for (unsigned i = server->listener_count; i-- > 0;)
        if (!is_wanted(server, &server->listeners[i]))
            close_listener(server, i);
    return true;
}

void server_forget_listeners(struct server *server)
{
    for (unsigned i = 0; i < server->listener_count; i++)
        mem_free(server->listeners[i].address);
}

/* The address under which a client on this machine reaches what listens on `bound`. */
static const char *reachable(const char *bound)
{
    bound += *bound == '-'; /* may be missing, which is nothing to a client */
    if (strcmp(bound, "*") == 0 || strcmp(bound, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(bound, "::*") == 0 || strcmp(bound, "::") == 0 ? "::1" : bound;
}

void server_describe_addresses(const struct server *server, struct buf *ret_text)
{
    const struct config *config = server->config;
    const char *password = config->requirepass[0] ? " -a PASSWORD" : "";
    if (config->port && config->bind.count)
        buf_printf(ret_text, "  connect with: skua-cli -h %s -p %d%s", reachable(config->bind.items[0]),
                   (int)config->port, password);
    if (config->unixsocket[0])
        buf_printf(ret_text, "%s  connect with: skua-cli -s %s%s", ret_text->size ? "\n" : "",
                   config->unixsocket, password);
}
