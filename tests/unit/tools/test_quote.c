/* Lines of words with quotes: what each form stands for, what is refused. The words are those that redis-cli makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/rng.h"
#include "common/quote.h"

#define RANDOM_ROUNDS 3000
#define RANDOM_SIZE   24

/* The line splits into the words of `expected`, which '|' ends each. */
static void assert_words(const char *line, const char *expected)
{
    struct quote_words words;
    struct buf joined = {0};
    assert_true(quote_split(slice_from_string(line), &words));
    for (size_t i = 0; i < words.count; i++) {
        buf_append_slice(&joined, words.items[i]);
        buf_append_char(&joined, '|');
        assert_int_equal(words.items[i].data[words.items[i].size], 0);
    }
    assert_string_equal(buf_string(&joined), expected);
    buf_done(&joined);
    quote_words_done(&words);
}

static void words_are_separated_by_blanks(void **state)
{
    assert_words("", "");
    assert_words(" \t\r\n", "");
    assert_words("GET key", "GET|key|");
    assert_words("  GET \t key  ", "GET|key|");
    assert_words("a b c d e f g h i j k l", "a|b|c|d|e|f|g|h|i|j|k|l|");
}

static void quotes_keep_blanks(void **state)
{
    assert_words("SET \"a b\" 'c  d'", "SET|a b|c  d|");
    assert_words("\"\" ''", "||");
    assert_words("ab\"c d\"", "abc d|");
    assert_words("'say \"it\"' \"it's\"", "say \"it\"|it's|");
}

static void escapes(void **state)
{
    assert_words("\"\\n\\r\\t\\b\\a\\\\\\\"\"", "\n\r\t\b\a\\\"|");
    assert_words("\"\\x41\\x4a\\x4B\\q\"", "AJKq|");
    assert_words("\"\\x4\\xg1\"", "x4xg1|");
    assert_words("'it\\'s \\n'", "it's \\n|");
    assert_words("back\\slash", "back\\slash|");
    struct quote_words words;
    assert_true(quote_split(SLICE("\"\\x00\\xff\""), &words));
    assert_int_equal(words.items[0].size, 2);
    assert_memory_equal(words.items[0].data, "\0\xff", 2);
    quote_words_done(&words);
}

static void open_and_crowded_quotes_are_refused(void **state)
{
    static const char *const lines[] = {"\"a", "'a", "\"a\"b", "'a'b", "a \"", "\"a\\\"", "x \"y\"'z'"};
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        struct quote_words words;
        assert_false(quote_split(slice_from_string(lines[i]), &words));
        assert_int_equal(words.count, 0);
        quote_words_done(&words);
    }
}

static void one_word_is_unquoted(void **state)
{
    struct buf out = {0};
    assert_true(quote_unquote(SLICE("\"a\\x00\""), &out));
    assert_int_equal(out.size, 2);
    assert_false(quote_unquote(SLICE("two words"), &out));
    assert_false(quote_unquote(SLICE(""), &out));
    assert_false(quote_unquote(SLICE("\"open"), &out));
    assert_int_equal(out.size, 2);
    buf_done(&out);
}

/* Whatever is quoted is read back, and no bytes make the splitting go wrong. */
static void any_bytes_survive(void **state)
{
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < RANDOM_ROUNDS; round++) {
        char bytes[RANDOM_SIZE];
        size_t size = rng_below(&rng, RANDOM_SIZE + 1);
        struct buf quoted = {0}, back = {0};
        struct quote_words words;
        for (size_t i = 0; i < size; i++)
            bytes[i] = rng_below(&rng, 3) == 0 ? "\"'\\ x"[rng_below(&rng, 5)] : (char)rng_below(&rng, 256);
        buf_append_quoted(&quoted, slice_make(bytes, size));
        assert_true(quote_unquote(buf_slice(&quoted), &back));
        assert_true(slice_equal(buf_slice(&back), slice_make(bytes, size)));
        quote_split(slice_make(bytes, size), &words);
        quote_words_done(&words);
        buf_done(&quoted);
        buf_done(&back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_separated_by_blanks),
        cmocka_unit_test(quotes_keep_blanks),
        cmocka_unit_test(escapes),
        cmocka_unit_test(open_and_crowded_quotes_are_refused),
        cmocka_unit_test(one_word_is_unquoted),
        cmocka_unit_test(any_bytes_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
