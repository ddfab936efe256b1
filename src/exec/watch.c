/* Watched keys. Rules in watch.h. Threads: executor only. */
#include "exec/watch.h"

#include "base/alloc.h"
#include "exec/exec.h"

/* A key that somebody watches. */
struct watched_key {
    struct list_node watchers; /* struct watch */
    const struct db *db;       /* the numbered place, not its contents: SWAPDB does not move it */
    uint64_t hash;
    size_t size;
    char name[];
};

/* One client watching one key. */
struct watch {
    struct list_node in_client;
    struct list_node in_key;
    struct client *client;
    struct watched_key *key;
    bool was_expired; /* at the time of WATCH: expiring for good is no change then */
};

struct wanted_key {
    const struct db *db;
    struct slice name;
};

static uint64_t hash_of(const struct watch_table *watch, const struct db *db, struct slice name)
{
    return hash_slice(name, watch->exec->keyspace->hash_seed + db->number);
}

static uint64_t watched_key_hash(const void *item, void *context)
{
    return ((const struct watched_key *)item)->hash;
}

static bool watched_key_equal(const void *item, const void *key)
{
    const struct watched_key *watched = item;
    const struct wanted_key *wanted = key;
    return watched->db == wanted->db && slice_equal(slice_make(watched->name, watched->size), wanted->name);
}

static const struct table_type watched_keys_type = {.hash = watched_key_hash};

struct watch_table *watch_table_new(struct exec *exec)
{
    struct watch_table *watch = mem_calloc(1, sizeof *watch);
    watch->exec = exec;
    table_init(&watch->keys, &watched_keys_type, NULL, NULL);
    return watch;
}

void watch_table_free(struct watch_table *watch)
{
    ASSERT(table_size(&watch->keys) == 0);
    table_done(&watch->keys);
    mem_free(watch);
}

/* Finds or makes the key's place; NULL when memory is refused. */
static struct watched_key *intern(struct watch_table *watch, const struct wanted_key *wanted)
{
    uint64_t hash = hash_of(watch, wanted->db, wanted->name);
    struct watched_key *key = table_find(&watch->keys, hash, watched_key_equal, wanted);
    if (key)
        return key;
    key = mem_try_alloc(sizeof *key + wanted->name.size);
    if (!key)
        return NULL;
    list_init(&key->watchers);
    key->db = wanted->db;
    key->hash = hash;
    key->size = wanted->name.size;
    memcpy(key->name, wanted->name.data, wanted->name.size);
    if (table_insert(&watch->keys, hash, key) != ST_OK) {
        mem_free(key);
        return NULL;
    }
    return key;
}

static bool is_past_its_time(const struct watch_table *watch, const struct db *db, struct slice name)
{
    struct table_position position;
    struct entry *entry = db_locate(db, name, keyspace_hash(watch->exec->keyspace, name), &position);
    return entry && db_is_expired(db, entry);
}

bool watch_add(struct watch_table *watch, struct client *client, struct db *db, struct slice name)
{
    struct wanted_key wanted = {db, name};
    struct watched_key *key = intern(watch, &wanted);
    if (!key)
        return false;
    list_for_each(&key->watchers, node)
    {
        if (list_entry(node, struct watch, in_key)->client == client)
            return true;
    }
    struct watch *entry = mem_calloc(1, sizeof *entry);
    entry->client = client;
    entry->key = key;
    entry->was_expired = is_past_its_time(watch, db, name);
    watch->clients += list_is_empty(&client->watched);
    list_append(&key->watchers, &entry->in_key);
    list_append(&client->watched, &entry->in_client);
    return true;
}

static void forget_key(struct watch_table *watch, struct watched_key *key)
{
    struct wanted_key wanted = {key->db, slice_make(key->name, key->size)};
    struct table_position position;
    if (table_locate(&watch->keys, key->hash, watched_key_equal, &wanted, &position))
        table_remove(&watch->keys, &position);
    mem_free(key);
}

void watch_remove_all(struct watch_table *watch, struct client *client)
{
    watch->clients -= !list_is_empty(&client->watched);
    list_for_each(&client->watched, node)
    {
        struct watch *entry = list_entry(node, struct watch, in_client);
        list_remove(&entry->in_client);
        list_remove(&entry->in_key);
        if (list_is_empty(&entry->key->watchers))
            forget_key(watch, entry->key);
        mem_free(entry);
    }
}

bool watch_any_expired(struct watch_table *watch, struct client *client)
{
    list_for_each(&client->watched, node)
    {
        struct watch *entry = list_entry(node, struct watch, in_client);
        if (!entry->was_expired &&
            is_past_its_time(watch, entry->key->db, slice_make(entry->key->name, entry->key->size)))
            return true;
    }
    return false;
}

uint32_t watch_count(const struct client *client)
{
    uint32_t count = 0;
    list_for_each(&client->watched, node) count++;
    return count;
}

void watch_touch_slow(struct watch_table *watch, const struct db *db, struct slice name)
{
    struct wanted_key wanted = {db, name};
    struct watched_key *key = table_find(&watch->keys, hash_of(watch, db, name), watched_key_equal, &wanted);
    if (!key)
        return;
    /* A key that was past its time already when it was watched is not changed by being deleted for that. */
    bool expiring = is_past_its_time(watch, db, name);
    list_for_each(&key->watchers, node)
    {
        struct watch *entry = list_entry(node, struct watch, in_key);
        if (!(expiring && entry->was_expired))
            entry->client->flags |= CLIENT_DIRTY_CAS;
        entry->was_expired = false;
    }
}

struct touch_context {
    struct watch_table *watch;
    struct db *emptied;
    struct db *replaced_with;
};

enum presence { PRESENCE_NONE, PRESENCE_EXPIRED, PRESENCE_LIVES };

static enum presence presence_of(const struct watch_table *watch, const struct db *db, struct slice name)
{
    struct table_position position;
    struct entry *entry =
        db ? db_locate(db, name, keyspace_hash(watch->exec->keyspace, name), &position) : NULL;
    if (entry == NULL)
        return PRESENCE_NONE;
    return db_is_expired(db, entry) ? PRESENCE_EXPIRED : PRESENCE_LIVES;
}

static void touch_if_affected(void *item, void *context)
{
    struct watched_key *key = item;
    const struct touch_context *touch = context;
    struct slice name = slice_make(key->name, key->size);
    if (key->db != touch->emptied)
        return;
    enum presence before = presence_of(touch->watch, touch->emptied, name);
    enum presence after = presence_of(touch->watch, touch->replaced_with, name);
    if (before == PRESENCE_NONE && after == PRESENCE_NONE)
        return;
    list_for_each(&key->watchers, node)
    {
        struct watch *entry = list_entry(node, struct watch, in_key);
        /* Nothing was seen there, and nothing is: past its time or not at all is the same. */
        if ((entry->was_expired || before == PRESENCE_NONE) && after != PRESENCE_LIVES)
            entry->was_expired = after == PRESENCE_EXPIRED;
        else
            entry->client->flags |= CLIENT_DIRTY_CAS;
    }
}

void watch_touch_db(struct watch_table *watch, struct db *emptied, struct db *replaced_with)
{
    struct touch_context context = {watch, emptied, replaced_with};
    uint64_t cursor = 0;
    if (table_size(&watch->keys) == 0)
        return;
    do {
        cursor = table_scan(&watch->keys, cursor, touch_if_affected, &context);
    } while (cursor);
}
