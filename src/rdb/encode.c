/* Writing values. Entry: rdb_encode_begin, rdb_encode_step. Threads and states: see encode.h.
 *
 * The bytes that a unit may take are reserved before it is written: only that can be refused. */
#include "rdb/encode.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "rdb/stream.h"
#include "rdb/write.h"
#include "types/collection.h"
#include "types/hash.h"
#include "types/zset.h"

/* A text longer than this is written over several units. */
#define TEXT_AT_ONCE ENCODE_COMPRESS_MAX
/* The longest element in a listpack of its own; a longer one is a plain node. */
#define PACKED_ELEMENT_MAX ((size_t)1 << 30)

_Static_assert(PACKED_ELEMENT_MAX + 64 < UINT32_MAX, "a listpack's size has 32 bits");

/* The first version in which a type of value was known. */
static unsigned version_of(enum rdb_type type)
{
    switch (type) {
    case RDB_ZSET_2: return 8;
    case RDB_HASH_LISTPACK:
    case RDB_ZSET_LISTPACK:
    case RDB_QUICKLIST_2:
    case RDB_STREAM_2: return 10;
    case RDB_SET_LISTPACK:
    case RDB_STREAM_3: return 11;
    case RDB_HASH_TIMED: return RDB_VERSION_TIMED;
    case RDB_HASH_VALKEY: return RDB_VERSION_VALKEY;
    default: return RDB_VERSION_OLDEST;
    }
}

/* ---- Texts ------------------------------------------------------------------------------------------------- */

/* Has the next units write a text that lies in what is written, and then `tail`. */
static void write_later(struct rdb_encoder *encoder, struct slice text, const uint8_t *tail, size_t tail_size)
{
    encoder->rest = text;
    encoder->tail_size = tail_size;
    if (tail_size > 0)
        memcpy(encoder->tail, tail, tail_size);
}

static enum status write_rest(struct rdb_encoder *encoder, struct buf *out)
{
    size_t size = encoder->rest.size < TEXT_AT_ONCE ? encoder->rest.size : TEXT_AT_ONCE;
    if (!buf_try_reserve(out, size + sizeof encoder->tail))
        return ST_NOMEM;
    buf_append(out, encoder->rest.data, size);
    encoder->rest = slice_make(encoder->rest.data + size, encoder->rest.size - size);
    if (encoder->rest.size == 0) {
        buf_append(out, encoder->tail, encoder->tail_size);
        encoder->tail_size = 0;
    }
    return ST_AGAIN;
}

static enum status write_element(struct rdb_encoder *encoder, struct buf *out, struct element element)
{
    element_scratch scratch;
    struct slice text = element_text(element, scratch);
    bool at_once = text.size <= TEXT_AT_ONCE;
    if (!buf_try_reserve(out, (at_once ? text.size : 0) + 4 * RDB_LENGTH_SIZE_MAX))
        return ST_NOMEM;
    if (at_once) {
        rdb_write_element(out, element, encoder->memory);
    } else {
        rdb_write_length(out, text.size);
        write_later(encoder, text, NULL, 0);
    }
    return ST_AGAIN;
}

static enum status next_string(struct rdb_encoder *encoder, struct buf *out)
{
    const struct large_string *large = encoder->source.large;
    struct slice text = encoder->is_short ? buf_slice(&encoder->text) : slice_make(large->data, large->size);
    encoder->state = ENCODE_END;
    bool at_once = text.size <= TEXT_AT_ONCE;
    if (!buf_try_reserve(out, (at_once ? text.size : 0) + 4 * RDB_LENGTH_SIZE_MAX))
        return ST_NOMEM;
    if (at_once) {
        rdb_write_string(out, text, encoder->memory);
    } else {
        rdb_write_length(out, text.size);
        write_later(encoder, text, NULL, 0);
    }
    return ST_AGAIN;
}

/* ---- Rows -------------------------------------------------------------------------------------------------- */

static void next_row(struct rdb_encoder *encoder)
{
    encoder->part = 0;
    if (--encoder->left == 0)
        encoder->state = ENCODE_END;
    else if (++encoder->place.row == encoder->place.page->count)
        tree_next_page(&encoder->source.rows, &encoder->place);
}

/* The parts of a row: what stands before its elements, these, and what stands behind. */
static enum status next_member(struct rdb_encoder *encoder, struct buf *out)
{
    enum status status =
        write_element(encoder, out, page_element(encoder->place.page, encoder->place.row, 0));
    next_row(encoder);
    return status;
}

static enum status next_scored(struct rdb_encoder *encoder, struct buf *out)
{
    const struct page *page = encoder->place.page;
    if (encoder->part++ == 0)
        return write_element(encoder, out, page_element(page, encoder->place.row, 0));
    if (!buf_try_reserve(out, sizeof(double)))
        return ST_NOMEM;
    rdb_write_double(out, zset_score_of(page_number(page, encoder->place.row)));
    next_row(encoder);
    return ST_AGAIN;
}

/* When a field expires, as it is written: counted from the first such moment, which is 1; 0 for never. */
static uint64_t relative_moment(const struct rdb_encoder *encoder)
{
    int64_t moment_ms = hash_time(&encoder->source.rows, &encoder->place);
    return moment_ms == ENTRY_NO_EXPIRE ? 0 : (uint64_t)(moment_ms - encoder->source.first_ms) + 1;
}

/* A field that Valkey has written: what stands behind the value is when it expires, -1 for never. */
static enum status next_valkey_field(struct rdb_encoder *encoder, struct buf *out)
{
    unsigned part = encoder->part++;
    if (part < 2)
        return write_element(encoder, out, page_element(encoder->place.page, encoder->place.row, part));
    int64_t moment_ms = hash_time(&encoder->source.rows, &encoder->place);
    if (!buf_try_reserve(out, sizeof moment_ms))
        return ST_NOMEM;
    rdb_write_u64(out, moment_ms == ENTRY_NO_EXPIRE ? UINT64_MAX : (uint64_t)moment_ms);
    next_row(encoder);
    return ST_AGAIN;
}

static enum status next_field(struct rdb_encoder *encoder, struct buf *out)
{
    const struct page *page = encoder->place.page;
    unsigned row = encoder->place.row;
    if (encoder->part++ == 0) {
        if (encoder->type == RDB_HASH_TIMED) {
            if (!buf_try_reserve(out, RDB_LENGTH_SIZE_MAX))
                return ST_NOMEM;
            rdb_write_length(out, relative_moment(encoder));
        }
        return write_element(encoder, out, page_element(page, row, 0));
    }
    enum status status = write_element(encoder, out, page_element(page, row, 1));
    next_row(encoder);
    return status;
}

/* What stands before the rows: how many there are. */
static enum status begin_rows(struct rdb_encoder *encoder, struct buf *out)
{
    static enum status (*const nexts[])(struct rdb_encoder *, struct buf *) = {
        [RDB_SET] = next_member,
        [RDB_ZSET_2] = next_scored,
        [RDB_HASH] = next_field,
        [RDB_HASH_TIMED] = next_field,
        [RDB_HASH_VALKEY] = next_valkey_field,
    };
    if (!buf_try_reserve(out, sizeof(uint64_t) + RDB_LENGTH_SIZE_MAX))
        return ST_NOMEM;
    if (encoder->type == RDB_HASH_TIMED)
        rdb_write_u64(out, (uint64_t)encoder->source.first_ms);
    rdb_write_length(out, encoder->left);
    encoder->next = nexts[encoder->type];
    return ST_AGAIN;
}

/* ---- Packed ------------------------------------------------------------------------------------------------ */

/* Writes the scratch space as a string. */
static enum status write_packed(struct rdb_encoder *encoder, struct buf *out)
{
    struct slice packed = buf_slice(&encoder->packed);
    if (!buf_try_reserve(out, packed.size + 4 * RDB_LENGTH_SIZE_MAX))
        return ST_NOMEM;
    rdb_write_string(out, packed, encoder->memory);
    return ST_AGAIN;
}

static void pack_row(struct listpack *pack, const struct page *page, unsigned row)
{
    listpack_add(pack, page_element(page, row, 0));
    if (page->layout == PAGE_HASH || page->layout == PAGE_TIMED_HASH)
        listpack_add(pack, page_element(page, row, 1));
    else if (page->layout == PAGE_SORTED)
        listpack_add_score(pack, zset_score_of(page_number(page, row)));
}

static enum status next_listpack(struct rdb_encoder *encoder, struct buf *out)
{
    struct listpack pack;
    buf_clear(&encoder->packed);
    listpack_begin(&pack, &encoder->packed);
    while (encoder->state != ENCODE_END) {
        pack_row(&pack, encoder->place.page, encoder->place.row);
        next_row(encoder);
    }
    listpack_end(&pack);
    return write_packed(encoder, out);
}

static int compare_ints(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return one < other ? -1 : one > other;
}

static enum status next_intset(struct rdb_encoder *encoder, struct buf *out)
{
    uint32_t count = (uint32_t)encoder->left, width = 2;
    int64_t *numbers = mem_try_alloc(count * sizeof *numbers);
    if (numbers == NULL)
        return ST_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        numbers[i] = element_int(page_element(encoder->place.page, encoder->place.row, 0));
        while (width < 8 &&
               numbers[i] != (width == 2 ? (int64_t)(int16_t)numbers[i] : (int64_t)(int32_t)numbers[i]))
            width *= 2;
        next_row(encoder);
    }
    qsort(numbers, count, sizeof *numbers, compare_ints);
    buf_clear(&encoder->packed);
    buf_append(&encoder->packed, &width, sizeof width);
    buf_append(&encoder->packed, &count, sizeof count);
    for (uint32_t i = 0; i < count; i++)
        buf_append(&encoder->packed, &numbers[i], width);
    mem_free(numbers);
    return write_packed(encoder, out);
}

/* Whether a compact collection is small enough to be packed in one go. */
static bool is_packable(const struct rdb_encoder *encoder)
{
    size_t size = 0;
    struct tree_place place;
    element_scratch scratch;
    if (encoder->source.marks & ENTRY_GROWN)
        return false;
    tree_at(&encoder->source.rows, 0, &place);
    do {
        unsigned elements = page_shape(place.page)->elements;
        for (unsigned row = 0; row < place.page->count; row++)
            for (unsigned which = 0; which < elements; which++)
                size += element_text(page_element(place.page, row, which), scratch).size +
                        2 * LISTPACK_INT_SIZE_MAX;
    } while (size <= ENCODE_PACKED_BYTES && tree_next_page(&encoder->source.rows, &place));
    return size <= ENCODE_PACKED_BYTES;
}

/* ---- Lists ------------------------------------------------------------------------------------------------- */

/* The row before which the node that begins at `row` ends: a leaf's rows, or as many as make a node's bytes. */
static unsigned node_end(const struct page *page, unsigned row)
{
    if (!page->has_blobs)
        return page->count;
    element_scratch scratch;
    size_t size = 0;
    unsigned end = row;
    for (; end < page->count; end++) {
        size += element_text(page_element(page, end, 0), scratch).size;
        if (end > row && size > ENCODE_NODE_BYTES)
            break;
    }
    return end;
}

/* A node of one long element: in a listpack too, whose frame is written around the text. */
static enum status write_long_node(struct rdb_encoder *encoder, struct buf *out, struct slice text)
{
    uint8_t header[LISTPACK_HEADER], head[5], tail[sizeof encoder->tail];
    if (!buf_try_reserve(out, 2 * RDB_LENGTH_SIZE_MAX + sizeof header + sizeof head))
        return ST_NOMEM;
    if (text.size > PACKED_ELEMENT_MAX) {
        rdb_write_length(out, RDB_CONTAINER_PLAIN);
        rdb_write_length(out, text.size);
        write_later(encoder, text, NULL, 0);
        return ST_AGAIN;
    }
    size_t head_size = listpack_head(head, text.size);
    size_t tail_size = listpack_tail(tail, head_size + text.size);
    tail[tail_size++] = LISTPACK_END;
    size_t size = LISTPACK_HEADER + head_size + text.size + tail_size;
    listpack_header(header, size, 1);
    rdb_write_length(out, RDB_CONTAINER_PACKED);
    rdb_write_length(out, size);
    buf_append(out, header, sizeof header);
    buf_append(out, head, head_size);
    write_later(encoder, text, tail, tail_size);
    return ST_AGAIN;
}

static enum status next_node(struct rdb_encoder *encoder, struct buf *out)
{
    const struct page *page = encoder->place.page;
    unsigned row = encoder->place.row, end = node_end(page, row);
    element_scratch scratch;
    struct slice first = element_text(page_element(page, row, 0), scratch);
    encoder->place.row = end;
    if (end == page->count && !tree_next_page(&encoder->source.rows, &encoder->place))
        encoder->state = ENCODE_END;
    if (end == row + 1 && first.size > TEXT_AT_ONCE)
        return write_long_node(encoder, out, first);
    struct listpack pack;
    buf_clear(&encoder->packed);
    listpack_begin(&pack, &encoder->packed);
    for (; row < end; row++)
        pack_row(&pack, page, row);
    listpack_end(&pack);
    if (!buf_try_reserve(out, RDB_LENGTH_SIZE_MAX))
        return ST_NOMEM;
    rdb_write_length(out, RDB_CONTAINER_PACKED);
    return write_packed(encoder, out);
}

/* Counts the nodes of a leaf; after the last one, writes how many they are. */
static enum status count_nodes(struct rdb_encoder *encoder, struct buf *out)
{
    const struct page *page = encoder->place.page;
    for (unsigned row = 0; row < page->count; row = node_end(page, row))
        encoder->nodes++;
    if (tree_next_page(&encoder->source.rows, &encoder->place))
        return ST_AGAIN;
    if (!buf_try_reserve(out, RDB_LENGTH_SIZE_MAX))
        return ST_NOMEM;
    rdb_write_length(out, encoder->nodes);
    tree_at(&encoder->source.rows, 0, &encoder->place);
    encoder->next = next_node;
    encoder->state = ENCODE_UNITS;
    return ST_AGAIN;
}

/* ---- Sources ----------------------------------------------------------------------------------------------- */

void rdb_source_take(struct rdb_source *source, struct keyspace *keyspace, const struct entry *entry)
{
    struct collection_view view;
    source->type = (uint8_t)entry_type(entry);
    source->marks = (uint8_t)(entry_flags(entry) & ENTRY_MARKS);
    if (entry_type(entry) == ENTRY_STRING) {
        source->large = large_string_ref(entry_large(entry));
    } else if (entry_type(entry) == ENTRY_STREAM) {
        source->stream = stream_ref(stream_of(entry));
    } else {
        collection_open(&view, keyspace, (struct entry *)entry);
        tree_snapshot(view.rows, &source->rows);
        if (source->marks & ENTRY_TIMED_FIELDS)
            source->first_ms = entry_fields_due_ms(entry);
    }
}

void rdb_source_drop(struct rdb_source *source, struct keyspace *keyspace)
{
    if (source->type == ENTRY_STRING)
        large_string_unref(source->large);
    else if (source->type == ENTRY_STREAM)
        keyspace_release_object(keyspace, (struct object *)&source->stream->object);
    else
        keyspace_retire_rows(keyspace, &source->rows);
}

/* ---- Beginning and ending ---------------------------------------------------------------------------------- */

static void choose_packed(struct rdb_encoder *encoder, enum rdb_type type)
{
    encoder->type = type;
    encoder->next = type == RDB_SET_INTSET ? next_intset : next_listpack;
}

static void choose_rows(struct rdb_encoder *encoder, enum rdb_type type)
{
    encoder->type = type;
    encoder->next = begin_rows;
}

/* Whether a field has a time to live now. */
static bool has_moments(const struct tree *rows)
{
    struct tree_place place;
    if (!hash_has_times(rows))
        return false;
    tree_at(rows, 0, &place);
    do {
        if (page_due_ms(place.page) != ENTRY_NO_EXPIRE)
            return true;
    } while (tree_next_page(rows, &place));
    return false;
}

static void choose(struct rdb_encoder *encoder, enum entry_type type, unsigned version)
{
    bool is_mixed = encoder->source.marks & ENTRY_MIXED;
    switch (type) {
    case ENTRY_LIST:
        encoder->type = RDB_QUICKLIST_2;
        encoder->next = count_nodes;
        encoder->state = ENCODE_COUNT;
        return;
    case ENTRY_SET:
        if ((!is_mixed || version >= version_of(RDB_SET_LISTPACK)) && is_packable(encoder))
            choose_packed(encoder, is_mixed ? RDB_SET_LISTPACK : RDB_SET_INTSET);
        else
            choose_rows(encoder, RDB_SET);
        return;
    case ENTRY_ZSET:
        if (is_packable(encoder))
            choose_packed(encoder, RDB_ZSET_LISTPACK);
        else
            choose_rows(encoder, RDB_ZSET_2);
        return;
    case ENTRY_HASH:
        if (has_moments(&encoder->source.rows))
            choose_rows(encoder, version >= RDB_VERSION_VALKEY ? RDB_HASH_VALKEY : RDB_HASH_TIMED);
        else if (is_packable(encoder))
            choose_packed(encoder, RDB_HASH_LISTPACK);
        else
            choose_rows(encoder, RDB_HASH);
        return;
    default: BUG("an entry of type %d has no rows", (int)type);
    }
}

static void begin_string(struct rdb_encoder *encoder)
{
    encoder->type = RDB_STRING;
    encoder->next = next_string;
}

static void begin_collection(struct rdb_encoder *encoder, unsigned version)
{
    encoder->left = tree_rows(&encoder->source.rows);
    tree_at(&encoder->source.rows, 0, &encoder->place);
    choose(encoder, encoder->source.type, version);
}

void rdb_encode_source(struct rdb_encoder *encoder, const struct rdb_source *source, unsigned version,
                       struct lzf_memory *memory)
{
    *encoder = (struct rdb_encoder){.state = ENCODE_UNITS, .source = *source, .memory = memory};
    if (source->type == ENTRY_STRING)
        begin_string(encoder);
    else if (source->type == ENTRY_STREAM)
        rdb_encode_stream(encoder, version);
    else
        begin_collection(encoder, version);
    encoder->version = version_of(encoder->type);
}

enum status rdb_encode_begin(struct rdb_encoder *encoder, struct keyspace *keyspace,
                             const struct entry *entry, unsigned version)
{
    struct rdb_source source = {.type = ENTRY_STRING};
    entry_scratch scratch;
    bool is_short = entry_encoding(entry) == ENTRY_INT || entry_encoding(entry) == ENTRY_INLINE;
    struct lzf_memory *memory = mem_try_calloc(sizeof *memory);
    if (memory == NULL)
        return ST_NOMEM;
    if (!is_short)
        rdb_source_take(&source, keyspace, entry);
    rdb_encode_source(encoder, &source, version, memory);
    encoder->keyspace = keyspace;
    encoder->is_short = is_short;
    if (is_short)
        buf_append_slice(&encoder->text, entry_string(entry, scratch)); /* at most ENTRY_INLINE_MAX */
    return ST_OK;
}

enum status rdb_encode_step(struct rdb_encoder *encoder, struct buf *out, size_t bytes_max)
{
    size_t end = out->size + bytes_max;
    enum status status = ST_AGAIN;
    while (status == ST_AGAIN && out->size < end) {
        if (encoder->rest.size > 0) {
            status = write_rest(encoder, out);
        } else if (encoder->state == ENCODE_COUNT) {
            status = encoder->next(encoder, out);
            end -=
                end - out->size > ENCODE_STEP_MIN ? ENCODE_STEP_MIN : end - out->size; /* it is work, too */
        } else if (encoder->state == ENCODE_UNITS) {
            status = encoder->next(encoder, out);
        } else {
            return ST_OK;
        }
    }
    return status == ST_AGAIN && encoder->rest.size == 0 && encoder->state == ENCODE_END ? ST_OK : status;
}

void rdb_encode_done(struct rdb_encoder *encoder)
{
    buf_done(&encoder->text);
    buf_done(&encoder->packed);
    if (encoder->keyspace == NULL)
        return;
    if (!encoder->is_short)
        rdb_source_drop(&encoder->source, encoder->keyspace);
    mem_free(encoder->memory);
}
