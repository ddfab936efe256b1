/* The link to a primary. States, transitions and rules in replica.h.
 *
 * Threads: executor; resolve: a worker. */
#include "repl/replica.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/num.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/dispatch.h"
#include "exec/exec.h"
#include "exec/local_keys.h"
#include "exec/post.h"
#include "io/link.h"
#include "persist/aof.h"
#include "persist/persist.h"
#include "repl/failover.h"
#include "repl/repl.h"
#include "repl/replay.h"

static uint64_t now_ns(const struct replica *replica)
{
    return clock_monotonic_ns(replica->exec->clock);
}

/* ---- States --------------------------------------------------------------------------------------- */

void replica_update_hindrances(struct replica *replica)
{
    struct exec *exec = replica->exec;
    bool is_on = replica->state != REPLICA_OFF;
    bool is_stale = is_on && replica->state != REPLICA_CONNECTED;
    exec_set_hindrance(exec, EXEC_READ_ONLY_REPLICA, is_on && exec->config->replica_read_only);
    local_keys_set_on(exec, is_on && !exec->config->replica_read_only);
    exec_set_hindrance(exec, EXEC_STALE_REPLICA, is_stale && !exec->config->replica_serve_stale_data);
}

void replica_enter(struct replica *replica, enum replica_state state)
{
    if (replica->state == REPLICA_CONNECTED)
        replica->down_since_ns = now_ns(replica);
    replica->state = state;
    replica->repl->has_link = state == REPLICA_CONNECTED;
    replica->began_ns = now_ns(replica);
    replica_update_hindrances(replica);
}

/* A file that is written now says so. */
void replica_set_known(struct replica *replica, bool is_known)
{
    replica->has_history = is_known;
    replica->exec->propagate.history_id =
        is_known || replica->state == REPLICA_OFF ? replica->repl->id : NULL;
}

void replica_know_history(struct replica *replica, uint32_t db)
{
    replica->db = replica->exec->propagate.db = db;
    replica_set_known(replica, true);
}

struct replica_lookup {
    struct exec_post post;
    struct exec *exec;
    struct replica *replica; /* executor only; NULL: nobody wants to know any more */
    char host[REPLICA_HOST_MAX + 1];
    uint16_t port;
    char address[IO_LINK_NAME_MAX]; /* "": there is none */
};

static void abandon_lookup(struct replica_lookup *lookup)
{
    lookup->replica = NULL;
}

static void resume_promoters(struct replica *replica)
{
    list_for_each(&replica->promoters, node)
    {
        client_resume(list_entry(node, struct client, in_blocked));
    }
}

/* What belongs to a link goes with it. */
static void forget_link(struct replica *replica)
{
    struct exec *exec = replica->exec;
    if (!replica->is_broken_off)
        replica_sync_abandon(replica);
    replica->is_link_lost = false;
    if (replica->replay) {
        replica->db = replay_db(replica->replay);
        replay_free(replica->replay);
        replica->replay = NULL;
    }
    if (replica->lookup) {
        abandon_lookup(replica->lookup);
        replica->lookup = NULL;
    }
    if (replica->link)
        io_link_close(replica->link);
    replica->link = NULL;
    chunk_list_drop(&replica->input, exec->chunks, exec->workers);
    buf_clear(&replica->line);
    resume_promoters(replica);
}

void replica_drop_link(struct replica *replica, const char *format, ...)
{
    char text[sizeof replica->last_error];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    /* A primary that stays away is told of once. */
    enum log_level level = strcmp(text, replica->last_error) == 0 ? LOG_VERBOSE : LOG_WARNING;
    log_write(replica->exec->log, level, "link to the primary %s:%u: %s", replica->host, replica->port, text);
    memcpy(replica->last_error, text, sizeof text);
    replica->is_broken_off = replica->is_broken_off || replica_sync_break_off(replica);
    forget_link(replica);
    /* History goes on being written: who has just been connected does not wait, unless it goes on like this. */
    uint64_t now = now_ns(replica);
    bool was_stable = replica->state == REPLICA_CONNECTED && now - replica->began_ns >= REPLICA_STABLE_NS;
    replica->next_try_ns = was_stable ? now : now + REPLICA_RETRY_NS;
    replica_enter(replica, REPLICA_WAITING);
    if (was_stable)
        replica_post(replica);
}

/* ---- looking_up ----------------------------------------------------------------------------------- */

static bool write_address(const struct addrinfo *found, struct replica_lookup *lookup)
{
    char text[INET6_ADDRSTRLEN];
    bool is_v6 = found->ai_family == AF_INET6;
    const void *address =
        is_v6 ? (const void *)&((const struct sockaddr_in6 *)(const void *)found->ai_addr)->sin6_addr
              : (const void *)&((const struct sockaddr_in *)(const void *)found->ai_addr)->sin_addr;
    if (inet_ntop(found->ai_family, address, text, sizeof text) == NULL)
        return false;
    snprintf(lookup->address, sizeof lookup->address, is_v6 ? "[%s]:%u" : "%s:%u", text, lookup->port);
    return true;
}

/* A worker: may wait for a name server. An IPv4 address is preferred: most servers listen there. */
static void resolve(void *argument)
{
    static const int families[] = {AF_INET, AF_INET6};
    struct replica_lookup *lookup = argument;
    for (size_t i = 0; i < ARRAY_COUNT(families) && !lookup->address[0]; i++) {
        struct addrinfo hints = {.ai_family = families[i], .ai_socktype = SOCK_STREAM};
        struct addrinfo *found;
        if (getaddrinfo(lookup->host, NULL, &hints, &found) != 0)
            continue;
        (void)write_address(found, lookup);
        freeaddrinfo(found);
    }
    exec_post(lookup->exec, &lookup->post);
}

static void on_connected(void *context, const char *peer, const char *local);
static void on_received(void *context, struct chunk_list *bytes);
static void on_ended(void *context, enum status why, int error);

static void take_address(struct exec *exec, struct exec_post *post)
{
    struct replica_lookup *lookup = container_of(post, struct replica_lookup, post);
    struct replica *replica = lookup->replica;
    if (replica != NULL) {
        replica->lookup = NULL;
        if (!lookup->address[0]) {
            replica_drop_link(replica, "the name has no address");
        } else {
            struct io_link_events events = {
                .context = replica, .connected = on_connected, .received = on_received, .ended = on_ended};
            replica_enter(replica, REPLICA_CONNECTING);
            replica->link =
                io_link_open(replica->repl->io, replica->repl->transport, lookup->address, &events);
        }
    }
    mem_free(lookup);
}

static void try_again(struct replica *replica)
{
    struct exec *exec = replica->exec;
    struct replica_lookup *lookup = mem_calloc(1, sizeof *lookup);
    lookup->post.run = take_address;
    lookup->exec = exec;
    lookup->replica = replica;
    lookup->port = replica->port;
    memcpy(lookup->host, replica->host, sizeof lookup->host);
    replica->lookup = lookup;
    replica->last_io_ns = now_ns(replica);
    replica_enter(replica, REPLICA_LOOKING_UP);
    if (exec->workers)
        worker_submit(exec->workers, resolve, lookup);
    else
        resolve(lookup);
}

/* What is being loaded at the start may be of use. */
static void try_if_due(struct replica *replica)
{
    bool is_loading = replica->exec->hindrances & EXEC_LOADING;
    if (now_ns(replica) >= replica->next_try_ns && !is_loading && !replica->is_finishing)
        try_again(replica);
}

/* ---- The link's events ---------------------------------------------------------------------------- */

static void on_connected(void *context, const char *peer, const char *local)
{
    struct replica *replica = context;
    const struct config *config = replica->exec->config;
    snprintf(replica->peer, sizeof replica->peer, "%s", peer);
    snprintf(replica->local, sizeof replica->local, "%s", local);
    struct handshake_options options = {
        .user = config->masteruser,
        .password = config->masterauth,
        .announced_ip = config->replica_announce_ip,
        .version = REPLCONF_VERSION,
        .port = (uint16_t)(config->replica_announce_port ? config->replica_announce_port : config->port),
        .id = replica->has_history ? replica->repl->id : NULL,
        .offset = propagate_offset(replica->exec),
        .failover = replica->failover,
        .can_resume = replica_sync_goes_to_file(replica),
        .snapshot = replica->is_broken_off ? replica->snapshot : NULL,
        .bytes = replica->payload.taken,
    };
    struct buf out = {0};
    replica->last_io_ns = now_ns(replica);
    replica_enter(replica, REPLICA_HANDSHAKE);
    handshake_begin(&replica->handshake, &options, &out);
    io_link_send(replica->link, buf_slice(&out));
    buf_done(&out);
}

static void on_received(void *context, struct chunk_list *bytes)
{
    struct replica *replica = context;
    replica->last_io_ns = now_ns(replica);
    replica->exec->repl->bytes_received += bytes->bytes;
    chunk_list_move(&replica->input, bytes);
    replica_post(replica);
}

/* Of the stream. */
static bool has_unapplied(const struct replica *replica)
{
    return replica->state == REPLICA_CONNECTED &&
           (replica->input.bytes > 0 || !replay_is_idle(replica->replay));
}

/* R7 */
static bool may_miss_link(const struct replica *replica)
{
    return replica->state == REPLICA_LOADING || has_unapplied(replica) ||
           (replica->state == REPLICA_RECEIVING &&
            (replica->payload.state == PAYLOAD_WHOLE || replica->input.bytes > 0));
}

/* R7: nothing more comes. */
static void lose_link(struct replica *replica, const char *reason)
{
    replica->is_link_lost = true;
    snprintf(replica->lost_reason, sizeof replica->lost_reason, "%s", reason);
    io_link_close(replica->link);
    replica->link = NULL;
    replica_post(replica);
}

static void on_ended(void *context, enum status why, int error)
{
    struct replica *replica = context;
    const char *reason = why == ST_IO ? strerror(error) : status_text(why);
    if (why == ST_EOF)
        reason = "the primary has closed it";
    if (may_miss_link(replica))
        lose_link(replica, reason);
    else
        replica_drop_link(replica, "%s", reason);
}

/* R8: exec->role_change_waits. */
static struct list_node *wait_for_stream(struct exec *exec)
{
    struct replica *replica = exec->repl->replica;
    if (!has_unapplied(replica))
        return NULL;
    if (replica->link)
        lose_link(replica, "this server is to be a primary");
    return &replica->promoters;
}

/* ---- handshake ------------------------------------------------------------------------------------ */

/* The answer follows when this slice has been applied: it then covers what came before the question. */
static void ask_ack(void *context)
{
    struct replica *replica = context;
    replica->is_asked = true;
}

void replica_go_on(struct replica *replica)
{
    replica->failover = false;
    failover_went_well(replica->repl->failover);
    replica->last_error[0] = 0;
    replica->next_ack_ns = now_ns(replica);
    replica->replay = replay_new(replica->exec, replica->db, ask_ack, replica);
    replica->link_id = replica->link ? io_link_id(replica->link) : 0;
    replica_enter(replica, REPLICA_CONNECTED);
    replica_send_ack(replica);
    if (replica->is_link_lost && !has_unapplied(replica))
        replica_drop_link(replica, "%s", replica->lost_reason);
}

static void decide(struct replica *replica, enum handshake_outcome outcome)
{
    struct handshake *handshake = &replica->handshake;
    struct log *log = replica->exec->log;
    switch (outcome) {
    case HANDSHAKE_GOES_ON: return;
    case HANDSHAKE_FULL:
        log_write(log, LOG_NOTICE,
                  "the primary %s:%u sends a snapshot at offset %llu of %s, from byte %llu on", replica->host,
                  replica->port, (unsigned long long)handshake->offset, handshake->id,
                  (unsigned long long)handshake->bytes);
        memcpy(replica->full_id, handshake->id, sizeof replica->full_id);
        replica->full_offset = handshake->offset;
        replica_enter(replica, REPLICA_RECEIVING);
        replica_sync_begin(replica);
        return;
    case HANDSHAKE_CONTINUE:
        replica_sync_abandon(replica);
        log_write(log, LOG_NOTICE, "the primary %s:%u goes on at offset %llu", replica->host, replica->port,
                  (unsigned long long)handshake->offset);
        repl_rename_history(replica->repl, handshake->id);
        replica->partial_syncs++;
        replica_go_on(replica);
        return;
    case HANDSHAKE_LATER:
    case HANDSHAKE_FAILED:
        replica_drop_link(replica, "%s", handshake->reason);
        if (replica->failover && handshake->asked_psync)
            failover_was_refused(replica->repl->failover);
        return;
    }
}

/* Takes bytes up to the end of a line off the input into `line`. False: no line is whole yet. */
static bool take_line(struct replica *replica)
{
    while (replica->input.bytes > 0) {
        const struct chunk *chunk = replica->input.head;
        const char *bytes = chunk->data + chunk->start;
        uint64_t size = chunk->end - chunk->start;
        const char *end = memchr(bytes, '\n', size);
        uint64_t part = end ? (uint64_t)(end - bytes) + 1 : size;
        if (replica->line.size + part > HANDSHAKE_LINE_MAX) {
            replica_drop_link(replica, "the primary's answer is too long");
            return false;
        }
        buf_append(&replica->line, bytes, part);
        replica_consume(replica, part);
        if (end)
            return true;
    }
    return false;
}

/* True: there is more to do. */
static bool hear_line(struct replica *replica)
{
    struct buf out = {0};
    if (!take_line(replica))
        return false;
    struct slice line = buf_slice(&replica->line);
    while (line.size > 0 && (line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r'))
        line.size--;
    enum handshake_outcome outcome = handshake_line(&replica->handshake, line, &out);
    buf_clear(&replica->line);
    io_link_send(replica->link, buf_slice(&out));
    buf_done(&out);
    decide(replica, outcome);
    return true;
}

/* ---- connected ------------------------------------------------------------------------------------ */

static void put_position(struct buf *out, const char *word, uint64_t position)
{
    char number[NUM_I64_TEXT_MAX];
    size_t size = num_format_u64(position, number);
    buf_printf(out, "$%zu\r\n%s\r\n$%zu\r\n%.*s\r\n", strlen(word), word, size, (int)size, number);
}

/* What is applied, and what of it is on this server's disk, if it has an append-only file. */
void replica_send_ack(struct replica *replica)
{
    const struct exec *exec = replica->exec;
    bool has_disk = exec->persist != NULL && aof_is_on(exec->persist->aof);
    struct buf out = {0};
    if (replica->state != REPLICA_CONNECTED || replica->link == NULL)
        return;
    buf_printf(&out, "*%d\r\n$8\r\nREPLCONF\r\n", has_disk ? 5 : 3);
    put_position(&out, "ACK", propagate_offset(exec));
    if (has_disk)
        put_position(&out, "FACK", exec->durable.synced);
    io_link_send(replica->link, buf_slice(&out));
    buf_done(&out);
}

/* The primary has asked. Its client may wait for the disk here, which it is told of when it has happened. */
static void answer_getack(struct replica *replica)
{
    replica->is_asked = false;
    replica->fack_from = propagate_offset(replica->exec);
    replica_send_ack(replica);
}

static void tell_disk(struct replica *replica)
{
    if (replica->fack_from == 0 || replica->exec->durable.synced < replica->fack_from)
        return;
    replica->fack_from = 0;
    replica_send_ack(replica);
}

static bool apply_slice(struct replica *replica, uint64_t budget_ns)
{
    uint64_t taken = replay_feed(replica->replay, &replica->input);
    replica_consumed(replica, taken);
    enum status status = replay_step(replica->replay, budget_ns);
    if (replica->is_asked)
        answer_getack(replica);
    if (status == ST_INVALID) {
        replica_drop_link(replica, "the stream is damaged: %s", replay_error(replica->replay));
        replica_set_known(replica, false); /* nobody knows what was meant: everything anew */
        return false;
    }
    if (replica->is_link_lost && !has_unapplied(replica)) {
        replica_drop_link(replica, "%s", replica->lost_reason);
        return false;
    }
    return status == ST_AGAIN || replica->input.bytes > 0;
}

/* ---- Steps ---------------------------------------------------------------------------------------- */

void replica_consumed(struct replica *replica, uint64_t bytes)
{
    if (replica->link && bytes > 0)
        io_link_consumed(replica->link, bytes);
}

void replica_consume(struct replica *replica, uint64_t bytes)
{
    chunk_list_consume(&replica->input, bytes, replica->exec->chunks);
    replica_consumed(replica, bytes);
}

static bool step(struct replica *replica, uint64_t budget_ns)
{
    switch (replica->state) {
    case REPLICA_HANDSHAKE: return hear_line(replica);
    case REPLICA_RECEIVING:
    case REPLICA_LOADING: return replica_sync_step(replica);
    case REPLICA_CONNECTED: return apply_slice(replica, budget_ns);
    case REPLICA_WAITING: try_if_due(replica); return false;
    default: return false;
    }
}

/* It outlives the replica when that ends with a post under way. */
struct replica_wake {
    struct exec_post post;
    struct replica *replica; /* NULL: gone */
    bool is_posted;
};

static void run_posted(struct exec *exec, struct exec_post *post)
{
    struct replica_wake *wake = container_of(post, struct replica_wake, post);
    struct replica *replica = wake->replica;
    wake->is_posted = false;
    if (replica == NULL) {
        mem_free(wake);
        return;
    }
    int64_t slice_us = exec->config->slice_us > REPLICA_SLICE_US ? exec->config->slice_us : REPLICA_SLICE_US;
    uint64_t slice_ns = (uint64_t)slice_us * 1000;
    uint64_t begin_ns = now_ns(replica), passed_ns = 0;
    while (passed_ns < slice_ns && step(replica, slice_ns - passed_ns))
        passed_ns = now_ns(replica) - begin_ns;
    if (passed_ns >= slice_ns)
        replica_post(replica);
}

void replica_post(struct replica *replica)
{
    struct replica_wake *wake = replica->wake;
    if (wake->is_posted)
        return;
    wake->is_posted = true;
    exec_post(replica->exec, &wake->post);
}

/* Signs of life while this server is busy with what the primary has sent: it must not take it for dead. */
static void send_newline(struct replica *replica)
{
    if (replica->link)
        io_link_send(replica->link, SLICE("\n"));
}

static void once_a_second(struct replica *replica, uint64_t now)
{
    if (now < replica->next_ack_ns)
        return;
    replica->next_ack_ns = now + REPLICA_ACK_NS;
    if (replica->state == REPLICA_CONNECTED)
        replica_send_ack(replica);
    else if (replica->state == REPLICA_LOADING)
        send_newline(replica);
}

void replica_cron(struct replica *replica)
{
    uint64_t now = now_ns(replica);
    if (replica->state == REPLICA_OFF)
        return;
    uint64_t timeout_ns = (uint64_t)replica->exec->config->repl_timeout * 1000000000u;
    if (replica->is_broken_off && now - replica->broken_ns > timeout_ns &&
        replica->state <= REPLICA_CONNECTING)
        replica_sync_abandon(replica); /* R6 */
    if (replica->state == REPLICA_WAITING) {
        try_if_due(replica);
        return;
    }
    /* What has come is a sign of life, also while it waits here. */
    bool is_busy = replica->state == REPLICA_LOADING || replica->input.bytes > 0 || replica->is_link_lost;
    if (!is_busy && now - replica->last_io_ns > timeout_ns) {
        replica_drop_link(replica, "nothing has come for %lld seconds",
                          (long long)replica->exec->config->repl_timeout);
        return;
    }
    once_a_second(replica, now);
    tell_disk(replica);
    replica_post(replica);
}

/* ---- Role ----------------------------------------------------------------------------------------- */

/* Who waits for a key may wait for what this server will not see done any more. The words are the protocol's. */
static void release_blocked(struct exec *exec)
{
    list_for_each(&exec->blocked, node)
    {
        struct client *client = list_entry(node, struct client, in_blocked);
        client_unblock(client, BLOCK_END_GONE);
        struct reply *out = client_push(client);
        if (out)
            reply_error(out, "UNBLOCKED force unblock from blocking operation, instance state changed "
                             "(master -> replica?)");
        client_close(client, CLOSE_AFTER_REPLIES);
    }
}

/* The option says what is the case, for CONFIG GET and CONFIG REWRITE. */
static void note_in_config(struct replica *replica)
{
    struct buf text = {0}, error = {0};
    if (replica->state != REPLICA_OFF)
        buf_printf(&text, "%s %u", replica->host, replica->port);
    if (config_assign(replica->exec->config, CONFIG_OPTION_REPLICAOF, buf_slice(&text), &error) != ST_OK)
        log_write(replica->exec->log, LOG_WARNING, "replicaof: %s", buf_string(&error));
    buf_done(&text);
    buf_done(&error);
}

bool replica_is_on(const struct replica *replica)
{
    return replica->state != REPLICA_OFF;
}

bool replica_follow(struct replica *replica, const char *host, uint16_t port)
{
    struct exec *exec = replica->exec;
    bool was_on = replica_is_on(replica);
    if (was_on && strcasecmp(replica->host, host) == 0 && replica->port == port)
        return false;
    replica_sync_abandon(replica);
    if (was_on)
        forget_link(replica);
    else
        repl_become_replica(replica->repl, &replica->has_history, &replica->db);
    snprintf(replica->host, sizeof replica->host, "%s", host);
    replica->port = port;
    replica->last_error[0] = 0;
    replica->down_since_ns = now_ns(replica);
    replica->next_try_ns = 0;
    replica_enter(replica, REPLICA_WAITING);
    replica_set_known(replica, replica->has_history);
    note_in_config(replica);
    if (!was_on)
        release_blocked(exec);
    log_write(exec->log, LOG_NOTICE, "this server is a replica of %s:%u now", replica->host, replica->port);
    return true;
}

bool replica_stop(struct replica *replica)
{
    if (!replica_is_on(replica))
        return false;
    replica_sync_abandon(replica);
    forget_link(replica);
    replica_enter(replica, REPLICA_OFF);
    replica->failover = false;
    replica->host[0] = 0;
    note_in_config(replica);
    repl_become_primary(replica->repl, replica->has_history);
    replica_set_known(replica, false);
    log_write(replica->exec->log, LOG_NOTICE, "this server is a primary now");
    return true;
}

enum status replica_configure(struct replica *replica, struct buf *ret_error)
{
    const struct config_strings *words = &replica->exec->config->replicaof;
    uint64_t port;
    if (words->count == 0 ||
        (words->count == 1 && words->items[0][0] == 0)) /* CONFIG REWRITE: replicaof "" */
        return ST_OK;
    if (words->count == 2 && strcasecmp(words->items[0], "no") == 0 &&
        strcasecmp(words->items[1], "one") == 0)
        return ST_OK;
    if (words->count != 2 || !num_parse_u64(slice_from_string(words->items[1]), &port) || port == 0 ||
        port > UINT16_MAX || strlen(words->items[0]) > REPLICA_HOST_MAX) {
        buf_append_string(ret_error, "replicaof wants a host and a port, or `no one`");
        return ST_INVALID;
    }
    char host[REPLICA_HOST_MAX + 1];
    snprintf(host, sizeof host, "%s", words->items[0]);
    replica_follow(replica, host, (uint16_t)port);
    return ST_OK;
}

/* ---- Life ----------------------------------------------------------------------------------------- */

struct replica *replica_new(struct repl *repl)
{
    struct replica *replica = mem_calloc(1, sizeof *replica);
    replica->repl = repl;
    replica->exec = repl->exec;
    replica->wake = mem_calloc(1, sizeof *replica->wake);
    replica->wake->post.run = run_posted;
    replica->wake->replica = replica;
    list_init(&replica->promoters);
    repl->exec->role_change_waits = wait_for_stream;
    return replica;
}

void replica_finish(struct replica *replica)
{
    if (replica->lookup)
        abandon_lookup(replica->lookup);
    replica->lookup = NULL;
    replica->is_finishing = true;
}

void replica_free(struct replica *replica)
{
    if (replica == NULL)
        return;
    replica->exec->role_change_waits = NULL;
    replica_sync_abandon(replica);
    forget_link(replica);
    replica->wake->replica = NULL;
    if (!replica->wake->is_posted)
        mem_free(replica->wake);
    buf_done(&replica->line);
    buf_done(&replica->bytes);
    mem_free(replica);
}
