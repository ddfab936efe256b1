/* When to connect again after a failure: at once, then after delays that double, each partly random so that many
 * clients of a server that was down do not come back in step.
 *
 * Principal entry points: retry_init, retry_next, retry_succeeded.
 * Threads: the client's.
 *
 * The n-th delay lies between a half of and the whole of delay_ms * 2^(n-1), which delay_max_ms limits. */
#ifndef SKUA_CLIENT_RETRY_H
#define SKUA_CLIENT_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry {
    int max; /* attempts in a row; -1: no limit */
    int64_t delay_ms, delay_max_ms;
    int attempts;      /* to connect again, in this row */
    unsigned failures; /* in this row, the first attempt of all included: what the delay depends on */
    uint64_t random;   /* state of the generator; 0: not seeded yet */
};

void retry_init(struct retry *retry, int max, int64_t delay_ms, int64_t delay_max_ms);

/* After a loss or a failed attempt: whether there is to be another one, and after how long. `failed`: no connection
 * came about, or none that was good for anything. */
bool retry_next(struct retry *retry, bool failed, int64_t *ret_delay_ms);

/* A connection is good: the row has ended. */
void retry_succeeded(struct retry *retry);

#endif
