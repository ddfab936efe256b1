/* Direct reads one by one, in sections of the test's own: what each answers, and why others are left to the executor; the gate,
 * the clients' words, and the sums. */
#include "../../support/wire.h"

#include "exec/direct.h"

#define READER    1
#define WORDS_MAX 32

struct stage {
    struct room room;
    struct wire wire;
    struct exec *exec;
    struct direct_counters *counters;
    struct chunk_pool chunks;
};

static void stage_init(struct stage *stage)
{
    room_init(&stage->room);
    wire_open(&stage->room, &stage->wire);
    stage->exec = server_exec(stage->room.server);
    stage->counters = exec_expect_reader(stage->exec, READER);
    exec_set_reader_threads(stage->exec, 1);
    chunk_pool_init(&stage->chunks, 4);
}

static void stage_done(struct stage *stage)
{
    exec_set_reader_threads(stage->exec, 0);
    chunk_pool_done(&stage->chunks);
    room_done(&stage->room);
}

/* Says requests, one a line, to the executor; what it answers is not looked at. */
static void say(struct stage *stage, const char *lines)
{
    wire_say(&stage->room, &stage->wire, lines);
    buf_clear(&stage->wire.heard);
}

static struct request make_request(const struct stage *stage, const char *line,
                                   struct slice argv[static WORDS_MAX])
{
    struct request request = {.argv = argv};
    while (*line) {
        size_t size = strcspn(line, " ");
        assert_true(request.argc < WORDS_MAX);
        argv[request.argc++] = slice_make(line, size);
        line += size + (line[size] == ' ');
    }
    request.command = command_lookup(argv[0]);
    request.has_key = true;
    request.key_hash = keyspace_hash(stage->exec->keyspace, argv[request.command->first_key]);
    return request;
}

/* Reads directly in RESP2. What was answered is in *ret_answer, to be freed with buf_done. */
static enum direct_outcome read_direct(struct stage *stage, const char *line, struct buf *ret_answer)
{
    struct slice argv[WORDS_MAX];
    struct shared_read read;
    struct reply out;
    struct chunk_list bytes = {0};
    uint32_t seed = 1;
    struct request request = make_request(stage, line, argv);
    reply_init(&out, &stage->chunks, 2);
    assert_true(shared_read_begin(&read, stage->exec->keyspace, READER));
    struct direct direct = {.read = &read, .out = &out, .clock = &stage->room.clock, .seed = &seed};
    enum direct_outcome outcome = request.command->direct(&direct, &request);
    assert_true(shared_read_end(&read));
    reply_take(&out, &bytes);
    for (const struct chunk *chunk = bytes.head; chunk; chunk = chunk->next)
        buf_append(ret_answer, chunk->data + chunk->start, chunk->end - chunk->start);
    chunk_list_clear(&bytes, &stage->chunks);
    return outcome;
}

static void expect(struct stage *stage, const char *line, const char *expected)
{
    struct buf answer = {0};
    assert_int_equal(read_direct(stage, line, &answer), DIRECT_ANSWERED);
    assert_string_equal(buf_string(&answer), expected);
    buf_done(&answer);
}

/* It is left to the executor, and nothing has been written. */
static void expect_refusal(struct stage *stage, const char *line, enum direct_outcome why)
{
    struct buf answer = {0};
    assert_int_equal(read_direct(stage, line, &answer), why);
    assert_int_equal(answer.size, 0);
    buf_done(&answer);
}

static void strings_are_answered(void **state)
{
    struct stage stage;
    stage_init(&stage);
    say(&stage, "SET k hello\r\nSET n -12\r\nINCR n\r\n");
    expect(&stage, "GET k", "$5\r\nhello\r\n");
    expect(&stage, "GET n", "$3\r\n-11\r\n");
    expect(&stage, "GET nothing", "$-1\r\n");
    expect(&stage, "STRLEN n", ":3\r\n");
    expect(&stage, "GETRANGE k -3 -1", "$3\r\nllo\r\n");
    expect(&stage, "GETBIT k 1", ":1\r\n");
    expect(&stage, "MGET k nothing n", "*3\r\n$5\r\nhello\r\n$-1\r\n$3\r\n-11\r\n");
    expect(&stage, "EXISTS k k nothing", ":2\r\n");
    expect(&stage, "TYPE k", "+string\r\n");
    expect(&stage, "TTL nothing", ":-2\r\n");
    stage_done(&stage);
}

static void what_is_no_plain_answer_is_refused(void **state)
{
    struct stage stage;
    stage_init(&stage);
    say(&stage, "SET s v\r\nRPUSH l 1\r\n");
    expect_refusal(&stage, "GET l", DIRECT_NOT_PLAIN);
    expect_refusal(&stage, "HGET s f", DIRECT_NOT_PLAIN);
    expect_refusal(&stage, "GETRANGE s x 1", DIRECT_NOT_PLAIN);
    expect_refusal(&stage, "GETBIT s -1", DIRECT_NOT_PLAIN);
    expect_refusal(&stage, "LINDEX l x", DIRECT_NOT_PLAIN);
    expect_refusal(&stage, "ZRANGE z 0 1 BYLEX", DIRECT_NOT_PLAIN);
    expect_refusal(&stage, "MGET s s s s s s s s s s s s s s s s s", DIRECT_TOO_LARGE);
    stage_done(&stage);
}

static void a_key_is_refused_from_its_time_on(void **state)
{
    struct stage stage;
    stage_init(&stage);
    say(&stage, "SET k v PX 1000\r\nSET other v\r\n");
    stage.room.now_ns += 999 * UINT64_C(1000000);
    expect(&stage, "GET k", "$1\r\nv\r\n");
    expect(&stage, "PTTL k", ":1\r\n");
    stage.room.now_ns += UINT64_C(1000000);
    expect_refusal(&stage, "GET k", DIRECT_EXPIRED);
    expect_refusal(&stage, "EXISTS other k", DIRECT_EXPIRED);
    expect_refusal(&stage, "MGET other k", DIRECT_EXPIRED);
    stage_done(&stage);
}

static void a_collection_is_answered_while_it_is_open(void **state)
{
    struct stage stage;
    stage_init(&stage);
    say(&stage, "HSET h f 1 g 2\r\n");
    expect_refusal(&stage, "HGET h f", DIRECT_NOT_OPEN);
    say(&stage, "HGET h f\r\nHGET h f\r\nHGET h f\r\n");
    expect(&stage, "HGET h f", "$1\r\n1\r\n");
    expect(&stage, "HGETALL h", "*4\r\n$1\r\nf\r\n$1\r\n1\r\n$1\r\ng\r\n$1\r\n2\r\n");
    expect(&stage, "HLEN nothing", ":0\r\n");
    say(&stage, "HSET h f 3\r\n");
    expect_refusal(&stage, "HGET h f", DIRECT_NOT_OPEN);
    stage_done(&stage);
}

static void a_hash_is_refused_from_the_time_of_a_field_on(void **state)
{
    struct stage stage;
    stage_init(&stage);
    say(&stage, "HSET h f 1 g 2\r\nHPEXPIRE h 1000 FIELDS 1 f\r\nHGET h f\r\nHGET h f\r\nHGET h f\r\n");
    expect(&stage, "HGET h g", "$1\r\n2\r\n");
    expect(&stage, "EXISTS h", ":1\r\n");
    stage.room.now_ns += 1000 * UINT64_C(1000000);
    expect_refusal(&stage, "HGET h g", DIRECT_EXPIRED);
    expect_refusal(&stage, "EXISTS h", DIRECT_EXPIRED);
    stage_done(&stage);
}

static void missing_keys_are_refused_while_somebody_wants_to_hear_of_them(void **state)
{
    struct stage stage;
    stage_init(&stage);
    say(&stage, "SET k v\r\nCONFIG SET notify-keyspace-events Em\r\n");
    expect(&stage, "GET k", "$1\r\nv\r\n");
    expect_refusal(&stage, "GET nothing", DIRECT_NOT_PLAIN);
    expect_refusal(&stage, "EXISTS k nothing", DIRECT_NOT_PLAIN);
    say(&stage, "CONFIG SET notify-keyspace-events ''\r\n");
    expect(&stage, "GET nothing", "$-1\r\n");
    stage_done(&stage);
}

static uint32_t gate_of(struct stage *stage)
{
    return atomic_load(&stage->exec->keyspace->gate);
}

static void the_gate_is_closed_before_the_reply_that_says_so(void **state)
{
    struct stage stage;
    struct wire monitor;
    struct shared_read read;
    stage_init(&stage);
    assert_int_equal(gate_of(&stage), 0);
    wire_open(&stage.room, &monitor);
    wire_say(&stage.room, &monitor, "MONITOR\r\n");
    wire_expect(&monitor, "+OK\r\n");
    assert_int_equal(gate_of(&stage), GATE_MONITOR);
    assert_false(shared_read_begin(&read, stage.exec->keyspace, READER));
    wire_hang_up(&stage.room, &monitor);
    say(&stage, "PING\r\nCONFIG SET slowlog-log-slower-than 0\r\n");
    assert_int_equal(gate_of(&stage), GATE_SLOW_LOG);
    say(&stage, "CONFIG SET slowlog-log-slower-than 10000 direct-reads no\r\n");
    assert_int_equal(gate_of(&stage), GATE_OFF);
    say(&stage, "CONFIG SET direct-reads yes\r\nCLIENT PAUSE 100 WRITE\r\n");
    assert_int_equal(gate_of(&stage), 0);
    say(&stage, "CLIENT PAUSE 100 ALL\r\n");
    assert_int_equal(gate_of(&stage), GATE_PAUSE);
    room_wait(&stage.room, 200);
    assert_int_equal(gate_of(&stage), 0);
    exec_set_reader_threads(stage.exec, 0);
    assert_int_equal(gate_of(&stage), GATE_OFF);
    stage_done(&stage);
}

/* What the executor has published of the connection. */
static uint32_t word_of(const struct stage *stage)
{
    const struct client *client = list_entry(stage->exec->clients.next, struct client, in_clients);
    return atomic_load(&client->shared->direct);
}

static void the_word_of_a_connection_follows_its_modes(void **state)
{
    static const struct {
        const char *said;
        uint32_t word;
    } steps[] = {
        {"PING", DIRECT_MAY_READ},
        {"SELECT 3", DIRECT_MAY_READ | 3 << DIRECT_DB_SHIFT},
        {"HELLO 3", DIRECT_MAY_READ | DIRECT_RESP3 | 3 << DIRECT_DB_SHIFT},
        {"MULTI", 0},
        {"EXEC", DIRECT_MAY_READ | DIRECT_RESP3 | 3 << DIRECT_DB_SHIFT},
        {"WATCH k", DIRECT_MAY_READ | DIRECT_RESP3 | 3 << DIRECT_DB_SHIFT},
        {"SUBSCRIBE news", 0},
        {"UNSUBSCRIBE news", DIRECT_MAY_READ | DIRECT_RESP3 | 3 << DIRECT_DB_SHIFT},
        {"CLIENT NO-TOUCH ON", 0},
        {"CLIENT NO-TOUCH OFF", DIRECT_MAY_READ | DIRECT_RESP3 | 3 << DIRECT_DB_SHIFT},
        {"CLIENT REPLY SKIP", 0},
        {"PING", DIRECT_MAY_READ | DIRECT_RESP3 | 3 << DIRECT_DB_SHIFT},
        {"CLIENT REPLY OFF", 0},
        {"CLIENT REPLY ON", DIRECT_MAY_READ | DIRECT_RESP3 | 3 << DIRECT_DB_SHIFT},
        {"RESET", DIRECT_MAY_READ},
        {"BLPOP list 1", 0},
    };
    struct stage stage;
    stage_init(&stage);
    assert_int_equal(word_of(&stage), DIRECT_MAY_READ);
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        say(&stage, steps[i].said);
        say(&stage, "\r\n");
        if (word_of(&stage) != steps[i].word)
            fail_msg("after %s: %x", steps[i].said, word_of(&stage));
    }
    room_wait(&stage.room, 1100);
    say(&stage, "PING\r\n");
    assert_int_equal(word_of(&stage), DIRECT_MAY_READ);
    stage_done(&stage);
}

static void sums_are_those_of_all_threads_since_the_last_reset(void **state)
{
    struct stage stage;
    struct direct_totals totals;
    struct command_totals get;
    struct command_times times;
    stage_init(&stage);
    unsigned id = command_lookup(slice_from_string("get"))->id;
    struct direct_counters *second = exec_expect_reader(stage.exec, READER + 1);
    say(&stage, "GET k\r\n");
    atomic_store(&stage.counters->outcomes[DIRECT_ANSWERED], 5);
    atomic_store(&second->outcomes[DIRECT_ANSWERED], 7);
    atomic_store(&second->hits, 3);
    atomic_store(&stage.counters->commands[id].calls, 5);
    atomic_store(&second->commands[id].calls, 7);
    atomic_store(&second->commands[id].ns, 700);
    durations_note(&direct_times(&second->commands[id])->execute, 100, 7);
    exec_direct_totals(stage.exec, &totals);
    assert_int_equal(totals.outcomes[DIRECT_ANSWERED], 12);
    assert_int_equal(totals.hits, 3);
    exec_command_totals(stage.exec, id, &get);
    assert_int_equal(get.calls, 13);
    assert_true(get.ns >= 700);
    assert_true(exec_command_times(stage.exec, id, &times));
    assert_int_equal(durations_count(&times.execute), 8);
    say(&stage, "CONFIG RESETSTAT\r\n");
    exec_direct_totals(stage.exec, &totals);
    assert_int_equal(totals.outcomes[DIRECT_ANSWERED], 0);
    exec_command_totals(stage.exec, id, &get);
    assert_int_equal(get.calls, 0);
    assert_false(exec_command_times(stage.exec, id, &times));
    stage_done(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_answered),
        cmocka_unit_test(what_is_no_plain_answer_is_refused),
        cmocka_unit_test(a_key_is_refused_from_its_time_on),
        cmocka_unit_test(a_collection_is_answered_while_it_is_open),
        cmocka_unit_test(a_hash_is_refused_from_the_time_of_a_field_on),
        cmocka_unit_test(missing_keys_are_refused_while_somebody_wants_to_hear_of_them),
        cmocka_unit_test(the_gate_is_closed_before_the_reply_that_says_so),
        cmocka_unit_test(the_word_of_a_connection_follows_its_modes),
        cmocka_unit_test(sums_are_those_of_all_threads_since_the_last_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
