/* Getters of INFO: whom this server follows. Each row writes its own line, and none while this server is a primary. See metrics.h. */
#include <inttypes.h>

#include "config/config.h"
#include "exec/exec.h"
#include "observe/metrics.h"
#include "repl/failover.h"
#include "repl/repl.h"
#include "repl/replica.h"

static const struct replica *replica_of(const struct metric_source *source)
{
    return source->exec->repl->replica;
}

static bool is_on(const struct metric_source *source)
{
    return replica_is_on(replica_of(source));
}

static struct replica_view view_of(const struct metric_source *source)
{
    struct replica_view view;
    replica_view(replica_of(source), &view);
    return view;
}

void metric_role(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, is_on(source) ? "slave" : "master");
}

void metric_master_host(const struct metric_source *source, struct buf *ret_text)
{
    if (is_on(source))
        buf_printf(ret_text, "master_host:%s\r\n", replica_of(source)->host);
}

void metric_master_port(const struct metric_source *source, struct buf *ret_text)
{
    if (is_on(source))
        buf_printf(ret_text, "master_port:%u\r\n", replica_of(source)->port);
}

void metric_master_link_status(const struct metric_source *source, struct buf *ret_text)
{
    if (is_on(source))
        buf_printf(ret_text, "master_link_status:%s\r\n", view_of(source).is_up ? "up" : "down");
}

void metric_master_last_io_seconds_ago(const struct metric_source *source, struct buf *ret_text)
{
    if (is_on(source))
        buf_printf(ret_text, "master_last_io_seconds_ago:%" PRId64 "\r\n", view_of(source).last_io_s);
}

void metric_master_sync_in_progress(const struct metric_source *source, struct buf *ret_text)
{
    if (is_on(source))
        buf_printf(ret_text, "master_sync_in_progress:%d\r\n", view_of(source).is_syncing);
}

void metric_slave_read_repl_offset(const struct metric_source *source, struct buf *ret_text)
{
    if (is_on(source))
        buf_printf(ret_text, "slave_read_repl_offset:%" PRIu64 "\r\n", view_of(source).read_offset);
}

void metric_slave_repl_offset(const struct metric_source *source, struct buf *ret_text)
{
    if (is_on(source))
        buf_printf(ret_text, "slave_repl_offset:%" PRIu64 "\r\n", view_of(source).offset);
}

void metric_master_failover_state(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, failover_state_name(source->exec->repl->failover));
}

/* ---- While a snapshot comes ----------------------------------------------------------------------- */

void metric_master_sync_total_bytes(const struct metric_source *source, struct buf *ret_text)
{
    struct replica_view view = view_of(source);
    if (view.is_syncing)
        buf_printf(ret_text, "master_sync_total_bytes:%" PRIu64 "\r\n", view.sync_total);
}

void metric_master_sync_read_bytes(const struct metric_source *source, struct buf *ret_text)
{
    struct replica_view view = view_of(source);
    if (view.is_syncing)
        buf_printf(ret_text, "master_sync_read_bytes:%" PRIu64 "\r\n", view.sync_read);
}

void metric_master_sync_left_bytes(const struct metric_source *source, struct buf *ret_text)
{
    struct replica_view view = view_of(source);
    if (view.is_syncing)
        buf_printf(ret_text, "master_sync_left_bytes:%" PRId64 "\r\n",
                   (int64_t)view.sync_total - (int64_t)view.sync_read);
}

void metric_master_sync_perc(const struct metric_source *source, struct buf *ret_text)
{
    struct replica_view view = view_of(source);
    if (!view.is_syncing)
        return;
    double percent = view.sync_total ? (double)view.sync_read * 100 / (double)view.sync_total : 0;
    buf_printf(ret_text, "master_sync_perc:%.2f\r\n", percent);
}

void metric_master_sync_last_io_seconds_ago(const struct metric_source *source, struct buf *ret_text)
{
    struct replica_view view = view_of(source);
    if (view.is_syncing)
        buf_printf(ret_text, "master_sync_last_io_seconds_ago:%" PRId64 "\r\n", view.sync_last_io_s);
}

/* ---- The rest ------------------------------------------------------------------------------------- */

void metric_master_link_down_since_seconds(const struct metric_source *source, struct buf *ret_text)
{
    struct replica_view view = view_of(source);
    if (is_on(source) && !view.is_up)
        buf_printf(ret_text, "master_link_down_since_seconds:%" PRId64 "\r\n", view.down_s);
}

void metric_slave_priority(const struct metric_source *source, struct buf *ret_text)
{
    if (is_on(source))
        buf_printf(ret_text, "slave_priority:%" PRId64 "\r\n", (int64_t)source->config->replica_priority);
}

void metric_slave_read_only(const struct metric_source *source, struct buf *ret_text)
{
    if (is_on(source))
        buf_printf(ret_text, "slave_read_only:%d\r\n", source->config->replica_read_only);
}

void metric_replica_announced(const struct metric_source *source, struct buf *ret_text)
{
    if (is_on(source))
        buf_printf(ret_text, "replica_announced:%d\r\n", source->config->replica_announced);
}
