/* Direct reads: what the functions of commands use, the gate and the clients' words, and the sums of the readers' counters. See
 * direct.h and decision 009.
 *
 * Threads: direct_*: an I/O thread, inside a section, but for direct_table_*; all else: the executor. */
#include "exec/direct.h"

#include "base/alloc.h"
#include "base/mutant.h"
#include "base/role.h"
#include "config/config.h"
#include "exec/blame.h"
#include "exec/client.h"
#include "exec/exec.h"
#include "exec/notify.h"
#include "exec/plain.h"
#include "types/hash.h"

#define INLINE_LINES_MAX 16 /* of a string that lies in its entry */
#define PAGE_LINES       4  /* header and columns of a small collection, and its first rows */

/* ---- One read ------------------------------------------------------------------------------------- */

int64_t direct_now_ms(struct direct *direct)
{
    if (direct->now_ms == 0)
        direct->now_ms = clock_wall_us(direct->clock) / 1000;
    return direct->now_ms;
}

int64_t direct_expire_ms(const struct entry *entry)
{
    return entry_has_expire(entry) ? __atomic_load_n(entry_expire_field(entry), __ATOMIC_RELAXED)
                                   : ENTRY_NO_EXPIRE;
}

/* Whether stamps tell of every change of it (G4 in keyspace/stamps.h), and it is the same at any time. */
ALWAYS_INLINE bool is_foreseeable(const struct entry *entry)
{
    return entry_encoding(entry) <= ENTRY_INLINE &&
           !(entry_flags(entry) & (ENTRY_HAS_EXPIRE | ENTRY_TIMED_FIELDS));
}

/* Whether what was found may be answered with; counts it. `entry` NULL: the key is missing. */
static enum direct_outcome judge(struct direct *direct, const struct entry *entry)
{
    if (entry == NULL) {
        direct->misses++;
        return unlikely(direct->read->gate & GATE_KEY_MISS) ? DIRECT_NOT_PLAIN : DIRECT_ANSWERED;
    }
    if (direct->foresees && !is_foreseeable(entry))
        return DIRECT_NOT_OPEN;
    int64_t expire_ms = direct_expire_ms(entry);
    if (unlikely(expire_ms != ENTRY_NO_EXPIRE) && expire_ms <= direct_now_ms(direct) &&
        !MUTANT(EXPIRED_ANSWERED))
        return DIRECT_EXPIRED;
    direct->hits++;
    return DIRECT_ANSWERED;
}

/* Whether fields of a small hash are at their times: with the last one the key goes, too. `entry` may be NULL. */
static enum direct_outcome judge_fields(struct direct *direct, const struct entry *entry)
{
    if (likely(entry == NULL || !(entry_flags(entry) & ENTRY_TIMED_FIELDS)) ||
        entry_encoding(entry) != ENTRY_PAGE)
        return DIRECT_ANSWERED;
    const struct page *page = shared_page(entry);
    if (page == NULL)
        return DIRECT_NOT_OPEN;
    bool is_due = page->layout == PAGE_TIMED_HASH && page_due_ms(page) <= direct_now_ms(direct);
    return is_due ? DIRECT_EXPIRED : DIRECT_ANSWERED;
}

static enum direct_outcome find_key(struct direct *direct, struct slice name, uint64_t hash,
                                    struct entry **ret_entry)
{
    *ret_entry = direct->given;
    if (likely(direct->given == NULL) &&
        unlikely(shared_find(direct->read, direct->db, name, hash, ret_entry) == SHARED_UNSURE))
        return DIRECT_UNSURE;
    return judge(direct, *ret_entry);
}

enum direct_outcome direct_inspect_key(struct direct *direct, struct slice name, uint64_t hash,
                                       struct entry **ret_entry)
{
    enum direct_outcome outcome = find_key(direct, name, hash, ret_entry);
    return outcome == DIRECT_ANSWERED ? judge_fields(direct, *ret_entry) : outcome;
}

enum direct_outcome direct_read_key(struct direct *direct, struct slice name, uint64_t hash,
                                    struct entry **ret_entry)
{
    enum direct_outcome outcome = find_key(direct, name, hash, ret_entry);
    if (likely(outcome == DIRECT_ANSWERED && *ret_entry != NULL))
        shared_touch(direct->read, *ret_entry, direct->seed);
    return outcome;
}

static enum direct_outcome find_keys(struct direct *direct, const struct slice *names, uint32_t count,
                                     struct entry **ret_entries)
{
    const struct shared_read *read = direct->read;
    uint64_t hashes[DIRECT_KEYS_MAX];
    if (count == 0 || count > DIRECT_KEYS_MAX)
        return DIRECT_TOO_LARGE;
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = keyspace_hash(read->keyspace, names[i]);
        shared_prefetch_bucket(read, direct->db, hashes[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct table_bucket *child;
        (void)shared_prefetch_entry(read, direct->db, hashes[i], &child);
    }
    if (!shared_find_all(read, direct->db, names, hashes, count, ret_entries, &direct->mark))
        return DIRECT_UNSURE;
    for (uint32_t i = 0; i < count; i++) {
        enum direct_outcome outcome = judge(direct, ret_entries[i]);
        if (unlikely(outcome != DIRECT_ANSWERED))
            return outcome;
    }
    return DIRECT_ANSWERED;
}

enum direct_outcome direct_still_holds(const struct direct *direct)
{
    return likely(shared_still_holds(direct->read, direct->mark)) ? DIRECT_ANSWERED : DIRECT_UNSURE;
}

enum direct_outcome direct_inspect_keys(struct direct *direct, const struct slice *names, uint32_t count,
                                        struct entry **ret_entries)
{
    enum direct_outcome outcome = find_keys(direct, names, count, ret_entries);
    for (uint32_t i = 0; outcome == DIRECT_ANSWERED && i < count; i++)
        outcome = judge_fields(direct, ret_entries[i]);
    return outcome;
}

enum direct_outcome direct_read_keys(struct direct *direct, const struct slice *names, uint32_t count,
                                     struct entry **ret_entries)
{
    enum direct_outcome outcome = find_keys(direct, names, count, ret_entries);
    for (uint32_t i = 0; outcome == DIRECT_ANSWERED && i < count; i++)
        if (ret_entries[i] != NULL)
            shared_touch(direct->read, ret_entries[i], direct->seed);
    return outcome;
}

enum direct_outcome direct_string(const struct entry *entry, entry_scratch scratch,
                                  struct direct_string *ret_string)
{
    ret_string->large = NULL;
    switch (entry_encoding(entry)) {
    case ENTRY_INLINE: ret_string->bytes = entry_bytes(entry); return DIRECT_ANSWERED;
    case ENTRY_INT: {
        MUTANT_PAUSE(UNTRACKED_NOT_NOTED);
        int64_t value = __atomic_load_n(entry_word(entry), __ATOMIC_RELAXED);
        ret_string->bytes = slice_make(scratch, num_format_i64(value, scratch));
        return DIRECT_ANSWERED;
    }
    default: break;
    }
    struct large_string *large = shared_large(entry);
    if (large == NULL)
        return DIRECT_NOT_OPEN;
    ret_string->large = large;
    ret_string->bytes = slice_make(large->data, large->size);
    return DIRECT_ANSWERED;
}

enum direct_outcome direct_read_collection(struct direct *direct, const struct request *request,
                                           enum entry_type type, struct collection_view *ret_view)
{
    struct entry *entry;
    struct slice name = request->argv[request->command->first_key];
    enum direct_outcome outcome = direct_read_key(direct, name, request->key_hash, &entry);
    if (outcome != DIRECT_ANSWERED)
        return outcome;
    ret_view->rows = NULL;
    if (entry == NULL)
        return DIRECT_ANSWERED;
    if (entry_type(entry) != type)
        return DIRECT_NOT_PLAIN;
    if (entry_encoding(entry) != ENTRY_PAGE)
        return DIRECT_TOO_LARGE;
    const struct page *page = shared_page(entry);
    if (page == NULL)
        return DIRECT_NOT_OPEN;
    if (unlikely(page->layout == PAGE_TIMED_HASH) && page_due_ms(page) <= direct_now_ms(direct))
        return DIRECT_EXPIRED;
    collection_look_at(ret_view, direct->read->keyspace, type, page);
    return DIRECT_ANSWERED;
}

static void prefetch_lines(const void *from, size_t first, size_t end)
{
    for (size_t line = first; line < end; line++)
        prefetch((const char *)from + line * CACHE_LINE);
}

void direct_prefetch_value(const struct entry *entry)
{
    if (entry_encoding(entry) == ENTRY_INLINE) {
        size_t lines = entry_block_size(entry) / CACHE_LINE + 1;
        prefetch_lines(entry, 2, lines < INLINE_LINES_MAX ? lines : INLINE_LINES_MAX);
    } else if (entry_encoding(entry) == ENTRY_PAGE) {
        const struct page *page = shared_page(entry);
        if (page != NULL)
            prefetch_lines(page, 0, PAGE_LINES);
    }
}

struct command_times *direct_times(struct direct_command_counters *command)
{
    struct command_times *times = atomic_load_explicit(&command->times, memory_order_relaxed);
    if (unlikely(times == NULL)) {
        times = mem_calloc(1, sizeof *times);
        atomic_store_explicit(&command->times, times, memory_order_release);
    }
    return times;
}

/* ---- Who may read --------------------------------------------------------------------------------- */

void direct_table_init(struct direct_table *table)
{
    *table = (struct direct_table){0};
    table->command_origin = mem_calloc(command_count, sizeof *table->command_origin);
}

void direct_table_done(struct direct_table *table)
{
    for (unsigned i = 0; i < table->reader_count; i++) {
        struct direct_counters *counters = table->readers[i];
        if (counters == NULL)
            continue;
        for (uint32_t id = 0; id < command_count; id++)
            mem_free(atomic_load_explicit(&counters->commands[id].times, memory_order_relaxed));
        mem_free(counters->commands);
        mem_free(counters);
    }
    mem_free(table->command_origin);
}

struct direct_counters *exec_direct_counters(struct exec *exec, uint32_t index)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    ASSERT(index < EPOCH_READERS_MAX);
    struct direct_table *table = &exec->direct;
    if (table->readers[index] == NULL) {
        table->readers[index] = mem_calloc(1, sizeof *table->readers[index]);
        table->readers[index]->commands = mem_calloc(command_count, sizeof *table->readers[index]->commands);
    }
    if (index >= table->reader_count)
        table->reader_count = index + 1;
    return table->readers[index];
}

struct direct_counters *exec_expect_reader(struct exec *exec, uint32_t index)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    keyspace_expect_reader(exec->keyspace, index);
    return exec_direct_counters(exec, index);
}

void exec_set_reader_threads(struct exec *exec, unsigned count)
{
    exec->direct.thread_count = count;
    exec_update_gate(exec);
}

/* Of what the executor is to see or to hold up every command for. */
static uint32_t gate_of_modes(const struct exec *exec)
{
    uint32_t gate = 0;
    if (exec->monitor_count > 0 && !MUTANT(MONITOR_LEAVES_GATE))
        gate |= GATE_MONITOR;
    if (exec->pause_until_ms != 0 && !exec->pause_writes_only)
        gate |= GATE_PAUSE;
    if (exec->blame.slow_ns == 0)
        gate |= GATE_SLOW_LOG;
    if (atomic_load_explicit(&exec->shutdown_requested, memory_order_relaxed) != EXEC_SHUTDOWN_NONE)
        gate |= GATE_SHUTDOWN;
    if (exec->hindrances & (EXEC_LOADING | EXEC_STALE_REPLICA))
        gate |= GATE_LOADING;
    if (exec->durable.is_on)
        gate |= GATE_DURABLE;
    if (exec->notify_classes & NOTIFY_KEY_MISS)
        gate |= GATE_KEY_MISS;
    if (plain_never(exec))
        gate |= GATE_HEARD;
    return gate;
}

void exec_update_gate(struct exec *exec)
{
    uint32_t gate = GATE_OFF;
    if (exec->direct.thread_count > 0 &&
        atomic_load_explicit(&exec->config->direct_reads, memory_order_relaxed))
        gate = gate_of_modes(exec);
    keyspace_set_gate(exec->keyspace, gate);
}

#define DIRECT_OBSTACLES                                                                                     \
    (CLIENT_CLOSING | CLIENT_BLOCKED | CLIENT_IN_TRANSACTION | CLIENT_MONITOR | CLIENT_REPLY_OFF |           \
     CLIENT_REPLY_SKIP_NEXT | CLIENT_REPLY_SKIP | CLIENT_NO_TOUCH | CLIENT_PAUSED | CLIENT_MOVING |          \
     CLIENT_SLICED | CLIENT_REPLICA | CLIENT_PRIMARY | CLIENT_TRACKING | CLIENT_LIMITED)

void client_update_direct(struct client *client)
{
    uint32_t word = 0;
    bool listens = client->subscriptions != NULL && client_subscription_count(client) > 0;
    if (likely(client->authenticated && !(client->flags & DIRECT_OBSTACLES) && !listens))
        word = DIRECT_MAY_READ | (client->out.resp == 3 ? DIRECT_RESP3 : 0) |
               client->db->number << DIRECT_DB_SHIFT;
    _Atomic uint32_t *published = &client->shared->direct;
    if (unlikely(atomic_load_explicit(published, memory_order_relaxed) != word))
        atomic_store_explicit(published, word, memory_order_release);
}

/* ---- Sums ----------------------------------------------------------------------------------------- */

static uint64_t relaxed(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void sum_readers(const struct direct_table *table, struct direct_totals *ret_sum)
{
    *ret_sum = (struct direct_totals){0};
    for (unsigned i = 0; i < table->reader_count; i++) {
        const struct direct_counters *counters = table->readers[i];
        if (counters == NULL)
            continue;
        for (unsigned outcome = 0; outcome < DIRECT_OUTCOME_COUNT; outcome++)
            ret_sum->outcomes[outcome] += relaxed(&counters->outcomes[outcome]);
        ret_sum->hits += relaxed(&counters->hits);
        ret_sum->misses += relaxed(&counters->misses);
        ret_sum->foreseen += relaxed(&counters->foreseen);
        ret_sum->sections += relaxed(&counters->sections);
        ret_sum->repeats += relaxed(&counters->repeats);
        ret_sum->waits += relaxed(&counters->waits);
    }
}

static void sum_command(const struct direct_table *table, uint32_t command, struct command_totals *ret_sum)
{
    *ret_sum = (struct command_totals){0};
    for (unsigned i = 0; i < table->reader_count; i++) {
        if (table->readers[i] == NULL)
            continue;
        ret_sum->calls += relaxed(&table->readers[i]->commands[command].calls);
        ret_sum->ns += relaxed(&table->readers[i]->commands[command].ns);
    }
}

void exec_direct_totals(const struct exec *exec, struct direct_totals *ret_totals)
{
    const struct direct_totals *origin = &exec->direct.origin;
    sum_readers(&exec->direct, ret_totals);
    for (unsigned outcome = 0; outcome < DIRECT_OUTCOME_COUNT; outcome++)
        ret_totals->outcomes[outcome] -= origin->outcomes[outcome];
    ret_totals->hits -= origin->hits;
    ret_totals->misses -= origin->misses;
    ret_totals->foreseen -= origin->foreseen;
    ret_totals->sections -= origin->sections;
    ret_totals->repeats -= origin->repeats;
    ret_totals->waits -= origin->waits;
}

void exec_reset_direct(struct exec *exec)
{
    sum_readers(&exec->direct, &exec->direct.origin);
    for (uint32_t id = 0; id < command_count; id++)
        sum_command(&exec->direct, id, &exec->direct.command_origin[id]);
    exec_forget_direct_times(exec);
}

static struct command_times *times_of(const struct direct_table *table, unsigned reader, uint32_t command)
{
    if (table->readers[reader] == NULL)
        return NULL;
    return atomic_load_explicit(&table->readers[reader]->commands[command].times, memory_order_acquire);
}

void exec_forget_direct_times(struct exec *exec)
{
    for (unsigned i = 0; i < exec->direct.reader_count; i++) {
        for (uint32_t id = 0; id < command_count; id++) {
            struct command_times *times = times_of(&exec->direct, i, id);
            if (times == NULL)
                continue;
            durations_clear(&times->execute);
            durations_clear(&times->queue);
        }
    }
}

void exec_command_totals(const struct exec *exec, uint32_t command, struct command_totals *ret_totals)
{
    const struct command_stats *stats = &exec->command_stats[command];
    sum_command(&exec->direct, command, ret_totals);
    ret_totals->calls += stats->calls - exec->direct.command_origin[command].calls;
    ret_totals->ns += stats->ns - exec->direct.command_origin[command].ns;
    ret_totals->rejected = stats->rejected;
    ret_totals->failed = stats->failed;
}

static void add_times(struct command_times *to, const struct command_times *from)
{
    if (from == NULL)
        return;
    durations_add(&to->execute, &from->execute);
    durations_add(&to->queue, &from->queue);
}

bool exec_command_times(const struct exec *exec, uint32_t command, struct command_times *ret_times)
{
    const struct command_times *own = exec->command_stats[command].times;
    memset(ret_times, 0, sizeof *ret_times);
    add_times(ret_times, own);
    for (unsigned i = 0; i < exec->direct.reader_count; i++)
        add_times(ret_times, times_of(&exec->direct, i, command));
    return own != NULL || durations_count(&ret_times->execute) > 0;
}
