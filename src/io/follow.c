/* How many I/O threads the load needs. States, verdicts and why they do not flap: follow.h. */
#include "io/follow.h"

#include <stdbool.h>

enum verdict { VERDICT_LOW, VERDICT_FITS, VERDICT_HIGH };

void follow_init(struct follow *follow, unsigned active)
{
    *follow = (struct follow){
        .active = active,
        .patience = FOLLOW_PATIENCE_MIN,
        .since_shrinkage = FOLLOW_REGRET_WINDOWS,
    };
}

/* Thousandths of one processor. */
static uint64_t permille(uint64_t busy_ns, uint64_t passed_ns)
{
    return busy_ns * 1000 / passed_ns;
}

static unsigned limit_growth(const struct follow *follow, unsigned most)
{
    return follow->sums.connections < most ? (unsigned)follow->sums.connections : most;
}

static enum verdict judge(const struct follow *follow, unsigned most)
{
    const struct follow_sample *sums = &follow->sums;
    uint64_t executor = permille(sums->executor_busy_ns, sums->passed_ns);
    uint64_t threads = permille(sums->threads_busy_ns, sums->passed_ns);
    unsigned active = follow->active;
    if (active == 0) {
        bool helps = permille(sums->executor_io_ns, sums->passed_ns) >= FOLLOW_ALONE_IO_PERCENT * 10;
        return limit_growth(follow, most) > 0 && helps && executor >= FOLLOW_ALONE_UP_PERCENT * 10
                   ? VERDICT_HIGH
                   : VERDICT_FITS;
    }
    if (threads >= (uint64_t)active * FOLLOW_UP_PERCENT * 10)
        return active < limit_growth(follow, most) ? VERDICT_HIGH : VERDICT_FITS;
    if (executor + threads < FOLLOW_ALONE_DOWN_PERCENT * 10)
        return VERDICT_LOW;
    return active > 1 && threads < (uint64_t)(active - 1) * FOLLOW_DOWN_PERCENT * 10 ? VERDICT_LOW
                                                                                     : VERDICT_FITS;
}

static void enter(struct follow *follow, enum follow_state state)
{
    follow->state = state;
    follow->windows = 0;
}

static void change(struct follow *follow, unsigned active)
{
    follow->active = active;
    follow->since_change = 0;
    enter(follow, FOLLOW_SETTLING);
}

static void grow(struct follow *follow, unsigned most)
{
    const struct follow_sample *sums = &follow->sums;
    unsigned active = follow->active;
    uint64_t threads = permille(sums->threads_busy_ns, sums->passed_ns);
    bool full = active > 0 && threads >= (uint64_t)active * FOLLOW_FULL_PERCENT * 10;
    unsigned wanted = full ? active * 2 : active + 1;
    if (follow->since_shrinkage < FOLLOW_REGRET_WINDOWS && follow->patience < FOLLOW_PATIENCE_MAX)
        follow->patience *= 2; /* G3 */
    most = limit_growth(follow, most);
    change(follow, wanted < most ? wanted : most);
}

/* To as many as need FOLLOW_DOWN_PERCENT at most for what they had to do when it was most. */
static void shrink(struct follow *follow)
{
    unsigned active = follow->active;
    uint64_t share = FOLLOW_DOWN_PERCENT * 10;
    unsigned wanted = (unsigned)((follow->peak_permille + share - 1) / share);
    if (wanted >= active)
        wanted = active - 1;
    follow->since_shrinkage = 0;
    change(follow, wanted);
}

static void fall(struct follow *follow)
{
    const struct follow_sample *sums = &follow->sums;
    uint64_t threads = permille(sums->threads_busy_ns, sums->passed_ns);
    uint64_t executor = permille(sums->executor_busy_ns, sums->passed_ns);
    bool alone = executor + threads < FOLLOW_ALONE_DOWN_PERCENT * 10;
    uint64_t needed = alone     ? 0
                      : threads ? threads
                                : 1; /* the last thread goes only when the executor can do all */
    if (follow->state != FOLLOW_FALLING) {
        enter(follow, FOLLOW_FALLING);
        follow->peak_permille = 0;
    }
    if (needed > follow->peak_permille)
        follow->peak_permille = needed;
    if (++follow->windows >= follow->patience)
        shrink(follow);
}

static void rise(struct follow *follow, unsigned most)
{
    if (follow->state != FOLLOW_RISING)
        enter(follow, FOLLOW_RISING);
    if (++follow->windows >= FOLLOW_UP_WINDOWS)
        grow(follow, most);
}

static void window_ends(struct follow *follow, unsigned most)
{
    if (follow->since_shrinkage < FOLLOW_REGRET_WINDOWS)
        follow->since_shrinkage++;
    if (++follow->since_change >= FOLLOW_FORGET_WINDOWS) {
        follow->since_change = 0;
        follow->patience = FOLLOW_PATIENCE_MIN;
    }
    if (follow->state == FOLLOW_SETTLING) {
        if (++follow->windows >= FOLLOW_SETTLE_WINDOWS)
            enter(follow, FOLLOW_STEADY);
        return;
    }
    switch (judge(follow, most)) {
    case VERDICT_HIGH: rise(follow, most); break;
    case VERDICT_LOW: fall(follow); break;
    case VERDICT_FITS: enter(follow, FOLLOW_STEADY); break;
    }
}

unsigned follow_step(struct follow *follow, const struct follow_sample *sample, unsigned most)
{
    struct follow_sample *sums = &follow->sums;
    if (follow->active > most)
        change(follow, most);
    sums->passed_ns += sample->passed_ns;
    sums->executor_busy_ns += sample->executor_busy_ns;
    sums->executor_io_ns += sample->executor_io_ns;
    sums->threads_busy_ns += sample->threads_busy_ns;
    sums->connections = sample->connections;
    if (sums->passed_ns >= FOLLOW_WINDOW_NS) {
        window_ends(follow, most);
        *sums = (struct follow_sample){0};
    }
    return follow->active;
}
