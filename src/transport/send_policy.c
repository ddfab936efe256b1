/* Whether a send is worth pinning. Rules in send_policy.h. Threads: the owner's. */
#include "transport/send_policy.h"

#include "base/bug.h"
#include "base/macros.h"

#define OTHERS_MAX   64          /* D2: sends of other classes in a row */
#define KEPT         (63.0 / 64) /* of the weight of former trials */
#define ERRORS       2           /* standard errors that a mean has to be away from 0 */
#define REST_GROWTH  4
#define VARIANCE_MIN (0.05 * 0.05) /* a few scores may happen to be alike */

/* Positions in a trial, by sends of the class before it. */
#define BEGIN_FIRST  SEND_POLICY_LEFT_OUT
#define END_FIRST    SEND_POLICY_BLOCK
#define BEGIN_SECOND (SEND_POLICY_BLOCK + SEND_POLICY_LEFT_OUT)
#define END_SECOND   (2 * SEND_POLICY_BLOCK)

static void learn(struct send_class *class)
{
    class->trials = class->surprises = class->rest = 0;
    class->rest_bytes = 0;
    class->weight = class->sum = class->squares = 0;
}

static void learn_whole(struct send_policy *policy)
{
    policy->whole.way = SEND_PINNED;
    learn(&policy->whole);
}

void send_policy_init(struct send_policy *policy)
{
    *policy = (struct send_policy){0};
    for (unsigned i = 0; i < SEND_POLICY_CLASSES; i++) {
        policy->classes[i].way = SEND_POLICY_SIZE_MIN << i >= SEND_POLICY_START ? SEND_PINNED : SEND_COPY;
    }
    learn_whole(policy);
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

/* ---- Trials ---------------------------------------------------------------------------------------- */

static void begin_trial(struct send_policy *policy, struct send_class *class)
{
    policy->trial =
        (struct send_trial){.class = class, .first = policy->is_copy_first ? SEND_COPY : SEND_PINNED};
    policy->is_copy_first = !policy->is_copy_first;
}

/* The next one comes after `rest` times as many bytes. */
static void end_trial(struct send_policy *policy, uint32_t rest)
{
    policy->trial.class->rest_bytes = rest * policy->trial.bytes;
    policy->trial.class = NULL;
}

/* The next send of the class that is tried. */
static struct send_choice try(struct send_trial *trial)
{
    uint32_t before = trial->sends++;
    trial->others = 0;
    struct send_choice choice = {.is_marked = before == BEGIN_FIRST || before == END_FIRST ||
                                              before == BEGIN_SECOND || before == END_SECOND};
    if (before < END_FIRST)
        choice.way = trial->first;
    else
        choice.way = before < END_SECOND ? other(trial->first) : trial->class->way;
    return choice;
}

static bool is_subject(const struct send_policy *policy, const struct send_class *class)
{
    const struct send_class *tried = policy->trial.class;
    return tried == class || (tried == &policy->whole && class->way == SEND_PINNED);
}

static void begin_due_trial(struct send_policy *policy, struct send_class *class)
{
    if (class->way == SEND_PINNED && policy->whole.rest_bytes == 0)
        begin_trial(policy, &policy->whole);
    else if (class->rest_bytes == 0)
        begin_trial(policy, class);
}

struct send_choice send_policy_choose(struct send_policy *policy, uint64_t size, uint64_t size_min)
{
    struct send_trial *trial = &policy->trial;
    if (size_min > 0)
        return (struct send_choice){.way = size >= size_min ? SEND_PINNED : SEND_COPY};
    if (size < SEND_POLICY_SIZE_MIN)
        return (struct send_choice){.way = SEND_COPY};
    struct send_class *class = class_of(policy, size);
    if (trial->class != NULL && !is_subject(policy, class) && ++trial->others > OTHERS_MAX)
        end_trial(policy, 0);
    if (trial->class == NULL)
        begin_due_trial(policy, class);
    policy->chosen = class;
    return trial->class != NULL && is_subject(policy, class) ? try(trial)
                                                             : (struct send_choice){.way = class->way};
}

/* ---- What trials say -------------------------------------------------------------------------------- */

static double mean_of(const struct send_class *class)
{
    return class->weight > 0 ? class->sum / class->weight : 0;
}

static void remember(struct send_class *class, double score)
{
    bool is_surprise = score * mean_of(class) < 0;
    class->surprises = is_surprise ? class->surprises + 1 : 0;
    if (class->surprises == SEND_POLICY_SURPRISES)
        learn(class);
    class->weight = class->weight * KEPT + 1;
    class->sum = class->sum * KEPT + score;
    class->squares = class->squares * KEPT + score * score;
    if (class->trials < SEND_POLICY_LEARNT)
        class->trials++;
}

/* Which way costs less; the present one where that cannot be told. */
static enum send_way better_way(const struct send_class *class)
{
    double mean = mean_of(class);
    double variance = class->squares / class->weight - mean * mean;
    double error_squared = (variance > VARIANCE_MIN ? variance : VARIANCE_MIN) / class->weight;
    if (mean * mean <= ERRORS * ERRORS * error_squared)
        return class->way;
    return mean < 0 ? SEND_PINNED : SEND_COPY;
}

static void judge(struct send_class *class, double score)
{
    remember(class, score);
    if (class->trials < SEND_POLICY_LEARNT)
        return;
    enum send_way way = better_way(class), cheaper = score < 0 ? SEND_PINNED : SEND_COPY;
    bool is_settled = way == class->way && cheaper == way;
    class->way = way;
    class->rest = is_settled ? class->rest * REST_GROWTH : SEND_POLICY_REST_MIN;
    if (class->rest < SEND_POLICY_REST_MIN)
        class->rest = SEND_POLICY_REST_MIN;
    if (class->rest > SEND_POLICY_REST_MAX)
        class->rest = SEND_POLICY_REST_MAX;
}

static void judge_whole(struct send_policy *policy, double score)
{
    judge(&policy->whole, score);
    if (policy->whole.way == SEND_PINNED)
        return;
    for (unsigned i = 0; i < SEND_POLICY_CLASSES; i++) {
        struct send_class *class = &policy->classes[i];
        class->way = SEND_COPY;
        learn(class);
        class->rest = SEND_POLICY_REST_MIN; /* there is no hurry */
        class->rest_bytes = SEND_POLICY_REST_MIN * policy->trial.bytes;
    }
    learn_whole(policy);
}

/* What has been counted was sent `way`. False: nothing was sent. */
static bool take_cost(struct send_trial *trial, enum send_way way, uint64_t cpu_ns)
{
    int64_t spent_ns = (int64_t)(cpu_ns - trial->begin_ns);
    uint64_t bytes = trial->bytes - trial->begin_bytes;
    if (bytes == 0 || spent_ns <= 0)
        return false;
    trial->costs[way] = (double)spent_ns / (double)bytes;
    return true;
}

static void conclude(struct send_policy *policy)
{
    struct send_trial *trial = &policy->trial;
    double copy = trial->costs[SEND_COPY], pinned = trial->costs[SEND_PINNED];
    double score = (pinned - copy) / (pinned + copy);
    if (trial->class == &policy->whole)
        judge_whole(policy, score);
    else
        judge(trial->class, score);
}

void send_policy_mark(struct send_policy *policy, uint64_t cpu_ns)
{
    struct send_trial *trial = &policy->trial;
    ASSERT(trial->class != NULL && trial->sends > 0);
    uint32_t before = trial->sends - 1;
    if (before == END_FIRST && !take_cost(trial, trial->first, cpu_ns)) {
        end_trial(policy, SEND_POLICY_REST_MIN);
    } else if (before == END_SECOND) {
        if (take_cost(trial, other(trial->first), cpu_ns))
            conclude(policy);
        end_trial(policy, trial->class->rest);
    }
    trial->begin_ns = cpu_ns;
    trial->begin_bytes = trial->bytes;
}

void send_policy_note(struct send_policy *policy, uint64_t sent, bool is_refused)
{
    struct send_class *classes[] = {policy->chosen, &policy->whole};
    unsigned count = policy->chosen == NULL ? 0 : policy->chosen->way == SEND_PINNED ? 2 : 1;
    policy->trial.bytes += sent;
    for (unsigned i = 0; i < count; i++)
        classes[i]->rest_bytes -= sent < classes[i]->rest_bytes ? sent : classes[i]->rest_bytes;
    if (unlikely(is_refused) && policy->trial.class != NULL)
        end_trial(policy, SEND_POLICY_REST_MIN);
}

uint64_t send_policy_threshold(const struct send_policy *policy)
{
    for (unsigned i = 0; i < SEND_POLICY_CLASSES; i++)
        if (policy->classes[i].way == SEND_PINNED)
            return SEND_POLICY_SIZE_MIN << i;
    return UINT64_MAX;
}
