/* What the general allocator (jemalloc) tells of itself. Threads: any. */
#ifndef SKUA_OBSERVE_ALLOCATOR_H
#define SKUA_OBSERVE_ALLOCATOR_H

#include <stdint.h>

#include "base/buf.h"

struct allocator_figures {
    uint64_t allocated; /* bytes that the program asked for */
    uint64_t active;    /* in pages that hold at least one of them */
    uint64_t resident;  /* in pages that the system has backed, an upper bound */
};

/* Those of libc in a build without jemalloc. */
void allocator_figures(struct allocator_figures *ret_figures);

/* Name and version, "libc" in a build without jemalloc. */
const char *allocator_name(void);

/* Appends the allocator's own report; false when it has none. Its length is some ten kilobytes. */
bool allocator_report(struct buf *ret_text);

/* Gives unused pages back to the system. May take milliseconds. The argument is not used: matches
 * worker_submit. */
void allocator_purge(void *unused);

/* From now on memory that has not been used for a while goes back to the system by a thread of the allocator's, which is treated as the
 * calling one (worker_submit_bulk), and no longer by whichever thread happens to free a block: that may take ten milliseconds. */
void allocator_upkeep(void *unused);

#endif
