/* Proves who goes when memory is short: those with the highest scores, near enough; only keys with a time to live where
 * that is the rule, however rare they are; from each database as it has keys; nobody who may not go; and that the choice
 * ends when there is nobody left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/role.h"
#include "keyspace/evict.h"

#define START_MS 1700000000000
#define DBS      3

struct fixture {
    struct keyspace *keyspace;
    struct evict_pool pool;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    role_set(ROLE_EXECUTOR);
    fixture->keyspace = keyspace_new(DBS, 1, START_MS, NULL);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    keyspace_check(fixture->keyspace);
    keyspace_free(fixture->keyspace);
    free(fixture);
    return 0;
}

static void add(struct fixture *fixture, unsigned db, unsigned number, uint32_t clock, int64_t expire_ms)
{
    char text[64];
    struct slice key = {text, (size_t)snprintf(text, sizeof text, "key:%u", number)};
    struct entry_options options = {.expire_ms = expire_ms, .clock = clock};
    struct entry *entry = entry_new_string(fixture->keyspace->heap, key, key, &options);
    assert_int_equal(db_insert(&fixture->keyspace->dbs[db], entry, keyspace_hash(fixture->keyspace, key)),
                     ST_OK);
}

static unsigned number_of(const struct entry *entry)
{
    char text[32] = {0};
    struct slice key = entry_key(entry);
    memcpy(text, key.data, key.size);
    return (unsigned)strtoul(text + 4, NULL, 10);
}

/* Chooses until somebody is found, or nobody is left. False: nobody. */
static bool choose(struct fixture *fixture, const struct evict_rules *rules, struct evict_victim *ret_victim)
{
    enum evict_choice choice;
    do {
        choice = evict_choose(fixture->keyspace, &fixture->pool, rules, NULL, NULL, ret_victim);
    } while (choice == EVICT_NOT_YET);
    return choice == EVICT_CHOSEN;
}

static void test_nobody_goes_where_nobody_is(void **state)
{
    struct fixture *fixture = *state;
    struct evict_victim victim;
    struct evict_rules rules = {EVICT_BY_CHANCE, false, 5};
    assert_false(choose(fixture, &rules, &victim));
    add(fixture, 1, 1, 0, ENTRY_NO_EXPIRE);
    rules.volatile_only = true;
    assert_false(choose(fixture, &rules, &victim));
    rules.volatile_only = false;
    assert_true(choose(fixture, &rules, &victim));
    assert_ptr_equal(victim.db, &fixture->keyspace->dbs[1]);
    db_remove(victim.db, &victim.position);
    assert_false(choose(fixture, &rules, &victim));
}

/* The half with the lower scores is hardly touched while the other half goes. */
static void test_the_best_go_first(void **state)
{
    static const enum evict_by each[] = {EVICT_BY_IDLE_TIME, EVICT_BY_FREQUENCY, EVICT_BY_END};
    struct fixture *fixture = *state;
    for (size_t way = 0; way < sizeof each / sizeof each[0]; way++) {
        struct evict_rules rules = {each[way], each[way] == EVICT_BY_END, 10};
        struct use *use = &fixture->keyspace->use;
        unsigned wrong = 0;
        use_set_rules(use, &(struct use_rules){each[way] == EVICT_BY_FREQUENCY, 0, 0});
        evict_pool_clear(&fixture->pool);
        for (unsigned i = 0; i < 4000; i++) /* 0 is the one that should go first */
            add(fixture, i % DBS, i,
                each[way] == EVICT_BY_FREQUENCY ? use_clock_of_frequency(use, i / 16)
                                                : use_clock_of_idle(use, 100000 - i),
                START_MS + 1000000 + (int64_t)i * 1000);
        for (unsigned i = 0; i < 1000; i++) {
            struct evict_victim victim;
            assert_true(choose(fixture, &rules, &victim));
            wrong += number_of(victim.entry) >= 2000;
            db_remove(victim.db, &victim.position);
        }
        assert_in_range(wrong, 0, 20);
        for (unsigned i = 0; i < DBS; i++)
            db_flush(&fixture->keyspace->dbs[i]);
    }
}

static void test_who_was_used_since_stays(void **state)
{
    struct fixture *fixture = *state;
    struct evict_rules rules = {EVICT_BY_IDLE_TIME, false, 16};
    struct evict_victim victim;
    struct use *use = &fixture->keyspace->use;
    for (unsigned i = 0; i < 8; i++)
        add(fixture, 0, i, use_clock_of_idle(use, 1000 + i), ENTRY_NO_EXPIRE);
    assert_true(choose(fixture, &rules, &victim)); /* the others are candidates now */
    entry_set_clock(victim.entry, use->clock_now);
    unsigned first = number_of(victim.entry);
    assert_true(choose(fixture, &rules, &victim));
    assert_int_not_equal(number_of(victim.entry), first);
}

static void test_rare_keys_with_a_time_to_live_are_found(void **state)
{
    struct fixture *fixture = *state;
    struct evict_rules rules = {EVICT_BY_IDLE_TIME, true, 5};
    for (unsigned i = 0; i < 200000; i++)
        add(fixture, 0, i, 0, i % 50000 == 7 ? START_MS + 100000 : ENTRY_NO_EXPIRE);
    for (unsigned i = 0; i < 4; i++) {
        struct evict_victim victim;
        assert_true(choose(fixture, &rules, &victim));
        assert_int_equal(number_of(victim.entry) % 50000, 7);
        db_remove(victim.db, &victim.position);
    }
    assert_false(choose(fixture, &rules, &(struct evict_victim){0}));
    assert_int_equal(table_size(fixture->keyspace->dbs[0].keys), 200000 - 4);
}

static void test_each_database_gives_as_it_has(void **state)
{
    struct fixture *fixture = *state;
    struct evict_rules rules = {EVICT_BY_CHANCE, false, 1};
    for (unsigned i = 0; i < 4000; i++)
        add(fixture, i % 4 == 0 ? 2 : 0, i, 0, ENTRY_NO_EXPIRE);
    for (unsigned i = 0; i < 2000; i++) {
        struct evict_victim victim;
        assert_true(choose(fixture, &rules, &victim));
        db_remove(victim.db, &victim.position);
    }
    assert_in_range(table_size(fixture->keyspace->dbs[0].keys), 1400, 1600);
    assert_in_range(table_size(fixture->keyspace->dbs[2].keys), 400, 600);
}

static bool is_even(const struct entry *entry, void *context)
{
    return number_of(entry) % 2 == 0;
}

static void test_who_may_not_go_stays(void **state)
{
    struct fixture *fixture = *state;
    struct evict_rules rules = {EVICT_BY_IDLE_TIME, false, 5};
    struct evict_victim victim;
    for (unsigned i = 0; i < 100; i++)
        add(fixture, 0, i, 0, ENTRY_NO_EXPIRE);
    for (unsigned gone = 0; gone < 50;) {
        if (evict_choose(fixture->keyspace, &fixture->pool, &rules, is_even, NULL, &victim) != EVICT_CHOSEN)
            continue;
        assert_true(is_even(victim.entry, NULL));
        db_remove(victim.db, &victim.position);
        gone++;
    }
    assert_int_equal(evict_choose(fixture->keyspace, &fixture->pool, &rules, is_even, NULL, &victim),
                     EVICT_NOT_YET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nobody_goes_where_nobody_is, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_best_go_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_was_used_since_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rare_keys_with_a_time_to_live_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_database_gives_as_it_has, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_may_not_go_stays, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
