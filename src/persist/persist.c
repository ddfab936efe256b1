/* What lives on disk. Rules in persist.h. Threads: executor. */
#include "persist/persist.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "exec/exec.h"
#include "exec/pause.h"
#include "persist/aof.h"
#include "persist/load.h"
#include "persist/save.h"

struct persist *persist_new(struct exec *exec)
{
    struct persist *persist = mem_calloc(1, sizeof *persist);
    persist->exec = exec;
    list_init(&persist->snapshots);
    exec->persist = persist;
    persist->saver = saver_new(exec);
    persist->aof = aof_new(exec);
    return persist;
}

void persist_free(struct persist *persist)
{
    if (persist == NULL)
        return;
    aof_free(persist->aof);
    load_file_cancel(persist->load_file);
    saver_free(persist->saver);
    persist->exec->persist = NULL;
    mem_free(persist);
}

/* ---- The start --------------------------------------------------------------------------------------------- */

static void snapshot_loaded(void *context, enum status status, const struct load_report *report,
                            const char *error)
{
    struct persist *persist = context;
    struct exec *exec = persist->exec;
    if (status != ST_OK) {
        log_write(exec->log, LOG_WARNING, "Fatal error loading the DB, check server logs. Exiting: %s: %s",
                  exec->config->dbfilename, error);
        persist->load_failed = true;
        if (persist->history.loaded)
            persist->history.loaded(persist->history.context, NULL);
        return;
    }
    double seconds = (double)(clock_monotonic_ns(exec->clock) - persist->load_began_ns) / 1e9;
    saver_note_clean(persist->saver);
    log_write(exec->log, LOG_NOTICE,
              "Done loading RDB, keys loaded: %" PRIu64 ", keys expired: %" PRIu64
              ", empty keys skipped: %" PRIu64 ", unknown things skipped: %" PRIu64,
              report->keys, report->expired, report->empty, report->foreign);
    log_write(exec->log, LOG_NOTICE, "DB loaded from disk: %.3f seconds", seconds);
    if (persist->history.loaded)
        persist->history.loaded(persist->history.context, report);
}

enum status persist_load(struct persist *persist, struct buf *error)
{
    struct exec *exec = persist->exec;
    const struct file_system *files = exec->files;
    /* Whether a key's time has come is for its primary to say. */
    const struct load_options options = {.keep_expired = exec->is_replica,
                                         .dropped = persist->history.dropped,
                                         .context = persist->history.context};
    const char *name = exec->config->dbfilename;
    persist->load_began_ns = clock_monotonic_ns(exec->clock);
    enum status status = aof_start(persist->aof, error);
    if (status != ST_OK || exec->config->appendonly || file_exists(files, name) == ST_NOT_FOUND)
        return status;
    load_file_begin(exec, files, name, &options, snapshot_loaded, persist);
    return ST_OK;
}

bool persist_step(struct persist *persist)
{
    struct exec *exec = persist->exec;
    if (!persist_is_loading(persist))
        return false;
    uint64_t begin = pause_begin(exec);
    bool more = persist->load_file != NULL && load_file_step(persist->load_file);
    more |= aof_load_slice(persist->aof);
    pause_note(exec, "loading", clock_ticks_to_ns(exec->clock, clock_ticks(exec->clock) - begin));
    return more;
}

bool persist_is_loading(const struct persist *persist)
{
    return persist->load_file != NULL || aof_is_loading(persist->aof);
}

/* ---- Upkeep ------------------------------------------------------------------------------------------------ */

void persist_cron(struct persist *persist)
{
    saver_cron(persist->saver);
    aof_cron(persist->aof);
}
