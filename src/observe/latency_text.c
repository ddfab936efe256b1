/* The texts of LATENCY GRAPH and LATENCY DOCTOR.
 *
 * Principal entry points: latency_graph, latency_report.
 * Threads: executor only. */
#include "observe/latency.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- Graph ---------------------------------------------------------------------------------------- */

#define GRAPH_ROWS    4
#define GRAPH_COLUMNS 80
#define GRAPH_AGE_MAX 8 /* "59s", "23h", "365d" and room */

/* How much of its row's height a column fills, least first. */
static const char graph_levels[] = " _o#";

static char graph_cell(uint32_t value, uint32_t min, uint32_t max, unsigned row_from_top)
{
    unsigned levels = sizeof graph_levels - 2; /* visible ones */
    unsigned height_max = GRAPH_ROWS * levels;
    unsigned height =
        max > min ? 1 + (unsigned)((uint64_t)(value - min) * (height_max - 1) / (max - min)) : 1;
    unsigned below = (GRAPH_ROWS - 1 - row_from_top) * levels;
    if (height <= below)
        return graph_levels[0];
    return graph_levels[height - below < levels ? height - below : levels];
}

static void format_age(int64_t age_s, char ret_text[static GRAPH_AGE_MAX])
{
    if (age_s < 0)
        age_s = 0;
    if (age_s < 60)
        snprintf(ret_text, GRAPH_AGE_MAX, "%ds", (int)age_s);
    else if (age_s < 3600)
        snprintf(ret_text, GRAPH_AGE_MAX, "%dm", (int)(age_s / 60));
    else if (age_s < 86400)
        snprintf(ret_text, GRAPH_AGE_MAX, "%dh", (int)(age_s / 3600));
    else
        snprintf(ret_text, GRAPH_AGE_MAX, "%dd", (int)(age_s / 86400 < 9999 ? age_s / 86400 : 9999));
}

/* The ages read from top to bottom under their columns. */
static void append_ages(const struct latency_event *event, uint32_t from, int64_t now_s, struct buf *text)
{
    char ages[GRAPH_COLUMNS][GRAPH_AGE_MAX];
    size_t rows = 0;
    for (uint32_t i = from; i < event->count; i++) {
        format_age(now_s - latency_sample_at(event, i)->time_s, ages[i - from]);
        size_t size = strlen(ages[i - from]);
        rows = size > rows ? size : rows;
    }
    for (size_t row = 0; row < rows; row++) {
        for (uint32_t i = from; i < event->count; i++)
            buf_append_char(text, row < strlen(ages[i - from]) ? ages[i - from][row] : ' ');
        buf_append_char(text, '\n');
    }
}

void latency_graph(const struct latency_event *event, int64_t now_s, struct buf *ret_text)
{
    uint32_t from = event->count > GRAPH_COLUMNS ? event->count - GRAPH_COLUMNS : 0;
    uint32_t min = UINT32_MAX;
    uint32_t max = 0;
    for (uint32_t i = from; i < event->count; i++) {
        uint32_t latency_ms = latency_sample_at(event, i)->latency_ms;
        min = latency_ms < min ? latency_ms : min;
        max = latency_ms > max ? latency_ms : max;
    }
    buf_printf(ret_text, "%s - high %" PRIu32 " ms, low %" PRIu32 " ms (all time high %" PRIu32 " ms)\n",
               event->name, max, min, event->max_ms);
    for (unsigned i = 0; i < GRAPH_COLUMNS; i++)
        buf_append_char(ret_text, '-');
    buf_append_char(ret_text, '\n');
    for (unsigned row = 0; row < GRAPH_ROWS; row++) {
        for (uint32_t i = from; i < event->count; i++)
            buf_append_char(ret_text, graph_cell(latency_sample_at(event, i)->latency_ms, min, max, row));
        buf_append_char(ret_text, '\n');
    }
    buf_append_char(ret_text, '\n');
    append_ages(event, from, now_s, ret_text);
}

/* ---- Report --------------------------------------------------------------------------------------- */

/* What to look at when events of a kind are seen. Several kinds may share an advice; it is given once. */
struct advice {
    const char *events[2];
    const char *text;
};

static const struct advice advices[] = {
    {{"command", NULL},
     "SLOWLOG GET shows which commands were slow and with what arguments. Split commands that touch very "
     "many keys "
     "or very long values."},
    {{"fast-command", NULL},
     "A command that does little work took long: most likely the machine was busy with something else. Give "
     "the "
     "server a core of its own, and see that it does not swap."},
    {{"expire-cycle", "expire-del"},
     "Many keys reach their time to live at the same moment: spread the times, for example by adding a "
     "random part "
     "to each."},
    {{"eviction-cycle", "eviction-del"},
     "Keys are evicted because maxmemory is reached: raise it, or store less."},
    {{"snapshot", NULL},
     "A step of a snapshot took long. Steps are short by themselves: most likely the machine was busy with "
     "something else, or "
     "a very long value was being copied."},
};

static bool is_about(const struct advice *advice, const struct latency *latency)
{
    for (size_t i = 0; i < ARRAY_COUNT(advice->events) && advice->events[i]; i++)
        if (latency_find(latency, slice_from_string(advice->events[i])))
            return true;
    return false;
}

static void append_event(const struct latency_event *event, uint32_t number, int64_t now_s, struct buf *text)
{
    struct latency_summary summary;
    latency_summarise(event, now_s, &summary);
    buf_printf(text,
               "%" PRIu32 ". %s: %" PRIu32 " latency spikes (average %" PRIu32 "ms, mean deviation %" PRIu32
               "ms, period %.2f sec). Worst all time event %" PRIu32 "ms.\n",
               number, event->name, event->count, summary.average_ms, summary.deviation_ms, summary.period_s,
               event->max_ms);
}

void latency_report(const struct latency *latency, int64_t now_s, int64_t threshold_ms, struct buf *ret_text)
{
    if (latency->count == 0) {
        if (threshold_ms == 0)
            buf_append_string(ret_text,
                              "Latency monitoring is disabled, so there is nothing to report. Enable it "
                              "with \"CONFIG SET latency-monitor-threshold <milliseconds>\".\n");
        else
            buf_printf(ret_text, "No latency spike of %" PRId64 " ms or more was observed.\n", threshold_ms);
        return;
    }
    buf_append_string(ret_text, "These latency spikes were observed:\n\n");
    for (uint32_t i = 0; i < latency->count; i++)
        append_event(&latency->events[i], i + 1, now_s, ret_text);
    if (threshold_ms == 0)
        buf_append_string(ret_text, "\nLatency monitoring is disabled meanwhile: nothing new is recorded.\n");
    bool is_first = true;
    for (size_t i = 0; i < ARRAY_COUNT(advices); i++) {
        if (!is_about(&advices[i], latency))
            continue;
        buf_append_string(ret_text, is_first ? "\nWhat to do:\n\n" : "");
        buf_printf(ret_text, "- %s\n", advices[i].text);
        is_first = false;
    }
}
