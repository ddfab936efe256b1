/* Snapshot files. Rules, states and threads: see save.h.
 *
 * Principal entry points: saver_begin, saver_cron, saver_block, saver_finish; take (a worker: the sink's).
 * What belongs to one file being written is a struct save_job: the worker's while the snapshot runs, then the executor's, which hands
 * it to a worker once more to put the file in its place. */
#include "persist/save.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/bulk_file.h"
#include "base/log.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/exec.h"
#include "exec/post.h"
#include "persist/persist.h"
#include "rdb/format.h"

/* After a failure, save points rest so long. */
#define RETRY_S 5

#define NS_PER_S 1e9

enum saver_state { SAVER_IDLE, SAVER_WRITING, SAVER_PLACING };

struct save_job {
    struct saver *saver;
    const struct file_system *files;
    struct log *log;
    char path[FILE_PATH_MAX];
    char temporary[FILE_PATH_MAX];
    struct bulk_file file;
    bool is_open;
    bool is_made; /* the temporary file is there */
    uint64_t bytes;
    enum status status; /* ST_OK so far; why it failed */
    int error;          /* errno of ST_IO */
    const char *failed; /* what could not be done */
    struct exec_post post;
};

struct waiting_client {
    struct waiting_client *next;
    uint64_t id;
};

struct saver {
    struct exec *exec;
    enum saver_state state;
    struct snapshot *snapshot; /* while WRITING */
    struct waiting_client *waiting;
    bool is_scheduled;
    bool is_last_ok;
    uint64_t saved_dirty; /* F2 */
    uint64_t cut_dirty;   /* exec->stats.dirty at the cut of the one under way */
    int64_t last_time_s;
    int64_t last_try_s;
    int64_t last_took_s;
    int64_t began_s;
    uint64_t saves;
    uint64_t last_held_bytes;
    void (*then)(void *context, bool is_ok); /* NULL: nobody */
    void *then_context;
    uint64_t shutdown_client; /* who has asked for the end; 0: nobody */
    bool is_finishing;        /* saver_finish has begun its own */
};

static int64_t now_s(const struct saver *saver)
{
    return saver->exec->now_ms / 1000;
}

struct saver *saver_new(struct exec *exec)
{
    struct saver *saver = mem_calloc(1, sizeof *saver);
    saver->exec = exec;
    saver->is_last_ok = true;
    saver->last_took_s = -1;
    saver->last_time_s = now_s(saver);
    return saver;
}

void saver_free(struct saver *saver)
{
    if (saver == NULL)
        return;
    for (struct waiting_client *waiting = saver->waiting, *next; waiting != NULL; waiting = next) {
        next = waiting->next;
        mem_free(waiting);
    }
    mem_free(saver);
}

/* ---- The worker -------------------------------------------------------------------------------------------- */

static enum status fail(struct save_job *job, enum status status, const char *what)
{
    job->error = errno;
    job->failed = what;
    job->status = status;
    return status;
}

static enum status take(void *context, struct snapshot_block *block)
{
    struct save_job *job = context;
    enum status status = ST_OK;
    if (!job->is_open) {
        status = bulk_file_open(job->files, job->temporary, &job->file);
        if (status != ST_OK)
            return fail(job, status, "open");
        job->is_open = job->is_made = true;
    }
    status = bulk_file_append(&job->file, block->data, block->size);
    if (status != ST_OK)
        return fail(job, status, "write");
    job->bytes += block->size;
    return ST_OK;
}

static void placed(struct exec *exec, struct exec_post *post);

/* F1 */
static enum status place_file(struct save_job *job)
{
    char directory[FILE_PATH_MAX];
    if (!job->is_open)
        return fail(job, ST_IO, "write");
    enum status status = bulk_file_flush(&job->file);
    if (status != ST_OK)
        return fail(job, status, "write");
    status = file_sync(&job->file.file);
    if (status != ST_OK)
        return fail(job, status, "sync");
    bulk_file_close(&job->file);
    job->is_open = false;
    status = file_rename(job->files, job->temporary, job->path);
    if (status != ST_OK)
        return fail(job, status, "rename");
    status = file_directory_of(job->path, directory);
    if (status == ST_OK)
        status = file_sync_directory(job->files, directory);
    return status == ST_OK ? ST_OK : fail(job, status, "sync the directory of");
}

static void place(void *context)
{
    struct save_job *job = context;
    if (job->status == ST_OK)
        place_file(job);
    if (job->is_open)
        bulk_file_close(&job->file);
    if (job->status != ST_OK && job->is_made)
        file_unlink(job->files, job->temporary);
    job->post.run = placed;
    exec_post(job->saver->exec, &job->post);
}

/* ---- One file ---------------------------------------------------------------------------------------------- */

static bool answer(struct client *client, const void *is_ok)
{
    if (*(const bool *)is_ok)
        reply_literal(&client->out, "+OK\r\n");
    else
        reply_error(&client->out, "ERR");
    return true;
}

static void end_wait(struct client *client, enum block_end_reason reason)
{
    if (reason == BLOCK_END_GONE || reason == BLOCK_END_SERVED)
        return;
    reply_error(client_push(client), CLIENT_UNBLOCKED_ERROR);
}

void saver_block(struct saver *saver, struct client *client)
{
    struct waiting_client *waiting = mem_alloc(sizeof *waiting);
    *waiting = (struct waiting_client){saver->waiting, client->id};
    saver->waiting = waiting;
    client_block(client, 0, end_wait);
}

static void answer_waiting(struct saver *saver, bool is_ok)
{
    while (saver->waiting != NULL) {
        struct waiting_client *waiting = saver->waiting;
        struct client *client = client_lookup(saver->exec, waiting->id);
        if (client != NULL && client->flags & CLIENT_BLOCKED && client->block_end == end_wait)
            client_serve(client, answer, &is_ok);
        saver->waiting = waiting->next;
        mem_free(waiting);
    }
}

static void end_shutdown_wait(struct client *client, enum block_end_reason reason)
{
    end_wait(client, reason);
}

static bool answer_shutdown(struct client *client, const void *context)
{
    (void)context;
    reply_error(&client->out, "ERR Errors trying to SHUTDOWN. Check logs.");
    return true;
}

void saver_block_for_shutdown(struct saver *saver, struct client *client)
{
    saver->shutdown_client = client->id;
    client_block(client, 0, end_shutdown_wait);
}

void saver_refuse_shutdown(struct saver *saver)
{
    struct client *client = client_lookup(saver->exec, saver->shutdown_client);
    if (client != NULL && client->flags & CLIENT_BLOCKED && client->block_end == end_shutdown_wait)
        client_serve(client, answer_shutdown, NULL);
    saver->shutdown_client = 0;
}

/* F3 */
static void update_hindrance(struct saver *saver)
{
    const struct config *config = saver->exec->config;
    exec_set_hindrance(saver->exec, EXEC_SAVE_FAILS,
                       !saver->is_last_ok && config->stop_writes_on_bgsave_error && config->save.count > 0);
}

static void log_failure(const struct saver *saver, const struct save_job *job)
{
    if (job->status == ST_IO)
        log_write(saver->exec->log, LOG_WARNING, "snapshot not saved: cannot %s '%s': %s", job->failed,
                  job->temporary, strerror(job->error));
    else if (job->status == ST_LIMIT)
        log_write(saver->exec->log, LOG_WARNING,
                  "snapshot not saved: it would have taken more memory than snapshot-memory-budget");
    else if (job->status == ST_EOF)
        log_write(saver->exec->log, LOG_NOTICE, "snapshot not saved: it was given up");
    else
        log_write(saver->exec->log, LOG_WARNING, "snapshot not saved: %s", status_text(job->status));
}

/* On the executor. */
static void placed(struct exec *exec, struct exec_post *post)
{
    struct save_job *job = container_of(post, struct save_job, post);
    struct saver *saver = job->saver;
    bool is_ok = job->status == ST_OK;
    saver->state = SAVER_IDLE;
    saver->last_took_s = now_s(saver) - saver->began_s;
    if (is_ok) {
        saver->saved_dirty = saver->cut_dirty;
        saver->last_time_s = now_s(saver);
        saver->saves++;
        log_write(exec->log, LOG_NOTICE, "snapshot saved: %llu bytes in '%s'", (unsigned long long)job->bytes,
                  job->path);
    } else {
        log_failure(saver, job);
    }
    /* One that was given up on purpose is no failure. */
    if (job->status != ST_EOF)
        saver->is_last_ok = is_ok;
    update_hindrance(saver);
    answer_waiting(saver, is_ok);
    mem_free(job);
    if (saver->then != NULL) {
        void (*then)(void *context, bool is_ok) = saver->then;
        saver->then = NULL;
        then(saver->then_context, is_ok);
    }
}

static void ended(void *context, enum status outcome)
{
    struct save_job *job = context;
    struct saver *saver = job->saver;
    struct snapshot_progress progress;
    snapshot_progress(saver->snapshot, &progress);
    saver->last_held_bytes = progress.held_peak_bytes;
    saver->state = SAVER_PLACING;
    saver->snapshot = NULL;
    if (job->status == ST_OK)
        job->status = outcome;
    if (saver->exec->workers != NULL)
        worker_submit(saver->exec->workers, place, job);
    else
        place(job);
}

enum status saver_begin(struct saver *saver)
{
    struct exec *exec = saver->exec;
    const struct config *config = exec->config;
    if (saver->state != SAVER_IDLE)
        return ST_EXISTS;
    saver->is_scheduled = false;
    saver->last_try_s = now_s(saver);
    struct save_job *job = mem_calloc(1, sizeof *job);
    job->saver = saver;
    job->files = exec->files;
    snprintf(job->path, sizeof job->path, "%s", config->dbfilename);
    snprintf(job->temporary, sizeof job->temporary, "temp-%d.rdb", (int)getpid());
    /* The position says something only while every change is counted. */
    const struct snapshot_options options = {.version = snapshot_file_version(config),
                                             .timed_version = RDB_VERSION_TIMED,
                                             .compress = config->rdbcompression,
                                             .checksum = config->rdbchecksum,
                                             .has_replication = exec->propagate.needs & PROPAGATE_BACKLOG &&
                                                                exec->propagate.history_id != NULL,
                                             .replication_id = exec->propagate.history_id,
                                             .replication_offset = propagate_offset(exec),
                                             .replication_db = propagate_db(exec)};
    const struct snapshot_sink sink = {job, take, ended};
    saver->snapshot = snapshot_begin(exec, &options, &sink);
    if (saver->snapshot == NULL) {
        mem_free(job);
        return ST_NOMEM;
    }
    saver->state = SAVER_WRITING;
    saver->cut_dirty = exec->stats.dirty;
    saver->began_s = now_s(saver);
    log_write(exec->log, LOG_NOTICE, "saving a snapshot");
    return ST_OK;
}

/* ---- When -------------------------------------------------------------------------------------------------- */

void saver_then(struct saver *saver, void (*then)(void *context, bool is_ok), void *context)
{
    saver->then = then;
    saver->then_context = context;
}

void saver_schedule(struct saver *saver)
{
    saver->is_scheduled = true;
}

enum saver_cancelled saver_cancel(struct saver *saver)
{
    bool is_awaited = saver->waiting != NULL || saver->then != NULL || saver->is_finishing;
    if (saver->state == SAVER_WRITING && !is_awaited) {
        snapshot_cancel(saver->snapshot);
        return SAVER_CANCELLED;
    }
    bool was_scheduled = saver->is_scheduled;
    saver->is_scheduled = false;
    return was_scheduled ? SAVER_UNSCHEDULED : SAVER_HAD_NOTHING;
}

bool saver_is_busy(const struct saver *saver)
{
    return saver->state != SAVER_IDLE;
}

void saver_note_clean(struct saver *saver)
{
    saver->saved_dirty = saver->exec->stats.dirty;
    saver->last_time_s = now_s(saver);
}

static uint64_t unsaved_changes(const struct saver *saver)
{
    return saver->exec->stats.dirty - saver->saved_dirty;
}

/* Whether a save point has come. */
static bool is_time(const struct saver *saver)
{
    const struct config_numbers *points = &saver->exec->config->save;
    if (!saver->is_last_ok && now_s(saver) - saver->last_try_s < RETRY_S)
        return false;
    for (uint32_t i = 0; i + 1 < points->count; i += 2)
        if ((double)unsaved_changes(saver) >= points->items[i + 1] &&
            (double)(now_s(saver) - saver->last_time_s) > points->items[i])
            return true;
    return false;
}

void saver_cron(struct saver *saver)
{
    update_hindrance(saver);
    if (saver->state != SAVER_IDLE || saver->is_finishing || saver->exec->hindrances & EXEC_LOADING)
        return;
    if (saver->is_scheduled || is_time(saver))
        saver_begin(saver);
}

enum status saver_finish(struct saver *saver, bool wants_save)
{
    if (saver->state != SAVER_IDLE) {
        /* What is being written has not everything. */
        if (!saver->is_finishing && saver->snapshot != NULL)
            snapshot_cancel(saver->snapshot);
        return ST_AGAIN;
    }
    if (saver->is_finishing) {
        saver->is_finishing = false;
        return saver->is_last_ok ? ST_OK : ST_IO;
    }
    if (!wants_save)
        return ST_OK;
    saver->is_finishing = true;
    return saver_begin(saver) == ST_OK ? ST_AGAIN : ST_IO;
}

/* ---- What is told ------------------------------------------------------------------------------------------ */

void saver_facts(const struct saver *saver, struct saver_facts *ret_facts)
{
    struct saver_facts facts = {
        .is_busy = saver->state != SAVER_IDLE,
        .is_last_ok = saver->is_last_ok,
        .unsaved_changes = unsaved_changes(saver),
        .last_time_s = saver->last_time_s,
        .last_took_s = saver->last_took_s,
        .now_takes_s = saver->state != SAVER_IDLE ? now_s(saver) - saver->began_s : -1,
        .saves = saver->saves,
    };
    facts.last_held_bytes = saver->last_held_bytes;
    facts.expected_end_s = -1;
    if (saver->snapshot != NULL) {
        struct snapshot_progress progress;
        snapshot_progress(saver->snapshot, &progress);
        uint64_t passed_ns = clock_monotonic_ns(saver->exec->clock) - progress.began_ns;
        if (progress.keys_done > 0)
            facts.expected_end_s =
                (int64_t)((double)passed_ns / NS_PER_S * (double)(progress.keys_total - progress.keys_done) /
                          (double)progress.keys_done) +
                1;
    }
    *ret_facts = facts;
}
