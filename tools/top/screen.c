/* The terminal, by ncurses. Entry: screen_open, screen_show, screen_key. Threads: the main thread. */
#define NCURSES_WIDECHAR 1
#include "top/screen.h"

#include <curses.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "common/terminal.h"
#include "top/view.h"

#define ESCAPE_DELAY_MS 25 /* between ESC and what a key sends after it */
#define DEFAULT_COLOUR  (-1)

struct screen {
    SCREEN *terminal;
    attr_t attributes[STYLE_COUNT];
};

/* What each style is without and with colours. */
static const struct {
    attr_t attributes;
    short colour;
} styles[STYLE_COUNT] = {
    [STYLE_PLAIN] = {A_NORMAL, DEFAULT_COLOUR},   [STYLE_DIM] = {A_DIM, DEFAULT_COLOUR},
    [STYLE_LABEL] = {A_NORMAL, COLOR_CYAN},       [STYLE_STRONG] = {A_BOLD, DEFAULT_COLOUR},
    [STYLE_HEADER] = {A_REVERSE, DEFAULT_COLOUR}, [STYLE_ACTIVE] = {A_BOLD | A_UNDERLINE, DEFAULT_COLOUR},
    [STYLE_GRAPH] = {A_NORMAL, COLOR_CYAN},       [STYLE_GOOD] = {A_NORMAL, COLOR_GREEN},
    [STYLE_WARN] = {A_BOLD, COLOR_YELLOW},        [STYLE_BAD] = {A_BOLD, COLOR_RED},
};

static void set_styles(struct screen *screen)
{
    bool coloured =
        terminal_colours(STDOUT_FILENO) && has_colors() && start_color() == OK && use_default_colors() == OK;
    for (short i = 0; i < STYLE_COUNT; i++) {
        screen->attributes[i] = styles[i].attributes;
        if (coloured && styles[i].colour != DEFAULT_COLOUR &&
            init_pair((short)(i + 1), styles[i].colour, DEFAULT_COLOUR) == OK)
            screen->attributes[i] |= COLOR_PAIR(i + 1);
    }
}

struct screen *screen_open(void)
{
    if (!terminal_redraws(STDOUT_FILENO) || !terminal_is(STDIN_FILENO))
        return NULL;
    SCREEN *terminal = newterm(NULL, stdout, stdin);
    if (terminal == NULL)
        return NULL;
    struct screen *screen = mem_calloc(1, sizeof *screen);
    screen->terminal = terminal;
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(ESCAPE_DELAY_MS);
    curs_set(0);
    set_styles(screen);
    return screen;
}

void screen_close(struct screen *screen)
{
    if (screen == NULL)
        return;
    endwin();
    delscreen(screen->terminal);
    mem_free(screen);
}

void screen_fit(struct screen *screen, struct canvas *canvas)
{
    int height, width;
    getmaxyx(stdscr, height, width);
    if (canvas->cells == NULL || canvas->width != width || canvas->height != height)
        canvas_resize(canvas, width, height);
    else
        canvas_clear(canvas);
}

/* Cells of one style go out together. */
static int show_run(const struct screen *screen, const struct canvas *canvas, int row, int column)
{
    const struct cell *cells = &canvas->cells[(size_t)row * (size_t)canvas->width];
    wchar_t text[CANVAS_WIDTH_MAX + 1];
    int size = 0, at = column;
    for (; at < canvas->width && cells[at].style == cells[column].style; at++) {
        if (cells[at].character != 0)
            text[size++] = cells[at].character;
    }
    attrset(screen->attributes[cells[column].style]);
    mvaddnwstr(row, column, text, size);
    return at;
}

void screen_show(struct screen *screen, const struct canvas *canvas)
{
    erase();
    for (int row = 0; row < canvas->height; row++) {
        for (int column = 0; column < canvas->width;)
            column = show_run(screen, canvas, row, column);
    }
    refresh();
}

static uint32_t special_key(wint_t key)
{
    switch (key) {
    case KEY_UP: return VIEW_KEY_UP;
    case KEY_DOWN: return VIEW_KEY_DOWN;
    case KEY_PPAGE: return VIEW_KEY_PAGE_UP;
    case KEY_NPAGE: return VIEW_KEY_PAGE_DOWN;
    case KEY_HOME: return VIEW_KEY_HOME;
    case KEY_END: return VIEW_KEY_END;
    case KEY_BACKSPACE: return VIEW_KEY_BACKSPACE;
    case KEY_ENTER: return VIEW_KEY_ENTER;
    case KEY_BTAB: return VIEW_KEY_BACK_TAB;
    default: return 0;
    }
}

static uint32_t plain_key(wint_t key)
{
    switch (key) {
    case '\r':
    case '\n': return VIEW_KEY_ENTER;
    case '\t': return VIEW_KEY_TAB;
    case 8:
    case 127: return VIEW_KEY_BACKSPACE;
    case 27: return VIEW_KEY_ESCAPE;
    case 12: clearok(curscr, TRUE); return 0; /* Ctrl-L: draw everything anew */
    default: return key;
    }
}

uint32_t screen_key(struct screen *screen)
{
    for (;;) {
        wint_t key;
        int found = get_wch(&key);
        if (found == ERR)
            return 0;
        uint32_t known = found == KEY_CODE_YES ? special_key(key) : plain_key(key);
        if (known != 0)
            return known;
    }
}
