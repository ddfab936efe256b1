/* What a snapshot's executor hands to its worker: keys with copies of their values, or references of what these consist of.
 *
 * Principal entry points: snapshot_batch_add, snapshot_batch_release (executor); snapshot_batch_first, snapshot_record_next (worker).
 * A batch is a row of records in one buffer: nothing else is allocated for a key.
 *
 *   record | integer 8 or rdb_source, or nothing | name | value of a short string | up to a multiple of 8
 *
 * Threads: one at a time: the executor, then a worker, then the executor again. */
#ifndef SKUA_PERSIST_SNAPSHOT_BATCH_H
#define SKUA_PERSIST_SNAPSHOT_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "exec/post.h"
#include "rdb/encode.h"
#include "rdb/file_write.h"

struct snapshot;

enum snapshot_kind {
    SNAPSHOT_INT,    /* a copy of the number */
    SNAPSHOT_TEXT,   /* a copy of the bytes */
    SNAPSHOT_SOURCE, /* a reference */
};

struct snapshot_record {
    uint64_t size; /* of all, a multiple of 8 */
    uint64_t name_size;
    int64_t expire_ms; /* ENTRY_NO_EXPIRE: none */
    uint32_t db;
    uint32_t used;       /* as `use` says */
    uint8_t use;         /* enum rdb_file_use */
    uint8_t kind;        /* enum snapshot_kind */
    uint16_t value_size; /* of SNAPSHOT_TEXT */
#ifdef SKUA_DEBUG
    uint64_t seal; /* of what SNAPSHOT_SOURCE refers to, when it was handed over */
#endif
};
_Static_assert(ENTRY_INLINE_MAX <= UINT16_MAX, "a short string's size has 16 bits");

struct snapshot_batch {
    struct exec_post post; /* the way back */
    struct snapshot *snapshot;
    struct snapshot_batch *next; /* in the queue of the worker, or among the spare ones */
    struct buf records;
    uint32_t keys;
    uint32_t sources; /* of them, with references */
    bool is_last;
    uint64_t held_bytes;  /* what it takes, and about what its references keep */
    uint64_t ahead_bytes; /* of it, of keys that were visited since they change */
    /* What the worker says: what has become of it, and how long the stream is now. */
    enum status status;
    uint64_t bytes;
};

/* Room for a batch's keys: what one step, and one key of usual size, add to it. */
#define SNAPSHOT_BATCH_BYTES ((size_t)128 << 10)

/* Adds a key. False: memory was refused. *ret_held: what it takes in the batch, and what it keeps that would be free when the
 * value is replaced, as far as that can be told at once. The executor. */
bool snapshot_batch_add(struct snapshot_batch *batch, struct keyspace *keyspace, const struct entry *entry,
                        uint32_t db, enum rdb_file_use use, uint64_t *ret_held);

/* Gives the references back and forgets the keys. The executor. */
void snapshot_batch_release(struct snapshot_batch *batch, struct keyspace *keyspace);

/* NULL: there is none. */
const struct snapshot_record *snapshot_batch_first(const struct snapshot_batch *batch);
const struct snapshot_record *snapshot_batch_next(const struct snapshot_batch *batch,
                                                  const struct snapshot_record *record);

int64_t snapshot_record_int(const struct snapshot_record *record);
const struct rdb_source *snapshot_record_source(const struct snapshot_record *record);
struct slice snapshot_record_name(const struct snapshot_record *record);
struct slice snapshot_record_text(const struct snapshot_record *record);

/* Debug builds: aborts if what the record refers to is not any more what it was. */
void snapshot_record_check(const struct snapshot_record *record);

#endif
