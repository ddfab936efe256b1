/* What several modes need: time, rest, and how they end.
 *
 * Principal entry points: mode_now_ns, mode_after_ns, mode_rest, mode_lost, mode_end_by_interrupt.
 * Threads: the main thread. */
#ifndef SKUA_CLI_MODE_SHARED_H
#define SKUA_CLI_MODE_SHARED_H

#include <stdint.h>

#include "cli/cli.h"

#define MODE_NS_PER_S  1000000000u
#define MODE_NS_PER_MS 1000000u
#define MODE_NS_PER_US 1000u

/* Of the monotonic clock. */
uint64_t mode_now_ns(void);

/* That clock's time when so many seconds will have passed; at most some thirty years ahead. */
uint64_t mode_after_ns(double seconds);

/* Sleeps so long, or until an interrupt when those are caught. */
void mode_rest(double seconds);

/* Says on standard error why there is no reply; answers with the exit status. */
int mode_lost(struct cli *cli);

/* For modes that run until Ctrl-C and have caught it to leave the screen in order: ends the program as if they had not,
 * so that a shell's loop around it ends, too. */
_Noreturn void mode_end_by_interrupt(void);

#endif
