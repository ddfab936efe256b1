/* Snapshots: the executor's half. Rules, states and threads: see snapshot.h.
 *
 * Principal entry points: snapshot_begin, snapshot_pause, snapshot_cancel; visit (what the walks tell), step (its task).
 *
 * | state     | who calls what                                                          | may be trusted           |
 * |-----------|-------------------------------------------------------------------------|--------------------------|
 * | WALKING   | step visits keys; visit adds to `batch`; submit hands it to the worker   | walks are open           |
 * | FINISHING | batches come back                                                       | walks have ended         |
 * | ENDING    | visit does nothing; step ends the walks; batches come back unwritten     | `outcome` is not ST_OK   |
 *
 * N1  away == number of batches that the worker has or that are on their way back; held_bytes is what these and `batch` hold.
 * N2  The writer is the worker's while is_queued; the queue and is_queued belong to the lock.
 * N3  The last batch is submitted once, when the last walk is over, and none after it. */
#include "persist/snapshot.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/role.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/exec.h"
#include "keyspace/walk.h"
#include "persist/persist.h"
#include "persist/snapshot_batch.h"
#include "persist/snapshot_writer.h"

/* One step: so many keys, or so many bytes that are copied. */
#define SNAPSHOT_STEP_KEYS  256
#define SNAPSHOT_STEP_BYTES ((uint64_t)64 << 10)
/* A batch is handed over when it has about so many keys, SNAPSHOT_BATCH_BYTES less a step, or refers to so much. */
#define SNAPSHOT_BATCH_KEYS  1024
#define SNAPSHOT_BATCH_HELD  ((uint64_t)4 << 20)
#define SNAPSHOT_BATCHES_MAX 4
/* The walk rests while the worker has so much of what it came to by itself: what of it is replaced now is kept until it is written. */
#define SNAPSHOT_WALK_HELD ((uint64_t)16 << 20)

/* The walk's part of the executor's time while requests come without end (exec/task.h). What is visited costs several times as much
 * in all, on the executor ahead of the walk and on the worker, and that is the same whatever the part: so a walk that takes longer leaves
 * requests more. Those who change keys visit many of them anyway. */
#define SNAPSHOT_SHARE 30

/* What may be held when the option says nothing: the greater of this and a tenth of the data. */
#define SNAPSHOT_BUDGET_MIN  ((uint64_t)64 << 20)
#define SNAPSHOT_BUDGET_PART 10

enum snapshot_state { SNAPSHOT_WALKING, SNAPSHOT_FINISHING, SNAPSHOT_ENDING };

/* A walk over one database. */
struct snapshot_walk {
    struct key_walk walk;
    struct snapshot *snapshot;
    uint32_t db; /* its number at the cut */
};

struct snapshot {
    struct list_node node; /* in persist.snapshots */
    struct exec *exec;
    struct exec_task task;
    enum snapshot_state state;
    enum status outcome;
    struct snapshot_sink sink;
    uint64_t position;
    uint64_t began_ns;
    enum rdb_file_use use;
    bool is_paused;
    struct exec_post end_post;
    bool is_end_posted;

    struct snapshot_db *dbs; /* the writer's, but for the numbers */
    struct snapshot_walk *walks;
    uint32_t walk_count;
    uint32_t walk_now; /* those before have ended */

    struct snapshot_batch *batch; /* that is being filled; NULL: none yet */
    struct snapshot_batch *spare;
    uint32_t away;
    uint64_t budget;
    uint64_t held_bytes, held_peak_bytes;
    uint64_t ahead_bytes; /* of held_bytes: what was visited since it changes; the budget is for this */
    bool is_walking;      /* within key_walk_step */
    uint64_t keys_done, keys_total, bytes;

    struct snapshot_writer *writer; /* N2 */
    _Atomic bool is_cancelled;      /* executor writes, worker reads */
    pthread_mutex_t lock;
    struct snapshot_batch *first, *last; /* lock */
    bool is_queued;                      /* lock: a job of ours is with the workers */
};

/* ---- The worker -------------------------------------------------------------------------------------------- */

static void batch_back(struct exec *exec, struct exec_post *post);

/* Writes one batch; whatever else the pool has to do comes between two. */
static void work(void *context)
{
    struct snapshot *snapshot = context;
    pthread_mutex_lock(&snapshot->lock);
    struct snapshot_batch *batch = snapshot->first;
    snapshot->first = batch->next;
    pthread_mutex_unlock(&snapshot->lock);

    batch->status = snapshot_writer_batch(snapshot->writer, batch, &batch->bytes);

    pthread_mutex_lock(&snapshot->lock);
    bool more = snapshot->first != NULL;
    snapshot->is_queued = more;
    struct worker_pool *workers = snapshot->exec->workers;
    pthread_mutex_unlock(&snapshot->lock);
    if (more)
        worker_submit(workers, work, snapshot);
    /* The last thing: with the last batch the snapshot goes. */
    batch->post.run = batch_back;
    exec_post(snapshot->exec, &batch->post);
}

static void enqueue(struct snapshot *snapshot, struct snapshot_batch *batch)
{
    batch->next = NULL;
    pthread_mutex_lock(&snapshot->lock);
    if (snapshot->first != NULL)
        snapshot->last->next = batch;
    else
        snapshot->first = batch;
    snapshot->last = batch;
    bool must_submit = !snapshot->is_queued;
    snapshot->is_queued = true;
    pthread_mutex_unlock(&snapshot->lock);
    if (must_submit && snapshot->exec->workers != NULL)
        worker_submit(snapshot->exec->workers, work, snapshot);
    else if (must_submit)
        work(snapshot);
}

/* ---- Batches ----------------------------------------------------------------------------------------------- */

static struct snapshot_batch *take_batch(struct snapshot *snapshot)
{
    struct snapshot_batch *batch = snapshot->spare;
    if (batch != NULL) {
        snapshot->spare = batch->next;
        return batch;
    }
    batch = mem_calloc(1, sizeof *batch);
    batch->snapshot = snapshot;
    return batch;
}

static void put_batch(struct snapshot *snapshot, struct snapshot_batch *batch)
{
    snapshot_batch_release(batch, snapshot->exec->keyspace);
    /* One that a few large keys have blown up is not kept. */
    if (batch->records.capacity > 2 * SNAPSHOT_BATCH_BYTES)
        buf_done(&batch->records);
    batch->held_bytes = batch->ahead_bytes = 0;
    batch->next = snapshot->spare;
    snapshot->spare = batch;
}

static void submit(struct snapshot *snapshot, bool is_last)
{
    struct snapshot_batch *batch = snapshot->batch != NULL ? snapshot->batch : take_batch(snapshot);
    snapshot->batch = NULL;
    batch->is_last = is_last;
    snapshot->away++;
    enqueue(snapshot, batch);
}

/* ---- The end ----------------------------------------------------------------------------------------------- */

static void snapshot_free(struct snapshot *snapshot)
{
    exec_task_sleep(&snapshot->task);
    list_remove(&snapshot->node);
    for (struct snapshot_batch *batch = snapshot->spare, *next; batch != NULL; batch = next) {
        next = batch->next;
        buf_done(&batch->records);
        mem_free(batch);
    }
    snapshot_writer_free(snapshot->writer);
    pthread_mutex_destroy(&snapshot->lock);
    mem_free(snapshot->walks);
    mem_free(snapshot->dbs);
    mem_free(snapshot);
}

static void end(struct exec *exec, struct exec_post *post)
{
    (void)exec;
    struct snapshot *snapshot = container_of(post, struct snapshot, end_post);
    snapshot->sink.ended(snapshot->sink.context, snapshot->outcome);
    snapshot_free(snapshot);
}

/* What nobody will write is given back; `ended` follows when all batches are back. */
static void drop_rest(struct snapshot *snapshot)
{
    for (; snapshot->walk_now < snapshot->walk_count; snapshot->walk_now++)
        key_walk_end(&snapshot->walks[snapshot->walk_now].walk);
    if (snapshot->batch != NULL)
        put_batch(snapshot, snapshot->batch);
    snapshot->batch = NULL;
}

static void end_if_back(struct snapshot *snapshot)
{
    bool is_over = snapshot->state != SNAPSHOT_WALKING && snapshot->walk_now == snapshot->walk_count;
    if (!is_over || snapshot->away > 0 || snapshot->is_end_posted)
        return;
    snapshot->is_end_posted = true;
    snapshot->end_post.run = end;
    exec_post(snapshot->exec, &snapshot->end_post);
}

/* May be called from inside a walk: the rest is the next step's. */
static void give_up(struct snapshot *snapshot, enum status outcome)
{
    if (snapshot->state == SNAPSHOT_ENDING)
        return;
    snapshot->state = SNAPSHOT_ENDING;
    snapshot->outcome = outcome;
    atomic_store_explicit(&snapshot->is_cancelled, true, memory_order_relaxed);
    exec_task_wake(snapshot->exec, &snapshot->task);
}

static void batch_back(struct exec *exec, struct exec_post *post)
{
    struct snapshot_batch *batch = container_of(post, struct snapshot_batch, post);
    struct snapshot *snapshot = batch->snapshot;
    snapshot->away--;
    snapshot->held_bytes -= batch->held_bytes;
    snapshot->ahead_bytes -= batch->ahead_bytes;
    if (batch->bytes > snapshot->bytes) /* those of two workers may change places on their way */
        snapshot->bytes = batch->bytes;
    if (batch->status != ST_OK)
        give_up(snapshot, batch->status);
    put_batch(snapshot, batch);
    if (snapshot->state == SNAPSHOT_WALKING && !snapshot->is_paused)
        exec_task_wake(exec, &snapshot->task);
    end_if_back(snapshot);
}

/* ---- Walking ----------------------------------------------------------------------------------------------- */

static void visit(const struct entry *entry, void *context)
{
    struct snapshot_walk *walk = context;
    struct snapshot *snapshot = walk->snapshot;
    uint64_t held;
    if (unlikely(snapshot->state != SNAPSHOT_WALKING))
        return;
    if (snapshot->batch == NULL)
        snapshot->batch = take_batch(snapshot);
    if (!snapshot_batch_add(snapshot->batch, snapshot->exec->keyspace, entry, walk->db, snapshot->use,
                            &held)) {
        give_up(snapshot, ST_NOMEM);
        return;
    }
    snapshot->batch->held_bytes += held;
    snapshot->held_bytes += held;
    if (snapshot->held_bytes > snapshot->held_peak_bytes)
        snapshot->held_peak_bytes = snapshot->held_bytes;
    snapshot->keys_done++;
    if (!snapshot->is_walking) {
        snapshot->batch->ahead_bytes += held;
        snapshot->ahead_bytes += held;
    }
    /* Of what is visited ahead of its turn, there may be any number. */
    if (snapshot->batch->records.size >= SNAPSHOT_BATCH_BYTES)
        submit(snapshot, false);
    if (unlikely(snapshot->ahead_bytes > snapshot->budget))
        give_up(snapshot, ST_LIMIT);
}

/* Visits about as many keys as a step may. */
static void walk_some(struct snapshot *snapshot)
{
    uint64_t keys_end = snapshot->keys_done + SNAPSHOT_STEP_KEYS;
    uint64_t held_end = snapshot->held_bytes + SNAPSHOT_STEP_BYTES;
    unsigned buckets_left = SNAPSHOT_STEP_KEYS;
    snapshot->is_walking = true;
    while (snapshot->walk_now < snapshot->walk_count && buckets_left-- > 0 &&
           snapshot->keys_done < keys_end && snapshot->held_bytes < held_end &&
           snapshot->state == SNAPSHOT_WALKING) {
        struct key_walk *walk = &snapshot->walks[snapshot->walk_now].walk;
        if (key_walk_step(walk))
            continue;
        key_walk_end(walk);
        snapshot->walk_now++;
    }
    snapshot->is_walking = false;
}

static bool may_walk(const struct snapshot *snapshot)
{
    bool has_much = snapshot->away > 0 && snapshot->held_bytes - snapshot->ahead_bytes >= SNAPSHOT_WALK_HELD;
    return snapshot->state == SNAPSHOT_WALKING && !snapshot->is_paused && !has_much &&
           snapshot->away < SNAPSHOT_BATCHES_MAX;
}

static bool step(struct exec *exec, struct exec_task *task)
{
    (void)exec;
    struct snapshot *snapshot = container_of(task, struct snapshot, task);
    if (may_walk(snapshot)) {
        walk_some(snapshot);
        bool is_over = snapshot->walk_now == snapshot->walk_count;
        if (snapshot->state == SNAPSHOT_WALKING && is_over) {
            snapshot->state = SNAPSHOT_FINISHING;
            submit(snapshot, true);
        } else if (snapshot->state == SNAPSHOT_WALKING && snapshot->batch != NULL &&
                   (snapshot->batch->keys >= SNAPSHOT_BATCH_KEYS ||
                    snapshot->batch->held_bytes >= SNAPSHOT_BATCH_HELD ||
                    snapshot->batch->records.size >= SNAPSHOT_BATCH_BYTES - SNAPSHOT_STEP_BYTES)) {
            submit(snapshot, false);
        }
    }
    if (snapshot->state == SNAPSHOT_ENDING) {
        drop_rest(snapshot);
        end_if_back(snapshot);
    }
    return may_walk(snapshot);
}

/* ---- The beginning ----------------------------------------------------------------------------------------- */

static enum rdb_file_use use_of(const struct exec *exec)
{
    int policy = exec->config->maxmemory_policy;
    if (exec->keyspace->use.rules.counts)
        return RDB_FILE_USE_FREQUENCY;
    return policy == CONFIG_MAXMEMORY_POLICY_ALLKEYS_LRU || policy == CONFIG_MAXMEMORY_POLICY_VOLATILE_LRU
               ? RDB_FILE_USE_IDLE
               : RDB_FILE_USE_NONE;
}

static uint64_t budget_of(const struct exec *exec)
{
    uint64_t budget = (uint64_t)exec->config->snapshot_memory_budget;
    uint64_t part = mem_used() / SNAPSHOT_BUDGET_PART;
    if (budget > 0)
        return budget;
    return part > SNAPSHOT_BUDGET_MIN ? part : SNAPSHOT_BUDGET_MIN;
}

/* Whether a hash has fields with times to live, which older versions of the format do not know. */
static bool has_timed_fields(const struct keyspace *keyspace)
{
    for (uint32_t i = 0; i < keyspace->db_count; i++)
        if (keyspace->dbs[i].timed_count > 0)
            return true;
    return false;
}

unsigned snapshot_file_version(const struct config *config)
{
    switch ((int)config->rdb_version) {
    case CONFIG_RDB_VERSION_10: return RDB_VERSION_REDIS_7_0;
    case CONFIG_RDB_VERSION_80: return RDB_VERSION_VALKEY;
    default: return RDB_VERSION_NEWEST;
    }
}

static struct snapshot_writer *new_writer(struct snapshot *snapshot, const struct snapshot_options *options)
{
    const struct exec *exec = snapshot->exec;
    bool is_timed = has_timed_fields(exec->keyspace) && options->version < options->timed_version;
    struct snapshot_writer_options writer_options = {
        .about = {.version = is_timed ? options->timed_version : options->version,
                  .made_s = exec->now_ms / 1000,
                  .memory = mem_used(),
                  .is_aof_base = options->aof_base,
                  .repl_id = options->has_replication ? options->replication_id : NULL,
                  .repl_offset = options->replication_offset,
                  .repl_db = options->replication_db},
        .compress = options->compress,
        .checksum = options->checksum,
        .sink = &snapshot->sink,
        .dbs = snapshot->dbs,
        .db_count = snapshot->walk_count,
        .is_cancelled = &snapshot->is_cancelled,
    };
    return snapshot_writer_new(&writer_options);
}

static uint32_t count_databases(const struct keyspace *keyspace)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < keyspace->db_count; i++)
        count += table_size(keyspace->dbs[i].keys) > 0;
    return count;
}

/* The cut: from here on every change is told to the walks. */
static void begin_walks(struct snapshot *snapshot)
{
    struct keyspace *keyspace = snapshot->exec->keyspace;
    uint32_t count = 0;
    for (uint32_t i = 0; i < keyspace->db_count; i++) {
        struct db *db = &keyspace->dbs[i];
        uint64_t keys = table_size(db->keys);
        if (keys == 0)
            continue;
        struct snapshot_walk *walk = &snapshot->walks[count];
        walk->snapshot = snapshot;
        walk->db = i;
        key_walk_begin(&walk->walk, db, visit, walk);
        snapshot->dbs[count++] = (struct snapshot_db){i, keys, db->volatile_count, false};
        snapshot->keys_total += keys;
    }
}

struct snapshot *snapshot_begin(struct exec *exec, const struct snapshot_options *options,
                                const struct snapshot_sink *sink)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    ASSERT(exec->propagate.unit_count == 0);
    struct snapshot *snapshot = mem_calloc(1, sizeof *snapshot);
    snapshot->exec = exec;
    snapshot->sink = *sink;
    snapshot->task = (struct exec_task){
        .name = "snapshot", .step = step, .share = options->is_awaited ? TASK_SHARE : SNAPSHOT_SHARE};
    snapshot->position = propagate_offset(exec);
    snapshot->began_ns = clock_monotonic_ns(exec->clock);
    snapshot->use = use_of(exec);
    snapshot->budget = budget_of(exec);
    snapshot->walk_count = count_databases(exec->keyspace);
    snapshot->dbs = mem_calloc(snapshot->walk_count + 1, sizeof *snapshot->dbs);
    snapshot->writer = new_writer(snapshot, options);
    if (snapshot->writer == NULL) {
        mem_free(snapshot->dbs);
        mem_free(snapshot);
        return NULL;
    }
    snapshot->walks = mem_calloc(snapshot->walk_count + 1, sizeof *snapshot->walks);
    pthread_mutex_init(&snapshot->lock, NULL);
    begin_walks(snapshot);
    list_append(&exec->persist->snapshots, &snapshot->node);
    exec_task_wake(exec, &snapshot->task);
    return snapshot;
}

/* ---- While it runs ----------------------------------------------------------------------------------------- */

uint64_t snapshot_position(const struct snapshot *snapshot)
{
    return snapshot->position;
}

void snapshot_pause(struct snapshot *snapshot, bool pause)
{
    snapshot->is_paused = pause;
    if (!pause)
        exec_task_wake(snapshot->exec, &snapshot->task);
}

void snapshot_cancel(struct snapshot *snapshot)
{
    give_up(snapshot, ST_EOF);
}

void snapshot_progress(const struct snapshot *snapshot, struct snapshot_progress *ret_progress)
{
    *ret_progress = (struct snapshot_progress){
        .keys_done = snapshot->keys_done,
        .keys_total = snapshot->keys_total,
        .bytes = snapshot->bytes,
        .began_ns = snapshot->began_ns,
        .held_bytes = snapshot->held_bytes,
        .held_peak_bytes = snapshot->held_peak_bytes,
    };
}

void snapshot_progress_all(const struct exec *exec, struct snapshot_progress *ret_progress)
{
    struct snapshot_progress sum = {0};
    list_for_each(&exec->persist->snapshots, node)
    {
        const struct snapshot *snapshot = list_entry(node, struct snapshot, node);
        sum.keys_done += snapshot->keys_done;
        sum.keys_total += snapshot->keys_total;
        sum.bytes += snapshot->bytes;
        sum.held_bytes += snapshot->held_bytes;
        sum.held_peak_bytes += snapshot->held_peak_bytes;
        if (sum.began_ns == 0 || snapshot->began_ns < sum.began_ns)
            sum.began_ns = snapshot->began_ns;
    }
    *ret_progress = sum;
}

void snapshot_end_all(struct exec *exec)
{
    ASSERT(exec->workers == NULL);
    exec_run_posts(exec);
    while (!list_is_empty(&exec->persist->snapshots)) {
        struct snapshot *snapshot = list_entry(exec->persist->snapshots.next, struct snapshot, node);
        give_up(snapshot, ST_EOF);
        step(exec, &snapshot->task);
        exec_run_posts(exec);
    }
}
