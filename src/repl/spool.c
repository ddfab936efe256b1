/* Bytes of a snapshot, kept for those who read them. Rules in spool.h. Threads: said at each section. */
#include "repl/spool.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/worker.h"
#include "exec/exec.h"
#include "exec/post.h"
#include "persist/snapshot.h"

#define NAME_SIZE    64
#define WRITE_BLOCKS 8                   /* of one job */
#define PART_SIZE    ((size_t)256 << 10) /* read at a time */
#define PARTS        4                   /* that have been read and may be taken */
#define ASKED_MAX    16                  /* readers that wait; more ask again */

/* A stretch of the file in memory, counted by reference: output of followers' connections. */
struct part {
    _Atomic uint32_t refs;
    uint64_t start;
    size_t size;
    char data[];
};

struct node {
    struct node *next;
    struct snapshot_block *block;
};

enum job_kind { JOB_NONE, JOB_WRITE, JOB_READ, JOB_CLOSE };

struct spool {
    struct exec *exec;
    const struct file_system *files;
    uint64_t memory_max;
    void (*moved)(void *context);
    void *context;
    uint64_t start, end;
    struct node *oldest, *newest; /* blocks in memory */
    uint64_t memory;              /* their bytes */
    bool is_ended;                /* spool_free */
    enum status status, read_status;
    struct part *parts[PARTS]; /* NULL: none; the newest last */
    uint64_t asked[ASKED_MAX];
    unsigned asked_count;
    /* P3: the job, which touches these while `kind` is not JOB_NONE. */
    struct exec_post post;
    enum job_kind kind;
    struct snapshot_block *blocks[WRITE_BLOCKS];
    unsigned block_count;
    struct part *part;
    enum status job_status;
    struct file file;
    bool is_open;
    char name[NAME_SIZE];
};

/* ---- On a worker ---------------------------------------------------------------------------------- */

static enum status write_blocks(struct spool *spool)
{
    enum status status = spool->is_open ? ST_OK : file_open_unnamed(spool->files, spool->name, &spool->file);
    spool->is_open = status == ST_OK;
    for (unsigned i = 0; i < spool->block_count && status == ST_OK; i++) {
        const struct snapshot_block *block = spool->blocks[i];
        status = file_pwrite_all(&spool->file, block->data, block->size, block->start);
    }
    return status;
}

static enum status read_part(struct spool *spool)
{
    struct part *part = spool->part;
    size_t size = 0;
    enum status status = file_pread(&spool->file, part->data, part->size, part->start, &size);
    return status == ST_OK && size < part->size ? ST_IO : status; /* somebody has cut it */
}

static void work(void *argument)
{
    struct spool *spool = argument;
    switch (spool->kind) {
    case JOB_WRITE: spool->job_status = write_blocks(spool); break;
    case JOB_READ: spool->job_status = read_part(spool); break;
    case JOB_CLOSE:
        if (spool->is_open)
            file_close(&spool->file);
        break;
    case JOB_NONE: BUG("a job that is none");
    }
    exec_post(spool->exec, &spool->post);
}

/* ---- Any thread ----------------------------------------------------------------------------------- */

static void unref_part(void *owner)
{
    struct part *part = owner;
    if (atomic_fetch_sub_explicit(&part->refs, 1, memory_order_acq_rel) == 1)
        mem_free(part);
}

/* ---- Executor: jobs ------------------------------------------------------------------------------- */

static void submit(struct spool *spool, enum job_kind kind)
{
    spool->kind = kind;
    spool->job_status = ST_OK;
    if (spool->exec->workers)
        worker_submit(spool->exec->workers, work, spool);
    else
        work(spool); /* a simulation, or the end */
}

static uint64_t memory_begin(const struct spool *spool)
{
    return spool->oldest ? spool->oldest->block->start : spool->end;
}

static void drop_oldest(struct spool *spool)
{
    struct node *node = spool->oldest;
    spool->oldest = node->next;
    if (!spool->oldest)
        spool->newest = NULL;
    spool->memory -= node->block->size;
    snapshot_block_unref(node->block);
    mem_free(node);
}

/* P2. Blocks at the front go out: they stay in memory until they are written. */
static bool begin_writing(struct spool *spool)
{
    uint64_t over = spool->memory > spool->memory_max ? spool->memory - spool->memory_max : 0;
    spool->block_count = 0;
    if (spool->status != ST_OK)
        return false;
    for (struct node *node = spool->oldest; node && over > 0 && spool->block_count < WRITE_BLOCKS;
         node = node->next) {
        spool->blocks[spool->block_count++] = snapshot_block_ref(node->block);
        over -= node->block->size < over ? node->block->size : over;
    }
    if (spool->block_count == 0)
        return false;
    submit(spool, JOB_WRITE);
    return true;
}

static bool begin_reading(struct spool *spool)
{
    while (spool->asked_count > 0) {
        uint64_t position = spool->asked[0], end = memory_begin(spool);
        memmove(spool->asked, spool->asked + 1, --spool->asked_count * sizeof spool->asked[0]);
        if (position < spool->start || position >= end)
            continue; /* who asked has gone meanwhile */
        size_t size = end - position < PART_SIZE ? (size_t)(end - position) : PART_SIZE;
        struct part *part = mem_alloc(sizeof *part + size);
        *part = (struct part){.start = position, .size = size};
        atomic_init(&part->refs, 1);
        spool->part = part;
        submit(spool, JOB_READ);
        return true;
    }
    return false;
}

/* Readers first: they are what all this is for. While too much waits to be written, one of each in turn. */
static void go_on(struct spool *spool, bool has_read)
{
    if (spool->kind != JOB_NONE)
        return;
    if (has_read && spool_is_full(spool) && begin_writing(spool))
        return;
    if (!begin_reading(spool))
        begin_writing(spool);
}

static void destroy(struct spool *spool)
{
    while (spool->oldest)
        drop_oldest(spool);
    for (unsigned i = 0; i < PARTS; i++)
        if (spool->parts[i])
            unref_part(spool->parts[i]);
    mem_free(spool);
}

static void written(struct spool *spool)
{
    uint64_t end = spool->blocks[spool->block_count - 1]->start + spool->blocks[spool->block_count - 1]->size;
    for (unsigned i = 0; i < spool->block_count; i++)
        snapshot_block_unref(spool->blocks[i]);
    if (spool->job_status != ST_OK)
        spool->status = spool->job_status;
    else
        while (spool->oldest && spool->oldest->block->start < end)
            drop_oldest(spool);
}

static void read_done(struct spool *spool)
{
    if (spool->job_status != ST_OK) {
        unref_part(spool->part);
        spool->status = spool->read_status = spool->job_status;
        return;
    }
    if (spool->parts[0])
        unref_part(spool->parts[0]);
    memmove(spool->parts, spool->parts + 1, (PARTS - 1) * sizeof spool->parts[0]);
    spool->parts[PARTS - 1] = spool->part;
}

static void job_ended(struct exec *exec, struct exec_post *post)
{
    struct spool *spool = container_of(post, struct spool, post);
    enum job_kind kind = spool->kind;
    spool->kind = JOB_NONE;
    switch (kind) {
    case JOB_WRITE: written(spool); break;
    case JOB_READ: read_done(spool); break;
    case JOB_CLOSE: destroy(spool); return;
    case JOB_NONE: BUG("no job has ended");
    }
    if (spool->is_ended) {
        submit(spool, JOB_CLOSE);
        return;
    }
    go_on(spool, kind == JOB_READ);
    spool->moved(spool->context);
}

/* ---- Executor: life ------------------------------------------------------------------------------- */

struct spool *spool_new(const struct spool_options *options)
{
    struct spool *spool = mem_calloc(1, sizeof *spool);
    spool->exec = options->exec;
    spool->files = options->files;
    spool->memory_max = options->memory_max;
    spool->moved = options->moved;
    spool->context = options->context;
    spool->post.run = job_ended;
    snprintf(spool->name, sizeof spool->name, "%s", options->name);
    return spool;
}

void spool_free(struct spool *spool)
{
    spool->is_ended = true;
    if (spool->kind != JOB_NONE)
        return; /* it goes when the job comes back */
    if (spool->is_open)
        submit(spool, JOB_CLOSE);
    else
        destroy(spool);
}

/* ---- Executor: bytes ------------------------------------------------------------------------------ */

void spool_append(struct spool *spool, struct snapshot_block *block)
{
    struct node *node = mem_alloc(sizeof *node);
    DEBUG_ASSERT(block->start == spool->end);
    *node = (struct node){.block = block};
    if (spool->newest)
        spool->newest->next = node;
    else
        spool->oldest = node;
    spool->newest = node;
    spool->memory += block->size;
    spool->end += block->size;
    go_on(spool, false);
}

void spool_need(struct spool *spool, uint64_t position)
{
    if (position <= spool->start)
        return;
    spool->start = position < spool->end ? position : spool->end;
    /* What a job is writing stays until it has: the place in the file is not another's. */
    while (spool->oldest && spool->kind != JOB_WRITE && spool->memory_max > 0 &&
           spool->oldest->block->start + spool->oldest->block->size <= spool->start)
        drop_oldest(spool);
}

uint64_t spool_start(const struct spool *spool)
{
    return spool->start;
}

uint64_t spool_end(const struct spool *spool)
{
    return spool->end;
}

uint64_t spool_memory(const struct spool *spool)
{
    return spool->memory;
}

/* P4 */
bool spool_is_full(const struct spool *spool)
{
    return spool->memory >= spool->memory_max + (spool->status == ST_OK ? SPOOL_UNWRITTEN_MAX : 0);
}

bool spool_is_written(const struct spool *spool)
{
    return spool->memory == 0;
}

enum status spool_status(const struct spool *spool)
{
    return spool->status;
}

bool spool_can_read(const struct spool *spool)
{
    return spool->read_status == ST_OK;
}

static void ask(struct spool *spool, uint64_t position)
{
    for (unsigned i = 0; i < spool->asked_count; i++)
        if (spool->asked[i] == position)
            return;
    bool is_coming = spool->kind == JOB_READ && spool->part->start == position;
    if (spool->asked_count < ASKED_MAX && !is_coming && spool->read_status == ST_OK)
        spool->asked[spool->asked_count++] = position;
    go_on(spool, false);
}

static uint64_t take_part(const struct spool *spool, uint64_t position, uint64_t bytes_max,
                          struct chunk_list *list)
{
    for (unsigned i = 0; i < PARTS; i++) {
        struct part *part = spool->parts[i];
        if (part == NULL || position < part->start || position >= part->start + part->size)
            continue;
        size_t at = (size_t)(position - part->start);
        size_t size = part->size - at < bytes_max ? part->size - at : (size_t)bytes_max;
        atomic_fetch_add_explicit(&part->refs, 1, memory_order_relaxed);
        chunk_list_append(list, chunk_new_pinned(part->data + at, size, unref_part, part));
        return size;
    }
    return 0;
}

uint64_t spool_take(struct spool *spool, uint64_t position, uint64_t bytes_max, struct chunk_list *ret_list)
{
    uint64_t taken = 0;
    ASSERT(position >= spool->start && position <= spool->end);
    while (position < memory_begin(spool) && taken < bytes_max) {
        uint64_t size = take_part(spool, position, bytes_max - taken, ret_list);
        if (size == 0) {
            ask(spool, position);
            return taken;
        }
        position += size;
        taken += size;
    }
    for (const struct node *node = spool->oldest; node && taken < bytes_max; node = node->next) {
        struct snapshot_block *block = node->block;
        if (position >= block->start + block->size)
            continue;
        size_t at = (size_t)(position - block->start);
        size_t size = block->size - at < bytes_max - taken ? block->size - at : (size_t)(bytes_max - taken);
        chunk_list_append(ret_list, chunk_new_pinned(block->data + at, size, snapshot_block_unref,
                                                     snapshot_block_ref(block)));
        position += size;
        taken += size;
    }
    return taken;
}
