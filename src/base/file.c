/* Files and directories of the machine, and what is made of the hooks. Contract in file.h. Threads: any. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bug.h"

#define READ_STEP ((size_t)64 << 10)

static enum status status_of_errno(void)
{
    switch (errno) {
    case ENOENT: return ST_NOT_FOUND;
    case EEXIST: return ST_EXISTS;
    default: return ST_IO;
    }
}

static enum status status_of(int result)
{
    return result < 0 ? status_of_errno() : ST_OK;
}

/* ---- The machine's -------------------------------------------------------------------------------- */

static enum status real_open(const struct file_system *system, const char *path, enum file_mode mode,
                             struct file *ret_file)
{
    static const int flags[] = {
        [FILE_READ] = O_RDONLY,
        [FILE_CREATE] = O_WRONLY | O_CREAT | O_TRUNC,
        [FILE_CREATE_NEW] = O_WRONLY | O_CREAT | O_EXCL,
        [FILE_APPEND] = O_WRONLY | O_CREAT | O_APPEND,
        [FILE_MODIFY] = O_RDWR,
    };
    int descriptor;
    do {
        descriptor = open(path, flags[mode] | O_CLOEXEC, 0644);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0)
        return status_of_errno();
    *ret_file = (struct file){system, descriptor};
    return ST_OK;
}

/* Of read, write and the like: `result` bytes, or an error. */
static enum status count_of(ssize_t result, size_t *ret_count)
{
    if (result < 0)
        return ST_IO;
    *ret_count = (size_t)result;
    return ST_OK;
}

/* A write of nothing would have its caller go round for ever. */
static enum status written_of(ssize_t result, size_t *ret_count)
{
    if (result == 0) {
        errno = ENOSPC;
        return ST_IO;
    }
    return count_of(result, ret_count);
}

static enum status real_write(struct file *file, const struct iovec *pieces, unsigned count,
                              size_t *ret_written)
{
    ssize_t result;
    do {
        result = writev(file->descriptor, pieces, (int)count);
    } while (result < 0 && errno == EINTR);
    return written_of(result, ret_written);
}

static enum status real_pwrite(struct file *file, const void *bytes, size_t size, uint64_t offset,
                               size_t *ret_written)
{
    ssize_t result;
    do {
        result = pwrite(file->descriptor, bytes, size, (off_t)offset);
    } while (result < 0 && errno == EINTR);
    return written_of(result, ret_written);
}

static enum status real_read(struct file *file, void *bytes, size_t size, size_t *ret_read)
{
    ssize_t result;
    do {
        result = read(file->descriptor, bytes, size);
    } while (result < 0 && errno == EINTR);
    return count_of(result, ret_read);
}

static enum status real_pread(struct file *file, void *bytes, size_t size, uint64_t offset, size_t *ret_read)
{
    ssize_t result;
    do {
        result = pread(file->descriptor, bytes, size, (off_t)offset);
    } while (result < 0 && errno == EINTR);
    return count_of(result, ret_read);
}

static enum status real_sync(struct file *file)
{
    int result;
    do {
        result = fdatasync(file->descriptor);
    } while (result < 0 && errno == EINTR);
    return status_of(result);
}

/* What the disk wants, as far as the kernel says so, and never less than a page, so that what is written directly shares no page with
 * what is not. 0: no direct mode. */
static size_t direct_alignment(int descriptor)
{
    size_t alignment = (size_t)sysconf(_SC_PAGESIZE);
#ifdef STATX_DIOALIGN
    struct statx about;
    if (statx(descriptor, "", AT_EMPTY_PATH, STATX_DIOALIGN, &about) == 0 &&
        about.stx_mask & STATX_DIOALIGN) {
        if (about.stx_dio_mem_align == 0 || about.stx_dio_offset_align == 0)
            return 0;
        if (about.stx_dio_mem_align > alignment)
            alignment = about.stx_dio_mem_align;
        if (about.stx_dio_offset_align > alignment)
            alignment = about.stx_dio_offset_align;
    }
#endif
    return alignment;
}

static enum status real_set_direct(struct file *file, bool on, size_t *ret_alignment)
{
    size_t alignment = on ? direct_alignment(file->descriptor) : 0;
    if (on && alignment == 0) {
        errno = EINVAL;
        return ST_IO;
    }
    int flags = fcntl(file->descriptor, F_GETFL);
    if (flags < 0 || fcntl(file->descriptor, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) < 0)
        return ST_IO;
    *ret_alignment = alignment;
    return ST_OK;
}

static enum status real_truncate(struct file *file, uint64_t size)
{
    int result;
    do {
        result = ftruncate(file->descriptor, (off_t)size);
    } while (result < 0 && errno == EINTR);
    return status_of(result);
}

static enum status real_size(struct file *file, uint64_t *ret_size)
{
    struct stat about;
    if (fstat(file->descriptor, &about) < 0)
        return ST_IO;
    *ret_size = (uint64_t)about.st_size;
    return ST_OK;
}

static void real_close(struct file *file)
{
    close(file->descriptor); /* what matters has been synced, which reports its own errors */
}

static enum status real_rename(const struct file_system *system, const char *from, const char *to)
{
    return status_of(rename(from, to));
}

static enum status real_unlink(const struct file_system *system, const char *path)
{
    return status_of(unlink(path));
}

static enum status real_make_directory(const struct file_system *system, const char *path)
{
    return status_of(mkdir(path, 0755));
}

static enum status real_sync_directory(const struct file_system *system, const char *path)
{
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return status_of_errno();
    int result = fsync(descriptor), reason = errno;
    close(descriptor);
    errno = reason;
    /* Some file systems cannot sync a directory: then there is nothing to be done. */
    if (result < 0 && reason == EINVAL)
        return ST_OK;
    return status_of(result);
}

static enum status real_list(const struct file_system *system, const char *path, file_name_fn *each,
                             void *context)
{
    DIR *directory = opendir(path);
    if (!directory)
        return status_of_errno();
    for (;;) {
        errno = 0;
        const struct dirent *found = readdir(directory);
        if (!found)
            break;
        if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0)
            each(context, found->d_name);
    }
    int reason = errno;
    closedir(directory);
    errno = reason;
    return reason ? ST_IO : ST_OK;
}

static const struct file_system real_system = {
    .open = real_open,
    .write = real_write,
    .pwrite = real_pwrite,
    .read = real_read,
    .pread = real_pread,
    .sync = real_sync,
    .set_direct = real_set_direct,
    .truncate = real_truncate,
    .size = real_size,
    .close = real_close,
    .rename = real_rename,
    .unlink = real_unlink,
    .make_directory = real_make_directory,
    .sync_directory = real_sync_directory,
    .list = real_list,
};

const struct file_system *file_system_real(void)
{
    return &real_system;
}

/* ---- Files ---------------------------------------------------------------------------------------- */

enum status file_open(const struct file_system *system, const char *path, enum file_mode mode,
                      struct file *ret_file)
{
    return system->open(system, path, mode, ret_file);
}

enum status file_open_unnamed(const struct file_system *system, const char *path, struct file *ret_file)
{
    struct file file;
    enum status status = file_open(system, path, FILE_CREATE, &file);
    if (status != ST_OK)
        return status;
    file_close(&file);
    status = file_open(system, path, FILE_MODIFY, &file); /* what creates does not read */
    int reason = errno;
    enum status unlinked = file_unlink(system, path);
    if (status == ST_OK && unlinked != ST_OK) {
        reason = errno;
        file_close(&file);
        status = unlinked;
    }
    if (status == ST_OK)
        *ret_file = file;
    errno = reason;
    return status;
}

void file_close(struct file *file)
{
    ASSERT(file->descriptor >= 0);
    file->system->close(file);
    file->descriptor = -1;
}

/* Passes over what has been written of the pieces. */
static void skip_written(struct iovec **pieces, unsigned *count, size_t written)
{
    while (*count > 0 && written >= (*pieces)->iov_len) {
        written -= (*pieces)->iov_len;
        ++*pieces;
        --*count;
    }
    if (written == 0)
        return;
    (*pieces)->iov_base = (char *)(*pieces)->iov_base + written;
    (*pieces)->iov_len -= written;
}

enum status file_write_pieces(struct file *file, struct iovec *pieces, unsigned count, size_t *ret_written)
{
    *ret_written = 0;
    skip_written(&pieces, &count, 0); /* empty ones */
    while (count > 0) {
        size_t written;
        unsigned some = count < FILE_PIECES_MAX ? count : FILE_PIECES_MAX;
        enum status status = file->system->write(file, pieces, some, &written);
        if (status != ST_OK)
            return status;
        *ret_written += written;
        skip_written(&pieces, &count, written);
    }
    return ST_OK;
}

enum status file_write_all(struct file *file, const void *bytes, size_t size)
{
    struct iovec piece = {(void *)bytes, size};
    size_t written;
    return file_write_pieces(file, &piece, 1, &written);
}

enum status file_pwrite_all(struct file *file, const void *bytes, size_t size, uint64_t offset)
{
    while (size > 0) {
        size_t written;
        enum status status = file->system->pwrite(file, bytes, size, offset, &written);
        if (status != ST_OK)
            return status;
        bytes = (const char *)bytes + written;
        size -= written;
        offset += written;
    }
    return ST_OK;
}

enum status file_read(struct file *file, void *bytes, size_t size, size_t *ret_read)
{
    size_t total = 0, some = 1;
    while (total < size && some > 0) {
        enum status status = file->system->read(file, (char *)bytes + total, size - total, &some);
        if (status != ST_OK)
            return status;
        total += some;
    }
    *ret_read = total;
    return ST_OK;
}

enum status file_pread(struct file *file, void *bytes, size_t size, uint64_t offset, size_t *ret_read)
{
    size_t total = 0, some = 1;
    while (total < size && some > 0) {
        enum status status =
            file->system->pread(file, (char *)bytes + total, size - total, offset + total, &some);
        if (status != ST_OK)
            return status;
        total += some;
    }
    *ret_read = total;
    return ST_OK;
}

enum status file_sync(struct file *file)
{
    return file->system->sync(file);
}

enum status file_set_direct(struct file *file, bool on, size_t *ret_alignment)
{
    if (file->system->set_direct == NULL) {
        errno = EINVAL;
        return ST_IO;
    }
    return file->system->set_direct(file, on, ret_alignment);
}

enum status file_truncate(struct file *file, uint64_t size)
{
    return file->system->truncate(file, size);
}

enum status file_size(struct file *file, uint64_t *ret_size)
{
    return file->system->size(file, ret_size);
}

static enum status read_to_end(struct file *file, size_t size_max, struct buf *text)
{
    size_t before = text->size, some = 1;
    while (some > 0) {
        if (!buf_try_reserve(text, READ_STEP))
            return ST_NOMEM;
        enum status status = file_read(file, text->data + text->size, READ_STEP, &some);
        if (status != ST_OK)
            return status;
        text->size += some;
        if (text->size - before > size_max)
            return ST_LIMIT;
    }
    return ST_OK;
}

enum status file_read_whole(const struct file_system *system, const char *path, size_t size_max,
                            struct buf *text)
{
    struct file file;
    enum status status = file_open(system, path, FILE_READ, &file);
    if (status != ST_OK)
        return status;
    status = read_to_end(&file, size_max, text);
    int reason = errno;
    file_close(&file);
    errno = reason;
    return status;
}

static enum status write_and_sync(const struct file_system *system, const char *path, struct slice bytes)
{
    struct file file;
    enum status status = file_open(system, path, FILE_CREATE, &file);
    if (status != ST_OK)
        return status;
    status = file_write_all(&file, bytes.data, bytes.size);
    if (status == ST_OK)
        status = file_sync(&file);
    int reason = errno;
    file_close(&file);
    errno = reason;
    return status;
}

enum status file_replace(const struct file_system *system, const char *path, const char *temporary,
                         struct slice bytes)
{
    char directory[FILE_PATH_MAX];
    enum status status = file_directory_of(path, directory);
    if (status == ST_OK)
        status = write_and_sync(system, temporary, bytes);
    if (status == ST_OK)
        status = file_rename(system, temporary, path);
    if (status == ST_OK)
        return file_sync_directory(system, directory);
    int reason = errno;
    file_unlink(system, temporary);
    errno = reason;
    return status;
}

/* ---- Names ---------------------------------------------------------------------------------------- */

enum status file_rename(const struct file_system *system, const char *from, const char *to)
{
    return system->rename(system, from, to);
}

enum status file_unlink(const struct file_system *system, const char *path)
{
    return system->unlink(system, path);
}

enum status file_make_directory(const struct file_system *system, const char *path)
{
    return system->make_directory(system, path);
}

enum status file_sync_directory(const struct file_system *system, const char *path)
{
    return system->sync_directory(system, path);
}

enum status file_list(const struct file_system *system, const char *path, file_name_fn *each, void *context)
{
    return system->list(system, path, each, context);
}

enum status file_exists(const struct file_system *system, const char *path)
{
    struct file file;
    enum status status = file_open(system, path, FILE_READ, &file);
    if (status == ST_OK)
        file_close(&file);
    return status;
}

enum status file_directory_of(const char *path, char *ret_directory)
{
    const char *end = strrchr(path, '/');
    if (!end) {
        memcpy(ret_directory, ".", 2);
        return ST_OK;
    }
    size_t size = end == path ? 1 : (size_t)(end - path);
    if (size >= FILE_PATH_MAX) {
        errno = ENAMETOOLONG;
        return ST_LIMIT;
    }
    memcpy(ret_directory, path, size);
    ret_directory[size] = 0;
    return ST_OK;
}
