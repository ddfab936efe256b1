/* The frame around the views, the help, and keys. Entry: view_init, view_draw, view_key. Threads: see view.h. */
#include "top/view.h"

#include <math.h>
#include <stdio.h>

#include "common/utf8.h"

#define ALERT_ROWS_MAX     3
#define SLOW_ENTRIES_SHORT 8   /* what the overview has room for */
#define SLOW_ENTRIES_LONG  128 /* what a slow log holds by default */
#define NAME_WIDTH_MIN     24  /* of the first line, for the server */
#define WAITING_SHOWN_S    1.0 /* an answer that takes longer is worth a word */
#define HELP_KEY_COLUMN    2
#define HELP_TEXT_COLUMN   16

static const struct {
    const char *name;
    const char *title;
} kinds[VIEW_COUNT] = {
    [VIEW_OVERVIEW] = {"overview", "Overview"}, [VIEW_COMMANDS] = {"commands", "Commands"},
    [VIEW_SLOW_LOG] = {"slowlog", "Slow log"},  [VIEW_CLIENTS] = {"clients", "Clients"},
    [VIEW_ERRORS] = {"errors", "Errors"},
};

void view_init(struct view *view)
{
    *view = (struct view){.interval_s = 1};
    view->lists[VIEW_COMMANDS].sort = COMMANDS_SORT_SHARE;
    view->lists[VIEW_SLOW_LOG].sort = SLOW_SORT_AGE;
    view->lists[VIEW_CLIENTS].sort = CLIENTS_SORT_MEMORY;
    view->lists[VIEW_ERRORS].sort = ERRORS_SORT_TOTAL;
}

const char *view_name(enum view_kind kind)
{
    return kind < VIEW_COUNT ? kinds[kind].name : NULL;
}

struct wants view_wants(const struct view *view)
{
    struct wants wants = {.latencies = view->kind == VIEW_COMMANDS, .clients = view->kind == VIEW_CLIENTS};
    if (view->kind == VIEW_SLOW_LOG || (view->batch && view->kind == VIEW_OVERVIEW))
        wants.slow_entries = SLOW_ENTRIES_LONG;
    else if (view->kind == VIEW_OVERVIEW)
        wants.slow_entries = SLOW_ENTRIES_SHORT;
    return wants;
}

/* ---- Keys ------------------------------------------------------------------------------------------------- */

static void remove_last_character(char *text)
{
    size_t size = strlen(text);
    while (size > 0 && (text[size - 1] & 0xc0) == 0x80)
        size--;
    text[size > 0 ? size - 1 : 0] = 0;
}

static void add_character(char *text, uint32_t key)
{
    struct buf bytes = {0};
    size_t size = strlen(text);
    if (key >= 0x20 && key != 0x7f && key < VIEW_KEY_UP) {
        utf8_append(&bytes, key);
        if (size + bytes.size < TABLE_FILTER_MAX) {
            memcpy(text + size, bytes.data, bytes.size);
            text[size + bytes.size] = 0;
        }
    }
    buf_done(&bytes);
}

static enum view_action edit_filter(struct view *view, uint32_t key)
{
    struct table_state *list = &view->lists[view->kind];
    switch (key) {
    case VIEW_KEY_ENTER: view->editing = false; break;
    case VIEW_KEY_ESCAPE:
        view->editing = false;
        list->filter[0] = 0;
        break;
    case VIEW_KEY_BACKSPACE: remove_last_character(list->filter); break;
    default: add_character(list->filter, key); break;
    }
    list->top = 0;
    return ACTION_DRAW;
}

/* Most views show what each reading has. A reading out of turn makes rates over a short interval, which are rough. */
static enum view_action show(struct view *view, unsigned kind)
{
    view->kind = kind % VIEW_COUNT;
    view->help = false;
    bool needs_more = view->kind == VIEW_CLIENTS || view->kind == VIEW_SLOW_LOG;
    return needs_more && !view->paused ? ACTION_REFRESH : ACTION_DRAW;
}

static enum view_action change_interval(struct view *view, bool longer)
{
    static const double steps_s[] = {0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60};
    double next_s = view->interval_s;
    for (size_t i = 0; i < ARRAY_COUNT(steps_s); i++) {
        double step_s = longer ? steps_s[i] : steps_s[ARRAY_COUNT(steps_s) - 1 - i];
        if (longer ? step_s > view->interval_s : step_s < view->interval_s) {
            next_s = step_s;
            break;
        }
    }
    view->interval_s = next_s;
    return ACTION_DRAW;
}

static enum view_action scroll(struct view *view, uint32_t key)
{
    struct table_state *list = &view->lists[view->kind];
    size_t page = list->page > 1 ? list->page - 1 : 1;
    switch (key) {
    case VIEW_KEY_UP: list->top -= list->top > 0; break;
    case VIEW_KEY_DOWN: list->top++; break; /* table_draw keeps it in range */
    case VIEW_KEY_PAGE_UP: list->top = list->top > page ? list->top - page : 0; break;
    case VIEW_KEY_PAGE_DOWN: list->top += page; break;
    case VIEW_KEY_HOME: list->top = 0; break;
    case VIEW_KEY_END: list->top = list->matching; break;
    default: return ACTION_NONE;
    }
    return ACTION_DRAW;
}

enum view_action view_key(struct view *view, uint32_t key)
{
    struct table_state *list = &view->lists[view->kind];
    bool is_list = view->kind != VIEW_OVERVIEW;
    if (view->editing)
        return edit_filter(view, key);
    switch (key) {
    case 'q': return ACTION_QUIT;
    case '?': view->help = !view->help; return ACTION_DRAW;
    case VIEW_KEY_TAB: return show(view, view->kind + 1);
    case VIEW_KEY_BACK_TAB: return show(view, view->kind + VIEW_COUNT - 1);
    case '+': return change_interval(view, true);
    case '-': return change_interval(view, false);
    case ' ': return ACTION_REFRESH;
    case 'p': view->paused = !view->paused; return view->paused ? ACTION_DRAW : ACTION_REFRESH;
    case 's':
        if (is_list)
            table_next_sort(list);
        return ACTION_DRAW;
    case 'r': list->reversed = !list->reversed; return ACTION_DRAW;
    case '/': view->editing = is_list && !view->help; return ACTION_DRAW;
    case VIEW_KEY_ESCAPE:
        list->filter[0] = 0;
        view->help = false;
        return ACTION_DRAW;
    default: break;
    }
    if (key >= '1' && key < '1' + VIEW_COUNT)
        return show(view, key - '1');
    return scroll(view, key);
}

/* ---- Help -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *key;
    const char *text;
} help_lines[] = {
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
    {"queue .. reply", "p99 of waiting, being executed, and until it is sent"},
    {"output, input", "bytes to be sent to a client, or received and not yet run"},
    {"batch", "requests that the executor ran in one go"},
    {NULL, NULL},
    {"", "What the server does not report is not shown. A reading is one batch: INFO all,"},
    {"", "and what its view needs of SLOWLOG GET, LATENCY HISTOGRAM and CLIENT LIST."},
};

static void draw_help(struct canvas *canvas, int row, int height)
{
    for (int i = 0; i < (int)ARRAY_COUNT(help_lines) && i < height; i++) {
        if (help_lines[i].text == NULL)
            continue;
        int column = help_lines[i].key[0] != 0 ? HELP_TEXT_COLUMN + 2 : HELP_KEY_COLUMN;
        canvas_text(canvas, row + i, HELP_KEY_COLUMN, HELP_TEXT_COLUMN, STYLE_STRONG,
                    slice_from_string(help_lines[i].key));
        canvas_text(canvas, row + i, column, canvas->width, STYLE_PLAIN,
                    slice_from_string(help_lines[i].text));
    }
}

/* ---- Frame ------------------------------------------------------------------------------------------------ */

static void append_link(const struct view *view, const struct model *model, const struct link_view *link,
                        struct buf *text)
{
    char span[FORMAT_MAX];
    if (view->paused)
        buf_append_string(text, "PAUSED");
    else if (link->state != LINK_READY)
        buf_append_string(text, link->state == LINK_CONNECTING ? "connecting"
                                : link->state == LINK_LOST     ? "NOT CONNECTED"
                                                               : "REFUSED");
    else if (link->waiting_s >= WAITING_SHOWN_S)
        buf_printf(text, "no answer for %s", format_span(link->waiting_s, span));
    else if (model->now != NULL)
        buf_printf(text, "answered in %s", format_usec((double)model->now->round_trip_ns / 1e3, span));
}

static void append_server(const struct model *model, const struct link_view *link, struct buf *text)
{
    const struct sample *sample = model->now;
    if (sample == NULL) {
        buf_printf(text, "skua-top  %s", link->address);
        return;
    }
    sample_server_name(sample, text);
    static const enum text_figure words[] = {TEXT_ROLE, TEXT_MODE, TEXT_SERVER_MODE};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (sample->text[words[i]].size > 0) {
            buf_append_string(text, i == 0 ? "  " : " ");
            buf_append_slice(text, sample->text[words[i]]);
        }
    }
    char span[FORMAT_MAX];
    if (!isnan(sample->value[FIGURE_UPTIME]))
        buf_printf(text, "  up %s", format_span(sample->value[FIGURE_UPTIME], span));
    buf_printf(text, "  %s", link->address);
}

static void draw_first_line(const struct view *view, struct canvas *canvas, const struct model *model,
                            const struct link_view *link)
{
    struct buf left = {0}, right = {0};
    append_server(model, link, &left);
    append_link(view, model, link, &right);
    int width = canvas_text_width(canvas, buf_slice(&right));
    if (canvas->width < width + NAME_WIDTH_MIN)
        width = 0; /* who it is matters more */
    int room = canvas->width - width - 2;
    bool alarm = link->state != LINK_READY || link->waiting_s >= WAITING_SHOWN_S;
    canvas_text(canvas, 0, 0, room, STYLE_STRONG, buf_slice(&left));
    canvas_text_right(canvas, 0, room + 2, width, view->paused || alarm ? STYLE_WARN : STYLE_DIM,
                      buf_slice(&right));
    buf_done(&left);
    buf_done(&right);
}

static void draw_tabs(const struct view *view, struct canvas *canvas, int row)
{
    int column = 0;
    for (unsigned i = 0; i < VIEW_COUNT; i++) {
        enum style style = i == view->kind && !view->help ? STYLE_ACTIVE : STYLE_DIM;
        column += canvas_printf(canvas, row, column, style, " %u %s ", i + 1, kinds[i].title) + 1;
    }
    char every[FORMAT_MAX];
    snprintf(every, sizeof every, "every %gs", view->interval_s);
    canvas_text_right(canvas, row, column, canvas->width - column, STYLE_DIM, slice_from_string(every));
}

/* What is wrong with the connection, then with the server. Answers how many rows were used. */
static int draw_alerts(struct canvas *canvas, int row, const struct model *model,
                       const struct link_view *link)
{
    struct buf lines = {0};
    if (link->problem != NULL && link->problem[0] != 0)
        buf_printf(&lines, "%s\n", link->problem);
    alerts_collect(model, &lines);
    struct slice rest = buf_slice(&lines);
    int used = 0;
    for (; rest.size > 0 && used < ALERT_ROWS_MAX; used++) {
        const char *end = memchr(rest.data, '\n', rest.size);
        size_t size = end != NULL ? (size_t)(end - rest.data) : rest.size;
        canvas_text(canvas, row + used, 0, canvas->width, STYLE_BAD, slice_make(rest.data, size));
        size_t taken = end != NULL ? size + 1 : size;
        rest = slice_make(rest.data + taken, rest.size - taken);
    }
    buf_done(&lines);
    return used;
}

static void draw_last_line(const struct view *view, struct canvas *canvas, int row)
{
    const struct table_state *list = &view->lists[view->kind];
    if (view->editing) {
        canvas_printf(canvas, row, 0, STYLE_STRONG, "/%s%s", list->filter, canvas->unicode ? "\u2581" : "_");
        return;
    }
    int column = 0;
    if (view->kind != VIEW_OVERVIEW && list->filter[0] != 0)
        column = canvas_printf(canvas, row, 0, STYLE_WARN, "filter %s (%zu)  ", list->filter, list->matching);
    else if (view->kind != VIEW_OVERVIEW)
        column = canvas_printf(canvas, row, 0, STYLE_DIM, "%zu row%s  ", list->matching,
                               list->matching == 1 ? "" : "s");
    canvas_printf(canvas, row, column, STYLE_DIM, "%s",
                  view->kind == VIEW_OVERVIEW ? "1-5 views  + - interval  p pause  ? help  q quit"
                                              : "s sort  r reverse  / filter  p pause  ? help  q quit");
}

static void draw_body(struct view *view, struct canvas *canvas, int row, int height,
                      const struct model *model)
{
    struct table_state *list = &view->lists[view->kind];
    if (view->help) {
        draw_help(canvas, row, height);
        return;
    }
    if (model->now == NULL)
        return;
    switch (view->kind) {
    case VIEW_OVERVIEW: view_draw_overview(canvas, row, height, model); break;
    case VIEW_COMMANDS: view_draw_commands(canvas, row, height, model, list); break;
    case VIEW_SLOW_LOG: view_draw_slow_log(canvas, row, height, model, list); break;
    case VIEW_CLIENTS: view_draw_clients(canvas, row, height, model, list); break;
    case VIEW_ERRORS: view_draw_errors(canvas, row, height, model, list); break;
    case VIEW_COUNT: break;
    }
}

void view_draw(struct view *view, struct canvas *canvas, const struct model *model,
               const struct link_view *link)
{
    int row = 1, last = canvas->height;
    draw_first_line(view, canvas, model, link);
    if (!view->batch) {
        draw_tabs(view, canvas, row++);
        last--;
    }
    row += draw_alerts(canvas, row, model, link);
    draw_body(view, canvas, row, last - row, model);
    if (!view->batch)
        draw_last_line(view, canvas, last);
}
