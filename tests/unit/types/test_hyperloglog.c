/* HyperLogLog values have the bytes and the estimates of redis-server, whichever way they came about; what is not sound is
 * refused. Places, operations and estimates were read from redis-server 7.0 (PFDEBUG DECODE, PFCOUNT). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/rng.h"
#include "types/hyperloglog.h"

#define SPARSE_DEFAULT 3000

static struct slice draft_slice(const struct hyperloglog_draft *draft)
{
    return slice_make(draft->bytes, draft->size);
}

static void add_numbers(struct hyperloglog_draft *draft, int first, int last, size_t limit)
{
    for (int i = first; i < last; i++) {
        char text[16];
        int size = snprintf(text, sizeof(text), "%d", i);
        hyperloglog_raise(draft, hyperloglog_place(slice_make(text, (size_t)size)), limit);
    }
}

static int64_t count_of(const struct hyperloglog_draft *draft)
{
    int64_t count = -1;
    assert_true(hyperloglog_estimate(draft_slice(draft), &count));
    return count;
}

static void assert_operations(const struct hyperloglog_draft *draft, const char *expected)
{
    struct buf text = {0};
    hyperloglog_decode(draft_slice(draft), &text);
    assert_string_equal(buf_string(&text), expected);
    buf_done(&text);
}

static void places_elements_as_redis(void **state)
{
    static const struct {
        const char *element;
        uint32_t index;
        uint8_t rank;
    } rows[] = {
        {"", 5938, 2},
        {"a", 12711, 2},
        {"b", 15780, 1},
        {"abcdefg", 5634, 2},
        {"abcdefgh", 1383, 1},
        {"abcdefghi", 6903, 1},
        {"0123456789abcdef", 5949, 1},
        {"hello world, this is more", 12583, 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct hyperloglog_place place =
            hyperloglog_place(slice_make(rows[i].element, strlen(rows[i].element)));
        assert_int_equal(place.index, rows[i].index);
        assert_int_equal(place.rank, rows[i].rank);
    }
}

static void estimates_as_redis(void **state)
{
    static const struct {
        int added;
        int64_t count;
    } rows[] = {{0, 0},     {1, 1},       {2, 2},       {5, 5},         {10, 10},
                {100, 100}, {1000, 1001}, {5000, 4985}, {100000, 99565}};
    struct hyperloglog_draft sparse;
    struct hyperloglog_draft dense;
    hyperloglog_begin_empty(&sparse);
    hyperloglog_begin_empty(&dense);
    assert_true(hyperloglog_expand(&dense));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int before = i == 0 ? 0 : rows[i - 1].added;
        add_numbers(&sparse, before, rows[i].added, SPARSE_DEFAULT);
        add_numbers(&dense, before, rows[i].added, 0);
        assert_int_equal(count_of(&sparse), rows[i].count);
        assert_int_equal(count_of(&dense), rows[i].count);
    }
    assert_int_equal(hyperloglog_kind(draft_slice(&sparse)), HYPERLOGLOG_DENSE);
    assert_memory_equal(sparse.bytes, dense.bytes, HYPERLOGLOG_DENSE_SIZE);
}

static void writes_operations_as_redis(void **state)
{
    struct hyperloglog_draft draft;
    hyperloglog_begin_empty(&draft);
    assert_memory_equal(draft.bytes, "HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff", draft.size);
    static const struct {
        struct hyperloglog_place place;
        enum hyperloglog_change change;
        const char *operations;
    } rows[] = {
        {{100, 3}, HYPERLOGLOG_CHANGED, "Z:100 v:3,1 Z:16283"},
        {{100, 2}, HYPERLOGLOG_SAME, "Z:100 v:3,1 Z:16283"},
        {{102, 3}, HYPERLOGLOG_CHANGED, "Z:100 v:3,1 z:1 v:3,1 Z:16281"},
        {{101, 3}, HYPERLOGLOG_CHANGED, "Z:100 v:3,3 Z:16281"},
        {{104, 3}, HYPERLOGLOG_CHANGED, "Z:100 v:3,3 z:1 v:3,1 Z:16279"},
        {{103, 3}, HYPERLOGLOG_CHANGED, "Z:100 v:3,4 v:3,1 Z:16279"},
        {{101, 32}, HYPERLOGLOG_CHANGED, "Z:100 v:3,1 v:32,1 v:3,3 Z:16279"},
        {{64, 1}, HYPERLOGLOG_CHANGED, "z:64 v:1,1 z:35 v:3,1 v:32,1 v:3,3 Z:16279"},
        {{0, 1}, HYPERLOGLOG_CHANGED, "v:1,1 z:63 v:1,1 z:35 v:3,1 v:32,1 v:3,3 Z:16279"},
        {{16383, 5}, HYPERLOGLOG_CHANGED, "v:1,1 z:63 v:1,1 z:35 v:3,1 v:32,1 v:3,3 Z:16278 v:5,1"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_int_equal(hyperloglog_raise(&draft, rows[i].place, SPARSE_DEFAULT), rows[i].change);
        assert_operations(&draft, rows[i].operations);
    }
}

/* Both limits of the sparse encoding: its size, and the largest value. */
static void becomes_dense_at_the_limits(void **state)
{
    struct hyperloglog_draft draft;
    hyperloglog_begin_empty(&draft);
    assert_int_equal(hyperloglog_raise(&draft, (struct hyperloglog_place){1000, 1}, 21), HYPERLOGLOG_CHANGED);
    assert_int_equal(draft.size, 21);
    assert_int_equal(hyperloglog_raise(&draft, (struct hyperloglog_place){1000, 32}, 21),
                     HYPERLOGLOG_CHANGED);
    assert_int_equal(hyperloglog_kind(draft_slice(&draft)), HYPERLOGLOG_SPARSE);
    assert_int_equal(hyperloglog_raise(&draft, (struct hyperloglog_place){2000, 1}, 21), HYPERLOGLOG_CHANGED);
    assert_int_equal(hyperloglog_kind(draft_slice(&draft)), HYPERLOGLOG_DENSE);

    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};
    hyperloglog_begin_empty(&draft);
    assert_int_equal(hyperloglog_raise(&draft, (struct hyperloglog_place){7, 33}, SIZE_MAX),
                     HYPERLOGLOG_CHANGED);
    assert_int_equal(hyperloglog_kind(draft_slice(&draft)), HYPERLOGLOG_DENSE);
    assert_true(hyperloglog_fold(draft_slice(&draft), registers));
    assert_int_equal(registers[7], 33);
}

/* Random raises, in random and in ascending order (where the cursor helps): the same registers in both encodings, and the
 * same bytes with and without the cursor. */
static void both_encodings_hold_the_same_registers(void **state)
{
    struct rng rng;
    rng_seed(&rng, 1);
    for (int round = 0; round < 40; round++) {
        struct hyperloglog_draft sparse;
        struct hyperloglog_draft fresh;
        uint8_t expected[HYPERLOGLOG_REGISTERS] = {0};
        uint8_t found[HYPERLOGLOG_REGISTERS] = {0};
        uint32_t index = 0;
        hyperloglog_begin_empty(&sparse);
        for (int i = 0; i < 400; i++) {
            index = round % 2 == 0 ? (uint32_t)rng_below(&rng, 1000)
                                   : (index + (uint32_t)rng_below(&rng, 80)) % HYPERLOGLOG_REGISTERS;
            struct hyperloglog_place place = {index, (uint8_t)(1 + rng_below(&rng, 4))};
            bool raised = place.rank > expected[index];
            assert_true(hyperloglog_begin_copy(&fresh, draft_slice(&sparse)));
            assert_int_equal(hyperloglog_raise(&sparse, place, SIZE_MAX),
                             raised ? HYPERLOGLOG_CHANGED : HYPERLOGLOG_SAME);
            hyperloglog_raise(&fresh, place, SIZE_MAX);
            assert_int_equal(fresh.size, sparse.size);
            assert_memory_equal(fresh.bytes, sparse.bytes, sparse.size);
            if (raised)
                expected[index] = place.rank;
        }
        assert_true(hyperloglog_fold(draft_slice(&sparse), found));
        assert_memory_equal(found, expected, sizeof(found));
        memset(found, 0, sizeof(found));
        assert_true(hyperloglog_expand(&sparse));
        assert_true(hyperloglog_fold(draft_slice(&sparse), found));
        assert_memory_equal(found, expected, sizeof(found));
    }
}

static void dense_registers_do_not_touch_each_other(void **state)
{
    struct hyperloglog_draft draft;
    uint8_t expected[HYPERLOGLOG_REGISTERS] = {0};
    struct rng rng;
    rng_seed(&rng, 2);
    hyperloglog_begin_empty(&draft);
    assert_true(hyperloglog_expand(&draft));
    for (int i = 0; i < 50000; i++) {
        struct hyperloglog_place place = {(uint32_t)rng_below(&rng, HYPERLOGLOG_REGISTERS),
                                          (uint8_t)(1 + rng_below(&rng, 63))};
        bool raised = place.rank > expected[place.index];
        assert_int_equal(hyperloglog_raise_dense(draft.bytes, place), raised);
        if (raised)
            expected[place.index] = place.rank;
    }
    uint8_t found[HYPERLOGLOG_REGISTERS] = {0};
    assert_true(hyperloglog_fold(draft_slice(&draft), found));
    assert_memory_equal(found, expected, sizeof(found));
}

static void keeps_a_count_until_something_changes(void **state)
{
    struct hyperloglog_draft draft;
    int64_t count = -1;
    hyperloglog_begin_empty(&draft);
    assert_false(hyperloglog_cached(draft_slice(&draft), &count));
    hyperloglog_set_cached(draft.bytes, 0x0102030405060708);
    assert_memory_equal(draft.bytes + 8, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
    assert_true(hyperloglog_cached(draft_slice(&draft), &count));
    assert_int_equal(count, 0x0102030405060708);
    hyperloglog_raise(&draft, (struct hyperloglog_place){1, 1}, SPARSE_DEFAULT);
    assert_false(hyperloglog_cached(draft_slice(&draft), &count));
    assert_memory_equal(draft.bytes + 8, "\x08\x07\x06\x05\x04\x03\x02\x81", 8);
}

static void refuses_what_is_no_hyperloglog(void **state)
{
    char bytes[HYPERLOGLOG_DENSE_SIZE + 1] = "HYLL";
    assert_int_equal(hyperloglog_kind(slice_make(bytes, HYPERLOGLOG_DENSE_SIZE)), HYPERLOGLOG_DENSE);
    assert_int_equal(hyperloglog_kind(slice_make(bytes, HYPERLOGLOG_DENSE_SIZE - 1)), HYPERLOGLOG_NONE);
    assert_int_equal(hyperloglog_kind(slice_make(bytes, HYPERLOGLOG_DENSE_SIZE + 1)), HYPERLOGLOG_NONE);
    bytes[4] = 1;
    assert_int_equal(hyperloglog_kind(slice_make(bytes, 16)), HYPERLOGLOG_SPARSE);
    assert_int_equal(hyperloglog_kind(slice_make(bytes, 15)), HYPERLOGLOG_NONE);
    bytes[4] = 2;
    assert_int_equal(hyperloglog_kind(slice_make(bytes, HYPERLOGLOG_DENSE_SIZE)), HYPERLOGLOG_NONE);
    bytes[4] = 1;
    bytes[0] = 'h';
    assert_int_equal(hyperloglog_kind(slice_make(bytes, 16)), HYPERLOGLOG_NONE);
}

static void refuses_corrupt_operations(void **state)
{
    static const struct slice rows[] = {
        SLICE(""),         SLICE("\x3f"),         SLICE("\x7f"),
        SLICE("\x7f\xfe"), SLICE("\x7f\xff\x80"), SLICE("\x7f\xff\x7f"),
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct hyperloglog_draft draft;
        uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};
        int64_t count = -7;
        hyperloglog_begin_empty(&draft);
        memcpy(draft.bytes + HYPERLOGLOG_HEADER_SIZE, rows[i].data, rows[i].size);
        draft.size = HYPERLOGLOG_HEADER_SIZE + rows[i].size;
        assert_false(hyperloglog_fold(draft_slice(&draft), registers));
        assert_false(hyperloglog_estimate(draft_slice(&draft), &count));
        assert_int_equal(count, -7);
        assert_false(hyperloglog_expand(&draft));
        assert_int_equal(draft.size, HYPERLOGLOG_HEADER_SIZE + rows[i].size);
    }
    static char endless[HYPERLOGLOG_SPARSE_SIZE_MAX + 1] = "HYLL\x01";
    struct hyperloglog_draft draft;
    assert_false(hyperloglog_begin_copy(&draft, slice_make(endless, sizeof(endless))));
}

static void tests_itself(void **state)
{
    assert_null(hyperloglog_self_test());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_elements_as_redis),
        cmocka_unit_test(estimates_as_redis),
        cmocka_unit_test(writes_operations_as_redis),
        cmocka_unit_test(becomes_dense_at_the_limits),
        cmocka_unit_test(both_encodings_hold_the_same_registers),
        cmocka_unit_test(dense_registers_do_not_touch_each_other),
        cmocka_unit_test(keeps_a_count_until_something_changes),
        cmocka_unit_test(refuses_what_is_no_hyperloglog),
        cmocka_unit_test(refuses_corrupt_operations),
        cmocka_unit_test(tests_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
