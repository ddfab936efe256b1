/* Proves that a value is the same after it was written and read, whatever its type, its size and the steps in which it was
 * written; that the steps make no difference to the bytes; that what is written is the value as it was in the beginning,
 * also when the key has changed or gone meanwhile; that every payload carries its seal; and that nothing is left behind
 * when writing or reading ends early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/role.h"
#include "rdb/decode.h"
#include "rdb/payload.h"
#include "types/check.h"
#include "types/list.h"
#include "types/members.h"
#include "types/stream_group.h"
#include "types/zset.h"

#define TEXT_SIZE_MAX 400000

static const struct rdb_limits limits = {
    .hash = {128, 64},
    .set = {512, 128, 64},
    .zset_entries = 128,
    .zset_value = 64,
    .list_size = -2,
    .text_max = (uint64_t)512 << 20,
};

static struct keyspace *new_keyspace(void)
{
    return keyspace_new(1, 5, 1000, NULL);
}

/* All that was taken from the heap must have come back. */
static void free_keyspace(struct keyspace *keyspace)
{
    struct heap_stats stats;
    while (keyspace_reclaim_step(keyspace))
        ;
    heap_stats(keyspace->heap, &stats);
    assert_int_equal(stats.used_bytes, 0);
    keyspace_free(keyspace);
}

/* ---- Values to write --------------------------------------------------------------------------------------- */

/* Text number i: integers, short and long texts, and sometimes a very long one. */
static struct slice make_text(uint64_t i, bool is_plain, char text[TEXT_SIZE_MAX])
{
    size_t size = (size_t)snprintf(text, TEXT_SIZE_MAX, i % 3 == 0 ? "%d" : "text:%d", (int)(i * 7919));
    size_t wanted = i % 5 == 1 ? i % 60 : 0;
    if (!is_plain && i % 41 == 1)
        wanted = i % 900;
    if (!is_plain && i % 997 == 1)
        wanted = TEXT_SIZE_MAX;
    if (wanted > size) {
        memset(text + size, (int)('a' + i % 26), wanted - size);
        size = wanted;
    }
    return slice_make(text, size);
}

static struct element new_element(struct slice text, element_scratch scratch)
{
    struct element element;
    assert_int_equal(element_make(text, scratch, &element), ST_OK);
    return element;
}

static void add_row(struct collection_view *view, enum entry_type type, uint64_t i, bool is_plain,
                    struct rdb_value *marks)
{
    static char text[TEXT_SIZE_MAX], value_text[TEXT_SIZE_MAX];
    element_scratch scratch, value_scratch;
    struct tree_place place;
    uint64_t hash;
    struct slice whole = make_text(i, is_plain, text);
    struct element element = new_element(whole, scratch);
    switch (type) {
    case ENTRY_LIST: list_push(view->rows, false, element); break;
    case ENTRY_SET:
        assert_false(members_find(view->rows, element, &place, &hash));
        members_add(view->rows, &place, hash, &(struct row){.elements[0] = element});
        marks->marks = set_marks(view->rows, marks->marks, &element, &limits.set);
        break;
    case ENTRY_ZSET:
        zset_add(view, element, (double)(int64_t)(i % 100) / 4 - 3);
        if (whole.size > limits.zset_value || tree_rows(view->rows) > limits.zset_entries)
            marks->marks = ENTRY_GROWN;
        break;
    default:
        hash_set(view->rows, 0, element, new_element(make_text(i + 3, true, value_text), value_scratch),
                 ENTRY_NO_EXPIRE);
        marks->marks = hash_marks(view->rows, marks->marks, whole.size, &limits.hash);
    }
}

/* An entry of a type with `rows` rows; of a string, as many bytes. */
static struct entry *make_entry(struct keyspace *keyspace, enum entry_type type, uint64_t rows, bool is_plain)
{
    struct entry_options options = {.expire_ms = ENTRY_NO_EXPIRE};
    if (type == ENTRY_STRING) {
        char *bytes = mem_alloc(rows + 1);
        for (uint64_t i = 0; i < rows; i++)
            bytes[i] = (char)('0' + (is_plain ? i % 10 : i * i % 61 + i / 1000 % 7));
        struct entry *entry =
            entry_new_string(keyspace->heap, SLICE("key"), slice_make(bytes, rows), &options);
        mem_free(bytes);
        return entry;
    }
    struct collection_view view;
    struct rdb_value marks = {0};
    struct entry *entry = NULL;
    collection_begin(&view, keyspace, type);
    for (uint64_t i = 0; i < rows; i++)
        add_row(&view, type, i, is_plain, &marks);
    if (type == ENTRY_LIST)
        marks.marks = list_is_compact(view.rows, limits.list_size, false) ? 0 : ENTRY_GROWN;
    options.marks = marks.marks;
    assert_int_equal(collection_close(&view, NULL, SLICE("key"), type, &options, &entry),
                     COLLECTION_REPLACED);
    return entry;
}

/* Whether both have the same rows. Both were built in the same order, so trees of the same seed are walked alike but for
 * leaves in no order: there each row is looked up. */
static void expect_equal(struct keyspace *keyspace, struct entry *one, struct entry *other)
{
    assert_int_equal(entry_type(one), entry_type(other));
    if (entry_type(one) == ENTRY_STRING) {
        entry_scratch one_scratch, other_scratch;
        assert_true(slice_equal(entry_string(one, one_scratch), entry_string(other, other_scratch)));
        return;
    }
    assert_int_equal(one->flags & ENTRY_MARKS, other->flags & ENTRY_MARKS);
    struct collection_view a, b;
    struct tree_place place, found;
    collection_open(&a, keyspace, one);
    collection_open(&b, keyspace, other);
    assert_int_equal(tree_rows(a.rows), tree_rows(b.rows));
    uint64_t position = 0;
    tree_at(a.rows, 0, &place);
    do {
        for (unsigned row = 0; row < place.page->count; row++, position++) {
            struct element first = page_element(place.page, row, 0);
            element_scratch scratch;
            if (a.rows->type->scattered)
                assert_true(members_locate(b.rows, element_text(first, scratch), &found));
            else
                tree_at(b.rows, position, &found);
            assert_true(element_equal(first, page_element(found.page, found.row, 0)));
            if (page_shape(place.page)->elements == 2)
                assert_true(
                    element_equal(page_element(place.page, row, 1), page_element(found.page, found.row, 1)));
            if (page_shape(place.page)->numbers != NUMBERS_NONE)
                assert_true(page_number(place.page, row) == page_number(found.page, found.row));
        }
    } while (tree_next_page(a.rows, &place));
}

/* ---- Writing and reading ----------------------------------------------------------------------------------- */

/* The payload of an entry, written in steps of `step` bytes. `gone`: the entry goes after the first step. */
static struct buf write_payload(struct keyspace *keyspace, struct entry *entry, unsigned version, size_t step,
                                bool gone)
{
    struct rdb_payload *payload = mem_alloc(sizeof *payload);
    enum status status;
    assert_int_equal(rdb_payload_begin(payload, keyspace, entry, version), ST_OK);
    if (gone)
        entry_free(keyspace->heap, entry);
    while ((status = rdb_payload_step(payload, step)) == ST_AGAIN)
        ;
    assert_int_equal(status, ST_OK);
    struct buf bytes = payload->bytes;
    payload->bytes = (struct buf){0};
    rdb_payload_done(payload);
    mem_free(payload);
    return bytes;
}

static enum status open_payload(struct slice bytes, unsigned *ret_version, struct slice *ret_value)
{
    struct rdb_seal seal;
    enum status status = rdb_seal_open(&seal, bytes, ret_version);
    if (status == ST_OK)
        status = rdb_seal_step(&seal, SIZE_MAX);
    if (status == ST_OK)
        *ret_value = rdb_seal_value(&seal);
    return status;
}

static struct entry *read_payload(struct keyspace *keyspace, struct slice bytes)
{
    struct slice value_bytes;
    unsigned version;
    uint8_t type;
    struct rdb_reader reader;
    struct rdb_value *value = mem_alloc(sizeof *value);
    struct entry_options options = {.expire_ms = ENTRY_NO_EXPIRE};
    assert_int_equal(open_payload(bytes, &version, &value_bytes), ST_OK);
    rdb_reader_init(&reader, value_bytes, limits.text_max);
    assert_int_equal(rdb_read_byte(&reader, &type), ST_OK);
    assert_int_equal(rdb_decode(&reader, type, version, keyspace, &limits, NULL, value), ST_OK);
    assert_int_equal(rdb_left(&reader), 0);
    struct entry *entry = rdb_value_entry(value, keyspace, SLICE("key"), &options);
    assert_non_null(entry);
    mem_free(value);
    return entry;
}

static void round_trip(enum entry_type type, uint64_t rows, bool is_plain)
{
    struct keyspace *keyspace = new_keyspace();
    struct entry *entry = make_entry(keyspace, type, rows, is_plain);
    struct buf whole = write_payload(keyspace, entry, 10, SIZE_MAX / 2, false);
    const size_t steps[] = {1, 1000, 65536};
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        struct buf bytes = write_payload(keyspace, entry, 10, steps[i], false);
        assert_int_equal(bytes.size, whole.size);
        assert_memory_equal(bytes.data, whole.data, whole.size);
        buf_done(&bytes);
    }
    struct entry *again = read_payload(keyspace, buf_slice(&whole));
    struct db *db = &keyspace->dbs[0];
    expect_equal(keyspace, entry, again);
    assert_int_equal(db_insert(db, again, keyspace_hash(keyspace, SLICE("key"))), ST_OK);
    entry_check(keyspace, again, CHECK_WHOLE);
    struct table_position position;
    db_locate(db, SLICE("key"), keyspace_hash(keyspace, SLICE("key")), &position);
    again = db_take(db, &position);
    struct buf gone = write_payload(keyspace, again, 10, 500, true);
    if (type == ENTRY_STRING || type == ENTRY_LIST) /* the others are in no order */
        assert_memory_equal(gone.data, whole.data, whole.size);
    assert_int_equal(gone.size, whole.size);
    buf_done(&gone);
    buf_done(&whole);
    entry_free(keyspace->heap, entry);
    free_keyspace(keyspace);
}

static void test_strings(void **state)
{
    static const uint64_t sizes[] = {0,      1,      20,     21, 1000, ENTRY_INLINE_MAX, ENTRY_INLINE_MAX + 1,
                                     262144, 262145, 3000000};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++)
        for (int is_plain = 0; is_plain < 2; is_plain++)
            round_trip(ENTRY_STRING, sizes[i], is_plain);
}

static const uint64_t row_counts[] = {1, 2, 100, 128, 129, 512, 513, 5000};

static void test_lists(void **state)
{
    for (size_t i = 0; i < ARRAY_COUNT(row_counts); i++)
        for (int is_plain = 0; is_plain < 2; is_plain++)
            round_trip(ENTRY_LIST, row_counts[i], is_plain);
}

static void test_sets(void **state)
{
    for (size_t i = 0; i < ARRAY_COUNT(row_counts); i++)
        round_trip(ENTRY_SET, row_counts[i], true);
}

static void test_sorted_sets(void **state)
{
    for (size_t i = 0; i < ARRAY_COUNT(row_counts); i++)
        round_trip(ENTRY_ZSET, row_counts[i], true);
}

static void test_hashes(void **state)
{
    for (size_t i = 0; i < ARRAY_COUNT(row_counts); i++)
        round_trip(ENTRY_HASH, row_counts[i], true);
}

/* ---- Streams ----------------------------------------------------------------------------------------------- */

/* A stream of `count` entries with a group of three consumers, of which two hold some. */
static struct entry *make_stream(struct keyspace *keyspace, uint64_t count)
{
    struct entry_options options = {.expire_ms = ENTRY_NO_EXPIRE};
    struct stream *stream = stream_new(keyspace->heap);
    struct stream_group *group =
        stream_groups_add(keyspace->heap, &stream->groups, SLICE("group"), (struct stream_id){9, 9}, 5);
    for (uint64_t i = 0; i < 3; i++)
        stream_group_add_consumer(keyspace->heap, group, slice_make("alicebobby", 3 + i), 1000);
    for (uint64_t i = 0; i < count; i++) {
        static char text[TEXT_SIZE_MAX];
        char name[20];
        struct slice pairs[4] = {SLICE("name"), make_text(i, i % 3 == 0, text), SLICE("n"), SLICE("17")};
        if (i % 10 == 9)
            pairs[2] = slice_make(name, (size_t)snprintf(name, sizeof name, "own%d", (int)i));
        struct log_draft draft = {.id = {1000 + i / 3, i}, .pairs = pairs, .pair_count = 2};
        assert_true(stream_append(stream, &draft, &limits.stream));
        struct stream_pending pending = {.id = draft.id, .slot = i % 2, .delivered_ms = 5, .deliveries = i};
        if (i % 4 != 3)
            stream_group_deliver(keyspace->heap, group, &pending);
    }
    if (count > 50)
        assert_true(stream_remove(stream, (struct stream_id){1000 + 40 / 3, 40}));
    return entry_new_object(keyspace->heap, SLICE("key"), ENTRY_STREAM, &stream->object, &options);
}

static void expect_equal_fields(const struct log_entry *one, const struct log_entry *other)
{
    struct log_fields a, b;
    struct slice name, value, other_name, other_value;
    log_fields_begin(&a, one);
    log_fields_begin(&b, other);
    assert_true(stream_id_equal(one->id, other->id));
    assert_int_equal(a.count, b.count);
    while (log_fields_next(&a, &name, &value)) {
        assert_true(log_fields_next(&b, &other_name, &other_value));
        assert_true(slice_equal(name, other_name));
        assert_true(slice_equal(value, other_value));
    }
}

static void expect_equal_streams(const struct stream *one, const struct stream *other)
{
    struct stream_cursor a, b;
    assert_int_equal(stream_length(one), stream_length(other));
    assert_true(stream_id_equal(one->last_id, other->last_id));
    assert_true(stream_id_equal(one->max_deleted_id, other->max_deleted_id));
    assert_int_equal(one->entries_added, other->entries_added);
    bool more = stream_seek(&a, one, STREAM_ID_MIN, false);
    assert_int_equal(stream_seek(&b, other, STREAM_ID_MIN, false), more);
    while (more) {
        expect_equal_fields(&a.entry, &b.entry);
        more = stream_step(&a);
        assert_int_equal(stream_step(&b), more);
    }
    const struct stream_group *group = one->groups->groups[0],
                              *again = stream_groups_find(other->groups, SLICE("group"));
    assert_int_equal(stream_groups_count(other->groups), 1);
    assert_int_equal(group->consumer_count, again->consumer_count);
    assert_int_equal(group->entries_read, again->entries_read);
    struct stream_pending_walk walk, walk_again;
    struct stream_pending pending, pending_again;
    stream_pending_from(&walk, group, NULL, STREAM_ID_MIN);
    stream_pending_from(&walk_again, again, NULL, STREAM_ID_MIN);
    while (stream_pending_next(&walk, &pending)) {
        assert_true(stream_pending_next(&walk_again, &pending_again));
        assert_true(stream_id_equal(pending.id, pending_again.id));
        assert_int_equal(pending.deliveries, pending_again.deliveries);
        assert_true(slice_equal(stream_consumer_name(stream_group_consumer(group, pending.slot)),
                                stream_consumer_name(stream_group_consumer(again, pending_again.slot))));
    }
    assert_false(stream_pending_next(&walk_again, &pending_again));
}

static void test_streams(void **state)
{
    static const uint64_t counts[] = {0, 1, 99, 2000};
    for (size_t i = 0; i < 2 * ARRAY_COUNT(counts); i++) {
        struct keyspace *keyspace = new_keyspace();
        struct entry *entry = make_stream(keyspace, counts[i / 2]);
        unsigned version = 10 + i % 2;
        struct buf whole = write_payload(keyspace, entry, version, SIZE_MAX / 2, false);
        struct buf steps = write_payload(keyspace, entry, version, 1, false);
        assert_int_equal(whole.data[0], i % 2 ? RDB_STREAM_3 : RDB_STREAM_2);
        assert_int_equal(steps.size, whole.size);
        assert_memory_equal(steps.data, whole.data, whole.size);
        struct entry *again = read_payload(keyspace, buf_slice(&whole));
        stream_check(stream_of(again));
        expect_equal_streams(stream_of(entry), stream_of(again));
        struct buf gone = write_payload(keyspace, again, version, 500, true);
        assert_int_equal(gone.size, whole.size);
        assert_memory_equal(gone.data, whole.data, whole.size);
        buf_done(&gone);
        buf_done(&steps);
        buf_done(&whole);
        entry_free(keyspace->heap, entry);
        free_keyspace(keyspace);
    }
}

static void test_no_part_of_a_stream_is_read(void **state)
{
    struct keyspace *keyspace = new_keyspace();
    struct buf bytes = write_payload(keyspace, make_stream(keyspace, 60), 11, 4096, true);
    struct rdb_value *value = mem_alloc(sizeof *value);
    for (size_t size = 1; size < bytes.size - RDB_FOOTER_SIZE; size++) {
        struct rdb_reader reader;
        rdb_reader_init(&reader, slice_make(bytes.data + 1, size - 1), limits.text_max);
        assert_int_equal(rdb_decode(&reader, RDB_STREAM_3, 11, keyspace, &limits, NULL, value), ST_INVALID);
    }
    mem_free(value);
    buf_done(&bytes);
    free_keyspace(keyspace);
}

/* The context: how much more work is wanted. */
static bool count_work(void *context, uint32_t work)
{
    uint64_t *left = context;
    *left -= work < *left ? work : *left;
    return *left > 0;
}

/* Consumers that hold nothing are work, too: a payload may have as many of them as it likes. */
static void test_reading_pauses_at_each_consumer(void **state)
{
    enum { CONSUMERS = 300 };
    struct keyspace *keyspace = new_keyspace();
    struct stream *stream = stream_new(keyspace->heap);
    const struct entry_options options = {.expire_ms = ENTRY_NO_EXPIRE};
    struct stream_group *group =
        stream_groups_add(keyspace->heap, &stream->groups, SLICE("group"), (struct stream_id){9, 9}, 5);
    for (unsigned i = 0; i < CONSUMERS; i++) {
        char name[NUM_I64_TEXT_MAX];
        stream_group_add_consumer(keyspace->heap, group, slice_make(name, num_format_i64(i, name)), 1000);
    }
    struct entry *entry =
        entry_new_object(keyspace->heap, SLICE("key"), ENTRY_STREAM, &stream->object, &options);
    struct buf bytes = write_payload(keyspace, entry, 11, 4096, true);
    struct rdb_value value;
    struct rdb_reader reader;
    uint64_t left = CONSUMERS; /* each is more than one */
    const struct rdb_pace pace = {count_work, &left};
    rdb_reader_init(&reader, slice_make(bytes.data + 1, bytes.size - RDB_FOOTER_SIZE - 1), limits.text_max);
    assert_int_equal(rdb_decode(&reader, RDB_STREAM_3, 11, keyspace, &limits, &pace, &value), ST_LIMIT);
    assert_true(rdb_left(&reader) > 0);
    buf_done(&bytes);
    free_keyspace(keyspace);
}

static void test_later_readers_get_listpacks_of_sets(void **state)
{
    struct keyspace *keyspace = new_keyspace();
    struct entry *entry = make_entry(keyspace, ENTRY_SET, 100, true);
    struct buf rows = write_payload(keyspace, entry, 10, 4096, false);
    struct buf packed = write_payload(keyspace, entry, 11, 4096, false);
    assert_int_equal(rows.data[0], RDB_SET);
    assert_int_equal(packed.data[0], RDB_SET_LISTPACK);
    assert_int_equal(packed.data[packed.size - RDB_FOOTER_SIZE], 11);
    struct entry *again = read_payload(keyspace, buf_slice(&packed));
    expect_equal(keyspace, entry, again);
    entry_free(keyspace->heap, again);
    entry_free(keyspace->heap, entry);
    buf_done(&rows);
    buf_done(&packed);
    free_keyspace(keyspace);
}

/* ---- What ends early --------------------------------------------------------------------------------------- */

static void test_writing_may_end_before_the_value(void **state)
{
    static const enum entry_type types[] = {ENTRY_STRING, ENTRY_LIST, ENTRY_SET, ENTRY_ZSET, ENTRY_HASH};
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        struct keyspace *keyspace = new_keyspace();
        struct entry *entry = make_entry(keyspace, types[i], types[i] == ENTRY_STRING ? 3000000 : 3000, true);
        struct rdb_payload payload;
        assert_int_equal(rdb_payload_begin(&payload, keyspace, entry, 10), ST_OK);
        assert_int_equal(rdb_payload_step(&payload, 100), ST_AGAIN);
        entry_free(keyspace->heap, entry);
        rdb_payload_done(&payload);
        free_keyspace(keyspace);
    }
}

/* Every beginning of a value is refused, and so is a value with a byte behind it: nothing of it stays in the heap. */
static void test_no_part_of_a_value_is_read(void **state)
{
    static const enum entry_type types[] = {ENTRY_STRING, ENTRY_LIST, ENTRY_SET, ENTRY_ZSET, ENTRY_HASH};
    static const uint64_t counts[] = {5, 600};
    for (size_t i = 0; i < 2 * ARRAY_COUNT(types); i++) {
        struct keyspace *keyspace = new_keyspace();
        struct entry *entry = make_entry(keyspace, types[i / 2], counts[i % 2], false);
        struct buf bytes = write_payload(keyspace, entry, 10, 4096, false);
        entry_free(keyspace->heap, entry);
        size_t stride = bytes.size / 300 + 1;
        for (size_t size = 1; size < bytes.size - RDB_FOOTER_SIZE; size += stride) {
            struct rdb_reader reader;
            struct rdb_value *value = mem_alloc(sizeof *value);
            rdb_reader_init(&reader, slice_make(bytes.data + 1, size - 1), limits.text_max);
            assert_int_equal(rdb_decode(&reader, (uint8_t)bytes.data[0], 10, keyspace, &limits, NULL, value),
                             ST_INVALID);
            mem_free(value);
        }
        buf_done(&bytes);
        free_keyspace(keyspace);
    }
}

static void test_a_value_that_is_not_wanted_leaves_nothing(void **state)
{
    static const enum entry_type types[] = {ENTRY_STRING, ENTRY_LIST, ENTRY_SET, ENTRY_ZSET, ENTRY_HASH};
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        struct keyspace *keyspace = new_keyspace();
        struct entry *entry = make_entry(keyspace, types[i], 3000, true);
        struct buf bytes = write_payload(keyspace, entry, 10, 4096, true);
        struct rdb_value *value = mem_alloc(sizeof *value);
        struct rdb_reader reader;
        rdb_reader_init(&reader, slice_make(bytes.data + 1, bytes.size - RDB_FOOTER_SIZE - 1),
                        limits.text_max);
        assert_int_equal(rdb_decode(&reader, (uint8_t)bytes.data[0], 10, keyspace, &limits, NULL, value),
                         ST_OK);
        rdb_value_drop(value, keyspace);
        mem_free(value);
        buf_done(&bytes);
        free_keyspace(keyspace);
    }
}

/* Says to end after so many steps. */
struct patience {
    unsigned pauses_left;
    uint64_t work;
};

static bool lose_patience(void *context, uint32_t work)
{
    struct patience *patience = context;
    patience->work += work;
    return patience->pauses_left-- > 1;
}

static void test_reading_may_be_ended(void **state)
{
    static const enum entry_type types[] = {ENTRY_STRING, ENTRY_LIST, ENTRY_SET, ENTRY_ZSET, ENTRY_HASH};
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        struct keyspace *keyspace = new_keyspace();
        uint64_t rows = types[i] == ENTRY_STRING ? 3000000 : 3000;
        struct buf bytes =
            write_payload(keyspace, make_entry(keyspace, types[i], rows, true), 10, 4096, true);
        struct rdb_value *value = mem_alloc(sizeof *value);
        for (unsigned pauses = 1; pauses < 40; pauses += 13) {
            struct patience patience = {.pauses_left = pauses};
            const struct rdb_pace pace = {lose_patience, &patience};
            struct rdb_reader reader;
            rdb_reader_init(&reader, slice_make(bytes.data + 1, bytes.size - RDB_FOOTER_SIZE - 1),
                            limits.text_max);
            assert_int_equal(rdb_decode(&reader, (uint8_t)bytes.data[0], 10, keyspace, &limits, &pace, value),
                             ST_LIMIT);
            assert_int_equal(patience.pauses_left, 0);
            assert_true(patience.work >= pauses);
        }
        mem_free(value);
        buf_done(&bytes);
        free_keyspace(keyspace);
    }
}

static void test_seals(void **state)
{
    struct keyspace *keyspace = new_keyspace();
    struct buf bytes = write_payload(keyspace, make_entry(keyspace, ENTRY_STRING, 100, true), 10, 4096, true);
    struct slice value;
    unsigned version;
    struct rdb_seal seal;
    assert_int_equal(open_payload(buf_slice(&bytes), &version, &value), ST_OK);
    assert_int_equal(version, RDB_VERSION_OLDEST);
    assert_int_equal(value.size, bytes.size - RDB_FOOTER_SIZE);
    /* In steps. */
    assert_int_equal(rdb_seal_open(&seal, buf_slice(&bytes), &version), ST_OK);
    assert_int_equal(rdb_seal_step(&seal, 1), ST_AGAIN);
    enum status status;
    while ((status = rdb_seal_step(&seal, 7)) == ST_AGAIN)
        ;
    assert_int_equal(status, ST_OK);
    for (size_t i = 0; i < bytes.size; i++) {
        bytes.data[i] ^= 1;
        assert_int_equal(open_payload(buf_slice(&bytes), &version, &value), ST_INVALID);
        bytes.data[i] ^= 1;
    }
    for (size_t size = 0; size < bytes.size; size++)
        assert_int_equal(open_payload(slice_make(bytes.data, size), &version, &value), ST_INVALID);
    buf_done(&bytes);
    free_keyspace(keyspace);
}

int main(void)
{
    role_set(ROLE_EXECUTOR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_sorted_sets),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_no_part_of_a_stream_is_read),
        cmocka_unit_test(test_reading_pauses_at_each_consumer),
        cmocka_unit_test(test_later_readers_get_listpacks_of_sets),
        cmocka_unit_test(test_writing_may_end_before_the_value),
        cmocka_unit_test(test_no_part_of_a_value_is_read),
        cmocka_unit_test(test_a_value_that_is_not_wanted_leaves_nothing),
        cmocka_unit_test(test_reading_may_be_ended),
        cmocka_unit_test(test_seals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
