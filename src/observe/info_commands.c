/* Getters of INFO: commandstats, errorstats, latencystats and blame. See metrics.h. */
#include <inttypes.h>

#include "base/num.h"
#include "config/config.h"
#include "exec/command.h"
#include "exec/error_stats.h"
#include "exec/exec.h"
#include "observe/command_blame.h"
#include "observe/metrics.h"

void metric_cmdstat(const struct metric_source *source, struct buf *ret_text)
{
    for (uint32_t i = 0; i < command_count; i++) {
        struct command_totals totals;
        exec_command_totals(source->exec, i, &totals);
        if (totals.calls == 0 && totals.rejected == 0 && totals.failed == 0)
            continue;
        double per_call_us = totals.calls > 0 ? (double)totals.ns / 1000 / (double)totals.calls : 0;
        buf_printf(ret_text,
                   "cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64 ",usec_per_call=%.2f,rejected_calls=%" PRIu64
                   ",failed_calls=%" PRIu64 "\r\n",
                   command_by_id[i]->full_name, totals.calls, totals.ns / 1000, per_call_us, totals.rejected,
                   totals.failed);
    }
}

static void write_error(void *context, const char *code, uint64_t count)
{
    buf_printf(context, "errorstat_%s:count=%" PRIu64 "\r\n", code, count);
}

void metric_errorstat(const struct metric_source *source, struct buf *ret_text)
{
    error_stats_visit(source->exec, write_error, ret_text);
}

static void write_percentiles(const struct config_numbers *percentiles, const struct durations *durations,
                              struct buf *text)
{
    for (uint32_t i = 0; i < percentiles->count; i++) {
        char digits[NUM_DOUBLE_TEXT_MAX];
        size_t size = num_format_double(percentiles->items[i], digits);
        buf_printf(text, "%sp%.*s=%.3f", i > 0 ? "," : "", (int)size, digits,
                   durations_percentile_ns(durations, percentiles->items[i]) / 1000);
    }
}

void metric_latency_percentiles_usec(const struct metric_source *source, struct buf *ret_text)
{
    if (!source->config->latency_tracking)
        return;
    for (uint32_t i = 0; i < command_count; i++) {
        struct command_times times;
        if (!exec_command_times(source->exec, i, &times))
            continue;
        buf_printf(ret_text, "latency_percentiles_usec_%s:", command_by_id[i]->full_name);
        write_percentiles(&source->config->latency_tracking_info_percentiles, &times.execute, ret_text);
        buf_append_string(ret_text, "\r\n");
    }
}

void metric_blame(const struct metric_source *source, struct buf *ret_text)
{
    struct command_blame blame;
    for (uint32_t i = 0; i < command_count; i++) {
        if (!command_blame(source->metrics, command_by_id[i], &blame))
            continue;
        buf_printf(ret_text, "blame_%s:calls=%" PRIu64, command_by_id[i]->full_name, blame.calls);
        for (unsigned part = 0; part < BLAME_PARTS; part++)
            for (unsigned figure = 0; figure < BLAME_FIGURES; figure++)
                buf_printf(ret_text, ",%s_%s=%.3f", blame_part_names[part], blame_figure_names[figure],
                           blame.us[part][figure]);
        buf_append_string(ret_text, "\r\n");
    }
}
