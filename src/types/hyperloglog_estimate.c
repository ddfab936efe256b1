/* How many elements registers stand for, and the self-test of HyperLogLog values.
 *
 * Principal entry points: hyperloglog_estimate, hyperloglog_estimate_registers, hyperloglog_self_test. Threads: any.
 * The estimator is the improved raw one of O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches"
 * (2017): from the histogram of the registers, without tables or thresholds. It is computed in doubles, in the order of the
 * paper, so that the result is the same to the last bit wherever it is computed. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "types/hyperloglog.h"

/* Bits of a hash that count for a rank; registers hold up to one more. */
#define RANK_BITS (64 - HYPERLOGLOG_INDEX_BITS)
/* 1 / (2 ln 2) */
#define ALPHA_INFINITE 0.721347520444481703680

#define HISTOGRAM_SIZE 64

/* The paper's sigma: x + the sum of 2^(k-1) * x^(2^k) over k from 1 on. */
static double sigma(double x)
{
    if (x == 1.0)
        return INFINITY;
    double weight = 1.0;
    double sum = x;
    double before;
    do {
        x *= x;
        before = sum;
        sum += x * weight;
        weight += weight;
    } while (sum != before);
    return sum;
}

/* The paper's tau: a third of 1 - x - the sum of (1 - x^(2^-k))^2 * 2^-k over k from 1 on. */
static double tau(double x)
{
    if (x == 0.0 || x == 1.0)
        return 0.0;
    double weight = 1.0;
    double sum = 1.0 - x;
    double before;
    do {
        x = sqrt(x);
        before = sum;
        weight *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * weight;
    } while (sum != before);
    return sum / 3.0;
}

static int64_t estimate_histogram(const uint32_t *histogram)
{
    const double registers = HYPERLOGLOG_REGISTERS;
    double sum = registers * tau((registers - histogram[RANK_BITS + 1]) / registers);
    for (int rank = RANK_BITS; rank >= 1; rank--) {
        sum += histogram[rank];
        sum *= 0.5;
    }
    sum += registers * sigma(histogram[0] / registers);
    return sum > 0.0 ? llround(ALPHA_INFINITE * registers * registers / sum) : INT64_MIN;
}

int64_t hyperloglog_estimate_registers(const uint8_t *registers)
{
    /* Four histograms: neighbours with the same value would wait for each other. */
    uint32_t lanes[4][HISTOGRAM_SIZE] = {0};
    for (uint32_t i = 0; i < HYPERLOGLOG_REGISTERS; i += 4) {
        for (unsigned lane = 0; lane < 4; lane++)
            lanes[lane][registers[i + lane] % HISTOGRAM_SIZE]++;
    }
    for (unsigned value = 0; value < HISTOGRAM_SIZE; value++)
        lanes[0][value] += lanes[1][value] + lanes[2][value] + lanes[3][value];
    return estimate_histogram(lanes[0]);
}

bool hyperloglog_estimate(struct slice value, int64_t *ret_count)
{
    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};
    if (!hyperloglog_fold(value, registers))
        return false;
    *ret_count = hyperloglog_estimate_registers(registers);
    return true;
}

/* ---- Self-test -------------------------------------------------------------------------------------------------- */

#define TEST_ELEMENTS 20000
#define TEST_SEED     7
/* Six times the standard error of 1.04 / sqrt(16384). */
#define TEST_ERROR_MAX 0.05

static struct slice draft_slice(const struct hyperloglog_draft *draft)
{
    return slice_make(draft->bytes, draft->size);
}

/* Compares the two encodings and the number itself. */
static const char *check_counts(const struct hyperloglog_draft *sparse, const struct hyperloglog_draft *dense,
                                int added)
{
    int64_t counts[2];
    if (!hyperloglog_estimate(draft_slice(sparse), &counts[0]) ||
        !hyperloglog_estimate(draft_slice(dense), &counts[1]))
        return "a value that was just written cannot be read";
    if (counts[0] != counts[1])
        return "sparse and dense registers give different counts";
    double error = (double)counts[0] - added;
    return fabs(error) > 2 + added * TEST_ERROR_MAX ? "a count is too far from the truth" : NULL;
}

const char *hyperloglog_self_test(void)
{
    struct hyperloglog_draft sparse;
    struct hyperloglog_draft dense;
    uint8_t expected[HYPERLOGLOG_REGISTERS] = {0};
    uint8_t found[HYPERLOGLOG_REGISTERS] = {0};
    struct rng rng;
    rng_seed(&rng, TEST_SEED);
    hyperloglog_begin_empty(&sparse);
    hyperloglog_begin_empty(&dense);
    hyperloglog_expand(&dense);
    const char *fault = NULL;
    for (int added = 1; added <= TEST_ELEMENTS && fault == NULL; added++) {
        uint64_t number = rng_next(&rng);
        struct hyperloglog_place place = hyperloglog_place(slice_make((const char *)&number, sizeof(number)));
        bool raised = place.rank > expected[place.index];
        if (raised)
            expected[place.index] = place.rank;
        enum hyperloglog_change change = raised ? HYPERLOGLOG_CHANGED : HYPERLOGLOG_SAME;
        if (hyperloglog_raise(&sparse, place, HYPERLOGLOG_SPARSE_SIZE_MAX) != change ||
            hyperloglog_raise(&dense, place, 0) != change)
            return "raising a register did not tell whether it changed";
        if ((added & (added - 1)) == 0 || added == TEST_ELEMENTS)
            fault = check_counts(&sparse, &dense, added);
    }
    if (fault == NULL && !hyperloglog_fold(draft_slice(&sparse), found))
        fault = "sparse registers cannot be read";
    if (fault == NULL && memcmp(found, expected, sizeof(found)) != 0)
        fault = "registers do not hold what was written";
    return fault;
}
