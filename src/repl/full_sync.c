/* What a new replica gets first: states and rules in full_sync.h.
 *
 * Threads: said at each section. */
#include "repl/full_sync.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "exec/client.h"
#include "exec/exec.h"
#include "persist/snapshot.h"
#include "rdb/format.h"
#include "repl/primary.h"
#include "repl/repl.h"
#include "repl/spool.h"

#define MARK_SIZE      REPL_ID_SIZE /* of what ends a snapshot of unknown length */
#define RETRY_MS       1000         /* after a snapshot that was refused */
#define FILE_NAME_SIZE 64
#define FORMAT_OLD     10 /* what Redis 7.0 reads */
#define FORMAT_NEW     11

enum full_sync_state { SYNC_STREAMING, SYNC_FILING, SYNC_READING };

/* The place of a replica whose link has ended. */
struct claim {
    uint64_t keep; /* bytes from here on */
    int64_t until_ms;
    /* whose it is: where that replica listens */
    char host[FOLLOWER_ADDRESS_MAX + 1];
    int64_t port;
};

struct full_sync {
    struct list_node node; /* primary.syncs */
    struct primary *primary;
    enum full_sync_state state;
    struct snapshot *snapshot; /* NULL: it has ended */
    enum status outcome;       /* of the snapshot, then */
    struct spool *spool;
    uint32_t follower_count; /* whose `sync` this is */
    bool is_paused;
    bool is_ended;            /* it waits for what is on its way, and goes */
    char mark[MARK_SIZE + 1]; /* also its name */
    char id[REPL_ID_SIZE + 1];
    uint64_t position;              /* of the log, at the cut */
    struct changelog_cursor cursor; /* S3; open while cursor.log is not NULL */
    struct claim claims[FULL_SYNC_CLAIMS_MAX];
    unsigned claim_count;
    _Atomic uint64_t taken; /* S1; worker */
    uint64_t delivered;
};

/* A block of the snapshot on its way to the executor. */
struct block_post {
    struct exec_post post;
    struct full_sync *sync;
    struct snapshot_block *block;
};

/* ---- On a worker ---------------------------------------------------------------------------------- */

static void block_arrived(struct exec *exec, struct exec_post *post);

static enum status take(void *context, struct snapshot_block *block)
{
    struct full_sync *sync = context;
    struct block_post *post = mem_alloc(sizeof *post);
    *post = (struct block_post){.post.run = block_arrived, .sync = sync, .block = snapshot_block_ref(block)};
    atomic_fetch_add_explicit(&sync->taken, 1, memory_order_relaxed);
    exec_post(sync->primary->exec, &post->post);
    return ST_OK;
}

/* ---- Executor: who gets it ------------------------------------------------------------------------ */

/* S1: all that will come has come. */
static bool is_over(const struct full_sync *sync)
{
    return sync->snapshot == NULL && sync->delivered == atomic_load(&sync->taken);
}

static struct follower *follower_of(struct list_node *node, const struct full_sync *sync)
{
    struct follower *follower = list_entry(node, struct follower, node);
    return follower->sync == sync ? follower : NULL;
}

static bool is_taking(const struct follower *follower)
{
    return follower->state == FOLLOWER_SYNCING && !(follower->client->flags & CLIENT_CLOSING);
}

static void leave(struct follower *follower)
{
    follower->sync->follower_count--;
    follower->sync = NULL;
}

/* Goes when what is on its way has come. */
static void free_if_over(struct full_sync *sync)
{
    if (!is_over(sync))
        return;
    ASSERT(sync->follower_count == 0 && sync->is_ended);
    list_remove(&sync->node);
    mem_free(sync);
}

/* Nobody is to have any more of it: those who have not got all are dropped. It may be gone afterwards. */
static void end(struct full_sync *sync, enum status status)
{
    if (sync->is_ended)
        return;
    sync->is_ended = true;
    sync->claim_count = 0;
    list_for_each(&sync->primary->followers, node)
    {
        struct follower *follower = follower_of(node, sync);
        if (follower == NULL)
            continue;
        leave(follower);
        if (follower->state == FOLLOWER_SYNCING)
            follower_drop(follower, status == ST_LIMIT ? "its snapshot was given up for its memory"
                                                       : status_text(status));
    }
    if (sync->cursor.log)
        changelog_close(&sync->cursor);
    spool_free(sync->spool);
    sync->spool = NULL;
    if (sync->snapshot)
        snapshot_cancel(sync->snapshot);
    free_if_over(sync);
}

static bool end_if_unused(struct full_sync *sync)
{
    if (sync->follower_count > 0 || sync->claim_count > 0)
        return false;
    end(sync, ST_OK);
    return true;
}

/* ---- Executor: claims ----------------------------------------------------------------------------- */

static uint64_t window_begin(uint64_t position)
{
    return position > FULL_SYNC_WINDOW ? position - FULL_SYNC_WINDOW : 0;
}

static void remove_claim(struct full_sync *sync, unsigned index)
{
    sync->claim_count--;
    memmove(sync->claims + index, sync->claims + index + 1,
            (sync->claim_count - index) * sizeof sync->claims[0]);
}

/* S4 */
static void end_other_claims(struct full_sync *sync)
{
    list_for_each(&sync->primary->syncs, node)
    {
        struct full_sync *other = list_entry(node, struct full_sync, node);
        if (other != sync && other->follower_count == 0)
            end(other, ST_OK);
    }
}

static void add_claim(struct full_sync *sync, const struct follower *follower)
{
    const struct exec *exec = sync->primary->exec;
    if (sync->is_ended || sync->cursor.log == NULL)
        return;
    if (sync->claim_count == FULL_SYNC_CLAIMS_MAX)
        remove_claim(sync, 0);
    struct claim *claim = &sync->claims[sync->claim_count++];
    claim->keep = window_begin(follower->sync_position);
    claim->until_ms = exec->now_ms + exec->config->repl_timeout * 1000;
    follower_describe(follower, claim->host, &claim->port);
    if (sync->follower_count == 0)
        end_other_claims(sync);
}

/* What waits in the log for those who have gone may be as long as what waits for one who is there. */
static bool is_log_too_long(const struct full_sync *sync)
{
    const struct config *config = sync->primary->exec->config;
    uint64_t most = config->client_output_buffer_limit[CONFIG_OUTPUT_REPLICA].hard_bytes;
    return sync->cursor.log == NULL || (most > 0 && changelog_left(&sync->cursor) > most);
}

static void end_due_claims(struct full_sync *sync)
{
    int64_t now_ms = sync->primary->exec->now_ms;
    unsigned before = sync->claim_count;
    if (sync->claim_count > 0 && is_log_too_long(sync))
        sync->claim_count = 0;
    for (unsigned i = sync->claim_count; i-- > 0;)
        if (sync->claims[i].until_ms <= now_ms)
            remove_claim(sync, i);
    if (sync->claim_count < before)
        log_write(sync->primary->exec->log, LOG_NOTICE,
                  "a snapshot that broke off is not kept any longer: nobody has come back for it in time");
}

/* ---- Executor: the bytes -------------------------------------------------------------------------- */

/* It has been handed all of it. */
static void sent_all(struct follower *follower)
{
    struct full_sync *sync = follower->sync;
    bool is_marked = sync->state == SYNC_STREAMING;
    if (is_marked)
        follower_send_text(follower, "%s", sync->mark);
    follower_enter(follower, is_marked || follower->only_snapshot ? FOLLOWER_LOADING : FOLLOWER_ONLINE);
    log_write(sync->primary->exec->log, LOG_NOTICE, "the snapshot for a replica has been sent: %llu bytes",
              (unsigned long long)follower->sync_position);
    if (!follower->can_resume || sync->cursor.log == NULL)
        leave(follower); /* else S3 */
}

static void push(struct follower *follower)
{
    struct full_sync *sync = follower->sync;
    uint64_t outstanding = follower_outstanding(follower);
    if (follower->sync_position < spool_end(sync->spool) && outstanding < FEED_OUTSTANDING_MAX) {
        struct chunk_list bytes = {0};
        follower->sync_position +=
            spool_take(sync->spool, follower->sync_position, FEED_OUTSTANDING_MAX - outstanding, &bytes);
        if (bytes.bytes > 0)
            follower_send(follower, &bytes);
    }
    if (follower->sync_position == spool_end(sync->spool) && is_over(sync))
        sent_all(follower);
    else if (follower_outstanding(follower) > PORT_DRAINED_SIZE)
        follower_await_drain(follower);
}

static uint64_t needed_from(struct full_sync *sync)
{
    uint64_t needed = UINT64_MAX;
    list_for_each(&sync->primary->followers, node)
    {
        const struct follower *follower = follower_of(node, sync);
        if (follower == NULL)
            continue;
        uint64_t keep =
            follower->can_resume ? window_begin(follower->sync_position) : follower->sync_position;
        needed = keep < needed ? keep : needed;
    }
    for (unsigned i = 0; i < sync->claim_count; i++)
        needed = sync->claims[i].keep < needed ? sync->claims[i].keep : needed;
    return needed;
}

/* S2 */
static bool must_pause(const struct full_sync *sync)
{
    uint64_t most = sync->is_paused ? PORT_DRAINED_SIZE : FEED_OUTSTANDING_MAX;
    if (spool_is_full(sync->spool))
        return true;
    if (sync->state == SYNC_FILING)
        return false;
    list_for_each(&sync->primary->followers, node)
    {
        const struct follower *follower = follower_of(node, sync);
        if (follower != NULL && is_taking(follower) &&
            spool_end(sync->spool) - follower->sync_position + follower_outstanding(follower) <= most)
            return false;
    }
    return true;
}

static void pace(struct full_sync *sync)
{
    bool pause = must_pause(sync);
    if (sync->snapshot && pause != sync->is_paused)
        snapshot_pause(sync->snapshot, pause);
    sync->is_paused = pause;
}

static void begin_reading(struct full_sync *sync)
{
    sync->state = SYNC_READING;
    list_for_each(&sync->primary->followers, node)
    {
        struct follower *follower = follower_of(node, sync);
        if (follower && is_taking(follower) && follower->sync_position == 0)
            follower_send_text(follower, "$%llu\r\n", (unsigned long long)spool_end(sync->spool));
    }
}

/* Goes on with whatever can go on. The sync may be gone afterwards. */
static void step(struct full_sync *sync)
{
    bool is_filing = sync->state == SYNC_FILING;
    if (sync->is_ended) {
        free_if_over(sync);
        return;
    }
    enum status status = is_over(sync) ? sync->outcome : ST_OK;
    if (status == ST_OK && (is_filing || !spool_can_read(sync->spool)))
        status = spool_status(sync->spool);
    if (status != ST_OK) {
        end(sync, status);
        return;
    }
    if (is_filing && is_over(sync) && spool_is_written(sync->spool))
        begin_reading(sync);
    if (sync->state != SYNC_FILING) {
        list_for_each(&sync->primary->followers, node)
        {
            struct follower *follower = follower_of(node, sync);
            if (follower && is_taking(follower))
                push(follower);
        }
    }
    end_due_claims(sync);
    if (end_if_unused(sync))
        return;
    spool_need(sync->spool, needed_from(sync));
    pace(sync);
}

static void block_arrived(struct exec *exec, struct exec_post *post)
{
    struct block_post *arrived = container_of(post, struct block_post, post);
    struct full_sync *sync = arrived->sync;
    sync->delivered++;
    if (sync->is_ended)
        snapshot_block_unref(arrived->block);
    else
        spool_append(sync->spool, arrived->block);
    mem_free(arrived);
    step(sync);
}

static void ended(void *context, enum status outcome)
{
    struct full_sync *sync = context;
    sync->snapshot = NULL;
    sync->outcome = outcome;
    step(sync);
}

static void spool_moved(void *context)
{
    step(context);
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

static bool is_held(const struct follower *follower)
{
    return follower->can_resume && !follower->only_snapshot && !follower->is_old;
}

/* Its place in the log is the cut. */
static void join(struct follower *follower, struct full_sync *sync)
{
    struct primary *primary = follower->primary;
    follower->sync = sync;
    follower->sync_position = 0;
    sync->follower_count++;
    follower->acked = follower->synced = 0;
    follower->has_acked = false;
    follower_enter(follower, FOLLOWER_SYNCING);
    bool is_open = follower->only_snapshot || changelog_open(primary->exec->propagate.log, CHANGELOG_LINK,
                                                             sync->position, &follower->cursor);
    ASSERT(is_open);
    if (is_held(follower) && sync->cursor.log == NULL)
        changelog_open_like(&follower->cursor, &sync->cursor);
    if (is_held(follower))
        follower_send_text(follower, "+FULLRESYNC %s %llu %s\r\n", sync->id,
                           (unsigned long long)sync->position, sync->mark);
    else if (!follower->is_old)
        follower_send_text(follower, "+FULLRESYNC %s %llu\r\n", sync->id, (unsigned long long)sync->position);
    if (sync->state == SYNC_STREAMING)
        follower_send_text(follower, "$EOF:%s\r\n", sync->mark);
    primary->full_syncs++;
}

static struct full_sync *new_sync(struct primary *primary, bool through_file)
{
    struct exec *exec = primary->exec;
    struct full_sync *sync = mem_calloc(1, sizeof *sync);
    char name[FILE_NAME_SIZE];
    sync->primary = primary;
    sync->state = through_file ? SYNC_FILING : SYNC_STREAMING;
    memcpy(sync->id, primary->repl->id, sizeof sync->id);
    for (unsigned i = 0; i < MARK_SIZE; i++)
        sync->mark[i] = "0123456789abcdef"[rng_below(&exec->rng, 16)];
    snprintf(name, sizeof name, "temp-sync-%ld-%.8s.rdb", (long)getpid(), sync->mark);
    struct spool_options options = {
        .exec = exec,
        .files = exec->files ? exec->files : file_system_real(),
        .name = name,
        .memory_max = through_file ? 0 : FULL_SYNC_MEMORY_MAX,
        .moved = spool_moved,
        .context = sync,
    };
    sync->spool = spool_new(&options);
    list_append(&primary->syncs, &sync->node);
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
        .is_awaited = true,
        .replication_db = propagate_db(exec),
    };
    struct snapshot_sink sink = {.context = sync, .take = take, .ended = ended};
    sync->snapshot = snapshot_begin(exec, &options, &sink);
    if (sync->snapshot == NULL) {
        log_write(exec->log, LOG_WARNING, "no memory for a snapshot: replicas go on waiting");
        primary->next_sync_ms = exec->now_ms + RETRY_MS;
        end(sync, ST_OK);
        return;
    }
    sync->position = snapshot_position(sync->snapshot);
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

/* S4 */
static bool may_begin(const struct primary *primary)
{
    unsigned count = 0;
    list_for_each(&primary->syncs, node)
    {
        const struct full_sync *sync = list_entry(node, struct full_sync, node);
        count++;
        if (!is_over(sync) && sync->follower_count > 0)
            return false;
    }
    return count < FULL_SYNCS_MAX;
}

void full_sync_step(struct primary *primary)
{
    struct waiting waiting = look_at_waiting(primary);
    bool through_file = !primary->exec->config->repl_diskless_sync || !waiting.can_eof;
    list_for_each(&primary->syncs, node)
    {
        step(list_entry(node, struct full_sync, node));
    }
    if (waiting.count > 0 && may_begin(primary) && is_due(primary, &waiting, through_file))
        begin(primary, &waiting, through_file);
}

/* ---- Executor: coming back ------------------------------------------------------------------------ */

static struct full_sync *find_sync(const struct follower *follower)
{
    const struct primary *primary = follower->primary;
    list_for_each(&primary->syncs, node)
    {
        struct full_sync *sync = list_entry(node, struct full_sync, node);
        bool is_it = strcmp(sync->mark, follower->resume_id) == 0 &&
                     strcmp(sync->id, primary->repl->id) == 0 && !sync->is_ended &&
                     sync->cursor.log != NULL && !is_log_too_long(sync);
        if (is_it && follower->resume_bytes >= spool_start(sync->spool) &&
            follower->resume_bytes <= spool_end(sync->spool))
            return sync;
    }
    return NULL;
}

/* Its former connection may seem to live still. */
static void drop_former(struct full_sync *sync, const struct follower *follower)
{
    char host[FOLLOWER_ADDRESS_MAX + 1], other_host[FOLLOWER_ADDRESS_MAX + 1];
    int64_t port, other_port;
    follower_describe(follower, host, &port);
    list_for_each(&sync->primary->followers, node)
    {
        struct follower *other = follower_of(node, sync);
        if (other == NULL || other == follower)
            continue;
        follower_describe(other, other_host, &other_port);
        if (strcmp(host, other_host) != 0 || port != other_port)
            continue;
        leave(other);
        follower_drop(other, "it has come back over another connection");
    }
}

/* Its own, where it can be told by its address; else the oldest one. */
static void take_up_claim(struct full_sync *sync, const struct follower *follower)
{
    char host[FOLLOWER_ADDRESS_MAX + 1];
    int64_t port;
    unsigned taken = 0;
    follower_describe(follower, host, &port);
    for (unsigned i = 0; i < sync->claim_count; i++)
        if (sync->claims[i].port == port && strcmp(sync->claims[i].host, host) == 0)
            taken = i;
    if (sync->claim_count > 0)
        remove_claim(sync, taken);
}

bool full_sync_resume(struct follower *follower)
{
    struct full_sync *sync = is_held(follower) && follower->resume_id[0] ? find_sync(follower) : NULL;
    if (sync == NULL)
        return false;
    follower->sync = sync;
    follower->sync_position = follower->resume_bytes;
    sync->follower_count++;
    follower_enter(follower, FOLLOWER_SYNCING);
    changelog_open_like(&sync->cursor, &follower->cursor);
    take_up_claim(sync, follower);
    drop_former(sync, follower);
    follower_send_text(follower, "+FULLRESYNC %s %llu %s %llu\r\n", sync->id,
                       (unsigned long long)sync->position, sync->mark,
                       (unsigned long long)follower->resume_bytes);
    if (follower->resume_bytes == 0 && sync->state == SYNC_STREAMING)
        follower_send_text(follower, "$EOF:%s\r\n", sync->mark);
    else if (follower->resume_bytes == 0 && sync->state == SYNC_READING)
        follower_send_text(follower, "$%llu\r\n", (unsigned long long)spool_end(sync->spool));
    sync->primary->resumed_syncs++;
    step(sync);
    return true;
}

void full_sync_received(struct follower *follower)
{
    struct full_sync *sync = follower->sync;
    if (sync == NULL || follower->state == FOLLOWER_SYNCING)
        return;
    leave(follower);
    end_if_unused(sync);
}

void full_sync_forget(struct follower *follower)
{
    struct full_sync *sync = follower->sync;
    if (sync == NULL)
        return;
    leave(follower);
    if (is_held(follower))
        add_claim(sync, follower);
    end_if_unused(sync);
}

void full_sync_cron(struct primary *primary)
{
    list_for_each(&primary->syncs, node)
    {
        step(list_entry(node, struct full_sync, node));
    }
}

uint64_t full_sync_memory(const struct primary *primary)
{
    uint64_t memory = 0;
    list_for_each(&primary->syncs, node)
    {
        const struct full_sync *sync = list_entry(node, struct full_sync, node);
        memory += sync->spool ? spool_memory(sync->spool) : 0;
    }
    return memory;
}

void full_sync_end_all(struct primary *primary)
{
    list_for_each(&primary->syncs, node)
    {
        end(list_entry(node, struct full_sync, node), ST_OK);
    }
}

bool full_sync_keeps_waiting(const struct follower *follower)
{
    return follower->state == FOLLOWER_WAITING ||
           (follower->sync != NULL && follower->sync->state == SYNC_FILING);
}
