/* Reading packed collections. Entry: packed_open, packed_next. Threads: any.
 *
 * Each kind has a function that opens it and one that reads an item, which finds that `at` is before `end`. */
#include "rdb/packed.h"

#include "rdb/format.h"
#include "rdb/write.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are read as they lie in memory");

/* `width` bytes, little endian, as a number with a sign. */
static int64_t read_int(const uint8_t *bytes, size_t width)
{
    uint64_t bits = 0;
    memcpy(&bits, bytes, width);
    unsigned shift = 64 - 8 * (unsigned)width;
    return (int64_t)(bits << shift) >> shift;
}

static uint32_t read_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint16_t read_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static size_t left_of(const struct packed *packed)
{
    return (size_t)(packed->end - packed->at);
}

static void set_int(struct packed_item *item, int64_t number)
{
    *item = (struct packed_item){.is_int = true, .number = number};
}

static void set_text(struct packed_item *item, const uint8_t *text, size_t size)
{
    *item = (struct packed_item){.text = slice_make((const char *)text, size)};
}

/* How an item's bytes are divided: those that say what it is, and what it is. */
struct shape {
    size_t head;
    size_t body;
    bool is_int;
    int64_t number; /* of an integer without a body */
};

/* The item of a shape at `at`, if `at` has so many bytes. */
static bool take_item(const uint8_t *at, size_t available, const struct shape *shape,
                      struct packed_item *ret_item)
{
    if (available < shape->head || available - shape->head < shape->body)
        return false;
    if (!shape->is_int)
        set_text(ret_item, at + shape->head, shape->body);
    else
        set_int(ret_item, shape->body > 0 ? read_int(at + shape->head, shape->body) : shape->number);
    return true;
}

/* ---- Listpacks --------------------------------------------------------------------------------------------- */

static enum status open_listpack(struct packed *packed, struct slice bytes)
{
    const uint8_t *data = (const uint8_t *)bytes.data;
    if (bytes.size < LISTPACK_FRAME || read_u32(data) != bytes.size || data[bytes.size - 1] != LISTPACK_END)
        return ST_INVALID;
    uint16_t count = read_u16(data + 4);
    packed->at = data + LISTPACK_HEADER;
    packed->end = data + bytes.size - 1;
    packed->counted = count != LISTPACK_COUNT_UNKNOWN;
    packed->left = count;
    return ST_OK;
}

/* False: no item begins like this. */
static bool listpack_shape(const uint8_t *at, size_t available, struct shape *ret_shape)
{
    uint8_t first = at[0];
    if (first < LISTPACK_STRING_6) {
        *ret_shape = (struct shape){.head = 1, .is_int = true, .number = first};
    } else if (first < LISTPACK_INT_13) {
        *ret_shape = (struct shape){.head = 1, .body = first & 0x3f};
    } else if (first < LISTPACK_STRING_12) {
        if (available < 2)
            return false;
        int64_t value = (first & 0x1f) << 8 | at[1];
        *ret_shape =
            (struct shape){.head = 2, .is_int = true, .number = value < 1 << 12 ? value : value - (1 << 13)};
    } else if (first < LISTPACK_STRING_32) {
        if (available < 2)
            return false;
        *ret_shape = (struct shape){.head = 2, .body = (size_t)(first & 0x0f) << 8 | at[1]};
    } else {
        switch (first) {
        case LISTPACK_STRING_32:
            if (available < 5)
                return false;
            *ret_shape = (struct shape){.head = 5, .body = read_u32(at + 1)};
            break;
        case LISTPACK_INT_16: *ret_shape = (struct shape){1, 2, true, 0}; break;
        case LISTPACK_INT_24: *ret_shape = (struct shape){1, 3, true, 0}; break;
        case LISTPACK_INT_32: *ret_shape = (struct shape){1, 4, true, 0}; break;
        case LISTPACK_INT_64: *ret_shape = (struct shape){1, 8, true, 0}; break;
        default: return false;
        }
    }
    return true;
}

static enum status next_in_listpack(struct packed *packed, struct packed_item *ret_item)
{
    struct shape shape;
    uint8_t tail[5];
    if (!listpack_shape(packed->at, left_of(packed), &shape) ||
        !take_item(packed->at, left_of(packed), &shape, ret_item))
        return ST_INVALID;
    size_t size = shape.head + shape.body;
    packed->at += size;
    /* Behind each item stands its size, which must be as it would be written. */
    size_t tail_size = listpack_tail(tail, size);
    if (left_of(packed) < tail_size || memcmp(packed->at, tail, tail_size) != 0)
        return ST_INVALID;
    packed->at += tail_size;
    return ST_OK;
}

/* ---- Ziplists ---------------------------------------------------------------------------------------------- */

/* Header: all bytes (4), where the last item begins (4), how many there are (2). */
#define ZIPLIST_HEADER        10
#define ZIPLIST_END           0xff
#define ZIPLIST_COUNT_UNKNOWN 0xffff
#define ZIPLIST_BEFORE_LONG   0xfe /* four bytes say how long the item before is */

static enum status open_ziplist(struct packed *packed, struct slice bytes)
{
    const uint8_t *data = (const uint8_t *)bytes.data;
    if (bytes.size < ZIPLIST_HEADER + 1 || read_u32(data) != bytes.size ||
        data[bytes.size - 1] != ZIPLIST_END)
        return ST_INVALID;
    uint32_t last = read_u32(data + 4);
    uint16_t count = read_u16(data + 8);
    if (last < ZIPLIST_HEADER || last >= bytes.size)
        return ST_INVALID;
    packed->at = data + ZIPLIST_HEADER;
    packed->end = data + bytes.size - 1;
    packed->last = data + last;
    packed->counted = count != ZIPLIST_COUNT_UNKNOWN;
    packed->left = count;
    /* Without an item, the last one is where the end mark is. */
    return packed->at < packed->end || packed->last == packed->end ? ST_OK : ST_INVALID;
}

static bool ziplist_shape(const uint8_t *at, size_t available, struct shape *ret_shape)
{
    if (available == 0)
        return false;
    uint8_t first = at[0];
    switch (first >> 6) {
    case 0: *ret_shape = (struct shape){.head = 1, .body = first & 0x3f}; return true;
    case 1:
        if (available < 2)
            return false;
        *ret_shape = (struct shape){.head = 2, .body = (size_t)(first & 0x3f) << 8 | at[1]};
        return true;
    case 2:
        if (available < 5)
            return false;
        *ret_shape = (struct shape){.head = 5, .body = __builtin_bswap32(read_u32(at + 1))};
        return true;
    default: break;
    }
    switch (first) {
    case 0xc0: *ret_shape = (struct shape){1, 2, true, 0}; return true;
    case 0xd0: *ret_shape = (struct shape){1, 4, true, 0}; return true;
    case 0xe0: *ret_shape = (struct shape){1, 8, true, 0}; return true;
    case 0xf0: *ret_shape = (struct shape){1, 3, true, 0}; return true;
    case 0xfe: *ret_shape = (struct shape){1, 1, true, 0}; return true;
    default:
        /* 0xf1 to 0xfd stand for 0 to 12. */
        if (first < 0xf1 || first > 0xfd)
            return false;
        *ret_shape = (struct shape){.head = 1, .is_int = true, .number = first - 0xf1};
        return true;
    }
}

static enum status next_in_ziplist(struct packed *packed, struct packed_item *ret_item)
{
    const uint8_t *start = packed->at;
    size_t before = *packed->at++;
    if (before == ZIPLIST_BEFORE_LONG) {
        if (left_of(packed) < 4)
            return ST_INVALID;
        before = read_u32(packed->at);
        packed->at += 4;
    }
    struct shape shape;
    if (before != packed->before || !ziplist_shape(packed->at, left_of(packed), &shape) ||
        !take_item(packed->at, left_of(packed), &shape, ret_item))
        return ST_INVALID;
    packed->at += shape.head + shape.body;
    packed->before = (size_t)(packed->at - start);
    if (packed->at == packed->end && packed->last != start)
        return ST_INVALID;
    return ST_OK;
}

/* ---- Zipmaps ----------------------------------------------------------------------------------------------- */

#define ZIPMAP_END           0xff
#define ZIPMAP_COUNT_UNKNOWN 254
#define ZIPMAP_SIZE_LONG     254 /* four bytes say how long the text is */

static enum status open_zipmap(struct packed *packed, struct slice bytes)
{
    const uint8_t *data = (const uint8_t *)bytes.data;
    if (bytes.size < 2 || data[bytes.size - 1] != ZIPMAP_END)
        return ST_INVALID;
    packed->at = data + 1;
    packed->end = data + bytes.size - 1;
    packed->counted = data[0] < ZIPMAP_COUNT_UNKNOWN;
    packed->left = 2u * data[0];
    return ST_OK;
}

static enum status next_in_zipmap(struct packed *packed, struct packed_item *ret_item)
{
    bool is_value = packed->before;
    size_t size = *packed->at++, unused = 0;
    if (size > ZIPMAP_SIZE_LONG)
        return ST_INVALID;
    if (size == ZIPMAP_SIZE_LONG) {
        if (left_of(packed) < 4)
            return ST_INVALID;
        size = read_u32(packed->at);
        packed->at += 4;
    }
    /* A value may have unused bytes behind it; how many stands before it. */
    if (is_value) {
        if (left_of(packed) < 1)
            return ST_INVALID;
        unused = *packed->at++;
    }
    if (left_of(packed) < size || left_of(packed) - size < unused)
        return ST_INVALID;
    set_text(ret_item, packed->at, size);
    packed->at += size + unused;
    packed->before = !is_value;
    if (packed->at == packed->end && !is_value)
        return ST_INVALID; /* a field without a value */
    return ST_OK;
}

/* ---- Intsets ----------------------------------------------------------------------------------------------- */

/* Header: bytes of an integer (4), how many there are (4). */
#define INTSET_HEADER 8

static enum status open_intset(struct packed *packed, struct slice bytes)
{
    const uint8_t *data = (const uint8_t *)bytes.data;
    if (bytes.size < INTSET_HEADER)
        return ST_INVALID;
    uint32_t width = read_u32(data), count = read_u32(data + 4);
    if ((width != 2 && width != 4 && width != 8) || (uint64_t)width * count != bytes.size - INTSET_HEADER)
        return ST_INVALID;
    packed->at = data + INTSET_HEADER;
    packed->end = data + bytes.size;
    packed->counted = true;
    packed->left = count;
    packed->width = width;
    packed->number = INT64_MIN;
    return ST_OK;
}

static enum status next_in_intset(struct packed *packed, struct packed_item *ret_item)
{
    int64_t number = read_int(packed->at, packed->width);
    bool is_first = packed->before == 0;
    if (!is_first && number <= packed->number)
        return ST_INVALID;
    packed->at += packed->width;
    packed->before = 1;
    packed->number = number;
    set_int(ret_item, number);
    return ST_OK;
}

/* ---- All of them ------------------------------------------------------------------------------------------- */

static const struct {
    enum status (*open)(struct packed *packed, struct slice bytes);
    enum status (*next)(struct packed *packed, struct packed_item *ret_item);
} kinds[] = {
    [PACKED_LISTPACK] = {open_listpack, next_in_listpack},
    [PACKED_ZIPLIST] = {open_ziplist, next_in_ziplist},
    [PACKED_ZIPMAP] = {open_zipmap, next_in_zipmap},
    [PACKED_INTSET] = {open_intset, next_in_intset},
};

enum status packed_open(struct packed *packed, enum packed_kind kind, struct slice bytes)
{
    *packed = (struct packed){.kind = kind};
    return kinds[kind].open(packed, bytes);
}

enum status packed_next(struct packed *packed, struct packed_item *ret_item)
{
    if (packed->at == packed->end)
        return packed->counted && packed->left > 0 ? ST_INVALID : ST_EOF;
    if (packed->counted && packed->left-- == 0)
        return ST_INVALID;
    return kinds[packed->kind].next(packed, ret_item);
}
