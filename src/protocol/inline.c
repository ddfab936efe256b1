/* Splits the line of an inline command into arguments and resolves quotes and escapes in place.
 *
 * Principal entry points: inline_split. Threads: the owner of the connection.
 *
 * An argument ends at a blank. Inside "…" a backslash escapes: \n \r \t \a \b, \xHH, and any other byte for
 * itself. Inside '…' only \' is an escape. A quote may open in the middle of an argument, but behind the
 * closing one the argument must end. A zero byte is a byte like any other.
 *
 * I1  The write position never passes the read position: unescaping only shortens. */
#include "protocol/inline.h"

#include "base/macros.h"

struct cursor {
    char *line;
    size_t size;
    size_t read;
    size_t write;
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Blanks that end an unquoted argument: vertical tab and form feed do not. */
static bool ends_argument(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* -1 when `c` is no hexadecimal digit. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static char plain_escape(char c)
{
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'a': return '\a';
    case 'b': return '\b';
    default: return c;
    }
}

static void put(struct cursor *cursor, char c)
{
    cursor->line[cursor->write++] = c;
}

/* Reads the escape behind a backslash that cursor->read stands on; at least one byte follows. */
static void take_escape(struct cursor *cursor)
{
    const char *at = cursor->line + cursor->read;
    size_t left = cursor->size - cursor->read;
    if (left >= 4 && at[1] == 'x' && hex_value(at[2]) >= 0 && hex_value(at[3]) >= 0) {
        put(cursor, (char)(hex_value(at[2]) * 16 + hex_value(at[3])));
        cursor->read += 4;
        return;
    }
    put(cursor, plain_escape(at[1]));
    cursor->read += 2;
}

/* Reads from behind an opening quote to behind the closing one. False when it is missing or glued to more. */
static bool take_quoted(struct cursor *cursor, char quote)
{
    while (cursor->read < cursor->size) {
        char c = cursor->line[cursor->read];
        bool more = cursor->read + 1 < cursor->size;
        if (c == quote) {
            cursor->read++;
            return !more || is_blank(cursor->line[cursor->read]);
        }
        if (c == '\\' && more && quote == '"') {
            take_escape(cursor);
        } else if (c == '\\' && more && cursor->line[cursor->read + 1] == '\'') {
            put(cursor, '\'');
            cursor->read += 2;
        } else {
            put(cursor, c);
            cursor->read++;
        }
    }
    return false;
}

/* Reads one argument to its end; cursor->read stands on its first byte. */
static bool take_argument(struct cursor *cursor)
{
    while (cursor->read < cursor->size) {
        char c = cursor->line[cursor->read];
        if (ends_argument(c))
            return true;
        cursor->read++;
        if (c == '"' || c == '\'')
            return take_quoted(cursor, c);
        put(cursor, c);
    }
    return true;
}

enum status inline_split(struct parser *parser, char *line, size_t size)
{
    struct cursor cursor = {.line = line, .size = size};
    for (;;) {
        while (cursor.read < size && is_blank(line[cursor.read]))
            cursor.read++;
        if (cursor.read == size)
            return ST_OK;
        size_t start = cursor.read;
        cursor.write = start;
        if (!take_argument(&cursor))
            return ST_INVALID;
        if (!parser_push_arg(parser, start, cursor.write - start))
            return ST_NOMEM;
    }
}
