/* The two ends of the road. Entry: bug_at, fatal. Threads: any. */
#include "base/bug.h"

#include <execinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FRAMES_MAX 64

void bug_at(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    void *frames[FRAMES_MAX];
    fprintf(stderr, "BUG at %s:%d: ", file, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    fflush(stderr);
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), STDERR_FILENO);
    abort();
}

void fatal(const char *format, ...)
{
    va_list arguments;
    fputs("fatal: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}
