/* CONFIG GET SET REWRITE RESETSTAT. Executor only, except the part of REWRITE that a worker does.
 *
 * REWRITE: the executor plans what has to be in the file (config_rewrite_new), blocks the client, and gives the job to a
 * worker; the worker reads and writes the file and posts the job back; the executor answers. */
#include "config/config.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/worker.h"
#include "exec/call.h"
#include "exec/post.h"
#include "gen/args.h"
#include "observe/metrics.h"
#include "observe/observe.h"

/* ---- GET, SET, RESETSTAT -------------------------------------------------------------------------- */

static void reply_option(void *context, const char *name, struct slice value)
{
    struct reply *out = context;
    reply_bulk_string(out, name);
    reply_bulk(out, value);
}

void cmd_config_get(struct call *call, const struct args_config_get *args)
{
    struct reply_open open = reply_open(call->out);
    uint32_t found =
        config_visit(call->exec->config, args->parameter, args->parameter_count, reply_option, call->out);
    reply_close(call->out, open, REPLY_MAP, found);
}

void cmd_config_set(struct call *call, const struct args_config_set *args)
{
    struct buf error = {0};
    if (config_set(call->exec->config, args->data, args->data_count, &error) == ST_OK)
        reply_ok(call->out);
    else
        reply_error(call->out, "%s", buf_string(&error));
    buf_done(&error);
}

void cmd_config_resetstat(struct call *call, const struct args_config_resetstat *args)
{
    metrics_reset(observe_of(call->exec)->metrics);
    reply_ok(call->out);
}

/* ---- REWRITE -------------------------------------------------------------------------------------- */

struct rewrite_job {
    struct exec_post post; /* first: the job's way back */
    struct exec *exec;
    uint64_t client_id; /* 0: nobody waits for it */
    struct config_rewrite *rewrite;
    enum status status;
    struct buf error;
};

static void reply_rewritten(struct reply *out, const struct rewrite_job *job)
{
    if (job->status == ST_OK)
        reply_ok(out);
    else
        reply_error(out, "ERR Rewriting config file: %.*s", (int)job->error.size, job->error.data);
}

static void free_job(struct rewrite_job *job)
{
    config_rewrite_free(job->rewrite);
    buf_done(&job->error);
    mem_free(job);
}

/* The client waits no more. When the job has ended, its reply has been written already. */
static void end_waiting(struct client *client, enum block_end_reason reason)
{
    struct reply *out = reason == BLOCK_END_SERVED || reason == BLOCK_END_GONE ? NULL : client_push(client);
    if (out != NULL)
        reply_error(out, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
}

static void answer(struct exec *exec, struct exec_post *post)
{
    struct rewrite_job *job = (struct rewrite_job *)post;
    struct client *client = client_lookup(exec, job->client_id);
    bool waits = client != NULL && client->flags & CLIENT_BLOCKED && client->block_end == end_waiting;
    struct reply *out = waits ? client_push(client) : NULL;
    if (out != NULL)
        reply_rewritten(out, job);
    if (waits)
        client_unblock(client, BLOCK_END_SERVED);
    if (job->client_id == 0 && job->status != ST_OK)
        log_write(exec->log, LOG_WARNING, "CONFIG REWRITE of a transaction has failed: %s",
                  buf_string(&job->error));
    free_job(job);
}

/* On a worker. */
static void write_file(void *argument)
{
    struct rewrite_job *job = argument;
    job->status = config_rewrite_run(job->rewrite, &job->error);
    exec_post(job->exec, &job->post);
}

void cmd_config_rewrite(struct call *call, const struct args_config_rewrite *args)
{
    struct config_rewrite *rewrite = config_rewrite_new(call->exec->config);
    if (rewrite == NULL) {
        reply_error(call->out, "ERR The server is running without a config file");
        return;
    }
    struct rewrite_job *job = mem_calloc(1, sizeof *job);
    job->post.run = answer;
    job->exec = call->exec;
    job->rewrite = rewrite;
    if (call->client->flags & CLIENT_EXECUTING) {
        reply_ok(call->out); /* a transaction waits for nothing (Sentinel sends one) */
    } else {
        job->client_id = call->client->id;
        client_block(call->client, 0, end_waiting);
    }
    worker_submit(call->exec->workers, write_file, job);
}
