/* The worker's half of a snapshot: batches become a stream of bytes in blocks.
 *
 * Principal entry points: snapshot_writer_new, snapshot_writer_batch.
 * Bytes are gathered in a buffer, put into blocks with their checksum, and full blocks handed to the sink.
 * Threads: one worker at a time; snapshot_writer_new and _free the executor, when no worker has it. */
#ifndef SKUA_PERSIST_SNAPSHOT_WRITER_H
#define SKUA_PERSIST_SNAPSHOT_WRITER_H

#include <stdatomic.h>

#include "persist/snapshot.h"
#include "persist/snapshot_batch.h"

struct snapshot_writer;

/* A database as it was at the cut. */
struct snapshot_db {
    uint32_t number;
    uint64_t keys;
    uint64_t expiring_keys;
    bool is_told; /* in the stream */
};

struct snapshot_writer_options {
    struct rdb_file_about about; /* its texts are copied */
    bool compress;
    bool checksum;
    const struct snapshot_sink *sink; /* copied */
    struct snapshot_db *dbs;          /* the caller's; only the writer touches them */
    uint32_t db_count;
    const _Atomic bool *is_cancelled; /* then the rest is not written */
};

struct snapshot_writer *snapshot_writer_new(const struct snapshot_writer_options *options);
void snapshot_writer_free(struct snapshot_writer *writer);

/* Writes the keys of a batch, and after the last one the end of the file. ST_OK, or why the stream has ended: ST_NOMEM, ST_EOF
 * (cancelled), or what the sink said; it stays so. *ret_bytes: how long the stream is now. */
enum status snapshot_writer_batch(struct snapshot_writer *writer, const struct snapshot_batch *batch,
                                  uint64_t *ret_bytes);

#endif
