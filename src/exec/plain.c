/* Stretches of plain SETs. Rules and reasons: plain.h. Threads: executor only. */
#include "exec/plain.h"

#include "base/mutant.h"
#include "config/config.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/dispatch.h"
#include "exec/evict.h"
#include "exec/foresee.h"
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

bool plain_never(const struct exec *exec)
{
    return exec->propagate.log != NULL || exec->tracking != NULL || exec->local_keys != NULL ||
           exec->notify_classes != 0 || exec->keyspace->use.rules.counts || exec->plain_off ||
           exec->hindrances != 0;
}

bool plain_is_unheard(const struct exec *exec, const struct db *db)
{
    return !plain_never(exec) &&
           ((table_size(&exec->watch->keys) == 0 && exec->monitor_count == 0 && list_is_empty(&db->walks)) ||
            MUTANT(HEARD_IS_PLAIN));
}

/* Y3, Y5 */
static bool is_unheard(const struct exec *exec, const struct db *db)
{
    return plain_is_unheard(exec, db) && table_size(&exec->block->keys) == 0;
}

/* Y6 */
static bool is_in_time(const struct exec *exec, const struct run *run)
{
    if (unlikely(exec->blame.slow_ns == 0))
        return false;
    return exec->tick_mark < run->arrived_ticks ||
           exec->tick_mark - run->arrived_ticks < exec->blame.slow_ticks / 2;
}

/* Y2, Y3, Y5, Y6 */
static bool is_free(const struct client *client, const struct run *run)
{
    struct exec *exec = client->exec;
    if (client->flags != 0 || !dispatch_is_unhindered(client) || !is_unheard(exec, client->db) ||
        !is_in_time(exec, run))
        return false;
    return likely(exec->config->maxmemory == 0 && exec->evict.over_since_ns == 0) || has_room(exec);
}

unsigned plain_count(const struct client *client, const struct run *run, unsigned count_max)
{
    unsigned left = (unsigned)(run->count - run->next), count = 0;
    if (count_max > left)
        count_max = left;
    while (count < count_max && run->requests[run->next + count].is_plain)
        count++;
    return count > 0 && is_free(client, run) ? count : 0;
}

/* ---- Execution ------------------------------------------------------------------------------------- */

ALWAYS_INLINE struct slice key_of(const struct request *request)
{
    return likely(request->short_key_size > 0) ? slice_make(request->short_key, request->short_key_size)
                                               : request->argv[request->command->first_key];
}

enum located {
    LOCATED_PLAIN,
    LOCATED_NOTHING,
    LOCATED_OTHER, /* Y4: is left to dispatch */
};

/* Where the key's entry is, and its size. */
static enum located locate(struct db *db, const struct request *request, struct table_position *ret_position,
                           size_t *ret_size)
{
    struct entry *old = db_locate(db, key_of(request), request->key_hash, ret_position);
    if (old == NULL)
        return LOCATED_NOTHING;
    if (unlikely(entry_encoding(old) > ENTRY_INLINE ||
                 entry_flags(old) & (ENTRY_HAS_EXPIRE | ENTRY_TIMED_FIELDS)))
        return LOCATED_OTHER;
    *ret_size = entry_block_size(old);
    return LOCATED_PLAIN;
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

/* The block is the keyspace's from now on. */
ALWAYS_INLINE void take_over(struct keyspace *keyspace, const struct run *run, const struct request *request)
{
    heap_adopt(keyspace->heap, request->built_size);
    if (unlikely(run->built_clock != keyspace->use.clock_new))
        entry_set_clock(request->built, keyspace->use.clock_new);
}

/* Of a key that is not there. False: no memory, which dispatch is to tell. */
static bool insert(struct db *db, const struct run *run, struct request *request)
{
    struct keyspace *keyspace = db->keyspace;
    take_over(keyspace, run, request);
    if (unlikely(db_insert(db, request->built, request->key_hash) != ST_OK)) {
        heap_disown(keyspace->heap, request->built_size);
        return false;
    }
    request->built = NULL;
    return true;
}

/* False: Y4. */
ALWAYS_INLINE bool store(struct db *db, const struct run *run, struct request *request)
{
    struct keyspace *keyspace = db->keyspace;
    struct entry *built = request->built;
    struct table_position position;
    size_t old_size;
    if (!locate_seen(db, run, request, &position, &old_size)) {
        enum located located = locate(db, request, &position, &old_size);
        if (located != LOCATED_PLAIN)
            return located == LOCATED_NOTHING && insert(db, run, request);
    }
    take_over(keyspace, run, request);
    keyspace_retire_block(keyspace, table_replace(db->keys, &position, built), old_size);
    if (!MUTANT(STAMP_NOT_RAISED))
        keyspace_stamp(keyspace, request->key_hash);
    request->built = NULL;
    return true;
}

/* Y6: the rare case that the stretch took long, or had to wait. */
NO_INLINE static void tell(struct client *client, struct request *request, uint64_t ns)
{
    struct call call;
    dispatch_init_call(&call, client, request);
    dispatch_tell_long(&call, ns);
}

/* Of `count` SETs, `last` the last of them. */
static void account(struct client *client, struct request *last, unsigned count)
{
    struct exec *exec = client->exec;
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
    client_expect_reply(client, run);
    reply_raw(&client->out, ok_texts, (size_t)done * OK_SIZE);
    account(client, &requests[done - 1], done);
    return done;
}

/* ---- What has been foreseen ------------------------------------------------------------------------ */

_Static_assert(RUN_REQUESTS <= STAMPS_STRETCH, "Q2");

/* Q3, and of Q2 what concerns all keys */
static bool is_as_foreseen(const struct client *client, const struct run *run)
{
    const struct exec *exec = client->exec;
    const struct foreseen *foreseen = &run->foreseen;
    return stamps_are_of(&exec->keyspace->stamps, foreseen->generation) &&
           foreseen->word >> DIRECT_DB_SHIFT == client->db->number &&
           ((foreseen->word & DIRECT_RESP3) != 0) == (client->out.resp == 3) &&
           atomic_load_explicit(&exec->keyspace->gate, memory_order_relaxed) == 0 && is_free(client, run);
}

/* Q2, Q7 */
ALWAYS_INLINE bool holds(struct client *client, struct run *run, unsigned index)
{
    const struct foreseen_read *read = &run->foreseen_reads[index];
    return likely(stamps_hold(&client->exec->keyspace->stamps, read->slot, read->stamp)) ||
           run->foreseen.own >> index & 1 || MUTANT(STAMP_NOT_LOOKED_AT) || foresee_again(client, run, index);
}

/* Q4: goes through what is as it was; returns how many requests that is. */
static unsigned go_through(struct client *client, struct run *run)
{
    const struct foreseen *foreseen = &run->foreseen;
    for (unsigned i = 0; i < foreseen->count; i++) {
        if (foreseen->sets >> i & 1) {
            if (unlikely(!store(client->db, run, &run->requests[i])))
                return i;
        } else {
            if (unlikely(!holds(client, run, i)))
                return i;
            DEBUG_ASSERT(foresee_is_true(client, run, i)); /* G4 */
        }
    }
    return foreseen->count;
}

/* Q5 */
static void answer_foreseen(struct client *client, struct run *run, unsigned held)
{
    struct chunk *spare = run->spare;
    spare->end = held > 0 ? run->foreseen_ends[held - 1] : 0;
    if (held == 0)
        return;
    run->spare = NULL;
    client_mark_dirty(client);
    client->active_ms = client->exec->now_ms;
    reply_add_chunk(&client->out, spare);
}

unsigned plain_execute_foreseen(struct client *client, struct run *run)
{
    struct exec *exec = client->exec;
    struct foreseen *foreseen = &run->foreseen;
    unsigned held = 0;
    exec->blame.request.arrived_ticks = run->arrived_ticks;
    exec->blame.request.begin_ticks = exec->tick_mark;
    if (likely(is_as_foreseen(client, run)))
        held = go_through(client, run);
    foreseen->is_settled = true;
    foreseen->held = (uint8_t)held;
    answer_foreseen(client, run, held);
    uint32_t sets = foreseen->sets & (uint32_t)(((uint64_t)1 << held) - 1);
    if (likely(sets != 0)) {
        unsigned count = (unsigned)__builtin_popcount(sets);
        run->built_count = (uint16_t)(run->built_count - count);
        account(client, &run->requests[31 - __builtin_clz(sets)], count);
    }
    return held;
}
