/* Ctrl-C that ends what is being done instead of the program. Entry: cli_catch_interrupts, cli_poll and their relatives (cli.h).
 * Threads: the main thread; the handler sets one flag. */
#include <poll.h>
#include <signal.h>
#include <time.h>

#include "cli/cli.h"

#define MS_PER_S  1000
#define NS_PER_MS 1000000

static volatile sig_atomic_t caught; /* the signal's number, 0 when there was none */

static void on_signal(int number)
{
    caught = number;
}

void cli_catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART: waiting calls end */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void)
{
    return caught != 0;
}

bool cli_terminated(void)
{
    return caught == SIGTERM;
}

void cli_interrupt_clear(void)
{
    if (caught == SIGINT)
        caught = 0;
}

bool cli_poll(struct pollfd *watched, unsigned count, int64_t timeout_ms)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGWINCH, SIGCONT};
    struct timespec timeout = {.tv_sec = timeout_ms / MS_PER_S, .tv_nsec = timeout_ms % MS_PER_S * NS_PER_MS};
    sigset_t held, before;
    sigemptyset(&held);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaddset(&held, numbers[i]);
    sigprocmask(SIG_BLOCK, &held, &before);
    if (caught != 0 || ppoll(watched, count, timeout_ms < 0 ? NULL : &timeout, &before) < 0)
        for (unsigned i = 0; i < count; i++)
            watched[i].revents = 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return caught == 0;
}
