/* What servers of a simulation hold, made comparable: two that are at one position of one history must hold the same.
 *
 * Principal entry points: state_digest, state_describe, state_record_check.
 * More is compared than DEBUG DIGEST does: times to live to the millisecond, those of fields, and the groups of streams; and it is
 * cheaper. Keys that have expired and lie there still count: who deletes them says so in the log.
 * Threads: one. */
#ifndef SKUA_TESTS_SIM_STATE_H
#define SKUA_TESTS_SIM_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct keyspace;

uint64_t state_digest(struct keyspace *keyspace);

/* A line for each key: database, name, time to live, digest of its value. In the order of names. */
void state_describe(struct keyspace *keyspace, struct buf *text);

/* What has been seen at which position of which history, and at whom. All zero at first. */
struct state_record {
    struct state_seen *seen; /* open addressing */
    uint32_t count, capacity;
    uint64_t compared; /* positions that a second server has come to */
};

/* Server `who` holds `digest` at `offset` of the history `id`. False: another one, or it itself, held something else there. */
bool state_record_check(struct state_record *record, unsigned who, const char *id, uint64_t offset,
                        uint64_t digest);
void state_record_done(struct state_record *record);

#endif
