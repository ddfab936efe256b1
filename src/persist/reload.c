/* DEBUG RELOAD. Entry, threads: see reload.h.
 *
 * saving (the saver writes dbfilename) -> loading (the databases are emptied and filled from it) -> over */
#include "persist/reload.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "exec/exec.h"
#include "persist/load.h"
#include "persist/persist.h"
#include "persist/save.h"

struct reload {
    struct exec *exec;
    uint64_t client_id;
};

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

static void end(struct reload *reload, bool is_ok)
{
    struct client *client = client_lookup(reload->exec, reload->client_id);
    exec_release_clients(reload->exec);
    if (client != NULL && client->flags & CLIENT_BLOCKED && client->block_end == end_wait)
        client_serve(client, answer, &is_ok);
    mem_free(reload);
}

static void loaded(void *context, enum status status, const struct load_report *report, const char *error)
{
    struct reload *reload = context;
    (void)report;
    if (status == ST_OK)
        saver_note_clean(reload->exec->persist->saver);
    else
        log_write(reload->exec->log, LOG_WARNING, "DEBUG RELOAD: %s", error);
    end(reload, status == ST_OK);
}

static void saved(void *context, bool is_ok)
{
    struct reload *reload = context;
    struct exec *exec = reload->exec;
    const struct load_options options = {.keep_expired = true};
    if (!is_ok) {
        end(reload, false);
        return;
    }
    for (uint32_t i = 0; i < exec->keyspace->db_count; i++)
        db_flush(&exec->keyspace->dbs[i]);
    load_file_begin(exec, exec->files, exec->config->dbfilename, &options, loaded, reload);
}

enum status reload_begin(struct client *client)
{
    struct exec *exec = client->exec;
    if (saver_is_busy(exec->persist->saver) || persist_is_loading(exec->persist))
        return ST_EXISTS;
    enum status status = saver_begin(exec->persist->saver);
    if (status != ST_OK)
        return status;
    struct reload *reload = mem_alloc(sizeof *reload);
    *reload = (struct reload){exec, client->id};
    saver_then(exec->persist->saver, saved, reload);
    exec_hold_clients(exec);
    client_block(client, 0, end_wait);
    return ST_OK;
}
