/* skua-cli --rdb and --functions-rdb: a server's snapshot in a file.
 *
 * Entry: mode_rdb. Threads: the main thread.
 * I1: the file appears under its name only when it is complete and on the disk; until then the bytes are in a file
 * beside it that is removed when anything fails. What is not a regular file ("-", a device, a pipe) is written to as it
 * comes. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "cli/mode_shared.h"
#include "cli/mode_sync.h"
#include "cli/modes.h"
#include "common/progress.h"

#define FILE_MODE     0644
#define NAME_ATTEMPTS 16

struct target {
    int descriptor;
    char *path;        /* where the file shall be at the end; NULL: it is written in place */
    struct buf beside; /* of the file that is being written; only with `path` */
};

static bool target_fail(const char *path, const char *what)
{
    fprintf(stderr, "Error %s '%s': %s\n", what, path, strerror(errno));
    return false;
}

/* A new file in the same folder, so that it can be renamed. */
static bool open_beside(struct target *target)
{
    for (int attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
        uint32_t number;
        rng_system_bytes(&number, sizeof number);
        buf_clear(&target->beside);
        buf_printf(&target->beside, "%s.part-%08" PRIx32, target->path, number);
        target->descriptor =
            open(buf_string(&target->beside), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
        if (target->descriptor >= 0)
            return true;
        if (errno != EEXIST)
            break;
    }
    return target_fail(target->path, "opening");
}

static bool target_open(struct target *target, const char *path)
{
    struct stat status;
    *target = (struct target){.descriptor = -1};
    if (strcmp(path, "-") == 0) {
        target->descriptor = STDOUT_FILENO;
        return true;
    }
    bool exists = stat(path, &status) == 0;
    if (exists && !S_ISREG(status.st_mode)) {
        target->descriptor = open(path, O_WRONLY | O_CLOEXEC);
        return target->descriptor >= 0 || target_fail(path, "opening");
    }
    target->path = mem_alloc(PATH_MAX);
    if (!exists || realpath(path, target->path) == NULL) /* what a link leads to is replaced, not the link */
        snprintf(target->path, PATH_MAX, "%s", path);
    return open_beside(target);
}

static bool target_write(struct target *target, const char *name, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(target->descriptor, bytes, size);
        if (written < 0 && errno == EINTR && !cli_interrupted())
            continue;
        if (written < 0)
            return target_fail(name, "writing");
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

/* The name is on the disk only once the folder is. */
static bool sync_folder(const char *path)
{
    char *copy = mem_strdup(path);
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mem_free(copy);
    bool synced = folder >= 0 && fsync(folder) == 0;
    if (folder >= 0)
        close(folder);
    return synced;
}

static bool target_commit(struct target *target)
{
    if (target->path == NULL)
        return true;
    if (fsync(target->descriptor) != 0)
        return target_fail(target->path, "syncing");
    if (rename(buf_string(&target->beside), target->path) != 0)
        return target_fail(target->path, "renaming");
    buf_clear(&target->beside);
    return sync_folder(target->path) || target_fail(target->path, "syncing the folder of");
}

/* Removes what was not committed. */
static void target_done(struct target *target)
{
    if (target->descriptor >= 0 && target->descriptor != STDOUT_FILENO)
        close(target->descriptor);
    if (target->beside.size > 0)
        unlink(buf_string(&target->beside));
    buf_done(&target->beside);
    mem_free(target->path);
}

static bool transfer(struct sync *sync, struct target *target, const char *name)
{
    const char *bytes;
    size_t size;
    for (;;) {
        if (!sync_next(sync, &bytes, &size))
            return false;
        if (size == 0)
            return true;
        if (!target_write(target, name, bytes, size))
            return false;
        progress_update(sync->progress, sync->received);
    }
}

/* From a snapshot that has begun to a file that is there. */
static bool receive(struct cli *cli, struct sync *sync, struct target *target, const char *name)
{
    struct progress progress;
    const struct progress_options options = {.label = cli->options.rdb_file != NULL ? "rdb" : "functions-rdb",
                                             .unit = PROGRESS_BYTES,
                                             .total = sync->marked ? 0 : sync->left,
                                             .descriptor = STDERR_FILENO,
                                             .output = STDOUT_FILENO};
    progress_init(&progress, &options);
    sync->progress = &progress;
    bool complete = transfer(sync, target, name);
    progress_done(&progress);
    sync->progress = NULL;
    if (!complete || !target_commit(target))
        return false;
    fprintf(stderr, "Transfer finished with success: %" PRIu64 " bytes in '%s'\n", sync->received, name);
    return true;
}

int mode_rdb(struct cli *cli)
{
    bool functions = cli->options.rdb_file == NULL;
    const char *name = functions ? cli->options.functions_rdb_file : cli->options.rdb_file;
    struct target target;
    struct sync sync;
    bool succeeded = false;
    cli_catch_interrupts();
    if (target_open(&target, name)) { /* first, so that a server does not work for nothing */
        succeeded = sync_start(&sync, cli, functions ? SYNC_FUNCTIONS : SYNC_SNAPSHOT) &&
                    receive(cli, &sync, &target, name);
        sync_done(&sync);
    }
    target_done(&target);
    return succeeded ? 0 : 1;
}
