/* Commands about the server as a whole: DBSIZE FLUSHDB FLUSHALL SWAPDB TIME ROLE SHUTDOWN.
 *
 * Threads: executor only. */
#include <stdatomic.h>

#include "cmd/inspect.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/tracking.h"
#include "exec/watch.h"
#include "gen/args.h"
#include "persist/persist.h"
#include "persist/save.h"

/* ---- Databases ------------------------------------------------------------------------------------ */

void cmd_dbsize(struct call *call, const struct args_dbsize *args)
{
    reply_int(call->out, (int64_t)table_size(call->db->keys));
}

static void flush(struct call *call, struct db *db)
{
    watch_touch_db(call->exec->watch, db, NULL);
    block_db_lost(call->exec->block, db);
    call->exec->stats.dirty += db_flush(db);
}

/* ASYNC and SYNC are the same: the database is empty at once and its memory is given back in steps, so nobody
 * waits either way. */
/* The mode may be given once only. */
static bool is_flush_well_formed(struct call *call)
{
    if (call->argc <= 2)
        return true;
    call_syntax_error(call);
    return false;
}

void cmd_flushdb(struct call *call, const struct args_flushdb *args)
{
    if (!is_flush_well_formed(call))
        return;
    flush(call, call->db);
    tracking_flushed(call->exec);
    call_propagate_always(call);
    reply_ok(call->out);
}

void cmd_flushall(struct call *call, const struct args_flushall *args)
{
    if (!is_flush_well_formed(call))
        return;
    struct keyspace *keyspace = call->exec->keyspace;
    for (uint32_t i = 0; i < keyspace->db_count; i++)
        flush(call, &keyspace->dbs[i]);
    tracking_flushed(call->exec);
    call->exec->stats.dirty++;
    call_propagate_always(call);
    reply_ok(call->out);
}

void cmd_swapdb(struct call *call, const struct args_swapdb *args)
{
    struct db *first = inspect_db(call, args->index1);
    struct db *second = first ? inspect_db(call, args->index2) : NULL;
    if (!second)
        return;
    if (first != second) {
        watch_touch_db(call->exec->watch, first, second);
        watch_touch_db(call->exec->watch, second, first);
        keyspace_swap(call->exec->keyspace, first->number, second->number);
        block_db_swapped(call->exec->block, first, second);
        tracking_flushed(call->exec);
    }
    call->exec->stats.dirty++;
    call_propagate_always(call);
    reply_ok(call->out);
}

/* ---- About the server ----------------------------------------------------------------------------- */

void cmd_time(struct call *call, const struct args_time *args)
{
    int64_t now_us = clock_wall_us(call->exec->clock);
    reply_array(call->out, 2);
    reply_bulk_int(call->out, now_us / 1000000);
    reply_bulk_int(call->out, now_us % 1000000);
}

static enum exec_shutdown_save save_selector(const struct args_shutdown *args)
{
    switch (args->save_selector) {
    case ARGS_SHUTDOWN_SAVE_SELECTOR_SAVE: return EXEC_SHUTDOWN_SAVE_YES;
    case ARGS_SHUTDOWN_SAVE_SELECTOR_NOSAVE: return EXEC_SHUTDOWN_SAVE_NO;
    default: return EXEC_SHUTDOWN_SAVE_DEFAULT;
    }
}

/* Answers only when it refuses, or when data could not be saved: otherwise the connection ends. */
void cmd_shutdown(struct call *call, const struct args_shutdown *args)
{
    if (args->abort) {
        if (args->save_selector != ARGS_SHUTDOWN_SAVE_SELECTOR_NONE || args->now || args->force)
            call_syntax_error(call);
        else
            reply_error(call->out, "ERR No shutdown in progress.");
        return;
    }
    struct exec *exec = call->exec;
    atomic_store(&exec->shutdown_save, save_selector(args));
    atomic_store(&exec->shutdown_force, args->force);
    if (exec->persist != NULL)
        saver_block_for_shutdown(exec->persist->saver, call->client);
    atomic_store_explicit(&exec->shutdown_requested, args->now ? EXEC_SHUTDOWN_NOW : EXEC_SHUTDOWN_ORDERLY,
                          memory_order_release);
}
