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
 * H1  Nothing depends on it: what is looked at is looked at inside a read section (decision 009). Where readers are not admitted,
 *     the executor finds the lines where they are.
 * H2  Of a plain SET (exec/plain.h) the entry is found here, and its address and size noted in the request, so that the executor can
 *     put another in its place without looking at it, which it does only if it is still the same (decision 010, V1 to V4).
 * H3  What has been foreseen (io/foresee.c) is not looked at again. */
#include "base/macros.h"
#include "exec/build.h"
#include "exec/exec.h"
#include "io/conn.h"
#include "io/internal.h"
#include "keyspace/shared.h"

/* Keys in one section, which is to be short; their misses overlap. */
#define FETCH_KEYS 64

/* With fewer, this thread would wait for each bucket as long as the executor does: only to spare that one the entries (H2). */
#define FETCH_KEYS_MIN 4

struct fetch {
    unsigned count;
    bool is_plain; /* some of them */
    struct fetch_key {
        struct run *run;
        struct request *request;
        uint32_t db;
    } keys[FETCH_KEYS];
};

/* False: readers are not admitted. */
static bool fetch_keys(struct io *io, struct fetch *fetch)
{
    struct entry *entries[FETCH_KEYS];
    const struct table_bucket *children[FETCH_KEYS];
    unsigned count = fetch->count;
    bool is_plain = fetch->is_plain;
    struct shared_read read;
    fetch->count = 0;
    fetch->is_plain = false;
    if (count < FETCH_KEYS_MIN && !is_plain)
        return true;
    if (!shared_read_begin(&read, io->group->options.exec->keyspace, io->index))
        return false;
    for (unsigned i = 0; i < count; i++)
        shared_prefetch_bucket(&read, fetch->keys[i].db, fetch->keys[i].request->key_hash);
    for (unsigned i = 0; i < count; i++)
        entries[i] = (struct entry *)shared_prefetch_entry(&read, fetch->keys[i].db,
                                                           fetch->keys[i].request->key_hash, &children[i]);
    for (unsigned i = 0; i < count; i++)
        if (unlikely(children[i] != NULL))
            entries[i] =
                (struct entry *)shared_prefetch_chained(children[i], fetch->keys[i].request->key_hash);
    for (unsigned i = 0; is_plain && i < count; i++)
        if (fetch->keys[i].request->is_plain)
            build_see(&read, fetch->keys[i].db, fetch->keys[i].run, fetch->keys[i].request, entries[i]);
    (void)shared_read_end(&read); /* whether it counts or not: what was seen was there */
    return true;
}

/* Adds the first keys of the run's requests. False: readers are not admitted. */
static bool add_run(struct io *io, struct fetch *fetch, struct run *run)
{
    uint32_t word = atomic_load_explicit(&run->conn->shared.direct, memory_order_acquire);
    if (word == 0)
        return true; /* a transaction, for one: nobody knows when it will be executed */
    for (unsigned i = run->foreseen.count; i < run->count; i++) {
        struct request *request = &run->requests[i];
        if (!request->has_key)
            continue;
        fetch->keys[fetch->count++] = (struct fetch_key){run, request, word >> DIRECT_DB_SHIFT};
        fetch->is_plain |= request->is_plain;
        if (fetch->count == FETCH_KEYS && !fetch_keys(io, fetch))
            return false;
    }
    return true;
}

void io_fetch_told(struct io *io)
{
    struct fetch fetch;
    struct run *run;
    void *message;
    if (atomic_load_explicit(&io->group->options.exec->keyspace->gate, memory_order_relaxed) & GATE_CLOSED)
        return;
    fetch.count = 0;
    fetch.is_plain = false;
    for (unsigned i = 0; (message = ring_unpublished(&io->to_exec, i)) != NULL; i++)
        if ((run = io_message_run(message)) != NULL && !add_run(io, &fetch, run))
            return;
    fetch_keys(io, &fetch);
}
