/* The catalogue of commands, hints and completion: what is said behind each line that somebody may have typed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/rng.h"
#include "cli/help.h"
#include "cli/hints.h"

#define RANDOM_ROUNDS 4000

static int set_up(void **state)
{
    *state = catalogue_new();
    return 0;
}

static int tear_down(void **state)
{
    catalogue_free(*state);
    return 0;
}

/* A server's COMMAND DOCS with one command that nobody else has. */
static void learn(struct catalogue *catalogue, struct slice docs)
{
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    struct skua_reply *reply = NULL;
    assert_int_equal(skua_reader_feed(reader, docs.data, docs.size), SKUA_OK);
    assert_int_equal(skua_reader_tree(reader, &reply), SKUA_OK);
    catalogue_add_docs(catalogue, reply);
    skua_reply_free(reply);
    skua_reader_free(reader);
}

static void assert_hint(void **state, const char *line, const char *expected)
{
    struct buf hint = {0};
    hints_rest(*state, slice_from_string(line), &hint);
    if (strcmp(buf_string(&hint), expected) != 0)
        print_error("line: %s\n", line);
    assert_string_equal(buf_string(&hint), expected);
    buf_done(&hint);
}

static void assert_candidates(void **state, const char *line, const char *expected)
{
    struct hints_candidates candidates;
    struct buf joined = {0};
    hints_complete(*state, slice_from_string(line), &candidates);
    for (size_t i = 0; i < candidates.count; i++)
        buf_printf(&joined, "%s%s", i > 0 ? " " : "", candidates.words[i]);
    if (strcmp(buf_string(&joined), expected) != 0)
        print_error("line: %s\n", line);
    assert_string_equal(buf_string(&joined), expected);
    buf_done(&joined);
    hints_candidates_done(&candidates);
}

static void what_is_left_of_the_syntax(void **state)
{
    assert_hint(state, "GET", " key");
    assert_hint(state, "get ", "key");
    assert_hint(state, "get k", "");
    assert_hint(state, "GET k ", "");
    assert_hint(state, "GETRANGE k 1", " end");
    assert_hint(state, "EXPIRE k 10 ", "[NX | XX | GT | LT]");
    assert_hint(state, "nonsense", "");
    assert_hint(state, "", "");
    assert_hint(state, "   ", "");
}

static void options_come_in_any_order(void **state)
{
    assert_hint(
        state, "GETEX k ",
        "[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]");
    assert_hint(state, "GETEX k EX", " seconds");
    assert_hint(state, "GETEX k EX 5", "");
    assert_hint(state, "GETEX k P", "X milliseconds");
    assert_hint(state, "SET k v EX 5 ", "[NX | XX | IFEQ comparison-value] [GET]");
    assert_hint(state, "SET k v GET XX ",
                "[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT "
                "unix-time-milliseconds | KEEPTTL]");
}

static void words_that_do_not_fit_have_no_hint(void **state)
{
    assert_hint(state, "SET k v NONSENSE ", "");
    assert_hint(state, "GETRANGE k x ", "");
    assert_hint(state, "DECRBY k ten ", "");
    assert_hint(state, "GET a b c", "");
}

static void repeated_arguments(void **state)
{
    assert_hint(state, "MGET ", "key [key ...]");
    assert_hint(state, "MGET a", " [key ...]");
    assert_hint(state, "MGET a b c ", "[key ...]");
    assert_hint(state, "MSET a", " value [key value ...]");
    assert_hint(state, "MSET a 1 b ", "value [key value ...]");
}

static void subcommands_quotes_and_repetition(void **state)
{
    assert_hint(state, "CLIENT", " <subcommand>");
    assert_hint(state, "client setname ", "connection-name");
    assert_hint(state, "SET \"a b",
                " value [NX | XX | IFEQ comparison-value] [GET] [EX seconds | PX milliseconds | EXAT "
                "unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]");
    assert_hint(state, "GET \"a b", "");
    assert_hint(state, "5 GET ", "key");
    assert_hint(state, "HELP", " [command | @group]");
}

static void candidates_follow_the_letters_that_were_typed(void **state)
{
    assert_candidates(state, "GETR", "GETRANGE");
    assert_candidates(state, "getr", "getrange");
    assert_candidates(state, "nonsense", "");
    assert_candidates(state, "GETEX k P", "PERSIST PX PXAT");
    assert_candidates(state, "getex k ", "ex exat persist px pxat");
    assert_candidates(state, "CLIENT GET", "GETNAME GETREDIR");
    assert_candidates(state, "client get", "getname getredir");
    assert_candidates(state, "HELP @bit", "@bitmap");
    assert_candidates(state, "HELP getr", "getrange");
    assert_candidates(state, "help client getr", "getredir");
    assert_candidates(state, "3 getr", "getrange");
    assert_candidates(state, "GETEX \"k", "");
    assert_candidates(state, ":set n", "");
}

static void a_server_knows_further_commands(void **state)
{
    struct catalogue *catalogue = *state;
    size_t before = catalogue->count;
    learn(catalogue,
          SLICE("*4\r\n$3\r\nget\r\n*2\r\n+summary\r\n+other\r\n"
                "$7\r\nfrob\xff\x1b!\r\n"
                "*8\r\n+summary\r\n+Frobs.\r\n+group\r\n+frobs\r\n+since\r\n+9.0.0\r\n+arguments\r\n*2\r\n"
                "*4\r\n+name\r\n+what\r\n+type\r\n+string\r\n"
                "*8\r\n+name\r\n+deep\r\n+type\r\n+pure-token\r\n+token\r\n+DEEP\r\n+flags\r\n*1\r\n+"
                "optional\r\n"));
    assert_int_equal(catalogue->count, before + 1);
    struct slice get = SLICE("GET");
    assert_string_not_equal(catalogue_find(catalogue, &get, 1, NULL)->summary, "other");
    learn(catalogue, SLICE("%1\r\n$4\r\nquux\r\n%1\r\n+arguments\r\n*2\r\n"
                           "%3\r\n+name\r\n+what\r\n+type\r\n+string\r\n+display_text\r\n+thing\r\n"
                           "%4\r\n+name\r\n+deep\r\n+type\r\n+pure-token\r\n+token\r\n+DEEP\r\n+flags\r\n~"
                           "1\r\n+optional\r\n"));
    assert_hint(state, "quux", " thing [DEEP]");
    assert_hint(state, "quux x d", "EEP");
    assert_candidates(state, "quux x ", "deep");
}

static void a_server_cannot_confuse_the_catalogue(void **state)
{
    struct catalogue *catalogue = *state;
    size_t before = catalogue->count;
    learn(catalogue, SLICE("-ERR unknown command\r\n"));
    learn(catalogue, SLICE("*3\r\n:1\r\n:2\r\n:3\r\n"));
    learn(catalogue, SLICE("*2\r\n*0\r\n*0\r\n"));
    learn(catalogue, SLICE("_\r\n"));
    assert_int_equal(catalogue->count, before);
    learn(catalogue, SLICE("*2\r\n+odd\r\n*4\r\n+arguments\r\n*2\r\n_\r\n*1\r\n+name\r\n+flags\r\n:1\r\n"));
    assert_int_equal(catalogue->count, before + 1);
    assert_hint(state, "odd", " arg arg");
}

static void help_by_command_and_group(void **state)
{
    struct buf text = {0};
    struct slice command[] = {SLICE("client"), SLICE("id")};
    help_append(&text, *state, command, 2, false);
    assert_non_null(strstr(buf_string(&text), "\n  CLIENT ID\n  summary: "));
    assert_non_null(strstr(buf_string(&text), "  group: connection\n"));
    buf_clear(&text);
    help_append(&text, *state, command, 1, false);
    assert_non_null(strstr(buf_string(&text), "\n  CLIENT <subcommand>\n"));
    assert_non_null(strstr(buf_string(&text), "\n  CLIENT LIST "));
    buf_clear(&text);
    struct slice group = SLICE("@bitmap");
    help_append(&text, *state, &group, 1, false);
    assert_non_null(strstr(buf_string(&text), "  BITCOUNT key"));
    assert_null(strstr(buf_string(&text), "  GET key"));
    buf_clear(&text);
    struct slice nonsense = SLICE("nonsense");
    help_append(&text, *state, &nonsense, 1, false);
    assert_non_null(strstr(buf_string(&text), "No command of this name"));
    buf_done(&text);
}

/* Lines of commands, tokens and odd bytes: no hint and no completion goes wrong, and names stay sorted. */
static void any_line_is_survived(void **state)
{
    static const char *const parts[] = {"SET",  "k",    " ", " ",       " ",    "EX",       "\"",  "'",
                                        "\\",   "5",    "-", "CLIENT",  "KILL", "BITFIELD", "GET", "u8",
                                        "\xff", "HELP", "@", "@string", "EXAT", "NX",       "\t"};
    struct catalogue *catalogue = *state;
    struct rng rng;
    rng_seed(&rng, 11);
    for (int round = 0; round < RANDOM_ROUNDS; round++) {
        struct buf line = {0}, hint = {0};
        struct hints_candidates candidates;
        for (size_t i = rng_below(&rng, 14); i > 0; i--)
            buf_append_string(&line, parts[rng_below(&rng, ARRAY_COUNT(parts))]);
        hints_rest(catalogue, buf_slice(&line), &hint);
        hints_complete(catalogue, buf_slice(&line), &candidates);
        assert_true(candidates.typed <= line.size);
        for (size_t i = 1; i < candidates.count; i++)
            assert_true(strcmp(candidates.words[i - 1], candidates.words[i]) < 0);
        hints_candidates_done(&candidates);
        buf_done(&line);
        buf_done(&hint);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_left_of_the_syntax, set_up, tear_down),
        cmocka_unit_test_setup_teardown(options_come_in_any_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(words_that_do_not_fit_have_no_hint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(repeated_arguments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(subcommands_quotes_and_repetition, set_up, tear_down),
        cmocka_unit_test_setup_teardown(candidates_follow_the_letters_that_were_typed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_knows_further_commands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_cannot_confuse_the_catalogue, set_up, tear_down),
        cmocka_unit_test_setup_teardown(help_by_command_and_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_line_is_survived, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
