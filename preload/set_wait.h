/* The program's waits in epoll sets.
 *
 * Entry point: set_wait. Threads: any.
 * What a set holds is looked at here (preload/set.h), and reported beside what the kernel says of the rest. For sets that
 * hold nothing see preload/wait.h. */
#ifndef SKUA_PRELOAD_SET_WAIT_H
#define SKUA_PRELOAD_SET_WAIT_H

#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <time.h>

/* One wait, in three forms: with a time limit in ms (negative: none) and maybe a mask, or with a precise one (NULL: none). */
struct set_wait {
    int set, count;
    struct epoll_event *events;
    const sigset_t *mask;
    bool is_precise, has_mask;
    int timeout_ms;
    const struct timespec *timeout;
};

/* As epoll_pwait2, in a process that has sessions. */
int set_wait(const struct set_wait *wait);

/* The kernel alone is asked, for processes that have none. */
int set_wait_in_kernel(const struct set_wait *wait);

#endif
