/* The append-only file: its states, and what goes into the lane. Rules in aof.h. Threads: executor. */
#include "persist/aof.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/num.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/exec.h"
#include "exec/post.h"
#include "persist/aof_internal.h"
#include "persist/aof_load.h"

#define SYNC_INTERVAL_NS 1000000000ull
#define WRITE_SIZE_MAX   ((uint64_t)16 << 20) /* of one job: syncs are not to be put off for longer */

static void wake_step(struct exec *exec, struct exec_post *post)
{
    struct aof *aof = container_of(post, struct aof, wake);
    aof->is_woken = false;
    aof_step(aof);
}

static void job_done(struct exec *exec, struct exec_post *post);

struct aof *aof_new(struct exec *exec)
{
    struct aof *aof = mem_calloc(1, sizeof *aof);
    aof->exec = exec;
    aof->wake.run = wake_step;
    aof->job = mem_calloc(1, sizeof *aof->job);
    aof->job->post.run = job_done;
    aof->job->owner = aof;
    aof->job->exec = exec;
    aof->job->files = exec->files;
    aof->job->clock = exec->clock;
    aof->last_write_ok = true;
    aof_rewrite_init(aof);
    return aof;
}

void aof_wake(struct aof *aof)
{
    if (aof->is_woken)
        return;
    aof->is_woken = true;
    exec_post(aof->exec, &aof->wake);
}

static uint64_t now_ns(const struct aof *aof)
{
    return clock_monotonic_ns(aof->exec->clock);
}

/* ---- Policy --------------------------------------------------------------------------------------- */

/* What appendfsync comes to. */
static int policy_of(const struct aof *aof)
{
    const struct config *config = aof->exec->config;
    bool is_rewriting = aof->rewrite.state >= AOF_REWRITE_CREATING;
    return config->no_appendfsync_on_rewrite && is_rewriting ? CONFIG_APPENDFSYNC_NO : config->appendfsync;
}

/* Replies wait for what can be promised only. */
void aof_apply_policy(struct aof *aof)
{
    struct exec *exec = aof->exec;
    bool is_writing = aof->state == AOF_ON || aof->state == AOF_STOPPING;
    bool on = is_writing && !aof->is_failing && policy_of(aof) == CONFIG_APPENDFSYNC_ALWAYS;
    if (on && !exec->durable.is_on)
        aof->must_sync = true; /* what was written before is promised from now on, too */
    if (on != exec->durable.is_on)
        durable_set_on(exec, on);
}

void aof_set_state(struct aof *aof, enum aof_state state)
{
    aof->state = state;
    aof_apply_policy(aof);
}

static bool is_sync_due(const struct aof *aof)
{
    switch (policy_of(aof)) {
    case CONFIG_APPENDFSYNC_ALWAYS: return true;
    case CONFIG_APPENDFSYNC_EVERYSEC: return now_ns(aof) - aof->synced_ns >= SYNC_INTERVAL_NS;
    default: return false;
    }
}

/* ---- Files ---------------------------------------------------------------------------------------- */

bool aof_path(const struct aof *aof, const char *prefix, const char *name, char *ret_path)
{
    int size = snprintf(ret_path, FILE_PATH_MAX, "%s/%s%s", aof->exec->config->appenddirname, prefix, name);
    return size < FILE_PATH_MAX;
}

static void log_grown(void *aof)
{
    aof_step(aof);
}

void aof_begin_writing(struct aof *aof, struct file file, const char *name, uint64_t size)
{
    struct exec *exec = aof->exec;
    propagate_set_need(exec, PROPAGATE_FILE, true);
    propagate_select_again(exec);
    uint64_t end = propagate_offset(exec);
    changelog_open(exec->propagate.log, CHANGELOG_FILE, end, &aof->written);
    changelog_open(exec->propagate.log, CHANGELOG_FILE, end, &aof->synced);
    aof->has_cursors = true;
    aof->file = file;
    aof->has_file = true;
    aof_path(aof, "", name, aof->path);
    aof->size = aof->synced_size = size;
    aof->ends_unit = true;
    aof->head_db = aof_head_db(exec);
    aof->annotated_s = 0;
    aof->synced_ns = now_ns(aof);
    aof->must_sync = aof->must_repair = false;
    exec->durable.synced = end;
    exec->durable.context = aof;
    exec->durable.log_grown = log_grown;
}

void aof_end_writing(struct aof *aof)
{
    struct exec *exec = aof->exec;
    if (!aof->has_cursors)
        return;
    exec->durable.log_grown = NULL;
    durable_set_on(exec, false);
    changelog_close(&aof->written);
    changelog_close(&aof->synced);
    aof->has_cursors = false;
    if (aof->has_file)
        file_close(&aof->file);
    aof->has_file = false;
    aof->is_failing = aof->must_repair = false;
    exec_set_hindrance(exec, EXEC_LOG_FAILS, false);
    propagate_set_need(exec, PROPAGATE_FILE, false);
}

static void advance_synced(struct aof *aof, uint64_t position)
{
    changelog_advance(&aof->synced, position);
    aof->synced_size = aof->size;
    durable_synced(aof->exec, position);
}

void aof_go_on_in(struct aof *aof, struct file file, const char *name, uint64_t position)
{
    aof->other_size += aof->size;
    aof->file = file;
    aof->has_file = true;
    aof->must_repair = false;
    aof_path(aof, "", name, aof->path);
    aof->size = 0;
    aof->ends_unit = true;
    aof->annotated_s = 0;
    aof->must_sync = false;
    advance_synced(aof, position);
}

/* ---- The lane ------------------------------------------------------------------------------------- */

struct aof_job *aof_job_begin(struct aof *aof, enum aof_job_kind kind)
{
    struct aof_job *job = aof->job;
    const char *name = aof->exec->config->appendfilename;
    char manifest[FILE_PATH_MAX];
    ASSERT(!aof->job_runs);
    job->kind = kind;
    job->sync = job->repair = false;
    job->piece_count = 0;
    job->annotation[0] = 0;
    snprintf(job->directory, sizeof job->directory, "%s", aof->exec->config->appenddirname);
    snprintf(manifest, sizeof manifest, "%s.manifest", name);
    aof_path(aof, "", manifest, job->manifest_path);
    aof_path(aof, AOF_TEMPORARY, manifest, job->manifest_temporary);
    buf_clear(&job->manifest);
    return job;
}

void aof_job_submit(struct aof *aof)
{
    aof->job_runs = true;
    struct worker_pool *workers = aof->exec->workers;
    bool is_stepped = workers && worker_pool_is_stepped(workers);
    if (!aof->lane && workers && !is_stepped)
        aof->lane = worker_pool_new(1, 0);
    if (aof->lane || is_stepped)
        worker_submit(is_stepped ? workers : aof->lane, aof_job_run, aof->job);
    else
        aof_job_run(aof->job);
}

void aof_lend_file(const struct aof *aof, struct aof_job *job)
{
    job->file = aof->file;
    job->has_file = aof->has_file;
    job->size = job->good_size = aof->size;
    job->repair = aof->must_repair;
    memcpy(job->path, aof->path, sizeof job->path);
}

void aof_take_file_back(struct aof *aof, const struct aof_job *job)
{
    aof->file = job->file;
    aof->has_file = job->has_file;
    aof->size = job->size;
}

/* ---- Writing -------------------------------------------------------------------------------------- */

/* E5 */
static void annotate(struct aof *aof, struct aof_job *job)
{
    int64_t now_s = aof->exec->now_ms / 1000;
    if (!aof->exec->config->aof_timestamp_enabled || !aof->ends_unit || job->piece_count == 0 ||
        now_s <= aof->annotated_s)
        return;
    snprintf(job->annotation, sizeof job->annotation, "#TS:%" PRId64 "\r\n", now_s);
    aof->annotated_s = now_s;
}

/* Pieces up to `limit`, with a reference of each block. */
static void gather(struct aof *aof, struct aof_job *job, uint64_t limit)
{
    uint64_t end;
    unsigned count = changelog_gather(&aof->written, job->pieces, AOF_JOB_PIECES, WRITE_SIZE_MAX, &end);
    unsigned kept = 0;
    for (; kept < count; kept++) {
        struct changelog_piece *piece = &job->pieces[kept];
        uint64_t start = piece->block->start + (uint64_t)(piece->bytes.data - piece->block->data);
        if (start >= limit)
            break;
        if (piece->bytes.size > limit - start)
            piece->bytes.size = (size_t)(limit - start);
        changelog_block_ref(piece->block);
    }
    job->piece_count = kept;
    job->end = end < limit ? end : limit;
    job->ends_unit = job->end == propagate_offset(aof->exec) || job->end == limit;
}

uint32_t aof_head_db(const struct exec *exec)
{
    return exec->is_replica ? exec->propagate.db : PROPAGATE_NO_DB;
}

/* A file is read from database 0 on. A primary's log goes on with a SELECT where a file begins; a replica's is what its primary sends. */
static void select_database(const struct aof *aof, struct aof_job *job)
{
    char number[NUM_I64_TEXT_MAX];
    size_t used = strlen(job->annotation);
    if (aof->size > 0 || aof->head_db == PROPAGATE_NO_DB)
        return;
    size_t size = num_format_u64(aof->head_db, number);
    snprintf(job->annotation + used, sizeof job->annotation - used, "*2\r\n$6\r\nSELECT\r\n$%zu\r\n%.*s\r\n",
             size, (int)size, number);
}

/* Writes what there is, syncs if that is due. Returns false when there is nothing to do. */
static bool step_write(struct aof *aof)
{
    uint64_t limit = aof_rewrite_limit(aof);
    if (aof->state == AOF_STOPPING && aof->stop_at < limit)
        limit = aof->stop_at;
    bool has_more = aof->written.position < limit;
    bool sync = is_sync_due(aof) || (aof->state == AOF_STOPPING && !has_more);
    if (!has_more && !aof->must_repair && !(aof->must_sync && sync))
        return false;
    struct aof_job *job = aof_job_begin(aof, AOF_JOB_WRITE);
    aof_lend_file(aof, job);
    gather(aof, job, limit);
    annotate(aof, job);
    select_database(aof, job);
    job->sync = sync;
    if (sync)
        aof->synced_ns = now_ns(aof);
    aof_job_submit(aof);
    return true;
}

/* Something hinders writing: E3, E4. */
void aof_note_failure(struct aof *aof, const struct aof_job *job)
{
    struct exec *exec = aof->exec;
    aof->retry_ns = now_ns(aof) + AOF_RETRY_NS;
    aof->must_repair = true;
    if (job->sync_failed) {
        changelog_close(&aof->written);
        changelog_open_like(&aof->synced, &aof->written);
        aof->size = aof->synced_size;
        aof->ends_unit = false;
    }
    if (aof->is_failing)
        return;
    aof->is_failing = true;
    aof->last_write_ok = false;
    snprintf(exec->durable.error, sizeof exec->durable.error, "%s", strerror(job->error));
    uint64_t closed = exec->durable.is_on ? durable_fail(exec) : 0;
    exec_set_hindrance(exec, EXEC_LOG_FAILS, true);
    log_write(
        exec->log, LOG_WARNING,
        "the append-only file cannot be written (%s of %s: %s): writes are refused, and it is tried again "
        "every second; %" PRIu64 " clients that waited for the disk were closed without an answer",
        job->failed, aof->path, strerror(job->error), closed);
}

static void note_success(struct aof *aof)
{
    aof->last_write_ok = true;
    aof->must_repair = false;
    if (!aof->is_failing)
        return;
    aof->is_failing = false;
    exec_set_hindrance(aof->exec, EXEC_LOG_FAILS, false);
    log_write(aof->exec->log, LOG_NOTICE, "the append-only file can be written again");
}

static void tell_latency(struct aof *aof, const char *event, uint64_t ns)
{
    struct exec *exec = aof->exec;
    if (ns >= exec->latency_ns && exec->hooks.latency)
        exec->hooks.latency(exec->hooks.context, event, ns);
}

static void write_done(struct aof *aof, struct aof_job *job)
{
    const struct changelog_block *last = job->piece_count ? job->pieces[job->piece_count - 1].block : NULL;
    for (unsigned i = 0; i < job->piece_count; i++)
        changelog_block_unref(job->pieces[i].block);
    aof_take_file_back(aof, job);
    aof->writes += job->piece_count > 0;
    aof->syncs += job->sync && job->sync_ns > 0;
    aof->delayed_syncs += job->sync_ns > AOF_SLOW_SYNC_NS;
    tell_latency(aof, "aof-write", job->write_ns);
    if (job->sync_ns > 0)
        tell_latency(aof, policy_of(aof) == CONFIG_APPENDFSYNC_ALWAYS ? "aof-fsync-always" : "aof-fsync",
                     job->sync_ns);
    if (job->status != ST_OK && !job->sync_failed && last && job->annotation[0])
        aof->annotated_s = 0; /* it is written with the next attempt */
    if (job->status == ST_OK || job->sync_failed) {
        changelog_advance(&aof->written, job->end);
        aof->ends_unit = job->ends_unit;
        aof->must_sync |= last != NULL;
    }
    if (job->status != ST_OK) {
        aof_note_failure(aof, job);
    } else {
        note_success(aof);
        if (job->sync)
            aof->must_sync = false;
        if (job->sync || aof->exec->config->appendfsync == CONFIG_APPENDFSYNC_NO)
            advance_synced(aof, job->end);
    }
    aof_apply_policy(aof);
}

/* ---- Steps ---------------------------------------------------------------------------------------- */

static void job_done(struct exec *exec, struct exec_post *post)
{
    struct aof_job *job = container_of(post, struct aof_job, post);
    struct aof *aof = job->owner;
    aof->job_runs = false;
    if (job->kind == AOF_JOB_WRITE)
        write_done(aof, job);
    else
        aof_rewrite_job_done(aof, job);
    aof_step(aof);
}

/* All that was logged is on disk, or cannot be brought there. */
static void stopped(struct aof *aof)
{
    aof_end_writing(aof);
    aof_set_state(aof, AOF_OFF);
    log_write(aof->exec->log, LOG_NOTICE, "the append-only file is closed");
}

static void step_state(struct aof *aof)
{
    bool is_wanted = aof->is_wanted && !aof->is_held;
    if (is_wanted && aof->state == AOF_OFF && aof->rewrite.state == AOF_REWRITE_NONE &&
        now_ns(aof) >= aof->rewrite.not_before_ns) {
        aof_set_state(aof, AOF_STARTING);
        aof_rewrite(aof);
    } else if (!is_wanted && (aof->state == AOF_ON || aof->state == AOF_STARTING)) {
        aof_rewrite_cancel(aof);
        aof->stop_at = propagate_offset(aof->exec);
        aof_set_state(aof, aof->has_cursors ? AOF_STOPPING : AOF_OFF);
    }
}

void aof_step(struct aof *aof)
{
    if (aof->job_runs || aof->is_ending || aof->state == AOF_LOADING || aof->exec->propagate.unit_count > 0)
        return;
    step_state(aof);
    if (aof->is_failing && aof->state == AOF_STOPPING)
        stopped(aof);
    if (aof->is_failing && now_ns(aof) < aof->retry_ns)
        return;
    if (aof_rewrite_step(aof) || (aof->has_cursors && step_write(aof)))
        return;
    if (aof->state == AOF_STOPPING)
        stopped(aof);
}

void aof_cron(struct aof *aof)
{
    if (aof->state == AOF_LOADING)
        return;
    aof_rewrite_cron(aof);
    aof_step(aof);
}

void aof_set_on(struct aof *aof, bool on)
{
    aof->is_wanted = on;
    aof->rewrite.not_before_ns = 0;
    aof_wake(aof);
}

bool aof_hold(struct aof *aof, bool hold)
{
    if (aof->is_held != hold) {
        aof->is_held = hold;
        aof->rewrite.not_before_ns = 0;
        aof_wake(aof);
    }
    return !aof->has_cursors && aof->state == AOF_OFF;
}

bool aof_is_on(const struct aof *aof)
{
    return aof->state == AOF_ON;
}

bool aof_is_off(const struct aof *aof)
{
    return aof->state == AOF_OFF && aof->rewrite.state == AOF_REWRITE_NONE && !aof->exec->config->appendonly;
}

/* ---- The end -------------------------------------------------------------------------------------- */

/* Until nothing is left, or it fails. */
static void write_the_rest(struct aof *aof)
{
    while (aof->has_cursors) {
        aof->is_failing = false;
        if (aof->written.position == propagate_offset(aof->exec) && !aof->must_sync)
            break;
        struct aof_job *job = aof_job_begin(aof, AOF_JOB_WRITE);
        aof_lend_file(aof, job);
        gather(aof, job, UINT64_MAX);
        job->sync = true;
        aof->job_runs = true;
        aof_job_run(job);
        exec_run_posts(aof->exec);
        if (aof->is_failing)
            break;
    }
}

void aof_free(struct aof *aof)
{
    if (aof == NULL)
        return;
    aof->is_ending = true;
    aof_load_free(aof->load);
    aof->load = NULL;
    aof_rewrite_cancel(aof);
    if (aof->lane)
        worker_pool_free(aof->lane);
    aof->lane = NULL;
    while (exec_has_posts(aof->exec)) /* what the lane has done last */
        exec_run_posts(aof->exec);
    write_the_rest(aof);
    aof_end_writing(aof);
    aof_rewrite_done(aof);
    aof_manifest_done(&aof->manifest);
    buf_done(&aof->job->manifest);
    mem_free(aof->job);
    mem_free(aof);
}

/* ---- INFO ----------------------------------------------------------------------------------------- */

void aof_figures(const struct aof *aof, struct aof_figures *ret_figures)
{
    const struct aof_rewrite *rewrite = &aof->rewrite;
    bool is_rewriting = rewrite->state >= AOF_REWRITE_CREATING && rewrite->state < AOF_REWRITE_DELETING;
    *ret_figures = (struct aof_figures){
        .is_on = aof->state != AOF_OFF && aof->state != AOF_STOPPING,
        .is_rewriting = is_rewriting || (aof->state == AOF_STARTING),
        .is_rewrite_scheduled = rewrite->state == AOF_REWRITE_SCHEDULED || rewrite->again,
        .last_rewrite_ok = rewrite->last_ok,
        .last_write_ok = aof->last_write_ok,
        .last_rewrite_s = rewrite->last_s,
        .current_rewrite_s = is_rewriting ? (int64_t)((now_ns(aof) - rewrite->began_ns) / 1000000000) : -1,
        .rewrites = rewrite->count,
        .rewrite_failures = rewrite->failures,
        .current_size = aof->other_size + aof->size,
        .base_size = aof->base_size,
        .pending_syncs = aof->job_runs && aof->job->kind == AOF_JOB_WRITE && aof->job->sync,
        .delayed_syncs = aof->delayed_syncs,
        .writes = aof->writes,
        .syncs = aof->syncs,
        .waiting_outputs = aof->exec->durable.held_count,
    };
    if (!aof->has_cursors)
        return;
    ret_figures->buffer_size = changelog_left(&aof->written);
    ret_figures->unsynced_size = aof->size - aof->synced_size;
}
