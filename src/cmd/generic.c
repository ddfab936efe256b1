/* Commands that work on keys of any type: DEL UNLINK EXISTS TOUCH TYPE RENAME RENAMENX COPY MOVE RANDOMKEY.
 *
 * See also: expire.c (times to live), scan.c (KEYS, SCAN), object.c (OBJECT).
 * Threads: executor only. */
#include "cmd/inspect.h"
#include "exec/call.h"
#include "exec/notify.h"
#include "gen/args.h"

/* ---- Removing and counting ------------------------------------------------------------------------ */

/* One function for both: large values are freed by a worker either way. */
static void delete_keys(struct call *call, const struct slice *names, uint32_t count)
{
    int64_t deleted = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct key key;
        if (!call_peek_key(call, names[i], &key))
            continue;
        call_delete(call, &key);
        call_changed(call, NOTIFY_GENERIC, "del", names[i]);
        deleted++;
    }
    reply_int(call->out, deleted);
}

void cmd_del(struct call *call, const struct args_del *args)
{
    delete_keys(call, args->key, args->key_count);
}

void cmd_unlink(struct call *call, const struct args_unlink *args)
{
    delete_keys(call, args->key, args->key_count);
}

void cmd_exists(struct call *call, const struct args_exists *args)
{
    int64_t found = 0;
    for (uint32_t i = 0; i < args->key_count; i++) {
        struct key key;
        found += inspect_key(call, args->key[i], &key);
    }
    reply_int(call->out, found);
}

void cmd_touch(struct call *call, const struct args_touch *args)
{
    struct keyspace *keyspace = call->exec->keyspace;
    int64_t found = 0;
    for (uint32_t i = 0; i < args->key_count; i++) {
        struct key key;
        if (!call_read_key(call, args->key[i], &key))
            continue;
        found++;
        /* Here CLIENT NO-TOUCH does not count: it would make the command senseless. */
        if (call->client->flags & CLIENT_NO_TOUCH)
            use_touch(&keyspace->use, &keyspace->rng, key.entry);
    }
    reply_int(call->out, found);
}

void cmd_type(struct call *call, const struct args_type *args)
{
    struct key key;
    inspect_key(call, args->key, &key);
    reply_status(call->out, key.entry ? inspect_type_name(key.entry) : "none");
}

void cmd_randomkey(struct call *call, const struct args_randomkey *args)
{
    const struct entry *entry = db_random(call->db);
    if (entry)
        reply_bulk(call->out, entry_key(entry));
    else
        reply_null(call->out);
}

/* ---- From one place to another -------------------------------------------------------------------- */

/* What stays the same when an entry gets another name or moves to another database. */
static struct entry_options options_of(const struct entry *entry)
{
    return (struct entry_options){
        .expire_ms = entry_expire_ms(entry),
        .clock = entry_clock(entry),
    };
}

/* Returns false, with an error or 0 as answer, when nothing is to be done. */
static bool rename_key(struct call *call, struct slice from, struct slice to, bool only_if_missing)
{
    struct key source;
    struct key target;
    /* The source comes last: the first lookup may remove an expired key, which ends the positions. */
    call_peek_key(call, to, &target);
    if (!call_write_key(call, from, &source)) {
        call_no_such_key(call);
        return false;
    }
    if (slice_equal(from, to)) {
        if (only_if_missing)
            reply_int(call->out, 0);
        else
            reply_ok(call->out);
        return false;
    }
    if (only_if_missing && target.entry) {
        reply_int(call->out, 0);
        return false;
    }
    struct entry_options options = options_of(source.entry);
    struct entry *renamed = entry_copy(call->exec->heap, source.entry, to, &options);
    if (!call_store(call, &target, renamed))
        return false;
    /* Storing may have moved the source. */
    call_peek_key(call, from, &source);
    call_delete(call, &source);
    call_changed(call, NOTIFY_GENERIC, "rename_from", from);
    call_changed(call, NOTIFY_GENERIC, "rename_to", to);
    return true;
}

void cmd_rename(struct call *call, const struct args_rename *args)
{
    if (rename_key(call, args->key, args->newkey, false))
        reply_ok(call->out);
}

void cmd_renamenx(struct call *call, const struct args_renamenx *args)
{
    if (rename_key(call, args->key, args->newkey, true))
        reply_int(call->out, 1);
}

void cmd_copy(struct call *call, const struct args_copy *args)
{
    struct db *db = args->has_destination_db ? inspect_db(call, args->destination_db) : call->db;
    if (!db)
        return;
    if (db == call->db && slice_equal(args->source, args->destination)) {
        reply_error(call->out, "ERR source and destination objects are the same");
        return;
    }
    struct call there = *call;
    there.db = db;
    struct key source;
    struct key target;
    call_peek_key(&there, args->destination, &target);
    if (!call_read_key(call, args->source, &source) || (target.entry && !args->replace)) {
        reply_int(call->out, 0);
        return;
    }
    struct entry_options options = options_of(source.entry);
    options.clock = call->exec->keyspace->use.clock_new;
    struct entry *copy = entry_copy(call->exec->heap, source.entry, args->destination, &options);
    if (!call_store(&there, &target, copy))
        return;
    call_changed_in(call, db, NOTIFY_GENERIC, "copy_to", args->destination);
    reply_int(call->out, 1);
}

void cmd_move(struct call *call, const struct args_move *args)
{
    struct db *db = inspect_db(call, args->db);
    if (!db)
        return;
    if (db == call->db) {
        reply_error(call->out, "ERR source and destination objects are the same");
        return;
    }
    struct call there = *call;
    there.db = db;
    struct key source;
    struct key target;
    call_peek_key(&there, args->key, &target);
    if (!call_write_key(call, args->key, &source) || target.entry) {
        reply_int(call->out, 0);
        return;
    }
    struct entry_options options = options_of(source.entry);
    struct entry *moved = entry_copy(call->exec->heap, source.entry, args->key, &options);
    if (!call_store(&there, &target, moved))
        return;
    call_delete(call, &source);
    call_changed(call, NOTIFY_GENERIC, "move_from", args->key);
    call_changed_in(call, db, NOTIFY_GENERIC, "move_to", args->key);
    reply_int(call->out, 1);
}
