/* Reading a file in Redis's format (RDB), or what is sent as one, from pieces that come by and by.
 *
 * Principal entry points: rdb_file_new, rdb_file_feed, rdb_file_free.
 *
 *   REDIS | version 4 digits | opcodes and keys … | 0xff | checksum 8        (VALKEY and 3 digits: Valkey 9)
 *
 * The one who has the bytes pushes them; what is in them is told to a visitor. The values are built by rdb_decode in the
 * pages and trees of a keyspace, in which no key is put: a tool gives one of its own, and drops each value when it has looked at
 * it. Inside, the reading runs on a fiber, which pauses where bytes end or the work of one call is used up, in the middle
 * of a value as well.
 *
 * F1  The bytes of one call stay where they are until another call has returned ST_AGAIN. What a text refers to when they go
 *     is copied (rdb_hold), so it is valid as long as the visitor was told.
 * F2  Memory: what a length promises is believed as bytes arrive, in steps that grow with what has come; and no text is
 *     longer than limits->text_max, nothing longer than what is still to come where that is known (bytes_total). A string
 *     value that is stored as it is goes straight into the memory that it will have.
 * F3  The checksum is of all bytes before it, passed by as they are read. A file that ends in 0 has none.
 * F4  After an error nothing more is read. What the visitor was given is its own.
 *
 * Threads: the one that owns the keyspace, for all calls; the visitor is called on it too, on the fiber's stack
 * (RDB_FILE_STACK). */
#ifndef SKUA_RDB_FILE_READ_H
#define SKUA_RDB_FILE_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "rdb/decode.h"

#define RDB_FILE_STACK ((size_t)128 << 10)

struct rdb_file;

/* A key, as the file tells it. */
struct rdb_file_key {
    struct slice name;
    uint64_t db;
    unsigned type;      /* enum rdb_type, or a number that is none */
    int64_t expire_ms;  /* since 1970; ENTRY_NO_EXPIRE: it lives for ever */
    bool has_idle;      /* idle_seconds was given */
    bool has_frequency; /* frequency was given */
    uint64_t idle_seconds;
    uint32_t frequency; /* 0 to 255 */
    uint64_t offset;    /* where the byte of its type stands in the file */
};

/* What a server without modules and functions cannot have. */
enum rdb_foreign {
    RDB_FOREIGN_TYPE,         /* a key's type that is not known: nobody knows where its value ends */
    RDB_FOREIGN_MODULE,       /* a key's value, of a module's type */
    RDB_FOREIGN_MODULE_OLD,   /* the same as Redis 4.0's early versions wrote it: its end is not known */
    RDB_FOREIGN_MODULE_AUX,   /* what a module keeps beside the keys */
    RDB_FOREIGN_FUNCTION,     /* a library of functions */
    RDB_FOREIGN_FUNCTION_OLD, /* the same as Redis 7.0's release candidates wrote it */
    RDB_FOREIGN_SLOT_IMPORT,  /* a slot that was on its way into a cluster's node (Valkey 9) */
};

struct rdb_file_foreign {
    enum rdb_foreign what;
    bool can_skip;                  /* its end can be found: it has been passed by already */
    unsigned version;               /* of the file */
    uint64_t offset;                /* where it begins */
    const struct rdb_file_key *key; /* NULL: it is no key */
    /* of the module's type (9 letters), of the old function, the code of the new one; else empty */
    struct slice name;
    uint64_t module_version; /* of the module's encoding */
};

/* Who is told. Any function may be NULL. Not ST_OK: the reading ends with that status. Texts are valid during the call only. */
struct rdb_visitor {
    void *context;
    enum status (*on_header)(void *context, unsigned version, bool is_valkey);
    enum status (*on_aux)(void *context, struct slice name, struct slice value);
    enum status (*on_db)(void *context, uint64_t db);
    /* So many keys will come in this database, so many of which expire: a hint that may be wrong. */
    enum status (*on_sizes)(void *context, uint64_t keys, uint64_t expires);
    /* A value, which is the visitor's now: rdb_value_entry or rdb_value_drop. */
    enum status (*on_key)(void *context, const struct rdb_file_key *key, struct rdb_value *value);
    /* A key whose collection has no element, as faulty servers wrote them. There is no value. */
    enum status (*on_empty_key)(void *context, const struct rdb_file_key *key);
    /* ST_OK: go on behind it, if can_skip; else, and when there is no such function, the reading ends with ST_UNSUPPORTED. */
    enum status (*on_foreign)(void *context, const struct rdb_file_foreign *foreign);
    /* The whole file has been read, and its checksum was looked at. */
    enum status (*on_end)(void *context);
};

struct rdb_file_options {
    struct keyspace *keyspace; /* whose heap and pages values are made of */
    struct rdb_limits limits;
    /* of the file; 0: not known. Bytes may follow the file's end (an append-only file's commands). */
    uint64_t bytes_total;
    bool checksum; /* the checksum counts */
    struct rdb_visitor visitor;
};

/* NULL: memory was refused. */
struct rdb_file *rdb_file_new(const struct rdb_file_options *options);

/* Also in the middle. */
void rdb_file_free(struct rdb_file *file);

#define RDB_FILE_WORK_ALL UINT64_MAX

/* Hands the next bytes over, and reads for about as long as `work` elements of a collection take (20 to 100 ns each).
 * ST_AGAIN: all of them have been read, more are wanted.
 * ST_LIMIT: there is more to do: call again, with no bytes.
 * ST_OK: the file is at its end (rdb_file_rest). Not again after that, nor after an error:
 * ST_INVALID: damaged; ST_UNSUPPORTED: sound, but not for us; ST_NOMEM; or what the visitor said. rdb_file_error says more. */
enum status rdb_file_feed(struct rdb_file *file, struct slice bytes, uint64_t work);

/* As above, where somebody has computed the checksum of everything up to the end of these bytes already. */
enum status rdb_file_feed_summed(struct rdb_file *file, struct slice bytes, uint64_t work,
                                 uint64_t crc_after);

/* There are no more bytes, though the last call has said ST_AGAIN: as a rule a truncated file, of which rdb_file_error tells
 * then. Status as rdb_file_feed's, but for ST_AGAIN and ST_LIMIT. */
enum status rdb_file_ends(struct rdb_file *file);

/* After ST_OK: the bytes of the last call that were behind the file's end. */
struct slice rdb_file_rest(const struct rdb_file *file);

/* How many bytes have been read. */
uint64_t rdb_file_offset(const struct rdb_file *file);
/* 0: the header has not been read. */
unsigned rdb_file_version(const struct rdb_file *file);
/* The checksum at the end was looked at and is right (after ST_OK). */
bool rdb_file_is_sealed(const struct rdb_file *file);

/* What was wrong and where, after an error: one line without an end. */
const char *rdb_file_error(struct rdb_file *file);

/* For a visitor that ends the reading: why. The key and the offset are added. */
void rdb_file_set_error(struct rdb_file *file, const char *format, ...) PRINTF_LIKE(2, 3);

/* ---- In words --------------------------------------------------------------------------------------- */

/* What is stored in this way: "set in an intset"; "unknown". */
const char *rdb_type_name(unsigned type);
/* Appends: key "…" (database 0, type 11: set in an intset). */
void rdb_file_describe_key(const struct rdb_file_key *key, struct buf *text);
/* Appends what it is, of which key, in which version and where. */
void rdb_file_describe_foreign(const struct rdb_file_foreign *foreign, struct buf *text);

#endif
