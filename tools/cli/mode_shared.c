/* What several modes need. Entry, threads: see mode_shared.h. */
#include "cli/mode_shared.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SHELL_SIGNALLED 128 /* what a shell adds to the number of the signal that has ended a program */
#define SECONDS_MAX     1e9 /* thirty years are for ever */

uint64_t mode_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * MODE_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t mode_after_ns(double seconds)
{
    double bounded = seconds < SECONDS_MAX ? seconds : SECONDS_MAX;
    return mode_now_ns() + (uint64_t)(bounded * MODE_NS_PER_S);
}

void mode_rest(double seconds)
{
    uint64_t until = mode_after_ns(seconds);
    for (uint64_t now; (now = mode_now_ns()) < until;) {
        if (!cli_poll(NULL, 0, (int64_t)((until - now + MODE_NS_PER_MS - 1) / MODE_NS_PER_MS)))
            return;
    }
}

int mode_lost(struct cli *cli)
{
    fflush(stdout);
    fprintf(stderr, "Error: %s\n", cli_problem(cli));
    return 1;
}

_Noreturn void mode_end_by_interrupt(void)
{
    fflush(stdout);
    int number = cli_terminated() ? SIGTERM : SIGINT;
    signal(number, SIG_DFL);
    raise(number);
    exit(SHELL_SIGNALLED + number);
}
