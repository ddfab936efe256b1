/* What tracking clients have read: for each name of a key the ids of its readers.
 *
 * Principal entry points: tracking_table_add, tracking_table_take, tracking_table_random.
 * Threads: one at a time (the executor; a worker that frees it).
 *
 * K1  A key is in the table while it has readers; it goes with all of them at once.
 * K2  key_count == number of keys, reader_count == sum of their readers, memory == bytes of their blocks.
 * K3  Up to TRACKED_LINEAR_MAX readers stand one behind the other. More are a hash set with open addressing of which at most
 *     three quarters are used; 0, which is no client's id, is a free place. */
#ifndef SKUA_EXEC_TRACKING_TABLE_H
#define SKUA_EXEC_TRACKING_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "ds/table.h"

#define TRACKED_LINEAR_MAX 8

/* A key and its readers. `capacity` places, a power of two, are followed by the name. */
struct tracked_key {
    uint32_t name_size;
    uint32_t reader_count : 27;
    uint32_t capacity_bits : 5;
    uint64_t places[];
};

struct tracking_table {
    struct table keys; /* struct tracked_key */
    uint64_t hash_seed;
    uint64_t reader_count;
    uint64_t memory; /* of the keys' blocks, without the buckets */
    /* Whether a reader is still one: those that are not are dropped when there is no place for another. */
    bool (*is_reader)(void *context, uint64_t id);
    void *context;
};

void tracking_table_init(struct tracking_table *table, uint64_t hash_seed,
                         bool (*is_reader)(void *context, uint64_t id), void *context);
/* Frees everything. Takes long when it is large. */
void tracking_table_done(struct tracking_table *table);

/* Remembers that the client has read the key; once is enough. ST_NOMEM, ST_LIMIT (too many readers of one key): it is not
 * remembered. */
enum status tracking_table_add(struct tracking_table *table, struct slice name, uint64_t id);

/* Takes the key out; NULL when nobody has read it. It is the caller's, for tracked_key_free. */
struct tracked_key *tracking_table_take(struct tracking_table *table, struct slice name);
/* The same of any key. NULL: there is none. */
struct tracked_key *tracking_table_take_random(struct tracking_table *table, struct rng *rng);

struct slice tracked_key_name(const struct tracked_key *key);
/* Calls `visit` for each reader. */
void tracked_key_visit(const struct tracked_key *key, void (*visit)(void *context, uint64_t id),
                       void *context);
void tracked_key_free(struct tracked_key *key);

static inline uint64_t tracking_table_size(const struct tracking_table *table)
{
    return table_size(&table->keys);
}

/* Bytes of all of it. */
uint64_t tracking_table_memory(const struct tracking_table *table);

/* Asserts K1 to K3 by walking everything. For tests. */
void tracking_table_check(const struct tracking_table *table);

#endif
