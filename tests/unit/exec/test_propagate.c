/* Proves: what is a unit stands together in the log and nothing else does; files are spared messages; deletions stand before what they
 * make room for; and a long command is written whole when its effect becomes visible, or not at all. */
#include <stdio.h>

#include "../../support/command_fixture.h"
#include "exec/propagate.h"

/* A log with a reader of each kind. */
struct reading {
    struct fixture *fixture;
    struct changelog_cursor link, file;
    struct buf text;
};

static void reading_begin(struct reading *reading, struct fixture *fixture)
{
    struct exec *exec = fixture->exec;
    *reading = (struct reading){.fixture = fixture};
    propagate_set_need(exec, PROPAGATE_BACKLOG, true);
    propagate_set_need(exec, PROPAGATE_FILE, true);
    struct changelog *log = exec->propagate.log;
    assert_true(changelog_open(log, CHANGELOG_LINK, changelog_end(log), &reading->link));
    assert_true(changelog_open(log, CHANGELOG_FILE, changelog_end(log), &reading->file));
}

static void reading_end(struct reading *reading)
{
    changelog_close(&reading->link);
    changelog_close(&reading->file);
    buf_done(&reading->text);
    fixture_free(reading->fixture);
}

/* "*2 $4 INCR $1 a" as "INCR a; ". */
static void append_requests(struct buf *text, struct slice bytes)
{
    if (bytes.size == 0)
        return;
    const char *at = bytes.data, *end = at + bytes.size;
    while (at < end) {
        assert_int_equal(*at, '*');
        for (long words = strtol(at + 1, (char **)&at, 10); words > 0; words--) {
            long size = strtol(at + 3, (char **)&at, 10); /* behind "\r\n$" */
            buf_append(text, at + 2, (size_t)size);
            buf_append_string(text, words > 1 ? " " : "; ");
            at += 2 + size;
        }
        at += 2;
    }
}

/* What the reader has not read yet. */
static const char *read_on(struct reading *reading, struct changelog_cursor *cursor)
{
    struct buf bytes = {0};
    struct changelog_piece piece;
    uint64_t end;
    while (changelog_gather(cursor, &piece, 1, UINT64_MAX, &end) > 0) {
        buf_append_slice(&bytes, piece.bytes);
        changelog_advance(cursor, end);
    }
    changelog_advance(cursor, end);
    buf_clear(&reading->text);
    append_requests(&reading->text, buf_slice(&bytes));
    buf_done(&bytes);
    return buf_string(&reading->text);
}

static void expect_stream(struct reading *reading, const char *for_links, const char *for_files)
{
    assert_string_equal(read_on(reading, &reading->link), for_links);
    assert_string_equal(read_on(reading, &reading->file), for_files);
}

static void do_send(struct reading *reading, const char *command)
{
    fixture_send(reading->fixture, &reading->fixture->user, command);
}

static void expect(struct reading *reading, const char *command, const char *stream)
{
    do_send(reading, command);
    expect_stream(reading, stream, stream);
}

/* ---- Units ---------------------------------------------------------------------------------------- */

static void a_unit_stands_together(void **state)
{
    struct reading reading;
    reading_begin(&reading, fixture_new());
    expect(&reading, "set a 1", "SELECT 0; set a 1; ");
    expect(&reading, "get a", "");
    expect(&reading, "multi", "");
    expect(&reading, "incr a", "");
    expect(&reading, "get a", "");
    expect(&reading, "exec", "incr a; "); /* one request needs no brackets */
    expect(&reading, "select 2", "");
    expect(&reading, "multi", "");
    expect(&reading, "incr a", "");
    expect(&reading, "select 0", "");
    expect(&reading, "spop none", "");
    expect(&reading, "incr a", "");
    expect(&reading, "exec", "SELECT 2; MULTI; incr a; SELECT 0; incr a; EXEC; ");
    expect(&reading, "incr a", "incr a; ");
    propagate_select_again(reading.fixture->exec);
    expect(&reading, "incr a", "SELECT 0; incr a; ");
    reading_end(&reading);
}

static void messages_are_for_links(void **state)
{
    struct reading reading;
    reading_begin(&reading, fixture_new());
    do_send(&reading, "publish c m");
    expect_stream(&reading, "SELECT 0; publish c m; ", "SELECT 0; ");
    do_send(&reading, "multi");
    do_send(&reading, "set a 1");
    do_send(&reading, "publish c m");
    do_send(&reading, "set b 1");
    do_send(&reading, "exec");
    expect_stream(&reading, "MULTI; set a 1; publish c m; set b 1; EXEC; ",
                  "MULTI; set a 1; set b 1; EXEC; ");
    do_send(&reading, "multi");
    do_send(&reading, "publish c m");
    do_send(&reading, "spublish c m");
    do_send(&reading, "exec");
    expect_stream(&reading, "MULTI; publish c m; spublish c m; EXEC; ", "");
    reading_end(&reading);
}

static void a_file_alone_gets_no_messages(void **state)
{
    struct reading reading;
    reading_begin(&reading, fixture_new());
    propagate_set_need(reading.fixture->exec, PROPAGATE_BACKLOG, false);
    expect(&reading, "publish c m", "");
    expect(&reading, "set a 1", "SELECT 0; set a 1; ");
    reading_end(&reading);
}

/* ---- Deletions ------------------------------------------------------------------------------------ */

static void what_is_over_is_deleted_first(void **state)
{
    struct reading reading;
    reading_begin(&reading, fixture_new());
    expect(&reading, "set a 1 px 10", "SELECT 0; SET a 1 PXAT 1700000000010; ");
    expect(&reading, "psetex b 10 1", "SET b 1 PXAT 1700000000010; ");
    expect(&reading, "psetex c 10 1", "SET c 1 PXAT 1700000000010; ");
    expect(&reading, "hset h f 1 g 2", "hset h f 1 g 2; ");
    expect(&reading, "hpexpire h 10 fields 2 f none", "HPEXPIREAT h 1700000000010 FIELDS 1 f; ");
    reading.fixture->now_ms += 20;
    expect(&reading, "setnx a 2", "MULTI; DEL a; setnx a 2; EXEC; ");
    expect(&reading, "get b", "DEL b; ");
    expect(&reading, "get b", "");
    for (int i = 0; i < 20; i++) { /* the sweep goes through what is due in its own time */
        reading.fixture->now_ms += 100;
        exec_cron(reading.fixture->exec);
    }
    const char *stream = read_on(&reading, &reading.link); /* each key that expires by itself is a unit */
    assert_true(strcmp(stream, "DEL c; HDEL h f; ") == 0 || strcmp(stream, "HDEL h f; DEL c; ") == 0);
    reading_end(&reading);
}

/* ---- Words ---------------------------------------------------------------------------------------- */

static void words_are_edited(void **state)
{
    struct reading reading;
    reading_begin(&reading, fixture_new());
    expect(&reading, "xadd s maxlen ~ 9 * a b", "SELECT 0; xadd s maxlen = 1 1700000000000-0 a b; ");
    struct buf command = {0}, written = {0};
    buf_append_string(&command, "xadd s *");
    buf_append_string(&written, "xadd s 1700000000000-1");
    for (int i = 0; i < 50; i++) { /* more than there is room for without asking for memory */
        buf_append_string(&command, " f v");
        buf_append_string(&written, " f v");
    }
    buf_append_string(&written, "; ");
    expect(&reading, buf_string(&command), buf_string(&written));
    buf_done(&command);
    buf_done(&written);
    expect(&reading, "set k v", "set k v; ");
    expect(&reading, "set k w get xx", "set k w xx; ");
    expect(&reading, "set k x ifeq w get", "set k x; ");
    expect(&reading, "expire k 10 nx", "PEXPIREAT k 1700000010000 nx; ");
    expect(&reading, "expire k 0", "DEL k; ");
    reading_end(&reading);
}

/* ---- Long commands -------------------------------------------------------------------------------- */

#define MEMBERS 3000
#define POPPED  1000

/* Each look at the clock takes a millisecond: whatever may pause does. */
static uint64_t hasty_ns(void *context)
{
    struct fixture *fixture = context;
    fixture->now_ms++;
    return fixture_monotonic_ns(fixture);
}

static void add_members(struct fixture *fixture)
{
    for (int i = 0; i < MEMBERS; i++) {
        char command[32];
        snprintf(command, sizeof command, "sadd s m%d", i);
        fixture_send(fixture, &fixture->user, command);
    }
    fixture->clock.monotonic_ns = hasty_ns;
}

/* Its first slice; the run is needed until its end. */
static void begin_spop(struct fixture *fixture, struct run *run)
{
    *run = (struct run){.conn = &fixture->user, .client = fixture->user.client, .count = 1};
    run->arguments[0] = SLICE("spop");
    run->arguments[1] = SLICE("s");
    run->arguments[2] = SLICE("1000");
    run->requests[0] =
        (struct request){.command = command_lookup(SLICE("spop")), .argv = run->arguments, .argc = 3};
    exec_run_batch(fixture->exec, &run, 1);
    assert_true(fixture->user.client->flags & CLIENT_SLICED);
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned count = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        count++;
    return count;
}

/* The log comes to be needed while it runs: what it had done before must be in it as well. */
static void a_long_command_is_written_whole(void **state)
{
    struct reading reading;
    struct fixture *fixture = fixture_new();
    struct run *run = mem_calloc(1, sizeof *run);
    add_members(fixture);
    begin_spop(fixture, run);
    exec_cron(fixture->exec);
    reading_begin(&reading, fixture);
    int slices = 0;
    while (fixture->user.client->flags & CLIENT_SLICED) {
        expect_stream(&reading, "", "");
        exec_cron(fixture->exec);
        slices++;
    }
    assert_true(slices > 1);
    const char *stream = read_on(&reading, &reading.link);
    assert_int_equal(count_of(stream, "SREM s m"), POPPED);
    assert_int_equal(strncmp(stream, "SELECT 0; MULTI; SREM s m", strlen("SELECT 0; MULTI; SREM s m")), 0);
    assert_int_equal(count_of(stream, "; EXEC; "), 1);
    assert_int_equal(fixture->user.client->written_end, changelog_end(fixture->exec->propagate.log));
    fixture->clock.monotonic_ns = fixture_monotonic_ns;
    reading_end(&reading);
    mem_free(run);
}

static void a_long_command_whose_client_goes_is_not_written(void **state)
{
    struct reading reading;
    struct fixture *fixture = fixture_new();
    struct run *run = mem_calloc(1, sizeof *run);
    add_members(fixture);
    reading_begin(&reading, fixture);
    begin_spop(fixture, run);
    exec_cron(fixture->exec);
    assert_true(fixture->user.client->flags & CLIENT_SLICED);
    exec_client_closed(fixture->exec, fixture->user.client);
    fixture->clock.monotonic_ns = fixture_monotonic_ns;
    fixture_connect(fixture, &fixture->user, 3);
    expect_stream(&reading, "", "");
    fixture_expect(fixture, "scard s", ":3000\r\n");
    reading_end(&reading);
    mem_free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unit_stands_together),
        cmocka_unit_test(messages_are_for_links),
        cmocka_unit_test(a_file_alone_gets_no_messages),
        cmocka_unit_test(what_is_over_is_deleted_first),
        cmocka_unit_test(words_are_edited),
        cmocka_unit_test(a_long_command_is_written_whole),
        cmocka_unit_test(a_long_command_whose_client_goes_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
