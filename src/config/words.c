/* Splits a line of a configuration file into words: see words.h. */
#include "config/words.h"

#include <stdbool.h>

#include "base/alloc.h"
#include "base/bug.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f' || c == '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static char unescaped(char c)
{
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
    }
}

/* Reads what follows an opening double quote; *position ends behind the closing one. */
static bool read_double_quoted(struct slice line, size_t *position, struct buf *text)
{
    size_t i = *position;
    while (i < line.size && line.data[i] != '"') {
        char c = line.data[i++];
        if (c == '\\' && i < line.size) {
            c = line.data[i++];
            if (c == 'x' && i + 1 < line.size && hex_digit(line.data[i]) >= 0 &&
                hex_digit(line.data[i + 1]) >= 0) {
                c = (char)(hex_digit(line.data[i]) * 16 + hex_digit(line.data[i + 1]));
                i += 2;
            } else {
                c = unescaped(c);
            }
        }
        buf_append_char(text, c);
    }
    *position = i + 1;
    return i < line.size;
}

static bool read_single_quoted(struct slice line, size_t *position, struct buf *text)
{
    size_t i = *position;
    while (i < line.size && line.data[i] != '\'') {
        if (line.data[i] == '\\' && i + 1 < line.size && line.data[i + 1] == '\'')
            i++;
        buf_append_char(text, line.data[i++]);
    }
    *position = i + 1;
    return i < line.size;
}

/* Reads one word that begins at *position (no blank). A quote may also open in the middle of a word. */
static bool read_word(struct slice line, bool quotes, size_t *position, struct buf *text)
{
    while (*position < line.size && !is_blank(line.data[*position])) {
        char c = line.data[(*position)++];
        if (!quotes || (c != '"' && c != '\'')) {
            buf_append_char(text, c);
            continue;
        }
        bool closed =
            c == '"' ? read_double_quoted(line, position, text) : read_single_quoted(line, position, text);
        if (!closed || (*position < line.size && !is_blank(line.data[*position])))
            return false;
        break;
    }
    return true;
}

/* On failure the list is empty. */
static enum status split(struct slice line, bool quotes, struct config_words *words)
{
    *words = (struct config_words){.items = mem_calloc(CONFIG_WORDS_MAX, sizeof *words->items)};
    size_t position = 0;
    uint32_t count = 0;
    for (;;) {
        while (position < line.size && is_blank(line.data[position]))
            position++;
        if (position == line.size)
            break;
        if (count == CONFIG_WORDS_MAX)
            return ST_LIMIT;
        size_t start = words->text.size;
        if (!read_word(line, quotes, &position, &words->text))
            return ST_INVALID;
        words->items[count++].size = words->text.size - start;
    }
    /* Only now does the text stay where it is. */
    const char *at = buf_string(&words->text);
    for (uint32_t i = 0; i < count; i++) {
        words->items[i].data = at;
        at += words->items[i].size;
    }
    words->count = count;
    return ST_OK;
}

enum status config_words_split(struct slice line, struct config_words *words)
{
    return split(line, true, words);
}

enum status config_words_split_plain(struct slice text, struct config_words *words)
{
    return split(text, false, words);
}

void config_words_done(struct config_words *words)
{
    mem_free(words->items);
    buf_done(&words->text);
    *words = (struct config_words){0};
}

void config_word_append(struct buf *text, struct slice word)
{
    bool plain = word.size > 0 && word.data[0] != '#';
    for (size_t i = 0; plain && i < word.size; i++) {
        unsigned char c = (unsigned char)word.data[i];
        plain = c > ' ' && c != '"' && c != '\'' && c != '\\' && c != 127;
    }
    if (plain)
        buf_append_slice(text, word);
    else
        buf_append_quoted(text, word);
}
