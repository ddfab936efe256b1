/* Latency events: what held the executor up, by kind, over time.
 *
 * Principal entry points: latency_new, latency_hook, latency_add, latency_find, latency_report.
 * Threads: executor only.
 *
 * Y1  events[0 .. count) are in use, each with a name of its own and 1 to LATENCY_SAMPLES samples.
 * Y2  The samples of an event are of different seconds, rising; of several spikes in a second the longest
 *     counts. */
#ifndef SKUA_OBSERVE_LATENCY_H
#define SKUA_OBSERVE_LATENCY_H

#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/slice.h"

#define LATENCY_SAMPLES    160 /* kept of an event, as clients know it from Redis */
#define LATENCY_EVENTS_MAX 32  /* kinds of event; names come from our own code */
#define LATENCY_NAME_MAX   32

struct latency_sample {
    int64_t time_s;
    uint32_t latency_ms;
};

struct latency_event {
    char name[LATENCY_NAME_MAX];
    uint32_t max_ms; /* since the last reset, also of samples that are no longer kept */
    uint32_t first;  /* index of the oldest sample */
    uint32_t count;
    struct latency_sample samples[LATENCY_SAMPLES]; /* a ring */
};

struct latency {
    const struct clock *clock;
    uint32_t count;
    struct latency_event events[LATENCY_EVENTS_MAX];
};

/* `clock` must outlive the result. */
struct latency *latency_new(const struct clock *clock);
void latency_free(struct latency *latency);

/* Notes a spike. A new kind of event beyond LATENCY_EVENTS_MAX is not noted. */
void latency_add(struct latency *latency, const char *event, int64_t time_s, uint32_t latency_ms);

/* NULL when there was no such event. Valid until the next change. */
const struct latency_event *latency_find(const struct latency *latency, struct slice name);

/* Forgets one event; false when there was none of that name. */
bool latency_reset(struct latency *latency, struct slice name);

/* Forgets all events and returns how many there were. */
uint32_t latency_reset_all(struct latency *latency);

/* The sample number `index`, 0 is the oldest. `index` < event->count. */
static inline const struct latency_sample *latency_sample_at(const struct latency_event *event,
                                                             uint32_t index)
{
    return &event->samples[(event->first + index) % LATENCY_SAMPLES];
}

/* What can be told of an event's samples. */
struct latency_summary {
    uint32_t min_ms;
    uint32_t max_ms; /* of the samples that are kept */
    uint32_t average_ms;
    uint32_t deviation_ms; /* mean absolute deviation from the average */
    double period_s;       /* mean time from a spike to the next, now included */
};
void latency_summarise(const struct latency_event *event, int64_t now_s, struct latency_summary *ret_summary);

/* Text of LATENCY GRAPH: one column a sample, each with its age below. */
void latency_graph(const struct latency_event *event, int64_t now_s, struct buf *ret_text);

/* Text of LATENCY DOCTOR: what was seen and what can be done about it. `threshold_ms` is the option's value,
 * 0 when nothing is recorded. */
void latency_report(const struct latency *latency, int64_t now_s, int64_t threshold_ms, struct buf *ret_text);

/* exec->hooks.latency; `context` is the struct observe. */
void latency_hook(void *context, const char *event, uint64_t duration_ns);

#endif
