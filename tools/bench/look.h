/* Whether a thread looks for replies in shared memory before it sleeps, and for how long: what the library's own
 * blocking calls do, for a loop over many connections.
 *
 * Principal entry points: look_init, look_may, look_found, look_was_vain.
 * A look costs processor time and saves both sides system calls when a reply comes soon. It lasts as long as being woken
 * would take, and after one in vain the next 1, 2, 4 and up to 256 waits sleep at once. Where a server has had nothing to
 * do for LOOK_SILENCE_NS it sleeps, and an answer takes longer than a look.
 * Threads: a worker's own. */
#ifndef SKUA_BENCH_LOOK_H
#define SKUA_BENCH_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#define LOOK_NS         UINT64_C(50000)
#define LOOK_SILENCE_NS UINT64_C(1000000)
#define LOOK_COUNT      64u /* connections looked at between two questions for the time */

struct look {
    bool possible;
    unsigned penalty, skips; /* waits not to look in: after the next look in vain, and from now on */
};

/* Looking is possible when the machine has more processors than this process has threads, whichever they are bound to: that both
 * sides share one shows in looks in vain. */
void look_init(struct look *look, const char *url, unsigned threads);
/* Asked before each wait. */
bool look_may(struct look *look);
void look_found(struct look *look);
void look_was_vain(struct look *look);
/* Between two looks: lets the processor rest, and the other one be heard. */
void look_relax(void);

#endif
