/* Reading lengths, strings and numbers. Entry: see read.h. Threads: any; one for each reader. */
#include "rdb/read.h"

#include <math.h>

#include "base/alloc.h"
#include "rdb/format.h"
#include "rdb/lzf.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are read as they lie in memory");

void rdb_reader_init(struct rdb_reader *reader, struct slice bytes, uint64_t text_max)
{
    const uint8_t *data = (const uint8_t *)bytes.data;
    *reader = (struct rdb_reader){.at = data, .end = data + bytes.size, .text_max = text_max};
}

/* The next `size` bytes; NULL when there are not so many. */
static const uint8_t *take(struct rdb_reader *reader, uint64_t size)
{
    if (rdb_left(reader) < size)
        return NULL;
    const uint8_t *at = reader->at;
    reader->at += size;
    return at;
}

/* ---- Lengths and numbers ----------------------------------------------------------------------------------- */

/* A length, or what is in place of one before a string (enum rdb_special). */
static enum status read_length(struct rdb_reader *reader, uint64_t *ret_length, bool *ret_is_special)
{
    const uint8_t *first = take(reader, 1), *rest;
    *ret_is_special = false;
    if (first == NULL)
        return ST_INVALID;
    switch ((enum rdb_length)(*first & 0xc0)) {
    case RDB_LENGTH_6: *ret_length = *first & 0x3f; return ST_OK;
    case RDB_LENGTH_SPECIAL:
        *ret_length = *first & 0x3f;
        *ret_is_special = true;
        return ST_OK;
    case RDB_LENGTH_14:
        if ((rest = take(reader, 1)) == NULL)
            return ST_INVALID;
        *ret_length = (uint64_t)(*first & 0x3f) << 8 | *rest;
        return ST_OK;
    case RDB_LENGTH_LONG: break;
    }
    size_t width = *first == RDB_LENGTH_32 ? 4 : *first == RDB_LENGTH_64 ? 8 : 0;
    if (width == 0 || (rest = take(reader, width)) == NULL)
        return ST_INVALID;
    uint64_t length = 0;
    for (size_t i = 0; i < width; i++)
        length = length << 8 | rest[i];
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
    if (rdb_read_length(reader, &count) != ST_OK || count > rdb_left(reader))
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

static enum status read_compressed(struct rdb_reader *reader, struct rdb_stored *ret_stored)
{
    uint64_t packed_size, size;
    const uint8_t *packed;
    if (rdb_read_length(reader, &packed_size) != ST_OK || rdb_read_length(reader, &size) != ST_OK ||
        (packed = take(reader, packed_size)) == NULL)
        return ST_INVALID;
    if (size == 0 || size > reader->text_max || size > lzf_expanded_max(packed_size))
        return ST_INVALID;
    *ret_stored = (struct rdb_stored){
        .is_compressed = true, .bytes = slice_make((const char *)packed, packed_size), .size = size};
    return ST_OK;
}

enum status rdb_read_stored(struct rdb_reader *reader, struct rdb_stored *ret_stored)
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
        case RDB_LZF: return read_compressed(reader, ret_stored);
        default: return ST_INVALID;
        }
    }
    const uint8_t *bytes = length <= reader->text_max ? take(reader, length) : NULL;
    if (bytes == NULL)
        return ST_INVALID;
    *ret_stored = (struct rdb_stored){.bytes = slice_make((const char *)bytes, length), .size = length};
    return ST_OK;
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
