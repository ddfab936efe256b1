/* Stretches of plain SETs. Rules and reasons: plain.h. Threads: executor only. */
#include "exec/plain.h"

#include "base/mutant.h"
#include "config/config.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/dispatch.h"
#include "exec/evict.h"
#include "exec/pause.h"
#include "exec/watch.h"

#define OK_SIZE 5 /* "+OK\r\n" */
#define OK_8    "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n"

static const char ok_texts[] = OK_8 OK_8 OK_8 OK_8;
_Static_assert(sizeof ok_texts - 1 == RUN_REQUESTS * OK_SIZE, "one for each request of a run");

/* ---- Whether --------------------------------------------------------------------------------------- */

/* Y2: whatever comes before it, and as much again as other threads may take meanwhile. */
#define ROOM_MIN ((size_t)4 * RUN_REQUESTS * HEAP_BLOCK_MAX)

NO_INLINE static bool has_room(struct exec *exec)
{
    heap_account(exec->heap);
    return mem_used() + ROOM_MIN <= (size_t)exec->config->maxmemory && exec->evict.over_since_ns == 0;
}

/* Y3, Y5 */
static bool is_unheard(const struct exec *exec, const struct db *db)
{
    return exec->propagate.log == NULL && exec->tracking == NULL && exec->local_keys == NULL &&
           table_size(&exec->watch->keys) == 0 && table_size(&exec->block->keys) == 0 &&
           exec->notify_classes == 0 && exec->monitor_count == 0 && list_is_empty(&db->walks) &&
           !exec->keyspace->use.rules.counts;
}

/* Y6 */
static bool is_in_time(const struct exec *exec, const struct run *run)
{
    return exec->tick_mark < run->arrived_ticks ||
           exec->tick_mark - run->arrived_ticks < exec->blame.slow_ticks / 2;
}

unsigned plain_count(const struct client *client, const struct run *run, unsigned count_max)
{
    struct exec *exec = client->exec;
    unsigned left = (unsigned)(run->stop - run->next), count = 0;
    if (count_max > left)
        count_max = left;
    while (count < count_max && run->requests[run->next + count].is_plain)
        count++;
    if (count == 0 || client->flags != 0 || !dispatch_is_unhindered(client) ||
        !is_unheard(exec, client->db) || !is_in_time(exec, run) || exec->plain_off)
        return 0;
    return likely(exec->config->maxmemory == 0 && exec->evict.over_since_ns == 0) || has_room(exec) ? count
                                                                                                    : 0;
}

/* ---- Execution ------------------------------------------------------------------------------------- */

ALWAYS_INLINE struct slice key_of(const struct request *request)
{
    return likely(request->short_key_size > 0) ? slice_make(request->short_key, request->short_key_size)
                                               : request->argv[request->command->first_key];
}

/* Where the key's entry is, and its size. False: Y4. */
static bool locate(struct db *db, const struct request *request, struct table_position *ret_position,
                   size_t *ret_size)
{
    struct entry *old = db_locate(db, key_of(request), request->key_hash, ret_position);
    if (unlikely(old == NULL || entry_encoding(old) > ENTRY_INLINE ||
                 entry_flags(old) & (ENTRY_HAS_EXPIRE | ENTRY_TIMED_FIELDS)))
        return false;
    *ret_size = entry_block_size(old);
    return true;
}

/* The same by what has been seen, without looking at the entry: decision 010, V1 to V4. False: it is not there any more. */
ALWAYS_INLINE bool locate_seen(struct db *db, const struct run *run, const struct request *request,
                               struct table_position *ret_position, size_t *ret_size)
{
    *ret_size = request->seen_size;
    return request->seen_size > 0 &&
           (likely(run->seen_epoch > db->keyspace->limbo.released) || MUTANT(SEEN_IS_BELIEVED)) &&
           likely(table_locate(db->keys, request->key_hash, entry_is_same, request->seen, ret_position));
}

/* False: Y4. */
ALWAYS_INLINE bool store(struct db *db, const struct run *run, struct request *request)
{
    struct keyspace *keyspace = db->keyspace;
    struct entry *built = request->built;
    struct table_position position;
    size_t old_size;
    if (!locate_seen(db, run, request, &position, &old_size) && !locate(db, request, &position, &old_size))
        return false;
    heap_adopt(keyspace->heap, request->built_size);
    if (unlikely(run->built_clock != keyspace->use.clock_new))
        entry_set_clock(built, keyspace->use.clock_new);
    keyspace_retire_block(keyspace, table_replace(db->keys, &position, built), old_size);
    request->built = NULL;
    return true;
}

/* Y6: the rare case that the stretch took long, or had to wait. */
NO_INLINE static void tell(struct client *client, struct request *request, uint64_t ns)
{
    struct call call = {
        .exec = client->exec,
        .client = client,
        .command = request->command,
        .argv = request->argv,
        .argc = request->argc,
        .db = client->db,
        .out = &client->out,
    };
    dispatch_tell_long(&call, ns);
}

static void account(struct client *client, struct run *run, unsigned count)
{
    struct exec *exec = client->exec;
    struct request *last = &run->requests[run->next + count - 1];
    struct command_stats *stats = &exec->command_stats[last->command->id];
    uint64_t begin_ticks = exec->tick_mark;
    exec->tick_mark = clock_ticks(exec->clock);
    uint64_t ns = clock_ticks_to_ns(exec->clock, exec->tick_mark - begin_ticks);
    pause_note(exec, last->command->full_name, ns);
    stats->calls += count;
    stats->ns += ns;
    exec->stats.commands += count;
    exec->stats.dirty += count;
    exec->stats.busy_ns += ns;
    struct command_times *times = blame_times(exec, &stats->times);
    if (likely(times != NULL))
        durations_count_one(&times->execute, ns / count, count);
    if (unlikely(ns >= SPAN_MIN_NS ||
                 exec->tick_mark - exec->blame.request.arrived_ticks >= exec->blame.slow_ticks))
        tell(client, last, ns);
    client->last_command = last->command;
    client->commands += count;
    client->argument_bytes = last->bytes;
}

unsigned plain_execute(struct client *client, struct run *run, unsigned count)
{
    struct exec *exec = client->exec;
    struct request *requests = &run->requests[run->next];
    unsigned done = 0;
    exec->blame.request.arrived_ticks = run->arrived_ticks;
    exec->blame.request.begin_ticks = exec->tick_mark;
    while (done < count && likely(store(client->db, run, &requests[done])))
        done++;
    if (unlikely(done == 0))
        return 0;
    run->built_count = (uint16_t)(run->built_count - done);
    client_mark_dirty(client);
    client->active_ms = exec->now_ms;
    if (run->spare && !client->out.cursor) {
        reply_give_chunk(&client->out, run->spare);
        run->spare = NULL;
    }
    reply_raw(&client->out, ok_texts, (size_t)done * OK_SIZE);
    account(client, run, done);
    return done;
}
