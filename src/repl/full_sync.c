/* What a new replica gets first: states and rules in full_sync.h.
 *
 * Threads: said at each section. */
#include "repl/full_sync.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/client.h"
#include "exec/exec.h"
#include "persist/snapshot.h"
#include "rdb/format.h"
#include "repl/primary.h"
#include "repl/repl.h"

#define MARK_SIZE      40                  /* of what ends a snapshot of unknown length */
#define PART_SIZE      ((size_t)256 << 10) /* read from a file at a time */
#define RETRY_MS       1000                /* after a snapshot that was refused */
#define FILE_NAME_SIZE 64
#define FORMAT_OLD     10 /* what Redis 7.0 reads */
#define FORMAT_NEW     11

enum full_sync_state { SYNC_STREAMING, SYNC_FILING, SYNC_READING };

struct full_sync {
    struct primary *primary;
    enum full_sync_state state;
    struct snapshot *snapshot; /* NULL: it has ended */
    enum status outcome;       /* of the snapshot, then */
    uint32_t follower_count;   /* whose `sync` this is */
    bool is_paused;
    char mark[MARK_SIZE + 1];
    char id[REPL_ID_SIZE + 1];
    _Atomic uint64_t taken; /* S1; worker */
    uint64_t delivered;
    /* The file; of whoever works on it. */
    const struct file_system *files;
    struct file file;
    bool is_open;
    char name[FILE_NAME_SIZE];
    uint64_t size;      /* written */
    uint64_t sent;      /* handed over */
    bool is_being_read; /* a part is on its way */
};

/* A block of the snapshot on its way to the executor. */
struct block_post {
    struct exec_post post;
    struct full_sync *sync;
    struct snapshot_block *block;
};

/* A part of the file, the same; then counted by reference, as followers' output. */
struct part {
    struct exec_post post;
    _Atomic uint32_t refs;
    struct full_sync *sync;
    enum status status;
    uint64_t start;
    size_t size;
    char data[];
};

/* ---- On a worker ---------------------------------------------------------------------------------- */

static void block_arrived(struct exec *exec, struct exec_post *post);

static enum status post_block(struct full_sync *sync, struct snapshot_block *block)
{
    struct block_post *post = mem_alloc(sizeof *post);
    *post = (struct block_post){.post.run = block_arrived, .sync = sync, .block = snapshot_block_ref(block)};
    atomic_fetch_add_explicit(&sync->taken, 1, memory_order_relaxed);
    exec_post(sync->primary->exec, &post->post);
    return ST_OK;
}

/* S3 */
static enum status open_file(struct full_sync *sync)
{
    struct file file;
    enum status status = file_open(sync->files, sync->name, FILE_CREATE, &file);
    if (status != ST_OK)
        return status;
    file_close(&file);
    status = file_open(sync->files, sync->name, FILE_MODIFY, &file); /* it is read, too */
    if (status != ST_OK)
        return status;
    sync->file = file;
    sync->is_open = true;
    return file_unlink(sync->files, sync->name);
}

static enum status write_block(struct full_sync *sync, const struct snapshot_block *block)
{
    enum status status = sync->is_open ? ST_OK : open_file(sync);
    if (status == ST_OK)
        status = file_write_all(&sync->file, block->data, block->size);
    if (status == ST_OK)
        sync->size += block->size;
    return status;
}

static enum status take(void *context, struct snapshot_block *block)
{
    struct full_sync *sync = context;
    return sync->state == SYNC_STREAMING ? post_block(sync, block) : write_block(sync, block);
}

static void read_part(void *argument)
{
    struct part *part = argument;
    size_t size = 0;
    part->status = file_pread(&part->sync->file, part->data, part->size, part->start, &size);
    if (part->status == ST_OK && size < part->size)
        part->status = ST_IO; /* somebody has cut it */
    exec_post(part->sync->primary->exec, &part->post);
}

static void close_file(void *argument)
{
    struct file *file = argument;
    file_close(file);
    mem_free(file);
}

/* ---- Executor: who gets it ------------------------------------------------------------------------ */

static void submit(struct exec *exec, void (*work)(void *argument), void *argument)
{
    if (exec->workers)
        worker_submit(exec->workers, work, argument);
    else
        work(argument); /* a simulation, or the end */
}

static void free_sync(struct full_sync *sync)
{
    struct exec *exec = sync->primary->exec;
    ASSERT(sync->follower_count == 0 && sync->snapshot == NULL && !sync->is_being_read);
    if (sync->is_open) {
        struct file *file = mem_alloc(sizeof *file);
        *file = sync->file;
        submit(exec, close_file, file);
    }
    sync->primary->sync = NULL;
    mem_free(sync);
}

static struct follower *follower_of(struct list_node *node, const struct full_sync *sync)
{
    struct follower *follower = list_entry(node, struct follower, node);
    return follower->sync == sync ? follower : NULL;
}

static void leave(struct follower *follower)
{
    follower->sync->follower_count--;
    follower->sync = NULL;
}

/* Bytes that all of them get; `ref` is called for each. */
static void send_to_all(struct full_sync *sync, const char *data, size_t size, void *owner,
                        void (*ref)(void *owner), void (*release)(void *owner))
{
    list_for_each(&sync->primary->followers, node)
    {
        struct follower *follower = follower_of(node, sync);
        struct chunk_list list = {0};
        if (follower == NULL)
            continue;
        ref(owner);
        chunk_list_append(&list, chunk_new_pinned(data, size, release, owner));
        follower_send(follower, &list);
    }
}

/* S2: whether one of them has more to take than it should; asks for word when it has taken it. */
static bool must_wait(struct full_sync *sync)
{
    uint64_t most = sync->is_paused ? PORT_DRAINED_SIZE : FEED_OUTSTANDING_MAX;
    bool waits = false;
    list_for_each(&sync->primary->followers, node)
    {
        struct follower *follower = follower_of(node, sync);
        if (follower == NULL || follower_outstanding(follower) <= most)
            continue;
        waits = true;
        follower_await_drain(follower);
    }
    sync->is_paused = waits;
    return waits;
}

/* They have been handed all of it. */
static void end_well(struct full_sync *sync)
{
    struct exec *exec = sync->primary->exec;
    bool is_marked = sync->state == SYNC_STREAMING;
    list_for_each(&sync->primary->followers, node)
    {
        struct follower *follower = follower_of(node, sync);
        if (follower == NULL)
            continue;
        if (is_marked)
            follower_send_text(follower, "%s", sync->mark);
        leave(follower);
        follower_enter(follower, is_marked || follower->only_snapshot ? FOLLOWER_LOADING : FOLLOWER_ONLINE);
    }
    log_write(exec->log, LOG_NOTICE, "the snapshot for replicas has been sent");
    free_sync(sync);
}

static void end_badly(struct full_sync *sync, enum status status)
{
    list_for_each(&sync->primary->followers, node)
    {
        struct follower *follower = follower_of(node, sync);
        if (follower == NULL)
            continue;
        leave(follower);
        follower_drop(follower,
                      status == ST_LIMIT ? "its snapshot was given up for its memory" : status_text(status));
    }
    free_sync(sync);
}

/* ---- Executor: while it is made ------------------------------------------------------------------- */

static void read_next(struct full_sync *sync);

static void begin_reading(struct full_sync *sync)
{
    sync->state = SYNC_READING;
    list_for_each(&sync->primary->followers, node)
    {
        struct follower *follower = follower_of(node, sync);
        if (follower)
            follower_send_text(follower, "$%llu\r\n", (unsigned long long)sync->size);
    }
    read_next(sync);
}

/* S1. The sync may be gone afterwards. */
static void finish_if_over(struct full_sync *sync)
{
    bool is_over = sync->snapshot == NULL && sync->delivered == atomic_load(&sync->taken);
    if (!is_over || sync->state == SYNC_READING)
        return;
    if (sync->outcome != ST_OK || sync->follower_count == 0)
        end_badly(sync, sync->outcome);
    else if (sync->state == SYNC_FILING)
        begin_reading(sync);
    else
        end_well(sync);
}

static void ref_block(void *owner)
{
    (void)snapshot_block_ref(owner);
}

static void block_arrived(struct exec *exec, struct exec_post *post)
{
    struct block_post *arrived = container_of(post, struct block_post, post);
    struct full_sync *sync = arrived->sync;
    struct snapshot_block *block = arrived->block;
    mem_free(arrived);
    sync->delivered++;
    send_to_all(sync, block->data, block->size, block, ref_block, snapshot_block_unref);
    snapshot_block_unref(block);
    bool was_paused = sync->is_paused;
    if (sync->snapshot && must_wait(sync) != was_paused)
        snapshot_pause(sync->snapshot, sync->is_paused);
    finish_if_over(sync);
}

static void ended(void *context, enum status outcome)
{
    struct full_sync *sync = context;
    sync->snapshot = NULL;
    sync->outcome = outcome;
    finish_if_over(sync);
}

/* ---- Executor: from the file ---------------------------------------------------------------------- */

static void ref_part(void *owner)
{
    atomic_fetch_add_explicit(&((struct part *)owner)->refs, 1, memory_order_relaxed);
}

/* Any thread. */
static void unref_part(void *owner)
{
    struct part *part = owner;
    if (atomic_fetch_sub_explicit(&part->refs, 1, memory_order_acq_rel) == 1)
        mem_free(part);
}

static void part_read(struct exec *exec, struct exec_post *post)
{
    struct part *part = container_of(post, struct part, post);
    struct full_sync *sync = part->sync;
    enum status status = part->status;
    sync->is_being_read = false;
    if (status == ST_OK) {
        send_to_all(sync, part->data, part->size, part, ref_part, unref_part);
        sync->sent += part->size;
    }
    unref_part(part);
    if (status != ST_OK || sync->follower_count == 0)
        end_badly(sync, status);
    else if (sync->sent == sync->size)
        end_well(sync);
    else
        read_next(sync);
}

static void read_next(struct full_sync *sync)
{
    uint64_t left = sync->size - sync->sent;
    if (sync->is_being_read || must_wait(sync))
        return;
    size_t size = left < PART_SIZE ? (size_t)left : PART_SIZE;
    struct part *part = mem_alloc(sizeof *part + size);
    *part = (struct part){.post.run = part_read, .sync = sync, .start = sync->sent, .size = size};
    atomic_init(&part->refs, 1);
    sync->is_being_read = true;
    submit(sync->primary->exec, read_part, part);
}

/* ---- Executor: the beginning ---------------------------------------------------------------------- */

static bool is_waiting(const struct follower *follower)
{
    return follower->state == FOLLOWER_WAITING && !(follower->client->flags & CLIENT_CLOSING);
}

/* What those who wait have in common. */
struct waiting {
    uint32_t count;
    int64_t since_ms; /* the first of them */
    bool can_eof, reads_11, reads_80;
};

static struct waiting look_at_waiting(const struct primary *primary)
{
    struct waiting waiting = {.can_eof = true, .reads_11 = true, .reads_80 = true, .since_ms = INT64_MAX};
    list_for_each(&primary->followers, node)
    {
        const struct follower *follower = list_entry(node, struct follower, node);
        if (!is_waiting(follower))
            continue;
        waiting.count++;
        waiting.can_eof &= follower->can_eof;
        waiting.reads_11 &= follower->reads_11;
        waiting.reads_80 &= follower->reads_80;
        if (follower->since_ms < waiting.since_ms)
            waiting.since_ms = follower->since_ms;
    }
    return waiting;
}

static bool is_due(const struct primary *primary, const struct waiting *waiting, bool through_file)
{
    const struct config *config = primary->exec->config;
    int64_t waited_ms = primary->exec->now_ms - waiting->since_ms;
    bool has_data = !primary->repl->is_replica || primary->repl->has_link;
    if (!has_data || primary->exec->now_ms < primary->next_sync_ms)
        return false;
    return through_file || waited_ms >= config->repl_diskless_sync_delay * 1000 ||
           (config->repl_diskless_sync_max_replicas > 0 &&
            waiting->count >= config->repl_diskless_sync_max_replicas);
}

/* Its place in the log is the cut. */
static void join(struct follower *follower, struct full_sync *sync)
{
    struct primary *primary = follower->primary;
    uint64_t position = snapshot_position(sync->snapshot);
    follower->sync = sync;
    sync->follower_count++;
    follower->acked = follower->synced = 0;
    follower->has_acked = false;
    follower_enter(follower, FOLLOWER_SYNCING);
    bool is_open = follower->only_snapshot ||
                   changelog_open(primary->exec->propagate.log, CHANGELOG_LINK, position, &follower->cursor);
    ASSERT(is_open);
    if (!follower->is_old)
        follower_send_text(follower, "+FULLRESYNC %s %llu\r\n", sync->id, (unsigned long long)position);
    if (sync->state == SYNC_STREAMING)
        follower_send_text(follower, "$EOF:%s\r\n", sync->mark);
    primary->full_syncs++;
}

static struct full_sync *new_sync(struct primary *primary, bool through_file)
{
    struct exec *exec = primary->exec;
    struct full_sync *sync = mem_calloc(1, sizeof *sync);
    sync->primary = primary;
    sync->state = through_file ? SYNC_FILING : SYNC_STREAMING;
    sync->files = exec->files ? exec->files : file_system_real();
    memcpy(sync->id, primary->repl->id, sizeof sync->id);
    for (unsigned i = 0; i < MARK_SIZE; i++)
        sync->mark[i] = "0123456789abcdef"[rng_below(&exec->rng, 16)];
    snprintf(sync->name, sizeof sync->name, "temp-sync-%ld-%llu.rdb", (long)getpid(),
             (unsigned long long)primary->full_syncs);
    return sync;
}

static void begin(struct primary *primary, const struct waiting *waiting, bool through_file)
{
    struct exec *exec = primary->exec;
    struct full_sync *sync = new_sync(primary, through_file);
    struct snapshot_options options = {
        .version = waiting->reads_11 ? FORMAT_NEW : FORMAT_OLD,
        .timed_version = waiting->reads_80 ? RDB_VERSION_VALKEY : RDB_VERSION_TIMED,
        .compress = exec->config->rdbcompression,
        .checksum = exec->config->rdbchecksum,
        .has_replication = true,
        .replication_id = sync->id,
        .replication_offset = propagate_offset(exec),
        .replication_db = propagate_db(exec),
    };
    struct snapshot_sink sink = {.context = sync, .take = take, .ended = ended};
    primary->sync = sync;
    sync->snapshot = snapshot_begin(exec, &options, &sink);
    if (sync->snapshot == NULL) {
        log_write(exec->log, LOG_WARNING, "no memory for a snapshot: replicas go on waiting");
        primary->next_sync_ms = exec->now_ms + RETRY_MS;
        free_sync(sync);
        return;
    }
    log_write(exec->log, LOG_NOTICE, "a snapshot for %u replicas begins, %s", waiting->count,
              through_file ? "through a file" : "sent while it is made");
    list_for_each(&primary->followers, node)
    {
        struct follower *follower = list_entry(node, struct follower, node);
        if (is_waiting(follower))
            join(follower, sync);
    }
    propagate_select_again(exec); /* they begin here */
}

void full_sync_step(struct primary *primary)
{
    struct full_sync *sync = primary->sync;
    if (sync == NULL) {
        struct waiting waiting = look_at_waiting(primary);
        bool through_file = !primary->exec->config->repl_diskless_sync || !waiting.can_eof;
        if (waiting.count > 0 && is_due(primary, &waiting, through_file))
            begin(primary, &waiting, through_file);
        return;
    }
    if (sync->is_paused && !must_wait(sync) && sync->snapshot)
        snapshot_pause(sync->snapshot, false);
    if (sync->state == SYNC_READING && !sync->is_paused)
        read_next(sync);
}

void full_sync_forget(struct follower *follower)
{
    struct full_sync *sync = follower->sync;
    if (sync == NULL)
        return;
    leave(follower);
    if (sync->follower_count > 0)
        return;
    if (sync->snapshot)
        snapshot_cancel(sync->snapshot);
    else if (sync->state == SYNC_READING && !sync->is_being_read)
        free_sync(sync);
    /* Else what is still on its way finds nobody, and ends it. */
}

bool full_sync_keeps_waiting(const struct follower *follower)
{
    return follower->state == FOLLOWER_WAITING ||
           (follower->sync != NULL && follower->sync->state == SYNC_FILING);
}
