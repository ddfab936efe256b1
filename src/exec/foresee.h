/* Foreseeing: the answers to a pipeline's plain SETs and reads, written before the executor has seen the pipeline.
 *
 * Principal entry points: foresee (the thread that has parsed: io/foresee.c), plain_execute_foreseen (exec/plain.h, where the rules
 * Q1 to Q7 are), foresee_again.
 * Threads: a reader (keyspace/shared.h), outside of its sections; the executor, where it is said.
 *
 * L1  Stamps are loaded before the keys are looked up, and the generation before the stamps.
 * L2  A read of a key that a SET before it in the run writes is answered from the block that was built for that.
 * L3  The answers are in one standard chunk: what does not fit is not foreseen. */
#ifndef SKUA_EXEC_FORESEE_H
#define SKUA_EXEC_FORESEE_H

#include "exec/direct.h"
#include "exec/request.h"

struct foresee_options {
    struct exec *exec;
    uint32_t reader;           /* number in keyspace/shared.h */
    uint32_t word;             /* conn_shared.direct, which admits reads */
    struct chunk_pool *chunks; /* the thread's */
    uint32_t *seed;            /* for access clocks */
};

/* Foresees the first of the run's candidates, as far as it can; run->spare is an empty chunk. Returns how many, 0: nothing, or no read
 * among them. *ret_refusal: why the read behind them could not be, DIRECT_ANSWERED: it was no read, or there is none. */
unsigned foresee(struct run *run, const struct foresee_options *options, enum direct_outcome *ret_refusal);

/* Executor: reads the run's foreseen read again, as it is at this moment, and puts the answer in the place of the one that was foreseen.
 * False: it is of another size, or none; nothing has changed (Q7). */
bool foresee_again(struct client *client, struct run *run, unsigned index);

/* Executor: whether the foreseen answer is what would be answered now. For assertions. */
bool foresee_is_true(struct client *client, struct run *run, unsigned index);

#endif
