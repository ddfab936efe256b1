/* A snapshot: all databases as they were at one position of the log, as a stream of bytes in Redis's RDB format, while clients go
 * on changing them. No fork.
 *
 * Principal entry points: snapshot_begin, snapshot_cancel (executor); the sink's functions (a worker).
 *
 *   executor                                    worker                         sink (file, links, base of the append-only file)
 *   --------                                    ------                         ----
 *   snapshot_begin: the cut                     header
 *   step: walks keys, fills a batch   --job-->  encodes the batch, compresses
 *   change of an unvisited key:                 fills a block, when full  -->  take(block)
 *     visits it first                           ...
 *   <--post-- batch is done: gives references back
 *   last batch                                  end of file, checksum    -->   take(last block)
 *   <--post-- ended(outcome)
 *
 * S1  The cut is made between two units of the executor (exec/propagate.h); `position` is the log's position then. What the sink
 *     gets is the state at that position, exactly: no change after it, none before it missing.
 * S2  Whoever changes an entry that has not been visited, by replacing it, taking it out or in place, has it visited first
 *     (keyspace/walk.h). An entry is visited once.
 * S3  What a visit takes is either copied (integers, short strings) or a reference: of a large string, of a collection's pages and trees, of
 *     a stream. Whoever changes what is referenced makes a copy first; that is the rule of those structures, not of snapshots.
 * S4  The executor's part is a task (exec/task.h) whose steps are bounded (SNAPSHOT_STEP_* in snapshot.c). While requests come
 *     without end a snapshot that nobody waits for gets a third of what others get.
 * S5  At most SNAPSHOT_BATCHES_MAX batches are on their way: when the worker or the sink is slow, the walk pauses; what then
 *     costs memory is only what is replaced meanwhile. Past the budget (option snapshot-memory-budget) the snapshot is given up: writes go
 *     on.
 * S6  References are given back on the executor.
 *
 * | from      | to        | by                                                       |
 * |-----------|-----------|----------------------------------------------------------|
 * | -         | walking   | snapshot_begin                                           |
 * | walking   | finishing | the last key has been visited                            |
 * | walking   | ending    | snapshot_cancel, an error of the sink, the budget        |
 * | finishing | gone      | the last block was taken: `ended` is called               |
 * | finishing | ending    | snapshot_cancel, an error of the sink                    |
 * | ending    | gone      | all batches are back: `ended` is called                  |
 *
 * Several snapshots may run at once, each with its own walk and sink. */
#ifndef SKUA_PERSIST_SNAPSHOT_H
#define SKUA_PERSIST_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

struct config;
struct exec;
struct snapshot;

/* Bytes of the stream, counted by reference. */
struct snapshot_block {
    _Atomic uint32_t refs;
    uint64_t start; /* how many bytes of the stream were before it */
    size_t size;
    char data[];
};

#define SNAPSHOT_BLOCK_SIZE ((size_t)256 << 10) /* the last one of a stream may be smaller */

/* Any thread. The second matches chunk's release callback. */
struct snapshot_block *snapshot_block_ref(struct snapshot_block *block);
void snapshot_block_unref(void *block);

/* Where the stream goes. */
struct snapshot_sink {
    void *context;
    /* On a worker, one call at a time, in order: the next bytes; a reference is taken to keep them. May write to a file and wait for
     * that. Not ST_OK: the snapshot ends with this status. */
    enum status (*take)(void *context, struct snapshot_block *block);
    /* On the executor, between two batches, once: it is over; the snapshot goes when this returns. ST_OK: everything was taken;
     * ST_LIMIT: given up for its budget; ST_EOF: cancelled; else what `take` said. */
    void (*ended)(void *context, enum status outcome);
};

struct snapshot_options {
    unsigned version; /* of the format: 10, 11 or 80 */
    /* What it becomes where a hash has fields with a time to live, which older ones cannot tell of: 12 (Redis 7.4) or 80 (Valkey 9). */
    unsigned timed_version;
    bool compress;
    bool checksum;
    bool aof_base;        /* says so in the file */
    bool is_awaited;      /* a replica has no data before it has all: S4 */
    bool has_replication; /* the next two are written: */
    const char *replication_id;
    uint64_t replication_offset; /* what the reader goes on from; as a rule snapshot_position */
    uint32_t replication_db;     /* that is selected there */
};

/* What the option rdb-version stands for. */
unsigned snapshot_file_version(const struct config *config);

/* Makes the cut. NULL: refused, as memory is short. Not from inside a command that changes something. */
struct snapshot *snapshot_begin(struct exec *exec, const struct snapshot_options *options,
                                const struct snapshot_sink *sink);

/* The log's position at the cut. */
uint64_t snapshot_position(const struct snapshot *snapshot);

/* Holds the walk while the sink has enough. */
void snapshot_pause(struct snapshot *snapshot, bool pause);

/* Asks for the end; `ended` will be called, not from in here. */
void snapshot_cancel(struct snapshot *snapshot);

/* The workers have ended, and the executor has nothing else to do any more: whatever still runs is cancelled, and its `ended`
 * called from in here. */
void snapshot_end_all(struct exec *exec);

struct snapshot_progress {
    uint64_t keys_done, keys_total; /* total: as at the cut */
    uint64_t bytes;                 /* encoded */
    uint64_t began_ns;              /* monotonic */
    uint64_t held_bytes;            /* about what it keeps that would otherwise be free */
    uint64_t held_peak_bytes;       /* the most that was */
};
void snapshot_progress(const struct snapshot *snapshot, struct snapshot_progress *ret_progress);
/* The sums over all that run. */
void snapshot_progress_all(const struct exec *exec, struct snapshot_progress *ret_progress);

#endif
