/* Proves: the peak of memory is the highest sample, and the allocator's figures follow what is allocated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "observe/memory.h"

#define BLOCK_BYTES ((size_t)32 << 20)

static void test_peak_is_the_highest_sample(void **state)
{
    struct memory_watch watch;
    memory_watch_init(&watch);
    assert_int_equal(watch.peak, watch.startup);
    void *block = mem_alloc(BLOCK_BYTES);
    memory_watch_sample(&watch);
    mem_free(block);
    uint64_t peak = watch.peak;
    assert_true(peak >= watch.startup + BLOCK_BYTES);
    memory_watch_sample(&watch);
    assert_int_equal(watch.peak, peak);
}

static void test_what_is_not_sampled_is_not_seen(void **state)
{
    struct memory_watch watch;
    memory_watch_init(&watch);
    mem_free(mem_alloc(BLOCK_BYTES));
    memory_watch_sample(&watch);
    assert_true(watch.peak < watch.startup + BLOCK_BYTES);
}

static void test_allocator_figures_follow(void **state)
{
    struct allocator_figures before;
    struct allocator_figures after;
    allocator_figures(&before);
    char *block = mem_alloc(BLOCK_BYTES);
    memset(block, 1, BLOCK_BYTES);
    allocator_figures(&after);
    struct buf report = {0};
    if (allocator_report(&report)) {
        assert_true(after.allocated >= before.allocated + BLOCK_BYTES);
        assert_true(after.active >= after.allocated);
        assert_true(after.resident >= after.active);
        assert_true(report.size > 0);
        assert_memory_equal(allocator_name(), "jemalloc-", strlen("jemalloc-"));
    } else {
        assert_string_equal(allocator_name(), "libc");
    }
    buf_done(&report);
    mem_free(block);
    allocator_purge(NULL);
}

static void test_ratio(void **state)
{
    assert_true(memory_ratio(3, 2) == 1.5);
    assert_true(memory_ratio(3, 0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peak_is_the_highest_sample),
        cmocka_unit_test(test_what_is_not_sampled_is_not_seen),
        cmocka_unit_test(test_allocator_figures_follow),
        cmocka_unit_test(test_ratio),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
