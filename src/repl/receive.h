/* A snapshot on its way from a primary into a file: written by workers, one piece at a time.
 *
 * Principal entry points: receive_begin, receive_write, receive_finish, receive_end.
 *
 *   executor: receive_write fills a buffer --job--> worker: opens, writes, at the end syncs --post--> executor: `written`
 *
 * V1  One job at a time; what comes meanwhile waits in `filling`.
 * V2  The file is gone, or its owner has taken it over, when receive_end has been called and the job under way is over.
 *
 * Threads: executor; receive_work: a worker, which touches what is marked so. */
#ifndef SKUA_REPL_RECEIVE_H
#define SKUA_REPL_RECEIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"
#include "base/slice.h"
#include "base/status.h"

struct exec;
struct receive;

/* On the executor: so many bytes more are in the file. `is_finished`: all, and they are on the disk. Not ST_OK: it has failed with this
 * errno; nothing more is written. */
typedef void (*receive_written_fn)(void *context, enum status status, int error, uint64_t bytes,
                                   bool is_finished);

struct receive *receive_begin(struct exec *exec, const struct file_system *files, const char *path,
                              receive_written_fn written, void *context);

/* Copies the bytes. */
void receive_write(struct receive *receive, struct slice bytes);

/* No more come: syncs the file. */
void receive_finish(struct receive *receive);

const char *receive_path(const struct receive *receive);

/* Forgets it, at any time; `written` is not called any more. The file is removed, by a worker. */
void receive_end(struct receive *receive);

#endif
