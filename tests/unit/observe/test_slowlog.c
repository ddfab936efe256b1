/* Proves: the slow log keeps the newest entries, cuts what is long as clients of Redis know it, and shows no
 * passwords. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "exec/command.h"
#include "observe/slowlog.h"

static const struct command get_command = {.name = "get", .full_name = "get"};
static const struct command auth_command = {.name = "auth", .full_name = "auth"};
static const struct command hello_command = {.name = "hello", .full_name = "hello"};
static const struct command config_set_command = {.name = "set", .full_name = "config|set"};

static void add(struct slowlog *slowlog, const struct command *command, const struct slice *argv,
                uint32_t argc, uint64_t entries_max)
{
    struct slowlog_event event = {
        .command = command,
        .argv = argv,
        .argc = argc,
        .time_s = 1000,
        .duration_us = 5,
        .peer = SLICE("127.0.0.1:5000"),
        .name = SLICE("me"),
    };
    slowlog_add(slowlog, &event, entries_max);
}

static void assert_slice(struct slice slice, const char *expected)
{
    assert_int_equal(slice.size, strlen(expected));
    assert_memory_equal(slice.data, expected, slice.size);
}

static void test_entry_is_a_copy(void **state)
{
    struct slowlog *slowlog = slowlog_new();
    char key[] = "colour";
    struct slice argv[] = {SLICE("GET"), {key, 6}};
    add(slowlog, &get_command, argv, 2, 10);
    memset(key, 'x', 6);
    const struct slowlog_entry *entry = slowlog_newest(slowlog);
    assert_non_null(entry);
    assert_int_equal(entry->id, 0);
    assert_int_equal(entry->time_s, 1000);
    assert_int_equal(entry->duration_us, 5);
    assert_int_equal(entry->argc, 2);
    assert_slice(entry->argv[0], "GET");
    assert_slice(entry->argv[1], "colour");
    assert_slice(entry->peer, "127.0.0.1:5000");
    assert_slice(entry->name, "me");
    slowlog_free(slowlog);
}

static void test_oldest_go_first(void **state)
{
    struct slowlog *slowlog = slowlog_new();
    struct slice argv[] = {SLICE("GET"), SLICE("k")};
    for (int i = 0; i < 5; i++)
        add(slowlog, &get_command, argv, 2, 3);
    assert_int_equal(slowlog->count, 3);
    const struct slowlog_entry *entry = slowlog_newest(slowlog);
    for (uint64_t id = 4; id >= 2; id--) {
        assert_int_equal(entry->id, id);
        entry = slowlog_older(slowlog, entry);
    }
    assert_null(entry);
    slowlog_free(slowlog);
}

static void test_a_smaller_limit_takes_effect_with_the_next_entry(void **state)
{
    struct slowlog *slowlog = slowlog_new();
    struct slice argv[] = {SLICE("GET"), SLICE("k")};
    for (int i = 0; i < 5; i++)
        add(slowlog, &get_command, argv, 2, 5);
    add(slowlog, &get_command, argv, 2, 2);
    assert_int_equal(slowlog->count, 2);
    add(slowlog, &get_command, argv, 2, 0);
    assert_int_equal(slowlog->count, 0);
    assert_null(slowlog_newest(slowlog));
    slowlog_free(slowlog);
}

static void test_ids_go_on_after_a_reset(void **state)
{
    struct slowlog *slowlog = slowlog_new();
    struct slice argv[] = {SLICE("GET"), SLICE("k")};
    add(slowlog, &get_command, argv, 2, 5);
    slowlog_reset(slowlog);
    assert_null(slowlog_newest(slowlog));
    add(slowlog, &get_command, argv, 2, 5);
    assert_int_equal(slowlog_newest(slowlog)->id, 1);
    slowlog_free(slowlog);
}

static void test_long_arguments_are_cut(void **state)
{
    struct slowlog *slowlog = slowlog_new();
    char bytes[300];
    char expected[200];
    memset(bytes, 'b', sizeof bytes);
    struct slice argv[] = {SLICE("GET"), {bytes, 128}, {bytes, 129}, {bytes, 300}};
    add(slowlog, &get_command, argv, 4, 5);
    const struct slowlog_entry *entry = slowlog_newest(slowlog);
    snprintf(expected, sizeof expected, "%.128s", bytes);
    assert_slice(entry->argv[1], expected);
    snprintf(expected, sizeof expected, "%.128s... (1 more bytes)", bytes);
    assert_slice(entry->argv[2], expected);
    snprintf(expected, sizeof expected, "%.128s... (172 more bytes)", bytes);
    assert_slice(entry->argv[3], expected);
    slowlog_free(slowlog);
}

static void test_many_arguments_are_cut(void **state)
{
    struct slowlog *slowlog = slowlog_new();
    struct slice argv[40];
    for (int i = 0; i < 40; i++)
        argv[i] = SLICE("k");
    add(slowlog, &get_command, argv, 32, 5);
    assert_int_equal(slowlog_newest(slowlog)->argc, 32);
    assert_slice(slowlog_newest(slowlog)->argv[31], "k");
    add(slowlog, &get_command, argv, 33, 5);
    assert_int_equal(slowlog_newest(slowlog)->argc, 32);
    assert_slice(slowlog_newest(slowlog)->argv[30], "k");
    assert_slice(slowlog_newest(slowlog)->argv[31], "... (2 more arguments)");
    slowlog_free(slowlog);
}

static void test_the_largest_entry_fits(void **state)
{
    struct slowlog *slowlog = slowlog_new();
    static char bytes[1 << 20];
    struct slice argv[100];
    for (int i = 0; i < 100; i++)
        argv[i] = slice_make(bytes, sizeof bytes);
    struct slowlog_event event = {
        .command = &get_command,
        .argv = argv,
        .argc = 100,
        .peer = {bytes, sizeof bytes},
        .name = {bytes, sizeof bytes},
    };
    slowlog_add(slowlog, &event, 1);
    const struct slowlog_entry *entry = slowlog_newest(slowlog);
    assert_int_equal(entry->argc, 32);
    assert_int_equal(entry->peer.size, SLOWLOG_NAME_BYTES_MAX);
    assert_int_equal(entry->name.size, SLOWLOG_NAME_BYTES_MAX);
    assert_slice(entry->argv[31], "... (69 more arguments)");
    slowlog_free(slowlog);
}

static void test_passwords_are_not_shown(void **state)
{
    struct slowlog *slowlog = slowlog_new();
    struct slice auth[] = {SLICE("AUTH"), SLICE("user"), SLICE("secret")};
    add(slowlog, &auth_command, auth, 3, 9);
    assert_slice(slowlog_newest(slowlog)->argv[1], "(redacted)");
    assert_slice(slowlog_newest(slowlog)->argv[2], "(redacted)");

    struct slice hello[] = {SLICE("HELLO"), SLICE("3"),    SLICE("SETNAME"), SLICE("auth"),
                            SLICE("AUTH"),  SLICE("user"), SLICE("secret")};
    add(slowlog, &hello_command, hello, 7, 9);
    const char *shown[] = {"HELLO", "3", "SETNAME", "auth", "AUTH", "(redacted)", "(redacted)"};
    for (int i = 0; i < 7; i++)
        assert_slice(slowlog_newest(slowlog)->argv[i], shown[i]);

    struct slice config[] = {SLICE("CONFIG"),      SLICE("SET"),    SLICE("maxmemory"), SLICE("0"),
                             SLICE("RequirePass"), SLICE("secret"), SLICE("hz"),        SLICE("10")};
    add(slowlog, &config_set_command, config, 8, 9);
    assert_slice(slowlog_newest(slowlog)->argv[3], "0");
    assert_slice(slowlog_newest(slowlog)->argv[4], "RequirePass");
    assert_slice(slowlog_newest(slowlog)->argv[5], "(redacted)");
    assert_slice(slowlog_newest(slowlog)->argv[7], "10");
    slowlog_free(slowlog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entry_is_a_copy),
        cmocka_unit_test(test_oldest_go_first),
        cmocka_unit_test(test_a_smaller_limit_takes_effect_with_the_next_entry),
        cmocka_unit_test(test_ids_go_on_after_a_reset),
        cmocka_unit_test(test_long_arguments_are_cut),
        cmocka_unit_test(test_many_arguments_are_cut),
        cmocka_unit_test(test_the_largest_entry_fits),
        cmocka_unit_test(test_passwords_are_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
