/* Clients that wait for keys. Rules and states in block.h. Threads: executor only. */
#include "exec/block.h"

#include "base/alloc.h"
#include "base/role.h"
#include "exec/call.h"
#include "exec/dispatch.h"
#include "exec/hold.h"
#include "exec/pause.h"
#include "exec/permit.h"
#include "exec/tracking.h"

/* A key that somebody waits for. */
struct waited_key {
    struct list_node waiters;  /* struct waiter (B2) */
    struct list_node in_ready; /* listed while ready */
    const struct db *db;
    enum entry_type type;
    bool is_being_served;
    uint32_t loss_waiters; /* B6 */
    uint64_t hash;         /* of the name in the keyspace */
    size_t size;
    char name[];
};

/* One client waiting for one key. */
struct waiter {
    struct list_node in_key;
    struct waited_key *key;
    struct key_wait *wait;
};

/* One client and all that it waits for: one block with copies of the arguments and details behind the waiters. */
struct key_wait {
    struct block_table *block;
    struct client *client;
    const struct command *command;
    const struct slice *argv;
    uint32_t argc;
    block_serve_fn *serve;
    bool hears_of_loss;
    const void *details;
    uint32_t waiter_count;
    struct waiter waiters[];
};

struct wanted_key {
    const struct db *db;
    enum entry_type type;
    struct slice name;
};

/* ---- The table ------------------------------------------------------------------------------------ */

/* The same name is hashed apart for each database and type. */
static uint64_t place_hash(const struct db *db, enum entry_type type, uint64_t hash)
{
    hash = (hash ^ ((uint64_t)db->number << 8 | (uint64_t)type)) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 32;
}

static uint64_t waited_key_hash(const void *item, void *context)
{
    const struct waited_key *key = item;
    return place_hash(key->db, key->type, key->hash);
}

static struct slice name_of(const struct waited_key *key)
{
    return slice_make(key->name, key->size);
}

static bool waited_key_equal(const void *item, const void *key)
{
    const struct waited_key *waited = item;
    const struct wanted_key *wanted = key;
    return waited->db == wanted->db && waited->type == wanted->type &&
           slice_equal(name_of(waited), wanted->name);
}

static const struct table_type waited_keys_type = {.hash = waited_key_hash};

struct block_table *block_table_new(struct exec *exec)
{
    struct block_table *block = mem_calloc(1, sizeof *block);
    block->exec = exec;
    list_init(&block->ready);
    table_init(&block->keys, &waited_keys_type, NULL, NULL);
    return block;
}

void block_table_free(struct block_table *block)
{
    ASSERT(table_size(&block->keys) == 0);
    table_done(&block->keys);
    mem_free(block);
}

static struct waited_key *find(const struct block_table *block, const struct wanted_key *wanted,
                               uint64_t hash)
{
    return table_find(&block->keys, place_hash(wanted->db, wanted->type, hash), waited_key_equal, wanted);
}

/* Finds or makes the key's place; NULL when memory is refused. */
static struct waited_key *intern(struct block_table *block, const struct wanted_key *wanted)
{
    uint64_t hash = keyspace_hash(block->exec->keyspace, wanted->name);
    struct waited_key *key = find(block, wanted, hash);
    if (key)
        return key;
    key = mem_try_alloc(sizeof *key + wanted->name.size);
    if (!key)
        return NULL;
    *key =
        (struct waited_key){.db = wanted->db, .type = wanted->type, .hash = hash, .size = wanted->name.size};
    list_init(&key->waiters);
    memcpy(key->name, wanted->name.data, wanted->name.size);
    if (table_insert(&block->keys, waited_key_hash(key, NULL), key) != ST_OK) {
        mem_free(key);
        return NULL;
    }
    return key;
}

/* B1: to be called when somebody has left the key, or it has been served. */
static void release_key(struct block_table *block, struct waited_key *key)
{
    if (!list_is_empty(&key->waiters) || key->is_being_served)
        return;
    struct wanted_key wanted = {key->db, key->type, name_of(key)};
    struct table_position position;
    if (table_locate(&block->keys, waited_key_hash(key, NULL), waited_key_equal, &wanted, &position))
        table_remove(&block->keys, &position);
    if (list_is_listed(&key->in_ready))
        list_remove(&key->in_ready);
    mem_free(key);
}

/* ---- Waiting -------------------------------------------------------------------------------------- */

/* A block for the client's waiting, with copies of what the run, soon to be recycled, holds. NULL: memory is refused. */
static struct key_wait *wait_new(const struct call *call, const struct block_request *request)
{
    size_t waiters_size = request->key_count * sizeof(struct waiter);
    size_t details_size = (request->details_size + 7) & ~(size_t)7;
    size_t size = sizeof(struct key_wait) + waiters_size + details_size + call->argc * sizeof(struct slice);
    for (uint32_t i = 0; i < call->argc; i++)
        size += call->argv[i].size;
    struct key_wait *wait = mem_try_alloc(size);
    if (!wait)
        return NULL;
    char *details = (char *)wait->waiters + waiters_size;
    struct slice *argv = (struct slice *)(details + details_size);
    char *bytes = (char *)(argv + call->argc);
    if (request->details_size)
        memcpy(details, request->details, request->details_size);
    for (uint32_t i = 0; i < call->argc; i++) {
        memcpy(bytes, call->argv[i].data, call->argv[i].size);
        argv[i] = slice_make(bytes, call->argv[i].size);
        bytes += call->argv[i].size;
    }
    *wait = (struct key_wait){.block = call->exec->block,
                              .client = call->client,
                              .command = call->command,
                              .argv = argv,
                              .argc = call->argc,
                              .serve = request->serve,
                              .hears_of_loss = request->hears_of_loss,
                              .details = details};
    return wait;
}

static void wait_free(struct key_wait *wait)
{
    for (uint32_t i = 0; i < wait->waiter_count; i++) {
        struct waiter *waiter = &wait->waiters[i];
        list_remove(&waiter->in_key);
        waiter->key->loss_waiters -= wait->hears_of_loss;
        wait->block->loss_waiters -= wait->hears_of_loss;
        release_key(wait->block, waiter->key);
    }
    mem_free(wait);
}

/* False when memory is refused. */
static bool wait_for(struct key_wait *wait, const struct wanted_key *wanted)
{
    struct waited_key *key = intern(wait->block, wanted);
    if (!key)
        return false;
    /* Nobody else has come since this client began: if it is there already, it is the last one. */
    if (!list_is_empty(&key->waiters) && list_entry(key->waiters.prev, struct waiter, in_key)->wait == wait)
        return true;
    struct waiter *waiter = &wait->waiters[wait->waiter_count++];
    *waiter = (struct waiter){.key = key, .wait = wait};
    list_append(&key->waiters, &waiter->in_key);
    key->loss_waiters += wait->hears_of_loss;
    wait->block->loss_waiters += wait->hears_of_loss;
    return true;
}

/* Of client_block: whatever the reason, it waits for keys no longer. */
static void end_wait(struct client *client, enum block_end_reason reason)
{
    wait_free(client->key_wait);
    client->key_wait = NULL;
    struct reply *out = reason == BLOCK_END_TIMEOUT || reason == BLOCK_END_ERROR ? client_push(client) : NULL;
    if (out && reason == BLOCK_END_ERROR)
        reply_error(out, CLIENT_UNBLOCKED_ERROR);
    else if (out)
        reply_null_array(out);
}

void block_wait(struct call *call, const struct block_request *request)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    DEBUG_ASSERT(call->client->key_wait == NULL);
    struct key_wait *wait = wait_new(call, request);
    if (!wait) {
        call_oom(call);
        return;
    }
    for (uint32_t i = 0; i < request->key_count; i++) {
        struct wanted_key wanted = {call->db, request->type, request->keys[i]};
        if (!wait_for(wait, &wanted)) {
            wait_free(wait);
            call_oom(call);
            return;
        }
    }
    call->client->key_wait = wait;
    client_block(call->client, request->deadline_ns, end_wait);
}

/* ---- Becoming ready ------------------------------------------------------------------------------- */

static void mark_ready(struct block_table *block, struct waited_key *key)
{
    if (!list_is_listed(&key->in_ready))
        list_append(&block->ready, &key->in_ready);
}

void block_key_ready_slow(struct block_table *block, const struct db *db, enum entry_type type,
                          struct slice name, uint64_t hash)
{
    struct wanted_key wanted = {db, type, name};
    struct waited_key *key = find(block, &wanted, hash);
    if (key)
        mark_ready(block, key);
}

/* Whether the key holds, in time, what is waited for. */
static bool is_there(const struct waited_key *key)
{
    struct table_position position;
    const struct entry *entry = db_locate(key->db, name_of(key), key->hash, &position);
    return entry && entry_type(entry) == key->type && !db_is_expired(key->db, entry);
}

/* Whether there is anybody to be served: with what the key holds, or with its loss. */
static bool is_worth_a_look(const struct waited_key *key)
{
    return key->loss_waiters > 0 || is_there(key);
}

struct swapped {
    struct block_table *block;
    const struct db *a;
    const struct db *b;
};

static void mark_swapped(void *item, void *context)
{
    struct waited_key *key = item;
    const struct swapped *swapped = context;
    if ((key->db == swapped->a || key->db == swapped->b) && is_worth_a_look(key))
        mark_ready(swapped->block, key);
}

static void mark_there(void *item, void *context)
{
    if (is_worth_a_look(item))
        mark_ready(context, item);
}

void block_look_again(struct block_table *block)
{
    uint64_t cursor = 0;
    if (table_size(&block->keys) == 0)
        return;
    do {
        cursor = table_scan(&block->keys, cursor, mark_there, block);
    } while (cursor);
}

struct lost {
    struct block_table *block;
    const struct db *db;
};

static void mark_lost(void *item, void *context)
{
    struct waited_key *key = item;
    const struct lost *lost = context;
    if (key->db == lost->db && key->loss_waiters > 0)
        mark_ready(lost->block, key);
}

void block_db_lost(struct block_table *block, const struct db *db)
{
    struct lost context = {block, db};
    uint64_t cursor = 0;
    if (block->loss_waiters == 0)
        return;
    do {
        cursor = table_scan(&block->keys, cursor, mark_lost, &context);
    } while (cursor);
}

void block_db_swapped(struct block_table *block, const struct db *a, const struct db *b)
{
    struct swapped context = {block, a, b};
    uint64_t cursor = 0;
    if (table_size(&block->keys) == 0)
        return;
    do {
        cursor = table_scan(&block->keys, cursor, mark_swapped, &context);
    } while (cursor);
}

/* ---- Serving -------------------------------------------------------------------------------------- */

/* Of client_serve. */
static bool serve_waiter(struct client *client, const void *context)
{
    const struct waiter *waiter = context;
    const struct key_wait *wait = waiter->wait;
    struct call call = {
        .exec = client->exec,
        .client = client,
        .command = wait->command,
        .argv = wait->argv,
        .argc = wait->argc,
        .db = client->db,
        .out = &client->out,
    };
    /* Rights may have been taken since it began to wait. */
    if (unlikely(client->flags & CLIENT_RESTRICTED) &&
        !permit_or_answer(client, call.command, call.argv, call.argc, PERMIT_ARRIVED))
        return true;
    bool served = wait->serve(&call, name_of(waiter->key), wait->details);
    if (unlikely(call.exec->propagate.log != NULL) && call.has_changed)
        propagate_call_end(&call);
    propagate_end_unit(call.exec);
    if (unlikely(client->flags & CLIENT_TRACKING) && served)
        tracking_note_served(client, call.command, call.argv, call.argc);
    return served;
}

static void serve_key(struct block_table *block, struct waited_key *key)
{
    key->is_being_served = true;
    list_for_each(&key->waiters, node)
    {
        struct waiter *waiter = list_entry(node, struct waiter, in_key);
        const struct key_wait *wait = waiter->wait;
        bool is_lost = !is_there(key);
        if (is_lost && key->loss_waiters == 0)
            break;
        if (is_lost && !wait->hears_of_loss)
            continue;
        /* Nobody behind it overtakes: block_look_again will come. */
        if (hold_conflicts(&block->exec->holds, wait->command, wait->argv, wait->argc)) {
            block->exec->holds.somebody_was_left_out = true;
            break;
        }
        client_serve(waiter->wait->client, serve_waiter, waiter);
    }
    key->is_being_served = false;
    release_key(block, key);
}

void block_serve_ready_slow(struct block_table *block)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct exec *exec = block->exec;
    uint64_t begin = pause_begin(exec);
    keyspace_begin_steps(exec->keyspace);
    while (!list_is_empty(&block->ready)) {
        struct waited_key *key = list_entry(block->ready.next, struct waited_key, in_ready);
        list_remove(&key->in_ready);
        serve_key(block, key);
    }
    keyspace_end_steps(exec->keyspace);
    exec->tick_mark = clock_ticks(exec->clock); /* the time was not that of the next command */
    pause_note(exec, "blocked-clients", clock_ticks_to_ns(exec->clock, exec->tick_mark - begin));
}

/* ---- Counting ------------------------------------------------------------------------------------- */

struct key_counts {
    const struct block_table *block;
    uint64_t keys;
    uint64_t loss;
};

/* A key that is waited for as several types is counted as the first of them. */
static void count_key(void *item, void *context)
{
    const struct waited_key *key = item;
    struct key_counts *counts = context;
    counts->loss += key->loss_waiters > 0;
    for (unsigned type = 0; type < key->type; type++) {
        struct wanted_key wanted = {key->db, (enum entry_type)type, name_of(key)};
        if (find(counts->block, &wanted, key->hash))
            return;
    }
    counts->keys++;
}

uint64_t block_key_count(const struct block_table *block, uint64_t *ret_loss)
{
    struct key_counts counts = {.block = block};
    uint64_t cursor = 0;
    do {
        cursor = table_scan(&block->keys, cursor, count_key, &counts);
    } while (cursor);
    *ret_loss = counts.loss;
    return counts.keys;
}

/* ---- Checking ------------------------------------------------------------------------------------- */

static void check_key(void *item, void *context)
{
    struct waited_key *key = item;
    const struct key_wait *previous = NULL;
    uint32_t loss_waiters = 0;
    ASSERT(!key->is_being_served && !list_is_listed(&key->in_ready)); /* B4 */
    ASSERT(!list_is_empty(&key->waiters));                            /* B1 */
    list_for_each(&key->waiters, node)
    {
        const struct waiter *waiter = list_entry(node, struct waiter, in_key);
        const struct key_wait *wait = waiter->wait;
        ASSERT(waiter->key == key && wait != previous); /* B2 */
        ASSERT(waiter >= wait->waiters && waiter < wait->waiters + wait->waiter_count);
        ASSERT(wait->client->key_wait == wait && wait->client->flags & CLIENT_BLOCKED); /* B3 */
        ASSERT(wait->client->db == key->db);
        loss_waiters += wait->hears_of_loss;
        previous = wait;
    }
    ASSERT(loss_waiters == key->loss_waiters); /* B6 */
}

void block_check(const struct block_table *block)
{
    uint64_t cursor = 0;
    ASSERT(list_is_empty(&block->ready));
    do {
        cursor = table_scan(&block->keys, cursor, check_key, NULL);
    } while (cursor);
    list_for_each(&block->exec->clients, node)
    {
        const struct client *client = list_entry(node, struct client, in_clients);
        ASSERT(!client->key_wait || client->flags & CLIENT_BLOCKED); /* B3 */
    }
}
