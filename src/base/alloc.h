/* General memory: jemalloc behind names that count what is in use.
 *
 * Two kinds of call. mem_alloc and friends are for control structures of a size that the program chose: they
 * never return NULL (fatal on exhaustion). mem_try_alloc and friends are for sizes that a user chose: they
 * return NULL when the size is over MEM_SIZE_MAX or memory is refused, and the caller answers -OOM.
 * A block whose size is a multiple of CACHE_LINE is aligned to it, until it is reallocated: structures with
 * CACHE_ALIGNED members may be allocated.
 * Threads: any. A block may be freed on another thread than the one that allocated it. */
#ifndef SKUA_BASE_ALLOC_H
#define SKUA_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

/* Larger requests are refused without asking the system. */
#define MEM_SIZE_MAX ((size_t)1 << 40)

void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_calloc(size_t count, size_t size) __attribute__((returns_nonnull));
void *mem_realloc(void *block, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *string) __attribute__((returns_nonnull));
/* A zero-terminated copy of `size` bytes. */
char *mem_strndup(const char *bytes, size_t size) __attribute__((returns_nonnull));

void *mem_try_alloc(size_t size);
/* Zeroed. Large blocks come as zero pages from the system, untouched. */
void *mem_try_calloc(size_t size);
void *mem_try_realloc(void *block, size_t size);

/* NULL is allowed. */
void mem_free(void *block);

/* From now on the calling thread gives the pages of blocks from MEM_PIECES_MIN on back to the system by MEM_PIECE at a time,
 * and calls `between` after each. In one piece the system takes 10 ms and more for 100 MB, and as long the allocator and the
 * system keep locks that other threads' allocations wait for. */
#define MEM_PIECE      ((size_t)512 << 10)
#define MEM_PIECES_MIN (2 * MEM_PIECE)
void mem_free_in_pieces(void (*between)(void));

/* Bytes that a block really occupies. NULL gives 0. */
size_t mem_usable_size(const void *block);

/* Bytes in use through these calls and through mem_account, over all threads of the process. */
size_t mem_used(void);

/* For memory that was mapped in another way (slabs, table segments): adds `delta` bytes to mem_used. */
void mem_account(int64_t delta);

#endif
