/* Proves that what LZF packs expands to what it was, that it packs what repeats itself, the same bytes whatever was packed
 * before, and that it writes no byte more than it may; and that CRC-64 is the one of Jones in whatever pieces it is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "rdb/crc64.h"
#include "rdb/lzf.h"

#define SIZE_MAX_TESTED 40000
#define ROUNDS          400

static struct lzf_memory memory;

/* Text of a few words, with noise in it: `noise` of a hundred bytes are random. */
static size_t make_text(struct rng *rng, char *text, unsigned noise)
{
    static const char *const words[] = {"alpha ", "beta:", "0", "{\"key\":", "aaaaaaaaaaaaaaaa"};
    size_t size = 0, wanted = rng_below(rng, SIZE_MAX_TESTED - 32) + 1;
    while (size < wanted) {
        if (rng_below(rng, 100) < noise) {
            text[size++] = (char)rng_next(rng);
            continue;
        }
        const char *word = words[rng_below(rng, 5)];
        memcpy(text + size, word, strlen(word));
        size += strlen(word);
    }
    return size;
}

static void expect_round_trip(struct slice text, size_t out_max, char *packed, size_t *ret_packed)
{
    static char expanded[SIZE_MAX_TESTED + 1];
    size_t size = lzf_compress(&memory, text, packed, out_max);
    *ret_packed = size;
    if (size == 0)
        return;
    assert_true(size <= out_max);
    expanded[text.size] = '!';
    assert_true(lzf_expand(slice_make(packed, size), expanded, text.size));
    assert_memory_equal(expanded, text.data, text.size);
    assert_int_equal(expanded[text.size], '!');
    assert_true(text.size <= lzf_expanded_max(size));
    struct lzf_expander expander;
    enum status status;
    memset(expanded, 0, text.size);
    lzf_expand_begin(&expander, slice_make(packed, size), expanded, text.size);
    while ((status = lzf_expand_step(&expander, 100)) == ST_AGAIN)
        ;
    assert_int_equal(status, ST_OK);
    assert_memory_equal(expanded, text.data, text.size);
    assert_false(lzf_expand(slice_make(packed, size), expanded, text.size - 1));
    assert_false(lzf_expand(slice_make(packed, size - 1), expanded, text.size));
}

static void test_texts_of_all_kinds_come_back(void **state)
{
    static char text[SIZE_MAX_TESTED], packed[2 * SIZE_MAX_TESTED], again[2 * SIZE_MAX_TESTED];
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < ROUNDS; round++) {
        unsigned noise = round % 5 == 0 ? 100 : (unsigned)round % 60;
        struct slice whole = slice_make(text, make_text(&rng, text, noise));
        size_t size, size_again;
        expect_round_trip(whole, sizeof packed, packed, &size);
        assert_true(size > 0);
        if (noise < 20 && whole.size > 200)
            assert_true(size < whole.size);
        expect_round_trip(whole, sizeof again, again, &size_again);
        assert_int_equal(size_again, size);
        assert_memory_equal(again, packed, size);
        expect_round_trip(whole, size, again, &size_again);
        assert_int_equal(size_again, size);
        expect_round_trip(whole, size - 1, again, &size_again);
        assert_int_equal(size_again, 0);
    }
}

static void test_one_byte_repeated_is_packed_best(void **state)
{
    static char text[SIZE_MAX_TESTED], packed[SIZE_MAX_TESTED];
    size_t size;
    memset(text, 'a', sizeof text);
    expect_round_trip(slice_make(text, sizeof text), sizeof packed, packed, &size);
    assert_in_range(size, sizeof text / 88, sizeof text / 88 + 8);
}

static void test_short_texts(void **state)
{
    char packed[64];
    size_t size;
    for (size_t length = 1; length <= 40; length++) {
        char text[40];
        for (size_t i = 0; i < length; i++)
            text[i] = (char)i;
        expect_round_trip(slice_make(text, length), sizeof packed, packed, &size);
        assert_int_equal(size, length + (length + 31) / 32); /* nothing repeats: one byte more for each 32 */
    }
}

/* Memory that has served 4 GB begins anew; the next text must not be taken for an earlier one. */
static void test_memory_that_is_used_up(void **state)
{
    char packed[64];
    size_t size;
    memory.base = UINT32_MAX - 10;
    for (int i = 0; i < 5; i++) {
        expect_round_trip(SLICE("abcabcabcabc"), sizeof packed, packed, &size);
        assert_true(size > 0);
    }
    assert_in_range(memory.base, 1, 100);
}

static void test_noise_never_expands_out_of_bounds(void **state)
{
    struct rng rng;
    rng_seed(&rng, 8);
    for (int round = 0; round < 20000; round++) {
        size_t size = rng_below(&rng, 40), out_size = rng_below(&rng, 300);
        char *in = mem_alloc(size + 1), *out = mem_alloc(out_size + 1);
        for (size_t i = 0; i < size; i++)
            in[i] = (char)(rng_below(&rng, 3) == 0 ? rng_next(&rng) : rng_below(&rng, 40));
        out[out_size] = '!';
        lzf_expand(slice_make(in, size), out, out_size);
        assert_int_equal(out[out_size], '!');
        mem_free(in);
        mem_free(out);
    }
}

static void test_what_never_packs_is_seldom_tried(void **state)
{
    static struct lzf_memory fresh;
    unsigned tried = 0;
    for (unsigned i = 0; i < 16 + 8 * 10; i++) {
        if (!lzf_is_worth_while(&fresh, 100))
            continue;
        lzf_found_out(&fresh, 100, false);
        tried++;
    }
    assert_int_equal(tried, 16 + 10);
    assert_true(lzf_is_worth_while(&fresh, 1000)); /* others are another matter */
    while (!lzf_is_worth_while(&fresh, 120))
        ;
    lzf_found_out(&fresh, 120, true); /* of about that size: all are tried again */
    for (unsigned i = 0; i < 16; i++) {
        assert_true(lzf_is_worth_while(&fresh, 100));
        lzf_found_out(&fresh, 100, false);
    }
    assert_false(lzf_is_worth_while(&fresh, 100));
}

static void test_crc64(void **state)
{
    static const char digits[] = "123456789";
    assert_true(crc64(0, digits, 9) == 0xe9c6d914c4b8d9caull); /* the check value of the catalogues */
    char bytes[100];
    struct rng rng;
    rng_seed(&rng, 9);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)rng_next(&rng);
    uint64_t whole = crc64(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut++)
        assert_true(crc64(crc64(0, bytes, cut), bytes + cut, sizeof bytes - cut) == whole);
}

/* As it is defined: bit by bit. */
static uint64_t crc64_bit_by_bit(uint64_t crc, const char *bytes, size_t size)
{
    const uint64_t divisor = 0x95ac9329ac4bc9b5ull; /* the polynomial, reflected */
    for (size_t i = 0; i < size; i++) {
        crc ^= (uint8_t)bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? divisor : 0);
    }
    return crc;
}

static void test_crc64_of_many_bytes(void **state)
{
    static char bytes[4096];
    struct rng rng;
    rng_seed(&rng, 10);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)rng_next(&rng);
    for (unsigned round = 0; round < 2000; round++) {
        size_t start = rng_below(&rng, 64), size = rng_below(&rng, round % 2 ? 600 : sizeof bytes - start);
        uint64_t before = rng_next(&rng);
        assert_true(crc64(before, bytes + start, size) == crc64_bit_by_bit(before, bytes + start, size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_of_all_kinds_come_back),
        cmocka_unit_test(test_one_byte_repeated_is_packed_best),
        cmocka_unit_test(test_short_texts),
        cmocka_unit_test(test_memory_that_is_used_up),
        cmocka_unit_test(test_noise_never_expands_out_of_bounds),
        cmocka_unit_test(test_what_never_packs_is_seldom_tried),
        cmocka_unit_test(test_crc64),
        cmocka_unit_test(test_crc64_of_many_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
