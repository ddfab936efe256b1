/* A list with columns on a canvas: sorted, filtered, scrolled, and as wide as there is room.
 *
 * Principal entry points: table_draw, table_next_sort.
 * A table knows its rows by index only and asks for each cell. Columns of numbers in which every row is NAN are not
 * shown: the server does not report them.
 * Threads: one at a time for a table_state. */
#ifndef SKUA_TOP_TABLE_H
#define SKUA_TOP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "top/canvas.h"
#include "top/format.h"

#define TABLE_COLUMNS_MAX 24
#define TABLE_FILTER_MAX  64

struct table_column {
    struct slice title;
    int width;      /* least, in columns of the canvas */
    unsigned rank;  /* 0: always shown; where room is short, the highest go first */
    bool grows;     /* takes the room that is left */
    bool kept;      /* shown although every row is NAN */
    bool ascending; /* smallest first unless reversed */
    const char *(*format)(double value, char text[static FORMAT_MAX]); /* NULL: a column of texts */
};

struct table {
    const struct table_column *columns;
    unsigned column_count;
    size_t row_count;
    const void *context;
    struct slice (*text)(const void *context, size_t row, unsigned column);
    double (*number)(const void *context, size_t row, unsigned column);
};

/* What the user has chosen, and what was drawn last. */
struct table_state {
    unsigned sort; /* a column */
    bool reversed;
    char filter[TABLE_FILTER_MAX]; /* letters in any case; with * ? [ a glob pattern; empty: all rows */
    size_t top;                    /* rows scrolled over */
    uint32_t visible;              /* columns drawn, as bits */
    size_t matching;               /* rows that the filter lets through */
    size_t page;                   /* rows that there was room for */
};

/* Draws the heading and as many rows as fit into `height` rows from `row` on. Keeps state->top in range. Answers how
 * many rows of the canvas were used. */
int table_draw(struct canvas *canvas, int row, int height, const struct table *table,
               struct table_state *state);

/* Sorts by the next of the columns that are drawn. */
void table_next_sort(struct table_state *state);

#endif
