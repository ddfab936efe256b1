/* What workers do for the append-only file: everything that touches its directory.
 *
 * Principal entry points: aof_job_run (a worker); the fields say what to do and how it went.
 * There is one job at a time in the lane (aof.c), so jobs may touch the file that is being written and the manifest. Memory is the
 * executor's again when the job's post is run.
 *
 * | kind     | does                                                                                             |
 * |----------|--------------------------------------------------------------------------------------------------|
 * | CREATE   | makes the directory if need be, and a new incr file, empty                                       |
 * | WRITE    | repairs the file if asked to, writes pieces behind it, syncs it if asked to                      |
 * | ROTATE   | syncs the file, puts the manifest in place that names the next one                               |
 * | FINISH   | gives the new base its name, puts the manifest in place that names it                            |
 * | MANIFEST | puts the manifest in place                                                                       |
 *
 * J1  A write that fails leaves the file as long as it was, or says that it does not (is_torn): it is repaired before the next one.
 * J2  After a sync that failed nothing that was written since the last one counts as written: the kernel may have dropped it and may
 *     not say so again. It is cut off and written anew, to a file that has been opened anew.
 *
 * Threads: the executor fills a job and reads its outcome, a worker runs it. */
#ifndef SKUA_PERSIST_AOF_JOB_H
#define SKUA_PERSIST_AOF_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "changelog/changelog.h"
#include "exec/post.h"

#define AOF_JOB_PIECES (FILE_PIECES_MAX - 1) /* and one for the annotation */
#define AOF_TEMPORARY  "temp-"               /* what names of files begin with that are not finished */

enum aof_job_kind { AOF_JOB_CREATE, AOF_JOB_WRITE, AOF_JOB_ROTATE, AOF_JOB_FINISH, AOF_JOB_MANIFEST };

struct aof_job {
    struct exec_post post; /* run when it is done */
    struct exec *exec;
    void *owner;
    const struct file_system *files;
    const struct clock *clock;
    enum aof_job_kind kind;
    bool sync; /* WRITE */
    /* WRITE, ROTATE: the file is cut to `good_size` first, and opened anew. */
    bool repair;
    uint64_t good_size;
    /* WRITE, ROTATE: being written; `size` is where it ends. CREATE: the new one. */
    struct file file;
    bool has_file;
    uint64_t size;
    char path[FILE_PATH_MAX]; /* of that file */
    /* WRITE */
    struct changelog_piece pieces[AOF_JOB_PIECES];
    unsigned piece_count;
    char annotation[96]; /* before the pieces; "": none. Also the SELECT that a replica's file begins with */
    uint64_t end;        /* the log's position behind the pieces */
    bool ends_unit;      /* a unit ends there */
    struct file next_file; /* ROTATE: takes the place of `file`, which is closed */
    bool only_directory;   /* CREATE: no file */
    /* CREATE, ROTATE, FINISH, MANIFEST */
    char directory[FILE_PATH_MAX];
    char manifest_path[FILE_PATH_MAX], manifest_temporary[FILE_PATH_MAX];
    struct buf manifest; /* its text */
    /* FINISH */
    char base_temporary[FILE_PATH_MAX], base_path[FILE_PATH_MAX];

    /* How it went. */
    enum status status;
    int error;          /* errno, when not ST_OK */
    const char *failed; /* what of it: "write", "sync", … */
    bool is_torn;       /* J1 */
    bool sync_failed;   /* J2 */
    uint64_t write_ns, sync_ns;
};

/* A worker. Does what the job says and posts it. The argument is the job. */
void aof_job_run(void *job);

/* The steps of CREATE and MANIFEST without a job, for the start. */
enum status aof_make_directory(const struct file_system *files, const char *directory);
enum status aof_put_manifest(struct aof_job *job);

#endif
