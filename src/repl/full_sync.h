/* What a new replica gets first: a snapshot of everything, as it was at one position of the log.
 *
 * Principal entry points: full_sync_step, full_sync_resume, full_sync_forget, full_sync_cron.
 * All who wait when it begins share it, each at its own pace (spool.h); who comes later waits until the snapshot has been made, and gets the
 * next. It goes to them while it is made (`$EOF:` and a mark that ends it), or from a file once its length is known: when the
 * option says so, or one of them knows no mark. A replica that can resume and whose link ends leaves a claim: docs/decisions/016.
 *
 *                    +--streaming-----------------------+
 *   (begin) --cut----+                                  +--nobody is left that it is for--> ended
 *                    +--filing--all written--> reading--+
 *
 * | from      | to      | by                                                                               |
 * |-----------|---------|----------------------------------------------------------------------------------|
 * | -         | streaming | begin: everybody who waits understands the mark                               |
 * | -         | filing  | begin, otherwise                                                                 |
 * | filing    | reading | step: the file is complete; the length is told                                   |
 * | any       | ended   | step: all have it, and no claim is left; an error: those who have not are dropped |
 *
 * S1  Blocks come from a worker as posts, in order; all have come when delivered == taken and the snapshot has ended.
 * S2  The walk goes on while the fastest follower wants more: it pauses when that one has more than FEED_OUTSTANDING_MAX to take, when nobody
 *     is there, or when the spool is full. One that takes nothing at all goes after repl-timeout.
 * S3  What a follower has been handed stays in the spool FULL_SYNC_WINDOW bytes back, if it can resume: until it says that it has received
 *     all, and for a claim. `cursor` holds the log at the cut as long.
 * S4  One snapshot at a time is made for those who are connected; FULL_SYNCS_MAX are there at once; one has claims only.
 *
 * Threads: executor; the sink's `take` on a worker. */
#ifndef SKUA_REPL_FULL_SYNC_H
#define SKUA_REPL_FULL_SYNC_H

#include <stdbool.h>
#include <stdint.h>

struct follower;
struct primary;

#define FULL_SYNC_WINDOW     ((uint64_t)24 << 20) /* S3: more than the buffers between two servers hold */
#define FULL_SYNC_MEMORY_MAX ((uint64_t)32 << 20) /* of one spool */
#define FULL_SYNCS_MAX       4
#define FULL_SYNC_CLAIMS_MAX 8 /* of one snapshot; the oldest goes */

/* Begins one when somebody waits and it is time (repl-diskless-sync-delay), and has those under way go on. Between two units. */
void full_sync_step(struct primary *primary);

/* Claims whose time is over. Every 100 milliseconds. */
void full_sync_cron(struct primary *primary);

/* Whether the follower goes on with the snapshot of which it has said that it has a part; it has been answered then. */
bool full_sync_resume(struct follower *follower);

/* The follower has all of the snapshot that it was sent: its place is not needed any more. */
void full_sync_received(struct follower *follower);

/* The follower is going: what it was to get is for the others, or for when it comes back. */
void full_sync_forget(struct follower *follower);

/* Nothing of them is of use any more, and no cursor of the log stays open. */
void full_sync_end_all(struct primary *primary);

/* Bytes of snapshots that lie in memory for those who have not taken them yet; of each at most FULL_SYNC_MEMORY_MAX, SPOOL_UNWRITTEN_MAX and what
 * is on its way. */
uint64_t full_sync_memory(const struct primary *primary);

/* Whether the follower has not been sent anything of it yet. */
bool full_sync_keeps_waiting(const struct follower *follower);

#endif
