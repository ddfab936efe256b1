/* Crash reports: what is known at the moment of a fatal signal goes to the log before the process dies.
 *
 * Principal entry points: crash_install, crash_thread_enter, crash_thread_leave.
 * Threads: crash_install on the main thread before others start; each thread that calls crash_thread_enter also
 * calls crash_thread_leave before it ends. Signal handlers belong to the whole process, and so does this state:
 * with several servers in one process the last call of crash_install counts. */
#ifndef SKUA_BASE_CRASH_H
#define SKUA_BASE_CRASH_H

#include <signal.h>

#include "base/macros.h"

struct crash_options {
    int fd;              /* where the report goes: log_descriptor, or STDERR_FILENO */
    const char *version; /* a text that stays; NULL: not told */
    /* Adds lines to the report. Runs inside a signal handler while everything may be broken: only write and
     * what else is async-signal-safe. NULL: nothing to add. */
    void (*describe)(int fd, void *context);
    void *context;
};

/* Handles SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT: reports, then lets the signal have its default effect.
 * Also prepares the calling thread as crash_thread_enter does. */
void crash_install(const struct crash_options *options);

/* Gives the thread its name (at most 15 bytes; NULL: leave) and a stack for the handler, without which the
 * overflow of a thread's own stack could not be reported. */
void crash_thread_enter(const char *name);
void crash_thread_leave(void);

/* Takes the signals of a crash out of a set that is going to be blocked. */
void crash_signals_remove(sigset_t *set);

/* For bug_at: reports a mistake that the program noticed itself, then aborts. */
COLD void crash_bug(const char *file, int line, const char *text) __attribute__((noreturn));

#endif
