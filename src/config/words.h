/* Splits a line of a configuration file into words, with quotes and escapes.
 *
 * Principal entry points: config_words_split, config_words_done, config_word_append.
 * Words are separated by blanks. "…" knows \n \r \t \b \a \\ \" and \xHH; '…' knows \' only. A closing quote
 * must be followed by a blank or the end. Threads: any; a list has one owner. */
#ifndef SKUA_CONFIG_WORDS_H
#define SKUA_CONFIG_WORDS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/status.h"

/* More words on one line are refused. */
#define CONFIG_WORDS_MAX 1024

struct config_words {
    struct slice *items; /* into `text` */
    uint32_t count;
    struct buf text;
};

/* ST_INVALID: quotes that do not match; ST_LIMIT: too many words. `words` is valid for config_words_done in
 * any case and needs no initialisation. */
enum status config_words_split(struct slice line, struct config_words *words);

/* Splits at blanks only: no quotes, no escapes. ST_LIMIT: too many words. */
enum status config_words_split_plain(struct slice text, struct config_words *words);

void config_words_done(struct config_words *words);

/* Appends one word so that config_words_split reads the same word: as it is, or in quotes where needed. */
void config_word_append(struct buf *text, struct slice word);

#endif
