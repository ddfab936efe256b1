/* Plain SETs: those of one run that follow each other are executed together.
 *
 * Principal entry points: plain_count (how many), plain_execute.
 * Most writes of most loads are SETs of a key and a value, which do nothing but put a block that a reader has built in the place of
 * another one. What the executor looks at, counts and measures for each command is the same for all of them, so here it is done once
 * for a stretch: a few requests of one run, up to the one whose way is measured (exec/blame.h). What is left for each is the bucket,
 * and the first line of the old block where the thread that parsed has not found it already; the new block stays in that one's cache.
 * Threads: executor only. Decision 010 has figures.
 *
 * The result is what dispatch_request would have made of them, request by request, because
 *
 * Y1  a request `is_plain` only if its command `overwrites` and got key and value only, and its block was built, without a time to
 *     live. So it asks for nothing but to be stored, and its answer is OK. What is not known when it is parsed follows:
 * Y2  nothing stands in the way of the client (dispatch_is_unhindered), it has no flags at all, and memory is not at its limit, nor
 *     will it be after the stretch: then dispatch would execute each of them, and answer as it is;
 * Y3  nobody hears of what changes: no log, no watched, waited-for, held or tracked key, no keyspace events, no monitor, no walk
 *     over the table, no replica that has to note what clients write. Plain SETs do not change that, so it is enough to look before the first;
 * Y4  the key holds a string in one block without any time, by what has been seen of it (decision 010, V1 to V4) or by looking: else
 *     the request is left to dispatch, and ends the stretch. What goes and what comes then has no part in the counts of timed keys, and
 *     nothing refers to anything;
 * Y5  access clocks hold times, not counts: the new block's does not depend on the old one's. The thread that built the blocks set them
 *     to run->built_clock; where it has become later since, the executor sets it;
 * Y6  every command is counted, and the time of the stretch is divided among them. A stretch that took long is told as one command that
 *     did, its last: the others of it are as short as ever. Where requests have waited for half as long as is told of, or every
 *     command is told of, there are no stretches. */
#ifndef SKUA_EXEC_PLAIN_H
#define SKUA_EXEC_PLAIN_H

#include "exec/exec.h"

/* How many of the run's next requests, at most `count_max`, may be executed together: those to the next stop that are plain, if
 * nothing is in the way (Y1 to Y3, Y5, Y6). `run` is the client's oldest pending one. */
unsigned plain_count(const struct client *client, const struct run *run, unsigned count_max);

/* Executes them, up to the first that dispatch has to (Y4). Returns how many were executed; the caller moves run->next on. */
unsigned plain_execute(struct client *client, struct run *run, unsigned count);

#endif
