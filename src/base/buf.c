/* The growing byte buffer. Entry: see base/buf.h. Threads: the owner of the buffer.
 *
 * B1  size <= capacity; data is NULL if and only if capacity is 0. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/bug.h"

#define BUF_CAPACITY_MIN 64

void buf_done(struct buf *buf)
{
    mem_free(buf->data);
    *buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
}

/* The capacity to which a buffer grows for `extra` bytes more; 0 when there is no such. */
static size_t next_capacity(const struct buf *buf, size_t extra)
{
    size_t wanted;
    if (__builtin_add_overflow(buf->size, extra, &wanted) || wanted > MEM_SIZE_MAX)
        return 0;
    /* Half as much again: appending stays linear and realloc can still use the space given up before. */
    size_t capacity = buf->capacity + buf->capacity / 2;
    if (capacity < wanted)
        capacity = wanted;
    return capacity < BUF_CAPACITY_MIN ? BUF_CAPACITY_MIN : capacity;
}

void buf_reserve(struct buf *buf, size_t extra)
{
    if (likely(buf->capacity - buf->size >= extra))
        return;
    size_t capacity = next_capacity(buf, extra);
    if (capacity == 0)
        fatal("a buffer of %zu bytes should grow by %zu", buf->size, extra);
    buf->data = mem_realloc(buf->data, capacity);
    buf->capacity = capacity;
}

bool buf_try_reserve(struct buf *buf, size_t extra)
{
    if (likely(buf->capacity - buf->size >= extra))
        return true;
    size_t capacity = next_capacity(buf, extra);
    char *data = capacity > 0 ? mem_try_realloc(buf->data, capacity) : NULL;
    if (data == NULL)
        return false;
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void buf_append(struct buf *buf, const void *bytes, size_t size)
{
    if (size == 0)
        return;
    buf_reserve(buf, size);
    memcpy(buf->data + buf->size, bytes, size);
    buf->size += size;
}

void buf_append_char(struct buf *buf, char c)
{
    buf_reserve(buf, 1);
    buf->data[buf->size++] = c;
}

void buf_append_string(struct buf *buf, const char *string)
{
    buf_append(buf, string, strlen(string));
}

void buf_append_slice(struct buf *buf, struct slice slice)
{
    buf_append(buf, slice.data, slice.size);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    buf_reserve(buf, BUF_CAPACITY_MIN);
    size_t room = buf->capacity - buf->size;
    va_start(arguments, format);
    int size = vsnprintf(buf->data + buf->size, room, format, arguments);
    va_end(arguments);
    ASSERT(size >= 0);
    if ((size_t)size >= room) {
        buf_reserve(buf, (size_t)size + 1);
        va_start(arguments, format);
        vsnprintf(buf->data + buf->size, (size_t)size + 1, format, arguments);
        va_end(arguments);
    }
    buf->size += (size_t)size;
}

/* The letter of a two-character escape, 0 where there is none. */
static char escape_letter(unsigned char c)
{
    switch (c) {
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    case '\a': return 'a';
    case '\b': return 'b';
    case '"': return '"';
    case '\\': return '\\';
    default: return 0;
    }
}

void buf_append_quoted(struct buf *buf, struct slice slice)
{
    static const char hex[] = "0123456789abcdef";
    buf_reserve(buf, slice.size + 2);
    buf_append_char(buf, '"');
    for (size_t i = 0; i < slice.size; i++) {
        unsigned char c = (unsigned char)slice.data[i];
        char letter = escape_letter(c);
        if (letter != 0) {
            buf_append(buf, (char[]){'\\', letter}, 2);
        } else if (c >= 0x20 && c < 0x7f) {
            buf_append_char(buf, (char)c);
        } else {
            buf_append(buf, (char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
        }
    }
    buf_append_char(buf, '"');
}

const char *buf_string(struct buf *buf)
{
    buf_reserve(buf, 1);
    buf->data[buf->size] = '\0';
    return buf->data;
}
