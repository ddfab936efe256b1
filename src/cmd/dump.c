/* Values that travel between servers: DUMP, RESTORE.
 *
 * The format is src/rdb's. Both commands keep to three parts: take what is needed, work through it in steps, make the
 * effect visible.
 * Threads: executor only. */
#include "base/alloc.h"
#include "base/worker.h"
#include "exec/call.h"
#include "exec/notify.h"
#include "exec/sliced.h"
#include "gen/args.h"
#include "persist/load.h"
#include "rdb/decode.h"
#include "rdb/payload.h"

/* Types up to those of Redis 7.0, so that it and all later ones take what DUMP gives; Valkey 9's where files are for it. */
#define DUMP_VERSION 10
/* Bytes of a payload that are made, or whose checksum is looked at, before the command may pause; and what they are as
 * work, in elements. */
#define DUMP_STEP ((size_t)4 << 10)
#define DUMP_WORK 128
/* Room for a step: the longest text that is compressed at once (ENCODE_COMPRESS_MAX), and then some. */
#define DUMP_ROOM (2 * ENCODE_COMPRESS_MAX)
#define SEAL_STEP ((size_t)64 << 10)
#define SEAL_WORK 256
/* From this size on a payload travels to the socket without being copied into the reply. */
#define REPLY_PINNED_MIN ((size_t)16 << 10)

/* ---- DUMP -------------------------------------------------------------------------------------------------- */

static void reply_payload(struct call *call, struct buf *bytes)
{
    if (bytes->size < REPLY_PINNED_MIN) {
        reply_bulk(call->out, buf_slice(bytes));
        return;
    }
    reply_bulk_pinned(call->out, buf_slice(bytes), mem_free, bytes->data);
    *bytes = (struct buf){0}; /* the reply's now */
}

/* A long payload gets room for its next step with pauses, so that the step does not have to move it. */
static enum status make_room(struct call *call, struct buf *bytes)
{
    if (bytes->size < DUMP_ROOM || bytes->capacity - bytes->size >= DUMP_ROOM)
        return ST_OK;
    void *data = bytes->data;
    size_t capacity = bytes->capacity + bytes->capacity / 2 + DUMP_ROOM;
    enum status status = sliced_grow(call, &data, bytes->size, capacity);
    if (status != ST_OK)
        return status;
    bytes->data = data;
    bytes->capacity = capacity;
    return ST_OK;
}

/* ST_NOMEM, or ST_LIMIT: the command has been told to end. */
static enum status make_payload(struct call *call, struct rdb_payload *payload)
{
    for (;;) {
        enum status status = make_room(call, &payload->bytes);
        if (status == ST_OK)
            status = rdb_payload_step(payload, DUMP_STEP);
        if (status != ST_AGAIN)
            return status;
        if (!sliced_pause(call, DUMP_WORK))
            return ST_LIMIT;
    }
}

static unsigned dump_version(const struct config *config)
{
    return config->rdb_version == CONFIG_RDB_VERSION_80 ? RDB_VERSION_VALKEY : DUMP_VERSION;
}

void cmd_dump(struct call *call, const struct args_dump *args)
{
    struct key key;
    struct rdb_payload payload;
    if (!call_read_key(call, args->key, &key)) {
        reply_null(call->out);
        return;
    }
    if (rdb_payload_begin(&payload, call->exec->keyspace, key.entry, dump_version(call->exec->config)) !=
        ST_OK) {
        call_oom(call);
        return;
    }
    enum status status = make_payload(call, &payload);
    if (status == ST_OK)
        reply_payload(call, &payload.bytes);
    else if (status == ST_NOMEM)
        call_oom(call);
    worker_free(call->exec->workers, payload.bytes.data); /* NULL when it is the reply's */
    payload.bytes = (struct buf){0};
    rdb_payload_done(&payload);
}

/* ---- RESTORE ----------------------------------------------------------------------------------------------- */

/* Whether the payload is sealed. ST_LIMIT: the command has been told to end. */
static enum status check_seal(struct call *call, struct slice payload, struct rdb_seal *ret_seal,
                              unsigned *ret_version)
{
    enum status status = rdb_seal_open(ret_seal, payload, ret_version);
    if (status != ST_OK)
        return status;
    while ((status = rdb_seal_step(ret_seal, SEAL_STEP)) == ST_AGAIN)
        if (!sliced_pause(call, SEAL_WORK))
            return ST_LIMIT;
    return status;
}

static bool pause_restore(void *context, uint32_t work)
{
    return sliced_pause(context, work);
}

static enum status read_value(struct call *call, struct slice bytes, unsigned version,
                              struct rdb_value *ret_value)
{
    const struct rdb_limits limits = load_limits(call->exec->config);
    const struct rdb_pace pace = {pause_restore, call};
    struct rdb_reader reader;
    uint8_t type;
    rdb_reader_init(&reader, bytes, limits.text_max);
    enum status status = rdb_read_byte(&reader, &type);
    if (status == ST_OK)
        status = rdb_decode(&reader, type, version, call->exec->keyspace, &limits, &pace, ret_value);
    if (status == ST_OK && rdb_left(&reader) > 0) {
        rdb_value_drop(ret_value, call->exec->keyspace);
        return ST_INVALID;
    }
    return status;
}

/* The value in a payload. False after an error, and when the command has been told to end. */
static bool read_payload(struct call *call, struct slice payload, struct rdb_value *ret_value)
{
    struct rdb_seal seal;
    unsigned version;
    enum status status = check_seal(call, payload, &seal, &version);
    if (status == ST_INVALID) {
        reply_error(call->out, "ERR DUMP payload version or checksum are wrong");
        return false;
    }
    if (status == ST_OK)
        status = read_value(call, rdb_seal_value(&seal), version, ret_value);
    switch (status) {
    case ST_OK: return true;
    case ST_LIMIT: return false;
    case ST_NOMEM: call_oom(call); return false;
    case ST_UNSUPPORTED:
        reply_error(call->out, "ERR Bad data format: the value is of a module's type");
        return false;
    default: reply_error(call->out, "ERR Bad data format"); return false;
    }
}

/* Milliseconds since 1970 at which the key is to expire. */
static int64_t expire_ms_of(const struct call *call, const struct args_restore *args)
{
    int64_t expire_ms = args->ttl;
    if (args->ttl == 0)
        return ENTRY_NO_EXPIRE;
    if (!args->absttl && __builtin_add_overflow(expire_ms, call->exec->now_ms, &expire_ms))
        return ENTRY_NO_EXPIRE - 1;
    return expire_ms < ENTRY_NO_EXPIRE ? expire_ms : ENTRY_NO_EXPIRE - 1;
}

/* What the other policy would want to know is forgotten. */
static uint32_t clock_of(const struct call *call, const struct args_restore *args)
{
    const struct use *use = &call->exec->keyspace->use;
    if (use->rules.counts)
        return args->has_frequency ? use_clock_of_frequency(use, (uint32_t)args->frequency) : use->clock_new;
    return args->has_seconds ? use_clock_of_idle(use, (uint64_t)args->seconds) : use->clock_new;
}

/* A key whose time has already come is not made; what it was to replace goes. */
static void restore_expired(struct call *call, struct key *key)
{
    if (key->entry != NULL) {
        call_delete(call, key);
        call_changed(call, NOTIFY_GENERIC, "del", key->name);
        CALL_PROPAGATE(call, SLICE("DEL"), key->name);
    }
    reply_ok(call->out);
}

#define TTL_AT 2 /* the word that tells the time to live */

/* The time to live is written as its end. */
static void propagate_restored(struct call *call, const struct args_restore *args, int64_t expire_ms)
{
    char text[NUM_I64_TEXT_MAX];
    const struct propagate_edit edits[] = {{TTL_AT, propagate_number(expire_ms, text)},
                                           {call->argc, SLICE("ABSTTL")}};
    if (args->ttl != 0 && !args->absttl)
        call_propagate_edited(call, edits, ARRAY_COUNT(edits));
}

void cmd_restore(struct call *call, const struct args_restore *args)
{
    struct key key;
    struct rdb_value value;
    if (args->has_seconds && args->has_frequency) {
        call_syntax_error(call);
        return;
    }
    if (call_peek_key(call, args->key, &key) && !args->replace) {
        reply_error(call->out, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!read_payload(call, args->serialized_value, &value))
        return;
    sliced_commit(call);
    call_peek_key(call, args->key, &key);
    struct entry_options options = {.expire_ms = expire_ms_of(call, args), .clock = clock_of(call, args)};
    if (options.expire_ms <= call->exec->keyspace->now_ms) {
        rdb_value_drop(&value, call->exec->keyspace);
        restore_expired(call, &key);
        return;
    }
    struct entry *entry = rdb_value_entry(&value, call->exec->keyspace, args->key, &options);
    if (!call_store(call, &key, entry))
        return;
    call_changed(call, NOTIFY_GENERIC, "restore", args->key);
    propagate_restored(call, args, options.expire_ms);
    reply_ok(call->out);
}
