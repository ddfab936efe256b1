/* Proves that the arena's blocks are apart from each other, are reused, go back to the system with all watchers told before, and are
 * filled with poison where that is asked for. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/worker.h"

#define BLOCKS (2 * (unsigned)(ARENA_IDLE_MAX / ARENA_BLOCK_SIZE) + 5)

struct counting_watcher {
    struct arena_watcher watcher;
    _Atomic unsigned told[ARENA_SEGMENTS_MAX];
    _Atomic unsigned count;
};

static void count_forget(struct arena_watcher *watcher, unsigned segment)
{
    struct counting_watcher *counting = (struct counting_watcher *)watcher;
    counting->told[segment]++;
    counting->count++;
}

static unsigned resident_pages(const void *block)
{
    static unsigned char there[ARENA_BLOCK_SIZE / 4096];
    unsigned count = 0;
    assert_int_equal(mincore((void *)block, ARENA_BLOCK_SIZE, there), 0);
    for (unsigned i = 0; i < sizeof there; i++)
        count += there[i] & 1;
    return count;
}

static void blocks_are_aligned_numbered_and_apart(void **state)
{
    char *blocks[BLOCKS];
    size_t used = mem_used();
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = arena_alloc();
        assert_int_equal((uintptr_t)blocks[i] % ARENA_BLOCK_SIZE, 0);
        memset(blocks[i], (int)i, ARENA_BLOCK_SIZE);
        uint32_t segment = arena_segment_of(blocks[i]);
        assert_true(segment < ARENA_SEGMENTS_MAX);
        assert_int_equal(arena_segment_of(blocks[i] + ARENA_BLOCK_SIZE - 1), segment);
        assert_true((size_t)(blocks[i] - arena_segment_start(segment)) < ARENA_SEGMENT_SIZE);
        assert_int_equal((uintptr_t)arena_segment_start(segment) % ARENA_SEGMENT_SIZE, 0);
    }
    assert_int_equal(arena_figures().used_bytes, BLOCKS * ARENA_BLOCK_SIZE);
    assert_int_equal(mem_used(), used + BLOCKS * ARENA_BLOCK_SIZE);
    for (unsigned i = 0; i < BLOCKS; i++) {
        assert_int_equal((unsigned char)blocks[i][0], i);
        assert_int_equal((unsigned char)blocks[i][ARENA_BLOCK_SIZE - 1], i);
        arena_release(blocks[i]);
    }
    assert_int_equal(arena_figures().used_bytes, 0);
    assert_int_equal(mem_used(), used);
    assert_int_equal(arena_segment_of(&used), UINT32_MAX);
    assert_int_equal(arena_segment_of(NULL), UINT32_MAX);
}

static void few_blocks_are_reused_and_no_watcher_is_told(void **state)
{
    static struct counting_watcher counting = {.watcher.forget = count_forget};
    arena_watch(&counting.watcher);
    char *first = arena_alloc(), *second = arena_alloc();
    uint64_t idle = arena_figures().idle_bytes;
    for (unsigned i = 0; i < 100; i++) {
        char *third = arena_alloc();
        arena_release(i % 2 ? first : second);
        *(i % 2 ? &first : &second) = third;
    }
    assert_int_equal(counting.count, 0);
    assert_true(arena_figures().idle_bytes <= idle + ARENA_SEGMENT_SIZE);
    arena_release(first);
    arena_release(second);
    arena_unwatch(&counting.watcher);
}

static void what_is_too_much_goes_back_and_watchers_are_told_before(void **state)
{
    static struct counting_watcher counting = {.watcher.forget = count_forget};
    char *blocks[BLOCKS];
    arena_watch(&counting.watcher);
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = arena_alloc();
        memset(blocks[i], 1, ARENA_BLOCK_SIZE);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        arena_release(blocks[i]);
    assert_true(arena_figures().idle_bytes <= ARENA_IDLE_MAX);
    unsigned resident = 0, told = 0;
    for (unsigned i = 0; i < BLOCKS; i++) {
        bool is_there = resident_pages(blocks[i]) > 0;
        unsigned times = counting.told[arena_segment_of(blocks[i])];
        assert_true(times <= 1);
        assert_int_equal(is_there, times == 0);
        resident += is_there;
        told += times;
    }
    assert_true(resident > 0 && resident <= ARENA_IDLE_MAX / ARENA_BLOCK_SIZE);
    assert_true(told > 0);
    /* All of it can be had again. */
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = arena_alloc();
        memset(blocks[i], 2, ARENA_BLOCK_SIZE);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        arena_release(blocks[i]);
    arena_unwatch(&counting.watcher);
}

static void released_blocks_are_poisoned_on_request(void **state)
{
    char *kept = arena_alloc(), *block = arena_alloc();
    memset(block, 1, ARENA_BLOCK_SIZE);
    arena_release(block);
    assert_int_equal(block[5], 1); /* the segment stays: it is idle, or its other block is in use */
    arena_set_poison(true);
    block = arena_alloc();
    memset(block, 1, ARENA_BLOCK_SIZE);
    arena_release(block);
    arena_set_poison(false);
    assert_int_equal((unsigned char)block[0], ARENA_POISON);
    assert_int_equal((unsigned char)block[ARENA_BLOCK_SIZE - 1], ARENA_POISON);
    arena_release(kept);
}

static void *allocate_and_release(void *argument)
{
    char *blocks[BLOCKS];
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < BLOCKS; i++) {
            blocks[i] = arena_alloc();
            blocks[i][0] = (char)(round + i);
            *(uintptr_t *)(blocks[i] + 8) = (uintptr_t)argument;
        }
        for (unsigned i = 0; i < BLOCKS; i++) {
            assert_int_equal(blocks[i][0], (char)(round + i));
            assert_true(*(uintptr_t *)(blocks[i] + 8) == (uintptr_t)argument);
            arena_release(blocks[i]);
        }
    }
    return NULL;
}

static void threads_do_not_get_each_others_blocks_also_with_workers(void **state)
{
    struct worker_pool *workers = worker_pool_new(1, 0);
    pthread_t threads[2];
    arena_use_workers(workers);
    for (uintptr_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_and_release, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    arena_use_workers(NULL);
    worker_pool_free(workers);
    assert_int_equal(arena_figures().used_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_numbered_and_apart),
        cmocka_unit_test(few_blocks_are_reused_and_no_watcher_is_told),
        cmocka_unit_test(what_is_too_much_goes_back_and_watchers_are_told_before),
        cmocka_unit_test(released_blocks_are_poisoned_on_request),
        cmocka_unit_test(threads_do_not_get_each_others_blocks_also_with_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
