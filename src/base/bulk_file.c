/* Large files past the page cache. Contract and invariants: see bulk_file.h. Threads: any; one at a time. */
#include "base/bulk_file.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"

static size_t round_down(size_t size, size_t alignment)
{
    return size - size % alignment;
}

static void drop_buffer(struct bulk_file *bulk)
{
    mem_free(bulk->block);
    bulk->block = NULL;
    bulk->buffer = NULL;
    bulk->gathered = 0;
}

/* What the file system refuses is no error: there is the page cache. */
static void begin_direct(struct bulk_file *bulk)
{
    size_t alignment;
    if (file_set_direct(&bulk->file, true, &alignment) != ST_OK)
        return;
    ASSERT(alignment > 0 && (alignment & (alignment - 1)) == 0);
    bulk->is_direct = true;
    bulk->alignment = alignment;
    if (alignment <= BULK_FILE_BUFFER)
        bulk->block = mem_try_alloc(BULK_FILE_BUFFER + alignment);
    if (bulk->block != NULL)
        bulk->buffer = (char *)(((uintptr_t)bulk->block + alignment - 1) & ~(uintptr_t)(alignment - 1));
}

static enum status end_direct(struct bulk_file *bulk)
{
    size_t alignment;
    enum status status = file_set_direct(&bulk->file, false, &alignment);
    if (status == ST_OK)
        bulk->is_direct = false;
    return status;
}

enum status bulk_file_open(const struct file_system *system, const char *path, struct bulk_file *ret_bulk)
{
    struct bulk_file bulk = {0};
    enum status status = file_open(system, path, FILE_CREATE, &bulk.file);
    if (status != ST_OK)
        return status;
    begin_direct(&bulk);
    if (bulk.is_direct && bulk.buffer == NULL)
        status = end_direct(&bulk);
    *ret_bulk = bulk;
    if (status != ST_OK)
        bulk_file_close(ret_bulk);
    return status;
}

/* Some file systems take direct mode and then no write in it, or not behind a short one: the rest goes through the page cache. */
static enum status write_direct(struct bulk_file *bulk, const char *bytes, size_t size)
{
    struct iovec piece = {(void *)bytes, size};
    size_t written;
    enum status status = file_write_pieces(&bulk->file, &piece, 1, &written);
    if (status != ST_IO || errno != EINVAL)
        return status;
    status = end_direct(bulk);
    return status == ST_OK ? file_write_all(&bulk->file, bytes + written, size - written) : status;
}

static enum status write_full_buffer(struct bulk_file *bulk)
{
    enum status status = write_direct(bulk, bulk->buffer, bulk->gathered);
    bulk->gathered = 0;
    if (!bulk->is_direct)
        drop_buffer(bulk);
    return status;
}

enum status bulk_file_append(struct bulk_file *bulk, const void *bytes, size_t size)
{
    const char *at = bytes;
    enum status status = ST_OK;
    while (status == ST_OK && bulk->is_direct && size > 0) {
        size_t room = BULK_FILE_BUFFER - bulk->gathered, some = size < room ? size : room;
        memcpy(bulk->buffer + bulk->gathered, at, some);
        bulk->gathered += some;
        at += some;
        size -= some;
        if (bulk->gathered == BULK_FILE_BUFFER)
            status = write_full_buffer(bulk);
    }
    return status == ST_OK && size > 0 ? file_write_all(&bulk->file, at, size) : status;
}

enum status bulk_file_flush(struct bulk_file *bulk)
{
    if (!bulk->is_direct)
        return ST_OK;
    size_t whole = round_down(bulk->gathered, bulk->alignment), rest = bulk->gathered - whole;
    enum status status = whole > 0 ? write_direct(bulk, bulk->buffer, whole) : ST_OK;
    if (status == ST_OK && bulk->is_direct)
        status = end_direct(bulk);
    if (status == ST_OK && rest > 0)
        status = file_write_all(&bulk->file, bulk->buffer + whole, rest);
    int reason = errno;
    drop_buffer(bulk);
    errno = reason;
    return status;
}

void bulk_file_close(struct bulk_file *bulk)
{
    int reason = errno;
    drop_buffer(bulk);
    file_close(&bulk->file);
    errno = reason;
}
