/* RESP taken apart: one value, or the announcement of an aggregate, at a time.
 *
 * Principal entry points: skua_reader_next, reader_step.
 * Threads and invariants: see reader.h.
 *
 * | byte      | form                                       | read by                        |
 * |-----------|--------------------------------------------|--------------------------------|
 * | + -       | text, no CR or LF in it                    | read_text                      |
 * | :         | [+-]digits                                 | read_integer                   |
 * | $ !       | length CRLF bytes; $-1 is a null           | read_string, read_null         |
 * | =         | the same, its bytes begin with "xyz:"      | read_string                    |
 * | * ~ >     | count; *-1 is a null                       | read_aggregate, read_null      |
 * | % \|       | count of pairs                             | read_aggregate                 |
 * | , (       | a double, an integer of any size           | read_double, read_big_number   |
 * | # _       | t or f, nothing                            | read_bool, read_nothing        |
 * Each ends with CRLF. Lengths are digits alone. The streamed forms ($? *? and so on) are refused.
 *
 * Every function below looks at the item from its first byte on, changes nothing but `need` when it is incomplete
 * (SKUA_AGAIN), and moves past it when it is whole. That costs little: whatever can be long is either announced, so
 * that `need` tells when to look again, or is a line, whose searched part `need` remembers. A mistake is told at the
 * first byte that shows it, whatever comes later: this keeps R5.
 *
 * The usual case comes first and in few instructions; only when it does not hold a function of its own (explain_…,
 * search_line) finds out why, so that what is rare costs the usual case no registers. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "client/reader.h"

#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define OUT_OF_LINE         __attribute__((noinline))
#define COLD                __attribute__((cold, noinline))

#define DIGITS_MAX    19u  /* of INT64_MAX; as many nines fit into 64 bits */
#define DOUBLE_MAX    5120 /* characters: more than any double has with all its digits written out */
#define LINE_SHORT    32   /* characters that are compared one by one before memchr is worth its call */
#define FORMAT_SIZE   4    /* of a verbatim string: three letters and a colon */
#define LINE_END_SIZE 2

/* ---- Help ------------------------------------------------------------------------------------------------- */

static enum skua_status again(struct skua_reader *reader, size_t need)
{
    reader->need = need;
    return SKUA_AGAIN;
}

COLD static enum skua_status fail_at(struct skua_reader *reader, const char *item, size_t offset,
                                     const char *expected)
{
    unsigned char byte = (unsigned char)item[offset];
    if (byte >= ' ' && byte <= '~')
        return reader_fail(reader, SKUA_ERR_PROTOCOL, offset, "expected %s, got '%c'", expected, byte);
    return reader_fail(reader, SKUA_ERR_PROTOCOL, offset, "expected %s, got 0x%02x", expected, byte);
}

COLD static enum skua_status fail_reply_max(struct skua_reader *reader)
{
    return reader_fail(reader, SKUA_ERR_LIMIT, 0, "a reply of more than %zu bytes", reader->limits.reply_max);
}

/* Whether `size` more bytes may belong to this reply. */
static bool fits_reply(const struct skua_reader *reader, size_t size)
{
    return size <= reader->limits.reply_max - reader->used;
}

/* Moves past `size` bytes of an item. */
static inline void use(struct skua_reader *reader, size_t size)
{
    reader->at += size;
    reader->used += size;
    reader->need = 1;
}

/* A value inside of aggregates is complete: so may be some of them, and the reply. Answers whether the reply is. */
static inline bool complete(struct skua_reader *reader)
{
    do {
        struct reader_level *level = &reader->levels[reader->depth - 1];
        if (--level->left > 0)
            return false;
        reader->depth--;
        if (level->attribute)
            return false;
    } while (reader->depth > 0);
    reader->used = 0;
    return true;
}

/* Moves past a value. ret_item lacks only `last`. */
static inline enum skua_status finish(struct skua_reader *reader, size_t size, struct skua_item *ret_item)
{
    reader->at += size;
    reader->need = 1;
    if (reader->depth == 0) {
        reader->used = 0;
        ret_item->last = true;
        return SKUA_OK;
    }
    reader->used += size;
    ret_item->last = complete(reader);
    return SKUA_OK;
}

static inline bool is_line_end(const char *bytes)
{
    return memcmp(bytes, "\r\n", LINE_END_SIZE) == 0;
}

/* There is no CRLF at item[offset]: not yet, or something else. */
OUT_OF_LINE static enum skua_status explain_line_end(struct skua_reader *reader, const char *item,
                                                     size_t available, size_t offset)
{
    if (available > offset && item[offset] != '\r')
        return fail_at(reader, item, offset, "\\r");
    if (available > offset + 1)
        return fail_at(reader, item, offset + 1, "\\n");
    return again(reader, available + 1); /* not more: the next byte may be wrong */
}

/* The CRLF at item[offset]. */
static inline enum skua_status read_line_end(struct skua_reader *reader, const char *item, size_t available,
                                             size_t offset)
{
    if (LIKELY(available >= offset + LINE_END_SIZE && is_line_end(item + offset)))
        return SKUA_OK;
    return explain_line_end(reader, item, available, offset);
}

/* ---- Numbers ---------------------------------------------------------------------------------------------- */

static bool is_digit(char byte)
{
    return (unsigned char)byte - (unsigned)'0' <= 9;
}

/* Digits from item[offset] and the line end behind them: the offset behind that, or 0, for explain_digits to say why.
 * At most DIGITS_MAX digits. */
static inline size_t read_digits(const char *item, size_t available, size_t offset, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t i = offset;
    for (;; i++) {
        if (UNLIKELY(i + 1 >= available))
            return 0;
        unsigned digit = (unsigned char)item[i] - (unsigned)'0';
        if (digit > 9)
            break;
        value = value * 10 + digit;
    }
    size_t count = i - offset;
    if (UNLIKELY(count - 1 >= DIGITS_MAX || !is_line_end(item + i))) /* none is too many, too */
        return 0;
    *ret_value = value;
    return i + LINE_END_SIZE;
}

OUT_OF_LINE static enum skua_status explain_digits(struct skua_reader *reader, const char *item,
                                                   size_t available, size_t offset)
{
    size_t i = offset;
    while (i < available && is_digit(item[i]))
        i++;
    if (i - offset > DIGITS_MAX)
        return reader_fail(reader, SKUA_ERR_PROTOCOL, 0, "a number of more than %u digits", DIGITS_MAX);
    if (i == available)
        return again(reader, i + 1);
    if (i == offset)
        return fail_at(reader, item, offset, "a digit");
    return explain_line_end(reader, item, available, i);
}

OUT_OF_LINE static enum skua_status read_integer(struct skua_reader *reader, const char *item,
                                                 size_t available, struct skua_item *ret_item)
{
    if (UNLIKELY(available < 2))
        return again(reader, 2);
    bool negative = item[1] == '-';
    size_t offset = negative || item[1] == '+' ? 2 : 1;
    uint64_t value = 0;
    size_t end = read_digits(item, available, offset, &value);
    if (UNLIKELY(end == 0))
        return explain_digits(reader, item, available, offset);
    if (UNLIKELY(value > (uint64_t)INT64_MAX + negative))
        return reader_fail(reader, SKUA_ERR_PROTOCOL, 0, "an integer beyond 64 bits");
    if (UNLIKELY(!fits_reply(reader, end)))
        return fail_reply_max(reader);
    *ret_item = (struct skua_item){
        .type = SKUA_INTEGER,
        .depth = reader->depth,
        .integer = (int64_t)(negative ? 0 - value : value),
    };
    return finish(reader, end, ret_item);
}

/* "-1" instead of a length. */
OUT_OF_LINE static enum skua_status read_null(struct skua_reader *reader, const char *item, size_t available,
                                              struct skua_item *ret_item)
{
    if (available < 3)
        return again(reader, 3);
    if (item[2] != '1')
        return fail_at(reader, item, 2, "-1 as the only negative length");
    enum skua_status status = read_line_end(reader, item, available, 3);
    if (status != SKUA_OK)
        return status;
    if (!fits_reply(reader, 3 + LINE_END_SIZE))
        return fail_reply_max(reader);
    *ret_item = (struct skua_item){.type = SKUA_NULL, .depth = reader->depth};
    return finish(reader, 3 + LINE_END_SIZE, ret_item);
}

/* Behind a type comes what is not a digit: a null where `nullable`, or a mistake. */
OUT_OF_LINE static enum skua_status read_odd_length(struct skua_reader *reader, const char *item,
                                                    size_t available, bool nullable,
                                                    struct skua_item *ret_item)
{
    if (item[1] == '-' && nullable)
        return read_null(reader, item, available, ret_item);
    if (item[1] == '?')
        return reader_fail(reader, SKUA_ERR_PROTOCOL, 1, "streamed strings and aggregates are not supported");
    return fail_at(reader, item, 1, "a digit");
}

/* ---- Strings with a length -------------------------------------------------------------------------------- */

static bool in_parts(const struct skua_reader *reader)
{
    return reader->parts && reader->state == READER_ITEMS;
}

/* The first piece of a string that is longer than what has arrived. `body` is the offset of its bytes; `part` has its
 * type and the like. */
static enum skua_status read_first_part(struct skua_reader *reader, const char *item, size_t available,
                                        size_t body, size_t size, struct skua_item *part,
                                        struct skua_item *ret_item)
{
    if (available <= body)
        return again(reader, body + 1);
    size_t length = available - body;
    if (length >= size)
        return again(reader, body + size + LINE_END_SIZE);
    part->string = item + body;
    part->length = length;
    part->left = size - length;
    reader->part = *ret_item = *part;
    reader->state = READER_PART;
    use(reader, body + length);
    return SKUA_OK;
}

/* PART: the next piece. The last one comes with its line end only. */
static enum skua_status read_part(struct skua_reader *reader, struct skua_item *ret_item)
{
    size_t available = reader->end - reader->at;
    size_t left = reader->part.left;
    if (available < reader->need)
        return SKUA_AGAIN;
    const char *bytes = reader->buffer + reader->at;
    bool whole = available >= left;
    if (whole || !reader->parts) {
        if (available < left + LINE_END_SIZE)
            return again(reader, left + LINE_END_SIZE);
        enum skua_status status = read_line_end(reader, bytes, available, left);
        if (status != SKUA_OK)
            return status;
    }
    struct skua_item *part = &reader->part;
    part->string = bytes;
    part->length = whole ? left : available;
    part->left -= part->length;
    *ret_item = *part;
    if (!whole) {
        use(reader, part->length);
        return SKUA_OK;
    }
    reader->state = READER_ITEMS;
    return finish(reader, left + LINE_END_SIZE, ret_item);
}

/* The first FORMAT_SIZE of the `size` bytes at item[body]. */
OUT_OF_LINE static enum skua_status read_format(struct skua_reader *reader, const char *item, size_t body,
                                                size_t size, char ret_format[4])
{
    if (size < FORMAT_SIZE)
        return reader_fail(reader, SKUA_ERR_PROTOCOL, 0, "a verbatim string without a format");
    if (item[body + FORMAT_SIZE - 1] != ':')
        return fail_at(reader, item, body + FORMAT_SIZE - 1, "':' behind a verbatim string's format");
    memcpy(ret_format, item + body, FORMAT_SIZE - 1);
    return SKUA_OK;
}

/* A string that has not arrived, or that has a format. */
OUT_OF_LINE static enum skua_status read_odd_string(struct skua_reader *reader, const char *item,
                                                    size_t available, size_t body, size_t size,
                                                    enum skua_type type, struct skua_item *ret_item)
{
    struct skua_item result = {.type = type, .depth = reader->depth};
    size_t total = body + size + LINE_END_SIZE;
    if (type == SKUA_VERBATIM) {
        if (available < body + FORMAT_SIZE && size >= FORMAT_SIZE)
            return again(reader, body + FORMAT_SIZE);
        enum skua_status status = read_format(reader, item, body, size, result.format);
        if (status != SKUA_OK)
            return status;
        body += FORMAT_SIZE;
        size -= FORMAT_SIZE;
    }
    if (available < total) {
        if (!in_parts(reader))
            return again(reader, total);
        return read_first_part(reader, item, available, body, size, &result, ret_item);
    }
    enum skua_status status = read_line_end(reader, item, available, body + size);
    if (status != SKUA_OK)
        return status;
    result.string = item + body;
    result.length = size;
    *ret_item = result;
    return finish(reader, total, ret_item);
}

OUT_OF_LINE static enum skua_status read_string(struct skua_reader *reader, const char *item,
                                                size_t available, enum skua_type type,
                                                struct skua_item *ret_item)
{
    if (UNLIKELY(available < 2))
        return again(reader, 2);
    if (UNLIKELY(!is_digit(item[1])))
        return read_odd_length(reader, item, available, type == SKUA_STRING, ret_item);
    uint64_t announced = 0;
    size_t body = read_digits(item, available, 1, &announced);
    if (UNLIKELY(body == 0))
        return explain_digits(reader, item, available, 1);
    if (UNLIKELY(announced > reader->limits.string_max))
        return reader_fail(reader, SKUA_ERR_LIMIT, 0, "a string of more than %zu bytes",
                           reader->limits.string_max);
    size_t size = (size_t)announced;
    size_t total = body + size + LINE_END_SIZE;
    if (UNLIKELY(!fits_reply(reader, total)))
        return fail_reply_max(reader);
    if (UNLIKELY(type == SKUA_VERBATIM || available < total))
        return read_odd_string(reader, item, available, body, size, type, ret_item);
    if (UNLIKELY(!is_line_end(item + body + size)))
        return explain_line_end(reader, item, available, body + size);
    *ret_item = (struct skua_item){
        .type = type,
        .depth = reader->depth,
        .string = item + body,
        .length = size,
    };
    return finish(reader, total, ret_item);
}

/* ---- Lines ------------------------------------------------------------------------------------------------ */

/* Finds the first CR or LF in item[from .. available), or `available`. */
static size_t find_break(const char *item, size_t from, size_t available)
{
    const char *cr = memchr(item + from, '\r', available - from);
    size_t end = cr != NULL ? (size_t)(cr - item) : available;
    const char *lf = memchr(item + from, '\n', end - from);
    return lf != NULL ? (size_t)(lf - item) : end;
}

COLD static enum skua_status fail_line_max(struct skua_reader *reader, size_t line_max)
{
    if (line_max == reader->limits.string_max)
        return reader_fail(reader, SKUA_ERR_LIMIT, 0, "a line of more than %zu bytes", line_max);
    if (line_max == DOUBLE_MAX)
        return reader_fail(reader, SKUA_ERR_PROTOCOL, 0, "a double of more than %d characters", DOUBLE_MAX);
    return fail_reply_max(reader);
}

/* A line that is long, has not arrived, or is wrong. */
OUT_OF_LINE static enum skua_status search_line(struct skua_reader *reader, const char *item,
                                                size_t available, size_t line_max, size_t *ret_length)
{
    size_t around = 1 + LINE_END_SIZE;
    size_t room = reader->limits.reply_max - reader->used;
    if (room < around)
        return fail_reply_max(reader);
    if (line_max > room - around)
        line_max = room - around;
    size_t end = find_break(item, reader->need > 1 ? reader->need - 1 : 1, available);
    if (end - 1 > line_max)
        return fail_line_max(reader, line_max);
    if (end == available)
        return again(reader, end + 1);
    if (item[end] == '\n')
        return fail_at(reader, item, end, "\\r before it");
    if (end + 1 == available)
        return again(reader, end + 1); /* the CR will be looked at once more */
    if (item[end + 1] != '\n')
        return fail_at(reader, item, end + 1, "\\n");
    *ret_length = end - 1;
    return SKUA_OK;
}

#define LINE_NOT_FOUND SIZE_MAX

/* The length of the text behind the type, which is at most `line_max`; or LINE_NOT_FOUND, for search_line to say. */
static inline size_t find_line(const struct skua_reader *reader, const char *item, size_t available,
                               size_t line_max)
{
    size_t stop = available < LINE_SHORT ? available : LINE_SHORT;
    size_t i = 1;
    while (i + 1 < stop && (unsigned char)item[i] > '\r')
        i++;
    if (LIKELY(i + 1 < stop && is_line_end(item + i) && i - 1 <= line_max &&
               fits_reply(reader, i + LINE_END_SIZE)))
        return i - 1;
    return LINE_NOT_FOUND;
}

/* The text behind the type, item[1 .. 1 + *ret_length). */
static enum skua_status read_line(struct skua_reader *reader, const char *item, size_t available,
                                  size_t line_max, size_t *ret_length)
{
    *ret_length = find_line(reader, item, available, line_max);
    return *ret_length != LINE_NOT_FOUND ? SKUA_OK
                                         : search_line(reader, item, available, line_max, ret_length);
}

static inline enum skua_status finish_text(struct skua_reader *reader, const char *item, size_t length,
                                           enum skua_type type, struct skua_item *ret_item)
{
    *ret_item = (struct skua_item){
        .type = type,
        .depth = reader->depth,
        .string = item + 1,
        .length = length,
    };
    return finish(reader, 1 + length + LINE_END_SIZE, ret_item);
}

OUT_OF_LINE static enum skua_status read_long_text(struct skua_reader *reader, const char *item,
                                                   size_t available, enum skua_type type,
                                                   struct skua_item *ret_item)
{
    size_t length = 0;
    enum skua_status status = search_line(reader, item, available, reader->limits.string_max, &length);
    return status != SKUA_OK ? status : finish_text(reader, item, length, type, ret_item);
}

OUT_OF_LINE static enum skua_status read_text(struct skua_reader *reader, const char *item, size_t available,
                                              enum skua_type type, struct skua_item *ret_item)
{
    size_t length = find_line(reader, item, available, reader->limits.string_max);
    if (UNLIKELY(length == LINE_NOT_FOUND))
        return read_long_text(reader, item, available, type, ret_item);
    return finish_text(reader, item, length, type, ret_item);
}

static enum skua_status read_double(struct skua_reader *reader, const char *item, size_t available,
                                    struct skua_item *ret_item)
{
    size_t line_max = reader->limits.string_max < DOUBLE_MAX ? reader->limits.string_max : DOUBLE_MAX;
    size_t length = 0;
    enum skua_status status = read_line(reader, item, available, line_max, &length);
    if (status != SKUA_OK)
        return status;
    double number;
    if (!reader_parse_double(item + 1, length, &number))
        return reader_fail(reader, SKUA_ERR_PROTOCOL, 0, "expected a double");
    *ret_item = (struct skua_item){
        .type = SKUA_DOUBLE,
        .depth = reader->depth,
        .number = number,
        .string = item + 1,
        .length = length,
    };
    return finish(reader, 1 + length + LINE_END_SIZE, ret_item);
}

static enum skua_status read_big_number(struct skua_reader *reader, const char *item, size_t available,
                                        struct skua_item *ret_item)
{
    size_t length = 0;
    enum skua_status status = read_line(reader, item, available, reader->limits.string_max, &length);
    if (status != SKUA_OK)
        return status;
    size_t i = length > 0 && (item[1] == '-' || item[1] == '+') ? 2 : 1;
    size_t digits = i;
    while (i < 1 + length && is_digit(item[i]))
        i++;
    if (i == digits || i < 1 + length)
        return fail_at(reader, item, i, "a digit");
    return finish_text(reader, item, length, SKUA_BIG_NUMBER, ret_item);
}

/* ---- The rest --------------------------------------------------------------------------------------------- */

static enum skua_status read_bool(struct skua_reader *reader, const char *item, size_t available,
                                  struct skua_item *ret_item)
{
    if (available > 1 && item[1] != 't' && item[1] != 'f')
        return fail_at(reader, item, 1, "t or f");
    enum skua_status status = read_line_end(reader, item, available, 2);
    if (status != SKUA_OK)
        return status;
    if (!fits_reply(reader, 2 + LINE_END_SIZE))
        return fail_reply_max(reader);
    *ret_item = (struct skua_item){.type = SKUA_BOOL, .depth = reader->depth, .integer = item[1] == 't'};
    return finish(reader, 2 + LINE_END_SIZE, ret_item);
}

static enum skua_status read_nothing(struct skua_reader *reader, const char *item, size_t available,
                                     struct skua_item *ret_item)
{
    enum skua_status status = read_line_end(reader, item, available, 1);
    if (status != SKUA_OK)
        return status;
    if (!fits_reply(reader, 1 + LINE_END_SIZE))
        return fail_reply_max(reader);
    *ret_item = (struct skua_item){.type = SKUA_NULL, .depth = reader->depth};
    return finish(reader, 1 + LINE_END_SIZE, ret_item);
}

OUT_OF_LINE static enum skua_status read_aggregate(struct skua_reader *reader, const char *item,
                                                   size_t available, enum skua_type type,
                                                   struct skua_item *ret_item)
{
    if (UNLIKELY(available < 2))
        return again(reader, 2);
    if (UNLIKELY(!is_digit(item[1])))
        return read_odd_length(reader, item, available, type == SKUA_ARRAY, ret_item);
    uint64_t count = 0;
    size_t end = read_digits(item, available, 1, &count);
    if (UNLIKELY(end == 0))
        return explain_digits(reader, item, available, 1);
    unsigned each = type == SKUA_MAP || type == SKUA_ATTRIBUTE ? 2 : 1;
    if (UNLIKELY(count > reader->limits.element_max / each))
        return reader_fail(reader, SKUA_ERR_LIMIT, 0, "an aggregate of more than %zu elements",
                           reader->limits.element_max);
    if (UNLIKELY(type == SKUA_PUSH && reader->depth > 0))
        return reader_fail(reader, SKUA_ERR_PROTOCOL, 0, "a push inside of a reply");
    if (UNLIKELY(reader->depth == reader->limits.depth_max))
        return reader_fail(reader, SKUA_ERR_LIMIT, 0, "aggregates of more than %u levels", reader->depth);
    if (UNLIKELY(!fits_reply(reader, end)))
        return fail_reply_max(reader);
    *ret_item = (struct skua_item){
        .type = type,
        .depth = reader->depth,
        .element_count = (size_t)count * each,
    };
    bool attribute = type == SKUA_ATTRIBUTE;
    if (count == 0 && !attribute)
        return finish(reader, end, ret_item);
    use(reader, end);
    if (count > 0)
        reader->levels[reader->depth++] = (struct reader_level){ret_item->element_count, attribute};
    return SKUA_OK;
}

/* Too little has arrived. */
OUT_OF_LINE static enum skua_status wait(struct skua_reader *reader)
{
    reader_trim(reader);
    return SKUA_AGAIN;
}

/* The functions for the types are not inlined here, so that each pays for its own registers only. */
static inline enum skua_status step(struct skua_reader *reader, struct skua_item *ret_item)
{
    size_t available = reader->end - reader->at;
    if (UNLIKELY(available < reader->need))
        return wait(reader);
    const char *item = reader->buffer + reader->at;
    switch (item[0]) {
    case '$': return read_string(reader, item, available, SKUA_STRING, ret_item);
    case '+': return read_text(reader, item, available, SKUA_STATUS, ret_item);
    case ':': return read_integer(reader, item, available, ret_item);
    case '*': return read_aggregate(reader, item, available, SKUA_ARRAY, ret_item);
    case '-': return read_text(reader, item, available, SKUA_ERROR, ret_item);
    case '%': return read_aggregate(reader, item, available, SKUA_MAP, ret_item);
    case '~': return read_aggregate(reader, item, available, SKUA_SET, ret_item);
    case '>': return read_aggregate(reader, item, available, SKUA_PUSH, ret_item);
    case '|': return read_aggregate(reader, item, available, SKUA_ATTRIBUTE, ret_item);
    case '!': return read_string(reader, item, available, SKUA_ERROR, ret_item);
    case '=': return read_string(reader, item, available, SKUA_VERBATIM, ret_item);
    case ',': return read_double(reader, item, available, ret_item);
    case '(': return read_big_number(reader, item, available, ret_item);
    case '#': return read_bool(reader, item, available, ret_item);
    case '_': return read_nothing(reader, item, available, ret_item);
    default: return fail_at(reader, item, 0, "the type of a value");
    }
}

enum skua_status reader_step(struct skua_reader *reader, struct skua_item *ret_item)
{
    return step(reader, ret_item);
}

/* skua_reader_next, when it is not simply the next value. */
OUT_OF_LINE static enum skua_status next_otherwise(struct skua_reader *reader, struct skua_item *ret_item)
{
    if (reader->state == READER_FAILED)
        return reader->status;
    return reader->state == READER_TREE ? SKUA_ERR_USE : read_part(reader, ret_item);
}

enum skua_status skua_reader_next(struct skua_reader *reader, struct skua_item *ret_item)
{
    if (LIKELY(reader->state == READER_ITEMS))
        return step(reader, ret_item);
    return next_otherwise(reader, ret_item);
}
