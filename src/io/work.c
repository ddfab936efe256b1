/* Where a thread's time goes. See work.h. */
#include "io/work.h"

#include <string.h>

static void add_ns(_Atomic uint64_t *total, uint64_t ns)
{
    atomic_store_explicit(total, atomic_load_explicit(total, memory_order_relaxed) + ns,
                          memory_order_relaxed);
}

void work_init(struct work *work, const struct clock *clock, uint64_t (*cpu_ns)(void))
{
    *work = (struct work){
        .clock = clock, .cpu_ns = cpu_ns, .length_ticks = clock_ns_to_ticks(clock, WORK_WINDOW_NS)};
}

static void window_begin(struct work *work, uint64_t ticks, uint64_t cpu_ns)
{
    memset(work->stage_ticks, 0, sizeof work->stage_ticks);
    work->spin_ticks = work->sleep_ticks = 0;
    work->begin_ticks = ticks;
    work->begin_cpu_ns = cpu_ns;
}

void work_begin(struct work *work)
{
    uint64_t ticks = clock_ticks(work->clock);
    memset(work->turn_ticks, 0, sizeof work->turn_ticks);
    work->stage = WORK_UPKEEP;
    work->mark_ticks = ticks;
    window_begin(work, ticks, work->cpu_ns());
}

static uint64_t awake_ticks(const struct work *work)
{
    uint64_t sum = work->spin_ticks;
    for (int i = 0; i < WORK_STAGE_COUNT; i++)
        sum += work->stage_ticks[i];
    return sum;
}

static void window_end(struct work *work, uint64_t ticks)
{
    uint64_t cpu_now_ns = work->cpu_ns();
    uint64_t cpu_ns = cpu_now_ns - work->begin_cpu_ns;
    uint64_t awake_ns = clock_ticks_to_ns(work->clock, awake_ticks(work));
    uint64_t sleep_ns = clock_ticks_to_ns(work->clock, work->sleep_ticks);
    uint64_t surplus_ns = cpu_ns > awake_ns ? cpu_ns - awake_ns : 0;
    double share = cpu_ns < awake_ns ? (double)cpu_ns / (double)awake_ns : 1;
    if (surplus_ns > sleep_ns)
        surplus_ns = sleep_ns;
    for (int i = 0; i < WORK_STAGE_COUNT; i++)
        add_ns(&work->stage_ns[i],
               (uint64_t)((double)clock_ticks_to_ns(work->clock, work->stage_ticks[i]) * share));
    add_ns(&work->stage_ns[WORK_POLL], surplus_ns);
    add_ns(&work->spin_ns, (uint64_t)((double)clock_ticks_to_ns(work->clock, work->spin_ticks) * share));
    add_ns(&work->sleep_ns, sleep_ns - surplus_ns);
    add_ns(&work->preempted_ns, cpu_ns < awake_ns ? awake_ns - cpu_ns : 0);
    window_begin(work, ticks, cpu_now_ns);
}

void work_turn_end(struct work *work, bool some)
{
    work_switch(work, WORK_POLL);
    for (int i = 0; i < WORK_STAGE_COUNT; i++) {
        if (some)
            work->stage_ticks[i] += work->turn_ticks[i];
        else
            work->spin_ticks += work->turn_ticks[i];
        work->turn_ticks[i] = 0;
    }
}

bool work_polled(struct work *work, bool could_sleep, uint64_t spun_ticks, enum work_stage next)
{
    uint64_t now_ticks = clock_ticks(work->clock);
    uint64_t span_ticks = now_ticks - work->mark_ticks;
    if (could_sleep) {
        if (spun_ticks > span_ticks)
            spun_ticks = span_ticks;
        work->spin_ticks += spun_ticks;
        work->sleep_ticks += span_ticks - spun_ticks;
        work->mark_ticks = now_ticks;
    }
    work_switch_at(work, next, now_ticks);
    if (now_ticks - work->begin_ticks < work->length_ticks)
        return false;
    window_end(work, now_ticks);
    return true;
}

void work_totals(const struct work *work, struct work_totals *ret_totals)
{
    for (int i = 0; i < WORK_STAGE_COUNT; i++)
        ret_totals->stage_ns[i] = atomic_load_explicit(&work->stage_ns[i], memory_order_relaxed);
    ret_totals->spin_ns = atomic_load_explicit(&work->spin_ns, memory_order_relaxed);
    ret_totals->sleep_ns = atomic_load_explicit(&work->sleep_ns, memory_order_relaxed);
    ret_totals->preempted_ns = atomic_load_explicit(&work->preempted_ns, memory_order_relaxed);
}

uint64_t work_busy_ns(const struct work_totals *totals)
{
    uint64_t sum = 0;
    for (int i = 0; i < WORK_STAGE_COUNT; i++)
        sum += totals->stage_ns[i];
    return sum;
}

uint64_t work_idle_ns(const struct work_totals *totals)
{
    return totals->spin_ns + totals->sleep_ns;
}

void work_subtract(struct work_totals *totals, const struct work_totals *origin)
{
    for (int i = 0; i < WORK_STAGE_COUNT; i++)
        totals->stage_ns[i] -= origin->stage_ns[i];
    totals->spin_ns -= origin->spin_ns;
    totals->sleep_ns -= origin->sleep_ns;
    totals->preempted_ns -= origin->preempted_ns;
}
