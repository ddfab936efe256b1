/* The primary's decisions: who may go on where it stopped, how much is handed over, and what becomes of one who goes at a bad time. */
#include "../../support/command_fixture.h"

#include <stdio.h>

#include "exec/post.h"
#include "repl/primary.h"

#define MEGABYTE ((uint64_t)1 << 20)

static unsigned closed; /* connections that the executor wanted closed */

static void note_close(struct port *port, struct conn *conn, enum close_how how)
{
    closed++;
}

static void client_gone(void *context, struct client *client)
{
    repl_client_gone(client->exec->repl, client);
}

static struct fixture *setup(void)
{
    struct fixture *fixture = fixture_new();
    closed = 0;
    fixture->port.close = note_close;
    fixture->exec->hooks.client_gone = client_gone;
    return fixture;
}

static struct primary *primary_of(const struct fixture *fixture)
{
    return fixture->exec->repl->primary;
}

/* Bytes into the log that are nobody's command. */
static void grow(struct fixture *fixture, uint64_t size)
{
    char *bytes = mem_calloc(1, size);
    changelog_append(fixture->exec->propagate.log, slice_make(bytes, size));
    mem_free(bytes);
}

/* The client, as one that has everything up to `position`, follows. */
static struct follower *follow(struct fixture *fixture, struct conn *conn, uint64_t position)
{
    char command[128];
    fixture_send(fixture, conn, "REPLCONF capa eof capa psync2");
    primary_keep_history(primary_of(fixture));
    snprintf(command, sizeof command, "PSYNC %s %llu", fixture->exec->repl->id,
             (unsigned long long)position + 1);
    buf_clear(&conn->received);
    fixture_send(fixture, conn, command);
    return conn->client->follower;
}

/* All that was handed over has been sent: what the I/O thread would say. */
static void drain(struct fixture *fixture, struct conn *conn)
{
    atomic_store(&conn->shared.output_bytes, 0);
    struct exec_post *post = atomic_exchange(&conn->shared.drained, NULL);
    if (post)
        exec_post(fixture->exec, post);
    exec_cron(fixture->exec);
}

static void only_a_history_that_is_there_is_gone_on_with(void **state)
{
    struct fixture *fixture = setup();
    struct repl *repl = fixture->exec->repl;
    struct primary *primary = repl->primary;
    char own[REPL_ID_SIZE + 1], second[REPL_ID_SIZE + 1], upper[REPL_ID_SIZE + 1];
    uint64_t position;

    assert_false(primary_has_history(primary, slice_from_string(repl->id), 1, &position)); /* no log */
    primary_keep_history(primary);
    grow(fixture, 100);
    memcpy(second, repl->id, sizeof second);
    repl_shift_history(repl); /* at 100 */
    memcpy(own, repl->id, sizeof own);
    grow(fixture, 50);
    for (unsigned i = 0; i <= REPL_ID_SIZE; i++)
        upper[i] = (char)(own[i] >= 'a' && own[i] <= 'f' ? own[i] - 32 : own[i]);

    const struct {
        const char *id;
        int64_t offset;
        bool goes_on;
        uint64_t position;
    } cases[] = {
        {own, 1, true, 0},          {own, 151, true, 150},
        {upper, 101, true, 100},    {own, 152, false, 0},
        {own, 0, false, 0},         {own, -1, false, 0},
        {own, INT64_MIN, false, 0}, {own, INT64_MAX, false, 0},
        {second, 1, true, 0},       {second, 101, true, 100},
        {second, 102, false, 0},    {"?", -1, false, 0},
        {"", 1, false, 0},          {repl->second_id, 101, true, 100},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        position = UINT64_MAX;
        bool goes_on =
            primary_has_history(primary, slice_from_string(cases[i].id), cases[i].offset, &position);
        assert_int_equal(goes_on, cases[i].goes_on);
        assert_int_equal(position, goes_on ? cases[i].position : UINT64_MAX);
    }
    fixture_free(fixture);
}

static void an_id_is_good_for_one_log_only(void **state)
{
    struct fixture *fixture = setup();
    struct repl *repl = fixture->exec->repl;
    char before[REPL_ID_SIZE + 1];
    primary_keep_history(repl->primary);
    memcpy(before, repl->id, sizeof before);
    primary_keep_history(repl->primary);
    assert_string_equal(repl->id, before);
    propagate_set_need(fixture->exec, PROPAGATE_BACKLOG, false); /* what changes now is counted nowhere */
    primary_keep_history(repl->primary);
    assert_string_not_equal(repl->id, before);
    fixture_free(fixture);
}

static void what_has_not_been_sent_is_bounded_and_goes_on_when_it_has(void **state)
{
    struct fixture *fixture = setup();
    primary_keep_history(primary_of(fixture));
    grow(fixture, 9 * MEGABYTE);
    struct conn *conn = &fixture->user;
    struct follower *follower = follow(fixture, conn, 0);
    assert_int_equal(follower->state, FOLLOWER_ONLINE);
    assert_non_null(strstr(buf_string(&conn->received), "+CONTINUE"));
    uint64_t answer = (uint64_t)(strstr(conn->received.data, "\r\n") - conn->received.data) + 2;

    assert_in_range(conn->received.size, FEED_OUTSTANDING_MAX - MEGABYTE, FEED_OUTSTANDING_MAX + answer);
    assert_ptr_equal(atomic_load(&conn->shared.drained), &follower->drained);
    uint64_t before = conn->received.size;
    exec_cron(fixture->exec);
    assert_int_equal(conn->received.size, before);
    drain(fixture, conn);
    assert_int_equal(conn->received.size, before + FEED_OUTSTANDING_MAX);
    drain(fixture, conn);
    assert_int_equal(conn->received.size, answer + 9 * MEGABYTE);
    drain(fixture, conn);
    assert_null(atomic_load(&conn->shared.drained));
    grow(fixture, 10);
    exec_flush_output(fixture->exec);
    assert_int_equal(conn->received.size, answer + 9 * MEGABYTE + 10);
    fixture_free(fixture);
}

static void small_pieces_go_together_while_others_are_on_their_way(void **state)
{
    struct fixture *fixture = setup();
    struct conn *conn = &fixture->user;
    follow(fixture, conn, 0);
    grow(fixture, MEGABYTE);
    exec_flush_output(fixture->exec);
    uint64_t before = conn->received.size;
    for (unsigned i = 0; i < 100; i++) {
        grow(fixture, 100);
        exec_flush_output(fixture->exec);
    }
    assert_int_equal(conn->received.size, before);
    drain(fixture, conn);
    assert_int_equal(conn->received.size, before + 10000);
    fixture_free(fixture);
}

static void a_connection_on_its_way_gets_nothing_until_it_has_arrived(void **state)
{
    struct fixture *fixture = setup();
    struct conn *conn = &fixture->user;
    follow(fixture, conn, 0);
    exec_client_departs(fixture->exec, conn->client);
    uint64_t before = conn->received.size;
    grow(fixture, 100);
    exec_flush_output(fixture->exec);
    assert_int_equal(conn->received.size, before);
    exec_client_arrived(fixture->exec, conn->client, &fixture->port);
    assert_int_equal(conn->received.size, before + 100);
    fixture_free(fixture);
}

static void one_that_goes_while_word_of_it_is_on_its_way_leaves_nothing(void **state)
{
    struct fixture *fixture = setup();
    struct conn *conn = &fixture->user;
    primary_keep_history(primary_of(fixture));
    grow(fixture, 9 * MEGABYTE);
    follow(fixture, conn, 0);
    struct exec_post *post = atomic_exchange(&conn->shared.drained, NULL); /* the I/O thread has it */
    assert_non_null(post);
    exec_client_closed(fixture->exec, conn->client);
    assert_int_equal(primary_of(fixture)->follower_count, 0);
    assert_null(fixture->exec->feed);
    exec_post(fixture->exec, post);
    exec_cron(fixture->exec);
    fixture_connect(fixture, conn, 7);
    fixture_free(fixture);
}

static void a_replica_at_its_limit_is_closed(void **state)
{
    struct fixture *fixture = setup();
    fixture->config->client_output_buffer_limit[OUTPUT_REPLICA] =
        (struct config_output_limit){.hard_bytes = 8 * MEGABYTE};
    struct conn *conn = &fixture->user;
    follow(fixture, conn, 0);
    grow(fixture, 7 * MEGABYTE);
    exec_flush_output(fixture->exec);
    assert_int_equal(closed, 0);
    grow(fixture, 2 * MEGABYTE);
    exec_flush_output(fixture->exec);
    assert_int_equal(closed, 1);
    fixture_free(fixture);
}

static void an_acknowledgement_never_goes_back_nor_beyond_the_end(void **state)
{
    struct fixture *fixture = setup();
    struct follower *follower = follow(fixture, &fixture->user, 0);
    grow(fixture, 100);
    fixture_send(fixture, &fixture->user, "REPLCONF ACK 60 FACK 50");
    assert_int_equal(follower->acked, 60);
    assert_int_equal(follower->synced, 50);
    fixture_send(fixture, &fixture->user, "REPLCONF ACK 40");
    assert_int_equal(follower->acked, 60);
    assert_int_equal(follower->synced, 50);
    fixture_send(fixture, &fixture->user, "REPLCONF ACK 1000000");
    assert_int_equal(follower->acked, 100);
    fixture_send(fixture, &fixture->user, "REPLCONF ACK -5");
    assert_int_equal(follower->acked, 100);
    assert_int_equal(primary_count_acked(primary_of(fixture), 100), 1);
    assert_int_equal(primary_count_acked(primary_of(fixture), 101), 0);
    assert_int_equal(primary_count_synced(primary_of(fixture), 50), 1);
    assert_int_equal(primary_count_synced(primary_of(fixture), 51), 0);
    fixture_free(fixture);
}

static void wait_ends_with_the_acknowledgement_it_waits_for(void **state)
{
    struct fixture *fixture = setup();
    struct conn *replica = &fixture->listener;
    fixture_send(fixture, replica, "PUNSUBSCRIBE");
    struct follower *follower = follow(fixture, replica, 0);
    char command[64];
    fixture_expect(fixture, "SET k v", "+OK\r\n");
    uint64_t written = propagate_offset(fixture->exec);
    fixture_expect(fixture, "WAIT 1 0", "");
    assert_non_null(strstr(buf_string(&replica->received), "GETACK"));
    snprintf(command, sizeof command, "REPLCONF ACK %llu", (unsigned long long)written - 1);
    fixture_send(fixture, replica, command);
    assert_string_equal(buf_string(&fixture->user.received), "");
    snprintf(command, sizeof command, "REPLCONF ACK %llu", (unsigned long long)written);
    fixture_send(fixture, replica, command);
    assert_string_equal(buf_string(&fixture->user.received), ":1\r\n");
    assert_int_equal(follower->acked, written);
    fixture_expect(fixture, "WAIT 1 0", ":1\r\n");
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_history_that_is_there_is_gone_on_with),
        cmocka_unit_test(an_id_is_good_for_one_log_only),
        cmocka_unit_test(what_has_not_been_sent_is_bounded_and_goes_on_when_it_has),
        cmocka_unit_test(small_pieces_go_together_while_others_are_on_their_way),
        cmocka_unit_test(a_connection_on_its_way_gets_nothing_until_it_has_arrived),
        cmocka_unit_test(one_that_goes_while_word_of_it_is_on_its_way_leaves_nothing),
        cmocka_unit_test(a_replica_at_its_limit_is_closed),
        cmocka_unit_test(an_acknowledgement_never_goes_back_nor_beyond_the_end),
        cmocka_unit_test(wait_ends_with_the_acknowledgement_it_waits_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
