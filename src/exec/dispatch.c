/* One request on its way through the executor: checks (admit.c), execution, accounting.
 *
 * Principal entry points: dispatch_request, exec_call.
 * See also: exec.c (batches), call.c (what commands use), transaction.c.
 * Threads: executor only. */
#include "exec/dispatch.h"

#include "base/log.h"
#include "base/role.h"
#include "config/config.h"
#include "exec/admit.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/check.h"
#include "exec/error_stats.h"
#include "exec/evict.h"
#include "exec/pause.h"
#include "exec/plain.h"
#include "exec/sliced.h"
#include "exec/tracking.h"

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
    bool is_executed = admit(client, request);
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
    if (unlikely(!admit_well_formed(client, request)))
        error_stats_count(exec, client->out.error_code, client->out.error_count - errors);
    else if (unlikely(admit_must_queue(client, request->command)))
        admit_queue(client, request);
    else if (likely(!hold_must_wait(&exec->holds, client, request->command, request->argv, request->argc)))
        execute(client, request);
    client->flags &= ~(uint32_t)CLIENT_EXECUTING;
    client_take_deferred(client);
}
