/* A snapshot cut out of a link's bytes: both forms, in pieces of every size, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "repl/payload.h"

#define MARK "0123456789abcdef0123456789abcdef01234567"

struct taken {
    struct payload payload;
    struct buf bytes;
    size_t used;
};

/* Gives the input in pieces of `piece` bytes, each in memory of its own. */
static void take(struct taken *taken, struct slice input, size_t piece)
{
    payload_init(&taken->payload);
    buf_clear(&taken->bytes);
    taken->used = 0;
    while (taken->used < input.size && taken->payload.state < PAYLOAD_WHOLE) {
        size_t left = input.size - taken->used;
        size_t size = left < piece ? left : piece;
        char *copy = malloc(size);
        assert_non_null(copy);
        memcpy(copy, input.data + taken->used, size);
        size_t used = payload_take(&taken->payload, slice_make(copy, size), &taken->bytes);
        free(copy);
        assert_true(used == size || taken->payload.state >= PAYLOAD_WHOLE);
        taken->used += used;
    }
}

static void assert_whole(const char *input, size_t size, const char *snapshot, size_t rest)
{
    struct taken taken = {0};
    for (size_t piece = 1; piece <= size; piece++) {
        take(&taken, slice_make(input, size), piece);
        assert_int_equal(taken.payload.state, PAYLOAD_WHOLE);
        assert_int_equal(taken.bytes.size, strlen(snapshot));
        assert_memory_equal(taken.bytes.data, snapshot, taken.bytes.size);
        assert_int_equal(taken.payload.taken, taken.bytes.size);
        assert_int_equal(taken.used, size - rest);
    }
    buf_done(&taken.bytes);
}

static void a_snapshot_of_known_length(void **state)
{
    const char input[] = "\n\n$11\r\nREDIS0010ABrest";
    assert_whole(input, strlen(input), "REDIS0010AB", strlen("rest"));
}

static void a_snapshot_up_to_its_mark(void **state)
{
    const char input[] = "\n$EOF:" MARK "\r\nREDIS0010ABCDEF" MARK "*1\r\n";
    assert_whole(input, strlen(input), "REDIS0010ABCDEF", 4);
}

static void a_mark_is_found_behind_its_own_beginnings(void **state)
{
    const char input[] = "$EOF:" MARK "\r\n0123456789abc0123456789abcdef0123456789abcdef012345" MARK "x";
    assert_whole(input, strlen(input), "0123456789abc0123456789abcdef0123456789abcdef012345", 1);
}

static void a_snapshot_may_be_shorter_than_its_mark(void **state)
{
    const char input[] = "$EOF:" MARK "\r\nR" MARK;
    assert_whole(input, strlen(input), "R", 0);
}

/* Against a search in all of the bytes at once. */
static void any_bytes_in_any_pieces(void **state)
{
    struct rng rng;
    rng_seed(&rng, 7);
    for (unsigned round = 0; round < 500; round++) {
        struct buf input = {0};
        struct taken taken = {0};
        size_t size = rng_below(&rng, 300);
        buf_append_string(&input, "$EOF:" MARK "\r\n");
        size_t head = input.size;
        for (size_t i = 0; i < size; i++) /* mostly what stands in the mark, so that parts of it occur */
            buf_append_char(&input,
                            MARK[rng_below(&rng, 3) ? i % REPL_ID_SIZE : rng_below(&rng, REPL_ID_SIZE)]);
        buf_append_string(&input, MARK "behind");
        size_t end =
            (size_t)((char *)memmem(input.data + head, input.size - head, MARK, REPL_ID_SIZE) - input.data);
        take(&taken, buf_slice(&input), 1 + rng_below(&rng, 90));
        assert_int_equal(taken.payload.state, PAYLOAD_WHOLE);
        assert_int_equal(taken.used, end + REPL_ID_SIZE);
        assert_int_equal(taken.bytes.size, end - head);
        if (taken.bytes.size > 0)
            assert_memory_equal(taken.bytes.data, input.data + head, taken.bytes.size);
        buf_done(&input);
        buf_done(&taken.bytes);
    }
}

static void what_is_no_snapshot_is_said_to_be_bad(void **state)
{
    static const char *const inputs[] = {
        "-ERR no\r\n",    "$\r\n",     "$-1\r\n", "$0\r\n", "$12x\r\n", "$99999999999999999999\r\n",
        "$EOF:short\r\n", "REDIS0010", /* no line at all: too long in the end */
    };
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        struct buf input = {0};
        struct taken taken = {0};
        while (input.size < 2 * PAYLOAD_LINE_MAX)
            buf_append_string(&input, inputs[i]);
        take(&taken, buf_slice(&input), 100);
        assert_int_equal(taken.payload.state, PAYLOAD_BAD);
        assert_int_equal(taken.bytes.size, 0);
        buf_done(&input);
        buf_done(&taken.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_of_known_length),
        cmocka_unit_test(a_snapshot_up_to_its_mark),
        cmocka_unit_test(a_mark_is_found_behind_its_own_beginnings),
        cmocka_unit_test(a_snapshot_may_be_shorter_than_its_mark),
        cmocka_unit_test(any_bytes_in_any_pieces),
        cmocka_unit_test(what_is_no_snapshot_is_said_to_be_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
