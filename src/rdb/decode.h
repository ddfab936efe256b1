/* Reading a value in Redis's format.
 *
 * Principal entry points: rdb_decode, rdb_value_entry, rdb_value_drop.
 * The bytes are not trusted. The value is built anew from what they say, in our own pages and trees, so nothing of them
 * lives on; a value that is handed out has what every value here has: no member, field or element of a set twice, no score
 * that is no number, at least one row (a stream may be empty), an owner for each pending entry.
 * Memory: what is asked for at once is never more than what the bytes that are left can fill; what they were compressed
 * to counts as the 88 times more that it can be, up to text_max. Where it is not known how many are left, a string is believed to
 * be as long as it says, up to text_max; its memory is touched as its bytes come.
 * The bytes may come in pieces (rdb/read.h): then it works on a fiber, which the source or the pace pauses.
 * Threads: executor only. */
#ifndef SKUA_RDB_DECODE_H
#define SKUA_RDB_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "keyspace/keyspace.h"
#include "rdb/read.h"
#include "types/collection.h"
#include "types/hash.h"
#include "types/set.h"
#include "types/stream.h"

/* The options that say where compact encodings end, and how long a text may be. */
struct rdb_limits {
    struct hash_limits hash;
    struct set_limits set;
    uint64_t zset_entries;
    uint64_t zset_value;
    int64_t list_size;
    struct stream_limits stream;
    uint64_t text_max;
};

/* How long work is interrupted. */
struct rdb_pace {
    /* So much has been done, in what one element of a collection takes. False: it is no longer wanted. */
    bool (*pause)(void *context, uint32_t work);
    void *context;
};

/* A value that no entry has yet. Must not be moved. */
struct rdb_value {
    enum entry_type type;
    uint8_t marks;               /* ENTRY_MARKS */
    struct large_string *large;  /* of a string that cannot lie in its entry */
    struct rdb_text text;        /* of another one; perhaps in the bytes that were read */
    struct collection_view view; /* of a collection */
    struct stream *stream;
};

/* Reads the value of a type (enum rdb_type, but any number is allowed) as written by a server of `version`, and leaves the
 * reader behind it. ST_INVALID: it is not sound; ST_EOF: it is a collection without elements; ST_UNSUPPORTED: it is that of a module;
 * ST_NOMEM; ST_LIMIT: the pace has said to end. Only after ST_OK there is a value. `pace` may be NULL. */
enum status rdb_decode(struct rdb_reader *reader, unsigned type, unsigned version, struct keyspace *keyspace,
                       const struct rdb_limits *limits, const struct rdb_pace *pace,
                       struct rdb_value *ret_value);

/* An entry of the value, which is gone in any case. options->marks is set here. NULL: memory was refused. */
struct entry *rdb_value_entry(struct rdb_value *value, struct keyspace *keyspace, struct slice key,
                              struct entry_options *options);

/* So many elements, and bytes of strings, have been worked through. ST_LIMIT: it is no longer wanted. */
enum status rdb_pause(const struct rdb_pace *pace, uint32_t elements, size_t bytes);

/* Gives a value back that is not wanted. */
void rdb_value_drop(struct rdb_value *value, struct keyspace *keyspace);

#endif
