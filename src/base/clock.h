/* Time, behind hooks so that a simulation can set it.
 *
 * Three scales: wall time in milliseconds since 1970 (expiry, replies), monotonic nanoseconds (timers,
 * timeouts), and ticks (cheap stamps for measuring short spans; convert with clock_ticks_to_ns).
 * Threads: any; a clock is immutable after clock_init_real, a simulated one belongs to its test. */
#ifndef SKUA_BASE_CLOCK_H
#define SKUA_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct clock {
    int64_t (*wall_us)(void *context); /* microseconds since 1970 */
    uint64_t (*monotonic_ns)(void *context);
    void *context;
    bool use_tsc;             /* ticks are the processor's invariant time stamp counter */
    uint64_t tick_multiplier; /* nanoseconds = (ticks * tick_multiplier) >> 32 */
};

/* The machine's clocks. Uses the time stamp counter for ticks only where the kernel itself trusts it
 * (current_clocksource is tsc or kvm-clock with constant_tsc); calibrates it against the monotonic clock. */
void clock_init_real(struct clock *clock);

static inline int64_t clock_wall_us(const struct clock *clock)
{
    return clock->wall_us(clock->context);
}

static inline uint64_t clock_monotonic_ns(const struct clock *clock)
{
    return clock->monotonic_ns(clock->context);
}

static inline uint64_t clock_ticks(const struct clock *clock)
{
#if defined(__x86_64__)
    if (clock->use_tsc)
        return __builtin_ia32_rdtsc();
#endif
    return clock->monotonic_ns(clock->context);
}

static inline uint64_t clock_ticks_to_ns(const struct clock *clock, uint64_t ticks)
{
    return (uint64_t)(((unsigned __int128)ticks * clock->tick_multiplier) >> 32);
}

/* For spans of up to seconds; rounds down. */
static inline uint64_t clock_ns_to_ticks(const struct clock *clock, uint64_t ns)
{
    return (uint64_t)(((unsigned __int128)ns << 32) / clock->tick_multiplier);
}

/* CPU time of the calling thread in nanoseconds. A system call (about 0.4 microseconds). */
uint64_t clock_thread_cpu_ns(void);

#endif
