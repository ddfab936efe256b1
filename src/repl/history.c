/* History on disk: jobs that write and read it. Rules in history.h. Threads: said at each section. */
#include "repl/history.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/worker.h"
#include "changelog/changelog.h"
#include "exec/exec.h"
#include "exec/post.h"
#include "repl/history_file.h"

#define WRITE_PAGES 8  /* of one job; not more than half of the smallest file */
#define PIECES_MAX  8  /* of the log, for as many bytes */
#define PARTS       4  /* pages that have been read and may be taken */
#define ASKED_MAX   16 /* readers that wait; more ask again */

/* Readers are served first, until so much waits to be written. */
#define UNWRITTEN_MUCH (HISTORY_UNWRITTEN_MAX / 2)

_Static_assert(WRITE_PAGES <= HISTORY_PAGES_MIN / 2, "what a job writes leaves pages to be read");
_Static_assert(WRITE_PAGES *HISTORY_SLOT_SIZE < (PIECES_MAX - 1) * CHANGELOG_BLOCK_SIZE,
               "so many pages lie in so few blocks");

/* A page in memory, counted by reference: output of followers' connections. */
struct part {
    _Atomic uint32_t refs;
    uint64_t start; /* the position of its first byte */
    char slot[HISTORY_SLOT_SIZE];
};

enum job_kind { JOB_NONE, JOB_WRITE, JOB_READ, JOB_CLOSE };

struct history {
    struct exec *exec;
    void (*moved)(void *context);
    void *context;
    struct changelog_cursor cursor; /* H1; closed by history_free */
    bool is_ended;                  /* history_free */
    enum status status;
    int error;
    struct part *parts[PARTS]; /* NULL: none; the newest last */
    uint64_t asked[ASKED_MAX]; /* pages */
    unsigned asked_count;
    struct history_file file; /* its positions; the rest is the job's */
    /* H2: the job, which touches these while `kind` is not JOB_NONE. */
    struct exec_post post;
    enum job_kind kind;
    uint64_t page, page_count;
    struct changelog_piece pieces[PIECES_MAX];
    unsigned piece_count;
    struct part *part;
    enum status job_status;
    int job_error;
};

/* ---- On a worker ---------------------------------------------------------------------------------- */

static enum status write_pages(struct history *history)
{
    struct iovec pieces[PIECES_MAX];
    for (unsigned i = 0; i < history->piece_count; i++)
        pieces[i] =
            (struct iovec){(void *)(uintptr_t)history->pieces[i].bytes.data, history->pieces[i].bytes.size};
    return history_file_write(&history->file, history->page, pieces, history->piece_count);
}

static void work(void *argument)
{
    struct history *history = argument;
    errno = 0;
    switch (history->kind) {
    case JOB_WRITE: history->job_status = write_pages(history); break;
    case JOB_READ:
        history->job_status = history_file_read(&history->file, history->page, history->part->slot);
        break;
    case JOB_CLOSE: history_file_done(&history->file); break;
    case JOB_NONE: BUG("a job that is none");
    }
    history->job_error = errno;
    exec_post(history->exec, &history->post);
}

/* ---- Any thread ----------------------------------------------------------------------------------- */

static void unref_part(void *owner)
{
    struct part *part = owner;
    if (atomic_fetch_sub_explicit(&part->refs, 1, memory_order_acq_rel) == 1)
        mem_free(part);
}

/* ---- Executor: jobs ------------------------------------------------------------------------------- */

static void submit(struct history *history, enum job_kind kind)
{
    history->kind = kind;
    history->job_status = ST_OK;
    if (history->exec->workers)
        worker_submit(history->exec->workers, work, history);
    else
        work(history); /* a simulation, or the end */
}

static bool begin_writing(struct history *history)
{
    uint64_t pages = changelog_left(&history->cursor) / HISTORY_PAGE_SIZE, end;
    if (pages == 0 || history->status != ST_OK)
        return false;
    history->page_count = pages < WRITE_PAGES ? pages : WRITE_PAGES;
    history->piece_count = changelog_gather(&history->cursor, history->pieces, PIECES_MAX,
                                            history->page_count * HISTORY_PAGE_SIZE, &end);
    ASSERT(end == history->cursor.position + history->page_count * HISTORY_PAGE_SIZE);
    for (unsigned i = 0; i < history->piece_count; i++)
        changelog_block_ref(history->pieces[i].block);
    history->page = history_file_prepare(&history->file, history->page_count);
    submit(history, JOB_WRITE);
    return true;
}

static bool begin_reading(struct history *history)
{
    while (history->asked_count > 0 && history->status == ST_OK) {
        uint64_t page = history->asked[0];
        memmove(history->asked, history->asked + 1, --history->asked_count * sizeof history->asked[0]);
        if (page < history->file.begin)
            continue; /* it has been overwritten meanwhile */
        struct part *part = mem_alloc(sizeof *part);
        atomic_init(&part->refs, 1);
        part->start = history_file_page_begin(&history->file, page);
        history->part = part;
        history->page = page;
        submit(history, JOB_READ);
        return true;
    }
    return false;
}

static void go_on(struct history *history)
{
    if (history->kind != JOB_NONE)
        return;
    if (changelog_left(&history->cursor) >= UNWRITTEN_MUCH && begin_writing(history))
        return;
    if (!begin_reading(history))
        begin_writing(history);
}

static void fail(struct history *history, enum status status, int error)
{
    if (history->status != ST_OK)
        return;
    history->status = status;
    history->error = error;
}

static void written(struct history *history)
{
    for (unsigned i = 0; i < history->piece_count; i++)
        changelog_block_unref(history->pieces[i].block);
    if (history->job_status != ST_OK || history->is_ended)
        return;
    history_file_commit(&history->file, history->page_count);
    changelog_advance(&history->cursor, history_file_end(&history->file));
}

static void read_done(struct history *history)
{
    if (history->job_status != ST_OK) {
        unref_part(history->part);
        return;
    }
    if (history->parts[0])
        unref_part(history->parts[0]);
    memmove(history->parts, history->parts + 1, (PARTS - 1) * sizeof history->parts[0]);
    history->parts[PARTS - 1] = history->part;
}

static void destroy(struct history *history)
{
    for (unsigned i = 0; i < PARTS; i++)
        if (history->parts[i])
            unref_part(history->parts[i]);
    mem_free(history);
}

static void job_ended(struct exec *exec, struct exec_post *post)
{
    struct history *history = container_of(post, struct history, post);
    enum job_kind kind = history->kind;
    history->kind = JOB_NONE;
    switch (kind) {
    case JOB_WRITE: written(history); break;
    case JOB_READ: read_done(history); break;
    case JOB_CLOSE: destroy(history); return;
    case JOB_NONE: BUG("no job has ended");
    }
    if (history->is_ended) {
        submit(history, JOB_CLOSE);
        return;
    }
    if (history->job_status != ST_OK)
        fail(history, history->job_status, history->job_error);
    go_on(history);
    history->moved(history->context);
}

/* ---- Executor: life ------------------------------------------------------------------------------- */

struct history *history_new(const struct history_options *options)
{
    struct history *history = mem_calloc(1, sizeof *history);
    struct history_file_options file = {.files = options->files,
                                        .name = options->name,
                                        .mark = options->mark,
                                        .origin = changelog_start(options->log),
                                        .bytes_max = options->bytes_max};
    history->exec = options->exec;
    history->moved = options->moved;
    history->context = options->context;
    history->post.run = job_ended;
    history_file_init(&history->file, &file);
    bool is_open = changelog_open(options->log, CHANGELOG_LINK, file.origin, &history->cursor);
    ASSERT(is_open);
    return history;
}

void history_free(struct history *history)
{
    history->is_ended = true;
    changelog_close(&history->cursor);
    if (history->kind != JOB_NONE)
        return; /* it goes when the job comes back */
    if (history->file.is_open)
        submit(history, JOB_CLOSE);
    else
        destroy(history);
}

/* ---- Executor: bytes ------------------------------------------------------------------------------ */

void history_step(struct history *history)
{
    if (history->cursor.position + HISTORY_UNWRITTEN_MAX < changelog_start(history->cursor.log))
        fail(history, ST_LIMIT, 0); /* H4 */
    if (changelog_left(&history->cursor) >= HISTORY_PAGE_SIZE)
        go_on(history);
}

uint64_t history_begin(const struct history *history)
{
    return history_file_begin(&history->file);
}

uint64_t history_end(const struct history *history)
{
    return history_file_end(&history->file);
}

uint64_t history_memory(const struct history *history)
{
    uint64_t memory = history->kind == JOB_READ ? sizeof(struct part) : 0;
    for (unsigned i = 0; i < PARTS; i++)
        memory += history->parts[i] ? sizeof(struct part) : 0;
    return memory;
}

enum status history_status(const struct history *history, int *ret_error)
{
    *ret_error = history->error;
    return history->status;
}

static void ask(struct history *history, uint64_t page)
{
    for (unsigned i = 0; i < history->asked_count; i++)
        if (history->asked[i] == page)
            return;
    bool is_coming = history->kind == JOB_READ && history->page == page;
    if (history->asked_count < ASKED_MAX && !is_coming && history->status == ST_OK)
        history->asked[history->asked_count++] = page;
    go_on(history);
}

static uint64_t take_part(const struct history *history, uint64_t position, uint64_t bytes_max,
                          struct chunk_list *list)
{
    for (unsigned i = 0; i < PARTS; i++) {
        struct part *part = history->parts[i];
        if (part == NULL || position < part->start || position >= part->start + HISTORY_PAGE_SIZE)
            continue;
        size_t at = (size_t)(position - part->start);
        size_t size = HISTORY_PAGE_SIZE - at < bytes_max ? HISTORY_PAGE_SIZE - at : (size_t)bytes_max;
        atomic_fetch_add_explicit(&part->refs, 1, memory_order_relaxed);
        chunk_list_append(list,
                          chunk_new_pinned(part->slot + HISTORY_HEAD_SIZE + at, size, unref_part, part));
        return size;
    }
    return 0;
}

uint64_t history_take(struct history *history, uint64_t position, uint64_t bytes_max,
                      struct chunk_list *ret_list)
{
    uint64_t taken = 0;
    ASSERT(position >= history_begin(history) && position < history_end(history));
    while (position < history_end(history) && taken < bytes_max) {
        uint64_t size = take_part(history, position, bytes_max - taken, ret_list);
        if (size == 0) {
            ask(history, history_file_page_of(&history->file, position));
            break;
        }
        position += size;
        taken += size;
    }
    return taken;
}
