/* What a new replica gets first: a snapshot of everything, as it was at one position of the log.
 *
 * Principal entry points: full_sync_step, full_sync_forget.
 * One at a time, for all who wait when it begins; who comes later waits for the next. It goes to them while it is made
 * (`$EOF:` and a mark that ends it), or from a file once its length is known: when the option says so, or one of them knows no mark.
 *
 *                    +--streaming------------------------------------+
 *   (begin) --cut----+                                               +--> ended
 *                    +--filing--all written--> reading---------------+
 *
 * | from      | to        | by                                                                      |
 * |-----------|-----------|-------------------------------------------------------------------------|
 * | -         | streaming | begin: everybody who waits understands the mark                          |
 * | -         | filing    | begin, otherwise                                                        |
 * | streaming | ended     | finish_if_over: all blocks have been handed over, and the mark           |
 * | filing    | reading   | finish_if_over: the file is complete; the length is told                 |
 * | reading   | ended     | part_read: the last part has been handed over                           |
 * | any       | ended     | an error: they are dropped; or nobody is left that it is for             |
 *
 * S1  Blocks come from a worker as posts, in order; all have come when delivered == taken and the snapshot has ended.
 * S2  While a follower has more than FEED_OUTSTANDING_MAX outstanding the walk pauses, or no part is read: it slows its own
 *     snapshot, and those that share it, never clients. One that takes nothing at all goes after repl-timeout.
 * S3  The file has no name any more once it is open: nothing is left behind.
 *
 * Threads: executor; the sink's `take` and the reading of parts on a worker. */
#ifndef SKUA_REPL_FULL_SYNC_H
#define SKUA_REPL_FULL_SYNC_H

#include <stdbool.h>

struct follower;
struct primary;

/* Begins one when somebody waits and it is time (repl-diskless-sync-delay), and has the one under way go on. Between two units. */
void full_sync_step(struct primary *primary);

/* The follower is going: what it was to get is for the others. */
void full_sync_forget(struct follower *follower);

/* Whether the follower has not been sent anything of it yet. */
bool full_sync_keeps_waiting(const struct follower *follower);

#endif
