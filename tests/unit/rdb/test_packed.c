/* Proves that listpacks are read as they are written, for every form of an entry and every size of what stands behind it;
 * and that of the four packed kinds whatever is cut, changed or miscounted is noticed before ST_EOF, without a byte outside
 * of the string being looked at (each is a block of its own, so that the sanitizer sees it). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "rdb/format.h"
#include "rdb/packed.h"
#include "rdb/read.h"
#include "rdb/write.h"

#define ITEMS_MAX 64

/* Reads all of a string. Returns how it ended; *ret_count is the number of items. */
static enum status read_all(enum packed_kind kind, struct slice bytes, unsigned *ret_count,
                            struct packed_item *ret_items)
{
    char *block = mem_alloc(bytes.size + (bytes.size == 0));
    struct packed packed;
    struct packed_item item;
    memcpy(block, bytes.data, bytes.size);
    enum status status = packed_open(&packed, kind, slice_make(block, bytes.size));
    *ret_count = 0;
    while (status == ST_OK && (status = packed_next(&packed, &item)) == ST_OK) {
        /* What is handed out lies within the string. */
        if (!item.is_int)
            assert_true(item.text.size == 0 ||
                        (item.text.data > block && item.text.data + item.text.size <= block + bytes.size));
        if (ret_items != NULL && *ret_count < ITEMS_MAX) {
            if (!item.is_int)
                item.text.data = bytes.data + (item.text.data - block);
            ret_items[*ret_count] = item;
        }
        ++*ret_count;
    }
    mem_free(block);
    return status;
}

static const int64_t numbers[] = {
    0,        1,          127,        128,       -1,        4095,      4096,    -4096,
    -4097,    32767,      32768,      -32768,    -32769,    8388607,   8388608, -8388608,
    -8388609, 2147483647, 2147483648, INT32_MIN, INT64_MAX, INT64_MIN,
};
static const size_t sizes[] = {0,    1,    63,    64,    125,   126,   127,  128,
                               4095, 4096, 16378, 16379, 16383, 16384, 70000};

static void test_listpacks_are_read_as_written(void **state)
{
    static char text[70000];
    struct buf out = {0};
    struct listpack pack;
    struct packed_item items[ITEMS_MAX];
    unsigned count;
    memset(text, 't', sizeof text);
    buf_append_string(&out, "before");
    listpack_begin(&pack, &out);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        listpack_add_int(&pack, numbers[i]);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++)
        listpack_add_text(&pack, slice_make(text, sizes[i]));
    listpack_end(&pack);
    assert_int_equal(read_all(PACKED_LISTPACK, slice_make(out.data + 6, out.size - 6), &count, items),
                     ST_EOF);
    assert_int_equal(count, ARRAY_COUNT(numbers) + ARRAY_COUNT(sizes));
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        assert_true(items[i].is_int);
        assert_true(items[i].number == numbers[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        assert_false(items[ARRAY_COUNT(numbers) + i].is_int);
        assert_int_equal(items[ARRAY_COUNT(numbers) + i].text.size, sizes[i]);
    }
    buf_done(&out);
}

static void test_scores_are_integers_where_they_can(void **state)
{
    static const double scores[] = {0.0, -1.0, 1e15, 0.5, 9007199254740993.0, 1e300, -INFINITY};
    struct buf out = {0};
    struct listpack pack;
    struct packed_item items[ITEMS_MAX];
    unsigned count;
    listpack_begin(&pack, &out);
    for (size_t i = 0; i < ARRAY_COUNT(scores); i++)
        listpack_add_score(&pack, scores[i]);
    listpack_end(&pack);
    assert_int_equal(read_all(PACKED_LISTPACK, buf_slice(&out), &count, items), ST_EOF);
    assert_int_equal(count, ARRAY_COUNT(scores));
    for (unsigned i = 0; i < count; i++) {
        double score = (double)items[i].number;
        assert_int_equal(items[i].is_int, i < 3);
        if (!items[i].is_int)
            assert_true(num_parse_double(items[i].text, &score));
        assert_true(score == scores[i]);
    }
    buf_done(&out);
}

static void test_a_listpack_of_very_many(void **state)
{
    struct buf out = {0};
    struct listpack pack;
    unsigned count;
    listpack_begin(&pack, &out);
    for (int i = 0; i < 70000; i++)
        listpack_add_int(&pack, i);
    listpack_end(&pack);
    assert_int_equal(read_all(PACKED_LISTPACK, buf_slice(&out), &count, NULL), ST_EOF);
    assert_int_equal(count, 70000);
    buf_done(&out);
}

/* ---- What is not sound ------------------------------------------------------------------------------------- */

/* Sound strings with the same items: "ab", 1, 300; a zipmap has two pairs, an intset three numbers. */
#define LISTPACK                                                                                             \
    "\x10\0\0\0\x03\0\x82"                                                                                   \
    "ab\x03\x01\x01\xc1\x2c\x02\xff"
#define ZIPLIST                                                                                              \
    "\x15\0\0\0\x10\0\0\0\x03\0\0\x02"                                                                       \
    "ab\x04\xf2\x02\xc0\x2c\x01\xff"
#define ZIPMAP                                                                                               \
    "\x02\x01"                                                                                               \
    "a\x02\0xy\x01"                                                                                          \
    "b\x01\x02"                                                                                              \
    "z??\xff"
#define INTSET "\x02\0\0\0\x03\0\0\0\xff\xff\x01\0\x2c\x01"

static const struct {
    enum packed_kind kind;
    struct slice bytes;
    unsigned items;
} sound[] = {
    {PACKED_LISTPACK, {LISTPACK, sizeof LISTPACK - 1}, 3},
    {PACKED_ZIPLIST, {ZIPLIST, sizeof ZIPLIST - 1}, 3},
    {PACKED_ZIPMAP, {ZIPMAP, sizeof ZIPMAP - 1}, 4},
    {PACKED_INTSET, {INTSET, sizeof INTSET - 1}, 3},
};

static void test_sound_strings_are_read(void **state)
{
    for (size_t i = 0; i < ARRAY_COUNT(sound); i++) {
        unsigned count;
        assert_int_equal(read_all(sound[i].kind, sound[i].bytes, &count, NULL), ST_EOF);
        assert_int_equal(count, sound[i].items);
    }
}

static void test_no_part_of_a_sound_string_is_sound(void **state)
{
    for (size_t i = 0; i < ARRAY_COUNT(sound); i++) {
        unsigned count;
        for (size_t size = 0; size < sound[i].bytes.size; size++)
            assert_int_equal(read_all(sound[i].kind, slice_make(sound[i].bytes.data, size), &count, NULL),
                             ST_INVALID);
    }
}

/* Changes of one byte that leave a string sound change a text or a number, never how many there are. */
static void test_changed_bytes_never_change_the_number(void **state)
{
    for (size_t i = 0; i < ARRAY_COUNT(sound); i++) {
        char bytes[64];
        unsigned count, refused = 0;
        size_t size = sound[i].bytes.size;
        for (size_t at = 0; at < size; at++) {
            for (unsigned change = 1; change < 256; change++) {
                memcpy(bytes, sound[i].bytes.data, size);
                bytes[at] ^= (char)change;
                enum status status = read_all(sound[i].kind, slice_make(bytes, size), &count, NULL);
                bool uncounted = sound[i].kind == PACKED_ZIPMAP && at == 0 && (uint8_t)bytes[0] >= 254;
                assert_true(status == ST_INVALID || status == ST_EOF);
                if (status == ST_EOF && !uncounted)
                    assert_int_equal(count, sound[i].items);
                refused += status == ST_INVALID;
            }
        }
        assert_in_range(refused, 255, size * 255); /* a good part of them */
    }
}

static void test_intsets_ascend(void **state)
{
    unsigned count;
    assert_int_equal(read_all(PACKED_INTSET, SLICE("\x02\0\0\0\x02\0\0\0\x01\0\x01\0"), &count, NULL),
                     ST_INVALID);
    assert_int_equal(read_all(PACKED_INTSET, SLICE("\x02\0\0\0\x02\0\0\0\x01\0\xff\xff"), &count, NULL),
                     ST_INVALID);
    assert_int_equal(read_all(PACKED_INTSET, SLICE("\x02\0\0\0\x02\0\0\0\xff\xff\x01\0"), &count, NULL),
                     ST_EOF);
    assert_int_equal(read_all(PACKED_INTSET,
                              SLICE("\x08\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\x80\x01\0\0\0\0\0\0\0"), &count,
                              NULL),
                     ST_EOF);
}

/* ---- Strings ----------------------------------------------------------------------------------------------- */

static void expect_text(const struct buf *out, struct slice expected)
{
    struct rdb_reader reader;
    struct rdb_text text = {0};
    rdb_reader_init(&reader, buf_slice(out), UINT64_MAX);
    assert_int_equal(rdb_read_text(&reader, &text), ST_OK);
    assert_int_equal(rdb_left(&reader), 0);
    assert_true(slice_equal(text.slice, expected));
    rdb_text_done(&text);
    /* No part of it is a string. */
    for (size_t size = 0; size < out->size && out->size < 300; size++) {
        struct rdb_text part = {0};
        rdb_reader_init(&reader, slice_make(out->data, size), UINT64_MAX);
        assert_int_equal(rdb_read_text(&reader, &part), ST_INVALID);
        rdb_text_done(&part);
    }
}

static void test_strings_come_back(void **state)
{
    static char bytes[70000];
    static struct lzf_memory memory;
    struct buf out = {0};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        memset(bytes, 's', sizes[i]);
        for (int packed = 0; packed < 2; packed++) {
            buf_clear(&out);
            rdb_write_string(&out, slice_make(bytes, sizes[i]), packed ? &memory : NULL);
            assert_true(out.size <= rdb_string_size_max(sizes[i]));
            assert_true((out.size < sizes[i]) == (packed && sizes[i] >= RDB_COMPRESS_MIN));
            expect_text(&out, slice_make(bytes, sizes[i]));
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        char digits[NUM_I64_TEXT_MAX];
        struct slice text = slice_make(digits, num_format_i64(numbers[i], digits));
        buf_clear(&out);
        rdb_write_string(&out, text, NULL);
        assert_true(numbers[i] != (int32_t)numbers[i] || out.size <= 5);
        expect_text(&out, text);
    }
    buf_done(&out);
}

static void test_lengths_come_back(void **state)
{
    static const uint64_t lengths[] = {0,         63, 64, 16383, 16384, UINT32_MAX, (uint64_t)UINT32_MAX + 1,
                                       UINT64_MAX};
    static const size_t widths[] = {1, 1, 2, 2, 5, 5, 9, 9};
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        struct buf out = {0};
        struct rdb_reader reader;
        uint64_t length = 1;
        rdb_write_length(&out, lengths[i]);
        assert_int_equal(out.size, widths[i]);
        rdb_reader_init(&reader, buf_slice(&out), UINT64_MAX);
        assert_int_equal(rdb_read_length(&reader, &length), ST_OK);
        assert_true(length == lengths[i]);
        rdb_reader_init(&reader, slice_make(out.data, out.size - 1), UINT64_MAX);
        assert_int_equal(rdb_read_length(&reader, &length), ST_INVALID);
        rdb_reader_init(&reader, buf_slice(&out), UINT64_MAX);
        assert_int_equal(rdb_read_count(&reader, &length), lengths[i] == 0 ? ST_OK : ST_INVALID);
        buf_done(&out);
    }
}

/* Memory is asked for only when the packed bytes can fill it. */
static void test_declared_sizes_are_held_against_the_bytes(void **state)
{
    struct rdb_reader reader;
    struct rdb_text text = {0};
    static const char huge[] = "\xc3\x03\x81\0\0\0\x7f\xff\xff\xff\xff"
                               "\x00"
                               "a\xe0";
    rdb_reader_init(&reader, slice_make(huge, sizeof huge - 1), UINT64_MAX);
    assert_int_equal(rdb_read_text(&reader, &text), ST_INVALID);
    assert_null(text.block);
    static const char small[] = "\xc3\x05\x41\x00"
                                "\x00"
                                "a\xe0\xf6\x00"; /* 256 bytes of 5 */
    rdb_reader_init(&reader, slice_make(small, sizeof small - 1), UINT64_MAX);
    assert_int_equal(rdb_read_text(&reader, &text), ST_OK);
    assert_int_equal(text.slice.size, 256);
    rdb_reader_init(&reader, slice_make(small, sizeof small - 1), 255);
    assert_int_equal(rdb_read_text(&reader, &text), ST_INVALID);
    rdb_text_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listpacks_are_read_as_written),
        cmocka_unit_test(test_scores_are_integers_where_they_can),
        cmocka_unit_test(test_a_listpack_of_very_many),
        cmocka_unit_test(test_sound_strings_are_read),
        cmocka_unit_test(test_no_part_of_a_sound_string_is_sound),
        cmocka_unit_test(test_changed_bytes_never_change_the_number),
        cmocka_unit_test(test_intsets_ascend),
        cmocka_unit_test(test_strings_come_back),
        cmocka_unit_test(test_lengths_come_back),
        cmocka_unit_test(test_declared_sizes_are_held_against_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
