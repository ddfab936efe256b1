/* How entries were used. Entry: use_set_rules, use_touch. Clocks, threads and invariants: see use.h. */
#include "keyspace/use.h"

#include <stdatomic.h>

#define CLOCK_BITS     24
#define CLOCK_MASK     ((UINT32_C(1) << CLOCK_BITS) - 1)
#define FREQUENCY_BITS 8
#define MINUTE_MASK    UINT16_MAX

/* A new entry starts with a few uses, or it would be the first to go before it can be used again. Below, each use counts. */
#define FREQUENCY_NEW 5

#define NEVER_FRESH UINT32_MAX /* more than a clock can hold */

static void set_derived(struct use *use)
{
    use->clock_new = use->rules.counts ? use_clock_of_frequency(use, FREQUENCY_NEW) : use->clock_now;
    use->fresh = use->rules.counts ? NEVER_FRESH : use->clock_now;
}

void use_set_rules(struct use *use, const struct use_rules *rules)
{
    use->rules = *rules;
    set_derived(use);
}

void use_set_time(struct use *use, int64_t now_ms)
{
    use->clock_now = (uint32_t)(now_ms / 1000) & CLOCK_MASK;
    use->minute = (uint32_t)(now_ms / 60000) & MINUTE_MASK;
    set_derived(use);
}

uint32_t use_idle_seconds(const struct use *use, const struct entry *entry)
{
    return (use->clock_now - entry_clock(entry)) & CLOCK_MASK;
}

uint32_t use_frequency(const struct use *use, const struct entry *entry)
{
    uint32_t frequency = entry_clock(entry) & USE_FREQUENCY_MAX;
    uint32_t minutes = (use->minute - (entry_clock(entry) >> FREQUENCY_BITS)) & MINUTE_MASK;
    uint32_t lost = use->rules.decay_minutes == 0 ? 0 : minutes / use->rules.decay_minutes;
    return lost < frequency ? frequency - lost : 0;
}

/* It grows with a chance of one in so many: what it is above that of a new entry, by log_factor, and one. */
static uint64_t chance_of_growth(const struct use *use, uint32_t frequency)
{
    uint64_t above = frequency > FREQUENCY_NEW ? frequency - FREQUENCY_NEW : 0;
    return above * use->rules.log_factor + 1;
}

void use_touch(const struct use *use, struct rng *rng, struct entry *entry)
{
    if (!use->rules.counts) {
        entry_set_clock(entry, use->clock_now);
        return;
    }
    uint32_t frequency = use_frequency(use, entry);
    if (frequency < USE_FREQUENCY_MAX)
        frequency += rng_below(rng, chance_of_growth(use, frequency)) == 0;
    entry_set_clock(entry, use_clock_of_frequency(use, frequency));
}

/* ---- Other threads ----------------------------------------------------------------------------------- */

/* Readers have the line in their caches as long as nothing changes. */
static void publish(_Atomic uint32_t *field, uint32_t value)
{
    if (atomic_load_explicit(field, memory_order_relaxed) != value)
        atomic_store_explicit(field, value, memory_order_relaxed);
}

void use_publish(const struct use *use, struct use_shared *shared)
{
    publish(&shared->clock_now, use->clock_now);
    publish(&shared->minute, use->minute);
    publish(&shared->counts, use->rules.counts);
    publish(&shared->log_factor, use->rules.log_factor);
    publish(&shared->decay_minutes, use->rules.decay_minutes);
}

/* A step of a linear congruential generator (Knuth's constants for 32 bits): its upper bits decide about a count, no more. */
static bool one_in(uint32_t *seed, uint64_t chances)
{
    *seed = *seed * UINT32_C(1664525) + UINT32_C(1013904223);
    return ((uint64_t)(*seed >> 8) * (chances < UINT32_MAX ? chances : UINT32_MAX)) >> 24 == 0;
}

void use_touch_shared(const struct use_shared *shared, uint32_t *seed, struct entry *entry)
{
    uint32_t before = entry_clock(entry);
    uint32_t clock = atomic_load_explicit(&shared->clock_now, memory_order_relaxed);
    if (unlikely(atomic_load_explicit(&shared->counts, memory_order_relaxed))) {
        struct use use = {
            .rules = {.counts = true,
                      .log_factor = atomic_load_explicit(&shared->log_factor, memory_order_relaxed),
                      .decay_minutes = atomic_load_explicit(&shared->decay_minutes, memory_order_relaxed)},
            .minute = atomic_load_explicit(&shared->minute, memory_order_relaxed),
        };
        uint32_t frequency = use_frequency(&use, entry);
        if (frequency < USE_FREQUENCY_MAX)
            frequency += one_in(seed, chance_of_growth(&use, frequency));
        clock = use_clock_of_frequency(&use, frequency);
    }
    if (unlikely(clock != before))
        entry_set_clock(entry, clock);
}

uint32_t use_clock_of_idle(const struct use *use, uint64_t idle_seconds)
{
    return (use->clock_now - (uint32_t)(idle_seconds < CLOCK_MASK ? idle_seconds : CLOCK_MASK)) & CLOCK_MASK;
}

uint32_t use_clock_of_frequency(const struct use *use, uint32_t frequency)
{
    return use->minute << FREQUENCY_BITS | frequency;
}
