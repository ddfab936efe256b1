/* The stream of changes, applied. Rules in replay.h. Threads: executor. */
#include "repl/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/bug.h"
#include "base/log.h"
#include "exec/apply.h"
#include "exec/exec.h"

struct replay {
    struct exec *exec;
    struct apply *apply;
    void (*asked)(void *context);
    void *context;
    struct buf input; /* Z2 */
    size_t at;        /* of `input`: the bytes before it have been appended to the log */
    /* and those before this one are apply's no more: `at` or, inside of a transaction, behind it */
    size_t used;
    uint64_t appended; /* bytes since the beginning that are in the log */
    uint32_t db;       /* there */
    bool for_links;    /* what is appended next is PING and the like */
    bool is_starved;   /* apply wants more bytes */
    uint64_t errors;   /* that have been told */
};

/* ---- The log -------------------------------------------------------------------------------------- */

/* Appends what has been applied, up to `end` bytes since the beginning. */
static void append_applied(struct replay *replay, uint64_t end)
{
    struct changelog *log = replay->exec->propagate.log;
    size_t size = (size_t)(end - replay->appended);
    if (size == 0)
        return;
    struct slice bytes = slice_make(replay->input.data + replay->at, size);
    if (replay->for_links)
        changelog_append_for_links(log, bytes);
    else
        changelog_append(log, bytes);
    replay->at += size;
    replay->appended = end;
}

static bool is_word(struct slice word, const char *text)
{
    return slice_equal_nocase(word, text);
}

/* Called by apply before each request: all before it has taken effect. */
static bool intercept(void *context, const struct slice *argv, uint32_t argc, uint64_t offset)
{
    struct replay *replay = context;
    bool is_ping = argc <= 2 && is_word(argv[0], "ping");
    bool is_replconf = is_word(argv[0], "replconf");
    bool for_links = is_ping || is_replconf;
    if (for_links != replay->for_links) {
        append_applied(replay, offset);
        replay->for_links = for_links;
    }
    if (is_replconf && argc > 1 && is_word(argv[1], "getack"))
        replay->asked(replay->context);
    return for_links;
}

/* ---- Life ----------------------------------------------------------------------------------------- */

struct replay *replay_new(struct exec *exec, uint32_t db, void (*asked)(void *context), void *context)
{
    ASSERT(exec->propagate.log != NULL);
    struct replay *replay = mem_calloc(1, sizeof *replay);
    replay->exec = exec;
    replay->db = exec->propagate.db = db;
    replay->asked = asked;
    replay->context = context;
    replay->is_starved = true;
    struct apply_options options = {.db = db, .intercept = intercept, .context = replay};
    replay->apply = apply_new(exec, &options);
    return replay;
}

void replay_free(struct replay *replay)
{
    if (replay == NULL)
        return;
    apply_free(replay->apply);
    buf_done(&replay->input);
    mem_free(replay);
}

/* ---- Bytes ---------------------------------------------------------------------------------------- */

/* Moves what is left to the front when that is little beside what has gone. */
static void compact(struct replay *replay)
{
    struct buf *input = &replay->input;
    size_t left = input->size - replay->at;
    if (replay->at == 0 || (left > replay->at && input->size < 2 * REPLAY_INPUT_SIZE))
        return;
    memmove(input->data, input->data + replay->at, left);
    input->size = left;
    replay->used -= replay->at;
    replay->at = 0;
    if (left == 0 && input->capacity > 4 * REPLAY_INPUT_SIZE)
        buf_done(input);
}

uint64_t replay_feed(struct replay *replay, struct chunk_list *bytes)
{
    uint64_t taken = 0;
    if (!replay->is_starved || bytes->bytes == 0)
        return 0;
    compact(replay);
    /* At least something: one request may be longer than all that is kept otherwise. */
    do {
        const struct chunk *chunk = bytes->head;
        uint64_t size = chunk->end - chunk->start;
        buf_append(&replay->input, chunk->data + chunk->start, size);
        chunk_list_consume(bytes, size, replay->exec->chunks);
        taken += size;
    } while (bytes->bytes > 0 && replay->input.size - replay->at < REPLAY_INPUT_SIZE);
    replay->is_starved = false;
    return taken;
}

/* A request of the primary's that fails here is a difference between the two: worth a line, and the next one that fails too. */
static void note_errors(struct replay *replay, const struct apply_report *report)
{
    if (report->errors == replay->errors)
        return;
    if (replay->errors == 0)
        log_write(replay->exec->log, LOG_WARNING,
                  "what the primary has done fails here, the data may differ from its: %s (at offset %" PRIu64
                  " of what came over this link)",
                  apply_error(replay->apply), report->error_offset);
    replay->errors = report->errors;
}

enum status replay_step(struct replay *replay, uint64_t budget_ns)
{
    struct apply_report report;
    size_t used = 0;
    size_t size = replay->input.size - replay->used;
    if (size == 0) {
        replay->is_starved = true;
        return ST_OK;
    }
    enum status status = apply_feed(replay->apply, replay->input.data + replay->used, size, budget_ns, &used);
    replay->used += used;
    apply_report(replay->apply, &report);
    append_applied(replay, report.applied);
    replay->db = replay->exec->propagate.db = report.db; /* a SELECT in a transaction waits in its queue */
    note_errors(replay, &report);
    replay->is_starved = status == ST_OK;
    return status;
}

uint64_t replay_unapplied(const struct replay *replay)
{
    return replay->input.size - replay->at;
}

bool replay_is_idle(const struct replay *replay)
{
    return replay->is_starved;
}

uint32_t replay_db(const struct replay *replay)
{
    return replay->db;
}

const char *replay_error(const struct replay *replay)
{
    return apply_fault(replay->apply);
}
