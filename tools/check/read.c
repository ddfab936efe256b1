/* Reading sources. Entry: read_check, read_keys. Threads and rules: see read.h.
 *
 * A source is a log when there is a manifest, when its file does not begin as a snapshot, or when something follows the
 * snapshot in the file. The last is known only when the snapshot has been read: whoever wants keys of a file that is alone finds that
 * out first (find_log). */
#include "check/read.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "check/log_scan.h"
#include "common/progress.h"
#include "exec/apply.h"
#include "exec/exec.h"
#include "rdb/file_read.h"

#define BLOCK_SIZE ((size_t)256 << 10)

/* What is done with keys. */
enum purpose {
    PURPOSE_CHECK,  /* nothing */
    PURPOSE_SHOW,   /* of a snapshot: handed over as they come */
    PURPOSE_REPLAY, /* put into the keyspace */
};

struct reading {
    const struct source *source;
    const struct source_file *part; /* the file that is read now */
    struct state *state;
    struct findings *findings;
    enum purpose purpose;
    read_key_fn *each;
    void *context;
    struct apply *apply; /* of PURPOSE_REPLAY */
    struct progress progress;
    uint64_t bytes_before; /* in files that have been read */
    struct file file;
    char *blocks[2]; /* in turns: a snapshot's reader looks back at the one before */
    unsigned turn;
};

/* ---- Blocks ------------------------------------------------------------------------------------------------ */

static enum check_status system_refused(struct reading *reading)
{
    return findings_fail(reading->findings, FINDINGS_FAILED, reading->part->path, 0, "%s", strerror(errno));
}

/* The next bytes; none at the end of the file. */
static enum check_status next_block(struct reading *reading, uint64_t offset, struct slice *ret_bytes)
{
    size_t size;
    char *block = reading->blocks[reading->turn ^= 1];
    if (file_pread(&reading->file, block, BLOCK_SIZE, offset, &size) != ST_OK)
        return system_refused(reading);
    progress_update(&reading->progress, reading->bytes_before + offset);
    *ret_bytes = slice_make(block, size);
    return CHECK_SOUND;
}

/* ---- Snapshots --------------------------------------------------------------------------------------------- */

static enum status on_header(void *context, unsigned version, bool is_valkey)
{
    struct reading *reading = context;
    reading->findings->version = version;
    reading->findings->is_valkey = is_valkey;
    return ST_OK;
}

static enum status on_aux(void *context, struct slice name, struct slice value)
{
    struct reading *reading = context;
    static const char *const names[] = {"redis-ver", "valkey-ver", "skua-ver"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (!slice_equal(name, slice_from_string(names[i])))
            continue;
        char *writer = reading->findings->writer;
        size_t size = (size_t)snprintf(writer, sizeof reading->findings->writer, "%.*s ",
                                       (int)strcspn(names[i], "-"), names[i]);
        for (size_t k = 0; k < value.size && size + 1 < sizeof reading->findings->writer; k++)
            writer[size++] = value.data[k] > ' ' && value.data[k] <= '~' ? value.data[k] : '?';
        writer[size] = 0;
    }
    return ST_OK;
}

static enum status on_db(void *context, uint64_t db)
{
    struct reading *reading = context;
    reading->findings->databases++;
    return ST_OK;
}

static void show(struct reading *reading, const struct rdb_file_key *key, const struct entry *entry)
{
    struct read_key shown = {.db = key->db,
                             .name = key->name,
                             .entry = entry,
                             .type = key->type,
                             .has_idle = key->has_idle,
                             .has_frequency = key->has_frequency,
                             .idle_seconds = key->idle_seconds,
                             .frequency = key->frequency};
    reading->each(reading->context, &shown);
}

static enum status insert(struct reading *reading, const struct rdb_file_key *key, struct entry *entry)
{
    struct keyspace *keyspace = reading->state->keyspace;
    struct table_position position;
    if (key->db >= keyspace->db_count) {
        findings_fail(reading->findings, FINDINGS_FOREIGN, reading->part->path, key->offset,
                      "a key is in database %" PRIu64 ", only databases below %u can be replayed", key->db,
                      keyspace->db_count);
        return ST_RANGE;
    }
    struct db *db = &keyspace->dbs[key->db];
    uint64_t hash = keyspace_hash(keyspace, key->name);
    if (db_locate(db, key->name, hash, &position) != NULL) {
        findings_fail(reading->findings, FINDINGS_DAMAGED, reading->part->path, key->offset,
                      "a key comes for the second time");
        return ST_EXISTS;
    }
    return db_insert(db, entry, hash);
}

static enum status on_key(void *context, const struct rdb_file_key *key, struct rdb_value *value)
{
    struct reading *reading = context;
    struct keyspace *keyspace = reading->state->keyspace;
    reading->findings->keys++;
    reading->findings->expires += key->expire_ms != ENTRY_NO_EXPIRE;
    if (reading->purpose == PURPOSE_CHECK) {
        rdb_value_drop(value, keyspace);
        keyspace_reclaim_step(keyspace);
        return ST_OK;
    }
    struct entry_options options = {.expire_ms = key->expire_ms};
    struct entry *entry = rdb_value_entry(value, keyspace, key->name, &options);
    if (entry == NULL)
        return ST_NOMEM;
    enum status status = ST_OK;
    if (reading->purpose == PURPOSE_SHOW)
        show(reading, key, entry);
    else
        status = insert(reading, key, entry);
    if (reading->purpose == PURPOSE_SHOW || status != ST_OK)
        entry_free(keyspace->heap, entry);
    return status;
}

static enum status on_empty_key(void *context, const struct rdb_file_key *key)
{
    struct reading *reading = context;
    reading->findings->passed_by++;
    return ST_OK;
}

static enum status on_foreign(void *context, const struct rdb_file_foreign *foreign)
{
    struct reading *reading = context;
    if (foreign->what == RDB_FOREIGN_FUNCTION || foreign->what == RDB_FOREIGN_FUNCTION_OLD)
        reading->findings->functions++;
    else if (foreign->key != NULL)
        reading->findings->passed_by++;
    else
        reading->findings->aux++;
    return foreign->can_skip ? ST_OK : ST_UNSUPPORTED;
}

static struct rdb_file *begin_snapshot(struct reading *reading)
{
    struct rdb_file_options options = {
        .keyspace = reading->state->keyspace,
        .limits = reading->state->limits,
        .bytes_total = reading->part->size,
        .checksum = true,
        .visitor = {.context = reading,
                    .on_header = on_header,
                    .on_aux = on_aux,
                    .on_db = on_db,
                    .on_key = on_key,
                    .on_empty_key = on_empty_key,
                    .on_foreign = on_foreign},
    };
    return rdb_file_new(&options);
}

static enum check_status snapshot_failed(struct reading *reading, struct rdb_file *file, enum status status)
{
    enum findings_problem problem = status == ST_UNSUPPORTED ? FINDINGS_FOREIGN
                                    : status == ST_NOMEM     ? FINDINGS_FAILED
                                                             : FINDINGS_DAMAGED;
    reading->findings->is_located = reading->findings->problem == FINDINGS_NONE;
    return findings_fail(reading->findings, problem, reading->part->path, rdb_file_offset(file), "%s",
                         rdb_file_error(file));
}

/* Reads the snapshot at the file's beginning. *ret_end is where it ends. */
static enum check_status read_snapshot(struct reading *reading, uint64_t *ret_end)
{
    struct rdb_file *file = begin_snapshot(reading);
    if (file == NULL)
        return findings_fail(reading->findings, FINDINGS_FAILED, reading->part->path, 0, "not enough memory");
    enum check_status result = CHECK_SOUND;
    enum status status = ST_AGAIN;
    for (uint64_t offset = 0; result == CHECK_SOUND && status == ST_AGAIN;) {
        struct slice bytes;
        result = next_block(reading, offset, &bytes);
        if (result != CHECK_SOUND)
            break;
        if (bytes.size == 0) {
            rdb_file_ends(file);
            result = snapshot_failed(reading, file, ST_INVALID);
            break;
        }
        offset += bytes.size;
        status = rdb_file_feed(file, bytes, RDB_FILE_WORK_ALL);
    }
    if (result == CHECK_SOUND && status != ST_OK)
        result = snapshot_failed(reading, file, status);
    if (result == CHECK_SOUND) {
        reading->findings->is_sealed = rdb_file_is_sealed(file);
        *ret_end = rdb_file_offset(file);
    }
    rdb_file_free(file);
    return result;
}

/* ---- Logs -------------------------------------------------------------------------------------------------- */

static void take_figures(struct findings *findings, const struct log_scan *scan)
{
    findings->has_log = true;
    findings->requests += scan->requests;
    findings->transactions += scan->transactions;
    if (scan->unknown > 0 && findings->unknown == 0) {
        snprintf(findings->first_unknown, sizeof findings->first_unknown, "%s", scan->first_unknown);
        findings->first_unknown_at = scan->first_unknown_at;
    }
    findings->unknown += scan->unknown;
}

/* The form of a log from an offset on. *ret_sound_end is where what can be replayed ends. */
static enum check_status scan_log(struct reading *reading, uint64_t start, uint64_t *ret_sound_end)
{
    struct log_scan scan;
    struct slice bytes;
    bool is_last = reading->part == source_last(reading->source), is_sound = true;
    log_scan_init(&scan, start);
    uint64_t offset = start;
    while (is_sound) {
        enum check_status status = next_block(reading, offset, &bytes);
        if (status != CHECK_SOUND)
            return status;
        if (bytes.size == 0)
            break;
        is_sound = log_scan_feed(&scan, bytes);
        offset += bytes.size;
    }
    take_figures(reading->findings, &scan);
    *ret_sound_end = scan.sound_end;
    bool is_damaged = !is_sound;
    if (is_sound && log_scan_end(&scan))
        return CHECK_SOUND;
    if (reading->findings->problem == FINDINGS_NONE && is_last) {
        reading->findings->can_cut = true;
        reading->findings->cut_at = scan.sound_end;
    }
    return findings_fail(reading->findings, is_damaged || !is_last ? FINDINGS_DAMAGED : FINDINGS_TORN,
                         reading->part->path, scan.error_at, "%s%s", scan.error,
                         is_last ? "" : ", which only the last file of a log may");
}

/* Executes the requests from `start` to `end`, which have been scanned. */
static enum check_status replay(struct reading *reading, uint64_t start, uint64_t end)
{
    struct buf pending = {0}; /* a request that is not whole */
    enum check_status result = CHECK_SOUND;
    for (uint64_t offset = start; result == CHECK_SOUND && offset < end;) {
        struct slice bytes;
        size_t used = 0;
        result = next_block(reading, offset, &bytes);
        if (result != CHECK_SOUND || bytes.size == 0)
            break;
        if (bytes.size > end - offset)
            bytes.size = (size_t)(end - offset);
        offset += bytes.size;
        if (!buf_try_reserve(&pending, bytes.size)) {
            result = findings_fail(reading->findings, FINDINGS_FAILED, reading->part->path, 0,
                                   "not enough memory");
            break;
        }
        buf_append_slice(&pending, bytes);
        enum status status;
        do {
            size_t some;
            status =
                apply_feed(reading->apply, pending.data + used, pending.size - used, APPLY_NO_BUDGET, &some);
            used += some;
        } while (status == ST_AGAIN);
        if (status != ST_OK)
            result = findings_fail(reading->findings, FINDINGS_DAMAGED, reading->part->path,
                                   offset - pending.size + used, "%s", apply_fault(reading->apply));
        memmove(pending.data, pending.data + used, pending.size - used);
        pending.size -= used;
        keyspace_reclaim_step(reading->state->keyspace);
    }
    buf_done(&pending);
    return result;
}

/* ---- Parts ------------------------------------------------------------------------------------------------- */

static enum check_status read_part(struct reading *reading)
{
    uint64_t end = 0, sound_end = 0;
    enum check_status status = CHECK_SOUND;
    if (reading->part->is_snapshot)
        status = read_snapshot(reading, &end);
    if (status != CHECK_SOUND || (reading->part->is_snapshot && end == reading->part->size))
        return status;
    status = scan_log(reading, end, &sound_end);
    if (reading->purpose == PURPOSE_REPLAY && status != CHECK_FAILED) {
        enum check_status replayed = replay(reading, end, sound_end);
        status = replayed > status ? replayed : status;
    }
    return status;
}

static enum check_status read_all(struct reading *reading)
{
    enum check_status status = CHECK_SOUND;
    struct progress_options options = {.label = "Reading",
                                       .unit = PROGRESS_BYTES,
                                       .total = reading->findings->bytes,
                                       .descriptor = STDERR_FILENO,
                                       .output = -1};
    for (unsigned i = 0; i < ARRAY_COUNT(reading->blocks); i++)
        reading->blocks[i] = mem_alloc(BLOCK_SIZE);
    progress_init(&reading->progress, &options);
    for (unsigned i = 0; status == CHECK_SOUND && i < reading->source->file_count; i++) {
        reading->part = &reading->source->files[i];
        if (file_open(file_system_real(), reading->part->path, FILE_READ, &reading->file) != ST_OK) {
            status = system_refused(reading);
            break;
        }
        status = read_part(reading);
        file_close(&reading->file);
        reading->bytes_before += reading->part->size;
    }
    progress_done(&reading->progress);
    for (unsigned i = 0; i < ARRAY_COUNT(reading->blocks); i++)
        mem_free(reading->blocks[i]);
    return status;
}

enum check_status read_check(const struct source *source, struct state *state, struct findings *findings)
{
    struct reading reading = {
        .source = source, .state = state, .findings = findings, .purpose = PURPOSE_CHECK};
    return read_all(&reading);
}

/* ---- Keys -------------------------------------------------------------------------------------------------- */

struct showing {
    read_key_fn *each;
    void *context;
    uint64_t db;
};

static void show_entry(void *item, void *context)
{
    struct showing *showing = context;
    struct entry *entry = item;
    struct read_key key = {.db = showing->db, .name = entry_key(entry), .entry = entry, .type = READ_NO_TYPE};
    showing->each(showing->context, &key);
}

static void show_all(struct keyspace *keyspace, read_key_fn *each, void *context)
{
    for (uint32_t i = 0; i < keyspace->db_count; i++) {
        struct showing showing = {each, context, i};
        uint64_t cursor = 0;
        if (table_size(keyspace->dbs[i].keys) == 0)
            continue;
        do {
            cursor = table_scan(keyspace->dbs[i].keys, cursor, show_entry, &showing);
        } while (cursor != 0);
    }
}

static enum check_status replay_all(struct reading *reading, read_key_fn *each, void *context)
{
    struct apply_report report;
    reading->purpose = PURPOSE_REPLAY;
    reading->apply = apply_new(reading->state->exec, &(struct apply_options){.skip_annotations = true});
    enum check_status status = read_all(reading);
    apply_report(reading->apply, &report);
    reading->findings->refused = report.errors - report.unknown;
    if (report.errors > 0)
        snprintf(reading->findings->first_refusal, sizeof reading->findings->first_refusal, "%s",
                 apply_error(reading->apply));
    apply_free(reading->apply);
    show_all(reading->state->keyspace, each, context);
    return status;
}

/* Whether something follows the snapshot in a file that is alone: then its keys are not the last word. */
static enum check_status find_log(struct reading *reading, bool *ret_is_log)
{
    struct findings findings;
    struct reading first = *reading;
    findings_init(&findings);
    findings.bytes = reading->findings->bytes;
    first.findings = &findings;
    first.purpose = PURPOSE_CHECK;
    enum check_status status = read_all(&first);
    *ret_is_log = findings.has_log;
    findings_done(&findings);
    return status;
}

enum check_status read_keys(const struct source *source, struct state *state, struct findings *findings,
                            read_key_fn *each, void *context)
{
    struct reading reading = {
        .source = source, .state = state, .findings = findings, .each = each, .context = context};
    bool is_log = source->manifest != NULL || !source->files[0].is_snapshot;
    if (!is_log)
        find_log(&reading, &is_log);
    if (is_log)
        return replay_all(&reading, each, context);
    reading.purpose = PURPOSE_SHOW;
    return read_all(&reading);
}
