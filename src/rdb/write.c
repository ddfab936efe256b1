/* Writing lengths, strings and listpacks. Entry: see write.h. Threads: any; one for each buffer. */
#include "rdb/write.h"

#include <math.h>

#include "base/bug.h"
#include "rdb/format.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie in memory");

/* ---- Strings ----------------------------------------------------------------------------------------------- */

void rdb_write_length(struct buf *out, uint64_t length)
{
    uint8_t bytes[RDB_LENGTH_SIZE_MAX];
    size_t size;
    if (length < 1u << 6) {
        bytes[0] = (uint8_t)(RDB_LENGTH_6 | length);
        size = 1;
    } else if (length < 1u << 14) {
        bytes[0] = (uint8_t)(RDB_LENGTH_14 | length >> 8);
        bytes[1] = (uint8_t)length;
        size = 2;
    } else if (length <= UINT32_MAX) {
        uint32_t swapped = __builtin_bswap32((uint32_t)length);
        bytes[0] = RDB_LENGTH_32;
        memcpy(bytes + 1, &swapped, sizeof swapped);
        size = 5;
    } else {
        uint64_t swapped = __builtin_bswap64(length);
        bytes[0] = RDB_LENGTH_64;
        memcpy(bytes + 1, &swapped, sizeof swapped);
        size = 9;
    }
    buf_append(out, bytes, size);
}

void rdb_write_int(struct buf *out, int64_t value)
{
    char bytes[NUM_I64_TEXT_MAX];
    size_t size;
    if (value != (int32_t)value) {
        size = num_format_i64(value, bytes);
        rdb_write_length(out, size);
        buf_append(out, bytes, size);
        return;
    }
    size = value == (int8_t)value ? 1 : value == (int16_t)value ? 2 : 4;
    bytes[0] = (char)(RDB_LENGTH_SPECIAL | (size == 1 ? RDB_INT_8 : size == 2 ? RDB_INT_16 : RDB_INT_32));
    memcpy(bytes + 1, &value, size);
    buf_append(out, bytes, 1 + size);
}

static bool write_compressed(struct buf *out, struct slice string, struct lzf_memory *memory)
{
    /* The packed bytes come behind two lengths, of which one is not known before: they are moved to it. */
    const size_t lengths_max = 1 + 2 * RDB_LENGTH_SIZE_MAX;
    size_t start = out->size;
    buf_reserve(out, lengths_max + string.size);
    size_t packed = lzf_compress(memory, string, out->data + start + lengths_max, string.size - 4);
    if (packed == 0)
        return false;
    buf_append_char(out, (char)(RDB_LENGTH_SPECIAL | RDB_LZF));
    rdb_write_length(out, packed);
    rdb_write_length(out, string.size);
    memmove(out->data + out->size, out->data + start + lengths_max, packed);
    out->size += packed;
    return true;
}

static void write_text(struct buf *out, struct slice text, struct lzf_memory *memory)
{
    if (memory != NULL && text.size >= RDB_COMPRESS_MIN && lzf_is_worth_while(memory, text.size)) {
        bool is_shorter = write_compressed(out, text, memory);
        lzf_found_out(memory, text.size, is_shorter);
        if (is_shorter)
            return;
    }
    rdb_write_length(out, text.size);
    buf_append_slice(out, text);
}

void rdb_write_string(struct buf *out, struct slice string, struct lzf_memory *memory)
{
    int64_t value;
    if (string.size < NUM_I64_TEXT_MAX && num_parse_i64(string, &value))
        rdb_write_int(out, value);
    else
        write_text(out, string, memory);
}

void rdb_write_element(struct buf *out, struct element element, struct lzf_memory *memory)
{
    element_scratch scratch;
    if (element.kind == ELEMENT_INT)
        rdb_write_int(out, element_int(element));
    else
        write_text(out, element_text(element, scratch), memory);
}

void rdb_write_double(struct buf *out, double value)
{
    buf_append(out, &value, sizeof value);
}

void rdb_write_u64(struct buf *out, uint64_t value)
{
    buf_append(out, &value, sizeof value);
}

/* ---- Listpacks --------------------------------------------------------------------------------------------- */

void listpack_header(uint8_t bytes[static 6], size_t size, uint32_t count)
{
    uint32_t total = (uint32_t)size;
    uint16_t shown = count < LISTPACK_COUNT_UNKNOWN ? (uint16_t)count : LISTPACK_COUNT_UNKNOWN;
    memcpy(bytes, &total, sizeof total);
    memcpy(bytes + 4, &shown, sizeof shown);
}

size_t listpack_head(uint8_t bytes[static 5], size_t text_size)
{
    if (text_size < 1u << 6) {
        bytes[0] = (uint8_t)(LISTPACK_STRING_6 | text_size);
        return 1;
    }
    if (text_size < 1u << 12) {
        bytes[0] = (uint8_t)(LISTPACK_STRING_12 | text_size >> 8);
        bytes[1] = (uint8_t)text_size;
        return 2;
    }
    uint32_t size = (uint32_t)text_size;
    bytes[0] = LISTPACK_STRING_32;
    memcpy(bytes + 1, &size, sizeof size);
    return 5;
}

/* The entry's size in groups of seven bits, to be read from behind: all but the first byte say that there is more. */
size_t listpack_tail(uint8_t bytes[static 5], size_t entry_size)
{
    size_t count = 1;
    for (size_t rest = entry_size >> 7; rest > 0; rest >>= 7)
        count++;
    for (size_t i = count; i-- > 0; entry_size >>= 7)
        bytes[i] = (uint8_t)((entry_size & 0x7f) | (i > 0 ? 0x80 : 0));
    return count;
}

void listpack_begin(struct listpack *pack, struct buf *out)
{
    *pack = (struct listpack){.out = out, .start = out->size};
    buf_append(out, "\0\0\0\0\0", LISTPACK_HEADER); /* set in the end */
}

static void end_entry(struct listpack *pack, size_t entry_size)
{
    uint8_t tail[5];
    buf_append(pack->out, tail, listpack_tail(tail, entry_size));
    pack->count++;
}

void listpack_add_int(struct listpack *pack, int64_t value)
{
    uint8_t bytes[9];
    size_t size;
    if (value >= 0 && value < 1 << 7) {
        bytes[0] = (uint8_t)(LISTPACK_INT_7 | value);
        size = 1;
    } else if (value >= -(1 << 12) && value < 1 << 12) {
        bytes[0] = (uint8_t)(LISTPACK_INT_13 | ((value >> 8) & 0x1f));
        bytes[1] = (uint8_t)value;
        size = 2;
    } else {
        bool in_24 = value >= -(1 << 23) && value < 1 << 23;
        size_t width = value == (int16_t)value ? 2 : in_24 ? 3 : value == (int32_t)value ? 4 : 8;
        bytes[0] = width == 2   ? LISTPACK_INT_16
                   : width == 3 ? LISTPACK_INT_24
                   : width == 4 ? LISTPACK_INT_32
                                : LISTPACK_INT_64;
        memcpy(bytes + 1, &value, width);
        size = 1 + width;
    }
    buf_append(pack->out, bytes, size);
    end_entry(pack, size);
}

void listpack_add_text(struct listpack *pack, struct slice text)
{
    uint8_t head[5];
    size_t size = listpack_head(head, text.size);
    buf_append(pack->out, head, size);
    buf_append_slice(pack->out, text);
    end_entry(pack, size + text.size);
}

void listpack_add(struct listpack *pack, struct element element)
{
    element_scratch scratch;
    if (element.kind == ELEMENT_INT)
        listpack_add_int(pack, element_int(element));
    else
        listpack_add_text(pack, element_text(element, scratch));
}

void listpack_add_score(struct listpack *pack, double score)
{
    char text[NUM_DOUBLE_TEXT_MAX];
    /* Up to here, each integer is a double. */
    const double exact_max = 9007199254740992.0;
    if (fabs(score) < exact_max && score == (double)(int64_t)score)
        listpack_add_int(pack, (int64_t)score);
    else
        listpack_add_text(pack, slice_make(text, num_format_double(score, text)));
}

void listpack_end(struct listpack *pack)
{
    uint8_t header[LISTPACK_HEADER];
    buf_append_char(pack->out, (char)LISTPACK_END);
    size_t size = pack->out->size - pack->start;
    ASSERT(size <= UINT32_MAX);
    listpack_header(header, size, pack->count);
    memcpy(pack->out->data + pack->start, header, sizeof header);
}
