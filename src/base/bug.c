/* The two ends of the road. Entry: bug_at, fatal. Threads: any. */
#include "base/bug.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crash.h"

#define BUG_TEXT_MAX 1024 /* longer texts are cut */

void bug_at(const char *file, int line, const char *format, ...)
{
    char text[BUG_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    crash_bug(file, line, text);
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
