/* Files that are written once, from their beginning to their end, and are large: snapshots. They go past the page cache.
 *
 * Principal entry points: bulk_file_open, bulk_file_append, bulk_file_flush, bulk_file_close.
 * The kernel takes 1 to 1.6 s of CPU time for 512 MB through the page cache, and 0.1 s in direct mode (file_set_direct); and what nobody
 * is going to read drives nothing out of the cache. What is appended gathers in a buffer, which goes out when it is full. The rest goes
 * through the page cache in the end, since direct mode takes only multiples of its alignment.
 * A file system that has no direct mode, refuses it when it is asked for or when it is written to, or memory that is refused for
 * the buffer: what is appended is written as it comes, through the page cache.
 *
 * B1  While is_direct, the file ends at a multiple of `alignment`, `gathered` < BULK_FILE_BUFFER between two calls, and the bytes of
 *     the stream are those of the file and then those of the buffer.
 * B2  Without it nothing is gathered, there is no buffer, and writes go through the page cache.
 * B3  Nothing is on the disk for sure before file_sync(&bulk->file): a write past the page cache may lie in the disk's own cache, and
 *     the size of the file is metadata.
 * Threads: any; one at a time. Every call may wait for the disk. */
#ifndef SKUA_BASE_BULK_FILE_H
#define SKUA_BASE_BULK_FILE_H

#include "base/file.h"

/* What is written at once. From a quarter of it on the kernel's part for each write shows. */
#define BULK_FILE_BUFFER ((size_t)1 << 20)

struct bulk_file {
    struct file file; /* to be synced; nothing else is done with it from outside */
    bool is_direct;
    size_t alignment; /* of addresses, sizes and places in the file, while is_direct */
    void *block;      /* the buffer's memory; NULL: none */
    char *buffer;     /* in it, aligned */
    size_t gathered;  /* bytes in the buffer */
};

/* Makes the file, or empties the one that there is. */
enum status bulk_file_open(const struct file_system *system, const char *path, struct bulk_file *ret_bulk);

/* After a failure (ST_IO, as file_write_all) how much was written is not known: the file is good for nothing but bulk_file_close. */
enum status bulk_file_append(struct bulk_file *bulk, const void *bytes, size_t size);

/* Writes what is gathered; what is still appended goes through the page cache. To be called before the last sync. */
enum status bulk_file_flush(struct bulk_file *bulk);

/* Once. What was not flushed is not written. Leaves errno as it is. */
void bulk_file_close(struct bulk_file *bulk);

#endif
