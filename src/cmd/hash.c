/* Hashes field by field: HSET, HSETNX, HMSET, HGET, HMGET, HDEL, HEXISTS, HLEN, HSTRLEN, HINCRBY, HINCRBYFLOAT. Whole
 * hashes are in hash_walk.c.
 *
 * Threads: executor only. */
#include "cmd/hash.h"

#include <math.h>

#include "config/config.h"
#include "exec/fetch.h"
#include "exec/notify.h"
#include "gen/args.h"

/* The value of a field of the key's hash, which may be missing, as may the field. `field` is a word of the request, and may have been
 * looked up ahead. */
static bool find_value(const struct call *call, const struct key *key, const struct collection_view *hash,
                       struct slice field, struct element *ret_value)
{
    return key->entry != NULL && hash_find_seen(hash->rows, call->exec->keyspace->now_ms, field,
                                                fetch_seen(call->exec, field), ret_value);
}

/* ---- Setting ----------------------------------------------------------------------------------------------- */

uint8_t hash_marks_now(const struct call *call, const struct key *key, const struct tree *rows,
                       size_t longest)
{
    const struct config *config = call->exec->config;
    const struct hash_limits limits = {(uint64_t)config->hash_max_listpack_entries,
                                       (uint64_t)config->hash_max_listpack_value};
    return hash_marks(rows, key->entry == NULL ? 0 : key->entry->flags & ENTRY_MARKS, longest, &limits);
}

/* Puts fields and values, one after the other in `data`, into the key's hash, which is opened or not there yet, and
 * closes it. False after -OOM. */
static bool put_pairs(struct call *call, struct key *key, struct collection_view *hash,
                      const struct slice *data, uint32_t pair_count, int64_t expire_ms, int64_t *ret_added)
{
    struct element_batch batch;
    if (element_batch_make(&batch, data, 2 * pair_count) != ST_OK) {
        call_oom(call);
        return false;
    }
    if (key->entry == NULL)
        collection_begin(hash, call->exec->keyspace, ENTRY_HASH);
    int64_t added = 0, now_ms = call->exec->keyspace->now_ms;
    const struct element *pairs = batch.elements;
    struct members_seen seen = fetch_seen(call->exec, data[0]);
    added += hash_set_seen(hash->rows, now_ms, pairs[0], seen, pairs[1], expire_ms);
    for (uint32_t i = 2; i < batch.count; i += 2)
        added += hash_set(hash->rows, now_ms, pairs[i], pairs[i + 1], expire_ms);
    element_batch_done(&batch);
    *ret_added = added;
    bool has_grown = key->entry != NULL && key->entry->flags & ENTRY_GROWN; /* for good */
    uint8_t marks = has_grown ? key->entry->flags & ENTRY_MARKS
                              : hash_marks_now(call, key, hash->rows, hash_longest(data, batch.count));
    return call_close_collection(call, key, hash, ENTRY_HASH, marks);
}

/* HSET and HMSET but for the answer. False after an error. */
static bool set_pairs(struct call *call, struct slice name, const struct slice *data, uint32_t pair_count,
                      int64_t *ret_added)
{
    struct key key;
    struct collection_view hash;
    if (!call_write_collection(call, name, ENTRY_HASH, &key, &hash) ||
        !put_pairs(call, &key, &hash, data, pair_count, ENTRY_NO_EXPIRE, ret_added))
        return false;
    call_changed(call, NOTIFY_HASH, "hset", name);
    call->exec->stats.dirty += pair_count - 1;
    return true;
}

void cmd_hset(struct call *call, const struct args_hset *args)
{
    int64_t added;
    if (set_pairs(call, args->key, args->data, args->data_count, &added))
        reply_int(call->out, added);
}

void cmd_hmset(struct call *call, const struct args_hmset *args)
{
    int64_t added;
    if (set_pairs(call, args->key, args->data, args->data_count, &added))
        reply_ok(call->out);
}

void cmd_hsetnx(struct call *call, const struct args_hsetnx *args)
{
    struct key key;
    struct collection_view hash;
    struct element old;
    int64_t added;
    const struct slice pair[] = {args->field, args->value};
    if (!call_write_collection(call, args->key, ENTRY_HASH, &key, &hash))
        return;
    if (find_value(call, &key, &hash, args->field, &old)) {
        reply_int(call->out, 0);
        return;
    }
    if (!put_pairs(call, &key, &hash, pair, 1, ENTRY_NO_EXPIRE, &added))
        return;
    call_changed(call, NOTIFY_HASH, "hset", args->key);
    reply_int(call->out, 1);
}

/* ---- Counting ---------------------------------------------------------------------------------------------- */

/* Stores the text of a number under a field and tells of it. False after -OOM. */
static bool put_number(struct call *call, struct key *key, struct collection_view *hash, struct slice field,
                       struct slice digits, const char *event)
{
    const struct slice pair[] = {field, digits};
    int64_t added;
    if (!put_pairs(call, key, hash, pair, 1, HASH_KEEP_TIME, &added))
        return false;
    call_changed(call, NOTIFY_HASH, event, key->name);
    return true;
}

static bool field_has_time(const struct call *call, const struct tree *rows, struct slice field)
{
    struct tree_place place;
    return hash_has_times(rows) && hash_locate(rows, call->exec->keyspace->now_ms, field, &place) &&
           hash_time(rows, &place) != ENTRY_NO_EXPIRE;
}

void cmd_hincrby(struct call *call, const struct args_hincrby *args)
{
    struct key key;
    struct collection_view hash;
    struct element old;
    int64_t value = 0;
    char text[NUM_I64_TEXT_MAX];
    if (!call_write_collection(call, args->key, ENTRY_HASH, &key, &hash))
        return;
    if (find_value(call, &key, &hash, args->field, &old)) {
        if (old.kind != ELEMENT_INT) {
            reply_error(call->out, "ERR hash value is not an integer");
            return;
        }
        value = element_int(old);
    }
    if (__builtin_add_overflow(value, args->increment, &value)) {
        reply_error(call->out, "ERR increment or decrement would overflow");
        return;
    }
    struct slice digits = slice_make(text, num_format_i64(value, text));
    if (put_number(call, &key, &hash, args->field, digits, "hincrby"))
        reply_int(call->out, value);
}

void cmd_hincrbyfloat(struct call *call, const struct args_hincrbyfloat *args)
{
    struct key key;
    struct collection_view hash;
    struct element old;
    long double value = 0;
    element_scratch scratch;
    char text[NUM_LONG_DOUBLE_TEXT_MAX];
    if (isinf(args->increment)) {
        reply_error(call->out, "ERR value is NaN or Infinity");
        return;
    }
    if (!call_write_collection(call, args->key, ENTRY_HASH, &key, &hash))
        return;
    if (find_value(call, &key, &hash, args->field, &old) &&
        !num_parse_long_double(element_text(old, scratch), &value)) {
        reply_error(call->out, "ERR hash value is not a float");
        return;
    }
    value += args->increment;
    if (isnan(value) || isinf(value)) {
        reply_error(call->out, "ERR increment would produce NaN or Infinity");
        return;
    }
    struct slice digits = slice_make(text, num_format_long_double(value, text));
    bool has_time = key.entry != NULL && field_has_time(call, hash.rows, args->field);
    if (!put_number(call, &key, &hash, args->field, digits, "hincrbyfloat"))
        return;
    /* Sums differ by machine. HSET would take the field's time. */
    if (has_time)
        CALL_PROPAGATE(call, SLICE("HSETEX"), args->key, SLICE("KEEPTTL"), SLICE("FIELDS"), SLICE("1"),
                       args->field, digits);
    else
        CALL_PROPAGATE(call, SLICE("HSET"), args->key, args->field, digits);
    reply_bulk(call->out, digits);
}

/* ---- Removing ---------------------------------------------------------------------------------------------- */

void cmd_hdel(struct call *call, const struct args_hdel *args)
{
    struct key key;
    struct collection_view hash;
    int64_t removed = 0;
    if (!call_write_collection(call, args->key, ENTRY_HASH, &key, &hash))
        return;
    struct members_seen seen = fetch_seen(call->exec, args->field[0]);
    for (uint32_t i = 0; key.entry != NULL && i < args->field_count && tree_rows(hash.rows) > 0; i++) {
        removed += hash_remove(hash.rows, call->exec->keyspace->now_ms, args->field[i], seen);
        seen = MEMBERS_NOT_SEEN;
    }
    if (removed > 0) {
        call_close_collection(call, &key, &hash, ENTRY_HASH, key.entry->flags & ENTRY_MARKS);
        call_changed(call, NOTIFY_HASH, "hdel", args->key);
        call->exec->stats.dirty += (uint64_t)removed - 1;
        if (key.entry == NULL)
            notify_publish(call->exec, NOTIFY_GENERIC, "del", args->key, call->db);
    }
    reply_int(call->out, removed);
}

/* ---- Reading ----------------------------------------------------------------------------------------------- */

void hash_reply_value(struct reply *reply, const struct tree *rows, int64_t now_ms, struct slice field,
                      struct members_seen seen)
{
    struct element value;
    if (rows != NULL && hash_find_seen(rows, now_ms, field, seen, &value))
        value_reply_element(reply, value);
    else
        reply_null(reply);
}

/* The hash may be missing: `key` has no entry then. */
static void reply_value_of(struct call *call, const struct key *key, const struct collection_view *hash,
                           struct slice field, struct members_seen seen)
{
    const struct tree *rows = key->entry != NULL ? hash->rows : NULL;
    hash_reply_value(call->out, rows, call->exec->keyspace->now_ms, field, seen);
}

void cmd_hget(struct call *call, const struct args_hget *args)
{
    struct key key;
    struct collection_view hash;
    if (call_read_collection(call, args->key, ENTRY_HASH, &key, &hash))
        reply_value_of(call, &key, &hash, args->field, fetch_seen(call->exec, args->field));
}

void cmd_hmget(struct call *call, const struct args_hmget *args)
{
    struct key key;
    struct collection_view hash;
    if (!call_read_collection(call, args->key, ENTRY_HASH, &key, &hash))
        return;
    reply_array(call->out, args->field_count);
    struct members_seen seen = fetch_seen(call->exec, args->field[0]);
    for (uint32_t i = 0; i < args->field_count; i++, seen = MEMBERS_NOT_SEEN)
        reply_value_of(call, &key, &hash, args->field[i], seen);
}

void cmd_hexists(struct call *call, const struct args_hexists *args)
{
    struct key key;
    struct collection_view hash;
    struct element value;
    if (call_read_collection(call, args->key, ENTRY_HASH, &key, &hash))
        reply_int(call->out, find_value(call, &key, &hash, args->field, &value));
}

void cmd_hlen(struct call *call, const struct args_hlen *args)
{
    struct key key;
    struct collection_view hash;
    if (call_read_collection(call, args->key, ENTRY_HASH, &key, &hash))
        reply_int(call->out, key.entry == NULL ? 0 : (int64_t)tree_rows(hash.rows));
}

void cmd_hstrlen(struct call *call, const struct args_hstrlen *args)
{
    struct key key;
    struct collection_view hash;
    struct element value;
    element_scratch scratch;
    if (!call_read_collection(call, args->key, ENTRY_HASH, &key, &hash))
        return;
    bool found = find_value(call, &key, &hash, args->field, &value);
    reply_int(call->out, found ? (int64_t)element_text(value, scratch).size : 0);
}
