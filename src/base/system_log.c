/* See system_log.h. */
#include "base/system_log.h"

#include <string.h>
#include <syslog.h>

static int facility_number(const char *name)
{
    static const int locals[] = {LOG_LOCAL0, LOG_LOCAL1, LOG_LOCAL2, LOG_LOCAL3,
                                 LOG_LOCAL4, LOG_LOCAL5, LOG_LOCAL6, LOG_LOCAL7};
    size_t size = strlen(name);
    char last = size > 0 ? name[size - 1] : '\0';
    return strncmp(name, "local", 5) == 0 && last >= '0' && last <= '7' ? locals[last - '0'] : LOG_USER;
}

void system_log_open(const char *ident, const char *facility)
{
    openlog(ident, LOG_PID | LOG_NDELAY | LOG_NOWAIT, facility_number(facility));
}

void system_log_write(int level, const char *text, size_t size)
{
    static const int priorities[] = {LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING};
    syslog(priorities[level], "%.*s", (int)size, text);
}
