/* Proves: what is allocated is counted and what is freed is not, whichever threads do it, also when they have
 * ended; sizes beyond reason are refused. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/macros.h"

#define BLOCKS 100

static void every_call_is_counted(void **state)
{
    size_t before = mem_used();
    char *block = mem_alloc(1000);
    size_t usable = mem_usable_size(block);
    assert_true(usable >= 1000);
    assert_int_equal(mem_used() - before, usable);
    block = mem_realloc(block, 100000);
    assert_true(mem_usable_size(block) >= 100000);
    assert_int_equal(mem_used() - before, mem_usable_size(block));
    block = mem_try_realloc(block, 10);
    assert_int_equal(mem_used() - before, mem_usable_size(block));
    mem_free(block);
    assert_int_equal(mem_used(), before);
    block = mem_try_alloc(0);
    assert_non_null(block);
    mem_free(block);
    mem_free(NULL);
    assert_int_equal(mem_usable_size(NULL), 0);
    mem_account(4096);
    assert_int_equal(mem_used() - before, 4096);
    mem_account(-4096);
    assert_int_equal(mem_used(), before);
}

static void contents_survive(void **state)
{
    char *zeros = mem_calloc(10, 30);
    for (int i = 0; i < 300; i++)
        assert_int_equal(zeros[i], 0);
    memset(zeros, 'x', 300);
    zeros = mem_realloc(zeros, 50000);
    for (int i = 0; i < 300; i++)
        assert_int_equal(zeros[i], 'x');
    mem_free(zeros);
    char *copy = mem_strndup("abcdef", 3);
    assert_string_equal(copy, "abc");
    mem_free(copy);
    copy = mem_strdup("abcdef");
    assert_string_equal(copy, "abcdef");
    mem_free(copy);
}

static void blocks_of_whole_cache_lines_are_aligned(void **state)
{
    void *blocks[200];
    for (size_t i = 0; i < ARRAY_COUNT(blocks); i++) {
        size_t size = (i + 1) * CACHE_LINE;
        blocks[i] = i % 2 ? mem_alloc(size) : mem_calloc(1, size);
        assert_int_equal((uintptr_t)blocks[i] % CACHE_LINE, 0);
        assert_true(i % 2 || (((char *)blocks[i])[0] == 0 && ((char *)blocks[i])[size - 1] == 0));
        memset(blocks[i], 0xff, size);
    }
    for (size_t i = 0; i < ARRAY_COUNT(blocks); i++)
        mem_free(blocks[i]);
}

static void sizes_beyond_reason_are_refused(void **state)
{
    char *block = mem_alloc(10);
    assert_null(mem_try_alloc(MEM_SIZE_MAX + 1));
    assert_null(mem_try_alloc(SIZE_MAX));
    assert_null(mem_try_realloc(block, SIZE_MAX));
    memset(block, 1, 10); /* still ours */
    mem_free(block);
}

static void *allocate_for_another(void *argument)
{
    char **blocks = argument;
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = mem_alloc((size_t)i * 10 + 1);
    return NULL;
}

static void *free_for_another(void *argument)
{
    char **blocks = argument;
    for (int i = 0; i < BLOCKS; i++)
        mem_free(blocks[i]);
    return NULL;
}

static void run_thread(void *(*work)(void *argument), void *argument)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, work, argument), 0);
    pthread_join(thread, NULL);
}

static void threads_that_have_ended_still_count(void **state)
{
    char *blocks[BLOCKS];
    size_t before = mem_used(), usable = 0;
    run_thread(allocate_for_another, blocks);
    for (int i = 0; i < BLOCKS; i++)
        usable += mem_usable_size(blocks[i]);
    assert_int_equal(mem_used() - before, usable);
    run_thread(free_for_another, blocks);
    assert_int_equal(mem_used(), before);
}

static pthread_key_t late_key;

static void free_late(void *block)
{
    mem_free(block);
    void *again = mem_alloc(77);
    mem_free(again);
}

static void *leave_block_to_destructor(void *argument)
{
    pthread_setspecific(late_key, mem_alloc(5000));
    return NULL;
}

/* This key is younger than the counters' own, so its destructor runs when the thread's counter is gone. */
static void destructors_of_a_thread_count(void **state)
{
    size_t before = mem_used();
    assert_int_equal(pthread_key_create(&late_key, free_late), 0);
    run_thread(leave_block_to_destructor, NULL);
    assert_int_equal(mem_used(), before);
    pthread_key_delete(late_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_is_counted),
        cmocka_unit_test(contents_survive),
        cmocka_unit_test(blocks_of_whole_cache_lines_are_aligned),
        cmocka_unit_test(sizes_beyond_reason_are_refused),
        cmocka_unit_test(threads_that_have_ended_still_count),
        cmocka_unit_test(destructors_of_a_thread_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
