/* Proves that a stream is an ordered list of entries in which each keeps its fields: against an array, with entries of
 * every shape (same and other names, integers, long values, many fields), ids near and far, leaves of every size, entries
 * taken out anywhere and in ranges, walks in both directions, and holders who see what was there when they came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/role.h"
#include "keyspace/keyspace.h"
#include "types/stream.h"

#define ENTRIES_MAX 20000
#define PAIRS_MAX   400
#define TEXT_MAX    3000
#define HOLDERS_MAX 4

struct model_entry {
    struct stream_id id;
    uint32_t shape; /* from which all of its fields follow */
};

struct model {
    struct model_entry entries[ENTRIES_MAX];
    size_t count;
    struct stream_id max_deleted_id;
};

/* The fields of one entry, in memory of their own. */
struct fields {
    struct slice pairs[2 * PAIRS_MAX];
    uint32_t count;
    char texts[2 * PAIRS_MAX + 2][32];
    char lengthy[TEXT_MAX];
};

struct fixture {
    struct keyspace *keyspace;
    struct entry *entry;
    struct rng rng;
    struct model model;
    struct stream_limits limits;
    const struct stream *holders[HOLDERS_MAX];
    struct model *held[HOLDERS_MAX];
    struct fields fields;
};

/* ---- Entries ---------------------------------------------------------------------------------------------------- */

static void set_pair(struct fields *fields, uint32_t pair, const char *name, uint64_t value, bool is_int)
{
    char *name_text = fields->texts[2 * pair], *value_text = fields->texts[2 * pair + 1];
    int name_size = snprintf(name_text, sizeof *fields->texts, "%s%u", name, pair);
    int value_size = snprintf(value_text, sizeof *fields->texts, is_int ? "%lld" : "v%lld", (long long)value);
    fields->pairs[2 * pair] = slice_make(name_text, (size_t)name_size);
    fields->pairs[2 * pair + 1] = slice_make(value_text, (size_t)value_size);
}

/* Mostly one small field of the usual name; sometimes anything else. */
static void make_fields(uint32_t shape, struct fields *fields)
{
    struct rng rng;
    rng_seed(&rng, shape);
    unsigned kind = (unsigned)rng_below(&rng, 24);
    uint64_t value = rng_next(&rng) >> rng_below(&rng, 64);
    fields->count = kind == 1 ? PAIRS_MAX : kind == 2 ? 90 : kind < 6 ? 1 + (uint32_t)rng_below(&rng, 5) : 1;
    const char *name = kind == 3 ? "other" : kind == 4 ? "a-name-that-is-not-short" : "f";
    for (uint32_t i = 0; i < fields->count; i++)
        set_pair(fields, i, name, value + i, kind % 2 == 0);
    if (kind == 7)
        fields->pairs[0] = fields->pairs[1] = SLICE("");
    if (kind != 8 && kind != 9)
        return;
    size_t size = (size_t)rng_below(&rng, TEXT_MAX);
    memset(fields->lengthy, 'x', size);
    fields->pairs[kind == 8 ? 1 : 0] = slice_make(fields->lengthy, size);
}

static void check_entry(struct fixture *fixture, const struct log_entry *entry,
                        const struct model_entry *model)
{
    struct log_fields fields;
    struct slice name, value;
    assert_true(stream_id_equal(entry->id, model->id));
    make_fields(model->shape, &fixture->fields);
    log_fields_begin(&fields, entry);
    assert_int_equal(fields.count, fixture->fields.count);
    for (uint32_t i = 0; i < fixture->fields.count; i++) {
        assert_true(log_fields_next(&fields, &name, &value));
        assert_true(slice_equal(name, fixture->fields.pairs[2 * i]));
        assert_true(slice_equal(value, fixture->fields.pairs[2 * i + 1]));
    }
    assert_false(log_fields_next(&fields, &name, &value));
}

/* ---- Looking ---------------------------------------------------------------------------------------------------- */

/* The number of entries of the model before `id`. */
static size_t position_of(const struct model *model, struct stream_id id)
{
    size_t low = 0, high = model->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (stream_id_compare(model->entries[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct stream_id some_id(struct fixture *fixture, const struct model *model)
{
    if (model->count == 0 || rng_below(&fixture->rng, 20) == 0)
        return rng_below(&fixture->rng, 2) == 0 ? STREAM_ID_MIN : STREAM_ID_MAX;
    struct stream_id id = model->entries[rng_below(&fixture->rng, model->count)].id;
    if (rng_below(&fixture->rng, 3) == 0)
        stream_id_increment(&id);
    else if (rng_below(&fixture->rng, 3) == 0)
        stream_id_decrement(&id);
    return id;
}

static void check_walk(struct fixture *fixture, const struct stream *stream, const struct model *model,
                       bool backwards)
{
    struct stream_cursor cursor;
    struct stream_id from = some_id(fixture, model);
    size_t at = position_of(model, from);
    if (backwards && at < model->count && stream_id_equal(model->entries[at].id, from))
        at++;
    bool more = stream_seek(&cursor, stream, from, backwards);
    for (unsigned steps = 0; steps < 400; steps++) {
        assert_int_equal(more, backwards ? at > 0 : at < model->count);
        if (!more)
            return;
        check_entry(fixture, &cursor.entry, &model->entries[backwards ? --at : at++]);
        more = stream_step(&cursor);
    }
}

static void check_stream(struct fixture *fixture, const struct stream *stream, const struct model *model)
{
    struct log_entry entry;
    stream_check(stream);
    assert_int_equal(stream_length(stream), model->count);
    bool any = model->count > 0;
    struct stream_id first = any ? model->entries[0].id : STREAM_ID_MIN;
    struct stream_id last = any ? model->entries[model->count - 1].id : STREAM_ID_MIN;
    assert_true(stream_id_equal(stream_first_id(stream), first));
    assert_true(stream_id_equal(stream_end_id(stream), last));
    assert_true(stream_id_equal(stream->max_deleted_id, model->max_deleted_id));
    check_walk(fixture, stream, model, false);
    check_walk(fixture, stream, model, true);
    struct stream_id id = some_id(fixture, model);
    size_t at = position_of(model, id);
    bool is_there = at < model->count && stream_id_equal(model->entries[at].id, id);
    assert_int_equal(stream_find(stream, id, &entry), is_there);
    if (is_there)
        check_entry(fixture, &entry, &model->entries[at]);
}

/* ---- Changing --------------------------------------------------------------------------------------------------- */

static void append(struct fixture *fixture, struct stream *stream)
{
    struct model *model = &fixture->model;
    struct stream_id id = stream->last_id;
    unsigned kind = (unsigned)rng_below(&fixture->rng, 10);
    if (model->count == ENTRIES_MAX)
        return;
    if (kind < 5)
        id.seq += 1 + (kind == 4 ? rng_next(&fixture->rng) >> 40 : 0);
    else
        id = (struct stream_id){id.ms + 1 + (rng_next(&fixture->rng) >> (kind == 9 ? 20 : 55)),
                                kind == 8 ? rng_next(&fixture->rng) >> 30 : 0};
    uint32_t shape = (uint32_t)rng_next(&fixture->rng);
    make_fields(shape, &fixture->fields);
    struct log_draft draft = {.id = id, .pairs = fixture->fields.pairs, .pair_count = fixture->fields.count};
    uint64_t added = stream->entries_added;
    assert_true(stream_append(stream, &draft, &fixture->limits));
    assert_int_equal(stream->entries_added, added + 1);
    model->entries[model->count++] = (struct model_entry){id, shape};
}

static void forget(struct model *model, size_t at, size_t count)
{
    model->count -= count;
    memmove(model->entries + at, model->entries + at + count, (model->count - at) * sizeof *model->entries);
}

static void take_out(struct fixture *fixture, struct stream *stream)
{
    struct model *model = &fixture->model;
    struct stream_id id = some_id(fixture, model);
    size_t at = position_of(model, id);
    bool is_there = at < model->count && stream_id_equal(model->entries[at].id, id);
    assert_int_equal(stream_remove(stream, id), is_there);
    if (!is_there)
        return;
    forget(model, at, 1);
    if (stream_id_compare(model->max_deleted_id, id) < 0)
        model->max_deleted_id = id;
}

/* What "~" leaves is not foretold, only that it does not take too much. */
static void trim(struct fixture *fixture, struct stream *stream)
{
    struct model *model = &fixture->model;
    struct stream_trim trim = {.by = STREAM_TRIM_LENGTH, .whole_nodes = rng_below(&fixture->rng, 2) == 0};
    trim.length = model->count - rng_below(&fixture->rng, model->count / 4 + 1);
    size_t most = model->count - trim.length;
    if (rng_below(&fixture->rng, 2) == 0) {
        trim.by = STREAM_TRIM_ID;
        trim.id = some_id(fixture, model);
        if (stream_id_equal(trim.id, STREAM_ID_MAX))
            trim.id = STREAM_ID_MIN;
        most = position_of(model, trim.id);
    }
    if (trim.whole_nodes && rng_below(&fixture->rng, 2) == 0)
        trim.limit = 1 + rng_below(&fixture->rng, 200);
    uint64_t gone = stream_trim(fixture->keyspace, stream, &trim);
    assert_true(trim.whole_nodes ? gone <= most : gone == most);
    assert_true(trim.limit == 0 || gone <= trim.limit);
    forget(model, 0, gone);
}

/* Somebody begins or ends to hold the stream as it is. */
static void change_holder(struct fixture *fixture)
{
    size_t which = rng_below(&fixture->rng, HOLDERS_MAX);
    if (fixture->holders[which] != NULL) {
        check_stream(fixture, fixture->holders[which], fixture->held[which]);
        keyspace_release_object(fixture->keyspace, (struct object *)&fixture->holders[which]->object);
        mem_free(fixture->held[which]);
        fixture->holders[which] = NULL;
        return;
    }
    fixture->holders[which] = stream_ref(stream_of(fixture->entry));
    fixture->held[which] = mem_alloc(sizeof *fixture->held[which]);
    *fixture->held[which] = fixture->model;
}

static void step(struct fixture *fixture, unsigned removes_of_ten)
{
    struct stream *stream = stream_change(fixture->keyspace, fixture->entry);
    if (rng_below(&fixture->rng, 10) >= removes_of_ten)
        append(fixture, stream);
    else if (rng_below(&fixture->rng, 100) > 0)
        take_out(fixture, stream);
    else
        trim(fixture, stream);
}

static void end(struct fixture *fixture)
{
    struct heap_stats stats;
    struct keyspace *keyspace = fixture->keyspace;
    for (size_t i = 0; i < HOLDERS_MAX; i++)
        if (fixture->holders[i] != NULL) {
            check_stream(fixture, fixture->holders[i], fixture->held[i]);
            keyspace_release_object(keyspace, (struct object *)&fixture->holders[i]->object);
            mem_free(fixture->held[i]);
        }
    keyspace_retire(keyspace, fixture->entry);
    while (keyspace_reclaim_step(keyspace))
        ;
    heap_stats(keyspace->heap, &stats);
    assert_int_equal(stats.used_bytes, 0);
    keyspace_free(keyspace);
    mem_free(fixture);
}

static void run(uint64_t seed, unsigned rounds, struct stream_limits limits)
{
    struct fixture *fixture = mem_calloc(1, sizeof *fixture);
    struct entry_options options = {.expire_ms = ENTRY_NO_EXPIRE};
    rng_seed(&fixture->rng, seed);
    fixture->limits = limits;
    fixture->keyspace = keyspace_new(1, seed, 1000, NULL);
    struct stream *stream = stream_new(fixture->keyspace->heap);
    fixture->entry =
        entry_new_object(fixture->keyspace->heap, SLICE("key"), ENTRY_STREAM, &stream->object, &options);
    for (unsigned round = 0; round < rounds; round++) {
        unsigned steps = (unsigned)rng_below(&fixture->rng, 300);
        for (unsigned i = 0; i < steps; i++)
            step(fixture, round % 10 < 6 ? 1 : 9);
        check_stream(fixture, stream_of(fixture->entry), &fixture->model);
        if (rng_below(&fixture->rng, 3) == 0)
            change_holder(fixture);
    }
    end(fixture);
}

static void test_a_stream_is_an_ordered_list(void **state)
{
    run(1, 100, (struct stream_limits){4096, 100});
    run(2, 100, (struct stream_limits){0, 0});
}

static void test_small_nodes(void **state)
{
    run(3, 60, (struct stream_limits){200, 0});
    run(4, 60, (struct stream_limits){1, 0});
    run(5, 60, (struct stream_limits){0, 3});
}

static void test_streams_that_stay_small(void **state)
{
    for (uint64_t seed = 6; seed < 60; seed++)
        run(seed, 3, (struct stream_limits){4096, 100});
}

static void test_entries_cost_what_they_hold(void **state)
{
    struct keyspace *keyspace = keyspace_new(1, 1, 1000, NULL);
    struct stream *stream = stream_new(keyspace->heap);
    struct stream_limits limits = {4096, 100};
    for (unsigned i = 0; i < 100000; i++) {
        char text[16];
        snprintf(text, sizeof text, "v%07u", i);
        struct slice pairs[] = {SLICE("f"), slice_make(text, 8)};
        struct log_draft draft = {{1700000000000 + i / 100, i % 100}, pairs, 1};
        assert_true(stream_append(stream, &draft, &limits));
    }
    /* Eight bytes of value, their size, the flags; the id is in the flags. */
    assert_true(tree_memory(&stream->entries) < 100000 * 11.5);
    keyspace_release_object(keyspace, &stream->object);
    while (keyspace_reclaim_step(keyspace))
        ;
    keyspace_free(keyspace);
}

/* ---- Ids ---------------------------------------------------------------------------------------------------------- */

static void test_ids_are_read_and_written(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        struct stream_id id;
    } cases[] = {
        {"1-2", true, {1, 2}},
        {"7", true, {7, 9}},
        {"007-01", true, {7, 1}},
        {"18446744073709551615-18446744073709551615", true, {UINT64_MAX, UINT64_MAX}},
        {"18446744073709551616-1", false, {0, 0}},
        {"1-18446744073709551616", false, {0, 0}},
        {"1-", false, {0, 0}},
        {"-1", false, {0, 0}},
        {"", false, {0, 0}},
        {"-", false, {0, 0}},
        {"+", false, {0, 0}},
        {"1-2-3", false, {0, 0}},
        {"1-*", false, {0, 0}},
        {"1 ", false, {0, 0}},
        {"x", false, {0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stream_id id = {0, 0};
        assert_int_equal(stream_id_parse(slice_from_string(cases[i].text), 9, &id), cases[i].ok);
        assert_true(stream_id_equal(id, cases[i].id));
    }
    stream_id_text text;
    size_t size = stream_id_format(STREAM_ID_MAX, text);
    assert_true(slice_equal(slice_make(text, size), SLICE("18446744073709551615-18446744073709551615")));
}

static void test_ids_have_neighbours(void **state)
{
    struct stream_id id = {1, UINT64_MAX};
    assert_true(stream_id_increment(&id) && stream_id_equal(id, (struct stream_id){2, 0}));
    assert_true(stream_id_decrement(&id) && stream_id_equal(id, (struct stream_id){1, UINT64_MAX}));
    id = STREAM_ID_MAX;
    assert_true(!stream_id_increment(&id) && stream_id_equal(id, STREAM_ID_MAX));
    id = STREAM_ID_MIN;
    assert_true(!stream_id_decrement(&id) && stream_id_equal(id, STREAM_ID_MIN));
}

int main(void)
{
    role_set(ROLE_EXECUTOR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_is_an_ordered_list),
        cmocka_unit_test(test_small_nodes),
        cmocka_unit_test(test_streams_that_stay_small),
        cmocka_unit_test(test_entries_cost_what_they_hold),
        cmocka_unit_test(test_ids_are_read_and_written),
        cmocka_unit_test(test_ids_have_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
