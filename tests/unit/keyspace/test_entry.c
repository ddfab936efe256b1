/* Proves that an entry gives back the key, value, time to live and clock that it was built with, in every
 * encoding and size of key, that its size follows from its header, that a value is put in the place of another one only where that
 * makes the entry that would have been built of it, and that large values are shared by count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "keyspace/entry.h"

static const struct entry_options plain = {.expire_ms = ENTRY_NO_EXPIRE, .clock = 0x123456};

static int set_up(void **state)
{
    *state = heap_new();
    return 0;
}

static int tear_down(void **state)
{
    struct heap_stats stats;
    heap_stats(*state, &stats);
    heap_check(*state);
    heap_free(*state);
    return stats.used_bytes == 0 ? 0 : -1;
}

static void expect_entry(const struct entry *entry, struct slice key, struct slice value,
                         const struct entry_options *options)
{
    entry_scratch scratch;
    assert_non_null(entry);
    assert_int_equal(entry_type(entry), ENTRY_STRING);
    assert_true(slice_equal(entry_key(entry), key));
    assert_true(slice_equal(entry_string(entry, scratch), value));
    assert_int_equal(entry_expire_ms(entry), options->expire_ms);
    assert_int_equal(entry_has_expire(entry), options->expire_ms != ENTRY_NO_EXPIRE);
    assert_int_equal(entry_clock(entry), options->clock);
    assert_int_equal(!!(entry->flags & ENTRY_EDITED), options->edited);
    assert_true(entry_memory(entry) >= entry_block_size(entry));
}

static void test_every_shape(void **state)
{
    static const size_t key_sizes[] = {0, 1, 16, 254, 255, 256, 257, 70000};
    static const size_t value_sizes[] = {0, 1, 20, 21, 64, 512, 4000, 16383, 16384, 16385, 100000};
    struct heap *heap = *state;
    char *bytes = malloc(100000);
    for (size_t i = 0; i < 100000; i++)
        bytes[i] = (char)('a' + i * 7 % 26);
    for (size_t k = 0; k < ARRAY_COUNT(key_sizes); k++) {
        for (size_t v = 0; v < ARRAY_COUNT(value_sizes); v++) {
            for (unsigned variant = 0; variant < 4; variant++) {
                struct entry_options options = plain;
                options.expire_ms = variant & 1 ? 1234567890123 : ENTRY_NO_EXPIRE;
                options.edited = variant & 2;
                struct slice key = {bytes + 3, key_sizes[k]}, value = {bytes, value_sizes[v]};
                struct entry *entry = entry_new_string(heap, key, value, &options);
                expect_entry(entry, key, value, &options);
                bool large = value.size > ENTRY_INLINE_MAX;
                assert_int_equal(entry_encoding(entry), large ? ENTRY_LARGE : ENTRY_INLINE);
                assert_int_equal(entry_block_size(entry), 8 + (variant & 1 ? 8 : 0) +
                                                              (key.size > 255 ? 8 : 0) +
                                                              (large ? 8 : value.size) + key.size);
                if (!(variant & 1))
                    options.expire_ms = 77;
                struct entry *copy = entry_copy(heap, entry, SLICE("other"), &options);
                expect_entry(copy, SLICE("other"), value, &options);
                entry_free(heap, entry);
                expect_entry(copy, SLICE("other"), value, &options);
                entry_free(heap, copy);
            }
        }
    }
    free(bytes);
}

static void test_integers(void **state)
{
    static const struct {
        const char *text;
        bool is_integer;
    } rows[] = {
        {"0", true},
        {"-1", true},
        {"9223372036854775807", true},
        {"-9223372036854775808", true},
        {"7", true},
        {"", false},
        {"9223372036854775808", false},
        {"-9223372036854775809", false},
        {"01", false},
        {"+1", false},
        {"1 ", false},
        {" 1", false},
        {"-0", false},
        {"-", false},
        {"1.0", false},
        {"12345678901234567890", false},
        {"1e3", false},
        {"0x1", false},
        {"00000000000000000001", false},
    };
    struct heap *heap = *state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct slice value = slice_from_string(rows[i].text);
        struct entry *entry = entry_new_string(heap, SLICE("k"), value, &plain);
        assert_int_equal(entry_encoding(entry), rows[i].is_integer ? ENTRY_INT : ENTRY_INLINE);
        expect_entry(entry, SLICE("k"), value, &plain);
        entry_free(heap, entry);

        struct entry_options edited = plain;
        edited.edited = true;
        entry = entry_new_string(heap, SLICE("k"), value, &edited);
        assert_int_equal(entry_encoding(entry), ENTRY_INLINE);
        expect_entry(entry, SLICE("k"), value, &edited);
        entry_free(heap, entry);
    }
}

static void test_integer_word_is_aligned_and_copied(void **state)
{
    struct heap *heap = *state;
    struct entry_options volatile_options = {.expire_ms = 5};
    struct entry *entry = entry_new_int(heap, SLICE("abc"), INT64_MIN, &plain);
    assert_int_equal((uintptr_t)entry_word(entry) % 8, 0);
    *entry_word(entry) += 1;
    struct entry *copy = entry_copy(heap, entry, entry_key(entry), &volatile_options);
    assert_int_equal((uintptr_t)entry_word(copy) % 8, 0);
    expect_entry(copy, SLICE("abc"), SLICE("-9223372036854775807"), &volatile_options);
    entry_free(heap, entry);
    entry_free(heap, copy);
}

static void test_blank_is_filled_by_the_caller(void **state)
{
    static const size_t sizes[] = {0, 5, ENTRY_INLINE_MAX, ENTRY_INLINE_MAX + 1};
    struct heap *heap = *state;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct entry *entry = entry_new_blank(heap, SLICE("key"), sizes[i], &plain);
        struct slice bytes = entry_bytes(entry);
        assert_int_equal(bytes.size, sizes[i]);
        memset((char *)bytes.data, '5', bytes.size);
        assert_true(slice_equal(entry_key(entry), SLICE("key")));
        entry_free(heap, entry);
    }
}

static void test_large_values_are_counted(void **state)
{
    struct heap *heap = *state;
    size_t before = mem_used();
    struct large_string *large = large_string_new(20000, 30000);
    memset(large->data, 'x', 20000);
    struct entry *entry = entry_new_large(heap, SLICE("k"), large, &plain);
    assert_ptr_equal(entry_large(entry), large);
    assert_true(entry_memory(entry) >= 30000);
    struct large_string *held = large_string_ref(large);
    struct entry *copy = entry_copy(heap, entry, SLICE("other"), &plain);
    assert_ptr_equal(entry_large(copy), large);
    assert_int_equal(large->refs, 3);
    entry_free(heap, entry);
    entry_free(heap, copy);
    assert_int_equal(large->refs, 1);
    assert_int_equal(held->data[19999], 'x');
    assert_true(mem_used() >= before + 30000);
    large_string_unref(held);
    assert_true(mem_used() < before + 30000);
}

/* Random values over each other: one that has room makes the entry that entry_new_string would have made. */
static void test_overwriting(void **state)
{
    struct heap *heap = *state;
    struct rng rng;
    char text[300];
    unsigned overwritten = 0;
    rng_seed(&rng, 7);
    for (unsigned round = 0; round < 2000; round++) {
        struct slice key = {"a key of some length", rng_below(&rng, 21)};
        struct entry *entry = entry_new_string(heap, key, SLICE("first"), &plain);
        for (unsigned step = 0; step < 10; step++) {
            bool digits = rng_below(&rng, 4) == 0;
            size_t size = rng_below(&rng, rng_below(&rng, 8) ? 24 : sizeof text);
            for (size_t i = 0; i < size; i++)
                text[i] = (char)(digits ? '1' + (int)rng_below(&rng, 9) : 'a' + (int)rng_below(&rng, 26));
            struct slice value = {text, size};
            struct entry_options options = plain;
            options.clock = (uint32_t)rng_below(&rng, 1 << 24);
            struct entry *built = entry_new_string(heap, key, value, &options);
            bool is_alike =
                built->type_encoding == entry->type_encoding && entry_encoding(entry) == ENTRY_INLINE &&
                heap_block_size(entry_block_size(built)) == heap_block_size(entry_block_size(entry));
            assert_int_equal(entry_has_room(entry, value), is_alike);
            if (is_alike) {
                entry_overwrite(entry, value, options.clock);
                expect_entry(entry, key, value, &options);
                assert_int_equal(entry_block_size(entry), entry_block_size(built));
                entry_free(heap, built);
                overwritten++;
            } else {
                entry_free(heap, entry);
                entry = built;
            }
        }
        entry_free(heap, entry);
    }
    assert_true(overwritten > 1000);
}

/* What is more than bytes behind a short key is replaced, never overwritten. */
static void test_overwriting_is_for_plain_strings(void **state)
{
    struct heap *heap = *state;
    struct entry_options timed = plain, edited = plain;
    char long_key[300] = {0};
    timed.expire_ms = 1;
    edited.edited = true;
    struct entry *entries[] = {
        entry_new_string(heap, SLICE("k"), SLICE("value"), &timed),
        entry_new_string(heap, SLICE("k"), SLICE("value"), &edited),
        entry_new_string(heap, slice_make(long_key, sizeof long_key), SLICE("value"), &plain),
        entry_new_int(heap, SLICE("k"), 5, &plain),
        entry_new_large(heap, SLICE("k"), large_string_new(5, 5), &plain),
        entry_new_page(heap, SLICE("k"), ENTRY_LIST, NULL, &plain),
    };
    for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
        assert_false(entry_has_room(entries[i], SLICE("value")));
        entry_free(heap, entries[i]);
    }
    struct entry *entry = entry_new_string(heap, SLICE("k"), SLICE("value"), &plain);
    assert_true(entry_has_room(entry, SLICE("12a")));
    assert_false(entry_has_room(entry, SLICE("123")));
    entry_free(heap, entry);
}

static void test_refusals(void **state)
{
    struct heap *heap = *state;
    struct slice too_long = {"", ENTRY_KEY_SIZE_MAX + 1};
    assert_null(entry_new_string(heap, too_long, SLICE("v"), &plain));
    assert_null(entry_new_int(heap, too_long, 1, &plain));
    assert_null(entry_new_blank(heap, too_long, ENTRY_INLINE_MAX + 1, &plain));
    assert_null(entry_new_blank(heap, SLICE("k"), MEM_SIZE_MAX, &plain));
    assert_null(entry_new_blank(heap, SLICE("k"), SIZE_MAX, &plain));
    assert_null(large_string_new(1, SIZE_MAX));
    struct entry *entry = entry_new_int(heap, SLICE("k"), 1, &plain);
    assert_null(entry_copy(heap, entry, too_long, &plain));
    entry_free(heap, entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_shape, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_integers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_integer_word_is_aligned_and_copied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_blank_is_filled_by_the_caller, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_large_values_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_overwriting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_overwriting_is_for_plain_strings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
