/* What workers do for the append-only file. Contract in aof_job.h. Threads: workers. */
#include "persist/aof_job.h"

#include <errno.h>
#include <string.h>

#include "base/bug.h"

static enum status fail(struct aof_job *job, enum status status, const char *what)
{
    if (status == ST_OK)
        return ST_OK;
    if (job->status == ST_OK) {
        job->status = status;
        job->error = status == ST_NOT_FOUND ? ENOENT : errno ? errno : EIO;
        job->failed = what;
    }
    return status;
}

enum status aof_make_directory(const struct file_system *files, const char *directory)
{
    enum status status = file_make_directory(files, directory);
    if (status == ST_EXISTS)
        return ST_OK;
    return status == ST_OK ? file_sync_directory(files, ".") : status;
}

enum status aof_put_manifest(struct aof_job *job)
{
    return fail(
        job, file_replace(job->files, job->manifest_path, job->manifest_temporary, buf_slice(&job->manifest)),
        "manifest");
}

/* ---- WRITE ---------------------------------------------------------------------------------------- */

static enum status repair(struct aof_job *job)
{
    if (job->has_file)
        file_close(&job->file);
    job->has_file = false;
    if (fail(job, file_open(job->files, job->path, FILE_APPEND, &job->file), "open") != ST_OK)
        return job->status;
    job->has_file = true;
    if (fail(job, file_truncate(&job->file, job->good_size), "truncate") != ST_OK)
        return job->status;
    job->size = job->good_size;
    /* Whoever was killed may have put the manifest in place and not come to sync that. */
    return fail(job, file_sync_directory(job->files, job->directory), "directory");
}

static enum status write_pieces(struct aof_job *job)
{
    struct iovec vectors[AOF_JOB_PIECES + 1];
    unsigned count = 0;
    size_t written;
    if (job->annotation[0])
        vectors[count++] = (struct iovec){job->annotation, strlen(job->annotation)};
    for (unsigned i = 0; i < job->piece_count; i++)
        vectors[count++] = (struct iovec){(void *)job->pieces[i].bytes.data, job->pieces[i].bytes.size};
    if (fail(job, file_write_pieces(&job->file, vectors, count, &written), "write") == ST_OK) {
        job->size += written;
        return ST_OK;
    }
    job->is_torn = written > 0 && file_truncate(&job->file, job->size) != ST_OK;
    return job->status;
}

static enum status sync_file(struct aof_job *job)
{
    uint64_t begin_ns = clock_monotonic_ns(job->clock);
    if (fail(job, file_sync(&job->file), "fsync") != ST_OK)
        job->sync_failed = true;
    job->sync_ns = clock_monotonic_ns(job->clock) - begin_ns;
    return job->status;
}

static void run_write(struct aof_job *job)
{
    uint64_t begin_ns = clock_monotonic_ns(job->clock);
    if (job->repair && repair(job) != ST_OK)
        return;
    if (job->piece_count > 0 && write_pieces(job) != ST_OK)
        return;
    job->write_ns = clock_monotonic_ns(job->clock) - begin_ns;
    if (job->sync)
        sync_file(job);
}

/* ---- The others ----------------------------------------------------------------------------------- */

static void run_create(struct aof_job *job)
{
    job->has_file = false;
    if (fail(job, aof_make_directory(job->files, job->directory), "directory") != ST_OK ||
        job->only_directory ||
        fail(job, file_open(job->files, job->path, FILE_CREATE, &job->file), "create") != ST_OK)
        return;
    job->has_file = true;
    if (fail(job, file_sync_directory(job->files, job->directory), "directory") == ST_OK)
        return;
    file_close(&job->file);
    job->has_file = false;
}

static void run_rotate(struct aof_job *job)
{
    if (sync_file(job) != ST_OK || aof_put_manifest(job) != ST_OK)
        return;
    file_close(&job->file);
    job->file = job->next_file;
}

static void run_finish(struct aof_job *job)
{
    if (fail(job, file_rename(job->files, job->base_temporary, job->base_path), "rename") == ST_OK)
        aof_put_manifest(job);
}

void aof_job_run(void *argument)
{
    struct aof_job *job = argument;
    job->status = ST_OK;
    job->error = 0;
    job->is_torn = job->sync_failed = false;
    job->write_ns = job->sync_ns = 0;
    errno = 0;
    switch (job->kind) {
    case AOF_JOB_CREATE: run_create(job); break;
    case AOF_JOB_WRITE: run_write(job); break;
    case AOF_JOB_ROTATE: run_rotate(job); break;
    case AOF_JOB_FINISH: run_finish(job); break;
    case AOF_JOB_MANIFEST: aof_put_manifest(job); break;
    }
    exec_post(job->exec, &job->post);
}
