/* Processors for both ends. Entry point: shm/cpus.h. */
#include "shm/cpus.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUPS_MAX 32 /* looked at, from the own one up */

static unsigned of_the_machine(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (unsigned)count : 1;
}

/* The beginning of a file as a string. False: there is none. */
static bool read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, size - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

/* "200000 100000" is time for two processors, "max 100000" for all that there are. */
static unsigned allowed_by_cgroup(const char *folder)
{
    char path[PATH_MAX], text[64];
    int length = snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (length < 0 || (size_t)length >= sizeof path || !read_file(path, text, sizeof text))
        return UINT_MAX;
    char *end;
    unsigned long long quota = strtoull(text, &end, 10);
    if (end == text)
        return UINT_MAX;
    unsigned long long period = strtoull(end, NULL, 10);
    unsigned long long whole = period > 0 ? quota / period : UINT_MAX;
    if (whole == 0)
        return 1;
    return whole < UINT_MAX ? (unsigned)whole : UINT_MAX;
}

/* Where the own cgroup is, as the line "0::/path" says. */
static bool find_cgroup(char *folder, size_t size)
{
    char text[PATH_MAX];
    if (!read_file("/proc/self/cgroup", text, sizeof text))
        return false;
    const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (line == NULL)
        return false;
    const char *path = strchr(line, '/');
    if (path == NULL)
        return false;
    int length = snprintf(folder, size, CGROUP_ROOT "%.*s", (int)strcspn(path, "\n"), path);
    return length >= 0 && (size_t)length < size;
}

unsigned shm_usable_cpus(void)
{
    char folder[PATH_MAX];
    unsigned usable = of_the_machine();
    if (!find_cgroup(folder, sizeof folder))
        return usable;
    for (unsigned i = 0; i < CGROUPS_MAX && strlen(folder) >= strlen(CGROUP_ROOT); i++) {
        unsigned allowed = allowed_by_cgroup(folder);
        usable = allowed < usable ? allowed : usable;
        *strrchr(folder, '/') = '\0';
    }
    return usable;
}
