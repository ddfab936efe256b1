/* Getters of INFO: clients, stats and keyspace. See metrics.h. */
#include <inttypes.h>

#include "acl/acl.h"
#include "config/config.h"
#include "exec/block.h"
#include "exec/evict.h"
#include "exec/exec.h"
#include "exec/pubsub.h"
#include "exec/watch.h"
#include "observe/metrics.h"
#include "persist/load.h"

static void write_count(struct buf *text, uint64_t count)
{
    buf_printf(text, "%" PRIu64, count);
}

/* ---- Clients -------------------------------------------------------------------------------------- */

static uint64_t recent_max(const uint64_t *periods)
{
    return periods[0] > periods[1] ? periods[0] : periods[1];
}

void metric_connected_clients(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->client_count);
}

void metric_maxclients(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%" PRId64, source->config->maxclients);
}

void metric_client_recent_max_input_buffer(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, recent_max(source->metrics->recent_input_max_bytes));
}

void metric_client_recent_max_output_buffer(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, recent_max(source->metrics->recent_output_max_bytes));
}

void metric_blocked_clients(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->blocked_count);
}

void metric_pubsub_clients(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, pubsub_clients(source->exec->pubsub));
}

void metric_watching_clients(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->watch->clients);
}

void metric_total_watched_keys(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, table_size(&source->exec->watch->keys));
}

static int64_t paused_ms(const struct exec *exec)
{
    return exec->pause_until_ms > exec->now_ms ? exec->pause_until_ms - exec->now_ms : 0;
}

void metric_paused_reason(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, paused_ms(source->exec) > 0 ? "client_pause" : "none");
}

void metric_paused_actions(const struct metric_source *source, struct buf *ret_text)
{
    const char *actions = source->exec->pause_writes_only ? "write" : "all";
    buf_append_string(ret_text, paused_ms(source->exec) > 0 ? actions : "none");
}

void metric_paused_timeout_milliseconds(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, (uint64_t)paused_ms(source->exec));
}

void metric_client_query_buffer_limit_disconnections(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->io.query_closed + source->exec->stats.query_closed);
}

void metric_client_output_buffer_limit_disconnections(const struct metric_source *source,
                                                      struct buf *ret_text)
{
    write_count(ret_text, source->exec->stats.output_closed);
}

void metric_clients_in_timeout_table(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->metrics->clients.with_deadline);
}

void metric_total_blocking_keys(const struct metric_source *source, struct buf *ret_text)
{
    uint64_t loss;
    write_count(ret_text, block_key_count(source->exec->block, &loss));
}

void metric_total_blocking_keys_on_nokey(const struct metric_source *source, struct buf *ret_text)
{
    uint64_t loss;
    block_key_count(source->exec->block, &loss);
    write_count(ret_text, loss);
}

/* ---- Persistence ---------------------------------------------------------------------------------- */

void metric_loading(const struct metric_source *source, struct buf *ret_text)
{
    struct load_progress progress;
    load_progress(source->exec, &progress);
    write_count(ret_text, progress.is_loading);
}

void metric_async_loading(const struct metric_source *source, struct buf *ret_text)
{
    struct load_progress progress;
    load_progress(source->exec, &progress);
    write_count(ret_text, progress.is_async);
}

void metric_loading_progress(const struct metric_source *source, struct buf *ret_text)
{
    struct load_progress progress;
    load_progress(source->exec, &progress);
    if (!progress.is_loading && !progress.is_async)
        return;
    double share =
        progress.bytes_total > 0 ? (double)progress.bytes_loaded / (double)progress.bytes_total : 0;
    buf_printf(ret_text,
               "loading_start_time:%" PRId64 "\r\nloading_total_bytes:%" PRIu64
               "\r\nloading_rdb_used_mem:%" PRIu64 "\r\nloading_loaded_bytes:%" PRIu64
               "\r\nloading_loaded_perc:%.2f\r\nloading_eta_seconds:%" PRIu64 "\r\n",
               progress.began_ms / 1000, progress.bytes_total, progress.source_used_memory,
               progress.bytes_loaded, share * 100, progress.eta_seconds);
}

/* ---- Stats: traffic ------------------------------------------------------------------------------- */

void metric_total_connections_received(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->stats.connections);
}

void metric_total_commands_processed(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->stats.commands + source->direct.outcomes[DIRECT_ANSWERED]);
}

void metric_instantaneous_ops_per_sec(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, (uint64_t)metric_rate_per_second(&source->metrics->commands));
}

void metric_total_net_input_bytes(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->io.bytes_in);
}

void metric_total_net_output_bytes(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->io.bytes_out);
}

void metric_instantaneous_input_kbps(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%.2f", metric_rate_per_second(&source->metrics->bytes_in) / 1024);
}

void metric_instantaneous_output_kbps(const struct metric_source *source, struct buf *ret_text)
{
    buf_printf(ret_text, "%.2f", metric_rate_per_second(&source->metrics->bytes_out) / 1024);
}

void metric_rejected_connections(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->io.rejected);
}

void metric_total_reads_processed(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->io.reads);
}

void metric_total_writes_processed(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->io.writes);
}

void metric_io_threaded_reads_processed(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->io.reads - source->io_main.reads);
}

void metric_io_threaded_writes_processed(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->io.writes - source->io_main.writes);
}

/* ---- Stats: keys, errors, publish and subscribe ---------------------------------------------------- */

void metric_sliced_commands(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->stats.sliced_commands);
}

void metric_slices_run(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->stats.slices);
}

void metric_expired_keys(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->stats.expired_keys);
}

void metric_expired_fields(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->stats.expired_fields);
}

void metric_expired_subkeys(const struct metric_source *source, struct buf *ret_text)
{
    metric_expired_fields(source, ret_text);
}

void metric_evicted_keys(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->stats.evicted_keys);
}

void metric_total_eviction_exceeded_time(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, evict_over_total_ns(source->exec) / 1000000);
}

void metric_current_eviction_exceeded_time(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, evict_over_now_ns(source->exec) / 1000000);
}

void metric_expire_cycles(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->stats.expire_cycles);
}

void metric_keyspace_hits(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->stats.keyspace_hits + source->direct.hits);
}

void metric_keyspace_misses(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->stats.keyspace_misses + source->direct.misses);
}

void metric_acl_access_denied_auth(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->acl->log.denied[ACL_REASON_AUTH]);
}

void metric_acl_access_denied_cmd(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->acl->log.denied[ACL_REASON_COMMAND]);
}

void metric_acl_access_denied_key(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->acl->log.denied[ACL_REASON_KEY]);
}

void metric_acl_access_denied_channel(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->acl->log.denied[ACL_REASON_CHANNEL]);
}

void metric_total_error_replies(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, source->exec->stats.error_replies);
}

void metric_pubsub_channels(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, pubsub_name_count(source->exec->pubsub, PUBSUB_CHANNEL));
}

void metric_pubsub_patterns(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, pubsub_name_count(source->exec->pubsub, PUBSUB_PATTERN));
}

void metric_pubsubshard_channels(const struct metric_source *source, struct buf *ret_text)
{
    write_count(ret_text, pubsub_name_count(source->exec->pubsub, PUBSUB_SHARD));
}

/* ---- Keyspace ------------------------------------------------------------------------------------- */

void metric_db(const struct metric_source *source, struct buf *ret_text)
{
    const struct keyspace *keyspace = source->exec->keyspace;
    for (uint32_t i = 0; i < keyspace->db_count; i++) {
        const struct db *db = &keyspace->dbs[i];
        if (table_size(db->keys) == 0)
            continue;
        double average_ms = db->volatile_count > 0 ? source->metrics->average_ttl_ms[i] : 0;
        buf_printf(ret_text, "db%" PRIu32 ":keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=%.0f", i,
                   table_size(db->keys), db->volatile_count, average_ms);
        buf_printf(ret_text, ",keys_with_volatile_items=%" PRIu64 "\r\n", db->timed_count);
    }
}
