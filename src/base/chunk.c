/* Chunks and their pool.
 *
 * Principal entry points: chunk_pool_get, chunk_new, chunk_new_pinned, chunk_put, chunk_list_append.
 * Threads: the owner of the pool; chunks go from thread to thread by themselves.
 *
 * C3  A chunk of its own memory is one block, header first; it is a standard one if and only if its capacity
 *     is CHUNK_CAPACITY.
 * C4  pool->stock.count is at most pool->count_max. */
#include "base/chunk.h"

#include "base/alloc.h"
#include "base/bug.h"
#include "base/worker.h"

_Static_assert(offsetof(struct chunk, next) == 0, "base/stock.h, S2");

static struct chunk *chunk_init(struct chunk *chunk, size_t capacity)
{
    chunk->next = NULL;
    chunk->data = (char *)(chunk + 1);
    chunk->start = 0;
    chunk->end = 0;
    chunk->capacity = capacity;
    chunk->refs = 0;
    chunk->pinned = false;
    chunk->release = NULL;
    chunk->owner = NULL;
    chunk->route = NULL;
    return chunk;
}

void chunk_pool_init(struct chunk_pool *pool, uint32_t count_max)
{
    *pool = (struct chunk_pool){.count_max = count_max};
}

void chunk_pool_done(struct chunk_pool *pool)
{
    for (void *chunk; (chunk = stock_take(&pool->stock)) != NULL;)
        mem_free(chunk);
}

void chunk_pool_rest(struct chunk_pool *pool)
{
    for (uint32_t left = stock_surplus(&pool->stock); left > 0; left--)
        mem_free(stock_take(&pool->stock));
}

struct chunk *chunk_pool_get(struct chunk_pool *pool)
{
    struct chunk *chunk = stock_take(&pool->stock);
    if (unlikely(chunk == NULL))
        chunk = mem_alloc(CHUNK_BLOCK_SIZE);
    return chunk_init(chunk, CHUNK_CAPACITY);
}

struct chunk *chunk_new(struct chunk_pool *pool, size_t capacity)
{
    if (capacity <= CHUNK_CAPACITY)
        return chunk_pool_get(pool);
    if (capacity > MEM_SIZE_MAX - sizeof(struct chunk))
        return NULL;
    struct chunk *chunk = mem_try_alloc(sizeof(struct chunk) + capacity);
    return chunk ? chunk_init(chunk, capacity) : NULL;
}

struct chunk *chunk_new_pinned(const char *data, size_t size, void (*release)(void *owner), void *owner)
{
    struct chunk *chunk = mem_alloc(sizeof(struct chunk));
    *chunk = (struct chunk){
        .data = (char *)data, /* never written through: pinned */
        .end = size,
        .capacity = size,
        .pinned = true,
        .release = release,
        .owner = owner,
    };
    return chunk;
}

void chunk_put(struct chunk_pool *pool, struct chunk *chunk)
{
    DEBUG_ASSERT(chunk->refs == 0);
    if (chunk->pinned) {
        if (chunk->release)
            chunk->release(chunk->owner);
        mem_free(chunk);
        return;
    }
    if (chunk->capacity != CHUNK_CAPACITY || pool->stock.count >= pool->count_max) {
        mem_free(chunk);
        return;
    }
    stock_put(&pool->stock, chunk);
}

void chunk_list_append(struct chunk_list *list, struct chunk *chunk)
{
    DEBUG_ASSERT(chunk->start <= chunk->end && chunk->end <= chunk->capacity);
    chunk->next = NULL;
    if (list->tail)
        list->tail->next = chunk;
    else
        list->head = chunk;
    list->tail = chunk;
    list->bytes += chunk->end - chunk->start;
    list->count++;
}

void chunk_list_move(struct chunk_list *to, struct chunk_list *from)
{
    if (from->head == NULL)
        return;
    if (to->tail)
        to->tail->next = from->head;
    else
        to->head = from->head;
    to->tail = from->tail;
    to->bytes += from->bytes;
    to->count += from->count;
    *from = (struct chunk_list){0};
}

void chunk_list_clear(struct chunk_list *list, struct chunk_pool *pool)
{
    struct chunk *chunk = list->head;
    *list = (struct chunk_list){0};
    while (chunk) {
        struct chunk *next = chunk->next;
        chunk_put(pool, chunk);
        chunk = next;
    }
}

void chunk_list_consume(struct chunk_list *list, uint64_t size, struct chunk_pool *pool)
{
    list->bytes -= size;
    while (size > 0) {
        struct chunk *chunk = list->head;
        uint64_t part = chunk->end - chunk->start;
        if (size < part) {
            chunk->start += size;
            return;
        }
        size -= part;
        list->head = chunk->next;
        list->count--;
        if (!list->head)
            list->tail = NULL;
        chunk_put(pool, chunk);
    }
}

/* On a worker: a list that has no pool. */
static void free_chunks(void *head)
{
    struct chunk_pool none = {0};
    struct chunk_list list = {.head = head};
    chunk_list_clear(&list, &none);
}

void chunk_list_drop(struct chunk_list *list, struct chunk_pool *pool, struct worker_pool *workers)
{
    if (likely(workers == NULL || list->count < CHUNK_DROP_MIN)) {
        chunk_list_clear(list, pool);
        return;
    }
    worker_submit_bulk(workers, free_chunks, list->head);
    *list = (struct chunk_list){0};
}
