/* Files and directories, behind hooks so that a test can have them fail.
 *
 * Principal entry points: file_system_real, file_open, file_write_all, file_sync, file_close, file_replace.
 * A `struct file_system` is what does it: the machine's, or one of a test (tests/support/file_faults.h) whose disk is full, writes
 * short or forgets what has not been synced. Who touches files gets one passed and uses nothing else.
 * Every function that fails with ST_IO leaves the reason in errno. ST_NOT_FOUND: there is no such file; ST_EXISTS: there is one.
 * Threads: any; a file has one user at a time. The calls may wait for the disk: never on the executor. */
#ifndef SKUA_BASE_FILE_H
#define SKUA_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/status.h"

struct file_system;

enum file_mode {
    FILE_READ,       /* must be there */
    FILE_CREATE,     /* made, or emptied when there is one */
    FILE_CREATE_NEW, /* made, and must not be there: ST_EXISTS */
    FILE_APPEND,     /* made when it is not there; every write goes to its end */
    FILE_MODIFY,     /* must be there; written at its beginning, or where pwrite says */
};

/* An open file. */
struct file {
    const struct file_system *system;
    int descriptor;
};

#define FILE_PIECES_MAX 64 /* of one write */
#define FILE_PATH_MAX   4096

/* What lists a directory: called for each name but "." and "..", in no order. */
typedef void file_name_fn(void *context, const char *name);

struct file_system {
    void *context;
    enum status (*open)(const struct file_system *system, const char *path, enum file_mode mode,
                        struct file *ret_file);
    /* At most FILE_PIECES_MAX pieces. May write less than all, but something. */
    enum status (*write)(struct file *file, const struct iovec *pieces, unsigned count, size_t *ret_written);
    enum status (*pwrite)(struct file *file, const void *bytes, size_t size, uint64_t offset,
                          size_t *ret_written);
    /* 0 bytes only at the end. */
    enum status (*read)(struct file *file, void *bytes, size_t size, size_t *ret_read);
    enum status (*pread)(struct file *file, void *bytes, size_t size, uint64_t offset, size_t *ret_read);
    /* What has been written is on the disk then. After a failure what was not synced may be lost. */
    enum status (*sync)(struct file *file);
    /* Direct mode: writes go past the page cache. From now on address, size and place in the file of each write must be
     * multiples of *ret_alignment, a power of two of at least a page; with `on` false it says nothing. ST_IO: refused. NULL: the
     * system has no such mode. */
    enum status (*set_direct)(struct file *file, bool on, size_t *ret_alignment);
    enum status (*truncate)(struct file *file, uint64_t size);
    enum status (*size)(struct file *file, uint64_t *ret_size);
    void (*close)(struct file *file);
    /* Replaces `to` at one stroke if there is one. */
    enum status (*rename)(const struct file_system *system, const char *from, const char *to);
    enum status (*unlink)(const struct file_system *system, const char *path);
    enum status (*make_directory)(const struct file_system *system, const char *path);
    /* What was renamed, made and unlinked in the directory is on the disk then. */
    enum status (*sync_directory)(const struct file_system *system, const char *path);
    enum status (*list)(const struct file_system *system, const char *path, file_name_fn *each,
                        void *context);
};

/* The machine's. */
const struct file_system *file_system_real(void);

/* ---- Files ---------------------------------------------------------------------------------------- */

enum status file_open(const struct file_system *system, const char *path, enum file_mode mode,
                      struct file *ret_file);
/* A new file to write and read (pwrite, pread) that has no name any more and goes with its last descriptor. `path` is its name while it is
 * being opened. Fails without leaving anything. */
enum status file_open_unnamed(const struct file_system *system, const char *path, struct file *ret_file);
/* Once; its number is forgotten. Nothing is promised of what has not been synced. */
void file_close(struct file *file);

/* Writes all or fails; what was written of it until then stays: *ret_written (never NULL) says how much, in any case. The pieces
 * may be changed. */
enum status file_write_pieces(struct file *file, struct iovec *pieces, unsigned count, size_t *ret_written);
enum status file_write_all(struct file *file, const void *bytes, size_t size);
enum status file_pwrite_all(struct file *file, const void *bytes, size_t size, uint64_t offset);

/* Up to `size` bytes, fewer only at the end of the file. */
enum status file_read(struct file *file, void *bytes, size_t size, size_t *ret_read);
enum status file_pread(struct file *file, void *bytes, size_t size, uint64_t offset, size_t *ret_read);

enum status file_sync(struct file *file);
/* As the hook. Refused with EINVAL where there is none. */
enum status file_set_direct(struct file *file, bool on, size_t *ret_alignment);
enum status file_truncate(struct file *file, uint64_t size);
enum status file_size(struct file *file, uint64_t *ret_size);

/* The whole of a file behind what `text` holds. ST_LIMIT: it has more than `size_max` bytes. */
enum status file_read_whole(const struct file_system *system, const char *path, size_t size_max,
                            struct buf *text);

/* Makes or replaces the file at one stroke, on the disk when it returns: `temporary`, in the same directory, is written, synced and
 * renamed, and the directory synced. After a failure the old file is still there and `temporary` is not. */
enum status file_replace(const struct file_system *system, const char *path, const char *temporary,
                         struct slice bytes);

/* ---- Names ---------------------------------------------------------------------------------------- */

enum status file_rename(const struct file_system *system, const char *from, const char *to);
enum status file_unlink(const struct file_system *system, const char *path);
enum status file_make_directory(const struct file_system *system, const char *path);
enum status file_sync_directory(const struct file_system *system, const char *path);
enum status file_list(const struct file_system *system, const char *path, file_name_fn *each, void *context);
/* ST_OK when something has this name. */
enum status file_exists(const struct file_system *system, const char *path);

/* The directory of a path: "." when it names none. `ret_directory` has FILE_PATH_MAX bytes. ST_LIMIT: too long. */
enum status file_directory_of(const char *path, char *ret_directory);

#endif
