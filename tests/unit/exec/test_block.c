/* Waiting for keys: who is served by what, in which order, and how much is looked at for that. The waited type is that of
 * strings, so that nothing of lists comes into it; a client is served by counting, and the last one takes the key away. */
#include "../../support/command_fixture.h"
#include "exec/block.h"
#include "exec/call.h"

#define CROWD 10000

struct crowd {
    struct fixture *fixture;
    struct conn *conns;
    uint32_t count;
};

/* What the serving function does and has done. Static: a waiting client has a copy of its details, not this. */
static struct {
    unsigned tries;
    unsigned left;       /* so many are served, then the key is gone; 0: nobody is, and it stays */
    const char *creates; /* a key that serving makes, NULL: none */
    uint64_t served[64]; /* ids, in order */
    unsigned served_count;
} serving;

static void close_quietly(struct port *port, struct conn *conn, enum close_how how)
{
}

static struct crowd gather(uint32_t count)
{
    struct crowd crowd = {fixture_new(), mem_calloc(count, sizeof(struct conn)), count};
    memset(&serving, 0, sizeof serving);
    crowd.fixture->port.close = close_quietly;
    for (uint32_t i = 0; i < count; i++)
        fixture_connect(crowd.fixture, &crowd.conns[i], 100 + i);
    return crowd;
}

static void disperse(struct crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->count; i++) {
        if (crowd->conns[i].client)
            exec_client_closed(crowd->fixture->exec, crowd->conns[i].client);
        buf_done(&crowd->conns[i].received);
    }
    block_check(crowd->fixture->exec->block);
    assert_int_equal(table_size(&crowd->fixture->exec->block->keys), 0);
    assert_int_equal(crowd->fixture->exec->blocked_count, 0);
    fixture_free(crowd->fixture);
    mem_free(crowd->conns);
}

static void make(struct call *call, const char *name)
{
    struct key key;
    struct entry_options options = {.expire_ms = ENTRY_NO_EXPIRE};
    call_write_key(call, slice_from_string(name), &key);
    call_store(call, &key,
               entry_new_string(call->exec->heap, slice_from_string(name), SLICE("value"), &options));
}

static bool serve(struct call *call, struct slice name, const void *details)
{
    struct key key;
    serving.tries++;
    assert_int_equal(*(const uint64_t *)details, call->client->id);
    assert_true(call_write_key(call, name, &key));
    if (serving.left == 0)
        return false;
    if (--serving.left == 0)
        call_delete(call, &key);
    if (serving.served_count < ARRAY_COUNT(serving.served))
        serving.served[serving.served_count] = call->client->id;
    serving.served_count++;
    if (serving.creates)
        make(call, serving.creates);
    serving.creates = NULL;
    reply_ok(call->out);
    return true;
}

static struct call call_of(struct client *client, struct slice *argv, uint32_t argc)
{
    return (struct call){
        .exec = client->exec,
        .client = client,
        .command = command_lookup(SLICE("blpop")),
        .argv = argv,
        .argc = argc,
        .db = client->db,
        .out = &client->out,
    };
}

/* The names stand in memory that is overwritten afterwards, as that of a request is. */
static void await(struct crowd *crowd, uint32_t number, enum entry_type type, const char *names)
{
    struct client *client = crowd->conns[number].client;
    struct slice words[8];
    char *text = mem_strdup(names), *save = NULL;
    uint32_t count = 0;
    for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
        words[count++] = slice_from_string(word);
    struct call call = call_of(client, words, count);
    struct block_request request = {.keys = words,
                                    .key_count = count,
                                    .type = type,
                                    .serve = serve,
                                    .details = &client->id,
                                    .details_size = sizeof client->id};
    client->last_command = call.command;
    block_wait(&call, &request);
    assert_true(client->flags & CLIENT_BLOCKED);
    memset(text, 'x', strlen(names));
    memset(words, 0, sizeof words);
    mem_free(text);
}

static void create(struct crowd *crowd, const char *name)
{
    struct call call = call_of(crowd->fixture->user.client, NULL, 0);
    make(&call, name);
}

static void serve_now(struct crowd *crowd)
{
    block_serve_ready(crowd->fixture->exec->block);
    block_check(crowd->fixture->exec->block);
}

static bool waits(const struct crowd *crowd, uint32_t number)
{
    return crowd->conns[number].client->flags & CLIENT_BLOCKED;
}

static void nobody_is_served_before_the_command_is_over(void **state)
{
    struct crowd crowd = gather(2);
    await(&crowd, 0, ENTRY_STRING, "k");
    await(&crowd, 1, ENTRY_STRING, "k");
    serving.left = 1;
    create(&crowd, "k");
    assert_int_equal(serving.tries, 0);
    serve_now(&crowd);
    assert_int_equal(serving.served[0], 100);
    assert_int_equal(serving.served_count, 1);
    assert_false(waits(&crowd, 0));
    assert_true(waits(&crowd, 1));
    disperse(&crowd);
}

static void a_push_looks_at_no_more_than_it_serves(void **state)
{
    struct crowd crowd = gather(CROWD);
    for (uint32_t i = 0; i < CROWD; i++)
        await(&crowd, i, i % 2 ? ENTRY_STRING : ENTRY_LIST, "k other");
    for (unsigned round = 1; round <= 20; round++) {
        serving.left = 2;
        create(&crowd, "k");
        block_serve_ready(crowd.fixture->exec->block);
        assert_int_equal(serving.tries, 2 * round);
    }
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(serving.served[i], 100 + 2 * i + 1);
    serve_now(&crowd);
    disperse(&crowd);
}

static void who_cannot_be_served_lets_the_next_one_try(void **state)
{
    struct crowd crowd = gather(3);
    for (uint32_t i = 0; i < 3; i++)
        await(&crowd, i, ENTRY_STRING, "k");
    create(&crowd, "k");
    serve_now(&crowd);
    assert_int_equal(serving.tries, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(waits(&crowd, i));
    disperse(&crowd);
}

static void a_key_named_twice_is_one_place(void **state)
{
    struct crowd crowd = gather(2);
    await(&crowd, 0, ENTRY_STRING, "k j k k");
    await(&crowd, 1, ENTRY_STRING, "k");
    assert_int_equal(table_size(&crowd.fixture->exec->block->keys), 2);
    serving.left = 2;
    create(&crowd, "k");
    serve_now(&crowd);
    assert_int_equal(serving.tries, 2);
    assert_int_equal(table_size(&crowd.fixture->exec->block->keys), 0);
    disperse(&crowd);
}

static void keys_are_served_in_the_order_of_becoming_ready(void **state)
{
    struct crowd crowd = gather(3);
    await(&crowd, 0, ENTRY_STRING, "a");
    await(&crowd, 1, ENTRY_STRING, "b a");
    await(&crowd, 2, ENTRY_STRING, "c");
    serving.left = 10;
    serving.creates = "c";
    create(&crowd, "b");
    create(&crowd, "a");
    serve_now(&crowd);
    assert_int_equal(serving.served_count, 3);
    assert_int_equal(serving.served[0], 101);
    assert_int_equal(serving.served[1], 100);
    assert_int_equal(serving.served[2], 102); /* of the key that serving the first one has made */
    disperse(&crowd);
}

static void who_leaves_between_ready_and_serving_is_forgotten(void **state)
{
    struct crowd crowd = gather(3);
    await(&crowd, 0, ENTRY_STRING, "k");
    await(&crowd, 1, ENTRY_STRING, "k");
    await(&crowd, 2, ENTRY_STRING, "k");
    serving.left = 10;
    create(&crowd, "k");
    client_close(crowd.conns[0].client, CLOSE_NOW);
    client_unblock(crowd.conns[1].client, BLOCK_END_TIMEOUT);
    exec_client_closed(crowd.fixture->exec, crowd.conns[2].client);
    serve_now(&crowd);
    assert_int_equal(serving.tries, 0);
    disperse(&crowd);
}

static void what_is_gone_or_of_another_type_serves_nobody(void **state)
{
    struct crowd crowd = gather(2);
    await(&crowd, 0, ENTRY_STRING, "k");
    await(&crowd, 1, ENTRY_LIST, "k");
    serving.left = 10;
    create(&crowd, "k");
    struct call call = call_of(crowd.fixture->user.client, NULL, 0);
    struct key key;
    assert_true(call_write_key(&call, SLICE("k"), &key));
    call_delete(&call, &key);
    serve_now(&crowd);
    assert_int_equal(serving.tries, 0);
    create(&crowd, "k");
    serve_now(&crowd);
    assert_int_equal(serving.tries, 1);
    assert_true(waits(&crowd, 1));
    disperse(&crowd);
}

static void swapping_shows_what_the_other_database_had(void **state)
{
    struct crowd crowd = gather(1);
    await(&crowd, 0, ENTRY_STRING, "k");
    serving.left = 10;
    fixture_expect(crowd.fixture, "SELECT 1", "+OK\r\n");
    fixture_expect(crowd.fixture, "SET k 1", "+OK\r\n");
    assert_int_equal(serving.tries, 0);
    fixture_expect(crowd.fixture, "SWAPDB 0 1", "+OK\r\n");
    assert_int_equal(serving.served_count, 1);
    disperse(&crowd);
}

static void the_time_is_that_of_the_monotonic_clock(void **state)
{
    struct fixture *fixture = fixture_new();
    struct conn other = {0};
    fixture_connect(fixture, &other, 50);
    fixture_send(fixture, &other, "BLPOP k 1.5");
    fixture->now_ms += 1499;
    exec_cron(fixture->exec);
    assert_int_equal(other.received.size, 0);
    assert_int_equal(exec_next_cron_ns(fixture->exec), 1500 * UINT64_C(1000000));
    fixture->now_ms += 1;
    exec_cron(fixture->exec);
    assert_string_equal(buf_string(&other.received), "*-1\r\n");
    exec_client_closed(fixture->exec, other.client);
    buf_done(&other.received);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_served_before_the_command_is_over),
        cmocka_unit_test(a_push_looks_at_no_more_than_it_serves),
        cmocka_unit_test(who_cannot_be_served_lets_the_next_one_try),
        cmocka_unit_test(a_key_named_twice_is_one_place),
        cmocka_unit_test(keys_are_served_in_the_order_of_becoming_ready),
        cmocka_unit_test(who_leaves_between_ready_and_serving_is_forgotten),
        cmocka_unit_test(what_is_gone_or_of_another_type_serves_nobody),
        cmocka_unit_test(swapping_shows_what_the_other_database_had),
        cmocka_unit_test(the_time_is_that_of_the_monotonic_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
