/* Proves: configuration is read from text, files and the command line with errors that say where; CONFIG SET
 * changes all of its options or none, and answers in the words that clients know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/option.h"
#include "config/value.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static int setup(void **state)
{
    *state = config_new();
    return 0;
}

static int teardown(void **state)
{
    config_free(*state);
    return 0;
}

static void assert_value(const struct config *config, const char *name, const char *expected)
{
    enum config_option option = config_option_find(slice_from_string(name));
    assert_int_not_equal(option, CONFIG_OPTION_COUNT);
    struct buf text = {0};
    config_value_text(config, option, &text);
    assert_string_equal(buf_string(&text), expected);
    buf_done(&text);
}

/* Loads text; `error` NULL: it must be accepted. */
static void check_load(struct config *config, const char *text, const char *error)
{
    struct buf message = {0};
    enum status status = config_load_text(config, slice_from_string(text), "test.conf", &message);
    assert_string_equal(buf_string(&message), error != NULL ? error : "");
    assert_int_equal(status == ST_OK, error == NULL);
    buf_done(&message);
}

/* CONFIG SET with pairs that end with NULL. */
static void check_set(struct config *config, const char *error, ...)
{
    struct slice pairs[64];
    uint32_t count = 0;
    va_list arguments;
    va_start(arguments, error);
    for (const char *word = va_arg(arguments, const char *); word != NULL;
         word = va_arg(arguments, const char *))
        pairs[count++] = slice_from_string(word);
    va_end(arguments);
    assert_int_equal(count % 2, 0);
    struct buf message = {0};
    enum status status = config_set(config, pairs, count / 2, true, &message);
    assert_string_equal(buf_string(&message), error != NULL ? error : "");
    assert_int_equal(status == ST_OK, error == NULL);
    buf_done(&message);
}

/* ---- Values --------------------------------------------------------------------------------------- */

static void test_defaults(void **state)
{
    struct config *config = *state;
    assert_int_equal(config->port, 6379);
    assert_int_equal(config->io_threads, 0);
    assert_int_equal(config->proto_max_bulk_len, 512 << 20);
    assert_int_equal(config->loglevel, CONFIG_LOGLEVEL_NOTICE);
    assert_true(config->protected_mode);
    assert_int_equal(config->bind.count, 2);
    assert_string_equal(config->bind.items[1], "-::1");
    assert_int_equal(config->client_output_buffer_limit[CONFIG_OUTPUT_REPLICA].hard_bytes, 256 << 20);
    assert_value(config, "client-output-buffer-limit",
                 "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
    assert_value(config, "latency-tracking-info-percentiles", "50 99 99.9");
}

static void test_every_value_reads_back(void **state)
{
    struct config *config = *state;
    for (int i = 0; i < CONFIG_OPTION_COUNT; i++) {
        struct buf text = {0};
        config_value_text(config, (enum config_option)i, &text);
        check_set(config, NULL, config_option_name((enum config_option)i), buf_string(&text), NULL);
        assert_value(config, config_option_name((enum config_option)i), buf_string(&text));
        buf_done(&text);
    }
}

static void test_text_of_a_file(void **state)
{
    struct config *config = *state;
    check_load(config,
               "# a comment\n\n  port 7000\r\nBIND 10.0.0.1 -::1\nrequirepass \"with \\x23 blank\"\n"
               "maxmemory 2gb\nunixsocketperm 770\nloglevel WARNING\nsave \"\"\nappendonly no\nport 7001",
               NULL);
    assert_int_equal(config->port, 7001);
    assert_value(config, "bind", "10.0.0.1 -::1");
    assert_string_equal(config->requirepass, "with # blank");
    assert_int_equal(config->maxmemory, UINT64_C(2) << 30);
    assert_int_equal(config->unixsocketperm, 0770);
    assert_value(config, "unixsocketperm", "770");
    assert_int_equal(config->loglevel, CONFIG_LOGLEVEL_WARNING);
}

static void test_output_limits_collect(void **state)
{
    struct config *config = *state;
    check_load(config,
               "client-output-buffer-limit normal 1mb 512kb 5\nclient-output-buffer-limit replica 0 0 0 "
               "pubsub 1 2 3",
               NULL);
    assert_value(config, "client-output-buffer-limit", "normal 1048576 524288 5 slave 0 0 0 pubsub 1 2 3");
    check_set(config, NULL, "client-output-buffer-limit", "slave 7 8 9", NULL);
    assert_value(config, "client-output-buffer-limit", "normal 1048576 524288 5 slave 7 8 9 pubsub 1 2 3");
}

static void test_letters_are_a_set(void **state)
{
    struct config *config = *state;
    static const char *const rows[][2] = {
        {"mnKxg", "gxnKm"}, {"KEA", "AKE"}, {"g$lshzxetdKE", "AKE"}, {"KKgg", "gK"}, {"dtK", "tdK"}, {"", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        check_set(config, NULL, "notify-keyspace-events", rows[i][0], NULL);
        assert_value(config, "notify-keyspace-events", rows[i][1]);
    }
    check_set(config,
              "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - "
              "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.",
              "notify-keyspace-events", "KEq", NULL);
}

/* ---- Errors of files and the command line --------------------------------------------------------- */

static void test_errors_say_where(void **state)
{
    struct config *config = *state;
    check_load(config, "port 1\nmaxclient 5",
               "test.conf:2: unknown option \"maxclient\"; did you mean 'maxclients'?");
    check_load(config, "zzzzzz 5", "test.conf:1: unknown option \"zzzzzz\"");
    check_load(config, "\n\nport abc",
               "test.conf:3: option 'port': argument couldn't be parsed into an integer");
    check_load(config, "port", "test.conf:1: option 'port': wrong number of arguments");
    check_load(config, "port 1 2", "test.conf:1: option 'port': wrong number of arguments");
    check_load(config, "port 70000",
               "test.conf:1: option 'port': argument must be between 0 and 65535 inclusive");
    check_load(config, "requirepass \"x", "test.conf:1: unbalanced quotes");
    check_load(config, "aof-use-rdb-preamble no",
               "test.conf:1: option 'aof-use-rdb-preamble': the base of a log is always a snapshot here: "
               "only yes is accepted");
    check_load(config, "save 60", "test.conf:1: option 'save': Invalid save parameters");
    check_load(config, "save 60 0", "test.conf:1: option 'save': Invalid save parameters");
    check_load(config, "save 60 1.5", "test.conf:1: option 'save': Invalid save parameters");
    check_load(config, "include other.conf", "test.conf:1: include is not allowed here");
    check_load(config, "requirepass \"a\\x00b\"",
               "test.conf:1: option 'requirepass': argument must not contain a zero byte");
}

/* The first line replaces the default, each further one adds to it, and an empty one begins anew. */
static void test_lines_of_pairs_add_up(void **state)
{
    struct config *config = *state;
    assert_value(config, "save", "3600 1 300 100 60 10000");
    check_load(config, "save 900 1", NULL);
    assert_value(config, "save", "900 1");
    check_load(config, "save 300 10 60 10000", NULL);
    assert_value(config, "save", "900 1 300 10 60 10000");
    check_load(config, "save \"\"", NULL);
    assert_value(config, "save", "");
    check_load(config, "save 5 6", NULL);
    assert_value(config, "save", "5 6");
}

static enum status load_arguments(struct config *config, char **argv, struct buf *message)
{
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    return config_load_arguments(config, argc, argv, message);
}

static void test_command_line(void **state)
{
    struct config *config = *state;
    struct buf message = {0};
    char *good[] = {"skua-server", "--port", "7000",       "--bind", "10.0.0.1", "::1",
                    "--save",      "",       "--loglevel", "debug",  NULL};
    assert_int_equal(load_arguments(config, good, &message), ST_OK);
    assert_int_equal(config->port, 7000);
    assert_value(config, "bind", "10.0.0.1 ::1");
    char *one_word[] = {"skua-server", "--bind", "10.0.0.2 ::2", NULL};
    assert_int_equal(load_arguments(config, one_word, &message), ST_OK);
    assert_value(config, "bind", "10.0.0.2 ::2");
    char *one_argument[] = {"skua-server", "--maxmemory 64mb", "--bind  '10.0.0.3' ::3",
                            "::4",         "--port 7001",      NULL};
    assert_int_equal(load_arguments(config, one_argument, &message), ST_OK);
    assert_value(config, "maxmemory", "67108864");
    assert_value(config, "bind", "10.0.0.3 ::3 ::4");
    assert_int_equal(config->port, 7001);
    char *unbalanced[] = {"skua-server", "--bind '10.0.0.3", NULL};
    assert_int_equal(load_arguments(config, unbalanced, &message), ST_INVALID);
    assert_string_equal(buf_string(&message), "command line: unbalanced quotes");
    buf_clear(&message);
    char *bad[] = {"skua-server", "--prot", "7000", NULL};
    assert_int_equal(load_arguments(config, bad, &message), ST_INVALID);
    assert_string_equal(buf_string(&message), "command line: unknown option \"prot\"; did you mean 'port'?");
    buf_done(&message);
}

/* ---- Files ---------------------------------------------------------------------------------------- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static void test_file_with_includes(void **state)
{
    struct config *config = *state;
    char directory[] = "/tmp/skua-config-XXXXXX";
    assert_non_null(mkdtemp(directory));
    char main_path[64], part_path[64], text[256];
    snprintf(main_path, sizeof main_path, "%s/main.conf", directory);
    snprintf(part_path, sizeof part_path, "%s/part-1.conf", directory);
    snprintf(text, sizeof text, "port 1\ninclude %s/part-*.conf\ninclude %s/none-*.conf\nhz 20\n", directory,
             directory);
    write_file(main_path, text);
    write_file(part_path, "port 2\ntimeout 7\n");
    struct buf message = {0};
    assert_int_equal(config_load_file(config, main_path, &message), ST_OK);
    assert_int_equal(config->port, 2);
    assert_int_equal(config->timeout, 7);
    assert_int_equal(config->hz, 20);
    assert_string_equal(config_file_path(config), main_path);

    write_file(part_path, "port 2\nbogus 7\n");
    assert_int_equal(config_load_file(config, main_path, &message), ST_INVALID);
    assert_non_null(strstr(buf_string(&message), "part-1.conf:2: unknown option \"bogus\""));

    buf_clear(&message);
    snprintf(text, sizeof text, "include %s\n", main_path);
    write_file(main_path, text);
    assert_int_equal(config_load_file(config, main_path, &message), ST_INVALID);
    assert_non_null(strstr(buf_string(&message), "main.conf:1: includes are nested too deeply"));

    unlink(main_path);
    buf_clear(&message);
    assert_int_equal(config_load_file(config, main_path, &message), ST_IO);
    assert_non_null(strstr(buf_string(&message), "No such file or directory"));
    unlink(part_path);
    rmdir(directory);
    buf_done(&message);
}

/* ---- CONFIG SET ----------------------------------------------------------------------------------- */

#define FAILED(name) "ERR CONFIG SET failed (possibly related to argument '" name "') - "

static void test_set_answers_as_clients_know(void **state)
{
    struct config *config = *state;
    check_set(config, "ERR Unknown option or number of arguments for CONFIG SET - 'foo'", "timeout", "1",
              "foo", "2", NULL);
    check_set(config, FAILED("maxclients") "argument couldn't be parsed into an integer", "MAXCLIENTS", "abc",
              NULL);
    check_set(config, FAILED("maxclients") "argument must be between 1 and 4294967295 inclusive",
              "maxclients", "0", NULL);
    check_set(config, FAILED("Timeout") "duplicate parameter", "TIMEOUT", "3", "Timeout", "4", NULL);
    check_set(config, FAILED("protected-mode") "argument must be 'yes' or 'no'", "protected-mode", "maybe",
              NULL);
    check_set(config, FAILED("proto-max-bulk-len") "argument must be a memory value", "proto-max-bulk-len",
              "abc", NULL);
    check_set(
        config,
        FAILED(
            "loglevel") "argument(s) must be one of the following: debug, verbose, notice, warning, nothing",
        "loglevel", "foo", NULL);
    check_set(config,
              FAILED("client-output-buffer-limit") "Wrong number of arguments in buffer limit configuration.",
              "client-output-buffer-limit", "foo", NULL);
    check_set(
        config,
        FAILED("client-output-buffer-limit") "Invalid client class specified in buffer limit configuration.",
        "client-output-buffer-limit", "bogus 1 2 3", NULL);
    check_set(config,
              FAILED("client-output-buffer-limit") "Error in hard, soft or soft_seconds setting in buffer "
                                                   "limit configuration.",
              "client-output-buffer-limit", "normal 1 2mb -3", NULL);
    check_set(config,
              FAILED("latency-tracking-info-percentiles") "latency-tracking-info-percentiles parameters "
                                                          "should sit between [0.0,100.0]",
              "latency-tracking-info-percentiles", "50 101", NULL);
    check_set(
        config,
        FAILED("latency-tracking-info-percentiles") "Invalid latency-tracking-info-percentiles parameters",
        "latency-tracking-info-percentiles", "abc", NULL);
    assert_int_equal(config->timeout, 0);
}

static void test_set_is_all_or_nothing(void **state)
{
    struct config *config = *state;
    check_set(config, FAILED("hz") "argument couldn't be parsed into an integer", "timeout", "9",
              "requirepass", "x", "hz", "abc", NULL);
    assert_int_equal(config->timeout, 0);
    check_set(config, NULL, "timeout", "9", "requirepass", "x", "hz", "11", NULL);
    assert_int_equal(config->timeout, 9);
    assert_string_equal(config->requirepass, "x");
    assert_int_equal(config->hz, 11);
}

static void test_fixed_after_start(void **state)
{
    struct config *config = *state;
    check_set(config, NULL, "databases", "3", NULL);
    config_start(config);
    check_set(config, FAILED("databases") "can't set immutable config", "databases", "4", NULL);
    assert_int_equal(config->databases, 3);
}

static void test_protected_needs_permission(void **state)
{
    struct config *config = *state;
    const struct slice pairs[] = {SLICE("hz"), SLICE("11"), SLICE("dbfilename"), SLICE("x")};
    struct buf message = {0};
    assert_int_equal(config_set(config, pairs, 2, false, &message), ST_INVALID);
    assert_string_equal(buf_string(&message), FAILED("dbfilename") "can't set protected config");
    assert_int_equal(config->hz, 10);
    buf_done(&message);
    check_set(config, NULL, "hz", "11", "dbfilename", "x", NULL);
    assert_string_equal(config->dbfilename, "x");
}

struct recorder {
    int calls;
    int64_t seen;
    int64_t refuse; /* value that is not liked */
};

static bool record_threads(struct config *config, void *context, struct buf *ret_error)
{
    struct recorder *recorder = context;
    recorder->calls++;
    recorder->seen = config->io_threads;
    if (recorder->seen != recorder->refuse)
        return true;
    buf_append_string(ret_error, "too many");
    return false;
}

static bool record_port(struct config *config, void *context, struct buf *ret_error)
{
    struct recorder *recorder = context;
    recorder->calls++;
    recorder->seen = config->port;
    return true;
}

static void test_handler_is_needed(void **state)
{
    struct config *config = *state;
    config_start(config);
    check_set(config, FAILED("io-threads") "can't set immutable config", "io-threads", "2", NULL);
    struct recorder recorder = {.refuse = -1};
    config_on_change(config, CONFIG_OPTION_IO_THREADS, record_threads, &recorder);
    check_set(config, NULL, "io-threads", "2", NULL);
    assert_int_equal(recorder.calls, 1);
    assert_int_equal(recorder.seen, 2);
    check_set(config, NULL, "io-threads", "2", NULL);
    assert_int_equal(recorder.calls, 1); /* nothing changed */
}

static void test_refused_change_is_rolled_back(void **state)
{
    struct config *config = *state;
    struct recorder port = {0};
    struct recorder threads = {.refuse = 9};
    config_on_change(config, CONFIG_OPTION_PORT, record_port, &port);
    config_on_change(config, CONFIG_OPTION_IO_THREADS, record_threads, &threads);
    config_start(config);
    check_set(config, FAILED("io-threads") "too many", "masterauth", "new", "port", "7000", "io-threads", "9",
              NULL);
    assert_int_equal(config->port, 6379);
    assert_int_equal(config->io_threads, 0);
    assert_int_equal(port.calls, 2);
    assert_int_equal(port.seen, 6379);
    assert_int_equal(threads.calls, 1);
}

/* ---- CONFIG GET ----------------------------------------------------------------------------------- */

static void collect(void *context, const char *name, struct slice value)
{
    buf_printf(context, "%s=%.*s;", name, (int)value.size, value.data);
}

static void test_get_by_patterns(void **state)
{
    struct config *config = *state;
    struct buf found = {0};
    struct slice patterns[] = {SLICE("MAXCL*"), SLICE("maxclients*"), SLICE("tim?out"), SLICE("nothing")};
    assert_int_equal(config_visit(config, patterns, 4, collect, &found), 2);
    assert_non_null(strstr(buf_string(&found), "maxclients=10000;"));
    assert_non_null(strstr(buf_string(&found), "timeout=0;"));
    struct slice all = SLICE("*");
    unsigned names = 0;
    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++)
        names += 1 + (config_options[i].alias != NULL);
    assert_int_equal(config_visit(config, &all, 1, collect, &found), names);
    struct slice both = SLICE("list-max-*-size");
    assert_int_equal(config_visit(config, &both, 1, collect, &found), 2);
    buf_done(&found);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_every_value_reads_back),
        TEST(test_text_of_a_file),
        TEST(test_output_limits_collect),
        TEST(test_letters_are_a_set),
        TEST(test_errors_say_where),
        TEST(test_lines_of_pairs_add_up),
        TEST(test_command_line),
        TEST(test_file_with_includes),
        TEST(test_set_answers_as_clients_know),
        TEST(test_set_is_all_or_nothing),
        TEST(test_fixed_after_start),
        TEST(test_protected_needs_permission),
        TEST(test_handler_is_needed),
        TEST(test_refused_change_is_rolled_back),
        TEST(test_get_by_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
