/* INFO's rows about the append-only file.
 *
 * Principal entry points: metric_aof_… (gen/metrics.h). Threads: executor. */
#include <inttypes.h>

#include "exec/exec.h"
#include "gen/metrics.h"
#include "observe/metrics.h"
#include "persist/aof.h"
#include "persist/persist.h"

static struct aof_figures figures_of(const struct metric_source *source)
{
    struct aof_figures figures = {
        .last_rewrite_ok = true, .last_write_ok = true, .last_rewrite_s = -1, .current_rewrite_s = -1};
    if (source->exec->persist)
        aof_figures(source->exec->persist->aof, &figures);
    return figures;
}

#define FIGURE(metric, field)                                                                                \
    void metric_##metric(const struct metric_source *source, struct buf *ret_text)                           \
    {                                                                                                        \
        buf_printf(ret_text, "%" PRId64, (int64_t)figures_of(source).field);                                 \
    }

#define STATUS(metric, field)                                                                                \
    void metric_##metric(const struct metric_source *source, struct buf *ret_text)                           \
    {                                                                                                        \
        buf_append_string(ret_text, figures_of(source).field ? "ok" : "err");                                \
    }

FIGURE(aof_enabled, is_on)
FIGURE(aof_rewrite_in_progress, is_rewriting)
FIGURE(aof_rewrite_scheduled, is_rewrite_scheduled)
FIGURE(aof_last_rewrite_time_sec, last_rewrite_s)
FIGURE(aof_current_rewrite_time_sec, current_rewrite_s)
STATUS(aof_last_bgrewrite_status, last_rewrite_ok)
FIGURE(aof_rewrites, rewrites)
FIGURE(aof_rewrites_consecutive_failures, rewrite_failures)
STATUS(aof_last_write_status, last_write_ok)
FIGURE(aof_current_size, current_size)
FIGURE(aof_base_size, base_size)
FIGURE(aof_pending_rewrite, is_rewrite_scheduled)
FIGURE(aof_buffer_length, buffer_size)
FIGURE(aof_unsynced_size, unsynced_size)
FIGURE(aof_pending_bio_fsync, pending_syncs)
FIGURE(aof_delayed_fsync, delayed_syncs)
FIGURE(aof_writes, writes)
FIGURE(aof_fsyncs, syncs)
FIGURE(aof_waiting_outputs, waiting_outputs)
