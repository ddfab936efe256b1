/* CONFIG GET SET REWRITE RESETSTAT. Executor only, except the part of REWRITE that a worker does.
 *
 * REWRITE: the executor plans what has to be in the file (config_rewrite_new), blocks the client, and gives the job to a
 * worker; the worker reads and writes the file and posts the job back; the executor answers. */
#include "config/config.h"

#include "acl/acl.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/worker.h"
#include "config/words.h"
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

static bool may_set_protected(const struct call *call)
{
    switch ((enum config_enable_protected_configs)call->exec->config->enable_protected_configs) {
    case CONFIG_ENABLE_PROTECTED_CONFIGS_YES: return true;
    case CONFIG_ENABLE_PROTECTED_CONFIGS_LOCAL: return client_is_local(call->client);
    case CONFIG_ENABLE_PROTECTED_CONFIGS_NO: return false;
    }
    return false;
}

void cmd_config_set(struct call *call, const struct args_config_set *args)
{
    struct buf error = {0};
    if (config_set(call->exec->config, args->data, args->data_count, may_set_protected(call), &error) ==
        ST_OK)
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

/* ---- REWRITE: users ------------------------------------------------------------------------------- */

/* Whether `requirepass` says all that there is to say of `default`. */
static bool is_as_configured(const struct exec *exec, const struct acl_user *user)
{
    struct acl *fresh = acl_new(exec->acl->terms.catalog);
    struct buf texts[2] = {0};
    acl_set_default_password(fresh, slice_from_string(exec->config->requirepass));
    acl_user_describe(fresh->strangers, &texts[0]);
    acl_user_describe(user, &texts[1]);
    bool same = slice_equal(buf_slice(&texts[0]), buf_slice(&texts[1]));
    buf_done(&texts[0]);
    buf_done(&texts[1]);
    acl_free(fresh);
    return same;
}

/* False: it has more rules than a line may have words. */
static bool plan_user(struct config_rewrite *rewrite, const struct acl_user *user)
{
    struct buf text = {0};
    struct config_words words;
    acl_user_describe(user, &text);
    bool fits = config_words_split_plain(buf_slice(&text), &words) == ST_OK && words.count < CONFIG_WORDS_MAX;
    if (fits)
        config_rewrite_add_user(rewrite, words.items, words.count);
    config_words_done(&words);
    buf_done(&text);
    return fits;
}

/* With an aclfile users stand there. NULL, or who cannot be written. */
static const struct acl_user *plan_users(const struct exec *exec, struct config_rewrite *rewrite)
{
    const struct acl_user_set *set = &exec->acl->set;
    if (exec->config->aclfile[0] != '\0')
        return NULL;
    config_rewrite_replace_users(rewrite);
    for (uint32_t i = 0; i < set->count; i++) {
        const struct acl_user *user = set->users[i];
        if ((user != exec->acl->strangers || !is_as_configured(exec, user)) && !plan_user(rewrite, user))
            return user;
    }
    return NULL;
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
    const struct acl_user *user = plan_users(call->exec, rewrite);
    if (user != NULL) {
        reply_error(call->out,
                    "ERR Rewriting config file: user '%s' has too many rules for a line; use an aclfile",
                    user->name);
        config_rewrite_free(rewrite);
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
