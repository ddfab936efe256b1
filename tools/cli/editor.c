/* A line typed on a terminal. Entry, threads, invariants: see editor.h. */
#include "cli/editor.h"

#include <fcntl.h>
#include <histedit.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/format.h"
#include "cli/hints.h"
#include "common/terminal.h"

#define CURSOR_SAVE    "\0337"
#define CURSOR_RESTORE "\0338"
#define ERASE_TO_END   "\033[K"
#define ERASE_BELOW    "\033[J"
#define FAINT          "\033[2m" /* no colour, so that it is allowed under NO_COLOR */
#define COLUMN_GAP     2         /* blanks between two columns of candidates */

struct editor {
    EditLine *line;
    History *history;
    const struct catalogue *catalogue;
    const char *prompt; /* borrowed while reading */
    char *history_path; /* NULL: nowhere */
    struct buf result;
    bool colours;
    bool hints;
    bool hint_drawn; /* I1 */
    bool dropped;    /* Ctrl-C on a line with text */
};

static struct editor *editor_of(EditLine *line)
{
    void *editor = NULL;
    el_get(line, EL_CLIENTDATA, &editor);
    return editor;
}

static char *give_prompt(EditLine *line)
{
    return (char *)editor_of(line)->prompt;
}

/* ---- Hints --------------------------------------------------------------------------------------------------- */

/* Columns that the text takes; libedit shows a control character as two, ^X. */
static size_t width_of(const char *text, size_t size)
{
    mbstate_t state = {0};
    size_t width = 0;
    while (size > 0) {
        wchar_t c;
        size_t length = mbrtowc(&c, text, size, &state);
        int columns = length == 0 || length > size ? 1 : wcwidth(c);
        if (length == 0 || length > size) {
            length = 1;
            state = (mbstate_t){0};
        }
        width += columns < 0 ? 2 : (size_t)columns;
        text += length;
        size -= length;
    }
    return width;
}

static void draw_hint(struct editor *editor)
{
    const LineInfo *info = el_line(editor->line);
    struct buf hint = {0};
    int columns;
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&input, 1, 0) > 0)
        return; /* more keys are waiting: a paste need not be hinted at letter by letter */
    if (!editor->hints || info->cursor != info->lastchar || info->cursor == info->buffer)
        return;
    size_t size = (size_t)(info->lastchar - info->buffer);
    hints_rest(editor->catalogue, slice_make(info->buffer, size), &hint);
    terminal_size(STDOUT_FILENO, &columns, NULL);
    size_t column =
        (width_of(editor->prompt, strlen(editor->prompt)) + width_of(info->buffer, size)) % (size_t)columns;
    size_t room = (size_t)columns - column - 1;
    if (column > 0 && room > 1 && hint.size > 0) {
        fprintf(stdout, CURSOR_SAVE "%s%.*s" FORMAT_PLAIN CURSOR_RESTORE,
                editor->colours ? FORMAT_DIM : FAINT, (int)(hint.size < room ? hint.size : room), hint.data);
        fflush(stdout);
        editor->hint_drawn = true;
    }
    buf_done(&hint);
}

static void wipe_hint(struct editor *editor)
{
    if (!editor->hint_drawn)
        return;
    fputs(ERASE_TO_END, stdout);
    fflush(stdout);
    editor->hint_drawn = false;
}

void editor_set_hints(struct editor *editor, bool shown)
{
    editor->hints = shown && terminal_redraws(STDOUT_FILENO);
}

/* ---- Keys ---------------------------------------------------------------------------------------------------- */

/* Takes the line that is being typed off the screen, with the cursor where it began. */
static void erase_line(struct editor *editor)
{
    const LineInfo *info = el_line(editor->line);
    int columns;
    terminal_size(STDOUT_FILENO, &columns, NULL);
    size_t width = width_of(editor->prompt, strlen(editor->prompt)) +
                   width_of(info->buffer, (size_t)(info->cursor - info->buffer));
    if (width / (size_t)columns > 0)
        fprintf(stdout, "\033[%zuA", width / (size_t)columns);
    fputs("\r" ERASE_BELOW, stdout);
    fflush(stdout);
    editor->hint_drawn = false;
}

/* The window has another size, or the program was stopped and the terminal is in the shell's mode. */
static void redraw(struct editor *editor, bool was_stopped)
{
    erase_line(editor);
    if (was_stopped) {
        el_set(editor->line, EL_PREP_TERM, 0);
        el_set(editor->line, EL_PREP_TERM, 1);
    }
    el_resize(editor->line);
    el_set(editor->line, EL_REFRESH);
    draw_hint(editor);
}

/* One byte. 0: the end of the input; -1: Ctrl-C. */
static int read_byte(struct editor *editor, char *ret_byte)
{
    for (;;) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        if (!cli_poll(&input, 1, -1))
            return cli_terminated() ? 0 : -1;
        int change = cli_take_screen_change();
        if (change != 0)
            redraw(editor, change == SIGCONT);
        if (input.revents != 0) {
            ssize_t size = read(STDIN_FILENO, ret_byte, 1);
            if (size >= 0)
                return (int)size;
        }
    }
}

/* libedit waits for a key here. */
static int read_key(EditLine *line, wchar_t *ret_key)
{
    struct editor *editor = editor_of(line);
    mbstate_t state = {0};
    draw_hint(editor);
    int result;
    char byte;
    while ((result = read_byte(editor, &byte)) == 1) {
        size_t length = mbrtowc(ret_key, &byte, 1, &state);
        if (length == (size_t)-2)
            continue; /* the first bytes of a character */
        if (length == (size_t)-1) {
            state = (mbstate_t){0};
            continue; /* no character: it is left out */
        }
        break;
    }
    wipe_hint(editor);
    if (result < 0) {
        /* With text the line ends here and is dropped by editor_read; without, it is the end of the input. */
        const LineInfo *info = el_line(line);
        cli_interrupt_clear();
        editor->dropped = info->lastchar > info->buffer;
        *ret_key = L'\n';
        result = editor->dropped ? 1 : 0;
    }
    return result;
}

/* ---- Completion ---------------------------------------------------------------------------------------------- */

static size_t common_length(const struct hints_candidates *candidates)
{
    size_t length = strlen(candidates->words[0]);
    for (size_t i = 1; i < candidates->count; i++) {
        size_t same = 0;
        while (same < length && candidates->words[i][same] == candidates->words[0][same])
            same++;
        length = same;
    }
    return length;
}

/* Below the line, in columns, top to bottom. */
static void list_candidates(const struct hints_candidates *candidates)
{
    size_t widest = 0;
    int columns;
    for (size_t i = 0; i < candidates->count; i++)
        widest = strlen(candidates->words[i]) > widest ? strlen(candidates->words[i]) : widest;
    terminal_size(STDOUT_FILENO, &columns, NULL);
    size_t across = (size_t)columns / (widest + COLUMN_GAP);
    across = across == 0 ? 1 : across;
    size_t down = (candidates->count + across - 1) / across;
    fputc('\n', stdout);
    for (size_t row = 0; row < down; row++) {
        for (size_t i = row; i < candidates->count; i += down)
            fprintf(stdout, "%-*s", i + down < candidates->count ? (int)(widest + COLUMN_GAP) : 0,
                    candidates->words[i]);
        fputc('\n', stdout);
    }
    fflush(stdout);
}

static void replace_typed(EditLine *line, size_t typed, const char *word, size_t size, bool whole)
{
    struct buf text = {0};
    buf_append(&text, word, size);
    if (whole)
        buf_append_char(&text, ' ');
    el_deletestr(line, (int)typed);
    el_insertstr(line, buf_string(&text));
    buf_done(&text);
}

static unsigned char on_tab(EditLine *line, int key)
{
    const LineInfo *info = el_line(line);
    struct hints_candidates candidates;
    unsigned char result = CC_REFRESH_BEEP;
    hints_complete(editor_of(line)->catalogue,
                   slice_make(info->buffer, (size_t)(info->cursor - info->buffer)), &candidates);
    size_t common = candidates.count > 0 ? common_length(&candidates) : 0;
    if (candidates.count == 1 || common > candidates.typed) {
        replace_typed(line, candidates.typed, candidates.words[0], common, candidates.count == 1);
        result = CC_REFRESH;
    } else if (candidates.count > 1) {
        list_candidates(&candidates);
        result = CC_REDISPLAY;
    }
    hints_candidates_done(&candidates);
    return result;
}

/* ---- History ------------------------------------------------------------------------------------------------- */

static char *find_history_path(void)
{
    const char *path = getenv(EDITOR_HISTORY_VARIABLE);
    const char *home = getenv("HOME");
    struct buf text = {0};
    if (path != NULL && *path != '\0' && strcmp(path, "/dev/null") != 0)
        buf_append_string(&text, path);
    else if (path == NULL && home != NULL && *home != '\0')
        buf_printf(&text, "%s/%s", home, EDITOR_HISTORY_FILE);
    char *found = text.size > 0 ? mem_strdup(buf_string(&text)) : NULL;
    buf_done(&text);
    return found;
}

/* I2 */
static void append_to_file(const char *path, struct slice line)
{
    struct buf text = {0};
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0)
        return;
    buf_append_slice(&text, line);
    buf_append_char(&text, '\n');
    if (write(file, text.data, text.size) < 0)
        fputs("skua-cli: the history cannot be written\n", stderr);
    close(file);
    buf_done(&text);
}

/* Writes what is remembered into a new file and puts it in the old one's place. */
static void shorten_file(const struct editor *editor)
{
    struct buf path = {0};
    HistEvent event;
    buf_printf(&path, "%s.%ld", editor->history_path, (long)getpid());
    int file = open(buf_string(&path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    FILE *out = file >= 0 ? fdopen(file, "w") : NULL;
    if (out != NULL) {
        for (int more = history(editor->history, &event, H_LAST); more >= 0;
             more = history(editor->history, &event, H_PREV))
            fprintf(out, "%s\n", event.str);
        if (fclose(out) != 0 || rename(buf_string(&path), editor->history_path) != 0)
            unlink(buf_string(&path));
    }
    buf_done(&path);
}

static void read_history(struct editor *editor)
{
    HistEvent event;
    struct buf line = {0};
    size_t lines = 0;
    FILE *file = editor->history_path != NULL ? fopen(editor->history_path, "re") : NULL;
    if (file == NULL)
        return;
    for (int c; (c = getc(file)) != EOF;) {
        if (c != '\n') {
            buf_append_char(&line, (char)c);
            continue;
        }
        if (line.size > 0)
            history(editor->history, &event, H_ENTER, buf_string(&line));
        buf_clear(&line);
        lines++;
    }
    fclose(file);
    buf_done(&line);
    if (lines > 2 * EDITOR_HISTORY_MAX)
        shorten_file(editor);
}

void editor_remember(struct editor *editor, struct slice line)
{
    HistEvent event;
    struct buf text = {0};
    buf_append_slice(&text, line);
    bool again = history(editor->history, &event, H_FIRST) >= 0 && strcmp(event.str, buf_string(&text)) == 0;
    if (!again) {
        history(editor->history, &event, H_ENTER, buf_string(&text));
        if (editor->history_path != NULL)
            append_to_file(editor->history_path, line);
    }
    buf_done(&text);
}

/* ---- Reading ------------------------------------------------------------------------------------------------- */

bool editor_read(struct editor *editor, const char *prompt, struct slice *ret_line)
{
    editor->prompt = prompt;
    for (;;) {
        int size = 0;
        editor->dropped = false;
        const char *line = el_gets(editor->line, &size);
        editor->hint_drawn = false;
        if (line == NULL || size <= 0) {
            fputc('\n', stdout);
            fflush(stdout);
            return false;
        }
        if (editor->dropped)
            continue;
        buf_clear(&editor->result);
        buf_append(&editor->result, line, (size_t)size);
        while (editor->result.size > 0 &&
               strchr("\r\n", editor->result.data[editor->result.size - 1]) != NULL)
            editor->result.size--;
        *ret_line = buf_slice(&editor->result);
        return true;
    }
}

static void bind_keys(EditLine *line)
{
    static const char *const keys[][2] = {
        {"^I", "skua-complete"},       {"^R", "em-inc-search-prev"},       {"^W", "ed-delete-prev-word"},
        {"^U", "vi-kill-line-prev"},   {"\033[3~", "ed-delete-next-char"}, {"\033[1~", "ed-move-to-beg"},
        {"\033[4~", "ed-move-to-end"}, {"\033[H", "ed-move-to-beg"},       {"\033[F", "ed-move-to-end"},
        {"\033OH", "ed-move-to-beg"},  {"\033OF", "ed-move-to-end"},       {"\033[1;5D", "ed-prev-word"},
        {"\033[1;5C", "em-next-word"},
    };
    /* The wide call keeps the pointers; the narrow one would copy the texts and never free them. */
    el_wset(line, EL_ADDFN, L"skua-complete", L"Complete a word", on_tab);
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        el_set(line, EL_BIND, keys[i][0], keys[i][1], NULL);
}

struct editor *editor_new(const struct catalogue *catalogue, bool colours)
{
    struct editor *editor = mem_calloc(1, sizeof(*editor));
    HistEvent event;
    *editor = (struct editor){.catalogue = catalogue, .colours = colours, .prompt = ""};
    editor_set_hints(editor, true);
    editor->history_path = find_history_path();
    editor->history = history_init();
    editor->line = el_init("skua-cli", stdin, stdout, stderr);
    history(editor->history, &event, H_SETSIZE, EDITOR_HISTORY_MAX);
    el_set(editor->line, EL_CLIENTDATA, editor);
    el_set(editor->line, EL_PROMPT, give_prompt);
    el_set(editor->line, EL_EDITOR, "emacs");
    el_set(editor->line, EL_HIST, history, editor->history);
    el_set(editor->line, EL_GETCFN, read_key);
    bind_keys(editor->line);
    el_source(editor->line, NULL);
    read_history(editor);
    cli_catch_screen_changes();
    return editor;
}

void editor_free(struct editor *editor)
{
    if (editor == NULL)
        return;
    el_end(editor->line);
    history_end(editor->history);
    buf_done(&editor->result);
    mem_free(editor->history_path);
    mem_free(editor);
}
