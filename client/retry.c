/* When to connect again. See retry.h. Threads: the client's. */
#include <sys/random.h>
#include <time.h>

#include "client/retry.h"

void retry_init(struct retry *retry, int max, int64_t delay_ms, int64_t delay_max_ms)
{
    *retry = (struct retry){.max = max, .delay_ms = delay_ms, .delay_max_ms = delay_max_ms};
}

void retry_succeeded(struct retry *retry)
{
    retry->attempts = 0;
    retry->failures = 0;
}

/* The clock serves where the system has no random bytes yet: nothing but spreading depends on it. */
static void seed(struct retry *retry)
{
    if (getrandom(&retry->random, sizeof(retry->random), GRND_NONBLOCK) != sizeof(retry->random)) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        retry->random = (uint64_t)now.tv_nsec ^ (uint64_t)(uintptr_t)retry;
    }
    retry->random |= 1;
}

/* xorshift64*: Marsaglia's shifts, with Vigna's multiplier. */
static uint64_t next_random(struct retry *retry)
{
    if (retry->random == 0)
        seed(retry);
    uint64_t x = retry->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    retry->random = x;
    return x * 0x2545F4914F6CDD1DULL;
}

static int64_t delay_of(struct retry *retry)
{
    if (retry->failures == 0 || retry->delay_ms <= 0)
        return 0;
    int64_t delay_ms = retry->delay_ms;
    for (unsigned i = 1; i < retry->failures && delay_ms < retry->delay_max_ms; i++)
        delay_ms = delay_ms <= retry->delay_max_ms / 2 ? delay_ms * 2 : retry->delay_max_ms;
    if (delay_ms > retry->delay_max_ms)
        delay_ms = retry->delay_max_ms > 0 ? retry->delay_max_ms : 0;
    int64_t half_ms = delay_ms / 2;
    return delay_ms - half_ms + (int64_t)(next_random(retry) % (uint64_t)(half_ms + 1));
}

bool retry_next(struct retry *retry, bool failed, int64_t *ret_delay_ms)
{
    if (failed && retry->failures < UINT32_MAX)
        retry->failures++;
    if (retry->max >= 0 && retry->attempts >= retry->max)
        return false;
    if (retry->attempts < INT32_MAX)
        retry->attempts++;
    *ret_delay_ms = delay_of(retry);
    return true;
}
