/* The queue between MULTI and EXEC. Rules in transaction.h. Threads: executor only. */
#include "exec/transaction.h"

#include "base/alloc.h"
#include "base/mutant.h"
#include "exec/call.h"
#include "exec/error_stats.h"
#include "exec/permit.h"
#include "exec/tracking.h"
#include "exec/watch.h"

void transaction_begin(struct client *client)
{
    client->transaction = mem_calloc(1, sizeof *client->transaction);
    client->transaction->flags_all = ~(uint32_t)0;
    client->flags |= CLIENT_IN_TRANSACTION;
}

/* Copies the arguments into one block: slices first, bytes behind them. NULL when memory is refused. */
static struct slice *copy_arguments(const struct slice *argv, uint32_t argc, size_t *ret_size)
{
    size_t size = argc * sizeof *argv;
    for (uint32_t i = 0; i < argc; i++)
        size += argv[i].size;
    struct slice *copy = mem_try_alloc(size);
    if (!copy)
        return NULL;
    char *bytes = (char *)(copy + argc);
    for (uint32_t i = 0; i < argc; i++) {
        memcpy(bytes, argv[i].data, argv[i].size);
        copy[i] = slice_make(bytes, argv[i].size);
        bytes += argv[i].size;
    }
    *ret_size = size;
    return copy;
}

enum status transaction_queue(struct client *client, const struct command *command, const struct slice *argv,
                              uint32_t argc)
{
    struct transaction *transaction = client->transaction;
    if (client->flags & (CLIENT_DIRTY_CAS | CLIENT_DIRTY_EXEC))
        return ST_OK; /* EXEC will fail: what for keep it */
    if (transaction->count >= TRANSACTION_COMMANDS_MAX && !(client->flags & CLIENT_PRIMARY))
        return ST_LIMIT;
    if (transaction->count == transaction->capacity) {
        if (transaction->capacity > UINT32_MAX / 2)
            return ST_LIMIT;
        uint32_t capacity = transaction->capacity ? transaction->capacity * 2 : 8;
        struct queued_command *commands =
            mem_try_realloc(transaction->commands, capacity * sizeof *transaction->commands);
        if (!commands)
            return ST_NOMEM;
        transaction->commands = commands;
        transaction->capacity = capacity;
    }
    size_t size;
    struct slice *copy = copy_arguments(argv, argc, &size);
    if (!copy)
        return ST_NOMEM;
    transaction->commands[transaction->count++] = (struct queued_command){command, argc, copy};
    transaction->memory += size + sizeof *transaction->commands;
    transaction->flags_any |= command->flags;
    transaction->flags_all &= command->flags;
    return ST_OK;
}

/* Rights may have been taken since the command was queued, also by one before it. */
static bool is_still_permitted(struct call *call)
{
    uint32_t errors = call->out->error_count;
    bool permitted = permit_or_answer(call->client, call->command, call->argv, call->argc, PERMIT_QUEUED);
    if (!permitted) {
        call->exec->command_stats[call->command->id].rejected++;
        error_stats_count(call->exec, call->out->error_code, 1);
        call->out->error_count = errors; /* counted: EXEC does not count it again */
    }
    return permitted;
}

/* Runs one queued command with the client's state as the commands before it have left it. */
static void execute_queued(struct call *exec_call_, const struct queued_command *queued)
{
    struct client *client = exec_call_->client;
    struct call call = {
        .exec = exec_call_->exec,
        .client = client,
        .command = queued->command,
        .argv = queued->argv,
        .argc = queued->argc,
        .db = client->db,
        .out = &client->out,
    };
    if (unlikely(client->flags & CLIENT_RESTRICTED) && !is_still_permitted(&call))
        return;
    exec_call(&call);
    if (unlikely(client->flags & CLIENT_TRACKING))
        tracking_note_read(client, call.command, call.argv, call.argc);
}

void transaction_execute(struct call *call)
{
    struct client *client = call->client;
    struct transaction *transaction = client->transaction;
    /* Detached first: a queued RESET or DISCARD-like command must not free what is being walked. */
    client->transaction = NULL;
    client->flags &= ~CLIENT_IN_TRANSACTION;
    watch_remove_all(call->exec->watch, client);
    client->flags &= ~(CLIENT_DIRTY_CAS | CLIENT_DIRTY_EXEC);

    bool writes = transaction->flags_any & CMD_WRITE;
    client->flags |= CLIENT_EXECUTING;
    reply_array(call->out, transaction->count);
    if (writes)
        keyspace_begin_steps(call->exec->keyspace);
    propagate_begin_transaction(call->exec);
    for (uint32_t i = 0; i < transaction->count; i++) {
        execute_queued(call, &transaction->commands[i]);
        MUTANT_PAUSE(STEPS_NOT_MARKED);
        MUTANT_PAUSE(STEPS_NOT_LOOKED_AT);
    }
    propagate_end_transaction(call->exec);
    if (writes)
        keyspace_end_steps(call->exec->keyspace);
    client->flags &= ~CLIENT_EXECUTING;

    client->transaction = transaction;
    transaction_discard(client);
}

void transaction_discard(struct client *client)
{
    struct transaction *transaction = client->transaction;
    watch_remove_all(client->exec->watch, client);
    client->flags &= ~(CLIENT_IN_TRANSACTION | CLIENT_DIRTY_CAS | CLIENT_DIRTY_EXEC);
    client->transaction = NULL;
    if (!transaction)
        return;
    for (uint32_t i = 0; i < transaction->count; i++)
        mem_free(transaction->commands[i].argv);
    mem_free(transaction->commands);
    mem_free(transaction);
}
