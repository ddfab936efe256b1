/* Rewriting the append-only file, without fork: a snapshot becomes the new base, the log goes on in a new incr file from the snapshot's
 * cut on, and when both are on disk the manifest that names them takes the place of the old one.
 *
 * Principal entry points: aof_rewrite, aof_rewrite_step, aof_rewrite_cron, aof_rewrite_cancel.
 *
 * | from       | to         | by                                                                                     |
 * |------------|------------|----------------------------------------------------------------------------------------|
 * | none       | scheduled  | aof_rewrite: BGREWRITEAOF, growth, or the log begins                                   |
 * | scheduled  | creating   | begin(): the lane makes the next incr file                                             |
 * | scheduled  | saving     | begin(), when no log is written: there is only a base then                             |
 * | creating   | saving     | cut(), between two units: the snapshot begins; at once or (rotate) when all before the |
 * |            |            | cut has been written, the log goes on in the next file                                 |
 * | saving     | syncing    | the snapshot has ended well                                                            |
 * | syncing    | finishing  | the base is on disk                                                                    |
 * | finishing  | deleting   | the manifest is in place; a worker unlinks what it calls history                       |
 * | deleting   | none       | end(): and the manifest forgets that                                                   |
 * | deleting   | scheduled  | end(), when the next one has been asked for meanwhile                                  |
 * | any        | none       | abandon(): an error, or aof_rewrite_cancel; what was begun is unlinked                 |
 *
 * R1  The set of files that the manifest on disk names can be loaded at any moment, and gives all that has been written.
 * R2  No name is used again once a manifest that has it may have reached the disk, even if putting it there failed.
 *
 * Threads: executor, but for the sections that say otherwise. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/exec.h"
#include "persist/aof_internal.h"
#include "persist/snapshot.h"
#include "rdb/format.h"

/* When so much of the base lies in the page cache it is synced, so that its end is no long wait. */
#define SYNC_SIZE ((uint64_t)8 << 20)

#define FAILURES_AT_ONCE    3 /* after so many the next one waits */
#define RETRY_MINUTES_MAX   60
#define FIRST_BASE_RETRY_NS 10000000000ull
#define MINUTE_NS           60000000000ull

static uint64_t now_ns(const struct aof *aof)
{
    return clock_monotonic_ns(aof->exec->clock);
}

/* ---- The base: a worker, one call at a time ------------------------------------------------------- */

static enum status base_fail(struct aof_base *base, enum status status)
{
    if (status != ST_OK && base->status == ST_OK) {
        base->status = status;
        base->error = errno;
    }
    return base->status;
}

static enum status base_take(void *context, struct snapshot_block *block)
{
    struct aof_base *base = context;
    if (base->status == ST_OK && !base->is_open)
        base->is_open = base_fail(base, bulk_file_open(base->files, base->path, &base->file)) == ST_OK;
    if (base->status != ST_OK)
        return base->status;
    base_fail(base, bulk_file_append(&base->file, block->data, block->size));
    base->size += block->size;
    base->unsynced += base->file.is_direct ? 0 : block->size;
    if (base->unsynced >= SYNC_SIZE) {
        base_fail(base, file_sync(&base->file.file));
        base->unsynced = 0;
    }
    return base->status;
}

static void base_close(struct aof_base *base)
{
    if (base->is_open)
        bulk_file_close(&base->file);
    base->is_open = false;
}

static void base_sync(void *context)
{
    struct aof_base *base = context;
    base_fail(base, base->is_open ? bulk_file_flush(&base->file) : ST_IO);
    if (base->status == ST_OK)
        base_fail(base, file_sync(&base->file.file));
    base_close(base);
    exec_post(base->exec, &base->post);
}

static void unlink_all(void *context)
{
    struct aof_base *base = context;
    base_close(base);
    if (base->has_leftover)
        file_close(&base->leftover);
    base->has_leftover = false;
    for (size_t at = 0; at < base->unlinks.size;) {
        const char *path = base->unlinks.data + at;
        file_unlink(base->files,
                    path); /* what stays is unlinked after the next rewrite: the manifest has it until then */
        at += strlen(path) + 1;
    }
    exec_post(base->exec, &base->post);
}

/* ---- Its end -------------------------------------------------------------------------------------- */

static void work(struct aof *aof, void (*run)(void *argument))
{
    if (aof->exec->workers)
        worker_submit(aof->exec->workers, run, &aof->rewrite.base);
    else
        run(&aof->rewrite.base);
}

static void set_state(struct aof *aof, enum aof_rewrite_state state)
{
    aof->rewrite.state = state;
    aof_apply_policy(aof); /* no-appendfsync-on-rewrite */
}

/* When to try again by itself. */
static void put_off(struct aof *aof)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    uint64_t minutes = 0;
    if (rewrite->failures >= FAILURES_AT_ONCE) {
        uint64_t doublings = rewrite->failures - FAILURES_AT_ONCE;
        minutes = doublings < 6 ? (uint64_t)1 << doublings : RETRY_MINUTES_MAX;
    }
    if (minutes > RETRY_MINUTES_MAX)
        minutes = RETRY_MINUTES_MAX;
    rewrite->not_before_ns = now_ns(aof) + (minutes ? minutes * MINUTE_NS : FIRST_BASE_RETRY_NS);
}

/* Nothing of it is under way any more; the files that there were stay. */
static void abandon(struct aof *aof)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    struct aof_base *base = &rewrite->base;
    base->leftover = rewrite->next_file;
    base->has_leftover = rewrite->has_next_file;
    rewrite->has_next_file = rewrite->must_rotate = rewrite->is_cancelled = rewrite->forgets = false;
    buf_clear(&base->unlinks);
    buf_append(&base->unlinks, base->path, strlen(base->path) + 1);
    set_state(aof, AOF_REWRITE_DELETING);
    work(aof, unlink_all);
    if (aof->state == AOF_STARTING) {
        aof->stop_at = propagate_offset(aof->exec);
        aof_set_state(aof, aof->has_cursors ? AOF_STOPPING : AOF_OFF);
    }
}

static bool is_at_work(const struct aof *aof)
{
    const struct aof_rewrite *rewrite = &aof->rewrite;
    return rewrite->snapshot || rewrite->state == AOF_REWRITE_SYNCING ||
           (aof->job_runs && aof->job->kind != AOF_JOB_WRITE);
}

void aof_rewrite_cancel(struct aof *aof)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    rewrite->again = false;
    if (rewrite->state == AOF_REWRITE_NONE || rewrite->state == AOF_REWRITE_DELETING)
        return;
    if (rewrite->state == AOF_REWRITE_SCHEDULED) {
        set_state(aof, AOF_REWRITE_NONE);
        return;
    }
    rewrite->is_cancelled = true;
    if (rewrite->snapshot)
        snapshot_cancel(rewrite->snapshot);
    if (!is_at_work(aof))
        abandon(aof);
}

/* `what` could not be done. */
static void fail(struct aof *aof, const char *what, const char *why)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    if (!rewrite->is_cancelled) {
        rewrite->last_ok = false;
        rewrite->failures++;
        put_off(aof);
        log_write(
            aof->exec->log, LOG_WARNING,
            "the append-only file could not be rewritten (%s: %s); the files that there were stay in use",
            what, why);
    }
    rewrite->is_cancelled = true;
    if (rewrite->snapshot)
        snapshot_cancel(rewrite->snapshot);
    if (!is_at_work(aof))
        abandon(aof);
}

/* ---- Its beginning -------------------------------------------------------------------------------- */

bool aof_rewrite(struct aof *aof)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    if (rewrite->state == AOF_REWRITE_DELETING && !rewrite->again) {
        rewrite->again = true; /* what is left to do is nothing that anybody sees */
        return true;
    }
    if (rewrite->state != AOF_REWRITE_NONE)
        return false;
    set_state(aof, AOF_REWRITE_SCHEDULED);
    aof_wake(aof);
    return true;
}

void aof_rewrite_cron(struct aof *aof)
{
    const struct config *config = aof->exec->config;
    struct aof_rewrite *rewrite = &aof->rewrite;
    uint64_t size = aof->other_size + aof->size, percentage = (uint64_t)config->auto_aof_rewrite_percentage;
    if (aof->state != AOF_ON || rewrite->state != AOF_REWRITE_NONE || percentage == 0 ||
        size <= config->auto_aof_rewrite_min_size || now_ns(aof) < rewrite->not_before_ns)
        return;
    uint64_t base = aof->base_size ? aof->base_size : 1;
    if (size / base < 1 || (size - base) / (double)base * 100 < (double)percentage)
        return;
    log_write(aof->exec->log, LOG_NOTICE,
              "the append-only file has grown from %" PRIu64 " to %" PRIu64 " bytes: it is rewritten",
              aof->base_size, size);
    aof_rewrite(aof);
}

static void snapshot_ended(void *context, enum status outcome);

static bool begin_snapshot(struct aof *aof)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    const struct config *config = aof->exec->config;
    struct snapshot_options options = {.version = snapshot_file_version(config),
                                       .timed_version = RDB_VERSION_TIMED,
                                       .compress = config->rdbcompression,
                                       .checksum = config->rdbchecksum,
                                       .aof_base = true};
    struct snapshot_sink sink = {.context = &rewrite->base, .take = base_take, .ended = snapshot_ended};
    struct aof_base *base = &rewrite->base;
    base->size = base->unsynced = 0;
    base->status = ST_OK;
    set_state(aof, AOF_REWRITE_SAVING);
    rewrite->snapshot = snapshot_begin(aof->exec, &options, &sink);
    return rewrite->snapshot != NULL;
}

/* Names, and the first thing to be done. */
static bool begin(struct aof *aof)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    const char *name = aof->exec->config->appendfilename;
    /* Now: what is abandoned before the snapshot begins is unlinked, too. */
    rewrite->base.exec = aof->exec;
    rewrite->base.files = aof->exec->files;
    rewrite->with_log = aof->state == AOF_ON || aof->state == AOF_STARTING;
    rewrite->began_ns = now_ns(aof);
    rewrite->first_incr_seq = aof->manifest.incr_seq + 1;
    aof_manifest_next_base(&aof->manifest, name, rewrite->base_name);
    aof_manifest_next_incr(&aof->manifest, name, rewrite->next_name);
    aof_path(aof, AOF_TEMPORARY, rewrite->base_name, rewrite->base.path);
    struct aof_job *job = aof_job_begin(aof, AOF_JOB_CREATE);
    set_state(aof, AOF_REWRITE_CREATING);
    job->only_directory = !rewrite->with_log;
    aof_path(aof, "", rewrite->next_name, job->path);
    aof_job_submit(aof);
    return true;
}

/* The snapshot's moment. */
static void cut(struct aof *aof)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    bool starts = aof->state == AOF_STARTING;
    if (starts) {
        rewrite->has_next_file = false;
        aof_begin_writing(aof, rewrite->next_file, rewrite->next_name, 0);
        aof->other_size = 0;
    }
    if (!begin_snapshot(aof)) {
        fail(aof, "snapshot", "memory is short");
        return;
    }
    rewrite->cut = propagate_offset(aof->exec);
    rewrite->must_rotate = rewrite->with_log && !starts;
    if (rewrite->must_rotate)
        propagate_select_again(aof->exec);
    rewrite->head_db = aof_head_db(aof->exec);
    log_write(aof->exec->log, LOG_NOTICE, "rewriting the append-only file: base %s", rewrite->base_name);
}

uint64_t aof_rewrite_limit(const struct aof *aof)
{
    return aof->rewrite.must_rotate ? aof->rewrite.cut : propagate_offset(aof->exec);
}

/* ---- The way -------------------------------------------------------------------------------------- */

static void put_text(struct aof *aof, struct aof_job *job, const struct aof_manifest *manifest)
{
    aof_manifest_format(manifest, &job->manifest);
}

static void submit_rotate(struct aof *aof)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    struct aof_job *job = aof_job_begin(aof, AOF_JOB_ROTATE);
    aof_manifest_copy(&aof->manifest, &rewrite->next_manifest);
    aof_manifest_add_incr(&rewrite->next_manifest, rewrite->next_name);
    put_text(aof, job, &rewrite->next_manifest);
    aof_lend_file(aof, job);
    job->next_file = rewrite->next_file;
    aof_job_submit(aof);
}

static void rotated(struct aof *aof, const struct aof_job *job)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    rewrite->must_rotate = false;
    if (job->status != ST_OK) {
        aof_manifest_done(&rewrite->next_manifest);
        aof->manifest.incr_seq++; /* R2 */
        aof_take_file_back(aof, job);
        if (job->sync_failed)
            aof_note_failure(aof, job);
        fail(aof, job->failed, strerror(job->error));
        return;
    }
    aof_manifest_done(&aof->manifest);
    aof->manifest = rewrite->next_manifest;
    rewrite->next_manifest = (struct aof_manifest){0};
    rewrite->has_next_file = false;
    aof_go_on_in(aof, rewrite->next_file, rewrite->next_name, rewrite->cut);
    aof->head_db = rewrite->head_db;
    if (rewrite->is_cancelled && !is_at_work(aof))
        abandon(aof);
}

static void snapshot_ended(void *context, enum status outcome)
{
    struct aof_rewrite *rewrite = container_of(context, struct aof_rewrite, base);
    struct aof *aof = container_of(rewrite, struct aof, rewrite);
    rewrite->snapshot = NULL;
    if (rewrite->is_cancelled) {
        if (!is_at_work(aof))
            abandon(aof);
    } else if (outcome != ST_OK) {
        fail(aof, "snapshot",
             rewrite->base.status != ST_OK ? strerror(rewrite->base.error) : status_text(outcome));
    } else {
        set_state(aof, AOF_REWRITE_SYNCING);
        work(aof, base_sync);
    }
}

static void submit_finish(struct aof *aof)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    struct aof_job *job = aof_job_begin(aof, AOF_JOB_FINISH);
    uint64_t first_incr_seq = rewrite->with_log ? rewrite->first_incr_seq : UINT64_MAX;
    aof_manifest_copy(&aof->manifest, &rewrite->next_manifest);
    if (aof->state == AOF_STARTING)
        aof_manifest_add_incr(&rewrite->next_manifest, rewrite->next_name);
    aof_manifest_set_base(&rewrite->next_manifest, rewrite->base_name, first_incr_seq);
    put_text(aof, job, &rewrite->next_manifest);
    memcpy(job->base_temporary, rewrite->base.path, sizeof job->base_temporary);
    aof_path(aof, "", rewrite->base_name, job->base_path);
    aof_job_submit(aof);
}

/* What the manifest calls history is unlinked. */
static void delete_history(struct aof *aof)
{
    struct buf *unlinks = &aof->rewrite.base.unlinks;
    char path[FILE_PATH_MAX];
    buf_clear(unlinks);
    for (unsigned i = 0; i < aof->manifest.count; i++) {
        if (aof->manifest.files[i].type != AOF_FILE_HISTORY)
            continue;
        aof_path(aof, "", aof->manifest.files[i].name, path);
        buf_append(unlinks, path, strlen(path) + 1);
    }
    aof->rewrite.forgets = true;
    set_state(aof, AOF_REWRITE_DELETING);
    work(aof, unlink_all);
}

void aof_rewrite_forget_history(struct aof *aof)
{
    aof->rewrite.base.exec = aof->exec;
    aof->rewrite.base.files = aof->exec->files;
    if (aof_manifest_count(&aof->manifest, AOF_FILE_HISTORY) > 0)
        delete_history(aof);
}

static void finished(struct aof *aof, const struct aof_job *job)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    if (job->status != ST_OK) {
        aof_manifest_done(&rewrite->next_manifest);
        aof->manifest.base_seq++; /* R2 */
        aof->manifest.incr_seq += aof->state == AOF_STARTING;
        fail(aof, job->failed, strerror(job->error));
        return;
    }
    aof_manifest_done(&aof->manifest);
    aof->manifest = rewrite->next_manifest;
    rewrite->next_manifest = (struct aof_manifest){0};
    rewrite->last_ok = true;
    rewrite->count++;
    rewrite->failures = 0;
    rewrite->last_s = (int64_t)((now_ns(aof) - rewrite->began_ns) / 1000000000);
    aof->other_size = rewrite->base.size;
    aof->base_size = rewrite->base.size + aof->size;
    log_write(aof->exec->log, LOG_NOTICE,
              "the append-only file has been rewritten: base %s has %" PRIu64 " bytes", rewrite->base_name,
              rewrite->base.size);
    if (aof->state == AOF_STARTING)
        aof_set_state(aof, AOF_ON);
    durable_synced(aof->exec, aof->exec->durable.synced); /* it counts from now on */
    rewrite->is_cancelled = false;                        /* too late */
    delete_history(aof);
}

/* Nothing of it is left. */
static void end(struct aof *aof)
{
    bool again = aof->rewrite.again;
    aof->rewrite.again = false;
    set_state(aof, again ? AOF_REWRITE_SCHEDULED : AOF_REWRITE_NONE);
}

/* ---- Steps ---------------------------------------------------------------------------------------- */

static void base_posted(struct exec *exec, struct exec_post *post)
{
    struct aof_base *base = container_of(post, struct aof_base, post);
    struct aof_rewrite *rewrite = container_of(base, struct aof_rewrite, base);
    struct aof *aof = container_of(rewrite, struct aof, rewrite);
    if (rewrite->state == AOF_REWRITE_SYNCING) {
        rewrite->state = AOF_REWRITE_FINISHING;
        if (rewrite->is_cancelled)
            abandon(aof);
        else if (base->status != ST_OK)
            fail(aof, "base", strerror(base->error));
    } else if (rewrite->forgets) {
        rewrite->must_forget = true;
    } else {
        end(aof);
    }
    aof_step(aof);
}

void aof_rewrite_init(struct aof *aof)
{
    aof->rewrite.base.post.run = base_posted;
    aof->rewrite.last_ok = true;
    aof->rewrite.last_s = -1;
}

void aof_rewrite_done(struct aof *aof)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    base_close(&rewrite->base);
    if (rewrite->has_next_file)
        file_close(&rewrite->next_file);
    aof_manifest_done(&rewrite->next_manifest);
    buf_done(&rewrite->base.unlinks);
}

bool aof_rewrite_step(struct aof *aof)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    if (rewrite->is_cancelled || aof->state == AOF_STOPPING)
        return false;
    if (rewrite->state == AOF_REWRITE_SCHEDULED)
        return begin(aof);
    if (rewrite->state == AOF_REWRITE_CREATING)
        cut(aof);
    /* A file that has been loaded may not be open yet, and a torn end must not become the middle of the log. */
    if (rewrite->must_rotate && aof->written.position == rewrite->cut && !aof->must_repair) {
        submit_rotate(aof);
    } else if (rewrite->state == AOF_REWRITE_FINISHING && !rewrite->must_rotate) {
        submit_finish(aof);
    } else if (rewrite->state == AOF_REWRITE_DELETING && rewrite->must_forget) {
        struct aof_job *job = aof_job_begin(aof, AOF_JOB_MANIFEST);
        aof_manifest_drop_history(&aof->manifest);
        put_text(aof, job, &aof->manifest);
        aof_job_submit(aof);
    }
    return aof->job_runs;
}

static void created(struct aof *aof, const struct aof_job *job)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    if (job->status == ST_OK && job->has_file) {
        rewrite->next_file = job->file;
        rewrite->has_next_file = true;
    }
    if (rewrite->is_cancelled)
        abandon(aof);
    else if (job->status != ST_OK)
        fail(aof, job->failed, strerror(job->error));
}

void aof_rewrite_job_done(struct aof *aof, struct aof_job *job)
{
    struct aof_rewrite *rewrite = &aof->rewrite;
    switch (job->kind) {
    case AOF_JOB_CREATE: created(aof, job); break;
    case AOF_JOB_ROTATE: rotated(aof, job); break;
    case AOF_JOB_FINISH: finished(aof, job); break;
    case AOF_JOB_MANIFEST:
        if (job->status != ST_OK)
            log_write(aof->exec->log, LOG_WARNING,
                      "the manifest of the append-only file still names files that are gone (%s)",
                      strerror(job->error));
        rewrite->must_forget = false;
        end(aof);
        break;
    case AOF_JOB_WRITE: break;
    }
}
