/* How the scheduler treats a thread: see scheduling.h. Threads: any, for itself. */
#include "base/scheduling.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What Linux takes at least (6.12 and later); a turn is otherwise 0.7 ms and more, and up to a tick of 4 ms. */
#define PROMPT_TURN_NS UINT64_C(100000)
/* The last of the kernel's values: 15 of 1,024 parts beside a thread that has none. */
#define BULK_NICE 19

/* The first version of the kernel's struct sched_attr, which every kernel with the call takes; not all C libraries have it. */
struct attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns; /* of ordinary threads: the length of a turn; 0: as the system likes it */
    uint64_t deadline_ns;
    uint64_t period_ns;
};

static bool get_ordinary(struct attributes *attributes)
{
    *attributes = (struct attributes){.size = sizeof *attributes};
    return syscall(SYS_sched_getattr, 0, attributes, sizeof *attributes, 0) == 0 &&
           (attributes->policy == SCHED_OTHER || attributes->policy == SCHED_BATCH);
}

static bool set(const struct attributes *attributes)
{
    return syscall(SYS_sched_setattr, 0, attributes, 0) == 0;
}

bool scheduling_prompt(void)
{
    struct attributes attributes;
    if (!get_ordinary(&attributes))
        return false;
    attributes.runtime_ns = PROMPT_TURN_NS;
    return set(&attributes);
}

bool scheduling_bulk(void)
{
    struct attributes attributes;
    if (!get_ordinary(&attributes))
        return false;
    attributes.policy = SCHED_BATCH;
    attributes.nice = BULK_NICE;
    attributes.runtime_ns = 0; /* not what it was started with */
    return set(&attributes);
}
