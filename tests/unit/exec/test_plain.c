/* Proves that stretches of plain SETs (exec/plain.h) do what dispatch does request by request: random runs of two clients go through
 * an executor that may make stretches and through one that may not, while keys have times and other types, are watched, waited for
 * and walked over, and others listen, monitor, pause and read the log. Everything that a client could ask for is the same. */
#include <stdio.h>

#include "../../support/command_fixture.h"
#include "base/rng.h"
#include "exec/build.h"
#include "exec/call.h"
#include "exec/evict.h"
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

/* The same lines for both sides. */
static void write_line(struct rng *rng, char *line)
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
    };
    const char *prefix = rng_below(rng, 6) == 0 ? LONG_KEY : "k";
    unsigned key = (unsigned)rng_below(rng, KEYS), value = (unsigned)rng_below(rng, 1000);
    if (rng_below(rng, 100) < 82)
        snprintf(line, LINE_SIZE, "SET %s%u %s%u", prefix, key, rng_below(rng, 3) ? "value-" : "", value);
    else
        snprintf(line, LINE_SIZE, others[rng_below(rng, ARRAY_COUNT(others))], prefix, key, value);
}

static void send_runs(struct side *const *sides, struct rng *rng)
{
    unsigned run_count = 1 + (unsigned)rng_below(rng, 2);
    struct run *runs[2];
    for (unsigned r = 0; r < run_count; r++) {
        unsigned count = 1 + (unsigned)rng_below(rng, 20);
        unsigned followed = (unsigned)rng_below(rng, count);
        for (unsigned s = 0; s < 2; s++) {
            struct fixture *fixture = sides[s]->fixture;
            struct run *run = begin_run(sides[s], r, r == 0 ? &fixture->user : &sides[s]->other);
            run->followed = (uint16_t)followed;
            run->stop = (uint16_t)(followed + 1);
        }
        for (unsigned i = 0; i < count; i++) {
            write_line(rng, sides[0]->lines[r][i]);
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
            see(sides[s], runs[r], some >> r);
        }
        if (is_released)
            keyspace_limbo_step(sides[s]->fixture->exec->keyspace);
        sides[s]->fixture->now_ms += passed_ms;
        exec_run_batch(sides[s]->fixture->exec, runs, run_count);
        exec_flush_output(sides[s]->fixture->exec);
        for (unsigned r = 0; r < run_count; r++)
            assert_int_equal(sides[s]->runs[r].count, 0); /* it was given back */
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
    assert_int_equal(a->stats.commands, b->stats.commands);
    assert_int_equal(a->stats.dirty, b->stats.dirty);
    assert_int_equal(a->stats.error_replies, b->stats.error_replies);
    assert_int_equal(a->stats.keyspace_hits, b->stats.keyspace_hits);
    for (uint32_t id = 0; id < command_count; id++) {
        const struct command_stats *left = &a->command_stats[id], *right = &b->command_stats[id];
        assert_int_equal(left->calls, right->calls);
        assert_int_equal(left->rejected, right->rejected);
        assert_int_equal(left->failed, right->failed);
        assert_int_equal(left->times == NULL, right->times == NULL);
        if (left->times) {
            assert_int_equal(durations_count(&left->times->execute), durations_count(&right->times->execute));
            assert_int_equal(durations_count(&left->times->queue), durations_count(&right->times->queue));
        }
    }
    assert_int_equal(sides[0]->monitored, sides[1]->monitored);
    assert_int_equal(sides[0]->told, sides[1]->told);
    assert_int_equal(sides[0]->visited, sides[1]->visited);
    assert_int_equal(a->propagate.log == NULL, b->propagate.log == NULL);
    if (a->propagate.log)
        assert_int_equal(changelog_end(a->propagate.log), changelog_end(b->propagate.log));
    assert_int_equal(a->heap == NULL, b->heap == NULL);
}

static void assert_same_client(const struct conn *a, const struct conn *b)
{
    assert_string_equal(buf_string((struct buf *)&a->received), buf_string((struct buf *)&b->received));
    assert_int_equal(a->client->flags, b->client->flags);
    assert_int_equal(a->client->commands, b->client->commands);
    assert_int_equal(a->client->active_ms, b->client->active_ms);
    assert_int_equal(a->client->argument_bytes, b->client->argument_bytes);
    assert_ptr_equal(a->client->last_command, b->client->last_command);
    assert_int_equal(a->client->written_end, b->client->written_end);
}

static void assert_same(struct side *const *sides)
{
    assert_same_client(&sides[0]->fixture->user, &sides[1]->fixture->user);
    assert_same_client(&sides[0]->fixture->listener, &sides[1]->fixture->listener);
    assert_same_client(&sides[0]->other, &sides[1]->other);
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

static void stretches_do_what_dispatch_does(void **state)
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
            send_runs(sides, &rng);
            assert_same(sides);
        }
        for (unsigned s = 0; s < 2; s++)
            side_free(sides[s]);
    }
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
    run->stop = 1;
    assert_int_equal(plain_count(client, run, RUN_REQUESTS), 1);
    fixture_send(side->fixture, &side->other, "WATCH other");
    assert_int_equal(plain_count(client, run, RUN_REQUESTS), 0);
    fixture_send(side->fixture, &side->other, "UNWATCH");
    assert_int_equal(plain_execute(client, run, 1), 0); /* there is no such key yet */
    fixture_send(side->fixture, &side->other, "MSET a x b x c x");
    assert_int_equal(plain_execute(client, run, 3), 3);
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
    assert_int_equal(plain_execute(side->fixture->user.client, run, 1), 0);
    assert_int_equal(seen->inline_size, 5); /* and not in the limbo */
    assert_int_equal(keyspace->limbo.items, 0);
    build_release(side->fixture->exec->heap, run);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stretches_do_what_dispatch_does),
        cmocka_unit_test(there_are_stretches),
        cmocka_unit_test(what_was_seen_is_replaced),
        cmocka_unit_test(what_was_replaced_since_is_looked_for),
        cmocka_unit_test(an_address_may_have_come_back),
        cmocka_unit_test(what_took_long_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
