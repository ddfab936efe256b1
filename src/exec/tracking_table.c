/* What tracking clients have read. Rules in tracking_table.h. Threads: one at a time. */
#include "exec/tracking_table.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

#define READERS_MAX ((uint64_t)1 << 26) /* of one key: reader_count has 27 bits */

/* ---- One key -------------------------------------------------------------------------------------- */

static uint64_t capacity_of(const struct tracked_key *key)
{
    return (uint64_t)1 << key->capacity_bits;
}

static size_t block_size(uint64_t capacity, size_t name_size)
{
    return sizeof(struct tracked_key) + capacity * sizeof(uint64_t) + name_size;
}

static size_t size_of(const struct tracked_key *key)
{
    return block_size(capacity_of(key), key->name_size);
}

struct slice tracked_key_name(const struct tracked_key *key)
{
    return slice_make((const char *)(key->places + capacity_of(key)), key->name_size);
}

void tracked_key_visit(const struct tracked_key *key, void (*visit)(void *context, uint64_t id),
                       void *context)
{
    for (uint64_t i = 0; i < capacity_of(key); i++)
        if (key->places[i] != 0)
            visit(context, key->places[i]);
}

void tracked_key_free(struct tracked_key *key)
{
    mem_free(key);
}

/* Where the id is, or where it belongs; NULL: there is no place for it. */
static uint64_t *find_place(struct tracked_key *key, uint64_t id)
{
    uint64_t capacity = capacity_of(key);
    uint64_t at = 0;
    if (capacity > TRACKED_LINEAR_MAX)
        at = (id * 0x9e3779b97f4a7c15ull) >> (64 - key->capacity_bits);
    for (uint64_t i = 0; i < capacity; i++) {
        uint64_t *place = &key->places[(at + i) & (capacity - 1)];
        if (*place == id || *place == 0)
            return place;
    }
    return NULL;
}

static bool has_room(const struct tracked_key *key)
{
    uint64_t capacity = capacity_of(key);
    return key->reader_count < (capacity > TRACKED_LINEAR_MAX ? capacity - capacity / 4 : capacity);
}

/* Without readers; NULL when memory is refused. */
static struct tracked_key *key_new(struct slice name, unsigned capacity_bits)
{
    uint64_t capacity = (uint64_t)1 << capacity_bits;
    struct tracked_key *key = mem_try_alloc(block_size(capacity, name.size));
    if (key == NULL)
        return NULL;
    *key = (struct tracked_key){.name_size = (uint32_t)name.size, .capacity_bits = capacity_bits & 31};
    memset(key->places, 0, capacity * sizeof key->places[0]);
    if (name.size > 0)
        memcpy(key->places + capacity, name.data, name.size);
    return key;
}

/* The same key with room for one more: larger unless half of its readers are none any more. NULL when that is refused. */
static struct tracked_key *with_room(const struct tracking_table *table, const struct tracked_key *old)
{
    uint64_t live = 0;
    for (uint64_t i = 0; i < capacity_of(old); i++)
        live += old->places[i] != 0 && table->is_reader(table->context, old->places[i]);
    if (live >= READERS_MAX)
        return NULL;
    unsigned bits = old->capacity_bits + (live > capacity_of(old) / 2 || capacity_of(old) == 1 ? 1 : 0);
    if (live == 0)
        bits = 0;
    struct tracked_key *key = key_new(tracked_key_name(old), bits);
    for (uint64_t i = 0; key != NULL && i < capacity_of(old); i++) {
        uint64_t id = old->places[i];
        if (id == 0 || !table->is_reader(table->context, id))
            continue;
        *find_place(key, id) = id;
        key->reader_count++;
    }
    return key;
}

/* ---- The table ------------------------------------------------------------------------------------ */

static uint64_t hash_key(const void *item, void *context)
{
    return hash_slice(tracked_key_name(item), *(const uint64_t *)context);
}

static const struct table_type keys_type = {.hash = hash_key};

static inline bool has_name(const void *item, const void *name)
{
    return slice_equal(tracked_key_name(item), *(const struct slice *)name);
}

void tracking_table_init(struct tracking_table *table, uint64_t hash_seed,
                         bool (*is_reader)(void *context, uint64_t id), void *context)
{
    *table = (struct tracking_table){.hash_seed = hash_seed, .is_reader = is_reader, .context = context};
    table_init(&table->keys, &keys_type, &table->hash_seed, NULL);
}

static void free_item(void *item, void *context)
{
    tracked_key_free(item);
}

void tracking_table_done(struct tracking_table *table)
{
    while (!table_drain(&table->keys, SIZE_MAX, free_item, NULL))
        ;
    table_done(&table->keys);
    table->reader_count = table->memory = 0;
}

static enum status add_key(struct tracking_table *table, struct slice name, uint64_t hash, uint64_t id)
{
    struct tracked_key *key = key_new(name, 0);
    if (key == NULL)
        return ST_NOMEM;
    key->places[0] = id;
    key->reader_count = 1;
    if (table_insert(&table->keys, hash, key) != ST_OK) {
        mem_free(key);
        return ST_NOMEM;
    }
    table->memory += size_of(key);
    table->reader_count++;
    return ST_OK;
}

enum status tracking_table_add(struct tracking_table *table, struct slice name, uint64_t id)
{
    uint64_t hash = hash_slice(name, table->hash_seed);
    struct table_position position;
    DEBUG_ASSERT(id != 0);
    if (name.size > UINT32_MAX)
        return ST_LIMIT;
    if (!table_locate(&table->keys, hash, has_name, &name, &position))
        return add_key(table, name, hash, id);
    struct tracked_key *key = table_item_at(&position);
    uint64_t *place = find_place(key, id);
    if (place != NULL && *place == id)
        return ST_OK;
    if (place == NULL || !has_room(key)) {
        struct tracked_key *roomy = with_room(table, key);
        if (roomy == NULL)
            return ST_NOMEM;
        table_replace(&table->keys, &position, roomy);
        table->memory += size_of(roomy) - size_of(key);
        table->reader_count -= key->reader_count - roomy->reader_count;
        mem_free(key);
        key = roomy;
        place = find_place(key, id);
    }
    *place = id;
    key->reader_count++;
    table->reader_count++;
    return ST_OK;
}

struct tracked_key *tracking_table_take(struct tracking_table *table, struct slice name)
{
    struct table_position position;
    if (!table_locate(&table->keys, hash_slice(name, table->hash_seed), has_name, &name, &position))
        return NULL;
    struct tracked_key *key = table_remove(&table->keys, &position);
    table->memory -= size_of(key);
    table->reader_count -= key->reader_count;
    return key;
}

struct tracked_key *tracking_table_take_random(struct tracking_table *table, struct rng *rng)
{
    const struct tracked_key *key = table_random(&table->keys, rng);
    return key == NULL ? NULL : tracking_table_take(table, tracked_key_name(key));
}

uint64_t tracking_table_memory(const struct tracking_table *table)
{
    return sizeof *table + table->memory + table_memory(&table->keys);
}

/* ---- Checks --------------------------------------------------------------------------------------- */

struct sums {
    uint64_t keys, readers, memory;
};

static void check_key(void *item, void *context)
{
    struct tracked_key *key = item;
    struct sums *sums = context;
    uint64_t readers = 0;
    for (uint64_t i = 0; i < capacity_of(key); i++) {
        if (key->places[i] == 0)
            continue;
        ASSERT(find_place(key, key->places[i]) == &key->places[i]);
        readers++;
    }
    ASSERT(readers > 0 && readers == key->reader_count);
    sums->keys++;
    sums->readers += readers;
    sums->memory += size_of(key);
}

void tracking_table_check(const struct tracking_table *table)
{
    struct sums sums = {0};
    uint64_t cursor = 0;
    table_check(&table->keys);
    do {
        if (tracking_table_size(table) > 0)
            cursor = table_scan(&table->keys, cursor, check_key, &sums);
    } while (cursor);
    ASSERT(sums.keys == tracking_table_size(table) && sums.readers == table->reader_count);
    ASSERT(sums.memory == table->memory);
}
