/* Loading an append-only file at the start: the base, then what the incr files have, in slices between which clients are told so.
 *
 * Principal entry points: aof_load_new, aof_load_step, aof_load_free.
 *
 *   base that is a snapshot --> load_file (persist/load.h) --> commands behind it, if any --\
 *   base of commands, incr files --> a worker reads blocks ahead --> apply (exec/apply.h) ---+--> next file, or done
 *
 * | from     | to       | by                                                                                 |
 * |----------|----------|------------------------------------------------------------------------------------|
 * | looking  | snapshot | the file begins as a snapshot does                                                 |
 * | looking  | commands | it does not, or is an incr file                                                    |
 * | snapshot | commands | it is loaded; what is behind it in the same file is commands                       |
 * | commands | looking  | the end of the file, and there is another one                                      |
 * | commands | cutting  | the end of the last file, in the middle of a request or a transaction              |
 * | commands | done     | the end of the last file, behind a whole request                                   |
 * | cutting  | done     | a worker has cut it off                                                            |
 * | any      | failed   | what stands there cannot be applied; nothing on disk is changed                    |
 *
 * I1  EXEC_LOADING is up from aof_load_new until `ended` has been called.
 * I2  A transaction takes effect when its EXEC has been read, or not at all: what is cut off begins with its MULTI.
 * I3  Only the end of what was logged may be torn: files behind it are empty. Zeros up to the end of the file, as a crash leaves them
 *     where size was written and data was not, are a torn end too. Anything else that is no request stops the loading.
 *
 * Threads: executor; what a worker does is said in aof_load.c. */
#ifndef SKUA_PERSIST_AOF_LOAD_H
#define SKUA_PERSIST_AOF_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "persist/aof_manifest.h"

struct aof_load;
struct exec;
struct load_progress;

struct aof_load_report {
    uint64_t keys;       /* of the snapshot */
    uint64_t requests;   /* applied */
    uint64_t errors;     /* of those, answered with an error */
    uint64_t last_size;  /* of the last file, what was cut off not counted */
    uint64_t other_size; /* of the others */
    uint64_t cut;        /* bytes cut off */
};

/* `ended` is called once, from aof_load_step: with ST_OK, or with an error and one line that says what and where. The load is freed
 * by its owner afterwards, not in there. */
typedef void (*aof_load_ended_fn)(void *context, enum status status, const struct aof_load_report *report,
                                  const char *error);

struct aof_load_sizes {
    uint64_t total;      /* bytes of all files but history */
    unsigned last_index; /* in the manifest: the last file that has any */
};

/* The manifest is read until `ended`. */
struct aof_load *aof_load_new(struct exec *exec, const struct aof_manifest *manifest,
                              const struct aof_load_sizes *sizes, aof_load_ended_fn ended, void *context);

/* A slice. True: there is more to do at once; false: it waits for a worker, which will wake the executor, or has ended. */
bool aof_load_step(struct aof_load *load);

/* Also in the middle. What a worker is at is waited for by the pool's end. NULL is allowed. */
void aof_load_free(struct aof_load *load);

/* For INFO. */
void aof_load_progress(const struct aof_load *load, struct load_progress *ret_progress);

#endif
