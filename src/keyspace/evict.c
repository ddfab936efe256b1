/* Which key goes next when memory is short. Entry: evict_choose. Rules and threads: see evict.h. */
#include "keyspace/evict.h"

#include <string.h>

/* Choices that come to nothing, because keys have been used since, are gone, or may not go. */
#define TRIES_MAX 8
/* Buckets that are looked at for one key with a time to live: about ten microseconds where there are next to none. */
#define SEEK_BUCKETS ((size_t)1 << 16)

void evict_pool_clear(struct evict_pool *pool)
{
    pool->count = 0;
}

/* ---- Sampling ---------------------------------------------------------------------------------------------- */

static uint64_t evictable(const struct db *db, const struct evict_rules *rules)
{
    return rules->volatile_only ? db->volatile_count : table_size(db->keys);
}

static uint64_t evictable_everywhere(const struct keyspace *keyspace, const struct evict_rules *rules)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < keyspace->db_count; i++)
        sum += evictable(&keyspace->dbs[i], rules);
    return sum;
}

/* The database that has evictable key number `number` of all. */
static struct db *db_of_number(struct keyspace *keyspace, const struct evict_rules *rules, uint64_t number)
{
    struct db *db = keyspace->dbs;
    for (uint64_t count; (count = evictable(db, rules)) <= number; db++)
        number -= count;
    return db;
}

static bool is_volatile(const void *item)
{
    return entry_expire_ms(item) != ENTRY_NO_EXPIRE;
}

/* Any evictable key; NULL where those with a time to live are so rare that none has been found yet. */
static struct entry *sample(struct db *db, const struct evict_rules *rules)
{
    struct rng *rng = &db->keyspace->rng;
    if (!rules->volatile_only)
        return table_random(db->keys, rng);
    if (db->evict_cursor == 0)
        db->evict_cursor = 1 + rng_below(rng, db->keys->bucket_count);
    struct entry *entry = table_due_seek(db->keys, &db->evict_cursor, SEEK_BUCKETS, is_volatile, rng);
    if (entry != NULL)
        db->evict_cursor = 0; /* from anywhere, next time */
    return entry;
}

/* The greater, the sooner it goes. */
static uint64_t score_of(const struct keyspace *keyspace, const struct evict_rules *rules,
                         const struct entry *entry)
{
    switch (rules->by) {
    case EVICT_BY_IDLE_TIME: return use_idle_seconds(&keyspace->use, entry);
    case EVICT_BY_FREQUENCY: return USE_FREQUENCY_MAX - use_frequency(&keyspace->use, entry);
    case EVICT_BY_END: return (uint64_t)INT64_MAX - (uint64_t)entry_expire_ms(entry);
    case EVICT_BY_CHANCE: break;
    }
    return 0;
}

/* ---- Candidates -------------------------------------------------------------------------------------------- */

static void pool_remove(struct evict_pool *pool, uint32_t at)
{
    pool->count--;
    memmove(&pool->candidates[at], &pool->candidates[at + 1],
            (pool->count - at) * sizeof pool->candidates[0]);
}

/* Where the pool is full the worst one is forgotten, which may be the new one. */
static void pool_add(struct evict_pool *pool, const struct evict_candidate *candidate)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        if (pool->candidates[i].db == candidate->db && pool->candidates[i].hash == candidate->hash) {
            pool_remove(pool, i);
            break;
        }
    }
    if (pool->count == EVICT_CANDIDATES) {
        if (candidate->score <= pool->candidates[0].score)
            return;
        pool_remove(pool, 0);
    }
    uint32_t at = pool->count++;
    for (; at > 0 && pool->candidates[at - 1].score > candidate->score; at--)
        pool->candidates[at] = pool->candidates[at - 1];
    pool->candidates[at] = *candidate;
}

static void pool_fill(struct evict_pool *pool, struct keyspace *keyspace, const struct evict_rules *rules,
                      uint64_t keys)
{
    for (uint32_t i = 0; i < rules->samples; i++) {
        struct db *db = db_of_number(keyspace, rules, rng_below(&keyspace->rng, keys));
        const struct entry *entry = sample(db, rules);
        if (entry == NULL)
            return; /* the next ones would be as hard to find */
        pool_add(pool, &(struct evict_candidate){.db = db,
                                                 .hash = keyspace_hash(keyspace, entry_key(entry)),
                                                 .score = score_of(keyspace, rules, entry)});
    }
}

struct hashed {
    const struct keyspace *keyspace;
    uint64_t hash;
};

static bool has_hash(const void *item, const void *key)
{
    const struct hashed *hashed = key;
    return keyspace_hash(hashed->keyspace, entry_key(item)) == hashed->hash;
}

/* Takes the best candidate that is still there and as good as it was (V1). */
static bool pool_take(struct evict_pool *pool, const struct keyspace *keyspace,
                      const struct evict_rules *rules, struct evict_victim *ret_victim)
{
    while (pool->count > 0) {
        const struct evict_candidate *best = &pool->candidates[--pool->count];
        struct hashed hashed = {keyspace, best->hash};
        if (!table_locate(best->db->keys, best->hash, has_hash, &hashed, &ret_victim->position))
            continue;
        ret_victim->db = best->db;
        ret_victim->hash = best->hash;
        ret_victim->entry = table_item_at(&ret_victim->position);
        if ((!rules->volatile_only || is_volatile(ret_victim->entry)) &&
            score_of(keyspace, rules, ret_victim->entry) >= best->score)
            return true;
    }
    return false;
}

enum evict_choice evict_choose(struct keyspace *keyspace, struct evict_pool *pool,
                               const struct evict_rules *rules,
                               bool (*may_go)(const struct entry *entry, void *context), void *context,
                               struct evict_victim *ret_victim)
{
    uint64_t keys = evictable_everywhere(keyspace, rules);
    if (keys == 0)
        return EVICT_NOBODY;
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        pool_fill(pool, keyspace, rules, keys);
        if (pool_take(pool, keyspace, rules, ret_victim) &&
            (may_go == NULL || may_go(ret_victim->entry, context)))
            return EVICT_CHOSEN;
    }
    return EVICT_NOT_YET;
}
