/* What two readings say together: rates, shares, and the history of requests a second.
 *
 * Principal entry points: model_take, model_rate, model_ratio.
 *
 * M1  A rate is NAN unless both readings have the counter and it did not go down between them.
 * M2  When any counter went down (CONFIG RESETSTAT), no counter that this resets has a rate in that interval: one that
 *     has already overtaken its old value could not be told from one that went on.
 * M3  After a restart (another run_id, or less uptime) nothing has a rate.
 * Threads: one at a time for a model. */
#ifndef SKUA_TOP_MODEL_H
#define SKUA_TOP_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "top/sample.h"

#define MODEL_HISTORY_MAX 512 /* columns of the graph at most */

struct model {
    struct sample *now;    /* NULL before the first reading */
    struct sample *before; /* NULL before the second */
    double seconds;        /* between the two; NAN without two */
    bool restarted;        /* M3 */
    bool reset;            /* M2 */
    double rate[FIGURE_COUNT];
    double history[MODEL_HISTORY_MAX]; /* requests a second, a ring; NAN where unknown */
    size_t history_next;
    size_t history_count;
};

void model_init(struct model *model);
void model_done(struct model *model);

/* Takes the reading over and makes it `now`; the one before `before` is freed. Fills in its rows' rates. */
void model_take(struct model *model, struct sample *sample);

/* The value or rate of a figure; NAN when unknown. */
double model_value(const struct model *model, enum figure figure);
double model_rate(const struct model *model, enum figure figure);
/* The server's own last measure of requests a second where there is no rate yet. */
double model_requests_rate(const struct model *model);

/* Part of the lookups in the last interval that found their key, 0 to 1; NAN without lookups. */
double model_hit_rate(const struct model *model);
/* The same since the start or CONFIG RESETSTAT. */
double model_hit_rate_total(const struct model *model);

/* Processors' worth of time: of the process, and of its main thread (Skua: the executor). */
double model_cpu(const struct model *model);
double model_cpu_main(const struct model *model);

/* Requests a second `age` readings ago, 0 being the last; NAN when there was none. */
double model_history(const struct model *model, size_t age);

#endif
