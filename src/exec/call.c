/* What a command's function may use: keys, changes, usual answers. The rules are in call.h.
 *
 * Threads: executor only. */
#include "exec/call.h"

#include "base/role.h"
#include "exec/block.h"
#include "exec/dispatch.h"
#include "exec/expire.h"
#include "exec/local_keys.h"
#include "exec/notify.h"
#include "exec/tracking.h"
#include "exec/watch.h"

/* ---- Keys ----------------------------------------------------------------------------------------- */

/* A large hash whose fields are due is left to active expiry. */
static bool must_expire(const struct db *db, const struct entry *entry)
{
    return db_is_due(db, entry) && (entry_encoding(entry) != ENTRY_TREE || db_is_expired(db, entry));
}

ALWAYS_INLINE uint64_t hash_name(const struct call *call, struct slice name)
{
    if (call->has_key_hash && likely(name.data == call->argv[call->command->first_key].data))
        return call->key_hash;
    return keyspace_hash(call->exec->keyspace, name);
}

/* What is past its time goes. */
NO_INLINE static void expire_located(struct call *call, struct key *key)
{
    if (!must_expire(call->db, key->entry))
        return;
    if (unlikely(call->exec->local_keys != NULL) && call->command->flags & CMD_WRITE &&
        !call->exec->propagate.is_applying)
        expire_local(call->exec, call->db, key->name, key->hash);
    else
        expire_key(call->exec, call->db, key->name, key->hash);
    /* It may have been only some of its fields. */
    key->entry = db_locate(call->db, key->name, key->hash, &key->position);
    if (key->entry && db_is_expired(call->db, key->entry))
        key->entry = NULL; /* held (exec/hold.h), or a replica's, and not to be seen */
}

ALWAYS_INLINE bool locate_hashed(struct call *call, struct slice name, uint64_t hash, struct key *ret_key)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    ret_key->name = name;
    ret_key->hash = hash;
    ret_key->entry = db_locate(call->db, name, hash, &ret_key->position);
    if (!ret_key->entry)
        return false;
    if (unlikely(entry_flags(ret_key->entry) & (ENTRY_HAS_EXPIRE | ENTRY_TIMED_FIELDS)))
        expire_located(call, ret_key);
    /* Who looks a key up and may write to it may change it in place. */
    if (unlikely(!list_is_empty(&call->db->walks)) && ret_key->entry &&
        call->command->flags & (CMD_WRITE | CMD_MAY_REPLICATE))
        db_note_change(call->db, ret_key->entry, hash);
    return ret_key->entry != NULL;
}

static bool locate(struct call *call, struct slice name, struct key *ret_key)
{
    return locate_hashed(call, name, hash_name(call, name), ret_key);
}

ALWAYS_INLINE void touch(struct call *call, struct entry *entry)
{
    struct keyspace *keyspace = call->exec->keyspace;
    /* Most reads find the clock as it is: no write, the line stays clean. */
    if (unlikely(entry_clock(entry) != keyspace->use.fresh) && !(call->client->flags & CLIENT_NO_TOUCH))
        use_touch(&keyspace->use, &keyspace->rng, entry);
}

/* First all buckets, then all entries: those of each step arrive together. */
void call_fetch_keys(const struct call *call, const struct slice *names, uint32_t count, uint32_t step,
                     uint64_t *ret_hashes)
{
    const struct table *keys = call->db->keys;
    bool writes = call->command->flags & CMD_WRITE;
    for (uint32_t i = 0; i < count; i++) {
        ret_hashes[i] = hash_name(call, names[i * step]);
        table_prefetch_bucket(keys, ret_hashes[i], writes);
    }
    for (uint32_t i = 0; i < count; i++) {
        const char *entry = table_likely_item(keys, ret_hashes[i]);
        if (entry == NULL)
            continue;
        prefetch(entry);
        if (writes)
            heap_prefetch_release(call->exec->heap, entry); /* as in the executor's window: exec.c */
        else
            prefetch(entry + CACHE_LINE);
    }
}

ALWAYS_INLINE bool read_key(struct call *call, struct slice name, uint64_t hash, struct key *ret_key)
{
    if (!locate_hashed(call, name, hash, ret_key)) {
        call->exec->stats.keyspace_misses++;
        notify_publish(call->exec, NOTIFY_KEY_MISS, "keymiss", name, call->db);
        return false;
    }
    call->exec->stats.keyspace_hits++;
    touch(call, ret_key->entry);
    if (unlikely(call->exec->keyspace->has_readers) && call->command->direct != NULL)
        keyspace_note_read(call->exec->keyspace, ret_key->entry);
    return true;
}

ALWAYS_INLINE bool write_key(struct call *call, struct slice name, uint64_t hash, struct key *ret_key)
{
    if (!locate_hashed(call, name, hash, ret_key))
        return false;
    touch(call, ret_key->entry);
    return true;
}

bool call_read_key_hashed(struct call *call, struct slice name, uint64_t hash, struct key *ret_key)
{
    return read_key(call, name, hash, ret_key);
}

bool call_write_key_hashed(struct call *call, struct slice name, uint64_t hash, struct key *ret_key)
{
    return write_key(call, name, hash, ret_key);
}

bool call_read_key(struct call *call, struct slice name, struct key *ret_key)
{
    return read_key(call, name, hash_name(call, name), ret_key);
}

bool call_write_key(struct call *call, struct slice name, struct key *ret_key)
{
    return write_key(call, name, hash_name(call, name), ret_key);
}

bool call_peek_key(struct call *call, struct slice name, struct key *ret_key)
{
    return locate(call, name, ret_key);
}

static bool is_string_or_missing(struct call *call, const struct key *key)
{
    if (unlikely(key->entry && entry_type(key->entry) != ENTRY_STRING)) {
        call_wrong_type(call);
        return false;
    }
    return true;
}

bool call_read_string(struct call *call, struct slice name, struct key *ret_key)
{
    read_key(call, name, hash_name(call, name), ret_key);
    return is_string_or_missing(call, ret_key);
}

bool call_write_string(struct call *call, struct slice name, struct key *ret_key)
{
    write_key(call, name, hash_name(call, name), ret_key);
    return is_string_or_missing(call, ret_key);
}

ALWAYS_INLINE bool open_collection(struct call *call, enum entry_type type, const struct key *key,
                                   struct collection_view *ret_view)
{
    if (key->entry == NULL)
        return true;
    if (entry_type(key->entry) != type) {
        call_wrong_type(call);
        return false;
    }
    collection_open(ret_view, call->exec->keyspace, key->entry);
    return true;
}

bool call_open_collection(struct call *call, enum entry_type type, const struct key *key,
                          struct collection_view *ret_view)
{
    return open_collection(call, type, key, ret_view);
}

bool call_read_collection(struct call *call, struct slice name, enum entry_type type, struct key *ret_key,
                          struct collection_view *ret_view)
{
    read_key(call, name, hash_name(call, name), ret_key);
    return open_collection(call, type, ret_key, ret_view);
}

bool call_write_collection(struct call *call, struct slice name, enum entry_type type, struct key *ret_key,
                           struct collection_view *ret_view)
{
    write_key(call, name, hash_name(call, name), ret_key);
    return open_collection(call, type, ret_key, ret_view);
}

/* collection_close of what has only changed where it is, as nearly always. False: there is more to do. */
ALWAYS_INLINE bool keep_collection(const struct collection_view *view, struct entry *entry)
{
    if (entry == NULL || tree_rows(view->rows) == 0)
        return false;
    if (entry_encoding(entry) == ENTRY_TREE)
        return true;
    if (view->rows->depth > 0 || view->index != NULL)
        return false;
    keyspace_set_page(view->keyspace, entry, view->rows->root.page);
    return true;
}

bool call_close_collection(struct call *call, struct key *key, struct collection_view *view,
                           enum entry_type type, uint8_t marks)
{
    if (likely(keep_collection(view, key->entry))) {
        entry_set_marks(key->entry, marks);
        return true;
    }
    struct entry_options options = call_entry_options(call, key, true);
    struct entry *entry;
    options.marks = marks;
    switch (collection_close(view, key->entry, key->name, type, &options, &entry)) {
    case COLLECTION_KEPT: entry_set_marks(key->entry, marks); return true;
    case COLLECTION_REPLACED: return call_store(call, key, entry);
    case COLLECTION_EMPTY:
        if (key->entry)
            call_delete(call, key);
        return true;
    case COLLECTION_NOMEM: break;
    }
    call_oom(call);
    return false;
}

bool call_store_collection(struct call *call, struct key *key, struct collection_view *view,
                           enum entry_type type, uint8_t marks)
{
    struct entry_options options = call_entry_options(call, key, false);
    struct entry *entry;
    options.marks = marks;
    if (collection_close(view, NULL, key->name, type, &options, &entry) == COLLECTION_REPLACED)
        return call_store(call, key, entry);
    call_oom(call);
    return false;
}

struct entry *call_take_built(struct call *call, uint32_t clock, int64_t expire_ms)
{
    struct entry *entry = call->built != NULL ? *call->built : NULL;
    if (entry == NULL || entry_has_expire(entry) != (expire_ms != ENTRY_NO_EXPIRE))
        return NULL;
    *call->built = NULL;
    call->client->pending_head->built_count--;
    call->taken = entry;
    heap_adopt(call->exec->heap, heap_block_size(entry_block_size(entry)));
    entry_set_clock(entry, clock);
    if (entry_has_expire(entry))
        *entry_expire_field(entry) = expire_ms;
    return entry;
}

/* An entry that could not be published. One that was built ahead goes back to its request, whose key lies in it. */
static void give_back(struct call *call, struct entry *entry)
{
    if (entry == call->taken) {
        *call->built = entry;
        call->client->pending_head->built_count++;
        call->taken = NULL;
        heap_disown(call->exec->heap, heap_block_size(entry_block_size(entry)));
    } else {
        entry_free(call->exec->heap, entry);
    }
}

bool call_store(struct call *call, struct key *key, struct entry *entry)
{
    if (unlikely(!entry)) {
        call_oom(call);
        return false;
    }
    if (key->entry) {
        enum entry_type before = entry_type(key->entry);
        if (before != entry_type(entry))
            block_key_lost(call->exec->block, call->db, before, key->name, key->hash);
        db_replace(call->db, &key->position, entry, key->hash);
    } else if (unlikely(db_insert(call->db, entry, key->hash) != ST_OK)) {
        give_back(call, entry);
        call_oom(call);
        return false;
    } else if (unlikely(call->exec->notify_classes)) {
        notify_publish(call->exec, NOTIFY_NEW, "new", key->name, call->db);
    }
    key->entry = entry;
    block_key_ready(call->exec->block, call->db, entry_type(entry), key->name, key->hash);
    return true;
}

void call_delete(struct call *call, struct key *key)
{
    block_key_lost(call->exec->block, call->db, entry_type(key->entry), key->name, key->hash);
    db_remove(call->db, &key->position);
    key->entry = NULL;
}

struct entry_options call_entry_options(const struct call *call, const struct key *key, bool keep_expire)
{
    const struct use *use = &call->exec->keyspace->use;
    return (struct entry_options){
        .expire_ms = keep_expire && key->entry ? entry_expire_ms(key->entry) : ENTRY_NO_EXPIRE,
        /* How often a key was used does not depend on how often it got another value. */
        .clock = use->rules.counts && key->entry ? entry_clock(key->entry) : use->clock_new,
    };
}

/* Whoever else hears of changes from here on has its place in plain.c, plain_is_unheard, as well. */
NO_INLINE static void tell_changed(struct call *call, struct db *db, unsigned event_class, const char *event,
                                   struct slice key)
{
    struct exec *exec = call->exec;
    watch_touch(exec->watch, db, key);
    tracking_changed(exec, call->client, key);
    if (unlikely(exec->notify_classes)) {
        local_keys_note(exec, db, key);
        notify_publish(exec, event_class, event, key, db);
    }
}

ALWAYS_INLINE void changed_in(struct call *call, struct db *db, unsigned event_class, const char *event,
                              struct slice key)
{
    const struct exec *exec = call->exec;
    call->exec->stats.dirty++;
    call->has_changed = true;
    if (unlikely(table_size(&exec->watch->keys) != 0 || exec->tracking != NULL || exec->notify_classes))
        tell_changed(call, db, event_class, event, key);
}

void call_changed_in(struct call *call, struct db *db, unsigned event_class, const char *event,
                     struct slice key)
{
    changed_in(call, db, event_class, event, key);
}

void call_touched(struct call *call, unsigned event_class, const char *event, struct slice key)
{
    struct exec *exec = call->exec;
    watch_touch(exec->watch, call->db, key);
    tracking_changed(exec, call->client, key);
    if (unlikely(exec->notify_classes))
        notify_publish(exec, event_class, event, key, call->db);
}

void call_changed(struct call *call, unsigned event_class, const char *event, struct slice key)
{
    changed_in(call, call->db, event_class, event, key);
}

/* ---- Usual answers -------------------------------------------------------------------------------- */

void call_wrong_type(struct call *call)
{
    reply_error(call->out, "WRONGTYPE Operation against a key holding the wrong kind of value");
}

void call_syntax_error(struct call *call)
{
    reply_error(call->out, "ERR syntax error");
}

void call_not_integer(struct call *call)
{
    reply_error(call->out, "ERR value is not an integer or out of range");
}

void call_not_float(struct call *call)
{
    reply_error(call->out, "ERR value is not a valid float");
}

void call_oom(struct call *call)
{
    reply_error(call->out, "OOM not enough memory for this command");
}

void call_no_such_key(struct call *call)
{
    reply_error(call->out, "ERR no such key");
}

void call_string_too_long(struct call *call)
{
    reply_error(call->out, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
}

void call_reply_string(struct call *call, const struct entry *entry)
{
    if (unlikely(entry_encoding(entry) == ENTRY_INT)) {
        reply_bulk_int(call->out, entry_int(entry));
        return;
    }
    value_reply_bytes(call->out, entry_bytes(entry),
                      entry_encoding(entry) == ENTRY_LARGE ? entry_large(entry) : NULL);
}
