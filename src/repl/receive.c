/* A snapshot on its way into a file. Rules in receive.h. Threads: said at each function. */
#include "repl/receive.h"

#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/worker.h"
#include "exec/exec.h"
#include "exec/post.h"

struct receive {
    struct exec *exec;
    const struct file_system *files;
    char path[FILE_PATH_MAX];
    receive_written_fn written;
    void *context;
    struct buf filling; /* executor */
    bool wants_finish;
    bool is_busy;  /* a job is under way */
    bool is_ended; /* receive_end */
    struct exec_post post;
    /* The job's, while it is under way. */
    struct buf writing;
    struct file file;
    bool is_open;
    bool finishes, removes;
    enum status status;
    int error;
};

/* ---- A worker ------------------------------------------------------------------------------------- */

static enum status write_piece(struct receive *receive)
{
    enum status status = ST_OK;
    if (!receive->is_open) {
        status = file_open(receive->files, receive->path, FILE_CREATE, &receive->file);
        receive->is_open = status == ST_OK;
    }
    if (status == ST_OK && receive->writing.size > 0)
        status = file_write_all(&receive->file, receive->writing.data, receive->writing.size);
    if (status == ST_OK && receive->finishes)
        status = file_sync(&receive->file);
    return status;
}

static void receive_work(void *argument)
{
    struct receive *receive = argument;
    if (!receive->removes && receive->status == ST_OK) {
        receive->status = write_piece(receive);
        receive->error = receive->status == ST_OK ? 0 : errno;
    }
    bool is_last = receive->removes || receive->finishes || receive->status != ST_OK;
    if (is_last && receive->is_open) {
        file_close(&receive->file);
        receive->is_open = false;
    }
    if (receive->removes)
        (void)file_unlink(receive->files, receive->path); /* it may never have been made */
    exec_post(receive->exec, &receive->post);
}

/* ---- Executor ------------------------------------------------------------------------------------- */

static void start(struct receive *receive)
{
    struct buf empty = receive->writing;
    buf_clear(&empty);
    receive->writing = receive->filling;
    receive->filling = empty;
    receive->finishes = receive->wants_finish;
    receive->removes = receive->is_ended;
    receive->is_busy = true;
    if (receive->exec->workers)
        worker_submit(receive->exec->workers, receive_work, receive);
    else
        receive_work(receive);
}

static void job_ended(struct exec *exec, struct exec_post *post)
{
    struct receive *receive = container_of(post, struct receive, post);
    receive->is_busy = false;
    if (receive->is_ended && receive->removes) {
        buf_done(&receive->filling);
        buf_done(&receive->writing);
        mem_free(receive);
        return;
    }
    if (receive->is_ended) {
        start(receive);
        return;
    }
    uint64_t bytes = receive->writing.size;
    bool is_finished = receive->finishes;
    enum status status = receive->status;
    int error = receive->error; /* the next job has them from its start */
    if (status == ST_OK && (receive->filling.size > 0 || receive->wants_finish != is_finished))
        start(receive);
    receive->written(receive->context, status, error, bytes, is_finished);
}

struct receive *receive_begin(struct exec *exec, const struct file_system *files, const char *path,
                              receive_written_fn written, void *context)
{
    struct receive *receive = mem_calloc(1, sizeof *receive);
    receive->exec = exec;
    receive->files = files;
    receive->written = written;
    receive->context = context;
    receive->post.run = job_ended;
    snprintf(receive->path, sizeof receive->path, "%s", path);
    return receive;
}

void receive_write(struct receive *receive, struct slice bytes)
{
    buf_append_slice(&receive->filling, bytes);
    if (!receive->is_busy && receive->status == ST_OK)
        start(receive);
}

void receive_finish(struct receive *receive)
{
    receive->wants_finish = true;
    if (!receive->is_busy && receive->status == ST_OK)
        start(receive);
}

const char *receive_path(const struct receive *receive)
{
    return receive->path;
}

void receive_end(struct receive *receive)
{
    receive->is_ended = true;
    if (!receive->is_busy)
        start(receive);
}
