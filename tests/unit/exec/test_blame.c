/* Proves, by a clock that only the test moves: the parts of a request's time begin and end where exec/blame.h says. */
#include "../../support/wire.h"

static void expect_within(struct wire *wire, const char *expected)
{
    if (!strstr(buf_string(&wire->heard), expected))
        print_error("heard: %s\nwithout: %s\n", buf_string(&wire->heard), expected);
    assert_non_null(strstr(buf_string(&wire->heard), expected));
}

static void expect_without(struct wire *wire, const char *unexpected)
{
    assert_null(strstr(buf_string(&wire->heard), unexpected));
}

static void ask(struct room *room, struct wire *wire, const char *text)
{
    buf_clear(&wire->heard);
    wire_say(room, wire, text);
}

static void a_pause_is_queue_time_and_is_named(void **state)
{
    struct room room;
    struct wire admin, waiter;
    room_init(&room);
    wire_open(&room, &admin);
    wire_open(&room, &waiter);
    wire_say(&room, &admin, "CLIENT PAUSE 200\r\n");
    wire_say(&room, &waiter, "SET k v\r\n");
    wire_expect(&waiter, "");
    room_wait(&room, 200);
    wire_expect(&waiter, "+OK\r\n");
    ask(&room, &admin, "SLOWLOG BLAME\r\n");
    expect_within(&admin, "$7\r\ncommand\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");
    expect_within(&admin, "queue-usec\r\n:200000\r\n$12\r\nexecute-usec\r\n:0\r\n");
    expect_within(&admin, "reply-usec\r\n:0\r\n");
    expect_within(&admin, "$4\r\nkind\r\n$4\r\ntask\r\n$4\r\nname\r\n$12\r\nclient-pause\r\n");
    expect_within(&admin, "$4\r\nusec\r\n:200000\r\n");
    expect_within(&admin, "$10\r\nother-usec\r\n:0\r\n");
    ask(&room, &admin, "LATENCY BLAME set\r\n");
    expect_within(&admin, "$5\r\nqueue\r\n");
    expect_within(&admin, "$3\r\nmax\r\n$6\r\n200000\r\n");
    ask(&room, &admin, "SLOWLOG GET\r\n");
    wire_expect(&admin, "*0\r\n");
    room_done(&room);
}

static void a_reply_ends_with_the_byte_that_goes_last(void **state)
{
    struct room room;
    struct wire admin, reader;
    room_init(&room);
    wire_open(&room, &admin);
    wire_open(&room, &reader);
    reader.send_max = 0;
    wire_say(&room, &reader, "ECHO hello\r\n");
    room_wait(&room, 100);
    ask(&room, &admin, "LATENCY BLAME echo\r\n");
    expect_without(&admin, "00000\r\n");
    reader.send_max = 3;
    room_settle(&room);
    wire_expect(&reader, "$5\r\nhello\r\n");
    ask(&room, &admin, "LATENCY BLAME echo\r\n");
    expect_within(&admin, "$3\r\nmax\r\n$6\r\n100000\r\n");
    room_done(&room);
}

static void more_replies_than_are_watched(void **state)
{
    struct room room;
    struct wire admin, reader;
    room_init(&room);
    wire_open(&room, &admin);
    wire_open(&room, &reader);
    reader.send_max = 0;
    for (int i = 0; i < 20; i++) {
        wire_say(&room, &reader, "PING\r\n");
        room_wait(&room, 50);
    }
    reader.send_max = SIZE_MAX;
    room_settle(&room);
    assert_int_equal(reader.heard.size, 20 * 7);
    ask(&room, &admin, "LATENCY BLAME ping\r\n");
    expect_within(&admin, "$5\r\ncalls\r\n:20\r\n");
    expect_within(&admin, "$3\r\nmax\r\n$7\r\n1000000\r\n");
    room_done(&room);
}

static void waiting_for_a_key_is_no_part(void **state)
{
    struct room room;
    struct wire admin, waiter;
    room_init(&room);
    wire_open(&room, &admin);
    wire_open(&room, &waiter);
    wire_say(&room, &waiter, "BLPOP list 0\r\nECHO a\r\n");
    room_wait(&room, 500);
    wire_say(&room, &admin, "RPUSH list x\r\n");
    wire_expect(&waiter, "*2\r\n$4\r\nlist\r\n$1\r\nx\r\n$1\r\na\r\n");
    ask(&room, &admin, "LATENCY BLAME blpop echo\r\n");
    expect_without(&admin, "00000\r\n");
    ask(&room, &admin, "SLOWLOG BLAME -1\r\n");
    wire_expect(&admin, "*0\r\n");
    room_done(&room);
}

static void a_reply_that_is_switched_off_is_not_watched(void **state)
{
    struct room room;
    struct wire admin, silent;
    room_init(&room);
    wire_open(&room, &admin);
    wire_open(&room, &silent);
    wire_say(&room, &silent, "CLIENT REPLY OFF\r\nECHO a\r\n");
    room_wait(&room, 500);
    wire_say(&room, &silent, "CLIENT REPLY ON\r\n");
    wire_expect(&silent, "+OK\r\n");
    ask(&room, &admin, "LATENCY BLAME echo\r\n");
    expect_without(&admin, "00000\r\n");
    room_done(&room);
}

static void a_connection_that_ends_is_not_waited_for(void **state)
{
    struct room room;
    struct wire admin, waiter;
    room_init(&room);
    wire_open(&room, &admin);
    wire_open(&room, &waiter);
    waiter.send_max = 0;
    wire_say(&room, &admin, "CLIENT PAUSE 100\r\n");
    wire_say(&room, &waiter, "ECHO a\r\n");
    room_wait(&room, 100);
    ask(&room, &admin, "CLIENT KILL TYPE normal\r\n");
    assert_true(waiter.closed);
    ask(&room, &admin, "SLOWLOG BLAME\r\n");
    expect_within(&admin, "queue-usec\r\n:100000\r\n");
    expect_within(&admin, "reply-usec\r\n$-1\r\n");
    room_done(&room);
}

static void nothing_is_measured_without_tracking(void **state)
{
    struct room room;
    struct wire admin, waiter;
    room_init(&room);
    wire_open(&room, &admin);
    wire_open(&room, &waiter);
    wire_say(&room, &waiter, "ECHO a\r\n");
    ask(&room, &admin, "CONFIG SET latency-tracking no\r\n");
    ask(&room, &admin, "LATENCY BLAME\r\n");
    wire_expect(&admin, "*0\r\n");
    wire_say(&room, &admin, "CLIENT PAUSE 200\r\n");
    wire_say(&room, &waiter, "ECHO a\r\n");
    room_wait(&room, 200);
    ask(&room, &admin, "SLOWLOG BLAME\r\n");
    wire_expect(&admin, "*0\r\n");
    ask(&room, &admin, "CONFIG SET latency-tracking yes\r\n");
    wire_say(&room, &waiter, "ECHO a\r\n");
    ask(&room, &admin, "LATENCY BLAME echo\r\n");
    expect_within(&admin, "$5\r\ncalls\r\n:1\r\n");
    room_done(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pause_is_queue_time_and_is_named),
        cmocka_unit_test(a_reply_ends_with_the_byte_that_goes_last),
        cmocka_unit_test(more_replies_than_are_watched),
        cmocka_unit_test(waiting_for_a_key_is_no_part),
        cmocka_unit_test(a_reply_that_is_switched_off_is_not_watched),
        cmocka_unit_test(a_connection_that_ends_is_not_waited_for),
        cmocka_unit_test(nothing_is_measured_without_tracking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
