/* Reading a source: snapshots and logs from end to end, for their form alone or for the keys in them.
 *
 * Principal entry points: read_check, read_keys.
 * Files pass by in blocks. A snapshot's keys are built one by one, shown and dropped; a log has to be replayed first, so that all
 * that it holds in the end is in memory.
 * Threads: one; a progress line may be drawn on standard error. What stands in files is not trusted. */
#ifndef SKUA_CHECK_READ_H
#define SKUA_CHECK_READ_H

#include "check/findings.h"
#include "check/source.h"
#include "check/state.h"
#include "keyspace/entry.h"

#define READ_NO_TYPE UINT32_MAX

struct read_key {
    uint64_t db;
    struct slice name;
    const struct entry *entry;
    unsigned type; /* enum rdb_type, as the value stands in a snapshot; READ_NO_TYPE: it comes from a log */
    bool has_idle, has_frequency;
    uint64_t idle_seconds;
    uint32_t frequency;
};

/* The key is valid during the call. */
typedef void read_key_fn(void *context, const struct read_key *key);

/* Looks at the form of everything, and decodes all values of snapshots. */
enum check_status read_check(const struct source *source, struct state *state, struct findings *findings);

/* The same, and hands over each key: with a problem, those that stand before it. Keys and fields whose time has come are there,
 * too. Of logs, `state` must be fresh. */
enum check_status read_keys(const struct source *source, struct state *state, struct findings *findings,
                            read_key_fn *each, void *context);

#endif
