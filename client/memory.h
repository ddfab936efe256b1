/* Memory of the library: whatever it allocates comes from the allocator that the caller gave.
 *
 * Principal entry points: client_allocator_set, client_allocate, client_resize, client_release.
 * Threads: those of the allocator's functions; the default ones are malloc's. */
#ifndef SKUA_CLIENT_MEMORY_H
#define SKUA_CLIENT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include <skua/reply.h>

/* Copies `given`, or malloc's functions when it is NULL or has none of the three. False (and nothing copied) when it
 * has some of them only. */
bool client_allocator_set(struct skua_allocator *allocator, const struct skua_allocator *given);

/* `size` bytes, at least one. NULL without memory. */
void *client_allocate(const struct skua_allocator *allocator, size_t size);
/* The same with zeros in it, for `count` objects of `size` bytes; NULL also when that overflows. */
void *client_allocate_zero(const struct skua_allocator *allocator, size_t count, size_t size);
/* NULL without memory: then `block` is as it was. `block` may be NULL. */
void *client_resize(const struct skua_allocator *allocator, void *block, size_t size);
/* `block` may be NULL. */
void client_release(const struct skua_allocator *allocator, void *block);

/* A copy of text[0 .. size) with a zero byte behind it, or NULL. */
char *client_copy(const struct skua_allocator *allocator, const char *text, size_t size);

#endif
