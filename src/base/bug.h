/* Ends of the road: BUG for our own mistakes, fatal for a machine on which we cannot run.
 *
 * Everything else is an error that is returned (base/status.h).
 * ASSERT stays on in release builds: it is used where the check is cheap beside the work.
 * DEBUG_ASSERT is compiled only with -DSKUA_DEBUG. */
#ifndef SKUA_BASE_BUG_H
#define SKUA_BASE_BUG_H

#include "base/macros.h"

/* Writes a crash report (text, place, stack) and aborts. */
COLD void bug_at(const char *file, int line, const char *format, ...) PRINTF_LIKE(3, 4)
    __attribute__((noreturn));

/* Writes the text to standard error and leaves with status 1. */
COLD void fatal(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((noreturn));

#define BUG(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)

#define ASSERT(condition)                                                                                    \
    do {                                                                                                     \
        if (unlikely(!(condition)))                                                                          \
            BUG("assertion failed: %s", #condition);                                                         \
    } while (0)

#ifdef SKUA_DEBUG
#define DEBUG_ASSERT(condition) ASSERT(condition)
#else
#define DEBUG_ASSERT(condition) ((void)sizeof(condition))
#endif

#endif
