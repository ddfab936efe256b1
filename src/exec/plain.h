/* Plain SETs: those of one run that follow each other are executed together; so are reads among them that have been foreseen.
 *
 * Principal entry points: plain_count (how many), plain_execute; plain_execute_foreseen.
 * Most writes of most loads are SETs of a key and a value, which do nothing but put a block that a reader has built in the place of
 * another one. What the executor looks at, counts and measures for each command is the same for all of them, so here it is done once
 * for a stretch of one run. What is left for each is the bucket,
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
 * Y4  the key is not there, or holds a string in one block without any time, by what has been seen of it (decision 010, V1 to V4) or by
 *     looking: else the request is left to dispatch, and ends the stretch. What goes and what comes then has no part in the counts of timed keys, and
 *     nothing refers to anything;
 * Y5  access clocks hold times, not counts: the new block's does not depend on the old one's. The thread that built the blocks set them
 *     to run->built_clock; where it has become later since, the executor sets it;
 * Y6  every command is counted, and the time of the stretch is divided among them. A stretch that took long is told as one command that
 *     did, its last: the others of it are as short as ever. Where requests have waited for half as long as is told of, or every
 *     command is told of, there are no stretches.
 *
 * Reads that stand with plain SETs in a pipeline are answered by the thread that has parsed them, before any of these is executed: it
 * writes the answers to the run's first requests, OK for a SET, into run->spare (io/foresee.c). The executor goes through them in one
 * stretch, stores what the SETs have, and compares two numbers for each read. The result is what dispatch_request would have made of
 * them one by one, because
 *
 * Q1  a read is foreseen only if its command is_foreseeable: the answer follows from what its key holds; and if the key is missing, or
 *     holds a string that is all in its block, without any time. So what else could matter is the connection's (Q3).
 * Q2  its key is now what it was when it was read: the generation of all stamps is the same or the next one, and the key's stamp the same, as its
 *     thread loaded them before it looked (keyspace/stamps.h, G2). That says all, whoever has changed whatever in between: other connections,
 *     or earlier runs of this one. All stamps are compared before the stretch begins, and what changes from then on is what its own SETs
 *     store: a read behind a SET of its key was answered with what that stores, whatever the stamp.
 * Q3  the client is in no mode, has the database and the protocol that were taken for its own, and may do everything: it has no flags, and
 *     nothing is in its way (Y2). Nobody wants to see the read (the gate is open, and nobody hears of anything: Y3), or is told of it (Y6).
 *     All of this is looked at when the stretch begins, and cannot change within it.
 * Q4  nothing comes between two requests of the stretch, so each read is at its place in the order of everything; and of the first that
 *     does not hold the answer is thrown away, with all behind it: from there on dispatch executes the run.
 * Q5  the answers up to there go into the client's output as one piece, where dispatch would have put them.
 * Q6  what an I/O thread counts of its direct reads it counts of these when the run comes back, and says how many held (struct
 *     foreseen). The executor counts the SETs, and the reads that it executed after all.
 * Q7  a read whose key's stamp is another is read again, by the same function and at its place (Q4). Many keys share a stamp, so mostly it
 *     gives what it gave; an answer of the same size goes into the place of the one that was foreseen, and the read holds. Else Q4.
 *
 * Reads need not be foreseen where no stretch would come of it: plain_never closes the gate's GATE_HEARD to it. */
#ifndef SKUA_EXEC_PLAIN_H
#define SKUA_EXEC_PLAIN_H

#include "exec/exec.h"

/* How many of the run's next requests, at most `count_max`, may be executed together: those up to the first that is not plain, if
 * nothing is in the way (Y1 to Y3, Y5, Y6). `run` is the client's oldest pending one. */
unsigned plain_count(const struct client *client, const struct run *run, unsigned count_max);

/* Executes them, up to the first that dispatch has to (Y4). Returns how many were executed; the caller moves run->next on. */
unsigned plain_execute(struct client *client, struct run *run, unsigned count);

/* Q1 to Q7: answers the run's first requests, which have been foreseen, as far as what was foreseen holds. Returns how many; the caller
 * moves run->next on. `run` is the client's oldest pending one, and nothing of it has been executed. */
unsigned plain_execute_foreseen(struct client *client, struct run *run);

/* Whether there is a lasting reason why there are no stretches. */
bool plain_never(const struct exec *exec);

/* Y3 but for clients that wait for keys: whether nobody hears of it when a key of the database is looked at, or changes in place. */
bool plain_is_unheard(const struct exec *exec, const struct db *db);

#endif
