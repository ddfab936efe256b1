/* Direct reads: an I/O thread answers what it has parsed from the keyspace, while the executor changes that. Decision 009 has
 * the rules, exec/direct.h what commands provide.
 *
 * Principal entry points: conn_read_direct, conn_must_wait_for_direct.
 * Threads: the owning io only; never io 0, whose thread is the executor's.
 *
 *     run:  [ read read read ... ][ first that cannot be answered, and everything behind it ]
 *            answered in sections  to the executor, as without direct reads
 *
 * F1  A request is answered here only if every request of the connection before it has been answered (D7).
 *     With direct-reads-wait the connection's requests are not parsed beyond a read that follows requests at the executor
 *     until those have been answered; only as long as there are any is it halted for that.
 * F2  What is answered here is answered whole: a section that does not count (D5) leaves no byte and no figure behind. */
#include "io/direct.h"

#include "base/mutant.h"
#include "config/config.h"
#include "exec/blame.h"
#include "exec/direct.h"
#include "exec/exec.h"

/* Requests in one section, whose keys are fetched ahead together: as many misses as a core can have under way, and a few. A
 * section also keeps memory from being given back, so it is to be short. */
#define SECTION_REQUESTS 16

/* Sections that are tried before the executor is asked. */
#define SECTION_TRIES 2

/* What is being done with a run. */
struct reading {
    struct conn *conn;
    const struct request *requests;
    unsigned count;      /* the first so many have direct forms */
    unsigned done;       /* the first so many have been answered */
    uint64_t unsent_max; /* bytes of `out` from which on no more are answered */
    uint32_t word;       /* conn_shared.direct */
    struct reply out;
    uint64_t begin_ticks; /* of the first section */
    uint64_t end_ticks;   /* of the last one that counted, when there is one */
};

/* ---- Ahead ---------------------------------------------------------------------------------------- */

/* Asks for what the requests will read, so that they do not wait for it one after the other. */
static void fetch_ahead(const struct shared_read *read, uint32_t db, const struct request *requests,
                        unsigned count)
{
    const struct entry *entries[SECTION_REQUESTS];
    const struct table_bucket *children[SECTION_REQUESTS];
    for (unsigned i = 0; i < count; i++)
        shared_prefetch_bucket(read, db, requests[i].key_hash);
    for (unsigned i = 0; i < count; i++)
        entries[i] = shared_prefetch_entry(read, db, requests[i].key_hash, &children[i]);
    for (unsigned i = 0; i < count; i++)
        if (unlikely(children[i] != NULL))
            entries[i] = shared_prefetch_chained(children[i], requests[i].key_hash);
    for (unsigned i = 0; i < count; i++)
        if (entries[i] != NULL)
            direct_prefetch_value(entries[i]);
}

/* ---- Sections ------------------------------------------------------------------------------------- */

static enum direct_outcome answer_one(struct direct *direct, const struct request *request)
{
    const struct command *command = request->command;
    const struct direct before = *direct;
    if (unlikely(request->argc < command->args_min || request->argc > command->args_max))
        return DIRECT_NOT_PLAIN;
    enum direct_outcome outcome = command->direct(direct, request);
    if (unlikely(outcome != DIRECT_ANSWERED)) {
        direct->hits = before.hits;
        direct->misses = before.misses;
    }
    return outcome;
}

/* Answers up to `count` requests inside a section; returns how many, and why the next one was not. */
static unsigned answer_some(struct reading *reading, struct direct *direct, unsigned count,
                            enum direct_outcome *ret_refusal)
{
    const struct request *requests = reading->requests + reading->done;
    *ret_refusal = DIRECT_ANSWERED;
    if (count > 1)
        fetch_ahead(direct->read, direct->db, requests, count);
    for (unsigned i = 0; i < count; i++) {
        *ret_refusal = answer_one(direct, &requests[i]);
        if (unlikely(*ret_refusal != DIRECT_ANSWERED))
            return i;
        if (unlikely(reply_size(&reading->out) > reading->unsent_max)) {
            *ret_refusal = DIRECT_BACKLOG;
            return i + 1;
        }
    }
    return count;
}

void direct_note_commands(struct io *io, struct direct_counters *direct, const struct request *requests,
                          unsigned count, uint64_t each_ns)
{
    const struct io_options *options = &io->group->options;
    bool tracks = atomic_load_explicit(&options->config->latency_tracking, memory_order_relaxed);
    unsigned same;
    for (unsigned i = 0; i < count; i += same) {
        const struct command *command = requests[i].command;
        struct direct_command_counters *counters = &direct->commands[command->id];
        for (same = 1; i + same < count && requests[i + same].command == command; same++)
            ;
        io_count(&counters->calls, same);
        io_count(&counters->ns, same * each_ns);
        if (likely(tracks))
            durations_note(&direct_times(counters)->execute, each_ns, same);
    }
}

/* One section over the next requests. Returns why the first that was left was left: DIRECT_ANSWERED when none was. */
static enum direct_outcome read_section(struct reading *reading)
{
    struct io *io = reading->conn->io;
    struct exec *exec = io->group->options.exec;
    unsigned left = reading->count - reading->done;
    unsigned count = left < SECTION_REQUESTS ? left : SECTION_REQUESTS;
    uint64_t begin_ticks = reading->end_ticks;
    for (unsigned try = 0; try < SECTION_TRIES; try++) {
        struct shared_read read;
        if (!shared_read_begin(&read, exec->keyspace, io->index)) {
            if (read.gate & GATE_CLOSED)
                return DIRECT_CLOSED;
            continue;
        }
        if (unlikely(atomic_load_explicit(&reading->conn->shared.direct, memory_order_acquire) !=
                     reading->word)) {
            shared_read_end(&read);
            return DIRECT_MODE; /* its rights have changed meanwhile: D12 */
        }
        struct direct direct = {.read = &read,
                                .db = reading->word >> DIRECT_DB_SHIFT,
                                .out = &reading->out,
                                .clock = exec->clock,
                                .seed = &io->touch_seed};
        struct reply_mark before = reply_mark(&reading->out);
        enum direct_outcome refusal;
        unsigned answered = answer_some(reading, &direct, count, &refusal);
        if (unlikely(!shared_read_end(&read))) {
            reply_rollback(&reading->out, before);
            io_count(&io->direct->repeats, 1);
            continue;
        }
        if (answered > 0) {
            reading->end_ticks = clock_ticks(exec->clock);
            uint64_t ns = clock_ticks_to_ns(exec->clock, reading->end_ticks - begin_ticks);
            direct_note_commands(io, io->direct, reading->requests + reading->done, answered, ns / answered);
            io_count(&io->direct->sections, 1);
            io_count(&io->direct->hits, direct.hits);
            io_count(&io->direct->misses, direct.misses);
        }
        reading->done += answered;
        return refusal;
    }
    return DIRECT_STEPS;
}

/* ---- Runs ----------------------------------------------------------------------------------------- */

/* Why none of the connection's reads can be answered now; DIRECT_ANSWERED when they can. */
static enum direct_outcome obstacle(const struct conn *conn, uint32_t word, uint64_t unsent_max)
{
    if (word == 0)
        return DIRECT_MODE;
    if (conn->outstanding > 0 && !MUTANT(READS_OVERTAKE))
        return DIRECT_BEHIND;
    return conn->output.bytes > unsent_max ? DIRECT_BACKLOG : DIRECT_ANSWERED;
}

/* Counts what became of `count` requests of which none was answered, `why` the first was not. */
static void count_refused(struct io *io, unsigned count, enum direct_outcome why)
{
    bool concerns_all =
        why == DIRECT_CLOSED || why == DIRECT_MODE || why == DIRECT_BEHIND || why == DIRECT_BACKLOG;
    unsigned because = concerns_all || count == 0 ? count : 1;
    io_count(&io->direct->outcomes[why], because);
    io_count(&io->direct->outcomes[DIRECT_BEHIND], count - because);
}

/* One of the requests that were answered stands for all in what is measured of waiting and replying (exec/blame.h). */
static void follow_one(struct reading *reading, uint64_t arrived_ticks)
{
    struct conn *conn = reading->conn;
    struct io *io = conn->io;
    const struct io_options *options = &io->group->options;
    if (!atomic_load_explicit(&options->config->latency_tracking, memory_order_relaxed))
        return;
    io->follow_seed = io->follow_seed * 1664525 + 1013904223;
    unsigned followed = (io->follow_seed >> 16) * reading->done >> 16;
    unsigned command = reading->requests[followed].command->id;
    durations_note(&direct_times(&io->direct->commands[command])->queue,
                   blame_elapsed_ns(options->clock, arrived_ticks, reading->begin_ticks), reading->done);
    conn_watch_direct(conn, command, reading->end_ticks, reading->done);
}

/* From this load of the executor on, waiting for its answers costs less than the reads that it is spared. */
#define WAIT_LOAD_PERCENT 50

bool conn_must_wait_for_direct(const struct conn *conn)
{
    const struct io_group *group = conn->io->group;
    if (!conn->io->direct || atomic_load_explicit(&conn->shared.direct, memory_order_relaxed) == 0 ||
        atomic_load_explicit(&group->options.exec->keyspace->gate, memory_order_relaxed) & GATE_CLOSED)
        return false;
    switch (atomic_load_explicit(&group->options.config->direct_reads_wait, memory_order_relaxed)) {
    case CONFIG_DIRECT_READS_WAIT_YES: return true;
    case CONFIG_DIRECT_READS_WAIT_NO: return false;
    default: break;
    }
    return atomic_load_explicit(&group->executor_load_percent, memory_order_relaxed) > WAIT_LOAD_PERCENT;
}

/* Takes the answered requests out of the run, and sends the answers. */
static void finish(struct reading *reading, struct run *run)
{
    struct conn *conn = reading->conn;
    struct io *io = conn->io;
    struct chunk_list bytes = {0};
    io_count(&io->counters.requests, reading->done);
    io_count(&io->direct->outcomes[DIRECT_ANSWERED], reading->done);
    io_count(&conn->shared.direct_reads, reading->done);
    atomic_store_explicit(&conn->shared.direct_ns, io->now_ns, memory_order_relaxed);
    atomic_store_explicit(&conn->shared.direct_command, run->requests[reading->done - 1].command,
                          memory_order_relaxed);
    reply_take(&reading->out, &bytes);
    atomic_fetch_add_explicit(&conn->shared.output_bytes, bytes.bytes, memory_order_relaxed);
    conn_queue_output(conn, &bytes);
    follow_one(reading, run->arrived_ticks);
    run->count = (uint16_t)(run->count - reading->done);
    run->direct_count = (uint16_t)(run->direct_count - reading->done);
    memmove(run->requests, run->requests + reading->done, run->count * sizeof *run->requests);
}

void direct_count_left(struct conn *conn, const struct run *run, enum direct_outcome why)
{
    unsigned count = run->direct_count;
    for (unsigned i = 0; i < run->foreseen.count; i++)
        count -= !(run->foreseen.sets >> i & 1);
    if (count > 0)
        count_refused(conn->io, count, why);
}

void conn_read_direct(struct conn *conn, struct run *run)
{
    uint32_t word = atomic_load_explicit(&conn->shared.direct, memory_order_acquire);
    uint64_t unsent_max = atomic_load_explicit(&conn->io->group->direct_unsent_max, memory_order_relaxed);
    struct reading reading = {.conn = conn, .requests = run->requests, .word = word};
    enum direct_outcome refusal = obstacle(conn, word, unsent_max);
    if (refusal == DIRECT_ANSWERED) {
        while (reading.count < run->count && run->requests[reading.count].command &&
               run->requests[reading.count].command->direct)
            reading.count++;
        reading.unsent_max = unsent_max - conn->output.bytes;
        reading.begin_ticks = reading.end_ticks = clock_ticks(conn->io->group->options.clock);
        enum work_stage stage = work_switch_at(&conn->io->work, WORK_DIRECT, reading.begin_ticks);
        reply_init(&reading.out, conn->io->chunks, word & DIRECT_RESP3 ? 3 : 2);
        while (refusal == DIRECT_ANSWERED && reading.done < reading.count)
            refusal = read_section(&reading);
        work_switch_at(&conn->io->work, stage, reading.end_ticks);
    }
    if (reading.done > 0)
        finish(&reading, run);
    if (run->direct_count > 0)
        count_refused(conn->io, run->direct_count, refusal != DIRECT_ANSWERED ? refusal : DIRECT_BEHIND);
}
