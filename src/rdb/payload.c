/* Payloads. Entry: rdb_payload_begin, rdb_seal_open. Threads: see payload.h. */
#include "rdb/payload.h"

#include "rdb/crc64.h"
#include "rdb/write.h"

static void add_to_crc(struct rdb_payload *payload, size_t from)
{
    payload->crc = crc64(payload->crc, payload->bytes.data + from, payload->bytes.size - from);
}

enum status rdb_payload_begin(struct rdb_payload *payload, struct keyspace *keyspace,
                              const struct entry *entry, unsigned version)
{
    payload->bytes = (struct buf){0};
    payload->crc = 0;
    enum status status = rdb_encode_begin(&payload->encoder, keyspace, entry, version);
    if (status == ST_OK) {
        buf_append_char(&payload->bytes, (char)payload->encoder.type);
        add_to_crc(payload, 0);
    }
    return status;
}

enum status rdb_payload_step(struct rdb_payload *payload, size_t bytes_max)
{
    struct buf *bytes = &payload->bytes;
    size_t from = bytes->size;
    enum status status = rdb_encode_step(&payload->encoder, bytes, bytes_max);
    if (status == ST_OK && !buf_try_reserve(bytes, RDB_FOOTER_SIZE))
        status = ST_NOMEM;
    if (status != ST_OK && status != ST_AGAIN)
        return status;
    if (status == ST_OK) {
        uint16_t version = (uint16_t)payload->encoder.version;
        buf_append(bytes, &version, sizeof version);
    }
    add_to_crc(payload, from);
    if (status == ST_OK)
        rdb_write_u64(bytes, payload->crc);
    return status;
}

void rdb_payload_done(struct rdb_payload *payload)
{
    rdb_encode_done(&payload->encoder);
    buf_done(&payload->bytes);
}

enum status rdb_seal_open(struct rdb_seal *seal, struct slice payload, unsigned *ret_version)
{
    if (payload.size < RDB_FOOTER_SIZE + 1) /* a type is the least */
        return ST_INVALID;
    uint16_t version;
    memcpy(&version, payload.data + payload.size - RDB_FOOTER_SIZE, sizeof version);
    if (version > RDB_VERSION_TIMED && version != RDB_VERSION_VALKEY)
        return ST_INVALID;
    *seal = (struct rdb_seal){.payload = payload};
    *ret_version = version;
    return ST_OK;
}

enum status rdb_seal_step(struct rdb_seal *seal, size_t bytes_max)
{
    size_t end = seal->payload.size - sizeof seal->crc, left = end - seal->checked;
    size_t size = left < bytes_max ? left : bytes_max;
    uint64_t expected;
    seal->crc = crc64(seal->crc, seal->payload.data + seal->checked, size);
    seal->checked += size;
    if (seal->checked < end)
        return ST_AGAIN;
    memcpy(&expected, seal->payload.data + end, sizeof expected);
    return seal->crc == expected ? ST_OK : ST_INVALID;
}
