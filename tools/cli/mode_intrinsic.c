/* skua-cli --intrinsic-latency: how long this machine makes a program wait that never waits by itself. A server on it
 * cannot be better than that. Entry: mode_intrinsic_latency. Threads: the main thread. */
#include <inttypes.h>
#include <stdio.h>

#include "base/rng.h"
#include "cli/mode_shared.h"
#include "cli/modes.h"

/* Between two looks at the clock: some computing, so that the clock is not all that is measured. */
static void compute(struct rng *rng)
{
    uint64_t result = rng_next(rng) ^ rng_next(rng);
    __asm__ volatile("" : : "r"(result)); /* what has no use would be left out */
}

int mode_intrinsic_latency(struct cli *cli)
{
    struct rng rng;
    uint64_t runs = 0, longest_ns = 0, told_us = 0;
    rng_seed(&rng, 1);
    cli_catch_interrupts();
    uint64_t begin = mode_now_ns(), last = begin;
    uint64_t end = mode_after_ns((double)cli->options.intrinsic_latency_s);
    while (last < end && !cli_interrupted()) {
        compute(&rng);
        uint64_t now = mode_now_ns();
        if (now - last > longest_ns) {
            longest_ns = now - last;
            uint64_t us = (longest_ns + MODE_NS_PER_US / 2) / MODE_NS_PER_US;
            if (us > told_us) {
                printf("Max latency so far: %" PRIu64 " microseconds.\n", us);
                fflush(stdout);
                told_us = us;
                now = mode_now_ns(); /* printing is not the machine's doing */
            }
        }
        last = now;
        runs++;
    }
    double average_ns = runs > 0 ? (double)(last - begin) / (double)runs : 0;
    printf("\n%" PRIu64 " total runs (avg latency: %.4f microseconds / %.2f nanoseconds per run).\n", runs,
           average_ns / MODE_NS_PER_US, average_ns);
    printf("Worst run took %.0fx longer than the average latency.\n",
           average_ns > 0 ? (double)longest_ns / average_ns : 0);
    return 0;
}
