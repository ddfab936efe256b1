/* Writes replies: typed values of RESP2 or RESP3 into a list of chunks.
 *
 * Principal entry points: see reply.h. Threads: one at a time.
 *
 * Chunks come from the pool and are filled one after the other; a value may span several. A pinned value is a
 * chunk of its own, after which a new one is opened when more is written. */
#include "protocol/reply.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bug.h"
#include "base/num.h"

/* Longest header: type byte, digits of a 64-bit number, line end. */
#define HEADER_MAX 24

/* Strings up to this size are written whole into the open chunk, behind a header, when there is room. */
#define BULK_FAST_MAX 4096

/* ---- Chunks --------------------------------------------------------------------------------------- */

void reply_init(struct reply *reply, struct chunk_pool *pool, int resp)
{
    *reply = (struct reply){.pool = pool, .resp = (uint8_t)resp};
}

/* Brings the open chunk's `end` and list.bytes up to the cursor. */
static void sync_open_chunk(struct reply *reply)
{
    if (reply->cursor == NULL)
        return;
    struct chunk *chunk = reply->list.tail;
    uint64_t end = (uint64_t)(reply->cursor - chunk->data);
    reply->list.bytes += end - chunk->end;
    chunk->end = end;
}

static void close_chunk(struct reply *reply)
{
    sync_open_chunk(reply);
    reply->cursor = NULL;
    reply->limit = NULL;
}

void reply_give_chunk(struct reply *reply, struct chunk *chunk)
{
    chunk_list_append(&reply->list, chunk);
    reply->cursor = chunk->data + chunk->end;
    reply->limit = chunk->data + chunk->capacity;
}

void reply_add_chunk(struct reply *reply, struct chunk *chunk)
{
    if (unlikely(reply->cursor != NULL)) {
        if (reply_size(reply) == 0)
            reply_clear(reply);
        else
            close_chunk(reply);
    }
    reply_give_chunk(reply, chunk);
}

void reply_open_chunk(struct reply *reply)
{
    close_chunk(reply);
    reply_give_chunk(reply, chunk_pool_get(reply->pool));
}

ALWAYS_INLINE bool has_room(const struct reply *reply, size_t size)
{
    return (size_t)(reply->limit - reply->cursor) >= size;
}

/* Makes sure that `size` bytes (at most CHUNK_CAPACITY) fit in one piece. */
ALWAYS_INLINE void need_room(struct reply *reply, size_t size)
{
    if (unlikely(!has_room(reply, size)))
        reply_open_chunk(reply);
}

void reply_clear(struct reply *reply)
{
    close_chunk(reply);
    chunk_list_clear(&reply->list, reply->pool);
}

void reply_drop(struct reply *reply, struct worker_pool *workers)
{
    close_chunk(reply);
    chunk_list_drop(&reply->list, reply->pool, workers);
}

void reply_take(struct reply *reply, struct chunk_list *to)
{
    close_chunk(reply);
    chunk_list_move(to, &reply->list);
}

void reply_move(struct reply *to, struct reply *from)
{
    close_chunk(to);
    reply_take(from, &to->list);
}

uint64_t reply_size(const struct reply *reply)
{
    if (reply->cursor == NULL)
        return reply->list.bytes;
    const struct chunk *chunk = reply->list.tail;
    return reply->list.bytes + (uint64_t)(reply->cursor - chunk->data) - chunk->end;
}

struct reply_mark reply_mark(const struct reply *reply)
{
    struct chunk *chunk = reply->list.tail;
    if (chunk == NULL)
        return (struct reply_mark){NULL, 0};
    uint64_t end = reply->cursor == NULL ? chunk->end : (uint64_t)(reply->cursor - chunk->data);
    return (struct reply_mark){chunk, end};
}

void reply_rollback(struct reply *reply, struct reply_mark mark)
{
    if (mark.chunk == NULL) {
        reply_clear(reply);
        return;
    }
    close_chunk(reply);
    struct chunk *next = mark.chunk->next;
    mark.chunk->next = NULL;
    reply->list.tail = mark.chunk;
    while (next != NULL) {
        struct chunk *chunk = next;
        next = chunk->next;
        reply->list.bytes -= chunk->end - chunk->start;
        reply->list.count--;
        chunk_put(reply->pool, chunk);
    }
    reply->list.bytes -= mark.chunk->end - mark.end;
    mark.chunk->end = mark.end;
    if (reply->list.bytes == 0) {
        reply_clear(reply);
    } else if (!mark.chunk->pinned) {
        reply->cursor = mark.chunk->data + mark.chunk->end;
        reply->limit = mark.chunk->data + mark.chunk->capacity;
    }
}

void reply_split(struct reply *reply, struct reply_mark mark, struct reply *ret_rest)
{
    sync_open_chunk(reply);
    *ret_rest = *reply;
    reply->cursor = reply->limit = NULL;
    reply->list = (struct chunk_list){0};
    if (mark.chunk == NULL)
        return;
    /* The chunk with the mark stays in the rest, where open aggregates point into it; what lies before the mark is copied. */
    struct chunk_list *rest = &ret_rest->list;
    while (rest->head != mark.chunk) {
        struct chunk *chunk = rest->head;
        rest->head = chunk->next;
        rest->count--;
        chunk->next = NULL;
        chunk_list_append(&reply->list, chunk);
    }
    size_t size = mark.end - mark.chunk->start;
    if (mark.chunk->pinned) {
        rest->head = mark.chunk->next;
        rest->count--;
        mark.chunk->next = NULL;
        chunk_list_append(&reply->list, mark.chunk);
        if (rest->head == NULL)
            rest->tail = NULL;
    } else if (size > 0) {
        reply_raw(reply, mark.chunk->data + mark.chunk->start, size);
        close_chunk(reply);
        mark.chunk->start = mark.end;
    }
    rest->bytes -= reply->list.bytes;
}

void reply_raw_slow(struct reply *reply, const void *bytes, size_t size)
{
    const char *from = bytes;
    while (size > 0) {
        need_room(reply, 1);
        size_t room = (size_t)(reply->limit - reply->cursor);
        size_t part = size < room ? size : room;
        memcpy(reply->cursor, from, part);
        reply->cursor += part;
        from += part;
        size -= part;
    }
}

/* ---- Headers -------------------------------------------------------------------------------------- */

ALWAYS_INLINE char *write_line_end(char *at)
{
    at[0] = '\r';
    at[1] = '\n';
    return at + 2;
}

/* Writes a type byte, a number and a line end: at most HEADER_MAX bytes. Returns where they end. */
ALWAYS_INLINE char *write_header(char *at, char type, uint64_t number)
{
    *at++ = type;
    if (likely(number < 10)) {
        *at++ = (char)('0' + number);
    } else if (likely(number < 100)) {
        unsigned small = (unsigned)number;
        *at++ = (char)('0' + small / 10);
        *at++ = (char)('0' + small % 10);
    } else if (likely(number < 1000)) {
        unsigned small = (unsigned)number;
        *at++ = (char)('0' + small / 100);
        *at++ = (char)('0' + small / 10 % 10);
        *at++ = (char)('0' + small % 10);
    } else {
        at += num_format_u64(number, at);
    }
    return write_line_end(at);
}

ALWAYS_INLINE void header(struct reply *reply, char type, uint64_t number)
{
    need_room(reply, HEADER_MAX);
    reply->cursor = write_header(reply->cursor, type, number);
}

/* ---- Lines ---------------------------------------------------------------------------------------- */

/* One line of a type byte and bytes without line ends. */
static void line(struct reply *reply, char type, struct slice text)
{
    reply_raw(reply, &type, 1);
    reply_raw(reply, text.data, text.size);
    reply_literal(reply, "\r\n");
}

void reply_status(struct reply *reply, const char *text)
{
    line(reply, '+', slice_from_string(text));
}

static void note_error_code(struct reply *reply, struct slice text)
{
    size_t size = 0;
    while (size < text.size && size < REPLY_ERROR_CODE_MAX - 1 && text.data[size] != ' ')
        size++;
    memcpy(reply->error_code, text.data, size);
    reply->error_code[size] = '\0';
    reply->error_count++;
}

void reply_error(struct reply *reply, const char *format, ...)
{
    char text[REPLY_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    size_t size = wanted < 0 ? 0 : (size_t)wanted < sizeof(text) ? (size_t)wanted : sizeof(text) - 1;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\r' || text[i] == '\n')
            text[i] = ' ';
    }
    note_error_code(reply, slice_make(text, size));
    line(reply, '-', slice_make(text, size));
}

/* Of more digits, or where there is no room. */
NO_INLINE static void long_int(struct reply *reply, int64_t value)
{
    need_room(reply, HEADER_MAX);
    char *at = reply->cursor;
    *at++ = ':';
    reply->cursor = write_line_end(at + num_format_i64(value, at));
}

void reply_int(struct reply *reply, int64_t value)
{
    if (unlikely((uint64_t)value >= NUM_SHORT_END || !has_room(reply, HEADER_MAX))) {
        long_int(reply, value);
        return;
    }
    char *at = reply->cursor;
    *at++ = ':';
    if (value < 10)
        *at++ = (char)('0' + value);
    else
        at += num_format_short((uint32_t)value, at);
    reply->cursor = write_line_end(at);
}

/* ---- Strings -------------------------------------------------------------------------------------- */

/* A string of at most BULK_FAST_MAX bytes, in one piece. */
ALWAYS_INLINE void short_bulk(struct reply *reply, struct slice value)
{
    need_room(reply, value.size + HEADER_MAX + 2);
    char *at = write_header(reply->cursor, '$', value.size);
    if (likely(value.size > 0))
        memcpy(at, value.data, value.size);
    reply->cursor = write_line_end(at + value.size);
}

void reply_bulk(struct reply *reply, struct slice value)
{
    if (likely(value.size <= REPLY_SHORT_MAX)) {
        reply_bulk_short(reply, value.data, value.size);
        return;
    }
    if (likely(value.size <= BULK_FAST_MAX)) {
        short_bulk(reply, value);
        return;
    }
    header(reply, '$', value.size);
    reply_raw(reply, value.data, value.size);
    reply_literal(reply, "\r\n");
}

void reply_bulk_string(struct reply *reply, const char *value)
{
    reply_bulk(reply, slice_from_string(value));
}

void reply_bulk_int(struct reply *reply, int64_t value)
{
    need_room(reply, HEADER_MAX + NUM_I64_TEXT_MAX + 2);
    char *at = reply->cursor, *text = at + sizeof "$1\r\n" - 1;
    size_t size = num_format_i64(value, text);
    if (unlikely(size >= 10)) {
        memmove(text + 1, text, size);
        text++;
    }
    write_header(at, '$', size);
    reply->cursor = write_line_end(text + size);
}

void reply_bulk_pinned(struct reply *reply, struct slice value, void (*release)(void *owner), void *owner)
{
    header(reply, '$', value.size);
    close_chunk(reply);
    chunk_list_append(&reply->list, chunk_new_pinned(value.data, value.size, release, owner));
    reply_literal(reply, "\r\n");
}

/* ---- Values that differ between RESP2 and RESP3 --------------------------------------------------- */

void reply_null(struct reply *reply)
{
    if (reply->resp == 2)
        reply_literal(reply, "$-1\r\n");
    else
        reply_literal(reply, "_\r\n");
}

void reply_null_array(struct reply *reply)
{
    if (reply->resp == 2)
        reply_literal(reply, "*-1\r\n");
    else
        reply_literal(reply, "_\r\n");
}

void reply_bool(struct reply *reply, bool value)
{
    if (reply->resp == 2)
        reply_int(reply, value);
    else if (value)
        reply_literal(reply, "#t\r\n");
    else
        reply_literal(reply, "#f\r\n");
}

void reply_double(struct reply *reply, double value)
{
    char text[NUM_DOUBLE_TEXT_MAX];
    struct slice digits = slice_make(text, num_format_double(value, text));
    if (reply->resp == 2)
        reply_bulk(reply, digits);
    else
        line(reply, ',', digits);
}

void reply_long_double(struct reply *reply, long double value)
{
    char text[NUM_LONG_DOUBLE_TEXT_MAX];
    struct slice digits = slice_make(text, num_format_long_double(value, text));
    if (reply->resp == 2)
        reply_bulk(reply, digits);
    else
        line(reply, ',', digits);
}

void reply_verbatim(struct reply *reply, const char *format, struct slice value)
{
    if (reply->resp == 2) {
        reply_bulk(reply, value);
        return;
    }
    ASSERT(strlen(format) == 3);
    header(reply, '=', value.size + 4);
    reply_raw(reply, format, 3);
    reply_literal(reply, ":");
    reply_raw(reply, value.data, value.size);
    reply_literal(reply, "\r\n");
}

void reply_big_number(struct reply *reply, struct slice digits)
{
    if (reply->resp == 2)
        reply_bulk(reply, digits);
    else
        line(reply, '(', digits);
}

/* ---- Aggregates ----------------------------------------------------------------------------------- */

void reply_array(struct reply *reply, uint64_t count)
{
    header(reply, '*', count);
}

void reply_map(struct reply *reply, uint64_t pairs)
{
    if (reply->resp == 2)
        header(reply, '*', pairs * 2);
    else
        header(reply, '%', pairs);
}

void reply_set(struct reply *reply, uint64_t count)
{
    header(reply, reply->resp == 2 ? '*' : '~', count);
}

void reply_push(struct reply *reply, uint64_t count)
{
    header(reply, reply->resp == 2 ? '*' : '>', count);
}

void reply_attribute(struct reply *reply, uint64_t pairs)
{
    ASSERT(reply->resp == 3);
    header(reply, '|', pairs);
}

struct reply_open reply_open(struct reply *reply)
{
    need_room(reply, HEADER_MAX);
    struct chunk *chunk = reply->list.tail;
    struct reply_open open = {chunk, (uint64_t)(reply->cursor - chunk->data)};
    reply->cursor += HEADER_MAX;
    return open;
}

/* The gap lies before the elements and its header may be shorter: what follows in the same chunk (never more
 * than its capacity) moves down. Gaps of outer aggregates lie before this one and stay where they are. */
void reply_close(struct reply *reply, struct reply_open open, enum reply_kind kind, uint64_t count)
{
    char type = '*';
    if (kind == REPLY_MAP && reply->resp == 2)
        count *= 2;
    else if (reply->resp != 2 && kind != REPLY_ARRAY)
        type = kind == REPLY_MAP ? '%' : '~';

    sync_open_chunk(reply);
    struct chunk *chunk = open.chunk;
    char *gap = chunk->data + open.offset;
    char *elements = gap + HEADER_MAX;
    char *gap_end = write_header(gap, type, count);
    uint64_t unused = (uint64_t)(elements - gap_end);
    memmove(gap_end, elements, (size_t)(chunk->data + chunk->end - elements));
    chunk->end -= unused;
    reply->list.bytes -= unused;
    if (chunk == reply->list.tail && reply->cursor != NULL)
        reply->cursor -= unused;
}
