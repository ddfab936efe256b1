/* The log of the system (syslog). Its own header, because <syslog.h> has names that log.h has, too.
 * Threads: system_log_open once, before others; system_log_write any. */
#ifndef SKUA_BASE_SYSTEM_LOG_H
#define SKUA_BASE_SYSTEM_LOG_H

#include <stddef.h>

/* `ident` stands before each line and must stay; `facility` is "user" or "local0" to "local7". */
void system_log_open(const char *ident, const char *facility);

/* `level` as in log.h, from debug (0) to warning (3). */
void system_log_write(int level, const char *text, size_t size);

#endif
