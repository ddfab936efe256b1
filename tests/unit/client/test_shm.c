/* A client's end of shared memory, against a played server: each state, what is offered and refused, bells, full rings,
 * ends, forks. */
#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <skua/skua.h>

#include "support/shm_host.h"

#define WAIT_MS 60000 /* for what comes at once on a machine that is not busy */

struct world {
    struct shm_host host;
    struct skua_client *client;
    unsigned descriptors; /* open before */
};

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->descriptors = count_descriptors();
    *state = world;
    return 0;
}

/* Whatever happened, nothing is left open, and no bell was lost. */
static int tear_down(void **state)
{
    struct world *world = *state;
    skua_close(world->client);
    shm_host_stop(&world->host);
    assert_int_equal(world->host.lost_bells, 0);
    assert_int_equal(count_descriptors(), world->descriptors);
    free(world);
    return 0;
}

static void start_host(struct world *world, unsigned looks, enum shm_host_plan first, enum shm_host_plan then)
{
    const enum shm_host_plan plans[] = {first, then};
    assert_true(shm_host_start(&world->host, looks, 2, plans));
}

static void client_options(struct skua_options *options)
{
    skua_options_init(options);
    options->command_timeout_ms = options->connect_timeout_ms = WAIT_MS;
}

static void connect_to(struct world *world, const char *query)
{
    char url[128];
    struct skua_options options;
    client_options(&options);
    snprintf(url, sizeof url, "shm://%s%s", world->host.path, query);
    world->client = skua_connect(url, &options);
    assert_non_null(world->client);
}

static void connect_in_memory(struct world *world, unsigned looks, const char *query)
{
    start_host(world, looks, SHM_HOST_OFFERS, SHM_HOST_OFFERS);
    connect_to(world, query);
    assert_int_equal(skua_status_of(world->client), SKUA_OK);
    assert_string_equal(skua_transport(world->client), "shm");
}

static void expect_pong(struct world *world)
{
    struct skua_reply *reply = skua_command(world->client, "PING");
    assert_non_null(reply);
    assert_string_equal(reply->string, "PONG");
    skua_reply_free(reply);
}

static void expect_loss(struct world *world, enum skua_status status, const char *text)
{
    assert_int_equal(skua_status_of(world->client), status);
    assert_non_null(strstr(skua_error(world->client), text));
}

/* ---- Connecting --------------------------------------------------------------------------------------------- */

static void a_session_carries_requests_and_replies(void **state)
{
    struct world *world = *state;
    connect_in_memory(world, 0, "");
    for (unsigned i = 0; i < 1000; i++)
        expect_pong(world);
    assert_string_equal(skua_address(world->client), world->host.path);
    assert_int_equal(world->host.connections, 1);
}

static void an_answer_may_come_in_pieces(void **state)
{
    struct world *world = *state;
    start_host(world, 0, SHM_HOST_OFFERS_IN_PIECES, SHM_HOST_CLOSES);
    connect_to(world, "");
    assert_string_equal(skua_transport(world->client), "shm");
    expect_pong(world);
}

static void the_url_says_how_large_the_rings_are(void **state)
{
    struct world *world = *state;
    connect_in_memory(world, 0, "?request-ring=8192&reply-ring=131072&db=0");
    assert_int_equal(world->host.request_ring, 8192);
    assert_int_equal(world->host.reply_ring, 131072);
    expect_pong(world);
}

static void a_refusal_leaves_the_socket(void **state)
{
    struct world *world = *state;
    start_host(world, 0, SHM_HOST_REFUSES, SHM_HOST_CLOSES);
    connect_to(world, "");
    assert_string_equal(skua_transport(world->client), "unix");
    for (unsigned i = 0; i < 100; i++)
        expect_pong(world);
    assert_int_equal(world->host.connections, 1);
}

static void a_refusal_that_was_the_last_word_is_told(void **state)
{
    struct world *world = *state;
    start_host(world, 0, SHM_HOST_REFUSES_AND_CLOSES, SHM_HOST_CLOSES);
    connect_to(world, "");
    assert_null(skua_command(world->client, "PING"));
    expect_loss(world, SKUA_ERR_IO, "closed after: ERR max number of clients reached");
}

/* What cannot be used is given back, and the connection that follows is a plain one. */
static void what_cannot_be_mapped_is_not_used(void **state)
{
    const enum shm_host_plan plans[] = {SHM_HOST_OFFERS_UNSEALED, SHM_HOST_OFFERS_TOO_SMALL,
                                        SHM_HOST_OFFERS_A_PIPE, SHM_HOST_CLOSES};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        start_host(world, 0, plans[i], SHM_HOST_OFFERS);
        connect_to(world, "");
        assert_string_equal(skua_transport(world->client), "unix");
        expect_pong(world);
        assert_int_equal(world->host.connections, 2);
        assert_int_equal(world->host.asked, 1);
        if (i + 1 == sizeof plans / sizeof plans[0])
            break;
        skua_close(world->client);
        world->client = NULL;
        shm_host_stop(&world->host);
    }
}

static void nonsense_is_refused(void **state)
{
    const struct {
        enum shm_host_plan plan;
        const char *text;
    } cases[] = {
        {SHM_HOST_TALKS_NONSENSE, "the answer to SHM OPEN cannot be understood"},
        {SHM_HOST_ANSWERS_TWICE, "the answer to SHM OPEN is more than one"},
        {SHM_HOST_ANSWERS_FOR_EVER, "the answer to SHM OPEN cannot be understood"},
        {SHM_HOST_REFUSES_WITH_DESCRIPTORS, "the answer to SHM OPEN is an error with descriptors"},
        {SHM_HOST_OFFERS_NO_DESCRIPTORS, "the answer to SHM OPEN has no two descriptors"},
        {SHM_HOST_OFFERS_ONE_DESCRIPTOR, "the answer to SHM OPEN has no two descriptors"},
        {SHM_HOST_OFFERS_THREE_DESCRIPTORS, "the answer to SHM OPEN has no two descriptors"},
        {SHM_HOST_OFFERS_TWENTY_DESCRIPTORS, "the answer to SHM OPEN has too many descriptors"},
    };
    struct world *world = *state;
    const size_t count = sizeof cases / sizeof cases[0];
    for (size_t i = 0; i < count; i++) {
        start_host(world, 0, cases[i].plan, SHM_HOST_OFFERS);
        connect_to(world, "");
        assert_int_equal(skua_state_of(world->client), SKUA_FAILED);
        expect_loss(world, SKUA_ERR_PROTOCOL, cases[i].text);
        assert_string_equal(skua_transport(world->client), "none");
        if (i + 1 == count)
            break;
        skua_close(world->client);
        world->client = NULL;
        shm_host_stop(&world->host);
    }
}

/* ---- Bytes -------------------------------------------------------------------------------------------------- */

static void large_values_go_through_small_rings(void **state)
{
    struct world *world = *state;
    connect_in_memory(world, 0, "?request-ring=4096&reply-ring=4096");
    const size_t size = 1000003;
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    for (unsigned i = 0; i < 5; i++) {
        struct skua_reply *reply = skua_command(world->client, "ECHO %b", bytes, size);
        assert_non_null(reply);
        assert_int_equal(reply->length, size);
        assert_memory_equal(reply->string, bytes, size);
        skua_reply_free(reply);
    }
    free(bytes);
    assert_true(world->host.bells_heard > 0); /* it had to wait for us, for data and for room */
}

/* Nobody takes replies until both rings are full and both sides sleep. */
static void a_pipeline_may_be_longer_than_both_rings(void **state)
{
    struct world *world = *state;
    connect_in_memory(world, 0, "?request-ring=4096&reply-ring=4096");
    const unsigned count = 5000;
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(skua_append_command(world->client, "ECHO %u", i), SKUA_OK);
    assert_int_equal(skua_flush(world->client), SKUA_OK);
    for (unsigned i = 0; i < count; i++) {
        struct skua_reply *reply = NULL;
        assert_int_equal(skua_get_reply(world->client, &reply), SKUA_OK);
        assert_int_equal(strtoul(reply->string, NULL, 10), i);
        skua_reply_free(reply);
    }
}

/* ---- Bells -------------------------------------------------------------------------------------------------- */

/* Requests at moments that fall before, into and behind the time for which either side watches. */
static void no_bell_is_lost_between_naps(void **state)
{
    struct world *world = *state;
    connect_in_memory(world, 300, "");
    for (unsigned i = 0; i < 1500; i++) {
        struct skua_reply *reply = skua_command(world->client, "NAP %u", i * 7919 % 150);
        assert_non_null(reply);
        skua_reply_free(reply);
        if (i % 3 == 0)
            usleep(i * 104729 % 130);
    }
    assert_true(world->host.bells_rung > 0);
    assert_true(world->host.bells_heard > 0);
}

struct answers {
    unsigned submitted, answered, wrong;
};

static void on_reply(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                     void *user)
{
    struct answers *answers = user;
    bool right = status == SKUA_OK && strtoul(reply->string, NULL, 10) == answers->answered;
    answers->answered++;
    answers->wrong += !right;
    (void)client;
}

/* One turn of a loop that asks the three questions, as the header says. False: it waited in vain. */
static bool loop_turn(struct skua_client *client)
{
    unsigned want = skua_want(client);
    struct pollfd watched = {
        .fd = skua_descriptor(client),
        .events = (short)((want & SKUA_READ ? POLLIN : 0) | (want & SKUA_WRITE ? POLLOUT : 0))};
    int64_t deadline_ms = skua_deadline_ms(client);
    int count = poll(&watched, 1, deadline_ms < 0 ? WAIT_MS : (int)deadline_ms);
    unsigned ready =
        (watched.revents & ~POLLOUT ? SKUA_READ : 0) | (watched.revents & POLLOUT ? SKUA_WRITE : 0);
    skua_run(client, count > 0 ? ready : 0);
    return count > 0 || (deadline_ms >= 0 && deadline_ms < WAIT_MS / 2);
}

static void a_loop_is_woken(void **state)
{
    struct world *world = *state;
    connect_in_memory(world, 50, "?request-ring=4096&reply-ring=4096");
    struct answers answers = {0};
    const unsigned count = 20000;
    while (answers.answered < count) {
        unsigned batch = answers.answered % 7 == 0 ? 300 : 1 + answers.answered % 3;
        for (unsigned i = 0;
             i < batch && answers.submitted < count && answers.submitted - answers.answered < 1000; i++)
            assert_int_equal(
                skua_submit_command(world->client, on_reply, &answers, "ECHO %u", answers.submitted++),
                SKUA_OK);
        assert_true(loop_turn(world->client));
        assert_int_equal(skua_state_of(world->client), SKUA_READY);
    }
    assert_int_equal(answers.wrong, 0);
    assert_true(world->host.bells_rung > 0);
}

static int unread_bells(const struct world *world)
{
    int unread = -1;
    assert_int_equal(ioctl(skua_descriptor(world->client), FIONREAD, &unread), 0);
    return unread;
}

/* A call that waits is told of each byte anew. Whoever else waits must not find those of before. */
static void bells_stay_in_the_socket_for_a_while(void **state)
{
    struct world *world = *state;
    const int left_max = 16, late_max = 1;
    connect_in_memory(world, 0, "");
    /* A host that is quick enough need not ring. */
    for (unsigned i = 0; i < 500 || world->host.bells_rung <= (unsigned)left_max; i++) {
        assert_true(i < 200000);
        expect_pong(world);
        assert_true(unread_bells(world) <= left_max + late_max);
    }
    assert_int_equal(skua_want(world->client), SKUA_READ);
    assert_true(unread_bells(world) <= late_max);
}

/* While the host was last seen on our own processor there is none to look on, but for one time in many. */
static void stay_awake(const struct world *world)
{
    unsigned tries = 0;
    while (!skua_stay_awake(world->client))
        assert_true(++tries < 1000);
}

/* A loop that looks by itself is not rung for, and can go to sleep at any time. */
static void a_loop_may_look_by_itself(void **state)
{
    struct world *world = *state;
    connect_in_memory(world, 1000, "");
    struct answers answers = {0};
    for (unsigned i = 0; i < 3000; i++) {
        bool sleeps = i % 10 == 0;
        stay_awake(world);
        assert_int_equal(skua_submit_command(world->client, on_reply, &answers, "ECHO %u", i), SKUA_OK);
        assert_int_equal(skua_run(world->client, SKUA_WRITE), SKUA_OK);
        while (answers.answered <= i) {
            unsigned ready = sleeps ? 0 : skua_look(world->client);
            if (ready != 0)
                assert_int_equal(skua_run(world->client, ready), SKUA_OK);
            else if (sleeps && !skua_may_sleep(world->client))
                assert_int_equal(skua_run(world->client, 0), SKUA_OK);
            else if (sleeps)
                assert_true(loop_turn(world->client));
        }
    }
    assert_int_equal(answers.wrong, 0);
    assert_true(world->host.bells_rung <=
                600); /* one in ten sleeps, and may be rung for once more too late */
}

/* Who has only called what waits, and then begins to watch the descriptor, is woken too. */
static void blocking_calls_and_a_loop_go_together(void **state)
{
    struct world *world = *state;
    connect_in_memory(world, 0, "");
    struct answers answers = {0};
    for (unsigned i = 0; i < 500; i++) {
        expect_pong(world);
        answers = (struct answers){0};
        assert_int_equal(skua_submit_command(world->client, on_reply, &answers, "ECHO 0"), SKUA_OK);
        while (answers.answered == 0)
            assert_true(loop_turn(world->client));
        assert_int_equal(answers.wrong, 0);
    }
}

static void count_push(struct skua_client *client, const struct skua_reply *push, void *user)
{
    (void)client, (void)push;
    ++*(unsigned *)user;
}

static void pushes_come_to_who_waits_for_them(void **state)
{
    struct world *world = *state;
    unsigned pushes = 0;
    connect_in_memory(world, 0, "?protocol=3");
    skua_on_push(world->client, count_push, &pushes);
    for (unsigned i = 0; i < 200; i++) { /* a reply at once, and later what nobody has asked for */
        struct skua_reply *reply = skua_command(world->client, "LATER %u", i * 7919 % 300);
        assert_non_null(reply);
        skua_reply_free(reply);
        while (pushes <= i)
            assert_int_equal(skua_wait(world->client, WAIT_MS), SKUA_OK);
    }
    assert_int_equal(pushes, 200);
}

/* ---- Ends --------------------------------------------------------------------------------------------------- */

static void what_was_said_last_is_heard(void **state)
{
    struct world *world = *state;
    connect_in_memory(world, 0, "");
    assert_int_equal(skua_append_command(world->client, "ECHO a"), SKUA_OK);
    assert_int_equal(skua_append_command(world->client, "BYE"), SKUA_OK);
    assert_int_equal(skua_flush(world->client), SKUA_OK);
    usleep(20000); /* mostly, all is over before the first reply is looked for */
    struct skua_reply *reply = NULL;
    assert_int_equal(skua_get_reply(world->client, &reply), SKUA_OK);
    skua_reply_free(reply);
    assert_int_equal(skua_get_reply(world->client, &reply), SKUA_OK);
    assert_string_equal(reply->string, "BYE");
    skua_reply_free(reply);
    assert_null(skua_command(world->client, "PING"));
    expect_loss(world, SKUA_ERR_CLOSED, "closed the connection");
    assert_int_equal(skua_reconnect(world->client), SKUA_OK);
    expect_pong(world);
    assert_string_equal(skua_transport(world->client), "shm");
}

static void a_server_that_goes_is_noticed(void **state)
{
    struct world *world = *state;
    const char *const ways[] = {"DIE", "HALF"};
    connect_in_memory(world, 0, "");
    for (unsigned i = 0; i < 20; i++) {
        assert_null(skua_command(world->client, ways[i % 2]));
        expect_loss(world, SKUA_ERR_CLOSED, "closed the connection");
        assert_int_equal(skua_reconnect(world->client), SKUA_OK);
        expect_pong(world);
    }
}

static void a_loop_notices_a_server_that_goes(void **state)
{
    struct world *world = *state;
    connect_in_memory(world, 0, "");
    struct answers answers = {0};
    assert_int_equal(skua_submit_command(world->client, on_reply, &answers, "DIE"), SKUA_OK);
    while (skua_state_of(world->client) == SKUA_READY)
        assert_true(loop_turn(world->client));
    assert_int_equal(answers.answered, 1);
    expect_loss(world, SKUA_ERR_CLOSED, "closed the connection");
}

/* The other end of the socket is gone, and the request ring fills up. */
static void a_full_ring_of_a_dead_server_is_no_trap(void **state)
{
    struct world *world = *state;
    connect_in_memory(world, 0, "?request-ring=4096&reply-ring=4096");
    assert_int_equal(skua_append_command(world->client, "DIE"), SKUA_OK);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(skua_append_command(world->client, "ECHO %u", i), SKUA_OK);
    assert_int_not_equal(skua_flush(world->client), SKUA_OK);
    expect_loss(world, SKUA_ERR_CLOSED, "closed the connection");
}

/* A head is looked at when the ring seems full, a tail with each reply. */
static void words_that_contradict_each_other_end_it(void **state)
{
    const char *const commands[] = {"TAIL -1", "TAIL 100000", "TAIL 9223372036854775807", "HEAD -1000000",
                                    "HEAD 100000"};
    struct world *world = *state;
    connect_in_memory(world, 0, "");
    for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        expect_pong(world);
        assert_int_equal(skua_append_command(world->client, commands[i]), SKUA_OK);
        for (unsigned sent = 0; sent < 10000; sent++)
            assert_int_equal(skua_append_command(world->client, "PING"), SKUA_OK);
        struct skua_reply *reply = NULL;
        assert_int_not_equal(skua_get_reply(world->client, &reply), SKUA_OK);
        expect_loss(world, SKUA_ERR_PROTOCOL, "the server's words in shared memory contradict each other");
        assert_int_equal(skua_reconnect(world->client), SKUA_OK);
    }
    expect_pong(world);
}

static void a_child_is_told_and_its_parent_goes_on(void **state)
{
    struct world *world = *state;
    connect_in_memory(world, 0, "");
    expect_pong(world);
    for (unsigned in_loop = 0; in_loop < 2; in_loop++) {
        pid_t child = fork();
        if (child == 0) {
            struct skua_reply *reply = skua_command(world->client, "PING");
            bool told = reply == NULL && skua_status_of(world->client) == SKUA_ERR_IO &&
                        strstr(skua_error(world->client), "this is its child") != NULL;
            skua_close(world->client);
            _exit(told ? 0 : 1);
        }
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        expect_pong(world);
        skua_want(world->client); /* from now on it is in a loop */
    }
    expect_pong(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_session_carries_requests_and_replies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_may_come_in_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_url_says_how_large_the_rings_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_leaves_the_socket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_that_was_the_last_word_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_mapped_is_not_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_values_go_through_small_rings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pipeline_may_be_longer_than_both_rings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_bell_is_lost_between_naps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_loop_is_woken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bells_stay_in_the_socket_for_a_while, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_loop_may_look_by_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(blocking_calls_and_a_loop_go_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pushes_come_to_who_waits_for_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_said_last_is_heard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_goes_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_loop_notices_a_server_that_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_ring_of_a_dead_server_is_no_trap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(words_that_contradict_each_other_end_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_child_is_told_and_its_parent_goes_on, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
