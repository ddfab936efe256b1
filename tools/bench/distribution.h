/* Random choices: which key, how large a value, when the next request is due.
 *
 * Principal entry points: key_distribution_parse, key_chooser_init, key_choose; size_distribution_parse, size_choose;
 * arrivals_init, arrivals_next.
 * Everything here is a function of its parameters and of the generator that is passed, so a seed repeats it.
 * Threads: a parsed distribution may be read by any; a chooser and a schedule have one owner. */
#ifndef SKUA_BENCH_DISTRIBUTION_H
#define SKUA_BENCH_DISTRIBUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

#define DISTRIBUTION_ERROR_MAX 256

/* Uniform in [0, 1), 53 bits. */
static inline double random_unit(struct rng *rng)
{
    return (double)(rng_next(rng) >> 11) * 0x1p-53;
}

/* Well mixed bits of a number: the same for the same number, in every run. Multiplies by 2^64 divided by the golden
 * ratio, made odd, and folds the high bits, which have seen everything, into the low ones. */
static inline uint64_t mix_bits(uint64_t number)
{
    for (int round = 0; round < 3; round++) {
        number = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
        number ^= number >> 32;
    }
    return number;
}

/* ---- Keys ------------------------------------------------------------------------------------------------- */

enum key_kind {
    KEY_UNIFORM, /* each of 0 .. keys - 1 equally often */
    KEY_ZIPF,    /* key k with a share that is proportional to 1 / (k + 1)^theta: key 0 is the most popular */
    KEY_SEQUENTIAL, /* one after the other, and again from 0 */
    KEY_LATEST,     /* as ZIPF, but counted back from the newest key */
};

#define KEY_THETA     0.99 /* as YCSB has it */
#define KEY_THETA_MIN 0.01
#define KEY_THETA_MAX 10.0

struct key_distribution {
    enum key_kind kind;
    double theta; /* of ZIPF and LATEST */
};

/* "uniform", "zipf", "zipf:1.2", "sequential", "latest", "latest:0.8". False: `error` says why. */
bool key_distribution_parse(const char *text, struct key_distribution *ret_distribution,
                            char error[static DISTRIBUTION_ERROR_MAX]);

/* Draws ranks 1 .. count with shares proportional to 1 / rank^theta, exactly, in constant time and memory: by
 * rejection-inversion (Hoermann and Derflinger, "Rejection-inversion to generate variates from monotone discrete
 * distributions", 1996). */
struct zipf {
    double count;
    double theta;
    double area_low, area_high; /* the integral's range from which is drawn */
    double shortcut;            /* closer than this to the rounded value: accepted without looking */
};

void zipf_init(struct zipf *zipf, uint64_t count, double theta);
uint64_t zipf_draw(const struct zipf *zipf, struct rng *rng);

struct key_chooser {
    struct key_distribution distribution;
    struct zipf zipf;
    uint64_t keys;     /* in the beginning */
    uint64_t next;     /* of SEQUENTIAL */
    uint64_t stride;   /* each thread takes every so many-th number */
    uint64_t inserted; /* number of the next new key, at least `keys` */
};

/* `keys` > 0. Thread `index` of `threads` (both from 0) takes its own share of sequences and new keys, so that all
 * together leave none out and give none twice. */
void key_chooser_init(struct key_chooser *chooser, struct key_distribution distribution, uint64_t keys,
                      unsigned index, unsigned threads);
uint64_t key_choose(struct key_chooser *chooser, struct rng *rng);
/* The number of a key that nobody has had before. */
uint64_t key_insert(struct key_chooser *chooser);

/* ---- Sizes ------------------------------------------------------------------------------------------------ */

#define SIZE_PARTS_MAX 16u
#define SIZE_MAX_BYTES ((uint64_t)512 << 20) /* what servers take as one string */

struct size_part {
    uint64_t low, high; /* both included */
    double up_to;       /* share of this part and those before it */
};

struct size_distribution {
    struct size_part parts[SIZE_PARTS_MAX];
    unsigned part_count;
};

/* A list of sizes or ranges with weights: "100", "10-200", "64:80,4096:20", "1-9:1,100". A weight is 1 when it is not
 * given. False: `error` says why. */
bool size_distribution_parse(const char *text, struct size_distribution *ret_distribution,
                             char error[static DISTRIBUTION_ERROR_MAX]);
/* Bytes, from two random numbers: `part` uniform in [0, 1) and `within` any 64 bits. */
uint64_t size_choose(const struct size_distribution *distribution, double part, uint64_t within);
static inline bool size_is_fixed(const struct size_distribution *distribution)
{
    return distribution->part_count == 1 && distribution->parts[0].low == distribution->parts[0].high;
}
uint64_t size_largest(const struct size_distribution *distribution);

/* ---- Arrivals --------------------------------------------------------------------------------------------- */

/* When requests are due, whatever the server does. */
struct arrivals {
    double interval_ns; /* between two, on the average */
    bool poisson;
    double next_ns; /* from the same origin as `begin_ns` */
};

/* `rate` > 0 requests a second, of which thread `index` of `threads` sends its share, evenly spaced with the others'. */
void arrivals_init(struct arrivals *arrivals, double rate, bool poisson, uint64_t begin_ns, unsigned index,
                   unsigned threads, struct rng *rng);
/* Answers when the next one is due and goes on to the one after it. */
uint64_t arrivals_next(struct arrivals *arrivals, struct rng *rng);
/* How many are due at `now_ns`; with random arrivals what is to be expected. */
static inline uint64_t arrivals_backlog(const struct arrivals *arrivals, uint64_t now_ns)
{
    double late = (double)now_ns - arrivals->next_ns;
    return late < 0 ? 0 : (uint64_t)(late / arrivals->interval_ns) + 1;
}

#endif
