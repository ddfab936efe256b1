/* The server log: levels as in Redis, one line a call, written at once. Threads: any.
 * A file that was renamed or removed (log rotation) is opened anew within a second. Control characters in a text
 * are written as spaces.
 * Library code does not log; the caller that decides does, once. */
#ifndef SKUA_BASE_LOG_H
#define SKUA_BASE_LOG_H

#include "base/macros.h"
#include "base/status.h"

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING, LOG_NOTHING };

struct log;

/* `path` NULL or "" means standard output. ST_IO when the file cannot be opened for appending. */
enum status log_open(const char *path, enum log_level level, struct log **ret_log);
void log_close(struct log *log);
/* The descriptor that lines go to, for the crash report (base/crash.h); standard error for a NULL log. */
int log_descriptor(const struct log *log);
/* From now on lines also go to the system's log, see system_log.h. Before there are other threads. */
void log_to_system(struct log *log, const char *ident, const char *facility);
void log_set_level(struct log *log, enum log_level level);

/* Cheap when the level is off. A NULL log swallows everything (unit tests, simulation). */
void log_write(struct log *log, enum log_level level, const char *format, ...) PRINTF_LIKE(3, 4);

/* Each line of a text of our own as a line of the log. Never for a text with a client's bytes in it. */
void log_write_lines(struct log *log, enum log_level level, const char *text);

#endif
