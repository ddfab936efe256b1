/* LATENCY LATEST HISTORY RESET GRAPH DOCTOR HISTOGRAM BLAME: what held the executor up. Executor only. */
#include "observe/latency.h"
#include <string.h>

#include "base/buf.h"
#include "config/config.h"
#include "exec/call.h"
#include "gen/args.h"
#include "observe/command_blame.h"
#include "observe/observe.h"

static struct latency *latency_of(const struct call *call)
{
    return observe_of(call->exec)->latency;
}

static int64_t now_s(const struct call *call)
{
    return call->exec->now_ms / 1000;
}

/* ---- Events --------------------------------------------------------------------------------------- */

void cmd_latency_latest(struct call *call, const struct args_latency_latest *args)
{
    const struct latency *latency = latency_of(call);
    reply_array(call->out, latency->count);
    for (uint32_t i = 0; i < latency->count; i++) {
        const struct latency_event *event = &latency->events[i];
        const struct latency_sample *newest = latency_sample_at(event, event->count - 1);
        reply_array(call->out, 4);
        reply_bulk_string(call->out, event->name);
        reply_int(call->out, newest->time_s);
        reply_int(call->out, newest->latency_ms);
        reply_int(call->out, event->max_ms);
    }
}

void cmd_latency_history(struct call *call, const struct args_latency_history *args)
{
    const struct latency_event *event = latency_find(latency_of(call), args->event);
    uint32_t count = event ? event->count : 0;
    reply_array(call->out, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct latency_sample *sample = latency_sample_at(event, i);
        reply_array(call->out, 2);
        reply_int(call->out, sample->time_s);
        reply_int(call->out, sample->latency_ms);
    }
}

void cmd_latency_reset(struct call *call, const struct args_latency_reset *args)
{
    struct latency *latency = latency_of(call);
    int64_t count = 0;
    if (args->event_count == 0)
        count = latency_reset_all(latency);
    for (uint32_t i = 0; i < args->event_count; i++)
        count += latency_reset(latency, args->event[i]);
    reply_int(call->out, count);
}

void cmd_latency_graph(struct call *call, const struct args_latency_graph *args)
{
    const struct latency_event *event = latency_find(latency_of(call), args->event);
    if (!event) {
        int shown = (int)(args->event.size < 128 ? args->event.size : 128);
        reply_error(call->out, "ERR No samples available for event '%.*s'", shown, args->event.data);
        return;
    }
    struct buf text = {0};
    latency_graph(event, now_s(call), &text);
    reply_verbatim(call->out, "txt", buf_slice(&text));
    buf_done(&text);
}

void cmd_latency_doctor(struct call *call, const struct args_latency_doctor *args)
{
    struct buf text = {0};
    latency_report(latency_of(call), now_s(call), call->exec->config->latency_monitor_threshold, &text);
    reply_verbatim(call->out, "txt", buf_slice(&text));
    buf_done(&text);
}

/* ---- Histograms ----------------------------------------------------------------------------------- */

/* Octave o holds times below 2^(o + 1) ns; what is below this one's edge is told as one microsecond. */
#define HISTOGRAM_FIRST_OCTAVE 9

/* The upper edge of an octave as clients know it from Redis, whose buckets are kept with two digits: a little above
 * the power of two, rounded down to microseconds (1 2 4 8 16 33 66 132 …). */
static int64_t octave_edge_us(unsigned octave)
{
    uint64_t edge_ns = UINT64_C(2) << octave;
    return (int64_t)(edge_ns + (edge_ns >> 7) - 1) / 1000;
}

static uint64_t octave_count(const struct durations *durations, unsigned octave)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < DURATIONS_PER_OCTAVE; i++)
        count += durations_count_at(durations, octave * DURATIONS_PER_OCTAVE + i);
    return count;
}

static bool reply_histogram(struct call *call, const struct command *command)
{
    struct command_times times;
    if (!exec_command_times(call->exec, command->id, &times))
        return false;
    reply_bulk_string(call->out, command->full_name);
    reply_map(call->out, 2);
    reply_bulk_string(call->out, "calls");
    reply_int(call->out, (int64_t)durations_count(&times.execute));
    reply_bulk_string(call->out, "histogram_usec");
    struct reply_open open = reply_open(call->out);
    uint64_t pairs = 0;
    uint64_t sum = 0;
    for (unsigned octave = 0; octave < DURATIONS_OCTAVES; octave++) {
        uint64_t count = octave_count(&times.execute, octave);
        sum += count;
        bool is_last_of_first = octave == HISTOGRAM_FIRST_OCTAVE && sum > 0;
        if (octave < HISTOGRAM_FIRST_OCTAVE || (!is_last_of_first && count == 0))
            continue;
        reply_int(call->out, octave_edge_us(octave));
        reply_int(call->out, (int64_t)sum);
        pairs++;
    }
    reply_close(call->out, open, REPLY_MAP, pairs);
    return true;
}

/* Writes the name of a command and what is told of it; false when there is nothing to tell. */
typedef bool reply_command_fn(struct call *call, const struct command *command);

/* A container stands for its subcommands. Returns how many were written. */
static uint64_t reply_with_subcommands(struct call *call, const struct command *command,
                                       reply_command_fn *write)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < command->subcommand_count; i++)
        count += reply_with_subcommands(call, &command->subcommands[i], write);
    return count + write(call, command);
}

/* Of these commands ("get", "config" or "config|get"; unknown ones are left out), or of all. */
static void reply_of_commands(struct call *call, const struct slice *names, uint32_t name_count,
                              reply_command_fn *write)
{
    struct reply_open open = reply_open(call->out);
    uint64_t count = 0;
    for (uint32_t i = 0; i < name_count; i++) {
        const struct command *command = command_lookup_full_name(names[i]);
        if (command)
            count += reply_with_subcommands(call, command, write);
    }
    for (uint32_t i = 0; name_count == 0 && i < command_count; i++)
        if (!command_by_id[i]->parent)
            count += reply_with_subcommands(call, command_by_id[i], write);
    reply_close(call->out, open, REPLY_MAP, count);
}

void cmd_latency_histogram(struct call *call, const struct args_latency_histogram *args)
{
    reply_of_commands(call, args->command, args->command_count, reply_histogram);
}

/* ---- Blame ---------------------------------------------------------------------------------------- */

static bool reply_blame(struct call *call, const struct command *command)
{
    struct command_blame blame;
    if (!command_blame(observe_of(call->exec)->metrics, command, &blame))
        return false;
    reply_bulk_string(call->out, command->full_name);
    reply_map(call->out, 1 + BLAME_PARTS);
    reply_bulk_string(call->out, "calls");
    reply_int(call->out, (int64_t)blame.calls);
    for (unsigned part = 0; part < BLAME_PARTS; part++) {
        reply_bulk_string(call->out, blame_part_names[part]);
        reply_map(call->out, BLAME_FIGURES);
        for (unsigned figure = 0; figure < BLAME_FIGURES; figure++) {
            reply_bulk_string(call->out, blame_figure_names[figure]);
            reply_double(call->out, blame.us[part][figure]);
        }
    }
    return true;
}

void cmd_latency_blame(struct call *call, const struct args_latency_blame *args)
{
    reply_of_commands(call, args->command, args->command_count, reply_blame);
}
