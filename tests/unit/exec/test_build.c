/* Proves that blocks are built ahead for the commands that store a string as it stands, with room for a time to live where they
 * give one, that the key's slice moves into them, and that none is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "exec/build.h"
#include "keyspace/entry.h"

#define WORDS_MAX 8

struct fixture {
    struct heap *first;
    struct heap *sibling;
    struct run *run;
    struct slice argv[WORDS_MAX];
};

static int begin(void **state)
{
    struct fixture *fixture = mem_calloc(1, sizeof *fixture);
    fixture->first = heap_new();
    fixture->sibling = heap_new_sibling(fixture->first);
    fixture->run = mem_calloc(1, sizeof *fixture->run);
    *state = fixture;
    return 0;
}

static int end(void **state)
{
    struct fixture *fixture = *state;
    build_release(fixture->first, fixture->run);
    assert_int_equal(fixture->run->built_count, 0);
    heap_check(fixture->first);
    struct heap_stats stats;
    heap_stats(fixture->sibling, &stats);
    assert_int_equal(stats.used_bytes, 0);
    heap_free(fixture->first);
    mem_free(fixture->run);
    mem_free(fixture);
    return 0;
}

/* Adds a request of these words to the run; returns what was built for it. */
static struct entry *build(struct fixture *fixture, const char *const *words)
{
    struct run *run = fixture->run;
    struct request *request = &run->requests[run->count++];
    uint32_t argc = 0;
    for (; words[argc]; argc++)
        fixture->argv[argc] = slice_from_string(words[argc]);
    *request =
        (struct request){.command = command_lookup(fixture->argv[0]), .argv = fixture->argv, .argc = argc};
    build_value(fixture->sibling, run, fixture->argv);
    return request->built;
}

#define BUILD(...) build(*state, (const char *const[]){__VA_ARGS__, NULL})

static void set_gets_its_block(void **state)
{
    struct fixture *fixture = *state;
    const struct entry *entry = BUILD("set", "colour", "blue");
    assert_non_null(entry);
    assert_ptr_equal(heap_owner(entry), fixture->sibling);
    assert_true(slice_equal(entry_key(entry), slice_from_string("colour")));
    assert_true(slice_equal(entry_bytes(entry), slice_from_string("blue")));
    assert_ptr_equal(fixture->argv[1].data, entry_key_data(entry));
    assert_false(entry_has_expire(entry));
    assert_int_equal(fixture->run->built_count, 1);
    assert_int_equal(entry_encoding(BUILD("SETNX", "count", "12")), ENTRY_INT);
    assert_non_null(BUILD("getset", "colour", ""));
}

static void room_for_a_time_to_live_is_reserved(void **state)
{
    assert_true(entry_has_expire(BUILD("SET", "k", "v", "EX", "10")));
    assert_true(entry_has_expire(BUILD("SET", "k", "v", "px", "10")));
    assert_true(entry_has_expire(BUILD("SETEX", "k", "10", "v")));
    assert_true(entry_has_expire(BUILD("PSETEX", "k", "10", "v")));
    assert_false(entry_has_expire(BUILD("SET", "k", "v", "NX")));
    assert_false(entry_has_expire(BUILD("SET", "k", "v", "NX", "GET")));
}

static void other_requests_get_none(void **state)
{
    assert_null(BUILD("GET", "k"));
    assert_null(BUILD("SET", "k"));
    assert_null(BUILD("SETEX", "k", "10"));
    assert_null(BUILD("APPEND", "k", "v"));
    assert_null(BUILD("MSET", "k", "v"));
    assert_null(BUILD("HSET", "k", "f", "v"));
    assert_null(BUILD("nothing", "k", "v"));
}

/* Up to the largest block of the heap, whatever the encoding adds. */
static void large_values_are_left_to_the_executor(void **state)
{
    static char text[HEAP_BLOCK_MAX + 1];
    memset(text, 'x', HEAP_BLOCK_MAX);
    assert_null(BUILD("SET", "k", text));
    assert_null(BUILD("SET", text, "v"));
    text[HEAP_BLOCK_MAX - 100] = 0;
    const struct entry *entry = BUILD("SET", "k", text);
    assert_non_null(entry);
    assert_true(entry_block_size(entry) <= HEAP_BLOCK_MAX);
    assert_non_null(BUILD("SETEX", text, "10", "v"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(set_gets_its_block, begin, end),
        cmocka_unit_test_setup_teardown(room_for_a_time_to_live_is_reserved, begin, end),
        cmocka_unit_test_setup_teardown(other_requests_get_none, begin, end),
        cmocka_unit_test_setup_teardown(large_values_are_left_to_the_executor, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
