/* Where readings come from: a connection that is asked for one batch at a time, and is made anew when it is lost.
 *
 * Principal entry points: source_open, source_ask, source_run, source_link.
 * A reading is one pipelined batch: INFO all, and as wanted SLOWLOG GET, LATENCY HISTOGRAM and CLIENT LIST. The next is asked for only when
 * all answers have come, so a slow server never has two of ours waiting.
 *
 * | state      | what the user sees            | next                                                          |
 * |------------|-------------------------------|---------------------------------------------------------------|
 * | CONNECTING | connecting                    | READY, LOST, REFUSED                                          |
 * | READY      | readings                      | LOST: what was asked for is given up                          |
 * | LOST       | why, and the last reading     | READY: by the library, after growing delays; REFUSED          |
 * | REFUSED    | the server's words            | CONNECTING: after RETRY_S, not after a wrong password; source_retry |
 * Threads: one at a time for a source; its callback is called from within source_run. */
#ifndef SKUA_TOP_SOURCE_H
#define SKUA_TOP_SOURCE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/connect.h"
#include "top/sample.h"
#include "top/view.h"

struct source;

/* A reading, which is the callee's from now on. */
typedef void source_fn(void *context, struct sample *sample);

/* Begins to connect. NULL: `error` (OPTION_ERROR_MAX bytes) says why. The options are copied. */
struct source *source_open(const struct connect_options *options, source_fn *callback, void *context,
                           char *error);
void source_close(struct source *source);

/* Asks for a reading. False: it is not connected, or the answer to the last request has not come. */
bool source_ask(struct source *source, struct wants wants);

/* What to wait for: fills in *ret_poll (its descriptor may be -1) and answers after how many ms source_run is due
 * although nothing is ready, -1 for never. */
int64_t source_wait(const struct source *source, struct pollfd *ret_poll);
/* Does what can be done without waiting. `revents` is what poll found. */
void source_run(struct source *source, short revents);

/* Connects again now, if the server refused us. */
void source_retry(struct source *source);

/* The state for the screen; what it points at is valid until the next call. */
void source_link(const struct source *source, struct link_view *ret_link);

/* Monotonic clock of this machine. */
uint64_t source_now_ns(void);

#endif
