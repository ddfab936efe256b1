/* Telling pushes from replies, at each length of what has arrived, and counting confirmations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/subscriptions.h"

static enum request_kind kind_of(const char *line, uint32_t *ret_detail)
{
    static char copy[128];
    const char *arguments[8];
    size_t count = 0;
    strncpy(copy, line, sizeof(copy) - 1);
    for (char *at = copy; at != NULL && count < 8; count++) {
        arguments[count] = at;
        at = strchr(at, ' ');
        if (at != NULL)
            *at++ = '\0';
    }
    return request_kind_of(count, arguments, NULL, ret_detail);
}

static void requests_are_told_by_their_names(void **state)
{
    uint32_t detail;
    assert_int_equal(kind_of("GET x", &detail), REQUEST_PLAIN);
    assert_int_equal(kind_of("SET x y", &detail), REQUEST_PLAIN);
    assert_int_equal(kind_of("subscribe a b c", &detail), REQUEST_SUBSCRIBE);
    assert_int_equal(detail, 3);
    assert_int_equal(kind_of("PUnsubscribe", &detail), REQUEST_PUNSUBSCRIBE);
    assert_int_equal(detail, 0);
    assert_int_equal(kind_of("hello 3 AUTH a b", &detail), REQUEST_HELLO);
    assert_int_equal(detail, 3);
    assert_int_equal(kind_of("HELLO", &detail), REQUEST_HELLO);
    assert_int_equal(detail, 0);
    assert_int_equal(kind_of("HELLO 33", &detail), REQUEST_HELLO);
    assert_int_equal(detail, 0);
    assert_int_equal(kind_of("monitor", &detail), REQUEST_MONITOR);
    assert_int_equal(kind_of("PSYNC ? -1", &detail), REQUEST_SYNC);
    assert_int_equal(kind_of("SUBSCRIBED", &detail), REQUEST_PLAIN);
}

static void a_name_need_not_be_terminated(void **state)
{
    uint32_t detail;
    const char *arguments[] = {"RESETTING"};
    const size_t lengths[] = {5};
    assert_int_equal(request_kind_of(1, arguments, lengths, &detail), REQUEST_RESET);
    const size_t none[] = {0};
    arguments[0] = "";
    assert_int_equal(request_kind_of(1, arguments, none, &detail), REQUEST_PLAIN);
}

/* The lead is `expected` for the whole text; for each shorter one it is that or not yet known. */
static void expect_lead(const struct traffic *traffic, const struct pending_entry *next, const char *text,
                        enum traffic_lead expected)
{
    size_t size = strlen(text);
    assert_int_equal(traffic_lead(traffic, next, text, 0), LEAD_UNKNOWN);
    for (size_t here = 1; here < size; here++) {
        enum traffic_lead lead = traffic_lead(traffic, next, text, here);
        assert_true(lead == expected || lead == LEAD_UNKNOWN);
    }
    assert_int_equal(traffic_lead(traffic, next, text, size), expected);
}

#define MESSAGE "*3\r\n$7\r\nmessage\r\n"

static void messages_of_resp2_are_pushes_only_to_who_has_subscribed(void **state)
{
    struct traffic traffic;
    const struct pending_entry plain = {.replies = 1}, subscribe = {.replies = 1, .kind = REQUEST_SUBSCRIBE};
    traffic_init(&traffic, 2);
    expect_lead(&traffic, &plain, MESSAGE, LEAD_REPLY);
    expect_lead(&traffic, NULL, MESSAGE, LEAD_REPLY);
    expect_lead(&traffic, &subscribe, MESSAGE, LEAD_PUSH);
    traffic.total = 1;
    expect_lead(&traffic, &plain, MESSAGE, LEAD_PUSH);
    expect_lead(&traffic, NULL, "*4\r\n$8\r\npmessage\r\n", LEAD_PUSH);
    expect_lead(&traffic, NULL, "*3\r\n$8\r\nsmessage\r\n", LEAD_PUSH);
    expect_lead(&traffic, &plain, "*2\r\n$4\r\npong\r\n", LEAD_REPLY);
    expect_lead(&traffic, &plain, "*3\r\n$7\r\nmessagf\r\n", LEAD_REPLY);
    expect_lead(&traffic, &plain, "*3\r\n$8\r\nmessages\r\n", LEAD_REPLY);
    expect_lead(&traffic, &plain, "*-1\r\n", LEAD_REPLY);
    expect_lead(&traffic, &plain, "*0\r\n+OK\r\n", LEAD_REPLY);
    traffic_init(&traffic, 3);
    traffic.total = 1;
    expect_lead(&traffic, &plain, MESSAGE, LEAD_REPLY);
    expect_lead(&traffic, &plain, ">3\r\n", LEAD_PUSH);
}

static void lines_of_monitor_are_told_by_their_form(void **state)
{
    struct traffic traffic;
    traffic_init(&traffic, 2);
    const char line[] = "+1700000000.123456 [0 127.0.0.1:1] \"GET\"\r\n";
    expect_lead(&traffic, NULL, line, LEAD_REPLY);
    traffic.monitor = true;
    expect_lead(&traffic, NULL, line, LEAD_PUSH);
    expect_lead(&traffic, NULL, "+OK\r\n", LEAD_REPLY);
    expect_lead(&traffic, NULL, "+1700000000\r\n", LEAD_REPLY);
    expect_lead(&traffic, NULL, "+1700000000.12x\r\n", LEAD_REPLY);
    expect_lead(&traffic, NULL, "+1700000000.12 x\r\n", LEAD_REPLY);
    expect_lead(&traffic, NULL, "+.5 [\r\n", LEAD_REPLY);
}

static bool confirm(struct traffic *traffic, struct pending_entry *next, const char *word, int64_t count,
                    bool *ret_last)
{
    struct skua_reply elements[3] = {{.type = SKUA_STRING, .string = word, .length = strlen(word)},
                                     {.type = SKUA_NULL},
                                     {.type = SKUA_INTEGER, .integer = count}};
    const struct skua_reply value = {.type = SKUA_ARRAY, .element_count = 3, .elements = elements};
    *ret_last = false;
    return traffic_confirms(traffic, next, &value, ret_last);
}

static void a_request_has_a_confirmation_for_each_channel(void **state)
{
    struct traffic traffic;
    struct pending_entry next = {.kind = REQUEST_SUBSCRIBE, .detail = 3};
    bool last;
    traffic_init(&traffic, 2);
    assert_true(confirm(&traffic, &next, "subscribe", 1, &last) && !last);
    assert_true(confirm(&traffic, &next, "subscribe", 1, &last) && !last); /* the same channel again */
    assert_true(confirm(&traffic, &next, "subscribe", 2, &last) && last);
    assert_int_equal(traffic.channels, 2);
    assert_false(confirm(&traffic, &next, "unsubscribe", 1, &last)); /* not what was asked for */
}

static void an_unsubscribe_without_arguments_has_as_many_as_are_subscribed(void **state)
{
    struct traffic traffic;
    bool last;
    traffic_init(&traffic, 2);
    struct pending_entry channels = {.kind = REQUEST_SUBSCRIBE, .detail = 2};
    confirm(&traffic, &channels, "subscribe", 1, &last);
    confirm(&traffic, &channels, "subscribe", 2, &last);
    struct pending_entry patterns = {.kind = REQUEST_PSUBSCRIBE, .detail = 1};
    assert_true(confirm(&traffic, &patterns, "psubscribe", 3, &last) && last);
    assert_int_equal(traffic.channels, 2);
    assert_int_equal(traffic.patterns, 1);
    struct pending_entry all = {.kind = REQUEST_UNSUBSCRIBE};
    assert_true(confirm(&traffic, &all, "unsubscribe", 2, &last) && !last);
    assert_true(confirm(&traffic, &all, "unsubscribe", 1, &last) && last);
    all = (struct pending_entry){.kind = REQUEST_UNSUBSCRIBE};
    assert_true(confirm(&traffic, &all, "unsubscribe", 1, &last) && last); /* nothing was: one all the same */
    assert_int_equal(traffic.patterns, 1);
    all = (struct pending_entry){.kind = REQUEST_PUNSUBSCRIBE};
    assert_true(confirm(&traffic, &all, "punsubscribe", 0, &last) && last);
    assert_int_equal(traffic.total, 0);
}

static void shards_are_counted_apart(void **state)
{
    struct traffic traffic;
    bool last;
    traffic_init(&traffic, 2);
    struct pending_entry next = {.kind = REQUEST_SSUBSCRIBE, .detail = 1};
    assert_true(confirm(&traffic, &next, "ssubscribe", 1, &last) && last);
    assert_int_equal(traffic.shards, 1);
    assert_int_equal(traffic.total, 0);
    /* The server ends it by itself, because the slot has moved. */
    assert_true(confirm(&traffic, NULL, "sunsubscribe", 0, &last) && !last);
    assert_int_equal(traffic.shards, 0);
    assert_false(confirm(&traffic, NULL, "sunsubscribe", 0, &last));
}

static void replies_change_the_connection(void **state)
{
    struct traffic traffic;
    traffic_init(&traffic, 2);
    const struct skua_reply ok = {.type = SKUA_STATUS, .string = "OK", .length = 2};
    const struct skua_reply queued = {.type = SKUA_STATUS, .string = "QUEUED", .length = 6};
    const struct skua_reply error = {.type = SKUA_ERROR, .string = "ERR no", .length = 6};
    const struct skua_reply map = {.type = SKUA_MAP};
    const struct pending_entry hello = {.kind = REQUEST_HELLO, .detail = 3}, bare = {.kind = REQUEST_HELLO};
    traffic_replied(&traffic, &hello, &error);
    assert_int_equal(traffic.protocol, 2);
    traffic_replied(&traffic, &hello, &map);
    assert_int_equal(traffic.protocol, 3);
    traffic_replied(&traffic, &bare, &map);
    assert_int_equal(traffic.protocol, 3);
    traffic_replied(&traffic, &(struct pending_entry){.kind = REQUEST_MONITOR}, &queued);
    assert_false(traffic.monitor);
    traffic_replied(&traffic, &(struct pending_entry){.kind = REQUEST_MONITOR}, &ok);
    assert_true(traffic.monitor);
    traffic_replied(&traffic, &(struct pending_entry){.kind = REQUEST_SYNC}, &ok);
    assert_true(traffic.raw);
    traffic_replied(&traffic, &(struct pending_entry){.kind = REQUEST_SUBSCRIBE}, &queued);
    assert_true(traffic.queued);
    traffic_replied(&traffic, &(struct pending_entry){.kind = REQUEST_RESET}, &ok);
    assert_int_equal(traffic.protocol, 2);
    assert_false(traffic.monitor || traffic.raw || traffic.queued);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_told_by_their_names),
        cmocka_unit_test(a_name_need_not_be_terminated),
        cmocka_unit_test(messages_of_resp2_are_pushes_only_to_who_has_subscribed),
        cmocka_unit_test(lines_of_monitor_are_told_by_their_form),
        cmocka_unit_test(a_request_has_a_confirmation_for_each_channel),
        cmocka_unit_test(an_unsubscribe_without_arguments_has_as_many_as_are_subscribed),
        cmocka_unit_test(shards_are_counted_apart),
        cmocka_unit_test(replies_change_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
