/* Getters of INFO: replication. See metrics.h. */
#include <inttypes.h>
#include <stdatomic.h>

#include "config/config.h"
#include "exec/exec.h"
#include "observe/metrics.h"
#include "repl/full_sync.h"
#include "repl/history.h"
#include "repl/primary.h"
#include "repl/repl.h"

static const struct primary *primary_of(const struct metric_source *source)
{
    return source->exec->repl->primary;
}

/* NULL: nothing is kept for replicas. */
static const struct changelog *history_of(const struct metric_source *source)
{
    const struct propagate *propagate = &source->exec->propagate;
    return propagate->needs & PROPAGATE_BACKLOG ? propagate->log : NULL;
}

/* ---- Replicas ------------------------------------------------------------------------------------- */

void metric_connected_slaves(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu32, primary_of(source)->follower_count);
}

void metric_min_slaves_good_slaves(const struct metric_source *source, struct buf *ret_text)
{
    if (source->config->min_replicas_to_write > 0 && source->config->min_replicas_max_lag > 0)
        buf_printf(ret_text, "min_slaves_good_slaves:%" PRIu32 "\r\n",
                   primary_count_good(primary_of(source)));
}

void metric_slave(const struct metric_source *source, struct buf *ret_text)
{
    uint32_t number = 0;
    list_for_each(&primary_of(source)->followers, node)
    {
        const struct follower *follower = list_entry(node, struct follower, node);
        char host[FOLLOWER_ADDRESS_MAX + 1];
        int64_t port;
        follower_describe(follower, host, &port);
        buf_printf(ret_text,
                   "slave%" PRIu32 ":ip=%s,port=%" PRId64 ",state=%s,offset=%" PRIu64 ",lag=%" PRId64 "\r\n",
                   number++, host, port, follower_state_name(follower), follower->acked,
                   follower_lag_s(follower));
    }
}

void metric_sync_full(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, primary_of(source)->full_syncs);
}

void metric_sync_partial_ok(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, primary_of(source)->partial_syncs);
}

void metric_sync_partial_err(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, primary_of(source)->partial_refused);
}

void metric_sync_partial_from_file(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, primary_of(source)->partial_from_file);
}

void metric_sync_full_resumed(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, primary_of(source)->resumed_syncs);
}

void metric_total_net_repl_output_bytes(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, repl_bytes_sent(source->exec->repl));
}

void metric_total_net_repl_input_bytes(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, source->exec->repl->bytes_received);
}

void metric_instantaneous_input_repl_kbps(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%.2f", metric_rate_per_second(&source->metrics->repl_bytes_in) / 1024);
}

void metric_instantaneous_output_repl_kbps(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%.2f", metric_rate_per_second(&source->metrics->repl_bytes_out) / 1024);
}

/* ---- History -------------------------------------------------------------------------------------- */

void metric_master_replid(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, source->exec->repl->id);
}

void metric_master_replid2(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, source->exec->repl->second_id);
}

void metric_master_repl_offset(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, propagate_offset(source->exec));
}

void metric_second_repl_offset(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRId64, source->exec->repl->second_offset);
}

void metric_repl_backlog_active(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, history_of(source) ? "1" : "0");
}

void metric_repl_backlog_size(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, source->config->repl_backlog_size);
}

void metric_repl_backlog_first_byte_offset(const struct metric_source *source, struct buf *ret_text)
{
    const struct changelog *log = history_of(source);
    buf_printf(ret_text, "%" PRIu64, log ? changelog_start(log) + 1 : 0);
}

void metric_repl_backlog_histlen(const struct metric_source *source, struct buf *ret_text)
{
    const struct changelog *log = history_of(source);
    buf_printf(ret_text, "%" PRIu64, log ? changelog_end(log) - changelog_start(log) : 0);
}

void metric_repl_backlog_file_active(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, primary_of(source)->history ? "1" : "0");
}

void metric_repl_backlog_file_size(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, source->config->repl_backlog_file_size);
}

void metric_repl_backlog_file_first_byte_offset(const struct metric_source *source, struct buf *ret_text)
{
    const struct history *history = primary_of(source)->history;
    buf_printf(ret_text, "%" PRIu64, history ? history_begin(history) + 1 : 0);
}

void metric_repl_backlog_file_histlen(const struct metric_source *source, struct buf *ret_text)
{
    const struct history *history = primary_of(source)->history;
    buf_printf(ret_text, "%" PRIu64, history ? history_end(history) - history_begin(history) : 0);
}

void metric_repl_backlog_file_memory(const struct metric_source *source, struct buf *ret_text)
{
    const struct history *history = primary_of(source)->history;
    buf_printf(ret_text, "%" PRIu64, history ? history_memory(history) : 0);
}

void metric_repl_backlog_file_readers(const struct metric_source *source, struct buf *ret_text)
{
    uint32_t count = 0;
    list_for_each(&primary_of(source)->followers, node)
    {
        count += list_entry(node, struct follower, node)->reads_history;
    }
    buf_printf(ret_text, "%" PRIu32, count);
}

void metric_repl_backlog_file_last_error(const struct metric_source *source, struct buf *ret_text)
{
    const char *error = primary_of(source)->history_error;
    buf_append_string(ret_text, error[0] ? error : "none");
}

void metric_mem_total_replication_buffers(const struct metric_source *source, struct buf *ret_text)
{
    metric_mem_replication_backlog(source, ret_text);
}

void metric_mem_full_sync(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, full_sync_memory(primary_of(source)));
}

void metric_mem_replication_backlog(const struct metric_source *source, struct buf *ret_text)
{
    const struct changelog *log = source->exec->propagate.log;
    buf_printf(ret_text, "%" PRIu64, log ? changelog_memory(log) : 0);
}

void metric_mem_not_counted_for_evict(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRIu64, propagate_beyond_history(source->exec));
}
