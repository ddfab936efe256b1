/* What a file in Redis's format (RDB) consists of beside its values, written behind what a buffer has.
 *
 *   rdb_file_header | { rdb_file_db, rdb_file_sizes | { rdb_file_key | value } … } … | rdb_file_end | rdb_file_checksum
 *
 * Principal entry points: rdb_file_header, rdb_file_db, rdb_file_key, rdb_file_end.
 * Values are written by rdb_write_string and rdb_encode_source. A database may be named several times, its sizes should be once,
 * when it is named first.
 * The buffer grows where it must; room for a key, whose size a client chose, is to be reserved before (rdb_file_key_size_max).
 * Threads: any; one for each buffer. */
#ifndef SKUA_RDB_FILE_WRITE_H
#define SKUA_RDB_FILE_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "rdb/format.h"

#define RDB_VERSION_REDIS_7_0 10
/* Of what is written, unless a hash has fields with a time to live: RDB_VERSION_TIMED */
#define RDB_VERSION_NEWEST 11

struct rdb_file_about {
    unsigned version; /* of the format */
    int64_t made_s;   /* seconds since 1970 */
    uint64_t memory;  /* bytes that the data takes here */
    bool is_aof_base; /* commands follow in other files */
    /* NULL: the next one means nothing. Else of the history that the data is a state of, */
    const char *repl_id;
    uint64_t repl_offset; /* and at which position; */
    uint32_t repl_db;     /* what follows there is meant for this database */
};

void rdb_file_header(struct buf *out, const struct rdb_file_about *about);
void rdb_file_db(struct buf *out, uint32_t db);
void rdb_file_sizes(struct buf *out, uint64_t keys, uint64_t expiring_keys);

enum rdb_file_use {
    RDB_FILE_USE_NONE,
    RDB_FILE_USE_IDLE,      /* seconds */
    RDB_FILE_USE_FREQUENCY, /* 0 to 255 */
};

/* All of a key but its value. */
struct rdb_file_entry {
    struct slice name;
    enum rdb_type type;
    int64_t expire_ms;     /* ENTRY_NO_EXPIRE: it lives for ever */
    enum rdb_file_use use; /* what `used` says */
    uint32_t used;
};

ALWAYS_INLINE size_t rdb_file_key_size_max(size_t name_size)
{
    return name_size + 64;
}

void rdb_file_key(struct buf *out, const struct rdb_file_entry *entry);

void rdb_file_end(struct buf *out);

/* `crc`: of everything before, the end's mark included; 0: the file has none. */
void rdb_file_checksum(struct buf *out, uint64_t crc);

#endif
