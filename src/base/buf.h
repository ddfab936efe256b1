/* A byte buffer that grows: for building texts and messages off the hot path. One owner thread.
 *
 * Zero-initialised is a valid empty buffer. Growth that fails is fatal: never append bytes whose number a
 * client chose without a limit of your own. */
#ifndef SKUA_BASE_BUF_H
#define SKUA_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/slice.h"

struct buf {
    char *data;
    size_t size;
    size_t capacity;
};

void buf_done(struct buf *buf);
void buf_clear(struct buf *buf);
void buf_reserve(struct buf *buf, size_t extra);
/* For bytes whose number a client chose. False: memory for them was refused, nothing has changed. */
bool buf_try_reserve(struct buf *buf, size_t extra);
void buf_append(struct buf *buf, const void *bytes, size_t size);
void buf_append_char(struct buf *buf, char c);
void buf_append_string(struct buf *buf, const char *string);
void buf_append_slice(struct buf *buf, struct slice slice);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* "…" with \n \r \t \a \b \" \\ and \xHH escapes, as MONITOR and SLOWLOG tools show arguments. */
void buf_append_quoted(struct buf *buf, struct slice slice);
/* The contents with a zero byte behind them; valid until the next change. */
const char *buf_string(struct buf *buf);

static inline struct slice buf_slice(const struct buf *buf)
{
    return (struct slice){buf->data, buf->size};
}

#endif
