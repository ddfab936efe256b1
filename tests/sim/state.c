/* States of keyspaces. See state.h. */
#include "state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "types/collection.h"
#include "types/stream.h"
#include "types/stream_group.h"

/* ---- One value ------------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t digest, struct slice text)
{
    return hash_bytes(text.data, text.size, digest + text.size);
}

static uint64_t mix_number(uint64_t digest, uint64_t number)
{
    return hash_bytes(&number, sizeof number, digest);
}

static uint64_t mix_id(uint64_t digest, struct stream_id id)
{
    return mix_number(mix_number(digest, id.ms), id.seq);
}

static uint64_t digest_of_row(enum entry_type type, const struct page *page, unsigned row)
{
    element_scratch scratch;
    uint64_t digest = mix(0, element_text(page_element(page, row, 0), scratch));
    if (type == ENTRY_HASH)
        digest = mix(digest, element_text(page_element(page, row, 1), scratch));
    if (type == ENTRY_ZSET)
        digest = mix_number(digest, page_number(page, row));
    if (type == ENTRY_HASH)
        digest = mix_number(digest, page->layout == PAGE_TIMED_HASH ? page_number(page, row)
                                                                    : (uint64_t)ENTRY_NO_EXPIRE);
    return digest;
}

/* Rows of sets and hashes may lie in any order. */
static uint64_t digest_of_rows(struct keyspace *keyspace, const struct entry *entry)
{
    struct collection_view view;
    struct tree_place place;
    uint64_t digest = 0;
    collection_open(&view, keyspace, (struct entry *)entry);
    tree_first_page(view.rows, &place);
    do {
        for (unsigned row = 0; row < place.page->count; row++) {
            uint64_t one = digest_of_row(entry_type(entry), place.page, row);
            digest = entry_type(entry) == ENTRY_LIST ? mix_number(digest, one) : digest + one;
        }
    } while (tree_next_page(view.rows, &place));
    return digest;
}

static uint64_t digest_of_group(const struct stream_group *group)
{
    struct stream_pending_walk walk;
    struct stream_pending pending;
    uint64_t digest = mix_id(mix(0, stream_group_name(group)), group->last_id);
    stream_pending_from(&walk, group, NULL, STREAM_ID_MIN);
    while (stream_pending_next(&walk, &pending)) {
        digest = mix_id(digest, pending.id);
        digest = mix(digest, stream_consumer_name(stream_group_consumer(group, pending.slot)));
        digest = mix_number(mix_number(digest, (uint64_t)pending.delivered_ms), pending.deliveries);
    }
    return digest;
}

static uint64_t digest_of_stream(const struct stream *stream)
{
    struct stream_cursor cursor;
    struct log_fields fields;
    struct slice name, value;
    uint64_t digest = mix_id(0, stream->last_id);
    digest = mix_number(mix_id(digest, stream->max_deleted_id), stream->entries_added);
    bool some = stream_seek(&cursor, stream, STREAM_ID_MIN, false);
    while (some) {
        digest = mix_id(digest, cursor.entry.id);
        log_fields_begin(&fields, &cursor.entry);
        while (log_fields_next(&fields, &name, &value))
            digest = mix(mix(digest, name), value);
        some = stream_step(&cursor);
    }
    for (uint32_t i = 0; i < stream_groups_count(stream->groups); i++)
        digest = mix_number(digest, digest_of_group(stream->groups->groups[i]));
    return digest;
}

static uint64_t digest_of_value(struct keyspace *keyspace, const struct entry *entry)
{
    entry_scratch scratch;
    switch (entry_type(entry)) {
    case ENTRY_STRING: return mix(1, entry_string(entry, scratch));
    case ENTRY_STREAM: return digest_of_stream(stream_of(entry));
    default: return mix_number((uint64_t)entry_type(entry), digest_of_rows(keyspace, entry));
    }
}

/* Rows as text, for people. */
static void describe_rows(struct keyspace *keyspace, const struct entry *entry, struct buf *text)
{
    struct collection_view view;
    struct tree_place place;
    element_scratch scratch;
    collection_open(&view, keyspace, (struct entry *)entry);
    tree_first_page(view.rows, &place);
    do {
        for (unsigned row = 0; row < place.page->count; row++) {
            struct slice name = element_text(page_element(place.page, row, 0), scratch);
            buf_printf(text, " %.*s:%08" PRIx32, name.size < 16 ? (int)name.size : 16, name.data,
                       (uint32_t)digest_of_row(entry_type(entry), place.page, row));
            if (place.page->layout == PAGE_TIMED_HASH)
                buf_printf(text, "@%" PRId64, (int64_t)page_number(place.page, row));
        }
    } while (tree_next_page(view.rows, &place));
}

/* ---- Keyspaces ------------------------------------------------------------------------------------ */

struct walk {
    struct keyspace *keyspace;
    uint32_t db;
    uint64_t digest;
    struct buf lines; /* each ends with a zero byte */
    bool wants_lines;
};

static void visit(void *item, void *context)
{
    const struct entry *entry = item;
    struct walk *walk = context;
    uint64_t value = digest_of_value(walk->keyspace, entry);
    uint64_t digest = mix(walk->db, entry_key(entry));
    digest = mix_number(mix_number(digest, (uint64_t)entry_expire_ms(entry)), value);
    walk->digest += digest;
    if (!walk->wants_lines)
        return;
    buf_printf(&walk->lines, "%u %.*s %" PRId64 " %016" PRIx64, walk->db, (int)entry_key_size(entry),
               entry_key_data(entry), entry_expire_ms(entry), value);
    if (entry_type(entry) != ENTRY_STRING && entry_type(entry) != ENTRY_STREAM)
        describe_rows(walk->keyspace, entry, &walk->lines);
    buf_append(&walk->lines, "", 1);
}

static void walk_all(struct walk *walk)
{
    for (uint32_t i = 0; i < walk->keyspace->db_count; i++) {
        uint64_t cursor = 0;
        walk->db = i;
        if (table_size(walk->keyspace->dbs[i].keys) == 0)
            continue;
        do {
            cursor = table_scan(walk->keyspace->dbs[i].keys, cursor, visit, walk);
        } while (cursor != 0);
    }
}

uint64_t state_digest(struct keyspace *keyspace)
{
    struct walk walk = {.keyspace = keyspace};
    walk_all(&walk);
    return walk.digest;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void state_describe(struct keyspace *keyspace, struct buf *text)
{
    struct walk walk = {.keyspace = keyspace, .wants_lines = true};
    size_t count = 0;
    walk_all(&walk);
    const char *end = walk.lines.data + walk.lines.size;
    const char **lines = mem_alloc((walk.lines.size + 1) * sizeof *lines);
    for (const char *line = walk.lines.data; line < end; line += strlen(line) + 1)
        lines[count++] = line;
    qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; i < count; i++)
        buf_printf(text, "%s\n", lines[i]);
    mem_free(lines);
    buf_done(&walk.lines);
}

/* ---- Positions ------------------------------------------------------------------------------------ */

struct state_seen {
    uint64_t key; /* of history and offset; 0: free */
    uint64_t digest;
    uint32_t who; /* a bit for each server */
};

static struct state_seen *place_of(const struct state_record *record, uint64_t key)
{
    uint32_t at = (uint32_t)key & (record->capacity - 1);
    while (record->seen[at].key != 0 && record->seen[at].key != key)
        at = (at + 1) & (record->capacity - 1);
    return &record->seen[at];
}

static void grow(struct state_record *record)
{
    struct state_record larger = {.capacity = record->capacity ? 2 * record->capacity : 1024};
    larger.seen = mem_calloc(larger.capacity, sizeof *larger.seen);
    for (uint32_t i = 0; i < record->capacity; i++)
        if (record->seen[i].key != 0)
            *place_of(&larger, record->seen[i].key) = record->seen[i];
    mem_free(record->seen);
    record->seen = larger.seen;
    record->capacity = larger.capacity;
}

bool state_record_check(struct state_record *record, unsigned who, const char *id, uint64_t offset,
                        uint64_t digest)
{
    if (2 * record->count >= record->capacity)
        grow(record);
    uint64_t key = hash_bytes(id, strlen(id), offset) | 1;
    struct state_seen *seen = place_of(record, key);
    uint32_t bit = (uint32_t)1 << who;
    if (seen->key == 0) {
        *seen = (struct state_seen){key, digest, bit};
        record->count++;
        return true;
    }
    record->compared += !(seen->who & bit);
    seen->who |= bit;
    return seen->digest == digest;
}

void state_record_done(struct state_record *record)
{
    mem_free(record->seen);
    *record = (struct state_record){0};
}
