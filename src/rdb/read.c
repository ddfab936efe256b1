/* Reading lengths, strings and numbers. Entry: see read.h. Threads: any; one for each reader. */
#include "rdb/read.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "rdb/format.h"
#include "rdb/lzf.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are read as they lie in memory");

void rdb_reader_init(struct rdb_reader *reader, struct slice bytes, uint64_t text_max)
{
    const uint8_t *data = (const uint8_t *)bytes.data;
    *reader = (struct rdb_reader){.at = data, .end = data + bytes.size, .text_max = text_max};
}

/* ---- Bytes -------------------------------------------------------------------------------------------------- */

/* What is asked for at first for bytes that lie in several pieces, unless there are fewer. */
#define JOINED_FIRST ((size_t)64 << 10)
/* A larger block is not kept. */
#define JOINED_KEPT ((size_t)1 << 20)

static enum status make_room(struct rdb_text *text, size_t size);

void rdb_pieces_done(struct rdb_pieces *source)
{
    mem_free(source->joined);
    source->joined = NULL;
    source->joined_capacity = 0;
}

static bool is_own(const struct rdb_text *text)
{
    const char *data = text->slice.data;
    return text->slice.size == 0 || data == text->digits ||
           (text->block != NULL && data >= text->block && data < text->block + text->capacity);
}

/* Gives the text memory of its own: the piece that it lies in goes, or the block of what was joined is needed again. */
static bool settle(struct rdb_pieces *source, struct rdb_text *text)
{
    if (is_own(text))
        return true;
    if (text->slice.data == source->joined) {
        mem_free(text->block);
        text->block = source->joined;
        text->capacity = source->joined_capacity;
        source->joined = NULL;
        source->joined_capacity = 0;
        return true;
    }
    if (make_room(text, text->slice.size) != ST_OK)
        return false;
    memcpy(text->block, text->slice.data, text->slice.size);
    text->slice.data = text->block;
    return true;
}

/* The next piece. */
static bool next_piece(struct rdb_reader *reader)
{
    struct rdb_pieces *source = reader->source;
    if (source == NULL)
        return false;
    for (unsigned i = 0; i < source->held_count; i++) {
        if (!settle(source, source->held[i])) {
            source->no_memory = true;
            return false;
        }
    }
    return source->more(source->context, reader);
}

/* Room for joined bytes: twice what has come, at least. */
static bool grow_joined(struct rdb_pieces *source, size_t used, size_t size)
{
    size_t capacity = used < JOINED_FIRST / 2 ? JOINED_FIRST : 2 * used;
    if (capacity > size)
        capacity = size;
    if (source->joined_capacity > JOINED_KEPT && used == 0)
        rdb_pieces_done(source);
    if (capacity <= source->joined_capacity)
        return true;
    char *joined = mem_try_realloc(source->joined, capacity);
    if (joined == NULL) {
        source->no_memory = true;
        return false;
    }
    source->joined = joined;
    source->joined_capacity = capacity;
    return true;
}

/* Moves bytes of the piece behind the `used` ones that are joined; `size` is how many there are to be. */
static bool join_piece(struct rdb_reader *reader, size_t size, size_t *used)
{
    struct rdb_pieces *source = reader->source;
    while (*used < size && rdb_left(reader) > 0) {
        size_t room = source->joined_capacity - *used;
        size_t part = size - *used < rdb_left(reader) ? size - *used : rdb_left(reader);
        if (room == 0) {
            if (!grow_joined(source, *used, size))
                return false;
            continue;
        }
        if (part > room)
            part = room;
        memcpy(source->joined + *used, reader->at, part);
        reader->at += part;
        *used += part;
    }
    return true;
}

/* The next `size` bytes, which are not all in this piece. */
NO_INLINE static const uint8_t *take_joined(struct rdb_reader *reader, uint64_t size)
{
    struct rdb_pieces *source = reader->source;
    size_t used = 0;
    if (source == NULL || !rdb_can_come(reader, size))
        return NULL;
    /* Before what is joined already is written over. */
    for (unsigned i = 0; i < source->held_count; i++) {
        if (!settle(source, source->held[i])) {
            source->no_memory = true;
            return NULL;
        }
    }
    if (!grow_joined(source, 0, size))
        return NULL;
    for (;;) {
        if (!join_piece(reader, size, &used))
            return NULL;
        if (used == size)
            return (const uint8_t *)source->joined;
        if (!next_piece(reader))
            return NULL;
    }
}

/* The next `size` bytes, up to the next call; NULL when there are not so many. */
ALWAYS_INLINE const uint8_t *take(struct rdb_reader *reader, uint64_t size)
{
    if (unlikely(rdb_left(reader) < size))
        return take_joined(reader, size);
    const uint8_t *at = reader->at;
    reader->at += size;
    return at;
}

enum status rdb_read_bytes(struct rdb_reader *reader, char *out, size_t size)
{
    while (size > 0) {
        size_t part = size < rdb_left(reader) ? size : rdb_left(reader);
        if (part == 0) {
            if (!next_piece(reader))
                return ST_INVALID;
            continue;
        }
        memcpy(out, reader->at, part);
        reader->at += part;
        out += part;
        size -= part;
    }
    return ST_OK;
}

enum status rdb_skip_bytes(struct rdb_reader *reader, uint64_t size)
{
    while (size > rdb_left(reader)) {
        size -= rdb_left(reader);
        reader->at = reader->end;
        if (!next_piece(reader))
            return ST_INVALID;
    }
    reader->at += size;
    return ST_OK;
}

/* ---- Lengths and numbers ----------------------------------------------------------------------------------- */

/* A length, or what is in place of one before a string (enum rdb_special). */
static enum status read_length(struct rdb_reader *reader, uint64_t *ret_length, bool *ret_is_special)
{
    const uint8_t *bytes = take(reader, 1);
    *ret_is_special = false;
    if (bytes == NULL)
        return ST_INVALID;
    uint8_t first = *bytes;
    switch ((enum rdb_length)(first & 0xc0)) {
    case RDB_LENGTH_6: *ret_length = first & 0x3f; return ST_OK;
    case RDB_LENGTH_SPECIAL:
        *ret_length = first & 0x3f;
        *ret_is_special = true;
        return ST_OK;
    case RDB_LENGTH_14:
        if ((bytes = take(reader, 1)) == NULL)
            return ST_INVALID;
        *ret_length = (uint64_t)(first & 0x3f) << 8 | *bytes;
        return ST_OK;
    case RDB_LENGTH_LONG: break;
    }
    size_t width = first == RDB_LENGTH_32 ? 4 : first == RDB_LENGTH_64 ? 8 : 0;
    if (width == 0 || (bytes = take(reader, width)) == NULL)
        return ST_INVALID;
    uint64_t length = 0;
    for (size_t i = 0; i < width; i++)
        length = length << 8 | bytes[i];
    *ret_length = length;
    return ST_OK;
}

enum status rdb_read_length(struct rdb_reader *reader, uint64_t *ret_length)
{
    bool is_special;
    uint64_t length;
    if (read_length(reader, &length, &is_special) != ST_OK || is_special)
        return ST_INVALID;
    *ret_length = length;
    return ST_OK;
}

enum status rdb_read_count(struct rdb_reader *reader, uint64_t *ret_count)
{
    uint64_t count;
    if (rdb_read_length(reader, &count) != ST_OK || !rdb_can_come(reader, count))
        return ST_INVALID;
    *ret_count = count;
    return ST_OK;
}

enum status rdb_read_byte(struct rdb_reader *reader, uint8_t *ret_byte)
{
    const uint8_t *byte = take(reader, 1);
    if (byte == NULL)
        return ST_INVALID;
    *ret_byte = *byte;
    return ST_OK;
}

enum status rdb_read_u64(struct rdb_reader *reader, uint64_t *ret_value)
{
    const uint8_t *bytes = take(reader, sizeof *ret_value);
    if (bytes == NULL)
        return ST_INVALID;
    memcpy(ret_value, bytes, sizeof *ret_value);
    return ST_OK;
}

/* ---- Strings ----------------------------------------------------------------------------------------------- */

void rdb_text_set_int(struct rdb_text *text, int64_t value)
{
    text->slice = slice_make(text->digits, num_format_i64(value, text->digits));
}

void rdb_text_done(struct rdb_text *text)
{
    mem_free(text->block);
}

static enum status read_int(struct rdb_reader *reader, size_t width, struct rdb_stored *ret_stored)
{
    const uint8_t *bytes = take(reader, width);
    if (bytes == NULL)
        return ST_INVALID;
    uint32_t bits = 0;
    memcpy(&bits, bytes, width);
    unsigned shift = 32 - 8 * (unsigned)width;
    *ret_stored = (struct rdb_stored){.is_int = true, .number = (int32_t)(bits << shift) >> shift};
    return ST_OK;
}

static enum status head_of_compressed(struct rdb_reader *reader, struct rdb_stored *ret_stored)
{
    uint64_t packed_size, size;
    if (rdb_read_length(reader, &packed_size) != ST_OK || rdb_read_length(reader, &size) != ST_OK ||
        !rdb_can_come(reader, packed_size))
        return ST_INVALID;
    if (size == 0 || size > reader->text_max || packed_size > 2 * size ||
        size > lzf_expanded_max(packed_size))
        return ST_INVALID;
    *ret_stored = (struct rdb_stored){.is_compressed = true, .stored_size = packed_size, .size = size};
    return ST_OK;
}

enum status rdb_read_head(struct rdb_reader *reader, struct rdb_stored *ret_stored)
{
    bool is_special;
    uint64_t length;
    if (read_length(reader, &length, &is_special) != ST_OK)
        return ST_INVALID;
    if (is_special) {
        switch (length) {
        case RDB_INT_8: return read_int(reader, 1, ret_stored);
        case RDB_INT_16: return read_int(reader, 2, ret_stored);
        case RDB_INT_32: return read_int(reader, 4, ret_stored);
        case RDB_LZF: return head_of_compressed(reader, ret_stored);
        default: return ST_INVALID;
        }
    }
    if (length > reader->text_max || !rdb_can_come(reader, length))
        return ST_INVALID;
    *ret_stored = (struct rdb_stored){.stored_size = length, .size = length};
    return ST_OK;
}

enum status rdb_read_body(struct rdb_reader *reader, struct rdb_stored *stored)
{
    if (stored->is_int)
        return ST_OK;
    const uint8_t *bytes = take(reader, stored->stored_size);
    if (bytes == NULL)
        return ST_INVALID;
    stored->bytes = slice_make((const char *)bytes, stored->stored_size);
    return ST_OK;
}

enum status rdb_read_stored(struct rdb_reader *reader, struct rdb_stored *ret_stored)
{
    enum status status = rdb_read_head(reader, ret_stored);
    return status == ST_OK ? rdb_read_body(reader, ret_stored) : status;
}

static enum status make_room(struct rdb_text *text, size_t size)
{
    if (size <= text->capacity)
        return ST_OK;
    mem_free(text->block);
    text->block = mem_try_alloc(size);
    text->capacity = text->block != NULL ? size : 0;
    return text->block != NULL ? ST_OK : ST_NOMEM;
}

enum status rdb_text_set(struct rdb_text *text, const struct rdb_stored *stored)
{
    if (stored->is_int) {
        rdb_text_set_int(text, stored->number);
        return ST_OK;
    }
    if (!stored->is_compressed) {
        text->slice = stored->bytes;
        return ST_OK;
    }
    if (make_room(text, stored->size) != ST_OK)
        return ST_NOMEM;
    if (!lzf_expand(stored->bytes, text->block, stored->size))
        return ST_INVALID;
    text->slice = slice_make(text->block, stored->size);
    return ST_OK;
}

enum status rdb_read_text(struct rdb_reader *reader, struct rdb_text *text)
{
    struct rdb_stored stored;
    text->slice = slice_make(text->digits, 0);
    enum status status = rdb_read_stored(reader, &stored);
    return status == ST_OK ? rdb_text_set(text, &stored) : status;
}

/* ---- Scores ------------------------------------------------------------------------------------------------ */

enum status rdb_read_score_text(struct rdb_reader *reader, double *ret_score)
{
    uint8_t size;
    if (rdb_read_byte(reader, &size) != ST_OK)
        return ST_INVALID;
    switch (size) {
    case 255: *ret_score = -INFINITY; return ST_OK;
    case 254: *ret_score = INFINITY; return ST_OK;
    case 253: *ret_score = NAN; return ST_OK;
    default: break;
    }
    const uint8_t *bytes = take(reader, size);
    if (bytes == NULL || !num_parse_double(slice_make((const char *)bytes, size), ret_score))
        return ST_INVALID;
    return ST_OK;
}
