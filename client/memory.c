/* The allocator hooks. The only file of the library that calls malloc and its relatives. Threads: see memory.h. */
#include <stdlib.h>
#include <string.h>

#include "client/memory.h"

static void *default_allocate(void *context, size_t size)
{
    return malloc(size);
}

static void *default_resize(void *context, void *block, size_t size)
{
    return realloc(block, size);
}

static void default_release(void *context, void *block)
{
    free(block);
}

bool client_allocator_set(struct skua_allocator *allocator, const struct skua_allocator *given)
{
    int count = given == NULL ? 0 : !!given->allocate + !!given->resize + !!given->release;
    if (count == 0)
        *allocator = (struct skua_allocator){default_allocate, default_resize, default_release, NULL};
    else if (count == 3)
        *allocator = *given;
    return count == 0 || count == 3;
}

void *client_allocate(const struct skua_allocator *allocator, size_t size)
{
    return allocator->allocate(allocator->context, size > 0 ? size : 1);
}

void *client_allocate_zero(const struct skua_allocator *allocator, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *block = client_allocate(allocator, total);
    if (block != NULL)
        memset(block, 0, total);
    return block;
}

void *client_resize(const struct skua_allocator *allocator, void *block, size_t size)
{
    return allocator->resize(allocator->context, block, size > 0 ? size : 1);
}

void client_release(const struct skua_allocator *allocator, void *block)
{
    if (block != NULL)
        allocator->release(allocator->context, block);
}

char *client_copy(const struct skua_allocator *allocator, const char *text, size_t size)
{
    if (size == SIZE_MAX)
        return NULL;
    char *copy = client_allocate(allocator, size + 1);
    if (copy == NULL)
        return NULL;
    if (size > 0)
        memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}
