/* The bytes of one snapshot on their way to several followers, each of which reads at its own place: the newest in memory, in the blocks
 * in which they came, what only slow ones still need in a file without a name.
 *
 * Principal entry points: spool_new, spool_append, spool_need, spool_take, spool_free.
 *
 *      start                         memory                        end
 *        v                             v                            v
 *        [   in the file   ][ being written ][ block ] [ block ] [ block ]
 *
 * P1  The bytes in [start, end) are there: those before `memory` in the file, the others in blocks, which may be in the file as well. `start`
 *     is what spool_need has said last; the file has holes where nobody needed the bytes.
 * P2  Blocks beyond `memory_max` are written, the oldest first. With memory_max 0 that is all of them.
 * P3  One job at a time is with a worker: it writes blocks, or reads a part. Readers wait in the order in which they asked.
 * P4  When the file cannot be written the blocks stay in memory, and spool_is_full says so: whoever produces has to wait.
 *
 * Threads: executor; a job: a worker. */
#ifndef SKUA_REPL_SPOOL_H
#define SKUA_REPL_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/chunk.h"
#include "base/status.h"

struct exec;
struct file_system;
struct snapshot_block;
struct spool;

/* What may wait for being written, beyond memory_max, before the producer is to pause. */
#define SPOOL_UNWRITTEN_MAX ((uint64_t)8 << 20)

struct spool_options {
    struct exec *exec;
    const struct file_system *files;
    const char *name;    /* of the file, while it is being opened; copied */
    uint64_t memory_max; /* bytes */
    /* On the executor, not from inside a call: bytes that were asked for are there, or something has been written, or failed. */
    void (*moved)(void *context);
    void *context;
};

struct spool *spool_new(const struct spool_options *options);
/* At any time; `moved` is not called any more. */
void spool_free(struct spool *spool);

/* Takes the reference over. */
void spool_append(struct spool *spool, struct snapshot_block *block);

/* Nobody needs what is before `position`, from now on. */
void spool_need(struct spool *spool, uint64_t position);

uint64_t spool_start(const struct spool *spool);
uint64_t spool_end(const struct spool *spool);
/* Bytes of blocks in memory. */
uint64_t spool_memory(const struct spool *spool);
/* More should not be appended now. */
bool spool_is_full(const struct spool *spool);
/* All that has been appended lies in the file. */
bool spool_is_written(const struct spool *spool);
/* What the file said when it failed first; ST_OK: nothing. After a failed reading nothing of it can be read. */
enum status spool_status(const struct spool *spool);
bool spool_can_read(const struct spool *spool);

/* Appends pieces with up to `bytes_max` bytes from `position` on, in [start, end], to the list, and returns how many. 0 with something
 * left: it has to be read first, `moved` will be called. */
uint64_t spool_take(struct spool *spool, uint64_t position, uint64_t bytes_max, struct chunk_list *ret_list);

#endif
