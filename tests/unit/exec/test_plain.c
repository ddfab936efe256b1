/* Proves that stretches of plain SETs (exec/plain.h) do what dispatch does request by request: random runs of two clients go through
 * an executor that may make stretches and through one that may not, while keys have times and other types, are watched, waited for
 * and walked over, and others listen, monitor, pause and read the log. Everything that a client could ask for is the same. So it is where
 * reads among the SETs have been foreseen, whatever happens between the look and the execution; and so with brief forms of commands
 * (exec/dispatch.h, Z5). */
#include <stdio.h>

#include "../../support/command_fixture.h"
#include "base/rng.h"
#include "exec/build.h"
#include "exec/call.h"
#include "exec/dispatch.h"
#include "exec/evict.h"
#include "exec/foresee.h"
#include "exec/plain.h"
#include "exec/propagate.h"
#include "keyspace/shared.h"
#include "keyspace/walk.h"

#define KEYS       24
#define ROUNDS     400
#define SEEDS      24
#define WORDS_MAX  6
#define LINE_SIZE  96
#define LONG_KEY   "a-key-that-is-longer-than-its-place-"
#define SLOW_TICKS 1000000
#define BLOCKS_MAX 8192

struct side {
    struct fixture *fixture;
    struct heap *sibling; /* of the thread that would parse */
    struct conn other;
    struct key_walk walk;
    bool walks;
    uint64_t monitored, told, visited;
    struct run runs[2];
    char lines[2][RUN_REQUESTS][LINE_SIZE];
    unsigned counts[2]; /* of the runs' requests */
    uint32_t seed;
    bool has_looked; /* ahead */
    /* What the thread that foresees would count. */
    uint64_t held_by[2]; /* of the connections: user, other */
    uint64_t hits, misses, held;
    uint64_t *calls, *executed, *queued; /* by command */
};

static void count_monitored(void *context, struct call *call)
{
    ((struct side *)context)->monitored += call->argc;
}

static uint64_t count_told(void *context, struct call *call, const struct blame_case *found)
{
    ((struct side *)context)->told += call->argc;
    return 0;
}

static void count_visited(const struct entry *entry, void *context)
{
    ((struct side *)context)->visited += entry_block_size(entry);
}

static struct side *side_new(bool plain_off, bool has_readers)
{
    struct side *side = mem_calloc(1, sizeof *side);
    struct exec *exec;
    side->fixture = fixture_new();
    exec = side->fixture->exec;
    side->fixture->now_ms++; /* no tick is 0, which would say that nothing was measured */
    side->calls = mem_calloc(command_count, sizeof *side->calls);
    side->executed = mem_calloc(command_count, sizeof *side->executed);
    side->queued = mem_calloc(command_count, sizeof *side->queued);
    side->sibling = heap_new_sibling(exec->heap);
    heap_attend(side->sibling, true);
    fixture_connect(side->fixture, &side->other, 3);
    exec->notify_classes = 0;
    exec->plain_off = plain_off;
    exec->hooks.context = side;
    exec->hooks.monitor = count_monitored;
    exec->hooks.slow = count_told;
    if (has_readers) {
        exec_expect_reader(exec, 1);
        exec_set_reader_threads(exec, 1);
    }
    return side;
}

static void end_walk(struct side *side)
{
    while (key_walk_step(&side->walk))
        ;
    key_walk_end(&side->walk);
    side->walks = false;
}

static void side_free(struct side *side)
{
    if (side->walks)
        end_walk(side);
    exec_client_closed(side->fixture->exec, side->other.client);
    heap_collect(side->sibling);
    heap_attend(side->sibling, false);
    buf_done(&side->other.received);
    fixture_free(side->fixture);
    mem_free(side->calls);
    mem_free(side->executed);
    mem_free(side->queued);
    mem_free(side);
}

/* ---- Runs ------------------------------------------------------------------------------------------ */

/* As an I/O thread does. */
static void add_request(struct side *side, struct run *run, char *line)
{
    struct slice *argv = &run->arguments[run->argument_count];
    uint32_t argc = 0;
    char *save = NULL;
    for (char *word = strtok_r(line, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
        argv[argc++] = slice_from_string(word);
    run->argument_count = (uint16_t)(run->argument_count + argc);
    struct request *request = &run->requests[run->count++];
    const struct command *command = command_lookup(argv[0]);
    if (command->subcommand_count)
        command = command_lookup_subcommand(command, argv[1]);
    *request = (struct request){.command = command, .argv = argv, .argc = argc, .bytes = 10 + argc};
    if (command->first_key > 0 && argc > (uint32_t)command->first_key) {
        request->has_key = true;
        request->key_hash = keyspace_hash(side->fixture->exec->keyspace, argv[command->first_key]);
        if (command->value_arg > 0)
            build_value(side->sibling, run, argv);
        if (run->candidates == run->count - 1 && (request->is_plain || command->is_foreseeable))
            run->candidates = run->count;
    }
}

static struct run *begin_run(struct side *side, unsigned index, struct conn *conn)
{
    struct run *run = &side->runs[index];
    memset(run, 0, sizeof *run);
    run->conn = conn;
    run->client = conn->client;
    run->arrived_ticks = clock_ticks(&side->fixture->clock);
    run->built_clock = side->fixture->exec->keyspace->use.clock_now;
    return run;
}

/* As an I/O thread does: what there is of the keys of the run's plain SETs, but for some. */
static void see(struct side *side, struct run *run, uint64_t some)
{
    struct shared_read read;
    struct entry *entry;
    if (!side->fixture->exec->keyspace->has_readers ||
        !shared_read_begin(&read, side->fixture->exec->keyspace, 1))
        return;
    for (unsigned i = 0; i < run->count; i++) {
        struct request *request = &run->requests[i];
        if (request->is_plain && some >> i & 1 &&
            shared_find(&read, 0, request->argv[1], request->key_hash, &entry) == SHARED_FOUND)
            build_note_seen(run, request, entry, shared_read_epoch(&read));
    }
    (void)shared_read_end(&read);
}

/* The same, of its reads. Needs a chunk. */
static unsigned look_ahead(struct side *side, struct run *run)
{
    enum direct_outcome refusal;
    struct exec *exec = side->fixture->exec;
    struct foresee_options options = {.exec = exec,
                                      .reader = 1,
                                      .word = atomic_load(&run->conn->shared.direct),
                                      .chunks = &side->fixture->chunks,
                                      .seed = &side->seed};
    if (options.word == 0 || !exec->keyspace->has_readers || atomic_load(&exec->keyspace->gate) != 0)
        return 0;
    run->spare = chunk_pool_get(&side->fixture->chunks);
    side->has_looked = true;
    return foresee(run, &options, &refusal);
}

/* What is left of a run's chunk, and what its thread counts. */
static void take_back(struct side *side, unsigned index, bool is_last)
{
    struct run *run = &side->runs[index];
    const struct exec *exec = side->fixture->exec;
    unsigned user = run->conn == &side->fixture->user ? 0 : 1;
    if (run->spare)
        chunk_put(&side->fixture->chunks, run->spare);
    run->spare = NULL;
    for (unsigned i = 0; i < run->foreseen.held; i++) {
        if (!run_held_read(run, i))
            continue;
        unsigned id = run->requests[i].command->id;
        side->held++;
        side->held_by[user]++;
        side->calls[id]++;
        /* As the executor does: what has been measured once goes on. */
        if (exec->blame.tracking || exec->command_stats[id].times != NULL || side->executed[id] > 0)
            side->executed[id]++;
        side->hits += run->foreseen_hits >> i & 1;
        side->misses += run->foreseen_misses >> i & 1;
    }
    if (run_held_read(run, run->followed) && run->executed_ticks != 0)
        side->queued[run->requests[run->followed].command->id] += side->counts[index];
    if (is_last && run_held_read(run, side->counts[index] - 1)) {
        run->conn->client->last_command = run->requests[side->counts[index] - 1].command;
        run->conn->client->argument_bytes = run->requests[side->counts[index] - 1].bytes;
    }
}

/* What the runs consist of mostly. */
enum load {
    LOAD_SETS,
    LOAD_READS, /* among them, of which some are foreseen */
    LOAD_BRIEF, /* one command each */
};

/* The same lines for both sides. Of `often`, if there is one, most are. */
static void write_line(struct rng *rng, char *line, enum load load, const char *often)
{
    static const char *const others[] = {
        "SET %s%u v NX",
        "SET %s%u v%u EX 3",
        "SET %s%u v GET",
        "SETNX %s%u v",
        "GETSET %s%u v%u",
        "APPEND %s%u xy",
        "INCR %s%u",
        "DEL %s%u",
        "PEXPIRE %s%u 700",
        "RPUSH %s%u x",
        "GET %s%u",
        "MULTI",
        "EXEC",
        "WATCH %s%u",
        "CLIENT REPLY SKIP",
        "UNWATCH",
        "CLIENT REPLY ON",
        "HSET %s%u f v",
        "STRLEN %s%u",
        "CLIENT NO-TOUCH OFF",
        "SET %s%u 9223372036854775%u",
        "INCRBY %s%u x",
        "DECRBY %s%u -9223372036854775808",
    };
    const char *prefix = rng_below(rng, 6) == 0 ? LONG_KEY : "k";
    unsigned key = (unsigned)rng_below(rng, KEYS), value = (unsigned)rng_below(rng, 1000);
    static const char *const reads[] = {"GET %s%u", "STRLEN %s%u", "GETRANGE %s%u 0 3", "GETBIT %s%u 3"};
    unsigned kind = (unsigned)rng_below(rng, 100);
    if (often && kind < 80)
        snprintf(line, LINE_SIZE, often, prefix, key, value);
    else if (load == LOAD_READS && kind < 60)
        snprintf(line, LINE_SIZE, reads[rng_below(rng, ARRAY_COUNT(reads))], prefix, key);
    else if (kind < 92)
        snprintf(line, LINE_SIZE, "SET %s%u %s%u", prefix, key, rng_below(rng, 3) ? "value-" : "", value);
    else
        snprintf(line, LINE_SIZE, others[rng_below(rng, ARRAY_COUNT(others))], prefix, key, value);
}

/* What others do between the look of the thread that parsed and the execution. */
static void interfere(struct side *const *sides, struct rng *rng)
{
    static const char *const lines[] = {
        "SET %s%u w%u",         "DEL %s%u",         "INCR %s%u",    "APPEND %s%u z",
        "HSET %s%u f v",        "FLUSHALL",         "SWAPDB 0 1",   "PEXPIRE %s%u 600",
        "GETDEL %s%u",          "SET %s%u v EX 5",  "PERSIST %s%u", "RENAME %s%u k1",
        "COPY %s%u k2 REPLACE", "MSET %s%u 1 k3 2",
    };
    char line[LINE_SIZE];
    snprintf(line, sizeof line, lines[rng_below(rng, ARRAY_COUNT(lines))], rng_below(rng, 6) ? "k" : LONG_KEY,
             (unsigned)rng_below(rng, KEYS), (unsigned)rng_below(rng, 100));
    for (unsigned s = 0; s < 2; s++)
        fixture_send(sides[s]->fixture, &sides[s]->fixture->listener, line);
}

static void send_runs(struct side *const *sides, struct rng *rng, enum load load)
{
    static const char *const brief[] = {"INCR %s%u", "DECR %s%u", "INCRBY %s%u %u", "DECRBY %s%u %u",
                                        "GET %s%u"};
    bool reads = load == LOAD_READS;
    unsigned run_count = 1 + (unsigned)rng_below(rng, 2);
    bool is_same_client = reads && rng_below(rng, 3) == 0;
    struct run *runs[2];
    for (unsigned r = 0; r < run_count; r++) {
        unsigned count = 1 + (unsigned)rng_below(rng, 20);
        unsigned followed = (unsigned)rng_below(rng, count);
        for (unsigned s = 0; s < 2; s++) {
            struct fixture *fixture = sides[s]->fixture;
            bool is_user = r == 0 || is_same_client;
            struct run *run = begin_run(sides[s], r, is_user ? &fixture->user : &sides[s]->other);
            sides[s]->counts[r] = count;
            run->followed = (uint16_t)followed;
            run->stop = (uint16_t)(followed + 1);
        }
        const char *often = load == LOAD_BRIEF ? brief[rng_below(rng, ARRAY_COUNT(brief))] : NULL;
        for (unsigned i = 0; i < count; i++) {
            write_line(rng, sides[0]->lines[r][i], load, often);
            memcpy(sides[1]->lines[r][i], sides[0]->lines[r][i], LINE_SIZE);
            for (unsigned s = 0; s < 2; s++)
                add_request(sides[s], &sides[s]->runs[r], sides[s]->lines[r][i]);
        }
    }
    /* Time may pass between parsing and execution: so may a second of the clocks'. */
    int64_t passed_ms = rng_below(rng, 4) == 0 ? (int64_t)rng_below(rng, 1500) : 0;
    uint64_t some = rng_next(rng);
    bool is_released = rng_below(rng, 8) == 0;
    for (unsigned s = 0; s < 2; s++) {
        for (unsigned r = 0; r < run_count; r++) {
            runs[r] = &sides[s]->runs[r];
            if (!reads || s == 1 || look_ahead(sides[s], runs[r]) == 0)
                see(sides[s], runs[r], some >> r);
        }
    }
    if (reads && rng_below(rng, 4) == 0)
        interfere(sides, rng);
    for (unsigned s = 0; s < 2; s++) {
        for (unsigned r = 0; r < run_count; r++)
            runs[r] = &sides[s]->runs[r];
        if (is_released)
            keyspace_limbo_step(sides[s]->fixture->exec->keyspace);
        sides[s]->fixture->now_ms += passed_ms;
        exec_run_batch(sides[s]->fixture->exec, runs, run_count);
        exec_flush_output(sides[s]->fixture->exec);
        for (unsigned r = 0; r < run_count; r++)
            assert_int_equal(sides[s]->runs[r].count, 0); /* it was given back */
        for (unsigned r = 0; r < run_count; r++)
            take_back(sides[s], r, r + 1 == run_count || !is_same_client);
    }
}

/* ---- What is in the way ---------------------------------------------------------------------------- */

static void disturb(struct side *side, unsigned what, unsigned how)
{
    struct exec *exec = side->fixture->exec;
    switch (what) {
    case 0: exec->notify_classes = how % 2 ? 0 : NOTIFY_STRING | NOTIFY_KEYEVENT | NOTIFY_NEW; break;
    case 1: exec->monitor_count = how % 2; break;
    case 2: blame_set_threshold(exec, how % 2 ? 0 : UINT64_MAX); break;
    case 3: exec_set_hindrance(exec, EXEC_SAVE_FAILS, how % 4 == 0); break;
    case 4: exec->config->maxmemory = how % 3 == 0 ? 1 : how % 3 == 1 ? 0 : INT64_MAX / 2; break;
    case 5:
        exec->config->maxmemory_policy =
            how % 2 ? CONFIG_MAXMEMORY_POLICY_ALLKEYS_LFU : CONFIG_MAXMEMORY_POLICY_NOEVICTION;
        exec->config->maxmemory = 0;
        evict_configure(exec);
        break;
    case 6:
        if (side->walks)
            end_walk(side);
        else
            key_walk_begin(&side->walk, &exec->keyspace->dbs[0], count_visited, side);
        side->walks = !list_is_empty(&exec->keyspace->dbs[0].walks);
        break;
    case 7: propagate_set_need(exec, PROPAGATE_BACKLOG, how % 2); break;
    case 8: fixture_send(side->fixture, &side->other, how % 2 ? "WATCH k1" : "UNWATCH"); break;
    case 9: exec->blame.tracking = how % 4 != 0; break;
    case 10:
        fixture_send(side->fixture, &side->other,
                     how % 2 ? "CLIENT TRACKING ON BCAST REDIRECT 2" : "CLIENT TRACKING OFF");
        break;
    default: exec_cron(exec); break;
    }
    exec_update_gate(exec);
}

/* ---- What can be seen ------------------------------------------------------------------------------ */

static void assert_same_key(struct side *const *sides, const char *prefix, unsigned number)
{
    char name[LINE_SIZE];
    const struct entry *entries[2];
    snprintf(name, sizeof name, "%s%u", prefix, number);
    for (unsigned s = 0; s < 2; s++) {
        struct keyspace *keyspace = sides[s]->fixture->exec->keyspace;
        struct slice key = slice_from_string(name);
        struct table_position position;
        entries[s] = db_locate(&keyspace->dbs[0], key, keyspace_hash(keyspace, key), &position);
    }
    assert_int_equal(entries[0] == NULL, entries[1] == NULL);
    if (entries[0] == NULL)
        return;
    assert_int_equal(entries[0]->type_encoding, entries[1]->type_encoding);
    assert_int_equal(entries[0]->flags, entries[1]->flags);
    /* A read counts from when it was made, which may be a little before it was executed, or instead of that. */
    if (!sides[0]->has_looked)
        assert_int_equal(entry_clock(entries[0]), entry_clock(entries[1]));
    assert_int_equal(entry_expire_ms(entries[0]), entry_expire_ms(entries[1]));
    if (entry_type(entries[0]) == ENTRY_STRING) {
        entry_scratch scratches[2];
        assert_true(
            slice_equal(entry_string(entries[0], scratches[0]), entry_string(entries[1], scratches[1])));
    }
}

static void assert_same_stats(struct side *const *sides)
{
    const struct exec *a = sides[0]->fixture->exec, *b = sides[1]->fixture->exec;
    const struct side *held = sides[0];
    assert_int_equal(a->stats.commands + held->held, b->stats.commands);
    assert_int_equal(a->stats.dirty, b->stats.dirty);
    assert_int_equal(a->stats.error_replies, b->stats.error_replies);
    assert_int_equal(a->stats.keyspace_hits + held->hits, b->stats.keyspace_hits);
    assert_int_equal(a->stats.keyspace_misses + held->misses, b->stats.keyspace_misses);
    for (uint32_t id = 0; id < command_count; id++) {
        const struct command_stats *left = &a->command_stats[id], *right = &b->command_stats[id];
        assert_int_equal(left->calls + held->calls[id], right->calls);
        assert_int_equal(left->rejected, right->rejected);
        assert_int_equal(left->failed, right->failed);
        assert_true((left->times != NULL || held->executed[id] > 0) == (right->times != NULL));
        if (right->times == NULL)
            continue;
        uint64_t executed = left->times ? durations_count(&left->times->execute) : 0;
        uint64_t queued = left->times ? durations_count(&left->times->queue) : 0;
        assert_int_equal(executed + held->executed[id], durations_count(&right->times->execute));
        assert_int_equal(queued + held->queued[id], durations_count(&right->times->queue));
    }
    assert_int_equal(sides[0]->monitored, sides[1]->monitored);
    assert_int_equal(sides[0]->told, sides[1]->told);
    assert_int_equal(sides[0]->visited, sides[1]->visited);
    assert_int_equal(a->propagate.log == NULL, b->propagate.log == NULL);
    if (a->propagate.log)
        assert_int_equal(changelog_end(a->propagate.log), changelog_end(b->propagate.log));
    assert_int_equal(a->heap == NULL, b->heap == NULL);
}

static void assert_same_client(const struct conn *a, const struct conn *b, uint64_t held)
{
    assert_string_equal(buf_string((struct buf *)&a->received), buf_string((struct buf *)&b->received));
    assert_int_equal(a->client->flags, b->client->flags);
    assert_int_equal(a->client->commands + held, b->client->commands);
    assert_int_equal(a->client->active_ms, b->client->active_ms);
    assert_int_equal(a->client->argument_bytes, b->client->argument_bytes);
    assert_ptr_equal(a->client->last_command, b->client->last_command);
    assert_int_equal(a->client->written_end, b->client->written_end);
}

static void assert_same(struct side *const *sides)
{
    assert_same_client(&sides[0]->fixture->user, &sides[1]->fixture->user, sides[0]->held_by[0]);
    assert_same_client(&sides[0]->fixture->listener, &sides[1]->fixture->listener, 0);
    assert_same_client(&sides[0]->other, &sides[1]->other, sides[0]->held_by[1]);
    for (unsigned key = 0; key < KEYS; key++) {
        assert_same_key(sides, "k", key);
        assert_same_key(sides, LONG_KEY, key);
    }
    assert_same_stats(sides);
    for (unsigned s = 0; s < 2; s++) {
        buf_clear(&sides[s]->fixture->user.received);
        buf_clear(&sides[s]->fixture->listener.received);
        buf_clear(&sides[s]->other.received);
    }
}

static void compare_sides(enum load load)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        struct side *sides[2] = {side_new(false, seed % 2), side_new(true, seed % 2)};
        for (unsigned round = 0; round < ROUNDS; round++) {
            if (rng_below(&rng, 5) == 0) {
                unsigned what = (unsigned)rng_below(&rng, 12), how = (unsigned)rng_below(&rng, 12);
                for (unsigned s = 0; s < 2; s++)
                    disturb(sides[s], what, how);
            }
            send_runs(sides, &rng, load);
            assert_same(sides);
        }
        for (unsigned s = 0; s < 2; s++)
            side_free(sides[s]);
    }
}

static void stretches_do_what_dispatch_does(void **state)
{
    compare_sides(LOAD_SETS);
}

static void brief_forms_do_what_commands_do(void **state)
{
    compare_sides(LOAD_BRIEF);
}

/* Reads are foreseen on one side, where the gate is open; the other executes all requests one by one. */
static void what_is_foreseen_is_what_dispatch_does(void **state)
{
    uint64_t held = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        struct side *sides[2] = {side_new(false, true), side_new(true, false)};
        for (unsigned round = 0; round < ROUNDS; round++) {
            if (rng_below(&rng, 40) == 0) {
                unsigned what = (unsigned)rng_below(&rng, 12), how = (unsigned)rng_below(&rng, 12);
                for (unsigned s = 0; s < 2; s++)
                    disturb(sides[s], what, how);
            }
            send_runs(sides, &rng, LOAD_READS);
            assert_same(sides);
        }
        held += sides[0]->held;
        for (unsigned s = 0; s < 2; s++)
            side_free(sides[s]);
    }
    assert_in_range(held, SEEDS * ROUNDS / 4, UINT64_MAX); /* else this would prove nothing */
}

/* ---- By themselves --------------------------------------------------------------------------------- */

/* A run of these lines, which is not executed. */
static struct run *make_run(struct side *side, const char *const *lines)
{
    struct run *run = begin_run(side, 0, &side->fixture->user);
    for (unsigned i = 0; lines[i]; i++) {
        snprintf(side->lines[0][i], LINE_SIZE, "%s", lines[i]);
        add_request(side, run, side->lines[0][i]);
    }
    run->stop = run->count;
    return run;
}

#define MAKE_RUN(side, ...) make_run(side, (const char *const[]){__VA_ARGS__, NULL})

/* Else the comparison above would prove nothing. */
static void there_are_stretches(void **state)
{
    struct side *side = side_new(false, true);
    struct client *client = side->fixture->user.client;
    struct run *run = MAKE_RUN(side, "SET a 1", "SET b 2", "SET c 3", "GET a", "SET a 4");
    assert_int_equal(plain_count(client, run, RUN_REQUESTS), 3);
    assert_int_equal(plain_count(client, run, 2), 2);
    run->stop = 1; /* the request that is followed is one of them */
    assert_int_equal(plain_count(client, run, RUN_REQUESTS), 3);
    fixture_send(side->fixture, &side->other, "WATCH other");
    assert_int_equal(plain_count(client, run, RUN_REQUESTS), 0);
    fixture_send(side->fixture, &side->other, "UNWATCH");
    fixture_send(side->fixture, &side->other, "RPUSH a x");
    assert_int_equal(plain_execute(client, run, 1), 0); /* what is there is no string */
    fixture_send(side->fixture, &side->other, "MSET a x b x");
    assert_int_equal(plain_execute(client, run, 3), 3); /* one is new */
    run->next = 3;
    build_release(side->fixture->exec->heap, run);
    exec_flush_output(side->fixture->exec);
    assert_string_equal(buf_string(&side->fixture->user.received), "+OK\r\n+OK\r\n+OK\r\n");
    side_free(side);
}

static struct entry *entry_of(struct side *side, const char *name)
{
    struct keyspace *keyspace = side->fixture->exec->keyspace;
    struct slice key = slice_from_string(name);
    struct table_position position;
    return db_locate(&keyspace->dbs[0], key, keyspace_hash(keyspace, key), &position);
}

/* V1: the key is not looked at again. */
static void what_was_seen_is_replaced(void **state)
{
    struct side *side = side_new(false, true);
    fixture_send(side->fixture, &side->other, "MSET a x b x");
    struct run *run = MAKE_RUN(side, "SET a new");
    see(side, run, UINT64_MAX);
    assert_true(run->requests[0].seen == entry_of(side, "a"));
    run->arguments[1] = SLICE("b");
    assert_int_equal(plain_execute(side->fixture->user.client, run, 1), 1);
    assert_int_equal(entry_of(side, "a")->inline_size, 3);
    assert_int_equal(entry_of(side, "b")->inline_size, 1);
    exec_flush_output(side->fixture->exec);
    side_free(side);
}

/* V3: the entry is there no more, and nothing has its address yet. */
static void what_was_replaced_since_is_looked_for(void **state)
{
    struct side *side = side_new(false, true);
    fixture_send(side->fixture, &side->other, "SET a x");
    struct run *run = MAKE_RUN(side, "SET a new");
    see(side, run, UINT64_MAX);
    fixture_send(side->fixture, &side->other, "SET a between");
    assert_true(run->seen_epoch > side->fixture->exec->keyspace->limbo.released);
    assert_int_equal(plain_execute(side->fixture->user.client, run, 1), 1);
    assert_int_equal(entry_of(side, "a")->inline_size, 3);
    exec_flush_output(side->fixture->exec);
    side_free(side);
}

/* A key that is looked for where `name` is, in a small table, with its entry at `address`, which is free. */
static void store_alike(struct side *side, const char *name, const void *address)
{
    static struct entry *others[BLOCKS_MAX];
    struct keyspace *keyspace = side->fixture->exec->keyspace;
    uint64_t same = keyspace_hash(keyspace, slice_from_string(name)), hash;
    struct entry_options options = {.expire_ms = ENTRY_NO_EXPIRE};
    struct entry *entry;
    char other[LINE_SIZE];
    unsigned number = 0, count = 0, rounds = 8;
    do {
        snprintf(other, sizeof other, "%0*u", (int)strlen(name), ++number);
        hash = keyspace_hash(keyspace, slice_from_string(other));
    } while ((hash ^ same) & 0xff0000000000000full);
    while ((entry = entry_new_string(keyspace->heap, slice_from_string(other), SLICE("value"), &options)) !=
           address) {
        others[count++] = entry;
        if (count < BLOCKS_MAX)
            continue;
        assert_true(rounds-- > 0); /* a slab is allocated from again when it has become empty */
        while (count > 0)
            entry_free(keyspace->heap, others[--count]);
    }
    assert_int_equal(db_insert(&keyspace->dbs[0], entry, hash), ST_OK);
    while (count > 0)
        entry_free(keyspace->heap, others[--count]);
}

/* V2: another key has the address by now, in the same place. SEEN_IS_BELIEVED would overwrite it. */
static void an_address_may_have_come_back(void **state)
{
    struct side *side = side_new(false, true);
    struct keyspace *keyspace = side->fixture->exec->keyspace;
    fixture_send(side->fixture, &side->other, "SET 00000000 value");
    struct run *run = MAKE_RUN(side, "SET 00000000 other");
    see(side, run, UINT64_MAX);
    struct entry *seen = entry_of(side, "00000000");
    assert_ptr_equal(run->requests[0].seen, seen);
    fixture_send(side->fixture, &side->other, "DEL 00000000");
    keyspace_limbo_step(keyspace);
    assert_int_equal(keyspace->limbo.items, 0);
    store_alike(side, "00000000", seen);
    assert_int_equal(plain_execute(side->fixture->user.client, run, 1), 1);
    assert_ptr_not_equal(entry_of(side, "00000000"), seen);
    assert_int_equal(seen->inline_size, 5); /* and not in the limbo */
    assert_int_equal(keyspace->limbo.items, 0);
    exec_flush_output(side->fixture->exec);
    side_free(side);
}

static uint64_t leaping_ns(void *context)
{
    struct fixture *fixture = context;
    return (uint64_t)(++fixture->now_ms - FIXTURE_TIME_MS) * 1000000;
}

/* Y6: a stretch that took long is told once. */
static void what_took_long_is_told(void **state)
{
    struct side *side = side_new(false, true);
    struct exec *exec = side->fixture->exec;
    fixture_send(side->fixture, &side->other, "MSET a x b x c x");
    uint64_t calls = exec->command_stats[command_lookup(SLICE("SET"))->id].calls;
    struct run *run = MAKE_RUN(side, "SET a 1", "SET b 2", "SET c 3");
    blame_set_threshold(exec, SLOW_TICKS);
    side->fixture->clock.monotonic_ns = leaping_ns;
    exec->tick_mark = run->arrived_ticks = clock_ticks(&side->fixture->clock);
    assert_int_equal(plain_count(side->fixture->user.client, run, 3), 3);
    assert_int_equal(plain_execute(side->fixture->user.client, run, 3), 3);
    assert_int_equal(side->told, 3); /* words of one command */
    assert_int_equal(exec->command_stats[command_lookup(SLICE("SET"))->id].calls, calls + 3);
    side->fixture->clock.monotonic_ns = fixture_monotonic_ns;
    exec_flush_output(exec);
    side_free(side);
}

/* Z5: what is there before, and whether the brief form is enough. Where it is not, nothing has been done. */
static void brief_forms_are_for_plain_cases(void **state)
{
    static const struct {
        const char *before, *said, *answer; /* NULL: it is not enough */
    } cases[] = {
        {"SET k 10", "INCR k", ":11\r\n"},
        {"SET k 0", "DECR k", ":-1\r\n"},
        {"SET k 10", "INCRBY k -9223372036854775808", ":-9223372036854775798\r\n"},
        {"SET k 10", "DECRBY k 100000010", ":-100000000\r\n"},
        {"SET k 99999998", "INCR k", ":99999999\r\n"},
        {"SET k 99999999", "INCR k", ":100000000\r\n"},
        {"SET k 10 PX 100", "INCR k", ":11\r\n"},
        {"SET k 10 PX 1", "INCR k", NULL}, /* it is at its time */
        {"DEL k", "INCR k", NULL},
        {"SET k text", "INCR k", NULL},
        {"SET k 010", "INCR k", NULL},
        {"RPUSH k 1", "INCR k", NULL},
        {"SET k 9223372036854775807", "INCR k", NULL},
        {"SET k -9223372036854775808", "DECR k", NULL},
        {"SET k 10", "INCRBY k x", NULL},
        {"SET k -1", "DECRBY k -9223372036854775808", NULL},
        {"SET k 10", "GET k", "$2\r\n10\r\n"},
        {"SET k text", "GET k", "$4\r\ntext\r\n"},
        {"SET k text PX 100", "GET k", "$4\r\ntext\r\n"},
        {"SET k text PX 1", "GET k", NULL},
        {"DEL k", "GET k", NULL},
        {"RPUSH k 1", "GET k", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct side *side = side_new(false, true);
        struct fixture *fixture = side->fixture;
        struct exec *exec = fixture->exec;
        fixture_send(fixture, &side->other, cases[i].before);
        fixture->now_ms += 10;
        keyspace_set_time(exec->keyspace, fixture->now_ms);
        struct run *run = MAKE_RUN(side, cases[i].said);
        uint64_t dirty = exec->stats.dirty, hits = exec->stats.keyspace_hits,
                 bytes = fixture->user.received.size;
        struct client *client = fixture->user.client;
        struct call call;
        dispatch_init_call(&call, client, &run->requests[0]);
        call.key_hash = run->requests[0].key_hash;
        bool is_write = call.command->flags & CMD_WRITE;
        if (call.command->brief(&call) != (cases[i].answer != NULL))
            fail_msg("%s, then %s", cases[i].before, cases[i].said);
        assert_int_equal(exec->stats.dirty - dirty, is_write && cases[i].answer ? 1 : 0);
        assert_int_equal(exec->stats.keyspace_hits - hits, !is_write && cases[i].answer ? 1 : 0);
        client_mark_dirty(client);
        exec_flush_output(exec);
        assert_string_equal(buf_string(&fixture->user.received) + bytes,
                            cases[i].answer ? cases[i].answer : "");
        side_free(side);
    }
}

/* What comes between the look and the execution, and how many of "GET a", "SET b 2", "GET b", "GET none", "GETRANGE a 0 1", "GET n" are
 * answered as foreseen. */
static void what_has_changed_is_read_again_or_ends_what_was_foreseen(void **state)
{
    static const struct {
        const char *said; /* by another connection, or by the same one before */
        bool is_own;
        unsigned held;
    } cases[] = {
        {NULL, false, 6},
        {"SET other 1", false, 6},
        {"SET a 2", false, 6}, /* what it is now is as long */
        {"SET a 22", false, 0},
        {"SET a 1", false, 6},
        {"SET none x", false, 3},
        {"HSET none f v", false, 3},
        {"INCR n", false, 6},
        {"INCRBY n 100", false, 5},
        {"INCRBY n 0", false, 6},
        {"APPEND n 1", false, 5},
        {"DEL n", false, 5},
        {"GETDEL n", false, 5},
        {"EXPIRE n 100", false, 5},
        {"RENAME n m", false, 5},
        {"RENAME other n", false, 5},
        {"MOVE n 1", false, 5},
        {"COPY other n REPLACE", false, 5},
        {"RESTORE none 0 \"\\x00\\x01x\\x0b\\x00\"", false, 6}, /* an error changes nothing */
        {"MSET n 1 m 2", false, 5},
        {"SETRANGE n 0 7", false, 6},
        {"LPUSH none x", false, 3},
        {"SETBIT none 1 1", false, 3},
        {"FLUSHALL", false, 0},
        {"FLUSHDB ASYNC", false, 0},
        {"SWAPDB 0 1", false, 0},
        {"SWAPDB 2 3", false, 0},
        {"CLIENT PAUSE 1 WRITE", false, 0},
        {"WATCH a", false, 0},
        {"SELECT 1", true, 0},
        {"HELLO 3", true, 0},
        {"MULTI", true, 0},
        {"CLIENT REPLY SKIP", true, 0},
        {"CLIENT NO-TOUCH ON", true, 0},
        {"SUBSCRIBE channel", true, 0},
        {"RESET", true, 6},
        {"INCR n", true, 6},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct side *side = side_new(false, true);
        struct fixture *fixture = side->fixture;
        fixture_send(fixture, &side->other, "MSET a 1 b 1 n 10 other 5");
        fixture_send(fixture, &fixture->user, "GET a"); /* so that it is no stranger */
        struct run *run = MAKE_RUN(side, "GET a", "SET b 2", "GET b", "GET none", "GETRANGE a 0 1", "GET n");
        assert_int_equal(look_ahead(side, run), 6);
        if (cases[i].said)
            fixture_send(fixture, cases[i].is_own ? &fixture->user : &side->other, cases[i].said);
        exec_run_batch(fixture->exec, &run, 1);
        if (run->foreseen.held != cases[i].held)
            print_error("between: %s\n", cases[i].said ? cases[i].said : "nothing");
        assert_int_equal(run->foreseen.held, cases[i].held);
        exec_cron(fixture->exec);
        if (cases[i].is_own && cases[i].held == 0) {
            fixture_send(fixture, &side->other, "UNWATCH");
            if (run->count > 0)
                fail_msg("the run is still there: %s", cases[i].said);
        }
        if (run->spare)
            chunk_put(&fixture->chunks, run->spare);
        side_free(side);
    }
}

/* S3: stamps mean the same up to the end of the next generation. */
static void what_was_foreseen_outlives_one_generation(void **state)
{
    static const struct {
        unsigned raised, held;
    } cases[] = {{STAMPS_RAISED_MAX, 3}, {2 * STAMPS_RAISED_MAX - 1, 3}, {2 * STAMPS_RAISED_MAX, 0}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct side *side = side_new(false, true);
        struct keyspace *keyspace = side->fixture->exec->keyspace;
        fixture_send(side->fixture, &side->other, "MSET a 1 b 1");
        fixture_send(side->fixture, &side->fixture->user, "GET a");
        stamps_raise_all(&keyspace->stamps); /* a generation begins */
        struct run *run = MAKE_RUN(side, "GET a", "SET b 2", "GET none");
        assert_int_equal(look_ahead(side, run), 3);
        uint64_t hash = 0; /* of none of them */
        for (unsigned r = 0; r < 3; r++)
            hash += stamps_slot(hash) == stamps_slot(run->requests[r].key_hash) ? 1ull << 32 : 0;
        for (unsigned n = 0; n < cases[i].raised; n++)
            keyspace_stamp(keyspace, hash);
        exec_run_batch(side->fixture->exec, &run, 1);
        assert_int_equal(run->foreseen.held, cases[i].held);
        if (run->spare)
            chunk_put(&side->fixture->chunks, run->spare);
        side_free(side);
    }
}

/* Answers that do not fit one chunk are not foreseen. */
static void what_is_foreseen_fits_a_chunk(void **state)
{
    struct side *side = side_new(false, true);
    char line[8192] = "SET a ";
    memset(line + 6, 'x', 4000);
    line[4006] = 0;
    fixture_send(side->fixture, &side->other, line);
    struct run *run = MAKE_RUN(side, "SET b 2", "GET a", "GET a", "GET a", "GET a", "GET a");
    assert_int_equal(look_ahead(side, run), 4);
    assert_int_equal(run->spare->end, 5 + 3 * 4009);
    exec_run_batch(side->fixture->exec, &run, 1);
    assert_int_equal(run->foreseen.held, 4);
    assert_int_equal(side->fixture->user.received.size, 5 + 5 * 4009);
    side_free(side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stretches_do_what_dispatch_does),
        cmocka_unit_test(brief_forms_do_what_commands_do),
        cmocka_unit_test(brief_forms_are_for_plain_cases),
        cmocka_unit_test(what_is_foreseen_is_what_dispatch_does),
        cmocka_unit_test(what_has_changed_is_read_again_or_ends_what_was_foreseen),
        cmocka_unit_test(what_was_foreseen_outlives_one_generation),
        cmocka_unit_test(what_is_foreseen_fits_a_chunk),
        cmocka_unit_test(there_are_stretches),
        cmocka_unit_test(what_was_seen_is_replaced),
        cmocka_unit_test(what_was_replaced_since_is_looked_for),
        cmocka_unit_test(an_address_may_have_come_back),
        cmocka_unit_test(what_took_long_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
