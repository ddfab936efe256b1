/* Writing streams. Entry: rdb_encode_stream. Threads and format: see encode.h and stream.h.
 *
 * | `next`         | writes                                             | then                                        |
 * |----------------|----------------------------------------------------|---------------------------------------------|
 * | count_nodes    | nothing for each leaf; in the end, the number      | next_node; next_end for an empty stream     |
 * | next_node      | a node: the entries of a leaf, or as many as fit   | next_end behind the last leaf               |
 * | next_end       | what follows the nodes, the number of groups       | next_group                                  |
 * | next_group     | name and place of a group, number of its pending   | next_pending; the end behind the last group |
 * | next_pending   | a pending entry                                    | next_consumer; before it, their number      |
 * | next_consumer  | a consumer, the number of what it holds            | next_held; next_group behind the last one   |
 * | next_held      | an id that it holds                                | next_consumer                               | */
#include "rdb/stream.h"

#include "base/alloc.h"
#include "rdb/write.h"
#include "types/stream.h"
#include "types/stream_group.h"

/* Large enough for all the numbers that are written at once. */
#define NUMBERS_MAX 128

static void write_id(struct buf *out, struct stream_id id)
{
    rdb_write_length(out, id.ms);
    rdb_write_length(out, id.seq);
}

/* In the order of bytes, as ids are keys. */
static void write_key(struct buf *out, struct stream_id id)
{
    rdb_write_u64(out, __builtin_bswap64(id.ms));
    rdb_write_u64(out, __builtin_bswap64(id.seq));
}

/* ---- Nodes ------------------------------------------------------------------------------------------------- */

static size_t body_size(const struct log_entry *entry)
{
    struct log_fields fields;
    log_fields_begin(&fields, entry);
    return fields.blob != NULL ? fields.blob->size : (size_t)(entry->next - entry->offset);
}

/* How many entries from this one on make a node: the rest of the leaf, unless their bodies lie outside and are large. The
 * entry behind them is *ret_next, if there is one, which is told by *ret_more. */
static uint32_t node_entries(const struct log_entry *first, struct log_entry *ret_next, bool *ret_more)
{
    uint32_t count = 0;
    size_t size = 0;
    struct log_entry entry = *first;
    bool has_blobs = first->log->page.has_blobs, more = true;
    while (more) {
        size += has_blobs ? body_size(&entry) : 0;
        if (count > 0 && size > ENCODE_NODE_BYTES)
            break;
        count++;
        more = log_next(&entry);
    }
    *ret_next = entry;
    *ret_more = more;
    return count;
}

static void pack_text(struct listpack *pack, struct slice text)
{
    int64_t value;
    if (text.size < NUM_I64_TEXT_MAX && num_parse_i64(text, &value))
        listpack_add_int(pack, value);
    else
        listpack_add_text(pack, text);
}

/* Whether both have the names of their leaf, which are then those of the node. */
static bool have_same_names(const struct log_entry *one, const struct log_entry *other)
{
    struct log_fields fields, others;
    log_fields_begin(&fields, one);
    log_fields_begin(&others, other);
    return fields.names != NULL && others.names != NULL;
}

/* Counts, deleted ones (none is written), and the names of the first entry. */
static void pack_head(struct listpack *pack, const struct log_entry *first, uint32_t count)
{
    struct log_fields fields;
    struct slice name, value;
    log_fields_begin(&fields, first);
    listpack_add_int(pack, count);
    listpack_add_int(pack, 0);
    listpack_add_int(pack, (int64_t)fields.count);
    while (log_fields_next(&fields, &name, &value))
        pack_text(pack, name);
    listpack_add_int(pack, 0);
}

static void pack_entry(struct listpack *pack, const struct log_entry *first, const struct log_entry *entry)
{
    struct log_fields fields;
    struct slice name, value;
    bool same = entry->offset == first->offset || have_same_names(first, entry);
    log_fields_begin(&fields, entry);
    listpack_add_int(pack, same ? RDB_ENTRY_SAME_NAMES : 0);
    listpack_add_int(pack, (int64_t)(entry->id.ms - first->id.ms));
    listpack_add_int(pack, (int64_t)(entry->id.seq - first->id.seq));
    if (!same)
        listpack_add_int(pack, (int64_t)fields.count);
    int64_t items = (int64_t)(same ? 3 + fields.count : 4 + 2 * fields.count);
    while (log_fields_next(&fields, &name, &value)) {
        if (!same)
            pack_text(pack, name);
        pack_text(pack, value);
    }
    listpack_add_int(pack, items);
}

/* Makes room for what an entry takes in the scratch space: each of its texts may take some bytes more there, and its names
 * may stand at the head of the leaf. */
static bool reserve_entry(struct rdb_encoder *encoder, const struct log_entry *entry)
{
    struct log_fields fields;
    log_fields_begin(&fields, entry);
    size_t size = body_size(entry) + PAGE_SIZE_MAX + (2 * fields.count + 8) * LISTPACK_ENTRY_EXTRA_MAX;
    return buf_try_reserve(&encoder->packed, 2 * size);
}

static enum status next_end(struct rdb_encoder *encoder, struct buf *out);

static enum status next_node(struct rdb_encoder *encoder, struct buf *out)
{
    struct listpack pack;
    struct log_entry first = encoder->log_entry, entry = first, next;
    bool more;
    uint32_t count = node_entries(&first, &next, &more);
    buf_clear(&encoder->packed);
    listpack_begin(&pack, &encoder->packed);
    if (!reserve_entry(encoder, &first))
        return ST_NOMEM;
    pack_head(&pack, &first, count);
    for (uint32_t i = 0; i < count; i++) {
        if (!reserve_entry(encoder, &entry))
            return ST_NOMEM;
        pack_entry(&pack, &first, &entry);
        log_next(&entry);
    }
    listpack_end(&pack);
    size_t size = encoder->packed.size;
    if (!buf_try_reserve(out, size + NUMBERS_MAX))
        return ST_NOMEM;
    rdb_write_length(out, RDB_ID_SIZE);
    write_key(out, first.id);
    rdb_write_string(out, buf_slice(&encoder->packed), size <= ENCODE_COMPRESS_MAX ? encoder->memory : NULL);
    encoder->log_entry = next;
    if (more)
        return ST_AGAIN;
    if (!tree_next_page(&encoder->source.stream->entries, &encoder->place) ||
        !log_first(encoder->place.page, &encoder->log_entry))
        encoder->next = next_end;
    return ST_AGAIN;
}

static enum status count_nodes(struct rdb_encoder *encoder, struct buf *out)
{
    struct log_entry first, next;
    bool more = log_first(encoder->place.page, &first);
    for (; more; first = next, encoder->nodes++)
        node_entries(&first, &next, &more);
    if (tree_next_page(&encoder->source.stream->entries, &encoder->place))
        return ST_AGAIN;
    if (!buf_try_reserve(out, NUMBERS_MAX))
        return ST_NOMEM;
    rdb_write_length(out, encoder->nodes);
    tree_first_page(&encoder->source.stream->entries, &encoder->place);
    encoder->next = log_first(encoder->place.page, &encoder->log_entry) ? next_node : next_end;
    encoder->state = ENCODE_UNITS;
    return ST_AGAIN;
}

/* ---- Groups ------------------------------------------------------------------------------------------------ */

static const struct stream_group *group_of(const struct rdb_encoder *encoder)
{
    return encoder->source.stream->groups->groups[encoder->group];
}

static enum status next_group(struct rdb_encoder *encoder, struct buf *out);
static enum status next_consumer(struct rdb_encoder *encoder, struct buf *out);

static enum status next_end(struct rdb_encoder *encoder, struct buf *out)
{
    const struct stream *stream = encoder->source.stream;
    if (!buf_try_reserve(out, NUMBERS_MAX))
        return ST_NOMEM;
    rdb_write_length(out, stream_length(stream));
    write_id(out, stream->last_id);
    write_id(out, stream_first_id(stream));
    write_id(out, stream->max_deleted_id);
    rdb_write_length(out, stream->entries_added);
    rdb_write_length(out, stream_groups_count(stream->groups));
    encoder->next = next_group;
    if (stream_groups_count(stream->groups) == 0)
        encoder->state = ENCODE_END;
    return ST_AGAIN;
}

/* Writes the number of ids that a walk goes over, and begins it. */
static void begin_walk(struct rdb_encoder *encoder, struct buf *out, const struct stream_consumer *consumer)
{
    const struct stream_group *group = group_of(encoder);
    rdb_write_length(out, tree_rows(consumer != NULL ? &consumer->pending : &group->pending));
    stream_pending_from(&encoder->walk, group, consumer, STREAM_ID_MIN);
}

static enum status next_pending(struct rdb_encoder *encoder, struct buf *out)
{
    struct stream_pending pending;
    if (!buf_try_reserve(out, NUMBERS_MAX))
        return ST_NOMEM;
    if (stream_pending_next(&encoder->walk, &pending)) {
        write_key(out, pending.id);
        rdb_write_u64(out, (uint64_t)pending.delivered_ms);
        rdb_write_length(out, pending.deliveries);
        return ST_AGAIN;
    }
    rdb_write_length(out, group_of(encoder)->consumer_count);
    encoder->consumer = 0;
    encoder->next = next_consumer;
    return ST_AGAIN;
}

static enum status next_group(struct rdb_encoder *encoder, struct buf *out)
{
    if (encoder->group == stream_groups_count(encoder->source.stream->groups)) {
        encoder->state = ENCODE_END;
        return ST_AGAIN;
    }
    const struct stream_group *group = group_of(encoder);
    struct slice name = stream_group_name(group);
    if (!buf_try_reserve(out, name.size + NUMBERS_MAX))
        return ST_NOMEM;
    rdb_write_string(out, name, NULL);
    write_id(out, group->last_id);
    rdb_write_length(out, (uint64_t)group->entries_read);
    begin_walk(encoder, out, NULL);
    encoder->next = next_pending;
    return ST_AGAIN;
}

static enum status next_held(struct rdb_encoder *encoder, struct buf *out)
{
    struct stream_pending pending;
    if (!buf_try_reserve(out, RDB_ID_SIZE))
        return ST_NOMEM;
    if (stream_pending_next(&encoder->walk, &pending))
        write_key(out, pending.id);
    else
        encoder->next = next_consumer;
    return ST_AGAIN;
}

static enum status next_consumer(struct rdb_encoder *encoder, struct buf *out)
{
    const struct stream_group *group = group_of(encoder);
    if (encoder->consumer == group->consumer_count) {
        encoder->group++;
        encoder->next = next_group;
        return ST_AGAIN;
    }
    const struct stream_consumer *consumer = stream_group_consumer_at(group, encoder->consumer++);
    struct slice name = stream_consumer_name(consumer);
    if (!buf_try_reserve(out, name.size + NUMBERS_MAX))
        return ST_NOMEM;
    rdb_write_string(out, name, NULL);
    rdb_write_u64(out, (uint64_t)consumer->seen_ms);
    if (encoder->type == RDB_STREAM_3)
        rdb_write_u64(out, (uint64_t)consumer->active_ms);
    begin_walk(encoder, out, consumer);
    encoder->next = next_held;
    return ST_AGAIN;
}

void rdb_encode_stream(struct rdb_encoder *encoder, unsigned version)
{
    encoder->type = version >= 11 ? RDB_STREAM_3 : RDB_STREAM_2;
    encoder->state = ENCODE_COUNT;
    encoder->next = count_nodes;
    tree_first_page(&encoder->source.stream->entries, &encoder->place);
}
