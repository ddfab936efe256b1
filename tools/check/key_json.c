/* Keys as JSON. Entry: key_json_write. Threads: see key_json.h. */
#include "check/key_json.h"

#include <inttypes.h>
#include <math.h>

#include "base/bug.h"
#include "common/json.h"
#include "common/utf8.h"
#include "rdb/format.h"
#include "types/collection.h"
#include "types/hash.h"
#include "types/stream.h"
#include "types/stream_group.h"
#include "types/zset.h"

#define FLUSH_SIZE ((size_t)64 << 10)

struct writer {
    struct json json;
    FILE *out; /* NULL: all stays in the buffer */
};

/* ---- Names ------------------------------------------------------------------------------------------------- */

const char *key_encoding(unsigned rdb_type)
{
    static const char *const names[RDB_TYPES] = {
        [RDB_STRING] = "string",
        [RDB_LIST] = "list",
        [RDB_SET] = "set",
        [RDB_ZSET] = "zset",
        [RDB_HASH] = "hash",
        [RDB_ZSET_2] = "zset-2",
        [RDB_HASH_ZIPMAP] = "hash-zipmap",
        [RDB_LIST_ZIPLIST] = "list-ziplist",
        [RDB_SET_INTSET] = "set-intset",
        [RDB_ZSET_ZIPLIST] = "zset-ziplist",
        [RDB_HASH_ZIPLIST] = "hash-ziplist",
        [RDB_QUICKLIST] = "list-quicklist",
        [RDB_STREAM] = "stream",
        [RDB_HASH_LISTPACK] = "hash-listpack",
        [RDB_ZSET_LISTPACK] = "zset-listpack",
        [RDB_QUICKLIST_2] = "list-quicklist-2",
        [RDB_STREAM_2] = "stream-2",
        [RDB_SET_LISTPACK] = "set-listpack",
        [RDB_STREAM_3] = "stream-3",
        [RDB_HASH_TIMED_EARLY] = "hash-timed",
        [RDB_HASH_LISTPACK_TIMED_EARLY] = "hash-listpack-timed",
        [RDB_HASH_TIMED] = "hash-timed",
        [RDB_HASH_LISTPACK_TIMED] = "hash-listpack-timed",
    };
    return rdb_type < RDB_TYPES && names[rdb_type] != NULL ? names[rdb_type] : "";
}

const char *key_type_name(enum entry_type type)
{
    switch (type) {
    case ENTRY_STRING: return "string";
    case ENTRY_LIST: return "list";
    case ENTRY_SET: return "set";
    case ENTRY_ZSET: return "zset";
    case ENTRY_HASH: return "hash";
    case ENTRY_STREAM: return "stream";
    }
    BUG("entry of unknown type %d", (int)type);
}

/* ---- Pieces ------------------------------------------------------------------------------------------------ */

/* Gives what has been written to the file, when it is much. */
static void flush(struct writer *writer, size_t size_max)
{
    struct buf *buffer = writer->json.out;
    if (writer->out == NULL || buffer->size <= size_max)
        return;
    fwrite(buffer->data, 1, buffer->size, writer->out);
    buf_clear(buffer);
}

static void append_base64(struct buf *out, struct slice bytes)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t count = bytes.size - at < 3 ? bytes.size - at : 3;
        uint32_t group = 0;
        for (size_t i = 0; i < 3; i++)
            group = group << 8 | (i < count ? (uint8_t)bytes.data[at + i] : 0);
        for (size_t i = 0; i < 4; i++)
            buf_append_char(out, i <= count ? letters[group >> (18 - 6 * i) & 63] : '=');
    }
}

/* Text as a string, other bytes as {"base64": …}. */
static void put_bytes(struct writer *writer, struct slice bytes)
{
    struct json *json = &writer->json;
    if (utf8_is_valid(bytes)) {
        json_slice(json, bytes);
    } else {
        json_raw(json, SLICE("{\"base64\":\""));
        append_base64(json->out, bytes);
        buf_append_string(json->out, "\"}");
    }
    flush(writer, FLUSH_SIZE);
}

static void put_element(struct writer *writer, struct element element)
{
    element_scratch scratch;
    put_bytes(writer, element_text(element, scratch));
}

static void put_score(struct writer *writer, double score)
{
    if (isinf(score))
        json_string(&writer->json, score > 0 ? "inf" : "-inf");
    else
        json_number(&writer->json, score);
}

static void put_id(struct writer *writer, struct stream_id id)
{
    char text[64];
    snprintf(text, sizeof text, "%" PRIu64 "-%" PRIu64, id.ms, id.seq);
    json_string(&writer->json, text);
}

static void put_name(struct writer *writer, const char *key, struct slice name)
{
    json_key(&writer->json, key);
    put_bytes(writer, name);
}

/* ---- Collections ------------------------------------------------------------------------------------------- */

static void put_row(struct writer *writer, enum entry_type type, const struct page *page, unsigned row)
{
    struct json *json = &writer->json;
    if (type == ENTRY_LIST || type == ENTRY_SET) {
        put_element(writer, page_element(page, row, 0));
        return;
    }
    json_array_begin(json);
    put_element(writer, page_element(page, row, 0));
    if (type == ENTRY_ZSET)
        put_score(writer, zset_score_of(page_number(page, row)));
    else
        put_element(writer, page_element(page, row, 1));
    if (page->layout == PAGE_TIMED_HASH && (int64_t)page_number(page, row) != ENTRY_NO_EXPIRE)
        json_integer(json, (int64_t)page_number(page, row));
    json_array_end(json);
}

static void put_rows(struct writer *writer, struct keyspace *keyspace, const struct entry *entry)
{
    struct collection_view view;
    struct tree_place place;
    collection_open(&view, keyspace, (struct entry *)entry);
    tree_first_page(view.rows, &place);
    json_array_begin(&writer->json);
    do {
        for (unsigned row = 0; row < place.page->count; row++)
            put_row(writer, entry_type(entry), place.page, row);
    } while (tree_next_page(view.rows, &place));
    json_array_end(&writer->json);
}

/* ---- Streams ----------------------------------------------------------------------------------------------- */

static void put_log_entry(struct writer *writer, const struct log_entry *entry)
{
    struct json *json = &writer->json;
    struct log_fields fields;
    struct slice name, value;
    json_array_begin(json);
    put_id(writer, entry->id);
    json_array_begin(json);
    log_fields_begin(&fields, entry);
    while (log_fields_next(&fields, &name, &value)) {
        json_array_begin(json);
        put_bytes(writer, name);
        put_bytes(writer, value);
        json_array_end(json);
    }
    json_array_end(json);
    json_array_end(json);
}

static void put_entries(struct writer *writer, const struct stream *stream)
{
    struct stream_cursor cursor;
    json_array_begin(&writer->json);
    for (bool more = stream_seek(&cursor, stream, STREAM_ID_MIN, false); more; more = stream_step(&cursor))
        put_log_entry(writer, &cursor.entry);
    json_array_end(&writer->json);
}

static void put_pending(struct writer *writer, const struct stream_group *group)
{
    struct json *json = &writer->json;
    struct stream_pending_walk walk;
    struct stream_pending pending;
    json_array_begin(json);
    stream_pending_from(&walk, group, NULL, STREAM_ID_MIN);
    while (stream_pending_next(&walk, &pending)) {
        json_array_begin(json);
        put_id(writer, pending.id);
        put_bytes(writer, stream_consumer_name(stream_group_consumer(group, pending.slot)));
        json_integer(json, pending.delivered_ms);
        json_unsigned(json, pending.deliveries);
        json_array_end(json);
    }
    json_array_end(json);
}

static void put_group(struct writer *writer, const struct stream_group *group)
{
    struct json *json = &writer->json;
    json_object_begin(json);
    put_name(writer, "name", stream_group_name(group));
    json_key(json, "last_id");
    put_id(writer, group->last_id);
    json_key(json, "entries_read");
    if (group->entries_read == STREAM_READ_UNKNOWN)
        json_null(json);
    else
        json_integer(json, group->entries_read);
    json_key(json, "pending");
    put_pending(writer, group);
    json_key(json, "consumers");
    json_array_begin(json);
    for (uint32_t i = 0; i < group->consumer_count; i++) {
        const struct stream_consumer *consumer = stream_group_consumer_at(group, i);
        json_object_begin(json);
        put_name(writer, "name", stream_consumer_name(consumer));
        json_key(json, "seen_ms");
        json_integer(json, consumer->seen_ms);
        if (consumer->active_ms != STREAM_NEVER_ACTIVE) {
            json_key(json, "active_ms");
            json_integer(json, consumer->active_ms);
        }
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

/* What a stream knows beside its entries and groups. Inside of an object. */
static void put_stream_head(struct writer *writer, const struct stream *stream)
{
    struct json *json = &writer->json;
    json_key(json, "length");
    json_unsigned(json, stream_length(stream));
    json_key(json, "last_id");
    put_id(writer, stream->last_id);
    json_key(json, "max_deleted_id");
    put_id(writer, stream->max_deleted_id);
    json_key(json, "entries_added");
    json_unsigned(json, stream->entries_added);
}

static void put_stream(struct writer *writer, const struct stream *stream)
{
    struct json *json = &writer->json;
    json_object_begin(json);
    put_stream_head(writer, stream);
    json_key(json, "entries");
    put_entries(writer, stream);
    json_key(json, "groups");
    json_array_begin(json);
    for (uint32_t i = 0; i < stream_groups_count(stream->groups); i++)
        put_group(writer, stream->groups->groups[i]);
    json_array_end(json);
    json_object_end(json);
}

/* ---- Parts ------------------------------------------------------------------------------------------------- */

struct parting {
    struct writer writer;
    struct buf text;
    key_part_fn *each;
    void *context;
};

static struct writer *begin_part(struct parting *parting)
{
    buf_clear(&parting->text);
    json_init(&parting->writer.json, &parting->text, 0);
    return &parting->writer;
}

static void end_part(struct parting *parting)
{
    parting->each(parting->context, buf_slice(&parting->text));
}

static void part_stream(struct parting *parting, const struct stream *stream)
{
    struct stream_cursor cursor;
    struct writer *writer = begin_part(parting);
    json_object_begin(&writer->json);
    put_stream_head(writer, stream);
    json_object_end(&writer->json);
    end_part(parting);
    for (bool more = stream_seek(&cursor, stream, STREAM_ID_MIN, false); more; more = stream_step(&cursor)) {
        put_log_entry(begin_part(parting), &cursor.entry);
        end_part(parting);
    }
    for (uint32_t i = 0; i < stream_groups_count(stream->groups); i++) {
        put_group(begin_part(parting), stream->groups->groups[i]);
        end_part(parting);
    }
}

static void part_rows(struct parting *parting, struct keyspace *keyspace, const struct entry *entry)
{
    struct collection_view view;
    struct tree_place place;
    int64_t position = 0;
    collection_open(&view, keyspace, (struct entry *)entry);
    tree_first_page(view.rows, &place);
    do {
        for (unsigned row = 0; row < place.page->count; row++, position++) {
            struct writer *writer = begin_part(parting);
            if (entry_type(entry) == ENTRY_LIST) {
                json_array_begin(&writer->json);
                json_integer(&writer->json, position);
            }
            put_row(writer, entry_type(entry), place.page, row);
            if (entry_type(entry) == ENTRY_LIST)
                json_array_end(&writer->json);
            end_part(parting);
        }
    } while (tree_next_page(view.rows, &place));
}

void key_json_parts(const struct entry *entry, struct keyspace *keyspace, key_part_fn *each, void *context)
{
    struct parting parting = {.each = each, .context = context};
    entry_scratch scratch;
    if (entry_type(entry) == ENTRY_STRING) {
        put_bytes(begin_part(&parting), entry_string(entry, scratch));
        end_part(&parting);
    } else if (entry_type(entry) == ENTRY_STREAM) {
        part_stream(&parting, stream_of(entry));
    } else {
        part_rows(&parting, keyspace, entry);
    }
    buf_done(&parting.text);
}

/* ---- Keys -------------------------------------------------------------------------------------------------- */

static void put_value(struct writer *writer, struct keyspace *keyspace, const struct entry *entry)
{
    entry_scratch scratch;
    if (entry_type(entry) == ENTRY_STRING)
        put_bytes(writer, entry_string(entry, scratch));
    else if (entry_type(entry) == ENTRY_STREAM)
        put_stream(writer, stream_of(entry));
    else
        put_rows(writer, keyspace, entry);
}

void key_json_write(const struct read_key *key, struct keyspace *keyspace, struct buf *buffer, FILE *out)
{
    struct writer writer = {.out = out};
    struct json *json = &writer.json;
    json_init(json, buffer, 0);
    json_object_begin(json);
    json_key(json, "db");
    json_unsigned(json, key->db);
    put_name(&writer, "key", key->name);
    json_key(json, "type");
    json_string(json, key_type_name(entry_type(key->entry)));
    if (entry_expire_ms(key->entry) != ENTRY_NO_EXPIRE) {
        json_key(json, "expire_ms");
        json_integer(json, entry_expire_ms(key->entry));
    }
    if (key->type != READ_NO_TYPE) {
        json_key(json, "encoding");
        json_string(json, key_encoding(key->type));
    }
    if (key->has_idle) {
        json_key(json, "idle_seconds");
        json_unsigned(json, key->idle_seconds);
    }
    if (key->has_frequency) {
        json_key(json, "frequency");
        json_unsigned(json, key->frequency);
    }
    json_key(json, "value");
    put_value(&writer, keyspace, key->entry);
    json_object_end(json);
    buf_append_char(buffer, '\n');
    flush(&writer, 0);
}
