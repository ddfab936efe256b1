/* Direct reads: requests that an I/O thread answers itself. See direct.c. */
#ifndef SKUA_IO_DIRECT_H
#define SKUA_IO_DIRECT_H

#include "exec/direct_outcome.h"
#include "io/conn.h"

/* Answers the first requests of a run that is about to be submitted, as far as it can, and takes them out of it. The run
 * has requests of commands with direct forms, and the io counters for them. Owner thread. */
void conn_read_direct(struct conn *conn, struct run *run);

/* Whether a read of the connection that follows requests at the executor is to wait for their answers, to be direct then. Owner
 * thread. */
bool conn_must_wait_for_direct(const struct conn *conn);

/* For foresee.c: accounts for requests that have been answered; counts the run's reads that were neither answered nor foreseen, the
 * first of them for this reason. */
void direct_note_commands(struct io *io, struct direct_counters *direct, const struct request *requests,
                          unsigned count, uint64_t each_ns);
void direct_count_left(struct conn *conn, const struct run *run, enum direct_outcome why);

#endif
