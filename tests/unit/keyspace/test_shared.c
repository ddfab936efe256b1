/* Proves what threads other than the executor may rely on: that what a section has found stays until the section is left, that
 * pages and large strings are seen only while nobody changes them, that changes of several steps are seen as a whole, and that
 * all of it is turned on and off without a trace. The reader is the test itself, which looks while it is not the executor's
 * turn: what two threads do to each other at the same time is proved elsewhere (table, epoch, stress). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "keyspace/shared.h"
#include "types/collection.h"
#include "types/hash.h"
#include "types/string.h"

#define START_MS 1700000000000
#define READER   3
#define LARGE    20000

struct fixture {
    struct keyspace *keyspace;
    size_t used_before;
};

static const struct entry_options forever = {.expire_ms = ENTRY_NO_EXPIRE};

static void setup(struct fixture *fixture)
{
    fixture->used_before = mem_used();
    fixture->keyspace = keyspace_new(2, 7, START_MS, NULL);
    keyspace_expect_reader(fixture->keyspace, READER);
    keyspace_set_gate(fixture->keyspace, 0);
    assert_true(fixture->keyspace->has_readers);
}

static void teardown(struct fixture *fixture)
{
    keyspace_check(fixture->keyspace);
    keyspace_free(fixture->keyspace);
    assert_int_equal(mem_used(), fixture->used_before);
}

static struct entry *find(struct fixture *fixture, const char *key, struct table_position *ret_position)
{
    struct slice name = slice_from_string(key);
    return db_locate(&fixture->keyspace->dbs[0], name, keyspace_hash(fixture->keyspace, name), ret_position);
}

/* Publishes an entry under its key, in place of one that is there. */
static void put(struct fixture *fixture, struct entry *entry)
{
    struct db *db = &fixture->keyspace->dbs[0];
    uint64_t hash = keyspace_hash(fixture->keyspace, entry_key(entry));
    struct table_position position;
    if (db_locate(db, entry_key(entry), hash, &position))
        db_replace(db, &position, entry, hash);
    else
        assert_int_equal(db_insert(db, entry, hash), ST_OK);
}

static void set(struct fixture *fixture, const char *key, const char *value)
{
    put(fixture, entry_new_string(fixture->keyspace->heap, slice_from_string(key), slice_from_string(value),
                                  &forever));
}

static void set_large(struct fixture *fixture, const char *key, size_t size)
{
    struct entry *entry = entry_new_blank(fixture->keyspace->heap, slice_from_string(key), size, &forever);
    memset((char *)entry_bytes(entry).data, 'v', size);
    put(fixture, entry);
}

static void del(struct fixture *fixture, const char *key)
{
    struct table_position position;
    assert_non_null(find(fixture, key, &position));
    db_remove(&fixture->keyspace->dbs[0], &position);
}

/* One field of a hash, which is made when it is not there. */
static void hset(struct fixture *fixture, const char *key, const char *field, const char *value)
{
    struct table_position position;
    struct entry *entry = find(fixture, key, &position), *made;
    struct collection_view view;
    element_scratch scratches[2];
    struct element elements[2];
    assert_int_equal(element_make(slice_from_string(field), scratches[0], &elements[0]), ST_OK);
    assert_int_equal(element_make(slice_from_string(value), scratches[1], &elements[1]), ST_OK);
    if (entry != NULL)
        collection_open(&view, fixture->keyspace, entry);
    else
        collection_begin(&view, fixture->keyspace, ENTRY_HASH);
    hash_set(view.rows, START_MS, elements[0], elements[1], ENTRY_NO_EXPIRE);
    if (collection_close(&view, entry, slice_from_string(key), ENTRY_HASH, &forever, &made) ==
        COLLECTION_REPLACED)
        put(fixture, made);
}

/* The executor serves a read of the key. */
static void read_by_executor(struct fixture *fixture, const char *key)
{
    struct table_position position;
    keyspace_note_read(fixture->keyspace, find(fixture, key, &position));
}

static enum shared_found look_up(const struct shared_read *read, const char *key, struct entry **ret_entry)
{
    struct slice name = slice_from_string(key);
    return shared_find(read, 0, name, keyspace_hash(read->keyspace, name), ret_entry);
}

/* Inside a section: the page of a key that is there, NULL when it is closed. */
static const struct page *look_at_page(const struct shared_read *read, const char *key)
{
    struct entry *entry;
    assert_int_equal(look_up(read, key, &entry), SHARED_FOUND);
    return shared_page(entry);
}

static void expect_field(const struct page *page, unsigned row, const char *value)
{
    element_scratch scratch;
    assert_true(slice_equal(element_text(page_element(page, row, 1), scratch), slice_from_string(value)));
}

/* Until nothing waits any more. */
static void settle(struct fixture *fixture)
{
    while (keyspace_reclaim_step(fixture->keyspace))
        ;
}

/* ---- Keys --------------------------------------------------------------------------------------------------- */

static void what_a_section_has_found_stays_until_it_is_left(void **state)
{
    struct fixture fixture;
    struct shared_read read;
    struct entry *string, *number, *none;
    setup(&fixture);
    set(&fixture, "string", "before");
    set(&fixture, "number", "17");
    assert_true(shared_read_begin(&read, fixture.keyspace, READER));
    assert_int_equal(look_up(&read, "string", &string), SHARED_FOUND);
    assert_int_equal(look_up(&read, "number", &number), SHARED_FOUND);
    assert_int_equal(look_up(&read, "none", &none), SHARED_MISSING);
    set(&fixture, "string", "after");
    del(&fixture, "number");
    settle(&fixture);
    assert_true(fixture.keyspace->limbo.items >= 2);
    assert_true(slice_equal(entry_bytes(string), SLICE("before")));
    assert_int_equal(entry_int(number), 17);
    assert_int_equal(look_up(&read, "string", &string), SHARED_FOUND);
    assert_true(slice_equal(entry_bytes(string), SLICE("after")));
    assert_int_equal(look_up(&read, "number", &number), SHARED_MISSING);
    assert_true(shared_read_end(&read)); /* each was one step */
    settle(&fixture);
    assert_int_equal(fixture.keyspace->limbo.items, 0);
    assert_int_equal(keyspace_waiting_bytes(fixture.keyspace), 0);
    teardown(&fixture);
}

static void many_bytes_do_not_wait_for_company(void **state)
{
    struct fixture fixture;
    setup(&fixture);
    for (unsigned i = 0; i < 100; i++)
        set_large(&fixture, "large", 200); /* lies in its entry */
    settle(&fixture);
    for (unsigned i = 0; i < 3; i++) {
        set_large(&fixture, "large", (size_t)1 << 20);
        read_by_executor(&fixture, "large");
        read_by_executor(&fixture, "large");
    }
    set(&fixture, "large", "small");
    assert_true(keyspace_waiting_bytes(fixture.keyspace) < (size_t)1 << 20);
    teardown(&fixture);
}

static void a_flush_under_a_section_leaves_it_what_it_has(void **state)
{
    struct fixture fixture;
    struct shared_read read;
    struct entry *entry, *again;
    setup(&fixture);
    for (unsigned i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "key:%u", i);
        put(&fixture,
            entry_new_string(fixture.keyspace->heap, slice_from_string(key), SLICE("value"), &forever));
    }
    assert_true(shared_read_begin(&read, fixture.keyspace, READER));
    assert_int_equal(look_up(&read, "key:500", &entry), SHARED_FOUND);
    assert_int_equal(db_flush(&fixture.keyspace->dbs[0]), 1000);
    settle(&fixture);
    assert_int_equal(fixture.keyspace->lazyfree_pending, 0);
    assert_true(slice_equal(entry_bytes(entry), SLICE("value")));
    assert_int_equal(look_up(&read, "key:500", &again), SHARED_MISSING);
    set(&fixture, "key:500", "new");
    assert_int_equal(look_up(&read, "key:500", &again), SHARED_FOUND);
    assert_true(slice_equal(entry_bytes(entry), SLICE("value")));
    assert_true(shared_read_end(&read));
    settle(&fixture);
    assert_int_equal(fixture.keyspace->limbo.items, 0);
    teardown(&fixture);
}

static void a_section_over_a_swap_of_databases_is_thrown_away(void **state)
{
    struct fixture fixture;
    struct shared_read read;
    struct entry *entry;
    setup(&fixture);
    set(&fixture, "key", "value");
    assert_true(shared_read_begin(&read, fixture.keyspace, READER));
    assert_int_equal(look_up(&read, "key", &entry), SHARED_FOUND);
    keyspace_swap(fixture.keyspace, 0, 1);
    assert_int_equal(look_up(&read, "key", &entry), SHARED_MISSING);
    assert_false(shared_read_end(&read));
    assert_true(shared_read_begin(&read, fixture.keyspace, READER));
    uint64_t hash = keyspace_hash(fixture.keyspace, SLICE("key"));
    assert_int_equal(shared_find(&read, 1, SLICE("key"), hash, &entry), SHARED_FOUND);
    assert_true(shared_read_end(&read));
    teardown(&fixture);
}

/* ---- Pages and large strings -------------------------------------------------------------------------------- */

static void the_second_read_opens_a_page_and_a_change_closes_it(void **state)
{
    struct fixture fixture;
    struct shared_read read;
    setup(&fixture);
    hset(&fixture, "hash", "field", "one");
    for (unsigned round = 0; round < 3; round++) {
        assert_true(shared_read_begin(&read, fixture.keyspace, READER));
        assert_null(look_at_page(&read, "hash"));
        read_by_executor(&fixture, "hash");
        assert_null(look_at_page(&read, "hash"));
        hset(&fixture, "hash", "field", "one"); /* counts anew */
        read_by_executor(&fixture, "hash");
        assert_null(look_at_page(&read, "hash"));
        read_by_executor(&fixture, "hash");
        const struct page *page = look_at_page(&read, "hash");
        assert_non_null(page);
        read_by_executor(&fixture, "hash");
        assert_ptr_equal(look_at_page(&read, "hash"), page);
        keyspace_check(fixture.keyspace);
        hset(&fixture, "hash", "field", "two");
        hset(&fixture, "hash", "field", "three");
        assert_null(look_at_page(&read, "hash"));
        settle(&fixture);
        expect_field(page, 0, "one");
        assert_true(shared_read_end(&read));
        settle(&fixture);
        assert_int_equal(fixture.keyspace->limbo.items, 0);
        hset(&fixture, "hash", "field", "one");
    }
    teardown(&fixture);
}

/* Each row: what happens to an entry whose page or large string is open. */
static void replace_it(struct fixture *fixture)
{
    set(fixture, "key", "other");
}

static void remove_it(struct fixture *fixture)
{
    del(fixture, "key");
}

static void flush_it(struct fixture *fixture)
{
    db_flush(&fixture->keyspace->dbs[0]);
}

/* As RENAME does: the value goes on under another name. */
static void rename_it(struct fixture *fixture)
{
    struct table_position position;
    struct entry *entry = find(fixture, "key", &position);
    put(fixture, entry_copy(fixture->keyspace->heap, entry, SLICE("renamed"), &forever));
    del(fixture, "key");
    entry = find(fixture, "renamed", &position);
    assert_false(entry_is_open(entry)); /* of that name nobody has read it */
}

static void give_it_a_time(struct fixture *fixture)
{
    struct table_position position;
    uint64_t hash = keyspace_hash(fixture->keyspace, SLICE("key"));
    assert_non_null(find(fixture, "key", &position));
    assert_int_equal(db_set_expire(&fixture->keyspace->dbs[0], &position, hash, START_MS + 1000), ST_OK);
}

static void let_it_grow_into_a_tree(struct fixture *fixture)
{
    for (unsigned i = 0; i < 1000; i++) {
        char field[32];
        snprintf(field, sizeof field, "another field %u", i);
        hset(fixture, "key", field, "value");
    }
}

typedef void happening_fn(struct fixture *fixture);

static void an_open_page_stays_as_long_as_the_section(void **state)
{
    static happening_fn *const happenings[] = {replace_it, remove_it,      flush_it,
                                               rename_it,  give_it_a_time, let_it_grow_into_a_tree};
    for (size_t i = 0; i < ARRAY_COUNT(happenings); i++) {
        struct fixture fixture;
        struct shared_read read;
        setup(&fixture);
        hset(&fixture, "key", "field", "value");
        read_by_executor(&fixture, "key");
        read_by_executor(&fixture, "key");
        assert_true(shared_read_begin(&read, fixture.keyspace, READER));
        const struct page *page = look_at_page(&read, "key");
        assert_non_null(page);
        happenings[i](&fixture);
        settle(&fixture);
        assert_int_equal(page->count, 1);
        expect_field(page, 0, "value");
        assert_true(shared_read_end(&read));
        settle(&fixture);
        assert_int_equal(fixture.keyspace->limbo.items, 0);
        teardown(&fixture);
    }
}

static void an_open_string_stays_as_long_as_the_section(void **state)
{
    static happening_fn *const happenings[] = {replace_it, remove_it, flush_it, rename_it, give_it_a_time};
    for (size_t i = 0; i < ARRAY_COUNT(happenings); i++) {
        struct fixture fixture;
        struct shared_read read;
        struct entry *entry;
        setup(&fixture);
        set_large(&fixture, "key", LARGE);
        read_by_executor(&fixture, "key");
        read_by_executor(&fixture, "key");
        assert_true(shared_read_begin(&read, fixture.keyspace, READER));
        assert_int_equal(look_up(&read, "key", &entry), SHARED_FOUND);
        struct large_string *large = shared_large(entry);
        assert_non_null(large);
        happenings[i](&fixture);
        settle(&fixture);
        assert_int_equal(large->size, LARGE);
        assert_int_equal(large->data[LARGE - 1], 'v');
        large_string_ref(large); /* for a reply */
        assert_true(shared_read_end(&read));
        settle(&fixture);
        assert_int_equal(fixture.keyspace->limbo.items, 0);
        assert_int_equal(large->data[0], 'v');
        large_string_unref(large);
        teardown(&fixture);
    }
}

/* As SETRANGE and APPEND do. */
static void edit(struct fixture *fixture, const char *key, size_t size_min, char first)
{
    struct table_position position;
    struct string_edit change;
    struct entry_options options = {.expire_ms = ENTRY_NO_EXPIRE, .edited = true};
    struct entry *entry = find(fixture, key, &position);
    assert_int_equal(string_edit_begin(fixture->keyspace->heap, entry, slice_from_string(key), size_min,
                                       &options, &change),
                     ST_OK);
    change.data[0] = first;
    if (change.entry != NULL)
        put(fixture, change.entry);
}

static void a_large_string_is_open_until_it_is_edited(void **state)
{
    struct fixture fixture;
    struct shared_read read;
    struct entry *entry;
    setup(&fixture);
    set_large(&fixture, "key", LARGE);
    edit(&fixture, "key", 0, 'a'); /* in place */
    read_by_executor(&fixture, "key");
    edit(&fixture, "key", 0, 'b');
    read_by_executor(&fixture, "key");
    assert_true(shared_read_begin(&read, fixture.keyspace, READER));
    assert_int_equal(look_up(&read, "key", &entry), SHARED_FOUND);
    assert_null(shared_large(entry));
    read_by_executor(&fixture, "key");
    struct large_string *large = shared_large(entry);
    assert_non_null(large);
    edit(&fixture, "key", 0, 'c');
    assert_int_equal(large->data[0], 'b');
    /* What has been built by editing will be edited again: it stays closed. */
    for (unsigned i = 0; i < 3; i++)
        read_by_executor(&fixture, "key");
    assert_int_equal(look_up(&read, "key", &entry), SHARED_FOUND);
    assert_null(shared_large(entry));
    assert_true(shared_read_end(&read));
    teardown(&fixture);
}

static void too_large_a_string_stays_closed(void **state)
{
    struct fixture fixture;
    struct table_position position;
    setup(&fixture);
    set_large(&fixture, "limit", KEYSPACE_OPEN_LARGE_MAX);
    set_large(&fixture, "beyond", KEYSPACE_OPEN_LARGE_MAX + 1);
    for (unsigned i = 0; i < 3; i++) {
        read_by_executor(&fixture, "limit");
        read_by_executor(&fixture, "beyond");
    }
    assert_true(entry_is_open(find(&fixture, "limit", &position)));
    assert_false(entry_is_open(find(&fixture, "beyond", &position)));
    teardown(&fixture);
}

/* ---- Steps -------------------------------------------------------------------------------------------------- */

static void a_change_of_several_steps_is_seen_as_a_whole_or_not_at_all(void **state)
{
    struct fixture fixture;
    struct shared_read read;
    setup(&fixture);
    assert_true(shared_read_begin(&read, fixture.keyspace, READER));
    keyspace_begin_steps(fixture.keyspace);
    assert_false(shared_read_end(&read));
    assert_false(shared_read_begin(&read, fixture.keyspace, READER));
    keyspace_begin_steps(fixture.keyspace);
    keyspace_end_steps(fixture.keyspace);
    assert_false(shared_read_begin(&read, fixture.keyspace, READER));
    keyspace_end_steps(fixture.keyspace);
    assert_true(shared_read_begin(&read, fixture.keyspace, READER));
    assert_true(shared_read_end(&read));
    assert_true(shared_read_begin(&read, fixture.keyspace, READER));
    keyspace_begin_steps(fixture.keyspace);
    keyspace_end_steps(fixture.keyspace);
    assert_false(shared_read_end(&read));
    teardown(&fixture);
}

static void readers_that_come_during_the_steps_wait_for_their_end(void **state)
{
    struct fixture fixture;
    struct shared_read read;
    setup(&fixture);
    keyspace_set_gate(fixture.keyspace, GATE_OFF);
    assert_false(fixture.keyspace->has_readers);
    keyspace_begin_steps(fixture.keyspace);
    keyspace_set_gate(fixture.keyspace, 0);
    assert_false(shared_read_begin(&read, fixture.keyspace, READER));
    keyspace_end_steps(fixture.keyspace);
    assert_true(shared_read_begin(&read, fixture.keyspace, READER));
    assert_true(shared_read_end(&read));
    teardown(&fixture);
}

static uint64_t untracked(const struct fixture *fixture)
{
    return atomic_load(&fixture->keyspace->untracked);
}

static void what_pointers_do_not_show_is_counted(void **state)
{
    struct fixture fixture;
    struct table_position position;
    setup(&fixture);
    uint64_t before = untracked(&fixture);
    set(&fixture, "number", "1");
    assert_int_equal(untracked(&fixture), before + 1);
    set(&fixture, "number", "2");
    set(&fixture, "key", "value");
    give_it_a_time(&fixture);
    assert_int_equal(untracked(&fixture), before + 2); /* "key" has come; all else are other pointers */
    keyspace_set_int(fixture.keyspace, find(&fixture, "number", &position),
                     keyspace_hash(fixture.keyspace, SLICE("number")), 3);
    assert_int_equal(untracked(&fixture), before + 3);
    del(&fixture, "key");
    assert_int_equal(untracked(&fixture), before + 4);
    db_flush(&fixture.keyspace->dbs[0]);
    assert_int_equal(untracked(&fixture), before + 5);
    teardown(&fixture);
}

static void keys_that_are_looked_up_together(void **state)
{
    struct fixture fixture;
    struct shared_read read;
    struct slice keys[] = {SLICE("one"), SLICE("none"), SLICE("two")};
    uint64_t hashes[ARRAY_COUNT(keys)];
    struct entry *entries[ARRAY_COUNT(keys)];
    struct table_position position;
    uint64_t mark;
    setup(&fixture);
    set(&fixture, "one", "1");
    set(&fixture, "two", "2");
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        hashes[i] = keyspace_hash(fixture.keyspace, keys[i]);
    assert_true(shared_read_begin(&read, fixture.keyspace, READER));
    assert_true(shared_find_all(&read, 0, keys, hashes, ARRAY_COUNT(keys), entries, &mark));
    assert_int_equal(entry_int(entries[0]), 1);
    assert_null(entries[1]);
    assert_int_equal(entry_int(entries[2]), 2);
    assert_true(shared_still_holds(&read, mark));
    set(&fixture, "two", "3"); /* another pointer */
    assert_true(shared_still_holds(&read, mark));
    keyspace_set_int(fixture.keyspace, find(&fixture, "one", &position),
                     keyspace_hash(fixture.keyspace, SLICE("one")), 5);
    assert_false(shared_still_holds(&read, mark));
    assert_true(shared_read_end(&read));
    teardown(&fixture);
}

#ifdef SKUA_DEBUG
static void debug_builds_count_what_others_could_see(void **state)
{
    struct fixture fixture;
    struct table_position position;
    setup(&fixture);
    struct keyspace *keyspace = fixture.keyspace;
    keyspace->steps_made = 0;
    set(&fixture, "key", "1");
    assert_int_equal(keyspace->steps_made, 1);
    keyspace_set_int(keyspace, find(&fixture, "key", &position), keyspace_hash(keyspace, SLICE("key")), 2);
    assert_int_equal(keyspace->steps_made, 2);
    give_it_a_time(&fixture); /* another block */
    give_it_a_time(&fixture); /* in place */
    assert_int_equal(keyspace->steps_made, 4);
    del(&fixture, "key");
    assert_int_equal(keyspace->steps_made, 5);
    hset(&fixture, "hash", "field", "value");
    assert_int_equal(keyspace->steps_made, 6);
    read_by_executor(&fixture, "hash");
    read_by_executor(&fixture, "hash");
    hset(&fixture, "hash", "field", "closed first");
    assert_int_equal(keyspace->steps_made, 6);
    keyspace_begin_steps(keyspace);
    del(&fixture, "hash");
    keyspace_end_steps(keyspace);
    assert_int_equal(keyspace->steps_made, 6);
    teardown(&fixture);
}
#endif

/* ---- The gate ----------------------------------------------------------------------------------------------- */

static void a_closed_gate_lets_nobody_in(void **state)
{
    struct fixture fixture;
    struct shared_read read;
    setup(&fixture);
    keyspace_set_gate(fixture.keyspace, GATE_MONITOR | GATE_KEY_MISS);
    assert_false(shared_read_begin(&read, fixture.keyspace, READER));
    assert_int_equal(epoch_oldest(&fixture.keyspace->epoch), UINT64_MAX);
    keyspace_set_gate(fixture.keyspace, GATE_KEY_MISS);
    assert_true(shared_read_begin(&read, fixture.keyspace, READER));
    assert_int_equal(read.gate, GATE_KEY_MISS);
    assert_true(shared_read_end(&read));
    teardown(&fixture);
}

static void readers_are_turned_off_when_the_last_one_has_gone(void **state)
{
    struct fixture fixture;
    struct shared_read read;
    struct table_position position;
    setup(&fixture);
    hset(&fixture, "hash", "field", "value");
    read_by_executor(&fixture, "hash");
    read_by_executor(&fixture, "hash");
    assert_true(shared_read_begin(&read, fixture.keyspace, READER));
    set(&fixture, "key", "1");
    set(&fixture, "key", "2");
    keyspace_set_gate(fixture.keyspace, GATE_OFF);
    settle(&fixture);
    assert_true(fixture.keyspace->has_readers); /* one is still there */
    assert_int_equal(fixture.keyspace->limbo.items, 1);
    assert_true(shared_read_end(&read));
    settle(&fixture);
    assert_false(fixture.keyspace->has_readers);
    assert_false(fixture.keyspace->limbo.on);
    /* What is open stays so: a change makes a copy of it once, and gives the readers' reference up at once. */
    assert_true(entry_is_open(find(&fixture, "hash", &position)));
    hset(&fixture, "hash", "field", "other");
    assert_false(entry_is_open(find(&fixture, "hash", &position)));
    assert_int_equal(fixture.keyspace->limbo.items, 0);
    keyspace_set_gate(fixture.keyspace, 0);
    assert_true(fixture.keyspace->has_readers);
    assert_true(shared_read_begin(&read, fixture.keyspace, READER));
    assert_null(look_at_page(&read, "hash"));
    assert_true(shared_read_end(&read));
    teardown(&fixture);
}

static void what_is_open_without_readers_is_freed_like_the_rest(void **state)
{
    struct fixture fixture;
    setup(&fixture);
    for (unsigned i = 0; i < 2; i++) {
        hset(&fixture, i == 0 ? "kept hash" : "hash", "field", "value");
        set_large(&fixture, i == 0 ? "kept large" : "large", LARGE);
    }
    for (unsigned i = 0; i < 2; i++) {
        read_by_executor(&fixture, "hash");
        read_by_executor(&fixture, "large");
        read_by_executor(&fixture, "kept hash");
        read_by_executor(&fixture, "kept large");
    }
    keyspace_set_gate(fixture.keyspace, GATE_OFF);
    assert_false(fixture.keyspace->has_readers);
    del(&fixture, "hash");
    del(&fixture, "large");
    teardown(&fixture);
}

/* ---- Access clocks ------------------------------------------------------------------------------------------ */

static void reads_move_the_access_clock(void **state)
{
    struct fixture fixture;
    struct shared_read read;
    struct entry *entry;
    uint32_t seed = 1;
    setup(&fixture);
    struct keyspace *keyspace = fixture.keyspace;
    set(&fixture, "key", "value");
    keyspace_set_time(keyspace, START_MS + 60000);
    assert_true(shared_read_begin(&read, keyspace, READER));
    assert_int_equal(look_up(&read, "key", &entry), SHARED_FOUND);
    assert_int_not_equal(entry_clock(entry), keyspace->use.fresh);
    shared_touch(&read, entry, &seed);
    assert_int_equal(entry_clock(entry), keyspace->use.fresh);
    assert_int_equal(use_idle_seconds(&keyspace->use, entry), 0);
    assert_true(shared_read_end(&read));
    teardown(&fixture);
}

/* A thousand uses count about as much when readers make them as when the executor does. */
static void reads_count_uses(void **state)
{
    struct fixture fixture;
    struct shared_read read;
    struct entry *entry;
    uint32_t seed = 1, sums[2] = {0, 0};
    setup(&fixture);
    struct keyspace *keyspace = fixture.keyspace;
    use_set_rules(&keyspace->use, &(struct use_rules){true, 10, 1});
    keyspace_set_time(keyspace, START_MS);
    set(&fixture, "key", "value");
    assert_true(shared_read_begin(&read, keyspace, READER));
    assert_int_equal(look_up(&read, "key", &entry), SHARED_FOUND);
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned who = 0; who < 2; who++) {
            entry_set_clock(entry, use_clock_of_frequency(&keyspace->use, 5));
            for (unsigned i = 0; i < 1000; i++) {
                if (who == 0)
                    shared_touch(&read, entry, &seed);
                else
                    use_touch(&keyspace->use, &keyspace->rng, entry);
            }
            sums[who] += use_frequency(&keyspace->use, entry);
        }
    }
    assert_true(shared_read_end(&read));
    assert_in_range(sums[0], sums[1] * 9 / 10, sums[1] * 11 / 10);
    teardown(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_section_has_found_stays_until_it_is_left),
        cmocka_unit_test(many_bytes_do_not_wait_for_company),
        cmocka_unit_test(a_flush_under_a_section_leaves_it_what_it_has),
        cmocka_unit_test(a_section_over_a_swap_of_databases_is_thrown_away),
        cmocka_unit_test(the_second_read_opens_a_page_and_a_change_closes_it),
        cmocka_unit_test(an_open_page_stays_as_long_as_the_section),
        cmocka_unit_test(an_open_string_stays_as_long_as_the_section),
        cmocka_unit_test(a_large_string_is_open_until_it_is_edited),
        cmocka_unit_test(too_large_a_string_stays_closed),
        cmocka_unit_test(a_change_of_several_steps_is_seen_as_a_whole_or_not_at_all),
        cmocka_unit_test(readers_that_come_during_the_steps_wait_for_their_end),
        cmocka_unit_test(what_pointers_do_not_show_is_counted),
        cmocka_unit_test(keys_that_are_looked_up_together),
#ifdef SKUA_DEBUG
        cmocka_unit_test(debug_builds_count_what_others_could_see),
#endif
        cmocka_unit_test(a_closed_gate_lets_nobody_in),
        cmocka_unit_test(readers_are_turned_off_when_the_last_one_has_gone),
        cmocka_unit_test(what_is_open_without_readers_is_freed_like_the_rest),
        cmocka_unit_test(reads_move_the_access_clock),
        cmocka_unit_test(reads_count_uses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
