/* Getters of INFO: commandstats, errorstats and latencystats. See metrics.h. */
#include <inttypes.h>

#include "base/num.h"
#include "config/config.h"
#include "exec/command.h"
#include "exec/error_stats.h"
#include "exec/exec.h"
#include "observe/metrics.h"

void metric_cmdstat(const struct metric_source *source, struct buf *ret_text)
{
    for (uint32_t i = 0; i < command_count; i++) {
        const struct command_stats *stats = &source->exec->command_stats[i];
        if (stats->calls == 0 && stats->rejected == 0 && stats->failed == 0)
            continue;
        double per_call_us = stats->calls > 0 ? (double)stats->ns / 1000 / (double)stats->calls : 0;
        buf_printf(ret_text,
                   "cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64 ",usec_per_call=%.2f,rejected_calls=%" PRIu64
                   ",failed_calls=%" PRIu64 "\r\n",
                   command_by_id[i]->full_name, stats->calls, stats->ns / 1000, per_call_us, stats->rejected,
                   stats->failed);
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

/* The time below which `percent` of the calls stayed, in microseconds. Bucket b > 0 holds times of
 * [2^(b-1), 2^b) nanoseconds; within a bucket the calls are taken as evenly spread. */
static double percentile_us(const uint32_t *histogram, double percent)
{
    uint64_t total = 0;
    for (unsigned b = 0; b < EXEC_HISTOGRAM_BUCKETS; b++)
        total += histogram[b];
    double wanted = (double)total * percent / 100;
    double below = 0;
    double low_ns = 0;
    double high_ns = 1;
    for (unsigned b = 0; b < EXEC_HISTOGRAM_BUCKETS; b++) {
        if (histogram[b] > 0) {
            low_ns = b > 0 ? (double)(UINT64_C(1) << (b - 1)) : 0;
            high_ns = (double)(UINT64_C(1) << b);
            if (below + histogram[b] >= wanted)
                return (low_ns + (high_ns - low_ns) * (wanted - below) / histogram[b]) / 1000;
        }
        below += histogram[b];
    }
    return high_ns / 1000;
}

static void write_percentiles(const struct config_numbers *percentiles, const uint32_t *histogram,
                              struct buf *text)
{
    for (uint32_t i = 0; i < percentiles->count; i++) {
        char digits[NUM_DOUBLE_TEXT_MAX];
        size_t size = num_format_double(percentiles->items[i], digits);
        buf_printf(text, "%sp%.*s=%.3f", i > 0 ? "," : "", (int)size, digits,
                   percentile_us(histogram, percentiles->items[i]));
    }
}

void metric_latency_percentiles_usec(const struct metric_source *source, struct buf *ret_text)
{
    if (!source->config->latency_tracking)
        return;
    for (uint32_t i = 0; i < command_count; i++) {
        const struct command_stats *stats = &source->exec->command_stats[i];
        if (stats->histogram == NULL)
            continue;
        buf_printf(ret_text, "latency_percentiles_usec_%s:", command_by_id[i]->full_name);
        write_percentiles(&source->config->latency_tracking_info_percentiles, stats->histogram, ret_text);
        buf_append_string(ret_text, "\r\n");
    }
}
