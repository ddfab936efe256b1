/* Sends whose bytes somebody below still reads. Rules in pins.h.
 *
 * Threads: the stream's owner.
 *
 * N6  The record of send n, first <= n < next, is records[n & (capacity - 1)]; that of `first` is in flight. */
#include "transport/pins.h"

#include "base/alloc.h"
#include "base/bug.h"

#define CAPACITY_MIN 16

struct pin_record {
    uint64_t end; /* its last byte's position, plus one */
    bool is_over;
};

_Static_assert(PINS_RECENT == 64, "recent_bits has a bit for each");
_Static_assert((PINS_SENDS_MAX & (PINS_SENDS_MAX - 1)) == 0, "the ring's size is a power of two");

void pins_init(struct pins *pins)
{
    *pins = (struct pins){0};
}

void pins_done(struct pins *pins)
{
    mem_free(pins->records);
    *pins = (struct pins){0};
}

static struct pin_record *record_of(const struct pins *pins, uint64_t number)
{
    return &pins->records[number & (pins->capacity - 1)];
}

static void resize(struct pins *pins, uint32_t capacity)
{
    struct pin_record *records = mem_alloc(capacity * sizeof *records);
    for (uint64_t number = pins->first; number != pins->next; number++)
        records[number & (capacity - 1)] = *record_of(pins, number);
    mem_free(pins->records);
    pins->records = records;
    pins->capacity = capacity;
}

bool pins_is_full(const struct pins *pins)
{
    return pins->next - pins->first >= PINS_SENDS_MAX;
}

uint64_t pins_add(struct pins *pins, uint64_t size)
{
    ASSERT(size > 0 && !pins_is_full(pins));
    if (pins->next - pins->first == pins->capacity)
        resize(pins, pins->capacity ? pins->capacity * 2 : CAPACITY_MIN);
    pins->sent_end += size;
    *record_of(pins, pins->next) = (struct pin_record){.end = pins->sent_end};
    return pins->next++;
}

/* N2, N4 */
static void release(struct pins *pins)
{
    while (pins->first != pins->next && record_of(pins, pins->first)->is_over) {
        pins->free_end = record_of(pins, pins->first)->end;
        pins->first++;
    }
    if (pins->capacity > CAPACITY_MIN && pins->next - pins->first <= pins->capacity / 4)
        resize(pins, pins->capacity / 2);
}

static void note_recent(struct pins *pins, uint64_t sends, bool copied)
{
    uint64_t ones = copied ? UINT64_MAX : 0;
    if (sends >= PINS_RECENT)
        pins->recent_bits = ones;
    else if (sends > 0)
        pins->recent_bits = pins->recent_bits << sends | ones >> (PINS_RECENT - sends);
    uint64_t count = pins->recent_count + sends;
    pins->recent_count = count < PINS_RECENT ? (uint32_t)count : PINS_RECENT;
}

/* Records `from` to `to`, counted from the oldest one, are over; returns how many were not. */
static uint64_t mark(struct pins *pins, uint64_t from, uint64_t to)
{
    uint64_t live = pins->next - pins->first, count = 0;
    for (uint64_t i = from; i < to && i < live; i++) {
        struct pin_record *record = record_of(pins, pins->first + i);
        count += !record->is_over;
        record->is_over = true;
    }
    return count;
}

struct pins_result pins_complete(struct pins *pins, uint32_t first, uint32_t last, bool copied)
{
    /* Seen from the oldest record: a range that begins before it has wrapped around all numbers. */
    uint64_t count = (uint64_t)(uint32_t)(last - first) + 1;
    uint64_t from = (uint32_t)(first - (uint32_t)pins->first), to = from + count;
    uint64_t all = (uint64_t)UINT32_MAX + 1;
    struct pins_result result = {.sends = mark(pins, from, to)};
    if (to > all)
        result.sends += mark(pins, 0, to - all);
    result.copied = copied ? result.sends : 0;
    result.wrong = count - result.sends;
    note_recent(pins, result.sends, copied);
    release(pins);
    return result;
}

unsigned pins_recent_copied(const struct pins *pins)
{
    return (unsigned)__builtin_popcountll(pins->recent_bits);
}

void pins_forget_recent(struct pins *pins)
{
    pins->recent_bits = 0;
    pins->recent_count = 0;
}

uint64_t pins_memory(const struct pins *pins)
{
    return pins->capacity * sizeof *pins->records;
}
