/* What is on the screen: one of five views of a model, or the help; which keys change it.
 *
 * Principal entry points: view_init, view_draw, view_key.
 * Knows no terminal: it draws on a canvas and takes keys as numbers, so that batch output and tests are the same code.
 * Files: view.c (frame, keys, help), view_overview.c, view_lists.c (commands, slow log, clients, errors), alerts.c.
 * Threads: one at a time for a view. */
#ifndef SKUA_TOP_VIEW_H
#define SKUA_TOP_VIEW_H

#include <stdbool.h>

#include "top/canvas.h"
#include "top/model.h"
#include "top/table.h"

enum view_kind {
    VIEW_OVERVIEW,
    VIEW_COMMANDS,
    VIEW_SLOW_LOG,
    VIEW_CLIENTS,
    VIEW_ERRORS,
    VIEW_COUNT,
};

#define INTERVAL_MIN_S 0.1
#define INTERVAL_MAX_S 3600.0

struct view {
    enum view_kind kind;
    bool help;
    bool paused;
    bool editing; /* the filter of the view */
    bool batch;   /* no frame of keys and tabs */
    double interval_s;
    struct table_state lists[VIEW_COUNT];
};

/* How the connection is, for the first line. */
enum link_state {
    LINK_CONNECTING,
    LINK_READY,
    LINK_LOST,    /* being made anew */
    LINK_REFUSED, /* the server does not want us: tried again on a key, and sometimes */
};

struct link_view {
    const char *address;
    enum link_state state;
    const char *problem; /* why it is not READY, or why INFO was refused; NULL or empty: nothing is wrong */
    double waiting_s;    /* since when an answer is due; NAN: none is */
};

/* Keys beyond characters. */
enum {
    VIEW_KEY_UP = 0x110000,
    VIEW_KEY_DOWN,
    VIEW_KEY_PAGE_UP,
    VIEW_KEY_PAGE_DOWN,
    VIEW_KEY_HOME,
    VIEW_KEY_END,
    VIEW_KEY_BACKSPACE,
    VIEW_KEY_ENTER,
    VIEW_KEY_ESCAPE,
    VIEW_KEY_TAB,
    VIEW_KEY_BACK_TAB,
};

enum view_action {
    ACTION_NONE,
    ACTION_DRAW,    /* what is shown has changed */
    ACTION_REFRESH, /* a reading is wanted now */
    ACTION_QUIT,
};

void view_init(struct view *view);

/* "overview", "commands", "slowlog", "clients", "errors" as options take them; NULL beyond. */
const char *view_name(enum view_kind kind);

enum view_action view_key(struct view *view, uint32_t key);

/* Draws everything on the canvas, which has been cleared. */
void view_draw(struct view *view, struct canvas *canvas, const struct model *model,
               const struct link_view *link);

/* What a reading needs beyond INFO for what is shown. */
struct wants {
    unsigned slow_entries; /* of the slow log; 0: none */
    bool latencies;        /* LATENCY HISTOGRAM */
    bool clients;          /* CLIENT LIST */
};

struct wants view_wants(const struct view *view);

/* ---- Parts, for view.c ------------------------------------------------------------------------------------ */

/* Each draws into rows row .. row + height - 1. */
void view_draw_overview(struct canvas *canvas, int row, int height, const struct model *model);
void view_draw_commands(struct canvas *canvas, int row, int height, const struct model *model,
                        struct table_state *state);
void view_draw_slow_log(struct canvas *canvas, int row, int height, const struct model *model,
                        struct table_state *state);
void view_draw_clients(struct canvas *canvas, int row, int height, const struct model *model,
                       struct table_state *state);
void view_draw_errors(struct canvas *canvas, int row, int height, const struct model *model,
                      struct table_state *state);

/* Columns that lists are sorted by at first. */
#define COMMANDS_SORT_SHARE 2
#define CLIENTS_SORT_MEMORY 7
#define SLOW_SORT_AGE       0
#define ERRORS_SORT_TOTAL   2

/* Appends lines for what an operator should know at once, each ended by '\n'; answers how many. */
unsigned alerts_collect(const struct model *model, struct buf *ret_lines);

#endif
