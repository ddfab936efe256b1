/* Strings as numbers: INCR INCRBY DECR DECRBY INCRBYFLOAT.
 *
 * Principal entry points: the cmd_ functions of gen/args.h. Threads: executor only.
 * An integer that is already stored as one changes in place, by one store of its word. */
#include <math.h>
#include <string.h>

#include "exec/brief.h"
#include "exec/call.h"
#include "exec/notify.h"
#include "gen/args.h"
#include "types/string.h"

static void add(struct call *call, struct slice name, int64_t increment)
{
    struct key key;
    int64_t value = 0;
    if (!call_write_string(call, name, &key))
        return;
    bool is_int = key.entry != NULL && entry_encoding(key.entry) == ENTRY_INT;
    if (!is_int && key.entry != NULL && !string_get_i64(key.entry, &value)) {
        call_not_integer(call);
        return;
    }
    if (is_int ? !keyspace_add_int(call->exec->keyspace, key.entry, key.hash, increment, &value)
               : __builtin_add_overflow(value, increment, &value)) {
        reply_error(call->out, "ERR increment or decrement would overflow");
        return;
    }
    if (unlikely(!is_int)) {
        struct entry_options options = call_entry_options(call, &key, true);
        if (!call_store(call, &key, entry_new_int(call->exec->heap, name, value, &options)))
            return;
    }
    call_changed(call, NOTIFY_STRING, "incrby", name);
    reply_int(call->out, value);
}

void cmd_incr(struct call *call, const struct args_incr *args)
{
    add(call, args->key, 1);
}

void cmd_decr(struct call *call, const struct args_decr *args)
{
    add(call, args->key, -1);
}

void cmd_incrby(struct call *call, const struct args_incrby *args)
{
    add(call, args->key, args->increment);
}

void cmd_decrby(struct call *call, const struct args_decrby *args)
{
    if (args->decrement == INT64_MIN) {
        reply_error(call->out, "ERR decrement would overflow");
        return;
    }
    add(call, args->key, -args->decrement);
}

/* The same of an integer that is stored as one. */
ALWAYS_INLINE bool add_briefly(struct call *call, int64_t increment)
{
    struct entry *entry = brief_find(call);
    int64_t value;
    if (entry == NULL || !entry_is_int(entry) ||
        !keyspace_add_int(call->exec->keyspace, entry, call->key_hash, increment, &value))
        return false;
    brief_note_use(call, entry);
    call->exec->stats.dirty++;
    reply_int(call->out, value);
    return true;
}

bool brief_incr(struct call *call)
{
    return add_briefly(call, 1);
}

bool brief_decr(struct call *call)
{
    return add_briefly(call, -1);
}

bool brief_incrby(struct call *call)
{
    int64_t increment;
    return num_parse_i64(call->argv[2], &increment) && add_briefly(call, increment);
}

bool brief_decrby(struct call *call)
{
    int64_t decrement;
    return num_parse_i64(call->argv[2], &decrement) && decrement != INT64_MIN &&
           add_briefly(call, -decrement);
}

/* Stores a number's text as text, even if it is an integer's: as Redis, whose OBJECT ENCODING shows it. */
static bool store_text(struct call *call, struct key *key, struct slice text)
{
    struct entry_options options = call_entry_options(call, key, true);
    struct entry *entry = entry_new_blank(call->exec->heap, key->name, text.size, &options);
    if (entry != NULL)
        memcpy((char *)entry_bytes(entry).data, text.data, text.size);
    return call_store(call, key, entry);
}

void cmd_incrbyfloat(struct call *call, const struct args_incrbyfloat *args)
{
    struct key key;
    if (!call_write_string(call, args->key, &key))
        return;
    long double value = 0;
    if (key.entry != NULL && !string_get_long_double(key.entry, &value)) {
        call_not_float(call);
        return;
    }
    value += args->increment;
    if (isnan(value) || isinf(value)) {
        reply_error(call->out, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[NUM_LONG_DOUBLE_TEXT_MAX];
    struct slice digits = slice_make(text, num_format_long_double(value, text));
    if (!store_text(call, &key, digits))
        return;
    call_changed(call, NOTIFY_STRING, "incrbyfloat", args->key);
    CALL_PROPAGATE(call, SLICE("SET"), args->key, digits, SLICE("KEEPTTL")); /* sums differ by machine */
    reply_bulk(call->out, digits);
}
