/* Repairing logs. Entry: repair_log. Threads: one. */
#include "check/repair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"

#define BLOCK_SIZE ((size_t)256 << 10)

static enum check_status refused(const char *path, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", path, what, strerror(errno));
    return CHECK_FAILED;
}

/* A line that begins with y or Y. */
static bool ask(const struct findings *findings, uint64_t size)
{
    char answer[16];
    fprintf(stderr, "Cut off the last %" PRIu64 " bytes of %s (a copy of them is kept)? [y/N] ", size,
            findings->path);
    fflush(stderr);
    if (fgets(answer, sizeof answer, stdin) == NULL) {
        fprintf(stderr, "\n");
        return false;
    }
    return answer[0] == 'y' || answer[0] == 'Y';
}

/* Copies what is behind `offset` into another file, which must not be there. */
static enum status copy_tail(struct file *log, uint64_t offset, struct file *copy)
{
    char *block = mem_alloc(BLOCK_SIZE);
    enum status status = ST_OK;
    size_t size = 0;
    do {
        status = file_pread(log, block, BLOCK_SIZE, offset, &size);
        if (status == ST_OK && size > 0)
            status = file_write_all(copy, block, size);
        offset += size;
    } while (status == ST_OK && size > 0);
    mem_free(block);
    return status == ST_OK ? file_sync(copy) : status;
}

static enum check_status keep_tail(const struct findings *findings, struct file *log, const char *copy_path)
{
    struct file copy;
    if (file_open(file_system_real(), copy_path, FILE_CREATE_NEW, &copy) != ST_OK)
        return refused(copy_path, "the copy cannot be made");
    enum status status = copy_tail(log, findings->cut_at, &copy);
    file_close(&copy);
    if (status == ST_OK)
        return CHECK_SOUND;
    enum check_status failed = refused(copy_path, "the copy cannot be written");
    file_unlink(file_system_real(), copy_path);
    return failed;
}

static enum check_status cut(const struct findings *findings, struct file *log, uint64_t size)
{
    char folder[FILE_PATH_MAX];
    struct buf copy_path = {0};
    buf_printf(&copy_path, "%s.cut-%" PRIu64, findings->path, findings->cut_at);
    enum check_status status = keep_tail(findings, log, buf_string(&copy_path));
    if (status == CHECK_SOUND && (file_directory_of(findings->path, folder) != ST_OK ||
                                  file_sync_directory(file_system_real(), folder) != ST_OK))
        status = refused(folder, "the folder cannot be synced");
    if (status == CHECK_SOUND && (file_truncate(log, findings->cut_at) != ST_OK || file_sync(log) != ST_OK))
        status = refused(findings->path, "cannot be cut");
    if (status == CHECK_SOUND)
        printf("%s: repaired: %" PRIu64 " bytes from offset %" PRIu64 " on are now in %s\n", findings->path,
               size, findings->cut_at, buf_string(&copy_path));
    buf_done(&copy_path);
    return status;
}

enum check_status repair_log(const struct findings *findings, bool is_agreed)
{
    struct file log;
    uint64_t size;
    if (!findings->can_cut) {
        fprintf(stderr, "%s: cannot be repaired: only the end of a log can be cut off\n", findings->path);
        return findings_status(findings);
    }
    if (file_open(file_system_real(), findings->path, FILE_MODIFY, &log) != ST_OK)
        return refused(findings->path, "cannot be opened for writing");
    enum check_status status = CHECK_FAILED;
    if (file_size(&log, &size) != ST_OK)
        status = refused(findings->path, "its size is not known");
    else if (!is_agreed && !ask(findings, size - findings->cut_at))
        status = CHECK_DAMAGED;
    else
        status = cut(findings, &log, size - findings->cut_at);
    file_close(&log);
    return status;
}
