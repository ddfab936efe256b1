/* Moves a server's threads between processors, at random, so that they meet in ways in which they otherwise would not.
 *
 * Principal entry points: shake_start, shake_stop.
 * Threads: it has one of its own. */
#ifndef STRESS_SHAKE_H
#define STRESS_SHAKE_H

#include <stdint.h>

struct shake;

/* Begins to move the threads of process `pid`. */
struct shake *shake_start(int pid, uint64_t seed);

/* Ends it; each thread may run anywhere again. */
void shake_stop(struct shake *shake);

#endif
