/* What is written into the log of changes. Rules in propagate.h. Threads: executor only. */
#include "exec/propagate.h"

#include <string.h>

#include "base/alloc.h"
#include "config/config.h"
#include "exec/call.h"
#include "exec/sliced.h"

/* P8: in `unit`. */
struct propagate_span {
    size_t start, end;
};

/* A longer unit's memory is given back. */
#define UNIT_KEPT_MAX ((size_t)64 << 10)

/* Words of an edited request that need no memory. */
#define EDITED_FEW 32

bool propagate_is_on(const struct exec *exec)
{
    return exec->propagate.log != NULL && !exec->propagate.is_applying && !exec->is_replica;
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

uint32_t propagate_db(const struct exec *exec)
{
    return exec->propagate.db == PROPAGATE_NO_DB ? 0 : exec->propagate.db;
}

uint64_t propagate_beyond_history(const struct exec *exec)
{
    const struct changelog *log = exec->propagate.log;
    if (likely(log == NULL))
        return 0;
    uint64_t held = changelog_memory(log), history = history_max(exec) + 2 * CHANGELOG_BLOCK_SIZE;
    return held > history ? held - history : 0;
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
    if (exec->is_replica)
        return; /* what comes next is the primary's */
    exec->propagate.db = PROPAGATE_NO_DB;
}

void propagate_done(struct exec *exec)
{
    buf_done(&exec->propagate.unit);
    buf_done(&exec->propagate.messages);
    if (exec->propagate.log)
        changelog_free(exec->propagate.log);
}

/* ---- Requests as bytes ---------------------------------------------------------------------------- */

#define HEAD_MAX (1 + NUM_I64_TEXT_MAX + 2)

/* "*3\r\n", "$5\r\n". There are HEAD_MAX bytes. Most numbers have one or two digits. */
ALWAYS_INLINE char *put_head(char *at, char kind, uint64_t number)
{
    *at++ = kind;
    if (likely(number < 10)) {
        *at++ = (char)('0' + number);
    } else if (likely(number < 100)) {
        *at++ = (char)('0' + number / 10);
        *at++ = (char)('0' + number % 10);
    } else {
        at += num_format_u64(number, at);
    }
    memcpy(at, "\r\n", 2);
    return at + 2;
}

ALWAYS_INLINE size_t request_size_max(const struct slice *words, uint32_t count)
{
    size_t size = HEAD_MAX + count * (size_t)(HEAD_MAX + 2);
    for (uint32_t i = 0; i < count; i++)
        size += words[i].size;
    return size;
}

/* There are request_size_max bytes at `out`. */
ALWAYS_INLINE size_t put_request(char *out, const struct slice *words, uint32_t count)
{
    char *at = put_head(out, '*', count);
    for (uint32_t i = 0; i < count; i++) {
        at = put_head(at, '$', words[i].size);
        memcpy(at, words[i].data, words[i].size);
        at += words[i].size;
        memcpy(at, "\r\n", 2);
        at += 2;
    }
    return (size_t)(at - out);
}

/* Across the end of a block. */
NO_INLINE static void append_in_pieces(struct changelog *log, const struct slice *words, uint32_t count)
{
    char head[HEAD_MAX];
    changelog_append(log, slice_make(head, (size_t)(put_head(head, '*', count) - head)));
    for (uint32_t i = 0; i < count; i++) {
        changelog_append(log, slice_make(head, (size_t)(put_head(head, '$', words[i].size) - head)));
        changelog_append(log, words[i]);
        changelog_append(log, SLICE("\r\n"));
    }
}

ALWAYS_INLINE void append_request(struct changelog *log, const struct slice *words, uint32_t count)
{
    char *at = changelog_reserve(log, request_size_max(words, count));
    if (likely(at != NULL))
        changelog_commit(log, put_request(at, words, count));
    else
        append_in_pieces(log, words, count);
}

static void put_into(struct buf *buf, const struct slice *words, uint32_t count)
{
    buf_reserve(buf, request_size_max(words, count));
    buf->size += put_request(buf->data + buf->size, words, count);
}

/* P3. Writes what selects the database: the first of a unit straight into the log, before its MULTI. */
NO_INLINE static void select_db(struct propagate *propagate, uint32_t db)
{
    char number[NUM_I64_TEXT_MAX];
    const struct slice words[] = {SLICE("SELECT"), propagate_number(db, number)};
    propagate->db = db;
    if (propagate->unit_count == 0)
        append_request(propagate->log, words, 2);
    else
        put_into(&propagate->unit, words, 2);
}

/* ---- Gathering ------------------------------------------------------------------------------------ */

static void gather(struct propagate *propagate, const struct db *db, const struct slice *words,
                   uint32_t count)
{
    if (unlikely(propagate->db != db->number))
        select_db(propagate, db->number);
    put_into(&propagate->unit, words, count);
    propagate->unit_count++;
}

void propagate_words(struct exec *exec, const struct db *db, const struct slice *words, uint32_t count)
{
    if (propagate_is_on(exec))
        gather(&exec->propagate, db, words, count);
}

void propagate_deleted(struct exec *exec, const struct db *db, struct slice key)
{
    const struct slice words[] = {SLICE("DEL"), key};
    propagate_words(exec, db, words, 2);
}

void call_propagate(struct call *call, const struct slice *words, uint32_t count)
{
    call->is_replaced = true;
    propagate_words(call->exec, call->db, words, count);
}

void call_propagate_edited(struct call *call, const struct propagate_edit *edits, uint32_t count)
{
    call->is_replaced = true;
    if (!propagate_is_on(call->exec))
        return;
    uint32_t word_max = call->argc + count, word_count = 0;
    struct slice few[EDITED_FEW];
    struct slice *words = word_max <= EDITED_FEW ? few : mem_alloc(word_max * sizeof *words);
    for (uint32_t i = 0, edit = 0; i < call->argc || edit < count; i++) {
        bool is_edited = edit < count && edits[edit].index == i;
        if (!is_edited && i < call->argc)
            words[word_count++] = call->argv[i];
        for (; edit < count && edits[edit].index == i; edit++)
            if (edits[edit].word.data != NULL)
                words[word_count++] = edits[edit].word;
    }
    gather(&call->exec->propagate, call->db, words, word_count);
    if (words != few)
        mem_free(words);
}

void call_propagate_nothing(struct call *call)
{
    call->is_replaced = true;
}

void call_propagate_always(struct call *call)
{
    call->has_changed = true;
}

void call_propagate_message(struct call *call)
{
    struct propagate *propagate = &call->exec->propagate;
    if (!propagate_is_on(call->exec) || !(propagate->needs & PROPAGATE_BACKLOG))
        return;
    call->is_replaced = true;
    if (propagate->db != call->db->number)
        select_db(propagate, call->db->number); /* files want that: others may follow */
    struct propagate_span span = {.start = propagate->unit.size};
    gather(propagate, call->db, call->argv, call->argc);
    span.end = propagate->unit.size;
    buf_append(&propagate->messages, &span, sizeof span);
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
    if (call->is_replaced || !propagate_is_on(exec))
        return;
    if (propagate->in_transaction || propagate->unit_count > 0) {
        gather(propagate, call->db, call->argv, call->argc);
        return;
    }
    if (unlikely(propagate->db != call->db->number))
        select_db(propagate, call->db->number);
    append_request(propagate->log, call->argv, call->argc);
    note_written(exec);
}

/* ---- Drafts --------------------------------------------------------------------------------------- */

bool call_must_draft(const struct call *call)
{
    return propagate_is_on(call->exec) || (call->sliced != NULL && !call->sliced->is_committed);
}

void propagate_draft_add(struct propagate_draft *draft, const struct slice *words, uint32_t count)
{
    put_into(&draft->bytes, words, count);
    draft->count++;
}

void call_propagate_draft(struct call *call, struct propagate_draft *draft)
{
    struct propagate *propagate = &call->exec->propagate;
    call->is_replaced = true;
    if (draft->count > 0 && propagate_is_on(call->exec)) {
        if (propagate->db != call->db->number)
            select_db(propagate, call->db->number);
        if (propagate->unit_count == 0) { /* as it is: it may be long */
            struct buf empty = propagate->unit;
            propagate->unit = draft->bytes;
            draft->bytes = empty;
        } else {
            buf_append_slice(&propagate->unit, buf_slice(&draft->bytes));
        }
        propagate->unit_count += draft->count;
    }
    propagate_draft_done(draft);
}

void propagate_draft_done(struct propagate_draft *draft)
{
    buf_done(&draft->bytes);
    *draft = (struct propagate_draft){.count = 0};
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

/* What stands around several requests, for whom they are. */
static void append_bracket(struct propagate *propagate, struct slice word, bool for_files)
{
    struct buf request = {0};
    put_into(&request, &word, 1);
    if (for_files)
        changelog_append(propagate->log, buf_slice(&request));
    else
        changelog_append_for_links(propagate->log, buf_slice(&request));
    buf_done(&request);
}

/* P8 */
static void append_with_messages(struct propagate *propagate)
{
    const struct slice unit = buf_slice(&propagate->unit);
    const struct slice spans = buf_slice(&propagate->messages);
    size_t at = 0;
    for (size_t offset = 0; offset < spans.size; offset += sizeof(struct propagate_span)) {
        struct propagate_span span;
        memcpy(&span, spans.data + offset, sizeof span);
        changelog_append(propagate->log, slice_make(unit.data + at, span.start - at));
        changelog_append_for_links(propagate->log, slice_make(unit.data + span.start, span.end - span.start));
        at = span.end;
    }
    changelog_append(propagate->log, slice_make(unit.data + at, unit.size - at));
}

void propagate_end_unit_slow(struct exec *exec)
{
    struct propagate *propagate = &exec->propagate;
    uint32_t message_count = (uint32_t)(propagate->messages.size / sizeof(struct propagate_span));
    bool several = propagate->unit_count > 1, for_files = propagate->unit_count > message_count;
    if (propagate->unit_count == 0)
        return;
    if (several)
        append_bracket(propagate, SLICE("MULTI"), for_files);
    if (likely(message_count == 0))
        changelog_append(propagate->log, buf_slice(&propagate->unit));
    else
        append_with_messages(propagate);
    if (several)
        append_bracket(propagate, SLICE("EXEC"), for_files);
    buf_clear(&propagate->messages);
    propagate->unit_count = 0;
    note_written(exec);
    if (unlikely(propagate->unit.capacity > UNIT_KEPT_MAX))
        buf_done(&propagate->unit);
    else
        buf_clear(&propagate->unit);
}
