/* What happens to a request before it is executed: which of several errors wins, what is queued, what makes EXEC
 * fail. */
#include "../../support/wire.h"

struct exchange {
    const char *said;
    const char *heard;
};

static void play(struct room *room, struct wire *wire, const struct exchange *exchanges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        wire_say(room, wire, exchanges[i].said);
        if (strcmp(buf_string(&wire->heard), exchanges[i].heard) != 0)
            print_error("said: %s\n", exchanges[i].said);
        wire_expect(wire, exchanges[i].heard);
    }
}

#define PLAY(room, wire, exchanges) play(room, wire, exchanges, ARRAY_COUNT(exchanges))

static void unknown_and_malformed_come_before_authentication(void **state)
{
    static const struct exchange exchanges[] = {
        {"NOSUCH\r\n", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n"},
        {"CLIENT NOSUCH\r\n", "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.\r\n"},
        {"GET\r\n", "-ERR wrong number of arguments for 'get' command\r\n"},
        {"GET k\r\n", "-NOAUTH Authentication required.\r\n"},
        {"MULTI\r\n", "-NOAUTH Authentication required.\r\n"},
        {"AUTH wrong\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
        {"AUTH secret\r\nGET k\r\n", "+OK\r\n$-1\r\n"},
    };
    struct room room;
    struct wire admin, wire;
    room_init(&room);
    wire_open(&room, &admin);
    wire_say(&room, &admin, "CONFIG SET requirepass secret\r\n");
    wire_expect(&admin, "+OK\r\n");
    wire_open(&room, &wire);
    PLAY(&room, &wire, exchanges);
    room_done(&room);
}

static void a_refusal_spoils_the_transaction(void **state)
{
    static const struct exchange exchanges[] = {
        {"MULTI\r\nGET\r\nSET k 1\r\nEXEC\r\n",
         "+OK\r\n-ERR wrong number of arguments for 'get' command\r\n+QUEUED\r\n"
         "-EXECABORT Transaction discarded because of previous errors.\r\n"},
        {"MULTI\r\nNOSUCH\r\nDISCARD\r\nGET k\r\n",
         "+OK\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n+OK\r\n$-1\r\n"},
        {"MULTI\r\nSET k 1\r\nEXEC now\r\nGET k\r\n", "+OK\r\n+QUEUED\r\n"
                                                      "-EXECABORT Transaction discarded because of: wrong "
                                                      "number of arguments for 'exec' command\r\n$-1\r\n"},
        {"MULTI\r\nMULTI\r\nSET k 1\r\nEXEC\r\n",
         "+OK\r\n-ERR MULTI calls can not be nested\r\n+QUEUED\r\n*1\r\n+OK\r\n"},
        {"MULTI\r\nWATCH k\r\nINCR k\r\nEXEC\r\n",
         "+OK\r\n-ERR WATCH inside MULTI is not allowed\r\n+QUEUED\r\n*1\r\n:2\r\n"},
        {"SET s text\r\nMULTI\r\nINCR s\r\nINCR k\r\nEXEC\r\n",
         "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n-ERR value is not an integer or out of range\r\n:3\r\n"},
    };
    struct room room;
    struct wire wire;
    room_init(&room);
    wire_open(&room, &wire);
    PLAY(&room, &wire, exchanges);
    room_done(&room);
}

static void memory_is_refused_to_those_who_need_it_only(void **state)
{
    static const struct exchange exchanges[] = {
        {"SET k 1\r\n", "+OK\r\n"},
        {"CONFIG SET maxmemory 1\r\n", "+OK\r\n"},
        {"SET k 2\r\n", "-OOM command not allowed when used memory > 'maxmemory'.\r\n"},
        {"GET k\r\n", "$1\r\n1\r\n"},
        {"MULTI\r\nDEL k\r\nSET k 2\r\nEXEC\r\n",
         "+OK\r\n+QUEUED\r\n-OOM command not allowed when used memory > 'maxmemory'.\r\n"
         "-EXECABORT Transaction discarded because of previous errors.\r\n"},
        {"DEL k\r\n", ":1\r\n"},
    };
    struct room room;
    struct wire wire;
    room_init(&room);
    wire_open(&room, &wire);
    PLAY(&room, &wire, exchanges);
    room_done(&room);
}

/* Each row: what another client does between WATCH and EXEC, and whether the transaction fails. */
static void watched_keys_fail_exec_when_they_change(void **state)
{
    static const struct {
        const char *before;
        const char *meanwhile;
        uint64_t wait_ms;
        bool fails;
    } cases[] = {
        {"SET w 1\r\n", "GET w\r\n", 0, false},
        {"SET w 1\r\n", "SET other 1\r\n", 0, false},
        {"SET w 1\r\n", "SET w 1\r\n", 0, true},
        {"SET w 1\r\n", "DEL w\r\n", 0, true},
        {"DEL w\r\n", "DEL w\r\n", 0, false},
        {"DEL w\r\n", "SET w 1\r\n", 0, true},
        {"SET w 1\r\n", "SELECT 1\r\nSET w 1\r\nSELECT 0\r\n", 0, false},
        {"SET w 1\r\n", "FLUSHALL\r\n", 0, true},
        {"DEL w\r\n", "FLUSHALL\r\n", 0, false},
        {"SET w 1\r\n", "SWAPDB 0 1\r\n", 0, true},
        {"SET w 1 PX 100\r\n", "PING\r\n", 50, false},
        {"SET w 1 PX 100\r\n", "PING\r\n", 150, true},
        {"SET w 1 PX 100\r\n", "GET w\r\n", 150, true},
        {"SET w 1\r\n", "EXPIRE w 1000\r\n", 0, true},
    };
    struct room room;
    struct wire watcher, other;
    room_init(&room);
    wire_open(&room, &watcher);
    wire_open(&room, &other);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        wire_say(&room, &other, "FLUSHALL\r\n");
        wire_say(&room, &other, cases[i].before);
        wire_say(&room, &watcher, "WATCH w x\r\nWATCH w\r\n");
        wire_say(&room, &other, cases[i].meanwhile);
        room_wait(&room, cases[i].wait_ms);
        buf_clear(&watcher.heard);
        wire_say(&room, &watcher, "MULTI\r\nPING\r\nEXEC\r\n");
        if (cases[i].fails != (strstr(buf_string(&watcher.heard), "*-1") != NULL))
            print_error("case %zu: %s", i, cases[i].meanwhile);
        wire_expect(&watcher,
                    cases[i].fails ? "+OK\r\n+QUEUED\r\n*-1\r\n" : "+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n");
    }
    room_done(&room);
}

static void every_way_out_of_a_transaction_forgets_the_watched_keys(void **state)
{
    static const char *const ways[] = {"MULTI\r\nEXEC\r\n", "MULTI\r\nDISCARD\r\n", "UNWATCH\r\n",
                                       "RESET\r\n", "MULTI\r\nRESET\r\n"};
    struct room room;
    struct wire wire, other;
    room_init(&room);
    wire_open(&room, &wire);
    wire_open(&room, &other);
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        wire_say(&room, &wire, "WATCH w\r\n");
        wire_say(&room, &wire, ways[i]);
        wire_say(&room, &other, "INCR w\r\n");
        buf_clear(&wire.heard);
        wire_say(&room, &wire, "MULTI\r\nPING\r\nEXEC\r\n");
        wire_expect(&wire, "+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n");
    }
    room_done(&room);
}

/* Replies that are not wanted are dropped, and nothing else: messages go through. */
static void reply_modes_drop_replies_only(void **state)
{
    static const struct exchange exchanges[] = {
        {"CLIENT REPLY SKIP\r\nSET k 1\r\nGET k\r\n", "$1\r\n1\r\n"},
        {"CLIENT REPLY SKIP\r\nNOSUCH\r\nGET k\r\n", "$1\r\n1\r\n"},
        {"CLIENT REPLY OFF\r\nGET k\r\nNOSUCH\r\nSET k 2\r\n", ""},
        {"CLIENT REPLY ON\r\nGET k\r\n", "+OK\r\n$1\r\n2\r\n"},
        {"HELLO 3\r\nSUBSCRIBE c\r\nCLIENT REPLY OFF\r\nPUBLISH c m\r\n", NULL},
    };
    struct room room;
    struct wire wire;
    room_init(&room);
    wire_open(&room, &wire);
    play(&room, &wire, exchanges, ARRAY_COUNT(exchanges) - 1);
    wire_say(&room, &wire, exchanges[ARRAY_COUNT(exchanges) - 1].said);
    const char *tail = ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n";
    assert_true(wire.heard.size > strlen(tail));
    assert_string_equal(buf_string(&wire.heard) + wire.heard.size - strlen(tail), tail);
    room_done(&room);
}

/* ---- Time (dispatch.h, Z1 to Z4) -------------------------------------------------------------------- */

static uint64_t readings;

static uint64_t read_clock(void *context)
{
    readings++;
    return room_monotonic_ns(context);
}

static void expect_counted(struct room *room, struct wire *wire, const char *line)
{
    buf_clear(&wire->heard);
    wire_say(room, wire, "INFO commandstats\r\n");
    if (strstr(buf_string(&wire->heard), line) == NULL)
        print_error("%s is not in: %s\n", line, buf_string(&wire->heard));
    assert_non_null(strstr(buf_string(&wire->heard), line));
    buf_clear(&wire->heard);
}

/* In stretches or not, interrupted by other commands, by refusals, errors and a client that waits. */
static void every_command_is_counted(void **state)
{
    struct room room;
    struct wire wire, waiting;
    room_init(&room);
    wire_open(&room, &wire);
    wire_open(&room, &waiting);
    wire_say(&room, &wire,
             "INCR n\r\nINCR n\r\nINCR n\r\nGET n\r\nGET n\r\nINCR n\r\nPING\r\nINCR n\r\nINCR n\r\n");
    expect_counted(&room, &wire, "cmdstat_incr:calls=6,");
    expect_counted(&room, &wire, "cmdstat_get:calls=2,");
    wire_say(&room, &wire, "LPUSH n a\r\nLPUSH n b\r\nLPUSH n\r\nLPUSH n c\r\nLPUSH n d\r\n");
    expect_counted(&room, &wire, "cmdstat_lpush:calls=4,");
    expect_counted(&room, &wire, "rejected_calls=1,failed_calls=4");
    wire_say(&room, &waiting, "BLPOP l 0\r\nLLEN l\r\nLLEN l\r\nLLEN l\r\n");
    wire_say(&room, &wire, "RPUSH l a b\r\nRPUSH l c\r\nRPUSH l d\r\n");
    expect_counted(&room, &wire, "cmdstat_rpush:calls=3,");
    expect_counted(&room, &wire, "cmdstat_llen:calls=3,");
    expect_counted(&room, &wire, "cmdstat_blpop:calls=1,");
    room_done(&room);
}

static uint64_t readings_of(struct room *room, struct wire *wire, const char *requests)
{
    uint64_t before = readings;
    wire_say(room, wire, requests);
    buf_clear(&wire->heard);
    return readings - before;
}

#define FOUR(request) request "\r\n" request "\r\n" request "\r\n" request "\r\n"

static void the_clock_is_not_read_for_each_short_command(void **state)
{
    struct room room;
    struct wire wire;
    room_init(&room);
    wire_open(&room, &wire);
    room.clock.monotonic_ns = read_clock;
    uint64_t alike = readings_of(&room, &wire, FOUR("INCR n") FOUR("INCR n") FOUR("INCR n"));
    uint64_t others =
        readings_of(&room, &wire, FOUR("INCR n\r\nGET n") "INCR n\r\nGET n\r\nINCR n\r\nGET n\r\n");
    assert_true(alike + 9 <= others); /* the followed one, and the last */
    /* Where every command is told of, each is timed. */
    wire_say(&room, &wire, "CONFIG SET slowlog-log-slower-than 0\r\nSLOWLOG RESET\r\n");
    assert_int_equal(readings_of(&room, &wire, FOUR("INCR n") FOUR("INCR n") FOUR("INCR n")), others);
    wire_say(&room, &wire, "SLOWLOG LEN\r\n");
    wire_expect(&wire, ":13\r\n"); /* SLOWLOG RESET, too */
    room_done(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_and_malformed_come_before_authentication),
        cmocka_unit_test(a_refusal_spoils_the_transaction),
        cmocka_unit_test(memory_is_refused_to_those_who_need_it_only),
        cmocka_unit_test(watched_keys_fail_exec_when_they_change),
        cmocka_unit_test(every_way_out_of_a_transaction_forgets_the_watched_keys),
        cmocka_unit_test(reply_modes_drop_replies_only),
        cmocka_unit_test(every_command_is_counted),
        cmocka_unit_test(the_clock_is_not_read_for_each_short_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
