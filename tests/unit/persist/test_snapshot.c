/* Proves: what a sink gets is the data at the cut, whatever is changed while the walk is under way, with several snapshots at once, with
 * workers and without; that a snapshot stops while it is paused; and that one which is cancelled, whose sink fails, or whose budget is used
 * up ends once, says why, and leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/role.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/exec.h"
#include "exec/post.h"
#include "keyspace/walk.h"
#include "persist/load.h"
#include "persist/persist.h"
#include "persist/snapshot.h"
#include "types/collection.h"
#include "types/digest.h"
#include "types/list.h"

#define KEYS     3000
#define START_US INT64_C(1700000000000000)

struct world {
    struct clock clock;
    struct config *config;
    struct chunk_pool chunks;
    struct worker_pool *workers;
    struct exec *exec;
    struct rng rng;
};

struct capture {
    struct buf bytes;
    enum status answer; /* what `take` says */
    unsigned blocks;
    unsigned ends;
    enum status outcome;
    struct digest wanted;
};

static int64_t wall_us(void *context)
{
    (void)context;
    return START_US;
}

static uint64_t monotonic_ns(void *context)
{
    (void)context;
    return 1;
}

static void world_init(struct world *world, uint64_t seed, unsigned threads)
{
    role_set(ROLE_EXECUTOR | ROLE_IO);
    *world = (struct world){
        .clock = {.wall_us = wall_us, .monotonic_ns = monotonic_ns, .tick_multiplier = UINT64_C(1) << 32}};
    world->config = config_new();
    chunk_pool_init(&world->chunks, 4);
    world->workers = threads > 0 ? worker_pool_new(threads, 0) : NULL;
    world->exec = exec_new(&(struct exec_options){.clock = &world->clock,
                                                  .config = world->config,
                                                  .chunks = &world->chunks,
                                                  .workers = world->workers,
                                                  .hash_seed = seed});
    persist_new(world->exec);
    rng_seed(&world->rng, seed);
}

static void world_done(struct world *world)
{
    if (world->workers != NULL)
        worker_pool_free(world->workers);
    world->exec->workers = world->exec->keyspace->workers = NULL;
    snapshot_end_all(world->exec);
    keyspace_check(world->exec->keyspace);
    persist_free(world->exec->persist);
    exec_free(world->exec);
    chunk_pool_done(&world->chunks);
    config_free(world->config);
}

/* ---- Changes ----------------------------------------------------------------------------------------------- */

static struct entry *new_string(struct world *world, struct slice name)
{
    static const char bytes[40000];
    size_t size =
        rng_below(&world->rng, 10) == 0 ? 20000 + rng_below(&world->rng, 20000) : rng_below(&world->rng, 200);
    struct entry_options options = {.expire_ms = rng_below(&world->rng, 3) ? ENTRY_NO_EXPIRE
                                                                           : START_US / 1000 + 100000000};
    if (rng_below(&world->rng, 3) == 0)
        return entry_new_int(world->exec->heap, name, (int64_t)rng_below(&world->rng, 1000), &options);
    return entry_new_string(world->exec->heap, name, slice_make(bytes, size), &options);
}

/* Puts an element into a list, in place where it can be. */
static void push(struct world *world, struct db *db, struct table_position *position, struct slice name,
                 uint64_t hash)
{
    struct keyspace *keyspace = world->exec->keyspace;
    struct entry *entry = position != NULL ? table_item_at(position) : NULL, *made;
    struct collection_view list;
    struct element element;
    element_scratch scratch;
    struct entry_options options = {.expire_ms = ENTRY_NO_EXPIRE};
    if (entry != NULL) {
        db_note_change(db, entry, hash);
        collection_open(&list, keyspace, entry);
    } else {
        collection_begin(&list, keyspace, ENTRY_LIST);
    }
    unsigned count = rng_below(&world->rng, 20) == 0 ? 2000 : 1;
    for (unsigned i = 0; i < count; i++) {
        char text[32];
        int size = snprintf(text, sizeof text, "element %u", (unsigned)rng_below(&world->rng, 100000));
        assert_int_equal(element_make(slice_make(text, (size_t)size), scratch, &element), ST_OK);
        list_push(list.rows, i % 2, element);
    }
    if (collection_close(&list, entry, name, ENTRY_LIST, &options, &made) == COLLECTION_REPLACED) {
        if (entry != NULL)
            db_replace(db, position, made, hash);
        else
            assert_int_equal(db_insert(db, made, hash), ST_OK);
    }
}

static void change(struct world *world)
{
    char text[300];
    struct db *db = &world->exec->keyspace->dbs[rng_below(&world->rng, 2) * 5];
    size_t number = rng_below(&world->rng, KEYS);
    struct slice name = slice_make(text, (size_t)snprintf(text, sizeof text, "key:%zu", number));
    uint64_t hash = keyspace_hash(world->exec->keyspace, name);
    struct table_position position;
    struct entry *entry = db_locate(db, name, hash, &position);
    unsigned way = (unsigned)rng_below(&world->rng, 10);
    if (number % 3 == 0) {
        if (entry != NULL && way == 0)
            db_remove(db, &position);
        else
            push(world, db, entry != NULL ? &position : NULL, name, hash);
    } else if (entry == NULL) {
        assert_int_equal(db_insert(db, new_string(world, name), hash), ST_OK);
    } else if (way < 3) {
        db_remove(db, &position);
    } else if (way < 5) {
        assert_int_equal(db_set_expire(db, &position, hash, START_US / 1000 + 200000000), ST_OK);
    } else if (way < 8 && entry_encoding(entry) == ENTRY_INT) {
        db_note_change(db, entry, hash);
        keyspace_set_int(world->exec->keyspace, entry, keyspace_hash(world->exec->keyspace, entry_key(entry)),
                         entry_int(entry) + 1);
    } else {
        db_replace(db, &position, new_string(world, name), hash);
    }
}

static void churn(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        change(world);
}

/* ---- Snapshots --------------------------------------------------------------------------------------------- */

static enum status take(void *context, struct snapshot_block *block)
{
    struct capture *capture = context;
    if (capture->answer != ST_OK)
        return capture->answer;
    assert_int_equal(block->start, capture->bytes.size);
    buf_append(&capture->bytes, block->data, block->size);
    capture->blocks++;
    return ST_OK;
}

static void ended(void *context, enum status outcome)
{
    struct capture *capture = context;
    capture->ends++;
    capture->outcome = outcome;
}

static struct snapshot *begin(struct world *world, struct capture *capture, enum status answer)
{
    *capture = (struct capture){.answer = answer};
    digest_keyspace(world->exec->keyspace, &capture->wanted);
    const struct snapshot_options options = {.version = 11, .compress = true, .checksum = true};
    const struct snapshot_sink sink = {capture, take, ended};
    struct snapshot *snapshot = snapshot_begin(world->exec, &options, &sink);
    assert_non_null(snapshot);
    return snapshot;
}

/* What happens between two batches. */
static void turn(struct world *world)
{
    exec_run_posts(world->exec);
    exec_task_step(world->exec, 1);
    keyspace_reclaim_step(world->exec->keyspace);
}

static void run_to_end(struct world *world, const struct capture *capture)
{
    while (capture->ends == 0)
        turn(world);
    assert_int_equal(capture->ends, 1);
}

/* The stream is what the data was at the cut. */
static void check(struct capture *capture)
{
    struct world other;
    struct digest found;
    struct load_options options = {.bytes_total = capture->bytes.size};
    assert_int_equal(capture->outcome, ST_OK);
    world_init(&other, 99, 0);
    struct load *load = load_new(other.exec, &options);
    enum status status = load_feed(load, buf_slice(&capture->bytes), UINT64_MAX);
    while (status == ST_LIMIT)
        status = load_feed(load, SLICE(""), UINT64_MAX);
    assert_int_equal(status, ST_OK);
    load_free(load);
    digest_keyspace(other.exec->keyspace, &found);
    assert_memory_equal(&found, &capture->wanted, sizeof found);
    world_done(&other);
    buf_done(&capture->bytes);
}

static void the_stream_is_the_data_at_the_cut(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct world world;
        struct capture capture;
        world_init(&world, seed, seed % 3);
        churn(&world, 8000);
        begin(&world, &capture, ST_OK);
        while (capture.ends == 0) {
            churn(&world, (unsigned)rng_below(&world.rng, 200));
            if (rng_below(&world.rng, 60) == 0)
                keyspace_swap(world.exec->keyspace, 0, 5);
            if (rng_below(&world.rng, 60) == 0)
                db_flush(&world.exec->keyspace->dbs[5]);
            turn(&world);
        }
        check(&capture);
        world_done(&world);
    }
}

static void several_at_once_have_cuts_of_their_own(void **state)
{
    (void)state;
    struct world world;
    struct capture captures[4];
    world_init(&world, 5, 2);
    churn(&world, 8000);
    for (unsigned i = 0; i < 4; i++) {
        begin(&world, &captures[i], ST_OK);
        for (unsigned turns = 0; turns < 5; turns++) {
            churn(&world, 100);
            turn(&world);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        run_to_end(&world, &captures[i]);
        check(&captures[i]);
    }
    world_done(&world);
}

static void note_latency(void *context, const char *event, uint64_t duration_ns)
{
    (void)duration_ns;
    assert_string_equal(event, "snapshot");
    (*(unsigned *)context)++;
}

static void steps_that_take_long_are_events(void **state)
{
    (void)state;
    struct world world;
    struct capture capture;
    unsigned events = 0;
    world_init(&world, 4, 0);
    churn(&world, 8000);
    world.exec->hooks.context = &events;
    world.exec->hooks.latency = note_latency;
    begin(&world, &capture, ST_OK);
    turn(&world);
    assert_int_equal(events, 0); /* nobody wants to know */
    world.exec->latency_ns = 0;
    run_to_end(&world, &capture);
    assert_true(events > 0);
    check(&capture);
    world_done(&world);
}

static void an_empty_server_has_a_snapshot_too(void **state)
{
    (void)state;
    struct world world;
    struct capture capture;
    world_init(&world, 1, 0);
    begin(&world, &capture, ST_OK);
    run_to_end(&world, &capture);
    check(&capture);
    world_done(&world);
}

static void a_paused_one_waits(void **state)
{
    (void)state;
    struct world world;
    struct capture capture;
    struct snapshot_progress before, after;
    world_init(&world, 2, 0);
    churn(&world, 8000);
    struct snapshot *snapshot = begin(&world, &capture, ST_OK);
    turn(&world);
    snapshot_pause(snapshot, true);
    snapshot_progress(snapshot, &before);
    for (unsigned i = 0; i < 100; i++)
        turn(&world);
    snapshot_progress(snapshot, &after);
    assert_true(before.keys_done > 0 && before.keys_done < before.keys_total);
    assert_int_equal(after.keys_done, before.keys_done);
    churn(&world, 1000); /* these are kept meanwhile */
    snapshot_progress(snapshot, &after);
    assert_true(after.keys_done > before.keys_done && after.held_bytes > 0);
    snapshot_pause(snapshot, false);
    run_to_end(&world, &capture);
    check(&capture);
    world_done(&world);
}

static void whoever_is_cancelled_ends_once(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 30; turns++) {
        struct world world;
        struct capture capture;
        world_init(&world, turns + 1, turns % 3);
        churn(&world, 3000);
        struct snapshot *snapshot = begin(&world, &capture, ST_OK);
        for (unsigned i = 0; i < turns && capture.ends == 0; i++) {
            churn(&world, 20);
            turn(&world);
        }
        if (capture.ends == 0) {
            if (turns % 2)
                snapshot_pause(snapshot, true);
            snapshot_cancel(snapshot);
            snapshot_cancel(snapshot);
            assert_int_equal(capture.ends, 0); /* not from in there */
            churn(&world, 20);
            run_to_end(&world, &capture);
            assert_int_equal(capture.outcome, ST_EOF);
        }
        assert_true(list_is_empty(&world.exec->keyspace->dbs[0].walks));
        churn(&world, 100);
        buf_done(&capture.bytes);
        world_done(&world);
    }
}

static void a_sink_that_fails_ends_it(void **state)
{
    (void)state;
    struct world world;
    struct capture capture;
    world_init(&world, 3, 1);
    churn(&world, 8000);
    begin(&world, &capture, ST_IO);
    run_to_end(&world, &capture);
    assert_int_equal(capture.outcome, ST_IO);
    world_done(&world);
}

static void past_its_budget_it_is_given_up(void **state)
{
    (void)state;
    struct world world;
    struct capture capture;
    world_init(&world, 4, 0);
    churn(&world, 8000);
    world.config->snapshot_memory_budget = 200000;
    struct snapshot *snapshot = begin(&world, &capture, ST_OK);
    turn(&world);
    snapshot_pause(snapshot, true);
    churn(&world, 5000);
    run_to_end(&world, &capture);
    assert_int_equal(capture.outcome, ST_LIMIT);
    buf_done(&capture.bytes);
    world_done(&world);
}

/* The end of the server. */
static void what_runs_at_the_end_is_cancelled(void **state)
{
    (void)state;
    for (unsigned threads = 0; threads < 3; threads++) {
        struct world world;
        struct capture captures[2];
        world_init(&world, 6, threads);
        churn(&world, 8000);
        begin(&world, &captures[0], ST_OK);
        turn(&world);
        begin(&world, &captures[1], ST_OK);
        world_done(&world);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(captures[i].ends, 1);
            assert_int_equal(captures[i].outcome, ST_EOF);
            buf_done(&captures[i].bytes);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_is_the_data_at_the_cut),
        cmocka_unit_test(several_at_once_have_cuts_of_their_own),
        cmocka_unit_test(steps_that_take_long_are_events),
        cmocka_unit_test(an_empty_server_has_a_snapshot_too),
        cmocka_unit_test(a_paused_one_waits),
        cmocka_unit_test(whoever_is_cancelled_ends_once),
        cmocka_unit_test(a_sink_that_fails_ends_it),
        cmocka_unit_test(past_its_budget_it_is_given_up),
        cmocka_unit_test(what_runs_at_the_end_is_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
