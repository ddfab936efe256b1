/* Getters of INFO: snapshots. See metrics.h. */
#include <inttypes.h>

#include "exec/exec.h"
#include "observe/metrics.h"
#include "persist/persist.h"
#include "persist/save.h"
#include "persist/snapshot.h"

static struct saver_facts facts_of(const struct metric_source *source)
{
    struct saver_facts facts;
    saver_facts(source->exec->persist->saver, &facts);
    return facts;
}

static struct snapshot_progress progress_of(const struct metric_source *source)
{
    struct snapshot_progress progress;
    snapshot_progress_all(source->exec, &progress);
    return progress;
}

static void write_number(struct buf *text, int64_t number)
{
    buf_printf(text, "%" PRId64, number);
}

void metric_current_cow_size(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, (int64_t)progress_of(source).held_bytes);
}

void metric_current_fork_perc(const struct metric_source *source, struct buf *ret_text)
{
    struct snapshot_progress progress = progress_of(source);
    double part = progress.keys_total > 0 ? (double)progress.keys_done / (double)progress.keys_total : 0;
    buf_printf(ret_text, "%.2f", 100 * part);
}

void metric_current_save_keys_processed(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, (int64_t)progress_of(source).keys_done);
}

void metric_current_save_keys_total(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, (int64_t)progress_of(source).keys_total);
}

void metric_current_save_end_sec(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, facts_of(source).expected_end_s);
}

void metric_rdb_changes_since_last_save(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, (int64_t)facts_of(source).unsaved_changes);
}

void metric_rdb_bgsave_in_progress(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, facts_of(source).is_busy);
}

void metric_rdb_last_save_time(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, facts_of(source).last_time_s);
}

void metric_rdb_last_bgsave_status(const struct metric_source *source, struct buf *ret_text)
{
    buf_append_string(ret_text, facts_of(source).is_last_ok ? "ok" : "err");
}

void metric_rdb_last_bgsave_time_sec(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, facts_of(source).last_took_s);
}

void metric_rdb_current_bgsave_time_sec(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, facts_of(source).now_takes_s);
}

void metric_rdb_saves(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, (int64_t)facts_of(source).saves);
}

void metric_rdb_last_load_keys_loaded(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, (int64_t)source->exec->persist->last_load_keys);
}

void metric_rdb_last_load_keys_expired(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, (int64_t)source->exec->persist->last_load_expired);
}

void metric_rdb_last_cow_size(const struct metric_source *source, struct buf *ret_text)
{
    write_number(ret_text, (int64_t)facts_of(source).last_held_bytes);
}
