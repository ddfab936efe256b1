/* A disk that fails as the test says: full, broken, writing a little at a time, or forgetting what has not been synced.
 *
 * Principal entry points: file_faults_init, file_faults_crash, file_faults_done.
 * Passes everything on to the machine's files and keeps account of what of each file has been synced. What the test sets may be
 * changed at any time between two calls. Threads: one. */
#ifndef SKUA_TESTS_SUPPORT_FILE_FAULTS_H
#define SKUA_TESTS_SUPPORT_FILE_FAULTS_H

#include <stdint.h>

#include "base/file.h"
#include "base/rng.h"

struct file_faults_account; /* of one file */

struct file_faults {
    struct file_system system; /* to be passed to who is tested */
    /* Set by the test. */
    int write_error;  /* an errno for all writes; 0: none */
    int sync_error;   /* for all syncs */
    int rename_error; /* for all renames */
    int open_error;   /* for all opens that may write */
    uint64_t room;    /* bytes that can still be written, then ENOSPC */
    size_t write_max; /* no write takes more */
    /* Direct mode: the alignment that is said, 0: it is refused when it is asked for (as at first); whether every write in it is refused. A write in
     * it that is not aligned is refused in any case. The machine's files are never in it. */
    size_t direct_alignment;
    bool refuses_direct_writes;
    uint64_t syncs; /* counted */
    uint64_t writes;
    uint64_t direct_writes; /* of them, that were taken */
    /* Its own. */
    struct file_faults_account *accounts;
    unsigned account_count, account_capacity;
};

void file_faults_init(struct file_faults *faults);
void file_faults_done(struct file_faults *faults);

/* What a crash of the machine leaves: each file that has been written keeps what was synced, and of the rest a part that chance
 * decides on. With `garbage` that part may end in bytes that nobody wrote. The files are closed. */
void file_faults_crash(struct file_faults *faults, struct rng *rng, bool garbage);

#endif
