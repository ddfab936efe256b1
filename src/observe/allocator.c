/* What the general allocator tells of itself.
 *
 * Principal entry points: allocator_figures, allocator_report, allocator_purge, allocator_upkeep.
 * Threads: any. */
#include "observe/allocator.h"

#include <stdbool.h>
#include <stdio.h>

#ifdef SKUA_JEMALLOC

#include <jemalloc/jemalloc.h>

#define ALLOCATOR_NAME_TEXT(major, minor, bugfix) "jemalloc-" #major "." #minor "." #bugfix
#define ALLOCATOR_NAME(major, minor, bugfix)      ALLOCATOR_NAME_TEXT(major, minor, bugfix)

static uint64_t read_figure(const char *name)
{
    size_t value = 0;
    size_t size = sizeof value;
    return mallctl(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

void allocator_figures(struct allocator_figures *ret_figures)
{
    /* The figures are those of the last time that the epoch was raised. */
    uint64_t epoch = 1;
    size_t size = sizeof epoch;
    mallctl("epoch", &epoch, &size, &epoch, size);
    ret_figures->allocated = read_figure("stats.allocated");
    ret_figures->active = read_figure("stats.active");
    ret_figures->resident = read_figure("stats.resident");
}

const char *allocator_name(void)
{
    return ALLOCATOR_NAME(JEMALLOC_VERSION_MAJOR, JEMALLOC_VERSION_MINOR, JEMALLOC_VERSION_BUGFIX);
}

static void append(void *text, const char *line)
{
    buf_append_string(text, line);
}

bool allocator_report(struct buf *ret_text)
{
    malloc_stats_print(append, ret_text, "");
    return true;
}

void allocator_purge(void *unused)
{
    char name[64];
    snprintf(name, sizeof name, "arena.%d.purge", MALLCTL_ARENAS_ALL);
    mallctl(name, NULL, NULL, NULL, 0);
}

void allocator_upkeep(void *unused)
{
    size_t one = 1;
    bool on = true;
    mallctl("max_background_threads", NULL, NULL, &one, sizeof one);
    mallctl("background_thread", NULL, NULL, &on, sizeof on);
}

#else

#include <malloc.h>

void allocator_figures(struct allocator_figures *ret_figures)
{
    struct mallinfo2 info = mallinfo2();
    ret_figures->allocated = info.uordblks + info.hblkhd;
    ret_figures->active = ret_figures->resident = info.arena + info.hblkhd;
}

const char *allocator_name(void)
{
    return "libc";
}

bool allocator_report(struct buf *ret_text)
{
    return false;
}

void allocator_purge(void *unused)
{
}

void allocator_upkeep(void *unused)
{
}

#endif
