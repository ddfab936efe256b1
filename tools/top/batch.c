/* Readings as plain text or JSON, for pipes and scripts. Entry: session_batch. Threads: the main thread. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/terminal.h"
#include "top/json_output.h"
#include "top/session.h"

#define WIDTH_DEFAULT   120
#define OVERVIEW_HEIGHT 60
#define FRAME_HEIGHT    8 /* first line, alerts and heading of a list */

struct batch {
    struct session *session;
    struct buf out;
    char told[OPTION_ERROR_MAX]; /* the last problem that standard error was told of */
    uint64_t seen;               /* readings that were dealt with */
    int64_t printed;
};

static int width_of_output(const struct settings *settings)
{
    int width = WIDTH_DEFAULT;
    if (terminal_is(STDOUT_FILENO))
        terminal_size(STDOUT_FILENO, &width, NULL);
    return settings->width > 0 ? (int)settings->width : width;
}

/* Lists are drawn at their full length: what reads a pipe can cut by itself. */
static int height_needed(const struct session *session)
{
    const struct sample *sample = session->model.now;
    switch (session->view.kind) {
    case VIEW_COMMANDS: return FRAME_HEIGHT + (int)sample->command_count;
    case VIEW_SLOW_LOG: return FRAME_HEIGHT + (int)sample->slow_count;
    case VIEW_CLIENTS: return FRAME_HEIGHT + (int)sample->client_count;
    case VIEW_ERRORS: return FRAME_HEIGHT + (int)sample->error_count;
    default: return OVERVIEW_HEIGHT;
    }
}

static void write_text(struct batch *batch, const struct link_view *link)
{
    struct session *session = batch->session;
    struct canvas *canvas = &session->canvas;
    canvas_resize(canvas, width_of_output(session->settings), height_needed(session));
    view_draw(&session->view, canvas, &session->model, link);
    if (batch->printed > 0)
        buf_append_char(&batch->out, '\n');
    size_t end = batch->out.size;
    for (int row = 0; row < canvas->height; row++) {
        size_t start = batch->out.size;
        canvas_row_text(canvas, row, &batch->out);
        bool empty = batch->out.size == start;
        buf_append_char(&batch->out, '\n');
        if (!empty)
            end = batch->out.size;
    }
    batch->out.size = end; /* without the empty rows at the end */
}

/* False: it could not be written, because nobody reads any more or the disk is full. */
static bool print(struct batch *batch)
{
    struct link_view link;
    source_link(batch->session->source, &link);
    buf_clear(&batch->out);
    if (batch->session->settings->json) {
        json_output(&batch->session->model, link.address, &batch->out);
        buf_append_char(&batch->out, '\n');
    } else {
        write_text(batch, &link);
    }
    bool written =
        fwrite(batch->out.data, 1, batch->out.size, stdout) == batch->out.size && fflush(stdout) == 0;
    batch->printed += written;
    return written;
}

/* Standard error hears of each trouble once. False: it is there before the first reading, so it is for good. */
static bool look_at_link(struct batch *batch)
{
    struct link_view link;
    source_link(batch->session->source, &link);
    const char *problem = link.problem != NULL ? link.problem : "";
    if (strcmp(problem, batch->told) == 0)
        return true;
    snprintf(batch->told, sizeof batch->told, "%s", problem);
    if (problem[0] == 0)
        return true;
    struct canvas line = {.unicode = batch->session->canvas.unicode}; /* see C1 in canvas.h */
    struct buf text = {0};
    canvas_resize(&line, CANVAS_WIDTH_MAX, 1);
    canvas_text(&line, 0, 0, line.width, STYLE_PLAIN, slice_from_string(problem));
    canvas_row_text(&line, 0, &text);
    fprintf(stderr, "skua-top: %s\n", buf_string(&text));
    buf_done(&text);
    canvas_done(&line);
    return batch->session->readings > 0;
}

int session_batch(struct session *session, const sigset_t *mask)
{
    struct batch batch = {.session = session};
    int64_t wanted = session->settings->count;
    bool going_on = true;
    session->view.batch = true;
    while (going_on && !session_stop && (wanted == 0 || batch.printed < wanted)) {
        session_wait(session, -1, session_ask(session), mask);
        going_on = look_at_link(&batch);
        if (session->readings == batch.seen)
            continue;
        batch.seen = session->readings;
        if (session->model.before != NULL)
            going_on = print(&batch);
    }
    buf_done(&batch.out);
    return session_stop || (wanted > 0 && batch.printed == wanted) ? EXIT_SUCCESS : EXIT_FAILURE;
}
