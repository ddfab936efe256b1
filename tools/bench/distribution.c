/* Distributions of keys, sizes and arrivals. Entry and threads: see distribution.h. */
#include "bench/distribution.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/bug.h"
#include "base/num.h"
#include "base/slice.h"

/* ---- Zipf --------------------------------------------------------------------------------------------------- */

/* The density x^-theta, its integral from 1 to x, and the inverse of that. Around theta = 1 the integral is a
 * logarithm; expm1 and log1p keep the neighbourhood exact. */
static double zipf_density(const struct zipf *zipf, double x)
{
    return exp(-zipf->theta * log(x));
}

static double zipf_area(const struct zipf *zipf, double x)
{
    double exponent = 1 - zipf->theta, logarithm = log(x);
    double product = exponent * logarithm;
    return fabs(product) < 1e-12 ? logarithm : logarithm * expm1(product) / product;
}

static double zipf_area_inverse(const struct zipf *zipf, double area)
{
    double product = area * (1 - zipf->theta);
    if (product < -1)
        product = -1; /* by rounding only */
    return fabs(product) < 1e-12 ? exp(area) : exp(area * log1p(product) / product);
}

void zipf_init(struct zipf *zipf, uint64_t count, double theta)
{
    ASSERT(count > 0);
    *zipf = (struct zipf){.count = (double)count, .theta = theta};
    zipf->area_low = zipf_area(zipf, 1.5) - 1;
    zipf->area_high = zipf_area(zipf, zipf->count + 0.5);
    zipf->shortcut = 2 - zipf_area_inverse(zipf, zipf_area(zipf, 2.5) - zipf_density(zipf, 2));
}

uint64_t zipf_draw(const struct zipf *zipf, struct rng *rng)
{
    for (;;) {
        double area = zipf->area_high + random_unit(rng) * (zipf->area_low - zipf->area_high);
        double x = zipf_area_inverse(zipf, area);
        double rank = floor(x + 0.5);
        if (rank < 1)
            rank = 1;
        else if (rank > zipf->count)
            rank = zipf->count;
        if (rank - x <= zipf->shortcut || area >= zipf_area(zipf, rank + 0.5) - zipf_density(zipf, rank))
            return (uint64_t)rank;
    }
}

/* ---- Keys --------------------------------------------------------------------------------------------------- */

static bool parse_theta(const char *text, double *ret_theta, char *error)
{
    if (*text == '\0') {
        *ret_theta = KEY_THETA;
        return true;
    }
    if (*text != ':' || !num_parse_double(slice_from_string(text + 1), ret_theta) || isnan(*ret_theta) ||
        *ret_theta < KEY_THETA_MIN || *ret_theta > KEY_THETA_MAX) {
        snprintf(error, DISTRIBUTION_ERROR_MAX, "the exponent needs a number from %g to %g", KEY_THETA_MIN,
                 KEY_THETA_MAX);
        return false;
    }
    return true;
}

bool key_distribution_parse(const char *text, struct key_distribution *ret_distribution,
                            char error[static DISTRIBUTION_ERROR_MAX])
{
    size_t length = strcspn(text, ":");
    struct slice name = slice_make(text, length);
    struct key_distribution parsed = {.theta = 0};
    if (slice_equal_nocase(name, "zipf") || slice_equal_nocase(name, "latest")) {
        parsed.kind = slice_equal_nocase(name, "zipf") ? KEY_ZIPF : KEY_LATEST;
        if (!parse_theta(text + length, &parsed.theta, error))
            return false;
    } else if (slice_equal_nocase(slice_from_string(text), "uniform")) {
        parsed.kind = KEY_UNIFORM;
    } else if (slice_equal_nocase(slice_from_string(text), "sequential")) {
        parsed.kind = KEY_SEQUENTIAL;
    } else {
        snprintf(error, DISTRIBUTION_ERROR_MAX,
                 "needs uniform, zipf[:THETA], sequential or latest[:THETA], not '%.60s'", text);
        return false;
    }
    *ret_distribution = parsed;
    return true;
}

void key_chooser_init(struct key_chooser *chooser, struct key_distribution distribution, uint64_t keys,
                      unsigned index, unsigned threads)
{
    *chooser = (struct key_chooser){.distribution = distribution,
                                    .keys = keys,
                                    .next = index % keys,
                                    .stride = threads,
                                    .inserted = keys + index};
    if (distribution.kind == KEY_ZIPF || distribution.kind == KEY_LATEST)
        zipf_init(&chooser->zipf, keys, distribution.theta);
}

uint64_t key_choose(struct key_chooser *chooser, struct rng *rng)
{
    switch (chooser->distribution.kind) {
    case KEY_UNIFORM: return rng_below(rng, chooser->keys);
    case KEY_ZIPF: return zipf_draw(&chooser->zipf, rng) - 1;
    case KEY_LATEST: {
        /* The newest that this thread knows to have been sent. */
        uint64_t newest = chooser->inserted < chooser->keys + chooser->stride
                              ? chooser->keys - 1
                              : chooser->inserted - chooser->stride;
        return newest - (zipf_draw(&chooser->zipf, rng) - 1);
    }
    case KEY_SEQUENTIAL: {
        uint64_t key = chooser->next;
        chooser->next = (key + chooser->stride) % chooser->keys;
        return key;
    }
    }
    return 0;
}

uint64_t key_insert(struct key_chooser *chooser)
{
    uint64_t key = chooser->inserted;
    chooser->inserted += chooser->stride;
    return key;
}

/* ---- Sizes -------------------------------------------------------------------------------------------------- */

static bool parse_size_part(struct slice text, struct size_part *part, double *ret_weight, char *error)
{
    const char *colon = memchr(text.data, ':', text.size);
    struct slice range = slice_make(text.data, colon != NULL ? (size_t)(colon - text.data) : text.size);
    const char *dash = memchr(range.data, '-', range.size);
    struct slice low = slice_make(range.data, dash != NULL ? (size_t)(dash - range.data) : range.size);
    struct slice high = dash != NULL ? slice_make(dash + 1, range.size - low.size - 1) : low;
    *ret_weight = 1;
    bool valid = num_parse_u64(low, &part->low) && num_parse_u64(high, &part->high) &&
                 part->low <= part->high && part->high <= SIZE_MAX_BYTES;
    if (!valid) {
        snprintf(error, DISTRIBUTION_ERROR_MAX, "needs bytes or a range such as 10-200, not '%.*s'",
                 (int)(range.size < 60 ? range.size : 60), range.data);
        return false;
    }
    if (colon == NULL)
        return true;
    struct slice weight = slice_make(colon + 1, text.size - range.size - 1);
    if (!num_parse_double(weight, ret_weight) || !(*ret_weight > 0) || !isfinite(*ret_weight)) {
        snprintf(error, DISTRIBUTION_ERROR_MAX, "needs a weight above 0, not '%.*s'",
                 (int)(weight.size < 60 ? weight.size : 60), weight.data);
        return false;
    }
    return true;
}

bool size_distribution_parse(const char *text, struct size_distribution *ret_distribution,
                             char error[static DISTRIBUTION_ERROR_MAX])
{
    struct size_distribution parsed = {.part_count = 0};
    double sum = 0;
    for (const char *rest = text;; rest++) {
        size_t length = strcspn(rest, ",");
        double weight;
        if (parsed.part_count == SIZE_PARTS_MAX) {
            snprintf(error, DISTRIBUTION_ERROR_MAX, "at most %u sizes", SIZE_PARTS_MAX);
            return false;
        }
        struct size_part *part = &parsed.parts[parsed.part_count++];
        if (!parse_size_part(slice_make(rest, length), part, &weight, error))
            return false;
        sum += weight;
        part->up_to = sum;
        rest += length;
        if (*rest == '\0')
            break;
    }
    for (unsigned i = 0; i < parsed.part_count; i++)
        parsed.parts[i].up_to /= sum;
    *ret_distribution = parsed;
    return true;
}

uint64_t size_choose(const struct size_distribution *distribution, double part, uint64_t within)
{
    unsigned index = 0;
    while (index + 1 < distribution->part_count && part >= distribution->parts[index].up_to)
        index++;
    const struct size_part *chosen = &distribution->parts[index];
    return chosen->low + within % (chosen->high - chosen->low + 1);
}

uint64_t size_largest(const struct size_distribution *distribution)
{
    uint64_t largest = 0;
    for (unsigned i = 0; i < distribution->part_count; i++)
        if (distribution->parts[i].high > largest)
            largest = distribution->parts[i].high;
    return largest;
}

/* ---- Arrivals ----------------------------------------------------------------------------------------------- */

static double next_gap_ns(const struct arrivals *arrivals, struct rng *rng)
{
    return arrivals->poisson ? -log1p(-random_unit(rng)) * arrivals->interval_ns : arrivals->interval_ns;
}

void arrivals_init(struct arrivals *arrivals, double rate, bool poisson, uint64_t begin_ns, unsigned index,
                   unsigned threads, struct rng *rng)
{
    *arrivals = (struct arrivals){.interval_ns = 1e9 / rate * threads, .poisson = poisson};
    double offset = poisson ? next_gap_ns(arrivals, rng) : 1e9 / rate * index;
    arrivals->next_ns = (double)begin_ns + offset;
}

uint64_t arrivals_next(struct arrivals *arrivals, struct rng *rng)
{
    double due = arrivals->next_ns;
    arrivals->next_ns += next_gap_ns(arrivals, rng);
    return (uint64_t)due;
}
