/* Proves: a walk visits each key that was there when it began, once, with the value and the time to live that it had then, and no
 * other, while keys come, go, are replaced and changed in place, the table grows and shrinks, the database is flushed or swapped,
 * and other walks begin and end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bug.h"
#include "base/role.h"
#include "keyspace/walk.h"

#define KEYS     4000
#define START_MS 1700000000000

/* What a key is: absent, or an integer, and when it expires. */
struct content {
    bool present;
    int64_t value;
    int64_t expire_ms;
};

struct walked {
    struct key_walk walk;
    struct content wanted[KEYS];
    struct content seen[KEYS];
    unsigned visited[KEYS];
};

struct world {
    struct keyspace *keyspace;
    struct rng rng;
    int64_t next_value; /* no value is used twice */
    struct content keys[KEYS];
};

static struct slice name_of(size_t number, char text[300])
{
    return slice_make(text, (size_t)snprintf(text, 300, "key:%zu", number));
}

static void visit(const struct entry *entry, void *context)
{
    struct walked *walked = context;
    char text[300] = {0};
    memcpy(text, entry_key_data(entry), entry_key_size(entry));
    size_t number = strtoul(text + 4, NULL, 10);
    walked->visited[number]++;
    walked->seen[number] = (struct content){true, entry_int(entry), entry_expire_ms(entry)};
}

static struct content new_content(struct world *world)
{
    bool expires = rng_below(&world->rng, 2);
    return (struct content){true, ++world->next_value,
                            expires ? START_MS + world->next_value : ENTRY_NO_EXPIRE};
}

static struct entry *new_entry(struct world *world, struct slice name, const struct content *content)
{
    struct entry_options options = {.expire_ms = content->expire_ms};
    return entry_new_int(world->keyspace->heap, name, content->value, &options);
}

/* Changes one key that is there, in one of the ways there are. */
static void edit(struct world *world, struct slice name, uint64_t hash, struct table_position *position,
                 struct content *content)
{
    struct db *db = &world->keyspace->dbs[0];
    struct entry *entry = table_item_at(position);
    switch (rng_below(&world->rng, 4)) {
    case 0:
        *content = new_content(world);
        db_replace(db, position, new_entry(world, name, content), hash);
        break;
    case 1:
        content->value = ++world->next_value;
        db_note_change(db, entry, hash);
        keyspace_set_int(world->keyspace, entry, content->value);
        break;
    case 2: /* in place, or by another block */
        content->expire_ms = START_MS + ++world->next_value;
        assert_int_equal(db_set_expire(db, position, hash, content->expire_ms), ST_OK);
        break;
    default:
        content->expire_ms = ENTRY_NO_EXPIRE;
        assert_int_equal(db_set_expire(db, position, hash, ENTRY_NO_EXPIRE), ST_OK);
        break;
    }
}

/* Adds, changes or removes one key of database 0. */
static void change(struct world *world, size_t number, bool add)
{
    char text[300];
    struct slice name = name_of(number, text);
    struct db *db = &world->keyspace->dbs[0];
    struct content *content = &world->keys[number];
    uint64_t hash = keyspace_hash(world->keyspace, name);
    struct table_position position;
    bool there = db_locate(db, name, hash, &position) != NULL;
    assert_int_equal(there, content->present);
    if (add && there) {
        edit(world, name, hash, &position, content);
    } else if (add) {
        *content = new_content(world);
        assert_int_equal(db_insert(db, new_entry(world, name, content), hash), ST_OK);
    } else if (there) {
        db_remove(db, &position);
        content->present = false;
    }
}

static void begin(struct world *world, struct walked *walked)
{
    memset(walked, 0, sizeof *walked);
    memcpy(walked->wanted, world->keys, sizeof walked->wanted);
    key_walk_begin(&walked->walk, &world->keyspace->dbs[0], visit, walked);
}

static void finish(struct walked *walked)
{
    while (key_walk_step(&walked->walk))
        ;
    key_walk_end(&walked->walk);
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(walked->visited[i], walked->wanted[i].present);
        if (walked->wanted[i].present) {
            assert_int_equal(walked->seen[i].value, walked->wanted[i].value);
            assert_int_equal(walked->seen[i].expire_ms, walked->wanted[i].expire_ms);
        }
    }
}

static struct world *world_new(uint64_t seed)
{
    struct world *world = calloc(1, sizeof *world);
    role_set(ROLE_EXECUTOR);
    world->keyspace = keyspace_new(2, seed, START_MS, NULL);
    rng_seed(&world->rng, seed);
    return world;
}

static void world_free(struct world *world)
{
    keyspace_check(world->keyspace);
    keyspace_free(world->keyspace);
    free(world);
}

/* Many changes, of which `percent` add. */
static void churn(struct world *world, unsigned count, unsigned percent)
{
    for (unsigned i = 0; i < count; i++)
        change(world, rng_below(&world->rng, KEYS), rng_below(&world->rng, 100) < percent);
}

static void a_walk_sees_the_start(void **state)
{
    struct walked *walked = malloc(sizeof *walked);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world *world = world_new(seed);
        churn(world, 3000, seed % 2 ? 80 : 40);
        begin(world, walked);
        /* Growing or shrinking all the way, at another pace each time. */
        unsigned percent = seed % 3 == 0 ? 95 : seed % 3 == 1 ? 5 : 50;
        for (bool more = true; more;) {
            churn(world, (unsigned)rng_below(&world->rng, seed), percent);
            more = key_walk_step(&walked->walk);
        }
        finish(walked);
        world_free(world);
    }
    free(walked);
}

static void walks_do_not_disturb_each_other(void **state)
{
    struct walked *first = malloc(sizeof *first), *second = malloc(sizeof *second);
    struct world *world = world_new(7);
    churn(world, 5000, 70);
    begin(world, first);
    for (unsigned round = 0; round < 20; round++) {
        begin(world, second);
        for (unsigned i = 0; i < 10; i++) {
            key_walk_step(&first->walk);
            churn(world, 50, 50);
            key_walk_step(&second->walk);
        }
        if (round % 2)
            finish(second);
        else
            key_walk_end(&second->walk); /* given up */
    }
    finish(first);
    world_free(world);
    free(first);
    free(second);
}

static void a_walk_goes_on_in_what_was_flushed(void **state)
{
    struct walked *walked = malloc(sizeof *walked);
    struct world *world = world_new(3);
    churn(world, 5000, 70);
    begin(world, walked);
    for (unsigned i = 0; i < 30; i++)
        key_walk_step(&walked->walk);
    churn(world, 500, 50);
    db_flush(&world->keyspace->dbs[0]);
    memset(world->keys, 0, sizeof world->keys);
    churn(world, 500, 90);
    while (keyspace_reclaim_step(world->keyspace))
        ;
    finish(walked);
    while (keyspace_reclaim_step(world->keyspace))
        ;
    assert_int_equal(world->keyspace->lazyfree_pending, 0);
    world_free(world);
    free(walked);
}

static void a_walk_moves_with_its_database(void **state)
{
    struct walked *walked = malloc(sizeof *walked);
    struct world *world = world_new(5);
    churn(world, 5000, 70);
    begin(world, walked);
    for (unsigned i = 0; i < 30; i++)
        key_walk_step(&walked->walk);
    keyspace_swap(world->keyspace, 0, 1);
    /* What comes into the other database is none of its business. */
    static struct content keys[KEYS];
    memcpy(keys, world->keys, sizeof keys);
    memset(world->keys, 0, sizeof world->keys);
    churn(world, 300, 90);
    keyspace_swap(world->keyspace, 0, 1);
    memcpy(world->keys, keys, sizeof keys);
    churn(world, 500, 30);
    finish(walked);
    world_free(world);
    free(walked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_walk_sees_the_start),
        cmocka_unit_test(walks_do_not_disturb_each_other),
        cmocka_unit_test(a_walk_goes_on_in_what_was_flushed),
        cmocka_unit_test(a_walk_moves_with_its_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
