/* Reading streams. Entry: rdb_decode_stream. Threads and format: see decode.h and stream.h. */
#include "rdb/stream.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "rdb/packed.h"
#include "types/stream_group.h"
#include "types/stream_progress.h"

/* A text where it lies, or, of an integer, its digits. May be moved. */
struct text {
    const char *data; /* NULL: digits */
    size_t size;
    element_scratch digits;
};

static struct slice slice_of(const struct text *text)
{
    return slice_make(text->data != NULL ? text->data : text->digits, text->size);
}

struct stream_reader {
    struct rdb_reader *reader;
    enum rdb_type type;
    struct keyspace *keyspace;
    const struct rdb_limits *limits;
    const struct rdb_pace *pace;
    struct stream *stream;

    /* The node that is read. */
    struct rdb_text node;
    struct packed packed;
    struct stream_id base; /* what its entries count from */
    uint64_t name_count;
    struct text *texts;  /* the node's names, then what an entry has */
    struct slice *pairs; /* of the entry */
    uint64_t texts_room; /* of each */

    struct rdb_text name; /* of a group or a consumer */
};

/* ---- Pieces ------------------------------------------------------------------------------------------------ */

static enum status read_id(struct rdb_reader *reader, struct stream_id *ret_id)
{
    if (rdb_read_length(reader, &ret_id->ms) != ST_OK)
        return ST_INVALID;
    return rdb_read_length(reader, &ret_id->seq);
}

static enum status read_key(struct rdb_reader *reader, struct stream_id *ret_id)
{
    if (rdb_read_u64(reader, &ret_id->ms) != ST_OK || rdb_read_u64(reader, &ret_id->seq) != ST_OK)
        return ST_INVALID;
    ret_id->ms = __builtin_bswap64(ret_id->ms);
    ret_id->seq = __builtin_bswap64(ret_id->seq);
    return ST_OK;
}

/* A moment in milliseconds, not before 1970. */
static enum status read_moment(struct rdb_reader *reader, int64_t *ret_ms)
{
    uint64_t value;
    if (rdb_read_u64(reader, &value) != ST_OK || value > INT64_MAX)
        return ST_INVALID;
    *ret_ms = (int64_t)value;
    return ST_OK;
}

static enum status next_int(struct stream_reader *reader, int64_t *ret_value)
{
    struct packed_item item;
    if (packed_next(&reader->packed, &item) != ST_OK || !item.is_int)
        return ST_INVALID;
    *ret_value = item.number;
    return ST_OK;
}

static enum status next_text(struct stream_reader *reader, struct text *ret_text)
{
    struct packed_item item;
    if (packed_next(&reader->packed, &item) != ST_OK)
        return ST_INVALID;
    ret_text->data = item.is_int ? NULL : item.text.data;
    ret_text->size = item.is_int ? num_format_i64(item.number, ret_text->digits) : item.text.size;
    return ST_OK;
}

/* Makes room for `count` texts and pairs more than those of `used`, if the node's bytes can hold as many. */
static enum status make_room(struct stream_reader *reader, uint64_t used, uint64_t count)
{
    uint64_t left = (uint64_t)(reader->packed.end - reader->packed.at), wanted = used + count;
    if (count > left)
        return ST_INVALID;
    if (wanted <= reader->texts_room)
        return ST_OK;
    struct text *texts = mem_try_realloc(reader->texts, wanted * sizeof *texts);
    if (texts == NULL)
        return ST_NOMEM;
    reader->texts = texts;
    struct slice *pairs = mem_try_realloc(reader->pairs, 2 * wanted * sizeof *pairs);
    if (pairs == NULL)
        return ST_NOMEM;
    reader->pairs = pairs;
    reader->texts_room = wanted;
    return ST_OK;
}

/* ---- Nodes ------------------------------------------------------------------------------------------------- */

/* The head of a node. */
static enum status read_head(struct stream_reader *reader, int64_t *ret_alive, int64_t *ret_deleted)
{
    int64_t names, end;
    if (next_int(reader, ret_alive) != ST_OK || next_int(reader, ret_deleted) != ST_OK ||
        next_int(reader, &names) != ST_OK || *ret_alive < 0 || *ret_deleted < 0 || names < 0)
        return ST_INVALID;
    enum status status = make_room(reader, 0, (uint64_t)names);
    reader->name_count = (uint64_t)names;
    for (uint64_t i = 0; status == ST_OK && i < reader->name_count; i++)
        status = next_text(reader, &reader->texts[i]);
    if (status == ST_OK && (next_int(reader, &end) != ST_OK || end != 0))
        status = ST_INVALID;
    return status;
}

/* The pairs of an entry, into reader->pairs. */
static enum status read_pairs(struct stream_reader *reader, bool same_names, uint64_t *ret_count)
{
    int64_t count = (int64_t)reader->name_count;
    if (!same_names && next_int(reader, &count) != ST_OK)
        return ST_INVALID;
    if (count <= 0 || count > UINT32_MAX / 2)
        return ST_INVALID;
    uint64_t pairs = (uint64_t)count, names = reader->name_count, texts = same_names ? pairs : 2 * pairs;
    enum status status = make_room(reader, names, texts);
    for (uint64_t i = 0; status == ST_OK && i < texts; i++)
        status = next_text(reader, &reader->texts[names + i]);
    if (status != ST_OK)
        return status;
    const struct text *own = reader->texts + names;
    for (uint64_t i = 0; i < pairs; i++) {
        reader->pairs[2 * i] = slice_of(same_names ? &reader->texts[i] : &own[2 * i]);
        reader->pairs[2 * i + 1] = slice_of(same_names ? &own[i] : &own[2 * i + 1]);
    }
    *ret_count = pairs;
    return ST_OK;
}

/* Reads one entry; puts it into the stream unless it is deleted. */
static enum status read_entry(struct stream_reader *reader, bool *ret_deleted)
{
    int64_t flags, ms, seq, items;
    uint64_t pairs;
    if (next_int(reader, &flags) != ST_OK || next_int(reader, &ms) != ST_OK ||
        next_int(reader, &seq) != ST_OK || (flags & ~RDB_ENTRY_FLAGS) != 0)
        return ST_INVALID;
    bool same_names = flags & RDB_ENTRY_SAME_NAMES;
    enum status status = read_pairs(reader, same_names, &pairs);
    if (status != ST_OK)
        return status;
    if (next_int(reader, &items) != ST_OK || (uint64_t)items != (same_names ? 3 + pairs : 4 + 2 * pairs))
        return ST_INVALID;
    *ret_deleted = flags & RDB_ENTRY_DELETED;
    if (*ret_deleted)
        return ST_OK;
    /* Steps may be negative: of seq, when ms is another one. */
    struct stream_id id = {reader->base.ms + (uint64_t)ms, reader->base.seq + (uint64_t)seq};
    struct stream *stream = reader->stream;
    if (stream_id_compare(id, stream->last_id) <= 0)
        return ST_INVALID;
    const struct log_draft draft = {.id = id, .pairs = reader->pairs, .pair_count = (uint32_t)pairs};
    return stream_append(stream, &draft, &reader->limits->stream) ? ST_OK : ST_NOMEM;
}

static enum status read_node(struct stream_reader *reader)
{
    int64_t alive, deleted;
    struct rdb_reader key;
    enum status status = rdb_read_text(reader->reader, &reader->name);
    if (status != ST_OK)
        return status;
    if (reader->name.slice.size != RDB_ID_SIZE)
        return ST_INVALID;
    rdb_reader_init(&key, reader->name.slice, RDB_ID_SIZE);
    read_key(&key, &reader->base);
    status = rdb_read_text(reader->reader, &reader->node);
    if (status == ST_OK)
        status = packed_open(&reader->packed, PACKED_LISTPACK, reader->node.slice);
    if (status == ST_OK)
        status = read_head(reader, &alive, &deleted);
    while (status == ST_OK && reader->packed.at < reader->packed.end) {
        bool is_deleted;
        const uint8_t *before = reader->packed.at;
        status = read_entry(reader, &is_deleted);
        if (status == ST_OK && (is_deleted ? deleted-- : alive--) == 0)
            status = ST_INVALID; /* more than the head has said */
        if (status == ST_OK)
            status = rdb_pause(reader->pace, 4, (size_t)(reader->packed.at - before));
    }
    if (status != ST_OK)
        return status;
    struct packed_item item;
    bool is_sound = packed_next(&reader->packed, &item) == ST_EOF && alive == 0 && deleted == 0;
    return is_sound ? ST_OK : ST_INVALID;
}

static enum status read_nodes(struct stream_reader *reader)
{
    uint64_t count;
    enum status status = rdb_read_count(reader->reader, &count);
    for (; status == ST_OK && count > 0; count--)
        status = read_node(reader);
    return status;
}

/* What stands between nodes and groups. */
static enum status read_end(struct stream_reader *reader)
{
    struct stream *stream = reader->stream;
    uint64_t length, added;
    struct stream_id last_id, first_id, max_deleted_id = STREAM_ID_MIN;
    if (rdb_read_length(reader->reader, &length) != ST_OK || read_id(reader->reader, &last_id) != ST_OK)
        return ST_INVALID;
    added = length;
    if (reader->type != RDB_STREAM &&
        (read_id(reader->reader, &first_id) != ST_OK || read_id(reader->reader, &max_deleted_id) != ST_OK ||
         rdb_read_length(reader->reader, &added) != ST_OK))
        return ST_INVALID;
    if (length != stream_length(stream) || stream_id_compare(last_id, stream->last_id) < 0 ||
        stream_id_compare(last_id, max_deleted_id) < 0 || added < length || added > INT64_MAX)
        return ST_INVALID;
    stream->last_id = last_id;
    stream->max_deleted_id = max_deleted_id;
    stream->entries_added = added;
    return ST_OK;
}

/* ---- Groups ------------------------------------------------------------------------------------------------ */

/* What a group waits for, in the order of ids, until it is known who holds it. */
struct waiting {
    struct stream_pending *entries;
    uint64_t count, room;
    uint64_t owned;
};

#define SLOT_NONE UINT32_MAX

/* Bytes of a pending entry, at least. */
#define PENDING_SIZE_MIN (RDB_ID_SIZE + 8 + 1)

/* So many entries at first; more as they come. */
#define WAITING_FIRST 64

/* Room for one entry more, of `count`. */
static bool grow_waiting(struct waiting *waiting, uint64_t count)
{
    if (waiting->count < waiting->room)
        return true;
    uint64_t room = waiting->room == 0 ? WAITING_FIRST : 2 * waiting->room;
    if (room > count)
        room = count;
    struct stream_pending *entries = mem_try_realloc(waiting->entries, room * sizeof *entries);
    if (entries == NULL)
        return false;
    waiting->entries = entries;
    waiting->room = room;
    return true;
}

static enum status read_waiting(struct stream_reader *reader, struct waiting *ret_waiting)
{
    uint64_t count;
    if (rdb_read_length(reader->reader, &count) != ST_OK || count > UINT64_MAX / PENDING_SIZE_MIN ||
        !rdb_can_come(reader->reader, count * PENDING_SIZE_MIN))
        return ST_INVALID;
    for (; ret_waiting->count < count; ret_waiting->count++) {
        if (!grow_waiting(ret_waiting, count))
            return ST_NOMEM;
        struct stream_pending *pending = &ret_waiting->entries[ret_waiting->count];
        *pending = (struct stream_pending){.slot = SLOT_NONE};
        if (read_key(reader->reader, &pending->id) != ST_OK ||
            read_moment(reader->reader, &pending->delivered_ms) != ST_OK ||
            rdb_read_length(reader->reader, &pending->deliveries) != ST_OK)
            return ST_INVALID;
        if (ret_waiting->count > 0 && stream_id_compare(pending[-1].id, pending->id) >= 0)
            return ST_INVALID;
        if (rdb_pause(reader->pace, 1, 0) != ST_OK)
            return ST_LIMIT;
    }
    return ST_OK;
}

static int compare_pending(const void *id, const void *pending)
{
    return stream_id_compare(*(const struct stream_id *)id, ((const struct stream_pending *)pending)->id);
}

/* The ids that a consumer holds. */
static enum status read_held(struct stream_reader *reader, struct stream_group *group, uint32_t slot,
                             struct waiting *waiting)
{
    uint64_t count;
    if (rdb_read_count(reader->reader, &count) != ST_OK)
        return ST_INVALID;
    for (; count > 0; count--) {
        struct stream_id id;
        if (read_key(reader->reader, &id) != ST_OK || waiting->count == 0)
            return ST_INVALID;
        struct stream_pending *pending =
            bsearch(&id, waiting->entries, waiting->count, sizeof *pending, compare_pending);
        if (pending == NULL || pending->slot != SLOT_NONE)
            return ST_INVALID;
        pending->slot = slot;
        waiting->owned++;
        stream_group_deliver(reader->keyspace->heap, group, pending);
        if (rdb_pause(reader->pace, 4, 0) != ST_OK)
            return ST_LIMIT;
    }
    return ST_OK;
}

/* When a consumer was seen and when it was active. */
static enum status read_times(struct stream_reader *reader, int64_t *ret_seen_ms, int64_t *ret_active_ms)
{
    uint64_t active;
    if (read_moment(reader->reader, ret_seen_ms) != ST_OK)
        return ST_INVALID;
    *ret_active_ms = *ret_seen_ms;
    if (reader->type != RDB_STREAM_3)
        return ST_OK;
    if (rdb_read_u64(reader->reader, &active) != ST_OK)
        return ST_INVALID;
    *ret_active_ms = (int64_t)active;
    return *ret_active_ms < STREAM_NEVER_ACTIVE ? ST_INVALID : ST_OK;
}

static enum status read_consumer(struct stream_reader *reader, struct stream_group *group,
                                 struct waiting *waiting)
{
    struct heap *heap = reader->keyspace->heap;
    int64_t seen_ms, active_ms;
    enum status status = rdb_read_text(reader->reader, &reader->name);
    if (status != ST_OK)
        return status;
    rdb_hold(reader->reader, &reader->name);
    status = read_times(reader, &seen_ms, &active_ms);
    rdb_release(reader->reader, &reader->name);
    if (status != ST_OK)
        return status;
    if (stream_group_find_consumer(group, reader->name.slice) != NULL)
        return ST_INVALID;
    struct stream_consumer *consumer = stream_group_add_consumer(heap, group, reader->name.slice, seen_ms);
    if (consumer == NULL)
        return ST_NOMEM;
    consumer->active_ms = active_ms;
    return read_held(reader, group, consumer->slot, waiting);
}

static enum status read_group_body(struct stream_reader *reader, struct stream_group *group,
                                   struct waiting *waiting)
{
    uint64_t count;
    enum status status = read_waiting(reader, waiting);
    if (status == ST_OK)
        status = rdb_read_count(reader->reader, &count);
    for (; status == ST_OK && count > 0; count--) {
        status = read_consumer(reader, group, waiting);
        if (status == ST_OK) /* one that comes before the others moves them */
            status = rdb_pause(reader->pace, 8, group->consumer_count * sizeof *group->by_name);
    }
    if (status == ST_OK && waiting->owned != waiting->count)
        status = ST_INVALID;
    return status;
}

/* How far a group has come. */
static enum status read_position(struct stream_reader *reader, struct stream_id *ret_last_id,
                                 uint64_t *ret_read)
{
    *ret_read = UINT64_MAX;
    if (read_id(reader->reader, ret_last_id) != ST_OK ||
        (reader->type != RDB_STREAM && rdb_read_length(reader->reader, ret_read) != ST_OK))
        return ST_INVALID;
    return *ret_read > INT64_MAX && *ret_read != UINT64_MAX ? ST_INVALID : ST_OK;
}

static enum status read_group(struct stream_reader *reader)
{
    struct stream *stream = reader->stream;
    struct stream_id last_id;
    uint64_t read;
    enum status status = rdb_read_text(reader->reader, &reader->name);
    if (status != ST_OK)
        return status;
    rdb_hold(reader->reader, &reader->name);
    status = read_position(reader, &last_id, &read);
    rdb_release(reader->reader, &reader->name);
    if (status != ST_OK)
        return status;
    if (stream_groups_find(stream->groups, reader->name.slice) != NULL)
        return ST_INVALID;
    int64_t entries_read = read == UINT64_MAX ? STREAM_READ_UNKNOWN : (int64_t)read;
    struct stream_group *group =
        stream_groups_add(reader->keyspace->heap, &stream->groups, reader->name.slice, last_id, entries_read);
    if (group == NULL)
        return ST_NOMEM;
    struct waiting waiting = {0};
    status = read_group_body(reader, group, &waiting);
    mem_free(waiting.entries);
    return status;
}

/* Streams of before Redis 7.0 do not say how far their groups have come: where it follows from the ids, it is set. */
static void set_progress(const struct stream *stream)
{
    for (uint32_t i = 0; i < stream_groups_count(stream->groups); i++) {
        struct stream_group *group = stream->groups->groups[i];
        int64_t lag;
        if (stream_progress_lag(stream, group, &lag))
            group->entries_read = (int64_t)stream->entries_added - lag;
    }
}

static enum status read_groups(struct stream_reader *reader)
{
    uint64_t count;
    enum status status = rdb_read_count(reader->reader, &count);
    for (; status == ST_OK && count > 0; count--) {
        status = read_group(reader);
        if (status == ST_OK)
            status = rdb_pause(reader->pace, 8,
                               stream_groups_count(reader->stream->groups) *
                                   sizeof *reader->stream->groups->groups);
    }
    if (status == ST_OK && reader->type == RDB_STREAM)
        set_progress(reader->stream);
    return status;
}

enum status rdb_decode_stream(struct rdb_reader *reader, enum rdb_type type, struct keyspace *keyspace,
                              const struct rdb_limits *limits, const struct rdb_pace *pace,
                              struct rdb_value *value)
{
    struct stream_reader work = {
        .reader = reader, .type = type, .keyspace = keyspace, .limits = limits, .pace = pace};
    value->stream = stream_new(keyspace->heap);
    work.stream = value->stream;
    enum status status = read_nodes(&work);
    if (status == ST_OK)
        status = read_end(&work);
    if (status == ST_OK)
        status = read_groups(&work);
    rdb_text_done(&work.node);
    rdb_text_done(&work.name);
    mem_free(work.texts);
    mem_free(work.pairs);
    if (status != ST_OK)
        keyspace_release_object(keyspace, &value->stream->object);
    return status;
}
