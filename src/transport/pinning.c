/* What the pinned sends of all streams share. Rules in pinning.h.
 *
 * Threads: said there. */
#include "transport/pinning.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "transport/uring.h"

#define MEMORY_SHARE(max) ((max) / 4 * 3) /* io_uring and others pin memory, too */

static bool may_lock_memory(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    return syscall(SYS_capget, &header, data) == 0 &&
           data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK);
}

uint64_t pinning_memory_max(void)
{
    struct rlimit limit;
    if (may_lock_memory() || getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur;
}

void pinning_host_init(struct pinning_host *host, const _Atomic bool *is_on, const _Atomic bool *uses_uring,
                       const _Atomic int64_t *size_min, uint64_t memory_max)
{
    *host = (struct pinning_host){
        .is_on = is_on, .uses_uring = uses_uring, .size_min = size_min, .total_max = memory_max};
    if (memory_max != UINT64_MAX)
        host->total_max = MEMORY_SHARE(memory_max);
}

void pinning_pause(struct pinning_host *host, bool is_paused)
{
    if (atomic_exchange(&host->is_paused, is_paused) && !is_paused)
        atomic_fetch_add(&host->resumed, 1);
}

void pinning_init(struct pinning *pinning, struct pinning_host *host)
{
    *pinning = (struct pinning){.host = host};
    send_policy_init(&pinning->policy);
    atomic_init(&pinning->threshold, send_policy_threshold(&pinning->policy));
}

void pinning_end(struct pinning *pinning)
{
    uring_free(pinning->uring);
    pinning->uring = NULL;
    pinning->has_tried_uring = false;
}

bool pinning_may_send(const struct pinning *pinning, uint64_t size)
{
    uint64_t in_flight = atomic_load_explicit(&pinning->host->in_flight, memory_order_relaxed);
    return in_flight <= pinning->host->total_max && size <= pinning->host->total_max - in_flight;
}

uint64_t pinning_sent(struct pinning *pinning, struct pins *pins, uint64_t size)
{
    uint64_t memory = pins_memory(pins);
    atomic_fetch_add_explicit(&pinning->host->in_flight, size, memory_order_relaxed);
    pinning_count(&pinning->sends, 1);
    pinning_count(&pinning->bytes, size);
    uint64_t number = pins_add(pins, size);
    pinning_count(&pinning->tracking, pins_memory(pins) - memory);
    return number;
}

uint64_t pinning_over(struct pinning *pinning, struct pins *pins, uint32_t first, uint32_t last, bool copied)
{
    uint64_t memory = pins_memory(pins), free_end = pins->free_end;
    struct pins_result result = pins_complete(pins, first, last, copied);
    uint64_t freed = pins->free_end - free_end;
    atomic_fetch_sub_explicit(&pinning->host->in_flight, freed, memory_order_relaxed);
    pinning_count(&pinning->sends_over, result.sends);
    pinning_count(&pinning->copied, result.copied);
    pinning_count(&pinning->wrong, result.wrong);
    pinning_count(&pinning->tracking, pins_memory(pins) - memory);
    return freed;
}

void pinning_begin_totals(const struct pinning_host *host, struct pinning_totals *ret_totals)
{
    *ret_totals = (struct pinning_totals){
        .in_flight = atomic_load_explicit(&host->in_flight, memory_order_relaxed),
        .threshold = UINT64_MAX,
    };
}

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void pinning_add_totals(const struct pinning *pinning, struct pinning_totals *totals)
{
    /* What is over is read first: it has been sent before. */
    totals->copied += get(&pinning->copied);
    totals->sends_over += get(&pinning->sends_over);
    totals->sends += get(&pinning->sends);
    totals->bytes += get(&pinning->bytes);
    totals->wrong += get(&pinning->wrong);
    totals->truncated += get(&pinning->truncated);
    totals->refused += get(&pinning->refused);
    totals->switched_off += get(&pinning->switched_off);
    totals->dissolved += get(&pinning->dissolved);
    totals->draining += get(&pinning->draining);
    totals->tracking += get(&pinning->tracking);
    for (unsigned way = 0; way < PIN_WAY_COUNT; way++)
        totals->streams[way] += get(&pinning->streams[way]);
    if (get(&pinning->threshold) < totals->threshold)
        totals->threshold = get(&pinning->threshold);
}
