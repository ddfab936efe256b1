/* ACL LOAD and SAVE: the aclfile. Executor only, except the part that a worker does.
 *
 * As CONFIG REWRITE: the client is blocked, a worker reads or writes the file and posts the job back, the executor does the rest.
 * Principal entry points: cmd_acl_load, cmd_acl_save.
 *
 * J1  exec->acl_jobs are in the order of their commands; the first one is under way, the others wait for it. So what is read and
 *     written last is what was asked for last. */
#include <errno.h>
#include <string.h>

#include "acl/file.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/call.h"
#include "exec/permit.h"
#include "exec/post.h"
#include "gen/args.h"

struct acl_job {
    struct exec_post post;    /* first: the job's way back */
    struct list_node in_jobs; /* J1 */
    struct exec *exec;
    uint64_t client_id; /* 0: nobody waits for it */
    bool loads;
    char *path;
    struct buf text; /* of the file */
    enum status status;
    int reason; /* errno */
};

static void free_job(struct acl_job *job)
{
    list_remove(&job->in_jobs);
    buf_done(&job->text);
    mem_free(job->path);
    mem_free(job);
}

/* ---- On a worker ---------------------------------------------------------------------------------- */

static void run_job(void *argument)
{
    struct acl_job *job = argument;
    const struct file_system *files = job->exec->files;
    if (job->loads) {
        job->status = file_read_whole(files, job->path, ACL_FILE_SIZE_MAX, &job->text);
    } else {
        struct buf temporary = {0};
        buf_printf(&temporary, "%s.tmp", job->path);
        job->status = file_replace(files, job->path, buf_string(&temporary), buf_slice(&job->text));
        buf_done(&temporary);
    }
    job->reason = job->status == ST_NOT_FOUND ? ENOENT : job->status == ST_LIMIT ? EFBIG : errno;
    exec_post(job->exec, &job->post);
}

/* ---- On the executor ------------------------------------------------------------------------------- */

/* What is wrong with the file; nothing when it has been read. */
static void read_users(const struct acl_job *job, struct acl_user_set *ret_set, struct buf *ret_error)
{
    struct buf mistakes = {0};
    if (job->status != ST_OK) {
        buf_printf(ret_error, "ERR Error loading ACLs, opening file '%s': %s", job->path,
                   strerror(job->reason));
    } else if (!acl_file_parse(&job->exec->acl->terms, job->path, buf_slice(&job->text), ret_set,
                               &mistakes)) {
        buf_append_string(ret_error, "ERR ");
        buf_append_slice(ret_error, buf_slice(&mistakes));
    }
    buf_done(&mistakes);
}

static void finish_save(const struct acl_job *job, struct buf *ret_error)
{
    if (job->status == ST_OK)
        return;
    log_write(job->exec->log, LOG_WARNING, "ACL SAVE: '%s' cannot be written: %s", job->path,
              strerror(job->reason));
    buf_append_string(ret_error,
                      "ERR There was an error trying to save the ACLs. Please check the server logs "
                      "for more information");
}

/* The client waits no more. When the job has ended, its reply has been written already. */
static void end_waiting(struct client *client, enum block_end_reason reason)
{
    struct reply *out = reason == BLOCK_END_SERVED || reason == BLOCK_END_GONE ? NULL : client_push(client);
    if (out != NULL)
        reply_error(out, CLIENT_UNBLOCKED_ERROR);
}

static void answer(struct client *client, struct buf *error)
{
    struct reply *out = client_push(client);
    if (out != NULL && error->size > 0)
        reply_error(out, "%s", buf_string(error));
    else if (out != NULL)
        reply_ok(out);
    client_unblock(client, BLOCK_END_SERVED);
}

static void begin_first(struct exec *exec)
{
    struct acl_job *job = list_entry(exec->acl_jobs.next, struct acl_job, in_jobs);
    worker_submit(exec->workers, run_job, job);
}

/* At the end of the server there are no workers any more. */
static void go_on(struct exec *exec)
{
    while (exec->workers == NULL && !list_is_empty(&exec->acl_jobs))
        free_job(list_entry(exec->acl_jobs.next, struct acl_job, in_jobs));
    if (!list_is_empty(&exec->acl_jobs))
        begin_first(exec);
}

static void job_ended(struct exec *exec, struct exec_post *post)
{
    struct acl_job *job = (struct acl_job *)post;
    struct client *client = client_lookup(exec, job->client_id);
    bool waits = client != NULL && client->flags & CLIENT_BLOCKED && client->block_end == end_waiting;
    struct acl_user_set set = {0};
    struct buf error = {0};
    if (job->loads)
        read_users(job, &set, &error);
    else
        finish_save(job, &error);
    /* Before its user may turn out to be gone: the connection is closed behind the answer then. */
    if (waits)
        answer(client, &error);
    if (job->loads && error.size == 0) {
        exec->executing = waits ? client : NULL;
        acl_replace_all(exec->acl, &set);
        permit_users_changed(exec, NULL);
        exec->executing = NULL;
    }
    acl_set_done(&set);
    buf_done(&error);
    free_job(job);
    go_on(exec);
}

/* NULL after having answered with an error. */
static struct acl_job *job_new(struct call *call, bool loads)
{
    const char *path = call->exec->config->aclfile;
    if (path[0] == '\0') {
        reply_error(
            call->out,
            "ERR This Redis instance is not configured to use an ACL file. You may want to specify users "
            "via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis "
            "configuration file set) in order to store users in the Redis configuration.");
        return NULL;
    }
    struct acl_job *job = mem_calloc(1, sizeof *job);
    job->post.run = job_ended;
    job->exec = call->exec;
    job->loads = loads;
    job->path = mem_strdup(path);
    return job;
}

static void submit(struct call *call, struct acl_job *job)
{
    struct exec *exec = call->exec;
    bool is_first = list_is_empty(&exec->acl_jobs);
    list_append(&exec->acl_jobs, &job->in_jobs);
    if (call->client->flags & CLIENT_EXECUTING) {
        reply_ok(call->out); /* a transaction waits for nothing */
    } else {
        job->client_id = call->client->id;
        client_block(call->client, 0, end_waiting);
    }
    if (is_first)
        begin_first(exec);
}

void cmd_acl_load(struct call *call, const struct args_acl_load *args)
{
    if (call->client->flags & CLIENT_EXECUTING) {
        reply_error(call->out, "ERR ACL LOAD is not possible inside a transaction");
        return;
    }
    struct acl_job *job = job_new(call, true);
    if (job != NULL)
        submit(call, job);
}

void cmd_acl_save(struct call *call, const struct args_acl_save *args)
{
    struct acl_job *job = job_new(call, false);
    if (job == NULL)
        return;
    acl_file_format(&call->exec->acl->set, &job->text);
    submit(call, job);
}
