/* Writing a value in Redis's format, in steps.
 *
 * Principal entry points: rdb_encode_begin, rdb_encode_step, rdb_encode_done; rdb_source_take, rdb_encode_source.
 * To begin takes references of what the value consists of; after that the entry may go or change, and what is written is the value as
 * it was. Who has many values to write takes the references by itself, and has a worker do the rest. Each step appends some bytes, which
 * the caller may take out of the buffer. The type comes first, then (in a file) what the caller puts between, then the bytes of the steps.
 *
 * | value                            | is written as                                                     |
 * |----------------------------------|-------------------------------------------------------------------|
 * | string                           | a string                                                          |
 * | list                             | listpacks of about ENCODE_NODE_BYTES                              |
 * | compact set, hash, sorted set    | an intset or a listpack; a set before version 11, rows            |
 * | other set, hash, sorted set      | rows                                                              |
 * | hash with times to live          | rows with times: Valkey's for version 80, else those of version 12 |
 * | stream                           | nodes, groups and what they wait for (rdb/stream.h)               |
 *
 * Threads: rdb_encode_begin, taking and dropping sources, and ending an encoder that has taken its source itself, the executor; all
 * else any, one at a time.
 *
 * states of an encoder: ENCODE_COUNT (lists and streams: how many nodes there will be) -> ENCODE_UNITS (`next` writes one unit after
 * the other; while a long text is under way, that comes first) -> ENCODE_END */
#ifndef SKUA_RDB_ENCODE_H
#define SKUA_RDB_ENCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "keyspace/keyspace.h"
#include "rdb/format.h"
#include "rdb/lzf.h"
#include "types/stream.h"
#include "types/stream_group.h"

#define ENCODE_NODE_BYTES   8192
#define ENCODE_PACKED_BYTES ((size_t)64 << 10) /* a larger collection is written as rows */
/* A longer string is not compressed: it would take too long at once */
#define ENCODE_COMPRESS_MAX ((size_t)256 << 10)
#define ENCODE_STEP_MIN     64

enum encode_state { ENCODE_COUNT, ENCODE_UNITS, ENCODE_END };

/* What a value consists of, held. */
struct rdb_source {
    uint8_t type;     /* enum entry_type */
    uint8_t marks;    /* ENTRY_MARKS */
    int64_t first_ms; /* of a hash with times: none of them is before it */
    /* A reference of one of these. */
    union {
        struct tree rows;            /* a collection's */
        struct large_string *large;  /* of a string */
        const struct stream *stream; /* of a stream */
    };
};

/* Takes a reference of what an entry's value consists of. Not of a string in its entry: there is nothing to refer to. A few
 * nanoseconds and a miss. */
void rdb_source_take(struct rdb_source *source, struct keyspace *keyspace, const struct entry *entry);
void rdb_source_drop(struct rdb_source *source, struct keyspace *keyspace);

struct rdb_encoder {
    enum rdb_type type; /* the byte that comes first */
    unsigned version;   /* the lowest in which this type is known */
    enum encode_state state;
    enum status (*next)(struct rdb_encoder *encoder, struct buf *out);

    /* What is written. */
    struct keyspace *keyspace; /* NULL: the source is the caller's, and so is `memory` */
    bool is_short;             /* a string that is in `text`, and not in `source` */
    struct rdb_source source;
    struct buf text;

    /* Where it goes on. */
    struct tree_place place;
    uint64_t left; /* rows */
    unsigned part; /* of the row */
    uint64_t nodes;
    struct slice rest; /* of a long text */
    uint8_t tail[8];   /* what follows that */
    size_t tail_size;

    /* The same in a stream. */
    struct log_entry log_entry;
    uint32_t group;    /* of its set */
    uint32_t consumer; /* of the group, in the order of names */
    struct stream_pending_walk walk;

    struct buf packed; /* scratch */
    struct lzf_memory *memory;
};

/* Begins to write the value of an entry for readers of `version` (10: Redis 7.0, 11: 7.2 and later, 80: Valkey 9). ST_NOMEM: there is
 * nothing to end. The encoder must stay where it is. */
enum status rdb_encode_begin(struct rdb_encoder *encoder, struct keyspace *keyspace,
                             const struct entry *entry, unsigned version);

/* The same for a source that is held until the encoder has come to its end or is not used any more. `memory` (NULL: nothing is
 * compressed) may serve any number of values, one after the other. Looks through small collections, and for a hash's first time. */
void rdb_encode_source(struct rdb_encoder *encoder, const struct rdb_source *source, unsigned version,
                       struct lzf_memory *memory);

/* Appends about `bytes_max` bytes, one row or node more at the most. ST_AGAIN: there is more; ST_OK: that was all; ST_NOMEM:
 * `out` could not grow, the value cannot be written. */
enum status rdb_encode_step(struct rdb_encoder *encoder, struct buf *out, size_t bytes_max);

/* Gives back what was taken; also before the value's end. */
void rdb_encode_done(struct rdb_encoder *encoder);

#endif
