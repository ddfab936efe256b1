/* Proves: patterns match as redis-server's KEYS does (the table was taken from it), the quick matcher agrees with
 * a matcher that tries everything, and many stars do not make it hang. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/glob.h"
#include "base/rng.h"

#define RANDOM_ROUNDS 200000

static void known_patterns(void **state)
{
    static const struct {
        const char *pattern;
        const char *text;
        bool matches;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"***", "abc", true},
        {"abc", "abc", true},
        {"abc", "abd", false},
        {"abc", "ab", false},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"?", "", false},
        {"*c", "abc", true},
        {"a*c", "abbbc", true},
        {"a*c", "ac", true},
        {"a*c", "acb", false},
        {"a*b*c", "axbxbxc", true},
        {"*a*b*", "xbxa", false},
        {"h[ae]llo", "hello", true},
        {"h[ae]llo", "hillo", false},
        {"h[^e]llo", "hallo", true},
        {"h[^e]llo", "hello", false},
        {"h[a-c]llo", "hbllo", true},
        {"h[a-c]llo", "hdllo", false},
        {"h[c-a]llo", "hbllo", true}, /* a reversed range is a range */
        {"[a-]", "-", false},         /* "a-]" is a range, and then nothing closes the class */
        {"[a-]", "]", true},
        {"[a-]", "`", true},
        {"[a", "a", true},
        {"[a", "b", false},
        {"[", "[", false},
        {"[^", "x", true},
        {"[]", "]", false},
        {"[]a]", "a", false},
        {"[\\]]", "]", true},
        {"[\\-a]", "-", true},
        {"[a\\-c]", "b", false},
        {"[^^]", "^", false},
        {"[a^]", "^", true},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"\\a", "a", true},
        {"a\\", "a\\", true},
        {"\\", "\\", true},
        {"\\[a]", "[a]", true},
        {"[*]", "*", true},
        {"[?]", "x", false},
        {"a[b]*", "abc", true},
        {"*[0-9]", "key9", true},
        {"*[0-9]", "key", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        bool matches = glob_match(slice_from_string(rows[i].pattern), slice_from_string(rows[i].text));
        if (matches != rows[i].matches)
            print_error("pattern '%s' text '%s'\n", rows[i].pattern, rows[i].text);
        assert_int_equal(matches, rows[i].matches);
    }
}

static void any_byte(void **state)
{
    assert_true(glob_match(slice_make("a\0*", 3), slice_make("a\0b", 3)));
    assert_false(glob_match(slice_make("a\0*", 3), slice_make("ab", 2)));
    assert_true(glob_match(slice_make("[\x80-\xff]", 5), slice_make("\xe4", 1)));
    assert_false(glob_match(slice_make("[\x80-\xff]", 5), slice_make("a", 1)));
}

static void without_case(void **state)
{
    assert_false(glob_match(SLICE("MAX*"), SLICE("maxmemory")));
    assert_true(glob_match_nocase(SLICE("MAX*"), SLICE("maxmemory")));
    assert_true(glob_match_nocase(SLICE("[A-C]x"), SLICE("bX")));
    assert_true(glob_match_nocase(SLICE("\\Q"), SLICE("q")));
    assert_false(glob_match_nocase(SLICE("[^A]"), SLICE("a")));
    assert_false(glob_match_nocase(SLICE("@"), SLICE("`"))); /* differ in the bit that makes letters small */
}

/* Tries every length for every star. Patterns here have no classes: those take one byte like '?' does. */
static bool match_by_trying(const char *pattern, const char *end, const char *text, const char *text_end)
{
    if (pattern == end)
        return text == text_end;
    if (*pattern == '*') {
        for (const char *rest = text; rest <= text_end; rest++) {
            if (match_by_trying(pattern + 1, end, rest, text_end))
                return true;
        }
        return false;
    }
    return text < text_end && (*pattern == '?' || *pattern == *text) &&
           match_by_trying(pattern + 1, end, text + 1, text_end);
}

static void agrees_with_trying_everything(void **state)
{
    struct rng rng;
    rng_seed(&rng, 3);
    for (int i = 0; i < RANDOM_ROUNDS; i++) {
        char pattern[8], text[10];
        size_t pattern_size = rng_below(&rng, sizeof(pattern) + 1),
               text_size = rng_below(&rng, sizeof(text) + 1);
        for (size_t at = 0; at < pattern_size; at++)
            pattern[at] = "ab?**"[rng_below(&rng, 5)];
        for (size_t at = 0; at < text_size; at++)
            text[at] = "ab"[rng_below(&rng, 2)];
        assert_int_equal(glob_match(slice_make(pattern, pattern_size), slice_make(text, text_size)),
                         match_by_trying(pattern, pattern + pattern_size, text, text + text_size));
    }
}

static void many_stars_end(void **state)
{
    static char pattern[2 * 200 + 1], text[5000];
    for (int i = 0; i < 200; i++)
        memcpy(pattern + 2 * i, "a*", 2);
    pattern[400] = 'b';
    memset(text, 'a', sizeof(text));
    assert_false(glob_match(slice_make(pattern, sizeof(pattern)), slice_make(text, sizeof(text))));
    text[sizeof(text) - 1] = 'b';
    assert_true(glob_match(slice_make(pattern, sizeof(pattern)), slice_make(text, sizeof(text))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_patterns), cmocka_unit_test(any_byte),
        cmocka_unit_test(without_case),   cmocka_unit_test(agrees_with_trying_everything),
        cmocka_unit_test(many_stars_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
