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

/* As MOVE does, there and back: for walks that is a key that goes, and one that comes. */
static void move_there_and_back(struct world *world, struct slice name, uint64_t hash,
                                struct table_position *position)
{
    struct db *db = &world->keyspace->dbs[0], *other = &world->keyspace->dbs[2];
    assert_int_equal(db_insert(other, db_take(db, position), hash), ST_OK);
    assert_non_null(db_locate(other, name, hash, position));
    assert_int_equal(db_insert(db, db_take(other, position), hash), ST_OK);
}

/* Changes one key that is there, in one of the ways there are. */
static void edit(struct world *world, struct slice name, uint64_t hash, struct table_position *position,
                 struct content *content)
{
    struct db *db = &world->keyspace->dbs[0];
    struct entry *entry = table_item_at(position);
    switch (rng_below(&world->rng, 5)) {
    case 4: move_there_and_back(world, name, hash, position); break;
    case 0:
        *content = new_content(world);
        db_replace(db, position, new_entry(world, name, content), hash);
        break;
    case 1:
        content->value = ++world->next_value;
        db_note_change(db, entry, hash);
        keyspace_set_int(world->keyspace, entry, hash, content->value);
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
    world->keyspace = keyspace_new(3, seed, START_MS, NULL);
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
    for (unsigned i = 0; i < count; i++) {
        size_t key = rng_below(&world->rng, KEYS);
        change(world, key, rng_below(&world->rng, 100) < percent);
    }
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

/* ---- Several at once ---------------------------------------------------------------------------------------- */

#define WALKS_MAX 5

/* More than there are marks for, which end early or late, in databases that are flushed or swapped. */
struct crowd {
    struct world *world;
    struct walked *walked[WALKS_MAX];
    bool is_open[WALKS_MAX];
    unsigned without_mark, beside_stale; /* how many began like this */
};

static void begin_one(struct crowd *crowd, size_t index)
{
    struct db *db = &crowd->world->keyspace->dbs[0];
    crowd->beside_stale += db->stale_marks != 0;
    begin(crowd->world, crowd->walked[index]);
    crowd->without_mark += crowd->walked[index]->walk.mark == 0;
    crowd->is_open[index] = true;
}

static void end_one(struct crowd *crowd, size_t index, bool gives_up)
{
    crowd->is_open[index] = false;
    if (gives_up)
        key_walk_end(&crowd->walked[index]->walk);
    else
        finish(crowd->walked[index]);
}

static void flush(struct world *world)
{
    db_flush(&world->keyspace->dbs[0]);
    memset(world->keys, 0, sizeof world->keys);
}

/* What is in the other database meanwhile, no walk of the first has to do with. */
static void swap_and_back(struct world *world)
{
    struct content *keys = malloc(sizeof world->keys);
    memcpy(keys, world->keys, sizeof world->keys);
    keyspace_swap(world->keyspace, 0, 1);
    memset(world->keys, 0, sizeof world->keys);
    churn(world, 100, 90);
    flush(world);
    keyspace_swap(world->keyspace, 1, 0);
    memcpy(world->keys, keys, sizeof world->keys);
    free(keys);
}

static void something_happens(struct crowd *crowd)
{
    struct world *world = crowd->world;
    size_t index = rng_below(&world->rng, WALKS_MAX);
    unsigned changes = (unsigned)rng_below(&world->rng, 100);
    churn(world, changes, 40 + (unsigned)rng_below(&world->rng, 30));
    if (!crowd->is_open[index]) {
        begin_one(crowd, index);
    } else if (rng_below(&world->rng, 20) == 0) {
        end_one(crowd, index, rng_below(&world->rng, 2));
    } else {
        for (size_t steps = rng_below(&world->rng, 40); steps > 0; steps--)
            key_walk_step(&crowd->walked[index]->walk);
    }
    if (rng_below(&world->rng, 200) == 0)
        flush(world);
    if (rng_below(&world->rng, 20) == 0)
        swap_and_back(world);
    while (rng_below(&world->rng, 3) > 0)
        keyspace_reclaim_step(world->keyspace);
}

static void any_number_of_walks_may_come_and_go(void **state)
{
    struct crowd crowd = {0};
    for (size_t i = 0; i < WALKS_MAX; i++)
        crowd.walked[i] = malloc(sizeof *crowd.walked[i]);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        crowd.world = world_new(seed);
        struct db *db = &crowd.world->keyspace->dbs[0];
        for (unsigned round = 0; round < 300; round++) {
            something_happens(&crowd);
            if (round % 20 == 0)
                keyspace_check(crowd.world->keyspace);
        }
        for (size_t i = 0; i < WALKS_MAX; i++)
            if (crowd.is_open[i])
                end_one(&crowd, i, true);
        /* Alone, and to its end: after that there is no mark left. */
        begin_one(&crowd, 0);
        churn(crowd.world, 1000, 50);
        end_one(&crowd, 0, false);
        assert_int_equal(db->stale_marks, 0);
        world_free(crowd.world);
    }
    assert_true(crowd.without_mark > 100 && crowd.beside_stale > 50);
    for (size_t i = 0; i < WALKS_MAX; i++)
        free(crowd.walked[i]);
}

static void an_early_end_costs_the_next_walk_nothing_if_nothing_was_changed(void **state)
{
    struct walked *walked = malloc(sizeof *walked);
    struct world *world = world_new(9);
    struct db *db = &world->keyspace->dbs[0];
    churn(world, 5000, 70);
    begin(world, walked);
    key_walk_step(&walked->walk);
    key_walk_end(&walked->walk);
    assert_int_equal(db->stale_marks, 0);
    begin(world, walked);
    churn(world, 5000, 50);
    key_walk_end(&walked->walk);
    assert_int_not_equal(db->stale_marks, 0);
    begin(world, walked);
    churn(world, 5000, 50);
    finish(walked);
    assert_int_equal(db->stale_marks, 0);
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
        cmocka_unit_test(any_number_of_walks_may_come_and_go),
        cmocka_unit_test(an_early_end_costs_the_next_walk_nothing_if_nothing_was_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
