/* The append-only file at the start of the process: what there is on disk is looked at, made or brought up to date, and loaded.
 *
 * Principal entry points: aof_start, aof_load_slice.
 * Nobody is served yet, so files are touched here by the executor itself; only loading goes on beside the loop (aof_load.h).
 * Threads: executor. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "exec/exec.h"
#include "persist/aof_internal.h"
#include "persist/aof_load.h"
#include "persist/persist.h"
#include "persist/save.h"
#include "rdb/crc64.h"
#include "rdb/file_write.h"

/* `what` could not be done with the file. */
static enum status refuse(struct buf *error, enum status status, const char *what, const char *name)
{
    buf_printf(error, "the append-only file: %s '%s': %s", what, name,
               status == ST_NOT_FOUND ? strerror(ENOENT)
               : status == ST_IO      ? strerror(errno)
                                      : status_text(status));
    return status;
}

static enum status check_names(const struct config *config, struct buf *error)
{
    const char *names[] = {config->appendfilename, config->appenddirname};
    const char *options[] = {"appendfilename", "appenddirname"};
    for (int i = 0; i < 2; i++) {
        if (names[i][0] && !strchr(names[i], '/') && strcmp(names[i], ".") != 0 &&
            strcmp(names[i], "..") != 0 && strlen(names[i]) <= AOF_NAME_MAX - 32)
            continue;
        buf_printf(error, "option '%s': the name of a file is wanted, not a path", options[i]);
        return ST_INVALID;
    }
    return ST_OK;
}

static enum status read_manifest(struct aof *aof, struct buf *error)
{
    struct aof_job *job = aof_job_begin(aof, AOF_JOB_MANIFEST);
    struct buf text = {0}, fault = {0};
    enum status status = file_read_whole(aof->exec->files, job->manifest_path, AOF_MANIFEST_SIZE_MAX, &text);
    if (status == ST_OK) {
        status = aof_manifest_parse(buf_slice(&text), &aof->manifest, &fault);
        if (status != ST_OK)
            buf_printf(error, "the manifest '%s' is damaged: %s", job->manifest_path, buf_string(&fault));
    } else if (status == ST_NOT_FOUND) {
        status = ST_OK;
    } else {
        refuse(error, status, "cannot read", job->manifest_path);
    }
    buf_done(&text);
    buf_done(&fault);
    return status;
}

static enum status write_manifest(struct aof *aof, struct buf *error)
{
    struct aof_job *job = aof_job_begin(aof, AOF_JOB_MANIFEST);
    aof_manifest_format(&aof->manifest, &job->manifest);
    job->status = ST_OK;
    enum status status = aof_put_manifest(job);
    return status == ST_OK ? ST_OK : refuse(error, status, "cannot write", job->manifest_path);
}

/* ---- The single file of old ----------------------------------------------------------------------- */

/* Whether there is one that nobody has taken over completely. */
static bool must_upgrade(const struct aof *aof)
{
    const struct file_system *files = aof->exec->files;
    const char *name = aof->exec->config->appendfilename;
    const struct aof_file *base = aof_manifest_base(&aof->manifest);
    char path[FILE_PATH_MAX];
    if (file_exists(files, name) != ST_OK)
        return false;
    if (aof->manifest.count == 0)
        return true;
    aof_path(aof, "", name, path);
    return base && !aof_manifest_last_incr(&aof->manifest) && strcmp(base->name, name) == 0 &&
           file_exists(files, path) == ST_NOT_FOUND;
}

/* The manifest first: should this be interrupted, must_upgrade says so again. */
static enum status upgrade(struct aof *aof, struct buf *error)
{
    const struct file_system *files = aof->exec->files;
    const struct config *config = aof->exec->config;
    char path[FILE_PATH_MAX];
    enum status status = aof_make_directory(files, config->appenddirname);
    if (status != ST_OK)
        return refuse(error, status, "cannot make the directory", config->appenddirname);
    if (aof->manifest.count == 0)
        aof_manifest_adopt(&aof->manifest, config->appendfilename);
    status = write_manifest(aof, error);
    if (status != ST_OK)
        return status;
    aof_path(aof, "", config->appendfilename, path);
    status = file_rename(files, config->appendfilename, path);
    if (status == ST_OK)
        status = file_sync_directory(files, config->appenddirname);
    if (status == ST_OK)
        status = file_sync_directory(files, ".");
    if (status != ST_OK)
        return refuse(error, status, "cannot move", config->appendfilename);
    log_write(aof->exec->log, LOG_NOTICE, "the append-only file %s has been moved to %s",
              config->appendfilename, config->appenddirname);
    return ST_OK;
}

/* ---- The first files ------------------------------------------------------------------------------ */

/* A snapshot of nothing. */
static enum status write_empty_base(struct aof *aof, const char *name)
{
    const struct exec *exec = aof->exec;
    struct buf bytes = {0};
    char path[FILE_PATH_MAX], temporary[FILE_PATH_MAX];
    const struct rdb_file_about about = {
        .version = snapshot_file_version(exec->config), .made_s = exec->now_ms / 1000, .is_aof_base = true};
    rdb_file_header(&bytes, &about);
    rdb_file_end(&bytes);
    rdb_file_checksum(&bytes, exec->config->rdbchecksum ? crc64(0, bytes.data, bytes.size) : 0);
    aof_path(aof, "", name, path);
    aof_path(aof, AOF_TEMPORARY, name, temporary);
    enum status status = file_replace(exec->files, path, temporary, buf_slice(&bytes));
    buf_done(&bytes);
    return status;
}

/* The next incr file, empty. */
static enum status add_incr(struct aof *aof)
{
    char name[AOF_NAME_MAX + 1], path[FILE_PATH_MAX];
    struct file file;
    aof_manifest_next_incr(&aof->manifest, aof->exec->config->appendfilename, name);
    aof_path(aof, "", name, path);
    enum status status = file_open(aof->exec->files, path, FILE_CREATE, &file);
    if (status != ST_OK)
        return status;
    file_close(&file);
    aof_manifest_add_incr(&aof->manifest, name);
    return ST_OK;
}

/* So that there is something to go on with: an empty base where nothing is, and an incr file. */
static enum status complete(struct aof *aof, struct buf *error)
{
    const char *directory = aof->exec->config->appenddirname;
    char name[AOF_NAME_MAX + 1];
    enum status status = aof_make_directory(aof->exec->files, directory);
    if (status == ST_OK && aof->manifest.count == 0) {
        aof_manifest_next_base(&aof->manifest, aof->exec->config->appendfilename, name);
        status = write_empty_base(aof, name);
        if (status == ST_OK)
            aof_manifest_set_base(&aof->manifest, name, 0);
    }
    if (status == ST_OK)
        status = add_incr(aof);
    if (status != ST_OK)
        return refuse(error, status, "cannot make files in", directory);
    return write_manifest(aof, error);
}

/* ---- Loading -------------------------------------------------------------------------------------- */

static void loaded(void *context, enum status status, const struct aof_load_report *report, const char *error)
{
    struct aof *aof = context;
    struct exec *exec = aof->exec;
    const struct file none = {exec->files, -1};
    if (status != ST_OK) {
        log_write(exec->log, LOG_WARNING, "the append-only file cannot be loaded: %s", error);
        exec->persist->load_failed = true;
        aof->state = AOF_OFF;
        return;
    }
    log_write(exec->log, LOG_NOTICE,
              "DB loaded from append only file: %.3f seconds, %" PRIu64 " keys of a snapshot, %" PRIu64
              " requests",
              (double)(clock_monotonic_ns(exec->clock) - exec->persist->load_began_ns) / 1e9, report->keys,
              report->requests);
    saver_note_clean(exec->persist->saver);
    aof->other_size = report->other_size;
    aof->base_size = report->other_size + report->last_size;
    /* The lane opens the file, and cuts it to the size that was found. */
    aof_begin_writing(aof, none, aof_manifest_last_incr(&aof->manifest)->name, report->last_size);
    aof->has_file = false;
    aof->must_repair = true;
    aof->must_sync = true;
    aof_set_state(aof, AOF_ON);
    aof_rewrite_forget_history(aof);
    aof_wake(aof);
}

/* All files of the manifest are there. */
static enum status measure(struct aof *aof, struct aof_load_sizes *ret_sizes, struct buf *error)
{
    char path[FILE_PATH_MAX];
    *ret_sizes = (struct aof_load_sizes){0};
    for (unsigned i = 0; i < aof->manifest.count; i++) {
        struct file file;
        uint64_t size;
        if (aof->manifest.files[i].type == AOF_FILE_HISTORY)
            continue;
        aof_path(aof, "", aof->manifest.files[i].name, path);
        enum status status = file_open(aof->exec->files, path, FILE_READ, &file);
        if (status == ST_OK) {
            status = file_size(&file, &size);
            file_close(&file);
        }
        if (status != ST_OK)
            return refuse(error, status, "cannot read", path);
        ret_sizes->total += size;
        if (size > 0)
            ret_sizes->last_index = i;
    }
    return ST_OK;
}

enum status aof_start(struct aof *aof, struct buf *error)
{
    const struct config *config = aof->exec->config;
    struct aof_load_sizes sizes;
    enum status status = check_names(config, error);
    if (status == ST_OK)
        status = read_manifest(aof, error);
    if (status != ST_OK || !config->appendonly)
        return status;
    aof->is_wanted = true;
    if (must_upgrade(aof))
        status = upgrade(aof, error);
    if (status == ST_OK)
        status = measure(aof, &sizes, error);
    if (status == ST_OK && !aof_manifest_last_incr(&aof->manifest))
        status = complete(aof, error);
    if (status != ST_OK)
        return status;
    aof->state = AOF_LOADING;
    aof->load = aof_load_new(aof->exec, &aof->manifest, &sizes, loaded, aof);
    return ST_OK;
}

bool aof_load_slice(struct aof *aof)
{
    if (!aof->load)
        return false;
    bool more = aof_load_step(aof->load);
    if (aof->state != AOF_LOADING) {
        aof_load_free(aof->load);
        aof->load = NULL;
    }
    return more;
}

bool aof_is_loading(const struct aof *aof)
{
    return aof->load != NULL;
}

bool aof_loading_progress(const struct aof *aof, struct load_progress *ret_progress)
{
    if (aof->load)
        aof_load_progress(aof->load, ret_progress);
    return aof->load != NULL;
}
