/* A full sync: a primary's snapshot is received, and becomes this server's data. States and rules in replica.h.
 *
 *   link --payload--> file --whole--> the old data go --> load_file_begin       (repl-diskless-load disabled)
 *   link --payload--> the old data go --> load_feed                             (on-empty-db, when there are none)
 *
 * Threads: executor. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "exec/block.h"
#include "exec/exec.h"
#include "exec/hold.h"
#include "exec/local_keys.h"
#include "exec/tracking.h"
#include "exec/watch.h"
#include "io/link.h"
#include "persist/aof.h"
#include "persist/load.h"
#include "persist/persist.h"
#include "repl/receive.h"
#include "repl/repl.h"
#include "repl/replica.h"

/* Of the snapshot's bytes, what is cut out at a time. */
#define CUT_SIZE ((uint64_t)64 << 10)

/* ---- Beginning ------------------------------------------------------------------------------------ */

static bool has_data(const struct exec *exec)
{
    for (uint32_t i = 0; i < exec->keyspace->db_count; i++)
        if (table_size(exec->keyspace->dbs[i].keys) > 0)
            return true;
    return false;
}

/* R3 */
static void empty_keyspace(struct replica *replica)
{
    struct exec *exec = replica->exec;
    replica_set_known(replica, false);
    for (uint32_t i = 0; i < exec->keyspace->db_count; i++) {
        struct db *db = &exec->keyspace->dbs[i];
        watch_touch_db(exec->watch, db, NULL);
        block_db_lost(exec->block, db);
        db_flush(db);
    }
    tracking_flushed(exec);
    local_keys_forget(exec);
}

/* The append-only file reads the log that is about to be another one. False: not yet, the next step will ask again. */
static bool let_go_of_log(struct replica *replica, bool let_go)
{
    struct persist *persist = replica->exec->persist;
    if (persist == NULL || (!let_go && !replica->holds_log))
        return true;
    replica->holds_log = let_go;
    return aof_hold(persist->aof, let_go);
}

/* Nothing is in the middle of something with the old data. False: the next step will ask again. */
static bool may_replace_data(struct replica *replica)
{
    return let_go_of_log(replica, true) && !hold_is_any(&replica->exec->holds);
}

static void file_written(void *context, enum status status, int error, uint64_t bytes, bool is_finished);

bool replica_sync_goes_to_file(const struct replica *replica)
{
    const struct exec *exec = replica->exec;
    return exec->config->repl_diskless_load != CONFIG_REPL_DISKLESS_LOAD_ON_EMPTY_DB || has_data(exec);
}

/* R6: what follows goes behind what is in the file. */
static bool go_on_with_file(struct replica *replica)
{
    const struct handshake *handshake = &replica->handshake;
    if (!replica->is_broken_off || handshake->bytes == 0)
        return false;
    replica->is_broken_off = false;
    payload_resume(&replica->payload);
    return true;
}

void replica_sync_begin(struct replica *replica)
{
    struct exec *exec = replica->exec;
    if (go_on_with_file(replica))
        return;
    replica_sync_abandon(replica);
    memcpy(replica->snapshot, replica->handshake.snapshot, sizeof replica->snapshot);
    payload_init(&replica->payload);
    buf_clear(&replica->bytes);
    replica->is_load_busy = replica->is_load_whole = replica->is_file_whole = false;
    if (!replica_sync_goes_to_file(replica))
        return;
    char path[64];
    snprintf(path, sizeof path, "temp-%" PRId64 ".%d.rdb", exec->now_ms, (int)getpid());
    replica->receive = receive_begin(exec, exec->files, path, file_written, replica);
}

void replica_sync_abandon(struct replica *replica)
{
    bool was_loading = replica->load || replica->loading;
    if (replica->loading)
        load_file_cancel(replica->loading);
    if (replica->load)
        load_free(replica->load);
    if (replica->receive)
        receive_end(replica->receive);
    replica->loading = NULL;
    replica->load = NULL;
    replica->receive = NULL;
    replica->file_bytes = replica->broken_bytes = 0;
    replica->is_broken_off = false;
    replica->snapshot[0] = 0;
    buf_done(&replica->bytes);
    payload_init(&replica->payload);
    if (was_loading)
        empty_keyspace(replica); /* R3: half of the data are none */
    let_go_of_log(replica, false);
}

bool replica_sync_break_off(struct replica *replica)
{
    const struct payload *payload = &replica->payload;
    bool is_part = payload->state == PAYLOAD_COUNTED || payload->state == PAYLOAD_MARKED;
    if (replica->state != REPLICA_RECEIVING || replica->receive == NULL || !replica->snapshot[0] ||
        !is_part || payload->taken == 0)
        return false;
    replica->broken_bytes += replica->file_bytes;
    replica->file_bytes = 0;
    replica->broken_ns = clock_monotonic_ns(replica->exec->clock);
    return true;
}

/* ---- All is here ---------------------------------------------------------------------------------- */

static void loaded(struct replica *replica, const struct load_report *report)
{
    struct exec *exec = replica->exec;
    log_write(exec->log, LOG_NOTICE, "the primary's snapshot is loaded: %" PRIu64 " keys", report->keys);
    repl_take_history(replica->repl, replica->full_id, replica->full_offset);
    let_go_of_log(replica, false);
    replica_set_known(replica, true);
    replica->db = report->replication_db > 0 ? (uint32_t)report->replication_db : 0;
    replica->full_syncs++;
    replica_go_on(replica);
}

/* ---- Straight into the keyspace ------------------------------------------------------------------- */

static bool begin_load(struct replica *replica)
{
    struct load_options options = {.bytes_total = replica->payload.total, .keep_expired = true};
    empty_keyspace(replica);
    replica->load = load_new(replica->exec, &options);
    if (replica->load == NULL)
        replica_drop_link(replica, "no memory to load the snapshot");
    return replica->load != NULL;
}

/* Hands `bytes` on. False: nothing more can be done now. */
static bool feed_load(struct replica *replica)
{
    if (replica->load == NULL && (!may_replace_data(replica) || !begin_load(replica)))
        return false;
    struct slice bytes = replica->is_load_busy ? (struct slice){0} : buf_slice(&replica->bytes);
    enum status status = load_feed(replica->load, bytes, LOAD_STEP_WORK);
    replica->is_load_busy = status == ST_LIMIT;
    if (status == ST_LIMIT)
        return true;
    if (status != ST_OK && status != ST_AGAIN) {
        replica_drop_link(replica, "the snapshot is damaged: %s", load_error(replica->load));
        return false;
    }
    replica->is_load_whole = status == ST_OK;
    buf_clear(&replica->bytes);
    return true;
}

static void finish_load(struct replica *replica)
{
    if (!replica->is_load_whole) {
        if (replica->load)
            load_ends(replica->load);
        replica_drop_link(replica, "the snapshot is cut short: %s",
                          replica->load ? load_error(replica->load) : "there is none");
        return;
    }
    struct load_report report = *load_report(replica->load);
    load_free(replica->load);
    replica->load = NULL;
    loaded(replica, &report);
}

/* ---- Through a file ------------------------------------------------------------------------------- */

static void file_loaded(void *context, enum status status, const struct load_report *report,
                        const char *error)
{
    struct replica *replica = context;
    replica->loading = NULL; /* it ends after this */
    receive_end(replica->receive);
    replica->receive = NULL;
    if (status == ST_OK) {
        loaded(replica, report);
        replica_post(replica);
        return;
    }
    empty_keyspace(replica);
    replica_drop_link(replica, "the snapshot cannot be loaded: %s", error);
}

static void load_from_file(struct replica *replica)
{
    struct load_options options = {.keep_expired = true};
    empty_keyspace(replica);
    replica_enter(replica, REPLICA_LOADING);
    replica->loading = load_file_begin(replica->exec, replica->exec->files, receive_path(replica->receive),
                                       &options, file_loaded, replica);
}

static void file_written(void *context, enum status status, int error, uint64_t bytes, bool is_finished)
{
    struct replica *replica = context;
    if (status != ST_OK && replica->is_broken_off) {
        replica_sync_abandon(replica);
        return;
    }
    if (status != ST_OK) {
        replica->snapshot[0] = 0; /* nothing can be gone on with */
        replica_drop_link(replica, "the snapshot cannot be written to a file: %s", strerror(error));
        return;
    }
    uint64_t of_before = bytes < replica->broken_bytes ? bytes : replica->broken_bytes;
    replica->broken_bytes -= of_before;
    replica->file_bytes -= bytes - of_before;
    replica_consumed(replica, bytes - of_before);
    replica->is_file_whole = is_finished;
    replica_post(replica);
}

/* ---- Steps ---------------------------------------------------------------------------------------- */

/* The primary need not keep it for us any longer. */
static void say_received(struct replica *replica)
{
    struct buf out = {0};
    if (replica->snapshot[0] && replica->link) {
        buf_printf(&out, "*3\r\n$8\r\nREPLCONF\r\n$13\r\nskua-received\r\n$%d\r\n%s\r\n", REPL_ID_SIZE,
                   replica->snapshot);
        io_link_send(replica->link, buf_slice(&out));
    }
    buf_done(&out);
}

/* Cuts what has come up to the next bytes of the snapshot. */
static void cut(struct replica *replica)
{
    struct chunk_list *input = &replica->input;
    uint64_t passed = 0;
    while (input->bytes > 0 && replica->bytes.size < CUT_SIZE && replica->payload.state < PAYLOAD_WHOLE) {
        const struct chunk *chunk = input->head;
        size_t taken =
            payload_take(&replica->payload, slice_make(chunk->data + chunk->start, chunk->end - chunk->start),
                         &replica->bytes);
        chunk_list_consume(input, taken, replica->exec->chunks);
        passed += taken;
    }
    if (replica->receive == NULL || replica->bytes.size == 0) {
        replica_consumed(replica, passed);
        return;
    }
    /* The window opens again when they are in the file. */
    uint64_t beside = passed > replica->bytes.size ? passed - replica->bytes.size : 0;
    replica_consumed(replica, beside);
    replica->file_bytes += replica->bytes.size;
    receive_write(replica->receive, buf_slice(&replica->bytes));
    buf_clear(&replica->bytes);
    if (replica->payload.state == PAYLOAD_WHOLE) {
        receive_finish(replica->receive);
        say_received(replica);
    }
}

/* All of it has come, as far as the payload says. */
static bool finish_receiving(struct replica *replica)
{
    if (replica->receive == NULL) {
        finish_load(replica);
        return true;
    }
    if (!replica->is_file_whole || !may_replace_data(replica))
        return false;
    load_from_file(replica);
    return true;
}

static bool receive_step(struct replica *replica)
{
    if (replica->is_load_busy)
        return feed_load(replica);
    enum payload_state before = replica->payload.state;
    if (before != PAYLOAD_WHOLE)
        cut(replica);
    if (replica->payload.state == PAYLOAD_BAD) {
        replica_drop_link(replica, "the primary sends no snapshot: %.80s", replica->payload.line);
        return false;
    }
    if (replica->bytes.size > 0 && !feed_load(replica))
        return false;
    if (replica->payload.state == PAYLOAD_WHOLE && !replica->is_load_busy)
        return finish_receiving(replica);
    if (replica->is_link_lost && replica->input.bytes == 0 && !replica->is_load_busy) {
        replica_drop_link(replica, "it has ended in the middle of the snapshot");
        return false;
    }
    return replica->is_load_busy || replica->input.bytes > 0;
}

bool replica_sync_step(struct replica *replica)
{
    /* A file is gone on with by the server's main loop (persist_step). */
    return replica->loading == NULL && receive_step(replica);
}
