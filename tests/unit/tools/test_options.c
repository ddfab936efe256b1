/* Options of the tools: each kind of value, where reading stops, what is refused and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "common/options.h"

struct settings {
    bool raw;
    const char *host;
    int64_t port;
    double interval;
    bool odd;
};

static bool parse_odd(void *target, const char *text, char *error)
{
    if (strcmp(text, "odd") != 0) {
        snprintf(error, OPTION_ERROR_MAX, "'%s' is not odd", text);
        return false;
    }
    ((struct settings *)target)->odd = true;
    return true;
}

static const struct option_row rows[] = {
    {.section = "Connection:",
     .letter = 'h',
     .word = "host",
     .argument = "HOST",
     .help = "Where the server is",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct settings, host)},
    {.letter = 'p',
     .argument = "PORT",
     .help = "Its port",
     .kind = OPTION_INTEGER,
     .offset = offsetof(struct settings, port),
     .min = 1,
     .max = 65535},
    {.section = "Output:",
     .word = "raw",
     .help = "Bytes as they are, with a sentence that is so long that it has to be "
             "written in more than one line",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, raw)},
    {.letter = 'i',
     .word = "interval",
     .argument = "SECONDS",
     .help = "Seconds between",
     .kind = OPTION_NUMBER,
     .offset = offsetof(struct settings, interval),
     .min = 0,
     .max = 1000},
    {.word = "odd", .argument = "X", .kind = OPTION_PARSE, .parse = parse_odd},
};

/* Parses the words behind "tool"; `argc` counts all of them. */
static int parse(struct settings *settings, char *error, int argc, char **argv)
{
    struct option_set set = {rows, ARRAY_COUNT(rows), settings};
    *settings = (struct settings){0};
    *error = 0;
    return options_parse(&set, 1, argc, argv, error);
}

#define WORDS(...) ((char *[]){"tool", __VA_ARGS__, NULL})
#define PARSE(...) parse(&settings, error, (int)ARRAY_COUNT(WORDS(__VA_ARGS__)) - 1, WORDS(__VA_ARGS__))

static void test_each_kind_of_value(void **state)
{
    struct settings settings;
    char error[OPTION_ERROR_MAX];
    assert_int_equal(PARSE("-h", "there", "-p", "77", "--raw", "--interval", "0.5", "--odd", "odd"), 10);
    assert_string_equal(settings.host, "there");
    assert_int_equal(settings.port, 77);
    assert_true(settings.raw);
    assert_true(settings.interval == 0.5);
    assert_true(settings.odd);
    assert_int_equal(PARSE("--host=there", "-p77"), 3);
    assert_string_equal(settings.host, "there");
    assert_int_equal(settings.port, 77);
}

static void test_reading_stops_where_the_command_begins(void **state)
{
    struct settings settings;
    char error[OPTION_ERROR_MAX];
    assert_int_equal(PARSE("--raw", "SET", "-p", "--raw"), 2);
    assert_int_equal(settings.port, 0);
    assert_int_equal(PARSE("--", "-p"), 2);
    assert_int_equal(PARSE("-p", "1", "-1"), -1);
    assert_int_equal(PARSE("GET", "key"), 1);
}

static void test_refusals_name_the_option(void **state)
{
    struct settings settings;
    char error[OPTION_ERROR_MAX];
    assert_int_equal(PARSE("-p", "0"), -1);
    assert_string_equal(error, "-p: needs a whole number from 1 to 65535");
    assert_int_equal(PARSE("-p", "7x"), -1);
    assert_int_equal(PARSE("-i", "nan"), -1);
    assert_string_equal(error, "--interval: needs a number from 0 to 1000");
    assert_int_equal(PARSE("--odd", "even"), -1);
    assert_string_equal(error, "--odd: 'even' is not odd");
    assert_int_equal(PARSE("--raw", "--nonsense"), -1);
    assert_string_equal(error, "Unrecognized option or bad number of args for: '--nonsense'");
    assert_int_equal(PARSE("--host"), -1);
    assert_string_equal(error, "Unrecognized option or bad number of args for: '--host'");
}

static void test_help_is_written_from_the_rows(void **state)
{
    struct settings settings;
    struct option_set set = {rows, ARRAY_COUNT(rows), &settings};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    options_help(&set, 1, 60, out);
    fclose(out);
    assert_string_equal(text, "Connection:\n"
                              "  -h, --host HOST           Where the server is\n"
                              "  -p PORT                   Its port\n"
                              "\n"
                              "Output:\n"
                              "  --raw                     Bytes as they are, with a\n"
                              "                            sentence that is so long that it\n"
                              "                            has to be written in more than\n"
                              "                            one line\n"
                              "  -i, --interval SECONDS    Seconds between\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_of_value),
        cmocka_unit_test(test_reading_stops_where_the_command_begins),
        cmocka_unit_test(test_refusals_name_the_option),
        cmocka_unit_test(test_help_is_written_from_the_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
