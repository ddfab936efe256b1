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

/* What of a stretch has been stored. The heap adopts all of it at the end; a block that the stretch itself has replaced may have been
 * released by then, so that for a moment too little counts. */
struct stored {
    unsigned count;
    size_t bytes;         /* heap_block_size of each block */
    struct request *last; /* count > 0 */
};

/* The block is the keyspace's from now on. */
ALWAYS_INLINE void note_stored(struct stored *stored, struct request *request)
{
    stored->count++;
    stored->bytes += request->built_bytes;
    stored->last = request;
    request->built = NULL;
}

/* False: Y4; or no memory, which dispatch is to tell. */
ALWAYS_INLINE bool store(struct db *db, const struct run *run, struct request *request, struct stored *stored)
{
    struct keyspace *keyspace = db->keyspace;
    struct entry *built = request->built;
    struct table_position position;
    size_t old_size;
    enum located located = LOCATED_PLAIN;
    if (!locate_seen(db, run, request, &position, &old_size))
        located = locate(db, request, &position, &old_size);
    if (unlikely(located == LOCATED_OTHER))
        return false;
    if (unlikely(run->built_clock != keyspace->use.clock_new))
        entry_set_clock(built, keyspace->use.clock_new);
    if (likely(located == LOCATED_PLAIN)) {
        keyspace_retire_block(keyspace, table_replace(db->keys, &position, built), old_size);
        if (!MUTANT(STAMP_NOT_RAISED))
            keyspace_stamp(keyspace, request->key_hash);
    } else if (unlikely(db_insert(db, built, request->key_hash) != ST_OK)) {
        return false;
    }
    note_stored(stored, request);
    return true;
}

/* Y6: the rare case that the stretch took long, or had to wait. */
NO_INLINE static void tell(struct client *client, struct request *request, uint64_t ns)
{
    struct call call;
    dispatch_init_call(&call, client, request);
    dispatch_tell_long(&call, ns);
}

/* Some SETs of the run. */
static void account(struct client *client, struct run *run, const struct stored *stored)
{
    struct exec *exec = client->exec;
    struct request *last = stored->last;
    unsigned count = stored->count;
    run->built_count = (uint16_t)(run->built_count - count);
    heap_adopt(exec->heap, stored->bytes);
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
    struct stored stored = {0};
    exec->blame.request.arrived_ticks = run->arrived_ticks;
    exec->blame.request.begin_ticks = exec->tick_mark;
    while (stored.count < count && likely(store(client->db, run, &requests[stored.count], &stored)))
        ;
    if (unlikely(stored.count == 0))
        return 0;
    client_expect_reply(client, run);
    reply_raw(&client->out, ok_texts, (size_t)stored.count * OK_SIZE);
    account(client, run, &stored);
    return stored.count;
}

/* ---- What has been foreseen ------------------------------------------------------------------------ */

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

/* Q2: a bit for each read whose key's stamp is another. Without a branch for each: mostly there is none. */
ALWAYS_INLINE uint32_t changed_reads(const struct client *client, const struct run *run)
{
    const struct stamps *stamps = &client->exec->keyspace->stamps;
    const struct foreseen *foreseen = &run->foreseen;
    uint32_t changed = 0;
    for (unsigned i = 0; i < foreseen->count; i++) {
        const struct foreseen_read *read = &run->foreseen_reads[i];
        changed |= (uint32_t)!stamps_hold(stamps, read->slot, read->stamp) << i;
    }
    return MUTANT(STAMP_NOT_LOOKED_AT) ? 0 : changed & ~(foreseen->sets | foreseen->own);
}

/* G4: of the requests from `begin` on, what is foreseen of the reads is what they would answer now. */
static void check_reads(struct client *client, struct run *run, unsigned begin, unsigned end)
{
    (void)client;
    for (unsigned i = begin; i < end; i++)
        DEBUG_ASSERT(run->foreseen.sets >> i & 1 || foresee_is_true(client, run, i));
}

/* Q4: goes through what is as it was; returns how many requests that is. */
static unsigned go_through(struct client *client, struct run *run, struct stored *ret_stored)
{
    const struct foreseen *foreseen = &run->foreseen;
    uint32_t sets = foreseen->sets;
    unsigned next = 0;
    for (uint32_t left = sets | changed_reads(client, run); left != 0; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        check_reads(client, run, next, i);
        if (unlikely(sets >> i & 1 ? !store(client->db, run, &run->requests[i], ret_stored)
                                   : !foresee_again(client, run, i))) /* Q7 */
            return i;
        next = i + 1;
    }
    check_reads(client, run, next, foreseen->count);
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
    struct stored stored = {0};
    unsigned held = 0;
    exec->blame.request.arrived_ticks = run->arrived_ticks;
    exec->blame.request.begin_ticks = exec->tick_mark;
    if (likely(is_as_foreseen(client, run)))
        held = go_through(client, run, &stored);
    foreseen->is_settled = true;
    foreseen->held = (uint8_t)held;
    answer_foreseen(client, run, held);
    if (likely(stored.count > 0))
        account(client, run, &stored);
    return held;
}
