/* Latency events: what held the executor up, by kind, over time.
 *
 * Principal entry points: latency_hook, latency_add, latency_find; the texts are in latency_text.c.
 * Threads: executor only. Invariants: latency.h. */
#include "observe/latency.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "observe/observe.h"

struct latency *latency_new(const struct clock *clock)
{
    struct latency *latency = mem_calloc(1, sizeof *latency);
    latency->clock = clock;
    return latency;
}

void latency_free(struct latency *latency)
{
    mem_free(latency);
}

static struct latency_event *find(const struct latency *latency, struct slice name)
{
    for (uint32_t i = 0; i < latency->count; i++)
        if (slice_equal(slice_from_string(latency->events[i].name), name))
            return (struct latency_event *)&latency->events[i];
    return NULL;
}

const struct latency_event *latency_find(const struct latency *latency, struct slice name)
{
    return find(latency, name);
}

static struct latency_event *find_or_add(struct latency *latency, const char *name)
{
    struct latency_event *event = find(latency, slice_from_string(name));
    if (event || latency->count == LATENCY_EVENTS_MAX)
        return event;
    event = &latency->events[latency->count++];
    memset(event, 0, sizeof *event);
    snprintf(event->name, sizeof event->name, "%s", name);
    return event;
}

void latency_add(struct latency *latency, const char *name, int64_t time_s, uint32_t latency_ms)
{
    struct latency_event *event = find_or_add(latency, name);
    if (!event)
        return;
    if (latency_ms > event->max_ms)
        event->max_ms = latency_ms;
    struct latency_sample *newest =
        event->count ? (struct latency_sample *)latency_sample_at(event, event->count - 1) : NULL;
    if (newest && newest->time_s >= time_s) {
        if (latency_ms > newest->latency_ms)
            newest->latency_ms = latency_ms;
        return;
    }
    if (event->count == LATENCY_SAMPLES)
        event->first = (event->first + 1) % LATENCY_SAMPLES;
    else
        event->count++;
    event->samples[(event->first + event->count - 1) % LATENCY_SAMPLES] =
        (struct latency_sample){time_s, latency_ms};
}

bool latency_reset(struct latency *latency, struct slice name)
{
    struct latency_event *event = find(latency, name);
    if (!event)
        return false;
    *event = latency->events[--latency->count];
    return true;
}

uint32_t latency_reset_all(struct latency *latency)
{
    uint32_t count = latency->count;
    latency->count = 0;
    return count;
}

void latency_summarise(const struct latency_event *event, int64_t now_s, struct latency_summary *ret_summary)
{
    struct latency_summary summary = {.min_ms = UINT32_MAX};
    uint64_t sum_ms = 0;
    for (uint32_t i = 0; i < event->count; i++) {
        uint32_t latency_ms = latency_sample_at(event, i)->latency_ms;
        sum_ms += latency_ms;
        if (latency_ms < summary.min_ms)
            summary.min_ms = latency_ms;
        if (latency_ms > summary.max_ms)
            summary.max_ms = latency_ms;
    }
    summary.average_ms = (uint32_t)(sum_ms / event->count);
    uint64_t deviations_ms = 0;
    for (uint32_t i = 0; i < event->count; i++) {
        int64_t deviation_ms = (int64_t)latency_sample_at(event, i)->latency_ms - summary.average_ms;
        deviations_ms += (uint64_t)(deviation_ms < 0 ? -deviation_ms : deviation_ms);
    }
    summary.deviation_ms = (uint32_t)(deviations_ms / event->count);
    int64_t span_s = now_s - latency_sample_at(event, 0)->time_s;
    summary.period_s = (double)(span_s > 0 ? span_s : 1) / event->count;
    *ret_summary = summary;
}

void latency_hook(void *context, const char *event, uint64_t duration_ns)
{
    const struct observe *observe = context;
    uint64_t latency_ms = duration_ns / 1000000;
    latency_add(observe->latency, event, clock_wall_us(observe->latency->clock) / 1000000,
                latency_ms < UINT32_MAX ? (uint32_t)latency_ms : UINT32_MAX);
}
