/* The page of keys and words. Entry: view_draw_help. Threads: see view.h. */
#include "base/macros.h"
#include "top/view.h"

#define KEY_COLUMN  2
#define TEXT_COLUMN 16

static const struct {
    const char *key;
    const char *text;
} lines[] = {
    {"1 .. 5, Tab", "overview, commands, slow log, clients, errors"},
    {"s", "sort by the next column"},
    {"r", "the other way round"},
    {"/", "only rows with this in a text (with * ? [: a pattern); Esc ends it"},
    {"arrows, PgUp ..", "scroll; Home, End"},
    {"+ -", "a longer or shorter interval"},
    {"p", "pause, and go on"},
    {"space", "read now; try a refused connection again"},
    {"?", "this page, and back"},
    {"q", "leave"},
    {NULL, NULL},
    {"per second", "between the last two readings"},
    {"time", "part of the time of all commands in that interval"},
    {"per call", "the mean in that interval"},
    {"p99 now", "of the calls in that interval; its buckets double in size"},
    {"p50, p99, ..", "since the start or CONFIG RESETSTAT"},
    {"output, input", "bytes to be sent to a client, or received and not yet run"},
    {"batch", "requests that the executor ran in one go"},
    {NULL, NULL},
    {"", "What the server does not report is not shown. A reading is one batch: INFO all,"},
    {"", "and what its view needs of SLOWLOG GET, LATENCY HISTOGRAM and CLIENT LIST."},
};

void view_draw_help(struct canvas *canvas, int row, int height)
{
    for (int i = 0; i < (int)ARRAY_COUNT(lines) && i < height; i++) {
        if (lines[i].text == NULL)
            continue;
        int column = lines[i].key[0] != 0 ? TEXT_COLUMN + 2 : KEY_COLUMN;
        canvas_text(canvas, row + i, KEY_COLUMN, TEXT_COLUMN, STYLE_STRONG, slice_from_string(lines[i].key));
        canvas_text(canvas, row + i, column, canvas->width, STYLE_PLAIN, slice_from_string(lines[i].text));
    }
}
