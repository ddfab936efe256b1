/* Loading: what a file or a primary sends becomes the server's data, in slices between which clients are answered.
 *
 * Principal entry points: load_new, load_feed, load_free; load_file_begin.
 * Bytes are pushed, by whoever has them: the reader of a file (load_file_begin, below), or a replica's link. Keys are put into the keyspace
 * without notifications and propagation, and become visible as they come; EXEC_LOADING is up from load_new to load_free, so
 * nobody looks. Who wants the old data gone empties the keyspace first.
 *
 *   worker: reads blocks ahead, sums  --post-->  executor: load_file_step: decodes, builds, inserts (some 100 µs each time)
 *
 * L1  Keys are inserted in batches: their buckets are asked for first, so that memory is waited for once for all of them.
 *     Nobody sees the keyspace before load_feed has returned, with all batches inserted.
 * L2  A key that comes twice in one database ends the loading.
 *
 * Threads: executor; what a worker does is said in load_file.c. */
#ifndef SKUA_PERSIST_LOAD_H
#define SKUA_PERSIST_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "rdb/decode.h"

struct config;
struct db;
struct exec;
struct file_system;
struct load;

/* The options of a configuration that a value which is built has to follow. */
struct rdb_limits load_limits(const struct config *config);

struct load_options {
    uint64_t bytes_total; /* 0: not known */
    /* keys whose time has come are loaded too: on a replica, and where a log's commands follow */
    bool keep_expired;
    bool is_async; /* the data that was there is served meanwhile: INFO says async_loading */
    /* Called for each key that is dropped as its time has come; may be NULL. The name is good during the call. */
    void (*dropped)(void *context, const struct db *db, struct slice key);
    void *context;
};

#define LOAD_ID_SIZE 40

/* What was found. */
struct load_report {
    uint64_t keys;    /* loaded */
    uint64_t expired; /* dropped, as their time had come */
    uint64_t empty;   /* dropped, as they had no elements */
    uint64_t foreign; /* skipped: of types that are not known, of modules; functions (rdb-skip-unknown) */
    uint64_t bytes;   /* of the file */
    unsigned version;
    bool has_replication; /* the next three were in the file */
    char replication_id[LOAD_ID_SIZE + 1];
    int64_t replication_offset;
    /* the database selected in the stream at that offset; -1: none, 0 when not said */
    int64_t replication_db;
    bool is_aof_base; /* the file says that a log's commands go on from it */
};

/* EXEC_LOADING goes up. NULL: memory was refused. */
struct load *load_new(struct exec *exec, const struct load_options *options);

/* As rdb_file_feed: ST_AGAIN: more bytes are wanted; ST_LIMIT: call again without bytes, the ones of before staying where they
 * are; ST_OK: all is loaded (load_rest); else an error (load_error), with what was loaded until then in the keyspace. */
enum status load_feed(struct load *load, struct slice bytes, uint64_t work);

/* The same, where somebody has computed the checksum of everything up to the end of these bytes. */
enum status load_feed_summed(struct load *load, struct slice bytes, uint64_t work, uint64_t crc_after);

/* Some 200 µs of load_feed's work. */
#define LOAD_STEP_WORK 4000

/* No more bytes come, though ST_OK has not: an error, as a rule, of which load_error tells. */
enum status load_ends(struct load *load);

/* What was not known in the beginning, for INFO. */
void load_set_total(struct load *load, uint64_t bytes_total);

/* After ST_OK: what was behind the end in the bytes of the last call. */
struct slice load_rest(const struct load *load);

const struct load_report *load_report(const struct load *load);

/* One line: what is wrong, at which offset, in which key. After an error. */
const char *load_error(struct load *load);

/* Also in the middle. EXEC_LOADING goes down. */
void load_free(struct load *load);

/* ---- Files ------------------------------------------------------------------------------------------ */

/* Called once, on the executor and not from inside load_file_begin. ST_OK: report->bytes is where the RDB part of the file ended, behind which an
 * append-only file may have commands. ST_NOT_FOUND: there is no such file. Else `error` is one line that says what and where. The loading
 * is over by then, EXEC_LOADING down: another one may begin at once. */
typedef void (*load_ended_fn)(void *context, enum status status, const struct load_report *report,
                              const char *error);

struct load_file;

/* Loads a file in slices: workers read ahead, the executor goes on with load_file_step. options->bytes_total is found out.
 * The path is relative to the working directory. */
struct load_file *load_file_begin(struct exec *exec, const struct file_system *files, const char *path,
                                  const struct load_options *options, load_ended_fn ended, void *context);

/* One slice. True: there is more to do at once; false: it waits for a worker, which will wake the executor, or has ended (and is
 * freed). */
bool load_file_step(struct load_file *file);

/* Gives it up: `ended` is not called. What a worker is at is waited for by the worker pool's end. */
void load_file_cancel(struct load_file *file);

/* ---- What INFO shows ------------------------------------------------------------------------------- */

struct load_progress {
    bool is_loading;
    bool is_async;
    int64_t began_ms; /* since 1970 */
    uint64_t bytes_total, bytes_loaded;
    uint64_t source_used_memory; /* of the server that wrote the file, when it was; 0: not said */
    uint64_t eta_seconds;
};
void load_progress(const struct exec *exec, struct load_progress *ret_progress);

#endif
