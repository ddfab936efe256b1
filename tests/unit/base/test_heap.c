/* Proves that the slab heap gives out blocks that do not overlap, takes them back, reuses empty slabs for other
 * sizes, counts what it uses, and that its bookkeeping holds after every phase of a random load. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/ahead.h"
#include "base/alloc.h"
#include "base/heap.h"
#include "base/ring.h"
#include "base/rng.h"
#include "base/worker.h"

#define MODEL_BLOCKS 20000
#define MODEL_STEPS  200000

struct model_block {
    unsigned char *data;
    size_t size;
    unsigned char fill;
};

static size_t random_size(struct rng *rng)
{
    switch (rng_below(rng, 4)) {
    case 0: return 1 + rng_below(rng, 64);
    case 1: return 1 + rng_below(rng, 1024);
    case 2: return 1 + rng_below(rng, HEAP_BLOCK_MAX);
    default: return 1 + rng_below(rng, 3) * 544 + rng_below(rng, 8);
    }
}

static void expect_fill(const struct model_block *block)
{
    for (size_t i = 0; i < block->size; i++)
        assert_int_equal(block->data[i], block->fill);
}

static void test_every_size(void **state)
{
    (void)state;
    struct heap *heap = heap_new();
    for (size_t size = 1; size <= HEAP_BLOCK_MAX + 16; size++) {
        size_t block_size = heap_block_size(size);
        assert_true(block_size >= size);
        /* Half of a step at most: 8, 16, or one block fewer in a slab. */
        size_t step = size <= 128 ? 8 : size <= 1024 ? 16 : size / 15;
        assert_true(block_size - size < step);
        unsigned char *a = heap_alloc(heap, size), *b = heap_alloc(heap, size);
        assert_non_null(a);
        assert_non_null(b);
        assert_int_equal((uintptr_t)a % 8, 0);
        if (size <= HEAP_BLOCK_MAX) {
            assert_true((size_t)(a < b ? b - a : a - b) >= size);
            assert_ptr_equal(heap_owner(a), heap);
            if ((size & (size - 1)) == 0)
                assert_int_equal((uintptr_t)a % size, 0);
        }
        memset(a, 1, size);
        memset(b, 2, size);
        assert_int_equal(a[0], 1);
        assert_int_equal(a[size - 1], 1);
        heap_release(heap, a, size);
        heap_release(heap, b, size);
    }
    heap_check(heap);
    struct heap_stats stats;
    heap_stats(heap, &stats);
    assert_int_equal(stats.used_bytes, 0);
    heap_free(heap);
}

static void test_model(void **state)
{
    (void)state;
    static struct model_block blocks[MODEL_BLOCKS];
    memset(blocks, 0, sizeof(blocks));
    size_t used_before = mem_used();
    struct heap *heap = heap_new();
    struct rng rng;
    rng_seed(&rng, 20);
    uint64_t used = 0;
    for (size_t step = 0; step < MODEL_STEPS; step++) {
        /* The number of live blocks swings between phases, so slabs become full, partial and empty. */
        size_t limit = (step / 20000) % 2 ? MODEL_BLOCKS / 10 : MODEL_BLOCKS;
        struct model_block *block = &blocks[rng_below(&rng, MODEL_BLOCKS)];
        if (block->data) {
            expect_fill(block);
            heap_release(heap, block->data, block->size);
            used -= block->size > HEAP_BLOCK_MAX ? 0 : heap_block_size(block->size);
            block->data = NULL;
        }
        if ((size_t)(block - blocks) < limit) {
            block->size = random_size(&rng);
            block->fill = (unsigned char)rng_next(&rng);
            block->data = heap_alloc(heap, block->size);
            assert_non_null(block->data);
            memset(block->data, block->fill, block->size);
            used += block->size > HEAP_BLOCK_MAX ? 0 : heap_block_size(block->size);
        }
        if (step % 5000 == 0) {
            heap_check(heap);
            heap_trim(heap, 8);
        }
    }
    heap_check(heap);
    struct heap_stats stats;
    heap_stats(heap, &stats);
    assert_int_equal(stats.used_bytes, used);
    assert_true(stats.slab_bytes >= used);
    for (size_t i = 0; i < MODEL_BLOCKS; i++) {
        if (blocks[i].data) {
            expect_fill(&blocks[i]);
            heap_release(heap, blocks[i].data, blocks[i].size);
        }
    }
    heap_stats(heap, &stats);
    assert_int_equal(stats.used_bytes, 0);
    heap_check(heap);
    heap_free(heap);
    assert_int_equal(mem_used(), used_before);
}

/* Pieces that a worker touches come and go at any moment of a load, also when nobody waits for them. */
static void test_slabs_touched_ahead(void **state)
{
    (void)state;
    enum { BLOCKS = 12000, SIZE = 4096 };
    static unsigned char *blocks[BLOCKS];
    struct worker_pool *workers = worker_pool_new(1, 0);
    struct ahead *ahead = ahead_new(workers);
    struct heap *heap = heap_new();
    heap_set_ahead(heap, ahead, (size_t)4 << 20);
    assert_ptr_equal(heap_ahead(heap), ahead);
    ahead_set_on(ahead, true);
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = heap_alloc(heap, SIZE);
        assert_non_null(blocks[i]);
        blocks[i][0] = blocks[i][SIZE - 1] = (unsigned char)i;
        while (i % 1000 == 999 && worker_pending(workers) > 0)
            sched_yield();
        if (i % 100 == 0)
            heap_check(heap);
    }
    struct ahead_figures figures;
    ahead_figures(ahead, &figures);
    assert_true(figures.touched_bytes >= 4 * AHEAD_SIZE);
    struct heap_stats stats;
    heap_stats(heap, &stats);
    assert_true(stats.slab_bytes >= (uint64_t)BLOCKS * SIZE);
    assert_true(stats.slab_bytes <= (uint64_t)BLOCKS * SIZE * 101 / 100 + AHEAD_SIZE);
    for (unsigned i = 0; i < BLOCKS; i++) {
        assert_int_equal(blocks[i][0], (unsigned char)i);
        assert_int_equal(blocks[i][SIZE - 1], (unsigned char)i);
        heap_release(heap, blocks[i], SIZE);
    }
    heap_trim(heap, SIZE_MAX);
    heap_check(heap);
    heap_free(heap);
    ahead_figures(ahead, &figures);
    assert_int_equal(figures.waiting_bytes, 0);
    ahead_free(ahead);
    worker_pool_free(workers);
}

static void test_empty_slabs_serve_other_sizes(void **state)
{
    (void)state;
    enum { COUNT = 40000 };
    static void *blocks[COUNT];
    struct heap *heap = heap_new();
    struct heap_stats stats;
    for (size_t i = 0; i < COUNT; i++)
        blocks[i] = heap_alloc(heap, 200);
    heap_stats(heap, &stats);
    uint64_t reserved = stats.reserved_bytes, slabs = stats.slab_bytes;
    for (size_t i = 0; i < COUNT; i++)
        heap_release(heap, blocks[i], 200);
    heap_stats(heap, &stats);
    assert_true(stats.empty_bytes > slabs * 9 / 10);
    for (size_t i = 0; i < COUNT; i++)
        blocks[i] = heap_alloc(heap, 100);
    heap_stats(heap, &stats);
    assert_int_equal(stats.reserved_bytes, reserved);
    assert_true(stats.slab_bytes <= slabs + (1 << 16));
    heap_check(heap);
    heap_free(heap);
}

static void test_trim_is_bounded_and_keeps_a_reserve(void **state)
{
    (void)state;
    enum { COUNT = 4000 };
    static void *blocks[COUNT];
    struct heap *heap = heap_new();
    struct heap_stats stats;
    for (size_t i = 0; i < COUNT; i++)
        blocks[i] = heap_alloc(heap, 1024);
    for (size_t i = 0; i < COUNT; i++)
        heap_release(heap, blocks[i], 1024);
    assert_int_equal(heap_trim(heap, 5), 5);
    heap_check(heap);
    while (heap_trim(heap, 5) > 0)
        ;
    heap_stats(heap, &stats);
    assert_in_range(stats.empty_bytes, 1, 16 << 16);
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = heap_alloc(heap, 1024);
        memset(blocks[i], (int)i, 1024);
    }
    heap_check(heap);
    heap_free(heap);
}

/* A thread that takes blocks from its sibling heap and hands them to the owner of the first one. */
struct lender {
    struct heap *heap;
    struct ring ring;
    unsigned blocks;
};

#define LENT_BLOCKS 20000

static size_t lent_size(unsigned i)
{
    return i % 50 == 0 ? HEAP_BLOCK_MAX + 1 : 8 + i % 700;
}

static void *lend(void *argument)
{
    struct lender *lender = argument;
    for (unsigned i = 0; i < lender->blocks; i++) {
        unsigned char *block = heap_alloc(lender->heap, lent_size(i));
        memset(block, (int)(i % 251), lent_size(i));
        while (!ring_push(&lender->ring, block))
            sched_yield();
        ring_publish(&lender->ring);
    }
    return NULL;
}

static uint64_t used_bytes(const struct heap *heap)
{
    struct heap_stats stats;
    heap_stats(heap, &stats);
    return stats.used_bytes;
}

/* Each block arrives whole, is released in another order than it was taken, and finds its way back. */
static void borrow(struct heap *first, struct lender *lender)
{
    unsigned char *kept[64] = {0};
    size_t sizes[64];
    for (unsigned i = 0; i < lender->blocks; i++) {
        unsigned char *block;
        while (!(block = ring_pop(&lender->ring)))
            sched_yield();
        ring_retire(&lender->ring);
        if (lent_size(i) <= HEAP_BLOCK_MAX)
            heap_adopt(first, heap_block_size(lent_size(i)));
        for (size_t at = 0; at < lent_size(i); at++)
            assert_int_equal(block[at], i % 251);
        unsigned place = i * 37 % 64;
        if (kept[place])
            heap_release(first, kept[place], sizes[place]);
        kept[place] = block;
        sizes[place] = lent_size(i);
        heap_release(first, heap_alloc(first, 40), 40);
    }
    for (unsigned place = 0; place < 64; place++)
        if (kept[place])
            heap_release(first, kept[place], sizes[place]);
}

static void test_sibling(void **state)
{
    (void)state;
    uint64_t before = mem_used();
    struct heap *first = heap_new();
    struct lender lender = {.heap = heap_new_sibling(first), .blocks = LENT_BLOCKS};
    ring_init(&lender.ring, 16);
    for (unsigned round = 0; round < 2; round++) { /* the thread ends, and another takes its place */
        pthread_t thread;
        heap_attend(lender.heap, true);
        assert_int_equal(pthread_create(&thread, NULL, lend, &lender), 0);
        borrow(first, &lender);
        assert_int_equal(used_bytes(first), 0); /* at once, wherever the blocks are */
        pthread_join(thread, NULL);
        heap_attend(lender.heap, false);
        heap_check(first);
    }
    heap_account(first);
    ring_done(&lender.ring);
    heap_free(first);
    assert_int_equal(mem_used(), before);
}

/* What a bag has collected goes back by heap_trim, and a sibling without a thread gets its blocks at once. */
static void test_sibling_bags(void **state)
{
    (void)state;
    struct heap *first = heap_new(), *sibling = heap_new_sibling(first);
    heap_attend(sibling, true);
    void *block = heap_alloc(sibling, 500);
    assert_ptr_equal(heap_owner(block), sibling);
    assert_ptr_equal(heap_first(block), first);
    assert_int_equal(used_bytes(first), 0);
    heap_adopt(first, heap_block_size(500));
    assert_int_equal(used_bytes(first), heap_block_size(500));
    heap_disown(first, heap_block_size(500));
    assert_int_equal(used_bytes(first), 0);
    heap_adopt(first, heap_block_size(500));
    heap_release(first, block, 500);
    assert_int_equal(used_bytes(first), 0);
    heap_collect(sibling);
    assert_true(used_bytes(sibling) > 0); /* its own count: it has not got the block */
    heap_trim(first, 1);
    heap_collect(sibling);
    heap_attend(sibling, false);
    heap_check(first);

    block = heap_alloc(sibling, 500);
    heap_prefetch_release(first, block);
    heap_adopt(first, heap_block_size(500));
    heap_release(first, block, 500);
    heap_check(first);
    assert_int_equal(used_bytes(first), 0);
    while (heap_trim(first, 1) > 0)
        ;
    heap_check(first);
    heap_free(first);
}

#define MAGAZINE_TEST_BLOCKS 800 /* more than a magazine and the bags beside it hold */

static size_t magazine_size(unsigned i)
{
    return i % 3 == 0 ? 100 : 500;
}

/* What has come back is handed out again in the order in which it came, each block once, however many there are, of whatever sizes;
 * and what is not needed again goes back to its slabs. */
static void test_sibling_reuse(void **state)
{
    (void)state;
    struct heap *first = heap_new(), *sibling = heap_new_sibling(first);
    static unsigned char *blocks[MAGAZINE_TEST_BLOCKS];
    heap_attend(sibling, true);
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < MAGAZINE_TEST_BLOCKS; i++) {
            blocks[i] = heap_alloc(sibling, magazine_size(i));
            assert_ptr_equal(heap_owner(blocks[i]), sibling);
            memset(blocks[i], (int)(i % 251), magazine_size(i));
            heap_adopt(first, heap_block_size(magazine_size(i)));
        }
        for (unsigned i = 0; i < MAGAZINE_TEST_BLOCKS; i++) {
            for (size_t at = 0; at < magazine_size(i); at++)
                assert_int_equal(blocks[i][at], i % 251); /* nobody else has it */
            heap_release(first, blocks[i], magazine_size(i));
        }
        assert_int_equal(used_bytes(first), 0);
    }
    unsigned in_order = 0;
    void *block, *before = NULL;
    for (unsigned i = 0; i < 62;
         i++, before = block) { /* the bag that was filled last, as far as it was filled with these */
        block = heap_alloc(sibling, 500);
        for (unsigned k = 2; before != NULL && k < MAGAZINE_TEST_BLOCKS; k++)
            if (blocks[k] == block && magazine_size(k) == 500)
                in_order += blocks[k - 1] == before || blocks[k - 2] == before;
        heap_adopt(first, heap_block_size(500));
        heap_release(first, block, 500);
    }
    assert_true(in_order > 30);
    heap_trim(first, 1);
    heap_collect(sibling);
    assert_true(used_bytes(sibling) > 0); /* they are likely to be needed again */
    heap_collect(sibling);
    assert_int_equal(used_bytes(sibling), 0);
    heap_attend(sibling, false);
    heap_check(first);
    heap_free(first);
}

/* Each block goes back to the one it came from. */
static void test_many_siblings(void **state)
{
    (void)state;
    struct heap *first = heap_new();
    void *blocks[20];
    for (unsigned i = 0; i < 20; i++) {
        struct heap *sibling = heap_new_sibling(first);
        blocks[i] = heap_alloc(sibling, 100 + i);
    }
    void *own = heap_alloc(first, 100);
    for (unsigned i = 0; i < 20; i++) {
        heap_adopt(first, heap_block_size(100 + i));
        heap_release(first, blocks[i], 100 + i);
    }
    heap_release(first, own, 100);
    heap_check(first);
    assert_int_equal(used_bytes(first), 0);
    heap_free(first);
}

#define MIXED_BLOCKS 300

/* Released together: blocks of the first heap and of three siblings, one of which has a thread, in stretches and alone, with large ones
 * in between. */
static void test_release_all(void **state)
{
    (void)state;
    struct heap *first = heap_new();
    struct heap *owners[] = {first, heap_new_sibling(first), heap_new_sibling(first),
                             heap_new_sibling(first)};
    struct heap_block blocks[MIXED_BLOCKS];
    heap_attend(owners[1], true);
    for (unsigned i = 0; i < MIXED_BLOCKS; i++) {
        size_t size = i % 50 == 49 ? HEAP_BLOCK_MAX + i : 1 + i * 7 % HEAP_BLOCK_MAX;
        struct heap *owner = owners[(i < 150 ? i / 8 : i * 5) % 4];
        blocks[i] = (struct heap_block){heap_alloc(owner, size), size};
        memset(blocks[i].block, 1, size);
        if (owner != first && size <= HEAP_BLOCK_MAX)
            heap_adopt(first, heap_block_size(size));
    }
    assert_true(used_bytes(first) > 0);
    heap_release_all(first, blocks, MIXED_BLOCKS);
    assert_int_equal(used_bytes(first), 0);
    assert_int_equal(used_bytes(owners[2]) + used_bytes(owners[3]), 0);
    heap_attend(owners[1], false);
    assert_int_equal(used_bytes(owners[1]), 0);
    heap_check(first);
    heap_release_all(first, NULL, 0);
    heap_free(first);
}

/* A block becomes one of another size where it is exactly when a new one would take as much. */
static void test_resize(void **state)
{
    (void)state;
    struct heap *heap = heap_new();
    unsigned resized = 0;
    for (size_t size = 1; size <= HEAP_BLOCK_MAX; size += 5) {
        for (size_t new_size = size > 60 ? size - 60 : 1; new_size < size + 60; new_size++) {
            bool can = new_size <= HEAP_BLOCK_MAX && heap_block_size(size) == heap_block_size(new_size);
            assert_int_equal(heap_can_resize(size, new_size), can);
            if (!can)
                continue;
            char *block = heap_alloc(heap, size);
            memset(block, 1, size);
            heap_resize(block, size, new_size);
            memset(block, 2, new_size);
            heap_release(heap, block, new_size);
            resized++;
        }
    }
    assert_true(resized > 1000);
    assert_false(heap_can_resize(HEAP_BLOCK_MAX, HEAP_BLOCK_MAX + 1));
    heap_check(heap);
    assert_int_equal(used_bytes(heap), 0);
    heap_free(heap);
}

static void test_refused_sizes(void **state)
{
    (void)state;
    struct heap *heap = heap_new();
    assert_null(heap_alloc(heap, MEM_SIZE_MAX + 1));
    heap_check(heap);
    heap_free(heap);
}

/* What is used is told to mem_used, within one step. */
static void test_accounting(void **state)
{
    (void)state;
    struct heap *heap = heap_new();
    int64_t before = (int64_t)mem_used();
    for (size_t i = 0; i < 10000; i++)
        assert_non_null(heap_alloc(heap, 512));
    int64_t difference = (int64_t)mem_used() - before - 10000 * 512;
    assert_in_range(difference + HEAP_ACCOUNT_STEP, 0, 2 * HEAP_ACCOUNT_STEP);
    heap_free(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_slabs_touched_ahead),
        cmocka_unit_test(test_empty_slabs_serve_other_sizes),
        cmocka_unit_test(test_trim_is_bounded_and_keeps_a_reserve),
        cmocka_unit_test(test_sibling),
        cmocka_unit_test(test_sibling_bags),
        cmocka_unit_test(test_sibling_reuse),
        cmocka_unit_test(test_many_siblings),
        cmocka_unit_test(test_release_all),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_refused_sizes),
        cmocka_unit_test(test_accounting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
