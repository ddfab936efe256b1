/* DEBUG RELOAD. Entry, threads: see reload.h.
 *
 * saving (the saver writes dbfilename) -> loading (the databases are emptied and filled from it) -> over */
#include "persist/reload.h"

#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "exec/exec.h"
#include "exec/tracking.h"
#include "persist/load.h"
#include "persist/persist.h"
#include "persist/save.h"

static bool answer(struct client *client, const void *is_ok)
{
    if (*(const bool *)is_ok)
        reply_literal(&client->out, "+OK\r\n");
    else
        reply_error(&client->out, "ERR Error trying to load the RDB dump, check server logs");
    return true;
}

static void end_wait(struct client *client, enum block_end_reason reason)
{
    if (reason != BLOCK_END_GONE && reason != BLOCK_END_SERVED)
        reply_error(client_push(client), CLIENT_UNBLOCKED_ERROR);
}

static void end(struct exec *exec, bool is_ok)
{
    struct client *client = client_lookup(exec, exec->persist->reload_client);
    exec_release_clients(exec);
    if (client != NULL && client->flags & CLIENT_BLOCKED && client->block_end == end_wait)
        client_serve(client, answer, &is_ok);
}

static void loaded(void *context, enum status status, const struct load_report *report, const char *error)
{
    struct exec *exec = context;
    (void)report;
    if (status == ST_OK)
        saver_note_clean(exec->persist->saver);
    else
        log_write(exec->log, LOG_WARNING, "DEBUG RELOAD: %s", error);
    end(exec, status == ST_OK);
}

static void saved(void *context, bool is_ok)
{
    struct exec *exec = context;
    const struct load_options options = {.keep_expired = true};
    if (!is_ok) {
        end(exec, false);
        return;
    }
    for (uint32_t i = 0; i < exec->keyspace->db_count; i++)
        db_flush(&exec->keyspace->dbs[i]);
    tracking_flushed(exec); /* keys that are over are not loaded */
    load_file_begin(exec, exec->files, exec->config->dbfilename, &options, loaded, exec);
}

enum status reload_begin(struct client *client)
{
    struct exec *exec = client->exec;
    if (saver_is_busy(exec->persist->saver) || persist_is_loading(exec->persist))
        return ST_EXISTS;
    enum status status = saver_begin(exec->persist->saver);
    if (status != ST_OK)
        return status;
    /* One at a time: the saver is busy, or something is being loaded. */
    exec->persist->reload_client = client->id;
    saver_then(exec->persist->saver, saved, exec);
    exec_hold_clients(exec);
    client_block(client, 0, end_wait);
    return ST_OK;
}
