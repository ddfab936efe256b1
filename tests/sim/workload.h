/* Random commands of clients that change everything: each type and encoding, times to live, what depends on chance or on the clock,
 * transactions, blocking commands, databases that are flushed and swapped, large values.
 *
 * Principal entry point: workload_append.
 * Threads: any. */
#ifndef SKUA_TESTS_SIM_WORKLOAD_H
#define SKUA_TESTS_SIM_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rng.h"

#define WORKLOAD_DBS 3 /* that are written to; the one after that is left alone, but for FLUSHALL */

struct workload {
    bool never_expires; /* no times to live */
    bool never_blocks;  /* no blocking commands */
    bool flushes_all;   /* FLUSHALL may come */
    size_t value_max;   /* of large values */
};

/* Appends the requests of one step: as a rule one command, sometimes a transaction. */
void workload_append(struct buf *requests, struct rng *rng, const struct workload *workload);

/* One request: words separated by blanks. */
void workload_request(struct buf *requests, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
