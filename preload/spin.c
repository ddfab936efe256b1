/* Spinning. Entry points, limits: preload/spin.h. */
#include "preload/spin.h"

#include <time.h>

#include "preload/settings.h"
#include "shm/end.h"

/* Looks between two looks at the clock. */
#define ROUND 16

struct spin_thread *spin_self(void)
{
    static _Atomic uint64_t last_id;
    static _Thread_local struct spin_thread self;
    if (self.id == 0)
        self.id = atomic_fetch_add(&last_id, 1) + 1;
    return &self;
}

bool spin_may(struct spin_thread *self)
{
    if (settings.spin_ns == 0)
        return false;
    if (self->skips_left > 0) {
        self->skips_left--;
        return false;
    }
    return true;
}

struct spin_watch spin_watch_of(struct shm_end *end)
{
    shm_tell_cpu(end);
    return (struct spin_watch){&end->peer->tail, &end->peer->park, &end->peer->cpu, end->head, end->told_cpu};
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool has_news(const struct spin_watch *watches, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (atomic_load_explicit(watches[i].tail, memory_order_relaxed) != watches[i].head)
            return true;
    return false;
}

/* While nobody at the other end is awake there is nothing to wait for but a bell; and who has this very processor would
 * have to wait for us. */
static bool is_peer_awake(const struct spin_watch *watches, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((atomic_load_explicit(watches[i].park, memory_order_relaxed) & SHM_WANTS) == 0 &&
            atomic_load_explicit(watches[i].cpu, memory_order_relaxed) != watches[i].own_cpu)
            return true;
    return false;
}

bool spin_for(struct spin_thread *self, const struct spin_watch *watches, size_t count)
{
    uint64_t end_ns = 0;
    while (is_peer_awake(watches, count)) {
        for (int i = 0; i < ROUND; i++) {
            if (has_news(watches, count)) {
                self->skips = 0;
                return true;
            }
            relax();
        }
        uint64_t now = now_ns();
        if (end_ns == 0)
            end_ns = now + settings.spin_ns;
        else if (now >= end_ns)
            break;
    }
    if (end_ns > 0) { /* in vain; a look at a server that sleeps costs nothing */
        self->skips = self->skips == 0                   ? 1
                      : self->skips * 2 > SPIN_SKIPS_MAX ? SPIN_SKIPS_MAX
                                                         : self->skips * 2;
        self->skips_left = self->skips;
    }
    return false;
}
