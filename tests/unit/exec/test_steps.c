/* Proves in which order the executor lets go of things: what is seen by threads that read the keyspace meanwhile, and what comes
 * back to the I/O thread. A change of several steps is bracketed, one of a single step is not; eviction does not count what only
 * waits for readers; runs go back behind their replies. */
#include "../../support/command_fixture.h"

#include <stdio.h>

#include "exec/evict.h"
#include "keyspace/shared.h"

#define READER 1

/* The fixture's executor has threads that read. */
static struct fixture *new_with_readers(void)
{
    struct fixture *fixture = fixture_new();
    atomic_store(&fixture->config->direct_reads, true);
    exec_expect_reader(fixture->exec, READER);
    exec_set_reader_threads(fixture->exec, 1);
    assert_true(fixture->exec->keyspace->has_readers);
    return fixture;
}

static uint64_t sequence(const struct fixture *fixture)
{
    return atomic_load(&fixture->exec->keyspace->sequence);
}

/* ---- Brackets ----------------------------------------------------------------------------------------------- */

static void changes_of_several_steps_are_bracketed(void **state)
{
    static const struct {
        const char *command;
        unsigned brackets;
    } cases[] = {
        {"SET k 1", 0},         {"SET k 2 EX 100", 0},
        {"INCR k", 0},          {"APPEND k x", 0},
        {"SETRANGE k 1 y", 0},  {"GETEX k PERSIST", 0},
        {"EXPIRE k 100", 0},    {"GETDEL k", 0},
        {"HSET h a 1 b 2", 0},  {"HDEL h a", 0},
        {"SADD s a b c d", 0},  {"SREM s a", 0},
        {"SPOP s 1", 0},        {"ZADD z 1 a 2 b 3 c", 0},
        {"ZREM z a", 0},        {"ZPOPMIN z 1", 0},
        {"RPUSH l a b c d", 0}, {"LPUSH l a", 0},
        {"LPOP l", 0},          {"RPOP l 1", 0},
        {"BLPOP none l 0", 0},  {"XADD x * a b", 0},
        {"SET a 1", 0},         {"DEL a", 0},
        {"UNLINK h", 0},        {"GET k", 0},
        {"MGET k a", 0},        {"PING", 0},
        {"SUNIONSTORE t s", 0}, {"SORT l STORE sorted", 0},
        {"MSET a 1", 0},        {"MSET a 1 b 2", 1},
        {"DEL a b", 1},         {"RENAME l m", 1},
        {"COPY m n", 1},        {"LMOVE m n LEFT LEFT", 1},
        {"SMOVE s u d", 1},     {"RPOPLPUSH m n", 1},
        {"MOVE m 1", 1},        {"SWAPDB 0 1", 1},
        {"FLUSHDB", 1},
    };
    struct fixture *fixture = new_with_readers();
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        uint64_t before = sequence(fixture);
        fixture_send(fixture, &fixture->user, cases[i].command);
        if (sequence(fixture) != before + 2 * cases[i].brackets)
            print_error("command: %s\n", cases[i].command);
        assert_int_equal(sequence(fixture), before + 2 * cases[i].brackets);
        assert_int_equal(fixture->exec->keyspace->steps_depth, 0);
    }
    fixture_free(fixture);
}

static void a_transaction_that_writes_is_bracketed_as_a_whole(void **state)
{
    struct fixture *fixture = new_with_readers();
    uint64_t before = sequence(fixture);
    fixture_expect(fixture, "MULTI", "+OK\r\n");
    fixture_expect(fixture, "GET k", "+QUEUED\r\n");
    fixture_expect(fixture, "EXEC", "*1\r\n$-1\r\n");
    assert_int_equal(sequence(fixture), before);
    fixture_expect(fixture, "MULTI", "+OK\r\n");
    fixture_expect(fixture, "SET k 1", "+QUEUED\r\n");
    fixture_expect(fixture, "MSET a 1 b 2", "+QUEUED\r\n");
    fixture_expect(fixture, "EXEC", "*2\r\n+OK\r\n+OK\r\n");
    assert_int_equal(sequence(fixture), before + 2);
    fixture_free(fixture);
}

static void serving_who_waits_is_bracketed(void **state)
{
    struct fixture *fixture = new_with_readers();
    fixture_send(fixture, &fixture->listener, "PUNSUBSCRIBE");
    fixture_send(fixture, &fixture->listener, "BLPOP list 0");
    uint64_t before = sequence(fixture);
    fixture_expect(fixture, "RPUSH other a", ":1\r\n");
    assert_int_equal(sequence(fixture), before);
    fixture_expect(fixture, "RPUSH list a b", ":2\r\n");
    assert_int_equal(sequence(fixture), before + 2);
    fixture_free(fixture);
}

/* An INCR in place, and a key that comes or goes, may happen between the two passes of a reader over its keys. */
static void what_pointers_do_not_show_is_counted(void **state)
{
    static const struct {
        const char *command;
        unsigned count;
    } cases[] = {{"SET k 1", 1},    {"SET k 2", 0},    {"INCR k", 1},       {"DECRBY k 2", 1},
                 {"APPEND k x", 0}, {"GET k", 0},      {"EXPIRE k 100", 0}, {"PERSIST k", 0},
                 {"HSET h a 1", 1}, {"HSET h a 2", 0}, {"HDEL h a", 1},     {"DEL k", 1}};
    struct fixture *fixture = new_with_readers();
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        uint64_t before = atomic_load(&fixture->exec->keyspace->untracked);
        fixture_send(fixture, &fixture->user, cases[i].command);
        if (atomic_load(&fixture->exec->keyspace->untracked) != before + cases[i].count)
            print_error("command: %s\n", cases[i].command);
        assert_int_equal(atomic_load(&fixture->exec->keyspace->untracked), before + cases[i].count);
    }
    fixture_free(fixture);
}

/* ---- Opening ------------------------------------------------------------------------------------------------ */

static struct entry *entry_of(struct fixture *fixture, const char *key)
{
    struct keyspace *keyspace = fixture->exec->keyspace;
    struct slice name = slice_from_string(key);
    struct table_position position;
    return db_locate(&keyspace->dbs[0], name, keyspace_hash(keyspace, name), &position);
}

static void reads_that_threads_could_serve_open_what_they_find(void **state)
{
    struct fixture *fixture = new_with_readers();
    fixture_send(fixture, &fixture->user, "SETRANGE built 20000 x");
    fixture_send(fixture, &fixture->user, "COPY built large");
    fixture_send(fixture, &fixture->user, "SETBIT large 0 1"); /* another one than that of `built` */
    struct keyspace *keyspace = fixture->exec->keyspace;
    struct slice value = entry_bytes(entry_of(fixture, "large"));
    struct entry *entry = entry_new_blank(keyspace->heap, SLICE("set"), value.size,
                                          &(struct entry_options){.expire_ms = ENTRY_NO_EXPIRE});
    memcpy(entry_large(entry)->data, value.data, value.size);
    assert_int_equal(db_insert(&keyspace->dbs[0], entry, keyspace_hash(keyspace, SLICE("set"))), ST_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_false(entry_is_open(entry_of(fixture, "set")));
        fixture_send(fixture, &fixture->user, "GET set");
        fixture_send(fixture, &fixture->user, "GET built");
        fixture_send(fixture, &fixture->user, "BITCOUNT large"); /* the executor's alone */
    }
    assert_true(entry_is_open(entry_of(fixture, "set")));
    assert_false(entry_is_open(entry_of(fixture, "built")));
    assert_false(entry_is_open(entry_of(fixture, "large")));
    fixture_expect(fixture, "SETBIT set 1 1", ":0\r\n");
    assert_false(entry_is_open(entry_of(fixture, "set")));
    fixture_free(fixture);
}

/* ---- Memory ------------------------------------------------------------------------------------------------- */

/* While a reader stays, what it may be looking at cannot be freed. That is no reason for more keys to go. */
static void what_waits_for_readers_makes_no_key_go(void **state)
{
    struct fixture *fixture = new_with_readers();
    struct keyspace *keyspace = fixture->exec->keyspace;
    struct shared_read read;
    char command[1200], value[1025];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    fixture_expect(fixture, "CONFIG SET maxmemory-policy allkeys-random", "+OK\r\n");
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(command, sizeof command, "SET key:%u %s", i, value);
        fixture_send(fixture, &fixture->user, command);
    }
    while (keyspace_reclaim_step(keyspace))
        ;
    /* As much again as the keys have could wait. */
    heap_account(keyspace->heap);
    snprintf(command, sizeof command, "CONFIG SET maxmemory %zu", mem_used() + 200 * 1024);
    fixture_expect(fixture, command, "+OK\r\n");
    assert_true(shared_read_begin(&read, keyspace, READER));
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(command, sizeof command, "SET key:%u %s", i, value);
        fixture_send(fixture, &fixture->user, command);
    }
    assert_true(keyspace_waiting_bytes(keyspace) > 900 * 1024);
    assert_true(mem_used() > (uint64_t)fixture->config->maxmemory);
    assert_int_equal(table_size(keyspace->dbs[0].keys), 1000);
    assert_int_equal(fixture->exec->stats.evicted_keys, 0);
    assert_true(shared_read_end(&read));
    while (keyspace_reclaim_step(keyspace))
        ;
    heap_account(keyspace->heap);
    assert_false(evict_is_over_limit(fixture->exec));
    fixture_free(fixture);
}

/* ---- Runs --------------------------------------------------------------------------------------------------- */

#define RUNS_MAX  4
#define WORDS_MAX 4

/* Runs of one connection, numbered from 1 on, of requests that are told as words between blanks. */
struct told_runs {
    struct run runs[RUNS_MAX];
    struct run *list[RUNS_MAX];
    unsigned count;
};

/* What the I/O thread is told, in order: "output", "run1", "close", "forgotten". */
struct tale {
    struct port port; /* first: the port's functions find it there */
    const struct told_runs *told;
    struct buf text;
};

static void tell_output(struct port *port, struct conn *conn, struct chunk_list *bytes)
{
    struct tale *tale = (struct tale *)port;
    buf_append_string(&tale->text, "output ");
    chunk_list_clear(bytes, conn->client->exec->chunks);
}

static void tell_run_done(struct port *port, struct run *run)
{
    struct tale *tale = (struct tale *)port;
    buf_printf(&tale->text, "run%d ", (int)(run - tale->told->runs) + 1);
    assert_null(run->link);
}

static void tell_close(struct port *port, struct conn *conn, enum close_how how)
{
    buf_append_string(&((struct tale *)port)->text, "close ");
}

static void tell_forgotten(struct port *port, struct conn *conn)
{
    buf_append_string(&((struct tale *)port)->text, "forgotten ");
}

static void tale_init(struct tale *tale, const struct told_runs *told)
{
    *tale = (struct tale){.told = told,
                          .port = {.output = tell_output,
                                   .run_done = tell_run_done,
                                   .close = tell_close,
                                   .forgotten = tell_forgotten}};
}

static void expect_tale(struct tale *tale, const char *expected)
{
    assert_string_equal(buf_string(&tale->text), expected);
    buf_clear(&tale->text);
}

/* `requests` of a run, each of at most WORDS_MAX words. */
static void add_run(struct told_runs *told, struct client *client, const char *const *requests,
                    unsigned count)
{
    assert_true(told->count < RUNS_MAX);
    struct run *run = &told->runs[told->count];
    *run = (struct run){.client = client, .conn = client->conn};
    for (unsigned i = 0; i < count; i++) {
        struct request *request = &run->requests[run->count++];
        request->argv = &run->arguments[run->argument_count];
        for (const char *word = requests[i]; *word != 0; word += strspn(word, " ")) {
            size_t size = strcspn(word, " ");
            assert_true(request->argc < WORDS_MAX && run->argument_count < RUN_ARGUMENTS);
            run->arguments[run->argument_count++] = slice_make(word, size);
            request->argc++;
            word += size;
        }
        request->command = command_lookup(request->argv[0]);
        assert_non_null(request->command);
    }
    run->stop = run->count;
    told->list[told->count++] = run;
}

#define ADD_RUN(told, client, ...)                                                                           \
    do {                                                                                                     \
        static const char *const requests[] = {__VA_ARGS__};                                                 \
        add_run(told, client, requests, ARRAY_COUNT(requests));                                              \
    } while (0)

static void execute(struct fixture *fixture, struct told_runs *told)
{
    exec_run_batch(fixture->exec, told->list, told->count);
    told->count = 0;
}

static void runs_go_back_behind_their_replies(void **state)
{
    struct fixture *fixture = fixture_new();
    struct tale tale;
    struct told_runs told = {.count = 0};
    struct conn conn = {.shared = {.id = 3, .descriptor = -1, .transport = "fixture"}};
    tale_init(&tale, &told);
    struct client *client = exec_client_opened(fixture->exec, &tale.port, &conn, &conn.shared);
    conn.client = client;
    ADD_RUN(&told, client, "SET k 1", "GET k");
    ADD_RUN(&told, client, "GET k");
    execute(fixture, &told);
    expect_tale(&tale, "output run1 run2 ");

    /* Nothing is answered, and the run comes back all the same. */
    ADD_RUN(&told, client, "CLIENT REPLY OFF", "SET k 2");
    told.runs[0].requests[0].command = command_lookup_full_name(SLICE("client|reply"));
    execute(fixture, &told);
    expect_tale(&tale, "run1 ");
    ADD_RUN(&told, client, "CLIENT REPLY ON");
    told.runs[0].requests[0].command = command_lookup_full_name(SLICE("client|reply"));
    execute(fixture, &told);
    expect_tale(&tale, "output run1 ");

    exec_client_closed(fixture->exec, client);
    expect_tale(&tale, "forgotten ");
    buf_done(&tale.text);
    fixture_free(fixture);
}

static void who_waits_gets_the_run_back_and_may_not_read_directly(void **state)
{
    struct fixture *fixture = new_with_readers();
    struct tale tale;
    struct told_runs told = {.count = 0};
    struct conn conn = {.shared = {.id = 3, .descriptor = -1, .transport = "fixture"}};
    tale_init(&tale, &told);
    struct client *client = exec_client_opened(fixture->exec, &tale.port, &conn, &conn.shared);
    conn.client = client;
    ADD_RUN(&told, client, "PING");
    execute(fixture, &told);
    expect_tale(&tale, "output run1 ");
    assert_int_not_equal(atomic_load(&conn.shared.direct), 0);
    ADD_RUN(&told, client, "BLPOP list 0");
    ADD_RUN(&told, client, "PING");
    execute(fixture, &told);
    expect_tale(&tale, "run1 ");
    assert_int_equal(atomic_load(&conn.shared.direct), 0);
    fixture_expect(fixture, "RPUSH list a", ":1\r\n");
    expect_tale(&tale, "output run2 ");
    assert_int_not_equal(atomic_load(&conn.shared.direct), 0);
    /* A reply that comes late does not let reads overtake it: that is said with the next run. */
    ADD_RUN(&told, client, "BLPOP list 0");
    execute(fixture, &told);
    expect_tale(&tale, "run1 ");
    fixture_expect(fixture, "RPUSH list a", ":1\r\n");
    expect_tale(&tale, "output ");
    assert_int_equal(atomic_load(&conn.shared.direct), 0);
    ADD_RUN(&told, client, "PING");
    execute(fixture, &told);
    expect_tale(&tale, "output run1 ");
    assert_int_not_equal(atomic_load(&conn.shared.direct), 0);
    exec_client_closed(fixture->exec, client);
    buf_done(&tale.text);
    fixture_free(fixture);
}

static void who_closes_gets_replies_then_runs_then_the_end(void **state)
{
    struct fixture *fixture = fixture_new();
    struct tale tale;
    struct told_runs told = {.count = 0};
    struct conn conn = {.shared = {.id = 3, .descriptor = -1, .transport = "fixture"}};
    tale_init(&tale, &told);
    struct client *client = exec_client_opened(fixture->exec, &tale.port, &conn, &conn.shared);
    conn.client = client;
    ADD_RUN(&told, client, "PING", "QUIT", "PING");
    ADD_RUN(&told, client, "PING");
    execute(fixture, &told);
    expect_tale(&tale, "output run1 run2 close ");
    exec_client_closed(fixture->exec, client);
    expect_tale(&tale, "forgotten ");

    /* Who is gone before the batch ends gets all of its runs back, in order. */
    conn.shared.id = 4;
    client = exec_client_opened(fixture->exec, &tale.port, &conn, &conn.shared);
    conn.client = client;
    ADD_RUN(&told, client, "PING", "BLPOP list 0", "PING");
    ADD_RUN(&told, client, "PING");
    execute(fixture, &told);
    expect_tale(&tale, "output ");
    exec_client_closed(fixture->exec, client);
    expect_tale(&tale, "run1 run2 forgotten ");
    buf_done(&tale.text);
    fixture_free(fixture);
}

static void who_moves_gets_the_runs_back_where_they_came_from(void **state)
{
    struct fixture *fixture = fixture_new();
    struct tale from, to;
    struct told_runs told = {.count = 0};
    struct conn conn = {.shared = {.id = 3, .descriptor = -1, .transport = "fixture"}};
    tale_init(&from, &told);
    tale_init(&to, &told);
    struct client *client = exec_client_opened(fixture->exec, &from.port, &conn, &conn.shared);
    conn.client = client;
    ADD_RUN(&told, client, "PING");
    ADD_RUN(&told, client, "BLPOP list 0", "PING");
    execute(fixture, &told);
    expect_tale(&from, "output run1 ");
    exec_client_departs(fixture->exec, client);
    fixture_expect(fixture, "RPUSH list a", ":1\r\n");
    expect_tale(&from, "");
    exec_client_arrived(fixture->exec, client, &to.port);
    expect_tale(&to, "output run2 ");
    exec_client_closed(fixture->exec, client);
    buf_done(&from.text);
    buf_done(&to.text);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_several_steps_are_bracketed),
        cmocka_unit_test(a_transaction_that_writes_is_bracketed_as_a_whole),
        cmocka_unit_test(serving_who_waits_is_bracketed),
        cmocka_unit_test(what_pointers_do_not_show_is_counted),
        cmocka_unit_test(reads_that_threads_could_serve_open_what_they_find),
        cmocka_unit_test(what_waits_for_readers_makes_no_key_go),
        cmocka_unit_test(runs_go_back_behind_their_replies),
        cmocka_unit_test(who_waits_gets_the_run_back_and_may_not_read_directly),
        cmocka_unit_test(who_closes_gets_replies_then_runs_then_the_end),
        cmocka_unit_test(who_moves_gets_the_runs_back_where_they_came_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
