/* A connection: bytes in any pieces, order of replies, and each way in which it can end. */
#include "../../support/wire.h"

static const char session[] =
    "PING\r\n"
    "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nb\n\r\n"
    "GET k\r\n\r\n"
    "*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\nECHO \"x \\n\"\r\n*1\r\n$4\r\nEXEC\r\n"
    "NOSUCH a\n"
    "*-1\r\n*0\r\n"
    "DEL k n\r\n";
static const char answers[] =
    "+PONG\r\n+OK\r\n$5\r\na\r\nb\n\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n$3\r\nx \n\r\n"
    "-ERR unknown command 'NOSUCH', with args beginning with: 'a' \r\n:2\r\n";

static void replies_do_not_depend_on_where_bytes_are_cut(void **state)
{
    struct room room;
    struct wire wire;
    room_init(&room);
    wire_open(&room, &wire);
    for (size_t first = 0; first < sizeof session - 1; first++) {
        wire_say_bytes(&room, &wire, session, first);
        wire_say_bytes(&room, &wire, session + first, sizeof session - 1 - first);
        wire_expect(&wire, answers);
    }
    for (size_t size = 1; size < 20; size++) {
        wire.receive_max = wire.send_max = size;
        wire_say(&room, &wire, session);
        wire_expect(&wire, answers);
    }
    room_done(&room);
}

static void append_count(struct buf *said, char kind, size_t count)
{
    char line[32];
    snprintf(line, sizeof line, "%c%zu\r\n", kind, count);
    buf_append_string(said, line);
}

static void append_request(struct buf *said, size_t count, const char *const *words)
{
    append_count(said, '*', count);
    for (size_t i = 0; i < count; i++) {
        append_count(said, '$', strlen(words[i]));
        buf_append_string(said, words[i]);
        buf_append_string(said, "\r\n");
    }
}
#define WORDS(said, ...)                                                                                     \
    append_request(said, ARRAY_COUNT(((const char *const[]){__VA_ARGS__})),                                  \
                   (const char *const[]){__VA_ARGS__})

/* Of requests that follow each other and begin with the same bytes the beginning is understood once. */
static void requests_that_begin_alike_are_told_apart_by_the_rest(void **state)
{
    static const char expected[] =
        "+OK\r\n+OK\r\n+OK\r\n$-1\r\n$2\r\n22\r\n$0\r\n\r\n$-1\r\n"         /* SET and GET */
        ":1\r\n:2\r\n:1\r\n:3\r\n"                                          /* INCR */
        "$-1\r\n:-1\r\n$-1\r\n"                                             /* CLIENT */
        "+PONG\r\n+PONG\r\n$2\r\nhi\r\n"                                    /* PING */
        "-ERR unknown command 'NOSUCH', with args beginning with: 'a' \r\n" /* twice */
        "-ERR unknown command 'NOSUCH', with args beginning with: 'b' \r\n" /* and so on */
        ":1200\r\n:1\r\n:4\r\n";
    char large[1201];
    struct room room;
    struct wire wire;
    struct buf said = {0};
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    WORDS(&said, "SET", "k", "1");
    WORDS(&said, "SET", "k", "22");
    WORDS(&said, "SET", "empty", "");
    WORDS(&said, "SET", "k", "3", "NX");
    WORDS(&said, "GET", "k");
    WORDS(&said, "GET", "empty");
    WORDS(&said, "GET", "none of this name");
    WORDS(&said, "INCR", "n");
    WORDS(&said, "INCR", "n");
    WORDS(&said, "INCR", "other");
    WORDS(&said, "incr", "n");
    WORDS(&said, "CLIENT", "GETNAME");
    WORDS(&said, "CLIENT", "GETREDIR");
    WORDS(&said, "CLIENT", "GETNAME");
    WORDS(&said, "PING");
    WORDS(&said, "PING");
    WORDS(&said, "PING", "hi");
    WORDS(&said, "NOSUCH", "a");
    WORDS(&said, "NOSUCH", "b");
    WORDS(&said, "APPEND", "l", large);
    WORDS(&said, "DEL", "l");
    WORDS(&said, "DEL", "k", "empty", "n", "other", "k", "l", "l");
    room_init(&room);
    wire_open(&room, &wire);
    for (size_t first = 0; first < said.size; first++) {
        wire_say_bytes(&room, &wire, said.data, first);
        wire_say_bytes(&room, &wire, said.data + first, said.size - first);
        wire_expect(&wire, expected);
    }
    buf_done(&said);
    room_done(&room);
}

/* More words than a run has room for, in requests that all begin alike; then one that only begins like them. */
static void a_long_pipeline_of_requests_that_begin_alike_is_parted_between_them(void **state)
{
    struct room room;
    struct wire wire;
    struct buf said = {0}, expected = {0};
    room_init(&room);
    wire_open(&room, &wire);
    for (int i = 0; i < 1000; i++) {
        WORDS(&said, "RPUSH", "l", "a", "b", "c", "d", "e");
        append_count(&expected, ':', (size_t)(i + 1) * 5);
    }
    buf_append_string(&said, "*7\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n$-1\r\n");
    buf_append_string(&expected, "-ERR Protocol error: invalid bulk length\r\n");
    wire_say(&room, &wire, buf_string(&said));
    wire_expect(&wire, buf_string(&expected));
    assert_true(wire.closed);
    buf_done(&expected);
    buf_done(&said);
    room_done(&room);
}

static void a_long_pipeline_is_answered_to_its_last_request_before_the_end(void **state)
{
    struct room room;
    struct wire wire;
    struct buf expected = {0};
    room_init(&room);
    wire_open(&room, &wire);
    for (int i = 0; i < 5000; i++) {
        buf_append_string(&wire.said, "PING\r\n");
        buf_append_string(&expected, "+PONG\r\n");
    }
    wire_hang_up(&room, &wire);
    wire_expect(&wire, buf_string(&expected));
    assert_true(wire.closed);
    buf_done(&expected);
    room_done(&room);
}

static void nothing_behind_a_fault_is_executed(void **state)
{
    static const struct {
        const char *said;
        const char *heard;
    } cases[] = {
        {"SET k 1\r\n*1\r\n#\r\nSET k 2\r\n", "+OK\r\n-ERR Protocol error: expected '$', got '#'\r\n"},
        {"SET k 1\r\n*x\r\nSET k 2\r\n", "+OK\r\n-ERR Protocol error: invalid multibulk length\r\n"},
        {"SET k 1\r\nGET 'k\r\nSET k 2\r\n", "+OK\r\n-ERR Protocol error: unbalanced quotes in request\r\n"},
        {"SET k 1\r\nQUIT\r\nSET k 2\r\n", "+OK\r\n+OK\r\n"},
        {"SET k 1\r\nPOST / HTTP/1.1\r\nSET k 2\r\n", ""},
    };
    struct room room;
    struct wire wires[ARRAY_COUNT(cases)], witness;
    room_init(&room);
    wire_open(&room, &witness);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        wire_open(&room, &wires[i]);
        wire_say(&room, &wires[i], cases[i].said);
        wire_expect(&wires[i], cases[i].heard);
        assert_true(wires[i].closed);
        wire_say(&room, &witness, "GET k\r\n");
        wire_expect(&witness, "$1\r\n1\r\n");
    }
    room_done(&room);
}

/* Each receive that finds its buffer full moves what has arrived: that must not happen for every few bytes. */
static void a_long_request_is_moved_a_few_times_only(void **state)
{
    struct room room;
    struct wire wire;
    struct buf request = {0};
    room_init(&room);
    wire_open(&room, &wire);
    wire.receive_max = 4096;
    buf_append_string(&request, "*300001\r\n$3\r\nDEL\r\n");
    for (int i = 0; i < 300000; i++)
        buf_append_string(&request, "$2\r\nkk\r\n");
    wire_say(&room, &wire, buf_string(&request));
    wire_expect(&wire, ":0\r\n");
    assert_true(wire.buffers < 40);
    unsigned before = wire.buffers;
    buf_clear(&request);
    buf_append_string(&request, "*2\r\n$6\r\nSTRLEN\r\n$5000000\r\n");
    for (int i = 0; i < 500000; i++)
        buf_append_string(&request, "0123456789");
    buf_append_string(&request, "\r\n");
    wire_say(&room, &wire, buf_string(&request));
    wire_expect(&wire, ":0\r\n");
    assert_true(wire.buffers < before + 12);
    buf_done(&request);
    room_done(&room);
}

static void requests_behind_a_waiting_one_wait_in_order(void **state)
{
    struct room room;
    struct wire waiter, other;
    room_init(&room);
    wire_open(&room, &waiter);
    wire_open(&room, &other);
    wire_say(&room, &waiter, "SET k 1\r\nWAIT 1 0\r\nINCR k\r\nWAIT 1 200\r\nINCR k\r\n");
    wire_say(&room, &waiter, "INCR k\r\n");
    wire_expect(&waiter, "+OK\r\n");
    wire_say(&room, &other, "GET k\r\nCLIENT UNBLOCK 1\r\nGET k\r\n");
    wire_expect(&other, "$1\r\n1\r\n:1\r\n$1\r\n1\r\n");
    wire_expect(&waiter, ":0\r\n:2\r\n");
    room_wait(&room, 150);
    wire_expect(&waiter, "");
    room_wait(&room, 100);
    wire_expect(&waiter, ":0\r\n:3\r\n:4\r\n");
    wire_say(&room, &waiter, "WAIT 1 0\r\n");
    wire_say(&room, &other, "CLIENT UNBLOCK 1 ERROR\r\n");
    wire_expect(&waiter, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    room_done(&room);
}

static void unpause_takes_effect_without_time_passing(void **state)
{
    struct room room;
    struct wire paused, other;
    room_init(&room);
    wire_open(&room, &paused);
    wire_open(&room, &other);
    wire_say(&room, &other, "CLIENT PAUSE 9223370000000000000 WRITE\r\n");
    wire_say(&room, &paused, "PING\r\nSET k 1\r\nGET k\r\n");
    wire_say(&room, &paused, "PING\r\n");
    wire_expect(&paused, "+PONG\r\n");
    room_wait(&room, 1000);
    wire_expect(&paused, "");
    wire_say(&room, &other, "CLIENT UNPAUSE\r\n");
    wire_expect(&paused, "+OK\r\n$1\r\n1\r\n+PONG\r\n");
    room_done(&room);
}

static void a_waiting_client_leaves_nothing_behind(void **state)
{
    struct room room;
    struct wire waiter, paused, other;
    room_init(&room);
    wire_open(&room, &waiter);
    wire_open(&room, &paused);
    wire_open(&room, &other);
    wire_say(&room, &waiter, "WATCH a\r\nSUBSCRIBE c\r\nUNSUBSCRIBE c\r\nWAIT 1 0\r\n");
    wire_say(&room, &other, "CLIENT PAUSE 1000 WRITE\r\n");
    wire_say(&room, &paused, "MULTI\r\nSET a 1\r\n");
    wire_hang_up(&room, &waiter);
    wire_hang_up(&room, &paused);
    room_wait(&room, 2000);
    assert_true(waiter.closed);
    assert_true(paused.closed);
    assert_int_equal(server_exec(room.server)->client_count, 1);
    assert_int_equal(server_exec(room.server)->blocked_count, 0);
    room_done(&room);
}

/* Nothing more is received, because the buffer is full or holds a fault: the end must be noticed all the same. */
static void a_peer_that_is_gone_behind_a_waiting_request_is_noticed(void **state)
{
    struct room room;
    struct wire wire, faulty;
    room_init(&room);
    wire_open(&room, &wire);
    wire_open(&room, &faulty);
    wire_say(&room, &faulty, "WAIT 1 0\r\n*x\r\n");
    wire_hang_up(&room, &faulty);
    buf_append_string(&wire.said, "WAIT 1 0\r\n");
    for (int i = 0; i < 10000; i++)
        buf_append_string(&wire.said, "PING\r\n");
    room_settle(&room);
    assert_true(wire.taken < wire.said.size);
    wire_hang_up(&room, &wire);
    room_wait(&room, 6000);
    assert_true(wire.closed);
    assert_true(faulty.closed);
    assert_int_equal(server_exec(room.server)->client_count, 0);
    room_done(&room);
}

static void who_is_killed_inside_exec_still_gets_the_answer(void **state)
{
    struct room room;
    struct wire self, other;
    room_init(&room);
    wire_open(&room, &self);
    wire_open(&room, &other);
    wire_say(&room, &self,
             "MULTI\r\nCLIENT KILL ID 1 SKIPME no\r\nCLIENT KILL ID 2\r\nSET k 1\r\nEXEC\r\nSET k 2\r\n");
    wire_expect(&self, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n:1\r\n+OK\r\n");
    assert_true(self.closed);
    assert_true(other.closed);
    assert_int_equal(server_exec(room.server)->client_count, 0);
    room_done(&room);
}

/* ---- Peers that do not read ----------------------------------------------------------------------- */

/* Leaves a client whose 100 KB of replies are not taken. */
static void stuff(struct room *room, struct wire *wire)
{
    char value[10001];
    struct buf said = {0};
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    buf_printf(&said, "SET big %s\r\n", value);
    wire_say(room, wire, buf_string(&said));
    buf_clear(&wire->heard);
    wire->send_max = 0;
    buf_done(&said);
    wire_say(room, wire,
             "GET big\r\nGET big\r\nGET big\r\nGET big\r\nGET big\r\nGET big\r\nGET big\r\nGET big\r\nGET "
             "big\r\nGET big\r\n");
}

static void quit_of_a_peer_that_does_not_read_ends_by_itself(void **state)
{
    struct room room;
    struct wire reads, does_not;
    room_init(&room);
    wire_open(&room, &reads);
    wire_open(&room, &does_not);
    stuff(&room, &reads);
    stuff(&room, &does_not);
    wire_say(&room, &reads, "QUIT\r\n");
    wire_say(&room, &does_not, "QUIT\r\n");
    for (int i = 0; i < 60; i++) { /* slowly, but it does */
        reads.send_max = 50;
        assert_true(wire_signal(&reads));
        server_turn(room.server, 0);
        reads.send_max = 0;
        room_wait(&room, 200);
        assert_false(reads.closed);
    }
    assert_true(does_not.closed);
    reads.send_max = SIZE_MAX;
    room_settle(&room);
    assert_true(reads.closed);
    room_done(&room);
}

static void a_closing_client_can_be_killed(void **state)
{
    struct room room;
    struct wire closing, other;
    room_init(&room);
    wire_open(&room, &closing);
    wire_open(&room, &other);
    stuff(&room, &closing);
    wire_say(&room, &closing, "QUIT\r\n");
    assert_false(closing.closed);
    wire_say(&room, &other, "CLIENT KILL ID 1\r\n");
    wire_expect(&other, ":1\r\n");
    assert_true(closing.closed);
    room_done(&room);
}

static void output_limits_hold(void **state)
{
    struct room room;
    struct wire hard, soft, other;
    room_init(&room);
    wire_open(&room, &hard);
    wire_open(&room, &soft);
    wire_open(&room, &other);
    wire_say(&room, &other, "CONFIG SET client-output-buffer-limit \"normal 100000 50000 2\"\r\n");
    stuff(&room, &hard);
    room_settle(&room);
    assert_true(hard.closed);
    wire_say(&room, &other, "CONFIG SET client-output-buffer-limit \"normal 0 50000 2\"\r\n");
    stuff(&room, &soft);
    room_wait(&room, 1500);
    assert_false(soft.closed);
    room_wait(&room, 1500);
    assert_true(soft.closed);
    assert_int_equal(server_exec(room.server)->client_count, 1);
    room_done(&room);
}

static void a_transaction_counts_as_query_buffer(void **state)
{
    struct room room;
    struct wire wire;
    struct buf set = {0};
    room_init(&room);
    room.config->client_query_buffer_limit = 1 << 20;
    wire_open(&room, &wire);
    buf_append_string(&set, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$300000\r\n");
    for (int i = 0; i < 30000; i++)
        buf_append_string(&set, "0123456789");
    buf_append_string(&set, "\r\n");
    wire_say(&room, &wire, "MULTI\r\n");
    for (int i = 0; i < 3; i++)
        wire_say(&room, &wire, buf_string(&set));
    wire_expect(&wire, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
    wire_say(&room, &wire, buf_string(&set));
    assert_true(wire.closed);
    buf_done(&set);
    room_done(&room);
}

static void silence_is_ended_unless_there_is_a_reason_for_it(void **state)
{
    struct room room;
    struct wire silent, listener, waiter, reader;
    room_init(&room);
    room.config->timeout = 3;
    wire_open(&room, &silent);
    wire_open(&room, &listener);
    wire_open(&room, &waiter);
    wire_open(&room, &reader);
    wire_say(&room, &silent, "PING\r\n");
    wire_say(&room, &listener, "SUBSCRIBE c\r\n");
    wire_say(&room, &waiter, "WAIT 1 0\r\n");
    stuff(&room, &reader);
    for (int i = 0; i < 6; i++) {
        reader.send_max = 100;
        wire_signal(&reader);
        server_turn(room.server, 0);
        reader.send_max = 0;
        room_wait(&room, 1000);
    }
    assert_true(silent.closed);
    assert_false(listener.closed);
    assert_false(waiter.closed);
    assert_false(reader.closed); /* it reads, if slowly */
    wire_say(&room, &listener, "UNSUBSCRIBE c\r\n");
    room_wait(&room, 4000);
    assert_true(listener.closed);
    room_done(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_do_not_depend_on_where_bytes_are_cut),
        cmocka_unit_test(requests_that_begin_alike_are_told_apart_by_the_rest),
        cmocka_unit_test(a_long_pipeline_of_requests_that_begin_alike_is_parted_between_them),
        cmocka_unit_test(a_long_pipeline_is_answered_to_its_last_request_before_the_end),
        cmocka_unit_test(nothing_behind_a_fault_is_executed),
        cmocka_unit_test(a_long_request_is_moved_a_few_times_only),
        cmocka_unit_test(requests_behind_a_waiting_one_wait_in_order),
        cmocka_unit_test(unpause_takes_effect_without_time_passing),
        cmocka_unit_test(a_waiting_client_leaves_nothing_behind),
        cmocka_unit_test(a_peer_that_is_gone_behind_a_waiting_request_is_noticed),
        cmocka_unit_test(who_is_killed_inside_exec_still_gets_the_answer),
        cmocka_unit_test(quit_of_a_peer_that_does_not_read_ends_by_itself),
        cmocka_unit_test(a_closing_client_can_be_killed),
        cmocka_unit_test(output_limits_hold),
        cmocka_unit_test(a_transaction_counts_as_query_buffer),
        cmocka_unit_test(silence_is_ended_unless_there_is_a_reason_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
