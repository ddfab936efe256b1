/* A list with columns. Entry: table_draw, table_next_sort. Threads: see table.h. */
#include "top/table.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/glob.h"

static double number_at(const struct table *table, size_t row, unsigned column)
{
    return table->columns[column].format != NULL ? table->number(table->context, row, column) : NAN;
}

/* ---- Which columns ---------------------------------------------------------------------------------------- */

static bool is_reported(const struct table *table, unsigned column)
{
    if (table->columns[column].format == NULL || table->columns[column].kept)
        return true;
    for (size_t row = 0; row < table->row_count; row++) {
        if (!isnan(number_at(table, row, column)))
            return true;
    }
    return false;
}

static int width_of(const struct table *table, uint32_t visible)
{
    int width = -1; /* no gap before the first */
    for (unsigned i = 0; i < table->column_count; i++) {
        if (visible & UINT32_C(1) << i)
            width += table->columns[i].width + 1;
    }
    return width;
}

static uint32_t visible_columns(const struct table *table, int width)
{
    uint32_t visible = 0;
    for (unsigned i = 0; i < table->column_count; i++) {
        if (is_reported(table, i))
            visible |= UINT32_C(1) << i;
    }
    while (width_of(table, visible) > width) {
        unsigned worst = 0;
        for (unsigned i = 0; i < table->column_count; i++) {
            if ((visible & UINT32_C(1) << i) && table->columns[i].rank > table->columns[worst].rank)
                worst = i;
        }
        if (table->columns[worst].rank == 0)
            break;
        visible &= ~(UINT32_C(1) << worst);
    }
    return visible;
}

/* ---- Which rows, in which order --------------------------------------------------------------------------- */

static bool contains_nocase(struct slice text, struct slice part)
{
    for (size_t i = 0; i + part.size <= text.size; i++) {
        if (strncasecmp(text.data + i, part.data, part.size) == 0)
            return true;
    }
    return false;
}

static bool passes(const struct table *table, size_t row, struct slice filter, bool is_pattern)
{
    for (unsigned i = 0; i < table->column_count; i++) {
        if (table->columns[i].format != NULL)
            continue;
        struct slice text = table->text(table->context, row, i);
        if (is_pattern ? glob_match_nocase(filter, text) : contains_nocase(text, filter))
            return true;
    }
    return false;
}

static size_t select_rows(const struct table *table, const struct table_state *state, size_t *rows)
{
    struct slice filter = slice_from_string(state->filter);
    bool is_pattern = strpbrk(state->filter, "*?[") != NULL;
    size_t count = 0;
    for (size_t row = 0; row < table->row_count; row++) {
        if (filter.size == 0 || passes(table, row, filter, is_pattern))
            rows[count++] = row;
    }
    return count;
}

struct order {
    const struct table *table;
    unsigned column;
    bool descending;
};

static int compare_numbers(double a, double b, bool descending)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b); /* unknown ones are last in any order */
    return descending ? (a < b) - (a > b) : (a > b) - (a < b);
}

static int compare_rows(const void *a, const void *b, void *context)
{
    const struct order *order = context;
    size_t left = *(const size_t *)a, right = *(const size_t *)b;
    int result;
    if (order->table->columns[order->column].format != NULL) {
        result = compare_numbers(number_at(order->table, left, order->column),
                                 number_at(order->table, right, order->column), order->descending);
    } else {
        result = slice_compare(order->table->text(order->table->context, left, order->column),
                               order->table->text(order->table->context, right, order->column));
        result = order->descending ? -result : result;
    }
    return result != 0 ? result : (left > right) - (left < right);
}

static void sort_rows(const struct table *table, const struct table_state *state, size_t *rows, size_t count)
{
    unsigned column = state->sort < table->column_count ? state->sort : 0;
    struct order order = {table, column, table->columns[column].ascending == state->reversed};
    qsort_r(rows, count, sizeof *rows, compare_rows, &order);
}

/* ---- Drawing ---------------------------------------------------------------------------------------------- */

static void draw_cell(struct canvas *canvas, int at_row, int at_column, int width, const struct table *table,
                      size_t row, unsigned column)
{
    char text[FORMAT_MAX];
    const struct table_column *shape = &table->columns[column];
    if (shape->format == NULL)
        canvas_text(canvas, at_row, at_column, width, STYLE_PLAIN, table->text(table->context, row, column));
    else
        canvas_text_right(canvas, at_row, at_column, width, STYLE_PLAIN,
                          slice_from_string(shape->format(number_at(table, row, column), text)));
}

static void draw_title(struct canvas *canvas, int at_row, int at_column, int width,
                       const struct table_column *shape, bool is_sorted)
{
    enum style style = is_sorted ? STYLE_ACTIVE : STYLE_HEADER;
    if (shape->format == NULL)
        canvas_text(canvas, at_row, at_column, width, style, shape->title);
    else
        canvas_text_right(canvas, at_row, at_column, width, style, shape->title);
}

static void draw_column(struct canvas *canvas, int at_row, int at_column, int width,
                        const struct table *table, const struct table_state *state, unsigned column,
                        const size_t *rows, size_t count)
{
    draw_title(canvas, at_row, at_column, width, &table->columns[column], column == state->sort);
    for (size_t i = 0; i < count; i++)
        draw_cell(canvas, at_row + 1 + (int)i, at_column, width, table, rows[i], column);
}

int table_draw(struct canvas *canvas, int row, int height, const struct table *table,
               struct table_state *state)
{
    if (height < 1)
        return 0;
    state->visible = visible_columns(table, canvas->width);
    size_t *rows = mem_alloc((table->row_count + 1) * sizeof *rows);
    state->matching = select_rows(table, state, rows);
    sort_rows(table, state, rows, state->matching);
    state->page = (size_t)height - 1;
    size_t last_top = state->matching > state->page ? state->matching - state->page : 0;
    if (state->top > last_top)
        state->top = last_top;
    size_t shown = state->matching - state->top;
    shown = shown > state->page ? state->page : shown;

    canvas_style_row(canvas, row, STYLE_HEADER);
    int spare = canvas->width - width_of(table, state->visible);
    int column = 0;
    for (unsigned i = 0; i < table->column_count; i++) {
        if (!(state->visible & UINT32_C(1) << i))
            continue;
        int width = table->columns[i].width + (table->columns[i].grows && spare > 0 ? spare : 0);
        draw_column(canvas, row, column, width, table, state, i, rows + state->top, shown);
        column += width + 1;
    }
    mem_free(rows);
    return 1 + (int)shown;
}

void table_next_sort(struct table_state *state)
{
    for (unsigned i = 1; i <= TABLE_COLUMNS_MAX && state->visible != 0; i++) {
        unsigned column = (state->sort + i) % TABLE_COLUMNS_MAX;
        if (state->visible & UINT32_C(1) << column) {
            state->sort = column;
            state->reversed = false;
            return;
        }
    }
}
