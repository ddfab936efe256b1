/* SHM: changing from the Unix socket to shared memory. What happens then is the I/O thread's: io/upgrade.c.
 *
 * Principal entry points: cmd_shm_open. Threads: executor. */
#include "config/config.h"
#include "exec/call.h"
#include "gen/args.h"
#include "shm/layout.h"

/* The ring that a client gets: what it has asked for, or the option's. False after an error. */
static bool choose_size(struct call *call, bool is_asked, int64_t asked, uint64_t option, uint64_t *ret_size)
{
    uint64_t largest = call->exec->config->shm_ring_max;
    uint64_t size = SHM_RING_MIN;
    if (!is_asked) {
        while (size < option && size < SHM_RING_MAX)
            size *= 2;
        *ret_size = size;
        return true;
    }
    *ret_size = (uint64_t)asked;
    if (shm_is_ring_size(*ret_size) && *ret_size <= largest)
        return true;
    reply_error(call->out,
                "ERR the size of a ring must be a power of two from %llu to %llu (option shm-ring-max)",
                (unsigned long long)SHM_RING_MIN, (unsigned long long)largest);
    return false;
}

/* Nothing of this connection may be on its way, in either direction: where it would belong could not be told. */
static bool is_alone(const struct client *client)
{
    const struct run *run = client->pending_head;
    return reply_size(&client->out) == 0 && run && run->next + 1 == run->count && !run->link;
}

static const char *refusal_of(const struct call *call, int64_t version)
{
    const struct client *client = call->client;
    if (!call->exec->config->shm)
        return "ERR shared memory is switched off (option shm)";
    if (strcmp(atomic_load_explicit(&client->shared->transport, memory_order_relaxed), "unix") != 0)
        return "ERR only a connection over the Unix socket can change to shared memory";
    if (version != SHM_VERSION)
        return "ERR this version of the shared memory protocol is not supported";
    if (client->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP))
        return "ERR SHM OPEN needs its reply";
    if (!is_alone(client))
        return "ERR SHM OPEN must be the only request on its way";
    return NULL;
}

void cmd_shm_open(struct call *call, const struct args_shm_open *args)
{
    const struct config *config = call->exec->config;
    struct client *client = call->client;
    struct port_rings rings = {.resp = call->out->resp};
    const char *refusal = refusal_of(call, args->version);
    if (refusal) {
        reply_error(call->out, "%s", refusal);
        return;
    }
    if (choose_size(call, args->has_request_ring, args->request_ring, config->shm_request_ring,
                    &rings.request) &&
        choose_size(call, args->has_reply_ring, args->reply_ring, config->shm_reply_ring, &rings.reply))
        client->port->upgrade(client->port, client->conn, &rings);
}
