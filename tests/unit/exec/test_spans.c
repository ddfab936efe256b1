/* Proves: a wait is put down to what the executor did during it, in the right parts; a long piece of work is found however
 * many short ones follow; the slices of a command make one span. A tick is a nanosecond here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/macros.h"
#include "exec/spans.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

static const struct clock tick_clock = {.tick_multiplier = UINT64_C(1) << 32};

static void note(struct spans *spans, enum span_kind kind, const char *name, uint64_t client_id,
                 uint64_t begin, uint64_t end)
{
    const struct exec_span span = {.kind = kind,
                                   .name = name,
                                   .client_id = client_id,
                                   .begin_ticks = begin,
                                   .end_ticks = end,
                                   .busy_ticks = end - begin,
                                   .count = 1};
    spans_note(spans, &tick_clock, &span);
}

static void assert_share(const struct span_shares *shares, unsigned place, const char *name,
                         uint64_t client_id, uint64_t ns)
{
    assert_true(place < shares->count);
    assert_string_equal(shares->items[place].name, name);
    assert_int_equal(shares->items[place].client_id, client_id);
    assert_int_equal(shares->items[place].ns, ns);
}

static void a_wait_is_put_down_to_what_was_done_during_it(void **state)
{
    static struct spans spans;
    struct span_shares shares;
    spans = (struct spans){0};
    note(&spans, SPAN_COMMAND, "keys", 1, 0, 10 * MS);
    note(&spans, SPAN_TASK, "reclaim", 0, 10 * MS, 11 * MS);
    note(&spans, SPAN_COMMAND, "sort", 2, 12 * MS, 40 * MS);
    spans_find(&spans, &tick_clock, 8 * MS, 15 * MS, NULL, &shares);
    assert_int_equal(shares.count, 3);
    assert_share(&shares, 0, "sort", 2, 3 * MS);
    assert_share(&shares, 1, "keys", 1, 2 * MS);
    assert_share(&shares, 2, "reclaim", 0, 1 * MS);
    assert_int_equal(shares.items[2].kind, SPAN_TASK);
    assert_int_equal(shares.rest_ns, 1 * MS);
    assert_int_equal(shares.main_end_ticks, 40 * MS);
    spans_find(&spans, &tick_clock, 50 * MS, 60 * MS, NULL, &shares);
    assert_int_equal(shares.count, 0);
    assert_int_equal(shares.rest_ns, 10 * MS);
}

static void the_same_work_of_one_client_is_one_share(void **state)
{
    static struct spans spans;
    struct span_shares shares;
    spans = (struct spans){0};
    for (uint64_t i = 0; i < 10; i++)
        note(&spans, SPAN_COMMAND, "lrange", 1 + i % 2, i * MS, i * MS + 200 * US);
    spans_find(&spans, &tick_clock, 0, 10 * MS, NULL, &shares);
    assert_int_equal(shares.count, 2);
    assert_int_equal(shares.items[0].ns, 1 * MS);
    assert_int_equal(shares.items[0].count, 5);
    assert_int_equal(shares.rest_ns, 8 * MS);
}

static void what_is_short_is_not_noted(void **state)
{
    static struct spans spans;
    struct span_shares shares;
    spans = (struct spans){0};
    note(&spans, SPAN_COMMAND, "get", 1, 0, SPAN_MIN_NS - 1);
    spans_find(&spans, &tick_clock, 0, MS, NULL, &shares);
    assert_int_equal(shares.count, 0);
    note(&spans, SPAN_COMMAND, "get", 1, 0, SPAN_MIN_NS);
    spans_find(&spans, &tick_clock, 0, MS, NULL, &shares);
    assert_int_equal(shares.count, 1);
}

static void short_work_does_not_push_out_long_work(void **state)
{
    static struct spans spans;
    struct span_shares shares;
    spans = (struct spans){0};
    note(&spans, SPAN_COMMAND, "flushall", 1, 0, 500 * MS);
    for (uint64_t i = 0; i < 1000; i++)
        note(&spans, SPAN_COMMAND, "lrange", 2, 500 * MS + i * 200 * US, 500 * MS + i * 200 * US + 150 * US);
    spans_find(&spans, &tick_clock, 100 * MS, 700 * MS, NULL, &shares);
    assert_share(&shares, 0, "flushall", 1, 400 * MS);
    assert_string_equal(shares.items[1].name, "lrange");
}

static void slices_grow_together(void **state)
{
    static struct spans spans;
    struct span_shares shares;
    static const char name[] = "sunion";
    spans = (struct spans){0};
    for (uint64_t i = 0; i < 10 * SPANS_PER_CLASS; i++) {
        const struct exec_span slice = {.kind = SPAN_SLICES,
                                        .name = name,
                                        .client_id = 7,
                                        .begin_ticks = i * 100 * US,
                                        .end_ticks = i * 100 * US + 50 * US,
                                        .busy_ticks = 50 * US,
                                        .count = i == 0};
        spans_note(&spans, &tick_clock, &slice);
    }
    uint64_t end = 10 * SPANS_PER_CLASS * 100 * US;
    spans_find(&spans, &tick_clock, 0, end, NULL, &shares);
    assert_share(&shares, 0, "sunion", 7, end / 2);
    assert_int_equal(shares.items[0].kind, SPAN_SLICES);
    assert_int_equal(shares.items[0].count, 1);
    /* A part of it has about its part. */
    spans_find(&spans, &tick_clock, end / 4, end / 2, NULL, &shares);
    assert_in_range(shares.items[0].ns, end / 8 - 100 * US, end / 8 + 100 * US);
}

static void what_is_not_over_counts_too(void **state)
{
    static struct spans spans;
    struct span_shares shares;
    const struct exec_span open = {.kind = SPAN_REQUESTS,
                                   .name = "",
                                   .begin_ticks = 0,
                                   .end_ticks = 4 * MS,
                                   .busy_ticks = 2 * MS,
                                   .count = 1000};
    spans = (struct spans){0};
    note(&spans, SPAN_COMMAND, "keys", 1, 1 * MS, 3 * MS);
    spans_find(&spans, &tick_clock, 0, 4 * MS, &open, &shares);
    assert_int_equal(shares.count, 2);
    assert_int_equal(shares.rest_ns, 0);
    assert_int_equal(shares.items[0].ns + shares.items[1].ns, 4 * MS);
}

static void no_more_shares_than_are_told(void **state)
{
    static struct spans spans;
    struct span_shares shares;
    spans = (struct spans){0};
    for (uint64_t i = 0; i < 40; i++)
        note(&spans, SPAN_COMMAND, "sort", i + 1, i * 10 * MS, i * 10 * MS + (i + 1) * 100 * US);
    spans_find(&spans, &tick_clock, 0, 400 * MS, NULL, &shares);
    assert_int_equal(shares.count, SPAN_SHARES_MAX);
    for (unsigned i = 1; i < shares.count; i++)
        assert_true(shares.items[i - 1].ns >= shares.items[i].ns);
    uint64_t told = shares.rest_ns;
    for (unsigned i = 0; i < shares.count; i++)
        told += shares.items[i].ns;
    assert_int_equal(told, 400 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_is_put_down_to_what_was_done_during_it),
        cmocka_unit_test(the_same_work_of_one_client_is_one_share),
        cmocka_unit_test(what_is_short_is_not_noted),
        cmocka_unit_test(short_work_does_not_push_out_long_work),
        cmocka_unit_test(slices_grow_together),
        cmocka_unit_test(what_is_not_over_counts_too),
        cmocka_unit_test(no_more_shares_than_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
