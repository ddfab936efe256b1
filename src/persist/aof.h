/* The append-only file: the log of changes on disk, in Redis 7's form (a directory with a manifest, a base and incr files).
 *
 * Principal entry points: aof_new, aof_start (the process's start), aof_set_on (CONFIG SET appendonly), aof_rewrite (BGREWRITEAOF),
 * aof_cron, aof_free.
 * The executor hands pieces of the log to one job at a time on a thread of its own; what comes meanwhile goes with the next one. It never
 * writes or syncs. How replies wait is in exec/durable.h, what the jobs do in aof_job.h, loading in aof_load.h, the files' names in
 * aof_manifest.h.
 *
 *   batch --> log --> aof_step --pieces--> job: writev, fdatasync --post--> aof_step: durable_synced, the next job
 *
 * | from     | to       | by                                                                              |
 * |----------|----------|---------------------------------------------------------------------------------|
 * | off      | loading  | aof_start, when there is a log to be loaded                                     |
 * | loading  | on       | everything is loaded: loaded()                                                  |
 * | off      | on       | aof_start, when there is none: an empty base and a first incr file are made     |
 * | off      | starting | aof_set_on(true), once nothing is under way: a rewrite (aof_rewrite.c) begins   |
 * | starting | on       | the rewrite has made the first base                                             |
 * | starting | off      | it has failed: tried again after a while                                        |
 * | on       | stopping | aof_set_on(false)                                                               |
 * | stopping | off      | all that was logged has been written and synced: stopped()                      |
 *
 * E1  `written` is the log's position behind what is in the file, `synced` that behind what is on disk as well: synced <= written.
 *     Both have a cursor each, so the log keeps what is not on disk (E3). With `appendfsync no` both are where the file ends.
 * E2  One job is in the lane; while it runs, the file is the job's.
 * E3  After a write that failed, writing is tried again every second. After a sync that failed, `written` goes back to `synced`, and
 *     what was between is cut off and written anew (J2).
 * E4  While writing fails, EXEC_LOG_FAILS refuses writes. Under `always` those who wait are closed: what they asked for has happened here,
 *     and will be on disk if that recovers, but nobody has been promised so.
 * E5  Jobs end where units end, but those that are cut by their own limit; annotations are written at such places only.
 *
 * Threads: executor. */
#ifndef SKUA_PERSIST_AOF_H
#define SKUA_PERSIST_AOF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

struct aof;
struct exec;
struct load_progress;

struct aof *aof_new(struct exec *exec);
/* Writes and syncs what is not on disk yet, and waits for that. */
void aof_free(struct aof *aof);

/* At the start, before any client: reads the manifest, and with `appendonly yes` begins to load (EXEC_LOADING) or makes the first
 * files. ST_OK; else the server is not to start, and `error` says why. */
enum status aof_start(struct aof *aof, struct buf *error);

/* A slice of loading. True: there is more to do at once. */
bool aof_load_slice(struct aof *aof);
bool aof_is_loading(const struct aof *aof);
/* For INFO; false: it is not loading. */
bool aof_loading_progress(const struct aof *aof, struct load_progress *ret_progress);

/* The option `appendonly` has changed. */
void aof_set_on(struct aof *aof, bool on);
/* A replica's data are about to be replaced, with another history of changes: while held, the file is closed as if the option were off,
 * and opened anew, with a new base, when it is not held any more. Returns whether the log is let go of (no cursors): to be asked again. */
bool aof_hold(struct aof *aof, bool hold);
/* The options appendfsync or no-appendfsync-on-rewrite have. */
void aof_apply_policy(struct aof *aof);

/* Begins to rewrite as soon as nothing is in the way. False: it has been asked for already, or is under way. */
bool aof_rewrite(struct aof *aof);

/* Every 100 milliseconds. */
void aof_cron(struct aof *aof);

/* Whether what is on disk of the log can be loaded: not before the first base is there (WAITAOF). */
bool aof_is_on(const struct aof *aof);
/* Nothing of it is open, being made, or wanted. */
bool aof_is_off(const struct aof *aof);

struct aof_figures {
    bool is_on; /* or about to be */
    bool is_rewriting, is_rewrite_scheduled;
    bool last_rewrite_ok, last_write_ok;
    int64_t last_rewrite_s, current_rewrite_s; /* -1: none */
    uint64_t rewrites, rewrite_failures;       /* failures: since the last that succeeded */
    uint64_t current_size, base_size;          /* of all files; when they were last rewritten or loaded */
    uint64_t buffer_size;                      /* logged and not written */
    uint64_t unsynced_size;                    /* written and not synced */
    uint64_t pending_syncs;                    /* jobs with a sync under way or due: 0 or 1 */
    uint64_t delayed_syncs;                    /* syncs that took more than AOF_SLOW_SYNC_NS */
    uint64_t writes, syncs;
    uint64_t waiting_outputs; /* replies that are held */
};
void aof_figures(const struct aof *aof, struct aof_figures *ret_figures);

#define AOF_SLOW_SYNC_NS 2000000000ull

#endif
