/* Lines of words with quotes and escapes, as people type them to the command line client.
 *
 * Principal entry points: quote_split, quote_words_done, quote_unquote. The other way round is buf_append_quoted.
 * Words are separated by blanks. "…" knows \n \r \t \b \a \xHH, and a backslash before any other character stands for
 * that character; '…' knows \' only. A closing quote must be followed by a blank or the end. A quote may also open
 * inside of a word.
 * Threads: any; a list has one owner. */
#ifndef SKUA_COMMON_QUOTE_H
#define SKUA_COMMON_QUOTE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

struct quote_words {
    struct slice *items; /* into `text`; each has a zero byte behind it */
    size_t count;
    struct buf text;
};

/* False: a quote is not closed, or a closed one is not followed by a blank; `words` is empty then. Needs no
 * initialisation; quote_words_done in any case. */
bool quote_split(struct slice line, struct quote_words *words);
void quote_words_done(struct quote_words *words);

/* Appends what one quoted word stands for. False when `text` is not exactly one word; nothing is appended. */
bool quote_unquote(struct slice text, struct buf *out);

#endif
