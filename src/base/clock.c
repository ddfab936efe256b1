/* The machine's clocks, and how processor ticks are measured against them.
 * Entry: clock_init_real, clock_thread_cpu_ns. Threads: any. */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/bug.h"

#define NS_PER_S          UINT64_C(1000000000)
#define CALIBRATION_NS    2000000 /* with reads good to 100 ns: wrong by at most 1 in 20,000 */
#define CALIBRATION_TRIES 5
#define CPU_FLAGS_MAX     8192 /* one line of /proc/cpuinfo */

static uint64_t read_clock_ns(clockid_t id)
{
    struct timespec now;
    if (clock_gettime(id, &now) != 0)
        fatal("clock_gettime(%d) does not work here", (int)id);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int64_t real_wall_us(void *context)
{
    return (int64_t)(read_clock_ns(CLOCK_REALTIME) / 1000);
}

static uint64_t real_monotonic_ns(void *context)
{
    return read_clock_ns(CLOCK_MONOTONIC);
}

#if defined(__x86_64__)

/* The first line of the file that begins with `prefix`; false when there is none. */
static bool file_line(const char *path, const char *prefix, char *ret_line, size_t capacity)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool found = false;
    while (!found && fgets(ret_line, (int)capacity, file))
        found = strncmp(ret_line, prefix, strlen(prefix)) == 0;
    fclose(file);
    return found;
}

/* Whether the counter runs at one speed on all processors and in all states. The kernel tests that better
 * than we could, so its choice of a clock decides. */
static bool tsc_is_trusted(void)
{
    char line[CPU_FLAGS_MAX];
    if (!file_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", "", line,
                   sizeof(line)))
        return false;
    if (strcmp(line, "tsc\n") == 0)
        return true;
    if (strcmp(line, "kvm-clock\n") != 0)
        return false;
    return file_line("/proc/cpuinfo", "flags", line, sizeof(line)) && strstr(line, " constant_tsc") != NULL &&
           strstr(line, " nonstop_tsc") != NULL;
}

struct clock_pair {
    uint64_t ticks;
    uint64_t ns;
};

/* Both clocks at one moment: of several tries the one that took the fewest ticks. */
static struct clock_pair read_pair(void)
{
    struct clock_pair pair = {0};
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < CALIBRATION_TRIES; i++) {
        uint64_t before = __builtin_ia32_rdtsc();
        uint64_t ns = read_clock_ns(CLOCK_MONOTONIC);
        uint64_t span = __builtin_ia32_rdtsc() - before;
        if (span < best) {
            best = span;
            pair = (struct clock_pair){.ticks = before + span / 2, .ns = ns};
        }
    }
    return pair;
}

/* False when the counter does not behave. */
static bool calibrate(uint64_t *ret_multiplier)
{
    struct clock_pair before = read_pair();
    nanosleep(&(struct timespec){.tv_nsec = CALIBRATION_NS}, NULL);
    struct clock_pair after = read_pair();
    if (after.ticks <= before.ticks || after.ns <= before.ns)
        return false;
    unsigned __int128 multiplier =
        ((unsigned __int128)(after.ns - before.ns) << 32) / (after.ticks - before.ticks);
    if (multiplier == 0 || multiplier > UINT64_MAX)
        return false;
    *ret_multiplier = (uint64_t)multiplier;
    return true;
}

#endif

void clock_init_real(struct clock *clock)
{
    *clock = (struct clock){
        .wall_us = real_wall_us,
        .monotonic_ns = real_monotonic_ns,
        .tick_multiplier = UINT64_C(1) << 32, /* ticks are nanoseconds */
    };
#if defined(__x86_64__)
    uint64_t multiplier;
    if (tsc_is_trusted() && calibrate(&multiplier)) {
        clock->use_tsc = true;
        clock->tick_multiplier = multiplier;
    }
#endif
}

uint64_t clock_thread_cpu_ns(void)
{
    return read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}
