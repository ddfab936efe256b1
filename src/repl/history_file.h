/* A ring of pages in a file: the newest bytes of a history, as many as were asked for.
 *
 * Principal entry points: history_file_init, history_file_prepare, history_file_write, history_file_commit, history_file_read.
 * The file has no name: it ends with the process, and no other one finds it. Rules H1 to H3 in docs/decisions/019.
 *
 *     slot:  0         1         2         3          of HISTORY_SLOT_SIZE bytes; page n lies in slot n % capacity
 *            [page 4 ] [page 5 ] [page 2 ] [page 3 ]
 *                                ^ begin   ^
 *                      ^ end is behind it
 *
 *     slot = | checksum, number of the file, position of its first byte | HISTORY_PAGE_SIZE bytes |
 *
 * Threads: init, prepare, commit and what asks for positions: executor. write, read and done: one at a time, on any thread, while the
 * executor does not call init. What is on the disk is not trusted. */
#ifndef SKUA_REPL_HISTORY_FILE_H
#define SKUA_REPL_HISTORY_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"
#include "base/status.h"

#define HISTORY_SLOT_SIZE ((size_t)256 << 10)
#define HISTORY_HEAD_SIZE ((size_t)24)
#define HISTORY_PAGE_SIZE (HISTORY_SLOT_SIZE - HISTORY_HEAD_SIZE)
#define HISTORY_PAGES_MIN 16 /* a smaller file would be overwritten before somebody has read it */
#define HISTORY_NAME_SIZE 64

struct history_file {
    const struct file_system *files;
    char name[HISTORY_NAME_SIZE]; /* while it is being opened */
    uint64_t mark;                /* H3: the number of this file */
    uint64_t origin;              /* the position of the first byte of page 0 */
    uint64_t capacity;            /* pages */
    uint64_t begin, end;          /* pages that are there: executor */
    struct file file;             /* of who writes and reads */
    bool is_open;
};

struct history_file_options {
    const struct file_system *files;
    const char *name;   /* copied */
    uint64_t mark;      /* drawn by chance */
    uint64_t origin;    /* the position where it begins */
    uint64_t bytes_max; /* of the file; HISTORY_PAGES_MIN slots at least */
};

/* Nothing is opened before the first write. */
void history_file_init(struct history_file *file, const struct history_file_options *options);
/* May take long: the system takes the file's blocks back. */
void history_file_done(struct history_file *file);

/* Positions of the first byte that is there, and of the one behind the last. */
uint64_t history_file_begin(const struct history_file *file);
uint64_t history_file_end(const struct history_file *file);
/* Of which page the position is, and where that begins. */
uint64_t history_file_page_of(const struct history_file *file, uint64_t position);
uint64_t history_file_page_begin(const struct history_file *file, uint64_t page);

/* H2: the oldest pages go, where they lie in the slots of the next `count` ones, at most half of the capacity. Returns the number of the first
 * of those. */
uint64_t history_file_prepare(struct history_file *file, uint64_t count);
/* They have been written. */
void history_file_commit(struct history_file *file, uint64_t count);

/* Writes whole pages, from `page` on: the pieces are their bytes. The array may be changed. ST_IO: errno. */
enum status history_file_write(struct history_file *file, uint64_t page, struct iovec *pieces,
                               unsigned count);

/* Reads a slot of HISTORY_SLOT_SIZE bytes; the page's bytes follow HISTORY_HEAD_SIZE bytes of heading. ST_IO: errno; ST_INVALID: what lies
 * there is not what was written. */
enum status history_file_read(struct history_file *file, uint64_t page, char *ret_slot);

#endif
