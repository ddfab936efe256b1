/* Streams in Redis's format: what encode.c and decode.c hand on.
 *
 *   nodes: their number, and for each the id that its entries count from (16 bytes, big endian) and a listpack;
 *   length, last id, and since version 10: first id, greatest deleted id, entries ever added;
 *   groups: their number, and for each name, last id, entries read (version 10);
 *     pending entries: their number, and for each id (16), time of delivery (8), number of deliveries;
 *     consumers: their number, and for each name, when seen (8), when active (8, version 11), the ids that it holds
 *
 * The listpack of a node begins with: entries, deleted entries, number of names, names, 0. Then each entry: flags, steps of
 * ms and of seq from the node's id; unless it has the node's names (RDB_ENTRY_SAME_NAMES) the number of its pairs; names and
 * values, or values; how many items that was.
 * Threads: as encode.h and decode.h. */
#ifndef SKUA_RDB_STREAM_H
#define SKUA_RDB_STREAM_H

#include "rdb/decode.h"
#include "rdb/encode.h"

enum rdb_stream_flag {
    RDB_ENTRY_DELETED = 1 << 0,
    RDB_ENTRY_SAME_NAMES = 1 << 1,
};
#define RDB_ENTRY_FLAGS 3

#define RDB_ID_SIZE 16

/* Begins to write the encoder's source, a stream, as RDB_STREAM_2 or, for readers of version 11, RDB_STREAM_3. */
void rdb_encode_stream(struct rdb_encoder *encoder, unsigned version);

/* Reads a stream of one of its three types, into value->stream. Status as rdb_decode's. */
enum status rdb_decode_stream(struct rdb_reader *reader, enum rdb_type type, struct keyspace *keyspace,
                              const struct rdb_limits *limits, const struct rdb_pace *pace,
                              struct rdb_value *value);

#endif
