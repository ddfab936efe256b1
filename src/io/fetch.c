/* What the executor will look up, asked for by the thread that has parsed the requests.
 *
 * Principal entry points: io_fetch_told.
 * Threads: the owning io only; never io 0, whose requests are fetched by the executor's own stages (exec/exec.c).
 *
 * A request reads its key's bucket and then the entry, which of a large keyspace are in no cache, nor are the addresses of their
 * pages. The executor asks for both ahead, but the processor has only so many such requests under way, and each counts against the
 * one thread that every change goes through. Asked for here, before the runs are published, they wait in the cache that the cores
 * share, and the executor's stages are done with them in a few nanoseconds.
 *
 * H1  Nothing depends on it: what is looked at is looked at inside a read section (decision 009), and thrown away. Where readers
 *     are not admitted, the executor finds the lines where they are. */
#include "base/macros.h"
#include "exec/exec.h"
#include "io/conn.h"
#include "io/internal.h"
#include "keyspace/shared.h"

/* Keys in one section, which is to be short; their misses overlap. */
#define FETCH_KEYS 64

/* With fewer, this thread would wait for each bucket as long as the executor does. */
#define FETCH_KEYS_MIN 4

struct fetch {
    unsigned count;
    uint32_t dbs[FETCH_KEYS];
    uint64_t hashes[FETCH_KEYS];
};

/* False: readers are not admitted. */
static bool fetch_keys(struct io *io, struct fetch *fetch)
{
    unsigned count = fetch->count;
    struct shared_read read;
    fetch->count = 0;
    if (count < FETCH_KEYS_MIN)
        return true;
    if (!shared_read_begin(&read, io->group->options.exec->keyspace, io->index))
        return false;
    for (unsigned i = 0; i < count; i++)
        shared_prefetch_bucket(&read, fetch->dbs[i], fetch->hashes[i]);
    for (unsigned i = 0; i < count; i++) {
        const struct entry *entry = shared_likely_entry(&read, fetch->dbs[i], fetch->hashes[i]);
        if (entry)
            prefetch(entry);
    }
    (void)shared_read_end(&read);
    return true;
}

/* Adds the first keys of the run's requests. False: readers are not admitted. */
static bool add_run(struct io *io, struct fetch *fetch, const struct run *run)
{
    uint32_t word = atomic_load_explicit(&run->conn->shared.direct, memory_order_acquire);
    if (word == 0)
        return true; /* a transaction, for one: nobody knows when it will be executed */
    for (unsigned i = 0; i < run->count; i++) {
        if (!run->requests[i].has_key)
            continue;
        fetch->dbs[fetch->count] = word >> DIRECT_DB_SHIFT;
        fetch->hashes[fetch->count++] = run->requests[i].key_hash;
        if (fetch->count == FETCH_KEYS && !fetch_keys(io, fetch))
            return false;
    }
    return true;
}

void io_fetch_told(struct io *io)
{
    struct fetch fetch;
    const struct run *run;
    void *message;
    if (atomic_load_explicit(&io->group->options.exec->keyspace->gate, memory_order_relaxed) &
        ~(uint32_t)GATE_KEY_MISS)
        return;
    fetch.count = 0;
    for (unsigned i = 0; (message = ring_unpublished(&io->to_exec, i)) != NULL; i++)
        if ((run = io_message_run(message)) != NULL && !add_run(io, &fetch, run))
            return;
    fetch_keys(io, &fetch);
}
