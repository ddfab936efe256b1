/* Whether a send is worth pinning. Rules in send_policy.h. Threads: the owner's. */
#include "transport/send_policy.h"

#include "base/bug.h"

#define MEASURED_EVERY 16 /* sends whose way is settled; taking the time costs about 1 % of a small one */
#define TRIAL_FIRST    4  /* while samples are missing */
#define WEIGHT         8  /* of the mean against one sample */
#define OUTLIER        4  /* a sample counts at most so many times the mean: a page fault says nothing */
#define PS_PER_NS      1000

void send_policy_init(struct send_policy *policy)
{
    *policy = (struct send_policy){0};
    for (unsigned i = 0; i < SEND_POLICY_CLASSES; i++) {
        policy->classes[i].way = SEND_POLICY_SIZE_MIN << i >= SEND_POLICY_START ? SEND_PINNED : SEND_COPY;
        policy->classes[i].trial_every = SEND_POLICY_TRIAL_MIN;
    }
}

static struct send_class *class_of(struct send_policy *policy, uint64_t size)
{
    unsigned index = 0;
    while (index + 1 < SEND_POLICY_CLASSES && size >= SEND_POLICY_SIZE_MIN << (index + 1))
        index++;
    return &policy->classes[index];
}

static enum send_way other(enum send_way way)
{
    return way == SEND_COPY ? SEND_PINNED : SEND_COPY;
}

static bool lacks_samples(const struct send_class *class)
{
    return class->samples[SEND_COPY] < SEND_POLICY_SAMPLES_MIN ||
           class->samples[SEND_PINNED] < SEND_POLICY_SAMPLES_MIN;
}

struct send_choice send_policy_choose(struct send_policy *policy, uint64_t size, uint64_t size_min)
{
    if (size_min > 0)
        return (struct send_choice){.way = size >= size_min ? SEND_PINNED : SEND_COPY};
    if (size < SEND_POLICY_SIZE_MIN)
        return (struct send_choice){.way = SEND_COPY};
    struct send_class *class = class_of(policy, size);
    bool learns = lacks_samples(class);
    /* D3 */
    bool needs_other = class->samples[other(class->way)] < SEND_POLICY_SAMPLES_MIN;
    if (++class->since_trial >= (needs_other ? TRIAL_FIRST : class->trial_every)) {
        class->since_trial = 0;
        return (struct send_choice){.way = other(class->way), .is_measured = true};
    }
    return (struct send_choice){.way = class->way,
                                .is_measured = learns || ++policy->turn % MEASURED_EVERY == 0};
}

static void settle(struct send_class *class, enum send_way tried)
{
    if (lacks_samples(class))
        return; /* D2 */
    uint64_t copy = class->costs[SEND_COPY], pinned = class->costs[SEND_PINNED];
    enum send_way way = class->way;
    if (way == SEND_PINNED && pinned > copy)
        way = SEND_COPY;
    else if (way == SEND_COPY && pinned < copy - copy / 10)
        way = SEND_PINNED;
    if (way != class->way) {
        class->way = way;
        class->trial_every = SEND_POLICY_TRIAL_MIN;
        class->since_trial = 0;
    } else if (tried != way && class->trial_every < SEND_POLICY_TRIAL_MAX) {
        class->trial_every *= 2;
    }
}

void send_policy_note(struct send_policy *policy, enum send_way way, uint64_t size, uint64_t sent,
                      uint64_t ns)
{
    DEBUG_ASSERT(sent > 0 && sent <= size);
    if (size < SEND_POLICY_SIZE_MIN)
        return;
    struct send_class *class = class_of(policy, size);
    uint64_t ps = ns * PS_PER_NS + (way == SEND_PINNED ? policy->completion_ps : 0);
    uint64_t sample = ps / sent, mean = class->costs[way];
    uint32_t count = class->samples[way];
    if (count >= SEND_POLICY_SAMPLES_MIN && sample > mean * OUTLIER)
        sample = mean * OUTLIER;
    uint32_t weight = count < WEIGHT ? count + 1 : WEIGHT;
    class->costs[way] = (mean * (weight - 1) + sample) / weight;
    if (count < SEND_POLICY_SAMPLES_MIN)
        class->samples[way]++;
    settle(class, way);
}

void send_policy_note_completions(struct send_policy *policy, uint64_t sends, uint64_t ns)
{
    policy->owed_ns += ns;
    if (sends == 0)
        return;
    uint64_t sample = policy->owed_ns * PS_PER_NS / sends;
    policy->owed_ns = 0;
    policy->completion_ps =
        policy->completion_ps ? (policy->completion_ps * (WEIGHT - 1) + sample) / WEIGHT : sample;
}

uint64_t send_policy_threshold(const struct send_policy *policy)
{
    for (unsigned i = 0; i < SEND_POLICY_CLASSES; i++)
        if (policy->classes[i].way == SEND_PINNED)
            return SEND_POLICY_SIZE_MIN << i;
    return UINT64_MAX;
}
