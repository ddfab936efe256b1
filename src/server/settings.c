/* Options that other parts keep a copy of, or must be told about when they change.
 *
 * An option that is simply read where it is needed is not here.
 * Threads: executor. */
#include "base/ahead.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "exec/evict.h"
#include "exec/notify.h"
#include "exec/permit.h"
#include "exec/tracking.h"
#include "persist/aof.h"
#include "persist/persist.h"
#include "repl/primary.h"
#include "repl/repl.h"
#include "repl/replica.h"
#include "server/internal.h"

static bool apply_slowlog(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    int64_t threshold_us = config->slowlog_log_slower_than;
    blame_set_threshold(server->exec, threshold_us < 0 ? UINT64_MAX : (uint64_t)threshold_us * 1000);
    return true;
}

static bool apply_latency_tracking(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    blame_track(server->exec, config->latency_tracking);
    if (server->io && !config->latency_tracking)
        io_group_forget_reply_times(server->io);
    return true;
}

static bool apply_latency_threshold(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    int64_t threshold_ms = config->latency_monitor_threshold;
    server->exec->latency_ns = threshold_ms <= 0 ? UINT64_MAX : (uint64_t)threshold_ms * 1000000;
    return true;
}

static bool apply_notify(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    unsigned *classes = &server->exec->notify_classes, local = *classes & NOTIFY_LOCAL;
    bool is_known = notify_parse(slice_from_string(config->notify_keyspace_events), classes);
    *classes |= local;
    return is_known;
}

static bool apply_eviction(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    evict_configure(server->exec);
    return true;
}

static bool apply_tracking_limit(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    tracking_apply_limit(server->exec);
    return true;
}

static bool apply_password(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    permit_apply_password(server->exec);
    return true;
}

static bool apply_new_channels(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    server->exec->acl->terms.all_channels =
        config->acl_pubsub_default == CONFIG_ACL_PUBSUB_DEFAULT_ALLCHANNELS;
    return true;
}

static bool apply_huge_pages(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    ahead_set_on(server->exec->keyspace->ahead, config->huge_pages);
    return true;
}

/* Output that is produced without the executor stays below what it would close a client for. */
#define DIRECT_UNSENT_MAX ((uint64_t)1 << 20)

static bool apply_output_limits(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    const struct config_output_limit *limit = &config->client_output_buffer_limit[CONFIG_OUTPUT_NORMAL];
    uint64_t unsent_max = DIRECT_UNSENT_MAX;
    if (limit->hard_bytes > 0 && limit->hard_bytes < unsent_max)
        unsent_max = limit->hard_bytes;
    if (limit->soft_bytes > 0 && limit->soft_bytes < unsent_max)
        unsent_max = limit->soft_bytes;
    io_group_set_direct_unsent_max(server->io, unsent_max);
    return true;
}

static bool apply_backlog(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    propagate_apply_history(server->exec);
    return true;
}

static bool apply_stale(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    replica_update_hindrances(server->exec->repl->replica);
    return true;
}

static bool apply_least_replicas(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    primary_update_hindrance(server->exec->repl->primary);
    return true;
}

static bool apply_appendonly(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    aof_set_on(server->exec->persist->aof, config->appendonly);
    return true;
}

static bool apply_appendfsync(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    aof_apply_policy(server->exec->persist->aof);
    return true;
}

static bool apply_maxclients(struct config *config, void *context, struct buf *ret_error)
{
    const struct server *server = context;
    int64_t possible = server->simulated ? config->maxclients : descriptors_raise(config->maxclients);
    if (possible == config->maxclients)
        return true;
    buf_printf(ret_error,
               "The operating system is not able to handle the specified number of clients, try with %lld",
               (long long)possible);
    return false;
}

static bool apply_log_level(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    if (server->log)
        log_set_level(server->log, (enum log_level)config->loglevel);
    return true;
}

static bool apply_title(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    struct buf title = {0};
    bool is_valid = title_expand(config, "", &title) == ST_OK;
    buf_done(&title);
    if (is_valid)
        title_apply(server->title, config);
    else
        buf_append_string(ret_error, "template format is invalid or contains unknown variables");
    return is_valid;
}

static bool apply_oom_score(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    bool is_replica = server->exec->repl->replica->state != REPLICA_OFF;
    return oom_score_apply(&server->oom_score, config, is_replica, ret_error);
}

bool server_apply_process_settings(struct server *server, struct buf *ret_error)
{
    return apply_title(server->config, server, ret_error) &&
           apply_oom_score(server->config, server, ret_error);
}

/* The threads change between two batches, not in the middle of the one that CONFIG SET belongs to. */
static bool apply_io_threads(struct config *config, void *context, struct buf *ret_error)
{
    struct server *server = context;
    if (server->simulated && config->io_threads > 0) {
        buf_append_string(ret_error, "a simulated server has no threads");
        return false;
    }
    server->io_threads_pending = true;
    return true;
}

void server_update_io_threads(struct server *server)
{
    unsigned wanted = (unsigned)server->config->io_threads;
    unsigned before = io_group_thread_count(server->io);
    enum status status = io_group_set_threads(server->io, wanted, server->config->io_threads_always_active);
    if (status == ST_AGAIN)
        return; /* a thread of an earlier change is still on its way out: next turn */
    server->io_threads_pending = false;
    if (status == ST_OK) {
        if (before != wanted)
            log_write(server->log, LOG_NOTICE, "I/O threads: %u", wanted);
        return;
    }
    log_write(server->log, LOG_WARNING, "cannot start %u I/O threads; staying with %u", wanted, before);
    server->config->io_threads = before;
}

void server_apply_settings(struct server *server)
{
    static const struct {
        enum config_option option;
        config_change_fn apply;
        bool at_start;
    } settings[] = {
        {CONFIG_OPTION_SLOWLOG_LOG_SLOWER_THAN, apply_slowlog, true},
        {CONFIG_OPTION_LATENCY_TRACKING, apply_latency_tracking, true},
        {CONFIG_OPTION_LATENCY_MONITOR_THRESHOLD, apply_latency_threshold, true},
        {CONFIG_OPTION_NOTIFY_KEYSPACE_EVENTS, apply_notify, true},
        {CONFIG_OPTION_LOGLEVEL, apply_log_level, true},
        {CONFIG_OPTION_MAXMEMORY_POLICY, apply_eviction, true},
        {CONFIG_OPTION_LFU_LOG_FACTOR, apply_eviction, false},
        {CONFIG_OPTION_LFU_DECAY_TIME, apply_eviction, false},
        {CONFIG_OPTION_TRACKING_TABLE_MAX_KEYS, apply_tracking_limit, false},
        {CONFIG_OPTION_HUGE_PAGES, apply_huge_pages, true},
        {CONFIG_OPTION_MAXCLIENTS, apply_maxclients, false},
        {CONFIG_OPTION_IO_THREADS, apply_io_threads, true},
        {CONFIG_OPTION_CLIENT_OUTPUT_BUFFER_LIMIT, apply_output_limits, true},
        {CONFIG_OPTION_IO_THREADS_ALWAYS_ACTIVE, apply_io_threads, false},
        {CONFIG_OPTION_REPL_BACKLOG_SIZE, apply_backlog, false},
        {CONFIG_OPTION_REPLICA_SERVE_STALE_DATA, apply_stale, false},
        {CONFIG_OPTION_REPLICA_READ_ONLY, apply_stale, false},
        {CONFIG_OPTION_MIN_REPLICAS_TO_WRITE, apply_least_replicas, false},
        {CONFIG_OPTION_MIN_REPLICAS_MAX_LAG, apply_least_replicas, false},
        {CONFIG_OPTION_APPENDONLY, apply_appendonly, false},
        {CONFIG_OPTION_APPENDFSYNC, apply_appendfsync, false},
        {CONFIG_OPTION_NO_APPENDFSYNC_ON_REWRITE, apply_appendfsync, false},
        {CONFIG_OPTION_SET_PROC_TITLE, apply_title, false},
        {CONFIG_OPTION_PROC_TITLE_TEMPLATE, apply_title, false},
        {CONFIG_OPTION_OOM_SCORE_ADJ, apply_oom_score, false},
        {CONFIG_OPTION_OOM_SCORE_ADJ_VALUES, apply_oom_score, false},
        {CONFIG_OPTION_REQUIREPASS, apply_password, false},
        {CONFIG_OPTION_ACL_PUBSUB_DEFAULT, apply_new_channels, false},
        {CONFIG_OPTION_DIR, server_change_directory, false},
        {CONFIG_OPTION_BIND, server_listen_again, false},
        {CONFIG_OPTION_PORT, server_listen_again, false},
    };
    struct buf error = {0};
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        config_on_change(server->config, settings[i].option, settings[i].apply, server);
        if (settings[i].at_start)
            settings[i].apply(server->config, server, &error);
    }
    buf_done(&error);
}
