/* Keys of a writable replica. Rules in local_keys.h. Threads: executor. */
#include "exec/local_keys.h"

#include "base/alloc.h"
#include "exec/exec.h"
#include "exec/expire.h"
#include "exec/notify.h"

#define STEP_KEYS 4096 /* looked at in one step */
#define ROUND_MAX 256  /* of one visit of the table; more are left to the next */

struct local_key {
    uint32_t db;
    uint64_t hash; /* of the name and the database */
    size_t size;
    char name[];
};

struct local_keys {
    struct table keys; /* struct local_key */
    uint64_t cursor;
};

struct wanted {
    uint32_t db;
    struct slice name;
};

static uint64_t hash_of_item(const void *item, void *context)
{
    return ((const struct local_key *)item)->hash;
}

static bool is_equal(const void *item, const void *key)
{
    const struct local_key *local = item;
    const struct wanted *wanted = key;
    return local->db == wanted->db && slice_equal(slice_make(local->name, local->size), wanted->name);
}

static const struct table_type type = {.hash = hash_of_item};

/* ---- What is in it -------------------------------------------------------------------------------- */

void local_keys_note(struct exec *exec, const struct db *db, struct slice key)
{
    struct local_keys *keys = exec->local_keys;
    struct wanted wanted = {db->number, key};
    if (keys == NULL || exec->propagate.is_applying)
        return;
    uint64_t hash = hash_slice(key, exec->keyspace->hash_seed + db->number);
    if (table_find(&keys->keys, hash, is_equal, &wanted))
        return;
    struct local_key *local = mem_try_alloc(sizeof *local + key.size);
    if (local == NULL)
        return; /* the key stays longer than it should, and nobody sees it */
    *local = (struct local_key){.db = db->number, .hash = hash, .size = key.size};
    memcpy(local->name, key.data, key.size);
    if (table_insert(&keys->keys, hash, local) != ST_OK)
        mem_free(local); /* the same */
}

static void forget(struct local_keys *keys, struct local_key *local)
{
    struct wanted wanted = {local->db, slice_make(local->name, local->size)};
    struct table_position position;
    if (table_locate(&keys->keys, local->hash, is_equal, &wanted, &position))
        table_remove(&keys->keys, &position);
    mem_free(local);
}

struct round {
    struct local_key *keys[ROUND_MAX];
    unsigned count;
};

static void collect(void *item, void *context)
{
    struct round *round = context;
    if (round->count < ROUND_MAX)
        round->keys[round->count++] = item;
}

/* L1 */
static void look_at(struct exec *exec, struct local_key *local)
{
    struct db *db = &exec->keyspace->dbs[local->db];
    struct slice name = slice_make(local->name, local->size);
    uint64_t hash = keyspace_hash(exec->keyspace, name);
    struct table_position position;
    const struct entry *entry = db_locate(db, name, hash, &position);
    if (entry != NULL && db_is_expired(db, entry)) {
        expire_local(exec, db, name, hash);
        entry = db_locate(db, name, hash, &position); /* it may be held */
    }
    if (entry == NULL || !(entry_flags(entry) & ENTRY_HAS_EXPIRE))
        forget(exec->local_keys, local);
}

void local_keys_step(struct exec *exec)
{
    struct local_keys *keys = exec->local_keys;
    if (keys == NULL || exec->pause_until_ms != 0 || exec->hindrances & EXEC_LOADING)
        return;
    for (unsigned seen = 0; seen < STEP_KEYS && table_size(&keys->keys) > 0;) {
        struct round round = {.count = 0};
        keys->cursor = table_scan(&keys->keys, keys->cursor, collect, &round);
        for (unsigned i = 0; i < round.count; i++)
            look_at(exec, round.keys[i]);
        seen += round.count + 1;
        if (keys->cursor == 0)
            return; /* once around is enough */
    }
}

/* ---- Life ----------------------------------------------------------------------------------------- */

void local_keys_forget(struct exec *exec)
{
    struct local_keys *keys = exec->local_keys;
    while (keys != NULL && table_size(&keys->keys) > 0) {
        struct round round = {.count = 0};
        keys->cursor = table_scan(&keys->keys, keys->cursor, collect, &round);
        for (unsigned i = 0; i < round.count; i++)
            forget(keys, round.keys[i]);
    }
}

void local_keys_set_on(struct exec *exec, bool is_on)
{
    if (is_on == (exec->local_keys != NULL))
        return;
    if (is_on) {
        exec->local_keys = mem_calloc(1, sizeof *exec->local_keys);
        table_init(&exec->local_keys->keys, &type, NULL, NULL);
        exec->notify_classes |= NOTIFY_LOCAL;
        return;
    }
    local_keys_forget(exec);
    table_done(&exec->local_keys->keys);
    mem_free(exec->local_keys);
    exec->local_keys = NULL;
    exec->notify_classes &= ~(unsigned)NOTIFY_LOCAL;
}
