/* What the files of the append-only file share. Not for others. Threads: executor, but for what is said to be a worker's. */
#ifndef SKUA_PERSIST_AOF_INTERNAL_H
#define SKUA_PERSIST_AOF_INTERNAL_H

#include "base/bulk_file.h"
#include "persist/aof.h"
#include "persist/aof_job.h"
#include "persist/aof_manifest.h"

#define AOF_RETRY_NS 1000000000ull /* between two attempts to write to a file that refuses */

struct aof_load;
struct snapshot;
struct worker_pool;

enum aof_state { AOF_OFF, AOF_LOADING, AOF_STARTING, AOF_ON, AOF_STOPPING };

/* How far a rewrite is. The transitions are in aof_rewrite.c. */
enum aof_rewrite_state {
    AOF_REWRITE_NONE,
    AOF_REWRITE_SCHEDULED,
    AOF_REWRITE_CREATING,  /* the lane makes the next incr file */
    AOF_REWRITE_SAVING,    /* a snapshot is being written to the base */
    AOF_REWRITE_SYNCING,   /* a worker syncs the base */
    AOF_REWRITE_FINISHING, /* the lane puts the manifest in place */
    AOF_REWRITE_DELETING,  /* a worker unlinks what is history */
};

/* The base that is being written: the sink of a snapshot. The worker's while a snapshot runs, or the sync. */
struct aof_base {
    struct exec_post post; /* of the sync and of the unlinking */
    struct exec *exec;
    const struct file_system *files;
    struct bulk_file file;
    bool is_open;
    char path[FILE_PATH_MAX];
    uint64_t size;
    uint64_t unsynced; /* in the page cache */
    enum status status;
    int error;
    struct file leftover; /* to be closed */
    bool has_leftover;
    struct buf unlinks; /* paths to be unlinked, each with a zero byte behind it */
};

struct aof_rewrite {
    enum aof_rewrite_state state;
    bool is_cancelled;         /* whatever is under way is waited for, then all is given up */
    bool again;                /* while deleting: the next one has been asked for */
    bool forgets, must_forget; /* while deleting: the manifest is to be put in place without history; now */
    bool with_log;             /* the log is written: there is a new incr file */
    struct snapshot *snapshot;
    bool must_rotate;      /* the log goes on in the next file from `cut` on */
    uint64_t cut;          /* the log's position at the snapshot */
    uint32_t head_db;      /* there, as of struct aof */
    struct file next_file; /* made, and not written to yet */
    bool has_next_file;
    struct aof_manifest next_manifest; /* what the lane puts in place */
    char next_name[AOF_NAME_MAX + 1];
    char base_name[AOF_NAME_MAX + 1];
    uint64_t first_incr_seq; /* incr files before it are superfluous when the base is there */
    struct aof_base base;
    /* For INFO, and for when to try again. */
    uint64_t began_ns;
    int64_t last_s;
    bool last_ok;
    uint64_t count, failures;
    uint64_t not_before_ns;
};

struct aof {
    struct exec *exec;
    enum aof_state state;
    bool is_wanted;   /* the option says so, */
    bool is_held;     /* but not now: aof_hold */
    uint32_t head_db; /* where the file begins, PROPAGATE_NO_DB: the log says so itself */
    bool is_ending;   /* aof_free: nothing new is begun */
    bool has_cursors;
    struct exec_post wake; /* aof_step from outside of a command */
    bool is_woken;
    struct worker_pool *lane; /* one thread; NULL in a simulation: jobs are run at once */
    struct aof_job *job;
    bool job_runs; /* E2 */
    struct aof_manifest manifest;
    struct aof_load *load; /* while loading */

    /* The file that is written. */
    struct file file;
    bool has_file;
    char path[FILE_PATH_MAX];
    uint64_t size; /* E1, in bytes of the file */
    uint64_t synced_size;
    uint64_t other_size;                     /* of all other files of the manifest but history */
    uint64_t base_size;                      /* of all files after the last rewrite or the start */
    struct changelog_cursor written, synced; /* E1 */
    uint64_t stop_at;                        /* while stopping: E1 up to here */
    bool ends_unit;                          /* E5: `written` is where a unit ends */
    int64_t annotated_s;
    uint64_t synced_ns; /* when the last sync began */
    bool must_sync;     /* something is written and not synced */

    /* E3, E4 */
    bool is_failing;
    bool must_repair;
    uint64_t retry_ns;
    bool last_write_ok;

    uint64_t writes, syncs, delayed_syncs;
    struct aof_rewrite rewrite;
};

/* ---- aof.c ---------------------------------------------------------------------------------------- */

/* Does what is next in the lane, if it is free. Between two units, not from inside a command. */
void aof_step(struct aof *aof);
/* The same soon. */
void aof_wake(struct aof *aof);

/* Fills in what each kind of job needs; the caller adds the rest and submits it. */
struct aof_job *aof_job_begin(struct aof *aof, enum aof_job_kind kind);
void aof_job_submit(struct aof *aof);

/* The file that is being written goes with a job, to be repaired first if it must be, and comes back with it. */
void aof_lend_file(const struct aof *aof, struct aof_job *job);
void aof_take_file_back(struct aof *aof, const struct aof_job *job);

/* A path in the log's directory. False: too long. */
bool aof_path(const struct aof *aof, const char *prefix, const char *name, char *ret_path);

/* The log is written to `file`, empty or `size` bytes long, from its end on; the next request is preceded by SELECT. */
void aof_begin_writing(struct aof *aof, struct file file, const char *name, uint64_t size);
/* Nothing is written any more; the file is closed. */
void aof_end_writing(struct aof *aof);
/* The database that is selected where the log ends, if what comes next does not say so. */
uint32_t aof_head_db(const struct exec *exec);
void aof_set_state(struct aof *aof, enum aof_state state);
/* All up to `position` is on disk in the file that there was, which has been closed; what follows is written to `file`. */
void aof_go_on_in(struct aof *aof, struct file file, const char *name, uint64_t position);
/* Writing is hindered: E3, E4. */
void aof_note_failure(struct aof *aof, const struct aof_job *job);

/* ---- aof_rewrite.c -------------------------------------------------------------------------------- */

void aof_rewrite_init(struct aof *aof);
void aof_rewrite_done(struct aof *aof);

/* Something a rewrite has to do in the lane now? Then it is submitted. */
bool aof_rewrite_step(struct aof *aof);
/* A job that it has submitted is done. */
void aof_rewrite_job_done(struct aof *aof, struct aof_job *job);
void aof_rewrite_cron(struct aof *aof);
/* Has unlinked what the manifest calls history, if there is anything. */
void aof_rewrite_forget_history(struct aof *aof);
/* Gives it up, whatever it is at. */
void aof_rewrite_cancel(struct aof *aof);
/* Up to where the log may be written to the file that there is. */
uint64_t aof_rewrite_limit(const struct aof *aof);

#endif
