/* What an io keeps for the next requests: runs with the chunks for their replies, and chunks.
 *
 * Principal entry points: io_run_get, io_run_put, io_rest, io_drop_spare.
 * Threads: the owner of the io, unless said.
 *
 * It counts as used memory, so it must not outlive the load that needed it: every IO_REST_NS half of what none has needed since, but no
 * more than takes some microseconds, is given back. Threads without connections wake up that often, too.
 *
 * P1  spare_bytes is what io_rest or io_drop_spare has seen last; nobody but INFO reads it. */
#include "base/alloc.h"
#include "base/role.h"
#include "exec/exec.h"
#include "io/internal.h"

_Static_assert(offsetof(struct run, link) == 0, "base/stock.h, S2");

/* ---- Runs ----------------------------------------------------------------------------------------- */

static void run_free(struct io *io, struct run *run)
{
    if (run->spare)
        chunk_put(io->chunks, run->spare);
    mem_free(run);
}

struct run *io_run_get(struct io *io)
{
    struct run *run = stock_take(&io->runs);
    if (unlikely(!run)) {
        run = mem_alloc(sizeof *run);
        run->spare = NULL;
    }
    run->link = NULL;
    run->count = run->next = run->direct_count = run->argument_count = 0;
    run->whole_count = run->built_count = 0;
    run->built_clock =
        atomic_load_explicit(&io->group->options.exec->keyspace->use_shared.clock_now, memory_order_relaxed);
    run->extra_arguments = NULL;
    run->client = NULL;
    run->seen_epoch = 0;
    run->candidates = 0;
    run->foreseen.count = run->foreseen.held = 0;
    run->foreseen.is_settled = false;
    run->foreseen.sets = run->foreseen.own = 0;
    run->executed_ticks = run->report = 0;
    if (io->index != 0 && !run->spare)
        run->spare = chunk_pool_get(io->chunks);
    return run;
}

void io_run_put(struct io *io, struct run *run)
{
    if (--run->input->refs == 0)
        chunk_put(io->chunks, run->input);
    mem_free(run->extra_arguments);
    if (run->spare)
        run->spare->end = 0; /* what was foreseen, and never came to be executed */
    if (io->runs.count >= IO_RUNS_KEPT) {
        run_free(io, run);
        return;
    }
    stock_put(&io->runs, run);
}

/* ---- Giving back ---------------------------------------------------------------------------------- */

static void note_spare(struct io *io)
{
    uint64_t run_bytes = sizeof(struct run) + (io->index ? CHUNK_BLOCK_SIZE : 0);
    atomic_store_explicit(&io->spare_bytes, chunk_pool_bytes(io->chunks) + io->runs.count * run_bytes,
                          memory_order_relaxed);
}

static void rest_overflow(struct io_overflow *overflow)
{
    if (overflow->count == 0)
        io_overflow_done(overflow);
}

/* What the executor produces for the others: io 0 is its own. */
static void rest_answers(struct io_group *group)
{
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_relaxed);
    for (unsigned i = 1; i < count; i++)
        rest_overflow(&group->ios[i]->from_exec_overflow);
}

static void rest_all(struct io *io)
{
    for (uint32_t left = stock_surplus(&io->runs); left > 0; left--)
        run_free(io, stock_take(&io->runs)); /* its chunk goes to the pool */
    chunk_pool_rest(io->chunks);
    rest_overflow(&io->to_exec_overflow);
    if (io->index == 0)
        rest_answers(io->group);
}

void io_rest(struct io *io)
{
    if (io->now_ns >= io->next_rest_ns) {
        io->next_rest_ns = io->now_ns + IO_REST_NS;
        rest_all(io);
    }
    note_spare(io);
}

void io_drop_spare(struct io *io)
{
    for (struct run *run; (run = stock_take(&io->runs)) != NULL;)
        run_free(io, run);
    chunk_pool_done(&io->chunks_own);
    io_overflow_done(&io->to_exec_overflow);
    note_spare(io);
}

/* ---- Figures -------------------------------------------------------------------------------------- */

void io_group_memory(const struct io_group *group, struct io_memory *ret_memory)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    *ret_memory = (struct io_memory){0};
    unsigned count = atomic_load_explicit(&group->io_count, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++) {
        const struct io *io = group->ios[i];
        ret_memory->spare += atomic_load_explicit(&io->spare_bytes, memory_order_relaxed);
        if (i > 0)
            ret_memory->threads += mem_usable_size(io) + mem_usable_size(io->reply_times) +
                                   mem_usable_size(io->to_exec.slots) + mem_usable_size(io->from_exec.slots);
    }
}
