/* Proves: a line of a configuration file is split with its quotes and escapes, and a word that was written is
 * read back as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/words.h"

/* Splits `line` and compares with `expected`, words separated by '|'. NULL: the line is refused. */
static void check_split(const char *line, const char *expected)
{
    struct config_words words;
    enum status status = config_words_split(slice_from_string(line), &words);
    struct buf joined = {0};
    for (uint32_t i = 0; i < words.count; i++) {
        if (i > 0)
            buf_append_char(&joined, '|');
        buf_append_slice(&joined, words.items[i]);
    }
    assert_int_equal(status, expected != NULL ? ST_OK : ST_INVALID);
    if (expected != NULL)
        assert_string_equal(buf_string(&joined), expected);
    buf_done(&joined);
    config_words_done(&words);
}

static void test_blanks_separate(void **state)
{
    check_split("", "");
    check_split(" \t\r", "");
    check_split("port 7000", "port|7000");
    check_split("  bind\t 10.0.0.1   ::1 \r", "bind|10.0.0.1|::1");
}

static void test_quotes_hold_blanks(void **state)
{
    check_split("save \"\"", "save|");
    check_split("a \"b c\" 'd e'", "a|b c|d e");
    check_split("a \"x\\x41\\n\\t\\\"\\\\\"", "a|xA\n\t\"\\");
    check_split("a \"\\xzz\"", "a|xzz");
    check_split("a 'it\\'s \\n'", "a|it's \\n");
}

static void test_quotes_must_match(void **state)
{
    check_split("a \"b", NULL);
    check_split("a 'b", NULL);
    check_split("a \"b\"c", NULL);
    check_split("a 'b'\"c\"", NULL);
    check_split("a \"b\\", NULL);
}

static void test_words_are_limited(void **state)
{
    struct buf line = {0};
    for (int i = 0; i <= CONFIG_WORDS_MAX; i++)
        buf_append_string(&line, "w ");
    struct config_words words;
    assert_int_equal(config_words_split(buf_slice(&line), &words), ST_LIMIT);
    config_words_done(&words);
    buf_done(&line);
}

static void test_written_word_reads_back(void **state)
{
    static const char *const samples[] = {"plain",          "",          "two words",
                                          "#not a comment", "qu\"ote",   "ap'os",
                                          "back\\slash",    "line\nend", "\x01\xff"};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct buf line = {0};
        config_word_append(&line, slice_from_string(samples[i]));
        struct config_words words;
        assert_int_equal(config_words_split(buf_slice(&line), &words), ST_OK);
        assert_int_equal(words.count, 1);
        assert_true(slice_equal(words.items[0], slice_from_string(samples[i])));
        config_words_done(&words);
        buf_done(&line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blanks_separate),         cmocka_unit_test(test_quotes_hold_blanks),
        cmocka_unit_test(test_quotes_must_match),       cmocka_unit_test(test_words_are_limited),
        cmocka_unit_test(test_written_word_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
