/* Signals that end what is being done instead of the program, or tell of another window. Entry: cli_catch_interrupts,
 * cli_poll and their relatives (cli.h). Threads: the main thread; each handler sets one flag. */
#include <poll.h>
#include <signal.h>
#include <time.h>

#include "cli/cli.h"

#define MS_PER_S  1000
#define NS_PER_MS 1000000

/* The signal's number, 0 when there was none. */
static volatile sig_atomic_t caught;
static volatile sig_atomic_t screen_change;

static void on_signal(int number)
{
    caught = number;
}

static void on_screen_change(int number)
{
    screen_change = number;
}

void cli_catch_screen_changes(void)
{
    struct sigaction action = {.sa_handler = on_screen_change};
    sigemptyset(&action.sa_mask);
    sigaction(SIGWINCH, &action, NULL);
    sigaction(SIGCONT, &action, NULL);
}

int cli_take_screen_change(void)
{
    int number = screen_change;
    screen_change = 0;
    return number;
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
    bool waits = caught == 0 && screen_change == 0;
    if (!waits || ppoll(watched, count, timeout_ms < 0 ? NULL : &timeout, &before) < 0)
        for (unsigned i = 0; i < count; i++)
            watched[i].revents = 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return caught == 0;
}
