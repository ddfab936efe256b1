/* Memory straight from the system, see map.h. */
#include "base/map.h"

#include <stdint.h>
#include <sys/mman.h>

#include "base/bug.h"

#define PAGE_SIZE_MIN 4096

void *map_new(size_t size, size_t alignment)
{
    /* More than is wanted, then the ends are cut off: the only portable way to an alignment over a page. */
    size_t slack = alignment > PAGE_SIZE_MIN ? alignment : 0;
    char *start =
        mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    /* A fault on a huge page clears 2 MB, and may compact memory first: milliseconds for whoever touches it. */
    (void)madvise(start, size + slack, MADV_NOHUGEPAGE);
    if (slack == 0)
        return start;
    size_t before = -(uintptr_t)start & (alignment - 1);
    if (before)
        munmap(start, before);
    if (slack > before)
        munmap(start + before + size, slack - before);
    return start + before;
}

void map_free(void *address, size_t size)
{
    if (munmap(address, size) != 0)
        BUG("munmap of %zu bytes at %p", size, address);
}

void map_discard(void *address, size_t size)
{
    if (madvise(address, size, MADV_DONTNEED) != 0)
        BUG("madvise of %zu bytes at %p", size, address);
}
