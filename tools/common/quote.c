/* Splitting of lines into words with quotes and escapes. Entry: see quote.h. Threads: any. */
#include "common/quote.h"

#include <ctype.h>

#include "base/alloc.h"

/* Where a line is being read. */
struct line {
    struct slice rest;
    struct buf *word;
};

static bool is_blank(char c)
{
    return isspace((unsigned char)c) || c == '\0';
}

static void skip(struct line *line, size_t count)
{
    line->rest.data += count;
    line->rest.size -= count;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind a backslash within double quotes. */
static void read_escape(struct line *line)
{
    struct slice rest = line->rest;
    if (rest.size >= 3 && rest.data[0] == 'x' && hex_digit(rest.data[1]) >= 0 &&
        hex_digit(rest.data[2]) >= 0) {
        buf_append_char(line->word, (char)(hex_digit(rest.data[1]) * 16 + hex_digit(rest.data[2])));
        skip(line, 3);
        return;
    }
    char c = rest.data[0];
    switch (c) {
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 't': c = '\t'; break;
    case 'b': c = '\b'; break;
    case 'a': c = '\a'; break;
    default: break;
    }
    buf_append_char(line->word, c);
    skip(line, 1);
}

/* From behind the opening quote to behind the closing one. */
static bool read_quoted(struct line *line, char quote)
{
    while (line->rest.size > 0) {
        char c = line->rest.data[0];
        skip(line, 1);
        if (c == quote)
            return line->rest.size == 0 || is_blank(line->rest.data[0]);
        if (c == '\\' && line->rest.size > 0 && quote == '"') {
            read_escape(line);
        } else if (c == '\\' && line->rest.size > 0 && line->rest.data[0] == '\'') {
            buf_append_char(line->word, '\'');
            skip(line, 1);
        } else {
            buf_append_char(line->word, c);
        }
    }
    return false;
}

static bool read_word(struct line *line)
{
    while (line->rest.size > 0 && !is_blank(line->rest.data[0])) {
        char c = line->rest.data[0];
        skip(line, 1);
        if (c == '"' || c == '\'')
            return read_quoted(line, c);
        buf_append_char(line->word, c);
    }
    return true;
}

static void skip_blanks(struct line *line)
{
    while (line->rest.size > 0 && is_blank(line->rest.data[0]))
        skip(line, 1);
}

bool quote_split(struct slice text, struct quote_words *words)
{
    *words = (struct quote_words){0};
    /* Words are never longer than what they are written with, so with this reserve the text does not move. */
    buf_reserve(&words->text, 2 * text.size + 1);
    struct line line = {text, &words->text};
    size_t capacity = 0;
    for (skip_blanks(&line); line.rest.size > 0; skip_blanks(&line)) {
        size_t start = words->text.size;
        if (!read_word(&line)) {
            quote_words_done(words);
            return false;
        }
        if (words->count == capacity) {
            capacity = capacity == 0 ? 8 : 2 * capacity;
            words->items = mem_realloc(words->items, capacity * sizeof *words->items);
        }
        words->items[words->count++] = slice_make(words->text.data + start, words->text.size - start);
        buf_append_char(&words->text, '\0');
    }
    return true;
}

void quote_words_done(struct quote_words *words)
{
    mem_free(words->items);
    buf_done(&words->text);
    *words = (struct quote_words){0};
}

bool quote_unquote(struct slice text, struct buf *out)
{
    struct quote_words words;
    bool one = quote_split(text, &words) && words.count == 1;
    if (one)
        buf_append_slice(out, words.items[0]);
    quote_words_done(&words);
    return one;
}
