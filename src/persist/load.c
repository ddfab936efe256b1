/* Loading into the server's keyspace: keys from rdb/file_read.h into the tables. Entry: load_feed. Rules in load.h.
 * Threads: executor. */
#include "persist/load.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/log.h"
#include "base/num.h"
#include "base/version.h"
#include "config/config.h"
#include "exec/exec.h"
#include "persist/aof.h"
#include "persist/persist.h"
#include "rdb/file_read.h"

/* Keys whose buckets are asked for ahead together. */
#define LOAD_BATCH 24
/* So many things that were skipped are named in the log; the others are counted. */
#define LOAD_NAMED_MAX 10
/* No text of a file is longer, unless proto-max-bulk-len says so. */
#define LOAD_TEXT_MAX ((uint64_t)512 << 20)

/* Of a key, in a message. */
#define SHOWN_KEY_MAX 128

struct load_item {
    struct entry *entry;
    uint64_t hash;
    struct db *db;
};

struct load {
    struct exec *exec;
    struct load_options options;
    struct rdb_file *file;
    struct load_report report;
    int64_t began_ms;
    uint64_t began_ns;
    uint64_t source_used_memory;
    struct db *db;                      /* whose number came last */
    struct load_item batch[LOAD_BATCH]; /* L1 */
    unsigned batch_count;
    struct buf error; /* of our own; empty: the file's is told */
};

struct rdb_limits load_limits(const struct config *config)
{
    return (struct rdb_limits){
        .hash = {(uint64_t)config->hash_max_listpack_entries, (uint64_t)config->hash_max_listpack_value},
        .set = {(uint64_t)config->set_max_intset_entries, (uint64_t)config->set_max_listpack_entries,
                (uint64_t)config->set_max_listpack_value},
        .zset_entries = (uint64_t)config->zset_max_listpack_entries,
        .zset_value = (uint64_t)config->zset_max_listpack_value,
        .list_size = config->list_max_listpack_size,
        .stream = {(uint64_t)config->stream_node_max_bytes, (uint64_t)config->stream_node_max_entries},
        .text_max = (uint64_t)config->proto_max_bulk_len,
    };
}

/* ---- Keys -------------------------------------------------------------------------------------------------- */

static enum status refuse_twice(struct load *load, const struct load_item *item)
{
    struct slice name = entry_key(item->entry);
    if (load->error.size > 0)
        return ST_EXISTS;
    if (name.size > SHOWN_KEY_MAX)
        name.size = SHOWN_KEY_MAX;
    buf_printf(&load->error, "RDB has duplicated key ");
    buf_append_quoted(&load->error, name);
    buf_printf(&load->error, " in DB %u, before offset %" PRIu64, (unsigned)item->db->number,
               rdb_file_offset(load->file));
    return ST_EXISTS;
}

static enum status insert(struct load *load, const struct load_item *item)
{
    struct table_position position;
    if (unlikely(db_locate(item->db, entry_key(item->entry), item->hash, &position) != NULL))
        return refuse_twice(load, item);
    enum status status = db_insert(item->db, item->entry, item->hash);
    load->report.keys += status == ST_OK;
    return status;
}

/* L1: what is in the batch goes into the tables. After an error the rest is given back. */
static enum status flush_batch(struct load *load)
{
    enum status status = ST_OK;
    for (unsigned i = 0; i < load->batch_count; i++) {
        if (status == ST_OK)
            status = insert(load, &load->batch[i]);
        if (status != ST_OK)
            keyspace_retire(load->exec->keyspace, load->batch[i].entry);
    }
    load->batch_count = 0;
    return status;
}

static uint32_t clock_of(const struct use *use, const struct rdb_file_key *key)
{
    if (use->rules.counts)
        return key->has_frequency ? use_clock_of_frequency(use, key->frequency) : use->clock_new;
    return key->has_idle ? use_clock_of_idle(use, key->idle_seconds) : use->clock_new;
}

static enum status on_key(void *context, const struct rdb_file_key *key, struct rdb_value *value)
{
    struct load *load = context;
    struct keyspace *keyspace = load->exec->keyspace;
    if (unlikely(key->expire_ms <= keyspace->now_ms) && !load->options.keep_expired) {
        rdb_value_drop(value, keyspace);
        load->report.expired++;
        if (load->options.dropped)
            load->options.dropped(load->options.context, load->db, key->name);
        return ST_OK;
    }
    struct entry_options options = {.expire_ms = key->expire_ms, .clock = clock_of(&keyspace->use, key)};
    struct entry *entry = rdb_value_entry(value, keyspace, key->name, &options);
    if (unlikely(entry == NULL))
        return ST_NOMEM;
    struct load_item *item = &load->batch[load->batch_count++];
    *item = (struct load_item){entry, keyspace_hash(keyspace, key->name), load->db};
    table_prefetch_bucket(item->db->keys, item->hash, true);
    return load->batch_count == LOAD_BATCH ? flush_batch(load) : ST_OK;
}

static enum status on_empty_key(void *context, const struct rdb_file_key *key)
{
    struct load *load = context;
    if (load->report.empty++ < LOAD_NAMED_MAX) {
        struct buf text = {0};
        rdb_file_describe_key(key, &text);
        log_write(load->exec->log, LOG_NOTICE, "skipped, as it has no elements: %s", buf_string(&text));
        buf_done(&text);
    }
    return ST_OK;
}

/* ---- What is between keys ---------------------------------------------------------------------------------- */

static enum status on_db(void *context, uint64_t number)
{
    struct load *load = context;
    struct keyspace *keyspace = load->exec->keyspace;
    if (number >= keyspace->db_count) {
        rdb_file_set_error(load->file,
                           "Data file was created with a server configured to handle more than %u databases",
                           (unsigned)keyspace->db_count);
        return ST_RANGE;
    }
    load->db = &keyspace->dbs[number];
    return ST_OK;
}

static enum status on_foreign(void *context, const struct rdb_file_foreign *foreign)
{
    struct load *load = context;
    if (!load->exec->config->rdb_skip_unknown || !foreign->can_skip)
        return ST_UNSUPPORTED;
    if (load->report.foreign++ < LOAD_NAMED_MAX) {
        struct buf text = {0};
        rdb_file_describe_foreign(foreign, &text);
        log_write(load->exec->log, LOG_WARNING, "skipped: %s", buf_string(&text));
        buf_done(&text);
    }
    return ST_OK;
}

static bool is_text(struct slice text, const char *wanted)
{
    return slice_equal(text, slice_from_string(wanted));
}

static enum status on_aux(void *context, struct slice name, struct slice value)
{
    struct load *load = context;
    struct load_report *report = &load->report;
    int64_t number = 0;
    bool is_number = num_parse_i64(value, &number);
    if (is_text(name, "repl-id") && value.size == LOAD_ID_SIZE) {
        memcpy(report->replication_id, value.data, LOAD_ID_SIZE);
        report->has_replication = true;
    } else if (is_text(name, "repl-offset") && is_number) {
        report->replication_offset = number;
    } else if (is_text(name, "repl-stream-db") && is_number) {
        report->replication_db = number;
    } else if ((is_text(name, "aof-base") || is_text(name, "aof-preamble")) && is_number) {
        report->is_aof_base = number != 0;
    } else if (is_text(name, "used-mem") && is_number && number > 0) {
        load->source_used_memory = (uint64_t)number;
    } else if (is_text(name, "redis-ver") || is_text(name, "valkey-ver") || is_text(name, "skua-ver")) {
        log_write(load->exec->log, LOG_NOTICE, "Loading RDB produced by version %.*s",
                  (int)(value.size < 32 ? value.size : 32), value.data);
    } else if (is_text(name, "ctime") && is_number) {
        int64_t age_s = load->exec->now_ms / 1000 - number;
        log_write(load->exec->log, LOG_NOTICE, "RDB age %" PRId64 " seconds", age_s > 0 ? age_s : 0);
    }
    return ST_OK;
}

static enum status on_end(void *context)
{
    return flush_batch(context);
}

/* ---- Life -------------------------------------------------------------------------------------------------- */

struct load *load_new(struct exec *exec, const struct load_options *options)
{
    struct load *load = mem_calloc(1, sizeof *load);
    load->exec = exec;
    load->options = *options;
    load->db = &exec->keyspace->dbs[0];
    load->began_ms = clock_wall_us(exec->clock) / 1000;
    load->began_ns = clock_monotonic_ns(exec->clock);
    struct rdb_file_options file_options = {
        .keyspace = exec->keyspace,
        .limits = load_limits(exec->config),
        .bytes_total = options->bytes_total,
        .checksum = exec->config->rdbchecksum,
        .visitor = {.context = load,
                    .on_aux = on_aux,
                    .on_db = on_db,
                    .on_key = on_key,
                    .on_empty_key = on_empty_key,
                    .on_foreign = on_foreign,
                    .on_end = on_end},
    };
    if (file_options.limits.text_max < LOAD_TEXT_MAX)
        file_options.limits.text_max = LOAD_TEXT_MAX;
    load->file = rdb_file_new(&file_options);
    if (load->file == NULL) {
        mem_free(load);
        return NULL;
    }
    if (exec->persist != NULL)
        exec->persist->loading = load;
    exec_set_hindrance(exec, EXEC_LOADING, !options->is_async);
    return load;
}

void load_free(struct load *load)
{
    if (load == NULL)
        return;
    rdb_file_free(load->file);
    for (unsigned i = 0; i < load->batch_count; i++)
        keyspace_retire(load->exec->keyspace, load->batch[i].entry);
    struct persist *persist = load->exec->persist;
    if (persist != NULL) {
        persist->last_load_keys = load->report.keys;
        persist->last_load_expired = load->report.expired;
        if (persist->loading == load)
            persist->loading = NULL;
    }
    exec_set_hindrance(load->exec, EXEC_LOADING, false);
    buf_done(&load->error);
    mem_free(load);
}

/* Puts what has been read into the tables before anybody else can look. */
static enum status settle(struct load *load, enum status status)
{
    enum status inserted = flush_batch(load);
    load->report.bytes = rdb_file_offset(load->file);
    load->report.version = rdb_file_version(load->file);
    if (inserted == ST_OK || (status != ST_AGAIN && status != ST_LIMIT && status != ST_OK))
        return status;
    if (inserted == ST_NOMEM)
        buf_printf(&load->error, "out of memory");
    return inserted;
}

static void take_time(struct load *load)
{
    keyspace_set_time(load->exec->keyspace, clock_wall_us(load->exec->clock) / 1000);
}

enum status load_feed(struct load *load, struct slice bytes, uint64_t work)
{
    take_time(load);
    return settle(load, rdb_file_feed(load->file, bytes, work));
}

enum status load_feed_summed(struct load *load, struct slice bytes, uint64_t work, uint64_t crc_after)
{
    take_time(load);
    return settle(load, rdb_file_feed_summed(load->file, bytes, work, crc_after));
}

enum status load_ends(struct load *load)
{
    return settle(load, rdb_file_ends(load->file));
}

struct slice load_rest(const struct load *load)
{
    return rdb_file_rest(load->file);
}

const struct load_report *load_report(const struct load *load)
{
    return &load->report;
}

const char *load_error(struct load *load)
{
    return load->error.size > 0 ? buf_string(&load->error) : rdb_file_error(load->file);
}

/* ---- INFO -------------------------------------------------------------------------------------------------- */

void load_set_total(struct load *load, uint64_t bytes_total)
{
    load->options.bytes_total = bytes_total;
}

void load_progress(const struct exec *exec, struct load_progress *ret_progress)
{
    const struct load *load = exec->persist != NULL ? exec->persist->loading : NULL;
    /* Between the command or the start that begins it and the file's first bytes there is nothing yet to tell. */
    *ret_progress = (struct load_progress){.is_loading = exec->hindrances & EXEC_LOADING,
                                           .began_ms = clock_wall_us(exec->clock) / 1000};
    if (exec->persist != NULL && load == NULL && aof_loading_progress(exec->persist->aof, ret_progress))
        return;
    if (load == NULL)
        return;
    uint64_t total = load->options.bytes_total, loaded = load->report.bytes;
    *ret_progress = (struct load_progress){
        .is_loading = !load->options.is_async,
        .is_async = load->options.is_async,
        .began_ms = load->began_ms,
        .bytes_total = total,
        .bytes_loaded = loaded,
        .source_used_memory = load->source_used_memory,
    };
    uint64_t elapsed_ns = clock_monotonic_ns(exec->clock) - load->began_ns;
    if (loaded > 0 && total > loaded)
        ret_progress->eta_seconds =
            (uint64_t)((double)elapsed_ns / 1e9 * (double)(total - loaded) / (double)loaded);
}
