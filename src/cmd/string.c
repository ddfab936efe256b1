/* Whole strings in and out: SET and its relatives, GET and its relatives, several keys at once.
 *
 * Principal entry points: the cmd_ functions of gen/args.h. Threads: executor only.
 * See also: cmd/string_edit.c (parts of strings), cmd/string_number.c (counters). */
#include "base/alloc.h"
#include "exec/brief.h"
#include "exec/call.h"
#include "exec/notify.h"
#include "gen/args.h"

#define MS_PER_SECOND 1000

/* ---- Storing -------------------------------------------------------------------------------------- */

static struct entry *new_string(struct call *call, const struct key *key, struct slice value,
                                int64_t expire_ms)
{
    struct entry_options options = call_entry_options(call, key, false);
    options.expire_ms = expire_ms;
    struct entry *built = call_take_built(call, options.clock, expire_ms);
    if (built != NULL)
        return built;
    return entry_new_string(call->exec->heap, key->name, value, &options);
}

/* Puts a value without a time to live where that of the key lies, if it may: then no other block has to be found, filled and published. One
 * that is built already has less to do in its place. */
static bool overwrite(struct call *call, const struct key *key, struct slice value)
{
    struct keyspace *keyspace = call->exec->keyspace;
    bool is_built = call->built != NULL && *call->built != NULL;
    if (key->entry == NULL || is_built || !keyspace_can_overwrite(keyspace, key->entry, value))
        return false;
    keyspace_overwrite(keyspace, key->entry, value);
    return true;
}

/* Stores a value and says so. Answers only on failure. */
static bool store(struct call *call, struct key *key, struct slice value, int64_t expire_ms)
{
    bool is_in_place = expire_ms == ENTRY_NO_EXPIRE && overwrite(call, key, value);
    if (!is_in_place && !call_store(call, key, new_string(call, key, value, expire_ms)))
        return false;
    call_changed(call, NOTIFY_STRING, "set", key->name);
    return true;
}

static void reply_value(struct call *call, const struct entry *entry)
{
    if (entry == NULL)
        reply_null(call->out);
    else
        call_reply_string(call, entry);
}

/* Stores a value and answers with the old one, which must be a string or missing. */
static bool exchange(struct call *call, struct key *key, struct slice value, int64_t expire_ms)
{
    struct entry *entry = new_string(call, key, value, expire_ms);
    bool present = key->entry != NULL;
    /* The old value is gone once it is replaced; replacing cannot fail, so this stays the only answer. */
    if (present && entry != NULL)
        call_reply_string(call, key->entry);
    if (!call_store(call, key, entry))
        return false;
    if (!present)
        reply_null(call->out);
    call_changed(call, NOTIFY_STRING, "set", key->name);
    return true;
}

/* ---- Times to live -------------------------------------------------------------------------------- */

enum time_unit { UNIT_SECONDS, UNIT_MS };
enum time_base { FROM_NOW, FROM_1970 };

/* The moment that an option of SET, GETEX, … means. Answers with the error and returns false when there is none. */
static bool read_expire(struct call *call, int64_t value, enum time_unit unit, enum time_base base,
                        int64_t *ret_ms)
{
    int64_t unit_ms = unit == UNIT_SECONDS ? MS_PER_SECOND : 1;
    int64_t origin_ms = base == FROM_NOW ? call->exec->now_ms : 0;
    if (value > 0 && entry_expire_at(value, unit_ms, origin_ms, ret_ms))
        return true;
    reply_error(call->out, "ERR invalid expire time in '%s' command", call->command->full_name);
    return false;
}

/* ---- SET ------------------------------------------------------------------------------------------ */

/* The moment that SET's options mean: ENTRY_NO_EXPIRE without any, and for KEEPTTL. */
static bool read_set_expire(struct call *call, const struct args_set *args, int64_t *ret_ms)
{
    switch (args->expiration) {
    case ARGS_SET_EXPIRATION_NONE:
    case ARGS_SET_EXPIRATION_KEEPTTL: *ret_ms = ENTRY_NO_EXPIRE; return true;
    case ARGS_SET_EXPIRATION_SECONDS:
        return read_expire(call, args->expiration_value.seconds, UNIT_SECONDS, FROM_NOW, ret_ms);
    case ARGS_SET_EXPIRATION_MILLISECONDS:
        return read_expire(call, args->expiration_value.milliseconds, UNIT_MS, FROM_NOW, ret_ms);
    case ARGS_SET_EXPIRATION_UNIX_TIME_SECONDS:
        return read_expire(call, args->expiration_value.unix_time_seconds, UNIT_SECONDS, FROM_1970, ret_ms);
    case ARGS_SET_EXPIRATION_UNIX_TIME_MILLISECONDS:
        return read_expire(call, args->expiration_value.unix_time_milliseconds, UNIT_MS, FROM_1970, ret_ms);
    }
    BUG("expiration %d", (int)args->expiration);
}

static bool holds_value(const struct entry *entry, struct slice value)
{
    entry_scratch scratch;
    return entry != NULL && slice_equal(entry_string(entry, scratch), value);
}

static bool meets_condition(const struct args_set *args, const struct key *key)
{
    switch (args->condition) {
    case ARGS_SET_CONDITION_NONE: return true;
    case ARGS_SET_CONDITION_NX: return key->entry == NULL;
    case ARGS_SET_CONDITION_XX: return key->entry != NULL;
    case ARGS_SET_CONDITION_IFEQ: return holds_value(key->entry, args->condition_value.ifeq);
    }
    BUG("condition %d", (int)args->condition);
}

/* Looks the key up the way the options want it: GET counts as a read, IFEQ needs a string. */
static bool look_up_for_set(struct call *call, const struct args_set *args, struct key *ret_key)
{
    if (args->get)
        return call_read_string(call, args->key, ret_key);
    if (args->condition == ARGS_SET_CONDITION_IFEQ)
        return call_write_string(call, args->key, ret_key);
    call_write_key(call, args->key, ret_key);
    return true;
}

/* A set with a time to live is written with its end, and without the conditions, which were met. */
static void propagate_timed(struct call *call, struct slice name, struct slice value, int64_t expire_ms)
{
    char text[NUM_I64_TEXT_MAX];
    CALL_PROPAGATE(call, SLICE("SET"), name, value, SLICE("PXAT"), propagate_number(expire_ms, text));
}

#define SET_OPTIONS_AT 3 /* the first word behind the value */
#define SET_EDITS_MAX  6 /* more of the same words do no harm */

/* The answer that GET asks for is nothing to those who read the log, nor is IFEQ, which was met and which not all of them know. */
static void propagate_plain(struct call *call)
{
    struct propagate_edit edits[SET_EDITS_MAX];
    uint32_t count = 0;
    for (uint32_t i = SET_OPTIONS_AT; i < call->argc && count + 2 <= SET_EDITS_MAX; i++) {
        bool is_ifeq = slice_equal_nocase(call->argv[i], "ifeq");
        if (is_ifeq || slice_equal_nocase(call->argv[i], "get"))
            edits[count++] = (struct propagate_edit){.index = i};
        if (is_ifeq)
            edits[count++] = (struct propagate_edit){.index = ++i};
    }
    call_propagate_edited(call, edits, count);
}

static NO_INLINE void set_with_options(struct call *call, const struct args_set *args)
{
    int64_t expire_ms;
    struct key key;
    if (!read_set_expire(call, args, &expire_ms) || !look_up_for_set(call, args, &key))
        return;
    if (!meets_condition(args, &key)) {
        reply_value(call, args->get ? key.entry : NULL);
        return;
    }
    bool expires = expire_ms != ENTRY_NO_EXPIRE;
    if (args->expiration == ARGS_SET_EXPIRATION_KEEPTTL && key.entry != NULL)
        expire_ms = entry_expire_ms(key.entry);
    bool stored =
        args->get ? exchange(call, &key, args->value, expire_ms) : store(call, &key, args->value, expire_ms);
    if (!stored)
        return;
    if (expires) {
        call_changed(call, NOTIFY_GENERIC, "expire", args->key);
        propagate_timed(call, args->key, args->value, expire_ms);
    } else if (args->get || args->condition == ARGS_SET_CONDITION_IFEQ) {
        propagate_plain(call);
    }
    if (!args->get)
        reply_ok(call->out);
}

void cmd_set(struct call *call, const struct args_set *args)
{
    if (unlikely(args->condition != ARGS_SET_CONDITION_NONE || args->get ||
                 args->expiration != ARGS_SET_EXPIRATION_NONE)) {
        set_with_options(call, args);
        return;
    }
    struct key key;
    call_write_key(call, args->key, &key);
    if (likely(store(call, &key, args->value, ENTRY_NO_EXPIRE)))
        reply_ok(call->out);
}

static void set_with_expire(struct call *call, struct slice name, struct slice value, int64_t time,
                            enum time_unit unit)
{
    int64_t expire_ms;
    struct key key;
    if (!read_expire(call, time, unit, FROM_NOW, &expire_ms))
        return;
    call_write_key(call, name, &key);
    if (!store(call, &key, value, expire_ms))
        return;
    call_changed(call, NOTIFY_GENERIC, "expire", name);
    propagate_timed(call, name, value, expire_ms);
    reply_ok(call->out);
}

void cmd_setex(struct call *call, const struct args_setex *args)
{
    set_with_expire(call, args->key, args->value, args->seconds, UNIT_SECONDS);
}

void cmd_psetex(struct call *call, const struct args_psetex *args)
{
    set_with_expire(call, args->key, args->value, args->milliseconds, UNIT_MS);
}

void cmd_setnx(struct call *call, const struct args_setnx *args)
{
    struct key key;
    if (call_write_key(call, args->key, &key))
        reply_int(call->out, 0);
    else if (store(call, &key, args->value, ENTRY_NO_EXPIRE))
        reply_int(call->out, 1);
}

void cmd_getset(struct call *call, const struct args_getset *args)
{
    struct key key;
    if (call_read_string(call, args->key, &key) && exchange(call, &key, args->value, ENTRY_NO_EXPIRE))
        CALL_PROPAGATE(call, SLICE("SET"), args->key, args->value);
}

/* ---- GET ------------------------------------------------------------------------------------------ */

void cmd_get(struct call *call, const struct args_get *args)
{
    struct key key;
    if (likely(call_read_string(call, args->key, &key)))
        reply_value(call, key.entry);
}

bool brief_get(struct call *call)
{
    struct entry *entry = brief_find(call);
    if (entry == NULL || entry_type(entry) != ENTRY_STRING)
        return false;
    brief_note_read(call, entry);
    call_reply_string(call, entry);
    return true;
}

void cmd_getdel(struct call *call, const struct args_getdel *args)
{
    struct key key;
    if (!call_read_string(call, args->key, &key))
        return;
    reply_value(call, key.entry);
    if (key.entry == NULL)
        return;
    call_delete(call, &key);
    call_changed(call, NOTIFY_GENERIC, "del", args->key);
    CALL_PROPAGATE(call, SLICE("DEL"), args->key);
}

static bool read_getex_expire(struct call *call, const struct args_getex *args, int64_t *ret_ms)
{
    switch (args->expiration) {
    case ARGS_GETEX_EXPIRATION_NONE:
    case ARGS_GETEX_EXPIRATION_PERSIST: *ret_ms = ENTRY_NO_EXPIRE; return true;
    case ARGS_GETEX_EXPIRATION_SECONDS:
        return read_expire(call, args->expiration_value.seconds, UNIT_SECONDS, FROM_NOW, ret_ms);
    case ARGS_GETEX_EXPIRATION_MILLISECONDS:
        return read_expire(call, args->expiration_value.milliseconds, UNIT_MS, FROM_NOW, ret_ms);
    case ARGS_GETEX_EXPIRATION_UNIX_TIME_SECONDS:
        return read_expire(call, args->expiration_value.unix_time_seconds, UNIT_SECONDS, FROM_1970, ret_ms);
    case ARGS_GETEX_EXPIRATION_UNIX_TIME_MILLISECONDS:
        return read_expire(call, args->expiration_value.unix_time_milliseconds, UNIT_MS, FROM_1970, ret_ms);
    }
    BUG("expiration %d", (int)args->expiration);
}

/* Gives the key a time to live, or takes it away, and answers with the value. */
static void change_expire(struct call *call, struct key *key, int64_t expire_ms)
{
    /* The value is written before the change, which may move it, and taken back if the change fails. */
    struct reply_mark mark = reply_mark(call->out);
    call_reply_string(call, key->entry);
    if (expire_ms != ENTRY_NO_EXPIRE && expire_ms <= call->exec->keyspace->now_ms) {
        call_delete(call, key);
        call_changed(call, NOTIFY_GENERIC, "del", key->name);
        CALL_PROPAGATE(call, SLICE("DEL"), key->name);
        return;
    }
    if (db_set_expire(call->db, &key->position, key->hash, expire_ms) != ST_OK) {
        reply_rollback(call->out, mark);
        call_oom(call);
        return;
    }
    if (expire_ms == ENTRY_NO_EXPIRE) {
        call_changed(call, NOTIFY_GENERIC, "persist", key->name);
        CALL_PROPAGATE(call, SLICE("PERSIST"), key->name);
    } else {
        char text[NUM_I64_TEXT_MAX];
        call_changed(call, NOTIFY_GENERIC, "expire", key->name);
        CALL_PROPAGATE(call, SLICE("PEXPIREAT"), key->name, propagate_number(expire_ms, text));
    }
}

void cmd_getex(struct call *call, const struct args_getex *args)
{
    int64_t expire_ms;
    struct key key;
    if (!call_read_string(call, args->key, &key))
        return;
    if (key.entry == NULL) {
        reply_null(call->out);
        return;
    }
    if (!read_getex_expire(call, args, &expire_ms))
        return;
    bool persists =
        args->expiration == ARGS_GETEX_EXPIRATION_PERSIST && entry_expire_ms(key.entry) != ENTRY_NO_EXPIRE;
    if (expire_ms != ENTRY_NO_EXPIRE || persists)
        change_expire(call, &key, expire_ms);
    else
        call_reply_string(call, key.entry);
}

/* ---- Several keys --------------------------------------------------------------------------------- */

void cmd_mget(struct call *call, const struct args_mget *args)
{
    uint32_t count = args->key_count;
    uint64_t hashes[CALL_FETCH_MAX];
    reply_array(call->out, count);
    for (uint32_t i = 0; i < count; i++) {
        struct key key;
        uint32_t ahead = i % CALL_FETCH_MAX;
        if (ahead == 0)
            call_fetch_keys(call, args->key + i, count - i < CALL_FETCH_MAX ? count - i : CALL_FETCH_MAX, 1,
                            hashes);
        bool found = call_read_key_hashed(call, args->key[i], hashes[ahead], &key) &&
                     entry_type(key.entry) == ENTRY_STRING;
        reply_value(call, found ? key.entry : NULL);
    }
}

/* Up to this many pairs need no memory for the list of new entries. */
#define PAIRS_ON_STACK 64

static void free_entries(struct call *call, struct entry **entries, uint32_t from, uint32_t count)
{
    for (uint32_t i = from; i < count; i++)
        entry_free(call->exec->heap, entries[i]);
}

/* Looks a pair's key up; those of the next pairs are asked for with every CALL_FETCH_MAX. */
static bool find_pair(struct call *call, const struct slice *data, uint32_t index, uint32_t count,
                      uint64_t *hashes, struct key *ret_key)
{
    uint32_t ahead = index % CALL_FETCH_MAX, left = count - index;
    if (ahead == 0)
        call_fetch_keys(call, data + 2 * index, left < CALL_FETCH_MAX ? left : CALL_FETCH_MAX, 2, hashes);
    return call_write_key_hashed(call, data[2 * index], hashes[ahead], ret_key);
}

/* How many pairs, from the first on, only need their values to be put where the old ones lie; finds their entries. */
static uint32_t find_overwritten(struct call *call, const struct slice *data, uint32_t count,
                                 struct entry **ret_entries)
{
    uint64_t hashes[CALL_FETCH_MAX];
    struct key key;
    uint32_t found = 0;
    while (found < count && find_pair(call, data, found, count, hashes, &key) &&
           keyspace_can_overwrite(call->exec->keyspace, key.entry, data[2 * found + 1]))
        ret_entries[found++] = key.entry;
    return found;
}

/* Builds an entry for each pair from `from` on; none is left behind when memory is refused. */
static bool build_pairs(struct call *call, const struct slice *data, uint32_t from, uint32_t count,
                        struct entry **ret_entries)
{
    const struct key nothing = {0};
    struct entry_options options = call_entry_options(call, &nothing, false);
    for (uint32_t i = from; i < count; i++) {
        ret_entries[i] = entry_new_string(call->exec->heap, data[2 * i], data[2 * i + 1], &options);
        if (ret_entries[i] == NULL) {
            free_entries(call, ret_entries, from, i);
            return false;
        }
    }
    return true;
}

/* An entry stays where it is, and one that has room for a value has room for those that have the same key. */
static void overwrite_pairs(struct call *call, const struct slice *data, uint32_t count,
                            struct entry **entries)
{
    for (uint32_t i = 0; i < count; i++) {
        keyspace_overwrite(call->exec->keyspace, entries[i], data[2 * i + 1]);
        call_changed(call, NOTIFY_STRING, "set", data[2 * i]);
    }
}

static bool publish_pairs(struct call *call, const struct slice *data, uint32_t count, struct entry **entries)
{
    uint64_t hashes[CALL_FETCH_MAX];
    for (uint32_t i = 0; i < count; i++) {
        struct key key;
        find_pair(call, data, i, count, hashes, &key);
        if (!call_store(call, &key, entries[i])) {
            free_entries(call, entries, i + 1, count);
            return false;
        }
        call_changed(call, NOTIFY_STRING, "set", data[2 * i]);
    }
    return true;
}

/* Stores all pairs: everything is built first, so that a refusal for lack of memory changes nothing. Answers only on
 * failure. */
static bool store_pairs(struct call *call, const struct slice *data, uint32_t count)
{
    struct entry *few[PAIRS_ON_STACK];
    struct entry **entries = few;
    if (count > PAIRS_ON_STACK)
        entries = mem_try_alloc(count * sizeof(*entries));
    uint32_t overwritten = entries != NULL ? find_overwritten(call, data, count, entries) : 0;
    bool built = entries != NULL && build_pairs(call, data, overwritten, count, entries);
    if (!built) {
        call_oom(call);
    } else {
        overwrite_pairs(call, data, overwritten, entries);
        built = publish_pairs(call, data + 2 * overwritten, count - overwritten, entries + overwritten);
    }
    if (entries != few)
        mem_free(entries);
    return built;
}

void cmd_mset(struct call *call, const struct args_mset *args)
{
    if (store_pairs(call, args->data, args->data_count))
        reply_ok(call->out);
}

void cmd_msetnx(struct call *call, const struct args_msetnx *args)
{
    for (uint32_t i = 0; i < args->data_count; i++) {
        struct key key;
        if (call_write_key(call, args->data[2 * i], &key)) {
            reply_int(call->out, 0);
            return;
        }
    }
    if (store_pairs(call, args->data, args->data_count))
        reply_int(call->out, 1);
}
