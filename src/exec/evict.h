/* Making room when memory is over maxmemory.
 *
 * Principal entry points: evict_make_room (before commands that need memory), evict_step (upkeep), evict_configure.
 * Keys are removed as the option maxmemory-policy says (keyspace/evict.h), and told to those who watch them and who listen
 * for events. What is on its way out already is freed first. All of it in steps, after each of which the clock is looked
 * at: who comes while memory is over its limit pays at most EVICT_COMMAND_NS and one step, and upkeep does the rest.
 * Threads: executor only.
 *
 * O1  A command that needs memory is refused only when no key may go and nothing is on its way out. */
#ifndef SKUA_EXEC_EVICT_H
#define SKUA_EXEC_EVICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/heap.h"
#include "config/config.h"
#include "exec/exec.h"

#define EVICT_COMMAND_NS 300000 /* of the executor's time for one command */
#define EVICT_STEP_KEYS  8      /* removed between two looks at the clock: some tens of microseconds */

/* To the byte: else nothing would go for a while, and then many keys at once. */
static inline bool evict_is_over_limit(const struct exec *exec)
{
    int64_t limit = (int64_t)exec->config->maxmemory;
    if (likely(limit == 0))
        return false;
    heap_account(exec->heap);
    /* What waits for readers to go on is as good as free: no key must go for it. Nor for what a slow replica has not been sent: the
     * DEL would be more of that. */
    return mem_used() >
           (uint64_t)limit + keyspace_waiting_bytes(exec->keyspace) + propagate_beyond_history(exec);
}

/* Follows the options about eviction and about what the access clocks hold. At the start, and when they change. */
void evict_configure(struct exec *exec);

bool evict_make_room_slow(struct exec *exec);

/* Before a command that may need memory. False: it must be refused. */
static inline bool evict_make_room(struct exec *exec)
{
    if (likely(!evict_is_over_limit(exec) && exec->evict.over_since_ns == 0))
        return true;
    return evict_make_room_slow(exec);
}

/* Goes on making room. True when there is more to do at once. */
bool evict_step(struct exec *exec);

/* For how long memory has been over its limit without a break, and altogether. */
uint64_t evict_over_now_ns(const struct exec *exec);
uint64_t evict_over_total_ns(const struct exec *exec);

#endif
