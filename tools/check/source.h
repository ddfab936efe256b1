/* What is to be checked: a snapshot (RDB), a log in one file (AOF), or a log in several with its manifest.
 *
 * Principal entry points: source_open, source_close.
 * What a file is follows from its first bytes, not from its name. A folder stands for the log whose manifest is in it, or in its
 * appendonlydir; else for its dump.rdb.
 * Threads: one user. What stands in files is not trusted. */
#ifndef SKUA_CHECK_SOURCE_H
#define SKUA_CHECK_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"
#include "check/findings.h"

#define SOURCE_FILES_MAX    4096
#define SOURCE_MANIFEST_MAX ((size_t)4 << 20) /* bytes */

enum source_role {
    SOURCE_ALONE,     /* there is no manifest */
    SOURCE_BASE,      /* what the log goes on from */
    SOURCE_INCREMENT, /* the log */
};

struct source_file {
    char *path;
    enum source_role role;
    bool is_snapshot; /* begins as one; a log may follow in the same file */
    uint64_t size;
};

struct source {
    char *path;     /* that was asked for */
    char *manifest; /* NULL: there is none */
    struct source_file *files;
    unsigned file_count;
    unsigned history; /* files that the manifest names as to be deleted */
};

/* CHECK_DAMAGED: the manifest is not sound, or a file of it is missing; CHECK_FAILED: nothing that could be checked.
 * `findings` has the reason. source_close in any case. */
enum check_status source_open(struct source *source, const char *path, struct findings *findings);
void source_close(struct source *source);

/* The file at which a log goes on: the only one that may be torn. */
const struct source_file *source_last(const struct source *source);

#endif
