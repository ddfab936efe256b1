/* The progress of a loading in words. Entry: load_show. Threads: executor. */
#include "persist/load_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "exec/exec.h"
#include "persist/load.h"

#define BAR_EVERY_NS  200000000ull
#define LINE_EVERY_NS 3000000000ull
#define BAR_WIDTH     40

void load_show_begin(struct load_show *show, const struct exec *exec, const char *name)
{
    *show = (struct load_show){.name = name};
    if (exec->log == NULL)
        return;
    show->is_bar = isatty(log_descriptor(exec->log)) == 1;
    show->next_ns = clock_monotonic_ns(exec->clock) + (show->is_bar ? BAR_EVERY_NS : LINE_EVERY_NS);
}

/* What does not reach a terminal is not missed. */
static void write_terminal(const struct exec *exec, const char *text, size_t size)
{
    if (write(log_descriptor(exec->log), text, size) < 0)
        return;
}

static void show_bar(const struct load_show *show, const struct exec *exec,
                     const struct load_progress *progress, double share)
{
    char bar[BAR_WIDTH + 1], line[256];
    unsigned full = (unsigned)(share * BAR_WIDTH);
    for (unsigned i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    int size = snprintf(line, sizeof line, "\r%.64s [%s] %3.0f %%, %" PRIu64 " s left \033[K", show->name,
                        bar, share * 100, progress->eta_seconds);
    if (size > 0)
        write_terminal(exec, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
}

void load_show(struct load_show *show, const struct exec *exec)
{
    struct load_progress progress;
    uint64_t now_ns = clock_monotonic_ns(exec->clock);
    if (exec->log == NULL || now_ns < show->next_ns)
        return;
    load_progress(exec, &progress);
    double share =
        progress.bytes_total > 0 ? (double)progress.bytes_loaded / (double)progress.bytes_total : 0;
    show->next_ns = now_ns + (show->is_bar ? BAR_EVERY_NS : LINE_EVERY_NS);
    if (show->is_bar)
        show_bar(show, exec, &progress, share < 1 ? share : 1);
    else
        log_write(exec->log, LOG_NOTICE,
                  "loading %s: %.1f %% (%" PRIu64 " of %" PRIu64 " bytes), about %" PRIu64 " s left",
                  show->name, share * 100, progress.bytes_loaded, progress.bytes_total, progress.eta_seconds);
    show->is_shown = show->is_bar;
}

void load_show_end(struct load_show *show, const struct exec *exec)
{
    if (show->is_shown)
        write_terminal(exec, "\r\033[K", strlen("\r\033[K"));
    show->is_shown = false;
}
