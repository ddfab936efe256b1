/* What several modes need. Entry, threads: see mode_shared.h. */
#include "cli/mode_shared.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SHELL_INTERRUPTED 130 /* what a shell reports of a program that SIGINT has ended */
#define SECONDS_MAX       1e9 /* thirty years are for ever */

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
    while (!cli_interrupted()) {
        uint64_t now = mode_now_ns();
        if (now >= until)
            return;
        struct timespec left = {.tv_sec = (time_t)((until - now) / MODE_NS_PER_S),
                                .tv_nsec = (long)((until - now) % MODE_NS_PER_S)};
        nanosleep(&left, NULL);
    }
}

int mode_lost(struct cli *cli)
{
    fflush(stdout);
    fprintf(stderr, "Error: %s\n", cli->client != NULL ? skua_error(cli->client) : "not connected");
    return 1;
}

_Noreturn void mode_end_by_interrupt(void)
{
    fflush(stdout);
    signal(SIGINT, SIG_DFL);
    raise(SIGINT);
    exit(SHELL_INTERRUPTED);
}
