/* Bytes on their way to the server. See output.h. Threads: the client's. */
#include <string.h>

#include "client/memory.h"
#include "client/output.h"

#define CAPACITY_MIN  ((size_t)4 << 10)
#define CAPACITY_KEPT ((size_t)1 << 20) /* an empty buffer above this is given back */

char *output_reserve(struct output *output, const struct skua_allocator *allocator, size_t size)
{
    if (output->capacity - output->end >= size)
        return output->bytes + output->end;
    size_t used = output_size(output);
    size_t least;
    if (__builtin_add_overflow(used, size, &least))
        return NULL;
    /* Moved only when at least as much was sent as is moved, so that moving costs no more than filling. */
    if (least <= output->capacity && used <= output->begin) {
        memcpy(output->bytes, output->bytes + output->begin, used);
        output->begin = 0;
        output->end = used;
        return output->bytes + output->end;
    }
    size_t capacity = output->capacity > SIZE_MAX / 2 ? SIZE_MAX : output->capacity * 2;
    if (capacity < CAPACITY_MIN)
        capacity = CAPACITY_MIN;
    if (capacity < least)
        capacity = least;
    char *bytes = client_allocate(allocator, capacity);
    if (bytes == NULL)
        return NULL;
    if (used > 0)
        memcpy(bytes, output->bytes + output->begin, used);
    client_release(allocator, output->bytes);
    output->bytes = bytes;
    output->capacity = capacity;
    output->begin = 0;
    output->end = used;
    return bytes + used;
}

void output_sent(struct output *output, const struct skua_allocator *allocator, size_t size)
{
    output->begin += size;
    output->place += size;
    if (output->begin < output->end)
        return;
    output->begin = output->end = 0;
    if (output->capacity > CAPACITY_KEPT)
        output_done(output, allocator);
}

void output_drop_until(struct output *output, const struct skua_allocator *allocator, uint64_t place)
{
    output_sent(output, allocator, (size_t)(place - output->place));
}

void output_cut(struct output *output, uint64_t from, uint64_t to)
{
    char *hole = output->bytes + output->begin + (from - output->place);
    size_t size = (size_t)(to - from);
    char *end = output->bytes + output->end;
    memmove(hole, hole + size, (size_t)(end - hole) - size);
    output->end -= size;
    if (output->begin == output->end)
        output->begin = output->end = 0;
}

void output_done(struct output *output, const struct skua_allocator *allocator)
{
    client_release(allocator, output->bytes);
    output->bytes = NULL;
    output->begin = output->end = output->capacity = 0;
}
