/* Memory straight from the system: large anonymous mappings that are touched by and by.
 *
 * Principal entry points: map_new, map_discard, map_free. Nothing here counts towards mem_used: what has been
 * touched is known to the caller, who tells mem_account.
 * Threads: any. */
#ifndef SKUA_BASE_MAP_H
#define SKUA_BASE_MAP_H

#include <stddef.h>

/* Address space that reads as zeros and takes memory page by page when written. `size` is a multiple of the
 * page size, `alignment` a power of two. NULL when the system refuses. Never huge pages: see
 * docs/decisions/004-small-pages.md. */
void *map_new(size_t size, size_t alignment);

/* Gives address space and memory back. The time grows with what has been touched: about 1 ms for 16 MB of
 * small pages. Callers on the executor discard in pieces first. */
void map_free(void *address, size_t size);

/* Gives the memory of whole pages back and keeps the address space, which reads as zeros again. */
void map_discard(void *address, size_t size);

#endif
