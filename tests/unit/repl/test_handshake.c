/* The replica's side of the handshake: what it asks, in which order, and what it makes of each answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "repl/handshake.h"

#define ID    "0123456789abcdef0123456789abcdef01234567"
#define OTHER "fedcba9876543210fedcba9876543210fedcba98"

static const struct handshake_options plain = {
    .user = "", .password = "", .announced_ip = "", .version = "7.2.4", .port = 7001};

static struct handshake handshake;
static struct buf sent;

static void begin(struct handshake_options options)
{
    buf_clear(&sent);
    handshake_begin(&handshake, &options, &sent);
}

/* What the primary's line leads to; what is sent then is in `sent`. */
static enum handshake_outcome hear(const char *line)
{
    buf_clear(&sent);
    return handshake_line(&handshake, slice_from_string(line), &sent);
}

static void assert_goes_on(const char *line, const char *request)
{
    assert_int_equal(hear(line), HANDSHAKE_GOES_ON);
    assert_string_equal(buf_string(&sent), request);
}

static void skip_to_psync(void)
{
    while (handshake.question != HANDSHAKE_PSYNC)
        assert_int_equal(hear(handshake.question == HANDSHAKE_PING ? "+PONG" : "+OK"), HANDSHAKE_GOES_ON);
}

static void a_new_replica_asks_for_everything(void **state)
{
    begin(plain);
    assert_string_equal(buf_string(&sent), "*1\r\n$4\r\nPING\r\n");
    assert_goes_on("+PONG", "*3\r\n$8\r\nREPLCONF\r\n$14\r\nlistening-port\r\n$4\r\n7001\r\n");
    assert_goes_on("+OK",
                   "*5\r\n$8\r\nREPLCONF\r\n$4\r\ncapa\r\n$3\r\neof\r\n$4\r\ncapa\r\n$6\r\npsync2\r\n");
    assert_goes_on("+OK", "*3\r\n$8\r\nREPLCONF\r\n$7\r\nversion\r\n$5\r\n7.2.4\r\n");
    assert_goes_on("-ERR Unrecognized REPLCONF option: version",
                   "*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n");
    assert_int_equal(hear("+FULLRESYNC " ID " 1234"), HANDSHAKE_FULL);
    assert_string_equal(handshake.id, ID);
    assert_int_equal(handshake.offset, 1234);
}

static struct handshake_options with_part(void)
{
    struct handshake_options options = plain;
    options.can_resume = true;
    options.snapshot = OTHER;
    options.bytes = 77;
    return options;
}

static void a_snapshot_that_broke_off_is_told_of(void **state)
{
    begin(with_part());
    hear("+PONG");
    assert_goes_on("+OK", "*7\r\n$8\r\nREPLCONF\r\n$4\r\ncapa\r\n$3\r\neof\r\n$4\r\ncapa\r\n$6\r\npsync2\r\n"
                          "$4\r\ncapa\r\n$11\r\nskua-resume\r\n");
    hear("+OK");
    assert_goes_on("+OK", "*5\r\n$8\r\nREPLCONF\r\n$13\r\nskua-snapshot\r\n$40\r\n" OTHER
                          "\r\n$10\r\nskua-bytes\r\n$2\r\n77\r\n");
    assert_goes_on("-ERR Unrecognized REPLCONF option: skua-snapshot",
                   "*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n");
    assert_int_equal(hear("+FULLRESYNC " ID " 1234 " OTHER " 77"), HANDSHAKE_FULL);
    assert_int_equal(handshake.offset, 1234);
    assert_string_equal(handshake.snapshot, OTHER);
    assert_int_equal(handshake.bytes, 77);
}

static void a_new_snapshot_takes_the_place_of_the_part(void **state)
{
    begin(with_part());
    skip_to_psync();
    assert_int_equal(hear("+FULLRESYNC " ID " 1234 " ID), HANDSHAKE_FULL);
    assert_string_equal(handshake.snapshot, ID);
    assert_int_equal(handshake.bytes, 0);
    begin(with_part());
    skip_to_psync();
    assert_int_equal(hear("+FULLRESYNC " ID " 1234"), HANDSHAKE_FULL);
    assert_string_equal(handshake.snapshot, "");
}

static void nobody_goes_on_with_what_was_not_asked_for(void **state)
{
    static const char *const lies[] = {
        "+FULLRESYNC " ID " 1234 " ID " 77",    "+FULLRESYNC " ID " 1234 " OTHER " 78",
        "+FULLRESYNC " ID " 1234 " OTHER " ",   "+FULLRESYNC " ID " 1234 short",
        "+FULLRESYNC " ID " 1234 " OTHER " -1",
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        begin(with_part());
        skip_to_psync();
        assert_int_equal(hear(lies[i]), i == 2 ? HANDSHAKE_FULL : HANDSHAKE_FAILED);
        begin(plain);
        skip_to_psync();
        assert_int_equal(hear(lies[i]), i == 2 ? HANDSHAKE_FULL : HANDSHAKE_FAILED);
    }
}

static void a_password_is_sent_with_its_user(void **state)
{
    struct handshake_options options = plain;
    options.password = "secret";
    begin(options);
    assert_goes_on("-NOAUTH Authentication required.", "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n");
    options.user = "bob";
    begin(options);
    assert_goes_on("+PONG", "*3\r\n$4\r\nAUTH\r\n$3\r\nbob\r\n$6\r\nsecret\r\n");
    assert_int_equal(hear("-WRONGPASS invalid username-password pair or user is disabled."),
                     HANDSHAKE_FAILED);
    assert_non_null(strstr(handshake.reason, "WRONGPASS"));
}

static void an_announced_address_is_told(void **state)
{
    struct handshake_options options = plain;
    options.announced_ip = "10.0.0.8";
    begin(options);
    hear("+PONG");
    assert_goes_on("+OK", "*3\r\n$8\r\nREPLCONF\r\n$10\r\nip-address\r\n$8\r\n10.0.0.8\r\n");
}

static void what_is_known_is_to_be_continued_with_the_next_byte(void **state)
{
    struct handshake_options options = plain;
    options.id = ID;
    options.offset = 99;
    begin(options);
    hear("+PONG"), hear("+OK"), hear("+OK");
    assert_goes_on("+OK", "*3\r\n$5\r\nPSYNC\r\n$40\r\n" ID "\r\n$3\r\n100\r\n");
    assert_int_equal(hear("+CONTINUE"), HANDSHAKE_CONTINUE);
    assert_string_equal(handshake.id, ID);
    assert_int_equal(handshake.offset, 99);
}

static void the_history_may_have_got_another_name(void **state)
{
    struct handshake_options options = plain;
    options.id = ID;
    begin(options);
    skip_to_psync();
    assert_int_equal(hear("+CONTINUE " OTHER), HANDSHAKE_CONTINUE);
    assert_string_equal(handshake.id, OTHER);
}

static void a_failover_is_asked_for_in_psync(void **state)
{
    struct handshake_options options = plain;
    options.id = ID;
    options.failover = true;
    begin(options);
    hear("+PONG"), hear("+OK"), hear("+OK");
    assert_goes_on("+OK", "*4\r\n$5\r\nPSYNC\r\n$40\r\n" ID "\r\n$1\r\n1\r\n$8\r\nFAILOVER\r\n");
}

static void empty_lines_are_signs_of_life(void **state)
{
    begin(plain);
    assert_goes_on("", "");
    skip_to_psync();
    assert_goes_on("", "");
    assert_goes_on("", "");
    assert_int_equal(hear("+FULLRESYNC " ID " 0"), HANDSHAKE_FULL);
}

static void a_busy_primary_is_asked_again_later(void **state)
{
    begin(plain);
    assert_int_equal(hear("-LOADING Redis is loading the dataset in memory"), HANDSHAKE_LATER);
    static const char *const answers[] = {"-NOMASTERLINK Can't SYNC while not connected with my master",
                                          "-LOADING Redis is loading the dataset in memory"};
    for (size_t i = 0; i < 2; i++) {
        begin(plain);
        skip_to_psync();
        assert_int_equal(hear(answers[i]), HANDSHAKE_LATER);
    }
}

static void other_answers_are_failures(void **state)
{
    static const char *const answers[] = {
        "-ERR unknown command",
        "+OK",
        "$3",
        "+FULLRESYNC",
        "+FULLRESYNC ",
        "+FULLRESYNC " ID,
        "+FULLRESYNC " ID " ",
        "+FULLRESYNC " ID " x",
        "+FULLRESYNC " ID " -1",
        "+FULLRESYNC " ID " 99999999999999999999",
        "+FULLRESYNC 0123 5",
        "+FULLRESYNC " ID "5 5",
        "+CONTINUE", /* of what was not asked for */
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        begin(plain);
        skip_to_psync();
        assert_int_equal(hear(answers[i]), HANDSHAKE_FAILED);
        assert_int_equal(handshake.question, HANDSHAKE_DECIDED);
    }
    begin(plain);
    assert_int_equal(hear("-ERR max number of clients reached"), HANDSHAKE_FAILED);
}

static void a_malformed_continue_is_a_failure(void **state)
{
    struct handshake_options options = plain;
    options.id = ID;
    static const char *const answers[] = {"+CONTINUE 0123", "+CONTINUE " ID "0", "+CONTINUED",
                                          ("+CONTINUE \r" OTHER)};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        begin(options);
        skip_to_psync();
        assert_int_equal(hear(answers[i]), HANDSHAKE_FAILED);
    }
}

static void a_reason_spoils_no_log(void **state)
{
    begin(plain);
    assert_int_equal(hear("-ERR \x1b[2J\x01"), HANDSHAKE_FAILED);
    for (const char *c = handshake.reason; *c; c++)
        assert_in_range(*c, ' ', '~');
}

static int done(void **state)
{
    buf_done(&sent);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_replica_asks_for_everything),
        cmocka_unit_test(a_snapshot_that_broke_off_is_told_of),
        cmocka_unit_test(a_new_snapshot_takes_the_place_of_the_part),
        cmocka_unit_test(nobody_goes_on_with_what_was_not_asked_for),
        cmocka_unit_test(a_password_is_sent_with_its_user),
        cmocka_unit_test(an_announced_address_is_told),
        cmocka_unit_test(what_is_known_is_to_be_continued_with_the_next_byte),
        cmocka_unit_test(the_history_may_have_got_another_name),
        cmocka_unit_test(a_failover_is_asked_for_in_psync),
        cmocka_unit_test(empty_lines_are_signs_of_life),
        cmocka_unit_test(a_busy_primary_is_asked_again_later),
        cmocka_unit_test(other_answers_are_failures),
        cmocka_unit_test(a_malformed_continue_is_a_failure),
        cmocka_unit_test(a_reason_spoils_no_log),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
