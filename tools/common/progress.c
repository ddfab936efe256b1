/* A line that shows how far long work has come. Entry, threads, invariants: see progress.h. */
#include "common/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "common/terminal.h"

#define NS_PER_S    1000000000.0
#define BAR_MIN     10 /* cells; a shorter bar tells nothing */
#define BAR_MAX     40
#define TIME_MAX_S  (99 * 3600.0) /* beyond that "left" is no forecast */
#define RATE_MIN_NS 50000000u     /* a shorter span is noise */
#define PIECE_MAX   64

static uint64_t system_ns(void *context)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_pipe(int descriptor)
{
    struct stat status;
    return descriptor >= 0 && fstat(descriptor, &status) == 0 &&
           (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

void progress_init(struct progress *progress, const struct progress_options *options)
{
    *progress = (struct progress){.options = *options, .rate = -1};
    if (progress->options.monotonic_ns == NULL)
        progress->options.monotonic_ns = system_ns;
    progress->shown = terminal_redraws(options->descriptor) && !is_pipe(options->output);
    progress->started_ns = progress->options.monotonic_ns(progress->options.context);
}

/* A terminal that does not take it is no reason to stop the work. */
static void put(struct progress *progress, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(progress->options.descriptor, bytes, size);
        if (written <= 0)
            return;
        bytes += written;
        size -= (size_t)written;
    }
}

/* The speed of the last few seconds counts more than what was before, because that is what tells the rest. */
static void update_rate(struct progress *progress, uint64_t now_ns)
{
    uint64_t since = progress->redrawn_ns != 0 ? progress->redrawn_ns : progress->started_ns;
    uint64_t span = now_ns - since;
    if (span < RATE_MIN_NS || progress->done < progress->redrawn_done)
        return;
    double rate = (double)(progress->done - progress->redrawn_done) / ((double)span / NS_PER_S);
    double share = (double)span / PROGRESS_RATE_SPAN_NS;
    if (progress->rate < 0 || share > 1)
        progress->rate = rate;
    else
        progress->rate += (rate - progress->rate) * share;
}

static void redraw(struct progress *progress, uint64_t now_ns)
{
    char line[PROGRESS_LINE_MAX + sizeof TERMINAL_ERASE_LINE];
    int columns;
    size_t erase = sizeof TERMINAL_ERASE_LINE - 1;
    update_rate(progress, now_ns);
    terminal_size(progress->options.descriptor, &columns, NULL);
    memcpy(line, TERMINAL_ERASE_LINE, erase);
    size_t size = progress_render(progress, columns, now_ns, line + erase);
    put(progress, line, erase + size);
    progress->drawn = true;
    progress->redrawn_ns = now_ns;
    progress->redrawn_done = progress->done;
}

void progress_update(struct progress *progress, uint64_t done)
{
    progress->done = done;
    if (!progress->shown)
        return;
    uint64_t now_ns = progress->options.monotonic_ns(progress->options.context);
    uint64_t since = progress->redrawn_ns != 0 ? progress->redrawn_ns : progress->started_ns;
    if (now_ns - since >= PROGRESS_REDRAW_NS)
        redraw(progress, now_ns);
}

void progress_set_total(struct progress *progress, uint64_t total)
{
    progress->options.total = total;
}

void progress_clear(struct progress *progress)
{
    if (progress->drawn)
        put(progress, TERMINAL_ERASE_LINE, sizeof TERMINAL_ERASE_LINE - 1);
    progress->drawn = false;
}

void progress_done(struct progress *progress)
{
    progress_clear(progress);
    progress->shown = false;
}

/* ---- The line ------------------------------------------------------------------------------------------------ */

static void format_bytes(double bytes, char *text)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    size_t unit = 0;
    while (bytes >= 999.95 && unit + 1 < ARRAY_COUNT(units)) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, PIECE_MAX, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

static void format_count(double count, char *text)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%.0f", count);
    size_t used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
}

static void format_amount(const struct progress *progress, double amount, char *text)
{
    if (progress->options.unit == PROGRESS_BYTES)
        format_bytes(amount, text);
    else
        format_count(amount, text);
}

static void format_time(double seconds, char *text)
{
    uint64_t whole = seconds < 0 ? 0 : (uint64_t)(seconds + 0.5);
    if (whole >= 3600)
        snprintf(text, PIECE_MAX, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, whole / 3600, whole / 60 % 60,
                 whole % 60);
    else
        snprintf(text, PIECE_MAX, "%" PRIu64 ":%02" PRIu64, whole / 60, whole % 60);
}

/* The parts of a line, in their order; an empty one is left out. */
enum piece { PIECE_LABEL, PIECE_SHARE, PIECE_BAR, PIECE_AMOUNT, PIECE_RATE, PIECE_TIME, PIECE_COUNT };

static double speed(const struct progress *progress, uint64_t now_ns)
{
    if (progress->rate >= 0)
        return progress->rate;
    double elapsed = (double)(now_ns - progress->started_ns) / NS_PER_S;
    return elapsed > 0 ? (double)progress->done / elapsed : 0;
}

static void fill_time(const struct progress *progress, uint64_t now_ns, char *text)
{
    char time[PIECE_MAX];
    uint64_t total = progress->options.total;
    double rate = speed(progress, now_ns);
    if (total == 0) {
        format_time((double)(now_ns - progress->started_ns) / NS_PER_S, text);
        return;
    }
    double left = progress->done < total ? (double)(total - progress->done) : 0;
    if (rate <= 0 || left / rate > TIME_MAX_S) {
        snprintf(text, PIECE_MAX, "-:-- left");
        return;
    }
    format_time(left / rate, time);
    snprintf(text, PIECE_MAX, "%.40s left", time);
}

/* `with_total`: "1 MB / 2 MB" instead of "1 MB". */
static void fill_amount(const struct progress *progress, bool with_total, char *text)
{
    char done[PIECE_MAX], total[PIECE_MAX];
    bool counts = progress->options.unit == PROGRESS_COUNT && progress->options.noun != NULL;
    format_amount(progress, (double)progress->done, done);
    format_amount(progress, (double)progress->options.total, total);
    bool both = with_total && progress->options.total != 0;
    snprintf(text, PIECE_MAX, "%.20s%s%.20s%s%.16s", done, both ? " / " : "", both ? total : "",
             counts ? " " : "", counts ? progress->options.noun : "");
}

static void fill_bar(double share, int cells, char *text)
{
    int full = (int)(share * (cells - 2));
    text[0] = '[';
    for (int i = 0; i < cells - 2; i++)
        text[1 + i] = i < full ? '=' : i == full ? '>' : ' ';
    text[cells - 1] = ']';
    text[cells] = '\0';
}

static int width_of(char pieces[PIECE_COUNT][PIECE_MAX])
{
    int width = 0;
    for (int i = 0; i < PIECE_COUNT; i++) {
        int length = (int)strlen(pieces[i]);
        if (length > 0)
            width += length + (width > 0 ? 2 : 0);
    }
    return width;
}

/* Drops the least important parts until the rest fits. */
static void shrink(const struct progress *progress, char pieces[PIECE_COUNT][PIECE_MAX], int room)
{
    static const enum piece unimportant[] = {PIECE_RATE, PIECE_LABEL, PIECE_AMOUNT, PIECE_TIME, PIECE_SHARE};
    if (width_of(pieces) > room)
        fill_amount(progress, false, pieces[PIECE_AMOUNT]);
    for (size_t i = 0; i < ARRAY_COUNT(unimportant) && width_of(pieces) > room; i++)
        pieces[unimportant[i]][0] = '\0';
}

size_t progress_render(const struct progress *progress, int columns, uint64_t now_ns,
                       char ret_line[static PROGRESS_LINE_MAX])
{
    char pieces[PIECE_COUNT][PIECE_MAX] = {{0}};
    uint64_t total = progress->options.total;
    double share = total == 0 ? 0 : progress->done >= total ? 1 : (double)progress->done / (double)total;
    int room = columns - 1;
    char rate[PIECE_MAX];

    snprintf(pieces[PIECE_LABEL], PIECE_MAX, "%.40s", progress->options.label);
    if (total != 0)
        snprintf(pieces[PIECE_SHARE], PIECE_MAX, "%3d%%", (int)(share * 100));
    fill_amount(progress, true, pieces[PIECE_AMOUNT]);
    format_amount(progress, speed(progress, now_ns), rate);
    snprintf(pieces[PIECE_RATE], PIECE_MAX, "%.40s/s", rate);
    fill_time(progress, now_ns, pieces[PIECE_TIME]);
    shrink(progress, pieces, room);

    int cells = room - width_of(pieces) - 2;
    if (total != 0 && cells >= BAR_MIN)
        fill_bar(share, cells < BAR_MAX ? cells : BAR_MAX, pieces[PIECE_BAR]);
    size_t used = 0;
    for (int i = 0; i < PIECE_COUNT; i++) {
        size_t length = strlen(pieces[i]);
        if (length == 0)
            continue;
        if (used > 0) {
            memcpy(ret_line + used, "  ", 2);
            used += 2;
        }
        memcpy(ret_line + used, pieces[i], length);
        used += length;
    }
    ret_line[used] = '\0';
    return used;
}
