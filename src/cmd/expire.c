/* Times to live: EXPIRE PEXPIRE EXPIREAT PEXPIREAT, TTL PTTL EXPIRETIME PEXPIRETIME, PERSIST.
 *
 * Everything becomes milliseconds since 1970 at once; seconds are only a way of writing.
 * Threads: executor only. */
#include "cmd/inspect.h"
#include "exec/call.h"
#include "exec/notify.h"
#include "gen/args.h"

/* ---- Setting -------------------------------------------------------------------------------------- */

enum condition {
    CONDITION_NX = 1 << 0, /* only if there is no time to live */
    CONDITION_XX = 1 << 1, /* only if there is one */
    CONDITION_GT = 1 << 2, /* only if the new one is later; none counts as for ever */
    CONDITION_LT = 1 << 3, /* only if it is earlier */
};

/* XX goes together with GT or LT, so the words are no plain choice. False after having answered with an error. */
static bool parse_conditions(struct call *call, const struct slice *words, uint32_t count,
                             unsigned *ret_conditions)
{
    static const char *const names[] = {"NX", "XX", "GT", "LT"};
    unsigned conditions = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t known = 0;
        while (known < ARRAY_COUNT(names) && !slice_equal_nocase(words[i], names[known]))
            known++;
        if (known == ARRAY_COUNT(names)) {
            reply_error(call->out, "ERR Unsupported option %.*s",
                        (int)(words[i].size < 128 ? words[i].size : 128), words[i].data);
            return false;
        }
        conditions |= 1u << known;
    }
    if (conditions & CONDITION_NX && conditions & ~CONDITION_NX) {
        reply_error(call->out, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (conditions & CONDITION_GT && conditions & CONDITION_LT) {
        reply_error(call->out, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    *ret_conditions = conditions;
    return true;
}

static bool condition_holds(unsigned conditions, int64_t current_ms, int64_t wanted_ms)
{
    bool has_expire = current_ms != ENTRY_NO_EXPIRE;
    if (conditions & CONDITION_NX && has_expire)
        return false;
    if (conditions & CONDITION_XX && !has_expire)
        return false;
    /* ENTRY_NO_EXPIRE is the latest of all times, which is what "for ever" means here. */
    if (conditions & CONDITION_GT && wanted_ms <= current_ms)
        return false;
    if (conditions & CONDITION_LT && wanted_ms >= current_ms)
        return false;
    return true;
}

struct expiry {
    struct slice key;
    struct slice time; /* an integer, read here because errors in the conditions come first */
    int64_t unit_ms;
    int64_t origin_ms; /* what `time` counts from */
    const struct slice *conditions;
    uint32_t condition_count;
};

#define TIME_AT 2 /* the word that tells the time */

/* A moment in milliseconds is written as it was sent; conditions stay. */
static void propagate_expiry(struct call *call, int64_t wanted_ms, bool is_moment_ms)
{
    char text[NUM_I64_TEXT_MAX];
    const struct propagate_edit edits[] = {{0, SLICE("PEXPIREAT")},
                                           {TIME_AT, propagate_number(wanted_ms, text)}};
    if (!is_moment_ms)
        call_propagate_edited(call, edits, ARRAY_COUNT(edits));
}

static void set_expiry(struct call *call, const struct expiry *expiry)
{
    unsigned conditions;
    int64_t time;
    int64_t wanted_ms;
    struct key key;
    if (!parse_conditions(call, expiry->conditions, expiry->condition_count, &conditions))
        return;
    if (!num_parse_i64(expiry->time, &time)) {
        call_not_integer(call);
        return;
    }
    if (!entry_expire_at(time, expiry->unit_ms, expiry->origin_ms, &wanted_ms)) {
        reply_error(call->out, "ERR invalid expire time in '%s' command", call->command->full_name);
        return;
    }
    if (!call_write_key(call, expiry->key, &key) ||
        !condition_holds(conditions, entry_expire_ms(key.entry), wanted_ms)) {
        reply_int(call->out, 0);
        return;
    }
    if (wanted_ms <= call->exec->keyspace->now_ms) {
        call_delete(call, &key);
        call_changed(call, NOTIFY_GENERIC, "del", expiry->key);
        CALL_PROPAGATE(call, SLICE("DEL"), expiry->key);
    } else if (db_set_expire(call->db, &key.position, key.hash, wanted_ms) != ST_OK) {
        call_oom(call);
        return;
    } else {
        call_changed(call, NOTIFY_GENERIC, "expire", expiry->key);
        propagate_expiry(call, wanted_ms, expiry->unit_ms == 1 && expiry->origin_ms == 0);
    }
    reply_int(call->out, 1);
}

void cmd_expire(struct call *call, const struct args_expire *args)
{
    set_expiry(call, &(struct expiry){args->key, args->seconds, 1000, call->exec->now_ms, args->condition,
                                      args->condition_count});
}

void cmd_pexpire(struct call *call, const struct args_pexpire *args)
{
    set_expiry(call, &(struct expiry){args->key, args->milliseconds, 1, call->exec->now_ms, args->condition,
                                      args->condition_count});
}

void cmd_expireat(struct call *call, const struct args_expireat *args)
{
    set_expiry(call, &(struct expiry){args->key, args->unix_time_seconds, 1000, 0, args->condition,
                                      args->condition_count});
}

void cmd_pexpireat(struct call *call, const struct args_pexpireat *args)
{
    set_expiry(call, &(struct expiry){args->key, args->unix_time_milliseconds, 1, 0, args->condition,
                                      args->condition_count});
}

void cmd_persist(struct call *call, const struct args_persist *args)
{
    struct key key;
    if (!call_write_key(call, args->key, &key) || entry_expire_ms(key.entry) == ENTRY_NO_EXPIRE) {
        reply_int(call->out, 0);
        return;
    }
    if (db_set_expire(call->db, &key.position, key.hash, ENTRY_NO_EXPIRE) != ST_OK) {
        call_oom(call);
        return;
    }
    call_changed(call, NOTIFY_GENERIC, "persist", args->key);
    reply_int(call->out, 1);
}

/* ---- Asking --------------------------------------------------------------------------------------- */

#define TTL_NO_KEY    (-2)
#define TTL_NO_EXPIRE (-1)

int64_t inspect_expiry(bool exists, int64_t expire_ms, int64_t unit_ms, int64_t origin_ms)
{
    if (!exists)
        return TTL_NO_KEY;
    if (expire_ms == ENTRY_NO_EXPIRE)
        return TTL_NO_EXPIRE;
    int64_t left_ms = expire_ms - origin_ms;
    if (left_ms < 0)
        left_ms = 0;
    return left_ms / unit_ms + (left_ms % unit_ms * 2 >= unit_ms && unit_ms > 1);
}

static void reply_expiry(struct call *call, struct slice name, int64_t unit_ms, int64_t origin_ms)
{
    struct key key;
    bool exists = inspect_key(call, name, &key);
    reply_int(call->out, inspect_expiry(exists, exists ? entry_expire_ms(key.entry) : ENTRY_NO_EXPIRE,
                                        unit_ms, origin_ms));
}

void cmd_ttl(struct call *call, const struct args_ttl *args)
{
    reply_expiry(call, args->key, 1000, call->exec->now_ms);
}

void cmd_pttl(struct call *call, const struct args_pttl *args)
{
    reply_expiry(call, args->key, 1, call->exec->now_ms);
}

void cmd_expiretime(struct call *call, const struct args_expiretime *args)
{
    reply_expiry(call, args->key, 1000, 0);
}

void cmd_pexpiretime(struct call *call, const struct args_pexpiretime *args)
{
    reply_expiry(call, args->key, 1, 0);
}
