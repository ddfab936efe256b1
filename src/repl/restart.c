/* A server that starts again goes on with its history. Rules in restart.h. Threads: executor. */
#include "repl/restart.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "config/config.h"
#include "exec/exec.h"
#include "keyspace/keyspace.h"
#include "persist/load.h"
#include "persist/persist.h"
#include "repl/primary.h"
#include "repl/repl.h"
#include "repl/replica.h"

_Static_assert(LOAD_ID_SIZE == REPL_ID_SIZE, "a file has the whole id");

struct restart {
    struct repl *repl;
    struct buf dropped; /* N1: each a struct dropped, and the key's name */
    bool is_too_much;   /* more than the history could hold: nobody can go on */
};

struct dropped {
    uint32_t db;
    size_t size;
};

static void note_dropped(void *context, const struct db *db, struct slice key)
{
    struct restart *restart = context;
    const struct dropped head = {.db = db->number, .size = key.size};
    if (restart->is_too_much || restart->repl->is_replica)
        return;
    if (restart->dropped.size + key.size > (uint64_t)restart->repl->exec->config->repl_backlog_size) {
        restart->is_too_much = true;
        buf_done(&restart->dropped);
        return;
    }
    buf_append(&restart->dropped, &head, sizeof head);
    buf_append_slice(&restart->dropped, key);
}

/* N1 */
static void write_dropped(struct restart *restart)
{
    struct exec *exec = restart->repl->exec;
    struct slice left = buf_slice(&restart->dropped);
    while (left.size > 0) {
        struct dropped head;
        memcpy(&head, left.data, sizeof head);
        left = slice_make(left.data + sizeof head, left.size - sizeof head);
        propagate_deleted(exec, &exec->keyspace->dbs[head.db], slice_make(left.data, head.size));
        propagate_end_unit(exec);
        left = slice_make(left.data + head.size, left.size - head.size);
    }
}

/* N2 */
static bool is_usable(const struct restart *restart, const struct load_report *report)
{
    if (!report->has_replication || report->replication_offset < 0 || restart->is_too_much ||
        report->replication_db >= (int64_t)restart->repl->exec->keyspace->db_count)
        return false;
    return repl_is_id(slice_make(report->replication_id, REPL_ID_SIZE));
}

static void loaded(void *context, const struct load_report *report)
{
    struct restart *restart = context;
    struct repl *repl = restart->repl;
    if (report != NULL && is_usable(restart, report)) {
        uint64_t offset = (uint64_t)report->replication_offset;
        uint32_t db = report->replication_db > 0 ? (uint32_t)report->replication_db : 0;
        if (repl->is_replica) {
            repl_take_history(repl, report->replication_id, offset);
            replica_know_history(repl->replica, db);
        } else {
            repl_resume_history(repl, report->replication_id, offset, db);
            write_dropped(restart);
        }
        log_write(repl->exec->log, LOG_NOTICE, "the data are at offset %llu of the history %s",
                  (unsigned long long)offset, report->replication_id);
    }
    buf_done(&restart->dropped);
}

struct restart *restart_new(struct repl *repl)
{
    struct persist *persist = repl->exec->persist;
    struct restart *restart = mem_calloc(1, sizeof *restart);
    restart->repl = repl;
    if (persist)
        persist->history =
            (struct persist_history){.context = restart, .dropped = note_dropped, .loaded = loaded};
    return restart;
}

void restart_free(struct restart *restart)
{
    if (restart == NULL)
        return;
    if (restart->repl->exec->persist)
        restart->repl->exec->persist->history = (struct persist_history){0};
    buf_done(&restart->dropped);
    mem_free(restart);
}
