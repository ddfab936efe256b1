/* Commands that run in slices. Rules and states in sliced.h. Threads: executor only. */
#include "exec/sliced.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fiber.h"
#include "base/role.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/admit.h"
#include "exec/block.h"
#include "exec/dispatch.h"
#include "exec/hold.h"
#include "exec/pause.h"
#include "exec/tracking.h"

/* Work between two looks at the clock: some microseconds. */
#define LOOK_WORK 64
/* While others have requests a slice is this part of what it may be: they wait less, and get the larger share. They have until so many
 * short slices have passed without a batch, for whoever comes a few times in a millisecond would else find a long one each time. */
#define BUSY_DIVISOR 4
#define BUSY_SLICES  16
#define STACK_SIZE   ((size_t)128 << 10)
#define IDLE_MAX     8 /* fibers kept for the next commands */
/* Collections with fewer rows are changed in place: a copy of the leaf would cost more than it saves. */
#define EDIT_COPY_MIN 1024
/* sliced_grow moves so many bytes in steps, of this size and as much work. */
#define GROW_SLICED_MIN ((size_t)128 << 10)
#define GROW_STEP       ((size_t)16 << 10)
#define GROW_WORK       32

struct sliced_table {
    struct exec *exec;
    struct list_node running; /* long ones, whose turn is first in front */
    struct list_node waiting; /* clients whose command found no place */
    struct sliced *idle[IDLE_MAX];
    uint32_t idle_count;
    uint32_t count; /* long ones */
    uint64_t batches_seen;
    uint32_t short_left; /* slices that are short though nobody comes */
    bool is_stopped;     /* sliced_stop */
};

/* ---- Life --------------------------------------------------------------------------------------------------- */

struct sliced_table *sliced_table_new(struct exec *exec)
{
    struct sliced_table *table = mem_calloc(1, sizeof *table);
    table->exec = exec;
    list_init(&table->running);
    list_init(&table->waiting);
    return table;
}

void sliced_table_free(struct sliced_table *table)
{
    ASSERT(table->count == 0);
    while (table->idle_count > 0) {
        struct sliced *sliced = table->idle[--table->idle_count];
        fiber_free(sliced->fiber);
        mem_free(sliced);
    }
    mem_free(table);
}

/* NULL when memory is refused. */
static struct sliced *take(struct sliced_table *table)
{
    if (likely(table->idle_count > 0))
        return table->idle[--table->idle_count];
    struct sliced *sliced = mem_try_alloc(sizeof *sliced);
    if (sliced == NULL)
        return NULL;
    *sliced = (struct sliced){.fiber = fiber_new(STACK_SIZE)};
    if (sliced->fiber != NULL)
        return sliced;
    mem_free(sliced);
    return NULL;
}

static void put(struct sliced_table *table, struct sliced *sliced)
{
    if (likely(table->idle_count < IDLE_MAX)) {
        table->idle[table->idle_count++] = sliced;
        return;
    }
    fiber_free(sliced->fiber);
    mem_free(sliced);
}

/* ---- Kept rows ---------------------------------------------------------------------------------------------- */

struct tree *sliced_keep_slow(struct sliced *sliced, struct tree *rows)
{
    struct kept_rows *kept = sliced->kept_count < SLICED_KEPT_INLINE
                                 ? &sliced->kept_inline[sliced->kept_count++]
                                 : mem_alloc(sizeof *kept);
    if (sliced->borrows)
        kept->rows = *rows;
    else
        tree_snapshot(rows, &kept->rows);
    kept->next = sliced->kept;
    sliced->kept = kept;
    return &kept->rows;
}

/* S6: from now on others may change what is kept. */
static void end_borrowing(struct sliced *sliced)
{
    for (struct kept_rows *kept = sliced->kept; sliced->borrows && kept != NULL; kept = kept->next)
        tree_snapshot(&kept->rows, &kept->rows);
    sliced->borrows = false;
}

static void release_kept(struct sliced *sliced)
{
    struct keyspace *keyspace = sliced->call.exec->keyspace;
    for (struct kept_rows *kept = sliced->kept, *next; kept != NULL; kept = next) {
        next = kept->next;
        if (!sliced->borrows)
            keyspace_retire_rows(keyspace, &kept->rows);
        if (kept < sliced->kept_inline || kept >= sliced->kept_inline + SLICED_KEPT_INLINE)
            mem_free(kept);
    }
    sliced->kept = NULL;
    sliced->kept_count = 0;
}

/* ---- On the fiber ------------------------------------------------------------------------------------------- */

static void run_command(void *context)
{
    struct sliced *sliced = context;
    sliced->call.command->run(&sliced->call);
}

static void look_later(struct sliced *sliced)
{
    uint64_t slice_us = sliced->length_ns / 1000;
    sliced->credit_given = slice_us < LOOK_WORK ? (uint32_t)slice_us + 1 : LOOK_WORK;
    sliced->credit = sliced->credit_given;
}

/* What the command has to hold while it is long. False: memory is refused. */
static bool take_holds(struct sliced *sliced)
{
    struct call *call = &sliced->call;
    sliced->held = hold_take(&call->exec->holds, call->command, call->argv, call->argc, sliced->scope,
                             &sliced->held_count);
    return sliced->held != NULL;
}

/* S2 to S4. False: there is no place, or no memory for what it holds: then its slice goes on to
 * its end. */
static bool become_long(struct sliced *sliced)
{
    struct call *call = &sliced->call;
    struct client *client = call->client;
    struct sliced_table *table = call->exec->sliced;
    bool writes = call->command->flags & CMD_WRITE;
    bool holds = writes || sliced->reads_in_place || sliced->reads_anything;
    sliced->scope = sliced->reads_anything ? HOLD_EVERYTHING : writes ? HOLD_WRITES : HOLD_READS;
    if (table->count >= SLICED_MAX)
        sliced->try_again_in = &table->waiting;
    else if (holds)
        sliced->try_again_in =
            hold_obstacle(&call->exec->holds, call->command, call->argv, call->argc, sliced->scope);
    if (sliced->try_again_in != NULL)
        return false;
    if (holds && !take_holds(sliced)) {
        sliced->length_ns = UINT64_MAX;
        return false;
    }
    reply_split(&client->out, sliced->reply_before, &sliced->out);
    call->out = &sliced->out;
    end_borrowing(sliced);
    sliced->is_long = true;
    call->exec->stats.sliced_commands++;
    call->exec->stats.slices++;
    list_append(&table->running, &sliced->node);
    table->count++;
    client->sliced = sliced;
    client->flags |= CLIENT_SLICED;
    client_note_patience(client);
    return true;
}

bool sliced_pause_slow(struct sliced *sliced, uint32_t work)
{
    const struct client *client = sliced->call.client;
    const struct clock *clock = sliced->call.exec->clock;
    sliced->work_done += sliced->credit_given - sliced->credit + work;
    look_later(sliced);
    if (sliced->is_committed)
        return true; /* S5 */
    if (client->flags & CLIENT_CLOSING || sliced->try_again_in != NULL)
        return false;
    if (clock_ticks_to_ns(clock, clock_ticks(clock) - sliced->begin_ticks) < sliced->length_ns)
        return true;
    if (!sliced->is_long && !become_long(sliced))
        return sliced->try_again_in == NULL;
    fiber_pause(sliced->fiber);
    return !(client->flags & CLIENT_CLOSING);
}

static void release_held(struct sliced *sliced)
{
    hold_release(&sliced->call.exec->holds, sliced->held, sliced->held_count, sliced->scope);
    sliced->held = NULL;
    sliced->held_count = 0;
}

void sliced_commit_slow(struct sliced *sliced)
{
    sliced->is_committed = true;
    if (sliced->held != NULL)
        release_held(sliced);
}

void sliced_commit_key(struct call *call, struct key *key)
{
    struct sliced *sliced = call->sliced;
    if (sliced == NULL)
        return;
    sliced_commit_slow(sliced);
    if (sliced->is_long)
        key->entry = db_locate(call->db, key->name, key->hash, &key->position);
    ASSERT(key->entry != NULL); /* held until now */
    db_note_change(call->db, key->entry, key->hash);
}

/* ---- Blocks that grow --------------------------------------------------------------------------------------- */

enum status sliced_grow(struct call *call, void **block, size_t used, size_t size)
{
    DEBUG_ASSERT(used <= size);
    bool is_large = call->sliced != NULL && used >= GROW_SLICED_MIN;
    char *larger = is_large ? mem_try_alloc(size) : mem_try_realloc(*block, size);
    if (larger == NULL)
        return ST_NOMEM;
    for (size_t moved = 0, step; is_large && moved < used; moved += step) {
        step = used - moved < GROW_STEP ? used - moved : GROW_STEP;
        memcpy(larger + moved, (const char *)*block + moved, step);
        if (!sliced_pause(call, GROW_WORK)) {
            worker_free(call->exec->workers, larger);
            return ST_LIMIT;
        }
    }
    if (is_large)
        worker_free(call->exec->workers, *block);
    *block = larger;
    return ST_OK;
}

/* ---- Changing a copy ---------------------------------------------------------------------------------------- */

void sliced_edit(struct call *call, struct collection_view *view)
{
    struct sliced *sliced = call->sliced;
    if (sliced == NULL || sliced->edits_copy)
        return;
    if (tree_rows(view->rows) < EDIT_COPY_MIN) {
        sliced_commit_slow(sliced);
        return;
    }
    sliced->edits_copy = true;
    sliced_keep_view(call, view);
}

static void exchange(struct tree *a, struct tree *b)
{
    struct tree old = *a;
    *a = *b;
    *b = old;
}

void sliced_publish(struct call *call, struct key *key, struct collection_view *view)
{
    struct sliced *sliced = call->sliced;
    if (sliced == NULL || !sliced->edits_copy)
        return;
    struct tree *rows = view->rows, *index = view->index;
    sliced_commit_key(call, key);
    collection_open(view, call->exec->keyspace, key->entry);
    /* What the key had is kept now, until the command returns. */
    exchange(view->rows, rows);
    if (index != NULL)
        exchange(view->index, index);
}

/* ---- The first slice ---------------------------------------------------------------------------------------- */

/* Lets as many clients try again, whose command was undone for lack of a place, as there are places. */
static void give_places(struct sliced_table *table)
{
    for (uint32_t places = SLICED_MAX - table->count; places > 0 && !list_is_empty(&table->waiting); places--)
        client_resume(list_entry(table->waiting.next, struct client, in_blocked));
}

enum sliced_outcome sliced_run(struct call *call)
{
    struct exec *exec = call->exec;
    struct sliced *sliced = take(exec->sliced);
    if (unlikely(sliced == NULL)) {
        call->command->run(call);
        return SLICED_ENDED;
    }
    sliced->is_long = sliced->is_committed = false;
    sliced->try_again_in = NULL;
    sliced->reads_in_place = sliced->reads_anything = sliced->edits_copy = false;
    sliced->borrows = !(call->command->flags & CMD_WRITE);
    sliced->ns = sliced->work_done = sliced->work_total = 0;
    sliced->started_ms = exec->keyspace->now_ms;
    sliced->begin_ticks = exec->tick_mark;
    sliced->length_ns = (uint64_t)exec->config->slice_us * 1000;
    sliced->reply_before = reply_mark(call->out);
    sliced->errors_before = call->out->error_count;
    look_later(sliced);
    sliced->call = *call;
    sliced->call.sliced = sliced;
    fiber_start(sliced->fiber, run_command, sliced);
    if (unlikely(fiber_resume(sliced->fiber)))
        return SLICED_GOES_ON;
    call->has_changed = sliced->call.has_changed;
    call->is_replaced = sliced->call.is_replaced;
    release_kept(sliced);
    struct list_node *again = sliced->try_again_in;
    if (unlikely(again != NULL)) {
        reply_rollback(call->out, sliced->reply_before);
        client_wait_in(call->client, again);
    }
    put(exec->sliced, sliced);
    return again != NULL ? SLICED_TRY_AGAIN : SLICED_ENDED;
}

/* ---- The other slices --------------------------------------------------------------------------------------- */

/* The command has returned. */
static void end(struct sliced *sliced)
{
    struct call *call = &sliced->call;
    struct exec *exec = call->exec;
    struct client *client = call->client;
    struct sliced_table *table = exec->sliced;
    bool is_going = client->flags & CLIENT_CLOSING;
    exec->blame.request = sliced->request;
    exec->executing = client;
    if (!is_going)
        exec_call_ended(call, sliced->errors_before, sliced->ns);
    else if (unlikely(exec->propagate.log != NULL) && call->has_changed)
        propagate_call_end(call);
    propagate_end_unit(exec);
    exec->executing = NULL;
    release_kept(sliced);
    if (sliced->held != NULL)
        release_held(sliced);
    list_remove(&sliced->node);
    table->count--;
    client->sliced = NULL;
    client->flags &= ~(uint32_t)CLIENT_SLICED;
    client_note_patience(client);
    if (is_going || client->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP))
        reply_drop(&sliced->out, exec->workers);
    else
        reply_move(&client->out, &sliced->out);
    if (unlikely(client->flags & CLIENT_TRACKING))
        tracking_long_ended(client);
    client->flags &= ~(uint32_t)CLIENT_REPLY_SKIP;
    put(table, sliced);
    give_places(table);
    client_mark_dirty(client);
    client_take_deferred(client);
}

static void resume(struct sliced *sliced)
{
    struct exec *exec = sliced->call.exec;
    struct client *client = sliced->call.client;
    uint64_t begin = pause_begin(exec);
    sliced->begin_ticks = begin;
    look_later(sliced);
    exec->executing = client; /* pushes to it follow the answer */
    exec->stats.slices++;
    bool several = dispatch_begin_steps(&sliced->call);
    /* It sees one time, the one at which it looked its keys up: a source that is the destination, too, must not have expired meanwhile,
     * for a replica would not have it any more. */
    int64_t now_ms = exec->keyspace->now_ms;
    exec->keyspace->now_ms = sliced->started_ms;
    bool goes_on = fiber_resume(sliced->fiber);
    exec->keyspace->now_ms = now_ms;
    dispatch_end_steps(&sliced->call, several);
    if (goes_on)
        propagate_end_unit(exec); /* what it has found expired */
    exec->executing = NULL;
    exec->tick_mark = clock_ticks(exec->clock);
    uint64_t ns = clock_ticks_to_ns(exec->clock, exec->tick_mark - begin);
    sliced->ns += ns;
    pause_note(exec, sliced->call.command->full_name, ns);
    blame_slice(&sliced->call, begin, false);
    if (!goes_on)
        end(sliced);
    else
        client_take_deferred(client);
}

/* What CLIENT PAUSE stops makes no effect visible meanwhile; a client between two I/O threads gets its reply later. */
static bool is_runnable(const struct sliced *sliced)
{
    const struct call *call = &sliced->call;
    return !(call->client->flags & CLIENT_MOVING) && !admit_must_pause(call->client, call->command);
}

static struct sliced *next_of(const struct sliced_table *table)
{
    if (table->is_stopped)
        return NULL;
    list_for_each(&table->running, node)
    {
        struct sliced *sliced = list_entry(node, struct sliced, node);
        if (is_runnable(sliced))
            return sliced;
    }
    return NULL;
}

void sliced_stop(struct exec *exec, bool stop)
{
    exec->sliced->is_stopped = stop;
}

/* Whether somebody waits for a place and there is one, for which nobody has been called yet: who was called may not have
 * needed it, or have gone. */
static bool has_free_place(const struct sliced_table *table)
{
    return unlikely(!list_is_empty(&table->waiting)) && table->count < SLICED_MAX &&
           list_is_empty(&table->exec->unblocked);
}

bool sliced_has_work(const struct exec *exec)
{
    const struct sliced_table *table = exec->sliced;
    return (unlikely(table->count > 0) && next_of(table) != NULL) || has_free_place(table);
}

static uint64_t next_length_ns(struct sliced_table *table)
{
    const struct exec *exec = table->exec;
    uint64_t length_ns = (uint64_t)exec->config->slice_us * 1000;
    if (length_ns == 0) /* there are no slices any more: what is long ends in this one */
        return UINT64_MAX;
    if (exec->stats.batches != table->batches_seen)
        table->short_left = BUSY_SLICES;
    table->batches_seen = exec->stats.batches;
    if (table->short_left == 0)
        return length_ns;
    table->short_left--;
    return length_ns / BUSY_DIVISOR;
}

bool sliced_step(struct exec *exec)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct sliced_table *table = exec->sliced;
    if (has_free_place(table))
        give_places(table);
    if (likely(table->count == 0))
        return false;
    struct sliced *sliced = next_of(table);
    if (sliced == NULL)
        return false;
    sliced->length_ns = next_length_ns(table);
    list_remove(&sliced->node);
    list_append(&table->running, &sliced->node);
    struct client *client = sliced->call.client;
    resume(sliced);
    if (client->sliced == NULL)
        exec_request_ended(client);
    return true;
}

void sliced_cancel(struct client *client)
{
    struct sliced *sliced = client->sliced;
    if (sliced == NULL)
        return;
    ASSERT(client->flags & CLIENT_CLOSING);
    resume(sliced);
    ASSERT(client->sliced == NULL);
    block_serve_ready(client->exec->block);
}

int sliced_progress(const struct client *client)
{
    const struct sliced *sliced = client->sliced;
    if (sliced == NULL || sliced->work_total == 0)
        return -1;
    if (sliced->work_done >= sliced->work_total)
        return 99; /* not quite: it has not ended */
    return (int)(sliced->work_done * 100 / sliced->work_total);
}
