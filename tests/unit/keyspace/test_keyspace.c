/* Proves that databases hold what a simple model says they hold through inserts, replacements, renames, moves,
 * times to live, flushes and swaps; that active expiry finds every dead key within a round and touches no
 * other; that a flush empties at once and frees in bounded steps; and that nothing is leaked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/worker.h"
#include "keyspace/keyspace.h"

#define DBS      3
#define KEYS     3000
#define START_MS 1700000000000

struct model_key {
    bool present;
    uint64_t value;
    int64_t expire_ms;
};

struct model {
    struct keyspace *keyspace;
    struct rng rng;
    struct model_key keys[DBS][KEYS];
    size_t expired;
};

/* Key `number` of the model. Every seventh is longer than a byte can count. */
static struct slice key_name(size_t number, char text[600])
{
    int size =
        number % 7 == 0 ? snprintf(text, 600, "%0400zu", number) : snprintf(text, 600, "key:%zu", number);
    return (struct slice){text, (size_t)size};
}

static size_t key_number(struct slice key)
{
    char text[600]; /* the key is followed by the value, not by a zero byte */
    memcpy(text, key.data, key.size);
    text[key.size] = 0;
    return strtoull(key.size > 300 ? text : text + 4, NULL, 10);
}

/* A value whose size and encoding follow from `value`. */
static struct slice value_text(uint64_t value, char *text)
{
    size_t size = (size_t)snprintf(text, 24, "%llu", (unsigned long long)value);
    size_t extra = value % 3 == 0 ? 0 : value % 97 == 1 ? 17000 : value % 611 == 2 ? 80000 : value % 700;
    memset(text + size, 'v', extra);
    return (struct slice){text, size + extra};
}

static struct entry *new_entry(struct model *model, size_t number, uint64_t value, int64_t expire_ms)
{
    static char text[100000];
    char name[600];
    struct entry_options options = {.expire_ms = expire_ms, .clock = model->keyspace->use.clock_now};
    return entry_new_string(model->keyspace->heap, key_name(number, name), value_text(value, text), &options);
}

static struct entry *find(struct db *db, size_t number, uint64_t *ret_hash,
                          struct table_position *ret_position)
{
    char name[600];
    struct slice key = key_name(number, name);
    *ret_hash = keyspace_hash(db->keyspace, key);
    return db_locate(db, key, *ret_hash, ret_position);
}

static void expect_model(struct model *model)
{
    static char text[100000];
    keyspace_check(model->keyspace);
    for (uint32_t d = 0; d < DBS; d++) {
        struct db *db = &model->keyspace->dbs[d];
        uint64_t present = 0, with_expire = 0;
        for (size_t i = 0; i < KEYS; i++) {
            const struct model_key *key = &model->keys[d][i];
            struct table_position position;
            uint64_t hash;
            const struct entry *entry = find(db, i, &hash, &position);
            assert_int_equal(entry != NULL, key->present);
            if (!entry)
                continue;
            entry_scratch scratch;
            assert_true(slice_equal(entry_string(entry, scratch), value_text(key->value, text)));
            assert_int_equal(entry_expire_ms(entry), key->expire_ms);
            assert_int_equal(db_is_expired(db, entry), key->expire_ms <= model->keyspace->now_ms);
            present++;
            with_expire += key->expire_ms != ENTRY_NO_EXPIRE;
        }
        assert_int_equal(table_size(db->keys), present);
        assert_int_equal(db->volatile_count, with_expire);
    }
}

static int64_t random_expire(struct model *model)
{
    if (rng_below(&model->rng, 2))
        return ENTRY_NO_EXPIRE;
    return model->keyspace->now_ms + (int64_t)rng_below(&model->rng, 20000) - 500;
}

static void set_key(struct model *model, uint32_t d, size_t i)
{
    struct db *db = &model->keyspace->dbs[d];
    struct model_key *key = &model->keys[d][i];
    struct table_position position;
    uint64_t hash;
    struct entry *old = find(db, i, &hash, &position);
    *key = (struct model_key){true, rng_next(&model->rng) >> 20, random_expire(model)};
    struct entry *entry = new_entry(model, i, key->value, key->expire_ms);
    assert_non_null(entry);
    if (old)
        db_replace(db, &position, entry, hash);
    else
        assert_int_equal(db_insert(db, entry, hash), ST_OK);
}

static void remove_key(struct model *model, uint32_t d, size_t i)
{
    struct table_position position;
    uint64_t hash;
    if (find(&model->keyspace->dbs[d], i, &hash, &position))
        db_remove(&model->keyspace->dbs[d], &position);
    model->keys[d][i].present = false;
}

/* As RENAME and MOVE do: out of one place, the same value into another. */
static void move_key(struct model *model, uint32_t from_d, size_t from, uint32_t to_d, size_t to)
{
    if (!model->keys[from_d][from].present || (from_d == to_d && from == to))
        return;
    remove_key(model, to_d, to);
    struct keyspace *keyspace = model->keyspace;
    struct table_position position;
    uint64_t hash;
    char name[600];
    find(&keyspace->dbs[from_d], from, &hash, &position);
    struct entry *entry = db_take(&keyspace->dbs[from_d], &position);
    struct slice key = key_name(to, name);
    struct entry_options options = {.expire_ms = entry_expire_ms(entry), .clock = entry_clock(entry)};
    struct entry *copy = entry_copy(keyspace->heap, entry, key, &options);
    keyspace_retire(keyspace, entry);
    assert_int_equal(db_insert(&keyspace->dbs[to_d], copy, keyspace_hash(keyspace, key)), ST_OK);
    model->keys[to_d][to] = model->keys[from_d][from];
    model->keys[from_d][from].present = false;
}

static void set_expire(struct model *model, uint32_t d, size_t i)
{
    struct table_position position;
    uint64_t hash;
    if (!find(&model->keyspace->dbs[d], i, &hash, &position))
        return;
    int64_t expire_ms = random_expire(model);
    assert_int_equal(db_set_expire(&model->keyspace->dbs[d], &position, hash, expire_ms), ST_OK);
    model->keys[d][i].expire_ms = expire_ms;
}

static void expired(struct db *db, struct slice key, uint64_t hash, void *context)
{
    struct model *model = context;
    size_t number = key_number(key);
    struct model_key *expected = &model->keys[db->number][number];
    struct table_position position = {0};
    assert_true(expected->present);
    assert_true(expected->expire_ms <= model->keyspace->now_ms);
    assert_non_null(db_locate(db, key, hash, &position));
    db_remove(db, &position);
    expected->present = false;
    model->expired++;
}

/* Steps until every database has been swept once. */
static void expire_all(struct model *model)
{
    bool more = true;
    for (size_t i = 0; i < 10000 && more; i++)
        keyspace_expire_step(model->keyspace, expired, model, &more);
    assert_false(more);
}

static size_t dead_keys(const struct model *model)
{
    size_t count = 0;
    int64_t unit_ago = model->keyspace->now_ms - KEYSPACE_DUE_UNIT_MS;
    for (uint32_t d = 0; d < DBS; d++) {
        for (size_t i = 0; i < KEYS; i++)
            count += model->keys[d][i].present && model->keys[d][i].expire_ms <= unit_ago;
    }
    return count;
}

static void random_step(struct model *model)
{
    struct keyspace *keyspace = model->keyspace;
    uint32_t d = (uint32_t)rng_below(&model->rng, DBS);
    size_t i = rng_below(&model->rng, KEYS);
    switch (rng_below(&model->rng, 400)) {
    case 0: {
        static struct model_key saved[KEYS];
        uint32_t other = (uint32_t)rng_below(&model->rng, DBS);
        keyspace_swap(keyspace, d, other);
        memcpy(saved, model->keys[d], sizeof(saved));
        memcpy(model->keys[d], model->keys[other], sizeof(saved));
        memcpy(model->keys[other], saved, sizeof(saved));
        break;
    }
    case 1:
        if (rng_below(&model->rng, 10) == 0) {
            uint64_t size = table_size(keyspace->dbs[d].keys);
            assert_int_equal(db_flush(&keyspace->dbs[d]), size);
            memset(model->keys[d], 0, sizeof(model->keys[d]));
        }
        break;
    case 2: keyspace_reclaim_step(keyspace); break;
    case 3: keyspace_set_time(keyspace, keyspace->now_ms + (int64_t)rng_below(&model->rng, 300)); break;
    case 4: {
        bool more;
        keyspace_expire_step(keyspace, expired, model, &more);
        break;
    }
    case 5:
    case 6:
    case 7:
    case 8: move_key(model, d, i, (uint32_t)rng_below(&model->rng, DBS), rng_below(&model->rng, KEYS)); break;
    default:
        if (rng_below(&model->rng, 4) == 0)
            remove_key(model, d, i);
        else if (rng_below(&model->rng, 4) == 0)
            set_expire(model, d, i);
        else
            set_key(model, d, i);
    }
}

static struct model *model_new(uint64_t seed, struct worker_pool *workers)
{
    struct model *model = mem_calloc(1, sizeof(*model));
    rng_seed(&model->rng, seed);
    model->keyspace = keyspace_new(DBS, seed, START_MS, workers);
    return model;
}

static void model_free(struct model *model)
{
    keyspace_free(model->keyspace);
    mem_free(model);
}

static void run_model(struct worker_pool *workers)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct model *model = model_new(seed, workers);
        for (size_t step = 0; step < 40000; step++) {
            random_step(model);
            if (step % 4000 == 0)
                expect_model(model);
        }
        keyspace_set_time(model->keyspace, model->keyspace->now_ms + 1000);
        expire_all(model);
        assert_int_equal(dead_keys(model), 0);
        assert_true(model->expired > 0);
        expect_model(model);
        model_free(model);
    }
}

static void test_model(void **state)
{
    (void)state;
    size_t before = mem_used();
    run_model(NULL);
    assert_int_equal(mem_used(), before);
}

static void test_model_with_workers(void **state)
{
    (void)state;
    size_t before = mem_used();
    struct worker_pool *workers = worker_pool_new(1, 0);
    run_model(workers);
    worker_pool_free(workers);
    assert_int_equal(mem_used(), before);
}

static void fill(struct model *model, uint32_t d, int64_t expire_ms)
{
    for (size_t i = 0; i < KEYS; i++) {
        char name[600];
        struct slice key = key_name(i, name);
        struct entry *entry = new_entry(model, i, i * 3, expire_ms);
        assert_int_equal(db_insert(&model->keyspace->dbs[d], entry, keyspace_hash(model->keyspace, key)),
                         ST_OK);
        model->keys[d][i] = (struct model_key){true, i * 3, expire_ms};
    }
}

static void test_expiry_is_exact(void **state)
{
    (void)state;
    struct model *model = model_new(5, NULL);
    fill(model, 1, START_MS + 1000);
    fill(model, 2, ENTRY_NO_EXPIRE);
    keyspace_set_time(model->keyspace, START_MS + 999);
    expire_all(model);
    assert_int_equal(model->expired, 0);
    keyspace_set_time(model->keyspace, START_MS + 1000 + KEYSPACE_DUE_UNIT_MS);
    bool more = true;
    size_t steps = 0;
    while (more) {
        assert_in_range(keyspace_expire_step(model->keyspace, expired, model, &more), 0, 128);
        steps++;
    }
    assert_in_range(steps, KEYS / 128, 10 * KEYS / 128);
    assert_int_equal(model->expired, KEYS);
    assert_int_equal(table_size(model->keyspace->dbs[1].keys), 0);
    expect_model(model);
    model_free(model);
}

/* A moved clock, times before the start of the server, and times that the tables cannot express. */
static void test_expiry_at_the_ends_of_the_scale(void **state)
{
    (void)state;
    static const int64_t times[] = {INT64_MIN,
                                    -1,
                                    0,
                                    1,
                                    START_MS,
                                    START_MS - 5000000000,
                                    START_MS + ((int64_t)1 << 40),
                                    INT64_MAX - 1,
                                    ENTRY_NO_EXPIRE};
    struct model *model = model_new(5, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        char name[600];
        uint64_t hash = keyspace_hash(model->keyspace, key_name(i, name));
        assert_int_equal(db_insert(&model->keyspace->dbs[0], new_entry(model, i, i, times[i]), hash), ST_OK);
        model->keys[0][i] = (struct model_key){true, i, times[i]};
    }
    expect_model(model);
    expire_all(model);
    assert_int_equal(model->expired, 6);
    keyspace_set_time(model->keyspace, START_MS - 1000000);
    expire_all(model);
    keyspace_set_time(model->keyspace, START_MS + ((int64_t)1 << 42));
    expire_all(model);
    assert_int_equal(model->expired, 7);
    expect_model(model);
    model_free(model);
}

static void test_set_expire_in_place_and_by_another_block(void **state)
{
    (void)state;
    struct model *model = model_new(5, NULL);
    struct db *db = &model->keyspace->dbs[0];
    fill(model, 0, ENTRY_NO_EXPIRE);
    struct table_position position = {0};
    uint64_t hash;
    struct entry *first = find(db, 8, &hash, &position);
    entry_set_clock(first, 77);
    assert_int_equal(db_set_expire(db, &position, hash, ENTRY_NO_EXPIRE), ST_OK);
    assert_ptr_equal(find(db, 8, &hash, &position), first);
    assert_int_equal(db_set_expire(db, &position, hash, START_MS + 10), ST_OK);
    struct entry *second = find(db, 8, &hash, &position);
    assert_true(entry_has_expire(second));
    assert_int_equal(entry_clock(second), 77);
    assert_int_equal(db->volatile_count, 1);
    assert_int_equal(db_set_expire(db, &position, hash, ENTRY_NO_EXPIRE), ST_OK);
    assert_ptr_equal(find(db, 8, &hash, &position), second);
    assert_int_equal(db->volatile_count, 0);
    keyspace_set_time(model->keyspace, START_MS + 100000);
    expire_all(model);
    assert_int_equal(model->expired, 0);
    keyspace_check(model->keyspace);
    model_free(model);
}

static void test_flush_is_at_once_and_frees_in_steps(void **state)
{
    (void)state;
    struct model *model = model_new(6, NULL);
    struct keyspace *keyspace = model->keyspace;
    fill(model, 0, START_MS + 5);
    size_t full = keyspace_memory(keyspace);
    assert_int_equal(db_flush(&keyspace->dbs[0]), KEYS);
    assert_int_equal(db_flush(&keyspace->dbs[0]), 0);
    memset(model->keys, 0, sizeof(model->keys));
    assert_int_equal(table_size(keyspace->dbs[0].keys), 0);
    assert_int_equal(keyspace->dbs[0].volatile_count, 0);
    assert_int_equal(keyspace->lazyfree_pending, KEYS);
    assert_true(keyspace_memory(keyspace) > full * 9 / 10);
    /* The database is in use again while the old table drains. */
    assert_true(keyspace_reclaim_step(keyspace));
    assert_true(keyspace->lazyfree_pending < KEYS && keyspace->lazyfree_pending > KEYS / 2);
    fill(model, 0, ENTRY_NO_EXPIRE);
    assert_int_equal(db_flush(&keyspace->dbs[0]), KEYS);
    fill(model, 0, ENTRY_NO_EXPIRE);
    expect_model(model);
    size_t steps = 0;
    while (keyspace_reclaim_step(keyspace))
        assert_true(++steps < 1000);
    assert_true(steps > KEYS / TABLE_LOAD / 128);
    assert_int_equal(keyspace->lazyfree_pending, 0);
    assert_int_equal(keyspace->lazyfreed, 2 * KEYS);
    expect_model(model);
    model_free(model);
}

static void test_random_skips_the_dead(void **state)
{
    (void)state;
    struct model *model = model_new(7, NULL);
    struct db *db = &model->keyspace->dbs[0];
    assert_null(db_random(db));
    fill(model, 0, START_MS + 1);
    keyspace_set_time(model->keyspace, START_MS + 1);
    assert_null(db_random(db));
    for (size_t i = 0; i < KEYS; i += 2) {
        struct table_position position = {0};
        uint64_t hash;
        assert_non_null(find(db, i, &hash, &position));
        assert_int_equal(db_set_expire(db, &position, hash, ENTRY_NO_EXPIRE), ST_OK);
    }
    for (size_t i = 0; i < 1000; i++) {
        const struct entry *entry = db_random(db);
        assert_non_null(entry);
        assert_int_equal(key_number(entry_key(entry)) % 2, 0);
    }
    model_free(model);
}

static void test_clock(void **state)
{
    (void)state;
    struct model *model = model_new(7, NULL);
    keyspace_set_time(model->keyspace, ((int64_t)0x5123456 * 1000) + 999);
    assert_int_equal(model->keyspace->use.clock_now, 0x123456);
    model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_model_with_workers),
        cmocka_unit_test(test_expiry_is_exact),
        cmocka_unit_test(test_expiry_at_the_ends_of_the_scale),
        cmocka_unit_test(test_set_expire_in_place_and_by_another_block),
        cmocka_unit_test(test_flush_is_at_once_and_frees_in_steps),
        cmocka_unit_test(test_random_skips_the_dead),
        cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
