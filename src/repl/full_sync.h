/* What a new replica gets first: a snapshot of everything, as it was at one position of the log.
 *
 * Principal entry points: full_sync_step, full_sync_forget.
 * One at a time; who comes later waits for the next.
 * Threads: executor. */
#ifndef SKUA_REPL_FULL_SYNC_H
#define SKUA_REPL_FULL_SYNC_H

#include <stdbool.h>

struct follower;
struct primary;

/* Begins one when somebody waits and it is time (repl-diskless-sync-delay), and has the one under way go on. */
void full_sync_step(struct primary *primary);

/* The follower is going: what it was to get is for the others. */
void full_sync_forget(struct follower *follower);

/* Whether the follower has not been sent anything of it yet. */
bool full_sync_keeps_waiting(const struct follower *follower);

#endif
