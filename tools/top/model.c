/* Rates between two readings. Entry: model_take. Threads and invariants M1 to M3: see model.h. */
#include "top/model.h"

#include <math.h>

/* A clock of the server that runs twice as fast as ours was set, not slow to answer. */
#define CLOCK_RATIO_MAX 2.0

void model_init(struct model *model)
{
    *model = (struct model){.seconds = NAN};
    for (unsigned i = 0; i < FIGURE_COUNT; i++)
        model->rate[i] = NAN;
}

void model_done(struct model *model)
{
    sample_free(model->now);
    sample_free(model->before);
    model_init(model);
}

static double rate_of(double now, double before, double seconds)
{
    return now >= before ? (now - before) / seconds : NAN; /* also NAN when one of them is */
}

static double difference(double now, double before)
{
    return rate_of(now, before, 1);
}

/* ---- Between two readings --------------------------------------------------------------------------------- */

/* The server's clock says when it counted; ours includes the way of the answer. Only when the two disagree widely the
 * server's was set meanwhile. */
static double seconds_between(const struct sample *now, const struct sample *before)
{
    double ours = (double)(now->taken_ns - before->taken_ns) / 1e9;
    double theirs = (now->value[FIGURE_SERVER_TIME] - before->value[FIGURE_SERVER_TIME]) / 1e6;
    if (theirs > ours / CLOCK_RATIO_MAX && theirs < ours * CLOCK_RATIO_MAX)
        return theirs;
    return ours > 0 ? ours : NAN;
}

static bool was_restarted(const struct sample *now, const struct sample *before)
{
    struct slice new_id = now->text[TEXT_RUN_ID], old_id = before->text[TEXT_RUN_ID];
    if (new_id.size > 0 && old_id.size > 0 && !slice_equal(new_id, old_id))
        return true;
    return now->value[FIGURE_UPTIME] < before->value[FIGURE_UPTIME];
}

/* The row of `before` with that name; both arrays are in order, and *at only goes forward. */
static const struct command_row *matching_command(const struct sample *before, size_t *at, struct slice name)
{
    for (; *at < before->command_count; (*at)++) {
        int order = slice_compare(before->commands[*at].name, name);
        if (order == 0)
            return &before->commands[*at];
        if (order > 0)
            return NULL;
    }
    return NULL;
}

/* A command that was called before and is not listed any more was reset, too. */
static bool commands_went_down(const struct sample *now, const struct sample *before)
{
    size_t at = 0, found = 0;
    for (size_t i = 0; i < now->command_count; i++) {
        const struct command_row *old = matching_command(before, &at, now->commands[i].name);
        if (old == NULL)
            continue;
        found++;
        if (now->commands[i].calls < old->calls)
            return true;
    }
    return found < before->command_count;
}

static bool was_reset(const struct sample *now, const struct sample *before)
{
    for (unsigned i = 0; i < FIGURE_COUNT; i++) {
        if (figure_rows[i].kind == FIGURE_COUNTER && now->value[i] < before->value[i])
            return true;
    }
    return commands_went_down(now, before);
}

/* ---- Rates ------------------------------------------------------------------------------------------------ */

static void rate_figures(struct model *model)
{
    for (unsigned i = 0; i < FIGURE_COUNT; i++) {
        enum figure_kind kind = figure_rows[i].kind;
        bool known = model->before != NULL && kind != FIGURE_GAUGE && !model->restarted &&
                     !(kind == FIGURE_COUNTER && model->reset);
        model->rate[i] = known ? rate_of(model->now->value[i], model->before->value[i], model->seconds) : NAN;
    }
}

/* Calls that took at most `limit_us`. */
static double calls_within(const struct sample *sample, const struct command_row *row, double limit_us)
{
    double calls = 0;
    for (size_t i = 0; i < row->bucket_count; i++) {
        const struct latency_bucket *bucket = &sample->buckets[row->bucket_start + i];
        if (bucket->limit_us <= limit_us)
            calls = bucket->calls;
    }
    return calls;
}

/* The time within which `part` of the calls between two readings stayed. Buckets double in size; within one, calls are
 * taken as evenly spread. */
static double latency_between(const struct sample *now, const struct command_row *row,
                              const struct sample *before, const struct command_row *old, double part)
{
    if (!now->has_latencies || !before->has_latencies || row->bucket_count == 0)
        return NAN;
    const struct latency_bucket *buckets = &now->buckets[row->bucket_start];
    double last_limit_us = buckets[row->bucket_count - 1].limit_us;
    double all = buckets[row->bucket_count - 1].calls - calls_within(before, old, last_limit_us);
    double below = 0;
    for (size_t i = 0; all > 0 && i < row->bucket_count; i++) {
        double calls = buckets[i].calls - calls_within(before, old, buckets[i].limit_us);
        if (calls >= all * part && calls > below)
            return buckets[i].limit_us / 2 * (1 + (all * part - below) / (calls - below));
        below = calls;
    }
    return NAN;
}

static void rate_commands(struct model *model)
{
    static const struct command_row none = {0}; /* not called before */
    struct sample *now = model->now;
    size_t at = 0;
    double all_usec = 0;
    for (size_t i = 0; i < now->command_count; i++) {
        struct command_row *row = &now->commands[i];
        const struct command_row *old = matching_command(model->before, &at, row->name);
        if (old == NULL)
            old = &none;
        double calls = difference(row->calls, old->calls);
        double usec = difference(row->usec, old->usec);
        row->calls_rate = calls / model->seconds;
        row->rejected_rate = rate_of(row->rejected, old->rejected, model->seconds);
        row->failed_rate = rate_of(row->failed, old->failed, model->seconds);
        row->usec_per_call = calls > 0 ? usec / calls : NAN;
        row->p99_now = latency_between(now, row, model->before, old, 0.99);
        row->share = usec; /* until the sum is known */
        if (!isnan(usec))
            all_usec += usec;
    }
    for (size_t i = 0; i < now->command_count; i++)
        now->commands[i].share = all_usec > 0 ? now->commands[i].share / all_usec : NAN;
}

static void rate_errors(struct model *model)
{
    struct sample *now = model->now;
    const struct sample *before = model->before;
    size_t at = 0;
    for (size_t i = 0; i < now->error_count; i++) {
        struct error_row *row = &now->errors[i];
        while (at < before->error_count && slice_compare(before->errors[at].code, row->code) < 0)
            at++;
        bool same = at < before->error_count && slice_equal(before->errors[at].code, row->code);
        row->count_rate = rate_of(row->count, same ? before->errors[at].count : 0, model->seconds);
    }
}

static void rate_dbs(struct model *model)
{
    struct sample *now = model->now;
    const struct sample *before = model->before;
    for (size_t i = 0, at = 0; i < now->db_count; i++) {
        while (at < before->db_count && before->dbs[at].number < now->dbs[i].number)
            at++;
        bool same = at < before->db_count && before->dbs[at].number == now->dbs[i].number;
        now->dbs[i].keys_rate = (now->dbs[i].keys - (same ? before->dbs[at].keys : 0)) / model->seconds;
    }
}

static void rate_threads(struct model *model)
{
    struct sample *now = model->now;
    const struct sample *before = model->before;
    for (size_t i = 0, at = 0; i < now->thread_count; i++) {
        struct thread_row *row = &now->threads[i];
        while (at < before->thread_count && before->threads[at].number < row->number)
            at++;
        if (at == before->thread_count || before->threads[at].number != row->number)
            continue;
        const struct thread_row *old = &before->threads[at];
        row->requests_rate = rate_of(row->requests, old->requests, model->seconds);
        row->in_rate = rate_of(row->bytes_in, old->bytes_in, model->seconds);
        row->out_rate = rate_of(row->bytes_out, old->bytes_out, model->seconds);
        row->busy_share = rate_of(row->busy_us, old->busy_us, model->seconds) / 1e6;
    }
}

static void rate_clients(struct model *model)
{
    struct sample *now = model->now;
    const struct sample *before = model->before;
    for (size_t i = 0, at = 0; i < now->client_count; i++) {
        struct client_row *row = &now->clients[i];
        while (at < before->client_count && before->clients[at].id < row->id)
            at++;
        if (at < before->client_count && before->clients[at].id == row->id)
            row->commands_rate = rate_of(row->commands, before->clients[at].commands, model->seconds);
    }
}

static void remember(struct model *model)
{
    model->history[model->history_next] = model_requests_rate(model);
    model->history_next = (model->history_next + 1) % MODEL_HISTORY_MAX;
    if (model->history_count < MODEL_HISTORY_MAX)
        model->history_count++;
}

void model_take(struct model *model, struct sample *sample)
{
    sample_free(model->before);
    model->before = model->now;
    model->now = sample;
    model->seconds = NAN;
    model->restarted = model->reset = false;
    if (model->before != NULL) {
        model->seconds = seconds_between(sample, model->before);
        model->restarted = was_restarted(sample, model->before);
        model->reset = !model->restarted && was_reset(sample, model->before);
    }
    rate_figures(model);
    if (model->before != NULL && !model->restarted) {
        rate_dbs(model);
        rate_threads(model);
        rate_clients(model);
        if (!model->reset) {
            rate_commands(model);
            rate_errors(model);
        }
    }
    remember(model);
}

/* ---- Figures ---------------------------------------------------------------------------------------------- */

double model_value(const struct model *model, enum figure figure)
{
    return model->now != NULL ? model->now->value[figure] : NAN;
}

double model_rate(const struct model *model, enum figure figure)
{
    return model->rate[figure];
}

double model_requests_rate(const struct model *model)
{
    double rate = model->rate[FIGURE_COMMANDS];
    return isnan(rate) && model->before == NULL ? model_value(model, FIGURE_OPS_INSTANT) : rate;
}

static double part_of(double part, double rest)
{
    return part + rest > 0 ? part / (part + rest) : NAN;
}

double model_hit_rate(const struct model *model)
{
    return part_of(model->rate[FIGURE_HITS], model->rate[FIGURE_MISSES]);
}

double model_hit_rate_total(const struct model *model)
{
    return part_of(model_value(model, FIGURE_HITS), model_value(model, FIGURE_MISSES));
}

double model_cpu(const struct model *model)
{
    return model->rate[FIGURE_CPU_SYS] + model->rate[FIGURE_CPU_USER];
}

double model_cpu_main(const struct model *model)
{
    return model->rate[FIGURE_CPU_MAIN_SYS] + model->rate[FIGURE_CPU_MAIN_USER];
}

double model_history(const struct model *model, size_t age)
{
    if (age >= model->history_count)
        return NAN;
    return model->history[(model->history_next + MODEL_HISTORY_MAX - 1 - age) % MODEL_HISTORY_MAX];
}
