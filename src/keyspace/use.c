/* How entries were used. Entry: use_set_rules, use_touch. Clocks, threads and invariants: see use.h. */
#include "keyspace/use.h"

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

/* With a chance of one in (what it is above that of a new entry) * log_factor + 1. */
static uint32_t grown(const struct use *use, struct rng *rng, uint32_t frequency)
{
    if (frequency == USE_FREQUENCY_MAX)
        return frequency;
    uint64_t above = frequency > FREQUENCY_NEW ? frequency - FREQUENCY_NEW : 0;
    return frequency + (rng_below(rng, above * use->rules.log_factor + 1) == 0);
}

void use_touch(const struct use *use, struct rng *rng, struct entry *entry)
{
    if (use->rules.counts)
        entry_set_clock(entry, use_clock_of_frequency(use, grown(use, rng, use_frequency(use, entry))));
    else
        entry_set_clock(entry, use->clock_now);
}

uint32_t use_clock_of_idle(const struct use *use, uint64_t idle_seconds)
{
    return (use->clock_now - (uint32_t)(idle_seconds < CLOCK_MASK ? idle_seconds : CLOCK_MASK)) & CLOCK_MASK;
}

uint32_t use_clock_of_frequency(const struct use *use, uint32_t frequency)
{
    return use->minute << FREQUENCY_BITS | frequency;
}
