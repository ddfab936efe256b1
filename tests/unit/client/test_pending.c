/* The queue of requests without a reply: order, merging, deadlines, what a loss fails and what it leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/clock.h"
#include "client/memory.h"
#include "client/pending.h"

struct fixture {
    struct skua_allocator allocator;
    struct pending pending;
};

static void callback(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                     void *user)
{
}

static int set_up(void **state)
{
    static struct fixture fixture;
    client_allocator_set(&fixture.allocator, NULL);
    pending_init(&fixture.pending, false);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    pending_done(&fixture->pending, &fixture->allocator);
    return 0;
}

/* P1 to P4 of pending.h. */
static void check(const struct pending *pending)
{
    uint64_t replies = 0, caller_replies = 0, place = 0;
    int64_t earliest_ms = CLOCK_NEVER;
    bool live = false;
    for (size_t i = 0; i < pending->count; i++) {
        const struct pending_entry *entry = pending_at(pending, i);
        assert_true(entry->place >= place);
        place = entry->place;
        live = live || entry->status == SKUA_OK;
        assert_true(live == (entry->status == SKUA_OK));
        replies += entry->replies;
        caller_replies += entry->callback == NULL ? entry->replies : 0;
        if (entry->status == SKUA_OK && entry->deadline_ms < earliest_ms)
            earliest_ms = entry->deadline_ms;
    }
    assert_int_equal(pending->replies, replies);
    assert_int_equal(pending->caller_replies, caller_replies);
    assert_true(pending->earliest_ms <= earliest_ms);
}

static void add(struct fixture *fixture, skua_reply_fn *function, uint64_t place, uint32_t replies,
                int64_t deadline_ms)
{
    const struct pending_entry entry = {
        .callback = function, .place = place, .replies = replies, .deadline_ms = deadline_ms};
    assert_true(pending_add(&fixture->pending, &fixture->allocator, &entry));
    check(&fixture->pending);
}

static void entries_leave_in_the_order_in_which_they_came(void **state)
{
    struct fixture *fixture = *state;
    struct pending *pending = &fixture->pending;
    uint64_t added = 0, taken = 0;
    for (int round = 0; round < 40; round++) { /* grows and wraps around */
        for (int i = 0; i < 7; i++, added++)
            add(fixture, callback, added, 1, CLOCK_NEVER);
        for (int i = 0; i < 5; i++, taken++) {
            assert_int_equal(pending_head(pending)->place, taken);
            pending_take_reply(pending);
            check(pending);
        }
    }
    assert_int_equal(pending->count, added - taken);
    assert_int_equal(pending->replies, added - taken);
}

static void batches_without_callbacks_are_one_entry(void **state)
{
    struct fixture *fixture = *state;
    struct pending *pending = &fixture->pending;
    for (uint64_t i = 0; i < 1000; i++)
        add(fixture, NULL, i * 10, 16, CLOCK_NEVER);
    assert_int_equal(pending->count, 1);
    assert_int_equal(pending->replies, 16000);
    for (int i = 0; i < 15999; i++)
        pending_take_reply(pending);
    assert_int_equal(pending->count, 1);
    pending_take_reply(pending);
    assert_null(pending_head(pending));
}

static void what_differs_is_kept_apart(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, NULL, 0, 1, CLOCK_NEVER);
    add(fixture, callback, 1, 1, CLOCK_NEVER);
    add(fixture, NULL, 2, 1, CLOCK_NEVER);
    add(fixture, NULL, 3, 1, 500); /* another deadline */
    add(fixture, NULL, 4, 1, 500);
    assert_int_equal(fixture->pending.count, 4);
    fixture->pending.keep_apart = true; /* a client that reconnects */
    add(fixture, NULL, 5, 1, 500);
    assert_int_equal(fixture->pending.count, 5);
    assert_int_equal(fixture->pending.caller_replies, 5);
}

static void a_loss_fails_what_began_to_be_sent(void **state)
{
    struct fixture *fixture = *state;
    struct pending *pending = &fixture->pending;
    for (uint64_t i = 0; i < 4; i++)
        add(fixture, callback, i * 10, 1, CLOCK_NEVER);
    /* 25 bytes are sent: the third request is cut. */
    assert_int_equal(pending_fail(pending, 25, 40, SKUA_ERR_IO), 30);
    check(pending);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pending_at(pending, i)->status, i < 3 ? SKUA_ERR_IO : SKUA_OK);
    /* A second loss, before the callbacks of the first were called, does not change their status. */
    assert_int_equal(pending_fail(pending, 31, 40, SKUA_ERR_CLOSED), 40);
    assert_int_equal(pending_at(pending, 0)->status, SKUA_ERR_IO);
    assert_int_equal(pending_at(pending, 3)->status, SKUA_ERR_CLOSED);
}

static void a_request_at_the_border_was_not_sent(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, callback, 0, 1, CLOCK_NEVER);
    add(fixture, callback, 10, 1, CLOCK_NEVER);
    assert_int_equal(pending_fail(&fixture->pending, 10, 20, SKUA_ERR_IO), 10);
    assert_int_equal(pending_at(&fixture->pending, 1)->status, SKUA_OK);
}

static void the_earliest_deadline_may_be_behind_others(void **state)
{
    struct fixture *fixture = *state;
    struct pending *pending = &fixture->pending;
    add(fixture, callback, 0, 1, 1000);
    add(fixture, callback, 1, 1, 200);
    add(fixture, callback, 2, 1, CLOCK_NEVER);
    assert_int_equal(pending->earliest_ms, 200);
    assert_false(pending_expired(pending, 199));
    assert_true(pending_expired(pending, 200));
    pending_fail_one(pending, 1, 1, SKUA_ERR_TIMEOUT);
    check(pending);
    assert_int_equal(pending_head(pending)->status, SKUA_ERR_TIMEOUT);
    assert_false(pending_expired(pending, 200));
    assert_int_equal(pending->earliest_ms, 1000);
    assert_int_equal(pending_at(pending, 2)->place, 1); /* moved up by the byte that was cut out */
}

static void an_empty_queue_has_no_deadline(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, callback, 0, 1, 100);
    pending_take_reply(&fixture->pending);
    assert_true(fixture->pending.earliest_ms == CLOCK_NEVER);
}

static void bytes_without_replies_leave_when_they_are_sent(void **state)
{
    struct fixture *fixture = *state;
    struct pending *pending = &fixture->pending;
    add(fixture, NULL, 0, 0, CLOCK_NEVER);
    add(fixture, callback, 10, 1, CLOCK_NEVER);
    pending_settle(pending, 9, 20);
    assert_int_equal(pending->count, 2);
    pending_settle(pending, 10, 20);
    assert_int_equal(pending->count, 1);
    assert_int_equal(pending_head(pending)->replies, 1);
}

static void forgotten_requests_have_no_replies(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, NULL, 0, 3, CLOCK_NEVER);
    add(fixture, callback, 1, 1, CLOCK_NEVER);
    pending_forget_caller(&fixture->pending);
    check(&fixture->pending);
    assert_int_equal(fixture->pending.replies, 1);
    assert_int_equal(fixture->pending.caller_replies, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_leave_in_the_order_in_which_they_came, set_up, tear_down),
        cmocka_unit_test_setup_teardown(batches_without_callbacks_are_one_entry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_differs_is_kept_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_loss_fails_what_began_to_be_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_request_at_the_border_was_not_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_earliest_deadline_may_be_behind_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_queue_has_no_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_without_replies_leave_when_they_are_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgotten_requests_have_no_replies, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
