/* The process's limit of open file descriptors: see descriptors.h. */
#include "base/descriptors.h"

#include <sys/resource.h>

/* A session of shared memory has two: of its socket, and of its client's process. Where they are not to be had there are
 * fewer sessions or fewer clients at a time, but maxclients does not depend on it: maybe nobody asks for a session. */
static void raise_for_sessions(int64_t clients)
{
    struct rlimit limit;
    rlim_t wanted = 2 * (rlim_t)clients + DESCRIPTORS_RESERVED;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

uint64_t descriptors_for_clients(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return UINT64_MAX;
    return limit.rlim_cur > DESCRIPTORS_RESERVED ? limit.rlim_cur - DESCRIPTORS_RESERVED : 1;
}

int64_t descriptors_raise(int64_t clients)
{
    raise_for_sessions(clients);
    struct rlimit limit;
    rlim_t wanted = (rlim_t)clients + DESCRIPTORS_RESERVED;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return clients;
    struct rlimit higher = {.rlim_cur = wanted,
                            .rlim_max = limit.rlim_max < wanted ? wanted : limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &higher) == 0)
        return clients;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= DESCRIPTORS_RESERVED)
        return 1;
    return (int64_t)(limit.rlim_cur - DESCRIPTORS_RESERVED);
}
