/* Messages reach exactly those who listen, in the shape of their protocol; books stay straight through any order
 * of subscribing, leaving and going. */
#include "fake_exec.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/rng.h"

static uint64_t publish(struct fake_exec *fake, enum pubsub_kind kind, struct slice channel,
                        struct slice message)
{
    uint64_t receivers;
    assert_int_equal(pubsub_publish(fake->exec.pubsub, kind, channel, message, &receivers), ST_OK);
    return receivers;
}

static void subscribe(struct fake_exec *fake, int client, enum pubsub_kind kind, struct slice name)
{
    assert_int_equal(pubsub_subscribe(fake->exec.pubsub, &fake->clients[client], kind, name), ST_OK);
    pubsub_check(fake->exec.pubsub);
}

static void messages_reach_their_listeners(void **state)
{
    struct fake_exec fake;
    fake_exec_init(&fake);
    fake.clients[1].out.resp = 3;
    subscribe(&fake, 0, PUBSUB_CHANNEL, SLICE("news"));
    subscribe(&fake, 1, PUBSUB_CHANNEL, SLICE("news"));
    subscribe(&fake, 2, PUBSUB_CHANNEL, SLICE("weather"));
    assert_int_equal(publish(&fake, PUBSUB_CHANNEL, SLICE("news"), SLICE("hello")), 2);
    fake_exec_expect(&fake, &fake.clients[0], "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
    fake_exec_expect(&fake, &fake.clients[1], ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
    fake_exec_expect(&fake, &fake.clients[2], "");
    assert_int_equal(publish(&fake, PUBSUB_CHANNEL, SLICE("new"), SLICE("x")), 0);
    fake_exec_done(&fake);
}

static void patterns_come_after_channels(void **state)
{
    struct fake_exec fake;
    fake_exec_init(&fake);
    subscribe(&fake, 0, PUBSUB_PATTERN, SLICE("n?ws"));
    subscribe(&fake, 0, PUBSUB_CHANNEL, SLICE("news"));
    subscribe(&fake, 0, PUBSUB_PATTERN, SLICE("w*"));
    assert_int_equal(publish(&fake, PUBSUB_CHANNEL, SLICE("news"), SLICE("")), 2);
    fake_exec_expect(&fake, &fake.clients[0],
                     "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$0\r\n\r\n"
                     "*4\r\n$8\r\npmessage\r\n$4\r\nn?ws\r\n$4\r\nnews\r\n$0\r\n\r\n");
    fake_exec_done(&fake);
}

static void shard_channels_are_a_world_of_their_own(void **state)
{
    struct fake_exec fake;
    fake_exec_init(&fake);
    subscribe(&fake, 0, PUBSUB_SHARD, SLICE("a"));
    subscribe(&fake, 1, PUBSUB_CHANNEL, SLICE("a"));
    subscribe(&fake, 2, PUBSUB_PATTERN, SLICE("*"));
    assert_int_equal(publish(&fake, PUBSUB_SHARD, SLICE("a"), SLICE("m")), 1);
    fake_exec_expect(&fake, &fake.clients[0], "*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$1\r\nm\r\n");
    fake_exec_expect(&fake, &fake.clients[1], "");
    fake_exec_expect(&fake, &fake.clients[2], "");
    fake_exec_done(&fake);
}

static void subscribing_twice_is_once(void **state)
{
    struct fake_exec fake;
    fake_exec_init(&fake);
    struct client *client = &fake.clients[0];
    subscribe(&fake, 0, PUBSUB_CHANNEL, SLICE("a"));
    assert_int_equal(pubsub_subscribe(fake.exec.pubsub, client, PUBSUB_CHANNEL, SLICE("a")), ST_EXISTS);
    assert_int_equal(pubsub_client_count(client, PUBSUB_CHANNEL), 1);
    assert_int_equal(publish(&fake, PUBSUB_CHANNEL, SLICE("a"), SLICE("m")), 1);
    assert_true(pubsub_unsubscribe(fake.exec.pubsub, client, PUBSUB_CHANNEL, SLICE("a")));
    assert_false(pubsub_unsubscribe(fake.exec.pubsub, client, PUBSUB_CHANNEL, SLICE("a")));
    assert_int_equal(pubsub_name_count(fake.exec.pubsub, PUBSUB_CHANNEL), 0);
    assert_false(pubsub_has_listeners(fake.exec.pubsub));
    fake_exec_done(&fake);
}

static void large_messages_arrive_whole_and_are_freed(void **state)
{
    struct fake_exec fake;
    fake_exec_init(&fake);
    size_t size = PUBSUB_SHARE_MIN + 64 * CHUNK_BLOCK_SIZE; /* so that kept chunks do not matter */
    char *bytes = mem_alloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 31);
    subscribe(&fake, 0, PUBSUB_CHANNEL, SLICE("a"));
    subscribe(&fake, 1, PUBSUB_CHANNEL, SLICE("a"));
    subscribe(&fake, 1, PUBSUB_PATTERN, SLICE("a*"));
    size_t used_before = mem_used();
    assert_int_equal(publish(&fake, PUBSUB_CHANNEL, SLICE("a"), slice_make(bytes, size)), 3);
    for (int client = 0; client < 2; client++) {
        struct buf got = fake_exec_take(&fake, &fake.clients[client]);
        assert_true(got.size > size);
        assert_memory_equal(got.data + got.size - size - 2, bytes, size);
        buf_done(&got);
    }
    /* Empty chunks may be kept for reuse, the message may not. */
    assert_true(mem_used() < used_before + 4 * CHUNK_BLOCK_SIZE + size / 2);
    mem_free(bytes);
    fake_exec_done(&fake);
}

static void a_closing_client_gets_nothing(void **state)
{
    struct fake_exec fake;
    fake_exec_init(&fake);
    subscribe(&fake, 0, PUBSUB_CHANNEL, SLICE("a"));
    fake.clients[0].flags |= CLIENT_CLOSING;
    publish(&fake, PUBSUB_CHANNEL, SLICE("a"), SLICE("m"));
    fake_exec_expect(&fake, &fake.clients[0], "");
    fake_exec_done(&fake);
}

static void subscribers_have_their_own_output_limits(void **state)
{
    struct fake_exec fake;
    fake_exec_init(&fake);
    subscribe(&fake, 0, PUBSUB_SHARD, SLICE("a"));
    subscribe(&fake, 0, PUBSUB_PATTERN, SLICE("b"));
    assert_int_equal(fake.shared[0].output_class, OUTPUT_PUBSUB);
    assert_true(fake.shared[0].exempt_from_idle_timeout);
    pubsub_unsubscribe(fake.exec.pubsub, &fake.clients[0], PUBSUB_SHARD, SLICE("a"));
    assert_int_equal(fake.shared[0].output_class, OUTPUT_PUBSUB);
    pubsub_unsubscribe(fake.exec.pubsub, &fake.clients[0], PUBSUB_PATTERN, SLICE("b"));
    assert_int_equal(fake.shared[0].output_class, OUTPUT_NORMAL);
    assert_false(fake.shared[0].exempt_from_idle_timeout);
    fake_exec_done(&fake);
}

struct leaving {
    struct fake_exec *fake;
    uint32_t visits;
};

static void leave_one(void *context, struct slice name)
{
    struct leaving *leaving = context;
    leaving->visits++;
    assert_true(
        pubsub_unsubscribe(leaving->fake->exec.pubsub, &leaving->fake->clients[0], PUBSUB_CHANNEL, name));
    pubsub_check(leaving->fake->exec.pubsub);
}

static void a_visitor_may_leave_what_it_is_shown(void **state)
{
    struct fake_exec fake;
    fake_exec_init(&fake);
    char name[16];
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "c%d", i);
        subscribe(&fake, 0, PUBSUB_CHANNEL, slice_from_string(name));
    }
    struct leaving leaving = {&fake, 0};
    pubsub_visit_client(&fake.clients[0], PUBSUB_CHANNEL, leave_one, &leaving);
    assert_int_equal(leaving.visits, 50);
    assert_int_equal(pubsub_client_count(&fake.clients[0], PUBSUB_CHANNEL), 0);
    fake_exec_done(&fake);
}

/* Compares with a plain matrix of who listens to what, through random changes. */
static void books_stay_straight(void **state)
{
    enum { NAMES = 40 };
    struct fake_exec fake;
    fake_exec_init(&fake);
    bool listens[FAKE_CLIENTS][PUBSUB_KIND_COUNT][NAMES] = {0};
    struct rng rng;
    rng_seed(&rng, 11);
    for (int step = 0; step < 4000; step++) {
        unsigned client = (unsigned)rng_below(&rng, FAKE_CLIENTS);
        unsigned kind = (unsigned)rng_below(&rng, PUBSUB_KIND_COUNT);
        unsigned index = (unsigned)rng_below(&rng, NAMES);
        char text[16];
        snprintf(text, sizeof text, "name-%u", index);
        struct slice name = slice_from_string(text);
        bool *listens_here = &listens[client][kind][index];
        if (rng_below(&rng, 2)) {
            enum status expected = *listens_here ? ST_EXISTS : ST_OK;
            assert_int_equal(pubsub_subscribe(fake.exec.pubsub, &fake.clients[client], kind, name), expected);
            *listens_here = true;
        } else {
            assert_int_equal(pubsub_unsubscribe(fake.exec.pubsub, &fake.clients[client], kind, name),
                             *listens_here);
            *listens_here = false;
        }
        if (rng_below(&rng, 200) == 0) {
            pubsub_client_gone(fake.exec.pubsub, &fake.clients[client]);
            memset(listens[client], 0, sizeof listens[client]);
        }
        unsigned count = 0;
        for (int other = 0; other < FAKE_CLIENTS; other++)
            count += listens[other][kind][index];
        assert_int_equal(pubsub_subscriber_count(fake.exec.pubsub, kind, name), count);
        pubsub_check(fake.exec.pubsub);
    }
    fake_exec_done(&fake);
}

static void a_client_that_leaves_costs_nothing(void **state)
{
    struct fake_exec fake;
    fake_exec_init(&fake);
    assert_int_equal(pubsub_client_memory(&fake.clients[0]), 0);
    subscribe(&fake, 0, PUBSUB_CHANNEL, SLICE("a"));
    uint64_t one = pubsub_client_memory(&fake.clients[0]);
    subscribe(&fake, 0, PUBSUB_CHANNEL, SLICE("a channel with a long name"));
    assert_true(pubsub_client_memory(&fake.clients[0]) > one + strlen("a channel with a long name"));
    pubsub_unsubscribe(fake.exec.pubsub, &fake.clients[0], PUBSUB_CHANNEL,
                       SLICE("a channel with a long name"));
    assert_int_equal(pubsub_client_memory(&fake.clients[0]), one);
    pubsub_client_gone(fake.exec.pubsub, &fake.clients[0]);
    assert_int_equal(pubsub_client_memory(&fake.clients[0]), 0);
    fake_exec_done(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_reach_their_listeners),
        cmocka_unit_test(patterns_come_after_channels),
        cmocka_unit_test(shard_channels_are_a_world_of_their_own),
        cmocka_unit_test(subscribing_twice_is_once),
        cmocka_unit_test(large_messages_arrive_whole_and_are_freed),
        cmocka_unit_test(a_closing_client_gets_nothing),
        cmocka_unit_test(subscribers_have_their_own_output_limits),
        cmocka_unit_test(a_visitor_may_leave_what_it_is_shown),
        cmocka_unit_test(books_stay_straight),
        cmocka_unit_test(a_client_that_leaves_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
