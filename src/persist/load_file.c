/* Loading a file: workers read it ahead and sum it up, the executor decodes. Entry: load_file_begin.
 *
 * One worker at a time has the job to read the next block; its end is posted to the executor, which asks for the one after
 * that while there is room. So the file's place and the running checksum belong to whoever has the job.
 *
 *   job:       idle -> reading (read_block, on a worker) -> idle (block_came)
 *   blocks:    [done] [being decoded] [read] [read] [being read]
 *
 * Threads: the executor; read_block, a worker, which touches `job` only. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/exec.h"
#include "exec/post.h"
#include "persist/load.h"
#include "persist/load_show.h"
#include "persist/persist.h"
#include "rdb/crc64.h"

#define BLOCK_SIZE ((size_t)1 << 20)
#define BLOCKS     4

struct block {
    char *data;
    size_t size;
    uint64_t crc_after; /* of the file up to the end of this block */
};

/* What a worker has in hand. */
struct read_job {
    struct exec_post post; /* first: the post is the job */
    struct exec *exec;
    struct load_file *owner; /* executor only; NULL: nobody wants it any more */
    const struct file_system *files;
    char *path;
    struct file file;
    bool is_open;
    bool sums;
    uint64_t crc;
    uint64_t size; /* of the file */
    enum status status;
    int error; /* errno of ST_IO */
    struct block block;
};

struct load_file {
    struct exec *exec;
    struct load_options options;
    struct load *load; /* NULL: the file's size is not known yet */
    struct read_job *job;
    bool is_reading; /* a worker has the job */
    bool is_at_end;  /* the last block has been read */
    bool has_begun;  /* the first block of the ring is being decoded */
    struct block blocks[BLOCKS];
    unsigned first, count;
    load_ended_fn ended;
    void *context;
    struct load_show show;
};

/* ---- On a worker ------------------------------------------------------------------------------------------- */

static enum status open_job(struct read_job *job)
{
    enum status status = file_open(job->files, job->path, FILE_READ, &job->file);
    if (status != ST_OK)
        return status;
    job->is_open = true;
    return file_size(&job->file, &job->size);
}

static void read_block(void *context)
{
    struct read_job *job = context;
    errno = 0;
    job->status = job->is_open ? ST_OK : open_job(job);
    job->block.size = 0;
    if (job->status == ST_OK)
        job->status = file_read(&job->file, job->block.data, BLOCK_SIZE, &job->block.size);
    job->error = errno;
    if (job->status == ST_OK && job->sums)
        job->crc = crc64(job->crc, job->block.data, job->block.size);
    job->block.crc_after = job->crc;
    exec_post(job->exec, &job->post);
}

/* ---- The job ----------------------------------------------------------------------------------------------- */

static void job_free(struct read_job *job)
{
    if (job->is_open)
        file_close(&job->file);
    mem_free(job->block.data);
    mem_free(job->path);
    mem_free(job);
}

static void read_ahead(struct load_file *file)
{
    struct read_job *job = file->job;
    if (file->is_reading || file->is_at_end || file->count == BLOCKS)
        return;
    file->is_reading = true;
    job->block = file->blocks[(file->first + file->count) % BLOCKS];
    if (job->block.data == NULL)
        job->block.data = mem_alloc(BLOCK_SIZE);
    file->blocks[(file->first + file->count) % BLOCKS].data = NULL; /* the job's until it comes back */
    if (file->exec->workers != NULL)
        worker_submit(file->exec->workers, read_block, job);
    else
        read_block(job);
}

/* The post. */
static void block_came(struct exec *exec, struct exec_post *post)
{
    struct read_job *job = (struct read_job *)post;
    struct load_file *file = job->owner;
    (void)exec;
    if (file == NULL) {
        job_free(job);
        return;
    }
    file->is_reading = false;
    file->is_at_end = job->status != ST_OK || job->block.size < BLOCK_SIZE;
    file->blocks[(file->first + file->count) % BLOCKS] = job->block;
    job->block.data = NULL;
    file->count += job->block.size > 0 && job->status == ST_OK;
    read_ahead(file);
}

/* ---- Decoding ---------------------------------------------------------------------------------------------- */

static void load_file_free(struct load_file *file)
{
    struct exec *exec = file->exec;
    if (exec->persist != NULL && exec->persist->load_file == file)
        exec->persist->load_file = NULL;
    load_show_end(&file->show, exec);
    load_free(file->load);
    for (unsigned i = 0; i < BLOCKS; i++)
        mem_free(file->blocks[i].data);
    file->job->owner = NULL;
    if (!file->is_reading)
        job_free(file->job);
    mem_free(file);
    exec_set_hindrance(exec, EXEC_LOADING, false);
}

/* Is gone, and tells: whoever hears of it may begin the next one. */
static bool finish(struct load_file *file, enum status status, const char *error)
{
    struct load_report report = {0};
    struct buf text = {0};
    load_ended_fn ended = file->ended;
    void *context = file->context;
    if (file->load != NULL)
        report = *load_report(file->load);
    buf_append_string(&text, error);
    load_file_free(file);
    ended(context, status, &report, buf_string(&text));
    buf_done(&text);
    return false;
}

static bool fail_to_read(struct load_file *file)
{
    struct buf text = {0};
    const struct read_job *job = file->job;
    const char *reason = job->status == ST_IO ? strerror(job->error) : status_text(job->status);
    buf_printf(&text, "cannot %s %s: %s", job->is_open ? "read" : "open", job->path,
               job->status == ST_NOT_FOUND ? strerror(ENOENT) : reason);
    enum status status = job->status;
    finish(file, status, buf_string(&text));
    buf_done(&text);
    return false;
}

/* There are no blocks, and none is on its way. */
static bool finish_short(struct load_file *file)
{
    if (file->job->status != ST_OK)
        return fail_to_read(file);
    enum status status = load_ends(file->load);
    return finish(file, status, load_error(file->load));
}

/* The first block has been decoded. */
static void pass_block(struct load_file *file)
{
    file->has_begun = false;
    file->first = (file->first + 1) % BLOCKS;
    file->count--;
    read_ahead(file);
}

/* Before the first block. False: memory was refused. */
static bool begin_load(struct load_file *file)
{
    file->options.bytes_total = file->job->size;
    file->load = load_new(file->exec, &file->options);
    return file->load != NULL;
}

bool load_file_step(struct load_file *file)
{
    if (file->count == 0) {
        if (file->is_reading)
            return false;
        if (file->load == NULL && file->job->status == ST_OK && !begin_load(file))
            return finish(file, ST_NOMEM, "out of memory");
        return finish_short(file);
    }
    if (file->load == NULL && !begin_load(file))
        return finish(file, ST_NOMEM, "out of memory");
    load_show(&file->show, file->exec);
    struct block *block = &file->blocks[file->first];
    struct slice bytes = file->has_begun ? (struct slice){0} : slice_make(block->data, block->size);
    enum status status = file->job->sums && !file->has_begun
                             ? load_feed_summed(file->load, bytes, LOAD_STEP_WORK, block->crc_after)
                             : load_feed(file->load, bytes, LOAD_STEP_WORK);
    file->has_begun = true;
    if (status == ST_LIMIT)
        return true;
    if (status != ST_AGAIN)
        return finish(file, status, status == ST_OK ? "" : load_error(file->load));
    pass_block(file);
    return file->count > 0 || !file->is_reading;
}

/* ---- Life -------------------------------------------------------------------------------------------------- */

struct load_file *load_file_begin(struct exec *exec, const struct file_system *files, const char *path,
                                  const struct load_options *options, load_ended_fn ended, void *context)
{
    struct load_file *file = mem_calloc(1, sizeof *file);
    struct read_job *job = mem_calloc(1, sizeof *job);
    *job = (struct read_job){
        .post = {.run = block_came},
        .exec = exec,
        .owner = file,
        .files = files,
        .path = mem_strdup(path),
        .sums = exec->config->rdbchecksum,
    };
    *file =
        (struct load_file){.exec = exec, .options = *options, .job = job, .ended = ended, .context = context};
    exec_set_hindrance(exec, EXEC_LOADING, !options->is_async);
    if (exec->persist != NULL)
        exec->persist->load_file = file;
    load_show_begin(&file->show, exec, job->path);
    read_ahead(file);
    return file;
}

void load_file_cancel(struct load_file *file)
{
    if (file != NULL)
        load_file_free(file);
}
