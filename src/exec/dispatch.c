/* One request on its way through the executor: checks, transaction queue, execution, accounting.
 *
 * Principal entry points: dispatch_request, exec_call.
 * See also: exec.c (batches), call.c (what commands use), transaction.c.
 * Threads: executor only.
 *
 * The order of the checks is the order in which Redis makes them, because clients see which error wins:
 * protocol fault, unknown command, arity, authentication, what MULTI forbids, permission, memory, hindrances (exec_hindrance), subscriber mode,
 * MONITOR, pause, queueing, keys that a long command holds. */
#include "exec/dispatch.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/role.h"
#include "config/config.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/check.h"
#include "exec/error_stats.h"
#include "exec/evict.h"
#include "exec/notify.h"
#include "exec/pause.h"
#include "exec/permit.h"
#include "exec/plain.h"
#include "exec/role_change.h"
#include "exec/sliced.h"
#include "exec/tracking.h"
#include "exec/transaction.h"
#include "exec/watch.h"
#include "types/hash.h"

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

/* Says what is not well-formed about the request. */
NO_INLINE static bool is_well_formed_slow(struct client *client, const struct request *request)
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

/* A container is one for the long way, with its name alone as well. */
ALWAYS_INLINE bool is_well_formed(struct client *client, const struct request *request)
{
    const struct command *command = request->command;
    if (likely(command != NULL && !(command->flags & CMD_CONTAINER) && request->argc >= command->args_min &&
               request->argc <= command->args_max))
        return true;
    return is_well_formed_slow(client, request);
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

static void refuse_memory(struct client *client, const struct command *command)
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
        refuse_memory(client, command);
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

bool dispatch_must_pause_slow(const struct client *client, const struct command *command)
{
    if (client->flags & (CLIENT_REPLICA | CLIENT_PRIMARY))
        return false;
    return !client->exec->pause_writes_only || flags_of(client, command) & (CMD_WRITE | CMD_MAY_REPLICATE);
}

/* Inside MULTI everything waits for EXEC but the commands that end or watch over the transaction. */
static bool must_queue(const struct client *client, const struct command *command)
{
    if (likely(!(client->flags & CLIENT_IN_TRANSACTION)))
        return false;
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

static void queue(struct client *client, const struct request *request)
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

/* ---- Execution ------------------------------------------------------------------------------------ */

/* A command that others may have waited for. */
NO_INLINE static void note_long(struct call *call, struct command_stats *stats, uint64_t ns)
{
    struct exec *exec = call->exec;
    if (stats->times)
        durations_note_max(&stats->times->execute, ns);
    if (call->client->sliced == NULL) /* else its slices have been noted */
        blame_command(call, ns);
    if (ns >= exec->latency_ns && exec->hooks.latency)
        exec->hooks.latency(exec->hooks.context, call->command->flags & CMD_FAST ? "fast-command" : "command",
                            ns);
}
_Static_assert(SPAN_MIN_NS <= 1000000, "a latency event takes a millisecond at least");

void dispatch_tell_long(struct call *call, uint64_t ns)
{
    struct exec *exec = call->exec;
    if (ns >= SPAN_MIN_NS)
        note_long(call, &exec->command_stats[call->command->id], ns);
    if (exec->tick_mark - exec->blame.request.arrived_ticks >= exec->blame.slow_ticks)
        blame_slow(call, ns);
}

/* Takes the time of commands of a kind that have just ended, `call` last: the time since the last mark, divided among them. */
ALWAYS_INLINE void account(struct call *call, uint32_t count, uint64_t ns)
{
    struct exec *exec = call->exec;
    struct command_stats *stats = &exec->command_stats[call->command->id];
    stats->calls += count;
    stats->ns += ns;
    exec->stats.commands += count;
    exec->stats.busy_ns += ns;
    struct command_times *times = blame_times(exec, &stats->times);
    if (likely(times != NULL))
        durations_count_one(&times->execute, count == 1 ? ns : ns / count, count);
    if (unlikely(ns >= SPAN_MIN_NS))
        note_long(call, stats, ns);
    if (unlikely(exec->tick_mark - exec->blame.request.arrived_ticks >= exec->blame.slow_ticks))
        blame_slow(call, ns);
}

NO_INLINE static void note_errors(struct call *call, struct command_stats *stats, uint32_t errors)
{
    stats->failed++;
    error_stats_count(call->exec, call->out->error_code, call->out->error_count - errors);
    /* Counted: EXEC, which this may be part of, does not count it again. */
    call->out->error_count = errors;
}

NO_INLINE static void tell_monitors(struct call *call)
{
    struct exec *exec = call->exec;
    if (exec->hooks.monitor && !(call->command->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)))
        exec->hooks.monitor(exec->hooks.context, call);
}

/* Before it is accounted for. */
ALWAYS_INLINE void check_ended(struct call *call, uint32_t errors)
{
    check_written_keys(call);
    if (unlikely(call->out->error_count != errors))
        note_errors(call, &call->exec->command_stats[call->command->id], errors);
}

/* And behind that. */
ALWAYS_INLINE void tell_ended(struct call *call)
{
    struct exec *exec = call->exec;
    if (unlikely(exec->propagate.log != NULL) && call->has_changed)
        propagate_call_end(call);
    if (unlikely(exec->monitor_count))
        tell_monitors(call);
}

void exec_call_ended(struct call *call, uint32_t errors, uint64_t ns)
{
    check_ended(call, errors);
    account(call, 1, ns);
    tell_ended(call);
}

/* The time since the end of the last command, which is that of the call. */
ALWAYS_INLINE uint64_t take_time(const struct call *call)
{
    struct exec *exec = call->exec;
    uint64_t begin_ticks = exec->tick_mark;
    exec->tick_mark = clock_ticks(exec->clock);
    uint64_t ns = clock_ticks_to_ns(exec->clock, exec->tick_mark - begin_ticks);
    pause_note(exec, call->command->full_name, ns);
    return ns;
}

NO_INLINE static void run_sliced(struct call *call)
{
    struct exec *exec = call->exec;
    uint32_t errors = call->out->error_count;
    uint64_t begin_ticks = exec->tick_mark;
    bool several = dispatch_begin_steps(call);
    enum sliced_outcome outcome = sliced_run(call);
    dispatch_end_steps(call, several);
    uint64_t ns = take_time(call);
    if (likely(outcome == SLICED_ENDED)) {
        exec_call_ended(call, errors, ns);
    } else if (outcome == SLICED_GOES_ON) {
        call->client->sliced->ns += ns;
        call->client->sliced->request = exec->blame.request;
        blame_slice(call, begin_ticks, true);
    }
}

/* Any number of keys may turn out to be one. */
bool dispatch_takes_steps_slow(const struct call *call)
{
    const struct command *command = call->command;
    if (command->keys != NULL || command->first_key == 0 || command->last_key >= 0)
        return true;
    return (int64_t)call->argc + command->last_key >= command->first_key + command->key_step;
}

/* Runs a command in one go. */
ALWAYS_INLINE void run_whole(struct call *call)
{
    uint32_t errors = call->out->error_count;
    bool several = dispatch_begin_steps(call);
    call->command->run(call);
    dispatch_end_steps(call, several);
    check_ended(call, errors);
}

ALWAYS_INLINE void run_command(struct call *call)
{
    if (call->command->cost == COST_SLICEABLE && call->argc >= call->command->sliced_from &&
        sliced_is_possible(call)) {
        run_sliced(call);
        return;
    }
    run_whole(call);
    account(call, 1, take_time(call));
    tell_ended(call);
}

void exec_call(struct call *call)
{
    run_command(call);
}

#define REPLY_MODES (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT)

/* What these say is a message rather than a reply: it is sent to a client that wants no replies, as messages are. */
static bool answers_by_messages(const struct command *command)
{
    static const char *const names[] = {"subscribe",    "unsubscribe", "psubscribe",
                                        "punsubscribe", "ssubscribe",  "sunsubscribe"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(command->full_name, names[i]) == 0)
            return true;
    return false;
}

#define REQUEST_MODES (REPLY_MODES | CLIENT_TRACKING)

/* After a request: drops its reply if it was `muted` from the start and the request has not ended that, and moves
 * CLIENT REPLY SKIP on. CLIENT REPLY OFF and SKIP write no reply of their own. */
static void apply_reply_mode(struct client *client, bool muted, struct reply_mark before)
{
    if (muted && client->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP))
        reply_rollback(&client->out, before);
    bool skip_next = client->flags & CLIENT_REPLY_SKIP_NEXT;
    client->flags &= ~(CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT);
    if (skip_next)
        client->flags |= CLIENT_REPLY_SKIP;
}

/* What the client's modes make of a request that has come to its end, or to where it waits. */
NO_INLINE static void apply_modes(struct client *client, const struct request *request, bool is_executed,
                                  bool muted, struct reply_mark before)
{
    client->exec->executing = NULL;
    /* Of a request whose answer comes later, the mode is applied to that (client_unblock). */
    if (!(client->flags & (CLIENT_PAUSED | CLIENT_BLOCKED | CLIENT_SLICED)))
        apply_reply_mode(client, muted, before);
    if (client->flags & CLIENT_TRACKING && !(client->flags & CLIENT_PAUSED))
        tracking_request_ended(client, request->command, request->argv, request->argc, is_executed);
}

/* A client's request as a call that is about to be executed. */
ALWAYS_INLINE void begin_call(struct call *ret_call, struct client *client, struct request *request)
{
    dispatch_init_call(ret_call, client, request);
    ret_call->key_hash = request->key_hash;
    ret_call->has_key_hash = request->has_key;
    ret_call->built = &request->built;
}

ALWAYS_INLINE void execute(struct client *client, struct request *request)
{
    struct call call;
    begin_call(&call, client, request);
    client->last_command = request->command;
    client->commands++;
    client->exec->executing = client;
    client->exec->blame.request.begin_ticks = client->exec->tick_mark;
    run_command(&call);
    propagate_end_unit(client->exec);
    client->exec->executing = NULL;
}

static void fault(struct client *client, const char *text)
{
    log_write(client->exec->log, LOG_VERBOSE, "client id=%llu addr=%s: %s", (unsigned long long)client->id,
              client->shared->peer, text);
    reply_error(&client->out, "%s", text);
    client_close(client, CLOSE_AFTER_REPLIES);
}

bool dispatch_is_unhindered(const struct client *client)
{
    const struct exec *exec = client->exec;
    return client->authenticated &&
           !(client->flags & (CLIENT_IN_TRANSACTION | CLIENT_MONITOR | CLIENT_REPLICA | CLIENT_RESTRICTED)) &&
           client->subscriptions == NULL && exec->hindrances == 0 && exec->pause_until_ms == 0 &&
           !hold_is_any(&exec->holds) && !exec->is_replica;
}

/* Returns false when the request was refused, queued or must wait. */
NO_INLINE static bool is_to_be_executed_slow(struct client *client, const struct request *request)
{
    if (!is_allowed(client, request))
        return false;
    if (unlikely(dispatch_must_pause(client, request->command))) {
        client->last_command = request->command; /* its line tells what it waits with */
        client_wait_in(client, &client->exec->paused);
        return false;
    }
    if (unlikely(must_queue(client, request->command))) {
        queue(client, request);
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

/* The same, with a short way for most requests. */
ALWAYS_INLINE bool is_to_be_executed(struct client *client, const struct request *request)
{
    if (unlikely(!is_well_formed(client, request)))
        return false;
    if (unlikely(!dispatch_is_unhindered(client)))
        return is_to_be_executed_slow(client, request);
    if (request->command->flags & CMD_DENYOOM && unlikely(!evict_make_room(client->exec))) {
        refuse_memory(client, request->command);
        return false;
    }
    return true;
}

void dispatch_request(struct client *client, struct run *run, struct request *request)
{
    struct exec *exec = client->exec;
    client_expect_reply(client, run);
    client->argument_bytes = request->bytes;
    if (unlikely(request->is_faulty)) {
        fault(client, request->fault);
        return;
    }
    bool muted = client->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP);
    struct reply_mark before = {0};
    if (unlikely(muted)) {
        before = reply_mark(&client->out);
        exec->executing =
            client; /* what the checks push to it (a key is evicted) is no part of the reply either */
    }
    uint32_t errors = client->out.error_count;
    bool is_executed = is_to_be_executed(client, request);
    if (likely(is_executed))
        execute(client, request);
    else if (client->out.error_count != errors)
        error_stats_count(exec, client->out.error_code, client->out.error_count - errors);
    if (unlikely(client->flags & REQUEST_MODES)) {
        if (muted && request->command && client->out.error_count == errors)
            muted = !answers_by_messages(request->command);
        apply_modes(client, request, is_executed, muted, before);
    }
    client_take_deferred(client);
    block_serve_ready(exec->block);
}

/* ---- Stretches of short commands ------------------------------------------------------------------ */

#define SHORT_BYTES_MAX 2048 /* of a request: to copy them takes no longer than to look at the clock */

/* Z1: what the requests of a stretch have in common. */
struct stretch {
    const struct command *command;
    uint32_t args_max;
};

/* False: none of this command is short. By its declaration it takes keys, looks at few things, and waits for nothing. */
ALWAYS_INLINE bool is_short(const struct command *command, struct stretch *ret_stretch)
{
    if (command == NULL || command->flags & (CMD_BLOCKING | CMD_ADMIN | CMD_CONTAINER) ||
        command->cost > COST_SLICEABLE)
        return false;
    uint32_t args_max = command->args_max;
    if (command->cost == COST_SLICEABLE && command->sliced_from <= args_max)
        args_max = command->sliced_from > 0 ? command->sliced_from - 1 : 0;
    *ret_stretch = (struct stretch){command, args_max};
    return true;
}

/* Whether the request is one for the stretch, and is well-formed. */
ALWAYS_INLINE bool fits(const struct stretch *stretch, const struct request *request)
{
    return request->command == stretch->command && request->argc >= stretch->command->args_min &&
           request->argc <= stretch->args_max && request->bytes <= SHORT_BYTES_MAX && request->has_key &&
           !request->is_plain;
}

/* Whether memory has to be looked at before each command of the stretch: without a limit nothing within it can change that. */
static bool needs_room(const struct exec *exec, const struct command *command)
{
    return command->flags & CMD_DENYOOM && (exec->config->maxmemory != 0 || exec->evict.over_since_ns != 0);
}

/* Z4: whether nothing is to be done between two requests of the client that the first of them may have caused. */
ALWAYS_INLINE bool is_undisturbed(const struct client *client, bool is_limited)
{
    const struct exec *exec = client->exec;
    return client->flags == 0 && list_is_empty(&exec->block->ready) && reply_is_empty(&exec->deferred) &&
           (likely(!is_limited) || (!evict_is_over_limit(exec) && exec->evict.over_since_ns == 0));
}

/* Z3 */
static bool may_stretch(const struct client *client, const struct run *run)
{
    const struct exec *exec = client->exec;
    return dispatch_is_unhindered(client) && exec->blame.slow_ticks > 0 &&
           (int64_t)(exec->tick_mark - run->arrived_ticks) < (int64_t)(exec->blame.slow_ticks / 2);
}

/* Has the call be that of another of the stretch's requests: what a brief form needs to know of it, and the rest. */
ALWAYS_INLINE void next_brief_call(struct call *call, const struct request *request)
{
    call->argv = request->argv;
    call->argc = request->argc;
    call->key_hash = request->key_hash;
}

ALWAYS_INLINE void next_call(struct call *call, struct request *request)
{
    next_brief_call(call, request);
    call->built = &request->built;
    call->taken = NULL;
    call->has_changed = call->is_replaced = false;
}

/* Z5: executes the call's request and those behind it, as far as the brief form does. Returns how many; the call is that of the next one,
 * if that is one for the stretch. */
ALWAYS_INLINE unsigned execute_briefly(struct call *call, const struct stretch *stretch,
                                       struct request *requests, unsigned count_max)
{
    unsigned done = 0;
    while (stretch->command->brief(call)) {
        check_written_keys(call);
        if (++done == count_max || !fits(stretch, &requests[done]))
            return done;
        next_brief_call(call, &requests[done]);
    }
    next_call(call, &requests[done]);
    return done;
}

/* Executes up to `count_max` requests, the first of which is one for the stretch. Returns how many. */
ALWAYS_INLINE unsigned execute_stretch(struct client *client, const struct stretch *stretch,
                                       struct request *requests, unsigned count_max)
{
    struct exec *exec = client->exec;
    bool is_limited = needs_room(exec, stretch->command);
    bool is_brief = stretch->command->brief != NULL && plain_is_unheard(exec, client->db);
    struct call call;
    unsigned done = 0;
    begin_call(&call, client, &requests[0]);
    exec->executing = client;
    for (;;) {
        if (is_brief) {
            done += execute_briefly(&call, stretch, &requests[done], count_max - done);
            if (done == count_max || !fits(stretch, &requests[done]))
                break;
        }
        run_whole(&call);
        tell_ended(&call);
        propagate_end_unit(exec);
        if (++done == count_max || !fits(stretch, &requests[done]) || !is_undisturbed(client, is_limited))
            break;
        next_call(&call, &requests[done]);
    }
    exec->executing = NULL;
    return done;
}

/* Of `count` commands that have just been executed, `last` the last of them. */
static void account_stretch(struct client *client, const struct request *last, uint32_t count)
{
    struct exec *exec = client->exec;
    struct call call;
    dispatch_init_call(&call, client, last);
    uint64_t begin_ticks = exec->tick_mark, ns = take_time(&call);
    exec->blame.request.begin_ticks = exec->tick_mark - (exec->tick_mark - begin_ticks) / count;
    client->last_command = last->command;
    client->commands += count;
    client->argument_bytes = last->bytes;
    account(&call, count, ns);
}

unsigned dispatch_stretch(struct client *client, struct run *run, unsigned count_max)
{
    struct exec *exec = client->exec;
    struct request *requests = &run->requests[run->next];
    unsigned left = (unsigned)(run->count - run->next);
    struct stretch stretch;
    if (count_max > left)
        count_max = left;
    if (count_max < 2 || !is_short(requests->command, &stretch) || !fits(&stretch, &requests[0]) ||
        !fits(&stretch, &requests[1]) || !may_stretch(client, run) ||
        !is_undisturbed(client, needs_room(exec, stretch.command)))
        return 0;
    exec->blame.request.arrived_ticks = run->arrived_ticks;
    client_expect_reply(client, run);
    unsigned done = execute_stretch(client, &stretch, requests, count_max);
    account_stretch(client, &requests[done - 1], done);
    client_take_deferred(client);
    block_serve_ready(exec->block);
    return done;
}

void dispatch_applied(struct client *client, struct request *request)
{
    struct exec *exec = client->exec;
    uint32_t errors = client->out.error_count;
    client->flags |= CLIENT_EXECUTING; /* nothing is sliced, nothing waits */
    if (unlikely(!is_well_formed(client, request)))
        error_stats_count(exec, client->out.error_code, client->out.error_count - errors);
    else if (unlikely(must_queue(client, request->command)))
        queue(client, request);
    else if (likely(!hold_must_wait(&exec->holds, client, request->command, request->argv, request->argc)))
        execute(client, request);
    client->flags &= ~(uint32_t)CLIENT_EXECUTING;
    client_take_deferred(client);
}

/* ---- Expiry --------------------------------------------------------------------------------------- */

struct expiring {
    struct exec *exec;
    const struct db *db;
    struct slice key;
};

/* Each for itself, as Redis writes it: a large hash may lose many at a time. */
static void field_expired(void *context, struct element field)
{
    const struct expiring *expiring = context;
    element_scratch scratch;
    const struct slice words[] = {SLICE("HDEL"), expiring->key, element_text(field, scratch)};
    propagate_words(expiring->exec, expiring->db, words, ARRAY_COUNT(words));
}

/* Takes expired fields out of a hash, and the key when none is left. Of a large hash it is a step: who looks at one passes
 * over the fields that are still there. */
static void expire_fields(struct exec *exec, struct db *db, struct slice key, struct table_position *position)
{
    struct entry *entry = table_item_at(position), *none;
    struct collection_view hash;
    int64_t due_ms;
    bool is_large = entry_encoding(entry) == ENTRY_TREE;
    db_note_change(db, entry, keyspace_hash(exec->keyspace, key));
    collection_open(&hash, exec->keyspace, entry);
    struct expiring expiring = {exec, db, key};
    const struct hash_listener listener = {propagate_is_on(exec) ? field_expired : NULL, &expiring};
    uint64_t count = is_large ? hash_expire_some(entry_collection(entry), exec->keyspace->now_ms, listener)
                              : hash_expire(hash.rows, exec->keyspace->now_ms, listener, &due_ms);
    if (count > 0) { /* what a large hash keeps is a bound */
        exec->stats.dirty += count;
        exec->stats.expired_fields += count;
        watch_touch(exec->watch, db, key);
        tracking_changed(exec, NULL, key);
        notify_publish(exec, NOTIFY_HASH, "hexpired", key, db);
    }
    if (collection_close(&hash, entry, key, ENTRY_HASH, NULL, &none) == COLLECTION_EMPTY) {
        notify_publish(exec, NOTIFY_GENERIC, "del", key, db);
        db_remove(db, position);
    }
}

static void expire_key(struct exec *exec, struct db *db, struct slice key, uint64_t hash,
                       struct table_position *position)
{
    exec->stats.expired_keys++;
    exec->stats.dirty++;
    watch_touch(exec->watch, db, key);
    tracking_changed(exec, NULL, key);
    notify_publish(exec, NOTIFY_EXPIRED, "expired", key, db);
    block_key_lost(exec->block, db, entry_type(table_item_at(position)), key, hash);
    propagate_deleted(exec, db, key);
    db_remove(db, position);
}

void dispatch_expire_key(struct exec *exec, struct db *db, struct slice key, uint64_t hash)
{
    if (!exec->is_replica) /* whose keys and fields go when its primary says so */
        dispatch_expire_local(exec, db, key, hash);
}

void dispatch_expire_local(struct exec *exec, struct db *db, struct slice key, uint64_t hash)
{
    struct table_position position;
    struct entry *entry = db_locate(db, key, hash, &position);
    if (entry == NULL || exec->pause_until_ms != 0) /* in a pause nothing changes */
        return;
    if (db_is_expired(db, entry) && hold_has(&exec->holds, key))
        return;
    /* Readers leave what is at its time to the executor: that it goes is no step that they could see. */
    uint32_t steps = exec->keyspace->steps_made;
    if (db_is_expired(db, entry))
        expire_key(exec, db, key, hash, &position);
    else
        expire_fields(exec, db, key, &position);
    exec->keyspace->steps_made = steps;
}
