/* A grid of characters. Entry: canvas_text, canvas_row_text. Threads, C1 and C2: see canvas.h. */
#include "top/canvas.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "common/utf8.h"

#define LINE_MAX_BYTES 4096 /* of canvas_printf; longer than any terminal is wide */
#define GRAPH_LEVELS   8    /* of one cell */

static int clamp(int value, int least, int most)
{
    return value < least ? least : value > most ? most : value;
}

void canvas_resize(struct canvas *canvas, int width, int height)
{
    canvas->width = clamp(width, 1, CANVAS_WIDTH_MAX);
    canvas->height = clamp(height, 1, CANVAS_HEIGHT_MAX);
    size_t count = (size_t)canvas->width * (size_t)canvas->height;
    canvas->cells = mem_realloc(canvas->cells, count * sizeof *canvas->cells);
    canvas_clear(canvas);
}

void canvas_clear(struct canvas *canvas)
{
    size_t count = (size_t)canvas->width * (size_t)canvas->height;
    for (size_t i = 0; i < count; i++)
        canvas->cells[i] = (struct cell){.character = L' ', .style = STYLE_PLAIN};
}

void canvas_done(struct canvas *canvas)
{
    mem_free(canvas->cells);
    *canvas = (struct canvas){0};
}

static struct cell *cell_at(const struct canvas *canvas, int row, int column)
{
    if (row < 0 || row >= canvas->height || column < 0 || column >= canvas->width)
        return NULL;
    return &canvas->cells[(size_t)row * (size_t)canvas->width + (size_t)column];
}

static void put(struct canvas *canvas, int row, int column, wchar_t character, enum style style)
{
    struct cell *cell = cell_at(canvas, row, column);
    if (cell != NULL)
        *cell = (struct cell){.character = character, .style = (uint8_t)style};
}

/* ---- Characters ------------------------------------------------------------------------------------------- */

/* What the next byte or character of a text looks like: one or two columns, or an escape of four. */
struct glyph {
    wchar_t characters[4];
    int width;
    bool wide; /* one character in two columns */
    size_t size;
};

static struct glyph next_glyph(const struct canvas *canvas, struct slice text)
{
    const unsigned char *bytes = (const unsigned char *)text.data;
    size_t size = 1;
    wchar_t character = (wchar_t)utf8_decode(text, &size);
    bool ascii = character >= 0x20 && character < 0x7f;
    int width = ascii ? 1 : character >= 0xa0 && canvas->unicode ? wcwidth(character) : 0;
    if (width == 1 || width == 2)
        return (struct glyph){.characters = {character}, .width = width, .wide = width == 2, .size = size};
    static const wchar_t digits[] = L"0123456789abcdef";
    return (struct glyph){
        .characters = {L'\\', L'x', digits[bytes[0] >> 4], digits[bytes[0] & 15]}, .width = 4, .size = 1};
}

static void put_glyph(struct canvas *canvas, int row, int column, const struct glyph *glyph, enum style style)
{
    for (int i = 0; i < glyph->width; i++)
        put(canvas, row, column + i, glyph->characters[i], style); /* of a wide one the second is 0 */
}

/* ---- Text ------------------------------------------------------------------------------------------------- */

int canvas_text_width(const struct canvas *canvas, struct slice text)
{
    int width = 0;
    while (text.size > 0 && width < CANVAS_WIDTH_MAX) {
        struct glyph glyph = next_glyph(canvas, text);
        width += glyph.width;
        text = slice_make(text.data + glyph.size, text.size - glyph.size);
    }
    return width;
}

int canvas_text(struct canvas *canvas, int row, int column, int width, enum style style, struct slice text)
{
    width = clamp(width, 0, canvas->width - column);
    if (row < 0 || row >= canvas->height || column < 0 || width <= 0)
        return 0;
    int total = canvas_text_width(canvas, text);
    int room = total > width ? width - 1 : width;
    int used = 0;
    while (text.size > 0) {
        struct glyph glyph = next_glyph(canvas, text);
        if (used + glyph.width > room)
            break;
        put_glyph(canvas, row, column + used, &glyph, style);
        used += glyph.width;
        text = slice_make(text.data + glyph.size, text.size - glyph.size);
    }
    if (total > width)
        put(canvas, row, column + used++, canvas->unicode ? L'\x2026' : L'~', style);
    return used;
}

void canvas_text_right(struct canvas *canvas, int row, int column, int width, enum style style,
                       struct slice text)
{
    int needed = canvas_text_width(canvas, text);
    int indent = needed < width ? width - needed : 0;
    canvas_text(canvas, row, column + indent, width - indent, style, text);
}

int canvas_printf(struct canvas *canvas, int row, int column, enum style style, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (size < 0)
        return 0;
    struct slice text = slice_make(line, (size_t)clamp(size, 0, (int)sizeof line - 1));
    return canvas_text(canvas, row, column, canvas->width, style, text);
}

void canvas_style_row(struct canvas *canvas, int row, enum style style)
{
    for (int column = 0; column < canvas->width; column++) {
        struct cell *cell = cell_at(canvas, row, column);
        if (cell != NULL)
            cell->style = (uint8_t)style;
    }
}

/* ---- Bars and graphs -------------------------------------------------------------------------------------- */

void canvas_bar(struct canvas *canvas, int row, int column, int width, double part, enum style style)
{
    if (isnan(part) || width < 3)
        return;
    int inner = width - 2;
    int filled = clamp((int)lround(fmin(fmax(part, 0), 1) * inner), 0, inner);
    put(canvas, row, column, L'[', STYLE_DIM);
    for (int i = 0; i < inner; i++) {
        wchar_t full = canvas->unicode ? L'\x2588' : L'#';
        wchar_t empty = canvas->unicode ? L'\xb7' : L'.';
        put(canvas, row, column + 1 + i, i < filled ? full : empty, i < filled ? style : STYLE_DIM);
    }
    put(canvas, row, column + 1 + inner, L']', STYLE_DIM);
}

void canvas_graph(struct canvas *canvas, int row, int column, int height, double part, enum style style)
{
    static const wchar_t ascii[GRAPH_LEVELS + 1] = {L' ', L'.', L',', L':', L'-', L'=', L'+', L'*', L'#'};
    if (isnan(part))
        return;
    int levels = height * GRAPH_LEVELS;
    int filled = clamp((int)lround(fmin(fmax(part, 0), 1) * levels), part > 0 ? 1 : 0, levels);
    for (int i = 0; i < height; i++) {
        int level = clamp(filled - (height - 1 - i) * GRAPH_LEVELS, 0, GRAPH_LEVELS);
        if (level > 0) /* U+2581 to U+2588: blocks of one to eight eighths */
            put(canvas, row + i, column, canvas->unicode ? 0x2580 + level : ascii[level], style);
    }
}

/* ---- As text ---------------------------------------------------------------------------------------------- */

void canvas_row_text(const struct canvas *canvas, int row, struct buf *ret_text)
{
    int end = canvas->width;
    while (end > 0 && cell_at(canvas, row, end - 1) != NULL &&
           cell_at(canvas, row, end - 1)->character == L' ')
        end--;
    for (int column = 0; column < end; column++) {
        const struct cell *cell = cell_at(canvas, row, column);
        if (cell != NULL && cell->character != 0)
            utf8_append(ret_text, (uint32_t)cell->character);
    }
}
