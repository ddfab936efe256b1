/* The executor's life: clients that come and go, batches, output, and upkeep.
 *
 * Principal entry points: exec_new, exec_client_opened, exec_run_batch, exec_client_closed, exec_cron.
 * See also: dispatch.c (one request), client.c, call.c.
 * Threads: executor only. */
#include "exec/exec.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mutant.h"
#include "base/role.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/block.h"
#include "exec/build.h"
#include "exec/check.h"
#include "exec/dispatch.h"
#include "exec/error_stats.h"
#include "exec/evict.h"
#include "exec/expire.h"
#include "exec/fetch.h"
#include "exec/local_keys.h"
#include "exec/pause.h"
#include "exec/permit.h"
#include "exec/plain.h"
#include "exec/post.h"
#include "exec/pubsub.h"
#include "exec/sliced.h"
#include "exec/tracking.h"
#include "exec/transaction.h"
#include "exec/watch.h"
#include "keyspace/walk.h"

#define SAMPLE_INTERVAL_NS 100000000ull
/* Upkeep that was cut short goes on after this many times what it took: at most a quarter of the executor's time. */
#define CRON_REST_FACTOR 3
#define CRON_LATEST_MS   10000 /* exec_cron is called more often than this in any case */

/* ---- Clients by id -------------------------------------------------------------------------------- */

static uint64_t client_hash(const void *item, void *context)
{
    return dispatch_hash_id(((const struct client *)item)->id);
}

static const struct table_type clients_by_id_type = {.hash = client_hash};

/* ---- Life ----------------------------------------------------------------------------------------- */

struct exec *exec_new(const struct exec_options *options)
{
    struct exec *exec = mem_calloc(1, sizeof *exec);
    exec->clock = options->clock;
    exec->config = options->config;
    exec->log = options->log;
    exec->chunks = options->chunks;
    exec->workers = options->workers;
    exec->files = options->files ? options->files : file_system_real();
    exec->now_us = clock_wall_us(exec->clock);
    exec->now_ms = exec->now_us / 1000;
    rng_seed(&exec->rng, options->seed);
    exec->keyspace =
        keyspace_new((uint32_t)exec->config->databases, options->hash_seed, exec->now_ms, options->workers);
    exec->heap = exec->keyspace->heap;
    list_init(&exec->clients);
    list_init(&exec->output_dirty);
    list_init(&exec->over_soft);
    reply_init(&exec->deferred, exec->chunks, 2);
    list_init(&exec->blocked);
    list_init(&exec->paused);
    list_init(&exec->unblocked);
    table_init(&exec->clients_by_id, &clients_by_id_type, NULL, NULL);
    error_stats_init(exec);
    permit_init(exec);
    list_init(&exec->acl_jobs);
    exec->pubsub = pubsub_new(exec);
    exec->watch = watch_table_new(exec);
    exec->block = block_table_new(exec);
    exec->sliced = sliced_table_new(exec);
    hold_table_init(&exec->holds, exec);
    list_init(&exec->tasks.runnable);
    durable_init(exec);
    exec->active_expire = true;
    propagate_select_again(exec);
    evict_configure(exec);
    blame_init(exec);
    direct_table_init(&exec->direct);
    exec->latency_ns = UINT64_MAX;
    exec->fetched = mem_calloc(1, sizeof *exec->fetched);
    exec->command_stats = mem_calloc(command_count, sizeof *exec->command_stats);
    exec->cpu_sample_interval_ticks = PAUSE_SAMPLE_NS;
    if (exec->clock->use_tsc && exec->clock->tick_multiplier)
        exec->cpu_sample_interval_ticks = ((uint64_t)PAUSE_SAMPLE_NS << 32) / exec->clock->tick_multiplier;
    return exec;
}

void exec_free(struct exec *exec)
{
    ASSERT(exec->client_count == 0);
    reply_clear(&exec->deferred);
    exec_run_posts(exec);
    permit_done(exec);
    pubsub_free(exec->pubsub);
    local_keys_set_on(exec, false);
    watch_table_free(exec->watch);
    block_table_free(exec->block);
    sliced_table_free(exec->sliced);
    hold_table_done(&exec->holds);
    deadlines_done(&exec->deadlines);
    table_done(&exec->clients_by_id);
    error_stats_done(exec);
    blame_reset(exec);
    direct_table_done(&exec->direct);
    mem_free(exec->fetched);
    mem_free(exec->command_stats);
    propagate_done(exec);
    blame_done(exec);
    keyspace_free(exec->keyspace);
    mem_free(exec);
}

void exec_set_hindrance(struct exec *exec, enum exec_hindrance reason, bool applies)
{
    exec->hindrances = applies ? exec->hindrances | reason : exec->hindrances & ~(unsigned)reason;
    exec_update_gate(exec);
}

void exec_hold_clients(struct exec *exec)
{
    if (exec->holders++ > 0)
        return;
    exec->held_until_ms = exec->pause_until_ms;
    exec->held_writes_only = exec->pause_writes_only;
    exec->pause_until_ms = INT64_MAX;
    exec->pause_writes_only = false;
}

void exec_release_clients(struct exec *exec)
{
    ASSERT(exec->holders > 0);
    if (--exec->holders > 0)
        return;
    exec->pause_until_ms = exec->held_until_ms;
    exec->pause_writes_only = exec->held_writes_only;
}

/* Reads the clocks once for everything that follows. */
static void set_time(struct exec *exec)
{
    exec->now_us = clock_wall_us(exec->clock);
    exec->now_ms = exec->now_us / 1000;
    keyspace_set_time(exec->keyspace, exec->now_ms);
}

/* ---- Clients come and go -------------------------------------------------------------------------- */

struct client *exec_client_opened(struct exec *exec, struct port *port, struct conn *conn,
                                  struct conn_shared *shared)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct client *client = mem_calloc(1, sizeof *client);
    client->exec = exec;
    client->id = shared->id;
    client->db = &exec->keyspace->dbs[0];
    client->port = port;
    client->conn = conn;
    client->shared = shared;
    permit_client_begin(client);
    reply_init(&client->out, exec->chunks, 2);
    list_init(&client->watched);
    exec->now_ms = clock_wall_us(exec->clock) / 1000;
    client->created_ms = client->active_ms = exec->now_ms;
    list_append(&exec->clients, &client->in_clients);
    if (table_insert(&exec->clients_by_id, dispatch_hash_id(client->id), client) != ST_OK)
        fatal("out of memory for a client");
    exec->client_count++;
    exec->stats.connections++;
    client_update_direct(client);
    return client;
}

/* Runs that are linked, oldest first. */
static void give_back(struct client *client, struct run *run)
{
    while (run) {
        struct run *next = run->link;
        run->link = NULL;
        build_release(client->exec->heap, run);
        client->port->run_done(client->port, run);
        run = next;
    }
}

void exec_client_closed(struct exec *exec, struct client *client)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    client->flags |= CLIENT_CLOSING | CLIENT_CLOSE_SENT;
    sliced_cancel(client);
    client_forget_block(client);
    if (exec->hooks.client_gone)
        exec->hooks.client_gone(exec->hooks.context, client);
    transaction_discard(client);
    pubsub_client_gone(exec->pubsub, client);
    tracking_disable(client);
    durable_client_gone(client);
    if (list_is_listed(&client->in_dirty))
        list_remove(&client->in_dirty);
    if (list_is_listed(&client->in_over_soft))
        list_remove(&client->in_over_soft);
    reply_drop(&client->out, exec->workers);
    give_back(client, client->executed_head);
    give_back(client, client->pending_head);
    client->port->forgotten(client->port, client->conn);

    struct table_position position;
    if (table_locate(&exec->clients_by_id, dispatch_hash_id(client->id), dispatch_client_id_equal,
                     &client->id, &position))
        table_remove(&exec->clients_by_id, &position);
    list_remove(&client->in_clients);
    exec->client_count--;
    mem_free(client->name);
    mem_free(client->library_name);
    mem_free(client->library_version);
    permit_client_gone(client);
    mem_free(client);
}

/* ---- Output --------------------------------------------------------------------------------------- */

/* `pending` counts everything that has been handed over and not been sent yet, or sent and not let go by the kernel. */
static void enforce_output_limit(struct client *client, uint64_t pending)
{
    struct exec *exec = client->exec;
    unsigned class = atomic_load_explicit(&client->shared->output_class, memory_order_relaxed);
    const struct config_output_limit *limit = &exec->config->client_output_buffer_limit[class];
    bool over = limit->hard_bytes > 0 && pending > limit->hard_bytes;
    bool over_soft = limit->soft_bytes > 0 && pending > limit->soft_bytes;
    if (over_soft && !list_is_listed(&client->in_over_soft)) {
        client->output_soft_since_ms = exec->now_ms;
        list_append(&exec->over_soft, &client->in_over_soft);
    } else if (!over_soft && unlikely(list_is_listed(&client->in_over_soft))) {
        list_remove(&client->in_over_soft);
    }
    if (over_soft)
        over |= exec->now_ms - client->output_soft_since_ms > limit->soft_seconds * 1000;
    if (!over)
        return;
    log_write(exec->log, LOG_WARNING,
              "client id=%llu addr=%s closed for exceeding its output buffer limit (%llu bytes not read)",
              (unsigned long long)client->id, client->shared->peer, (unsigned long long)pending);
    exec->stats.output_closed++;
    client_close(client, CLOSE_NOW);
}

void client_enforce_output_limit(struct client *client)
{
    enforce_output_limit(client, conn_shared_unsent(client->shared) + client->log_lag);
}

/* The time over a soft limit passes also when nothing more is sent. */
static void enforce_soft_limits(struct exec *exec)
{
    list_for_each(&exec->over_soft, node)
    {
        client_enforce_output_limit(list_entry(node, struct client, in_over_soft));
    }
}

void client_hand_over(struct client *client, struct chunk_list *bytes)
{
    atomic_fetch_add_explicit(&client->shared->output_bytes, bytes->bytes, memory_order_relaxed);
    client->port->output(client->port, client->conn, bytes);
}

/* Returns what there is then. */
static uint64_t add_unsent(struct conn_shared *shared, uint64_t size)
{
    return size + atomic_fetch_add_explicit(&shared->output_bytes, size, memory_order_relaxed) +
           atomic_load_explicit(&shared->pinned_bytes, memory_order_relaxed);
}

void client_count_output(struct client *client, uint64_t size)
{
    uint64_t pending = add_unsent(client->shared, size);
    enforce_output_limit(client, pending);
}

static void hand_over(struct client *client, struct chunk_list *bytes)
{
    uint64_t size = bytes->bytes;
    uint64_t pending = add_unsent(client->shared, size);
    client->port->output(client->port, client->conn, bytes);
    enforce_output_limit(client, pending);
}

/* What goes to a replica is the log; anything else would be taken for a part of it. */
static void drop_replica_reply(struct client *client)
{
    log_write(client->exec->log, LOG_WARNING, "replica id=%llu addr=%s closed: '%s' has a reply",
              (unsigned long long)client->id, client->shared->peer,
              client->last_command ? client->last_command->full_name : "?");
    reply_drop(&client->out, client->exec->workers);
    client_close(client, CLOSE_NOW);
}

/* N4 */
static void give_back_executed(struct client *client)
{
    struct run *run = client->executed_head;
    if (!run)
        return;
    client->executed_head = client->executed_tail = NULL;
    if (!MUTANT(MODE_KEPT) || atomic_load(&client->shared->direct) == 0)
        client_update_direct(client);
    give_back(client, run);
}

void client_hand_over_held(struct client *client, struct chunk_list *bytes, struct run *runs, bool drop)
{
    if (drop || bytes->bytes == 0) {
        atomic_fetch_sub_explicit(&client->shared->output_bytes, bytes->bytes, memory_order_relaxed);
        chunk_list_drop(bytes, client->exec->chunks, client->exec->workers);
    } else {
        client->port->output(client->port, client->conn, bytes);
    }
    client_update_direct(client);
    give_back(client, runs);
}

static void flush_client(struct client *client)
{
    if (unlikely(client->flags & CLIENT_MOVING))
        return;
    list_remove(&client->in_dirty);
    if (unlikely(client->flags & CLIENT_REPLICA) && reply_size(&client->out) > 0)
        drop_replica_reply(client);
    bool dropped = client->flags & CLIENT_CLOSING && client->close_how == CLOSE_NOW;
    if (unlikely(client->exec->durable.is_on) && !dropped && durable_hold(client))
        return;
    if (!reply_is_empty(&client->out) && !dropped) {
        struct chunk_list bytes = {0};
        reply_take(&client->out, &bytes);
        if (likely(bytes.bytes > 0))
            hand_over(client, &bytes);
        else
            chunk_list_clear(&bytes, client->exec->chunks); /* given by the run, and nothing was answered */
    }
    give_back_executed(client);
    if (unlikely(client->flags & CLIENT_CLOSING)) {
        reply_drop(&client->out, client->exec->workers);
        if (list_is_listed(&client->in_dirty))
            list_remove(&client->in_dirty);
        if (!(client->flags & CLIENT_CLOSE_SENT)) {
            client->flags |= CLIENT_CLOSE_SENT;
            client->port->close(client->port, client->conn, client->close_how);
        }
    }
}

void exec_flush_output(struct exec *exec)
{
    DEBUG_ASSERT(exec->propagate.unit_count == 0); /* P2 */
    tracking_send_noted(exec);
    if (unlikely(exec->durable.log_grown != NULL))
        exec->durable.log_grown(exec->durable.context);
    if (unlikely(exec->feed != NULL))
        exec->feed(exec);
    exec_update_gate(exec); /* who hears of what closes it may rely on that */
    list_for_each(&exec->output_dirty, node) flush_client(list_entry(node, struct client, in_dirty));
}

/* ---- Runs ----------------------------------------------------------------------------------------- */

/* The run goes back with the client's output. */
static void finish_run(struct client *client, struct run *run)
{
    client->pending_head = run->link;
    if (!client->pending_head)
        client->pending_tail = NULL;
    run->link = NULL;
    if (reply_is_empty(&client->out))
        run->executed_ticks = 0; /* CLIENT REPLY OFF: there is no reply to watch */
    if (unlikely(run->built_count > 0))
        build_release(client->exec->heap, run);
    if (client->executed_tail)
        client->executed_tail->link = run;
    else
        client->executed_head = run;
    client->executed_tail = run;
    client_mark_dirty(client);
}

/* The request whose way is measured has been executed, or the last one, or both. */
static void pass_stop(struct client *client, struct run *run)
{
    if (run->stop == run->followed + 1)
        blame_follow(client, run);
    run->stop = run->count;
    if (run->next >= run->count)
        finish_run(client, run);
}

static void finish_request(struct client *client, struct run *run)
{
    if (++run->next >= run->stop)
        pass_stop(client, run);
}

/* The requests that have been foreseen, as far as that holds; returns whether some did. */
static bool settle_foreseen(struct client *client, struct run *run)
{
    unsigned held = plain_execute_foreseen(client, run);
    run->next = (uint16_t)held;
    if (run->next >= run->stop)
        pass_stop(client, run);
    return held > 0;
}

/* Executes the client's oldest pending request, or those that have been foreseen, unless it has to wait. Returns false when it has
 * to. */
static bool step(struct client *client)
{
    struct run *run = client->pending_head;
    if (unlikely(client->flags & (CLIENT_BLOCKED | CLIENT_PAUSED | CLIENT_SLICED)))
        return false;
    if (run->foreseen.count > 0 && !run->foreseen.is_settled && settle_foreseen(client, run))
        return true;
    client->exec->blame.request.arrived_ticks = run->arrived_ticks;
    if (likely(!(client->flags & CLIENT_CLOSING)))
        dispatch_request(client, run, &run->requests[run->next]);
    if (unlikely(client->flags & (CLIENT_PAUSED | CLIENT_SLICED)))
        return false; /* the request will be executed again, or it is still being executed */
    finish_request(client, run);
    return true;
}

/* Goes on with clients whose waiting has ended, until they wait again or have nothing left. */
static void resume_unblocked(struct exec *exec)
{
    if (likely(list_is_empty(&exec->unblocked)))
        return;
    exec->tick_mark = pause_begin(exec); /* the time before is nobody's */
    while (!list_is_empty(&exec->unblocked)) {
        struct client *client = list_entry(exec->unblocked.next, struct client, in_blocked);
        list_remove(&client->in_blocked);
        client->flags &= ~CLIENT_UNBLOCKED;
        /* A run must be given back to the thread that has the connection: exec_client_arrived goes on with them. */
        if (client->flags & CLIENT_MOVING)
            continue;
        while (client->pending_head && step(client))
            ;
    }
}

void exec_client_departs(struct exec *exec, struct client *client)
{
    exec_flush_output(exec);
    client->flags |= CLIENT_MOVING;
}

void exec_client_arrived(struct exec *exec, struct client *client, struct port *port)
{
    client->port = port;
    client->flags &= ~CLIENT_MOVING;
    durable_client_arrived(client);
    if (client->pending_head &&
        !(client->flags & (CLIENT_BLOCKED | CLIENT_PAUSED | CLIENT_SLICED | CLIENT_UNBLOCKED)))
        client_make_runnable(client);
    resume_unblocked(exec);
    exec_flush_output(exec);
}

void exec_request_ended(struct client *client)
{
    struct exec *exec = client->exec;
    finish_request(client, client->pending_head);
    if (client->pending_head)
        client_make_runnable(client);
    block_serve_ready(exec->block);
}

static void append_pending(struct client *client, struct run *run)
{
    run->link = NULL;
    if (client->pending_tail)
        client->pending_tail->link = run;
    else
        client->pending_head = run;
    client->pending_tail = run;
}

/* Requests are executed in windows, in order. What a window will read is asked for in stages, each while the window before is
 * being executed, so that it has that long to arrive and no stage waits for what the one before has just asked for:
 *
 *   window_fill          the keys' buckets, and blocks that were built ahead (the requests themselves: exec_expect_run)
 *   window_fetch_items   the entries that probably hold the keys
 *   window_fetch_values  what they refer to, and the rows in question; just before the window is executed
 *
 * Pipelines often go to one key: of a request that has the command and the key of the one before it only its rows are asked for.
 * Of plain SETs (exec/plain.h) nothing but the bucket and the entry is touched, or the bucket alone where the entry has been seen. What
 * has been foreseen of a run is one item, of whose SETs the buckets are asked for, and of whose reads nothing. */
struct window {
    unsigned count; /* of pieces */
    unsigned keys;  /* that are asked for, at most EXEC_WINDOW but for what is foreseen */
    struct piece {
        struct client *client;
        struct run *run;
        struct request
            *requests; /* some of the run's, which follow each other; NULL: what is foreseen of it */
        uint32_t count;
        /* A bit for each of them: */
        uint32_t repeats; /* it has the command and the key of the one before */
        uint32_t sought;  /* its entry is asked for */
        uint32_t goes_on; /* and behind that more: fetch_goes_on */
    } pieces[EXEC_WINDOW];
};
_Static_assert(EXEC_WINDOW <= 32, "a bit for each");

/* Where the windows' filling has come to in the batch. */
struct batch_cursor {
    struct run *const *runs;
    unsigned run_count;
    unsigned run;
    unsigned request;
};

ALWAYS_INLINE void fetch_bucket(struct db *db, const struct request *request)
{
    table_prefetch_bucket(db->keys, request->key_hash, request->is_plain);
    if (request->is_plain && db->keyspace->has_readers)
        stamps_prefetch_write(&db->keyspace->stamps, request->key_hash);
    if (unlikely(!list_is_empty(&db->walks)) && request->command->flags & CMD_WRITE)
        key_walks_fetch(&db->walks, request->key_hash);
}

static void window_add_foreseen(struct window *window, struct run *run)
{
    for (uint32_t sets = run->foreseen.sets; sets != 0; sets &= sets - 1) {
        const struct request *request = &run->requests[__builtin_ctz(sets)];
        fetch_bucket(run->client->db, request);
        if (unlikely(!request_is_whole(request)))
            prefetch_write(request->built);
        window->keys++;
    }
    window->pieces[window->count++] = (struct piece){.client = run->client, .run = run};
    window->keys++;
}

/* Adds the run's requests from `first` on, as many as there is room for. Returns how many. */
static unsigned window_add(struct window *window, struct run *run, unsigned first)
{
    struct db *db = run->client->db;
    struct piece *piece = &window->pieces[window->count++];
    unsigned left = run->count - first, room = EXEC_WINDOW - window->keys;
    const struct request *request = &run->requests[first], *end = request + (left < room ? left : room);
    uint32_t repeats = 0, sought = 0, goes_on = 0;
    *piece = (struct piece){.client = run->client,
                            .run = run,
                            .requests = &run->requests[first],
                            .count = (uint32_t)(end - request)};
    window->keys += piece->count;
    const struct command *before = NULL;
    uint64_t hash_before = 0;
    for (uint32_t bit = 1; request < end; request++, bit <<= 1) {
        if (unlikely(!request->has_key)) {
            before = NULL;
            continue;
        }
        if (!request->is_plain && fetch_goes_on(request))
            goes_on |= bit;
        if (request->key_hash == hash_before && request->command == before) {
            repeats |= bit;
        } else {
            fetch_bucket(db, request);
            if (request->seen_size == 0)
                sought |= bit;
        }
        before = request->command;
        hash_before = request->key_hash;
        if (request->built && !request_is_whole(request))
            prefetch_write(request->built); /* another core wrote it, and its clock is set */
    }
    piece->repeats = repeats;
    piece->sought = sought;
    piece->goes_on = goes_on;
    return piece->count;
}

static void window_fill(struct window *window, struct batch_cursor *cursor)
{
    window->count = window->keys = 0;
    while (window->keys < EXEC_WINDOW && cursor->run < cursor->run_count) {
        struct run *run = cursor->runs[cursor->run];
        if (cursor->request >= run->count) {
            cursor->run++;
            cursor->request = 0;
        } else if (cursor->request < run->foreseen.count) {
            cursor->request = run->foreseen.count;
            window_add_foreseen(window, run);
        } else {
            cursor->request += window_add(window, run, cursor->request);
        }
    }
}

/* Of a request with a key: NULL when that does not seem to exist. */
ALWAYS_INLINE const struct entry *likely_entry(const struct db *db, const struct request *request)
{
    return table_likely_item(db->keys, request->key_hash);
}

static void window_fetch_items(const struct window *window)
{
    for (const struct piece *piece = window->pieces; piece < &window->pieces[window->count]; piece++) {
        const struct client *client = piece->client;
        const struct db *db = client->db;
        for (uint32_t sought = piece->sought; sought != 0; sought &= sought - 1) {
            unsigned i = (unsigned)__builtin_ctz(sought);
            const struct request *request = &piece->requests[i];
            const struct entry *item = likely_entry(db, request);
            if (item == NULL)
                continue;
            prefetch(item);
            if (piece->goes_on >> i & 1 && request->command->flags & CMD_WRITE)
                heap_prefetch_release(client->exec->heap, item);
        }
    }
}

/* The request, whose entry probably is `item`, needs some of its rows. */
struct wanted_rows {
    const struct entry *item;
    const struct request *request;
};

NO_INLINE static void fetch_rows_of(struct fetch_rows *fetch, const struct wanted_rows *wanted,
                                    unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        fetch_rows_add(fetch, wanted[i].item, wanted[i].request);
    fetch_rows_all(fetch);
}
_Static_assert(EXEC_WINDOW <= MEMBERS_FETCH_MAX, "all members of a window are looked up together");

/* Requests that are not plain and have keys. */
COLD static uint32_t with_keys(const struct piece *piece)
{
    uint32_t found = 0;
    for (unsigned i = 0; i < piece->count; i++)
        found |= (uint32_t)(piece->requests[i].has_key && !piece->requests[i].is_plain) << i;
    return found;
}

static void window_fetch_values(struct exec *exec, const struct window *window)
{
    struct wanted_rows wanted[EXEC_WINDOW];
    unsigned wanted_count = 0;
    for (const struct piece *piece = window->pieces; piece < &window->pieces[window->count]; piece++) {
        struct db *db = piece->client->db;
        bool has_walks = !list_is_empty(&db->walks);
        uint32_t asked = unlikely(has_walks) ? with_keys(piece) : piece->goes_on;
        const struct entry *item = NULL;
        for (uint32_t left = asked; left != 0; left &= left - 1) {
            unsigned i = (unsigned)__builtin_ctz(left);
            const struct request *request = &piece->requests[i];
            bool is_known = (piece->repeats & asked << 1) >> i & 1 && item;
            /* Found once more: it may have been replaced since it was asked for. */
            if (!is_known && !(item = likely_entry(db, request)))
                continue;
            if (!is_known)
                fetch_value(item, request);
            if (unlikely(has_walks) && request->command->flags & CMD_WRITE)
                key_walks_fetch_entry(&db->walks, item, request->key_hash);
            if (fetch_has_rows(item, request))
                wanted[wanted_count++] = (struct wanted_rows){item, request};
        }
    }
    if (wanted_count > 0)
        fetch_rows_of(exec->fetched, wanted, wanted_count);
}

/* Executes some of a piece's requests, from `request` on, together: plain SETs, or short commands of a kind. Returns how many; 0: it is to
 * be executed alone. `count` are left of the piece. */
static unsigned execute_together(struct client *client, const struct request *request, unsigned count)
{
    struct run *run = client->pending_head;
    if (unlikely(request != &run->requests[run->next])) /* the client has had to wait */
        return 0;
    if (!request->is_plain)
        count = dispatch_stretch(client, run, count);
    else if ((count = plain_count(client, run, count)) > 0)
        count = plain_execute(client, run, count);
    run->next = (uint16_t)(run->next + count);
    if (run->next >= run->stop)
        pass_stop(client, run);
    return count;
}

/* What is foreseen of a run, and behind the first that did not hold, one by one. When the run is not the client's next one, what is
 * before it waits, and whoever ends that goes on with all of them. */
static void execute_foreseen(struct client *client, const struct run *run)
{
    while (client->pending_head == run && run->next < run->foreseen.count && step(client))
        ;
}

static void execute_piece(const struct piece *piece)
{
    struct client *client = piece->client;
    unsigned done;
    if (piece->requests == NULL)
        execute_foreseen(client, piece->run);
    for (unsigned i = 0; i < piece->count && client->pending_head != NULL; i += done) {
        done = execute_together(client, &piece->requests[i], piece->count - i);
        if (likely(done > 0))
            continue;
        /* A client that has to wait keeps its requests pending. */
        step(client);
        done = 1;
    }
}

static void window_execute(struct exec *exec, const struct window *window)
{
    exec->tick_mark = pause_begin(exec);
    for (unsigned i = 0; i < window->count; i++)
        execute_piece(&window->pieces[i]);
}

void exec_run_batch(struct exec *exec, struct run *const *runs, unsigned count)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    set_time(exec);
    exec_update_gate(exec);
    exec->stats.batches++;
    for (unsigned i = 0; i < count; i++)
        append_pending(runs[i]->client, runs[i]);

    struct batch_cursor cursor = {runs, count, 0, 0};
    struct window windows[3];
    struct window *now = &windows[0], *next = &windows[1], *after = &windows[2];
    blame_batch_begin(exec, pause_begin(exec));
    window_fill(now, &cursor);
    window_fill(next, &cursor);
    window_fetch_items(now);
    while (now->count) {
        window_fetch_items(next);
        window_fill(after, &cursor);
        window_fetch_values(exec, now);
        window_execute(exec, now);
        fetch_rows_begin(exec->fetched); /* its words may be written over */
        struct window *executed = now;
        now = next;
        next = after;
        after = executed;
    }
    resume_unblocked(exec);
    blame_batch_end(exec);
    exec_flush_output(exec);
}

void exec_expect_run(const struct run *run)
{
    const char *arguments = (const char *)run->arguments;
    if (run->foreseen.count > 0) {
        for (unsigned i = 0; i < run->foreseen.count; i += CACHE_LINE / sizeof run->foreseen_reads[0])
            prefetch(&run->foreseen_reads[i]);
        for (uint32_t sets = run->foreseen.sets; sets != 0; sets &= sets - 1)
            prefetch_write(&run->requests[__builtin_ctz(sets)]);
    }
    for (unsigned i = run->foreseen.count; i < run->count; i++)
        prefetch_write(&run->requests[i]);
    prefetch_write(&run->client->shared->output_bytes);
    if (run->spare != NULL) {
        prefetch_write(run->spare); /* and the beginning of its bytes, which follow it */
        prefetch_write((const char *)run->spare + CACHE_LINE);
    }
    if (run->whole_count == run->count || run->foreseen.count == run->count)
        return;
    for (size_t at = 0; at < run->argument_count * sizeof run->arguments[0]; at += CACHE_LINE)
        prefetch(arguments + at);
}

/* ---- Upkeep --------------------------------------------------------------------------------------- */

static void expired_by_sweep(struct db *db, struct slice key, uint64_t hash, void *context)
{
    expire_key(context, db, key, hash);
    propagate_end_unit(context);
}

/* Returns true when there is more to do at once. */
static bool expire_step(struct exec *exec)
{
    bool more = false;
    if (!exec->active_expire || exec->is_replica || exec->pause_until_ms != 0 ||
        exec->hindrances & EXEC_LOADING)
        return false;
    uint64_t begin = pause_begin(exec);
    exec->stats.expire_cycles++;
    keyspace_expire_step(exec->keyspace, expired_by_sweep, exec, &more);
    uint64_t ns = clock_ticks_to_ns(exec->clock, clock_ticks(exec->clock) - begin);
    pause_note(exec, "expire-cycle", ns);
    if (unlikely(ns >= SPAN_MIN_NS))
        blame_task(exec, "expire-cycle", begin, clock_ticks(exec->clock));
    if (unlikely(ns >= exec->latency_ns) && exec->hooks.latency)
        exec->hooks.latency(exec->hooks.context, "expire-cycle", ns);
    block_serve_ready(exec->block); /* those who hear that a key is gone */
    return more;
}

static bool reclaim_step(struct exec *exec)
{
    uint64_t begin = pause_begin(exec);
    bool more = keyspace_reclaim_step(exec->keyspace);
    uint64_t ns = clock_ticks_to_ns(exec->clock, clock_ticks(exec->clock) - begin);
    pause_note(exec, "reclaim", ns);
    if (unlikely(ns >= SPAN_MIN_NS))
        blame_task(exec, "reclaim", begin, clock_ticks(exec->clock));
    return more;
}

/* What makes the keyspace smaller by and by. */
static void upkeep(struct exec *exec)
{
    uint64_t begin_ns = clock_monotonic_ns(exec->clock);
    bool more = expire_step(exec);
    local_keys_step(exec);
    more |= reclaim_step(exec);
    more |= evict_step(exec);
    uint64_t rest_ns = 1000000000ull / (uint64_t)exec->config->hz;
    uint64_t end_ns = clock_monotonic_ns(exec->clock);
    if (more && (end_ns - begin_ns) * CRON_REST_FACTOR < rest_ns)
        rest_ns = (end_ns - begin_ns) * CRON_REST_FACTOR;
    exec->next_cron_ns = end_ns + rest_ns;
}

void exec_cron(struct exec *exec)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    uint64_t now_ns = clock_monotonic_ns(exec->clock);
    set_time(exec);
    uint64_t posts_begin = clock_ticks(exec->clock);
    exec_run_posts(exec);
    blame_task(exec, "posts", posts_begin, clock_ticks(exec->clock));
    exec_task_step(exec, now_ns);
    /* Between two slices or steps, upkeep keeps to its own times. */
    if ((!sliced_step(exec) && !exec_task_is_any(exec)) || now_ns >= exec->next_cron_ns)
        upkeep(exec);
    client_end_due_blocks(exec);
    resume_unblocked(exec);
    if (now_ns >= exec->next_sample_ns) {
        exec->next_sample_ns = now_ns + SAMPLE_INTERVAL_NS;
        uint64_t sampling_begin = clock_ticks(exec->clock);
        enforce_soft_limits(exec);
        if (exec->hooks.cron)
            exec->hooks.cron(exec->hooks.context);
        blame_task(exec, "sampling", sampling_begin, clock_ticks(exec->clock));
    }
    exec_flush_output(exec);
}

uint64_t exec_next_cron_ns(const struct exec *exec)
{
    uint64_t due_ns = exec->next_cron_ns;
    const struct client *first = deadlines_first(&exec->deadlines);
    bool pause_is_over = exec->pause_until_ms == 0 && !list_is_empty(&exec->paused); /* CLIENT UNPAUSE */
    if (exec_has_posts(exec) || pause_is_over || !list_is_empty(&exec->unblocked) || sliced_has_work(exec) ||
        exec_task_is_any(exec))
        return 0;
    if (first && first->block_deadline_ns < due_ns)
        due_ns = first->block_deadline_ns;
    if (!exec->pause_until_ms)
        return due_ns;
    /* The end of a pause is wall time, as far away as a client likes; what is left of it is added to the monotonic clock. */
    int64_t now_us = clock_wall_us(exec->clock);
    if (exec->pause_until_ms > now_us / 1000 + CRON_LATEST_MS)
        return due_ns;
    int64_t left_us = exec->pause_until_ms * 1000 - now_us;
    uint64_t end_ns = clock_monotonic_ns(exec->clock) + (left_us > 0 ? (uint64_t)left_us * 1000 : 0);
    return end_ns < due_ns ? end_ns : due_ns;
}

void pause_note_slow(struct exec *exec, const char *what, uint64_t ns)
{
    uint64_t cpu_ns = clock_thread_cpu_ns() - exec->cpu_sample_ns;
    if (cpu_ns < ns)
        ns = cpu_ns;
    if (ns <= exec->stats.pause_max_ns)
        return;
    exec->stats.pause_max_ns = ns;
    exec->stats.pause_max_by = what;
}
