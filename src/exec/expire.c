/* Keys and fields past their times are taken out. Contract in expire.h. Threads: executor only. */
#include "exec/expire.h"

#include "exec/block.h"
#include "exec/exec.h"
#include "exec/hold.h"
#include "exec/notify.h"
#include "exec/tracking.h"
#include "exec/watch.h"
#include "types/hash.h"

struct expiring {
    struct exec *exec;
    const struct db *db;
    struct slice key;
};

/* Each for itself, as Redis writes it: a large hash may lose many at a time. */
static void field_expired(void *context, struct element field)
{
    const struct expiring *expiring = context;
    element_scratch scratch;
    const struct slice words[] = {SLICE("HDEL"), expiring->key, element_text(field, scratch)};
    propagate_words(expiring->exec, expiring->db, words, ARRAY_COUNT(words));
}

/* Takes expired fields out of a hash, and the key when none is left. Of a large hash it is a step: who looks at one passes
 * over the fields that are still there. */
static void remove_fields(struct exec *exec, struct db *db, struct slice key, struct table_position *position)
{
    struct entry *entry = table_item_at(position), *none;
    struct collection_view hash;
    int64_t due_ms;
    bool is_large = entry_encoding(entry) == ENTRY_TREE;
    db_note_change(db, entry, keyspace_hash(exec->keyspace, key));
    collection_open(&hash, exec->keyspace, entry);
    struct expiring expiring = {exec, db, key};
    const struct hash_listener listener = {propagate_is_on(exec) ? field_expired : NULL, &expiring};
    uint64_t count = is_large ? hash_expire_some(entry_collection(entry), exec->keyspace->now_ms, listener)
                              : hash_expire(hash.rows, exec->keyspace->now_ms, listener, &due_ms);
    if (count > 0) { /* what a large hash keeps is a bound */
        exec->stats.dirty += count;
        exec->stats.expired_fields += count;
        watch_touch(exec->watch, db, key);
        tracking_changed(exec, NULL, key);
        notify_publish(exec, NOTIFY_HASH, "hexpired", key, db);
    }
    if (collection_close(&hash, entry, key, ENTRY_HASH, NULL, &none) == COLLECTION_EMPTY) {
        notify_publish(exec, NOTIFY_GENERIC, "del", key, db);
        db_remove(db, position);
    }
}

static void remove_key(struct exec *exec, struct db *db, struct slice key, uint64_t hash,
                       struct table_position *position)
{
    exec->stats.expired_keys++;
    exec->stats.dirty++;
    watch_touch(exec->watch, db, key);
    tracking_changed(exec, NULL, key);
    notify_publish(exec, NOTIFY_EXPIRED, "expired", key, db);
    block_key_lost(exec->block, db, entry_type(table_item_at(position)), key, hash);
    propagate_deleted(exec, db, key);
    db_remove(db, position);
}

void expire_key(struct exec *exec, struct db *db, struct slice key, uint64_t hash)
{
    if (!exec->is_replica) /* whose keys and fields go when its primary says so */
        expire_local(exec, db, key, hash);
}

void expire_local(struct exec *exec, struct db *db, struct slice key, uint64_t hash)
{
    struct table_position position;
    struct entry *entry = db_locate(db, key, hash, &position);
    if (entry == NULL || exec->pause_until_ms != 0) /* in a pause nothing changes */
        return;
    if (db_is_expired(db, entry) && hold_has(&exec->holds, key))
        return;
    /* Readers leave what is at its time to the executor: that it goes is no step that they could see. */
    uint32_t steps = exec->keyspace->steps_made;
    if (db_is_expired(db, entry))
        remove_key(exec, db, key, hash, &position);
    else
        remove_fields(exec, db, key, &position);
    exec->keyspace->steps_made = steps;
}
