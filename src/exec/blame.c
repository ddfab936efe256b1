/* Who held a request up: stamps, spans and the cases that are told to hooks.slow. Definitions in blame.h.
 *
 * Threads: executor only. */
#include "exec/blame.h"

#include "exec/call.h"
#include "exec/command.h"
#include "exec/exec.h"

/* A wait is told again only when it is this much longer than the one that stands for its stall: the waits of those
 * who come after each other grow by little and little. */
#define WORSE_PART 4

static uint64_t ticks_of(const struct clock *clock, uint64_t ns)
{
    unsigned __int128 ticks = ns;
    if (ns != UINT64_MAX && clock->tick_multiplier)
        ticks = ((unsigned __int128)ns << 32) / clock->tick_multiplier;
    return ticks < UINT64_MAX ? (uint64_t)ticks : UINT64_MAX;
}

void blame_init(struct exec *exec)
{
    exec->blame.tracking = true;
    exec->blame.spans = mem_calloc(1, sizeof *exec->blame.spans);
    exec->blame.span_ticks = ticks_of(exec->clock, SPAN_MIN_NS);
    blame_set_threshold(exec, UINT64_MAX);
}

void blame_done(struct exec *exec)
{
    mem_free(exec->blame.spans);
}

void blame_set_threshold(struct exec *exec, uint64_t slow_ns)
{
    exec->blame.slow_ns = slow_ns;
    exec->blame.slow_ticks = ticks_of(exec->clock, slow_ns);
}

void blame_reset(struct exec *exec)
{
    for (uint32_t i = 0; i < command_count; i++) {
        mem_free(exec->command_stats[i].times);
        exec->command_stats[i].times = NULL;
    }
    exec_forget_direct_times(exec);
}

void blame_track(struct exec *exec, bool tracking)
{
    exec->blame.tracking = tracking;
    if (!tracking)
        blame_reset(exec);
}

struct command_times *blame_new_times(const struct exec *exec, struct command_times **times)
{
    if (exec->blame.tracking)
        *times = mem_calloc(1, sizeof **times);
    return *times;
}

/* ---- Spans ---------------------------------------------------------------------------------------- */

/* A span of the batch that is noted by itself. */
static void note(struct exec *exec, const struct exec_span *span)
{
    if (!exec->blame.tracking)
        return;
    spans_note(exec->blame.spans, exec->clock, span);
    exec->blame.noted_ticks += span->busy_ticks;
    exec->blame.noted_commands += span->count;
}

void blame_command(const struct call *call, uint64_t ns)
{
    struct exec *exec = call->exec;
    uint64_t ticks = ticks_of(exec->clock, ns);
    note(exec, &(struct exec_span){.kind = SPAN_COMMAND,
                                   .name = call->command->full_name,
                                   .client_id = call->client->id,
                                   .begin_ticks = exec->tick_mark - ticks,
                                   .end_ticks = exec->tick_mark,
                                   .busy_ticks = ticks,
                                   .count = 1});
}

void blame_slice(const struct call *call, uint64_t begin_ticks, bool is_first)
{
    struct exec *exec = call->exec;
    note(exec, &(struct exec_span){.kind = SPAN_SLICES,
                                   .name = call->command->full_name,
                                   .client_id = call->client->id,
                                   .begin_ticks = begin_ticks,
                                   .end_ticks = exec->tick_mark,
                                   .busy_ticks = exec->tick_mark - begin_ticks,
                                   .count = is_first});
}

void blame_task(struct exec *exec, const char *name, uint64_t begin_ticks, uint64_t end_ticks)
{
    if (end_ticks - begin_ticks >= exec->blame.span_ticks)
        note(exec, &(struct exec_span){.kind = SPAN_TASK,
                                       .name = name,
                                       .begin_ticks = begin_ticks,
                                       .end_ticks = end_ticks,
                                       .busy_ticks = end_ticks - begin_ticks});
}

/* What of the batch so far is not noted by itself. False when that is nothing. */
static bool batch_so_far(const struct exec *exec, uint64_t now_ticks, struct exec_span *ret_span)
{
    const struct blame *blame = &exec->blame;
    uint64_t passed_ticks = now_ticks - blame->batch_begin_ticks;
    uint64_t commands = exec->stats.commands - blame->batch_commands;
    if (blame->batch_begin_ticks == 0 || now_ticks <= blame->batch_begin_ticks ||
        passed_ticks <= blame->noted_ticks || commands <= blame->noted_commands)
        return false;
    *ret_span = (struct exec_span){.kind = SPAN_REQUESTS,
                                   .name = "",
                                   .begin_ticks = blame->batch_begin_ticks,
                                   .end_ticks = now_ticks,
                                   .busy_ticks = passed_ticks - blame->noted_ticks,
                                   .count = (uint32_t)(commands - blame->noted_commands)};
    return true;
}

void blame_batch_begin(struct exec *exec, uint64_t ticks)
{
    struct blame *blame = &exec->blame;
    blame->batch_begin_ticks = ticks;
    blame->batch_commands = exec->stats.commands;
    blame->noted_ticks = 0;
    blame->noted_commands = 0;
}

void blame_batch_end(struct exec *exec)
{
    struct exec_span span;
    struct blame *blame = &exec->blame;
    bool is_short = exec->tick_mark - blame->batch_begin_ticks < blame->span_ticks;
    if (unlikely(!is_short) && blame->tracking && batch_so_far(exec, exec->tick_mark, &span))
        spans_note(blame->spans, exec->clock, &span);
    blame->batch_begin_ticks = 0;
}

/* ---- Cases ---------------------------------------------------------------------------------------- */

/* Whether the wait was mostly for what the last noted one waited for: then it began before that ended. */
static bool is_of_last_stall(const struct blame *blame)
{
    const struct blame_request *request = &blame->request;
    return blame->stall_end_ticks > request->arrived_ticks &&
           blame->stall_end_ticks - request->arrived_ticks >=
               (request->begin_ticks - request->arrived_ticks) / 2;
}

static void find_waited_for(const struct exec *exec, struct blame_case *found)
{
    const struct blame_request *request = &exec->blame.request;
    struct exec_span batch;
    bool has_batch = batch_so_far(exec, request->begin_ticks, &batch);
    if (found->queue_ns >= SPAN_MIN_NS)
        spans_find(exec->blame.spans, exec->clock, request->arrived_ticks, request->begin_ticks,
                   has_batch ? &batch : NULL, &found->waited_for);
    else
        found->waited_for.rest_ns = found->queue_ns;
}

/* Fills in why the request is worth telling. False when it is not. */
static bool judge(struct exec *exec, const struct call *call, struct blame_case *found)
{
    struct blame *blame = &exec->blame;
    uint64_t total_ns = found->queue_ns + found->execute_ns;
    found->kind = BLAME_SLOW;
    if (found->execute_ns >= blame->slow_ns)
        return true;
    /* EXEC waited, not the commands in it. */
    if (!blame->tracking || total_ns < blame->slow_ns || call->client->flags & CLIENT_EXECUTING)
        return false;
    found->kind = BLAME_WAITED;
    if (is_of_last_stall(blame)) {
        bool is_worse = total_ns > blame->stall_worst_ns + blame->stall_worst_ns / WORSE_PART;
        found->kind = is_worse ? BLAME_WORSE : BLAME_LIKE;
    }
    return true;
}

/* The reply of what is told is watched in any case, in place of the one that the run would tell of. */
static void watch_reply(const struct call *call, uint64_t report, uint64_t end_ticks)
{
    struct run *run = call->client->pending_head;
    if (report == 0 || run == NULL || call->client->flags & CLIENT_BLOCKED)
        return;
    run->report = report;
    run->executed_ticks = end_ticks;
    run->reply_command = call->command->id;
}

void blame_slow(struct call *call, uint64_t execute_ns)
{
    struct exec *exec = call->exec;
    uint64_t end_ticks = exec->tick_mark;
    struct blame *blame = &exec->blame;
    const struct blame_request *request = &blame->request;
    struct blame_case found = {.execute_ns = execute_ns};
    if (!exec->hooks.slow || call->command->flags & CMD_SKIP_SLOWLOG)
        return;
    found.is_measured = blame->tracking && request->arrived_ticks != 0;
    if (found.is_measured) {
        uint64_t spent_ns = blame_elapsed_ns(exec->clock, request->begin_ticks, end_ticks);
        found.queue_ns = blame_elapsed_ns(exec->clock, request->arrived_ticks, request->begin_ticks);
        bool may_be_sliced =
            call->command->cost == COST_SLICEABLE && !(call->client->flags & CLIENT_EXECUTING);
        if (spent_ns > execute_ns && may_be_sliced)
            found.paused_ns = spent_ns - execute_ns;
    }
    if (!judge(exec, call, &found))
        return;
    if (found.is_measured && found.kind != BLAME_LIKE)
        find_waited_for(exec, &found);
    if (found.kind == BLAME_WAITED || found.kind == BLAME_WORSE) {
        blame->stall_end_ticks = found.waited_for.main_end_ticks;
        blame->stall_worst_ns = found.queue_ns + found.execute_ns;
    }
    uint64_t report = exec->hooks.slow(exec->hooks.context, call, &found);
    if (found.is_measured)
        watch_reply(call, report, end_ticks);
}

/* ---- Runs ----------------------------------------------------------------------------------------- */

void blame_follow(struct client *client, struct run *run)
{
    struct exec *exec = client->exec;
    if (run_held_read(run, run->followed)) {
        /* Its thread knows the command, and counts its waiting. */
        if (exec->blame.tracking && run->report == 0)
            run->executed_ticks = exec->tick_mark;
        return;
    }
    const struct command *command = run->requests[run->followed].command;
    /* A request that was refused or queued has not been executed; the answer to one that waits comes when it may. */
    if (!exec->blame.tracking || command == NULL || client->last_command != command ||
        client->flags & (CLIENT_BLOCKED | CLIENT_PAUSED | CLIENT_CLOSING | CLIENT_IN_TRANSACTION))
        return;
    struct command_times *times = blame_times(exec, &exec->command_stats[command->id].times);
    const struct blame_request *request = &exec->blame.request;
    durations_note(&times->queue, blame_elapsed_ns(exec->clock, request->arrived_ticks, request->begin_ticks),
                   run->count);
    if (run->report)
        return; /* a reply that somebody has asked for is watched already */
    run->executed_ticks = exec->tick_mark;
    run->reply_command = command->id;
}

void blame_restart_wait(struct client *client)
{
    uint64_t now_ticks = client->pending_head ? clock_ticks(client->exec->clock) : 0;
    for (struct run *run = client->pending_head; run; run = run->link)
        run->arrived_ticks = now_ticks;
}
