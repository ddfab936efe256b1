/* A grid of characters with styles: what the views draw on, and what the terminal, batch output and tests are made of.
 *
 * Principal entry points: canvas_resize, canvas_clear, canvas_text, canvas_printf, canvas_graph, canvas_bar,
 * canvas_row_text.
 *
 * C1  A cell holds a printable character, a blank, or the second half of a wide one. Whatever a server sends is put
 *     here and nowhere else: bytes that are no printable UTF-8 are shown as \xHH, so that no control character of
 *     theirs reaches a terminal.
 * C2  Nothing is drawn outside the grid, whatever row and column are asked for.
 * Threads: one at a time for a canvas. Needs setlocale(LC_CTYPE) for characters beyond ASCII. */
#ifndef SKUA_TOP_CANVAS_H
#define SKUA_TOP_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/slice.h"

#define CANVAS_WIDTH_MAX  1000
#define CANVAS_HEIGHT_MAX 100000 /* batch output draws tables at full length */

enum style {
    STYLE_PLAIN,
    STYLE_DIM,
    STYLE_LABEL,
    STYLE_STRONG,
    STYLE_HEADER, /* of a table */
    STYLE_ACTIVE, /* the tab that is shown, the column that is sorted by */
    STYLE_GRAPH,
    STYLE_GOOD,
    STYLE_WARN,
    STYLE_BAD,
    STYLE_COUNT,
};

struct cell {
    wchar_t character; /* 0: the second half of the wide character before */
    uint8_t style;
};

struct canvas {
    int width;
    int height;
    bool unicode; /* false: ASCII only */
    struct cell *cells;
};

/* Zero-initialised is an empty canvas. Sizes are cut to the maxima and to at least 1. */
void canvas_resize(struct canvas *canvas, int width, int height);
void canvas_clear(struct canvas *canvas);
void canvas_done(struct canvas *canvas);

/* Writes at most `width` columns and answers how many were used; a text that is longer ends with a mark. */
int canvas_text(struct canvas *canvas, int row, int column, int width, enum style style, struct slice text);
/* The same, ending at the column before column + width. */
void canvas_text_right(struct canvas *canvas, int row, int column, int width, enum style style,
                       struct slice text);
int canvas_printf(struct canvas *canvas, int row, int column, enum style style, const char *format, ...)
    PRINTF_LIKE(5, 6);
void canvas_style_row(struct canvas *canvas, int row, enum style style);

/* A bar of `width` columns, `part` (0 to 1) of it filled. NAN draws nothing. */
void canvas_bar(struct canvas *canvas, int row, int column, int width, double part, enum style style);

/* One column of a graph that has `height` rows, the topmost in `row`: `part` (0 to 1) of it filled. */
void canvas_graph(struct canvas *canvas, int row, int column, int height, double part, enum style style);

/* Columns that `text` takes as canvas_text shows it. */
int canvas_text_width(const struct canvas *canvas, struct slice text);

/* Appends a row as UTF-8 without blanks at its end. */
void canvas_row_text(const struct canvas *canvas, int row, struct buf *ret_text);

#endif
