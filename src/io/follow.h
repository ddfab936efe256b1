/* How many I/O threads the load needs: a decision from samples of what the threads did, and nothing else.
 *
 * Principal entry points: follow_init, follow_step. Pure: no clock, no threads, no memory of its own; io/balance.c samples
 * and carries out.
 * Threads: the owner's (the executor).
 *
 * A thread's load is its busy share of the time in which it had a processor, or wanted none. With no thread active the
 * executor's thread does everything, and its load decides; with k active ones theirs does.
 *
 * A window of FOLLOW_WINDOW_NS gives a verdict:
 *
 * | active | high: more would help                                   | low: fewer would do                                  |
 * |--------|---------------------------------------------------------|------------------------------------------------------|
 * | 0      | executor at ALONE_UP, of it ALONE_IO on connections     | never                                                |
 * | k >= 1 | the threads at UP of k, and more are allowed            | at less than DOWN of k - 1; to get to 0: executor    |
 * |        |                                                         | and threads together at less than ALONE_DOWN of one  |
 *
 * and windows move between states:
 *
 * | state    | high                            | neither | low                                    |
 * |----------|---------------------------------|---------|----------------------------------------|
 * | STEADY   | RISING                          | STEADY  | FALLING                                |
 * | RISING   | after UP_WINDOWS grow, SETTLING | STEADY  | FALLING                                |
 * | FALLING  | RISING                          | STEADY  | after `patience` shrink, SETTLING      |
 * | SETTLING | whatever it is: connections are on their way; after SETTLE_WINDOWS STEADY           |||
 *
 * Growing is quick, as clients wait: one more thread, or twice as many where the present ones have no time left. Shrinking
 * is slow, as it saves little: to as many as the busiest of the windows needed.
 *
 * G1  Less than a window is never judged: follow_step adds samples up until there is one.
 * G2  No flapping under a constant load. Let the threads' work be L processors, whatever their number. A growth to k
 *     means L > UP * (number before); a shrinkage to k means L <= DOWN * k, and as DOWN < UP there is no growth from there.
 *     So all growths come before all shrinkages, and each is at most IO_THREADS_MAX long. Between 0 and 1: all work
 *     together is T on one thread, and not less with rings in between; growth means T >= ALONE_UP, a return to 0 means that
 *     it was less than ALONE_DOWN.
 * G3  Where the work does depend on the number so much that G2 does not hold, or clients come and go in waves, each growth
 *     within REGRET_WINDOWS after a shrinkage doubles the patience for the next one, up to PATIENCE_MAX. */
#ifndef SKUA_IO_FOLLOW_H
#define SKUA_IO_FOLLOW_H

#include <stdint.h>

#define FOLLOW_WINDOW_NS 100000000ull

#define FOLLOW_UP_PERCENT         75
#define FOLLOW_FULL_PERCENT       95 /* no time left: how much more there is to do, nobody knows */
#define FOLLOW_DOWN_PERCENT       50
#define FOLLOW_ALONE_UP_PERCENT   70
#define FOLLOW_ALONE_IO_PERCENT   20 /* less is not worth a thread */
#define FOLLOW_ALONE_DOWN_PERCENT 35

#define FOLLOW_UP_WINDOWS     2
#define FOLLOW_SETTLE_WINDOWS 2
#define FOLLOW_PATIENCE_MIN   20
#define FOLLOW_PATIENCE_MAX   640
#define FOLLOW_REGRET_WINDOWS 100
/* As many windows without a change, and waves of the past are forgotten. */
#define FOLLOW_FORGET_WINDOWS 6000

enum follow_state { FOLLOW_STEADY, FOLLOW_RISING, FOLLOW_FALLING, FOLLOW_SETTLING };

/* What was done since the sample before. */
struct follow_sample {
    uint64_t passed_ns;
    uint64_t executor_busy_ns;
    uint64_t executor_io_ns;  /* of it: receiving, sending, polling, direct reads */
    uint64_t threads_busy_ns; /* all active threads together */
    uint64_t connections;     /* now: more threads than that are of no use */
};

struct follow {
    unsigned active;
    enum follow_state state;
    unsigned windows; /* in this state */
    unsigned patience;
    unsigned since_change;     /* windows */
    unsigned since_shrinkage;  /* windows */
    uint64_t peak_permille;    /* of the threads' load while FALLING; of one thread */
    struct follow_sample sums; /* of the window under way */
};

/* `active`: threads that are in use now. */
void follow_init(struct follow *follow, unsigned active);

/* Adds a sample and returns how many threads shall be active: as before, or a new number, which the caller carries out.
 * `most`: no more than that are allowed; a lower one than before takes effect at once. */
unsigned follow_step(struct follow *follow, const struct follow_sample *sample, unsigned most);

#endif
