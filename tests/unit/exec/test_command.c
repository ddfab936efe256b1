/* Commands are found by name in any case, nothing else is found, and keys are told from other words. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exec/args.h"
#include "exec/command.h"
#include "gen/commands.h"

#define NAME_MAX_SIZE 64

static void every_name_is_found_in_any_case(void **state)
{
    for (uint32_t i = 0; i < command_count; i++) {
        const struct command *command = command_by_id[i];
        char upper[NAME_MAX_SIZE];
        size_t size = strlen(command->full_name);
        assert_true(size < sizeof(upper));
        for (size_t c = 0; c < size; c++)
            upper[c] = (char)(c % 2 ? command->full_name[c] : toupper((unsigned char)command->full_name[c]));
        assert_ptr_equal(command_lookup_full_name(slice_make(upper, size)), command);
        assert_int_equal(command->id, i);
        if (!command->parent)
            assert_ptr_equal(command_lookup(slice_make(upper, size)), command);
    }
    assert_int_equal(command_count, COMMAND_ID_COUNT);
}

/* Each byte of each name replaced by each other byte, and the name cut and lengthened. */
static void near_misses_are_not_found(void **state)
{
    for (uint32_t i = 0; i < command_count; i++) {
        if (command_by_id[i]->parent)
            continue;
        const char *name = command_by_id[i]->name;
        const size_t size = strlen(name);
        char text[NAME_MAX_SIZE] = {0};
        memcpy(text, name, size);
        assert_ptr_not_equal(command_lookup(slice_make(text, size - 1)), command_by_id[i]);
        assert_ptr_not_equal(command_lookup(slice_make(text, size + 1)), command_by_id[i]);
        for (size_t at = 0; at < size; at++) {
            for (int byte = 0; byte < 256; byte++) {
                if (tolower(byte) == name[at])
                    continue;
                text[at] = (char)byte;
                assert_ptr_not_equal(command_lookup(slice_make(text, size)), command_by_id[i]);
            }
            text[at] = name[at];
        }
    }
}

static void odd_names_are_unknown(void **state)
{
    static const char *const names[] = {"nosuch",  "client|list",  "|", "get|", "|get",
                                        "client|", "object|nosuch"};
    assert_null(command_lookup(slice_make(NULL, 0)));
    assert_null(command_lookup_full_name(slice_make(NULL, 0)));
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        assert_null(command_lookup(slice_from_string(names[i])));
        if (i != 1)
            assert_null(command_lookup_full_name(slice_from_string(names[i])));
    }
}

static void subcommands_belong_to_their_container(void **state)
{
    const struct command *container = command_lookup(SLICE("Object"));
    assert_non_null(container);
    const struct command *subcommand = command_lookup_subcommand(container, SLICE("ENCODING"));
    assert_non_null(subcommand);
    assert_ptr_equal(subcommand->parent, container);
    assert_string_equal(subcommand->full_name, "object|encoding");
    assert_null(command_lookup_subcommand(container, SLICE("list")));
    assert_null(command_lookup_subcommand(command_lookup(SLICE("get")), SLICE("x")));
}

static void keys_of(const char *const *words, uint32_t argc, const struct key_reference *expected, int count)
{
    struct slice argv[8];
    struct key_reference keys[8] = {0};
    for (uint32_t i = 0; i < argc; i++)
        argv[i] = slice_from_string(words[i]);
    const struct command *command = command_lookup(argv[0]);
    assert_int_equal(command_keys(command, argv, argc, keys, 8), count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(keys[i].index, expected[i].index);
        assert_int_equal(keys[i].access, expected[i].access);
    }
}

#define KEYS_OF(expected, count, ...)                                                                        \
    keys_of((const char *const[]){__VA_ARGS__}, ARRAY_COUNT(((const char *const[]){__VA_ARGS__})), expected, \
            count)

static void keys_are_found(void **state)
{
    const struct key_reference read_both[] = {{1, KEY_READ | KEY_ACCESS}, {2, KEY_READ | KEY_ACCESS}};
    const struct key_reference pairs[] = {{1, KEY_OVERWRITE | KEY_UPDATE}, {3, KEY_OVERWRITE | KEY_UPDATE}};
    const struct key_reference rename[] = {{1, KEY_READ_WRITE | KEY_ACCESS | KEY_DELETE},
                                           {2, KEY_OVERWRITE | KEY_UPDATE}};
    const struct key_reference set_get[] = {{1, KEY_READ_WRITE | KEY_ACCESS | KEY_UPDATE}};
    const struct key_reference channel[] = {{1, 0}};
    KEYS_OF(read_both, 2, "mget", "a", "b");
    KEYS_OF(pairs, 2, "mset", "a", "1", "b", "2");
    KEYS_OF(pairs, 1, "set", "a", "get");
    KEYS_OF(set_get, 1, "set", "a", "b", "GeT");
    KEYS_OF(rename, 2, "rename", "a", "b");
    KEYS_OF(channel, 1, "spublish", "a", "b");
    KEYS_OF(NULL, 0, "ping");
    KEYS_OF(NULL, -1, "get");
    KEYS_OF(NULL, -1, "get", "a", "b");
}

static void keys_beyond_the_capacity_are_counted_only(void **state)
{
    const struct slice argv[] = {SLICE("del"), SLICE("a"), SLICE("b"), SLICE("c")};
    struct key_reference keys[3] = {[2] = {77, 0}};
    assert_int_equal(command_keys(command_lookup(argv[0]), argv, 4, keys, 2), 3);
    assert_int_equal(keys[1].index, 2);
    assert_int_equal(keys[2].index, 77);
}

static void tokens_match_without_regard_to_case_only(void **state)
{
    assert_true(args_is(SLICE("lib-NAME"), "lib-name", 8));
    assert_false(args_is(SLICE("lib\rname"), "lib-name", 8));
    assert_false(args_is(SLICE("lib-nam"), "lib-name", 8));
    assert_false(args_is(SLICE(""), "nx", 2));
    assert_false(args_is(SLICE("n\x18"), "nx", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_found_in_any_case),
        cmocka_unit_test(near_misses_are_not_found),
        cmocka_unit_test(odd_names_are_unknown),
        cmocka_unit_test(subcommands_belong_to_their_container),
        cmocka_unit_test(keys_are_found),
        cmocka_unit_test(keys_beyond_the_capacity_are_counted_only),
        cmocka_unit_test(tokens_match_without_regard_to_case_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
