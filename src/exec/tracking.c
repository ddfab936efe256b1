/* Client tracking. Rules in tracking.h and decision 018. Threads: executor only, but for free_table. */
#include "exec/tracking.h"

#include <string.h>

#include "base/alloc.h"
#include "base/role.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/task.h"
#include "exec/tracking_broadcast.h"
#include "exec/tracking_table.h"

#define KEYS_INLINE     64   /* of a command; more take memory */
#define NOTED_MAX       4096 /* names that wait for the end of a batch */
#define EVICT_READ      16   /* keys that go after a read while there are too many, besides those it added */
#define EVICT_STEP      32   /* the same in a step of its own, for some 200 microseconds */
#define FREE_BY_WORKER  256  /* a table with fewer keys is freed at once */
#define MESSAGE_CHANNEL "__redis__:invalidate"

/* One client. */
struct client_tracking {
    struct list_node in_tracking;
    struct client *client;
    uint64_t redirect;     /* id, 0: none */
    unsigned modes;        /* enum tracking_mode */
    bool is_broken;        /* a message found nobody at `redirect` */
    bool says_caching;     /* CLIENT CACHING, until the next request has ended */
    bool remembers_served; /* the command that it waits in is to be remembered when it is served */
    struct buf prefixes;   /* struct broadcast_prefix * */
    struct reply late;     /* messages that follow the reply to its long command */
};

/* All clients that track. */
struct tracking {
    struct list_node clients; /* struct client_tracking */
    uint32_t client_count;
    struct tracking_table *table;
    struct broadcast broadcast;
    struct exec_task shrinking; /* awake while the table has more keys than it may */
};

/* ---- Life ----------------------------------------------------------------------------------------- */

/* An id in the table is of use while its client tracks by key. */
static bool is_reader(void *context, uint64_t id)
{
    const struct client *client = client_lookup(context, id);
    return client != NULL && client->tracking != NULL && !(client->tracking->modes & TRACKING_BROADCAST);
}

static struct tracking_table *new_table(struct exec *exec)
{
    struct tracking_table *table = mem_alloc(sizeof *table);
    tracking_table_init(table, exec->keyspace->hash_seed, is_reader, exec);
    return table;
}

/* On a worker. */
static void free_table(void *argument)
{
    tracking_table_done(argument);
    mem_free(argument);
}

static void discard_table(struct exec *exec, struct tracking_table *table)
{
    if (exec->workers != NULL && tracking_table_size(table) >= FREE_BY_WORKER)
        worker_submit_bulk(exec->workers, free_table, table);
    else
        free_table(table);
}

static bool shrink_step(struct exec *exec, struct exec_task *task);

static struct tracking *tracking_of(struct exec *exec)
{
    if (exec->tracking != NULL)
        return exec->tracking;
    struct tracking *tracking = mem_calloc(1, sizeof *tracking);
    list_init(&tracking->clients);
    tracking->table = new_table(exec);
    broadcast_init(&tracking->broadcast, exec->keyspace->hash_seed);
    tracking->shrinking.name = "tracking-table";
    tracking->shrinking.step = shrink_step;
    exec->tracking = tracking;
    return tracking;
}

static void end_tracking(struct exec *exec)
{
    struct tracking *tracking = exec->tracking;
    exec->tracking = NULL;
    if (list_is_listed(&tracking->shrinking.node))
        exec_task_sleep(&tracking->shrinking);
    discard_table(exec, tracking->table);
    broadcast_done(&tracking->broadcast);
    mem_free(tracking);
}

static struct client_tracking *client_tracking_of(struct client *client)
{
    if (client->tracking != NULL)
        return client->tracking;
    struct tracking *tracking = tracking_of(client->exec);
    struct client_tracking *one = mem_calloc(1, sizeof *one);
    one->client = client;
    reply_init(&one->late, client->exec->chunks, 2);
    list_append(&tracking->clients, &one->in_tracking);
    tracking->client_count++;
    client->tracking = one;
    client->flags |= CLIENT_TRACKING;
    return one;
}

static struct broadcast_prefix *prefix_at(const struct client_tracking *one, uint32_t index)
{
    return ((struct broadcast_prefix **)one->prefixes.data)[index];
}

/* False: memory is refused. */
static bool join_prefix(struct client_tracking *one, struct slice name)
{
    struct broadcast_prefix *prefix = broadcast_join(&one->client->exec->tracking->broadcast, name, one);
    if (prefix == NULL)
        return false;
    buf_append(&one->prefixes, &prefix, sizeof prefix);
    return true;
}

/* Of the prefixes only the first `count` are kept. */
static void leave_prefixes(struct client_tracking *one, uint32_t count)
{
    struct broadcast *broadcast = &one->client->exec->tracking->broadcast;
    for (uint32_t i = count; i < tracking_prefix_count(one->client); i++)
        broadcast_leave(broadcast, prefix_at(one, i), one);
    one->prefixes.size = count * sizeof(struct broadcast_prefix *);
}

/* False: memory is refused, and nothing has changed. */
static bool join_prefixes(struct client_tracking *one, const struct tracking_options *options)
{
    uint32_t before = tracking_prefix_count(one->client);
    bool has_joined = true;
    tracking_send_noted(one->client->exec); /* P3 of tracking_broadcast.h */
    for (uint32_t i = 0; has_joined && i < options->prefix_count; i++)
        has_joined = join_prefix(one, options->prefixes[i]);
    if (has_joined && one->prefixes.size == 0)
        has_joined = join_prefix(one, SLICE(""));
    if (!has_joined)
        leave_prefixes(one, before);
    return has_joined;
}

bool tracking_enable(struct client *client, const struct tracking_options *options)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    bool was_on = client->tracking != NULL;
    struct client_tracking *one = client_tracking_of(client);
    if (options->modes & TRACKING_BROADCAST && !join_prefixes(one, options)) {
        if (!was_on)
            tracking_disable(client);
        return false;
    }
    one->redirect = options->redirect;
    one->modes = options->modes;
    one->is_broken = false;
    return true;
}

void tracking_disable(struct client *client)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct exec *exec = client->exec;
    struct client_tracking *one = client->tracking;
    if (one == NULL)
        return;
    struct tracking *tracking = exec->tracking;
    if (one->prefixes.size > 0)
        tracking_send_noted(exec);
    leave_prefixes(one, 0);
    buf_done(&one->prefixes);
    reply_drop(&one->late, exec->workers);
    list_remove(&one->in_tracking);
    client->tracking = NULL;
    client->flags &= ~(uint32_t)CLIENT_TRACKING;
    mem_free(one);
    if (--tracking->client_count == 0)
        end_tracking(exec);
}

/* ---- One client ----------------------------------------------------------------------------------- */

unsigned tracking_modes(const struct client *client)
{
    return client->tracking->modes;
}

uint64_t tracking_redirect(const struct client *client)
{
    return client->tracking->redirect;
}

bool tracking_is_broken(const struct client *client)
{
    return client->tracking->is_broken;
}

bool tracking_says_caching(const struct client *client)
{
    return client->tracking->says_caching;
}

void tracking_say_caching(struct client *client)
{
    client->tracking->says_caching = true;
}

uint32_t tracking_prefix_count(const struct client *client)
{
    return (uint32_t)(client->tracking->prefixes.size / sizeof(struct broadcast_prefix *));
}

struct slice tracking_prefix(const struct client *client, uint32_t index)
{
    return broadcast_prefix_name(prefix_at(client->tracking, index));
}

/* A prefix is shared by its members: its name is nobody's. */
uint64_t tracking_client_memory(const struct client *client)
{
    const struct client_tracking *one = client->tracking;
    return one == NULL ? 0 : sizeof *one + one->prefixes.capacity + reply_size(&one->late);
}

/* ---- Messages ------------------------------------------------------------------------------------- */

/* Where to write what a client is sent by tracking; NULL when it is going. A client that waits for the reply to a long read may be
 * about to get the value from before the change: the message waits for that reply (C4). */
static struct reply *output_of(struct client *client)
{
    if (!(client->flags & CLIENT_SLICED) || client->tracking == NULL || client->flags & CLIENT_CLOSING)
        return client_push(client);
    client->tracking->late.resp = client->out.resp;
    return &client->tracking->late;
}

/* Once for each message that is lost. */
static void tell_broken(struct client_tracking *one)
{
    one->is_broken = true;
    struct reply *out = one->client->out.resp == 3 ? output_of(one->client) : NULL;
    if (out == NULL)
        return;
    reply_push(out, 2);
    reply_bulk_string(out, "tracking-redir-broken");
    reply_int(out, (int64_t)one->redirect);
}

/* Writes all of a message but its keys, and says where they go; NULL when there is no way to tell the client. RESP2 has messages for subscribers
 * only. */
static struct reply *begin_message(struct client_tracking *one)
{
    struct client *target = one->client;
    if (one->redirect != 0)
        target = client_lookup(target->exec, one->redirect);
    if (target == NULL || (one->redirect != 0 && target->flags & CLIENT_CLOSING)) {
        tell_broken(one);
        return NULL;
    }
    bool has_pushes = target->out.resp == 3;
    if (!has_pushes && (one->redirect == 0 || client_subscription_count(target) == 0))
        return NULL;
    struct reply *out = output_of(target);
    if (out == NULL)
        return NULL;
    if (has_pushes) {
        reply_push(out, 2);
        reply_literal(out, "$10\r\ninvalidate\r\n");
    } else {
        reply_array(out, 3);
        reply_literal(out, "$7\r\nmessage\r\n");
        reply_bulk(out, SLICE(MESSAGE_CHANNEL));
    }
    return out;
}

static void tell_key(struct client_tracking *one, struct slice key)
{
    struct reply *out = begin_message(one);
    if (out == NULL)
        return;
    reply_array(out, 1);
    reply_bulk(out, key);
}

static void tell_everything(struct client_tracking *one)
{
    struct reply *out = begin_message(one);
    if (out != NULL)
        reply_null(out);
}

void tracking_long_ended(struct client *client)
{
    if (!reply_is_empty(&client->tracking->late))
        reply_move(&client->out, &client->tracking->late);
}

/* ---- Reads ---------------------------------------------------------------------------------------- */

static uint64_t keys_max(const struct exec *exec)
{
    int64_t max = exec->config->tracking_table_max_keys;
    return max == 0 ? UINT64_MAX : (uint64_t)max;
}

static void tell_readers(struct exec *exec, struct tracked_key *key, const struct client *by);

/* While there are too many keys, at most so many are told as changed. Returns whether there are still too many. */
static bool evict(struct exec *exec, uint64_t count)
{
    struct tracking_table *table = exec->tracking->table;
    while (count-- > 0 && tracking_table_size(table) > keys_max(exec))
        tell_readers(exec, tracking_table_take_random(table, &exec->rng), NULL);
    return tracking_table_size(table) > keys_max(exec);
}

static bool shrink_step(struct exec *exec, struct exec_task *task)
{
    return evict(exec, EVICT_STEP);
}

void tracking_apply_limit(struct exec *exec)
{
    if (exec->tracking != NULL && tracking_table_size(exec->tracking->table) > keys_max(exec))
        exec_task_wake(exec, &exec->tracking->shrinking);
}

/* Whether the client wants what it reads now to be remembered. */
static bool wants_read(const struct client_tracking *one)
{
    if (one->modes & (TRACKING_BROADCAST | TRACKING_OPT_IN))
        return one->modes & TRACKING_OPT_IN && one->says_caching;
    return !(one->modes & TRACKING_OPT_OUT && one->says_caching);
}

static void remember(struct client_tracking *one, const struct command *command, const struct slice *argv,
                     uint32_t argc)
{
    struct key_reference keys_inline[KEYS_INLINE], *keys = keys_inline;
    struct exec *exec = one->client->exec;
    if (!(command->flags & CMD_READONLY) || command->flags & CMD_PUBSUB)
        return;
    int count = command_keys(command, argv, argc, keys, KEYS_INLINE);
    if (count > KEYS_INLINE) {
        keys = mem_try_alloc((size_t)count * sizeof *keys);
        if (keys == NULL) {
            tell_everything(one); /* what cannot be remembered must not be kept */
            return;
        }
        command_keys(command, argv, argc, keys, count);
    }
    for (int i = 0; i < count; i++)
        if (tracking_table_add(exec->tracking->table, argv[keys[i].index], one->client->id) != ST_OK)
            tell_key(one, argv[keys[i].index]); /* the same */
    if (count > 0 && evict(exec, EVICT_READ + (uint64_t)count))
        exec_task_wake(exec, &exec->tracking->shrinking);
    if (keys != keys_inline)
        mem_free(keys);
}

void tracking_note_read(struct client *client, const struct command *command, const struct slice *argv,
                        uint32_t argc)
{
    if (wants_read(client->tracking))
        remember(client->tracking, command, argv, argc);
}

void tracking_note_served(struct client *client, const struct command *command, const struct slice *argv,
                          uint32_t argc)
{
    if (client->tracking->remembers_served)
        remember(client->tracking, command, argv, argc);
}

static bool is_subcommand_of_client(const struct command *command)
{
    return command != NULL && command->parent != NULL && strcmp(command->parent->full_name, "client") == 0;
}

void tracking_request_ended(struct client *client, const struct command *command, const struct slice *argv,
                            uint32_t argc, bool executed)
{
    struct client_tracking *one = client->tracking;
    one->remembers_served = executed && client->flags & CLIENT_BLOCKED && wants_read(one);
    if (executed)
        tracking_note_read(client, command, argv, argc);
    if (!(client->flags & CLIENT_IN_TRANSACTION) && !is_subcommand_of_client(command))
        one->says_caching = false;
}

/* ---- Changes -------------------------------------------------------------------------------------- */

struct telling {
    struct exec *exec;
    struct slice key;
    const struct client *by;
};

static void tell_reader(void *context, uint64_t id)
{
    const struct telling *telling = context;
    if (!is_reader(telling->exec, id))
        return;
    struct client *client = client_lookup(telling->exec, id);
    if (client != telling->by || !(client->tracking->modes & TRACKING_NO_LOOP))
        tell_key(client->tracking, telling->key);
}

/* Tells all who have read the key, which is taken over. */
static void tell_readers(struct exec *exec, struct tracked_key *key, const struct client *by)
{
    struct telling telling = {exec, tracked_key_name(key), by};
    tracked_key_visit(key, tell_reader, &telling);
    tracked_key_free(key);
}

void tracking_changed_slow(struct exec *exec, const struct client *by, struct slice key)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct tracking *tracking = exec->tracking;
    if (!broadcast_note(&tracking->broadcast, key, by != NULL ? by->id : 0)) {
        tracking_flushed_slow(exec); /* no memory for the name: it is one of all */
        return;
    }
    if (unlikely(broadcast_noted(&tracking->broadcast) >= NOTED_MAX))
        tracking_send_noted_slow(exec);
    struct tracked_key *tracked = tracking_table_take(tracking->table, key);
    if (tracked != NULL)
        tell_readers(exec, tracked, by);
}

void tracking_flushed_slow(struct exec *exec)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct tracking *tracking = exec->tracking;
    list_for_each(&tracking->clients, node)
    {
        tell_everything(list_entry(node, struct client_tracking, in_tracking));
    }
    if (tracking_table_size(tracking->table) == 0)
        return;
    discard_table(exec, tracking->table);
    tracking->table = new_table(exec);
}

/* The names of a batch that are to be told to the client: all but those that it alone has changed. */
static size_t count_for(const struct broadcast_batch *batch, uint64_t without_id)
{
    size_t count = 0;
    for (size_t i = 0; i < batch->name_count; i++)
        count += batch->names[i]->changed_by != without_id;
    return count;
}

static void tell_batch(struct client_tracking *one, const struct broadcast_batch *batch)
{
    uint64_t without_id = one->modes & TRACKING_NO_LOOP ? one->client->id : UINT64_MAX;
    size_t count = count_for(batch, without_id);
    struct reply *out = count > 0 ? begin_message(one) : NULL;
    if (out == NULL)
        return;
    reply_array(out, count);
    for (size_t i = 0; i < batch->name_count; i++)
        if (batch->names[i]->changed_by != without_id)
            reply_bulk(out, slice_make(batch->names[i]->name, batch->names[i]->size));
}

static void tell_members(void *context, const struct broadcast_batch *batch)
{
    for (size_t i = 0; i < batch->member_count; i++)
        tell_batch(batch->members[i], batch);
}

void tracking_send_noted_slow(struct exec *exec)
{
    struct broadcast *broadcast = &exec->tracking->broadcast;
    if (broadcast_noted(broadcast) > 0)
        broadcast_take(broadcast, tell_members, NULL);
}

/* ---- Looking -------------------------------------------------------------------------------------- */

void tracking_get_totals(const struct exec *exec, struct tracking_totals *ret_totals)
{
    const struct tracking *tracking = exec->tracking;
    *ret_totals = (struct tracking_totals){0};
    if (tracking == NULL)
        return;
    *ret_totals = (struct tracking_totals){
        .clients = tracking->client_count,
        .keys = tracking_table_size(tracking->table),
        .readers = tracking->table->reader_count,
        .prefixes = broadcast_prefix_count(&tracking->broadcast),
        .memory = tracking_table_memory(tracking->table),
    };
}

void tracking_check(const struct exec *exec)
{
    const struct tracking *tracking = exec->tracking;
    uint32_t listed = 0, tracked = 0;
    list_for_each(&exec->clients, node)
    {
        const struct client *client = list_entry(node, struct client, in_clients);
        bool tracks = client->tracking != NULL;
        ASSERT(tracks == ((client->flags & CLIENT_TRACKING) != 0));
        ASSERT(!tracks || client->tracking->client == client);
        ASSERT(!tracks ||
               (tracking_prefix_count(client) > 0) == ((tracking_modes(client) & TRACKING_BROADCAST) != 0));
        tracked += tracks;
    }
    ASSERT((tracking != NULL) == (tracked > 0));
    if (tracking == NULL)
        return;
    list_for_each(&tracking->clients, node)
    {
        ASSERT(list_entry(node, struct client_tracking, in_tracking)->client->exec == exec);
        listed++;
    }
    ASSERT(listed == tracked && listed == tracking->client_count);
    tracking_table_check(tracking->table);
    broadcast_check(&tracking->broadcast);
}
