/* Proves: chunks come back clean, the pool keeps no more than it may, lists keep order and sum, and what a chunk
 * pins is released exactly once. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/chunk.h"
#include "base/worker.h"

static void a_chunk_from_the_pool_is_empty(void **state)
{
    struct chunk_pool pool;
    chunk_pool_init(&pool, 4);
    struct chunk *chunk = chunk_pool_get(&pool);
    assert_int_equal(chunk->capacity, CHUNK_CAPACITY);
    assert_false(chunk->pinned);
    memset(chunk->data, 0xaa, chunk->capacity);
    chunk->start = 5;
    chunk->end = 10;
    chunk->next = chunk;
    chunk_put(&pool, chunk);
    assert_int_equal(pool.stock.count, 1);
    struct chunk *again = chunk_pool_get(&pool);
    assert_ptr_equal(again, chunk);
    assert_int_equal(pool.stock.count, 0);
    assert_int_equal(again->start, 0);
    assert_int_equal(again->end, 0);
    assert_int_equal(again->refs, 0);
    assert_null(again->next);
    chunk_put(&pool, again);
    chunk_pool_done(&pool);
}

static void the_pool_keeps_no_more_than_its_limit(void **state)
{
    struct chunk_pool pool;
    struct chunk *chunks[5];
    size_t before = mem_used();
    chunk_pool_init(&pool, 2);
    for (int i = 0; i < 5; i++)
        chunks[i] = chunk_pool_get(&pool);
    for (int i = 0; i < 5; i++)
        chunk_put(&pool, chunks[i]);
    assert_int_equal(pool.stock.count, 2);
    chunk_pool_done(&pool);
    assert_int_equal(pool.stock.count, 0);
    assert_null(pool.stock.free);
    assert_int_equal(mem_used(), before);
}

static void large_chunks_do_not_enter_the_pool(void **state)
{
    struct chunk_pool pool;
    chunk_pool_init(&pool, 8);
    struct chunk *small = chunk_new(&pool, 1);
    struct chunk *standard = chunk_new(&pool, CHUNK_CAPACITY);
    struct chunk *large = chunk_new(&pool, CHUNK_CAPACITY + 1);
    assert_int_equal(small->capacity, CHUNK_CAPACITY);
    assert_int_equal(standard->capacity, CHUNK_CAPACITY);
    assert_true(large->capacity >= CHUNK_CAPACITY + 1);
    memset(large->data, 1, large->capacity);
    chunk_put(&pool, large);
    assert_int_equal(pool.stock.count, 0);
    chunk_put(&pool, small);
    chunk_put(&pool, standard);
    assert_int_equal(pool.stock.count, 2);
    chunk_pool_done(&pool);
}

static void a_size_beyond_reason_is_refused(void **state)
{
    struct chunk_pool pool;
    chunk_pool_init(&pool, 1);
    assert_null(chunk_new(&pool, SIZE_MAX));
    assert_null(chunk_new(&pool, MEM_SIZE_MAX));
    chunk_pool_done(&pool);
}

static void count_release(void *owner)
{
    ++*(int *)owner;
}

static void what_is_pinned_is_released_once(void **state)
{
    struct chunk_pool pool;
    int released = 0;
    static const char bytes[] = "somebody else's";
    chunk_pool_init(&pool, 4);
    struct chunk *chunk = chunk_new_pinned(bytes, sizeof(bytes), count_release, &released);
    assert_true(chunk->pinned);
    assert_ptr_equal(chunk->data, bytes);
    assert_int_equal(chunk->end - chunk->start, sizeof(bytes));
    chunk->start = 3; /* partly sent */
    assert_int_equal(released, 0);
    chunk_put(&pool, chunk);
    assert_int_equal(released, 1);
    assert_int_equal(pool.stock.count, 0);
    chunk_put(&pool, chunk_new_pinned(bytes, 1, NULL, NULL));
    chunk_pool_done(&pool);
}

static struct chunk *filled(struct chunk_pool *pool, char letter, size_t size)
{
    struct chunk *chunk = chunk_pool_get(pool);
    memset(chunk->data, letter, size);
    chunk->end = size;
    return chunk;
}

static void assert_list(const struct chunk_list *list, const char *letters, uint64_t bytes)
{
    const struct chunk *last = NULL;
    assert_int_equal(list->bytes, bytes);
    for (const struct chunk *chunk = list->head; chunk; chunk = chunk->next) {
        assert_int_equal(chunk->data[0], *letters++);
        last = chunk;
    }
    assert_int_equal(*letters, '\0');
    assert_ptr_equal(list->tail, last);
}

static void lists_keep_order_and_sum(void **state)
{
    struct chunk_pool pool;
    struct chunk_list a = {0}, b = {0};
    chunk_pool_init(&pool, 16);
    assert_list(&a, "", 0);
    chunk_list_move(&a, &b);
    assert_list(&a, "", 0);
    chunk_list_append(&a, filled(&pool, 'a', 10));
    chunk_list_append(&a, filled(&pool, 'b', 20));
    assert_list(&a, "ab", 30);
    chunk_list_move(&b, &a); /* into an empty one */
    assert_list(&a, "", 0);
    assert_list(&b, "ab", 30);
    chunk_list_append(&a, filled(&pool, 'c', 5));
    chunk_list_move(&b, &a); /* behind another */
    assert_list(&b, "abc", 35);
    chunk_list_move(&b, &a); /* nothing */
    assert_list(&b, "abc", 35);
    chunk_list_clear(&b, &pool);
    assert_list(&b, "", 0);
    assert_int_equal(pool.stock.count, 3);
    chunk_pool_done(&pool);
}

/* A long list is given back by a worker, a short one goes to the pool. */
static void a_long_list_is_dropped_elsewhere(void **state)
{
    struct chunk_pool pool;
    struct chunk_list list = {0};
    struct worker_pool *workers = worker_pool_new(1, 0);
    size_t before = mem_used();
    int released = 0;
    chunk_pool_init(&pool, 1000);
    chunk_list_append(&list, filled(&pool, 'a', 10));
    chunk_list_drop(&list, &pool, workers);
    assert_list(&list, "", 0);
    assert_int_equal(pool.stock.count, 1);
    chunk_pool_done(&pool);
    for (unsigned i = 1; i < CHUNK_DROP_MIN; i++)
        chunk_list_append(&list, chunk_pool_get(&pool));
    chunk_list_append(&list, chunk_new_pinned("x", 1, count_release, &released));
    chunk_list_drop(&list, &pool, workers);
    assert_list(&list, "", 0);
    while (worker_pending(workers) > 0)
        sched_yield();
    assert_int_equal(pool.stock.count, 0);
    assert_int_equal(released, 1);
    chunk_pool_done(&pool);
    assert_int_equal(mem_used(), before);
    worker_pool_free(workers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_from_the_pool_is_empty),
        cmocka_unit_test(the_pool_keeps_no_more_than_its_limit),
        cmocka_unit_test(large_chunks_do_not_enter_the_pool),
        cmocka_unit_test(a_size_beyond_reason_is_refused),
        cmocka_unit_test(what_is_pinned_is_released_once),
        cmocka_unit_test(lists_keep_order_and_sum),
        cmocka_unit_test(a_long_list_is_dropped_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
