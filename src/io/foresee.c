/* Foreseeing: an I/O thread writes the answers to a pipeline's SETs and reads before the executor has seen the pipeline.
 *
 * Principal entry points: conn_may_foresee, conn_foresee, conn_note_foreseen.
 * Threads: the owning io only; never io 0, whose thread is the executor's.
 *
 *     run:  [ SET read read SET read ][ first that cannot be foreseen, and everything behind it ]
 *             answers in run->spare     to be executed one by one
 *
 * The executor stores what the SETs have, and lets the answers go where what was read has not changed: exec/plain.h has the rules (Q1
 * to Q7) and the reasons, exec/foresee.c does the looking. Without this, a read behind a SET is executed, or waits until that has been
 * answered, and a pipeline goes to the executor and back as often as writes and reads take turns.
 *
 * J1  A connection of which little can be foreseen, or holds, goes without for FORESEE_REST runs: what it does is likely to be the same. */
#include "io/foresee.h"

#include "base/mutant.h"
#include "config/config.h"
#include "exec/blame.h"
#include "exec/direct.h"
#include "exec/exec.h"
#include "exec/foresee.h"
#include "io/direct.h"

#define FORESEE_REST 32

bool conn_may_foresee(const struct conn *conn)
{
    const struct io *io = conn->io;
    return io->direct != NULL && conn->unforeseen == 0 &&
           atomic_load_explicit(&conn->shared.direct, memory_order_relaxed) != 0 &&
           atomic_load_explicit(&io->group->options.exec->keyspace->gate, memory_order_relaxed) == 0;
}

/* Where reads come first and nothing is before them, they are direct, and sent at once, unless SETs follow in the same run. */
static bool is_worth_it(const struct conn *conn, const struct run *run)
{
    unsigned sets = 0;
    for (unsigned i = 0; i < run->candidates; i++)
        sets += run->requests[i].is_plain;
    return sets < run->candidates && (sets > 0 || conn->outstanding > 0);
}

bool conn_foresee(struct conn *conn, struct run *run)
{
    struct io *io = conn->io;
    if (conn->unforeseen > 0)
        conn->unforeseen--;
    if (!conn_may_foresee(conn) || run->spare == NULL || !is_worth_it(conn, run))
        return false;
    const struct clock *clock = io->group->options.clock;
    struct foresee_options options = {.exec = io->group->options.exec,
                                      .reader = io->index,
                                      .word =
                                          atomic_load_explicit(&conn->shared.direct, memory_order_acquire),
                                      .chunks = io->chunks,
                                      .seed = &io->touch_seed};
    enum direct_outcome refusal;
    uint64_t begin_ticks = clock_ticks(clock);
    enum work_stage stage = work_switch_at(&io->work, WORK_DIRECT, begin_ticks);
    unsigned count = foresee(run, &options, &refusal);
    MUTANT_PAUSE(STAMP_NOT_RAISED);
    MUTANT_PAUSE(STAMP_NOT_LOOKED_AT);
    uint64_t end_ticks = clock_ticks(clock);
    work_switch_at(&io->work, stage, end_ticks);
    if (refusal != DIRECT_ANSWERED)
        conn->unforeseen = FORESEE_REST; /* J1 */
    if (count == 0)
        return false;
    run->foreseen_ns = (uint32_t)(clock_ticks_to_ns(clock, end_ticks - begin_ticks) / count);
    direct_count_left(conn, run, refusal != DIRECT_ANSWERED ? refusal : DIRECT_BEHIND);
    return true;
}

/* ---- When the run has come back -------------------------------------------------------------------- */

/* Those of the thread that has the connection now. That need not be the one that has foreseen, nor one that reads: while a run waits in
 * its middle its connection may go to the executor's thread. */
static struct direct_counters *counters_of(struct io *io)
{
    return likely(io->direct != NULL) ? io->direct : exec_direct_counters(io->group->options.exec, io->index);
}

/* The reads that have held, of one command after the other. */
static void note_commands(struct io *io, struct direct_counters *direct, const struct run *run,
                          uint32_t reads)
{
    while (reads != 0) {
        unsigned first = (unsigned)__builtin_ctz(reads);
        unsigned count = (unsigned)__builtin_ctzll(~((uint64_t)reads >> first));
        direct_note_commands(io, direct, &run->requests[first], count, run->foreseen_ns);
        reads &= ~(uint32_t)((((uint64_t)1 << count) - 1) << first);
    }
}

static void note_client(struct conn *conn, const struct run *run, unsigned count)
{
    struct conn_shared *shared = &conn->shared;
    io_count(&shared->direct_reads, count);
    atomic_store_explicit(&shared->direct_ns, conn->io->now_ns, memory_order_relaxed);
    if (conn->outstanding == 0 && run_held_read(run, run->count - 1u))
        atomic_store_explicit(&shared->direct_command, run->requests[run->count - 1].command,
                              memory_order_relaxed);
}

void conn_note_foreseen(struct conn *conn, struct run *run)
{
    struct io *io = conn->io;
    const struct foreseen *foreseen = &run->foreseen;
    struct direct_counters *direct = counters_of(io);
    const struct clock *clock = io->group->options.clock;
    unsigned all = foreseen->count - (unsigned)__builtin_popcount(foreseen->sets);
    uint32_t reads = ~foreseen->sets & (uint32_t)(((uint64_t)1 << foreseen->held) - 1);
    unsigned count = (unsigned)__builtin_popcount(reads);
    if (unlikely(count < all)) {
        io_count(&direct->outcomes[DIRECT_OUTDATED], all - count);
        if (count < all / 2)
            conn->unforeseen = FORESEE_REST; /* J1 */
    }
    if (count == 0)
        return;
    io_count(&direct->sections, 1);
    io_count(&direct->foreseen, count);
    io_count(&direct->outcomes[DIRECT_ANSWERED], count);
    io_count(&direct->hits, (unsigned)__builtin_popcount(run->foreseen_hits & reads));
    io_count(&direct->misses, (unsigned)__builtin_popcount(run->foreseen_misses & reads));
    note_commands(io, direct, run, reads);
    note_client(conn, run, count);
    if (run_held_read(run, run->followed) && run->executed_ticks != 0) {
        unsigned command = run->requests[run->followed].command->id;
        durations_note(&direct_times(&direct->commands[command])->queue,
                       blame_elapsed_ns(clock, run->arrived_ticks, run->executed_ticks), run->count);
    }
}
