/* What is written into the log of changes. Rules in propagate.h. Threads: executor only. */
#include "exec/propagate.h"

#include <string.h>

#include "base/num.h"
#include "config/config.h"
#include "exec/call.h"

/* A request of up to this many bytes is put together before it is appended. */
#define WHOLE_MAX 4096

bool propagate_is_on(const struct exec *exec)
{
    return exec->propagate.log != NULL && !exec->propagate.is_applying;
}

static uint64_t history_max(const struct exec *exec)
{
    return exec->propagate.needs & PROPAGATE_BACKLOG ? (uint64_t)exec->config->repl_backlog_size : 0;
}

void propagate_set_need(struct exec *exec, enum propagate_need need, bool is_needed)
{
    struct propagate *propagate = &exec->propagate;
    ASSERT(propagate->unit_count == 0);
    propagate->needs = is_needed ? propagate->needs | need : propagate->needs & ~(unsigned)need;
    if (propagate->needs != 0 && propagate->log == NULL) {
        propagate->log = changelog_new(propagate->offset, history_max(exec));
        propagate->generation++;
        propagate_select_again(exec);
    } else if (propagate->needs == 0 && propagate->log != NULL) {
        propagate->offset = changelog_end(propagate->log);
        changelog_free(propagate->log);
        propagate->log = NULL;
    } else {
        propagate_apply_history(exec);
    }
}

uint64_t propagate_offset(const struct exec *exec)
{
    return exec->propagate.log ? changelog_end(exec->propagate.log) : exec->propagate.offset;
}

void propagate_restart(struct exec *exec, uint64_t offset)
{
    exec->propagate.offset = offset;
    if (exec->propagate.log)
        changelog_restart(exec->propagate.log, offset);
    propagate_select_again(exec);
}

void propagate_apply_history(struct exec *exec)
{
    if (exec->propagate.log)
        changelog_set_history(exec->propagate.log, history_max(exec));
}

void propagate_select_again(struct exec *exec)
{
    exec->propagate.db = PROPAGATE_NO_DB;
}

/* ---- Requests as bytes ---------------------------------------------------------------------------- */

#define HEAD_MAX (1 + NUM_I64_TEXT_MAX + 2)

/* "*3\r\n", "$5\r\n" */
static size_t put_head(char *at, char kind, uint64_t number)
{
    *at = kind;
    size_t size = 1 + num_format_u64(number, at + 1);
    memcpy(at + size, "\r\n", 2);
    return size + 2;
}

static size_t request_size_max(const struct slice *words, uint32_t count)
{
    size_t size = HEAD_MAX;
    for (uint32_t i = 0; i < count; i++)
        size += HEAD_MAX + words[i].size + 2;
    return size;
}

/* There are request_size_max bytes at `out`. */
static size_t put_request(char *out, const struct slice *words, uint32_t count)
{
    char *at = out;
    at += put_head(at, '*', count);
    for (uint32_t i = 0; i < count; i++) {
        at += put_head(at, '$', words[i].size);
        memcpy(at, words[i].data, words[i].size);
        at += words[i].size;
        memcpy(at, "\r\n", 2);
        at += 2;
    }
    return (size_t)(at - out);
}

static void append_request(struct changelog *log, const struct slice *words, uint32_t count)
{
    char whole[WHOLE_MAX], head[HEAD_MAX];
    if (likely(request_size_max(words, count) <= sizeof whole)) {
        changelog_append(log, slice_make(whole, put_request(whole, words, count)));
        return;
    }
    changelog_append(log, slice_make(head, put_head(head, '*', count)));
    for (uint32_t i = 0; i < count; i++) {
        changelog_append(log, slice_make(head, put_head(head, '$', words[i].size)));
        changelog_append(log, words[i]);
        changelog_append(log, SLICE("\r\n"));
    }
}

static void gather_request(struct propagate *propagate, const struct slice *words, uint32_t count)
{
    struct buf *unit = &propagate->unit;
    buf_reserve(unit, request_size_max(words, count));
    unit->size += put_request(unit->data + unit->size, words, count);
}

/* P3. The words of a SELECT, in `ret_words`; false: none is needed. */
static bool select_words(struct propagate *propagate, uint32_t db, char number[static NUM_I64_TEXT_MAX],
                         struct slice ret_words[static 2])
{
    if (likely(propagate->db == db))
        return false;
    propagate->db = db;
    ret_words[0] = SLICE("SELECT");
    ret_words[1] = slice_make(number, num_format_u64(db, number));
    return true;
}

/* ---- Gathering ------------------------------------------------------------------------------------ */

void propagate_words(struct exec *exec, const struct db *db, const struct slice *words, uint32_t count)
{
    struct propagate *propagate = &exec->propagate;
    char number[NUM_I64_TEXT_MAX];
    struct slice select[2];
    if (!propagate_is_on(exec))
        return;
    if (select_words(propagate, db->number, number, select))
        gather_request(propagate, select, 2);
    gather_request(propagate, words, count);
    propagate->unit_count++;
}

void propagate_deleted(struct exec *exec, const struct db *db, struct slice key)
{
    struct slice words[] = {SLICE("DEL"), key};
    propagate_words(exec, db, words, 2);
}

void call_propagate(struct call *call, const struct slice *words, uint32_t count)
{
    call->is_replaced = true;
    propagate_words(call->exec, call->db, words, count);
}

void call_propagate_nothing(struct call *call)
{
    call->is_replaced = true;
}

void call_propagate_always(struct call *call)
{
    call->has_changed = true;
}

/* Up to where somebody has to have the log to have what this client has written (WAIT). */
static void note_written(struct exec *exec)
{
    if (exec->executing)
        exec->executing->written_end = changelog_end(exec->propagate.log);
}

void propagate_call_end(struct call *call)
{
    struct exec *exec = call->exec;
    struct propagate *propagate = &exec->propagate;
    char number[NUM_I64_TEXT_MAX];
    struct slice select[2];
    if (call->is_replaced || !propagate_is_on(exec))
        return;
    if (propagate->in_transaction || propagate->unit_count > 0) {
        propagate_words(exec, call->db, call->argv, call->argc);
        return;
    }
    if (select_words(propagate, call->db->number, number, select))
        append_request(propagate->log, select, 2);
    append_request(propagate->log, call->argv, call->argc);
    note_written(exec);
}

/* ---- Units ---------------------------------------------------------------------------------------- */

void propagate_begin_transaction(struct exec *exec)
{
    exec->propagate.in_transaction = true;
}

void propagate_end_transaction(struct exec *exec)
{
    propagate_end_unit_slow(exec);
    exec->propagate.in_transaction = false;
}

void propagate_end_unit_slow(struct exec *exec)
{
    struct propagate *propagate = &exec->propagate;
    if (propagate->unit_count == 0)
        return;
    bool several = propagate->unit_count > 1 || propagate->in_transaction;
    const struct slice multi = SLICE("MULTI"), end = SLICE("EXEC");
    if (several)
        append_request(propagate->log, &multi, 1);
    changelog_append(propagate->log, buf_slice(&propagate->unit));
    if (several)
        append_request(propagate->log, &end, 1);
    buf_clear(&propagate->unit);
    propagate->unit_count = 0;
    note_written(exec);
}
