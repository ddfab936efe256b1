/* Loading an append-only file. States and rules in aof_load.h. Threads: executor, but for read_block. */
#include "persist/aof_load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/apply.h"
#include "exec/exec.h"
#include "exec/post.h"
#include "persist/load.h"
#include "persist/load_show.h"
#include "protocol/parser.h"

#define BLOCK_SIZE ((size_t)1 << 20)
#define STEP_NS    2000000ull

enum load_state { LOOKING, SNAPSHOT, COMMANDS, CUTTING, ENDED };

/* What a worker has in hand: reading a block, or cutting the file. */
struct read_job {
    struct exec_post post;
    struct exec *exec;
    struct aof_load *owner; /* executor only; NULL: nobody wants it any more */
    const struct file_system *files;
    char path[FILE_PATH_MAX];
    struct file file;
    bool is_open;
    uint64_t offset; /* of the next block */
    bool cuts;       /* not reads: to `cut_at` bytes */
    uint64_t cut_at;
    char *data;
    size_t size; /* read; 0: the end */
    enum status status;
    int error;
};

struct aof_load {
    struct exec *exec;
    const struct aof_manifest *manifest;
    aof_load_ended_fn ended;
    void *context;
    enum load_state state;
    unsigned index; /* of the file in the manifest */
    struct read_job *job;
    bool is_reading;
    bool has_block; /* job->data has a block that nobody has taken */
    bool is_at_end; /* of the file */
    struct apply *apply;
    uint64_t begin;                 /* where the commands begin in the file */
    struct buf bytes;               /* of the file, not applied */
    size_t used;                    /* of these */
    bool is_zeros;                  /* I3: only zeros come any more, */
    size_t zeros_from;              /* so many bytes behind the last request */
    unsigned last_index;            /* the last file with anything in it */
    uint64_t total_size, done_size; /* of all files; of those before this one */
    int64_t began_ms;
    uint64_t began_ns;
    struct aof_load_report report;
    struct load_show show;
};

/* ---- On a worker ---------------------------------------------------------------------------------- */

static enum status open_job(struct read_job *job)
{
    enum status status = file_open(job->files, job->path, job->cuts ? FILE_APPEND : FILE_READ, &job->file);
    job->is_open = status == ST_OK;
    return status;
}

static void close_job(struct read_job *job)
{
    if (job->is_open)
        file_close(&job->file);
    job->is_open = false;
}

static enum status cut_file(struct read_job *job)
{
    close_job(job);
    enum status status = open_job(job);
    if (status == ST_OK)
        status = file_truncate(&job->file, job->cut_at);
    if (status == ST_OK)
        status = file_sync(&job->file);
    return status;
}

static void run_job(void *argument)
{
    struct read_job *job = argument;
    job->size = 0;
    job->status = job->cuts ? cut_file(job) : job->is_open ? ST_OK : open_job(job);
    if (job->status == ST_OK && !job->cuts)
        job->status = file_pread(&job->file, job->data, BLOCK_SIZE, job->offset, &job->size);
    job->error = errno;
    job->offset += job->size;
    exec_post(job->exec, &job->post);
}

/* ---- Reading -------------------------------------------------------------------------------------- */

static void job_free(struct read_job *job)
{
    close_job(job);
    mem_free(job->data);
    mem_free(job);
}

static void job_done(struct exec *exec, struct exec_post *post)
{
    struct read_job *job = container_of(post, struct read_job, post);
    struct aof_load *load = job->owner;
    if (load == NULL) {
        job_free(job);
        return;
    }
    load->is_reading = false;
    load->has_block = true;
}

static void submit(struct aof_load *load)
{
    load->is_reading = true;
    if (load->exec->workers)
        worker_submit(load->exec->workers, run_job, load->job);
    else
        run_job(load->job);
}

static const struct aof_file *file_of(const struct aof_load *load)
{
    return &load->manifest->files[load->index];
}

static void path_of(const struct aof_load *load, char *ret_path)
{
    snprintf(ret_path, FILE_PATH_MAX, "%s/%s", load->exec->config->appenddirname, file_of(load)->name);
}

static void begin_reading(struct aof_load *load, uint64_t offset)
{
    struct read_job *job = load->job;
    path_of(load, job->path);
    job->offset = offset;
    job->cuts = false;
    load->begin = offset;
    load->is_at_end = load->has_block = false;
    load->is_zeros = false;
    load->zeros_from = load->used = 0;
    buf_clear(&load->bytes);
    submit(load);
}

/* ---- The end -------------------------------------------------------------------------------------- */

static bool end(struct aof_load *load, enum status status, const char *error)
{
    load->state = ENDED;
    load_show_end(&load->show, load->exec);
    load->ended(load->context, status, &load->report, error);
    exec_set_hindrance(load->exec, EXEC_LOADING, false);
    return false;
}

static bool fail(struct aof_load *load, const char *format, ...) PRINTF_LIKE(2, 3);
static bool fail(struct aof_load *load, const char *format, ...)
{
    char text[512], line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "%s/%s: %s", load->exec->config->appenddirname,
             load->index < load->manifest->count ? file_of(load)->name : "", text);
    return end(load, ST_INVALID, line);
}

/* ---- Files ---------------------------------------------------------------------------------------- */

static void forget_apply(struct aof_load *load)
{
    struct apply_report report;
    if (!load->apply)
        return;
    apply_report(load->apply, &report);
    load->report.requests += report.requests;
    load->report.errors += report.errors;
    if (report.errors > 0)
        log_write(load->exec->log, LOG_WARNING,
                  "%" PRIu64 " requests in %s were answered with an error; the first one, at offset %" PRIu64
                  ": %s",
                  report.errors, file_of(load)->name, load->begin + report.error_offset,
                  apply_error(load->apply));
    apply_free(load->apply);
    load->apply = NULL;
}

/* The next file that is not history. */
static bool next_file(struct aof_load *load)
{
    while (load->index < load->manifest->count && file_of(load)->type == AOF_FILE_HISTORY)
        load->index++;
    if (load->index == load->manifest->count)
        return end(load, ST_OK, "");
    load->state = LOOKING;
    load_show_end(&load->show, load->exec);
    load_show_begin(&load->show, load->exec, file_of(load)->name);
    begin_reading(load, 0);
    return false;
}

/* The file has `size` bytes that count. */
static bool file_done(struct aof_load *load, uint64_t size)
{
    forget_apply(load);
    close_job(load->job);
    load->done_size += size;
    load->report.other_size += load->report.last_size;
    load->report.last_size = size;
    load->index++;
    return next_file(load);
}

/* ---- Snapshots ------------------------------------------------------------------------------------ */

static void begin_commands(struct aof_load *load)
{
    const struct apply_options options = {.skip_annotations = true};
    load->state = COMMANDS;
    load->apply = apply_new(load->exec, &options);
}

static void snapshot_loaded(void *context, enum status status, const struct load_report *report,
                            const char *error)
{
    struct aof_load *load = context;
    if (status != ST_OK) {
        fail(load, "%s", error);
        return;
    }
    load->report.keys = report->keys;
    begin_reading(load, report->bytes);
    begin_commands(load);
}

/* Whether a base is a snapshot, of Redis's format or Valkey's. */
static bool begins_snapshot(struct slice bytes)
{
    const struct slice heads[] = {SLICE("REDIS"), SLICE("VALKEY")};
    for (size_t i = 0; i < ARRAY_COUNT(heads); i++)
        if (bytes.size >= heads[i].size && memcmp(bytes.data, heads[i].data, heads[i].size) == 0)
            return true;
    return false;
}

/* The first block of a file has come. */
static bool look(struct aof_load *load)
{
    struct read_job *job = load->job;
    if (job->status != ST_OK)
        return fail(load, "%s", job->status == ST_NOT_FOUND ? strerror(ENOENT) : strerror(job->error));
    if (file_of(load)->type != AOF_FILE_BASE || !begins_snapshot(slice_make(job->data, job->size))) {
        begin_commands(load);
        return true;
    }
    const struct load_options options = {.keep_expired = true};
    char path[FILE_PATH_MAX];
    path_of(load, path);
    load->state = SNAPSHOT;
    load->has_block = false;
    close_job(job);
    load_file_begin(load->exec, load->exec->files, path, &options, snapshot_loaded, load);
    return true;
}

/* ---- Commands ------------------------------------------------------------------------------------- */

/* Where the next request begins in the file. */
static uint64_t offset_of(const struct aof_load *load)
{
    struct apply_report report;
    apply_report(load->apply, &report);
    return load->begin + report.consumed;
}

/* I3: what has not been applied is at most the beginning of a request, and then zeros. Once that has been found, only what
 * has come since is looked at. */
static bool is_zeroed(struct aof_load *load)
{
    const char *begin = load->bytes.data + load->used, *end = load->bytes.data + load->bytes.size;
    const char *zeros = end;
    while (zeros > begin + load->zeros_from && zeros[-1] == 0)
        zeros--;
    if (load->is_zeros)
        return zeros == begin + load->zeros_from;
    if (zeros == end)
        return false;
    struct parser parser;
    struct parser_limits limits = {(int64_t)1 << 40, INT32_MAX, true};
    size_t size;
    const char *error;
    parser_init(&parser);
    load->zeros_from = (size_t)(zeros - begin);
    load->is_zeros = zeros == begin ||
                     (*begin == '*' && parser_next(&parser, load->bytes.data + load->used, load->zeros_from,
                                                   &limits, &size, &error) == PARSER_NEED_MORE);
    parser_done(&parser);
    return load->is_zeros;
}

static bool corrupt(struct aof_load *load)
{
    struct apply_report report;
    apply_report(load->apply, &report);
    bool is_fault = apply_fault(load->apply)[0] != 0; /* else zeros, and something behind them */
    return fail(load,
                "offset %" PRIu64
                ": %s. Nothing was changed on the disk: make a copy of the directory, then look at it "
                "with `skua-check %s/%s.manifest`, which can also cut it off (--repair)",
                is_fault ? load->begin + report.fault_offset : offset_of(load),
                is_fault ? apply_fault(load->apply) : "no request begins here",
                load->exec->config->appenddirname, load->exec->config->appendfilename);
}

/* The file ends in the middle of something. */
static bool torn(struct aof_load *load)
{
    struct apply_report report;
    struct exec *exec = load->exec;
    apply_report(load->apply, &report);
    uint64_t good = load->begin + report.applied;
    uint64_t size = load->begin + report.consumed + (load->bytes.size - load->used);
    const char *what = load->is_zeros          ? "zeros that a crash left"
                       : report.in_transaction ? "a transaction without its EXEC"
                                               : "a part of a request";
    if (load->index < load->last_index)
        return fail(load, "it ends at offset %" PRIu64 " in %s, though other files follow it", good, what);
    if (!exec->config->aof_load_truncated)
        return fail(load,
                    "it ends at offset %" PRIu64 " in %s, of which it has %" PRIu64
                    " bytes, and aof-load-truncated is no",
                    good, what, size - good);
    log_write(exec->log, LOG_WARNING,
              "%s ends in %s: %" PRIu64 " bytes from offset %" PRIu64
              " on are cut off (aof-load-truncated); whatever came "
              "before them is loaded",
              file_of(load)->name, what, size - good, good);
    load->report.cut = size - good;
    load->state = CUTTING;
    load->job->cuts = true;
    load->job->cut_at = good;
    submit(load);
    return false;
}

static bool file_ended(struct aof_load *load)
{
    struct apply_report report;
    apply_report(load->apply, &report);
    if (load->used < load->bytes.size || report.in_transaction)
        return torn(load);
    return file_done(load, load->begin + report.consumed);
}

/* Takes the block that has come behind the bytes that are left. */
static bool take_block(struct aof_load *load)
{
    struct read_job *job = load->job;
    load->has_block = false;
    if (job->status != ST_OK)
        return fail(load, "%s", strerror(job->error));
    if (load->used > 0) {
        memmove(load->bytes.data, load->bytes.data + load->used, load->bytes.size - load->used);
        load->bytes.size -= load->used;
        load->used = 0;
    }
    if (!buf_try_reserve(&load->bytes, job->size))
        return fail(load, "offset %" PRIu64 ": no memory for this request", offset_of(load));
    buf_append(&load->bytes, job->data, job->size);
    load->is_at_end = job->size < BLOCK_SIZE;
    if (!load->is_at_end)
        submit(load);
    return true;
}

static bool apply_some(struct aof_load *load)
{
    size_t used = 0;
    struct apply_report report;
    enum status status = ST_OK;
    if (!load->is_zeros && load->used < load->bytes.size)
        status = apply_feed(load->apply, load->bytes.data + load->used, load->bytes.size - load->used,
                            STEP_NS, &used);
    load->used += used;
    apply_report(load->apply, &report);
    if (report.unknown > 0)
        return corrupt(load);
    if (status == ST_AGAIN)
        return true;
    if ((status == ST_INVALID || load->is_zeros) && !is_zeroed(load))
        return corrupt(load);
    if (load->is_at_end)
        return file_ended(load);
    return load->has_block;
}

static bool step_commands(struct aof_load *load)
{
    if (load->has_block && load->state == COMMANDS && !take_block(load))
        return false;
    if (load->is_reading && load->used == load->bytes.size && !load->is_at_end)
        return false;
    return apply_some(load);
}

/* ---- Life ----------------------------------------------------------------------------------------- */

struct aof_load *aof_load_new(struct exec *exec, const struct aof_manifest *manifest,
                              const struct aof_load_sizes *sizes, aof_load_ended_fn ended, void *context)
{
    struct aof_load *load = mem_calloc(1, sizeof *load);
    struct read_job *job = mem_calloc(1, sizeof *job);
    job->post.run = job_done;
    job->exec = exec;
    job->owner = load;
    job->files = exec->files;
    job->data = mem_alloc(BLOCK_SIZE);
    load->exec = exec;
    load->manifest = manifest;
    load->ended = ended;
    load->context = context;
    load->job = job;
    load->total_size = sizes->total;
    load->last_index = sizes->last_index;
    load->began_ms = exec->now_ms;
    load->began_ns = clock_monotonic_ns(exec->clock);
    exec_set_hindrance(exec, EXEC_LOADING, true);
    next_file(load);
    return load;
}

bool aof_load_step(struct aof_load *load)
{
    if (load->state == ENDED)
        return false;
    exec_set_hindrance(load->exec, EXEC_LOADING, true); /* I1: the snapshot's loading takes it down */
    load_show(&load->show, load->exec);
    switch (load->state) {
    case LOOKING: return load->has_block && look(load);
    case COMMANDS: return step_commands(load);
    case CUTTING:
        if (!load->has_block)
            return false;
        if (load->job->status != ST_OK)
            return fail(load, "it cannot be cut off: %s", strerror(load->job->error));
        load->has_block = false;
        return file_done(load, load->job->cut_at);
    case SNAPSHOT:
    case ENDED: break;
    }
    return false;
}

void aof_load_free(struct aof_load *load)
{
    if (load == NULL)
        return;
    if (load->is_reading)
        load->job->owner = NULL;
    else
        job_free(load->job);
    apply_free(load->apply);
    buf_done(&load->bytes);
    mem_free(load);
}

void aof_load_progress(const struct aof_load *load, struct load_progress *ret_progress)
{
    struct apply_report report = {0};
    if (load->apply)
        apply_report(load->apply, &report);
    uint64_t loaded = load->done_size + (load->apply ? load->begin + report.consumed : 0);
    *ret_progress = (struct load_progress){
        .is_loading = load->state != ENDED,
        .began_ms = load->began_ms,
        .bytes_total = load->total_size,
        .bytes_loaded = loaded < load->total_size ? loaded : load->total_size,
    };
    uint64_t elapsed_ns = clock_monotonic_ns(load->exec->clock) - load->began_ns;
    if (loaded > 0 && load->total_size > loaded)
        ret_progress->eta_seconds =
            (uint64_t)((double)elapsed_ns / 1e9 * (double)(load->total_size - loaded) / (double)loaded);
}
