/* The log of changes. Rules in changelog.h. Threads: executor only, but for references of blocks. */
#include "changelog/changelog.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"

/* A stretch that files are not to have. */
struct span {
    uint64_t start, end;
};

struct changelog {
    struct changelog_block *oldest, *newest; /* NULL, NULL: nothing has been appended yet */
    uint64_t first; /* where history began, or was thrown away: start is not before it */
    uint64_t end;
    uint64_t history_max;
    uint64_t block_count; /* in the list */
    struct list_node cursors;
    /* G4: a queue in an array. */
    struct span *spans;
    uint32_t span_first, span_count, span_capacity;
};

/* ---- Blocks --------------------------------------------------------------------------------------- */

struct changelog_block *changelog_block_ref(struct changelog_block *block)
{
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return block;
}

void changelog_block_unref(void *argument)
{
    struct changelog_block *block = argument;
    if (atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) == 1) {
        arena_release(block->data);
        mem_free(block);
    }
}

ALWAYS_INLINE uint64_t block_end(const struct changelog_block *block)
{
    return block->start + CHANGELOG_BLOCK_SIZE;
}

static void add_block(struct changelog *log)
{
    struct changelog_block *block = mem_alloc(sizeof *block);
    atomic_init(&block->refs, 1);
    block->data = arena_alloc();
    block->start = log->end;
    block->next = NULL;
    if (log->newest)
        log->newest->next = block;
    else
        log->oldest = block;
    log->newest = block;
    log->block_count++;
}

static void drop_oldest(struct changelog *log)
{
    struct changelog_block *block = log->oldest;
    log->oldest = block->next;
    if (!log->oldest)
        log->newest = NULL;
    log->block_count--;
    changelog_block_unref(block);
}

/* ---- Life ----------------------------------------------------------------------------------------- */

struct changelog *changelog_new(uint64_t start, uint64_t history_max)
{
    struct changelog *log = mem_calloc(1, sizeof *log);
    log->first = log->end = start;
    log->history_max = history_max;
    list_init(&log->cursors);
    return log;
}

static void drop_everything(struct changelog *log)
{
    ASSERT(list_is_empty(&log->cursors));
    while (log->oldest)
        drop_oldest(log);
    log->span_first = log->span_count = 0;
}

void changelog_free(struct changelog *log)
{
    drop_everything(log);
    mem_free(log->spans);
    mem_free(log);
}

void changelog_restart(struct changelog *log, uint64_t start)
{
    drop_everything(log);
    log->first = log->end = start;
}

uint64_t changelog_end(const struct changelog *log)
{
    return log->end;
}

/* Whole blocks go out of history, so that it is not trimmed with each append. */
uint64_t changelog_start(const struct changelog *log)
{
    uint64_t start = log->first;
    for (const struct changelog_block *block = log->oldest; block; block = block->next) {
        if (log->end - block->start <= log->history_max + CHANGELOG_BLOCK_SIZE)
            return block->start > start ? block->start : start;
    }
    return log->end > start ? log->end : start;
}

uint64_t changelog_memory(const struct changelog *log)
{
    return log->block_count * CHANGELOG_BLOCK_SIZE;
}

/* ---- Trimming ------------------------------------------------------------------------------------- */

/* G4 */
static void forget_spans(struct changelog *log)
{
    uint64_t needed = log->end;
    list_for_each(&log->cursors, node)
    {
        const struct changelog_cursor *cursor = list_entry(node, struct changelog_cursor, node);
        if (cursor->reader == CHANGELOG_FILE && cursor->position < needed)
            needed = cursor->position;
    }
    while (log->span_count > 0 && log->spans[log->span_first].end <= needed) {
        log->span_first++;
        log->span_count--;
    }
    if (log->span_count == 0)
        log->span_first = 0;
}

/* G2 */
static void trim(struct changelog *log)
{
    uint64_t needed = changelog_start(log);
    list_for_each(&log->cursors, node)
    {
        const struct changelog_cursor *cursor = list_entry(node, struct changelog_cursor, node);
        if (cursor->position < needed)
            needed = cursor->position;
    }
    while (log->oldest && log->oldest->next && block_end(log->oldest) <= needed) {
        /* Who stands at its very end goes on in the next one. */
        list_for_each(&log->cursors, node)
        {
            struct changelog_cursor *cursor = list_entry(node, struct changelog_cursor, node);
            if (cursor->block == log->oldest)
                cursor->block = log->oldest->next;
        }
        drop_oldest(log);
    }
    forget_spans(log);
}

void changelog_set_history(struct changelog *log, uint64_t history_max)
{
    uint64_t start = changelog_start(log);
    log->history_max = history_max;
    if (log->first < start)
        log->first = start; /* what was history no more does not become it again */
    trim(log);
}

/* ---- Appending ------------------------------------------------------------------------------------ */

void changelog_append(struct changelog *log, struct slice bytes)
{
    while (bytes.size > 0) {
        if (!log->newest || log->end == block_end(log->newest)) {
            add_block(log);
            trim(log);
        }
        uint64_t room = block_end(log->newest) - log->end;
        size_t size = bytes.size < room ? bytes.size : (size_t)room;
        memcpy(log->newest->data + (log->end - log->newest->start), bytes.data, size);
        log->end += size;
        bytes.data += size;
        bytes.size -= size;
    }
}

char *changelog_reserve(struct changelog *log, size_t size)
{
    const struct changelog_block *newest = log->newest;
    if (unlikely(newest == NULL || size > block_end(newest) - log->end))
        return NULL;
    return newest->data + (log->end - newest->start);
}

void changelog_commit(struct changelog *log, size_t size)
{
    DEBUG_ASSERT(log->newest != NULL && size <= block_end(log->newest) - log->end);
    log->end += size;
}

static void add_span(struct changelog *log, uint64_t start, uint64_t end)
{
    struct span *last = log->span_count ? &log->spans[log->span_first + log->span_count - 1] : NULL;
    if (last && last->end == start) {
        last->end = end;
        return;
    }
    if (log->span_first + log->span_count == log->span_capacity) {
        if (log->span_first > 0) {
            memmove(log->spans, log->spans + log->span_first, log->span_count * sizeof *log->spans);
            log->span_first = 0;
        } else {
            log->span_capacity = log->span_capacity ? log->span_capacity * 2 : 16;
            log->spans = mem_realloc(log->spans, log->span_capacity * sizeof *log->spans);
        }
    }
    log->spans[log->span_first + log->span_count++] = (struct span){start, end};
}

void changelog_append_for_links(struct changelog *log, struct slice bytes)
{
    uint64_t start = log->end;
    changelog_append(log, bytes);
    add_span(log, start, log->end);
    forget_spans(log);
}

/* ---- Reading -------------------------------------------------------------------------------------- */

static struct changelog_block *find_block(const struct changelog *log, uint64_t position)
{
    struct changelog_block *block = log->oldest;
    while (block && block->next && block_end(block) <= position)
        block = block->next;
    return block;
}

bool changelog_open(struct changelog *log, enum changelog_reader reader, uint64_t position,
                    struct changelog_cursor *ret_cursor)
{
    return position >= changelog_start(log) && changelog_open_kept(log, reader, position, ret_cursor);
}

uint64_t changelog_kept(const struct changelog *log)
{
    return log->oldest ? log->oldest->start : log->end;
}

bool changelog_open_kept(struct changelog *log, enum changelog_reader reader, uint64_t position,
                         struct changelog_cursor *ret_cursor)
{
    if (position < changelog_kept(log) || position > log->end)
        return false;
    *ret_cursor = (struct changelog_cursor){
        .log = log,
        .reader = reader,
        .block = find_block(log, position),
        .position = position,
    };
    list_append(&log->cursors, &ret_cursor->node);
    return true;
}

void changelog_open_like(const struct changelog_cursor *other, struct changelog_cursor *ret_cursor)
{
    *ret_cursor = *other;
    list_append(&ret_cursor->log->cursors, &ret_cursor->node);
}

void changelog_close(struct changelog_cursor *cursor)
{
    struct changelog *log = cursor->log;
    list_remove(&cursor->node);
    cursor->log = NULL;
    cursor->block = NULL;
    trim(log);
}

uint64_t changelog_left(const struct changelog_cursor *cursor)
{
    return cursor->log->end - cursor->position;
}

/* The first span that ends behind the position, NULL when the reader has nothing to pass over. */
static const struct span *next_span(const struct changelog_cursor *cursor, uint64_t position)
{
    const struct changelog *log = cursor->log;
    if (cursor->reader == CHANGELOG_LINK)
        return NULL;
    for (uint32_t i = 0; i < log->span_count; i++) {
        const struct span *span = &log->spans[log->span_first + i];
        if (span->end > position)
            return span;
    }
    return NULL;
}

unsigned changelog_gather(const struct changelog_cursor *cursor, struct changelog_piece *ret_pieces,
                          unsigned pieces_max, uint64_t bytes_max, uint64_t *ret_end)
{
    const struct changelog *log = cursor->log;
    struct changelog_block *block = cursor->block ? cursor->block : log->oldest;
    const struct span *span = next_span(cursor, cursor->position);
    uint64_t position = cursor->position;
    unsigned count = 0;
    for (;;) {
        while (span && span->start <= position) { /* also behind the last piece */
            position = span->end;
            span = next_span(cursor, position);
        }
        if (position == log->end || count == pieces_max || bytes_max == 0)
            break;
        while (block_end(block) <= position)
            block = block->next;
        uint64_t end = block_end(block) < log->end ? block_end(block) : log->end;
        if (span && span->start < end)
            end = span->start;
        if (end - position > bytes_max)
            end = position + bytes_max;
        ret_pieces[count++] = (struct changelog_piece){
            block, slice_make(block->data + (position - block->start), (size_t)(end - position))};
        bytes_max -= end - position;
        position = end;
    }
    *ret_end = position;
    return count;
}

void changelog_advance(struct changelog_cursor *cursor, uint64_t position)
{
    ASSERT(position >= cursor->position && position <= cursor->log->end);
    cursor->position = position;
    if (!cursor->block)
        cursor->block = cursor->log->oldest;
    struct changelog_block *before = cursor->block;
    while (cursor->block && cursor->block->next && block_end(cursor->block) <= position)
        cursor->block = cursor->block->next;
    if (cursor->block != before)
        trim(cursor->log);
    else if (cursor->reader == CHANGELOG_FILE && cursor->log->span_count > 0)
        forget_spans(cursor->log);
}

/* ---- Checks --------------------------------------------------------------------------------------- */

void changelog_check(const struct changelog *log)
{
    uint64_t count = 0;
    for (const struct changelog_block *block = log->oldest; block; block = block->next) {
        ASSERT(atomic_load(&block->refs) >= 1);
        ASSERT(block->next ? block->next->start == block_end(block) : block == log->newest);
        count++;
    }
    ASSERT(count == log->block_count);
    ASSERT(!log->newest || (log->newest->start <= log->end && log->end <= block_end(log->newest)));
    ASSERT(changelog_start(log) <= log->end);
    list_for_each(&log->cursors, node)
    {
        const struct changelog_cursor *cursor = list_entry(node, struct changelog_cursor, node);
        ASSERT(cursor->position <= log->end);
        ASSERT(!cursor->block ||
               (cursor->block->start <= cursor->position && cursor->position <= block_end(cursor->block)));
    }
    for (uint32_t i = 0; i < log->span_count; i++) {
        const struct span *span = &log->spans[log->span_first + i];
        ASSERT(span->start < span->end && span->end <= log->end);
        ASSERT(i == 0 || span[-1].end < span->start);
    }
}
