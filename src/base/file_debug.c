/* Files of debug builds. Contract in file_debug.h. Threads: any. */
#include "base/file_debug.h"

#ifdef SKUA_DEBUG

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/num.h"

enum crash_kind {
    CRASH_OPEN,
    CRASH_WRITE,
    CRASH_SYNC,
    CRASH_RENAME,
    CRASH_UNLINK,
    CRASH_DIRECTORY,
    CRASH_KINDS
};

static const char *const kind_names[CRASH_KINDS] = {"open", "write", "sync", "rename", "unlink", "directory"};

struct file_debug {
    struct file_system system;
    int journal; /* -1: none */
    int kind;    /* CRASH_KINDS: never */
    bool is_after;
    _Atomic int64_t left; /* operations of the kind until the end */
};

static struct file_debug *debug_of(const struct file_system *system)
{
    return system->context;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Before an operation. Returns whether the process is to die after it. */
static bool count(const struct file_system *system, enum crash_kind kind)
{
    struct file_debug *debug = debug_of(system);
    if (debug->kind != (int)kind || atomic_fetch_sub(&debug->left, 1) != 1)
        return false;
    if (!debug->is_after)
        die();
    return true;
}

static enum status done(bool dies, enum status status)
{
    if (dies)
        die();
    return status;
}

static void tell_journal(const struct file_debug *debug, struct file *file)
{
    char link[64], path[FILE_PATH_MAX], line[FILE_PATH_MAX + 64];
    uint64_t size;
    if (debug->journal < 0 || file_system_real()->size(file, &size) != ST_OK)
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file->descriptor);
    ssize_t path_size = readlink(link, path, sizeof path - 1);
    int line_size = snprintf(line, sizeof line, "%llu %.*s\n", (unsigned long long)size,
                             path_size > 0 ? (int)path_size : 0, path);
    if (write(debug->journal, line, (size_t)line_size) != line_size)
        fatal("the journal of files cannot be written");
}

static enum status debug_open(const struct file_system *system, const char *path, enum file_mode mode,
                              struct file *ret_file)
{
    bool dies = mode != FILE_READ && count(system, CRASH_OPEN);
    enum status status = file_system_real()->open(file_system_real(), path, mode, ret_file);
    if (status == ST_OK)
        ret_file->system = system;
    return done(dies, status);
}

/* A write that the process dies after may have been a part of what was wanted. */
static enum status debug_write(struct file *file, const struct iovec *pieces, unsigned piece_count,
                               size_t *ret_written)
{
    if (!count(file->system, CRASH_WRITE))
        return file_system_real()->write(file, pieces, piece_count, ret_written);
    struct iovec half = {pieces->iov_base, (pieces->iov_len + 1) / 2};
    return done(true, file_system_real()->write(file, &half, 1, ret_written));
}

static enum status debug_pwrite(struct file *file, const void *bytes, size_t size, uint64_t offset,
                                size_t *ret_written)
{
    bool dies = count(file->system, CRASH_WRITE);
    return done(dies, file_system_real()->pwrite(file, bytes, size, offset, ret_written));
}

/* The size is looked at before: what comes while the sync runs need not be on disk. */
static enum status debug_sync(struct file *file)
{
    bool dies = count(file->system, CRASH_SYNC);
    enum status status = file_system_real()->sync(file);
    if (status == ST_OK)
        tell_journal(debug_of(file->system), file);
    return done(dies, status);
}

static enum status debug_rename(const struct file_system *system, const char *from, const char *to)
{
    bool dies = count(system, CRASH_RENAME);
    return done(dies, file_system_real()->rename(system, from, to));
}

static enum status debug_unlink(const struct file_system *system, const char *path)
{
    bool dies = count(system, CRASH_UNLINK);
    return done(dies, file_system_real()->unlink(system, path));
}

static enum status debug_sync_directory(const struct file_system *system, const char *path)
{
    bool dies = count(system, CRASH_DIRECTORY);
    return done(dies, file_system_real()->sync_directory(system, path));
}

/* "sync:12:after" */
static void parse_crash(struct file_debug *debug, const char *text)
{
    const char *colon = strchr(text, ':');
    int64_t left = 0;
    if (!colon)
        fatal("SKUA_FILE_CRASH is kind:n or kind:n:after");
    for (int kind = 0; kind < CRASH_KINDS; kind++)
        if (slice_equal(slice_make(text, (size_t)(colon - text)), slice_from_string(kind_names[kind])))
            debug->kind = kind;
    const char *end = strchr(colon + 1, ':');
    size_t digits = end ? (size_t)(end - colon - 1) : strlen(colon + 1);
    if (debug->kind == CRASH_KINDS || !num_parse_i64(slice_make(colon + 1, digits), &left))
        fatal("SKUA_FILE_CRASH is kind:n or kind:n:after");
    debug->is_after = end && strcmp(end, ":after") == 0;
    atomic_store(&debug->left, left);
}

struct file_system *file_debug_new(void)
{
    const char *journal = getenv("SKUA_FILE_JOURNAL"), *crash = getenv("SKUA_FILE_CRASH");
    if (!journal && !crash)
        return NULL;
    struct file_debug *debug = mem_calloc(1, sizeof *debug);
    debug->system = *file_system_real();
    debug->system.context = debug;
    debug->system.open = debug_open;
    debug->system.write = debug_write;
    debug->system.pwrite = debug_pwrite;
    debug->system.sync = debug_sync;
    debug->system.rename = debug_rename;
    debug->system.unlink = debug_unlink;
    debug->system.sync_directory = debug_sync_directory;
    debug->kind = CRASH_KINDS;
    debug->journal = journal ? open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    if (journal && debug->journal < 0)
        fatal("the journal of files cannot be opened");
    if (crash)
        parse_crash(debug, crash);
    return &debug->system;
}

void file_debug_free(struct file_system *system)
{
    if (!system)
        return;
    struct file_debug *debug = system->context;
    if (debug->journal >= 0)
        close(debug->journal);
    mem_free(debug);
}

#else

struct file_system *file_debug_new(void)
{
    return NULL;
}

void file_debug_free(struct file_system *system)
{
    (void)system;
}

#endif
