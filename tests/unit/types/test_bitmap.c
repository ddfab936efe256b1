/* Bits counted, found, combined and packed give what looking at one bit after the other gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/rng.h"
#include "types/bitmap.h"

#define SIZE_MAX_TESTED 100

static struct rng rng;

/* Random bytes; every other time sparse ones, so that runs of equal bits occur. */
static void fill(char *bytes, size_t size)
{
    bool sparse = rng_below(&rng, 2) == 0;
    char background = rng_below(&rng, 2) == 0 ? 0 : (char)0xff;
    for (size_t i = 0; i < size; i++)
        bytes[i] = sparse && rng_below(&rng, 20) != 0 ? background : (char)rng_next(&rng);
}

static void counts_as_bit_by_bit(void **state)
{
    char bytes[SIZE_MAX_TESTED];
    for (int round = 0; round < 3000; round++) {
        size_t size = 1 + rng_below(&rng, sizeof(bytes));
        fill(bytes, size);
        uint64_t last = rng_below(&rng, size * 8);
        uint64_t first = rng_below(&rng, last + 1);
        struct slice slice = slice_make(bytes, size);
        uint64_t expected = 0;
        for (uint64_t bit = first; bit <= last; bit++)
            expected += bitmap_get(slice, bit);
        assert_int_equal(bitmap_count(slice, first, last), expected);
    }
}

static void finds_as_bit_by_bit(void **state)
{
    char bytes[SIZE_MAX_TESTED];
    for (int round = 0; round < 3000; round++) {
        size_t size = 1 + rng_below(&rng, sizeof(bytes));
        fill(bytes, size);
        uint64_t last = rng_below(&rng, size * 8);
        uint64_t first = rng_below(&rng, last + 1);
        struct slice slice = slice_make(bytes, size);
        for (int value = 0; value <= 1; value++) {
            int64_t expected = -1;
            for (uint64_t bit = first; bit <= last && expected < 0; bit++) {
                if (bitmap_get(slice, bit) == value)
                    expected = (int64_t)bit;
            }
            assert_int_equal(bitmap_find(slice, first, last, value), expected);
        }
    }
}

/* A search that ends early does not read what lies behind, which may be much: a page that nobody may read, here. */
static void finds_nothing_behind_the_last_bit(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *bytes = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(bytes, MAP_FAILED);
    assert_int_equal(mprotect(bytes + page, page, PROT_NONE), 0);
    struct slice slice = slice_make(bytes, 2 * page);
    assert_int_equal(bitmap_find(slice, 0, page * 8 - 1, true), -1);
    assert_int_equal(bitmap_find(slice, page * 8 - 9, page * 8 - 1, true), -1);
    assert_int_equal(bitmap_find(slice, 5, 5, true), -1);
    munmap(bytes, 2 * page);
}

static void sets_single_bits(void **state)
{
    char bytes[2] = {0, 0};
    bitmap_set(bytes, 0, true);
    bitmap_set(bytes, 15, true);
    assert_memory_equal(bytes, "\x80\x01", 2);
    bitmap_set(bytes, 0, false);
    assert_memory_equal(bytes, "\x00\x01", 2);
    assert_false(bitmap_get(slice_make(bytes, 2), 16));
}

static char combine_byte(enum bitmap_operation operation, char a, char b)
{
    return (char)(operation == BITMAP_AND ? a & b : operation == BITMAP_OR ? a | b : a ^ b);
}

static void combines_as_byte_by_byte(void **state)
{
    static const enum bitmap_operation operations[] = {BITMAP_AND, BITMAP_OR, BITMAP_XOR};
    char target[SIZE_MAX_TESTED];
    char source[SIZE_MAX_TESTED];
    char expected[SIZE_MAX_TESTED];
    for (int round = 0; round < 1000; round++) {
        size_t size = 1 + rng_below(&rng, sizeof(target));
        size_t source_size = rng_below(&rng, size + 1);
        enum bitmap_operation operation = operations[round % 3];
        fill(target, size);
        fill(source, source_size);
        for (size_t i = 0; i < size; i++)
            expected[i] = combine_byte(operation, target[i], i < source_size ? source[i] : 0);
        bitmap_combine(operation, target, size, slice_make(source, source_size));
        assert_memory_equal(target, expected, size);
        for (size_t i = 0; i < size; i++)
            expected[i] = (char)~expected[i];
        bitmap_invert(target, size);
        assert_memory_equal(target, expected, size);
    }
}

static uint64_t read_slowly(struct slice bytes, uint64_t bit, unsigned width)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value = value << 1 | bitmap_get(bytes, bit + i);
    return value;
}

static void reads_and_writes_fields(void **state)
{
    char bytes[32];
    char expected[32];
    for (unsigned width = 1; width <= 64; width++) {
        for (unsigned bit = 0; bit <= sizeof(bytes) * 8 - width; bit++) {
            fill(bytes, sizeof(bytes));
            memcpy(expected, bytes, sizeof(bytes));
            struct slice slice = slice_make(bytes, sizeof(bytes));
            assert_true(bitmap_read(slice, bit, width) == read_slowly(slice, bit, width));
            uint64_t value = rng_next(&rng);
            for (unsigned i = 0; i < width; i++)
                bitmap_set(expected, bit + i, value >> (width - 1 - i) & 1);
            bitmap_write(bytes, bit, width, value);
            assert_memory_equal(bytes, expected, sizeof(bytes));
        }
    }
}

static void reads_zeros_behind_the_end(void **state)
{
    static const char bytes[9] = {'\xff', '\xff', '\xff', '\xff', '\xff', '\xff', '\xff', '\xff', '\xff'};
    for (size_t size = 1; size <= sizeof(bytes); size++) {
        for (unsigned bit = 0; bit < 100; bit++) {
            for (unsigned width = 1; width <= 64; width++) {
                struct slice slice = slice_make(bytes, size);
                assert_true(bitmap_read(slice, bit, width) == read_slowly(slice, bit, width));
            }
        }
    }
    assert_true(bitmap_read(slice_make(NULL, 0), UINT64_MAX / 2, 64) == 0);
}

static int seed(void **state)
{
    rng_seed(&rng, 4711);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_as_bit_by_bit),
        cmocka_unit_test(finds_as_bit_by_bit),
        cmocka_unit_test(finds_nothing_behind_the_last_bit),
        cmocka_unit_test(sets_single_bits),
        cmocka_unit_test(combines_as_byte_by_byte),
        cmocka_unit_test(reads_and_writes_fields),
        cmocka_unit_test(reads_zeros_behind_the_end),
    };
    return cmocka_run_group_tests(tests, seed, NULL);
}
