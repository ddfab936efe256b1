/* The checks before a request is executed. Contract in admit.h. Threads: executor only. */
#include "exec/admit.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/log.h"
#include "config/config.h"
#include "exec/permit.h"
#include "exec/role_change.h"
#include "exec/transaction.h"

#define SHOWN_COMMAND_MAX 128 /* bytes of an unknown command's name, and of all its arguments, in the error */

/* ---- Refusals ------------------------------------------------------------------------------------- */

/* An error before execution: also spoils an open transaction. */
static void refuse(struct client *client, const struct command *command, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void refuse(struct client *client, const struct command *command, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (client->flags & CLIENT_IN_TRANSACTION)
        client->flags |= CLIENT_DIRTY_EXEC;
    if (command)
        client->exec->command_stats[command->id].rejected++;
    if (unlikely(command && strcmp(command->full_name, "exec") == 0)) {
        /* The transaction can never run any more: it ends, and the reason is told without a code that says nothing. */
        const char *reason = strncmp(text, "ERR ", 4) == 0 ? text + 4 : text;
        reply_error(&client->out, "EXECABORT Transaction discarded because of: %s", reason);
        transaction_discard(client);
        return;
    }
    reply_error(&client->out, "%s", text);
}

static int shown_size(struct slice slice, size_t size_max)
{
    return (int)(slice.size < size_max ? slice.size : size_max);
}

/* The first words of requests that browsers can be made to send to any port: nothing that follows is run. */
static bool is_http(struct slice name)
{
    return slice_equal_nocase(name, "post") || slice_equal_nocase(name, "host:");
}

static void refuse_unknown(struct client *client, const struct request *request)
{
    const struct slice *argv = request->argv;
    if (is_http(argv[0])) {
        log_write(client->exec->log, LOG_WARNING,
                  "client id=%llu addr=%s speaks HTTP: its connection is closed",
                  (unsigned long long)client->id, client->shared->peer);
        client_close(client, CLOSE_NOW);
        return;
    }
    struct buf shown = {0};
    for (uint32_t i = 1; i < request->argc && shown.size < SHOWN_COMMAND_MAX; i++)
        buf_printf(&shown, "'%.*s' ", shown_size(argv[i], SHOWN_COMMAND_MAX - shown.size), argv[i].data);
    refuse(client, NULL, "ERR unknown command '%.*s', with args beginning with: %s",
           shown_size(argv[0], SHOWN_COMMAND_MAX), argv[0].data, buf_string(&shown));
    buf_done(&shown);
}

static void refuse_unknown_subcommand(struct client *client, const struct request *request)
{
    char container[32];
    size_t size = 0;
    for (const char *c = request->command->name; *c && size < sizeof container - 1; c++)
        container[size++] = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    container[size] = 0;
    refuse(client, request->command, "ERR unknown subcommand '%.*s'. Try %s HELP.",
           shown_size(request->argv[1], SHOWN_COMMAND_MAX), request->argv[1].data, container);
}

/* ---- Checks --------------------------------------------------------------------------------------- */

bool admit_well_formed_slow(struct client *client, const struct request *request)
{
    const struct command *command = request->command;
    if (unlikely(!command)) {
        refuse_unknown(client, request);
        return false;
    }
    if (unlikely(command->flags & CMD_CONTAINER && request->argc > 1)) {
        refuse_unknown_subcommand(client, request);
        return false;
    }
    if (unlikely(request->argc < command->args_min || request->argc > command->args_max || !command->run)) {
        refuse(client, command, "ERR wrong number of arguments for '%s' command", command->full_name);
        return false;
    }
    return true;
}

static bool is_allowed_in_subscriber_mode(const struct command *command)
{
    static const char *const names[] = {"ping",         "subscribe",    "unsubscribe",
                                        "psubscribe",   "punsubscribe", "ssubscribe",
                                        "sunsubscribe", "quit",         "reset"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(command->full_name, names[i]) == 0)
            return true;
    return false;
}

/* What the command does; of EXEC what the transaction does, too. */
static unsigned flags_of(const struct client *client, const struct command *command)
{
    const struct transaction *transaction = client->transaction;
    if (likely(transaction == NULL) || strcmp(command->full_name, "exec") != 0)
        return command->flags;
    return (command->flags & (transaction->flags_all | ~(uint32_t)(CMD_STALE | CMD_LOADING))) |
           (transaction->flags_any & ~(uint32_t)(CMD_STALE | CMD_LOADING));
}

void admit_refuse_memory(struct client *client, const struct command *command)
{
    refuse(client, command, "OOM command not allowed when used memory > 'maxmemory'.");
}

/* What the hindrances that there are mean for a command. True: it was refused. The words are the protocol's. */
NO_INLINE static bool is_hindered(struct client *client, const struct command *command)
{
    unsigned hindrances = client->exec->hindrances;
    unsigned flags = flags_of(client, command);
    const char *text = NULL;
    char log_text[128];
    if (client->flags & CLIENT_PRIMARY)
        return false;
    if (flags & CMD_WRITE || strcmp(command->full_name, "ping") == 0) {
        if (hindrances & EXEC_SAVE_FAILS)
            text =
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to "
                "disk. Commands that may modify the data set are disabled, because this instance is "
                "configured to report errors during writes if RDB snapshotting fails "
                "(stop-writes-on-bgsave-error option). Please check the Redis logs for details about the "
                "RDB error.";
        else if (hindrances & EXEC_LOG_FAILS) {
            snprintf(log_text, sizeof log_text, "MISCONF Errors writing to the AOF file: %s",
                     client->exec->durable.error);
            text = log_text;
        }
    }
    if (!text && flags & CMD_WRITE) {
        if (hindrances & EXEC_TOO_FEW_REPLICAS)
            text = "NOREPLICAS Not enough good replicas to write.";
        else if (hindrances & EXEC_READ_ONLY_REPLICA)
            text = "READONLY You can't write against a read only replica.";
    }
    if (!text && hindrances & EXEC_STALE_REPLICA && !(flags & CMD_STALE))
        text = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    if (!text && hindrances & EXEC_LOADING && !(flags & CMD_LOADING))
        text = "LOADING Redis is loading the dataset in memory";
    if (text)
        refuse(client, command, "%s", text);
    return text != NULL;
}

static bool is_permitted(struct client *client, const struct request *request)
{
    struct buf text = {0};
    bool permitted =
        permit_request(client, request->command, request->argv, request->argc, PERMIT_ARRIVED, &text);
    if (!permitted)
        refuse(client, request->command, "%s", buf_string(&text));
    buf_done(&text);
    return permitted;
}

static bool is_allowed(struct client *client, const struct request *request)
{
    const struct command *command = request->command;
    struct exec *exec = client->exec;
    if (unlikely(!client->authenticated && !(command->flags & CMD_NO_AUTH))) {
        refuse(client, command, "NOAUTH Authentication required.");
        return false;
    }
    if (unlikely(client->flags & CLIENT_IN_TRANSACTION && command->flags & CMD_NO_MULTI)) {
        refuse(client, command, "ERR Command not allowed inside a transaction");
        return false;
    }
    if (client->flags & CLIENT_RESTRICTED && !is_permitted(client, request))
        return false;
    if (flags_of(client, command) & CMD_DENYOOM && unlikely(!evict_make_room(exec))) {
        admit_refuse_memory(client, command);
        return false;
    }
    if (unlikely(exec->hindrances) && is_hindered(client, command))
        return false;
    if (unlikely(client->subscriptions && client->out.resp == 2 && client_subscription_count(client) > 0 &&
                 !is_allowed_in_subscriber_mode(command))) {
        refuse(client, command,
               "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
               "allowed in "
               "this context",
               command->full_name);
        return false;
    }
    if (unlikely(client->flags & (CLIENT_MONITOR | CLIENT_REPLICA) &&
                 command->flags & (CMD_WRITE | CMD_READONLY | CMD_MAY_REPLICATE))) {
        refuse(client, command, "ERR Replica can't interact with the keyspace");
        return false;
    }
    return true;
}

bool admit_must_pause_slow(const struct client *client, const struct command *command)
{
    if (client->flags & (CLIENT_REPLICA | CLIENT_PRIMARY))
        return false;
    return !client->exec->pause_writes_only || flags_of(client, command) & (CMD_WRITE | CMD_MAY_REPLICATE);
}

/* Everything waits for EXEC but the commands that end or watch over the transaction. */
bool admit_must_queue_slow(const struct command *command)
{
    static const char *const names[] = {"exec", "discard", "multi", "watch", "quit", "reset"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(command->full_name, names[i]) == 0)
            return false;
    return true;
}

/* What waits for EXEC counts as a part of the query buffer, as in Redis. */
static void enforce_query_limit(struct client *client)
{
    if (client->flags & CLIENT_PRIMARY)
        return;
    if (likely(client->transaction->memory <= (uint64_t)client->exec->config->client_query_buffer_limit))
        return;
    log_write(client->exec->log, LOG_WARNING,
              "client id=%llu addr=%s closed for exceeding its query buffer limit with a transaction",
              (unsigned long long)client->id, client->shared->peer);
    client->exec->stats.query_closed++;
    client_close(client, CLOSE_NOW);
}

void admit_queue(struct client *client, const struct request *request)
{
    switch (transaction_queue(client, request->command, request->argv, request->argc)) {
    case ST_OK:
        reply_literal(&client->out, "+QUEUED\r\n");
        enforce_query_limit(client);
        return;
    case ST_LIMIT: refuse(client, request->command, "ERR too many commands in a transaction"); return;
    default: refuse(client, request->command, "OOM not enough memory to queue the command"); return;
    }
}

/* ---- All of them ---------------------------------------------------------------------------------- */

bool admit_slow(struct client *client, const struct request *request)
{
    if (!is_allowed(client, request))
        return false;
    if (unlikely(admit_must_pause(client, request->command))) {
        client->last_command = request->command; /* its line tells what it waits with */
        client_wait_in(client, &client->exec->paused);
        return false;
    }
    if (unlikely(admit_must_queue(client, request->command))) {
        admit_queue(client, request);
        return false;
    }
    if (unlikely(
            hold_must_wait(&client->exec->holds, client, request->command, request->argv, request->argc))) {
        client->last_command = request->command;
        return false;
    }
    if (client->exec->is_replica && client->exec->role_change_waits != NULL)
        return !role_change_must_wait(client, request->command, request->argv, request->argc);
    return true;
}
