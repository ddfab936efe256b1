/* History on disk: the log is written to a file as it grows, and read from there for those whose place memory has forgotten.
 *
 * Principal entry points: history_new, history_step, history_take, history_free.
 * A `struct history` is one file of one history; that it fails, or that another history begins, is its end (primary_history.c
 * decides). Rules H1 to H5 and the states: docs/decisions/019.
 *
 *        begin            end = the writer's cursor                       the log's end
 *          |                |                                                |
 *          [ pages in the file )[ in memory, because of the cursor or as history ]
 *
 * Threads: executor; a job: a worker. */
#ifndef SKUA_REPL_HISTORY_H
#define SKUA_REPL_HISTORY_H

#include <stdint.h>

#include "base/chunk.h"
#include "base/status.h"

struct changelog;
struct exec;
struct file_system;
struct history;

/* H4: what may be in memory only because the file has not taken it yet. */
#define HISTORY_UNWRITTEN_MAX ((uint64_t)16 << 20)

struct history_options {
    struct exec *exec;
    const struct file_system *files;
    struct changelog *log; /* there is history in it; it outlives this */
    const char *name;      /* of the file, while it is being opened; copied */
    uint64_t mark;         /* drawn by chance */
    uint64_t bytes_max;    /* of the file */
    /* On the executor, not from inside a call: bytes that were asked for are there, or something has been written, or it has failed. */
    void (*moved)(void *context);
    void *context;
};

/* Begins where the log's history does. */
struct history *history_new(const struct history_options *options);
/* At any time; `moved` is not called any more, and the log is let go of at once. */
void history_free(struct history *history);

/* Has what has come into the log written. Whoever appends much calls it now and then. */
void history_step(struct history *history);

/* The first position that can be read, and where the file ends. What follows is in the log's memory. */
uint64_t history_begin(const struct history *history);
uint64_t history_end(const struct history *history);
/* Bytes of memory for pages that have been read, and that are being read. */
uint64_t history_memory(const struct history *history);
/* How it has failed, ST_OK: it has not. ST_IO: *ret_error is the errno; ST_INVALID: the file has been changed; ST_LIMIT: H4. */
enum status history_status(const struct history *history, int *ret_error);

/* Appends pieces with up to `bytes_max` bytes from `position` on, which is in [begin, end), to the list, and returns how many. 0: it has to be
 * read first, `moved` will be called. */
uint64_t history_take(struct history *history, uint64_t position, uint64_t bytes_max,
                      struct chunk_list *ret_list);

#endif
