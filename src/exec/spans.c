/* Rings of what the executor did. Rules in spans.h. Threads: executor only. */
#include "exec/spans.h"

#include <string.h>

#include "base/macros.h"

#define SPAN_CLASS_FACTOR 10

/* Kinds of work that one wait is searched for; what is beyond them counts as the rest. */
#define CANDIDATES_MAX 32

const char *span_kind_name(enum span_kind kind)
{
    static const char *const names[] = {"command", "slices", "task", "requests"};
    return names[kind];
}

static void put(struct span_ring *ring, const struct exec_span *span)
{
    ring->spans[ring->next] = *span;
    ring->next = (ring->next + 1) % SPANS_PER_CLASS;
    if (ring->count < SPANS_PER_CLASS)
        ring->count++;
}

/* V2. A client has one such command at a time. */
static void note_slice(struct span_ring *ring, const struct exec_span *slice)
{
    if (slice->count > 0) {
        put(ring, slice);
        return;
    }
    for (uint32_t i = 1; i <= ring->count; i++) {
        struct exec_span *span = &ring->spans[(ring->next + SPANS_PER_CLASS - i) % SPANS_PER_CLASS];
        if (span->client_id == slice->client_id && span->name == slice->name) {
            span->end_ticks = slice->end_ticks;
            span->busy_ticks += slice->busy_ticks;
            return;
        }
    }
}

void spans_note(struct spans *spans, const struct clock *clock, const struct exec_span *span)
{
    if (span->kind == SPAN_SLICES) {
        note_slice(&spans->slices, span);
        return;
    }
    uint64_t ns = clock_ticks_to_ns(clock, span->busy_ticks);
    if (ns < SPAN_MIN_NS)
        return;
    unsigned ring = 0;
    for (uint64_t limit_ns = SPAN_MIN_NS * SPAN_CLASS_FACTOR; ring < SPAN_CLASSES - 1 && ns >= limit_ns;
         ring++)
        limit_ns *= SPAN_CLASS_FACTOR;
    put(&spans->rings[ring], span);
}

/* ---- Looking up ----------------------------------------------------------------------------------- */

struct candidate {
    struct span_share share;
    uint64_t end_ticks;
};

struct search {
    const struct clock *clock;
    uint64_t begin_ticks, end_ticks;
    struct candidate candidates[CANDIDATES_MAX];
    unsigned count;
};

static struct candidate *candidate_for(struct search *search, const struct exec_span *span)
{
    for (unsigned i = 0; i < search->count; i++) {
        const struct span_share *share = &search->candidates[i].share;
        if (share->kind == span->kind && share->client_id == span->client_id &&
            strcmp(share->name, span->name) == 0)
            return &search->candidates[i];
    }
    if (search->count == CANDIDATES_MAX)
        return NULL;
    struct candidate *candidate = &search->candidates[search->count++];
    *candidate =
        (struct candidate){.share = {.kind = span->kind, .name = span->name, .client_id = span->client_id}};
    return candidate;
}

/* Adds what the span has of the time that is searched. A span that is not busy throughout has its part evenly. */
static void consider(struct search *search, const struct exec_span *span)
{
    uint64_t begin = span->begin_ticks > search->begin_ticks ? span->begin_ticks : search->begin_ticks;
    uint64_t end = span->end_ticks < search->end_ticks ? span->end_ticks : search->end_ticks;
    if (begin >= end)
        return;
    double part = (double)(end - begin) / (double)(span->end_ticks - span->begin_ticks);
    struct candidate *candidate = candidate_for(search, span);
    if (candidate == NULL)
        return;
    candidate->share.ns += clock_ticks_to_ns(search->clock, (uint64_t)((double)span->busy_ticks * part));
    candidate->share.count += (uint32_t)((double)span->count * part + 0.5);
    if (span->end_ticks > candidate->end_ticks)
        candidate->end_ticks = span->end_ticks;
}

static void consider_all(struct search *search, const struct span_ring *ring)
{
    for (uint32_t i = 0; i < ring->count; i++)
        consider(search, &ring->spans[i]);
}

static struct candidate *largest(struct search *search)
{
    struct candidate *found = NULL;
    for (unsigned i = 0; i < search->count; i++) {
        struct candidate *candidate = &search->candidates[i];
        if (candidate->share.ns > 0 && (found == NULL || candidate->share.ns > found->share.ns))
            found = candidate;
    }
    return found;
}

void spans_find(const struct spans *spans, const struct clock *clock, uint64_t begin_ticks,
                uint64_t end_ticks, const struct exec_span *open, struct span_shares *ret_shares)
{
    struct search search = {.clock = clock, .begin_ticks = begin_ticks, .end_ticks = end_ticks};
    struct span_shares shares = {0};
    for (unsigned i = SPAN_CLASSES; i-- > 0;)
        consider_all(&search, &spans->rings[i]);
    consider_all(&search, &spans->slices);
    if (open)
        consider(&search, open);
    uint64_t left_ns = end_ticks > begin_ticks ? clock_ticks_to_ns(clock, end_ticks - begin_ticks) : 0;
    while (shares.count < SPAN_SHARES_MAX) {
        struct candidate *candidate = largest(&search);
        if (candidate == NULL)
            break;
        if (shares.count == 0)
            shares.main_end_ticks = candidate->end_ticks;
        left_ns -= candidate->share.ns < left_ns ? candidate->share.ns : left_ns;
        shares.items[shares.count++] = candidate->share;
        candidate->share.ns = 0;
    }
    shares.rest_ns = left_ns;
    *ret_shares = shares;
}
