/* Proves: slices compare by bytes, short pieces of memory are copied and compared without touching what lies beside them, tokens without regard to case, and each status has a text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/copy.h"
#include "base/slice.h"
#include "base/status.h"

static void equality(void **state)
{
    assert_true(slice_equal(SLICE("abc"), slice_from_string("abc")));
    assert_false(slice_equal(SLICE("abc"), SLICE("abd")));
    assert_false(slice_equal(SLICE("abc"), SLICE("ab")));
    assert_true(slice_equal(slice_make(NULL, 0), SLICE("")));
}

static void order(void **state)
{
    assert_int_equal(slice_compare(SLICE("abc"), SLICE("abc")), 0);
    assert_int_equal(slice_compare(slice_make(NULL, 0), SLICE("")), 0);
    assert_true(slice_compare(SLICE("ab"), SLICE("abc")) < 0);
    assert_true(slice_compare(SLICE("abc"), SLICE("ab")) > 0);
    assert_true(slice_compare(SLICE("a\xff"), SLICE("ab")) > 0); /* bytes are unsigned */
    assert_true(slice_compare(SLICE("a\0b"), SLICE("a\0c")) < 0);
}

static void tokens(void **state)
{
    assert_true(slice_equal_nocase(SLICE("GeT"), "get"));
    assert_true(slice_equal_nocase(SLICE("get"), "GET"));
    assert_true(slice_equal_nocase(SLICE(""), ""));
    assert_false(slice_equal_nocase(SLICE("ge"), "get"));
    assert_false(slice_equal_nocase(SLICE("gets"), "get"));
    assert_false(slice_equal_nocase(SLICE("get\0"), "get"));
    assert_false(slice_equal_nocase(SLICE("@"), "`")); /* differ in the bit that makes letters small */
}

/* Each byte that differs is seen, and none outside; copies are exact. The memory ends where the bytes do, for sanitizers. */
static void short_pieces(void **state)
{
    for (size_t size = 0; size <= EQUAL_SHORT_MAX + 2; size++) {
        char *a = malloc(size + 1), *b = malloc(size + 1);
        for (size_t i = 0; i < size; i++)
            a[i + 1] = (char)(i * 37 + size);
        a[0] = 1;
        b[0] = 2;
        copy_short(b + 1, a + 1, size);
        assert_memory_equal(a + 1, b + 1, size);
        assert_int_equal(b[0], 2);
        assert_true(equal_short(a + 1, b + 1, size));
        for (size_t i = 0; i < size; i++) {
            b[i + 1] ^= (char)0x80;
            assert_false(equal_short(a + 1, b + 1, size));
            b[i + 1] ^= (char)0x80;
        }
        free(a);
        free(b);
    }
}

static struct slice letter_at(const void *letters, uint32_t place)
{
    return slice_make((const char *)letters + place, 1);
}

static void a_name_among_names_in_order(void **state)
{
    const char *letters = "bdfhj";
    for (uint32_t count = 0; count <= 5; count++) {
        for (char letter = 'a'; letter <= 'k'; letter++) {
            uint32_t before = 0, place;
            while (before < count && letters[before] < letter)
                before++;
            bool is_there = before < count && letters[before] == letter;
            assert_int_equal(slice_find(slice_make(&letter, 1), count, letter_at, letters, &place), is_there);
            assert_int_equal(place, before);
        }
    }
}

static void every_status_has_its_text(void **state)
{
    for (int a = ST_OK; a <= ST_UNSUPPORTED; a++) {
        assert_true(strlen(status_text((enum status)a)) > 0);
        for (int b = ST_OK; b < a; b++)
            assert_string_not_equal(status_text((enum status)a), status_text((enum status)b));
    }
    assert_string_equal(status_text((enum status)(ST_UNSUPPORTED + 1)), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality),
        cmocka_unit_test(order),
        cmocka_unit_test(tokens),
        cmocka_unit_test(short_pieces),
        cmocka_unit_test(a_name_among_names_in_order),
        cmocka_unit_test(every_status_has_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
