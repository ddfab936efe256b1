/* Payloads: a value in Redis's format by itself, as DUMP gives and RESTORE takes it.
 *
 *   type 1 | value | version 2 | checksum 8, of all before it
 *
 * Principal entry points: rdb_payload_begin, rdb_payload_step, rdb_seal_open.
 * Threads: as encode.h. */
#ifndef SKUA_RDB_PAYLOAD_H
#define SKUA_RDB_PAYLOAD_H

#include "rdb/encode.h"

#define RDB_FOOTER_SIZE 10

/* A payload that is being written. */
struct rdb_payload {
    struct rdb_encoder encoder;
    struct buf bytes;
    uint64_t crc; /* of all of them, before the end */
};

/* Begins the payload of an entry. Its version is the lowest that knows the value's type, so that older servers take it;
 * `version` says which types may be used (rdb_encode_begin). ST_NOMEM: there is nothing to end. */
enum status rdb_payload_begin(struct rdb_payload *payload, struct keyspace *keyspace,
                              const struct entry *entry, unsigned version);

/* Makes about `bytes_max` bytes. ST_AGAIN: there is more; ST_OK: payload->bytes is complete; ST_NOMEM. */
enum status rdb_payload_step(struct rdb_payload *payload, size_t bytes_max);

/* Gives all back, `bytes` too unless the caller has taken them out. */
void rdb_payload_done(struct rdb_payload *payload);

/* The checksum of a payload that is being read. */
struct rdb_seal {
    struct slice payload;
    size_t checked;
    uint64_t crc;
};

/* Whether it can be a payload, and one of a version that we read: up to 12, or 80. */
enum status rdb_seal_open(struct rdb_seal *seal, struct slice payload, unsigned *ret_version);

/* Looks at about `bytes_max` bytes. ST_AGAIN: there is more; ST_OK: the checksum is right; ST_INVALID: it is not. */
enum status rdb_seal_step(struct rdb_seal *seal, size_t bytes_max);

/* The type and the value, without the footer. */
ALWAYS_INLINE struct slice rdb_seal_value(const struct rdb_seal *seal)
{
    return slice_make(seal->payload.data, seal->payload.size - RDB_FOOTER_SIZE);
}

#endif
