/* Which transport carries which scheme of URLs.
 *
 * Principal entry points: stream_actions_of.
 * A new transport is a row here. Threads: any. */
#include <stdio.h>

#include "client/stream.h"

/* The row's own name for a server that cannot be reached from here anyway. */
static void describe_host(const struct skua_url *url, char *text, size_t size)
{
    snprintf(text, size, "%s:%u", url->host, url->port);
}

static const struct stream_actions tls_absent = {
    .unsupported = "rediss:// (TLS) is not in this version of libskua",
    .describe = describe_host,
};

static const struct stream_actions rdma_absent = {
    .unsupported = "rdma:// is not in this version of libskua",
    .describe = describe_host,
};

const struct stream_actions *stream_actions_of(enum skua_scheme scheme)
{
    switch (scheme) {
    case SKUA_SCHEME_TCP: return &tcp_stream_actions;
    case SKUA_SCHEME_UNIX: return &unix_stream_actions;
    case SKUA_SCHEME_TLS: return &tls_absent;
    case SKUA_SCHEME_SHM: return &shm_stream_actions;
    case SKUA_SCHEME_RDMA: return &rdma_absent;
    }
    return &tls_absent;
}
