/* Ranges, numbers and edits of string values over every encoding, and what an edit may share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "types/string.h"

static struct heap *heap;
static const struct entry_options plain = {.expire_ms = ENTRY_NO_EXPIRE};

static struct entry *new_string(struct slice value)
{
    struct entry *entry = entry_new_string(heap, SLICE("key"), value, &plain);
    assert_non_null(entry);
    return entry;
}

/* An entry of `size` bytes: 'a', 'b', … */
static struct entry *new_sized(size_t size)
{
    struct entry *entry = entry_new_blank(heap, SLICE("key"), size, &plain);
    assert_non_null(entry);
    char *data = (char *)entry_bytes(entry).data;
    for (size_t i = 0; i < size; i++)
        data[i] = (char)('a' + i % 26);
    return entry;
}

static void expect_letters(const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(data[i], 'a' + i % 26);
}

static void expect_zeros(const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(data[i], 0);
}

static void knows_size_and_number(void **state)
{
    static const struct {
        const char *text;
        bool is_integer;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {"-17", true, -17},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"007", false, 0},
        {"", false, 0},
        {" 1", false, 0},
        {"1.5", false, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct slice text = slice_from_string(rows[i].text);
        struct entry *entry = new_string(text);
        int64_t value = 0;
        assert_int_equal(string_size(entry), text.size);
        assert_int_equal(string_get_i64(entry, &value), rows[i].is_integer);
        assert_true(value == rows[i].value);
        assert_int_equal(entry_encoding(entry) == ENTRY_INT, rows[i].is_integer);
        entry_free(heap, entry);
    }
    assert_int_equal(string_size(NULL), 0);

    /* An integer that was put together by editing is text, and a number all the same. */
    struct entry *edited = new_sized(2);
    memcpy((char *)entry_bytes(edited).data, "42", 2);
    int64_t value = 0;
    assert_true(string_get_i64(edited, &value));
    assert_int_equal(value, 42);
    entry_free(heap, edited);
}

static void cuts_ranges(void **state)
{
    static const struct {
        int64_t start, end;
        const char *expected;
    } rows[] = {
        {0, -1, "abcdef"},
        {1, 2, "bc"},
        {-3, -2, "de"},
        {5, 100, "f"},
        {6, 7, ""},
        {3, 2, ""},
        {-100, 1, "ab"},
        {-100, -50, "a"},
        {-50, -100, ""},
        {0, INT64_MAX, "abcdef"},
        {INT64_MIN, INT64_MAX, "abcdef"},
        {INT64_MAX, INT64_MAX, ""},
        {INT64_MIN, INT64_MIN, "a"},
        {0, INT64_MIN, "a"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct slice range = string_range(SLICE("abcdef"), rows[i].start, rows[i].end);
        assert_int_equal(range.size, strlen(rows[i].expected));
        assert_memory_equal(range.data, rows[i].expected, range.size);
    }
    assert_int_equal(string_range(SLICE(""), 0, -1).size, 0);
}

static void check_edit(struct entry *old, size_t size_before, size_t size_min)
{
    struct string_edit edit;
    assert_int_equal(string_edit_begin(heap, old, SLICE("key"), size_min, &plain, &edit), ST_OK);
    assert_int_equal(edit.size, size_min > size_before ? size_min : size_before);
    assert_int_equal(edit.size_before, size_before);
    expect_letters(edit.data, size_before);
    expect_zeros(edit.data + size_before, edit.size - size_before);
    memset(edit.data, 'x', edit.size);
    const struct entry *result = edit.entry ? edit.entry : old;
    struct slice bytes = entry_bytes(result);
    assert_int_equal(bytes.size, edit.size);
    assert_ptr_equal(bytes.data, edit.data);
    if (edit.entry && old)
        expect_letters(entry_bytes(old).data, size_before);
    if (edit.entry)
        entry_free(heap, edit.entry);
}

static void edits_from_each_size_to_each_size(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 4000, ENTRY_INLINE_MAX, ENTRY_INLINE_MAX + 1, 50000, 200000};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        check_edit(NULL, 0, sizes[i]);
        for (size_t j = 0; j < ARRAY_COUNT(sizes); j++) {
            struct entry *old = new_sized(sizes[i]);
            check_edit(old, sizes[i], sizes[j]);
            entry_free(heap, old);
        }
    }
}

static void edits_integers_as_text(void **state)
{
    struct entry *old = new_string(SLICE("12"));
    struct string_edit edit;
    assert_int_equal(string_edit_begin(heap, old, SLICE("key"), 4, &plain, &edit), ST_OK);
    assert_memory_equal(edit.data, "12\0\0", 4);
    assert_int_equal(*entry_word(old), 12);
    entry_free(heap, edit.entry);
    entry_free(heap, old);
}

/* A large string is edited where it is, but not while somebody else holds a reference. */
static void shares_no_edit(void **state)
{
    struct entry *old = new_sized(100000);
    struct string_edit edit;
    assert_int_equal(string_edit_begin(heap, old, SLICE("key"), 10, &plain, &edit), ST_OK);
    assert_null(edit.entry);
    assert_ptr_equal(edit.data, entry_bytes(old).data);

    struct large_string *held = large_string_ref(entry_large(old));
    assert_int_equal(string_edit_begin(heap, old, SLICE("key"), 10, &plain, &edit), ST_OK);
    assert_non_null(edit.entry);
    edit.data[0] = 'X';
    assert_int_equal(held->data[0], 'a');
    entry_free(heap, edit.entry);
    large_string_unref(held);
    entry_free(heap, old);
}

/* Appending byte by byte to a large string copies it a logarithmic number of times. */
static void grows_with_spare_room(void **state)
{
    struct entry *entry = new_sized(ENTRY_INLINE_MAX + 1);
    int copies = 0;
    for (size_t size = ENTRY_INLINE_MAX + 2; size < 8 * ENTRY_INLINE_MAX; size++) {
        struct string_edit edit;
        assert_int_equal(string_edit_begin(heap, entry, SLICE("key"), size, &plain, &edit), ST_OK);
        assert_int_equal(edit.data[size - 1], 0);
        edit.data[size - 1] = (char)('a' + (size - 1) % 26);
        if (edit.entry) {
            copies++;
            entry_free(heap, entry);
            entry = edit.entry;
        }
    }
    assert_in_range(copies, 1, 4);
    expect_letters(entry_bytes(entry).data, string_size(entry));
    entry_free(heap, entry);
}

static void keeps_key_and_time_to_live(void **state)
{
    struct entry_options options = {.expire_ms = 12345, .clock = 77, .edited = true};
    struct string_edit edit;
    assert_int_equal(string_edit_begin(heap, NULL, SLICE("other"), 70000, &options, &edit), ST_OK);
    assert_true(slice_equal(entry_key(edit.entry), SLICE("other")));
    assert_int_equal(entry_expire_ms(edit.entry), 12345);
    assert_int_equal(entry_clock(edit.entry), 77);
    assert_true(edit.entry->flags & ENTRY_EDITED);
    entry_free(heap, edit.entry);
}

static void refuses_what_cannot_be_allocated(void **state)
{
    struct entry *old = new_sized(10);
    struct string_edit edit = {0};
    assert_int_equal(string_edit_begin(heap, old, SLICE("key"), SIZE_MAX / 4, &plain, &edit), ST_NOMEM);
    assert_null(edit.data);
    expect_letters(entry_bytes(old).data, 10);
    entry_free(heap, old);
}

static int set_up(void **state)
{
    heap = heap_new();
    return heap == NULL;
}

static int tear_down(void **state)
{
    struct heap_stats stats;
    heap_stats(heap, &stats);
    assert_int_equal(stats.used_bytes, 0);
    heap_free(heap);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_size_and_number),
        cmocka_unit_test(cuts_ranges),
        cmocka_unit_test(edits_from_each_size_to_each_size),
        cmocka_unit_test(edits_integers_as_text),
        cmocka_unit_test(shares_no_edit),
        cmocka_unit_test(grows_with_spare_room),
        cmocka_unit_test(keeps_key_and_time_to_live),
        cmocka_unit_test(refuses_what_cannot_be_allocated),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
