/* Characters in UTF-8. Entry: utf8_decode, utf8_is_valid, utf8_append, utf8_append_valid. Threads: any. */
#ifndef SKUA_COMMON_UTF8_H
#define SKUA_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

/* The first character of a text that is not empty, and its bytes. 0 and one byte when there is none: overlong forms,
 * surrogates, what is cut off or beyond U+10FFFF, and the zero byte itself. */
uint32_t utf8_decode(struct slice text, size_t *ret_size);

void utf8_append(struct buf *text, uint32_t character);

/* Whether all of the text is characters. */
bool utf8_is_valid(struct slice text);

/* Appends a text with U+FFFD in place of each byte that is no part of a character. */
void utf8_append_valid(struct buf *text, struct slice raw);

#endif
