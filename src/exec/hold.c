/* Keys that long commands hold. Rules in hold.h. Threads: executor only. */
#include "exec/hold.h"

#include "base/alloc.h"
#include "exec/block.h"
#include "exec/dispatch.h"
#include "exec/transaction.h"

/* Keys of one command that are found without asking for memory. */
#define KEYS_INLINE 16

#define ACCESS_WRITES (KEY_READ_WRITE | KEY_OVERWRITE | KEY_REMOVE)

struct held_key {
    struct list_node waiters; /* clients */
    uint32_t holders;
    bool has_writer;
    uint64_t hash;
    size_t size;
    char name[];
};

/* ---- The table ---------------------------------------------------------------------------------------------- */

static uint64_t held_key_hash(const void *item, void *context)
{
    return ((const struct held_key *)item)->hash;
}

static bool held_key_equal(const void *item, const void *key)
{
    const struct held_key *held = item;
    return slice_equal(slice_make(held->name, held->size), *(const struct slice *)key);
}

static const struct table_type held_keys_type = {.hash = held_key_hash};

void hold_table_init(struct hold_table *table, struct exec *exec)
{
    *table = (struct hold_table){.exec = exec};
    list_init(&table->everyone);
    table_init(&table->keys, &held_keys_type, NULL, NULL);
}

void hold_table_done(struct hold_table *table)
{
    ASSERT(!hold_is_any(table) && table->writer_count == 0);
    table_done(&table->keys);
}

static struct held_key *find(const struct hold_table *table, struct slice name)
{
    return table_find(&table->keys, keyspace_hash(table->exec->keyspace, name), held_key_equal, &name);
}

bool hold_has_slow(const struct hold_table *table, struct slice name)
{
    return table->everything_count > 0 || find(table, name) != NULL;
}

/* NULL when memory is refused. */
static struct held_key *intern(struct hold_table *table, struct slice name)
{
    struct held_key *key = find(table, name);
    if (key != NULL)
        return key;
    key = mem_try_alloc(sizeof *key + name.size);
    if (key == NULL)
        return NULL;
    *key = (struct held_key){.hash = keyspace_hash(table->exec->keyspace, name), .size = name.size};
    list_init(&key->waiters);
    memcpy(key->name, name.data, name.size);
    if (table_insert(&table->keys, key->hash, key) != ST_OK) {
        mem_free(key);
        return NULL;
    }
    return key;
}

/* ---- A command's keys --------------------------------------------------------------------------------------- */

struct command_keys {
    struct key_reference *references;
    uint32_t count;
    struct key_reference inlined[KEYS_INLINE];
};

/* False: memory for them is refused. */
static bool find_keys(struct command_keys *keys, const struct command *command, const struct slice *argv,
                      uint32_t argc)
{
    int count = command_keys(command, argv, argc, keys->inlined, KEYS_INLINE);
    keys->references = keys->inlined;
    keys->count = count > 0 ? (uint32_t)count : 0;
    if (count <= KEYS_INLINE)
        return true;
    keys->references = mem_try_alloc((size_t)count * sizeof *keys->references);
    if (keys->references == NULL)
        return false;
    command_keys(command, argv, argc, keys->references, count);
    return true;
}

static void forget_keys(struct command_keys *keys)
{
    if (keys->references != keys->inlined)
        mem_free(keys->references);
}

/* Whether a command changes what is under a key. Those that may wait for their keys change all of them, also XREADGROUP,
 * whose keys are declared as only read: entries stay what they are, but groups belong to a key, too. */
static bool changes_key(const struct command *command, const struct key_reference *key)
{
    const uint32_t both = CMD_WRITE | CMD_BLOCKING;
    return key->access & ACCESS_WRITES || (command->flags & both) == both;
}

/* Whether nobody else may begin to hold the key to read it: it will be written, or somebody waits to write to it, who would
 * wait for ever if others went on taking it (H5). */
static bool is_closed(const struct held_key *key)
{
    return key->has_writer || !list_is_empty(&key->waiters);
}

/* ---- Holding ------------------------------------------------------------------------------------------------ */

struct list_node *hold_obstacle(struct hold_table *table, const struct command *command,
                                const struct slice *argv, uint32_t argc, enum hold_scope scope)
{
    struct command_keys keys;
    struct list_node *waiters = NULL;
    /* Who waits for all keys would wait for ever if others went on taking them. */
    if (!list_is_empty(&table->everyone))
        return &table->everyone;
    if (scope == HOLD_EVERYTHING)
        return table->writer_count > 0 ? &table->everyone : NULL;
    if (scope == HOLD_WRITES || table_size(&table->keys) == 0) /* a writer has been asked before it began */
        return NULL;
    if (!find_keys(&keys, command, argv, argc))
        return &table->everyone; /* something is held, so its turn comes */
    for (uint32_t i = 0; i < keys.count && waiters == NULL; i++) {
        struct held_key *key = find(table, argv[keys.references[i].index]);
        if (key != NULL && is_closed(key))
            waiters = &key->waiters;
    }
    forget_keys(&keys);
    return waiters;
}

/* Takes the keys, and puts them into `held`. Returns how many; fewer when memory is refused. */
static uint32_t take_keys(struct hold_table *table, const struct command *command, const struct slice *argv,
                          const struct command_keys *keys, struct held_key **held)
{
    uint32_t count = 0;
    for (; count < keys->count; count++) {
        const struct key_reference *reference = &keys->references[count];
        struct held_key *key = intern(table, argv[reference->index]);
        if (key == NULL)
            break;
        if (changes_key(command, reference) && !key->has_writer) {
            key->has_writer = true;
            table->writer_count++;
        }
        key->holders++;
        held[count] = key;
    }
    return count;
}

struct held_key **hold_take(struct hold_table *table, const struct command *command, const struct slice *argv,
                            uint32_t argc, enum hold_scope scope, uint32_t *ret_count)
{
    struct command_keys keys;
    if (!find_keys(&keys, command, argv, argc))
        return NULL;
    struct held_key **held = mem_try_alloc((keys.count + 1) * sizeof(struct held_key *));
    table->everything_count += scope == HOLD_EVERYTHING;
    *ret_count = held != NULL ? take_keys(table, command, argv, &keys, held) : 0;
    bool is_whole = *ret_count == keys.count;
    forget_keys(&keys);
    if (held != NULL && is_whole)
        return held;
    hold_release(table, held, *ret_count, scope);
    return NULL;
}

static void resume_all(struct list_node *clients)
{
    while (!list_is_empty(clients))
        client_resume(list_entry(clients->next, struct client, in_blocked));
}

void hold_release(struct hold_table *table, struct held_key **keys, uint32_t count, enum hold_scope scope)
{
    table->everything_count -= scope == HOLD_EVERYTHING;
    for (uint32_t i = 0; i < count; i++) {
        struct held_key *key = keys[i];
        struct slice name = slice_make(key->name, key->size);
        struct table_position position;
        if (--key->holders > 0)
            continue;
        resume_all(&key->waiters);
        table->writer_count -= key->has_writer;
        if (table_locate(&table->keys, key->hash, held_key_equal, &name, &position))
            table_remove(&table->keys, &position);
        mem_free(key);
    }
    mem_free(keys);
    if (!hold_is_any(table))
        resume_all(&table->everyone);
    if (table->somebody_was_left_out) {
        table->somebody_was_left_out = false;
        block_look_again(table->exec->block);
    }
}

/* ---- Waiting ------------------------------------------------------------------------------------------------ */

/* What a command must wait for: the clients to wait among, NULL when it need not. */
static struct list_node *conflict(const struct hold_table *table, const struct command *command,
                                  const struct slice *argv, uint32_t argc)
{
    struct command_keys keys;
    struct list_node *waiters = NULL;
    bool is_long_writer = command->cost == COST_SLICEABLE;
    if (!(command->flags & CMD_WRITE))
        return NULL;
    if (!find_keys(&keys, command, argv, argc))
        return (struct list_node *)&table->everyone; /* something is held, so its turn comes */
    if (keys.count == 0)
        waiters = (struct list_node *)&table->everyone;
    for (uint32_t i = 0; i < keys.count && waiters == NULL; i++) {
        struct held_key *key = find(table, argv[keys.references[i].index]);
        bool writes = changes_key(command, &keys.references[i]);
        if (writes && table->everything_count > 0)
            waiters = (struct list_node *)&table->everyone;
        else if (key != NULL && (writes || (is_long_writer && is_closed(key))))
            waiters = &key->waiters;
    }
    forget_keys(&keys);
    return waiters;
}

bool hold_conflicts_slow(const struct hold_table *table, const struct command *command,
                         const struct slice *argv, uint32_t argc)
{
    return conflict(table, command, argv, argc) != NULL;
}

static struct list_node *conflict_of_transaction(const struct hold_table *table,
                                                 const struct transaction *transaction)
{
    struct list_node *waiters = NULL;
    for (uint32_t i = 0; i < transaction->count && waiters == NULL; i++) {
        const struct queued_command *queued = &transaction->commands[i];
        waiters = conflict(table, queued->command, queued->argv, queued->argc);
    }
    return waiters;
}

bool hold_must_wait_slow(struct hold_table *table, struct client *client, const struct command *command,
                         const struct slice *argv, uint32_t argc)
{
    bool is_exec = client->transaction != NULL && strcmp(command->full_name, "exec") == 0;
    struct list_node *waiters =
        is_exec ? conflict_of_transaction(table, client->transaction) : conflict(table, command, argv, argc);
    if (waiters == NULL)
        return false;
    client_wait_in(client, waiters);
    return true;
}
