/* What is told of a client: its line in CLIENT LIST, and its type.
 *
 * Principal entry points: client_describe, client_type_name.
 * See also: client.c.
 * Threads: executor only. What the I/O thread counts is read relaxed: the numbers of one line may be of slightly
 * different moments. */
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "exec/client.h"
#include "exec/command.h"
#include "exec/exec.h"
#include "exec/permit.h"
#include "exec/pubsub.h"
#include "exec/sliced.h"
#include "exec/tracking.h"
#include "exec/transaction.h"
#include "exec/watch.h"

#define RELAXED(field) atomic_load_explicit(&(field), memory_order_relaxed)

bool client_is_local(const struct client *client)
{
    const struct conn_shared *shared = client->shared;
    return shared->is_local_socket || strncmp(shared->peer, "127.0.0.1:", strlen("127.0.0.1:")) == 0 ||
           strncmp(shared->peer, "[::1]:", strlen("[::1]:")) == 0;
}

const char *client_type_name(const struct client *client)
{
    if (client->flags & CLIENT_PRIMARY)
        return "master";
    if (client->flags & CLIENT_REPLICA)
        return "replica";
    return client_subscription_count(client) > 0 ? "pubsub" : "normal";
}

/* One letter for each state, in the order in which Redis shows them; N when there is none. */
static void append_flags(const struct client *client, struct buf *text)
{
    uint32_t flags = client->flags;
    bool tracks = flags & CLIENT_TRACKING;
    bool close_now = flags & CLIENT_CLOSING && client->close_how == CLOSE_NOW;
    bool close_later = flags & CLIENT_CLOSING && client->close_how == CLOSE_AFTER_REPLIES;
    const struct {
        bool is_set;
        char letter;
    } letters[] = {
        {flags & CLIENT_MONITOR, 'O'},
        {flags & CLIENT_REPLICA, 'S'},
        {flags & CLIENT_PRIMARY, 'M'},
        {client_subscription_count(client) > 0, 'P'},
        {flags & CLIENT_IN_TRANSACTION, 'x'},
        {flags & (CLIENT_BLOCKED | CLIENT_PAUSED | CLIENT_SLICED), 'b'},
        {tracks, 't'},
        {tracks && tracking_is_broken(client), 'R'},
        {tracks && tracking_modes(client) & TRACKING_BROADCAST, 'B'},
        {flags & CLIENT_DIRTY_CAS, 'd'},
        {close_later, 'c'},
        {flags & CLIENT_UNBLOCKED, 'u'},
        {close_now, 'A'},
        {client->shared->is_local_socket, 'U'},
        {flags & CLIENT_NO_EVICT, 'e'},
        {flags & CLIENT_NO_TOUCH, 'T'},
    };
    size_t size_before = text->size;
    for (size_t i = 0; i < ARRAY_COUNT(letters); i++)
        if (letters[i].is_set)
            buf_append_char(text, letters[i].letter);
    if (text->size == size_before)
        buf_append_char(text, 'N');
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* The client's last command: the executor does not hear of reads that the I/O thread answers. */
static const struct command *last_command(const struct client *client)
{
    const struct command *direct = RELAXED(client->shared->direct_command);
    return direct ? direct : client->last_command;
}

int64_t client_idle_ms(const struct client *client)
{
    const struct exec *exec = client->exec;
    int64_t idle_ms = exec->now_ms - client->active_ms;
    uint64_t direct_ns = RELAXED(client->shared->direct_ns), now_ns = clock_monotonic_ns(exec->clock);
    int64_t direct_ms = now_ns > direct_ns ? (int64_t)((now_ns - direct_ns) / 1000000) : 0;
    return direct_ns != 0 && direct_ms < idle_ms ? direct_ms : idle_ms;
}

static void append_identity(const struct client *client, struct buf *text)
{
    int64_t now_ms = client->exec->now_ms;
    buf_printf(text, "id=%llu addr=%s laddr=%s fd=%d name=%s", (unsigned long long)client->id,
               client->shared->peer, client->shared->local, client->shared->descriptor,
               or_empty(client->name));
    buf_printf(text, " age=%lld idle=%lld flags=", (long long)(now_ms - client->created_ms) / 1000,
               (long long)client_idle_ms(client) / 1000);
    append_flags(client, text);
    buf_printf(text, " capa= db=%u sub=%u psub=%u ssub=%u multi=%lld watch=%u", client->db->number,
               pubsub_client_count(client, PUBSUB_CHANNEL), pubsub_client_count(client, PUBSUB_PATTERN),
               pubsub_client_count(client, PUBSUB_SHARD),
               client->transaction ? (long long)client->transaction->count : -1LL, watch_count(client));
}

/* rbs and rbp, the sizes of a fixed reply buffer, are those of the chunk that replies are being written into. obl
 * counts what the executor has not yet handed over, oll what the I/O thread has not yet sent, omem that and what the
 * kernel still reads. */
static void append_memory(const struct client *client, struct buf *text)
{
    const struct conn_shared *shared = client->shared;
    uint64_t query = RELAXED(shared->query_bytes);
    uint64_t query_free = RELAXED(shared->query_free);
    uint64_t sent_later = conn_shared_unsent(shared);
    uint64_t held = reply_size(&client->out) + client->log_lag;
    uint64_t queued = client->transaction ? client->transaction->memory : 0;
    uint64_t chunk = reply_is_empty(&client->out) ? 0 : CHUNK_CAPACITY;
    uint64_t total = sizeof *client + query + query_free + client->argument_bytes + queued + sent_later +
                     (held > chunk ? held : chunk) + pubsub_client_memory(client) +
                     tracking_client_memory(client);
    buf_printf(text, " qbuf=%llu qbuf-free=%llu argv-mem=%llu multi-mem=%llu", (unsigned long long)query,
               (unsigned long long)query_free, (unsigned long long)client->argument_bytes,
               (unsigned long long)queued);
    buf_printf(text, " rbs=%llu rbp=%llu obl=%llu oll=%u omem=%llu tot-mem=%llu events=%s",
               (unsigned long long)chunk, (unsigned long long)chunk, (unsigned long long)held,
               RELAXED(shared->output_chunks), (unsigned long long)sent_later, (unsigned long long)total,
               sent_later ? "rw" : "r");
}

void client_describe_flags(const struct client *client, struct buf *ret_text)
{
    append_flags(client, ret_text);
}

void client_describe(const struct client *client, struct buf *ret_text)
{
    const struct conn_shared *shared = client->shared;
    append_identity(client, ret_text);
    append_memory(client, ret_text);
    const struct command *last = last_command(client);
    long long redirect = client->flags & CLIENT_TRACKING ? (long long)tracking_redirect(client) : -1;
    buf_printf(ret_text, " cmd=%s user=%s redir=%lld resp=%d lib-name=%s lib-ver=%s",
               last ? last->full_name : "NULL", permit_user_name(client), redirect, client->out.resp,
               or_empty(client->library_name), or_empty(client->library_version));
    buf_printf(ret_text, " tot-net-in=%llu tot-net-out=%llu tot-cmds=%llu io-thread=%u",
               (unsigned long long)RELAXED(shared->bytes_in), (unsigned long long)RELAXED(shared->bytes_out),
               (unsigned long long)(client->commands + RELAXED(shared->direct_reads)),
               RELAXED(shared->io_thread));
    buf_printf(ret_text, " transport=%s", atomic_load_explicit(&shared->transport, memory_order_relaxed));
    if (strcmp(atomic_load_explicit(&shared->transport, memory_order_relaxed), "shm") == 0)
        buf_printf(ret_text, " shm-spins=%llu shm-parks=%llu shm-bells=%llu",
                   (unsigned long long)RELAXED(shared->waits.spins),
                   (unsigned long long)RELAXED(shared->waits.parks),
                   (unsigned long long)RELAXED(shared->waits.bells));
    if (unlikely(client->flags & CLIENT_SLICED))
        buf_printf(ret_text, " progress=%d", sliced_progress(client));
}
