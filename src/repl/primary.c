/* The primary's side of replication: who follows, from which position, and what they have acknowledged. States and rules in
 * primary.h.
 *
 * See also: feed.c, full_sync.c.
 * Threads: executor. */
#include "repl/primary.h"

#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/log.h"
#include "base/num.h"
#include "config/config.h"
#include "exec/client.h"
#include "exec/direct.h"
#include "exec/exec.h"
#include "keyspace/keyspace.h"
#include "repl/full_sync.h"
#include "repl/repl.h"

#define SECOND_MS 1000

/* ---- Life ----------------------------------------------------------------------------------------- */

struct primary *primary_new(struct repl *repl)
{
    struct primary *primary = mem_calloc(1, sizeof *primary);
    primary->repl = repl;
    primary->exec = repl->exec;
    list_init(&primary->followers);
    list_init(&primary->ack_waits);
    list_init(&primary->syncs);
    return primary;
}

void primary_free(struct primary *primary)
{
    ASSERT(list_is_empty(&primary->followers) && list_is_empty(&primary->ack_waits));
    full_sync_end_all(primary);
    primary_history_end(primary);
    while (exec_has_posts(primary->exec)) /* drained connections, snapshots that nobody wants, their files */
        exec_run_posts(primary->exec);
    ASSERT(list_is_empty(&primary->syncs));
    mem_free(primary);
}

/* ---- History -------------------------------------------------------------------------------------- */

void primary_note_history(struct primary *primary)
{
    primary->id_generation = primary->exec->propagate.generation;
}

void primary_keep_history(struct primary *primary)
{
    struct exec *exec = primary->exec;
    if (!(exec->propagate.needs & PROPAGATE_BACKLOG))
        propagate_set_need(exec, PROPAGATE_BACKLOG, true);
    if (primary->id_generation != exec->propagate.generation)
        repl_new_history(primary->repl); /* what has happened since the id was drawn stands in no log */
    if (primary->follower_count == 0)
        primary->lonely_since_ms = exec->now_ms;
}

static bool is_id(const char *id, struct slice word)
{
    return word.size == REPL_ID_SIZE && strncasecmp(id, word.data, REPL_ID_SIZE) == 0;
}

bool primary_has_history(const struct primary *primary, struct slice id, int64_t offset,
                         uint64_t *ret_position)
{
    const struct repl *repl = primary->repl;
    const struct changelog *log = primary->exec->propagate.log;
    bool is_known = is_id(repl->id, id) || (is_id(repl->second_id, id) && offset <= repl->second_offset);
    if (!is_known || log == NULL || primary->id_generation != primary->exec->propagate.generation ||
        offset < 1)
        return false;
    uint64_t position = (uint64_t)offset - 1;
    if (position < primary_history_start(primary) || position > changelog_end(log))
        return false;
    *ret_position = position;
    return true;
}

/* Option repl-backlog-ttl. A replica keeps what it has: it may be the next primary. */
static void forget_history_in_time(struct primary *primary)
{
    struct exec *exec = primary->exec;
    int64_t ttl_s = exec->config->repl_backlog_ttl;
    if (primary->lonely_since_ms == 0 || ttl_s == 0 || primary->repl->is_replica ||
        exec->now_ms - primary->lonely_since_ms < ttl_s * SECOND_MS)
        return;
    primary->lonely_since_ms = 0;
    if (!(exec->propagate.needs & PROPAGATE_BACKLOG))
        return;
    log_write(exec->log, LOG_NOTICE, "no replica for %lld s: the history for them is given up",
              (long long)ttl_s);
    full_sync_end_all(primary);
    primary_history_end(primary);
    propagate_set_need(exec, PROPAGATE_BACKLOG, false);
    repl_new_history(primary->repl);
}

/* ---- Followers ------------------------------------------------------------------------------------ */

struct follower *primary_follower(struct primary *primary, struct client *client)
{
    if (client->follower == NULL) {
        struct follower *follower = mem_calloc(1, sizeof *follower);
        follower->primary = primary;
        follower->client = client;
        follower->since_ms = primary->exec->now_ms;
        client->follower = follower;
    }
    return client->follower;
}

void follower_enter(struct follower *follower, enum follower_state state)
{
    int64_t now_ms = follower->primary->exec->now_ms;
    follower->state = state;
    follower->since_ms = follower->moved_at_ms = follower->acked_at_ms = now_ms;
}

/* From now on F1 holds. */
static void become_replica(struct follower *follower)
{
    struct primary *primary = follower->primary;
    struct client *client = follower->client;
    client->flags |= CLIENT_REPLICA;
    client_note_patience(client);
    client_update_direct(client);
    atomic_store_explicit(&client->shared->output_class, OUTPUT_REPLICA, memory_order_relaxed);
    list_append(&primary->followers, &follower->node);
    primary->follower_count++;
    primary->lonely_since_ms = 0;
    primary_update_feed(primary);
}

static void close_cursor(struct follower *follower)
{
    if (follower->cursor.log)
        changelog_close(&follower->cursor);
}

void follower_drop(struct follower *follower, const char *reason)
{
    char host[FOLLOWER_ADDRESS_MAX + 1];
    int64_t port;
    if (follower->client->flags & CLIENT_CLOSING)
        return;
    follower_describe(follower, host, &port);
    log_write(follower->primary->exec->log, LOG_WARNING, "replica %s:%lld is dropped: %s", host,
              (long long)port, reason);
    full_sync_forget(follower);
    close_cursor(follower);
    client_close(follower->client, CLOSE_NOW);
}

void primary_client_gone(struct primary *primary, struct client *client)
{
    struct follower *follower = client->follower;
    if (follower == NULL)
        return;
    client->follower = NULL;
    full_sync_forget(follower);
    close_cursor(follower);
    chunk_list_drop(&follower->held, primary->exec->chunks, primary->exec->workers);
    if (follower->state != FOLLOWER_GREETING) {
        list_remove(&follower->node);
        primary->follower_count--;
    }
    if (client->flags & CLIENT_REPLICA)
        primary->sent_before += atomic_load_explicit(&client->shared->bytes_out, memory_order_relaxed);
    if (primary->follower_count == 0 && client->flags & CLIENT_REPLICA) {
        primary->lonely_since_ms = primary->exec->now_ms;
        primary_update_feed(primary);
    }
    bool is_free = follower_forget_drain(follower);
    follower->client = NULL;
    if (is_free)
        mem_free(follower);
}

void primary_drop_followers(struct primary *primary)
{
    list_for_each(&primary->followers, node)
    {
        struct follower *follower = list_entry(node, struct follower, node);
        follower_drop(follower, "the data has another history from now on");
        close_cursor(follower); /* also of one that was going anyway */
    }
    full_sync_end_all(primary);
}

/* ---- PSYNC and SYNC ------------------------------------------------------------------------------- */

static void log_asks(const struct follower *follower, const char *what)
{
    char host[FOLLOWER_ADDRESS_MAX + 1];
    int64_t port;
    follower_describe(follower, host, &port);
    log_write(follower->primary->exec->log, LOG_NOTICE, "replica %s:%lld %s", host, (long long)port, what);
}

/* What has said its version and is older than Valkey 9 cannot read such hashes: it would get the whole snapshot, refuse it, and ask again. */
static bool refuse_old_reader(const struct follower *follower)
{
    const struct keyspace *keyspace = follower->primary->exec->keyspace;
    uint64_t count = 0;
    for (uint32_t i = 0; i < keyspace->db_count; i++)
        count += keyspace->dbs[i].timed_count;
    if (count == 0 || !follower->knows_no_times)
        return false;
    reply_error(
        &follower->client->out,
        "ERR %llu hashes here have fields with a time to live, which a replica of this version cannot read",
        (unsigned long long)count);
    log_asks(follower, "is refused: it cannot read hashes whose fields have a time to live");
    return true;
}

static void wait_for_snapshot(struct follower *follower)
{
    if (refuse_old_reader(follower))
        return;
    become_replica(follower);
    if (full_sync_resume(follower)) {
        log_asks(follower, "goes on with its snapshot");
        return;
    }
    follower_enter(follower, FOLLOWER_WAITING);
    log_asks(follower, "asks for everything");
}

static void go_on(struct follower *follower)
{
    struct primary *primary = follower->primary;
    become_replica(follower);
    follower_enter(follower, FOLLOWER_ONLINE);
    primary->partial_syncs++;
    log_asks(follower, follower->reads_history ? "goes on where it stopped, from the file of history"
                                               : "goes on where it stopped");
    if (follower->can_psync2)
        follower_send_text(follower, "+CONTINUE %s\r\n", primary->repl->id);
    else
        follower_send_text(follower, "+CONTINUE\r\n");
}

void primary_psync(struct follower *follower, struct slice id, struct slice offset)
{
    struct primary *primary = follower->primary;
    int64_t number;
    uint64_t position;
    primary_keep_history(primary);
    if (num_parse_i64(offset, &number) && primary_has_history(primary, id, number, &position)) {
        if (!changelog_open(primary->exec->propagate.log, CHANGELOG_LINK, position, &follower->cursor)) {
            follower->reads_history = true;
            follower->history_position = position;
            primary->partial_from_file++;
        }
        go_on(follower);
        return;
    }
    if (!slice_equal(id, SLICE("?")))
        primary->partial_refused++;
    wait_for_snapshot(follower);
}

void primary_sync(struct follower *follower)
{
    primary_keep_history(follower->primary);
    follower->is_old = true;
    wait_for_snapshot(follower);
}

/* ---- Acknowledgements ----------------------------------------------------------------------------- */

void primary_ack(struct follower *follower, uint64_t position, uint64_t synced)
{
    struct primary *primary = follower->primary;
    uint64_t end = propagate_offset(primary->exec);
    position = position < end ? position : end; /* it cannot have more */
    if (position > follower->acked)
        follower->acked = position;
    if (synced != UINT64_MAX && synced > follower->synced)
        follower->synced = synced < end ? synced : end;
    if (follower->state == FOLLOWER_LOADING)
        follower_enter(follower, FOLLOWER_ONLINE);
    full_sync_received(follower);
    follower->acked_at_ms = primary->exec->now_ms;
    follower->has_acked = primary->has_acks = true;
}

static bool is_online(const struct follower *follower)
{
    return follower->state == FOLLOWER_ONLINE && !(follower->client->flags & CLIENT_CLOSING);
}

uint32_t primary_count_acked(const struct primary *primary, uint64_t position)
{
    uint32_t count = 0;
    list_for_each(&primary->followers, node)
    {
        const struct follower *follower = list_entry(node, struct follower, node);
        count += is_online(follower) && follower->has_acked && follower->acked >= position;
    }
    return count;
}

uint32_t primary_count_synced(const struct primary *primary, uint64_t position)
{
    uint32_t count = 0;
    list_for_each(&primary->followers, node)
    {
        const struct follower *follower = list_entry(node, struct follower, node);
        count += is_online(follower) && follower->has_acked && follower->synced >= position;
    }
    return count;
}

uint32_t primary_count_good(const struct primary *primary)
{
    uint32_t count = 0;
    list_for_each(&primary->followers, node)
    {
        const struct follower *follower = list_entry(node, struct follower, node);
        count +=
            is_online(follower) && follower_lag_s(follower) <= primary->exec->config->min_replicas_max_lag;
    }
    return count;
}

void primary_request_acks(struct primary *primary)
{
    primary->wants_acks = true;
}

void primary_wait(struct primary *primary, const struct ack_wait *options)
{
    struct ack_wait *wait = mem_alloc(sizeof *wait);
    *wait = *options;
    wait->node = (struct list_node){0};
    list_append(&primary->ack_waits, &wait->node);
    wait->client->ack_wait = wait;
}

void primary_wait_end(struct client *client)
{
    struct ack_wait *wait = client->ack_wait;
    client->ack_wait = NULL;
    list_remove(&wait->node);
    mem_free(wait);
}

void primary_serve_waits(struct primary *primary)
{
    list_for_each(&primary->ack_waits, node)
    {
        const struct ack_wait *wait = list_entry(node, struct ack_wait, node);
        client_serve(wait->client, wait->is_served, wait);
    }
}

/* The log of a replica is its primary's, byte for byte. Its followers say every second what they have. */
static void ask_acks(struct primary *primary)
{
    primary->wants_acks = false;
    if (primary->repl->is_replica)
        return;
    changelog_append_for_links(primary->exec->propagate.log,
                               SLICE("*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"));
}

void primary_before_feed(struct primary *primary)
{
    struct exec *exec = primary->exec;
    DEBUG_ASSERT(exec->propagate.unit_count == 0);
    if (primary->has_acks) {
        primary->has_acks = false;
        primary_serve_waits(primary);
    }
    if (primary->wants_acks && !primary->is_finishing)
        ask_acks(primary);
    full_sync_step(primary);
    primary_history_step(primary);
}

/* Of those online. */
static bool has_everybody_acked(const struct primary *primary, uint64_t position)
{
    list_for_each(&primary->followers, node)
    {
        const struct follower *follower = list_entry(node, struct follower, node);
        if (is_online(follower) && (follower->acked < position || follower->cursor.log == NULL ||
                                    changelog_left(&follower->cursor) > 0))
            return false;
    }
    return true;
}

bool primary_finish(struct primary *primary)
{
    struct exec *exec = primary->exec;
    if (primary->follower_count == 0)
        return true;
    if (!primary->is_finishing) {
        if (has_everybody_acked(primary, propagate_offset(exec)))
            return true; /* nothing is to be asked for, and the log ends where it does */
        primary->is_finishing = true;
        primary->pause_until_ms = exec->pause_until_ms;
        primary->pause_writes_only = exec->pause_writes_only;
        exec->pause_until_ms = INT64_MAX;
        exec->pause_writes_only = true;
        primary->finish_position = propagate_offset(exec);
        ask_acks(primary); /* the log's last words: what is saved now is what they will have */
    }
    return has_everybody_acked(primary, primary->finish_position);
}

void primary_go_on(struct primary *primary)
{
    struct exec *exec = primary->exec;
    if (!primary->is_finishing)
        return;
    primary->is_finishing = false;
    exec->pause_until_ms = primary->pause_until_ms > exec->now_ms ? primary->pause_until_ms : 0;
    exec->pause_writes_only = primary->pause_writes_only;
}

/* ---- Cron ----------------------------------------------------------------------------------------- */

/* Notes whether anything has gone over the connection. */
static void look_for_life(struct follower *follower)
{
    const struct conn_shared *shared = follower->client->shared;
    uint64_t in = atomic_load_explicit(&shared->bytes_in, memory_order_relaxed);
    uint64_t out = atomic_load_explicit(&shared->bytes_out, memory_order_relaxed);
    bool may_rest = follower->state != FOLLOWER_LOADING && follower_outstanding(follower) == 0;
    if (in != follower->bytes_in || out != follower->bytes_out || may_rest)
        follower->moved_at_ms = follower->primary->exec->now_ms;
    follower->bytes_in = in;
    follower->bytes_out = out;
}

static void drop_if_dead(struct follower *follower)
{
    const struct exec *exec = follower->primary->exec;
    int64_t timeout_ms = exec->config->repl_timeout * SECOND_MS;
    look_for_life(follower);
    bool is_silent = follower->state == FOLLOWER_ONLINE && !follower->is_old &&
                     exec->now_ms - follower->acked_at_ms > timeout_ms;
    if (is_silent)
        follower_drop(follower, "it has acknowledged nothing for repl-timeout");
    else if (exec->now_ms - follower->moved_at_ms > timeout_ms)
        follower_drop(follower, "it has taken nothing for repl-timeout");
}

static void each_second(struct primary *primary)
{
    list_for_each(&primary->followers, node)
    {
        struct follower *follower = list_entry(node, struct follower, node);
        if (follower->client->flags & CLIENT_CLOSING)
            continue;
        drop_if_dead(follower);
        if (full_sync_keeps_waiting(follower) && follower_outstanding(follower) == 0)
            follower_send_text(follower, "\n"); /* what it waits for will come */
    }
    forget_history_in_time(primary);
}

static void ping(struct primary *primary)
{
    struct exec *exec = primary->exec;
    primary->next_ping_ms = exec->now_ms + exec->config->repl_ping_replica_period * SECOND_MS;
    if (primary->follower_count > 0 && !primary->repl->is_replica && !primary->is_finishing &&
        exec->propagate.log)
        changelog_append_for_links(exec->propagate.log, SLICE("*1\r\n$4\r\nping\r\n"));
}

void primary_update_hindrance(struct primary *primary)
{
    struct exec *exec = primary->exec;
    int64_t least = exec->config->min_replicas_to_write;
    bool applies = !primary->repl->is_replica && least > 0 && exec->config->min_replicas_max_lag > 0 &&
                   primary_count_good(primary) < least;
    if (applies != (bool)(exec->hindrances & EXEC_TOO_FEW_REPLICAS))
        exec_set_hindrance(exec, EXEC_TOO_FEW_REPLICAS, applies);
}

void primary_cron(struct primary *primary)
{
    int64_t now_ms = primary->exec->now_ms;
    /* A wall clock that was set back must not make it wait. */
    bool is_set_back = primary->next_second_ms > now_ms + SECOND_MS;
    if (now_ms >= primary->next_second_ms || is_set_back) {
        primary->next_second_ms = now_ms + SECOND_MS;
        each_second(primary);
    }
    if (now_ms >= primary->next_ping_ms ||
        primary->next_ping_ms > now_ms + primary->exec->config->repl_ping_replica_period * SECOND_MS)
        ping(primary);
    full_sync_cron(primary);
    if (primary->exec->propagate.unit_count == 0)
        primary_history_step(primary);
    primary_update_hindrance(primary);
}

/* ---- For INFO and ROLE ---------------------------------------------------------------------------- */

void primary_reset_stats(struct primary *primary)
{
    primary->full_syncs = primary->partial_syncs = primary->partial_refused = 0;
    primary->resumed_syncs = primary->partial_from_file = 0;
}

void follower_describe(const struct follower *follower, char *ret_host, int64_t *ret_port)
{
    const char *peer = follower->client->shared->peer;
    const char *colon = strrchr(peer, ':');
    size_t size = colon ? (size_t)(colon - peer) : strlen(peer);
    *ret_port = follower->port;
    if (follower->address[0]) {
        memcpy(ret_host, follower->address, sizeof follower->address);
        return;
    }
    if (size > 1 && peer[0] == '[' && peer[size - 1] == ']') { /* IPv6 */
        peer++;
        size -= 2;
    }
    memcpy(ret_host, peer, size);
    ret_host[size] = 0;
}

const char *follower_state_name(const struct follower *follower)
{
    switch (follower->state) {
    case FOLLOWER_GREETING: return "handshake";
    case FOLLOWER_WAITING: return "wait_bgsave";
    case FOLLOWER_SYNCING: return "send_bulk";
    case FOLLOWER_LOADING:
    case FOLLOWER_ONLINE: return "online";
    }
    BUG("state %d of a follower", follower->state);
}

int64_t follower_lag_s(const struct follower *follower)
{
    bool is_there = follower->state == FOLLOWER_ONLINE || follower->state == FOLLOWER_LOADING;
    int64_t lag_ms = follower->primary->exec->now_ms - follower->acked_at_ms;
    return is_there && lag_ms > 0 ? lag_ms / SECOND_MS : 0;
}
