/* Values that travel between servers: DUMP, RESTORE.
 *
 * The format is src/rdb's. Both commands keep to three parts: take what is needed, work through it in steps, make the
 * effect visible.
 * Threads: executor only. */
#include "base/alloc.h"
#include "config/config.h"
#include "exec/call.h"
#include "exec/notify.h"
#include "gen/args.h"
#include "rdb/decode.h"
#include "rdb/payload.h"

/* Types up to those of Redis 7.0, so that it and all later ones take what DUMP gives. */
#define DUMP_VERSION 10
/* Bytes of a payload between two moments at which the command could be interrupted. */
#define STEP_BYTES ((size_t)64 << 10)
/* From this size on a payload travels to the socket without being copied into the reply. */
#define REPLY_PINNED_MIN ((size_t)16 << 10)
/* The access clock counts seconds in 24 bits. */
#define CLOCK_MASK 0xffffff

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

void cmd_dump(struct call *call, const struct args_dump *args)
{
    struct key key;
    struct rdb_payload payload;
    if (!call_read_key(call, args->key, &key)) {
        reply_null(call->out);
        return;
    }
    if (rdb_payload_begin(&payload, call->exec->keyspace, key.entry, DUMP_VERSION) != ST_OK) {
        call_oom(call);
        return;
    }
    enum status status;
    while ((status = rdb_payload_step(&payload, STEP_BYTES)) == ST_AGAIN)
        ;
    if (status == ST_OK)
        reply_payload(call, &payload.bytes);
    else
        call_oom(call);
    rdb_payload_done(&payload);
}

/* ---- RESTORE ----------------------------------------------------------------------------------------------- */

static struct rdb_limits limits_now(const struct config *config)
{
    return (struct rdb_limits){
        .hash = {(uint64_t)config->hash_max_listpack_entries, (uint64_t)config->hash_max_listpack_value},
        .set = {(uint64_t)config->set_max_intset_entries, (uint64_t)config->set_max_listpack_entries,
                (uint64_t)config->set_max_listpack_value},
        .zset_entries = (uint64_t)config->zset_max_listpack_entries,
        .zset_value = (uint64_t)config->zset_max_listpack_value,
        .list_size = config->list_max_listpack_size,
        .text_max = (uint64_t)config->proto_max_bulk_len,
    };
}

/* The value in a payload. False after an error. */
static bool read_payload(struct call *call, struct slice payload, struct rdb_value *ret_value)
{
    struct rdb_seal seal;
    struct rdb_reader reader;
    unsigned version;
    uint8_t type;
    enum status status = rdb_seal_open(&seal, payload, &version);
    if (status == ST_OK)
        while ((status = rdb_seal_step(&seal, STEP_BYTES)) == ST_AGAIN)
            ;
    if (status != ST_OK) {
        reply_error(call->out, "ERR DUMP payload version or checksum are wrong");
        return false;
    }
    const struct rdb_limits limits = limits_now(call->exec->config);
    rdb_reader_init(&reader, rdb_seal_value(&seal), limits.text_max);
    status = rdb_read_byte(&reader, &type);
    if (status == ST_OK)
        status = rdb_decode(&reader, type, version, call->exec->keyspace, &limits, ret_value);
    if (status == ST_OK && rdb_left(&reader) > 0) {
        rdb_value_drop(ret_value);
        status = ST_INVALID;
    }
    if (status == ST_NOMEM)
        call_oom(call);
    else if (status == ST_UNSUPPORTED)
        reply_error(call->out, "ERR Bad data format: the value is of a module's type");
    else if (status != ST_OK)
        reply_error(call->out, "ERR Bad data format");
    return status == ST_OK;
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

static uint32_t clock_of(const struct call *call, const struct args_restore *args)
{
    uint32_t now = call->exec->keyspace->clock_now;
    return args->has_seconds ? (now - (uint32_t)args->seconds) & CLOCK_MASK : now;
}

/* A key whose time has already come is not made; what it was to replace goes. */
static void restore_expired(struct call *call, struct key *key)
{
    if (key->entry != NULL) {
        call_delete(call, key);
        call_changed(call, NOTIFY_GENERIC, "del", key->name);
    }
    reply_ok(call->out);
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
    call_peek_key(call, args->key, &key);
    struct entry_options options = {.expire_ms = expire_ms_of(call, args), .clock = clock_of(call, args)};
    if (options.expire_ms <= call->exec->now_ms) {
        rdb_value_drop(&value);
        restore_expired(call, &key);
        return;
    }
    struct entry *entry = rdb_value_entry(&value, call->exec->keyspace, args->key, &options);
    if (!call_store(call, &key, entry))
        return;
    call_changed(call, NOTIFY_GENERIC, "restore", args->key);
    reply_ok(call->out);
}
