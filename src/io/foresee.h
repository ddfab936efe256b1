/* Reads behind plain SETs, answered before these are executed. See foresee.c. */
#ifndef SKUA_IO_FORESEE_H
#define SKUA_IO_FORESEE_H

#include "io/conn.h"

/* Whether what can be foreseen of the connection's next run will be. Owner thread. */
bool conn_may_foresee(const struct conn *conn);

/* Foresees the first requests of a run that is about to be submitted, if that spares the executor a read. False: nothing was done. The
 * io has counters for direct reads. Owner thread. */
bool conn_foresee(struct conn *conn, struct run *run);

/* Counts what became of a run that has come back, and of which something had been foreseen. Owner thread. */
void conn_note_foreseen(struct conn *conn, struct run *run);

#endif
