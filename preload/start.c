/* The library's beginning and end in a process: settings, forks, counters. Entry points: none; the loader calls. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "preload/conn.h"
#include "preload/real.h"
#include "preload/set.h"
#include "preload/settings.h"

static void before_fork(void)
{
    set_before_fork();
    conn_before_fork();
}

static void after_fork_in_parent(void)
{
    conn_after_fork_in_parent();
    set_after_fork_in_parent();
}

static void after_fork_in_child(void)
{
    conn_after_fork_in_child();
    set_after_fork_in_child();
}

__attribute__((constructor)) static void start(void)
{
    real_ready();
    settings_read();
    if (settings.enabled && pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child))
        settings.enabled = false; /* children would use their parents' sessions */
}

/* One line, as name=value pairs. By our own write: the program may have closed its streams. */
__attribute__((destructor)) static void print_counts(void)
{
    char line[512];
    if (!settings.debug)
        return;
    struct conn_counts sum = conn_total();
    if (sum.sessions + sum.refused == 0)
        return; /* this program has to do with no server of ours */
#define COUNT(member) (unsigned long long)sum.member
    int size =
        snprintf(line, sizeof line,
                 "skua-preload: sessions=%llu refused=%llu reads=%llu writes=%llu bytes-read=%llu "
                 "bytes-written=%llu spins=%llu spins-paid=%llu sleeps=%llu bells-rung=%llu bells-taken=%llu "
                 "signals=%llu\n",
                 COUNT(sessions), COUNT(refused), COUNT(reads), COUNT(writes), COUNT(bytes_read),
                 COUNT(bytes_written), COUNT(spins), COUNT(spins_paid), COUNT(sleeps), COUNT(bells_rung),
                 COUNT(bells_taken), COUNT(signals));
#undef COUNT
    if (size <= 0 || real.write(2, line, (size_t)size) < 0)
        return; /* nobody to tell */
}
