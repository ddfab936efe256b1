/* Proves: while the disk has not what the log has, whatever a client is sent waits for it, in order, reads of others included; one sync
 * lets go what it covers and no more; a client on its way between two threads gets it when it has arrived, one that goes away never;
 * and when the log cannot be written, those who wait are closed without an answer. */
#include "../../support/command_fixture.h"
#include "exec/durable.h"

struct stage {
    struct fixture *fixture;
    unsigned closed;
};

static struct stage stage;

static void run_done(struct port *port, struct run *run)
{
    mem_free(run);
}

static void close_client(struct port *port, struct conn *conn, enum close_how how)
{
    assert_int_equal(how, CLOSE_NOW);
    stage.closed++;
}

static struct exec *begin(void)
{
    struct fixture *fixture = fixture_new();
    stage = (struct stage){.fixture = fixture};
    fixture->port.run_done = run_done;
    fixture->port.close = close_client;
    propagate_set_need(fixture->exec, PROPAGATE_FILE, true);
    fixture->exec->durable.synced = propagate_offset(fixture->exec);
    durable_set_on(fixture->exec, true);
    buf_clear(&fixture->listener.received);
    return fixture->exec;
}

static void finish(void)
{
    durable_set_on(stage.fixture->exec, false);
    propagate_set_need(stage.fixture->exec, PROPAGATE_FILE, false);
    fixture_free(stage.fixture);
}

/* Up to three words; they stay where they are until the run is given back. */
static void ask(struct conn *conn, const char *name, const char *first, const char *second)
{
    const char *words[] = {name, first, second};
    struct run *run = mem_calloc(1, sizeof *run);
    uint32_t argc = 0;
    run->conn = conn;
    run->client = conn->client;
    for (; argc < 3 && words[argc]; argc++)
        run->arguments[argc] = slice_from_string(words[argc]);
    run->requests[0] =
        (struct request){.command = command_lookup(run->arguments[0]), .argv = run->arguments, .argc = argc};
    run->count = 1;
    exec_run_batch(stage.fixture->exec, &run, 1);
    exec_flush_output(stage.fixture->exec);
}

static void expect(struct conn *conn, const char *received)
{
    assert_string_equal(buf_string(&conn->received), received);
    buf_clear(&conn->received);
}

static void answers_wait_for_the_disk_and_keep_their_order(void **state)
{
    struct exec *exec = begin();
    struct conn *user = &stage.fixture->user;
    ask(user, "get", "a", NULL);
    expect(user, "$-1\r\n"); /* there is nothing that it could show too early */
    ask(user, "set", "a", "1");
    uint64_t first = propagate_offset(exec);
    ask(user, "ping", NULL, NULL);
    ask(user, "set", "a", "2");
    uint64_t second = propagate_offset(exec);
    expect(user, "");
    assert_int_equal(exec->durable.held_count, 3 + 2); /* the listener's events wait as well */
    durable_synced(exec, first - 1);
    expect(user, "");
    durable_synced(exec, first);
    expect(user, "+OK\r\n+PONG\r\n");
    durable_synced(exec, second);
    expect(user, "+OK\r\n");
    assert_int_equal(exec->durable.held_count, 0);
    assert_int_equal(exec->durable.held_bytes, 0);
    finish();
}

static void reads_of_others_wait_too(void **state)
{
    struct exec *exec = begin();
    struct conn *user = &stage.fixture->user, *other = &stage.fixture->listener;
    ask(user, "set", "a", "1");
    ask(other, "ping", "hello", NULL);
    expect(other, "");
    durable_synced(exec, propagate_offset(exec));
    assert_non_null(strstr(buf_string(&other->received), "hello"));
    expect(user, "+OK\r\n");
    finish();
}

static void switching_it_off_lets_everything_go(void **state)
{
    struct exec *exec = begin();
    struct conn *user = &stage.fixture->user;
    ask(user, "set", "a", "1");
    expect(user, "");
    durable_set_on(exec, false);
    expect(user, "+OK\r\n");
    ask(user, "set", "a", "2");
    expect(user, "+OK\r\n");
    finish();
}

static void a_client_that_moves_gets_it_where_it_arrives(void **state)
{
    struct exec *exec = begin();
    struct conn *user = &stage.fixture->user;
    ask(user, "set", "a", "1");
    exec_client_departs(exec, user->client);
    durable_synced(exec, propagate_offset(exec));
    expect(user, "");
    exec_client_arrived(exec, user->client, &stage.fixture->port);
    expect(user, "+OK\r\n");
    finish();
}

static void a_client_that_goes_away_gets_nothing(void **state)
{
    struct exec *exec = begin();
    struct conn *user = &stage.fixture->user;
    ask(user, "set", "a", "1");
    exec_client_closed(exec, user->client);
    assert_null(user->client);
    expect(user, "");
    durable_synced(exec, propagate_offset(exec));
    assert_int_equal(exec->durable.held_count, 0);
    fixture_connect(stage.fixture, user, 3);
    finish();
}

static void who_waits_when_the_log_fails_is_closed_without_an_answer(void **state)
{
    struct exec *exec = begin();
    struct conn *user = &stage.fixture->user;
    ask(user, "set", "a", "1");
    assert_int_equal(durable_fail(exec), 2); /* the listener's event would show it, too */
    assert_int_equal(exec->durable.held_count, 0);
    expect(user, "");
    exec_flush_output(exec);
    assert_int_equal(stage.closed, 2);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_wait_for_the_disk_and_keep_their_order),
        cmocka_unit_test(reads_of_others_wait_too),
        cmocka_unit_test(switching_it_off_lets_everything_go),
        cmocka_unit_test(a_client_that_moves_gets_it_where_it_arrives),
        cmocka_unit_test(a_client_that_goes_away_gets_nothing),
        cmocka_unit_test(who_waits_when_the_log_fails_is_closed_without_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
